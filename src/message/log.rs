//! Words the lines of the log. Each stays one line whatever its fields hold.

use std::time::Duration;

use fluent_bundle::{FluentArgs, FluentValue};

use super::alarm::cut_off;
use super::catalogue::{Catalogue, count, fields, own, written};
use super::deed::{cause, refusal};
use super::language::Language;
use super::line::{Line, SaferDefault};
use super::span::{moment, number, seconds, span};
use crate::domain::name::PairName;
use crate::domain::reading::Fault;
use crate::domain::stop::Scope;

/// Characters kept of a URL.
const MAX_URL: usize = 300;
/// Characters kept of a command; the whole of it is in the `COMMAND_EXECUTED` record.
const MAX_COMMAND: usize = 1000;
/// Characters kept of a reason that one of our own floors gives.
const MAX_WHY: usize = 1000;
/// Characters kept of a path, a fingerprint, a chat, a value.
const MAX_WORD: usize = 300;
/// Pairs listed by name.
const MAX_PAIRS: usize = 200;

/// Words one line of the log in `language`, without its time and level.
pub fn line(line: &Line<'_>, language: Language) -> String {
    let words = Catalogue::of(language);
    let (id, fields) = worded(line, words);
    words.text(id, &fields)
}

#[expect(clippy::too_many_lines, reason = "one table, a row per line of the log, is easier to check than parts of it")]
fn worded(line: &Line<'_>, words: &Catalogue) -> (&'static str, FluentArgs<'static>) {
    match line {
        Line::Started { interval } => ("log-started", fields([("seconds", secs(*interval))])),
        Line::Limits { factor, max_interval, attempts, retry_delay } => (
            "log-limits",
            fields([
                ("factor", own(number(*factor))),
                ("max", secs(*max_interval)),
                ("attempts", count(*attempts)),
                ("retry", secs(*retry_delay)),
            ]),
        ),
        Line::Watching { pairs } => ("log-watching", fields([("pairs", own(list(pairs, words)))])),
        Line::Identity { file, state_dir, process } => {
            let mut list = fields([("folder", word(state_dir)), ("process", own(process.to_string()))]);
            match file {
                Some(file) => {
                    list.set("file", word(file));
                    ("log-identity", list)
                }
                None => ("log-identity-no-file", list),
            }
        }
        Line::NotAlone { file } => ("log-not-alone", fields([("file", word(file))])),
        Line::AttemptFailed { pair, url, attempt, of, fault } => {
            let mut fields = faulted(pair, url, fault, words);
            fields.set("attempt", count(*attempt));
            fields.set("of", count(*of));
            ("log-attempt-failed", fields)
        }
        Line::CheckDown { pair, url, response_ms, made, of } => (
            "log-check-down",
            fields([
                ("pair", name(pair)),
                ("url", written(url, MAX_URL)),
                ("ms", own(response_ms.to_string())),
                ("made", count(*made)),
                ("of", count(*of)),
            ]),
        ),
        Line::CheckUp { pair, url, ms } => (
            "log-check-up",
            fields([("pair", name(pair)), ("url", written(url, MAX_URL)), ("ms", own(ms.to_string()))]),
        ),
        Line::CheckUnknown { pair, url, fault } => ("log-check-unknown", faulted(pair, url, fault, words)),
        Line::CommandStart { site, attempt, command } => (
            "log-command-start",
            fields([
                ("site", own(site.as_str())),
                ("attempt", count(*attempt)),
                ("command", written(command, MAX_COMMAND)),
            ]),
        ),
        Line::CommandOk { site, attempt } => {
            ("log-command-ok", fields([("site", own(site.as_str())), ("attempt", count(*attempt))]))
        }
        Line::CommandFailed { site, attempt, status, reason } => (
            "log-command-failed",
            fields([
                ("site", own(site.as_str())),
                ("attempt", count(*attempt)),
                ("status", own(words.word(&format!("status-{}", status.as_str())))),
                ("reason", written(reason, MAX_WHY)),
            ]),
        ),
        Line::VerifyHealed { pair, after } => {
            ("log-verify-healed", fields([("pair", name(pair)), ("after", own(span(*after, words)))]))
        }
        Line::VerifyStillDown { pair, window } => {
            ("log-verify-still-down", fields([("pair", name(pair)), ("window", own(span(*window, words)))]))
        }
        Line::Recovered { pair, failures, down_for } => (
            "log-recovered",
            fields([("pair", name(pair)), ("failures", count(*failures)), ("span", own(span(*down_for, words)))]),
        ),
        Line::RecoveredWhileOff { pair } => ("log-recovered-while-off", fields([("pair", name(pair))])),
        Line::StillDown { pair, since, zone } => {
            ("log-still-down", fields([("pair", name(pair)), ("since", own(moment(*since, zone)))]))
        }
        Line::Refused { pair, refusal: why, zone } => {
            ("log-refused", fields([("pair", name(pair)), ("refusal", own(refusal(why, words, zone)))]))
        }
        Line::CommandShared { pair, host, command } => ("log-command-shared", queued(pair, host, command)),
        Line::CommandWaits { pair, host, command } => ("log-command-waits", queued(pair, host, command)),
        Line::Interrupted { pair, command } => {
            ("log-interrupted", fields([("pair", name(pair)), ("command", written(command, MAX_COMMAND))]))
        }
        Line::NoticeUndelivered { channel, pair, why, next } => (
            "log-notice-undelivered",
            fields([
                ("channel", word(channel)),
                ("pair", about(*pair, words)),
                ("why", reason(why)),
                ("next", secs(*next)),
            ]),
        ),
        Line::NoticeDropped { channel, pair, why } => {
            let pair = about(*pair, words);
            ("log-notice-dropped", fields([("channel", word(channel)), ("pair", pair), ("why", reason(why))]))
        }
        Line::ChannelBroken { channel, why, next } => {
            ("log-channel-broken", fields([("channel", word(channel)), ("why", reason(why)), ("next", secs(*next))]))
        }
        Line::ChannelBack { channel } => ("log-channel-back", fields([("channel", word(channel))])),
        Line::ChatMoved { channel, chat } => {
            ("log-chat-moved", fields([("channel", word(channel)), ("chat", word(chat))]))
        }
        Line::SaferDefault { what, value } => {
            (safer(*what), fields([("key", own(what.key())), ("value", word(value))]))
        }
        Line::DryRun => ("log-dry-run", fields([])),
        Line::Reloaded { pairs } => ("log-reloaded", fields([("pairs", count(*pairs))])),
        Line::ReloadRefused { problems } => ("log-reload-refused", fields([("problems", reason(problems))])),
        Line::Stopping => ("log-stopping", fields([])),
        Line::Listening { address } => ("log-listening", fields([("address", written(address, MAX_WORD))])),
        Line::Stopped => ("log-stopped", fields([])),
        Line::ClockJump { gap } => ("log-clock-jump", fields([("gap", secs(*gap))])),
        Line::HostKeyLearned { site, fingerprint } => {
            ("log-host-key-learned", fields([("site", own(site.as_str())), ("fingerprint", word(fingerprint))]))
        }
        Line::Storm { down, of } => ("log-storm", fields([("down", count(*down)), ("of", count(*of))])),
        Line::StormOver => ("log-storm-over", fields([])),
        Line::CutOff { cut } => ("log-cut-off", cut_off(cut)),
        Line::Reconnected { key } => ("log-reconnected", fields([("key", word(key))])),
        Line::Flapping { pair, since, changes, zone } => (
            "log-flapping",
            fields([("pair", name(pair)), ("since", own(moment(*since, zone))), ("changes", count(*changes))]),
        ),
        Line::Unseen { pair, since, fault, pairs, of, zone } => {
            let mut list = fields([
                ("since", own(moment(*since, zone))),
                ("cause", own(cause(fault, words))),
                ("reason", written(&fault.reason, Fault::MAX_REASON)),
                ("pairs", count(*pairs)),
                ("of", count(*of)),
            ]);
            match pair {
                Some(pair) => {
                    list.set("pair", name(pair));
                    ("log-unseen", list)
                }
                None => ("log-unseen-many", list),
            }
        }
        Line::SeenAgain { pair: Some(pair), since, zone } => {
            ("log-seen", fields([("pair", name(pair)), ("since", own(moment(*since, zone)))]))
        }
        Line::SeenAgain { pair: None, since, zone } => {
            ("log-seen-many", fields([("since", own(moment(*since, zone)))]))
        }
        Line::Expiring { pair, ends, zone } => {
            ("log-expiring", fields([("pair", name(pair)), ("ends", own(moment(*ends, zone)))]))
        }
        Line::Settled { pair, up: true } => ("log-settled-up", fields([("pair", name(pair))])),
        Line::Settled { pair, up: false } => ("log-settled-down", fields([("pair", name(pair))])),
        Line::GaveUp { pair } => ("log-gave-up", fields([("pair", name(pair))])),
        Line::HealingStopped { stop, zone } => {
            let scope = match &stop.scope {
                Scope::All => words.word("scope-all"),
                Scope::Site(_) | Scope::Pair(_) => stop.scope.to_string(),
            };
            let until = stop.until.map(|until| words.text("until", &fields([("until", own(moment(until, zone)))])));
            let until = until.unwrap_or_else(|| words.word("until-resumed"));
            ("log-healing-stopped", fields([("scope", own(scope)), ("by", word(&stop.by)), ("until", own(until))]))
        }
        Line::HealingResumed { scope, by } => {
            ("log-healing-resumed", fields([("scope", word(scope)), ("by", word(by))]))
        }
        Line::ApprovalAnswered { pair, command, yes, by } => (
            if *yes { "log-approved" } else { "log-denied" },
            fields([("pair", name(pair)), ("command", written(command, MAX_COMMAND)), ("by", word(by))]),
        ),
        Line::Drill { pair, really, by } => (
            if *really { "log-drill-real" } else { "log-drill-harmless" },
            fields([("pair", name(pair)), ("by", word(by))]),
        ),
        Line::StoreTrouble { why } => ("log-store-trouble", fields([("why", reason(why))])),
        Line::StoreBack => ("log-store-back", fields([])),
        Line::EnvReadable { path } => ("log-env-readable", fields([("path", word(path))])),
    }
}

