//! Hooks against real listeners: what is sent, what an answer means, and that nothing is sent twice or told to strangers.

use std::sync::Arc;
use std::time::Duration;

use monitor::domain::remedy::RunStatus;
use monitor::env::Secret;
use monitor::fetch::Roots;
use monitor::remedy::webhook::{DEFAULT, Header, Hook, Statuses, Template, Webhook, client};
use monitor::remedy::{Done, Remedy};
use serde_json::Value;

use super::{call, run, withheld};
use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::http::{Act, Server};
use crate::support::sshd::free_port;
use crate::support::stage::Target;

const TOKEN: &str = "hook-token-0123456789";
const PATH: &str = "/hooks/5f1c2d3e4b5a6978?key=abcdefgh";

fn hook(url: &str) -> Hook {
    Hook {
        url: Secret::from(url),
        body: Arc::new(Template::new(DEFAULT).unwrap()),
        header: Some(Header {
            name: "authorization".parse().unwrap(),
            value: Secret::from(&*format!("Bearer {TOKEN}")),
        }),
        expected: Statuses::parse("200-299").unwrap(),
    }
}

fn remedy(hook: Hook) -> Webhook {
    Webhook::new(client(&Roots::load(None).unwrap()).unwrap(), hook).unwrap()
}

/// Sends it with a second to answer.
async fn send(url: &str) -> Done {
    let mut call = call();
    call.limit = Duration::from_secs(1);
    let done = run(&remedy(hook(url)), &call).await;
    for secret in [TOKEN, "5f1c2d3e4b5a6978", "abcdefgh"] {
        assert!(!done.run.error.contains(secret), "{}", done.run.error);
    }
    done
}

#[tokio::test]
async fn a_hook_gets_one_post_with_its_header_and_json() {
    let server = Server::start(|_| Act::bytes("HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nqueued 7"));
    let remedy = remedy(hook(&server.url(PATH)));
    assert_eq!((remedy.host(), remedy.lane()), ("127.0.0.1", &*server.addr().to_string()));
    withheld(&remedy).await;
    assert!(server.hits().is_empty(), "a withheld run sends nothing");
    let done = run(&remedy, &call()).await;
    assert_eq!((done.run.status, done.run.started, done.run.error.as_str()), (RunStatus::Executed, true, ""));
    assert_eq!((done.output.text.as_str(), done.run.excerpt.as_str()), ("queued 7", "queued 7"));
    let hits = server.hits();
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].method.as_str(), hits[0].path.as_str()), ("POST", PATH));
    assert_eq!(hits[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(hits[0].headers["content-type"], "application/json");
    assert_eq!(hits[0].headers["content-length"], hits[0].body.len().to_string());
    let body: Value = serde_json::from_slice(&hits[0].body).unwrap();
    assert_eq!((&body["pair"], &body["server"], &body["rung"]), (&"DC3-SRV4".into(), &"SRV4".into(), &1.into()));
    let said = format!("{} {:?}", hook(&server.url(PATH)), hook(&server.url(PATH)));
    assert!(said.starts_with(&format!("POST http://{}/… Hook", server.addr())), "{said}");
    for secret in [TOKEN, "5f1c2d3e4b5a6978", "abcdefgh"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn the_configured_header_takes_the_place_of_ours_and_the_template_of_the_default() {
    let server = Server::start(|_| Act::Status(200));
    let mut own = hook(&server.url("/"));
    own.header = Some(Header { name: "content-type".parse().unwrap(), value: Secret::from("application/vnd.x+json") });
    own.body = Arc::new(Template::new("{\"n\": {{ attempt }}, \"run\": {{ run }}}").unwrap());
    run(&remedy(own), &call()).await;
    let hits = server.hits();
    assert_eq!(hits[0].headers["content-type"], "application/vnd.x+json");
    assert_eq!(hits[0].body, b"{\"n\": 1, \"run\": \"00000000-0000-0000-0000-000000000000\"}");
}

#[tokio::test]
async fn only_an_expected_status_is_success_and_a_redirect_is_not_followed() {
    for (act, part) in [
        (Act::Status(500), "status 500, expected was 200-299"),
        (Act::Redirect(302, "/elsewhere".to_owned()), "redirects are not followed"),
        (Act::Redirect(307, "/elsewhere".to_owned()), "redirects are not followed"),
        (Act::Status(401), "look at DC3_HOOK_HEADER"),
        (Act::Status(404), "there is no such hook"),
        (Act::Status(405), "takes no POST"),
        (Act::Status(422), "look at DC3_HOOK_BODY"),
    ] {
        let server = Server::start(move |_| act.clone());
        let done = send(&server.url(PATH)).await;
        assert_eq!((done.run.status, done.run.started, done.run.exit_code), (RunStatus::Failed, true, None));
        assert!(done.run.error.contains(part), "no {part} in {}", done.run.error);
        assert_eq!(server.hits().len(), 1, "{part}");
    }
    let server = Server::start(|_| Act::Status(204));
    let mut strict = hook(&server.url("/"));
    strict.expected = Statuses::parse("200,202").unwrap();
    let done = run(&remedy(strict), &call()).await;
    assert_eq!(done.run.status, RunStatus::Failed);
    assert!(done.run.error.contains("status 204, expected was 200,202"), "{}", done.run.error);
}

#[tokio::test]
async fn what_was_sent_may_have_acted_and_what_was_not_sent_has_not() {
    // Nobody there: nothing was sent.
    let done = send(&format!("http://127.0.0.1:{}/x", free_port())).await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Unreachable, false), "{:?}", done.run);
    assert!(
        done.run.error.contains("cannot reach 127.0.0.1:") && done.run.error.contains("refused"),
        "{}",
        done.run.error
    );
    let done = send("http://no-such-host.invalid/x").await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Unreachable, false), "{:?}", done.run);
    // TLS never comes about: nothing was sent.
    let silent = Server::unasked(Act::Silence);
    let done = send(&silent.url("/x").replace("http:", "https:")).await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Timeout, false), "{:?}", done.run);
    assert!(done.run.error.contains("no connection to"), "{}", done.run.error);

    for (act, status, part) in [
        (Act::Silence, RunStatus::Timeout, "did not answer to the end within 1 s; it may have acted"),
        (Act::Close, RunStatus::Unreachable, "was lost"),
        (Act::Reset, RunStatus::Unreachable, "was lost"),
        (Act::bytes("gibberish\r\n\r\n"), RunStatus::Unreachable, "it may have acted"),
        (
            Act::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nworking".to_vec(), b".".to_vec()),
            RunStatus::Timeout,
            "began to answer with status 200, then",
        ),
        (
            Act::bytes("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nworking"),
            RunStatus::Unreachable,
            "began to answer with status 200, then",
        ),
    ] {
        let server = Server::start(move |_| act.clone());
        let done = send(&server.url(PATH)).await;
        assert_eq!((done.run.status, done.run.started), (status, true), "{:?}", done.run);
        assert!(done.run.error.contains(part), "no {part} in {}", done.run.error);
        assert_eq!(server.hits().len(), 1, "it is never sent twice: {part}");
        assert!(!part.contains("began") || done.output.text.starts_with("working"), "{:?}", done.output);
    }
}

