//! Planned work: when nothing is healed and no failure is told, and for which pairs.
//!
//! Here is the calendar as a whole; when one window is open is said by `window`, what a clock's jumps do to it by `wall`.
//! How people write it is read by `config`, what follows from it is decided by `guard`.

mod wall;
mod window;

use jiff::{SignedDuration, Timestamp};

use super::name::{PairName, ServerName, SiteName};

pub use window::{Cron, Days, Kind, Once, Weekly};

/// How far ahead an end is looked for: what stays open longer is as good as for ever, and is asked again by then.
const FAR: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Windows that are joined to find an end: a minute's window in each of a day's minutes, and some more.
const JOINS: usize = 2_000;

/// Whom a window is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every pair of a site.
    Site(SiteName),
    /// Every pair of a server.
    Server(ServerName),
    /// One pair.
    Pair(PairName),
}

impl Scope {
    fn covers(&self, pair: &PairName) -> bool {
        match self {
            Self::Site(site) => pair.site == *site,
            Self::Server(server) => pair.server == *server,
            Self::Pair(own) => pair == own,
        }
    }
}

/// One planned time, once or again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Whom it is for; empty: for every pair.
    pub scope: Vec<Scope>,
    /// When it is open.
    pub kind: Kind,
}

impl Window {
    fn covers(&self, pair: &PairName) -> bool {
        self.scope.is_empty() || self.scope.iter().any(|scope| scope.covers(pair))
    }

    /// Says whether it is open now and no end is near: it closes only to open at once.
    pub fn is_always_open(&self, now: Timestamp) -> bool {
        joined(now, |at| self.kind.closes(at)).is_some_and(|(_, ends)| !ends)
    }
}

/// `MAINTENANCE`: every planned time. The default has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calendar {
    windows: Vec<Window>,
}

impl Calendar {
    /// Takes the windows, in any order.
    pub fn new(windows: Vec<Window>) -> Self {
        Self { windows }
    }

    /// Says whether nothing is planned at all.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Gives the moment at which maintenance of `pair` truly ends, if it is under way: windows that overlap or touch are
    /// one. What lasts longer than a month gives some moment after that month.
    pub fn until(&self, pair: &PairName, now: Timestamp) -> Option<Timestamp> {
        joined(now, |at| self.closes(pair, at)).map(|(end, _)| end)
    }

    /// Gives the first maintenance of `pair` that begins later, after the one under way: when it begins and truly ends.
    pub fn next(&self, pair: &PairName, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let free = match joined(now, |at| self.closes(pair, at)) {
            None => now,
            Some((end, true)) => end,
            // No end is near, so nothing begins.
            Some((_, false)) => return None,
        };
        let begins = self.of(pair).filter_map(|window| window.kind.opens(free)).min()?;
        Some((begins, self.until(pair, begins)?))
    }

    /// The latest end of the windows that are open at a moment.
    fn closes(&self, pair: &PairName, at: Timestamp) -> Option<Timestamp> {
        self.of(pair).filter_map(|window| window.kind.closes(at)).max()
    }

    fn of<'a>(&'a self, pair: &'a PairName) -> impl Iterator<Item = &'a Window> {
        self.windows.iter().filter(|window| window.covers(pair))
    }
}

/// The end of what is open at a moment, joined with what is open then; and whether that is the true end.
fn joined(now: Timestamp, closes: impl Fn(Timestamp) -> Option<Timestamp>) -> Option<(Timestamp, bool)> {
    let far = now.checked_add(FAR).unwrap_or(Timestamp::MAX);
    let mut end = closes(now)?;
    for _ in 0..JOINS {
        match closes(end) {
            None => return Some((end, true)),
            Some(_) if end >= far => break,
            Some(later) => end = later,
        }
    }
    Some((end, false))
}

#[cfg(test)]
mod tests;
