//! `MAINTENANCE`: planned times. How one window is written is read by `grammar`; here its names are looked up and what is
//! odd about it is told. What a window means lives in `domain::maintenance`.

mod grammar;
mod zone;

use std::collections::BTreeSet;

use crate::domain::maintenance::{Calendar, Kind, Once, Scope as Whom, Window};
use crate::domain::name::{PairName, ServerName, SiteName};
use crate::env::problem::shown;
use crate::env::{Group, Key, Scope, Scoped, value};

use super::{Surroundings, discovery};

/// Planned times.
pub const MAINTENANCE: Key<String> = Key::new(Scope::Global, "MAINTENANCE", value::text)
    .about(
        "Planned times in which checks go on, no command runs and no failure is told, separated by `;`: days and times, a cron pattern and a duration, or a date and times; each with a time zone if it is not this machine's, and with `NAME:` before it if it is for some sites, servers or pairs only.",
        "Sun 02:00-04:00 Europe/Moscow; DC3: 0 3 * * * 30m",
    )
    .otherwise("none");

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Maintenance",
    intro: "When things may be down because somebody works on them. See docs/how-to/plan-maintenance.md.",
    keys: &[MAINTENANCE.info()],
};

/// Names that are listed where one is wrong; more would hide the rest.
const LISTED: usize = 12;

/// Reads the section. Without pairs their names are not judged: what is wrong with them is told already.
pub fn read(global: &Scoped<'_>, pairs: Option<&[PairName]>, around: &Surroundings) -> Option<Calendar> {
    let text = global.optional(&MAINTENANCE)?.unwrap_or_default();
    let open = discovery::is_on(global);
    let mut windows = Vec::new();
    let mut good = true;
    for written in text.split([';', '\n']).map(str::trim).filter(|written| !written.is_empty()) {
        let mut wrong = |what: String, hint: String| {
            global.problem(&MAINTENANCE, format!("in `{}` {what}", shown(written)), hint);
            good = false;
        };
        let (names, when) = grammar::split(written);
        let mut scope = Vec::new();
        for name in names {
            match whom(name, pairs) {
                Ok(whom) => scope.extend(whom),
                // What comes and goes has its window when it is there. A scope without names would be everything.
                Err((what, _)) if open && !absent(name).is_empty() => {
                    scope.extend(absent(name));
                    let what = format!("in `{}` {what} now", shown(written));
                    let hint = "mend it, unless the list of DISCOVERY_URL is to bring it back";
                    global.warn(&MAINTENANCE, what, hint);
                }
                Err((what, hint)) => wrong(what, hint),
            }
        }
        match grammar::kind(when, &around.zone) {
            Ok(kind) => windows.push((written, Window { scope, kind })),
            Err(grammar::Bad { what, hint }) => wrong(what, hint),
        }
    }
    for (written, window) in &windows {
        if let Some((what, hint)) = odd(window, around) {
            global.warn(&MAINTENANCE, format!("`{}` {what}", shown(written)), hint);
        }
    }
    good.then(|| Calendar::new(windows.into_iter().map(|(_, window)| window).collect()))
}

/// Finds whom a name means; a site and a server of one name are both meant.
fn whom(name: &str, pairs: Option<&[PairName]>) -> Result<Vec<Whom>, (String, String)> {
    let Some(pairs) = pairs else { return Ok(Vec::new()) };
    if let Ok(pair) = name.parse::<PairName>() {
        return if pairs.contains(&pair) { Ok(vec![Whom::Pair(pair)]) } else { Err(unknown(name, pairs)) };
    }
    let site = SiteName::new(name).ok().filter(|site| pairs.iter().any(|pair| pair.site == *site));
    let server = ServerName::new(name).ok().filter(|server| pairs.iter().any(|pair| pair.server == *server));
    let found: Vec<Whom> = site.map(Whom::Site).into_iter().chain(server.map(Whom::Server)).collect();
    if found.is_empty() { Err(unknown(name, pairs)) } else { Ok(found) }
}

/// What a name that is not there now can mean.
fn absent(name: &str) -> Vec<Whom> {
    let pair = name.parse().ok().map(Whom::Pair);
    let site = SiteName::new(name).ok().map(Whom::Site);
    let server = ServerName::new(name).ok().map(Whom::Server);
    pair.into_iter().chain(site).chain(server).collect()
}

fn unknown(name: &str, pairs: &[PairName]) -> (String, String) {
    let what = if name.is_empty() {
        "a name before the `:` is empty".to_owned()
    } else {
        format!("nothing is called `{}`", shown(name))
    };
    let sites = listed(pairs.iter().map(|pair| pair.site.to_string()));
    let servers = listed(pairs.iter().map(|pair| pair.server.to_string()));
    let all = listed(pairs.iter().map(ToString::to_string));
    (what, format!("MAPPINGS has the sites {sites}, the servers {servers} and the pairs {all}"))
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: BTreeSet<String> = names.collect();
    let more = names.len().saturating_sub(LISTED);
    let text = names.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

/// What is odd about a window that can be held.
fn odd(window: &Window, around: &Surroundings) -> Option<(String, String)> {
    if let Kind::Once(Once { end, .. }) = window.kind {
        let over = end <= around.now;
        let at = end.to_zoned(around.zone.clone()).strftime("%Y-%m-%d %H:%M %Z");
        return over.then(|| (format!("is over since {at}"), "remove it, or write the date that you mean".to_owned()));
    }
    let hint = "shorten it, unless no command is ever to run there";
    window.is_always_open(around.now).then(|| ("is open all the time".to_owned(), hint.to_owned()))
}

#[cfg(test)]
mod tests;
