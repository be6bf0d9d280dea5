//! Masking at the sink: the configured secrets, whoever holds them, and bot tokens, always.
//!
//! Which strings are secret is `env`'s knowledge; it comes in as a [`Redact`].

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// Something that masks secrets in a text. It sees each value of an event raw, and then the finished line, so it must know
/// a secret both as it is and as JSON writes it.
pub trait Redact: Send + Sync {
    /// The text with every secret masked; borrowed when there was none.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str>;
}

impl<F> Redact for F
where
    F: for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync,
{
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self(text)
    }
}

/// The redactor in force; a reload puts another in its place.
pub(super) struct Swap(RwLock<Arc<dyn Redact>>);

impl Swap {
    pub(super) fn new(redactor: Arc<dyn Redact>) -> Self {
        Self(RwLock::new(redactor))
    }

    pub(super) fn set(&self, redactor: Arc<dyn Redact>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    /// Masks the secrets of the redactor in force, then anything that looks like a bot token.
    pub(super) fn mask(&self, text: &str) -> String {
        let redactor = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let masked = redactor.redact(text);
        mask_bot_tokens(&masked).into_owned()
    }
}

/// Shortest secret half of a token worth masking; Telegram's have 35 characters:
/// <https://core.telegram.org/bots/api#authorizing-your-bot>.
const TOKEN_SECRET: usize = 20;

/// Replaces the secret half of `bot123456:AbC…` by `***`, configured or not: the number is public, the rest opens the bot.
fn mask_bot_tokens(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("bot") {
        let (before, after) = rest.split_at(at + "bot".len());
        out.push_str(before);
        rest = after;
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = after.split_at(digits);
        let Some((colon, secret)) = [":", "%3A", "%3a"].iter().find_map(|c| Some((*c, tail.strip_prefix(c)?))) else {
            continue;
        };
        let length = secret.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
        if digits > 0 && length >= TOKEN_SECRET {
            out.push_str(number);
            out.push_str(colon);
            out.push_str("***");
            rest = secret.split_at(length).1;
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bot_token_never_survives_and_nothing_else_is_touched() {
        let token = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-_x";
        let cases = [
            (format!("https://api.telegram.org/bot{token}/getMe"), "https://api.telegram.org/bot110201543:***/getMe"),
            (format!("bots bot{token} bot{token}"), "bots bot110201543:*** bot110201543:***"),
            ("/bot1%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/x".to_owned(), "/bot1%3A***/x"),
            ("a robot: bot12:short, bot:, bot".to_owned(), "a robot: bot12:short, bot:, bot"),
            ("бот и bot7:ж".to_owned(), "бот и bot7:ж"),
        ];
        for (text, expected) in cases {
            assert_eq!(mask_bot_tokens(&text), expected);
        }
    }
}
