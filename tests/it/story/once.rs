//! What is run once, or so often and no more: budgets, a standby, what is run on recovery, pairs that flap; also across a
//! `kill -9`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::agent::{Agent, LIMIT};
use crate::support::bot_api::BotApi;
use crate::support::sshd::wait_until;
use crate::support::stage::{Host, Target, borrowed};

/// What systemctl of a standby does: it remembers whether the unit runs.
const STANDBY: &str = "on=${0%/*}/on; case \"$*\" in *'start standby.service') SLOW; touch $on;; *'stop standby.service') rm -f $on;; \
     is-active*) [ -e $on ] && echo active || { echo inactive; exit 3; };; esac";

/// Calls of a host's systemctl with these words at the end.
fn calls(host: &Host, words: &str) -> usize {
    host.stamps().iter().filter(|stamp| stamp.ends_with(words)).count()
}

/// Waits until a host's systemctl was called with these words for the n-th time.
fn called(host: &Host, words: &str, n: usize) {
    let came = tokio::task::block_in_place(|| wait_until(LIMIT, || calls(host, words) >= n));
    assert!(came, "`{words}` was not called {n} times: {:#?}", host.stamps());
}

/// Messages with this part.
fn told(api: &BotApi, part: &str) -> usize {
    api.messages().iter().filter(|message| message.plain.contains(part)).count()
}

