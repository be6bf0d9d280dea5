//! The database against both kinds: the same scenarios on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what broke by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use monitor::domain::name::{PairName, SiteName};
use monitor::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use monitor::domain::reading::{Cause, Fault, Phases};
use monitor::domain::refusal::Refusal;
use monitor::domain::remedy::{IncidentId, NoticeId, RunId, RunStatus, Verdict};
use monitor::store::history::Filter;
use monitor::store::report::Period;
use monitor::store::{Closing, Ended, NotRecorded, Order, Recorder, Store, StoreError, Thread, Write};
use sqlx::{AnyConnection, Connection, Executor};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::postgres;

/// Where a scenario's database is.
struct Place {
    url: String,
    lock: &'static str,
    _folder: TempDir,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/with space.db", folder.path().display());
        Self { url, lock: "BEGIN EXCLUSIVE", _folder: folder }
    }

    async fn postgres() -> Self {
        let lock = "BEGIN; LOCK TABLE settings IN ACCESS EXCLUSIVE MODE";
        Self { url: postgres::database().await, lock, _folder: tempfile::tempdir().unwrap() }
    }

    async fn store(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// A second connection, as another program would have.
    async fn beside(&self) -> AnyConnection {
        AnyConnection::connect(&self.url.replace(' ', "%20")).await.unwrap()
    }
}

macro_rules! on_both {
    ($name:ident, $scenario:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn on_sqlite() {
                within($scenario(Place::sqlite())).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                within($scenario(Place::postgres().await)).await;
            }
        }
    };
}

async fn within(work: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("the scenario took over a minute");
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn pair() -> PairName {
    "DC3-SRV4".parse().unwrap()
}

fn opened(n: u128, second: i64) -> Write {
    Write::IncidentOpened {
        id: IncidentId(id(n)),
        pair: pair(),
        at: at(second),
        cause: Cause::Refused,
        reason: "nobody listens".to_owned(),
    }
}

fn order(n: u128, second: i64) -> Order {
    Order {
        run: RunId(id(n)),
        incident: Some(IncidentId(id(1))),
        pair: pair(),
        site: SiteName::new("DC3").unwrap(),
        command: "systemctl restart network-service".to_owned(),
        rung: 1,
        attempt: 2,
        at: at(second),
    }
}

fn ended(n: u128, second: i64, output: &str) -> Write {
    Write::RunEnded(Box::new(Ended {
        run: RunId(id(n)),
        at: at(second),
        status: Some(RunStatus::Failed),
        exit_code: Some(3),
        signal: None,
        duration_ms: 1500,
        output_bytes: 9,
        output_sha256: "00".repeat(32),
        truncated: true,
        output: output.to_owned(),
        error: String::new(),
    }))
}

fn notice(n: u128) -> Notice {
    let fault = Fault::new(Cause::Timeout, "no answer");
    let failed = Failed {
        failures: 1,
        attempts: 3,
        factor: 1.5,
        next: Duration::from_millis(67_500),
        fault,
        phases: Phases::default(),
        deed: Deed::Nothing,
        gave_up: false,
        asks: false,
        record: None,
        holds: Vec::new(),
    };
    Notice {
        id: NoticeId(id(n)),
        pair: Some(pair()),
        incident: IncidentId(id(1)),
        at: at(1),
        environment: None,
        news: News::Failed(failed),
    }
}

fn queued(notice: Notice) -> Write {
    Write::NoticeQueued { notice: Box::new(notice), channel: "telegram".to_owned() }
}

fn setting(key: &str, value: &str) -> Write {
    Write::Setting { key: key.to_owned(), value: value.to_owned() }
}

fn running(store: &Store) -> (Recorder, CancellationToken, tokio::task::JoinSet<usize>) {
    let (recorder, task) = Recorder::new(store.clone());
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task.run(stop.clone()));
    (recorder, stop, tasks)
}

