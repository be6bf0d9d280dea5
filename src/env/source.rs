//! The two sources of values, file and process environment, joined: the process environment wins. Types live in `reader`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::dialect::{self, nameable};
use super::problem::{Place, Problem};

/// A value as it stands in a source.
#[derive(Clone, Copy)]
pub(super) struct Entry<'e> {
    pub(super) text: &'e str,
    /// Line of a file; none in the process environment.
    pub(super) line: Option<Spot>,
}

/// A line of one of the files.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    /// Whether it is the file that was laid over the first.
    over: bool,
    line: u32,
}

/// Every value that was set, by whoever set it.
pub struct Env {
    name: Arc<str>,
    /// The name of the file that was laid over.
    over: Arc<str>,
    file: BTreeMap<String, (String, Spot)>,
    process: BTreeMap<String, String>,
    /// Keys that stand on a line without `=`.
    pub(super) bare: BTreeMap<String, Spot>,
    pub(super) problems: Vec<Problem>,
}

impl Env {
    /// Reads the bytes of a file, named as the person named it, and joins the process environment.
    pub fn new(name: &str, bytes: &[u8], process: BTreeMap<String, String>) -> Self {
        let dialect::Parsed { lines, mut problems } = dialect::parse(name, bytes, &process);
        let name: Arc<str> = name.into();
        let (mut file, mut bare) = (BTreeMap::new(), BTreeMap::new());
        let mut first: HashMap<String, u32> = HashMap::new();
        for line in lines {
            let spot = Spot { over: false, line: line.number };
            let Some(value) = line.value else {
                bare.insert(line.key, spot);
                continue;
            };
            if let Some(earlier) = first.insert(line.key.clone(), line.number) {
                let place = Place::File { name: Arc::clone(&name), line: Some(line.number) };
                let what = format!("is set again, and this line wins over line {earlier}");
                problems.push(Problem::warning(place, nameable(&line.key), what).hint("remove one of them"));
            }
            file.insert(line.key, (value, spot));
        }
        bare.retain(|key, _| !file.contains_key(key));
        Self { over: Arc::clone(&name), name, file, process, bare, problems }
    }

    /// Lays the values of another file over both sources: key, value and line. They win.
    #[must_use]
    pub fn overlaid(mut self, name: &str, values: impl IntoIterator<Item = (String, String, u32)>) -> Self {
        self.over = name.into();
        for (key, value, line) in values {
            self.process.remove(&key);
            self.bare.remove(&key);
            self.file.insert(key, (value, Spot { over: true, line }));
        }
        self
    }

    /// Lays the values of another file under both sources: key, value and line. They hold where neither sets the key.
    #[must_use]
    pub fn underlaid(self, name: &str, values: impl IntoIterator<Item = (String, String, u32)>) -> Self {
        let unset = |(key, ..): &(String, String, u32)| self.in_process(key).is_none() && self.in_file(key).is_none();
        let values: Vec<_> = values.into_iter().filter(unset).collect();
        self.overlaid(name, values)
    }

    /// Every name that stands before `_{suffix}` in a key that the file itself sets; in the process environment only where
    /// there is no file, because other programs have their variables there.
    pub fn named<'s>(&'s self, suffix: &'s str) -> impl Iterator<Item = &'s str> {
        let own = self.file.iter().filter(|(_, (text, spot))| !spot.over && !text.trim().is_empty());
        let no_file = self.bare.is_empty() && self.file.values().all(|(_, spot)| spot.over);
        let process = self.process_keys().filter(move |_| no_file);
        let keys = own.map(|(key, _)| key.as_str()).chain(process);
        keys.filter_map(move |key| key.strip_suffix(suffix)?.strip_suffix('_'))
    }

    /// Joins nothing but the process environment: there is no file.
    pub fn without_file(process: BTreeMap<String, String>) -> Self {
        Self::new(".env", b"", process)
    }

    /// Gives the place of a line, or the process environment.
    pub(super) fn place(&self, line: Option<Spot>) -> Place {
        match line {
            Some(Spot { over, line }) => {
                let name = if over { &self.over } else { &self.name };
                Place::File { name: Arc::clone(name), line: Some(line) }
            }
            None => Place::Environment,
        }
    }

