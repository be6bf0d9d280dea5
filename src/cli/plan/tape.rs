//! The tape of a plan: what the engine wrote becomes events, in order. Nothing is decided here.
//!
//! What the engine does not write down is read off the attempts it makes, in `track`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::name::PairName;
use crate::domain::notice::{Deed, Healer, News, Notice};
use crate::domain::outage::{Outage, State};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{self, IncidentId, RunId, RunStatus};
use crate::engine::plan::Plan;
use crate::message::{Language, Line, line};
use crate::store::{Order, Write};

use super::event::{Event, What};
use super::track::{Track, Window};

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

/// The tape.
pub struct Tape {
    pub(super) events: Vec<Event>,
    pub(super) tracks: BTreeMap<PairName, Track>,
    runs: BTreeMap<RunId, Order>,
    incidents: BTreeMap<IncidentId, Incident>,
    /// Storms, missing witnesses and flaps that were told and whose end was not.
    alarms: usize,
    zone: TimeZone,
}

impl Tape {
    /// Starts an empty tape for these pairs.
    pub fn new(pairs: &[Arc<Plan>], zone: TimeZone) -> Self {
        let tracks = pairs.iter().map(|plan| (plan.pair.clone(), Track::new(plan.clone()))).collect();
        Self { events: Vec::new(), tracks, runs: BTreeMap::new(), incidents: BTreeMap::new(), alarms: 0, zone }
    }

    pub(super) fn push(&mut self, at: Duration, pair: &PairName, what: What) {
        self.events.push(Event { at, pair: Some(pair.clone()), what });
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
                self.refused(at, &order, &refusal, false);
            }
            Write::PairState { pair, state_json, at: now } => {
                // It is written when a check moved it, and not after one that could not look.
                self.counted(&pair);
                if let Ok(State::Down(outage)) = serde_json::from_str(&state_json) {
                    self.set(at, &pair, &outage, now);
                }
            }
            Write::RunEnded(ended) => self.ended(at, ended.run, ended.status, Duration::from_millis(ended.duration_ms)),
            Write::RunJudged { run, verdict, .. } => self.judged(at, run, &verdict),
            Write::NoticeQueued { notice, .. } => self.noticed(at, &notice),
            _ => {}
        }
    }

    fn refused(&mut self, at: Duration, order: &Order, refusal: &Refusal, withdrawn: bool) {
        // The name of an approval is another one each time, and nobody is asked here.
        let refusal = match refusal {
            Refusal::AwaitingApproval { .. } => &Refusal::AwaitingApproval { id: "…".to_owned() },
            refusal => refusal,
        };
        let said = line(&Line::Refused { pair: &order.pair, refusal, zone: &self.zone }, Language::En);
        let why = said.split_once(": ").map_or(said.as_str(), |(_, why)| why).to_owned();
        let (rung, attempt, command, reason) = (order.rung, order.attempt, order.command.clone(), refusal.as_str());
        self.push(at, &order.pair, What::Refusal { rung, attempt, command, withdrawn, reason, why });
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
                self.refused(at, &order, refusal, true);
            }
            remedy::Verdict::RanButDown
            | remedy::Verdict::Failed
            | remedy::Verdict::CouldNotRun
            | remedy::Verdict::Interrupted => {}
        }
    }

    /// Takes the promise of the next check of an open incident; while a command is under way there is none.
    fn set(&mut self, at: Duration, pair: &PairName, outage: &Outage, now: Timestamp) {
        let Some(track) = self.tracks.get_mut(pair) else { return };
        if outage.ordered.is_none() && track.due.replace(outage.due) != Some(outage.due) {
            let after = Duration::try_from(outage.due.duration_since(now)).unwrap_or_default();
            self.push(at, pair, What::NextCheck { after });
        }
    }

    fn noticed(&mut self, at: Duration, notice: &Notice) {
        let (news, failures, deed) = match &notice.news {
            News::Failed(told) => ("down", Some(told.failures), Some(done(&told.deed))),
            News::Recovered(told) => ("up", Some(told.failures), Some(thanked(&told.by))),
            News::Flapping { .. } => ("flapping", None, None),
            News::Settled { .. } => ("settled", None, None),
            News::Unseen { .. } => ("unseen", None, None),
            News::SeenAgain { .. } => ("seen", None, None),
            News::Expiring { .. } => ("expiring", None, None),
            News::Retired { .. } => ("retired", None, None),
            News::Aftercare { deed } => ("aftercare", None, Some(done(deed))),
            News::Storm { .. } => ("storm", None, None),
            News::StormOver { .. } => ("storm_over", None, None),
            News::CutOff(_) => ("cut_off", None, None),
            News::Reconnected { .. } => ("reconnected", None, None),
            News::Drill(_) => ("drill", None, None),
        };
        match &notice.news {
            News::Storm { .. } | News::CutOff(_) | News::Flapping { .. } => self.alarms += 1,
            News::StormOver { .. } | News::Reconnected { .. } | News::Settled { .. } => {
                self.alarms = self.alarms.saturating_sub(1);
            }
            News::Failed(_)
            | News::Recovered(_)
            | News::Retired { .. }
            | News::Aftercare { .. }
            | News::Unseen { .. }
            | News::SeenAgain { .. }
            | News::Expiring { .. }
            | News::Drill(_) => {}
        }
        if let Some(pair) = &notice.pair {
            self.counted(pair);
            // That of an open incident stands in its state.
            if let News::Recovered(up) = &notice.news {
                self.push(at, pair, What::NextCheck { after: up.next });
            }
        }
        let what = What::Notice { news, failures, deed };
        self.events.push(Event { at, pair: notice.pair.clone(), what });
    }

    /// True when nobody is down, everyone was seen up since this moment, no command runs and no alarm is open.
    pub fn is_calm(&self, since: Duration) -> bool {
        let calm = |track: &Track| {
            track.incident.is_none() && track.ordered.is_none() && track.up.is_some_and(|up| up >= since)
        };
        self.alarms == 0 && self.tracks.values().all(calm)
    }

    /// Ends the tape: the events in order, and the incidents.
    pub fn end(&mut self, at: Duration) -> (Vec<Event>, Vec<Incident>) {
        self.end_unseen(at);
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
