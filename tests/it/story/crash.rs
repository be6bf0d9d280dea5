//! `kill -9` between any two outside steps of one story, then a start in the same folder: nothing is run blindly again,
//! nothing is lost, and the count goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use monitor::store::Store;
use monitor::store::audit::{Verification, verify};
use sqlx::{AnyConnection, Connection, Executor};

use crate::support::agent::{Agent, LIMIT};
use crate::support::bot_api::BotApi;
use crate::support::stage::{Host, Relay, Stage, Target, site};

/// What else goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twist {
    None,
    /// The command ends, its end cannot be written because the database is locked, and then the agent is killed.
    Locked,
    /// The connection is opened ahead of the verdict: wait until the command is ordered and stands behind it.
    Ordered,
    /// The next start is killed too, at its first look.
    Twice,
}

/// Where the agent is killed: the n-th step of this kind.
///
/// A check has two attempts, the first run changes nothing, the second one repairs; so undisturbed the probes are
/// 1, 2 (check), 3, 4 (verify), 5, 6 (check), 7 (verify: up), and the messages first failure, repeat, recovery.
const POINTS: &[(&str, usize, Twist)] = &[
    ("probe", 1, Twist::None),
    ("probe", 2, Twist::None),
    ("ssh", 1, Twist::None),
    ("begin", 1, Twist::None),
    ("end", 1, Twist::None),
    ("probe", 3, Twist::None),
    ("asked", 1, Twist::None),
    ("answered", 1, Twist::None),
    ("probe", 5, Twist::None),
    ("begin", 2, Twist::None),
    ("end", 2, Twist::None),
    ("probe", 7, Twist::None),
    ("asked", 2, Twist::None),
    ("answered", 2, Twist::None),
    ("asked", 3, Twist::None),
    ("answered", 3, Twist::None),
    ("ssh", 1, Twist::Ordered),
    ("end", 1, Twist::Locked),
    ("end", 2, Twist::Locked),
    ("ssh", 1, Twist::Twice),
    ("begin", 1, Twist::Twice),
    ("asked", 1, Twist::Twice),
    ("end", 2, Twist::Twice),
    ("asked", 3, Twist::Twice),
];

/// Stories at once; each waits most of its time.
const AT_ONCE: usize = 6;

#[test]
fn kill_minus_nine_between_any_two_steps_repeats_no_command_and_loses_no_word() {
    let next = AtomicUsize::new(0);
    let tell = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        while let Some((step, nth, twist)) = POINTS.get(next.fetch_add(1, Ordering::SeqCst)) {
            runtime.block_on(story(step, *nth, *twist));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(tell);
        }
    });
}

