//! Real networks: machines behind a gateway, each with its own cable, and what the agent does when one is cut.

use rustix::process::Signal;

use super::{pairs_in, stands};
use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::netns::Lan;
use crate::support::stage::{Host, Target, borrowed};

/// The gateway as the agent knows it.
const GATEWAY: &str = "10.1.0.1";
const TARGET: &str = "10.2.0.2";
const SITE: &str = "10.2.0.3";
const CHAT: &str = "10.2.0.4";
/// Two more machines behind the gateway.
const OTHERS: [(&str, &str); 2] = [("one", "10.2.0.11/24"), ("two", "10.2.0.12/24")];

/// The agent on one side of a gateway; the target, its site and the chat on the other.
struct Net {
    agent: Agent,
    host: Host,
    target: Target,
    api: BotApi,
    lan: Lan,
}

impl Net {
    /// Two pairs of one target, `DC3-SRV4` and `DC4-SRV5`, healed at one address by two commands.
    fn new() -> Self {
        let mut lan = Lan::new();
        lan.machine("agent", &["10.1.0.2/24"]);
        lan.machine("gateway", &["10.1.0.1/24", "10.2.0.1/24"]);
        lan.forwards("gateway");
        lan.on("agent", &["route", "add", "default", "via", GATEWAY]);
        let behind = [("target", "10.2.0.2/24"), ("site", "10.2.0.3/24"), ("chat", "10.2.0.4/24")];
        for (name, address) in behind.into_iter().chain(OTHERS) {
            lan.machine(name, &[address]);
            lan.on(name, &["route", "add", "default", "via", "10.2.0.1"]);
        }
        let target = Target::at(lan.listener("target", TARGET), std::sync::Arc::default(), true);
        let api = BotApi::at(lan.listener("chat", CHAT));
        let options = crate::support::sshd::Options::with(&[&format!("ListenAddress {SITE}")]);
        let host = lan.inside("site", || Host::with(&options, ""));
        let mut agent = Agent::telling(&api);
        agent.at(lan.namespace("agent"));
        for site in ["DC3", "DC4"] {
            agent.set(&borrowed(&host.site(site)));
            agent.set(&[(&format!("{site}_SSH_HOST"), SITE)]);
        }
        agent.set(&[("MAPPINGS", "DC3:SRV4,DC4:SRV5"), ("SRV4_URL", &target.url()), ("SRV5_URL", &target.url())]);
        agent.set(&[("DC4_COMMAND", "systemctl restart other")]);
        agent.set(&[
            ("INTERVAL", "0.2"),
            ("BACKOFF_FACTOR", "1"),
            ("CHECK_TIMEOUT", "0.4"),
            ("WITNESS_TIMEOUT", "0.4"),
        ]);
        Self { agent, host, target, api, lan }
    }

    /// What was run for one command.
    fn runs(&self, command: &str) -> usize {
        self.host.stamps().iter().filter(|stamp| stamp.ends_with(command)).count()
    }

    /// Waits for n more checks of a pair with this result.
    async fn more(&self, n: usize, parts: &[&str]) {
        let lines = self.agent.lines();
        let so_far = lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count();
        self.agent.says_times(so_far + n, parts).await;
    }

