//! `monitor reference`: `.env.example` and the page of all keys, from the very table that reads them.

use std::path::Path;

use crate::config;
use crate::env::reference::{env_example, markdown};

use super::{FAILED, FINE, complain, say};

/// What is to be done with them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write `.env.example` and `docs/reference/configuration.md` below the current folder instead of printing them
    #[arg(long)]
    write: bool,
}

/// Every generated file, as path below the repository and content.
pub fn files() -> [(&'static str, String); 2] {
    let groups = config::groups();
    [(".env.example", env_example(groups)), ("docs/reference/configuration.md", page(&markdown(groups)))]
}

fn page(tables: &str) -> String {
    format!(
        "<!-- Written by `monitor reference --write`; change the keys in src/config instead. -->\n\n\
         # Configuration\n\n\
         Values come from the process environment, then from `.env` (`--env-file`, else `./.env`, else `.env` beside the binary).\n\
         `monitor check` shows what is in force and where it came from; `monitor init` writes a first file.\n\n\
         `{{SRV}}` and `{{DC}}` stand for the names in `MAPPINGS`, `{{K}}` for a number from 2. A duration is a number of seconds\n\
         (`30`, `0.5`) or has a unit (`500ms`, `30s`, `5m`, `2h`, `1d`).\n\n\
         {tables}"
    )
}

/// Prints or writes them.
pub fn run(args: &Args) -> u8 {
    for (path, text) in files() {
        if !args.write {
            say(&format!("== {path} ==\n{text}"));
            continue;
        }
        let folder = Path::new(path).parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| std::fs::write(path, text)) {
            complain(&format!("cannot write {path}: {error}; run this in the repository"));
            return FAILED;
        }
        say(&format!("wrote {path}"));
    }
    FINE
}
