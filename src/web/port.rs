//! The API on a TCP port: connections of a hostile network, few enough, short enough, and each behind the door.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
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
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::door::{Door, Peer, Shown, admit, network};
use super::{State, api, problem};
use crate::engine::handle::Handle;
use crate::env::Secret;

/// Connections at once. For the next one the oldest that has shown no token has to go; where there is none, it waits in the
/// kernel's queue.
const MOST: usize = 256;
/// Connections that may be about to end beside those.
const LEAVING: usize = 64;
/// Connections at once of one network that is not this machine's own, where a reverse proxy may sit.
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
/// That nobody can come in is said so often.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// Requests under way at the stop have so long.
const LAST: Duration = Duration::from_secs(1);

/// Serves the API at `listener` until `stop`.
pub async fn serve(listener: TcpListener, state: State, token: Secret, stop: CancellationToken) {
    let door = Arc::new(Door::new(&token));
    let engine = state.engine.clone();
    let router = Router::new()
        .nest("/api", api::routes())
        .fallback(problem::no_such_path)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(door, admit))
        .with_state(state);
    let mut connections = JoinSet::new();
    let mut guests = Guests::default();
    let mut watch = Watch { engine, told: None, last: None };
    let mut beat = tokio::time::interval(PAUSE);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_full = guests.are_full();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
                guests.left(id);
                if let Err(error) = ended {
                    tracing::error!("a connection ended badly: {error}");
                }
            }
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((stream, from)) => {
                    let ip = from.ip().to_canonical();
                    if guests.are_too_many(network(ip)) {
                        tracing::debug!(from = %ip, "one connection too many was closed");
                        continue;
                    }
                    guests.make_room();
                    let (stop, sent_away, shown) = (stop.clone(), CancellationToken::new(), Shown::default());
                    let router = router.clone().layer(Extension(Peer(ip))).layer(Extension(shown.clone()));
                    let away = sent_away.clone();
                    let task = connections.spawn(async move {
                        tokio::select! {
                            () = converse(stream, router, stop) => {}
                            () = away.cancelled() => {}
                        }
                    });
                    guests.came(task.id(), Guest { from: network(ip), shown, sent_away });
                }
                // A connection that was gone before we took it is nothing; anything else is trouble of this machine.
                Err(error) if is_gone(&error) => {}
                Err(error) => {
                    watch.is_shut(&error.to_string()).await;
                    tokio::time::sleep(PAUSE).await;
                }
            },
            _ = beat.tick() => {
                if guests.are_full() {
                    watch.is_shut("it has as many connections as it takes").await;
                }
            }
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

/// Who is at the other end of a connection.
struct Guest {
    /// Its network, by which guests are counted.
    from: IpAddr,
    shown: Shown,
    sent_away: CancellationToken,
}

impl Guest {
    fn may_go(&self) -> bool {
        !self.shown.is_known() && !self.sent_away.is_cancelled()
    }
}

/// Who is connected.
#[derive(Default)]
struct Guests {
    /// By when they came.
    of: BTreeMap<u64, Guest>,
    came: u64,
    at: HashMap<Id, u64>,
    counts: HashMap<IpAddr, usize>,
}

impl Guests {
    fn are_too_many(&self, ip: IpAddr) -> bool {
        !ip.is_loopback() && self.counts.get(&ip).is_some_and(|count| *count >= MOST_OF_ONE)
    }

    /// True when nobody has to go for one more.
    fn are_full(&self) -> bool {
        let leaving = MOST.saturating_add(LEAVING) <= self.of.len();
        leaving || (self.staying() >= MOST && !self.of.values().any(Guest::may_go))
    }

    /// Those that were not sent away.
    fn staying(&self) -> usize {
        self.of.values().filter(|guest| !guest.sent_away.is_cancelled()).count()
    }

