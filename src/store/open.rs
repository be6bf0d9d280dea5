//! Opens the database: its file, its connections, its schema.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, ConnectOptions};
use url::Url;

use super::writer::{Writer, prepare};
use super::{Kind, Store, StoreError};

static STEPS: Migrator = sqlx::migrate!("src/store/migrations");

/// A connection must be there within this.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Opening with examination and migrations must end within this.
const OPEN_LIMIT: Duration = Duration::from_mins(2);
/// Readers beside the one writer: the control socket, the API and the command line seldom ask more at once.
const READERS: u32 = 4;
/// Larger files are not examined page by page at start: it reads them whole.
const EXAMINED: u64 = 64 * 1024 * 1024;

/// For each SQLite connection. `FULL` syncs the log at every commit, so an intent outlives a power cut as well as `kill -9`;
/// group commit pays for it. One second of waiting for a lock keeps an outage visible to the recorder's own retry.
const SQLITE: &str = "PRAGMA busy_timeout = 1000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
/// For each PostgreSQL connection: the same patience, and a statement may not outlast the commit's own limit.
const POSTGRES: &str = "SET lock_timeout = '1s'; SET statement_timeout = '15s'; SET synchronous_commit = on;";

impl Store {
    /// Opens `sqlite://PATH` (created with mode 0600) or `postgres://…` and brings its schema up to date.
    ///
    /// # Errors
    /// Every variant but `Rejected`; each says what to do.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (kind, url) = place(url)?;
        if let Kind::Sqlite { path } = &kind {
            create(path)?;
        }
        let statements = match kind {
            Kind::Sqlite { .. } => SQLITE,
            Kind::Postgres => POSTGRES,
        };
        let options = AnyConnectOptions::from_url(&url).map_err(|error| StoreError::BadUrl(error.to_string()))?;
        let options = options.disable_statement_logging();
        let writer = Writer::new(options.clone(), statements);
        let ready = tokio::time::timeout(OPEN_LIMIT, bring_up_to_date(&kind, &writer)).await;
        ready.map_err(|_| StoreError::Slow(OPEN_LIMIT))??;
        let readers = AnyPoolOptions::new().max_connections(READERS).acquire_timeout(CONNECT_LIMIT);
        let readers = readers.after_connect(move |connection, _| Box::pin(prepare(connection, statements)));
        let readers = readers.connect_with(options).await.map_err(|error| StoreError::sort(&kind, error))?;
        Ok(Self { kind: Arc::new(kind), writer: Arc::new(writer), readers })
    }
}

fn place(text: &str) -> Result<(Kind, Url), StoreError> {
    if let Some(rest) = text.strip_prefix("sqlite:") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(StoreError::BadUrl("a file is needed, or nothing would survive a restart".to_owned()));
        }
        let path =
            std::path::absolute(path).map_err(|source| StoreError::File { path: PathBuf::from(path), source })?;
        let file = Url::from_file_path(&path)
            .map_err(|()| StoreError::BadUrl("the path cannot be written as a URL".to_owned()))?;
        let url = format!("sqlite://{}", file.path());
        let url = Url::from_str(&url).map_err(|error| StoreError::BadUrl(error.to_string()))?;
        return Ok((Kind::Sqlite { path }, url));
    }
    let url = Url::from_str(text).map_err(|error| StoreError::BadUrl(error.to_string()))?;
    match url.scheme() {
        "postgres" | "postgresql" => Ok((Kind::Postgres, url)),
        other => Err(StoreError::BadUrl(format!(
            "`{}` is no kind of database we know",
            other.chars().take(20).collect::<String>()
        ))),
    }
}

/// SQLite gives its `-wal` and `-shm` the mode of the file itself, so making it first is enough.
fn create(path: &Path) -> Result<(), StoreError> {
    let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    opened.map(drop).map_err(|source| StoreError::File { path: path.to_owned(), source })
}

async fn bring_up_to_date(kind: &Kind, writer: &Writer) -> Result<(), StoreError> {
    let (mut place, mut connection) = writer.lend().await.map_err(|error| StoreError::sort(kind, error))?;
    if let Kind::Sqlite { path } = kind {
        examine(path, kind, &mut connection).await?;
    }
    STEPS.run(&mut connection).await.map_err(|error| migration_failed(kind, error))?;
    *place = Some(connection);
    Ok(())
}

async fn examine(path: &Path, kind: &Kind, connection: &mut AnyConnection) -> Result<(), StoreError> {
    let size = std::fs::metadata(path).map(|m| m.len()).unwrap_or_default();
    if size > EXAMINED {
        return Ok(());
    }
    let answer: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await;
    let what = answer.map_err(|error| StoreError::sort(kind, error))?;
    if what == "ok" { Ok(()) } else { Err(StoreError::Corrupt { place: path.display().to_string(), what }) }
}

fn migration_failed(kind: &Kind, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(step) | MigrateError::VersionTooOld(_, step) => StoreError::Newer { step },
        MigrateError::VersionMismatch(step) => StoreError::Foreign { step },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::sort(kind, error),
        other => StoreError::Migrate(Box::new(other)),
    }
}
