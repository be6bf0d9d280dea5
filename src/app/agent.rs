//! The agent: everything built in order, run until it is told to stop, and taken down in reverse order.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::clock::Clock;
use crate::engine::delivery::{self, ChannelHealth, Delivery};
use crate::engine::ledger::{Journal, Ledger, Outlet};
use crate::engine::narrate::{Narrator, Voice};
use crate::engine::{self, Engine};
use crate::env::Redactor;
use crate::fetch::{self, Roots};
use crate::message::Line;
use crate::probe::wire::Kit;
use crate::remedy::webhook;
use crate::store::{Recorder, Saved, Store, Write};
use crate::web;

use super::audit::{self, Audit};
use super::channels::{self, Configured};
use super::discovery::{Poll, Register};
use super::heartbeat::{self, Wellness};
use super::lock::Marked;
use super::log::LogGuard;
use super::masks::Masks;
use super::plans::{self, Hosts};
use super::reload::{Fixed, Reloader};
use super::source::Source;
use super::{port, recall, retention, state_file, systemd, troubles};

/// The control socket's name in `STATE_DIR`.
pub const SOCKET: &str = "monitor.sock";

/// The database is closed within this, or left as it is.
const STORE_CLOSES: Duration = Duration::from_secs(2);

/// What an agent is built from.
pub struct Parts {
    /// What it goes by.
    pub config: Config,
    /// Where the configuration is read from again.
    pub source: Source,
    /// Its log, when it is to be changed at a reload.
    pub log: Option<Arc<LogGuard>>,
    /// The reader's time zone.
    pub zone: TimeZone,
}

