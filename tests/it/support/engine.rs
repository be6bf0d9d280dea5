//! A small world for the engine in paused time: scripted targets, remedies, journal and channel, and one list of what
//! happened, each entry with its virtual moment.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use monitor::domain::backoff::Backoff;
use monitor::domain::evidence::Afar;
use monitor::domain::flap;
use monitor::domain::guard::{self, Budget};
use monitor::domain::ladder::Terms;
use monitor::domain::maintenance::Calendar;
use monitor::domain::memory::Memory;
use monitor::domain::name::PairName;
use monitor::domain::notice::{Deed, News, Notice};
use monitor::domain::outage::State;
use monitor::domain::reading::{Cause, Fault};
use monitor::domain::remedy::{Run, RunStatus};
use monitor::domain::storm;
use monitor::engine::clock::Clock;
use monitor::engine::handle::Handle;
use monitor::engine::ledger::{Journal, Ledger, Outlet};
use monitor::engine::narrate::{Narrator, Voice};
use monitor::engine::plan::{CheckRules, LookAfar, Parent, Plan, Plans, Rung, VerifyRules};
use monitor::engine::witness::Witnesses;
use monitor::engine::{Engine, Parts, Saved};
use monitor::fetch::Roots;
use monitor::host::Captured;
use monitor::message::Language;
use monitor::notify::{Channel, Finding, Outgoing, Receipt, Undelivered};
use monitor::probe::wire::{Kit, Trace};
use monitor::probe::{Probe, Target};
use monitor::remedy::{Call, Done, Remedy};
use monitor::store::{Closing, Write};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Wall time at the start of every world.
pub const EPOCH: i64 = 1_700_000_000;

pub fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub fn name(server: &str) -> PairName {
    if server.contains(':') { server.parse().unwrap() } else { format!("DC1:{server}").parse().unwrap() }
}

/// What one attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum See {
    Up,
    Down,
    Blind,
    Denied,
    Nameless,
    Panic,
    Hang,
}

/// How long an attempt takes, and what it comes to.
pub type Look = (Duration, See);

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: Duration,
    pub who: String,
    pub word: String,
}

/// How the journal fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Disk {
    Writes(Duration),
    Fails,
}

pub struct World {
    inner: Mutex<Inner>,
    /// Of the next plan.
    marks: AtomicU64,
    pub start: Instant,
}

struct Inner {
    events: Vec<Event>,
    writes: Vec<Write>,
    states: HashMap<PairName, State>,
    memory: Memory,
    disk: Disk,
}

