//! One integration program: real servers, real files, one process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole program is a test, its helpers too; clippy only knows the functions marked so"
)]

mod support;

mod cli;
mod demo;
mod dependencies;
mod deploy;
mod discovery;
mod docs;
mod engine;
mod env_file;
mod failover;
mod floors;
mod host_local;
mod host_ssh;
mod log_file;
mod plan;
mod probe_afar;
mod probe_http;
mod probe_icmp;
mod probe_tcp;
mod reference;
mod remedy;
mod store;
mod story;
mod telegram;
