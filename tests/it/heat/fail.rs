//! What `--fail` names: run on each failure, with its variables, and never beside a check.

use std::time::Duration;

use tokio::time::Instant;

use super::stage::{Stage, blocks_of};

/// Notes every variable of HEAT that it sees, sorted, on one line.
const VARIABLES: &str = "env | grep ^HEAT_FAIL | sort | tr '\\n' ' ' >>vars\necho >>vars";

#[test]
fn it_is_run_on_each_failure_and_told_code_time_interval_and_pid_of_the_check() {
    let mut stage = Stage::new();
    stage.script("check.sh", "echo $$ >>pids\ndate +%s >>times\nsleep 1.1\n[ ! -e down ] || exit 7");
    stage.script("fail.sh", VARIABLES);
    stage.down();
    // What an outer HEAT has set is not for those inside.
    let mut command =
        stage.command(super::stage::MONITOR, &["heat", "-i", "1.5", "-s", "./check.sh", "--fail", "./fail.sh"]);
    command.env("HEAT_FAIL_CNT", "99").env("HEAT_FAIL_CODE", "99");
    stage.start_as(command);
    stage.until("two failures", || stage.file("vars").lines().count() >= 2);
    stage.up();
    stage.until_logged("INFO", "./check.sh succeeded after failures:");
    let failures = stage.file("vars").lines().count();
    stage.until("more checks", || blocks_of(&stage, "./check.sh").len() >= failures + 2);
    stage.stop();
    assert_eq!(stage.file("vars").lines().count(), failures, "it was run after a success");
    let (pids, times, vars) = (stage.file("pids"), stage.file("times"), stage.file("vars"));
    for ((vars, pid), begun) in vars.lines().zip(pids.lines()).zip(times.lines()) {
        let fields: Vec<&str> = vars.split_whitespace().collect();
        assert_eq!(fields.len(), 4, "{vars}");
        assert_eq!((fields[0], fields[1]), ("HEAT_FAIL_CODE=7", "HEAT_FAIL_INTERVAL=1.5"), "{vars}");
        assert_eq!(fields[2], format!("HEAT_FAIL_PID={pid}"));
        let at: i64 = fields[3].strip_prefix("HEAT_FAIL_TIME=").unwrap().parse().unwrap();
        // The failure is the end of the check, which took more than a second.
        let took = at - begun.parse::<i64>().unwrap();
        assert!((1..20).contains(&took), "{took} s after the check began");
    }
    assert!(blocks_of(&stage, "./fail.sh").len() >= failures, "its runs are in the log");
}

#[test]
fn while_it_runs_no_check_is_made_and_when_it_ends_one_is_at_once_however_many_came_due() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.script("fail.sh", "echo begin >>trace\nrm down\nsleep 2.6\necho end >>trace\ndate +%s.%N >ended");
    stage.down();
    let begun = Instant::now();
    stage.start(&["-i", "1", "-s", "./check.sh", "--fail", "./fail.sh"]);
    stage.until("the check after it", || stage.file("trace").lines().count() >= 4);
    let next = begun.elapsed();
    stage.until("the one after that", || stage.file("trace").lines().count() >= 5);
    // Two came due at 1 and 2 s, and were made up for by one; the third of the rate is due at 3 s.
    assert!(begun.elapsed() >= Duration::from_secs(3), "one for each that came due: {:?}", begun.elapsed());
    assert!(next >= Duration::from_millis(2600), "{next:?}");
    stage.stop();
    assert!(stage.file("trace").starts_with("check\nbegin\nend\ncheck\ncheck\n"), "{}", stage.all());
    let told = stage.all().matches("an interval came due while ./fail.sh runs").count();
    assert_eq!(told, 1, "once for all of them\n{}", stage.all());
}

#[test]
fn however_it_ends_the_checks_go_on_and_the_log_says_so() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.down();
    for (body, kind, part) in [
        ("exit 3", "ERR", "./fail.sh exited with code 3"),
        ("kill -9 $$", "ERR", "./fail.sh was killed by signal KILL"),
        ("sleep 1000", "ERR", "./fail.sh took longer than --timeout and was ended"),
    ] {
        stage.script("fail.sh", body);
        stage.start(&["-i", "0.2", "--timeout", "1", "-s", "./check.sh", "--fail", "./fail.sh"]);
        let before = stage.count("trace", "check");
        stage.until_logged(kind, part);
        stage.until("more checks", || stage.count("trace", "check") >= before + 3);
        stage.stop();
    }
    // Gone in the middle of it.
    stage.script("fail.sh", "rm fail.sh");
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--fail", "./fail.sh"]);
    stage.until_logged("ERR", "./fail.sh cannot be run: it is not there");
    stage.stop();
}

#[test]
fn what_it_prints_and_what_the_check_prints_never_mix() {
    let mut stage = Stage::new();
    stage.script("check.sh", "for n in 1 2 3; do echo check; echo check >&2; done; exit 1");
    stage.script("fail.sh", "for n in 1 2 3; do echo fail; echo fail >&2; done");
    stage.start(&["-i", "0.1", "-s", "./check.sh", "--fail", "./fail.sh"]);
    stage.until("some runs", || blocks_of(&stage, "./fail.sh").len() >= 5);
    stage.stop();
    for (command, word) in [("./check.sh", "check"), ("./fail.sh", "fail")] {
        let blocks = blocks_of(&stage, command);
        // The last one may have been stopped in its middle.
        for block in &blocks[..blocks.len() - 1] {
            assert_eq!(block.lines, vec![word; 6]);
        }
    }
}
