//! Who we are to a target: the user and password of its URL or of its settings.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::settings::{PASSWORD, Settings, USERNAME};

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
        let (user, password) = (settings.optional(&USERNAME), settings.optional(&PASSWORD));
        let (user, password) = (user?, password?);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let in_url = Some(decoded(url.username())).filter(|user| !user.is_empty());
        if user.is_some() && in_url.is_some() {
            settings.problem(&USERNAME, "is set, and the URL names a user too", "remove one of them");
            return None;
        }
        if password.is_some() && url.password().is_some() {
            settings.problem(&PASSWORD, "is set, and the URL holds a password too", "remove one of them");
            return None;
        }
        let password = password.map(|secret| secret.expose().to_owned()).or(url.password().map(decoded));
        Some(Self { user: user.or(in_url), password: password.map(SecretString::from) })
    }
}
