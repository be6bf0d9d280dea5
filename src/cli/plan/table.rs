//! Draws a plan for people: one line per event, equal events of many pairs in one.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use clap::builder::styling::Style;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::screen::{BAD, FAINT, GOOD, HEAD, ODD, Screen, cell, line, wrapped};
use crate::domain::name::PairName;

use super::event::{Event, Verdict, What, long};
use super::play::Timeline;
use super::summary::Summary;

/// Equal events of several pairs are told in one line while the next one comes within this.
const TOGETHER: Duration = Duration::from_secs(5);
/// So many pairs share a line.
const MANY: usize = 3;
/// Pairs that such a line names.
const NAMED: usize = 4;
/// Columns for what happens; where there are fewer, it stands on lines of its own.
const LEAST: usize = 40;
/// Longest name that is shown whole.
const NAME: usize = 30;

/// One line of the table.
struct Row<'a> {
    /// Where its first event stands among all.
    place: usize,
    event: &'a Event,
    last: Duration,
    pairs: Vec<&'a PairName>,
}

/// What may become one line, and the lines it is if it does not.
struct Fold<'a> {
    row: Row<'a>,
    seen: HashSet<&'a PairName>,
    apart: Vec<Row<'a>>,
}

/// How it is shown.
pub struct View<'a> {
    /// Where.
    pub screen: &'a Screen,
    /// Wall time at the start, when that is of interest.
    pub start: Option<(Timestamp, &'a TimeZone)>,
    /// Whether messages are shown whole.
    pub messages: bool,
}

/// Draws everything.
pub fn draw(timeline: &Timeline, view: &View<'_>) -> String {
    let mut out = String::new();
    let rows = folded(&timeline.events);
    let name = |row: &Row<'_>| who(row).chars().count();
    let widest = rows.iter().map(name).max().unwrap_or_default().clamp(4, NAME);
    let clock = if view.start.is_some() { "CLOCK     " } else { "" };
    let head = format!("{clock}{:>10}  {}  WHAT HAPPENS", "T+", cell("PAIR", widest));
    let _ = writeln!(out, "{}", view.screen.paint(HEAD, &head));
    for row in &rows {
        draw_row(&mut out, row, widest, view);
    }
    out.push('\n');
    draw_summary(&mut out, &timeline.summary, view.screen);
    out
}

fn draw_row(out: &mut String, row: &Row<'_>, widest: usize, view: &View<'_>) {
    let at = row.event.at;
    let wall = view.start.map(|(start, zone)| {
        let moment = jiff::SignedDuration::try_from(at).ok().and_then(|at| start.checked_add(at).ok()).unwrap_or(start);
        format!("{}  ", moment.to_zoned(zone.clone()).strftime("%H:%M:%S"))
    });
    let lead = format!("{}{:>10}  {}  ", wall.unwrap_or_default(), time(at), cell(&who(row), widest));
    let narrow = view.screen.columns < lead.chars().count() + LEAST;
    let margin = if narrow { 2 } else { lead.chars().count() };
    let room = view.screen.columns.saturating_sub(margin);
    let mut said = row.event.what.said();
    if row.pairs.len() > 1 {
        let _ = write!(said, " ({})", names(&row.pairs));
        if row.last > at {
            let _ = write!(said, " until {}", time(row.last));
        }
    }
    let style = style(&row.event.what);
    let mut lead = view.screen.paint(FAINT, lead.trim_end_matches(if narrow { ' ' } else { '\0' }));
    if narrow {
        let _ = writeln!(out, "{lead}");
        lead = " ".repeat(margin);
    }
    for text in wrapped(&said, room) {
        let _ = writeln!(out, "{lead}{}", view.screen.paint(style, &text));
        lead = " ".repeat(margin);
    }
    if let (What::Message { text, .. }, true) = (&row.event.what, view.messages) {
        for text in text.lines().skip(1).flat_map(|text| wrapped(text, room)) {
            let _ = writeln!(out, "{lead}{}", view.screen.paint(FAINT, &text));
        }
    }
}

