//! A roll as text, to be kept in a file: one target on a line, so that a line of the file is a place that can be named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::name::PairName;

use super::{Entry, Member, Roll};

/// Bytes that a file may have; a roll of the most targets with short labels needs a third of it.
pub const LARGEST: u64 = 64 * 1024 * 1024;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    from: String,
    read: Option<Timestamp>,
    targets: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    pair: PairName,
    seen: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing_s: Option<f64>,
    keys: BTreeMap<String, String>,
}

/// Writes a roll.
pub fn write(roll: &Roll) -> String {
    let head = Head { version: VERSION, from: roll.from.clone(), read: roll.read, targets: Vec::new() };
    // Neither can fail: every key is a text.
    let head = serde_json::to_string(&head).unwrap_or_default();
    let mut text = format!("{}[", head.strip_suffix("[]}").unwrap_or(&head));
    for (at, member) in roll.members.iter().enumerate() {
        let keys = member.entry.keys.iter().map(|(key, text)| ((*key).to_owned(), text.clone())).collect();
        let missing_s = member.missing.map(|missing| missing.as_secs_f64());
        let row = Row { pair: member.entry.pair.clone(), seen: member.seen, missing_s, keys };
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\n{}", serde_json::to_string(&row).unwrap_or_default());
    }
    text.push_str("\n]}\n");
    text
}

/// Reads one, and counts what was dropped because no list could have brought it.
pub fn read(bytes: &[u8]) -> Result<(Roll, usize), String> {
    let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if head.version != VERSION {
        return Err(format!("it is of version {}, and this program knows {VERSION}", head.version));
    }
    let of = head.targets.len();
    let member = |row: Row| {
        let entry = Entry::again(row.pair, row.keys).ok()?;
        let missing = match row.missing_s {
            Some(seconds) => Some(Duration::try_from_secs_f64(seconds).ok()?),
            None => None,
        };
        Some(Member { entry, seen: row.seen, missing })
    };
    let members: Vec<Member> = head.targets.into_iter().filter_map(member).collect();
    let dropped = of.saturating_sub(members.len());
    Ok((Roll { members, read: head.read, from: head.from }, dropped))
}

#[cfg(test)]
mod tests;
