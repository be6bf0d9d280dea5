//! What can go wrong with the database, split by what the caller does about it.

use std::path::PathBuf;
use std::time::Duration;

use super::Kind;

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is of no kind we know.
    #[error("DATABASE_URL is not usable: {0}; write `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`")]
    BadUrl(String),
    /// The database file could not be created or its mode set.
    #[error("the database file {} cannot be created or opened; see that its folder exists and belongs to this user", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Written by a newer `monitor`.
    #[error(
        "the database is of a newer monitor (it has step {step}, unknown here); start that version again, or restore the copy made before it"
    )]
    Newer {
        /// The first migration that this program does not know.
        step: i64,
    },
    /// A migration that was already applied has another text now.
    #[error(
        "step {step} of the database differs from this program's; the file belongs to another build, start that one"
    )]
    Foreign {
        /// The migration that differs.
        step: i64,
    },
    /// The file is damaged, or is no database at all.
    #[error(
        "the database {place} is damaged ({what}); stop monitor, move the file and its -wal and -shm away, start again (history is lost, checks go on), or try `sqlite3 OLD .recover | sqlite3 NEW`"
    )]
    Corrupt {
        /// The file.
        place: String,
        /// What SQLite said.
        what: String,
    },
    /// A migration failed.
    #[error("the database could not be brought up to date")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// Locked, full, unreachable or out of memory: the same write may succeed later.
    #[error(
        "the database cannot be used now; see that its disk has room, that nobody holds a lock on it and that its server answers"
    )]
    Unavailable(#[source] sqlx::Error),
    /// The database refuses this very write and always will.
    #[error("the database refuses this write for good")]
    Rejected(#[source] sqlx::Error),
    /// No answer in time.
    #[error("the database did not answer within {}s", .0.as_secs())]
    Slow(Duration),
}

impl StoreError {
    /// True when repeating the same write cannot help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// Sorts a driver's error by what can be done about it.
    pub(super) fn sort(kind: &Kind, error: sqlx::Error) -> Self {
        if let (Kind::Sqlite { path }, Some(11 | 26)) = (kind, sqlite_code(&error)) {
            return Self::Corrupt { place: path.display().to_string(), what: error.to_string() };
        }
        let is_final = match kind {
            // SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG: <https://www.sqlite.org/rescode.html>.
            Kind::Sqlite { .. } => matches!(sqlite_code(&error), Some(18..=20)),
            // Data exception and integrity violation: <https://www.postgresql.org/docs/current/errcodes-appendix.html>;
            // 54000 is a value too large for a row or an index.
            Kind::Postgres => error
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23") || code.starts_with("54")),
        };
        if is_final || matches!(error, sqlx::Error::Encode(_)) {
            Self::Rejected(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

/// SQLite's primary result code: the low byte of the extended one.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}

/// Joins an error with its sources into one printable line of at most 500 characters.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
