//! Where a redirect leads and how one goes on from there. How far they are followed, and what may go along, lives in `mod`.

use http::header::{LOCATION, SET_COOKIE};
use http::response::Parts;
use http::{Method, StatusCode};
use url::Url;

use crate::domain::reading::{Cause, Fault};

/// Takes away what is never sent as part of a URL.
pub(super) fn strip(url: &mut Url) {
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
}

/// Whether two addresses are of one scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    let (a, b) = (a.origin(), b.origin());
    a.is_tuple() && a == b
}

/// The address of a redirect that is to be followed.
pub(super) fn location(head: &Parts) -> Option<String> {
    let location =
        head.headers.get(LOCATION).filter(|_| matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308))?;
    Some(String::from_utf8_lossy(location.as_bytes()).trim().to_owned())
}

/// `name=value` of each cookie that is set.
pub(super) fn cookies(head: &Parts) -> Vec<String> {
    let set = head.headers.get_all(SET_COOKIE).into_iter();
    set.map(|value| String::from_utf8_lossy(value.as_bytes()).split(';').next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// How one goes on after a redirect: <https://fetch.spec.whatwg.org/#http-redirect-fetch>, step 12.
pub(super) fn method(status: StatusCode, method: Method, body: bool) -> (Method, bool) {
    let becomes_get = match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => !matches!(method, Method::GET | Method::HEAD),
        _ => false,
    };
    if becomes_get { (Method::GET, false) } else { (method, body) }
}

/// The address that a redirect leads to.
pub(super) fn next(here: &Url, location: &str) -> Result<Url, Fault> {
    let unreadable = |_| Fault::new(Cause::Redirect, "the redirect's address cannot be read");
    let mut url = here.join(location).map_err(unreadable)?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme: String = url.scheme().chars().take(16).collect();
        return Err(Fault::new(Cause::Redirect, format!("redirected to `{scheme}:`, which is not HTTP")));
    }
    strip(&mut url);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_redirect_the_method_changes_as_in_browsers() {
        for (status, before, after) in [
            (301, Method::POST, (Method::GET, false)),
            (302, Method::POST, (Method::GET, false)),
            (302, Method::PUT, (Method::PUT, true)),
            (303, Method::PUT, (Method::GET, false)),
            (303, Method::HEAD, (Method::HEAD, true)),
            (307, Method::POST, (Method::POST, true)),
            (308, Method::DELETE, (Method::DELETE, true)),
        ] {
            assert_eq!(method(StatusCode::from_u16(status).unwrap(), before, true), after, "{status}");
        }
    }
}
