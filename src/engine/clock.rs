//! Wall time, the one place that reads it; everything else measures with `tokio::time::Instant`.

use jiff::Timestamp;
use tokio::time::Instant;

/// Where wall time comes from.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Wall time that moves with tokio's clock, so that paused tests stay in step.
    Virtual {
        /// Wall time at `origin`.
        base: Timestamp,
        /// When the virtual clock was started.
        origin: Instant,
    },
}

impl Clock {
    /// Starts a clock that follows tokio's.
    pub fn virtual_from(base: Timestamp) -> Self {
        Self::Virtual { base, origin: Instant::now() }
    }

    /// Wall time now.
    #[expect(clippy::disallowed_methods, reason = "the one home of wall time")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Virtual { base, origin } => jiff::SignedDuration::try_from(origin.elapsed())
                .ok()
                .and_then(|passed| base.checked_add(passed).ok())
                .unwrap_or(*base),
        }
    }
}

/// Sees that the machine slept or that its clock was set: wall time and monotonic time drift apart.
#[derive(Debug)]
pub struct JumpDetector {
    wall: Timestamp,
    steady: Instant,
}

impl JumpDetector {
    /// A difference below this is ordinary clock discipline.
    pub const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(5);

    /// Starts watching.
    pub fn new(clock: &Clock) -> Self {
        Self { wall: clock.now(), steady: Instant::now() }
    }

    /// Compares both clocks since the last call; gives the gap when it is more than [`Self::TOLERANCE`].
    pub fn check(&mut self, clock: &Clock) -> Option<jiff::SignedDuration> {
        let (wall, steady) = (clock.now(), Instant::now());
        let passed = jiff::SignedDuration::try_from(steady.duration_since(self.steady)).unwrap_or_default();
        let gap = wall.duration_since(self.wall) - passed;
        (self.wall, self.steady) = (wall, steady);
        (gap.unsigned_abs() > Self::TOLERANCE).then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_set_clock_is_a_jump_and_a_long_wait_is_none() {
        let steady = Clock::virtual_from(Timestamp::from_second(1_000).unwrap());
        let mut detector = JumpDetector::new(&steady);
        tokio::time::advance(std::time::Duration::from_hours(1)).await;
        assert_eq!(detector.check(&steady), None);
        let Clock::Virtual { origin, .. } = steady else { unreachable!() };
        let set = Clock::Virtual { base: Timestamp::from_second(1_060).unwrap(), origin };
        assert_eq!(detector.check(&set), Some(jiff::SignedDuration::from_secs(60)));
        assert_eq!(detector.check(&set), None, "told once");
    }
}
