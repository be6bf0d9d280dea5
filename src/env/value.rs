//! Ready-made parsers for keys: text → type, or what was expected. Grammars of one kind (URLs, chats) live with that kind.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::duration;
use super::secret::Secret;

/// Reads yes or no, as people write it.
pub fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Ok(true),
        "false" | "no" | "0" | "off" => Ok(false),
        _ => Err("expected true or false (also yes, no, on, off, 1, 0)".to_owned()),
    }
}

/// Reads a duration, zero allowed.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| format!("expected {error}"))
}

/// Reads a duration within bounds.
pub fn duration_in(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let value = duration(text)?;
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "expected {} between {} and {}",
        duration::EXPECTED,
        duration::shown(*bounds.start()),
        duration::shown(*bounds.end())
    ))
}

/// Reads a duration above zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.is_zero() { Err(format!("expected {}, above 0", duration::EXPECTED)) } else { Ok(value) }
}

/// Reads a whole number within bounds.
pub fn whole<N: FromStr + PartialOrd + Display>(text: &str, bounds: &RangeInclusive<N>) -> Result<N, String> {
    let number = text.trim().parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("expected a whole number from {} to {}", bounds.start(), bounds.end()))
}

/// Reads a TCP or UDP port.
pub fn port(text: &str) -> Result<u16, String> {
    whole(text, &(1..=u16::MAX)).map_err(|_| "expected a port from 1 to 65535".to_owned())
}

/// Reads a plain number, fractions allowed, within bounds; `inf` and `NaN` are no numbers here.
pub fn number(text: &str, bounds: &RangeInclusive<f64>) -> Result<f64, String> {
    let plain = text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && bounds.contains(n));
    plain.ok_or_else(|| {
        if bounds.end().is_finite() {
            format!("expected a number from {} to {}", bounds.start(), bounds.end())
        } else {
            format!("expected a number of at least {}", bounds.start())
        }
    })
}

/// Reads any text; blanks around it go.
pub fn text(text: &str) -> Result<String, String> {
    Ok(text.trim().to_owned())
}

/// Reads a text that must stay on one line: a host, a user, a name.
pub fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(char::is_control) { Err("expected one line of text".to_owned()) } else { Ok(text.to_owned()) }
}

/// Reads a secret as it is: blanks may belong to it.
pub fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::from(text))
}

/// Reads a path.
pub fn path(text: &str) -> Result<PathBuf, String> {
    line(text).map(PathBuf::from).map_err(|_| "expected a path".to_owned())
}

/// Reads `a, b, c`; empty items are passed over, and the expectation of a bad one is kept.
pub fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(item).collect()
}

/// Reads one of a few words, in any case of letters.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let text = text.trim();
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("expected one of: {}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parser_takes_what_people_write_and_says_what_it_expected() {
        assert_eq!(flag(" Yes "), Ok(true));
        assert_eq!(flag("0"), Ok(false));
        assert!(flag("maybe").unwrap_err().contains("true or false"));
        assert_eq!(port("2222"), Ok(2222));
        assert_eq!(port("0"), port("65536"));
        assert_eq!(whole("3", &(1_u32..=10)), Ok(3));
        assert_eq!(whole("11", &(1_u32..=10)), Err("expected a whole number from 1 to 10".to_owned()));
        assert_eq!(number("1.5", &(1.0..=f64::INFINITY)), Ok(1.5));
        for bad in ["0.9", "NaN", "inf", "two"] {
            assert_eq!(number(bad, &(1.0..=f64::INFINITY)), Err("expected a number of at least 1".to_owned()));
        }
        assert_eq!(list("a, b,, c ,", line), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!(word("RU", &[("en", 1), ("ru", 2)]), Ok(2));
        assert_eq!(word("de", &[("en", 1), ("ru", 2)]), Err("expected one of: en, ru".to_owned()));
        assert!(line("a\nb").is_err());
        assert_eq!(
            duration_in("5m", &(Duration::ZERO..=Duration::from_mins(1))).unwrap_err(),
            "expected a duration such as 30, 0.5, 500ms, 5m between 0s and 1m"
        );
        assert!(positive_duration("0").is_err());
        assert_eq!(secret(" a ").unwrap().expose(), " a ");
    }
}
