//! `Config` becomes the channels that notices go to.

use std::sync::Arc;

use anyhow::Context;

use crate::config::Config;
use crate::fetch::Roots;
use crate::notify::Channel;
use crate::notify::telegram::{Settings, Telegram};

/// A channel and where the configuration says that it goes.
pub struct Configured {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// Its address: the chat.
    pub address: String,
}

/// Builds every channel; `moves` are chats that got another id, as channel, old and new.
pub fn build(config: &Config, roots: &Roots, moves: &[(String, String, String)]) -> anyhow::Result<Vec<Configured>> {
    let Some(telegram) = &config.telegram else { return Ok(Vec::new()) };
    let mut settings = Settings::new(telegram.token.expose().to_owned().into(), telegram.chat.clone());
    settings.moved_to = moves
        .iter()
        .rev()
        .find(|(channel, from, _)| channel == crate::notify::telegram::KIND.name && *from == telegram.chat)
        .map(|(_, _, to)| to.clone());
    settings.thread = telegram.thread;
    settings.api_url = Some(telegram.api_url.clone());
    settings.proxy = telegram.proxy.as_ref().map(|proxy| proxy.expose().to_owned().into());
    settings.tls = Some((*roots.tls()).clone());
    let channel = Telegram::new(settings).context("the Telegram channel cannot be built")?;
    Ok(vec![Configured { channel: Arc::new(channel), address: telegram.chat.clone() }])
}
