//! The tape of a plan: what the engine wrote and what its probes and commands saw become events, in order.
//!
//! Nothing is decided here. What the engine does not write down (a check, the end of a verify window) is read off the
//! attempts it makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::name::PairName;
use crate::domain::notice::{Deed, Healer, News as Told, Notice};
use crate::domain::reading::Fault;
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{self, IncidentId, RunId, RunStatus};
use crate::engine::plan::Plan;
use crate::message::{Language, Line, line};
use crate::store::{Order, Write};

use super::event::{Event, News, Verdict, What};

/// An incident as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Whose.
    pub pair: PairName,
    /// When it was opened.
    pub opened: Duration,
    /// When it was closed.
    pub closed: Option<Duration>,
    /// Whether a command is credited.
    pub healed: bool,
}

/// What is known of one pair while the tape runs.
struct Track {
    plan: Arc<Plan>,
    /// A failed attempt that may turn out to be the first of a check.
    failed: Option<Fault>,
    /// Failed attempts of the check under way; 0 when none is, or none failed.
    made: u32,
    /// Where the last check stands, until something follows from it.
    check: Option<usize>,
    incident: Option<IncidentId>,
    /// The command that was ordered and has not ended.
    ordered: Option<RunId>,
    window: Option<Window>,
    /// The last attempt that saw it up.
    up: Option<Duration>,
}

/// A verify window.
struct Window {
    ended: Duration,
    until: Duration,
    looks: Vec<Duration>,
}

/// The tape.
pub struct Tape {
    events: Vec<Event>,
    tracks: BTreeMap<PairName, Track>,
    runs: BTreeMap<RunId, Order>,
    incidents: BTreeMap<IncidentId, Incident>,
    zone: TimeZone,
}

impl Tape {
    /// Starts an empty tape for these pairs.
    pub fn new(pairs: &[Arc<Plan>], zone: TimeZone) -> Self {
        let track = |plan: &Arc<Plan>| Track {
            plan: plan.clone(),
            failed: None,
            made: 0,
            check: None,
            incident: None,
            ordered: None,
            window: None,
            up: None,
        };
        let tracks = pairs.iter().map(|plan| (plan.pair.clone(), track(plan))).collect();
        Self { events: Vec::new(), tracks, runs: BTreeMap::new(), incidents: BTreeMap::new(), zone }
    }

    fn push(&mut self, at: Duration, pair: &PairName, what: What) {
        self.events.push(Event { at, pair: Some(pair.clone()), what });
    }

    /// Takes the end of one attempt.
    pub fn attempt(&mut self, at: Duration, pair: &PairName, fault: Option<&Fault>) {
        if self.tracks.get(pair).and_then(|track| track.window.as_ref()).is_some_and(|window| at > window.until) {
            self.close_window(pair);
        }
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let of = track.plan.check.attempts;
        let Some(fault) = fault else {
            (track.failed, track.up) = (None, Some(at));
            let attempts = std::mem::take(&mut track.made) + 1;
            // One of an open incident counts towards its end; those inside a window belong to the command.
            let counts = track.incident.is_some() && track.ordered.is_none() && track.window.is_none();
            if attempts > 1 || counts {
                self.push(at, pair, What::Check { verdict: Verdict::Up, attempts, of, cause: None, reason: None });
            }
            return;
        };
        if track.made == 0 && !track.plan.ladder.is_empty() {
            track.failed = Some(fault.clone());
            if let Some(window) = &mut track.window {
                window.looks.push(at);
            }
        } else {
            self.failed(at, pair, fault);
        }
    }

    /// Takes the word that a command may soon be wanted: the failed attempt before it was the first of a check.
    pub fn warmed(&mut self, at: Duration, pair: &PairName) {
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let Some(fault) = track.failed.take() else { return };
        if let Some(window) = &mut track.window {
            // It was no look: the window had ended before.
            window.looks.pop();
            self.close_window(pair);
        }
        self.failed(at, pair, &fault);
    }

