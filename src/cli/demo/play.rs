//! The play: when the shop breaks, how, and what its restarts come to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::breakable::Health;
use super::machine::{Try, Unit};
use super::score::Score;

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

/// The longest that the good news of an outage are waited for before the next one.
const GOOD_NEWS: Duration = Duration::from_secs(5);

/// Breaks the unit again and again, `rest` after it was last seen up, or only once; ends with its task.
pub async fn perform(shop: Arc<Unit>, cues: mpsc::Sender<Cue>, score: watch::Sender<Score>, rest: Option<Duration>) {
    let mut seen = score.subscribe();
    sleep(FIRST).await;
    for act in ACTS.iter().cycle() {
        score.send_modify(Score::breaks);
        if cues.send(Cue::Breaks(act.breaks)).await.is_err() {
            return;
        }
        shop.breaks(act.breaks, act.tries);
        if seen.wait_for(|score| !score.is_broken()).await.is_err() {
            return;
        }
        let Some(rest) = rest else { return };
        // Only for the order on the screen: a message that does not come is a story of its own.
        let _ = timeout(GOOD_NEWS, seen.wait_for(|score| !score.owes_good_news())).await;
        if cues.send(Cue::Rests(rest)).await.is_err() {
            return;
        }
        sleep(rest).await;
    }
}
