//! The world around the agent: web services that answer, dawdle, hang or fail; SSH hosts whose command repairs; Telegram.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Server as _, Session};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// The argument that makes the bench this world.
pub const ARGUMENT: &str = "--world";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
const DOWN: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TAKEN: &str = r#"{"ok":true,"result":{"message_id":1,"date":1700000000,"chat":{"id":-1001234567890,"type":"supergroup","title":"bench"},"text":"taken"}}"#;

/// What is down, and when what happened.
#[derive(Default)]
struct Facts {
    /// Numbers below this are down until they are repaired.
    down_below: usize,
    since: Option<Instant>,
    /// By number: the last failed answer, and the command's arrival.
    failed: HashMap<usize, Instant>,
    repaired: HashMap<usize, Instant>,
}

type Shared = Arc<Mutex<Facts>>;

/// Serves until it is killed; orders come on the standard input, a line each.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = Shared::default();
    runtime.block_on(async {
        let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ssh = TcpListener::bind("0.0.0.0:0").await.unwrap();
        println!("{} {}", web.local_addr().unwrap(), ssh.local_addr().unwrap().port());
        let orders = facts.clone();
        std::thread::spawn(move || listen(&orders));
        let mut work = tokio::task::JoinSet::new();
        work.spawn(serve_ssh(ssh, facts.clone()));
        loop {
            let (stream, _) = web.accept().await.unwrap();
            work.spawn(answer(stream, facts.clone()));
            while work.try_join_next().is_some() {}
        }
    });
}

fn listen(facts: &Shared) {
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let mut facts = facts.lock().unwrap();
        let answer = match line.split_once(' ') {
            Some(("down", count)) => {
                facts.down_below = count.parse().unwrap();
                facts.since = Some(Instant::now());
                "ok".to_owned()
            }
            _ => report(&facts),
        };
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
}

fn report(facts: &Facts) -> String {
    let mut waits: Vec<f64> = facts
        .repaired
        .iter()
        .filter_map(|(n, at)| Some(at.duration_since(*facts.failed.get(n)?).as_secs_f64() * 1000.0))
        .collect();
    waits.sort_by(f64::total_cmp);
    let last = facts.repaired.values().max().zip(facts.since).map(|(last, since)| last.duration_since(since));
    let at = |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1))).copied();
    format!(
        "commands {}, from the last failed answer: median {:.1} ms, p90 {:.1} ms, most {:.1} ms; last command {:.1} s after the outage began",
        facts.repaired.len(),
        at(50).unwrap_or_default(),
        at(90).unwrap_or_default(),
        waits.last().copied().unwrap_or_default(),
        last.unwrap_or_default().as_secs_f64()
    )
}

async fn answer(mut stream: TcpStream, facts: Shared) {
    let mut head = [0; 2048];
    let Ok(count) = stream.read(&mut head).await else { return };
    let head = String::from_utf8_lossy(head.get(..count).unwrap_or_default()).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let mut parts = path.trim_start_matches('/').split('/');
    let (kind, number) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let body: Vec<u8> = match kind {
        "slow" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            OK.to_vec()
        }
        "hang" => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            return;
        }
        "switch" => {
            let number: usize = number.parse().unwrap_or(usize::MAX);
            let mut facts = facts.lock().unwrap();
            if number < facts.down_below && !facts.repaired.contains_key(&number) {
                facts.failed.insert(number, Instant::now());
                DOWN.to_vec()
            } else {
                OK.to_vec()
            }
        }
        bot if bot.starts_with("bot") => {
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{TAKEN}", TAKEN.len())
                .into_bytes()
        }
        _ => OK.to_vec(),
    };
    let _ = stream.write_all(&body).await;
}

async fn serve_ssh(listener: TcpListener, facts: Shared) {
    // Any key will do: these hosts live as long as the bench.
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
    let key = russh::keys::PrivateKey::from(pair);
    let config = russh::server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..russh::server::Config::default()
    };
    let mut hosts = Hosts { facts };
    hosts.run_on_socket(Arc::new(config), &listener).await.unwrap();
}

struct Hosts {
    facts: Shared,
}

impl russh::server::Server for Hosts {
    type Handler = Host;

    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Host {
        Host { facts: self.facts.clone() }
    }
}

struct Host {
    facts: Shared,
}

impl Handler for Host {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data);
        let number = command.split("number=").nth(1).and_then(|rest| rest.split('.').next()?.parse().ok());
        if let Some(number) = number {
            self.facts.lock().unwrap().repaired.entry(number).or_insert_with(Instant::now);
        }
        session.channel_success(channel)?;
        session.exit_status_request(channel, 0)?;
        session.close(channel)?;
        Ok(())
    }
}
