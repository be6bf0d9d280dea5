//! The audit's task: records go to `audit.jsonl` in order, and its head into the store, so that a cut-off end is seen.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use crate::engine::ledger::{AuditSink, Journal};
use crate::store::Write;
use crate::store::audit::{AuditLog, CommandRecord, Head, Kind};

/// The file's name in `STATE_DIR`.
pub const FILE: &str = "audit.jsonl";

/// The head's name among the store's settings.
pub const HEAD: &str = "audit_head";

/// The way in, and the work behind it.
pub struct Audit {
    /// Takes records; never blocks.
    pub sink: AuditSink,
    /// Writes them; ends when the last sink is gone.
    pub work: BoxFuture<'static, ()>,
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
    let (send, mut records) = mpsc::unbounded_channel::<CommandRecord>();
    let sink: AuditSink = Arc::new(move |record| drop(send.send(record)));
    let journal = journal.clone();
    let work = Box::pin(async move {
        let mut failing = false;
        while let Some(record) = records.recv().await {
            let kind = if record.is_refusal() { Kind::Refusal } else { Kind::Command };
            match log.append(kind, record).await {
                Ok(head) => {
                    failing = false;
                    journal.record(vec![Write::Setting { key: HEAD.to_owned(), value: head.to_string() }]);
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::error!("{}", crate::store::in_one_line(&error));
                }
                Err(_) => {}
            }
        }
    });
    Ok(Audit { sink, work })
}

/// Reads the head that the store knows of.
pub fn known_head(settings: &[(String, String)]) -> Option<Head> {
    let (_, value) = settings.iter().find(|(key, _)| key == HEAD)?;
    value.parse().ok()
}
