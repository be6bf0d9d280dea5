//! `monitor completions`: a script that completes our words in a shell.

use clap_complete::Shell;

use super::{FINE, say_bytes};

/// For which shell.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// bash, elvish, fish, powershell or zsh; for example `monitor completions bash > /etc/bash_completion.d/monitor`
    shell: Shell,
}

/// Prints the script.
pub fn run(mut command: clap::Command, args: &Args) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "monitor", &mut script);
    say_bytes(&script);
    FINE
}
