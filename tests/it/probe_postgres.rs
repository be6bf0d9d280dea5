//! `SELECT 1` to real PostgreSQL servers, and to listeners that are none.

use std::sync::OnceLock;
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::wire::Kit;
use monitor::probe::{CANNOT_LOOK, KINDS};
use proptest::prelude::*;
use tokio_postgres::{Config, NoTls};

use crate::support::http::Certificate;
use crate::support::postgres::bin;
use crate::support::postgres_tcp::{PASSWORD, Postgres};
use crate::support::scripted::{End, Scripted};
use crate::support::sshd::{free_port, wait_until};
use crate::support::target::configured;

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

async fn look_for(lines: &str, limit: Duration) -> Reading {
    fetch::install_crypto_provider();
    let target = configured(lines).unwrap_or_else(|report| panic!("{report}"));
    target.probe(kit(), limit).await
}

fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    fetch::install_crypto_provider();
    KIT.get_or_init(|| Kit::new(&Roots::load(None).unwrap()))
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

/// Lines for one role.
fn at(server: &Postgres, role: &str, rest: &str) -> String {
    format!("SRV4_URL=postgres://{role}@127.0.0.1:{}/{rest}\nSRV4_PASSWORD={PASSWORD}\n", server.port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_databases_and_tls_are_told_apart() {
    let good = Certificate::good();
    let mut server = Postgres::start(Some(&good), &["log_connections=on"]);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, &good.root).unwrap();
    let trusting = format!("SRV4_CA_FILE={}\nSRV4_TLS_DAYS=30\n", root.display());

    // The example, with this server's address and a role of its own.
    let kind = KINDS.iter().find(|kind| kind.name == "postgres").unwrap();
    let example = kind.example.replace("db.example.com:5432", &format!("127.0.0.1:{}", server.port));
    let example = example.replace("USERNAME=monitor", "USERNAME=scram");
    let reading = look(&example).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.tls.is_some() && reading.phases.first_byte.is_some(), "{reading:?}");

    for (role, rest, extra) in [
        ("scram", "app", ""),
        ("scram", "app?sslmode=disable", ""),
        ("secured", "app", ""),
        ("md5", "app?sslmode=disable", ""),
        ("anybody", "app", ""),
        ("plain", "app?sslmode=require", trusting.as_str()),
        ("plain", "app?sslmode=verify-full", trusting.as_str()),
        ("scram", "app?sslmode=require", "SRV4_INSECURE=true\n"),
    ] {
        let reading = look(&format!("{}{extra}", at(&server, role, rest))).await;
        assert_eq!(reading.outcome, Outcome::Up, "{role} {rest}");
        assert_eq!(reading.phases.tls.is_some(), !rest.ends_with("disable"), "{role} {rest}");
        assert_eq!(reading.certificate_ends.is_some(), extra.contains("DAYS"), "{role} {rest}");
    }
    for (role, rest, cause, says) in [
        ("scram", "app?sslmode=require", Cause::Untrusted, "issuer is not trusted"),
        ("scram", "elsewhere", Cause::Login, "no such database"),
        ("scram", "", Cause::Login, "no such database"),
        ("nobody", "app", Cause::Login, "pg_hba.conf"),
        ("stranger", "app", Cause::Login, "pg_hba.conf"),
        ("secured", "app?sslmode=disable", Cause::Login, "pg_hba.conf"),
        ("plain", "app", Cause::Denied, "in the clear"),
        ("plain", "app?sslmode=disable", Cause::Denied, "in the clear"),
    ] {
        is_told(&at(&server, role, rest), cause, says).await;
    }
    let lax = format!("{}SRV4_INSECURE=true\n", at(&server, "plain", "app?sslmode=require"));
    is_told(&lax, Cause::Denied, "in the clear").await;
    let of = |role: &str, password: &str| format!("SRV4_URL=postgres://{role}{password}@127.0.0.1:{}/app", server.port);
    is_told(&of("scram", ":wrong-word"), Cause::Login, "refuses our password").await;
    is_told(&of("md5", ":wrong-word"), Cause::Login, "refuses our password").await;
    is_told(&of("scram", ""), Cause::Login, "wants a password, and none is set").await;
    assert_eq!(look(&of("scram", ":correct%2Dhorse%2Dbattery")).await.outcome, Outcome::Up);
    server.sql("ALTER ROLE md5 CONNECTION LIMIT 0");
    is_told(&at(&server, "md5", "app"), Cause::Login, "CONNECTION LIMIT").await;
    server.sql("ALTER DATABASE app ALLOW_CONNECTIONS false");
    is_told(&at(&server, "scram", "app"), Cause::Login, "ALLOW_CONNECTIONS").await;
    server.sql("ALTER DATABASE app ALLOW_CONNECTIONS true");
    server.sql("REVOKE CONNECT ON DATABASE app FROM PUBLIC");
    is_told(&at(&server, "scram", "app"), Cause::Login, "may not connect to this database").await;

    // An end without a goodbye would stand there as such.
    assert!(!server.log().contains("unexpected EOF"), "{}", server.log());
    server.stop();
    is_told(&at(&server, "scram", "app"), Cause::Refused, "nobody listens").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_name_or_time_is_told() {
    for (certificate, says) in [(Certificate::wrong_host(), "another name"), (Certificate::expired(), "expired")] {
        let server = Postgres::start(Some(&certificate), &[]);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        std::fs::write(&root, &certificate.root).unwrap();
        let lines = format!("{}SRV4_CA_FILE={}\n", at(&server, "scram", "app?sslmode=require"), root.display());
        is_told(&lines, Cause::Tls, says).await;
        assert_eq!(look(&at(&server, "scram", "app")).await.outcome, Outcome::Up, "prefer takes any");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_and_one_that_stops_are_down_in_words() {
    let settings = ["max_connections=6", "superuser_reserved_connections=3", "max_wal_senders=0"];
    let mut server = Postgres::start(None, &settings);
    let lines = at(&server, "anybody", "app");
    assert_eq!(look(&lines).await.outcome, Outcome::Up);
    is_told(&at(&server, "anybody", "app?sslmode=require"), Cause::Tls, "has no TLS").await;

    let mut config = Config::new();
    config.host("127.0.0.1").port(server.port).user("anybody").dbname("app");
    let mut held = Vec::new();
    let mut connections = tokio::task::JoinSet::new();
    // Goodbyes of the looks before may still be on their way.
    while let Ok((client, connection)) = config.connect(NoTls).await {
        held.push(client);
        connections.spawn(connection);
        assert!(held.len() < 10);
    }
    is_told(&lines, Cause::Content, "has no connection left").await;

    // With clients that stay it waits for them, and takes nobody new.
    server.signal("TERM");
    assert!(wait_until(LIMIT, || server.log().contains("received smart shutdown request")));
    is_told(&lines, Cause::Starting, "takes no connections now: the database system is shutting down").await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_in_its_tracks_times_out_and_comes_back() {
    let server = Postgres::start(None, &[]);
    let lines = at(&server, "scram", "app");
    server.signal("STOP");
    let reading = look_for(&lines, SHORT).await;
    server.signal("CONT");
    let (cause, reason) = told(&reading);
    assert!(cause == Cause::Timeout && reason.contains("waiting for the first byte"), "{cause}: {reason}");
    assert_eq!(look(&lines).await.outcome, Outcome::Up);

    let shell = |port: u16, path: &str| {
        let text = configured(&format!("SRV4_URL=postgres://u:s3cret-word@127.0.0.1:{port}/app")).unwrap();
        let text = text.afar_shell(Duration::from_secs(3)).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg(text).env_clear().env("PATH", path).status().unwrap().code().unwrap()
    };
    let programs = format!("{}:/bin", bin().display());
    assert_eq!((shell(server.port, &programs), shell(server.port, "/nowhere")), (0, CANNOT_LOOK));
    assert_ne!(shell(free_port(), &programs), 0);
}

/// One message of a server.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn wants(kind: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), rest].concat())
}

#[tokio::test]
async fn what_is_not_postgresql_is_told_as_such() {
    let ok = [wants(0, b""), message(b'Z', b"I")].concat();
    let two = [
        message(b'T', &[&[0, 1][..], b"?column?\0", &[0; 18]].concat()),
        message(b'D', &[0, 1, 0, 0, 0, 1, b'2']),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ]
    .concat();
    let error = |code: &str, text: &str| message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes());
    let long = [wants(0, b""), message(b'S', &vec![b'x'; 100_000])].concat();
    for (answers, cause, says) in [
        (vec![&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]], Cause::Protocol, "not PostgreSQL's"),
        (vec![b"E"], Cause::Content, "before anything was asked"),
        (vec![b""], Cause::Reset, "connection closed while asking for TLS"),
        (vec![b"N", b""], Cause::Reset, "connection closed"),
        (vec![b"N", b"R\0\0"], Cause::Reset, "middle of an answer"),
        (vec![b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n"], Cause::Protocol, "not PostgreSQL's"),
        (vec![b"N", b"R\0\0\0\0\0\0\0\0\0"], Cause::Protocol, ""),
        (vec![b"N", &wants(3, b"")], Cause::Denied, "in the clear"),
        (vec![b"N", &wants(7, b"")], Cause::Login, "other means"),
        (vec![b"N", &wants(10, b"SCRAM-SHA-1\0\0")], Cause::Protocol, "unsupported SASL mechanism"),
        (vec![b"N", &ok], Cause::Reset, ""),
        (vec![b"N", &ok, &two], Cause::Content, "did not answer SELECT 1 with 1"),
        (vec![b"N", &long], Cause::Protocol, "more than anybody needs"),
        (vec![b"N", &error("57P03", "starting up")], Cause::Starting, "takes no connections now: starting up"),
        (vec![b"N", &error("XX000", "\u{1b}[31m<b>")], Cause::Content, "error XX000: \\x1b[31m<b>"),
        (vec![b"S", b"\0\0\0\0\0"], Cause::Tls, ""),
    ] {
        let server = Scripted::start(&answers, End::Close).await;
        let lines = format!("SRV4_URL=postgres://u@{}/app\nSRV4_PASSWORD=s3cret-word\n", server.addr);
        is_told(&lines, cause, says).await;
    }
    let silent = Scripted::start(&[b"N", &ok], End::Hold).await;
    let lines = format!("SRV4_URL=postgres://u@{}/app", silent.addr);
    assert_eq!(told(&look_for(&lines, SHORT).await).0, Cause::Timeout);
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    for (lines, says) in [
        ("SRV4_URL=postgres://h/app", "SRV4_USERNAME: is not set, and the URL names no user"),
        ("SRV4_URL=postgres://u@h/app\nSRV4_CA_FILE=/no/such.pem", "SRV4_CA_FILE: is set, and without sslmode=require"),
        (
            "SRV4_URL=postgres://u@h/app?sslmode=disable\nSRV4_TLS_DAYS=3",
            "SRV4_TLS_DAYS: is set, and with sslmode=disable",
        ),
        (
            "SRV4_URL=postgres://u:x@h/app\nSRV4_PASSWORD=abcdef",
            "SRV4_PASSWORD: is set, and the URL has a password too",
        ),
    ] {
        let report = configured(lines).map(|_| ()).unwrap_err();
        assert!(report.contains(says), "{lines}: {report}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_server_sends_there_is_a_reading_in_time(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(tag, body)| message(tag, &body)),
                (prop::sample::select(b"RSKZTDCEN".to_vec()), prop::collection::vec(0u8..4, 0..40))
                    .prop_map(|(tag, body)| message(tag, &body)),
                (0u32..13, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, rest)| wants(kind, &rest)),
                Just([wants(0, b""), message(b'Z', b"I")].concat()),
            ],
            0..6
        ),
        cut in 0usize..6,
        holds in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reading = runtime.block_on(async {
            let end = if holds { End::Hold } else { End::Close };
            let (first, rest) = pieces.split_at(cut.min(pieces.len()));
            let server = Scripted::start(&[b"N", &first.concat(), &rest.concat()], end).await;
            let lines = format!("SRV4_URL=postgres://u@{}/app\nSRV4_PASSWORD=s3cret-word", server.addr);
            tokio::time::timeout(LIMIT, look_for(&lines, Duration::from_millis(150))).await
        });
        prop_assert!(reading.is_ok());
    }
}
