//! `PING` to real Redis servers, and to listeners that are none.

use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::wire::Kit;
use monitor::probe::{CANNOT_LOOK, KINDS};
use proptest::prelude::*;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::support::http::Certificate;
use crate::support::redis::Redis;
use crate::support::scripted::{End, Scripted};
use crate::support::sshd::free_port;
use crate::support::target::configured;

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

async fn look_for(lines: &str, limit: Duration) -> Reading {
    fetch::install_crypto_provider();
    let target = configured(lines).unwrap_or_else(|report| panic!("{report}"));
    target.probe(&Kit::new(&Roots::load(None).unwrap()), limit).await
}

async fn look(lines: &str) -> Reading {
    look_for(lines, LIMIT).await
}

fn told(reading: &Reading) -> (Cause, &str) {
    match &reading.outcome {
        Outcome::Up => panic!("it is up"),
        Outcome::Down(fault) | Outcome::Blind(fault) => (fault.cause, &fault.reason),
    }
}

async fn is_told(lines: &str, cause: Cause, says: &str) {
    let reading = look(lines).await;
    let (found, reason) = told(&reading);
    assert!(found == cause && reason.contains(says), "{lines}: {found}: {reason}");
}

#[tokio::test]
async fn the_example_is_up_while_its_server_is() {
    let mut redis = Redis::start(&["--requirepass", "correct-horse-battery"]);
    let kind = KINDS.iter().find(|kind| kind.name == "redis").unwrap();
    let lines = kind.example.replace("cache.example.com:6379", &format!("127.0.0.1:{}", redis.port));
    let reading = look(&lines).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_some(), "{reading:?}");
    redis.kill();
    is_told(&lines, Cause::Refused, "nobody listens").await;
}

#[tokio::test]
async fn a_login_is_told_apart_from_a_broken_server() {
    let open = Redis::start(&[]);
    let locked = Redis::start(&["--requirepass", "s3cret-word"]);
    let at = |login: &str, redis: &Redis| format!("SRV4_URL=redis://{login}127.0.0.1:{}\n", redis.port);
    assert_eq!(look(&at("", &open)).await.outcome, Outcome::Up);
    assert_eq!(look(&at(":s3cret-word@", &locked)).await.outcome, Outcome::Up);
    assert_eq!(look(&at("default:s3cret%2Dword@", &locked)).await.outcome, Outcome::Up);
    is_told(&at("", &locked), Cause::Login, "wants a password").await;
    is_told(&at(":wrong@", &locked), Cause::Login, "refuses our user or password").await;
    is_told(&at(":any@", &open), Cause::Login, "refuses our login").await;
    locked.cli(&["-a", "s3cret-word", "ACL", "SETUSER", "poor", "on", ">s3cret-poor", "+get"]);
    is_told(&at("poor:s3cret-poor@", &locked), Cause::Login, "+ping").await;
    locked.cli(&["-a", "s3cret-word", "ACL", "SETUSER", "poor", "+ping"]);
    let lines = format!("{}SRV4_USERNAME=poor\nSRV4_PASSWORD=s3cret-poor\n", at("", &locked));
    assert_eq!(look(&lines).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn a_server_that_takes_no_commands_is_down_in_words() {
    let gone = free_port().to_string();
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &gone, "--replica-serve-stale-data", "no"]);
    is_told(&format!("SRV4_URL=redis://127.0.0.1:{}", replica.port), Cause::Content, "lost its master").await;

    let full = Redis::start(&["--maxclients", "1"]);
    let _held = TcpStream::connect(("127.0.0.1", full.port)).await.unwrap();
    is_told(&format!("SRV4_URL=redis://127.0.0.1:{}", full.port), Cause::Content, "max number of clients").await;

    let mut loading = Redis::start(&["--enable-debug-command", "yes"]);
    loading.cli(&["DEBUG", "POPULATE", "100000"]);
    assert_eq!(loading.cli(&["SAVE"]), "OK");
    loading.restart(&["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"]);
    is_told(&format!("SRV4_URL=redis://127.0.0.1:{}", loading.port), Cause::Starting, "loading its data").await;
}

