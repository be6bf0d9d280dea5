//! The list of `DISCOVERY_URL` while we run: what is held of it, what is said about it, and who asks for it.
//!
//! `lay` brings it into the configuration, `poll` asks for it, `file` keeps it, `words` says what changed, `loss` that most
//! of it went. What stands in a
//! list and who is retired from it is reckoned in `crate::discovery`.

mod file;
mod lay;
mod loss;
mod poll;
mod words;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretSlice;
use tokio::sync::watch;

use crate::config::Config;
use crate::config::discovery::Discovery;
use crate::discovery::{Change, LeftOut, Roll};
use crate::domain::name::PairName;
use crate::env::{Place, Problem};

pub use lay::{Why, load};
use loss::Loss;
pub(super) use poll::Poll;
pub use poll::{Found, once};

/// The file in `STATE_DIR` that keeps the last good list.
pub const FILE: &str = "discovery.json";

/// Targets that are told of one by one.
const TOLD: usize = 20;

/// What is held of a list, shared by all clones of a source.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// The last good list; none until the file was looked for.
    roll: Option<Arc<Roll>>,
    /// Why the file cannot be used.
    unusable: Option<String>,
    /// What the last list held that is no target.
    unread: Vec<LeftOut>,
    /// What the configuration did not take of the roll.
    unlaid: Vec<LeftOut>,
    /// The pairs of the roll that the configuration took.
    laid: HashSet<PairName>,
    /// What was read last, and what is in force.
    fresh: Option<Base>,
    in_force: Option<Base>,
    /// The pairs of the roll that are in force.
    watched: Arc<HashSet<PairName>>,
}

/// What lies over a list.
#[derive(Clone)]
pub(super) enum Base {
    /// The process environment alone: there is no file.
    Environment,
    /// The file, as it was.
    File(SecretSlice<u8>),
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last good list; the first time it is looked for in `state_dir`.
    fn roll(&self, state_dir: &Path) -> Arc<Roll> {
        let mut inside = self.inside();
        if let Some(roll) = &inside.roll {
            return roll.clone();
        }
        let (roll, unusable) = file::read(&state_dir.join(FILE));
        let roll = Arc::new(roll);
        inside.unusable = unusable;
        inside.roll = Some(roll.clone());
        roll
    }

    /// The last good list, where one was looked for.
    fn known(&self) -> Arc<Roll> {
        self.inside().roll.clone().unwrap_or_default()
    }

    /// Puts a new list in its place.
    fn put(&self, roll: Arc<Roll>, unread: Option<Vec<LeftOut>>) {
        let mut inside = self.inside();
        inside.roll = Some(roll);
        if let Some(unread) = unread {
            inside.unread = unread;
        }
    }

    fn laid(&self, pairs: HashSet<PairName>, unlaid: Vec<LeftOut>) {
        let mut inside = self.inside();
        inside.laid = pairs;
        inside.unlaid = unlaid;
    }

