//! Draws the report: a line per pair that was down, two on a narrow screen, then what each command came to.

use std::fmt::Write;

use clap::builder::styling::Style;

use crate::cli::screen::{BAD, FAINT, GOOD, HEAD, ODD, Screen, cell, line, moment, span, wrapped};
use crate::domain::report::{CommandReport, PairReport, Report};

/// Columns a row needs beside the pair's name.
const ROW: usize = 69;
/// Longest name that is shown whole in a table.
const NAME: usize = 30;

/// Draws everything; every line fits the screen.
pub fn draw(report: &Report, screen: &Screen) -> String {
    let mut out = String::new();
    let length = span(report.until.duration_since(report.since).as_secs());
    put(&mut out, screen, HEAD, 0, &format!("{length}: {} to {}", moment(report.since), moment(report.until)));
    let down: Vec<&PairReport> = report.pairs.iter().filter(|pair| pair.incidents > 0).collect();
    let calm = report.pairs.len().saturating_sub(down.len());
    let incidents: u64 = down.iter().map(|pair| u64::from(pair.incidents)).sum();
    let mut counts = match incidents {
        0 => "no incidents".to_owned(),
        _ => format!("{} in {}", counted(incidents, "incident"), counted(down.len() as u64, "pair")),
    };
    if calm > 0 {
        let _ = write!(counts, "; {} had none", counted(calm as u64, "pair"));
    }
    put(&mut out, screen, FAINT, 0, &counts);
    if report.incomplete {
        let text = "there is more on record than is read at once, so the end is missing: ask for a shorter --since or for one --pair";
        put(&mut out, screen, BAD, 0, text);
    }
    pairs(&mut out, &down, report, screen);
    commands(&mut out, &report.commands, screen);
    out
}

fn pairs(out: &mut String, pairs: &[&PairReport], report: &Report, screen: &Screen) {
    if pairs.is_empty() {
        return;
    }
    let widest = pairs.iter().map(|pair| pair.pair.to_string().chars().count()).max().unwrap_or(4).clamp(4, NAME);
    let narrow = screen.columns < ROW + widest;
    out.push('\n');
    if !narrow {
        let head = format!(
            "{}  {:>9}  {:>6}  {:>5}  {:>8}  {:>7}  {:>10}",
            cell("PAIR", widest),
            "INCIDENTS",
            "HEALED",
            "OTHER",
            "DOWN FOR",
            "MTTR",
            "AVAILABLE"
        );
        let _ = writeln!(out, "{}", screen.paint(HEAD, &head));
    }
    let mut partly = false;
    for pair in pairs {
        let begun = pair.watched_since.is_some_and(|since| since > report.since);
        let share = pair
            .availability_percent
            .map_or_else(|| "-".to_owned(), |share| format!("{share} %{}", if begun { "*" } else { "" }));
        partly |= begun && pair.availability_percent.is_some();
        let (down, mttr) = (seconds(pair.downtime_s), pair.mttr_s.map_or_else(|| "-".to_owned(), seconds));
        let others = pair.recovered + pair.retired;
        let name = pair.pair.to_string();
        if narrow {
            put(out, screen, HEAD, 0, &name);
            let open = if pair.open > 0 { format!(" ({} open)", pair.open) } else { String::new() };
            let rest = format!(
                "{}{open}, {} healed, {others} ended otherwise, down for {down}, MTTR {mttr}, available {share}",
                counted(u64::from(pair.incidents), "incident"),
                pair.healed
            );
            put(out, screen, FAINT, 2, &rest);
        } else {
            let open = if pair.open > 0 { screen.paint(BAD, "  still down") } else { String::new() };
            let _ = writeln!(
                out,
                "{}  {:>9}  {:>6}  {others:>5}  {down:>8}  {mttr:>7}  {share:>10}{open}",
                cell(&name, widest),
                pair.incidents,
                pair.healed
            );
        }
    }
    if partly {
        put(out, screen, FAINT, 0, "* of the time since the pair is watched, which is shorter than the period");
    }
}

fn commands(out: &mut String, commands: &[CommandReport], screen: &Screen) {
    if commands.is_empty() {
        return;
    }
    out.push('\n');
    put(out, screen, HEAD, 0, "WHAT THE COMMANDS DID");
    for command in commands {
        let (text, style) = verdict(command);
        put(out, screen, style, 0, &format!("{} rung {}: {text}", command.pair, command.rung));
        let text = line(&command.command, screen.columns.saturating_sub(6));
        let _ = writeln!(out, "    {}", screen.paint(FAINT, &format!("$ {text}")));
        let rest = rest(command);
        if !rest.is_empty() {
            put(out, screen, FAINT, 4, &rest);
        }
        if command.never_helped {
            let what = "never helped in this period: see what it prints with";
            put(out, screen, BAD, 4, &format!("{what} `monitor actions --output --pair {}`", command.pair));
        }
    }
}

/// What came of the runs that reached the host.
fn verdict(command: &CommandReport) -> (String, Style) {
    if command.runs == 0 {
        return ("no run was judged".to_owned(), ODD);
    }
    let median = command.median_s.map(|median| format!(", median {}", seconds(median))).unwrap_or_default();
    let style = if command.never_helped {
        BAD
    } else if command.healed == command.runs {
        GOOD
    } else {
        ODD
    };
    (format!("healed {} of {}{median}", command.healed, command.runs), style)
}

