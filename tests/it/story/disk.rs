//! The disk is locked, full, or cleaned up under us: checks go on, people are told, and no command runs unrecorded.

use std::process::Command;
use std::time::Duration;

use sqlx::{AnyConnection, Connection, Executor};

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::stage::{Host, Target};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_locked_no_command_runs_and_people_are_told() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("BACKOFF_FACTOR", "1")]);
    agent.start();
    target.probed(1).await;

    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", agent.path("monitor.db").display());
    let mut other = AnyConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    target.set(false);
    agent.says(&["records wait in memory"]).await;
    agent.says(&["The command for DC3-SRV4 was not run", "could not be written to disk"]).await;
    let told = api.message(1).await.plain;
    assert!(told.contains("⚠️ Down") && told.contains("could not be written to disk"), "{told}");
    assert!(host.stamps().is_empty(), "no command without its intent");
    assert!(agent.lives());

    other.execute("ROLLBACK").await.unwrap();
    agent.says(&["the database works again"]).await;
    let restored = loop {
        let n = api.messages().len() + 1;
        let message = api.message(n).await.plain;
        if message.contains("✅") {
            break message;
        }
    };
    agent.stop();
    assert!(restored.contains("✅ Restored"), "{restored}");
    assert_eq!(host.stamps().len(), 1, "the next check may run it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_full_disk_the_agent_lives_on_and_says_so() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    std::fs::create_dir(agent.path("small")).unwrap();
    agent.set(&[("STATE_DIR", "small"), ("LOG_FILE", "small/monitor.log"), ("BACKOFF_FACTOR", "1")]);
    let small = Mounted::tmpfs(&agent.path("small").display().to_string());
    agent.start();
    target.probed(1).await;
    let filled = std::fs::write(agent.path("small/filler"), vec![0; 4 * 1024 * 1024]);
    assert!(filled.is_err(), "the disk is meant to be full");
    target.set(false);
    agent.says(&["records wait in memory"]).await;
    let told = api.message(1).await.plain;
    assert!(told.contains("⚠️ Down") && told.contains("could not be written to disk"), "{told}");
    assert!(host.stamps().is_empty(), "no command without its intent");
    assert!(agent.lives());

    std::fs::remove_file(agent.path("small/filler")).unwrap();
    agent.says(&["the database works again"]).await;
    agent.record("DC3-SRV4", 1).await;
    agent.says(&["Running the command on DC3"]).await;
    agent.stop();
    drop(small);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_folder_that_is_removed_stops_nothing() {
    let (api, target) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start(&format!("call {} /repair", target.port()));
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    std::fs::create_dir(agent.path("logs")).unwrap();
    agent.set(&[("LOG_FILE", "logs/monitor.log"), ("LOG_MAX_SIZE", "0.001")]);
    agent.start();
    target.probed(1).await;
    std::fs::remove_dir_all(agent.path("logs")).unwrap();
    target.set(false);
    let (first, second) = (api.message(1).await.plain, api.message(2).await.plain);
    assert!(first.contains("⚠️ Down") && second.contains("✅ Restored"), "{first}\n{second}");
    target.probed(2).await;
    assert!(agent.lives());
    assert!(target.longest_gap() < Duration::from_secs(2), "{:?}", target.longest_gap());
    agent.stop();
    assert!(agent.file("logs/monitor.log").contains("Stopped"), "the folder is made again and the log goes on");
}

/// A file system of one megabyte; unmounted when dropped.
struct Mounted(String);

impl Mounted {
    fn tmpfs(place: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a small tmpfs: run it as root");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", place]).status();
        assert!(done.expect("this test needs mount: apt-get install mount").success());
        Self(place.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", &self.0]).status();
    }
}
