//! `monitor incidents`: when something was down, and what ended it.

use crate::app::source::Source;
use crate::store::history::Incident;

use super::history::{Wanted, rows};
use super::screen::{BAD, FAINT, HEAD, Screen, between, cell, line, lines, moment};
use super::{FAILED, FINE, say};

/// Which incidents.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

/// Lists them, newest first.
pub fn run(source: &Source, args: &Args) -> u8 {
    let Some(incidents) = rows::<Incident>(source, "incidents", &args.wanted) else { return FAILED };
    if args.wanted.json {
        return FINE;
    }
    let screen = Screen::look(source);
    if incidents.is_empty() {
        say("no incidents");
        return FINE;
    }
    let widest = incidents.iter().map(|incident| incident.pair.chars().count()).max().unwrap_or(4).clamp(4, 30);
    say(&screen.paint(HEAD, &format!("{:19}  {}  {:9}  HOW IT ENDED", "SINCE", cell("PAIR", widest), "LASTED")));
    for incident in &incidents {
        let lasted = incident.closed_at.map_or_else(|| "open".to_owned(), |end| between(incident.opened_at, end));
        let verdict = match (&incident.verdict, incident.closed_at) {
            (_, None) => screen.paint(BAD, "still down"),
            (Some(verdict), _) => line(verdict, 20),
            (None, Some(_)) => "recovered".to_owned(),
        };
        let (at, pair) = (moment(incident.opened_at), cell(&incident.pair, widest));
        say(&format!("{at}  {pair}  {}  {verdict}", cell(&lasted, 9)));
        let why = format!("    {} ({})", line(&incident.reason, screen.columns.saturating_sub(20)), incident.cause);
        say(&screen.paint(FAINT, &lines(&why)));
    }
    FINE
}
