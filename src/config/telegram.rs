//! The Telegram channel.

use super::Channels;
use crate::env::{Group, Key, Scope, Scoped, Secret, value};

/// The bot's token.
pub const TELEGRAM_BOT_TOKEN: Key<Secret> = Key::new(Scope::Global, "TELEGRAM_BOT_TOKEN", token)
    .about("The bot's token, from @BotFather.", "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P")
    .required()
    .secret();
/// The chat.
pub const TELEGRAM_CHAT_ID: Key<String> = Key::new(Scope::Global, "TELEGRAM_CHAT_ID", chat)
    .about("The chat that is told: a number (negative for groups), or @channelname.", "-1001234567890")
    .required();
/// The topic.
pub const TELEGRAM_THREAD_ID: Key<i32> =
    Key::new(Scope::Global, "TELEGRAM_THREAD_ID", |text| value::whole(text, &(1..=i32::MAX)))
        .about("The topic inside a forum group.", "42")
        .otherwise("none");
/// Another Bot API server.
pub const TELEGRAM_API_URL: Key<String> = Key::new(Scope::Global, "TELEGRAM_API_URL", http)
    .about("A self-hosted Bot API server, http or https, a path is allowed.", "http://localhost:8081")
    .default("https://api.telegram.org");
/// A proxy.
pub const TELEGRAM_PROXY: Key<Secret> = Key::new(Scope::Global, "TELEGRAM_PROXY", proxy)
    .about(
        "A proxy on the way to Telegram: http://, https:// or socks5://, with user and password if it wants them.",
        "socks5://user:password@proxy.example.com:1080",
    )
    .otherwise("none")
    .secret();

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Telegram",
    intro: "Who is told.",
    keys: &[
        TELEGRAM_BOT_TOKEN.info(),
        TELEGRAM_CHAT_ID.info(),
        TELEGRAM_THREAD_ID.info(),
        TELEGRAM_API_URL.info(),
        TELEGRAM_PROXY.info(),
    ],
};

/// Where notices go in Telegram.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// The bot's token.
    pub token: Secret,
    /// The chat.
    pub chat: String,
    /// The topic.
    pub thread: Option<i32>,
    /// The Bot API server.
    pub api_url: String,
    /// A proxy on the way.
    pub proxy: Option<Secret>,
}

/// Reads the section; the inner absence means that there is no such channel, and that there need not be one.
pub fn read(global: &Scoped<'_>, channels: Channels) -> Option<Option<Telegram>> {
    let anything = global.set_by_user(&TELEGRAM_BOT_TOKEN) || global.set_by_user(&TELEGRAM_CHAT_ID);
    if channels == Channels::Optional && !anything {
        return Some(None);
    }
    let (token, chat, thread) =
        (global.get(&TELEGRAM_BOT_TOKEN), global.get(&TELEGRAM_CHAT_ID), global.optional(&TELEGRAM_THREAD_ID));
    let (api_url, proxy) = (global.get(&TELEGRAM_API_URL), global.optional(&TELEGRAM_PROXY));
    Some(Some(Telegram { token: token?, chat: chat?, thread: thread?, api_url: api_url?, proxy: proxy? }))
}

fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    let whole = text.split_once(':').filter(|(id, key)| {
        !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_digit())
            && key.len() >= 20
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    });
    whole
        .map(|_| Secret::from(text))
        .ok_or_else(|| "expected a token as @BotFather gives it, digits:letters".to_owned())
}

fn chat(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if text.parse::<i64>().is_ok() || text.strip_prefix('@').is_some_and(name) {
        return Ok(text.to_owned());
    }
    Err("expected a chat's number such as -1001234567890, or @channelname".to_owned())
}

fn http(text: &str) -> Result<String, String> {
    let expected = || "expected an http:// or https:// URL".to_owned();
    let url = url::Url::parse(text.trim()).map_err(|_| expected())?;
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
    fits.then(|| text.trim().to_owned()).ok_or_else(expected)
}

fn proxy(text: &str) -> Result<Secret, String> {
    let expected = || "expected a proxy such as socks5://proxy.example.com:1080".to_owned();
    let url = url::Url::parse(text.trim()).map_err(|_| expected())?;
    let fits = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host();
    fits.then(|| Secret::from(text.trim())).ok_or_else(expected)
}
