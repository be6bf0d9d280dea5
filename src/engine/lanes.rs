//! One lane per host: a host never runs two remedies at once, and pairs that want the same command share one run.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::domain::refusal::Refusal;
use crate::remedy::Call;

use super::handle::HealReport;
use super::plan::Rung;

/// What runs, or waits for its turn, on one host: equal commands are one run.
struct Job {
    /// What is run, as the first one asked for it.
    rung: Rung,
    /// The first one's call is sent; the others share its result.
    members: Vec<Member>,
    veto: Veto,
}

/// Why a command must not be sent; `None` once it was, and then no veto can be set any more.
pub type Veto = Arc<OnceLock<Option<Refusal>>>;

impl Job {
    fn new(first: Member) -> Self {
        Self { rung: first.rung.clone(), members: vec![first], veto: Veto::default() }
    }

    /// True when it will be refused, for reasons of those who are in it by now.
    fn is_vetoed(&self) -> bool {
        matches!(self.veto.get(), Some(Some(_)))
    }
}

/// One pair that wants the run.
pub struct Member {
    /// The run as this pair's records know it.
    pub call: Call,
    /// What is run, and how its effect on this pair is proved.
    pub rung: Rung,
    /// Why it is run.
    pub why: Why,
    /// When it was permitted.
    pub at: Timestamp,
    /// Who waits for the outcome, when a person ordered it.
    pub reply: Option<oneshot::Sender<HealReport>>,
}

/// Why something is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A check failed.
    Verdict,
    /// A check failed, and a person approved it.
    Approved,
    /// A person ordered it, whatever the pair looks like.
    Person,
    /// The pair is up again.
    Recovery,
    /// A person rehearses it, with the pair's own command or with a harmless one.
    Drill {
        /// With the pair's own.
        really: bool,
    },
}

