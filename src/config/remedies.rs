//! What a site does in place of a command: units of systemd, a signal, a web hook. It is rung 1 of the site's ladder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::env::{Group, Key, Scope, Scoped, Secret, value};
use crate::remedy::signal::{LONGEST_NAME, Order, SignalName, Sought};
use crate::remedy::systemd::{self, Action, Unit};
use crate::remedy::webhook::{DEFAULT, Header, Hook, Statuses, Template};

/// Units.
pub const SERVICES: Key<Vec<Unit>> = Key::new(Scope::Site, "SERVICES", units)
    .about(
        "systemd units, separated by commas, in the order in which they are started when a check says `down`; SERVICES_MODE tells what becomes of them afterwards.",
        "app.service,app-cleanup.timer",
    )
    .otherwise("none");
/// What is done with them.
pub const SERVICES_MODE: Key<Mode> = Key::new(Scope::Site, "SERVICES_MODE", |text| {
    value::word(text, &[("start-stop", Mode::StartStop), ("restart", Mode::Restart)])
})
.about("start-stop starts the units once when an incident begins and stops them in reverse order on recovery, for a stand-in that runs only meanwhile; restart restarts them at each failing check, for the broken service itself.", "restart")
.default("start-stop");
/// Process by its file.
pub const PID_FILE: Key<PathBuf> = Key::new(Scope::Site, "PID_FILE", absolute)
    .about(
        "File with the number of a process of this machine, which is sent SIGNAL; needs LOCAL=true.",
        "/run/nginx.pid",
    )
    .otherwise("none");
/// Process by its name.
pub const PROCESS: Key<String> = Key::new(Scope::Site, "PROCESS", process)
    .about("Name of the one process of this machine that is sent SIGNAL, as `ps -e -o comm` shows it; together with PID_FILE both must fit.", "nginx")
    .otherwise("none");
/// Signal.
pub const SIGNAL: Key<SignalName> = Key::new(Scope::Site, "SIGNAL", SignalName::parse)
    .about("Signal that is sent to the process of PID_FILE or PROCESS, by name or number.", "USR1")
    .default("HUP");
/// Hook.
pub const HOOK_URL: Key<Secret> = Key::new(Scope::Site, "HOOK_URL", hook)
    .about(
        "URL that is sent a POST when a check says `down`, http or https; redirects are not followed.",
        "https://deploy.example.com/hooks/restart",
    )
    .otherwise("none")
    .secret();
/// Body.
pub const HOOK_BODY: Key<Arc<Template>> = Key::new(Scope::Site, "HOOK_BODY", |text| Template::new(text.trim()).map(Arc::new))
    .about(
        "Body of the POST: JSON with the values {{ pair }} {{ site }} {{ server }} {{ attempt }} {{ rung }} {{ incident }} {{ run }}, which bring their own quotes.",
        "{\"ref\": \"main\", \"inputs\": {\"server\": {{ server }}}}",
    )
    .otherwise("a JSON object with all of them")
    .secret();
/// Header.
pub const HOOK_HEADER: Key<Header> = Key::new(Scope::Site, "HOOK_HEADER", header)
    .about("One more header of the POST, as `Name: value`.", "Authorization: Bearer 0123456789abcdef")
    .otherwise("none")
    .secret();
/// Statuses.
pub const HOOK_STATUS: Key<Statuses> = Key::new(Scope::Site, "HOOK_STATUS", Statuses::parse)
    .about("Statuses of the answer that mean success, single ones and ranges from 200 to 599.", "200,202-204")
    .default("200-299");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Other remedies",
    intro: "What a site does in place of a command, as rung 1 of its ladder: units of systemd, a signal, or a web hook. A site has one of them or {DC}_COMMAND; further rungs and the commands of single pairs stay commands.",
    keys: &[
        SERVICES.info(),
        SERVICES_MODE.info(),
        PID_FILE.info(),
        PROCESS.info(),
        SIGNAL.info(),
        HOOK_URL.info(),
        HOOK_BODY.info(),
        HOOK_HEADER.info(),
        HOOK_STATUS.info(),
    ],
};

/// What is done with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Started at the first failure of an incident, stopped on recovery.
    StartStop,
    /// Restarted at each failing check.
    Restart,
}

impl Mode {
    /// What is done at a failing check.
    pub fn action(self) -> Action {
        match self {
            Self::StartStop => Action::Start,
            Self::Restart => Action::Restart,
        }
    }
}

