//! One notice becomes one message: the seed's lines to the letter, then at most two of our own.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::alarm::{alarm, held};
use super::catalogue::{Catalogue, count, fields, own, shown};
use super::deed::{cause, deed, details, mark, with_command};
use super::language::Language;
use super::rich::{Rich, Row, Span};
use super::span::{moment, number, seconds, span};
use crate::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use crate::domain::reading::{Fault, Phases};
use crate::domain::record::Record;

/// A message that comes later than this after its event says when the event was.
const LATE: Duration = Duration::from_mins(2);

/// What a notice does not know itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The reader's time zone.
    pub zone: TimeZone,
    /// When the message is being sent; a late one says when its event was.
    pub now: Timestamp,
}

/// Words `notice` in `language`. Every field is cleaned and capped, so that the text is at most [`Rich::MAX_UNITS`] long.
pub fn compose(notice: &Notice, language: Language, facts: &Facts) -> Rich {
    let words = Catalogue::of(language);
    let pair = notice.pair.as_ref().map(ToString::to_string);
    let name = pair.as_deref().unwrap_or_default();
    let (state, mut rows) = match &notice.news {
        News::Failed(failed) => failure(failed, words, facts),
        News::Recovered(recovered) => recovery(recovered, name, words),
        other => alarm(other, name, words, facts)
            .map(|(state, message)| (state, vec![labelled(words.word("label-message"), message)]))
            .unwrap_or_default(),
    };
    let status = match pair {
        Some(pair) => {
            let pair = match notice.environment {
                Some(environment) => format!("{pair} [{}]", environment.as_str()),
                None => pair,
            };
            words.text("label-status", &fields([("pair", own(pair))]))
        }
        None => words.word("label-agent"),
    };
    let minimal = format!("{status} {state}");
    rows.insert(0, labelled(status, vec![Span::Text(state)]));
    if let Some(late) = late(notice.at, words, facts) {
        let last_line = rows.iter().rposition(|row| matches!(row, Row::Line(_)));
        match last_line.and_then(|at| rows.get_mut(at)) {
            Some(Row::Line(spans)) => spans.push(Span::Text(format!(". {late}"))),
            Some(Row::Quote(_)) | None => rows.push(Row::Line(vec![Span::Text(late)])),
        }
    }
    Rich::new(rows, minimal)
}

fn failure(failed: &Failed, words: &Catalogue, facts: &Facts) -> (String, Vec<Row>) {
    let again = failed.failures >= 2;
    let unaided = failed.deed == Deed::Nothing;
    let state = words.text(
        match (again, unaided) {
            (false, _) => "state-down",
            (true, false) => "state-down-again",
            (true, true) => "state-down-unaided",
        },
        &fields([("failures", count(failed.failures))]),
    );
    let ordered = matches!(failed.deed, Deed::Command { .. });
    let lead = words.text(
        match (again, ordered) {
            (false, _) => "first",
            (true, true) => "again",
            // Counting recovery attempts would claim something that was not done.
            (true, false) => "again-unaided",
        },
        &fields([("attempts", count(failed.attempts)), ("failures", count(failed.failures))]),
    );
    let mut message = vec![Span::Text(format!("{lead} "))];
    message.extend(deed(&failed.deed, again, words, &facts.zone));
    let mut rows = vec![labelled(words.word("label-message"), message)];
    if again {
        let fields = fields([("attempts", count(failed.attempts)), ("factor", own(number(failed.factor)))]);
        rows.push(text(words.text("settings", &fields)));
    }
    rows.push(next(failed.next, words));
    // Two lines of ours at most: when there is more to say, the timings join the cause.
    let (why, timings) = (why(&failed.fault, words), timings(&failed.phases, words));
    match (remark(failed, words), timings) {
        (Some(remark), Some(timings)) => rows.extend([text(format!("{why}. {timings}")), text(remark)]),
        (remark, timings) => rows.extend([Some(why), timings, remark].into_iter().flatten().map(text)),
    }
    let details = details(&failed.deed);
    if !details.is_empty() {
        rows.push(Row::Quote(details));
    }
    (state, rows)
}

