//! The log as a whole: rotation, two sinks, a redirected stdout, and sinks that fail.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use monitor::app::log::{Format, LogError, Options, Redact, build};
use tracing::{Dispatch, info, warn};

struct Words(&'static [&'static str]);

impl Redact for Words {
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for word in self.0 {
            if text.contains(word) {
                text = Cow::Owned(text.replace(word, "***"));
            }
        }
        text
    }
}

fn options(file: &Path) -> Options {
    Options {
        file: file.to_owned(),
        max_bytes: 0,
        backups: 3,
        level: "INFO".to_owned(),
        format: Format::Text,
        redactor: Arc::new(Words(&[])),
    }
}

fn say(dispatch: &Dispatch, what: impl FnOnce()) {
    tracing::dispatcher::with_default(dispatch, what);
}

/// The messages of a text log, without time and level.
fn messages(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.splitn(3, " - ").nth(2).unwrap().to_owned()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_line_goes_to_the_file_and_to_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("logs/monitor.log"), dir.path().join("out"));
    let (dispatch, guard) = build(options(&file), Some(File::create(&out).unwrap())).unwrap();
    say(&dispatch, || info!(target: "monitor", "hello"));
    drop(guard);
    assert_eq!(messages(&file), ["hello"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), fs::read_to_string(&out).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn rotation_keeps_the_names_and_the_count_of_pythons_handler() {
    // (limit, backups, names left, messages in the oldest name left). A line here is 32 bytes; Python rolls over before
    // the line that would reach the limit, and never when either number is 0.
    let cases: [(u64, usize, &[&str], usize); 5] = [
        (100, 3, &["monitor.log", "monitor.log.1", "monitor.log.2", "monitor.log.3"], 3),
        (96, 2, &["monitor.log", "monitor.log.1", "monitor.log.2"], 2),
        (1, 1, &["monitor.log", "monitor.log.1"], 1),
        (100, 0, &["monitor.log"], 20),
        (0, 3, &["monitor.log"], 20),
    ];
    for (max_bytes, backups, left, oldest) in cases {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("monitor.log");
        let (dispatch, guard) = build(Options { max_bytes, backups, ..options(&file) }, None).unwrap();
        say(&dispatch, || (10..30).for_each(|n| info!(target: "monitor", "n{n}")));
        drop(guard);
        assert_eq!(names(dir.path()), left, "limit {max_bytes}, backups {backups}");
        let last = dir.path().join(left.last().unwrap());
        assert_eq!(messages(&last).len(), oldest, "limit {max_bytes}, backups {backups}");
        let newest = messages(&file);
        assert_eq!(newest.last().unwrap(), "n29");
        for name in left {
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o640, "{name}");
        }
    }
}

#[test]
fn a_log_goes_on_in_the_file_of_the_run_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("monitor.log");
    for word in ["first", "second"] {
        let (dispatch, guard) = build(options(&file), None).unwrap();
        say(&dispatch, || info!(target: "monitor", "{word}"));
        drop(guard);
    }
    assert_eq!(messages(&file), ["first", "second"]);
}

#[test]
fn when_stdout_is_the_log_file_each_line_is_written_once_also_after_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("monitor.log");
    // As the shell does for `> monitor.log`: not in append mode.
    let stdout = File::create(&file).unwrap();
    let mut stray = stdout.try_clone().unwrap();
    let (dispatch, guard) = build(Options { max_bytes: 100, ..options(&file) }, Some(stdout)).unwrap();
    say(&dispatch, || info!(target: "monitor", "one"));
    drop(guard);
    stray.write_all(b"2023-10-15 12:30:45 - ERROR - stray\n").unwrap();
    assert_eq!(messages(&file), ["one", "stray"], "a stray line must be appended, not written over the first");

    let (dispatch, guard) = build(Options { max_bytes: 100, ..options(&file) }, Some(stray)).unwrap();
    say(&dispatch, || (10..16).for_each(|n| info!(target: "monitor", "n{n}")));
    drop(guard);
    let mut all = Vec::new();
    for name in names(dir.path()).iter().rev() {
        all.extend(messages(&dir.path().join(name)));
    }
    assert_eq!(all, ["one", "stray", "n10", "n11", "n12", "n13", "n14", "n15"]);
}

