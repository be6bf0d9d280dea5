//! `exec`: a program of this machine looks, and its exit code says what it saw.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::timeout;

use super::wire::settings::Settings;
use super::wire::{Kit, Trace, is_exhausted, judge, last_line};
use super::{BadTarget, Kind, Probe, Target};
use crate::domain::reading::{Cause, Fault};
use crate::env::{Key, Scope, value};
use crate::host::LocalHost;
use crate::host::output::{Capture, one_line};
use crate::host::process::{Process, exit};

/// Through a shell.
const SHELL: Key<bool> = Key::new(Scope::Server, "SHELL", value::flag)
    .about(
        "Give what stands after `exec:` to `sh -c` as it is, with pipes and variables, instead of starting it as a program and its arguments.",
        "true",
    )
    .default("false");

/// `exec`.
pub const KIND: Kind = Kind {
    name: "exec",
    schemes: &["exec"],
    listable: false,
    page: include_str!("exec.md"),
    example: "SRV4_URL=exec:/usr/lib/nagios/plugins/check_disk -w '10%' -c '5%' -p /",
    keys: &[SHELL.info()],
    read,
};

/// Characters of a command that are shown.
const SHOWN: usize = 200;

/// An `exec` target at rest.
struct Exec {
    program: Box<str>,
    arguments: Box<[String]>,
    /// True when the program is the shell that reads the text.
    shell: bool,
    server: Box<str>,
    /// Processes that even KILL did not end: they hang in the kernel, mostly on storage that is gone.
    stuck: Mutex<Vec<Process>>,
}

fn read(text: &str, settings: &Settings<'_>) -> Result<Target, BadTarget> {
    let shell = settings.get(&SHELL);
    let bad = |what: String| BadTarget::Unreadable(format!("{what}; write exec:./check.sh --flag 'a b'"));
    let (_, command) = text.split_once(':').ok_or(BadTarget::NoScheme)?;
    let command = command.trim();
    if command.starts_with("//") {
        return Err(bad("a program follows the colon at once, without `//`".to_owned()));
    }
    let words = shell_words::split(command).map_err(|_unclosed| bad("a quote is not closed".to_owned()))?;
    if shell == Some(false)
        && let Some(sign) = for_a_shell(command)
    {
        let what = format!("is not on, so `{sign}` in the URL is given to the program as it is, and means nothing");
        settings.warn(&SHELL, what, format!("set {}_SHELL=true, or put it in single quotes", settings.name()));
    }
    let mut words = words.into_iter();
    let first = words.next().filter(|word| !word.is_empty()).ok_or_else(|| bad("there is no program".to_owned()))?;
    let shown = format!("exec:{}", one_line(command.as_bytes(), SHOWN));
    let server = settings.name().into();
    let shell = shell.ok_or(BadTarget::Settings)?;
    let (program, arguments) = if shell {
        ("sh".into(), ["-c".to_owned(), command.to_owned()].into())
    } else {
        (first.into(), words.collect())
    };
    let exec = Exec { program, arguments, shell, server, stuck: Mutex::default() };
    Ok(Target::new(&shown, exec))
}

/// The first sign outside of quotes that only a shell would obey; a variable also within double quotes.
fn for_a_shell(command: &str) -> Option<&'static str> {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in command.char_indices() {
        let rest = command.get(at..).unwrap_or_default();
        let obeyed = |signs: &[&'static str]| signs.iter().copied().find(|sign| rest.starts_with(sign));
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, _) => {
                if let Some(sign) = obeyed(&["|", "&&", ";", ">", "<", "$", "*", "`"]) {
                    return Some(sign);
                }
            }
            (Some('"'), _) => {
                if let Some(sign) = obeyed(&["$", "`"]) {
                    return Some(sign);
                }
            }
            (Some(_), _) => {}
        }
    }
    None
}

impl Probe for Exec {
    fn look<'a>(&'a self, kit: &'a Kit, trace: &'a mut Trace) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.run(kit, trace))
    }

    fn program(&self) -> Option<&Path> {
        (!self.shell).then(|| Path::new(&*self.program))
    }
}

impl Exec {
    /// Runs the program within a share of the time: the rest is for ending it, because the frame only drops us.
    async fn run(&self, kit: &Kit, trace: &Trace) -> Result<(), Fault> {
        let commands = kit.commands();
        let turn = commands.turns.next(trace).await?;
        if self.is_stuck().await {
            let reason = "a process of an earlier look hangs in the kernel and cannot be ended; no other is started";
            return Err(Fault::new(Cause::Timeout, reason));
        }
        let left = trace.left();
        let grace = (left / 5).min(Duration::from_secs(1));
        let limit = left.saturating_sub(grace);
        let mut process = Process::start(&mut self.command(&commands.local)).map_err(|error| self.unstarted(&error))?;
        let mut capture = Capture::default();
        let Some(ended) = process.run_until(&mut capture, limit).await else {
            if !stop(&mut process, &mut capture, grace).await {
                self.stuck.lock().unwrap_or_else(PoisonError::into_inner).push(process);
            }
            return Err(turn.overdue(limit, &last_line(&capture.finish())));
        };
        // A check is no way to start things: what it left in its group ends with it, and then its output does too.
        process.signal(Signal::KILL);
        process.release();
        let _whole = timeout(grace / 2, process.read_rest(&mut capture)).await;
        let status = ended.map_err(|error| {
            Fault::new(Cause::Denied, format!("the exit code of {} could not be read: {error}", self.program))
        })?;
        judge(&exit(status), &capture.finish())
    }

