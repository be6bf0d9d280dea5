//! What is in trouble beside the engine, in sentences for `status` and health.

use std::sync::Arc;
use std::time::Duration;

use crate::store::audit::AuditLog;

use super::discovery::Register;
use super::lock::Marked;
use super::log::LogGuard;

/// A failure of the log counts as trouble for so long.
const LOG_TROUBLE_LASTS: Duration = Duration::from_mins(5);

/// What is in trouble with the log, the audit, the file and the list of `DISCOVERY_URL`, for health: one that fails stops
/// nothing, and must not fail unseen.
pub(super) fn of(
    log: Option<&Arc<LogGuard>>,
    audit: AuditLog,
    marked: Option<(Arc<Marked>, String)>,
    discovery: Arc<Register>,
) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
    let counters = log.map(|log| log.ledger());
    Arc::new(move || {
        let failing = counters.as_ref().and_then(|counters| counters.failing_within(LOG_TROUBLE_LASTS));
        let failing = failing.map(|error| format!("log: {error}"));
        let waiting = Some(audit.waiting()).filter(|waiting| *waiting > 0);
        let waiting = waiting.map(|waiting| format!("audit: {waiting} records wait"));
        let shared = marked.as_ref().filter(|(marked, _)| marked.is_shared()).map(|(_, name)| {
            format!(
                "another agent runs with the same {name} in another STATE_DIR; stop one of them if that is not meant"
            )
        });
        failing.into_iter().chain(waiting).chain(shared).chain(discovery.trouble()).collect()
    })
}
