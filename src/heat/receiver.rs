//! Who is sent the signals: one process, held from the start, so that no other with its number ever gets one; or we ourselves.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, kill_process, pidfd_open, pidfd_send_signal, test_kill_process};
use tokio::io::unix::AsyncFd;

use crate::host::process::watched;

use super::signal::SignalName;

/// Who is sent the signals.
#[derive(Debug)]
pub enum Receiver {
    /// This process, wherever its number goes.
    Process {
        /// Its number.
        pid: Pid,
        /// The hold on it; readable once it has ended.
        held: AsyncFd<OwnedFd>,
    },
    /// This program.
    Ourselves,
}

impl Receiver {
    /// Takes hold of a process, or says why it cannot.
    pub fn hold(pid: Pid) -> Result<Self, String> {
        let held = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| missing(pid, error))?;
        if ended(&held) {
            return Err(missing(pid, Errno::SRCH));
        }
        test_kill_process(pid).map_err(|error| missing(pid, error))?;
        // What was asked about the number was answered about the process only if that is still there.
        if ended(&held) {
            return Err(missing(pid, Errno::SRCH));
        }
        let held = watched(held).map_err(|error| format!("process {pid} cannot be watched: {error}"))?;
        Ok(Self::Process { pid, held })
    }

    /// Ends when the process has ended; never ends for ourselves.
    pub async fn gone(&self) {
        match self {
            // An error means that we no longer see it, which is no better.
            Self::Process { held, .. } => drop(held.readable().await),
            Self::Ourselves => std::future::pending().await,
        }
    }

    /// Sends a signal, or says why it did not.
    pub fn send(&self, signal: SignalName) -> Result<(), Unsent> {
        match self {
            Self::Process { pid, held } => match pidfd_send_signal(held, signal.signal) {
                Ok(()) => Ok(()),
                Err(Errno::SRCH) => Err(Unsent::Gone),
                Err(error) => Err(Unsent::Refused(format!("{signal} could not be sent to process {pid}: {error}"))),
            },
            Self::Ourselves => kill_process(getpid(), signal.signal)
                .map_err(|error| Unsent::Refused(format!("{signal} could not be sent to heat itself: {error}"))),
        }
    }

    /// The number of the process.
    pub fn pid(&self) -> i32 {
        match self {
            Self::Process { pid, .. } => pid.as_raw_nonzero().get(),
            Self::Ourselves => getpid().as_raw_nonzero().get(),
        }
    }
}

/// Why a signal was not sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The process has ended.
    Gone,
    /// For this reason.
    Refused(String),
}

/// True when the process behind a hold has ended, also when nobody has asked for its end yet.
fn ended(held: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(held, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

fn missing(pid: Pid, error: Errno) -> String {
    match error {
        Errno::SRCH => {
            format!(
                "there is no process {pid}: look for the number of the one that is to receive the signals with pgrep"
            )
        }
        // What the kernel says about a thread that is not the first of its process.
        Errno::INVAL | Errno::NOENT => format!("{pid} is the number of a thread, not of a process: give the process"),
        Errno::PERM => format!(
            "process {pid} belongs to another user and cannot be sent signals: run heat as that user, or as root"
        ),
        Errno::NOSYS => {
            "this kernel cannot hold a process (pidfd_open, Linux 5.3), so --pid is not safe here".to_owned()
        }
        error => format!("process {pid} cannot be held: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    #[tokio::test]
    async fn a_process_that_ends_is_gone_even_while_its_number_is_still_taken() {
        let (mut child, pid) = sleeper();
        let receiver = Receiver::hold(pid).unwrap();
        assert_eq!((receiver.send("CONT".parse().unwrap()), receiver.pid()), (Ok(()), pid.as_raw_nonzero().get()));
        child.kill().unwrap();
        receiver.gone().await;
        // Not waited for: a zombie. Then it is reaped, and the number is free.
        assert!(Receiver::hold(pid).unwrap_err().contains("there is no process"));
        child.wait().unwrap();
        assert_eq!(receiver.send("TERM".parse().unwrap()), Err(Unsent::Gone));
        assert!(Receiver::hold(pid).unwrap_err().contains("there is no process"));
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        let pid = Pid::from_raw(4711).unwrap();
        for (error, part) in [
            (Errno::SRCH, "no process 4711"),
            (Errno::INVAL, "a thread"),
            (Errno::PERM, "another user"),
            (Errno::NOSYS, "Linux 5.3"),
            (Errno::MFILE, "cannot be held"),
        ] {
            assert!(missing(pid, error).contains(part), "{error}");
        }
    }
}
