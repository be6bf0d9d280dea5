//! How it ends, and that nothing is left behind.

use rustix::process::{Pid, Signal, kill_process};

use super::stage::{MONITOR, Stage};

/// Goes by these words until the job of this name runs, with a child of its own and one that ignores SIGTERM.
fn caught_in(job: &str) -> Stage {
    let mut stage = Stage::new();
    for name in ["check", "fail", "recovery"] {
        let busy = "sleep 1000 &\n(trap '' TERM; sleep 1000) &\necho $$ >busy\nwait";
        let end = if name == "check" { "exit 1" } else { "exit 0" };
        let body = if name == job { busy } else { end };
        stage.script(&format!("{name}.sh"), body);
    }
    let words = ["heat", "-i", "1h", "-s", "./check.sh", "--fail", "./fail.sh", "--recovery", "./recovery.sh"];
    // Whoever runs the tests may have been started to ignore some signals, as a shell does in the background.
    let before = ["--default-signal=HUP,INT,QUIT", MONITOR];
    let command = stage.command("env", &[&before[..], &words].concat());
    stage.start_as(command);
    stage.until("the job", || stage.file("busy").ends_with('\n'));
    stage.until("its children", || stage.others().len() >= 3);
    stage
}

#[test]
fn asked_to_stop_it_ends_what_runs_with_all_of_its_children_and_exits_0() {
    for job in ["check", "fail", "recovery"] {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
            let mut stage = caught_in(job);
            stage.stop_by(signal);
            stage.until_logged("INFO", "stopped");
        }
    }
}

#[test]
fn a_signal_that_is_no_order_to_stop_ends_it_too_and_leaves_nothing_behind() {
    for signal in [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::PROF, Signal::POWER, Signal::ABORT] {
        let mut stage = caught_in("check");
        stage.signal(signal);
        stage.fails(128 + signal.as_raw(), &["heat: signal ", "it ends"]);
    }
}

#[test]
fn asked_to_stop_between_two_checks_it_is_gone_at_once() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.start(&["-i", "1h", "-s", "./check.sh"]);
    stage.until("the end of the check", || !stage.log().is_empty());
    stage.stop();
}

#[test]
fn nohup_keeps_it_alive() {
    let mut stage = Stage::new();
    stage.check(1);
    let command = stage.command("nohup", &[MONITOR, "heat", "-i", "0.2", "-s", "./check.sh"]);
    stage.start_as(command);
    stage.until_lines("trace", 2, "check");
    stage.signal(Signal::HUP);
    stage.until_lines("trace", 6, "check");
    stage.stop();
}

#[test]
fn what_a_check_leaves_behind_goes_with_it() {
    let mut stage = Stage::new();
    stage.script("check.sh", "sleep 1000 &\n(trap '' TERM HUP; sleep 1000) &\necho check >>trace");
    stage.start(&["-i", "0.3", "-s", "./check.sh"]);
    stage.until_lines("trace", 3, "check");
    stage.until("a moment without anything", || stage.others().is_empty());
    stage.stop();
}

#[test]
fn a_check_that_is_killed_is_an_error_and_the_end() {
    for signal in [Signal::KILL, Signal::TERM, Signal::SEGV] {
        let mut stage = caught_in("check");
        let check = Pid::from_raw(stage.file("busy").trim().parse().unwrap()).unwrap();
        kill_process(check, signal).unwrap();
        let name = match signal {
            Signal::KILL => "KILL",
            Signal::TERM => "TERM",
            _ => "SEGV",
        };
        let said = format!("the check ./check.sh was killed by signal {name}");
        stage.fails(1, &[&format!("heat: {said}; it ends")]);
        stage.until_logged("ERR", &said);
        let block = stage.log().into_iter().find(|block| block.command == "./check.sh").unwrap();
        assert_eq!(block.kind, "ERR");
    }
}

#[test]
fn a_recovery_that_is_killed_is_an_error_and_the_end() {
    let mut stage = caught_in("recovery");
    let recovery = Pid::from_raw(stage.file("busy").trim().parse().unwrap()).unwrap();
    kill_process(recovery, Signal::KILL).unwrap();
    stage.fails(1, &["heat: the recovery ./recovery.sh was killed by signal KILL; it ends"]);
}

#[test]
fn a_check_or_a_recovery_that_is_gone_is_an_error_and_the_end() {
    let mut stage = Stage::new();
    stage.script("check.sh", "rm check.sh");
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    stage.fails(1, &["heat: the check ./check.sh cannot be run: it is not there"]);
    stage.script("check.sh", "chmod -x recovery.sh\nexit 1");
    stage.script("recovery.sh", "echo recovery >>trace");
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--recovery", "./recovery.sh"]);
    stage.fails(1, &["heat: the recovery ./recovery.sh cannot be run: it is not executable"]);
    assert_eq!(stage.file("trace"), "");
}

#[test]
fn a_shell_that_reports_a_killed_child_is_only_a_failure() {
    let mut stage = Stage::new();
    stage.script("check.sh", "echo check >>trace\nsh -c 'kill -9 $$'\nexit $?");
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    stage.until_lines("trace", 3, "check");
    stage.until_logged("FAIL", "./check.sh failed with code 137");
    stage.stop();
}
