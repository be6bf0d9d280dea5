//! Programs of this machine that look, as real processes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::host::LocalHost;
use monitor::probe::wire::Kit;
use monitor::probe::{KINDS, Target};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::sshd::wait_until;
use crate::support::target::configured;

const LIMIT: Duration = Duration::from_secs(10);

fn kit() -> Kit {
    fetch::install_crypto_provider();
    Kit::new(&Roots::load(None).unwrap())
}

fn target(lines: &str) -> Arc<Target> {
    configured(lines).unwrap_or_else(|report| panic!("{report}"))
}

async fn look_for(lines: &str, limit: Duration) -> Reading {
    target(lines).probe(&kit(), limit).await
}

async fn look(command: &str) -> Reading {
    look_for(&format!("SRV4_URL=exec:{command}"), LIMIT).await
}

fn told(reading: &Reading) -> (bool, Cause, &str) {
    match &reading.outcome {
        Outcome::Up => panic!("it is up"),
        Outcome::Down(fault) => (false, fault.cause, &fault.reason),
        Outcome::Blind(fault) => (true, fault.cause, &fault.reason),
    }
}

/// A folder with one script in it.
struct Script {
    folder: TempDir,
    path: PathBuf,
}

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("check.sh");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder, path }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// True while there is a process with this text in its command line.
fn runs(text: &str) -> bool {
    let found = std::process::Command::new("pgrep").args(["-f", text]).output();
    !found.expect("this test needs pgrep: apt-get install procps").stdout.is_empty()
}

#[tokio::test]
async fn the_example_is_up_until_its_program_says_otherwise() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("broken");
    let script = Script::new(&format!(
        "#!/bin/sh\n[ \"$*\" = '-w 10% -c 5% -p /' ] || exit 9\n[ ! -e {0} ] || {{ echo 'DISK CRITICAL - free space: / 3%'; exit 2; }}\n",
        state.display()
    ));
    let kind = KINDS.iter().find(|kind| kind.name == "exec").unwrap();
    let lines = kind.example.replace("/usr/lib/nagios/plugins/check_disk", &script.path.display().to_string());
    assert_eq!(look_for(&lines, LIMIT).await.outcome, Outcome::Up);
    std::fs::write(state, "").unwrap();
    let reading = look_for(&lines, LIMIT).await;
    assert_eq!(told(&reading), (false, Cause::Exit, "exit code 2: DISK CRITICAL - free space: / 3%"));
}

#[tokio::test]
async fn arguments_arrive_as_they_were_quoted_and_no_shell_reads_them() {
    let script = Script::new("#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done; exit 3\n");
    let command = format!("{} 'a b' \"c'd\" e\\ f $HOME ; | > *", script.path.display());
    assert_eq!(told(&look(&command).await).2, "exit code 3: <a b><c'd><e f><$HOME><;><|><>><*>");
    let lines = |text: &str| format!("SRV4_URL=exec:{text}\nSRV4_SHELL=true");
    assert_eq!(look_for(&lines("echo one | grep -q one && test -n \"$PATH\""), LIMIT).await.outcome, Outcome::Up);
    assert_eq!(told(&look_for(&lines("echo $((40 + 2)); false"), LIMIT).await).2, "exit code 1: 42");
}

#[tokio::test]
async fn a_program_sees_the_servers_name_and_nothing_of_our_environment() {
    let script =
        Script::new("#!/bin/sh\necho \"$(env | cut -d= -f1 | sort | tr '\\n' ' ')$MONITOR_SERVER $(cat)\"; exit 1\n");
    let local = [("PATH", "/usr/bin:/bin"), ("USER", "me"), ("SECRET", "x")];
    let local = local.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let kit = kit().running(LocalHost { env: local, folder: None }, BTreeMap::new());
    let reading = target(&format!("SRV4_URL=exec:{}", script.path.display())).probe(&kit, LIMIT).await;
    assert_eq!(told(&reading).2, "exit code 1: MONITOR_SERVER PATH PWD USER SRV4");
}

#[tokio::test]
async fn what_could_not_look_is_blind() {
    let unstartable = Script::new("#!/bin/sh\n");
    std::fs::set_permissions(&unstartable.path, PermissionsExt::from_mode(0o644)).unwrap();
    let (path, missing) = (unstartable.path.display().to_string(), unstartable.file("missing"));
    let headless = Script::new("#!/no/such/interpreter\n");
    let crashing = Script::new("#!/bin/sh\nkill -SEGV $$\n");
    for (command, says) in [
        (missing.display().to_string(), "is not there"),
        (path.clone(), "may not be executed"),
        (headless.path.display().to_string(), "the interpreter that its first line names"),
        ("monitor-has-no-such-program".to_owned(), "is not there"),
        (crashing.path.display().to_string(), "ended by the signal SEGV"),
        (format!("sh -c {path}"), "may not be executed (exit code 126)"),
        ("sh -c monitor-has-no-such-program".to_owned(), "was not found (exit code 127)"),
    ] {
        let reading = look(&command).await;
        let (blind, cause, reason) = told(&reading);
        assert!(blind && cause == Cause::Denied && reason.contains(says), "{command}: {cause}: {reason}");
    }
}

