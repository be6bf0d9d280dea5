//! `monitor demo`: the real agent among stand-ins of its own, on the loopback, with the story told live.
//!
//! `breakable` is what breaks, `machine` behind `sshd` what heals it, `chat` stands in for Telegram, `play` says what happens
//! when; `story` tells it on the `screen`. The agent is `app`'s, with a configuration like any other.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use jiff::tz::TimeZone;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::source::{self, Source};
use crate::app::{agent, lock, log, signals};
use crate::message::Language;

use super::{FAILED, FINE, complain};

mod breakable;
mod bubble;
mod chat;
mod entry;
mod folder;
mod machine;
mod play;
mod score;
mod screen;
mod settings;
mod sshd;
mod story;
mod words;

use breakable::Service;
use folder::Folder;
use machine::{Machine, Unit};
use score::Score;
use screen::{Ink, Screen, piece};
use words::Words;

/// With `--once`, the first outage has to be healed within this time; it takes about seven seconds.
const ONCE_WITHIN: Duration = Duration::from_mins(1);
/// What the agent is given to end; together with the log's end it stays below two seconds.
const AGENT_ENDS: Duration = Duration::from_millis(1200);
/// What the log and the story are given to end.
const STORY_ENDS: Duration = Duration::from_millis(400);
/// Between two outages.
const REST: Duration = Duration::from_secs(25);
/// Between two outages with `--fast`.
const SHORT_REST: Duration = Duration::from_secs(5);
/// Cues and messages that may wait for the story.
const WAITING: usize = 64;

/// How to show it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop after the first outage that was healed; exits 1 when none was within a minute
    #[arg(long)]
    once: bool,
    /// Rest 5 seconds between outages instead of 25
    #[arg(long)]
    fast: bool,
    /// The language of log, messages and story
    #[arg(long, value_name = "en|ru|ko", default_value_t)]
    language: Language,
}

/// Shows the demo.
pub fn run(args: &Args) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the system gives us no threads: {error}"));
            return FAILED;
        }
    };
    let outcome = runtime.block_on(show(args));
    // Sessions of the stand-ins may still be saying goodbye; nobody waits for them.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("the demo stopped: {error:#}"));
            FAILED
        }
    }
}

/// Builds everything in order, waits for the end, and takes it down in reverse order.
async fn show(args: &Args) -> anyhow::Result<u8> {
    let words = Words(args.language);
    let stop = CancellationToken::new();
    let screen = Screen::of_stdout(source::wants_plain_text(), stop.clone());
    let mut around = JoinSet::new();
    let (reload, reloads) = mpsc::channel(1);
    let mut signals = Box::pin(signals::listen(stop.clone(), reload));
    // Heard before there is a folder to leave behind.
    if let Some(Err(error)) = signals.as_mut().now_or_never() {
        return Err(error).context("signals cannot be heard");
    }
    around.spawn(async move {
        let _ = signals.await;
    });
    let folder = Folder::make().context("no temporary folder can be made; set TMPDIR to one that you may write to")?;

    let mut stand_ins = JoinSet::new();
    let chat_stop = CancellationToken::new();
    let (taken, messages) = mpsc::channel(WAITING);
    let scene =
        Scene::set(taken, &mut stand_ins, &chat_stop).await.context("the stand-ins cannot listen on 127.0.0.1")?;
    let text = scene.settings(args.language, &folder)?;
    let source = Source::of_file(folder.write(".env", &text).context("the .env cannot be written")?);
    let loaded = source.load()?;
    let config = loaded.config.with_context(|| loaded.report.to_string())?;
    open(&screen, words, &loaded.redactor.mask(&text));

    let _lock = lock::take(&config.general.state_dir)?;
    let (told, log) = io::pipe().context("no pipe for the log")?;
    let told = pipe::Receiver::from_owned_fd(OwnedFd::from(told)).context("no pipe for the log")?;
    let (dispatch, log) = log::build(super::run::log_options(&config), Some(File::from(OwnedFd::from(log))))?;
    // Held here too: what is said last must still be told.
    let log = Arc::new(log);
    tracing::dispatcher::set_global_default(dispatch).context("the log was started twice")?;

    let score = watch::Sender::new(Score::default());
    let (cues, prompts) = mpsc::channel(WAITING);
    let teller = story::Teller { screen: screen.clone(), words, score: score.clone(), urls: scene.urls() };
    let mut story = JoinSet::new();
    story.spawn(teller.tell(told, prompts, messages));
    let rest = (!args.once).then_some(if args.fast { SHORT_REST } else { REST });
    around.spawn(play::perform(scene.shop.clone(), cues, score.clone(), rest));
    let parts = agent::Parts { config, source, log: Some(log.clone()), zone: TimeZone::system() };
    let mut agent = Box::pin(agent::run(parts, stop.clone(), reloads));
    let (outcome, in_time) = tokio::select! {
        outcome = &mut agent => (Some(outcome), true),
        () = stop.cancelled() => (None, true),
        in_time = healed_once(args.once, &score) => (None, in_time),
    };
    stop.cancel();
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => timeout(AGENT_ENDS, &mut agent).await.unwrap_or(Ok(())),
    };
    // With the agent goes the log, with the log its pipe, and with that the story ends.
    drop(agent);
    drop(log);
    around.shutdown().await;
    let _ = timeout(STORY_ENDS, story.join_next()).await;
    story.shutdown().await;
    chat_stop.cancel();
    stand_ins.shutdown().await;
    drop(folder);
    outcome?;
    let missing = score.borrow().missing();
    close(&screen, words, &score.borrow().summary(words));
    if args.once && !missing.is_empty() {
        complain(&words.missing(&missing, (!in_time).then_some(ONCE_WITHIN)));
        return Ok(FAILED);
    }
    Ok(FINE)
}

