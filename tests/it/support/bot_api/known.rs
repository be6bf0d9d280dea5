//! The bot and the chats that the stand-in knows, as the Bot API writes them.

use serde_json::{Value, json};

use super::{CHANNEL, PERSON};

pub fn bot() -> Value {
    json!({ "id": 1_234_567_890, "is_bot": true, "first_name": "Watch", "username": "our_watch_bot", "can_join_groups": true,
            "can_read_all_group_messages": false, "supports_inline_queries": false, "has_main_web_app": false })
}

pub fn short_info(chat: &str) -> Value {
    match chat {
        PERSON => json!({ "id": 4242, "type": "private", "first_name": "Ann" }),
        CHANNEL => json!({ "id": -1_009_999, "type": "channel", "title": "News", "username": "our_news" }),
        id => json!({ "id": id.parse::<i64>().unwrap(), "type": "supergroup", "title": "Duty" }),
    }
}

pub fn full_info(chat: &str) -> Value {
    let mut info = short_info(chat);
    let more = json!({ "accent_color_id": 0, "max_reaction_count": 11,
                       "accepted_gift_types": { "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false, "premium_subscription": false } });
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    info
}

pub fn member(chat: &str) -> Value {
    let user = bot();
    if chat == CHANNEL {
        json!({ "user": user, "status": "left" })
    } else {
        json!({ "user": user, "status": "member" })
    }
}
