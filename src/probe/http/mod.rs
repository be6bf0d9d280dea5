//! `http` and `https`: one request over a new connection, redirects followed, the answer judged.
//!
//! What is asked lives in `asks`, what the answer must be like in `wants`, the exchange itself in `exchange`.

mod afar;
mod asks;
mod drive;
mod exchange;
mod jar;
mod keys;
mod redirect;
mod spied;
mod wants;

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::CONTENT_ENCODING;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::asks::{Asks, Hop};
use self::exchange::Open;
use self::jar::Jar;
use self::keys::{BODY, HTTP2, Http2, JSON, KEYWORD, KEYWORD_ABSENT, METHOD, REDIRECTS, STATUS};
use self::wants::Wants;
use super::wire::settings::{
    BEARER_TOKEN, CA_FILE, CLIENT_CERT, CLIENT_KEY, HEADERS, INSECURE, IP, PASSWORD, Settings, TLS_DAYS, USERNAME,
};
use super::wire::{Kit, Trace, Way, authorization, masked};
use super::{BadTarget, Kind, Probe, Target};
use crate::domain::reading::{Cause, Fault};
use crate::env::redactor::MASK;
use crate::fetch::shown;

/// `http` and `https`.
pub const KIND: Kind = Kind {
    name: "http",
    schemes: &["http", "https"],
    listable: true,
    page: include_str!("page.md"),
    example: "SRV4_URL=https://srv4.example.com/health\nSRV4_STATUS=200\nSRV4_JSON=$.status == \"healthy\"",
    keys: &[
        METHOD.info(),
        HEADERS.info(),
        BODY.info(),
        USERNAME.info(),
        PASSWORD.info(),
        BEARER_TOKEN.info(),
        STATUS.info(),
        KEYWORD.info(),
        KEYWORD_ABSENT.info(),
        JSON.info(),
        REDIRECTS.info(),
        HTTP2.info(),
        IP.info(),
        TLS_DAYS.info(),
        CA_FILE.info(),
        INSECURE.info(),
        CLIENT_CERT.info(),
        CLIENT_KEY.info(),
    ],
    read,
};

/// An `http` or `https` target at rest.
struct Http {
    /// Without user, password and fragment.
    url: Url,
    /// The `Authorization` header's value, sent to the origin of `url` only.
    login: Option<SecretString>,
    way: Way,
    /// Absent where nothing is unusual, so that thousands of plain targets stay small.
    more: Option<Box<More>>,
}

/// What is asked and wanted beside the URL.
struct More {
    asks: Asks,
    wants: Wants,
    redirects: u8,
    http2: Http2,
    /// Whether another machine may trust the certificate less than we do.
    unchecked: bool,
    /// Whether we show a certificate.
    certified: bool,
}

/// What is asked and wanted where nothing was set.
static USUAL: LazyLock<Option<More>> = LazyLock::new(|| More::read(&Settings::none()));

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let more = More::read(settings);
    let way = Way::read(settings, more.as_ref().map_or(Http2::Off, |more| more.http2).protocols());
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
    if !asks::is_askable(&url) {
        return Err(BadTarget::Unreadable("its path is too long".to_owned()));
    }
    if url.scheme() == "http" && settings.has(&TLS_DAYS) {
        let what = "is set, and http:// has no certificate; only a place that a redirect leads to may show one";
        settings.warn(&TLS_DAYS, what, "write https://, or remove it");
    }
    let login = authorization(&url, settings);
    redirect::strip(&mut url);
    let shown = shown(&url);
    let (Some(more), Some(way), Some(login)) = (more, way, login) else { return Err(BadTarget::Settings) };
    Ok(Target::new(&shown, Http { url, login, way, more: (!more.is_usual()).then(|| Box::new(more)) }))
}