on_both!(what_is_written_is_read_back_after_a_start, |place: Place| async move {
    let store = place.store().await;
    let recovered = Recovered {
        failures: 2,
        next: Duration::from_secs(30),
        down_for: Duration::from_secs(61),
        by: Healer::Itself,
        while_off: true,
    };
    let second = Notice { news: News::Recovered(recovered), ..notice(21) };
    let writes = [
        opened(1, 0),
        Write::RunIntended(order(10, 1)),
        Write::RunIntended(order(11, 2)),
        ended(11, 3, "output"),
        Write::RunJudged { run: RunId(id(11)), verdict: Verdict::RanButDown, at: at(4) },
        Write::RunRefused { order: order(12, 5), refusal: Refusal::Storm { down: 3, of: 4 } },
        queued(second.clone()),
        queued(notice(20)),
        queued(notice(22)),
        Write::NoticeDelivered {
            id: NoticeId(id(22)),
            channel: "telegram".to_owned(),
            at: at(6),
            message_ref: Some("77".to_owned()),
        },
        Write::NoticeRetry {
            id: NoticeId(id(21)),
            channel: "telegram".to_owned(),
            tries: 2,
            next_at: at(9),
            why: "429".to_owned(),
        },
        Write::Thread { incident: IncidentId(id(1)), channel: "telegram".to_owned(), message_ref: "77".to_owned() },
        Write::ChannelMoved { channel: "telegram".to_owned(), from: "-1".to_owned(), to: "-100".to_owned() },
        Write::PairState { pair: pair(), state_json: "{\"k\":1}".to_owned(), at: at(1) },
        setting("language", "ru"),
        setting("language", "ko"),
        Write::PairState { pair: pair(), state_json: "{\"k\":2}".to_owned(), at: at(2) },
    ];
    store.commit(&writes).await.unwrap();
    // A lost answer makes the recorder repeat a group: that must change nothing.
    store.commit(&writes).await.unwrap();
    drop(store);

    let store = place.store().await;
    let saved = store.load().await.unwrap();
    assert_eq!(saved.unreadable, Vec::<String>::new());
    assert_eq!(saved.states, [(pair(), "{\"k\":2}".to_owned())]);
    assert_eq!(
        saved.unfinished.iter().map(|intent| (intent.run, intent.at, intent.attempt)).collect::<Vec<_>>(),
        [(RunId(id(10)), at(1), 2)]
    );
    let waiting: Vec<_> = saved.outbox.into_iter().map(|row| (row.notice, row.tries, row.next_at)).collect();
    assert_eq!(waiting, [(notice(20), 0, None), (second, 2, Some(at(9)))]);
    assert_eq!(
        saved.threads,
        [Thread { incident: IncidentId(id(1)), channel: "telegram".to_owned(), message_ref: "77".to_owned() }]
    );
    assert_eq!(saved.moves, [("telegram".to_owned(), "-1".to_owned(), "-100".to_owned())]);
    assert_eq!(saved.settings, [("language".to_owned(), "ko".to_owned())]);
    assert_eq!(store.setting("language").await.unwrap().as_deref(), Some("ko"));

    let actions = store.actions(&Filter::default()).await.unwrap();
    let told: Vec<_> =
        actions.iter().map(|a| (a.status.as_deref(), a.verdict.as_deref(), a.exit_code, a.truncated)).collect();
    assert_eq!(
        told,
        [
            (Some("skipped"), Some("skipped"), None, false),
            (Some("failed"), Some("ran_but_down"), Some(3), true),
            (None, None, None, false)
        ]
    );
    assert_eq!(actions[0].refusal, Some(serde_json::json!({"storm": {"down": 3, "of": 4}})));
    assert_eq!(store.last_runs(None, at(1)).await.unwrap(), [(pair(), at(1)), (pair(), at(2))]);
    assert_eq!(store.last_runs(Some(&pair()), at(2)).await.unwrap(), [(pair(), at(2))]);
    let counts = store.counts().await.unwrap();
    assert_eq!(
        (counts.incidents, counts.open_incidents, counts.runs, counts.waiting_notices, counts.dead_notices),
        (1, 1, 3, 2, 0)
    );
    assert!(counts.bytes > 0);
});

