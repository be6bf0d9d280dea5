//! python-dotenv's `.env` dialect: bytes → keys, values and line numbers, and a problem for every line it would skip.
//!
//! The grammar is that of python-dotenv 1.2 (`parser.py`), down to its corners; `tests/it/data/dotenv-cases.json` holds its own
//! answers. What differs is only that nothing is skipped in silence. Meaning of keys lives in `reader`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cursor::{Cursor, blank};
use super::problem::{Place, Problem};
use super::{carry, expand};

/// Bytes all expanded values of one file may hold together, so that a file that doubles itself cannot eat the memory.
const MAX_EXPANDED: usize = 64 * 1024 * 1024;

/// Lines in a wrong encoding that are named one by one; the cause is one, and so is the remedy.
const MAX_NAMED: usize = 20;

/// One `KEY=value` of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Where its key stands, counted from 1.
    pub number: u32,
    /// The key as written.
    pub key: String,
    /// The value; none when the line has no `=`.
    pub value: Option<String>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A value may be a secret, and so may a "key" that is a line of a broken private key.
        write!(f, "Line {{ number: {}, .. }}", self.number)
    }
}

/// A file read to its end.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Every pair, in the order of the file, duplicates included.
    pub lines: Vec<Line>,
    /// Everything that is wrong with the text itself.
    pub problems: Vec<Problem>,
}

/// Reads a whole file. `process` is the process environment: `${NAME}` asks it first, then earlier lines.
pub fn parse(name: &str, bytes: &[u8], process: &BTreeMap<String, String>) -> Parsed {
    let name: Arc<str> = name.into();
    let mut parsed = Parsed::default();
    let text = decoded(&name, bytes, &mut parsed.problems);
    statements(&name, &text, &mut parsed);
    expanded(&name, process, &mut parsed);
    match carry::through_dotenvy(std::mem::take(&mut parsed.lines)) {
        Ok(lines) => parsed.lines = lines,
        Err(error) => parsed.problems.push(Problem::error(at(&name, error.number), "", error.to_string())),
    }
    parsed
}

fn at(name: &Arc<str>, line: u32) -> Place {
    Place::File { name: Arc::clone(name), line: Some(line) }
}

/// Makes text of bytes as Python's text mode does: a byte order mark goes, every line end becomes `\n`.
fn decoded(name: &Arc<str>, bytes: &[u8], problems: &mut Vec<Problem>) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let place = Place::File { name: Arc::clone(name), line: None };
        problems.push(Problem::error(place, "", "is UTF-16, expected UTF-8").hint("save it as UTF-8"));
        return String::new();
    }
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    if let std::borrow::Cow::Owned(_) = String::from_utf8_lossy(bytes) {
        let bad = bytes.split(|b| *b == b'\n').zip(1..).filter(|(line, _)| std::str::from_utf8(line).is_err());
        for (line, number) in bad.take(MAX_NAMED) {
            let byte =
                std::str::from_utf8(line).err().and_then(|e| line.get(e.valid_up_to()).copied()).unwrap_or_default();
            let what = format!("is not UTF-8: found byte {byte:#04x}");
            problems.push(Problem::error(at(name, number), "", what).hint("save the file as UTF-8"));
        }
    }
    text
}

/// Reads statement after statement; a bad one costs its line and is told.
fn statements(name: &Arc<str>, text: &str, parsed: &mut Parsed) {
    let mut cursor = Cursor { rest: text, line: 1 };
    loop {
        cursor.take(|c| blank(c) || c == '\n');
        if cursor.rest.is_empty() {
            break;
        }
        let number = cursor.line;
        match statement(&mut cursor) {
            Ok(None) => {}
            Ok(Some((key, value, odd))) => {
                if let Some((what, hint)) = odd {
                    parsed.problems.push(Problem::warning(at(name, number), nameable(&key), what).hint(hint));
                }
                parsed.lines.push(Line { number, key, value });
            }
            Err((what, hint)) => {
                cursor.take(|c| c != '\n');
                parsed.problems.push(Problem::error(at(name, number), "", what).hint(hint));
            }
        }
    }
}

/// What is wrong, and what to do.
type Said = (&'static str, &'static str);

const NO_KEY: Said =
    ("a line begins with no key, expected `KEY=value`", "write the key before `=`, or `#` before a comment");
const NOT_A_PAIR: Said = ("is not `KEY=value`", "write `KEY=value`, or `#` before a comment");
const UNCLOSED: Said = ("a quote is opened and never closed", "close it, or remove it");
const AFTER_QUOTE: Said =
    ("text follows the closing quote", "put the whole value inside the quotes, or none around it");
const COMMENT_AS_VALUE: Said = (
    "the value begins with `#` and is taken as a value, not as a comment",
    "put the comment on its own line, or quotes around the value",
);
const SWALLOWS: Said =
    ("the quoted value runs on over a line that looks like another key", "close the quote if that was not meant");

type Pair = (String, Option<String>, Option<Said>);

