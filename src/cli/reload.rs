//! `monitor reload`: the running agent reads its configuration again.

use std::time::Duration;

use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::engine::handle::Reloaded;

use super::client::{Client, NoAnswer, asked};

use super::screen::{columns, flowed};
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
        Ok(done) => tell(&done),
        Err(NoAnswer::Refused(problem)) if problem.status == UNPROCESSABLE => {
            let text = problem.detail.replacen("nothing was started", "the old configuration stays in force", 1);
            complain(&text);
            return BAD_CONFIGURATION;
        }
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    }
    FINE
}

/// Names that are said of each kind; `--json` has them all.
const NAMED: usize = 20;

fn tell(done: &Reloaded) {
    let columns = columns(std::io::stdout());
    let Reloaded { added, removed, kept, .. } = done;
    say(&format!("reloaded: {added} pair(s) added, {removed} removed, {kept} kept"));
    let list = |head: &str, names: Vec<String>| {
        if !names.is_empty() {
            say(&flowed(head, &named(names), columns));
        }
    };
    let names = |pairs: &[PairName]| pairs.iter().map(ToString::to_string).collect::<Vec<_>>();
    list("  added: ", names(&done.added_pairs));
    list("  removed: ", names(&done.removed_pairs));
    let changed = done.changed.iter().map(|one| format!("{} ({})", one.pair, named(one.keys.clone()))).collect();
    list("  changed: ", changed);
    list("  keys with other values: ", done.changed_keys.clone());
    if !done.restart_keys.is_empty() {
        let keys = named(done.restart_keys.clone());
        say(&flowed("  NOT IN FORCE: ", &format!("{keys}; read at the start only, so restart the agent"), columns));
    }
}

fn named(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let said = names.join(", ");
    if more == 0 { said } else { format!("{said} and {more} more") }
}
