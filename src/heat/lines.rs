//! Output as lines of the log: each behind `> `, printable, none longer than fits.

use crate::host::output::escape;

/// Bytes of one line; what is longer goes on in the next.
const LONGEST: usize = 4096;

/// One stream of output on its way into lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come yet; shorter than [`LONGEST`].
    begun: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and appends the lines that are whole.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part.strip_suffix(b"\n").unwrap_or(part));
            while self.begun.len() >= LONGEST {
                let rest = self.begun.split_off(whole_characters(&self.begun, LONGEST));
                write(&self.begun, text);
                self.begun = rest;
            }
            if part.ends_with(b"\n") {
                write(&self.begun, text);
                self.begun.clear();
            }
        }
    }

    /// Appends what has no line end.
    pub fn finish(&mut self, text: &mut String) {
        if !self.begun.is_empty() {
            write(&self.begun, text);
            self.begun.clear();
        }
    }
}

fn write(line: &[u8], text: &mut String) {
    text.push_str("> ");
    escape(line, text);
    text.push('\n');
}

/// At most so many bytes, none of which begins a character that ends behind them.
fn whole_characters(bytes: &[u8], most: usize) -> usize {
    let inside = |at: &usize| bytes.get(*at).is_some_and(|byte| (0x80..0xC0).contains(byte));
    let start = (most.saturating_sub(3)..=most).rev().find(|at| !inside(at));
    start.filter(|at| *at > 0).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> String {
        let (mut lines, mut text) = (Lines::default(), String::new());
        for piece in pieces {
            lines.push(piece, &mut text);
        }
        lines.finish(&mut text);
        text
    }

    #[test]
    fn every_line_stands_behind_its_mark_and_nothing_else_makes_one() {
        for (pieces, expected) in [
            (&[b"one\ntwo" as &[u8]] as &[&[u8]], "> one\n> two\n"),
            (&[b"on", b"e\n", b"\n", b"two\n"], "> one\n> \n> two\n"),
            (&[b"1 : FAIL : x :\n\x1b[2J\r\x0b\x0c"], "> 1 : FAIL : x :\n> \\x1b[2J\\r\\x0b\\x0c\n"),
            (&["a\u{2028}b\u{85}c".as_bytes()], "> a\\u{2028}b\\u{85}c\n"),
            (&[b"\xff\n"], "> \u{fffd}\n"),
            (&["\u{d55c}".as_bytes().split_at(1).0, "\u{d55c}\n".as_bytes().split_at(1).1], "> \u{d55c}\n"),
            (&[], ""),
        ] {
            assert_eq!(lines(pieces), expected);
        }
    }

    #[test]
    fn a_line_without_end_is_split_between_characters_and_kept_whole() {
        let text = "\u{d55c}".repeat(5000);
        let told = lines(&[text.as_bytes()]);
        assert!(!told.contains('\u{fffd}') && told.lines().count() == 4, "{}", told.lines().count());
        assert_eq!(told.lines().map(|line| line.strip_prefix("> ").unwrap()).collect::<String>(), text);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_change_nothing_and_memory_is_bounded(
            data in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>(), Just(b'x')], 0..9_000),
            cut in 1usize..5000,
        ) {
            let whole = lines(&[&data]);
            let (mut pieces, mut text) = (Lines::default(), String::new());
            for piece in data.chunks(cut) {
                pieces.push(piece, &mut text);
                prop_assert!(pieces.begun.len() < LONGEST);
            }
            pieces.finish(&mut text);
            prop_assert_eq!(&whole, &text);
            prop_assert!(whole.lines().all(|line| line.starts_with("> ")));
            prop_assert!(whole.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
