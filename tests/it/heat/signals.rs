//! `--pid`, `--signal`, `--fault-signal` and `--success-signal`.

use std::time::Duration;

use rustix::process::Signal;

use super::stage::{Receiver, Stage};

fn stage() -> Stage {
    let stage = Stage::new();
    stage.check(1);
    stage.down();
    stage
}

#[test]
fn on_each_failure_the_process_gets_the_signal_by_any_of_its_names_and_hup_when_none_is_named() {
    let mut stage = stage();
    let receiver = Receiver::start(&stage);
    let pid = receiver.pid();
    for (name, got) in [
        (None, "HUP"),
        (Some("USR1"), "USR1"),
        (Some("SIGUSR2"), "USR2"),
        (Some("usr1"), "USR1"),
        (Some("sigalrm"), "ALRM"),
        (Some("Winch"), "WINCH"),
        (Some("1"), "HUP"),
        (Some("10"), "USR1"),
        (Some("15"), "TERM"),
    ] {
        stage.write("got", "");
        let mut words = vec!["-i", "0.3", "-s", "./check.sh", "--pid", &pid];
        words.extend(name.iter().flat_map(|name| ["--signal", name]));
        stage.start(&words);
        stage.until_lines("got", 2, got);
        stage.stop();
        assert!(stage.file("got").lines().all(|line| line == got), "{name:?}: {}", stage.file("got"));
    }
}

#[test]
fn a_success_sends_nothing() {
    let mut stage = stage();
    stage.up();
    let receiver = Receiver::start(&stage);
    stage.start(&["-i", "0.1", "-s", "./check.sh", "--pid", &receiver.pid(), "--fault-signal", "USR1"]);
    stage.until_lines("trace", 5, "check");
    stage.stop();
    assert_eq!(stage.file("got"), "");
}

#[test]
fn at_the_threshold_a_process_is_stopped_and_on_the_first_success_it_goes_on() {
    let mut stage = stage();
    let receiver = Receiver::start(&stage);
    let pid = receiver.pid();
    let words = ["-i", "0.2", "-s", "./check.sh", "--pid", &pid, "--threshold", "3"];
    stage.start(&[&words[..], &["--fault-signal", "STOP", "--success-signal", "CONT"]].concat());
    stage.until("the stop", || receiver.state() == "T");
    assert!(stage.count("trace", "check") >= 3, "{}", stage.all());
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    assert_eq!(receiver.state(), "T");
    assert_eq!(stage.all().matches("sending STOP").count(), 1, "once for one fault\n{}", stage.all());
    stage.up();
    stage.until("that it goes on", || ["S", "R"].contains(&receiver.state().as_str()));
    stage.until_lines("got", 1, "CONT");
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    // A second fault is a fault again.
    stage.down();
    stage.until("the second stop", || receiver.state() == "T");
    stage.up();
    stage.until_lines("got", 2, "CONT");
    stage.stop();
    assert_eq!(stage.file("got"), "CONT\nCONT\n", "nothing else was sent, least of all HUP");
}

#[test]
fn a_signal_for_each_failure_and_one_for_the_fault_may_be_had_together() {
    let mut stage = stage();
    let receiver = Receiver::start(&stage);
    let pid = receiver.pid();
    let words = ["-i", "0.5", "-s", "./check.sh", "--pid", &pid, "--threshold", "2", "--signal", "USR1"];
    stage.start(&[&words[..], &["--fault-signal", "USR2"]].concat());
    stage.until_lines("got", 3, "USR1");
    stage.stop();
    let got = stage.file("got");
    let mut lines: Vec<&str> = got.lines().collect();
    // Two signals at once may be taken in either order.
    lines[1..3].sort_unstable();
    assert_eq!(lines[..4], ["USR1", "USR1", "USR2", "USR1"], "{got}");
}

#[test]
fn during_recovery_the_signal_for_each_failure_rests_like_the_script() {
    let mut stage = stage();
    stage.script("recovery.sh", "echo recovery >>trace");
    let receiver = Receiver::start(&stage);
    let pid = receiver.pid();
    let words = ["-i", "0.2", "-s", "./check.sh", "--pid", &pid, "--recovery", "./recovery.sh"];
    stage.start(&[&words[..], &["--recovery-timeout", "1h"]].concat());
    stage.until_lines("trace", 6, "check");
    stage.stop();
    assert_eq!((stage.file("got").as_str(), stage.count("trace", "recovery")), ("HUP\n", 1));
}

