use std::time::Duration;

use super::*;
use crate::domain::environment::Environment;
use crate::domain::notice::{CutOff, Drill};
use crate::domain::record::Record;
use crate::message::{Language, Rich, Row, Span, compose, digest};

fn ru(news: News) -> String {
    compose(&notice(news), Language::Ru, &facts()).to_plain()
}

/// The seed's samples are what is read first; what follows is ours.
fn assert_seed(text: &str, sample: &str) {
    assert!(text.starts_with(&format!("{sample}\n")), "{text}\n--- does not begin with\n{sample}");
    assert!(text.lines().count() - sample.lines().count() <= 2, "more than two lines of our own:\n{text}");
}

#[test]
fn the_first_failure_is_the_seeds_text_to_the_letter() {
    let text = ru(News::Failed(failed(1, 30.0, commanded(run(RunStatus::Executed)))));
    assert_seed(
        &text,
        "Статус связи DC3-SRV4: ⚠️ Нарушено\n\
         Сообщение: Недоступность после 3 попыток проверки. Выполнена команда: `systemctl restart network-service`\n\
         Следующая проверка: через 30 сек",
    );
}

#[test]
fn a_repeated_failure_is_the_seeds_text_to_the_letter() {
    let text = ru(News::Failed(failed(2, 67.5, commanded(run(RunStatus::Executed)))));
    assert_seed(
        &text,
        "Статус связи DC3-SRV4: ⚠️ Нарушено (Попытка восстановления #2)\n\
         Сообщение: Сервис все еще недоступен после 2 попыток восстановления. Последняя команда: `systemctl restart network-service`\n\
         Проверочных попыток: 3, множитель задержки: 1.5\n\
         Следующая проверка: через 67.5 сек",
    );
}

#[test]
fn a_recovery_is_the_seeds_text_to_the_letter() {
    let text = ru(News::Recovered(recovered(3, Healer::Itself)));
    assert_seed(
        &text,
        "Статус связи DC3-SRV4: ✅ Восстановлено (Попытка восстановления #3)\n\
         Сообщение: Сервис восстановлен: DC3-SRV4 после 3 попыток\n\
         Следующая проверка: через 30 сек",
    );
    assert!(text.ends_with("\nНаши команды ни при чём: сервис поднялся сам\nНе работал 5 мин 30 сек"), "{text}");
}

#[test]
fn labels_are_bold_and_the_command_is_monospace() {
    let html =
        compose(&notice(News::Failed(failed(1, 30.0, commanded(run(RunStatus::Executed))))), Language::Ru, &facts())
            .to_html();
    assert!(
        html.starts_with(
            "<b>Статус связи DC3-SRV4:</b> ⚠️ Нарушено\n\
             <b>Сообщение:</b> Недоступность после 3 попыток проверки. Выполнена команда: <code>systemctl restart network-service</code>\n\
             <b>Следующая проверка:</b> через 30 сек\n",
        ),
        "{html}"
    );
}

