//! Where the configuration comes from: the one place that reads the process environment and `.env`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use secrecy::ExposeSecret;

use crate::config::{self, Channels, Loaded, Surroundings};
use crate::engine::clock::Clock;
use crate::env::{Env, Problem, Redactor, Report};
use crate::failover::{self, Standby};

use super::discovery::{self, Base, Held, Why};

/// Where to look for the configuration, again at each reload.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file; absent when there is none, then the process environment has to say everything.
    pub file: Option<PathBuf>,
    /// The file's name as people know it.
    pub name: String,
    /// The process environment at the start.
    process: BTreeMap<String, String>,
    form: Form,
    /// What belongs to the list of `DISCOVERY_URL`, for all clones alike.
    pub(super) held: Held,
}

/// What kind of file it is.
#[derive(Debug, Clone)]
enum Form {
    /// A `.env`.
    Env,
    /// The `config.json` of a standby machine, and the `.env` that was named beside it.
    Standby { beside: Option<PathBuf> },
}

/// Whether the environment asks for text without colour: `NO_COLOR` (<https://no-color.org>), or a terminal that is `dumb`.
pub fn wants_plain_text() -> bool {
    std::env::vars_os().any(|(key, value)| match key.to_str() {
        Some("NO_COLOR") => !value.is_empty(),
        Some("TERM") => value == "dumb",
        _ => false,
    })
}

/// The file that was named cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {source}; {hint}")]
pub struct Unreadable {
    name: String,
    source: io::Error,
    hint: &'static str,
}

impl Source {
    /// Looks for the file: the one that was named, else `./.env`, else `.env` beside the binary.
    pub fn find(named: Option<&Path>) -> Self {
        let process = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let beside = || std::env::current_exe().ok().and_then(|exe| exe.parent().map(|dir| dir.join(".env")));
        let file = named
            .map(Path::to_owned)
            .or_else(|| Some(PathBuf::from(".env")).filter(|file| file.exists()))
            .or_else(|| beside().filter(|file| file.exists()));
        let name = file.as_ref().map_or_else(|| ".env".to_owned(), |file| file.display().to_string());
        Self { file, name, process, form: Form::Env, held: Held::default() }
    }

    /// Takes the `config.json` of a standby machine; `beside` is a `.env` for what it does not say.
    pub fn standby(file: &Path, beside: Option<&Path>) -> Self {
        let form = Form::Standby { beside: beside.map(Path::to_owned) };
        let Self { process, .. } = Self::find(Some(file));
        let name = file.display().to_string();
        Self { name, file: Some(file.to_owned()), process, form, held: Held::default() }
    }

    /// Takes a text as the file, and nothing from the process environment; for the demo and for tests.
    pub fn of_file(file: PathBuf) -> Self {
        let name = file.display().to_string();
        Self { name, file: Some(file), process: BTreeMap::new(), form: Form::Env, held: Held::default() }
    }

    /// Reads everything.
    pub fn load(&self) -> Result<Loaded, Unreadable> {
        let Form::Env = self.form else {
            let env = match self.read(self.file.as_deref().unwrap_or(Path::new("")))? {
                Ok(env) => env,
                Err(report) => {
                    return Ok(Loaded { config: None, report, redactor: Redactor::default(), settings: Vec::new() });
                }
            };
            return Ok(config::load(&env, &|path| std::fs::read_to_string(path), &self.surroundings()));
        };
        let bytes = self.file.as_ref().map(|file| self.bytes(file)).transpose()?;
        let loaded = self.load_from(bytes.as_deref(), Why::Asked);
        self.held.loaded(bytes);
        Ok(loaded)
    }

    /// Reads everything but the file, which is as it was when what is in force was read: a new list must not bring into force
    /// what somebody has not finished writing.
    pub fn load_again(&self) -> Result<Loaded, Unreadable> {
        match self.held.in_force() {
            Some(Base::File(bytes)) => Ok(self.load_from(Some(bytes.expose_secret()), Why::NewList)),
            Some(Base::Environment) => Ok(self.load_from(None, Why::NewList)),
            None => self.load(),
        }
    }

    fn load_from(&self, bytes: Option<&[u8]>, why: Why) -> Loaded {
        let env = || match bytes {
            Some(bytes) => Env::new(&self.name, bytes, self.process.clone()),
            None => Env::without_file(self.process.clone()),
        };
        discovery::load(&env, why, &self.surroundings(), &self.held)
    }

    /// Reads only how people are told.
    pub fn people(&self) -> Result<(Option<config::People>, Report), Unreadable> {
        let env = match &self.file {
            None => Env::without_file(self.process.clone()),
            Some(file) => Env::new(&self.name, &self.bytes(file)?, self.process.clone()),
        };
        Ok(config::people(&env, &|path| std::fs::read_to_string(path)))
    }

