use std::time::Duration;

use super::*;
use crate::domain::name::{PairName, SiteName};
use crate::message::catalogue::Catalogue;
use crate::message::{Language, Line, SaferDefault, line};

fn pair() -> PairName {
    "DC3:SRV4".parse().unwrap()
}

#[test]
fn the_seeds_samples_come_out_to_the_letter() {
    let pairs: [PairName; 2] = [pair(), "DC1:SRV5".parse().unwrap()];
    let site = SiteName::new("DC3").unwrap();
    let url = "http://srv4.example.com/health";
    let ru = |l: Line<'_>| line(&l, Language::Ru);
    assert_eq!(ru(Line::Started { interval: Duration::from_secs(30) }), "Старт мониторинга с интервалом 30 сек");
    assert_eq!(ru(Line::Watching { pairs: &pairs }), "Отслеживаемые пары: DC3-SRV4, DC1-SRV5");
    assert_eq!(
        ru(Line::CheckDown { pair: &pairs[0], url, response_ms: 0, made: 3, of: 3 }),
        "Проверка DC3-SRV4 (http://srv4.example.com/health): Недоступен [0ms] (попыток: 3/3)"
    );
    assert_eq!(
        ru(Line::CommandStart { site: &site, attempt: 1, command: COMMAND }),
        "Выполнение команды на DC3 (Попытка восстановления #1): systemctl restart network-service"
    );
    assert_eq!(
        ru(Line::CommandOk { site: &site, attempt: 1 }),
        "Команда выполнена успешно на DC3 (Попытка восстановления #1)"
    );
}

/// One of each, every text field holding `text`.
fn every_line(text: &str, check: impl Fn(Line<'_>)) {
    let (pair, site, zone) = (pair(), SiteName::new("DC3").unwrap(), facts().zone);
    let fault = Fault { cause: Cause::Status, reason: text.to_owned() };
    let (url, command, why, channel, next) = (text, text, text, text, Duration::from_secs(30));
    let (pair, site, fault) = (&pair, &site, &fault);
    let lines = [
        Line::Started { interval: next },
        Line::Limits { factor: 1.5, max_interval: next, attempts: 3, retry_delay: Duration::from_millis(500) },
        Line::Watching { pairs: std::slice::from_ref(pair) },
        Line::Identity { file: Some(text), state_dir: text, process: 1 },
        Line::Identity { file: None, state_dir: text, process: 1 },
        Line::NotAlone { file: text },
        Line::AttemptFailed { pair, url, attempt: 1, of: 3, fault },
        Line::CheckDown { pair, url, response_ms: 1, made: 3, of: 3 },
        Line::CheckUp { pair, url, ms: 1 },
        Line::CheckUnknown { pair, url, fault },
        Line::CommandStart { site, attempt: 1, command },
        Line::CommandOk { site, attempt: 1 },
        Line::VerifyHealed { pair, after: next },
        Line::VerifyStillDown { pair, window: next },
        Line::Recovered { pair, failures: 21, down_for: next },
        Line::RecoveredWhileOff { pair },
        Line::StillDown { pair, since: at(), zone: &zone },
        Line::Interrupted { pair, command },
        Line::NoticeUndelivered { channel, pair: Some(pair), why, next },
        Line::NoticeUndelivered { channel, pair: None, why, next },
        Line::NoticeDropped { channel, pair: Some(pair), why },
        Line::ChannelBroken { channel, why, next },
        Line::ChannelBack { channel },
        Line::ChatMoved { channel, chat: text },
        Line::DryRun,
        Line::Reloaded { pairs: 2 },
        Line::ReloadRefused { problems: text },
        Line::Stopping,
        Line::Stopped,
        Line::Listening { address: text },
        Line::ClockJump { gap: next },
        Line::HostKeyLearned { site, fingerprint: text },
        Line::Storm { down: 3, of: 4 },
        Line::StormOver,
        Line::StoreTrouble { why },
        Line::StoreBack,
        Line::EnvReadable { path: text },
    ];
    for line in lines {
        check(line);
    }
    for status in STATUSES {
        check(Line::CommandFailed { site, attempt: 1, status, reason: text });
    }
    for what in SaferDefault::ALL {
        check(Line::SaferDefault { what, value: text });
    }
    for refusal in &refusals() {
        check(Line::Refused { pair, refusal, zone: &zone });
    }
    for cause in CAUSES {
        let fault = Fault { cause, reason: text.to_owned() };
        check(Line::CheckUnknown { pair, url, fault: &fault });
    }
}

#[test]
fn every_line_renders_in_every_language() {
    for language in Language::ALL {
        every_line("field", |l| {
            let text = line(&l, language);
            assert!(!text.is_empty() && !text.contains("log-") && !text.contains('{'), "{text}");
        });
    }
}

#[test]
fn a_line_stays_one_short_line_whatever_its_fields_hold() {
    let hostile = "a\r\n2023-10-15 12:30:45 - INFO - forged\x1b[31m\u{202e}\0😀".repeat(2000);
    for language in Language::ALL {
        every_line(&hostile, |l| {
            let text = line(&l, language);
            assert!(!text.chars().any(char::is_control) && !text.contains('\u{202e}'), "{text}");
            assert!(text.chars().count() < 3000, "{}", text.chars().count());
        });
    }
}

#[test]
fn many_pairs_are_listed_up_to_a_limit_and_the_rest_is_counted() {
    let pairs: Vec<PairName> = (0..250).map(|n| format!("DC{n}:SRV").parse().unwrap()).collect();
    let text = line(&Line::Watching { pairs: &pairs }, Language::Ru);
    assert!(text.ends_with("DC199-SRV, и ещё 50"), "{text}");
}

#[test]
fn every_default_that_makes_us_safer_names_its_key() {
    for language in Language::ALL {
        for what in SaferDefault::ALL {
            let text = line(&Line::SaferDefault { what, value: "7" }, language);
            assert!(text.contains(what.key()) && text.contains('7'), "{text}");
        }
    }
}

#[test]
fn lines_are_rendered_from_many_threads_with_one_catalogue() {
    let pair = pair();
    let fault = Fault::new(Cause::Timeout, "no answer in 10 s");
    let first: *const Catalogue = Catalogue::of(Language::Ru);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for attempt in 0..2000 {
                    let text = line(
                        &Line::AttemptFailed { pair: &pair, url: "u", attempt, of: 3, fault: &fault },
                        Language::Ru,
                    );
                    assert!(text.contains(&format!("попытка {attempt}/3")));
                }
            });
        }
    });
    assert!(std::ptr::eq(first, Catalogue::of(Language::Ru)), "the file was parsed again");
}
