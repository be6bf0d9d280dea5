//! The head of an answer. The body is not read: nothing asks for it, and a slow one must not hold us.

use std::io;

use tokio::io::AsyncReadExt;

use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::{Stage, Stream, Trace, broken};

/// Bytes of all heads of one answer; servers stop at 8–32 KiB in requests, python's client at 64 KiB a line.
const HEAD: usize = 64 * 1024;
/// Header lines of one head.
const LINES: usize = 128;
/// How every answer begins.
const MAGIC: &[u8] = b"HTTP/1.";

/// What the head of the final answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The address of a redirect that is to be followed.
    pub(super) redirect: Option<String>,
    /// `name=value` of each `Set-Cookie`; read for redirects only.
    pub(super) cookies: Vec<String>,
}

/// Reads up to the end of the final head; `buffer` is empty and lends its room.
pub(super) async fn read(stream: &mut Stream, mut buffer: Vec<u8>, trace: &mut Trace) -> Result<Answer, Fault> {
    let (mut total, mut searched) = (0, 0);
    loop {
        if let Some(end) = end_of_head(&buffer, searched) {
            if let Some(answer) = parse(buffer.get(..end).unwrap_or_default())? {
                return Ok(answer);
            }
            // An interim answer (100, 103): the real one follows.
            buffer.drain(..end);
            searched = 0;
            continue;
        }
        searched = buffer.len();
        if total >= HEAD {
            return Err(Fault::new(Cause::Protocol, format!("the headers of the answer exceed {} KiB", HEAD / 1024)));
        }
        let count = match stream.read_buf(&mut buffer).await {
            Ok(count) => count,
            // A peer that skips the end of TLS has closed all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(broken(waiting(&buffer), &error)),
        };
        if count == 0 {
            return Err(Fault::new(Cause::Reset, format!("connection closed while {}", waiting(&buffer))));
        }
        if total == 0 {
            trace.enter(Stage::Rest);
        }
        total += count;
        if !buffer.iter().zip(MAGIC).all(|(have, want)| have == want) {
            return Err(foreign(&buffer));
        }
    }
}

fn waiting(buffer: &[u8]) -> &'static str {
    if buffer.is_empty() { "waiting for the first byte" } else { "reading the headers" }
}

/// The offset behind the empty line, looked for from `searched` on (less the length of what may be cut in two).
fn end_of_head(buffer: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let tail = buffer.get(from..)?;
    // Bare line feeds end lines too, as every client takes them.
    let at =
        |pattern: &[u8]| tail.windows(pattern.len()).position(|w| w == pattern).map(|at| from + at + pattern.len());
    match (at(b"\r\n\r\n"), at(b"\n\n")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// `None` for an interim answer.
fn parse(head: &[u8]) -> Result<Option<Answer>, Fault> {
    let garbled = |why: &str| Fault::new(Cause::Protocol, format!("the answer is not valid HTTP: {why}"));
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut response = httparse::Response::new(&mut lines);
    let mut config = httparse::ParserConfig::default();
    config.ignore_invalid_headers_in_responses(true).allow_multiple_spaces_in_response_status_delimiters(true);
    let complete = match config.parse_response(&mut response, head) {
        Ok(complete) => complete.is_complete(),
        Err(httparse::Error::TooManyHeaders) => return Err(garbled(&format!("more than {LINES} header lines"))),
        Err(error) => return Err(garbled(&error.to_string())),
    };
    let Some(status) = response.code.filter(|_| complete) else { return Err(garbled("it ends in the middle")) };
    if matches!(status, 100 | 102..=199) {
        return Ok(None);
    }
    let value = |header: &httparse::Header<'_>| String::from_utf8_lossy(header.value).trim().to_owned();
    let redirect = matches!(status, 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("location")).map(value))
        .flatten();
    let mut cookies = Vec::new();
    if redirect.is_some() {
        let set = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("set-cookie"));
        cookies.extend(set.map(|header| value(header).split(';').next().unwrap_or_default().trim().to_owned()));
    }
    Ok(Some(Answer { status, redirect, cookies }))
}

/// An answer of another protocol. Its text stays out of the reason, it may echo what we sent.
fn foreign(buffer: &[u8]) -> Fault {
    let what = match buffer {
        [b'S', b'S', b'H', b'-', ..] => "the answer is not HTTP but SSH",
        [b'2', b'2', b'0', b' ' | b'-', ..] => "the answer is not HTTP but SMTP or FTP",
        [b'H', b'T', b'T', b'P', b'/', ..] => "the answer is not HTTP/1.1; this port speaks another version",
        [0x15, 0x03, ..] => "the answer is not HTTP but TLS; write https:// for this port",
        _ => "the answer is not HTTP",
    };
    Fault::new(Cause::Protocol, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        for cut in 0..head.len() {
            let first = end_of_head(&head[..cut], 0);
            let found = first.or_else(|| end_of_head(head, cut));
            assert_eq!(found, Some(25), "cut at {cut}");
        }
        assert_eq!(end_of_head(b"HTTP/1.0 200 OK\nA: b\n\nx\r\n\r\n", 0), Some(22));
    }

    #[test]
    fn a_redirect_without_an_address_is_an_answer() {
        let answer = parse(b"HTTP/1.1 304 Not Modified\r\n\r\n").unwrap().unwrap();
        assert_eq!(answer, Answer { status: 304, redirect: None, cookies: vec![] });
        assert_eq!(parse(b"HTTP/1.1 301 Moved\r\n\r\n").unwrap().unwrap().redirect, None);
        assert_eq!(parse(b"HTTP/1.1 103 Early Hints\r\n\r\n").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser(head in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&head);
            let _ = foreign(&head);
        }

        #[test]
        fn no_headers_break_the_parser(rest in "[ -~\r\n]{0,300}") {
            let _ = parse(format!("HTTP/1.1 302 x\r\n{rest}\r\n\r\n").as_bytes());
        }
    }
}
