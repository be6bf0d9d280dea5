//! One event to one line: seed text or JSON, redacted, safe to print.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;

use jiff::Zoned;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Format;
use super::redact::Swap;

/// Characters in one value: far above any record of ours, so that nothing from outside can fill the disk with one line.
const LONGEST: usize = 256 * 1024;

/// Local wall time: the log's own, because a line must carry the time of the world, also in tests of paused time.
#[expect(clippy::disallowed_methods, reason = "the one clock of the log")]
pub(super) fn now() -> Zoned {
    Zoned::now()
}

/// Formats each event once and hands the bytes to every sink.
pub(super) struct LineLayer {
    pub(super) format: Format,
    pub(super) redactor: Arc<Swap>,
    pub(super) sinks: Vec<NonBlocking>,
    pub(super) clock: fn() -> Zoned,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = self.line(event, &(self.clock)());
        for sink in &self.sinks {
            // Queues take the line or count it as dropped; they have no other answer.
            let _ = sink.clone().write_all(line.as_bytes());
        }
    }
}

impl LineLayer {
    fn line(&self, event: &Event<'_>, at: &Zoned) -> String {
        let mut parts = Parts { redactor: &self.redactor, message: None, fields: Map::new() };
        event.record(&mut parts);
        let target = event.metadata().target();
        let level = level_name(*event.metadata().level());
        let line = match self.format {
            Format::Text => text(at, level, target, &parts),
            Format::Json => json(at, level, target, parts),
        };
        // Again, whole: a secret may have been put together from two values, or hide in what JSON escapes.
        let mut line = escaped(&self.redactor.mask(&line));
        line.push('\n');
        line
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

/// Whether the event is this crate's own.
fn ours(target: &str) -> bool {
    target.strip_prefix(env!("CARGO_CRATE_NAME")).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn text(at: &Zoned, level: &str, target: &str, parts: &Parts<'_>) -> String {
    let mut line = format!("{} - {level} - ", at.strftime("%Y-%m-%d %H:%M:%S"));
    let own = ours(target);
    if !own {
        let _ = write!(line, "{target}: ");
    }
    line.push_str(parts.message.as_deref().unwrap_or_default());
    if !own || parts.message.is_none() {
        for (key, value) in &parts.fields {
            let space = if line.ends_with(' ') { "" } else { " " };
            let _ = match value {
                Value::String(text) => write!(line, "{space}{key}={text}"),
                other => write!(line, "{space}{key}={other}"),
            };
        }
    }
    line
}

fn json(at: &Zoned, level: &str, target: &str, parts: Parts<'_>) -> String {
    let mut line = Map::new();
    line.insert("time".into(), at.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string().into());
    line.insert("level".into(), level.into());
    line.insert("message".into(), parts.message.unwrap_or_default().into());
    if !ours(target) {
        line.insert("target".into(), target.into());
    }
    for (key, value) in parts.fields {
        let key = if line.contains_key(&key) { format!("field_{key}") } else { key };
        line.insert(key, value);
    }
    Value::Object(line).to_string()
}

/// Collects an event's values, each masked before anything is escaped.
struct Parts<'a> {
    redactor: &'a Swap,
    message: Option<String>,
    fields: Map<String, Value>,
}

impl Parts<'_> {
    fn put(&mut self, field: &Field, value: &str) {
        let mut value = self.redactor.mask(value);
        if let Some((at, _)) = value.char_indices().nth(LONGEST) {
            value.truncate(at);
            value.push_str("… (cut)");
        }
        if field.name() == "message" {
            self.message = Some(value);
        } else {
            self.fields.insert(field.name().to_owned(), value.into());
        }
    }

    fn put_number(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = Some(value.to_string());
        } else {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Parts<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, &text);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_number(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_number(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put_number(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_number(field, value.into());
    }
}

/// One printable line: whatever moves the cursor, colours the terminal or turns the text around is written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push('\t'),
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => hex(&mut out, c),
            c if c.is_control() => hex(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// JSON's own form, so that a JSON line stays JSON.
fn hex(out: &mut String, c: char) {
    let _ = write!(out, "\\u{:04x}", u32::from(c));
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Formats at the seed's time and keeps the lines.
    struct Keep(LineLayer, Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let at = "2023-10-15T12:30:45.25+03:00[Europe/Moscow]".parse().unwrap();
            self.1.lock().unwrap().push_str(&self.0.line(event, &at));
        }
    }

    fn written(format: Format, event: impl FnOnce()) -> String {
        let redactor = |text: &str| -> Cow<'static, str> { Cow::Owned(text.replace("s3cret", "***")) };
        let redactor = Arc::new(Swap::new(Arc::new(Whole(redactor))));
        let lines = Arc::new(Mutex::new(String::new()));
        let keep = Keep(LineLayer { format, redactor, sinks: Vec::new(), clock: now }, Arc::clone(&lines));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(keep), event);
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    struct Whole<F>(F);

    impl<F: Fn(&str) -> Cow<'static, str> + Send + Sync> super::super::Redact for Whole<F> {
        fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
            (self.0)(text)
        }
    }

    #[test]
    fn a_text_line_is_the_seeds_and_carries_only_the_message() {
        let line = written(Format::Text, || {
            tracing::info!(target: "monitor::engine", pair = "DC3-SRV4", "Старт мониторинга с интервалом 30 сек");
        });
        assert_eq!(line, "2023-10-15 12:30:45 - INFO - Старт мониторинга с интервалом 30 сек\n");
    }

    #[test]
    fn levels_have_pythons_names() {
        let lines = written(Format::Text, || {
            tracing::error!(target: "monitor", "e");
            tracing::warn!(target: "monitor", "w");
            tracing::debug!(target: "monitor", "d");
            tracing::trace!(target: "monitor", "t");
        });
        let at = "2023-10-15 12:30:45";
        assert_eq!(lines, format!("{at} - ERROR - e\n{at} - WARNING - w\n{at} - DEBUG - d\n{at} - DEBUG - t\n"));
    }

    #[test]
    fn an_event_of_another_crate_names_it_and_shows_its_fields() {
        let line = written(Format::Text, || {
            tracing::warn!(target: "monitoring::x", code = 5, why = "s3cret", "lost");
        });
        assert_eq!(line, "2023-10-15 12:30:45 - WARNING - monitoring::x: lost code=5 why=***\n");
    }

    #[test]
    fn a_message_from_outside_stays_on_its_line_and_paints_nothing() {
        let hostile = "a\nb\r\u{1b}[31mc\u{0}\u{202e}\u{2028}d\te";
        let line = written(Format::Text, || tracing::info!(target: "monitor", "{hostile}"));
        assert_eq!(line, "2023-10-15 12:30:45 - INFO - a\\nb\\r\\u001b[31mc\\u0000\\u202e\\u2028d\te\n");
    }

    #[test]
    fn a_json_line_carries_time_level_message_and_typed_fields_in_order() {
        let line = written(Format::Json, || {
            tracing::info!(target: "monitor", pair = "A-B", took_ms = 3, ok = true, time = "theirs", "s3cret\n\"x\"");
        });
        assert_eq!(
            line,
            "{\"time\":\"2023-10-15T12:30:45.250000+03:00\",\"level\":\"INFO\",\"message\":\"***\\n\\\"x\\\"\",\
             \"pair\":\"A-B\",\"took_ms\":3,\"ok\":true,\"field_time\":\"theirs\"}\n"
        );
    }

    #[test]
    fn one_line_has_a_limit() {
        let huge = "ж".repeat(2 * LONGEST);
        let line = written(Format::Text, || tracing::info!(target: "monitor", "{huge}"));
        assert!(line.chars().count() < LONGEST + 100 && line.ends_with("… (cut)\n"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_from_outside_is_one_printable_line_and_valid_json(message in ".{0,60}", value in "\\PC*|\\pC{0,9}") {
            let text = written(Format::Text, || tracing::warn!(target: "other", value, "{message}"));
            let body = text.strip_suffix('\n').unwrap();
            proptest::prop_assert!(!body.contains(|c: char| c.is_control() && c != '\t'), "{:?}", body);
            let json = written(Format::Json, || tracing::info!(target: "monitor", value, "{message}"));
            let read: Value = serde_json::from_str(&json).unwrap();
            proptest::prop_assert_eq!(&read["message"], &message);
            proptest::prop_assert_eq!(&read["value"], &value);
            proptest::prop_assert_eq!(json.lines().count(), 1);
        }
    }
}
