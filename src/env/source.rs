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
    /// Line of the file; none in the process environment.
    pub(super) line: Option<u32>,
}

/// Every value that was set, by whoever set it.
pub struct Env {
    name: Arc<str>,
    file: BTreeMap<String, (String, u32)>,
    process: BTreeMap<String, String>,
    /// Keys that stand on a line without `=`.
    pub(super) bare: BTreeMap<String, u32>,
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
            let Some(value) = line.value else {
                bare.insert(line.key, line.number);
                continue;
            };
            if let Some(earlier) = first.insert(line.key.clone(), line.number) {
                let place = Place::File { name: Arc::clone(&name), line: Some(line.number) };
                let what = format!("is set again, and this line wins over line {earlier}");
                problems.push(Problem::warning(place, nameable(&line.key), what).hint("remove one of them"));
            }
            file.insert(line.key, (value, line.number));
        }
        bare.retain(|key, _| !file.contains_key(key));
        Self { name, file, process, bare, problems }
    }

    /// Joins nothing but the process environment: there is no file.
    pub fn without_file(process: BTreeMap<String, String>) -> Self {
        Self::new(".env", b"", process)
    }

    /// Gives the place of a line, or the process environment.
    pub(super) fn place(&self, line: Option<u32>) -> Place {
        match line {
            Some(line) => Place::File { name: Arc::clone(&self.name), line: Some(line) },
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
    pub(super) fn file_keys(&self) -> impl Iterator<Item = (&str, u32)> {
        self.file.iter().map(|(key, (_, line))| (key.as_str(), *line))
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
    pub(super) fn line_of(&self, key: &str) -> Option<u32> {
        self.file.get(key).map(|(_, line)| *line)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Env({} keys in {})", self.file.len(), self.name)
    }
}
