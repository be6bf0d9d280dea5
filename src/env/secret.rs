//! A text that must not be shown. Masking what slips into other texts lives in `redactor`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A password, token or passphrase: wiped when dropped, with no `Display` and no `Serialize`, and a `Debug` that hides it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text out of sight.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Shows the text to the one call that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl PartialEq for Secret {
    /// Compares for a reload ("did the password change?"); it does not hide its timing, so never check a caller's token with it.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_it_and_a_reload_sees_a_change() {
        let secret = Secret::from("hunter2");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hunter2"));
        assert_eq!(secret, Secret::from("hunter2"));
        assert_ne!(secret, Secret::from("hunter3"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
