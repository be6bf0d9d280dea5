//! One throw-away PostgreSQL for the test program, one database per test.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};

struct Server {
    folder: PathBuf,
    /// The shell around the server stops it and removes its folder when this pipe closes, that is when this program ends.
    _alive: (ChildStdin, Child),
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

const SCRIPT: &str = r#"
set -e
umask 077
"$BIN/initdb" --pgdata="$FOLDER/data" --username=monitor --auth=trust --locale=C --encoding=UTF8 --no-sync >"$FOLDER/initdb.log" 2>&1
"$BIN/postgres" -D "$FOLDER/data" -k "$FOLDER" -c listen_addresses= -c fsync=off -c max_connections=100 >"$FOLDER/server.log" 2>&1 </dev/null &
server=$!
cat >/dev/null || true
kill -INT "$server" || true
wait "$server" || true
rm -rf "$FOLDER"/*
rmdir "$FOLDER" 2>/dev/null || true
"#;

/// Makes an empty database and gives its URL.
pub async fn database() -> String {
    let server = SERVER.get_or_init(start);
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    sqlx::any::install_default_drivers();
    let mut connection = connected(&server.url("postgres")).await;
    let sql = format!("CREATE DATABASE test{number} TEMPLATE template0");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    server.url(&format!("test{number}"))
}

async fn connected(url: &str) -> sqlx::AnyConnection {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        // The server has no other way to say that it is ready than to answer.
        match sqlx::AnyConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) if tokio::time::Instant::now() > limit => {
                panic!("PostgreSQL did not start within 30 s: {error}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Server {
    fn url(&self, database: &str) -> String {
        let folder: String = url::form_urlencoded::byte_serialize(self.folder.to_str().unwrap().as_bytes()).collect();
        format!("postgres://monitor@localhost/{database}?host={folder}")
    }
}

#[expect(clippy::disallowed_methods, reason = "a limit in real time for a process outside")]
fn start() -> Server {
    let bin = bin();
    let folder = tempfile::Builder::new().prefix("monitor-pg-").tempdir().unwrap().keep();
    let mut command = if rustix::process::getuid().is_root() {
        let owned = Command::new("chown").arg("postgres").arg(&folder).status().unwrap();
        assert!(owned.success(), "the user `postgres` is missing; install Debian's `postgresql`");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh", "-c", SCRIPT]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        command
    };
    command.env("BIN", bin).env("FOLDER", &folder).env("HOME", &folder).current_dir(&folder);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = spawned.expect("`setpriv` or `sh` is missing; install Debian's `util-linux`");
    let alive = child.stdin.take().unwrap();
    let limit = Instant::now() + Duration::from_mins(1);
    while !folder.join(".s.PGSQL.5432").exists() {
        let log = || std::fs::read_to_string(folder.join("initdb.log")).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "initdb failed: {}", log());
        assert!(Instant::now() < limit, "PostgreSQL did not start within 60 s: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    Server { folder, _alive: (alive, child) }
}

/// Where the programs of the newest PostgreSQL are.
pub fn bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("PostgreSQL is missing; install Debian's `postgresql`")
}
