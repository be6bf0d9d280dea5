//! Floor 3: where notices go, one file (or folder) per kind.
//!
//! A channel takes one message and says what became of it. Order, retries and what is on disk live in `engine`; words
//! live in `message`.

pub mod telegram;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::message::Rich;

/// A kind of channel.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word used in configuration, records and logs.
    pub name: &'static str,
}

/// Every kind, in the order the reference lists them.
pub const KINDS: &[Kind] = &[telegram::KIND];

/// One message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it says.
    pub rich: Rich,
    /// True for repeats: no sound, no vibration.
    pub silent: bool,
    /// The [`Receipt::message_ref`] of the message this one answers.
    pub reply_to: Option<String>,
}

/// A message was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The channel's own name of the message, for [`Outgoing::reply_to`].
    pub message_ref: String,
    /// Where the channel delivers to, as long as that is not what the configuration says (a group became a supergroup).
    /// The caller keeps it and tells people to update the configuration.
    pub moved: Option<String>,
}

/// A message was not taken. Whatever a channel says about it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It may work later, without anybody's help: keep the message at the head of the queue and try again.
    #[error("{why}")]
    Later {
        /// How long the other side asked us to wait; without it the caller's own backoff counts.
        wait: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// Nothing goes through this channel until a person changes something: keep every message, say it once, and try
    /// again slowly (every ten minutes), so that the change needs no restart.
    #[error("{why}")]
    ChannelBroken {
        /// What happened, and what to do.
        why: String,
    },
    /// This message was refused even in its least form, and others would be taken: give it up and go on with the next.
    #[error("{why}")]
    MessageRefused {
        /// What happened.
        why: String,
    },
}

/// What a channel found out about itself without sending anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// False when messages would not get through.
    pub ok: bool,
    /// What was found, and what to do when it is not well.
    pub text: String,
}

/// A place where notices go.
pub trait Channel: Send + Sync {
    /// Gives the name of its kind.
    fn name(&self) -> &'static str;

    /// Sends one message and waits for the answer, at most for the channel's own time limit plus its rate limits.
    ///
    /// # Errors
    /// [`Undelivered`] says what the caller does next. A message whose answer was lost may arrive twice.
    fn deliver<'a>(&'a self, out: &'a Outgoing) -> BoxFuture<'a, Result<Receipt, Undelivered>>;

    /// Looks whether messages would get through, for `check --online`; sends none.
    fn check(&self) -> BoxFuture<'_, Vec<Finding>>;
}
