//! Looks at the bot and its chat without sending a message.

use teloxide::requests::Requester;
use teloxide::types::{ChatFullInfo, ChatMember, ChatMemberKind};

use super::super::Finding;
use super::Telegram;
use crate::message::one_line;

/// Characters kept of a bot's name or a chat's title; Telegram's own limit for titles is 128.
const MAX_TITLE: usize = 128;

impl Telegram {
    /// Asks who the bot is, which chat it writes to, and whether it may.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let me = match self.bot.get_me().await {
            Ok(me) => me,
            Err(error) => return vec![bad(self.reader.why(&error))],
        };
        let mut findings = vec![good(format!("the bot is @{}", one_line(me.username(), MAX_TITLE)))];
        let chat = match self.bot.get_chat(self.chat()).await {
            Ok(chat) => chat,
            Err(error) => {
                findings.push(bad(self.reader.why(&error)));
                return findings;
            }
        };
        findings.push(good(format!("the chat is {}", described(&chat))));
        if !chat.is_private() {
            findings.push(match self.bot.get_chat_member(self.chat(), me.id).await {
                Ok(member) => may_write(&chat, &member),
                Err(error) => bad(self.reader.why(&error)),
            });
        }
        findings
    }
}

fn described(chat: &ChatFullInfo) -> String {
    let kind = if chat.is_private() {
        "a private chat"
    } else if chat.is_channel() {
        "a channel"
    } else if chat.is_supergroup() {
        "a supergroup"
    } else {
        "a group"
    };
    match chat.title().or(chat.username()) {
        Some(title) => format!("{kind}, \"{}\"", one_line(title, MAX_TITLE)),
        None => kind.to_owned(),
    }
}

fn may_write(chat: &ChatFullInfo, member: &ChatMember) -> Finding {
    let may = match &member.kind {
        ChatMemberKind::Owner(_) => true,
        ChatMemberKind::Administrator(rights) => !chat.is_channel() || rights.can_post_messages,
        ChatMemberKind::Member(_) => {
            !chat.is_channel() && chat.permissions().is_none_or(|everybody| everybody.can_send_messages())
        }
        ChatMemberKind::Restricted(rights) => rights.can_send_messages,
        ChatMemberKind::Left | ChatMemberKind::Banned(_) => false,
    };
    if may {
        good("the bot may write there".to_owned())
    } else if member.is_present() {
        bad("the bot may not write there: give it the right to send messages, in a channel make it an administrator"
            .to_owned())
    } else {
        bad("the bot is not in the chat: add it".to_owned())
    }
}

fn good(text: String) -> Finding {
    Finding { ok: true, text }
}

fn bad(text: String) -> Finding {
    Finding { ok: false, text }
}
