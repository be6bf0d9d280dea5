//! `monitor reload`: the running agent reads its configuration again.

use std::time::Duration;

use crate::app::source::Source;
use crate::engine::handle::Reloaded;

use super::client::{Client, NoAnswer, asked};
use super::screen::lines;
use super::{BAD_CONFIGURATION, FAILED, FINE, complain, say};

/// How it is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// HTTP status of a configuration that is broken.
const UNPROCESSABLE: u16 = 422;

/// Asks the agent; on mistakes it keeps the old configuration.
pub fn run(source: &Source, args: &Args) -> u8 {
    match asked(Client::find(source).post::<Reloaded>("/api/reload", Duration::from_mins(2))) {
        Ok(done) if args.json => say(&serde_json::to_string_pretty(&done).unwrap_or_default()),
        Ok(Reloaded { added, removed, kept }) => {
            say(&format!("reloaded: {added} pair(s) added, {removed} removed, {kept} kept"));
        }
        Err(NoAnswer::Refused(problem)) if problem.status == UNPROCESSABLE => {
            let text = problem.detail.replacen("nothing was started", "the old configuration stays in force", 1);
            complain(&lines(&text));
            return BAD_CONFIGURATION;
        }
        Err(error) => {
            complain(&lines(&error.to_string()));
            return FAILED;
        }
    }
    FINE
}
