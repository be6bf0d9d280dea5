//! From what a clock on the wall shows to moments. A clock that is set ahead shows some times never, one that is set back
//! shows some twice; `docs/decisions/0015-windows-go-by-the-clock.md` has the rule.

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The first and the last moment at which the clock shows a time: two when it was set back over it, else one. A time that
/// is never shown is the moment of the jump over it.
pub(super) fn moments(zone: &TimeZone, time: DateTime) -> Option<(Timestamp, Timestamp)> {
    let at = |offset: Offset| offset.to_timestamp(time).ok();
    match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset).map(|once| (once, once)),
        AmbiguousOffset::Fold { before, after } => Some((at(before)?, at(after)?)),
        AmbiguousOffset::Gap { before, .. } => {
            let jump = jump_before(zone, at(before)?)?;
            Some((jump, jump))
        }
    }
}

/// A window from the first moment at which the clock shows `begin` to the last at which it shows `end`. One that the clock
/// skips whole is held right after the jump, as long as it was written.
pub(super) fn held(zone: &TimeZone, begin: DateTime, end: DateTime) -> Option<(Timestamp, Timestamp)> {
    let (first, _) = moments(zone, begin)?;
    let (_, last) = moments(zone, end)?;
    if first < last {
        return Some((first, last));
    }
    Some((first, first.checked_add(end.duration_since(begin)).ok()?))
}

/// The times that the clock shows twice around a moment, as the first of them and the moment's place among them.
pub(super) enum Pass {
    /// The clock shows this time once.
    Only,
    /// It will be set back, first to this time.
    First(DateTime),
    /// It was set back, after it had shown this time.
    Second(DateTime),
}

/// Says which time of two the clock shows what it shows.
pub(super) fn pass(zone: &TimeZone, at: Timestamp, shown: DateTime) -> Pass {
    let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(shown).offset() else {
        return Pass::Only;
    };
    if before.to_timestamp(shown).is_ok_and(|first| first == at) {
        let jump = zone.following(at).next().map(|jump| jump.timestamp());
        jump.map_or(Pass::Only, |jump| Pass::First(after.to_datetime(jump)))
    } else {
        let last = jump_before(zone, at).and_then(|jump| jump.checked_sub(SignedDuration::from_secs(1)).ok());
        last.map_or(Pass::Only, |last| Pass::Second(before.to_datetime(last)))
    }
}

/// The last change of a zone's clock, up to and with a moment.
fn jump_before(zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let after = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
    zone.preceding(after).next().map(|jump| jump.timestamp())
}

/// When a window of one day ends: an end that is not later than the beginning is on the next day.
pub(super) fn end_of(begin: DateTime, to: Time) -> Option<DateTime> {
    let date = begin.date();
    let date = if to <= begin.time() { date.tomorrow().ok()? } else { date };
    Some(date.to_datetime(to))
}
