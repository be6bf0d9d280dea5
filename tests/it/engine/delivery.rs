//! From the outbox to people: order, silence, threads, waits, collapse, digest.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use monitor::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use monitor::domain::reading::{Cause, Fault, Phases};
use monitor::domain::remedy::{IncidentId, NoticeId};
use monitor::engine::delivery::{BROKEN_WAIT, ChannelHealth, DIGEST_OVER, Delivery, Parts};
use monitor::store::Write;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::engine::*;

fn incident(server: &str, number: u128) -> IncidentId {
    let letters: u128 = server.bytes().map(u128::from).sum();
    IncidentId(Uuid::from_u128(letters * 1000 + number))
}

fn notice(server: &str, news: News) -> Notice {
    let at = Timestamp::from_second(EPOCH).unwrap();
    Notice {
        id: NoticeId(Uuid::now_v7()),
        pair: Some(name(server)),
        incident: incident(server, 1),
        at,
        environment: None,
        news,
    }
}

fn fell(server: &str, failures: u32) -> Notice {
    let failed = Failed {
        failures,
        attempts: 1,
        factor: 1.5,
        next: secs(30.0),
        fault: Fault::new(Cause::Refused, "connection refused"),
        phases: Phases::default(),
        deed: Deed::Nothing,
        gave_up: false,
        asks: false,
        record: None,
        holds: Vec::new(),
    };
    notice(server, News::Failed(failed))
}

fn rose(server: &str) -> Notice {
    let next = secs(30.0);
    let up = Recovered { failures: 1, next, down_for: secs(60.0), by: Healer::Itself, while_off: false };
    notice(server, News::Recovered(up))
}

