//! CPU of one probe over a fresh plain-HTTP connection, side by side: ours, reqwest twice, and a blocking loop.
//!
//! `cargo bench --bench probe [-- PROBES]`. The server is a child process, so that its CPU is not counted. Read the ratios:
//! absolute figures are those of this machine at this moment. Ends with the memory of 10,000 idle targets.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench is a command for developers")]

use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use monitor::domain::reading::Outcome;
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::Kit;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);
const SERVER: &str = "--answer";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";
/// Each way runs this often, in turns, and the best turn counts: the rest is the noise of other processes.
const TURNS: usize = 5;

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(own).arg(SERVER).stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, addr: line.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut ignored = [0; 4096];
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        if stream.read(&mut ignored).is_ok_and(|count| count > 0) {
            let _ = stream.write_all(ANSWER);
        }
    }
}

fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.try_into().unwrap(), spent.tv_nsec.try_into().unwrap())
}

#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

async fn measure<F: Future<Output = ()>>(probes: u32, mut one: impl FnMut() -> F) -> Cost {
    let (before, began) = (cpu(), Instant::now());
    for _ in 0..probes {
        one().await;
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(probes);
    Cost { cpu: each(cpu().saturating_sub(before)), wall: each(began.elapsed()) }
}

fn blocking(addr: SocketAddr, request: &[u8]) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(request).unwrap();
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).unwrap();
    assert!(buffer.get(..count).unwrap().starts_with(b"HTTP/1.1 200"));
}

async fn fetch_one(request: reqwest::RequestBuilder) {
    assert!(request.send().await.unwrap().status().is_success());
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == SERVER) {
        return answer_for_ever();
    }
    let probes: u32 = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(4000);
    let server = Server::start();
    let url = format!("http://{}/health", server.addr);

    let roots = Roots::load(None).unwrap();
    let (kit, target) = (Kit::new(&roots), Target::parse(&url).unwrap());
    let fresh = fetch::builder(&roots, LIMIT).no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let closing = fetch::builder(&roots, LIMIT).no_proxy().build().unwrap();
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nConnection: close\r\n\r\n", server.addr);

    let names = ["blocking std loop", "monitor", "reqwest, Connection: close", "reqwest, no idle pool"];
    let mut best = [Cost { cpu: f64::MAX, wall: f64::MAX }; 4];
    for _ in 0..TURNS {
        let turn = [
            measure(probes, async || blocking(server.addr, request.as_bytes())).await,
            measure(probes, async || assert_eq!(target.probe(&kit, LIMIT).await.outcome, Outcome::Up)).await,
            measure(probes, async || fetch_one(closing.get(&url).header("connection", "close")).await).await,
            measure(probes, async || fetch_one(fresh.get(&url)).await).await,
        ];
        for (best, cost) in best.iter_mut().zip(turn) {
            if cost.cpu < best.cpu {
                *best = cost;
            }
        }
    }
    println!("{probes} probes one after another, best of {TURNS} turns");
    println!("{:<28} {:>10} {:>10} {:>8}", "", "µs CPU", "µs wall", "ratio");
    let floor = best.first().unwrap().cpu;
    for (name, cost) in names.iter().zip(best) {
        println!("{name:<28} {:>10.1} {:>10.1} {:>8.2}", cost.cpu, cost.wall, cost.cpu / floor);
    }
    memory();
}

fn memory() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<i64>().unwrap()
    };
    let before = resident();
    let parse = |n: u32| Target::parse(&format!("https://server-{n}.example.org:8443/health/live?full=1")).unwrap();
    let targets: Vec<_> = (0..10_000).map(parse).collect();
    println!("{} idle targets: {} KiB", targets.len(), resident() - before);
}
