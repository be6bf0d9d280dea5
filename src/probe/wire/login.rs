//! Who we are to a target: the user and password of its URL or of its settings, or a token.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::settings::{BEARER_TOKEN, HEADERS, PASSWORD, Settings, USERNAME};

/// A user and a password, as far as there are any.
pub struct Login {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
}

impl Login {
    /// Reads [`USERNAME`] and [`PASSWORD`], or what stands in the URL; each of them in one place only. `None`: a problem was
    /// remembered.
    pub fn read(url: &Url, settings: &Settings<'_>) -> Option<Self> {
        let (user, password) = pair(url, settings)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Some(Self { user: user.map(text), password: password.map(text).map(SecretString::from) })
    }
}

/// A user and a password in bytes: a URL may hold any.
type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

fn pair(url: &Url, settings: &Settings<'_>) -> Option<Pair> {
    let (user, password) = (settings.optional(&USERNAME), settings.optional(&PASSWORD));
    let (user, password) = (user?, password?);
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let in_url = (Some(url.username()).filter(|user| !user.is_empty()).map(decoded), url.password().map(decoded));
    let twice = (user.is_some() && in_url.0.is_some(), password.is_some() && in_url.1.is_some());
    if twice.0 {
        settings.problem(&USERNAME, "is set, and the URL has a user too", "take one of them out");
    }
    if twice.1 {
        settings.problem(&PASSWORD, "is set, and the URL has a password too", "take one of them out");
    }
    let password = password.map(|secret| secret.expose().as_bytes().to_vec());
    (twice == (false, false)).then(|| (user.map(String::into_bytes).or(in_url.0), password.or(in_url.1)))
}

/// Reads the value of the header `Authorization`: a user and a password, or [`BEARER_TOKEN`]; one login, and none beside
/// that of [`HEADERS`]. `None`: a problem was remembered; `Some(None)`: nobody logs in.
pub fn authorization(url: &Url, settings: &Settings<'_>) -> Option<Option<SecretString>> {
    let (pair, user) = (pair(url, settings), settings.optional(&USERNAME));
    let (token, headers) = (settings.optional(&BEARER_TOKEN), settings.optional(&HEADERS));
    let (user, token, headers) = (user?, token?, headers?);
    let mut fits = true;
    if user.is_some_and(|user| user.contains(':')) {
        settings.problem(&USERNAME, "has a colon, which ends the name in basic authentication", "use another user");
        fits = false;
    }
    let in_url = !url.username().is_empty() || url.password().is_some();
    let basic = in_url || settings.has(&USERNAME) || settings.has(&PASSWORD);
    if token.is_some() && basic {
        let what = "is set beside a user or a password, and a request has one login";
        settings.problem(&BEARER_TOKEN, what, "take one of them out");
        fits = false;
    }
    let own = headers.is_some_and(|headers| headers.iter().any(|(name, _)| *name == http::header::AUTHORIZATION));
    if own && (basic || token.is_some()) {
        settings.problem(&HEADERS, "holds Authorization beside another login", "take one of them out");
        fits = false;
    }
    let (user, password) = pair.filter(|_| fits)?;
    if let Some(token) = token {
        return Some(Some(SecretString::from(format!("Bearer {}", token.expose()))));
    }
    if user.is_none() && password.is_none() {
        return Some(None);
    }
    let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
    Some(Some(SecretString::from(format!("Basic {}", BASE64_STANDARD.encode([&user, &b":"[..], &password].concat())))))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn user_and_password_are_decoded_before_they_are_encoded() {
        for (url, expected) in [
            // printf 'bob:p@ss:word' | base64
            ("http://bob:p%40ss%3Aword@h.test/", Some("Basic Ym9iOnBAc3M6d29yZA==")),
            // printf 'bob:\xe9' | base64
            ("ws://bob:%E9@h.test/", Some("Basic Ym9iOuk=")),
            // printf ':x' | base64
            ("ws://:x@h.test/", Some("Basic Ong=")),
            ("http://h.test/", None),
        ] {
            let login = authorization(&url.parse().unwrap(), &Settings::none()).unwrap();
            assert_eq!(login.as_ref().map(ExposeSecret::expose_secret), expected, "{url}");
        }
    }
}
