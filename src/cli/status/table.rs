//! Draws where everything stands: counts and troubles first, then one line per pair; two on a narrow screen.

use std::fmt::Write;

use jiff::Timestamp;

use crate::cli::screen::{BAD, FAINT, GOOD, HEAD, ODD, Screen, between, cell, line, millis, span, wrapped};
use crate::engine::handle::{Doing, PairState, PairStatus};
use crate::web::api::pairs::Overview;

use super::notes;

/// Columns a row needs beside the pair's name.
const ROW: usize = 54;
/// Longest name that is shown whole in a table.
const NAME: usize = 40;

/// Draws everything; every line fits the screen.
pub fn draw(overview: &Overview, screen: &Screen) -> String {
    let mut out = String::new();
    header(&mut out, overview, screen);
    let pairs = &overview.engine.pairs;
    let widest = pairs.iter().map(|pair| name(pair).chars().count()).max().unwrap_or(4).clamp(4, NAME);
    let narrow = screen.columns < ROW + widest;
    if !narrow && !pairs.is_empty() {
        let head = format!("{}  {:17}  {:8}  {:7}  {:9}  RUNS", cell("PAIR", widest), "STATE", "ANSWER", "NEXT", "NOW");
        let _ = writeln!(out, "{}", screen.paint(HEAD, &head));
    }
    for pair in pairs {
        let now = overview.engine.at;
        if narrow {
            block(&mut out, pair, now, screen);
        } else {
            row(&mut out, pair, now, widest, screen);
        }
        why(&mut out, pair, screen);
        for (style, text) in notes::of_pair(pair, now) {
            for text in wrapped(&text, screen.columns.saturating_sub(4)) {
                let _ = writeln!(out, "    {}", screen.paint(style, &text));
            }
        }
    }
    out
}

fn header(out: &mut String, overview: &Overview, screen: &Screen) {
    let engine = &overview.engine;
    let count = |state| engine.pairs.iter().filter(|pair| pair.state == state).count();
    let (up, down, unknown, fresh) =
        (count(PairState::Up), count(PairState::Down), count(PairState::Unknown), count(PairState::Fresh));
    let mut counts = vec![format!("{up} up")];
    if down > 0 {
        counts.push(format!("{down} DOWN"));
    }
    if unknown > 0 {
        counts.push(format!("{unknown} unknown"));
    }
    if fresh > 0 {
        counts.push(format!("{fresh} not looked at yet"));
    }
    let style = if down > 0 { BAD } else { HEAD };
    let pairs = if engine.pairs.len() == 1 { "1 pair".to_owned() } else { format!("{} pairs", engine.pairs.len()) };
    say(out, screen, style, &format!("{pairs}: {}", counts.join(", ")));
    let (version, ran) = (line(&engine.version, 20), between(engine.started_at, engine.at));
    let (checks, commands) = (engine.checks.made, engine.checks.commands);
    let about =
        format!("monitor {version}, process {}, running {ran}, {checks} checks, {commands} commands", engine.pid);
    say(out, screen, FAINT, &about);
    if engine.storm {
        let text = "STORM: too many pairs are down together, so nothing is healed; see STORM_LIMIT. If they really are \
                    down: monitor resume";
        say(out, screen, BAD, text);
    }
    for (style, text) in notes::of_all(engine) {
        say(out, screen, style, &text);
    }
    for channel in &overview.channels {
        let name = line(&channel.channel, 20);
        if !channel.trouble.is_empty() {
            let text = format!("{name}: {} notice(s) wait: {}", channel.waiting, channel.trouble);
            say(out, screen, BAD, &text);
        } else if channel.waiting > 0 {
            say(out, screen, ODD, &format!("{name}: {} notice(s) on their way", channel.waiting));
        }
    }
    if !overview.store_healthy {
        let trouble = overview.store_trouble.as_deref().unwrap_or("nothing reaches the disk");
        say(out, screen, BAD, &format!("store: {trouble}"));
    }
    for trouble in &overview.troubles {
        say(out, screen, BAD, &line(trouble, 500));
    }
    out.push('\n');
}

/// Its name, and what its server serves where that is said.
fn name(pair: &PairStatus) -> String {
    match pair.environment {
        Some(environment) => format!("{} [{}]", pair.pair, environment.as_str()),
        None => pair.pair.to_string(),
    }
}

/// Writes a text in as many lines as it needs.
fn say(out: &mut String, screen: &Screen, style: clap::builder::styling::Style, text: &str) {
    for text in wrapped(text, screen.columns) {
        let _ = writeln!(out, "{}", screen.paint(style, &text));
    }
}

fn row(out: &mut String, pair: &PairStatus, now: Timestamp, widest: usize, screen: &Screen) {
    let (text, style) = state(pair, now);
    let state = screen.paint(style, &cell(&text, 17));
    let name = cell(&name(pair), widest);
    let (answer, next) = (cell(&answer(pair), 8), cell(&next(pair), 7));
    let _ = writeln!(out, "{name}  {state}  {answer}  {next}  {}  {:>4}", cell(doing(pair), 9), pair.budget_spent);
}

/// A phone's width: the name and the state, then the rest.
fn block(out: &mut String, pair: &PairStatus, now: Timestamp, screen: &Screen) {
    let (text, style) = state(pair, now);
    let name = name(pair);
    if name.chars().count() + 1 + text.chars().count() <= screen.columns {
        let _ = writeln!(out, "{name} {}", screen.paint(style, &text));
    } else {
        let _ = writeln!(out, "{}", line(&name, screen.columns));
        let _ = writeln!(out, "  {}", screen.paint(style, &line(&text, screen.columns.saturating_sub(2))));
    }
    let rest = format!("{}, next {}, {}, {} runs", answer(pair), next(pair), doing(pair), pair.budget_spent);
    for text in wrapped(&rest, screen.columns.saturating_sub(2)) {
        let _ = writeln!(out, "  {}", screen.paint(FAINT, &text));
    }
}

