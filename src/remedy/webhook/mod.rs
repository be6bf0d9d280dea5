//! A POST to a URL: somebody else's hook does the healing.
//!
//! The configured URL and header are secrets: people read the scheme and the host. No redirect is followed and nothing is
//! sent twice: whoever answers strangely is told of, not tried again.

mod status;
mod template;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::domain::remedy::{Run, RunStatus};
use crate::env::Secret;
use crate::fetch::{self, ClientError, Roots};
use crate::host::output::{Capture, one_line};
use crate::host::{Captured, HostError};

use super::{Call, Done, Remedy, excerpt, shell};

pub use status::Statuses;
pub use template::{DEFAULT, Template};

/// What people call it.
pub const KIND: &str = "webhook";

/// Time that a connection may take; longer, and the verdict that asked for it is old.
const CONNECT: Duration = Duration::from_secs(5);
/// Characters of a cause from a library.
const CAUSE: usize = 200;

/// One header of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: Secret,
}

/// A hook as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Where the request goes.
    pub url: Secret,
    /// Its body.
    pub body: Arc<Template>,
    /// One more header, mostly the one that lets us in.
    pub header: Option<Header>,
    /// Answers that mean success.
    pub expected: Statuses,
}

impl Hook {
    /// Reads the URL again; it was checked when it was read.
    pub fn address(&self) -> Option<Url> {
        Url::parse(self.url.expose().trim()).ok()
    }
}

impl fmt::Display for Hook {
    /// Writes what people read. The path goes too: for many hooks it is the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(url) = self.address() else { return f.write_str("POST") };
        let origin = url.origin().ascii_serialization();
        let more = if url.path().len() > 1 || url.query().is_some() { "/…" } else { "" };
        write!(f, "POST {origin}{more}")
    }
}

/// Builds the client that all hooks share.
pub fn client(roots: &Roots) -> Result<reqwest::Client, ClientError> {
    // Each request brings its own limit, and its own connection: what was kept may be dead.
    fetch::builder(roots, Duration::from_hours(24))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        .build()
        .map_err(ClientError::from)
}

/// A POST to a hook.
pub struct Webhook {
    client: reqwest::Client,
    hook: Hook,
    url: Url,
    host: String,
    lane: String,
    text: String,
}

impl Webhook {
    /// Joins the shared client and a hook; `None` when its URL has no host.
    pub fn new(client: reqwest::Client, hook: Hook) -> Option<Self> {
        let url = hook.address()?;
        let host = url.host_str()?.to_owned();
        let lane = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        // Who names the pair in the body is not served by a request for another pair: see `lanes::is_same`.
        let whom = if hook.body.is_personal() { "for MONITOR_PAIR " } else { "" };
        let header = hook.header.as_ref().map(|header| format!("{}: {}", header.name, header.value.expose()));
        let text = format!("POST {whom}{url} {} {}", header.unwrap_or_default(), hook.body.source());
        Some(Self { client, hook, url, host, lane, text })
    }

