//! A question carried to a server and its answer back: over UDP, twice if need be, or over TCP.
//!
//! Each question has an id and a port that nobody can know beforehand; what does not fit to it is not listened to.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::question::Question;
use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::{Datagrams, Stage, Trace, broken};

/// Bytes of a datagram; we announce no extension, so a server sends 512 at most, and cuts what is longer.
const DATAGRAM: usize = 4096;

/// What a server said.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer to our question.
    Answer(Box<Message>),
    /// Its beginning: it does not fit into a datagram.
    Cut,
}

/// Asks `peer` over UDP; again when half of the time is over, because a datagram may get lost.
pub(super) async fn udp(peer: SocketAddr, question: &Question, patience: Duration) -> Result<Heard, Fault> {
    let begun = Instant::now();
    let (half, end) = (begun + patience / 2, begun + patience);
    let (id, bytes) = written(question)?;
    let socket = Datagrams::open(peer).await?;
    socket.send(&bytes).await?;
    let (mut again, mut strangers) = (false, 0_u32);
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let until = if again { end } else { half };
        let came = match timeout_at(until, socket.receive(&mut buffer)).await {
            // A flood of strangers must not outlast the time.
            Ok(_) if Instant::now() >= end => None,
            Ok(count) => Some(count?),
            Err(_elapsed) => None,
        };
        match came.and_then(|count| buffer.get(..count)) {
            Some(bytes) => match fitting(bytes, id, question)? {
                Some(heard) => return Ok(heard),
                None => strangers = strangers.saturating_add(1),
            },
            None if again => return Err(silent(peer, patience, strangers)),
            None => {
                again = true;
                socket.send(&bytes).await?;
            }
        }
    }
}

fn silent(peer: SocketAddr, patience: Duration, strangers: u32) -> Fault {
    if strangers == 0 {
        return Fault::new(Cause::Timeout, format!("no answer from {peer} (UDP) within {patience:.1?}, asked twice"));
    }
    let what =
        format!("{peer} sent {strangers} datagrams within {patience:.1?}, and none of them answers our question");
    Fault::new(Cause::Protocol, what)
}

/// Asks over an open connection.
pub(super) async fn tcp(stream: &mut TcpStream, question: &Question, trace: &mut Trace) -> Result<Message, Fault> {
    let (id, bytes) = written(question)?;
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let framed = [&length.to_be_bytes()[..], &bytes].concat();
    stream.write_all(&framed).await.map_err(|error| broken("sending the question", &error))?;
    let length = stream.read_u16().await.map_err(|error| broken("waiting for the answer", &error))?;
    trace.enter(Stage::Rest);
    let mut answer = Vec::with_capacity(usize::from(length).min(DATAGRAM));
    // Room is taken as bytes come, not as they are promised.
    let mut rest = stream.take(u64::from(length));
    while answer.len() < usize::from(length) {
        let count = rest.read_buf(&mut answer).await.map_err(|error| broken("reading the answer", &error))?;
        if count == 0 {
            return Err(Fault::new(Cause::Reset, "connection closed while reading the answer"));
        }
    }
    match fitting(&answer, id, question)? {
        Some(Heard::Answer(message)) => Ok(*message),
        Some(Heard::Cut) => Err(Fault::new(Cause::Protocol, "the answer is cut short, though it came over TCP")),
        None => Err(Fault::new(Cause::Protocol, "what came over TCP is no answer to our question")),
    }
}

/// The question as it is sent, and its id. Servers that know only their own names pass over the wish for recursion.
fn written(question: &Question) -> Result<(u16, Vec<u8>), Fault> {
    let mut id = [0; 2];
    let drawn = SystemRandom::new().fill(&mut id);
    drawn.map_err(|_| Fault::new(Cause::Exhausted, "this machine gives no random numbers"))?;
    let id = u16::from_be_bytes(id);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(question.name.clone(), question.kind));
    let bytes = message.to_vec();
    bytes.map(|bytes| (id, bytes)).map_err(|_| Fault::new(Cause::Exhausted, "the question cannot be written"))
}

