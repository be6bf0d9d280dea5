//! Stories of windows, the days on which clocks are set, and properties held against the clock itself.

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Unit};
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn pair(text: &str) -> PairName {
    text.parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// `2026-03-29T03:00+02:00`.
fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn masked(mask: u8) -> Days {
    let all = (0_i8..7).filter(|day| mask & (1 << day) != 0);
    all.map(|day| Weekday::from_monday_zero_offset(day).unwrap()).fold(Days::default(), Days::with)
}

fn days(text: &str) -> Days {
    let all = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
    let all = all.into_iter().chain([Weekday::Saturday, Weekday::Sunday]);
    all.filter(|day| text.contains(&format!("{day:?}")[..3])).fold(Days::default(), Days::with)
}

fn weekly(on: &str, from: &str, to: &str, clock: &str) -> Kind {
    let days = if on == "daily" { Days::ALL } else { days(on) };
    Kind::Weekly(Weekly { days, from: time(from), to: time(to), zone: zone(clock) })
}

fn cron(pattern: &str, minutes: i64, clock: &str) -> Kind {
    let cron = Cron::new(pattern.parse().unwrap(), SignedDuration::from_mins(minutes), zone(clock));
    Kind::Cron(Box::new(cron.unwrap()))
}

fn once(begin: &str, end: &str, clock: &str) -> Kind {
    Kind::Once(Once::new(&zone(clock), begin.parse().unwrap(), end.parse().unwrap()).unwrap())
}

fn calendar(kinds: Vec<Kind>) -> Calendar {
    Calendar::new(kinds.into_iter().map(|kind| Window { scope: Vec::new(), kind }).collect())
}

/// The next maintenances after a moment, each as when it begins and ends, in UTC.
fn ahead(calendar: &Calendar, from: &str, count: usize) -> Vec<String> {
    let (mut now, mut found) = (at(from), Vec::new());
    for _ in 0..count {
        let Some((begin, end)) = calendar.next(&pair("DC3:SRV4"), now) else { break };
        assert_eq!(calendar.until(&pair("DC3:SRV4"), begin), Some(end));
        found.push(format!("{} {}", begin.strftime("%m-%d %H:%M"), end.strftime("%m-%d %H:%M")));
        now = begin;
    }
    found
}

#[test]
fn windows_open_and_close_as_they_are_written() {
    // A Thursday.
    let from = "2026-01-01T12:00Z";
    let stories: Vec<(&str, Vec<Kind>, Vec<&str>)> = vec![
        (
            "on one day of the week, by the clock of its zone",
            vec![weekly("Sun", "02:00", "04:00", "Europe/Moscow")],
            vec!["01-03 23:00 01-04 01:00", "01-10 23:00 01-11 01:00"],
        ),
        (
            "past midnight it closes on the next day",
            vec![weekly("Fri", "22:00", "02:00", "UTC")],
            vec!["01-02 22:00 01-03 02:00", "01-09 22:00 01-10 02:00"],
        ),
        (
            "up to midnight",
            vec![weekly("Fri", "22:00", "00:00", "UTC")],
            vec!["01-02 22:00 01-03 00:00", "01-09 22:00 01-10 00:00"],
        ),
        (
            "two whole days that touch are one",
            vec![weekly("Sat Sun", "00:00", "00:00", "UTC")],
            vec!["01-03 00:00 01-05 00:00", "01-10 00:00 01-12 00:00"],
        ),
        (
            "windows that overlap are one, whatever their kind",
            vec![
                weekly("Fri", "01:00", "03:00", "UTC"),
                cron("30 2 * * 5", 60, "UTC"),
                once("2026-01-02T03:30", "2026-01-02T04:00", "UTC"),
            ],
            vec!["01-02 01:00 01-02 04:00", "01-09 01:00 01-09 03:30"],
        ),
        (
            "windows with a minute between them are two",
            vec![weekly("Fri", "01:00", "02:00", "UTC"), weekly("Fri", "02:01", "03:00", "UTC")],
            vec!["01-02 01:00 01-02 02:00", "01-02 02:01 01-02 03:00"],
        ),
        (
            "a cron pattern and how long it lasts",
            vec![cron("0 3 * * *", 30, "Europe/Berlin")],
            vec!["01-02 02:00 01-02 02:30", "01-03 02:00 01-03 02:30"],
        ),
        (
            "a cron pattern that comes again before it is over",
            vec![cron("0 1,2 * * *", 90, "UTC")],
            vec!["01-02 01:00 01-02 03:30", "01-03 01:00 01-03 03:30"],
        ),
        (
            "a cron pattern of one day in the month, for days",
            vec![cron("0 0 15 * *", 3 * 24 * 60, "UTC")],
            vec!["01-15 00:00 01-18 00:00", "02-15 00:00 02-18 00:00"],
        ),
        (
            "once, and never again",
            vec![once("2026-12-01T22:00", "2026-12-02T04:00", "UTC")],
            vec!["12-01 22:00 12-02 04:00"],
        ),
        ("once, and over", vec![once("2025-12-01T22:00", "2025-12-02T04:00", "UTC")], vec![]),
        ("nothing planned", vec![], vec![]),
    ];
    for (name, kinds, expected) in stories {
        assert_eq!(ahead(&calendar(kinds), from, 2), expected, "{name}");
    }
}

#[test]
fn a_window_is_open_from_its_first_moment_up_to_its_last() {
    let calendar = calendar(vec![weekly("Sun", "02:00", "04:00", "UTC")]);
    let until = |now: &str| calendar.until(&pair("DC3:SRV4"), at(now));
    let end = Some(at("2026-01-04T04:00Z"));
    assert_eq!(until("2026-01-04T01:59:59.999999999Z"), None);
    assert_eq!(until("2026-01-04T02:00Z"), end);
    assert_eq!(until("2026-01-04T03:59:59.999999999Z"), end);
    assert_eq!(until("2026-01-04T04:00Z"), None);
}

#[test]
fn a_window_is_for_those_it_names() {
    let named = |scope: Vec<Scope>| {
        let always = weekly("daily", "00:00", "00:00", "UTC");
        let calendar = Calendar::new(vec![Window { scope, kind: always }]);
        let pairs = ["DC1:SRV4", "DC3:SRV4", "DC3:SRV5", "SRV4:DC3"];
        let covered = |text: &&str| calendar.until(&pair(text), at("2026-01-01T12:00Z")).is_some();
        pairs.into_iter().filter(covered).collect::<Vec<_>>().join(" ")
    };
    let site = || Scope::Site(SiteName::new("DC3").unwrap());
    let server = || Scope::Server(ServerName::new("SRV4").unwrap());
    assert_eq!(named(vec![]), "DC1:SRV4 DC3:SRV4 DC3:SRV5 SRV4:DC3");
    assert_eq!(named(vec![site()]), "DC3:SRV4 DC3:SRV5");
    assert_eq!(named(vec![server()]), "DC1:SRV4 DC3:SRV4");
    assert_eq!(named(vec![Scope::Pair(pair("DC3:SRV4"))]), "DC3:SRV4");
    assert_eq!(named(vec![site(), server()]), "DC1:SRV4 DC3:SRV4 DC3:SRV5");
}

/// The one maintenance of a day on which the clock is set; the rule is in docs/decisions/0015.
#[test]
fn on_the_day_on_which_the_clock_is_set_a_window_is_open_while_the_clock_shows_its_times() {
    let stories = [
        // Berlin, 29 March 2026: 02:00 is 03:00 at 01:00 UTC.
        ("Europe/Berlin", "2026-03-28T23:00Z", "02:00", "04:00", "03-29 01:00 03-29 02:00", "begins at the jump"),
        ("Europe/Berlin", "2026-03-28T23:00Z", "01:00", "02:30", "03-29 00:00 03-29 01:00", "ends at the jump"),
        ("Europe/Berlin", "2026-03-28T23:00Z", "01:00", "04:00", "03-29 00:00 03-29 02:00", "is an hour shorter"),
        (
            "Europe/Berlin",
            "2026-03-28T23:00Z",
            "02:00",
            "03:00",
            "03-29 01:00 03-29 02:00",
            "skipped, held after the jump",
        ),
        (
            "Europe/Berlin",
            "2026-03-28T23:00Z",
            "02:15",
            "02:45",
            "03-29 01:00 03-29 01:30",
            "skipped, held after the jump",
        ),
        ("Europe/Berlin", "2026-03-28T23:00Z", "03:00", "04:00", "03-29 01:00 03-29 02:00", "not touched"),
        // Berlin, 25 October 2026: 03:00 is 02:00 at 01:00 UTC.
        ("Europe/Berlin", "2026-10-24T22:00Z", "02:00", "04:00", "10-25 00:00 10-25 03:00", "is an hour longer"),
        (
            "Europe/Berlin",
            "2026-10-24T22:00Z",
            "02:15",
            "02:45",
            "10-25 00:15 10-25 01:45",
            "from the first to the last",
        ),
        ("Europe/Berlin", "2026-10-24T22:00Z", "01:00", "02:30", "10-24 23:00 10-25 01:30", "up to the last"),
        ("Europe/Berlin", "2026-10-24T22:00Z", "02:30", "03:00", "10-25 00:30 10-25 02:00", "from the first"),
        // New York, 8 March 2026: 02:00 is 03:00 at 07:00 UTC; 1 November: 02:00 is 01:00 at 06:00 UTC.
        ("America/New_York", "2026-03-08T04:00Z", "02:00", "04:00", "03-08 07:00 03-08 08:00", "begins at the jump"),
        (
            "America/New_York",
            "2026-03-08T04:00Z",
            "23:00",
            "02:30",
            "03-08 04:00 03-08 07:00",
            "over midnight to the jump",
        ),
        ("America/New_York", "2026-11-01T03:00Z", "02:00", "04:00", "11-01 07:00 11-01 09:00", "not touched"),
        ("America/New_York", "2026-11-01T03:00Z", "01:00", "02:00", "11-01 05:00 11-01 07:00", "both passes"),
        // Lord Howe, 4 October 2026: 02:00 is 02:30 at 15:30 UTC; 5 April: 02:00 is 01:30 at 15:00 UTC.
        ("Australia/Lord_Howe", "2026-10-03T12:00Z", "02:00", "04:00", "10-03 15:30 10-03 17:00", "begins at the jump"),
        (
            "Australia/Lord_Howe",
            "2026-10-03T12:00Z",
            "02:00",
            "02:30",
            "10-03 15:30 10-03 16:00",
            "skipped, held after",
        ),
        ("Australia/Lord_Howe", "2026-04-04T12:00Z", "02:00", "04:00", "04-04 15:30 04-04 17:30", "not touched"),
        ("Australia/Lord_Howe", "2026-04-04T12:00Z", "01:30", "02:00", "04-04 14:30 04-04 15:30", "both passes"),
        // Apia had no 30 December 2011.
        (
            "Pacific/Apia",
            "2011-12-30T09:59Z",
            "02:00",
            "04:00",
            "12-30 10:00 12-30 14:00",
            "skipped, joined with the next",
        ),
    ];
    for (clock, from, begin, end, expected, name) in stories {
        // Just before, so that what opens at that very moment is found.
        let from = at(from).checked_sub(1.second()).unwrap().to_string();
        let found = ahead(&calendar(vec![weekly("daily", begin, end, clock)]), &from, 1);
        assert_eq!(found, [expected], "{clock} {begin}-{end}: {name}");
    }
}

#[test]
fn on_that_day_a_cron_pattern_opens_whenever_the_clock_shows_its_time() {
    type Story = (&'static str, &'static str, i64, &'static str, &'static [&'static str], &'static str);
    let stories: [Story; 7] = [
        ("Europe/Berlin", "30 2 * * *", 20, "2026-03-28T23:00Z", &["03-29 01:00 03-29 01:20"], "skipped: at the jump"),
        (
            "Europe/Berlin",
            "30 2 * * *",
            20,
            "2026-10-24T22:00Z",
            &["10-25 00:30 10-25 00:50", "10-25 01:30 10-25 01:50"],
            "twice",
        ),
        ("Europe/Berlin", "0 2 * * *", 90, "2026-10-24T22:00Z", &["10-25 00:00 10-25 02:30"], "twice, joined"),
        ("Europe/Berlin", "0 3 * * *", 30, "2026-03-28T23:00Z", &["03-29 01:00 03-29 01:30"], "at the jump"),
        (
            "America/New_York",
            "15 * * * *",
            5,
            "2026-11-01T05:00Z",
            &["11-01 05:15 11-01 05:20", "11-01 06:15 11-01 06:20", "11-01 07:15 11-01 07:20"],
            "in both passes",
        ),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            10,
            "2026-04-04T14:00Z",
            &["04-04 14:45 04-04 14:55", "04-04 15:15 04-04 15:25"],
            "twice, half an hour apart",
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            10,
            "2026-10-03T14:00Z",
            &["10-03 15:30 10-03 15:40"],
            "skipped: at the jump",
        ),
    ];
    for (clock, pattern, minutes, from, expected, name) in stories {
        let found = ahead(&calendar(vec![cron(pattern, minutes, clock)]), from, expected.len());
        assert_eq!(found, expected, "{clock} {pattern}: {name}");
    }
}

#[test]
fn what_never_ends_is_said_and_has_some_end_all_the_same() {
    let now = at("2026-01-01T12:00Z");
    for kind in [
        weekly("daily", "00:00", "00:00", "UTC"),
        cron("*/5 * * * *", 5, "UTC"),
        cron("* * * * *", 1, "Europe/Berlin"),
        cron("0 0 * * 0", 7 * 24 * 60, "UTC"),
    ] {
        let window = Window { scope: Vec::new(), kind };
        assert!(window.is_always_open(now), "{window:?}");
        let end = Calendar::new(vec![window]).until(&pair("DC3:SRV4"), now).unwrap();
        assert!(end > now && end < at("2026-03-01T00:00Z"), "{end}");
    }
    for kind in [
        weekly("Mon Tue Wed Thu Fri Sat", "00:00", "00:00", "UTC"),
        cron("* 0-22 * * *", 1, "UTC"),
        once("2026-01-01T00:00", "2026-12-01T00:00", "UTC"),
    ] {
        assert!(!Window { scope: Vec::new(), kind }.is_always_open(now));
    }
    assert!(Cron::new("0 0 30 2 *".parse().unwrap(), SignedDuration::from_hours(1), TimeZone::UTC).is_none());
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let all = calendar(vec![
        weekly("daily", "00:00", "00:00", "Europe/Berlin"),
        cron("0 0 29 2 *", 60, "Europe/Berlin"),
        once("9999-12-30T00:00", "9999-12-30T12:00", "UTC"),
    ]);
    for now in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        let _ = (all.until(&pair("DC3:SRV4"), now), all.next(&pair("DC3:SRV4"), now));
    }
}

