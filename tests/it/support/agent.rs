//! The real binary in a throw-away folder: its `.env`, its process, and what it said.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;

use super::bot_api::{BotApi, PERSON, TOKEN};
use super::sshd::wait_until;

/// No test waits longer than this for a line or for an end.
pub const LIMIT: Duration = Duration::from_secs(25);

const BINARY: &str = env!("CARGO_BIN_EXE_monitor");

/// What the process wrote, line by line.
struct Said {
    lines: Mutex<Vec<Heard>>,
    count: watch::Sender<usize>,
}

#[derive(Clone)]
struct Heard {
    stdout: bool,
    text: String,
}

/// An agent and its folder. Dropping it kills the process; a test that fails prints everything.
pub struct Agent {
    pub folder: TempDir,
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    /// What its own view of the file system is made by.
    mounts: Option<String>,
    /// The network namespace that it lives in.
    namespace: Option<String>,
    child: Option<Child>,
    readers: Vec<JoinHandle<()>>,
    said: Arc<Said>,
    /// Lines of earlier runs.
    before: usize,
}

impl Agent {
    /// An empty folder; nothing runs yet.
    pub fn new() -> Self {
        let said = Said { lines: Mutex::default(), count: watch::Sender::new(0) };
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: Vec::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
            mounts: None,
            namespace: None,
            child: None,
            readers: Vec::new(),
            said: Arc::new(said),
            before: 0,
        }
    }

    /// One that writes to a private chat of this stand-in, looks often and verifies for a moment.
    pub fn with(api: &str) -> Self {
        let mut agent = Self::new();
        agent.set(&[
            ("INTERVAL", "0.5"),
            ("CHECK_ATTEMPTS", "1"),
            ("CHECK_RETRY_DELAY", "0.05"),
            ("VERIFY_WINDOW", "0.3"),
            ("VERIFY_INTERVAL", "0.1"),
            ("COMMAND", "systemctl restart network-service"),
            ("TELEGRAM_BOT_TOKEN", TOKEN),
            ("TELEGRAM_CHAT_ID", PERSON),
            ("TELEGRAM_API_URL", api),
        ]);
        agent
    }

    /// [`Agent::with`] this stand-in.
    pub fn telling(api: &BotApi) -> Self {
        Self::with(&api.url())
    }

    /// Writes these keys into `.env`, in order; one that is there already is replaced.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            let value = (*value).to_owned();
            match self.settings.iter_mut().find(|(known, _)| known == key) {
                Some(known) => known.1 = value,
                None => self.settings.push(((*key).to_owned(), value)),
            }
        }
        let text = self.settings.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key}={value}");
            text
        });
        self.write(&text);
    }

    /// Writes this text as `.env`.
    pub fn write(&self, text: &str) {
        let path = self.path(".env");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Adds to the process environment, which is empty otherwise.
    pub fn environment(&mut self, key: &str, value: &str) {
        self.environment.push((key.to_owned(), value.to_owned()));
    }

    /// Starts it with these mounts of its own, which end with it.
    pub fn within(&mut self, mounts: &str) {
        self.mounts = Some(mounts.to_owned());
    }

    /// Starts it in this network namespace.
    pub fn at(&mut self, namespace: String) {
        self.namespace = Some(namespace);
    }

    /// Starts it with these arguments; `run` is meant without any.
    pub fn arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of the folder; empty when there is none.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts it in its folder.
    pub fn start(&mut self) {
        self.start_in(|command| command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    }

    /// Starts it as the seed does: `nohup monitor > monitor.log 2>&1 &`.
    pub fn start_into(&mut self, name: &str) {
        let file = std::fs::File::create(self.path(name)).unwrap();
        let second = file.try_clone().unwrap();
        self.start_in(move |command| command.stdout(file).stderr(second));
    }

    fn start_in(&mut self, outputs: impl FnOnce(&mut Command) -> &mut Command) {
        assert!(self.child.is_none(), "it runs already");
        self.before = self.said.lines.lock().unwrap().len();
        let mut command = match (&self.mounts, &self.namespace) {
            (None, None) => Command::new(BINARY),
            (None, Some(namespace)) => {
                let mut command = Command::new("/usr/sbin/ip");
                command.args(["netns", "exec", namespace, BINARY]);
                command
            }
            (Some(mounts), _) => {
                assert!(rustix::process::geteuid().is_root(), "this test mounts: run it as root");
                let mut command = Command::new("/usr/bin/unshare");
                command.args(["--mount", "/bin/sh", "-c", &format!("{mounts} && exec {BINARY}")]);
                command
            }
        };
        command.args(&self.arguments);
        command.env_clear().envs(self.environment.iter().cloned()).current_dir(self.folder.path()).stdin(Stdio::null());
        let mut child = outputs(&mut command)
            .spawn()
            .expect("the binary starts; with mounts it needs unshare: apt-get install util-linux");
        let pipes: [Option<(bool, Box<dyn Read + Send>)>; 2] = [
            child.stdout.take().map(|pipe| (true, Box::new(pipe) as Box<dyn Read + Send>)),
            child.stderr.take().map(|pipe| (false, Box::new(pipe) as Box<dyn Read + Send>)),
        ];
        for (stdout, pipe) in pipes.into_iter().flatten() {
            let said = self.said.clone();
            self.readers.push(std::thread::spawn(move || {
                for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    said.lines.lock().unwrap().push(Heard { stdout, text });
                    said.count.send_modify(|count| *count += 1);
                }
            }));
        }
        self.child = Some(child);
    }

    fn heard(&self) -> Vec<Heard> {
        self.said.lines.lock().unwrap()[self.before..].to_vec()
    }

    /// Everything it said since its last start, stdout and stderr.
    pub fn lines(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.text).collect()
    }

    /// What it wrote to stdout since its last start.
    pub fn stdout(&self) -> Vec<String> {
        self.heard().into_iter().filter(|heard| heard.stdout).map(|heard| heard.text).collect()
    }

    /// Lines since its last start that hold `part`.
    pub fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until it said a line with all these parts since its last start, and gives the line.
    pub async fn says(&self, parts: &[&str]) -> String {
        self.says_times(1, parts).await
    }

    /// Waits for the n-th such line.
    pub async fn says_times(&self, n: usize, parts: &[&str]) -> String {
        let mut count = self.said.count.subscribe();
        let found = || {
            let lines = self.lines();
            lines.into_iter().filter(|line| parts.iter().all(|part| line.contains(part))).nth(n - 1)
        };
        let waited = tokio::time::timeout(LIMIT, count.wait_for(|_| found().is_some())).await.is_ok();
        assert!(waited, "it did not say {parts:?} {n} times within {LIMIT:?}");
        found().unwrap()
    }

    /// The `COMMAND_EXECUTED` records since its last start.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let lines = self.stdout();
        let json = lines.iter().filter_map(|line| line.split_once("COMMAND_EXECUTED: "));
        json.map(|(_, json)| serde_json::from_str(json).unwrap()).collect()
    }

    /// Waits for the n-th record of a pair.
    pub async fn record(&self, pair: &str, n: usize) -> serde_json::Value {
        let line = self.says_times(n, &["COMMAND_EXECUTED: ", &format!("\"pair\": \"{pair}\"")]).await;
        serde_json::from_str(line.split_once("COMMAND_EXECUTED: ").unwrap().1).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// True as long as the process lives.
    pub fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits until it has ended by itself; gives the status once all that it said was read.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let mut status = None;
        let ended = wait_until(LIMIT, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        if !ended {
            self.child = Some(child);
            panic!("it did not end within {LIMIT:?}");
        }
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.unwrap()
    }

    /// Asks it to stop and requires that it ends well.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "it did not stop well");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// Runs the binary beside it in the same folder: exit code and everything said.
    pub fn beside(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(BINARY);
        command.env_clear().current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        let out = command.output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            let lines = self.said.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let text = lines.iter().map(|heard| heard.text.as_str()).collect::<Vec<_>>().join("\n");
            #[expect(clippy::print_stderr, reason = "what a failed test shows")]
            {
                eprintln!("--- .env\n{}--- said\n{text}\n---", self.file(".env"));
            }
        }
    }
}
