//! The HTTP probe against real sockets: each way a target can fail is a reading with its own cause.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy sees only #[test] functions as tests")]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use monitor::domain::reading::{Cause, Fault, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::{Kit, Resolver};
use rustls::HandshakeKind;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::http::{Act, Certificate, Hit, LIMIT, Server, Service, State};

/// Short enough to wait for, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(300);

fn kit() -> Kit {
    Kit::new(&Roots::load(None).unwrap())
}

/// Trusts the root of `certificate`.
fn trusting(certificate: &Certificate) -> Kit {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    Kit::new(&Roots::load(Some(file.path())).unwrap())
}

/// Every name has these addresses.
fn resolving(addresses: &'static [IpAddr]) -> Kit {
    Kit::with_resolver(&Roots::load(None).unwrap(), Resolver::new(4, |_| Ok(addresses.to_vec())))
}

async fn look(url: &str) -> Reading {
    Target::parse(url).unwrap().probe(&kit(), LIMIT).await
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

#[track_caller]
fn up(reading: &Reading) {
    assert_eq!(reading.outcome, Outcome::Up);
}

#[tokio::test]
async fn every_status_from_200_to_399_is_up_and_every_other_is_down() {
    let server = Server::start(|hit| Act::Status(hit.path.trim_start_matches('/').parse().unwrap()));
    for status in [200, 204, 299, 300, 301, 304, 399] {
        up(&look(&server.url(&format!("/{status}"))).await);
    }
    for (status, reason) in [
        (400, "HTTP 400 Bad Request"),
        (404, "HTTP 404 Not Found"),
        (500, "HTTP 500 Internal Server Error"),
        (503, "HTTP 503 Service Unavailable"),
        (599, "HTTP 599"),
        (999, "HTTP 999"),
    ] {
        let reading = look(&server.url(&format!("/{status}"))).await;
        assert_eq!(down(&reading, Cause::Status), reason);
    }
}

#[tokio::test]
async fn a_request_says_who_asks_and_each_probe_has_its_own_connection() {
    let server = Server::start(|_| Act::Status(200));
    let (target, kit) = (Target::parse(&server.url("/health?a=b#c")).unwrap(), kit());
    for _ in 0..2 {
        let reading = target.probe(&kit, LIMIT).await;
        up(&reading);
        assert_eq!((reading.phases.dns, reading.phases.tls), (None, None));
        assert!(reading.phases.connect.is_some(), "a kept connection has no connect phase");
        assert!(reading.phases.connect.unwrap() + reading.phases.first_byte.unwrap() <= reading.took);
    }
    let hits = server.hits();
    assert_eq!(hits.len(), 2);
    let hit = &hits[0];
    assert_eq!((hit.method.as_str(), hit.path.as_str()), ("GET", "/health?a=b"));
    assert_eq!(hit.headers["host"], server.addr().to_string());
    assert_eq!(hit.headers["user-agent"], concat!("monitor/", env!("CARGO_PKG_VERSION")));
    assert_eq!(hit.headers["accept"], "*/*");
    assert_eq!(hit.headers["connection"], "close");
    assert!(!hit.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_refused() {
    let service = Service::start();
    service.set(State::Refuse);
    let reading = look(&service.url()).await;
    assert!(down(&reading, Cause::Refused).starts_with("connection refused: nobody listens at 127.0.0.1:"));
    service.set(State::Up);
    up(&look(&service.url()).await);
    service.set(State::Down(502));
    assert_eq!(down(&look(&service.url()).await, Cause::Status), "HTTP 502 Bad Gateway");
    service.set(State::Hang);
    down(&Target::parse(&service.url()).unwrap().probe(&kit(), SHORT).await, Cause::Timeout);
    let hits = service.hit(3).await;
    assert_eq!(service.hits().len(), 3);
    assert!(hits.iter().all(|hit| hit.body.is_empty()) && hits.is_sorted_by_key(|hit| hit.at));
}

#[tokio::test]
async fn a_silent_server_is_a_timeout_that_names_the_phase() {
    let server = Server::start(|_| Act::Silence);
    let reading = Target::parse(&server.url("/")).unwrap().probe(&kit(), SHORT).await;
    let reason = down(&reading, Cause::Timeout);
    assert!(reason.starts_with("no answer within 300ms: connected in "), "{reason}");
    assert!(reason.ends_with(", waiting for the first byte"), "{reason}");
    assert!(reading.took >= SHORT && reading.took < SHORT * 5, "{:?}", reading.took);
    assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_none());
}

#[tokio::test]
async fn headers_that_come_drop_by_drop_do_not_stretch_the_limit() {
    let server = Server::start(|_| Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Slow: x".to_vec()));
    let reading = Target::parse(&server.url("/")).unwrap().probe(&kit(), SHORT).await;
    assert!(down(&reading, Cause::Timeout).ends_with("waiting for the rest of the answer"));
    assert!(reading.took < SHORT * 5, "{:?}", reading.took);
    assert!(reading.phases.first_byte.is_some());
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hold_the_probe() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let server = Server::start(|_| Act::Drip(head.to_vec(), b"body".to_vec()));
    let reading = look(&server.url("/")).await;
    up(&reading);
    assert!(reading.took < LIMIT / 5, "{:?}", reading.took);
}

#[tokio::test]
async fn headers_cut_into_drops_are_still_an_answer() {
    let server = Server::start(|_| Act::Drip(b"HTTP".to_vec(), b"/1.1 503 x\r\n\r\n".to_vec()));
    assert_eq!(down(&look(&server.url("/")).await, Cause::Status), "HTTP 503 Service Unavailable");
}

#[tokio::test]
async fn a_connection_that_ends_early_is_a_reset_that_says_when() {
    for (act, reason) in [
        (Act::Close, "connection closed while waiting for the first byte"),
        (Act::Reset, "connection reset while waiting for the first byte"),
        (Act::bytes("HTTP/1.1 200 OK\r\nX: "), "connection closed while reading the headers"),
    ] {
        let server = Server::start(move |_| act.clone());
        assert_eq!(down(&look(&server.url("/")).await, Cause::Reset), reason);
    }
    // Before the request is read the kernel may tell us while sending or while reading.
    for act in [Act::Close, Act::Reset] {
        let server = Server::unasked(act);
        down(&look(&server.url("/")).await, Cause::Reset);
    }
}

#[tokio::test]
async fn an_answer_of_another_protocol_is_named() {
    for (bytes, reason) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP but SSH"),
        ("220 mail.test ESMTP\r\n", "the answer is not HTTP but SMTP or FTP"),
        ("HTTP/2 200\r\n\r\n", "the answer is not HTTP/1.1; this port speaks another version"),
        ("\x1b]0;owned\x07garbage", "the answer is not HTTP"),
        ("HTTP/1.1 two hundred\r\n\r\n", "the answer is not valid HTTP: invalid HTTP status-code parsed"),
    ] {
        let server = Server::start(move |_| Act::Drip(bytes.into(), b"x".to_vec()));
        let reading = look(&server.url("/")).await;
        assert!(down(&reading, Cause::Protocol).starts_with(reason), "{reading:?}");
    }
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let big = format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\n\r\n", "x".repeat(100 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: x\r\n".repeat(500));
    let fair = format!("HTTP/1.1 200 OK\r\nX-Fair: {}\r\n\r\n", "x".repeat(30 * 1024));
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/big" => Act::bytes(&big),
        "/many" => Act::bytes(&many),
        _ => Act::bytes(&fair),
    });
    for path in ["/big", "/many"] {
        let reading = look(&server.url(path)).await;
        assert_eq!(down(&reading, Cause::Protocol), "the headers of the answer exceed 64 KiB or 128 lines");
    }
    up(&look(&server.url("/fair")).await);
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let bytes =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n";
    let server = Server::start(move |_| Act::bytes(bytes));
    assert_eq!(down(&look(&server.url("/")).await, Cause::Status), "HTTP 404 Not Found");
}

