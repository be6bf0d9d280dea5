//! What the probes that run something run it with: this machine, the hosts of sites, and how many may run at once.
//!
//! A kit has those of one configuration; a reload makes another kit, and old probes end with what they began with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Trace;
use crate::domain::name::SiteName;
use crate::domain::reading::{Cause, Fault};
use crate::host::output::{Captured, one_line};
use crate::host::{Exit, Host, LocalHost};

/// Processes of checks that run on this machine at once: each may be an interpreter with its libraries.
const PROCESSES: usize = 16;
/// Commands of checks on one host at once: half of what a session carries, so that a remedy never has to wait.
const ON_ONE_HOST: usize = 4;
/// What is kept of the time to say that no turn came: the frame drops a look that has used up all of it.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Characters kept of the last line of an output.
const SAID: usize = 120;

/// Where commands of checks run.
#[derive(Clone)]
pub struct Commands {
    /// This machine.
    pub(crate) local: LocalHost,
    /// Turns on this machine; the same ones through all reloads.
    pub(crate) turns: Turns,
    sites: Arc<BTreeMap<SiteName, Reach>>,
}

/// The host of a site, and the turns that checks have there.
#[derive(Clone)]
pub struct Reach {
    /// Where commands run.
    pub host: Arc<Host>,
    /// Who may run one; kept as long as the host is.
    pub turns: Turns,
}

impl Default for Commands {
    /// This machine with nothing of our environment, and no site.
    fn default() -> Self {
        Self { local: LocalHost::default(), turns: Turns::new(PROCESSES), sites: Arc::default() }
    }
}

impl Commands {
    /// The same turns with another configuration.
    pub(super) fn at(&self, local: LocalHost, sites: BTreeMap<SiteName, Reach>) -> Self {
        Self { local, turns: self.turns.clone(), sites: Arc::new(sites) }
    }

    /// How a site is reached.
    pub(crate) fn site(&self, name: &SiteName) -> Option<&Reach> {
        self.sites.get(name)
    }
}

/// A bounded number of turns, taken in the order of asking.
#[derive(Clone)]
pub struct Turns {
    free: Arc<Semaphore>,
    of: usize,
}

/// The right to run one command.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    /// How long it took to come, where that left too little time to judge by.
    late: Option<Duration>,
}

impl Turns {
    /// `of` of them.
    pub fn new(of: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(of)), of }
    }

    /// Those of one host.
    pub fn of_host() -> Self {
        Self::new(ON_ONE_HOST)
    }

    /// Waits for a turn. That none came is our trouble and says nothing about the target.
    pub(crate) async fn next(&self, trace: &Trace) -> Result<Turn, Fault> {
        let begun = trace.elapsed();
        let patience = trace.left().saturating_sub(LAST_WORDS);
        let Ok(Ok(permit)) = timeout(patience, self.free.clone().acquire_owned()).await else {
            let reason = format!("it had no turn in time: {} commands of checks run there already", self.of);
            return Err(Fault::new(Cause::Exhausted, reason));
        };
        let waited = trace.elapsed().saturating_sub(begun);
        let late = (waited > trace.limit() / 10).then_some(waited);
        Ok(Turn { _permit: permit, late })
    }
}

impl Turn {
    /// The fault of a command that did not end in time.
    pub(crate) fn overdue(&self, had: Duration, last: &str) -> Fault {
        let last = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
        self.too_slow(had, &format!("the command did not end within {:.1} s and was stopped{last}", had.as_secs_f64()))
    }

    /// The fault of a host that did not come so far as to take the command.
    pub(crate) fn unanswered(&self, had: Duration) -> Fault {
        self.too_slow(had, &format!("the host was not ready for the command within {:.1} s", had.as_secs_f64()))
    }

    /// It is the target's, unless it was we who left it too little time.
    fn too_slow(&self, had: Duration, reason: &str) -> Fault {
        let Some(waited) = self.late else { return Fault::new(Cause::Timeout, reason) };
        let (waited, had) = (waited.as_secs_f64(), had.as_secs_f64());
        Fault::new(Cause::Exhausted, format!("it waited {waited:.1} s for its turn and had {had:.1} s left, too few"))
    }
}

