//! Commands on this machine: `sh -c` in a process group of its own, so that a limit reaches its children too.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::output::Capture;
use super::{CheckReport, Exit, Finished, HostError, Order, RunResult};

/// Between the polite signal and the final one.
const TERM_TO_KILL: Duration = Duration::from_secs(5);
/// How long we listen on after the command's own exit, when a process that it left behind holds its output open.
pub(super) const LEFT_OPEN: Duration = Duration::from_secs(2);
/// The search path where ours is unknown: Debian's default for root.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// This machine as a place for commands.
///
/// A command sees `PATH HOME LANG USER` and the order's own variables, nothing else: our environment holds secrets.
#[derive(Debug, Clone, Default)]
pub struct LocalHost {
    /// `PATH`, `HOME`, `LANG`, `USER` as `app` found them; what is missing is left out, but for `PATH`.
    pub env: Vec<(String, String)>,
    /// Where the command starts; our own folder if `None`.
    pub folder: Option<PathBuf>,
}

/// The variables that a command inherits.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "USER"];

impl LocalHost {
    /// Runs one order; see [`super::Host::run`].
    pub async fn run(&self, order: &Order, ready: impl Future<Output = bool> + Send) -> RunResult {
        let mut command = self.command(order);
        if !ready.await {
            return Err(HostError::Withheld);
        }
        let begun = Instant::now();
        let mut child = command.spawn().map_err(|e| HostError::Refused {
            address: "this machine".to_owned(),
            why: format!("`sh` did not start: {e}"),
        })?;
        let mut group = Group::of(&child);
        let mut pipes = Pipes { out: child.stdout.take(), err: child.stderr.take(), capture: Capture::default() };

        let Some(ended) = run_until(&mut child, &mut pipes, order.limit).await else {
            stop(&mut child, &mut pipes, &group).await;
            group.release();
            return Err(HostError::TimedOut { after: order.limit, captured: Box::new(pipes.capture.finish()) });
        };
        // A daemon that the command started is its purpose: it stays.
        group.release();
        let left_open = timeout(LEFT_OPEN, pipes.drain()).await.is_err();
        let status = ended.map_err(|e| HostError::Lost {
            why: format!("its exit status could not be read: {e}"),
            captured: Box::default(),
        })?;
        Ok(Finished { exit: exit(status), captured: pipes.capture.finish(), duration: begun.elapsed(), left_open })
    }

    /// Runs `true`.
    pub(super) async fn check(&self) -> Result<CheckReport, HostError> {
        let order = Order { shell: "true".to_owned(), env: Vec::new(), limit: Duration::from_secs(10) };
        let done = self.run(&order, async { true }).await?;
        Ok(CheckReport {
            address: "this machine".to_owned(),
            host_key: None,
            login: String::new(),
            took: done.duration,
        })
    }

    fn command(&self, order: &Order) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&order.shell).env_clear().env("PATH", DEFAULT_PATH);
        for (key, value) in self.env.iter().filter(|(key, _)| INHERITED.contains(&key.as_str())) {
            command.env(key, value);
        }
        for (key, value) in &order.env {
            command.env(key, value);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// Ends a command that is over its limit: politely, then not.
async fn stop(child: &mut Child, pipes: &mut Pipes, group: &Group) {
    group.signal(Signal::TERM);
    let obeyed = run_until(child, pipes, TERM_TO_KILL).await.is_some();
    // Children that ignored the signal go too: their parent is gone.
    group.signal(Signal::KILL);
    if !obeyed {
        // Only a process stuck in the kernel outlives this; then we stop listening and tell what we know.
        let _ = run_until(child, pipes, TERM_TO_KILL).await;
    }
}

/// Waits for the command's exit while its output is drained; `None` when the time ran out.
async fn run_until(child: &mut Child, pipes: &mut Pipes, limit: Duration) -> Option<std::io::Result<ExitStatus>> {
    let both = async {
        let mut exited = pin!(child.wait());
        tokio::select! {
            status = &mut exited => status,
            () = pipes.drain() => exited.await,
        }
    };
    timeout(limit, both).await.ok()
}

struct Pipes {
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    capture: Capture,
}

impl Pipes {
    /// Reads both pipes to their end. May be dropped and called again: nothing that was read is lost.
    async fn drain(&mut self) {
        let (mut a, mut b) = (vec![0; 8192], vec![0; 8192]);
        while self.out.is_some() || self.err.is_some() {
            tokio::select! {
                n = read(&mut self.out, &mut a) => match a.get(..n) {
                    Some(bytes) if n > 0 => self.capture.stdout(bytes),
                    _ => self.out = None,
                },
                n = read(&mut self.err, &mut b) => match b.get(..n) {
                    Some(bytes) if n > 0 => self.capture.stderr(bytes),
                    _ => self.err = None,
                },
            }
        }
    }
}

/// The next bytes; a pipe that is gone never has any, one that fails has come to its end.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// The command's process group; killed when dropped, unless the command came to its end.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what we want.
            let _ = kill_process_group(group, signal);
        }
    }

    fn release(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(number)) => Exit::Signal(signal_name(number)),
        (None, None) => Exit::Signal("unknown".to_owned()),
    }
}

fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        other => return other.to_string(),
    };
    name.to_owned()
}