#[tokio::test]
async fn redirects_are_followed_and_the_last_answer_counts() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/a" => Act::Redirect(301, "b".to_owned()),
        "/b" => Act::Redirect(302, "/c?x=1".to_owned()),
        "/c?x=1" => Act::Redirect(307, "?x=2".to_owned()),
        "/c?x=2" => Act::Status(200),
        "/sick" => Act::Redirect(308, "/500?token=t0ken".to_owned()),
        _ => Act::Status(500),
    });
    up(&look(&server.url("/a")).await);
    assert_eq!(server.hits().len(), 4);
    let reading = look(&server.url("/sick")).await;
    let place = server.url("/500?token=***");
    assert_eq!(down(&reading, Cause::Status), format!("HTTP 500 Internal Server Error from {place} after a redirect"));
}

#[tokio::test]
async fn loops_and_endless_or_foreign_redirects_are_told() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/loop" => Act::Redirect(302, "/pool".to_owned()),
        "/pool" => Act::Redirect(302, "/loop".to_owned()),
        "/ftp" => Act::Redirect(302, "ftp://h.test/".to_owned()),
        "/none" => Act::Redirect(302, "http://".to_owned()),
        path => Act::Redirect(302, format!("/{}", path.trim_start_matches('/').parse::<u32>().unwrap() + 1)),
    });
    let redirect = async |path: &str| down(&look(&server.url(path)).await, Cause::Redirect).to_owned();
    assert_eq!(redirect("/loop").await, format!("redirect loop: {} again", server.url("/loop")));
    assert_eq!(server.hits().len(), 2);
    assert_eq!(redirect("/0").await, format!("more than 10 redirects, last to {}", server.url("/11")));
    assert_eq!(server.hits().len(), 2 + 11);
    assert_eq!(redirect("/ftp").await, "redirected to `ftp:`, which is not HTTP");
    assert_eq!(redirect("/none").await, "the redirect's address cannot be read");
}