/// What the end of a command says. Only exit code 0 is up; what a shell could not start has looked at nothing, and neither has
/// what a signal ended.
pub(crate) fn judge(exit: &Exit, captured: &Captured) -> Result<(), Fault> {
    let last = last_line(captured);
    let said = if last.is_empty() { ", and nothing was printed".to_owned() } else { format!(": {last}") };
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(126) => {
            Err(Fault::new(Cause::Denied, format!("the command may not be executed (exit code 126){said}")))
        }
        Exit::Code(127) => Err(Fault::new(Cause::Denied, format!("the command was not found (exit code 127){said}"))),
        Exit::Code(code) => Err(Fault::new(Cause::Exit, format!("exit code {code}{said}"))),
        Exit::Signal(name) => {
            Err(Fault::new(Cause::Denied, format!("the command was ended by the signal {name}, and not by us{said}")))
        }
    }
}

/// The last line that says something; a long one is cut before a word, because half of a secret is known to nobody who masks.
pub(crate) fn last_line(captured: &Captured) -> String {
    let line = captured.text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= SAID {
        return one_line(line.as_bytes(), SAID);
    }
    let head: String = line.chars().take(SAID).collect();
    let whole = head.rsplit_once(char::is_whitespace).map_or("", |(whole, _)| whole);
    format!("{} …", one_line(whole.as_bytes(), SAID)).trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Captured {
        Captured { text: text.to_owned(), ..Captured::default() }
    }

    #[test]
    fn an_end_says_whose_fault_it_is_and_what_was_said_last() {
        for (exit, text, cause, reason) in [
            (Exit::Code(1), "", Cause::Exit, "exit code 1, and nothing was printed"),
            (Exit::Code(2), "a\nCRITICAL - full\n\n", Cause::Exit, "exit code 2: CRITICAL - full"),
            (Exit::Code(255), "x", Cause::Exit, "exit code 255: x"),
            (
                Exit::Code(127),
                "sh: 1: chek: not found\n",
                Cause::Denied,
                "the command was not found (exit code 127): sh: 1: chek: not found",
            ),
            (
                Exit::Code(126),
                "",
                Cause::Denied,
                "the command may not be executed (exit code 126), and nothing was printed",
            ),
            (
                Exit::Signal("SEGV".to_owned()),
                "",
                Cause::Denied,
                "the command was ended by the signal SEGV, and not by us, and nothing was printed",
            ),
        ] {
            let fault = judge(&exit, &printed(text)).unwrap_err();
            assert_eq!((fault.cause, fault.reason.as_str()), (cause, reason));
        }
        assert_eq!(judge(&Exit::Code(0), &printed("noise")), Ok(()));
    }

    #[test]
    fn a_long_last_line_is_cut_before_a_word() {
        let text = format!("{} s3cr3t-t0ken", "word ".repeat(23));
        assert!(!last_line(&printed(&text)).contains("s3c"), "{}", last_line(&printed(&text)));
        assert_eq!(last_line(&printed(&"x".repeat(500))), "…");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_has_a_turn_is_blind_and_who_has_it_late_too() {
        let turns = Turns::new(1);
        let trace = Trace::start(Duration::from_secs(10));
        let first = turns.next(&trace).await.unwrap_or_else(|fault| panic!("{}", fault.reason));
        assert_eq!(first.overdue(Duration::from_secs(9), "").cause, Cause::Timeout);
        let second = Trace::start(Duration::from_secs(10));
        let fault = turns.next(&second).await.err().unwrap();
        assert_eq!((fault.cause, second.left()), (Cause::Exhausted, LAST_WORDS));
        let third = Trace::start(Duration::from_secs(10));
        let (waiting, freed) = (turns.next(&third), async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            drop(first);
        });
        let (third, ()) = tokio::join!(waiting, freed);
        let fault = third.unwrap_or_else(|fault| panic!("{}", fault.reason)).overdue(Duration::from_secs(5), "");
        assert_eq!(fault.cause, Cause::Exhausted);
        assert_eq!(fault.reason, "it waited 4.0 s for its turn and had 5.0 s left, too few");
    }
}
