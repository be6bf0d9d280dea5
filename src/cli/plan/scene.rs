//! The scene of a plan: targets that fare as the story says, commands that take their time, a journal and a chat that
//! only listen. Nothing here opens a socket; the runtime it is played on could not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::domain::evidence::Afar;
use crate::domain::name::{PairName, ServerName};
use crate::domain::notice::Notice;
use crate::domain::reading::{Cause, Fault};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{NoticeId, Run, RunStatus};
use crate::engine::ledger::Journal;
use crate::engine::plan::{LookAfar, Parent, Plan, Plans, Rung};
use crate::engine::witness::Witnesses;
use crate::host::Captured;
use crate::notify::telegram::pace::Pace;
use crate::notify::{Channel, Finding, Outgoing, Receipt, Undelivered};
use crate::probe::wire::{Kit, Stage, Trace};
use crate::probe::{Probe, Target};
use crate::remedy::{Call, Done, Remedy};
use crate::store::Write;

use super::event::Event;
use super::story::Story;
use super::tape::{Incident, Tape};

/// The longest that a host which does not answer is waited for (`host::ssh`).
const NO_ANSWER: Duration = Duration::from_secs(10);

/// Everything that the engine meets.
pub struct Scene {
    start: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    story: Story,
    tape: Tape,
    /// Notices whose message has not gone out yet.
    waiting: BTreeMap<NoticeId, Option<PairName>>,
    /// Messages that were handed over and not yet struck off, by their reference.
    handed: BTreeMap<String, (bool, String)>,
    /// Names of approvals that were asked for.
    approvals: Vec<String>,
}

impl Scene {
    /// Opens the scene now.
    pub fn new(story: Story, tape: Tape) -> Arc<Self> {
        let inner = Inner { story, tape, waiting: BTreeMap::new(), handed: BTreeMap::new(), approvals: Vec::new() };
        Arc::new(Self { start: Instant::now(), inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since it was opened.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// True when nothing more is to come: the story is over, everybody is up, and it is told.
    pub fn is_over(&self) -> bool {
        let inner = self.lock();
        let end = inner.story.end().filter(|end| *end <= self.now());
        end.is_some_and(|end| inner.tape.is_calm(end)) && inner.waiting.is_empty()
    }

    /// Closes it: gives what happened, and the story as it came.
    pub fn close(&self) -> (Vec<Event>, Vec<Incident>, Story) {
        let inner = &mut *self.lock();
        let (events, incidents) = inner.tape.end(self.now());
        (events, incidents, inner.story.clone())
    }

    fn is_cut_off(&self) -> bool {
        self.lock().story.is_cut_off(self.now())
    }
}

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
        let Plan { pair, target, kit, check, backoff, ladder, recovery, witnesses, parents, holds, afar } =
            plan.clone();
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
        Plan { pair, target, kit, check, backoff, ladder, recovery, witnesses, parents, holds, afar }
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
                let (inner, now) = (self.scene.lock(), self.scene.now());
                let down = match &self.whom {
                    Whom::Pair(pair) => inner.story.is_down(pair, now),
                    Whom::Server(server) => inner.story.is_server_down(server, now),
                    Whom::Witness => false,
                };
                down.then(|| Fault::new(Cause::Refused, "connection refused"))
            };
            if let Whom::Pair(pair) = &self.whom {
                self.scene.lock().tape.attempt(self.scene.now(), pair, fault.as_ref());
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
            let down = self.scene.lock().story.is_down(&self.pair, self.scene.now());
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
        self.scene.lock().tape.warmed(&self.pair);
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
            self.scene.lock().tape.started(self.scene.now(), call.run);
            let takes = self.scene.lock().story.command_takes();
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

/// Names of approvals are random, and a plan is not: each gets its number.
fn same_each_time(approvals: &[String], text: String) -> String {
    let name = |(number, id): (usize, &String)| (id.clone(), format!("{:06x}", number + 1));
    approvals.iter().enumerate().map(name).fold(text, |text, (id, name)| text.replace(&id, &name))
}

impl Journal for Scene {
    fn record(&self, writes: Vec<Write>) {
        let at = self.now();
        let inner = &mut *self.lock();
        let mut told: BTreeMap<String, Vec<Option<PairName>>> = BTreeMap::new();
        for write in writes {
            match &write {
                Write::NoticeQueued { notice, .. } => {
                    let Notice { id, pair, .. } = &**notice;
                    inner.waiting.insert(*id, pair.clone());
                }
                Write::NoticeDelivered { id, message_ref, .. } => {
                    let pair = inner.waiting.remove(id);
                    if let (Some(message), Some(pair)) = (message_ref, pair) {
                        told.entry(message.clone()).or_default().push(pair);
                    }
                }
                Write::RunRefused { refusal: Refusal::AwaitingApproval { id }, .. } => {
                    if !inner.approvals.contains(id) {
                        inner.approvals.push(id.clone());
                    }
                }
                Write::RunEnded(ended) if ended.status == Some(RunStatus::Executed) => {
                    if let Some((pair, rung)) = inner.tape.run(ended.run) {
                        inner.story.ran(&pair, rung, at);
                    }
                }
                _ => {}
            }
            inner.tape.wrote(at, write);
        }
        for (message, mut pairs) in told {
            let Some((silent, text)) = inner.handed.remove(&message) else { continue };
            let notices = pairs.len();
            let pair = pairs.pop().flatten().filter(|_| notices == 1);
            let text = same_each_time(&inner.approvals, text);
            inner.tape.sent(at, notices, pair, silent, text);
        }
    }

    fn recorded(&self, writes: Vec<Write>, _within: Duration) -> BoxFuture<'static, bool> {
        self.record(writes);
        Box::pin(std::future::ready(true))
    }
}

/// A chat that takes everything, at the pace of the real one.
pub struct Chat {
    scene: Arc<Scene>,
    pace: Pace,
}

impl Chat {
    /// Opens it; `many` when it is a group or a channel.
    pub fn new(scene: &Arc<Scene>, many: bool) -> Self {
        Self { scene: scene.clone(), pace: Pace::new(many) }
    }
}

impl Channel for Chat {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn deliver<'a>(&'a self, out: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            self.pace.wait().await;
            let message_ref = format!("{:?}", self.scene.now());
            self.scene.lock().handed.insert(message_ref.clone(), (out.silent, out.rich.to_plain()));
            Ok(Receipt { message_ref, moved: None })
        })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }
}