impl Member {
    /// True when it heals an incident, so that the incident's judge hears what became of it.
    pub fn heals(&self) -> bool {
        match self.why {
            Why::Verdict | Why::Approved => true,
            Why::Person | Why::Recovery | Why::Drill { .. } => false,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The host was idle: start it now.
    Now,
    /// The same command is running or waiting there; its result will be shared.
    Shared,
    /// Another command runs there; this one starts when it ends.
    Waits,
}

/// True when one run serves both: the same text by the same login. A text that asks for whom it runs is no such text.
pub fn is_same(one: &Rung, other: &Rung) -> bool {
    is_same_text(one, other) && !one.remedy.text().contains("MONITOR_")
}

/// True when both would do the same on the host, whoever asks.
fn is_same_text(one: &Rung, other: &Rung) -> bool {
    one.remedy.text() == other.remedy.text() && one.login == other.login
}

/// True when both would do the same at the same place.
pub fn is_same_deed(one: &Rung, other: &Rung) -> bool {
    is_same_text(one, other) && one.remedy.lane() == other.remedy.lane()
}

/// All lanes. A host that runs nothing has none.
#[derive(Default)]
pub struct Lanes {
    hosts: HashMap<String, Lane>,
    /// Commands that ended and whose effect is still being looked for.
    settling: Vec<Settling>,
    /// Hosts that may still be at work on what the agent before this one sent, with those who wait for that.
    left: HashMap<String, Vec<Member>>,
}

/// A command whose verify windows are open. Who wants the same one meanwhile waits: what it did may only be starting.
struct Settling {
    host: String,
    rung: Rung,
    windows: usize,
    parked: Vec<Member>,
}

struct Lane {
    running: Job,
    waiting: VecDeque<Job>,
}

impl Lanes {
    /// Asks for a run on `host`.
    pub fn request(&mut self, host: &str, member: Member) -> Turn {
        if let Some(parked) = self.left.get_mut(host) {
            parked.push(member);
            return Turn::Waits;
        }
        let settling = |done: &&mut Settling| done.host == host && is_same_text(&done.rung, &member.rung);
        if let Some(done) = self.settling.iter_mut().find(settling) {
            done.parked.push(member);
            return Turn::Waits;
        }
        let Some(lane) = self.hosts.get_mut(host) else {
            let lane = Lane { running: Job::new(member), waiting: VecDeque::new() };
            self.hosts.insert(host.to_owned(), lane);
            return Turn::Now;
        };
        let mut jobs = std::iter::once(&mut lane.running).chain(lane.waiting.iter_mut());
        // The same text under another login is another deed, and may be refused where this one is not.
        let wanted = &member.rung;
        let same = |job: &&mut Job| is_same(&job.rung, wanted) && !job.is_vetoed();
        if let Some(same) = jobs.find(same) {
            same.members.push(member);
            return Turn::Shared;
        }
        lane.waiting.push_back(Job::new(member));
        Turn::Waits
    }

    /// Those for whom `host` runs its command, the one whose call is sent first; `None` when the host is idle.
    pub fn running(&self, host: &str) -> Option<&[Member]> {
        self.hosts.get(host).map(|lane| lane.running.members.as_slice())
    }

    /// What is asked right before the command of `host` is sent.
    pub fn veto(&self, host: &str) -> Veto {
        self.hosts.get(host).map(|lane| lane.running.veto.clone()).unwrap_or_default()
    }

    /// Keeps from being sent what nobody may have any more: each of its members has an objection.
    pub fn object(&self, mut objection: impl FnMut(&Member) -> Option<Refusal>) {
        for Job { members, veto, .. } in self.hosts.values().map(|lane| &lane.running) {
            let objections: Option<Vec<Refusal>> = members.iter().map(&mut objection).collect();
            if let Some(first) = objections.and_then(|all| all.into_iter().next()) {
                // The first reason stands.
                let _ = veto.set(Some(first));
            }
        }
    }

    /// Takes those out of what runs on `host` who leave it. It may run for nobody then.
    pub fn part(&mut self, host: &str, leaves: impl Fn(&Member) -> bool) -> Vec<Member> {
        let Some(lane) = self.hosts.get_mut(host) else { return Vec::new() };
        lane.running.members.extract_if(.., |member| leaves(member)).collect()
    }

    /// Ends the run on `host`: gives those it was run for, and moves the next one up.
    pub fn finish(&mut self, host: &str) -> Vec<Member> {
        let Some(lane) = self.hosts.get_mut(host) else { return Vec::new() };
        if let Some(next) = lane.waiting.pop_front() {
            return std::mem::replace(&mut lane.running, next).members;
        }
        self.hosts.remove(host).map(|lane| lane.running.members).unwrap_or_default()
    }

    /// Says that a verify window of this command was opened on `host`.
    pub fn window_opened(&mut self, host: &str, rung: &Rung) {
        match self.settling_of(host, rung) {
            Some(done) => done.windows += 1,
            None => self.settling.push(Settling {
                host: host.to_owned(),
                rung: rung.clone(),
                windows: 1,
                parked: Vec::new(),
            }),
        }
    }

    /// Says that one was closed. With the last one, those who waited for it get in line; true when the host is idle and
    /// it is their turn.
    pub fn window_closed(&mut self, host: &str, rung: &Rung) -> bool {
        let Some(done) = self.settling_of(host, rung) else { return false };
        done.windows -= 1;
        if done.windows > 0 {
            return false;
        }
        let mut parked = Vec::new();
        self.settling.retain_mut(|done| {
            let over = done.windows == 0;
            if over {
                parked.append(&mut done.parked);
            }
            !over
        });
        let mut idle = false;
        for member in parked {
            idle |= self.request(host, member) == Turn::Now;
        }
        idle
    }

    /// Gives nobody a turn on `host` until [`Self::over`]: what was sent there before may still be at work.
    pub fn leave(&mut self, host: &str) {
        self.left.entry(host.to_owned()).or_default();
    }

    /// Says that it must be over. Those who waited get in line; true when it is their turn.
    pub fn over(&mut self, host: &str) -> bool {
        let parked = self.left.remove(host).unwrap_or_default();
        let mut idle = false;
        for member in parked {
            idle |= self.request(host, member) == Turn::Now;
        }
        idle
    }

    fn settling_of(&mut self, host: &str, rung: &Rung) -> Option<&mut Settling> {
        self.settling.iter_mut().find(|done| done.host == host && is_same_text(&done.rung, rung))
    }

    /// Gives up what only waits; for the stop.
    pub fn drop_waiting(&mut self) -> Vec<Member> {
        let parked = self.settling.drain(..).flat_map(|done| done.parked);
        let parked = parked.chain(self.left.drain().flat_map(|(_, parked)| parked));
        let waiting = self.hosts.values_mut().flat_map(|lane| lane.waiting.drain(..)).flat_map(|job| job.members);
        parked.chain(waiting).collect()
    }

    /// True when nothing runs anywhere.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}
