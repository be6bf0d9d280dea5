//! A text that a body holds or not: a plain one, or a regular expression between slashes.

use std::fmt;

use crate::host::output::one_line;
use crate::probe::wire::Expression;

/// Characters shown of a text in a reason.
const SHOWN: usize = 60;

/// A plain text or a regular expression.
#[derive(Debug, Clone)]
pub(in crate::probe::http) enum Pattern {
    /// As it is, in these letters.
    Text(Box<str>),
    /// Anywhere in the body.
    Regex(Expression),
}

/// Reads `plain | /regular expression/`. Before `|`, `/` and `\` a backslash takes their meaning away.
pub(in crate::probe::http) fn patterns(text: &str) -> Result<Vec<Pattern>, String> {
    let mut found = Vec::new();
    let mut rest = Some(text);
    while let Some(item) = rest.map(str::trim_start) {
        let (pattern, left) = match item.strip_prefix('/') {
            Some(item) => expression(item)?,
            None => plain(item)?,
        };
        found.push(pattern);
        rest = left;
    }
    Ok(found)
}

/// Reads up to a `|`.
fn plain(item: &str) -> Result<(Pattern, Option<&str>), String> {
    let mut text = String::new();
    let mut chars = item.char_indices().peekable();
    let mut rest = None;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next_if(|(_, next)| matches!(next, '|' | '/' | '\\')) {
                Some((_, next)) => text.push(next),
                None => text.push('\\'),
            },
            '|' => {
                rest = item.get(at + 1..);
                break;
            }
            c => text.push(c),
        }
    }
    let text = text.trim_end();
    if text.is_empty() {
        return Err("expected texts such as `Welcome | /version [0-9]+/`, and one of them is empty".to_owned());
    }
    Ok((Pattern::Text(text.into()), rest))
}

/// Reads up to a `/` behind which the item ends.
fn expression(item: &str) -> Result<(Pattern, Option<&str>), String> {
    let mut escaped = false;
    for (at, c) in item.char_indices() {
        if c == '/' && !escaped {
            let rest = item.get(at + 1..).unwrap_or_default().trim_start();
            if rest.is_empty() || rest.starts_with('|') {
                let regex = regex(item.get(..at).unwrap_or_default())?;
                return Ok((Pattern::Regex(regex), rest.strip_prefix('|')));
            }
        }
        escaped = c == '\\' && !escaped;
    }
    Err("expected a `/` at the end of the regular expression; write `\\/` for a text that begins with a slash"
        .to_owned())
}

fn regex(text: &str) -> Result<Expression, String> {
    if text.is_empty() {
        return Err("expected something between the slashes of a regular expression".to_owned());
    }
    Expression::parse(text)
}

impl Pattern {
    /// Whether the text holds it.
    pub(in crate::probe::http) fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(part) => text.contains(&**part),
            Self::Regex(regex) => regex.is_in(text.as_bytes()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{}`", one_line(text.as_bytes(), SHOWN)),
            Self::Regex(regex) => regex.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        patterns(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn texts_and_expressions_are_told_apart() {
        assert_eq!(shown("Welcome"), ["`Welcome`"]);
        assert_eq!(shown(" a b | /c|d/ |e "), ["`a b`", "`/c|d/`", "`e`"]);
        assert_eq!(shown(r"a\|b|\/etc|C:\x|\\"), ["`a|b`", "`/etc`", r"`C:\x`", r"`\`"]);
        assert_eq!(shown("/https?://h/ | b/"), ["`/https?://h/`", "`b/`"]);
        assert_eq!(shown(r"/a\/|b/"), [r"`/a\/|b/`"]);
        assert_eq!(shown("/a/|/b/"), ["`/a/`", "`/b/`"]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, told) in [
            ("", "one of them is empty"),
            ("a||b", "one of them is empty"),
            ("a|", "one of them is empty"),
            ("/", "expected a `/` at the end"),
            ("/a", "expected a `/` at the end"),
            ("//", "expected something between the slashes"),
            ("/(/", "expected a regular expression between the slashes: unclosed group"),
            (r"/\w{999}{999}/", "expected a regular expression that is smaller"),
        ] {
            let error = patterns(text).unwrap_err();
            assert!(error.contains(told), "{text:?} says {error:?}");
        }
    }

    #[test]
    fn a_text_is_found_as_it_is_and_an_expression_anywhere() {
        let found = |text: &str, body: &str| patterns(text).unwrap().iter().all(|pattern| pattern.is_in(body));
        assert!(found("a.c", "xa.cx") && !found("a.c", "abc") && !found("A", "a"));
        assert!(found("/a.c/", "xabcx") && found("/^ok$/", "ok") && !found("/^ok$/", "ok\nmore"));
        assert!(found("/(?i)ошибка/", "ОШИБКА базы"), "letters of all scripts have two cases");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_patterns(text in "\\PC{0,40}", odd in "[/|\\\\a( ]{0,12}") {
            for text in [text, odd] {
                if let Ok(found) = patterns(&text) {
                    prop_assert!(!found.is_empty());
                }
            }
        }

        #[test]
        fn an_escaped_text_is_found_in_itself(text in "[a/|\\\\ ]{1,12}") {
            let text = text.trim();
            prop_assume!(!text.is_empty());
            let escaped = text.replace('\\', "\\\\").replace('|', "\\|").replace('/', "\\/");
            let found = patterns(&escaped).unwrap();
            prop_assert!(found.len() == 1 && found.iter().all(|pattern| pattern.is_in(text)));
        }
    }
}
