//! HTTP servers that behave as badly as told, on port 0, each in a thread of its own so that a blocking test cannot stall it.
//!
//! [`Server`] answers each request by a script; [`Service`] is a target that goes up and down and remembers who asked.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy sees only #[test] functions as tests"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// No test waits longer than this for anything.
pub const LIMIT: Duration = Duration::from_secs(10);
/// How long a server that has said all waits for the client to go.
const LINGER: Duration = Duration::from_secs(1);
/// Between the drops of a slow answer.
const DROP: Duration = Duration::from_millis(20);

/// One request that was seen.
#[derive(Debug, Clone)]
pub struct Hit {
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// As many bytes as `Content-Length` says.
    pub body: Vec<u8>,
    pub at: Instant,
    /// How TLS was agreed on, where there was any.
    pub tls: Option<HandshakeKind>,
}

/// What a server does with one request (or, with [`Server::unasked`], with one connection).
#[derive(Debug, Clone)]
pub enum Act {
    /// A short, whole answer.
    Status(u16),
    /// A redirect with this status and address.
    Redirect(u16, String),
    /// These bytes, then close.
    Bytes(Vec<u8>),
    /// The first bytes, then the rest drop by drop, for ever repeating the rest's last byte.
    Drip(Vec<u8>, Vec<u8>),
    /// Nothing, and the connection stays open.
    Silence,
    /// Close without a word.
    Close,
    /// A reset (RST) instead of an answer.
    Reset,
}

impl Act {
    /// These bytes, then close.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bytes(bytes.as_ref().to_vec())
    }
}

type Script = dyn Fn(&Hit) -> Act + Send + Sync;

/// A server with a script. Dropping it ends its thread and every connection.
pub struct Server {
    addr: SocketAddr,
    scheme: &'static str,
    hits: Hits,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Listen(bool, oneshot::Sender<()>),
}

#[derive(Clone)]
struct Hits {
    all: Arc<Mutex<Vec<Hit>>>,
    count: watch::Sender<usize>,
}

#[derive(Clone)]
enum Manner {
    /// Reads a request, then does what the script says.
    Asked(Arc<Script>),
    /// Does this at once.
    Unasked(Act),
}

impl Server {
    /// Answers each request by `script`.
    pub fn start(script: impl Fn(&Hit) -> Act + Send + Sync + 'static) -> Self {
        Self::with(Ipv4Addr::LOCALHOST.into(), Manner::Asked(Arc::new(script)), None)
    }

    /// The same on another address of this machine.
    pub fn at(ip: std::net::IpAddr, script: impl Fn(&Hit) -> Act + Send + Sync + 'static) -> Self {
        Self::with(ip, Manner::Asked(Arc::new(script)), None)
    }

    /// Does `act` with each connection without reading anything.
    pub fn unasked(act: Act) -> Self {
        Self::with(Ipv4Addr::LOCALHOST.into(), Manner::Unasked(act), None)
    }

    /// Answers over TLS.
    pub fn tls(certificate: &Certificate, script: impl Fn(&Hit) -> Act + Send + Sync + 'static) -> Self {
        Self::with(Ipv4Addr::LOCALHOST.into(), Manner::Asked(Arc::new(script)), Some(certificate.acceptor()))
    }

    /// Agrees on TLS, then does `act` without reading anything.
    pub fn unasked_tls(certificate: &Certificate, act: Act) -> Self {
        Self::with(Ipv4Addr::LOCALHOST.into(), Manner::Unasked(act), Some(certificate.acceptor()))
    }

    /// Answers over TLS set up otherwise.
    pub fn tls_as(config: rustls::ServerConfig, script: impl Fn(&Hit) -> Act + Send + Sync + 'static) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::with(Ipv4Addr::LOCALHOST.into(), Manner::Asked(Arc::new(script)), Some(acceptor))
    }