/// Runs an agent until `stop`; every error names what could not be built.
pub async fn run(parts: Parts, stop: CancellationToken, hangup: tokio::sync::mpsc::Receiver<()>) -> anyhow::Result<()> {
    let Parts { config, source, log, zone } = parts;
    fetch::install_crypto_provider();
    plans::raise_descriptor_limit();
    let clock = Clock::System;
    let narrator = Arc::new(Narrator::new(voice(&config, &zone)));
    let marked = introduce(&config, &source, &narrator);
    // Before anything is begun: who reports meanwhile waits in the kernel's queue.
    let port = port::open(config.port.as_ref()).await?;

    let (store, saved) = open_store(&config).await?;
    let mut resumed =
        recall::read(&store, &saved, &config.guard, clock.now()).await.context("the store cannot be read")?;

    // Written to last, stopped last.
    let mut records = JoinSet::new();
    let records_stop = CancellationToken::new();
    let (recorder, writing) = Recorder::new(store.clone());
    records.spawn({
        let stop = records_stop.clone();
        async move {
            let _lost = writing.run(stop).await;
        }
    });
    let journal: Arc<dyn Journal> = Arc::new(RecorderJournal(recorder.clone()));
    journal.record(recall::this_boot());
    let Audit { sink, work, log: audit_log } = audit::open(&config.general.state_dir, &journal, &saved.settings)?;
    // Its head goes to the recorder, so it ends first.
    let mut audited = JoinSet::new();
    audited.spawn(work);

    let redactor = Arc::new(RwLock::new(config.redactor.clone()));
    let roots = Roots::load(None).context("no certificate authorities")?;
    let kit = Kit::new(&roots).hearing(resumed.pushes.clone());
    let hooks = webhook::client(&roots).context("no client for web hooks")?;
    let hosts = Arc::new(RwLock::new(Arc::new(Hosts::new(&config, &source.for_commands(), None))));

    let mut deliveries = JoinSet::new();
    let deliveries_stop = CancellationToken::new();
    let channels = channels::build(&config, &roots, &saved.moves)?;
    let desk = Desk { journal: &journal, narrator: &narrator, clock };
    let (outlets, views) = desk.open(channels, &saved, &mut deliveries, &deliveries_stop);

    let (journal, state_file) = state_file::follow(&config, journal, &mut resumed.states, clock.now());
    let ledger = Ledger { journal, audit: sink, outlets, mask: mask(&redactor), zone: zone.clone() };
    let first: Arc<Hosts> = current(&hosts);
    let built = plans::plans(&config, &first, &kit, &hooks);
    let (engine, handle, pulse) =
        Engine::new(engine::Parts { plans: built, clock, ledger, narrator: narrator.clone(), saved: resumed });

    let discovery = Register::new(&config, source.held.clone(), &zone);
    let shared = marked.map(|marked| (marked, source.name.clone()));
    let troubles = troubles::of(log.as_ref(), audit_log, shared, discovery.clone());
    let reloader = Arc::new(Reloader {
        source,
        log,
        zone,
        narrator: narrator.clone(),
        redactor,
        masks: (Masks::new(config.secrets.clone()), config.marks.clone()).into(),
        kit,
        hooks,
        hosts: hosts.clone(),
        engine: handle.clone(),
        fixed: Fixed::of(&config),
        discovery: discovery.clone(),
    });
    let mut around = JoinSet::new();
    let around_stop = CancellationToken::new();
    let listener = listen(&config.general.state_dir)?;
    let wellness = Wellness::new(writes(&recorder), views.clone());
    let reload = reloading(reloader.clone());
    let state = web::State { engine: handle, store: store.clone(), channels: views, recorder, troubles, reload };
    around.spawn(port::serve(port, state.clone(), &narrator, around_stop.clone()));
    let served = web::serve(listener, state, around_stop.clone().cancelled_owned());
    around.spawn(async move {
        if let Err(error) = served.await {
            tracing::error!("the control socket stopped: {error}");
        }
    });
    let first = state_file::First { engine: reloader.engine.clone(), pulse: pulse.clone() };
    around.spawn(state_file::keep(state_file, Some(first), around_stop.clone()));
    around.spawn(retention::run(store.clone(), clock, around_stop.clone()));
    around.spawn(systemd::watchdog(pulse.clone(), around_stop.clone()));
    if let Some(url) = config.general.heartbeat.clone() {
        let client = fetch::client(&roots, Duration::from_secs(10)).context("no client for HEARTBEAT_URL")?;
        around.spawn(heartbeat::run(client, url, wellness, pulse, around_stop.clone()));
    }
    around.spawn(Poll::new(discovery, reloader.clone(), roots).run(around_stop.clone()));
    around.spawn(reloader.on_hangup(hangup, around_stop.clone()));
    systemd::ready();

    engine.run(stop).await;

    // What starts things stops first, what records and tells them last.
    systemd::stopping();
    around_stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(2), async { while around.join_next().await.is_some() {} }).await;
    around.shutdown().await;
    current(&hosts).close().await;
    deliveries_stop.cancel();
    while deliveries.join_next().await.is_some() {}
    audit::ended(audited).await;
    records_stop.cancel();
    while records.join_next().await.is_some() {}
    // Everything that was answered is on disk already; a database that hangs must not hold the stop.
    let _ = tokio::time::timeout(STORE_CLOSES, store.close()).await;
    let _ = std::fs::remove_file(config.general.state_dir.join(SOCKET));
    narrator.info(&Line::Stopped);
    Ok(())
}

fn reloading(reloader: Arc<Reloader>) -> web::Reload {
    Arc::new(move || -> BoxFuture<'static, _> { Box::pin(reloader.clone().reload()) })
}

/// Opens the store, and says what in it cannot be read.
async fn open_store(config: &Config) -> anyhow::Result<(Store, Saved)> {
    let store = Store::open(config.general.database_url.expose()).await.context("the store cannot be opened")?;
    let saved = store.load().await.context("the store cannot be read")?;
    for what in &saved.unreadable {
        tracing::error!("the store holds something this version cannot read, it is left as it is: {what}");
    }
    Ok((store, saved))
}

/// What every delivery stands on.
struct Desk<'a> {
    journal: &'a Arc<dyn Journal>,
    narrator: &'a Arc<Narrator>,
    clock: Clock,
}

