//! `monitor probe`: one check of a pair, now; by the running agent, or by ourselves when none runs.

use std::time::Duration;

use crate::app::look;
use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::domain::reading::Outcome;
use crate::engine::handle::ProbeReport;

use super::client::{Client, NoAnswer, asked, block_on};
use super::screen::{BAD, GOOD, ODD, Screen, flowed, line, millis};
use super::{BAD_CONFIGURATION, DOWN, FAILED, FINE, complain, load, say};

/// Which pair.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pair, such as DC3-SRV4
    #[arg(value_parser = super::pair)]
    pair: PairName,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Attempts, delays and time limits of one check: more than an hour is no check.
const LIMIT: Duration = Duration::from_hours(1);

/// Probes; it moves no counter and runs no command.
pub fn run(source: &Source, args: &Args) -> u8 {
    let path = format!("/api/pairs/{}/probe", args.pair);
    let (report, by) = match asked(Client::find(source).post::<ProbeReport>(&path, LIMIT)) {
        Ok(report) => (report, "by the running agent"),
        Err(NoAnswer::NotRunning { .. }) => {
            let Some(config) = load(source) else { return BAD_CONFIGURATION };
            match block_on(look::probe(&config, source, &args.pair)) {
                Ok(Ok(Some(report))) => (report, "no agent runs, probed from here"),
                Ok(Ok(None)) => {
                    let pairs: Vec<_> = config.pairs.iter().map(|pair| pair.name.to_string()).collect();
                    return failed(&format!("there is no pair `{}`; there are: {}", args.pair, pairs.join(", ")));
                }
                Ok(Err(error)) => return failed(&format!("{error:#}")),
                Err(error) => return failed(&error.to_string()),
            }
        }
        Err(error) => return failed(&error.to_string()),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        tell(&report, by, &Screen::look(source));
    }
    match report.reading.outcome {
        Outcome::Up => FINE,
        Outcome::Down(_) => DOWN,
        Outcome::Blind(_) => FAILED,
    }
}

fn tell(report: &ProbeReport, by: &str, screen: &Screen) {
    let took = |time: Duration| millis(time.as_secs_f64() * 1000.0);
    let (word, why) = match &report.reading.outcome {
        Outcome::Up => (screen.paint(GOOD, "up"), None),
        Outcome::Down(fault) => (screen.paint(BAD, "DOWN"), Some(fault)),
        Outcome::Blind(fault) => (screen.paint(ODD, "UNKNOWN (we could not look)"), Some(fault)),
    };
    let (url, tries) = (line(&report.url, 200), report.made);
    say(&format!("{} {word} in {}, attempt {tries} ({by})", report.pair, took(report.reading.took)));
    say(&format!("  {url}"));
    if let Some(fault) = why {
        say(&flowed("  why: ", &format!("{} ({})", line(&fault.reason, 300), fault.cause), screen.columns));
    }
    let phases = report.reading.phases;
    let all =
        [("dns", phases.dns), ("connect", phases.connect), ("tls", phases.tls), ("first byte", phases.first_byte)];
    let said: Vec<String> =
        all.into_iter().filter_map(|(name, time)| Some(format!("{name} {}", took(time?)))).collect();
    if !said.is_empty() {
        say(&format!("  {}", said.join(", ")));
    }
}

fn failed(why: &str) -> u8 {
    complain(why);
    FAILED
}
