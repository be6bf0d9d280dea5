//! `http` and `https`: one GET over a new connection, redirects followed, the body left unread.

mod answer;
mod jar;
mod request;

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use url::{Origin, Position, Url};

use self::answer::Answer;
use self::jar::Jar;
use super::wire::settings::Settings;
use super::wire::{Kit, Stage, Trace, Way};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::{Cause, Fault};
use crate::fetch::shown;

/// `http` and `https`.
pub const KIND: Kind = Kind {
    name: "http",
    schemes: &["http", "https"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=https://srv4.example.com/health",
    keys: &Way::KEYS,
    read,
};

/// Redirects followed. Browsers follow 20, python-requests 30; a health check with more than 10 is broken.
const REDIRECTS: usize = 10;

/// An `http` or `https` target at rest.
struct Http {
    /// Without user, password and fragment.
    url: Url,
    /// The `Authorization` header's value, sent to the origin of `url` only.
    login: Option<SecretString>,
    way: Way,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let way = Way::read(settings, &[b"http/1.1"]);
    let (scheme, rest) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    let no_host = || BadTarget::NoHost(scheme.to_ascii_lowercase());
    // The URL standard takes `http:x` and `http:///x` for the host `x`; a person who wrote that meant something else.
    if !rest.starts_with("//") || rest.starts_with("///") {
        return Err(no_host());
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::EmptyHost) => return Err(no_host()),
        Err(error) => return Err(BadTarget::Unreadable(error.to_string())),
    };
    if !url.has_host() {
        return Err(no_host());
    }
    if url.port() == Some(0) {
        return Err(BadTarget::Unreadable("nobody can listen on port 0".to_owned()));
    }
    let login = request::login(&url).map(SecretString::from);
    strip(&mut url);
    let shown = shown(&url);
    Ok(Target::new(&shown, Http { url, login, way: way.ok_or(BadTarget::Settings)? }))
}

/// Takes away what is never sent as part of a URL.
fn strip(url: &mut Url) {
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
}

impl Probe for Http {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.walk(kit, trace))
    }

    /// The login and the query stay here: the other machine shows its command lines to everybody, and either may be a
    /// password. Being asked for them is an answer.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let (url, seconds) = (quoted(&self.url[..Position::AfterPath]), limit.as_secs().max(1));
        let (missed, refused) = match (self.url.query(), &self.login) {
            (Some(_), _) => ("|400|401|403|422", "|6"),
            (None, Some(_)) => ("|401|403", "|6"),
            (None, None) => ("", ""),
        };
        Some(format!(
            "if command -v curl >/dev/null 2>&1; then \
             case $(curl -s -g -L --max-redirs {REDIRECTS} -o /dev/null -m {seconds} -w '%{{http_code}}' --url {url}) in \
             2??|3??{missed}) exit 0;; *) exit 1;; esac; \
             elif command -v wget >/dev/null 2>&1; then wget -q -O /dev/null -t 1 -T {seconds} -- {url}; \
             case $? in 0{refused}) exit 0;; *) exit 1;; esac; \
             else echo 'curl, wget'; exit {CANNOT_LOOK}; fi"
        ))
    }
}

impl Http {
    /// Asks, follows redirects, judges the last status.
    async fn walk(&self, kit: &Kit, trace: &mut Trace) -> Result<(), Fault> {
        let mut answer = self.ask(kit, trace, &self.url, self.login.as_ref(), None).await?;
        let Some(target) = answer.redirect.take() else { return judge(answer.status, None) };
        let mut jar = Jar::default();
        jar.keep(&self.url, &answer.cookies);
        let mut seen = vec![(self.url.clone(), String::new())];
        let mut here = next(&self.url, &target)?;
        loop {
            let stop = (here.clone(), jar.header(&here));
            if seen.contains(&stop) {
                return Err(Fault::new(Cause::Redirect, format!("redirect loop: {} again", shown(&here))));
            }
            if seen.len() > REDIRECTS {
                return Err(Fault::new(
                    Cause::Redirect,
                    format!("more than {REDIRECTS} redirects, last to {}", shown(&here)),
                ));
            }
            let login = self.login.as_ref().filter(|_| same(&here.origin(), &self.url.origin()));
            let mut answer = self.ask(kit, trace, &here, login, Some(&stop.1)).await?;
            seen.push(stop);
            let Some(target) = answer.redirect.take() else { return judge(answer.status, Some(&here)) };
            jar.keep(&here, &answer.cookies);
            here = next(&here, &target)?;
        }
    }

    /// One request and its answer, over a connection of its own.
    async fn ask(
        &self,
        kit: &Kit,
        trace: &mut Trace,
        url: &Url,
        login: Option<&SecretString>,
        cookie: Option<&str>,
    ) -> Result<Answer, Fault> {
        let no_host = || Fault::new(Cause::Redirect, "the redirect has no host");
        let host = url.host().ok_or_else(no_host)?;
        let port = url.port_or_known_default().ok_or_else(no_host)?;
        let mut stream = kit.dial(trace, &self.way, host, port, url.scheme() == "https").await?;
        trace.enter(Stage::FirstByte);
        let mut buffer = request::write(url, login.map(ExposeSecret::expose_secret), cookie);
        request::send(&mut stream, &buffer).await?;
        buffer.clear();
        let answer = answer::read(&mut stream, buffer, trace).await?;
        trace.finish();
        Ok(answer)
    }
}

fn same(a: &Origin, b: &Origin) -> bool {
    a.is_tuple() && a == b
}

fn next(here: &Url, location: &str) -> Result<Url, Fault> {
    let unreadable = |_| Fault::new(Cause::Redirect, "the redirect's address cannot be read");
    let mut url = here.join(location).map_err(unreadable)?;
    if !KIND.schemes.contains(&url.scheme()) {
        let scheme: String = url.scheme().chars().take(16).collect();
        return Err(Fault::new(Cause::Redirect, format!("redirected to `{scheme}:`, which is not HTTP")));
    }
    strip(&mut url);
    Ok(url)
}

/// 200–399 is up, as `response.ok` of python-requests after its redirects.
fn judge(status: u16, after_redirect: Option<&Url>) -> Result<(), Fault> {
    if (200..400).contains(&status) {
        return Ok(());
    }
    // The server's own words are left out: they are text from outside.
    let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let place = after_redirect.map(|url| format!(" from {} after a redirect", shown(url))).unwrap_or_default();
    let space = if words.is_empty() { "" } else { " " };
    Err(Fault::new(Cause::Status, format!("HTTP {status}{space}{words}{place}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fetch::Roots;

    #[test]
    fn an_idle_target_and_a_running_probe_are_small() {
        let kit = Kit::new(&Roots::load(None).unwrap());
        let http = Http { url: "https://h.test/".parse().unwrap(), login: None, way: Way::default() };
        let mut trace = Trace::start(Duration::from_secs(1));
        // Plus about 60 bytes of URL text, twice: 10,000 idle targets take some 3 MB.
        assert!(size_of::<Http>() <= 128, "{}", size_of::<Http>());
        let running = size_of_val(&http.walk(&kit, &mut trace));
        assert!(running <= 4096, "{running}");
    }
}
