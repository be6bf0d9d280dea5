//! A signal to a process of this machine, after making sure that it is still the same process.
//!
//! A number of a process says little: the process may have ended and another may have got its number. So the process is
//! remembered by number and start when a check begins to fail, looked at again before it is held by a pidfd, and once more
//! while it is held. Over SSH there is no such hold: a site behind SSH takes a command.

mod name;
mod process;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal, test_kill_process};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::domain::remedy::{Run, RunStatus};
use crate::host::output::Capture;
use crate::host::{Captured, HostError};

use super::{Call, Done, Remedy, excerpt, shell};

pub use name::SignalName;
pub use process::{LONGEST_NAME, Process, Sought};

/// What people call it.
pub const KIND: &str = "signal";

/// This machine, as records call it.
const HERE: &str = "localhost";

/// Which signal is sent to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The signal.
    pub signal: SignalName,
    /// The process.
    pub sought: Sought,
}

impl fmt::Display for Order {
    /// Writes what people read: `kill -HUP nginx (pid file /run/nginx.pid)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill -{} {}", self.signal.name, self.sought)
    }
}

/// A signal to a process of this machine.
pub struct Signal {
    order: Order,
    text: String,
    /// Nothing is sent; it is only asked whether it could be.
    harmless: bool,
    /// What was found when a check began to fail.
    seen: Arc<Mutex<Seen>>,
    /// Looks under way.
    looks: Mutex<JoinSet<()>>,
}

/// What a look at the beginning of a failing check found.
#[derive(Debug, Clone, Default)]
enum Seen {
    /// Nobody looked.
    #[default]
    Nothing,
    /// No process, or not the one that is meant, for this reason: whoever is there later did not fail.
    Nobody(String),
    /// This one.
    One(Process),
}

impl Signal {
    /// Takes the order.
    pub fn new(order: Order) -> Self {
        let text = order.to_string();
        Self { order, text, harmless: false, seen: Arc::default(), looks: Mutex::default() }
    }

    /// What the check saw, once every look has ended.
    async fn remembered(&self) -> Seen {
        let mut looks = std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner));
        while looks.join_next().await.is_some() {}
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds the process again; files may be slow, so it does not hold up other work.
    async fn find(&self) -> Result<Process, String> {
        let sought = self.order.sought.clone();
        match tokio::task::spawn_blocking(move || sought.find()).await {
            Ok(found) => found,
            Err(_) => Err("the look for the process ended early; this is a bug of the monitor".to_owned()),
        }
    }

    /// Sends it; the text says to whom, the error why nothing was sent.
    async fn send(&self, call: &Call, ready: BoxFuture<'_, bool>) -> Result<String, Unsent> {
        // A person means the process that is there now.
        let before = if call.attempt == 0 { Seen::Nothing } else { self.remembered().await };
        let process = self.find().await.map_err(Unsent::Why)?;
        match before {
            Seen::One(before) if (before.pid, before.started) != (process.pid, process.started) => {
                return Err(Unsent::Why(format!(
                    "{} was process {before} when the check failed and is process {process} now: somebody restarted it, so \
                     nothing was sent; the next check decides",
                    self.order.sought
                )));
            }
            Seen::Nobody(why) => {
                return Err(Unsent::Why(format!(
                    "{} is process {process} now and was not found when the check failed ({why}): somebody started it \
                     since, so nothing was sent; the next check decides",
                    self.order.sought
                )));
            }
            Seen::One(_) | Seen::Nothing => {}
        }
        let held = pidfd_open(process.pid, PidfdFlags::empty()).map_err(|error| self.refused(&process, error))?;
        // Only now the number cannot pass to another process.
        if Process::of(process.pid).is_none_or(|now| now.started != process.started) {
            return Err(self.refused(&process, Errno::SRCH));
        }
        if !ready.await {
            return Err(Unsent::Withheld);
        }
        if self.harmless {
            test_kill_process(process.pid).map_err(|error| self.refused(&process, error))?;
            return Ok(format!("{} could be sent to process {process}\n", self.order.signal.name));
        }
        pidfd_send_signal(&held, self.order.signal.signal).map_err(|error| self.refused(&process, error))?;
        Ok(format!("sent {} to process {process}\n", self.order.signal.name))
    }

    fn refused(&self, process: &Process, error: Errno) -> Unsent {
        let signal = self.order.signal.name;
        Unsent::Why(match error {
            Errno::SRCH => format!("process {process} ended just before {signal} was sent; nothing was sent"),
            Errno::PERM => format!(
                "this agent may not send {signal} to process {process}, which belongs to another user: run the agent as \
                 that user or give it CAP_KILL, see deploy/local-remedies.conf.example"
            ),
            Errno::NOSYS => {
                "this kernel cannot hold a process (pidfd_open, Linux 5.3): use a command instead".to_owned()
            }
            error => format!("{signal} could not be sent to process {process}: {error}"),
        })
    }
}

/// Why nothing was sent.
enum Unsent {
    /// For this reason.
    Why(String),
    /// It was no longer wanted.
    Withheld,
}

impl Remedy for Signal {
    fn host(&self) -> &str {
        HERE
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn warm(&self) {
        let (sought, seen) = (self.order.sought.clone(), self.seen.clone());
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.try_join_next().is_some() {}
        looks.spawn_blocking(move || {
            let found = sought.find().map_or_else(Seen::Nobody, Seen::One);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
        });
    }

    fn check(&self) -> Option<BoxFuture<'_, Result<String, String>>> {
        Some(Box::pin(async move {
            self.find().await.map(|process| format!("`{}` would go to process {process}", self.text))
        }))
    }

    fn harmless(&self) -> Option<Arc<dyn Remedy>> {
        let text = format!("kill -0 {}", self.order.sought);
        Some(Arc::new(Self { text, harmless: true, ..Self::new(self.order.clone()) }))
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            let begun = Instant::now();
            let sent = timeout(call.limit, self.send(call, ready)).await;
            let took = begun.elapsed();
            match sent {
                Ok(Ok(text)) => {
                    let mut capture = Capture::default();
                    capture.stdout(text.as_bytes());
                    ended(RunStatus::Executed, String::new(), took, capture.finish())
                }
                Ok(Err(Unsent::Why(why))) => ended(RunStatus::Failed, why, took, Captured::default()),
                Ok(Err(Unsent::Withheld)) => shell::done(Err(HostError::Withheld), took),
                Err(_) => {
                    let why = format!("the look for the process did not end within {} s", call.limit.as_secs_f64());
                    ended(RunStatus::Timeout, why, took, Captured::default())
                }
            }
        })
    }
}

fn ended(status: RunStatus, error: String, duration: Duration, output: Captured) -> Done {
    let started = status == RunStatus::Executed;
    let run = Run { status, started, exit_code: None, signal: None, duration, excerpt: excerpt(&output.text), error };
    Done { run, output }
}
