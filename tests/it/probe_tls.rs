//! TLS by itself, against servers with certificates made on the spot.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::wire::Kit;

use crate::support::http::{Act, Certificate, LIMIT, Server};
use crate::support::target::{configured, example};

const SHORT: Duration = Duration::from_secs(1);

/// Trusts the root of `certificate`.
fn trusting(certificate: &Certificate) -> Kit {
    fetch::install_crypto_provider();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    Kit::new(&Roots::load(Some(file.path())).unwrap())
}

async fn ask(kit: &Kit, lines: &str, limit: Duration) -> Reading {
    configured(lines).unwrap().probe(kit, limit).await
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

fn url(server: &Server) -> String {
    format!("SRV4_URL=tls://{}", server.addr())
}

#[tokio::test]
async fn a_handshake_alone_is_enough_and_its_phases_are_told() {
    let certificate = Certificate::good();
    let server = Server::unasked_tls(&certificate, Act::Silence);
    let reading = ask(&trusting(&certificate), &url(&server), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.connect.is_some() && reading.phases.tls.is_some(), "{reading:?}");
    assert_eq!((reading.phases.first_byte, reading.certificate_ends), (None, None));
    server.listen(false);
    down(&ask(&trusting(&certificate), &url(&server), LIMIT).await, Cause::Refused);
}

#[tokio::test]
async fn a_certificate_that_does_not_prove_the_name_is_down_and_says_why() {
    let good = Certificate::good();
    for (certificate, cause, why) in [
        (Certificate::expired(), Cause::Tls, "the certificate has expired"),
        (
            Certificate::wrong_host(),
            Cause::Tls,
            "the certificate is for another name: wanted 127.0.0.1, got other.test",
        ),
        (
            Certificate::self_signed(),
            Cause::Untrusted,
            "the certificate's issuer is not trusted: it is self-signed by CN=nobody",
        ),
        (
            Certificate::expired().unknown(),
            Cause::Untrusted,
            "the certificate's issuer is not trusted: CN=throw-away CA, which signs with another",
        ),
    ] {
        let server = Server::unasked_tls(&certificate, Act::Silence);
        let reading = ask(&trusting(&certificate), &url(&server), LIMIT).await;
        assert!(down(&reading, cause).starts_with(why), "{reading:?}");
        let lines = format!("{}\nSRV4_INSECURE=true", url(&server));
        assert_eq!(ask(&trusting(&good), &lines, LIMIT).await.outcome, Outcome::Up, "{why}");
    }
    let server = Server::unasked_tls(&good, Act::Silence);
    let stranger = Certificate::good();
    down(&ask(&trusting(&stranger), &url(&server), LIMIT).await, Cause::Untrusted);
    let kit = Kit::new(&Roots::load(None).unwrap());
    let reading = ask(&kit, &url(&server), LIMIT).await;
    assert!(
        down(&reading, Cause::Untrusted).contains("CN=throw-away CA; this machine does not know it"),
        "{reading:?}"
    );
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(good.root.as_bytes()).unwrap();
    let lines = format!("{}\nSRV4_CA_FILE={}", url(&server), file.path().display());
    assert_eq!(ask(&trusting(&stranger), &lines, LIMIT).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn a_ca_file_may_hold_the_servers_own_certificate_which_must_still_be_of_its_name() {
    for certificate in [Certificate::self_signed_ca(), Certificate::self_signed()] {
        let server = Server::unasked_tls(&certificate, Act::Silence);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.pem().as_bytes()).unwrap();
        let lines = format!("{}\nSRV4_CA_FILE={}", url(&server), file.path().display());
        let kit = Kit::new(&Roots::load(None).unwrap());
        assert_eq!(ask(&kit, &lines, LIMIT).await.outcome, Outcome::Up);
        let reading = ask(&kit, &format!("{lines}\nSRV4_SERVER_NAME=other.test"), LIMIT).await;
        assert!(down(&reading, Cause::Tls).starts_with("the certificate is for another name"), "{reading:?}");
        let other = Server::unasked_tls(&Certificate::self_signed_ca(), Act::Silence);
        let lines = format!("{}\nSRV4_CA_FILE={}", url(&other), file.path().display());
        let reading = ask(&kit, &lines, LIMIT).await;
        assert!(down(&reading, Cause::Untrusted).contains("CA_FILE does not hold it"), "{reading:?}");
    }
    let old = Certificate::expired();
    let server = Server::unasked_tls(&old, Act::Silence);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(old.pem().as_bytes()).unwrap();
    let lines = format!("{}\nSRV4_CA_FILE={}", url(&server), file.path().display());
    let reading = ask(&trusting(&old), &lines, LIMIT).await;
    assert_eq!(down(&reading, Cause::Tls), "the certificate has expired");
}

#[tokio::test]
async fn the_name_that_is_asked_for_may_be_another_than_the_host() {
    let certificate = Certificate::wrong_host();
    let (server, kit) = (Server::unasked_tls(&certificate, Act::Silence), trusting(&certificate));
    let lines = |name: &str| format!("{}\nSRV4_SERVER_NAME={name}", url(&server));
    assert_eq!(ask(&kit, &lines("other.test"), LIMIT).await.outcome, Outcome::Up);
    let reading = ask(&kit, &lines("third.test"), LIMIT).await;
    assert!(down(&reading, Cause::Tls).contains("wanted third.test, got other.test"), "{reading:?}");
    assert!(configured("SRV4_URL=tls://h\nSRV4_SERVER_NAME=10.0.0.1").unwrap_err().contains("SRV4_SERVER_NAME: "));
}

#[tokio::test]
async fn the_example_of_its_page_is_a_mail_server_that_greets_inside_tls() {
    let certificate = Certificate::good();
    let kit = trusting(&certificate);
    let mail = |act| {
        let server = Server::unasked_tls(&certificate, act);
        (example("tls", &server.addr().to_string()), server)
    };
    let (lines, server) = mail(Act::bytes("* OK [CAPABILITY IMAP4rev1] ready\r\n"));
    let reading = ask(&kit, &lines, LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert_eq!(reading.certificate_ends.map(|end| end.strftime("%Y").to_string()).as_deref(), Some("2100"));
    assert!(reading.phases.tls.is_some() && reading.phases.first_byte.is_some());
    server.listen(false);
    down(&ask(&kit, &lines, LIMIT).await, Cause::Refused);
    let (lines, _server) = mail(Act::bytes("* BYE overloaded\r\n"));
    assert!(down(&ask(&kit, &lines, LIMIT).await, Cause::Content).ends_with("it begins `* BYE overloaded`"));
    let (lines, _server) = mail(Act::Silence);
    assert!(down(&ask(&kit, &lines, SHORT).await, Cause::Timeout).ends_with("waiting for the first byte"));
    let (lines, _server) = mail(Act::Close);
    down(&ask(&kit, &lines, LIMIT).await, Cause::Reset);
}

#[tokio::test]
async fn what_is_no_tls_is_down_within_the_limit() {
    let kit = trusting(&Certificate::good());
    for (act, cause) in [
        (Act::bytes("220 plain text\r\n"), Cause::Tls),
        (Act::bytes([0x16, 3, 3, 0xff, 0xff, 1, 2, 3]), Cause::Tls),
        (Act::Bytes(vec![0; 100_000]), Cause::Tls),
        // A record begins and does not end.
        (Act::bytes([0x16, 3, 3, 0, 90, 2, 0]), Cause::Reset),
        (Act::Silence, Cause::Timeout),
        (Act::Close, Cause::Reset),
        (Act::Reset, Cause::Reset),
    ] {
        let server = Server::unasked(act.clone());
        let limit = if cause == Cause::Timeout { SHORT } else { LIMIT };
        let reading = ask(&kit, &url(&server), limit).await;
        assert!(!down(&reading, cause).is_empty(), "{act:?}");
        assert!(reading.took < limit + SHORT, "{act:?}: {:?}", reading.took);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_agrees_on_tls_with_openssl() {
    let certificate = Certificate::good();
    let server = Server::unasked_tls(&certificate, Act::Silence);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    let shell = |lines: &str| configured(lines).unwrap().afar_shell(LIMIT);
    let run = |text: String, trusts: bool| {
        let mut sh = Command::new("/bin/sh");
        sh.arg("-c").arg(text).env("SSL_CERT_FILE", if trusts { file.path() } else { "/dev/null".as_ref() });
        sh.status().unwrap().code().unwrap()
    };
    let lines = url(&server);
    assert_eq!(run(shell(&lines).unwrap(), true), 0);
    assert_ne!(run(shell(&lines).unwrap(), false), 0, "nobody vouches for it");
    assert_ne!(run(shell(&format!("{lines}\nSRV4_SERVER_NAME=third.test")).unwrap(), true), 0);
    assert_eq!(run(shell(&format!("{lines}\nSRV4_SERVER_NAME=localhost")).unwrap(), true), 0);
    let greets = |act| {
        let server = Server::unasked_tls(&certificate, act);
        (format!("{}\nSRV4_EXPECT=x", url(&server)), server)
    };
    for (act, answers) in [(Act::bytes("\n"), true), (Act::bytes("* OK\r\n"), true), (Act::Close, false)] {
        let (lines, _server) = greets(act.clone());
        assert_eq!(run(shell(&lines).unwrap(), true) == 0, answers, "{act:?}");
        assert_ne!(run(shell(&lines).unwrap(), false), 0, "nobody vouches for it");
    }
    let (lines_of_a_mute, _server) = greets(Act::Silence);
    let mute = configured(&lines_of_a_mute).unwrap().afar_shell(Duration::from_secs(1));
    assert_ne!(run(mute.unwrap(), true), 0);
    for more in ["SEND=x", "INSECURE=true"] {
        assert!(shell(&format!("{lines}\nSRV4_{more}")).is_none(), "{more}");
    }
    server.listen(false);
    assert_ne!(run(shell(&lines).unwrap(), true), 0);
}
