//! Names of sites, servers and pairs, as they are written in `MAPPINGS` and read in logs, messages and the API.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Characters in one name; longer ones would not fit a message line or a file name.
pub const MAX_NAME: usize = 64;

/// Says why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing is left after trimming.
    #[error("a name is empty")]
    Empty,
    /// Longer than [`MAX_NAME`].
    #[error("a name is longer than {MAX_NAME} characters")]
    TooLong,
    /// A character that cannot stand in the name of a configuration key.
    #[error("`{0}` cannot stand in a name; letters, digits and `_` can")]
    Character(char),
}

fn checked(text: &str) -> Result<Arc<str>, BadName> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(BadName::TooLong);
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        Some(c) => Err(BadName::Character(c)),
        None => Ok(text.into()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts letters, digits and `_`, at most [`MAX_NAME`] of them; blanks around are dropped.
            pub fn new(text: &str) -> Result<Self, BadName> {
                checked(text).map(Self)
            }

            /// Gives the name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// A server (SRV): what is probed.
    ServerName
}
name! {
    /// A site (DC): where a remedy runs.
    SiteName
}

/// A pair: one `DC:SRV` of `MAPPINGS`, shown as `DC-SRV`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairName {
    /// Where its remedy runs.
    pub site: SiteName,
    /// What is probed.
    pub server: ServerName,
}

impl PairName {
    /// Joins a site and a server.
    pub fn new(site: SiteName, server: ServerName) -> Self {
        Self { site, server }
    }
}

impl fmt::Display for PairName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.site, self.server)
    }
}

impl std::str::FromStr for PairName {
    type Err = BadName;

    /// Reads `DC:SRV` as well as `DC-SRV`; names hold neither sign, so both are unambiguous.
    fn from_str(text: &str) -> Result<Self, BadName> {
        let (site, server) = text.split_once([':', '-']).ok_or(BadName::Empty)?;
        Ok(Self::new(SiteName::new(site)?, ServerName::new(server)?))
    }
}

impl TryFrom<String> for PairName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<PairName> for String {
    fn from(pair: PairName) -> String {
        pair.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_with_colon_and_dash_and_shown_with_a_dash() {
        for text in ["DC3:SRV4", "DC3-SRV4", " DC3 : SRV4 "] {
            assert_eq!(text.parse::<PairName>().unwrap().to_string(), "DC3-SRV4");
        }
    }

    #[test]
    fn a_bad_name_says_which_character() {
        assert_eq!(ServerName::new("a.b"), Err(BadName::Character('.')));
        assert_eq!(ServerName::new("  "), Err(BadName::Empty));
        assert_eq!(ServerName::new(&"x".repeat(65)), Err(BadName::TooLong));
    }
}
