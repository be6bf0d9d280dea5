//! Carries out what the machine says: starts and ends what runs, sends signals, writes the log, hands on the news.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::heat::{Effect, Failure, Heat, How, Job, News, Note, Occasion, Seen, Streak, Trouble};
use crate::engine::clock::Clock;

use super::job::Running;
use super::journal::{Journal, Kind};
use super::receiver::{Receiver, Unsent};
use super::tell::Told;
use super::{Ended, Orders};

/// What we call ourselves in the log.
const OURSELVES: &str = "heat";
/// What an outer HEAT may have set, and nothing inside of this one should read.
const VARIABLES: [&str; 6] =
    ["HEAT_FAIL_CODE", "HEAT_FAIL_TIME", "HEAT_FAIL_TIME_LAST", "HEAT_FAIL_INTERVAL", "HEAT_FAIL_PID", "HEAT_FAIL_CNT"];

/// How long we wait for a signal to ourselves to be heard.
const HEARD: Duration = Duration::from_millis(100);

/// What the sending of a signal means to us.
enum Sent {
    /// Nothing.
    Nothing,
    /// We may be asked to stop.
    ToOurselves,
    /// Nobody is there to receive it.
    Gone,
}

/// The one task that owns everything.
pub struct Watch {
    orders: Orders,
    heat: Heat,
    receiver: Receiver,
    journal: Journal,
    clock: Clock,
    news: Option<mpsc::Sender<Told>>,
    complain: fn(&str),
    running: Option<Running>,
    begun: Instant,
}

impl Watch {
    pub fn new(
        orders: Orders,
        receiver: Receiver,
        journal: Journal,
        clock: Clock,
        news: Option<mpsc::Sender<Told>>,
        complain: fn(&str),
    ) -> Self {
        let heat = Heat::new(orders.rules());
        Self { orders, heat, receiver, journal, clock, news, complain, running: None, begun: Instant::now() }
    }