on_both!(a_run_that_was_never_sent_tells_why_and_counts_for_no_budget, |place: Place| async move {
    let store = place.store().await;
    let skipped = Verdict::Skipped(Refusal::UpAgain);
    let judged = Write::RunJudged { run: RunId(id(10)), verdict: skipped, at: at(2) };
    let writes = [Write::RunIntended(order(10, 1)), judged, Write::RunIntended(order(11, 3))];
    for _ in 0..2 {
        store.commit(&writes).await.unwrap();
        assert_eq!(store.last_runs(None, at(0)).await.unwrap(), [(pair(), at(3))]);
        assert_eq!(store.last_runs(Some(&pair()), at(0)).await.unwrap(), [(pair(), at(3))]);
    }
    let skipped = store.actions(&Filter::default()).await.unwrap().pop().unwrap();
    assert_eq!(skipped.refusal, Some(serde_json::json!("up_again")));
    assert_eq!((skipped.status.as_deref(), skipped.verdict.as_deref()), (Some("skipped"), Some("skipped")));
    let open: Vec<_> = store.load().await.unwrap().unfinished.into_iter().map(|order| order.run).collect();
    assert_eq!(open, [RunId(id(11))]);
    // As a version before this one left it: judged, and without the reason.
    place.beside().await.execute("UPDATE runs SET refusal = NULL, status = NULL").await.unwrap();
    assert_eq!(store.last_runs(None, at(0)).await.unwrap(), [(pair(), at(3))]);
    assert_eq!(store.load().await.unwrap().unfinished.len(), 1);
});

on_both!(incidents_are_found_by_pair_time_and_state, |place: Place| async move {
    let store = place.store().await;
    let other = Write::IncidentOpened {
        id: IncidentId(id(3)),
        pair: "DC1-SRV1".parse().unwrap(),
        at: at(30),
        cause: Cause::Dns,
        reason: "x".to_owned(),
    };
    let closed =
        Write::IncidentClosed { id: IncidentId(id(1)), at: at(15), closing: Closing::Healed { by: RunId(id(9)) } };
    store.commit(&[opened(1, 10), opened(2, 20), other, closed]).await.unwrap();
    let ids = |filter: Filter| {
        let store = store.clone();
        async move {
            store
                .incidents(&filter)
                .await
                .unwrap()
                .into_iter()
                .map(|i| i.opened_at.as_second() - at(0).as_second())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(Filter::default()).await, [30, 20, 10]);
    assert_eq!(ids(Filter { pair: Some(pair()), ..Filter::default() }).await, [20, 10]);
    assert_eq!(ids(Filter { pair: Some(pair()), open_only: true, ..Filter::default() }).await, [20]);
    assert_eq!(ids(Filter { since: Some(at(20)), ..Filter::default() }).await, [30, 20]);
    assert_eq!(ids(Filter { limit: Some(1), ..Filter::default() }).await, [30]);
    let first = store.incidents(&Filter::default()).await.unwrap().pop().unwrap();
    assert_eq!(
        (first.verdict.as_deref(), first.healed_by, first.closed_at),
        (Some("healed"), Some(id(9).to_string()), Some(at(15)))
    );
});

on_both!(a_nul_never_reaches_the_database, |place: Place| async move {
    let store = place.store().await;
    let nul = "a\0b";
    let texts =
        [Write::RunIntended(Order { command: nul.to_owned(), ..order(10, 1) }), ended(10, 2, nul), setting(nul, nul)];
    store.commit(&texts).await.unwrap();
    let action = store.actions(&Filter::default()).await.unwrap().remove(0);
    assert_eq!((action.command.as_str(), action.output.as_deref()), ("a\u{fffd}b", Some("a\u{fffd}b")));
    assert_eq!(store.setting("a\u{fffd}b").await.unwrap().as_deref(), Some("a\u{fffd}b"));
});

on_both!(a_locked_database_delays_records_and_loses_none, |place: Place| async move {
    let store = place.store().await;
    let (recorder, stop, mut tasks) = running(&store);
    let mut other = place.beside().await;
    for statement in place.lock.split("; ") {
        other.execute(statement).await.unwrap();
    }
    let limit = Duration::from_millis(1500);
    let begun = tokio::time::Instant::now();
    let answer = recorder.recorded(vec![setting("k", "1")], limit).await;
    assert!(matches!(&answer, Err(NotRecorded::Late { why, .. }) if !why.is_empty()), "{answer:?}");
    assert!(begun.elapsed() < limit * 2, "told after {:?}", begun.elapsed());
    let all_before = recorder.recorded(Vec::new(), Duration::from_millis(100)).await;
    assert!(
        matches!(all_before, Err(NotRecorded::Late { .. })),
        "an empty batch waits for those before it: {all_before:?}"
    );
    for n in 2..1200 {
        recorder.record(vec![setting("k", &n.to_string()), setting(&format!("k{n}"), "x")]);
    }
    let health = recorder.health();
    assert!(
        !health.healthy && health.pending == 2397 && health.failing_for.is_some() && health.dropped == 0,
        "{health:?}"
    );
    other.execute("COMMIT").await.unwrap();
    recorder.recorded(vec![setting("last", "1")], Duration::from_secs(30)).await.unwrap();
    recorder.recorded(Vec::new(), Duration::from_secs(1)).await.unwrap();
    assert!(recorder.health().healthy && recorder.health().pending == 0);
    let settings = store.load().await.unwrap().settings;
    assert_eq!((settings.len(), settings[0].1.as_str()), (1200, "1199"));
    stop.cancel();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), 0);
});

