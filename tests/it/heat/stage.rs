//! The real binary as `monitor heat` in a throw-away folder, the scripts that it runs, and what came of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::sshd::wait_until;

/// No test waits longer than this for anything.
pub const LIMIT: Duration = Duration::from_secs(30);
pub const MONITOR: &str = env!("CARGO_BIN_EXE_monitor");
/// In the environment of everything that a stage starts: what is left behind is found by it.
const MARK: &str = "HEAT_TEST_FOLDER";

/// A folder, a HEAT in it, and everything that the two started.
pub struct Stage {
    pub folder: TempDir,
    child: Option<Child>,
}

/// One block of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub at: i64,
    pub kind: String,
    pub command: String,
    pub lines: Vec<String>,
}

impl Stage {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), child: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the folder; empty when there is none.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes a shell script that can be run; it comes into being whole, whoever runs it meanwhile.
    pub fn script(&self, name: &str, body: &str) {
        let (path, fresh) = (self.path(name), self.path(&format!(".{name}.new")));
        std::fs::write(&fresh, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    /// A check that fails with this code while there is a file `down`, and notes each run in `trace`.
    pub fn check(&self, code: u8) {
        self.script(
            "check.sh",
            &format!("echo check >>trace\n[ ! -e down ] || {{ echo it is down; exit {code}; }}\necho it is up"),
        );
    }

    pub fn down(&self) {
        self.write("down", "");
    }

    pub fn up(&self) {
        let _ = std::fs::remove_file(self.path("down"));
    }

    /// A command in the folder, marked.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env(MARK, self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Starts `monitor heat` with these words.
    pub fn start(&mut self, words: &[&str]) {
        let words: Vec<&str> = ["heat"].iter().chain(words).copied().collect();
        let command = self.command(MONITOR, &words);
        self.start_as(command);
    }

    /// Starts this as the HEAT of the stage.
    pub fn start_as(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "it runs already");
        let err = std::fs::File::create(self.path("stderr")).unwrap();
        self.child = Some(command.stdout(Stdio::null()).stderr(err).spawn().unwrap());
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let child = self.child.as_mut().expect("it runs");
        wait_until(LIMIT, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let Some(status) = status else { panic!("it did not end\n{}", self.all()) };
        self.child = None;
        status
    }

    /// Requires that it ends by itself as an error, and says these parts.
    #[track_caller]
    pub fn fails(&mut self, code: i32, parts: &[&str]) {
        let status = self.ended();
        assert_eq!(status.code(), Some(code), "{status}\n{}", self.all());
        for part in parts {
            assert!(unbroken(&self.file("stderr")).contains(part), "{part}\n{}", self.all());
        }
        self.leaves_nothing();
    }

    /// Requires that these words are refused before anything is done.
    #[track_caller]
    pub fn refuses(&mut self, words: &[&str], part: &str) {
        self.start(words);
        let status = self.ended();
        let said = unbroken(&self.file("stderr"));
        assert!(status.code() == Some(2) && said.contains(part), "{words:?}: {status}, {part}\n{said}");
        assert_eq!(self.file("trace"), "", "{words:?}: something was run");
    }

    /// Asks it to stop, and requires that it ends well and leaves nothing behind.
    #[track_caller]
    pub fn stop(&mut self) {
        self.stop_by(Signal::TERM);
    }

    #[track_caller]
    pub fn stop_by(&mut self, signal: Signal) {
        self.signal(signal);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{status}\n{}", self.all());
        self.leaves_nothing();
    }

    /// Everything that carries the mark and still runs, but for the HEAT itself.
    pub fn others(&self) -> Vec<(i32, String)> {
        let mark = format!("{MARK}={}", self.folder.path().display()).into_bytes();
        let ours = self.child.as_ref().map_or(0, Child::id);
        let pids =
            std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let marked = pids.filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark) && u32::try_from(*pid) != Ok(ours)
        });
        marked.map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default())).collect()
    }

    #[track_caller]
    pub fn leaves_nothing(&self) {
        // A process that was killed is gone from sight a moment later.
        let gone = wait_until(Duration::from_secs(5), || self.others().is_empty());
        assert!(gone, "left behind: {:?}\n{}", self.others(), self.all());
    }

    #[track_caller]
    pub fn until(&self, what: &str, so: impl FnMut() -> bool) {
        assert!(wait_until(LIMIT, so), "{what} did not come\n{}", self.all());
    }

    /// Waits until a file holds so many lines that are these.
    #[track_caller]
    pub fn until_lines(&self, name: &str, count: usize, line: &str) {
        self.until(&format!("{count} times {line} in {name}"), || self.count(name, line) >= count);
    }

    pub fn count(&self, name: &str, line: &str) -> usize {
        self.file(name).lines().filter(|found| *found == line).count()
    }

    /// The log, read by its format; a line that fits nowhere fails the test.
    #[track_caller]
    pub fn log(&self) -> Vec<Block> {
        blocks(&self.file("heat.verbose.log"))
    }

    /// Waits for a block of this kind with this line in it.
    #[track_caller]
    pub fn until_logged(&self, kind: &str, part: &str) {
        let found = |block: &Block| block.kind == kind && block.lines.iter().any(|line| line.contains(part));
        self.until(&format!("{kind} {part} in the log"), || {
            blocks_so_far(&self.file("heat.verbose.log")).iter().any(found)
        });
    }

    /// All there is to say about it.
    pub fn all(&self) -> String {
        ["stderr", "trace", "heat.verbose.log"].map(|name| format!("--- {name}\n{}", self.file(name))).concat()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        for (pid, _) in self.others() {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

#[track_caller]
fn blocks(text: &str) -> Vec<Block> {
    let read = blocks_so_far(text);
    let lines: usize = read.iter().map(|block| block.lines.len() + 1).sum();
    assert_eq!(lines, text.lines().count(), "a line is neither header nor output:\n{text}");
    read
}

fn blocks_so_far(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines() {
        if let Some(output) = line.strip_prefix("> ") {
            if let Some(block) = blocks.last_mut() {
                block.lines.push(output.to_owned());
            }
        } else if let Some(header) = header(line) {
            blocks.push(header);
        }
    }
    blocks
}

/// Reads `seconds : TYPE : command :`.
fn header(line: &str) -> Option<Block> {
    let (at, rest) = line.split_once(" : ")?;
    let (kind, rest) = rest.split_once(" : ")?;
    let command = rest.strip_suffix(" :")?;
    let known = ["INFO", "FAIL", "ERR"].contains(&kind);
    known.then_some(())?;
    Some(Block { at: at.parse().ok()?, kind: kind.to_owned(), command: command.to_owned(), lines: Vec::new() })
}

/// A process that notes the signals it receives in `got`; killed when dropped.
pub struct Receiver {
    child: Child,
}

impl Receiver {
    pub fn start(stage: &Stage) -> Self {
        let traps: String = ["HUP", "USR1", "USR2", "ALRM", "WINCH", "CONT", "TERM"]
            .map(|name| format!("trap 'echo {name} >>got' {name}\n"))
            .concat();
        stage.script("receiver.sh", &format!("{traps}: >ready\nwhile :; do sleep 0.05; done"));
        // Not one of those that HEAT has to end.
        let child = stage.command(stage.path("receiver.sh"), &[]).env_remove(MARK).spawn().unwrap();
        let receiver = Self { child };
        stage.until("the receiver", || stage.path("ready").exists());
        receiver
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Its state as the kernel names it: `S` sleeping, `R` running, `T` stopped.
    pub fn state(&self) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
        rest.chars().take(1).collect()
    }

    /// `kill -9`; its entry stays until it is dropped.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The blocks of one command.
#[track_caller]
pub fn blocks_of(stage: &Stage, command: &str) -> Vec<Block> {
    stage.log().into_iter().filter(|block| block.command == command).collect()
}

/// A text as if no line of it had been broken.
fn unbroken(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