fn recovery(recovered: &Recovered, pair: &str, words: &Catalogue) -> (String, Vec<Row>) {
    let state = words.text("state-up", &fields([("failures", count(recovered.failures))]));
    let restored = fields([("pair", own(pair)), ("failures", count(recovered.failures))]);
    let healer = match &recovered.by {
        Healer::Itself | Healer::Late { .. } if recovered.while_off => text(words.word("healed-while-off")),
        Healer::Late { command } => Row::Line(with_command(&words.text("healed-late", &fields([mark()])), command)),
        Healer::Itself => text(words.word("healed-itself")),
        Healer::Command { command, after } => {
            let fields = fields([("after", own(span(*after, words))), mark()]);
            Row::Line(with_command(&words.text("healed-by", &fields), command))
        }
    };
    let rows = vec![
        labelled(words.word("label-message"), vec![Span::Text(words.text("restored", &restored))]),
        next(recovered.next, words),
        healer,
        text(words.text("down-for", &fields([("span", own(span(recovered.down_for, words)))]))),
    ];
    (state, rows)
}

/// Says the one thing besides the cause that is worth a line: that healing does not help, who is held, or what the command
/// has achieved so far.
fn remark(failed: &Failed, words: &Catalogue) -> Option<String> {
    if failed.gave_up {
        return Some(words.word("gave-up"));
    }
    held(&failed.holds, words).or_else(|| failed.record.map(|record| achieved(&record, words)))
}

fn achieved(record: &Record, words: &Catalogue) -> String {
    let counts = [("healed", count(record.healed)), ("runs", count(record.runs))];
    match record.median {
        Some(median) => {
            let mut fields = fields(counts);
            fields.set("median", own(span(median, words)));
            words.text("record", &fields)
        }
        None => words.text("record-never", &fields(counts)),
    }
}

/// Says when a late message's event was; `None` when it comes in time.
pub fn late(at: Timestamp, words: &Catalogue, facts: &Facts) -> Option<String> {
    let delay = Duration::try_from(facts.now.duration_since(at)).unwrap_or_default();
    (delay >= LATE).then(|| words.text("happened-at", &fields([("at", own(moment(at, &facts.zone)))])))
}

/// Says why it is down: the cause in words and the probe's own reason.
fn why(fault: &Fault, words: &Catalogue) -> String {
    let cause = cause(fault, words);
    let id = if fault.reason.trim().is_empty() { "why-bare" } else { "why" };
    words.text(id, &fields([("cause", own(cause)), ("reason", shown(&fault.reason, Fault::MAX_REASON))]))
}

fn timings(phases: &Phases, words: &Catalogue) -> Option<String> {
    let phases = [
        ("phase-dns", phases.dns),
        ("phase-connect", phases.connect),
        ("phase-tls", phases.tls),
        ("phase-first_byte", phases.first_byte),
    ];
    let reached = phases
        .into_iter()
        .filter_map(|(id, took)| took.map(|took| words.text(id, &fields([("ms", own(took.as_millis().to_string()))]))));
    let list = reached.collect::<Vec<_>>().join(", ");
    (!list.is_empty()).then(|| words.text("timings", &fields([("phases", own(list))])))
}

fn next(delay: Duration, words: &Catalogue) -> Row {
    let value = words.text("next-in", &fields([("seconds", own(seconds(delay)))]));
    labelled(words.word("label-next"), vec![Span::Text(value)])
}

/// Joins a label, bold, and what it labels.
pub fn labelled(label: String, value: Vec<Span>) -> Row {
    let mut spans = vec![Span::Bold(label), Span::Text(" ".to_owned())];
    spans.extend(value);
    Row::Line(spans)
}

fn text(line: String) -> Row {
    Row::Line(vec![Span::Text(line)])
}
