//! What HEAT tells people: which machine, what changed, and of which command.

use std::time::Duration;

use jiff::Timestamp;

use super::catalogue::{Catalogue, count, fields, own, shown};
use super::compose::{Facts, labelled, late};
use super::deed::{mark, with_command};
use super::field::MAX_NAME;
use super::language::Language;
use super::rich::{Rich, Row, Span};
use super::span::span;
use crate::domain::heat::{How, News, Trouble};

/// Characters kept of a reason.
const MAX_WHY: usize = 200;

/// What all messages of one HEAT are about.
#[derive(Debug, Clone, Copy)]
pub struct HeatAbout<'a> {
    /// What the machine is called.
    pub host: &'a str,
    /// The check.
    pub check: &'a str,
    /// What is run at the threshold; empty when there is none.
    pub recovery: &'a str,
}

/// Words what happened at `at`.
pub fn heat(news: &News, at: Timestamp, about: &HeatAbout<'_>, language: Language, facts: &Facts) -> Rich {
    let words = Catalogue::of(language);
    let say = |id: &str, list: fluent_bundle::FluentArgs<'static>, command| {
        let mut list = list;
        let (name, place) = mark();
        list.set(name, place);
        with_command(&words.text(id, &list), command)
    };
    let (state, message) = match news {
        News::Fault(streak) => {
            let list = fields([("failures", count(streak.count)), ("code", own(streak.last.code.to_string()))]);
            ("state-heat-fault", say("heat-fault", list, about.check))
        }
        News::Recovered(how) => ("state-heat-recovery", {
            let (id, list) = match how {
                How::Exit(0) => ("heat-recovery-ran", fields([])),
                How::Exit(code) => ("heat-recovery-exit", fields([("code", own(code.to_string()))])),
                How::TimedOut => ("heat-recovery-timeout", fields([])),
                How::Killed(why) | How::Unstartable(why) | How::NotNow(why) => {
                    ("heat-recovery-unstarted", fields([("why", shown(why, MAX_WHY))]))
                }
            };
            say(id, list, about.recovery)
        }),
        News::Back { streak, at } => {
            let took = Duration::from_secs(u64::try_from(at.saturating_sub(streak.first.at)).unwrap_or_default());
            let list = fields([("failures", count(streak.count)), ("span", own(span(took, words)))]);
            ("state-heat-back", say("heat-back", list, about.check))
        }
        News::Ended(trouble) => ("state-heat-ended", {
            match trouble {
                Trouble::Check(how) => say("heat-ended-check", fields([("why", why(how))]), about.check),
                Trouble::Recovery(how) => say("heat-ended-recovery", fields([("why", why(how))]), about.recovery),
                Trouble::Receiver => say("heat-ended-receiver", fields([]), about.check),
            }
        }),
    };
    let state = words.word(state);
    let label = words.text("label-heat", &fields([("host", shown(about.host, MAX_NAME))]));
    let minimal = format!("{label} {state}");
    let mut message = message;
    if let Some(late) = late(at, words, facts) {
        message.push(Span::Text(format!(". {late}")));
    }
    let rows: Vec<Row> = vec![labelled(label, vec![Span::Text(state)]), labelled(words.word("label-message"), message)];
    Rich::new(rows, minimal)
}

fn why(how: &How) -> fluent_bundle::FluentValue<'static> {
    match how {
        // The names of signals are the same in every language.
        How::Killed(signal) => shown(&format!("SIG{signal}"), MAX_WHY),
        How::Unstartable(why) | How::NotNow(why) => shown(why, MAX_WHY),
        How::Exit(_) | How::TimedOut => own(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::heat::{Failure, Streak};
    use jiff::tz::TimeZone;

    fn at() -> Timestamp {
        "2023-10-15T09:31:15Z".parse().unwrap()
    }

    fn facts() -> Facts {
        Facts { zone: TimeZone::UTC, now: at() }
    }

    fn streak() -> Streak {
        let failure = |at, code| Failure { code, at, pid: 12 };
        Streak { count: 10, first: failure(1000, 7), last: failure(1300, 8) }
    }

    fn every(text: &str) -> Vec<News> {
        let hows = || {
            let text = text.to_owned();
            [
                How::Exit(0),
                How::Exit(3),
                How::TimedOut,
                How::Killed(text.clone()),
                How::Unstartable(text.clone()),
                How::NotNow(text),
            ]
        };
        let mut all = vec![News::Fault(streak()), News::Back { streak: streak(), at: 1330 }];
        all.extend(hows().map(News::Recovered));
        all.extend(hows().map(|how| News::Ended(Trouble::Check(how))));
        all.extend(hows().map(|how| News::Ended(Trouble::Recovery(how))));
        all.push(News::Ended(Trouble::Receiver));
        all
    }

    #[test]
    fn each_change_says_where_what_and_which_command() {
        let about = HeatAbout { host: "web1", check: "./check.sh", recovery: "./recovery.sh" };
        let said = |news| heat(&news, at(), &about, Language::En, &facts()).to_plain();
        assert_eq!(
            said(News::Fault(streak())),
            "Heat on web1: ⚠️ Failing\nMessage: The check fails. Failures in a row: 10, last exit code: 8. The check: \
             `./check.sh`"
        );
        assert_eq!(
            said(News::Back { streak: streak(), at: 1330 }),
            "Heat on web1: ✅ Restored\nMessage: The check succeeds again, 5 min 30 s after its first failure. Failures: \
             10. The check: `./check.sh`"
        );
        assert_eq!(
            said(News::Recovered(How::Exit(3))),
            "Heat on web1: 🔧 Recovery\nMessage: The recovery exited with code 3: `./recovery.sh`"
        );
        assert_eq!(
            said(News::Ended(Trouble::Check(How::Killed("KILL".to_owned())))),
            "Heat on web1: ⛔ Watching ended\nMessage: The check was stopped (SIGKILL), nothing is watched any more: \
             `./check.sh`"
        );
    }

    #[test]
    fn in_every_language_hostile_fields_stay_fields_and_a_late_message_says_so() {
        let hostile = "</b><a href=\"x\">\u{202e}\x1b[2J\nforged".repeat(400);
        let about = HeatAbout { host: &hostile, check: &hostile, recovery: &hostile };
        let late = Facts { now: "2023-10-15T09:41:15Z".parse().unwrap(), ..facts() };
        for language in Language::ALL {
            for news in every(&hostile) {
                let rich = heat(&news, at(), &about, language, &late);
                let plain = rich.to_plain();
                assert!(plain.lines().count() == 2 && !plain.contains('\u{202e}'), "{plain}");
                assert!(plain.contains("2023-10-15 09:31:15"), "{plain}");
                assert!(plain.encode_utf16().count() < Rich::MAX_UNITS && !rich.to_html().contains("<a"), "{plain}");
            }
        }
    }
}
