//! A standby, its gateway and the active machine, each with its own cable; systemctl is a script that remembers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::support::agent::{Agent, LIMIT};
use crate::support::netns::Lan;
use crate::support::sshd::wait_until;

const PAIR: &str = "STANDBY-ACTIVE";
/// Writes down what it is asked for, and keeps which units run as files.
const SYSTEMCTL: &str = r#"#!/bin/sh
units= verb=
for word; do
    case $word in
        -*) ;;
        *) if [ -z "$verb" ]; then verb=$word; else units="$units $word"; fi ;;
    esac
done
case $verb in
    start | stop) printf '%s%s\n' "$verb" "$units" >>FOLDER/calls ;;
esac
for unit in $units; do
    case $verb in
        start) [ ! -e "FOLDER/broken" ] || exit 1; : >"FOLDER/running/$unit" ;;
        stop) rm -f "FOLDER/running/$unit" ;;
        is-active) [ -e "FOLDER/running/$unit" ] || { echo inactive; exit 3; }; echo active ;;
    esac
done
"#;

struct Stage {
    lan: Lan,
    agent: Agent,
}

impl Stage {
    /// A standby that asks often, with this in its configuration besides the five keys that have to be there.
    fn new(more: &str) -> Self {
        let mut lan = Lan::new();
        lan.machine("standby", &["10.9.0.1/24"]);
        lan.machine("gateway", &["10.9.0.254/24"]);
        lan.machine("active", &["10.9.0.2/24"]);
        let mut agent = Agent::new();
        let folder = agent.folder.path().to_str().unwrap().to_owned();
        for name in ["bin", "running"] {
            std::fs::create_dir(agent.path(name)).unwrap();
        }
        let script = agent.path("bin/systemctl");
        std::fs::write(&script, SYSTEMCTL.replace("FOLDER", &folder)).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        agent.at(lan.namespace("standby"));
        agent.arguments(&["failover", "config.json"]);
        agent.environment("PATH", &format!("{folder}/bin:/usr/bin:/bin"));
        agent.environment("LOG_SUCCESS_REQUESTS", "true");
        let stage = Self { lan, agent };
        stage.configure(&format!("\"ping_fail_threshold\": 2, // lost in a row\n{more}"));
        stage
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "{{\n  \"gateway_ip\": \"10.9.0.254\", // asked first\n  \"active_ip\": \"10.9.0.2\",\n  \"ping_interval\": 0.2,\n  \
             \"services_to_manage\": [ // in this order\n    \"one.service\",\n    \"two.timer\"\n  ],\n  \
             \"state_file\": \"state\", \"log_file\": \"log\", \"state_dir\": \"kept\",\n  {more}\n}}\n"
        );
        std::fs::write(self.agent.path("config.json"), text).unwrap();
    }

    /// What systemctl was asked to change.
    fn calls(&self) -> Vec<String> {
        self.agent.file("calls").lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn becomes(&self, word: &str) {
        let became = wait_until(LIMIT, || self.agent.file("state") == format!("{word}\n"));
        assert!(became, "the state file holds {:?}, not {word}", self.agent.file("state"));
    }

    /// Waits for n lines with this part from now on.
    async fn more(&self, n: usize, part: &str) {
        self.agent.says_times(self.agent.count(part) + n, &[part]).await;
    }

    async fn looks(&self, n: usize) {
        self.more(n, "Available [").await;
    }
}