impl World {
    pub fn new() -> Arc<Self> {
        let inner = Inner {
            events: Vec::new(),
            writes: Vec::new(),
            states: HashMap::new(),
            memory: Memory::default(),
            disk: Disk::Writes(Duration::ZERO),
        };
        Arc::new(Self { inner: Mutex::new(inner), marks: AtomicU64::default(), start: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn say(&self, who: impl Into<String>, word: impl Into<String>) {
        let event = Event { at: self.start.elapsed(), who: who.into(), word: word.into() };
        self.lock().events.push(event);
    }

    pub fn disk(&self, disk: Disk) {
        self.lock().disk = disk;
    }

    /// Virtual time moves to this many seconds after the start.
    pub async fn until(&self, seconds: f64) {
        tokio::time::sleep_until(self.start + secs(seconds)).await;
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    pub fn writes(&self) -> Vec<Write> {
        self.lock().writes.clone()
    }

    /// What a journal would give back at the next start.
    pub fn states(&self) -> HashMap<PairName, State> {
        self.lock().states.clone()
    }

    /// What the guard would remember at the next start.
    pub fn memory(&self) -> Memory {
        self.lock().memory.clone()
    }

    /// Witnesses that follow a script; any one of them is enough.
    pub fn witnesses(
        self: &Arc<Self>,
        key: &str,
        script: impl FnMut(usize, f64) -> Look + Send + 'static,
    ) -> Arc<Witnesses> {
        let probe = Scripted {
            world: self.clone(),
            who: key.to_owned(),
            certificate: None,
            script: Mutex::new((0, Box::new(script))),
        };
        let target = Arc::new(Target::new("test://witness", probe));
        Arc::new(Witnesses::new(key, vec![target], 1, secs(2.0), kit()))
    }

    /// A server that others depend on.
    pub fn parent(self: &Arc<Self>, server: &str, script: impl FnMut(usize, f64) -> Look + Send + 'static) -> Parent {
        let probe = Scripted {
            world: self.clone(),
            who: server.to_owned(),
            certificate: None,
            script: Mutex::new((0, Box::new(script))),
        };
        let target = Arc::new(Target::new("test://parent", probe));
        Parent { server: name(server).server, target, timeout: secs(10.0) }
    }

    /// Everything but probes that happened to one pair (or command, or channel).
    pub fn words(&self, who: &str) -> Vec<String> {
        let mine = |event: &Event| event.who == who && !event.word.starts_with("probe");
        self.events().into_iter().filter(mine).map(|event| event.word).collect()
    }

    /// Seconds after the start of each event of `who` whose word begins so.
    pub fn times(&self, who: &str, word: &str) -> Vec<f64> {
        let mine = |event: &Event| event.who == who && event.word.starts_with(word);
        self.events().into_iter().filter(mine).map(|event| event.at.as_secs_f64()).collect()
    }

    pub fn count(&self, who: &str, word: &str) -> usize {
        self.times(who, word).len()
    }

    /// Builds a plan whose target follows a script of the attempt's number (from 0) and its moment.
    pub fn plan(self: &Arc<Self>, spec: Spec, script: impl FnMut(usize, f64) -> Look + Send + 'static) -> Arc<Plan> {
        let pair = name(spec.server);
        let who = pair.server.to_string();
        let certificate = spec.certificate.map(|days| EPOCH + secs(days * 86_400.0).as_secs().cast_signed());
        let probe = Scripted { world: self.clone(), who, certificate, script: Mutex::new((0, Box::new(script))) };
        let verify = VerifyRules { window: secs(spec.window), interval: secs(5.0) };
        let ending = spec.recovery.as_ref().map_or("", |cure| cure.command);
        let rung = |cure: Cure| Rung {
            ends: if cure.once { ending.into() } else { "".into() },
            command: cure.command.into(),
            site: pair.site.clone(),
            login: pair.site.clone(),
            terms: cure.terms,
            once: cure.once,
            remedy: Arc::new(Works { world: self.clone(), cure }),
            limit: secs(60.0),
            verify,
        };
        let ladder: Vec<Rung> = spec.ladder.into_iter().map(rung).collect();
        let recovery = spec.recovery.map(|cure| Arc::new(rung(cure)));
        Arc::new(Plan {
            target: Arc::new(Target::new(&format!("test://{}", pair.server), probe).warning(spec.warns)),
            pair,
            // Whatever a test builds twice looks at something else, unless it says otherwise.
            mark: self.marks.fetch_add(1, Ordering::Relaxed),
            kit: kit(),
            up_first: spec.up_first,
            notify: spec.notify,
            environment: None,
            check: CheckRules {
                attempts: spec.attempts,
                retry_delay: secs(1.0),
                timeout: secs(spec.timeout),
                successes: spec.successes,
                hold: secs(spec.hold),
            },
            backoff: Backoff::new(secs(spec.interval), spec.factor, secs(spec.max)),
            ladder: ladder.into(),
            recovery,
            witnesses: spec.witnesses,
            parents: spec.parents.into(),
            holds: spec.holds.into_iter().map(name).collect(),
            afar: spec.afar.map(|afar| Arc::new(FromSite(afar)) as Arc<dyn LookAfar>),
        })
    }

    pub fn watch(self: &Arc<Self>, pairs: Vec<Arc<Plan>>) -> Watch {
        self.watch_with(pairs, calm(), Saved::default(), clock())
    }

    pub fn watch_with(
        self: &Arc<Self>,
        pairs: Vec<Arc<Plan>>,
        guard: guard::Rules,
        saved: Saved,
        clock: Clock,
    ) -> Watch {
        self.watch_all(plans(pairs, guard), saved, clock)
    }

    pub fn watch_all(self: &Arc<Self>, plans: Plans, saved: Saved, clock: Clock) -> Watch {
        let (notices, told) = mpsc::unbounded_channel();
        let audits = self.clone();
        let ledger = Ledger {
            journal: self.clone(),
            audit: Arc::new(move |record| {
                audits.say(record.pair.server.to_string(), format!("audit {}", record.status.as_str()));
            }),
            outlets: vec![Outlet { channel: "chat".to_owned(), notices }],
            mask: Arc::new(ToOwned::to_owned),
            zone: TimeZone::UTC,
        };
        let (engine, handle, pulse) = Engine::new(Parts { plans, clock, ledger, narrator: narrator(), saved });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(engine.run(stop.clone()));
        Watch { handle, stop, told, tasks, _pulse: pulse }
    }
}

impl Journal for World {
    fn record(&self, writes: Vec<Write>) {
        for write in &writes {
            if let Some((who, word)) = word(write) {
                self.say(who, word);
            }
        }
        let mut inner = self.lock();
        for write in &writes {
            match write {
                Write::PairState { pair, state_json, .. } => {
                    inner.states.insert(pair.clone(), serde_json::from_str(state_json).unwrap());
                }
                Write::PairForgotten { pair } => {
                    inner.states.remove(pair);
                }
                Write::Setting { key, value } if key == "guard" => {
                    inner.memory = serde_json::from_str(value).unwrap();
                }
                _ => {}
            }
        }
        inner.writes.extend(writes);
    }

    fn recorded(&self, writes: Vec<Write>, within: Duration) -> BoxFuture<'static, bool> {
        self.record(writes);
        let disk = self.lock().disk;
        Box::pin(async move {
            match disk {
                Disk::Writes(took) if took <= within => {
                    if !took.is_zero() {
                        tokio::time::sleep(took).await;
                    }
                    true
                }
                Disk::Writes(_) | Disk::Fails => {
                    tokio::time::sleep(within).await;
                    false
                }
            }
        })
    }
}

/// One word per fact; whose it is, is the server's name (or the channel's).
fn word(write: &Write) -> Option<(String, String)> {
    Some(match write {
        Write::IncidentOpened { pair, .. } => (pair.server.to_string(), "open".to_owned()),
        Write::IncidentClosed { closing, .. } => {
            let how = match closing {
                Closing::Healed { .. } => "healed",
                Closing::Recovered => "recovered",
                Closing::Retired => "retired",
            };
            ("incident".to_owned(), format!("close {how}"))
        }
        Write::RunIntended(order) => (order.pair.server.to_string(), format!("intend {}", order.command)),
        Write::RunRefused { order, refusal } => (order.pair.server.to_string(), format!("refuse {}", refusal.as_str())),
        Write::RunEnded(ended) => {
            ("run".to_owned(), format!("end {}", ended.status.map_or("unknown", |status| status.as_str())))
        }
        Write::RunJudged { verdict, .. } => ("run".to_owned(), format!("judge {}", verdict.as_str())),
        Write::NoticeQueued { notice, .. } => {
            (notice.pair.as_ref().map_or("agent".to_owned(), |pair| pair.server.to_string()), tell(notice))
        }
        Write::PairForgotten { pair } => (pair.server.to_string(), "forget".to_owned()),
        Write::NoticeDelivered { channel, message_ref, .. } => {
            (channel.clone(), if message_ref.is_some() { "delivered" } else { "collapsed" }.to_owned())
        }
        Write::NoticeDead { channel, .. } => (channel.clone(), "dead".to_owned()),
        Write::Thread { channel, message_ref, .. } => (channel.clone(), format!("thread {message_ref}")),
        Write::ChannelMoved { channel, from, to } => (channel.clone(), format!("moved {from} {to}")),
        Write::PairState { .. } | Write::Watched { .. } | Write::NoticeRetry { .. } | Write::Setting { .. } => {
            return None;
        }
    })
}

fn tell(notice: &Notice) -> String {
    match &notice.news {
        News::Failed(failed) => {
            let deed = match &failed.deed {
                Deed::Command { run, .. } => run.status.as_str(),
                Deed::Refused { refusal, .. } => refusal.as_str(),
                Deed::Interrupted { .. } => "interrupted",
                Deed::Nothing => "nothing",
            };
            format!("tell down #{} {deed}{}", failed.failures, if failed.gave_up { " gave up" } else { "" })
        }
        News::Recovered(up) => format!("tell up #{}{}", up.failures, if up.while_off { " while off" } else { "" }),
        News::Flapping { .. } => "tell flapping".to_owned(),
        News::Settled { up } => format!("tell settled {}", if *up { "up" } else { "down" }),
        News::Retired { .. } => "tell retired".to_owned(),
        News::Aftercare { deed: Deed::Command { run, .. } } => format!("tell aftercare {}", run.status.as_str()),
        News::Aftercare { deed: Deed::Refused { refusal, .. } } => format!("tell aftercare {}", refusal.as_str()),
        News::Aftercare { .. } => "tell aftercare".to_owned(),
        News::Storm { .. } => "tell storm".to_owned(),
        News::StormOver { .. } => "tell storm over".to_owned(),
        News::CutOff(_) => "tell cut off".to_owned(),
        News::Reconnected { .. } => "tell reconnected".to_owned(),
        News::Unseen { fault, pairs, .. } => format!("tell unseen {pairs} {}", fault.cause),
        News::SeenAgain { .. } => "tell seen".to_owned(),
        News::Expiring { days, .. } => format!("tell expiring {days}"),
        News::Drill(_) => "tell drill".to_owned(),
    }
}

/// What is special about one pair.
pub struct Spec {
    pub server: &'static str,
    pub interval: f64,
    pub factor: f64,
    pub max: f64,
    pub attempts: u32,
    pub timeout: f64,
    pub window: f64,
    pub ladder: Vec<Cure>,
    pub recovery: Option<Cure>,
    pub successes: u32,
    pub hold: f64,
    pub witnesses: Option<Arc<Witnesses>>,
    pub parents: Vec<Parent>,
    pub holds: Vec<&'static str>,
    pub afar: Option<Afar>,
    pub notify: bool,
    pub up_first: bool,
    /// Days before the end of its certificate at which people are told, and in how many days it ends.
    pub warns: &'static [u16],
    pub certificate: Option<f64>,
}

/// A pair looked at every 30 s by one attempt, with these commands and a verify window of 15 s.
pub fn pair(server: &'static str, ladder: Vec<Cure>) -> Spec {
    Spec {
        server,
        interval: 30.0,
        factor: 1.5,
        max: 300.0,
        attempts: 1,
        timeout: 10.0,
        window: 15.0,
        ladder,
        recovery: None,
        successes: 1,
        hold: 0.0,
        witnesses: None,
        parents: Vec::new(),
        holds: Vec::new(),
        afar: None,
        notify: true,
        up_first: false,
        warns: &[],
        certificate: None,
    }
}

/// What the site's own host sees, at once.
struct FromSite(Afar);

impl LookAfar for FromSite {
    fn look(&self) -> BoxFuture<'_, Afar> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}

/// A command.
#[derive(Clone)]
pub struct Cure {
    pub command: &'static str,
    pub lane: &'static str,
    pub took: Duration,
    pub status: RunStatus,
    pub panics: bool,
    /// Time until its host is ready for it.
    pub connects: Duration,
    /// Whether and when it runs by itself.
    pub terms: Terms,
    /// A success is not repeated within the incident.
    pub once: bool,
    /// It may be run again after an interruption or a failure.
    pub repeatable: bool,
}

/// A command that takes so many seconds on the host `h1` and exits 0.
pub fn cure(command: &'static str, took: f64) -> Cure {
    Cure {
        command,
        lane: "h1",
        took: secs(took),
        status: RunStatus::Executed,
        panics: false,
        connects: Duration::ZERO,
        terms: Terms::default(),
        once: false,
        repeatable: false,
    }
}

/// The same on another host.
pub fn cure_on(lane: &'static str, command: &'static str, took: f64) -> Cure {
    Cure { lane, ..cure(command, took) }
}

pub type Script = Box<dyn FnMut(usize, f64) -> Look + Send>;

struct Scripted {
    world: Arc<World>,
    who: String,
    /// When its certificate ends, in seconds of Unix time.
    certificate: Option<i64>,
    script: Mutex<(usize, Script)>,
}

impl Probe for Scripted {
    fn look<'a>(&'a self, _kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.certificate.into_iter().for_each(|at| trace.certificate_ends(Timestamp::from_second(at).unwrap()));
            let at = self.world.start.elapsed().as_secs_f64();
            let (took, see) = {
                let (count, script) = &mut *self.script.lock().unwrap();
                *count += 1;
                script(*count - 1, at)
            };
            self.world.say(&self.who, "probe");
            if !took.is_zero() {
                tokio::time::sleep(took).await;
            }
            match see {
                See::Up => Ok(()),
                See::Down => Err(Fault::new(Cause::Refused, "connection refused")),
                See::Blind => Err(Fault::new(Cause::Network, "no network")),
                See::Denied => Err(Fault::new(Cause::Denied, "no rights")),
                See::Nameless => Err(Fault::new(Cause::Dns, "no such name")),
                See::Panic => panic!("a probe with a bug"),
                See::Hang => std::future::pending().await,
            }
        })
    }
}

struct Works {
    world: Arc<World>,
    cure: Cure,
}

impl Remedy for Works {
    fn host(&self) -> &str {
        self.cure.lane
    }

