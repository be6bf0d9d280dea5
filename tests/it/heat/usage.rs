//! What is checked, how often, and what is refused before anything runs.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use tokio::time::Instant;

use super::stage::{MONITOR, Stage, blocks_of};

#[test]
fn a_command_is_run_at_every_interval_and_never_sooner() {
    let mut stage = Stage::new();
    let begun = Instant::now();
    stage.start(&["-i", "0.4", "sh", "-c", "echo check >>trace"]);
    for checks in 1..=4u32 {
        stage.until_lines("trace", checks as usize, "check");
        assert!(begun.elapsed() >= Duration::from_millis(400) * (checks - 1), "check {checks} came too soon");
    }
    stage.stop();
    assert_eq!(stage.log()[0].command, "sh -c 'echo check >>trace'");
}

#[test]
fn what_follows_the_command_is_the_commands_own() {
    let mut stage = Stage::new();
    let words =
        ["-i", "1h", "sh", "-c", "echo \"$@\" >args", "name", "-i", "--pid", "x", "-s", "--telegram", "--", "-V"];
    stage.start(&words);
    stage.until_lines("args", 1, "-i --pid x -s --telegram -- -V");
    stage.stop();
    // And after two dashes, too.
    stage.start(&["--interval", "1h", "--", "sh", "-c", "echo dashes >args"]);
    stage.until_lines("args", 1, "dashes");
    stage.stop();
}

