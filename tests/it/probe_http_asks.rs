//! What an HTTP probe sends: methods, headers, bodies and logins, and what of it follows a redirect.

use std::time::Duration;

use monitor::domain::reading::Reading;
use monitor::fetch::Roots;
use monitor::probe::Target;
use monitor::probe::wire::Kit;

use crate::support::http::{Act, LIMIT, Server};
use crate::support::target::{set, told};

async fn ask(url: &str, settings: &str) -> Reading {
    let target = set(url, settings).unwrap();
    target.probe(&Kit::new(&Roots::load(None).unwrap()), LIMIT).await
}

#[tokio::test]
async fn a_request_has_the_method_the_headers_and_the_body_that_were_set() {
    let server = Server::start(|_| Act::Status(200));
    for (settings, method, body, kind) in [
        ("METHOD=head", "HEAD", "", None),
        ("METHOD=OPTIONS", "OPTIONS", "", None),
        ("METHOD=POST", "POST", "", None),
        ("METHOD=DELETE", "DELETE", "", None),
        ("BODY='{\"id\":1}'", "POST", "{\"id\":1}", Some("application/json")),
        ("BODY=\"a=1&b=2\"\nMETHOD=PUT", "PUT", "a=1&b=2", None),
        ("BODY='[1]'\nHEADERS=Content-Type: text/x", "POST", "[1]", Some("text/x")),
        ("BODY=\"two\\nlines\"\nMETHOD=GET", "GET", "two\nlines", None),
    ] {
        assert_eq!(told(&ask(&server.url("/"), settings).await), "up", "{settings}");
        let hit = server.hits().pop().unwrap();
        assert_eq!((hit.method.as_str(), hit.body.as_slice()), (method, body.as_bytes()), "{settings}");
        assert_eq!(hit.headers.get("content-type").map(String::as_str), kind, "{settings}");
        let length = hit.headers.get("content-length").map_or("0", String::as_str);
        assert_eq!(length, body.len().to_string(), "{settings}");
    }
    let lines = ["X-Key: a|b", "Host: virtual.test", "User-Agent: mine", "Accept: text/html", "Cookie: own=1"];
    let settings = format!("HEADERS=\"{}\"", lines.join("\\n"));
    assert_eq!(told(&ask(&server.url("/"), &settings).await), "up");
    let hit = server.hits().pop().unwrap();
    for (name, value) in [
        ("x-key", "a|b"),
        ("host", "virtual.test"),
        ("user-agent", "mine"),
        ("accept", "text/html"),
        ("cookie", "own=1"),
    ] {
        assert_eq!(hit.headers[name], value);
    }
    assert_eq!(hit.headers["connection"], "close");
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_and_ends_at_once() {
    let server = Server::start(|_| Act::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_vec(), b"x".to_vec()));
    let reading = ask(&server.url("/"), "METHOD=HEAD").await;
    assert_eq!(told(&reading), "up");
    assert!(reading.took < LIMIT / 5, "{:?}", reading.took);
}

#[tokio::test]
async fn a_login_comes_from_the_url_or_the_settings_and_its_refusal_is_told_apart() {
    let server = Server::start(|hit| match hit.headers.get("authorization").map(String::as_str) {
        // printf 'bob:p@ss' | base64, then 'bob:' and ':s3cret'
        Some("Basic Ym9iOnBAc3M=" | "Basic Ym9iOg==" | "Basic OnMzY3JldA==" | "Bearer t0.ken") => Act::Status(200),
        _ if hit.path == "/403" => Act::Status(403),
        _ => Act::Status(401),
    });
    let url = |login: &str, path: &str| format!("http://{login}{}{path}", server.addr());
    for (login, settings) in [
        ("", "USERNAME=bob\nPASSWORD=p@ss"),
        ("bob:p%40ss@", ""),
        ("bob@", "PASSWORD=p@ss"),
        (":p%40ss@", "USERNAME=bob"),
        ("", "USERNAME=bob"),
        ("", "PASSWORD=s3cret"),
        ("", "BEARER_TOKEN=t0.ken"),
        ("", "HEADERS=Authorization: Bearer t0.ken"),
    ] {
        assert_eq!(told(&ask(&url(login, "/"), settings).await), "up", "{login} {settings}");
    }
    let refused = "login: HTTP 401 Unauthorized: our login is not accepted";
    for settings in ["USERNAME=bob\nPASSWORD=wrong", "BEARER_TOKEN=wrong", "HEADERS=Authorization: wrong"] {
        assert_eq!(told(&ask(&url("", "/"), settings).await), refused, "{settings}");
    }
    assert_eq!(
        told(&ask(&url("", "/"), "").await),
        "login: HTTP 401 Unauthorized: it wants a login, and none was sent there"
    );
    assert_eq!(told(&ask(&url("", "/403"), "BEARER_TOKEN=wrong").await), "status: HTTP 403 Forbidden");
    assert_eq!(told(&ask(&url("", "/"), "BEARER_TOKEN=wrong\nSTATUS=401").await), "up");
}

