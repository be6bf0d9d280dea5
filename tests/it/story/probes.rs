//! Targets that are down in an odd way: each has its own cause, and what a command cannot mend is not commanded.

use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::http::{Act, Certificate, Server, Service, State};
use crate::support::stage::{Host, Target, borrowed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_odd_target_is_down_for_its_own_reason_and_the_healthy_one_is_checked_on_time() {
    let (api, up) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let looping = Server::start(|_| Act::Redirect(302, "/again".to_owned()));
    let dripping = Server::start(|_| Act::Drip(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec(), b"x".to_vec()));
    let signed = Server::tls(&Certificate::self_signed(), |_| Act::Status(200));
    let (closed, silent) = (Service::start(), Service::start());
    closed.set(State::Refuse);
    silent.set(State::Hang);
    let targets = [
        ("LOOP", looping.url("/"), "the redirect cannot be followed"),
        ("DRIP", dripping.url("/"), "no answer in time"),
        ("SIGNED", signed.url("/"), "the certificate's issuer is not trusted"),
        ("CLOSED", closed.url(), "nobody listens on the port"),
        ("SILENT", silent.url(), "no answer in time"),
    ];
    let mut agent = Agent::telling(&api);
    agent.set(&[("INTERVAL", "30"), ("CHECK_TIMEOUT", "0.6"), ("STORM_LIMIT", "100%"), ("VERIFY_WINDOW", "0")]);
    agent.set(&borrowed(&host.site("DC3")));
    agent.set(&[("FINE_URL", &up.url()), ("FINE_INTERVAL", "0.3")]);
    let mut pairs = vec!["DC3:FINE".to_owned()];
    for (name, url, ..) in &targets {
        agent.set(&[(&format!("{name}_URL"), url)]);
        pairs.push(format!("DC3:{name}"));
    }
    agent.set(&[("MAPPINGS", &pairs.join(","))]);
    agent.start();
    let messages = {
        api.message(targets.len()).await;
        api.messages()
    };
    let late = up.longest_gap();
    agent.stop();
    for (name, _, words) in &targets {
        let pair = format!("DC3-{name}:");
        let of: Vec<&str> = messages.iter().map(|m| m.plain.as_str()).filter(|text| text.contains(&pair)).collect();
        assert!(of.len() == 1 && of[0].contains(&format!("Cause: {words}")), "{name}: {of:?}");
    }
    assert!(late < Duration::from_secs(1) && up.hits().len() > 3, "the healthy pair waited {late:?}");
    assert!(!host.stamps().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_exist_is_told_and_no_command_runs() {
    let api = BotApi::start().await;
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    agent.set(&borrowed(&host.site("DC3")));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", "http://no-such-name.example.invalid/")]);
    // Whatever resolver this machine has, here the answer is certain: only /etc/hosts is asked.
    std::fs::write(agent.path("nsswitch"), "hosts: files\n").unwrap();
    agent.within("mount --bind nsswitch /etc/nsswitch.conf");
    agent.start();
    let line = agent.says(&["DC3-SRV4", "no-such-name", "attempt 1/1 failed"]).await;
    assert!(line.contains("the name does not exist"), "{line}");
    let record = agent.record("DC3-SRV4", 1).await;
    assert_eq!(record["status"], "skipped", "{record}");
    let told = api.message(1).await.plain;
    assert!(told.contains("was not run") && told.contains("does not exist in DNS"), "{told}");
    agent.stop();
    assert!(host.stamps().is_empty());
}
