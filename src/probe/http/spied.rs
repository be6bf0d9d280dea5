//! The connection under HTTP: it notes how the answer begins, so that another protocol is named and the first byte is timed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::Stream;

/// How every answer of HTTP/1 begins.
const MAGIC: &[u8] = b"HTTP/1.";
/// Bytes of an answer before its status: the version and one blank.
const VERSION: usize = b"HTTP/1.1 ".len();

/// A connection whose answer is looked at as it comes.
pub(super) struct Spied {
    stream: Stream,
    seen: Arc<Seen>,
    /// Whether an answer must be one of HTTP/1.
    first_version: bool,
    asked: bool,
    /// Bytes of the answer that were handed on, as far as its status.
    handed: usize,
    /// Who wants to read before anything was asked.
    early: Option<Waker>,
}

/// How an answer begins.
#[derive(Default)]
pub(super) struct Seen(Mutex<([u8; MAGIC.len()], usize)>);

impl Seen {
    /// The first bytes, at most as many as tell the protocol.
    pub(super) fn head(&self) -> Vec<u8> {
        let (head, count) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        head.into_iter().take(count).collect()
    }

    /// Whether anything came.
    pub(super) fn anything(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 > 0
    }

    /// Notes what came; says whether it may still be HTTP/1.
    fn note(&self, bytes: &[u8]) -> bool {
        let (head, count) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (slot, byte) in head.iter_mut().skip(*count).zip(bytes) {
            *slot = *byte;
            *count += 1;
        }
        head.iter().zip(MAGIC).take(*count).all(|(have, want)| have == want)
    }

    /// The fault of an answer of another protocol, if it is one. Its text stays out of the reason, it may echo what we sent.
    pub(super) fn foreign(&self, first_version: bool) -> Option<Fault> {
        let head = self.head();
        let http1 = head.iter().zip(MAGIC).all(|(have, want)| have == want);
        if head.is_empty() || (http1 && first_version) {
            return None;
        }
        let what = match head.as_slice() {
            [b'S', b'S', b'H', b'-', ..] => "the answer is not HTTP but SSH",
            [b'2', b'2', b'0', b' ' | b'-', ..] => "the answer is not HTTP but SMTP or FTP",
            [0x15, 0x03, ..] => "the answer is not HTTP but TLS; write https:// for this port",
            _ if http1 => "the answer is HTTP/1, and HTTP2=on wants HTTP/2",
            _ if !first_version => return None,
            // The settings that a server of HTTP/2 begins with: a length, type 4, and stream 0.
            [b'H', b'T', b'T', b'P', b'/', ..] | [0, _, _, 4, _, 0, 0] => {
                "the answer is not HTTP/1.1; this port speaks another version"
            }
            _ => "the answer is not HTTP",
        };
        Some(Fault::new(Cause::Protocol, what))
    }
}

impl Spied {
    /// Takes a connection, and whether HTTP/1 is spoken over it.
    pub(super) fn new(stream: Stream, first_version: bool) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (Self { stream, seen: Arc::clone(&seen), first_version, asked: false, handed: 0, early: None }, seen)
    }
}

impl Spied {
    /// Notes what lies there when nothing more can be sent: a server of another protocol says its name and closes.
    fn hear_last(&mut self, cx: &mut Context<'_>) {
        let mut bytes = [0; MAGIC.len()];
        let mut buf = ReadBuf::new(&mut bytes);
        if let Poll::Ready(Ok(())) = Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
            self.seen.note(buf.filled());
        }
    }
}

impl AsyncRead for Spied {
    /// Nothing is read before something was asked: some servers answer whoever connects, and that counts as an answer.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let spied = self.get_mut();
        if !spied.asked {
            spied.early = Some(cx.waker().clone());
            return Poll::Pending;
        }
        loop {
            let before = buf.filled().len();
            match ready!(Pin::new(&mut spied.stream).poll_read(cx, buf)) {
                // A peer that skips the end of TLS has closed all the same.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
                other => other?,
            }
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            let came = fresh.len();
            let may_be = spied.seen.note(fresh);
            if !spied.first_version {
                return Poll::Ready(Ok(()));
            }
            if !may_be {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            let kept = squeeze(&mut spied.handed, fresh);
            buf.set_filled(before + kept);
            // Nothing at all would mean the end.
            if kept > 0 || came == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Leaves one blank before the status, as browsers do and hyper does not; gives how many of the bytes are left.
fn squeeze(handed: &mut usize, fresh: &mut [u8]) -> usize {
    let mut kept = fresh.len();
    if *handed <= VERSION {
        let from = VERSION - *handed;
        let blanks = fresh.iter().skip(from).take_while(|byte| **byte == b' ').count();
        if blanks > 0 {
            fresh.copy_within(from + blanks.., from);
            kept -= blanks;
        }
        *handed += kept;
    }
    kept
}

impl AsyncWrite for Spied {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let spied = self.get_mut();
        let written = ready!(Pin::new(&mut spied.stream).poll_write(cx, buf));
        spied.asked = true;
        if let Some(early) = spied.early.take() {
            early.wake();
        }
        if written.is_err() {
            spied.hear_last(cx);
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_protocol_is_named_by_its_first_bytes_however_they_are_cut() {
        for (bytes, first, told) in [
            (&b"HTTP/1.1 200 OK"[..], true, None),
            (b"HT", true, None),
            (b"", true, None),
            (b"SSH-2.0-x", true, Some("the answer is not HTTP but SSH")),
            (b"220 mail", true, Some("the answer is not HTTP but SMTP or FTP")),
            (b"\x15\x03\x01", true, Some("the answer is not HTTP but TLS; write https:// for this port")),
            (b"HTTP/2 200", true, Some("the answer is not HTTP/1.1; this port speaks another version")),
            (b"\0\0\x12\x04\0\0\0\0", true, Some("the answer is not HTTP/1.1; this port speaks another version")),
            (b"garbage", true, Some("the answer is not HTTP")),
            (b"\0\0\x12\x04\0\0\0\0", false, None),
            (b"HTTP/1.1 400", false, Some("the answer is HTTP/1, and HTTP2=on wants HTTP/2")),
            (b"SSH-2.0-x", false, Some("the answer is not HTTP but SSH")),
        ] {
            let (whole, cut) = (Seen::default(), Seen::default());
            whole.note(bytes);
            for byte in bytes {
                cut.note(&[*byte]);
            }
            for seen in [whole, cut] {
                assert_eq!(seen.foreign(first).map(|fault| fault.reason).as_deref(), told, "{bytes:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn blanks_before_a_status_become_one_however_they_are_cut(blanks in 1_usize..9, cut in 1_usize..9) {
            let answer = format!("HTTP/1.1{}200  OK", " ".repeat(blanks));
            let (mut handed, mut whole) = (0, Vec::new());
            for piece in answer.as_bytes().chunks(cut) {
                let mut piece = piece.to_vec();
                let kept = squeeze(&mut handed, &mut piece);
                whole.extend_from_slice(&piece[..kept]);
            }
            prop_assert_eq!(whole, b"HTTP/1.1 200  OK");
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..20), first: bool) {
            let seen = Seen::default();
            let may_be = seen.note(&bytes);
            prop_assert!(!(first && may_be && seen.foreign(first).is_some()));
        }
    }
}
