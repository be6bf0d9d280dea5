//! What an answer of the Bot API means for the caller. Its errors come as sentences; the ones known are those of
//! <https://github.com/tdlib/telegram-bot-api> and teloxide's `ApiError`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use teloxide::types::ChatId;
use teloxide::{ApiError, RequestError};

use super::super::Undelivered;
use crate::message::one_line;

/// Characters kept of what the other side says.
const MAX_WHY: usize = 200;

/// Longest wait that is taken from the other side: Telegram asks for seconds or minutes, and whatever stands in its place
/// must not silence the channel for days.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The message is in the chat.
    Taken { id: i32 },
    /// The chat has another id now.
    Moved { to: ChatId },
    /// The message this one answers is gone.
    ReplyGone,
    /// The text was refused; a plainer one may be taken.
    FormRefused { why: String },
    /// Refused for a reason we do not know; a plainer text may be taken.
    Unknown { why: String },
    /// Not now, or not at all.
    Not(Undelivered),
}

/// Reads answers, and keeps secrets out of what is said about them.
pub struct Reader {
    secrets: Vec<SecretString>,
    chat: String,
}

/// The part of an answer that is read when teloxide cannot read the whole.
#[derive(Deserialize)]
struct Raw {
    ok: bool,
    description: Option<String>,
    result: Option<RawResult>,
}

#[derive(Deserialize)]
struct RawResult {
    message_id: Option<i32>,
}

impl Reader {
    /// Remembers what must never be said: the token, its secret half, and the proxy's URL with its login.
    pub fn new(token: &str, proxy: Option<&str>, chat: &str) -> Self {
        let token = token.trim();
        let half = token.split_once(':').map(|(_, half)| half);
        let secrets = [Some(token), half, proxy.map(str::trim)].into_iter().flatten().filter(|s| !s.is_empty());
        Self { secrets: secrets.map(|s| s.to_owned().into()).collect(), chat: chat.trim().to_owned() }
    }

    /// Says what an error means.
    pub fn read(&self, error: &RequestError) -> Answer {
        match error {
            RequestError::Api(error) => self.api(error),
            RequestError::MigrateToChatId(to) => Answer::Moved { to: *to },
            RequestError::RetryAfter(wait) => {
                let why = format!("Telegram asks to wait {} s (too many messages)", wait.seconds());
                Answer::Not(Undelivered::Later { wait: Some(wait.duration().min(MAX_WAIT)), why })
            }
            RequestError::Network(error) => self.later(&format!("cannot reach Telegram: {}", network(error))),
            RequestError::InvalidJson { raw, .. } => self.unreadable(raw),
            RequestError::Io(error) => self.later(&format!("cannot reach Telegram: {error}")),
        }
    }

    /// Says what an error means to a person.
    pub fn why(&self, error: &RequestError) -> String {
        match self.read(error) {
            Answer::Taken { .. } => "the answer could not be read".to_owned(),
            Answer::Moved { to } => format!("the chat moved: put TELEGRAM_CHAT_ID={to} into .env"),
            Answer::ReplyGone => "a message is gone".to_owned(),
            Answer::FormRefused { why } | Answer::Unknown { why } => why,
            Answer::Not(undelivered) => undelivered.to_string(),
        }
    }

