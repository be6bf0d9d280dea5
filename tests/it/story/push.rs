//! Services that report to the real agent, with the real curl; and what a hostile network gets at its port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use monitor::probe::KINDS;
use tokio::time::Instant;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::sshd::wait_until;

use super::stands;

const API_TOKEN: &str = "the-token-of-the-whole-api";

/// An agent with the API on a port of the system's choice.
fn open(api: &BotApi) -> Agent {
    let mut agent = Agent::telling(api);
    agent.set(&[("LISTEN", "127.0.0.1:0"), ("API_TOKEN", API_TOKEN), ("LOG_LEVEL", "debug")]);
    agent.set(&[("DC3_LOCAL", "true"), ("COMMAND", "echo $MONITOR_PAIR >> stamps"), ("VERIFY_WINDOW", "0")]);
    agent
}

/// The same with the one server of the kind's own example, which has to report each two seconds.
fn reporting(api: &BotApi) -> (Agent, String) {
    let kind = KINDS.iter().find(|kind| kind.name == "push").unwrap();
    let mut agent = open(api);
    agent.set(&[("MAPPINGS", "DC3:SRV4")]);
    let mut token = String::new();
    for line in kind.example.lines() {
        let (key, value) = line.split_once('=').unwrap();
        agent.set(&[(key, &value.replace("90s", "2s"))]);
        if key == "SRV4_PUSH_TOKEN" {
            value.clone_into(&mut token);
        }
    }
    (agent, token)
}

/// Where it listens.
async fn listens(agent: &Agent) -> String {
    let line = agent.says(&["The API listens on "]).await;
    format!("http://{}", line.rsplit(' ').next().unwrap())
}

