//! Draws the status again every second, on a screen of its own, until Ctrl-C.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::app::source::Source;
use crate::cli::client::{Client, NoAnswer, block_on};
use crate::cli::screen::{Screen, wrapped};
use crate::cli::{FAILED, FINE, complain};
use crate::web::api::pairs::Overview;

use super::{PATH, table};

/// To a screen of its own, without a cursor; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// Draws until it is told to stop or nobody reads any more. An agent that is restarted meanwhile is waited for.
pub fn run(client: &Client, source: &Source, json: bool) -> u8 {
    let own = Screen::look(source).terminal && !json;
    if own {
        put(ENTER);
    }
    let ended = block_on(draw(client, source, json, own));
    if own {
        put(LEAVE);
    }
    match ended {
        Ok(Ok(())) => FINE,
        Ok(Err(error)) | Err(error) => {
            complain(&error.to_string());
            FAILED
        }
    }
}

async fn draw(client: &Client, source: &Source, json: bool, own: bool) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frame = async {
            tick.tick().await;
            client.get::<Overview>(PATH).await
        };
        let answer = tokio::select! {
            answer = frame => answer,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        let text = match answer {
            Ok(overview) if json => serde_json::to_string(&overview).unwrap_or_default() + "\n",
            // The screen may have changed its size.
            Ok(overview) => table::draw(&overview, &Screen::look(source)),
            Err(error) if json => problem(&error),
            Err(error) => wrapped(&error.to_string(), Screen::look(source).columns).join("\n") + "\n",
        };
        let text = if own { over(&text, source) } else { text };
        if !put(&text) {
            return Ok(());
        }
    }
}

fn problem(error: &NoAnswer) -> String {
    serde_json::json!({ "error": error.to_string() }).to_string() + "\n"
}

/// Draws over what is there: nothing flickers, and what does not fit is counted.
fn over(text: &str, source: &Source) -> String {
    let rows = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_row));
    let rows = rows.filter(|rows| *rows > 1).unwrap_or(24).saturating_sub(1);
    let all: Vec<&str> = text.lines().collect();
    let mut out = String::from("\u{1b}[H");
    let fits = if all.len() > rows { rows.saturating_sub(1) } else { all.len() };
    for line in all.iter().take(fits) {
        out.extend([line, "\u{1b}[K\r\n"]);
    }
    if all.len() > fits {
        let more = format!("… {} more line(s); `monitor status` shows all", all.len() - fits);
        out.extend([crate::cli::screen::line(&more, Screen::look(source).columns).as_str(), "\u{1b}[K\r\n"]);
    }
    out + "\u{1b}[J"
}

/// False when nobody reads any more.
fn put(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
