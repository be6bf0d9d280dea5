//! Turns values into types by their keys and remembers every problem, so that a `?` on the way cannot lose one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::index;
use super::key::{Absent, Key, KeyInfo, NUMBER, Scope};
use super::problem::safe;
use super::problem::{Place, Problem, Report};
use super::redactor::{MASK, MIN_SECRET, Redactor};
use super::secret::Secret;
use super::setting::Setting;
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
    settings: RefCell<BTreeMap<String, Setting>>,
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
        Self {
            env,
            read,
            problems: RefCell::new(env.problems.clone()),
            secrets: RefCell::default(),
            settings: RefCell::default(),
        }
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

    /// Gives every value in force that was asked for so far, secrets masked, by key.
    pub fn settings(&self) -> Vec<Setting> {
        self.settings.borrow().values().cloned().collect()
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
    fn in_source<'s>(
        &'s self,
        key: &str,
        secret: bool,
        find: impl Fn(&str) -> Option<Entry<'s>>,
    ) -> Result<Option<Found<'s>>, ()> {
        let direct = find(key);
        let file_key = if secret { format!("{key}_FILE") } else { String::new() };
        let Some(pointer) = find(&file_key) else {
            return Ok(direct.map(|entry| Found { text: Cow::Borrowed(entry.text), place: self.env.place(entry.line) }));
        };
        let place = self.env.place(pointer.line);
        if direct.is_some() {
            self.remember(
                Problem::error(place, &file_key, format!("is set together with {key}")).hint("remove one of them"),
            );
            return Err(());
        }
        let path = Path::new(pointer.text.trim());
        match (self.read)(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                if text.trim().is_empty() {
                    self.remember(
                        Problem::error(place, &file_key, "the file is empty")
                            .found(pointer.text)
                            .hint("write the secret into it"),
                    );
                    return Err(());
                }
                Ok(Some(Found { text: Cow::Owned(text), place }))
            }
            Err(error) => {
                let problem = Problem::error(place, &file_key, format!("the file cannot be read: {error}"));
                self.remember(problem.found(pointer.text).hint("give the path of a file that this user may read"));
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
        let full = self.full(key.name);
        if let Absent::Default(text) = key.absent {
            if key.scope != Scope::Server {
                self.in_force(key, &full, text, Place::Unset);
            }
            return self.parsed(key, &full, text, Place::Unset);
        }
        let blank = self.reader.env.line_of(&full).or_else(|| self.reader.env.bare.get(&full).copied());
        let place = blank.map_or(Place::Unset, |line| self.reader.env.place(Some(line)));
        let what = if blank.is_some() { "is empty, and it is required" } else { "is not set, and it is required" };
        self.reader
            .remember(Problem::error(place, &full, what).hint(format!("add a line such as `{full}={}`", key.example)));
        None
    }

    /// Gives the value if one is set, whatever the default. `None`: a problem was remembered; `Some(None)`: not set.
    pub fn optional<T>(&self, key: &Key<T>) -> Option<Option<T>> {
        self.value_of(key, &self.full(key.name))
    }

    /// Gives every number that is set of a numbered key such as `COMMAND_{K}`, with its value, in order; a bad one is remembered
    /// and is `None` in its place.
    pub fn numbered<T>(&self, key: &Key<T>) -> Vec<(u32, Option<T>)> {
        let Some((head, tail)) = key.name.split_once(NUMBER) else { return Vec::new() };
        let head = self.full(head);
        let number = |key: &str| index::number(key.strip_prefix(&head)?.strip_suffix(tail)?);
        let pointer = |key: &str| number(key.strip_suffix("_FILE")?);
        let set: BTreeSet<u32> = self
            .reader
            .env
            .keys_from(&head)
            .filter_map(|found| number(found).or_else(|| pointer(found).filter(|_| key.secret)))
            .collect();
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
        self.place_of(key, &self.full(key.name))
    }

    /// Remembers that a value does not fit another one; `what` and `hint` are clauses.
    pub fn problem<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.remember(Problem::error(self.place(key), &self.full(key.name), what).hint(hint));
    }

    /// Does the same for one number of a numbered key.
    pub fn numbered_problem<T>(&self, key: &Key<T>, k: u32, what: impl Into<String>, hint: impl Into<String>) {
        let full = self.full(&key.name.replace(NUMBER, &k.to_string()));
        self.reader.remember(Problem::error(self.place_of(key, &full), &full, what).hint(hint));
    }

    /// Remembers something that is odd, and that the agent starts with all the same.
    pub fn warn<T>(&self, key: &Key<T>, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.remember(Problem::warning(self.place(key), &self.full(key.name), what).hint(hint));
    }

    /// Does the same for one number of a numbered key.
    pub fn numbered_warning<T>(&self, key: &Key<T>, k: u32, what: impl Into<String>, hint: impl Into<String>) {
        let full = self.full(&key.name.replace(NUMBER, &k.to_string()));
        self.reader.remember(Problem::warning(self.place_of(key, &full), &full, what).hint(hint));
    }

    /// Gives the text of a file that `key` names; `None`: a problem was remembered.
    pub fn file<T>(&self, key: &Key<T>, path: &Path) -> Option<String> {
        match (self.reader.read)(path) {
            Ok(text) => Some(text),
            Err(error) => {
                let full = self.full(key.name);
                let problem = Problem::error(self.place(key), &full, format!("the file cannot be read: {error}"));
                let hint = "give the path of a file that this user may read";
                self.reader.remember(problem.found(&path.display().to_string()).hint(hint));
                None
            }
        }
    }

    /// Remembers that a key of a table does not belong here, if somebody set it; `what` and `hint` are clauses.
    pub fn refuse(&self, key: &KeyInfo, what: impl Into<String>, hint: impl Into<String>) {
        let place = self.place_named(key.secret, false, &self.full(key.name));
        if place != Place::Unset {
            self.reader.remember(Problem::error(place, &self.full(key.name), what).hint(hint));
        }
    }

    /// Gives the name that its keys begin with; empty for those of the agent.
    pub fn name(&self) -> &str {
        self.prefix.strip_suffix('_').unwrap_or_default()
    }

    /// Gives the whole name of a key here: `DC3_SSH_HOST`.
    pub fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn place_of<T>(&self, key: &Key<T>, full: &str) -> Place {
        self.place_named(key.secret, key.ambient, full)
    }

    fn place_named(&self, secret: bool, ambient: bool, full: &str) -> Place {
        let env = self.reader.env;
        let pointer = secret.then(|| format!("{full}_FILE"));
        let (direct, pointer) = (Some(full), pointer.as_deref());
        let process = direct.into_iter().chain(pointer).any(|key| env.in_process(key).is_some());
        let line = direct.into_iter().chain(pointer).find_map(|key| env.in_file(key)?.line);
        match line {
            Some(line) if ambient || !process => env.place(Some(line)),
            _ if process => Place::Environment,
            _ => Place::Unset,
        }
    }

    #[expect(clippy::option_option, reason = "`?` takes the outer one: a problem is not an absence")]
    fn value_of<T>(&self, key: &Key<T>, full: &str) -> Option<Option<T>> {
        match self.reader.find(full, key).ok()? {
            None => {
                if let (Absent::Means(means), Scope::Global) = (key.absent, key.scope) {
                    self.in_force(key, full, means, Place::Unset);
                }
                Some(None)
            }
            Some(found) => {
                if key.secret {
                    self.reader.secrets.borrow_mut().insert(found.text.as_ref().to_owned());
                    self.warn_if_too_short(full, &found);
                }
                self.in_force(key, full, &found.text, found.place.clone());
                self.parsed(key, full, &found.text, found.place).map(Some)
            }
        }
    }

    /// Remembers what holds; what somebody set stays, whatever is asked later. Defaults of thousands of servers are not kept.
    fn in_force<T>(&self, key: &Key<T>, full: &str, text: &str, place: Place) {
        let hidden = key.secret && place != Place::Unset;
        let value = if hidden { Cow::Borrowed(MASK) } else { Redactor::default().mask(text) };
        let whole = (value != text).then(|| Secret::from(text));
        let (key, scope, name, value) = (full.to_owned(), key.scope, key.name, value.into_owned());
        let setting = Setting { key, scope, name, value, place, hidden: whole };
        self.reader.settings.borrow_mut().entry(setting.key.clone()).or_insert(setting);
    }

    fn warn_if_too_short(&self, full: &str, found: &Found<'_>) {
        if found.text.trim().chars().count() < MIN_SECRET {
            let what = format!("is shorter than {MIN_SECRET} characters, so it cannot be masked in logs and messages");
            let problem = Problem::warning(found.place.clone(), full, what).hint("choose a longer one");
            self.reader.remember(problem);
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
                let safe = if key.secret { Cow::Borrowed(MASK) } else { safe(key.name, text) };
                self.reader.remember(Problem::error(place, full, expected).found(&safe));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::key::{KeyInfo, Later};
    use super::super::secret::Secret;
    use super::super::unknown::Names;
    use super::super::value;
    use super::*;

    const INTERVAL: Key<Duration> =
        Key::new(Scope::Global, "INTERVAL", value::positive_duration).about("Seconds between checks.", "30").required();
    const MAX_INTERVAL: Key<Duration> = Key::new(Scope::Global, "MAX_INTERVAL", value::duration).default("300");
    const TOKEN: Key<Secret> =
        Key::new(Scope::Global, "TELEGRAM_BOT_TOKEN", value::secret).about("Bot token.", "1:A").secret();
    const LANGUAGE: Key<u8> =
        Key::new(Scope::Global, "LANGUAGE", |text| value::word(text, &[("en", 1), ("ru", 2)])).default("en").ambient();
    const COMMAND_K: Key<String> = Key::new(Scope::Global, "COMMAND_{K}", value::text);
    const HOST: Key<String> =
        Key::new(Scope::Site, "SSH_HOST", value::line).about("Host.", "dc3.example.com").required();
    const PORT: Key<u16> = Key::new(Scope::Site, "SSH_PORT", value::port).default("22");
    const PASSWORD: Key<Secret> = Key::new(Scope::Site, "SSH_PASSWORD", value::secret).secret();
    const URL: Key<String> = Key::new(Scope::Server, "URL", value::line).required();
    const PAIR_COMMAND: Key<String> = Key::new(Scope::Pair, "COMMAND", value::text);
    const KNOWN: &[KeyInfo] = &[
        INTERVAL.info(),
        MAX_INTERVAL.info(),
        TOKEN.info(),
        LANGUAGE.info(),
        COMMAND_K.info(),
        HOST.info(),
        PORT.info(),
        PASSWORD.info(),
        URL.info(),
        PAIR_COMMAND.info(),
    ];
    const LATER: &[Later] =
        &[Later { scope: Scope::Global, name: "WITNESSES" }, Later { scope: Scope::Global, name: "API_TOKEN" }];

    fn nothing(path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/run/token") => Ok("s3cret\n".to_owned()),
            Some("/run/empty") => Ok("\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn env(file: &str, process: &[(&str, &str)]) -> Env {
        Env::new(".env", file.as_bytes(), process.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn told(env: &Env, ask: impl Fn(&Reader<'_>)) -> Vec<String> {
        let reader = Reader::new(env, &nothing);
        ask(&reader);
        let names = Names::new([("DC3", "SRV4"), ("DC1", "SRV5")]);
        let report = reader.finish(&Catalogue { known: KNOWN, later: LATER, names: &names });
        report.errors().chain(report.warnings()).map(ToString::to_string).collect()
    }

    #[test]
    fn values_come_from_the_environment_then_the_file_then_the_default() {
        let env = env("INTERVAL=30\nDC3_SSH_PORT=2222\nMAX_INTERVAL=\n", &[("INTERVAL", "5m"), ("DC3_SSH_PORT", "")]);
        let reader = Reader::new(&env, &nothing);
        assert_eq!(reader.global().get(&INTERVAL), Some(Duration::from_mins(5)));
        assert_eq!(reader.scoped("DC3").get(&PORT), Some(2222));
        assert_eq!(reader.scoped("DC1").get(&PORT), Some(22));
        assert_eq!(reader.global().get(&MAX_INTERVAL), Some(Duration::from_mins(5)));
        assert!(reader.global().set_by_user(&INTERVAL) && !reader.global().set_by_user(&MAX_INTERVAL));
        assert_eq!(reader.global().optional(&MAX_INTERVAL), Some(None));
    }

    #[test]
    fn every_mistake_is_remembered_although_question_marks_return_early() {
        let env = env("INTERVAL=ten\nDC3_SSH_PORT=0\n", &[("DC3_SSH_HOST", "a\nb")]);
        let told = told(&env, |reader| {
            let site = || {
                let s = reader.scoped("DC3");
                let (host, port) = (s.get(&HOST), s.get(&PORT));
                Some((host?, port?))
            };
            assert_eq!(site(), None);
            assert_eq!(reader.global().get(&INTERVAL), None);
            assert_eq!(reader.scoped("SRV4").get(&URL), None);
        });
        assert_eq!(
            told,
            [
                ".env:1: INTERVAL: found `ten`, expected a duration such as 30, 0.5, 500ms, 5m",
                ".env:2: DC3_SSH_PORT: found `0`, expected a port from 1 to 65535",
                "environment: DC3_SSH_HOST: found `a\\nb`, expected one line of text",
                "SRV4_URL: is not set, and it is required; add a line such as `SRV4_URL=`",
            ]
        );
    }

    #[test]
    fn a_secret_never_stands_in_a_problem_and_urls_lose_their_password() {
        const STRICT: Key<u8> = Key::new(Scope::Global, "STRICT", |_| Err("expected a number".to_owned())).secret();
        const PLAIN: Key<u8> = Key::new(Scope::Global, "PLAIN", |_| Err("expected a number".to_owned()));
        let env = env("STRICT=hunter2\nPLAIN=http://u:hunter2@h\nhunter2 hunter2\nX=\"hunter2\" y\n", &[]);
        let told = told(&env, |reader| {
            reader.global().get(&STRICT);
            reader.global().get(&PLAIN);
        });
        assert!(told.iter().all(|line| !line.contains("hunter2")), "{told:#?}");
        assert!(told[0].contains("STRICT: found `***`"), "{told:#?}");
    }

    #[test]
    fn a_secret_comes_from_its_file_and_every_way_to_fail_is_told() {
        let env = env(
            "TELEGRAM_BOT_TOKEN_FILE=/run/token\nDC3_SSH_PASSWORD=x\nDC3_SSH_PASSWORD_FILE=/run/token\nDC1_SSH_PASSWORD_FILE=/nope\nINTERVAL_FILE=/x\n",
            &[],
        );
        let told = told(&env, |reader| {
            assert_eq!(reader.global().get(&TOKEN), Some(Secret::from("s3cret")));
            assert_eq!(reader.secrets(), ["s3cret"]);
            assert_eq!(reader.scoped("DC3").optional(&PASSWORD), None);
            assert_eq!(reader.scoped("DC1").optional(&PASSWORD), None);
        });
        assert_eq!(
            told,
            [
                ".env:3: DC3_SSH_PASSWORD_FILE: is set together with DC3_SSH_PASSWORD; remove one of them",
                ".env:4: DC1_SSH_PASSWORD_FILE: found `/nope`, the file cannot be read: entity not found; give the path of a file that this user may read",
                ".env:5: INTERVAL_FILE: only a secret can be read from a file; write the value itself, without `_FILE`",
            ]
        );
    }

    #[test]
    fn the_environment_names_a_file_and_wins_over_a_value_in_the_file() {
        let env = env("TELEGRAM_BOT_TOKEN=old\n", &[("TELEGRAM_BOT_TOKEN_FILE", "/run/token")]);
        let reader = Reader::new(&env, &nothing);
        assert_eq!(reader.global().get(&TOKEN), Some(Secret::from("s3cret")));
        assert_eq!(reader.global().place(&TOKEN), Place::Environment);
    }

    #[test]
    fn the_language_of_the_desktop_does_not_stop_the_agent() {
        for (file, process, expected) in [("", "en_US:en", 1), ("", "ru", 2), ("LANGUAGE=ru\n", "en", 2)] {
            let env = env(file, &[("LANGUAGE", process)]);
            assert_eq!(Reader::new(&env, &nothing).global().get(&LANGUAGE), Some(expected));
        }
    }

    #[test]
    fn slips_of_the_pen_are_errors_that_name_the_key_meant() {
        let file = "MAX_INTERVL=1\nSRV4_ULR=x\nDC3_SHH_HOST=y\nCOMAND_2=z\ninterval=3\nDC3-SSH-HOST=h\nSVR4_URL=u\nCOMMAND_2=fine\n";
        let told = told(&env(file, &[("MAX_INTERVL", "9")]), |_| {});
        let meant = ["MAX_INTERVAL", "SRV4_URL", "DC3_SSH_HOST", "COMMAND_2", "INTERVAL", "DC3_SSH_HOST", "SRV4_URL"];
        assert_eq!(told.len(), meant.len(), "{told:#?}");
        for (line, meant) in told.iter().zip(meant) {
            assert!(line.ends_with(&format!("is not known; did you mean `{meant}`?")), "{line}");
        }
    }

    #[test]
    fn strangers_and_unmapped_names_are_warnings_and_the_environment_is_left_alone() {
        let file = "FOO_SETTING=1\nDC9_SSH_HOST=a\nDC3_SRV5_COMMAND=b\nDC3_SRV4_COMMAND=ok\nTELEGRAM_TOKEN=t\nTELEGRAM_BOT_TOKEN=\nJUST\nINTERVAL\n";
        let told = told(&env(file, &[("FOO_OTHER", "1"), ("DC8_SSH_HOST", "x")]), |_| {});
        assert_eq!(
            told,
            [
                ".env:8: INTERVAL: has no `=`, so it is not set; write `INTERVAL=value`, or remove the line",
                ".env:1: FOO_SETTING: is not known, ignored",
                ".env:2: DC9_SSH_HOST: is ignored: MAPPINGS has no site `DC9`; map it, or remove the line",
                ".env:3: DC3_SRV5_COMMAND: is ignored: MAPPINGS has no pair `DC3_SRV5`; map it, or remove the line",
                ".env:5: TELEGRAM_TOKEN: is not known, ignored; did you mean `TELEGRAM_BOT_TOKEN`?",
                ".env:7: is not `KEY=value`, ignored; write `KEY=value`, or `#` before a comment",
            ]
        );
    }

    #[test]
    fn a_guard_this_version_lacks_stops_the_start_wherever_it_is_set() {
        let told = told(&env("WITNESSES=x\nAPI_TOKEN=\n", &[("API_TOKEN_FILE", "/x"), ("WITNESSES", "")]), |_| {});
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with(".env:1: WITNESSES: this version cannot honour it"), "{told:?}");
        assert!(told[1].starts_with("environment: API_TOKEN_FILE: this version cannot honour it"), "{told:?}");
    }

    #[test]
    fn numbered_keys_come_in_order_and_bad_numbers_are_not_among_them() {
        let env = env(
            "COMMAND_10=ten\nCOMMAND_2=two\nCOMMAND_02=no\nCOMMAND_1=no\nCOMMAND_2_MODE=no\n",
            &[("COMMAND_3", "three")],
        );
        let reader = Reader::new(&env, &nothing);
        let all: Vec<_> = reader.global().numbered(&COMMAND_K).into_iter().map(|(k, v)| (k, v.unwrap())).collect();
        assert_eq!(all, [(2, "two".to_owned()), (3, "three".to_owned()), (10, "ten".to_owned())]);
    }

    #[test]
    fn relations_between_values_are_told_at_the_line_of_the_value() {
        let env = env("\nMAX_INTERVAL=1\nMAX_INTERVAL=2\nCOMMAND_4=x\n", &[]);
        let told = told(&env, |reader| {
            reader.global().numbered_problem(&COMMAND_K, 4, "has no rung 3 below it", "fill the gap");
            reader.global().problem(&MAX_INTERVAL, "is below INTERVAL", "raise it");
            // The same again, from another pair.
            reader.global().problem(&MAX_INTERVAL, "is below INTERVAL", "raise it");
        });
        assert_eq!(
            told,
            [
                ".env:3: MAX_INTERVAL: is below INTERVAL; raise it",
                ".env:4: COMMAND_4: has no rung 3 below it; fill the gap",
                ".env:3: MAX_INTERVAL: is set again, and this line wins over line 2; remove one of them",
            ]
        );
    }

    #[test]
    fn a_nul_is_refused_before_it_reaches_a_command() {
        let env = Env::new(".env", b"MAX_INTERVAL=3\x000\n", BTreeMap::new());
        assert!(told(&env, |reader| assert_eq!(reader.global().get(&MAX_INTERVAL), None))[0].contains("NUL"));
    }
}
