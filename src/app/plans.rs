//! `Config` becomes what the engine is given: hosts, targets, ladders.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::pace::Pace;
use crate::config::site::Ssh;
use crate::config::{Act, Config, Place, Server, Site, ladder, marks};
use crate::domain::backoff::Backoff;
use crate::domain::guard;
use crate::domain::ladder::{Mode, Terms};
use crate::domain::name::{PairName, SiteName};
use crate::engine::plan::{CheckRules, LookAfar, Parent, Plan, Plans, Rung, VerifyRules};
use crate::host::{Host, HostKeyPolicy, LocalHost, SshHost, SshSite};
use crate::probe::wire::{Kit, Reach, Turns};
use crate::remedy::Remedy;
use crate::remedy::command::Command;

use super::acts::{self, Spot};
use super::afar::FromSite;
use super::relations::{Asked, dependents};

/// Attempts under way at once, over all pairs. Each holds one socket.
const ATTEMPTS_AT_ONCE: usize = 2048;

/// Descriptors that are left to everything but probes.
const SPARE_DESCRIPTORS: usize = 256;

/// Where the commands of every site run, and what they are called.
pub struct Hosts {
    sites: BTreeMap<SiteName, Built>,
    /// Where checks of this machine run their programs.
    here: LocalHost,
    host_keys: HostKeyPolicy,
    /// Keys of hosts that are trusted: the file of the start, because `STATE_DIR` is read there only.
    trusted: PathBuf,
}

/// A host and what it was built from.
struct Built {
    place: Place,
    /// The key file as it was before the host could read it.
    key_file: Option<FileMark>,
    host: Arc<Host>,
    /// Turns of checks that run there.
    turns: Turns,
}

/// What changes when a file is replaced or rewritten: device, inode, length, and the times of its content and its inode.
type FileMark = (u64, u64, u64, [(i64, i64); 2]);

impl Hosts {
    /// Builds a host for every site that has one; nothing is connected yet. A site that did not change keeps its host, and with it
    /// its open sessions and the private key in memory; a key file that was replaced is a change.
    ///
    /// `environment` is what local commands start with.
    pub fn new(config: &Config, environment: &[(String, String)], before: Option<&Self>) -> Self {
        let fresh = || config.general.state_dir.join("known_hosts");
        let known_hosts = before.map_or_else(fresh, |before| before.trusted.clone());
        let before = before.filter(|before| before.host_keys == config.host_keys);
        let here = LocalHost { env: environment.to_vec(), folder: None };
        let kept = |name, site: &Site, key_file: Option<FileMark>| {
            // A key file that is gone for now replaces no key: what is in memory still opens the host.
            let same = |old: &&Built| old.place == site.place && (key_file == old.key_file || key_file.is_none());
            before?.sites.get(name).filter(same).map(|old| (old.host.clone(), old.key_file, old.turns.clone()))
        };
        let sites = config
            .sites
            .iter()
            .filter_map(|(name, site)| {
                let key_file = key_file(site);
                let fresh = || {
                    let host = match &site.place {
                        Place::Local => Host::Local(here.clone()),
                        Place::Ssh(ssh) => Host::Ssh(SshHost::new(ssh_site(name, ssh, config, &known_hosts))),
                        Place::Nowhere => return None,
                    };
                    Some((Arc::new(host), key_file, Turns::of_host()))
                };
                let (host, key_file, turns) = kept(name, site, key_file).or_else(fresh)?;
                Some((name.clone(), Built { place: site.place.clone(), key_file, host, turns }))
            })
            .collect();
        Self { sites, here, host_keys: config.host_keys, trusted: known_hosts }
    }

    /// The host of one site, if it has one.
    pub fn get(&self, site: &SiteName) -> Option<&Arc<Host>> {
        self.sites.get(site).map(|built| &built.host)
    }

    /// Every site that has a host, and that.
    pub fn iter(&self) -> impl Iterator<Item = (&SiteName, &Arc<Host>)> {
        self.sites.iter().map(|(name, built)| (name, &built.host))
    }

