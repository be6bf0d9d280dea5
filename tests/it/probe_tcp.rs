//! A connection to real sockets, and what is said over it.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::Kit;
use proptest::prelude::*;

use crate::support::http::{Act, Server};
use crate::support::netns::Lan;
use crate::support::sshd::{Options, Sshd};
use crate::support::target::{configured, example};

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_secs(1);

fn kit() -> Kit {
    fetch::install_crypto_provider();
    Kit::new(&Roots::load(None).unwrap())
}

async fn look(url: &str, limit: Duration) -> Reading {
    Target::parse(url).unwrap().probe(&kit(), limit).await
}

/// Looks at a target with settings.
async fn ask(lines: &str, limit: Duration) -> Reading {
    configured(lines).unwrap().probe(&kit(), limit).await
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

fn fault(reading: &Reading) -> (bool, Cause) {
    match &reading.outcome {
        Outcome::Up => panic!("it is up"),
        Outcome::Down(fault) => (false, fault.cause),
        Outcome::Blind(fault) => (true, fault.cause),
    }
}

#[tokio::test]
async fn a_port_that_listens_is_up_though_nobody_ever_accepts() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let local = listener.local_addr().unwrap();
        let reading = look(&format!("tcp://{local}"), LIMIT).await;
        assert_eq!(reading.outcome, Outcome::Up);
        assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_none(), "{reading:?}");
        drop(listener);
        assert_eq!(fault(&look(&format!("tcp://{local}"), LIMIT).await), (false, Cause::Refused));
    }
}

#[tokio::test]
async fn a_name_is_resolved_before_it_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reading = look(&format!("tcp://localhost:{}", listener.local_addr().unwrap().port()), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.dns.is_some() && reading.phases.connect.is_some());
    let name = format!("{}.test", "x".repeat(64));
    assert_eq!(fault(&look(&format!("tcp://{name}:80"), LIMIT).await), (false, Cause::Dns));
}

#[test]
fn a_machine_that_is_gone_is_down_and_a_network_that_is_gone_is_blind() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24"]);
    lan.machine("there", &["10.9.0.2/24"]);
    lan.cut("there");
    assert_eq!(fault(&lan.run("here", || look("tcp://10.9.0.2:22", SHORT))), (false, Cause::Timeout));
    lan.restore("there");
    assert_eq!(fault(&lan.run("here", || look("tcp://10.9.0.2:22", LIMIT))), (false, Cause::Refused));
    assert_eq!(fault(&lan.run("here", || look("tcp://192.0.2.1:22", LIMIT))), (true, Cause::Network));
}

#[tokio::test]
async fn a_greeting_that_is_expected_must_come_and_may_come_in_pieces() {
    let greets = |act| {
        let server = Server::unasked(act);
        (example("tcp", &server.addr().to_string()), server)
    };
    let (lines, _server) = greets(Act::bytes("220 mail.example.org ESMTP\r\n"));
    let reading = ask(&lines, LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_some(), "{reading:?}");
    let (lines, _server) = greets(Act::Drip(b"2".to_vec(), b"20 mail.example.org\r\n".to_vec()));
    assert_eq!(ask(&lines, LIMIT).await.outcome, Outcome::Up);

    let (lines, _server) = greets(Act::bytes("554 no \x1b[31mservice\r\n"));
    let reading = ask(&lines, LIMIT).await;
    let told =
        "the answer does not hold `/^220[ -]/`, and the connection was closed: it begins `554 no \\x1b[31mservice`";
    assert_eq!(down(&reading, Cause::Content), told);
    let (lines, _server) = greets(Act::Drip(b"554".to_vec(), b".".to_vec()));
    let reading = ask(&lines, SHORT).await;
    assert!(down(&reading, Cause::Content).starts_with("the answer does not hold `/^220[ -]/`: it begins `554."));
    assert!(reading.took < SHORT * 3, "{:?}", reading.took);
    let (lines, _server) = greets(Act::Bytes(vec![b'x'; 1 << 20]));
    assert!(down(&ask(&lines, LIMIT).await, Cause::Content).contains("nor do 64 KiB of it"));
    let (lines, _server) = greets(Act::Silence);
    let silent = ask(&lines, SHORT).await;
    assert!(down(&silent, Cause::Timeout).ends_with("waiting for the first byte"), "{silent:?}");
    for act in [Act::Close, Act::Reset] {
        let (lines, _server) = greets(act);
        down(&ask(&lines, LIMIT).await, Cause::Reset);
    }
    let (lines, server) = greets(Act::Close);
    server.listen(false);
    down(&ask(&lines, LIMIT).await, Cause::Refused);
}