    fn failed(&mut self, at: Duration, pair: &PairName, fault: &Fault) {
        let Some(track) = self.tracks.get_mut(pair) else { return };
        let of = track.plan.check.attempts;
        track.made += 1;
        if track.made < of {
            return;
        }
        let attempts = std::mem::take(&mut track.made);
        track.check = Some(self.events.len());
        let (cause, reason) = (Some(fault.cause.as_str()), Some(fault.reason.clone()));
        self.push(at, pair, What::Check { verdict: Verdict::Unknown, attempts, of, cause, reason });
    }

    /// Something followed from the last check of this pair: it counted.
    fn counted(&mut self, pair: &PairName) {
        let Some(place) = self.tracks.get_mut(pair).and_then(|track| track.check.take()) else { return };
        if let Some(Event { what: What::Check { verdict, .. }, .. }) = self.events.get_mut(place) {
            *verdict = Verdict::Down;
        }
    }

    /// Takes the start of a command.
    pub fn started(&mut self, at: Duration, run: RunId) {
        let Some(order) = self.runs.get(&run) else { return };
        let (pair, rung, site, command) = (order.pair.clone(), order.rung, order.site.clone(), order.command.clone());
        self.push(at, &pair, What::CommandStart { rung, site, command });
    }

    /// Gives the pair and the rung of a run.
    pub fn run(&self, run: RunId) -> Option<(PairName, u32)> {
        self.runs.get(&run).map(|order| (order.pair.clone(), order.rung))
    }

    /// Takes a message that went out, and what it tells.
    pub fn sent(&mut self, at: Duration, notices: usize, pair: Option<PairName>, silent: bool, text: String) {
        self.events.push(Event { at, pair, what: What::Message { notices, silent, text } });
    }

    /// Takes what the engine wrote.
    pub fn wrote(&mut self, at: Duration, write: Write) {
        match write {
            Write::IncidentOpened { id, pair, .. } => {
                self.counted(&pair);
                if let Some(track) = self.tracks.get_mut(&pair) {
                    track.incident = Some(id);
                }
                self.incidents.insert(id, Incident { pair, opened: at, closed: None, healed: false });
            }
            Write::IncidentClosed { id, closing, .. } => {
                let Some(incident) = self.incidents.get_mut(&id) else { return };
                incident.closed = Some(at);
                incident.healed = matches!(closing, crate::store::Closing::Healed { .. });
                if let Some(track) = self.tracks.get_mut(&incident.pair) {
                    (track.incident, track.window) = (None, None);
                }
            }
            // One that had to wait is handed over a second time.
            Write::RunIntended(order) if !self.runs.contains_key(&order.run) => {
                self.counted(&order.pair);
                if let Some(track) = self.tracks.get_mut(&order.pair) {
                    track.ordered = Some(order.run);
                }
                let (rung, attempt, command) = (order.rung, order.attempt, order.command.clone());
                self.push(at, &order.pair, What::Permit { rung, attempt, command });
                self.runs.insert(order.run, order);
            }
            Write::RunRefused { order, refusal } => {
                self.counted(&order.pair);
                self.refused(at, &order, &refusal);
            }
            Write::RunEnded(ended) => self.ended(at, ended.run, ended.status, Duration::from_millis(ended.duration_ms)),
            Write::RunJudged { run, verdict, .. } => self.judged(at, run, &verdict),
            Write::NoticeQueued { notice, .. } => self.noticed(at, &notice),
            _ => {}
        }
    }

    fn refused(&mut self, at: Duration, order: &Order, refusal: &Refusal) {
        let said = line(&Line::Refused { pair: &order.pair, refusal, zone: &self.zone }, Language::En);
        let why = said.split_once(": ").map_or(said.as_str(), |(_, why)| why).to_owned();
        let (rung, attempt, command, reason) = (order.rung, order.attempt, order.command.clone(), refusal.as_str());
        self.push(at, &order.pair, What::Refusal { rung, attempt, command, reason, why });
    }

