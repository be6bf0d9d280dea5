//! What people say by the command line: that healing stops and goes on, that a command may run, that it is rehearsed.

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::stage::{Host, Target};

/// Runs a subcommand beside the agent that has to end with this code; gives what it said.
fn ordered(agent: &Agent, words: &[&str], code: i32) -> String {
    let (ended, said) = agent.beside(words);
    assert_eq!(ended, Some(code), "{words:?}: {said}");
    said
}

/// The answer of a subcommand as JSON.
fn json(agent: &Agent, words: &[&str], code: i32) -> Value {
    serde_json::from_str(&ordered(agent, words, code)).unwrap()
}

/// Whoever gives orders here.
fn me() -> String {
    format!("user {}", rustix::process::getuid().as_raw())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_survives_a_kill_is_shown_and_holds_until_it_is_resumed() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.start();
    target.probed(1).await;
    let said = ordered(&agent, &["pause", "DC3", "--for", "2h"], 0);
    assert!(said.contains("Healing is stopped for DC3 until 20") && said.contains("`monitor resume DC3`"), "{said}");
    agent.kill();

    target.set(false);
    agent.start();
    let record = agent.record("DC3-SRV4", 1).await;
    assert_eq!(record["status"], "skipped", "{record}");
    let told = api.message(1).await.plain;
    assert!(told.contains(&format!("healing was stopped by {} at", me())), "{told}");
    let status = ordered(&agent, &["status"], 3);
    assert!(status.contains("STOPPED: DC3 by") && status.contains("monitor resume DC3"), "{status}");
    assert!(status.lines().all(|line| line.chars().count() <= 80), "{status}");
    // Of the pair alone no stop is in force, and that of its site stays.
    assert_eq!(json(&agent, &["resume", "DC3-SRV4", "--json"], 0), serde_json::json!({ "ended": 0 }));
    assert!(host.stamps().is_empty());

    assert_eq!(json(&agent, &["resume", "DC3", "--json"], 0), serde_json::json!({ "ended": 1 }));
    agent.says(&["DC3-SRV4 is up again"]).await;
    assert_eq!(host.stamps().len(), 1);
    assert_eq!(agent.count(&format!("Healing goes on for DC3, says {}", me())), 1);
    let status = ordered(&agent, &["status"], 0);
    assert!(!status.contains("STOPPED"), "{status}");
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_for_somebody_unknown_or_half_understood_changes_nothing() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    let none = ordered(&agent, &["pause"], 1);
    assert!(none.contains("no agent runs"), "{none}");
    agent.start();
    target.probed(1).await;
    for (words, code, part) in [
        (&["pause", "DC9"][..], 1, "there is no site `DC9`"),
        (&["resume", "DC3-SRV9"], 1, "there is no pair `DC3-SRV9`"),
        (&["drill", "DC3-SRV9"], 1, "there is no pair `DC3-SRV9`"),
        (&["approve", "abcdef"], 1, "no approval `abcdef` is asked for"),
        (&["pause", "--for", "soon"], 2, "a duration such as"),
        (&["pause", "--for", "0"], 2, "2h"),
        (&["pause", ""], 2, "such as DC3-SRV4"),
        (&["approve", "../x"], 2, "3fa9c1"),
        (&["approve", "--deny"], 2, "ID"),
    ] {
        let said = ordered(&agent, words, code);
        assert!(said.contains(part), "{words:?}: {said}");
    }
    let empty = ordered(&agent, &["approve"], 0);
    assert!(empty.contains("No command waits"), "{empty}");

    for (path, body, status, part) in [
        ("pause", r#"{"scoop":"DC3","by":"anna"}"#, 400, "unknown field `scoop`"),
        ("pause", r#"{"scope":"DC3"}"#, 400, "missing field `by`"),
        ("pause", r#"{"scope":"","by":"anna"}"#, 400, "such as DC3-SRV4"),
        ("pause", r#"{"by":" "}"#, 400, "who gives the order"),
        ("resume", "", 400, "expected a JSON object"),
        ("approvals/abcdef", r#"{"yes":true,"by":"anna"}"#, 404, "no approval `abcdef`"),
        ("pairs/DC3-SRV9/drill", r#"{"by":"anna"}"#, 404, "no pair `DC3-SRV9`"),
        ("pairs/nobody/drill", r#"{"by":"anna"}"#, 400, "not a pair"),
    ] {
        let problem = asked(&agent, &format!("/api/{path}"), body).await;
        assert_eq!(problem["status"], status, "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path} {body}: {problem}");
    }
    assert_eq!(json(&agent, &["status", "--json"], 0)["stops"], serde_json::json!([]));
    agent.stop();
}

/// Asks the control socket as `curl` would.
async fn asked(agent: &Agent, path: &str, body: &str) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::UnixStream::connect(agent.path("monitor.sock")).await.unwrap();
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: monitor\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json"), "{answer}");
    serde_json::from_str(body).unwrap()
}

/// A pair that is down and whose command waits for a person; gives the name of the approval.
async fn waiting(agent: &mut Agent, api: &BotApi) -> String {
    agent.set(&[("COMMAND_MODE", "approve"), ("BACKOFF_FACTOR", "1")]);
    agent.start();
    let told = api.message(1).await.plain;
    let (_, rest) = told.split_once("monitor approve ").unwrap_or_else(|| panic!("no approval in {told}"));
    rest.chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_for_the_command_that_was_read_and_for_no_other() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    let id = waiting(&mut agent, &api).await;
    agent.set(&[("COMMAND", "systemctl restart everything")]);
    agent.signal(rustix::process::Signal::HUP);
    agent.says(&["The configuration was read again"]).await;
    let said = ordered(&agent, &["approve", &id], 1);
    assert!(said.contains(&format!("no approval `{id}` is asked for")), "{said}");
    agent.says_times(2, &["COMMAND_EXECUTED", "restart everything", "awaiting_approval"]).await;
    let asked = json(&agent, &["approve", "--json"], 0);
    let other = asked[0]["id"].as_str().unwrap();
    assert!(other != id && host.stamps().is_empty(), "{asked}");
    ordered(&agent, &["approve", other], 0);
    agent.says(&["DC3-SRV4 is up again"]).await;
    agent.stop();
    assert!(host.stamps().len() == 1 && host.stamps()[0].ends_with("restart everything"), "{:?}", host.stamps());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_command_runs_once_and_whoever_comes_second_is_told() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    let id = waiting(&mut agent, &api).await;
    let list = ordered(&agent, &["approve"], 0);
    assert!(list.contains(&id) && list.contains("$ systemctl restart network-service"), "{list}");
    let listed = json(&agent, &["approve", "--json"], 0);
    assert_eq!((&listed[0]["id"], &listed[0]["rung"]), (&id.clone().into(), &1.into()), "{listed}");
    let status = ordered(&agent, &["status"], 3);
    assert!(status.contains(&format!("monitor approve {id}")), "{status}");
    assert!(host.stamps().is_empty());

    let approved = ordered(&agent, &["approve", &id], 0);
    assert!(approved.contains("Approved") && approved.contains("systemctl restart network-service"), "{approved}");
    let second = ordered(&agent, &["approve", &id], 1);
    assert!(second.contains("it was answered"), "{second}");
    agent.says(&["DC3-SRV4 is up again"]).await;
    assert_eq!(host.stamps().len(), 1);
    assert_eq!(agent.count(&format!("{} approved the command for DC3-SRV4", me())), 1);
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_asks_under_the_same_name_and_a_denied_command_does_not_run_in_its_incident_whatever_happens() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    let id = waiting(&mut agent, &api).await;
    agent.kill();
    agent.start();
    target.probed(1).await;
    let denied = ordered(&agent, &["approve", &id, "--deny"], 0);
    assert!(denied.contains("Denied"), "{denied}");
    // What was said is kept, however soon it ends.
    agent.kill();
    agent.start();
    agent.says(&["COMMAND_EXECUTED", "denied"]).await;
    let second = ordered(&agent, &["approve", &id], 1);
    assert!(second.contains("it was answered"), "{second}");
    target.probed(2).await;
    agent.stop();
    assert!(host.stamps().is_empty());
}

/// What came of each step of a drill, by name.
fn steps(report: &Value) -> Vec<(&str, bool, &str)> {
    let step = |step: &'_ Value| {
        (step["name"].as_str().unwrap().to_owned(), step["ok"] == true, step["detail"].as_str().unwrap().to_owned())
    };
    let all = report["steps"].as_array().unwrap();
    assert!(all.iter().map(step).all(|(name, _, detail)| !name.is_empty() && !detail.is_empty()));
    all.iter()
        .map(|step| (step["name"].as_str().unwrap(), step["ok"] == true, step["detail"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_harmless_drill_walks_the_whole_chain_and_leaves_no_incident() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("SRV9_URL", &target.url()), ("SRV4_DEPENDS_ON", "SRV9"), ("MAPPINGS", "DC3:SRV4,DC3:SRV9")]);
    agent.set(&[("WITNESSES", &target.url()), ("REMEDY_BUDGET", "1/1h")]);
    agent.start();
    agent.says(&["Watched pairs"]).await;
    target.probed(2).await;
    let report = json(&agent, &["drill", "DC3-SRV4", "--json"], 0);
    let wanted = ["probe", "witnesses", "dependencies", "guard", "command", "verify", "record", "message"];
    let steps = steps(&report);
    assert_eq!(steps.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), wanted);
    assert!(steps.iter().all(|(_, ok, _)| *ok), "{report}");
    assert!(steps[4].2.contains("true (instead of systemctl restart network-service) on 127.0.0.1"), "{report}");

    let told = api.message(1).await.plain;
    assert!(told.contains("DC3-SRV4: 🔧 Drill"), "{told}");
    assert!(told.contains(&format!("a harmless command, ordered by {}", me())), "{told}");
    assert!(told.contains("true (instead of systemctl restart network-service)"), "{told}");
    assert!(told.contains("saw the pair up"), "{told}");

    let table = ordered(&agent, &["drill", "DC3-SRV4"], 0);
    assert!(table.contains("Every step went as it should."), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(host.stamps().is_empty(), "nothing was restarted");
    assert_eq!(json(&agent, &["incidents", "--json"], 0), serde_json::json!([]));
    assert_eq!(json(&agent, &["report", "--json"], 0)["commands"], serde_json::json!([]));
    let actions = json(&agent, &["actions", "--json"], 0);
    assert_eq!(actions.as_array().unwrap().len(), 2, "{actions}");
    assert!(actions[0]["rung"] == 0 && actions[0]["incident"].is_null() && actions[0]["verdict"].is_null());
    assert_eq!(agent.records().len(), 2);
    agent.kill();

    // The budget of one run is whole after a restart, too.
    agent.start();
    target.probed(2).await;
    let status = json(&agent, &["status", "--json"], 0);
    assert!(status["pairs"].as_array().unwrap().iter().all(|pair| pair["budget_spent"] == 0), "{status}");
    agent.stop();
    ordered(&agent, &["audit", "verify"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_tells_what_the_guard_would_say_and_really_runs_only_when_it_is_told_to() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.start();
    target.probed(1).await;
    ordered(&agent, &["pause"], 0);
    assert_eq!(agent.count(&format!("Healing is stopped for all pairs by {}, until it is resumed", me())), 1);
    let report = json(&agent, &["drill", "DC3-SRV4", "--json"], 1);
    let ok: Vec<(&str, bool)> = steps(&report).into_iter().map(|(name, ok, _)| (name, ok)).collect();
    let wanted =
        [("probe", true), ("guard", false), ("command", true), ("verify", true), ("record", true), ("message", true)];
    assert_eq!(ok, wanted, "{report}");
    assert!(steps(&report)[1].2.contains("healing was stopped by"), "{report}");
    ordered(&agent, &["resume"], 0);
    assert!(host.stamps().is_empty());

    let report = json(&agent, &["drill", "DC3-SRV4", "--really", "--json"], 0);
    assert_eq!(report["really"], true);
    assert_eq!(host.stamps().len(), 1);
    let status = json(&agent, &["status", "--json"], 0);
    assert_eq!((&status["pairs"][0]["budget_spent"], &status["pairs"][0]["state"]), (&1.into(), &"up".into()));
    assert_eq!(json(&agent, &["incidents", "--json"], 0), serde_json::json!([]));
    target.probed(2).await;

    agent.set(&[("DRY_RUN", "true")]);
    ordered(&agent, &["reload"], 0);
    for words in [&["drill", "DC3-SRV4", "--json"][..], &["drill", "DC3-SRV4", "--really", "--json"]] {
        let report = json(&agent, words, 1);
        let command = steps(&report).into_iter().find(|(name, ..)| *name == "command").unwrap();
        assert!(!command.1 && command.2.contains("DRY_RUN is on"), "{report}");
    }
    agent.stop();
    assert_eq!(host.stamps().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_sends_no_webhook_and_says_that_it_was_left_out() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let hook = Target::start(true).await;
    let mut agent = Agent::telling(&api);
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url()), ("DC3_HOOK_URL", &hook.url())]);
    agent.start();
    target.probed(1).await;
    let report = json(&agent, &["drill", "DC3-SRV4", "--json"], 0);
    let command = steps(&report).into_iter().find(|(name, ..)| *name == "command").unwrap();
    assert!(command.2.contains("left out") && command.2.contains("--really"), "{report}");
    let told = api.message(1).await.plain;
    assert!(told.contains("was not run (the drill leaves it out"), "{told}");
    assert!(hook.hits().is_empty(), "nothing was sent");
    agent.stop();
}
