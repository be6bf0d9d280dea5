//! What is asked: the method, our headers and those of the operator, the body. Who we say we are lives in `wire`.

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body_util::Full;
use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};
use url::{Position, Url};

use super::keys::{BODY, METHOD};
use crate::domain::reading::{Cause, Fault};
use crate::fetch;
use crate::probe::wire::settings::{HEADERS, Settings};
use crate::probe::wire::{Headers, words};

/// What is asked of a target, beside its URL.
pub(super) struct Asks {
    pub(super) method: Method,
    headers: Headers,
    body: Bytes,
}

/// One request of an attempt.
pub(super) struct Hop<'a> {
    pub(super) url: &'a Url,
    pub(super) method: Method,
    /// Whether the body goes with it; after some redirects it does not.
    pub(super) body: bool,
    /// Whether this is the origin of the target's URL: only there go the login, the headers and the body.
    pub(super) home: bool,
    pub(super) cookie: String,
}

impl Asks {
    /// Reads the settings that say it.
    pub(super) fn read(settings: &Settings<'_>) -> Option<Self> {
        let (method, headers, body) =
            (settings.optional(&METHOD), settings.optional(&HEADERS), settings.optional(&BODY));
        let (method, headers, body) = (method?, headers?.unwrap_or_default(), body?.unwrap_or_default());
        let method = method.unwrap_or(if body.is_empty() { Method::GET } else { Method::POST });
        if matches!(method, Method::PUT | Method::PATCH | Method::DELETE) {
            let what = format!("{method} changes things, and it is sent at every attempt of every check");
            settings.warn(&METHOD, what, "make sure that it may be repeated for ever, or ask with GET or HEAD");
        }
        Some(Self { method, headers, body: Bytes::from(body) })
    }

    /// Whether this is a GET and nothing more.
    pub(super) fn are_usual(&self) -> bool {
        self.method == Method::GET && self.headers.is_empty() && self.body.is_empty()
    }

    /// Whether this is a HEAD and nothing more.
    pub(super) fn is_bare_head(&self) -> bool {
        self.method == Method::HEAD && self.headers.is_empty() && self.body.is_empty()
    }

    /// Whether the operator's own headers say who we are.
    pub(super) fn log_in(&self) -> bool {
        self.headers.iter().any(|(name, _)| *name == AUTHORIZATION)
    }