/// Status, head and body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn curl(url: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "10", "-i", url]).args(arguments);
    let out = command.output().expect("curl runs: apt-get install curl");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{said:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn state(agent: &Agent, state: &'static str) {
    stands(agent, state, |status| status["pairs"][0]["state"] == state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_up_while_it_reports_healed_when_it_is_silent_and_back_with_its_next_report() {
    let api = BotApi::start().await;
    let (mut agent, token) = reporting(&api);
    agent.start();
    let url = format!("{}/api/push/{token}", listens(&agent).await);
    let first = curl(&url, &[]);
    assert_eq!((first.status, first.body.as_str()), (200, r#"{"server":"SRV4","status":"up"}"#));
    state(&agent, "up");
    for method in ["-XPOST", "-I"] {
        assert_eq!(curl(&url, &[method]).status, 200);
    }
    assert!(api.messages().is_empty() && agent.file("stamps").is_empty());

    let told = api.message(1).await.plain;
    assert!(told.contains("Down") && told.contains("no report for 2s, expected every 2s"), "{told}");
    assert!(wait_until(Duration::from_secs(10), || agent.file("stamps").starts_with("DC3-SRV4\n")));
    let asked = Instant::now();
    assert_eq!(agent.beside(&["push", "SRV4"]), (Some(0), String::new()), "cron sends no mail of it");
    agent.says(&["DC3-SRV4 is up again"]).await;
    assert!(asked.elapsed() < Duration::from_secs(2));

    let trouble = ["-G", "-d", "status=down", "--data-urlencode", "msg=<b>disk\n full</b>"];
    assert_eq!(curl(&url, &trouble).status, 200);
    agent.says(&["DC3-SRV4", "it reports: <b>disk  full</b>"]).await;
    agent.record("DC3-SRV4", 2).await;
    // What it said outlives the agent.
    agent.stop();
    agent.start();
    agent.says(&["DC3-SRV4", "attempt 1/1 failed", "<b>disk  full</b>"]).await;

    let (code, said) = agent.beside(&["push", "DC3-SRV4", "--json"]);
    assert_eq!((code, said.contains("\"status\": \"up\"")), (Some(0), true), "{said}");
    agent.says(&["DC3-SRV4 is up again"]).await;
    let (code, said) = agent.beside(&["push", "SRV5"]);
    assert_eq!((code, said.contains("these report: SRV4")), (Some(2), true), "{said}");
    assert_eq!(agent.beside(&["push", "../status"]).0, Some(2));
    assert_eq!(agent.beside(&["push", "SRV4", "--down", "no backup"]), (Some(0), String::new()));
    agent.says(&["it reports: no backup"]).await;
    agent.stop();
    let (code, said) = agent.beside(&["push", "SRV4"]);
    assert_eq!((code, said.contains("no agent runs")), (Some(1), true), "{said}");
    assert_eq!(agent.lines().iter().filter(|line| line.contains(&token)).count(), 0, "the token is never said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_the_port_tells_nothing_and_takes_nothing_and_with_it_all_that_the_socket_does() {
    let api = BotApi::start().await;
    let (mut agent, token) = reporting(&api);
    agent.start();
    let url = listens(&agent).await;
    let at = |path: &str| format!("{url}{path}");
    let bearer = format!("Authorization: Bearer {API_TOKEN}");

    for (path, status) in [
        ("/api/status", 401),
        ("/api/pause", 401),
        ("/api/push", 401),
        ("/api/servers/SRV4/push", 401),
        ("/nothing", 401),
        ("/", 401),
        ("//api/health/", 401),
        ("/api/health/../status", 401),
        ("/api/health/live/", 200),
        ("/api/health/ready/", 200),
        ("/api/health", 200),
        ("/api/health/live", 200),
        ("/api/health/ready", 200),
    ] {
        let answer = curl(&at(path), &["--path-as-is"]);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.head.contains("www-authenticate: bearer"), status == 401, "{path}: {}", answer.head);
        assert!(answer.head.contains("cache-control: no-store"), "{path}: {}", answer.head);
        assert!(!answer.body.contains("SRV4"), "{path}: {}", answer.body);
    }
    let health = curl(&at("/api/health/"), &[]);
    assert_eq!((health.status, health.body.contains("\"troubles\":[]")), (200, true), "{}", health.body);
    let refused = curl(&at("/api/status"), &["-H", "Authorization: Bearer wrong"]);
    assert!(refused.status == 401 && refused.head.contains("application/problem+json"), "{}", refused.head);

    // Whatever is no token is answered like any other that is none, also with a query that cannot be read.
    let nothing = curl(&at("/api/push/a-token-of-nobody"), &[]);
    for path in
        ["/api/push/x", "/api/push/", "/api/push/a-token-of-nobody?status=odd", "/api/push/a/b", "/api/push/%ff%00"]
    {
        let answer = curl(&at(path), &[]);
        assert_eq!((answer.status, answer.body.as_str()), (404, nothing.body.as_str()), "{path}");
    }
    let odd = curl(&at(&format!("/api/push/{token}?status=odd")), &[]);
    assert!(odd.status == 400 && odd.body.contains("does not count: `status` is `up` or `down`"), "{}", odd.body);
    for (query, body, part) in [
        ("?stauts=down", &[][..], "`stauts` is not known; known are"),
        ("", &["-H", "Content-Type: application/json", "-d", r#"{"status":"down"}"#], "a body is a form"),
        ("", &["-d", "it is down"], "is not known"),
    ] {
        let answer = curl(&at(&format!("/api/push/{token}{query}")), body);
        assert!(answer.status == 400 && answer.body.contains("does not count"), "{query} {body:?}: {}", answer.body);
        assert!(answer.body.contains(part), "{query} {body:?}: {}", answer.body);
    }
    state(&agent, "down");
    let form = curl(&at(&format!("/api/push/{token}")), &["-d", "status=down&msg=said+in+a+form"]);
    assert_eq!((form.status, form.body.contains("down")), (200, true), "{}", form.body);
    agent.says(&["it reports: said in a form"]).await;

    let status = curl(&at("/api/status"), &["-H", &bearer]);
    assert!(status.status == 200 && status.body.contains("DC3-SRV4"), "{}", status.body);
    assert_eq!(curl(&at("/nothing"), &["-H", &bearer]).status, 404);
    let order = ["-H", &bearer, "-d", r#"{"by":"anna","for":"1h"}"#];
    assert_eq!(curl(&at("/api/pause"), &order).status, 200);
    agent.says(&["anna"]).await;
    let evil = [&order[..], &["-H", "Origin: http://evil.test"]].concat();
    assert_eq!(curl(&at("/api/resume"), &evil).status, 403);
    assert_eq!(curl(&at(&format!("/api/push/{token}")), &["-XPOST", "-H", "Origin: http://evil.test"]).status, 403);
    let cors = curl(&at("/api/status"), &["-XOPTIONS", "-H", "Origin: http://evil.test"]);
    assert!(!cors.head.contains("access-control"), "{}", cors.head);
    let large = format!(r#"{{"by":"{}"}}"#, "x".repeat(70_000));
    let large = curl(&at("/api/pause"), &["-H", &bearer, "-d", &large]);
    assert_eq!(large.status, 400, "{}", large.body);

    // Wrong ones are limited, and a right one is heard all the same.
    let mut last = 0;
    for _ in 0..40 {
        last = curl(&at("/api/push/a-token-of-nobody"), &[]).status;
    }
    assert_eq!(last, 429);
    assert_eq!(curl(&at("/api/status"), &["-H", "Authorization: Bearer wrong"]).status, 429);
    assert_eq!(curl(&at(&format!("/api/push/{token}")), &[]).status, 200);
    assert_eq!(curl(&at("/api/status"), &["-H", &bearer]).status, 200);
    agent.says(&["DEBUG", "an unknown token was rejected"]).await;
    agent.stop();
    for secret in [token.as_str(), API_TOKEN, "a-token-of-nobody"] {
        assert_eq!(agent.lines().iter().filter(|line| line.contains(secret)).count(), 0, "{secret} is never said");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_dawdles_or_talks_nonsense_is_hung_up_on_and_keeps_nobody_out() {
    let api = BotApi::start().await;
    let (mut agent, token) = reporting(&api);
    agent.start();
    let url = listens(&agent).await;
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let connect = |said: &[u8]| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
        stream.write_all(said).unwrap();
        stream
    };
    let begun = Instant::now();
    let head = "GET /api/health/live/ HTTP/1.1\r\nHost: m\r\n";
    let body = format!(
        "POST /api/pause HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {API_TOKEN}\r\nContent-Length: 20\r\n\r\n{{"
    );
    // Nothing, half a head, half a body, and a whole request with nothing after it.
    let slow = [&b""[..], head.as_bytes(), body.as_bytes(), format!("{head}\r\n").as_bytes()].map(connect);
    let silent: Vec<TcpStream> = (0..200).map(|_| connect(b"")).collect();
    for nonsense in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"\xff\xfe\x00\n\n", b"SSH-2.0-x\r\n\r\n", &vec![b'A'; 100_000]]
    {
        let mut answer = Vec::new();
        let mut stream = connect(b"");
        // It may hang up before all was said.
        let _ = stream.write_all(nonsense).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(curl(&format!("{url}/api/push/{token}"), &[]).status, 200, "meanwhile a report is heard");
    for mut stream in slow {
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok(), "{ended:?} after {:?}", begun.elapsed());
    }
    let took = begun.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&took), "{took:?}");
    drop(silent);
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_says_nothing_keeps_out_no_report_and_hides_no_silence() {
    let api = BotApi::start().await;
    let (mut agent, token) = reporting(&api);
    agent.start();
    let url = listens(&agent).await;
    let report = format!("{url}/api/push/{token}");
    assert_eq!(curl(&report, &[]).status, 200);
    // More connections than there are places; the oldest of them make room for whoever comes.
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert!(wait_until(Duration::from_secs(10), || curl(&report, &[]).status == 200));
    state(&agent, "up");
    assert!(api.messages().is_empty());
    // And while the crowd stays, a real silence counts.
    agent.record("DC3-SRV4", 1).await;
    drop(crowd);
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_another_has_is_named_with_what_to_do_and_nothing_is_begun() {
    let api = BotApi::start().await;
    let (mut first, _) = reporting(&api);
    first.start();
    let url = listens(&first).await;
    let (mut second, _) = reporting(&api);
    second.set(&[("LISTEN", url.strip_prefix("http://").unwrap())]);
    second.start();
    assert_eq!(second.ended().code(), Some(1));
    let said = second.lines().join("\n");
    assert!(
        said.contains("the API cannot listen on 127.0.0.1:") && said.contains("another program has this port"),
        "{said}"
    );
    assert!(!second.path("monitor.db").exists(), "{said}");

    // What is read at start only is said to be.
    first.set(&[("API_TOKEN", "another-token-of-the-api")]);
    assert_eq!(first.beside(&["reload"]).0, Some(0));
    first.says(&["read at start only", ": API_TOKEN"]).await;
    let status = format!("{url}/api/status");
    assert_eq!(curl(&status, &["-H", &format!("Authorization: Bearer {API_TOKEN}")]).status, 200);
    // A new token of a server is in force at once.
    first.set(&[("SRV4_PUSH_TOKEN", "another-token-of-srv4")]);
    assert_eq!(first.beside(&["reload"]).0, Some(0));
    assert_eq!(curl(&format!("{url}/api/push/another-token-of-srv4"), &[]).status, 200);
    first.stop();
}
