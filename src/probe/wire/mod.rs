//! What several kinds of probe stand on: names to addresses, TCP, UDP, TLS, what is said over them, commands, reports that
//! come in, and the trace of phases. No kind lives here.

mod address;
mod commands;
mod datagram;
mod dial;
mod dialogue;
mod echo;
mod expression;
mod failure;
mod headers;
mod login;
pub mod pushes;
mod resolver;
pub mod settings;
mod tls;
mod trace;
mod way;

pub use address::Address;
pub use commands::{Commands, Reach, Turns};
pub use dialogue::{Dialogue, Expected, Sent};
pub use expression::Expression;
pub use headers::Headers;
pub use login::{Login, authorization};
pub use resolver::Resolver;
pub use tls::Stream;
pub use trace::{Stage, Trace};
pub use way::{Family, Way};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsConnector;

use crate::domain::name::SiteName;
use crate::fetch::Roots;
use crate::host::LocalHost;

pub(crate) use commands::{Turn, judge, last_line};
pub(crate) use datagram::Datagrams;
pub(crate) use dial::telling;
pub(crate) use failure::{broken, is_exhausted, unreached};
pub(crate) use headers::{masked, words};
pub use pushes::Pushes;

/// What all probes share; built once at start. A clone shares it too.
#[derive(Clone)]
pub struct Kit {
    resolver: Resolver,
    roots: Roots,
    tls: TlsConnector,
    pub(super) echo: Arc<echo::Echo>,
    commands: Commands,
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
            echo: Arc::new(echo::Echo::new()),
            commands: Commands::default(),
            pushes: Arc::default(),
        }
    }

    /// The same, with the places where the commands of one configuration run.
    #[must_use]
    pub fn running(&self, local: LocalHost, sites: BTreeMap<SiteName, Reach>) -> Self {
        Self { commands: self.commands.at(local, sites), ..self.clone() }
    }

    /// Where commands run.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kit").finish_non_exhaustive()
    }
}
