//! `monitor push`: a report for a server that reports to us, from a script on the agent's own machine.

use crate::app::source::Source;
use crate::web::api::push::{Report, Status, Taken};

use super::client::{Client, NoAnswer, asked};
use super::screen::lines;
use super::{BAD_CONFIGURATION, FINE, complain, say, unanswered};

/// Of whom, and what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server, such as BACKUP, or one of its pairs
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Something is wrong; say what in a few words
    #[arg(long, value_name = "MESSAGE")]
    down: Option<String>,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// HTTP status of a server that nobody knows.
const NOT_FOUND: u16 = 404;

/// It becomes a part of a path.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a server such as BACKUP, or a pair such as DC3-BACKUP".to_owned())
}

/// Reports. It says nothing when all is well: cron sends mail of what its jobs say.
pub fn run(source: &Source, args: &Args) -> u8 {
    let status = if args.down.is_some() { Status::Down } else { Status::Up };
    let report = Report { status, msg: args.down.clone().unwrap_or_default() };
    let path = format!("/api/servers/{}/push", args.name);
    match asked(Client::find(source).send::<Taken>(&path, &report, None)) {
        Ok(taken) if args.json => say(&serde_json::to_string_pretty(&taken).unwrap_or_default()),
        Ok(Taken { .. }) => {}
        Err(NoAnswer::Refused(problem)) if problem.status == NOT_FOUND => {
            complain(&lines(&problem.detail));
            return BAD_CONFIGURATION;
        }
        Err(error) => return unanswered(&error),
    }
    FINE
}
