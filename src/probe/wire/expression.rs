//! A regular expression of an operator's: checked at start, compiled at its first use, shown in a reason.
//!
//! Where one begins and ends within a setting is said by those who read the setting: `dialogue`, and `wants` of `http`.

use std::fmt;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::host::output::one_line;

/// Bytes that one may take when it is compiled: all that people write by hand stay far below.
const SIZE: usize = 1 << 20;
/// Characters shown of one in a reason.
const SHOWN: usize = 60;

/// A regular expression that can be read. An idle target keeps only its text.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// Reads what stands between the slashes.
    pub fn parse(text: &str) -> Result<Self, String> {
        match compiled(text) {
            Ok(_) => Ok(Self { text: text.into(), compiled: OnceLock::new() }),
            Err(regex::Error::CompiledTooBig(_)) => Err("expected a regular expression that is smaller".to_owned()),
            // The library's text repeats the expression and draws arrows below it: its last line says what is wrong.
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let why = one_line(why.as_bytes(), 120);
                Err(format!("expected a regular expression between the slashes: {why}"))
            }
        }
    }

    /// Says whether it matches anywhere.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let compiled = self.compiled.get_or_init(|| compiled(&self.text).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`/{}/`", one_line(self.text.as_bytes(), SHOWN))
    }
}

fn compiled(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE).dfa_size_limit(SIZE).build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_compiled_at_its_first_use_and_not_before() {
        let expression = Expression::parse(r"\w+ \p{Cyrillic}").unwrap();
        assert!(expression.compiled.get().is_none() && expression.clone().compiled.get().is_none());
        assert!(expression.is_in("is ж".as_bytes()) && expression.compiled.get().is_some());
        assert!(size_of::<Expression>() <= 64, "{}", size_of::<Expression>());
    }

    #[test]
    fn one_that_cannot_be_used_is_told_in_one_line() {
        for (text, why) in [
            ("(", "expected a regular expression between the slashes: unclosed group"),
            ("a{1000}{1000}{1000}", "expected a regular expression that is smaller"),
            (r"\w{999}{999}", "expected a regular expression that is smaller"),
            ("(?=a)", "expected a regular expression between the slashes: look-around"),
        ] {
            let told = Expression::parse(text).map(|_| ()).unwrap_err();
            assert!(told.starts_with(why) && !told.contains('\n'), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_expression_and_no_text_panics(odd in "[a-c\\[\\](){}?*+|^$.\\\\0-9]{0,20}", text in any::<Vec<u8>>()) {
            if let Ok(expression) = Expression::parse(&odd) {
                let _ = expression.is_in(&text);
                prop_assert!(!expression.to_string().contains('\n'));
            }
        }
    }
}
