//! `--recovery`, `--threshold` and `--recovery-timeout`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::stage::{Stage, blocks_of};

/// Notes its run in `trace` and its variables in `recovered`.
const RECOVERY: &str =
    "env | grep ^HEAT_FAIL | sort | tr '\\n' ' ' >>recovered\necho >>recovered\necho recovery >>trace";

/// What the n-th run of the recovery was told.
fn told(stage: &Stage, n: usize) -> BTreeMap<String, i64> {
    let line = stage.file("recovered").lines().nth(n).unwrap_or_default().to_owned();
    let pairs = line.split_whitespace().map(|field| field.split_once('=').unwrap());
    let whole = |value: &str| value.split('.').next().unwrap().parse().unwrap();
    pairs.map(|(name, value)| (name.to_owned(), whole(value))).collect()
}

fn stage() -> Stage {
    let stage = Stage::new();
    stage.script("check.sh", "echo $$ >>pids\necho check >>trace\n[ ! -e down ] || exit 7");
    stage.script("fail.sh", "echo fail >>trace");
    stage.script("recovery.sh", RECOVERY);
    stage.down();
    stage
}

#[test]
fn it_is_run_when_as_many_checks_failed_in_a_row_as_the_threshold_says_and_is_told_of_all_of_them() {
    let mut stage = stage();
    stage.start(&["-i", "1", "-s", "./check.sh", "--recovery", "./recovery.sh", "--threshold", "3"]);
    stage.until_lines("trace", 1, "recovery");
    assert!(stage.file("trace").starts_with("check\ncheck\ncheck\nrecovery\n"), "{}", stage.all());
    stage.until_lines("trace", 2, "recovery");
    stage.stop();
    let (first, second) = (told(&stage, 0), told(&stage, 1));
    let names = ["CNT", "CODE", "INTERVAL", "PID", "TIME", "TIME_LAST"].map(|name| format!("HEAT_FAIL_{name}"));
    assert_eq!(first.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let at = |told: &BTreeMap<String, i64>, name: &str| told[&format!("HEAT_FAIL_{name}")];
    assert_eq!((at(&first, "CNT"), at(&first, "CODE"), at(&first, "INTERVAL")), (3, 7, 1));
    assert!((2..20).contains(&(at(&first, "TIME_LAST") - at(&first, "TIME"))), "{first:?}");
    let pids: Vec<i64> = stage.file("pids").lines().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(at(&first, "PID"), pids[2], "the check that failed last");
    // Without a time it has as many checks as the threshold; counts go on, and the first failure stays the first.
    assert_eq!((at(&second, "CNT"), at(&second, "PID")), (6, pids[5]));
    assert_eq!(at(&second, "TIME"), at(&first, "TIME"));
    assert!(at(&second, "TIME_LAST") > at(&first, "TIME_LAST"));
    assert_eq!(stage.count("trace", "recovery"), 2);
}

#[test]
fn without_a_threshold_the_first_failure_is_enough() {
    let mut stage = stage();
    stage.start(&["-i", "1h", "-s", "./check.sh", "--recovery", "./recovery.sh"]);
    stage.until_lines("trace", 1, "recovery");
    assert_eq!(stage.file("trace"), "check\nrecovery\n");
    stage.stop();
}

#[test]
fn failures_that_are_not_in_a_row_do_not_add_up() {
    let mut stage = stage();
    stage.script("check.sh", "echo check >>trace\nn=$(grep -c check trace)\n[ $((n % 3)) -eq 0 ]");
    stage.start(&["-i", "0.1", "-s", "./check.sh", "--recovery", "./recovery.sh", "--threshold", "3"]);
    stage.until_lines("trace", 12, "check");
    stage.stop();
    assert_eq!(stage.count("trace", "recovery"), 0);
}

#[test]
fn during_recovery_the_fail_script_rests_and_after_a_success_all_begins_anew() {
    let mut stage = stage();
    let words = ["-i", "0.3", "-s", "./check.sh", "--fail", "./fail.sh", "--recovery", "./recovery.sh"];
    stage.start(&[&words[..], &["--threshold", "2", "--recovery-timeout", "1h"]].concat());
    stage.until_lines("trace", 1, "recovery");
    stage.until_lines("trace", 6, "check");
    // The failure that reaches the threshold is the last that the script is run for, and it has ended by then.
    assert!(
        stage.file("trace").starts_with("check\nfail\ncheck\nfail\nrecovery\ncheck\ncheck\ncheck\n"),
        "{}",
        stage.all()
    );
    assert_eq!((stage.count("trace", "fail"), stage.count("trace", "recovery")), (2, 1));
    stage.up();
    stage.until_logged("INFO", "./check.sh succeeded after failures:");
    stage.write("trace", "");
    stage.down();
    stage.until_lines("trace", 1, "recovery");
    stage.stop();
    let trace = stage.file("trace");
    let from = trace.find("check\nfail").unwrap_or_else(|| panic!("{}", stage.all()));
    assert!(trace[from..].starts_with("check\nfail\ncheck\nfail\nrecovery\n"), "{}", stage.all());
    assert_eq!(told(&stage, 1)["HEAT_FAIL_CNT"], 2, "counts begin anew");
}

#[test]
fn a_recovery_that_does_not_help_in_its_time_is_run_again_and_not_sooner() {
    let mut stage = stage();
    stage.script("recovery.sh", &format!("{RECOVERY}\nsleep 1"));
    let begun = Instant::now();
    let words = ["-i", "0.5", "-s", "./check.sh", "--recovery", "./recovery.sh", "--recovery-timeout", "2"];
    stage.start(&words);
    for runs in 1..=3u32 {
        stage.until_lines("trace", runs as usize, "recovery");
        // Each takes a second, and then has two.
        let least = Duration::from_secs(3) * (runs - 1);
        assert!(begun.elapsed() >= least, "run {runs} after {:?}", begun.elapsed());
    }
    stage.stop();
    // Three checks at the interval and the one that ends the time, less what a busy machine skipped.
    let counts = [0, 1, 2].map(|n| told(&stage, n)["HEAT_FAIL_CNT"]);
    assert!(counts[0] == 1 && (2..=6).contains(&(counts[1] - counts[0])) && counts[2] > counts[1], "{counts:?}");
    let trace = stage.file("trace");
    assert!(!trace.contains("recovery\nrecovery"), "never without a look\n{trace}");
}

#[test]
fn a_recovery_that_helps_is_not_run_again() {
    let mut stage = stage();
    stage.script("recovery.sh", &format!("{RECOVERY}\nrm down"));
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--recovery", "./recovery.sh", "--recovery-timeout", "1"]);
    stage.until_logged("INFO", "./check.sh succeeded after failures: 1");
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 8, "check");
    stage.stop();
    assert_eq!(stage.count("trace", "recovery"), 1);
}

