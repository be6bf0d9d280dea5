//! How windows are written, and what is said about those that are written wrongly.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::env::{Catalogue, Env, Names, Reader};

const NOW: &str = "2026-06-01T12:00Z";

fn pairs() -> Vec<PairName> {
    ["DC1:SRV5", "DC3:SRV4", "DC3:SRV5", "BOTH:BOTH"].map(|text| text.parse().unwrap()).to_vec()
}

/// What is read from a text by a machine in Berlin, and everything that is said about it.
fn read_from(text: &str, pairs: Option<&[PairName]>) -> (Option<Calendar>, Vec<String>) {
    let process = BTreeMap::from([("MAINTENANCE".to_owned(), text.to_owned())]);
    let env = Env::without_file(process);
    let reader = Reader::new(&env, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let around = Surroundings {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        now: NOW.parse().unwrap(),
        ..Surroundings::default()
    };
    let calendar = read(&reader.global(), pairs, &around);
    let names = Names::new([("DC3", "SRV4")]);
    let known = [MAINTENANCE.info()];
    let report = reader.finish(&Catalogue { known: &known, later: &[], names: &names });
    assert_eq!(calendar.is_none(), report.is_broken(), "{text:?}: {report}");
    let said = report.errors().chain(report.warnings());
    let said = said.map(|problem| problem.to_string().replacen("environment: MAINTENANCE: ", "", 1));
    (calendar, said.collect())
}

fn good(text: &str) -> Calendar {
    let (calendar, said) = read_from(text, Some(&pairs()));
    assert_eq!(said, [""; 0], "{text}");
    calendar.unwrap()
}

fn said(text: &str) -> Vec<String> {
    read_from(text, Some(&pairs())).1
}

/// The first two windows of a pair after now, in UTC.
fn ahead(calendar: &Calendar, pair: &str) -> String {
    let (pair, mut now, mut found) = (pair.parse().unwrap(), NOW.parse().unwrap(), Vec::new());
    while let Some((begin, end)) = calendar.next(&pair, now).filter(|_| found.len() < 2) {
        found.push(format!("{} to {}", begin.strftime("%a %m-%d %H:%M"), end.strftime("%m-%d %H:%M")));
        now = begin;
    }
    found.join(", ")
}

#[test]
fn each_way_to_write_a_window_is_read() {
    // Now it is Monday, and Berlin is two hours ahead of UTC.
    for (text, expected) in [
        ("Sun 02:00-04:00 Europe/Moscow", "Sat 06-06 23:00 to 06-07 01:00, Sat 06-13 23:00 to 06-14 01:00"),
        ("Sun 02:00-04:00", "Sun 06-07 00:00 to 06-07 02:00, Sun 06-14 00:00 to 06-14 02:00"),
        ("sunday 2:00 - 4:00 utc", "Sun 06-07 02:00 to 06-07 04:00, Sun 06-14 02:00 to 06-14 04:00"),
        ("Sun 02:00–04:00 UTC", "Sun 06-07 02:00 to 06-07 04:00, Sun 06-14 02:00 to 06-14 04:00"),
        ("daily 22:00-02:00 UTC", "Mon 06-01 22:00 to 06-02 02:00, Tue 06-02 22:00 to 06-03 02:00"),
        ("Fri-Mon 10:00-11:00 UTC", "Fri 06-05 10:00 to 06-05 11:00, Sat 06-06 10:00 to 06-06 11:00"),
        ("Sat, Sun 10:00-24:00 UTC", "Sat 06-06 10:00 to 06-07 00:00, Sun 06-07 10:00 to 06-08 00:00"),
        ("Sat,Sun 00:00-24:00 UTC", "Sat 06-06 00:00 to 06-08 00:00, Sat 06-13 00:00 to 06-15 00:00"),
        ("Tue,Thu-Fri 00:00-01:00 UTC", "Tue 06-02 00:00 to 06-02 01:00, Thu 06-04 00:00 to 06-04 01:00"),
        ("0 3 * * * 30m UTC", "Tue 06-02 03:00 to 06-02 03:30, Wed 06-03 03:00 to 06-03 03:30"),
        ("0 3 * * * 1h 30m", "Tue 06-02 01:00 to 06-02 02:30, Wed 06-03 01:00 to 06-03 02:30"),
        ("30 4 1-7 * + 2h UTC", ""),
        ("*/30 3 * * Sun 10m America/New York", ""),
        ("*/30 3 * * Sun 10m America/New_York", "Sun 06-07 07:00 to 06-07 07:10, Sun 06-07 07:30 to 06-07 07:40"),
        ("2026-12-01 02:00-04:00", "Tue 12-01 01:00 to 12-01 03:00"),
        ("2026-12-01 22:00-04:00 UTC", "Tue 12-01 22:00 to 12-02 04:00"),
        ("2026-12-01 22:00-24:00 UTC", "Tue 12-01 22:00 to 12-02 00:00"),
        ("2026-12-01 00:00-24:00 UTC", "Tue 12-01 00:00 to 12-02 00:00"),
        ("2026-12-01 22:00 - 2026-12-02 04:00 UTC", "Tue 12-01 22:00 to 12-02 04:00"),
        ("2026-12-01 22:00-2026-12-03 24:00", "Tue 12-01 21:00 to 12-03 23:00"),
        (
            "Sun 02:00-03:00 UTC; ; 0 3 * * Sun 1h UTC;",
            "Sun 06-07 02:00 to 06-07 04:00, Sun 06-14 02:00 to 06-14 04:00",
        ),
        ("Sun 02:00-03:00 UTC\nSun 03:00-04:00 UTC", "Sun 06-07 02:00 to 06-07 04:00, Sun 06-14 02:00 to 06-14 04:00"),
    ] {
        if expected.is_empty() {
            assert_eq!(said(text).len(), 1, "{text}");
        } else {
            assert_eq!(ahead(&good(text), "DC3:SRV4"), expected, "{text}");
        }
    }
    assert!(good("").is_empty() && good(" ;; ").is_empty());
}

#[test]
fn names_before_a_colon_say_whom_a_window_is_for() {
    let for_whom = |names: &str| {
        let calendar = good(&format!("{names}daily 00:00-23:00"));
        let covered = |pair: &PairName| calendar.until(pair, NOW.parse().unwrap()).is_some();
        pairs().into_iter().filter(covered).map(|pair| pair.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(for_whom(""), "DC1-SRV5 DC3-SRV4 DC3-SRV5 BOTH-BOTH");
    for (names, whom) in [
        ("DC3: ", "DC3-SRV4 DC3-SRV5"),
        ("DC3:", "DC3-SRV4 DC3-SRV5"),
        ("SRV5: ", "DC1-SRV5 DC3-SRV5"),
        ("DC3:SRV5: ", "DC3-SRV5"),
        ("DC3-SRV5: ", "DC3-SRV5"),
        ("DC3:SRV5:", "DC3-SRV5"),
        ("DC3 : SRV5: ", "DC3-SRV5"),
        ("DC3-SRV5, DC1 : ", "DC1-SRV5 DC3-SRV5"),
        ("DC3:SRV5,DC1:", "DC1-SRV5 DC3-SRV5"),
        ("BOTH: ", "BOTH-BOTH"),
    ] {
        assert_eq!(for_whom(names), whom, "{names}");
    }
    let cron = ahead(&good("DC3:0 3 1 * * 30m UTC"), "DC3:SRV4");
    assert_eq!(cron, "Wed 07-01 03:00 to 07-01 03:30, Sat 08-01 03:00 to 08-01 03:30");
    assert_eq!(ahead(&good("DC3-SRV4:2026-12-01 02:00-04:00 UTC"), "DC3:SRV4"), "Tue 12-01 02:00 to 12-01 04:00");
}

#[test]
fn what_is_written_wrongly_is_quoted_with_what_is_expected() {
    let shape = EXPECTED_SHAPE;
    let stories: [(&str, &str); 28] = [
        ("Sun", "in `Sun` there are no days, or no times; SHAPE"),
        ("Sun 2-4", "in `Sun 2-4` `2-4` are no times; write from and to, `02:00-04:00`; the end may be `24:00`"),
        ("Sun 02:00", "in `Sun 02:00` `02:00` are no times; write from and to, `02:00-04:00`; the end may be `24:00`"),
        (
            "Sun 24:00-25:00",
            "in `Sun 24:00-25:00` `24:00-25:00` are no times; write from and to, `02:00-04:00`; the end may be `24:00`",
        ),
        (
            "Sun 02:00-02:00",
            "in `Sun 02:00-02:00` `02:00-02:00` ends when it begins; write `00:00-24:00` for a whole day",
        ),
        (
            "02:00-04:00",
            "in `02:00-04:00` no day is given; write `daily 02:00-04:00`, or the days: `Sat,Sun 02:00-04:00`",
        ),
        (
            "Son 02:00-04:00",
            "in `Son 02:00-04:00` `Son` is no day of the week; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range such as `Mon-Fri`, or `daily`",
        ),
        (
            "Mon-Xyz 02:00-04:00",
            "in `Mon-Xyz 02:00-04:00` `Xyz` is no day of the week; write Mon, Tue, Wed, Thu, Fri, Sat, Sun, a range such as `Mon-Fri`, or `daily`",
        ),
        (
            "Sun 02:00-04:00 Moscow",
            "in `Sun 02:00-04:00 Moscow` there is no time zone `Moscow`; did you mean `Europe/Moscow`?",
        ),
        (
            "Sun 02:00-04:00 Narnia",
            "in `Sun 02:00-04:00 Narnia` there is no time zone `Narnia`; write one of the IANA database, such as Europe/Moscow",
        ),
        (
            "0 3 * * * 30m Europe/Berlln",
            "in `0 3 * * * 30m Europe/Berlln` there is no time zone `Europe/Berlln`; did you mean `Europe/Berlin`?",
        ),
        (
            "0 3 * * *",
            "in `0 3 * * *` after the five fields of the cron pattern there is no duration; write how long it lasts, such as `0 3 * * * 30m`",
        ),
        (
            "0 0 3 * * * 30m",
            "in `0 0 3 * * * 30m` after the five fields of the cron pattern there is no duration; write how long it lasts, such as `0 0 3 * * 30m`",
        ),
        (
            "0 3 * * * 30x",
            "in `0 3 * * * 30x` `30x` is no duration of 1m to 31d; after the five fields of a cron pattern write how long it lasts, such as `30m` or `2h`",
        ),
        (
            "0 3 * * * 40d",
            "in `0 3 * * * 40d` `40d` is no duration of 1m to 31d; after the five fields of a cron pattern write how long it lasts, such as `30m` or `2h`",
        ),
        (
            "0 3 * * * 30",
            "in `0 3 * * * 30` `30` is no duration of 1m to 31d; after the five fields of a cron pattern write how long it lasts, such as `30m` or `2h`",
        ),
        ("* *", "in `* *` there is no day, no date, and a cron pattern has five fields; SHAPE"),
        (
            "0 0 30 2 * 30m",
            "in `0 0 30 2 * 30m` the cron pattern `0 0 30 2 *` has no time at all; minute, hour, day of month, month and day of week are expected, such as `0 3 * * Sun`",
        ),
        ("2026-12-01", "in `2026-12-01` there is a date, and no times; SHAPE"),
        (
            "2026-13-01 02:00-04:00",
            "in `2026-13-01 02:00-04:00` `2026-13-01` is no date; write year, month and day: `2026-12-01`",
        ),
        (
            "01.12.2026 02:00-04:00",
            "in `01.12.2026 02:00-04:00` `01.12.2026` is no date; write year, month and day: `2026-12-01`",
        ),
        (
            "2026-12-01 22:00-2026-12-02",
            "in `2026-12-01 22:00-2026-12-02` there is a second date, and no time after it; SHAPE",
        ),
        (
            "2026-12-02 22:00-2026-12-01 04:00",
            "in `2026-12-02 22:00-2026-12-01 04:00` the end is not later than the beginning; mend the dates",
        ),
        (
            "2026-12-02 22:00-2028-12-01 04:00",
            "in `2026-12-02 22:00-2028-12-01 04:00` it lasts longer than a year; mend the dates",
        ),
        ("DC9: Sun 02:00-04:00", "in `DC9: Sun 02:00-04:00` nothing is called `DC9`; NAMES"),
        ("DC1:SRV4: Sun 02:00-04:00", "in `DC1:SRV4: Sun 02:00-04:00` nothing is called `DC1:SRV4`; NAMES"),
        (", DC1: Sun 02:00-04:00", "in `, DC1: Sun 02:00-04:00` a name before the `:` is empty; NAMES"),
        ("DC3:", "in `DC3:` no time is given; SHAPE"),
    ];
    let names = "MAPPINGS has the sites BOTH, DC1, DC3, the servers BOTH, SRV4, SRV5 and the pairs BOTH-BOTH, DC1-SRV5, \
                 DC3-SRV4, DC3-SRV5";
    for (text, expected) in stories {
        assert_eq!(said(text), [expected.replace("SHAPE", shape).replace("NAMES", names)], "{text}");
    }
    let unread = said("61 3 * * * 30m");
    assert!(
        unread.len() == 1
            && unread[0].starts_with("in `61 3 * * * 30m` the cron pattern `61 3 * * *` cannot be read: ")
    );
}

/// What a window looks like.
const EXPECTED_SHAPE: &str =
    "write `Sun 02:00-04:00`, `0 3 * * * 30m` or `2026-12-01 02:00-04:00`, and a time zone behind it if need be";

#[test]
fn every_problem_of_every_window_is_told_at_once() {
    let text = "DC9, DC8: Son 02:00-04:00; Sun 02:00-04:00; SRV4: 0 3 * * *; 2025-01-01 02:00-04:00";
    let told = said(text);
    assert_eq!(told.len(), 5, "{told:#?}");
    for part in ["`DC9`", "`DC8`", "`Son`", "no duration", "is over since 2025-01-01 04:00 CET"] {
        assert!(told.iter().any(|line| line.contains(part)), "{part} in {told:#?}");
    }
}

#[test]
fn what_is_over_or_never_ends_is_warned_about_and_starts() {
    let (calendar, told) = read_from("2026-05-31 22:00 - 2026-06-01 13:59", Some(&pairs()));
    assert_eq!(
        told,
        [
            "`2026-05-31 22:00 - 2026-06-01 13:59` is over since 2026-06-01 13:59 CEST; remove it, or write the date that you mean"
        ]
    );
    assert!(calendar.is_some());
    assert_eq!(said("2026-05-31 22:00 - 2026-06-01 14:01"), [""; 0]);
    let always = said("DC3: daily 00:00-24:00");
    assert_eq!(
        always,
        ["`DC3: daily 00:00-24:00` is open all the time; shorten it, unless no command is ever to run there"]
    );
}

#[test]
fn names_are_not_judged_when_there_are_no_pairs_to_judge_them_by() {
    let (calendar, told) = read_from("DC9: Sun 02:00-04:00", None);
    assert!(calendar.is_some() && told.is_empty(), "{told:?}");
}

#[test]
fn a_text_from_outside_is_quoted_escaped_and_capped() {
    let told = said(&format!("Sun \u{1b}[2J{}", "x".repeat(10_000)));
    assert!(told.len() == 1 && told[0].len() < 600 && !told[0].contains('\u{1b}'), "{told:?}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[0-9:;,*/ #LW+?a-zA-Z.-]{0,60}|([0-9*,/LW#-]{1,6} ){5}[0-9]{1,4}[mhd]( UTC)?") {
        let (calendar, _) = read_from(&text, Some(&pairs()));
        if let Some(calendar) = calendar {
            let (pair, now) = ("DC3:SRV4".parse().unwrap(), NOW.parse::<Timestamp>().unwrap());
            let end = calendar.until(&pair, now);
            prop_assert!(end.is_none_or(|end| end > now));
            prop_assert!(calendar.next(&pair, now).is_none_or(|(begin, end)| now < begin && begin < end));
        }
    }
}