fn statement(cursor: &mut Cursor<'_>) -> Result<Option<Pair>, Said> {
    cursor.export();
    let Some(key) = key(cursor)? else {
        cursor.take(|c| c != '\n');
        return Ok(None);
    };
    cursor.take(blank);
    if !cursor.skip("=") {
        return if cursor.comment_and_end() { Ok(Some((key, None, None))) } else { Err(NOT_A_PAIR) };
    }
    let gap = !cursor.take(blank).is_empty();
    let first = cursor.rest.chars().next();
    let (value, odd) = match first {
        Some(quote @ ('\'' | '"')) => {
            let raw = cursor.quoted(quote).ok_or(UNCLOSED)?;
            (unescaped(raw, quote), raw.lines().skip(1).any(like_a_pair).then_some(SWALLOWS))
        }
        _ => (unquoted(cursor.take(|c| c != '\n')).to_owned(), (gap && first == Some('#')).then_some(COMMENT_AS_VALUE)),
    };
    if cursor.comment_and_end() { Ok(Some((key, Some(value), odd))) } else { Err(AFTER_QUOTE) }
}

/// Reads a key; none when a comment stands there.
fn key(cursor: &mut Cursor<'_>) -> Result<Option<String>, Said> {
    if cursor.rest.starts_with('#') {
        return Ok(None);
    }
    if let Some(inner) = cursor.rest.strip_prefix('\'') {
        let (key, _) = inner.split_once('\'').filter(|(key, _)| !key.is_empty()).ok_or(UNCLOSED)?;
        cursor.advance(key.len().saturating_add(2));
        return Ok(Some(key.to_owned()));
    }
    let key = cursor.take(|c| c != '=' && c != '#' && c != '\n' && !blank(c));
    if key.is_empty() { Err(NO_KEY) } else { Ok(Some(key.to_owned())) }
}

/// Cuts an inline comment (blank, then `#`) and the blanks at the end.
fn unquoted(part: &str) -> &str {
    let mut after_blank = false;
    for (index, c) in part.char_indices() {
        if c == '#' && after_blank {
            return part.get(..index).unwrap_or(part).trim_end_matches(blank);
        }
        after_blank = blank(c);
    }
    part.trim_end_matches(blank)
}

/// Decodes the escapes each kind of quote knows; any other `\` stays.
fn unescaped(raw: &str, quote: char) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        let decoded = if c == '\\' { chars.peek().and_then(|next| escape(*next, quote)) } else { None };
        out.push(decoded.unwrap_or(c));
        if decoded.is_some() {
            chars.next();
        }
    }
    out
}

fn escape(c: char, quote: char) -> Option<char> {
    match (c, quote) {
        ('\\' | '\'', _) | ('"', '"') => Some(c),
        (_, '\'') => None,
        ('a', _) => Some('\u{7}'),
        ('b', _) => Some('\u{8}'),
        ('f', _) => Some('\u{c}'),
        ('n', _) => Some('\n'),
        ('r', _) => Some('\r'),
        ('t', _) => Some('\t'),
        ('v', _) => Some('\u{b}'),
        _ => None,
    }
}

