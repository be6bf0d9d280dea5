//! Commands on this machine: `sh -c` in a process group of its own, so that a limit reaches its children too.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::output::Capture;
use super::process::{Process, exit};
use super::{CheckReport, Finished, HostError, Order, RunResult};

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
        let mut process = Process::start(&mut command).map_err(|e| HostError::Refused {
            address: "this machine".to_owned(),
            why: format!("`sh` did not start: {e}"),
        })?;
        let mut capture = Capture::default();
        let Some(ended) = process.run_until(&mut capture, order.limit).await else {
            process.stop(&mut capture).await;
            return Err(HostError::TimedOut { after: order.limit, captured: Box::new(capture.finish()) });
        };
        process.release();
        let left_open = !process.read_rest(&mut capture).await;
        let status = ended.map_err(|e| HostError::Lost {
            why: format!("its exit status could not be read: {e}"),
            captured: Box::default(),
        })?;
        Ok(Finished { exit: exit(status), captured: capture.finish(), duration: begun.elapsed(), left_open })
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
        let mut command = self.program("sh".as_ref());
        command.arg("-c").arg(&order.shell);
        for (key, value) in &order.env {
            command.env(key, value);
        }
        command
    }

    /// A program as this host starts it, for what is no order: with the environment and in the folder of its commands.
    pub fn program(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", DEFAULT_PATH);
        for (key, value) in self.env.iter().filter(|(key, _)| INHERITED.contains(&key.as_str())) {
            command.env(key, value);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}
