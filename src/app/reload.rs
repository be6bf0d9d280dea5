//! A reload: parse and check whole, then swap; on any mistake the old configuration stays.

use std::sync::{Arc, RwLock};

use jiff::tz::TimeZone;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::handle::{Handle, Reloaded};
use crate::engine::narrate::Narrator;
use crate::env::Redactor;
use crate::message::Line;
use crate::probe::wire::Kit;

use super::agent::{current, voice};
use super::log::{self, LogGuard};
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
    /// Held through a whole reload: two at once would mix their halves.
    pub(super) masks: Mutex<Masks>,
    pub(super) kit: Arc<Kit>,
    pub(super) hooks: reqwest::Client,
    pub(super) hosts: Arc<RwLock<Arc<Hosts>>>,
    pub(super) engine: Handle,
    pub(super) fixed: Fixed,
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
        let mut masks = self.masks.lock().await;
        systemd::reloading();
        let outcome = self.try_reload(&mut masks).await;
        if let Err(problems) = &outcome {
            self.narrator.error(&Line::ReloadRefused { problems });
        }
        systemd::ready();
        outcome
    }

    async fn try_reload(&self, masks: &mut Masks) -> Result<Reloaded, String> {
        let loaded = self.source.load().map_err(|error| error.to_string())?;
        let Some(mut config) = loaded.config else { return Err(loaded.report.to_string()) };
        log::check_level(&config.log.level).map_err(|error| crate::store::in_one_line(&error))?;
        // The old secrets too: commands that run still use them, and so does what is read at start only.
        config.redactor = masks.learn(&config.secrets)?;
        // From here on both are masked, so this may stay when the rest is refused.
        if let Some(log) = &self.log {
            log.set_redactor(Arc::new(super::LogMask(config.redactor.clone())));
        }
        swap(&self.redactor, config.redactor.clone());
        if Fixed::of(&config) != self.fixed {
            tracing::warn!(
                "STATE_DIR, STATE_FILE, DATABASE_URL, HEARTBEAT_URL, LISTEN, API_TOKEN, TELEGRAM_*, LOG_FILE, LOG_FORMAT, LOG_MAX_SIZE and \
                 LOG_BACKUP_COUNT are read at start only: restart the agent to use their new values"
            );
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
        Ok(reloaded)
    }
}

fn swap<T>(shared: &RwLock<T>, value: T) -> T {
    std::mem::replace(&mut *shared.write().unwrap_or_else(std::sync::PoisonError::into_inner), value)
}