#[tokio::test]
async fn a_redirect_that_waits_for_its_own_cookie_ends() {
    let server = Server::start(|hit| match hit.headers.get("cookie").map(String::as_str) {
        Some("seen=1") => Act::Status(200),
        _ => Act::bytes("HTTP/1.1 302 x\r\nSet-Cookie: seen=1; Path=/\r\nLocation: /\r\n\r\n"),
    });
    let target = Target::parse(&server.url("/")).unwrap();
    for expected in [2, 4] {
        up(&target.probe(&kit(), LIMIT).await);
        assert_eq!(server.hits().len(), expected, "cookies do not outlive an attempt");
    }
}

#[tokio::test]
async fn credentials_go_to_their_origin_only_and_into_no_reading() {
    let other = Server::start(|_| Act::Status(500));
    let elsewhere = other.url("/");
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/here" => Act::Redirect(302, "/ok".to_owned()),
        "/away" => Act::Redirect(302, elsewhere.clone()),
        "/echo" => Act::bytes(&hit.headers["authorization"]),
        "/ok" => Act::Status(401),
        _ => Act::Silence,
    });
    let at = server.addr();
    let mut readings = Vec::new();
    for path in ["here", "away", "echo", "silence"] {
        let target = Target::parse(&format!("http://bob:s3cret@{at}/{path}?key=k3y")).unwrap();
        let bare = Target::parse(&format!("http://bob:s3cret@{at}/{path}")).unwrap();
        readings.push(format!("{target:?} {}", target.shown()));
        readings.push(format!("{:?}", bare.probe(&kit(), SHORT).await));
    }
    // printf 'bob:s3cret' | base64
    for hit in server.hits() {
        assert_eq!(hit.headers["authorization"], "Basic Ym9iOnMzY3JldA==", "{}", hit.path);
    }
    assert_eq!(server.hits().len(), 5);
    assert!(!other.hits()[0].headers.contains_key("authorization"));
    for reading in readings {
        assert!(!reading.contains("s3cret") && !reading.contains("Ym9i") && !reading.contains("k3y"), "{reading}");
    }
}

