//! A new TCP connection, and TLS over it where the target wants it.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Host;

use super::tls::{self, Stream};
use super::trace::{Stage, Trace};
use super::{Kit, failure};
use crate::domain::reading::{Cause, Fault};

/// Addresses tried of one name; a share of the time for more of them would be too short for any.
const ADDRESSES: usize = 6;

impl Kit {
    /// Connects to `host`, with TLS for its name if `secure`. Literal addresses skip the resolver.
    pub async fn dial(&self, trace: &mut Trace, host: Host<&str>, port: u16, secure: bool) -> Result<Stream, Fault> {
        let tcp = match host {
            Host::Ipv4(ip) => Self::connect(trace, &[ip.into()], port).await?,
            Host::Ipv6(ip) => Self::connect(trace, &[ip.into()], port).await?,
            Host::Domain(name) => {
                trace.enter(Stage::Dns);
                let found = self.resolver.resolve(name).await?;
                Self::connect(trace, &found, port).await?
            }
        };
        if !secure {
            return Ok(Stream::Plain(tcp));
        }
        trace.enter(Stage::Tls);
        tls::agree(&self.tls, host, tcp).await
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
            let fault = match attempt(trace, peer, others).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => fault,
            };
            match &worst {
                Some(kept) if !kept.cause.is_blind() || fault.cause.is_blind() => {}
                _ => worst = Some(fault),
            }
        }
        Err(worst.unwrap_or_else(|| Fault::new(Cause::Dns, "the name has no address")))
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
