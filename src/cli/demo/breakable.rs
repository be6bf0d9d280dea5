//! A small web service that can be broken in several ways, on a port that stays its own while nobody listens there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes of a request's head that are read; ours are a tenth of it.
const LONGEST_HEAD: usize = 4096;
/// The longest that one connection is kept.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before the port is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// How the service fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Answers 200.
    Well,
    /// Answers 503.
    Unavailable,
    /// Does not listen.
    Gone,
    /// Takes the connection and says nothing.
    Silent,
    /// Takes the request and hangs up.
    Cut,
}

/// The service; it answers as long as the tasks live that it was started among.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    health: watch::Sender<Health>,
    /// Bound and never listening: while the service is [`Health::Gone`], the kernel refuses connections to this port and
    /// gives it to nobody else.
    _port: TcpSocket,
}

impl Service {
    /// Starts on a free port of the loopback.
    pub fn start(tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = port.local_addr()?;
        let first = listen(address)?;
        let (health, watched) = watch::channel(Health::Well);
        tasks.spawn(serve(address, first, watched));
        Ok(Self { address, health, _port: port })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Makes it fare so from now on.
    pub fn set(&self, health: Health) {
        self.health.send_replace(health);
    }

    #[cfg(test)]
    pub fn health(&self) -> Health {
        *self.health.borrow()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(64)
}

async fn serve(address: SocketAddr, first: TcpListener, mut health: watch::Receiver<Health>) {
    let mut listener = Some(first);
    let mut open = JoinSet::new();
    loop {
        let now = *health.borrow_and_update();
        if now == Health::Gone {
            listener = None;
            open.shutdown().await;
        } else if listener.is_none() {
            listener = listen(address).ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None if now == Health::Gone => std::future::pending().await,
                None => {
                    tokio::time::sleep(AGAIN).await;
                    None
                }
            }
        };
        tokio::select! {
            changed = health.changed() => if changed.is_err() { return },
            accepted = accepted => {
                if let Some((stream, _)) = accepted {
                    open.spawn(async move {
                        // A client that goes away is no trouble of ours.
                        let _ = tokio::time::timeout(PATIENCE, answer(stream, now)).await;
                    });
                }
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn answer(mut stream: TcpStream, health: Health) -> io::Result<()> {
    let mut head = Vec::new();
    while head.len() < LONGEST_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match health {
        Health::Well => ("200 OK", "open\n"),
        Health::Unavailable => ("503 Service Unavailable", "out of order\n"),
        Health::Silent => {
            // Until the other side gives up.
            stream.read_buf(&mut head).await?;
            return Ok(());
        }
        Health::Cut | Health::Gone => return Ok(()),
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await?;
        let mut said = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut said)).await;
        read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(said)
    }

    /// Asks until the answer is as expected: the change reaches the service's task a moment later.
    async fn until(address: SocketAddr, fits: impl Fn(&io::Result<String>) -> bool) {
        let asked = async {
            while !fits(&ask(address).await) {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), asked).await.is_ok(), "it never fared so");
    }

    #[tokio::test]
    async fn it_breaks_in_each_way_and_comes_back_on_the_same_port() {
        let mut tasks = JoinSet::new();
        let service = Service::start(&mut tasks).unwrap();
        let at = service.address;
        assert!(ask(at).await.unwrap().starts_with("HTTP/1.1 200 OK"));
        service.set(Health::Unavailable);
        until(at, |said| said.as_ref().is_ok_and(|said| said.starts_with("HTTP/1.1 503 "))).await;
        for _ in 0..3 {
            service.set(Health::Gone);
            let refused = |said: &io::Result<String>| {
                said.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
            };
            until(at, refused).await;
            service.set(Health::Well);
            until(at, |said| said.as_ref().is_ok_and(|said| said.ends_with("open\n"))).await;
        }
        service.set(Health::Cut);
        until(at, |said| !matches!(said, Ok(said) if !said.is_empty())).await;
    }
}
