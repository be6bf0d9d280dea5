//! One target of a list: an address and labels become a pair and keys of its server, or a reason why not.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::domain::name::{BadName, MAX_NAME, PairName, ServerName, SiteName};
use crate::env::problem::shown;
use crate::env::value;
use crate::probe::{self, Target};

/// The key that says what is probed.
pub const URL: &str = "URL";

/// The labels that set a key of their server, each with that key. None of them can make us run, send or trust anything.
pub const KEYS: &[(&str, &str)] = &[
    ("interval", "INTERVAL"),
    ("timeout", "TIMEOUT"),
    ("attempts", "ATTEMPTS"),
    ("retry_delay", "RETRY_DELAY"),
    ("environment", "ENVIRONMENT"),
    ("status", "STATUS"),
    ("keyword", "KEYWORD"),
    ("keyword_absent", "KEYWORD_ABSENT"),
    ("tls_days", "TLS_DAYS"),
];

/// The labels that say where and who; of two for one thing the first wins.
const SITE: &str = "site";
const NAME: [&str; 2] = ["server", "name"];
const SCHEME: [&str; 2] = ["__scheme__", "scheme"];
const PATH: [&str; 2] = ["__metrics_path__", "path"];
const PARAMETER: &str = "__param_";

/// Characters of an address, and of the value of a label.
const LONGEST: usize = 2048;
/// Underscores of a name: each is a place at which a key could be cut.
const CUTS: usize = 12;
/// A list cannot make us ask more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// Nor make us wait longer, in a place that others need.
const SLOWEST: Duration = Duration::from_mins(1);

/// What one target comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The pair.
    pub pair: PairName,
    /// Keys of its server without the prefix, the URL first.
    pub keys: Vec<(&'static str, String)>,
}

impl Entry {
    /// Takes one up again that was written down; everything is checked anew, because the file may not be ours.
    pub fn again(pair: PairName, mut keys: BTreeMap<String, String>) -> Result<Self, String> {
        let url = keys.remove(URL).ok_or("has no URL")?;
        checked(&url)?;
        let mut all = vec![(URL, url)];
        for (_, key) in KEYS {
            if let Some(text) = keys.remove(*key) {
                all.push((key, text));
            }
        }
        if keys.is_empty() { Ok(Self { pair, keys: all }) } else { Err("holds a key that no list may set".to_owned()) }
    }

    /// What is probed.
    pub fn url(&self) -> &str {
        self.keys.first().map_or("", |(_, url)| url)
    }
}

/// True for a label that can mean something, besides parameters.
pub(super) fn is_known(label: &str) -> bool {
    let about = [SITE].into_iter().chain(NAME).chain(SCHEME).chain(PATH);
    about.chain(KEYS.iter().map(|(label, _)| *label)).any(|known| known == label)
}

/// True for a label that adds to the query.
pub(super) fn is_parameter(label: &str) -> bool {
    label.strip_prefix(PARAMETER).is_some_and(|name| !name.is_empty())
}

/// Reads one target; the error is a clause.
pub(super) fn entry(address: &str, labels: &BTreeMap<String, String>) -> Result<Entry, String> {
    let address = address.trim();
    if let Some((label, _)) = labels.iter().find(|(_, text)| text.len() > LONGEST || text.chars().any(char::is_control))
    {
        return Err(format!("has a label `{}` that is too long or holds a control character", shown(label)));
    }
    let label = |name: &str| labels.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let first = |names: [&str; 2]| names.into_iter().find_map(label);
    let site = label(SITE).ok_or("has no label `site`, which says where its command runs")?;
    let unfit = |error: BadName| format!("has no site that can be one: {}", shown(&error.to_string()));
    let site = SiteName::new(site).map_err(unfit)?;
    let parameters = labels.iter().filter_map(|(label, text)| Some((label.strip_prefix(PARAMETER)?, text.as_str())));
    let url = whole(address, first(SCHEME), first(PATH), parameters)?;
    let seen = checked(&url)?;
    let name = match first(NAME) {
        Some(name) if ServerName::new(name).is_ok() => name.to_owned(),
        Some(name) => squeezed(name),
        None => squeezed(&authority(&seen)).to_ascii_uppercase(),
    };
    let server = ServerName::new(&fitting(&name)).map_err(|_| "has no name that could be one; set a label `server`")?;
    let mut keys = vec![(URL, url)];
    keys.extend(KEYS.iter().filter_map(|(name, key)| Some((*key, label(name)?.to_owned()))));
    let duration = |wanted: &str| {
        let (_, text) = keys.iter().find(|(key, _)| *key == wanted)?;
        value::duration(text).ok()
    };
    if duration("INTERVAL").is_some_and(|interval| interval < SHORTEST) {
        return Err("wants to be asked more often than once a second".to_owned());
    }
    if duration("TIMEOUT").is_some_and(|timeout| timeout > SLOWEST) {
        return Err("wants more than a minute for an answer, which would hold up the others".to_owned());
    }
    Ok(Entry { pair: PairName::new(site, server), keys })
}

