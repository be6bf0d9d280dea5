//! A new TCP connection, and TLS over it where the target wants it.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Host;

use super::tls::{self, Stream};
use super::trace::{Stage, Trace};
use super::way::Way;
use super::{Kit, failure};
use crate::domain::reading::{Cause, Fault};

/// Addresses tried of one name; a share of the time for more of them would be too short for any.
const ADDRESSES: usize = 6;

impl Kit {
    /// Connects to `host` in this `way`, with TLS for its name if `secure`. Literal addresses skip the resolver.
    pub async fn dial(
        &self,
        trace: &mut Trace,
        way: &Way,
        host: Host<&str>,
        port: u16,
        secure: bool,
    ) -> Result<Stream, Fault> {
        let tcp = self.reach(trace, way, host.clone(), port).await?;
        if secure { self.secure(trace, way, host, tcp).await } else { Ok(Stream::Plain(tcp)) }
    }

    /// Connects to `host`, without TLS.
    pub async fn reach(&self, trace: &mut Trace, way: &Way, host: Host<&str>, port: u16) -> Result<TcpStream, Fault> {
        let found = self.addresses(trace, way.family, host).await?;
        Self::connect(trace, &found, port).await
    }

    /// Agrees on TLS over a connection, and notes when the server's certificate ends where the way asks for it.
    pub async fn secure(
        &self,
        trace: &mut Trace,
        way: &Way,
        host: Host<&str>,
        tcp: TcpStream,
    ) -> Result<Stream, Fault> {
        trace.enter(Stage::Tls);
        let stream = tls::agree(way.connector(&self.roots, &self.tls)?, host, tcp).await?;
        if way.notes_expiry()
            && let Some(end) = stream.certificate_ends()
        {
            trace.certificate_ends(end);
        }
        Ok(stream)
    }

    /// Tries the addresses in order; each but the last gets an equal share of the time that is left.
    ///
    /// The fault is the first that speaks about the target: that one family has no route from here says nothing about it.
    async fn connect(trace: &mut Trace, found: &[IpAddr], port: u16) -> Result<TcpStream, Fault> {
        trace.enter(Stage::Connect);
        let count = found.len().min(ADDRESSES);
        let mut worst: Option<Fault> = None;
        for (tried, ip) in found.iter().take(ADDRESSES).enumerate() {
            let peer = SocketAddr::new(*ip, port);
            let others = count - tried - 1;
            match attempt(trace, peer, others).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => worst = Some(telling(worst, fault)),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::new(Cause::Dns, "the name has no address")))
    }
}

/// Of two faults the one that says more about the target, and of equal ones the earlier.
pub(crate) fn telling(earlier: Option<Fault>, later: Fault) -> Fault {
    match earlier {
        Some(earlier) if !earlier.cause.is_blind() || later.cause.is_blind() => earlier,
        Some(_) | None => later,
    }
}

async fn attempt(trace: &Trace, peer: SocketAddr, others: usize) -> Result<TcpStream, Fault> {
    let connecting = TcpStream::connect(peer);
    let connected = if others == 0 {
        // The attempt's own limit is around us.
        connecting.await
    } else {
        let share = trace.left() / u32::try_from(others + 1).unwrap_or(u32::MAX);
        match timeout(share, connecting).await {
            Ok(connected) => connected,
            Err(_elapsed) => {
                return Err(Fault::new(Cause::Timeout, format!("no connection to {peer} within {share:.0?}")));
            }
        }
    };
    let stream = connected.map_err(|error| failure::unconnected(peer, &error))?;
    // What is sent is sent at once; a kernel that refuses this still sends.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_about_the_target_outweighs_what_we_could_not_see() {
        for (earlier, later, told) in [
            (Cause::Network, Cause::Refused, Cause::Refused),
            (Cause::Refused, Cause::Network, Cause::Refused),
            (Cause::Timeout, Cause::Refused, Cause::Timeout),
            (Cause::Network, Cause::Exhausted, Cause::Network),
        ] {
            let (earlier, later) = (Fault::new(earlier, "earlier"), Fault::new(later, "later"));
            assert_eq!(telling(Some(earlier), later).cause, told);
        }
    }
}
