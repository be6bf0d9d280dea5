//! What a body must say as JSON: paths (RFC 9535), alone or compared with a value.

use std::cmp::Ordering;

use serde_json::{Number, Value};
use serde_json_path::JsonPath;

use crate::host::output::one_line;

/// Characters shown of a value or of a path in a reason.
const SHOWN: usize = 60;
/// Brackets within each other in a path.
const DEPTH: usize = 8;

/// One path and what all that it selects must be like.
#[derive(Debug, Clone)]
pub(in crate::probe::http) struct Condition {
    path: JsonPath,
    shown: Box<str>,
    wanted: Option<(Comparison, Value)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    AtMost,
    AtLeast,
    Less,
    More,
}

impl Comparison {
    /// Longer signs before those that they begin with.
    const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::Different),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::More),
    ];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(sign, _)| sign)
    }

    /// Numbers and texts have an order, each among themselves; nothing else is less or more than anything.
    fn holds(self, found: &Value, wanted: &Value) -> bool {
        let order = match (found, wanted) {
            (Value::Number(found), Value::Number(wanted)) => order(found, wanted),
            (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
            (found, wanted) => {
                return (self == Self::Equal && found == wanted) || (self == Self::Different && found != wanted);
            }
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Different => order != Some(Ordering::Equal),
            Self::AtMost => order.is_some_and(Ordering::is_le),
            Self::AtLeast => order.is_some_and(Ordering::is_ge),
            Self::Less => order.is_some_and(Ordering::is_lt),
            Self::More => order.is_some_and(Ordering::is_gt),
        }
    }
}

/// 1 and 1.0 are one number, and large whole ones are told apart.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Reads `$.status == "healthy" && $.queue < 100 && $.leader`.
pub(in crate::probe::http) fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let mut found = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (path, sign) = until(text, |rest| {
            rest.starts_with("&&") || Comparison::ALL.iter().any(|(sign, _)| rest.starts_with(sign))
        });
        let comparison = Comparison::ALL.into_iter().find(|(known, _)| sign.starts_with(known));
        let (wanted, behind) = match comparison {
            None => (None, sign),
            Some((known, comparison)) => {
                let (value, behind) = until(sign.get(known.len()..).unwrap_or_default(), |rest| rest.starts_with("&&"));
                (Some((comparison, literal(value.trim(), known)?)), behind)
            }
        };
        found.push(Condition { path: parsed(path.trim())?, shown: path.trim().into(), wanted });
        rest = behind.strip_prefix("&&");
    }
    Ok(found)
}

/// Splits before the first place outside of brackets and quotes where `ends` holds.
fn until(text: &str, ends: impl Fn(&str) -> bool) -> (&str, &str) {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 && ends(text.get(at..).unwrap_or_default()) => return text.split_at(at),
            (Some(_) | None, _) => {}
        }
    }
    (text, "")
}

fn parsed(path: &str) -> Result<JsonPath, String> {
    if is_deep(path) {
        return Err(format!("expected a JSONPath with at most {DEPTH} brackets within each other"));
    }
    let found = JsonPath::parse(path).map_err(|error| {
        if !path.starts_with('$') {
            let path = one_line(path.as_bytes(), SHOWN);
            return format!("expected a JSONPath such as `$.status`: `{path}` is none, a path begins with `$`");
        }
        if !until(path, |rest| rest.starts_with('=')).1.is_empty() {
            return "expected a comparison such as `$.status == \"healthy\"`: write `==`, not `=`".to_owned();
        }
        // They would compile an expression for every value of a body, so the library is built without them.
        if ["match", "search"].iter().any(|name| calls(path, name)) {
            return "expected a JSONPath without `match()` and `search()`; use KEYWORD for expressions".to_owned();
        }
        let path = one_line(path.as_bytes(), SHOWN);
        format!("expected a JSONPath such as `$.status == \"healthy\"`: `{path}` cannot be read: {error}")
    })?;
    if is_endless(path) {
        return Err(
            "expected a path with one `..` at most, and with `$` at its beginning only: others walk through a \
                    large body once for each of its values"
                .to_owned(),
        );
    }
    Ok(found)
}

fn calls(path: &str, function: &str) -> bool {
    path.split(function).skip(1).any(|behind| behind.starts_with('('))
}

/// Whether a path has more brackets within each other than [`DEPTH`]: the library's reader goes back at each of them.
fn is_deep(path: &str) -> bool {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in path.chars() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > DEPTH
}

/// Whether a path may take minutes for a large body, while nothing else is done.
fn is_endless(path: &str) -> bool {
    let (mut walks, mut starts, mut quote, mut last) = (0, 0, None, ' ');
    let mut escaped = false;
    for c in path.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '.') if last == '.' => walks += 1,
            (None, '$') => starts += 1,
            (Some(_) | None, _) => {}
        }
        last = c;
    }
    walks > 1 || starts > 1
}

/// Any JSON value, and a text in single quotes, as `JSONPath` has them.
fn literal(text: &str, sign: &str) -> Result<Value, String> {
    if let Some(text) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''))
        && !text.contains(['\'', '\\'])
    {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text)
        .map_err(|_| format!("expected a JSON value behind `{sign}`, such as \"text\" (in quotes), 100, true or null"))
}

