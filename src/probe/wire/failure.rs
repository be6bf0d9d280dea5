//! What the kernel says about a connection → whose fault it is.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

use super::tls;
use crate::domain::reading::{Cause, Fault};

/// The fault of a TCP connection that could not be made to `peer` (an address as people read it).
pub(super) fn unconnected(peer: SocketAddr, error: &io::Error) -> Fault {
    let cause = cause(error, peer.is_ipv4());
    let what = match cause {
        Cause::Refused => format!("connection refused: nobody listens at {peer}"),
        Cause::Unreachable => format!("{peer} cannot be reached: {error}"),
        Cause::Network => format!("this machine has no way to {peer}: {error}"),
        Cause::Exhausted => format!("this machine cannot open one more connection: {error}"),
        Cause::Timeout
        | Cause::Reset
        | Cause::Dns
        | Cause::Tls
        | Cause::Untrusted
        | Cause::Status
        | Cause::Redirect
        | Cause::Protocol
        | Cause::Content
        | Cause::Login
        | Cause::Starting
        | Cause::Exit
        | Cause::Silence
        | Cause::Denied
        | Cause::Waiting
        | Cause::CutOff
        | Cause::Resolver => format!("no connection to {peer}: {error}"),
    };
    Fault::new(cause, what)
}

/// The fault of a packet that could not be sent to `ip`.
pub(super) fn unsent(ip: IpAddr, error: &io::Error) -> Fault {
    let cause = cause(error, ip.is_ipv4());
    let what = if cause == Cause::Unreachable {
        format!("{ip} cannot be reached: {error}")
    } else if cause.is_blind() {
        format!("this machine cannot send to {ip}: {error}")
    } else {
        format!("no answer from {ip}: {error}")
    };
    Fault::new(cause, what)
}

/// Whose fault it is that a host could not be connected to.
pub(crate) fn unreached(error: &io::Error) -> Cause {
    cause(error, true)
}

fn cause(error: &io::Error, ipv4: bool) -> Cause {
    match Errno::from_io_error(error) {
        _ if is_exhausted(error) => Cause::Exhausted,
        Some(Errno::CONNREFUSED) => Cause::Refused,
        Some(Errno::HOSTUNREACH | Errno::HOSTDOWN) => Cause::Unreachable,
        Some(Errno::TIMEDOUT) => Cause::Timeout,
        Some(Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE) => Cause::Reset,
        // No address of ours fits: for IPv6 there is none, for IPv4 all ports towards this peer are taken.
        Some(Errno::ADDRNOTAVAIL) if ipv4 => Cause::Exhausted,
        // No route, no address of that family, a firewall of ours (EPERM), or something new: nothing of it is the target's.
        _ => Cause::Network,
    }
}

/// The fault of an open connection that failed while `doing` something (`"sending the request"`).
pub(crate) fn broken(doing: &str, error: &io::Error) -> Fault {
    if let Some(fault) = tls::fault(error) {
        return fault;
    }
    match error.kind() {
        ErrorKind::ConnectionReset => Fault::new(Cause::Reset, format!("connection reset while {doing}")),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Fault::new(Cause::Reset, format!("connection closed while {doing}"))
        }
        ErrorKind::HostUnreachable => Fault::new(Cause::Unreachable, format!("host unreachable while {doing}")),
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Fault::new(Cause::Network, format!("our network went away while {doing}"))
        }
        ErrorKind::TimedOut => Fault::new(Cause::Timeout, format!("connection timed out while {doing}")),
        _ if is_exhausted(error) => Fault::new(Cause::Exhausted, format!("this machine is exhausted: {error}")),
        _ => Fault::new(Cause::Reset, format!("connection failed while {doing}: {error}")),
    }
}

/// True when this machine is out of descriptors, memory or buffers.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN | Errno::ADDRINUSE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_say_whose_fault_it_is() {
        let (four, six) = ("10.0.0.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap());
        for (errno, peer, cause) in [
            (Errno::CONNREFUSED, four, Cause::Refused),
            (Errno::HOSTUNREACH, four, Cause::Unreachable),
            (Errno::TIMEDOUT, four, Cause::Timeout),
            (Errno::NETUNREACH, four, Cause::Network),
            (Errno::NETUNREACH, six, Cause::Network),
            (Errno::ADDRNOTAVAIL, six, Cause::Network),
            (Errno::ADDRNOTAVAIL, four, Cause::Exhausted),
            (Errno::MFILE, four, Cause::Exhausted),
            (Errno::NFILE, four, Cause::Exhausted),
            (Errno::NOMEM, four, Cause::Exhausted),
            (Errno::PERM, four, Cause::Network),
        ] {
            let fault = unconnected(peer, &errno.into());
            assert_eq!(fault.cause, cause, "{errno}: {}", fault.reason);
        }
    }
}
