//! Counterparts that can be held at every outside step, to see what a `kill -9` right there leaves behind: a target that
//! the host's command repairs, a way to the host, and a way to Telegram.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::sshd::{Options, Sshd};

/// No hold and no wait lasts longer.
const LIMIT: Duration = Duration::from_secs(25);

/// Steps as they are counted, and the one that is held.
#[derive(Default)]
pub struct Stage {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    counts: HashMap<&'static str, usize>,
    hold: Option<Hold>,
}

#[derive(Clone)]
struct Hold {
    step: &'static str,
    nth: usize,
    reached: watch::Sender<bool>,
    goes_on: watch::Sender<Option<bool>>,
}

impl Stage {
    /// The n-th step of this name, counted from 1, will wait.
    pub fn hold(&self, step: &'static str, nth: usize) {
        let hold = Hold { step, nth, reached: watch::Sender::new(false), goes_on: watch::Sender::new(None) };
        self.inner.lock().unwrap().hold = Some(hold);
    }

    /// The next step of this name will wait.
    pub fn hold_next(&self, step: &'static str) {
        let so_far = self.inner.lock().unwrap().counts.get(step).copied().unwrap_or_default();
        self.hold(step, so_far + 1);
    }

    /// Waits until that step is reached.
    pub async fn held(&self) {
        let hold = self.inner.lock().unwrap().hold.clone().expect("a step is to be held");
        let mut reached = hold.reached.subscribe();
        let waited = tokio::time::timeout(LIMIT, reached.wait_for(|reached| *reached)).await.is_ok();
        let counts = &self.inner.lock().unwrap().counts;
        assert!(waited, "{} {} was not reached within {LIMIT:?}; steps so far: {counts:?}", hold.step, hold.nth);
    }

    /// Ends the hold; a step that does not go on is dropped with its connection.
    pub fn release(&self, goes_on: bool) {
        if let Some(hold) = self.inner.lock().unwrap().hold.take() {
            hold.goes_on.send_replace(Some(goes_on));
        }
    }

    /// Counts a step, waits when it is the held one, and tells whether it goes on.
    async fn pass(&self, step: &'static str) -> bool {
        let hold = {
            let mut inner = self.inner.lock().unwrap();
            let count = inner.counts.entry(step).or_default();
            *count += 1;
            let nth = *count;
            inner.hold.clone().filter(|hold| (hold.step, hold.nth) == (step, nth))
        };
        let Some(hold) = hold else { return true };
        let mut goes_on = hold.goes_on.subscribe();
        hold.reached.send_replace(true);
        let told = tokio::time::timeout(LIMIT, goes_on.wait_for(Option::is_some)).await;
        told.is_ok_and(|told| told.is_ok_and(|goes_on| *goes_on == Some(true)))
    }
}

/// A target that is up or down, and that the host's command reaches under `/repair`, `/begin`, `/end`.
pub struct Target {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stage: Arc<Stage>,
    up: AtomicBool,
    status: AtomicUsize,
    hits: Mutex<Vec<Instant>>,
    seen: watch::Sender<usize>,
}

impl Target {
    /// Starts up or down.
    pub async fn start(up: bool) -> Self {
        Self::on(Arc::default(), up).await
    }

