//! Walks through the text of an `.env` file and counts its lines; the grammar is `dialect`'s.

/// Says whether Python's `\s` matches, line ends aside: Unicode white space and the four ASCII separators.
pub(super) fn blank(c: char) -> bool {
    c != '\n' && (c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// The unread text and the line it begins on.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
    pub(super) line: u32,
}

impl<'a> Cursor<'a> {
    /// Goes on by so many bytes and gives them.
    pub(super) fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        let ends = taken.bytes().filter(|b| *b == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        self.rest = rest;
        taken
    }

    pub(super) fn take(&mut self, while_true: impl Fn(char) -> bool) -> &'a str {
        self.advance(self.rest.find(|c| !while_true(c)).unwrap_or(self.rest.len()))
    }

    pub(super) fn skip(&mut self, text: &str) -> bool {
        let there = self.rest.starts_with(text);
        if there {
            self.advance(text.len());
        }
        there
    }

    /// Skips `export` when a blank follows; otherwise it is a key like any other.
    pub(super) fn export(&mut self) {
        if self.rest.strip_prefix("export").is_some_and(|after| after.starts_with(blank)) {
            self.skip("export");
            self.take(blank);
        }
    }

    /// Skips blanks and a comment, and says whether the line ends there.
    pub(super) fn comment_and_end(&mut self) -> bool {
        self.take(blank);
        if self.rest.starts_with('#') {
            self.take(|c| c != '\n');
        }
        self.rest.is_empty() || self.rest.starts_with('\n')
    }

    /// Takes a quoted text and gives what stands between the quotes. When no quote closes it but an escaped one is there, the last
    /// of those does, as in python-dotenv: `"C:\dir\"` alone in a file is `C:\dir\`.
    pub(super) fn quoted(&mut self, quote: char) -> Option<&'a str> {
        let body = self.rest.strip_prefix(quote)?;
        let (mut end, mut escaped, mut skip) = (None, None, false);
        for (index, c) in body.char_indices() {
            if c == quote && !skip {
                end = Some(index);
                break;
            }
            if c == quote {
                escaped = Some(index);
            }
            skip = c == '\\';
        }
        let inside = body.get(..end.or(escaped)?)?;
        self.advance(inside.len().saturating_add(2));
        Some(inside)
    }
}
