//! Real OpenSSH servers on loopback with throw-away keys, and listeners that are no SSH servers at all.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture that cannot be set up fails its test"
)]

use std::fmt::Write as _;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The password of every throw-away user.
pub const PASSWORD: &str = "correct horse $battery 'staple'";

/// What a server should be like.
#[derive(Default)]
pub struct Options {
    /// Extra lines of `sshd_config`.
    pub config: Vec<String>,
    /// Host keys, `ed25519` if empty.
    pub host_keys: Vec<&'static str>,
    /// A folder that stands first in the `PATH` of commands.
    pub path: Option<PathBuf>,
}

impl Options {
    /// A server with extra lines in its configuration.
    pub fn with(lines: &[&str]) -> Self {
        Self { config: lines.iter().map(|line| (*line).to_owned()).collect(), ..Self::default() }
    }
}

/// A running server; stopped when dropped.
pub struct Sshd {
    pub port: u16,
    pub folder: TempDir,
    child: Child,
}

impl Sshd {
    pub fn start(options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // sshd opens authorized_keys as the user who logs in.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let kinds = if options.host_keys.is_empty() { &["ed25519"][..] } else { &options.host_keys };
        for kind in kinds {
            keygen(&folder.path().join(format!("host_{kind}")), &["-t", kind]);
        }
        keygen(&folder.path().join("id"), &["-t", "ed25519"]);
        std::fs::copy(folder.path().join("id.pub"), folder.path().join("authorized_keys")).unwrap();
        Self::serve(folder, kinds, options)
    }

    /// Stops it and starts it again on the same port, with what its folder holds by now.
    pub fn restart(&mut self) {
        self.kill();
        self.child = launch(self.folder.path()).expect("its own port is free");
    }

    fn serve(folder: TempDir, kinds: &[&str], options: &Options) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test runs sshd with several users: run it as root");
        std::fs::create_dir_all("/run/sshd").unwrap();
        for _ in 0..5 {
            let port = free_port();
            let root = folder.path().display();
            // sshd keeps the first value of a keyword: the test's own lines stand first.
            let mut text = options.config.join("\n");
            write!(
                text,
                "\nPort {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nUseDNS no\n\
                 LogLevel VERBOSE\nPermitRootLogin yes\nAuthorizedKeysFile {root}/authorized_keys\n\
                 PrintMotd no\n"
            )
            .unwrap();
            for kind in kinds {
                writeln!(text, "HostKey {root}/host_{kind}").unwrap();
            }
            // Under sshd bash reads ~/.bashrc unless it believes to be a nested shell; what stands there is not ours to test.
            let path = options.path.as_ref().map(|path| format!(" PATH={}:/usr/bin:/bin", path.display()));
            writeln!(text, "SetEnv SHLVL=2{}", path.unwrap_or_default()).unwrap();
            std::fs::write(folder.path().join("sshd_config"), text + "\n").unwrap();
            if let Some(child) = launch(folder.path()) {
                return Self { port, folder, child };
            }
        }
        panic!("no free port for sshd");
    }

    /// The key that `authorized_keys` lets in.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("id")
    }

    /// Adds a public key file to those let in.
    pub fn allow(&self, public: &Path) {
        let file = self.folder.path().join("authorized_keys");
        let text = std::fs::read_to_string(&file).unwrap() + &std::fs::read_to_string(public).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Logins so far.
    pub fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Accepted ") && line.contains(" for ")).count()
    }

    /// Stops it and everything that belongs to it, at once: sessions end without a word.
    pub fn kill(&mut self) {
        let of_session = |pid: &str| Command::new("pgrep").args(["-P", pid]).output().unwrap().stdout;
        let mut pids = vec![self.child.id().to_string()];
        let mut at = 0;
        while let Some(pid) = pids.get(at).cloned() {
            pids.extend(String::from_utf8(of_session(&pid)).unwrap().lines().map(str::to_owned));
            at += 1;
        }
        for pid in pids {
            let _ = Command::new("kill").args(["-9", &pid]).stderr(Stdio::null()).status();
        }
        let _ = self.child.wait();
    }
}