    fn api(&self, error: &ApiError) -> Answer {
        let said = self.said(&error.to_string());
        match error {
            ApiError::CantParseEntities(_)
            | ApiError::MessageIsTooLong
            | ApiError::EditedMessageIsTooLong
            | ApiError::MessageTextIsEmpty
            | ApiError::RequestEntityTooLarge => {
                Answer::FormRefused { why: format!("Telegram refused the text: {said}") }
            }
            ApiError::MessageToReplyNotFound | ApiError::MessageIdInvalid => Answer::ReplyGone,
            ApiError::InvalidToken => broken(
                "TELEGRAM_BOT_TOKEN was refused: ask @BotFather for the token and put it into .env; with a TELEGRAM_API_URL \
                 check that one too"
                    .to_owned(),
            ),
            ApiError::ChatNotFound => broken(format!(
                "Telegram does not know the chat {}: check TELEGRAM_CHAT_ID, add the bot to that chat, or send it /start in \
                 a private one",
                self.chat
            )),
            ApiError::BotBlocked | ApiError::CantInitiateConversation => broken(format!(
                "the user of chat {} has blocked the bot or never wrote to it ({said}): unblock it or send it /start",
                self.chat
            )),
            ApiError::BotKicked | ApiError::BotKickedFromSupergroup | ApiError::BotKickedFromChannel => {
                broken(format!("the bot was removed from chat {} ({said}): add it again", self.chat))
            }
            ApiError::UserDeactivated | ApiError::GroupDeactivated | ApiError::CantTalkWithBots => {
                broken(format!("chat {} cannot be written to ({said}): choose another TELEGRAM_CHAT_ID", self.chat))
            }
            ApiError::NotEnoughRightsToPostMessages => self.no_rights(&said),
            ApiError::Unknown(description) => self.described(description),
            // teloxide's names for answers to requests that we never make.
            _ => Answer::Unknown { why: format!("Telegram refused the message: {said}") },
        }
    }

    /// Reads a sentence that teloxide has no name for.
    fn described(&self, description: &str) -> Answer {
        let said = self.said(description);
        let lower = description.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        if has(&["message to be replied not found", "replied message not found", "reply message not found"]) {
            Answer::ReplyGone
        } else if has(&["thread not found", "topic_deleted", "topic_closed", "topic_id_invalid"]) {
            broken(format!(
                "the topic is gone or closed ({said}): set TELEGRAM_THREAD_ID to an open topic of chat {}, or remove it",
                self.chat
            ))
        } else if has(&["not enough rights", "have no rights", "need administrator rights", "write_forbidden"]) {
            self.no_rights(&said)
        } else if has(&["entit", "too long", "too_long", "must be encoded in utf-8", "text is empty"]) {
            Answer::FormRefused { why: format!("Telegram refused the text: {said}") }
        } else if lower.starts_with("unauthorized") {
            broken(format!(
                "TELEGRAM_BOT_TOKEN was refused ({said}): ask @BotFather for the token and put it into .env"
            ))
        } else if lower.starts_with("forbidden") {
            broken(format!("Telegram forbids the bot to write to chat {} ({said}): add the bot to the chat", self.chat))
        } else if lower.starts_with("bad request") {
            Answer::Unknown { why: format!("Telegram refused the message: {said}") }
        } else {
            self.later(&format!("Telegram cannot take messages now: {description}"))
        }
    }

    fn no_rights(&self, said: &str) -> Answer {
        broken(format!(
            "the bot may not write to chat {} ({said}): give it the right to send messages, in a channel make it an \
             administrator",
            self.chat
        ))
    }

    /// Reads an answer that teloxide cannot: a message that was taken must not be sent again only because its echo has
    /// a field of a newer Bot API.
    fn unreadable(&self, raw: &str) -> Answer {
        match serde_json::from_str(raw) {
            Ok(Raw { ok: true, result: Some(RawResult { message_id: Some(id) }), .. }) => Answer::Taken { id },
            Ok(Raw { ok: false, description: Some(description), .. }) => {
                match serde_json::from_value(serde_json::Value::String(description.clone())) {
                    Ok(error) => self.api(&error),
                    Err(_) => self.described(&description),
                }
            }
            Ok(_) | Err(_) => self.later(&format!(
                "this is not an answer of the Bot API (is there a proxy in between? is TELEGRAM_API_URL right?): {raw}"
            )),
        }
    }

    fn later(&self, why: &str) -> Answer {
        Answer::Not(Undelivered::Later { wait: None::<Duration>, why: self.said(why) })
    }

    /// Makes a text from outside fit to be said: no secrets, one line, capped.
    fn said(&self, text: &str) -> String {
        let clean =
            self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "***"));
        one_line(&clean, MAX_WHY)
    }
}

fn broken(why: String) -> Answer {
    Answer::Not(Undelivered::ChannelBroken { why })
}

