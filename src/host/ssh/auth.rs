//! Logging in: key file, agent, password, keyboard-interactive, in this order, skipping what the server does not take.

use std::path::PathBuf;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use secrecy::{ExposeSecret, SecretString};

use super::handshake::Client;
use super::key::KeyFile;
use super::known_hosts::fingerprint;
use crate::host::HostError;

/// Keys of an agent that are offered: OpenSSH's `MaxAuthTries` is 6, and a key file and a password may want their turn.
const MAX_AGENT_KEYS: usize = 4;
/// Rounds of questions that a keyboard-interactive login may ask.
const MAX_ROUNDS: usize = 8;

/// What we can log in with.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) key: Option<KeyFile>,
    pub(super) agent: Option<PathBuf>,
    pub(super) password: Option<SecretString>,
}

/// One login in progress.
struct Login<'a> {
    handle: &'a mut Handle<Client>,
    user: &'a str,
    tried: Vec<String>,
    /// Methods that the server said it takes; `None` until it spoke.
    accepts: Option<Vec<MethodKind>>,
    /// Ways that got us one step further of several (`AuthenticationMethods publickey,password`).
    passed: Vec<String>,
}

/// How a login failed; the caller adds where.
pub(super) struct Denied {
    pub(super) tried: Vec<String>,
    pub(super) accepts: Vec<String>,
    pub(super) hung_up: bool,
}

pub(super) enum LoginError {
    Host(HostError),
    Denied(Denied),
}

impl From<HostError> for LoginError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// Logs in and says what let us in.
pub(super) async fn login(
    handle: &mut Handle<Client>,
    user: &str,
    credentials: &Credentials,
) -> Result<String, LoginError> {
    let mut login = Login { handle, user, tried: Vec::new(), accepts: None, passed: Vec::new() };
    // A key that cannot be opened is told only when nothing else lets us in.
    let mut key_trouble = None;
    if let Some(file) = &credentials.key {
        match login.key_file(file).await {
            Ok(true) => return Ok(login.said()),
            Ok(false) => {}
            Err(e) => key_trouble = Some(e),
        }
    }
    if let Some(socket) = &credentials.agent
        && login.agent(socket).await
    {
        return Ok(login.said());
    }
    if let Some(password) = &credentials.password
        && (login.password(password).await || login.keyboard(password).await)
    {
        return Ok(login.said());
    }
    if let Some(trouble) = key_trouble {
        return Err(trouble.into());
    }
    if login.tried.is_empty() {
        // Asking with nothing in hand tells us, and the person, what the server would take.
        let answer = login.handle.authenticate_none(user).await;
        if login.judge("no credentials".to_owned(), answer.ok()) {
            return Ok(login.said());
        }
    }
    Err(LoginError::Denied(Denied {
        tried: login.tried,
        accepts: login.accepts.unwrap_or_default().iter().map(String::from).collect(),
        hung_up: login.handle.is_closed(),
    }))
}

impl Login<'_> {
    fn said(&self) -> String {
        self.passed.join(" + ")
    }

    fn worth(&self, method: MethodKind) -> bool {
        !self.handle.is_closed() && self.accepts.as_ref().is_none_or(|accepts| accepts.contains(&method))
    }

    /// Notes the answer to one try; true when we are in. `None` is a try that the connection did not survive.
    fn judge(&mut self, what: String, answer: Option<AuthResult>) -> bool {
        self.tried.push(what.clone());
        match answer {
            Some(AuthResult::Success) => {
                self.passed.push(what);
                true
            }
            Some(AuthResult::Failure { remaining_methods, partial_success }) => {
                if partial_success {
                    self.passed.push(what);
                }
                if !remaining_methods.is_empty() {
                    self.accepts = Some(remaining_methods.to_vec());
                }
                false
            }
            None => false,
        }
    }

    async fn key_file(&mut self, file: &KeyFile) -> Result<bool, HostError> {
        let key = file.get().await?;
        let what = format!("key file {} ({})", file.path().display(), fingerprint(key.public_key()));
        let hash = if key.algorithm().is_rsa() { self.rsa_hash().await } else { None };
        let answer = self.handle.authenticate_publickey(self.user, PrivateKeyWithHashAlg::new(key, hash)).await;
        Ok(self.judge(what, answer.ok()))
    }

    /// The best hash that the server takes; SHA-512 where it does not say.
    async fn rsa_hash(&self) -> Option<HashAlg> {
        match self.handle.best_supported_rsa_hash().await {
            Ok(Some(hash)) => hash,
            Ok(None) | Err(_) => Some(HashAlg::Sha512),
        }
    }

    async fn agent(&mut self, socket: &PathBuf) -> bool {
        if !self.worth(MethodKind::PublicKey) {
            return false;
        }
        let Ok(mut agent) = AgentClient::connect_uds(socket).await else {
            self.tried.push(format!("agent (nothing answers at {})", socket.display()));
            return false;
        };
        let Ok(identities) = agent.request_identities().await else {
            self.tried.push("agent (it does not tell its keys)".to_owned());
            return false;
        };
        if identities.is_empty() {
            self.tried.push("agent (it holds no key)".to_owned());
        }
        for identity in identities.into_iter().take(MAX_AGENT_KEYS) {
            if !self.worth(MethodKind::PublicKey) {
                return false;
            }
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let what = format!("agent key {}", fingerprint(&key));
            let hash = if key.algorithm().is_rsa() { self.rsa_hash().await } else { None };
            let answer = self.handle.authenticate_publickey_with(self.user, key, hash, &mut agent).await;
            if self.judge(what, answer.ok()) {
                return true;
            }
        }
        false
    }

    async fn password(&mut self, password: &SecretString) -> bool {
        if !self.worth(MethodKind::Password) {
            return false;
        }
        let answer = self.handle.authenticate_password(self.user, password.expose_secret()).await;
        self.judge("password".to_owned(), answer.ok())
    }

    /// Answers hidden questions with the password, as many servers ask for it this way.
    async fn keyboard(&mut self, password: &SecretString) -> bool {
        if !self.worth(MethodKind::KeyboardInteractive) {
            return false;
        }
        let what = "keyboard-interactive".to_owned();
        let mut step = self.handle.authenticate_keyboard_interactive_start(self.user, None::<String>).await;
        for _ in 0..MAX_ROUNDS {
            match step {
                Ok(KeyboardInteractiveAuthResponse::Success) => return self.judge(what, Some(AuthResult::Success)),
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success }) => {
                    return self.judge(what, Some(AuthResult::Failure { remaining_methods, partial_success }));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    let hidden = |echo: bool| if echo { String::new() } else { password.expose_secret().to_owned() };
                    let answers = prompts.iter().map(|prompt| hidden(prompt.echo)).collect();
                    step = self.handle.authenticate_keyboard_interactive_respond(answers).await;
                }
                Err(_) => return self.judge(what, None),
            }
        }
        self.judge(what, None)
    }
}
