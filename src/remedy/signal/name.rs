//! Names of signals: with and without `SIG`, or their numbers.

use rustix::process::Signal;

/// Those that programs give a meaning to, or that end, stop or wake them.
const SIGNALS: &[(&str, Signal)] = &[
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ABRT", Signal::ABORT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("WINCH", Signal::WINCH),
    ("IO", Signal::IO),
];

/// A signal that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName {
    /// Its name without `SIG`.
    pub name: &'static str,
    /// What the kernel takes.
    pub(super) signal: Signal,
}

impl SignalName {
    /// Reads `HUP`, `SIGHUP`, `hup` or `1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_uppercase();
        let bare = word.strip_prefix("SIG").unwrap_or(&word);
        let number = word.parse::<i32>().ok();
        let fits = |(name, signal): &&(&str, Signal)| *name == bare || number == Some(signal.as_raw());
        SIGNALS.iter().find(fits).map(|(name, signal)| Self { name, signal: *signal }).ok_or_else(|| {
            let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
            format!("expected the name or the number of one of these signals: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_in_every_usual_way() {
        for (text, name) in
            [("HUP", "HUP"), ("sighup", "HUP"), (" 1 ", "HUP"), ("SIGUSR2", "USR2"), ("15", "TERM"), ("9", "KILL")]
        {
            assert_eq!(SignalName::parse(text).unwrap().name, name);
        }
        for text in ["", "0", "-1", "64", "19", "STOP", "SIG", "SIGSIGHUP", "HUP TERM", "1; reboot"] {
            assert!(SignalName::parse(text).unwrap_err().contains("HUP, INT"), "{text}");
        }
    }
}