#[tokio::test]
async fn a_good_certificate_is_up_and_each_bad_one_says_why() {
    for (certificate, cause, reason) in [
        (Certificate::expired(), Cause::Tls, "the certificate has expired"),
        (Certificate::self_signed(), Cause::Untrusted, "the certificate's issuer is not trusted: it is self-signed"),
        (Certificate::wrong_host(), Cause::Tls, "the certificate is for another name: wanted 127.0.0.1, got"),
        (
            Certificate::self_signed_ca().unknown(),
            Cause::Untrusted,
            "the certificate's issuer is not trusted: it is self-signed",
        ),
    ] {
        let server = Server::tls(&certificate, |_| Act::Status(200));
        let reading = Target::parse(&server.url("/")).unwrap().probe(&trusting(&certificate), LIMIT).await;
        assert!(down(&reading, cause).starts_with(reason), "{reading:?}");
        assert!(server.hits().is_empty());
    }
    let certificate = Certificate::good();
    let server = Server::tls(&certificate, |_| Act::Status(200));
    let (target, kit) = (Target::parse(&server.url("/")).unwrap(), trusting(&certificate));
    for _ in 0..2 {
        let reading = target.probe(&kit, LIMIT).await;
        up(&reading);
        assert!(reading.phases.tls.is_some());
    }
    // A resumed session would not look at the certificate.
    let full = |hit: &Hit| hit.tls.is_some_and(|kind| kind != HandshakeKind::Resumed);
    assert!(server.hits().iter().all(full), "{:?}", server.hits());
    assert!(down(&look(&server.url("/")).await, Cause::Untrusted).contains("not trusted"));
}