fn who(row: &Row<'_>) -> String {
    match row.pairs.as_slice() {
        [] => String::new(),
        [pair] => line(&pair.to_string(), NAME),
        pairs => format!("{} pairs", pairs.len()),
    }
}

fn names(pairs: &[&PairName]) -> String {
    let shown: Vec<String> = pairs.iter().take(NAMED).map(ToString::to_string).collect();
    let more = pairs.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

fn style(what: &What) -> Style {
    match what {
        What::Breaks | What::NetworkLost | What::Check { verdict: Verdict::Down, .. } => BAD,
        What::Mends | What::NetworkBack | What::Verify { healed: true, .. } => GOOD,
        What::Check { verdict: Verdict::Unknown, .. } | What::Refusal { .. } | What::Verify { healed: false, .. } => {
            ODD
        }
        What::NextCheck { .. } | What::Notice { .. } => FAINT,
        What::Check { verdict: Verdict::Up, .. }
        | What::Permit { .. }
        | What::CommandStart { .. }
        | What::CommandEnd { .. }
        | What::Message { .. } => Style::new(),
    }
}

/// `1:02:03.4`: hours, minutes, seconds and tenths.
fn time(at: Duration) -> String {
    let tenths = at.as_millis() / 100;
    let (seconds, tenths) = (tenths / 10, tenths % 10);
    format!("{}:{:02}:{:02}.{tenths}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Joins equal events of many pairs that follow each other closely; of a few, each keeps its line.
fn folded(events: &[Event]) -> Vec<Row<'_>> {
    let mut folds: Vec<Fold<'_>> = Vec::new();
    let mut open: HashMap<String, usize> = HashMap::new();
    for (place, event) in events.iter().enumerate().filter(|(_, event)| !event.what.is_told_twice()) {
        let single = || Row { place, event, last: event.at, pairs: event.pair.iter().collect() };
        let alone = || Fold { row: single(), seen: event.pair.iter().collect(), apart: vec![single()] };
        let Some(pair) = event.pair.as_ref() else {
            folds.push(alone());
            continue;
        };
        let near = |fold: &Fold<'_>| event.at.saturating_sub(fold.row.last) <= TOGETHER && !fold.seen.contains(pair);
        let key = event.what.key(Some(pair));
        if let Some(fold) = open.get(&key).and_then(|place| folds.get_mut(*place)).filter(|fold| near(fold)) {
            fold.row.last = event.at;
            fold.row.pairs.push(pair);
            fold.seen.insert(pair);
            fold.apart.push(single());
        } else {
            open.insert(key, folds.len());
            folds.push(alone());
        }
    }
    let is_few = |row: &Row<'_>| row.pairs.len() < MANY;
    let mut rows: Vec<Row<'_>> =
        folds.into_iter().flat_map(|fold| if is_few(&fold.row) { fold.apart } else { vec![fold.row] }).collect();
    rows.sort_by_key(|row| row.place);
    rows
}

fn draw_summary(out: &mut String, summary: &Summary, screen: &Screen) {
    let mut say = |label: &str, text: String| {
        let _ = writeln!(out, "{}  {text}", screen.paint(FAINT, &format!("{label:>22}")));
    };
    say("lasts", long(summary.length));
    say("incidents", format!("{}, {} healed by a command", summary.incidents, summary.healed));
    say("commands", format!("{} run, {} refused", summary.commands, summary.refused));
    say("notices", format!("{} in {} messages", summary.notices, summary.messages));
    say("downtime", format!("{}; incidents were open for {}", long(summary.downtime), long(summary.seen)));
    if let (Some(wait), Some(pair)) = (summary.longest, &summary.longest_to_command_pair) {
        say("longest to a command", format!("{} ({pair})", crate::env::duration::shown(wait)));
    }
    if summary.outages_without_command > 0 {
        say("without a command", format!("{} outage(s)", summary.outages_without_command));
    }
    if !summary.still_down.is_empty() {
        say("still down", names(&summary.still_down.iter().collect::<Vec<_>>()));
    }
}