/// Puts a URL together.
fn whole<'l>(
    address: &str,
    scheme: Option<&str>,
    path: Option<&str>,
    parameters: impl Iterator<Item = (&'l str, &'l str)>,
) -> Result<String, String> {
    // Lists made for probes hold whole URLs.
    if address.contains("://") {
        return Ok(address.to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if address.is_empty() || !address.chars().all(plain) {
        return Err("is no address such as host:port, and no URL".to_owned());
    }
    let scheme = scheme.unwrap_or("http");
    is_listable(scheme)?;
    let path = path.unwrap_or_default();
    if path.contains(['#', '\\']) {
        return Err("has a path with a `#` or a `\\` in it".to_owned());
    }
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    let mut url = format!("{scheme}://{address}{slash}{path}");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters.filter(|(name, _)| !name.is_empty()))
        .finish();
    if !query.is_empty() {
        let path = if path.is_empty() { "/" } else { "" };
        let sign = if url.contains('?') { '&' } else { '?' };
        url = format!("{url}{path}{sign}{query}");
    }
    // An echo request has no port, and lists are made of host:port.
    if scheme.eq_ignore_ascii_case("icmp")
        && let Ok(mut bare) = Url::parse(&url)
        && bare.set_port(None).is_ok()
    {
        return Ok(bare.into());
    }
    Ok(url)
}

fn is_listable(scheme: &str) -> Result<(), String> {
    if probe::listable().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Ok(());
    }
    let known = probe::listable().collect::<Vec<_>>().join(", ");
    // What is no word may be a whole URL, with a login in it.
    let is_word =
        scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let scheme = if is_word { format!("the scheme `{scheme}`") } else { "a scheme that is none".to_owned() };
    Err(format!("has {scheme}, and a list may name {known} only"))
}

/// Reads a URL as a list may hold it.
fn checked(text: &str) -> Result<Url, String> {
    if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("has a URL that is too long, or holds a blank or a control character".to_owned());
    }
    is_listable(text.split_once("://").map_or(text, |(scheme, _)| scheme))?;
    let url = Url::parse(text).map_err(|error| format!("has a URL that cannot be read: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a login, which belongs into the URL of that server in .env".to_owned());
    }
    Target::parse(text).map(|_| url).map_err(|error| format!("cannot be probed: {error}"))
}

/// Host and port, as they make a name.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Letters, digits and single underscores between them.
fn squeezed(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// Shortens what is too long for a name; the end stands for the whole, so that two of them stay two.
fn fitting(name: &str) -> String {
    if name.len() <= MAX_NAME && name.matches('_').count() <= CUTS {
        return name.to_owned();
    }
    let digest = Sha256::digest(name.as_bytes());
    let end = digest.iter().take(4).fold(0_u32, |end, byte| end << 8 | u32::from(*byte));
    let mut cuts = 0;
    let head: String = name
        .chars()
        .take(MAX_NAME.saturating_sub(9))
        .take_while(|c| {
            cuts += usize::from(*c == '_');
            cuts < CUTS
        })
        .collect();
    format!("{}_{end:08X}", head.trim_end_matches('_'))
}

#[cfg(test)]
mod tests;
