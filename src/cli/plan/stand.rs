//! Stand-ins for everything of a plan that reaches out: targets, witnesses, the look from a site's host, remedies.
//!
//! Nothing here opens a socket; the runtime it is played on could not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::domain::evidence::Afar;
use crate::domain::name::{PairName, ServerName};
use crate::domain::reading::{Cause, Fault};
use crate::domain::remedy::{Run, RunStatus};
use crate::engine::plan::{LookAfar, Parent, Plan, Plans, Rung};
use crate::engine::witness::Witnesses;
use crate::host::Captured;
use crate::probe::wire::{Kit, Stage, Trace};
use crate::probe::{Probe, Target};
use crate::remedy::{Call, Done, Remedy};

use super::scene::Scene;

/// The longest that a host which does not answer is waited for (`host::ssh`).
const NO_ANSWER: Duration = Duration::from_secs(10);

/// Puts stand-ins in the place of everything that reaches out; all rules stay as they are. `is_local` tells of a rung
/// whether it needs no network.
pub fn staged(plans: Plans, scene: &Arc<Scene>, is_local: impl Fn(&Rung) -> bool) -> Plans {
    let mut stage = Staging { scene, is_local, witnesses: HashMap::new() };
    let pairs = plans.pairs.iter().map(|plan| Arc::new(stage.pair(plan))).collect();
    Plans { pairs, ..plans }
}

struct Staging<'a, F> {
    scene: &'a Arc<Scene>,
    is_local: F,
    /// Pairs share their witnesses, and so do their stand-ins: by the address of the real ones.
    witnesses: HashMap<*const Witnesses, Arc<Witnesses>>,
}

impl<F: Fn(&Rung) -> bool> Staging<'_, F> {
    fn pair(&mut self, plan: &Plan) -> Plan {
        // Named one by one: whatever else a plan may hold one day must not reach the network from here unseen.
        let Plan {
            pair,
            target,
            mark,
            kit,
            up_first,
            notify,
            environment,
            check,
            backoff,
            ladder,
            recovery,
            witnesses,
            parents,
            holds,
            afar,
        } = plan.clone();
        let ladder = ladder.iter().map(|rung| self.rung(&pair, rung)).collect();
        let recovery = recovery.map(|rung| Arc::new(self.rung(&pair, &rung)));
        let witnesses = witnesses.map(|witnesses| self.witnesses(&witnesses));
        let parent = |parent: &Parent| {
            let target = Arc::new(self.target(&parent.target, Whom::Server(parent.server.clone())));
            Parent { target, ..parent.clone() }
        };
        let parents = parents.iter().map(parent).collect();
        let local = ladder_is_local(plan, &self.is_local);
        let afar = afar
            .map(|_| Arc::new(Lookout { scene: self.scene.clone(), pair: pair.clone(), local }) as Arc<dyn LookAfar>);
        let target = Arc::new(self.target(&target, Whom::Pair(pair.clone())));
        Plan {
            pair,
            target,
            mark,
            kit,
            up_first,
            notify,
            environment,
            check,
            backoff,
            ladder,
            recovery,
            witnesses,
            parents,
            holds,
            afar,
        }
    }

    fn target(&self, target: &Target, whom: Whom) -> Target {
        Target::new(target.shown(), Puppet { scene: self.scene.clone(), whom })
    }

    fn rung(&self, pair: &PairName, rung: &Rung) -> Rung {
        let remedy = Stand {
            scene: self.scene.clone(),
            pair: pair.clone(),
            local: (self.is_local)(rung),
            repeatable: rung.remedy.repeatable(),
            host: rung.remedy.host().to_owned(),
            lane: rung.remedy.lane().to_owned(),
            text: rung.remedy.text().to_owned(),
        };
        Rung { remedy: Arc::new(remedy), ..rung.clone() }
    }

    fn witnesses(&mut self, real: &Arc<Witnesses>) -> Arc<Witnesses> {
        let stand_in = || Arc::new(real.staged(|target| self.target(target, Whom::Witness)));
        let known = self.witnesses.get(&Arc::as_ptr(real)).cloned();
        let witnesses = known.unwrap_or_else(stand_in);
        self.witnesses.insert(Arc::as_ptr(real), witnesses.clone());
        witnesses
    }
}

fn ladder_is_local(plan: &Plan, is_local: impl Fn(&Rung) -> bool) -> bool {
    plan.ladder.first().is_some_and(is_local)
}

/// Who is probed.
enum Whom {
    /// What one pair probes.
    Pair(PairName),
    /// A server that others depend on.
    Server(ServerName),
    /// Somebody who only has to answer while we have a network.
    Witness,
}

/// What is probed.
struct Puppet {
    scene: Arc<Scene>,
    whom: Whom,
}

impl Probe for Puppet {
    fn look<'a>(&'a self, _kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let fault = if self.scene.is_cut_off() {
                trace.enter(Stage::Connect);
                sleep(trace.left()).await;
                Some(trace.overdue())
            } else {
                let down = self.scene.ask(|story, now| match &self.whom {
                    Whom::Pair(pair) => story.is_down(pair, now),
                    Whom::Server(server) => story.is_server_down(server, now),
                    Whom::Witness => false,
                });
                down.then(|| Fault::new(Cause::Refused, "connection refused"))
            };
            if let Whom::Pair(pair) = &self.whom {
                self.scene.note(|tape, now| tape.attempt(now, pair, fault.as_ref()));
            }
            fault.map_or(Ok(()), Err)
        })
    }
}

/// A look from a site's own host.
struct Lookout {
    scene: Arc<Scene>,
    pair: PairName,
    local: bool,
}

impl LookAfar for Lookout {
    fn look(&self) -> BoxFuture<'_, Afar> {
        Box::pin(async move {
            if self.scene.is_cut_off() {
                if self.local {
                    return Afar::Down;
                }
                sleep(NO_ANSWER).await;
                return Afar::NotAsked;
            }
            let down = self.scene.ask(|story, now| story.is_down(&self.pair, now));
            if down { Afar::Down } else { Afar::Up }
        })
    }
}

/// What one rung runs for one pair.
struct Stand {
    scene: Arc<Scene>,
    pair: PairName,
    local: bool,
    repeatable: bool,
    host: String,
    lane: String,
    text: String,
}

impl Remedy for Stand {
    fn host(&self) -> &str {
        &self.host
    }

    fn lane(&self) -> &str {
        &self.lane
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn warm(&self) {
        self.scene.note(|tape, _| tape.warmed(&self.pair));
    }

    fn repeatable(&self) -> bool {
        self.repeatable
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            if !self.local && self.scene.is_cut_off() {
                let within = NO_ANSWER.min(call.limit);
                sleep(within).await;
                return done(RunStatus::Unreachable, within, format!("{} does not answer", self.host));
            }
            if !ready.await {
                return done(RunStatus::Unreachable, Duration::ZERO, String::new());
            }
            self.scene.note(|tape, now| tape.started(now, call.run));
            let takes = self.scene.ask(|story, _| story.command_takes());
            if takes > call.limit {
                sleep(call.limit).await;
                return done(RunStatus::Timeout, call.limit, format!("no end within {:?}", call.limit));
            }
            sleep(takes).await;
            done(RunStatus::Executed, takes, String::new())
        })
    }
}

fn done(status: RunStatus, duration: Duration, error: String) -> Done {
    let started = matches!(status, RunStatus::Executed | RunStatus::Timeout);
    let exit_code = (status == RunStatus::Executed).then_some(0);
    let run = Run { status, started, exit_code, signal: None, duration, excerpt: String::new(), error };
    Done { run, output: Captured::default() }
}
