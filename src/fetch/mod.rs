//! How this program speaks TLS and HTTP to the outside: one policy of roots, one client, one way to show a URL.
//!
//! Probes take their roots from here but open their own connections (`probe::wire`), because they measure each phase.

mod insecure;
mod roots;
mod shown;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

pub use roots::{Extras, Roots, RootsError};
pub use shown::shown;
pub use verifier::{Untrusted, is_ca_as_server};

/// Redirects followed by [`client`]; a hook or an API needs one or two, more is a loop.
const REDIRECTS: usize = 5;

/// Sent by everything of ours that speaks HTTP.
pub const USER_AGENT: &str = concat!("monitor/", env!("CARGO_PKG_VERSION"));

/// Says why a client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be built")]
pub struct ClientError(#[source] reqwest::Error);

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }
}

/// Makes ring the crypto of every TLS user in this process; later calls change nothing.
///
/// Libraries that build their own TLS configuration (reqwest, sqlx) panic without it, so it is the first line of `main`.
pub fn install_crypto_provider() {
    // An error says that a provider is installed already, which is what was asked for.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

/// Starts a client with our roots, our name and `timeout` for a whole exchange (connect to last byte).
///
/// For what needs more (a proxy, another limit); everything else takes [`client`]. Like most clients it obeys `HTTPS_PROXY`,
/// `HTTP_PROXY` and `NO_PROXY`; probes do not, they look at the target itself.
pub fn builder(roots: &Roots, timeout: Duration) -> reqwest::ClientBuilder {
    install_crypto_provider();
    reqwest::Client::builder()
        .tls_backend_preconfigured(Arc::unwrap_or_clone(roots.tls_with(&[b"h2", b"http/1.1"])))
        .user_agent(USER_AGENT)
        .referer(false)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
        .timeout(timeout)
}

/// Builds the client for everything that is not a probe; build it once and share it, it pools connections.
///
/// Its errors carry the URL: pass them through `without_url()` before anybody reads them.
pub fn client(roots: &Roots, timeout: Duration) -> Result<reqwest::Client, ClientError> {
    Ok(builder(roots, timeout).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crypto_provider_may_be_installed_twice() {
        install_crypto_provider();
        install_crypto_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }

    #[test]
    fn a_client_is_built_from_our_roots() {
        let roots = Roots::load(None).unwrap();
        client(&roots, Duration::from_secs(1)).unwrap();
    }
}
