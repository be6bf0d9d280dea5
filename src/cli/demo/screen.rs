//! The terminal: ink, width, wrapping. What is written there is the business of the others.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

use tokio_util::sync::CancellationToken;

/// Columns that text is laid out for at the least and at the most; longer lines are hard to read.
const WIDTH: (usize, usize) = (40, 110);

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As it is.
    Plain,
    /// Emphasis.
    Bold,
    /// What may be skipped.
    Faint,
    /// Broken.
    Red,
    /// A warning.
    Yellow,
    /// Healed.
    Green,
    /// What is typed: commands, keys.
    Cyan,
    /// The demo's own voice.
    Magenta,
}

impl Ink {
    /// The SGR sequence: ECMA-48, 8.3.117.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Red => "\x1b[1;31m",
            Self::Yellow => "\x1b[33m",
            Self::Green => "\x1b[1;32m",
            Self::Cyan => "\x1b[36m",
            Self::Magenta => "\x1b[1;35m",
        }
    }
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    ink: Ink,
    text: String,
}

/// Makes a piece; control characters are taken out of it.
pub fn piece(ink: Ink, text: &str) -> Piece {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text = text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    Piece { ink, text }
}

/// Where the demo is shown.
#[derive(Debug, Clone)]
pub struct Screen {
    colour: bool,
    /// Columns; none where lines are not to be broken, as in a file.
    width: Option<usize>,
    gone: CancellationToken,
}

impl Screen {
    /// Looks at standard output; `gone` is done when its reader goes away.
    pub fn of_stdout(plain: bool, gone: CancellationToken) -> Self {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Self { colour: false, width: None, gone };
        }
        let columns = rustix::termios::tcgetwinsize(&out).map_or(80, |size| usize::from(size.ws_col));
        // A terminal that does not know its width says 0.
        let columns = if columns == 0 { 80 } else { columns };
        Self { colour: !plain, width: Some(columns.clamp(WIDTH.0, WIDTH.1)), gone }
    }

    /// Whether ink shows.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// Columns of a line; none where lines are not broken.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Writes a line: `lead`, then `body`; where the body is broken, its further lines begin with `hang`.
    pub fn line(&self, lead: &[Piece], hang: &[Piece], body: &[Piece]) {
        let mut text = String::new();
        let room = self.width.map(|width| width.saturating_sub(columns(lead).max(columns(hang))).max(10));
        for (index, row) in rows(body, room).iter().enumerate() {
            let before = if index == 0 { lead } else { hang };
            before.iter().chain(row).for_each(|piece| self.ink(piece, &mut text));
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        // One write for one line: nobody can stand in between.
        let mut out = std::io::stdout().lock();
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.gone.cancel();
        }
    }

    /// Writes a line that has no lead.
    pub fn say(&self, body: &[Piece]) {
        self.line(&[], &[], body);
    }

    fn ink(&self, piece: &Piece, text: &mut String) {
        let code = piece.ink.code();
        if self.colour && !code.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{code}{}\x1b[0m", piece.text);
        } else {
            text.push_str(&piece.text);
        }
    }
}

/// Breaks a line at its blanks into rows of at most `room` columns; a word that is longer is broken where it ends.
fn rows(body: &[Piece], room: Option<usize>) -> Vec<Vec<Piece>> {
    let Some(room) = room else { return vec![body.to_vec()] };
    let mut rows = vec![Vec::new()];
    let mut used = 0;
    for Piece { ink, text } in body {
        for word in text.split_inclusive(' ') {
            let wide = width(word.trim_end());
            if used > 0 && used + wide > room {
                rows.push(Vec::new());
                used = 0;
            }
            let mut part = String::new();
            for c in word.chars() {
                let wide = char_width(c);
                if used + wide > room && c != ' ' {
                    push(&mut rows, *ink, &mut part);
                    rows.push(Vec::new());
                    used = 0;
                }
                used += wide;
                part.push(c);
            }
            push(&mut rows, *ink, &mut part);
        }
    }
    // A blank after the last column would break the line a second time.
    for last in rows.iter_mut().filter_map(|row| row.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
    rows
}

fn push(rows: &mut [Vec<Piece>], ink: Ink, part: &mut String) {
    let text = std::mem::take(part);
    let Some(row) = rows.last_mut().filter(|_| !text.is_empty()) else { return };
    match row.last_mut() {
        Some(last) if last.ink == ink => last.text.push_str(&text),
        _ => row.push(Piece { ink, text }),
    }
}

fn columns(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| width(&piece.text)).sum()
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns of a character, as far as our own texts need it: Unicode's wide and zero-width ranges (UAX #11). A warning sign
/// counts as two, for that is what it takes as an emoji; where a terminal draws it narrower, a line ends a column early.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x26a0
        | 0x2705
        | 0x274c
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rows: &[Vec<Piece>]) -> Vec<String> {
        let row = |row: &Vec<Piece>| row.iter().map(|piece| piece.text.as_str()).collect::<String>();
        rows.iter().map(row).collect()
    }

    #[test]
    fn lines_break_at_blanks_across_inks_and_long_words_where_the_line_ends() {
        let body = [piece(Ink::Plain, "one two "), piece(Ink::Bold, "three abcdefghijklmno")];
        assert_eq!(plain(&rows(&body, Some(9))), ["one two", "three", "abcdefghi", "jklmno"]);
        assert_eq!(plain(&rows(&body, None)), ["one two three abcdefghijklmno"]);
        assert_eq!(plain(&rows(&[], Some(9))), [""]);
    }

    #[test]
    fn korean_and_emoji_take_two_columns() {
        assert_eq!([width("ab"), width("서버"), width("✅"), width("⚠\u{fe0f}")], [2, 4, 2, 2]);
        assert_eq!(plain(&rows(&[piece(Ink::Plain, "연결 상태")], Some(5))), ["연결", "상태"]);
    }

    #[test]
    fn no_text_moves_the_cursor_or_turns_the_line_around() {
        assert_eq!(piece(Ink::Plain, "a\x1b[2J\r\u{202e}b\n").text, "a [2J  b ");
    }

    #[test]
    fn without_colour_there_is_no_escape_sequence() {
        for (colour, expected) in [(false, "x"), (true, "\x1b[1mx\x1b[0m")] {
            let screen = Screen { colour, width: None, gone: CancellationToken::new() };
            let mut text = String::new();
            screen.ink(&piece(Ink::Bold, "x"), &mut text);
            assert_eq!(text, expected);
        }
    }
}
