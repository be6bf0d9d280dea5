//! Real counterparts for tests. A missing tool fails the test and names its Debian package.

pub mod agent;
pub mod bot_api;
pub mod engine;
pub mod guarded;
pub mod http;
pub mod http2;
pub mod netns;
pub mod nsd;
pub mod postgres;
pub mod postgres_tcp;
pub mod redis;
pub mod scripted;
pub mod sshd;
pub mod stage;
pub mod target;
