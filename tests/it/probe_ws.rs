//! The `ws` probe: servers of the library, with and without TLS, and raw listeners for what a good server never does.

#![expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the library asks for functions of this form")]

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt, StreamExt};
use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::Kit;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use crate::support::http::{Act, Certificate, LIMIT, Server};
use crate::support::target::{configured, example, set};

const SHORT: Duration = Duration::from_secs(1);

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}
type Socket = WebSocketStream<Box<dyn Wire>>;

fn kit() -> Kit {
    fetch::install_crypto_provider();
    Kit::new(&Roots::load(None).unwrap())
}

fn trusting(certificate: &Certificate) -> Kit {
    fetch::install_crypto_provider();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    Kit::new(&Roots::load(Some(file.path())).unwrap())
}

async fn look(lines: &str, limit: Duration) -> Reading {
    configured(lines).unwrap().probe(&kit(), limit).await
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

/// Opens what `judge` lets in, then does `talk` with it.
async fn serving<F, T>(
    tls: Option<TlsAcceptor>,
    judge: fn(&Request, Response) -> Result<Response, ErrorResponse>,
    talk: F,
) -> (SocketAddr, JoinSet<()>)
where
    F: Fn(Socket) -> T + Clone + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut open = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, talk) = (tls.clone(), talk.clone());
            open.spawn(async move {
                let stream: Box<dyn Wire> = match tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => return,
                    },
                    None => Box::new(stream),
                };
                if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, judge).await {
                    talk(socket).await;
                }
            });
        }
    });
    (addr, server)
}

fn anybody(_: &Request, answer: Response) -> Result<Response, ErrorResponse> {
    Ok(answer)
}

fn refusing(status: u16) -> ErrorResponse {
    let mut answer = ErrorResponse::new(None);
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

/// An ordinary service: pongs are the library's, messages come back.
async fn echo(mut socket: Socket) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            let _ = socket.send(message).await;
        }
    }
}

/// Accepts the opening as the standard says, then sends these bytes and reads until the end.
async fn raw(frames: Vec<u8>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            );
            let _ = stream.write_all(&[answer.as_bytes(), &frames].concat()).await;
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
        }
    });
    (addr, server)
}

