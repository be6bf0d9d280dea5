//! What another machine's shell is given to look with, tried in real shells against real listeners.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use monitor::probe::{CANNOT_LOOK, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

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
    let text = Target::parse(url).unwrap().afar_shell(Duration::from_secs(5)).unwrap();
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

#[test]
fn a_login_and_a_query_never_stand_in_another_machines_command_lines() {
    for url in ["https://bob:s3cret@h.test/x", "https://h.test/x?token=s3cret&name=bob", "https://h.test/x?s3cret#bob"]
    {
        let text = Target::parse(url).unwrap().afar_shell(Duration::from_secs(1)).unwrap();
        assert!(!text.contains("s3cret") && !text.contains("bob"), "{text}");
        assert_eq!(text.matches("'https://h.test/x'").count(), 2, "{text}");
    }
}