    /// Watches until `stop`, or until the machine ends it. Nothing runs any more afterwards.
    pub async fn run(mut self, stop: &CancellationToken) -> Result<(), Ended> {
        loop {
            let wake = self.heat.wake().and_then(|wake| self.begun.checked_add(wake));
            let seen = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.end().await;
                    self.note(Kind::Info, "stopped");
                    return Ok(());
                }
                () = self.receiver.gone() => Seen::ReceiverGone,
                how = ended(&mut self.running, &mut self.journal) => self.close(how),
                () = moment(wake) => Seen::Time,
            };
            if let Some(trouble) = self.follow(seen, stop).await {
                let said = self.said(&trouble);
                // Before anything is waited for.
                (self.complain)(&format!("heat: {said}; it ends"));
                self.note(Kind::Err, &said);
                self.end().await;
                return Err(Ended::Trouble(said));
            }
        }
    }

    /// Steps, and carries out what follows, with all that follows on it at once.
    async fn follow(&mut self, seen: Seen, stop: &CancellationToken) -> Option<Trouble> {
        let mut next = Some(seen);
        while let Some(seen) = next.take() {
            for effect in self.heat.step(self.begun.elapsed(), seen) {
                let unstarted = match effect {
                    Effect::Check => self.start(Job::Check, &[]),
                    Effect::Fail(failure) => self.start(Job::Fail, &self.about_failure(failure)),
                    Effect::Recover(streak) => self.start(Job::Recovery, &self.about_streak(streak)),
                    Effect::Signal(occasion) => match self.send(occasion) {
                        Sent::Gone => Some(Seen::ReceiverGone),
                        // It may be an order to stop, and then nothing is begun any more.
                        Sent::ToOurselves if timeout(HEARD, stop.cancelled()).await.is_ok() => return None,
                        Sent::Nothing | Sent::ToOurselves => None,
                    },
                    Effect::Tell(news) => {
                        self.tell(news);
                        None
                    }
                    Effect::Note(note) => {
                        self.write(&note);
                        None
                    }
                    Effect::End(trouble) => return Some(trouble),
                };
                // At most one of the effects of a step starts something; a receiver that is gone ends everything.
                if unstarted.is_some() {
                    next = unstarted;
                    if next == Some(Seen::ReceiverGone) {
                        break;
                    }
                }
            }
        }
        None
    }

    /// Starts something; gives its end when it did not even begin.
    fn start(&mut self, job: Job, variables: &[(&str, String)]) -> Option<Seen> {
        let program = match job {
            Job::Check => Some(&self.orders.check),
            Job::Fail => self.orders.fail.as_ref(),
            Job::Recovery => self.orders.recovery.as_ref(),
        };
        let at = self.now().as_second();
        let missing = || Err(How::Unstartable("none is set".to_owned()));
        let hidden: Vec<&str> = VARIABLES.iter().chain(&self.orders.hidden).copied().collect();
        let started = program
            .map_or_else(missing, |program| Running::start(job, program, variables, &hidden, self.orders.timeout, at));
        match started {
            Ok(running) => {
                self.running = Some(running);
                None
            }
            Err(how) => Some(Seen::Ended { how, at, pid: 0 }),
        }
    }

    /// Ends the block of what has ended, and says so to the machine.
    fn close(&mut self, how: How) -> Seen {
        let at = self.now().as_second();
        let Some(running) = self.running.take() else { return Seen::Time };
        let (pid, job) = (running.pid, running.job);
        let kind = match &how {
            How::Exit(0) => Kind::Info,
            How::Exit(_) | How::TimedOut => Kind::Fail,
            How::Killed(_) | How::Unstartable(_) | How::NotNow(_) => Kind::Err,
        };
        self.journal.end(running.into_block(), kind);
        // Its code alone could be its own.
        if (job, &how) == (Job::Check, &How::TimedOut) {
            self.note(Kind::Fail, &format!("{} {}", self.name(job), worded(&how)));
        }
        Seen::Ended { how, at, pid }
    }

    /// Ends what still runs, with its whole group.
    async fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.stop(&mut self.journal).await;
            self.journal.end(running.into_block(), Kind::Info);
        }
    }

    fn about_failure(&self, failure: Failure) -> Vec<(&'static str, String)> {
        vec![
            ("HEAT_FAIL_CODE", failure.code.to_string()),
            ("HEAT_FAIL_TIME", failure.at.to_string()),
            ("HEAT_FAIL_INTERVAL", seconds(self.orders.interval)),
            ("HEAT_FAIL_PID", failure.pid.to_string()),
        ]
    }

    fn about_streak(&self, streak: Streak) -> Vec<(&'static str, String)> {
        let mut variables = self.about_failure(Failure { at: streak.first.at, ..streak.last });
        variables.push(("HEAT_FAIL_TIME_LAST", streak.last.at.to_string()));
        variables.push(("HEAT_FAIL_CNT", streak.count.to_string()));
        variables
    }

    /// Sends the signal of an occasion, if there is one.
    fn send(&mut self, occasion: Occasion) -> Sent {
        let signals = self.orders.signals;
        let signal = match occasion {
            Occasion::Failure => signals.failure,
            Occasion::Fault => signals.fault,
            Occasion::Success => signals.success,
        };
        let Some(signal) = signal else { return Sent::Nothing };
        let ourselves = matches!(self.receiver, Receiver::Ourselves);
        let to = if ourselves { "heat itself".to_owned() } else { format!("process {}", self.receiver.pid()) };
        // Written first: a signal to ourselves may be the last thing that we see.
        self.note(Kind::Info, &format!("sending {signal} to {to}"));
        match self.receiver.send(signal) {
            Ok(()) if ourselves => Sent::ToOurselves,
            Ok(()) => Sent::Nothing,
            Err(Unsent::Gone) => Sent::Gone,
            Err(Unsent::Refused(why)) => {
                (self.complain)(&format!("heat: {why}"));
                self.note(Kind::Err, &why);
                Sent::Nothing
            }
        }
    }

    fn tell(&mut self, news: News) {
        let told = Told { news, at: self.now() };
        if self.news.as_ref().is_some_and(|news| news.try_send(told).is_err()) {
            (self.complain)("heat: too many messages wait, this one is not told");
        }
    }

    fn write(&mut self, note: &Note) {
        let check = &self.orders.check.shown;
        let (kind, text) = match note {
            Note::Failed(streak) => {
                let threshold = self.orders.threshold;
                let (code, count) = (streak.last.code, streak.count);
                (
                    Kind::Fail,
                    format!("{check} failed with code {code}; failures in a row: {count}, threshold: {threshold}"),
                )
            }
            Note::Succeeded(count) => (Kind::Info, format!("{check} succeeded after failures: {count}")),
            Note::Overlap(job) => {
                let what = self.name(*job);
                (Kind::Info, format!("an interval came due while {what} runs: the check is made once it has ended"))
            }
            Note::FailBroken(how) => (Kind::Err, format!("{} {}", self.name(Job::Fail), worded(how))),
            Note::Recovered(How::Exit(0)) => (Kind::Info, format!("{} has run", self.name(Job::Recovery))),
            Note::Recovered(how) => (Kind::Fail, format!("{} {}", self.name(Job::Recovery), worded(how))),
            Note::NotChecked(why) => {
                (Kind::Err, format!("{check} could not be started this time: {why}; the next interval tries again"))
            }
        };
        self.note(kind, &text);
    }

    fn name(&self, job: Job) -> &str {
        let program = match job {
            Job::Check => Some(&self.orders.check),
            Job::Fail => self.orders.fail.as_ref(),
            Job::Recovery => self.orders.recovery.as_ref(),
        };
        program.map_or("", |program| &program.shown)
    }

    fn said(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Check(how) => format!("the check {} {}", self.name(Job::Check), worded(how)),
            Trouble::Recovery(how) => format!("the recovery {} {}", self.name(Job::Recovery), worded(how)),
            Trouble::Receiver => format!("process {}, which receives the signals, is gone", self.receiver.pid()),
        }
    }

    fn note(&mut self, kind: Kind, text: &str) {
        let at = self.now().as_second();
        self.journal.write(at, kind, OURSELVES, text);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Waits for the end of what runs, if anything does.
async fn ended(running: &mut Option<Running>, journal: &mut Journal) -> How {
    match running {
        Some(running) => running.ended(journal).await,
        None => std::future::pending().await,
    }
}

async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Says how something ended, as the rest of a sentence.
fn worded(how: &How) -> String {
    match how {
        How::Exit(code) => format!("exited with code {code}"),
        How::TimedOut => "took longer than --timeout and was ended".to_owned(),
        How::Killed(signal) => format!("was killed by signal {signal}"),
        How::Unstartable(why) => format!("cannot be run: {why}"),
        How::NotNow(why) => format!("could not be started now: {why}"),
    }
}

/// Writes seconds in their shortest form: `30`, `0.5`.
fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
