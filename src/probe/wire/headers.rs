//! Headers and a token of an operator's, as `http` and `ws` send them, and what a server says back of our secrets.
//!
//! What becomes of a user and a password lives in `login`; what a kind adds of its own, with the kind.

use http::header::{self, HeaderName, HeaderValue};

use crate::env::{Redactor, Secret};

/// Headers as an operator wrote them.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// Header lines of one request; servers accept about a hundred.
const LINES: usize = 50;
/// Bytes of one header; servers accept 8 KiB.
const LONGEST: usize = 8 * 1024;
/// Headers that belong to the connection or to the length of the body: a second say in them breaks the request.
const OURS: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Reads `Name: value | Name: value`, or one on each line. The error never repeats the text: it holds secrets.
pub(super) fn read(text: &str) -> Result<Headers, String> {
    let wrong =
        |number: usize, what: &str| format!("expected headers such as `X-Key: abc | X-Two: d`: number {number} {what}");
    let separator = if text.contains('\n') { '\n' } else { '|' };
    let mut found = Headers::new();
    let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
    for (number, item) in (1..).zip(items) {
        let (name, value) = item.split_once(':').ok_or_else(|| wrong(number, "has no colon behind its name"))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let name =
            name.map_err(|_invalid| wrong(number, "has a name with other characters than letters, digits and `-`"))?;
        if let Some(ours) = OURS.iter().find(|ours| **ours == name) {
            return Err(wrong(number, &format!("is `{ours}`, which the probe sets by itself")));
        }
        if name == header::HOST && found.iter().any(|(before, _)| *before == name) {
            return Err(wrong(number, "is a second `host`"));
        }
        let value = value.trim();
        let plain = value.len() <= LONGEST && value.chars().all(|c| c == '\t' || (' '..='~').contains(&c));
        let mut value = HeaderValue::from_str(value)
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| wrong(number, "has a value that is too long or has other characters than those of ASCII"))?;
        value.set_sensitive(true);
        found.push((name, value));
    }
    match found.len() {
        0 => Err("expected headers such as `X-Key: abc | X-Two: d`".to_owned()),
        1..=LINES => Ok(found),
        _ => Err(format!("expected at most {LINES} headers")),
    }
}

/// Reads a token. The error never repeats it.
pub(super) fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("expected a token of ASCII characters without blanks, and without the word `Bearer`".to_owned());
    }
    Ok(Secret::from(text))
}

/// The texts of a header's value that may be secrets: the whole of it, and its words, such as the value of a cookie.
pub(crate) fn words(value: &str) -> impl Iterator<Item = &str> {
    std::iter::once(value).chain(value.split([' ', '\t', ';', ',', '=', '"']).filter(|word| !word.is_empty()))
}

/// Takes secrets of ours out of a text of a server's, which may say back what we sent.
pub(crate) fn masked<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    match Redactor::new(secrets) {
        Ok(redactor) => redactor.mask(text).into_owned(),
        Err(_too_many) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read_from_one_line_or_from_several() {
        let read = |text: &str| {
            let found = super::read(text)?;
            Ok::<_, String>(
                found.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect::<Vec<_>>(),
            )
        };
        assert_eq!(read("X-Key: a:b | Accept:text/html").unwrap(), ["x-key=a:b", "accept=text/html"]);
        assert_eq!(read("X-Key: a|b\nHost: h.test\n\n").unwrap(), ["x-key=a|b", "host=h.test"]);
        assert_eq!(read("X-Key: a|b\n").unwrap(), ["x-key=a|b"]);
        assert_eq!(read("X-Empty:").unwrap(), ["x-empty="]);
        let many = "X: y|".repeat(51);
        for (text, told) in [
            ("", "expected headers such as"),
            ("X-Key: ok | s3cret", "number 2 has no colon"),
            ("s3c ret: x", "number 1 has a name with other characters"),
            ("X: s3cret\u{7f}", "number 1 has a value that is too long or has other characters"),
            ("X: пароль", "number 1 has a value"),
            ("Content-length: 3", "number 1 is `content-length`, which the probe sets by itself"),
            ("A: b|Connection: x", "number 2 is `connection`"),
            ("Host: a|host: b", "number 2 is a second `host`"),
            (many.as_str(), "expected at most 50 headers"),
        ] {
            let error = super::read(text).unwrap_err();
            assert!(error.contains(told) && !error.contains("s3c"), "{text:?} says {error:?}");
        }
    }

    #[test]
    fn a_token_is_read_and_its_error_does_not_show_it() {
        assert_eq!(token(" abc.DEF-_~+/= ").unwrap().expose(), "abc.DEF-_~+/=");
        for bad in ["", "Bearer abc", "a\nb", "тайна"] {
            assert!(!token(bad).unwrap_err().contains("abc"), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn headers_of_any_text_are_refused_or_can_be_sent(text in "\\PC{0,80}", lines in "([!-~]{1,9}: [ -~]{0,9}[\\n|]){0,5}") {
            for text in [text, lines] {
                for (name, value) in read(&text).unwrap_or_default() {
                    prop_assert!(!OURS.contains(&name) && !value.as_bytes().contains(&b'\n') && value.is_sensitive());
                }
            }
        }
    }
}
