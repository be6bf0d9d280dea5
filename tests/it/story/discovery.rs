//! Pairs that come and go with a list that somebody else keeps: what a person would see of it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::http::{Act, Server};
use crate::support::stage::Target;

use super::stands;

/// Whoever keeps the list.
struct Inventory {
    server: Server,
    says: Arc<Mutex<Says>>,
}

#[derive(Clone)]
enum Says {
    List(String),
    Other(Act),
}

/// A list with one group for each target: URL and labels besides the site.
fn list(targets: &[(&str, &[(&str, &str)])]) -> Says {
    let group = |(url, labels): &(&str, &[(&str, &str)])| {
        let labels = [("site", "DC3")].iter().chain(labels.iter());
        let labels: serde_json::Map<_, _> = labels.map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        json!({ "targets": [url], "labels": labels })
    };
    Says::List(json!(targets.iter().map(group).collect::<Vec<_>>()).to_string())
}

impl Inventory {
    fn start(says: Says) -> Self {
        let says = Arc::new(Mutex::new(says));
        let now = says.clone();
        let server = Server::start(move |hit| match now.lock().unwrap().clone() {
            Says::Other(act) => act,
            Says::List(text) => {
                let tag = format!("\"{:x}\"", text.bytes().fold(7_u64, |n, b| n.wrapping_mul(31) + u64::from(b)));
                if hit.headers.get("if-none-match") == Some(&tag) {
                    return Act::Status(304);
                }
                let length = text.len();
                Act::bytes(format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: {tag}\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{text}"
                ))
            }
        });
        Self { server, says }
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// An agent with nothing but this list and a site on this machine.
    fn followed(&self, api: &BotApi) -> Agent {
        let mut agent = Agent::telling(api);
        agent.set(&[
            ("DISCOVERY_URL", &self.server.url("/list")),
            ("DISCOVERY_INTERVAL", "0.2"),
            ("DISCOVERY_GRACE", "0.8"),
            ("DC3_LOCAL", "true"),
            ("COMMAND", "echo run >> ran"),
            ("STORM_LIMIT", "100%"),
        ]);
        agent
    }
}