/// Says what went wrong below HTTP. The error's own text holds the URL, and with it the token; its sources do not.
fn network(error: &Arc<reqwest_of_teloxide::Error>) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut reasons = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        reasons.push(cause.to_string());
        source = cause.source();
    }
    // The innermost source says it best ("connection refused"), the outer ones repeat it.
    reasons.pop().unwrap_or_else(|| "the connection failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";

    fn read(description: &str) -> Answer {
        let error = serde_json::from_value(serde_json::Value::String(description.to_owned())).unwrap();
        Reader::new(TOKEN, Some("socks5://u:hunter2@p"), "-100").read(&RequestError::Api(error))
    }

    #[test]
    fn each_refusal_means_what_the_caller_must_do() {
        let cases: &[(&str, &str)] = &[
            ("Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 3", "form"),
            ("Bad Request: message is too long", "form"),
            ("Bad Request: MESSAGE_TOO_LONG", "form"),
            ("Bad Request: text must be encoded in UTF-8", "form"),
            ("Bad Request: message text is empty", "form"),
            ("Bad Request: message to be replied not found", "reply"),
            ("Bad Request: reply message not found", "reply"),
            ("Bad Request: something new", "unknown"),
            ("Bad Request: chat not found", "TELEGRAM_CHAT_ID"),
            ("Bad Request: message thread not found", "TELEGRAM_THREAD_ID"),
            ("Bad Request: TOPIC_CLOSED", "TELEGRAM_THREAD_ID"),
            ("Bad Request: not enough rights to send text messages to the chat", "right to send"),
            ("Bad Request: have no rights to send a message", "right to send"),
            ("Bad Request: need administrator rights in the channel chat", "administrator"),
            ("Bad Request: CHAT_WRITE_FORBIDDEN", "right to send"),
            ("Forbidden: bot was blocked by the user", "/start"),
            ("Forbidden: bot can't initiate conversation with a user", "add the bot"),
            ("Forbidden: bot was kicked from the supergroup chat", "add it again"),
            ("Forbidden: bot was kicked from the channel chat", "add it again"),
            ("Forbidden: bot is not a member of the channel chat", "add the bot"),
            ("Forbidden: user is deactivated", "another TELEGRAM_CHAT_ID"),
            ("Unauthorized", "@BotFather"),
            ("Not Found", "@BotFather"),
            ("Internal Server Error", "later"),
            ("Bad Gateway", "later"),
            ("Too Many Requests", "later"),
        ];
        for (description, expected) in cases {
            match read(description) {
                Answer::FormRefused { .. } => assert_eq!(*expected, "form", "{description}"),
                Answer::ReplyGone => assert_eq!(*expected, "reply", "{description}"),
                Answer::Unknown { .. } => assert_eq!(*expected, "unknown", "{description}"),
                Answer::Not(Undelivered::Later { .. }) => assert_eq!(*expected, "later", "{description}"),
                Answer::Not(Undelivered::ChannelBroken { why }) => {
                    assert!(why.contains(expected), "{description}: {why}");
                }
                other => panic!("{description}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_other_side_says_is_cleaned_of_secrets_and_tricks() {
        let said = format!(
            "Bad Request: /bot{TOKEN}/x AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P socks5://u:hunter2@p\n\x1b[2J{}",
            "x".repeat(9000)
        );
        let Answer::Unknown { why } = read(&said) else { panic!("not unknown") };
        assert!(!why.contains("AAFm") && !why.contains("hunter2") && !why.chars().any(char::is_control), "{why}");
        assert!(why.chars().count() < 300, "{why}");
    }

    #[test]
    fn a_message_that_was_taken_is_not_sent_again_because_its_echo_is_unreadable() {
        let reader = Reader::new(TOKEN, None, "1");
        assert_eq!(reader.unreadable(r#"{"ok":true,"result":{"message_id":7,"new":[]}}"#), Answer::Taken { id: 7 });
        let refused = reader.unreadable(r#"{"ok":false,"description":"Bad Request: chat not found","parameters":{}}"#);
        assert!(matches!(refused, Answer::Not(Undelivered::ChannelBroken { .. })), "{refused:?}");
        let page = reader.unreadable("<html>Bad gateway</html>");
        assert!(matches!(page, Answer::Not(Undelivered::Later { .. })), "{page:?}");
    }
}
