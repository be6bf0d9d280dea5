//! Durations as people write them: `30`, `0.5`, `500ms`, `30s`, `5m`, `2h`, `1d`, `1m 30s`.

use std::fmt;
use std::time::Duration;

/// What a duration looks like, for "expected …".
pub const EXPECTED: &str = "a duration such as 30, 0.5, 500ms, 5m";

/// The longest duration: ten years; more is a slip of the finger and overflows timers.
pub const MAX: Duration = Duration::from_hours(3650 * 24);

/// Says why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// Not a number with a unit.
    #[error("{EXPECTED}")]
    Shape,
    /// Longer than [`MAX`].
    #[error("a duration of at most 3650d")]
    TooLong,
}

/// Nanoseconds in a unit, largest first.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Reads a number of seconds, or numbers with units from large to small; exact to the nanosecond.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let text = text.trim();
    if let Some(nanos) = scaled(text, 1_000_000_000) {
        return checked(nanos?);
    }
    let (mut rest, mut nanos, mut last) = (text, 0_u128, u128::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(BadDuration::Shape)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or(BadDuration::Shape)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters).ok_or(BadDuration::Shape)?;
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or(BadDuration::Shape)?;
        if scale >= last {
            return Err(BadDuration::Shape);
        }
        nanos = nanos.saturating_add(scaled(number, scale).ok_or(BadDuration::Shape)??);
        (rest, last) = (tail.trim_start_matches(' '), scale);
    }
    if last == u128::MAX { Err(BadDuration::Shape) } else { checked(nanos) }
}

fn checked(nanos: u128) -> Result<Duration, BadDuration> {
    if nanos > MAX.as_nanos() {
        return Err(BadDuration::TooLong);
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| BadDuration::TooLong)
}

/// Multiplies a plain decimal by a scale; none when it is not a plain decimal (`inf`, `1e3` and `-1` are not).
fn scaled(number: &str, scale: u128) -> Option<Result<u128, BadDuration>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !plain(whole) || !plain(fraction) {
        return None;
    }
    let value = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    // 14 digits of a day are finer than a nanosecond; what is behind them cannot matter.
    let fraction = fraction.get(..14).unwrap_or(fraction);
    let part = value(fraction)?.saturating_mul(scale) / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(match value(whole).and_then(|whole| whole.checked_mul(scale)) {
        Some(nanos) => Ok(nanos.saturating_add(part)),
        None => Err(BadDuration::TooLong),
    })
}

/// Shows a duration to people: `500ms`, `30s`, `67.5s` as `1m 7.5s`, `1d 2h`; finer than a millisecond is cut.
pub fn shown(duration: Duration) -> Shown {
    Shown(duration)
}

/// A duration that knows how to be read by people; [`parse`] reads it back to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        if seconds == 0 && millis > 0 {
            return write!(f, "{millis}ms");
        }
        let mut gap = "";
        for (count, unit) in [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m")] {
            if count > 0 {
                write!(f, "{gap}{count}{unit}")?;
                gap = " ";
            }
        }
        match (seconds % 60, millis) {
            (0, 0) if !gap.is_empty() => Ok(()),
            (rest, 0) => write!(f, "{gap}{rest}s"),
            (rest, millis) => write!(f, "{gap}{rest}.{}s", format!("{millis:03}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_and_units_are_read_exactly() {
        for (text, millis) in [
            ("30", 30_000),
            ("0.5", 500),
            (".5", 500),
            ("1.0", 1_000),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1.5h", 5_400_000),
            (" 1m 30s ", 90_000),
            ("1m30s", 90_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_what_was_expected() {
        for text in [
            "", "ten", "-1", "1e3", "inf", "NaN", "30 s", "5M", "1s1m", "1m1m", "m", ".", "1..2", "٣٠", "30s x",
            "1m 30",
        ] {
            assert_eq!(parse(text), Err(BadDuration::Shape), "{text}");
        }
        for text in ["4000d", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999d"] {
            assert_eq!(parse(text), Err(BadDuration::TooLong), "{text}");
        }
        assert_eq!(BadDuration::Shape.to_string(), "a duration such as 30, 0.5, 500ms, 5m");
    }

    #[test]
    fn people_read_it_in_their_units() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (30_000, "30s"),
            (90_000, "1m 30s"),
            (67_500, "1m 7.5s"),
            (1_050, "1.05s"),
            (7_200_000, "2h"),
            (93_600_000, "1d 2h"),
            (60_500, "1m 0.5s"),
        ] {
            assert_eq!(shown(Duration::from_millis(millis)).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0_u64..315_360_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&shown(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}|[0-9. dhms]{0,60}") {
            let _ = parse(&text);
        }
    }
}
