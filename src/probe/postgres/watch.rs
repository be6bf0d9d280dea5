//! A connection to a server that may be hostile: it may not ask for the password in the clear, and not talk without end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::probe::wire::Stream;

/// Bytes that a server may send for a login and `SELECT 1`. A real one sends some 500.
const ENOUGH: usize = 64 * 1024;
/// Tag, length and kind of the first message: what it wants of us.
const FIRST: usize = 9;

/// The stream, and what came over it.
pub(super) struct Watch {
    stream: Stream,
    /// Whether the other side has proved who it is.
    trusted: bool,
    has_password: bool,
    head: [u8; FIRST],
    heard: usize,
}

/// Why we hang up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    /// It wants the password itself, and anybody could read it or be who asks.
    #[error("the server wants the password in the clear")]
    Clear,
    /// It wants a password and there is none.
    #[error("the server wants a password, and none is set")]
    NoPassword,
    /// It wants a login by other means than a password.
    #[error("the server wants a login by other means than a password")]
    OtherMeans,
    /// It is somebody else.
    #[error("the answer is not PostgreSQL's")]
    Stranger,
    /// It does not stop talking.
    #[error("the server sends more than anybody needs for an answer")]
    Endless,
}

impl Watch {
    pub(super) fn new(stream: Stream, trusted: bool, has_password: bool) -> Self {
        Self { stream, trusted, has_password, head: [0; FIRST], heard: 0 }
    }

    /// Looks at what came in, before anybody acts on it.
    fn hear(&mut self, new: &[u8]) -> Result<(), Stop> {
        let begun = self.heard < FIRST;
        for (place, byte) in self.head.iter_mut().skip(self.heard).zip(new) {
            *place = *byte;
        }
        self.heard = self.heard.saturating_add(new.len());
        if self.heard > ENOUGH {
            return Err(Stop::Endless);
        }
        if begun && self.heard >= FIRST { self.wanted() } else { Ok(()) }
    }

    /// Judges the first message: <https://www.postgresql.org/docs/current/protocol-message-formats.html>, `Authentication…`.
    fn wanted(&self) -> Result<(), Stop> {
        let [tag, length @ .., _, _, _, _] = self.head;
        let [_, _, _, _, _, kind @ ..] = self.head;
        // A wish, an error, a notice, a setting, another version: no other message can be the first.
        if !b"RENSv".contains(&tag) || u32::from_be_bytes(length) as usize > ENOUGH {
            return Err(Stop::Stranger);
        }
        if tag != b'R' {
            return Ok(());
        }
        match u32::from_be_bytes(kind) {
            3 | 5 | 10 if !self.has_password => Err(Stop::NoPassword),
            3 if !self.trusted => Err(Stop::Clear),
            2 | 6 | 7 | 9 => Err(Stop::OtherMeans),
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Watch {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        Poll::Ready(this.hear(new).map_err(io::Error::other))
    }
}

impl AsyncWrite for Watch {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
