//! `monitor status`: where every pair stands.

use crate::app::source::Source;
use crate::engine::handle::PairState;
use crate::web::api::pairs::Overview;

use super::client::{Client, block_on};
use super::{DOWN, FAILED, FINE, complain, say};

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the running agent.
pub fn run(source: &Source, args: &Args) -> u8 {
    let client = Client::find(source);
    let overview: Overview = match block_on(client.get("/api/status")) {
        Ok(Ok(overview)) => overview,
        Ok(Err(error)) => {
            complain(&error.to_string());
            return FAILED;
        }
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    };
    if args.json {
        say(&serde_json::to_string_pretty(&overview).unwrap_or_default());
    } else {
        for pair in &overview.engine.pairs {
            say(&format!("{}  {:?}  {:?}", pair.pair, pair.state, pair.doing));
        }
    }
    if overview.engine.pairs.iter().any(|pair| pair.state == PairState::Down) { DOWN } else { FINE }
}
