//! Who we say we are: a user and a password from the URL or the settings, or a token. It goes to the URL's origin alone.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::keys::{BEARER_TOKEN, HEADERS};
use crate::probe::wire::settings::{PASSWORD, Settings, USERNAME};

/// Reads the value of `Authorization`. `None`: a problem was remembered; `Some(None)`: nobody logs in.
#[expect(clippy::option_option, reason = "`?` takes the outer one: a problem is not an absence")]
pub(super) fn read(url: &Url, settings: &Settings<'_>) -> Option<Option<SecretString>> {
    let (user, password) = (settings.optional(&USERNAME), settings.optional(&PASSWORD));
    let (token, headers) = (settings.optional(&BEARER_TOKEN), settings.optional(&HEADERS));
    let (user, password, token, headers) = (user?, password?, token?, headers?);
    let mut fits = true;
    if user.is_some() && !url.username().is_empty() {
        settings.problem(&USERNAME, "is set, and the URL has a user too", "take one of them out");
        fits = false;
    }
    if password.is_some() && url.password().is_some() {
        settings.problem(&PASSWORD, "is set, and the URL has a password too", "take one of them out");
        fits = false;
    }
    if user.as_deref().is_some_and(|user| user.contains(':')) {
        settings.problem(&USERNAME, "has a colon, which ends the name in basic authentication", "use another user");
        fits = false;
    }
    let basic = user.is_some() || password.is_some() || !url.username().is_empty() || url.password().is_some();
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
    if !fits {
        return None;
    }
    if let Some(token) = token {
        return Some(Some(SecretString::from(format!("Bearer {}", token.expose()))));
    }
    if !basic {
        return Some(None);
    }
    let user = user.map_or_else(|| percent_decode_str(url.username()).collect(), String::into_bytes);
    let password = password.map_or_else(
        || percent_decode_str(url.password().unwrap_or_default()).collect(),
        |password| password.expose().as_bytes().to_vec(),
    );
    Some(Some(SecretString::from(format!("Basic {}", BASE64_STANDARD.encode([&user, &b":"[..], &password].concat())))))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn user_and_password_are_decoded_before_they_are_encoded() {
        let login = |url: &str| {
            let login = read(&url.parse().unwrap(), &Settings::none()).unwrap();
            login.map(|login| login.expose_secret().to_owned())
        };
        // printf 'bob:p@ss:word' | base64
        assert_eq!(login("http://bob:p%40ss%3Aword@h.test/").unwrap(), "Basic Ym9iOnBAc3M6d29yZA==");
        assert_eq!(login("http://h.test/"), None);
    }
}