/// Waits for the first healed outage; false when it does not come in time. Without `--once` it waits for ever.
async fn healed_once(once: bool, score: &watch::Sender<Score>) -> bool {
    if !once {
        return std::future::pending().await;
    }
    let mut seen = score.subscribe();
    let all = seen.wait_for(|score| score.missing().is_empty());
    tokio::select! {
        all = all => all.is_ok(),
        () = sleep(ONCE_WITHIN) => false,
    }
}

/// What stands around the agent.
struct Scene {
    shop: Arc<Unit>,
    blog: Arc<Unit>,
    door: sshd::Door,
    desk: chat::Desk,
}

impl Scene {
    async fn set(
        taken: mpsc::Sender<chat::Taken>,
        tasks: &mut JoinSet<()>,
        chat_stop: &CancellationToken,
    ) -> io::Result<Self> {
        let shop = Arc::new(Unit::new("shop", Service::start(tasks)?));
        let blog = Arc::new(Unit::new("blog", Service::start(tasks)?));
        let door = sshd::start(Machine::new([shop.clone(), blog.clone()]), tasks).await?;
        let desk = chat::start(taken, tasks, chat_stop.clone()).await?;
        Ok(Self { shop, blog, door, desk })
    }

    fn urls(&self) -> Vec<String> {
        vec![self.shop.url(), self.blog.url()]
    }

    fn settings(&self, language: Language, folder: &Folder) -> anyhow::Result<String> {
        settings::text(&settings::Facts {
            shop: &self.shop.url(),
            blog: &self.blog.url(),
            door: &self.door,
            telegram: &self.desk.url,
            token: &self.desk.token,
            language,
            folder: folder.path(),
        })
        .context("the name of the temporary folder cannot stand in a .env; set TMPDIR to a plainer one")
    }
}

/// The first lines, and the configuration as the agent will read it.
fn open(screen: &Screen, words: Words, settings: &str) {
    screen.say(&[piece(Ink::Bold, "monitor demo"), piece(Ink::Plain, &format!(" · {}", words.title()))]);
    let dash = [piece(Ink::Magenta, " - ")];
    for line in words.opening() {
        screen.line(&dash, &[piece(Ink::Plain, "   ")], &[piece(Ink::Plain, line)]);
    }
    screen.say(&[]);
    screen.say(&[piece(Ink::Bold, words.settings())]);
    let edge = [piece(Ink::Faint, " │ ")];
    for line in settings.lines() {
        let body = match line.split_once('=') {
            Some((key, value)) => vec![piece(Ink::Cyan, key), piece(Ink::Plain, "="), piece(Ink::Plain, value)],
            None => Vec::new(),
        };
        screen.line(&edge, &edge, &body);
    }
    screen.say(&[]);
    screen.say(&[piece(Ink::Bold, words.starts())]);
}

/// The last lines: what was seen, and what to do next.
fn close(screen: &Screen, words: Words, summary: &str) {
    screen.say(&[]);
    screen.say(&[piece(Ink::Bold, words.ending())]);
    screen.line(&[piece(Ink::Plain, "  ")], &[piece(Ink::Plain, "  ")], &[piece(Ink::Plain, summary)]);
    let [make, read] = words.next();
    screen.line(
        &[piece(Ink::Plain, "  ")],
        &[piece(Ink::Plain, "  ")],
        &[piece(Ink::Plain, make), piece(Ink::Cyan, " monitor init"), piece(Ink::Plain, ", "), piece(Ink::Plain, read)],
    );
}

/// Bytes that nobody can guess.
fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

/// A word of `n` such bytes in hexadecimal, at most 64.
fn random(n: usize) -> io::Result<String> {
    let bytes = bytes::<64>()?;
    Ok(data_encoding::HEXLOWER.encode(bytes.get(..n).unwrap_or(&bytes)))
}
