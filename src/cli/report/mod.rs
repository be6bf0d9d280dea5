//! `monitor report`: how each pair fared in a period, and whether its commands help. How it is drawn lives in `table`.

mod table;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::app::source::Source;
use crate::domain::name::PairName;
use crate::domain::report::Report;
use crate::web::api::report::USUAL;

use super::client::{Client, asked};
use super::screen::Screen;
use super::{FAILED, FINE, complain, say};

/// Which period.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From a time ago (7d, 12h), a day (2026-01-31) or a moment (2026-01-31T12:00:00Z) to now
    #[arg(long, value_name = "WHEN", default_value = USUAL)]
    since: String,
    /// Of this pair only, such as DC3-SRV4
    #[arg(long, value_parser = super::pair)]
    pair: Option<PairName>,
    /// Print the agent's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks the running agent.
pub fn run(source: &Source, args: &Args) -> u8 {
    let pair = args.pair.as_ref().map(|pair| format!("&pair={pair}")).unwrap_or_default();
    let path = format!("/api/report?since={}{pair}", utf8_percent_encode(&args.since, NON_ALPHANUMERIC));
    let report: Report = match asked(Client::find(source).get(&path)) {
        Ok(report) => report,
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    };
    if args.json {
        say(&serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        say(table::draw(&report, &Screen::look(source)).trim_end());
    }
    FINE
}
