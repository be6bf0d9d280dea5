//! A stand-in for Telegram's Bot API: it takes messages as Telegram does and hands them to the story.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::clock::Clock;

/// The chat: a private one.
pub const CHAT: i64 = 4242;

/// A message that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its number in the chat, from 1.
    pub id: i64,
    /// Telegram's HTML.
    pub html: String,
    /// It makes no sound.
    pub silent: bool,
    /// The message that it answers.
    pub reply_to: Option<i64>,
}

/// Where the stand-in answers, and the only token that it takes.
#[derive(Debug)]
pub struct Desk {
    /// For `TELEGRAM_API_URL`.
    pub url: String,
    /// For `TELEGRAM_BOT_TOKEN`.
    pub token: String,
}

struct Chat {
    token: String,
    next: AtomicI64,
    inbox: mpsc::Sender<Taken>,
}

/// Starts it on a free port; it ends with `stop`, or with its task.
pub async fn start(inbox: mpsc::Sender<Taken>, tasks: &mut JoinSet<()>, stop: CancellationToken) -> io::Result<Desk> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    // 35 characters after the colon, as a real one has.
    let token = format!("4242424242:AAE{}", super::random(16)?);
    let desk = Desk { url: format!("http://{}", listener.local_addr()?), token: token.clone() };
    let chat = Arc::new(Chat { token, next: AtomicI64::new(1), inbox });
    let router = axum::Router::new().fallback(answer).with_state(chat);
    tasks.spawn(async move {
        // It ends with the demo, and a demo without it says that no message came.
        let _ = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    });
    Ok(desk)
}

async fn answer(State(chat): State<Arc<Chat>>, uri: Uri, body: Bytes) -> (StatusCode, Json<Value>) {
    let mut parts = uri.path().rsplit('/');
    let method = parts.next().unwrap_or_default().to_ascii_lowercase();
    if parts.next().and_then(|bot| bot.strip_prefix("bot")) != Some(chat.token.as_str()) {
        return refused(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match method.as_str() {
        "getme" => ok(&bot()),
        "getchat" => ok(&person()),
        "sendmessage" => chat.send(&body).await,
        _ => refused(StatusCode::NOT_FOUND, "Not Found"),
    }
}

impl Chat {
    async fn send(&self, body: &Value) -> (StatusCode, Json<Value>) {
        let field = |name: &str| body.get(name);
        let chat = field("chat_id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        if chat != Some(CHAT.to_string()) {
            return refused(StatusCode::BAD_REQUEST, "Bad Request: chat not found");
        }
        let Some(html) = field("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty()) else {
            return refused(StatusCode::BAD_REQUEST, "Bad Request: message text is empty");
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let taken = Taken {
            id,
            html: html.to_owned(),
            silent: field("disable_notification").and_then(Value::as_bool).unwrap_or(false),
            reply_to: body.pointer("/reply_parameters/message_id").and_then(Value::as_i64),
        };
        // At the end of the demo nobody listens any more.
        let _ = self.inbox.send(taken).await;
        let date = Clock::System.now().as_second();
        ok(&json!({ "message_id": id, "date": date, "chat": person(), "from": bot(), "text": html }))
    }
}

fn ok(result: &Value) -> (StatusCode, Json<Value>) {
    (StatusCode::OK, Json(json!({ "ok": true, "result": result })))
}

fn refused(status: StatusCode, description: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "ok": false, "error_code": status.as_u16(), "description": description })))
}

fn bot() -> Value {
    json!({ "id": 4_242_424_242_i64, "is_bot": true, "first_name": "monitor", "username": "monitor_demo_bot",
            "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
            "has_main_web_app": false })
}

fn person() -> Value {
    json!({ "id": CHAT, "type": "private", "first_name": "You", "accent_color_id": 0, "max_reaction_count": 11,
            "accepted_gift_types": { "unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
                                     "premium_subscription": false } })
}