fn like_a_pair(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        key.len() > 2
            && key.starts_with(|c: char| c.is_ascii_uppercase())
            && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Writes `KEY='value'` so that [`parse`] and python-dotenv read the value back; `${NAME}` would still be filled in,
/// and the dialect has no quoted form for a carriage return or for a `\\` at the very end.
pub fn quoted(key: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{key}='{value}'")
}

/// Gives a key that may be shown, or nothing: a line of a private key pasted without quotes reads as a key, too.
pub fn nameable(key: &str) -> &str {
    let plain = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
    if plain && (key.len() < 40 || (key.len() < 160 && key.contains('_'))) { key } else { "" }
}

/// Fills in `${NAME}`, line after line.
fn expanded(name: &Arc<str>, process: &BTreeMap<String, String>, parsed: &mut Parsed) {
    let mut earlier: HashMap<String, String> = HashMap::new();
    let mut total = 0_usize;
    for line in &mut parsed.lines {
        let Some(value) = line.value.as_ref() else {
            earlier.insert(line.key.clone(), String::new());
            continue;
        };
        let mut missing = Vec::new();
        let lookup = |wanted: &str| process.get(wanted).or_else(|| earlier.get(wanted)).map(String::as_str);
        let full = expand::expand(value, lookup, &mut missing).map(std::borrow::Cow::into_owned);
        let (key, place) = (nameable(&line.key), || at(name, line.number));
        for unset in &missing {
            let what = format!("`${{{}}}` is set nowhere above and became nothing", super::problem::shown(unset));
            parsed
                .problems
                .push(Problem::warning(place(), key, what).hint("set it, or give a default: `${NAME:-default}`"));
        }
        match full {
            Ok(full) if total.saturating_add(full.len()) <= MAX_EXPANDED => {
                total = total.saturating_add(full.len());
                earlier.insert(line.key.clone(), full.clone());
                line.value = Some(full);
            }
            Ok(_) | Err(expand::TooLong) => {
                parsed.problems.push(Problem::error(place(), key, expand::TooLong.to_string()).hint("shorten it"));
                line.value = Some(String::new());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Parsed {
        parse(".env", text.as_bytes(), &BTreeMap::new())
    }

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        read(text).lines.into_iter().map(|l| (l.number, l.key, l.value.unwrap_or_default())).collect()
    }

    fn said(text: &str) -> Vec<String> {
        read(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_pair_knows_its_line_also_behind_many_lines() {
        let found = pairs("# c\r\n\r\nA=1\r\nB=\"x\r\ny\"\r\n\r\nC=3");
        assert_eq!(found, [(3, "A".into(), "1".into()), (4, "B".into(), "x\ny".into()), (7, "C".into(), "3".into())]);
    }

    #[test]
    fn a_line_that_python_dotenv_skips_is_told_with_its_number_and_a_remedy() {
        for (text, expected) in [
            (
                "A=1\n\nP=\"a b\" c\n",
                ".env:3: text follows the closing quote; put the whole value inside the quotes, or none around it",
            ),
            ("P='abc\nQ=2\n", ".env:1: a quote is opened and never closed; close it, or remove it"),
            ("\nthis is not\n", ".env:2: is not `KEY=value`; write `KEY=value`, or `#` before a comment"),
            (
                "=x\n",
                ".env:1: a line begins with no key, expected `KEY=value`; write the key before `=`, or `#` before a comment",
            ),
        ] {
            assert_eq!(said(text), [expected]);
        }
        assert!(!said("P=\"hunter2\" x")[0].contains("hunter2"), "a broken line may hold a secret");
    }

    #[test]
    fn traps_of_the_dialect_are_warned_about() {
        assert!(said("K= # why\n")[0].contains("taken as a value"));
        assert!(said("K=#abc\n").is_empty());
        assert!(said("A=\"x\nSRV4_URL=y\nB=\"\n")[0].contains("runs on over a line"));
        assert!(said("A=${NOPE_1}\n")[0].contains("`${NOPE_1}` is set nowhere"));
    }

    #[test]
    fn a_backslash_before_the_last_quote_ends_a_value_that_nothing_else_ends() {
        assert_eq!(pairs("P=\"C:\\dir\\\"\nQ=2\n"), [(1, "P".into(), "C:\\dir\\".into()), (2, "Q".into(), "2".into())]);
    }

    #[test]
    fn a_wrong_encoding_names_line_byte_and_remedy() {
        let parsed = parse(".env", b"A=1\nP=\xcf\xf0\n", &BTreeMap::new());
        assert_eq!(parsed.problems[0].to_string(), ".env:2: is not UTF-8: found byte 0xcf; save the file as UTF-8");
        let parsed = parse(".env", b"\xff\xfeA\x00=\x001\x00", &BTreeMap::new());
        assert_eq!(parsed.problems[0].to_string(), ".env: is UTF-16, expected UTF-8; save it as UTF-8");
        assert_eq!(parsed.problems.len(), 1);
    }

    #[test]
    fn references_ask_the_process_environment_before_earlier_lines() {
        let process = BTreeMap::from([("A".to_owned(), "env".to_owned())]);
        let parsed = parse(".env", b"A=file\nB=${A}/${C:-d}\nC=late\nD=${C}\n", &process);
        let values: Vec<_> = parsed.lines.iter().filter_map(|l| l.value.as_deref()).collect();
        assert_eq!(values, ["file", "env/d", "late", "late"]);
    }

    #[test]
    fn a_file_that_doubles_itself_is_stopped() {
        let mut text = "K0=xxxxxxxxxxxxxxxx\n".to_owned();
        for n in 1..60 {
            writeln!(text, "K{n}=${{K{m}}}${{K{m}}}", m = n - 1).unwrap();
        }
        assert!(said(&text).iter().any(|p| p.contains("grows over")));
    }

    #[test]
    fn a_line_of_a_private_key_is_not_shown_as_a_key() {
        assert_eq!(nameable("DC3_SSH_HOST"), "DC3_SSH_HOST");
        assert_eq!(nameable("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gt"), "");
        assert_eq!(nameable("QyNTUxOQ+/"), "");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let parsed = parse(".env", &bytes, &BTreeMap::new());
            prop_assert!(std::str::from_utf8(&bytes).is_ok() || !parsed.problems.is_empty());
        }

        #[test]
        fn no_mix_of_special_characters_panics_and_every_line_number_exists(text in "[AB='\"#$ {}:\\\\\n\r\t\u{85}-]{0,60}") {
            let parsed = read(&text);
            let last = u32::try_from(text.replace("\r\n", "\n").replace('\r', "\n").split('\n').count()).unwrap();
            prop_assert!(parsed.lines.iter().all(|line| (1..=last).contains(&line.number)));
            // dotenvy gave back every value, or there would be a problem that says so.
            prop_assert!(parsed.problems.iter().all(|p| !p.what.contains("dotenvy")), "{:?}", parsed.problems);
        }

        #[test]
        fn what_is_quoted_reads_back(value in "[^\r]{0,40}[^\r\\\\]") {
            prop_assume!(!value.contains("${"));
            let text = format!("A='x'\n{}\nB='y'\n", quoted("K", &value));
            let found = pairs(&text);
            prop_assert_eq!(found.len(), 3);
            prop_assert_eq!(&found[1].2, &value);
        }
    }
}
