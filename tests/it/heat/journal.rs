//! `heat.verbose.log`: all output, in its format, appended.

use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;
use monitor::engine::clock::Clock;

use super::stage::{Stage, blocks_of};

fn now() -> Timestamp {
    Clock::System.now()
}

#[test]
fn every_run_is_a_block_with_its_second_its_type_and_its_output() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.write("heat.verbose.log", "1 : INFO : earlier :\n> kept\n");
    let begun = now().as_second();
    stage.start(&["-i", "0.4", "-s", "./check.sh"]);
    stage.until("a success", || blocks_of(&stage, "./check.sh").iter().any(|block| block.kind == "INFO"));
    stage.down();
    stage.until("a failure", || blocks_of(&stage, "./check.sh").iter().any(|block| block.kind == "FAIL"));
    stage.stop();
    let ended = now().as_second();
    let blocks = stage.log();
    assert_eq!((blocks[0].command.as_str(), blocks[0].lines.as_slice()), ("earlier", ["kept".to_owned()].as_slice()));
    for block in blocks_of(&stage, "./check.sh") {
        assert!((begun..=ended).contains(&block.at), "{block:?}");
        match (block.kind.as_str(), block.lines.first().map(String::as_str)) {
            // The last may have been stopped before it said anything.
            ("INFO", Some("it is up") | None) | ("FAIL", Some("it is down")) => {}
            _ => panic!("{block:?}"),
        }
    }
    stage.until_logged("FAIL", "./check.sh failed with code 1; failures in a row: 1, threshold: 1");
}

#[test]
fn another_file_may_be_named() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.start(&["-i", "1h", "--log", "other.log", "-s", "./check.sh"]);
    stage.until("its block", || stage.file("other.log").contains("> it is up"));
    stage.stop();
    assert!(!stage.path("heat.verbose.log").exists());
    let mode = std::fs::metadata(stage.path("other.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7, 0, "what checks print is not for everybody: {mode:o}");
}

#[test]
fn a_flood_is_recorded_whole_in_little_memory() {
    let mut stage = Stage::new();
    // 20 MB of output: more than this would ever take of memory.
    stage.script("check.sh", "[ -e done ] || seq 1 2600000\n: >done\nexit 1");
    stage.start(&["-i", "1h", "-s", "./check.sh"]);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stage.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default()
    };
    stage.until("its first lines", || stage.path("heat.verbose.log").metadata().is_ok_and(|log| log.len() > 100_000));
    let early = peak();
    stage.until("its end", || {
        let log = stage.path("heat.verbose.log").metadata().map_or(0, |log| log.len());
        log > 20_000_000 && stage.file("heat.verbose.log").contains(": FAIL : heat :")
    });
    assert!(peak() < early + 15_000, "{early} kB grew to {} kB", peak());
    stage.stop();
    let block = blocks_of(&stage, "./check.sh").remove(0);
    // Longer than what is held back, so its header was written before its end was known.
    assert_eq!((block.kind.as_str(), block.lines.len()), ("INFO", 2_600_000));
    assert!(block.lines.iter().zip(1..).all(|(line, n)| *line == n.to_string()));
}

#[test]
fn output_forges_no_header_and_tells_a_terminal_nothing() {
    let mut stage = Stage::new();
    let hostile = r"printf 'a\n1 : ERR : forged :\n\r2 : ERR : forged :\n\033[2J\007\n\302\205x\n\377\n> y\n\n no end'";
    stage.script("check.sh", hostile);
    stage.start(&["-i", "1h", "-s", "./check.sh"]);
    stage.until("its block", || !stage.log().is_empty());
    stage.stop();
    let log = stage.file("heat.verbose.log");
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
    let blocks = blocks_of(&stage, "./check.sh");
    assert_eq!(
        blocks[0].lines,
        [
            "a",
            "1 : ERR : forged :",
            "\\r2 : ERR : forged :",
            "\\x1b[2J\\x07",
            "\\u{85}x",
            "\u{fffd}",
            "> y",
            "",
            " no end"
        ]
    );
    assert!(stage.log().iter().all(|block| block.command != "forged"));
}

#[test]
fn a_log_that_cannot_be_written_any_more_is_complained_of_once_and_checks_go_on() {
    let mut stage = Stage::new();
    stage.check(1);
    std::fs::create_dir(stage.path("logs")).unwrap();
    stage.start(&["-i", "0.2", "--log", "logs/heat.log", "-s", "./check.sh"]);
    stage.until_lines("trace", 2, "check");
    std::fs::rename(stage.path("logs"), stage.path("away")).unwrap();
    stage.until("the complaint", || stage.file("stderr").contains("the log logs/heat.log cannot be written"));
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    std::fs::create_dir(stage.path("logs")).unwrap();
    stage.until("the log again", || stage.file("logs/heat.log").contains("> it is up"));
    stage.stop();
    let said = stage.file("stderr");
    assert_eq!(said.matches("cannot be written").count(), 1, "{said}");
    assert_eq!(said.matches("can be written again").count(), 1, "{said}");
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew() {
    let mut stage = Stage::new();
    stage.check(1);
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    stage.until("a block", || !stage.log().is_empty());
    std::fs::rename(stage.path("heat.verbose.log"), stage.path("heat.verbose.log.1")).unwrap();
    stage.until("the new one", || stage.file("heat.verbose.log").contains("> it is up"));
    stage.stop();
}
