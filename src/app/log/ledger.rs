//! What went wrong with writing the log: counted, kept for health, and told on stderr at most once a minute.

use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_appender::non_blocking::ErrorCounter;

use super::console;

/// Between two complaints on stderr.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How the log is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHealth {
    /// Failed writes, rotations and re-openings since start.
    pub errors: u64,
    /// The newest of them, with what was being done.
    pub last_error: Option<String>,
    /// Lines that reached a sink too fast, or could not be written to it, since start.
    pub dropped: u64,
}

/// Counts trouble; shared by the sinks and whoever reports health.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    health: LogHealth,
    queues: Vec<ErrorCounter>,
    failed_at: Option<Instant>,
    told: Option<(Instant, u64, u64)>,
}

impl Entries {
    fn health(&self) -> LogHealth {
        let waiting = self.queues.iter().map(|queue| queue.dropped_lines() as u64).sum::<u64>();
        LogHealth { dropped: self.health.dropped + waiting, ..self.health.clone() }
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The counters as they are now.
    pub fn health(&self) -> LogHealth {
        self.entries().health()
    }

    /// The newest failure, when it is not older than this: what is long past is no trouble any more.
    pub fn failing_within(&self, time: Duration) -> Option<String> {
        let entries = self.entries();
        let recent = entries.failed_at.is_some_and(|at| at.elapsed() <= time);
        entries.health.last_error.clone().filter(|_| recent)
    }

    pub(super) fn watch_queue(&self, queue: ErrorCounter) {
        self.entries().queues.push(queue);
    }

    /// Counts one failure and the lines it cost.
    pub(super) fn failed(&self, doing: &str, error: &std::io::Error, lines: u64) {
        let mut entries = self.entries();
        entries.health.errors += 1;
        entries.failed_at = Some(Instant::now());
        entries.health.dropped += lines;
        entries.health.last_error = Some(format!("{doing}: {error}"));
        drop(entries);
        self.tell();
    }

    /// Counts lines that a stuck reader would not take.
    pub(super) fn lost(&self, lines: u64) {
        self.entries().health.dropped += lines;
    }

    /// Says on stderr what is new, unless something was said within the last minute. Never waits for stderr's reader.
    pub(super) fn tell(&self) {
        if let Some(text) = self.complaint(Instant::now()) {
            let stderr = std::io::stderr();
            console::offer(stderr.as_fd(), text.as_bytes());
        }
    }

    fn complaint(&self, now: Instant) -> Option<String> {
        let mut entries = self.entries();
        let health = entries.health();
        let (errors, dropped) = match entries.told {
            Some((at, ..)) if now.duration_since(at) < TELL_EVERY => return None,
            Some((_, errors, dropped)) => (errors, dropped),
            None => (0, 0),
        };
        if (health.errors, health.dropped) == (errors, dropped) {
            return None;
        }
        entries.told = Some((now, health.errors, health.dropped));
        let why =
            health.last_error.map_or_else(|| "its reader is too slow".to_owned(), |e| e.escape_debug().to_string());
        Some(format!(
            "monitor: the log is losing lines ({} errors, {} lines dropped so far): {why}; checks and remedies go on; \
             free the disk or repair the folder of LOG_FILE\n",
            health.errors, health.dropped
        ))
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_at_most_once_a_minute_and_not_again_when_nothing_is_new() {
        let ledger = Ledger::new();
        let start = Instant::now();
        assert_eq!(ledger.complaint(start), None);
        ledger.entries().health.errors = 1;
        ledger.entries().health.last_error = Some("write: No space left\u{1b}".to_owned());
        let said = ledger.complaint(start).unwrap();
        assert!(said.contains("No space left\\u{1b}") && said.contains("1 errors"), "{said}");
        ledger.entries().health.errors = 9;
        assert_eq!(ledger.complaint(start + Duration::from_secs(59)), None);
        assert!(ledger.complaint(start + TELL_EVERY).unwrap().contains("9 errors"));
        assert_eq!(ledger.complaint(start + 10 * TELL_EVERY), None);
    }
}
