//! `monitor pause`: nothing is healed, for all pairs, a site or one pair. `monitor resume` ends it.

use crate::app::source::Source;
use crate::domain::stop::{Scope, Stop};
use crate::web::api::stops::{self, Pause};

use super::client::{Client, asked};
use super::screen::{line, moment};
use super::{FINE, person, say, tell, unanswered};

/// For whom, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A site such as DC3 or a pair such as DC3-SRV4; all pairs without it
    #[arg(value_name = "DC|PAIR", value_parser = scope)]
    scope: Option<String>,
    /// How long, such as 2h; until `monitor resume` without it
    #[arg(long = "for", value_name = "TIME", value_parser = lasts)]
    lasts: Option<String>,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Reads a site or a pair on the command line.
pub(super) fn scope(text: &str) -> Result<String, String> {
    stops::scope(Some(text)).map(|_| text.to_owned())
}

fn lasts(text: &str) -> Result<String, String> {
    stops::lasts(text).map(|_| text.to_owned())
}

/// Orders the stop.
pub fn run(source: &Source, args: &Args) -> u8 {
    let order = Pause { scope: args.scope.clone(), lasts: args.lasts.clone(), by: person::who(source) };
    let stop: Stop = match asked(Client::find(source).send("/api/pause", &order, None)) {
        Ok(stop) => stop,
        Err(error) => return unanswered(&error),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&stop).unwrap_or_default());
    } else {
        let until = stop.until.map_or_else(|| "until it is resumed".to_owned(), |at| format!("until {}", moment(at)));
        tell(&format!("Healing is stopped for {} {until}, says {}.", stop.scope, line(&stop.by, 100)));
        let whom = match &stop.scope {
            Scope::All => String::new(),
            scope @ (Scope::Site(_) | Scope::Pair(_)) => format!(" {scope}"),
        };
        tell(&format!("Checks and notices go on. `monitor resume{whom}` ends it; `monitor heal` works all the same."));
    }
    FINE
}
