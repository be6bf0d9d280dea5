//! What kinds that run shell text on a host stand on: its environment, and its end in words. No kind lives here.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::domain::remedy::{Run, RunStatus};
use crate::host::{Exit, Host, Order, RunResult};

use super::{Call, Done, excerpt};

/// Runs a text once on a host, for this call.
pub(super) async fn run(host: &Host, shell: &str, call: &Call, ready: BoxFuture<'_, bool>) -> Done {
    let order = Order { shell: shell.to_owned(), env: environment(call), limit: call.limit };
    let begun = Instant::now();
    let result = host.run(&order, ready).await;
    done(result, begun.elapsed())
}

/// What the command finds in its environment.
fn environment(call: &Call) -> Vec<(String, String)> {
    let incident = call.incident.map(|id| id.to_string()).unwrap_or_default();
    [
        ("MONITOR_PAIR", call.pair.to_string()),
        ("MONITOR_SITE", call.pair.site.to_string()),
        ("MONITOR_SERVER", call.pair.server.to_string()),
        ("MONITOR_ATTEMPT", call.attempt.to_string()),
        ("MONITOR_RUNG", call.rung.to_string()),
        ("MONITOR_INCIDENT", incident),
        ("MONITOR_RUN", call.run.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Turns the end of a run into what people and records are told.
pub(super) fn done(result: RunResult, took: Duration) -> Done {
    match result {
        Ok(finished) => {
            let status = finished.status();
            let (exit_code, signal) = match finished.exit {
                Exit::Code(code) => (Some(code), None),
                Exit::Signal(name) => (None, Some(name)),
            };
            let error = match (status, &signal, exit_code) {
                (RunStatus::Executed, _, _) => String::new(),
                (_, Some(name), _) => format!("the command was killed by SIG{name}"),
                (_, None, Some(126)) => {
                    "the command exited with code 126: it was found and could not be executed; check its permissions"
                        .into()
                }
                (_, None, Some(127)) => {
                    "the command exited with code 127: it was not found; check its path for this user".into()
                }
                (_, None, code) => format!("the command exited with code {}", code.unwrap_or_default()),
            };
            let run = Run {
                status,
                started: true,
                exit_code,
                signal,
                duration: finished.duration,
                excerpt: excerpt(&finished.captured.text),
                error,
            };
            Done { run, output: finished.captured }
        }
        Err(error) => {
            let output = error.captured().cloned().unwrap_or_default();
            let run = Run {
                status: error.status(),
                started: error.started(),
                exit_code: None,
                signal: None,
                duration: took,
                excerpt: excerpt(&output.text),
                error: error.to_string(),
            };
            Done { run, output }
        }
    }
}