#[tokio::test]
async fn a_program_over_its_time_goes_with_its_children_and_its_last_words_are_told() {
    let script = Script::new(
        "#!/bin/sh\nsleep 987101 &\necho still waiting for the lock\ntrap 'echo bye' TERM\nwait; sleep 987101\n",
    );
    let reading = look_for(&format!("SRV4_URL=exec:{}", script.path.display()), Duration::from_millis(1500)).await;
    let (blind, cause, reason) = told(&reading);
    assert!(!blind && cause == Cause::Timeout, "{cause}: {reason}");
    assert!(reason.starts_with("the command did not end within 1."), "{reason}");
    assert!(reason.ends_with(" s and was stopped; its last words: bye"), "{reason}");
    assert!(wait_until(LIMIT, || !runs("987101")), "a child lives on");
}

#[tokio::test]
async fn a_program_that_ignores_everything_is_gone_all_the_same() {
    let script = Script::new("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.987102; done\n");
    let reading = look_for(&format!("SRV4_URL=exec:{}", script.path.display()), Duration::from_secs(1)).await;
    assert_eq!(told(&reading).1, Cause::Timeout);
    let path = script.path.display().to_string();
    assert!(wait_until(LIMIT, || !runs(&path) && !runs("0.987102")), "it lives on");
}

#[tokio::test]
async fn a_look_that_is_dropped_half_way_leaves_nothing_behind() {
    let script = Script::new("#!/bin/sh\necho > \"$1\"\nsleep 987103\n");
    let (begun, kit) = (script.file("begun"), kit());
    let target = target(&format!("SRV4_URL=exec:{} {}", script.path.display(), begun.display()));
    tokio::select! {
        reading = target.probe(&kit, LIMIT) => panic!("{reading:?}"),
        () = async { while !begun.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
    }
    assert!(wait_until(LIMIT, || !runs("987103")), "it lives on");
}

#[tokio::test]
async fn a_check_starts_nothing_and_is_not_held_by_what_it_tried_to_start() {
    let script = Script::new("#!/bin/sh\nsleep 987104 &\necho fine\n");
    let begun = Instant::now();
    assert_eq!(look(&script.path.display().to_string()).await.outcome, Outcome::Up);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(wait_until(LIMIT, || !runs("987104")), "it lives on");
}

#[tokio::test]
async fn hostile_output_is_one_bounded_printable_line() {
    let script = Script::new(
        "#!/bin/sh\nhead -c 20000000 /dev/urandom; printf '\\n\\033[31m<b>\\0 s'; head -c 5000 /dev/zero | tr '\\0' x; exit 1\n",
    );
    let reading = look(&script.path.display().to_string()).await;
    let (_, cause, reason) = told(&reading);
    assert!(cause == Cause::Exit && reason.chars().count() <= 200, "{reason}");
    assert!(reason.chars().all(|c| !c.is_control()), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_run_at_once_and_who_never_had_a_turn_is_blind() {
    let script = Script::new("#!/bin/sh\necho x >> \"$1\"\nsleep 987105\n");
    let (count, kit) = (script.file("count"), kit());
    let slow = target(&format!("SRV4_URL=exec:{} {}", script.path.display(), count.display()));
    let mut looks = JoinSet::new();
    for _ in 0..16 {
        let (slow, kit) = (slow.clone(), kit.clone());
        looks.spawn(async move { slow.probe(&kit, Duration::from_secs(4)).await });
    }
    let begun = |path: &Path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
    assert!(wait_until(LIMIT, || begun(&count) == 16));
    let reading = target("SRV4_URL=exec:true").probe(&kit, Duration::from_millis(300)).await;
    let (blind, cause, reason) = told(&reading);
    assert!(blind && cause == Cause::Exhausted && reason.contains("had no turn in time"), "{cause}: {reason}");
    // One that has its turn late, and then not enough of its time, is blind too; one that is quick is not.
    let (late, quick) = tokio::join!(slow.probe(&kit, Duration::from_secs(5)), async {
        target("SRV4_URL=exec:true").probe(&kit, Duration::from_secs(6)).await
    });
    assert_eq!(told(&late).1, Cause::Exhausted, "{late:?}");
    assert_eq!(quick.outcome, Outcome::Up);
    while let Some(reading) = looks.join_next().await {
        assert_eq!(told(&reading.unwrap()).1, Cause::Timeout);
    }
    assert!(wait_until(LIMIT, || !runs("987105")), "one lives on");
}
