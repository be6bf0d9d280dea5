//! One process of ours on this machine: started as the head of a group of its own, its output drained, its whole group ended
//! when it has to be.
//!
//! What is run and for how long is the caller's: [`super::local`], the `exec` probe, HEAT.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, Interest};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::Exit;
use super::output::Capture;

/// Between the polite signal and the final one.
pub const TERM_TO_KILL: Duration = Duration::from_secs(5);
/// How long we listen on after a process's own exit, when one that it left behind holds its output open.
pub const LEFT_OPEN: Duration = Duration::from_secs(2);

/// Takes the output of a process as it arrives.
pub trait Sink {
    /// The next bytes of standard output.
    fn stdout(&mut self, bytes: &[u8]);
    /// The next bytes of standard error.
    fn stderr(&mut self, bytes: &[u8]);
}

impl Sink for Capture {
    fn stdout(&mut self, bytes: &[u8]) {
        Self::stdout(self, bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        Self::stderr(self, bytes);
    }
}

/// What becomes of those that a process leaves behind in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// They are killed.
    Killed,
    /// They live on, if it exited by itself.
    LivesOn,
}

/// A running process and its group. Dropped while it runs, the whole group is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
}

impl Process {
    /// Starts `command` with no input and both outputs to us, as the head of a group of its own.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = Group::of(&child);
        Ok(Self { out: child.stdout.take(), err: child.stderr.take(), child, group })
    }

    /// Its number; absent once its end was waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its exit while its output is drained into `sink`; `None` when the time ran out. May be called again.
    pub async fn run_until(&mut self, sink: &mut impl Sink, limit: Duration) -> Option<io::Result<ExitStatus>> {
        timeout(limit, self.run(sink)).await.ok()
    }

    /// Waits for its exit while its output is drained into `sink`. May be dropped and called again.
    pub async fn run(&mut self, sink: &mut impl Sink) -> io::Result<ExitStatus> {
        let Self { child, out, err, .. } = self;
        let mut exited = pin!(child.wait());
        tokio::select! {
            status = &mut exited => status,
            () = drain(out, err, sink) => exited.await,
        }
    }

    /// The same, and kills what it leaves behind in its group: always, or only when a signal ended it. That is done before
    /// its number can belong to another.
    pub async fn run_with(&mut self, sink: &mut impl Sink, left: Left) -> io::Result<ExitStatus> {
        // Without this kind of hold (Linux before 5.3) the exit is waited for in the ordinary way.
        if let Some(held) = self.group.hold() {
            let mut exited = pin!(held.readable());
            tokio::select! {
                _ = &mut exited => {}
                () = drain(&mut self.out, &mut self.err, sink) => drop(exited.await),
            }
            if left == Left::Killed || self.group.was_killed() {
                self.signal(Signal::KILL);
            }
            self.release();
        }
        let status = self.run(sink).await;
        if left == Left::Killed || status.as_ref().is_ok_and(|status| status.code().is_none()) {
            self.signal(Signal::KILL);
        }
        self.release();
        status
    }

    /// Reads on after the exit, to the end of both outputs; false when somebody else holds one open for too long.
    pub async fn read_rest(&mut self, sink: &mut impl Sink) -> bool {
        timeout(LEFT_OPEN, drain(&mut self.out, &mut self.err, sink)).await.is_ok()
    }

    /// Ends the whole group: politely, then not.
    pub async fn stop(&mut self, sink: &mut impl Sink) {
        self.signal(Signal::TERM);
        let obeyed = self.run_until(sink, TERM_TO_KILL).await.is_some();
        // Children that ignored the signal go too: their parent is gone.
        self.signal(Signal::KILL);
        if !obeyed {
            // Only a process stuck in the kernel outlives this; then we stop listening and tell what we know.
            let _ = self.run_until(sink, TERM_TO_KILL).await;
        }
        self.release();
    }

    /// Sends a signal to the whole group; a group that is gone is no error.
    pub fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// Lets go of what the process left behind: a daemon that it started was its purpose.
    pub fn release(&mut self) {
        self.group.0 = None;
    }
}

/// Reads both outputs to their end. May be dropped and called again: nothing that was read is lost.
async fn drain(out: &mut Option<ChildStdout>, err: &mut Option<ChildStderr>, sink: &mut impl Sink) {
    let (mut a, mut b) = (vec![0; 8192], vec![0; 8192]);
    while out.is_some() || err.is_some() {
        tokio::select! {
            n = read(out, &mut a) => match a.get(..n) {
                Some(bytes) if n > 0 => sink.stdout(bytes),
                _ => *out = None,
            },
            n = read(err, &mut b) => match b.get(..n) {
                Some(bytes) if n > 0 => sink.stderr(bytes),
                _ => *err = None,
            },
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

/// The process group; killed when dropped, unless it was let go.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Watches its head.
    fn hold(&self) -> Option<AsyncFd<OwnedFd>> {
        watched(pidfd_open(self.0?, PidfdFlags::empty()).ok()?).ok()
    }

    /// Says whether a signal ended its head, whose end nobody has asked for yet.
    fn was_killed(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = self.0.and_then(|pid| waitid(WaitId::Pid(pid), options).ok().flatten());
        status.is_some_and(|status| status.killed() || status.dumped())
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what we want.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Makes a hold on a process (`pidfd_open`) readable, in tokio's sense, at the end of that process.
#[expect(
    deprecated,
    reason = "the newer form is unsafe, for descriptors that close early; an OwnedFd is open as long as it lives"
)]
pub fn watched(held: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(held, Interest::READABLE)
}

/// How a process ended.
pub fn exit(status: ExitStatus) -> Exit {
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
