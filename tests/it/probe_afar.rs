//! What another machine's shell is given to look with, tried in real shells against real listeners.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use monitor::probe::{CANNOT_LOOK, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::http::{Act, Certificate, Server};
use crate::support::target::configured;

/// A listener that gives this answer to everybody.
async fn answering(answer: &'static str) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, server)
}

/// Lets `sh` look that finds these programs and no others; gives its exit code.
fn looked(url: &str, programs: &[&str]) -> i32 {
    looked_at(&Target::parse(url).unwrap(), programs)
}

/// The same for a target with settings.
fn looked_at(target: &Target, programs: &[&str]) -> i32 {
    let bin = tempfile::tempdir().unwrap();
    for program in programs {
        let from = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(program));
        let from = from.iter().find(|path| path.exists());
        let package = match *program {
            "ping" => "iputils-ping",
            "nc" => "netcat-openbsd",
            other => other,
        };
        symlink(from.unwrap_or_else(|| panic!("apt-get install {package}")), bin.path().join(program)).unwrap();
    }
    let text = target.afar_shell(Duration::from_secs(5)).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(text).env_clear().env("PATH", bin.path());
    shell.status().unwrap().code().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_program_that_may_look_tells_up_from_down() {
    let (fine, _a) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let (broken, _b) = answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let (locked, _c) = answering(
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for program in ["curl", "wget"] {
        let ask = |login: &str, port: u16| looked(&format!("http://{login}127.0.0.1:{port}/a/{{1}}[b] c"), &[program]);
        assert_eq!((ask("", fine), ask("", broken) != 0, ask("", closed) != 0), (0, true, true), "{program}");
        assert_eq!((ask("", locked) != 0, ask("bob:s3cret@", locked)), (true, 0), "{program}: it asks who we are");
        let asked = looked(&format!("http://127.0.0.1:{locked}/a?token=s3cret"), &[program]);
        assert_eq!(asked, 0, "{program}: it asks for what was left out");
    }
    let connects = |port: u16| looked(&format!("tcp://127.0.0.1:{port}"), &["bash", "timeout"]);
    assert_eq!((connects(fine), connects(closed) != 0), (0, true));
    assert_eq!(looked("icmp://127.0.0.1", &["ping"]), 0);
    for url in [
        "http://127.0.0.1/",
        "ws://127.0.0.1/",
        "tcp://127.0.0.1:1",
        "icmp://127.0.0.1",
        "dns://127.0.0.1/example.org",
        "tls://127.0.0.1",
    ] {
        assert_eq!(looked(url, &[]), CANNOT_LOOK, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wanted_of_an_answer_is_looked_for_as_far_as_that_can_be_told() {
    let act = |status: u16| move |_: &crate::support::http::Hit| Act::Status(status);
    let (broken, locked) = (Server::start(act(503)), Server::start(act(401)));
    let moved = Server::start(|_| Act::Redirect(302, "/".to_owned()));
    let secure = Server::tls(&Certificate::self_signed(), act(200));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}/");
    for (url, settings, answers, wget_too) in [
        (broken.url("/"), "SRV4_KEYWORD=x", true, true),
        (broken.url("/"), "SRV4_HEADERS=X-Key: s3cret", true, true),
        (closed.clone(), "SRV4_KEYWORD=x", false, true),
        (closed, "SRV4_STATUS=200,503", false, true),
        (broken.url("/"), "SRV4_METHOD=HEAD", false, true),
        (broken.url("/"), "SRV4_STATUS=200,503", true, true),
        (locked.url("/"), "SRV4_STATUS=200,503", false, false),
        (moved.url("/"), "SRV4_REDIRECTS=0", true, false),
        (secure.url("/"), "SRV4_INSECURE=true", true, true),
        (secure.url("/"), "SRV4_IP=both", false, true),
        (locked.url("/"), "SRV4_IP=4", false, false),
    ] {
        let target = configured(&format!("SRV4_URL={url}\n{settings}\n")).unwrap();
        let programs: &[&str] = if wget_too { &["curl", "wget"] } else { &["curl"] };
        for program in programs {
            assert_eq!(looked_at(&target, &[program]) == 0, answers, "{program}: {url} {settings}");
        }
    }
}

#[test]
fn a_login_and_a_query_never_stand_in_another_machines_command_lines() {
    for url in ["https://bob:s3cret@h.test/x", "https://h.test/x?token=s3cret&name=bob", "https://h.test/x?s3cret#bob"]
    {
        let text = Target::parse(url).unwrap().afar_shell(Duration::from_secs(1)).unwrap();
        assert!(!text.contains("s3cret") && !text.contains("bob"), "{text}");
        assert_eq!(text.matches("'https://h.test/x'").count(), 2, "{text}");
    }
}
