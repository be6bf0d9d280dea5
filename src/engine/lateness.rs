//! How punctual the last checks were.

use std::time::Duration;

/// Checks that are remembered.
const KEPT: usize = 8192;

/// A ring of the last checks' lateness.
#[derive(Debug, Default)]
pub struct Lateness {
    /// Microseconds.
    ring: Vec<u32>,
    next: usize,
}

impl Lateness {
    /// Remembers one check.
    pub fn add(&mut self, late: Duration) {
        let micros = u32::try_from(late.as_micros()).unwrap_or(u32::MAX);
        if let Some(place) = self.ring.get_mut(self.next) {
            *place = micros;
        } else {
            self.ring.push(micros);
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// The value below which this share of the last checks lies, milliseconds; 0 without checks.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.ring.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a ring of 8192 and a share of 0..1"
        )]
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks_and_old_checks_are_forgotten() {
        let mut lateness = Lateness::default();
        assert!(lateness.percentile_ms(0.99).abs() < f64::EPSILON);
        for ms in 1..=100 {
            lateness.add(Duration::from_millis(ms));
        }
        assert!((lateness.percentile_ms(0.99) - 99.0).abs() < f64::EPSILON);
        assert!((lateness.percentile_ms(0.5) - 50.0).abs() < f64::EPSILON);
        for _ in 0..KEPT {
            lateness.add(Duration::from_millis(7));
        }
        assert!((lateness.percentile_ms(1.0) - 7.0).abs() < f64::EPSILON);
    }
}
