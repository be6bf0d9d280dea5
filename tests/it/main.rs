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
mod heat;
mod host_local;
mod host_ssh;
mod log_file;
mod plan;
mod probe_afar;
mod probe_dns;
mod probe_exec;
mod probe_http;
mod probe_http2;
mod probe_http_asks;
mod probe_http_tls;
mod probe_http_wants;
mod probe_icmp;
mod probe_postgres;
mod probe_redis;
mod probe_ssh;
mod probe_tcp;
mod probe_tls;
mod probe_ws;
mod reference;
mod remedy;
mod store;
mod story;
mod telegram;
