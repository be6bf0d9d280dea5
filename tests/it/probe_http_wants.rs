//! What an HTTP answer must be like: statuses, texts and JSON in bodies that come in every way a body can come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::Roots;
use monitor::probe::wire::Kit;
use monitor::probe::{KINDS, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::http::{Act, LIMIT, Server};
use crate::support::target::{configured, set, told};

/// Short enough to wait for, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(400);

async fn look(target: &Target) -> Reading {
    target.probe(&Kit::new(&Roots::load(None).unwrap()), LIMIT).await
}

/// Asks the server with these settings, `SRV4_` left out.
async fn ask(server: &Server, path: &str, settings: &str) -> Reading {
    look(&target(server, path, settings)).await
}

fn target(server: &Server, path: &str, settings: &str) -> Arc<Target> {
    set(&server.url(path), settings).unwrap()
}

fn page(body: &str) -> Act {
    Act::bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn chunked(pieces: &[&str]) -> Act {
    let chunks: Vec<String> = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
    Act::bytes(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.concat()))
}

#[tokio::test]
async fn the_example_of_the_reference_is_up_and_then_down() {
    let sick = Arc::new(Mutex::new(false));
    let state = Arc::clone(&sick);
    let server = Server::start(move |_| {
        page(if *state.lock().unwrap() { r#"{"status":"sick"}"# } else { r#"{"status":"healthy"}"# })
    });
    let kind = KINDS.iter().find(|kind| kind.name == "http").unwrap();
    let lines = kind.example.replace("https://srv4.example.com/health", &server.url("/health"));
    assert_ne!(lines, kind.example);
    let target = configured(&lines).unwrap();
    assert_eq!(told(&look(&target).await), "up");
    *sick.lock().unwrap() = true;
    assert_eq!(told(&look(&target).await), r#"content: $.status is "sick", wanted == "healthy""#);
    drop(server);
    assert!(told(&look(&target).await).starts_with("refused: "));
}

#[tokio::test]
async fn statuses_are_those_that_were_asked_for() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/moved" => Act::Redirect(302, "/200".to_owned()),
        path => Act::Status(path.trim_start_matches('/').parse().unwrap()),
    });
    for (path, settings, expected) in [
        ("/401", "STATUS=200-299,401", "up"),
        ("/204", "STATUS=200-299,401", "up"),
        ("/304", "STATUS=200-299,401", "status: HTTP 304 Not Modified, wanted 200-299,401"),
        ("/500", "STATUS=500", "up"),
        ("/200", "STATUS=500", "status: HTTP 200 OK, wanted 500"),
        ("/moved", "STATUS=200", "up"),
        ("/moved", "STATUS=302\nREDIRECTS=0", "up"),
        ("/moved", "REDIRECTS=0", "up"),
        ("/moved", "STATUS=200\nREDIRECTS=0", "status: HTTP 302 Found, wanted 200"),
        ("/moved", "REDIRECTS=1", "up"),
    ] {
        assert_eq!(told(&ask(&server, path, settings).await), expected, "{path} {settings}");
    }
}

#[tokio::test]
async fn as_many_redirects_as_wanted_are_followed() {
    let server = Server::start(|hit| match hit.path.trim_start_matches('/').parse::<u32>().unwrap() {
        20 => Act::Status(200),
        number => Act::Redirect(303, format!("/{}", number + 1)),
    });
    assert_eq!(told(&ask(&server, "/18", "REDIRECTS=2").await), "up");
    assert_eq!(
        told(&ask(&server, "/17", "REDIRECTS=2").await),
        format!("redirect: more than 2 redirects, last to {}", server.url("/20"))
    );
    assert_eq!(
        told(&ask(&server, "/18", "REDIRECTS=1").await),
        format!("redirect: more than 1 redirects, last to {}", server.url("/20"))
    );
    assert_eq!(told(&ask(&server, "/0", "REDIRECTS=20").await), "up");
}

#[tokio::test]
async fn texts_are_found_in_bodies_of_every_framing() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/length" => page("Welcome, version 42"),
        "/chunks" => chunked(&["Wel", "come, ", "version 4", "2"]),
        "/close" => Act::bytes("HTTP/1.0 200 OK\r\n\r\nWelcome, version 42"),
        "/bare" => Act::bytes("HTTP/1.1 200 OK\nContent-Length: 19\n\nWelcome, version 42"),
        "/odd" => Act::bytes("HTTP/1.1  200 OK\r\nno colon\r\nX Y: z\r\nContent-Length: 19\r\n\r\nWelcome, version 42"),
        "/interim" => Act::bytes("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nWelcome, version 42"),
        "/latin" => Act::bytes(b"HTTP/1.1 200 OK\r\n\r\n\xe9\xe8 Welcome, version 42 \xff"),
        "/redirect" => Act::Redirect(302, "/chunks".to_owned()),
        _ => page(""),
    });
    for path in ["/length", "/chunks", "/close", "/bare", "/odd", "/interim", "/latin", "/redirect"] {
        for (settings, expected) in [
            ("KEYWORD=Welcome | /version [0-9]+/", "up"),
            ("KEYWORD=Welcome | welcome", "content: the body does not hold `welcome`"),
            ("KEYWORD_ABSENT=error | /fatal/", "up"),
            ("KEYWORD_ABSENT=error | /(?i)WELCOME/", "content: the body holds `/(?i)WELCOME/`, which it must not"),
            ("KEYWORD=Welcome\nKEYWORD_ABSENT=version", "content: the body holds `version`, which it must not"),
        ] {
            assert_eq!(told(&ask(&server, path, settings).await), expected, "{path} {settings}");
        }
    }
    assert_eq!(told(&ask(&server, "/empty", "KEYWORD=x").await), "content: the body is empty, wanted `x`");
    assert_eq!(told(&ask(&server, "/empty", "KEYWORD_ABSENT=x").await), "up");
}