    /// Sends it once and reads the whole answer.
    async fn send(&self, call: &Call, body: String, sent: &Arc<AtomicBool>) -> (RunStatus, String, Captured) {
        let body = reqwest::Body::wrap(Watched { bytes: Some(body.into()), sent: sent.clone() });
        let mut request =
            self.client.post(self.url.clone()).timeout(call.limit).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(Header { name, value }) = &self.hook.header {
            let Ok(mut value) = HeaderValue::from_str(value.expose()) else {
                return (
                    RunStatus::Failed,
                    "the header cannot be sent: it holds a control character".into(),
                    Captured::default(),
                );
            };
            value.set_sensitive(true);
            // One that we set too gives way.
            let headers = std::iter::once((name.clone(), value)).collect();
            request = request.headers(headers);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let (status, why) = self.broken(call, &error, sent.load(Ordering::SeqCst));
                return (status, why, Captured::default());
            }
        };
        sent.store(true, Ordering::SeqCst);
        let status = response.status().as_u16();
        let mut capture = Capture::default();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => capture.stdout(&bytes),
                Ok(None) => break,
                Err(error) => {
                    let (kind, why) = self.broken(call, &error, true);
                    return (
                        kind,
                        format!("the hook began to answer with status {status}, then {why}"),
                        capture.finish(),
                    );
                }
            }
        }
        let output = capture.finish();
        if self.hook.expected.hold(status) {
            return (RunStatus::Executed, String::new(), output);
        }
        (RunStatus::Failed, self.unexpected(call, status), output)
    }

    fn unexpected(&self, call: &Call, status: u16) -> String {
        let site = &call.pair.site;
        let advice = match status {
            300..=399 => format!("; redirects are not followed, set {site}_HOOK_URL to where it leads"),
            401 | 403 => format!("; it does not let us in, look at {site}_HOOK_HEADER and {site}_HOOK_URL"),
            404 | 410 => format!("; there is no such hook, look at {site}_HOOK_URL"),
            405 => "; it takes no POST".to_owned(),
            400 | 415 | 422 => format!("; it does not understand the request, look at {site}_HOOK_BODY"),
            _ => String::new(),
        };
        format!("the hook answered with status {status}, expected was {}{advice}", self.hook.expected)
    }

    /// What a failed exchange means, without the URL.
    fn broken(&self, call: &Call, error: &reqwest::Error, sent: bool) -> (RunStatus, String) {
        let why = one_line(cause(error).as_bytes(), CAUSE);
        let address = &self.lane;
        match (error.is_timeout(), sent) {
            (true, true) => {
                let limit = call.limit.as_secs_f64();
                (
                    RunStatus::Timeout,
                    format!(
                        "the hook did not answer to the end within {limit} s; it may have acted. Raise COMMAND_TIMEOUT if it needs longer"
                    ),
                )
            }
            (true, false) => (
                RunStatus::Timeout,
                format!("no connection to {address} in time; check the host, the port and the firewall between us"),
            ),
            (false, true) => (
                RunStatus::Unreachable,
                format!("the connection to {address} was lost ({why}); it may have acted, look before you repeat it"),
            ),
            (false, false) => (
                RunStatus::Unreachable,
                format!("cannot reach {address}: {why}; check the host, the port and the firewall between us"),
            ),
        }
    }
}

/// The innermost cause: the outer ones repeat each other.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // Without a source it is the library's own sentence, which holds the URL.
    if std::ptr::addr_eq(innermost, error) { "the exchange broke off".to_owned() } else { innermost.to_string() }
}

impl Remedy for Webhook {
    fn host(&self) -> &str {
        &self.host
    }

    fn lane(&self) -> &str {
        &self.lane
    }

    fn text(&self) -> &str {
        &self.text
    }

    fn run<'a>(&'a self, call: &'a Call, ready: BoxFuture<'a, bool>) -> BoxFuture<'a, Done> {
        Box::pin(async move {
            let begun = Instant::now();
            let sent = Arc::new(AtomicBool::new(false));
            let (status, error, output) = match self.hook.body.render(call) {
                Err(why) => (
                    RunStatus::Failed,
                    format!("the body was not made, so nothing was sent: {why}"),
                    Captured::default(),
                ),
                Ok(_) if !ready.await => return shell::done(Err(HostError::Withheld), begun.elapsed()),
                Ok(body) => self.send(call, body, &sent).await,
            };
            let run = Run {
                status,
                started: sent.load(Ordering::SeqCst),
                exit_code: None,
                signal: None,
                duration: begun.elapsed(),
                excerpt: excerpt(&output.text),
                error,
            };
            Done { run, output }
        })
    }
}

/// The body, which notes when it is taken: that is when there is a connection and the request is on its way.
struct Watched {
    bytes: Option<Bytes>,
    sent: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        this.sent.store(true, Ordering::SeqCst);
        Poll::Ready(this.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
