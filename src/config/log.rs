//! Where and how the agent logs.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use crate::env::{Group, Key, Scope, Scoped, value};

/// The log's file.
pub const LOG_FILE: Key<PathBuf> = Key::new(Scope::Global, "LOG_FILE", value::path)
    .about("File of the log; every line also goes to the standard output, once.", "app.log")
    .default("monitor.log");
/// Rotation.
pub const LOG_MAX_SIZE: Key<f64> =
    Key::new(Scope::Global, "LOG_MAX_SIZE", |text| value::number(text, &(0.0..=1_000_000.0)))
        .about("Size in MB at which the log is rotated; 0 never rotates.", "20")
        .default("10");
/// Kept files.
pub const LOG_BACKUP_COUNT: Key<u32> =
    Key::new(Scope::Global, "LOG_BACKUP_COUNT", |text| value::whole(text, &(0..=10_000)))
        .about("Rotated files that are kept, as LOG_FILE.1, LOG_FILE.2, …; 0 never rotates.", "5")
        .default("3");
/// Successes too.
pub const LOG_SUCCESS_REQUESTS: Key<bool> = Key::new(Scope::Global, "LOG_SUCCESS_REQUESTS", value::flag)
    .about("Log checks that say `up` as well.", "true")
    .default("false");
/// Level.
pub const LOG_LEVEL: Key<String> = Key::new(Scope::Global, "LOG_LEVEL", level)
    .about(
        "The least level that is logged: debug, info, warning or error; or directives such as `info,russh=debug`.",
        "debug",
    )
    .default("info");
/// Format.
pub const LOG_FORMAT: Key<bool> =
    Key::new(Scope::Global, "LOG_FORMAT", |text| value::word(text, &[("text", false), ("json", true)]))
        .about("Form of a line: text, or json with the same as fields.", "json")
        .default("text");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Log",
    intro: "Secrets are masked in every line.",
    keys: &[
        LOG_FILE.info(),
        LOG_MAX_SIZE.info(),
        LOG_BACKUP_COUNT.info(),
        LOG_SUCCESS_REQUESTS.info(),
        LOG_LEVEL.info(),
        LOG_FORMAT.info(),
    ],
};

/// Where and how the agent logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// The file.
    pub file: PathBuf,
    /// Size at which it is rotated, MB.
    pub max_size_mb: f64,
    /// Rotated files that are kept.
    pub backups: u32,
    /// Whether checks that say `up` are logged.
    pub successes: bool,
    /// The least level, or directives.
    pub level: String,
    /// JSON instead of text.
    pub json: bool,
}

/// Reads the section.
pub fn read(global: &Scoped<'_>) -> Option<Log> {
    let (file, max_size_mb, backups) =
        (global.get(&LOG_FILE), global.get(&LOG_MAX_SIZE), global.get(&LOG_BACKUP_COUNT));
    let (successes, level, json) = (global.get(&LOG_SUCCESS_REQUESTS), global.get(&LOG_LEVEL), global.get(&LOG_FORMAT));
    Some(Log {
        file: file?,
        max_size_mb: max_size_mb?,
        backups: backups?,
        successes: successes?,
        level: level?,
        json: json?,
    })
}

fn level(text: &str) -> Result<String, String> {
    filter(text).map(|_| text.trim().to_owned())
}

/// Reads what is logged: one word sets our own lines and leaves other crates at WARNING; anything with `=` or `,` is a
/// whole directive.
///
/// # Errors
///
/// What was expected, as a clause.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let level = level.trim();
    let ours = match level.to_ascii_uppercase().as_str() {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "" | "INFO" => "info",
        "WARN" | "WARNING" => "warn",
        "ERROR" | "CRITICAL" => "error",
        _ if level.contains(['=', ',']) => return directive(level),
        _ => return Err(EXPECTED.to_owned()),
    };
    directive(&format!("warn,monitor={ours}"))
}

const EXPECTED: &str = "expected debug, info, warning, error, or directives such as `info,monitor::probe=debug`";

fn directive(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(text).map_err(|error| format!("{EXPECTED} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_pythons_words_or_a_directive() {
        for good in ["", "info", "INFO", "Warning", "ERROR", "critical", "trace", "info,monitor::probe=debug", "a=warn"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "IFNO", "monitor=loud", "10"] {
            assert!(level(bad).unwrap_err().starts_with(EXPECTED), "{bad}");
        }
    }
}