#[test]
fn without_a_pid_heat_itself_receives_them() {
    let mut stage = stage();
    // A signal that it takes as an order to stop.
    stage.script("recovery.sh", "echo recovery >>trace");
    let words = ["-i", "0.2", "-s", "./check.sh", "--threshold", "2", "--fault-signal"];
    stage.start(&[&words[..], &["TERM", "--recovery", "./recovery.sh"]].concat());
    assert_eq!(stage.ended().code(), Some(0));
    assert_eq!(stage.count("trace", "check"), 2);
    assert!(!stage.all().contains("recovery"));
    // One that it does not know.
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--threshold", "2", "--fault-signal", "USR1"]);
    assert_eq!(stage.ended().code(), Some(128 + Signal::USR1.as_raw()), "as a shell tells of one that died of it");
    assert_eq!(stage.count("trace", "check"), 4);
    // And one for success only.
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--success-signal", "SIGUSR2"]);
    stage.until_lines("trace", 6, "check");
    stage.up();
    assert_eq!(stage.ended().code(), Some(128 + Signal::USR2.as_raw()));
    stage.leaves_nothing();
}

#[test]
fn a_process_that_is_not_there_is_an_error_at_the_start() {
    let mut stage = stage();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    for pid in [ended.id().to_string(), "2147483647".to_owned()] {
        stage.start(&["-i", "1", "-s", "./check.sh", "--pid", &pid]);
        stage.fails(1, &[&format!("--pid: there is no process {pid}")]);
        assert_eq!(stage.file("trace"), "", "nothing was checked");
    }
    // One that has ended and is only not yet waited for.
    let mut zombie = std::process::Command::new("true").spawn().unwrap();
    let stat = format!("/proc/{}/stat", zombie.id());
    stage.until("its end", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    stage.start(&["-i", "1", "-s", "./check.sh", "--pid", &zombie.id().to_string()]);
    stage.fails(1, &["there is no process"]);
    zombie.wait().unwrap();
}

#[test]
fn a_process_of_another_user_is_an_error_at_the_start() {
    assert!(rustix::process::geteuid().is_root(), "this test becomes another user: run it as root");
    let mut stage = stage();
    let receiver = Receiver::start(&stage);
    let ids = ["--reuid=65534", "--regid=65534", "--clear-groups", super::stage::MONITOR];
    let pid = receiver.pid();
    // In a folder that this user may enter, by a log that it may write.
    let words = ["heat", "-i", "1", "--log", "/dev/null", "--pid", &pid, "true"];
    let mut command = stage.command("setpriv", &[&ids[..], &words].concat());
    command.current_dir("/");
    stage.start_as(command);
    stage.fails(1, &[&format!("--pid: process {pid} belongs to another user")]);
}

#[test]
fn when_the_process_ends_so_does_heat_at_once_whatever_runs() {
    for (what, interval) in [("nothing", "1h"), ("check", "1h"), ("fail", "1h"), ("recovery", "1h")] {
        let mut stage = stage();
        for name in ["fail", "recovery"] {
            stage.script(&format!("{name}.sh"), &format!("echo {name} >>trace\n[ {what} != {name} ] || sleep 1000"));
        }
        stage.script("check.sh", &format!("echo check >>trace\n[ {what} != check ] || sleep 1000\n[ ! -e down ]"));
        if what == "nothing" {
            stage.up();
        }
        let mut receiver = Receiver::start(&stage);
        let pid = receiver.pid();
        let words = ["-i", interval, "-s", "./check.sh", "--pid", &pid, "--signal", "USR1"];
        stage.start(&[&words[..], &["--fail", "./fail.sh", "--recovery", "./recovery.sh"]].concat());
        let seen = if what == "nothing" { "check" } else { what };
        stage.until_lines("trace", 1, seen);
        if what == "nothing" {
            stage.until("the end of the check", || !stage.log().is_empty());
        }
        receiver.kill();
        stage.fails(1, &[&format!("process {pid}, which receives the signals, is gone; it ends")]);
        stage.until_logged("ERR", &format!("process {pid}, which receives the signals, is gone"));
    }
}

#[test]
fn a_signal_that_ends_the_process_ends_heat() {
    let mut stage = stage();
    let receiver = Receiver::start(&stage);
    stage.start(&["-i", "0.2", "-s", "./check.sh", "--pid", &receiver.pid(), "--signal", "KILL"]);
    stage.fails(1, &["which receives the signals, is gone"]);
    assert_eq!(stage.count("trace", "check"), 1);
}

#[test]
fn stopped_and_woken_it_makes_up_for_one_check() {
    let mut stage = stage();
    stage.up();
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    stage.until_lines("trace", 2, "check");
    stage.signal(Signal::STOP);
    stage.until("the stop", || {
        std::fs::read_to_string(format!("/proc/{}/stat", stage.pid())).is_ok_and(|stat| stat.contains(") T "))
    });
    let before = stage.count("trace", "check");
    // Only time can show that nothing is done in it.
    std::thread::sleep(Duration::from_secs(2));
    assert!(stage.count("trace", "check") <= before + 1);
    stage.signal(Signal::CONT);
    stage.until_lines("trace", before + 3, "check");
    stage.stop();
}
