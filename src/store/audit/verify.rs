//! Proves that an audit file is the one that was written.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::AuditError;
use super::line::{self, Head, MAX_LINE};

/// What a verification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// No record was changed, removed, reordered or inserted.
    Verified(Verified),
    /// One was; the first place where it shows.
    Broken(Broken),
}

/// A sound chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of records.
    pub records: u64,
    /// First number, 1; 0 when there is none.
    pub first: u64,
    /// Last number.
    pub last: u64,
    /// Hash of the last record, 64 zeros when there is none.
    pub head_hash: String,
}

/// A broken chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; expected {expected}, found {found}")]
pub struct Broken {
    /// Line of the file, from 1.
    pub line: u64,
    /// What is wrong, a sentence.
    pub what: &'static str,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Reads the whole file. `head`, kept elsewhere, must be one of its records: without it, records cut off at the end are not
/// seen. The file may have more records than the head knows of.
///
/// # Errors
/// Only when the file cannot be read.
pub fn verify(path: &Path, head: Option<&Head>) -> Result<Verification, AuditError> {
    let failed = |source| AuditError::Open { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut last = Head::genesis();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut bytes).map_err(failed)?;
        if read == 0 {
            break;
        }
        match next(&last, &bytes, head) {
            Ok(head) => last = head,
            Err(broken) => return Ok(Verification::Broken(broken)),
        }
    }
    if let Some(head) = head.filter(|head| head.seq > last.seq) {
        let (expected, found) = (format!("records up to {}", head.seq), format!("records up to {}", last.seq));
        let what = "records are missing at the end";
        return Ok(Verification::Broken(Broken { line: last.seq + 1, what, expected, found }));
    }
    let first = u64::from(last.seq > 0);
    Ok(Verification::Verified(Verified { records: last.seq, first, last: last.seq, head_hash: last.hash }))
}

fn next(last: &Head, bytes: &[u8], kept: Option<&Head>) -> Result<Head, Broken> {
    let number = last.seq + 1;
    let broken = |what, expected: &dyn ToString, found: &dyn ToString| Broken {
        line: number,
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    };
    let whole = bytes.strip_suffix(b"\n");
    let whole = whole
        .ok_or_else(|| broken("the line does not end", &"a line end", &format!("{} bytes without one", bytes.len())))?;
    let line = line::read(whole).map_err(|what| broken("the line is no record", &"a record", &what))?;
    if line.actual != line.hash {
        return Err(broken("the record was changed", &line.hash, &line.actual));
    }
    if line.seq != number {
        return Err(broken(
            "a record was removed, inserted or moved",
            &format!("seq {number}"),
            &format!("seq {}", line.seq),
        ));
    }
    if line.prev != last.hash {
        return Err(broken("the record does not follow the one before it", &last.hash, &line.prev));
    }
    match kept {
        Some(kept) if kept.seq == number && kept.hash != line.hash => {
            Err(broken("the record is not the one whose hash was kept elsewhere", &kept.hash, &line.hash))
        }
        _ => Ok(Head { seq: number, hash: line.hash.to_owned() }),
    }
}
