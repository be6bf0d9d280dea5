//! `monitor init`: writes a first `.env`. What is needed is gathered in `answers`, asked for in `interview`.

mod answers;
mod interview;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::app::source::Source;
use crate::config;
use crate::env::Env;

use super::{BAD_CONFIGURATION, FAILED, FINE, complain, tell};
use answers::Answers;
use interview::{Ended, Terminal};

/// What is known already; the rest is asked for on a terminal.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Seconds between two checks of a healthy pair [default: 30]
    #[arg(long)]
    interval: Option<String>,
    /// What is probed, and where its command runs; may be given again
    #[arg(long, value_name = "DC3:SRV4=URL")]
    pair: Vec<String>,
    /// The SSH host of a site; may be given again
    #[arg(long, value_name = "DC3=USER@HOST[:PORT]")]
    site: Vec<String>,
    /// Run the commands of every other site on this machine
    #[arg(long)]
    local: bool,
    /// Private key file for every SSH site
    #[arg(long, value_name = "PATH")]
    key: Option<String>,
    /// File with the password for every SSH site
    #[arg(long, value_name = "PATH", conflicts_with = "key")]
    password_file: Option<PathBuf>,
    /// What is run when a check says `down`
    #[arg(long)]
    command: Option<String>,
    /// File with the Telegram bot's token
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// The Telegram chat that is told
    #[arg(long, allow_hyphen_values = true)]
    chat: Option<String>,
    /// Language of messages and log: en, ru or ko
    #[arg(long)]
    language: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Asks, checks, writes.
pub fn run(source: &Source, named: Option<&Path>, args: &Args) -> u8 {
    let path = named.unwrap_or(Path::new(".env"));
    if !args.force && path.symlink_metadata().is_ok() {
        complain(&format!(
            "{} is there already; use --force to replace it, or --env-file to write another",
            path.display()
        ));
        return BAD_CONFIGURATION;
    }
    let around = source.surroundings();
    let mut answers = match Answers::of(args) {
        Ok(answers) => answers,
        Err(wrong) => return refused(&wrong),
    };
    let terminal = std::io::stdin().is_terminal();
    let mut asked = Terminal;
    let asking = terminal.then_some(&mut asked as &mut dyn interview::Ask);
    match interview::complete(&mut answers, around.ssh_agent.is_some(), asking) {
        Ok(()) => {}
        Err(Ended::Missing(missing)) => {
            complain("these are missing, and nobody can be asked because the input is no terminal:");
            for what in missing {
                complain(&format!("  {what}"));
            }
            return BAD_CONFIGURATION;
        }
        Err(Ended::Left) => {
            complain("nothing was written");
            return FAILED;
        }
        Err(Ended::Broken(error)) => {
            complain(&format!("the terminal cannot be read: {error}; nothing was written"));
            return FAILED;
        }
    }
    let text = answers.text();
    let env = Env::new(&path.display().to_string(), text.as_bytes(), std::collections::BTreeMap::new());
    let loaded = config::load(&env, &|path| std::fs::read_to_string(path), &around);
    if loaded.report.is_broken() {
        complain(&loaded.report.to_string());
        complain("nothing was written");
        return BAD_CONFIGURATION;
    }
    if let Err(error) = write(path, &text, args.force) {
        complain(&format!("cannot write {}: {error}", path.display()));
        return FAILED;
    }
    let pairs = loaded.config.map_or(0, |config| config.pairs.len());
    tell(&format!("wrote {} (mode 0600): {pairs} pair(s)", path.display()));
    let file = named.map(|path| format!(" --env-file {}", path.display())).unwrap_or_default();
    tell(&format!("next: `monitor check --online{file}` tries everything once, then `monitor run{file}` watches"));
    FINE
}

fn refused(wrong: &[String]) -> u8 {
    for what in wrong {
        complain(what);
    }
    complain("nothing was written; `monitor init --help` shows every option");
    BAD_CONFIGURATION
}

/// For this user alone from the first byte on, and whole or not at all.
fn write(path: &Path, text: &str, replace: bool) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link fails where something is already, which a rename would replace; not every file system has links.
        match if replace { std::fs::rename(&fresh, path) } else { std::fs::hard_link(&fresh, path) } {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists && path.symlink_metadata().is_err() => {
                std::fs::rename(&fresh, path)
            }
            done => done,
        }
    })();
    let _ = std::fs::remove_file(&fresh);
    written
}