struct Post {
    world: Arc<World>,
    chat: Arc<Chat>,
    send: mpsc::UnboundedSender<Notice>,
    health: watch::Receiver<ChannelHealth>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Post {
    fn open(answers: Vec<Answer>) -> Self {
        Self::open_with(answers, Vec::new(), HashMap::new())
    }

    fn open_with(answers: Vec<Answer>, pending: Vec<Notice>, threads: HashMap<IncidentId, String>) -> Self {
        let world = World::new();
        let chat = Chat::new(&world, answers);
        let (delivery, send, health) = Delivery::new(Parts {
            channel: chat.clone(),
            name: "chat".to_owned(),
            address: "-1".to_owned(),
            pending,
            threads,
            journal: world.clone(),
            narrator: narrator(),
            clock: clock(),
        });
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(delivery.run(stop.clone()));
        Self { world, chat, send, health, stop, tasks }
    }

    fn tell(&self, notices: impl IntoIterator<Item = Notice>) {
        notices.into_iter().for_each(|notice| self.send.send(notice).unwrap());
    }

    /// Which pair each message that was tried is about, and whether it fell or rose.
    fn tried(&self) -> Vec<String> {
        let short = |sent: Sent| {
            if sent.text.starts_with("Digest") {
                return "digest".to_owned();
            }
            let what = if sent.text.contains('✅') { "up" } else { "down" };
            let pair = sent.text.split_whitespace().find_map(|word| word.strip_prefix("DC1-")).unwrap_or_default();
            format!("{} {what}", pair.trim_end_matches(':')).trim().to_owned()
        };
        self.chat.tried().into_iter().map(short).collect()
    }

    fn moments(&self) -> Vec<f64> {
        self.chat.tried().iter().map(|sent| sent.at).collect()
    }

    async fn end(&mut self) -> f64 {
        let asked = Instant::now();
        self.stop.cancel();
        let ended = tokio::time::timeout(secs(60.0), self.tasks.join_next()).await;
        ended.expect("the delivery ends").unwrap().expect("the delivery does not panic");
        asked.elapsed().as_secs_f64()
    }
}

#[tokio::test(start_paused = true)]
async fn notices_go_out_in_order_repeats_silently_as_replies_to_the_first() {
    let mut post = Post::open(vec![]);
    post.tell([fell("A", 1)]);
    post.world.until(1.0).await;
    post.tell([fell("B", 1), fell("A", 2)]);
    post.world.until(2.0).await;
    post.tell([fell("A", 3), rose("A")]);
    post.world.until(3.0).await;
    // A second incident of A begins a thread of its own.
    post.tell([Notice { incident: incident("A", 2), ..fell("A", 1) }]);
    post.world.until(4.0).await;
    assert_eq!(post.tried(), ["A down", "B down", "A down", "A up", "A down"]);
    let sent = post.chat.tried();
    assert_eq!(sent.iter().map(|sent| sent.silent).collect::<Vec<_>>(), [false, false, true, false, false]);
    let replies: Vec<_> = sent.iter().map(|sent| sent.reply_to.as_deref()).collect();
    assert_eq!(replies, [None, None, Some("m1"), Some("m1"), None], "{:?}", post.tried());
    assert_eq!(
        post.world.words("chat"),
        [
            "thread m1",
            "delivered",
            "thread m2",
            "delivered",
            "delivered",
            "collapsed",
            "delivered",
            "thread m5",
            "delivered"
        ]
    );
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_agent_left_goes_first_and_answers_its_own_thread() {
    let threads = HashMap::from([(incident("A", 1), "old".to_owned())]);
    let mut post = Post::open_with(vec![], vec![fell("A", 2), fell("C", 1)], threads);
    assert_eq!(post.health.borrow().waiting, 2);
    post.tell([fell("B", 1)]);
    post.world.until(1.0).await;
    assert_eq!(post.tried(), ["A down", "C down", "B down"]);
    assert_eq!(post.chat.tried()[0].reply_to.as_deref(), Some("old"));
    assert_eq!(post.health.borrow_and_update().delivered, 3);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_will_pass_is_tried_again_after_growing_waits_and_after_the_wait_that_was_asked_for() {
    let mut answers = vec![Answer::Later(None); 8];
    answers.push(Answer::Later(Some(secs(17.0))));
    let mut post = Post::open(answers);
    post.tell([fell("A", 1), fell("B", 1)]);
    post.world.until(300.0).await;
    let moments = post.moments();
    assert_near(&gaps(&moments), &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 17.0, 0.0]);
    assert_eq!(post.tried()[9..], ["A down", "B down"], "the head stays the head");
    assert_eq!(post.health.borrow().trouble, "");
    // After a success the waits begin anew.
    post.chat.then(vec![Answer::Later(None)]);
    post.tell([fell("C", 1)]);
    post.world.until(302.0).await;
    let moments = post.moments();
    assert_near(&gaps(&moments[11..]), &[1.0]);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_channel_is_tried_every_ten_minutes_keeps_everything_and_is_said_once() {
    let lines = Lines::listen();
    let mut post = Post::open(vec![Answer::Broken, Answer::Broken]);
    post.tell([fell("A", 1)]);
    post.world.until(30.0).await;
    post.tell([fell("B", 1)]);
    post.world.until(31.0).await;
    let health = post.health.borrow().clone();
    assert_eq!((health.waiting, health.trouble.as_str()), (2, "wrong token"), "what comes meanwhile is counted");
    post.world.until(1300.0).await;
    let wait = BROKEN_WAIT.as_secs_f64();
    assert_near(&gaps(&post.moments()), &[wait, wait, 0.0]);
    assert_eq!(post.world.count("chat", "delivered"), 2);
    assert_eq!(lines.count("works again"), 1);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_given_up_and_the_next_one_goes() {
    let mut post = Post::open(vec![Answer::Refuses]);
    post.tell([fell("A", 1), fell("B", 1)]);
    post.world.until(1.0).await;
    assert_eq!(post.tried(), ["A down", "B down"]);
    assert_eq!(post.world.words("chat"), ["dead", "thread m1", "delivered"]);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_panics_is_tried_again() {
    let mut post = Post::open(vec![Answer::Panics]);
    post.tell([fell("A", 1)]);
    post.world.until(5.0).await;
    assert_near(&gaps(&post.moments()), &[1.0]);
    assert_eq!(post.world.count("chat", "delivered"), 1);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn of_repeats_that_had_to_wait_only_the_last_is_told() {
    let mut post = Post::open(vec![Answer::Later(Some(secs(100.0)))]);
    post.tell([fell("A", 1)]);
    post.world.until(1.0).await;
    post.tell([fell("A", 2), fell("B", 1), fell("A", 3), fell("A", 4), rose("B")]);
    post.world.until(200.0).await;
    assert_eq!(post.tried(), ["A down", "A down", "B down", "A down", "B up"]);
    assert!(post.chat.tried()[3].text.contains("#4"), "{}", post.chat.tried()[3].text);
    assert_eq!(post.world.count("chat", "collapsed"), 2);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_broken_channel_is_bounded_and_the_state_of_each_pair_is_kept() {
    let lines = Lines::listen();
    let mut post = Post::open(vec![Answer::Broken]);
    post.tell([fell("A", 1)]);
    post.world.until(1.0).await;
    let outages = (2..=2_501).flat_map(|n| [fell("A", 1), rose("A")].map(|told| (n, told)));
    post.tell(outages.map(|(n, told)| Notice { incident: incident("A", n), ..told }));
    post.tell([fell("B", 1)]);
    post.world.until(30.0).await;
    let waiting = post.health.borrow().waiting;
    assert!(waiting <= 3, "{waiting} wait while the channel rests");
    assert_eq!(lines.count("will not be told"), 1);
    post.world.until(BROKEN_WAIT.as_secs_f64() + 10.0).await;
    assert_eq!(post.tried(), ["A down", "A up", "B down"]);
    assert_eq!((post.world.count("chat", "collapsed"), post.world.count("chat", "delivered")), (5_000, 2));
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn more_than_ten_that_wait_become_one_digest() {
    let servers: Vec<String> = (0..=DIGEST_OVER).map(|n| format!("S{n}")).collect();
    let mut post = Post::open(vec![]);
    post.tell(servers.iter().map(|server| fell(server, 1)));
    post.world.until(1.0).await;
    assert_eq!(post.tried(), ["digest"]);
    assert_eq!(post.world.count("chat", "delivered"), DIGEST_OVER + 1);
    assert_eq!(post.health.borrow().waiting, 0);
    // The next repeat has no message to answer and begins the thread.
    post.tell([fell("S1", 2)]);
    post.world.until(2.0).await;
    assert_eq!(post.world.count("chat", "thread m2"), 1);
    post.tell(servers[1..].iter().map(|server| rose(server)));
    post.world.until(3.0).await;
    assert_eq!(post.chat.tried().len(), 12, "ten go out one by one");
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_is_refused_costs_no_notice() {
    let mut post = Post::open(vec![Answer::Refuses]);
    post.tell((0..12).map(|n| fell(&format!("S{n}"), 1)));
    post.world.until(1.0).await;
    let tried = post.tried();
    assert_eq!(tried[0], "digest");
    assert_eq!(tried.len(), 13, "then each for itself: {tried:?}");
    assert_eq!((post.world.count("chat", "delivered"), post.world.count("chat", "dead")), (12, 0));
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_it_is_durable_unless_the_disk_refuses_for_five_seconds() {
    let mut post = Post::open(vec![]);
    post.world.disk(Disk::Writes(secs(3.0)));
    post.tell([fell("A", 1)]);
    post.world.until(10.0).await;
    assert_near(&post.moments(), &[3.0]);
    post.world.disk(Disk::Fails);
    post.tell([fell("B", 1)]);
    post.world.until(20.0).await;
    assert_near(&post.moments(), &[3.0, 15.0]);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_moved_is_recorded_and_said_once() {
    let lines = Lines::listen();
    let mut post = Post::open(vec![Answer::TakesAt("-100"), Answer::TakesAt("-100"), Answer::TakesAt("-200")]);
    for server in ["A", "B", "C"] {
        post.tell([fell(server, 1)]);
    }
    post.world.until(1.0).await;
    let moves: Vec<Write> =
        post.world.writes().into_iter().filter(|write| matches!(write, Write::ChannelMoved { .. })).collect();
    let to_chat = |to: &str| Write::ChannelMoved { channel: "chat".into(), from: "-1".into(), to: to.into() };
    assert_eq!(moves, [to_chat("-100"), to_chat("-200")]);
    assert_eq!(lines.count("TELEGRAM_CHAT_ID="), 2);
    post.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_sends_what_waits_and_lets_a_delivery_under_way_end() {
    let mut post = Post::open(vec![Answer::TakesAfter(secs(3.0))]);
    post.tell([fell("A", 1)]);
    post.world.until(1.0).await;
    post.tell([fell("B", 1)]);
    assert_near(&[post.end().await], &[2.0]);
    assert_eq!(post.tried(), ["A down", "B down"], "each once");
    assert_eq!(post.world.count("chat", "delivered"), 2);
}

#[tokio::test(start_paused = true)]
async fn the_stop_does_not_wait_for_a_channel_that_hangs_and_what_it_did_not_take_stays_in_the_outbox() {
    let mut post = Post::open(vec![Answer::TakesAfter(secs(1e6))]);
    post.tell([fell("A", 1), fell("B", 1)]);
    post.world.until(1.0).await;
    assert_near(&[post.end().await], &[5.0]);
    assert_eq!(post.world.count("chat", "delivered"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_a_wait_and_tries_once_more() {
    let mut post = Post::open(vec![Answer::Broken]);
    post.tell([fell("A", 1)]);
    post.world.until(1.0).await;
    assert_near(&[post.end().await], &[0.0]);
    assert_eq!(post.tried().len(), 2);
    assert_eq!(post.world.count("chat", "delivered"), 1);
}

#[tokio::test(start_paused = true)]
async fn probes_never_wait_for_a_channel_that_hangs() {
    let world = World::new();
    let spec = Spec { factor: 1.0, ..pair("A", vec![]) };
    let mut watch = world.watch(vec![world.plan(spec, down)]);
    // The engine's own way out is the way into the delivery.
    let (_unused, told) = mpsc::unbounded_channel();
    let mut told = std::mem::replace(&mut watch.told, told);
    let mut post = Post::open(vec![Answer::TakesAfter(secs(1e6))]);
    let send = post.send.clone();
    let mut pipe = JoinSet::new();
    pipe.spawn(async move {
        while let Some(notice) = told.recv().await {
            send.send(notice).unwrap();
        }
    });
    world.until(601.0).await;
    let times = world.times("A", "probe");
    assert_near(&gaps(&times), &vec![30.0; times.len() - 1]);
    assert!(times.len() >= 20);
    assert_eq!(post.chat.tried().len(), 1);
    post.end().await;
    watch.end().await;
}