    fn repeatable(&self) -> bool {
        self.cure.repeatable
    }

    fn text(&self) -> &str {
        self.cure.command
    }

    fn harmless(&self) -> Option<Arc<dyn Remedy>> {
        let cure = Cure { command: "true", took: secs(1.0), ..self.cure.clone() };
        Some(Arc::new(Self { world: self.world.clone(), cure }))
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            let who = call.pair.server.to_string();
            tokio::time::sleep(self.cure.connects).await;
            if !ready.await {
                return Done { run: ended(RunStatus::Unreachable, Duration::ZERO), output: Captured::default() };
            }
            self.world.say(&who, format!("run {}", self.cure.command));
            self.world.say(format!("lane {}", self.cure.lane), "begin");
            self.world.say(self.cure.lane, format!("begin {}", self.cure.command));
            let _over = Over { world: self.world.clone(), lane: self.cure.lane };
            tokio::time::sleep(self.cure.took).await;
            assert!(!self.cure.panics, "a remedy with a bug");
            self.world.say(self.cure.lane, format!("done {}", self.cure.command));
            Done { run: ended(self.cure.status, self.cure.took), output: Captured::default() }
        })
    }
}

/// Says that a lane is free again, however its command ended.
struct Over {
    world: Arc<World>,
    lane: &'static str,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.world.say(format!("lane {}", self.lane), "over");
    }
}

