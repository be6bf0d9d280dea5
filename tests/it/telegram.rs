//! The Telegram channel against a strict stand-in for the Bot API: every answer there is, and what must never leak.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy takes only functions marked as tests for tests; what cannot be prepared must fail the test"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::tz::TimeZone;
use monitor::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use monitor::domain::reading::{Cause, Fault, Phases};
use monitor::domain::remedy::{IncidentId, NoticeId, Run, RunStatus};
use monitor::message::{Facts, Language, Rich, Row, Span, compose};
use monitor::notify::telegram::{Settings, Telegram};
use monitor::notify::{Channel, Outgoing, Receipt, Undelivered};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::support::bot_api::{BotApi, CHANNEL, CHAT, Entity, PERSON, THREAD, TOKEN, Trouble};

const SECRET_HALF: &str = "AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";

fn settings(api_url: &str) -> Settings {
    // The client picks the process's default provider; installing it twice is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Settings { api_url: Some(api_url.to_owned()), ..Settings::new(TOKEN.to_owned().into(), CHAT) }
}

fn telegram(api: &BotApi) -> Telegram {
    Telegram::new(settings(&api.url())).unwrap()
}

fn out(text: &str) -> Outgoing {
    let rich = Rich::new(vec![Row::Line(vec![Span::Bold(text.to_owned())])], "least".to_owned());
    Outgoing { rich, silent: false, reply_to: None }
}

/// Delivers within the limit of every test and checks that what is said about a failure names no secret.
async fn deliver(telegram: &Telegram, out: &Outgoing) -> Result<Receipt, Undelivered> {
    let result = tokio::time::timeout(Duration::from_secs(40), Channel::deliver(telegram, out)).await.unwrap();
    if let Err(undelivered) = &result {
        let said = format!("{undelivered} {undelivered:?}");
        assert!(!said.contains(SECRET_HALF), "the token leaks: {said}");
        assert!(said.len() < 1500 && !said.chars().any(char::is_control), "{said}");
    }
    result
}

async fn refused(trouble: Trouble) -> Undelivered {
    let api = BotApi::start().await;
    api.plan([trouble]);
    let error = deliver(&telegram(&api), &out("x")).await.unwrap_err();
    assert!(api.messages().is_empty());
    error
}

fn notice(news: News) -> Notice {
    Notice {
        id: NoticeId(Uuid::nil()),
        pair: Some("DC3:SRV4".parse().unwrap()),
        incident: IncidentId(Uuid::nil()),
        at: "2023-10-15T09:31:15Z".parse().unwrap(),
        environment: None,
        news,
    }
}

fn compose_ru(news: News) -> Rich {
    let notice = notice(news);
    compose(&notice, Language::Ru, &Facts { zone: TimeZone::UTC, now: notice.at })
}

fn failed(command: &str, run: Run) -> News {
    News::Failed(Failed {
        failures: 1,
        attempts: 3,
        factor: 1.5,
        next: Duration::from_secs(30),
        fault: Fault::new(Cause::Status, "503 <Service & Unavailable>"),
        phases: Phases::default(),
        deed: Deed::Command { command: command.to_owned(), run },
        gave_up: false,
        asks: false,
        record: None,
        holds: Vec::new(),
    })
}

fn run(status: RunStatus, excerpt: &str) -> Run {
    Run {
        status,
        started: true,
        exit_code: Some(0),
        signal: None,
        duration: Duration::ZERO,
        excerpt: excerpt.to_owned(),
        error: String::new(),
    }
}

#[tokio::test]
async fn the_seeds_message_arrives_bold_and_monospace() {
    let api = BotApi::start().await;
    let rich = compose_ru(failed("systemctl restart network-service", run(RunStatus::Executed, "")));
    let receipt = deliver(&telegram(&api), &Outgoing { rich, silent: false, reply_to: None }).await.unwrap();
    let taken = api.message(1).await;
    assert_eq!(receipt, Receipt { message_ref: taken.id.to_string(), moved: None });
    assert!(
        taken.plain.starts_with(
            "Статус связи DC3-SRV4: ⚠️ Нарушено\n\
             Сообщение: Недоступность после 3 попыток проверки. Выполнена команда: systemctl restart network-service\n\
             Следующая проверка: через 30 сек\n"
        ),
        "{}",
        taken.plain
    );
    let entity = |tag: &str, text: &str| Entity { tag: tag.to_owned(), text: text.to_owned() };
    assert_eq!(
        taken.entities,
        [
            entity("b", "Статус связи DC3-SRV4:"),
            entity("b", "Сообщение:"),
            entity("code", "systemctl restart network-service"),
            entity("b", "Следующая проверка:"),
        ]
    );
    assert!(taken.is_html && taken.previews_off && !taken.silent && taken.reply_to.is_none() && taken.chat == CHAT);
}