on_both!(a_record_the_database_refuses_takes_nobody_else_with_it, |place: Place| async move {
    let store = place.store().await;
    let (recorder, task) = Recorder::new(store.clone());
    recorder.record(vec![setting("before", "1")]);
    let poison = recorder
        .recorded(vec![setting("with", "1"), setting("poison", &"x".repeat(2_000_000))], Duration::from_secs(20));
    let after = recorder.recorded(vec![setting("after", "1")], Duration::from_secs(20));
    let stop = CancellationToken::new();
    let waiting = async {
        let answers = tokio::join!(poison, after);
        stop.cancel();
        answers
    };
    let (lost, (poison, after)) = tokio::join!(task.run(stop.clone()), waiting);
    assert!(matches!(poison, Err(NotRecorded::Refused(_))), "{poison:?}");
    assert_eq!((after, lost), (Ok(()), 0));
    let keys: Vec<String> = store.load().await.unwrap().settings.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["after", "before"]);
});

on_both!(a_stop_writes_what_is_pending, |place: Place| async move {
    let store = place.store().await;
    let (recorder, task) = Recorder::new(store.clone());
    for n in 0..1234 {
        recorder.record(vec![setting(&n.to_string(), "x")]);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(task.run(stop).await, 0);
    assert_eq!(store.load().await.unwrap().settings.len(), 1234);
    assert_eq!(recorder.recorded(vec![setting("late", "x")], Duration::from_secs(1)).await, Err(NotRecorded::Stopped));
});

on_both!(ten_thousand_states_fit_one_quick_transaction, |place: Place| async move {
    let store = place.store().await;
    let states = |json: &str| -> Vec<Write> {
        (0..10_000)
            .map(|n| Write::PairState {
                pair: format!("DC{n}-SRV").parse().unwrap(),
                state_json: json.to_owned(),
                at: at(1),
            })
            .collect()
    };
    store.commit(&states("{}")).await.unwrap();
    let begun = tokio::time::Instant::now();
    store.commit(&states("{\"k\":1}")).await.unwrap();
    let took = begun.elapsed();
    let saved = store.load().await.unwrap().states;
    assert_eq!((saved.len(), saved.iter().filter(|(_, json)| json == "{\"k\":1}").count()), (10_000, 10_000));
    // Single commits take seconds at best; the bound leaves room for a busy machine and a debug build.
    assert!(took < Duration::from_secs(5), "10,000 states took {took:?}");
});

on_both!(old_rows_go_and_open_ones_stay, |place: Place| async move {
    let store = place.store().await;
    let closed = Write::IncidentClosed { id: IncidentId(id(2)), at: at(20), closing: Closing::Recovered };
    let of_closed = Order { incident: Some(IncidentId(id(2))), ..order(12, 12) };
    let delivered =
        Write::NoticeDelivered { id: NoticeId(id(21)), channel: "telegram".to_owned(), at: at(30), message_ref: None };
    let writes = [
        opened(1, 0),
        opened(2, 10),
        closed,
        Write::RunIntended(order(10, 1)),
        Write::RunIntended(order(11, 2)),
        ended(11, 3, ""),
        Write::RunIntended(of_closed),
        ended(12, 13, ""),
        queued(notice(20)),
        queued(notice(21)),
        delivered,
    ];
    store.commit(&writes).await.unwrap();
    let untouched = store.prune(at(5), at(40)).await.unwrap();
    assert_eq!((untouched.incidents, untouched.runs, untouched.notices), (0, 0, 0));
    let later = at(40) + SignedDuration::from_hours(48);
    let pruned = store.prune(at(40), later).await.unwrap();
    assert_eq!((pruned.incidents, pruned.runs, pruned.notices), (1, 1, 1));
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.incidents, counts.runs, counts.waiting_notices), (1, 2, 1));
});