#[tokio::test]
async fn a_flood_of_an_answer_keeps_its_head_and_its_tail() {
    let server = Server::start(|_| {
        let body = format!("first\n{}\u{1b}[31mlast", "x".repeat(3_000_000));
        Act::bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    });
    let done = run(&remedy(hook(&server.url("/"))), &call()).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{:?}", done.run);
    assert!(done.output.bytes > 3_000_000 && done.output.truncated > 2_900_000 && done.output.text.len() < 10_000);
    assert!(done.output.text.starts_with("first\n") && done.output.text.ends_with("\\x1b[31mlast"));
}

#[test]
fn hooks_that_name_whom_they_are_for_are_not_shared() {
    let text = |body: &str| {
        let mut hook = hook("https://h.test/x");
        hook.body = Arc::new(Template::new(body).unwrap());
        remedy(hook).text().to_owned()
    };
    for name in ["pair", "site", "rung"] {
        assert!(text(&format!("{{\"it\": {{{{ {name} }}}}}}")).contains("MONITOR_"), "{name}");
    }
    assert!(!text("{\"ref\": \"main\"}").contains("MONITOR_"));
    assert_ne!(text("{}"), text("[]"), "another body is another deed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_with_a_hook_needs_no_host_and_its_secrets_are_told_to_nobody() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let server = Server::start(|hit| {
        let echo = format!("Cannot POST {} for {:?}", hit.path, hit.headers.get("authorization"));
        Act::bytes(format!("HTTP/1.1 503 Busy\r\nContent-Length: {}\r\n\r\n{echo}", echo.len()))
    });
    let mut agent = Agent::telling(&api);
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url()), ("LOG_LEVEL", "debug")]);
    agent.set(&[("DC3_HOOK_URL", &server.url(PATH)), ("DC3_HOOK_HEADER", &format!("Authorization: Bearer {TOKEN}"))]);
    agent.start();
    let told = api.message(1).await;
    agent.record("DC3-SRV4", 1).await;
    let check = agent.beside(&["check", "--online"]);
    agent.stop();
    assert!(told.plain.contains(&format!("POST http://{}/…", server.addr())), "{}", told.plain);
    assert!(told.plain.contains("status 503"), "{}", told.plain);
    let record = &agent.records()[0];
    assert_eq!(
        (&record["dc_host"], &record["status"], &record["exit_code"]),
        (&"127.0.0.1".into(), &"failed".into(), &Value::Null)
    );
    let everything = format!("{}{}{}{}", agent.lines().join("\n"), agent.file("audit.jsonl"), told.plain, check.1);
    assert!(everything.contains("Cannot POST ***"), "{everything}");
    for secret in [TOKEN, "5f1c2d3e4b5a6978", "abcdefgh"] {
        assert!(!everything.contains(secret), "{secret} was told: {everything}");
    }
}
