//! `DISCOVERY_*`: the list that more pairs come from. What stands in a list is read by `discovery`, who asks for it is `app`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use url::{Host, Url};

use crate::domain::name::SiteName;
use crate::env::{Env, Group, Key, Reader, Scope, Scoped, Secret, value};

use super::{pace, remedies, site};

/// Where the list is.
pub const URL: Key<Address> = Key::new(Scope::Global, "DISCOVERY_URL", address)
    .about(
        "Where a list of more pairs is fetched, in the form of Prometheus's HTTP service discovery; a user and a password in it are sent as basic authentication. With it MAPPINGS need not be set. See docs/how-to/discover-targets.md.",
        "https://inventory.example.com/monitor.json",
    )
    .otherwise("off");
/// What lets us in.
pub const TOKEN: Key<Secret> = Key::new(Scope::Global, "DISCOVERY_TOKEN", token)
    .about("Token that is sent to DISCOVERY_URL as `Authorization: Bearer`.", "0c4f7a52d1e94b6f")
    .otherwise("none")
    .secret();
/// How often.
pub const INTERVAL: Key<Duration> = Key::new(Scope::Global, "DISCOVERY_INTERVAL", pace::interval)
    .about("Time between two looks at the list, 0.1 s to 1 d; one look may take as long, at most 30 s.", "5m")
    .default("60s");
/// How long what has vanished is still watched.
pub const GRACE: Key<Duration> = Key::new(Scope::Global, "DISCOVERY_GRACE", grace)
    .about("How long a target has to be missing from lists that could be read before it is watched no more, 0 to 30 d; while the list cannot be read nothing is missing.", "1h")
    .default("5m");
/// How many.
pub const LIMIT: Key<usize> = Key::new(Scope::Global, "DISCOVERY_LIMIT", |text| value::whole(text, &(1..=MOST)))
    .about(
        "Targets that a list may hold, 1 to 100000; a longer one is refused as a whole, and the last good one stays. No more are watched: those that are missing and still watched count too, and what is new waits for a place.",
        "200",
    )
    .default("50000");

/// Whether they have to be up first.
pub const UP_FIRST: Key<bool> = Key::new(Scope::Global, "DISCOVERY_UP_FIRST", value::flag)
    .about("Whether a pair of the list has to be seen up once before anything is run for it, and again once its URL changed: a wrong port in the list must restart nothing.", "false")
    .default("true");

/// No list is longer.
pub const MOST: usize = 100_000;

/// The keys of this section.
pub const GROUP: Group<'static> = Group {
    title: "Discovery",
    intro: "Pairs that come and go, from a list that somebody else keeps. A list brings no host, no login and no command.",
    keys: &[URL.info(), TOKEN.info(), INTERVAL.info(), GRACE.info(), LIMIT.info(), UP_FIRST.info()],
};

/// The list, and how it is dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// Where it is.
    pub url: Address,
    /// What lets us in.
    pub token: Option<Secret>,
    /// Time between two looks.
    pub interval: Duration,
    /// How long what has vanished is still watched.
    pub grace: Duration,
    /// Targets it may hold.
    pub limit: usize,
}

impl Discovery {
    /// What must not be shown and is no key's whole value.
    pub fn secrets(&self) -> Vec<Secret> {
        let url = &self.url.0;
        let password = url.password().into_iter().flat_map(|raw| [raw.to_owned(), decoded(raw)]);
        let values = url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() >= LONG);
        password.chain(values).map(Secret::new).collect()
    }
}

/// Characters of a value in a query that may be a token; a shorter one is a page number or a name.
const LONG: usize = 12;

/// The URL of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The URL with everything in it.
    pub fn whole(&self) -> &Url {
        &self.0
    }

    /// The URL without its login and with the values of its query masked.
    pub fn shown(&self) -> String {
        crate::fetch::shown(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown()).finish()
    }
}