    fn ended(&mut self, at: Duration, run: RunId, status: Option<RunStatus>, took: Duration) {
        let (Some(order), Some(status)) = (self.runs.get(&run), status) else { return };
        let (pair, rung, command) = (order.pair.clone(), order.rung, order.command.clone());
        if let Some(track) = self.tracks.get_mut(&pair) {
            track.ordered = None;
            let window = track.plan.rung(rung).map(|rung| rung.verify.window).unwrap_or_default();
            let began = matches!(status, RunStatus::Executed | RunStatus::Failed | RunStatus::Timeout);
            track.window = (began && !window.is_zero()).then(|| Window {
                ended: at,
                until: at.saturating_add(window),
                looks: Vec::new(),
            });
        }
        self.push(at, &pair, What::CommandEnd { rung, command, status, took });
    }

    fn judged(&mut self, at: Duration, run: RunId, verdict: &remedy::Verdict) {
        let Some(order) = self.runs.get(&run).cloned() else { return };
        match verdict {
            remedy::Verdict::Healed => {
                let window = self.tracks.get_mut(&order.pair).and_then(|track| track.window.take());
                let after = window.map(|window| at.saturating_sub(window.ended)).unwrap_or_default();
                self.push(at, &order.pair, What::Verify { healed: true, after });
            }
            remedy::Verdict::Skipped(refusal) => {
                if let Some(track) = self.tracks.get_mut(&order.pair) {
                    track.ordered = None;
                }
                self.refused(at, &order, refusal);
            }
            remedy::Verdict::RanButDown
            | remedy::Verdict::Failed
            | remedy::Verdict::CouldNotRun
            | remedy::Verdict::Interrupted => {}
        }
    }

    fn noticed(&mut self, at: Duration, notice: &Notice) {
        let (news, failures, deed, next) = match &notice.news {
            Told::Failed(failed) => (News::Down, failed.failures, done(&failed.deed), failed.next),
            Told::Recovered(up) => (News::Up, up.failures, thanked(&up.by), up.next),
        };
        self.counted(&notice.pair);
        self.push(at, &notice.pair, What::Notice { news, failures, deed, next });
    }

    /// Ends a verify window in which nobody was seen up.
    fn close_window(&mut self, pair: &PairName) {
        let Some(window) = self.tracks.get_mut(pair).and_then(|track| track.window.take()) else { return };
        if let Some(last) = window.looks.last().copied() {
            self.push(last, pair, What::Verify { healed: false, after: last.saturating_sub(window.ended) });
        }
    }

    /// True when nobody is down, and everyone was seen up since this moment.
    pub fn is_calm(&self, since: Duration) -> bool {
        self.tracks.values().all(|track| track.incident.is_none() && track.up.is_some_and(|up| up >= since))
    }

    /// Ends the tape: the events in order, and the incidents.
    pub fn end(&mut self, at: Duration) -> (Vec<Event>, Vec<Incident>) {
        let over = |track: &Track| track.window.as_ref().is_some_and(|window| window.until <= at);
        let pairs: Vec<PairName> =
            self.tracks.iter().filter(|(_, track)| over(track)).map(|(pair, _)| pair.clone()).collect();
        for pair in &pairs {
            self.close_window(pair);
        }
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.at);
        (events, std::mem::take(&mut self.incidents).into_values().collect())
    }
}

fn done(deed: &Deed) -> &'static str {
    match deed {
        Deed::Command { run, .. } => run.status.as_str(),
        Deed::Refused { refusal, .. } => refusal.as_str(),
        Deed::Interrupted { .. } => "interrupted",
        Deed::Nothing => "nothing",
    }
}

fn thanked(healer: &Healer) -> &'static str {
    match healer {
        Healer::Command { .. } => "command",
        Healer::Late { .. } => "late",
        Healer::Itself => "itself",
    }
}
