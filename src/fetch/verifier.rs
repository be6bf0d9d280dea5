//! Who is who they say: the usual check of a chain, beside it certificates that are trusted as they stand, and a name for
//! whoever is not trusted.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::verify_server_name,
};

/// Why nobody whom we trust stands for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrusted {
    /// Who signed it, as it says itself. Text from outside: cap and escape it before anybody reads it.
    pub issuer: Option<String>,
    /// Whether it says that it signed itself.
    pub by_itself: bool,
    /// Whether a CA that we know has the issuer's name and another key.
    pub other_key: bool,
    /// Whether certificates of a file (`CA_FILE`) were trusted too.
    pub file: bool,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate's issuer is not trusted")
    }
}

impl StdError for Untrusted {}

/// Checks chains against the roots; a certificate of a file may also be the server's own.
#[derive(Debug)]
pub(super) struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl Verifier {
    /// Trusts `roots`, and the certificates of `own` byte for byte.
    pub(super) fn new(roots: Arc<RootCertStore>, own: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(roots, ring).build();
        Ok(Self { chains: chains.map_err(|error| Error::General(error.to_string()))?, own })
    }

    /// What is to be said of `error`: that nobody we trust stands for `shown`, where that is so.
    ///
    /// A certificate that is not of this time is looked at for one of its own: an expired one of a stranger is a stranger's.
    fn told(
        &self,
        error: Error,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Error {
        let Error::InvalidCertificate(why) = &error else { return error };
        let Ok((_, read)) = x509_parser::parse_x509_certificate(shown) else { return error };
        let by_itself = read.issuer() == read.subject();
        let mut why = why.clone();
        if is_of_another_time(&why)
            && let Ok(last) = u64::try_from(read.validity().not_after.timestamp())
        {
            let then = UnixTime::since_unix_epoch(std::time::Duration::from_secs(last));
            let Err(Error::InvalidCertificate(then)) = self.chains.verify_server_cert(shown, chain, name, &[], then)
            else {
                return error;
            };
            why = then;
        }
        let (stranger, other_key) = match &why {
            CertificateError::UnknownIssuer => (true, false),
            CertificateError::BadSignature => (true, true),
            why => (by_itself && is_ca_as_server(why), false),
        };
        if !stranger {
            return error;
        }
        let issuer = Some(read.issuer().to_string()).filter(|issuer| !issuer.is_empty());
        let untrusted = Untrusted { issuer, by_itself, other_key, file: !self.own.is_empty() };
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted))))
    }
}

/// The verifier's own type is not ours to name; its text is all there is.
pub fn is_ca_as_server(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(why) if format!("{why:?}").contains("CaUsedAsEndEntity"))
}

fn is_of_another_time(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// Whether a certificate that is trusted as it stands is of this time and name.
fn holds(shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let unreadable = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, read) = x509_parser::parse_x509_certificate(shown).map_err(unreadable)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > read.validity().not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    if now < read.validity().not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    verify_server_name(&ParsedCertificate::try_from(shown)?, name)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.iter().any(|own| own.as_ref() == shown.as_ref()) {
            return holds(shown, name, now).map(|()| ServerCertVerified::assertion());
        }
        let verified = self.chains.verify_server_cert(shown, chain, name, ocsp, now);
        verified.map_err(|error| self.told(error, shown, chain, name))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
