//! Two hundred pairs and what holds their commands back: a storm, and what they depend on; also across a `kill -9`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{pairs_in, stands};
use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::http::{Act, Server};
use crate::support::stage::{Host, borrowed};

const PAIRS: usize = 200;

/// Many servers behind one listener, each under its own path. `/S7?needs=S0` is up as long as neither was taken down;
/// `/repair/S7` brings one up.
struct Fleet {
    server: Server,
    down: Arc<Mutex<BTreeSet<String>>>,
}

impl Fleet {
    fn start() -> Self {
        let down: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let known = down.clone();
        let server = Server::start(move |hit| {
            let mut down = known.lock().unwrap();
            let path = hit.path.trim_start_matches('/');
            if let Some(name) = path.strip_prefix("repair/") {
                down.remove(name);
                return Act::Status(204);
            }
            let up = path.split("?needs=").all(|name| !down.contains(name));
            Act::Status(if up { 200 } else { 503 })
        });
        Self { server, down }
    }

    /// Takes these down, all at once.
    fn fall(&self, numbers: impl IntoIterator<Item = usize>) {
        self.down.lock().unwrap().extend(numbers.into_iter().map(server));
    }

    fn rise(&self) {
        self.down.lock().unwrap().clear();
    }

    /// A host whose `systemctl restart S7` brings that one up, from this call on.
    fn host(&self, from: usize) -> Host {
        let port = self.server.addr().port();
        Host::start(&format!("[ $n -lt {from} ] || call {port} /repair/$2"))
    }

    /// One pair for each, healed on one host; from 1 on so many need 0.
    fn agent(&self, api: &BotApi, host: &Host, dependents: usize) -> Agent {
        let mut agent = Agent::telling(api);
        let mut settings = host.site("DC1");
        let mut set = |key: String, value: String| settings.push((key, value));
        set("MAPPINGS".to_owned(), (0..PAIRS).map(|n| format!("DC1:S{n}")).collect::<Vec<_>>().join(","));
        for n in 0..PAIRS {
            let depends = (1..=dependents).contains(&n);
            set(
                format!("S{n}_URL"),
                self.server.url(&if depends { format!("/S{n}?needs=S0") } else { format!("/S{n}") }),
            );
            if depends {
                set(format!("S{n}_DEPENDS_ON"), "S0".to_owned());
            }
        }
        for n in [0, 7, 8, 9] {
            set(format!("DC1_S{n}_COMMAND"), format!("systemctl restart S{n}"));
        }
        agent.set(&borrowed(&settings));
        agent.set(&[("INTERVAL", "1"), ("BACKOFF_FACTOR", "1"), ("STORM_QUIET", "3s")]);
        agent
    }
}

fn server(n: usize) -> String {
    format!("S{n}")
}

/// What was run on a host, each with how often.
fn runs(host: &Host) -> Vec<String> {
    let mut runs: Vec<String> =
        host.stamps().iter().map(|stamp| stamp.rsplit(' ').next().unwrap().to_owned()).collect();
    runs.sort();
    runs
}

/// First lines of what people were told.
fn heads(api: &BotApi) -> Vec<String> {
    api.messages().iter().map(|message| message.plain.lines().next().unwrap().to_owned()).collect()
}

