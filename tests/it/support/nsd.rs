//! A real DNS server: Debian's nsd, with a zone of its own, on a port of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::sshd::{free_port, wait_until};

const NSD: &str = "/usr/sbin/nsd";
const ZONE: &str = r#"$TTL 60
@       IN SOA   ns1.example.org. hostmaster.example.org. 7 3600 600 86400 60
@       IN NS    ns1.example.org.
ns1     IN A     192.0.2.53
@       IN A     192.0.2.1
@       IN A     192.0.2.2
@       IN AAAA  2001:db8::1
@       IN MX    10 mail.example.org.
@       IN TXT   "v=spf1 -all"
@       IN CAA   0 issue "ca.example.net"
www     IN CNAME example.org.
_sip._tcp IN SRV 5 50 5060 sip.example.org.
"#;

/// A running server of `example.org` and of `2.0.192.in-addr.arpa`; stopped when dropped.
pub struct Nsd {
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

impl Nsd {
    pub fn start() -> Self {
        assert!(Path::new(NSD).exists(), "apt-get install nsd");
        let folder = tempfile::tempdir().unwrap();
        // Sixty addresses do not fit into a datagram of 512 bytes.
        let many = (1..=60).fold(String::new(), |zone, last| format!("{zone}many IN A 198.51.100.{last}\n"));
        std::fs::write(folder.path().join("zone"), format!("{ZONE}{many}")).unwrap();
        let reverse = "$TTL 60\n@ IN SOA ns1.example.org. hostmaster.example.org. 7 3600 600 86400 60\n\
                       @ IN NS ns1.example.org.\n1 IN PTR www.example.org.\n";
        std::fs::write(folder.path().join("reverse"), reverse).unwrap();
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = launch(folder.path(), port) {
                return Self { port, child, _folder: folder };
            }
        }
        panic!("nsd did not start: {}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// Stops it, so that its port refuses.
    pub fn kill(&mut self) {
        // Its workers end with it when it is told to.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let gone = wait_until(Duration::from_secs(5), || self.child.try_wait().is_ok_and(|ended| ended.is_some()));
        if !gone {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(folder: &Path, port: u16) -> Option<Child> {
    let root = folder.display();
    let config = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{root}\"\n  pidfile: \"\"\n  database: \"\"\n  zonelistfile: \"{root}/zones\"\n  \
         xfrdfile: \"\"\n  xfrdir: \"{root}\"\n  logfile: \"{root}/log\"\n  refuse-any: yes\n\
         remote-control:\n  control-enable: no\n\
         zone:\n  name: example.org\n  zonefile: zone\n\
         zone:\n  name: 2.0.192.in-addr.arpa\n  zonefile: reverse\n"
    );
    let file = folder.join("nsd.conf");
    std::fs::write(&file, config).unwrap();
    let mut child = Command::new(NSD)
        .args(["-d", "-c"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = wait_until(Duration::from_secs(10), || {
        child.try_wait().unwrap().is_some() || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    if ready && child.try_wait().unwrap().is_none() {
        return Some(child);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