const STARTED: [&str; 2] = ["start one.service", "start two.timer"];
const STOPPED: [&str; 2] = ["stop two.timer", "stop one.service"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_machine_starts_the_services_in_order_once_and_its_return_stops_them_after_a_while() {
    let mut stage = Stage::new("\"recovery_threshold\": 3, \"hold_down\": 1.5");
    stage.agent.start();
    stage.becomes("active_alive");
    assert_eq!(stage.calls(), Vec::<String>::new());
    stage.lan.cut("active");
    let record = stage.agent.record(PAIR, 1).await;
    assert_eq!((&record["status"], &record["dc_host"]), (&"executed".into(), &"localhost".into()), "{record}");
    stage.becomes("active_dead");
    stage.more(3, "Unavailable [").await;
    assert_eq!(stage.calls(), STARTED, "once, however long it lasts");
    stage.lan.restore("active");
    let back = Instant::now();
    stage.looks(1).await;
    assert_eq!(stage.agent.file("state"), "active_dead\n", "one answer is not a recovery");
    stage.agent.record(PAIR, 2).await;
    assert!(back.elapsed() >= Duration::from_millis(1500), "stopped after {:?}", back.elapsed());
    stage.becomes("active_alive");
    assert_eq!(stage.calls(), [STARTED, STOPPED].concat());
    // And again: what was done once is no promise for the next time.
    stage.lan.cut("active");
    stage.agent.record(PAIR, 3).await;
    assert_eq!(stage.calls(), [&STARTED[..], &STOPPED, &STARTED].concat());
    stage.agent.stop();
    assert_eq!(stage.agent.file("state"), "active_dead\n", "an orderly end changes nothing");
    assert!(stage.agent.file("log").contains("COMMAND_EXECUTED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_gateway_nothing_is_decided() {
    let mut stage = Stage::new("");
    stage.agent.start();
    stage.becomes("active_alive");
    // The gateway alone: the active machine answers all the same.
    stage.lan.cut("gateway");
    stage.looks(3).await;
    // Both, and then our own cable.
    stage.lan.cut("active");
    stage.more(3, "Could not look").await;
    assert!(stage.agent.count("We are cut off") > 0, "{:?}", stage.agent.lines());
    stage.lan.on("standby", &["link", "set", "eth0", "down"]);
    stage.more(3, "Could not look").await;
    assert_eq!((stage.calls(), stage.agent.file("state")), (Vec::new(), "active_alive\n".to_owned()));
    // The network is back, the active machine is not.
    stage.lan.on("standby", &["link", "set", "eth0", "up"]);
    stage.lan.restore("gateway");
    stage.agent.record(PAIR, 1).await;
    stage.becomes("active_dead");
    assert_eq!(stage.calls(), STARTED);
    // While the services run, being cut off does not stop them either.
    stage.lan.cut("gateway");
    stage.more(2, "Could not look").await;
    assert_eq!(
        (stage.calls(), stage.agent.file("state")),
        (STARTED.map(str::to_owned).to_vec(), "active_dead\n".to_owned())
    );
    stage.agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_each_state_repeats_nothing() {
    let mut stage = Stage::new("");
    for machine in ["gateway", "active"] {
        stage.lan.cut(machine);
    }
    stage.agent.start();
    stage.more(1, "Could not look").await;
    stage.becomes("unknown");
    stage.agent.kill();
    stage.agent.start();
    stage.more(2, "Could not look").await;
    assert_eq!((stage.calls(), stage.agent.file("state")), (Vec::new(), "unknown\n".to_owned()));
    // The gateway last: with it alone the other machine would be dead, and rightly taken over from.
    for machine in ["active", "gateway"] {
        stage.lan.restore(machine);
    }
    stage.becomes("active_alive");
    stage.agent.kill();
    assert_eq!(stage.agent.file("state"), "active_alive\n");
    stage.agent.start();
    stage.looks(3).await;
    assert_eq!((stage.calls(), stage.agent.file("state")), (Vec::new(), "active_alive\n".to_owned()));
    stage.lan.cut("active");
    stage.agent.record(PAIR, 1).await;
    stage.becomes("active_dead");
    // By the next look the end of the start is on disk; one that may still be at work would hold back the stop below.
    stage.more(1, "Unavailable [").await;
    stage.agent.kill();
    stage.agent.start();
    stage.more(3, "Unavailable [").await;
    assert_eq!(
        (stage.calls(), stage.agent.file("state")),
        (STARTED.map(str::to_owned).to_vec(), "active_dead\n".to_owned())
    );
    // It comes back while nobody looks.
    stage.agent.kill();
    stage.lan.restore("active");
    stage.agent.start();
    stage.agent.record(PAIR, 1).await;
    stage.becomes("active_alive");
    stage.looks(3).await;
    assert_eq!(stage.calls(), [STARTED, STOPPED].concat());
    stage.agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_without_a_store_is_taken_over_from_whoever_watched_before() {
    let mut stage = Stage::new("");
    std::fs::write(stage.agent.path("state"), "active_dead").unwrap();
    std::fs::write(stage.agent.path("running/one.service"), "").unwrap();
    stage.lan.cut("active");
    stage.agent.start();
    stage.agent.says(&["STATE_FILE state says active_dead"]).await;
    stage.agent.record(PAIR, 1).await;
    stage.more(2, "Unavailable [").await;
    assert_eq!(stage.calls(), STARTED, "once: who watched before may have been stopped before they ran");
    stage.lan.restore("active");
    stage.agent.record(PAIR, 2).await;
    stage.becomes("active_alive");
    assert_eq!(stage.calls(), [STARTED, STOPPED].concat());
    stage.agent.stop();
    // From now on the store knows better than the file.
    std::fs::write(stage.agent.path("state"), "active_dead").unwrap();
    stage.agent.start();
    stage.becomes("active_alive");
    stage.looks(2).await;
    assert_eq!(stage.calls(), [STARTED, STOPPED].concat());
    stage.agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_do_not_start_are_tried_again_until_they_do() {
    let mut stage = Stage::new("");
    std::fs::write(stage.agent.path("broken"), "").unwrap();
    stage.agent.start();
    stage.becomes("active_alive");
    stage.lan.cut("active");
    let record = stage.agent.record(PAIR, 1).await;
    assert_eq!(record["status"], "failed", "{record}");
    std::fs::remove_file(stage.agent.path("broken")).unwrap();
    stage.agent.says(&["\"status\": \"executed\""]).await;
    let calls = stage.calls();
    assert!(calls.len() > 2 && calls.ends_with(&STARTED.map(str::to_owned)), "{calls:?}");
    stage.more(2, "Unavailable [").await;
    assert_eq!(stage.calls(), calls);
    stage.agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_is_refused_and_a_reload_with_mistakes_changes_nothing() {
    let mut stage = Stage::new("");
    stage.agent.start();
    stage.becomes("active_alive");
    let (code, said) = stage.agent.beside(&["failover", "config.json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another agent (process ") && said.contains("STATE_DIR kept"), "{said}");
    stage.configure("\"ping_fail_treshold\": 2");
    stage.agent.signal(Signal::HUP);
    stage
        .agent
        .says(&["config.json:10: ping_fail_treshold: is not a known key; did you mean `ping_fail_threshold`?"])
        .await;
    stage.configure("\"ping_fail_threshold\": 3");
    stage.agent.signal(Signal::HUP);
    stage.agent.says(&["INFO", "was read again"]).await;
    stage.looks(2).await;
    stage.lan.cut("active");
    stage.agent.says(&["attempt 3/3 failed"]).await;
    stage.agent.stop();
}

#[test]
fn a_configuration_with_mistakes_starts_nothing_and_names_them_all() {
    let agent = Agent::new();
    let write = |name: &str, text: &str| std::fs::write(agent.path(name), text).unwrap();
    write("config.json", "{\n\"gateway_ip\": 1,\n\"active_ip\": \"10.9.0.2\", // \"ping_interval\": 3,\n\"hold\": 1}");
    let (code, said) = agent.beside(&["failover", "config.json"]);
    assert_eq!(code, Some(2), "{said}");
    for part in [
        "5 problems in config.json, nothing was started:",
        "config.json:2: gateway_ip: found `1`, expected an IP address",
        "config.json: ping_interval: is not set",
        "config.json: ping_fail_threshold: is not set",
        "config.json: services_to_manage: is not set",
        "config.json:4: hold: is not a known key; did you mean `hold_down`?",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(std::fs::read_dir(agent.folder.path()).unwrap().count(), 1, "it wrote something");
    let (code, said) = agent.beside(&["failover", "nowhere.json"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot read nowhere.json: ") && said.contains("check the path"), "{said}");
}

#[test]
fn a_file_beside_brings_the_channel_and_its_mistakes_are_its_own() {
    let agent = Agent::new();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/failover-config.json");
    let sample = std::fs::read_to_string(deploy).unwrap();
    let write = |name: &str, text: &str| std::fs::write(agent.path(name), text).unwrap();
    write("config.json", &sample);
    let (code, said) = agent.beside(&["failover", "--check", "config.json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("config.json:6") && !said.contains("TELEGRAM"), "{said}");
    write("config.json", &sample.replace("\"cloudflared.service\"\n  ]", "\"a\"], \"env_file\": \"people.env\""));
    write("people.env", "INTERVAL=soon\nTELEGRAM_CHAT_ID=nobody\nLANGUAGE=ko\n");
    let (code, said) = agent.beside(&["failover", "--check", "config.json"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("people.env:2: TELEGRAM_CHAT_ID: found `nobody`"), "{said}");
    assert!(said.contains("TELEGRAM_BOT_TOKEN: is not set, and it is required") && !said.contains("soon"), "{said}");
    assert!(said.contains("people.env: others on this machine can read the secrets in it"), "{said}");
    std::fs::remove_file(agent.path("people.env")).unwrap();
    let (code, said) = agent.beside(&["failover", "--check", "config.json"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot read people.env"), "{said}");
}

#[test]
fn the_samples_of_the_documents_are_good() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/fail-over-to-a-standby.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, sample) = page.split_once("```json\n").unwrap();
    let (sample, _) = sample.split_once("```").unwrap();
    monitor::failover::read("config.json", sample.as_bytes()).unwrap_or_else(|report| panic!("{report}"));
}
