//! Private key files: read once, opened off the runtime's threads, and named for what they are when they are no private keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{PrivateKey, decode_secret_key};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::host::HostError;
use crate::host::output::one_line;

/// No key file that OpenSSH writes is larger; a log or a disk image given by mistake is.
const MAX_FILE: u64 = 64 * 1024;

/// A key file and, after its first use, the key. An encrypted key costs a third of a second to open, so it is opened once;
/// a failure is not kept, for the file may be put right while we run.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    passphrase: Option<SecretString>,
    opened: Mutex<Option<Arc<PrivateKey>>>,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf, passphrase: Option<SecretString>) -> Self {
        Self { path, passphrase, opened: Mutex::new(None) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn get(&self) -> Result<Arc<PrivateKey>, HostError> {
        let mut opened = self.opened.lock().await;
        if let Some(key) = &*opened {
            return Ok(key.clone());
        }
        let (path, passphrase) = (self.path.clone(), self.passphrase.clone());
        let read = tokio::task::spawn_blocking(move || open(&path, passphrase.as_ref())).await;
        let key = read
            .unwrap_or_else(|_| Err(trouble("reading it failed badly", "make a new key with `ssh-keygen -t ed25519`")));
        let key = Arc::new(key.map_err(|(why, fix)| HostError::Key { path: self.path.clone(), why, fix })?);
        *opened = Some(key.clone());
        Ok(key)
    }
}

type Trouble = (String, String);

fn trouble(why: impl Into<String>, fix: impl Into<String>) -> Trouble {
    (why.into(), fix.into())
}

fn open(path: &Path, passphrase: Option<&SecretString>) -> Result<PrivateKey, Trouble> {
    let name = path.display();
    let unreadable = |e: std::io::Error| {
        let fix = match e.kind() {
            std::io::ErrorKind::NotFound => {
                "check SSH_KEY_PATH; a relative path starts where the agent was started".to_owned()
            }
            std::io::ErrorKind::PermissionDenied => "give it to the user the agent runs as, mode 0600".to_owned(),
            _ => "check the path and the disk".to_owned(),
        };
        (format!("it cannot be read: {e}"), fix)
    };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(trouble("it is not a file", "name the private key file itself"));
    }
    if about.len() > MAX_FILE {
        return Err(trouble("it is too large for a key", "name the private key file, for example ~/.ssh/id_ed25519"));
    }
    let text = SecretString::from(String::from_utf8_lossy(&std::fs::read(path).map_err(unreadable)?).into_owned());
    let text = text.expose_secret().trim_start_matches('\u{FEFF}').replace('\r', "");
    if let Some(trouble) = not_a_private_key(&text, &name.to_string()) {
        return Err(trouble);
    }
    decode(&text, passphrase, &name.to_string())
}

fn decode(text: &str, passphrase: Option<&SecretString>, name: &str) -> Result<PrivateKey, Trouble> {
    let encrypted_pem = text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("\nDEK-Info:");
    let openssh = text.contains("-----BEGIN OPENSSH PRIVATE KEY-----");
    if text.contains("\nDEK-Info:") && !(text.contains("BEGIN RSA") && text.contains("\nDEK-Info: AES-128-CBC,")) {
        return Err(trouble(
            "it is an old PEM key whose encryption we do not read",
            format!("rewrite it in OpenSSH's own format: `ssh-keygen -p -f {name}`"),
        ));
    }
    if encrypted_pem && passphrase.is_none() {
        return Err(no_passphrase());
    }
    // A passphrase beside a key that needs none is no mistake; PKCS#8 would take it for one.
    let given = passphrase.filter(|_| encrypted_pem || openssh).map(ExposeSecret::expose_secret);
    decode_secret_key(text, given).map_err(|e| match e {
        russh::keys::Error::KeyIsEncrypted => no_passphrase(),
        _ if encrypted_pem => wrong_passphrase(name),
        russh::keys::Error::SshKey(russh::keys::ssh_key::Error::Crypto) if given.is_some() => wrong_passphrase(name),
        other => trouble(
            format!("it is damaged or of a kind we do not know ({})", one_line(other.to_string().as_bytes(), 120)),
            format!("try `ssh-keygen -y -f {name}`: if that fails too, make a new key"),
        ),
    })
}

fn no_passphrase() -> Trouble {
    trouble(
        "it is encrypted and no passphrase is given",
        "set SSH_KEY_PASSPHRASE of this site, or add the key to an agent",
    )
}

fn wrong_passphrase(name: &str) -> Trouble {
    trouble("the passphrase does not open it", format!("check SSH_KEY_PASSPHRASE with `ssh-keygen -y -f {name}`"))
}

/// Files that people give by mistake, and what to do about each.
fn not_a_private_key(text: &str, name: &str) -> Option<Trouble> {
    let text = text.trim_start();
    let first = text.split_whitespace().next().unwrap_or_default();
    if text.is_empty() {
        return Some(trouble("the file is empty", "make a key with `ssh-keygen -t ed25519` or copy it again"));
    }
    if text.starts_with("PuTTY-User-Key-File-") {
        let fix = format!("convert it: `puttygen {name} -O private-openssh -o {name}.openssh`, and name the new file");
        return Some(trouble("it is a PuTTY key (.ppk)", fix));
    }
    if first.ends_with("-cert-v01@openssh.com") {
        return Some(trouble("it is a certificate, not a private key", "name the private key file that it belongs to"));
    }
    let public = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|kind| first.starts_with(kind))
        || text.starts_with("---- BEGIN SSH2 PUBLIC KEY")
        || text.contains("-----BEGIN PUBLIC KEY-----")
        || text.contains("-----BEGIN RSA PUBLIC KEY-----");
    if public {
        let private =
            name.strip_suffix(".pub").map_or("the file without `.pub`".to_owned(), |name| format!("`{name}`"));
        return Some(trouble("it is a public key, not a private one", format!("name the private half, {private}")));
    }
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Some(trouble("it is a TLS certificate, not an SSH key", "name an SSH private key"));
    }
    if text.contains("-----BEGIN DSA PRIVATE KEY-----") {
        return Some(trouble(
            "it is a DSA key, which servers no longer accept",
            "make a new key: `ssh-keygen -t ed25519`",
        ));
    }
    if !text.contains("PRIVATE KEY-----") {
        return Some(trouble("it is not a private key", "name the private key file, for example ~/.ssh/id_ed25519"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_given_by_mistake_are_named_for_what_they_are() {
        for (text, expected) in [
            ("", "empty"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
            ("ssh-ed25519 AAAA me@here\n", "public key"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA\n", "certificate"),
            ("-----BEGIN CERTIFICATE-----\n", "TLS certificate"),
            ("hello\n", "not a private key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "damaged"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key");
            std::fs::write(&path, text).unwrap();
            let (why, fix) = open(&path, None).unwrap_err();
            assert!(format!("{why}; {fix}").contains(expected), "{text:?}: {why}; {fix}");
        }
    }
}