#[test]
fn russian_counts_follow_its_grammar() {
    for (k, expected) in [
        (1, "после 1 попытки"),
        (2, "после 2 попыток"),
        (5, "после 5 попыток"),
        (11, "после 11 попыток"),
        (21, "после 21 попытки"),
    ] {
        let text = ru(News::Recovered(recovered(k, Healer::Itself)));
        assert!(text.lines().nth(1).unwrap().ends_with(expected), "{text}");
    }
    for (runs, expected) in [(1, "1 запуск за"), (2, "2 запуска за"), (5, "5 запусков за"), (21, "21 запуск за")]
    {
        let refusal = Refusal::BudgetSpent { until: at(), runs, window_s: 3600 };
        let text = ru(News::Failed(failed(2, 30.0, Deed::Refused { command: COMMAND.into(), refusal })));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn english_counts_follow_its_grammar() {
    for (attempts, expected) in [(1, "after 1 check attempt."), (3, "after 3 check attempts.")] {
        let news = News::Failed(Failed { attempts, ..failed(1, 30.0, Deed::Nothing) });
        let text = compose(&notice(news), Language::En, &facts()).to_plain();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_command_that_failed_is_never_called_executed() {
    for deed in deeds() {
        let executed = matches!(&deed, Deed::Command { run, .. } if run.status == RunStatus::Executed);
        for k in [1, 2] {
            let text = ru(News::Failed(failed(k, 30.0, deed.clone())));
            let says_so = text.contains("Выполнена команда") || text.contains("Последняя команда");
            assert_eq!(says_so, executed, "{deed:?}\n{text}");
        }
    }
}

#[test]
fn a_failed_command_shows_its_exit_code_and_folds_its_output_away() {
    let run = Run {
        exit_code: Some(5),
        excerpt: "Failed to restart <network-service>\nUnit not found.\n".into(),
        error: "exit code 5".into(),
        ..run(RunStatus::Failed)
    };
    let rich = compose(&notice(News::Failed(failed(1, 30.0, commanded(run)))), Language::En, &facts());
    assert!(rich.to_plain().contains("The command exited with code 5: `systemctl restart network-service`"));
    assert!(rich.to_html().ends_with(
        "\n<blockquote expandable>exit code 5\nFailed to restart &lt;network-service&gt;\nUnit not found.</blockquote>"
    ));
}

#[test]
fn a_command_that_never_ran_is_not_told_as_one_that_failed() {
    let error = "10.0.0.4:22 would not run the command: it has no free session";
    let run = Run { started: false, error: error.into(), ..run(RunStatus::Failed) };
    let text = compose(&notice(News::Failed(failed(1, 30.0, commanded(run)))), Language::En, &facts()).to_plain();
    assert!(text.contains("it was not run") && !text.contains("failed"), "{text}");
    assert!(text.contains(error), "{text}");
}

#[test]
fn a_host_key_that_is_refused_is_not_said_to_have_changed_because_none_may_be_recorded() {
    for language in Language::ALL {
        let deed = commanded(run(RunStatus::HostKeyMismatch));
        let text = compose(&notice(News::Failed(failed(1, 30.0, deed))), language, &facts()).to_plain();
        assert!(
            !["recorded", "changed", "записан", "изменил", "기록", "변경"].iter().any(|word| text.contains(word)),
            "{text}"
        );
    }
}

#[test]
fn a_refusal_says_why_and_which_key_decides_it() {
    let keys = [
        "REMEDY_COOLDOWN",
        "FLAP_LIMIT",
        "anna",
        "anna",
        "MAINTENANCE",
        "DEPENDS_ON",
        "WITNESSES",
        "CROSS_CHECK",
        "CROSS_CHECK",
        "COMMAND_AFTER",
        "COMMAND_MODE",
        "monitor approve 3f2a90",
        "anna",
        "DC3-SRV5",
        "",
        "REMEDY_BUDGET",
        "STORM_LIMIT",
        "DNS",
        "login",
        "",
        "CA_FILE",
        "DISCOVERY_UP_FIRST",
        "DRY_RUN",
        "STATE_DIR",
        "",
    ];
    for language in Language::ALL {
        for (refusal, key) in refusals().into_iter().zip(keys) {
            let deed = Deed::Refused { command: COMMAND.into(), refusal };
            let text = compose(&notice(News::Failed(failed(2, 30.0, deed))), language, &facts()).to_plain();
            assert!(text.lines().nth(1).unwrap().contains(key), "{text}");
        }
    }
}

#[test]
fn the_cause_and_the_timings_of_a_failure_are_told() {
    let text = compose(&notice(News::Failed(failed(1, 30.0, Deed::Nothing))), Language::En, &facts()).to_plain();
    assert!(
        text.ends_with(
            "\nCause: nobody listens on the port (connect to 127.0.0.1:80: connection refused)\n\
             Timings: DNS 5 ms, TCP 10 ms"
        ),
        "{text}"
    );
}

#[test]
fn a_recovery_says_who_healed_it() {
    let by = Healer::Command { command: COMMAND.into(), after: Duration::from_millis(4260) };
    let text = compose(&notice(News::Recovered(recovered(1, by))), Language::En, &facts()).to_plain();
    assert!(text.ends_with(&format!("\nHealed by `{COMMAND}` after 4.3 s\nWas down for 5 min 30 s")), "{text}");
    let off = Recovered { while_off: true, ..recovered(1, Healer::Itself) };
    let text = compose(&notice(News::Recovered(off)), Language::En, &facts()).to_plain();
    assert!(text.contains("\nIt came back while the agent was off"), "{text}");
}

#[test]
fn a_late_message_says_when_it_happened_and_still_adds_two_lines_at_most() {
    let late = Facts { now: at() + jiff::SignedDuration::from_mins(10), ..facts() };
    for notice in notices() {
        let in_time = compose(&notice, Language::Ru, &facts()).to_plain();
        let text = compose(&notice, Language::Ru, &late).to_plain();
        assert!(text.contains("Произошло в 2023-10-15 12:31:15"), "{text}");
        assert_eq!(text.lines().count(), in_time.lines().count());
    }
}

#[test]
fn every_notice_renders_in_every_language_and_names_its_pair() {
    for language in Language::ALL {
        for notice in notices() {
            let rich = compose(&notice, language, &facts());
            let (plain, html) = (rich.to_plain(), rich.to_html());
            assert!(plain.contains("DC3-SRV4") && rich.minimal().contains("DC3-SRV4"));
            assert!(plain.starts_with(rich.minimal()));
            assert!(!plain.contains("{ $") && !plain.contains('\u{E000}') && !html.contains('\u{2068}'), "{plain}");
            let commands = rich.rows.iter().filter_map(|row| match row {
                Row::Line(spans) => Some(spans.iter().filter(|span| matches!(span, Span::Code(_))).count()),
                Row::Quote(_) => None,
            });
            assert!(commands.sum::<usize>() <= 1, "the command stands in two places: {plain}");
        }
    }
}

#[test]
fn a_digest_shows_the_last_state_of_each_pair_and_counts_the_rest() {
    let mut all = vec![notice_of("A:A", News::Failed(failed(1, 30.0, Deed::Nothing)))];
    for n in 0..30 {
        all.push(notice_of(&format!("DC{n}:SRV"), News::Failed(failed(1, 30.0, Deed::Nothing))));
    }
    all.push(notice_of("A:A", News::Recovered(recovered(1, Healer::Itself))));
    let text = digest(&all, Language::En, &facts()).to_plain();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Digest: 30 down, 1 restored");
    assert_eq!(lines[1], "From 2023-10-15 12:31:15 to 2023-10-15 12:31:15");
    assert_eq!(lines[2], "⚠️ DC0-SRV: nobody listens on the port");
    assert_eq!((lines.len(), *lines.last().unwrap()), (23, "… and 11 more"));
    assert!(!text.contains("A-A"), "down pairs come first: {text}");
    let both = [all.first().cloned().unwrap(), all.last().cloned().unwrap()];
    let text = digest(&both, Language::En, &facts()).to_plain();
    assert!(text.ends_with("\n✅ A-A: was down for 5 min 30 s") && !text.contains("⚠️"), "{text}");
}

#[test]
fn a_digest_of_the_longest_names_fits_one_message_in_every_language() {
    let long = |n: usize| format!("{n:0>64}:{}", "S".repeat(64));
    let all: Vec<Notice> = (0..50).map(|n| notice_of(&long(n), News::Failed(failed(1, 30.0, Deed::Nothing)))).collect();
    for language in Language::ALL {
        let text = digest(&all, language, &facts()).to_plain();
        assert!(text.encode_utf16().count() <= Rich::MAX_UNITS, "{}", text.encode_utf16().count());
    }
}

#[test]
fn what_else_is_worth_a_line_takes_the_second_one_and_the_timings_join_the_first() {
    let record = Record { healed: 14, runs: 15, median: Some(Duration::from_secs(6)) };
    let never = Record { healed: 0, runs: 3, median: None };
    let base = || failed(1, 30.0, Deed::Nothing);
    let holds = vec!["DC3:SRV5".parse().unwrap(), "DC1:SRV6".parse().unwrap()];
    for (failed, line) in [
        (Failed { record: Some(record), ..base() }, "This command has healed 14 of 15 times so far, median 6 s"),
        (Failed { record: Some(never), ..base() }, "This command has not helped so far, in 3 runs"),
        (
            Failed { record: Some(never), holds: holds.clone(), ..base() },
            "Held as long as it is down: DC3-SRV5, DC1-SRV6",
        ),
        (
            Failed { gave_up: true, holds, ..base() },
            "Healing does not help: the last rung has run and it is still down. Tries go on as far as the budget goes",
        ),
    ] {
        let text = compose(&notice(News::Failed(failed)), Language::En, &facts()).to_plain();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.last(), Some(&line));
        assert!(lines[lines.len() - 2].ends_with("connection refused). Timings: DNS 5 ms, TCP 10 ms"), "{text}");
    }
}

#[test]
fn every_alarm_fits_one_message_and_names_whom_it_is_about_in_every_language() {
    let long = "x".repeat(5000);
    let deed = || Deed::Refused { command: long.clone(), refusal: Refusal::Denied { by: long.clone() } };
    let cut = CutOff { key: long.clone(), answered: 1, of: 3, needed: 2 };
    let drill = Drill { by: long.clone(), really: true, deed: deed(), up: false };
    let of_pair = [
        News::Flapping { since: at(), changes: 12, window_s: 3600 },
        News::Unseen { since: at(), fault: Fault::new(Cause::Denied, long.as_str()), pairs: 1, of: 1 },
        News::SeenAgain { since: at(), until: at() },
        News::Expiring { ends: at(), days: 14 },
        News::Expiring { ends: at(), days: 0 },
        News::Settled { up: true },
        News::Settled { up: false },
        News::Retired { down_for: std::time::Duration::from_secs(90_061) },
        News::Aftercare { deed: deed() },
        News::Drill(drill),
    ];
    let of_agent = [
        News::Unseen { since: at(), fault: Fault::new(Cause::Network, long.as_str()), pairs: 200, of: 200 },
        News::SeenAgain { since: at(), until: at() },
        News::Storm { down: 3, of: 200 },
        News::StormOver { since: at(), down: 2 },
        News::CutOff(cut),
        News::Reconnected { key: long.clone(), since: at(), until: at() },
    ];
    for language in Language::ALL {
        for (pair, news) in of_pair.iter().map(|news| (true, news)).chain(of_agent.iter().map(|news| (false, news))) {
            let mut notice = notice(news.clone());
            notice.pair = notice.pair.filter(|_| pair);
            let rich = compose(&notice, language, &facts());
            let text = rich.to_plain();
            assert_eq!(text.lines().next().unwrap().contains("DC3-SRV4"), pair, "{text}");
            assert!(text.lines().count() == 2 && text.encode_utf16().count() <= Rich::MAX_UNITS / 2, "{text}");
            let many = digest(&[notice.clone(), notice_of("DC1:SRV1", News::Settled { up: true })], language, &facts());
            assert_eq!(many.to_plain().lines().count(), 4, "{}", many.to_plain());
        }
    }
}

#[test]
fn the_environment_of_a_server_stands_behind_its_pair() {
    for (language, expected) in [
        (Language::En, "Connection status of DC3-SRV4 [STAGE]: ⚠️ Down"),
        (Language::Ru, "Статус связи DC3-SRV4 [STAGE]: ⚠️ Нарушено"),
    ] {
        let news = News::Failed(failed(1, 30.0, Deed::Nothing));
        let notice = Notice { environment: Some(Environment::Stage), ..notice(news) };
        assert_eq!(compose(&notice, language, &facts()).to_plain().lines().next().unwrap(), expected);
    }
}
