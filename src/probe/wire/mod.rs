//! What several kinds of probe stand on: names to addresses, TCP, UDP, TLS, what is said over them, and the trace of
//! phases. No kind lives here.

mod address;
mod datagram;
mod dial;
mod dialogue;
mod echo;
mod failure;
mod resolver;
pub mod settings;
mod tls;
mod trace;
mod way;

pub use address::Address;
pub use dialogue::{Dialogue, Expected, Sent};
pub use resolver::Resolver;
pub use tls::Stream;
pub use trace::{Stage, Trace};
pub use way::{Family, Way};

use std::fmt;

use tokio_rustls::TlsConnector;

use crate::fetch::Roots;

pub(crate) use datagram::Datagrams;
pub(crate) use dial::telling;
pub(crate) use failure::broken;

/// What all probes share; built once at start.
pub struct Kit {
    resolver: Resolver,
    roots: Roots,
    tls: TlsConnector,
    pub(super) echo: echo::Echo,
}

impl Kit {
    /// Takes the roots and the system's resolver.
    pub fn new(roots: &Roots) -> Self {
        Self::with_resolver(roots, Resolver::system())
    }

    /// Takes another resolver; for tests of what ours cannot be made to do.
    pub fn with_resolver(roots: &Roots, resolver: Resolver) -> Self {
        Self { resolver, roots: roots.clone(), tls: TlsConnector::from(roots.tls()), echo: echo::Echo::new() }
    }
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit").finish_non_exhaustive()
    }
}