impl More {
    fn read(settings: &Settings<'_>) -> Option<Self> {
        let (asks, wants) = (Asks::read(settings), Wants::read(settings));
        let (redirects, http2) = (settings.get(&REDIRECTS), settings.get(&HTTP2));
        let (asks, wants, redirects, http2) = (asks?, wants?, redirects?, http2?);
        if asks.method == Method::HEAD && wants.body() {
            let what = "is set, and the answer to a HEAD has no body to look at";
            let key = if settings.has(&JSON) {
                None
            } else {
                Some(if settings.has(&KEYWORD) { &KEYWORD } else { &KEYWORD_ABSENT })
            };
            let hint = "ask with GET";
            key.map_or_else(|| settings.problem(&JSON, what, hint), |key| settings.problem(key, what, hint));
            return None;
        }
        if asks.ask_for_packed() && wants.body() {
            let what = "holds Accept-Encoding, and a packed body is not unpacked to be looked at";
            settings.problem(
                &HEADERS,
                what,
                "take it out; KEYWORD, KEYWORD_ABSENT and JSON look at the body as it comes",
            );
            return None;
        }
        if wants.statuses.name_redirects() && redirects > 0 {
            let what = "names redirects, and they are followed before the status is judged";
            settings.warn(&STATUS, what, "set REDIRECTS=0 to judge a redirect by its own status");
        }
        let unchecked = settings.has(&INSECURE) || settings.has(&CA_FILE);
        Some(Self { asks, wants, redirects, http2, unchecked, certified: settings.has(&CLIENT_CERT) })
    }

    fn is_usual(&self) -> bool {
        USUAL.as_ref().is_some_and(|usual| {
            !self.loose()
                && self.asks.method == usual.asks.method
                && self.wants.statuses == usual.wants.statuses
                && (self.redirects, self.http2) == (usual.redirects, usual.http2)
                && !(self.unchecked || self.certified)
        })
    }

    /// Whether something is asked or wanted that a look from elsewhere leaves out.
    fn loose(&self) -> bool {
        !(self.asks.are_usual() || self.asks.is_bare_head()) || self.wants.body()
    }
}

impl Probe for Http {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.walk(kit, trace))
    }

    fn afar_shell(&self, limit: Duration) -> Option<String> {
        afar::shell(&self.url, self.login.is_some(), self.way.family, self.more()?, limit)
    }
}

impl Http {
    fn more(&self) -> Option<&More> {
        self.more.as_deref().or(USUAL.as_ref())
    }

    /// Asks, follows redirects, judges the last answer.
    async fn walk(&self, kit: &Kit, trace: &mut Trace) -> Result<(), Fault> {
        let more = self.more().ok_or_else(|| Fault::new(Cause::Denied, "this target has no settings"))?;
        let (mut jar, mut seen) = (Jar::default(), Vec::new());
        let mut here = self.url.clone();
        let (mut method, mut body) = (more.asks.method.clone(), more.asks.has_body());
        loop {
            let home = redirect::same_origin(&here, &self.url);
            let hop = Hop { url: &here, method: method.clone(), body, home, cookie: jar.header(&here) };
            if !home && !Asks::may_leave(&hop) {
                let what = format!("redirected to {}, and this {method} goes to its own origin only", shown(&here));
                return Err(Fault::new(Cause::Redirect, what));
            }
            let stop = (here.clone(), hop.method.clone(), hop.cookie.clone());
            let mut answer = self.ask(kit, trace, more, &hop).await?;
            seen.push(stop);
            let Some(location) = redirect::location(&answer.head).filter(|_| more.redirects > 0) else {
                let after = (seen.len() > 1).then_some(&here);
                return self.judge(more, home, after, &mut answer, trace).await;
            };
            jar.keep(&here, &redirect::cookies(&answer.head));
            (method, body) = redirect::method(answer.head.status, method, body);
            here = redirect::next(&here, &location)?;
            drop(answer);
            if seen.iter().any(|(url, how, cookie)| *url == here && *how == method && *cookie == jar.header(&here)) {
                return Err(Fault::new(Cause::Redirect, format!("redirect loop: {} again", shown(&here))));
            }
            if seen.len() > usize::from(more.redirects) {
                let what = format!("more than {} redirects, last to {}", more.redirects, shown(&here));
                return Err(Fault::new(Cause::Redirect, what));
            }
        }
    }