/// Reads the section. `None`: a problem was remembered; `Some(None)`: there is no list.
pub fn read(global: &Scoped<'_>) -> Option<Option<Discovery>> {
    let (url, token) = (global.optional(&URL), global.optional(&TOKEN));
    let (interval, grace, limit) = (global.get(&INTERVAL), global.get(&GRACE), global.get(&LIMIT));
    let (url, token) = (url?, token?);
    let Some(url) = url else {
        if token.is_some() {
            global.problem(&TOKEN, "is set, and there is no list to ask for", "set DISCOVERY_URL too, or remove it");
        }
        return Some(None);
    };
    let login = url.0.password().is_some() || !url.0.username().is_empty();
    if login && token.is_some() {
        let hint = "remove one of them: only one login can be sent";
        global.problem(&TOKEN, "is set, and DISCOVERY_URL holds a login too", hint);
    }
    if (login || token.is_some()) && url.0.scheme() == "http" && !is_here(&url.0) {
        let hint = "use https://, or a network that nobody listens to";
        global.warn(&URL, "is not encrypted: whoever is on the way reads the login, and can change the list", hint);
    }
    Some(Some(Discovery { url, token, interval: interval?, grace: grace?, limit: limit? }))
}

/// True when pairs come from a list too, whether or not its keys are right.
pub fn is_on(global: &Scoped<'_>) -> bool {
    global.set_by_user(&URL)
}

/// Reads the section alone; what is wrong with it is told by whoever reads everything.
pub fn alone(env: &Env) -> Option<Discovery> {
    let reader = Reader::new(env, &|path| std::fs::read_to_string(path));
    read(&reader.global()).flatten()
}

const HOOK_URL_FILE: &str = "HOOK_URL_FILE";

/// Every site that keys declare: it says where its commands run, or needs no host. A list may name these and no others.
pub fn sites(env: &Env) -> BTreeSet<SiteName> {
    let reader = Reader::new(env, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let named: BTreeSet<SiteName> = [site::SSH_HOST.name, site::LOCAL.name, remedies::HOOK_URL.name, HOOK_URL_FILE]
        .into_iter()
        .flat_map(|suffix| env.named(suffix))
        .filter_map(|name| SiteName::new(name).ok())
        .collect();
    let declared = |name: &SiteName| {
        let keys = reader.scoped(name.as_str());
        keys.set_by_user(&site::SSH_HOST) || keys.get(&site::LOCAL) == Some(true) || remedies::is_hostless(&keys)
    };
    named.into_iter().filter(declared).collect()
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn decoded(text: &str) -> String {
    // A password has no `+` for a blank, and this reader would make one of it.
    let pair = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn address(text: &str) -> Result<Address, String> {
    let known = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let url = Url::parse(text.trim()).ok().filter(known);
    url.map(Address).ok_or_else(|| "expected an http:// or https:// URL".to_owned())
}

fn token(text: &str) -> Result<Secret, String> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Secret::from(text));
    }
    Err("expected a token without blanks, in ASCII".to_owned())
}

