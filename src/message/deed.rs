//! What was done about a failure, in words.

use jiff::tz::TimeZone;

use super::catalogue::{Catalogue, count, fields, own, shown};
use super::field::{COMMAND_MARK, MAX_NAME, last_lines, one_line};
use super::language::Language;
use super::rich::Span;
use super::span::{moment, span};
use crate::domain::notice::Deed;
use crate::domain::reading::Fault;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{Run, RunStatus};

/// Characters kept of a command: what fits one screen of a phone.
pub const MAX_COMMAND: usize = 256;
/// Characters kept of a run's error: a sentence or two.
const MAX_ERROR: usize = 300;
/// Characters kept of a signal's name; the longest of Linux is `RTMIN+15`.
const MAX_SIGNAL: usize = 16;

/// Says what was done. `again` is true from the second `down` check on.
pub fn deed(deed: &Deed, again: bool, words: &Catalogue, zone: &TimeZone) -> Vec<Span> {
    match deed {
        Deed::Command { command, run } => with_command(&ran(run, again, words), command),
        Deed::Refused { command, refusal } => {
            let reason = self::refusal(refusal, words, zone);
            let text = words.text("deed-refused", &fields([("refusal", own(reason)), mark()]));
            with_command(&text, command)
        }
        Deed::Interrupted { command } => with_command(&words.text("deed-interrupted", &fields([mark()])), command),
        Deed::Nothing => vec![Span::Text(words.word("deed-nothing"))],
    }
}

fn ran(run: &Run, again: bool, words: &Catalogue) -> String {
    let id = match (run.status, run.started) {
        (RunStatus::Executed, _) if again => "deed-executed-again",
        (RunStatus::Executed, _) => "deed-executed",
        // No session, no shell: what never ran did not fail.
        (RunStatus::Failed, false) => "deed-unstarted",
        (RunStatus::Failed, true) => match (run.exit_code, &run.signal) {
            (_, Some(signal)) => {
                return words.text("deed-signal", &fields([("signal", shown(signal, MAX_SIGNAL)), mark()]));
            }
            (Some(code), None) => {
                return words.text("deed-exit", &fields([("code", own(code.to_string())), mark()]));
            }
            (None, None) => "deed-failed",
        },
        (RunStatus::Timeout, true) => "deed-timeout",
        (RunStatus::Timeout, false) => "deed-timeout-unstarted",
        (RunStatus::Unreachable, true) => "deed-lost",
        (RunStatus::Unreachable, false) => "deed-unreachable",
        (RunStatus::AuthFailed, _) => "deed-auth",
        (RunStatus::HostKeyMismatch, _) => "deed-host-key",
        (RunStatus::Skipped, _) => "deed-skipped",
    };
    words.text(id, &fields([mark()]))
}

/// Lines to fold away: what went wrong, then the last lines of output; none when all went well.
pub fn details(deed: &Deed) -> Vec<String> {
    let Deed::Command { run, .. } = deed else { return Vec::new() };
    if run.status == RunStatus::Executed {
        return Vec::new();
    }
    let error = one_line(&run.error, MAX_ERROR);
    let mut lines = if error.is_empty() { Vec::new() } else { vec![error] };
    lines.extend(last_lines(&run.excerpt, Run::MAX_EXCERPT));
    lines
}

/// Says in `language` why a command was not permitted.
pub fn why_not(refusal: &Refusal, language: Language, zone: &TimeZone) -> String {
    self::refusal(refusal, Catalogue::of(language), zone)
}

/// Says why a command was not permitted, and which key decides that.
pub fn refusal(refusal: &Refusal, words: &Catalogue, zone: &TimeZone) -> String {
    let fields = match refusal {
        Refusal::BudgetSpent { until, runs, window_s } => fields([
            ("runs", count(*runs)),
            ("window", own(span(std::time::Duration::from_secs(*window_s), words))),
            ("until", own(moment(*until, zone))),
        ]),
        Refusal::Cooldown { until } | Refusal::Maintenance { until } | Refusal::TooEarly { until } => {
            fields([("until", own(moment(*until, zone)))])
        }
        Refusal::Flapping { changes, window_s } => fields([
            ("changes", count(*changes)),
            ("window", own(span(std::time::Duration::from_secs(*window_s), words))),
        ]),
        Refusal::Stopped { by, since, until } => {
            let until = until.map(|until| words.text("until", &fields([("until", own(moment(until, zone)))])));
            let until = until.unwrap_or_else(|| words.word("until-resumed"));
            fields([("by", shown(by, MAX_NAME)), ("since", own(moment(*since, zone))), ("until", own(until))])
        }
        Refusal::ParentDown { parent } => fields([("parent", own(parent.as_str()))]),
        Refusal::CutOff { answered, needed } => fields([("answered", count(*answered)), ("needed", count(*needed))]),
        Refusal::NotCrossChecked { why } => fields([("why", shown(why, MAX_ERROR))]),
        Refusal::AwaitingApproval { id } => fields([("id", shown(id, MAX_NAME))]),
        Refusal::StillNeeded { by } => fields([("by", own(by.to_string()))]),
        Refusal::Denied { by } => fields([("by", shown(by, MAX_NAME))]),
        Refusal::Storm { down, of } => fields([("down", count(*down)), ("of", count(*of))]),
        Refusal::OnlyOurRoute
        | Refusal::DryRung
        | Refusal::DownAgain
        | Refusal::NameNotFound
        | Refusal::LoginRefused
        | Refusal::Starting
        | Refusal::Untrusted
        | Refusal::NeverUp
        | Refusal::DryRun
        | Refusal::NotRecorded
        | Refusal::Stopping
        | Refusal::UpAgain
        | Refusal::ByHand
        | Refusal::Unsure
        | Refusal::Retired
        | Refusal::Changed
        | Refusal::NoHarmlessForm => fields([]),
    };
    words.text(&format!("refusal-{}", refusal.as_str()), &fields)
}

/// Says why the last attempt was not up.
pub fn cause(fault: &Fault, words: &Catalogue) -> String {
    words.word(&format!("cause-{}", fault.cause.as_str()))
}

/// The field that [`with_command`] replaces.
pub fn mark() -> (&'static str, fluent_bundle::FluentValue<'static>) {
    ("command", own(COMMAND_MARK))
}

/// Puts the command, monospace, where the catalogue's text has its place.
pub fn with_command(text: &str, command: &str) -> Vec<Span> {
    let command = one_line(command, MAX_COMMAND);
    let mut spans = Vec::new();
    for (index, part) in text.split(COMMAND_MARK).enumerate() {
        if index > 0 {
            spans.push(Span::Code(command.clone()));
        }
        if !part.is_empty() {
            spans.push(Span::Text(part.to_owned()));
        }
    }
    spans
}