pub fn ended(status: RunStatus, duration: Duration) -> Run {
    let started = matches!(status, RunStatus::Executed | RunStatus::Failed | RunStatus::Timeout);
    let exit_code = started.then_some(i32::from(status != RunStatus::Executed));
    Run { status, started, exit_code, signal: None, duration, excerpt: String::new(), error: String::new() }
}

/// A running engine.
pub struct Watch {
    pub handle: Handle,
    pub stop: CancellationToken,
    pub told: mpsc::UnboundedReceiver<Notice>,
    tasks: JoinSet<()>,
    _pulse: tokio::sync::watch::Receiver<u64>,
}

impl Watch {
    /// Stops the engine; gives how long that took.
    pub async fn end(mut self) -> Duration {
        let asked = Instant::now();
        self.stop.cancel();
        let ended = tokio::time::timeout(secs(60.0), self.tasks.join_next()).await;
        ended.expect("the engine ends").unwrap().expect("the engine does not panic");
        asked.elapsed()
    }

    /// Kills the engine as a power cut would.
    pub async fn cut(mut self) {
        self.tasks.shutdown().await;
    }
}

pub fn plans(pairs: Vec<Arc<Plan>>, guard: guard::Rules) -> Plans {
    Plans { pairs, guard, attempts_at_once: 100_000, remedies_at_once: 10_000, unknown_after: Duration::ZERO }
}