#[tokio::test]
async fn https_towards_plain_http_and_the_reverse_say_so() {
    let server = Server::start(|_| Act::Status(200));
    let plain = Server::unasked(Act::bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
    drop(server);
    let reading = look(&plain.url("/").replace("http:", "https:")).await;
    assert_eq!(down(&reading, Cause::Tls), "the answer is not TLS; does this port speak plain HTTP?");
    let certificate = Certificate::good();
    let secure = Server::tls(&certificate, |_| Act::Status(200));
    let reading = look(&secure.url("/").replace("https:", "http:")).await;
    assert_eq!(down(&reading, Cause::Protocol), "the answer is not HTTP but TLS; write https:// for this port");
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_is_a_timeout_of_tls() {
    let server = Server::unasked(Act::Silence);
    let url = server.url("/").replace("http:", "https:");
    let reading = Target::parse(&url).unwrap().probe(&kit(), SHORT).await;
    assert!(down(&reading, Cause::Timeout).ends_with("waiting for the TLS handshake"), "{reading:?}");
}

#[tokio::test]
async fn an_address_of_version_6_is_dialled() {
    let server = Server::at(Ipv6Addr::LOCALHOST.into(), |_| Act::Status(200));
    up(&look(&server.url("/")).await);
    assert_eq!(server.hits()[0].headers["host"], format!("[::1]:{}", server.addr().port()));
}

#[tokio::test]
async fn a_name_is_resolved_and_its_second_address_is_tried() {
    const BOTH: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let server = Server::start(|_| Act::Status(200));
    let target = Target::parse(&format!("http://h.test:{}/", server.addr().port())).unwrap();
    let reading = target.probe(&resolving(BOTH), LIMIT).await;
    up(&reading);
    assert!(reading.phases.dns.is_some());
    assert_eq!(server.hits()[0].headers["host"], format!("h.test:{}", server.addr().port()));
    drop(server);
    down(&target.probe(&resolving(BOTH), LIMIT).await, Cause::Refused);
}

#[tokio::test]
async fn a_first_address_that_swallows_connections_costs_its_share_only() {
    const BOTH: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let server = Server::start(|_| Act::Status(200));
    let port = server.addr().port();
    // A full queue of connections that nobody accepts: the kernel drops what comes after.
    let hole: SocketAddr = (BOTH[0], port).into();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&hole.into()).unwrap();
    socket.listen(0).unwrap();
    let waiting: Vec<_> = (0..8).map_while(|_| std::net::TcpStream::connect_timeout(&hole, SHORT).ok()).collect();
    assert!(waiting.len() < 8, "the queue did not fill");

    let target = Target::parse(&format!("http://h.test:{port}/")).unwrap();
    let reading = target.probe(&resolving(BOTH), SHORT * 4).await;
    up(&reading);
    assert!(reading.took >= SHORT * 2 && reading.took < SHORT * 4, "{:?}", reading.took);
}

#[tokio::test]
async fn trouble_of_the_resolver_is_blind_and_a_name_that_does_not_exist_is_down() {
    let roots = Roots::load(None).unwrap();
    let target = Target::parse("http://h.test/").unwrap();
    for cause in [Cause::Resolver, Cause::Dns, Cause::Exhausted] {
        let kit = Kit::with_resolver(&roots, Resolver::new(4, move |_| Err(Fault::new(cause, "said so"))));
        let reading = target.probe(&kit, LIMIT).await;
        let expected = Fault::new(cause, "said so");
        match reading.outcome {
            Outcome::Blind(fault) => assert!(cause.is_blind() && fault == expected),
            Outcome::Down(fault) => assert!(!cause.is_blind() && fault == expected),
            Outcome::Up => panic!("up without an address"),
        }
    }
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let stuck = Resolver::new(4, move |_| {
        let _ = gate.lock().unwrap().recv_timeout(LIMIT);
        Ok(vec![])
    });
    let reading = target.probe(&Kit::with_resolver(&roots, stuck), SHORT).await;
    drop(open);
    assert!(matches!(&reading.outcome, Outcome::Blind(fault) if fault.cause == Cause::Resolver), "{reading:?}");
}

#[test]
fn being_out_of_descriptors_is_blind() {
    // In a process of its own: the limit would hit every test of this one.
    let own = std::env::current_exe().unwrap();
    let inner = ["--exact", "probe_http::inner_without_descriptors", "--ignored"];
    let output = std::process::Command::new(own).args(inner).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "run by being_out_of_descriptors_is_blind"]
async fn inner_without_descriptors() {
    let server = Server::start(|_| Act::Status(200));
    let (target, kit) = (Target::parse(&server.url("/")).unwrap(), kit());
    up(&target.probe(&kit, LIMIT).await);
    let few = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let reading = target.probe(&kit, LIMIT).await;
    drop(held);
    assert!(matches!(&reading.outcome, Outcome::Blind(fault) if fault.cause == Cause::Exhausted), "{reading:?}");
    up(&target.probe(&kit, LIMIT).await);
}

#[tokio::test]
async fn clients_trust_whom_probes_trust_and_their_errors_hide_the_url() {
    let certificate = Certificate::good();
    let server = Server::tls(&certificate, |_| Act::Status(200));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    let trusting = fetch::client(&Roots::load(Some(file.path())).unwrap(), LIMIT).unwrap();
    assert_eq!(trusting.get(server.url("/")).send().await.unwrap().status(), 200);
    let strange = fetch::client(&Roots::load(None).unwrap(), LIMIT).unwrap();
    let error = strange.get(server.url("/bot123:t0ken/x")).send().await.unwrap_err().without_url();
    assert!(error.is_connect() && !format!("{error} {error:?}").contains("t0ken"), "{error:?}");
}

#[tokio::test]
async fn a_thousand_probes_at_once_all_answer() {
    let server = Server::start(|_| Act::Status(200));
    let (target, kit) = (Target::parse(&server.url("/")).unwrap(), kit());
    let (target, kit) = (Arc::new(target), Arc::new(kit));
    let started = Instant::now();
    for _ in 0..10 {
        // As the engine runs them: each in a task, so the future must be `Send`.
        let mut running = JoinSet::new();
        for _ in 0..100 {
            let (target, kit) = (Arc::clone(&target), Arc::clone(&kit));
            running.spawn(async move { target.probe(&kit, LIMIT).await });
        }
        assert!(running.join_all().await.iter().all(|reading| reading.outcome == Outcome::Up));
    }
    assert!(started.elapsed() < LIMIT * 3, "{:?}", started.elapsed());
    assert_eq!(server.hits().len(), 1000);
}
