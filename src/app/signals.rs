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

/// Numbers of signals that end a program by default, are no order to stop, and can be heard: all but those that tell of a fault
/// of the program itself.
const ODD: [i32; 12] = [5, 6, 10, 12, 14, 16, 24, 25, 26, 27, 29, 30];
/// The same of the real-time ones.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// What ends a program that has nothing to reload: every signal that would and can be heard, unless it was ignored when the
/// program was started, as nohup does. SIGTERM and SIGINT are heard always.
pub struct Ends(Vec<(SignalKind, Signal)>);

/// How an end was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By SIGTERM, SIGINT, SIGHUP or SIGQUIT.
    Ordered,
    /// By a signal of this number, which is no order to stop.
    Odd(i32),
}

impl Ends {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        let ignored = ignored();
        let heard = |kind: &SignalKind| ignored & (1 << (kind.as_raw_value() - 1)) == 0;
        let orders = [SignalKind::hangup(), SignalKind::quit()].into_iter().filter(heard);
        let orders = [SignalKind::terminate(), SignalKind::interrupt()].into_iter().chain(orders);
        let mut all: Vec<_> = orders.map(|kind| Ok((kind, signal(kind)?))).collect::<std::io::Result<_>>()?;
        let odd = ODD.into_iter().chain(REAL_TIME).map(SignalKind::from_raw).filter(heard);
        // The C library keeps one or two of the real-time ones for itself: those reach nobody.
        all.extend(odd.filter_map(|kind| Some((kind, signal(kind).ok()?))));
        Ok(Self(all))
    }

    /// Waits for the first.
    pub async fn recv(&mut self) -> End {
        let all = self.0.iter_mut().map(|(kind, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *kind
            })
        });
        let kind = futures_util::future::select_all(all).await.0;
        let orders = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        if orders.contains(&kind) { End::Ordered } else { End::Odd(kind.as_raw_value()) }
    }
}

/// The signals that this process was started to ignore, a bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
