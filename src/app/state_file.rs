//! `STATE_FILE`: one word for other programs about where the one pair stands, always whole and never older than the last
//! decision. It follows what the engine saves; a probe that could not look saves nothing, and so it changes nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{Act, Config};
use crate::domain::name::PairName;
use crate::domain::outage::{Outage, State};
use crate::domain::reading::{Cause, Fault, Phases};
use crate::domain::remedy::IncidentId;
use crate::engine::handle::{Handle, PairState};
use crate::engine::ledger::Journal;
use crate::store::Write;

/// After this a word that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// Bytes read of a file that may hold anything.
const LONGEST: usize = 64;

/// Where a pair stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It was not seen yet.
    Unknown,
    /// The last check that could look said `up`, and recovery is complete.
    Alive,
    /// An incident is open.
    Dead,
}

impl Word {
    const ALL: [Self; 3] = [Self::Unknown, Self::Alive, Self::Dead];

    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Alive => "active_alive",
            Self::Dead => "active_dead",
        }
    }

    /// The word for a saved state; a pair that was never looked at has none.
    fn of(state: &State) -> Option<Self> {
        match state {
            State::Fresh => None,
            State::Up { .. } => Some(Self::Alive),
            State::Down(_) => Some(Self::Dead),
        }
    }

    /// The word that stands in a file, whoever wrote it.
    fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|about| about.is_file()))?;
        io::Read::read_to_string(&mut io::Read::take(file, LONGEST as u64), &mut text).ok()?;
        Self::ALL.into_iter().find(|word| word.as_str() == text.trim())
    }
}

/// The file, and the word that it is to hold.
pub(super) struct StateFile {
    pair: PairName,
    path: PathBuf,
    word: watch::Receiver<Word>,
}

/// Begins to follow what is recorded, where the configuration wants it: gives the journal to record into from now on.
///
/// What was saved says where the pair stands. When nothing was, the file may say that its services run for a dead machine,
/// because another program watched before us: then the incident is taken over, so that recovery stops them. Where nothing
/// is started for an incident the word says nothing about this machine.
pub(super) fn follow(
    config: &Config,
    journal: Arc<dyn Journal>,
    states: &mut HashMap<PairName, State>,
    now: Timestamp,
) -> (Arc<dyn Journal>, Option<StateFile>) {
    let (Some(path), [pair]) = (config.general.state_file.clone(), config.pairs.as_slice()) else {
        return (journal, None);
    };
    let found = Word::read(&path);
    let known = states.get(&pair.name).map(Word::of);
    let act = config.sites.get(&pair.name.site).and_then(|site| site.act.as_ref()).filter(|_| pair.acts);
    let starts = act.is_some_and(Act::is_once);
    let claimed = known.is_none() && found == Some(Word::Dead);
    if claimed && !starts {
        tracing::warn!(
            "STATE_FILE {} says {} and nothing is saved: that is not taken over, because nothing is started for an incident \
             of {}; the next check decides",
            path.display(),
            Word::Dead.as_str(),
            pair.name
        );
    }
    if claimed && starts {
        tracing::warn!(
            "STATE_FILE {} says {} and nothing is saved: the incident is taken over as it is; while {} is down its services \
             are started once more, which changes nothing where they run",
            path.display(),
            Word::Dead.as_str(),
            pair.name
        );
        let outage = taken_over(now);
        journal.record(vec![Write::IncidentOpened {
            id: outage.incident,
            pair: pair.name.clone(),
            at: now,
            cause: outage.fault.cause,
            reason: outage.fault.reason.clone(),
        }]);
        states.insert(pair.name.clone(), State::Down(Box::new(outage)));
    }
    let first = known.flatten().or(found.filter(|_| starts || !claimed)).unwrap_or(Word::Unknown);
    let (say, word) = watch::channel(first);
    let pair = pair.name.clone();
    (Arc::new(Followed { journal, pair: pair.clone(), word: say }), Some(StateFile { pair, path, word }))
}

/// The incident that another program has begun to deal with: what it started has to be stopped, and may have ended since.
fn taken_over(now: Timestamp) -> Outage {
    let fault = Fault::new(Cause::Timeout, "taken over from STATE_FILE: who watched before saw no answer");
    let incident = IncidentId(Uuid::now_v7());
    Outage { told: true, begun: true, ..Outage::opened(incident, now, fault, Phases::default()) }
}

