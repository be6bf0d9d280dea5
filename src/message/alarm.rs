//! What is told once in place of many failures, and of drills, in words.

use super::catalogue::{Catalogue, count, fields, own, shown};
use super::compose::Facts;
use super::deed::{cause, deed};
use super::field::MAX_NAME;
use super::rich::Span;
use super::span::{moment, span};
use crate::domain::name::PairName;
use crate::domain::notice::{CutOff, Drill, News};
use crate::domain::reading::Fault;

/// Pairs of a list that are named; the rest is counted.
const MAX_HELD: usize = 5;

/// Gives the state and the message line of an alarm; `None` for news of a failure or a recovery.
pub fn alarm(news: &News, pair: &str, words: &Catalogue, facts: &Facts) -> Option<(String, Vec<Span>)> {
    let at = |moment| own(self::moment(moment, &facts.zone));
    let plain = |state: &str, id: &str, list| Some((words.word(state), vec![Span::Text(words.text(id, &list))]));
    match news {
        News::Failed(_) | News::Recovered(_) => None,
        News::Flapping { since, changes, window_s } => {
            let window = span(std::time::Duration::from_secs(*window_s), words);
            let list = fields([
                ("since", at(*since)),
                ("changes", count(*changes)),
                ("window", own(window)),
                ("pair", own(pair)),
            ]);
            plain("state-flapping", "alarm-flapping", list)
        }
        News::Unseen { since, fault, pairs, of } => {
            let list = fields([
                ("since", at(*since)),
                ("cause", own(cause(fault, words))),
                ("reason", shown(&fault.reason, Fault::MAX_REASON)),
                ("pairs", count(*pairs)),
                ("of", count(*of)),
            ]);
            plain("state-unseen", if pair.is_empty() { "alarm-unseen-many" } else { "alarm-unseen" }, list)
        }
        News::SeenAgain { since, until } => {
            plain("state-seen", "alarm-seen", fields([("since", at(*since)), ("until", at(*until))]))
        }
        News::Expiring { ends, days: 0 } => {
            plain("state-expired", "alarm-expired", fields([("ends", at(*ends)), ("pair", own(pair))]))
        }
        News::Expiring { ends, days: _ } => {
            let left = ends.duration_since(facts.now).as_hours().max(0) / 24;
            plain("state-expiring", "alarm-expiring", fields([("ends", at(*ends)), ("left", count(left))]))
        }
        News::Settled { up: true } => plain("state-settled", "alarm-settled-up", fields([])),
        News::Settled { up: false } => plain("state-settled-down", "alarm-settled-down", fields([])),
        News::Retired { down_for } => {
            plain("state-retired", "alarm-retired", fields([("span", own(span(*down_for, words)))]))
        }
        News::Storm { down, of } => {
            plain("state-storm", "alarm-storm", fields([("down", count(*down)), ("of", count(*of))]))
        }
        News::StormOver { since, down } => {
            plain("state-storm-over", "alarm-storm-over", fields([("since", at(*since)), ("down", count(*down))]))
        }
        News::CutOff(cut) => plain("state-cut-off", "alarm-cut-off", cut_off(cut)),
        News::Reconnected { key, since, until } => {
            let list = fields([("key", shown(key, MAX_NAME)), ("since", at(*since)), ("until", at(*until))]);
            plain("state-reconnected", "alarm-reconnected", list)
        }
        News::Aftercare { deed: done } => Some((words.word("state-aftercare"), deed(done, false, words, &facts.zone))),
        News::Drill(Drill { by, really, deed: done, up }) => {
            let id = if *really { "drill-real" } else { "drill-harmless" };
            let mut spans = vec![Span::Text(words.text(id, &fields([("by", shown(by, MAX_NAME))])) + " ")];
            spans.extend(deed(done, false, words, &facts.zone));
            let end = words.word(if *up { "drill-up" } else { "drill-down" });
            spans.push(Span::Text(format!(". {end}")));
            Some((words.word("state-drill"), spans))
        }
    }
}

/// The fields of everything that is said about witnesses that do not answer.
pub fn cut_off(cut: &CutOff) -> fluent_bundle::FluentArgs<'static> {
    fields([
        ("key", shown(&cut.key, MAX_NAME)),
        ("answered", count(cut.answered)),
        ("of", count(cut.of)),
        ("needed", count(cut.needed)),
    ])
}

/// Says who is held as long as this one is down; `None` when nobody is.
pub fn held(pairs: &[PairName], words: &Catalogue) -> Option<String> {
    let mut names: Vec<String> = pairs.iter().take(MAX_HELD).map(ToString::to_string).collect();
    if let Some(more) = pairs.len().checked_sub(MAX_HELD).filter(|more| *more > 0) {
        names.push(words.text("log-and-more", &fields([("more", count(more))])));
    }
    (!names.is_empty()).then(|| words.text("holds", &fields([("pairs", own(names.join(", ")))])))
}