/// Rules under which nothing is refused.
pub fn calm() -> guard::Rules {
    guard::Rules {
        budget: Budget { runs: 1000, window: secs(3600.0) },
        cooldown: Duration::ZERO,
        storm: storm::Rules { share: 1.0, window: secs(60.0), quiet: secs(300.0) },
        flap: flap::Limit { changes: 0, window: secs(3600.0) },
        maintenance: Calendar::default(),
        dry_run: false,
    }
}

pub fn clock() -> Clock {
    Clock::virtual_from(Timestamp::from_second(EPOCH).unwrap())
}

pub fn narrator() -> Arc<Narrator> {
    Arc::new(Narrator::new(Voice { language: Language::En, successes: false, zone: TimeZone::UTC }))
}

fn kit() -> Arc<Kit> {
    static KIT: OnceLock<Arc<Kit>> = OnceLock::new();
    KIT.get_or_init(|| Arc::new(Kit::new(&Roots::load(None).unwrap()))).clone()
}

/// Always up, at once.
pub fn up(_: usize, _: f64) -> Look {
    (Duration::ZERO, See::Up)
}

/// Always down, at once.
pub fn down(_: usize, _: f64) -> Look {
    (Duration::ZERO, See::Down)
}

/// Down from one moment to another, up otherwise.
pub fn down_between(from: f64, to: f64) -> impl FnMut(usize, f64) -> Look + Send + 'static {
    move |_, at| (Duration::ZERO, if (from..to).contains(&at) { See::Down } else { See::Up })
}

