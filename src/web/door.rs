//! Who may come in by the port: what is open to everybody, what wants the token, and what is refused before it is looked at.
//!
//! A right token is never refused for the sake of wrong ones: behind a reverse proxy or a NAT they come from one address, and
//! a report that is not heard looks like silence. So only those that are wrong are limited.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::{Extension, Request, State as Given};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Asker, Problem};
use crate::env::Secret;

/// Wrong tokens of one address in a minute; more are not even said to be wrong.
const WRONG_IN_A_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Addresses that are remembered; beyond that the oldest are forgotten, and new ones wait.
const MOST_ADDRESSES: usize = 10_000;

/// What is below this path names itself by a token of its own.
const PUSH: &str = "/api/push/";

/// What everybody may ask, with or without a last slash.
const OPEN: [&str; 6] =
    ["/api/health", "/api/health/", "/api/health/live", "/api/health/live/", "/api/health/ready", "/api/health/ready/"];

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The door of the port.
pub struct Door {
    token: [u8; 32],
    wrong: DefaultKeyedRateLimiter<IpAddr>,
    rejected: AtomicU64,
}

impl Door {
    /// A door that this token opens.
    pub fn new(token: &Secret) -> Self {
        Self {
            token: hash(token.expose()),
            wrong: RateLimiter::keyed(Quota::per_minute(WRONG_IN_A_MINUTE)),
            rejected: AtomicU64::new(0),
        }
    }

    fn opens(&self, request: &Request) -> Option<bool> {
        let said = request.headers().get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
        let (scheme, token) = said.split_once(' ').unwrap_or_default();
        // Hashes, so that not even the length can be timed.
        let same = bool::from(hash(token.trim()).ct_eq(&self.token));
        Some(scheme.eq_ignore_ascii_case("bearer") && same)
    }

    /// Counts a wrong token; gives the answer to one too many.
    fn strike(&self, Peer(ip): Peer) -> Option<Problem> {
        if self.wrong.len() > MOST_ADDRESSES {
            self.wrong.retain_recent();
        }
        let fits = self.wrong.len() <= MOST_ADDRESSES && self.wrong.check_key(&network(ip)).is_ok();
        (!fits).then(|| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a minute"))
    }
}

/// What a connection showed so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown(Arc<AtomicBool>);

impl Shown {
    /// True once a request on it had a token that is right.
    pub(super) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn a_token(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets in, or refuses.
pub(super) async fn admit(
    Given(door): Given<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    Extension(shown): Extension<Shown>,
    mut request: Request,
    next: Next,
) -> Response {
    if is_of_another_site(&request) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "orders are not taken from other web sites");
        return careful(problem.into_response());
    }
    let (path, opens) = (request.uri().path(), door.opens(&request));
    let (push, open) = (path.starts_with(PUSH), OPEN.contains(&path));
    if !push && (opens == Some(false) || (opens.is_none() && !open)) {
        let strike = opens.and_then(|_| door.strike(peer));
        return careful(strike.unwrap_or_else(locked).into_response());
    }
    let asker = if opens == Some(true) { Asker::Owner } else { Asker::Stranger };
    if asker == Asker::Owner {
        shown.a_token();
    }
    request.extensions_mut().insert(asker);
    let response = next.run(request).await;
    if push && response.status().is_success() {
        shown.a_token();
    }
    if push && response.status() == StatusCode::NOT_FOUND {
        let rejected = door.rejected.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::debug!(from = %peer.0, rejected, "a report with an unknown token was rejected");
        if let Some(strike) = door.strike(peer) {
            return careful(strike.into_response());
        }
    }
    careful(response)
}

fn locked() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "this needs the token: send `Authorization: Bearer` and API_TOKEN")
}

/// True for an order that a browser sends on behalf of another site; one that does not order anything does no harm, and its
/// answer is not shown to that site.
fn is_of_another_site(request: &Request) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let named = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if named("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let own = named("host");
    named("origin").is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != own)
}

/// What no browser and no proxy should do with an answer.
fn careful(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status();
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"monitor\""));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// An address as its owner has it: of IPv6 everybody has at least a whole /64.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn request(method: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = axum::http::Request::builder().method(method).uri("/api/status");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn only_the_whole_token_opens() {
        let door = Door::new(&Secret::from(TOKEN));
        for (said, opens) in [
            (format!("Bearer {TOKEN}"), true),
            (format!("bearer  {TOKEN} "), true),
            (format!("Basic {TOKEN}"), false),
            (format!("Bearer {TOKEN}0"), false),
            ("Bearer 0123456789abcde".to_owned(), false),
            ("Bearer ".to_owned(), false),
            (TOKEN.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(door.opens(&request("GET", &[("authorization", &said)])), Some(opens), "{said:?}");
        }
        assert_eq!(door.opens(&request("GET", &[])), None);
    }

    #[test]
    fn orders_of_other_sites_are_told_apart() {
        for (method, headers, other) in [
            ("POST", vec![("host", "m.test:8080")], false),
            ("POST", vec![("host", "m.test:8080"), ("origin", "http://m.test:8080")], false),
            ("POST", vec![("host", "m.test:8080"), ("origin", "http://evil.test")], true),
            ("POST", vec![("host", "m.test:8080"), ("origin", "http://m.test")], true),
            ("POST", vec![("host", "m.test"), ("origin", "null")], true),
            ("POST", vec![("origin", "http://m.test")], true),
            ("POST", vec![("sec-fetch-site", "cross-site")], true),
            ("POST", vec![("sec-fetch-site", "same-origin")], false),
            ("DELETE", vec![("host", "m.test"), ("origin", "http://evil.test")], true),
            ("GET", vec![("host", "m.test"), ("origin", "http://evil.test")], false),
        ] {
            assert_eq!(is_of_another_site(&request(method, &headers)), other, "{method} {headers:?}");
        }
    }

    #[test]
    fn wrong_tokens_are_limited_for_each_network_and_remembered_for_a_bounded_number() {
        let door = Door::new(&Secret::from(TOKEN));
        let strikes = |ip: &str| door.strike(Peer(ip.parse().unwrap())).is_some();
        let limit = usize::try_from(WRONG_IN_A_MINUTE.get()).unwrap();
        let free = (0..limit * 2).filter(|n| !strikes(&format!("2001:db8::{n:x}"))).count();
        assert!((limit..limit + 2).contains(&free), "{free}");
        assert!(!strikes("2001:db8:0:1::1") && !strikes("192.0.2.1"));
        assert!((0..=65).all(|a| (0..=255).all(|b| !strikes(&format!("10.0.{a}.{b}")) || door.wrong.len() > 10_000)));
        assert!(door.wrong.len() <= MOST_ADDRESSES + 1);
    }
}
