//! `ssh`: a command on a site's own host looks, over the session that its remedies use, and its exit code says what it saw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::wire::settings::Settings;
use super::wire::{Kit, Trace, Turn, judge, last_line, unreached};
use super::{BadTarget, Kind, Probe, Target};
use crate::domain::name::SiteName;
use crate::domain::reading::{Cause, Fault};
use crate::host::output::one_line;
use crate::host::{HostError, Order, WayEnds};

/// `ssh`.
pub const KIND: Kind = Kind {
    name: "ssh",
    schemes: &["ssh"],
    listable: false,
    page: include_str!("ssh.md"),
    example: "SRV4_URL=ssh://DC3/systemctl is-active --quiet nginx",
    keys: &[],
    read,
};

/// Characters of a command that are shown.
const SHOWN: usize = 200;
/// What is kept of the time to say how far it came: the frame drops a look that has used up all of it.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// An `ssh` target at rest.
struct Ssh {
    site: SiteName,
    shell: Box<str>,
    server: Box<str>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let bad = |what: String| {
        BadTarget::Unreadable(format!("{what}; write ssh://DC3/systemctl is-active nginx, with the name of a site"))
    };
    let (_, rest) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    let rest = rest.strip_prefix("//").ok_or_else(|| BadTarget::NoHost(KIND.name.to_owned()))?;
    let (site, shell) = rest.split_once('/').ok_or_else(|| bad("there is no command".to_owned()))?;
    let site =
        SiteName::new(site).map_err(|error| bad(format!("what stands before the `/` is not a site: {error}")))?;
    let shell = shell.trim();
    if shell.is_empty() {
        return Err(bad("there is no command".to_owned()));
    }
    if shell.contains('\0') {
        return Err(bad("no shell can take a NUL character".to_owned()));
    }
    let shown = format!("ssh://{site}/{}", one_line(shell.as_bytes(), SHOWN));
    Ok(Target::new(&shown, Ssh { site, shell: shell.into(), server: settings.name().into() }))
}

impl Probe for Ssh {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.run(kit, trace))
    }

    fn site(&self) -> Option<&SiteName> {
        Some(&self.site)
    }
}

impl Ssh {
    async fn run(&self, kit: &Kit, trace: &Trace) -> Result<(), Fault> {
        let Some(reach) = kit.commands().site(&self.site) else {
            return Err(Fault::new(Cause::Denied, format!("there is no host of the site {} to look from", self.site)));
        };
        let turn = reach.turns.next(trace).await?;
        let limit = trace.left().saturating_sub(LAST_WORDS);
        // The host's own `timeout` ends the command a second earlier, so that the session stays good for others.
        let order = Order {
            shell: self.shell.to_string(),
            env: vec![("MONITOR_SERVER".to_owned(), self.server.to_string())],
            limit,
        };
        let handed_over = AtomicBool::new(false);
        let ready = async {
            handed_over.store(true, Ordering::Relaxed);
            true
        };
        match timeout(limit, reach.host.run(&order, ready)).await {
            Ok(Ok(done)) => judge(&done.exit, &done.captured),
            Ok(Err(error)) => Err(fault(&error, &turn, limit)),
            Err(_) if handed_over.load(Ordering::Relaxed) => Err(turn.overdue(limit, "")),
            Err(_) => Err(turn.unanswered(limit)),
        }
    }
}

/// What stands between us and the exit code: the machine is the target, so one that does not answer is down. That we have no
/// key, no permission or no way says nothing about it.
fn fault(error: &HostError, turn: &Turn, limit: Duration) -> Fault {
    let cause = match error {
        HostError::Unreachable { ends, .. } => match ends {
            WayEnds::Name => Cause::Resolver,
            WayEnds::Kernel(error) => unreached(error),
            WayEnds::Silence => Cause::Timeout,
            WayEnds::BehindJump => Cause::Unreachable,
            WayEnds::Jump => Cause::Network,
        },
        HostError::Silent { .. } => Cause::Timeout,
        HostError::Handshake { dropped: true, .. } | HostError::Lost { .. } => Cause::Reset,
        HostError::Handshake { dropped: false, .. } => Cause::Protocol,
        HostError::Jump { .. } => Cause::Network,
        HostError::TimedOut { captured, .. } => return turn.overdue(limit, &last_line(captured)),
        HostError::Auth(_)
        | HostError::HostKeyChanged(_)
        | HostError::HostKeyUnknown(_)
        | HostError::KnownHosts { .. }
        | HostError::Key { .. }
        | HostError::Refused { .. }
        | HostError::Withheld
        | HostError::Closed => Cause::Denied,
    };
    Fault::new(cause, error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_names_no_site_and_command_says_what_to_write() {
        for (text, expected) in [
            ("ssh:DC3/true", "the URL has no host"),
            ("ssh://DC3", "the URL cannot be read: there is no command; write ssh://DC3/systemctl is-active nginx"),
            ("ssh://DC3/ ", "the URL cannot be read: there is no command"),
            ("ssh:///true", "the URL cannot be read: what stands before the `/` is not a site: a name is empty"),
            ("ssh://root@dc3.example.com:22/true", "the URL cannot be read: what stands before the `/` is not a site"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
        }
        let target = Target::parse("SSH://DC3/ test $(date +%s) -gt 0 / ").unwrap();
        assert_eq!(target.shown(), "ssh://DC3/test $(date +%s) -gt 0 /");
        assert_eq!(target.site().map(SiteName::as_str), Some("DC3"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_site_and_a_command_or_says_why_not(text in "\\PC{0,60}") {
            match Target::parse(&format!("ssh://{text}")) {
                Ok(target) => prop_assert!(target.site().is_some()),
                Err(error) => prop_assert!(error.to_string().contains("write ssh://DC3/")),
            }
        }
    }
}
