//! Text from outside on its way into a message or a log line: one line, capped, nothing invisible.

/// Stands in a catalogue's text where the command goes; [`one_line`] and [`logged`] never let it through.
pub const COMMAND_MARK: char = '\u{E000}';
/// Characters kept of a key, or of who did something.
pub const MAX_NAME: usize = 80;

/// True for what could change how the rest of a line looks: control characters, marks that turn the direction of
/// writing (<https://www.unicode.org/reports/tr9/>), line separators, and our own mark.
fn is_abusable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
        || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | COMMAND_MARK)
}

/// Keeps at most `cap` characters of `text` on one line; what could abuse a line becomes a blank, a cut shows as `…`.
pub fn one_line(text: &str, cap: usize) -> String {
    let clean = text.trim().chars().map(|c| if is_abusable(c) { ' ' } else { c });
    cut(clean, cap)
}

/// Keeps at most the last `cap` characters of `text` as lines, for a quote.
pub fn last_lines(text: &str, cap: usize) -> Vec<String> {
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(cap);
    let start = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
    let kept = text.get(start..).unwrap_or_default();
    let mut lines: Vec<String> = kept.lines().map(|line| one_line(line, cap)).collect();
    if let (true, Some(first)) = (skip > 0, lines.first_mut()) {
        first.insert(0, '…');
    }
    lines
}

/// Keeps at most `cap` characters of `text` for a log: control characters and their like are shown as escapes (`\n`),
/// so that one entry stays one line and a terminal is never told anything.
pub fn logged(text: &str, cap: usize) -> String {
    let clean = text.chars().flat_map(|c| {
        let (plain, escape) = if is_abusable(c) { (None, Some(c.escape_default())) } else { (Some(c), None) };
        plain.into_iter().chain(escape.into_iter().flatten())
    });
    cut(clean, cap)
}

fn cut(mut clean: impl Iterator<Item = char>, cap: usize) -> String {
    let mut kept: String = clean.by_ref().take(cap).collect();
    if clean.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_break_or_an_escape_sequence_cannot_forge_a_log_entry() {
        assert_eq!(logged("a\n2023-10-15 - INFO - ok\x1b[2J", 99), "a\\n2023-10-15 - INFO - ok\\u{1b}[2J");
        assert_eq!(logged("\u{202e}abc", 99), "\\u{202e}abc");
    }

    #[test]
    fn a_quote_keeps_the_end_and_shows_the_cut() {
        assert_eq!(last_lines("one\ntwo\nthree", 9), ["…two", "three"]);
        assert_eq!(last_lines(" \n ", 9), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_field_is_longer_than_its_cap_or_holds_anything_abusable(text in any::<String>(), cap in 1usize..50) {
            for kept in [one_line(&text, cap), logged(&text, cap)] {
                prop_assert!(kept.chars().count() <= cap);
                prop_assert!(!kept.chars().any(is_abusable));
            }
            prop_assert!(last_lines(&text, cap).iter().map(|line| line.chars().count()).sum::<usize>() <= cap + 1);
        }
    }
}
