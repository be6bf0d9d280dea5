//! Talks to a running agent over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::app::agent::SOCKET;
use crate::app::source::Source;
use crate::web::Problem;

/// Bytes of one answer; ten thousand pairs fit.
const MOST: usize = 32 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody listens.
    #[error(
        "no agent runs for STATE_DIR {} ({source}); start one with `monitor run`, or name its configuration with --env-file",
        folder(path)
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody listens, and not for this user.
    #[error("the agent on {} belongs to another user ({source}); run this as that user, for example with `sudo -u`", path.display())]
    NotOurs {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing came in time.
    #[error("the agent did not answer within {} s; it may be overloaded, its log tells more", .0.as_secs())]
    Silent(Duration),
    /// We could not even ask.
    #[error("the system gives us no runtime: {0}")]
    Unasked(#[from] std::io::Error),
    /// The agent said no.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The agent said something else.
    #[error("the agent's answer cannot be read: {0}; is it of another version?")]
    Strange(String),
}

/// An answer that needs no work must be there within this.
const QUICK: Duration = Duration::from_secs(30);

/// A way to the agent of one `STATE_DIR`.
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Finds the socket from the configuration; a broken configuration does not hide a running agent.
    pub fn find(source: &Source) -> Self {
        Self::new(&source.state_dir())
    }

    /// Talks to this socket.
    pub fn new(state_dir: &Path) -> Self {
        Self { socket: state_dir.join(SOCKET) }
    }

    /// Asks with GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, NoAnswer> {
        let asking = self.ask("GET", path, Bytes::new());
        tokio::time::timeout(QUICK, asking).await.unwrap_or(Err(NoAnswer::Silent(QUICK)))
    }

    /// Asks with POST and waits at most `limit`: some orders take as long as a command and its verification.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, limit: Duration) -> Result<T, NoAnswer> {
        self.order(path, Bytes::new(), limit).await
    }

    /// Asks with POST, says this, and waits at most `limit`, or as long as an answer takes that needs no work.
    pub async fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        said: &impl Serialize,
        limit: Option<Duration>,
    ) -> Result<T, NoAnswer> {
        let body = serde_json::to_vec(said).map_err(|error| NoAnswer::Strange(error.to_string()))?;
        self.order(path, body.into(), limit.unwrap_or(QUICK)).await
    }

    async fn order<T: DeserializeOwned>(&self, path: &str, body: Bytes, limit: Duration) -> Result<T, NoAnswer> {
        tokio::time::timeout(limit, self.ask("POST", path, body)).await.unwrap_or(Err(NoAnswer::Silent(limit)))
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Bytes) -> Result<T, NoAnswer> {
        let strange = |error: &dyn std::error::Error| NoAnswer::Strange(error.to_string());
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            let path = self.socket.clone();
            match source.kind() {
                std::io::ErrorKind::PermissionDenied => NoAnswer::NotOurs { path, source },
                _ => NoAnswer::NotRunning { path, source },
            }
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| strange(&error))?;
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "monitor")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| strange(&error))?;
        let talk = async {
            let response = sender.send_request(request).await.map_err(|error| strange(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST).collect().await;
            let body = body.map_err(|error| NoAnswer::Strange(error.to_string()))?.to_bytes();
            Ok::<_, NoAnswer>((status, body))
        };
        let (status, body) = tokio::select! {
            answer = talk => answer?,
            Err(error) = connection => return Err(strange(&error)),
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| strange(&error));
        }
        match serde_json::from_slice(&body) {
            Ok(problem) => Err(NoAnswer::Refused(problem)),
            Err(_) => Err(NoAnswer::Strange(format!("HTTP {status}"))),
        }
    }
}

/// Runs one conversation to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}

/// The folder of the socket, as people know it.
fn folder(socket: &Path) -> String {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

/// Has one conversation with the agent.
pub fn asked<T>(work: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
    block_on(work)?
}