#[test]
fn a_script_is_run_by_its_path_from_this_folder() {
    let mut stage = Stage::new();
    stage.check(1);
    std::fs::create_dir(stage.path("below")).unwrap();
    std::fs::rename(stage.path("check.sh"), stage.path("below/check.sh")).unwrap();
    symlink("below/check.sh", stage.path("check")).unwrap();
    // A command of this name would be found in PATH; the file in this folder is meant.
    stage.script("true", "echo ours >>trace");
    let whole = stage.path("below/check.sh").display().to_string();
    for (n, path) in ["./check", "below/check.sh", "./below/../check", &whole, "true"].iter().enumerate() {
        stage.start(&["-i", "1h", "-s", path]);
        stage.until("the check", || stage.file("trace").lines().count() == n + 1);
        stage.until("its block", || stage.log().len() > n);
        stage.stop();
        assert!(stage.log().iter().any(|block| block.command == **path), "{path}");
    }
    assert_eq!(stage.count("trace", "ours"), 1);
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_the_shell() {
    let mut stage = Stage::new();
    stage.write("check", "echo check >>trace\n");
    std::fs::set_permissions(stage.path("check"), std::fs::Permissions::from_mode(0o755)).unwrap();
    stage.start(&["-i", "1h", "-s", "check"]);
    stage.until_lines("trace", 1, "check");
    stage.stop();
}

#[test]
fn a_script_that_this_user_cannot_read_is_refused_at_the_start() {
    assert!(rustix::process::geteuid().is_root(), "this test becomes another user: run it as root");
    let mut stage = Stage::new();
    stage.check(1);
    std::fs::set_permissions(stage.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(stage.path("check.sh"), std::fs::Permissions::from_mode(0o711)).unwrap();
    for how in [&["-s", "./check.sh"][..], &["./check.sh"]] {
        let ids = ["--reuid=65534", "--regid=65534", "--clear-groups", MONITOR];
        let words = ["heat", "-i", "1", "--log", "/dev/null"];
        let command = stage.command("setpriv", &[&ids[..], &words, how].concat());
        stage.start_as(command);
        stage.fails(2, &["`./check.sh` is not readable by this user", "chmod +r"]);
    }
}

#[test]
fn an_option_behind_the_command_is_the_commands_own_and_said_to_be() {
    let mut stage = Stage::new();
    stage.start(&["-i", "1h", "sh", "-c", "echo check >>trace", "--recovery", "./recovery.sh", "--timeout=5"]);
    stage.until_lines("trace", 1, "check");
    stage.stop();
    let said = stage.file("stderr");
    assert!(said.contains("--recovery, --timeout") && said.contains("before the command"), "{said}");
    // Two dashes say that it is meant.
    stage.start(&["-i", "1h", "--", "sh", "-c", "echo check >>trace", "--recovery"]);
    stage.until_lines("trace", 2, "check");
    stage.stop();
    assert_eq!(stage.file("stderr"), "");
}

#[test]
fn exactly_one_thing_is_checked_and_every_slip_is_refused_before_anything_runs() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.write("plain", "echo plain >>trace\n");
    let check = ["-i", "1", "-s", "./check.sh"];
    let with = |more: &[&'static str]| [check.as_slice(), more].concat();
    for (words, part) in [
        (vec!["-i", "1"], "<--script <PATH>|COMMAND>"),
        (vec!["-i", "1", "-s", "./check.sh", "true"], "cannot be used with"),
        (vec!["-s", "./check.sh"], "--interval <TIME>"),
        (vec!["-i", "0", "true"], "expected at least 1ms"),
        (vec!["-i", "soon", "true"], "expected a duration such as 30"),
        (vec!["-i", "-1", "true"], "-1"),
        (vec!["-i", "1", "-i", "2", "true"], "cannot be used multiple times"),
        (vec!["-i", "1", "--treshold", "2", "true"], "--threshold"),
        (vec!["-i", "1", "no-such-command"], "is no command that PATH leads to"),
        (vec!["-i", "1", "curl -sf localhost | grep ok"], "need a shell: sh -c"),
        (vec!["-i", "1", "-s", "./nowhere"], "--script: `./nowhere` is not there"),
        (
            vec!["-i", "1", "-s", "./plain"],
            "--script: `./plain` is not executable by this user: make it so with chmod +x",
        ),
        (vec!["-i", "1", "-s", "."], "is a folder"),
        (with(&["--fail", "./nowhere"]), "--fail: `./nowhere` is not there"),
        (with(&["--fail", "./plain"]), "--fail: `./plain` is not executable"),
        (with(&["--recovery", "./plain"]), "--recovery: `./plain` is not executable"),
        (with(&["--recovery-timeout", "5"]), "--recovery <PATH>"),
        (with(&["--recovery", "./check.sh", "--recovery-timeout", "0"]), "at least 1ms"),
        (with(&["--threshold", "0"]), "expected a whole number from 1 to"),
        (with(&["--threshold", "-1"]), "-1"),
        (with(&["--signal", "USR1"]), "--pid <PID>"),
        (with(&["--pid", "1", "--signal", "USR3"]), "expected the name or the number of a signal"),
        (with(&["--fault-signal", "0"]), "expected the name or the number of a signal"),
        (with(&["--pid", "0"]), "expected the number of a process"),
        (with(&["--pid", "-1"]), "-1"),
        (with(&["--pid", "nginx"]), "expected the number of a process"),
        (with(&["--log", "none/heat.log"]), "the log none/heat.log cannot be written"),
        (with(&["--log", "."]), "the log . cannot be written"),
        (with(&["--telegram", "--env-file", "none.env"]), "cannot read none.env"),
        (with(&["--telegram"]), "TELEGRAM_BOT_TOKEN: is not set, and it is required"),
    ] {
        stage.refuses(&words, part);
    }
    assert!(!stage.path("heat.verbose.log").exists(), "a log was begun");
}

#[test]
fn called_heat_it_is_heat() {
    let mut stage = Stage::new();
    stage.check(1);
    symlink(MONITOR, stage.path("heat")).unwrap();
    let help = stage.command(stage.path("heat"), &["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Usage: heat [OPTIONS] --interval <TIME> <--script <PATH>|COMMAND>"), "{help}");
    let command = stage.command(stage.path("heat"), &["-i", "30", "-s", "./check.sh"]);
    stage.start_as(command);
    stage.until_lines("trace", 1, "check");
    stage.stop();
}

#[test]
fn a_check_that_takes_longer_than_the_interval_is_never_run_twice_at_once() {
    let mut stage = Stage::new();
    stage.script("check.sh", "echo begin >>trace\nsleep 0.7\necho end >>trace");
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    stage.until_lines("trace", 3, "end");
    stage.stop();
    let trace = stage.file("trace");
    for (n, line) in trace.lines().enumerate() {
        assert_eq!(line, if n % 2 == 0 { "begin" } else { "end" }, "{trace}");
    }
    stage.until_logged("INFO", "an interval came due while ./check.sh runs: the check is made once it has ended");
}

#[test]
fn a_check_that_hangs_is_ended_by_timeout_with_all_that_it_started_and_has_failed() {
    let mut stage = Stage::new();
    stage.script("check.sh", "trap '' TERM\nsleep 1000 &\necho $! >sleeper\nwait\nsleep 1000");
    stage.script("fail.sh", "echo \"code $HEAT_FAIL_CODE\" >>trace");
    stage.start(&["-i", "1h", "--timeout", "0.3", "--fail", "./fail.sh", "-s", "./check.sh"]);
    // It ignores SIGTERM: five seconds later comes what nobody can ignore.
    stage.until_lines("trace", 1, "code 124");
    stage.until("the end of all of it", || stage.others().is_empty());
    stage.stop();
    let blocks = blocks_of(&stage, "./check.sh");
    assert_eq!(blocks[0].kind, "FAIL");
    stage.until_logged("FAIL", "./check.sh took longer than --timeout and was ended");
}

#[test]
fn a_check_that_is_being_ended_when_its_interval_comes_due_has_failed_and_was_not_killed_by_somebody() {
    let mut stage = Stage::new();
    stage
        .script("check.sh", "echo check >>trace\ntrap 'sleep 0.4; trap - TERM; kill -TERM $$' TERM\nsleep 1000 & wait");
    stage.start(&["-i", "0.5", "--timeout", "0.4", "-s", "./check.sh"]);
    stage.until_lines("trace", 4, "check");
    stage.stop();
    stage.until_logged("FAIL", "failures in a row: 3");
}

#[test]
fn durations_are_read_as_everywhere() {
    let mut stage = Stage::new();
    stage.script("fail.sh", "echo \"$HEAT_FAIL_INTERVAL\" >>trace");
    for (text, told) in [("30", "30"), ("0.25", "0.25"), ("500ms", "0.5"), ("5m", "300"), ("1h 30m", "5400")] {
        stage.start(&["-i", text, "--fail", "./fail.sh", "false"]);
        stage.until_lines("trace", 1, told);
        stage.stop();
    }
}
