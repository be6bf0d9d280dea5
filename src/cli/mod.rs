//! Floor 8: one file per subcommand.
//!
//! Exit codes: 0 fine, 1 failed at run time, 2 bad usage or configuration, 3 the asked-for thing is down.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod client;
mod demo;
mod run;
mod status;

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
#[command(name = "monitor", version, max_term_width = 100)]
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
    /// Watch a service break and heal, live: the real agent among stand-ins of its own, on this machine only
    Demo(demo::Args),
    /// Show where every pair stands; exits 3 when one is down
    Status(status::Args),
}

/// Reads the command line and carries it out.
pub fn main() -> ExitCode {
    let Cli { env_file, command } = Cli::parse();
    let source = || crate::app::source::Source::find(env_file.as_deref());
    let code = match command.unwrap_or(Command::Run) {
        Command::Run => run::run(source()),
        Command::Demo(args) => demo::run(&args),
        Command::Status(args) => status::run(&source(), &args),
    };
    ExitCode::from(code)
}

/// Writes to standard output; a reader that has gone is no error.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