/// A journal that shows the word of each state that passes through it.
struct Followed {
    /// Where everything goes on to.
    journal: Arc<dyn Journal>,
    /// Whose states are shown: a reload may bring others.
    pair: PairName,
    /// Who is shown.
    word: watch::Sender<Word>,
}

impl Followed {
    fn show(&self, writes: &[Write]) {
        let last = writes.iter().rev().find_map(|write| match write {
            Write::PairState { pair, state_json, .. } if *pair == self.pair => {
                Word::of(&serde_json::from_str(state_json).ok()?)
            }
            Write::PairForgotten { pair } if *pair == self.pair => Some(Word::Unknown),
            _ => None,
        });
        if let Some(word) = last {
            self.word.send_if_modified(|known| std::mem::replace(known, word) != word);
        }
    }
}

impl Journal for Followed {
    fn record(&self, writes: Vec<Write>) {
        self.show(&writes);
        self.journal.record(writes);
    }

    fn recorded(&self, writes: Vec<Write>, within: Duration) -> BoxFuture<'static, bool> {
        self.show(&writes);
        self.journal.recorded(writes, within)
    }
}

/// Keeps the file at the word until `stop`, and writes the last one before it ends.
///
/// A first success is nothing to save, so until there is something the engine is asked.
pub(super) async fn keep(file: Option<StateFile>, mut asked: Option<First>, stop: CancellationToken) {
    let Some(StateFile { pair, path, mut word }) = file else { return };
    let mut written = Word::read(&path);
    let (mut failing, mut seen) = (false, None);
    loop {
        let mut wanted = *word.borrow_and_update();
        if wanted == Word::Unknown {
            wanted = seen.unwrap_or(Word::Unknown);
        } else {
            seen = None;
        }
        if written != Some(wanted) {
            let (at, text) = (path.clone(), wanted.as_str());
            let done = tokio::task::spawn_blocking(move || replace(&at, text)).await;
            match done.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("STATE_FILE {} is written again: {text}", path.display());
                    }
                    written = Some(wanted);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(
                            "STATE_FILE {} cannot be written, whoever reads it is misled: {error}; let this user write to \
                             its folder, it is tried again every {} s",
                            path.display(),
                            AGAIN.as_secs()
                        );
                    }
                }
            }
        }
        let behind = written != Some(wanted);
        tokio::select! {
            biased;
            changed = word.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
            found = first(&mut asked, &pair), if wanted == Word::Unknown => seen = found,
            () = tokio::time::sleep(AGAIN), if behind => {}
        }
    }
}

/// Who is asked until something was saved.
pub(super) struct First {
    /// The engine.
    pub(super) engine: Handle,
    /// Changes as often as it is worth asking.
    pub(super) pulse: watch::Receiver<u64>,
}

/// Waits for the next pulse and looks where the pair stands.
async fn first(asked: &mut Option<First>, pair: &PairName) -> Option<Word> {
    let Some(First { engine, pulse }) = asked else { return std::future::pending().await };
    if pulse.changed().await.is_err() {
        return std::future::pending().await;
    }
    let status = engine.status().await.ok()?;
    match status.pairs.iter().find(|status| status.pair == *pair)?.state {
        PairState::Up => Some(Word::Alive),
        PairState::Down => Some(Word::Dead),
        PairState::Fresh | PairState::Unknown => None,
    }
}

