//! `monitor resume`: healing goes on, for all pairs, a site or one pair.

use crate::app::source::Source;
use crate::web::api::stops::{Resume, Resumed};

use super::client::{Client, asked};
use super::{FINE, person, say, tell, unanswered};

/// For whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A site such as DC3 or a pair such as DC3-SRV4; all pairs without it
    #[arg(value_name = "DC|PAIR", value_parser = super::pause::scope)]
    scope: Option<String>,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Ends stops, and the hold on pairs that flap; for all pairs a storm, too.
pub fn run(source: &Source, args: &Args) -> u8 {
    let order = Resume { scope: args.scope.clone(), by: person::who(source) };
    let resumed: Resumed = match asked(Client::find(source).send("/api/resume", &order, None)) {
        Ok(resumed) => resumed,
        Err(error) => return unanswered(&error),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&resumed).unwrap_or_default());
        return FINE;
    }
    let stops = match resumed.ended {
        0 => "no stop was in force for exactly that".to_owned(),
        1 => "1 stop ended".to_owned(),
        ended => format!("{ended} stops ended"),
    };
    let whom = args.scope.as_deref().unwrap_or("all pairs");
    let held = if args.scope.is_none() {
        "holds on pairs that flap, and a storm, are over too if there were any"
    } else {
        "a hold on pairs that flap is over too if there was one"
    };
    tell(&format!("Healing goes on for {whom}: {stops}; {held}."));
    if args.scope.is_some() {
        say("A stop of more than that stays; `monitor status` shows those in force.");
    }
    FINE
}
