//! Units of systemd on a host: started, restarted or stopped in order, then looked at with `systemctl is-active`.
//!
//! Where they are is the host's business, here or over SSH. Whether the target is healed only probes can say.

mod advice;
mod script;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::remedy::RunStatus;
use crate::host::output::one_line;
use crate::host::{Exit, Host, Order};

use super::{Call, Done, Remedy, shell};

pub use unit::Unit;

/// What people call it.
pub const KIND: &str = "systemd";

/// Characters of the last line of output that go into the sentence about a failure.
const LAST_LINE: usize = 200;
/// A look at units must end within this.
const LOOK: Duration = Duration::from_secs(20);

/// What is done with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Starts them; one that runs already stays as it is.
    Start,
    /// Restarts them; one that does not run is started.
    Restart,
    /// Stops them.
    Stop,
}

impl Action {
    /// The word that systemctl takes.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// Units of a site and what is done with them.
pub struct Systemd {
    host: Arc<Host>,
    /// `dc_host` in the records.
    name: String,
    /// What exclusivity goes by.
    lane: String,
    text: String,
    script: String,
    look: String,
    units: Box<[Unit]>,
}

impl Systemd {
    /// Joins a host, its name in the records, the address that exclusivity goes by, and units in the order in which they
    /// are written. They are started in that order and stopped in reverse.
    pub fn new(host: Arc<Host>, name: String, lane: String, action: Action, units: &[Unit]) -> Self {
        let mut order: Vec<&Unit> = units.iter().collect();
        if action == Action::Stop {
            order.reverse();
        }
        let script = script::acting(action, &order);
        let look = script::looking(&order);
        Self { host, name, lane, text: line(action, units), script, look, units: units.into() }
    }
}

/// What is done, as people read it: `systemctl start a.service b.timer`.
pub fn line(action: Action, units: &[Unit]) -> String {
    let mut names: Vec<&str> = units.iter().map(Unit::as_str).collect();
    if action == Action::Stop {
        names.reverse();
    }
    format!("systemctl {} {}", action.verb(), names.join(" "))
}

impl Remedy for Systemd {
    fn host(&self) -> &str {
        &self.name
    }

    fn lane(&self) -> &str {
        &self.lane
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn warm(&self) {
        self.host.warm();
    }

    fn repeatable(&self) -> bool {
        true
    }

    fn check(&self) -> Option<BoxFuture<'_, Result<String, String>>> {
        Some(Box::pin(async move {
            let order = Order { shell: self.look.clone(), env: Vec::new(), limit: LOOK };
            match self.host.run(&order, async { true }).await {
                Ok(done) if done.exit == Exit::Code(0) => {
                    Ok(format!("{} knows the units of `{}`", self.name, self.text))
                }
                Ok(done) => {
                    let said = one_line(done.captured.text.as_bytes(), LAST_LINE);
                    let advice = advice::advice(&done.captured.text).map(|advice| format!("; {advice}"));
                    Err(format!(
                        "`{}` would not work on {}: {said}{}",
                        self.text,
                        self.name,
                        advice.unwrap_or_default()
                    ))
                }
                Err(error) => Err(error.to_string()),
            }
        }))
    }

    /// Looks at the units. One that is not active is no fault: a service that is started when it is needed should not be.
    fn harmless(&self) -> Option<Arc<dyn Remedy>> {
        let units: Vec<&Unit> = self.units.iter().collect();
        let names: Vec<&str> = self.units.iter().map(Unit::as_str).collect();
        Some(Arc::new(Self {
            host: self.host.clone(),
            name: self.name.clone(),
            lane: self.lane.clone(),
            text: format!("systemctl is-active {}", names.join(" ")),
            script: script::rehearsing(&units),
            look: self.look.clone(),
            units: self.units.clone(),
        }))
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            let mut done = shell::run(&self.host, &self.script, call, ready).await;
            let output = &done.output.text;
            match (done.run.status, done.run.started) {
                (RunStatus::Failed, true) => {
                    let last = output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                    let last = one_line(last.as_bytes(), LAST_LINE);
                    let told = if last.is_empty() { std::mem::take(&mut done.run.error) } else { last };
                    let advice = advice::advice(output).map(|advice| format!("; {advice}")).unwrap_or_default();
                    done.run.error = told + &advice;
                }
                (RunStatus::Timeout, true) => {
                    // The job belongs to systemd: what was stopped is only the program that waited for it.
                    done.run
                        .error
                        .push_str("; systemd may go on with its job, `systemctl list-jobs` on the host tells");
                }
                _ => {}
            }
            done
        })
    }
}