    /// Lets go of the processes that have ended since; true while there are others. Each look would add one more.
    async fn is_stuck(&self) -> bool {
        let mut before = std::mem::take(&mut *self.stuck.lock().unwrap_or_else(PoisonError::into_inner));
        let mut still = Vec::new();
        while let Some(mut process) = before.pop() {
            match process.run_until(&mut Capture::default(), Duration::ZERO).await {
                Some(_ended) => process.release(),
                None => still.push(process),
            }
        }
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.append(&mut still);
        !stuck.is_empty()
    }

    fn command(&self, local: &LocalHost) -> Command {
        let mut command = local.program(self.program.as_ref().as_ref());
        command.args(&*self.arguments).env("MONITOR_SERVER", &*self.server);
        command
    }

    /// A program that cannot be started has looked at nothing.
    fn unstarted(&self, error: &io::Error) -> Fault {
        let program = one_line(self.program.as_bytes(), 80);
        if is_exhausted(error) {
            return Fault::new(Cause::Exhausted, format!("this machine cannot start one more process: {error}"));
        }
        let why = match error.kind() {
            io::ErrorKind::NotFound => "it, or the interpreter that its first line names, is not there".to_owned(),
            io::ErrorKind::PermissionDenied => "it may not be executed; see its permissions".to_owned(),
            _ => error.to_string(),
        };
        Fault::new(Cause::Denied, format!("{program} could not be started: {why}"))
    }
}

/// Ends the whole group within `grace`: politely, then not; false when it is still there.
async fn stop(process: &mut Process, capture: &mut Capture, grace: Duration) -> bool {
    process.signal(Signal::TERM);
    let obeyed = process.run_until(capture, grace / 2).await.is_some();
    // Children that ignored the signal go too.
    process.signal(Signal::KILL);
    let ended = obeyed || process.run_until(capture, grace / 4).await.is_some();
    if ended {
        process.release();
    }
    ended
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signs_that_only_a_shell_obeys_are_found_outside_of_quotes() {
        for (command, sign) in [
            ("echo broken | grep -q ok", Some("|")),
            ("a && b", Some("&&")),
            ("a; b", Some(";")),
            ("a >/dev/null", Some(">")),
            ("ls *.pid", Some("*")),
            ("a \"$HOME\"", Some("$")),
            ("a '$HOME | b' \"x|y;*\"", None),
            ("a \\| \\$x http://h/?a=1&b=2 -w '10%'", None),
        ] {
            assert_eq!(for_a_shell(command), sign, "{command}");
        }
    }

    #[test]
    fn a_text_that_is_no_command_says_what_to_write() {
        for (text, expected) in [
            ("exec:", "the URL cannot be read: there is no program; write exec:./check.sh"),
            ("exec:  ", "the URL cannot be read: there is no program"),
            ("exec:'' x", "the URL cannot be read: there is no program"),
            ("exec:./check 'a", "the URL cannot be read: a quote is not closed"),
            ("exec:///bin/true", "the URL cannot be read: a program follows the colon at once"),
        ] {
            let error = Target::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} says {error:?}");
        }
        let target = Target::parse("Exec: ./check.sh  --flag 'a b'\t\u{1b}[1m").unwrap();
        assert_eq!(target.shown(), "exec:./check.sh  --flag 'a b' \\x1b[1m");
        assert_eq!(target.program(), Some(Path::new("./check.sh")));
        assert!(target.afar_shell(Duration::from_secs(1)).is_none());
    }

    #[tokio::test]
    async fn while_a_process_cannot_be_ended_no_other_is_started() {
        let kit = Kit::new(&crate::fetch::Roots::load(None).unwrap());
        let mut hanging = Process::start(Command::new("sleep").arg("987106")).unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(hanging.id().unwrap()).unwrap()).unwrap();
        assert!(hanging.run_until(&mut Capture::default(), Duration::ZERO).await.is_none());
        let exec = Exec {
            program: "true".into(),
            arguments: Box::default(),
            shell: false,
            server: "SRV4".into(),
            stuck: Mutex::new(vec![hanging]),
        };
        let look = || async { exec.run(&kit, &Trace::start(Duration::from_secs(10))).await };
        for _ in 0..2 {
            let fault = look().await.unwrap_err();
            assert!(fault.cause == Cause::Timeout && fault.reason.contains("hangs in the kernel"), "{}", fault.reason);
        }
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        let limit = tokio::time::Instant::now() + Duration::from_secs(10);
        while look().await.is_err() {
            assert!(tokio::time::Instant::now() < limit, "it is gone and still counts");
            tokio::task::yield_now().await;
        }
        assert!(size_of::<Exec>() <= 96, "{}", size_of::<Exec>());
    }

    proptest! {
        #[test]
        fn any_text_is_a_command_or_says_why_not(text in "\\PC{0,60}") {
            match Target::parse(&format!("exec:{text}")) {
                Ok(target) => prop_assert!(target.shown().chars().all(|c| !c.is_control())),
                Err(error) => prop_assert!(error.to_string().contains("write exec:./check.sh")),
            }
        }
    }
}
