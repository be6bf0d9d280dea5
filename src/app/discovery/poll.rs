//! Asks for the list again and again: what it changed is kept, told and taken into force; a list that cannot be read changes
//! nothing but the time of the next try.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::reload::Reloader;
use crate::app::source::Source;
use crate::config::discovery::Discovery;
use crate::discovery::ask::{Answer, Asker};
use crate::discovery::list::Listed;
use crate::discovery::{Change, LeftOut, Roll, Rules, read};
use crate::domain::backoff::Backoff;
use crate::engine::clock::Clock;
use crate::fetch::Roots;

use super::{FILE, Register, file, words};

/// While the list cannot be read it is asked for less and less often, and at least so often.
const PATIENCE: Duration = Duration::from_mins(5);
/// A list that does not change is written down again after this, so that its age can be told after a restart.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// Whoever asks.
pub(in crate::app) struct Poll {
    register: Arc<Register>,
    reloader: Arc<Reloader>,
    roots: Roots,
    clock: Clock,
}

/// How one list fares, from the moment that its address is known.
struct Course {
    discovery: Discovery,
    asker: Asker,
    tag: Option<HeaderValue>,
    /// When it was last read.
    read: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// What it calls itself was told.
    odd: bool,
}

impl Poll {
    /// Asks for the list of `register`, and brings it into force by `reloader`.
    pub(in crate::app) fn new(register: Arc<Register>, reloader: Arc<Reloader>, roots: Roots) -> Self {
        Self { register, reloader, roots, clock: Clock::System }
    }