    /// What the process brings along that configuration may lean on.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            ssh_agent: self.process.get("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(Into::into),
            zone: TimeZone::system(),
            now: Clock::System.now(),
            channels: match self.form {
                Form::Env => Channels::Required,
                Form::Standby { .. } => Channels::Optional,
            },
            listed: Vec::new(),
        }
    }

    /// Reads the file, and what it leans on.
    fn read(&self, file: &Path) -> Result<Result<Env, Report>, Unreadable> {
        let bytes = self.bytes(file)?;
        let Form::Standby { beside } = &self.form else {
            return Ok(Ok(Env::new(&self.name, &bytes, self.process.clone())));
        };
        let Standby { values, otherwise, env_file } = match failover::read(&self.name, &bytes) {
            Ok(standby) => standby,
            Err(report) => return Ok(Err(report)),
        };
        let beneath = match beside.clone().or_else(|| env_file.map(|path| beside_of(file, &path))) {
            Some(path) => {
                let name = path.display().to_string();
                let bytes = Self { name: name.clone(), ..self.clone() }.bytes(&path)?;
                Env::new(&name, &bytes, self.process.clone())
            }
            None => Env::without_file(self.process.clone()),
        };
        Ok(Ok(beneath.underlaid(&self.name, otherwise).overlaid(&self.name, values)))
    }

    /// The file that holds secrets.
    fn secrets(&self) -> Option<PathBuf> {
        let file = self.file.as_ref()?;
        match &self.form {
            Form::Env => Some(file.clone()),
            Form::Standby { beside: Some(beside) } => Some(beside.clone()),
            Form::Standby { beside: None } => {
                let standby = failover::read(&self.name, &std::fs::read(file).ok()?).ok()?;
                standby.env_file.map(|path| beside_of(file, &path))
            }
        }
    }

    /// `STATE_DIR` as far as it can be read; a configuration that is broken elsewhere does not hide it.
    pub fn state_dir(&self) -> PathBuf {
        let read = self.file.as_ref().and_then(|file| self.read(file).ok()?.ok());
        config::general::state_dir(&read.unwrap_or_else(|| Env::without_file(self.process.clone())))
    }

    /// What local commands start with; nothing else of our environment reaches them, it may hold secrets.
    pub fn for_commands(&self) -> Vec<(String, String)> {
        let keep = |name: &str| self.process.get(name).map(|value| (name.to_owned(), value.clone()));
        ["PATH", "HOME", "LANG", "USER"].into_iter().filter_map(keep).collect()
    }

    /// One variable of the process environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.process.get(name).map(String::as_str)
    }

    /// What only a look around can tell: who may read the file, whether key files are there, which targets of a list are
    /// left out.
    pub fn remarks(&self, loaded: &Loaded) -> Vec<Problem> {
        let mut remarks: Vec<Problem> = self.readable_by_others().into_iter().chain(self.held.remarks()).collect();
        if self.file.is_none() && loaded.report.is_broken() {
            let what = "there is no file `.env` in this folder, and none beside the binary";
            let hint = "`monitor init` writes one, --env-file names another";
            remarks.push(Problem::warning(crate::env::Place::Unset, "", what).hint(hint));
        }
        let Some(config) = &loaded.config else { return remarks };
        let place = |key: &str| {
            let setting = loaded.settings.iter().find(|setting| setting.key == key);
            setting.map_or(crate::env::Place::Unset, |setting| setting.place.clone())
        };
        for (name, site) in &config.sites {
            let config::Place::Ssh(ssh) = &site.place else { continue };
            let Some(path) = &ssh.key_path else { continue };
            let key = format!("{name}_SSH_KEY_PATH");
            // Opened, not only looked at: that is what a login will do.
            if let Err(error) = std::fs::File::open(path) {
                let what = format!("the key file cannot be read: {error}; no command can run on {name} until it can");
                let hint = "give the path of a private key that this user may read";
                let found = path.display().to_string();
                remarks.push(Problem::warning(place(&key), &key, what).found(&found).hint(hint));
            }
        }
        for (name, server) in &config.servers {
            let key = format!("{name}_URL");
            let Some(why) = server.target.program().and_then(|program| self.unstartable(program)) else { continue };
            let hint = "until it can be started, the checks of this server are blind";
            remarks.push(Problem::warning(place(&key), &key, why).hint(hint));
        }
        remarks
    }

    /// Why a program could not be started by a check, as far as a look at its file tells.
    fn unstartable(&self, program: &Path) -> Option<String> {
        let may_run = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        let shown = program.display();
        if program.components().count() > 1 || program.is_absolute() {
            let from = if program.is_relative() { ", looked for from the folder that the agent starts in" } else { "" };
            return (!may_run(program)).then(|| format!("`{shown}` is no program that may be executed{from}"));
        }
        let path = self.process.get("PATH")?;
        let found = std::env::split_paths(path).any(|folder| may_run(&folder.join(program)));
        (!found).then(|| format!("there is no program `{shown}` in any folder of PATH"))
    }

    fn bytes(&self, file: &Path) -> Result<Vec<u8>, Unreadable> {
        std::fs::read(file).map_err(|source| {
            let hint = match source.kind() {
                io::ErrorKind::NotFound => match self.form {
                    Form::Env => "check the path, or make one with `monitor init`",
                    Form::Standby { .. } => {
                        "check the path; docs/how-to/fail-over-to-a-standby.md shows what stands in it"
                    }
                },
                io::ErrorKind::PermissionDenied => "let this user read it, for example with chown",
                _ => "give --env-file a file that can be read",
            };
            Unreadable { name: self.name.clone(), source, hint }
        })
    }

    /// Says when others can read the file with the secrets.
    pub fn readable_by_others(&self) -> Option<Problem> {
        let file = self.secrets()?;
        let found = std::fs::metadata(&file).ok()?;
        let mode = found.permissions().mode();
        // Where root lends the file to our group, as the unit's installer does, the group is us.
        let ours = found.uid() == rustix::process::geteuid().as_raw();
        let spared = if ours { 0o077 } else { 0o007 };
        let name = file.display().to_string();
        let place = crate::env::Place::File { name: name.as_str().into(), line: None };
        (mode & spared != 0).then(|| {
            let what = format!("others on this machine can read the secrets in it (mode {:o})", mode & 0o777);
            Problem::warning(place, "", what).hint(format!("chmod 600 {name}"))
        })
    }
}

/// A path as it is meant in a file: from the folder of that file.
fn beside_of(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}