#[test]
fn a_check_waits_for_the_end_of_a_recovery_and_then_a_whole_interval() {
    let mut stage = stage();
    stage.script("recovery.sh", "echo begin >>trace\nsleep 1.5\necho end >>trace");
    let begun = Instant::now();
    stage.start(&["-i", "0.8", "-s", "./check.sh", "--recovery", "./recovery.sh", "--threshold", "1"]);
    stage.until_lines("trace", 2, "check");
    assert!(begun.elapsed() >= Duration::from_millis(2300), "{:?}", begun.elapsed());
    stage.stop();
    assert!(stage.file("trace").starts_with("check\nbegin\nend\ncheck\n"), "{}", stage.all());
}

#[test]
fn a_recovery_that_fails_is_in_the_log_and_checks_decide() {
    let mut stage = stage();
    stage.script("recovery.sh", "echo trouble >&2\nexit 5");
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--recovery", "./recovery.sh", "--threshold", "2"]);
    stage.until_logged("FAIL", "./recovery.sh exited with code 5");
    stage.up();
    stage.until_logged("INFO", "./check.sh succeeded after failures:");
    stage.stop();
    let block = blocks_of(&stage, "./recovery.sh").remove(0);
    assert_eq!((block.kind.as_str(), block.lines), ("FAIL", vec!["trouble".to_owned()]));
}

#[test]
fn what_a_recovery_starts_lives_on() {
    let mut stage = stage();
    stage.script("recovery.sh", "sleep 1000 >/dev/null 2>&1 &\necho $! >service");
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--recovery", "./recovery.sh", "--recovery-timeout", "1h"]);
    stage.until("the service", || !stage.file("service").is_empty());
    stage.up();
    stage.until_logged("INFO", "./check.sh succeeded after failures:");
    stage.signal(rustix::process::Signal::TERM);
    assert_eq!(stage.ended().code(), Some(0));
    let service: i32 = stage.file("service").trim().parse().unwrap();
    let left: Vec<i32> = stage.others().into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(left, [service]);
}
