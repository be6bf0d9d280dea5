//! What is said about a list in the log and in the status.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::discovery::{Change, LeftOut, Roll};
use crate::domain::name::PairName;
use crate::env::duration;

/// Pairs that are named in one line.
const NAMED: usize = 10;

/// A moment as people read it.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// What is watched while the list cannot be read.
pub(super) fn stays(roll: &Roll, zone: &TimeZone) -> String {
    match roll.read {
        None => "no list was read so far, so the pairs of MAPPINGS are all that is watched".to_owned(),
        Some(read) => {
            let (at, of) = (moment(read, zone), roll.members.len());
            format!("the last good one of {at} with {of} target{} stays", if of == 1 { "" } else { "s" })
        }
    }
}

/// Those that are new and have no place.
pub(super) fn crowded_out(change: &Change, limit: usize) -> impl Iterator<Item = LeftOut> {
    change.crowded_out.iter().map(move |pair| LeftOut {
        what: pair.to_string(),
        why: format!(
            "is new, and those that are missing still have the {limit} places of DISCOVERY_LIMIT until DISCOVERY_GRACE is over"
        ),
    })
}

/// What a list changed, in one line; none where it changed nothing.
pub(super) fn change(change: &Change, grace: Duration) -> Option<String> {
    let waiting = format!("missing, and watched for {} more unless back", duration::shown(grace));
    let parts = [
        (&change.added, "new"),
        (&change.changed, "changed"),
        (&change.back, "back"),
        (&change.missing, waiting.as_str()),
        (&change.retired, "watched no more"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        // Without a grace nobody waits.
        .filter(|(pairs, what)| !pairs.is_empty() && (*what != waiting || !grace.is_zero()))
        .map(|(pairs, what)| format!("{} {what} ({})", pairs.len(), named(pairs)))
        .collect();
    (!parts.is_empty()).then(|| format!("The list of DISCOVERY_URL changed: {}", parts.join("; ")))
}

fn named(pairs: &[PairName]) -> String {
    let names: Vec<String> = pairs.iter().take(NAMED).map(ToString::to_string).collect();
    let more = pairs.len().saturating_sub(NAMED);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line_whatever_its_size() {
        let pair = |n: usize| format!("DC3:WEB{n}").parse::<PairName>().unwrap();
        let many = Change { added: (0..12).map(pair).collect(), missing: vec![pair(99)], ..Change::default() };
        assert_eq!(
            change(&many, Duration::from_mins(5)).unwrap(),
            "The list of DISCOVERY_URL changed: 12 new (DC3-WEB0, DC3-WEB1, DC3-WEB2, DC3-WEB3, DC3-WEB4, DC3-WEB5, \
             DC3-WEB6, DC3-WEB7, DC3-WEB8, DC3-WEB9 and 2 more); 1 missing, and watched for 5m more unless back (DC3-WEB99)"
        );
        assert_eq!(change(&Change::default(), Duration::ZERO), None);
        let gone = Change { missing: vec![pair(1)], retired: vec![pair(1)], ..Change::default() };
        assert_eq!(
            change(&gone, Duration::ZERO).unwrap(),
            "The list of DISCOVERY_URL changed: 1 watched no more (DC3-WEB1)"
        );
    }
}
