//! Floor 7: builds everything in order, stops it in reverse order; reads the process environment, listens to signals.

use std::borrow::Cow;

mod acts;
mod afar;
pub mod agent;
pub mod audit;
mod changes;
pub mod channels;
pub mod discovery;
pub mod heartbeat;
pub mod lock;
pub mod log;
pub mod look;
mod masks;
pub mod plans;
mod port;
mod recall;
mod relations;
mod reload;
mod retention;
pub mod signals;
pub mod source;
mod state_file;
pub mod systemd;
mod troubles;

/// The redactor at the log's sink.
pub struct LogMask(pub crate::env::Redactor);

impl log::Redact for LogMask {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.mask(text)
    }
}
