//! Commands that look on a site's own host, against real OpenSSH servers and listeners that only pretend.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monitor::config::{self, Channels, Surroundings};
use monitor::domain::name::SiteName;
use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::env::Env;
use monitor::fetch::{self, Roots};
use monitor::host::{Host, HostKeyPolicy, Jump, LocalHost, Order, SshHost, SshSite};
use monitor::probe::wire::{Kit, Reach, Turns};
use monitor::probe::{KINDS, Target};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::sshd::{Impostor, Manner, Options, Sshd, free_port, keygen, wait_until};
use crate::support::stage;

const LIMIT: Duration = Duration::from_secs(10);

/// One site `DC3`, and what probes run with.
struct Place {
    site: SshSite,
    state: TempDir,
}

impl Place {
    fn at(port: u16, key: &Path) -> Self {
        let state = tempfile::tempdir().unwrap();
        let site = SshSite {
            name: "DC3".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            username: "root".to_owned(),
            password: None,
            key_path: Some(key.to_owned()),
            key_passphrase: None,
            agent: None,
            host_key_pin: None,
            jump: None,
            host_keys: HostKeyPolicy::AcceptNew,
            known_hosts: state.path().join("known_hosts"),
        };
        Self { site, state }
    }

    fn of(sshd: &Sshd) -> Self {
        Self::at(sshd.port, &sshd.key())
    }

    fn host(&self) -> Arc<Host> {
        Arc::new(Host::Ssh(SshHost::new(self.site.clone())))
    }

    fn kit(&self) -> Kit {
        kit_of(self.host())
    }

    async fn look(&self, command: &str) -> Reading {
        target(&format!("SRV4_URL=ssh://DC3/{command}")).probe(&self.kit(), LIMIT).await
    }
}

fn kit_of(host: Arc<Host>) -> Kit {
    fetch::install_crypto_provider();
    let site = (SiteName::new("DC3").unwrap(), Reach { host, turns: Turns::of_host() });
    Kit::new(&Roots::load(None).unwrap()).running(LocalHost::default(), BTreeMap::from([site]))
}

/// A server of a site over SSH; the error is the whole report.
fn configured(lines: &str) -> Result<Arc<Target>, String> {
    let text = format!(
        "INTERVAL=30\nMAPPINGS=DC3:SRV4,DC7:SRV7\nCOMMAND=true\nSRV7_URL=tcp://10.0.0.7:80\nDC7_LOCAL=true\n\
         DC3_SSH_HOST=dc3.example.com\nDC3_SSH_USERNAME=admin\nDC3_SSH_PASSWORD=correct-horse\n{lines}\n"
    );
    let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
    let around = Surroundings { channels: Channels::Optional, ..Surroundings::default() };
    let loaded = config::load(&env, &|path| std::fs::read_to_string(path), &around);
    let report = loaded.report.to_string();
    let config = loaded.config.ok_or_else(|| report.clone())?;
    config.servers.into_values().next().map(|server| server.target).ok_or(report)
}

fn target(lines: &str) -> Arc<Target> {
    configured(lines).unwrap_or_else(|report| panic!("{report}"))
}

fn told(reading: &Reading) -> (bool, Cause, &str) {
    match &reading.outcome {
        Outcome::Up => panic!("it is up"),
        Outcome::Down(fault) => (false, fault.cause, &fault.reason),
        Outcome::Blind(fault) => (true, fault.cause, &fault.reason),
    }
}

#[track_caller]
fn is_told(reading: &Reading, blind: bool, cause: Cause, says: &str) {
    let (found_blind, found, reason) = told(reading);
    assert!(found_blind == blind && found == cause && reason.contains(says), "{found}: {reason}");
}