/// Waits until people were told this.
async fn tells(api: &BotApi, part: &str) {
    while told(api, part) == 0 {
        api.message(api.messages().len() + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_is_said_holds_across_a_kill_and_goes_on_when_its_window_moves() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("REMEDY_BUDGET", "2/6s"), ("BACKOFF_FACTOR", "1"), ("VERIFY_WINDOW", "0"), ("FLAP_LIMIT", "0")]);
    agent.start();
    tells(&api, "the budget of 2 runs in 6 s is spent").await;
    assert_eq!(host.stamps().len(), 2);
    agent.kill();

    agent.start();
    agent.says(&["The command for DC3-SRV4 was not run: the budget of 2 runs in 6 s is spent"]).await;
    assert_eq!(host.stamps().len(), 2, "what ran before the kill counts");
    called(&host, "restart network-service", 4);
    agent.stop();
    let times: Vec<f64> = host.file("times").lines().map(|line| line.parse().unwrap()).collect();
    // The order is what counts, and a host may be a moment later with one than with another.
    assert!(times.windows(3).all(|three| three[2] - three[0] > 5.5), "never three within the window: {times:?}");
    // One that was under way at the kill may come twice.
    let heard: BTreeSet<String> = api.messages().into_iter().filter(|m| !m.silent).map(|m| m.plain).collect();
    assert_eq!(heard.len(), 2, "the failure, and that healing does not help: {heard:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_started_once_and_stopped_once_wherever_a_kill_falls() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let host = Host::start(&STANDBY.replace("SLOW", ":"));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("DC3_SERVICES", "standby.service"), ("BACKOFF_FACTOR", "1")]);
    agent.start();
    tells(&api, "Command executed: systemctl start standby.service").await;
    target.probed(2).await;
    agent.kill();
    agent.start();
    target.probed(4).await;
    assert_eq!((calls(&host, "start standby.service"), calls(&host, "stop standby.service")), (1, 0));

    target.set(true);
    agent.says(&["COMMAND_EXECUTED", "\"systemctl stop standby.service\"", "\"status\": \"executed\""]).await;
    target.probed(2).await;
    agent.kill();
    agent.start();
    target.probed(3).await;
    agent.stop();
    assert_eq!((calls(&host, "start standby.service"), calls(&host, "stop standby.service")), (1, 1));
    assert_eq!((told(&api, "⚠️ Down"), told(&api, "✅ Restored"), api.messages().len()), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_not_stopped_for_one_pair_while_it_starts_for_another() {
    let (api, one, two) = (BotApi::start().await, Target::start(false).await, Target::start(true).await);
    // The second start takes its time.
    let host = Host::start(&STANDBY.replace("SLOW", "[ ! -e $on ] || sleep 1.5"));
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    let (first, second) = (one.url(), two.url());
    agent.set(&[("MAPPINGS", "DC3:SRV4,DC3:SRV5"), ("SRV4_URL", &first), ("SRV5_URL", &second)]);
    agent.set(&[("DC3_SERVICES", "standby.service"), ("INTERVAL", "0.2"), ("BACKOFF_FACTOR", "1")]);
    agent.start();
    agent.record("DC3-SRV4", 1).await;
    two.set(false);
    called(&host, "start standby.service", 2);
    one.set(true);
    agent.says(&["DC3-SRV4 is up again"]).await;
    agent.record("DC3-SRV5", 1).await;
    two.probed(4).await;
    assert_eq!(calls(&host, "stop standby.service"), 0, "the other one needs it");
    two.set(true);
    called(&host, "stop standby.service", 1);
    agent.says(&["DC3-SRV5 is up again"]).await;
    two.probed(2).await;
    agent.stop();
    assert_eq!(calls(&host, "stop standby.service"), 1, "the last one ends it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_run_on_recovery_is_run_once_audited_and_not_repeated_after_a_kill() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let body = format!(
        "case $1 in restart) call {} /repair;; reload) [ ! -e ${{0%/*}}/slow ] || sleep 3;; esac",
        target.port()
    );
    let host = Host::start(&body);
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("RECOVERY_COMMAND", "systemctl reload balancer"), ("COMMAND_TIMEOUT", "5s")]);
    agent.start();
    target.probed(1).await;
    target.set(false);
    let line = agent.says(&["COMMAND_EXECUTED", "\"systemctl reload balancer\""]).await;
    assert!(line.contains("\"status\": \"executed\"") && line.contains("\"rung\": 0"), "{line}");
    target.probed(2).await;
    agent.kill();
    agent.start();
    target.probed(3).await;
    assert_eq!((calls(&host, "restart network-service"), calls(&host, "reload balancer")), (1, 1));

    std::fs::write(host.path("slow"), "").unwrap();
    target.set(false);
    called(&host, "reload balancer", 2);
    agent.kill();
    agent.start();
    let line = agent.says(&["COMMAND_EXECUTED", "\"systemctl reload balancer\""]).await;
    assert!(line.contains("interrupted"), "{line}");
    tells(&api, "The agent was stopped while the command ran; whether it had an effect is not known").await;
    target.probed(4).await;
    agent.stop();
    assert_eq!((calls(&host, "restart network-service"), calls(&host, "reload balancer")), (2, 2));
    let (code, said) = agent.beside(&["audit", "verify"]);
    assert_eq!(code, Some(0), "{said}");
    let audit = agent.file("audit.jsonl");
    assert_eq!(audit.lines().filter(|line| line.contains("reload balancer")).count(), 2, "{audit}");
    assert_eq!((told(&api, "✅ Restored"), told(&api, "⚠️ After the recovery")), (2, 1), "{:#?}", api.messages());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_run_cut_by_a_kill_is_not_repeated_before_it_must_be_over_and_then_once_for_both() {
    let (api, one, two) = (BotApi::start().await, Target::start(false).await, Target::start(false).await);
    let body = format!("sleep 1; [ $n -lt 2 ] || {{ call {} /repair; call {} /repair; }}", one.port(), two.port());
    let host = Host::start(&body);
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    let (first, second) = (one.url(), two.url());
    agent.set(&[("MAPPINGS", "DC3:SRV4,DC3:SRV5"), ("SRV4_URL", &first), ("SRV5_URL", &second)]);
    agent.set(&[("INTERVAL", "0.6"), ("BACKOFF_FACTOR", "1"), ("VERIFY_WINDOW", "2"), ("COMMAND_TIMEOUT", "3")]);
    agent.start();
    agent.says(&["already runs on", "its result is shared"]).await;
    called(&host, "restart network-service", 1);
    let both = || agent.beside(&["actions", "--json"]).1.matches("\"pair\":").count() == 2;
    assert!(tokio::task::block_in_place(|| wait_until(LIMIT, both)), "both intents are on disk");
    agent.kill();
    agent.start();
    for pair in ["DC3-SRV4", "DC3-SRV5"] {
        agent.says(&[&format!("{pair} is up again")]).await;
    }
    agent.stop();
    assert_eq!(host.stamps().len(), 2, "{:?}", host.stamps());
    let pause = host.shortest_pause();
    assert!(pause > Duration::from_secs(12), "after {pause:?} it ran again; it may have been at work for 13 s");
    for pair in ["DC3-SRV4", "DC3-SRV5"] {
        assert_eq!(
            told(&api, &format!("{pair}: ⚠️ Down\nMessage: Unavailable after 1 check attempt. The agent was stopped")),
            1
        );
        assert_eq!(told(&api, &format!("{pair}: ✅ Restored")), 1, "{:#?}", api.messages());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_may_be_at_work_after_two_kills_runs_nothing_for_another_pair_either() {
    let (api, one, two) = (BotApi::start().await, Target::start(false).await, Target::start(true).await);
    let host = Host::start("[ $2 != slow ] || sleep 2");
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    let (first, second) = (one.url(), two.url());
    agent.set(&[("MAPPINGS", "DC3:SRV4,DC3:SRV5"), ("SRV4_URL", &first), ("SRV5_URL", &second)]);
    agent.set(&[("DC3_SRV4_COMMAND", "systemctl restart slow"), ("COMMAND_TIMEOUT", "3"), ("BACKOFF_FACTOR", "1")]);
    agent.start();
    called(&host, "restart slow", 1);
    agent.kill();
    // The second start knows it from the first one only.
    agent.start();
    two.probed(1).await;
    agent.kill();
    two.set(false);
    agent.start();
    agent.says(&["The command for DC3-SRV5 waits until", "has finished another one"]).await;
    called(&host, "restart network-service", 1);
    agent.stop();
    let pause = host.shortest_pause();
    assert!(
        pause > Duration::from_secs(12),
        "the other one may have been at work for 13 s, and this one ran after {pause:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_permitted_and_waits_for_its_place_is_not_sent_once_a_reload_forbids_it() {
    let (api, one, two) = (BotApi::start().await, Target::start(false).await, Target::start(true).await);
    let (busy, other) = (Host::start("sleep 4"), Host::start(""));
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&busy.site("DC3")));
    agent.set(&borrowed(&other.site("DC4")));
    let (first, second) = (one.url(), two.url());
    agent.set(&[("MAPPINGS", "DC3:SRV4,DC4:SRV5"), ("SRV4_URL", &first), ("SRV5_URL", &second)]);
    agent.set(&[("REMEDIES_AT_ONCE", "1"), ("VERIFY_WINDOW", "0"), ("INTERVAL", "0.5"), ("SRV4_INTERVAL", "60")]);
    agent.start();
    called(&busy, "restart network-service", 1);
    two.set(false);
    let intended = || agent.beside(&["actions", "--json"]).1.contains("DC4-SRV5");
    assert!(tokio::task::block_in_place(|| wait_until(LIMIT, intended)), "it is permitted and has no place yet");
    agent.set(&[("DRY_RUN", "true")]);
    agent.signal(rustix::process::Signal::HUP);
    agent.says(&["The configuration was read again"]).await;
    assert_eq!(agent.records(), Vec::<serde_json::Value>::new(), "the first one still runs");
    let record = agent.record("DC4-SRV5", 1).await;
    assert!(record["error"].as_str().unwrap().contains("dry_run"), "{record}");
    agent.stop();
    assert_eq!((busy.stamps().len(), other.stamps().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_flaps_is_told_once_and_not_healed_and_a_kill_neither_forgets_nor_ends_it() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("FLAP_LIMIT", "4/7s"), ("INTERVAL", "0.2"), ("BACKOFF_FACTOR", "1"), ("VERIFY_WINDOW", "0")]);
    agent.start();
    for n in 1..=2 {
        // Between the two lie some seconds, so that the first is forgotten long before the second.
        target.probed(if n == 1 { 1 } else { 12 }).await;
        target.set(false);
        agent.says_times(n, &["Running the command on DC3"]).await;
        target.set(true);
        agent.says_times(n, &["DC3-SRV4 is up again"]).await;
    }
    tells(&api, "⚠️ Flapping").await;
    let runs = host.stamps().len();
    target.set(false);
    let record = agent.says(&["COMMAND_EXECUTED", "flapping"]).await;
    assert!(record.contains("\"status\": \"skipped\""), "{record}");
    target.probed(2).await;
    agent.kill();
    // It is off until the first two changes are out of the window, and three are left: fewer than make it flap, more than
    // end it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    agent.start();
    agent.says(&["Running the command on DC3"]).await;
    let lines = agent.lines();
    let place = |part: &str| lines.iter().position(|line| line.contains(part));
    let settled =
        place("flaps no more and is down").unwrap_or_else(|| panic!("nobody learns that it settled: {lines:#?}"));
    assert!(settled < place("Running the command on DC3").unwrap(), "{lines:#?}");
    called(&host, "restart network-service", runs + 1);
    agent.stop();
    assert_eq!((told(&api, "⚠️ Flapping"), told(&api, "⚠️ Settled down")), (1, 1), "{:#?}", api.messages());
}
