//! Plays a story: the real engine and the real delivery on a clock that jumps from one event to the next.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::name::PairName;
use crate::engine::clock::Clock;
use crate::engine::delivery::{self, Delivery};
use crate::engine::ledger::{Ledger, Outlet};
use crate::engine::narrate::{Narrator, Voice};
use crate::engine::plan::{Plans, Rung};
use crate::engine::{Engine, Parts, Saved};
use crate::message::Language;
use crate::notify::Channel;

use super::course::Spell;
use super::event::{Event, What};
use super::scene::{Chat, Scene};
use super::stand::staged;
use super::story::Story;
use super::summary::Summary;
use super::tape::Tape;

/// The longest plan, when no length was asked for.
const LONGEST: Duration = Duration::from_hours(24);

/// The length of a plan with a flap, which never ends by itself.
const OF_A_FLAP: Duration = Duration::from_hours(1);

/// How often it is seen whether the story is over.
const LOOK: Duration = Duration::from_secs(1);

/// What a plan needs to know beside the story.
pub struct Setting {
    /// Wall time at the start.
    pub start: Timestamp,
    /// The reader's zone.
    pub zone: TimeZone,
    /// `LANGUAGE`, of the messages.
    pub language: Language,
    /// Masks configured secrets.
    pub mask: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// Whether the chat is a group or a channel; absent where nobody is told.
    pub many: Option<bool>,
    /// How long it lasts; without it until everybody is up and it is told.
    pub length: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Everything that happened, in order.
    pub events: Vec<Event>,
    /// What it comes to.
    pub summary: Summary,
}

/// Plays the story to its end; takes no wall time to speak of and opens nothing. `is_local` tells of a rung whether it
/// needs no network.
///
/// # Errors
/// The system gives us no runtime.
pub fn play(plans: Plans, story: Story, setting: &Setting, is_local: impl Fn(&Rung) -> bool) -> io::Result<Timeline> {
    // Without I/O: whatever tried to open a socket here would end at once, and loudly.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let pairs: Vec<PairName> = plans.pairs.iter().map(|plan| plan.pair.clone()).collect();
    let length = setting.length.or_else(|| story.end().is_none().then_some(OF_A_FLAP));
    let (length, wait) = (length.unwrap_or(LONGEST), length.is_none());
    let (end, (recorded, incidents, story)) = runtime.block_on(async {
        let scene = Scene::new(story, Tape::new(&plans.pairs, setting.zone.clone()));
        let plans = staged(plans, &scene, is_local);
        act(&scene, plans, setting, length, wait).await;
        (scene.now(), scene.close())
    });
    let mut events = told(&story, &pairs, end);
    events.extend(recorded);
    // What the story does at a moment stands before what is seen of it.
    events.sort_by_key(|event| event.at);
    let summary = Summary::of(&events, &incidents, &story, &pairs, end);
    Ok(Timeline { events, summary })
}

/// The story's own events up to the end.
fn told(story: &Story, pairs: &[PairName], end: Duration) -> Vec<Event> {
    let both = |spell: Spell, pair: Option<&PairName>, begins: What, ends: What| {
        let event = |at, what| Event { at, pair: pair.cloned(), what };
        [event(spell.from, begins), event(spell.until, ends)]
    };
    let lost = story.lost().iter().flat_map(|spell| both(*spell, None, What::NetworkLost, What::NetworkBack));
    let down = pairs.iter().flat_map(|pair| {
        let spells = story.spells(pair, end).into_iter();
        spells.flat_map(move |spell| both(spell, Some(pair), What::Breaks, What::Mends))
    });
    lost.chain(down).filter(|event| event.at <= end).collect()
}

/// Runs the engine and the delivery until the end.
async fn act(scene: &Arc<Scene>, plans: Plans, setting: &Setting, length: Duration, wait: bool) {
    let clock = Clock::virtual_from(setting.start);
    let voice = Voice { language: setting.language, successes: false, zone: setting.zone.clone() };
    let narrator = Arc::new(Narrator::new(voice));
    let chat = Arc::new(Chat::new(scene, setting.many.unwrap_or_default()));
    let channel = chat.name().to_owned();
    let (delivery, notices, _health) = Delivery::new(delivery::Parts {
        channel: chat,
        name: channel.clone(),
        address: String::new(),
        pending: Vec::new(),
        threads: HashMap::new(),
        journal: scene.clone(),
        narrator: narrator.clone(),
        clock,
    });
    // Held open: without a chat nobody else holds it, and a delivery that nobody can reach ends.
    let _way_in = notices.clone();
    let ledger = Ledger {
        journal: scene.clone(),
        audit: Arc::new(|_record| {}),
        outlets: setting.many.map(|_| Outlet { channel, notices }).into_iter().collect(),
        mask: setting.mask.clone(),
        zone: setting.zone.clone(),
    };
    let (engine, _handle, _pulse) = Engine::new(Parts { plans, clock, ledger, narrator, saved: Saved::default() });
    // Never cancelled: what is played is cut off, not stopped, or the stop itself would be part of the plan.
    let never = CancellationToken::new();
    tokio::select! {
        biased;
        () = ended(scene, length, wait) => {}
        () = engine.run(never.clone()) => {}
        () = delivery.run(never.clone()) => {}
    }
}

async fn ended(scene: &Scene, length: Duration, wait: bool) {
    while scene.now() < length && !(wait && scene.is_over()) {
        sleep(LOOK.min(length.saturating_sub(scene.now()))).await;
    }
}
