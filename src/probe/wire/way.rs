//! How a target wants to be connected to: which addresses, and whom TLS trusts.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsConnector;

use super::settings::{CA_FILE, CLIENT_CERT, CLIENT_KEY, INSECURE, IP, Settings, TLS_DAYS};
use crate::domain::reading::{Cause, Fault};
use crate::env::{Key, KeyInfo};
use crate::fetch::{Extras, Roots};

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// All of them, in the system's order.
    #[default]
    Both,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How a target wants to be connected to. Without wishes it is two words and shares what the kit has.
#[derive(Clone, Default)]
pub struct Way {
    /// Which addresses.
    pub family: Family,
    /// Whether the end of the certificate is noted in the trace.
    notes_expiry: bool,
    tls: Option<Arc<Tls>>,
}

/// TLS that is not the kit's.
struct Tls {
    extras: Extras,
    protocols: &'static [&'static [u8]],
    connector: OnceLock<Result<TlsConnector, String>>,
}

impl Way {
    /// The settings that this reads for a kind that speaks TLS.
    pub const KEYS: [KeyInfo; 6] =
        [IP.info(), TLS_DAYS.info(), CA_FILE.info(), INSECURE.info(), CLIENT_CERT.info(), CLIENT_KEY.info()];

    /// Reads what [`Way::KEYS`] say, for a protocol that agrees on one of `protocols` (ALPN; none: it is not asked).
    pub fn read(settings: &Settings<'_>, protocols: &'static [&'static [u8]]) -> Option<Self> {
        let (family, insecure, days) = (settings.get(&IP), settings.get(&INSECURE), settings.optional(&TLS_DAYS));
        let (roots, client) = (roots(settings), client(settings));
        let (family, extras) = (family?, Extras { roots: roots?, client: client?, insecure: insecure? });
        let kits = extras.is_empty() && protocols == [b"http/1.1".as_slice()];
        let tls = (!kits).then(|| Arc::new(Tls { extras, protocols, connector: OnceLock::new() }));
        Some(Self { family, notes_expiry: days?.is_some(), tls })
    }

    /// Reads [`IP`] alone, for a kind without TLS.
    pub fn plain(settings: &Settings<'_>) -> Option<Self> {
        Some(Self { family: settings.get(&IP)?, ..Self::default() })
    }

    /// The same, accepting any certificate: for a protocol whose TLS is a courtesy, because it may be left out altogether.
    #[must_use]
    pub fn accepting_any(self) -> Self {
        let Self { family, notes_expiry, tls } = self;
        let protocols = tls.as_ref().map_or(&[] as &[&[u8]], |tls| tls.protocols);
        let extras = tls.as_ref().map(|tls| tls.extras.clone()).unwrap_or_default();
        let tls = Tls { extras: Extras { insecure: true, ..extras }, protocols, connector: OnceLock::new() };
        Self { family, notes_expiry, tls: Some(Arc::new(tls)) }
    }

    /// Whether the other side has proved who it is once TLS is agreed on.
    pub fn checks(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.extras.insecure)
    }

    /// Whether the end of the server's certificate is to be noted.
    pub(super) fn notes_expiry(&self) -> bool {
        self.notes_expiry
    }

    /// What agrees on TLS: the kit's, or one of its own, built at the first use.
    pub(super) fn connector<'a>(&'a self, roots: &Roots, kits: &'a TlsConnector) -> Result<&'a TlsConnector, Fault> {
        let Some(tls) = &self.tls else { return Ok(kits) };
        let build = || {
            let config = roots.tls_beside(&tls.extras, tls.protocols);
            config.map(TlsConnector::from).map_err(|error| error.to_string())
        };
        let connector = tls.connector.get_or_init(build).as_ref();
        connector.map_err(|why| Fault::new(Cause::Denied, format!("TLS cannot be set up with these settings: {why}")))
    }
}

/// The certificates of `CA_FILE`.
fn roots(settings: &Settings<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let Some(pem) = settings.file(&CA_FILE)? else { return Some(Vec::new()) };
    let found = certificates(settings, &CA_FILE, &pem)?;
    if let Err(error) = Roots::accept(&found) {
        settings.problem(
            &CA_FILE,
            format!("a certificate in it cannot be a root: {error}"),
            "name the PEM file of a CA",
        );
        return None;
    }
    Some(found)
}

/// The certificate and key that we show.
#[expect(clippy::option_option, reason = "`?` takes the outer one: a problem is not an absence")]
fn client(settings: &Settings<'_>) -> Option<Option<Arc<CertifiedKey>>> {
    let (shown, key) = (settings.file(&CLIENT_CERT), settings.file(&CLIENT_KEY));
    let (shown, key) = (shown?, key?);
    let Some(shown) = shown else {
        if key.is_some() {
            settings.problem(&CLIENT_KEY, "is set without a certificate", "set CLIENT_CERT too, or remove it");
            return None;
        }
        return Some(None);
    };
    let chain = certificates(settings, &CLIENT_CERT, &shown)?;
    let (pem, from) = key.as_ref().map_or((&shown, &CLIENT_CERT), |key| (key, &CLIENT_KEY));
    let hint = "name a PEM file that holds the private key of the certificate, without a passphrase";
    let Ok(private) = PrivateKeyDer::from_pem_slice(pem.as_bytes()) else {
        settings.problem(from, "the file holds no private key", hint);
        return None;
    };
    match CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider()) {
        Ok(certified) => Some(Some(Arc::new(certified))),
        Err(error) => {
            settings.problem(from, format!("the private key cannot be used: {error}"), hint);
            None
        }
    }
}

/// The library shows lines as numbers of bytes.
fn unread(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut off, an END line is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line cannot be read",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        _ => "it cannot be read",
    }
}

fn certificates(
    settings: &Settings<'_>,
    key: &Key<std::path::PathBuf>,
    pem: &str,
) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let why = match found {
        Ok(found) if !found.is_empty() => return Some(found),
        Ok(_) => "the file holds no certificate".to_owned(),
        Err(error) => format!("the file is not PEM: {}", unread(&error)),
    };
    settings.problem(key, why, "it needs at least one `BEGIN CERTIFICATE` block");
    None
}
