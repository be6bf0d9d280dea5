//! The host of a URL that is not one of the web's (there the `url` crate leaves it as it was written), and the addresses
//! that a host has.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::trace::{Stage, Trace};
use super::{Family, Kit};
use crate::domain::reading::{Cause, Fault};
use crate::probe::BadTarget;

/// A literal address, or a name that is resolved each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Host<String>);

impl Address {
    /// Reads a URL and its host.
    pub fn of_url(text: &str) -> Result<(Url, Self), BadTarget> {
        let (scheme, _) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => BadTarget::NoHost(scheme.to_ascii_lowercase()),
            error => BadTarget::Unreadable(error.to_string()),
        })?;
        let address = Self::read(&url)?;
        Ok((url, address))
    }

    /// Reads the port; `usual` is that of a URL without one.
    pub fn port(url: &Url, usual: Option<u16>) -> Result<u16, &'static str> {
        match url.port().or(usual) {
            None => Err("there is no port"),
            Some(0) => Err("nobody can listen on port 0"),
            Some(port) => Ok(port),
        }
    }

    /// Reads the host as a web browser would: addresses in brackets, international names.
    fn read(url: &Url) -> Result<Self, BadTarget> {
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
    /// The addresses of a host that are of this family, at least one. Literal ones skip the resolver.
    pub async fn addresses(&self, trace: &mut Trace, family: Family, host: Host<&str>) -> Result<Vec<IpAddr>, Fault> {
        let name = match host {
            Host::Ipv4(ip) => return Ok(vec![ip.into()]),
            Host::Ipv6(ip) => return Ok(vec![ip.into()]),
            Host::Domain(name) => name,
        };
        trace.enter(Stage::Dns);
        let mut found = self.resolver.resolve(name).await?;
        let wanted = match family {
            Family::Both => return Ok(found),
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        found.retain(|ip| ip.is_ipv4() == (family == Family::V4));
        if found.is_empty() {
            Err(Fault::new(Cause::Dns, format!("{name} has no {wanted} address")))
        } else {
            Ok(found)
        }
    }
}
