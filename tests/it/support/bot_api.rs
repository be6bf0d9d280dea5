//! A strict stand-in for Telegram's Bot API on a port of its own: it refuses what Telegram refuses (broken HTML, more
//! than 4096 UTF-16 units, unknown chats, a wrong token) with Telegram's own sentences, and can be told to misbehave.
#![allow(dead_code, reason = "other tests use other parts of it")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes only functions marked as tests for tests; a stand-in that breaks must fail its test"
)]

mod html;
mod known;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use html::Entity;

use known::{bot, full_info, member, short_info};

/// The only token it takes: the seed's own.
pub const TOKEN: &str = "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";
/// A supergroup the bot may write to: the seed's own.
pub const CHAT: &str = "-1001234567890";
/// A private chat the bot may write to.
pub const PERSON: &str = "4242";
/// A public channel where the bot is no administrator.
pub const CHANNEL: &str = "@our_news";
/// The only topic of [`CHAT`].
pub const THREAD: i64 = 77;

/// Longest wait for something to happen.
const LIMIT: Duration = Duration::from_secs(30);

/// What it does with the next message instead of taking it.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// An error as Telegram writes it: code and description.
    Error(u16, &'static str),
    /// 429 with `retry_after`.
    TooMany { retry_after: u32 },
    /// 400 with `migrate_to_chat_id`; from then on only the new chat is known.
    Migrate { to: i64 },
    /// Any body with any status, as a proxy in between would write it.
    Page(u16, &'static str),
    /// Takes the message, and answers with an echo that a strict client cannot read.
    OddEcho,
    /// Cuts the connection without an answer.
    Close,
    /// Says nothing and keeps the connection.
    Hang,
}

/// A message it has taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    pub id: i64,
    pub chat: String,
    pub thread: Option<i64>,
    /// As it was sent.
    pub text: String,
    /// As it is read.
    pub plain: String,
    pub entities: Vec<Entity>,
    pub is_html: bool,
    pub silent: bool,
    pub reply_to: Option<i64>,
    pub previews_off: bool,
}

/// A request as it arrived, whatever became of it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The request's target, with the token in it; absolute when it came as to a proxy.
    pub target: String,
    pub method: String,
    pub body: Value,
}

struct Inner {
    script: VecDeque<Trouble>,
    taken: Vec<Taken>,
    calls: Vec<Call>,
    chats: Vec<String>,
    next_id: i64,
}

struct State {
    inner: Mutex<Inner>,
    /// Messages taken and requests seen.
    seen: watch::Sender<(usize, usize)>,
}

/// The stand-in; it ends when it is dropped.
pub struct BotApi {
    address: SocketAddr,
    state: Arc<State>,
    _server: JoinSet<()>,
}

