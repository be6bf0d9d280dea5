//! What is to stand in the file, and the file itself. Each answer is read by the parser that will read it later.

use std::collections::BTreeMap;

use crate::config::{general, ladder, pace, server, site, telegram};
use crate::domain::name::{PairName, SiteName};
use crate::env::reference::assignment;
use crate::env::{Key, Redactor};

use super::Args;

/// Answers by key, as they will stand in the file.
#[derive(Default)]
pub struct Answers {
    values: BTreeMap<String, String>,
    /// The pairs, in the order they were given.
    pub pairs: Vec<PairName>,
    /// What holds for every SSH site that has nothing of its own: the end of the key, and its value.
    pub login: Option<(&'static str, String)>,
    /// Sites without an SSH host are this machine.
    pub local: bool,
}

/// Says what was expected, when a key cannot be read from this text.
pub fn wrong<T>(key: &Key<T>, text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("expected a value".to_owned());
    }
    (key.parse)(text).err()
}

impl Answers {
    /// Takes what the command line says; every mistake in it at once.
    pub fn of(args: &Args) -> Result<Self, Vec<String>> {
        let mut answers = Self { local: args.local, ..Self::default() };
        let mut bad = Vec::new();
        answers.flag(&mut bad, "--interval", &pace::INTERVAL, args.interval.as_deref());
        answers.flag(&mut bad, "--command", &ladder::COMMAND, args.command.as_deref());
        answers.flag(&mut bad, "--chat", &telegram::TELEGRAM_CHAT_ID, args.chat.as_deref());
        answers.flag(&mut bad, "--language", &general::LANGUAGE, args.language.as_deref());
        for text in &args.pair {
            if let Err(why) = answers.pair(text) {
                bad.push(format!("--pair: found `{}`, {why}", Redactor::default().mask(text)));
            }
        }
        for text in &args.site {
            let parts = text.split_once('=').and_then(|(name, host)| Some((SiteName::new(name).ok()?, host)));
            let done = match parts {
                Some((name, host)) => answers.host(&name, host),
                None => Err("expected DC3=user@host or DC3=user@host:port".to_owned()),
            };
            if let Err(why) = done {
                bad.push(format!("--site: found `{text}`, {why}"));
            }
        }
        if let Some(path) = &args.key {
            answers.login = Some(("SSH_KEY_PATH", absolute(path.as_ref())));
        }
        if let Some(path) = &args.password_file {
            answers.login = Some(("SSH_PASSWORD_FILE", absolute(path)));
        }
        if let Some(path) = &args.token_file {
            answers.set("TELEGRAM_BOT_TOKEN_FILE", absolute(path));
        }
        if bad.is_empty() { Ok(answers) } else { Err(bad) }
    }

    fn flag<T>(&mut self, bad: &mut Vec<String>, name: &str, key: &Key<T>, text: Option<&str>) {
        let Some(text) = text else { return };
        match wrong(key, text) {
            Some(expected) => bad.push(format!("{name}: found `{text}`, {expected}")),
            None => self.set(key.name, text.trim()),
        }
    }

    /// Takes `DC3:SRV4` or `DC3:SRV4=URL`.
    fn pair(&mut self, text: &str) -> Result<(), String> {
        let (name, url) = text.split_once('=').map_or((text, None), |(name, url)| (name, Some(url.trim())));
        let pair: PairName = name.parse().map_err(|why| format!("expected DC3:SRV4=http://…: {why}"))?;
        if let Some(url) = url {
            if let Some(expected) = wrong(&server::URL, url) {
                return Err(expected);
            }
            let key = format!("{}_{}", pair.server, server::URL.name);
            if self.get(&key).is_some_and(|other| other != url) {
                return Err(format!("but {} has another URL already", pair.server));
            }
            self.set(&key, url);
        }
        if self.pairs.contains(&pair) {
            return Err("it is there twice".to_owned());
        }
        self.pairs.push(pair);
        Ok(())
    }

    /// Takes `user@host[:port]` as the SSH host of a site.
    pub fn host(&mut self, name: &SiteName, text: &str) -> Result<(), String> {
        let (user, host, port) = (site::SSH_JUMP.parse)(text)?;
        self.set(&format!("{name}_SSH_HOST"), host);
        self.set(&format!("{name}_SSH_USERNAME"), user);
        if port != 22 {
            self.set(&format!("{name}_SSH_PORT"), port.to_string());
        }
        Ok(())
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), value.into());
    }

    /// Sets a key where there is an answer.
    pub fn set_if(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// Gives a key's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Every site, once, in order.
    pub fn sites(&self) -> Vec<SiteName> {
        let mut sites = Vec::new();
        for pair in &self.pairs {
            if !sites.contains(&pair.site) {
                sites.push(pair.site.clone());
            }
        }
        sites
    }

    /// The file, with a sentence before each part.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "# Written by `monitor init`. `monitor check` shows every key in force, `monitor check --online` tries them.\n\
             # All keys: docs/reference/configuration.md\n",
        );
        let mappings =
            self.pairs.iter().map(|pair| format!("{}:{}", pair.site, pair.server)).collect::<Vec<_>>().join(",");
        let mut part = |intro: &str, rows: Vec<(String, String)>| {
            if !rows.is_empty() {
                out.extend(["\n# ", intro, "\n"]);
            }
            for (key, value) in rows {
                out.push_str(&assignment(&key, &value));
                out.push('\n');
            }
        };
        let of = |keys: &[&str]| -> Vec<(String, String)> {
            keys.iter().filter_map(|key| Some(((*key).to_owned(), self.get(key)?.to_owned()))).collect()
        };
        part("Seconds between two checks of a healthy pair.", of(&["INTERVAL"]));
        part(
            "What is watched, as site:server: the site is where the command runs.",
            vec![("MAPPINGS".to_owned(), mappings)],
        );
        let mut servers: Vec<String> = Vec::new();
        for pair in &self.pairs {
            let key = format!("{}_URL", pair.server);
            if !servers.contains(&key) {
                servers.push(key);
            }
        }
        part("What is probed.", of(&servers.iter().map(String::as_str).collect::<Vec<_>>()));
        for site in self.sites() {
            let ends =
                ["LOCAL", "SSH_HOST", "SSH_PORT", "SSH_USERNAME", "SSH_KEY_PATH", "SSH_PASSWORD", "SSH_PASSWORD_FILE"];
            let keys: Vec<String> = ends.iter().map(|end| format!("{site}_{end}")).collect();
            part(
                &format!("Where the commands of {site} run."),
                of(&keys.iter().map(String::as_str).collect::<Vec<_>>()),
            );
        }
        part("What is run when a check says `down`.", of(&["COMMAND"]));
        part("Who is told.", of(&["TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN_FILE", "TELEGRAM_CHAT_ID"]));
        part("In which language.", of(&["LANGUAGE"]));
        out
    }
}

fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
