//! Telegram's limits, kept before it has to remind us: <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// tokio's clock, which tests can stop.
#[derive(Debug, Clone)]
struct TokioClock {
    start: tokio::time::Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The buckets of one chat.
#[derive(Debug)]
pub struct Pace {
    clock: TokioClock,
    buckets: Vec<Bucket>,
}

impl Pace {
    /// 30 messages a second for a bot, 1 a second for a chat, and 20 a minute for a group or channel: 4 at once, then one
    /// each 3.75 s, which is 20 within any minute.
    pub fn new(many: bool) -> Self {
        let clock = TokioClock { start: tokio::time::Instant::now() };
        let mut limits = vec![(Duration::from_secs(1) / 30, 30), (Duration::from_secs(1), 1)];
        if many {
            limits.push((Duration::from_millis(3750), 4));
        }
        let quotas = limits
            .into_iter()
            .filter_map(|(period, burst)| Some(Quota::with_period(period)?.allow_burst(NonZeroU32::new(burst)?)));
        let buckets = quotas.map(|quota| RateLimiter::direct_with_clock(quota, clock.clone())).collect();
        Self { clock, buckets }
    }

    /// Waits for the next message's turn: at most a few seconds, because one message is sent at a time.
    pub async fn wait(&self) {
        for bucket in &self.buckets {
            while let Err(early) = bucket.check() {
                tokio::time::sleep(early.wait_time_from(self.clock.now())).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of the first `n` messages.
    async fn moments(pace: &Pace, n: usize) -> Vec<Duration> {
        let start = tokio::time::Instant::now();
        let mut moments = Vec::new();
        for _ in 0..n {
            pace.wait().await;
            moments.push(start.elapsed());
        }
        moments
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_gets_one_message_a_second() {
        let moments = moments(&Pace::new(false), 10).await;
        assert_eq!(moments[0], Duration::ZERO);
        for two in moments.windows(2) {
            let gap = two[1].saturating_sub(two[0]);
            assert!(gap >= Duration::from_millis(990) && gap <= Duration::from_millis(1010), "{moments:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_gets_twenty_messages_within_any_minute() {
        let moments = moments(&Pace::new(true), 100).await;
        for (n, from) in moments.iter().enumerate() {
            let within = moments[n..].iter().filter(|at| **at < *from + Duration::from_mins(1)).count();
            assert!(within <= 20, "{within} messages in the minute from {from:?}");
        }
        assert!(moments[3] <= Duration::from_secs(4), "the first ones do not wait long: {moments:?}");
        assert!(moments[99] <= Duration::from_secs(370), "and the limit is used: {:?}", moments[99]);
    }
}