/// What is wrong with a body.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::probe::http) enum Unmet {
    /// In our own words.
    Plain(String),
    /// With a value of the server's between our words: whole, and as it came.
    Found(String, String, String),
}

impl Unmet {
    /// Says it in one line; `hide` takes secrets out of what is the server's.
    pub(in crate::probe::http) fn told(self, hide: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::Plain(text) => text,
            // Hidden before it is cut: half a secret is one too.
            Self::Found(before, found, behind) => {
                format!("{before}{}{behind}", one_line(hide(&found).as_bytes(), SHOWN))
            }
        }
    }
}

impl Condition {
    /// Says what is wrong with a body.
    pub(in crate::probe::http) fn check(&self, body: &Value) -> Result<(), Unmet> {
        let path = one_line(self.shown.as_bytes(), SHOWN);
        let selected = self.path.query(body);
        let Some((comparison, wanted)) = &self.wanted else {
            let nothing = || Unmet::Plain(format!("{path} selects nothing"));
            return if selected.is_empty() { Err(nothing()) } else { Ok(()) };
        };
        let sign = comparison.sign();
        let shown = one_line(wanted.to_string().as_bytes(), SHOWN);
        if selected.is_empty() {
            return Err(Unmet::Plain(format!("{path} selects nothing, wanted {sign} {shown}")));
        }
        match selected.iter().find(|found| !comparison.holds(found, wanted)) {
            None => Ok(()),
            Some(found) => {
                Err(Unmet::Found(format!("{path} is "), found.to_string(), format!(", wanted {sign} {shown}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(text: &str, body: &Value) -> Result<(), String> {
        let conditions = conditions(text).unwrap();
        conditions.iter().try_for_each(|one| one.check(body)).map_err(|unmet| unmet.told(&str::to_owned))
    }

    #[test]
    fn conditions_hold_or_say_what_is_there_instead() {
        let body = json!({
            "status": "healthy", "queue": 7, "load": 0.5, "one": 1.0, "big": 9_007_199_254_740_993_u64, "none": null,
            "a && b": true, "list": [{"up": true, "n": 1}, {"up": true, "n": 2}], "empty": []
        });
        for good in [
            "$.status == \"healthy\"",
            "$.status=='healthy'",
            "$['status'] != \"x == y && z\"",
            "$.queue < 100 && $.load >= 0.5 && $.one == 1 && $.queue <= 7 && $.queue > 6",
            "$.big > 9007199254740992",
            "$.status >= \"health\"",
            "$['a && b'] == true",
            "$.none == null && $.none",
            "$.list[*].up == true",
            "$.list[?@.n > 1 && @.up == true].n == 2",
            "$.list[0] == {\"n\": 1, \"up\": true}",
            "$.empty == [] && $.list",
            "$..up == true && $..['n'] >= 1 && $.list[?@.n != '$..$..']",
        ] {
            assert_eq!(check(good, &body), Ok(()), "{good}");
        }
        for (bad, told) in [
            ("$.status == \"sick\"", "$.status is \"healthy\", wanted == \"sick\""),
            ("$.gone", "$.gone selects nothing"),
            ("$.gone != 1", "$.gone selects nothing, wanted != 1"),
            ("$.list[*].n < 2", "$.list[*].n is 2, wanted < 2"),
            ("$.queue < \"100\"", "$.queue is 7, wanted < \"100\""),
            ("$.status && $.queue == '7'", "$.queue is 7, wanted == \"7\""),
            ("$.none > 0", "$.none is null, wanted > 0"),
            ("$.big == 9007199254740992", "$.big is 9007199254740993, wanted == 9007199254740992"),
            ("$.list[?@.n > 5]", "$.list[?@.n > 5] selects nothing"),
        ] {
            assert_eq!(check(bad, &body), Err(told.to_owned()));
        }
        let long = json!({ "status": format!("\u{1b}[31m{}", "x".repeat(500)) });
        let told = check("$.status == 1", &long).unwrap_err();
        assert!(told.len() < 200 && !told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn a_condition_that_cannot_be_read_says_what_to_write() {
        for (text, told) in [
            ("", "expected a JSONPath such as"),
            ("status == 1", "`status` is none, a path begins with `$`"),
            ("$.a ==", "expected a JSON value behind `==`"),
            ("$.a == healthy", "expected a JSON value behind `==`"),
            ("$.a = 1", "write `==`, not `=`"),
            ("$.a == 1 &&", "`` is none, a path begins with `$`"),
            ("$.a == 1 || $.b", "expected a JSON value behind `==`"),
            ("$..a[?@..b]", "expected a path with one `..` at most"),
            ("$.a[?@.b == $.c]", "and with `$` at its beginning only"),
            ("$[?match(@.a, 'x')]", "without `match()` and `search()`; use KEYWORD"),
            ("$[?@.b == 1 && search(@.a, '(x+)+y')].c == 1", "without `match()` and `search()`; use KEYWORD"),
            ("$[?((((((((@.a))))))))]", "at most 8 brackets within each other"),
            ("$.a < 1 < 2", "expected a JSON value behind `<`"),
        ] {
            let error = conditions(text).unwrap_err();
            assert!(error.contains(told), "{text:?} says {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_grammar(text in "\\PC{0,40}", odd in "[$.a\\[\\]'\"\\\\=!<>& ?@()*1]{0,30}") {
            let _ = (conditions(&text), conditions(&odd));
        }
    }
}