/// Zones and days on which their clocks are set.
const SET: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-29T01:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("America/New_York", "2026-03-08T07:00Z"),
    ("America/New_York", "2026-11-01T06:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    // At midnight, and over it: the day before is shown again.
    ("America/St_Johns", "2006-10-29T02:31Z"),
    ("UTC", "2026-01-01T00:00Z"),
];

fn of_day(minute: u16) -> Time {
    Time::new(i8::try_from(minute / 60).unwrap(), i8::try_from(minute % 60).unwrap(), 0, 0).unwrap()
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let clock = || prop::sample::select(SET.map(|(clock, _)| clock).to_vec()).prop_map(zone);
    let weekly = (clock(), 1_u8..128, 0_u16..1440, 1_u16..1440).prop_map(|(zone, days, from, length)| {
        let to = of_day((from + length) % 1440);
        Kind::Weekly(Weekly { days: masked(days), from: of_day(from), to, zone })
    });
    let patterns = ["0 3 * * *", "30 1,2 * * *", "*/20 2 * * *", "15 * * * *", "0 0 * * Sun", "59 23 29 * *"];
    let cron = (clock(), prop::sample::select(patterns.to_vec()), 1_i64..200).prop_map(|(zone, pattern, minutes)| {
        let cron = Cron::new(pattern.parse().unwrap(), SignedDuration::from_mins(minutes), zone).unwrap();
        Kind::Cron(Box::new(cron))
    });
    let once = (clock(), 0_i64..4000, 1_i64..4000).prop_map(|(zone, after, minutes)| {
        let begin = "2026-10-24T00:00".parse::<DateTime>().unwrap() + after.minutes();
        Kind::Once(Once::new(&zone, begin, begin + minutes.minutes()).unwrap())
    });
    prop_oneof![weekly, cron, once]
}

