//! The whole agent under load, as a process of its own: punctuality, memory, CPU, and the way from fault to command.
//!
//! `cargo bench --bench agent [-- SECONDS]`. The world around the agent (web services, SSH hosts, Telegram) is a child
//! process on loopback, and shares the machine's cores with it. Read one run's rows against each other.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench is a command for developers")]

mod world;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use monitor::cli::client::{Client, block_on};
use monitor::web::api::pairs::Overview;

/// How long a scenario is watched, unless the command line says otherwise.
const SECONDS: u64 = 30;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = args.next();
    if first.as_deref() == Some(world::ARGUMENT) {
        return world::run();
    }
    let seconds = first.and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    println!("scenario                              pairs  checks  late p50  late p99   memory  CPU/check");
    for (name, pairs, path) in [
        ("all answer at once", 1_000, Paths::all("/fast")),
        ("1 % hang", 1_000, Paths::some("/fast", "/hang", 100)),
        ("all answer after 50 ms", 1_000, Paths::all("/slow")),
        ("all answer at once", 10_000, Paths::all("/fast")),
        ("1 % hang", 10_000, Paths::some("/fast", "/hang", 100)),
        ("all answer after 50 ms", 10_000, Paths::all("/slow")),
    ] {
        punctuality(name, pairs, &path, seconds);
    }
    fault_to_command();
    many_at_once();
}

/// Which path each pair asks for: the second one at every so many pairs.
struct Paths {
    most: &'static str,
    some: &'static str,
    every: usize,
}

impl Paths {
    fn all(path: &'static str) -> Self {
        Self { most: path, some: path, every: 1 }
    }

    fn some(most: &'static str, some: &'static str, every: usize) -> Self {
        Self { most, some, every }
    }

    fn of(&self, n: usize) -> &'static str {
        if n.is_multiple_of(self.every) { self.some } else { self.most }
    }
}

fn punctuality(name: &str, pairs: usize, paths: &Paths, seconds: u64) {
    let world = World::start();
    let mut lines = vec![
        "INTERVAL=10".to_owned(),
        "COMMAND=true".to_owned(),
        "DC1_LOCAL=true".to_owned(),
        // Those that hang must not end the run with a storm of commands.
        "DRY_RUN=true".to_owned(),
        format!("MAPPINGS={}", (0..pairs).map(|n| format!("DC1:S{n}")).collect::<Vec<_>>().join(",")),
    ];
    lines.extend((0..pairs).map(|n| format!("S{n}_URL=http://{}{}/{n}", world.web, paths.of(n))));
    let agent = Agent::start(&world, &lines);
    std::thread::sleep(Duration::from_secs(seconds));
    let status = agent.status();
    let (memory, cpu) = agent.usage();
    let checks = status.engine.checks.made;
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let per_check = cpu.as_secs_f64() * 1e6 / checks as f64;
    println!(
        "{name:36} {pairs:6}  {checks:6}  {:5.1} ms  {:5.1} ms  {memory:4} MB  {per_check:6.0} µs",
        status.engine.checks.late_p50_ms, status.engine.checks.late_p99_ms
    );
}

/// The time from the answer of the last failed attempt to the arrival of the command on its host.
fn fault_to_command() {
    let mut world = World::start();
    let pairs = 20;
    let mut lines = hosts(&world, pairs);
    lines.extend(["INTERVAL=1".to_owned(), "CHECK_ATTEMPTS=3".to_owned(), "CHECK_RETRY_DELAY=0.5".to_owned()]);
    let agent = Agent::start(&world, &lines);
    std::thread::sleep(Duration::from_secs(3));
    world.tell("down 9");
    std::thread::sleep(Duration::from_secs(6));
    println!(
        "\nlast failed attempt answered → command at its host, 9 of 20 hosts, session opened at the first failed attempt"
    );
    println!("{}", world.tell("report"));
    drop(agent);
}

/// 200 of 1,000 pairs, each on a host of its own, go down at once.
fn many_at_once() {
    let mut world = World::start();
    let mut lines = hosts(&world, 1_000);
    lines.push("INTERVAL=2".to_owned());
    let agent = Agent::start(&world, &lines);
    std::thread::sleep(Duration::from_secs(8));
    let before = agent.status().engine.checks;
    world.tell("down 200");
    std::thread::sleep(Duration::from_secs(10));
    let after = agent.status().engine.checks;
    println!("\n200 of 1,000 pairs down at once, each on its own host, checked every 2 s, 3 attempts 1 s apart");
    println!("{}", world.tell("report"));
    println!(
        "lateness of all checks: p99 {:.1} ms before, {:.1} ms with the outage in it",
        before.late_p99_ms, after.late_p99_ms
    );
    drop(agent);
}

/// Pairs with an SSH host each.
fn hosts(world: &World, pairs: usize) -> Vec<String> {
    let mut lines =
        vec![format!("MAPPINGS={}", (0..pairs).map(|n| format!("D{n}:S{n}")).collect::<Vec<_>>().join(","))];
    for n in 0..pairs {
        lines.push(format!("S{n}_URL=http://{}/switch/{n}", world.web));
        lines.push(format!("D{n}_SSH_HOST=127.1.{}.{}", n / 250, n % 250 + 1));
        lines.push(format!("D{n}_SSH_PORT={}", world.ssh));
        lines.push(format!("D{n}_SSH_USERNAME=bench"));
        lines.push(format!("D{n}_SSH_PASSWORD=bench-password"));
        lines.push(format!("D{n}_COMMAND=repair number={n}."));
    }
    lines
}

/// The child process around the agent.
struct World {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    web: String,
    ssh: u16,
}

impl World {
    fn start() -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child =
            Command::new(own).arg(world::ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let (web, ssh) = line.trim().split_once(' ').unwrap();
        Self { web: web.to_owned(), ssh: ssh.parse().unwrap(), child, input, output }
    }

    fn tell(&mut self, order: &str) -> String {
        writeln!(self.input, "{order}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real binary in a folder of its own.
struct Agent {
    child: Child,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start(world: &World, lines: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = lines.join("\n");
        write!(
            text,
            "\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n\
             TELEGRAM_API_URL=http://{}\n",
            world.web
        )
        .unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_monitor"))
            .current_dir(folder.path())
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn status(&self) -> Overview {
        block_on(Client::new(self.folder.path()).get("/api/status")).unwrap().unwrap()
    }

    /// Resident memory in MB, and CPU time so far.
    fn usage(&self) -> (u64, Duration) {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let status = std::fs::read_to_string(proc.join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = resident.trim().trim_end_matches(" kB").trim().parse().unwrap();
        let stat = std::fs::read_to_string(proc.join("stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|text| text.parse::<u64>().unwrap()).sum();
        (kilobytes / 1024, Duration::from_millis(ticks * 10))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