#[tokio::test]
async fn the_example_is_up_until_its_command_says_otherwise() {
    let tools = tempfile::tempdir().unwrap();
    std::fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let tool = tools.path().join("systemctl");
    let broken = tools.path().join("broken");
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'is-active --quiet nginx' ] || exit 9\n[ ! -e {} ] || {{ echo inactive; exit 3; }}\n",
        broken.display()
    );
    std::fs::write(&tool, script).unwrap();
    std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
    let mut sshd = Sshd::start(&Options { path: Some(tools.path().to_owned()), ..Options::default() });
    let kind = KINDS.iter().find(|kind| kind.name == "ssh").unwrap();
    let place = Place::of(&sshd);
    let (target, kit) = (target(kind.example), place.kit());
    assert_eq!(target.probe(&kit, LIMIT).await.outcome, Outcome::Up);
    std::fs::write(broken, "").unwrap();
    is_told(&target.probe(&kit, LIMIT).await, false, Cause::Exit, "exit code 3: inactive");
    assert_eq!(sshd.logins(), 1, "one session for both: {}", sshd.log());
    sshd.kill();
    is_told(&target.probe(&kit, LIMIT).await, false, Cause::Refused, "refused");
}

#[tokio::test]
async fn a_command_is_shell_text_and_knows_the_server() {
    let sshd = Sshd::start(&Options::default());
    let place = Place::of(&sshd);
    is_told(
        &place.look("printf '%s|' \"$MONITOR_SERVER\" 50%25 'a/b'; exit 4").await,
        false,
        Cause::Exit,
        "exit code 4: SRV4|50%25|a/b|",
    );
    is_told(&place.look("monitor-has-no-such-program").await, true, Cause::Denied, "was not found (exit code 127)");
    is_told(&place.look("kill -SEGV $$").await, true, Cause::Denied, "ended by the signal SEGV");
}

