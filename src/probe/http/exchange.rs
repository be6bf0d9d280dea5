//! One request and its answer over an open connection, by hyper. Redirects and judging live in `mod` and `wants`.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use http::response::Parts;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;

use super::drive::{Crew, Engine};
use super::keys::Http2;
use super::spied::{Seen, Spied};
use super::wants::{Extent, MOST};
use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::{Stage, Stream, Trace, broken};

/// Bytes of the headers of one answer; servers stop at 8–32 KiB in requests, python's client at 64 KiB a line.
const HEAD: usize = 64 * 1024;
/// The same for HTTP/2.
const HEAD_LIST: u32 = 64 * 1024;
/// Header lines of one answer.
const LINES: usize = 128;

/// An answer whose headers are here and whose body may follow.
pub(super) struct Open {
    pub(super) head: Parts,
    body: Incoming,
    engine: Engine,
    seen: Arc<Seen>,
    version: Version,
    /// Without it hyper takes the connection for given up.
    _sender: Sender,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Which version is spoken over a connection.
pub(super) fn version(stream: &Stream, wanted: Http2) -> Result<Version, Fault> {
    match (wanted, stream, stream.protocol()) {
        (_, Stream::Secure(_), Some(b"h2")) | (Http2::On, Stream::Plain(_), _) => Ok(Version::HTTP_2),
        (Http2::On, Stream::Secure(_), _) => {
            Err(Fault::new(Cause::Protocol, "the server did not agree on HTTP/2, and HTTP2=on wants it"))
        }
        (Http2::Off | Http2::Auto, ..) => Ok(Version::HTTP_11),
    }
}

/// Sends a request and reads the head of its answer.
pub(super) async fn send(stream: Stream, request: Request<Full<Bytes>>, trace: &mut Trace) -> Result<Open, Fault> {
    let version = request.version();
    let first = version != Version::HTTP_2;
    trace.enter(Stage::FirstByte);
    let (spied, seen) = Spied::new(stream, first);
    let io = TokioIo::new(spied);
    let failed = |error: &hyper::Error| fault(error, &seen, version, waiting(&seen));
    let (mut sender, mut engine) = if first {
        let (sender, connection) = first_version().handshake(io).await.map_err(|error| failed(&error))?;
        // What ends a connection early is told to whoever waits for its answer.
        (Sender::One(sender), Engine::new(async move { _ = connection.await }))
    } else {
        let (crew, hands) = Crew::new();
        let mut builder = http2::Builder::new(hands);
        builder.max_header_list_size(HEAD_LIST);
        let (sender, connection) = builder.handshake(io).await.map_err(|error| failed(&error))?;
        (Sender::Two(sender), Engine::new(async move { _ = futures_util::future::join(connection, crew).await }))
    };
    let mut begun = false;
    // With HTTP/2 the first bytes are the server's settings, which say nothing of the answer.
    let mut note = || {
        if first && !begun && seen.anything() {
            begun = true;
            trace.enter(Stage::Rest);
        }
    };
    let answered = match &mut sender {
        Sender::One(sender) => engine.with(sender.send_request(request), &mut note).await,
        Sender::Two(sender) => engine.with(sender.send_request(request), &mut note).await,
    };
    let (head, body) = answered.map_err(|error| failed(&error))?.into_parts();
    trace.enter(Stage::Rest);
    Ok(Open { head, body, engine, seen, version, _sender: sender })
}

fn first_version() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // As lenient as browsers are with old and small servers; some of those know no header in small letters.
    builder
        .title_case_headers(true)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .max_headers(LINES)
        .max_header_size(HEAD)
        .max_buf_size(HEAD);
    builder
}

impl Open {
    /// Reads the body until `judge` has seen enough of it; it is asked again whenever the body has grown by an eighth, and
    /// must have an answer for [`Extent::Whole`] and [`Extent::Cut`]. Gives what was read of a good one.
    pub(super) async fn read(
        &mut self,
        judge: impl Fn(&[u8], Extent) -> Option<Result<(), Fault>>,
    ) -> Result<Vec<u8>, Fault> {
        /// Bytes up to which every piece is judged at once: a page of health that never ends is short.
        const SHORT: usize = 4096;
        let (mut body, mut judged) = (Vec::new(), 0);
        loop {
            let frame = self.engine.with(self.body.frame(), || ()).await;
            let extent = match frame {
                None => Extent::Whole,
                Some(Err(error)) => return Err(fault(&error, &self.seen, self.version, "reading the body")),
                Some(Ok(frame)) => {
                    let Some(piece) = frame.data_ref() else { continue };
                    let room = MOST - body.len();
                    body.extend_from_slice(piece.get(..room).unwrap_or(piece));
                    if piece.len() > room { Extent::Cut } else { Extent::Begun }
                }
            };
            if extent == Extent::Begun && body.len() > SHORT && body.len() < judged + judged / 8 {
                continue;
            }
            judged = body.len();
            match judge(&body, extent) {
                Some(judged) => return judged.map(|()| body),
                None if extent == Extent::Begun => {}
                None => return Ok(body),
            }
        }
    }
}

fn waiting(seen: &Seen) -> &'static str {
    if seen.anything() { "reading the headers" } else { "waiting for the first byte" }
}

/// What hyper says → whose fault it is.
fn fault(error: &hyper::Error, seen: &Seen, version: Version, doing: &str) -> Fault {
    if let Some(fault) = seen.foreign(version != Version::HTTP_2) {
        return fault;
    }
    if error.is_parse_too_large() {
        let what = format!("the headers of the answer exceed {} KiB or {LINES} lines", HEAD / 1024);
        return Fault::new(Cause::Protocol, what);
    }
    if error.is_parse() {
        return Fault::new(Cause::Protocol, format!("the answer is not valid HTTP: {error}"));
    }
    let source = error.source();
    if let Some(error) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        let told = broken(doing, error);
        let ours = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
        return if ours && told.cause != Cause::Tls {
            Fault::new(Cause::Protocol, format!("the answer is not valid HTTP, found while {doing}"))
        } else {
            told
        };
    }
    if let Some(error) = source.and_then(|source| source.downcast_ref::<h2::Error>()) {
        // The reason has a name; the text that a server may add to it stays out.
        let reason = error.reason().map_or_else(|| "a broken frame".to_owned(), |reason| format!("{reason:?}"));
        let who = if error.is_remote() { "the server ended HTTP/2" } else { "the server broke the rules of HTTP/2" };
        return Fault::new(Cause::Protocol, format!("{who} while {doing}: {reason}"));
    }
    Fault::new(Cause::Reset, format!("connection closed while {doing}"))
}