/// Everything else that came of it, where there is any.
fn rest(command: &CommandReport) -> String {
    let parts = [
        (command.ran_but_down, "exited 0 and did not help"),
        (command.failed, "exited otherwise and did not help"),
        (command.could_not_run, "could not run"),
        (command.interrupted, "interrupted"),
        (command.not_needed, "by hand while nothing was down"),
        (command.under_way, "under way"),
    ];
    let mut parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !command.refused.is_empty() {
        let reasons = command.refused.iter().map(|(reason, count)| format!("{} {count}", reason.replace('_', " ")));
        parts.push(format!("not permitted: {}", reasons.collect::<Vec<_>>().join(", ")));
    }
    parts.join("; ")
}

/// Writes a text, indented, in as many lines as it needs.
fn put(out: &mut String, screen: &Screen, style: Style, indent: usize, text: &str) {
    for text in wrapped(text, screen.columns.saturating_sub(indent)) {
        let _ = writeln!(out, "{}{}", " ".repeat(indent), screen.paint(style, &text));
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Seconds as people read them: tenths below a minute.
fn seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a time inside a period of years at most")]
    if seconds < 60.0 { format!("{seconds:.1}s") } else { span(seconds.round() as i64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::{Action, Draft, Ending, Incident, Outcome};
    use jiff::Timestamp;
    use std::time::Duration;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + hour * 3600).unwrap()
    }

    fn report() -> Report {
        let pair = |name: &str| name.parse().unwrap();
        let mut draft = Draft::new(at(0), at(100));
        for (name, since) in [("DC3-SRV4", -5), ("DC1-SRV5", 50), ("DC1-CALM", -5)] {
            draft.watched(pair(name), at(since));
        }
        let long = "A_VERY_LONG_DATACENTRE_NAME_INDEED-SRV5_WITH_A_LONG_NAME";
        for (name, opened, closed) in [
            ("DC3-SRV4", 10, Some((11, Ending::Healed))),
            ("DC3-SRV4", 20, Some((21, Ending::Recovered))),
            ("DC1-SRV5", 95, None),
            (long, 30, Some((31, Ending::Retired))),
        ] {
            let closed = closed.map(|(hour, ending)| (at(hour), ending));
            draft.incident(&Incident { pair: pair(name), opened_at: at(opened), closed });
        }
        let refused = || Outcome::Refused("budget_spent".to_owned());
        for (name, command, outcome) in [
            ("DC3-SRV4", "systemctl restart\u{1b}[31m network-service", Outcome::Healed),
            ("DC3-SRV4", "systemctl restart\u{1b}[31m network-service", Outcome::CouldNotRun),
            ("DC1-SRV5", "true", Outcome::RanButDown),
            ("DC1-SRV5", "true", Outcome::RanButDown),
            ("DC1-SRV5", "true", Outcome::Failed),
            ("DC1-SRV5", "true", refused()),
            ("DC1-SRV5", "true", refused()),
            (long, "an order that is longer than any screen of any phone that anybody has ever seen", refused()),
        ] {
            let took = Some(Duration::from_millis(6240));
            draft.action(Action { pair: pair(name), command: command.to_owned(), rung: 1, outcome, took });
        }
        draft.finish(true)
    }

    #[test]
    fn every_line_fits_a_terminal_and_a_phone_and_says_the_same() {
        for columns in [24, 40, 60, 80, 100, 140] {
            let text = draw(&report(), &Screen { columns, colours: false, terminal: false });
            for line in text.lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line:?} of\n{text}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for word in [
                "4d 4h: 2023-11-1",
                "4 incidents in 3 pairs; 1 pair had none",
                "ask for a shorter --since",
                "98 %",
                "90 %*",
                "* of the time since",
                "rung 1: healed 1 of 1, median 6.2s",
                "$ systemctl",
                "1 could not run",
                "healed 0 of 3",
                "2 exited 0 and did not help; 1 exited otherwise and did not help; not permitted: budget spent 2",
                "never helped in this period",
                "no run was judged",
            ] {
                assert!(words.contains(word), "{columns}: no {word:?} in\n{text}");
            }
        }
    }

    #[test]
    fn a_row_says_incidents_ends_downtime_repair_and_availability() {
        let mut report = report();
        report.pairs.retain(|pair| pair.pair.to_string().len() < 10);
        let text = draw(&report, &Screen { columns: 80, colours: false, terminal: true });
        assert!(text.contains("DC3-SRV4          2       1      1        2h       1h        98 %\n"), "{text}");
        assert!(
            text.contains("DC1-SRV5          1       0      0        5h        -       90 %*  still down\n"),
            "{text}"
        );
        let coloured = draw(&report, &Screen { columns: 80, colours: true, terminal: true });
        assert!(coloured.contains("\u{1b}[31m"), "{coloured:?}");
    }

    #[test]
    fn a_quiet_week_is_two_lines() {
        let report = Draft::new(at(0), at(168)).finish(false);
        let text = draw(&report, &Screen { columns: 80, colours: false, terminal: false });
        assert!(text.starts_with("7d: ") && text.ends_with("\nno incidents\n"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
