//! One command on one channel: hand it over, drain both streams to the end, tell how it ended.

use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, Sig};
use tokio::time::{Instant, timeout, timeout_at};

use super::session::Lease;
use super::shell::{own_limit, remote_limit};
use crate::host::output::{Capture, Captured, one_line};
use crate::host::process::LEFT_OPEN;
use crate::host::{Exit, Finished, HostError, RunResult};

/// After our own limit: time for a stopped command to say its last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the channel told so far.
#[derive(Default)]
struct Heard {
    capture: Capture,
    exit: Option<Exit>,
    refused: bool,
}

/// Why we stopped listening.
enum Stop {
    /// The channel was closed, or the session with it.
    Closed,
    /// The command has exited, something that it started holds its output.
    LeftOpen,
    /// Our limit.
    Limit,
}

/// Hands the command over and listens to its end. Until that end the session is marked as spoilt: dropped half-way, it must
/// not be used again.
pub(super) async fn exec(lease: Lease, mut channel: Channel<Msg>, request: String, limit: Duration) -> RunResult {
    let begun = Instant::now();
    let mut spoilt = Spoilt { lease: &lease, done: false };
    let mut heard = Heard::default();
    // The end of our side is never announced (`eof`): servers close a command's input then, and some commands hang on it.
    let stop = match channel.exec(true, request).await {
        Ok(()) => heard.listen(&mut channel, begun + own_limit(limit)).await,
        Err(_) => Stop::Closed,
    };
    let timed_out = |captured| HostError::TimedOut { after: limit, captured: Box::new(captured) };
    if heard.refused {
        return Err(HostError::Refused {
            address: lease.address(),
            why: "the server allows a login and no commands; check the account's shell and ForceCommand".to_owned(),
        });
    }
    match (stop, heard.exit.take()) {
        (Stop::Limit, _) => {
            // Works for ordinary users; the server refuses it for root, and then the wrapper's `timeout` does it.
            let _ = timeout(LAST_WORDS, channel.signal(Sig::TERM)).await;
            heard.listen(&mut channel, Instant::now() + LAST_WORDS).await;
            Err(timed_out(heard.capture.finish()))
        }
        (Stop::Closed, None) => {
            let captured: Captured = heard.capture.finish();
            Err(HostError::Lost { why: lease.live.why_lost(), captured: Box::new(captured) })
        }
        (Stop::LeftOpen, None) => Err(timed_out(heard.capture.finish())),
        (stop, Some(exit)) => {
            let left_open = matches!(stop, Stop::LeftOpen);
            spoilt.done = !left_open;
            let duration = begun.elapsed();
            let captured = heard.capture.finish();
            if ended_by_its_limit(&exit, duration, limit) {
                return Err(timed_out(captured));
            }
            Ok(Finished { exit, captured, duration, left_open })
        }
    }
}

impl Heard {
    /// Drains the channel until its close; after the command's exit only a little longer.
    async fn listen(&mut self, channel: &mut Channel<Msg>, limit: Instant) -> Stop {
        let mut until = limit;
        loop {
            match timeout_at(until, channel.wait()).await {
                Err(_) if self.exit.is_some() => return Stop::LeftOpen,
                Err(_) => return Stop::Limit,
                Ok(None | Some(ChannelMsg::Close)) => return Stop::Closed,
                Ok(Some(ChannelMsg::Data { data })) => self.capture.stdout(&data),
                Ok(Some(ChannelMsg::ExtendedData { data, .. })) => self.capture.stderr(&data),
                Ok(Some(ChannelMsg::ExitStatus { exit_status })) => {
                    self.exit = Some(Exit::Code(i32::try_from(exit_status).unwrap_or(i32::MAX)));
                    until = Instant::now() + LEFT_OPEN;
                }
                Ok(Some(ChannelMsg::ExitSignal { signal_name, .. })) => {
                    self.exit = Some(Exit::Signal(signal_text(&signal_name)));
                    until = Instant::now() + LEFT_OPEN;
                }
                Ok(Some(ChannelMsg::Failure)) => {
                    self.refused = true;
                    return Stop::Closed;
                }
                Ok(Some(_)) => {}
            }
        }
    }
}

/// The wrapper's `timeout` ends a command with 124, with 137 or KILL if it had to insist; `BusyBox`'s with 143.
fn ended_by_its_limit(exit: &Exit, duration: Duration, limit: Duration) -> bool {
    let telling = match exit {
        Exit::Code(code) => [124, 137, 143].contains(code),
        Exit::Signal(name) => name == "KILL" || name == "TERM",
    };
    telling && duration >= Duration::from_secs(remote_limit(limit))
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => one_line(name.as_bytes(), 32),
        known => format!("{known:?}"),
    }
}

/// Retires the session unless the command came to its end.
struct Spoilt<'a> {
    lease: &'a Lease,
    done: bool,
}

impl Drop for Spoilt<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.lease.live.retire();
        }
    }
}
