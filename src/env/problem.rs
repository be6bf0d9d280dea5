//! What is wrong with a configuration, said so that a person can mend it. Finding it lives in the modules beside this one.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::redactor::{MASK, Redactor};

/// Characters of a found value shown to people; the rest is cut.
const SHOWN: usize = 80;

/// Problems written out in one report; a file with more has one cause, and the first lines name it.
const LISTED: usize = 100;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The `.env` file.
    File {
        /// Name as the person gave it, such as `.env`.
        name: Arc<str>,
        /// Line, counted from 1; none when it is about the whole file.
        line: Option<u32>,
    },
    /// The process environment.
    Environment,
    /// Nowhere: the key is not set.
    Unset,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}: "),
            Self::File { name, line: None } => write!(f, "{name}: "),
            Self::Environment => f.write_str("environment: "),
            Self::Unset => Ok(()),
        }
    }
}

/// Whether a problem keeps the agent from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing starts.
    Error,
    /// It starts, and the log says this.
    Warning,
}

/// One thing wrong with the configuration; its text is one line, capped, escaped and free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The whole key, such as `DC3_SSH_HOST`; empty when it is about a line or the file.
    pub key: String,
    /// Whether it keeps the agent from starting.
    pub severity: Severity,
    /// The offending value, `***` for a secret.
    pub found: Option<String>,
    /// What is wrong or what was expected, as a clause.
    pub what: String,
    /// What to do, as a clause.
    pub hint: Option<String>,
}

impl Problem {
    /// Builds an error.
    pub fn error(place: Place, key: &str, what: impl Into<String>) -> Self {
        Self { place, key: shown(key), severity: Severity::Error, found: None, what: what.into(), hint: None }
    }

    /// Builds a warning.
    pub fn warning(place: Place, key: &str, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, key, what) }
    }

    /// Adds the offending value, capped and escaped; the caller masks it if it is a secret.
    #[must_use]
    pub fn found(mut self, value: &str) -> Self {
        self.found = Some(shown(value));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if let Some(found) = &self.found {
            write!(f, "found `{found}`, ")?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Cuts a text from outside to a length for people and escapes what a terminal would obey.
pub fn shown(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN {
            out.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Takes out of a value what may be a secret, before a problem shows it.
pub fn safe<'t>(name: &str, text: &'t str) -> Cow<'t, str> {
    if name.ends_with("URL") || text.contains("://") {
        Cow::Owned(masked_url(text))
    } else {
        Redactor::default().mask(text)
    }
}

/// Shows of a URL that cannot be read its scheme and host at most: the rest may be a password, a token or a command.
fn masked_url(text: &str) -> String {
    let is_scheme = |word: &str| {
        word.len() <= 12 && !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let ends = |c: char| "/?#\\".contains(c) || c.is_whitespace();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        Some(_) => return MASK.to_owned(),
        None => (String::new(), text),
    };
    let (authority, behind) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    // An `@` behind the host may end a password that holds a `/`.
    if behind.contains('@') {
        return format!("{scheme}{MASK}");
    }
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(_, host)| ("***@", host));
    let more = if behind.is_empty() { "" } else { "…" };
    match (scheme.is_empty(), host.split_once(':')) {
        (true, _) if !user.is_empty() => MASK.to_owned(),
        // `exec:./check.sh` and its like; what follows is no port.
        (true, Some((word, port))) if !port.starts_with(|c: char| c.is_ascii_digit()) => {
            if is_scheme(word) {
                format!("{word}:…")
            } else {
                MASK.to_owned()
            }
        }
        _ => format!("{scheme}{user}{host}{more}"),
    }
}

/// Says whether a character turns or hides the text around it: zero width, bidirectional marks, byte order mark, line ends.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Every problem of one configuration, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// Sorts by place and drops what was found twice.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { problems }
    }

    /// Gives what keeps the agent from starting.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| p.severity == Severity::Error)
    }

    /// Gives what it starts with all the same.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|p| p.severity == Severity::Warning)
    }

    /// Says whether nothing may start.
    pub fn is_broken(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Says whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    /// Writes one headline and one line for each problem, errors first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<_> = self.errors().collect();
        if !errors.is_empty() {
            let noun = if errors.len() == 1 { "problem" } else { "problems" };
            let home = home(&errors);
            writeln!(f, "{} {noun} in {home}, nothing was started:", errors.len())?;
            list(f, &errors)?;
        }
        let warnings: Vec<_> = self.warnings().collect();
        if !warnings.is_empty() {
            let noun = if warnings.len() == 1 { "warning" } else { "warnings" };
            writeln!(f, "{} {noun}:", warnings.len())?;
            list(f, &warnings)?;
        }
        Ok(())
    }
}

