//! What a reload changed, for the person who ordered it: keys, the pairs they belong to, and what waits for a restart.

use std::collections::{BTreeMap, HashMap};

use crate::config::marks::Marks;
use crate::config::{Config, Pair};
use crate::domain::name::PairName;
use crate::engine::handle::{Changed, Reloaded};

/// Keys that are read at the start only, beside all that begin with [`AT_START_FAMILY`].
const AT_START: &[&str] = &[
    "STATE_DIR",
    "STATE_FILE",
    "DATABASE_URL",
    "HEARTBEAT_URL",
    "LISTEN",
    "API_TOKEN",
    "LOG_FILE",
    "LOG_FORMAT",
    "LOG_MAX_SIZE",
    "LOG_BACKUP_COUNT",
];
const AT_START_FAMILY: &str = "TELEGRAM_";

/// The marks of what is read at the start only.
pub(super) fn fixed(marks: &Marks) -> Marks {
    marks.only(|key| AT_START.contains(&key) || key.starts_with(AT_START_FAMILY))
}

/// Adds to what the engine did which keys changed and whose they are.
pub(super) fn tell(reloaded: Reloaded, keys: Vec<String>, restart: Vec<String>, config: &Config) -> Reloaded {
    let mut changed = of_pairs(&keys, &config.pairs);
    for pair in &reloaded.added_pairs {
        changed.remove(pair);
    }
    let changed = changed.into_iter().map(|(pair, keys)| Changed { pair: pair.clone(), keys }).collect();
    Reloaded { changed, changed_keys: keys, restart_keys: restart, ..reloaded }
}

/// The keys that begin with the name of a pair, its site or its server, by pair.
fn of_pairs<'p>(keys: &[String], pairs: &'p [Pair]) -> BTreeMap<&'p PairName, Vec<String>> {
    let mut names: HashMap<String, Vec<&PairName>> = HashMap::new();
    for Pair { name, .. } in pairs {
        for prefix in [name.site.to_string(), name.server.to_string(), format!("{}_{}", name.site, name.server)] {
            names.entry(prefix).or_default().push(name);
        }
    }
    let mut changed: BTreeMap<&PairName, Vec<String>> = BTreeMap::new();
    for key in keys {
        // The longest name that fits: `DC_3_URL` is of `DC_3`, not of `DC`.
        let cuts = key.rmatch_indices('_').filter_map(|(at, _)| key.get(..at));
        let Some(meant) = cuts.into_iter().find_map(|prefix| names.get(prefix)) else { continue };
        for pair in meant {
            let known = changed.entry(pair).or_default();
            if known.last() != Some(key) {
                known.push(key.clone());
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::source::Source;

    fn config(more: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        let least = "INTERVAL=30\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\n\
                     TELEGRAM_CHAT_ID=-1001234567890\nCOMMAND=one\nDC_LOCAL=true\nDC_3_LOCAL=true\nSRV_URL=http://a/\n\
                     SRV5_URL=http://b/\nMAPPINGS=DC:SRV,DC_3:SRV,DC:SRV5\n";
        std::fs::write(&file, format!("{least}{more}")).unwrap();
        let loaded = Source::of_file(file).load().unwrap();
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.report))
    }

    #[test]
    fn a_key_is_said_of_the_pairs_whose_it_is() {
        let (before, after) =
            (config(""), config("DC_3_COMMAND=x\nDC_SRV_COMMAND=y\nSRV_TIMEOUT=1\nMAX_INTERVAL=9m\n"));
        let keys = before.marks.changed(&after.marks);
        assert_eq!(keys, ["DC_3_COMMAND", "DC_SRV_COMMAND", "MAX_INTERVAL", "SRV_TIMEOUT"]);
        let new = Reloaded { added: 1, added_pairs: vec!["DC:SRV5".parse().unwrap()], ..Reloaded::default() };
        let told = tell(new, keys, Vec::new(), &after);
        let said: Vec<_> = told.changed.iter().map(|one| format!("{} {}", one.pair, one.keys.join(" "))).collect();
        assert_eq!(said, ["DC-SRV DC_SRV_COMMAND SRV_TIMEOUT", "DC_3-SRV DC_3_COMMAND SRV_TIMEOUT"]);
    }

    #[test]
    fn what_is_read_at_the_start_only_is_told_of_until_it_is_what_it_was() {
        let (start, other) = (config(""), config("STATE_DIR=elsewhere\nTELEGRAM_THREAD_ID=5\nMAX_INTERVAL=9m\n"));
        let waits = |now: &Config| fixed(&start.marks).changed(&fixed(&now.marks));
        assert_eq!(waits(&other), ["STATE_DIR", "TELEGRAM_THREAD_ID"]);
        assert_eq!(waits(&config("MAX_INTERVAL=9m\n")), [""; 0]);
    }
}