    /// Every text of our headers that may be a secret.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().filter_map(|(_, value)| value.to_str().ok()).flat_map(words)
    }

    /// Whether the operator asks for a packed body, which is not unpacked here.
    pub(super) fn ask_for_packed(&self) -> bool {
        let mut asked = self.headers.iter().filter(|(name, _)| *name == ACCEPT_ENCODING);
        asked.any(|(_, value)| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    }

    /// Whether a request may go to another origin than the target's: one that changes things or carries a body may not.
    pub(super) fn may_leave(hop: &Hop<'_>) -> bool {
        !hop.body && matches!(hop.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether there is a body to send.
    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Builds one request. A URL from the `url` crate holds no blank and no line end, so nothing can be smuggled in.
    pub(super) fn request(
        &self,
        hop: &Hop<'_>,
        login: Option<&SecretString>,
        version: Version,
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let bad =
            || Fault::new(Cause::Redirect, "the address cannot be asked for: it is too long or has odd characters");
        let url = hop.url;
        let mut headers = HeaderMap::with_capacity(8);
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| bad())?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(fetch::USER_AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if version != Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if hop.home {
            if hop.body && self.is_json() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            if let Some(login) = login {
                let mut value = HeaderValue::from_str(login.expose_secret()).map_err(|_| bad())?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            self.add_own(&mut headers);
        }
        add_cookie(&mut headers, &hop.cookie);
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let uri = if version == Version::HTTP_2 {
            // There the host stands in the address, and the header would say it twice.
            let host = headers.remove(HOST).ok_or_else(bad)?;
            Uri::builder().scheme(url.scheme()).authority(host.as_bytes()).path_and_query(path).build()
        } else {
            Uri::try_from(path).map_err(Into::into)
        };
        let body = if hop.body && hop.home { self.body.clone() } else { Bytes::new() };
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = uri.map_err(|_| bad())?;
        *request.method_mut() = hop.method.clone();
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The operator's headers take the place of ours, and stand beside each other.
    fn add_own(&self, headers: &mut HeaderMap) {
        for (name, _) in &self.headers {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
    }

    fn is_json(&self) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_ok()
    }
}

/// Whether an address of the web can be written into a request.
pub(super) fn is_askable(url: &Url) -> bool {
    Uri::try_from(&url[Position::BeforePath..Position::AfterQuery]).is_ok()
}

/// Cookies that redirects set stand behind those of the operator, in one header.
fn add_cookie(headers: &mut HeaderMap, cookie: &str) {
    if cookie.is_empty() {
        return;
    }
    let before = headers.remove(COOKIE);
    let joined = match before.as_ref().and_then(|before| before.to_str().ok()) {
        Some(before) => format!("{before}; {cookie}"),
        None => cookie.to_owned(),
    };
    // A cookie of the server's that cannot be sent back is not sent back.
    if let Some(value) = HeaderValue::from_str(&joined).ok().or(before) {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asks(headers: &[(&'static str, &'static str)], body: &'static str) -> Asks {
        let header =
            |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), HeaderValue::from_static(value));
        Asks {
            method: Method::POST,
            headers: headers.iter().map(header).collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn hop<'a>(url: &'a Url, home: bool, cookie: &str) -> Hop<'a> {
        Hop { url, method: Method::POST, body: home, home, cookie: cookie.to_owned() }
    }

    #[test]
    fn the_host_has_its_port_only_where_it_is_not_the_usual_one() {
        for (url, host, path) in [
            ("http://h.test", "h.test", "/"),
            ("http://h.test:80/a?b=c#d", "h.test", "/a?b=c"),
            ("https://h.test:8443/ä b", "h.test:8443", "/%C3%A4%20b"),
            ("http://[::1]:81/", "[::1]:81", "/"),
            ("http://пример.испытание/", "xn--e1afmkfd.xn--80akhbyknj4f", "/"),
        ] {
            let url = url.parse().unwrap();
            let request = asks(&[], "").request(&hop(&url, true, ""), None, Version::HTTP_11).unwrap();
            assert_eq!((request.headers()["host"].to_str().unwrap(), request.uri().to_string().as_str()), (host, path));
            let request = asks(&[], "").request(&hop(&url, true, ""), None, Version::HTTP_2).unwrap();
            assert!(!request.headers().contains_key("host") && !request.headers().contains_key("connection"));
            assert_eq!(request.uri().to_string(), format!("{}://{host}{path}", url.scheme()));
        }
    }

    #[test]
    fn what_is_the_operators_takes_the_place_of_ours_and_stays_at_home() {
        let asks =
            asks(&[("user-agent", "mine"), ("cookie", "a=1"), ("x", "1"), ("x", "2"), ("host", "v.test")], "[1]");
        let (url, login) = ("http://h.test/".parse().unwrap(), SecretString::from("Bearer s3cret"));
        let sent = |hop: &Hop<'_>| {
            let request = asks.request(hop, Some(&login), Version::HTTP_11).unwrap();
            let mut lines: Vec<String> =
                request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            lines.sort();
            assert!(!format!("{request:?}").contains("s3cret"), "a request shows no login");
            lines.join("\n")
        };
        assert_eq!(
            sent(&hop(&url, true, "b=2")),
            "accept: */*\nauthorization: Bearer s3cret\nconnection: close\ncontent-type: application/json\n\
             cookie: a=1; b=2\nhost: v.test\nuser-agent: mine\nx: 1\nx: 2"
        );
        assert_eq!(
            sent(&hop(&url, false, "b=2")),
            format!("accept: */*\nconnection: close\ncookie: b=2\nhost: h.test\nuser-agent: {}", fetch::USER_AGENT)
        );
    }

    proptest! {
        #[test]
        fn every_path_of_a_url_can_be_asked_for(path in "[ -~]{0,60}", wide in "\\PC{0,30}") {
            for path in [path, wide] {
                if let Ok(url) = Url::parse(&format!("http://h.test/{path}")) {
                    prop_assert!(is_askable(&url), "{}", url);
                }
            }
        }
    }
}
