//! Telegram: one chat, through the Bot API. What its answers mean lives in `answer`, rate limits in `pace`, the
//! look at bot and chat in `check`.

mod answer;
mod check;
mod client;
pub mod pace;

use std::fmt;
use std::sync::Mutex;

use futures_util::future::{BoxFuture, FutureExt};
use secrecy::ExposeSecret;
use teloxide::Bot;
use teloxide::payloads::SendMessageSetters;
use teloxide::requests::{Request, Requester};
use teloxide::types::{ChatId, LinkPreviewOptions, MessageId, ParseMode, Recipient, ReplyParameters, ThreadId};

pub use self::client::{BadSettings, Settings};

use self::answer::{Answer, Reader};
use self::pace::Pace;
use super::{Channel, Finding, Kind, Outgoing, Receipt, Undelivered};

/// This kind.
pub const KIND: Kind = Kind { name: "telegram" };

/// One chat of one bot.
pub struct Telegram {
    bot: Bot,
    reader: Reader,
    configured: Recipient,
    /// Where we send now; differs from `configured` once the group became a supergroup.
    chat: Mutex<Recipient>,
    thread: Option<ThreadId>,
    pace: Pace,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bot's own Debug shows the token.
        f.debug_struct("Telegram").field("chat", &self.configured).finish_non_exhaustive()
    }
}

/// How a text is written: the ladder a message goes down when Telegram refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Plain,
    Minimal,
}

impl Telegram {
    /// Prepares the channel; nothing is sent yet.
    ///
    /// # Errors
    /// [`BadSettings`] names the key that is wrong.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let configured = client::recipient(&settings.chat)?;
        let chat = match &settings.moved_to {
            Some(moved) => client::recipient(moved)?,
            None => configured.clone(),
        };
        let pace = Pace::new(client::is_many(&configured));
        let proxy = settings.proxy.as_ref().map(|proxy| proxy.expose_secret().to_owned());
        let reader = Reader::new(settings.token.expose_secret(), proxy.as_deref(), &settings.chat);
        let thread = settings.thread.map(|id| ThreadId(MessageId(id)));
        Ok(Self { bot: client::bot(settings)?, reader, configured, chat: Mutex::new(chat), thread, pace })
    }

    async fn deliver(&self, out: &Outgoing) -> Result<Receipt, Undelivered> {
        let mut reply_to = out.reply_to.as_deref().and_then(|id| id.parse().ok()).map(MessageId);
        let mut refused = Undelivered::MessageRefused { why: "it has no text".to_owned() };
        let mut forms = [Form::Html, Form::Plain, Form::Minimal].into_iter().peekable();
        while let Some(form) = forms.peek().copied() {
            let text = match form {
                Form::Html => out.rich.to_html(),
                Form::Plain => out.rich.to_plain(),
                Form::Minimal => out.rich.minimal().to_owned(),
            };
            match self.send_following(&text, form, out.silent, reply_to).await {
                Answer::Taken { id } => return Ok(Receipt { message_ref: id.to_string(), moved: self.moved() }),
                // What nobody knows may be about the answer mark too: that costs the mark and not the message.
                Answer::ReplyGone | Answer::Unknown { .. } if reply_to.is_some() => reply_to = None,
                Answer::ReplyGone => {
                    let why = "Telegram misses a message that this one does not answer".to_owned();
                    return Err(Undelivered::Later { wait: None, why });
                }
                Answer::FormRefused { why } => {
                    refused = Undelivered::MessageRefused { why };
                    forms.next();
                }
                // Not known to be the text's fault: when even the pair's name and state are refused, it is not.
                Answer::Unknown { why } => {
                    refused = Undelivered::ChannelBroken { why };
                    forms.next();
                }
                Answer::Moved { .. } => {
                    let why = "the chat moved twice within one delivery".to_owned();
                    return Err(Undelivered::Later { wait: None, why });
                }
                Answer::Not(undelivered) => return Err(undelivered),
            }
        }
        Err(refused)
    }

    /// Sends, and once more to the new chat when the old one has moved.
    async fn send_following(&self, text: &str, form: Form, silent: bool, reply_to: Option<MessageId>) -> Answer {
        match self.send(text, form, silent, reply_to).await {
            Answer::Moved { to } => {
                self.set_chat(Recipient::Id(to));
                // Message ids do not survive the move.
                self.send(text, form, silent, None).await
            }
            answer => answer,
        }
    }

    async fn send(&self, text: &str, form: Form, silent: bool, reply_to: Option<MessageId>) -> Answer {
        self.pace.wait().await;
        let previews_off = LinkPreviewOptions {
            is_disabled: true,
            url: None,
            prefer_small_media: false,
            prefer_large_media: false,
            show_above_text: false,
        };
        let mut request =
            self.bot.send_message(self.chat(), text).disable_notification(silent).link_preview_options(previews_off);
        if form == Form::Html {
            request = request.parse_mode(ParseMode::Html);
        }
        if let Some(thread) = self.thread {
            request = request.message_thread_id(thread);
        }
        if let Some(id) = reply_to {
            request = request.reply_parameters(ReplyParameters::new(id).allow_sending_without_reply());
        }
        match request.send().await {
            Ok(message) => Answer::Taken { id: message.id.0 },
            Err(error) => self.reader.read(&error),
        }
    }

    fn chat(&self) -> Recipient {
        // A poisoned lock only means that another delivery panicked; the chat in it is whole.
        self.chat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set_chat(&self, chat: Recipient) {
        *self.chat.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = chat;
    }

    fn moved(&self) -> Option<String> {
        let chat = self.chat();
        (chat != self.configured).then(|| match chat {
            Recipient::Id(ChatId(id)) => id.to_string(),
            Recipient::ChannelUsername(name) => name,
        })
    }
}

impl Channel for Telegram {
    fn name(&self) -> &'static str {
        KIND.name
    }

    fn deliver<'a>(&'a self, out: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        self.deliver(out).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Vec<Finding>> {
        self.look().boxed()
    }
}
