//! Signals by name or number: every one that Linux gives a name to, but for the real-time ones.

use std::fmt;
use std::str::FromStr;

use rustix::process::Signal;

/// Names as `kill -l` shows them, and what else they are called.
const NAMES: &[(&str, Signal)] = &[
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("TRAP", Signal::TRAP),
    ("ABRT", Signal::ABORT),
    ("IOT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("STKFLT", Signal::STKFLT),
    ("CHLD", Signal::CHILD),
    ("CLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
    ("VTALRM", Signal::VTALARM),
    ("PROF", Signal::PROF),
    ("WINCH", Signal::WINCH),
    ("IO", Signal::IO),
    ("POLL", Signal::IO),
    ("PWR", Signal::POWER),
    ("SYS", Signal::SYS),
];

/// A signal that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalName {
    name: &'static str,
    pub(super) signal: Signal,
}

impl SignalName {
    /// The signal that is sent on a failure when none is named.
    pub const DEFAULT: Self = Self { name: "HUP", signal: Signal::HUP };
}

impl FromStr for SignalName {
    type Err = String;

    /// Reads `USR1`, `SIGUSR1`, `usr1` or `10`.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_uppercase();
        let bare = word.strip_prefix("SIG").unwrap_or(&word);
        let number = word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse::<i32>().ok()).flatten();
        let fits = |(name, signal): &&(&str, Signal)| *name == bare || number == Some(signal.as_raw());
        NAMES.iter().find(fits).map(|(name, signal)| Self { name, signal: *signal }).ok_or_else(|| {
            "expected the name or the number of a signal, such as USR1, SIGUSR1 or 10; `kill -l` lists them".to_owned()
        })
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_signal_is_named_in_every_usual_way() {
        for (text, name, number) in [
            ("HUP", "HUP", 1),
            ("sighup", "HUP", 1),
            (" 1 ", "HUP", 1),
            ("SigUsr1", "USR1", 10),
            ("10", "USR1", 10),
            ("09", "KILL", 9),
            ("stop", "STOP", 19),
            ("CONT", "CONT", 18),
            ("SIGIOT", "ABRT", 6),
            ("poll", "IO", 29),
            ("31", "SYS", 31),
        ] {
            let signal: SignalName = text.parse().unwrap();
            assert_eq!(signal.signal.as_raw(), number, "{text}");
            assert!(signal.name == name || ["IOT", "POLL"].contains(&signal.name), "{text} is {signal}");
        }
    }

    #[test]
    fn every_named_number_of_this_machine_has_a_name() {
        let named: Vec<i32> = (1..32).filter(|n| n.to_string().parse::<SignalName>().is_ok()).collect();
        assert_eq!(named, (1..32).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_signal_says_what_was_expected() {
        for text in ["", "0", "-1", "+1", "64", "RTMIN", "SIG", "SIGSIGHUP", "HUP TERM", "1; reboot", "USR"] {
            assert!(text.parse::<SignalName>().unwrap_err().starts_with("expected the name"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_shown_reads_back(text in "\\PC{0,12}|(?i:sig)?[A-Za-z0-9]{0,6}") {
            if let Ok(signal) = text.parse::<SignalName>() {
                prop_assert_eq!(signal.to_string().parse::<SignalName>(), Ok(signal));
            }
        }
    }
}
