//! Fetching a list: one request with limits on time, size and redirects, and not again what has not changed.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::config::discovery::Discovery;
use crate::env::problem::shown;
use crate::fetch::{self, ClientError, Roots};

/// Bytes of the largest list that is read; a hundred thousand targets with two or three labels fit in.
pub const LARGEST: usize = 16 * 1024 * 1024;
/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// Time a look may take at most, and at least, whatever the interval.
const LIMITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Characters of a tag that is sent back.
const TAG: usize = 1024;
/// What the agent tells the list about itself: <https://prometheus.io/docs/prometheus/latest/http_sd/#requirements-of-http-sd-endpoints>.
const REFRESH: &str = "x-prometheus-refresh-interval-seconds";

/// What was answered.
#[derive(Debug)]
pub enum Answer {
    /// The list is the one whose tag was sent.
    Same,
    /// A list.
    List {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its tag, to be sent with the next question.
        tag: Option<HeaderValue>,
        /// What it calls itself, when that is not JSON.
        odd: Option<String>,
    },
}

/// Asks for one list.
pub struct Asker {
    client: Client,
    url: Url,
    headers: HeaderMap,
    limit: Duration,
}

impl Asker {
    /// Builds the client.
    pub fn new(discovery: &Discovery, roots: &Roots) -> Result<Self, ClientError> {
        let limit = discovery.interval.clamp(LIMITS.0, LIMITS.1);
        let client = fetch::builder(roots, limit)
            .redirect(redirects())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .build()?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(REFRESH, HeaderValue::from(discovery.interval.as_secs()));
        let token = discovery.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
        if let Some(Ok(mut value)) = token.as_deref().map(HeaderValue::from_str) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { client, url: discovery.url.whole().clone(), headers, limit })
    }

    /// Asks once; the error is a clause without the URL.
    pub async fn ask(&self, tag: Option<&HeaderValue>) -> Result<Answer, String> {
        let mut request = self.client.get(self.url.clone()).headers(self.headers.clone());
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        match response.status() {
            StatusCode::OK => self.list(response).await,
            StatusCode::NOT_MODIFIED if tag.is_some() => Ok(Answer::Same),
            status => Err(unexpected(status, &response)),
        }
    }

    async fn list(&self, mut response: Response) -> Result<Answer, String> {
        let too_large = || format!("the list is larger than {} MiB", LARGEST / 1024 / 1024);
        if response.content_length().is_some_and(|length| length > LARGEST as u64) {
            return Err(too_large());
        }
        let header = |name| response.headers().get(name);
        let tag = header(ETAG).filter(|tag| tag.len() <= TAG).cloned();
        let kind = header(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let odd = kind.filter(|kind| !kind.to_ascii_lowercase().contains("json")).map(|kind| shown(&kind));
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if bytes.len().saturating_add(chunk.len()) > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer::List { bytes, tag, odd })
    }

    /// The innermost cause: the outer ones repeat each other, and hold the URL.
    fn broken(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no whole answer within {} s", self.limit.as_secs_f64());
        }
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        if std::ptr::addr_eq(innermost, error) {
            "the exchange broke off".to_owned()
        } else {
            shown(&innermost.to_string())
        }
    }
}

/// A few, and never from an encrypted address to one that is not. Credentials go to the origin that they were given for
/// alone: the client drops them at any other.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let was_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if was_encrypted && attempt.url().scheme() != "https" {
            attempt.error("a redirect leads from https to an address that is not encrypted")
        } else {
            attempt.follow()
        }
    })
}

fn unexpected(status: StatusCode, response: &Response) -> String {
    let advice = match status.as_u16() {
        401 | 403 => "; it does not let us in, look at DISCOVERY_TOKEN",
        404 | 410 => "; there is no such list, look at DISCOVERY_URL",
        300..=399 if !response.headers().contains_key(LOCATION) => "; it leads nowhere",
        _ => "",
    };
    format!("the answer has the status {}{advice}", status.as_u16())
}