    fn with(ip: std::net::IpAddr, manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let bound = bind(SocketAddr::new(ip, 0)).unwrap();
        let addr = bound.local_addr().unwrap().as_socket().unwrap();
        bound.listen(1024).unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let hits = Hits { all: Arc::default(), count: watch::Sender::new(0) };
        let (orders, inbox) = mpsc::unbounded_channel();
        let log = hits.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(bound, addr, inbox, manner, tls, log));
        });
        Self { addr, scheme, hits, orders, thread: Some(thread) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The server's URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.addr)
    }

    /// Every request so far.
    pub fn hits(&self) -> Vec<Hit> {
        self.hits.all.lock().unwrap().clone()
    }

    /// Waits until `count` requests were seen.
    pub async fn hit(&self, count: usize) -> Vec<Hit> {
        let mut seen = self.hits.count.subscribe();
        let waited = timeout(LIMIT, seen.wait_for(|seen| *seen >= count)).await;
        assert!(waited.is_ok(), "{count} requests were expected within {LIMIT:?}, {} came", self.hits().len());
        self.hits()
    }

    /// Listens again, or keeps the port and refuses connections; in force on return. Open connections stay.
    pub fn listen(&self, on: bool) {
        let (done, wait) = oneshot::channel();
        self.orders.send(Order::Listen(on, done)).unwrap_or_else(|_| panic!("the server's thread has ended"));
        // Its thread is not ours: waiting here blocks this thread only, and only for a moment.
        let started = std::thread::spawn(move || wait.blocking_recv());
        started.join().unwrap().expect("the server's thread has ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without senders the thread's inbox ends, and with it the thread.
        let (closed, _) = mpsc::unbounded_channel();
        self.orders = closed;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server's thread panicked");
        }
    }
}

/// Bound and not listening: the port is taken and refuses.
fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

async fn serve(
    bound: Socket,
    addr: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<Order>,
    manner: Manner,
    tls: Option<TlsAcceptor>,
    hits: Hits,
) {
    let mut listener = Some(TcpListener::from_std(bound.into()).unwrap());
    let mut holder: Option<Socket> = None;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Listen(true, done)) => {
                    if let Some(socket) = holder.take() {
                        socket.listen(1024).unwrap();
                        listener = Some(TcpListener::from_std(socket.into()).unwrap());
                    }
                    let _ = done.send(());
                    continue;
                }
                Some(Order::Listen(false, done)) => {
                    if let Some(listening) = listener.take() {
                        drop(listening);
                        holder = Some(bind(addr).unwrap());
                    }
                    let _ = done.send(());
                    continue;
                }
            },
            accepted = accept(listener.as_ref()) => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        while connections.try_join_next().is_some() {}
        let (manner, tls, hits) = (manner.clone(), tls.clone(), hits.clone());
        // A client that goes away is not this server's failure.
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let _ = match tls {
                None => converse(stream, &manner, &hits, None, |stream: &TcpStream| stream.set_zero_linger()).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => {
                        let agreed = stream.get_ref().1.handshake_kind();
                        converse(stream, &manner, &hits, agreed, |stream| stream.get_ref().0.set_zero_linger()).await
                    }
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    manner: &Manner,
    hits: &Hits,
    agreed: Option<HandshakeKind>,
    abort: impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let act = match manner {
        Manner::Unasked(act) => act.clone(),
        Manner::Asked(script) => {
            let mut hit = read(&mut stream).await?;
            hit.tls = agreed;
            let act = script(&hit);
            hits.all.lock().unwrap().push(hit);
            hits.count.send_modify(|count| *count += 1);
            act
        }
    };
    match act {
        Act::Status(status) => {
            let body = if (300..400).contains(&status) || status == 204 { "" } else { "body\n" };
            let head =
                format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await?;
        }
        Act::Redirect(status, location) => {
            let head = format!("HTTP/1.1 {status} Scripted\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        Act::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            // Closed over unread bytes, the kernel would reset the connection, and what was sent might be lost.
            let mut ignored = [0; 1024];
            let reading = async {
                while stream.read(&mut ignored).await? > 0 {}
                io::Result::Ok(())
            };
            return timeout(LINGER, reading).await.unwrap_or(Ok(()));
        }
        Act::Drip(first, rest) => {
            stream.write_all(&first).await?;
            for byte in rest.iter().chain(std::iter::repeat(rest.last().unwrap_or(&b'x'))) {
                stream.flush().await?;
                sleep(DROP).await;
                stream.write_all(&[*byte]).await?;
            }
        }
        Act::Silence => {
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await? > 0 {}
        }
        Act::Close => {}
        Act::Reset => return abort(&stream),
    }
    stream.flush().await?;
    stream.shutdown().await
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Hit> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Hit { method, path, headers, body, at: Instant::now(), tls: None })
}

