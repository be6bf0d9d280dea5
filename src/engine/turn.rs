//! Whether what waited for its host's turn is still wanted: the world may have changed since it was permitted.

use jiff::Timestamp;

use crate::domain::guard::Guard;
use crate::domain::outage::State;
use crate::domain::refusal::Refusal;
use crate::remedy::Call;

use super::lanes::{Member, Why};
use super::{Pair, Pairs};

/// Gives the reason not to run what waited for its turn.
pub(super) fn objection(guard: &mut Guard, pairs: &Pairs, member: &Member, now: Timestamp) -> Option<Refusal> {
    let pair = &member.call.pair;
    if member.heals() && !awaits(pairs, &member.call) {
        return Some(Refusal::Retired);
    }
    if member.why == Why::Recovery && !is_owed(pairs, member) {
        return Some(Refusal::DownAgain);
    }
    // A reload may have given the pair another command, another host, or another target.
    let is_of_another = |known: &Pair| member.heals() && known.aside.is_elsewhere(member.call.run);
    if !is_planned(pairs, member) || pairs.get(pair).is_some_and(is_of_another) {
        return Some(Refusal::Changed);
    }
    if member.heals() && pairs.get(pair).is_some_and(|known| known.aside.is_by_hand()) {
        return Some(Refusal::ByHand);
    }
    match member.why {
        Why::Verdict => parent_down(guard, pairs, member).or_else(|| guard.still(pair, now, pairs.len()).err()),
        Why::Recovery => guard.by_hand().err().or_else(|| guard.stopped(pair, now).err()),
        Why::Approved | Why::Person | Why::Drill { .. } => guard.by_hand().err(),
    }
}

/// What the pair depends on may have fallen after it.
fn parent_down(guard: &Guard, pairs: &Pairs, member: &Member) -> Option<Refusal> {
    let known = pairs.get(&member.call.pair)?;
    let parent = known.plan.parents.iter().find(|parent| guard.is_down(&parent.server))?;
    Some(Refusal::ParentDown { parent: parent.server.clone() })
}

/// True while the pair waits for this run or is verified after it.
pub(super) fn awaits(pairs: &Pairs, call: &Call) -> bool {
    pairs.get(&call.pair).is_some_and(|known| known.run == Some(call.run))
}

/// True while the pair is up and waits for this run of what is run on recovery.
pub(super) fn is_owed(pairs: &Pairs, member: &Member) -> bool {
    let state = pairs.get(&member.call.pair).map(|known| known.judge.state());
    let Some(State::Up { owed: Some(owed), .. }) = state else { return false };
    owed.ordered.as_ref().is_some_and(|ordered| ordered.run == member.call.run)
}

/// True while the pair's plan still holds what this one waits for.
fn is_planned(pairs: &Pairs, member: &Member) -> bool {
    let Some(known) = pairs.get(&member.call.pair) else { return false };
    let planned = match member.why {
        Why::Recovery => known.plan.recovery.as_deref(),
        Why::Verdict | Why::Approved | Why::Person | Why::Drill { .. } => known.plan.rung(member.call.rung),
    };
    planned.is_some_and(|rung| {
        let harmless = (member.why == Why::Drill { really: false }).then(|| rung.remedy.harmless()).flatten();
        let (now, then) = (harmless.as_ref().unwrap_or(&rung.remedy), &member.rung.remedy);
        now.text() == then.text() && now.lane() == then.lane() && rung.login == member.rung.login
    })
}