fn any_moment() -> impl Strategy<Value = Timestamp> {
    (prop::sample::select(SET.to_vec()), -400_000_i64..400_000)
        .prop_map(|((_, set), seconds)| at(set) + SignedDuration::from_secs(seconds))
}

proptest! {
    #[test]
    fn an_end_is_later_than_now_and_truly_one(kinds in prop::collection::vec(any_kind(), 0..4), now in any_moment()) {
        let always = kinds.iter().any(|kind| Window { scope: Vec::new(), kind: kind.clone() }.is_always_open(now));
        let (calendar, pair) = (calendar(kinds), pair("DC3:SRV4"));
        if let Some(end) = calendar.until(&pair, now) {
            prop_assert!(end > now);
            // Several may leave no gap together, if none does alone.
            let bounded = end >= now + FAR;
            prop_assert!(always || bounded || calendar.until(&pair, end).is_none(), "{:?} {end}", calendar);
        }
        if let Some((begin, end)) = calendar.next(&pair, now) {
            prop_assert!(now < begin && begin < end);
            prop_assert_eq!(calendar.until(&pair, begin), Some(end));
            let before = begin - SignedDuration::from_nanos(1);
            prop_assert!(before <= now || always || calendar.until(&pair, before).is_none());
        }
    }

    #[test]
    fn nothing_opens_between_now_and_the_next_time(kind in any_kind(), now in any_moment(), part in 0.0_f64..1.0) {
        let (calendar, pair) = (calendar(vec![kind]), pair("DC3:SRV4"));
        let free = calendar.until(&pair, now).unwrap_or(now);
        if let Some((begin, _)) = calendar.next(&pair, now) {
            let between = free + (begin - free).total(Unit::Second).map(|s| SignedDuration::from_secs_f64(s * part)).unwrap();
            prop_assert!(between >= begin || calendar.until(&pair, between).is_none(), "{between} is open");
        }
    }

    /// The clock on the wall decides: no command runs while it shows a time of the window.
    #[test]
    fn a_weekly_window_is_open_at_each_moment_at_which_the_clock_shows_its_times(
        (clock, set) in prop::sample::select(SET.to_vec()),
        from in 0_u16..1440, length in 1_u16..1440, minutes in -2000_i64..2000,
    ) {
        let zone = zone(clock);
        let now = at(set) + SignedDuration::from_mins(minutes);
        let (begin, end) = (of_day(from), of_day((from + length) % 1440));
        let kind = Kind::Weekly(Weekly { days: Days::ALL, from: begin, to: end, zone: zone.clone() });
        let open = kind.closes(now).is_some();
        let shown = zone.to_datetime(now).time();
        let inside = if begin < end { begin <= shown && shown < end } else { shown >= begin || shown < end };
        prop_assert!(open || !inside, "{shown} is in {begin}-{end}, and it is closed");
        // Away from the jump it is open then only.
        if minutes.abs() > 1500 + 120 {
            prop_assert_eq!(open, inside);
        }
    }

    /// The same for a cron pattern, minute by minute.
    #[test]
    fn a_cron_window_is_open_for_its_duration_after_each_minute_the_clock_shows(
        (clock, set) in prop::sample::select(SET.to_vec()),
        pattern in prop::sample::select(vec!["30 2 * * *", "*/20 1-3 * * *", "15 * * * *", "0 0 * * *", "45 23 * * *"]),
        lasts in 1_i64..150, minutes in -300_i64..300,
    ) {
        let zone = zone(clock);
        let now = at(set) + SignedDuration::from_mins(minutes);
        let starts: croner::Cron = pattern.parse().unwrap();
        let opens_at = |moment: Timestamp| {
            let (before, shown) = (zone.to_datetime(moment - SignedDuration::from_mins(1)), zone.to_datetime(moment));
            // What the clock jumps over begins at the jump.
            let skipped = (1..).map(|n| before + i64::from(n).minutes()).take_while(|time| *time < shown);
            std::iter::once(shown).chain(skipped).any(|time| starts.is_time_matching(&time).unwrap())
        };
        let open = (0..lasts).any(|ago| opens_at(now - SignedDuration::from_mins(ago)));
        let kind = cron(pattern, lasts, clock);
        prop_assert_eq!(kind.closes(now).is_some(), open, "{}", now);
        let first = (1..3000).map(|ahead| now + SignedDuration::from_mins(ahead)).find(|moment| opens_at(*moment));
        prop_assert_eq!(kind.opens(now), first);
    }
}