on_both!(a_database_of_a_newer_version_is_refused_by_name, |place: Place| async move {
    place.store().await.close().await;
    let mut other = place.beside().await;
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    other.execute(sql).await.unwrap();
    other.close().await.unwrap();
    let error = Store::open(&place.url).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { step: 9999 }), "{error:?}");
    assert!(error.to_string().contains("newer monitor"), "{error}");
});

on_both!(one_unreadable_row_does_not_stop_a_start, |place: Place| async move {
    let store = place.store().await;
    store.commit(&[queued(notice(20)), queued(notice(21))]).await.unwrap();
    let mut other = place.beside().await;
    other.execute("UPDATE outbox SET notice = '{\"news\":\"of tomorrow\"}' WHERE id LIKE '%14'").await.unwrap();
    let saved = store.load().await.unwrap();
    assert_eq!((saved.outbox.len(), saved.unreadable.len()), (1, 1));
});

/// A run that was ordered for an incident, took its time on the host, and was judged after it.
fn ran(n: u128, command: &str, second: i64, verdict: Verdict) -> [Write; 3] {
    let order = Order { command: command.to_owned(), ..order(n, second) };
    let judged = Write::RunJudged { run: RunId(id(n)), verdict, at: at(second + 5) };
    // It waited for its host's turn for two seconds; `ended` says that it took 1.5 s.
    [Write::RunIntended(order), ended(n, second + 3, ""), judged]
}

fn period(since: i64, until: i64) -> Period {
    Period { since: at(since), until: at(until), pair: None }
}