/// What `/api/health/` answers.
fn health(agent: &Agent) -> String {
    let mut socket = UnixStream::connect(agent.path("monitor.sock")).unwrap();
    socket.write_all(b"GET /api/health/ HTTP/1.1\r\nHost: monitor\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// True when something in trouble holds this.
fn troubled(status: &serde_json::Value, part: &str) -> bool {
    let troubles = status["troubles"].as_array().unwrap();
    troubles.iter().any(|trouble| trouble.as_str().unwrap().contains(part))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_comes_is_watched_and_one_that_goes_is_retired_after_the_grace() {
    let (api, web, other) = (BotApi::start().await, Target::start(true).await, Target::start(true).await);
    let (web_url, other_url) = (web.url(), other.url());
    let both: &[(&str, &[(&str, &str)])] = &[(&web_url, &[("server", "WEB")]), (&other_url, &[("server", "API")])];
    let inventory = Inventory::start(list(&both[..1]));
    let mut agent = inventory.followed(&api);
    agent.start();
    agent.says(&["1 new (DC3-WEB)"]).await;
    web.probed(2).await;

    inventory.says(list(both));
    agent.says(&["1 new (DC3-API)"]).await;
    other.probed(2).await;
    web.probed(1).await;
    let stored: serde_json::Value = serde_json::from_str(&agent.file("discovery.json")).unwrap();
    assert_eq!(stored["targets"].as_array().unwrap().len(), 2, "{stored}");

    // As long as nothing changes nothing is sent, nor read again.
    let (seen, reloads) = (inventory.server.hits().len(), agent.count("configuration was read again"));
    let hits = inventory.server.hit(seen + 4).await;
    assert!(hits[seen + 1..].iter().all(|hit| hit.headers.contains_key("if-none-match")));
    assert_eq!((reloads, agent.count("configuration was read again")), (2, 2));

    inventory.says(list(&both[1..]));
    agent.says(&["1 missing, and watched for 800ms more unless back (DC3-WEB)"]).await;
    web.probed(1).await;
    agent.says(&["1 watched no more (DC3-WEB)"]).await;
    agent.says_times(2, &["configuration was read again: 1 pair"]).await;
    let probes = web.hits().len();
    other.probed(3).await;
    assert!(web.hits().len() <= probes + 1, "it is not looked at any more");

    // Most of the list at once: said loudly, and the same grace.
    inventory.says(Says::List("[]".to_owned()));
    let loud = agent.says(&["lost 1 of its 1 targets at once"]).await;
    assert!(loud.contains("WARNING"), "{loud}");
    agent.says(&["1 watched no more (DC3-API)"]).await;
    stands(&agent, "no pair", |status| status["pairs"].as_array().unwrap().is_empty());
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_breaks_changes_nothing_and_is_told_as_long_as_it_lasts() {
    let (api, web) = (BotApi::start().await, Target::start(true).await);
    let url = web.url();
    let good = list(&[(&url, &[("server", "WEB")])]);
    let inventory = Inventory::start(good.clone());
    let mut agent = inventory.followed(&api);
    agent.start();
    agent.says(&["1 new (DC3-WEB)"]).await;
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n[";
    let broken = [
        (Act::Status(500), "the answer has the status 500"),
        (Act::bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>\u{1b}[2J"), "it is no list"),
        (Act::bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "it is no list"),
        (Act::bytes(huge), "larger than"),
        (Act::Silence, "no whole answer within 1 s"),
        (Act::Close, "cannot be read"),
    ];
    for (act, expected) in broken {
        inventory.says(Says::Other(act));
        let told = agent.says(&["cannot be read", expected, "with 1 target stays"]).await;
        assert!(told.contains("WARNING") && !told.contains('\u{1b}'), "{told}");
        // Many times the grace would have passed.
        web.probed(2).await;
        inventory.says(good.clone());
        let n = agent.count("can be read again");
        agent.says_times(n + 1, &["can be read again"]).await;
    }
    inventory.server.listen(false);
    let status = stands(&agent, "trouble", |status| troubled(status, "discovery: the list cannot be read since"));
    assert_eq!(super::pairs_in("up", &status), 1, "{status}");
    let said = agent.beside(&["status"]).1;
    assert!(said.contains("discovery: the list cannot be read since"), "{said}");
    let health = health(&agent);
    assert!(health.contains("\"degraded\"") && health.contains("discovery: the list cannot be read"), "{health}");
    web.probed(3).await;
    inventory.server.listen(true);
    stands(&agent, "the end of the trouble", |status| !troubled(status, "discovery"));
    assert_eq!((agent.count("watched no more"), agent.count("missing")), (0, 0));
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_the_list_goes_on_with_the_last_good_one_and_a_first_start_goes_without() {
    let (api, own, web) = (BotApi::start().await, Target::start(true).await, Target::start(true).await);
    let url = web.url();
    let inventory = Inventory::start(list(&[(&url, &[("server", "WEB"), ("timeout", "3s")])]));
    inventory.server.listen(false);
    let mut agent = inventory.followed(&api);
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &own.url())]);
    agent.start();
    agent.says(&["cannot be read", "the pairs of MAPPINGS are all that is watched"]).await;
    own.probed(2).await;
    inventory.server.listen(true);
    agent.says(&["1 new (DC3-WEB)"]).await;
    web.probed(1).await;
    agent.stop();

    inventory.server.listen(false);
    let (code, said) = agent.beside(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("WEB_TIMEOUT") && said.contains("discovery.json:2"), "{said}");
    let (code, said) = agent.beside(&["check", "--online"]);
    assert!(code == Some(1) && said.contains("the list cannot be read"), "{said}");
    agent.start();
    agent.says(&["Asking for the list", "the last good one of", "with 1 target stays"]).await;
    web.probed(2).await;
    own.probed(1).await;
    agent.stop();

    // Without the key the file means nothing.
    inventory.server.listen(true);
    agent.set(&[("DISCOVERY_URL", "")]);
    let (code, said) = agent.beside(&["check"]);
    assert!(code == Some(0) && !said.contains("WEB_URL"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_brings_targets_and_never_what_is_run() {
    let (api, own, down) = (BotApi::start().await, Target::start(true).await, Target::start(false).await);
    let (down_url, evil) = (down.url(), Server::start(|_| Act::Status(200)));
    let evil_url = evil.url("/");
    let evil_labels: &[(&str, &str)] = &[
        ("server", "WEB"),
        ("COMMAND", "echo evil >> ran"),
        ("command", "echo evil >> ran"),
        ("DC3_COMMAND", "echo evil >> ran"),
        ("__COMMAND", "echo evil >> ran"),
    ];
    let inventory = Inventory::start(list(&[
        (&down_url, evil_labels),
        ("exec:./evil.sh", &[("server", "EXEC")]),
        ("exec://./evil.sh", &[("server", "EXEC")]),
        ("rm -rf /", &[("server", "SHELL"), ("scheme", "exec")]),
        ("DC3/reboot", &[("server", "SSH"), ("scheme", "ssh")]),
        (&evil_url, &[("server", "SRV4")]),
        (&evil_url, &[("server", "DC3_HOOK")]),
        (&evil_url, &[("server", "HEARTBEAT")]),
        (&evil_url, &[("server", "TELEGRAM_API")]),
        (&evil_url, &[("server", "FAR"), ("site", "DC9")]),
    ]));
    let mut agent = inventory.followed(&api);
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &own.url())]);
    agent.start();
    // It was never up, so it may be the list that is wrong.
    let record = agent.record("DC3-WEB", 1).await;
    assert_eq!((&record["command"], &record["status"]), (&json!("echo run >> ran"), &json!("skipped")));
    assert!(record["error"].as_str().unwrap().contains("never_up"), "{record}");
    agent.set(&[("DISCOVERY_UP_FIRST", "false")]);
    agent.signal(Signal::HUP);
    agent.says(&["The command succeeded"]).await;
    for part in
        ["scheme `exec`", "is no address", "`SRV4` of a server in MAPPINGS", "DC3_HOOK_URL is a key of the site"]
    {
        agent.says(&["WARNING", "left out", part]).await;
    }
    for part in ["HEARTBEAT_URL is a key", "TELEGRAM_API_URL is a key", "the site `DC9`, which has no DC9_SSH_HOST"] {
        agent.says(&["WARNING", "left out", part]).await;
    }
    own.probed(2).await;
    let message = api.message(1).await.plain;
    assert!(message.contains("DC3-WEB") && message.contains("echo run"), "{message}");

    let (_, said) = agent.beside(&["check", "--online"]);
    assert!(said.contains("1 target(s) to watch, 9 left out:"), "{said}");
    // Twice the same list, and the reasons once.
    let seen = inventory.server.hits().len();
    inventory.server.hit(seen + 3).await;
    assert_eq!(agent.count("`DC3-SRV4` has the name"), 1);
    agent.stop();
    assert!(evil.hits().is_empty(), "{:?}", evil.hits());
    assert!(agent.file("ran").lines().all(|line| line == "run"), "{}", agent.file("ran"));
    assert!(!agent.file("ran").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_list_does_not_bring_into_force_what_somebody_is_still_writing() {
    let (api, web, other) = (BotApi::start().await, Target::start(true).await, Target::start(false).await);
    let (web_url, other_url) = (web.url(), other.url());
    let inventory = Inventory::start(list(&[(&web_url, &[("server", "WEB")])]));
    let mut agent = inventory.followed(&api);
    agent.set(&[("DISCOVERY_UP_FIRST", "false")]);
    agent.start();
    agent.says(&["configuration was read again: 1 pair"]).await;
    agent.set(&[("COMMAND", "echo unfinished >> ran"), ("INTERVAL", "half-written")]);
    inventory.says(list(&[(&web_url, &[("server", "WEB")]), (&other_url, &[("server", "API")])]));
    agent.says(&["configuration was read again: 2 pairs"]).await;
    let record = agent.record("DC3-API", 1).await;
    assert_eq!(record["command"], "echo run >> ran");

    agent.signal(Signal::HUP);
    agent.says(&["The new configuration was refused"]).await;
    agent.set(&[("INTERVAL", "0.4"), ("COMMAND", "echo finished >> ran"), ("DISCOVERY_GRACE", "0")]);
    agent.signal(Signal::HUP);
    agent.says_times(2, &["configuration was read again: 2 pairs"]).await;
    assert!(crate::support::sshd::wait_until(Duration::from_secs(20), || agent.file("ran").contains("finished")));
    // What is retired while it is down ends, and people who were told of it are told so.
    inventory.says(list(&[(&web_url, &[("server", "WEB")])]));
    agent.says(&["1 watched no more (DC3-API)"]).await;
    agent.says_times(2, &["configuration was read again: 1 pair"]).await;
    agent.stop();
    let told: Vec<String> = api.messages().into_iter().map(|message| message.plain).collect();
    let last = told.iter().rfind(|text| text.contains("DC3-API")).unwrap();
    assert!(
        last.contains("Watched no more") && last.contains("taken out of the configuration or of the list"),
        "{told:#?}"
    );
    assert!(!agent.file("ran").contains("unfinished"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_is_in_trouble_through_the_grace_and_after_it_until_somebody_means_it() {
    let (api, web) = (BotApi::start().await, Target::start(true).await);
    let inventory = Inventory::start(list(&[(&web.url(), &[("server", "WEB")])]));
    let mut agent = inventory.followed(&api);
    // Long enough to be seen by whoever asks.
    agent.set(&[("DISCOVERY_GRACE", "3")]);
    agent.start();
    agent.says(&["1 new (DC3-WEB)"]).await;
    inventory.says(list(&[]));
    agent.says(&["lost 1 of its 1 targets at once"]).await;
    stands(&agent, "trouble", |status| troubled(status, "the 1 missing are watched until DISCOVERY_GRACE is over"));
    agent.says(&["1 watched no more (DC3-WEB)"]).await;
    stands(&agent, "trouble after the grace", |status| troubled(status, "those that went are watched no more"));
    let health = health(&agent);
    assert!(health.contains("\"degraded\"") && health.contains("without most of the 1 that it had"), "{health}");
    let (code, said) = agent.beside(&["reload"]);
    assert_eq!(code, Some(0), "{said}");
    stands(&agent, "the end of the trouble", |status| !troubled(status, "discovery"));
    agent.stop();
}