    /// The kit of probes that run their commands here and on these hosts.
    pub fn equip(&self, kit: &Kit) -> Arc<Kit> {
        let reach = |built: &Built| Reach { host: built.host.clone(), turns: built.turns.clone() };
        let sites = self.sites.iter().map(|(name, built)| (name.clone(), reach(built)));
        Arc::new(kit.running(self.here.clone(), sites.collect()))
    }

    /// Closes every connection.
    pub async fn close(&self) {
        futures_util::future::join_all(self.iter().map(|(_, host)| host.close())).await;
    }
}

fn key_file(site: &Site) -> Option<FileMark> {
    let Place::Ssh(ssh) = &site.place else { return None };
    let about = std::fs::metadata(ssh.key_path.as_ref()?).ok()?;
    let times = [(about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec())];
    Some((about.dev(), about.ino(), about.len(), times))
}

fn ssh_site(name: &SiteName, ssh: &Ssh, config: &Config, known_hosts: &Path) -> SshSite {
    let secret = |secret: &crate::env::Secret| secret.expose().to_owned().into();
    SshSite {
        name: name.to_string(),
        host: ssh.host.clone(),
        port: ssh.port,
        username: ssh.username.clone(),
        password: ssh.password.as_ref().map(secret),
        key_path: ssh.key_path.clone(),
        key_passphrase: ssh.key_passphrase.as_ref().map(secret),
        agent: ssh.agent.clone(),
        host_key_pin: ssh.pin.clone(),
        jump: ssh.jump.clone(),
        host_keys: config.host_keys,
        known_hosts: known_hosts.to_owned(),
    }
}

/// What pairs that share one ladder have in common: their site, the rungs, and whether the first is what the site does. A
/// signal has one pair only.
type Likeness = (SiteName, Option<PairName>, Vec<ladder::Rung>, bool);