impl Desk<'_> {
    /// Starts one delivery per channel, each with what waits for it; gives the ways in and the views of their health.
    fn open(
        &self,
        channels: Vec<Configured>,
        saved: &Saved,
        deliveries: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> (Vec<Outlet>, Vec<watch::Receiver<ChannelHealth>>) {
        let start = |Configured { channel, address }: Configured| {
            let name = channel.name().to_owned();
            let pending = saved.outbox.iter().filter(|row| row.channel == name).map(|row| row.notice.clone()).collect();
            let threads = saved.threads.iter().filter(|row| row.channel == name);
            let threads = threads.map(|row| (row.incident, row.message_ref.clone())).collect();
            let (journal, narrator) = (self.journal.clone(), self.narrator.clone());
            let parts = delivery::Parts {
                channel,
                name: name.clone(),
                address,
                pending,
                threads,
                journal,
                narrator,
                clock: self.clock,
            };
            let (delivery, notices, health) = Delivery::new(parts);
            deliveries.spawn(delivery.run(stop.clone()));
            (Outlet { channel: name, notices }, health)
        };
        channels.into_iter().map(start).unzip()
    }
}

/// The first lines of a run: what is watched, by what rules, from where, and what keeps us safe. Gives the mark on the
/// file, which says whether another agent goes by it.
fn introduce(config: &Config, source: &Source, narrator: &Narrator) -> Option<Arc<Marked>> {
    let pace = config.pace;
    narrator.info(&Line::Started { interval: pace.interval });
    let pairs: Vec<_> = config.pairs.iter().map(|pair| pair.name.clone()).collect();
    // Those of a list may be on their way.
    if config.discovery.is_none() || !pairs.is_empty() {
        narrator.info(&Line::Watching { pairs: &pairs });
    }
    narrator.info(&Line::Limits {
        factor: pace.factor,
        max_interval: pace.max,
        attempts: pace.attempts,
        retry_delay: pace.retry_delay,
    });
    let marked = source.file.as_deref().and_then(Marked::take).map(Arc::new);
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let (file, state_dir) = (source.file.as_deref().map(whole), whole(&config.general.state_dir));
    narrator.info(&Line::Identity { file: file.as_deref(), state_dir: &state_dir, process: std::process::id() });
    if let Some(file) = file.as_deref().filter(|_| marked.as_deref().is_some_and(Marked::is_shared)) {
        narrator.warn(&Line::NotAlone { file });
    }
    for (what, value) in &config.safer {
        narrator.info(&Line::SaferDefault { what: *what, value });
    }
    if config.guard.dry_run {
        narrator.warn(&Line::DryRun);
    }
    marked
}

fn writes(recorder: &Recorder) -> heartbeat::Records {
    let recorder = recorder.clone();
    Box::new(move || recorder.health().healthy)
}

pub(super) fn voice(config: &Config, zone: &TimeZone) -> Voice {
    Voice { language: config.language(), successes: config.log.successes, zone: zone.clone() }
}

fn mask(redactor: &Arc<RwLock<Redactor>>) -> Arc<dyn Fn(&str) -> String + Send + Sync> {
    let redactor = redactor.clone();
    Arc::new(move |text| current(&redactor).mask(text).into_owned())
}

pub(super) fn current<T: Clone>(shared: &Arc<RwLock<T>>) -> T {
    shared.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Opens the control socket for this user alone. The lock on `STATE_DIR` is ours, so what lies there is stale.
fn listen(state_dir: &Path) -> anyhow::Result<UnixListener> {
    let path = state_dir.join(SOCKET);
    let _ = std::fs::remove_file(&path);
    // Made under another name and moved once only we can open it: there is no moment in which others could.
    let making = state_dir.join(format!("{SOCKET}.{}", std::process::id()));
    let _ = std::fs::remove_file(&making);
    let opened = (|| {
        let listener = UnixListener::bind(&making)?;
        std::fs::set_permissions(&making, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&making, &path)?;
        Ok::<_, std::io::Error>(listener)
    })();
    opened.with_context(|| {
        format!("the control socket {} cannot be opened; choose a shorter or another STATE_DIR", path.display())
    })
}

/// The recorder as the engine's journal.
struct RecorderJournal(Recorder);

impl Journal for RecorderJournal {
    fn record(&self, writes: Vec<Write>) {
        self.0.record(writes);
    }

    fn recorded(&self, writes: Vec<Write>, within: Duration) -> BoxFuture<'static, bool> {
        let durable = self.0.recorded(writes, within);
        Box::pin(async move {
            match durable.await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!("not on disk: {error}");
                    false
                }
            }
        })
    }
}
