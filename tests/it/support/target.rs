//! A target as an operator would configure it: lines of a `.env`, read by the real configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use monitor::config::{self, Channels, Surroundings};
use monitor::domain::reading::{Outcome, Reading};
use monitor::env::Env;
use monitor::probe::Target;

/// The example on the page of a kind, with `host` in place of the one in its URL.
pub fn example(kind: &str, host: &str) -> String {
    let kind = monitor::probe::KINDS.iter().find(|one| one.name == kind).expect("it is in the table");
    let (url, rest) = kind.example.split_once('\n').unwrap_or((kind.example, ""));
    let (scheme, behind) = url.split_once("://").expect("the example has a URL");
    let path = behind.find('/').map_or("", |at| &behind[at..]);
    format!("{scheme}://{host}{path}\n{rest}")
}

/// Reads `SRV4_…` lines; the first is `SRV4_URL=…`. The error is the whole report.
pub fn configured(lines: &str) -> Result<Arc<Target>, String> {
    let text = format!("INTERVAL=30\nMAPPINGS=DC3:SRV4\nDC3_LOCAL=true\nCOMMAND=true\n{lines}\n");
    let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
    let around = Surroundings { channels: Channels::Optional, ..Surroundings::default() };
    let loaded = config::load(&env, &|path| std::fs::read_to_string(path), &around);
    let report = loaded.report.to_string();
    let config = loaded.config.ok_or_else(|| report.clone())?;
    let server = config.servers.into_values().next().ok_or(report)?;
    Ok(server.target)
}

/// A target of this URL with these settings, a line each, written without their `SRV4_`. The error is the whole report.
pub fn set(url: &str, settings: &str) -> Result<Arc<Target>, String> {
    let lines: Vec<String> = settings.lines().map(|line| format!("SRV4_{line}")).collect();
    configured(&format!("SRV4_URL={url}\n{}", lines.join("\n")))
}

/// What was seen, as a line: `up`, or the cause and the reason.
pub fn told(reading: &Reading) -> String {
    match &reading.outcome {
        Outcome::Up => "up".to_owned(),
        Outcome::Down(fault) => format!("{}: {}", fault.cause, fault.reason),
        Outcome::Blind(fault) => format!("blind, {}: {}", fault.cause, fault.reason),
    }
}
