//! `monitor trust`: a person says that a host's new key is the right one.

use std::io::{BufRead, IsTerminal};

use crate::app::plans::Hosts;
use crate::app::source::Source;
use crate::config::Config;
use crate::domain::name::SiteName;
use crate::host::ssh::known_hosts::{self, Standing, fingerprint};
use crate::host::{Host, HostError, SshHost, SshSite};

use super::client::block_on;
use super::screen::line;
use super::{BAD_CONFIGURATION, FAILED, FINE, complain, load, tell};

/// Whose key, and whether to ask.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site, such as DC3
    #[arg(value_name = "DC")]
    site: String,
    /// The key of the site's jump host instead of its own
    #[arg(long)]
    jump: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Shows the old and the new key, asks, and records the new one.
pub fn run(source: &Source, args: &Args) -> u8 {
    let Some(config) = load(source) else { return BAD_CONFIGURATION };
    let host = match ssh_host(&config, source, args) {
        Ok(host) => host,
        Err(why) => {
            complain(&why);
            return BAD_CONFIGURATION;
        }
    };
    let offered = block_on(async {
        let offered = host.offered_key().await;
        host.close().await;
        offered
    });
    let key = match offered {
        Ok(Ok(key)) => key,
        Ok(Err(HostError::Jump { source })) => {
            complain(&format!("jump host: {source}"));
            if matches!(*source, HostError::HostKeyChanged(_) | HostError::HostKeyUnknown(_)) {
                complain(&format!("if that key is right, run `monitor trust {} --jump` first", line(&args.site, 64)));
            }
            return FAILED;
        }
        Ok(Err(error)) => {
            complain(&error.to_string());
            return FAILED;
        }
        Err(error) => {
            complain(&error.to_string());
            return FAILED;
        }
    };
    settle(host.site(), &key, args.yes)
}

fn ssh_host(config: &Config, source: &Source, args: &Args) -> Result<SshHost, String> {
    let known = || config.sites.keys().map(SiteName::as_str).collect::<Vec<_>>().join(", ");
    let name = SiteName::new(&args.site).ok().filter(|name| config.sites.contains_key(name));
    let name = name.ok_or_else(|| format!("there is no site `{}`; there are: {}", line(&args.site, 64), known()))?;
    let hosts = Hosts::new(config, &source.for_commands(), None);
    let site = match hosts.get(&name).map(AsRef::as_ref) {
        Some(Host::Ssh(host)) => host.site().clone(),
        Some(Host::Local(_)) => return Err(format!("{name} runs its commands on this machine: it has no host key")),
        None => return Err(format!("{name} runs no commands: it has no host and no host key")),
    };
    let site = match (args.jump, site.jump.clone()) {
        (false, _) => site,
        (true, None) => return Err(format!("{name} has no jump host; {name}_SSH_JUMP is not set")),
        (true, Some(jump)) => SshSite {
            host: jump.host,
            port: jump.port,
            username: jump.username,
            host_key_pin: None,
            jump: None,
            ..site
        },
    };
    Ok(SshHost::new(site))
}

fn settle(site: &SshSite, key: &russh::keys::PublicKey, yes: bool) -> u8 {
    let (address, file) = (site.address(), &site.known_hosts);
    let cannot = |error: &std::io::Error| format!("cannot use {}: {error}", file.display());
    let records = match known_hosts::read(file, &site.host, site.port) {
        Ok(records) => records,
        Err(error) => {
            complain(&cannot(&error));
            return FAILED;
        }
    };
    for (_, old) in &records.keys {
        tell(&format!("recorded: {} {}", old.algorithm(), fingerprint(old)));
    }
    tell(&format!("{address} shows: {} {}", key.algorithm(), fingerprint(key)));
    if let Some(pin) = &site.host_key_pin {
        tell(&format!("note: {}_SSH_HOST_KEY pins {pin}, and a pin wins over what is recorded", site.name));
    }
    match records.standing(key) {
        Standing::Known => {
            tell("this key is trusted already; nothing was changed");
            return FINE;
        }
        Standing::Revoked { line } => {
            complain(&format!("it is marked @revoked in {} line {line}: it stays refused", file.display()));
            return FAILED;
        }
        Standing::Unknown | Standing::Changed { .. } => {}
    }
    if !yes {
        tell(
            "Compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` (or _rsa, _ecdsa) prints on the host.",
        );
        match agreed(&address) {
            Some(true) => {}
            Some(false) => {
                tell("nothing was changed");
                return FAILED;
            }
            None => {
                complain("nobody can be asked, the input is no terminal; if the key is right, add --yes");
                return BAD_CONFIGURATION;
            }
        }
    }
    let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    match folder.and_then(|()| known_hosts::trust(file, &site.host, site.port, key)) {
        Ok(()) => {
            tell(&format!("{address} is trusted with this key from now on; it is recorded in {}", file.display()));
            FINE
        }
        Err(error) => {
            complain(&cannot(&error));
            FAILED
        }
    }
}

fn agreed(address: &str) -> Option<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return None;
    }
    tell(&format!("Trust this key for {address}? [y/N]"));
    let mut answer = String::new();
    input.lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