#[tokio::test]
async fn a_server_that_is_stopped_in_its_tracks_times_out_and_comes_back() {
    let redis = Redis::start(&[]);
    let lines = format!("SRV4_URL=redis://127.0.0.1:{}", redis.port);
    redis.signal(Signal::STOP);
    let reading = look_for(&lines, SHORT).await;
    let (cause, reason) = told(&reading);
    assert!(cause == Cause::Timeout && reason.contains("waiting for the first byte"), "{cause}: {reason}");
    redis.signal(Signal::CONT);
    assert_eq!(look(&lines).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn what_is_not_redis_is_told_as_such() {
    for (answer, cause, says) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Cause::Protocol, "does this port speak HTTP?"),
        (b"\x15\x03\x01\x00\x02\x02\x50", Cause::Protocol, "write rediss://"),
        (b"$4\r\nPONG\r\n", Cause::Protocol, "neither a status nor an error"),
        (b"\x00\xff\xfe", Cause::Protocol, "not Redis's"),
        (b"+PONG\xff\r\n", Cause::Protocol, "cannot be read"),
        (b"+OK\r\n", Cause::Content, "did not answer PONG"),
        (b"+PON", Cause::Reset, "connection closed while waiting for PONG"),
        (b"", Cause::Reset, "connection closed while waiting for PONG"),
        (&[b'+'; 9000], Cause::Protocol, "no end within 4096 bytes"),
    ] {
        let server = Scripted::start(&[answer], End::Close).await;
        is_told(&format!("SRV4_URL=redis://{}", server.addr), cause, says).await;
    }
    let half = Scripted::start(&[b"+PON"], End::Hold).await;
    let reading = look_for(&format!("SRV4_URL=redis://{}", half.addr), SHORT).await;
    let (cause, reason) = told(&reading);
    assert!(cause == Cause::Timeout && reason.ends_with("waiting for the rest of the answer"), "{reason}");
    let hostile = Scripted::start(&[b"-EVIL \x1b[31m<b>\xe2\x80\xae&\n\t\r\n"], End::Close).await;
    let reading = look(&format!("SRV4_URL=redis://{}", hostile.addr)).await;
    assert!(told(&reading).1.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{reading:?}");
}

#[tokio::test]
async fn tls_is_checked_before_a_password_is_sent() {
    for (certificate, cause, says) in [
        (Certificate::good(), None, ""),
        (Certificate::expired(), Some(Cause::Tls), "expired"),
        (Certificate::wrong_host(), Some(Cause::Tls), "another name"),
        (Certificate::self_signed(), Some(Cause::Untrusted), "CA_FILE does not hold it"),
        (Certificate::self_signed_ca(), None, ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = certificate.write(folder.path());
        let root = folder.path().join("root.pem");
        std::fs::write(&root, &certificate.root).unwrap();
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let tls_port = free_port().to_string();
        let options = ["--tls-port", &tls_port, "--tls-cert-file", &cert, "--tls-key-file", &key];
        let redis = Redis::start(&[&options[..], &["--tls-auth-clients", "no", "--requirepass", "s3cret"]].concat());
        let lines = format!(
            "SRV4_URL=rediss://127.0.0.1:{tls_port}\nSRV4_PASSWORD=s3cret\nSRV4_CA_FILE={}\nSRV4_TLS_DAYS=30\n",
            root.display()
        );
        let reading = look(&lines).await;
        match cause {
            None => {
                assert_eq!(reading.outcome, Outcome::Up);
                assert!(reading.phases.tls.is_some() && reading.certificate_ends.is_some(), "{reading:?}");
            }
            Some(cause) => {
                let (found, reason) = told(&reading);
                assert!(found == cause && reason.contains(says), "{found}: {reason}");
                let lax = lines.replace(&format!("SRV4_CA_FILE={}", root.display()), "SRV4_INSECURE=true");
                assert_eq!(look(&lax).await.outcome, Outcome::Up);
            }
        }
        // A plain port takes our greeting for the beginning of a line.
        let plain = look_for(&format!("SRV4_URL=rediss://127.0.0.1:{}", redis.port), SHORT).await;
        assert!(told(&plain).1.contains("waiting for the TLS handshake"), "{plain:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sites_redis_cli_tells_up_from_down() {
    let (open, locked) = (Redis::start(&[]), Redis::start(&["--requirepass", "s3cret-word"]));
    let ask = |url: &str, path: &str| {
        let text = configured(&format!("SRV4_URL={url}")).unwrap().afar_shell(Duration::from_secs(5)).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg(text).env_clear().env("PATH", path).status().unwrap().code().unwrap()
    };
    let (open, locked) = (format!("127.0.0.1:{}", open.port), format!("127.0.0.1:{}", locked.port));
    assert_eq!(ask(&format!("redis://{open}"), "/usr/bin:/bin"), 0);
    assert_eq!(ask(&format!("redis://:s3cret-word@{locked}"), "/usr/bin:/bin"), 0);
    assert_eq!(ask(&format!("redis://{locked}"), "/usr/bin:/bin"), 1);
    assert_eq!(ask(&format!("redis://127.0.0.1:{}", free_port()), "/usr/bin:/bin"), 1);
    assert_eq!(ask(&format!("redis://{open}"), "/nowhere"), CANNOT_LOOK);
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    for (lines, says) in [
        ("SRV4_URL=redis://h\nSRV4_CA_FILE=/no/such.pem", "SRV4_CA_FILE: is set, and redis:// has no TLS"),
        ("SRV4_URL=redis://h\nSRV4_TLS_DAYS=30", "SRV4_TLS_DAYS: is set, and redis:// has no TLS"),
        ("SRV4_URL=redis://:a@h\nSRV4_PASSWORD=abcdef", "SRV4_PASSWORD: is set, and the URL has a password too"),
        ("SRV4_URL=redis://bob@h", "SRV4_PASSWORD: is not set, and there is a user"),
        ("SRV4_URL=redis://bob:x@h\nSRV4_USERNAME=bob", "SRV4_USERNAME: is set, and the URL has a user too"),
        ("SRV4_URL=redis://h\nSRV4_SHELL=true", "SRV4_SHELL: is not a setting of redis and rediss"),
    ] {
        let report = configured(lines).map(|_| ()).unwrap_err();
        assert!(report.contains(says), "{lines}: {report}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_a_server_sends_there_is_a_reading_in_time(
        first in prop::sample::select(vec![&b"+"[..], b"-", b"+PONG", b"-ERR ", b"*2\r\n", b""]),
        rest in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300),
        login in any::<bool>(),
        holds in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reading = runtime.block_on(async {
            let end = if holds { End::Hold } else { End::Close };
            let bytes = [first, &rest].concat();
            let server = Scripted::start(&[&bytes, &bytes], end).await;
            let login = if login { ":word@" } else { "" };
            let lines = format!("SRV4_URL=redis://{login}{}", server.addr);
            tokio::time::timeout(LIMIT, look_for(&lines, Duration::from_millis(150))).await
        });
        prop_assert!(reading.is_ok());
    }
}