impl BotApi {
    pub async fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The same behind this listener.
    pub fn at(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let chats = [CHAT, PERSON, CHANNEL].map(str::to_owned).to_vec();
        let inner = Inner { script: VecDeque::new(), taken: Vec::new(), calls: Vec::new(), chats, next_id: 100 };
        let state = Arc::new(State { inner: Mutex::new(inner), seen: watch::channel((0, 0)).0 });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, state.clone()));
        Self { address, state, _server: server }
    }

    /// For `TELEGRAM_API_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plans trouble for the next `sendMessage` requests, one each.
    pub fn plan(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.inner.lock().unwrap().script.extend(troubles);
    }

    /// Every message taken so far.
    pub fn messages(&self) -> Vec<Taken> {
        self.state.inner.lock().unwrap().taken.clone()
    }

    /// Every request so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.inner.lock().unwrap().calls.clone()
    }

    /// Waits until `n` messages were taken and gives the n-th, counted from 1.
    pub async fn message(&self, n: usize) -> Taken {
        self.wait(|(taken, _)| taken >= n, &format!("message {n}")).await;
        self.messages()[n - 1].clone()
    }

    /// Waits until `n` requests of any kind were seen.
    pub async fn called(&self, n: usize) {
        self.wait(|(_, calls)| calls >= n, &format!("request {n}")).await;
    }

    async fn wait(&self, enough: impl Fn((usize, usize)) -> bool, what: &str) {
        let mut seen = self.state.seen.subscribe();
        let waited = tokio::time::timeout(LIMIT, seen.wait_for(|seen| enough(*seen))).await;
        assert!(waited.is_ok(), "{what} did not come within {LIMIT:?}; there are {:#?}", self.messages());
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(connection(stream, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some((target, body)) = wire::request(&mut stream, &mut buffer).await {
        match state.answer(&target, &body) {
            Reply::Json(status, value) => {
                wire::write(&mut stream, status, "application/json", &value.to_string()).await;
            }
            Reply::Page(status, page) => wire::write(&mut stream, status, "text/html", page).await,
            Reply::Close => return,
            Reply::Hang => std::future::pending().await,
        }
    }
}

enum Reply {
    Json(u16, Value),
    Page(u16, &'static str),
    Close,
    Hang,
}

fn error(code: u16, description: &str) -> Reply {
    Reply::Json(code, json!({ "ok": false, "error_code": code, "description": description }))
}

fn ok(result: &Value) -> Reply {
    Reply::Json(200, json!({ "ok": true, "result": result }))
}

impl State {
    fn answer(&self, target: &str, body: &[u8]) -> Reply {
        let mut inner = self.inner.lock().unwrap();
        let parts: Vec<&str> = target.rsplitn(3, '/').collect();
        let method = parts.first().copied().unwrap_or_default().to_lowercase();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        inner.calls.push(Call { target: target.to_owned(), method: method.clone(), body: body.clone() });
        let reply = match parts.get(1).and_then(|bot| bot.strip_prefix("bot")) {
            None => error(404, "Not Found"),
            Some(token) if token != TOKEN => error(401, "Unauthorized"),
            Some(_) => inner.method(&method, &body),
        };
        self.seen.send_replace((inner.taken.len(), inner.calls.len()));
        reply
    }
}

impl Inner {
    fn method(&mut self, method: &str, body: &Value) -> Reply {
        match method {
            "getme" => ok(&bot()),
            "getchat" => self.with_chat(body, |chat| ok(&full_info(chat))),
            "getchatmember" => self.with_chat(body, |chat| ok(&member(chat))),
            "sendmessage" => match self.script.pop_front() {
                None => self.send(body, false),
                Some(Trouble::OddEcho) => self.send(body, true),
                Some(Trouble::Error(code, description)) => error(code, description),
                Some(Trouble::TooMany { retry_after }) => Reply::Json(
                    429,
                    json!({ "ok": false, "error_code": 429, "description": format!("Too Many Requests: retry after {retry_after}"),
                            "parameters": { "retry_after": retry_after } }),
                ),
                Some(Trouble::Migrate { to }) => {
                    self.chats = vec![to.to_string()];
                    Reply::Json(
                        400,
                        json!({ "ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
                                "parameters": { "migrate_to_chat_id": to } }),
                    )
                }
                Some(Trouble::Page(status, page)) => Reply::Page(status, page),
                Some(Trouble::Close) => Reply::Close,
                Some(Trouble::Hang) => Reply::Hang,
            },
            _ => error(404, "Not Found"),
        }
    }

    fn with_chat(&self, body: &Value, then: impl Fn(&str) -> Reply) -> Reply {
        let chat = chat_id(body);
        if self.chats.contains(&chat) { then(&chat) } else { error(400, "Bad Request: chat not found") }
    }

    fn send(&mut self, body: &Value, odd_echo: bool) -> Reply {
        let chat = chat_id(body);
        if !self.chats.contains(&chat) {
            return error(400, "Bad Request: chat not found");
        }
        if chat == CHANNEL {
            return error(400, "Bad Request: need administrator rights in the channel chat");
        }
        let thread = body["message_thread_id"].as_i64();
        if thread.is_some_and(|thread| thread != THREAD) {
            return error(400, "Bad Request: message thread not found");
        }
        let text = body["text"].as_str().unwrap_or_default();
        let is_html = match body["parse_mode"].as_str() {
            None => false,
            Some("HTML") => true,
            Some(_) => return error(400, "Bad Request: unsupported parse_mode"),
        };
        let (plain, entities) = if is_html {
            match html::parse(text) {
                Ok(parsed) => parsed,
                Err(why) => return error(400, &format!("Bad Request: can't parse entities: {why}")),
            }
        } else {
            (text.to_owned(), Vec::new())
        };
        if plain.trim().is_empty() {
            return error(400, "Bad Request: message text is empty");
        }
        if plain.encode_utf16().count() > 4096 {
            return error(400, "Bad Request: message is too long");
        }
        let wanted = body["reply_parameters"]["message_id"].as_i64();
        let reply_to = wanted.filter(|id| self.taken.iter().any(|taken| taken.id == *id && taken.chat == chat));
        if wanted != reply_to && body["reply_parameters"]["allow_sending_without_reply"] != json!(true) {
            return error(400, "Bad Request: message to be replied not found");
        }
        let id = self.next_id;
        self.next_id += 1;
        self.taken.push(Taken {
            id,
            thread,
            text: text.to_owned(),
            plain: plain.clone(),
            entities,
            is_html,
            silent: body["disable_notification"] == json!(true),
            reply_to,
            previews_off: body["link_preview_options"]["is_disabled"] == json!(true),
            chat: chat.clone(),
        });
        if odd_echo {
            return ok(&json!({ "message_id": id, "date": "tomorrow", "chat": { "type": "of a newer kind" } }));
        }
        ok(&json!({ "message_id": id, "date": 1_700_000_000, "chat": short_info(&chat), "from": bot(), "text": plain }))
    }
}

fn chat_id(body: &Value) -> String {
    body["chat_id"].as_str().map_or_else(|| body["chat_id"].to_string(), str::to_owned)
}
