//! The audit's task: records go to `audit.jsonl` in order, and its head into the store, so that a cut-off end is seen.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::ledger::{AuditSink, Journal};
use crate::store::Write;
use crate::store::audit::{AuditError, AuditLog, CommandRecord, Head, Kind};

/// The file's name in `STATE_DIR`.
pub const FILE: &str = "audit.jsonl";

/// The head's name among the store's settings.
pub const HEAD: &str = "audit_head";

/// How often what waits is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// The last records are on disk within this after the stop, or are given up.
const ENDS: Duration = Duration::from_secs(5);

/// The way in, and the work behind it.
pub struct Audit {
    /// Takes records; never blocks.
    pub sink: AuditSink,
    /// Writes them; ends when the last sink is gone and what waited was tried once more.
    pub work: BoxFuture<'static, ()>,
    /// Knows how many wait.
    pub log: AuditLog,
}

/// Opens the audit of one `STATE_DIR`; `settings` are the store's, with the head that was last known.
pub fn open(state_dir: &Path, journal: &Arc<dyn Journal>, settings: &[(String, String)]) -> anyhow::Result<Audit> {
    let path = state_dir.join(FILE);
    let (log, opened) = AuditLog::open(&path).context("the audit cannot be opened")?;
    if let Some(aside) = opened.torn {
        tracing::warn!("the last line of {} was torn by a crash, it is kept in {}", path.display(), aside.display());
    }
    if let Some(known) = known_head(settings).filter(|known| known.seq > opened.head.seq) {
        tracing::error!(
            "{} ends at record {}, and the store knows of record {}: records were removed; `monitor audit verify` tells more",
            path.display(),
            opened.head.seq,
            known.seq
        );
    }
    // Unbounded on purpose: the engine must never wait here, and there is one record per command.
    let (send, records) = mpsc::unbounded_channel::<CommandRecord>();
    let sink: AuditSink = Arc::new(move |record| drop(send.send(record)));
    let journal = journal.clone();
    let keeper = Keeper { log: log.clone(), journal: journal.clone(), failing: false, lost: 0 };
    Ok(Audit { sink, work: Box::pin(keeper.run(records)), log })
}

/// Waits until the work ended, once the sinks are gone. A disk that hangs does not hold the stop.
pub async fn ended(mut work: JoinSet<()>) {
    if tokio::time::timeout(ENDS, async { while work.join_next().await.is_some() {} }).await.is_err() {
        tracing::error!("the audit did not end within {}s of the stop; its last records may be lost", ENDS.as_secs());
        work.shutdown().await;
    }
}

/// Writes records, and those that wait again and again.
struct Keeper {
    log: AuditLog,
    journal: Arc<dyn Journal>,
    /// An outage was told of and is not over.
    failing: bool,
    /// Records lost since the start.
    lost: usize,
}

impl Keeper {
    async fn run(mut self, mut records: mpsc::UnboundedReceiver<CommandRecord>) {
        loop {
            let again = async {
                match self.log.waiting() {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep(AGAIN).await,
                }
            };
            let done = tokio::select! {
                record = records.recv() => {
                    let Some(record) = record else { break };
                    let kind = if record.is_refusal() { Kind::Refusal } else { Kind::Command };
                    self.log.append(kind, record).await
                }
                () = again => self.log.flush().await,
            };
            self.take(done);
        }
        if self.log.waiting() > 0 {
            let done = self.log.flush().await;
            self.take(done);
        }
        let lost = self.lost + self.log.waiting();
        if lost > 0 {
            tracing::error!(
                lost,
                "the audit could not be written; {lost} records are lost, the log has their commands"
            );
        }
    }

    fn take(&mut self, done: Result<Head, AuditError>) {
        let error = match done {
            Ok(head) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(
                        "the audit is written again, up to record {}; {} records are lost",
                        head.seq,
                        self.lost
                    );
                }
                self.journal.record(vec![Write::Setting { key: HEAD.to_owned(), value: head.to_string() }]);
                return;
            }
            Err(error) => error,
        };
        // What waits is told of once per outage; what is lost is told of each time that somebody must know of it.
        let told = if matches!(error, AuditError::Later { .. }) {
            std::mem::replace(&mut self.failing, true)
        } else {
            self.lost += 1;
            !self.lost.is_power_of_two()
        };
        if !told {
            tracing::error!(lost = self.lost, "{}", crate::store::in_one_line(&error));
        }
    }
}

/// Reads the head that the store knows of.
pub fn known_head(settings: &[(String, String)]) -> Option<Head> {
    let (_, value) = settings.iter().find(|(key, _)| key == HEAD)?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};

    use jiff::{Timestamp, Zoned, tz::TimeZone};
    use tempfile::TempDir;

    use super::*;
    use crate::domain::remedy::{RunId, RunStatus};
    use crate::store::audit::{Verification, verify};

    /// Tells of each head that is handed over.
    struct Heads(mpsc::UnboundedSender<Head>);

    impl Journal for Heads {
        fn record(&self, writes: Vec<Write>) {
            for write in writes {
                let Write::Setting { key, value } = write else { panic!("{write:?}") };
                self.0.send(known_head(&[(key, value)]).unwrap()).unwrap();
            }
        }

        fn recorded(&self, _: Vec<Write>, _: Duration) -> BoxFuture<'static, bool> {
            Box::pin(std::future::ready(true))
        }
    }

    fn record() -> CommandRecord {
        let time = Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC);
        CommandRecord {
            timestamp: time.clone(),
            pair: "DC3-SRV4".parse().unwrap(),
            dc_host: "dc3.example.com".to_owned(),
            command: "true".to_owned(),
            output: String::new(),
            status: RunStatus::Executed,
            time,
            run_id: RunId(uuid::Uuid::nil()),
            incident_id: None,
            attempt: 1,
            rung: 1,
            exit_code: Some(0),
            signal: None,
            duration_ms: 1,
            output_bytes: 0,
            output_sha256: String::new(),
            truncated: false,
            error: String::new(),
        }
    }

    /// An audit whose disk is full, and the file that it had.
    fn full() -> (TempDir, Audit, mpsc::UnboundedReceiver<Head>, File) {
        let folder = tempfile::tempdir().unwrap();
        let (send, heads) = mpsc::unbounded_channel();
        let journal: Arc<dyn Journal> = Arc::new(Heads(send));
        let audit = open(folder.path(), &journal, &[]).unwrap();
        let real = audit.log.swap_file(OpenOptions::new().write(true).open("/dev/full").unwrap());
        (folder, audit, heads, real)
    }

    async fn until_one_waits(log: &AuditLog) {
        let waits = async {
            while log.waiting() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), waits).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_waits_is_written_soon_without_another_one() {
        let (folder, Audit { sink, work, log }, mut heads, real) = full();
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        sink(record());
        until_one_waits(&log).await;
        log.swap_file(real);
        let head = tokio::time::timeout(2 * AGAIN, heads.recv()).await.unwrap().unwrap();
        assert_eq!((head.seq, log.waiting()), (1, 0));
        assert!(matches!(verify(&folder.path().join(FILE), Some(&head)).unwrap(), Verification::Verified(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_tried_once_more_at_the_end() {
        let (_folder, Audit { sink, work, log }, mut heads, real) = full();
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        sink(record());
        until_one_waits(&log).await;
        log.swap_file(real);
        drop(sink);
        tokio::time::timeout(AGAIN / 2, tasks.join_next()).await.unwrap();
        assert_eq!((heads.recv().await.unwrap().seq, log.waiting()), (1, 0));
    }
}
