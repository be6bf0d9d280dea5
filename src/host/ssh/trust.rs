//! Whether a host's key is the right one: pin, file of known hosts, policy; and the words for it when it is not.

use std::path::Path;

use russh::keys::PublicKey;

use super::known_hosts::{self, Records, Standing, fingerprint, kind};
use super::{HostKeyPolicy, SshSite};
use crate::host::{HostError, KeyTrouble};

/// What the file of known hosts says about this site's host.
pub(super) async fn read_records(site: &SshSite) -> Result<Records, HostError> {
    let (path, host, port) = (site.known_hosts.clone(), site.host.clone(), site.port);
    let read = tokio::task::spawn_blocking(move || known_hosts::read(&path, &host, port)).await;
    let records = read.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(|source| no_file(site, source))?;
    for (line, why) in &records.broken {
        tracing::warn!(file = %site.known_hosts.display(), line, "a line of the known hosts is skipped: {why}");
    }
    Ok(records)
}

fn no_file(site: &SshSite, source: std::io::Error) -> HostError {
    HostError::KnownHosts { path: site.known_hosts.clone(), source }
}

/// Writes down the key of a host that we meet for the first time. Only now, when the handshake is over, is it certain that
/// the server holds the key.
pub(super) async fn learn(site: &SshSite, key: &PublicKey) -> Result<(), HostError> {
    let (path, host, port, learned) = (site.known_hosts.clone(), site.host.clone(), site.port, key.clone());
    let learning = tokio::task::spawn_blocking(move || known_hosts::learn(&path, &host, port, &learned)).await;
    let standing =
        learning.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(|source| no_file(site, source))?;
    match standing {
        Standing::Unknown => {
            tracing::warn!(
                site = site.name,
                host = site.address(),
                fingerprint = fingerprint(key),
                file = %site.known_hosts.display(),
                "first contact with {}: its {} host key {} is trusted from now on; compare it with \
                 `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on the host, and set {}_SSH_HOST_KEY to pin it",
                site.address(),
                key.algorithm(),
                fingerprint(key),
                kind(&key.algorithm()),
                site.name,
            );
            Ok(())
        }
        Standing::Known => Ok(()),
        // Another session met another key in the same moment.
        Standing::Changed { .. } | Standing::Revoked { .. } => {
            let records = read_records(site).await?;
            match Trust::new(site, records).judge(key) {
                Some(refusal) => Err(refusal),
                None => Ok(()),
            }
        }
    }
}

/// What we know of a host's key when it shows one.
pub(super) struct Trust {
    site: String,
    host: String,
    port: u16,
    address: String,
    pin: Option<String>,
    policy: HostKeyPolicy,
    file: String,
    records: Records,
}

impl Trust {
    pub(super) fn new(site: &SshSite, records: Records) -> Self {
        Self {
            site: site.name.clone(),
            host: site.host.clone(),
            port: site.port,
            address: site.address(),
            pin: site.host_key_pin.clone(),
            policy: site.host_keys,
            file: path_text(&site.known_hosts),
            records,
        }
    }

    /// The reason not to go on, if there is one. A pin wins over the file; `@revoked` wins over both.
    pub(super) fn judge(&self, key: &PublicKey) -> Option<HostError> {
        let offered = fingerprint(key);
        let standing = self.records.standing(key);
        if let Standing::Revoked { line } = standing {
            let text = format!(
                "the host key of {} is marked @revoked in {} line {line}: {offered}. Nothing was sent; \
                 whoever revoked it knows why, give the host a new key",
                self.address, self.file
            );
            return Some(self.trouble(HostError::HostKeyChanged, key, text));
        }
        if let Some(pin) = &self.pin {
            return (!same_fingerprint(pin, &offered)).then(|| {
                let text =
                    format!("{} It is pinned to {pin} by {}_SSH_HOST_KEY.", self.alarm(key, &offered), self.site);
                self.trouble(HostError::HostKeyChanged, key, text)
            });
        }
        match (standing, self.policy) {
            (Standing::Changed { line }, _) => {
                let expected = self.trusted().join(", ");
                let target = if self.port == 22 { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) };
                let text = format!(
                    "{} Expected {expected}, recorded in {} line {line}. If the change is right, run `monitor trust {}` \
                     or remove the line (`ssh-keygen -R '{target}' -f {}`).",
                    self.alarm(key, &offered),
                    self.file,
                    self.site,
                    self.file
                );
                Some(self.trouble(HostError::HostKeyChanged, key, text))
            }
            (Standing::Unknown, HostKeyPolicy::Strict) => {
                let text = format!(
                    "the host key of {} is not known and SSH_HOST_KEYS=strict: it shows {} {offered}. Compare it with \
                     `ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub` on the host; if it is right, set {}_SSH_HOST_KEY={offered} \
                     or run `monitor trust {}`",
                    self.address,
                    key.algorithm(),
                    kind(&key.algorithm()),
                    self.site,
                    self.site
                );
                Some(self.trouble(HostError::HostKeyUnknown, key, text))
            }
            _ => None,
        }
    }

    fn alarm(&self, key: &PublicKey, offered: &str) -> String {
        format!(
            "REMOTE HOST IDENTIFICATION HAS CHANGED! {} shows the {} key {offered}. Either the host got a new key, \
             or somebody sits between (man in the middle): nothing was sent, ask whoever runs the host.",
            self.address,
            key.algorithm()
        )
    }

    fn trusted(&self) -> Vec<String> {
        match &self.pin {
            Some(pin) => vec![pin.clone()],
            None => self.records.keys.iter().map(|(_, key)| fingerprint(key)).collect(),
        }
    }

    fn trouble(&self, wrap: fn(Box<KeyTrouble>) -> HostError, key: &PublicKey, text: String) -> HostError {
        wrap(Box::new(KeyTrouble {
            address: self.address.clone(),
            offered: fingerprint(key),
            algorithm: key.algorithm(),
            trusted: self.trusted(),
            text,
        }))
    }
}

/// Fingerprints as people paste them: with or without the prefix and the padding.
fn same_fingerprint(pin: &str, shown: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("SHA256:").trim_end_matches('=').to_owned();
    bare(pin) == bare(shown)
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