fn all(state: &str) -> impl Fn(&serde_json::Value) -> bool {
    move |status| pairs_in(state, status) == PAIRS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_pairs_down_at_once_are_one_alarm_and_no_command_and_three_of_them_are_healed() {
    let (api, fleet) = (BotApi::start().await, Fleet::start());
    let host = fleet.host(1);
    let mut agent = fleet.agent(&api, &host, 0);
    agent.start();
    stands(&agent, "all up", all("up"));
    fleet.fall(0..PAIRS);
    let storm = api.message(1).await.plain;
    assert!(storm.contains("⚠️ Storm suspected") && storm.contains("nothing is healed"), "{storm}");
    let status = stands(&agent, "all down", all("down"));
    assert_eq!(status["storm"], true);
    agent.says_times(2, &["Check of DC1-S7", "Unavailable"]).await;
    assert_eq!(runs(&host), Vec::<String>::new());

    fleet.rise();
    let over = api.message(2).await.plain;
    assert!(over.contains("✅ Storm over") && over.contains("Pairs still down: 0"), "{over}");
    assert_eq!(stands(&agent, "all up", all("up"))["storm"], false);
    assert_eq!((runs(&host), api.messages().len()), (Vec::new(), 2), "{:#?}", api.messages());

    fleet.fall(7..=9);
    api.message(8).await;
    agent.stop();
    assert_eq!(runs(&host), ["S7", "S8", "S9"]);
    let told = heads(&api).split_off(2);
    for n in 7..=9 {
        for word in ["⚠️ Down", "✅ Restored"] {
            let head = format!("Connection status of DC1-S{n}: {word}");
            assert_eq!(told.iter().filter(|told| told.starts_with(&head)).count(), 1, "{told:#?}");
        }
    }
    assert_eq!(told.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_storm_and_one_in_its_quiet_time_let_nothing_run_and_tell_nothing_twice() {
    let (api, fleet) = (BotApi::start().await, Fleet::start());
    let host = fleet.host(1);
    let mut agent = fleet.agent(&api, &host, 0);
    agent.start();
    stands(&agent, "all up", all("up"));
    fleet.fall(0..PAIRS);
    api.message(1).await;
    stands(&agent, "all down", all("down"));
    // Longer than the quiet time, so that what was written when it began is old by now.
    agent.says_times(4, &["Check of DC1-S7", "Unavailable"]).await;
    agent.kill();
    agent.start();
    agent.says_times(2, &["Check of DC1-S7", "Unavailable"]).await;
    assert_eq!(stands(&agent, "all down", all("down"))["storm"], true);

    fleet.rise();
    stands(&agent, "all up", all("up"));
    agent.kill();
    fleet.fall(7..=9);
    agent.start();
    for n in 7..=9 {
        let record = agent.record(&format!("DC1-S{n}"), 1).await;
        assert!(record["error"].as_str().unwrap().contains("storm"), "it may come back: {record}");
    }
    assert_eq!((runs(&host), api.messages().len()), (Vec::new(), 1), "{:#?}", api.messages());
    for n in 7..=9 {
        agent.says(&[&format!("DC1-S{n} is up again")]).await;
    }
    let over = api.message(2).await.plain;
    assert!(over.contains("✅ Storm over") && over.contains("Pairs still down: 3"), "{over}");
    agent.stop();
    assert_eq!(runs(&host), ["S7", "S8", "S9"], "once it is over they are healed");
    let about_storms = heads(&api).iter().filter(|head| head.contains("Storm")).count();
    assert_eq!(about_storms, 2, "{:#?}", heads(&api));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hundred_and_fifty_need_is_healed_and_they_are_one_line_of_its_alert_and_a_kill_changes_nothing() {
    const NEEDY: usize = 150;
    let (api, fleet) = (BotApi::start().await, Fleet::start());
    // Its first restart does not help.
    let host = fleet.host(2);
    let mut agent = fleet.agent(&api, &host, NEEDY);
    agent.set(&[("S0_INTERVAL", "4")]);
    agent.start();
    stands(&agent, "all up", all("up"));
    fleet.fall([0]);
    let told = api.message(1).await.plain;
    assert!(told.contains("DC1-S0: ⚠️ Down") && told.contains("Command executed: systemctl restart S0"), "{told}");
    let held = told.lines().find(|line| line.starts_with("Held as long as it is down: DC1-S1")).unwrap_or_default();
    assert!(held.contains("and 145 more"), "{told}");
    let status = stands(&agent, "all that need it down", |status| pairs_in("down", status) == NEEDY + 1);
    assert_eq!(status["storm"], false, "what is explained is no storm");
    agent.kill();

    agent.start();
    let status = stands(&agent, "all that need it still down", |status| pairs_in("down", status) == NEEDY + 1);
    assert_eq!(status["storm"], false, "after a kill neither");
    agent.says(&["DC1-S0 is up again"]).await;
    stands(&agent, "all up", all("up"));
    agent.stop();
    assert_eq!(runs(&host), ["S0", "S0"], "nothing else is healed");
    let pace = host.shortest_pause();
    assert!(pace > Duration::from_secs(3), "the kill did not hurry it: {pace:?}");
    let told = heads(&api);
    assert!(told.iter().all(|head| head.contains("DC1-S0:")), "{told:#?}");
    assert!(told.last().unwrap().contains("✅ Restored"), "{told:#?}");
    assert_eq!(told.iter().filter(|head| head.ends_with("⚠️ Down")).count(), 1, "{told:#?}");
}