    /// Finds a key in the file; a blank value counts as not set.
    pub(super) fn in_file(&self, key: &str) -> Option<Entry<'_>> {
        let (text, line) = self.file.get(key).filter(|(text, _)| !text.trim().is_empty())?;
        Some(Entry { text, line: Some(*line) })
    }

    /// Finds a key in the process environment; a blank value counts as not set.
    pub(super) fn in_process(&self, key: &str) -> Option<Entry<'_>> {
        let text = self.process.get(key).filter(|text| !text.trim().is_empty())?;
        Some(Entry { text, line: None })
    }

    /// Every key of the file, with its line.
    pub(super) fn file_keys(&self) -> impl Iterator<Item = (&str, Spot)> {
        self.file.iter().map(|(key, (_, line))| (key.as_str(), *line))
    }

    /// Every key that either source sets.
    pub fn set(&self) -> impl Iterator<Item = &str> {
        let file = self.file.iter().filter(|(_, (text, _))| !text.trim().is_empty()).map(|(key, _)| key.as_str());
        file.chain(self.process_keys())
    }

    /// Every key of the process environment that is not blank.
    pub(super) fn process_keys(&self) -> impl Iterator<Item = &str> {
        self.process.iter().filter(|(_, text)| !text.trim().is_empty()).map(|(key, _)| key.as_str())
    }

    /// Every key of both sources that begins so.
    pub(super) fn keys_from<'s>(&'s self, head: &'s str) -> impl Iterator<Item = &'s str> {
        let range = (Bound::Included(head), Bound::Unbounded);
        let file = self.file.range::<str, _>(range).map(|(key, _)| key.as_str());
        let process = self.process.range::<str, _>(range).map(|(key, _)| key.as_str());
        let ours = move |key: &&str| key.starts_with(head);
        file.take_while(ours).chain(process.take_while(ours))
    }

    /// Gives the line of a key of the file, blank or not.
    pub(super) fn line_of(&self, key: &str) -> Option<Spot> {
        self.file.get(key).map(|(_, line)| *line)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Env({} keys in {})", self.file.len(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::super::{Key, Scope, value};
    use super::*;

    #[test]
    fn what_is_laid_over_wins_and_names_its_own_lines() {
        const KEY: Key<u32> = Key::new(Scope::Global, "CHECK_ATTEMPTS", |text| value::whole(text, &(1..=9)));
        const CHAT: Key<u32> = Key::new(Scope::Global, "CHAT", |text| value::whole(text, &(1..=9)));
        let process = BTreeMap::from([("CHECK_ATTEMPTS".to_owned(), "8".to_owned())]);
        let env = Env::new("telegram.env", b"CHECK_ATTEMPTS=7\nCHAT=x\n", process);
        let env = env.overlaid("config.json", [("CHECK_ATTEMPTS".to_owned(), "3".to_owned(), 5)]);
        let reader = Reader::new(&env, &|_| Err(std::io::ErrorKind::NotFound.into()));
        assert_eq!(reader.global().get(&KEY), Some(3));
        assert_eq!(reader.global().place(&KEY).to_string(), "config.json:5: ");
        assert_eq!(reader.global().get(&CHAT), None);
        assert_eq!(reader.global().place(&CHAT).to_string(), "telegram.env:2: ");
    }

    #[test]
    fn what_is_laid_under_holds_only_where_nobody_sets_it() {
        const ATTEMPTS: Key<u32> = Key::new(Scope::Global, "ATTEMPTS", |text| value::whole(text, &(1..=9)));
        const CHAT: Key<u32> = Key::new(Scope::Global, "CHAT", |text| value::whole(text, &(1..=9)));
        const PACE: Key<u32> = Key::new(Scope::Global, "PACE", |text| value::whole(text, &(1..=9)));
        let process = BTreeMap::from([("ATTEMPTS".to_owned(), "8".to_owned())]);
        let values = ["ATTEMPTS", "CHAT", "PACE"].map(|key| (key.to_owned(), "3".to_owned(), 5));
        let env = Env::new("telegram.env", b"CHAT=7\nPACE=\n", process).underlaid("config.json", values);
        let reader = Reader::new(&env, &|_| Err(std::io::ErrorKind::NotFound.into()));
        let global = reader.global();
        assert_eq!((global.get(&ATTEMPTS), global.get(&CHAT), global.get(&PACE)), (Some(8), Some(7), Some(3)));
        assert_eq!(global.place(&PACE).to_string(), "config.json:5: ");
    }
}