#[tokio::test]
async fn hostile_output_arrives_as_text_and_nothing_else() {
    let api = BotApi::start().await;
    let hostile = "</blockquote><a href=\"tg://user?id=1\">&lt;<b>😀\u{202e}\x1b[2J".repeat(3000);
    let run = Run { exit_code: Some(1), ..run(RunStatus::Failed, &hostile) };
    let rich = compose_ru(failed(&hostile, run));
    deliver(&telegram(&api), &Outgoing { rich, silent: false, reply_to: None }).await.unwrap();
    let taken = api.message(1).await;
    assert!(taken.is_html, "it went down the ladder: {taken:?}");
    let tags: Vec<&str> = taken.entities.iter().map(|entity| entity.tag.as_str()).collect();
    assert_eq!(tags, ["b", "b", "code", "b", "blockquote expandable"]);
}

#[tokio::test]
async fn a_repeat_is_silent_and_answers_the_first_message() {
    let api = BotApi::start().await;
    let telegram = Telegram::new(Settings { chat: PERSON.to_owned(), ..settings(&api.url()) }).unwrap();
    let first = deliver(&telegram, &out("first")).await.unwrap();
    let repeat = Outgoing { silent: true, reply_to: Some(first.message_ref.clone()), ..out("again") };
    deliver(&telegram, &repeat).await.unwrap();
    let taken = api.message(2).await;
    assert!(taken.silent);
    assert_eq!(taken.reply_to.map(|id| id.to_string()), Some(first.message_ref));
    let orphan = Outgoing { reply_to: Some("999".to_owned()), ..out("the first one was deleted") };
    deliver(&telegram, &orphan).await.unwrap();
    assert_eq!(api.message(3).await.reply_to, None);
}

#[tokio::test]
async fn a_missing_first_message_costs_the_answer_mark_and_not_the_message() {
    let api = BotApi::start().await;
    api.plan([Trouble::Error(400, "Bad Request: message to be replied not found")]);
    let repeat = Outgoing { reply_to: Some("7".to_owned()), ..out("again") };
    deliver(&telegram(&api), &repeat).await.unwrap();
    let taken = api.message(1).await;
    assert!(taken.is_html && taken.reply_to.is_none(), "{taken:?}");
}

#[tokio::test]
async fn a_refused_text_goes_down_the_ladder_html_plain_least() {
    let entities =
        || Trouble::Error(400, "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 1");
    let too_long = || Trouble::Error(400, "Bad Request: message is too long");
    for (troubles, html, text) in [
        (vec![], true, "<b>body</b>"),
        (vec![entities()], false, "body"),
        (vec![too_long(), entities()], false, "least"),
    ] {
        let api = BotApi::start().await;
        api.plan(troubles);
        deliver(&telegram(&api), &out("body")).await.unwrap();
        let taken = api.message(1).await;
        assert_eq!((taken.is_html, taken.text.as_str()), (html, text));
    }
    let api = BotApi::start().await;
    api.plan([entities(), too_long(), too_long()]);
    let telegram = telegram(&api);
    let error = deliver(&telegram, &out("poison")).await.unwrap_err();
    assert!(matches!(error, Undelivered::MessageRefused { .. }), "{error:?}");
    deliver(&telegram, &out("the next one")).await.unwrap();
}

#[tokio::test]
async fn a_refusal_nobody_knows_keeps_the_message() {
    let api = BotApi::start().await;
    api.plan(std::iter::repeat_n(Trouble::Error(400, "Bad Request: SOMETHING_NEW"), 3));
    let error = deliver(&telegram(&api), &out("x")).await.unwrap_err();
    assert!(matches!(&error, Undelivered::ChannelBroken { why } if why.contains("SOMETHING_NEW")), "{error:?}");
}

