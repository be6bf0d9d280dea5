//! The second look: before a command runs, the site's own host asks the same address.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::sshd::{Options, Sshd};
use crate::support::stage::{Host, borrowed, site};

/// A server that answers its neighbours and cuts everybody else off, as a firewall on our way would: here the neighbours
/// are those who say that they are curl or Wget.
struct Walled {
    port: u16,
    _server: JoinSet<()>,
}

impl Walled {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
                        break;
                    }
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                if head.contains("user-agent: curl/") || head.contains("user-agent: wget/") {
                    let answer = b"HTTP/1.1 204 Fine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                }
            }
        });
        Self { port, _server: server }
    }
}

/// One pair on this site that is asked from there, too.
fn agent_of(api: &BotApi, settings: &[(String, String)], url: &str) -> Agent {
    let mut agent = Agent::telling(api);
    agent.set(&borrowed(settings));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", url), ("DC3_CROSS_CHECK", "true"), ("BACKOFF_FACTOR", "1")]);
    agent
}

/// An address on which nobody listens.
async fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn needs_curl() {
    assert!(Path::new("/usr/bin/curl").exists(), "this test needs curl: apt-get install curl");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_own_site_reaches_is_not_healed_and_people_learn_that_only_our_route_is_broken() {
    needs_curl();
    let (api, server, host) = (BotApi::start().await, Walled::start().await, Host::start(""));
    // Brackets and quotes are part of the address, for the shell and for curl.
    let url = format!("http://127.0.0.1:{}/health?list[]={{1,2}}&it's=so", server.port);
    let mut agent = agent_of(&api, &host.site("DC3"), &url);
    agent.start();
    let record = agent.record("DC3-SRV4", 1).await;
    assert!(record["status"] == "skipped" && record["error"].as_str().unwrap().contains("only_our_route"), "{record}");
    let told = api.message(1).await.plain;
    assert!(told.contains("its own site reaches it, so only our route to it is broken"), "{told}");
    agent.record("DC3-SRV4", 2).await;
    agent.stop();
    assert!(host.stamps().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_own_site_does_not_reach_either_is_healed() {
    needs_curl();
    for scheme in ["http", "tcp"] {
        let (api, host) = (BotApi::start().await, Host::start(""));
        let mut agent = agent_of(&api, &host.site("DC3"), &format!("{scheme}://127.0.0.1:{}", closed().await));
        agent.start();
        let record = agent.record("DC3-SRV4", 1).await;
        assert_eq!(record["status"], "executed", "{scheme}: {record}");
        agent.stop();
        assert!(!host.stamps().is_empty(), "{scheme}");
    }
}

/// A host whose commands find these programs and no others.
fn bare_host(programs: &[&str]) -> (Sshd, TempDir) {
    let bin = tempfile::tempdir().unwrap();
    std::fs::set_permissions(bin.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for program in programs {
        symlink(format!("/usr/bin/{program}"), bin.path().join(program)).unwrap();
    }
    let place = bin.path().display();
    std::fs::write(bin.path().join("systemctl"), format!("#!/bin/sh\necho $* >> {place}/stamps\n")).unwrap();
    std::fs::set_permissions(bin.path().join("systemctl"), PermissionsExt::from_mode(0o755)).unwrap();
    let options = Options { config: vec![format!("SetEnv SHLVL=2 PATH={place}")], ..Options::default() };
    (Sshd::start(&options), bin)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_has_nothing_to_look_with_is_not_healed_and_people_learn_what_to_install() {
    let api = BotApi::start().await;
    let (sshd, bin) = bare_host(&["sh", "env", "timeout"]);
    let settings = site("DC3", sshd.port, &sshd.key().display().to_string());
    let mut agent = agent_of(&api, &settings, &format!("http://127.0.0.1:{}/", closed().await));
    agent.start();
    let record = agent.record("DC3-SRV4", 1).await;
    assert!(record["error"].as_str().unwrap().contains("not_cross_checked"), "{record}");
    let told = api.message(1).await.plain;
    assert!(told.contains("curl, wget") && told.contains("DC3_CROSS_CHECK=false"), "{told}");
    agent.stop();
    assert!(!bin.path().join("stamps").exists());

    // The same host heals once nobody asks for a second look.
    agent.set(&[("DC3_CROSS_CHECK", "false")]);
    agent.start();
    agent.says(&["COMMAND_EXECUTED", "\"status\": \"executed\""]).await;
    agent.stop();
    assert!(bin.path().join("stamps").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_cannot_be_reached_says_nothing_against_healing() {
    let (api, host) = (BotApi::start().await, Host::start(""));
    let settings = site("DC3", closed().await, &host.sshd.key().display().to_string());
    let mut agent = agent_of(&api, &settings, &format!("http://127.0.0.1:{}/", closed().await));
    agent.start();
    let record = agent.record("DC3-SRV4", 1).await;
    assert_eq!(record["status"], "unreachable", "it was tried: {record}");
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_takes_the_question_and_stays_silent_holds_the_command_at_first() {
    let (api, host) = (BotApi::start().await, Host::start(""));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = site("DC3", silent.local_addr().unwrap().port(), &host.sshd.key().display().to_string());
    let mut agent = agent_of(&api, &settings, &format!("http://127.0.0.1:{}/", closed().await));
    agent.start();
    let record = agent.record("DC3-SRV4", 1).await;
    let error = record["error"].as_str().unwrap();
    assert!(record["status"] == "skipped" && error.contains("not_cross_checked"), "{record}");
    let told = api.message(1).await.plain;
    assert!(told.contains("the host of DC3 gave no answer"), "{told}");
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_finds_out_that_a_site_has_nothing_to_look_with() {
    let (api, target) = (BotApi::start().await, crate::support::stage::Target::start(true).await);
    let (sshd, _bin) = bare_host(&["sh", "env", "timeout"]);
    let settings = site("DC3", sshd.port, &sshd.key().display().to_string());
    let mut agent = agent_of(&api, &settings, &target.url());
    agent.start();
    target.probed(1).await;
    let (code, said) = agent.beside(&["drill", "DC3-SRV4", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let ok = |name: &str| {
        let steps = report["steps"].as_array().unwrap();
        steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("{name} in {said}"))["ok"] == true
    };
    assert!(!ok("cross_check") && !ok("guard") && ok("command") && ok("verify"), "{said}");
    agent.stop();
}
