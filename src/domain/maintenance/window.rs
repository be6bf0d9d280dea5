//! One window: when it is open, and when it opens next.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::wall::{self, Pass};

/// When a window is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// On days of the week.
    Weekly(Weekly),
    /// From each time of a cron pattern.
    Cron(Box<Cron>),
    /// Once.
    Once(Once),
}

impl Kind {
    /// Gives the end of the window if it is open at a moment.
    pub(super) fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Weekly(weekly) => weekly.closes(at),
            Self::Cron(cron) => cron.closes(at),
            Self::Once(once) => (once.begin <= at && at < once.end).then_some(once.end),
        }
    }

    /// Gives the first moment after `after` at which it opens.
    pub(super) fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Weekly(weekly) => weekly.opens(after),
            Self::Cron(cron) => cron.opens(after),
            Self::Once(once) => Some(once.begin).filter(|begin| *begin > after),
        }
    }
}

/// Days of the week.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Takes a day in.
    #[must_use]
    pub fn with(self, day: Weekday) -> Self {
        Self(self.0 | bit(day))
    }

    /// Says whether a day is among them.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

impl fmt::Debug for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next())).take(7);
        f.debug_set().entries(days.filter(|day| self.has(*day))).finish()
    }
}

/// A window on days of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Weekly {
    /// The days on which it opens.
    pub days: Days,
    /// When it opens.
    pub from: Time,
    /// When it closes; on the next day when that is not later than `from`.
    pub to: Time,
    /// Whose clock it goes by.
    pub zone: TimeZone,
}

impl Weekly {
    fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        // A window reaches into the next day, and a clock's jump may carry it one further, either way.
        self.held(at, -2..=1).filter(|(begin, end)| *begin <= at && at < *end).map(|(_, end)| end).max()
    }

    fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        self.held(after, -1..=8).map(|(begin, _)| begin).filter(|begin| *begin > after).min()
    }

    /// The windows of the days around a moment.
    fn held(
        &self,
        at: Timestamp,
        around: std::ops::RangeInclusive<i64>,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = self.zone.to_datetime(at).date();
        let days = around.filter_map(move |day| today.checked_add(day.days()).ok());
        days.filter(|day| self.days.has(day.weekday())).filter_map(|day| self.on(day))
    }

    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let begin = day.to_datetime(self.from);
        wall::held(&self.zone, begin, wall::end_of(begin, self.to)?)
    }
}

/// A window that opens at each time of a cron pattern, and again when a clock that is set back shows it again.
#[derive(Clone, PartialEq)]
pub struct Cron {
    starts: croner::Cron,
    lasts: SignedDuration,
    zone: TimeZone,
}

impl Cron {
    /// Joins a pattern, how long the window lasts from each of its times, and whose clock it goes by. None when the pattern
    /// has no time at all, such as the 30th of February.
    pub fn new(starts: croner::Cron, lasts: SignedDuration, zone: TimeZone) -> Option<Self> {
        starts.find_next_occurrence(&jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0), true).ok()?;
        Some(Self { starts, lasts, zone })
    }

    fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        let shown = self.zone.to_datetime(at);
        let before = |time: DateTime| self.starts.find_previous_occurrence(&time, true).ok();
        // What the clock showed in its first pass is over, whatever it shows now.
        let passed = match wall::pass(&self.zone, at, shown) {
            Pass::Second(last) => before(last),
            Pass::Only | Pass::First(_) => None,
        };
        let begins = before(shown).into_iter().chain(passed).flat_map(|time| self.moments(time));
        let end = begins.filter(|begin| *begin <= at).max()?.checked_add(self.lasts).ok()?;
        Some(end).filter(|end| *end > at)
    }

    fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        let shown = self.zone.to_datetime(after);
        let ahead = self.starts.find_next_occurrence(&shown, false).ok();
        let again = match wall::pass(&self.zone, after, shown) {
            Pass::First(first) => self.starts.find_next_occurrence(&first, true).ok(),
            Pass::Only | Pass::Second(_) => None,
        };
        let begins = ahead.into_iter().chain(again).flat_map(|time| self.moments(time));
        begins.filter(|begin| *begin > after).min()
    }

    fn moments(&self, time: DateTime) -> impl Iterator<Item = Timestamp> + use<> {
        wall::moments(&self.zone, time).into_iter().flat_map(|(first, last)| [first, last])
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The parsed pattern holds a table of every year.
        let Self { starts, lasts, zone } = self;
        let starts = starts.pattern.to_string();
        f.debug_struct("Cron").field("starts", &starts).field("lasts", lasts).field("zone", zone).finish()
    }
}

/// A window that is open once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    /// When it opens.
    pub begin: Timestamp,
    /// When it closes.
    pub end: Timestamp,
}

impl Once {
    /// Finds its moments by the clock of a zone; `end` is the later one.
    pub fn new(zone: &TimeZone, begin: DateTime, end: DateTime) -> Option<Self> {
        let (begin, end) = wall::held(zone, begin, end)?;
        Some(Self { begin, end })
    }

    /// The same on one day; an end that is not later than the beginning is on the next.
    pub fn on(zone: &TimeZone, begin: DateTime, to: Time) -> Option<Self> {
        Self::new(zone, begin, wall::end_of(begin, to)?)
    }
}
