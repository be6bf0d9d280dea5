//! Signals: SIGTERM and SIGINT stop, SIGHUP reloads, or stops what has nothing to reload.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Listens until `stop` is done: SIGTERM and SIGINT end in `stop`, SIGHUP in a message.
pub async fn listen(stop: CancellationToken, reload: mpsc::Sender<()>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
            // One reload that waits is enough, it reads the newest file.
            _ = hang_up.recv() => drop(reload.try_send(())),
        }
    }
}

/// What ends a program that has nothing to reload: SIGTERM and SIGINT, and unless they were ignored when it was started, as
/// nohup does, SIGHUP and SIGQUIT.
pub struct Ends(Vec<Signal>);

impl Ends {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        let ignored = ignored();
        let kinds = [SignalKind::hangup(), SignalKind::quit()];
        let heard = kinds.into_iter().filter(|kind| ignored & (1 << (kind.as_raw_value() - 1)) == 0);
        let all = [SignalKind::terminate(), SignalKind::interrupt()].into_iter().chain(heard);
        all.map(signal).collect::<Result<_, _>>().map(Self)
    }

    /// Waits for the first.
    pub async fn recv(&mut self) {
        futures_util::future::select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// The signals that this process was started to ignore, a bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