/// Builds what the engine is given.
pub fn plans(config: &Config, hosts: &Hosts, kit: &Kit, hooks: &reqwest::Client) -> Plans {
    let kit = &hosts.equip(kit);
    let logins = logins(config);
    let dependents = dependents(config);
    let witnesses = Asked::new(config, kit);
    let mut ladders: HashMap<Likeness, Arc<[Rung]>> = HashMap::new();
    let pairs = config
        .pairs
        .iter()
        .filter_map(|pair| {
            let name = &pair.name;
            let server = config.servers.get(&name.server)?;
            let site = config.sites.get(&name.site)?;
            let act = site.act.as_ref().filter(|_| pair.acts);
            let bare = |remedy: Arc<dyn Remedy>, command: &str, limit, window| Rung {
                command: config.redactor.mask(command).as_ref().into(),
                site: name.site.clone(),
                login: logins.get(&name.site).map_or(&name.site, |first| *first).clone(),
                remedy,
                limit,
                verify: VerifyRules { window, interval: pair.verify_interval },
                terms: Terms::default(),
                once: false,
                ends: "".into(),
            };
            let command = |spot: Spot, text: &str| -> Option<Arc<dyn Remedy>> {
                Some(Arc::new(Command::new(spot.host?, spot.name, spot.lane, text.to_owned())))
            };
            let rung = |(place, rung): (usize, &ladder::Rung)| {
                let spot = spot(config, hosts, &name.site);
                let act = act.filter(|_| place == 0);
                let ends = act.and_then(|act| acts::ending(act, spot.clone())).map(|(text, _)| text);
                let remedy = match act {
                    Some(act) => acts::build(act, spot, hooks)?,
                    None => command(spot, &rung.command)?,
                };
                let once = act.is_some_and(Act::is_once);
                let ends = config.redactor.mask(&ends.unwrap_or_default()).as_ref().into();
                let bare = bare(remedy, &rung.command, rung.timeout, rung.verify_window);
                Some(Rung { terms: rung.terms, once, ends, ..bare })
            };
            let build = || pair.rungs.iter().enumerate().map(rung).collect::<Option<Arc<[Rung]>>>();
            // Pairs of one site mostly share one ladder; ten thousand copies of it would be megabytes.
            // A signal is bound to the process that a check of its own pair saw.
            let own = matches!(act, Some(Act::Signal(_))).then(|| name.clone());
            let key = (name.site.clone(), own, pair.rungs.clone(), pair.acts);
            let ladder = match ladders.get(&key) {
                Some(ladder) => ladder.clone(),
                None => ladders.entry(key).insert_entry(build()?).get().clone(),
            };
            let spot = || spot(config, hosts, &name.site);
            // What was started for the incident is stopped, whatever else is run on recovery.
            let ending = act.and_then(|act| acts::ending(act, spot()));
            let limit = pair.rungs.first().map(|rung| rung.timeout).unwrap_or_default();
            let recovery = match (ending, &pair.recovery) {
                (Some((text, remedy)), _) => Some(bare(remedy, &text, limit, Duration::ZERO)),
                (None, Some(own)) => {
                    Some(bare(command(spot(), &own.command)?, &own.command, own.timeout, Duration::ZERO))
                }
                (None, None) => None,
            };
            // Who only wants to see what would run wants no recovery that runs either.
            let dry = pair.rungs.iter().all(|rung| rung.terms.mode == Mode::Dry);
            let terms = Terms { mode: if dry { Mode::Dry } else { Mode::Auto }, ..Terms::default() };
            let recovery = recovery.map(|recovery| Rung { terms, ..recovery });
            let pace = config.pace;
            let timeout = |server: &Server| server.timeout.unwrap_or(pace.timeout);
            let witnesses = witnesses.of(&name.site);
            let check = check_rules(server, pace, witnesses.is_some());
            let parents = server.depends_on.iter().filter_map(|parent| {
                let known = config.servers.get(parent)?;
                Some(Parent { server: parent.clone(), target: known.target.clone(), timeout: timeout(known) })
            });
            let afar = hosts
                .get(&name.site)
                .filter(|_| site.cross_check)
                .and_then(|host| FromSite::new(host.clone(), name.site.clone(), &server.target, timeout(server)));
            let mark = mark(config, hosts, name, server);
            Some(Arc::new(Plan {
                pair: name.clone(),
                mark,
                target: server.target.clone(),
                kit: kit.clone(),
                up_first: pair.up_first,
                notify: server.notify,
                environment: server.environment,
                check,
                backoff: Backoff::new(server.interval.unwrap_or(pace.interval), pace.factor, pace.max),
                ladder,
                recovery: recovery.map(Arc::new),
                witnesses,
                parents: parents.collect(),
                holds: dependents.get(&name.server).cloned().unwrap_or_default(),
                afar: afar.map(|afar| Arc::new(afar) as Arc<dyn LookAfar>),
            }))
        })
        .collect();
    let guard = guard::Rules { maintenance: config.maintenance.clone(), ..config.guard.clone() };
    Plans {
        pairs,
        guard,
        attempts_at_once: attempts_at_once(),
        remedies_at_once: config.remedies_at_once,
        unknown_after: config.pace.unknown_after,
    }
}

/// Changes with everything that a look at a pair goes by: its server, those it depends on, its site, and the places that it
/// is looked at from. A host is built anew when its login, its key or its pin changed.
fn mark(config: &Config, hosts: &Hosts, pair: &PairName, server: &Server) -> u64 {
    let marks = &config.marks;
    let parents: Vec<_> = server.depends_on.iter().map(|parent| (parent, marks.of_server(parent))).collect();
    let site = |site: &SiteName| (marks.of_site(site), hosts.get(site).map(|host| Arc::as_ptr(host).addr()));
    let places = (site(&pair.site), server.target.site().map(site));
    marks::joined((marks.of_agent(), marks.of_server(&pair.server), parents, places))
}