#[test]
fn a_secret_passes_neither_sink_in_any_shape() {
    let token = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-";
    let password = "p\"a\\ss";
    for format in [Format::Text, Format::Json] {
        let dir = tempfile::tempdir().unwrap();
        let (file, out) = (dir.path().join("monitor.log"), dir.path().join("out"));
        let redactor = Arc::new(Words(&["p\"a\\ss", "p\\\"a\\\\ss", "two\nlines"]));
        let options = Options { format, redactor, ..options(&file) };
        let (dispatch, guard) = build(options, Some(File::create(&out).unwrap())).unwrap();
        say(&dispatch, || {
            info!(target: "monitor", "POST https://api.telegram.org/bot{token}/sendMessage");
            info!(target: "monitor", "output: {password}");
            info!(target: "monitor", "COMMAND_EXECUTED: {}", serde_json::json!({ "output": password }));
            info!(target: "monitor", output = password, "in a field");
            info!(target: "monitor", output = ?password, "in a debugged field");
            info!(target: "monitor", "key: two\nlines");
            warn!(target: "hyper::client", url = %format!("https://x/bot{token}/"), password, "theirs");
        });
        drop(guard);
        for path in [&file, &out] {
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(text.lines().count(), 7, "{text}");
            for trace in ["AAHdq", "p\"a", "a\\ss", "a\\\\ss", "lines"] {
                assert!(!text.contains(trace), "{trace} in {text}");
            }
            if format == Format::Json {
                assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
            }
        }
    }
}

#[test]
fn a_reload_swaps_secrets_and_level() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("monitor.log");
    let (dispatch, guard) = build(options(&file), None).unwrap();
    say(&dispatch, || {
        info!(target: "monitor", "new-password");
        tracing::debug!(target: "monitor", "unheard");
        guard.set_redactor(Arc::new(Words(&["new-password"])));
        guard.set_level("DEBUG").unwrap();
        info!(target: "monitor", "new-password");
        tracing::debug!(target: "monitor", "heard");
        assert!(matches!(guard.set_level("loud"), Err(LogError::Level { .. })));
    });
    drop(guard);
    assert_eq!(messages(&file), ["new-password", "***", "heard"]);
}

#[test]
fn other_crates_speak_only_from_warning_up_unless_a_directive_says_otherwise() {
    for (level, expected) in [("DEBUG", &["hyper: w", "d"] as &[_]), ("error,hyper=info", &["hyper: i", "hyper: w"])] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("monitor.log");
        let (dispatch, guard) = build(Options { level: level.to_owned(), ..options(&file) }, None).unwrap();
        say(&dispatch, || {
            info!(target: "hyper", "i");
            warn!(target: "hyper", "w");
            tracing::debug!(target: "monitor::engine", "d");
        });
        drop(guard);
        assert_eq!(messages(&file), expected, "{level}");
    }
}

#[test]
fn a_closed_stdout_and_a_full_disk_stop_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("monitor.log");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (dispatch, guard) = build(options(&file), Some(File::from(std::os::fd::OwnedFd::from(writer)))).unwrap();
    say(&dispatch, || (0..100).for_each(|n| info!(target: "monitor", "n{n}")));
    let ledger = guard.ledger();
    drop(guard);
    assert_eq!(messages(&file).len(), 100);
    assert_eq!(ledger.health().errors, 1, "a closed pipe is told once: {:?}", ledger.health());

    let (dispatch, guard) = build(options(Path::new("/dev/full")), None).unwrap();
    say(&dispatch, || info!(target: "monitor", "nobody reads this"));
    let ledger = guard.ledger();
    drop(guard);
    assert!(ledger.health().last_error.unwrap().contains("No space left"));
}

#[test]
fn a_reader_of_stdout_that_sleeps_delays_neither_the_file_nor_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("monitor.log");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (dispatch, guard) = build(options(&file), Some(File::from(std::os::fd::OwnedFd::from(writer)))).unwrap();
    let long = "x".repeat(1000);
    let start = real_now();
    say(&dispatch, || (0..1000).for_each(|_| info!(target: "monitor", "{long}")));
    let ledger = guard.ledger();
    drop(guard);
    assert!(start.elapsed() < Duration::from_secs(10), "the log waited for its reader: {:?}", start.elapsed());
    assert_eq!(messages(&file).len(), 1000);
    assert!(ledger.health().dropped > 0);
    drop(dispatch);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert!(got.len() >= 4096, "what fits is still delivered");
}

#[expect(clippy::disallowed_methods, reason = "real time: this test is about not waiting")]
fn real_now() -> Instant {
    Instant::now()
}

#[test]
fn a_path_that_cannot_be_a_log_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let error = build(options(dir.path()), None).err().unwrap();
    assert!(matches!(error, LogError::NotAFile { .. }), "{error}");
    fs::write(dir.path().join("plain"), "").unwrap();
    let error = build(options(&dir.path().join("plain/monitor.log")), None).err().unwrap();
    assert!(matches!(error, LogError::Open { .. }) && error.to_string().contains("check that its folder"), "{error}");
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff.log");
    let error = build(options(&dir.path().join(name)), None).err().unwrap();
    assert!(matches!(error, LogError::NotUtf8 { .. }), "{error}");
}
