//! A listener that answers each read with the next piece of a script, whatever was asked, and then closes or holds its tongue.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What comes after the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It closes.
    Close,
    /// It stays open and silent.
    Hold,
}

/// The listener; its connections end with it.
pub struct Scripted {
    pub addr: SocketAddr,
    _server: JoinSet<()>,
}

impl Scripted {
    pub async fn start(answers: &[&[u8]], end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, answers.clone(), end));
            }
        });
        Self { addr, _server: server }
    }
}

async fn converse(mut stream: TcpStream, answers: Vec<Vec<u8>>, end: End) {
    let mut asked = [0; 4096];
    for answer in answers {
        if !matches!(stream.read(&mut asked).await, Ok(1..)) || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
    if end == End::Hold {
        while matches!(stream.read(&mut asked).await, Ok(1..)) {}
    }
}
