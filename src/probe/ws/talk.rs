//! What is said over an open WebSocket: a message and its answer, or a ping and its pong; then a polite end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Utf8Bytes};

use crate::domain::reading::{Cause, Fault};
use crate::host::output::one_line;
use crate::probe::wire::{Dialogue, Sent, Stage, Stream, Trace, broken};

/// Bytes of one message: more than a snapshot of some state, less than what a machine with many probes would feel.
const MESSAGE: usize = 1 << 20;
/// Messages among which the expected one is looked for.
const MESSAGES: usize = 1000;
/// Bytes of these messages together.
const BYTES: usize = 4 << 20;
/// What the ping carries and its pong must repeat.
const PING: Bytes = Bytes::from_static(b"monitor");
/// How long the server may take to agree to the end; nothing depends on it.
const END: Duration = Duration::from_millis(250);
/// Share of the time after which messages that came and do not fit are judged: later only "no answer" could be said.
const PATIENCE: f32 = 0.95;

type Socket = WebSocketStream<Stream>;
type Hide<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// Holds the dialogue, or pings where there is none; `early` came right behind the opening. `hide` takes secrets out of what
/// the server says.
pub(super) async fn talk(
    stream: Stream,
    early: Vec<u8>,
    dialogue: Option<&Dialogue>,
    hide: Hide<'_>,
    trace: &mut Trace,
) -> Result<(), Fault> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE))
        .max_frame_size(Some(MESSAGE));
    let mut socket = WebSocketStream::from_partially_read(stream, early, Role::Client, Some(config)).await;
    trace.enter(Stage::Rest);
    match dialogue {
        Some(dialogue) => converse(&mut socket, dialogue, hide, trace).await?,
        None => ping(&mut socket, hide).await?,
    }
    trace.finish();
    // It answered: how it ends changes nothing, and takes none of the time that a reading needs.
    let _ = timeout(END.min(trace.left() / 2), end(&mut socket)).await;
    Ok(())
}

/// Messages in between are the service's own business, as many as come within the time.
async fn ping(socket: &mut Socket, hide: Hide<'_>) -> Result<(), Fault> {
    let doing = "waiting for the pong";
    socket.send(Message::Ping(PING)).await.map_err(|error| fault("sending a ping", error))?;
    loop {
        match next(socket, doing, hide).await? {
            Message::Pong(payload) if payload == PING => return Ok(()),
            _ => {}
        }
    }
}

async fn converse(socket: &mut Socket, dialogue: &Dialogue, hide: Hide<'_>, trace: &Trace) -> Result<(), Fault> {
    if let Some(send) = &dialogue.send {
        socket.send(message(send)).await.map_err(|error| fault("sending a message", error))?;
    }
    let doing = "waiting for a message";
    let deadline = Instant::now() + trace.left().mul_f32(PATIENCE);
    let (mut count, mut bytes, mut last) = (0, 0, Bytes::new());
    loop {
        let coming = next(socket, doing, hide);
        let came = if count == 0 {
            // The attempt's own limit is around us, and says what was waited for.
            coming.await?
        } else {
            match timeout_at(deadline, coming).await {
                Ok(came) => came?,
                Err(_elapsed) => return Err(other(dialogue, count, &last, hide)),
            }
        };
        let data = match came {
            Message::Text(text) => Bytes::from(text),
            Message::Binary(data) => data,
            _ => continue,
        };
        if dialogue.expect.as_ref().is_none_or(|expected| expected.is_in(&data)) {
            return Ok(());
        }
        count += 1;
        bytes += data.len();
        last = data;
        if count >= MESSAGES || bytes >= BYTES {
            return Err(other(dialogue, count, &last, hide));
        }
    }
}

/// Text where it is text.
fn message(sent: &Sent) -> Message {
    match std::str::from_utf8(sent.bytes()) {
        Ok(text) => Message::text(text),
        Err(_) => Message::binary(sent.bytes().to_vec()),
    }
}

fn other(dialogue: &Dialogue, count: usize, last: &[u8], hide: Hide<'_>) -> Fault {
    // Hidden before it is cut: half a secret is one too.
    let last = one_line(hide(&String::from_utf8_lossy(last)).as_bytes(), 60);
    let wanted = dialogue.expect.as_ref().map(ToString::to_string).unwrap_or_default();
    let came = if count == 1 { "the message that came does" } else { &format!("the {count} messages that came do") };
    Fault::new(Cause::Content, format!("{came} not hold {wanted}; the last begins `{last}`"))
}

/// The next message; a close is a fault, because nothing that was waited for came before it.
async fn next(socket: &mut Socket, doing: &str, hide: Hide<'_>) -> Result<Message, Fault> {
    match socket.next().await {
        Some(Ok(Message::Close(frame))) => Err(closed(frame.as_ref(), doing, hide)),
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(fault(doing, error)),
        None => Err(Fault::new(Cause::Reset, format!("connection closed while {doing}"))),
    }
}

fn closed(frame: Option<&CloseFrame>, doing: &str, hide: Hide<'_>) -> Fault {
    let why =
        frame.map(|frame| format!(": {} {}", u16::from(frame.code), one_line(hide(&frame.reason).as_bytes(), 60)));
    let what = format!("the server closed the WebSocket while {doing}{}", why.unwrap_or_default());
    Fault::new(Cause::Content, what)
}

fn fault(doing: &str, error: Error) -> Fault {
    match error {
        Error::Io(error) => broken(doing, &error),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Fault::new(Cause::Reset, format!("connection closed while {doing}"))
        }
        Error::Capacity(_) => {
            let what = format!("a message of more than {} MiB while {doing}", MESSAGE >> 20);
            Fault::new(Cause::Protocol, what)
        }
        // The library's words about frames; none of them holds what was sent.
        error => Fault::new(Cause::Protocol, format!("what came is no WebSocket while {doing}: {error}")),
    }
}

/// Says that we go, and waits until the server has seen it.
async fn end(socket: &mut Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
    if socket.close(Some(frame)).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}
