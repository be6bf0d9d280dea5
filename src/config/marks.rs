//! What every key was set to, as marks that tell two values apart and hold none: a reload says by them what changed, and
//! what is looked at as before.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::domain::name::{ServerName, SiteName};
use crate::env::{Scope, Secret, Setting};

/// The same for the whole process, and for no other one: a mark says nothing about a secret.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Keys that say which pairs there are; what is looked at for one of them does not change with the others.
const WHO: [&str; 2] = ["MAPPINGS", "DISCOVERY_"];

/// A mark for every file that was read.
pub type Files = HashMap<PathBuf, u64>;

/// A mark for every key that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    keys: BTreeMap<Box<str>, u64>,
    agent: u64,
    servers: HashMap<Box<str>, u64>,
    sites: HashMap<Box<str>, u64>,
}

/// Gives one mark for several things; like every mark it holds in this process only.
pub fn joined(parts: impl Hash) -> u64 {
    HASHER.hash_one(parts)
}

impl Marks {
    /// Marks what was read: values, and the files that some of them name.
    pub fn of(settings: &[Setting], files: &Files) -> Self {
        let mut marks = Self::default();
        for setting in settings {
            let key = setting.key.as_str();
            let whole = setting.hidden.as_ref().map_or(setting.value.as_str(), Secret::expose);
            let mark = joined((whole, files.get(Path::new(whole.trim()))));
            marks.keys.insert(key.into(), mark);
            let owner = || key.strip_suffix(setting.name)?.strip_suffix('_').map(Box::from);
            let all = match (setting.scope, owner()) {
                (Scope::Global, _) if !WHO.iter().any(|who| key.starts_with(who)) => &mut marks.agent,
                (Scope::Server, Some(owner)) => marks.servers.entry(owner).or_default(),
                (Scope::Site, Some(owner)) => marks.sites.entry(owner).or_default(),
                // What is run for a pair is no part of what is looked at; nor is a numbered command of a site.
                _ => continue,
            };
            *all = joined((*all, key, mark));
        }
        marks
    }

    /// All that was set for the agent as a whole, but for who is watched.
    pub fn of_agent(&self) -> u64 {
        self.agent
    }

    /// All that was set for a server.
    pub fn of_server(&self, server: &ServerName) -> Option<u64> {
        self.servers.get(server.as_str()).copied()
    }

    /// All that was set for a site as a whole.
    pub fn of_site(&self, site: &SiteName) -> Option<u64> {
        self.sites.get(site.as_str()).copied()
    }

    /// Keeps the marks of some keys.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let keys = self.keys.iter().filter(|(key, _)| keep(key)).map(|(key, mark)| (key.clone(), *mark)).collect();
        Self { keys, ..Self::default() }
    }

    /// Keys whose value is another one there, or that only one of both has, in order.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let gone = self.keys.keys().filter(|key| !other.keys.contains_key(*key));
        let differ = other.keys.iter().filter(|(key, mark)| self.keys.get(*key) != Some(mark)).map(|(key, _)| key);
        let mut keys: Vec<String> = gone.chain(differ).map(ToString::to_string).collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, good};
    use super::*;
    use crate::env::Place;

    #[test]
    fn a_mark_follows_its_owner_and_the_file_that_it_names_and_no_other_pair() {
        let names = (ServerName::new("SRV4").unwrap(), SiteName::new("DC3").unwrap());
        let of = |text: &str| {
            let marks = good(text).marks;
            (marks.of_agent(), marks.of_server(&names.0), marks.of_site(&names.1))
        };
        let before = of(LEAST);
        let more = format!("{LEAST}SRV5_URL=http://srv5/\n").replace("DC3:SRV4", "DC3:SRV4,DC3:SRV5");
        assert_eq!(of(&more), before, "who else is watched changes nothing");
        let (agent, server, site) = of(&format!("{LEAST}SRV4_TIMEOUT=3\n"));
        assert!(agent == before.0 && server != before.1 && site == before.2);
        let (agent, server, site) = of(&LEAST.replace("hunter22", "hunter33"));
        assert!(agent == before.0 && server == before.1 && site != before.2);
        assert_ne!(of(&format!("{LEAST}CHECK_TIMEOUT=3\n")).0, before.0);

        let setting = Setting {
            key: "SRV4_CA_FILE".to_owned(),
            scope: Scope::Server,
            name: "CA_FILE",
            value: "/ca.pem".to_owned(),
            place: Place::Unset,
            hidden: None,
        };
        let of =
            |text: &str| Marks::of(std::slice::from_ref(&setting), &Files::from([("/ca.pem".into(), joined(text))]));
        assert_eq!(of("one").changed(&of("one")), Vec::<String>::new());
        assert_eq!(of("one").changed(&of("two")), ["SRV4_CA_FILE"]);
        assert_ne!(of("one").of_server(&names.0), of("two").of_server(&names.0));
    }

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
