//! Floor 2: what survives a restart.
//!
//! Here are the history, the outbox, the engine's saved state and the audit chain. One text of SQL serves SQLite and
//! PostgreSQL. What is worth writing is decided in `engine`; how a notice is delivered lives in `notify`.

mod apply;
pub mod audit;
mod error;
pub mod history;
mod open;
pub mod recorder;
pub mod report;
mod retention;
mod saved;
mod write;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AnyPool, Connection};

pub use error::{StoreError, in_one_line};
pub use recorder::{Health, NotRecorded, Recorder, Writing};
pub use retention::{KEPT_DAYS, Pruned};
pub use saved::{PendingNotice, Saved, Thread};
use writer::Writer;

pub use write::{Closing, Ended, Order, Write};

/// One transaction and one read must end within this; a frozen database must not hold the writer, or whoever asks, for ever.
pub const COMMIT_LIMIT: Duration = Duration::from_secs(20);

/// Which database it is.
#[derive(Debug, Clone)]
enum Kind {
    Sqlite { path: PathBuf },
    Postgres,
}

/// The database: one writer, several readers.
#[derive(Debug, Clone)]
pub struct Store {
    kind: Arc<Kind>,
    writer: Arc<Writer>,
    readers: AnyPool,
}

impl Store {
    /// Writes all or nothing, in this order, in one transaction; returns once it is on disk.
    ///
    /// Writing the same thing twice does no harm: a lost answer to a commit is simply repeated.
    ///
    /// # Errors
    /// [`StoreError::is_final`] tells whether repeating can help.
    pub async fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.commit_all(writes.iter()).await
    }

    async fn commit_all<'a>(&self, writes: impl Iterator<Item = &'a Write> + Send) -> Result<(), StoreError> {
        let writes: Vec<&Write> = writes.collect();
        let begin = match *self.kind {
            // The lock is asked for before anything is done.
            Kind::Sqlite { .. } => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        let work = async {
            let (mut place, mut connection) = self.writer.lend().await?;
            let mut transaction = connection.begin_with(begin).await?;
            apply::apply(&mut transaction, &writes).await?;
            transaction.commit().await?;
            *place = Some(connection);
            Ok(())
        };
        self.within_limit(work).await
    }

    /// Gives work on the database up at [`COMMIT_LIMIT`]: a frozen disk or a server that fell silent answers nothing at all.
    async fn within_limit<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(COMMIT_LIMIT, work).await {
            Ok(done) => done.map_err(|error| self.sort(error)),
            Err(_) => Err(StoreError::Slow(COMMIT_LIMIT)),
        }
    }

    /// Waits until the connections are closed; without it nothing is lost, only SQLite's `-wal` file stays behind.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn sort(&self, error: sqlx::Error) -> StoreError {
        StoreError::sort(&self.kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_on_a_database_that_never_answers_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/a.db", folder.path().display())).await.unwrap();
        tokio::time::pause();
        let never = std::future::pending::<Result<(), sqlx::Error>>();
        assert!(matches!(store.within_limit(never).await, Err(StoreError::Slow(COMMIT_LIMIT))));
    }
}
