//! Floor 8: one file per subcommand.
//!
//! Exit codes: 0 fine, 1 failed at run time, 2 bad usage or configuration, 3 the asked-for thing is down.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::source::Source;
use crate::config::Config;
use crate::domain::name::PairName;

mod actions;
mod approve;
mod audit;
mod check;
pub mod client;
mod completions;
mod demo;
mod drill;
mod failover;
mod heal;
mod heat;
mod history;
mod incidents;
mod init;
mod pause;
mod person;
pub mod plan;
mod probe;
mod push;
pub mod reference;
mod reload;
mod report;
mod resume;
mod run;
mod screen;
mod status;
mod trust;

/// Everything was fine.
pub const FINE: u8 = 0;
/// Something failed at run time.
pub const FAILED: u8 = 1;
/// The usage or the configuration is wrong.
pub const BAD_CONFIGURATION: u8 = 2;
/// What was asked about is down.
pub const DOWN: u8 = 3;

/// Finds a broken service, heals it over SSH, proves that it healed, and tells people.
#[derive(Debug, Parser)]
#[command(name = "monitor", version, max_term_width = 80)]
struct Cli {
    /// The configuration [default: ./.env, else .env beside the binary]
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch, heal, verify and tell, until stopped (this is what `monitor` alone does)
    Run,
    /// Show what is in force and everything that is wrong; with --online try it all once
    Check(check::Args),
    /// Write a first .env, asking for what it needs
    Init(Box<init::Args>),
    /// Watch a service break and heal, live: the real agent among stand-ins of its own, on this machine only
    Demo(demo::Args),
    /// Show where every pair stands; exits 3 when one is down
    Status(status::Args),
    /// List when something was down, and what ended it
    Incidents(incidents::Args),
    /// List what was run or refused, and what came of it
    Actions(actions::Args),
    /// Play an outage on a virtual clock: what would be checked, run, refused and told, and when; touches nothing
    #[command(override_usage = PLAN_USAGE)]
    Plan(Box<plan::Args>),
    /// Show how each pair fared in a period, and whether its commands help
    Report(report::Args),
    /// Check one pair now; exits 3 when it is down
    Probe(probe::Args),
    /// Report for a server that reports to us (its URL begins with push): that it is well, or what is wrong
    Push(push::Args),
    /// Run one pair's command now, and see whether it helped
    Heal(heal::Args),
    /// Stop healing, for all pairs, a site or one pair; checks and notices go on
    Pause(pause::Args),
    /// Let healing go on
    Resume(resume::Args),
    /// Let a command run that waits for a person, or say no; without an ID: list what waits
    Approve(approve::Args),
    /// Rehearse: the whole chain for one pair as if it were down, with a harmless command
    Drill(drill::Args),
    /// Make the running agent read its configuration again
    Reload(reload::Args),
    /// Accept the key that a site's SSH host shows now
    Trust(trust::Args),
    /// Stand by for another machine: start services when it is dead, stop them when it is back
    Failover(failover::Args),
    /// Check one command or script at an interval, and send signals or run scripts when it fails
    Heat(Box<heat::Args>),
    /// Prove that no record of a command was changed or removed
    #[command(subcommand)]
    Audit(audit::Args),
    /// Print a script that completes these words in a shell
    Completions(completions::Args),
    /// Print or write the generated references
    #[command(hide = true)]
    Reference(reference::Args),
}

/// At least one of them has to be there, which clap says in a line that fits no screen.
const PLAN_USAGE: &str = "monitor plan --outage <WHAT=LENGTH[@FROM]> [OPTIONS]
       monitor plan --flap <WHAT=UP/DOWN> [OPTIONS]
       monitor plan --lost-network <LENGTH[@FROM]> [OPTIONS]";

/// Reads the command line and carries it out.
pub fn main() -> ExitCode {
    if let Some(code) = heat::called(std::env::args_os().next().as_deref()) {
        return ExitCode::from(code);
    }
    let Cli { env_file, command } = Cli::parse();
    let source = || Source::find(env_file.as_deref());
    let code = match command.unwrap_or(Command::Run) {
        Command::Run => run::run(source()),
        Command::Check(args) => check::run(&source(), &args),
        Command::Init(args) => init::run(&source(), env_file.as_deref(), &args),
        Command::Demo(args) => demo::run(&args),
        Command::Status(args) => status::run(&source(), &args),
        Command::Incidents(args) => incidents::run(&source(), &args),
        Command::Actions(args) => actions::run(&source(), &args),
        Command::Plan(args) => plan::run(&source(), &args),
        Command::Report(args) => report::run(&source(), &args),
        Command::Probe(args) => probe::run(&source(), &args),
        Command::Push(args) => push::run(&source(), &args),
        Command::Heal(args) => heal::run(&source(), &args),
        Command::Pause(args) => pause::run(&source(), &args),
        Command::Resume(args) => resume::run(&source(), &args),
        Command::Approve(args) => approve::run(&source(), &args),
        Command::Drill(args) => drill::run(&source(), &args),
        Command::Reload(args) => reload::run(&source(), &args),
        Command::Trust(args) => trust::run(&source(), &args),
        Command::Failover(args) => failover::run(env_file.as_deref(), &args),
        Command::Heat(args) => heat::run(env_file.as_deref(), *args),
        Command::Audit(args) => audit::run(&source(), &args),
        Command::Completions(args) => completions::run(Cli::command(), &args),
        Command::Reference(args) => reference::run(&args),
    };
    ExitCode::from(code)
}

/// Writes to standard output; a reader that has gone is no error.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes to standard error, harmless and as wide as a screen.
fn complain(text: &str) {
    write_error(&screen::flowed("", text, screen::columns(std::io::stderr())));
}

/// Writes to standard error a text that is ours, each of its lines as it is.
fn write_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes sentences to standard output, harmless and as wide as a screen.
fn tell(text: &str) {
    say(&screen::flowed("", text, screen::columns(std::io::stdout())));
}

/// Writes bytes to standard output as they are.
fn say_bytes(bytes: &[u8]) {
    let _ = std::io::stdout().lock().write_all(bytes);
}

/// Reads a pair on the command line: `DC3-SRV4` or `DC3:SRV4`.
fn pair(text: &str) -> Result<PairName, String> {
    text.parse().map_err(|why| {
        if text.contains(['-', ':']) {
            format!("expected a pair such as DC3-SRV4: {why}")
        } else {
            "expected a pair, a site and a server with a `-` between them, such as DC3-SRV4; `monitor status` lists them"
                .to_owned()
        }
    })
}

/// Tells why there is no answer.
fn unanswered(error: &client::NoAnswer) -> u8 {
    complain(&error.to_string());
    FAILED
}

/// Reads the configuration, or says everything that is wrong with it.
fn load(source: &Source) -> Option<Config> {
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error.to_string());
            return None;
        }
    };
    if loaded.config.is_none() {
        complain(&loaded.report.to_string());
    }
    loaded.config
}
