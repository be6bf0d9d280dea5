//! The one connection that writes.
//!
//! SQLite ends a transaction by itself when its disk is full or its memory short; sqlx goes on counting that transaction,
//! takes the next for one nested in it, and then reports as committed what is on no disk. So this connection is taken out
//! for each use and put back only after a success: one that saw an error, or whose work was given up, is not used again.

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection, Executor};
use tokio::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(super) struct Writer {
    options: AnyConnectOptions,
    statements: &'static str,
    connection: Mutex<Option<AnyConnection>>,
}

impl Writer {
    pub(super) fn new(options: AnyConnectOptions, statements: &'static str) -> Self {
        Self { options, statements, connection: Mutex::default() }
    }

    /// Gives the connection and the place to put it back into after a success.
    pub(super) async fn lend(&self) -> Result<(MutexGuard<'_, Option<AnyConnection>>, AnyConnection), sqlx::Error> {
        let mut place = self.connection.lock().await;
        if let Some(connection) = place.take() {
            return Ok((place, connection));
        }
        let mut connection = self.options.connect().await?;
        prepare(&mut connection, self.statements).await?;
        Ok((place, connection))
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // Everything that was answered is on disk already.
            let _ = connection.close().await;
        }
    }
}

/// Sets a fresh connection up; `statements` are separated by `;`.
pub(super) async fn prepare(connection: &mut AnyConnection, statements: &'static str) -> Result<(), sqlx::Error> {
    for statement in statements.split_inclusive(';') {
        connection.execute(statement).await?;
    }
    Ok(())
}