/// Names the file when every placed problem stands in one.
fn home(problems: &[&Problem]) -> String {
    let mut names = problems.iter().filter_map(|p| match &p.place {
        Place::File { name, .. } => Some(name.as_ref()),
        Place::Environment => Some(""),
        Place::Unset => None,
    });
    match names.next() {
        Some(first) if !first.is_empty() && names.all(|name| name == first) => first.to_owned(),
        _ => "the configuration".to_owned(),
    }
}

fn list(f: &mut fmt::Formatter<'_>, problems: &[&Problem]) -> fmt::Result {
    for problem in problems.iter().take(LISTED) {
        writeln!(f, "  {problem}")?;
    }
    match problems.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(f, "  … and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32) -> Place {
        Place::File { name: ".env".into(), line: Some(line) }
    }

    #[test]
    fn a_problem_is_one_line_with_place_key_found_and_expected() {
        let problem = Problem::error(at(12), "MAX_INTERVAL", "expected a duration such as 30").found("ten");
        assert_eq!(problem.to_string(), ".env:12: MAX_INTERVAL: found `ten`, expected a duration such as 30");
        let problem = Problem::error(Place::Environment, "X", "is not known").hint("remove it");
        assert_eq!(problem.to_string(), "environment: X: is not known; remove it");
    }

    #[test]
    fn what_comes_from_outside_is_escaped_and_capped() {
        let text = Problem::error(at(1), "K", "bad").found("a\u{1b}[2J\nb\u{202e}c").to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\n') && !text.contains('\u{202e}'), "{text:?}");
        assert!(shown(&"x".repeat(9_999)).chars().count() <= SHOWN + 1);
    }

    #[test]
    fn of_a_url_that_cannot_be_read_at_most_scheme_and_host_are_shown() {
        for (text, shown) in [
            ("htps://x.test/?token=s3cret", "htps://x.test…"),
            ("postgres://u@x.test/db?password=s3cret", "postgres://***@x.test…"),
            ("https://s3cret@:8x/", "https://***@:8x…"),
            ("http://bob:s3cret/s3cret@x.test/", "http://***"),
            ("http://x.test:99999/?token=s3cret", "http://x.test:99999…"),
            ("http://x.test/?token=s3cret@s3cret", "http://***"),
            ("exec:./s3cret.sh 's3cret", "exec:…"),
            ("bob:s3cret@host", "***"),
            ("example.org", "example.org"),
            ("example.org:8080/s3cret", "example.org:8080…"),
            ("./look s3cret http://s3cret/", "***"),
        ] {
            assert_eq!(masked_url(text), shown, "{text}");
        }
    }

    #[test]
    fn a_report_counts_sorts_and_says_each_thing_once() {
        let report = Report::new(vec![
            Problem::error(at(9), "B", "late"),
            Problem::warning(at(1), "W", "odd"),
            Problem::error(at(2), "A", "early"),
            Problem::error(at(9), "B", "late"),
        ]);
        assert!(report.is_broken());
        assert_eq!(
            report.to_string(),
            "2 problems in .env, nothing was started:\n  .env:2: A: early\n  .env:9: B: late\n1 warning:\n  .env:1: W: odd\n"
        );
    }

    #[test]
    fn ten_thousand_problems_do_not_flood_the_screen() {
        let many = (0..10_000).map(|n| Problem::error(at(n), "K", "bad")).collect();
        let text = Report::new(many).to_string();
        assert!(text.starts_with("10000 problems in .env"));
        assert!(text.lines().count() <= LISTED + 2 && text.contains("and 9900 more"));
    }
}
