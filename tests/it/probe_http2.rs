//! HTTP/2 against servers that speak it and servers that do not.

use std::io::Write as _;
use std::time::Duration;

use h2::Reason;
use monitor::domain::reading::Reading;
use monitor::fetch::Roots;
use monitor::probe::wire::Kit;
use tempfile::NamedTempFile;

use crate::support::http::{self, Act, Certificate, LIMIT};
use crate::support::http2::{Reply, Server};
use crate::support::target::{set, told};

/// Short enough to wait for, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(400);

async fn ask(url: &str, settings: &str, limit: Duration) -> Reading {
    let target = set(url, settings).unwrap();
    target.probe(&Kit::new(&Roots::load(None).unwrap()), limit).await
}

fn trust(certificate: &Certificate) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate.root.as_bytes()).unwrap();
    let setting = format!("CA_FILE={}", file.path().display());
    (file, setting)
}

#[tokio::test]
async fn a_server_of_http_2_is_asked_over_tls_and_without() {
    let certificate = Certificate::good();
    let (_file, trust) = trust(&certificate);
    for tls in [Some(certificate.config(&["h2"])), None] {
        let (scheme, modes) = if tls.is_some() { ("https", &["auto", "on"][..]) } else { ("http", &["on"][..]) };
        let server = Server::start(tls, |hit| match hit.head.uri.path() {
            "/sick" => Reply::Answer(503, Vec::new(), Vec::new()),
            "/moved" => Reply::Answer(302, vec![("location", "/page".to_owned())], Vec::new()),
            "/json" => Reply::ok(r#"{"status":"healthy"}"#),
            _ => Reply::ok(&format!("{}welcome", "x".repeat(200_000))),
        });
        for mode in modes {
            let ask = async |path: &str, settings: &str| {
                let url = format!("{scheme}://{}{path}", server.addr());
                ask(&url, &format!("HTTP2={mode}\n{trust}\n{settings}"), LIMIT).await
            };
            assert_eq!(told(&ask("/page?a=b", "").await), "up");
            let hit = server.hits().pop().unwrap();
            let head = &hit.head;
            assert_eq!((head.version, head.method.as_str()), (::http::Version::HTTP_2, "GET"));
            assert_eq!(head.uri.to_string(), format!("{scheme}://{}/page?a=b", server.addr()));
            assert!(!head.headers.contains_key("host") && !head.headers.contains_key("connection"));
            assert_eq!(head.headers["user-agent"], concat!("monitor/", env!("CARGO_PKG_VERSION")));
            for (path, settings, expected) in [
                ("/page", "KEYWORD=welcome", "up"),
                ("/page", "KEYWORD=farewell", "content: the body does not hold `farewell`"),
                ("/json", "JSON=$.status == 'healthy'", "up"),
                ("/sick", "", "status: HTTP 503 Service Unavailable"),
                ("/moved", "STATUS=200\nKEYWORD=welcome", "up"),
                ("/page", "METHOD=HEAD", "up"),
            ] {
                assert_eq!(told(&ask(path, settings).await), expected, "{scheme} {mode} {path} {settings}");
            }
            let sent = "BODY='[1,2]'\nHEADERS=Host: virtual.test | X-Key: s3cret\nUSERNAME=bob\nPASSWORD=s3cret";
            let reading = ask("/page", sent).await;
            assert_eq!(told(&reading), "up");
            let phases = reading.phases;
            assert!(
                phases.connect.is_some() && phases.first_byte.is_some() && phases.tls.is_some() == (scheme == "https")
            );
            let hit = server.hits().pop().unwrap();
            assert_eq!((hit.head.method.as_str(), hit.body.as_slice()), ("POST", &b"[1,2]"[..]));
            assert_eq!(hit.head.uri.host(), Some("virtual.test"));
            assert_eq!(
                (&hit.head.headers["x-key"], &hit.head.headers["content-type"]),
                (&"s3cret".parse().unwrap(), &"application/json".parse().unwrap())
            );
            assert!(hit.head.headers.contains_key("authorization"));
        }
    }
}

#[tokio::test]
async fn a_server_without_http_2_is_up_where_it_is_a_wish_and_down_where_it_is_wanted() {
    let certificate = Certificate::good();
    let (_file, trust) = trust(&certificate);
    let both = |mode: &str| format!("HTTP2={mode}\n{trust}");
    // It knows protocols and not this one; it knows of no protocols.
    let first = http::Server::tls_as(certificate.config(&["http/1.1"]), |_| Act::Status(200));
    let silent = http::Server::tls(&certificate, |_| Act::Status(200));
    for server in [&first, &silent] {
        for mode in ["auto", "off"] {
            assert_eq!(told(&ask(&server.url("/"), &both(mode), LIMIT).await), "up");
        }
    }
    let reading = told(&ask(&first.url("/"), &both("on"), LIMIT).await);
    assert_eq!(reading, "tls: the server ended TLS with the alert NoApplicationProtocol");
    let reading = told(&ask(&silent.url("/"), &both("on"), LIMIT).await);
    assert_eq!(reading, "protocol: the server did not agree on HTTP/2, and HTTP2=on wants it");
    let plain = http::Server::unasked(Act::bytes("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let reading = told(&ask(&plain.url("/"), "HTTP2=on", LIMIT).await);
    assert_eq!(reading, "protocol: the answer is HTTP/1, and HTTP2=on wants HTTP/2");
    let second = Server::start(None, |_| Reply::ok("fine"));
    let reading = told(&ask(&format!("http://{}/", second.addr()), "HTTP2=auto", LIMIT).await);
    assert_eq!(reading, "protocol: the answer is not HTTP/1.1; this port speaks another version");
}

#[tokio::test]
async fn every_way_to_break_http_2_is_told() {
    let server = Server::start(None, |hit| match hit.head.uri.path() {
        "/reset" => Reply::Reset(Reason::REFUSED_STREAM),
        "/leave" => Reply::Leave(Reason::ENHANCE_YOUR_CALM),
        "/silence" => Reply::Silence,
        _ => Reply::Endless(b"all is well"),
    });
    let url = |path: &str| format!("http://{}{path}", server.addr());
    let on = |more: &str| format!("HTTP2=on\n{more}");
    let reset = told(&ask(&url("/reset"), &on(""), LIMIT).await);
    assert_eq!(reset, "protocol: the server ended HTTP/2 while reading the headers: REFUSED_STREAM");
    // It says why to those that it has not begun to answer; this one sees the connection end.
    let left = told(&ask(&url("/leave"), &on(""), LIMIT).await);
    assert_eq!(left, "reset: connection closed while reading the headers");
    assert_eq!(told(&ask(&url("/endless"), &on("KEYWORD=all is well"), LIMIT).await), "up");
    assert_eq!(told(&ask(&url("/endless"), &on(""), LIMIT).await), "up");
    let endless = told(&ask(&url("/endless"), &on("KEYWORD=gone"), SHORT).await);
    assert!(endless.starts_with("timeout: ") && endless.ends_with("waiting for the rest of the answer"), "{endless}");
    let silent = told(&ask(&url("/silence"), &on(""), SHORT).await);
    assert!(silent.starts_with("timeout: ") && silent.ends_with("waiting for the first byte"), "{silent}");
    for (act, expected) in [
        (Act::Close, "reset: connection closed while waiting for the first byte"),
        (Act::bytes("SSH-2.0-OpenSSH_9.2\r\n"), "protocol: the answer is not HTTP but SSH"),
        (
            Act::bytes([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]),
            "reset: connection failed while reading the headers: bytes remaining on stream",
        ),
        (
            Act::bytes([0, 0, 9, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            "protocol: the server broke the rules of HTTP/2 while reading the headers: PROTOCOL_ERROR",
        ),
    ] {
        let server = http::Server::unasked(act);
        let told = told(&ask(&server.url("/"), &on(""), LIMIT).await);
        assert_eq!(told, expected);
    }
}