#[tokio::test]
async fn a_command_over_its_time_is_stopped_there_and_the_session_stays_good() {
    let sshd = Sshd::start(&Options::default());
    let place = Place::of(&sshd);
    let kit = place.kit();
    let slow = target("SRV4_URL=ssh://DC3/echo working; sleep 987201");
    let reading = slow.probe(&kit, Duration::from_secs(4)).await;
    is_told(&reading, false, Cause::Timeout, "s and was stopped; its last words: working");
    let gone = || std::process::Command::new("pgrep").args(["-f", "sleep 987201"]).output().unwrap().stdout.is_empty();
    assert!(wait_until(LIMIT, gone), "it lives on");
    assert_eq!(target("SRV4_URL=ssh://DC3/true").probe(&kit, LIMIT).await.outcome, Outcome::Up);
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_down_and_one_that_does_not_let_us_in_is_blind() {
    let sshd = Sshd::start(&Options::default());
    let refused = Place::at(free_port(), &sshd.key()).look("true").await;
    is_told(&refused, false, Cause::Refused, "refused");
    for (manner, cause) in
        [(Manner::Silent, Cause::Timeout), (Manner::Http, Cause::Protocol), (Manner::Drops, Cause::Reset)]
    {
        let impostor = Impostor::start(manner);
        let reading = Place::at(impostor.port, &sshd.key()).look("true").await;
        is_told(&reading, false, cause, "");
    }
    let mut nowhere = Place::of(&sshd);
    nowhere.site.host = format!("{}.test", "x".repeat(64));
    is_told(&nowhere.look("true").await, true, Cause::Resolver, "does not resolve");

    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join("id");
    keygen(&stranger, &["-t", "ed25519"]);
    is_told(&Place::at(sshd.port, &stranger).look("true").await, true, Cause::Denied, "refused the login");
    is_told(&Place::at(sshd.port, Path::new("/no/such/key")).look("true").await, true, Cause::Denied, "/no/such/key");
    let mut strict = Place::of(&sshd);
    strict.site.host_keys = HostKeyPolicy::Strict;
    is_told(&strict.look("true").await, true, Cause::Denied, "");
    let other = Sshd::start(&Options::default());
    let mut changed = Place::of(&sshd);
    assert_eq!(changed.look("true").await.outcome, Outcome::Up);
    let known = std::fs::read_to_string(&changed.site.known_hosts).unwrap();
    let known = known.replace(&sshd.port.to_string(), &other.port.to_string());
    std::fs::write(&changed.site.known_hosts, known).unwrap();
    changed.site.port = other.port;
    changed.site.key_path = Some(other.key());
    is_told(&changed.look("true").await, true, Cause::Denied, "");
    drop(changed.state);
}

#[tokio::test]
async fn trouble_of_the_jump_host_says_nothing_about_the_target() {
    let bastion = Sshd::start(&Options::default());
    let through = |port: u16, to: u16| {
        let mut place = Place::at(to, &bastion.key());
        place.site.jump = Some(Jump { username: "root".to_owned(), host: "127.0.0.1".to_owned(), port });
        place
    };
    assert_eq!(through(bastion.port, bastion.port).look("true").await.outcome, Outcome::Up);
    is_told(&through(free_port(), bastion.port).look("true").await, true, Cause::Network, "jump host");
    is_told(&through(bastion.port, free_port()).look("true").await, false, Cause::Unreachable, "jump host could not");
    let closed = Sshd::start(&Options::with(&["AllowTcpForwarding no"]));
    let mut place = through(closed.port, bastion.port);
    place.site.key_path = Some(closed.key());
    is_told(&place.look("true").await, true, Cause::Network, "AllowTcpForwarding");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_checks_run_on_a_host_at_once_and_a_remedy_does_not_wait_for_them() {
    let sshd = Sshd::start(&Options::default());
    let place = Place::of(&sshd);
    let host = place.host();
    let kit = kit_of(host.clone());
    let slow = target("SRV4_URL=ssh://DC3/sleep 987202");
    let mut looks = JoinSet::new();
    for _ in 0..4 {
        let (slow, kit) = (slow.clone(), kit.clone());
        looks.spawn(async move { slow.probe(&kit, Duration::from_secs(6)).await });
    }
    let running = || {
        let found = std::process::Command::new("pgrep").args(["-xf", "sleep 987202"]).output().unwrap().stdout;
        String::from_utf8(found).unwrap().lines().count()
    };
    assert!(wait_until(LIMIT, || running() == 4));
    let fifth = target("SRV4_URL=ssh://DC3/true").probe(&kit, Duration::from_millis(300)).await;
    is_told(&fifth, true, Cause::Exhausted, "had no turn in time");
    let begun = Instant::now();
    let order = Order { shell: "true".to_owned(), env: Vec::new(), limit: LIMIT };
    assert!(host.run(&order, async { true }).await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    while let Some(reading) = looks.join_next().await {
        assert_eq!(told(&reading.unwrap()).1, Cause::Timeout);
    }
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn a_site_that_is_gone_is_blind() {
    fetch::install_crypto_provider();
    let kit = Kit::new(&Roots::load(None).unwrap());
    let reading = target("SRV4_URL=ssh://DC3/true").probe(&kit, LIMIT).await;
    is_told(&reading, true, Cause::Denied, "no host of the site DC3");
}

#[test]
fn a_site_has_to_be_there_and_to_have_a_host() {
    for (lines, says) in [
        (
            "SRV4_URL=ssh://DC9/true",
            "SRV4_URL: goes through `DC9`, which is no site of MAPPINGS; sites with an SSH host are DC3",
        ),
        ("SRV4_URL=ssh://DC7/true", "SRV4_URL: goes through the site `DC7`, which is this machine"),
        (
            "SRV4_URL=ssh://DC3/true\nWITNESSES=ssh://DC3/true",
            "expected URLs that are asked over the network: not `ssh:`",
        ),
        ("SRV4_URL=ssh://DC3/true\nWITNESSES=exec:true", "asked over the network: not `exec:`"),
        ("SRV4_URL=ssh://DC3/true\nSRV4_IP=4", "SRV4_IP: is not a setting of ssh; remove it; ssh has no settings"),
    ] {
        let report = configured(lines).map(|_| ()).unwrap_err();
        assert!(report.contains(says), "{lines}: {report}");
    }
    assert!(configured("SRV4_URL=ssh://DC3/true").is_ok());
}

/// The real program, without an agent.
#[test]
fn the_program_probes_through_a_site_and_tells_of_programs_that_are_not_there() {
    let sshd = Sshd::start(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str, mode: u32| {
        let path = folder.path().join(path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    write("check.sh", "#!/bin/sh\n[ \"$MONITOR_SERVER\" = SRV5 ]\n", 0o755);
    let env = format!(
        "INTERVAL=30\nMAPPINGS=DC3:SRV4,DC3:SRV5,DC3:SRV6\nCOMMAND=true\nCHECK_ATTEMPTS=1\n\
         SRV4_URL=ssh://DC3/test \"$MONITOR_SERVER\" = SRV4\nSRV5_URL=exec:./check.sh\nSRV6_URL=exec:./missing.sh\n\
         DC3_SSH_HOST=127.0.0.1\nDC3_SSH_PORT={}\nDC3_SSH_USERNAME=root\nDC3_SSH_KEY_PATH={}\n\
         TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=1\n",
        sshd.port,
        sshd.key().display()
    );
    write(".env", &env, 0o600);
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_monitor"));
        command.args(words).current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        let out = command.output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    let (code, said) = run(&["probe", "DC3-SRV4"]);
    assert!(code == Some(0) && said.contains("ssh://DC3/test"), "{said}");
    let (code, said) = run(&["probe", "DC3-SRV5"]);
    assert!(code == Some(0) && said.contains("exec:./check.sh"), "{said}");
    let (code, said) = run(&["probe", "DC3-SRV6"]);
    assert!(code == Some(1) && said.contains("could not be started"), "{said}");
    let (code, said) = run(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SRV6_URL: `./missing.sh` is no program that may be executed"), "{said}");
    assert!(!said.contains("warning .env:6: SRV5_URL") && said.matches("no program").count() == 1, "{said}");
}

/// The whole way: a unit is looked at on its host, healed there, and looked at again with what a reload brought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_looked_at_through_a_site_is_healed_there_and_a_reload_changes_the_look() {
    let api = BotApi::start().await;
    let host = stage::Host::start("rm -f /tmp/$MONITOR_SERVER-broken-$2");
    let flag = |name: &str| std::path::PathBuf::from(format!("/tmp/SRV4-broken-{name}"));
    let (first, second) = (flag(&host.sshd.port.to_string()), flag(&format!("{}b", host.sshd.port)));
    let mut agent = Agent::telling(&api);
    agent.set(&stage::borrowed(&host.site("DC3")));
    let look = |flag: &Path| format!("ssh://DC3/test ! -e {} || {{ echo 'it is broken'; exit 3; }}", flag.display());
    agent.set(&[
        ("MAPPINGS", "DC3:SRV4"),
        ("SRV4_URL", &look(&first)),
        ("COMMAND", &format!("systemctl restart {}", host.sshd.port)),
    ]);
    agent.start();
    std::fs::write(&first, "").unwrap();
    agent.says(&["DC3-SRV4", "exit code 3: it is broken"]).await;
    assert_eq!(agent.record("DC3-SRV4", 1).await["status"], "executed");
    api.message(2).await;
    assert!(!first.exists());

    agent.set(&[("SRV4_URL", &look(&second)), ("COMMAND", &format!("systemctl restart {}b", host.sshd.port))]);
    agent.signal(Signal::HUP);
    agent.says(&["The configuration was read again"]).await;
    std::fs::write(&second, "").unwrap();
    assert_eq!(agent.record("DC3-SRV4", 2).await["status"], "executed");
    api.message(4).await;
    agent.stop();
    assert_eq!(host.sshd.logins(), 1, "checks and commands share one session: {}", host.sshd.log());
}

#[tokio::test]
async fn a_short_look_over_a_session_that_froze_opens_another_one() {
    let sshd = Sshd::start(&Options::default());
    let place = Place::of(&sshd);
    let kit = kit_of(place.host());
    let file = place.state.path().join("server");
    let limit = Duration::from_secs(3);
    let target = |command: &str| target(&format!("SRV4_URL=ssh://DC3/{command}"));
    let kept = target(&format!("ps -o ppid= -p $PPID >{}", file.display())).probe(&kit, LIMIT).await;
    assert_eq!(kept.outcome, Outcome::Up, "{kept:?}");
    let frozen: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let frozen = rustix::process::Pid::from_raw(frozen).unwrap();
    rustix::process::kill_process(frozen, Signal::STOP).unwrap();
    let seen = target("true").probe(&kit, limit).await;
    // One so short that it is dropped before anything answers leaves no dead session behind either.
    let hurried = target("true").probe(&kit, Duration::from_millis(60)).await;
    let after = target("true").probe(&kit, limit).await;
    rustix::process::kill_process(frozen, Signal::KILL).unwrap();
    assert_eq!(seen.outcome, Outcome::Up, "{seen:?}");
    assert_eq!(after.outcome, Outcome::Up, "{hurried:?} {after:?}");
}
