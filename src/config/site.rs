//! One site: where its commands run, and how we log in there.

use std::path::PathBuf;

use crate::domain::name::ServerName;
use crate::env::{Group, Key, Scope, Scoped, Secret, value};
use crate::host::{HostKeyPolicy, Jump};

use super::witness::{self, Witnesses};
use super::{Act, Surroundings, ladder, remedies};

/// Policy for unknown host keys.
pub const SSH_HOST_KEYS: Key<HostKeyPolicy> = Key::new(Scope::Global, "SSH_HOST_KEYS", |text| {
    value::word(text, &[("accept-new", HostKeyPolicy::AcceptNew), ("strict", HostKeyPolicy::Strict)])
})
.about("How an unknown host key is met: accept-new stores it in STATE_DIR/known_hosts and says so loudly, strict refuses it. A changed key is always refused.", "strict")
.default("accept-new");
/// Host.
pub const SSH_HOST: Key<String> =
    Key::new(Scope::Site, "SSH_HOST", host).about("Name or address of the SSH host.", "dc3.example.com").required();
/// User.
pub const SSH_USERNAME: Key<String> =
    Key::new(Scope::Site, "SSH_USERNAME", value::line).about("User to log in as.", "admin").required();
/// Port.
pub const SSH_PORT: Key<u16> =
    Key::new(Scope::Site, "SSH_PORT", value::port).about("Port of the SSH server, 1 to 65535.", "2222").default("22");
/// Password.
pub const SSH_PASSWORD: Key<Secret> = Key::new(Scope::Site, "SSH_PASSWORD", value::secret)
    .about("Password; also answers keyboard-interactive prompts.", "mysecretpassword")
    .otherwise("none")
    .secret();
/// Key file.
pub const SSH_KEY_PATH: Key<PathBuf> = Key::new(Scope::Site, "SSH_KEY_PATH", value::path)
    .about("Private key file, in any format OpenSSH writes.", "/path/to/key.pem")
    .otherwise("none")
    .typical();
/// Passphrase.
pub const SSH_KEY_PASSPHRASE: Key<Secret> = Key::new(Scope::Site, "SSH_KEY_PASSPHRASE", value::secret)
    .about("Passphrase of the private key file.", "correct horse battery staple")
    .otherwise("none")
    .secret();
/// Pin.
pub const SSH_HOST_KEY: Key<String> = Key::new(Scope::Site, "SSH_HOST_KEY", pin)
    .about(
        "Fingerprint of the one host key that is accepted, as `ssh-keygen -lf` prints it.",
        "SHA256:uNiVztksCsDhcc0u9e8BrHQVQ8VzDeG7e8N5wQ1Yw3k",
    )
    .otherwise("see SSH_HOST_KEYS");
/// Jump host.
pub const SSH_JUMP: Key<(String, String, u16)> = Key::new(Scope::Site, "SSH_JUMP", jump)
    .about("Host to go through, logged in to with the same key or password.", "admin@bastion.example.com:22")
    .otherwise("none");
/// Local.
pub const LOCAL: Key<bool> = Key::new(Scope::Site, "LOCAL", value::flag)
    .about("Run this site's commands on this machine instead of over SSH.", "true")
    .default("false");

/// A second look.
pub const CROSS_CHECK: Key<bool> = Key::new(Scope::Site, "CROSS_CHECK", value::flag)
    .about("Before anything is run, ask the same URL from this site's own host: what answers there is not healed, because only our route to it is broken; a host that gives no answer in time holds the first command of an outage, and no later one. What stands after the `?` of a URL and a login are left out, because users of that host see its command lines; the rest they see. The host needs curl or wget for HTTP, nc or bash for TCP, ping for ICMP, openssl for TLS, dig for DNS.", "true")
    .default("false");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Sites",
    intro: "Where commands run: an SSH host for every site of MAPPINGS, or this machine. A site without a password and without a key file logs in through a running ssh-agent.",
    keys: &[
        SSH_HOST.info(),
        SSH_USERNAME.info(),
        SSH_PORT.info(),
        SSH_PASSWORD.info(),
        SSH_KEY_PATH.info(),
        SSH_KEY_PASSPHRASE.info(),
        SSH_HOST_KEY.info(),
        SSH_JUMP.info(),
        LOCAL.info(),
        CROSS_CHECK.info(),
        SSH_HOST_KEYS.info(),
    ],
};

/// One site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where its commands run.
    pub place: Place,
    /// What it does in place of a command.
    pub act: Option<Act>,
    /// Whether a failure is looked at from there too.
    pub cross_check: bool,
    /// Who has to answer before anything there is believed to be down.
    pub witnesses: Option<Witnesses>,
}

/// Where commands run.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// On this machine.
    Local,
    /// Over SSH.
    Ssh(Box<Ssh>),
    /// Nowhere: what the site does needs no host, and none was given.
    Nowhere,
}

/// How an SSH host is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Ssh {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub username: String,
    /// Password.
    pub password: Option<Secret>,
    /// Private key file.
    pub key_path: Option<PathBuf>,
    /// Its passphrase.
    pub key_passphrase: Option<Secret>,
    /// The socket of a running ssh-agent, used where neither password nor key file is set.
    pub agent: Option<PathBuf>,
    /// The one fingerprint that is accepted.
    pub pin: Option<String>,
    /// Host to go through.
    pub jump: Option<Jump>,
}