/// What a site does in place of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Something with units of its host.
    Units {
        /// In the order in which they are started.
        units: Vec<Unit>,
        /// What is done with them.
        mode: Mode,
    },
    /// A signal to a process of this machine.
    Signal(Order),
    /// A POST.
    Hook(Hook),
}

impl fmt::Display for Act {
    /// Writes what people read in place of a command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units { units, mode } => f.write_str(&systemd::line(mode.action(), units)),
            Self::Signal(order) => order.fmt(f),
            Self::Hook(hook) => hook.fmt(f),
        }
    }
}

impl Act {
    /// True when it is done once in an incident, and undone on recovery.
    pub fn is_once(&self) -> bool {
        matches!(self, Self::Units { mode: Mode::StartStop, .. })
    }

    /// What is done on recovery, as people read it: what was started for the incident is stopped.
    pub fn ending(&self) -> Option<String> {
        match self {
            Self::Units { units, mode: Mode::StartStop } => Some(systemd::line(Action::Stop, units)),
            Self::Units { mode: Mode::Restart, .. } | Self::Signal(_) | Self::Hook(_) => None,
        }
    }

    /// Parts of its secrets that may turn up alone: what stands behind the word of an `Authorization`, a long path.
    pub fn secrets(&self) -> Vec<Secret> {
        /// Characters of the shortest path that may be a password; `/health` must not be masked in every log line.
        const PATH: usize = 16;
        let Self::Hook(hook) = self else { return Vec::new() };
        let header = hook.header.as_ref().map(|header| header.value.expose());
        let bare = header.and_then(|value| value.split_once(' ')).map(|(_, bare)| bare.trim());
        let url = hook.address();
        let path = url.as_ref().map(|url| &url[url::Position::BeforePath..url::Position::AfterQuery]);
        let path = path.filter(|path| path.len() >= PATH);
        let body = hook.body.secrets();
        let body = body.iter().map(String::as_str);
        [header, bare, path].into_iter().flatten().chain(body).map(Secret::from).collect()
    }
}

