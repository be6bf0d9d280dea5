//! Remedies beside the command: units behind a stand-in `systemctl` on real hosts, signals to real processes, real requests.

mod signal;
mod systemd;
mod webhook;

use std::time::Duration;

use monitor::domain::name::PairName;
use monitor::domain::remedy::{IncidentId, RunId};
use monitor::remedy::{Call, Done, Remedy};
use uuid::Uuid;

/// A call of the first failing check.
fn call() -> Call {
    Call {
        pair: "DC3:SRV4".parse::<PairName>().unwrap(),
        incident: Some(IncidentId(Uuid::nil())),
        run: RunId(Uuid::nil()),
        attempt: 1,
        rung: 1,
        limit: Duration::from_secs(20),
    }
}

/// Runs it with a limit on the whole test.
async fn run(remedy: &dyn Remedy, call: &Call) -> Done {
    let run = remedy.run(call, Box::pin(async { true }));
    tokio::time::timeout(Duration::from_mins(1), run).await.expect("every run has an end")
}

/// Asks for a run that is no longer wanted when its time has come.
async fn withheld(remedy: &dyn Remedy) {
    let done = remedy.run(&call(), Box::pin(async { false })).await;
    assert!(!done.run.started && done.run.error.contains("withheld"), "{:?}", done.run);
}
