//! Several machines on one switch, made of network namespaces: each has its own addresses, routes and cable.

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{CapabilitySet, LinkNameSpaceType};

/// What every namespace of ours is called by; the process and a number follow.
const MARK: &str = "monitor-test";
const IP: &str = "/usr/sbin/ip";

/// How many of these this process made.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A switch and the machines on it. Dropping it removes them all.
pub struct Lan {
    prefix: String,
    machines: Vec<&'static str>,
}

impl Lan {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test makes network namespaces: run it as root");
        remove_orphans();
        let prefix = format!("{MARK}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lan = Self { prefix, machines: Vec::new() };
        ip(&["netns", "add", &lan.namespace("switch")]);
        lan.on("switch", &["link", "add", "br0", "type", "bridge"]);
        lan.on("switch", &["link", "set", "br0", "up"]);
        lan
    }

    /// Adds a machine with these addresses (`10.0.0.2/24`, `fd00::2/64`); its card is `eth0`.
    pub fn machine(&mut self, name: &'static str, addresses: &[&str]) {
        ip(&["netns", "add", &self.namespace(name)]);
        self.machines.push(name);
        self.on(name, &["link", "set", "lo", "up"]);
        let switch = self.namespace("switch");
        self.on(name, &["link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", &switch]);
        self.on("switch", &["link", "set", name, "master", "br0", "up"]);
        for address in addresses {
            // No search for the same address elsewhere: it takes a second in which IPv6 does not work.
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            self.on(name, &[&["address", "add", address, "dev", "eth0"], nodad].concat());
        }
        self.on(name, &["link", "set", "eth0", "up"]);
    }

    /// Lets a machine pass on what is not for it, between networks that are all behind its one card.
    pub fn forwards(&self, machine: &str) {
        // It would tell its neighbours of a shorter way, past itself.
        for card in ["all", "eth0"] {
            self.set(machine, &format!("ipv4/conf/{card}/send_redirects"), "0");
        }
        self.set(machine, "ipv4/ip_forward", "1");
    }

    /// A listener on a port of its own, at this address of a machine.
    pub fn listener(&self, machine: &str, address: &str) -> tokio::net::TcpListener {
        let listener = self.inside(machine, || TcpListener::bind((address, 0)).unwrap());
        listener.set_nonblocking(true).unwrap();
        tokio::net::TcpListener::from_std(listener).unwrap()
    }

    /// The name of a machine's namespace, for `ip netns exec`.
    pub fn namespace(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }

    /// `ip` inside a machine.
    pub fn on(&self, machine: &str, arguments: &[&str]) {
        ip(&[&["-netns", &self.namespace(machine)], arguments].concat());
    }

    /// Pulls a machine's cable out of the switch. Its own card stays up: nobody answers it any more.
    pub fn cut(&self, machine: &str) {
        self.on("switch", &["link", "set", machine, "down"]);
    }

    pub fn restore(&self, machine: &str) {
        self.on("switch", &["link", "set", machine, "up"]);
    }

    /// Whether a machine answers echo requests.
    pub fn answers(&self, machine: &str, yes: bool) {
        let value = if yes { "0" } else { "1" };
        self.set(machine, "ipv4/icmp_echo_ignore_all", value);
        self.set(machine, "ipv6/icmp/echo_ignore_all", value);
    }

    /// Lets every user of a machine ping, over both families; a fresh namespace lets nobody.
    pub fn allow_ping(&self, machine: &str) {
        self.set(machine, "ipv4/ping_group_range", "0 2147483647");
    }

    fn set(&self, machine: &str, key: &str, value: &str) {
        self.inside(machine, || std::fs::write(format!("/proc/sys/net/{key}"), value).unwrap());
    }

    /// Runs this inside a machine: its sockets are the machine's.
    pub fn inside<T: Send>(&self, machine: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.namespace(machine))).unwrap();
        let enter = move || {
            use std::os::fd::AsFd as _;
            // Only this thread goes there, and it ends with the work.
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs a future inside a machine.
    pub fn run<T: Send, F: Future<Output = T>>(&self, machine: &str, work: impl FnOnce() -> F + Send) -> T {
        self.inside(machine, || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
        })
    }
}

/// Takes the right to open raw sockets from this thread, and so from what it starts.
pub fn without_raw_sockets() {
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::NET_RAW);
    rustix::thread::set_capabilities(None, sets).unwrap();
}

impl Drop for Lan {
    fn drop(&mut self) {
        for machine in self.machines.iter().copied().chain(["switch"]) {
            let _ = Command::new(IP).args(["netns", "delete", &self.namespace(machine)]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let out = Command::new(IP).args(arguments).output().expect("ip starts: apt-get install iproute2");
    assert!(out.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&out.stderr));
}

/// What a test process that was killed left behind.
fn remove_orphans() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some(rest) = name.strip_prefix(MARK) else { continue };
        let process = rest.trim_start_matches('-').split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            let _ = Command::new(IP).args(["netns", "delete", &name]).status();
        }
    }
}
