//! One line of the agent's log (`LOG_FORMAT=json`): what it tells, by its fields and not by its words.

use serde_json::Value;

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that is fine.
    Said,
    /// Something that wants attention.
    Warned,
    /// Something that failed.
    Failed,
    /// One attempt of a check.
    AttemptFailed,
    /// A check said `down`.
    Down,
    /// A command begins.
    CommandStarts,
    /// The record of a command.
    Record,
    /// A probe saw the service up after the command.
    Healed,
    /// None did.
    StillDown,
    /// The incident is over.
    Recovered,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `12:30:45`.
    pub at: String,
    /// What it tells.
    pub kind: Kind,
    /// Whom it concerns.
    pub pair: Option<String>,
    /// How the command ended, in the record of one.
    pub status: String,
    /// Its text.
    pub message: String,
}

/// Before the record of a command (contract, log).
const RECORD: &str = "COMMAND_EXECUTED: ";

impl Entry {
    /// Reads a line; `None` for what is no line of the agent's own (the other crates', which stay in the file). The record of
    /// a command is shortened to `room` characters.
    pub fn read(line: &str, room: usize) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line.get(name).and_then(Value::as_str);
        let has = |name: &str| line.get(name).is_some();
        if has("target") {
            return None;
        }
        let (level, said) = (text("level")?, text("message")?);
        let kind = match level {
            _ if said.starts_with(RECORD) => Kind::Record,
            _ if has("run_id") => Kind::CommandStarts,
            _ if has("after_ms") => Kind::Healed,
            _ if has("down_for_s") => Kind::Recovered,
            _ if has("made") => Kind::Down,
            "ERROR" => Kind::Failed,
            "WARNING" if has("attempt") && has("cause") => Kind::AttemptFailed,
            // The only warning that has a pair and nothing else.
            "WARNING" if has("pair") && line.as_object().is_some_and(|line| line.len() == 4) => Kind::StillDown,
            "WARNING" => Kind::Warned,
            _ => Kind::Said,
        };
        let record = said.strip_prefix(RECORD).and_then(|json| serde_json::from_str::<Value>(json).ok());
        let message = record.as_ref().map_or_else(|| said.to_owned(), |record| short(record, room));
        let pair = record.as_ref().and_then(|record| record.get("pair")?.as_str()).or_else(|| text("pair"));
        let status = record.as_ref().and_then(|record| record.get("status")?.as_str()).unwrap_or_default().to_owned();
        let at = text("time").and_then(|time| time.get(11..19)).unwrap_or_default();
        Some(Self { at: at.to_owned(), kind, pair: pair.map(str::to_owned), status, message })
    }
}

/// The record with as many of its keys as fit, in the record's own order.
fn short(record: &Value, room: usize) -> String {
    let shown = |keys: &[&str]| {
        let kept = keys.iter().filter_map(|key| {
            let value = record.get(*key).filter(|value| !value.is_null() && value.as_str() != Some(""))?;
            Some(format!("\"{key}\":{value}"))
        });
        let kept: Vec<String> = kept.collect();
        format!("{RECORD}{{{}, …}}", kept.join(","))
    };
    let mut keys = vec!["pair", "command", "output", "status", "attempt", "exit_code", "duration_ms"];
    let mut text = shown(&keys);
    // What other lines say too goes first.
    for key in ["output", "attempt", "pair", "command", "duration_ms"] {
        if text.chars().count() <= room {
            break;
        }
        keys.retain(|kept| *kept != key);
        text = shown(&keys);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(fields: &str) -> Kind {
        let line = format!(r#"{{"time":"2023-10-15T12:30:45.250000+03:00",{fields}}}"#);
        let entry = Entry::read(&line, 99).unwrap();
        assert_eq!(entry.at, "12:30:45");
        entry.kind
    }

    #[test]
    fn a_line_is_known_by_its_fields_in_any_language() {
        let told = [
            (r#""level":"INFO","message":"старт""#, Kind::Said),
            (
                r#""level":"WARNING","message":"m","pair":"A-B","attempt":1,"of":3,"cause":"dns","took_ms":1"#,
                Kind::AttemptFailed,
            ),
            (
                r#""level":"WARNING","message":"m","pair":"A-B","response_ms":0,"made":3,"of":3,"cause":"dns""#,
                Kind::Down,
            ),
            (r#""level":"INFO","message":"m","pair":"A-B","run_id":"x","attempt":1,"rung":1"#, Kind::CommandStarts),
            (r#""level":"INFO","message":"COMMAND_EXECUTED: {}""#, Kind::Record),
            (r#""level":"ERROR","message":"m","pair":"A-B","duration_ms":1,"status":"failed""#, Kind::Failed),
            (r#""level":"INFO","message":"m","pair":"A-B","after_ms":500"#, Kind::Healed),
            (r#""level":"WARNING","message":"m","pair":"A-B""#, Kind::StillDown),
            (r#""level":"WARNING","message":"m","pair":"A-B","reason":"storm""#, Kind::Warned),
            (r#""level":"INFO","message":"m","pair":"A-B","failures":1,"down_for_s":3"#, Kind::Recovered),
        ];
        for (line, expected) in told {
            assert_eq!(kind(line), expected, "{line}");
        }
    }

    #[test]
    fn a_record_becomes_short_and_other_crates_stay_in_the_file() {
        let line = r#"{"time":"","level":"INFO","message":"COMMAND_EXECUTED: {\"timestamp\":\"t\",\"pair\":\"A-B\",\"command\":\"x \\\"y\\\"\",\"output\":\"\",\"status\":\"executed\",\"exit_code\":0,\"signal\":null,\"duration_ms\":7}"}"#;
        let entry = Entry::read(line, usize::MAX).unwrap();
        let expected = r#"COMMAND_EXECUTED: {"pair":"A-B","command":"x \"y\"","status":"executed","exit_code":0,"duration_ms":7, …}"#;
        assert_eq!(
            (entry.message.as_str(), entry.pair.as_deref(), entry.status.as_str()),
            (expected, Some("A-B"), "executed")
        );
        let narrow = Entry::read(line, 69).unwrap().message;
        assert_eq!(
            narrow,
            r#"COMMAND_EXECUTED: {"status":"executed","exit_code":0,"duration_ms":7, …}"#
                .replace(",\"duration_ms\":7", "")
        );
        for other in ["", "{}", "no json", r#"{"time":"","level":"WARNING","message":"m","target":"russh"}"#] {
            assert_eq!(Entry::read(other, 99), None, "{other}");
        }
    }
}
