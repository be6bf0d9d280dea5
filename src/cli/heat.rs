//! `monitor heat`, and the whole program when it is called `heat`: one command is checked at an interval.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args as _, Parser};
use rustix::process::Pid;
use tokio_util::sync::CancellationToken;

use crate::app::channels;
use crate::app::signals::{End, Ends};
use crate::app::source::Source;
use crate::engine::clock::Clock;
use crate::env::duration;
use crate::fetch::{self, Roots};
use crate::heat::{self, Ended, Orders, People, Program, SignalName, Signals};

use super::screen::lines;
use super::{BAD_CONFIGURATION, FAILED, FINE, complain};

/// The name of the program that means this subcommand.
const NAME: &str = "heat";
/// Shorter intervals and times are slips of the finger.
const SHORTEST: Duration = Duration::from_millis(1);

/// The exit code of what a signal ended is its number and this much.
const BY_SIGNAL: u8 = 128;

/// What is checked, and what follows.
#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("check").required(true).args(["script", "command"])),
    after_help = "Times are seconds (30, 0.5) or have a unit (500ms, 5m). docs/reference/heat.md says all of it."
)]
pub struct Args {
    /// Time from the start of one check to the start of the next
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    interval: Duration,
    /// The script that checks; exit code 0 is success
    #[arg(short, long, value_name = "PATH")]
    script: Option<PathBuf>,
    /// The process that receives signals; it has to be there, and its end is heat's end
    #[arg(long, value_name = "PID", value_parser = pid)]
    pid: Option<Pid>,
    /// The signal that --pid receives on each failure, by name or number [default: HUP, unless only --fault-signal or
    /// --success-signal is given]
    #[arg(long, value_name = "SIGNAL", requires = "pid")]
    signal: Option<SignalName>,
    /// Script to run on each failure, but not during a recovery
    #[arg(long, value_name = "PATH")]
    fail: Option<PathBuf>,
    /// Script to run when as many checks failed in a row as --threshold says
    #[arg(long, value_name = "PATH")]
    recovery: Option<PathBuf>,
    /// Failures in a row that begin a recovery and send --fault-signal
    #[arg(long, value_name = "N", default_value = "1", value_parser = threshold)]
    threshold: NonZeroU32,
    /// Time in which a recovery has to show, before it is run again [default: as many checks as --threshold]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "recovery")]
    recovery_timeout: Option<Duration>,
    /// Signal to send when the threshold is reached: to --pid, or to heat itself
    #[arg(long, value_name = "SIGNAL")]
    fault_signal: Option<SignalName>,
    /// Signal to send on the first success after that
    #[arg(long, value_name = "SIGNAL")]
    success_signal: Option<SignalName>,
    /// Longest time of one check or script; what takes longer is ended, and a check has failed then [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// The log, to which is appended
    #[arg(long, value_name = "FILE", default_value = "heat.verbose.log")]
    log: PathBuf,
    /// Also tell people in Telegram, with the TELEGRAM_ keys of the configuration
    #[arg(long)]
    telegram: bool,
    /// The command that checks, in place of --script: everything from here on is its own
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Checks a command at an interval, and acts when it fails.
#[derive(Debug, Parser)]
#[command(name = "heat", version, max_term_width = 100)]
struct Alone {
    /// Where --telegram finds its keys [default: ./.env, else .env beside the binary]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    args: Args,
}

/// Runs it when that is what the program was called; `None` when it was called otherwise.
pub fn called(name: Option<&OsStr>) -> Option<u8> {
    let name = name.map(Path::new).and_then(Path::file_name);
    (name == Some(OsStr::new(NAME))).then(|| {
        let Alone { env_file, args } = Alone::parse();
        run(env_file.as_deref(), args)
    })
}

/// Watches until stopped.
pub fn run(env_file: Option<&Path>, args: Args) -> u8 {
    let source = Source::find(env_file);
    let telegram = args.telegram;
    let strays = strays(&args, &std::env::args_os().collect::<Vec<_>>());
    if !strays.is_empty() {
        let (strays, one) = (strays.join(", "), strays.len() == 1);
        let belongs = if one { "belongs" } else { "belong" };
        complain(&lines(&format!(
            "heat: {strays} stands behind the command and {belongs} to it; what is meant for heat has to stand before the \
             command, and -- before the command says that all is as meant"
        )));
    }
    let orders = match orders(args, &source) {
        Ok(orders) => orders,
        Err(why) => return unfit(&why),
    };
    let people = match telegram.then(|| people(&source)).transpose() {
        Ok(people) => people,
        Err(why) => return unfit(&why),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the system gives us no runtime: {error}"));
            return FAILED;
        }
    };
    let outcome = runtime.block_on(watch(orders, people));
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome {
        Ok(code) => code,
        // It was said when it happened.
        Err(Ended::Trouble(_)) => FAILED,
        Err(error @ Ended::Log { .. }) => unfit(&error.to_string()),
        Err(error) => {
            complain(&lines(&format!("heat: {error}")));
            FAILED
        }
    }
}

