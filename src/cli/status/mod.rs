//! `monitor status`: where every pair stands. How it is drawn lives in `table`, why nothing is
//! healed or told in `notes`, how it is drawn again in `watch`.

mod notes;
mod table;
mod watch;

use crate::app::source::Source;
use crate::engine::handle::PairState;
use crate::web::api::pairs::Overview;

use super::client::{Client, asked};
use super::screen::Screen;
use super::{DOWN, FAILED, FINE, complain, say};

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Draw it again every second, until Ctrl-C; with --json one line a second
    #[arg(long, short)]
    watch: bool,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Where the agent says it.
const PATH: &str = "/api/status";

/// Asks the running agent.
pub fn run(source: &Source, args: &Args) -> u8 {
    let client = Client::find(source);
    let screen = Screen::look(source);
    if args.watch {
        return watch::run(&client, source, args.json);
    }
    let overview: Overview = match asked(client.get(PATH)) {
        Ok(overview) => overview,
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    };
    if args.json {
        say(&serde_json::to_string_pretty(&overview).unwrap_or_default());
    } else {
        say(table::draw(&overview, &screen).trim_end());
    }
    if overview.engine.pairs.iter().any(|pair| pair.state == PairState::Down) { DOWN } else { FINE }
}
