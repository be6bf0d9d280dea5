//! Names to addresses by the system's resolver (`/etc/hosts`, nsswitch, search domains: what the operator's own tools see).
//!
//! Nothing is cached: each probe resolves, because a stale address hides exactly the faults we look for.
//! `dns-lookup` and not std, because std gives the error of `getaddrinfo` as text only, another text per C library, and
//! "no such name" (the target's fault) must not be mixed up with "no answer" (ours).

use std::net::IpAddr;
use std::sync::Arc;
use std::{fmt, io};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use tokio::sync::Semaphore;

use super::failure;
use crate::domain::reading::{Cause, Fault};

/// Lookups at once. `getaddrinfo` cannot be cancelled: a dead resolver holds this many threads, and not one more.
const LOOKUPS: usize = 64;

/// Resolves names, a bounded number at once.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    free: Arc<Semaphore>,
}

type Lookup = dyn Fn(&str) -> Result<Vec<IpAddr>, Fault> + Send + Sync;

impl Resolver {
    /// The system's resolver.
    pub fn system() -> Self {
        Self::new(LOOKUPS, getaddrinfo)
    }

    /// Any blocking `lookup`, at most `at_once` of them running.
    pub fn new(at_once: usize, lookup: impl Fn(&str) -> Result<Vec<IpAddr>, Fault> + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), free: Arc::new(Semaphore::new(at_once)) }
    }

    /// Addresses of `name`, in the order of the system's preference, at least one.
    ///
    /// Dropping the wait is safe: the lookup ends in its thread and keeps its place in the limit until then.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Fault> {
        let gone = || Fault::new(Cause::Resolver, "the resolver's threads have stopped");
        let place = Arc::clone(&self.free).acquire_owned().await.map_err(|_closed| gone())?;
        let (lookup, owned) = (Arc::clone(&self.lookup), name.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let found = lookup(&owned);
            drop(place);
            found
        });
        let mut found = looking.await.map_err(|_panicked| gone())??;
        found.dedup();
        if found.is_empty() { Err(Fault::new(Cause::Dns, format!("{name} has no address"))) } else { Ok(found) }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

fn getaddrinfo(name: &str) -> Result<Vec<IpAddr>, Fault> {
    // One socket type, or each address comes three times.
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(|error| unresolved(name, error))?;
    Ok(found.filter_map(Result::ok).map(|info| info.sockaddr.ip()).collect())
}

fn unresolved(name: &str, error: LookupError) -> Fault {
    match error.kind() {
        LookupErrorKind::NoName => Fault::new(Cause::Dns, format!("the name {name} does not exist")),
        LookupErrorKind::NoData => Fault::new(Cause::Dns, format!("{name} has no address")),
        LookupErrorKind::Memory => Fault::new(Cause::Exhausted, "no memory to resolve a name"),
        LookupErrorKind::System => {
            let error = io::Error::from(error);
            if failure::is_exhausted(&error) {
                Fault::new(Cause::Exhausted, format!("cannot resolve {name}: {error}"))
            } else {
                Fault::new(Cause::Resolver, format!("cannot resolve {name}: {error}"))
            }
        }
        LookupErrorKind::Again => Fault::new(Cause::Resolver, format!("the resolver gave no answer for {name}")),
        LookupErrorKind::Fail
        | LookupErrorKind::Badflags
        | LookupErrorKind::Family
        | LookupErrorKind::Socktype
        | LookupErrorKind::Service
        | LookupErrorKind::Unknown
        | LookupErrorKind::IO => {
            Fault::new(Cause::Resolver, format!("cannot resolve {name}: {}", io::Error::from(error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    // Codes of <netdb.h>, Linux.
    const CODES: [(i32, Cause); 5] =
        [(-2, Cause::Dns), (-5, Cause::Dns), (-3, Cause::Resolver), (-4, Cause::Resolver), (-10, Cause::Exhausted)];

    #[test]
    fn only_an_answered_no_is_the_targets_fault() {
        for (code, cause) in CODES {
            let fault = unresolved("h.test", LookupError::new(code));
            assert_eq!(fault.cause, cause, "{code}: {}", fault.reason);
        }
    }

    #[tokio::test]
    async fn a_local_name_is_found_once_per_address() {
        let found = Resolver::system().resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        let mut unique = found.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), found.len());
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_a_dns_fault() {
        // A label of more than 63 characters never leaves this machine.
        let fault = Resolver::system().resolve(&format!("{}.test", "x".repeat(64))).await.unwrap_err();
        assert_eq!(fault.cause, Cause::Dns, "{}", fault.reason);
    }

    #[tokio::test]
    async fn an_abandoned_lookup_keeps_its_place_until_it_ends() {
        let (open, gate) = mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let resolver = Resolver::new(1, move |_| {
            gate.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap();
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        });
        let short = Duration::from_millis(50);
        assert!(tokio::time::timeout(short, resolver.resolve("a.test")).await.is_err());
        assert_eq!(resolver.free.available_permits(), 0);
        assert!(tokio::time::timeout(short, resolver.resolve("b.test")).await.is_err());
        open.send(()).unwrap();
        open.send(()).unwrap();
        let found = tokio::time::timeout(Duration::from_secs(10), resolver.resolve("c.test")).await.unwrap();
        assert_eq!(found.unwrap().len(), 1);
    }
}
