//! A server that speaks HTTP/2 and nothing else, over TLS or not, in a thread of its own.

#![expect(clippy::unwrap_used, reason = "clippy sees only #[test] functions as tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// One request that was seen.
#[derive(Debug, Clone)]
pub struct Hit {
    pub head: Arc<http::request::Parts>,
    pub body: Vec<u8>,
}

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status, these headers, this body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// This body, and it never ends.
    Endless(&'static [u8]),
    /// Ends the stream.
    Reset(Reason),
    /// Ends the connection.
    Leave(Reason),
    /// Says nothing.
    Silence,
}

impl Reply {
    pub fn ok(body: &str) -> Self {
        Self::Answer(200, Vec::new(), body.into())
    }
}

type Script = dyn Fn(&Hit) -> Reply + Send + Sync;

/// A server with a script. Dropping it ends its thread and every connection.
pub struct Server {
    addr: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request by `script`, over TLS where there is a configuration of it.
    pub fn start(tls: Option<rustls::ServerConfig>, script: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let hits = Arc::<Mutex<Vec<Hit>>>::default();
        let (log, script): (_, Arc<Script>) = (Arc::clone(&hits), Arc::new(script));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, acceptor, log, script) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, hits, stop: Some(stop), thread: Some(thread) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every request so far.
    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, hits: Arc<Mutex<Vec<Hit>>>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, hits, script) = (tls.clone(), Arc::clone(&hits), Arc::clone(&script));
        connections.spawn(async move {
            match tls {
                None => serve(stream, &hits, &script).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, &hits, &script).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Serves one connection; a client that goes away is not this server's failure.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    hits: &Mutex<Vec<Hit>>,
    script: &Arc<Script>,
) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    let mut kept = Vec::new();
    while let Some(request) = connection.accept().await {
        let (request, respond) = request.ok()?;
        let (head, body) = request.into_parts();
        // The body comes only while the connection is polled.
        let body = tokio::select! {
            body = whole(body) => body?,
            _ = futures_util::future::poll_fn(|cx| connection.poll_closed(cx)) => return None,
        };
        let hit = Hit { head: Arc::new(head), body };
        let reply = script(&hit);
        hits.lock().unwrap().push(hit);
        if let Reply::Leave(reason) = reply {
            connection.abrupt_shutdown(reason);
            continue;
        }
        kept.push(answer(reply, respond));
    }
    Some(())
}

async fn whole(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    Some(bytes)
}

/// Gives what must be kept for the stream to stay open.
fn answer(
    reply: Reply,
    mut respond: SendResponse<Bytes>,
) -> Option<(SendResponse<Bytes>, Option<h2::SendStream<Bytes>>)> {
    let stream = match reply {
        Reply::Answer(status, headers, body) => {
            let mut answer = http::Response::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(name, value);
            }
            let mut stream = respond.send_response(answer.body(()).unwrap(), body.is_empty()).ok()?;
            if !body.is_empty() {
                stream.send_data(Bytes::from(body), true).ok()?;
            }
            Some(stream)
        }
        Reply::Endless(body) => {
            let mut stream = respond.send_response(http::Response::new(()), false).ok()?;
            stream.send_data(Bytes::from_static(body), false).ok()?;
            Some(stream)
        }
        Reply::Reset(reason) => {
            respond.send_reset(reason);
            None
        }
        Reply::Leave(_) | Reply::Silence => None,
    };
    Some((respond, stream))
}
