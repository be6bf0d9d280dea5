//! The keys of the ladder. Every scope has the same ones under its prefix.

use std::time::Duration;

use crate::domain::ladder::Mode;
use crate::env::{Group, Key, Scope, value};

const COMMAND_DOC: &str = "Command that is run when a check says `down`.";
const NEXT_DOC: &str = "Rung k of the ladder: the k-th failing check of an incident runs rung min(k, last). Checks whose command a guard refused do not count.";
const TIMEOUT_DOC: &str = "Time a command may take; then it is told to stop.";
const WINDOW_DOC: &str = "How long after this command its effect is looked for; 0 turns it off.";
const MODE_DOC: &str = "How a rung is run: auto by itself, approve once a person says `monitor approve` (until then no later rung runs either), dry never: it is only said what would have run.";
const AFTER_DOC: &str = "Not before the outage lasted so long; until then the rung below runs.";
const RECOVERY_DOC: &str = "Command that is run once when a pair is up again; what came of it is recorded. Where {DC}_SERVICES are stopped on recovery it is not run; where every rung is dry neither.";

const fn command(scope: Scope, means: &'static str) -> Key<String> {
    Key::new(scope, "COMMAND", shell).about(COMMAND_DOC, "systemctl restart network-service").otherwise(means)
}

/// The command of the whole agent.
pub const COMMAND: Key<String> = command(Scope::Global, "each site or pair has its own").typical();
/// Limit of a command.
pub const COMMAND_TIMEOUT: Key<Duration> =
    Key::new(Scope::Global, "COMMAND_TIMEOUT", value::positive_duration).about(TIMEOUT_DOC, "60s").default("60s");
/// How long a command has to show its effect.
pub const VERIFY_WINDOW: Key<Duration> = Key::new(Scope::Global, "VERIFY_WINDOW", value::duration)
    .about(
        "How long after a command its effect is looked for; a success ends the incident at once. 0 turns it off.",
        "15s",
    )
    .default("15s");
/// Between two looks.
pub const VERIFY_INTERVAL: Key<Duration> = Key::new(Scope::Global, "VERIFY_INTERVAL", value::positive_duration)
    .about("Time between two looks inside the window, and before the first.", "5s")
    .default("5s");

/// The keys that every scope has, under its prefix.
pub(super) struct Keys {
    pub command: Key<String>,
    pub commands: Key<String>,
    pub recovery: Key<String>,
    pub every: Every,
    pub one: Every,
}

/// The terms of every rung, or of one.
pub(super) struct Every {
    pub timeout: Key<Duration>,
    pub window: Key<Duration>,
    pub mode: Key<Mode>,
    pub after: Key<Duration>,
}

