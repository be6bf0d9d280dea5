//! `${NAME}` and `${NAME:-default}` inside a value, exactly as python-dotenv expands them; every other `$` stays a `$`.

use std::borrow::Cow;

/// Bytes one value may grow to: the longest argument Linux passes to a command (`MAX_ARG_STRLEN`, 32 pages).
pub const MAX_VALUE: usize = 128 * 1024;

/// A value grew over [`MAX_VALUE`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value grows over {MAX_VALUE} bytes when its `${{NAME}}` are filled in")]
pub struct TooLong;

/// Fills in every reference; names that are set nowhere and have no default become nothing and are listed in `missing`.
pub fn expand<'v>(
    value: &'v str,
    lookup: impl Fn(&str) -> Option<&'v str>,
    missing: &mut Vec<String>,
) -> Result<Cow<'v, str>, TooLong> {
    if !value.contains("${") {
        return Ok(Cow::Borrowed(value));
    }
    let (mut out, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        if let Some((name, default, tail)) = reference(after) {
            match lookup(name).or(default) {
                Some(text) => out.push_str(text),
                None => missing.push(name.to_owned()),
            }
            rest = tail;
        } else {
            // Not a reference: the two characters stay, and another may begin right behind them.
            out.push_str("${");
            rest = after;
        }
        if out.len() > MAX_VALUE {
            return Err(TooLong);
        }
    }
    out.push_str(rest);
    if out.len() > MAX_VALUE { Err(TooLong) } else { Ok(Cow::Owned(out)) }
}

/// Splits `NAME}tail` or `NAME:-default}tail`.
fn reference(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.find(['}', ':'])?;
    let (name, tail) = text.split_at_checked(end)?;
    if let Some(tail) = tail.strip_prefix('}') {
        return Some((name, None, tail));
    }
    let (default, tail) = tail.strip_prefix(":-")?.split_once('}')?;
    Some((name, Some(default), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> (String, Vec<String>) {
        let mut missing = Vec::new();
        let text = expand(value, |name| (name == "A").then_some("zz"), &mut missing).unwrap().into_owned();
        (text, missing)
    }

    #[test]
    fn only_braces_are_expanded_and_what_is_set_nowhere_is_named() {
        for (value, expected) in [
            ("pa$A", "pa$A"),
            ("pa${A}x", "pazzx"),
            ("${NOPE:-d}", "d"),
            ("${A:-d}", "zz"),
            ("${A", "${A"),
            ("${A:x}", "${A:x}"),
            ("${A:x${A}", "${A:xzz"),
            ("$${A}", "$zz"),
            ("$(date)", "$(date)"),
        ] {
            assert_eq!(with(value), (expected.to_owned(), vec![]), "{value}");
        }
        assert_eq!(with("a${NOPE}b"), ("ab".to_owned(), vec!["NOPE".to_owned()]));
    }

    #[test]
    fn a_value_that_doubles_itself_is_refused() {
        let long = "x".repeat(MAX_VALUE / 2 + 1);
        let mut missing = Vec::new();
        assert_eq!(expand("${A}${A}", |_| Some(long.as_str()), &mut missing), Err(TooLong));
    }
}
