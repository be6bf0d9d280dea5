//! Who is on the list, who has vanished from it and how long ago: pure reckoning. Time comes in as what has passed while the
//! list could be read, so that a list that cannot be read lets nobody vanish.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::name::{PairName, ServerName};

use super::list::Listed;
use super::{Entry, LeftOut};

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it comes to.
    pub entry: Entry,
    /// When a list last had it.
    pub seen: Timestamp,
    /// How long lists have been without it; none when the last one had it.
    pub missing: Option<Duration>,
}

/// Everybody who is watched because of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roll {
    /// In the order of the list; then those that it has lost.
    pub members: Vec<Member>,
    /// When the list was last read; none when it never was.
    pub read: Option<Timestamp>,
    /// Where it was read, as people may see it.
    pub from: String,
}

/// How a roll is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long one that is missing is still watched.
    pub grace: Duration,
    /// How many are watched, those who are missing among them.
    pub limit: usize,
}

/// What a list changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Who is new.
    pub added: Vec<PairName>,
    /// Whose keys are others.
    pub changed: Vec<PairName>,
    /// Who is missing for the first time.
    pub missing: Vec<PairName>,
    /// Who was missing, and is there again.
    pub back: Vec<PairName>,
    /// Who is watched no more: missing for longer than the grace, or moved to another site.
    pub retired: Vec<PairName>,
    /// True when more than half of those who were there are missing at once.
    pub lost_most: bool,
    /// Who is new and has no place, because those who are missing still have theirs.
    pub crowded_out: Vec<PairName>,
}

impl Change {
    /// True when something else is to be watched than before.
    pub fn is_effective(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.retired.is_empty())
    }

    /// True when there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        let is_told = [&self.missing, &self.back, &self.crowded_out].into_iter().any(|pairs| !pairs.is_empty());
        !self.is_effective() && !is_told
    }
}

impl Roll {
    /// Everybody's entry, with its line in the file.
    pub fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (Self::FIRST_LINE..).zip(self.members.iter().map(|member| &member.entry))
    }

    /// The line of the first member in the file.
    pub const FIRST_LINE: u32 = 2;

    /// How many the last list had.
    pub fn present(&self) -> usize {
        self.members.iter().filter(|member| member.missing.is_none()).count()
    }

    /// True when somebody is missing, whose time runs.
    pub fn is_waiting(&self) -> bool {
        self.members.iter().any(|member| member.missing.is_some())
    }

    /// Drops what stands in a list twice. A name that two targets claim belongs to the one that has it already, else to the
    /// first one.
    pub fn settle(&self, listed: &mut Listed) {
        let had: HashMap<&ServerName, &Entry> =
            self.members.iter().map(|member| (&member.entry.pair.server, &member.entry)).collect();
        let mut owner: HashMap<ServerName, usize> = HashMap::new();
        for (at, entry) in listed.entries.iter().enumerate() {
            let place = owner.entry(entry.pair.server.clone()).or_insert(at);
            let is_old = had.get(&entry.pair.server).is_some_and(|old| old.keys == entry.keys);
            let held = listed
                .entries
                .get(*place)
                .is_some_and(|first| had.get(&first.pair.server).is_some_and(|old| old.keys == first.keys));
            if is_old && !held {
                *place = at;
            }
        }
        let kept: HashMap<ServerName, Entry> =
            owner.into_iter().filter_map(|(server, at)| Some((server, listed.entries.get(at)?.clone()))).collect();
        let mut pairs = HashSet::new();
        for entry in std::mem::take(&mut listed.entries) {
            let server = &entry.pair.server;
            if kept.get(server).is_some_and(|first| first.keys != entry.keys) {
                let why = format!("has the name `{server}` of another target; give it a label `server`");
                listed.left_out.push(LeftOut::named(entry.url(), why));
            } else if pairs.insert(entry.pair.clone()) {
                listed.entries.push(entry);
            }
        }
    }

    /// Takes in a list that was read at `now`, `passed` after the last one that was. Of those that are new, only as many are
    /// taken as make `rules.limit` together with everybody who stays.
    pub fn update(&mut self, entries: Vec<Entry>, passed: Duration, rules: Rules, now: Timestamp) -> Change {
        let before = self.present();
        let servers: HashSet<ServerName> = entries.iter().map(|entry| entry.pair.server.clone()).collect();
        let listed: HashSet<PairName> = entries.iter().map(|entry| entry.pair.clone()).collect();
        let old = std::mem::take(&mut self.members);
        let old_servers: HashSet<ServerName> = old.iter().map(|member| member.entry.pair.server.clone()).collect();
        let (there, mut gone): (Vec<Member>, Vec<Member>) =
            old.into_iter().partition(|member| listed.contains(&member.entry.pair));
        let mut known: HashMap<PairName, Member> =
            there.into_iter().map(|member| (member.entry.pair.clone(), member)).collect();
        let mut change = Change::default();
        let mut moved = 0_usize;
        gone.retain_mut(|Member { entry: Entry { pair, .. }, missing, .. }| {
            let absent = match *missing {
                None => {
                    change.missing.push(pair.clone());
                    Duration::ZERO
                }
                Some(missing) => missing.saturating_add(passed),
            };
            *missing = Some(absent);
            // One that stands elsewhere now has moved: its old site has no business with it.
            let has_moved = servers.contains(&pair.server);
            moved = moved.saturating_add(usize::from(has_moved));
            let stays = absent < rules.grace && !has_moved;
            if !stays {
                change.retired.push(pair.clone());
            }
            stays
        });
        // Without a limit for both, lists that change from one look to the next would make us watch without end. Who has
        // moved comes first: the place is theirs.
        let mut room = rules.limit.saturating_sub(known.len().saturating_add(gone.len())).max(moved);
        let (movers, others): (Vec<&PairName>, Vec<&PairName>) = listed
            .iter()
            .filter(|pair| !known.contains_key(*pair))
            .partition(|pair| old_servers.contains(&pair.server));
        let crowded = movers.len().saturating_add(others.len()) > room;
        let mut room_of_movers = movers.len().min(room);
        room = room.saturating_sub(room_of_movers);
        for entry in entries {
            let pair = entry.pair.clone();
            match known.remove(&pair) {
                None => {
                    let room = if old_servers.contains(&pair.server) { &mut room_of_movers } else { &mut room };
                    if crowded && *room == 0 {
                        change.crowded_out.push(pair);
                        continue;
                    }
                    *room = room.saturating_sub(1);
                    change.added.push(pair);
                }
                Some(member) => {
                    if member.missing.is_some() {
                        change.back.push(pair.clone());
                    }
                    if member.entry != entry {
                        change.changed.push(pair);
                    }
                }
            }
            self.members.push(Member { entry, seen: now, missing: None });
        }
        self.members.extend(gone);
        change.lost_most = change.missing.len().saturating_mul(2) > before;
        self.read = Some(now);
        change
    }

    /// Takes in that the list is the same as the last one.
    pub fn confirm(&mut self, passed: Duration, rules: Rules, now: Timestamp) -> Change {
        let there = self.members.iter().filter(|member| member.missing.is_none());
        let entries = there.map(|member| member.entry.clone()).collect();
        self.update(entries, passed, rules, now)
    }
}

#[cfg(test)]
mod tests;
