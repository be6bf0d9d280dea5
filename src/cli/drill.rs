//! `monitor drill`: the running agent walks the whole chain for one pair, as if it were down, and tells each step.

use std::time::Duration;

use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::engine::handle::DrillReport;
use crate::web::api::drills::Drill;

use super::client::{Client, asked};
use super::screen::{BAD, GOOD, HEAD, Screen, cell, millis, wrapped};
use super::{FAILED, FINE, person, say, unanswered};

/// Which pair, and how much of it is real.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pair, such as DC3-SRV4
    #[arg(value_parser = super::pair)]
    pair: PairName,
    /// Run the pair's own command, not a harmless one: what it restarts is restarted
    #[arg(long)]
    really: bool,
    /// Print the agent's report as JSON
    #[arg(long)]
    json: bool,
}

/// A command may take hours, and another one may hold the host before it.
const LIMIT: Duration = Duration::from_hours(24);
/// Columns before what a step came to.
const BEFORE: usize = 32;

/// Orders the drill and waits for its end.
pub fn run(source: &Source, args: &Args) -> u8 {
    let order = Drill { really: args.really, by: person::who(source) };
    let path = format!("/api/pairs/{}/drill", args.pair);
    let report: DrillReport = match asked(Client::find(source).send(&path, &order, Some(LIMIT))) {
        Ok(report) => report,
        Err(error) => return unanswered(&error),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        tell(&report, &Screen::look(source));
    }
    if report.is_fine() { FINE } else { FAILED }
}

fn tell(report: &DrillReport, screen: &Screen) {
    let with = if report.really { "with its own command" } else { "with a harmless command" };
    say(&format!("Drill of {}, {with}", report.pair));
    say(&screen.paint(HEAD, &format!("{:12}  {:6}  {:>8}  WHAT CAME OF IT", "STEP", "RESULT", "TOOK")));
    for step in &report.steps {
        let (word, style) = if step.ok { ("ok", GOOD) } else { ("NOT OK", BAD) };
        #[expect(clippy::cast_precision_loss, reason = "a step takes days at most")]
        let took = millis(step.took_ms as f64);
        let mut texts = wrapped(&step.detail, screen.columns.saturating_sub(BEFORE).max(20)).into_iter();
        let (name, word) = (cell(step.name.as_str(), 12), screen.paint(style, &cell(word, 6)));
        say(&format!("{name}  {word}  {took:>8}  {}", texts.next().unwrap_or_default()));
        for text in texts {
            say(&format!("{:BEFORE$}{text}", ""));
        }
    }
    let failed = report.steps.iter().filter(|step| !step.ok).count();
    say(&match failed {
        0 => screen.paint(GOOD, "Every step went as it should."),
        failed => screen.paint(BAD, &format!("{failed} of {} steps did not go as they should.", report.steps.len())),
    });
}
