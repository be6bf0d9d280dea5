//! A throw-away Redis of Debian's `redis-server`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::sshd::{free_port, wait_until};

/// A running server; killed when dropped.
pub struct Redis {
    pub port: u16,
    pub folder: TempDir,
    child: Child,
}

impl Redis {
    /// With further options, `--name value …`.
    pub fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = launch(folder.path(), port, options) {
                return Self { port, folder, child };
            }
        }
        panic!("no free port for redis-server: {}", log(folder.path()));
    }

    /// Stops it and starts it again on its port with what its folder holds.
    pub fn restart(&mut self, options: &[&str]) {
        self.kill();
        self.child = launch(self.folder.path(), self.port, options).expect("its own port is free");
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let out = Command::new("redis-cli").args(["-p", &port]).args(words).output();
        let out = out.expect("this test needs redis-cli: apt-get install redis-server");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// None when its port is taken.
fn launch(folder: &Path, port: u16, options: &[&str]) -> Option<Child> {
    let out = std::fs::File::create(folder.join("log")).unwrap();
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder)
        .args(options)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("this test needs redis-server: apt-get install redis-server");
    let ready = |text: &str| text.contains("Ready to accept connections") || text.contains("Server initialized");
    let up = wait_until(Duration::from_secs(10), || ready(&log(folder)) || child.try_wait().unwrap().is_some());
    assert!(up, "redis-server did not start: {}", log(folder));
    if child.try_wait().unwrap().is_none() {
        return Some(child);
    }
    assert!(log(folder).contains("Address already in use"), "redis-server did not start: {}", log(folder));
    None
}
