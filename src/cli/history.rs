//! What `incidents` and `actions` share: which rows are wanted, and the question to the agent.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::store::history::MOST;

use super::client::{Client, asked};

use super::{complain, say};

/// Which rows are wanted.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// Of this pair only, such as DC3-SRV4
    #[arg(long, value_parser = super::pair)]
    pair: Option<PairName>,
    /// Not older than a time ago (7d, 12h), a day (2026-01-31) or a moment (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only what has not ended
    #[arg(long)]
    open: bool,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: u32,
    /// Print the agent's answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// Asks the running agent; with `--json` the answer is printed. `None`: it was told why there is none.
pub fn rows<T: Serialize + DeserializeOwned>(source: &Source, what: &str, wanted: &Wanted) -> Option<Vec<T>> {
    let mut path = format!("/api/{what}?limit={}&open={}", wanted.limit, wanted.open);
    if let Some(pair) = &wanted.pair {
        let _ = write!(path, "&pair={pair}");
    }
    if let Some(since) = &wanted.since {
        let _ = write!(path, "&since={}", utf8_percent_encode(since, NON_ALPHANUMERIC));
    }
    let rows: Vec<T> = match asked(Client::find(source).get(&path)) {
        Ok(rows) => rows,
        Err(error) => {
            complain(&error.to_string());
            return None;
        }
    };
    if let Some(pair) = wanted.pair.as_ref().filter(|pair| rows.is_empty() && is_unknown(source, pair)) {
        complain(&format!("there is no pair `{pair}`, and nothing is recorded of one; `monitor status` lists them"));
        return None;
    }
    if wanted.json {
        say(&serde_json::to_string_pretty(&rows).unwrap_or_default());
    }
    Some(rows)
}

/// True when the agent says that it watches no such pair.
fn is_unknown(source: &Source, pair: &PairName) -> bool {
    let Ok(status) = asked(Client::find(source).get::<Value>("/api/status")) else { return false };
    let name = pair.to_string();
    let pairs = status.get("pairs").and_then(Value::as_array);
    pairs.is_some_and(|pairs| !pairs.iter().any(|row| row.get("pair").and_then(Value::as_str) == Some(&name)))
}