on_both!(a_report_adds_up_what_lies_in_its_period, |place: Place| async move {
    let store = place.store().await;
    let other: PairName = "DC1-SRV1".parse().unwrap();
    let elsewhere = |write: Write| match write {
        Write::IncidentOpened { id, at, cause, reason, .. } => {
            Write::IncidentOpened { id, pair: other.clone(), at, cause, reason }
        }
        write => write,
    };
    let closed =
        |n: u128, second: i64, closing| Write::IncidentClosed { id: IncidentId(id(n)), at: at(second), closing };
    let by_hand = Order { incident: None, command: "by hand".to_owned(), ..order(16, 150) };
    let mut writes = vec![
        // Outside, over the begin, inside, retired inside, open.
        opened(1, 10),
        closed(1, 100, Closing::Recovered),
        opened(2, 50),
        closed(2, 130, Closing::Recovered),
        opened(3, 200),
        closed(3, 206, Closing::Healed { by: RunId(id(11)) }),
        elsewhere(opened(4, 300)),
        closed(4, 310, Closing::Retired),
        opened(5, 480),
        Write::RunIntended(Order { rung: 0, command: "on recovery".to_owned(), ..order(18, 240) }),
        ended(18, 241, ""),
        Write::RunJudged { run: RunId(id(18)), verdict: Verdict::Failed, at: at(242) },
        Write::RunRefused { order: order(14, 210), refusal: Refusal::Storm { down: 3, of: 4 } },
        Write::RunIntended(order(15, 220)),
        Write::RunIntended(by_hand),
        ended(16, 151, ""),
        Write::RunJudged { run: RunId(id(16)), verdict: Verdict::Failed, at: at(152) },
        Write::RunIntended(order(17, 230)),
        Write::RunJudged { run: RunId(id(17)), verdict: Verdict::Skipped(Refusal::UpAgain), at: at(231) },
    ];
    writes.extend(ran(10, "too early", 90, Verdict::Healed));
    writes.extend(ran(11, "systemctl restart network-service", 201, Verdict::Healed));
    writes.extend(ran(12, "systemctl restart network-service", 202, Verdict::RanButDown));
    writes.extend(ran(13, "systemctl restart network-service", 203, Verdict::CouldNotRun));
    store.commit(&writes).await.unwrap();
    let watched = |pairs: &[&PairName], second: i64| Write::Watched {
        pairs: pairs.iter().map(|pair| (*pair).clone()).collect(),
        at: at(second),
    };
    let gone: PairName = "DC8-GONE".parse().unwrap();
    store.commit(&[watched(&[&pair(), &gone], 0)]).await.unwrap();
    store.commit(&[watched(&[&pair(), &other, &pair()], 300)]).await.unwrap();

    let report = store.report(&period(100, 500)).await.unwrap();
    assert_eq!((report.since, report.until, report.incomplete), (at(100), at(500), false));
    let told: Vec<_> = report
        .pairs
        .iter()
        .map(|pair| (pair.pair.to_string(), pair.incidents, pair.downtime_s, pair.mttr_s, pair.watched_since))
        .collect();
    assert_eq!(
        told,
        [
            ("DC1-SRV1".to_owned(), 1, 10.0, None, Some(at(300))),
            ("DC3-SRV4".to_owned(), 3, 56.0, Some(43.0), Some(at(0)))
        ]
    );
    assert_eq!(report.pairs.iter().map(|pair| pair.availability_percent).collect::<Vec<_>>(), [Some(95.0), Some(86.0)]);
    let [by_hand, restart] = report.commands.as_slice() else { panic!("{:?}", report.commands) };
    assert_eq!((by_hand.not_needed, by_hand.runs, by_hand.median_s), (1, 0, None));
    assert_eq!((restart.runs, restart.healed, restart.ran_but_down, restart.could_not_run), (2, 1, 1, 1));
    assert_eq!(restart.under_way, 1);
    assert_eq!(
        restart.refused.iter().map(|(word, count)| (word.as_str(), *count)).collect::<Vec<_>>(),
        [("storm", 1), ("up_again", 1)]
    );
    assert_eq!(restart.median_s, Some(3.5), "from sending the command to the verdict");

    let one = store.report(&Period { pair: Some(other), ..period(100, 500) }).await.unwrap();
    assert_eq!((one.pairs.len(), one.commands.len()), (1, 0));
    let empty = store.report(&period(-50, -10)).await.unwrap();
    assert!(empty.commands.is_empty() && empty.pairs.iter().all(|pair| pair.incidents == 0), "{empty:?}");
});

on_both!(the_records_of_commands_are_recalled_from_their_runs, |place: Place| async move {
    let store = place.store().await;
    let by_hand = Order { incident: None, ..order(30, 40) };
    let mut writes = vec![
        Write::RunIntended(by_hand),
        ended(30, 41, ""),
        Write::RunJudged { run: RunId(id(30)), verdict: Verdict::Failed, at: at(42) },
        Write::RunIntended(Order { rung: 0, ..order(33, 45) }),
        ended(33, 46, ""),
        Write::RunJudged { run: RunId(id(33)), verdict: Verdict::Failed, at: at(47) },
        Write::RunRefused { order: order(31, 50), refusal: Refusal::DryRun },
        Write::RunIntended(order(32, 60)),
    ];
    let command = "systemctl restart network-service";
    writes.extend(ran(20, command, 1, Verdict::Healed));
    writes.extend(ran(21, command, 10, Verdict::Healed));
    writes.extend(ran(22, command, 20, Verdict::Failed));
    writes.extend(ran(23, command, 30, Verdict::CouldNotRun));
    writes.extend(ran(24, "another", 30, Verdict::RanButDown));
    store.commit(&writes).await.unwrap();
    let told = |records: &monitor::domain::record::Records, command: &str| {
        records.of(&pair(), command).map(|record| (record.healed, record.runs, record.median))
    };
    let records = store.records(at(0)).await.unwrap();
    assert_eq!(told(&records, command), Some((2, 3, Some(Duration::from_millis(3500)))));
    assert_eq!(told(&records, "another"), Some((0, 1, None)));
    let later = store.records(at(15)).await.unwrap();
    assert_eq!(told(&later, command), Some((0, 1, None)));
});

