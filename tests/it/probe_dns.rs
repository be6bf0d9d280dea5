//! DNS servers: a real one, and stand-ins for what a real one does not do.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, rdata};
use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::{Kit, Resolver};
use proptest::prelude::*;

use crate::support::http::{Act, Server};
use crate::support::netns::Lan;
use crate::support::nsd::Nsd;
use crate::support::target::{configured, example};

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(400);

fn kit() -> Kit {
    fetch::install_crypto_provider();
    Kit::new(&Roots::load(None).unwrap())
}

async fn look(url: &str, limit: Duration) -> Reading {
    Target::parse(url).unwrap().probe(&kit(), limit).await
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

/// A server that says what `say` makes of each datagram; it ends with its socket's silence.
struct StandIn {
    addr: SocketAddr,
    end: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl StandIn {
    fn start(say: impl Fn(&[u8], usize) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let addr = socket.local_addr().unwrap();
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ended = std::sync::Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut count) = ([0; 4096], 0);
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                for answer in say(&buffer[..length], count) {
                    let _ = socket.send_to(&answer, from);
                }
                count += 1;
            }
            count
        });
        Self { addr, end, thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("dns://{}/example.org", self.addr)
    }

    /// Ends it and says how often it was asked.
    fn asked(mut self) -> usize {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A good answer to a question.
fn answer(question: &[u8]) -> Message {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    let name = message.queries[0].name.clone();
    message.add_answer(Record::from_rdata(name, 60, RData::A(rdata::A::new(192, 0, 2, 1))));
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_answers_for_every_type_and_says_what_it_does_not_have() {
    let mut nsd = Nsd::start();
    let at = format!("127.0.0.1:{}", nsd.port);
    for (question, expected) in [
        ("example.org?type=A", "192.0.2.2"),
        ("EXAMPLE.org?type=AAAA", "2001:db8:0::1"),
        ("example.org?type=MX", "10 mail.example.org"),
        ("example.org?type=TXT", "v=spf1 -all"),
        ("example.org?type=NS", "NS1.example.org."),
        ("example.org?type=SOA", "/ 7 3600 600 86400 60$/"),
        ("example.org?type=CAA", "ca.example.net"),
        ("www.example.org?type=CNAME", "example.org"),
        ("www.example.org?type=A", "192.0.2.1"),
        ("_sip._tcp.example.org?type=SRV", "5 50 5060 sip.example.org."),
        ("192.0.2.1?type=PTR", "www.example.org"),
        ("example.org?type=A&tcp=true", "192.0.2.1"),
        // Longer than a datagram: it is asked again over TCP.
        ("many.example.org", "198.51.100.60"),
    ] {
        let lines = format!("SRV4_URL=dns://{at}/{question}\nSRV4_EXPECT={expected}");
        let reading = configured(&lines).unwrap().probe(&kit(), LIMIT).await;
        assert_eq!(reading.outcome, Outcome::Up, "{question}");
        assert!(reading.phases.first_byte.is_some(), "{question}: {reading:?}");
        let over_tcp = question.contains("tcp") && !question.contains("_tcp") || question.contains("many");
        assert_eq!(reading.phases.connect.is_some(), over_tcp, "{question}: {reading:?}");
    }
    for (question, told) in [
        ("gone.example.org", "the server says that gone.example.org does not exist (NXDOMAIN)"),
        ("ns1.example.org?type=MX", "the server knows ns1.example.org and gives no MX record of it"),
        ("example.com", "the server refuses to answer for example.com (REFUSED)"),
    ] {
        assert_eq!(down(&look(&format!("dns://{at}/{question}"), LIMIT).await, Cause::Content), told);
    }
    let lines = format!("SRV4_URL=dns://{at}/example.org\nSRV4_EXPECT=192.0.2.20");
    let reading = configured(&lines).unwrap().probe(&kit(), LIMIT).await;
    let told = down(&reading, Cause::Content);
    assert!(told.starts_with("no A record of example.org holds `192.0.2.20`: 192.0.2."), "{told}");

    let lines = example("dns", &at);
    let target = configured(&lines).unwrap();
    assert_eq!(target.probe(&kit(), LIMIT).await.outcome, Outcome::Up);
    let shell = target.afar_shell(Duration::from_secs(2)).unwrap();
    let afar = || Command::new("/bin/sh").arg("-c").arg(&shell).status().unwrap().code().unwrap();
    assert_eq!(afar(), 0, "apt-get install bind9-dnsutils");
    nsd.kill();
    let told = format!("nobody listens at {at} (UDP)");
    assert_eq!(down(&target.probe(&kit(), LIMIT).await, Cause::Refused), told);
    assert_ne!(afar(), 0);
    down(&look(&format!("dns://{at}/example.org?tcp=true"), LIMIT).await, Cause::Refused);
}

#[tokio::test]
async fn a_server_that_keeps_silent_is_asked_twice_and_down() {
    let server = StandIn::start(|_, _| Vec::new());
    let reading = look(&server.url(), SHORT).await;
    let told = down(&reading, Cause::Timeout);
    assert!(told.starts_with(&format!("no answer from {} (UDP) within ", server.addr)), "{told}");
    assert!(reading.took < SHORT * 3, "{:?}", reading.took);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn one_lost_datagram_is_no_outage() {
    let server = StandIn::start(|question, asked| if asked == 0 { Vec::new() } else { vec![bytes(&answer(question))] });
    let reading = look(&server.url(), Duration::from_secs(2)).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.took > Duration::from_millis(800), "it was asked again after half of the time: {:?}", reading.took);
}

#[tokio::test]
async fn what_does_not_answer_our_question_is_passed_over() {
    let server = StandIn::start(|question, _| {
        let good = answer(question);
        let mut other_id = good.clone();
        other_id.metadata.id = good.metadata.id.wrapping_add(1);
        let mut other_name = good.clone();
        other_name.queries[0].name = Name::from_ascii("evil.example.").unwrap();
        let mut query = good.clone();
        query.metadata.message_type = MessageType::Query;
        let mut refused = good.clone();
        refused.metadata.id = good.metadata.id.wrapping_sub(1);
        refused.metadata.response_code = ResponseCode::NXDomain;
        vec![b"garbage".to_vec(), bytes(&other_id), bytes(&other_name), bytes(&query), bytes(&refused), bytes(&good)]
    });
    assert_eq!(look(&server.url(), LIMIT).await.outcome, Outcome::Up);
}

#[tokio::test]
async fn somebody_else_cannot_answer_for_the_server() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(0));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let addr = socket.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let mut lie = answer(&buffer[..length]);
        lie.metadata.response_code = ResponseCode::NXDomain;
        stranger.send_to(&bytes(&lie), from).unwrap();
        port.store(from.port(), std::sync::atomic::Ordering::Relaxed);
        socket.send_to(&bytes(&answer(&buffer[..length])), from).unwrap();
    });
    assert_eq!(look(&format!("dns://{addr}/example.org"), LIMIT).await.outcome, Outcome::Up);
    server.join().unwrap();
}

