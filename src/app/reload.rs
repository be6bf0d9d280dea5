//! A reload: parse and check whole, then swap; on any mistake the old configuration stays.

use std::sync::{Arc, RwLock};

use jiff::tz::TimeZone;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::config::marks::Marks;
use crate::engine::handle::{Handle, Reloaded};
use crate::engine::narrate::Narrator;
use crate::env::Redactor;
use crate::message::Line;
use crate::probe::wire::Kit;

use super::agent::{current, voice};
use super::changes;
use super::discovery::Register;
use super::log::LogGuard;
use super::masks::Masks;
use super::plans::{self, Hosts};
use super::source::Source;
use super::systemd;

/// What cannot be swapped while we run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fixed {
    general: crate::config::General,
    telegram: Option<crate::config::telegram::Telegram>,
    port: Option<crate::config::Port>,
    log_file: std::path::PathBuf,
    log_json: bool,
    rotation: (f64, u32),
    /// The same, by the keys that say so.
    keys: Marks,
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let mut general = config.general.clone();
        // The language is swapped with the voice.
        general.language = crate::message::Language::En;
        Self {
            general,
            telegram: config.telegram.clone(),
            port: config.port.clone(),
            log_file: config.log.file.clone(),
            log_json: config.log.json,
            rotation: (config.log.max_size_mb, config.log.backups),
            keys: changes::fixed(&config.marks),
        }
    }
}

/// Reads the configuration again: parses and checks it whole, then swaps; on any mistake the old one stays.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) log: Option<Arc<LogGuard>>,
    pub(super) zone: TimeZone,
    pub(super) narrator: Arc<Narrator>,
    pub(super) redactor: Arc<RwLock<Redactor>>,
    /// Every secret so far, and what every key was at the last reload. Held through a whole reload: two at once would mix
    /// their halves.
    pub(super) masks: Mutex<(Masks, Marks)>,
    pub(super) kit: Kit,
    pub(super) hooks: reqwest::Client,
    pub(super) hosts: Arc<RwLock<Arc<Hosts>>>,
    pub(super) engine: Handle,
    pub(super) fixed: Fixed,
    pub(super) discovery: Arc<Register>,
}

/// What is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Everything.
    All,
    /// The list of `DISCOVERY_URL`, beside the file as it is in force.
    List,
}

/// Writes a report as a log has it: on one line, and without what holds at a start only.
fn on_one_line(report: &str) -> String {
    let mut text = String::new();
    for line in report.replacen(", nothing was started", "", 1).lines() {
        if !text.is_empty() {
            text.push_str(if text.ends_with(':') { " " } else { "; " });
        }
        text.push_str(line.trim());
    }
    text
}

impl Reloader {
    /// Reloads at each SIGHUP.
    pub(super) async fn on_hangup(self: Arc<Self>, mut hangup: mpsc::Receiver<()>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                asked = hangup.recv() => {
                    if asked.is_none() {
                        return;
                    }
                    // What went wrong is in the log.
                    let _ = self.clone().reload().await;
                }
            }
        }
    }

    /// Reloads now.
    pub(super) async fn reload(self: Arc<Self>) -> Result<Reloaded, String> {
        self.again(What::All).await
    }

    /// Takes a new list into force, and nothing else.
    pub(super) async fn relist(&self) -> Result<Reloaded, String> {
        self.again(What::List).await
    }

    async fn again(&self, what: What) -> Result<Reloaded, String> {
        let mut held = self.masks.lock().await;
        let (masks, before) = &mut *held;
        systemd::reloading();
        let outcome = self.try_reload(what, masks, before).await;
        if let Err(problems) = &outcome {
            self.narrator.error(&Line::ReloadRefused { problems: &on_one_line(problems) });
        }
        systemd::ready();
        outcome
    }

    async fn try_reload(&self, what: What, masks: &mut Masks, before: &mut Marks) -> Result<Reloaded, String> {
        let loaded = match what {
            What::All => self.source.load(),
            What::List => self.source.load_again(),
        };
        let loaded = loaded.map_err(|error| error.to_string())?;
        let Some(mut config) = loaded.config else { return Err(loaded.report.to_string()) };
        // The old secrets too: commands that run still use them, and so does what is read at start only.
        config.redactor = masks.learn(&config.secrets)?;
        // From here on both are masked, so this may stay when the rest is refused.
        if let Some(log) = &self.log {
            log.set_redactor(Arc::new(super::LogMask(config.redactor.clone())));
        }
        swap(&self.redactor, config.redactor.clone());
        let fixed = Fixed::of(&config);
        let restart = self.fixed.keys.changed(&fixed.keys);
        if what == What::All && fixed != self.fixed {
            let keys = restart.join(", ");
            tracing::warn!("read at start only, so restart the agent to use their new values: {keys}");
        }
        let hosts = Arc::new(Hosts::new(&config, &self.source.for_commands(), Some(&*current(&self.hosts))));
        let plans = plans::plans(&config, &hosts, &self.kit, &self.hooks);
        let pairs = plans.pairs.len();
        let reloaded = self.engine.reload(plans).await.map_err(|error| error.to_string())?;
        if let Some(Err(error)) = self.log.as_ref().map(|log| log.set_level(&config.log.level)) {
            tracing::error!("the log keeps its level: {}", crate::store::in_one_line(&error));
        }
        self.narrator.set_voice(voice(&config, &self.zone));
        // A host that is gone closes its sessions when the last command that runs there has ended.
        swap(&self.hosts, hosts);
        self.narrator.info(&Line::Reloaded { pairs });
        let keys = before.changed(&config.marks);
        before.clone_from(&config.marks);
        let told = changes::tell(reloaded, keys, restart, &config);
        self.discovery.taken_into_force(config.discovery);
        if what == What::All {
            self.discovery.acknowledged();
        }
        Ok(told)
    }
}

fn swap<T>(shared: &RwLock<T>, value: T) -> T {
    std::mem::replace(&mut *shared.write().unwrap_or_else(std::sync::PoisonError::into_inner), value)
}

#[cfg(test)]
mod tests {
    use super::on_one_line;

    #[test]
    fn a_refusal_stands_on_one_line_and_speaks_of_no_start() {
        let report = "2 problems in .env, nothing was started:\n  .env:2: A: early\n  .env:9: B: late\n1 warning:\n  .env:1: W: odd\n";
        let expected = "2 problems in .env: .env:2: A: early; .env:9: B: late; 1 warning: .env:1: W: odd";
        assert_eq!(on_one_line(report), expected);
        assert_eq!(on_one_line("cannot read .env: gone"), "cannot read .env: gone");
    }
}
