//! Turns values into types by their keys and remembers every problem, so that a `?` on the way cannot lose one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::key::{Absent, Key, NUMBER};
use super::problem::{Place, Problem, Report};
use super::redactor::{MASK, Redactor};
use super::source::{Entry, Env};
use super::unknown::{self, Catalogue};

/// Reads the file of a `KEY_FILE`; floors above bring the real one, tests a stand-in.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Reads one configuration.
pub struct Reader<'a> {
    env: &'a Env,
    read: ReadFile<'a>,
    problems: RefCell<Vec<Problem>>,
    secrets: RefCell<BTreeSet<String>>,
}

/// The keys of one agent, server, site or pair.
pub struct Scoped<'r> {
    reader: &'r Reader<'r>,
    prefix: String,
}

/// A value and where it came from.
struct Found<'a> {
    text: Cow<'a, str>,
    place: Place,
}

impl<'a> Reader<'a> {
    /// Begins with the problems of the text itself.
    pub fn new(env: &'a Env, read: ReadFile<'a>) -> Self {
        Self { env, read, problems: RefCell::new(env.problems.clone()), secrets: RefCell::default() }
    }

    /// Gives the keys of the whole agent.
    pub fn global(&self) -> Scoped<'_> {
        Scoped { reader: self, prefix: String::new() }
    }

    /// Gives the keys that begin with a name: `SRV4`, `DC3`, `DC3_SRV4`.
    pub fn scoped(&self, name: &str) -> Scoped<'_> {
        Scoped { reader: self, prefix: format!("{name}_") }
    }

    /// Gives every secret that was read so far, for a [`Redactor`].
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().iter().cloned().collect()
    }

    /// Looks at what nobody asked for, and gives everything that is wrong.
    pub fn finish(self, catalogue: &Catalogue<'_>) -> Report {
        let mut problems = self.problems.into_inner();
        unknown::find(self.env, catalogue, &mut problems);
        Report::new(problems)
    }

    fn remember(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Finds `KEY`, or for a secret the content of `KEY_FILE`, in one source. `Err` is remembered.
    fn in_source<'s>(&'s self, key: &str, secret: bool, find: impl Fn(&str) -> Option<Entry<'s>>) -> Result<Option<Found<'s>>, ()> {
        let direct = find(key);
        let file_key = if secret { format!("{key}_FILE") } else { String::new() };
        let Some(pointer) = find(&file_key) else {
            return Ok(direct.map(|entry| Found { text: Cow::Borrowed(entry.text), place: self.env.place(entry.line) }));
        };
        let place = self.env.place(pointer.line);
        if direct.is_some() {
            self.remember(Problem::error(place, &file_key, format!("is set together with {key}")).hint("remove one of them"));
            return Err(());
        }
        let path = Path::new(pointer.text.trim());
        match (self.read)(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                if text.trim().is_empty() {
                    self.remember(Problem::error(place, &file_key, "the file is empty").found(pointer.text).hint("write the secret into it"));
                    return Err(());
                }
                Ok(Some(Found { text: Cow::Owned(text), place }))
            }
            Err(error) => {
                let what = format!("the file cannot be read: {error}");
                let hint = "give the path of a file that this user may read";
                self.remember(Problem::error(place, &file_key, what).found(pointer.text).hint(hint));
                Err(())
            }
        }
    }

    /// Finds a value in the order of strength.
    fn find<T>(&self, full: &str, key: &Key<T>) -> Result<Option<Found<'_>>, ()> {
        let env = self.env;
        if key.ambient {
            if let Some(found) = self.in_source(full, key.secret, |k| env.in_file(k))? {
                return Ok(Some(found));
            }
            let ours = env.in_process(full).filter(|entry| (key.parse)(entry.text).is_ok());
            return Ok(ours.map(|entry| Found { text: Cow::Borrowed(entry.text), place: Place::Environment }));
        }
        if let Some(found) = self.in_source(full, key.secret, |k| env.in_process(k))? {
            return Ok(Some(found));
        }
        self.in_source(full, key.secret, |k| env.in_file(k))
    }
}

