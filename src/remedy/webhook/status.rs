//! Which statuses of an answer mean that the hook did what it should: `200,202-204`.

use std::fmt;
use std::ops::RangeInclusive;

/// Statuses that a hook may answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Reads a list of statuses and ranges of them, within 200 to 599.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected statuses and ranges from 200 to 599, such as 200-299 or 200,202-204".to_owned();
        let number = |text: &str| text.trim().parse().ok().filter(|status| (200..=599).contains(status));
        let item = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = number(first)?..=number(last)?;
            (!range.is_empty()).then_some(range)
        };
        let items = text.split(',').map(item).collect::<Option<Vec<_>>>();
        items.map(Self).ok_or_else(expected)
    }

    /// Says whether this one is among them.
    pub fn hold(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_single_ones_and_ranges() {
        let some = Statuses::parse("200, 202-204").unwrap();
        let held: Vec<u16> = (100..600).filter(|status| some.hold(*status)).collect();
        assert_eq!((held, some.to_string()), (vec![200, 202, 203, 204], "200,202-204".to_owned()));
        for bad in ["", "2xx", "200-", "299-200", "100", "600", "200,,201", "-1", "200-299-300"] {
            assert!(Statuses::parse(bad).is_err(), "{bad}");
        }
    }
}
