//! What every key was set to, as marks that tell two values apart and hold none: a reload says by them what changed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use crate::env::{Secret, Setting};

/// The same for the whole process, and for no other one: a mark says nothing about a secret.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A mark for every key that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<Box<str>, u64>);

impl Marks {
    /// Marks what was read.
    pub fn of(settings: &[Setting]) -> Self {
        let mark = |setting: &Setting| {
            let whole = setting.hidden.as_ref().map_or(setting.value.as_str(), Secret::expose);
            (setting.key.as_str().into(), HASHER.hash_one(whole))
        };
        Self(settings.iter().map(mark).collect())
    }

    /// Keeps the marks of some keys.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(key, _)| keep(key)).map(|(key, mark)| (key.clone(), *mark)).collect())
    }

    /// Keys whose value is another one there, or that only one of both has, in order.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let gone = self.0.keys().filter(|key| !other.0.contains_key(*key));
        let differ = other.0.iter().filter(|(key, mark)| self.0.get(*key) != Some(mark)).map(|(key, _)| key);
        let mut keys: Vec<String> = gone.chain(differ).map(ToString::to_string).collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, good};

    #[test]
    fn keys_that_changed_came_or_went_are_named_and_secrets_are_among_them() {
        let marks = |text: &str| good(text).marks;
        let before = marks(&format!("{LEAST}DC3_SSH_PORT=2222\nSRV4_INTERVAL=60\n"));
        assert!(before.changed(&before.clone()).is_empty());
        // A port that is set to its default is what it was.
        let after = LEAST.replace("hunter22", "hunter33").replace("http://srv4", "http://user:secret@srv4");
        let after = marks(&format!("{after}DC3_COMMAND_2=two\nDC3_COMMAND=one\nLOG_LEVEL=info\n"));
        let expected =
            ["DC3_COMMAND", "DC3_COMMAND_2", "DC3_SSH_PASSWORD", "DC3_SSH_PORT", "SRV4_INTERVAL", "SRV4_URL"];
        assert_eq!(before.changed(&after), expected);
        let other = LEAST.replace("hunter22", "hunter33").replace("http://srv4", "http://user:5ecret@srv4");
        let other = marks(&format!("{other}DC3_COMMAND_2=two\nDC3_COMMAND=one\n"));
        assert_eq!(after.changed(&other), ["SRV4_URL"], "a password that is shown nowhere");
        assert!(
            after.only(|key| key.starts_with("LOG_")).changed(&other.only(|key| key.starts_with("LOG_"))).is_empty()
        );
        assert!(!format!("{after:?}").contains("hunter"));
    }
}
