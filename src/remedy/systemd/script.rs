//! The shell text that starts, restarts or stops units and then looks at them. It is one line: csh takes no other.
//!
//! It asks `systemctl` first. Where that is refused to an ordinary user, nothing has happened yet, and it asks once more by
//! way of `sudo -n`. The last line of its output says what went wrong.

use std::fmt::Write as _;

use super::{Action, Unit};

/// Everything goes to one stream, so that the last line is the last. Words are English, because we read them.
const HEAD: &str = "exec 2>&1; LC_ALL=C; export LC_ALL; me=$(id -u); ";

/// `act VERB UNIT`: runs systemctl, shows what it says, keeps its code.
const ACT: &str = "act() { printf '%s\\n' \"systemctl $1 $2\"; said=$(systemctl --no-ask-password \"$1\" \"$2\" 2>&1); code=$?; \
    if [ \"$code\" -ne 0 ] && [ \"$me\" != 0 ] && command -v sudo >/dev/null 2>&1; then case \"$said\" in \
    *uthentication*|*uthoriz*|*'ccess denied'*|*PolicyKit*) printf '%s\\n' \"$said\" \"sudo -n systemctl $1 $2\"; \
    said=$(sudo -n systemctl \"$1\" \"$2\" 2>&1); code=$?;; esac; fi; \
    [ -z \"$said\" ] || printf '%s\\n' \"$said\"; return \"$code\"; }; ";

/// `up UNIT`: a service that ran to its end is as it should be when that is what its kind does.
const UP: &str = "look() { state=$(systemctl is-active \"$1\" 2>/dev/null); \
    case \"$state\" in active|reloading|refreshing) return 0;; \
    inactive) case \"$(systemctl show -p Type \"$1\" 2>/dev/null)\" in Type=oneshot) return 0;; esac;; esac; ";

/// `down UNIT`.
const DOWN: &str = "look() { state=$(systemctl is-active \"$1\" 2>/dev/null); \
    case \"$state\" in inactive|failed|unknown) return 0;; esac; ";

/// `missed UNIT`: remembers that it could not be stopped; the others are stopped all the same, or they would run on. A unit
/// that systemd does not know does not run.
const MISSED: &str = "first= failed=; missed() { case \"$said\" in *\"Unit $1 not loaded\"*|*\"Unit $1 not found\"*) \
    printf '%s\\n' \"$1: systemd knows no such unit, so it counts as stopped\"; return 0;; esac; \
    first=${first:-$code}; failed=\"${failed:+$failed; }$1: systemctl stop exited with code $code\"; }; ";

/// The last line names every unit that could not be stopped.
const SAID: &str = "[ -z \"$failed\" ] || { printf '%s\\n' \"$failed\"; exit \"$first\"; }; ";

/// The code of LSB for "program is not running".
const NOT_RUNNING: i32 = 3;

/// Writes the text for these units in this order.
pub fn acting(action: Action, units: &[&Unit]) -> String {
    let verb = action.verb();
    let look = if action == Action::Stop { DOWN } else { UP };
    let mut text =
        format!("{HEAD}{ACT}{look}printf '%s\\n' \"$1 is ${{state:-unknown}} after systemctl {verb}\"; return 1; }}; ");
    if action == Action::Stop {
        text.push_str(MISSED);
    }
    for (place, unit) in units.iter().enumerate() {
        let rest: Vec<&str> = units.iter().skip(place + 1).map(|unit| unit.as_str()).collect();
        let rest = if rest.is_empty() { String::new() } else { format!("; not tried: {}", rest.join(" ")) };
        // Validated names hold no quote.
        let _ = match action {
            Action::Stop => write!(text, "act {verb} '{unit}' || missed '{unit}'; "),
            Action::Start | Action::Restart => write!(
                text,
                "act {verb} '{unit}' || {{ printf '%s\\n' '{unit}: systemctl {verb} exited with code '\"$code\"'{rest}'; exit \"$code\"; }}; "
            ),
        };
    }
    text.push_str("bad=; ");
    for unit in units {
        let _ = write!(text, "look '{unit}' || bad=1; ");
    }
    if action == Action::Stop {
        text.push_str(SAID);
    }
    let _ = write!(text, "[ -z \"$bad\" ] || exit {NOT_RUNNING}");
    text
}

/// Writes a text that runs nothing: it looks whether the host has systemd and knows the units.
pub fn looking(units: &[&Unit]) -> String {
    let mut text = format!("{HEAD}systemctl --version >/dev/null || exit 127; bad=; ");
    for unit in units {
        let _ = write!(text, "said=$(systemctl cat '{unit}' 2>&1) || {{ printf '%s\\n' \"$said\"; bad=1; }}; ");
    }
    text.push_str("[ -z \"$bad\" ]");
    text
}

/// Writes a text that looks like [`looking`] and shows the state of each unit.
pub fn rehearsing(units: &[&Unit]) -> String {
    let mut text = looking(units);
    text.push_str(" || exit 1");
    for unit in units {
        let _ = write!(text, "; printf '%s is ' '{unit}'; systemctl is-active '{unit}' || :");
    }
    text
}
