//! `monitor heal`: a person orders one run of a pair's command; the running agent carries it out and verifies it.

use std::time::Duration;

use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::domain::remedy::{Run, RunStatus, Verdict};
use crate::engine::handle::HealReport;

use super::client::{Client, asked};
use super::screen::{BAD, GOOD, ODD, Screen, flowed, line, lines, millis};
use super::{FAILED, FINE, complain, say};

/// Which pair, and which rung.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pair, such as DC3-SRV4
    #[arg(value_parser = super::pair)]
    pair: PairName,
    /// Which rung of its ladder: 1 is `COMMAND`, 2 is `COMMAND_2`
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    rung: u32,
    /// Print the agent's report as JSON
    #[arg(long)]
    json: bool,
}

/// A command may take hours, and another one may hold the host before it.
const LIMIT: Duration = Duration::from_hours(24);

/// Orders the run and waits until it is verified.
pub fn run(source: &Source, args: &Args) -> u8 {
    let path = format!("/api/pairs/{}/heal?rung={}", args.pair, args.rung);
    let report: HealReport = match asked(Client::find(source).post(&path, LIMIT)) {
        Ok(report) => report,
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    };
    if args.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        tell(&report, &Screen::look(source));
    }
    let verified =
        report.up_after.is_some() && report.run.as_ref().is_some_and(|run| run.status == RunStatus::Executed);
    if report.verdict == Verdict::Healed || verified { FINE } else { FAILED }
}

fn tell(report: &HealReport, screen: &Screen) {
    say(&flowed("", &format!("{}: {}", report.pair, line(&report.command, 1000)), screen.columns));
    if let Some(run) = &report.run {
        tell_run(run, screen.columns);
    }
    let after = |time: Duration| millis(time.as_secs_f64() * 1000.0);
    let failed = report.run.as_ref().is_some_and(|run| run.status != RunStatus::Executed);
    let (style, verdict) = match (&report.verdict, report.up_after) {
        // Nothing was down, so nothing was healed.
        (Verdict::Healed, Some(_)) if report.was_up && failed => {
            (ODD, "it was up before and is still up; the command did not succeed".to_owned())
        }
        (Verdict::Healed, Some(_)) if report.was_up => {
            (GOOD, "it was up before; the command ran and it is still up".to_owned())
        }
        (Verdict::RanButDown, _) if report.was_up => {
            (BAD, "it was up before; the command ran, and no probe saw it up within VERIFY_WINDOW".to_owned())
        }
        (Verdict::Healed, Some(up)) => (GOOD, format!("healed: a probe saw it up {} later", after(up))),
        (Verdict::Healed, None) => (GOOD, "healed".to_owned()),
        (Verdict::RanButDown, _) => {
            (BAD, "it ran, and no probe saw the pair up within VERIFY_WINDOW (0 turns verification off)".to_owned())
        }
        (Verdict::Failed, _) => (BAD, "it failed, and no probe saw the pair up".to_owned()),
        (Verdict::CouldNotRun, _) => (BAD, "it could not be run".to_owned()),
        (Verdict::Skipped(refusal), _) => (BAD, format!("not permitted: {}", refusal.as_str())),
        (Verdict::Interrupted, _) => (BAD, "interrupted: the agent was stopped meanwhile".to_owned()),
    };
    say(&screen.paint(style, &flowed("  ", &verdict, screen.columns)));
}

fn tell_run(run: &Run, columns: usize) {
    let end = match (run.exit_code, &run.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by SIG{}", line(signal, 20)),
        (None, None) => run.status.as_str().replace('_', " "),
    };
    say(&format!("  {end} after {}", millis(run.duration.as_secs_f64() * 1000.0)));
    if !run.error.is_empty() {
        say(&flowed("  ", &run.error, columns));
    }
    for text in lines(&run.excerpt).lines() {
        say(&format!("  | {text}"));
    }
}