#[tokio::test]
async fn garbage_is_down_by_protocol_and_does_not_outlast_the_time() {
    let server = StandIn::start(|_, _| vec![b"\0\0garbage".to_vec(); 50]);
    let reading = look(&server.url(), SHORT).await;
    let told = down(&reading, Cause::Protocol);
    assert!(told.contains("none of them answers our question"), "{told}");
    assert!(reading.took < SHORT * 3, "{:?}", reading.took);
    let server = StandIn::start(|question, _| {
        let whole = bytes(&answer(question));
        vec![whole[..whole.len() - 2].to_vec()]
    });
    assert_eq!(down(&look(&server.url(), LIMIT).await, Cause::Protocol), "the answer to our question cannot be read");
    let server = StandIn::start(|question, _| {
        let mut message = Message::from_vec(question).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.metadata.response_code = ResponseCode::FormErr;
        message.queries.clear();
        vec![bytes(&message)]
    });
    assert!(down(&look(&server.url(), LIMIT).await, Cause::Protocol).starts_with("the server does not accept"));
    let server = StandIn::start(|question, _| {
        let mut message = answer(question);
        message.metadata.response_code = ResponseCode::ServFail;
        vec![bytes(&message)]
    });
    assert!(down(&look(&server.url(), LIMIT).await, Cause::Content).ends_with("(SERVFAIL)"));
}

