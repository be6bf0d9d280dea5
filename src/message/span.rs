//! Numbers, lengths of time and moments as people read them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::catalogue::{Catalogue, fields, own};

/// Writes seconds in their shortest form: `30`, `67.5`, `101.25`. Anything below a microsecond is arithmetic noise.
pub fn seconds(duration: Duration) -> String {
    number((duration.as_secs_f64() * 1e6).round() / 1e6)
}

/// Writes a factor in its shortest form: `1.5`, and `2` (not Python's `2.0`) for 2.0, like every other number here.
pub fn number(n: f64) -> String {
    format!("{n}")
}

/// Writes a length of time in its two largest units: `2 h 5 min`; below ten seconds with tenths.
pub fn span(duration: Duration, words: &Catalogue) -> String {
    let whole = duration.as_secs();
    if whole < 10 {
        let tenths = (duration.as_secs_f64() * 10.0).round() / 10.0;
        return unit("unit-s", &number(tenths), words);
    }
    let parts = [
        ("unit-d", whole / 86_400),
        ("unit-h", whole / 3600 % 24),
        ("unit-m", whole / 60 % 60),
        ("unit-s", whole % 60),
    ];
    let largest = parts.iter().position(|(_, n)| *n > 0).unwrap_or(0);
    let shown = parts.iter().skip(largest).take(2).filter(|(_, n)| *n > 0);
    shown.map(|(id, n)| unit(id, &n.to_string(), words)).collect::<Vec<_>>().join(" ")
}

fn unit(id: &str, n: &str, words: &Catalogue) -> String {
    words.text(id, &fields([("n", own(n))]))
}

/// Writes a moment in the reader's zone: `2023-10-15 12:30:45`, as the log does.
pub fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Language;

    #[test]
    fn seconds_are_written_in_their_shortest_form() {
        for (ms, text) in [(30_000, "30"), (67_500, "67.5"), (101_250, "101.25"), (500, "0.5"), (0, "0")] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
        assert_eq!(seconds(Duration::from_secs_f64(341.718_75)), "341.71875");
        assert_eq!(seconds(Duration::from_secs_f64(0.1 * 1.1 * 1.1)), "0.121");
        assert_eq!((number(2.0), number(1.5)), ("2".into(), "1.5".into()));
    }

    #[test]
    fn a_length_of_time_shows_its_two_largest_units() {
        let words = Catalogue::of(Language::En);
        for (secs, text) in [
            (0.04, "0 s"),
            (4.26, "4.3 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (330.0, "5 min 30 s"),
            (7205.0, "2 h"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(secs), words), text);
        }
    }

    #[test]
    fn a_moment_is_shown_in_the_readers_zone() {
        let zone = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(moment("2023-10-15T09:30:45Z".parse().unwrap(), &zone), "2023-10-15 12:30:45");
    }
}
