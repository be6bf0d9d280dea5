//! The TLS handshake, and a readable reason when it fails.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use jiff::Timestamp;
use rustls::pki_types::{IpAddr, ServerName};
use rustls::{CertificateError, Error};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::failure;
use crate::domain::reading::{Cause, Fault};
use crate::fetch::{Untrusted, is_ca_as_server};
use crate::host::output::one_line;

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP; boxed, because it is some twenty times as big.
    Secure(Box<TlsStream<TcpStream>>),
}

/// Agrees on TLS with `host` over `tcp`.
pub(super) async fn agree(connector: &TlsConnector, host: Host<&str>, tcp: TcpStream) -> Result<Stream, Fault> {
    let name = match host {
        Host::Ipv4(ip) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V4(ip))),
        Host::Ipv6(ip) => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::V6(ip))),
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|_invalid| Fault::new(Cause::Tls, format!("{name} cannot be the name in a certificate")))?,
    };
    match connector.connect(name, tcp).await {
        Ok(stream) => Ok(Stream::Secure(Box::new(stream))),
        Err(error) => Err(failure::broken("agreeing on TLS", &error)),
    }
}

impl Stream {
    /// When the certificate that the server showed ends; absent without TLS, and for one that cannot be read.
    pub fn certificate_ends(&self) -> Option<Timestamp> {
        let Self::Secure(stream) = self else { return None };
        let shown = stream.get_ref().1.peer_certificates()?.first()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(shown).ok()?;
        Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
    }

    /// The protocol that was agreed on (ALPN), if one was.
    pub fn protocol(&self) -> Option<&[u8]> {
        let Self::Secure(stream) = self else { return None };
        stream.get_ref().1.alpn_protocol()
    }
}

/// The fault of an error that TLS raised; `None` for those of the connection under it.
pub(super) fn fault(error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::InvalidCertificate(CertificateError::Other(other)) = error
        && let Some(untrusted) = other.0.downcast_ref()
    {
        return Some(Fault::new(Cause::Untrusted, stranger(untrusted)));
    }
    let reason = match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::InvalidMessage(_) => "the answer is not TLS; does this port speak plain HTTP?".to_owned(),
        Error::AlertReceived(alert) => format!("the server ended TLS with the alert {alert:?}"),
        Error::PeerIncompatible(why) => format!("no common TLS version or cipher: {why:?}"),
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        other => format!("TLS failed: {other}"),
    };
    Some(Fault::new(Cause::Tls, reason))
}

fn certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet; is a clock wrong?".to_owned()
        }
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().take(3).map(|name| bare(name)).collect::<Vec<_>>().join(", ");
            format!("the certificate is for another name: wanted {}, got {names}", expected.to_str())
        }
        why if is_ca_as_server(why) => "the server shows a CA's certificate instead of one signed by a CA".to_owned(),
        CertificateError::Revoked => "the certificate is revoked".to_owned(),
        other => format!("the certificate is not accepted: {other}"),
    }
}

/// Who stands for the certificate that we do not trust.
fn stranger(untrusted: &Untrusted) -> String {
    let Untrusted { issuer, by_itself, other_key, file } = untrusted;
    let issuer = issuer.as_ref().map_or_else(|| "(no name)".to_owned(), |issuer| one_line(issuer.as_bytes(), 60));
    let begin = "the certificate's issuer is not trusted";
    if *by_itself {
        let more = if *file { ", and CA_FILE does not hold it" } else { "" };
        format!("{begin}: it is self-signed by {issuer}{more}")
    } else if *other_key {
        format!("{begin}: {issuer}, which signs with another key than the CA that we know by this name")
    } else if *file {
        format!("{begin}: {issuer}; CA_FILE does not hold it, or the server does not send the chain")
    } else {
        format!("{begin}: {issuer}; this machine does not know it, or the server does not send the chain")
    }
}

/// The library names what a certificate is for as `DnsName("example.org")`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.map_or(name, |inside| inside.trim_matches('"'))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
