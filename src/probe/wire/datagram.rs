//! A new UDP socket that hears one peer only: what others send to its port never reaches us.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::failure;
use crate::domain::reading::{Cause, Fault};

/// An open socket, from a port that the kernel drew.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl Datagrams {
    /// Opens a socket towards `peer`.
    pub(crate) async fn open(peer: SocketAddr) -> Result<Self, Fault> {
        let own = match peer {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let opening = async {
            let socket = UdpSocket::bind(own).await?;
            socket.connect(peer).await?;
            Ok(socket)
        };
        let socket = opening.await.map_err(|error| failure::unconnected(peer, &error))?;
        Ok(Self { socket, peer })
    }

    /// Sends one datagram.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        let sent = self.socket.send(bytes).await;
        sent.map(|_all| ()).map_err(|error| self.fault(&error))
    }

    /// Waits for the next datagram of the peer; what does not fit into `buffer` is cut off.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> Result<usize, Fault> {
        self.socket.recv(buffer).await.map_err(|error| self.fault(&error))
    }

    /// The kernel hands us what routers and the peer said about an earlier datagram with the next call.
    fn fault(&self, error: &std::io::Error) -> Fault {
        let fault = failure::unconnected(self.peer, error);
        match fault.cause {
            Cause::Refused => Fault::new(Cause::Refused, format!("nobody listens at {} (UDP)", self.peer)),
            _ => fault,
        }
    }
}
