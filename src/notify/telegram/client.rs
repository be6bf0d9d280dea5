//! What a bot needs to be told, and the HTTP client under it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use teloxide::Bot;
use teloxide::types::{ChatId, Recipient};
use url::Url;

/// Time of one request. teloxide waits ten seconds by itself after a 5xx before it reads the answer
/// (`DELAY_ON_SERVER_ERROR`), so anything below would call a sick server a slow one.
pub const TIMEOUT: Duration = Duration::from_secs(17);
/// Time to open a connection; a black hole must not use up all of [`TIMEOUT`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a bot needs to be told.
#[derive(Debug)]
pub struct Settings {
    /// `TELEGRAM_BOT_TOKEN`.
    pub token: SecretString,
    /// `TELEGRAM_CHAT_ID`: a number, or `@name` of a public channel.
    pub chat: String,
    /// The last [`Receipt::moved`](super::super::Receipt::moved) for this `chat`, if any.
    pub moved_to: Option<String>,
    /// `TELEGRAM_THREAD_ID`.
    pub thread: Option<i32>,
    /// `TELEGRAM_API_URL`, with or without a path; without it Telegram's own.
    pub api_url: Option<String>,
    /// `TELEGRAM_PROXY`: `http://…`, `https://…` or `socks5://…`, with or without a login. The proxy variables of the
    /// environment are ignored.
    pub proxy: Option<SecretString>,
    /// Time of one request; see [`Settings::new`].
    pub timeout: Duration,
    /// The roots to trust; without them the bundled ones.
    pub tls: Option<rustls::ClientConfig>,
}

impl Settings {
    /// Joins what is required; everything else has its default (17 s, Telegram's own API, no proxy, bundled roots).
    pub fn new(token: SecretString, chat: impl Into<String>) -> Self {
        Self {
            token,
            chat: chat.into(),
            moved_to: None,
            thread: None,
            api_url: None,
            proxy: None,
            timeout: TIMEOUT,
            tls: None,
        }
    }
}

/// Names the key that is wrong and what it should be. No value of a secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Not a token.
    #[error("TELEGRAM_BOT_TOKEN is not a token; @BotFather gives one such as `1234567890:AAF…`")]
    Token,
    /// Not a chat.
    #[error("TELEGRAM_CHAT_ID is neither a number such as `-1001234567890` nor the `@name` of a public channel")]
    Chat,
    /// Not a URL of an API.
    #[error("TELEGRAM_API_URL is not an http:// or https:// URL")]
    ApiUrl,
    /// Not a URL of a proxy.
    #[error("TELEGRAM_PROXY is not an http://, https:// or socks5:// URL")]
    Proxy,
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client for Telegram: {0}")]
    Client(String),
}

/// Reads `TELEGRAM_CHAT_ID`.
pub fn recipient(text: &str) -> Result<Recipient, BadSettings> {
    let text = text.trim();
    if let Ok(id) = text.parse() {
        return Ok(Recipient::Id(ChatId(id)));
    }
    let name = text.strip_prefix('@').ok_or(BadSettings::Chat)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { Ok(Recipient::ChannelUsername(text.to_owned())) } else { Err(BadSettings::Chat) }
}

/// True for groups and channels, which take fewer messages a minute; their ids are negative.
pub fn is_many(chat: &Recipient) -> bool {
    match chat {
        Recipient::Id(ChatId(id)) => *id < 0,
        Recipient::ChannelUsername(_) => true,
    }
}

/// Builds the bot over a client of its own.
pub fn bot(settings: Settings) -> Result<Bot, BadSettings> {
    let token = settings.token.expose_secret().trim();
    if token.is_empty() || token.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') {
        return Err(BadSettings::Token);
    }
    let mut builder = teloxide::net::default_reqwest_settings()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
        // The Bot API never redirects; whoever does would be handed the token.
        .redirect(reqwest_of_teloxide::redirect::Policy::none())
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(self::proxy(proxy.expose_secret())?);
    }
    if let Some(tls) = settings.tls {
        builder = builder.use_preconfigured_tls(tls);
    }
    let client = builder.build().map_err(|error| BadSettings::Client(error.without_url().to_string()))?;
    let bot = Bot::with_client(token, client);
    match &settings.api_url {
        Some(text) => Ok(bot.set_api_url(api_url(text)?)),
        None => Ok(bot),
    }
}

fn proxy(text: &str) -> Result<reqwest_of_teloxide::Proxy, BadSettings> {
    let url = Url::parse(text.trim()).map_err(|_| BadSettings::Proxy)?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => {
            reqwest_of_teloxide::Proxy::all(url.as_str()).map_err(|_| BadSettings::Proxy)
        }
        _ => Err(BadSettings::Proxy),
    }
}

/// teloxide appends `/bot<token>/…` to the path, panics on a URL without one, and makes `//bot` of a slash at its end.
fn api_url(text: &str) -> Result<Url, BadSettings> {
    let mut url = Url::parse(text.trim()).map_err(|_| BadSettings::ApiUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err(BadSettings::ApiUrl);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_a_number_or_a_public_name() {
        assert_eq!(recipient(" -1001234567890 "), Ok(Recipient::Id(ChatId(-1_001_234_567_890))));
        assert_eq!(recipient("@our_news"), Ok(Recipient::ChannelUsername("@our_news".into())));
        for bad in ["", "@", "our_news", "@our news", "12a"] {
            assert_eq!(recipient(bad), Err(BadSettings::Chat), "{bad}");
        }
    }

    #[test]
    fn a_slash_at_the_end_of_the_api_url_does_not_matter() {
        for text in ["https://a.example/tg", "https://a.example/tg/", "https://a.example/tg//?x=1#y"] {
            assert_eq!(api_url(text).unwrap().as_str(), "https://a.example/tg");
        }
        for bad in ["a.example", "mailto:a@b", "ftp://a.example"] {
            assert_eq!(api_url(bad), Err(BadSettings::ApiUrl), "{bad}");
        }
    }

    #[test]
    fn a_bad_proxy_or_token_is_named_without_its_value() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = |token: &str| Settings::new(token.to_owned().into(), "1");
        for bad in ["", "   ", "12:ab cd", "12:a/b"] {
            assert_eq!(bot(settings(bad)).unwrap_err(), BadSettings::Token);
        }
        for bad in ["ftp://u:hunter2@a.example", "socks5:", "hunter2"] {
            let error = bot(Settings { proxy: Some(bad.to_owned().into()), ..settings("1:a") }).unwrap_err();
            assert_eq!(error, BadSettings::Proxy);
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        assert!(
            bot(Settings { proxy: Some("socks5://u:p@127.0.0.1:1080".to_owned().into()), ..settings("1:a") }).is_ok()
        );
    }

    #[test]
    fn our_tls_settings_are_of_the_version_teloxides_client_takes() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let settings = Settings { tls: Some(tls), ..Settings::new("1:a".to_owned().into(), "1") };
        // A client that does not know the type refuses to be built.
        assert!(bot(settings).is_ok());
    }
}
