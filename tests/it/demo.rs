//! `monitor demo` as a stranger starts it: the real binary, no terminal, nothing left behind.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

/// The longest that a demo of one outage may take here; it takes seven seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A demo that runs; it is killed when the test ends early.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
    out: Option<mpsc::Receiver<Vec<u8>>>,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Demo {
    fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_monitor"));
        command.arg("demo").args(args).env_clear().env("TMPDIR", folder.path()).current_dir(folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, folder, out: None }
    }

    /// Reads on until `stop` is in the text; without it, to the end.
    fn read(&mut self, stop: Option<&str>) -> String {
        let out = self.out.get_or_insert_with(|| pieces(self.child.stdout.take().unwrap()));
        let (mut text, begun) = (Vec::new(), Instant::now());
        loop {
            let piece = match out.recv_timeout(LIMIT.saturating_sub(begun.elapsed())) {
                Ok(piece) => piece,
                Err(mpsc::RecvTimeoutError::Disconnected) => Vec::new(),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("{stop:?} does not come:\n{}", String::from_utf8_lossy(&text))
                }
            };
            text.extend_from_slice(&piece);
            let so_far = String::from_utf8_lossy(&text);
            if piece.is_empty() || stop.is_some_and(|stop| so_far.contains(stop)) {
                return so_far.into_owned();
            }
        }
    }

    /// Waits for its end.
    fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(mut self, before: &str) -> (Ended, tempfile::TempDir) {
        let out = before.to_owned() + &self.read(None);
        let code = self.wait();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (Ended { code, out, err }, folder)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads in a thread of its own, so that no silence holds the test; it ends with the stream.
fn pieces(mut from: ChildStdout) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            if send.send(chunk[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

/// The places of `parts` in the text, each after the one before.
fn in_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part).unwrap_or_else(|| panic!("{part:?} does not come where it should:\n{text}"));
        from += at + part.len();
    }
}

/// Nothing in the folder, and nobody on any port that the `.env` named.
fn nothing_is_left(folder: &Path, out: &str) {
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    let after = |mark: &str| {
        let rest = out.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark} in\n{out}"));
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u16>().unwrap()
    };
    let ports = ["SHOP_URL=http://127.0.0.1:", "BLOG_URL=http://127.0.0.1:", "SSH_PORT=", "API_URL=http://127.0.0.1:"];
    for port in ports.map(after) {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "somebody still listens on {port}");
    }
}

#[test]
fn one_outage_is_told_from_fault_to_good_news_and_nothing_is_left_behind() {
    let (ended, folder) = Demo::start(&["--once"]).end("");
    let Ended { code, out, err } = ended;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    in_order(
        &out,
        &[
            "Nothing outside this machine is touched",
            "DC1_SSH_PASSWORD=***",
            "TELEGRAM_BOT_TOKEN=***",
            "Watched pairs: DC1-SHOP, DC1-BLOG",
            "The shop breaks now: it answers 503",
            "attempt 1/3 failed",
            "Unavailable [",
            "systemctl restart shop",
            "COMMAND_EXECUTED: {\"pair\":\"DC1-SHOP\",\"command\":\"systemctl restart shop\",\"status\":\"executed\"",
            "\"exit_code\":0",
            "Telegram · message 1",
            "Connection status of DC1-SHOP: ⚠️ Down",
            "verdict: healed",
            "Telegram · message 2",
            "reply to 1",
            "✅ Restored",
            "Stopped",
            "incidents: 1 · commands: 1 · healed: 1 · median time to heal: ",
            "messages: 2",
            "monitor init",
        ],
    );
    assert!(!out.contains('\x1b'), "a file gets no escape sequences:\n{out:?}");
    nothing_is_left(folder.path(), &out);
}

#[test]
fn ctrl_c_ends_it_within_two_seconds_with_the_summary() {
    for (signal, language, heard, told) in [
        (Signal::INT, "en", "monitor demo", "incidents: 0"),
        (Signal::TERM, "ru", "Отслеживаемые пары", "инцидентов: 0"),
        (Signal::INT, "ko", "상점이 고장 납니다", "메시지: 0"),
    ] {
        let mut demo = Demo::start(&["--language", language]);
        let before = demo.read(Some(heard));
        demo.signal(signal);
        let begun = Instant::now();
        let (ended, folder) = demo.end(&before);
        let took = begun.elapsed();
        assert!(ended.out.contains(told) && ended.out.contains("monitor init"), "{}\n{}", ended.out, ended.err);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        // Two seconds are promised; a loaded test machine is given one more.
        assert!(took < Duration::from_secs(3), "{took:?}\n{}", ended.out);
        nothing_is_left(folder.path(), &ended.out);
    }
}

#[test]
fn an_interrupted_once_says_what_was_not_seen_and_exits_1() {
    let mut demo = Demo::start(&["--once"]);
    let before = demo.read(Some("Watched pairs"));
    demo.signal(Signal::TERM);
    let (ended, folder) = demo.end(&before);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.err.contains("not seen: a failed check, a command"), "{}", ended.err);
    nothing_is_left(folder.path(), &ended.out);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut demo = Demo::start(&[]);
    drop(demo.child.stdout.take());
    demo.wait();
}

#[test]
fn a_command_that_exits_0_and_heals_nothing_is_told_as_such_and_the_next_one_heals() {
    let mut demo = Demo::start(&["--fast"]);
    let mut out = demo.read(Some("verdict: ran_but_down"));
    out += &demo.read(Some("✅"));
    demo.signal(Signal::INT);
    let (ended, folder) = demo.end(&out);
    in_order(
        &ended.out,
        &[
            "verdict: healed",
            "The next outage, of another kind, comes in 5 s",
            "The shop breaks now",
            "⚠️ Down",
            "verdict: ran_but_down",
            "nobody listens on the port",
            "Recovery attempt #2",
            "silent",
            "verdict: healed",
            "after 2 attempts",
            "incidents: 2 · commands: 3 · healed: 2",
        ],
    );
    nothing_is_left(folder.path(), &ended.out);
}