/// Starts sshd by the configuration in its folder; none when its port is taken.
fn launch(folder: &Path) -> Option<Child> {
    let sshd = Path::new("/usr/sbin/sshd");
    assert!(sshd.exists(), "this test needs sshd: apt-get install openssh-server");
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut child = Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let log = || std::fs::read_to_string(folder.join("log")).unwrap();
    let up = wait_until(Duration::from_secs(10), || {
        log().contains("Server listening") || child.try_wait().unwrap().is_some()
    });
    assert!(up, "sshd did not start: {}", log());
    if log().contains("Server listening") && child.try_wait().unwrap().is_none() {
        return Some(child);
    }
    let _ = child.wait();
    assert!(log().contains("Address already in use"), "sshd did not start: {}", log());
    None
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A throw-away user of this machine with [`PASSWORD`]; removed when dropped.
pub struct User(pub String);

/// `useradd` locks its files and gives up quickly when two run at once.
static ACCOUNTS: Mutex<()> = Mutex::new(());

impl User {
    pub fn new(shell: &str) -> Self {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| {
            let out = Command::new("openssl").args(["passwd", "-6", PASSWORD]).output();
            let out = out.expect("this test needs openssl: apt-get install openssl");
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        });
        let name = format!("mon{}", uuid::Uuid::now_v7().simple().to_string().split_off(20));
        let _turn = ACCOUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let made = Command::new("useradd").args(["-M", "-d", "/tmp", "-s", shell, "-p", hash, &name]).output();
        let made = made.expect("this test needs useradd: apt-get install passwd");
        assert!(made.status.success(), "useradd: {}", String::from_utf8_lossy(&made.stderr));
        Self(name)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _turn = ACCOUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = Command::new("userdel").args(["-f", &self.0]).output();
    }
}

/// A real agent with one key; stopped when dropped.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
    _folder: TempDir,
}

impl Agent {
    pub fn with(key: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
        let child = child.expect("this test needs ssh-agent: apt-get install openssh-client");
        assert!(wait_until(Duration::from_secs(10), || socket.exists()), "ssh-agent made no socket");
        let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", &socket).output().unwrap();
        assert!(added.status.success(), "ssh-add: {}", String::from_utf8_lossy(&added.stderr));
        Self { socket, child, _folder: folder }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key pair; `extra` is `-t kind` and what else `ssh-keygen` should know.
pub fn keygen(path: &Path, extra: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-C", "test", "-f"]).arg(path).args(extra);
    if !extra.contains(&"-N") {
        command.args(["-N", ""]);
    }
    let out = command.output().expect("this test needs ssh-keygen: apt-get install openssh-client");
    assert!(out.status.success(), "ssh-keygen {extra:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// What a listener does with each connection that it takes.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Accepts and says nothing.
    Silent,
    /// Answers like a web server.
    Http,
    /// Hangs up at once.
    Drops,
}

/// A listener that is no SSH server; its thread ends with it.
pub struct Impostor {
    pub port: u16,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Impostor {
    pub fn start(manner: Manner) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut count = 0;
            for socket in listener.incoming() {
                if stopped.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                let Ok(socket) = socket else { break };
                count += 1;
                answer(manner, socket, &mut kept);
            }
            count
        });
        Self { port, stop, thread: Some(thread) }
    }

    /// Ends it and tells how many connections it took.
    pub fn stop(mut self) -> usize {
        self.end()
    }

    fn end(&mut self) -> usize {
        let Some(thread) = self.thread.take() else { return 0 };
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        thread.join().unwrap_or(0)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.end();
    }
}

fn answer(manner: Manner, mut socket: TcpStream, kept: &mut Vec<TcpStream>) {
    match manner {
        Manner::Silent => kept.push(socket),
        Manner::Http => {
            let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = socket.read(&mut [0; 64]);
            let _ = std::io::Write::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        Manner::Drops => drop(socket),
    }
}

/// A port on which nothing listens, a moment ago at least.
pub fn free_port() -> u16 {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Looks again and again until it is so, or the time is over.
pub fn wait_until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a blocking look at real processes, outside of the runtime")]
    let now = Instant::now;
    let begun = now();
    while !so() {
        if now() - begun > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
