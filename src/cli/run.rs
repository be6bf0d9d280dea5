//! `monitor run`: the agent itself.

use std::io::IsTerminal;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::source::Source;
use crate::app::{LogMask, agent, lock, log, signals};
use crate::config::{Config, Loaded};

use super::{BAD_CONFIGURATION, FAILED, FINE, complain, write_error};

/// Watches until stopped.
pub fn run(source: Source) -> u8 {
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            refuse(&error.to_string());
            return BAD_CONFIGURATION;
        }
    };
    let remarks = source.remarks(&loaded);
    let Loaded { config: Some(config), report, .. } = loaded else {
        refuse(&loaded.report.to_string());
        for remark in remarks {
            refuse(&remark.to_string());
        }
        return BAD_CONFIGURATION;
    };
    let _lock = match lock::take(&config.general.state_dir) {
        Ok(lock) => lock,
        Err(error) => {
            refuse(&error.to_string());
            return FAILED;
        }
    };
    let log = match log::start(log_options(&config)) {
        // Held here too: what is said last must still be written.
        Ok(log) => Arc::new(log),
        Err(error) => {
            refuse(&crate::store::in_one_line(&error));
            return BAD_CONFIGURATION;
        }
    };
    // Of use to `check` only, and large where there are thousands of pairs.
    drop(loaded.settings);
    for warning in report.warnings().chain(&remarks) {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            refuse(&format!("the system gives us no threads: {error}"));
            return FAILED;
        }
    };
    let stop = CancellationToken::new();
    let outcome = runtime.block_on(async {
        let (reload, reloads) = mpsc::channel(1);
        let parts = agent::Parts { config, source, log: Some(log.clone()), zone: TimeZone::system() };
        let ended = CancellationToken::new();
        let agent = async {
            let outcome = agent::run(parts, stop.clone(), reloads).await;
            ended.cancel();
            outcome
        };
        let (outcome, ()) = tokio::join!(agent, listen(stop.clone(), ended.clone(), reload));
        outcome
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => FINE,
        Err(error) => {
            // In the log too: under nohup nobody reads the standard error.
            tracing::error!("monitor stopped: {error:#}");
            refuse(&format!("monitor stopped: {error:#}"));
            FAILED
        }
    }
}

/// Tells a person at a terminal; a journal and a file get each sentence whole.
fn refuse(text: &str) {
    if std::io::stderr().is_terminal() {
        complain(text);
    } else {
        write_error(text.trim_end());
    }
}

async fn listen(stop: CancellationToken, ended: CancellationToken, reload: mpsc::Sender<()>) {
    tokio::select! {
        () = ended.cancelled() => {}
        heard = signals::listen(stop, reload) => {
            if let Err(error) = heard {
                tracing::error!("signals are not heard: {error}");
            }
            ended.cancelled().await;
        }
    }
}

/// How the log is to be, from the configuration.
pub(super) fn log_options(config: &Config) -> log::Options {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most a million MB, and a fraction of a byte is none"
    )]
    let max_bytes = (config.log.max_size_mb * log::MEGABYTE as f64) as u64;
    log::Options {
        file: config.log.file.clone(),
        max_bytes,
        backups: usize::try_from(config.log.backups).unwrap_or(usize::MAX),
        level: config.log.level.clone(),
        format: if config.log.json { log::Format::Json } else { log::Format::Text },
        redactor: Arc::new(LogMask(config.redactor.clone())),
    }
}
