//! Cookies between the redirects of one attempt: some sites redirect until the cookie they set comes back.
//!
//! They live as long as the attempt and go back to the host that set them, to no other and never from https to http.

use url::Url;

/// Cookies kept; a chain of ten redirects needs a few.
const COOKIES: usize = 20;
/// Bytes of one cookie: what browsers keep, RFC 6265 section 6.1.
const LONGEST: usize = 4096;

/// The cookies of one attempt.
#[derive(Debug, Default)]
pub(super) struct Jar {
    kept: Vec<Cookie>,
}

#[derive(Debug)]
struct Cookie {
    scheme: String,
    host: String,
    pair: String,
}

impl Jar {
    /// Keeps each `name=value` that `from` has set; a later one of the same name replaces the earlier.
    pub(super) fn keep(&mut self, from: &Url, pairs: &[String]) {
        for pair in pairs {
            let Some((name, _)) = pair.split_once('=') else { continue };
            if name.is_empty() || pair.len() > LONGEST || pair.contains(|c: char| c.is_ascii_control()) {
                continue;
            }
            let host = from.host_str().unwrap_or_default();
            self.kept.retain(|cookie| cookie.host != host || cookie.pair.split('=').next() != Some(name));
            if self.kept.len() < COOKIES {
                self.kept.push(Cookie { scheme: from.scheme().to_owned(), host: host.to_owned(), pair: pair.clone() });
            }
        }
    }

    /// The value of the `Cookie` header for `to`; empty where there is none.
    pub(super) fn header(&self, to: &Url) -> String {
        let fits = |cookie: &&Cookie| {
            Some(cookie.host.as_str()) == to.host_str() && (cookie.scheme == "http" || to.scheme() == "https")
        };
        self.kept.iter().filter(fits).map(|cookie| cookie.pair.as_str()).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_back_to_its_host_only_and_never_down_to_http() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let mut jar = Jar::default();
        jar.keep(&url("https://a.test/x"), &["s=1".into(), "bad".into(), "=x".into()]);
        jar.keep(&url("https://a.test/y"), &["s=2".into(), "t=3".into()]);
        assert_eq!(jar.header(&url("https://a.test/z")), "s=2; t=3");
        assert_eq!(jar.header(&url("http://a.test/z")), "");
        assert_eq!(jar.header(&url("https://b.test/z")), "");
    }
}
