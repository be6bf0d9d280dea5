//! How texts meet a terminal: nothing that it would obey, its width, its colours, times as people say them.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;

use crate::app::source::Source;
use crate::message::one_line;

/// Columns where nobody tells.
const COLUMNS: usize = 80;
/// Fewer cannot hold a table.
const LEAST: usize = 24;
/// Characters of one line from outside.
const LONG: usize = 2000;

/// Where and how is printed.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Characters in a line.
    pub columns: usize,
    /// Whether colours are shown.
    pub colours: bool,
    /// Whether a person looks at it.
    pub terminal: bool,
}

impl Screen {
    /// Looks at the standard output; `NO_COLOR` set to anything turns colours off: <https://no-color.org>.
    pub fn look(source: &Source) -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        let set = |name| source.variable(name).is_some_and(|value| !value.is_empty());
        let told = source.variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let size = rustix::termios::tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
        let columns = size.filter(|columns| *columns > 0).or(told).unwrap_or(COLUMNS).max(LEAST);
        let colours = terminal && !set("NO_COLOR") && source.variable("TERM") != Some("dumb");
        Self { columns, colours, terminal }
    }

    /// Paints a text, where there are colours.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.colours && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Fine.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Odd, or under way.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// Headlines.
pub const HEAD: Style = Style::new().bold();
/// Of less weight.
pub const FAINT: Style = Style::new().dimmed();

/// A text from outside on one line, at most `cap` characters.
pub fn line(text: &str, cap: usize) -> String {
    one_line(text, cap)
}

/// A text of several lines from outside, each made harmless; blanks before a line stay.
pub fn lines(text: &str) -> String {
    let harmless = |text: &str| {
        let blanks = text.len().saturating_sub(text.trim_start_matches(' ').len()).min(8);
        format!("{}{}", " ".repeat(blanks), one_line(text, LONG))
    };
    text.trim_end().lines().map(harmless).collect::<Vec<_>>().join("\n")
}

/// A text cut to a width, or filled up to it with blanks.
pub fn cell(text: &str, width: usize) -> String {
    let text = one_line(text, width);
    let blanks = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(blanks))
}

/// Columns of a standard stream; what is not on a terminal is as wide as a usual one.
pub fn columns(stream: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    size.filter(|columns| *columns > 0).unwrap_or(COLUMNS).max(LEAST)
}

/// Breaks a text of several lines at blanks, and never a word: paths, commands and fingerprints are copied from it. What
/// does not fit beside `head` goes on below it, after as many blanks.
pub fn flowed(head: &str, text: &str, columns: usize) -> String {
    let indent = head.chars().count();
    let mut out = String::from(head);
    for (number, line) in text.trim_end().lines().enumerate() {
        let own = line.chars().take_while(|c| *c == ' ').count().min(8);
        let mut used = indent + own;
        if number > 0 {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&" ".repeat(own));
        for (place, word) in one_line(line, LONG).split_whitespace().enumerate() {
            let width = word.chars().count();
            if place > 0 && used + 1 + width > columns {
                // What goes on stands a little deeper, or it would look like the next line.
                let deeper = indent + own + if indent == 0 { 4 } else { 0 };
                out.push('\n');
                out.push_str(&" ".repeat(deeper));
                used = deeper;
            } else if place > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += width;
        }
    }
    out
}

/// Breaks a text at blanks into lines of at most `width` characters.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in one_line(text, LONG).split_whitespace() {
        let mut word = word;
        while let Some(last) = lines.last_mut() {
            let used = last.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.chars().count() <= width {
                last.push_str(if gap == 1 { " " } else { "" });
                last.push_str(word);
                break;
            }
            if used == 0 {
                let cut = word.char_indices().nth(width.max(1)).map_or(word.len(), |(at, _)| at);
                last.push_str(word.get(..cut).unwrap_or_default());
                word = word.get(cut..).unwrap_or_default();
                if word.is_empty() {
                    break;
                }
            }
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// A span in its two largest units: `3d 4h`, `2m 5s`, `12s`.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let join = |large: i64, l: &str, small: i64, s: &str| {
        if small == 0 { format!("{large}{l}") } else { format!("{large}{l} {small}{s}") }
    };
    if days > 0 {
        join(days, "d", hours, "h")
    } else if hours > 0 {
        join(hours, "h", minutes, "m")
    } else if minutes > 0 {
        join(minutes, "m", seconds % 60, "s")
    } else {
        format!("{seconds}s")
    }
}

/// The span between two moments.
pub fn between(from: Timestamp, to: Timestamp) -> String {
    span(to.duration_since(from).as_secs())
}

/// Milliseconds as people read them.
pub fn millis(ms: f64) -> String {
    if ms >= 10_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

/// A moment in the reader's own zone.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_can_steer_the_terminal() {
        for hostile in ["a\u{1b}[2Jb", "a\u{7}b\rc", "\u{202e}evil", "x\u{9b}31m"] {
            for text in [line(hostile, 80), lines(hostile), cell(hostile, 20), wrapped(hostile, 9).join("")] {
                assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
            }
        }
        assert_eq!(lines("one:\n  two\n"), "one:\n  two");
    }

    #[test]
    fn lines_are_broken_at_blanks_and_long_words_are_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert!(wrapped("  ", 4).is_empty());
    }

    #[test]
    fn a_text_flows_beside_its_head_and_no_word_is_cut() {
        assert_eq!(flowed("ok ", "one two three four", 12), "ok one two\n   three\n   four");
        assert_eq!(flowed("", "one two three", 8), "one two\n    three");
        assert_eq!(flowed("", "first:\n  a line\n", 80), "first:\n  a line");
        assert_eq!(flowed("", "/a/very/long/path x", 8), "/a/very/long/path\n    x");
        assert_eq!(flowed("- ", "", 8), "- ");
        assert!(!flowed("", "a\u{1b}[2Jb\u{202e}", 80).contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn spans_are_said_in_two_units() {
        for (seconds, said) in
            [(-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (125, "2m 5s"), (7380, "2h 3m"), (90_000, "1d 1h")]
        {
            assert_eq!(span(seconds), said);
        }
        assert_eq!(
            (millis(3.25), millis(250.4), millis(12_345.0)),
            ("3.2 ms".into(), "250 ms".into(), "12.3 s".into())
        );
    }
}