/// Reads bytes as the answer to our question. `None`: they are something else, and ours may still come.
fn fitting(bytes: &[u8], id: u16, question: &Question) -> Result<Option<Heard>, Fault> {
    let mut decoder = BinDecoder::new(bytes);
    let Ok(header) = Header::read(&mut decoder) else { return Ok(None) };
    let said = &header.metadata;
    if said.id != id || said.message_type != MessageType::Response {
        return Ok(None);
    }
    let ours = match Query::read(&mut decoder) {
        Ok(query) if header.counts.queries == 1 => query.name == question.name && query.query_type == question.kind,
        // A server that could not read the question cannot repeat it.
        _ => header.counts.queries == 0 && said.response_code != ResponseCode::NoError,
    };
    if !ours {
        return Ok(None);
    }
    if said.truncation {
        return Ok(Some(Heard::Cut));
    }
    match Message::from_vec(bytes) {
        Ok(message) => Ok(Some(Heard::Answer(Box::new(message)))),
        // The library's words may hold bytes of the message.
        Err(_) => Err(Fault::new(Cause::Protocol, "the answer to our question cannot be read")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};
    use proptest::prelude::*;

    pub fn asked() -> Question {
        Question { name: Name::from_ascii("example.org.").unwrap(), kind: RecordType::A, tcp: false }
    }

    /// The answer of a good server.
    pub fn answered(question: &Question, id: u16) -> Message {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(question.name.clone(), question.kind));
        let address = RData::A(rdata::A::new(192, 0, 2, 1));
        message.add_answer(Record::from_rdata(question.name.clone(), 60, address));
        message
    }

    fn heard(message: &Message) -> &'static str {
        match fitting(&message.to_vec().unwrap(), 7, &asked()) {
            Ok(Some(Heard::Answer(_))) => "answer",
            Ok(Some(Heard::Cut)) => "cut",
            Ok(None) => "stranger",
            Err(_) => "unreadable",
        }
    }

    #[test]
    fn only_an_answer_to_our_own_question_is_listened_to() {
        let good = answered(&asked(), 7);
        assert_eq!(heard(&good), "answer");
        assert_eq!(heard(&answered(&asked(), 8)), "stranger");
        let mut query = good.clone();
        query.metadata.message_type = MessageType::Query;
        assert_eq!(heard(&query), "stranger");
        let mut other = asked();
        other.name = Name::from_ascii("example.com.").unwrap();
        assert_eq!(heard(&answered(&other, 7)), "stranger");
        other = asked();
        other.kind = RecordType::AAAA;
        assert_eq!(heard(&answered(&other, 7)), "stranger");
        let mut shouted = asked();
        shouted.name = Name::from_ascii("EXAMPLE.org.").unwrap();
        assert_eq!(heard(&answered(&shouted, 7)), "answer");
        let mut cut = good.clone();
        cut.metadata.truncation = true;
        assert_eq!(heard(&cut), "cut");
        let mut bare = good.clone();
        bare.queries.clear();
        assert_eq!(heard(&bare), "stranger");
        bare.metadata.response_code = ResponseCode::FormErr;
        assert_eq!(heard(&bare), "answer");
    }

    #[test]
    fn an_answer_with_our_id_that_breaks_off_is_told_at_once() {
        let whole = answered(&asked(), 7).to_vec().unwrap();
        let broken = fitting(&whole[..whole.len() - 1], 7, &asked()).unwrap_err();
        assert_eq!(broken.cause, Cause::Protocol);
        assert!(matches!(fitting(&whole[..5], 7, &asked()), Ok(None)));
    }

    #[test]
    fn every_question_has_an_id_of_its_own() {
        let mut ids: Vec<u16> = (0..64).map(|_| written(&asked()).unwrap().0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() > 32, "{ids:?}");
    }

    proptest! {
        #[test]
        fn no_datagram_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            at in 0usize..60,
            with in any::<u8>(),
        ) {
            let _ = fitting(&bytes, 7, &asked());
            // Nearly right ones go further.
            let mut nearly = answered(&asked(), 7).to_vec().unwrap();
            if let Some(byte) = nearly.get_mut(at) {
                *byte = with;
            }
            nearly.extend(&bytes);
            for kind in [RecordType::A, RecordType::TXT, RecordType::CAA] {
                if let Ok(Some(Heard::Answer(message))) = fitting(&nearly, 7, &asked()) {
                    let question = Question { kind, ..asked() };
                    let _ = super::super::answer::judge(&message, &question, None);
                }
            }
        }
    }
}