    /// Asks until `stop`; begins anew whenever the configuration wants another list.
    pub(in crate::app) async fn run(self, stop: CancellationToken) {
        let mut wanted = self.register.wanted.subscribe();
        loop {
            let discovery = wanted.borrow_and_update().clone();
            let course = async {
                match discovery {
                    Some(discovery) => self.follow(discovery).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                () = course => return,
            }
        }
    }

    async fn follow(&self, discovery: Discovery) {
        let asker = match Asker::new(&discovery, &self.roots) {
            Ok(asker) => asker,
            Err(error) => {
                let error = crate::store::in_one_line(&error);
                tracing::error!("DISCOVERY_URL is never asked: {error}; restart the agent");
                self.register.told().unread = Some((error, self.clock.now()));
                return std::future::pending().await;
            }
        };
        self.introduce(&discovery);
        let backoff = Backoff::new(discovery.interval, 2.0, discovery.interval.max(PATIENCE));
        let mut course = Course { discovery, asker, tag: None, read: None, failures: 0, odd: false };
        // Whoever asked before may have left something to do.
        self.settle().await;
        loop {
            let wait = match self.look(&mut course).await {
                Ok(()) => {
                    self.well(&mut course);
                    course.discovery.interval
                }
                Err(why) => {
                    course.failures = course.failures.saturating_add(1);
                    let wait = backoff.delay(course.failures);
                    self.ill(&course, why, wait);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn introduce(&self, discovery: &Discovery) {
        let roll = self.register.held.known();
        let url = discovery.url.shown();
        if roll.read.is_some() {
            let stays = words::stays(&roll, &self.register.zone);
            tracing::info!("Asking for the list {url}; until it answers {stays}");
            if roll.from != url {
                tracing::warn!("the last good list came from {}, and DISCOVERY_URL is now {url}", roll.from);
            }
        } else {
            tracing::info!("Asking for the list {url}");
        }
    }

    /// Asks once, and does what follows.
    async fn look(&self, course: &mut Course) -> Result<(), String> {
        let answer = course.asker.ask(course.tag.as_ref()).await?;
        let held = &self.register.held;
        let before = held.known();
        let (listed, tag) = match answer {
            Answer::Same => (None, course.tag.take()),
            Answer::List { bytes, tag, odd } => {
                if let Some(odd) = odd.filter(|_| !std::mem::replace(&mut course.odd, true)) {
                    tracing::warn!(
                        "DISCOVERY_URL calls its list {odd}, and application/json is expected; it is read as JSON"
                    );
                }
                let (limit, known) = (course.discovery.limit, before.clone());
                // Megabytes of JSON are no work for a thread that others wait for.
                let read = tokio::task::spawn_blocking(move || read(&bytes, limit, &known)).await;
                let listed = read.map_err(|error| error.to_string())?.map_err(|broken| broken.to_string())?;
                (Some(listed), tag)
            }
        };
        course.tag = tag;
        // Time in which the list could not be read does not count, nor time in which we did not run.
        let passed = course.read.map_or(Duration::ZERO, |read| read.elapsed().min(course.discovery.interval));
        course.read = Some(Instant::now());
        let (mut roll, now) = (Roll::clone(&before), self.clock.now());
        let rules = Rules { grace: course.discovery.grace, limit: course.discovery.limit };
        let (change, unread) = match listed {
            None => (roll.confirm(passed, rules, now), None),
            Some(Listed { entries, mut left_out }) => {
                let change = roll.update(entries, passed, rules, now);
                left_out.extend(words::crowded_out(&change, rules.limit));
                (change, Some(left_out))
            }
        };
        roll.from = course.discovery.url.shown();
        if !change.crowded_out.is_empty() {
            // They come in as soon as there is room, so the whole list is wanted each time.
            course.tag = None;
        }
        tell(&change, &before, rules.grace);
        self.keep(&change, &before, &roll).await;
        // From here to the end nothing waits: what is held now is owed, whoever goes on.
        self.register.told().weigh(&change, &before, &roll, now);
        held.put(Arc::new(roll), unread);
        self.register.told().owed |= change.is_effective();
        self.settle().await;
        Ok(())
    }

    /// Takes into force what is owed.
    async fn settle(&self) {
        if self.register.told().owed {
            // What went wrong is in the log, and it is tried again next time.
            let owed = self.reloader.relist().await.is_err();
            let mut told = self.register.told();
            (told.owed, told.unfit) = (owed, owed);
        }
        self.register.tell_left_out();
    }

    /// Writes it down, when there is something to write.
    async fn keep(&self, change: &Change, before: &Roll, roll: &Roll) {
        let aged = match (before.read, roll.read) {
            (Some(before), Some(now)) => now.duration_since(before) >= KEPT,
            _ => true,
        };
        let again = self.register.told().unkept.is_some();
        let moved = before.from != roll.from;
        if change.is_empty() && !roll.is_waiting() && !aged && !again && !moved {
            return;
        }
        let (path, roll) = (self.register.state_dir.join(FILE), roll.clone());
        let written = tokio::task::spawn_blocking({
            let path = path.clone();
            move || file::write(&path, &roll)
        });
        let outcome = written.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        let unkept = outcome.err().map(|error| error.to_string());
        let before = std::mem::replace(&mut self.register.told().unkept, unkept.clone());
        match (before, unkept) {
            (None, Some(error)) => tracing::error!(
                "{} cannot be written, so a restart would begin with an older list: {error}; check the space and rights of STATE_DIR",
                path.display()
            ),
            (Some(_), None) => tracing::info!("{} is written again", path.display()),
            _ => {}
        }
    }

    fn well(&self, course: &mut Course) {
        if std::mem::take(&mut course.failures) > 0 {
            tracing::info!("The list of DISCOVERY_URL can be read again");
        }
        self.register.told().unread = None;
    }

    fn ill(&self, course: &Course, why: String, wait: Duration) {
        let wait = crate::env::duration::shown(wait);
        let before = self.register.told().unread.take();
        let same = before.as_ref().is_some_and(|(before, _)| *before == why);
        if same {
            tracing::debug!("DISCOVERY_URL still cannot be read: {why}; the next try is in {wait}");
        } else {
            let stays = words::stays(&self.register.held.known(), &self.register.zone);
            let url = course.discovery.url.shown();
            tracing::warn!("the list {url} cannot be read: {why}; {stays}; the next try is in {wait}");
        }
        let since = before.map_or_else(|| self.clock.now(), |(_, since)| since);
        self.register.told().unread = Some((why, since));
    }
}

fn tell(change: &Change, before: &Roll, grace: Duration) {
    if change.lost_most {
        let (lost, of) = (change.missing.len(), before.present());
        let then = crate::env::duration::shown(grace);
        tracing::warn!(
            "the list of DISCOVERY_URL lost {lost} of its {of} targets at once; they are watched for {then} more \
             unless they come back (DISCOVERY_GRACE)"
        );
    }
    if let Some(text) = words::change(change, grace) {
        tracing::info!("{text}");
    }
}

/// What one look at the list finds, for whoever checks a configuration.
pub struct Found {
    /// Targets of the list that would be watched.
    pub watched: usize,
    /// Those that would not.
    pub left_out: Vec<LeftOut>,
}

/// Asks for the list once, and tries how the configuration takes it; nothing is written down.
pub async fn once(source: &Source, discovery: &Discovery, roots: &Roots) -> Result<Found, String> {
    let asker = Asker::new(discovery, roots).map_err(|error| crate::store::in_one_line(&error))?;
    let Answer::List { bytes, .. } = asker.ask(None).await? else { return Err("no list came".to_owned()) };
    let held = &source.held;
    let Listed { entries, left_out } =
        read(&bytes, discovery.limit, &held.known()).map_err(|error| error.to_string())?;
    let mut roll = Roll::default();
    let rules = Rules { grace: discovery.grace, limit: discovery.limit };
    roll.update(entries, Duration::ZERO, rules, Clock::System.now());
    let of = roll.members.len();
    let before = held.known();
    held.put(Arc::new(roll), Some(left_out.clone()));
    let loaded = source.load().map_err(|error| error.to_string());
    let unlaid = std::mem::take(&mut held.inside().unlaid);
    held.put(before, Some(Vec::new()));
    loaded?;
    let watched = of.saturating_sub(unlaid.len());
    let mut left_out: Vec<LeftOut> = left_out.into_iter().chain(unlaid).collect();
    left_out.sort();
    left_out.dedup();
    Ok(Found { watched, left_out })
}
