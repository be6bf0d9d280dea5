//! Throw-away PostgreSQL servers that listen on TCP, with TLS and users of several kinds.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::http::Certificate;
use super::postgres::bin;
use super::sshd::{free_port, wait_until};

/// The password of every role.
pub const PASSWORD: &str = "correct-horse-battery";

/// Who may log in, and how: role, kind of connection, method.
const ROLES: [(&str, &str, &str); 6] = [
    ("scram", "host", "scram-sha-256"),
    ("secured", "hostssl", "scram-sha-256"),
    ("md5", "host", "md5"),
    ("plain", "host", "password"),
    ("anybody", "host", "trust"),
    ("nobody", "host", "reject"),
];

/// A server; stopped when dropped.
pub struct Postgres {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Postgres {
    /// With this certificate, or without TLS, and further settings as `-c` takes them.
    pub fn start(certificate: Option<&Certificate>, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("monitor-pg-").tempdir().unwrap();
        let data = folder.path().join("data");
        owned(folder.path());
        let made = as_postgres(&bin().join("initdb"), folder.path())
            .arg("--pgdata")
            .arg(&data)
            .args(["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut access = "local all all trust\n".to_owned();
        for (role, kind, method) in ROLES {
            writeln!(access, "{kind} all {role} 127.0.0.1/32 {method}").unwrap();
        }
        std::fs::write(data.join("pg_hba.conf"), access).unwrap();
        let mut all: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        if let Some(certificate) = certificate {
            let (cert, key) = certificate.write(folder.path());
            owned(&cert);
            owned(&key);
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            all.push("ssl=on".to_owned());
            all.push(format!("ssl_cert_file={}", cert.display()));
            all.push(format!("ssl_key_file={}", key.display()));
        }
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = launch(folder.path(), port, &all) {
                let server = Self { port, folder, child };
                server.roles();
                return server;
            }
        }
        panic!("no free port for postgres: {}", log(folder.path()));
    }

    fn roles(&self) {
        self.sql("SET password_encryption = 'scram-sha-256'");
        let mut sql = String::new();
        for (role, ..) in ROLES {
            let kind = if role == "md5" { "md5" } else { "scram-sha-256" };
            writeln!(sql, "SET password_encryption='{kind}'; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';").unwrap();
        }
        self.sql(&sql);
        self.sql("CREATE DATABASE app");
    }

    /// Runs this as the superuser.
    pub fn sql(&self, sql: &str) {
        let port = self.port.to_string();
        let done = as_postgres(&bin().join("psql"), self.folder.path())
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-p", &port, "-h"])
            .arg(self.folder.path())
            .args(["-c", sql])
            .output()
            .unwrap();
        assert!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Sends its head process a signal by name.
    pub fn signal(&self, name: &str) {
        let file = self.folder.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.signal("QUIT");
            let _ = self.child.wait();
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn owned(path: &Path) {
    if rustix::process::getuid().is_root() {
        let done = Command::new("chown").arg("postgres").arg(path).status().unwrap();
        assert!(done.success(), "the user `postgres` is missing; install Debian's `postgresql`");
    }
}

/// PostgreSQL's programs refuse to run as root.
fn as_postgres(program: &PathBuf, folder: &Path) -> Command {
    let mut command = if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    command
}

/// None when its port is taken.
fn launch(folder: &Path, port: u16, settings: &[String]) -> Option<Child> {
    let out = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = as_postgres(&bin().join("postgres"), folder);
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let mut child = command.stdout(Stdio::null()).stderr(out).spawn().unwrap();
    let up = wait_until(Duration::from_secs(30), || {
        log(folder).contains("ready to accept connections") || child.try_wait().unwrap().is_some()
    });
    assert!(up, "PostgreSQL did not start: {}", log(folder));
    if child.try_wait().unwrap().is_none() {
        return Some(child);
    }
    assert!(log(folder).contains("Address already in use"), "PostgreSQL did not start: {}", log(folder));
    None
}
