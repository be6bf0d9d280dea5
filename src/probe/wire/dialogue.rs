//! What is said over an open connection: the values of `SEND` and `EXPECT`, and one question with its answer.
//!
//! Protocols with a form of their own (HTTP, WebSocket, DNS) live with their kinds.

use std::fmt;
use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::expression::Expression;
use super::settings::{EXPECT, SEND, Settings};
use super::{Stage, Stream, Trace, broken};
use crate::domain::reading::{Cause, Fault};
use crate::env::KeyInfo;
use crate::host::output::one_line;

/// Bytes of an answer in which the expected is looked for: a greeting or a status is a few lines.
pub(crate) const ANSWER: usize = 64 * 1024;
/// Share of the time after which an answer that came and does not fit is judged: later only "no answer" could be said.
const PATIENCE: f32 = 0.95;

/// Bytes that are sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent(Box<[u8]>);

impl Sent {
    /// Reads a text with escapes.
    pub fn parse(text: &str) -> Result<Self, String> {
        bytes(text).map(Self)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What an answer must hold.
#[derive(Clone)]
pub struct Expected(Form);

#[derive(Clone)]
enum Form {
    Text(Box<[u8]>),
    Pattern(Expression),
}

impl Expected {
    /// Reads a text with escapes, or an expression between slashes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pattern = text.trim().strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else {
            return bytes(text).map(|text| Self(Form::Text(text)));
        };
        Expression::parse(pattern).map(|pattern| Self(Form::Pattern(pattern)))
    }

    /// Says whether the answer holds it.
    pub fn is_in(&self, answer: &[u8]) -> bool {
        self.is_in_grown(answer, 0)
    }

    /// Says whether the answer holds it, of which so many bytes did not: a text is not looked for in them again.
    fn is_in_grown(&self, answer: &[u8], searched: usize) -> bool {
        match &self.0 {
            Form::Text(text) => {
                let from = searched.saturating_sub(text.len().saturating_sub(1));
                answer.get(from..).is_some_and(|answer| holds(answer, text))
            }
            Form::Pattern(pattern) => pattern.is_in(answer),
        }
    }

    /// The text, where it is one and not an expression.
    pub fn text(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Text(text) => Some(text),
            Form::Pattern(_) => None,
        }
    }
}

impl fmt::Display for Expected {
    /// Shows it in one line, as it stands in a reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Text(text) => write!(f, "`{}`", one_line(text, 40)),
            Form::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

fn holds(answer: &[u8], text: &[u8]) -> bool {
    text.is_empty() || answer.windows(text.len()).any(|window| window == text)
}

/// Reads a text with the escapes `\r \n \t \\ \xHH`; any other backslash is a mistake, so that none is sent as it stands.
fn bytes(text: &str) -> Result<Box<[u8]>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let hex = || u8::from_str_radix(behind.get(1..3).filter(|two| !two.starts_with('+'))?, 16).ok();
        let (byte, length) = match behind.bytes().next() {
            Some(b'r') => (Some(b'\r'), 1),
            Some(b'n') => (Some(b'\n'), 1),
            Some(b't') => (Some(b'\t'), 1),
            Some(b'\\') => (Some(b'\\'), 1),
            Some(b'x') => (hex(), 3),
            _ => (None, 0),
        };
        out.push(byte.ok_or(r"expected one of \r, \n, \t, \\ and \xHH (two hexadecimal digits) after a backslash")?);
        rest = behind.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    if out.is_empty() { Err("expected a text that is not empty".to_owned()) } else { Ok(out.into()) }
}

/// What is sent over a new connection, and what must come back. One of the two is set.
pub struct Dialogue {
    /// What is sent.
    pub send: Option<Sent>,
    /// What must come back; without it any answer will do.
    pub expect: Option<Expected>,
}

impl Dialogue {
    /// The settings that this reads.
    pub const KEYS: [KeyInfo; 2] = [SEND.info(), EXPECT.info()];

    /// Reads what [`Dialogue::KEYS`] say. `None`: a problem was remembered; `Some(None)`: nothing is said.
    pub fn read(settings: &Settings<'_>) -> Option<Option<Box<Self>>> {
        let (send, expect) = (settings.optional(&SEND), settings.optional(&EXPECT));
        let (send, expect) = (send?, expect?);
        Some((send.is_some() || expect.is_some()).then(|| Box::new(Self { send, expect })))
    }

