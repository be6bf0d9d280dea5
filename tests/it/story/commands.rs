//! What a command does and what we say of it: heals, changes nothing, fails, hangs, floods, cuts its own line.

use std::time::Duration;

use serde_json::Value;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::stage::{Host, Target, borrowed};

/// Verdicts of every run, oldest first, from the database.
async fn verdicts(agent: &Agent) -> Vec<String> {
    let url = format!("sqlite://{}", agent.path("monitor.db").display());
    let store = monitor::store::Store::open(&url).await.unwrap();
    let mut actions = store.actions(&monitor::store::history::Filter::default()).await.unwrap();
    actions.sort_by_key(|action| action.attempt);
    let verdicts = actions.into_iter().map(|action| action.verdict.unwrap_or_default()).collect();
    store.close().await;
    verdicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_repairs_ends_the_incident_inside_its_window_and_one_that_does_not_is_ran_but_down() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start(&format!("[ $n -lt 2 ] || call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.start();
    agent.says(&["DC3-SRV4 is up again after 2 attempts"]).await;
    let recovered = api.message(3).await;
    agent.stop();
    assert!(recovered.plain.contains("✅ Restored (Recovery attempt #2)"), "{}", recovered.plain);
    assert!(recovered.plain.contains("systemctl restart network-service"), "what healed it: {}", recovered.plain);
    assert_eq!(host.stamps().len(), 2);
    assert_eq!(verdicts(&agent).await, ["ran_but_down", "healed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pairs_that_want_the_same_on_one_host_share_one_run_and_both_are_told() {
    let (api, one, two) = (BotApi::start().await, Target::start(false).await, Target::start(false).await);
    let body = format!("sleep 1.5; call {} /repair; call {} /repair", one.port(), two.port());
    let host = Host::start(&body);
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    let (first, second) = (one.url(), two.url());
    agent.set(&[("MAPPINGS", "DC3:SRV4,DC3:SRV5"), ("SRV4_URL", &first), ("SRV5_URL", &second)]);
    agent.set(&[("INTERVAL", "1"), ("VERIFY_WINDOW", "2")]);
    agent.start();
    let told = [api.message(1).await, api.message(2).await, api.message(3).await, api.message(4).await];
    agent.stop();
    assert_eq!(host.stamps().len(), 1, "{:?}", host.stamps());
    for pair in ["DC3-SRV4", "DC3-SRV5"] {
        let of: Vec<&str> = told.iter().map(|m| m.plain.as_str()).filter(|text| text.contains(pair)).collect();
        assert!(of.len() == 2 && of[0].contains("⚠️ Down") && of[1].contains("✅ Restored"), "{of:?}");
        assert!(of[0].contains("Command executed: systemctl restart network-service"), "{of:?}");
    }
    assert_eq!(agent.records().len(), 1, "one run is one record");
    assert_eq!(agent.count("already runs on"), 1, "and the log says so");
}

/// One way for a command to end, what its record says, and what people read.
struct Case {
    dc: &'static str,
    body: &'static str,
    status: &'static str,
    told: &'static [&'static str],
    record: fn(&Value) -> bool,
}

const CASES: &[Case] = &[
    Case {
        dc: "FAILS",
        body: "echo 'Unit not found' >&2; exit 5",
        status: "failed",
        told: &["The command exited with code 5: systemctl restart network-service", "Unit not found"],
        record: |record| record["exit_code"] == 5 && record["output"].as_str().unwrap().contains("Unit not found"),
    },
    Case {
        dc: "HANGS",
        body: "echo waiting; sleep 30",
        status: "timeout",
        told: &["did not end in time", "COMMAND_TIMEOUT"],
        record: |record| record["output"].as_str().unwrap().contains("waiting"),
    },
    Case {
        dc: "FLOODS",
        body: "head -c 20000000 /dev/zero | tr '\\0' x; printf '\\033[31m the end'",
        status: "executed",
        told: &["Command executed: systemctl restart network-service"],
        record: |record| {
            let output = record["output"].as_str().unwrap();
            record["truncated"] == true
                && record["output_bytes"].as_u64().unwrap() > 20_000_000
                && output.len() < 10_000
                && output.contains("the end")
                && !output.contains('\u{1b}')
        },
    },
    Case {
        dc: "CUTS",
        body: "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID)) $(ps -o ppid= -p $PPID) $PPID",
        status: "unreachable",
        told: &["The connection was lost while the command ran"],
        record: |record| record["error"].as_str().unwrap().contains("connection was lost"),
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_command_does_people_read_it_and_the_other_pairs_are_checked_on_time() {
    let (api, up) = (BotApi::start().await, Target::start(true).await);
    let mut agent = Agent::telling(&api);
    agent.set(&[("INTERVAL", "30"), ("COMMAND_TIMEOUT", "1"), ("STORM_LIMIT", "100%"), ("VERIFY_WINDOW", "0")]);
    let (mut hosts, mut targets, mut pairs) = (Vec::new(), Vec::new(), vec!["UP:FINE".to_owned()]);
    for case in CASES {
        let (host, target) = (Host::start(case.body), Target::start(false).await);
        agent.set(&borrowed(&host.site(case.dc)));
        agent.set(&[(&format!("S{}_URL", case.dc), &target.url())]);
        // Twenty megabytes need more than a second on a busy machine.
        agent.set(&[("FLOODS_COMMAND_TIMEOUT", "20")]);
        pairs.push(format!("{}:S{}", case.dc, case.dc));
        hosts.push(host);
        targets.push(target);
    }
    agent.set(&borrowed(&hosts[0].site("UP")));
    agent.set(&[("FINE_URL", &up.url()), ("FINE_INTERVAL", "0.3"), ("MAPPINGS", &pairs.join(","))]);
    agent.start();
    for case in CASES {
        let record = agent.record(&format!("{0}-S{0}", case.dc), 1).await;
        assert_eq!(record["status"], case.status, "{}: {record}", case.dc);
        assert!((case.record)(&record), "{}: {record}", case.dc);
    }
    for n in 1..=CASES.len() {
        api.message(n).await;
    }
    let seen = up.hits().len();
    up.probed(2).await;
    let late = up.longest_gap();
    assert!(late < Duration::from_secs(1) && seen > 3, "the healthy pair waited {late:?}, {seen} probes");
    agent.stop();
    let messages = api.messages();
    for case in CASES {
        let pair = format!("{0}-S{0}", case.dc);
        let told: Vec<&str> = messages.iter().map(|m| m.plain.as_str()).filter(|text| text.contains(&pair)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        for part in case.told {
            assert!(told[0].contains(part), "{}: `{part}` is missing in {}", case.dc, told[0]);
        }
    }
    for host in &hosts {
        assert_eq!(host.stamps().len(), 1, "each ran once");
    }
}
