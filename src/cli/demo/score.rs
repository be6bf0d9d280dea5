//! What has been seen so far: the counts of the summary, and the stations of one healed outage.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::words::Words;

/// A station of the way from fault to good news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Station {
    /// A check said `down`.
    Fault,
    /// A command ran.
    Command,
    /// A message said so.
    Told,
    /// A probe saw the service up after the command.
    Healed,
    /// A message said so.
    Restored,
}

impl Station {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 5] = [Self::Fault, Self::Command, Self::Told, Self::Healed, Self::Restored];
}

/// The counts.
#[derive(Debug, Default)]
pub struct Score {
    /// Incidents that were opened.
    pub incidents: u32,
    /// Commands that were run.
    pub commands: u32,
    /// Incidents that a command healed.
    pub healed: u32,
    /// Messages that were taken.
    pub messages: u32,
    seen: HashSet<Station>,
    down: HashSet<String>,
    last_status: String,
    broken_at: Option<Instant>,
    owed: bool,
    times: Vec<Duration>,
}

impl Score {
    /// The service breaks now.
    pub fn breaks(&mut self) {
        self.broken_at = Some(Instant::now());
        self.owed = true;
    }

    /// Whether what broke has not been seen up again.
    pub fn is_broken(&self) -> bool {
        self.broken_at.is_some()
    }

    /// Whether people have not yet been told that it is.
    pub fn owes_good_news(&self) -> bool {
        self.owed
    }

    /// A check said `down`.
    pub fn down(&mut self, pair: &str) {
        self.seen.insert(Station::Fault);
        if self.down.insert(pair.to_owned()) {
            self.incidents += 1;
        }
    }

    /// A command ended; `status` is the one of its record.
    pub fn ran(&mut self, status: &str) {
        status.clone_into(&mut self.last_status);
        self.seen.insert(Station::Command);
        self.commands += 1;
    }

    /// The verdict of the last command when no probe saw the service up after it (contract, words).
    pub fn verdict_unless_up(&self) -> &'static str {
        if self.last_status == "executed" { "ran_but_down" } else { "failed" }
    }

    /// A probe saw the pair up after a command.
    pub fn healed(&mut self, pair: &str) {
        if self.down.contains(pair) {
            self.seen.insert(Station::Healed);
            self.healed += 1;
        }
    }

    /// The pair is up again.
    pub fn recovered(&mut self, pair: &str) {
        self.down.remove(pair);
        self.times.extend(self.broken_at.take().map(|at| at.elapsed()));
    }

    /// A message was taken; the good ones have their mark in every language.
    pub fn told(&mut self, html: &str) {
        let good = html.contains('✅');
        self.owed &= !good;
        self.seen.insert(if good { Station::Restored } else { Station::Told });
        self.messages += 1;
    }

    /// Stations that were not reached.
    pub fn missing(&self) -> Vec<Station> {
        Station::ALL.into_iter().filter(|station| !self.seen.contains(station)).collect()
    }

    /// The middle time from a break to the service being seen up again.
    pub fn median(&self) -> Option<Duration> {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// The summary in one line.
    pub fn summary(&self, words: Words) -> String {
        words.summary(self.incidents, self.commands, self.healed, self.median(), self.messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_needs_two_commands_is_one_incident() {
        let mut score = Score::default();
        assert_eq!(score.missing(), Station::ALL);
        score.breaks();
        tokio::time::advance(Duration::from_secs(3)).await;
        score.down("A-B");
        score.ran("failed");
        assert_eq!(score.verdict_unless_up(), "failed");
        score.told("⚠️");
        score.down("A-B");
        score.ran("executed");
        assert_eq!(score.verdict_unless_up(), "ran_but_down");
        assert_eq!(score.missing(), [Station::Healed, Station::Restored]);
        assert!(score.is_broken() && score.owes_good_news());
        score.healed("A-B");
        score.recovered("A-B");
        score.told("✅");
        assert!(score.missing().is_empty() && !score.is_broken() && !score.owes_good_news());
        assert_eq!((score.incidents, score.commands, score.healed, score.messages), (1, 2, 1, 2));
        assert_eq!(score.median(), Some(Duration::from_secs(3)));
    }
}