#[tokio::test]
async fn what_is_sent_is_sent_to_the_letter_and_answered() {
    let server = Server::start(|hit| {
        Act::bytes(if (hit.method.as_str(), hit.path.as_str()) == ("PING", "\t\u{e9}") {
            "+PONG\r\n"
        } else {
            "-ERR\r\n"
        })
    });
    let url = format!("SRV4_URL=tcp://{}", server.addr());
    let ping = format!("{url}\nSRV4_SEND=PING \\t\\xc3\\xa9\\r\\n\\r\\n");
    assert_eq!(ask(&format!("{ping}\nSRV4_EXPECT=PONG\\r"), LIMIT).await.outcome, Outcome::Up);
    assert_eq!(ask(&ping, LIMIT).await.outcome, Outcome::Up, "any answer will do");
    let other = format!("{url}\nSRV4_SEND=PONG\\r\\n\\r\\n\nSRV4_EXPECT=PONG");
    assert!(down(&ask(&other, LIMIT).await, Cause::Content).ends_with("it begins `-ERR`"));
    // It waits for the end of the request, so nothing comes: that is no answer.
    let half = format!("{url}\nSRV4_SEND=PING");
    down(&ask(&half, SHORT).await, Cause::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ssh_server_greets_first() {
    let mut sshd = Sshd::start(&Options::default());
    let lines = format!("SRV4_URL=tcp://127.0.0.1:{}\nSRV4_EXPECT=SSH-2.0-OpenSSH", sshd.port);
    assert_eq!(ask(&lines, LIMIT).await.outcome, Outcome::Up);
    sshd.kill();
    down(&ask(&lines, LIMIT).await, Cause::Refused);
}

#[test]
fn what_cannot_be_sent_or_expected_is_told_with_its_key() {
    let told = configured("SRV4_URL=tcp://h:1\nSRV4_SEND=a\\q\nSRV4_EXPECT=/(/").unwrap_err();
    for part in ["SRV4_SEND: ", "after a backslash", "SRV4_EXPECT: ", "unclosed group"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn another_machine_waits_for_the_first_byte_of_a_greeting() {
    let looks = |lines: &str| {
        let shell = configured(lines).unwrap().afar_shell(Duration::from_secs(2)).unwrap();
        Command::new("/bin/sh").arg("-c").arg(shell).status().unwrap().code().unwrap()
    };
    let greets = |act| {
        let server = Server::unasked(act);
        (format!("SRV4_URL=tcp://{}\nSRV4_EXPECT=x", server.addr()), server)
    };
    for (act, answers) in [
        (Act::bytes("\n"), true),
        (Act::bytes([0]), true),
        (Act::bytes("220 x\r\n"), true),
        (Act::Close, false),
        (Act::Silence, false),
    ] {
        let (lines, server) = greets(act.clone());
        assert_eq!(looks(&lines) == 0, answers, "{act:?}");
        server.listen(false);
        assert_ne!(looks(&lines), 0);
    }
    let target = configured("SRV4_URL=tcp://h:1\nSRV4_SEND=x").unwrap();
    assert!(target.afar_shell(LIMIT).is_none(), "what is sent stays here");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_sends_there_is_a_reading_within_the_limit(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        expected in prop::sample::select(vec!["\\xff\\x00\\xff", "/^[a-z]{40}$/"]),
        scheme in prop::sample::select(vec!["tcp", "tls"]),
    ) {
        let server = Server::unasked(Act::Bytes(bytes.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lines = format!("SRV4_URL={scheme}://{}\nSRV4_EXPECT={expected}", server.addr());
        let reading = runtime.block_on(ask(&lines, SHORT));
        let holds = scheme == "tcp" && bytes.windows(3).any(|three| three == [0xff, 0, 0xff]) && !expected.starts_with('/');
        prop_assert_eq!(reading.outcome == Outcome::Up, holds, "{:?}", reading);
        prop_assert!(reading.took < SHORT + LIMIT / 2);
    }
}
