//! `monitor failover`: the agent of a standby machine, from its `config.json`.

use std::path::{Path, PathBuf};

use crate::app::source::Source;

use super::{check, run};

/// What it goes by.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, such as deploy/failover-config.json
    #[arg(value_name = "CONFIG.json")]
    config: PathBuf,
    /// Only show what is in force and everything that is wrong
    #[arg(long)]
    check: bool,
    /// Check, and also ping once and look at the services
    #[arg(long)]
    online: bool,
}

/// Stands by until stopped; `beside` is a `.env` for what the configuration does not say.
pub fn run(beside: Option<&Path>, args: &Args) -> u8 {
    let source = Source::standby(&args.config, beside);
    if args.check || args.online {
        return check::run(&source, &check::Args { online: args.online, json: false });
    }
    run::run(source)
}
