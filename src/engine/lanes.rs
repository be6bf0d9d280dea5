//! One lane per host: a host never runs two remedies at once, and pairs that want the same command share one run.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use crate::remedy::Call;

use super::handle::HealReport;
use super::plan::Rung;

/// What runs, or waits for its turn, on one host: equal commands are one run.
struct Job {
    /// What is run, as the first one asked for it.
    rung: Rung,
    /// The first one's call is sent; the others share its result.
    members: Vec<Member>,
}

impl Job {
    fn new(first: Member) -> Self {
        Self { rung: first.rung.clone(), members: vec![first] }
    }
}

/// One pair that wants the run.
pub struct Member {
    /// The run as this pair's records know it.
    pub call: Call,
    /// What is run, and how its effect on this pair is proved.
    pub rung: Rung,
    /// Who waits for the outcome, when a person ordered it.
    pub reply: Option<oneshot::Sender<HealReport>>,
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

/// All lanes. A host that runs nothing has none.
#[derive(Default)]
pub struct Lanes {
    lanes: HashMap<String, Lane>,
}

struct Lane {
    running: Job,
    waiting: VecDeque<Job>,
}

impl Lanes {
    /// Asks for a run on `host`.
    pub fn request(&mut self, host: &str, member: Member) -> Turn {
        let Some(lane) = self.lanes.get_mut(host) else {
            let lane = Lane { running: Job::new(member), waiting: VecDeque::new() };
            self.lanes.insert(host.to_owned(), lane);
            return Turn::Now;
        };
        let mut jobs = std::iter::once(&mut lane.running).chain(lane.waiting.iter_mut());
        // The same text under another login is another deed, and may be refused where this one is not.
        let wanted = &member.rung;
        let same = |job: &&mut Job| job.rung.remedy.text() == wanted.remedy.text() && job.rung.login == wanted.login;
        if let Some(same) = jobs.find(same) {
            same.members.push(member);
            return Turn::Shared;
        }
        lane.waiting.push_back(Job::new(member));
        Turn::Waits
    }

    /// Those for whom `host` runs its command, the one whose call is sent first; `None` when the host is idle.
    pub fn running(&self, host: &str) -> Option<&[Member]> {
        self.lanes.get(host).map(|lane| lane.running.members.as_slice())
    }

    /// Takes those out of what runs on `host` who leave it. It may run for nobody then.
    pub fn part(&mut self, host: &str, leaves: impl Fn(&Member) -> bool) -> Vec<Member> {
        let Some(lane) = self.lanes.get_mut(host) else { return Vec::new() };
        lane.running.members.extract_if(.., |member| leaves(member)).collect()
    }

    /// Ends the run on `host`: gives those it was run for, and moves the next one up.
    pub fn finish(&mut self, host: &str) -> Vec<Member> {
        let Some(lane) = self.lanes.get_mut(host) else { return Vec::new() };
        if let Some(next) = lane.waiting.pop_front() {
            return std::mem::replace(&mut lane.running, next).members;
        }
        self.lanes.remove(host).map(|lane| lane.running.members).unwrap_or_default()
    }

    /// Gives up what only waits; for the stop.
    pub fn drop_waiting(&mut self) -> Vec<Member> {
        self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..)).flat_map(|job| job.members).collect()
    }

    /// True when nothing runs anywhere.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}
