//! `tcp`: a connection can be made, and where it is asked for, a question is answered.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::wire::settings::{EXPECT, IP, SEND, Settings};
use super::wire::{Address, Dialogue, Kit, Trace, Way};
use super::{BadTarget, CANNOT_LOOK, Kind, Probe, Target, quoted};
use crate::domain::reading::Fault;

/// `tcp`.
pub const KIND: Kind = Kind {
    name: "tcp",
    schemes: &["tcp"],
    listable: true,
    page: include_str!("tcp.md"),
    example: "SRV4_URL=tcp://10.0.0.2:25\nSRV4_EXPECT=/^220[ -]/",
    keys: &[IP.info(), SEND.info(), EXPECT.info()],
    read,
};

/// A `tcp` target at rest.
struct Tcp {
    address: Address,
    port: u16,
    way: Way,
    dialogue: Option<Box<Dialogue>>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let (way, dialogue) = (Way::plain(settings), Dialogue::read(settings));
    let (url, address) = Address::of_url(text)?;
    let bad = |what: &str| BadTarget::Unreadable(format!("{what}; write tcp://host.example.org:5432"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("nobody logs in by only connecting"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("nothing may follow the port"));
    }
    let port = Address::port(&url, None).map_err(bad)?;
    let (way, dialogue) = (way.ok_or(BadTarget::Settings)?, dialogue.ok_or(BadTarget::Settings)?);
    Ok(Target::new(&format!("tcp://{address}:{port}"), Tcp { address, port, way, dialogue }))
}

impl Probe for Tcp {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let mut stream = kit.dial(trace, &self.way, self.address.host(), self.port, false).await?;
            trace.finish();
            match &self.dialogue {
                Some(dialogue) => dialogue.hold(&mut stream, trace).await,
                None => Ok(()),
            }
        })
    }

    /// Where a greeting is expected, its first byte must come; what is sent stays here, because the other machine shows its
    /// command lines to everybody.
    fn afar_shell(&self, limit: Duration) -> Option<String> {
        let (host, port, seconds) =
            (quoted(self.address.host().to_string().trim_matches(['[', ']'])), self.port, limit.as_secs().max(1));
        match &self.dialogue {
            None => Some(format!(
                "if command -v nc >/dev/null 2>&1; then nc -z -w {seconds} {host} {port}; \
                 elif command -v bash >/dev/null 2>&1; then timeout {seconds} bash -c 'exec 3<>/dev/tcp/$0/$1' {host} {port} 2>/dev/null; \
                 else echo 'nc, bash'; exit {CANNOT_LOOK}; fi"
            )),
            Some(dialogue) if dialogue.send.is_none() => Some(format!(
                "if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then \
                 timeout {seconds} bash -c 'exec 3<>/dev/tcp/$0/$1 && IFS= read -r -d \"\" -n 1 <&3' {host} {port} 2>/dev/null; \
                 else echo 'bash with timeout'; exit {CANNOT_LOOK}; fi"
            )),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_connected_to_says_what_to_write() {
        for (text, expected) in [
            ("tcp:host:80", "the URL has no host; write for example `tcp://example.org/`"),
            ("tcp://:80", "the URL has no host"),
            ("tcp://host", "the URL cannot be read: there is no port; write tcp://host.example.org:5432"),
            ("tcp://host:0", "the URL cannot be read: nobody can listen on port 0"),
            ("tcp://host:99999", "the URL cannot be read: invalid port number"),
            ("tcp://host:80/x", "the URL cannot be read: nothing may follow the port"),
            ("tcp://host:80?send=x", "the URL cannot be read: nothing may follow the port"),
            ("tcp://bob:s3cret@host:80", "the URL cannot be read: nobody logs in by only connecting"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(Target::parse("TCP://Host:080/").unwrap().shown(), "tcp://host:80");
        assert_eq!(Target::parse("tcp://[::1]:80").unwrap().shown(), "tcp://[::1]:80");
    }
}