    /// The same with steps `probe`, `begin`, `end` on this stage.
    pub async fn on(stage: Arc<Stage>, up: bool) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), stage, up)
    }

    /// The same behind this listener.
    pub fn at(listener: TcpListener, stage: Arc<Stage>, up: bool) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Shared { stage, up: up.into(), status: 503.into(), ..Shared::default() };
        let shared = Arc::new(shared);
        let mut server = JoinSet::new();
        let serving = shared.clone();
        server.spawn(accept(listener, move |stream| serve(stream, serving.clone())));
        Self { address, shared, _server: server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, up: bool) {
        self.shared.up.store(up, Ordering::SeqCst);
    }

    /// When it was probed.
    pub fn hits(&self) -> Vec<Instant> {
        self.shared.hits.lock().unwrap().clone()
    }

    /// Waits until it was probed `more` times from now on.
    pub async fn probed(&self, more: usize) {
        let mut seen = self.shared.seen.subscribe();
        let wanted = *seen.borrow() + more;
        let came = tokio::time::timeout(LIMIT, seen.wait_for(|seen| *seen >= wanted)).await;
        assert!(came.is_ok(), "it was not probed {more} times within {LIMIT:?}");
    }

    /// Longest time between two probes so far.
    pub fn longest_gap(&self) -> Duration {
        let hits = self.hits();
        hits.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default()
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(serve(stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let step = match head.split(' ').nth(1).unwrap_or_default() {
        "/repair" => {
            shared.up.store(true, Ordering::SeqCst);
            None
        }
        "/begin" => Some("begin"),
        "/end" => Some("end"),
        _ => {
            shared.hits.lock().unwrap().push(Instant::now());
            shared.seen.send_modify(|seen| *seen += 1);
            Some("probe")
        }
    };
    if let Some(step) = step
        && !shared.stage.pass(step).await
    {
        return;
    }
    let up = step != Some("probe") || shared.up.load(Ordering::SeqCst);
    let status = if up { 200 } else { shared.status.load(Ordering::SeqCst) };
    // Whoever asked may be gone.
    let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// A way through to another port of this machine.
pub struct Relay {
    pub port: u16,
    _server: JoinSet<()>,
}

impl Relay {
    /// To a host; step `ssh` at each connection.
    pub async fn to_host(stage: Arc<Stage>, port: u16) -> Self {
        Self::start(move |inward| {
            let stage = stage.clone();
            async move {
                if stage.pass("ssh").await {
                    let mut outward = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let mut inward = inward;
                    let _ = copy_bidirectional(&mut inward, &mut outward).await;
                }
            }
        })
        .await
    }

    /// To the Bot API; step `asked` before a message is passed on, `answered` before its answer is.
    pub async fn to_telegram(stage: Arc<Stage>, url: &str) -> Self {
        let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self::start(move |inward| {
            let stage = stage.clone();
            async move {
                let outward = TcpStream::connect(address).await.unwrap();
                let _ = tell(inward, outward, &stage).await;
            }
        })
        .await
    }

    async fn start<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(accept(listener, serve));
        Self { port, _server: server }
    }
}

/// Each request is one read or two, head and body; each answer follows its request.
async fn tell(mut inward: TcpStream, mut outward: TcpStream, stage: &Stage) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut message = false;
    loop {
        tokio::select! {
            read = inward.read(&mut asked) => {
                let request = &asked[..read?];
                if request.is_empty() {
                    return Ok(());
                }
                if request.windows(11).any(|part| part.eq_ignore_ascii_case(b"sendmessage")) {
                    message = true;
                    if !stage.pass("asked").await {
                        return Ok(());
                    }
                }
                outward.write_all(request).await?;
            }
            read = outward.read(&mut answered) => {
                let answer = &answered[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                if std::mem::take(&mut message) && !stage.pass("answered").await {
                    return Ok(());
                }
                inward.write_all(answer).await?;
            }
        }
    }
}

/// A host whose `systemctl` stamps each call and then does what the test says.
pub struct Host {
    pub sshd: Sshd,
    bin: TempDir,
}

impl Host {
    /// `body` is bash: `call PORT /path` asks a target, `$n` is the number of this call, from 1.
    pub fn start(body: &str) -> Self {
        Self::with(&Options::default(), body)
    }

    pub fn with(options: &Options, body: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let bin = tempfile::tempdir().unwrap();
        let place = bin.path().display();
        let mode = |name: &str, mode| {
            std::fs::set_permissions(bin.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let script = format!(
            "#!/bin/bash\necho \"$MONITOR_PAIR $MONITOR_ATTEMPT $MONITOR_INCIDENT $*\" >> {place}/stamps\necho $EPOCHREALTIME >> {place}/times\n\
             n=$(wc -l < {place}/stamps)\n\
             call() {{ exec 3<>/dev/tcp/127.0.0.1/$1; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$2\" >&3; cat <&3 >/dev/null; }}\n\
             {body}\n"
        );
        std::fs::write(bin.path().join("systemctl"), script).unwrap();
        std::fs::write(bin.path().join("stamps"), "").unwrap();
        std::fs::write(bin.path().join("times"), "").unwrap();
        mode("", 0o755);
        mode("systemctl", 0o755);
        mode("stamps", 0o666);
        mode("times", 0o666);
        let options = Options {
            path: Some(bin.path().to_owned()),
            config: options.config.clone(),
            host_keys: options.host_keys.clone(),
        };
        Self { sshd: Sshd::start(&options), bin }
    }

    /// One line per call: pair, attempt, incident, arguments.
    pub fn stamps(&self) -> Vec<String> {
        self.file("stamps").lines().map(str::to_owned).collect()
    }

    /// Shortest time between the starts of two calls.
    pub fn shortest_pause(&self) -> Duration {
        let times: Vec<f64> = self.file("times").lines().map(|line| line.parse().unwrap()).collect();
        let pauses = times.windows(2).map(|two| Duration::from_secs_f64(two[1] - two[0]));
        pauses.min().unwrap_or(Duration::MAX)
    }

    /// A file of the folder that stands first in the command's `PATH`.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.bin.path().join(name)
    }

    /// The settings of a site that logs in here as root with its key.
    pub fn site(&self, name: &str) -> Vec<(String, String)> {
        site(name, self.sshd.port, &self.sshd.key().display().to_string())
    }
}

/// The settings of a site on this machine with a key.
pub fn site(name: &str, port: u16, key: &str) -> Vec<(String, String)> {
    let of = |what: &str, value: &str| (format!("{name}_SSH_{what}"), value.to_owned());
    vec![of("HOST", "127.0.0.1"), of("PORT", &port.to_string()), of("USERNAME", "root"), of("KEY_PATH", key)]
}

/// Settings as [`super::agent::Agent::set`] takes them.
pub fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