fn grace(text: &str) -> Result<Duration, String> {
    value::duration_in(text, &(Duration::ZERO..=Duration::from_hours(24 * 30)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, errors, good, loaded};
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        loaded(text).report.warnings().map(ToString::to_string).collect()
    }

    fn without_mappings() -> String {
        LEAST.replace("MAPPINGS=DC3:SRV4\n", "").replace("SRV4_URL=http://srv4.example.com/\n", "")
    }

    #[test]
    fn a_list_stands_in_for_mappings_and_its_sites_are_read_before_a_pair_needs_them() {
        assert!(errors(&without_mappings()).iter().any(|error| error.contains("MAPPINGS: is not set")));
        let text = format!("{}DISCOVERY_URL=https://u:pa%20ssword@inv.example.com/l?page=2\n", without_mappings());
        let read = loaded(&text);
        assert!(read.report.is_empty(), "{}", read.report);
        let shown = read.settings.iter().find(|setting| setting.key == "DISCOVERY_URL").unwrap();
        assert_eq!(shown.value, "https://inv.example.com/l?page=***");
        let config = read.config.unwrap();
        assert_eq!((config.pairs.len(), config.sites.len()), (0, 1));
        let list = config.discovery.unwrap();
        assert_eq!((list.interval, list.grace, list.limit), (Duration::from_mins(1), Duration::from_mins(5), 50_000));
        assert!(!format!("{list:?}").contains("ssword"), "{list:?}");
        assert_eq!(config.redactor.mask("it is pa ssword, or pa%20ssword"), "it is ***, or ***");

        let broken = text.replace("DC3_SSH_USERNAME=admin\n", "");
        assert!(errors(&broken)[0].contains("DC3_SSH_USERNAME"), "{:?}", errors(&broken));
        assert!(good(LEAST).discovery.is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let with = |keys: &str| format!("{LEAST}{keys}");
        for (keys, expected) in [
            ("DISCOVERY_TOKEN=abcdefgh\n", "there is no list to ask for"),
            ("DISCOVERY_URL=file:///etc/list.json\n", "expected an http:// or https:// URL"),
            ("DISCOVERY_URL=inventory\n", "expected an http:// or https:// URL"),
            ("DISCOVERY_URL=https://u:secret@h/\nDISCOVERY_TOKEN=abcdefgh\n", "only one login can be sent"),
            ("DISCOVERY_URL=https://h/\nDISCOVERY_TOKEN=\"two words\"\n", "a token without blanks"),
            ("DISCOVERY_URL=https://h/\nDISCOVERY_INTERVAL=0\n", "between"),
            ("DISCOVERY_URL=https://h/\nDISCOVERY_GRACE=99d\n", "between"),
            ("DISCOVERY_URL=https://h/\nDISCOVERY_LIMIT=0\n", "from 1 to 100000"),
            ("DISCOVERY_URL=https://h/\nSTATE_FILE=/run/x\n", "pairs come and go"),
            ("DISCOVERY_URL=https://h/\nMAINTENANCE=D C: Sun 02:00-04:00\n", "nothing is called"),
        ] {
            let told = errors(&with(keys));
            assert!(told.len() == 1 && told[0].contains(expected), "{keys}: {told:?}");
            assert!(!told[0].contains("secret") && !told[0].contains("abcdefgh"), "{told:?}");
        }
        let plain = "DISCOVERY_URL=http://10.0.0.1/\nDISCOVERY_TOKEN=abcdefgh\n";
        assert!(warnings(&with(plain))[0].contains("is not encrypted"), "{:?}", warnings(&with(plain)));
        assert_eq!(warnings(&with(&plain.replace("10.0.0.1", "127.0.0.1"))), [""; 0]);
    }

    #[test]
    fn what_comes_and_goes_is_no_mistake_while_it_is_gone() {
        let text = format!(
            "{LEAST}DISCOVERY_URL=https://h/\nSRV5_TIMEOUT=3\nSRVX_TIMEOUT=3\nSRV4_DEPENDS_ON=SRV5\n\
             MAINTENANCE=SRV5: Sun 02:00-04:00\nDC1_LOCAL=true\n"
        );
        assert_eq!(errors(&text), [""; 0]);
        let told = warnings(&text);
        for part in
            ["SRV5_TIMEOUT: is ignored for now", "SRVX_TIMEOUT: is ignored", "names `SRV5`", "called `SRV5` now"]
        {
            assert!(told.iter().any(|line| line.contains(part)), "no {part} in {told:?}");
        }
        assert_eq!(told.len(), 4, "{told:?}");
        let config = good(&text);
        assert!(config.sites.contains_key(&SiteName::new("DC1").unwrap()));
        let until = |pair: &str| {
            let at = "2026-11-22T03:00:00Z".parse().unwrap();
            config.maintenance.until(&pair.parse().unwrap(), at)
        };
        assert!(until("DC3:SRV5").is_some());
        assert!(until("DC3:SRV4").is_none(), "it is not everybody's");
    }

    #[test]
    fn a_site_is_declared_by_keys_that_say_where_its_commands_run() {
        let process = || [("DC7_SSH_HOST".to_owned(), "h".to_owned())].into();
        let text = b"DC1_SSH_HOST=a\nDC2_LOCAL=true\nDC3_LOCAL=false\nDC4_HOOK_URL=http://h/\nDC5_COMMAND=x\n\
                     DC6_SSH_HOST=\nDC8_HOOK_URL_FILE=/run/hook\n";
        let of = |env: Env| {
            let env = env.underlaid("list", [("DC9_SSH_HOST".to_owned(), "h".to_owned(), 1)]);
            sites(&env).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(Env::new(".env", text, process())), ["DC1", "DC2", "DC4", "DC8"]);
        assert_eq!(of(Env::without_file(process())), ["DC7"]);
    }
}
