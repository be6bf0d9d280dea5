//! `monitor audit`: proves that no record was changed or removed.

use std::path::{Path, PathBuf};

use crate::app::audit::{FILE, known_head};
use crate::app::source::Source;
use crate::config::Config;
use crate::store::audit::{Head, Verification, verify};
use crate::store::{Store, in_one_line};

use super::client::block_on;

use super::{BAD_CONFIGURATION, FAILED, FINE, complain, load, tell};

/// What is asked of the audit.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Check every record against the one before it, and the last against the store
    Verify {
        /// Another file, such as a copy: only its own chain is checked [default: `STATE_DIR/audit.jsonl`]
        file: Option<PathBuf>,
    },
}

/// Verifies.
pub fn run(source: &Source, args: &Args) -> u8 {
    let Args::Verify { file } = args;
    if let Some(file) = file {
        return told(file, None, "its end was not compared with the store: records cut off there would not be seen");
    }
    let Some(config) = load(source) else { return BAD_CONFIGURATION };
    let file = config.general.state_dir.join(FILE);
    match head(&config) {
        Ok(head) if !file.exists() => match head {
            None => {
                tell(&format!(
                    "there is no audit yet: {} is not there, and the store knows of no record",
                    file.display()
                ));
                FINE
            }
            Some(head) => {
                complain(&format!(
                    "BROKEN: {} is not there, and the store knows of {} record(s): the file was removed",
                    file.display(),
                    head.seq
                ));
                FAILED
            }
        },
        Ok(Some(head)) => told(&file, Some(&head), &format!("the store vouches for its first {} record(s)", head.seq)),
        Ok(None) => told(&file, None, "the store knows of no record: what was cut off at the end would not be seen"),
        Err(why) => {
            complain(&format!("the store cannot be asked for the last record: {why}"));
            told(&file, None, "its end was not compared with the store");
            FAILED
        }
    }
}

/// The last record that the store knows of. A database that is not there is not made.
fn head(config: &Config) -> Result<Option<Head>, String> {
    let url = config.general.database_url.expose();
    let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    if path.is_some_and(|path| !Path::new(path).exists()) {
        return Ok(None);
    }
    let asked = block_on(async {
        let store = Store::open(url).await?;
        let saved = store.load().await;
        store.close().await;
        saved
    });
    match asked {
        Ok(Ok(saved)) => Ok(known_head(&saved.settings)),
        Ok(Err(error)) => Err(config.redactor.mask(&in_one_line(&error)).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn told(file: &Path, head: Option<&Head>, store: &str) -> u8 {
    match verify(file, head) {
        Ok(Verification::Verified(sound)) => {
            tell(&format!(
                "verified: {} record(s) in {}, none changed, removed or moved",
                sound.records,
                file.display()
            ));
            tell(&format!("  last record {} {}", sound.last, sound.head_hash));
            tell(&format!("  {store}"));
            FINE
        }
        Ok(Verification::Broken(broken)) => {
            complain(&format!("BROKEN: {} {broken}", file.display()));
            complain("everything before that line is sound; keep the file as evidence");
            FAILED
        }
        Err(error) => {
            complain(&in_one_line(&error));
            FAILED
        }
    }
}