    /// Everybody who is left out, in order.
    fn left_out(&self) -> Vec<LeftOut> {
        let inside = self.inside();
        let mut all: Vec<LeftOut> = inside.unread.iter().chain(&inside.unlaid).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// What a look at the configuration says about the list.
    pub(super) fn remarks(&self) -> Vec<Problem> {
        let place = Place::File { name: FILE.into(), line: None };
        let warning = |what: String| Problem::warning(place.clone(), "", what);
        let unusable = self.inside().unusable.clone();
        let unusable = unusable.map(|why| {
            warning(format!("cannot be used: {why}")).hint("remove it, or wait: the next list is written over it")
        });
        let left_out = self.left_out();
        let more = left_out.len().saturating_sub(TOLD);
        let named = left_out.into_iter().take(TOLD).map(|one| warning(format!("left out: {one}")));
        let more = (more > 0).then(|| warning(format!("left out: {more} more")));
        unusable.into_iter().chain(named).chain(more).collect()
    }

    /// The configuration was read, from a file or from the process environment alone.
    pub(super) fn loaded(&self, file: Option<Vec<u8>>) {
        self.inside().fresh = Some(file.map_or(Base::Environment, |bytes| Base::File(bytes.into())));
    }

    /// What lay over the list when what is in force was read; what was read since is forgotten.
    pub(super) fn in_force(&self) -> Option<Base> {
        let mut inside = self.inside();
        inside.fresh = None;
        inside.in_force.clone()
    }

    /// The pairs of the roll that an agent watches; none when no agent runs with a list.
    fn watched(&self) -> Option<Arc<HashSet<PairName>>> {
        let inside = self.inside();
        inside.in_force.as_ref().map(|_| inside.watched.clone())
    }

    /// What was read last is in force. Without a list nobody asks for it again.
    fn settle(&self, is_on: bool) {
        let mut inside = self.inside();
        if let Some(fresh) = inside.fresh.take() {
            inside.in_force = Some(fresh);
        }
        inside.watched = Arc::new(std::mem::take(&mut inside.laid));
        if !is_on {
            inside.in_force = None;
        }
    }
}

/// What the running agent knows about its list.
pub(super) struct Register {
    held: Held,
    zone: TimeZone,
    state_dir: std::path::PathBuf,
    wanted: watch::Sender<Option<Discovery>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    left_out: Vec<LeftOut>,
    /// Why the list cannot be read, and since when.
    unread: Option<(String, Timestamp)>,
    /// Why it cannot be written down.
    unkept: Option<String>,
    /// True while the configuration takes the list in no form.
    unfit: bool,
    /// Something is to be taken into force. Whoever asks may be stopped in the middle, so it is not theirs.
    owed: bool,
    /// Most of the list went at once.
    loss: Option<Loss>,
}

impl Told {
    fn weigh(&mut self, change: &Change, before: &Roll, after: &Roll, now: Timestamp) {
        self.loss = Loss::after(self.loss.take(), change, before, after, now);
    }
}

impl Register {
    /// Begins with the configuration of the start, whose remarks were told.
    pub(super) fn new(config: &Config, held: Held, zone: &TimeZone) -> Arc<Self> {
        held.settle(config.discovery.is_some());
        // A roll of an earlier run is gone on with.
        let told = Told { left_out: held.left_out(), loss: Loss::found(&held.known()), ..Told::default() };
        Arc::new(Self {
            held,
            zone: zone.clone(),
            state_dir: config.general.state_dir.clone(),
            wanted: watch::Sender::new(config.discovery.clone()),
            told: told.into(),
        })
    }

    /// The configuration that was read last is in force.
    pub(super) fn taken_into_force(&self, discovery: Option<Discovery>) {
        self.held.settle(discovery.is_some());
        self.tell_left_out();
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != discovery;
            *wanted = discovery;
            changed
        });
    }

    /// Somebody has reloaded the configuration: what the list lost until now is meant.
    pub(super) fn acknowledged(&self) {
        self.told().loss = None;
    }

    /// What is in trouble, a sentence each.
    pub(super) fn trouble(&self) -> Vec<String> {
        if self.wanted.borrow().is_none() {
            return Vec::new();
        }
        let roll = self.held.known();
        let told = self.told();
        let unread = told.unread.as_ref().map(|(why, since)| {
            let since = words::moment(*since, &self.zone);
            format!("discovery: the list cannot be read since {since}: {why}; {}", words::stays(&roll, &self.zone))
        });
        let unkept = told.unkept.as_ref().map(|why| format!("discovery: the list cannot be kept: {why}"));
        let unfit = "discovery: the last list is not in force, the configuration does not take it; the log says why";
        let unfit = told.unfit.then(|| unfit.to_owned());
        let loss = told.loss.as_ref().map(|loss| loss.told(&roll, &self.zone));
        unread.into_iter().chain(unkept).chain(unfit).chain(loss).collect()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who is left out, and was not before.
    fn tell_left_out(&self) {
        let now = self.held.left_out();
        let before = std::mem::replace(&mut self.told().left_out, now.clone());
        let fresh: Vec<&LeftOut> = now.iter().filter(|one| before.binary_search(one).is_err()).collect();
        for one in fresh.iter().take(TOLD) {
            tracing::warn!("left out of the list of DISCOVERY_URL: {one}");
        }
        let more = fresh.len().saturating_sub(TOLD);
        if more > 0 {
            tracing::warn!("left out of the list of DISCOVERY_URL: {more} more; `monitor check --online` counts them");
        }
    }
}
