//! The log: one line per event, to the file and to stdout, redacted before either, never in anybody's way.
//!
//! `line` turns an event into text or JSON, `file` rotates and repairs the file, `console` writes to stdout without ever
//! waiting for its reader, `ledger` counts what went wrong, `redact` masks secrets. What is worth logging is decided where
//! it happens; the audit trail is `store`'s and is not a log.
//!
//! When stdout *is* the log file (`nohup monitor > monitor.log 2>&1`), lines go through the rotating file only, so each
//! is written once. Rotation renames that file, and from then on stdout points at `monitor.log.1`: harmless, since nothing
//! of ours is written to it. It is switched to append, so that a stray line of the runtime never overwrites the first ones.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Dispatch;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

mod console;
mod file;
mod ledger;
mod level;
mod line;
mod redact;

pub use ledger::{Ledger, LogHealth};
pub use redact::Redact;

/// Bytes in one unit of `LOG_MAX_SIZE`, as the seed counts them.
pub const MEGABYTE: u64 = 1024 * 1024;

/// Lines that may wait for one sink; more are dropped and counted. At a usual 200 bytes this is under 2 MB.
const WAITING_LINES: usize = 8192;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// `2023-10-15 12:30:45 - INFO - message`.
    #[default]
    Text,
    /// One JSON object per line: `time`, `level`, `message`, then the event's fields.
    Json,
}

/// What the log is told once, at start.
pub struct Options {
    /// The current file; its backups are this name with `.1`, `.2`, ….
    pub file: PathBuf,
    /// Bytes after which the file is rotated, see [`MEGABYTE`]; 0 never rotates.
    pub max_bytes: u64,
    /// Backups kept; 0 never rotates, as in Python's `RotatingFileHandler`.
    pub backups: usize,
    /// `DEBUG`, `INFO`, `WARNING` or `ERROR` for our own lines, or a whole `EnvFilter` directive.
    pub level: String,
    /// Text or JSON.
    pub format: Format,
    /// Masks secrets; called with every value and every finished line.
    pub redactor: Arc<dyn Redact>,
}

/// Why the log cannot start or be changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The value of `LOG_LEVEL` means nothing.
    #[error("LOG_LEVEL is `{found}`: {expected}")]
    Level {
        /// What was written.
        found: String,
        /// What could have been.
        expected: String,
    },
    /// The path is a folder, a pipe or a socket.
    #[error("LOG_FILE {path:?} is not a file: name a file in a folder that the agent may write to")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The path is not UTF-8, which the rotation needs.
    #[error("LOG_FILE {path:?} is not valid UTF-8: choose another name")]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be opened for writing.
    #[error("cannot open LOG_FILE {path:?}: check that its folder exists and that the agent may write there")]
    Open {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something else in this process has set a subscriber already.
    #[error("the log was started twice in one process")]
    Twice,
    /// The subscriber is gone, so its level cannot be changed.
    #[error("the log has stopped")]
    Stopped,
}

/// Keeps the log's writers alive; dropping it flushes both, waiting about a second at most.
#[must_use = "dropping the guard stops the log"]
pub struct LogGuard {
    redactor: Arc<redact::Swap>,
    ledger: Arc<Ledger>,
    filter: reload::Handle<EnvFilter, Registry>,
    _writers: Vec<WorkerGuard>,
}

impl LogGuard {
    /// Replaces the redactor for every following line, as a reload with new secrets needs.
    pub fn set_redactor(&self, redactor: Arc<dyn Redact>) {
        self.redactor.set(redactor);
    }

    /// Replaces the level for every following line.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = level::filter(level)?;
        self.filter.reload(filter).map_err(|_| LogError::Stopped)
    }

    /// What went wrong with writing the log so far.
    pub fn health(&self) -> LogHealth {
        self.ledger.health()
    }

    /// A handle to the same counters for whoever reports health.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }
}

/// Starts the log of this process: file and stdout. Call it once.
pub fn start(options: Options) -> Result<LogGuard, LogError> {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().map(File::from).ok();
    let (dispatch, guard) = build(options, stdout)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_| LogError::Twice)?;
    Ok(guard)
}

/// Builds the log without making it the process's own: `stdout` is where the second copy of each line goes, if anywhere.
pub fn build(options: Options, stdout: Option<File>) -> Result<(Dispatch, LogGuard), LogError> {
    let filter = level::filter(&options.level)?;
    let ledger = Arc::new(Ledger::new());
    let rotation = file::Rotation { max_bytes: options.max_bytes, backups: options.backups };
    let target = file::open(&options.file, rotation, stdout.as_ref(), &ledger)?;
    let mut sinks = Vec::new();
    let mut writers = Vec::new();
    let mut add = |(sink, writer): (NonBlocking, WorkerGuard)| {
        ledger.watch_queue(sink.error_counter());
        sinks.push(sink);
        writers.push(writer);
    };
    if let Some(sink) = target.sink {
        add(queue("log-file").finish(sink));
    }
    if let Some(out) = stdout.filter(|_| target.stdout_too) {
        add(queue("log-stdout").finish(console::Console::new(out, Arc::clone(&ledger))));
    }
    let redactor = Arc::new(redact::Swap::new(options.redactor));
    let layer = line::LineLayer { format: options.format, redactor: Arc::clone(&redactor), sinks, clock: line::now };
    let (filter, handle) = reload::Layer::new(filter);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(filter).with(layer));
    Ok((dispatch, LogGuard { redactor, ledger, filter: handle, _writers: writers }))
}

fn queue(name: &str) -> NonBlockingBuilder {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).thread_name(name)
}