impl Scoped<'_> {
    /// Gives the value or the default; a key without a default is required here. None: a problem was remembered.
    pub fn get<T>(&self, key: &Key<T>) -> Option<T> {
        if let Some(value) = self.optional(key)? {
            return Some(value);
        }
        if let Absent::Default(text) = key.absent {
            return self.parsed(key, &self.full(key.name), text, Place::Unset);
        }
        let full = self.full(key.name);
        let blank = self.reader.env.line_of(&full).or_else(|| self.reader.env.bare.get(&full).copied());
        let place = blank.map_or(Place::Unset, |line| self.reader.env.place(Some(line)));
        let what = if blank.is_some() { "is empty, and it is required" } else { "is not set, and it is required" };
        self.reader.remember(Problem::error(place, &full, what).hint(format!("add a line such as `{full}={}`", key.example)));
        None
    }

    /// Gives the value if one is set, whatever the default. `None`: a problem was remembered; `Some(None)`: not set.
    #[expect(clippy::option_option, reason = "`?` takes the outer one: a problem is not an absence")]
    pub fn optional<T>(&self, key: &Key<T>) -> Option<Option<T>> {
        self.value_of(key, &self.full(key.name))
    }

    /// Gives every number that is set of a numbered key such as `COMMAND_{K}`, with its value, in order; a bad one is remembered
    /// and is `None` in its place.
    pub fn numbered<T>(&self, key: &Key<T>) -> Vec<(u32, Option<T>)> {
        let Some((head, tail)) = key.name.split_once(NUMBER) else { return Vec::new() };
        let head = self.full(head);
        let number = |key: &str| unknown::number(key.strip_prefix(&head)?.strip_suffix(tail)?);
        let pointer = |key: &str| number(key.strip_suffix("_FILE")?);
        let set: BTreeSet<u32> =
            self.reader.env.keys_from(&head).filter_map(|found| number(found).or_else(|| pointer(found).filter(|_| key.secret))).collect();
        let mut all = Vec::new();
        for k in set {
            match self.value_of(key, &format!("{head}{k}{tail}")) {
                Some(None) => {}
                Some(Some(value)) => all.push((k, Some(value))),
                None => all.push((k, None)),
            }
        }
        all
    }

    /// Says whether somebody set the key, here or in the process environment.
    pub fn set_by_user<T>(&self, key: &Key<T>) -> bool {
        !matches!(self.place(key), Place::Unset)
    }

    /// Says where the value in force stands.
    pub fn place<T>(&self, key: &Key<T>) -> Place {
        self.place_of(&self.full(key.name), key.ambient)
    }

    /// Remembers that a value does not fit another one; `what` and `hint` are clauses.
    pub fn problem<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.remember(Problem::error(self.place(key), &self.full(key.name), what).hint(hint));
    }

    /// Remembers something that is odd, and that the agent starts with all the same.
    pub fn warn<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.remember(Problem::warning(self.place(key), &self.full(key.name), what).hint(hint));
    }

    /// Gives the whole name of a key here: `DC3_SSH_HOST`.
    pub fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn place_of(&self, full: &str, file_first: bool) -> Place {
        let env = self.reader.env;
        let pointer = format!("{full}_FILE");
        let in_process = env.in_process(full).or_else(|| env.in_process(&pointer));
        let in_file = env.in_file(full).or_else(|| env.in_file(&pointer));
        let entry = if file_first { in_file.or(in_process) } else { in_process.or(in_file) };
        entry.map_or(Place::Unset, |entry| env.place(entry.line))
    }

    #[expect(clippy::option_option, reason = "`?` takes the outer one: a problem is not an absence")]
    fn value_of<T>(&self, key: &Key<T>, full: &str) -> Option<Option<T>> {
        match self.reader.find(full, key).ok()? {
            None => Some(None),
            Some(found) => {
                if key.secret {
                    self.reader.secrets.borrow_mut().insert(found.text.as_ref().to_owned());
                }
                self.parsed(key, full, &found.text, found.place).map(Some)
            }
        }
    }

    fn parsed<T>(&self, key: &Key<T>, full: &str, text: &str, place: Place) -> Option<T> {
        let outcome = if text.contains('\0') {
            Err("expected a text without a NUL character".to_owned())
        } else {
            (key.parse)(text)
        };
        match outcome {
            Ok(value) => Some(value),
            Err(expected) => {
                let safe = if key.secret { Cow::Borrowed(MASK) } else { Redactor::default().mask(text) };
                self.reader.remember(Problem::error(place, full, expected).found(&safe));
                None
            }
        }
    }
}
