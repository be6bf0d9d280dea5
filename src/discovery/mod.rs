//! Floor 6: the front door of a list that somebody else keeps, in the form of Prometheus's HTTP service discovery
//! (<https://prometheus.io/docs/prometheus/latest/http_sd/>). Its targets become pairs and keys of servers, laid under what
//! the configuration says; there is no second way to be watched.
//!
//! A list says what is watched, never what is run: `target` takes a few labels and no others, `admit` takes the sites that
//! have keys of their own and no others.
//!
//! The text is read in `list`, one target in `target`; which names would set somebody else's keys is known in `rivals`. Who stays and who is retired is reckoned in `roll`, which `stored`
//! writes down; `ask` fetches. When that happens, and where the file is, is the business of `app`.

pub mod admit;
pub mod ask;
pub mod list;
mod rivals;
pub mod roll;
pub mod stored;
pub mod target;

use crate::env::problem::shown;

pub use admit::{Admitted, Ground, admit};
pub use list::{Broken, read};
pub use roll::{Change, Member, Roll, Rules};
pub use target::Entry;

/// A target that is not watched, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Which one, as people may see it.
    pub what: String,
    /// Why, a clause.
    pub why: String,
}

impl LeftOut {
    /// Takes a target as it stands in the list: what may be secret in it goes.
    fn named(target: &str, why: impl Into<String>) -> Self {
        let bare = target.split(['?', '#']).next().unwrap_or_default();
        let bare = match (bare.split_once("://"), bare.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            (None, Some((_, host))) => host.to_owned(),
            (_, None) => bare.to_owned(),
        };
        Self { what: shown(&bare), why: why.into() }
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.what, self.why)
    }
}
