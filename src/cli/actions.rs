//! `monitor actions`: what was run, what was refused, and what came of it.

use std::fmt::Write;

use crate::app::source::Source;
use crate::store::history::Action;

use super::history::{Wanted, rows};
use super::screen::{BAD, FAINT, GOOD, HEAD, ODD, Screen, cell, flowed, line, lines, millis, moment};
use super::{FAILED, FINE, say};

/// Which actions.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Show the kept output of each run
    #[arg(long)]
    output: bool,
}

/// Lists them, newest first.
pub fn run(source: &Source, args: &Args) -> u8 {
    let Some(actions) = rows::<Action>(source, "actions", &args.wanted) else { return FAILED };
    if args.wanted.json {
        return FINE;
    }
    let screen = Screen::look(source);
    if actions.is_empty() {
        say("no actions");
        return FINE;
    }
    let widest = actions.iter().map(|action| action.pair.chars().count()).max().unwrap_or(4).clamp(4, 30);
    say(&screen.paint(HEAD, &format!("{:19}  {}  RUNG  WHAT CAME OF IT", "AT", cell("PAIR", widest))));
    for action in &actions {
        let (at, pair) = (moment(action.intended_at), cell(&action.pair, widest));
        say(&format!("{at}  {pair}  {:4}  {}", action.rung, outcome(action, &screen)));
        let command = line(&action.command, screen.columns.saturating_sub(6).max(20));
        say(&screen.paint(FAINT, &format!("    $ {command}")));
        if let Some(error) = action.error.as_deref().filter(|error| !error.is_empty()) {
            say(&screen.paint(FAINT, &flowed("    ", error, screen.columns)));
        }
        if let Some(output) = action.output.as_deref().filter(|_| args.output) {
            lines(output).lines().for_each(|text| say(&format!("    | {text}")));
        }
    }
    FINE
}

fn outcome(action: &Action, screen: &Screen) -> String {
    if let Some(refusal) = &action.refusal {
        // A refusal is a word, or a word with its particulars.
        let word = refusal.as_str().or_else(|| refusal.as_object()?.keys().next().map(String::as_str));
        return screen.paint(ODD, &format!("not permitted: {}", line(word.unwrap_or("unknown"), 40).replace('_', " ")));
    }
    let verdict = action.verdict.as_deref().unwrap_or(if action.ended_at.is_some() { "ran" } else { "under way" });
    let style = match verdict {
        "healed" => GOOD,
        "failed" | "could_not_run" | "ran_but_down" => BAD,
        _ => ODD,
    };
    let mut text = screen.paint(style, &line(verdict, 40).replace('_', " "));
    if let Some(code) = action.exit_code {
        let _ = write!(text, ", exit code {code}");
    } else if let Some(signal) = &action.signal {
        let _ = write!(text, ", SIG{}", line(signal, 20));
    } else if let Some(status) = action.status.as_deref().filter(|status| *status != "executed") {
        let _ = write!(text, ", {}", line(status, 40).replace('_', " "));
    }
    if let Some(ms) = action.duration_ms {
        #[expect(clippy::cast_precision_loss, reason = "a command takes days at most")]
        let _ = write!(text, ", {}", millis(ms as f64));
    }
    text
}
