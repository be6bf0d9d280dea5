//! The second look: a pair's target asked from its site's own host, over the session that its commands use.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::evidence::Afar;
use crate::domain::name::SiteName;
use crate::engine::plan::LookAfar;
use crate::host::{Exit, Host, HostError, Order};
use crate::probe::{CANNOT_LOOK, Target};

/// How long the whole look may take; a host that needs longer gives no answer.
const WITHIN: Duration = Duration::from_secs(15);

/// A target as its site's host sees it.
pub struct FromSite {
    host: Arc<Host>,
    site: SiteName,
    shell: String,
    limit: Duration,
}

impl FromSite {
    /// Joins the host and what it asks; `None` when this kind of target cannot be asked by a shell.
    pub fn new(host: Arc<Host>, site: SiteName, target: &Target, limit: Duration) -> Option<Self> {
        let shell = target.afar_shell(limit)?;
        Some(Self { host, site, shell, limit })
    }
}

impl LookAfar for FromSite {
    fn look(&self) -> BoxFuture<'_, Afar> {
        // The shell ends the look by itself; the order's limit is for a shell that does not.
        let limit = self.limit.saturating_add(Duration::from_secs(2));
        let order = Order { shell: self.shell.clone(), env: Vec::new(), limit };
        let longest = WITHIN.max(limit);
        Box::pin(async move {
            let looked = tokio::time::timeout(longest, self.host.run(&order, async { true })).await;
            match looked {
                Ok(Ok(finished)) => match finished.exit {
                    Exit::Code(0) => Afar::Up,
                    Exit::Code(CANNOT_LOOK) => Afar::CannotLook(format!(
                        "{} has none of the programs that could look ({}); install one, or set {}_CROSS_CHECK=false",
                        self.site,
                        finished.captured.text.trim(),
                        self.site
                    )),
                    Exit::Code(_) | Exit::Signal(_) => Afar::Down,
                },
                // Slow or cut off in the middle: that may be our route, and a command could get through it all the same.
                Err(_) => self.unanswered(&format!("gave no answer within {} s", longest.as_secs())),
                Ok(Err(error)) if is_silent(&error) => self.unanswered(&format!("gave no answer: {error}")),
                // A host that lets us run nothing says nothing about the target, and will say so when the command comes.
                Ok(Err(_)) => Afar::NotAsked,
            }
        })
    }
}

impl FromSite {
    fn unanswered(&self, why: &str) -> Afar {
        Afar::NoAnswer { why: format!("the host of {} {why}", self.site), again: false }
    }
}

/// True when the host was there and no answer came; what it refused is an answer.
fn is_silent(error: &HostError) -> bool {
    match error {
        HostError::Silent { .. } | HostError::TimedOut { .. } | HostError::Lost { .. } => true,
        HostError::Jump { source } => is_silent(source),
        HostError::Unreachable { .. }
        | HostError::Handshake { .. }
        | HostError::Auth(_)
        | HostError::HostKeyChanged(_)
        | HostError::HostKeyUnknown(_)
        | HostError::KnownHosts { .. }
        | HostError::Key { .. }
        | HostError::Refused { .. }
        | HostError::Withheld
        | HostError::Closed => false,
    }
}
