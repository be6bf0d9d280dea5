//! What several kinds of probe stand on: names to addresses, TCP, TLS, reports that come in, and the trace of phases. No kind lives here.

mod address;
mod dial;
mod echo;
mod failure;
pub mod pushes;
mod resolver;
pub mod settings;
mod tls;
mod trace;
mod way;

pub use address::Address;
pub use resolver::Resolver;
pub use tls::Stream;
pub use trace::{Stage, Trace};
pub use way::{Family, Way};

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsConnector;

use crate::fetch::Roots;

pub use pushes::Pushes;

pub(crate) use dial::telling;
pub(crate) use failure::broken;

/// What all probes share; built once at start.
pub struct Kit {
    resolver: Resolver,
    roots: Roots,
    tls: TlsConnector,
    pub(super) echo: echo::Echo,
    pushes: Arc<Pushes>,
}

impl Kit {
    /// Takes the roots and the system's resolver.
    pub fn new(roots: &Roots) -> Self {
        Self::with_resolver(roots, Resolver::system())
    }

    /// Looks at what is heard there.
    #[must_use]
    pub fn hearing(self, pushes: Arc<Pushes>) -> Self {
        Self { pushes, ..self }
    }

    /// What servers report to us.
    pub fn pushes(&self) -> &Arc<Pushes> {
        &self.pushes
    }

    /// Takes another resolver; for tests of what ours cannot be made to do.
    pub fn with_resolver(roots: &Roots, resolver: Resolver) -> Self {
        Self {
            resolver,
            roots: roots.clone(),
            tls: TlsConnector::from(roots.tls()),
            echo: echo::Echo::new(),
            pushes: Arc::default(),
        }
    }
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit").finish_non_exhaustive()
    }
}
