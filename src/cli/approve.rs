//! `monitor approve`: a person answers a command that waits for them, or looks at what waits.

use crate::app::source::Source;
use crate::engine::handle::{Answered, Approval};
use crate::web::api::approvals::Answer;

use super::client::{Client, asked};
use super::screen::{FAINT, HEAD, Screen, cell, line, moment};
use super::{FINE, person, say, tell, unanswered};

/// Which approval, and the answer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which, as the notice and `monitor status` name it; without it: list what waits
    #[arg(value_parser = id)]
    id: Option<String>,
    /// Say no: it does not run in this incident
    #[arg(long, requires = "id")]
    deny: bool,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

fn id(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| "expected what the notice names, such as 3fa9c1".to_owned())
}

/// Lists, or answers.
pub fn run(source: &Source, args: &Args) -> u8 {
    match &args.id {
        Some(id) => answer(source, args, id),
        None => list(source, args.json),
    }
}

fn list(source: &Source, json: bool) -> u8 {
    let waiting: Vec<Approval> = match asked(Client::find(source).get("/api/approvals")) {
        Ok(waiting) => waiting,
        Err(error) => return unanswered(&error),
    };
    if json {
        say(&serde_json::to_string_pretty(&waiting).unwrap_or_default());
        return FINE;
    }
    if waiting.is_empty() {
        say("No command waits for a person.");
        return FINE;
    }
    let screen = Screen::look(source);
    let widest = waiting.iter().map(|one| one.pair.to_string().chars().count()).max().unwrap_or(4).clamp(4, 40);
    say(&screen.paint(HEAD, &format!("ID      {}  RUNG  ASKED", cell("PAIR", widest))));
    for one in &waiting {
        let (id, pair) = (cell(&one.id, 6), cell(&one.pair.to_string(), widest));
        say(&format!("{id}  {pair}  {:4}  {}", one.rung, moment(one.since)));
        let command = line(&one.command, screen.columns.saturating_sub(6).max(20));
        say(&screen.paint(FAINT, &format!("    $ {command}")));
    }
    say("`monitor approve ID` runs it, `monitor approve ID --deny` says no.");
    FINE
}

fn answer(source: &Source, args: &Args, id: &str) -> u8 {
    let answer = Answer { yes: !args.deny, by: person::who(source) };
    let path = format!("/api/approvals/{id}");
    let answered: Answered = match asked(Client::find(source).send(&path, &answer, None)) {
        Ok(answered) => answered,
        Err(error) => return unanswered(&error),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&answered).unwrap_or_default());
        return FINE;
    }
    let (pair, rung) = (&answered.pair, answered.rung);
    tell(&format!("{pair}, rung {rung}: {}", line(&answered.command, 1000)));
    tell(if answered.ordered {
        "Approved: it runs unless a look sees the pair up. What comes of it is told as always; `monitor actions` shows it."
    } else {
        "Denied: it does not run in this incident."
    });
    FINE
}