    /// One request and the head of its answer, over a connection of its own.
    async fn ask(&self, kit: &Kit, trace: &mut Trace, more: &More, hop: &Hop<'_>) -> Result<Open, Fault> {
        let no_host = || Fault::new(Cause::Redirect, "the redirect has no host");
        let host = hop.url.host().ok_or_else(no_host)?;
        let port = hop.url.port_or_known_default().ok_or_else(no_host)?;
        let stream = kit.dial(trace, &self.way, host, port, hop.url.scheme() == "https").await?;
        let request = more.asks.request(hop, self.login.as_ref(), exchange::version(&stream, more.http2)?)?;
        exchange::send(stream, request, trace).await
    }

    /// Judges the last answer; its body is read only where something of it is wanted.
    async fn judge(
        &self,
        more: &More,
        home: bool,
        after_redirect: Option<&Url>,
        answer: &mut Open,
        trace: &mut Trace,
    ) -> Result<(), Fault> {
        let status = answer.head.status;
        if !more.wants.statuses.hold(status.as_u16()) {
            return Err(refused(status, more, home && (self.login.is_some() || more.asks.log_in()), after_redirect));
        }
        if more.wants.body() {
            if let Some(encoding) = answer
                .head
                .headers
                .get(CONTENT_ENCODING)
                .filter(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
            {
                let encoding = crate::host::output::one_line(encoding.as_bytes(), 20);
                let what =
                    format!("the body is packed ({encoding}) though nobody asked for it, and is not unpacked here");
                return Err(Fault::new(Cause::Content, what));
            }
            let body = answer.read(|body, extent| more.wants.judge(body, extent)).await?;
            more.wants.says(body, trace.left(), &|text| self.hidden(more, text)).await?;
        }
        trace.finish();
        Ok(())
    }

    /// A server may echo what we sent: what is a secret of ours is taken out.
    ///
    /// Of a body any part may be one, in whatever form it comes back, so beside a body nothing of the server's is shown.
    fn hidden(&self, more: &More, text: &str) -> String {
        if more.asks.has_body() {
            return MASK.to_owned();
        }
        let login = self.login.iter().filter_map(|login| login.expose_secret().split(' ').nth(1));
        let query: Vec<String> = self.url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let raw = self.url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        masked(text, more.asks.secrets().chain(login).chain(raw).chain(query.iter().map(String::as_str)))
    }
}

/// The fault of a status that is not wanted. The server's own words are left out: they are text from outside.
fn refused(status: StatusCode, more: &More, with_login: bool, after_redirect: Option<&Url>) -> Fault {
    let words = status.canonical_reason().unwrap_or_default();
    let space = if words.is_empty() { "" } else { " " };
    let place = after_redirect.map(|url| format!(" from {} after a redirect", shown(url))).unwrap_or_default();
    let what = format!("HTTP {}{space}{words}{place}", status.as_u16());
    // A restart changes no password, and makes up none for those that were never sent.
    if status == StatusCode::UNAUTHORIZED {
        let why = if with_login { "our login is not accepted" } else { "it wants a login, and none was sent there" };
        return Fault::new(Cause::Login, format!("{what}: {why}"));
    }
    let wanted =
        if more.wants.statuses.are_usual() { String::new() } else { format!(", wanted {}", more.wants.statuses) };
    Fault::new(Cause::Status, format!("{what}{wanted}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fetch::Roots;

    #[test]
    fn an_idle_target_and_a_running_probe_are_small() {
        let kit = Kit::new(&Roots::load(None).unwrap());
        let http = Http { url: "https://h.test/".parse().unwrap(), login: None, way: Way::default(), more: None };
        let mut trace = Trace::start(Duration::from_secs(1));
        // Plus about 60 bytes of URL text, twice: 10,000 idle targets take some 3 MB.
        assert!(size_of::<Http>() <= 128, "{}", size_of::<Http>());
        let running = size_of_val(&http.walk(&kit, &mut trace));
        assert!(running <= 4096, "{running}");
    }
}