async fn story(step: &'static str, nth: usize, twist: Twist) {
    let at = format!("killed at {step} {nth} ({twist:?})");
    let stage = Arc::new(Stage::default());
    let (api, target) = (BotApi::start().await, Target::on(stage.clone(), false).await);
    let port = target.port();
    let host = Host::start(&format!("call {port} /begin; [ $n -lt 2 ] || call {port} /repair; call {port} /end"));
    let ssh = Relay::to_host(stage.clone(), host.sshd.port).await;
    let telegram = Relay::to_telegram(stage.clone(), &api.url()).await;
    let mut agent = Agent::with(&format!("http://127.0.0.1:{}", telegram.port));
    let settings = site("DC3", ssh.port, &host.sshd.key().display().to_string());
    agent.set(&crate::support::stage::borrowed(&settings));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url())]);
    agent.set(&[("INTERVAL", "2.5"), ("BACKOFF_FACTOR", "1"), ("CHECK_ATTEMPTS", "2"), ("VERIFY_WINDOW", "0.25")]);
    // A command that may still run is waited for after a restart.
    agent.set(&[("COMMAND_TIMEOUT", "4")]);

    stage.hold(step, nth);
    agent.start();
    stage.held().await;
    let mut database = open(&agent).await;
    if twist == Twist::Ordered {
        agent.says(&["Running the command on DC3"]).await;
    }
    if !matches!(step, "asked" | "answered") {
        // Only where a message is under way may it be told twice.
        all_told(&mut database).await;
    }
    if twist == Twist::Locked {
        database.execute("BEGIN IMMEDIATE").await.unwrap();
        stage.release(true);
        agent.says_times(nth, &["COMMAND_EXECUTED"]).await;
        // By now a notice that does not wait for the disk would be in the chat.
        agent.says(&["records wait in memory"]).await;
    }
    agent.kill();
    database.close().await.unwrap();
    // What the host runs goes on without us, what was on its way to us or from us is lost.
    stage.release(matches!(step, "begin" | "end"));
    if twist == Twist::Twice {
        stage.hold_next("probe");
        agent.start();
        stage.held().await;
        // What it found in its outbox may be under way by now.
        all_told(&mut open(&agent).await).await;
        agent.kill();
        stage.release(false);
    }
    agent.start();
    loop {
        let messages = api.messages();
        if messages.iter().any(|message| message.plain.contains("✅")) && agent.lives() {
            // A recovery that was told before the kill may be told again, and nothing else may follow.
            if !agent.file("monitor.log").contains("is up again") && !agent.file("monitor.log").contains("came back") {
                agent.says(&["is up again"]).await;
            }
            break;
        }
        api.message(messages.len() + 1).await;
    }
    target.probed(1).await;
    agent.stop();

    let messages = api.messages();
    let said: Vec<&str> = messages.iter().map(|message| message.plain.as_str()).collect();
    let first: Vec<&str> =
        said.iter().copied().filter(|text| text.lines().next().unwrap().ends_with("⚠️ Down")).collect();
    let twice = (step, nth) == ("answered", 1);
    assert!(first.len() == 1 || twice && first.len() == 2, "{at}: {} first notices in {said:#?}", first.len());
    assert!(first.windows(2).all(|two| two[0].lines().next() == two[1].lines().next()), "{at}: {first:#?}");
    let ups = said.iter().filter(|text| text.contains("✅")).count();
    let recovery_twice = (step, nth) == ("answered", 3);
    assert!(ups == 1 || recovery_twice && ups == 2, "{at}: {ups} recoveries in {said:#?}");
    assert!(said.last().unwrap().contains("✅"), "{at}: {said:#?}");

    let stamps = host.stamps();
    let checks: HashSet<&str> = stamps.iter().map(|stamp| stamp.rsplit_once(" restart").unwrap().0).collect();
    assert_eq!(checks.len(), stamps.len(), "{at}: a command ran twice for one check: {stamps:#?}");
    assert!(!stamps.is_empty() && stamps.len() <= 2, "{at}: {stamps:#?}");
    let incidents: HashSet<&str> = stamps.iter().map(|stamp| stamp.split(' ').nth(2).unwrap()).collect();
    assert_eq!(incidents.len(), 1, "{at}: the incident goes on after the start: {stamps:#?}");
    let pause = host.shortest_pause();
    assert!(pause > Duration::from_secs(2), "{at}: after {pause:?} it ran again, the delay is 2.5 seconds");
    if twist == Twist::Ordered || matches!((step, nth), ("begin" | "end", 1)) {
        let told = first[0].contains("The agent was stopped while the command ran");
        assert!(told, "{at}: nobody learns that it is not known what the command did: {first:#?}");
    }

    let audit = verify(&agent.path("audit.jsonl"), None).unwrap();
    assert!(matches!(audit, Verification::Verified(_)), "{at}: {audit:?}");
    let store = Store::open(&format!("sqlite://{}", agent.path("monitor.db").display())).await.unwrap();
    let saved = store.load().await.unwrap();
    assert!(saved.unreadable.is_empty() && saved.unfinished.is_empty(), "{at}: {saved:?}");
    assert!(saved.outbox.is_empty(), "{at}: everything was told: {:?}", saved.outbox);
    store.close().await;
}

/// A second connection to the running agent's database.
async fn open(agent: &Agent) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&format!("sqlite://{}", agent.path("monitor.db").display())).await.unwrap()
}

/// Waits until no notice waits in the outbox.
async fn all_told(database: &mut AnyConnection) {
    let waiting = "SELECT count(*) FROM outbox WHERE stage = 'waiting'";
    let end = tokio::time::Instant::now() + LIMIT;
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *database).await.unwrap() > 0 {
        assert!(tokio::time::Instant::now() < end, "the outbox does not empty");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