#[tokio::test]
async fn a_refusal_nobody_knows_of_an_answer_costs_the_answer_mark_first() {
    let api = BotApi::start().await;
    api.plan([Trouble::Error(400, "Bad Request: REPLY_SOMETHING_NEW")]);
    let repeat = Outgoing { reply_to: Some("7".to_owned()), ..out("again") };
    deliver(&telegram(&api), &repeat).await.unwrap();
    let taken = api.message(1).await;
    assert!(taken.is_html && taken.reply_to.is_none(), "the text stays as it is: {taken:?}");
}

#[tokio::test]
async fn no_answer_silences_the_channel_for_longer_than_a_quarter_of_an_hour() {
    match refused(Trouble::TooMany { retry_after: 86_400 }).await {
        Undelivered::Later { wait, .. } => assert_eq!(wait, Some(Duration::from_mins(15))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn too_many_requests_wait_as_long_as_telegram_says() {
    match refused(Trouble::TooMany { retry_after: 35 }).await {
        Undelivered::Later { wait, why } => {
            assert_eq!(wait, Some(Duration::from_secs(35)));
            assert!(why.contains("35 s"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_person_must_change_is_said_and_the_message_is_kept() {
    for (code, description, advice) in [
        (401, "Unauthorized", "TELEGRAM_BOT_TOKEN"),
        (404, "Not Found", "TELEGRAM_BOT_TOKEN"),
        (400, "Bad Request: chat not found", "TELEGRAM_CHAT_ID"),
        (400, "Bad Request: message thread not found", "TELEGRAM_THREAD_ID"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "right to send messages"),
        (403, "Forbidden: bot was blocked by the user", "unblock it"),
        (403, "Forbidden: bot was kicked from the supergroup chat", "add it again"),
        (403, "Forbidden: bot is not a member of the supergroup chat", "add the bot"),
    ] {
        match refused(Trouble::Error(code, description)).await {
            Undelivered::ChannelBroken { why } => assert!(why.contains(advice), "{description}: {why}"),
            other => panic!("{description}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_token_is_never_said() {
    let api = BotApi::start().await;
    let wrong = Settings { token: "987654321:WRONGwrongWRONGwrong".to_owned().into(), ..settings(&api.url()) };
    let telegram = Telegram::new(wrong).unwrap();
    let error = deliver(&telegram, &out("x")).await.unwrap_err();
    assert!(matches!(&error, Undelivered::ChannelBroken { why } if why.contains("@BotFather")), "{error:?}");
    let findings = telegram.check().await;
    assert!(!findings[0].ok && findings.len() == 1, "{findings:?}");
    let said = format!("{error} {findings:?} {telegram:?}");
    assert!(!said.contains("WRONGwrong"), "{said}");
}

#[tokio::test]
async fn a_telegram_that_cannot_be_reached_is_tried_later_and_the_token_stays_unsaid() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    for (url, said) in [
        (format!("http://{closed}"), "refused"),
        (format!("http://{closed}/behind/a/prefix/"), "refused"),
        ("http://no-such-host.invalid".to_owned(), "cannot reach Telegram"),
    ] {
        let telegram = Telegram::new(settings(&url)).unwrap();
        let error = deliver(&telegram, &out("x")).await.unwrap_err();
        assert!(matches!(&error, Undelivered::Later { wait: None, why } if why.contains(said)), "{url}: {error:?}");
    }
    let error = refused(Trouble::Close).await;
    assert!(matches!(error, Undelivered::Later { .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_limit_and_is_tried_later() {
    let api = BotApi::start().await;
    api.plan([Trouble::Hang]);
    let limited = Settings { timeout: Duration::from_millis(300), ..settings(&api.url()) };
    let error = deliver(&Telegram::new(limited).unwrap(), &out("x")).await.unwrap_err();
    assert!(matches!(&error, Undelivered::Later { why, .. } if why.contains("no answer in time")), "{error:?}");
}

#[tokio::test]
async fn a_page_of_a_proxy_is_not_taken_for_an_answer() {
    let error = refused(Trouble::Page(200, "<html>\n<h1>Please log in</h1></html>")).await;
    match error {
        Undelivered::Later { why, .. } => {
            assert!(why.contains("Please log in") && why.contains("TELEGRAM_API_URL"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sick_telegram_is_tried_later() {
    // teloxide itself waits ten seconds after a 5xx, so both run at once.
    let (error, page) = tokio::join!(
        refused(Trouble::Error(500, "Internal Server Error")),
        refused(Trouble::Page(502, "<html>Bad Gateway</html>")),
    );
    assert!(matches!(error, Undelivered::Later { .. }), "{error:?}");
    assert!(matches!(page, Undelivered::Later { .. }), "{page:?}");
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed_and_told() {
    let api = BotApi::start().await;
    api.plan([Trouble::Migrate { to: -100_777 }]);
    let telegram = telegram(&api);
    let receipt = deliver(&telegram, &out("first")).await.unwrap();
    assert_eq!(receipt.moved.as_deref(), Some("-100777"));
    let second = deliver(&telegram, &out("second")).await.unwrap();
    assert_eq!(second.moved.as_deref(), Some("-100777"), "told until the configuration says the same");
    assert_eq!(api.calls().len(), 3, "the old chat is asked once");
    let again = Settings { moved_to: receipt.moved, ..settings(&api.url()) };
    deliver(&Telegram::new(again).unwrap(), &out("after a restart")).await.unwrap();
    assert_eq!(api.message(3).await.chat, "-100777");
}

#[tokio::test]
async fn a_message_that_was_taken_with_an_odd_echo_is_not_sent_twice() {
    let api = BotApi::start().await;
    api.plan([Trouble::OddEcho]);
    let receipt = deliver(&telegram(&api), &out("x")).await.unwrap();
    assert_eq!(receipt.message_ref, api.message(1).await.id.to_string());
    assert_eq!(api.messages().len(), 1);
}

#[tokio::test]
async fn a_topic_and_an_api_behind_a_prefix_are_used() {
    let api = BotApi::start().await;
    let url = format!("{}/some/prefix/", api.url());
    let telegram = Telegram::new(Settings { thread: Some(i32::try_from(THREAD).unwrap()), ..settings(&url) }).unwrap();
    deliver(&telegram, &out("x")).await.unwrap();
    assert_eq!(api.message(1).await.thread, Some(THREAD));
    assert_eq!(api.calls()[0].target, format!("/some/prefix/bot{TOKEN}/SendMessage"));
}

#[tokio::test]
async fn a_proxy_of_the_settings_is_used() {
    let proxy = BotApi::start().await;
    let through = Settings { proxy: Some(proxy.url().into()), ..settings("http://telegram.invalid") };
    deliver(&Telegram::new(through).unwrap(), &out("x")).await.unwrap();
    assert_eq!(proxy.calls()[0].target, format!("http://telegram.invalid/bot{TOKEN}/SendMessage"));
}

#[tokio::test]
async fn a_socks_proxy_of_the_settings_is_used() {
    let (api, proxy) = (BotApi::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("socks5://{}", proxy.local_addr().unwrap());
    let through = Settings { proxy: Some(url.into()), ..settings(&api.url()) };
    let telegram = Telegram::new(through).unwrap();
    let (message, asked) = (out("x"), std::cell::Cell::new(false));
    // Ends when the message is taken, or fails at the test's limit.
    let result = tokio::select! {
        result = deliver(&telegram, &message) => result,
        () = socks(&proxy, &asked) => panic!("the proxy ended first"),
    };
    result.unwrap();
    assert_eq!(api.message(1).await.plain, "x");
    assert!(asked.get(), "the message went around the proxy");
}

/// Serves one connection as a SOCKS5 proxy without a login (RFC 1928), IPv4 only, and then more of them never.
async fn socks(listener: &TcpListener, asked: &std::cell::Cell<bool>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut client, _) = listener.accept().await.unwrap();
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await.unwrap();
    client.write_all(&[5, 0]).await.unwrap();
    let mut request = [0; 10];
    client.read_exact(&mut request).await.unwrap();
    let [5, 1, 0, 1, a, b, c, d, high, low] = request else { panic!("not CONNECT to IPv4: {request:?}") };
    let mut server =
        tokio::net::TcpStream::connect((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))).await.unwrap();
    asked.set(true);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_ignored() {
    // The environment of this process belongs to all tests, so a child of our own gets the trap.
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "telegram::delivers_in_an_environment_with_a_dead_proxy", "--ignored"]).kill_on_drop(true);
    for key in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "TELOXIDE_PROXY"] {
        child.env(key, "http://127.0.0.1:1");
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    let output = tokio::time::timeout(Duration::from_mins(1), child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by a_proxy_of_the_environment_is_ignored, in an environment of its own"]
async fn delivers_in_an_environment_with_a_dead_proxy() {
    let api = BotApi::start().await;
    deliver(&telegram(&api), &out("x")).await.unwrap();
}

#[tokio::test]
async fn a_redirect_does_not_get_the_token() {
    let (thief, api) = (BotApi::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let telegram = Telegram::new(settings(&format!("http://{}", api.local_addr().unwrap()))).unwrap();
    let to = format!("{}/bot{TOKEN}/SendMessage", thief.url());
    let redirect = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = api.accept().await.unwrap();
        let mut some = [0; 1024];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        let answer = format!("HTTP/1.1 307 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let message = out("x");
    let (result, _stream) = tokio::join!(deliver(&telegram, &message), redirect);
    assert!(matches!(result, Err(Undelivered::Later { .. })), "{result:?}");
    assert!(thief.calls().is_empty());
}

#[tokio::test]
async fn a_look_says_who_the_bot_is_and_whether_it_may_write() {
    let api = BotApi::start().await;
    let look = async |chat: &str| {
        let telegram = Telegram::new(Settings { chat: chat.to_owned(), ..settings(&api.url()) }).unwrap();
        telegram.check().await.into_iter().map(|finding| (finding.ok, finding.text)).collect::<Vec<_>>()
    };
    let group = look(CHAT).await;
    assert!(group.iter().all(|(ok, _)| *ok) && group.len() == 3, "{group:?}");
    assert_eq!(
        (group[0].1.as_str(), group[1].1.as_str()),
        ("the bot is @our_watch_bot", "the chat is a supergroup, \"Duty\"")
    );
    let person = look(PERSON).await;
    assert!(person.iter().all(|(ok, _)| *ok) && person.len() == 2, "{person:?}");
    let channel = look(CHANNEL).await;
    assert!(!channel[2].0 && channel[2].1.contains("not in the chat"), "{channel:?}");
    let unknown = look("-5").await;
    assert!(!unknown[1].0 && unknown[1].1.contains("TELEGRAM_CHAT_ID"), "{unknown:?}");
    assert!(api.messages().is_empty(), "a look sends nothing");
}

#[tokio::test]
async fn a_recovery_is_told_too() {
    let api = BotApi::start().await;
    let news = News::Recovered(Recovered {
        failures: 3,
        next: Duration::from_secs(30),
        down_for: Duration::from_secs(97),
        by: Healer::Command { command: "systemctl restart <x>".to_owned(), after: Duration::from_secs(4) },
        while_off: false,
    });
    deliver(&telegram(&api), &Outgoing { rich: compose_ru(news), silent: false, reply_to: None }).await.unwrap();
    let plain = api.message(1).await.plain;
    assert!(
        plain.ends_with("\nПомогла команда systemctl restart <x>, через 4 сек после неё\nНе работал 1 мин 37 сек"),
        "{plain}"
    );
}

#[tokio::test]
async fn the_stand_in_is_as_strict_as_telegram() {
    let api = BotApi::start().await;
    // reqwest panics without a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (body, said) in [
        (serde_json::json!({ "chat_id": CHAT, "text": "<b>x", "parse_mode": "HTML" }), "Can't find end tag"),
        (serde_json::json!({ "chat_id": CHAT, "text": "<x>x</x>", "parse_mode": "HTML" }), "Unsupported start tag"),
        (serde_json::json!({ "chat_id": CHAT, "text": "<b><i>x</b></i>", "parse_mode": "HTML" }), "Unmatched end tag"),
        (serde_json::json!({ "chat_id": CHAT, "text": "a & b", "parse_mode": "HTML" }), "Unescaped &"),
        (serde_json::json!({ "chat_id": CHAT, "text": "😀".repeat(2049) }), "message is too long"),
        (serde_json::json!({ "chat_id": CHAT, "text": " " }), "message text is empty"),
        (
            serde_json::json!({ "chat_id": CHAT, "text": "x", "reply_parameters": { "message_id": 9 } }),
            "to be replied not found",
        ),
        (serde_json::json!({ "chat_id": -5, "text": "x" }), "chat not found"),
    ] {
        let request = client.post(format!("{}/bot{TOKEN}/sendMessage", api.url())).body(body.to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let answer = answer.text().await.unwrap();
        assert!(answer.contains(said), "{body}: {answer}");
    }
    assert!(api.messages().is_empty());
}
