//! `LOG_LEVEL` to a filter.

use tracing_subscriber::EnvFilter;

use super::LogError;

/// One word sets our own lines and leaves other crates at WARNING; anything with `=` or `,` is a whole directive.
pub(super) fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let level = level.trim();
    let ours = match level.to_ascii_uppercase().as_str() {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "" | "INFO" => "info",
        "WARN" | "WARNING" => "warn",
        "ERROR" | "CRITICAL" => "error",
        _ if level.contains(['=', ',']) => return directive(level),
        _ => return Err(LogError::Level { found: level.escape_debug().take(80).collect(), source: None }),
    };
    directive(&format!("warn,monitor={ours}"))
}

fn directive(text: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|source| LogError::Level { found: text.chars().take(80).collect(), source: Some(source) })
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
            assert!(matches!(filter(bad), Err(LogError::Level { .. })), "{bad}");
        }
    }
}
