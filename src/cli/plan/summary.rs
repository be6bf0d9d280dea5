//! What a plan comes to: how much was run and told, how long it was down, how long the first command took to come.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use crate::domain::name::PairName;

use super::course::Spell;
use super::event::{Event, What, maybe_seconds, seconds};
use super::story::Story;
use super::tape::Incident;

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How long it lasts.
    #[serde(rename = "length_s", serialize_with = "seconds")]
    pub length: Duration,
    /// Incidents that were opened.
    pub incidents: usize,
    /// Incidents that a command is credited with.
    pub healed: usize,
    /// Commands that were handed to a host.
    pub commands: usize,
    /// Commands that were wanted and not run.
    pub refused: usize,
    /// Notices that were written.
    pub notices: usize,
    /// Messages that went out; a digest tells several notices.
    pub messages: usize,
    /// How long the targets were down, over all pairs.
    #[serde(rename = "downtime_s", serialize_with = "seconds")]
    pub downtime: Duration,
    /// How long incidents were open, over all pairs.
    #[serde(rename = "seen_downtime_s", serialize_with = "seconds")]
    pub seen: Duration,
    /// The longest time from the moment a target went down to the first command for it.
    #[serde(rename = "longest_to_command_s", serialize_with = "maybe_seconds")]
    pub longest: Option<Duration>,
    /// Whose that was.
    pub longest_to_command_pair: Option<PairName>,
    /// Outages that ended, or still last, without any command.
    pub outages_without_command: usize,
    /// Pairs whose incident is still open.
    pub still_down: Vec<PairName>,
}

impl Summary {
    /// Sums up.
    pub fn of(events: &[Event], incidents: &[Incident], story: &Story, pairs: &[PairName], end: Duration) -> Self {
        let count = |wanted: fn(&What) -> bool| events.iter().filter(|event| wanted(&event.what)).count();
        let spells = |pair: &PairName| -> Vec<Spell> {
            let until = |spell: Spell| Spell { until: spell.until.min(end), ..spell };
            story.spells(pair, end).into_iter().map(until).collect()
        };
        let starts = starts(events);
        let waits: Vec<(&PairName, Option<Duration>)> = pairs
            .iter()
            .flat_map(|pair| {
                let starts = starts.get(pair).map(Vec::as_slice).unwrap_or_default();
                spells(pair).into_iter().map(move |spell| (pair, first_command(starts, spell)))
            })
            .collect();
        let longest = waits.iter().filter_map(|(pair, wait)| Some((*pair, (*wait)?))).max_by_key(|(_, wait)| *wait);
        let lasted = |incident: &Incident| incident.closed.unwrap_or(end).saturating_sub(incident.opened);
        let open = incidents.iter().filter(|incident| incident.closed.is_none());
        Self {
            length: end,
            incidents: incidents.len(),
            healed: incidents.iter().filter(|incident| incident.healed).count(),
            commands: count(|what| matches!(what, What::CommandStart { .. })),
            refused: count(|what| matches!(what, What::Refusal { .. })),
            notices: count(|what| matches!(what, What::Notice { .. })),
            messages: count(|what| matches!(what, What::Message { .. })),
            downtime: pairs.iter().flat_map(spells).map(|spell| spell.until.saturating_sub(spell.from)).sum(),
            seen: incidents.iter().map(lasted).sum(),
            longest: longest.map(|(_, wait)| wait),
            longest_to_command_pair: longest.map(|(pair, _)| pair.clone()),
            outages_without_command: waits.iter().filter(|(_, wait)| wait.is_none()).count(),
            still_down: open.map(|incident| incident.pair.clone()).collect(),
        }
    }
}

/// When commands for each pair were started; several pairs may share one, so it is counted back from its end.
fn starts(events: &[Event]) -> HashMap<&PairName, Vec<Duration>> {
    let mut starts: HashMap<&PairName, Vec<Duration>> = HashMap::new();
    for Event { at, pair, what } in events {
        let start = match what {
            What::CommandStart { .. } => *at,
            What::CommandEnd { took, .. } => at.saturating_sub(*took),
            _ => continue,
        };
        if let Some(pair) = pair {
            starts.entry(pair).or_default().push(start);
        }
    }
    for starts in starts.values_mut() {
        starts.sort_unstable();
    }
    starts
}

/// From the beginning of a spell to the first start inside it.
fn first_command(starts: &[Duration], spell: Spell) -> Option<Duration> {
    let first = starts.get(starts.partition_point(|start| *start < spell.from))?;
    (*first < spell.until).then(|| first.saturating_sub(spell.from))
}