/// The keys that name what is done: a site may set those of one line.
fn named(keys: &Scoped<'_>) -> Vec<&'static str> {
    let set = [
        (keys.set_by_user(&SERVICES), SERVICES.name),
        (keys.set_by_user(&PID_FILE), PID_FILE.name),
        (keys.set_by_user(&PROCESS) && !keys.set_by_user(&PID_FILE), PROCESS.name),
        (keys.set_by_user(&HOOK_URL), HOOK_URL.name),
    ];
    set.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
}

/// True when the site does something else than a command, well or badly said.
pub fn is_any(keys: &Scoped<'_>) -> bool {
    !named(keys).is_empty()
}

/// True when what the site does needs no host: a hook is elsewhere, a process is here.
pub fn is_hostless(keys: &Scoped<'_>) -> bool {
    named(keys).iter().any(|name| *name != SERVICES.name)
}

/// Reads what a site does. `None`: a problem was remembered; `Some(None)`: nothing but commands.
pub fn read(keys: &Scoped<'_>, command: &Key<String>, local: Option<bool>) -> Option<Option<Act>> {
    let mut named = named(keys);
    if keys.set_by_user(command) {
        named.push(command.name);
    }
    // Each is read, so that every mistake is told at once.
    let (units, mode) = (keys.optional(&SERVICES), keys.get(&SERVICES_MODE));
    let (pid_file, name, signal) = (keys.optional(&PID_FILE), keys.optional(&PROCESS), keys.get(&SIGNAL));
    let (url, body) = (keys.optional(&HOOK_URL), keys.optional(&HOOK_BODY));
    let (header, expected) = (keys.optional(&HOOK_HEADER), keys.get(&HOOK_STATUS));
    lonely(keys, &SERVICES_MODE, &[SERVICES.name]);
    lonely(keys, &SIGNAL, &[PID_FILE.name, PROCESS.name]);
    lonely(keys, &HOOK_BODY, &[HOOK_URL.name]);
    lonely(keys, &HOOK_HEADER, &[HOOK_URL.name]);
    lonely(keys, &HOOK_STATUS, &[HOOK_URL.name]);
    if let [first, .., last] = named.as_slice() {
        let what = format!("is set together with {}, and only one of them can be rung 1", keys.full(last));
        let hint = if *last == command.name {
            format!("remove one of them, or make the command {}_2", keys.full(command.name))
        } else {
            "remove one of them".to_owned()
        };
        match *first {
            "SERVICES" => keys.problem(&SERVICES, what, hint),
            "PID_FILE" => keys.problem(&PID_FILE, what, hint),
            "PROCESS" => keys.problem(&PROCESS, what, hint),
            _ => keys.problem(&HOOK_URL, what, hint),
        }
        return None;
    }
    let (pid_file, name) = (pid_file?, name?);
    if pid_file.is_some() || name.is_some() {
        if local == Some(false) {
            let what = "names a process of this machine, and this site is behind SSH";
            let hint = format!(
                "set {}=true, or use a command such as {}=pkill -HUP nginx",
                keys.full("LOCAL"),
                keys.full(command.name)
            );
            if pid_file.is_some() {
                keys.problem(&PID_FILE, what, hint);
            } else {
                keys.problem(&PROCESS, what, hint);
            }
            return None;
        }
        return Some(Some(Act::Signal(Order { signal: signal?, sought: Sought { pid_file, name } })));
    }
    if let Some(units) = units? {
        if !keys.set_by_user(&SERVICES_MODE) {
            let full = keys.full(SERVICES_MODE.name);
            let what = format!("names units that are stopped on recovery, because {full} is start-stop by default");
            let hint = format!(
                "set {full}=restart if they are the watched service, or {full}=start-stop if they stand in for it"
            );
            keys.warn(&SERVICES, what, hint);
        }
        return Some(Some(Act::Units { units, mode: mode? }));
    }
    let Some(url) = url? else { return Some(None) };
    let body = match body? {
        Some(body) => body,
        None => Arc::new(Template::new(DEFAULT).ok()?),
    };
    Some(Some(Act::Hook(Hook { url, body, header: header?, expected: expected? })))
}

/// Reports a key that means nothing without one of the others.
fn lonely<T>(keys: &Scoped<'_>, key: &Key<T>, others: &[&str]) {
    let named = named(keys);
    if keys.set_by_user(key) && !others.iter().any(|other| named.contains(other)) {
        let others = others.iter().map(|other| keys.full(other)).collect::<Vec<_>>().join(" or ");
        keys.problem(key, format!("is set, but {others} is not"), format!("set {others} too, or remove it"));
    }
}

/// Units of one site; more belong into a target.
const MOST_UNITS: usize = 32;

fn units(text: &str) -> Result<Vec<Unit>, String> {
    let (mut units, mut wrong) = (Vec::new(), Vec::new());
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match Unit::new(item) {
            Ok(unit) if units.contains(&unit) => wrong.push(format!("`{unit}` is there twice")),
            Ok(unit) => units.push(unit),
            Err(why) => wrong.push(why),
        }
    }
    if units.is_empty() && wrong.is_empty() {
        wrong.push("it names none".to_owned());
    }
    if units.len() > MOST_UNITS {
        wrong.push(format!("it names {}, at most {MOST_UNITS} can be; make a target of them", units.len()));
    }
    if wrong.is_empty() {
        Ok(units)
    } else {
        Err(format!("expected units of systemd such as app.service,app.timer: {}", wrong.join("; ")))
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = value::path(text)?;
    if path.is_absolute() { Ok(path) } else { Err("expected a whole path such as /run/nginx.pid".to_owned()) }
}

fn process(text: &str) -> Result<String, String> {
    let name = value::line(text)?;
    if name.len() > LONGEST_NAME || name.contains('/') {
        return Err(format!(
            "expected the name of a process without its path, at most {LONGEST_NAME} characters as the kernel keeps it; `ps -e -o comm` shows it"
        ));
    }
    Ok(name)
}

fn hook(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Secret::from(text)),
        _ => Err("expected a URL such as https://deploy.example.com/hooks/restart".to_owned()),
    }
}

/// Headers that the client writes itself: another value would break the request.
const OURS: &[&str] = &["host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"];

fn header(text: &str) -> Result<Header, String> {
    let expected = || "expected one header such as `Authorization: Bearer 0123456789abcdef`".to_owned();
    let (name, value) = text.trim().split_once(':').ok_or_else(expected)?;
    let name: http::HeaderName = name.trim().parse().map_err(|_| expected())?;
    let value = value.trim();
    if OURS.contains(&name.as_str()) {
        return Err(format!("expected another header than {name}, which belongs to the connection"));
    }
    if value.is_empty() || http::HeaderValue::from_str(value).is_err() {
        return Err(expected());
    }
    Ok(Header { name, value: Secret::from(value) })
}