    /// Sends away the oldest that showed no token, where there is no room for one more. Whoever reports says at once what it
    /// has to say; who holds a place and says nothing must not keep it from doing so.
    fn make_room(&mut self) {
        if self.staying() >= MOST
            && let Some(guest) = self.of.values().find(|guest| guest.may_go())
        {
            tracing::debug!(from = %guest.from, "a connection without a token was closed for a new one");
            guest.sent_away.cancel();
        }
    }

    fn came(&mut self, id: Id, guest: Guest) {
        let ip = guest.from;
        self.came = self.came.saturating_add(1);
        self.of.insert(self.came, guest);
        self.at.insert(id, self.came);
        let count = self.counts.entry(ip).or_default();
        *count = count.saturating_add(1);
    }

    fn left(&mut self, id: Id) {
        let Some(ip) = self.at.remove(&id).and_then(|at| self.of.remove(&at)).map(|guest| guest.from) else { return };
        if let Entry::Occupied(mut count) = self.counts.entry(ip) {
            match count.get().checked_sub(1) {
                None | Some(0) => drop(count.remove()),
                Some(rest) => *count.get_mut() = rest,
            }
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Times at which nobody can come in, whoever keeps them out: a report that cannot be made is not silence.
struct Watch {
    engine: Handle,
    told: Option<Instant>,
    /// When it was shut last.
    last: Option<Instant>,
}

impl Watch {
    async fn is_shut(&mut self, why: &str) {
        if self.told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(
                "the port of the API takes no connection: {why}; silence of servers that report does not count meanwhile"
            );
        }
        // What lies between two moments in which it is shut counts as shut, when they follow each other.
        let lasted = self.last.map_or(PAUSE, |last| last.elapsed()).min(PAUSE * 2);
        self.last = Some(Instant::now());
        // An engine that stops listens to nobody anyway.
        let _ = self.engine.missed(lasted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_connections_and_this_machine_as_many_as_there_are() {
        let mut tasks = JoinSet::new();
        let mut guests = Guests::default();
        let (stranger, own) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([127, 0, 0, 1]));
        let mut ids = Vec::new();
        for _ in 0..MOST_OF_ONE {
            assert!(!guests.are_too_many(stranger));
            for ip in [stranger, own] {
                let id = tasks.spawn(std::future::pending::<()>()).id();
                guests.came(id, guest(ip));
                ids.push(id);
            }
        }
        assert!(guests.are_too_many(stranger) && !guests.are_too_many(own));
        guests.left(ids[0]);
        assert!(!guests.are_too_many(stranger));
        for id in ids {
            guests.left(id);
        }
        assert!(guests.of.is_empty() && guests.at.is_empty() && guests.counts.is_empty());
    }

    fn guest(from: IpAddr) -> Guest {
        Guest { from, shown: Shown::default(), sent_away: CancellationToken::new() }
    }

    #[tokio::test]
    async fn strangers_that_hold_every_place_go_the_oldest_first_and_who_showed_a_token_stays() {
        let mut tasks = JoinSet::new();
        let mut guests = Guests::default();
        for n in 0..MOST {
            let id = tasks.spawn(std::future::pending::<()>()).id();
            let guest = guest(network(format!("2001:db8::{n:x}").parse().unwrap()));
            if n == 0 {
                guest.shown.a_token();
            }
            guests.make_room();
            guests.came(id, guest);
        }
        assert_eq!(guests.counts.len(), 1, "one network, whatever its addresses");
        assert!(guests.are_too_many(network("2001:db8::ffff".parse().unwrap())));
        let away = |guests: &Guests| guests.of.values().map(|guest| guest.sent_away.is_cancelled()).collect::<Vec<_>>();
        assert!(!guests.are_full() && !away(&guests).contains(&true));
        guests.make_room();
        assert_eq!(away(&guests)[..3], [false, true, false]);
        guests.of.values().for_each(|guest| guest.shown.a_token());
        assert!(!guests.are_full(), "one is on its way out");
        guests.came(tasks.spawn(std::future::pending::<()>()).id(), guest(IpAddr::from([192, 0, 2, 1])));
        guests.of.values().for_each(|guest| guest.shown.a_token());
        assert!(guests.are_full(), "nobody may go");
    }
}