/// Attempts in this order, the last one for ever.
pub fn in_turn(looks: Vec<See>) -> impl FnMut(usize, f64) -> Look + Send + 'static {
    move |count, _| (Duration::ZERO, looks[count.min(looks.len() - 1)])
}

/// Differences of neighbours.
pub fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|two| two[1] - two[0]).collect()
}

/// Equal up to the granularity of tokio's timer, one millisecond for each of a few timers.
#[track_caller]
pub fn assert_near(got: &[f64], wanted: &[f64]) {
    let near = got.len() == wanted.len() && got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 0.006);
    assert!(near, "got {got:?}, wanted {wanted:?}");
}

/// What one attempt to deliver comes to.
#[derive(Debug, Clone)]
pub enum Answer {
    Takes,
    TakesAfter(Duration),
    TakesAt(&'static str),
    Later(Option<Duration>),
    Broken,
    Refuses,
    Panics,
}

/// A message as the channel got it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: f64,
    pub text: String,
    pub silent: bool,
    pub reply_to: Option<String>,
}

/// A channel that answers as it is told, and takes everything when it is told nothing. Messages are called m1, m2, …
pub struct Chat {
    start: Instant,
    state: Mutex<(VecDeque<Answer>, Vec<Sent>, usize)>,
}

impl Chat {
    pub fn new(world: &World, answers: Vec<Answer>) -> Arc<Self> {
        Arc::new(Self { start: world.start, state: Mutex::new((answers.into(), Vec::new(), 0)) })
    }

    /// Every message that was tried, taken or not.
    pub fn tried(&self) -> Vec<Sent> {
        self.state.lock().unwrap().1.clone()
    }

    pub fn then(&self, answers: Vec<Answer>) {
        self.state.lock().unwrap().0.extend(answers);
    }
}

impl Channel for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn deliver<'a>(&'a self, out: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        Box::pin(async move {
            let answer = {
                let (answers, tried, _) = &mut *self.state.lock().unwrap();
                tried.push(Sent {
                    at: self.start.elapsed().as_secs_f64(),
                    text: out.rich.to_plain(),
                    silent: out.silent,
                    reply_to: out.reply_to.clone(),
                });
                answers.pop_front().unwrap_or(Answer::Takes)
            };
            let mut moved = None;
            match answer {
                Answer::Takes => {}
                Answer::TakesAfter(wait) => tokio::time::sleep(wait).await,
                Answer::TakesAt(chat) => moved = Some(chat.to_owned()),
                Answer::Later(wait) => return Err(Undelivered::Later { wait, why: "busy".to_owned() }),
                Answer::Broken => return Err(Undelivered::ChannelBroken { why: "wrong token".to_owned() }),
                Answer::Refuses => return Err(Undelivered::MessageRefused { why: "bad entities".to_owned() }),
                Answer::Panics => panic!("a channel with a bug"),
            }
            let count = {
                let state = &mut *self.state.lock().unwrap();
                state.2 += 1;
                state.2
            };
            Ok(Receipt { message_ref: format!("m{count}"), moved })
        })
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }
}

thread_local! {
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps what its thread says while somebody listens there.
struct Keeps;

impl std::io::Write for Keeps {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log's lines of this thread for as long as it lives. A subscriber of this thread alone would not do: while there is
/// only one, tracing asks whichever thread comes first to a line whether anybody listens, and remembers the answer.
pub struct Lines {
    thread: std::thread::ThreadId,
}

impl Lines {
    pub fn listen() -> Self {
        static ONCE: OnceLock<()> = OnceLock::new();
        ONCE.get_or_init(|| {
            let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(|| Keeps).finish();
            tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
        });
        KEPT.set(Some(Vec::new()));
        Self { thread: std::thread::current().id() }
    }

    pub fn count(&self, part: &str) -> usize {
        assert_eq!(self.thread, std::thread::current().id(), "it only hears its own thread");
        KEPT.with_borrow(|kept| {
            let kept = String::from_utf8_lossy(kept.as_deref().unwrap_or_default());
            kept.lines().filter(|line| line.contains(part)).count()
        })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}