/// What a [`Service`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Answers 200.
    Up,
    /// Answers with this status.
    Down(u16),
    /// Keeps its port and refuses connections.
    Refuse,
    /// Accepts and stays silent.
    Hang,
}

/// A target that goes up and down and remembers who asked.
pub struct Service {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Service {
    /// Starts up.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::Up));
        let seen = Arc::clone(&state);
        let server = Server::start(move |_| match *seen.lock().unwrap() {
            State::Up => Act::Status(200),
            State::Down(status) => Act::Status(status),
            State::Refuse => Act::Close,
            State::Hang => Act::Silence,
        });
        Self { server, state }
    }

    pub fn url(&self) -> String {
        self.server.url("/")
    }

    /// Changes what it does; in force on return.
    pub fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.server.listen(state != State::Refuse);
    }

    /// Every request so far.
    pub fn hits(&self) -> Vec<Hit> {
        self.server.hits()
    }

    /// Waits until `count` requests were seen.
    pub async fn hit(&self, count: usize) -> Vec<Hit> {
        self.server.hit(count).await
    }
}

/// A certificate for a server of ours, and the root that a client must trust to accept it.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// PEM of the root.
    pub root: String,
}

impl Certificate {
    /// Valid for 127.0.0.1 and localhost, signed by its own throw-away CA.
    pub fn good() -> Self {
        Self::signed(&["127.0.0.1", "localhost"], 2100)
    }

    /// Ended in 2020.
    pub fn expired() -> Self {
        Self::signed(&["127.0.0.1", "localhost"], 2020)
    }

    /// For `other.test`.
    pub fn wrong_host() -> Self {
        Self::signed(&["other.test"], 2100)
    }

    /// Signed by nobody; its `root` is that of a stranger.
    pub fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut own = params(&["127.0.0.1", "localhost"], 2100);
        own.distinguished_name.push(DnType::CommonName, "nobody");
        let own = own.self_signed(&key).unwrap();
        Self { chain: vec![own.der().clone()], key: secret(&key), root: Self::good().root }
    }

    /// What `openssl req -x509` makes: signed by itself and allowed to sign others.
    pub fn self_signed_ca() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut own = params(&["127.0.0.1", "localhost"], 2100);
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = own.self_signed(&key).unwrap();
        Self { chain: vec![own.der().clone()], key: secret(&key), root: own.pem() }
    }

    /// The same for a client that trusts a stranger.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.root = Self::good().root;
        self
    }

    fn signed(names: &[&str], last_year: i32) -> Self {
        let mut ca = params(&[], 2100);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of a certificate with its issuer's own name OpenSSL thinks that it signed itself.
        ca.distinguished_name.push(DnType::CommonName, "throw-away CA");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = params(names, last_year).signed_by(&key, &ca).unwrap();
        Self { chain: vec![own.der().clone()], key: secret(&key), root: ca.pem() }
    }

    /// What a server shows it with.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.config(&[])))
    }

    /// How a server shows it, with these protocols (ALPN).
    pub fn config(&self, protocols: &[&str]) -> rustls::ServerConfig {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The same for a server that wants a certificate of whoever asks, signed by the root of `clients`.
    pub fn config_for(&self, clients: &Self) -> rustls::ServerConfig {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(clients.root.as_bytes()).unwrap()).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&ring));
        rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap()
    }

    /// The certificate and its key, as a client keeps them in one file.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.chain[0]) + &pem("PRIVATE KEY", self.key.secret_der())
    }

    /// Writes the chain and its key as PEM, for a server that reads files.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        let certificates = self.chain.iter().map(|certificate| pem("CERTIFICATE", certificate));
        std::fs::write(&chain, certificates.collect::<String>()).unwrap();
        std::fs::write(&key, pem("PRIVATE KEY", self.key.secret_der())).unwrap();
        (chain, key)
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.collect::<Vec<_>>().join("\n"))
}

fn params(names: &[&str], last_year: i32) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2010, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    params
}

fn secret(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}
