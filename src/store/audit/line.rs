//! One line of the audit file, byte for byte: how it is written and how it is taken apart.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Kind;

/// Bytes of one line, at most; a command's record stays below 100 KiB.
pub const MAX_LINE: usize = 1024 * 1024;

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Number of the last record, from 1; 0 before the first.
    pub seq: u64,
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
}

impl Head {
    /// What the first record is bound to.
    pub fn genesis() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    /// Reads what `Display` writes, `SEQ:HASH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
        match parts {
            Some((seq, hash)) if is_hash(hash) => Ok(Self { seq, hash: hash.to_owned() }),
            _ => Err("a head is written `SEQ:HASH`, with 64 hexadecimal digits".to_owned()),
        }
    }
}

/// A line taken apart; nothing is checked but its shape.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    pub(super) prev: &'a str,
    pub(super) hash: &'a str,
    /// The hash that its bytes really have.
    pub(super) actual: String,
}

/// Writes the record after `head`, with its line end, and gives the new head.
pub(super) fn write(head: &Head, kind: Kind, record: &impl Serialize) -> Result<(String, Head), String> {
    #[derive(Serialize)]
    struct Body<'a, R> {
        seq: u64,
        prev: &'a str,
        kind: Kind,
        record: &'a R,
    }
    let seq = head.seq + 1;
    let mut text =
        serde_json::to_string(&Body { seq, prev: &head.hash, kind, record }).map_err(|error| error.to_string())?;
    let hash = sha256(&[text.as_bytes()]);
    text.pop();
    let _ = writeln!(text, ",\"hash\":\"{hash}\"}}");
    if text.len() > MAX_LINE {
        return Err(format!("it has {} bytes, a line may have {MAX_LINE}", text.len()));
    }
    Ok((text, Head { seq, hash }))
}

/// Takes a line without its end apart; says what is wrong when it has not exactly the shape that [`write`] gives.
pub(super) fn read(line: &[u8]) -> Result<Line<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let shape = || "it has not the shape of a record".to_owned();
    let (body, end) = text.rsplit_once(",\"hash\":\"").ok_or_else(shape)?;
    let hash = end.strip_suffix("\"}").ok_or_else(shape)?;
    let (number, rest) =
        body.strip_prefix("{\"seq\":").and_then(|rest| rest.split_once(",\"prev\":\"")).ok_or_else(shape)?;
    let (prev, _) = rest.split_once("\",\"kind\":\"").ok_or_else(shape)?;
    let seq: u64 = number.parse().map_err(|_| shape())?;
    if !is_hash(hash) || !is_hash(prev) || seq.to_string() != number {
        return Err(shape());
    }
    Ok(Line { seq, prev, hash, actual: sha256(&[body.as_bytes(), b"}"]) })
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn sha256(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