    /// Messages with this part.
    fn told(&self, part: &str) -> usize {
        self.api.messages().iter().filter(|message| message.plain.contains(part)).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_between_us_and_all_others_runs_nothing_and_is_told_once_and_a_cut_target_is_healed() {
    let mut net = Net::new();
    net.agent.set(&[("WITNESSES", &format!("icmp://{GATEWAY}"))]);
    net.agent.start();
    net.target.probed(2).await;

    net.lan.cut("gateway");
    net.agent.says(&["We are cut off: 0 of 1 witnesses of WITNESSES answer"]).await;
    let status = stands(&net.agent, "two unknown pairs", |status| pairs_in("unknown", status) == 2);
    let since = status["cut_off"]["WITNESSES"].clone();
    assert!(since.is_string(), "{status}");
    net.agent.kill();
    net.agent.start();
    let status = stands(&net.agent, "two unknown pairs", |status| pairs_in("unknown", status) == 2);
    assert_eq!(status["cut_off"]["WITNESSES"], since, "a kill does not forget it");
    // What could not be told waits two seconds by then: long enough to learn first that it is over.
    net.agent.says(&["did not reach telegram", "Next try in 2 s"]).await;
    net.lan.restore("gateway");
    stands(&net.agent, "two pairs that are up", |status| pairs_in("up", status) == 2);
    let told = net.api.message(1).await.plain;
    assert!(told.contains("✅ Connected again") && told.contains("We were cut off from 20"), "{told}");
    assert!(told.contains(" to 20") && told.contains("nothing was healed"), "{told}");
    net.target.probed(4).await;
    assert_eq!(net.api.messages().len(), 1, "{:#?}", net.api.messages());
    assert_eq!((net.host.stamps(), net.agent.records()), (Vec::new(), Vec::new()));

    net.lan.cut("target");
    for (pair, command) in [("DC3-SRV4", "restart network-service"), ("DC4-SRV5", "restart other")] {
        let record = net.agent.record(pair, 1).await;
        assert_eq!(record["status"], "executed", "{record}");
        assert!(net.runs(command) > 0);
    }
    net.lan.restore("target");
    stands(&net.agent, "two pairs that are up", |status| pairs_in("up", status) == 2);
    net.agent.stop();
    for pair in ["DC3-SRV4", "DC4-SRV5"] {
        let down = format!("{pair}: ⚠️ Down\nMessage: Unavailable after 2 check attempts. Command executed: systemctl");
        assert_eq!(net.told(&down), 1, "{:#?}", net.api.messages());
    }
    assert_eq!((net.told("Cut off"), net.told("Connected again")), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_only_we_miss_is_told_and_not_healed_until_nobody_asks_the_site() {
    let mut net = Net::new();
    net.agent.set(&[
        ("MAPPINGS", "DC3:SRV4"),
        ("DC3_CROSS_CHECK", "true"),
        ("WITNESSES", &format!("icmp://{GATEWAY}")),
    ]);
    net.agent.start();
    net.target.probed(2).await;
    // It hears us and cannot answer; its neighbours it answers.
    net.lan.on("target", &["route", "add", "blackhole", "10.1.0.2/32"]);
    let record = net.agent.record("DC3-SRV4", 3).await;
    assert!(record["error"].as_str().unwrap().contains("only_our_route"), "{record}");
    let told = net.api.message(1).await;
    assert!(told.plain.contains("its own site reaches it, so only our route to it is broken"), "{}", told.plain);
    assert!(net.host.stamps().is_empty());

    net.agent.set(&[("DC3_CROSS_CHECK", "false")]);
    net.agent.signal(Signal::HUP);
    net.agent.says(&["COMMAND_EXECUTED", "\"status\": \"executed\""]).await;
    assert!(net.runs("restart network-service") > 0, "the same outage is healed once nobody asks there");
    net.lan.on("target", &["route", "delete", "blackhole", "10.1.0.2/32"]);
    net.agent.says(&["DC3-SRV4 is up again"]).await;
    net.agent.stop();
    let loud: Vec<String> = net.api.messages().into_iter().filter(|m| !m.silent).map(|m| m.plain).collect();
    let heard: Vec<&str> = loud.iter().filter_map(|text| text.lines().next()).collect();
    let wanted = ["DC3-SRV4: ⚠️ Down", "DC3-SRV4: ✅ Restored"];
    let gave_up = heard.iter().filter(|line| !wanted.iter().any(|part| line.contains(part))).count();
    assert!(
        heard.len() - gave_up == 2 && gave_up <= 1,
        "the failure and its end are heard, repeats are not: {loud:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_witnesses_are_enough_one_is_not_and_a_site_has_its_own() {
    let mut net = Net::new();
    let witnesses = format!("icmp://{GATEWAY},icmp://10.2.0.11,icmp://10.2.0.12");
    net.agent.set(&[("WITNESSES", &witnesses), ("WITNESS_QUORUM", "2")]);
    net.agent.set(&[("DC4_WITNESSES", "icmp://10.2.0.12"), ("DC4_WITNESS_QUORUM", "1")]);
    net.agent.start();
    net.target.probed(2).await;

    net.lan.cut("two");
    net.lan.cut("target");
    net.agent.record("DC3-SRV4", 1).await;
    net.agent.says(&["We are cut off: 0 of 1 witnesses of DC4_WITNESSES answer, 1 have to"]).await;
    net.more(2, &["Check of DC4-SRV5", "Could not look"]).await;
    assert!(net.runs("restart network-service") > 0, "two of three answer");
    assert_eq!(net.runs("restart other"), 0, "the only witness of that site does not answer");

    net.lan.restore("two");
    net.agent.record("DC4-SRV5", 1).await;
    assert!(net.runs("restart other") > 0, "it does answer now");
    net.lan.restore("target");
    stands(&net.agent, "two pairs that are up", |status| pairs_in("up", status) == 2);
    let before = net.host.stamps();

    net.lan.cut("one");
    net.lan.cut("two");
    net.lan.cut("target");
    net.more(3, &["Check of DC3-SRV4", "Could not look"]).await;
    net.more(3, &["Check of DC4-SRV5", "Could not look"]).await;
    let status = stands(&net.agent, "two unknown pairs", |status| pairs_in("unknown", status) == 2);
    for key in ["WITNESSES", "DC4_WITNESSES"] {
        assert!(status["cut_off"][key].is_string(), "{status}");
    }
    assert_eq!(net.host.stamps(), before, "one of three is not enough");
    net.agent.says(&["We are cut off: 1 of 3 witnesses of WITNESSES answer, 2 have to"]).await;
    net.agent.stop();
}
