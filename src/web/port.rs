//! The API on a TCP port: connections of a hostile network, few enough, short enough, and each behind the door.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::door::{Door, Peer, admit};
use super::{State, api, problem};
use crate::env::Secret;

/// Connections at once; the next ones wait in the kernel's queue.
const MOST: usize = 256;
/// Connections at once of one address that is not this machine's own, where a reverse proxy may sit.
const MOST_OF_ONE: usize = 32;
/// The head of a request has to be there within this, and the next request on a connection, too.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// No connection lasts longer: the longest order is a command with its verification.
const LONGEST: Duration = Duration::from_hours(1);
/// Bytes of the head of a request.
const LARGEST_HEAD: usize = 16 * 1024;
/// Bytes of the body of a request: an order is small.
const LARGEST_BODY: usize = 64 * 1024;
/// The system has no descriptor for us; it may have one a moment later.
const PAUSE: Duration = Duration::from_secs(1);
/// Requests under way at the stop have so long.
const LAST: Duration = Duration::from_secs(1);

/// Serves the API at `listener` until `stop`.
pub async fn serve(listener: TcpListener, state: State, token: Secret, stop: CancellationToken) {
    let door = Arc::new(Door::new(&token));
    let router = Router::new()
        .nest("/api", api::routes())
        .fallback(problem::no_such_path)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(door, admit))
        .with_state(state);
    let places = Arc::new(Semaphore::new(MOST));
    let mut connections: JoinSet<IpAddr> = JoinSet::new();
    let mut of_one: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => match ended {
                Ok(ip) => left(&mut of_one, ip),
                Err(error) => tracing::error!("a connection ended badly: {error}"),
            },
            (place, accepted) = accepted => match accepted {
                Ok((stream, from)) => {
                    let ip = from.ip().to_canonical();
                    let count = of_one.entry(ip).or_default();
                    if *count >= MOST_OF_ONE && !ip.is_loopback() {
                        tracing::debug!(from = %ip, "one connection too many was closed");
                        continue;
                    }
                    *count = count.saturating_add(1);
                    let (router, stop) = (router.clone().layer(Extension(Peer(ip))), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        converse(stream, router, stop).await;
                        ip
                    });
                }
                Err(error) => refused(&error).await,
            },
        }
    }
    let end = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST, end).await;
    connections.shutdown().await;
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let whole = async {
        tokio::select! {
            // What went wrong with a stranger's connection is the stranger's.
            _ = connection.as_mut() => return,
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    };
    let _ = tokio::time::timeout(LONGEST, whole).await;
}

fn left(of_one: &mut HashMap<IpAddr, usize>, ip: IpAddr) {
    if let Some(count) = of_one.get_mut(&ip) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            of_one.remove(&ip);
        }
    }
}

/// A connection that was gone before we took it is nothing; anything else is trouble of this machine.
async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset) {
        tracing::warn!("the port of the API takes no connection: {error}");
        tokio::time::sleep(PAUSE).await;
    }
}
