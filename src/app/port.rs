//! Opening the port of the API, and saying what to do when that cannot be done. What is served there is `web`'s.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::anyhow;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::port::{Listen, Port};
use crate::engine::narrate::Narrator;
use crate::env::Secret;
use crate::message::Line;
use crate::web;

/// The open port.
pub(super) struct Open {
    listener: TcpListener,
    token: Secret,
}

/// Opens it, where one is wanted.
pub(super) async fn open(port: Option<&Port>) -> anyhow::Result<Option<Open>> {
    let Some(Port { listen, token }) = port else { return Ok(None) };
    Ok(Some(Open { listener: bind(*listen).await?, token: token.clone() }))
}

/// Says where it listens, and gives what serves the API there until `stop`.
pub(super) fn serve(
    open: Option<Open>,
    state: web::State,
    narrator: &Narrator,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    if let Some(Ok(address)) = open.as_ref().map(|open| open.listener.local_addr()) {
        narrator.info(&Line::Listening { address: &address.to_string() });
    }
    async move {
        if let Some(Open { listener, token }) = open {
            web::port::serve(listener, state, token, stop).await;
        }
    }
}

async fn bind(listen: Listen) -> anyhow::Result<TcpListener> {
    let opened = match listen {
        Listen::At(address) => TcpListener::bind(address).await,
        Listen::Everywhere(port) => match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
            // A machine without IPv6 has IPv4 addresses only.
            Err(error) if is_without_ipv6(&error) => {
                TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await
            }
            opened => opened,
        },
    };
    opened.map_err(|error| anyhow!("the API cannot listen on {listen} (LISTEN): {error}; {}", advice(&error, listen)))
}

fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT)
}

fn advice(error: &io::Error, listen: Listen) -> String {
    let port = match listen {
        Listen::At(address) => address.port(),
        Listen::Everywhere(port) => port,
    };
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "another program has this port (`ss -ltnp sport = :{port}` shows which): stop it, or choose another port"
            )
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right (CAP_NET_BIND_SERVICE): choose a higher one, or put a reverse proxy in front"
                .to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address (`ip address` shows those it has): choose one of them, or `:PORT` for all"
                .to_owned()
        }
        _ => "choose another address or port".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_cannot_be_opened_says_why_and_what_to_do() {
        let first = bind(Listen::Everywhere(0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        for listen in [Listen::Everywhere(port), Listen::At(SocketAddr::from(([127, 0, 0, 1], port)))] {
            let error = bind(listen).await.unwrap_err().to_string();
            assert!(
                error.contains(&format!("listen on {listen} (LISTEN)")) && error.contains("another program"),
                "{error}"
            );
        }
        let error = bind(Listen::At("192.0.2.1:8080".parse().unwrap())).await.unwrap_err().to_string();
        assert!(error.contains("no such address"), "{error}");
    }
}