/// Why it is not up; at most two lines.
fn why(out: &mut String, pair: &PairStatus, screen: &Screen) {
    let Some(fault) = pair.fault.as_ref().filter(|_| pair.state != PairState::Up) else { return };
    for text in wrapped(&fault.reason, screen.columns.saturating_sub(4)).into_iter().take(2) {
        let _ = writeln!(out, "    {text}");
    }
}

/// The state in a word, with how long it holds and how many checks in a row said so.
fn state(pair: &PairStatus, now: Timestamp) -> (String, clap::builder::styling::Style) {
    let held = pair.since.map(|since| between(since, now)).unwrap_or_default();
    match pair.state {
        PairState::Up => (format!("up {held}"), GOOD),
        PairState::Down => (format!("DOWN {held} x{}", pair.failures), BAD),
        PairState::Unknown => {
            let held = pair.unknown_since.map(|since| format!(" {}", between(since, now))).unwrap_or_default();
            (format!("unknown{held}"), ODD)
        }
        PairState::Fresh => ("not looked at".to_owned(), FAINT),
    }
}

fn answer(pair: &PairStatus) -> String {
    pair.response_ms.map_or_else(|| "-".to_owned(), millis)
}

fn next(pair: &PairStatus) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds to the next check, a day at most")]
    pair.next_check_s.map_or_else(|| "now".to_owned(), |seconds| span(seconds.round() as i64))
}

fn doing(pair: &PairStatus) -> &'static str {
    match pair.doing {
        Doing::Waiting => "waiting",
        Doing::Checking => "checking",
        Doing::Healing => "healing",
        Doing::Verifying => "verifying",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::{Cause, Fault};
    use crate::engine::delivery::ChannelHealth;
    use crate::engine::handle::{CheckCounters, Status};

    fn pair(name: &str, state: PairState) -> PairStatus {
        let down = state == PairState::Down;
        PairStatus {
            pair: name.parse().unwrap(),
            url: "http://srv4.example.com/health".to_owned(),
            environment: None,
            notify: true,
            certificate_ends: None,
            state,
            doing: if down { Doing::Healing } else { Doing::Waiting },
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            incident: None,
            failures: u32::from(down) * 3,
            response_ms: (!down).then_some(12.34),
            phases: None,
            fault: down.then(|| Fault {
                cause: Cause::Refused,
                reason: "connection \u{1b}[31mrefused by 10.0.0.1:80, nothing listens there and nobody knows when it will come back to us all".to_owned(),
            }),
            checked_at: None,
            next_check_s: (!down).then_some(12.2),
            budget_spent: u32::from(down) * 2,
            quiet: None,
            flapping: false,
            maintenance_until: None,
            approval: None,
            denied: Vec::new(),
            unknown_since: None,
        }
    }

    fn overview() -> Overview {
        let trouble =
            "Unauthorized: the token is wrong; ask @BotFather for another and set TELEGRAM_BOT_TOKEN".to_owned();
        Overview {
            engine: Status {
                version: "0.1.0".to_owned(),
                pid: 123,
                started_at: "2026-01-01T00:00:00Z".parse().unwrap(),
                at: "2026-01-01T02:03:04Z".parse().unwrap(),
                storm: true,
                stops: Vec::new(),
                cut_off: std::collections::BTreeMap::new(),
                checks: CheckCounters { made: 120, commands: 3, ..CheckCounters::default() },
                pairs: vec![
                    pair("DC3-SRV4", PairState::Up),
                    pair("DC1-SRV5", PairState::Down),
                    pair("A_VERY_LONG_DATACENTRE_NAME_INDEED-SRV5_WITH_A_LONG_NAME", PairState::Unknown),
                ],
            },
            channels: vec![ChannelHealth { channel: "telegram".to_owned(), waiting: 2, delivered: 0, trouble }],
            store_healthy: false,
            store_trouble: Some("the disk is full".to_owned()),
            troubles: vec![
                "discovery: the list cannot be read \u{1b}[2J".to_owned(),
                "another agent runs with the same .env in another STATE_DIR".to_owned(),
            ],
        }
    }

    #[test]
    fn every_line_fits_a_terminal_and_a_phone_and_none_is_coloured_without_a_terminal() {
        for columns in [24, 40, 60, 80, 120] {
            let text = draw(&overview(), &Screen { columns, colours: false, terminal: false });
            for line in text.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line:?} of\n{text}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            for word in [
                "1 up",
                "1 DOWN",
                "1 unknown",
                "STORM",
                "telegram",
                "the disk is full",
                "healing",
                "refused",
                "same .env",
            ] {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words.contains(word), "{columns}: no {word} in\n{text}");
            }
        }
    }

    #[test]
    fn a_row_says_state_since_answer_next_check_and_runs() {
        let mut overview = overview();
        overview.engine.pairs.truncate(2);
        let text = draw(&overview, &Screen { columns: 80, colours: false, terminal: true });
        assert!(text.contains("DC3-SRV4  up 2h 3m           12 ms     12s      waiting       0"), "{text}");
        assert!(text.contains("DC1-SRV5  DOWN 2h 3m x3      -         now      healing       2"), "{text}");
        let coloured = draw(&overview, &Screen { columns: 80, colours: true, terminal: true });
        assert!(coloured.contains("\u{1b}[1m\u{1b}[31m"), "{coloured:?}");
    }
}
