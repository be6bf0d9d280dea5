//! Masks secrets in texts on their way out: log lines, messages, records. Keeping values out of sight is `secret`'s.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use aho_corasick::AhoCorasick;
use regex::Regex;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Characters of the shortest secret that is masked: a shorter one would mask pieces of ordinary words, and guessing it takes
/// no log.
pub const MIN_SECRET: usize = 4;

/// Characters of the shortest *line* of a many-line secret (a private key) that is masked on its own.
const MIN_LINE: usize = 16;

/// What is masked whatever the configuration says: a bot token, `/bot…/` in a URL, `user:password@` in a URL.
///
/// A token is digits, a colon and 35 characters: <https://core.telegram.org/bots/api#authorizing-your-bot>; some slack on both
/// sides, and the colon may be percent-encoded.
static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = r#"[0-9]{5,}(?::|%3[aA])[A-Za-z0-9_-]{30,}|/bot[0-9]+(?::|%3[aA])[^/\s"'<>\\]*|://[^\s/@:?#"'<>\\]*:[^\s/?#"<>]*@"#;
    #[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
    Regex::new(shapes).expect("a constant pattern")
});

/// The configured secrets do not fit the search automaton.
#[derive(Debug, thiserror::Error)]
#[error("there are too many or too long secrets to mask")]
pub struct TooManySecrets(#[from] aho_corasick::BuildError);

/// Replaces secrets by `***`; plain data, cheap to clone, built anew at a reload.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Option<Arc<AhoCorasick>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(***)")
    }
}

impl Redactor {
    /// Learns the configured secrets, each also in the forms in which other programs print it (JSON, Rust's `Debug`, HTML, URL);
    /// those under [`MIN_SECRET`] characters are left out. Without secrets it still masks tokens and passwords in URLs.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, TooManySecrets> {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            let secret = secret.trim();
            if secret.chars().count() >= MIN_SECRET {
                patterns.extend(forms(secret));
                let lines = secret.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE && *line != secret);
                patterns.extend(lines.flat_map(forms));
            }
        }
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { secrets: Some(Arc::new(AhoCorasick::new(patterns)?)) })
    }

    /// Masks every secret; a text without any comes back as it is, without an allocation.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hits: Vec<Range<usize>> =
            SHAPES.find_iter(text).map(|hit| kept_frame(hit.as_str(), hit.range())).collect();
        if let Some(secrets) = &self.secrets {
            // Overlapping, so that two secrets that share an end are both gone whole.
            hits.extend(secrets.find_overlapping_iter(text).map(|hit| hit.range()));
        }
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        hits.sort_unstable_by_key(|hit| (hit.start, hit.end));
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for hit in hits {
            if hit.start >= done {
                out.push_str(text.get(done..hit.start).unwrap_or_default());
                out.push_str(MASK);
            }
            done = done.max(hit.end);
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// Leaves `/bot`, `://` and `@` to be read, so that a masked URL still looks like one.
fn kept_frame(text: &str, range: Range<usize>) -> Range<usize> {
    let head = ["/bot", "://"].iter().find(|head| text.starts_with(**head)).map_or(0, |head| head.len());
    range.start + head..range.end - usize::from(text.ends_with('@'))
}

/// Gives the forms in which a secret turns up in texts.
fn forms(secret: &str) -> impl Iterator<Item = String> + use<> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let inner = |quoted: &str| quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let url = percent(secret, |_| false);
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    [
        secret.to_owned(),
        inner(&json),
        inner(&json).replace('/', "\\/"),
        ascii_json(&inner(&json)),
        inner(&format!("{secret:?}")),
        html.replace('"', "&quot;"),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&quot;").replace('\'', "&#x27;"),
        html,
        url.replace("%20", "+"),
        lower_hex(&url),
        // In the user part and in the path of a URL fewer characters are encoded.
        percent(secret, |b| b"!$&'()*+,;=".contains(&b)),
        percent(secret, |b| b"!$&'()*+,;=:@/".contains(&b)),
        url,
    ]
    .into_iter()
    .filter(|form| !form.is_empty())
}

