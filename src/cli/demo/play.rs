//! The play: when the shop breaks, how, and what its restarts come to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::machine::{Try, Unit};
use super::score::Score;
use super::service::Health;

/// One outage.
#[derive(Debug)]
pub struct Act {
    /// What happens to the service.
    pub breaks: Health,
    /// What its restarts come to; one after the last heals it.
    tries: &'static [Try],
}

/// The outages, in their order; then they begin anew. The first one is the plain story, each later one shows one thing more.
const ACTS: &[Act] = &[
    Act { breaks: Health::Unavailable, tries: &[Try::Heals] },
    // Exit 0, and still down: only probes say healed.
    Act { breaks: Health::Unavailable, tries: &[Try::InVain(Health::Gone), Try::Heals] },
    Act { breaks: Health::Silent, tries: &[Try::Heals] },
    Act { breaks: Health::Gone, tries: &[Try::Fails, Try::Heals] },
    Act { breaks: Health::Cut, tries: &[Try::Heals] },
];

/// From the start to the first outage: time to read the first lines.
const FIRST: Duration = Duration::from_secs(3);

/// What the demo itself has to say.
#[derive(Debug, Clone, Copy)]
pub enum Cue {
    /// The shop breaks like this now.
    Breaks(Health),
    /// It is well, and will break again after this time.
    Rests(Duration),
}

/// Breaks the unit again and again, `rest` after it was last seen up; ends with its task.
pub async fn perform(shop: Arc<Unit>, cues: mpsc::Sender<Cue>, score: watch::Sender<Score>, rest: Duration) {
    let mut seen = score.subscribe();
    tokio::time::sleep(FIRST).await;
    for act in ACTS.iter().cycle() {
        score.send_modify(Score::breaks);
        if cues.send(Cue::Breaks(act.breaks)).await.is_err() {
            return;
        }
        shop.breaks(act.breaks, act.tries);
        if seen.wait_for(|score| !score.is_broken()).await.is_err() {
            return;
        }
        if cues.send(Cue::Rests(rest)).await.is_err() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}
