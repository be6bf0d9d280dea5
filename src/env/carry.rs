//! Hands pairs to dotenvy as text it cannot misread, and takes them back.
//!
//! dotenvy alone refuses `COMMAND=systemctl restart x`, replaces `$` in passwords and stops at the first bad line; so the dialect
//! is read by `dialect`, and here each value goes to dotenvy inside double quotes with its four special characters escaped.
//! Single quotes would not do: dotenvy ends them at any `'`, and its line splitter takes a `\` in them for an escape.

use super::dialect::Line;

/// dotenvy gave back something else than it was given.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: dotenvy does not give back what it was given")]
pub struct NotCarried {
    /// Line of the file, counted from 1. The text itself is not kept: it may be a secret.
    pub number: u32,
}

/// Passes every value through dotenvy's iterator form (never its `set_var`: children would inherit secrets).
pub fn through_dotenvy(mut lines: Vec<Line>) -> Result<Vec<Line>, NotCarried> {
    let mut text = String::new();
    for line in &lines {
        if let Some(value) = &line.value {
            text.push_str(&quoted(bearer(&line.key), value));
            text.push('\n');
        }
    }
    let mut carried = dotenvy::from_read_iter(text.as_bytes());
    for line in &mut lines {
        if let Some(value) = &mut line.value {
            match carried.next() {
                Some(Ok((key, back))) if key == bearer(&line.key) && back == *value => *value = back,
                _ => return Err(NotCarried { number: line.number }),
            }
        }
    }
    Ok(lines)
}

/// Gives the key under which dotenvy carries a value: its own, or `_` when dotenvy's grammar has no such key
/// (python-dotenv accepts `DC-1_SRV`, `1DC`, `КЛЮЧ`; dotenvy does not).
fn bearer(key: &str) -> &str {
    let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if starts_well && goes_on_well { key } else { "_" }
}

/// Writes `KEY="value"` so that dotenvy reads the value back. It is not python-dotenv's dialect, where `\$` stays two characters.
fn quoted(key: &str, value: &str) -> String {
    let mut text = String::with_capacity(key.len() + value.len() + 4);
    text.push_str(key);
    text.push_str("=\"");
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\\' | '"' | '$' => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(key: &str, value: &str) -> Line {
        Line { number: 1, key: key.to_owned(), value: Some(value.to_owned()) }
    }

    #[test]
    fn what_breaks_dotenvy_bare_goes_through_quoted() {
        let values = [
            "a b", "pa$HOME", "${PATH}", "it's", "\"", "\\", "a\\", "'", "a\nb", "a\r\nb\r", "#x", " x ", "\0", "",
            "日本",
        ];
        let lines: Vec<_> =
            values.iter().map(|v| line("КЛЮЧ", v)).chain(values.iter().map(|v| line("export", v))).collect();
        assert_eq!(through_dotenvy(lines.clone()), Ok(lines));
    }

    proptest! {
        #[test]
        fn any_value_comes_back_from_dotenvy_as_it_went(values in proptest::collection::vec("(?s).{0,40}", 0..6)) {
            let lines: Vec<_> = values.iter().map(|v| line("K", v)).collect();
            prop_assert_eq!(through_dotenvy(lines.clone()), Ok(lines));
        }

        #[test]
        fn values_of_special_characters_come_back(value in "[ \"'\\\\$#{}=\n\r\ta]{0,24}") {
            let lines = vec![line("K", &value), line("L", "next")];
            prop_assert_eq!(through_dotenvy(lines.clone()), Ok(lines));
        }
    }
}
