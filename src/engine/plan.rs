//! What the engine is given: every pair with its probe, its pace and its ladder. Built by `app` from `Config`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::backoff::Backoff;
use crate::domain::environment::Environment;
use crate::domain::evidence::Afar;
use crate::domain::ladder::Terms;
use crate::domain::name::{PairName, ServerName, SiteName};
use crate::domain::reading::Reading;
use crate::domain::recovery::Aftercare;
use crate::domain::{guard, judge};
use crate::probe::Target;
use crate::probe::wire::Kit;
use crate::remedy::Remedy;

use super::witness::Witnesses;

/// One pair, ready to be watched.
#[derive(Clone)]
pub struct Plan {
    /// Its name.
    pub pair: PairName,
    /// What is looked at; pairs of one server share it.
    pub target: Arc<Target>,
    /// Tells what is looked at, and how, from what was before a reload: the same number is the same.
    pub mark: u64,
    /// What every probe stands on.
    pub kit: Arc<Kit>,
    /// Whether it has to be seen up once before anything is run for it.
    pub up_first: bool,
    /// Whether people are told.
    pub notify: bool,
    /// What its server serves.
    pub environment: Option<Environment>,
    /// What makes one check.
    pub check: CheckRules,
    /// When the next check comes.
    pub backoff: Backoff,
    /// What is done when it is down: the k-th failing check at which something may run runs rung min(k, last).
    pub ladder: Arc<[Rung]>,
    /// What is run once it is up again.
    pub recovery: Option<Arc<Rung>>,
    /// Who has to answer before it is believed to be down.
    pub witnesses: Option<Arc<Witnesses>>,
    /// Servers it depends on.
    pub parents: Arc<[Parent]>,
    /// Pairs that depend on its server.
    pub holds: Arc<[PairName]>,
    /// The look from the site's own host.
    pub afar: Option<Arc<dyn LookAfar>>,
}

/// A server that others depend on.
#[derive(Clone)]
pub struct Parent {
    /// Its name.
    pub server: ServerName,
    /// What is looked at.
    pub target: Arc<Target>,
    /// One attempt.
    pub timeout: Duration,
}

/// A look at a pair's target from its site's own host.
pub trait LookAfar: Send + Sync {
    /// Looks once, within its own limit.
    fn look(&self) -> BoxFuture<'_, Afar>;
}

impl Plan {
    /// What the judge goes by.
    pub fn rules(&self) -> judge::Rules {
        let rungs = u32::try_from(self.ladder.len()).unwrap_or(u32::MAX);
        let recovery = self.recovery.as_ref().map_or(Aftercare::Nothing, |rung| {
            if rung.remedy.repeatable() { Aftercare::UntilDone } else { Aftercare::Once }
        });
        let CheckRules { attempts, successes, hold, .. } = self.check;
        judge::Rules { backoff: self.backoff, attempts, rungs, successes, hold, recovery, up_first: self.up_first }
    }

    /// True when both look at the same in the same way, so that what one sees holds for the other.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.mark == other.mark && self.check == other.check && self.url() == other.url()
    }

    /// What came in the place of this one and looks like it, with the target of this one: a target remembers.
    #[must_use]
    pub fn renewed(&self, new: &Self) -> Arc<Self> {
        Arc::new(Self { target: self.target.clone(), ..new.clone() })
    }

    /// Its URL as people may see it.
    pub fn url(&self) -> &str {
        self.target.shown()
    }

    /// Makes one attempt.
    pub async fn attempt(&self) -> Reading {
        self.target.probe(&self.kit, self.check.timeout).await
    }

    /// The rung with this number, from 1.
    pub fn exact(&self, number: u32) -> Option<&Rung> {
        self.ladder.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The rung with this number, from 1; the last one when there are fewer.
    pub fn rung(&self, number: u32) -> Option<&Rung> {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        self.ladder.get(index).or_else(|| self.ladder.last())
    }
}

/// What makes one check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CheckRules {
    /// `CHECK_ATTEMPTS`.
    pub attempts: u32,
    /// `CHECK_RETRY_DELAY`: between two attempts.
    pub retry_delay: Duration,
    /// `CHECK_TIMEOUT`: one attempt.
    pub timeout: Duration,
    /// `RECOVERY_SUCCESSES`: successes in a row that end an incident.
    pub successes: u32,
    /// `RECOVERY_HOLD`: how long they have to last.
    pub hold: Duration,
}

/// One rung of a pair's ladder.
#[derive(Clone)]
pub struct Rung {
    /// The command as people read it, secrets masked.
    pub command: Arc<str>,
    /// Where it runs, as people call it.
    pub site: SiteName,
    /// The first site that is reached in the same way, by the same login; an equal command there is the same run.
    pub login: SiteName,
    /// What runs it.
    pub remedy: Arc<dyn Remedy>,
    /// Its own limit.
    pub limit: Duration,
    /// How its success is proved.
    pub verify: VerifyRules,
    /// Whether and when it runs by itself.
    pub terms: Terms,
    /// A success is not repeated within the incident.
    pub once: bool,
    /// What ends what it begins, as people read it; empty when nothing does.
    pub ends: Arc<str>,
}

/// `VERIFY_WINDOW` and `VERIFY_INTERVAL`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerifyRules {
    /// How long a command has to show its effect; zero turns verification off.
    pub window: Duration,
    /// Between two probes inside the window, and before the first.
    pub interval: Duration,
}

/// Everything that is watched. A reload swaps it as a whole.
pub struct Plans {
    /// The pairs, each once.
    pub pairs: Vec<Arc<Plan>>,
    /// What the guard goes by.
    pub guard: guard::Rules,
    /// Attempts under way at once, over all pairs.
    pub attempts_at_once: usize,
    /// `REMEDIES_AT_ONCE`: remedies under way at once, over all hosts.
    pub remedies_at_once: usize,
    /// `UNKNOWN_AFTER`: how long a pair may be unknown before that is told; zero: for ever.
    pub unknown_after: Duration,
}
