//! HTTPS whose trust is a setting: another CA, any certificate, a certificate of ours, and the day that one ends.

use std::io::Write as _;

use jiff::Timestamp;
use monitor::domain::reading::Reading;
use monitor::fetch::Roots;
use monitor::probe::wire::Kit;
use tempfile::NamedTempFile;

use crate::support::http::{Act, Certificate, LIMIT, Server};
use crate::support::target::{set, told};

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

async fn ask(server: &Server, settings: &str) -> Reading {
    let target = set(&server.url("/"), settings).unwrap();
    target.probe(&Kit::new(&Roots::load(None).unwrap()), LIMIT).await
}

#[tokio::test]
async fn any_certificate_will_do_where_the_operator_says_so_and_only_there() {
    for (certificate, reason) in [
        (Certificate::expired(), "tls: the certificate has expired"),
        (
            Certificate::self_signed(),
            "untrusted: the certificate's issuer is not trusted: it is self-signed by CN=nobody, and CA_FILE",
        ),
        (Certificate::wrong_host(), "tls: the certificate is for another name"),
    ] {
        let server = Server::tls(&certificate, |_| Act::bytes("HTTP/1.1 200 OK\r\n\r\nfine"));
        let ca = file(&certificate.root);
        let trusted = format!("CA_FILE={}", ca.path().display());
        assert!(told(&ask(&server, &trusted).await).starts_with(reason), "{reason}");
        for settings in ["INSECURE=true", "INSECURE=true\nKEYWORD=fine"] {
            assert_eq!(told(&ask(&server, settings).await), "up", "{reason}");
        }
        assert!(told(&ask(&server, "INSECURE=false").await).starts_with("untrusted: "));
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_is_noted_where_it_is_watched() {
    let certificate = Certificate::good();
    let server = Server::tls(&certificate, |_| Act::Status(200));
    let ca = file(&certificate.root);
    let trusted = format!("CA_FILE={}", ca.path().display());
    let reading = ask(&server, &format!("{trusted}\nTLS_DAYS=30,3")).await;
    assert_eq!(told(&reading), "up");
    let end: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(reading.certificate_ends, Some(end));
    assert_eq!(ask(&server, &trusted).await.certificate_ends, None);
    // One that has ended is down, and what was seen of it is of no use; one that is not checked is noted all the same.
    let expired = Certificate::expired();
    let server = Server::tls(&expired, |_| Act::Status(500));
    let reading = ask(&server, "INSECURE=true\nTLS_DAYS=30").await;
    assert_eq!(told(&reading), "status: HTTP 500 Internal Server Error");
    assert_eq!(reading.certificate_ends, Some("2020-01-01T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_server_that_asks_for_our_certificate_gets_it() {
    let (certificate, client, stranger) = (Certificate::good(), Certificate::good(), Certificate::good());
    let server = Server::tls_as(certificate.config_for(&client), |_| Act::Status(200));
    let (ca, both, other) = (file(&certificate.root), file(&client.pem()), file(&stranger.pem()));
    let ca = format!("CA_FILE={}", ca.path().display());
    let shown = |file: &NamedTempFile| format!("{ca}\nCLIENT_CERT={}", file.path().display());
    assert_eq!(told(&ask(&server, &shown(&both)).await), "up");
    let apart = format!("{}\nCLIENT_KEY={}", shown(&both), both.path().display());
    assert_eq!(told(&ask(&server, &apart).await), "up");
    for (settings, alert) in [(ca.clone(), "CertificateRequired"), (shown(&other), "")] {
        let told = told(&ask(&server, &settings).await);
        assert!(told.starts_with(&format!("tls: the server ended TLS with the alert {alert}")), "{told}");
    }
    let target = set(&server.url("/"), &format!("CLIENT_CERT={}", both.path().display())).unwrap();
    assert_eq!(target.afar_shell(LIMIT), None, "no other machine has our certificate");
}
