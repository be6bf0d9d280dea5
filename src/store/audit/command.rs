//! The record of one command, as it stands in the log line `COMMAND_EXECUTED` and in the audit.

use std::io::{self, Write};

use jiff::{Zoned, tz::TimeZone};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::domain::name::PairName;
use crate::domain::remedy::{IncidentId, RunId, RunStatus};

/// One command. The order of the keys is a promise: `docs/reference/` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommandRecord {
    /// When, written in UTC without a zone: `2023-10-15T09:31:15.123456`.
    #[serde(serialize_with = "utc")]
    pub timestamp: Zoned,
    /// Whose.
    pub pair: PairName,
    /// The host it ran on.
    pub dc_host: String,
    /// The command's text, secrets masked.
    pub command: String,
    /// Standard output, then standard error: head and tail, printable, secrets masked.
    pub output: String,
    /// How it ended.
    pub status: RunStatus,
    /// When, with the offset of the local zone: the same moment as `timestamp`.
    #[serde(serialize_with = "with_offset")]
    pub time: Zoned,
    /// The run.
    pub run_id: RunId,
    /// The incident it served.
    pub incident_id: Option<IncidentId>,
    /// k of the incident, from 1.
    pub attempt: u32,
    /// Rung of the ladder, from 1.
    pub rung: u32,
    /// The exit code, where there was one.
    pub exit_code: Option<i32>,
    /// The signal's name, where one ended it.
    pub signal: Option<String>,
    /// Wall time from the order to the end.
    pub duration_ms: u64,
    /// Bytes of all its output.
    pub output_bytes: u64,
    /// SHA-256 of all its output, hexadecimal.
    pub output_sha256: String,
    /// True when `output` is not all of it.
    pub truncated: bool,
    /// What went wrong, for people; empty when nothing did.
    pub error: String,
}

impl CommandRecord {
    /// True when it tells of a command that was not permitted.
    pub fn is_refusal(&self) -> bool {
        self.status == RunStatus::Skipped
    }

    /// Writes it as one line of JSON, with the blanks that the seed's samples have.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        let mut line = Vec::with_capacity(512);
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Spaced))?;
        String::from_utf8(line).map_err(serde::ser::Error::custom)
    }
}

/// A blank after each comma and colon, as Python's `json.dumps` writes them: whoever reads the seed's lines reads ours.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

fn utc<S: Serializer>(at: &Zoned, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.with_time_zone(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}

fn with_offset<S: Serializer>(at: &Zoned, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_line_has_the_promised_keys_in_the_promised_order() {
        let at: Zoned = "2023-10-15T12:31:15.123456+03:00[Europe/Moscow]".parse().unwrap();
        let record = CommandRecord {
            timestamp: at.clone(),
            pair: "DC3-SRV4".parse().unwrap(),
            dc_host: "10.0.0.3".to_owned(),
            command: "systemctl restart network-service".to_owned(),
            output: "a\nb".to_owned(),
            status: RunStatus::Executed,
            time: at,
            run_id: RunId(Uuid::nil()),
            incident_id: None,
            attempt: 1,
            rung: 1,
            exit_code: Some(0),
            signal: None,
            duration_ms: 12,
            output_bytes: 3,
            output_sha256: "00".to_owned(),
            truncated: false,
            error: String::new(),
        };
        let expected = "{\"timestamp\": \"2023-10-15T09:31:15.123456\", \"pair\": \"DC3-SRV4\", \"dc_host\": \"10.0.0.3\", \
            \"command\": \"systemctl restart network-service\", \"output\": \"a\\nb\", \"status\": \"executed\", \
            \"time\": \"2023-10-15T12:31:15.123456+03:00\", \"run_id\": \"00000000-0000-0000-0000-000000000000\", \
            \"incident_id\": null, \"attempt\": 1, \"rung\": 1, \"exit_code\": 0, \"signal\": null, \"duration_ms\": 12, \
            \"output_bytes\": 3, \"output_sha256\": \"00\", \"truncated\": false, \"error\": \"\"}";
        assert_eq!(record.to_line().unwrap(), expected);
    }
}
