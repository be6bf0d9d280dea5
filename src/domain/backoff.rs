//! The delay to the next check. It is specified and saved, so it is arithmetic, not a retry iterator.

use std::time::Duration;

/// `INTERVAL`, `BACKOFF_FACTOR` and `MAX_INTERVAL` of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    interval: Duration,
    factor: f64,
    max: Duration,
}

impl Backoff {
    /// Joins the three; a factor below 1 counts as 1.
    pub fn new(interval: Duration, factor: f64, max: Duration) -> Self {
        Self { interval, factor: if factor >= 1.0 { factor } else { 1.0 }, max }
    }

    /// The base interval.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The factor.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Delay after the k-th consecutive `down` check: the interval for k ≤ 1 (the first re-check comes soon, to see whether
    /// the remedy worked), then `min(interval * factor^k, max)`.
    pub fn delay(&self, failures: u32) -> Duration {
        if failures <= 1 {
            return self.interval;
        }
        let power = i32::try_from(failures).unwrap_or(i32::MAX);
        let seconds = self.interval.as_secs_f64() * self.factor.powi(power);
        if seconds >= self.max.as_secs_f64() { self.max } else { Duration::from_secs_f64(seconds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn the_seeds_own_samples_follow() {
        let backoff = Backoff::new(secs(30.0), 1.5, secs(600.0));
        let delays: Vec<f64> = (1..=8).map(|k| backoff.delay(k).as_secs_f64()).collect();
        assert_eq!(delays, [30.0, 67.5, 101.25, 151.875, 227.8125, 341.718_75, 512.578_125, 600.0]);
    }

    proptest! {
        #[test]
        fn it_never_shrinks_and_never_passes_the_maximum(
            interval in 0.01f64..10_000.0, factor in 1.0f64..10.0, max in 0.01f64..100_000.0, k in 0u32..100_000,
        ) {
            let backoff = Backoff::new(secs(interval), factor, secs(max));
            let max = secs(max);
            prop_assert!(backoff.delay(k).min(max) <= backoff.delay(k + 1));
            prop_assert!(k <= 1 || backoff.delay(k) <= max);
            prop_assert!(backoff.delay(k) >= backoff.interval().min(max));
        }
    }
}
