//! `monitor plan`: what the agent would do, by the real engine on a virtual clock, for the configuration as it is.
//!
//! `story` holds what is to happen, `stand` the stand-ins it happens to on their `scene`, `play` the engine among them,
//! `tape` and `track` what is recorded, `table` how it is shown. Nothing is connected, run, written or told.

pub mod course;
pub mod event;
pub mod play;
mod scene;
mod stand;
pub mod story;
pub mod summary;
mod table;
mod tape;
mod track;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::app::plans::{self, Hosts};
use crate::app::source::Source;
use crate::config::{Config, Place};
use crate::engine::clock::Clock;
use crate::engine::plan::Rung;
use crate::fetch::{self, Roots};
use crate::probe::wire::Kit;
use crate::remedy::webhook;

use super::screen::Screen;
use super::{BAD_CONFIGURATION, FAILED, FINE, complain, load, say};
use course::Spell;
use play::{Setting, Timeline, play};
use story::{Cure, Flap, Outage, Story};

/// What is to happen.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "story", required = true, multiple = true)]
pub struct Happens {
    /// Something is down for a time: a server, a pair, a site or `all`; `@5m`: from 5 min on (may be repeated)
    #[arg(long, value_name = "WHAT=LENGTH[@FROM]", value_parser = story::outage)]
    outage: Vec<Outage>,
    /// Something is up and down, again and again: SRV5=30s/10s (may be repeated)
    #[arg(long, value_name = "WHAT=UP/DOWN", value_parser = story::flap)]
    flap: Vec<Flap>,
    /// This machine loses its network: nothing answers (may be repeated)
    #[arg(long, value_name = "LENGTH[@FROM]", value_parser = story::lost)]
    lost_network: Vec<Spell>,
}

/// What is to happen, what helps, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    happens: Happens,
    /// Every command brings its target up, so long after it ended; without this commands run and do not help
    #[arg(long, value_name = "AFTER", value_parser = story::length, conflicts_with = "healed_by")]
    heals: Option<Duration>,
    /// Only this rung does; `2:20s`: 20 s after it ended
    #[arg(long, value_name = "RUNG[:AFTER]", value_parser = story::healed_by)]
    healed_by: Option<Cure>,
    /// How long a command takes
    #[arg(long, value_name = "TIME", value_parser = story::length, default_value = "1s")]
    command_takes: Duration,
    /// How long the plan is [default: until everything is up and told; 1h with a flap, at most 24h]
    #[arg(long = "for", value_name = "TIME", value_parser = story::whole)]
    length: Option<Duration>,
    /// Local time at the start, such as 2026-12-01T02:00, and show the clock [default: now]
    #[arg(long, value_name = "MOMENT")]
    start: Option<DateTime>,
    /// Show messages whole, not only their first line
    #[arg(long)]
    messages: bool,
    /// Print events and summary as JSON
    #[arg(long)]
    json: bool,
}

/// Plays the story and shows what comes of it.
pub fn run(source: &Source, args: &Args) -> u8 {
    let Some(config) = load(source) else { return BAD_CONFIGURATION };
    let zone = TimeZone::system();
    let start = match args.start.map(|start| start.to_zoned(zone.clone())).transpose() {
        Ok(start) => start.map_or_else(|| Clock::System.now(), |start| start.timestamp()),
        Err(error) => return wrong(&[format!("--start: {error}")]),
    };
    let story = match args.story(&config) {
        Ok(story) => story,
        Err(problems) => return wrong(&problems),
    };
    let timeline = match foresee(&config, story, start, &zone, args.length) {
        Ok(timeline) => timeline,
        Err(error) => {
            complain(&format!("{error:#}"));
            return FAILED;
        }
    };
    if args.json {
        let pairs: Vec<_> = config.pairs.iter().map(|pair| &pair.name).collect();
        let start = start.to_zoned(zone).timestamp();
        let Timeline { events, summary } = &timeline;
        let document = json!({ "start": start, "pairs": pairs, "events": events, "summary": summary });
        say(&serde_json::to_string_pretty(&document).unwrap_or_default());
    } else {
        let screen = Screen::look(source);
        let start = args.start.map(|_| (start, &zone));
        let view = table::View { screen: &screen, start, messages: args.messages };
        say(table::draw(&timeline, &view).trim_end());
    }
    FINE
}

impl Args {
    /// What happens to the pairs of this configuration, or everything that does not fit it.
    fn story(&self, config: &Config) -> Result<Story, Vec<String>> {
        let Happens { outage, flap, lost_network } = &self.happens;
        let story = Story::new(config, outage, flap, lost_network);
        let cure = self.healed_by.or(self.heals.map(|after| Cure { rung: None, after }));
        let rungs = config.pairs.iter().map(|pair| pair.rungs.len()).max().unwrap_or_default();
        let too_high = cure.and_then(|cure| cure.rung).filter(|rung| usize::try_from(*rung).is_ok_and(|n| n > rungs));
        let too_high =
            too_high.map(|rung| format!("--healed-by: no pair has a rung {rung}; the longest ladder has {rungs}"));
        match (story, too_high) {
            (Ok(story), None) => Ok(story.with(cure, self.command_takes)),
            (Ok(_), Some(why)) => Err(vec![why]),
            (Err(problems), why) => Err(problems.into_iter().chain(why).collect()),
        }
    }
}

fn wrong(problems: &[String]) -> u8 {
    complain(&problems.join("\n"));
    BAD_CONFIGURATION
}

/// Plays a story with everything that an agent would take from this configuration.
///
/// # Errors
/// The certificate authorities cannot be read, or the system gives us no runtime.
pub fn foresee(
    config: &Config,
    story: Story,
    start: Timestamp,
    zone: &TimeZone,
    length: Option<Duration>,
) -> anyhow::Result<Timeline> {
    fetch::install_crypto_provider();
    let roots = Roots::load(None)?;
    let (kit, hooks) = (Kit::new(&roots), webhook::client(&roots)?);
    // Built as for the agent, and never connected.
    let hosts = Hosts::new(config, &[], None);
    let plans = plans::plans(config, &hosts, &kit, &hooks);
    let redactor = config.redactor.clone();
    let setting = Setting {
        start,
        zone: zone.clone(),
        language: config.language(),
        mask: Arc::new(move |text| redactor.mask(text).into_owned()),
        many: config.telegram.as_ref().map(|telegram| is_many(&telegram.chat)),
        length,
    };
    let is_local = |rung: &Rung| config.sites.get(&rung.site).is_some_and(|site| site.place == Place::Local);
    Ok(play(plans, story, &setting, is_local)?)
}

/// True for a group or a channel; a person's chat has a positive number.
fn is_many(chat: &str) -> bool {
    chat.parse::<i64>().map_or(true, |id| id < 0)
}
