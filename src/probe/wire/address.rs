//! The host of a URL that is not one of the web's: there the `url` crate leaves it as it was written.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::Kit;
use super::trace::{Stage, Trace};
use crate::domain::reading::Fault;
use crate::probe::BadTarget;

/// A literal address, or a name that is resolved each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Host<String>);

impl Address {
    /// Reads the host as a web browser would: addresses in brackets, international names.
    pub fn read(url: &Url) -> Result<Self, BadTarget> {
        let text = url.host_str().filter(|host| !host.is_empty());
        let text = text.ok_or_else(|| BadTarget::NoHost(url.scheme().to_owned()))?;
        Host::parse(text).map(Self).map_err(|error| BadTarget::Unreadable(error.to_string()))
    }

    /// The host, borrowed.
    pub fn host(&self) -> Host<&str> {
        match &self.0 {
            Host::Domain(name) => Host::Domain(name),
            Host::Ipv4(ip) => Host::Ipv4(*ip),
            Host::Ipv6(ip) => Host::Ipv6(*ip),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Kit {
    /// All addresses of a host, at least one. Literal ones skip the resolver.
    pub async fn addresses(&self, trace: &mut Trace, address: &Address) -> Result<Vec<IpAddr>, Fault> {
        match address.host() {
            Host::Ipv4(ip) => Ok(vec![ip.into()]),
            Host::Ipv6(ip) => Ok(vec![ip.into()]),
            Host::Domain(name) => {
                trace.enter(Stage::Dns);
                self.resolver.resolve(name).await
            }
        }
    }
}