/// Puts a word in the place of the file: who reads sees the old one or the new one, whole.
fn replace(path: &Path, word: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut making = std::ffi::OsString::from(".");
    making.push(name);
    making.push(".new");
    let making = folder.join(making);
    let _ = std::fs::remove_file(&making);
    let done = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&making)?;
        writeln!(file, "{word}")?;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        std::fs::rename(&making, path)?;
        File::open(folder)?.sync_all()
    })();
    if done.is_err() {
        let _ = std::fs::remove_file(&making);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> PairName {
        "STANDBY:ACTIVE".parse().unwrap()
    }

    /// Keeps nothing.
    struct Nowhere;

    impl Journal for Nowhere {
        fn record(&self, _: Vec<Write>) {}

        fn recorded(&self, _: Vec<Write>, _: Duration) -> BoxFuture<'static, bool> {
            Box::pin(async { true })
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_word_is_replaced_whole_and_everybody_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        assert_eq!(Word::read(&path), None);
        for word in Word::ALL {
            replace(&path, word.as_str()).unwrap();
            assert_eq!(Word::read(&path), Some(word));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", word.as_str()));
        }
        assert_eq!(mode(&path), 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_word_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for text in ["", "dead", "active_dead active_alive", "\u{0}", &"x".repeat(99_999)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Word::read(&path), None, "{text:.20?}");
        }
        // As the script wrote it: without a line end.
        std::fs::write(&path, "active_dead").unwrap();
        assert_eq!(Word::read(&path), Some(Word::Dead));
        assert_eq!(Word::read(dir.path()), None);
        assert_eq!(Word::read(Path::new("/dev/zero")), None);
    }

    #[test]
    fn no_other_pair_is_followed_after_a_reload() {
        let (say, word) = watch::channel(Word::Alive);
        let followed = Followed { journal: Arc::new(Nowhere), pair: pair(), word: say };
        let other: PairName = "DC3:SRV4".parse().unwrap();
        let down = State::Down(Box::new(taken_over(Timestamp::UNIX_EPOCH)));
        let state = |pair: &PairName| Write::PairState {
            pair: pair.clone(),
            state_json: serde_json::to_string(&down).unwrap(),
            at: Timestamp::UNIX_EPOCH,
        };
        followed.record(vec![state(&other), Write::PairForgotten { pair: other.clone() }]);
        assert_eq!(*word.borrow(), Word::Alive);
        followed.record(vec![state(&pair()), state(&other)]);
        assert_eq!(*word.borrow(), Word::Dead);
        followed.record(vec![Write::PairForgotten { pair: pair() }, state(&other)]);
        assert_eq!(*word.borrow(), Word::Unknown);
    }

    #[test]
    fn only_what_is_started_for_an_incident_is_taken_over_and_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let (env, path) = (dir.path().join(".env"), dir.path().join("state"));
        std::fs::write(&path, "active_dead").unwrap();
        for (mode, word) in [("start-stop", Word::Dead), ("restart", Word::Unknown)] {
            let text = format!(
                "INTERVAL=30\nMAPPINGS=STANDBY:ACTIVE\nACTIVE_URL=icmp://10.0.0.2\nSTANDBY_LOCAL=true\n\
                 STANDBY_SERVICES=a.service\nSTANDBY_SERVICES_MODE={mode}\nSTATE_FILE={}\n\
                 TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n",
                path.display()
            );
            std::fs::write(&env, text).unwrap();
            let config = crate::app::source::Source::of_file(env.clone()).load().unwrap().config.unwrap();
            let mut states = HashMap::new();
            let (_, file) = follow(&config, Arc::new(Nowhere), &mut states, Timestamp::UNIX_EPOCH);
            assert_eq!(*file.unwrap().word.borrow(), word, "{mode}");
            match states.get(&pair()) {
                Some(State::Down(outage)) => {
                    assert_eq!((mode, outage.begun, outage.standing), ("start-stop", true, false));
                    assert_eq!(outage.climbed, 0, "the start is the next rung");
                }
                other => assert!(mode == "restart" && other.is_none(), "{mode}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_file_follows_the_word_also_the_last_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (say, word) = watch::channel(Word::Unknown);
        let stop = CancellationToken::new();
        let kept = keep(Some(StateFile { pair: pair(), path: path.clone(), word }), None, stop.clone());
        let told = async {
            say.send(Word::Alive).unwrap();
            say.send(Word::Dead).unwrap();
            stop.cancel();
        };
        tokio::join!(kept, told);
        assert_eq!(Word::read(&path), Some(Word::Dead));
    }
    #[tokio::test(start_paused = true)]
    async fn a_word_that_cannot_be_written_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("late/state");
        let (_say, word) = watch::channel(Word::Dead);
        let stop = CancellationToken::new();
        let kept = keep(Some(StateFile { pair: pair(), path: path.clone(), word }), None, stop.clone());
        let told = async {
            tokio::time::sleep(AGAIN / 2).await;
            assert_eq!(Word::read(&path), None);
            std::fs::create_dir(dir.path().join("late")).unwrap();
            tokio::time::sleep(AGAIN).await;
            assert_eq!(Word::read(&path), Some(Word::Dead));
            stop.cancel();
        };
        tokio::join!(kept, told);
    }
}
