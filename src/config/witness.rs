//! Witnesses: who has to answer before anything is believed to be down, for the whole agent or for one site.

use std::sync::Arc;
use std::time::Duration;

use crate::env::{Group, Key, Scope, Scoped, value};
use crate::probe::Target;

const DOC: &str = "URLs, separated by commas, that are asked right before a check counts as down; when too few of them answer, it is we who are cut off, the check is unknown and nothing is healed. With witnesses a check makes at least 2 attempts.";
const QUORUM_DOC: &str = "How many of the witnesses have to answer.";
const EXAMPLE: &str = "icmp://192.168.1.1,https://1.1.1.1";

/// Witnesses of the whole agent.
pub const WITNESSES: Key<Vec<Arc<Target>>> =
    Key::new(Scope::Global, "WITNESSES", targets).about(DOC, EXAMPLE).otherwise("none are asked");
/// How many have to answer.
pub const QUORUM: Key<usize> = Key::new(Scope::Global, "WITNESS_QUORUM", quorum).about(QUORUM_DOC, "2").default("1");
/// How long they have.
pub const TIMEOUT: Key<Duration> = Key::new(Scope::Global, "WITNESS_TIMEOUT", value::positive_duration)
    .about("Time a witness has to answer.", "2s")
    .default("2s");
const SITE_WITNESSES: Key<Vec<Arc<Target>>> =
    Key::new(Scope::Site, "WITNESSES", targets).about(DOC, EXAMPLE).otherwise("as WITNESSES");
const SITE_QUORUM: Key<usize> =
    Key::new(Scope::Site, "WITNESS_QUORUM", quorum).about(QUORUM_DOC, "2").otherwise("as WITNESS_QUORUM");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Witnesses",
    intro: "Is it them or is it me? What is asked before anything is believed to be down.",
    keys: &[WITNESSES.info(), QUORUM.info(), TIMEOUT.info(), SITE_WITNESSES.info(), SITE_QUORUM.info()],
};

/// A set of witnesses.
#[derive(Debug, Clone)]
pub struct Witnesses {
    /// The key that names them.
    pub key: String,
    /// What is asked.
    pub targets: Vec<Arc<Target>>,
    /// How many have to answer.
    pub quorum: usize,
    /// How long they have.
    pub timeout: Duration,
}

/// Reads those of the whole agent; the inner absence means that there are none.
pub fn of_agent(global: &Scoped<'_>) -> Option<Option<Witnesses>> {
    let (targets, quorum, timeout) = (global.optional(&WITNESSES), global.get(&QUORUM), global.get(&TIMEOUT));
    let (Some(targets), quorum, timeout) = (targets?, quorum?, timeout?) else { return Some(None) };
    enough(global, &QUORUM, quorum, targets.len());
    Some(Some(Witnesses { key: WITNESSES.name.to_owned(), targets, quorum, timeout }))
}

/// Reads those of a site.
pub fn of_site(global: &Scoped<'_>, site: &Scoped<'_>) -> Option<Option<Witnesses>> {
    let (targets, own) = (site.optional(&SITE_WITNESSES), site.optional(&SITE_QUORUM));
    let (targets, own) = (targets?, own?);
    let Some(targets) = targets else {
        if own.is_some() {
            let hint = format!("set {} too, or remove it", site.full(SITE_WITNESSES.name));
            site.problem(&SITE_QUORUM, "is set, but the site has no witnesses of its own", hint);
        }
        return Some(None);
    };
    let quorum = own.or(global.get(&QUORUM))?;
    let timeout = global.get(&TIMEOUT)?;
    if own.is_some() {
        enough(site, &SITE_QUORUM, quorum, targets.len());
    } else {
        enough(global, &QUORUM, quorum, targets.len());
    }
    Some(Some(Witnesses { key: site.full(SITE_WITNESSES.name), targets, quorum, timeout }))
}

fn enough(keys: &Scoped<'_>, key: &Key<usize>, quorum: usize, of: usize) {
    if quorum > of {
        let what = format!("is {quorum}, but there are only {of} witnesses: they could never be enough");
        keys.problem(key, what, format!("set a number from 1 to {of}"));
    }
}

fn targets(text: &str) -> Result<Vec<Arc<Target>>, String> {
    value::list(text, |item| {
        let target = Target::parse(item).map_err(|error| format!("expected URLs: {error}"))?;
        if target.reports().is_some() {
            return Err("expected URLs that can be asked: a witness cannot report to us by `push`".to_owned());
        }
        Ok(Arc::new(target))
    })
}

fn quorum(text: &str) -> Result<usize, String> {
    value::whole(text, &(1..=100))
}