on_both!(a_report_of_a_long_history_is_drawn_within_seconds, |place: Place| async move {
    let store = place.store().await;
    let sql = "INSERT INTO runs (id, incident, pair, site, command, rung, attempt, intended_at, ended_at, duration_ms, \
               verdict, judged_at) \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
               SELECT 'r' || CAST(i AS TEXT), 'x', 'DC' || CAST(i % 100 AS TEXT) || '-SRV', 'DC', 'true', 1, 1, \
               1700000000000 + i, 1700000000000 + i, 1500, 'healed', 1700000000000 + i FROM n";
    place.beside().await.execute(sql).await.unwrap();
    let begun = tokio::time::Instant::now();
    let report = store.report(&period(0, 1000)).await.unwrap();
    let (drawn, records) = (begun.elapsed(), store.records(at(0)).await.unwrap());
    assert_eq!(report.commands.iter().map(|command| command.healed).sum::<u32>(), 100_000);
    let record = records.of(&"DC7-SRV".parse().unwrap(), "true").unwrap();
    assert_eq!((record.healed, record.median), (1000, Some(Duration::from_millis(1500))));
    // A second or two in a debug build; the store gives work up after twenty.
    let all = begun.elapsed();
    assert!(all < Duration::from_secs(15), "drawn in {drawn:?}, with the records in {all:?}");
});

#[tokio::test]
async fn the_file_and_its_logs_are_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/m.db", folder.path().display())).await.unwrap();
    store.commit(&[setting("k", "v")]).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_damaged_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.db");
    let url = format!("sqlite://{}", path.display());
    std::fs::write(&path, "this is no database at all ".repeat(500)).unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }) && error.to_string().contains("move the file"), "{error:?}");

    std::fs::remove_file(&path).unwrap();
    Store::open(&url).await.unwrap().close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..16384].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_of_no_known_kind_is_refused_without_its_password() {
    for url in ["mysql://root:hunter2@host/db", "postgres//user:hunter2@host", "sqlite://", "sqlite::memory:"] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::BadUrl(_)) && !error.to_string().contains("hunter2"), "{url}: {error}");
    }
}

/// A file system of two megabytes, unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(disk.path())
            .status()
            .unwrap();
        assert!(mount.success(), "a tmpfs cannot be mounted");
        disk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no free byte until the file is removed.
    fn fill(&self) -> std::path::PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_delays_records_and_loses_none() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not run: only root can mount a small disk");
        return;
    }
    let disk = SmallDisk::new();
    let store = Store::open(&format!("sqlite://{}/m.db", disk.path().display())).await.unwrap();
    let (recorder, stop, mut tasks) = running(&store);
    recorder.recorded(vec![setting("first", "1")], Duration::from_secs(10)).await.unwrap();
    let filler = disk.fill();
    let large = "x".repeat(900_000);
    let answer = recorder.recorded(vec![setting("large", &large)], Duration::from_secs(2)).await;
    assert!(matches!(answer, Err(NotRecorded::Late { .. })), "{answer:?}");
    recorder.record(vec![setting("large", "replaced")]);
    std::fs::remove_file(filler).unwrap();
    recorder.recorded(vec![setting("last", "1")], Duration::from_secs(20)).await.unwrap();
    assert_eq!(store.setting("large").await.unwrap().as_deref(), Some("replaced"));
    stop.cancel();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), 0);
    store.close().await;
}