#[tokio::test]
async fn over_tcp_half_an_answer_silence_and_garbage_are_told_apart() {
    for (act, cause, ends) in [
        (Act::Silence, Cause::Timeout, "waiting for the first byte"),
        (Act::Close, Cause::Reset, "waiting for the answer"),
        (Act::Reset, Cause::Reset, ""),
        (Act::bytes([0]), Cause::Reset, "waiting for the answer"),
        (Act::bytes([0, 40, 1, 2, 3]), Cause::Reset, "reading the answer"),
        (Act::bytes([0, 4, 1, 2, 3, 4]), Cause::Protocol, "no answer to our question"),
        (Act::bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), Cause::Reset, "reading the answer"),
        (Act::Drip(vec![0xff, 0xff], vec![0]), Cause::Timeout, "waiting for the rest of the answer"),
    ] {
        let server = Server::unasked(act.clone());
        let url = format!("dns://{}/example.org?tcp=true", server.addr());
        let reading = look(&url, if cause == Cause::Timeout { SHORT } else { LIMIT }).await;
        assert!(down(&reading, cause).ends_with(ends), "{act:?}: {reading:?}");
    }
}

#[tokio::test]
async fn a_server_with_a_name_is_resolved_by_the_system_and_tried_at_each_address() {
    let server = StandIn::start(|question, _| vec![bytes(&answer(question))]);
    let port = server.addr.port();
    // Nobody listens at the first.
    let found = || Ok(vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
    let kit = Kit::with_resolver(&Roots::load(None).unwrap(), Resolver::new(4, move |_| found()));
    let ask = async |more: &str| {
        let lines = format!("SRV4_URL=dns://ns1.test:{port}/example.org{more}");
        configured(&lines).unwrap().probe(&kit, LIMIT).await
    };
    let reading = ask("").await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.dns.is_some());
    let told = format!("nobody listens at [::1]:{port} (UDP)");
    assert_eq!(down(&ask("\nSRV4_IP=6").await, Cause::Refused), told);
    let name = format!("{}.test", "x".repeat(64));
    assert!(!look(&format!("dns://{name}/example.org"), LIMIT).await.outcome.eq(&Outcome::Up));
    down(&look(&format!("dns://{name}/example.org"), LIMIT).await, Cause::Dns);
}

#[test]
fn a_server_that_is_gone_is_down_and_a_network_that_is_gone_is_blind() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24"]);
    lan.machine("there", &["10.9.0.2/24"]);
    assert_eq!(
        down(&lan.run("here", || look("dns://10.9.0.2/example.org", LIMIT)), Cause::Refused),
        "nobody listens at 10.9.0.2:53 (UDP)"
    );
    lan.cut("there");
    down(&lan.run("here", || look("dns://10.9.0.2/example.org", SHORT)), Cause::Timeout);
    match lan.run("here", || look("dns://192.0.2.1/example.org", SHORT)).outcome {
        Outcome::Blind(fault) => assert_eq!(fault.cause, Cause::Network, "{}", fault.reason),
        other => panic!("no route is our trouble: {other:?}"),
    }
}

#[test]
fn an_address_that_no_answer_can_hold_is_told_with_its_key() {
    let told = configured("SRV4_URL=dns://9.9.9.9/example.org\nSRV4_EXPECT=192.0.2").unwrap_err();
    assert!(told.contains("SRV4_EXPECT: is no IPv4 address"), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_sends_there_is_a_reading_within_the_limit(
        answers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
        ours in any::<bool>(),
    ) {
        let server = StandIn::start(move |question, _| {
            let with_id = |bytes: &Vec<u8>| if ours { [&question[..2], bytes].concat() } else { bytes.clone() };
            answers.iter().map(with_id).collect()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let limit = Duration::from_millis(60);
        let reading = runtime.block_on(look(&server.url(), limit));
        prop_assert!(reading.outcome != Outcome::Up);
        prop_assert!(reading.took < limit + LIMIT / 2);
    }
}
