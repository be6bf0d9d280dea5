//! Where one attempt is and where its time went, so that a fault or a timeout can name the phase.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::reading::{Cause, Fault, Phases};

/// What an attempt is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Name to addresses.
    Dns,
    /// TCP handshake.
    Connect,
    /// TLS handshake.
    Tls,
    /// The request is being sent, or was sent and nothing came back yet.
    FirstByte,
    /// The answer has begun and is not complete.
    Rest,
}

/// The trace of one attempt. Phases of several hops (redirects) add up.
#[derive(Debug)]
pub struct Trace {
    started: Instant,
    limit: Duration,
    stage: Option<(Stage, Instant)>,
    finished: Option<Instant>,
    phases: Phases,
    certificate_ends: Option<Timestamp>,
}

impl Trace {
    /// Starts the clock of an attempt that may take `limit`.
    pub fn start(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            stage: None,
            finished: None,
            phases: Phases::default(),
            certificate_ends: None,
        }
    }

    /// Ends the stage before, if one is open, and begins `stage`.
    pub fn enter(&mut self, stage: Stage) {
        let now = Instant::now();
        self.close(now);
        (self.stage, self.finished) = (Some((stage, now)), None);
    }

    /// Ends the open stage: the answer is complete.
    pub fn finish(&mut self) {
        let now = Instant::now();
        self.close(now);
        self.finished = Some(now);
    }

    /// Time from the start until the answer was complete: a goodbye behind it does not count.
    pub fn took(&self) -> Duration {
        self.finished.map_or_else(|| self.elapsed(), |at| at - self.started)
    }

    /// Ends the open stage as if it had taken `took`: what was measured apart from it.
    pub fn answered(&mut self, took: Duration) {
        if let Some((stage, _)) = self.stage.take() {
            self.add(stage, took);
        }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The whole time.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Time until the limit.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.elapsed())
    }

    /// How long each finished phase took.
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// Notes when the server's certificate ends; of several the earliest counts.
    pub fn certificate_ends(&mut self, at: Timestamp) {
        self.certificate_ends = Some(self.certificate_ends.map_or(at, |before| before.min(at)));
    }

    /// When the server's certificate ends, where it was noted.
    pub fn certificate(&self) -> Option<Timestamp> {
        self.certificate_ends
    }

    /// The fault of an attempt whose time is over: what was done and what it still waited for.
    ///
    /// A resolver that does not answer is our trouble, not the target's.
    pub fn overdue(&self) -> Fault {
        let stage = self.stage.map(|(stage, _)| stage);
        let mut reason = format!("no answer within {:?}: ", self.limit);
        let done = [
            ("name resolved in", self.phases.dns),
            ("connected in", self.phases.connect),
            ("TLS agreed in", self.phases.tls),
            ("first byte after", self.phases.first_byte),
        ];
        for (what, took) in done.into_iter().filter_map(|(what, took)| Some((what, took?))) {
            // Writing to a string cannot fail.
            let _ = write!(reason, "{what} {}, ", brief(took));
        }
        let (cause, waiting) = match stage {
            Some(Stage::Dns) => (Cause::Resolver, "waiting for the resolver"),
            None | Some(Stage::Connect) => (Cause::Timeout, "waiting for the connection"),
            Some(Stage::Tls) => (Cause::Timeout, "waiting for the TLS handshake"),
            Some(Stage::FirstByte) => (Cause::Timeout, "waiting for the first byte"),
            Some(Stage::Rest) => (Cause::Timeout, "waiting for the rest of the answer"),
        };
        reason.push_str(waiting);
        Fault::new(cause, reason)
    }

    fn close(&mut self, now: Instant) {
        if let Some((stage, since)) = self.stage.take() {
            self.add(stage, now - since);
        }
    }

    fn add(&mut self, stage: Stage, took: Duration) {
        let slot = match stage {
            Stage::Dns => &mut self.phases.dns,
            Stage::Connect => &mut self.phases.connect,
            Stage::Tls => &mut self.phases.tls,
            Stage::FirstByte => &mut self.phases.first_byte,
            Stage::Rest => return,
        };
        *slot = Some(slot.unwrap_or_default() + took);
    }
}

/// Whole milliseconds from one on, else microseconds: people compare these, they do not calculate with them.
fn brief(took: Duration) -> String {
    if took >= Duration::from_millis(1) {
        format!("{}ms", took.as_millis())
    } else {
        format!("{}µs", took.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_does_not_count_and_more_of_an_answer_does() {
        let mut trace = Trace::start(Duration::from_secs(9));
        trace.enter(Stage::FirstByte);
        tokio::time::advance(Duration::from_secs(1)).await;
        trace.finish();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((trace.took(), trace.left()), (Duration::from_secs(1), Duration::from_secs(6)));
        trace.enter(Stage::Rest);
        assert_eq!(trace.took(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_says_what_was_done_and_what_was_waited_for() {
        let mut trace = Trace::start(Duration::from_secs(10));
        trace.enter(Stage::Connect);
        tokio::time::advance(Duration::from_millis(2)).await;
        trace.enter(Stage::FirstByte);
        tokio::time::advance(Duration::from_secs(10)).await;
        let fault = trace.overdue();
        assert_eq!(fault.cause, Cause::Timeout);
        assert_eq!(fault.reason, "no answer within 10s: connected in 2ms, waiting for the first byte");
        assert_eq!(trace.left(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn phases_of_several_hops_add_up() {
        let mut trace = Trace::start(Duration::from_secs(10));
        for _ in 0..2 {
            trace.enter(Stage::Connect);
            tokio::time::advance(Duration::from_millis(3)).await;
            trace.enter(Stage::FirstByte);
            tokio::time::advance(Duration::from_millis(4)).await;
            trace.finish();
        }
        let expected = Phases {
            connect: Some(Duration::from_millis(6)),
            first_byte: Some(Duration::from_millis(8)),
            ..Phases::default()
        };
        assert_eq!(trace.phases(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_resolver_is_our_trouble() {
        let mut trace = Trace::start(Duration::from_secs(1));
        trace.enter(Stage::Dns);
        assert!(trace.overdue().cause.is_blind());
    }
}
