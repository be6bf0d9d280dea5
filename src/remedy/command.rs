//! A shell command on a host: the remedy of the seed.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::host::Host;

use super::{Call, Done, Remedy, shell};

/// What people call it.
pub const KIND: &str = "command";

/// A command of a pair's ladder on its site's host.
pub struct Command {
    host: Arc<Host>,
    /// `dc_host` in the records.
    name: String,
    /// What exclusivity goes by.
    lane: String,
    shell: String,
}

impl Command {
    /// Joins a host, its name in the records, the address that exclusivity goes by, and the shell text.
    pub fn new(host: Arc<Host>, name: String, lane: String, shell: String) -> Self {
        Self { host, name, lane, shell }
    }
}

impl Remedy for Command {
    fn host(&self) -> &str {
        &self.name
    }

    fn lane(&self) -> &str {
        &self.lane
    }

    fn text(&self) -> &str {
        &self.shell
    }

    fn warm(&self) {
        self.host.warm();
    }

    fn harmless(&self) -> Option<Arc<dyn Remedy>> {
        Some(Arc::new(Self::new(self.host.clone(), self.name.clone(), self.lane.clone(), "true".to_owned())))
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(shell::run(&self.host, &self.shell, call, ready))
    }
}
