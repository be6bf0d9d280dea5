//! `Config` becomes the channels that notices go to.

use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;

use crate::config::{self, Config};
use crate::fetch::Roots;
use crate::heat;
use crate::message::Language;
use crate::notify::Channel;
use crate::notify::telegram::{Settings, Telegram};

/// What is said when Telegram's client cannot be built.
const UNBUILT: &str = "the Telegram channel cannot be built";

/// A channel and where the configuration says that it goes.
pub struct Configured {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// Its address: the chat.
    pub address: String,
}

/// Where and in which language people are told, for a front door that watches no pairs.
pub fn people(
    telegram: &config::telegram::Telegram,
    language: Language,
    roots: &Roots,
) -> anyhow::Result<heat::People> {
    // The kernel's own file: the same name as `hostname` says.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(heat::People {
        channel: Arc::new(Telegram::new(settings(telegram, roots)).context(UNBUILT)?),
        language,
        zone: TimeZone::system(),
        host: host.trim().to_owned(),
    })
}

fn settings(telegram: &config::telegram::Telegram, roots: &Roots) -> Settings {
    let mut settings = Settings::new(telegram.token.expose().to_owned().into(), telegram.chat.clone());
    settings.thread = telegram.thread;
    settings.api_url = Some(telegram.api_url.clone());
    settings.proxy = telegram.proxy.as_ref().map(|proxy| proxy.expose().to_owned().into());
    settings.tls = Some((*roots.tls()).clone());
    settings
}

/// Builds every channel; `moves` are chats that got another id, as channel, old and new.
pub fn build(config: &Config, roots: &Roots, moves: &[(String, String, String)]) -> anyhow::Result<Vec<Configured>> {
    let Some(telegram) = &config.telegram else { return Ok(Vec::new()) };
    let mut settings = settings(telegram, roots);
    settings.moved_to = moves
        .iter()
        .rev()
        .find(|(channel, from, _)| channel == crate::notify::telegram::KIND.name && *from == telegram.chat)
        .map(|(_, _, to)| to.clone());
    let channel = Telegram::new(settings).context(UNBUILT)?;
    Ok(vec![Configured { channel: Arc::new(channel), address: telegram.chat.clone() }])
}
