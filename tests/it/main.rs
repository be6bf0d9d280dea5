//! One integration program: real servers, real files, one process.

mod support;

mod env_file;
mod floors;
mod host_local;
mod host_ssh;
mod log_file;
mod probe_http;
mod store;
mod telegram;