/// What makes one check of a server.
fn check_rules(server: &Server, pace: Pace, is_witnessed: bool) -> CheckRules {
    let attempts = server.attempts.unwrap_or(pace.attempts);
    let attempts = match (server.target.reports(), is_witnessed) {
        // What was heard does not change between two attempts.
        (Some(_), _) => 1,
        // The last attempt has to lie between two answers of the witnesses.
        (None, true) => attempts.max(2),
        (None, false) => attempts,
    };
    CheckRules {
        attempts,
        retry_delay: server.retry_delay.unwrap_or(pace.retry_delay),
        timeout: server.timeout.unwrap_or(pace.timeout),
        successes: pace.successes,
        hold: pace.hold,
    }
}

/// A site's host as records call it, and the address that exclusivity goes by.
fn called(config: &Config, site: &SiteName) -> (String, String) {
    match config.sites.get(site).map(|site| &site.place) {
        Some(Place::Ssh(ssh)) => (ssh.host.clone(), format!("{}:{}", ssh.host, ssh.port)),
        Some(Place::Local) | None => ("localhost".to_owned(), "localhost".to_owned()),
        Some(Place::Nowhere) => (String::new(), String::new()),
    }
}

/// Where a site's commands run.
pub fn spot(config: &Config, hosts: &Hosts, site: &SiteName) -> Spot {
    let (name, lane) = called(config, site);
    Spot { host: hosts.get(site).cloned(), name, lane }
}

/// For each site the first one that is reached in the same way: sites of one address and one login are one place. A site
/// without a host is a place of its own: no login says that two of them are the same.
fn logins(config: &Config) -> HashMap<&SiteName, &SiteName> {
    let mut known: HashMap<String, Vec<(&SiteName, &Place)>> = HashMap::new();
    let mut logins = HashMap::new();
    for (name, site) in &config.sites {
        let there = known.entry(called(config, name).1).or_default();
        let same = |place: &Place| *place == site.place && *place != Place::Nowhere;
        let first = there.iter().find(|(_, place)| same(place)).map(|(first, _)| *first);
        if first.is_none() {
            there.push((name, &site.place));
        }
        logins.insert(name, first.unwrap_or(name));
    }
    logins
}

/// As many as the process may have descriptors for.
fn attempts_at_once() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let descriptors = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    ATTEMPTS_AT_ONCE.min(descriptors.saturating_sub(SPARE_DESCRIPTORS).max(16))
}