#[tokio::test]
async fn a_pong_is_up_whatever_else_the_service_says() {
    let (addr, _server) = serving(None, anybody, echo).await;
    let reading = look(&format!("SRV4_URL=ws://{addr}/events?a=b"), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_some(), "{reading:?}");
    assert_eq!((reading.phases.dns, reading.phases.tls), (None, None));

    let chatty = async |mut socket: Socket| {
        let _ = socket.send(Message::Pong("not ours".into())).await;
        for _ in 0..2000 {
            if socket.send(Message::text("tick")).await.is_err() {
                return;
            }
        }
        echo(socket).await;
    };
    let (addr, _server) = serving(None, anybody, move |socket| Box::pin(chatty(socket))).await;
    assert_eq!(look(&format!("SRV4_URL=ws://{addr}"), LIMIT).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn a_service_that_never_pongs_is_down_by_its_silence() {
    let (addr, _server) = raw(Vec::new()).await;
    let reading = look(&format!("SRV4_URL=ws://{addr}"), SHORT).await;
    assert!(down(&reading, Cause::Timeout).ends_with("waiting for the rest of the answer"), "{reading:?}");
    assert!(reading.phases.first_byte.is_some() && reading.took < SHORT * 3);
}

#[tokio::test]
async fn the_example_of_its_page_is_a_service_that_answers_a_message() {
    let certificate = Certificate::good();
    let kit = trusting(&certificate);
    let answers = |status: &'static str| {
        move |mut socket: Socket| async move {
            let _ = socket.send(Message::text("welcome")).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.to_text().is_ok_and(|text| text == r#"{"op": "status"}"#) {
                    let _ = socket.send(Message::text(format!(r#"{{"status": "{status}"}}"#))).await;
                }
            }
        }
    };
    let (addr, _a) = serving(Some(certificate.acceptor()), anybody, answers("ok")).await;
    let reading = configured(&example("ws", &addr.to_string())).unwrap().probe(&kit, LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.tls.is_some(), "{reading:?}");
    let (addr, _b) = serving(Some(certificate.acceptor()), anybody, answers("sick\u{1b}")).await;
    let reading = configured(&example("ws", &addr.to_string())).unwrap().probe(&kit, SHORT * 2).await;
    let told = down(&reading, Cause::Content);
    assert!(told.starts_with(r#"the 2 messages that came do not hold `/"status": *"ok"/`; the last begins"#), "{told}");
    assert!(told.contains("sick\\x1b"), "{told}");
    let (addr, mut gone) = serving(Some(certificate.acceptor()), anybody, answers("ok")).await;
    gone.shutdown().await;
    let reading = configured(&example("ws", &addr.to_string())).unwrap().probe(&kit, LIMIT).await;
    down(&reading, Cause::Refused);
}

#[tokio::test]
async fn tls_under_a_websocket_is_checked_as_everywhere() {
    for (certificate, cause, why) in [
        (Certificate::expired(), Cause::Tls, "the certificate has expired"),
        (Certificate::wrong_host(), Cause::Tls, "the certificate is for another name"),
        (Certificate::self_signed(), Cause::Untrusted, "the certificate's issuer is not trusted"),
    ] {
        let (addr, _server) = serving(Some(certificate.acceptor()), anybody, echo).await;
        let target = Target::parse(&format!("wss://{addr}/")).unwrap();
        let reading = target.probe(&trusting(&certificate), LIMIT).await;
        assert!(down(&reading, cause).starts_with(why), "{reading:?}");
    }
    let certificate = Certificate::good();
    let (addr, _server) = serving(Some(certificate.acceptor()), anybody, echo).await;
    let lines = format!("SRV4_URL=wss://{addr}/\nSRV4_TLS_DAYS=30");
    let reading = configured(&lines).unwrap().probe(&trusting(&certificate), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.certificate_ends.is_some());
    let plain = Target::parse(&format!("ws://{addr}/")).unwrap().probe(&kit(), LIMIT).await;
    assert!(matches!(plain.outcome, Outcome::Down(_)), "{plain:?}");
    let (addr, _server) = serving(None, anybody, echo).await;
    let reading = look(&format!("SRV4_URL=wss://{addr}/"), LIMIT).await;
    assert!(matches!(reading.outcome, Outcome::Down(_)), "{reading:?}");
}

#[tokio::test]
async fn any_message_will_do_where_none_is_expected_and_bytes_stay_bytes() {
    let (addr, _server) = serving(None, anybody, echo).await;
    let url = format!("SRV4_URL=ws://{addr}");
    for (more, up) in [
        ("SRV4_SEND=hello", true),
        ("SRV4_SEND=hello\nSRV4_EXPECT=ell", true),
        ("SRV4_SEND=\\xff\\x00\nSRV4_EXPECT=\\xff\\x00", true),
        ("SRV4_SEND=hello\nSRV4_EXPECT=/^bye$/", false),
    ] {
        let reading = look(&format!("{url}\n{more}"), if up { LIMIT } else { SHORT }).await;
        assert_eq!(reading.outcome == Outcome::Up, up, "{more}: {reading:?}");
    }
    // Nothing is sent, and an echo says nothing by itself.
    down(&look(&format!("{url}\nSRV4_EXPECT=hello"), SHORT).await, Cause::Timeout);
}

#[tokio::test]
async fn other_messages_are_passed_over_but_not_for_ever() {
    let talks = |count: usize, size: usize| {
        move |mut socket: Socket| async move {
            for _ in 0..count {
                if socket.send(Message::binary(vec![b'x'; size])).await.is_err() {
                    return;
                }
            }
            let _ = socket.send(Message::text("ready")).await;
            echo(socket).await;
        }
    };
    for (count, size, up) in [(999, 10, true), (1000, 10, false), (3, 1 << 20, true), (4, 1 << 20, false)] {
        let (addr, _server) = serving(None, anybody, talks(count, size)).await;
        let reading = look(&format!("SRV4_URL=ws://{addr}\nSRV4_EXPECT=ready"), LIMIT).await;
        if up {
            assert_eq!(reading.outcome, Outcome::Up, "{count} of {size}");
        } else {
            assert!(down(&reading, Cause::Content).contains("messages that came do not hold `ready`"));
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_instead_is_heard() {
    let closes = async |mut socket: Socket| {
        let frame = CloseFrame { code: CloseCode::Again, reason: "overloaded\u{1b}".into() };
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let (addr, _server) = serving(None, anybody, move |socket| Box::pin(closes(socket))).await;
    let reading = look(&format!("SRV4_URL=ws://{addr}"), LIMIT).await;
    let told = down(&reading, Cause::Content);
    assert!(told.starts_with("the server closed the WebSocket while waiting for"), "{told}");
    assert!(told.ends_with("1013 overloaded\\x1b"), "{told}");
    let (addr, _server) = serving(None, anybody, async |socket: Socket| drop(socket)).await;
    down(&look(&format!("SRV4_URL=ws://{addr}"), LIMIT).await, Cause::Reset);
}

#[tokio::test]
async fn a_refused_opening_says_its_status_and_a_refused_login_is_one() {
    fn locked(request: &Request, answer: Response) -> Result<Response, ErrorResponse> {
        let login = format!("Basic {}", BASE64_STANDARD.encode("bob:p@ss"));
        match request.headers().get("authorization") {
            Some(given) if *given == *login => Ok(answer),
            _ => Err(refusing(401)),
        }
    }
    let (addr, _server) = serving(None, locked, echo).await;
    assert_eq!(look(&format!("SRV4_URL=ws://bob:p%40ss@{addr}/"), LIMIT).await.outcome, Outcome::Up);
    let keys = format!("SRV4_URL=ws://{addr}/\nSRV4_USERNAME=bob\nSRV4_PASSWORD=p@ss");
    assert_eq!(look(&keys, LIMIT).await.outcome, Outcome::Up);
    let reading = look(&format!("SRV4_URL=ws://bob:wr0ngpass@{addr}/"), LIMIT).await;
    assert_eq!(down(&reading, Cause::Login), "HTTP 401 Unauthorized: the login is refused");
    assert_eq!(
        down(&look(&format!("SRV4_URL=ws://{addr}/"), LIMIT).await, Cause::Login),
        "HTTP 401 Unauthorized: it wants a login"
    );

    for (status, cause, told) in [
        (403, Cause::Status, "HTTP 403 Forbidden"),
        (503, Cause::Status, "HTTP 503 Service Unavailable"),
        (200, Cause::Status, "HTTP 200 OK: this address answers, and does not open a WebSocket"),
    ] {
        let server = Server::start(move |_| Act::Status(status));
        let reading = look(&format!("SRV4_URL=ws://{}/", server.addr()), LIMIT).await;
        assert_eq!(down(&reading, cause), told);
    }
    let server = Server::start(|_| Act::Redirect(301, "wss://example.org/".to_owned()));
    let reading = look(&format!("SRV4_URL=ws://{}/", server.addr()), LIMIT).await;
    assert!(down(&reading, Cause::Redirect).contains("not followed"), "{reading:?}");
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn the_request_is_what_a_server_expects() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server = Server::start(move |hit| {
        let _ = told.send(hit.clone());
        Act::Status(400)
    });
    for _ in 0..2 {
        look(&format!("SRV4_URL=ws://{}/a b?c=d#e\nSRV4_SUBPROTOCOL=mqtt,stomp", server.addr()), LIMIT).await;
    }
    let (one, two) = (heard.recv().await.unwrap(), heard.recv().await.unwrap());
    assert_eq!((one.method.as_str(), one.path.as_str()), ("GET", "/a%20b?c=d"));
    for (name, value) in [
        ("host", server.addr().to_string().as_str()),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "mqtt, stomp"),
        ("user-agent", concat!("monitor/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(one.headers[name], value, "{name}");
    }
    assert_ne!(one.headers["sec-websocket-key"], two.headers["sec-websocket-key"]);
}

#[tokio::test]
async fn headers_and_a_token_go_with_the_opening_and_a_refused_token_is_a_login() {
    fn locked(request: &Request, answer: Response) -> Result<Response, ErrorResponse> {
        let sent = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match (sent("authorization"), sent("x-key"), sent("origin"), sent("host")) {
            ("Bearer t0ken", "s3cret-key", "https://example.org", "v.test") => Ok(answer),
            _ => Err(refusing(401)),
        }
    }
    let (addr, _server) = serving(None, locked, echo).await;
    let headers = "SRV4_HEADERS=X-Key: s3cret-key | Origin: https://example.org | Host: v.test";
    let with = |login: &str| format!("SRV4_URL=ws://{addr}/\n{headers}{login}");
    assert_eq!(look(&with("\nSRV4_BEARER_TOKEN=t0ken"), LIMIT).await.outcome, Outcome::Up);
    assert_eq!(look(&with(" | Authorization: Bearer t0ken"), LIMIT).await.outcome, Outcome::Up);
    for login in ["\nSRV4_BEARER_TOKEN=old", " | Authorization: Bearer old"] {
        let reading = look(&with(login), LIMIT).await;
        assert_eq!(down(&reading, Cause::Login), "HTTP 401 Unauthorized: the login is refused");
    }
    down(&look(&with(""), LIMIT).await, Cause::Login);
}

#[tokio::test]
async fn what_a_server_says_back_of_our_secrets_is_masked() {
    let repeats = async |mut socket: Socket| {
        let text = format!("{}s3cret-key-{} t0ken", "x".repeat(50), "z".repeat(40));
        let _ = socket.send(Message::text(text)).await;
        let frame = CloseFrame { code: CloseCode::Policy, reason: "t0ken is old".into() };
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let (addr, _server) = serving(None, anybody, move |socket| Box::pin(repeats(socket))).await;
    let key = format!("s3cret-key-{}", "z".repeat(40));
    let lines = format!("SRV4_URL=ws://{addr}/\nSRV4_HEADERS=X-Key: {key}\nSRV4_BEARER_TOKEN=t0ken\nSRV4_EXPECT=@");
    let reading = look(&lines, LIMIT).await;
    let told = down(&reading, Cause::Content);
    assert!(told.ends_with("1008 *** is old"), "{told}");
    let flood = async |mut socket: Socket| {
        for _ in 0..1000 {
            let _ = socket.send(Message::text(format!("{}s3cret-key-{}", "x".repeat(50), "z".repeat(40)))).await;
        }
        while let Some(Ok(_)) = socket.next().await {}
    };
    let (addr, _server) = serving(None, anybody, move |socket| Box::pin(flood(socket))).await;
    let lines = format!("SRV4_URL=ws://{addr}/\nSRV4_HEADERS=X-Key: {key}\nSRV4_EXPECT=@");
    let reading = look(&lines, LIMIT).await;
    let told = down(&reading, Cause::Content);
    assert!(told.ends_with("xxx***`") && !told.contains("s3c"), "{told}");
}

#[test]
fn a_setting_that_an_opening_cannot_have_is_refused_with_its_key() {
    for (url, settings, expected) in [
        (
            "ws://h.test/",
            "HEADERS=Sec-WebSocket-Key: s3cret",
            "SRV4_HEADERS: holds `sec-websocket-key`, which belongs to the opening of the WebSocket",
        ),
        ("ws://h.test/", "HEADERS=Upgrade: s3cret", "SRV4_HEADERS: found `***`, expected headers such as"),
        ("ws://h.test/", "BEARER_TOKEN=s3cret\nUSERNAME=bob", "SRV4_BEARER_TOKEN: is set beside a user or a password"),
        ("ws://bob@h.test/", "BEARER_TOKEN=s3cret", "SRV4_BEARER_TOKEN: is set beside a user or a password"),
        ("ws://bob@h.test/", "USERNAME=al", "SRV4_USERNAME: is set, and the URL has a user too; take one of them out"),
        ("ws://h.test/", "USERNAME=a:b", "SRV4_USERNAME: has a colon"),
    ] {
        let report = set(url, settings).map(|_| ()).unwrap_err();
        assert!(report.contains(expected) && !report.contains("s3cret"), "{settings:?} says {report}");
    }
    let report = set("ws://h.test/", "HEADERS=wrong\nBEARER_TOKEN=\"x y z\"\nSUBPROTOCOL=a b").map(|_| ()).unwrap_err();
    for key in ["HEADERS", "BEARER_TOKEN", "SUBPROTOCOL"] {
        assert_eq!(report.matches(&format!(" SRV4_{key}: ")).count(), 1, "{key} in {report}");
    }
}

#[tokio::test]
async fn the_server_chooses_one_of_our_subprotocols_or_is_down() {
    fn stomp(_: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
        answer.headers_mut().insert("sec-websocket-protocol", "stomp".parse().unwrap());
        Ok(answer)
    }
    let (addr, _server) = serving(None, stomp, echo).await;
    let url = format!("SRV4_URL=ws://{addr}");
    assert_eq!(look(&format!("{url}\nSRV4_SUBPROTOCOL=mqtt,stomp"), LIMIT).await.outcome, Outcome::Up);
    for lines in [url.clone(), format!("{url}\nSRV4_SUBPROTOCOL=mqtt")] {
        assert!(down(&look(&lines, LIMIT).await, Cause::Protocol).contains("`stomp`, which we do not offer"));
    }
    let (addr, _server) = serving(None, anybody, echo).await;
    let lines = format!("SRV4_URL=ws://{addr}\nSRV4_SUBPROTOCOL=mqtt");
    assert!(down(&look(&lines, LIMIT).await, Cause::Protocol).contains("chose none"));
}

#[tokio::test]
async fn what_is_no_websocket_is_down_within_the_limit() {
    for (act, cause, ends) in [
        (Act::bytes("SSH-2.0-OpenSSH_9.2\r\n"), Cause::Protocol, "or TLS?"),
        (Act::bytes("HTTP/1.1 101 x\r\n\r\n"), Cause::Protocol, "without an upgrade to WebSocket"),
        (Act::bytes("HTTP/1.1 20"), Cause::Reset, "reading the headers"),
        (
            Act::Drip(b"HTTP/1.1 101 x\r\nX: ".to_vec(), b"x".to_vec()),
            Cause::Timeout,
            "waiting for the rest of the answer",
        ),
        (Act::bytes(format!("HTTP/1.1 101 x\r\nX: {}", "x".repeat(100_000))), Cause::Protocol, "exceed 64 KiB"),
        (Act::Silence, Cause::Timeout, "waiting for the first byte"),
        (Act::Close, Cause::Reset, "waiting for the first byte"),
    ] {
        let server = Server::start(move |_| act.clone());
        let limit = if cause == Cause::Timeout { SHORT } else { LIMIT };
        let reading = look(&format!("SRV4_URL=ws://{}/", server.addr()), limit).await;
        assert!(down(&reading, cause).ends_with(ends), "{reading:?}");
        assert!(reading.took < limit + SHORT * 2, "{:?}", reading.took);
    }
}

#[tokio::test]
async fn frames_that_are_none_and_frames_that_are_too_big_are_down() {
    let huge = [&[0x82, 127][..], &(1_u64 << 60).to_be_bytes(), b"x"].concat();
    for (frames, cause, told) in [
        (huge, Cause::Protocol, "a message of more than 1 MiB"),
        (vec![0xff; 300], Cause::Protocol, "what came is no WebSocket"),
        // A masked frame, which only clients send.
        (vec![0x81, 0x81, 1, 2, 3, 4, 5], Cause::Protocol, "what came is no WebSocket"),
        // Text that is not UTF-8.
        (vec![0x81, 1, 0xff], Cause::Protocol, "what came is no WebSocket"),
    ] {
        let (addr, _server) = raw(frames).await;
        let reading = look(&format!("SRV4_URL=ws://{addr}\nSRV4_EXPECT=x"), LIMIT).await;
        assert!(down(&reading, cause).starts_with(told), "{reading:?}");
    }
    // A frame that begins and does not end.
    let (addr, _server) = raw(vec![0x81, 100, b'x']).await;
    down(&look(&format!("SRV4_URL=ws://{addr}"), SHORT).await, Cause::Timeout);
}

#[tokio::test]
async fn a_server_that_does_not_agree_to_the_end_changes_nothing() {
    // The pong that repeats our ping, and then nothing any more.
    let (addr, _server) = raw([&[0x8a, 7][..], b"monitor"].concat()).await;
    let reading = look(&format!("SRV4_URL=ws://{addr}"), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.took < Duration::from_secs(2), "{:?}", reading.took);
    let reading = look(&format!("SRV4_URL=ws://{addr}"), SHORT).await;
    assert_eq!(reading.outcome, Outcome::Up, "the end has its share of the time only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_opens_it_with_curl() {
    let (addr, _server) = serving(None, anybody, echo).await;
    let refusing = Server::start(|_| Act::Status(503));
    let locked = Server::start(|_| Act::Status(401));
    let opens = async |lines: String| {
        let shell = configured(&lines).unwrap().afar_shell(Duration::from_secs(5)).unwrap();
        let run = move || Command::new("/bin/sh").arg("-c").arg(shell).status().unwrap().code().unwrap();
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    assert_eq!(opens(format!("SRV4_URL=ws://{addr}/a")).await, 0);
    assert_ne!(opens(format!("SRV4_URL=ws://{}/", refusing.addr())).await, 0);
    assert_ne!(opens(format!("SRV4_URL=ws://{}/", locked.addr())).await, 0);
    assert_eq!(opens(format!("SRV4_URL=ws://bob:s3cret@{}/", locked.addr())).await, 0, "it asks who we are");
    let keyed = format!("SRV4_URL=ws://{}/\nSRV4_HEADERS=X-Key: s3cret", refusing.addr());
    assert!(!configured(&keyed).unwrap().afar_shell(LIMIT).unwrap().contains("s3cret"));
    assert_eq!(opens(keyed).await, 0, "without our headers any answer will do");
    assert!(configured(&format!("SRV4_URL=ws://{addr}/\nSRV4_SEND=x")).unwrap().afar_shell(LIMIT).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_sends_there_is_a_reading_within_the_limit(
        frames in prop::collection::vec(any::<u8>(), 0..300),
        opened in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limit = Duration::from_millis(150);
        let reading = runtime.block_on(async {
            let (addr, _server) = if opened {
                raw(frames).await
            } else {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addr = listener.local_addr().unwrap();
                let mut server = JoinSet::new();
                server.spawn(async move {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let _ = stream.write_all(&frames).await;
                    let mut ignored = [0; 1024];
                    while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
                });
                (addr, server)
            };
            look(&format!("SRV4_URL=ws://{addr}"), limit).await
        });
        prop_assert!(reading.outcome != Outcome::Up);
        prop_assert!(reading.took < limit + LIMIT / 2);
    }
}