fn safer(what: SaferDefault) -> &'static str {
    match what {
        SaferDefault::RemedyBudget => "log-safer-budget",
        SaferDefault::StormLimit => "log-safer-storm",
        SaferDefault::SshHostKeys => "log-safer-host-keys",
        SaferDefault::VerifyWindow => "log-safer-verify",
        SaferDefault::CommandTimeout => "log-safer-command-timeout",
        SaferDefault::CheckTimeout => "log-safer-check-timeout",
        SaferDefault::FlapLimit => "log-safer-flap",
    }
}

fn queued(pair: &PairName, host: &str, command: &str) -> FluentArgs<'static> {
    fields([("pair", name(pair)), ("host", word(host)), ("command", written(command, MAX_COMMAND))])
}

fn faulted(pair: &PairName, url: &str, fault: &Fault, words: &Catalogue) -> FluentArgs<'static> {
    fields([
        ("pair", name(pair)),
        ("url", written(url, MAX_URL)),
        ("cause", own(cause(fault, words))),
        ("reason", written(&fault.reason, Fault::MAX_REASON)),
    ])
}

fn list(pairs: &[PairName], words: &Catalogue) -> String {
    let mut names: Vec<String> = pairs.iter().take(MAX_PAIRS).map(ToString::to_string).collect();
    if let Some(more) = pairs.len().checked_sub(MAX_PAIRS).filter(|more| *more > 0) {
        names.push(words.text("log-and-more", &fields([("more", count(more))])));
    }
    names.join(", ")
}

fn name(pair: &PairName) -> FluentValue<'static> {
    own(pair.to_string())
}

/// A pair, or the agent itself.
fn about(pair: Option<&PairName>, words: &Catalogue) -> FluentValue<'static> {
    pair.map_or_else(|| own(words.word("about-agent")), name)
}

fn secs(duration: Duration) -> FluentValue<'static> {
    own(seconds(duration))
}

fn word(text: &str) -> FluentValue<'static> {
    written(text, MAX_WORD)
}

fn reason(text: &str) -> FluentValue<'static> {
    written(text, MAX_WHY)
}