#[tokio::test]
async fn another_origin_gets_no_login_no_header_and_no_body() {
    let other = Server::start(|_| Act::Status(200));
    let (away, shown) = (other.url("/there"), other.url("/there"));
    let server = Server::start(move |hit| match hit.path.as_str() {
        "/here" => Act::Redirect(302, "/stays".to_owned()),
        "/stays" => Act::Status(200),
        path => Act::Redirect(path.trim_start_matches('/').parse().unwrap(), away.clone()),
    });
    let secret = "BEARER_TOKEN=s3cret\nHEADERS=X-Key: s3cret | Cookie: s3cret=1 | Host: s3cret.test";
    assert_eq!(told(&ask(&server.url("/here"), secret).await), "up");
    for hit in server.hits() {
        assert_eq!((hit.headers["x-key"].as_str(), hit.headers["authorization"].as_str()), ("s3cret", "Bearer s3cret"));
    }
    for (status, settings) in
        [(302, secret.to_owned()), (303, format!("{secret}\nBODY=s3cret-body")), (307, secret.to_owned())]
    {
        assert_eq!(told(&ask(&server.url(&format!("/{status}")), &settings).await), "up");
        let hit = other.hits().pop().unwrap();
        assert_eq!((hit.method.as_str(), hit.body.len()), ("GET", 0));
        assert!(!format!("{hit:?}").contains("s3cret"), "{hit:?}");
    }
    let asked = other.hits().len();
    for (status, settings) in
        [(307, "BODY=s3cret-body"), (308, "METHOD=DELETE"), (301, "METHOD=PUT"), (307, "METHOD=GET\nBODY=s3cret-body")]
    {
        let told = told(&ask(&server.url(&format!("/{status}")), settings).await);
        let method = if settings.contains("METHOD=") {
            settings.lines().next().unwrap().trim_start_matches("METHOD=")
        } else {
            "POST"
        };
        assert_eq!(told, format!("redirect: redirected to {shown}, and this {method} goes to its own origin only"));
    }
    assert_eq!(other.hits().len(), asked, "nobody there was asked");
}

#[tokio::test]
async fn a_method_and_its_body_follow_redirects_as_in_browsers() {
    let server = Server::start(|hit| match hit.path.trim_start_matches('/').parse() {
        Ok(status) => Act::Redirect(status, "/end".to_owned()),
        Err(_) => Act::Status(200),
    });
    for (status, method, after, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (307, "POST", "POST", "body"),
        (308, "PATCH", "PATCH", "body"),
    ] {
        assert_eq!(told(&ask(&server.url(&format!("/{status}")), &format!("METHOD={method}\nBODY=body")).await), "up");
        let hit = server.hits().pop().unwrap();
        assert_eq!(
            (hit.path.as_str(), hit.method.as_str(), hit.body.as_slice()),
            ("/end", after, body.as_bytes()),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_server_that_answers_before_it_is_asked_has_answered() {
    let server = Server::unasked(Act::bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    for settings in ["", "KEYWORD=ok"] {
        assert_eq!(told(&ask(&server.url("/"), settings).await), "up");
    }
}

#[test]
fn another_machine_is_told_no_header_no_body_and_no_token() {
    for (settings, holds, lacks) in [
        ("HEADERS=X-Key: s3cret", "[1-9]??) exit 0", "2??"),
        ("BODY=s3cret", "[1-9]??) exit 0", "2??"),
        ("KEYWORD=s3cret", "[1-9]??) exit 0", "2??"),
        ("JSON=$.s3cret", "[1-9]??) exit 0", "2??"),
        ("BEARER_TOKEN=s3cret", "2??|3??|401|403) exit 0", " -k"),
        ("STATUS=200-299,401", "2??|401) exit 0", "3??"),
        ("METHOD=HEAD", "curl -s -g -I -L", "[1-9]"),
        ("REDIRECTS=0", "curl -s -g -o", "-L"),
        ("INSECURE=true", " -k -o", "[1-9]"),
        ("IP=6", " -6 -o", "wget"),
    ] {
        let target = set("https://h.test/x", settings).unwrap();
        let text = target.afar_shell(Duration::from_secs(1)).unwrap();
        assert!(text.contains(holds) && !text.contains(lacks) && !text.contains("s3cret"), "{settings}: {text}");
    }
    assert_eq!(set("http://h.test/", "HTTP2=on").unwrap().afar_shell(LIMIT), None);
    let plain = Target::parse("http://h.test/").unwrap().afar_shell(LIMIT).unwrap();
    assert!(plain.contains("2??|3??) exit 0") && plain.contains("--max-redirs 10"), "{plain}");
}