/// Raises the limit on descriptors to what the system allows.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the old limit stays and fewer attempts are made at once.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::source::Source;

    const TOLD: &str =
        "TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n";

    fn read(folder: &Path, text: &str) -> Config {
        let env = folder.join(".env");
        std::fs::write(&env, format!("INTERVAL=30\n{TOLD}{text}")).unwrap();
        let loaded = Source::of_file(env).load().unwrap();
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.report))
    }

    fn planned(text: &str) -> Plans {
        let folder = tempfile::tempdir().unwrap();
        let config = read(folder.path(), text);
        crate::fetch::install_crypto_provider();
        let roots = crate::fetch::Roots::load(None).unwrap();
        let hooks = crate::remedy::webhook::client(&roots).unwrap();
        plans(&config, &Hosts::new(&config, &[], None), &Kit::new(&roots), &hooks)
    }

    #[tokio::test]
    async fn sites_without_a_host_share_no_login_and_pairs_share_no_signal() {
        let plans = planned(
            "MAPPINGS=DC1:SRV4,DC2:SRV4,DC3:SRV4,DC3:SRV5\nSRV4_URL=http://a/\nSRV5_URL=http://b/\n\
             DC1_HOOK_URL=http://h.test/x\nDC2_HOOK_URL=http://h.test/x\nDC3_LOCAL=true\nDC3_PROCESS=nginx\n",
        );
        let [one, two, three, four] = plans.pairs.as_slice() else { panic!("four pairs") };
        assert_eq!(one.ladder[0].remedy.text(), two.ladder[0].remedy.text());
        assert_ne!(one.ladder[0].login, two.ladder[0].login);
        assert_eq!(one.ladder[0].remedy.lane(), two.ladder[0].remedy.lane(), "one after the other all the same");
        assert!(!Arc::ptr_eq(&three.ladder, &four.ladder));
    }

    #[tokio::test]
    async fn a_pair_whose_rungs_are_all_dry_has_a_dry_recovery() {
        let mode = |keys: &str| {
            let text = format!("MAPPINGS=DC1:SRV4\nSRV4_URL=http://a/\nDC1_LOCAL=true\n{keys}");
            planned(&text).pairs[0].recovery.as_ref().unwrap().terms.mode
        };
        let commands = "COMMAND=one\nCOMMAND_2=two\nRECOVERY_COMMAND=back\n";
        assert_eq!(mode(commands), Mode::Auto);
        assert_eq!(mode(&format!("{commands}COMMAND_MODE=dry\n")), Mode::Dry);
        assert_eq!(mode(&format!("{commands}COMMAND_2_MODE=dry\n")), Mode::Auto);
        assert_eq!(mode("DC1_SERVICES=a.service\nDC1_COMMAND_MODE=dry\n"), Mode::Dry);
    }

    #[test]
    fn a_reload_keeps_the_trusted_keys_of_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let with = |state: &str, port: u16| {
            let text = format!(
                "MAPPINGS=DC3:SRV4\nSRV4_URL=http://a/\nCOMMAND=one\nSTATE_DIR={state}\nDC3_SSH_PORT={port}\n\
                 DC3_SSH_HOST=dc3.example.com\nDC3_SSH_USERNAME=admin\nDC3_SSH_PASSWORD=hunter22\n"
            );
            read(folder.path(), &text)
        };
        let file = |hosts: &Hosts| match &**hosts.get(&SiteName::new("DC3").unwrap()).unwrap() {
            Host::Ssh(host) => host.site().known_hosts.clone(),
            Host::Local(_) => panic!("over SSH"),
        };
        let first = Hosts::new(&with("/one", 22), &[], None);
        let second = Hosts::new(&with("/two", 2222), &[], Some(&first));
        let third = Hosts::new(&with("/two", 22), &[], Some(&second));
        for hosts in [&first, &second, &third] {
            assert_eq!(file(hosts), Path::new("/one/known_hosts"));
        }
    }

    #[test]
    fn a_reload_keeps_a_host_until_its_site_or_its_key_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (env, key) = (folder.path().join(".env"), folder.path().join("key"));
        let text = format!(
            "INTERVAL=30\nMAPPINGS=DC3:SRV4,DC1:SRV4\nCOMMAND=one\nSRV4_URL=http://srv4.example.com/\nDC1_LOCAL=true\n\
             DC3_SSH_HOST=dc3.example.com\nDC3_SSH_USERNAME=admin\nDC3_SSH_KEY_PATH={}\n\
             TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n",
            key.display()
        );
        std::fs::write(&env, text).unwrap();
        std::fs::write(&key, "one").unwrap();
        let config = Source::of_file(env).load().unwrap().config.unwrap();
        let reload = |before: &Hosts| Hosts::new(&config, &[], Some(before));
        let kept = |old: &Hosts, new: &Hosts, site: &str| {
            let site = SiteName::new(site).unwrap();
            Arc::ptr_eq(old.get(&site).unwrap(), new.get(&site).unwrap())
        };
        let first = Hosts::new(&config, &[], None);
        let second = reload(&first);
        assert!(kept(&first, &second, "DC3") && kept(&first, &second, "DC1"));

        // Gone for a moment, then another file of the same length in its place.
        std::fs::rename(&key, folder.path().join("old")).unwrap();
        let third = reload(&second);
        assert!(kept(&second, &third, "DC3"));
        std::fs::write(&key, "two").unwrap();
        let fourth = reload(&third);
        assert!(!kept(&third, &fourth, "DC3") && kept(&third, &fourth, "DC1"));
        std::fs::write(&key, "three").unwrap();
        let fifth = reload(&fourth);
        assert!(!kept(&fourth, &fifth, "DC3") && kept(&fifth, &reload(&fifth), "DC3"));
    }
}