    /// Sends, and reads until what came is what is wanted.
    pub async fn hold(&self, stream: &mut Stream, trace: &mut Trace) -> Result<(), Fault> {
        trace.enter(Stage::FirstByte);
        if let Some(send) = &self.send {
            let sending = async {
                stream.write_all(send.bytes()).await?;
                stream.flush().await
            };
            sending.await.map_err(|error| broken("sending", &error))?;
        }
        let deadline = Instant::now() + trace.left().mul_f32(PATIENCE);
        let mut answer = Vec::with_capacity(1024);
        loop {
            let searched = answer.len();
            let waiting = if searched == 0 { "waiting for the first byte" } else { "reading the answer" };
            let reading = stream.read_buf(&mut answer);
            let read = if searched == 0 {
                // The attempt's own limit is around us, and says what was waited for.
                reading.await
            } else {
                match timeout_at(deadline, reading).await {
                    Ok(read) => read,
                    Err(_elapsed) => return Err(self.other(&answer, "")),
                }
            };
            let count = match read {
                Ok(count) => count,
                // A peer that skips the end of TLS has closed all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(broken(waiting, &error)),
            };
            if count == 0 && searched == 0 {
                return Err(Fault::new(Cause::Reset, format!("connection closed while {waiting}")));
            }
            if count == 0 {
                return Err(self.other(&answer, ", and the connection was closed"));
            }
            if searched == 0 {
                trace.enter(Stage::Rest);
            }
            if self.expect.as_ref().is_none_or(|expected| expected.is_in_grown(&answer, searched)) {
                trace.finish();
                return Ok(());
            }
            if answer.len() >= ANSWER {
                return Err(self.other(&answer, &format!(", nor do {} KiB of it", ANSWER / 1024)));
            }
        }
    }

    /// The fault of an answer that is another one than wanted.
    fn other(&self, answer: &[u8], more: &str) -> Fault {
        let wanted = self.expect.as_ref().map(ToString::to_string).unwrap_or_default();
        let shown = one_line(answer, 60);
        Fault::new(Cause::Content, format!("the answer does not hold {wanted}{more}: it begins `{shown}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_stand_for_bytes_and_a_stray_backslash_is_told() {
        for (text, sent) in [
            ("PING\\r\\n", &b"PING\r\n"[..]),
            (" a\\tb ", b" a\tb "),
            ("\\x00\\xfF\\\\x41", b"\x00\xff\\x41"),
            ("é", "é".as_bytes()),
            ("\r\n", b"\r\n"),
        ] {
            assert_eq!(Sent::parse(text).map(|sent| sent.0), Ok(sent.into()), "{text}");
        }
        for text in ["\\q", "a\\", "\\x4", "\\xzz", "\\x+1", "\\é", "\\x4é"] {
            assert!(Sent::parse(text).is_err_and(|why| why.contains("after a backslash")), "{text}");
        }
        assert!(Sent::parse("").is_err());
    }

    #[test]
    fn the_expected_is_a_text_or_an_expression() {
        for (expected, answer, found) in [
            ("220 ", &b"220 mail.example.org"[..], true),
            ("220 ", b"554 no", false),
            ("a\\x00b", b"..a\0b..", true),
            ("/^220[ -]/", b"220-hello", true),
            ("/^220[ -]/", b"250 220 ", false),
            ("/(?i)ready/", b"READY", true),
            ("/\\x00$/", b"a\0", true),
            ("/", b"a/b", true),
            ("//", b"a//b", true),
            ("/a", b"x/a", true),
            ("привет", "привет".as_bytes(), true),
        ] {
            assert_eq!(Expected::parse(expected).unwrap().is_in(answer), found, "{expected}");
        }
    }

    proptest! {
        #[test]
        fn no_value_of_a_key_and_no_answer_panics(text in "[ -~а-я\\\\/]{0,40}", answer in any::<Vec<u8>>()) {
            if let Ok(sent) = Sent::parse(&text) {
                prop_assert!(!sent.bytes().is_empty());
            }
            if let Ok(expected) = Expected::parse(&text) {
                let _ = expected.is_in(&answer);
                prop_assert!(!expected.to_string().contains('\n'));
            }
        }

        #[test]
        fn every_byte_can_be_sent(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
            let text = bytes.iter().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"));
            let sent = Sent::parse(&text).unwrap();
            prop_assert_eq!(sent.bytes(), &bytes[..]);
        }
    }
}