/// What holds where a key is not set: for the whole agent, a site, a pair.
const fn wider(scope: Scope, agent: &'static str, site: &'static str, pair: &'static str) -> &'static str {
    match scope {
        Scope::Global | Scope::Server => agent,
        Scope::Site => site,
        Scope::Pair => pair,
    }
}

const fn every(scope: Scope, timeout: Key<Duration>) -> Every {
    Every {
        timeout,
        window: Key::new(scope, "COMMAND_VERIFY_WINDOW", value::duration).about(WINDOW_DOC, "1m").otherwise(wider(
            scope,
            "as VERIFY_WINDOW",
            "as COMMAND_VERIFY_WINDOW",
            "as {DC}_COMMAND_VERIFY_WINDOW",
        )),
        mode: Key::new(scope, "COMMAND_MODE", mode).about(MODE_DOC, "approve").otherwise(wider(
            scope,
            "auto",
            "as COMMAND_MODE",
            "as {DC}_COMMAND_MODE",
        )),
        after: Key::new(scope, "COMMAND_AFTER", value::duration).about(AFTER_DOC, "10m").otherwise(wider(
            scope,
            "at once",
            "as COMMAND_AFTER",
            "as {DC}_COMMAND_AFTER",
        )),
    }
}

const fn one(scope: Scope) -> Every {
    Every {
        timeout: Key::new(scope, "COMMAND_{K}_TIMEOUT", value::positive_duration)
            .about(TIMEOUT_DOC, "5m")
            .otherwise("as COMMAND_TIMEOUT there"),
        window: Key::new(scope, "COMMAND_{K}_VERIFY_WINDOW", value::duration)
            .about(WINDOW_DOC, "2m")
            .otherwise("as COMMAND_VERIFY_WINDOW there"),
        mode: Key::new(scope, "COMMAND_{K}_MODE", mode).about(MODE_DOC, "approve").otherwise("as COMMAND_MODE there"),
        after: Key::new(scope, "COMMAND_{K}_AFTER", value::duration)
            .about(AFTER_DOC, "10m")
            .otherwise("as COMMAND_AFTER there"),
    }
}

const fn keys(
    scope: Scope,
    command: Key<String>,
    next: &'static str,
    recovery: &'static str,
    timeout: Key<Duration>,
) -> Keys {
    Keys {
        command,
        commands: Key::new(scope, "COMMAND_{K}", shell).about(NEXT_DOC, "reboot").otherwise(next),
        recovery: Key::new(scope, "RECOVERY_COMMAND", shell)
            .about(RECOVERY_DOC, "systemctl stop standby")
            .otherwise(recovery),
        every: every(scope, timeout),
        one: one(scope),
    }
}

const fn timeout(scope: Scope, means: &'static str) -> Key<Duration> {
    Key::new(scope, "COMMAND_TIMEOUT", value::positive_duration).about(TIMEOUT_DOC, "2m").otherwise(means)
}

/// The command of one site.
pub const SITE_COMMAND: Key<String> = command(Scope::Site, "as COMMAND");
pub(super) const GLOBAL: Keys = keys(Scope::Global, COMMAND, "none", "none", COMMAND_TIMEOUT);
pub(super) const SITE: Keys = keys(
    Scope::Site,
    SITE_COMMAND,
    "as COMMAND_{K}",
    "as RECOVERY_COMMAND",
    timeout(Scope::Site, "as COMMAND_TIMEOUT"),
);
pub(super) const PAIR: Keys = keys(
    Scope::Pair,
    command(Scope::Pair, "as {DC}_COMMAND"),
    "as {DC}_COMMAND_{K}",
    "as {DC}_RECOVERY_COMMAND",
    timeout(Scope::Pair, "as {DC}_COMMAND_TIMEOUT"),
);

/// The keys of the ladder.
pub const GROUP: Group<'static> = Group {
    title: "Commands",
    intro: "What is run when a pair is down. The narrowest key wins: pair, then site, then the whole agent.",
    keys: &[
        GLOBAL.command.info(),
        GLOBAL.commands.info(),
        SITE.command.info(),
        SITE.commands.info(),
        PAIR.command.info(),
        PAIR.commands.info(),
        GLOBAL.every.timeout.info(),
        GLOBAL.one.timeout.info(),
        SITE.every.timeout.info(),
        SITE.one.timeout.info(),
        PAIR.every.timeout.info(),
        PAIR.one.timeout.info(),
        GLOBAL.every.mode.info(),
        GLOBAL.one.mode.info(),
        SITE.every.mode.info(),
        SITE.one.mode.info(),
        PAIR.every.mode.info(),
        PAIR.one.mode.info(),
        GLOBAL.every.after.info(),
        GLOBAL.one.after.info(),
        SITE.every.after.info(),
        SITE.one.after.info(),
        PAIR.every.after.info(),
        PAIR.one.after.info(),
        VERIFY_WINDOW.info(),
        GLOBAL.every.window.info(),
        GLOBAL.one.window.info(),
        SITE.every.window.info(),
        SITE.one.window.info(),
        PAIR.every.window.info(),
        PAIR.one.window.info(),
        VERIFY_INTERVAL.info(),
        GLOBAL.recovery.info(),
        SITE.recovery.info(),
        PAIR.recovery.info(),
    ],
};

/// Characters of one command; a longer one belongs into a script on the host.
const MAX_COMMAND: usize = 8192;

fn shell(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_COMMAND {
        return Err(format!(
            "expected a command of at most {MAX_COMMAND} characters; put a longer one into a script on the host"
        ));
    }
    Ok(text.to_owned())
}

fn mode(text: &str) -> Result<Mode, String> {
    value::word(text, &[("auto", Mode::Auto), ("approve", Mode::Approve), ("dry", Mode::Dry)])
}
