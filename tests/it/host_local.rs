//! Commands on this machine, against real processes.

use std::time::Duration;

use monitor::domain::remedy::RunStatus;
use monitor::host::{Exit, Finished, Host, HostError, LocalHost, Order};
use tokio::time::Instant;

use crate::support::sshd::wait_until;

fn order(shell: &str, limit: Duration) -> Order {
    Order { shell: shell.to_owned(), env: vec![("MONITOR_PAIR".to_owned(), "DC3-SRV4".to_owned())], limit }
}

async fn run(shell: &str) -> Result<Finished, HostError> {
    Host::Local(LocalHost::default()).run(&order(shell, Duration::from_secs(20)), async { true }).await
}

#[tokio::test]
async fn output_exit_code_and_signal_arrive() {
    let done = run("echo out; echo err >&2; exit 7").await.unwrap();
    assert_eq!((done.captured.text.as_str(), &done.exit), ("out\nerr\n", &Exit::Code(7)));
    assert_eq!(done.status(), RunStatus::Failed);
    let done = run("kill -SEGV $$").await.unwrap();
    assert_eq!(done.exit, Exit::Signal("SEGV".to_owned()));
    let done = run("true").await.unwrap();
    assert_eq!(done.status(), RunStatus::Executed);
}

#[tokio::test]
async fn a_command_sees_its_own_variables_and_none_of_ours() {
    let done = run("env; echo \"in=$(cat)\"").await.unwrap();
    let names: Vec<&str> = done.captured.text.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(names.contains(&"MONITOR_PAIR"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    assert!(done.captured.text.ends_with("in=\n"), "its input is empty");
}

#[tokio::test]
async fn a_command_over_its_limit_dies_with_its_children() {
    let begun = Instant::now();
    let host = Host::Local(LocalHost::default());
    let ended = host.run(&order("sleep 987001 & echo $! $$; wait", Duration::from_millis(500)), async { true }).await;
    let Err(e @ HostError::TimedOut { .. }) = ended else { panic!("{ended:?}") };
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(e.started() && e.status() == RunStatus::Timeout);
    let text = e.captured().unwrap().text.clone();
    for pid in text.split_whitespace() {
        assert!(wait_until(Duration::from_secs(5), || !alive(pid)), "{pid} lives on");
    }
    assert_eq!(text.split_whitespace().count(), 2);
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed_five_seconds_later() {
    let begun = Instant::now();
    let host = Host::Local(LocalHost::default());
    let ended = host
        .run(&order("trap '' TERM; echo $$; while :; do sleep 1; done", Duration::from_millis(300)), async { true })
        .await;
    let Err(HostError::TimedOut { captured, .. }) = ended else { panic!("{ended:?}") };
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");
    assert!(wait_until(Duration::from_secs(5), || !alive(captured.text.trim())));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_does_not_hold_us_and_lives() {
    let begun = Instant::now();
    let done = run("sleep 30 & echo $!").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(done.left_open);
    assert_eq!(done.exit, Exit::Code(0));
    let pid = done.captured.text.trim().to_owned();
    assert!(alive(&pid), "what the remedy started is what it was for");
    let _ = std::process::Command::new("kill").arg(&pid).status();
}

#[tokio::test]
async fn a_flood_on_both_streams_is_counted_and_cut() {
    let done = run("head -c 30000000 /dev/zero & head -c 20000000 /dev/zero >&2; wait").await.unwrap();
    assert_eq!(done.captured.bytes, 50_000_000);
    assert!(done.captured.text.len() < 100 * 1024);
}

#[tokio::test]
async fn a_run_that_is_given_up_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let host = Host::Local(LocalHost::default());
    let order = order(&format!("sleep 987002 & echo $! $$ > {}; wait", file.display()), Duration::from_mins(1));
    let written = || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'));
    tokio::select! {
        ended = host.run(&order, async { true }) => panic!("{ended:?}"),
        () = async { while !written() { tokio::time::sleep(Duration::from_millis(10)).await } } => {}
    }
    for pid in std::fs::read_to_string(&file).unwrap().split_whitespace() {
        assert!(wait_until(Duration::from_secs(5), || !alive(pid)), "{pid} lives on");
    }
}

/// True unless the process is gone or only waits to be buried.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}
