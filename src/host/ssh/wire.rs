//! The byte stream under a session: a TCP socket of ours or a channel through a jump host. It can be cut from outside, sends
//! and acknowledges at once, and remembers the first bytes that came in.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use russh::ChannelStream;
use russh::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// First bytes of the other side that are kept: enough to tell HTTP from SSH.
const OPENING: usize = 64;

/// What carries the bytes.
pub(super) enum Carrier {
    Tcp(TcpStream),
    Hop(ChannelStream<Msg>),
}

/// What the other side said first.
pub(super) type Opening = Arc<Mutex<Vec<u8>>>;

pub(super) struct Wire {
    carrier: Carrier,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    opening: Opening,
}

impl Wire {
    /// `cut` ends the stream for the session on it: the SSH crate's task has no other handle that works in mid-handshake.
    pub(super) fn new(carrier: Carrier, cut: &CancellationToken) -> (Self, Opening) {
        if let Carrier::Tcp(socket) = &carrier {
            // Small packets both ways: waiting for more of them costs a login 40 ms a step. Best effort.
            let _ = socket.set_nodelay(true);
        }
        let opening = Opening::default();
        (Self { carrier, cut: Box::pin(cut.clone().cancelled_owned()), opening: opening.clone() }, opening)
    }

    fn note(&self, bytes: &[u8]) {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OPENING.saturating_sub(opening.len());
        opening.extend(bytes.iter().take(room));
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let polled = match &mut self.carrier {
            Carrier::Tcp(socket) => {
                let polled = Pin::new(&mut *socket).poll_read(cx, buf);
                // The kernel forgets this mode by itself, so it is set after each read.
                #[cfg(target_os = "linux")]
                let _ = rustix::net::sockopt::set_tcp_quickack(&*socket, true);
                polled
            }
            Carrier::Hop(channel) => Pin::new(channel).poll_read(cx, buf),
        };
        if let Some(new) = buf.filled().get(before..).filter(|new| !new.is_empty()) {
            self.note(new);
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &mut self.carrier {
            Carrier::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Carrier::Hop(channel) => Pin::new(channel).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Carrier::Hop(channel) => Pin::new(channel).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            // A cut wire says no goodbyes: over a frozen jump host they would never leave.
            return Poll::Ready(Ok(()));
        }
        match &mut self.carrier {
            Carrier::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Carrier::Hop(channel) => Pin::new(channel).poll_shutdown(cx),
        }
    }
}