#[tokio::test]
async fn json_is_looked_at_with_paths() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/json" => chunked(&[r#"{"status":"heal"#, r#"thy","queue":7,"nodes":[{"up":true},{"up":false}]}"#]),
        "/html" => page("<html>healthy</html>"),
        "/half" => page(r#"{"status":"heal"#),
        _ => page(""),
    });
    for (path, settings, expected) in [
        ("/json", r#"JSON=$.status == "healthy" && $.queue < 10"#, "up"),
        ("/json", r"JSON='$.nodes[0].up == true'", "up"),
        ("/json", "JSON=$.nodes[*].up == true", "content: $.nodes[*].up is false, wanted == true"),
        ("/json", "JSON=$.leader", "content: $.leader selects nothing"),
        ("/json", "JSON=$.queue > 7", "content: $.queue is 7, wanted > 7"),
        ("/json", "JSON=$.queue\nKEYWORD=gone", "content: the body does not hold `gone`"),
        ("/html", "JSON=$.queue", "content: the body is not JSON: expected value at line 1 column 1"),
        ("/half", "JSON=$.status", "content: the body is not JSON: EOF while parsing a string at line 1 column 15"),
        ("/none", "JSON=$.status", "content: the body is empty, wanted JSON"),
    ] {
        assert_eq!(told(&ask(&server, path, settings).await), expected, "{path} {settings}");
    }
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_is_needed() {
    let endless = |body: &str| Act::Drip(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into(), b"x".to_vec());
    let server = Server::start(move |hit| endless(if hit.path == "/bad" { "fatal error" } else { "all is well" }));
    for (path, settings, expected) in [
        ("/good", "KEYWORD=all is well", "up"),
        ("/bad", "KEYWORD_ABSENT=fatal", "content: the body holds `fatal`, which it must not"),
    ] {
        let reading = ask(&server, path, settings).await;
        assert_eq!(told(&reading), expected);
        assert!(reading.took < LIMIT / 5, "{:?}", reading.took);
        assert!(reading.phases.first_byte.is_some());
    }
    for settings in ["KEYWORD=gone", "KEYWORD_ABSENT=gone", "JSON=$.a"] {
        let reading = target(&server, "/good", settings).probe(&Kit::new(&Roots::load(None).unwrap()), SHORT).await;
        let told = told(&reading);
        assert!(told.starts_with("timeout: ") && told.ends_with("waiting for the rest of the answer"), "{told}");
        assert!(reading.took < SHORT * 5, "{:?}", reading.took);
    }
}

#[tokio::test]
async fn of_a_huge_body_the_first_mebibyte_counts() {
    let mebibyte = 1024 * 1024;
    let server = Server::start(move |hit| {
        let (before, after) = ("x".repeat(mebibyte - 5), "x".repeat(300_000));
        match hit.path.as_str() {
            "/edge" => page(&format!("{before}inside{after}")),
            "/last" => page(&format!("{}inner", "x".repeat(mebibyte - 5))),
            _ => page(&format!("{{\"a\":\"{before}{after}\"}}")),
        }
    });
    for (path, settings, expected) in [
        ("/edge", "KEYWORD=insid", "up"),
        ("/edge", "KEYWORD=inside", "content: the first MiB of the body does not hold `inside`"),
        ("/edge", "KEYWORD_ABSENT=inside", "up"),
        ("/last", "KEYWORD=inner\nKEYWORD_ABSENT=y", "up"),
        ("/last", "KEYWORD=outer", "content: the body does not hold `outer`"),
        ("/json", "JSON=$.a", "content: the body exceeds 1 MiB, and JSON is not read beyond that"),
    ] {
        assert_eq!(told(&ask(&server, path, settings).await), expected, "{path} {settings}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_or_is_packed_is_told() {
    let server = Server::start(|hit| match hit.path.as_str() {
        "/short" => Act::bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        "/chunk" => Act::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"),
        "/garbled" => Act::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf\r\n"),
        "/packed" => Act::bytes("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x0b"),
        _ => Act::bytes("HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\nhalf"),
    });
    for (path, expected) in [
        ("/short", "reset: connection closed while reading the body"),
        ("/chunk", "reset: connection closed while reading the body"),
        ("/garbled", "protocol: the answer is not valid HTTP, found while reading the body"),
        ("/packed", "content: the body is packed (gzip) though nobody asked for it, and is not unpacked here"),
        ("/plain", "content: the body does not hold `whole`"),
    ] {
        assert_eq!(told(&ask(&server, path, "KEYWORD=whole").await), expected, "{path}");
        assert_eq!(told(&ask(&server, path, "").await), "up", "{path}: nobody asked for the body");
    }
    assert_eq!(told(&ask(&server, "/short", "KEYWORD=half").await), "up", "what was wanted came");
}

#[tokio::test]
async fn what_a_server_says_is_shown_capped_and_without_our_secrets() {
    let server = Server::start(|hit| {
        let key = hit.headers.get("x-key").cloned().unwrap_or_default();
        let login = hit.headers.get("authorization").cloned().unwrap_or_default();
        page(&serde_json::json!({ "a": format!("{key} {login} \u{1b}[31m{}", "z".repeat(300)) }).to_string())
    });
    let settings = "JSON=$.a == 1\nHEADERS=X-Key: s3cret-key\nBEARER_TOKEN=s3cret-token";
    let reading = ask(&server, "/", settings).await;
    let told = told(&reading);
    assert!(told.starts_with("content: $.a is \"*** Bearer *** \\u001b[31mzz"), "{told}");
    assert!(told.ends_with(", wanted == 1") && !format!("{reading:?}").contains("s3cret"), "{reading:?}");
}

#[tokio::test]
async fn pieces_of_what_we_sent_are_not_shown_when_a_server_says_them_back() {
    for (path, settings, piece) in [
        ("/", "HEADERS=X-Key: Token s3cret-key", "s3cret-key"),
        ("/", "HEADERS=Cookie: a=1; sid=s3cret-sid", "s3cret-sid"),
        ("/?a=s3cret%2Fvalue&b=1", "", "s3cret/value"),
        ("/", "BODY={\"user\":\"s3cret-user\"}", "s3cret-user"),
    ] {
        let server = Server::start(move |_| page(&serde_json::json!({ "a": format!("is {piece}") }).to_string()));
        let reading = ask(&server, path, &format!("JSON=$.a == 1\n{settings}")).await;
        let told = told(&reading);
        assert!(told.starts_with("content: $.a is ") && told.contains("***"), "{told}");
        assert!(!format!("{reading:?}").contains("s3cret"), "{reading:?}");
    }
}

#[tokio::test]
async fn long_json_is_read_within_the_limit_whatever_it_is() {
    let small = "{\"a\":1},".repeat(120_000);
    let long = format!("[{}{{\"a\":2}}]", &small[..]);
    let broken = format!("[{small}");
    let server = Server::start(move |hit| page(if hit.path == "/broken" { &broken } else { &long }));
    assert_eq!(told(&ask(&server, "/", "JSON=$[-1].a == 2 && $[0].a == 1").await), "up");
    assert_eq!(told(&ask(&server, "/", "JSON=$[*].a == 1").await), "content: $[*].a is 2, wanted == 1");
    let reading = ask(&server, "/broken", "JSON=$[0]").await;
    assert!(told(&reading).starts_with("content: the body is not JSON: EOF"), "{reading:?}");
}

#[test]
fn a_setting_that_cannot_hold_is_refused_with_its_key() {
    for (settings, expected) in [
        (
            "METHOD=BREW",
            ".env:6: SRV4_METHOD: found `BREW`, expected one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        ("STATUS=2xx", ".env:6: SRV4_STATUS: found `2xx`, expected statuses from 100 to 999 such as 200-299,401"),
        (
            "KEYWORD=/(/",
            ".env:6: SRV4_KEYWORD: found `/(/`, expected a regular expression between the slashes: unclosed group",
        ),
        (
            "JSON=$[?search(@.a, '(x+)+y')]",
            ".env:6: SRV4_JSON: found `$[?search(@.a, '(x+)+y')]`, expected a JSONPath without `match()` and `search()`",
        ),
        ("JSON=status", ".env:6: SRV4_JSON: found `status`, expected a JSONPath such as `$.status`: `status` is none"),
        ("JSON=$.status = \"ok\"", "write `==`, not `=`"),
        ("JSON=$.a\nHEADERS=Accept-Encoding: gzip", "SRV4_HEADERS: holds Accept-Encoding"),
        ("REDIRECTS=21", ".env:6: SRV4_REDIRECTS: found `21`, expected a whole number from 0 to 20"),
        ("HTTP2=3", ".env:6: SRV4_HTTP2: found `3`, expected one of: off, auto, on"),
        ("HEADERS=Connection: s3cret", ".env:6: SRV4_HEADERS: found `***`, expected headers such as"),
        ("BEARER_TOKEN=s3 cret", ".env:6: SRV4_BEARER_TOKEN: found `***`, expected a token"),
        (
            "METHOD=HEAD\nKEYWORD=x",
            ".env:7: SRV4_KEYWORD: is set, and the answer to a HEAD has no body to look at; ask with GET",
        ),
        ("METHOD=HEAD\nKEYWORD_ABSENT=x", ".env:7: SRV4_KEYWORD_ABSENT: is set, and"),
        ("METHOD=HEAD\nJSON=$.a", ".env:7: SRV4_JSON: is set, and"),
        ("USERNAME=a:b", ".env:6: SRV4_USERNAME: has a colon"),
        ("BEARER_TOKEN=s3cret\nUSERNAME=bob", ".env:6: SRV4_BEARER_TOKEN: is set beside a user or a password"),
        (
            "HEADERS=Authorization: s3cret\nPASSWORD=s3cret",
            ".env:6: SRV4_HEADERS: holds Authorization beside another login",
        ),
    ] {
        let report = set("http://h.test/", settings).map(|_| ()).unwrap_err();
        assert!(report.contains(expected), "{settings:?} says {report}");
        assert!(!report.contains("s3cret") && !report.contains("s3 cret"), "{report}");
    }
    for (url, settings, expected) in [
        (
            "http://bob@h.test/",
            "USERNAME=bob",
            "SRV4_USERNAME: is set, and the URL has a user too; take one of them out",
        ),
        ("http://bob:old@h.test/", "PASSWORD=s3cret", "SRV4_PASSWORD: is set, and the URL has a password too"),
        ("http://bob@h.test/", "BEARER_TOKEN=s3cret", "SRV4_BEARER_TOKEN: is set beside a user or a password"),
    ] {
        let report = set(url, settings).map(|_| ()).unwrap_err();
        assert!(report.contains(expected), "{settings:?} says {report}");
    }
    let all = ["METHOD=x", "STATUS=x", "KEYWORD=\"|\"", "KEYWORD_ABSENT=/", "JSON=x", "REDIRECTS=x", "HTTP2=x", "IP=5"];
    let secret = ["HEADERS=wrong", "BEARER_TOKEN=\"x y z\""];
    let report = set("http://h.test/", &[&all[..], &secret[..]].concat().join("\n")).map(|_| ()).unwrap_err();
    for line in all.iter().chain(&secret) {
        let key = line.split('=').next().unwrap();
        assert_eq!(report.matches(&format!(" SRV4_{key}: ")).count(), 1, "{key} in {report}");
    }
}

#[test]
fn no_bytes_of_a_server_break_the_probe_or_outlast_the_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::clone(&answer);
    let server = Server::start(move |_| Act::Bytes(next.lock().unwrap().clone()));
    let kit = Kit::new(&Roots::load(None).unwrap());
    let wanting = target(&server, "/", "KEYWORD=/a+/\nKEYWORD_ABSENT=zz\nJSON=$..a\nREDIRECTS=2");
    let second = target(&server, "/", "HTTP2=on\nKEYWORD=a");
    let noise = proptest::collection::vec(any::<u8>(), 0..400);
    let near = "HTTP/1\\.[01] (200|302|404) ?[ -~]{0,20}\r\n((Location|Content-Length|Transfer-Encoding|Set-Cookie|[A-Za-z]{1,5}): (chunked|/x|[0-9]{1,9}|[ -~]{0,9})\r?\n){0,4}\r\n[ -~\r\n]{0,80}";
    let strategy = prop_oneof![noise, near.prop_map(String::into_bytes)];
    TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() })
        .run(&strategy, |bytes| {
            *answer.lock().unwrap() = bytes;
            for target in [&wanting, &second] {
                let reading = runtime.block_on(target.probe(&kit, LIMIT));
                prop_assert!(reading.took < LIMIT / 2, "{:?}", reading);
                if let Outcome::Down(fault) = &reading.outcome {
                    prop_assert!(!fault.reason.is_empty() && fault.cause != Cause::Timeout, "{:?}", fault);
                }
            }
            Ok(())
        })
        .unwrap();
}