/// Reads one site.
pub fn read(global: &Scoped<'_>, keys: &Scoped<'_>, around: &Surroundings) -> Option<Site> {
    let (local, cross_check) = (keys.get(&LOCAL), keys.get(&CROSS_CHECK));
    let (act, witnesses) = (remedies::read(keys, &ladder::SITE_COMMAND, local), witness::of_site(global, keys));
    let place = place(keys, local?, around);
    if cross_check == Some(true) && place == Some(Place::Nowhere) {
        let hint =
            format!("set {} and a login, or {}=true, or take it out", keys.full(SSH_HOST.name), keys.full(LOCAL.name));
        keys.problem(&CROSS_CHECK, "is on, and this site has no host that could look", hint);
    }
    Some(Site { place: place?, act: act?, cross_check: cross_check?, witnesses: witnesses? })
}

fn place(keys: &Scoped<'_>, local: bool, around: &Surroundings) -> Option<Place> {
    if local {
        return Some(Place::Local);
    }
    if remedies::is_hostless(keys) && !keys.set_by_user(&SSH_HOST) && !keys.set_by_user(&SSH_USERNAME) {
        return Some(Place::Nowhere);
    }
    let (host, username, port) = (keys.get(&SSH_HOST), keys.get(&SSH_USERNAME), keys.get(&SSH_PORT));
    let (password, key_path) = (keys.optional(&SSH_PASSWORD), keys.optional(&SSH_KEY_PATH));
    let (key_passphrase, pin, jump) =
        (keys.optional(&SSH_KEY_PASSPHRASE), keys.optional(&SSH_HOST_KEY), keys.optional(&SSH_JUMP));
    let (password, key_path) = (password?, key_path?);
    let mut agent = None;
    if password.is_none() && key_path.is_none() {
        agent.clone_from(&around.ssh_agent);
        if agent.is_none() {
            let hint = format!(
                "set {}, {}, or start the agent with SSH_AUTH_SOCK",
                keys.full("SSH_PASSWORD"),
                keys.full("SSH_KEY_PATH")
            );
            keys.problem(&SSH_KEY_PATH, "is not set and neither is a password: there is no way to log in", hint);
            return None;
        }
    }
    if key_passphrase.as_ref()?.is_some() && key_path.is_none() {
        let hint = format!("set {} too, or remove the passphrase", keys.full("SSH_KEY_PATH"));
        keys.problem(&SSH_KEY_PASSPHRASE, "is set, but there is no key file", hint);
    }
    let jump = jump?.map(|(username, host, port)| Jump { username, host, port });
    Some(Place::Ssh(Box::new(Ssh {
        host: host?,
        port: port?,
        username: username?,
        password,
        key_path,
        key_passphrase: key_passphrase?,
        agent,
        pin: pin?,
        jump,
    })))
}

/// Reports that a command was given and no host where it could run.
pub fn missing_host(keys: &Scoped<'_>) {
    let hint = format!(
        "set {} and a login, or {}=true, or leave the site to {} alone",
        keys.full(SSH_HOST.name),
        keys.full(LOCAL.name),
        keys.full(remedies::HOOK_URL.name)
    );
    keys.problem(&SSH_HOST, "is not set, and this site has commands beside its hook", hint);
}

/// Says that a look from the site asks less than the check does.
pub fn lesser_look(keys: &Scoped<'_>, server: &ServerName) {
    let what = format!("leaves out what stands after the `?` of {server}_URL: users of the host see its command lines");
    let hint = "turn it off if the answer depends on that, or a failure that it alone shows is never healed";
    keys.warn(&CROSS_CHECK, what, hint);
}

/// Says that a second look cannot be had for `server`.
pub fn no_look(keys: &Scoped<'_>, server: &ServerName) {
    let what = format!("does nothing for {server}: no shell of another machine can ask what its URL and settings ask");
    let hint = format!("see the page of its kind, or know that a failure of the route to {server} alone is healed");
    keys.warn(&CROSS_CHECK, what, hint);
}

fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if !bare.is_empty() && bare.chars().all(plain) && !bare.starts_with('-') {
        return Ok(bare.to_owned());
    }
    Err("expected a host name or address without scheme, user or port, such as dc3.example.com".to_owned())
}

fn pin(text: &str) -> Result<String, String> {
    let text = text.trim();
    let hash = text.strip_prefix("SHA256:").map(|hash| hash.trim_end_matches('='));
    match hash {
        Some(hash) if hash.len() == 43 && hash.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/')) => {
            Ok(format!("SHA256:{hash}"))
        }
        _ => Err("expected a fingerprint such as SHA256:… (43 characters), as `ssh-keygen -lf` prints it".to_owned()),
    }
}

fn jump(text: &str) -> Result<(String, String, u16), String> {
    let expected = || "expected user@host or user@host:port".to_owned();
    let (user, rest) = text.trim().split_once('@').filter(|(user, _)| !user.is_empty()).ok_or_else(expected)?;
    let (name, number) = match rest.rsplit_once(':') {
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => (name, value::port(number)?),
        _ => (rest, 22),
    };
    Ok((user.to_owned(), host(name).map_err(|_| expected())?, number))
}
