//! Whom we trust: the system's roots, bundled ones where the system has none, and one extra CA file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use super::insecure::AnyCertificate;
use super::verifier::Verifier;

/// The trusted roots, loaded once at start and shared by everything that speaks TLS.
#[derive(Debug, Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    /// Those of `ca_file`.
    own: Vec<CertificateDer<'static>>,
    count: usize,
    source: Source,
}

/// Where the roots came from, for the line at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    System,
    Bundled,
}

/// Says why the roots could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read or is not PEM.
    #[error("cannot read certificates from {}; `CA_FILE` is a PEM file that we may read", path.display())]
    File {
        /// The file that was named.
        path: PathBuf,
        /// What the reader said.
        #[source]
        source: pem::Error,
    },
    /// The file is PEM but holds no certificate.
    #[error("{} holds no certificate; `CA_FILE` needs at least one `BEGIN CERTIFICATE` block", path.display())]
    Empty {
        /// The file that was named.
        path: PathBuf,
    },
    /// A certificate in the file cannot be a root.
    #[error("a certificate in {} cannot be used as a root", path.display())]
    Certificate {
        /// The file that was named.
        path: PathBuf,
        /// What the verifier said.
        #[source]
        source: rustls::Error,
    },
    /// The crypto provider and the wanted protocol versions do not fit.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Roots {
    /// Loads the system's roots, the bundled ones if there are none, and adds those of `ca_file`.
    ///
    /// # Errors
    /// Only `ca_file` can be at fault: it was asked for, so a broken one is not passed over.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        // A broken certificate among the system's hundred is not a reason to trust none of them.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let source = if store.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Source::Bundled
        } else {
            Source::System
        };
        let own = ca_file.map(|path| add_file(&mut store, path)).transpose()?.unwrap_or_default();
        let (count, store) = (store.len(), Arc::new(store));
        let config = Arc::new(config(store.clone(), own.clone()).map_err(RootsError::Tls)?);
        Ok(Self { store, config, own, count, source })
    }

    /// How many roots are trusted and where they come from, for the log.
    pub fn summary(&self) -> String {
        let source = match self.source {
            Source::System => "the system",
            Source::Bundled => "this program, because the system has none",
        };
        format!("{} trusted roots from {source}", self.count)
    }

    /// Configuration for probes: HTTP/1.1, and no resumption, because a resumed session would not look at the certificate.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls_with(&[b"http/1.1"])
    }

    /// The same roots with another list of protocols (ALPN); an empty list offers none.
    pub fn tls_with(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// The same roots and what one server wants beside them.
    pub fn tls_beside(&self, extras: &Extras, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut config = if extras.roots.is_empty() {
            ClientConfig::clone(&self.config)
        } else {
            let mut store = RootCertStore::clone(&self.store);
            for root in &extras.roots {
                store.add(root.clone())?;
            }
            config(Arc::new(store), self.own.iter().chain(&extras.roots).cloned().collect())?
        };
        if let Some(client) = &extras.client {
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(client.clone()));
        }
        if extras.insecure {
            config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate::new()));
        }
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// Says whether every one of these can be a root.
    pub fn accept(certificates: &[CertificateDer<'static>]) -> Result<(), rustls::Error> {
        let mut store = RootCertStore::empty();
        certificates.iter().try_for_each(|certificate| store.add(certificate.clone()))
    }
}

/// What one server wants beside the roots that all trust.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// More roots.
    pub roots: Vec<CertificateDer<'static>>,
    /// The certificate that we show, with its key.
    pub client: Option<Arc<CertifiedKey>>,
    /// Whether any certificate will do.
    pub insecure: bool,
}

impl Extras {
    /// True when nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.client.is_none() && !self.insecure
    }
}

fn config(store: Arc<RootCertStore>, own: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(store, own)?))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn add_file(store: &mut RootCertStore, path: &Path) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let file = |source| RootsError::File { path: path.to_owned(), source };
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(file)? {
        let certificate = certificate.map_err(file)?;
        store.add(certificate.clone()).map_err(|source| RootsError::Certificate { path: path.to_owned(), source })?;
        found.push(certificate);
    }
    if found.is_empty() { Err(RootsError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_always_roots_and_probes_speak_http_1() {
        let roots = Roots::load(None).unwrap();
        assert!(roots.count > 0, "{}", roots.summary());
        assert_eq!(roots.tls().alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_ca_file_adds_to_the_roots() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let certificate = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        std::fs::write(&path, certificate.cert.pem()).unwrap();
        let (without, with) = (Roots::load(None).unwrap(), Roots::load(Some(&path)).unwrap());
        assert_eq!(with.count, without.count + 1);
    }

    #[test]
    fn a_missing_an_empty_and_a_broken_ca_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(Roots::load(Some(&path)), Err(RootsError::File { .. })));
        std::fs::write(&path, "no certificate here\n").unwrap();
        assert!(matches!(Roots::load(Some(&path)), Err(RootsError::Empty { .. })));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(Roots::load(Some(&path)), Err(RootsError::Certificate { .. })));
    }
}
