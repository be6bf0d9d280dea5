//! Asking for a list: limits, tags, logins and redirects, against a real server.

use std::collections::BTreeMap;

use monitor::config::discovery::{self, Discovery};
use monitor::discovery::ask::{Answer, Asker, LARGEST};
use monitor::env::Env;
use monitor::fetch::Roots;
use reqwest::header::HeaderValue;

use crate::support::http::{Act, Hit, Server};

fn wanted(url: &str, keys: &str) -> Discovery {
    let text = format!("DISCOVERY_URL={url}\nDISCOVERY_INTERVAL=0.5\n{keys}");
    discovery::alone(&Env::new(".env", text.as_bytes(), BTreeMap::new())).unwrap()
}

async fn ask(url: &str, keys: &str, tag: Option<&str>) -> Result<Answer, String> {
    let asker = Asker::new(&wanted(url, keys), &Roots::load(None).unwrap()).unwrap();
    asker.ask(tag.map(HeaderValue::from_str).transpose().unwrap().as_ref()).await
}

fn answer(head: &str, body: &str) -> Act {
    Act::bytes(format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
}

fn login(hit: &Hit) -> Option<&str> {
    hit.headers.get("authorization").map(String::as_str)
}

#[tokio::test]
async fn a_list_comes_with_its_tag_and_the_tag_saves_it_the_next_time() {
    let server = Server::start(|hit| match hit.headers.get("if-none-match").map(String::as_str) {
        Some("\"one\"") => Act::Status(304),
        _ => answer("ETag: \"one\"\r\nContent-Type: application/json; charset=utf-8\r\n", "[]"),
    });
    let Ok(Answer::List { bytes, tag: Some(tag), odd: None }) = ask(&server.url("/l?x=1"), "", None).await else {
        panic!("no list")
    };
    assert_eq!((bytes.as_slice(), tag.to_str().unwrap()), (b"[]".as_slice(), "\"one\""));
    assert!(matches!(ask(&server.url("/l"), "", Some("\"one\"")).await, Ok(Answer::Same)));
    let hit = server.hits().remove(0);
    assert_eq!((hit.method.as_str(), hit.path.as_str()), ("GET", "/l?x=1"));
    assert_eq!(hit.headers["accept"], "application/json");
    assert_eq!(hit.headers["x-prometheus-refresh-interval-seconds"], "0");
    assert_eq!(login(&hit), None);
}

#[tokio::test]
async fn what_is_no_answer_to_the_question_is_told_without_the_url() {
    let big = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n[", LARGEST + 1);
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; LARGEST + 1]].concat();
    let refused = Server::start(|_| Act::Close);
    refused.listen(false);
    let cases: [(Server, &str); 11] = [
        (Server::start(|_| Act::Status(500)), "the answer has the status 500"),
        (Server::start(|_| Act::Status(401)), "look at DISCOVERY_TOKEN"),
        (Server::start(|_| Act::Status(404)), "look at DISCOVERY_URL"),
        (Server::start(|_| Act::Status(304)), "the answer has the status 304"),
        (Server::start(|_| Act::Status(204)), "the answer has the status 204"),
        (Server::start(move |_| Act::bytes(&big)), "larger than 16 MiB"),
        (Server::start(move |_| Act::bytes(&endless)), "larger than 16 MiB"),
        (Server::start(|_| Act::Silence), "no whole answer within 1 s"),
        (
            Server::start(|_| Act::Drip(b"HTTP/1.1 200 OK\r\n\r\n[".to_vec(), b" ".to_vec())),
            "no whole answer within 1 s",
        ),
        (Server::start(|_| Act::Close), ""),
        (refused, "refused"),
    ];
    for (server, expected) in cases {
        let why = ask(&server.url("/s3cret-path"), "", None).await.unwrap_err();
        assert!(why.contains(expected) && !why.is_empty(), "expected {expected}: {why}");
        assert!(!why.contains("s3cret-path"), "{why}");
    }
    let page = Server::start(|_| answer("Content-Type: text/html\u{1b}[2J\r\n", "<html>"));
    let told = ask(&page.url("/"), "", None).await;
    assert!(!format!("{told:?}").contains('\u{1b}'), "{told:?}");
    let text = Server::start(|_| answer("Content-Type: text/plain\r\n", "[]"));
    assert!(
        matches!(ask(&text.url("/"), "", None).await, Ok(Answer::List { odd: Some(odd), .. }) if odd == "text/plain")
    );
}

#[tokio::test]
async fn a_login_goes_to_the_one_who_asked_for_it_and_to_nobody_else() {
    let stranger = Server::start(|_| answer("", "[]"));
    let elsewhere = stranger.url("/");
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/away" => Act::Redirect(302, elsewhere.clone()),
        "/here" => Act::Redirect(307, "/list".to_owned()),
        "/loop" => Act::Redirect(302, "/loop".to_owned()),
        _ => answer("", "[]"),
    });
    let token = "DISCOVERY_TOKEN=s3cret-t0ken\n";
    for (path, keys) in [("/list", token), ("/here", token), ("/away", token)] {
        assert!(ask(&server.url(path), keys, None).await.is_ok(), "{path}");
    }
    let with_login = server.url("/list").replace("http://", "http://bob:pass%20word@");
    assert!(ask(&with_login, "", None).await.is_ok());
    assert!(ask(&with_login.replace("/list", "/away"), "", None).await.is_ok());

    let logins: Vec<(String, Option<String>)> =
        server.hits().iter().map(|hit| (hit.path.clone(), login(hit).map(str::to_owned))).collect();
    let (bearer, basic) = (Some("Bearer s3cret-t0ken".to_owned()), Some("Basic Ym9iOnBhc3Mgd29yZA==".to_owned()));
    let expected = [
        ("/list", &bearer),
        ("/here", &bearer),
        ("/list", &bearer),
        ("/away", &bearer),
        ("/list", &basic),
        ("/away", &basic),
    ];
    assert_eq!(logins, expected.map(|(path, login)| (path.to_owned(), login.clone())));
    assert_eq!(stranger.hits().iter().map(login).collect::<Vec<_>>(), [None, None]);

    let why = ask(&server.url("/loop"), token, None).await.unwrap_err();
    assert!(why.contains("too many redirects") && !why.contains("t0ken"), "{why}");
}
