//! What belongs to the whole agent: its language, its folder, its store, its heartbeat, its state file.

use std::path::{Path, PathBuf};

use crate::env::{Env, Group, Key, Reader, Scope, Scoped, Secret, value};
use crate::message::Language;

use super::discovery;

/// Language.
pub const LANGUAGE: Key<Language> = Key::new(Scope::Global, "LANGUAGE", |text| {
    value::word(text, &[("en", Language::En), ("ru", Language::Ru), ("ko", Language::Ko)])
})
.about("Language of messages and of the log: en, ru or ko.", "ru")
.default("en")
.ambient();
/// Folder.
pub const STATE_DIR: Key<PathBuf> = Key::new(Scope::Global, "STATE_DIR", value::path)
    .about("Folder of what must survive a restart: the store, the audit, known hosts, the control socket. One agent per folder.", "/var/lib/monitor")
    .default(".");
/// Store.
pub const DATABASE_URL: Key<Secret> = Key::new(Scope::Global, "DATABASE_URL", database)
    .about(
        "The store: sqlite://path or postgres://user:password@host/name.",
        "postgres://monitor:password@db.example.com/monitor",
    )
    .otherwise("sqlite://{STATE_DIR}/monitor.db")
    .secret();
/// Heartbeat.
pub const HEARTBEAT_URL: Key<Secret> = Key::new(Scope::Global, "HEARTBEAT_URL", heartbeat)
    .about(
        "URL that is asked once a minute while the agent is well, so that somebody else notices when it is not.",
        "https://hc-ping.com/your-check",
    )
    .otherwise("off")
    .secret();
/// One word for other programs.
pub const STATE_FILE: Key<PathBuf> = Key::new(Scope::Global, "STATE_FILE", value::path)
    .about(
        "File that always holds one word about the one pair of MAPPINGS, for other programs: unknown until it was seen, then active_alive or active_dead.",
        "/run/monitor_state",
    )
    .otherwise("none is written");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Agent",
    intro: "What belongs to the whole agent.",
    keys: &[LANGUAGE.info(), STATE_DIR.info(), DATABASE_URL.info(), HEARTBEAT_URL.info(), STATE_FILE.info()],
};

/// What belongs to the whole agent.
#[derive(Debug, Clone, PartialEq)]
pub struct General {
    /// Language of messages and log.
    pub language: Language,
    /// Folder of what must survive.
    pub state_dir: PathBuf,
    /// The store's URL.
    pub database_url: Secret,
    /// Who is told that we are well.
    pub heartbeat: Option<Secret>,
    /// Where the one word about the one pair is written.
    pub state_file: Option<PathBuf>,
}

/// Reads the section; `pairs` are as many as MAPPINGS names, if it can be read and no others come and go.
pub fn read(global: &Scoped<'_>, pairs: Option<usize>) -> Option<General> {
    let (language, state_dir) = (global.get(&LANGUAGE), global.get(&STATE_DIR));
    let (database_url, heartbeat) = (global.optional(&DATABASE_URL), global.optional(&HEARTBEAT_URL));
    let state_file = global.optional(&STATE_FILE);
    if let (Some(Some(_)), Some(pairs)) = (&state_file, pairs)
        && pairs != 1
    {
        let what = format!("holds one word about one pair, and MAPPINGS names {pairs}");
        global.problem(&STATE_FILE, what, "map one pair, or remove STATE_FILE");
    }
    if let Some(Some(_)) = &state_file
        && discovery::is_on(global)
    {
        let what = "holds one word about one pair, and with DISCOVERY_URL pairs come and go";
        global.problem(&STATE_FILE, what, "remove STATE_FILE or DISCOVERY_URL");
    }
    let state_dir = state_dir?;
    let database_url = database_url?.unwrap_or_else(|| default_store(&state_dir));
    Some(General { language: language?, database_url, heartbeat: heartbeat?, state_file: state_file?, state_dir })
}

/// Reads `STATE_DIR` alone.
pub fn state_dir(env: &Env) -> PathBuf {
    let reader = Reader::new(env, &|path| std::fs::read_to_string(path));
    reader.global().get(&STATE_DIR).unwrap_or_else(|| ".".into())
}

fn default_store(state_dir: &Path) -> Secret {
    Secret::new(format!("sqlite://{}", state_dir.join("monitor.db").display()))
}

fn database(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    let known = ["sqlite:", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(Secret::from(text));
    }
    Err("expected sqlite://path or postgres://user:password@host/name".to_owned())
}

fn heartbeat(text: &str) -> Result<Secret, String> {
    let url =
        url::Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(|_| Secret::from(text.trim())).ok_or_else(|| "expected an http:// or https:// URL".to_owned())
}