/// Writes what is not ASCII as `\uXXXX`, as Python's `json.dumps` does.
fn ascii_json(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn percent(text: &str, also_kept: impl Fn(u8) -> bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also_kept(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Writes the two digits behind each `%` small.
fn lower_hex(url: &str) -> String {
    let mut small = 0_u8;
    url.chars()
        .map(|c| {
            if c == '%' {
                small = 2;
                c
            } else if small > 0 {
                small -= 1;
                c.to_ascii_lowercase()
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";

    fn masked(secrets: &[&str], text: &str) -> String {
        Redactor::new(secrets.iter().copied()).unwrap().mask(text).into_owned()
    }

    #[test]
    fn a_bot_token_is_masked_without_being_configured() {
        let encoded = TOKEN.replace(':', "%3A");
        for (text, expected) in [
            (format!("token {TOKEN}, sent"), "token ***, sent"),
            (format!("https://api.telegram.org/bot{TOKEN}/SendMessage"), "https://api.telegram.org/bot***/SendMessage"),
            (
                format!("http://10.0.0.1:8081/prefix/bot{encoded}/getMe?x=1"),
                "http://10.0.0.1:8081/prefix/bot***/getMe?x=1",
            ),
            (format!("u={encoded}&v"), "u=***&v"),
            ("http://x/bot123:short/getMe".to_owned(), "http://x/bot***/getMe"),
        ] {
            assert_eq!(masked(&[], &text), expected);
        }
    }

    #[test]
    fn a_password_in_a_url_is_masked_and_the_host_stays() {
        for (text, expected) in [
            ("postgres://monitor:pa:ss@db/x", "postgres://***@db/x"),
            ("get https://u:p@ss@host:443/a@b failed", "get https://***@host:443/a@b failed"),
            ("redis://:pw@cache", "redis://***@cache"),
            ("http://host:8080/a@b", "http://host:8080/a@b"),
            ("ssh://root@host", "ssh://root@host"),
            ("12:30:45 - INFO - DC3:SRV4 user@host", "12:30:45 - INFO - DC3:SRV4 user@host"),
        ] {
            assert_eq!(masked(&[], text), expected);
        }
    }

    #[test]
    fn a_secret_is_masked_in_every_form_it_is_printed_in() {
        let secret = "p\"a/s\\s w&ö<'";
        let json = serde_json::to_string(secret).unwrap();
        let forms = [
            secret.to_owned(),
            json.trim_matches('"').to_owned(),
            "p\\\"a\\/s\\\\s w&ö<'".to_owned(),
            "p\\\"a/s\\\\s w&\\u00f6<'".to_owned(),
            format!("{secret:?}"),
            "p%22a%2Fs%5Cs%20w%26%C3%B6%3C%27".to_owned(),
            "p%22a%2fs%5cs%20w%26%c3%b6%3c%27".to_owned(),
            "p%22a%2Fs%5Cs+w%26%C3%B6%3C%27".to_owned(),
            "p&quot;a/s\\s w&amp;ö&lt;'".to_owned(),
        ];
        for form in forms {
            let text = masked(&[secret], &format!("x {form} y"));
            assert_eq!(text.replace('"', ""), "x *** y", "{form}");
        }
    }

    #[test]
    fn secrets_that_overlap_or_hold_each_other_are_gone_whole() {
        assert_eq!(masked(&["abcdef", "defghi"], "<abcdefghi>"), "<***>");
        assert_eq!(masked(&["pass", "password1"], "password1 pass"), "*** ***");
        assert_eq!(masked(&["key"], "a key of three letters"), "a key of three letters");
        assert_eq!(masked(&["line-one-of-the-key\nline-two-of-the-key"], "got line-two-of-the-key"), "got ***");
    }

    #[test]
    fn a_text_with_nothing_to_mask_is_not_copied() {
        let redactor = Redactor::new(["hunter2!"]).unwrap();
        assert!(matches!(redactor.mask("2023-10-15 12:30:45 - INFO - fine"), Cow::Borrowed(_)));
        assert!(matches!(Redactor::default().mask(""), Cow::Borrowed("")));
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_configured_secret_survives(secret in "[!-~]{4,20}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let text = format!("{before}{secret}{after}");
            let out = masked(&[&secret], &text);
            prop_assert!(!out.contains(&secret) || secret.contains('*'), "{}", out);
        }
    }
}
