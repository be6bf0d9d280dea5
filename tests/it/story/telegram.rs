//! Telegram is away, busy, or refuses: people are told later, in order, and nothing is lost.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::agent::Agent;
use crate::support::bot_api::{BotApi, Trouble};
use crate::support::stage::{Host, Target};

/// An agent with one pair whose command repairs it.
async fn healing(api: &BotApi) -> (Agent, Host, Target) {
    let target = Target::start(false).await;
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(api);
    super::map(&mut agent, &host, &target);
    (agent, host, target)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_telegram_is_away_checks_go_on_and_afterwards_all_is_told_in_order() {
    let api = BotApi::start().await;
    let (mut agent, host, target) = healing(&api).await;
    api.plan([Trouble::Close, Trouble::Close, Trouble::TooMany { retry_after: 1 }]);
    agent.start();
    let why = agent.says(&["The notice about DC3-SRV4 did not reach telegram", "Next try in"]).await;
    assert!(why.contains("ERROR") && !why.contains("AAFmBb"), "{why}");
    target.probed(2).await;
    let (first, second) = (api.message(1).await.plain, api.message(2).await.plain);
    agent.says(&["The channel telegram works again"]).await;
    let late = target.longest_gap();
    agent.stop();
    assert!(first.contains("⚠️ Down") && second.contains("✅ Restored"), "{first}\n{second}");
    assert!(late < Duration::from_millis(1500), "checks waited for Telegram: {late:?}");
    assert_eq!(host.stamps().len(), 1);
    let log = agent.file("monitor.log");
    assert!(!log.contains("AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P"), "the token is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_text_is_sent_plainer_and_never_blocks_the_next_one() {
    let api = BotApi::start().await;
    let (mut agent, _host, _target) = healing(&api).await;
    api.plan([Trouble::Error(400, "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 3")]);
    agent.start();
    let (first, second) = (api.message(1).await, api.message(2).await);
    agent.stop();
    assert!(!first.is_html && first.plain.contains("⚠️ Down"), "{first:?}");
    assert!(second.is_html && second.plain.contains("✅ Restored"), "{second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_wrong_token_healing_goes_on_and_after_it_is_mended_all_is_told() {
    let api = BotApi::start().await;
    let (mut agent, host, target) = healing(&api).await;
    let token = "1234567890:BBFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";
    agent.set(&[("TELEGRAM_BOT_TOKEN", token)]);
    agent.start();
    let why = agent.says(&["The channel telegram does not work", "TELEGRAM_BOT_TOKEN", "@BotFather"]).await;
    assert!(why.contains("Notices are kept") && !why.contains(token), "{why}");
    agent.says(&["DC3-SRV4 is up again"]).await;
    assert_eq!((host.stamps().len(), api.messages().len()), (1, 0));
    target.probed(2).await;

    agent.set(&[("TELEGRAM_BOT_TOKEN", crate::support::bot_api::TOKEN)]);
    agent.signal(Signal::HUP);
    agent.says(&["restart the agent", ": TELEGRAM_BOT_TOKEN"]).await;
    agent.stop();
    agent.start();
    let (first, second) = (api.message(1).await.plain, api.message(2).await.plain);
    target.probed(2).await;
    agent.stop();
    assert!(first.contains("⚠️ Down") && second.contains("✅ Restored"), "{first}\n{second}");
    assert_eq!((host.stamps().len(), api.messages().len()), (1, 2), "told once each, nothing run again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_moved_is_followed_and_stays_known_after_a_restart() {
    let api = BotApi::start().await;
    let (mut agent, _host, target) = healing(&api).await;
    agent.set(&[("TELEGRAM_CHAT_ID", crate::support::bot_api::CHAT)]);
    api.plan([Trouble::Migrate { to: -1_009_876_543_210 }]);
    agent.start();
    let line = agent.says(&["TELEGRAM_CHAT_ID=-1009876543210"]).await;
    assert!(line.contains("WARNING"), "{line}");
    api.message(2).await;
    agent.stop();
    agent.start();
    target.set(false);
    api.message(4).await;
    agent.stop();
    assert!(api.messages().iter().all(|message| message.chat == "-1009876543210"));
}
