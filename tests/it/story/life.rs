//! Starting, reloading and stopping, and everything a person may have written wrong.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::stage::{Host, Target, borrowed};

/// A mapped pair that is well.
async fn well(api: &BotApi) -> (Agent, Host, Target) {
    let (host, target) = (Host::start(""), Target::start(true).await);
    let mut agent = Agent::telling(api);
    super::map(&mut agent, &host, &target);
    (agent, host, target)
}

#[test]
fn everything_that_is_wrong_in_the_file_is_said_at_once_and_nothing_starts() {
    let mut agent = Agent::with("http://127.0.0.1:9");
    agent.set(&[
        ("MAPPINGS", "DC3:SRV4,DC3,DC3:SRV4"),
        ("INTERVAL", "soon"),
        ("BACKOFF_FACTOR", "0.5"),
        ("SRV4_URL", "http://127.0.0.1:9/"),
        ("DC3_SSH_HOST", "127.0.0.1"),
        ("DC3_SSH_PASSWORD", "a secret nobody may see"),
        ("CHECK_ATEMPTS", "3"),
        ("TELEGRAM_CHAT_ID", ""),
    ]);
    agent.start();
    let status = agent.ended();
    let said = agent.lines().join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    for key in ["MAPPINGS", "INTERVAL", "BACKOFF_FACTOR", "TELEGRAM_CHAT_ID", "CHECK_ATTEMPTS"] {
        assert!(said.contains(key), "{key} is not mentioned in {said}");
    }
    assert!(said.contains(".env:") && !said.contains("nobody may see"), "{said}");
    assert!(!agent.path("monitor.db").exists() && !agent.path("monitor.log").exists(), "nothing was started");
}

#[test]
fn a_missing_key_is_named_with_an_example() {
    let mut agent = Agent::with("http://127.0.0.1:9");
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("DC3_SSH_HOST", "127.0.0.1"), ("DC3_SSH_PASSWORD", "x")]);
    agent.start();
    let status = agent.ended();
    let said = agent.lines().join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    for key in ["SRV4_URL", "DC3_SSH_USERNAME"] {
        assert!(said.contains(key), "{key} is not mentioned in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_others_can_read_is_warned_of_and_a_second_agent_learns_who_was_first() {
    let api = BotApi::start().await;
    let (mut agent, _host, target) = well(&api).await;
    std::fs::set_permissions(agent.path(".env"), std::fs::Permissions::from_mode(0o644)).unwrap();
    agent.start();
    let warning = agent.says(&["chmod 600"]).await;
    assert!(warning.contains("WARNING"), "{warning}");
    target.probed(1).await;

    let (code, said) = agent.beside(&["run"]);
    let holder = agent.file("monitor.lock").trim().to_owned();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("process {holder}")) && said.contains("STATE_DIR"), "{said}");
    target.probed(1).await;
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_at_a_reload_changes_nothing_and_a_good_one_swaps() {
    let (api, other) = (BotApi::start().await, Target::start(true).await);
    let (mut agent, _host, target) = well(&api).await;
    agent.start();
    target.probed(1).await;

    agent.set(&[("INTERVAL", "never")]);
    agent.signal(Signal::HUP);
    let refused = agent.says(&["The new configuration was refused, the old one stays", "INTERVAL"]).await;
    assert!(refused.contains("ERROR"), "{refused}");
    target.probed(2).await;
    agent.set(&[("INTERVAL", "0.4"), ("COMMAND", "other"), ("LOG_LEVEL", "loud")]);
    agent.signal(Signal::HUP);
    agent.says(&["The new configuration was refused, the old one stays", "LOG_LEVEL"]).await;

    agent.set(&[
        ("LOG_LEVEL", "info"),
        ("MAPPINGS", "DC3:SRV4,DC3:SRV5"),
        ("SRV5_URL", &other.url()),
        ("LANGUAGE", "ru"),
    ]);
    agent.signal(Signal::HUP);
    agent.says(&["Настройки прочитаны заново: 2 пары"]).await;
    other.probed(2).await;
    target.probed(2).await;

    agent.set(&[("MAPPINGS", "DC3:SRV5")]);
    agent.signal(Signal::HUP);
    agent.says(&["Настройки прочитаны заново: 1 пара"]).await;
    let probes = target.hits().len();
    other.probed(3).await;
    assert!(target.hits().len() <= probes + 1, "a pair that left is not looked at any more");
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_in_the_middle_of_an_incident_keeps_its_count() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("BACKOFF_FACTOR", "1"), ("VERIFY_WINDOW", "0")]);
    agent.start();
    agent.record("DC3-SRV4", 1).await;
    agent.set(&[("COMMAND", "systemctl restart other")]);
    agent.signal(Signal::HUP);
    agent.says(&["The configuration was read again"]).await;
    let record = loop {
        let n = agent.records().len() + 1;
        let record = agent.record("DC3-SRV4", n).await;
        if record["command"] == "systemctl restart other" {
            break record;
        }
    };
    agent.stop();
    assert!(record["attempt"].as_u64().unwrap() >= 2, "the incident goes on: {record}");
    let attempts: Vec<String> = host.stamps().iter().map(|stamp| stamp.split(' ').nth(1).unwrap().to_owned()).collect();
    let counted: Vec<String> = (1..=attempts.len()).map(|k| k.to_string()).collect();
    assert_eq!(attempts, counted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_the_running_command_finish_and_starts_no_other() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start("echo begun; sleep 1.5; echo done > ${0%/*}/finished");
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url())]);
    agent.start();
    agent.says(&["Running the command on DC3"]).await;
    let ran = crate::support::sshd::wait_until(Duration::from_secs(10), || host.stamps().len() == 1);
    assert!(ran, "the command did not start");
    let asked = Instant::now();
    agent.stop();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(host.file("finished"), "done\n", "it was let finish");
    assert_eq!(agent.record("DC3-SRV4", 1).await["status"], "executed");
    assert_eq!(agent.count("Stopped"), 1);
    assert!(api.message(1).await.plain.contains("Command executed"), "and people were told before the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_outlasts_the_grace_is_left_and_interrupted_at_the_next_start() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start("sleep 30");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("INTERVAL", "20")]);
    agent.start();
    assert!(crate::support::sshd::wait_until(Duration::from_secs(10), || host.stamps().len() == 1));
    let asked = Instant::now();
    agent.stop();
    let took = asked.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(15), "{took:?}");
    agent.start();
    let told = api.message(1).await.plain;
    assert!(told.contains("The agent was stopped while the command ran"), "{told}");
    agent.stop();
    assert_eq!(host.stamps().len(), 1, "it is not run blindly again");
}