async fn watch(orders: Orders, people: Option<People>) -> Result<u8, Ended> {
    let stop = CancellationToken::new();
    // Before anything runs: a signal that comes early must not leave it behind.
    let mut ends = Ends::listen().map_err(|error| Ended::Trouble(format!("signals are not heard: {error}")))?;
    let watching = heat::run(orders, people, Clock::System, stop.clone(), said);
    tokio::pin!(watching);
    let end = tokio::select! {
        outcome = &mut watching => return outcome.map(|()| FINE),
        end = ends.recv() => end,
    };
    stop.cancel();
    let End::Odd(number) = end else { return watching.await.map(|()| FINE) };
    let name = number.to_string().parse::<SignalName>().map_or_else(|_| number.to_string(), |name| name.to_string());
    said(&format!("heat: signal {name} is no order to stop that it knows: it ends, and what it runs with it"));
    watching.await?;
    // What a shell tells of a program that a signal ended.
    Ok(u8::try_from(number).map_or(FAILED, |number| number.saturating_add(BY_SIGNAL)))
}

/// Puts together what was ordered, or says what is wrong with it.
fn orders(args: Args, source: &Source) -> Result<Orders, String> {
    let path = source.variable("PATH").map(OsStr::new);
    let script = |option: &str, file: &Path| Program::script(file).map_err(|why| format!("{option}: {why}"));
    let check = match &args.script {
        Some(file) => script("--script", file)?,
        None => Program::command(&args.command, path)?,
    };
    let fail = args.fail.as_deref().map(|file| script("--fail", file)).transpose()?;
    let recovery = args.recovery.as_deref().map(|file| script("--recovery", file)).transpose()?;
    let others = args.fault_signal.is_some() || args.success_signal.is_some();
    // Who only sends STOP and CONT does not want the process to be killed by a HUP on top.
    let usual = (args.pid.is_some() && !others).then_some(SignalName::DEFAULT);
    let signals = Signals { failure: args.signal.or(usual), fault: args.fault_signal, success: args.success_signal };
    let reached = recovery.is_some() || others || args.telegram;
    if args.threshold.get() > 1 && !reached {
        complain("heat: --threshold has no effect without --recovery, --fault-signal, --success-signal or --telegram");
    }
    Ok(Orders {
        check,
        interval: args.interval,
        timeout: args.timeout,
        fail,
        recovery,
        recovery_timeout: args.recovery_timeout,
        threshold: args.threshold,
        pid: args.pid,
        signals,
        log: args.log,
        hidden: if args.telegram { vec!["TELEGRAM_BOT_TOKEN", "TELEGRAM_PROXY"] } else { Vec::new() },
    })
}

/// Finds out who is told.
fn people(source: &Source) -> Result<People, String> {
    let (people, report) = source.people().map_err(|error| format!("--telegram: {error}"))?;
    let people = people.ok_or_else(|| format!("--telegram: {report}"))?;
    fetch::install_crypto_provider();
    let roots = Roots::load(None).map_err(|error| format!("--telegram: {error}"))?;
    channels::people(&people.telegram, people.language, &roots).map_err(|error| format!("--telegram: {error:#}"))
}

/// Finds what stands behind the command and is called as an option of our own: likely it was meant for us.
fn strays(args: &Args, typed: &[OsString]) -> Vec<String> {
    // Two dashes before the command say that all behind them is its own.
    let before = typed.len().saturating_sub(args.command.len());
    if typed.get(before.saturating_sub(1)).is_some_and(|word| word == "--") {
        return Vec::new();
    }
    let command = Args::augment_args(clap::Command::new(NAME));
    let ours: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let mut found = Vec::new();
    for word in args.command.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(name) = word.strip_prefix("--").and_then(|word| word.split('=').next()) else { continue };
        if ours.contains(&name) && !found.iter().any(|known: &String| known.strip_prefix("--") == Some(name)) {
            found.push(format!("--{name}"));
        }
    }
    found
}

fn said(text: &str) {
    complain(&lines(text));
}

fn unfit(why: &str) -> u8 {
    complain(&lines(&format!("heat: {why}")));
    BAD_CONFIGURATION
}

fn time(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).map_err(|why| format!("expected {why}"))?;
    if time < SHORTEST { Err("expected at least 1ms".to_owned()) } else { Ok(time) }
}

fn threshold(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| format!("expected a whole number from 1 to {}: so many failures in a row", u32::MAX))
}

fn pid(text: &str) -> Result<Pid, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits).and_then(Pid::from_raw);
    number.ok_or_else(|| "expected the number of a process".to_owned())
}
