//! Shell text that asks the same from another machine, as far as that can be told there without a secret.

use std::time::Duration;

use http::Method;
use url::{Position, Url};

use super::More;
use super::keys::Http2;
use crate::probe::wire::Family;
use crate::probe::{CANNOT_LOOK, quoted};

/// An answer of any kind.
const ANY: &str = "[1-9]??";

/// The login, the query, the headers and the body stay here: the other machine shows its command lines to everybody, and
/// each of them may be a password. Being asked for them is an answer; and where the method, the headers or the body are not
/// the usual, or the body of the answer is looked at, any answer says that the target is there.
pub(super) fn shell(url: &Url, login: bool, family: Family, more: &More, limit: Duration) -> Option<String> {
    // Without our certificate, or in another version of HTTP, nobody can ask.
    if more.certified || (more.http2 == Http2::On && url.scheme() == "http") {
        return None;
    }
    let loose = more.loose();
    let (address, seconds) = (quoted(&url[..Position::AfterPath]), limit.as_secs().max(1));
    let (missed, refused) = match (url.query(), login) {
        (Some(_), _) => ("|400|401|403|422", "|6"),
        (None, true) => ("|401|403", "|6"),
        (None, false) => ("", ""),
    };
    let good = match () {
        () if loose => ANY.to_owned(),
        () if more.wants.statuses.are_usual() => format!("2??|3??{missed}"),
        () => format!("{}{missed}", more.wants.statuses.shell_patterns()),
    };
    let head = if more.asks.method == Method::HEAD { " -I" } else { "" };
    let follow = if more.redirects == 0 { String::new() } else { format!(" -L --max-redirs {}", more.redirects) };
    let (unchecked, wgets) = if more.unchecked { (" -k", " --no-check-certificate") } else { ("", "") };
    let family_flag = match family {
        Family::Both => "",
        Family::V4 => " -4",
        Family::V6 => " -6",
    };
    let curl = format!(
        "if command -v curl >/dev/null 2>&1; then \
         case $(curl -s -g{head}{follow}{unchecked}{family_flag} -o /dev/null -m {seconds} -w '%{{http_code}}' --url {address}) in \
         {good}) exit 0;; *) exit 1;; esac; "
    );
    // A small wget knows neither families nor limits of redirects.
    if family != Family::Both || more.redirects == 0 {
        return Some(format!("{curl}else echo 'curl'; exit {CANNOT_LOOK}; fi"));
    }
    // It tells statuses apart by two numbers only: of the login, and of any other that is no success.
    let refused = if loose || !more.wants.statuses.are_usual() { "|6|8" } else { refused };
    Some(format!(
        "{curl}elif command -v wget >/dev/null 2>&1; then wget -q -O /dev/null -t 1 -T {seconds}{wgets} -- {address}; \
         case $? in 0{refused}) exit 0;; *) exit 1;; esac; \
         else echo 'curl, wget'; exit {CANNOT_LOOK}; fi"
    ))
}
