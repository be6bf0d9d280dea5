//! Units: the order, the end at the first failure, the look afterwards, and what is said where somebody forbids it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use monitor::domain::remedy::RunStatus;
use monitor::host::{Host, HostKeyPolicy, LocalHost, SshHost, SshSite};
use monitor::remedy::systemd::{Action, Systemd, Unit};
use monitor::remedy::{Done, Remedy};
use tempfile::TempDir;

use super::{call, run, withheld};
use crate::support::agent::Agent;
use crate::support::bot_api::BotApi;
use crate::support::sshd::{Options, Sshd, User};
use crate::support::stage::Target;

/// Says what the real one says, of units that are files: `units/NAME` holds the state, `starts/NAME` the state after a
/// start, `types/NAME` the type; `fails/NAME` makes every verb fail. An ordinary user may act where `polkit` is there.
const SYSTEMCTL: &str = r#"#!/bin/sh
[ "$1" = --no-ask-password ] && shift
who=${AS_ROOT:-$(id -u)}
[ "$who" = 0 ] || who=user
echo "$who $*" >> D/calls
verb=$1 unit=$2
case $verb in
--version) echo 'systemd 252'; exit 0 ;;
cat) [ -e "D/units/$unit" ] || { echo "No files found for $unit." >&2; exit 1; }; exit 0 ;;
is-active) state=$(cat "D/units/$unit" 2>/dev/null || echo inactive); echo "$state"; [ "$state" = active ] || exit 3; exit 0 ;;
show) echo "Type=$(cat "D/types/$4" 2>/dev/null || echo simple)"; exit 0 ;;
esac
what='not found' && [ "$verb" = stop ] && what='not loaded'
[ -e "D/units/$unit" ] || { echo "Failed to $verb $unit: Unit $unit $what." >&2; exit 5; }
if [ "$who" != 0 ] && [ ! -e D/polkit ]; then
    echo "Failed to $verb $unit: Interactive authentication required." >&2
    echo "See system logs and 'systemctl status $unit' for details." >&2
    exit 4
fi
if [ -e "D/slow" ]; then sleep 30; fi
if [ -e "D/fails/$unit" ]; then
    echo "Job for $unit failed because the control process exited with error code." >&2
    exit 1
fi
case $verb in
stop) [ -e "D/sticks/$unit" ] || echo inactive > "D/units/$unit" ;;
*) cat "D/starts/$unit" > "D/units/$unit" 2>/dev/null || echo active > "D/units/$unit" ;;
esac
"#;

/// Lets a user be root where `sudoers` is there.
const SUDO: &str = r#"#!/bin/sh
[ "$1" = -n ] || { echo 'sudo: it would ask' >&2; exit 1; }
shift
[ -e D/sudoers ] || { echo 'sudo: a password is required' >&2; exit 1; }
AS_ROOT=0 exec "$@"
"#;

/// A host's systemd, seen through its programs.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// With these units, which do not run.
    fn with(units: &[&str]) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        let place = machine.folder.path();
        for name in ["", "units", "starts", "types", "fails", "sticks"] {
            std::fs::create_dir_all(place.join(name)).unwrap();
            std::fs::set_permissions(place.join(name), PermissionsExt::from_mode(0o777)).unwrap();
        }
        for (name, text) in [("systemctl", SYSTEMCTL), ("sudo", SUDO)] {
            machine.put(name, &text.replace("D/", &format!("{}/", place.display())));
        }
        machine.put("calls", "");
        for unit in units {
            machine.put(&format!("units/{unit}"), "inactive");
        }
        machine
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    }

    /// Everything that it was asked since the last time.
    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("calls")).unwrap();
        self.put("calls", "");
        text.lines().map(str::to_owned).collect()
    }

    /// The calls that change something.
    fn deeds(&self) -> Vec<String> {
        let looks = |call: &String| ["is-active", "show", "cat", "--version"].iter().any(|verb| call.contains(verb));
        self.calls().into_iter().filter(|call| !looks(call)).collect()
    }

    fn local(&self) -> Arc<Host> {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        Arc::new(Host::Local(LocalHost { env: vec![("PATH".to_owned(), path)], folder: None }))
    }

    fn sshd(&self) -> Sshd {
        Sshd::start(&Options { path: Some(self.folder.path().to_owned()), ..Options::default() })
    }
}

fn over_ssh(sshd: &Sshd, user: &str, state: &Path) -> Arc<Host> {
    Arc::new(Host::Ssh(SshHost::new(SshSite {
        name: "DC3".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: sshd.port,
        username: user.to_owned(),
        password: None,
        key_path: Some(sshd.key()),
        key_passphrase: None,
        agent: None,
        host_key_pin: None,
        jump: None,
        host_keys: HostKeyPolicy::AcceptNew,
        known_hosts: state.join("known_hosts"),
    })))
}

fn systemd(host: &Arc<Host>, action: Action, units: &[&str]) -> Systemd {
    let units: Vec<Unit> = units.iter().map(|unit| Unit::new(unit).unwrap()).collect();
    Systemd::new(host.clone(), "dc3".to_owned(), "dc3:22".to_owned(), action, &units)
}

async fn act(host: &Arc<Host>, action: Action, units: &[&str]) -> Done {
    run(&systemd(host, action, units), &call()).await
}

fn last_line(done: &Done) -> &str {
    done.output.text.lines().last().unwrap_or_default()
}

#[tokio::test]
async fn units_start_in_order_and_stop_in_reverse_here_and_over_ssh() {
    let machine = Machine::with(&["a.service", "b@1.timer", "dev-x\\x2d1.swap"]);
    let (sshd, state) = (machine.sshd(), tempfile::tempdir().unwrap());
    for host in [machine.local(), over_ssh(&sshd, "root", state.path())] {
        let units = ["a.service", "b@1.timer", "dev-x\\x2d1.swap"];
        let done = act(&host, Action::Start, &units).await;
        assert_eq!((done.run.status, done.run.exit_code, done.run.error.as_str()), (RunStatus::Executed, Some(0), ""));
        assert_eq!(
            machine.calls(),
            [
                "0 start a.service",
                "0 start b@1.timer",
                "0 start dev-x\\x2d1.swap",
                "0 is-active a.service",
                "0 is-active b@1.timer",
                "0 is-active dev-x\\x2d1.swap"
            ]
        );
        assert_eq!(
            done.output.text,
            "systemctl start a.service\nsystemctl start b@1.timer\nsystemctl start dev-x\\x2d1.swap\n"
        );
        act(&host, Action::Restart, &units[..1]).await;
        assert_eq!(machine.deeds(), ["0 restart a.service"]);
        let done = act(&host, Action::Stop, &units).await;
        assert_eq!(done.run.status, RunStatus::Executed, "{:?}", done.run);
        assert_eq!(machine.deeds(), ["0 stop dev-x\\x2d1.swap", "0 stop b@1.timer", "0 stop a.service"]);
        withheld(&systemd(&host, Action::Start, &units)).await;
        assert_eq!(machine.calls(), [""; 0]);
        host.close().await;
    }
    let text = |action| systemd(&machine.local(), action, &["a.service", "b@1.timer"]).text().to_owned();
    assert_eq!(text(Action::Start), "systemctl start a.service b@1.timer");
    assert_eq!(text(Action::Stop), "systemctl stop b@1.timer a.service");
}

#[tokio::test]
async fn the_first_failure_ends_it_and_the_last_line_says_what_was_left() {
    let machine = Machine::with(&["a.service", "b.service", "c.timer"]);
    machine.put("fails/b.service", "");
    let done = act(&machine.local(), Action::Start, &["a.service", "b.service", "c.timer"]).await;
    assert_eq!((done.run.status, done.run.started, done.run.exit_code), (RunStatus::Failed, true, Some(1)));
    assert_eq!(machine.deeds(), ["0 start a.service", "0 start b.service"]);
    assert_eq!(last_line(&done), "b.service: systemctl start exited with code 1; not tried: c.timer");
    assert_eq!(done.run.error, last_line(&done));
    assert!(done.output.text.contains("Job for b.service failed"), "{}", done.output.text);
}

#[tokio::test]
async fn a_stop_that_fails_leaves_no_other_unit_running() {
    let machine = Machine::with(&["a.service", "b.service", "c.timer", "d.service"]);
    let (host, all) = (machine.local(), ["a.service", "b.service", "gone.service", "c.timer", "d.service"]);
    act(&host, Action::Start, &["a.service", "b.service", "c.timer", "d.service"]).await;
    machine.put("fails/d.service", "");
    machine.put("fails/b.service", "");
    machine.deeds();
    let done = act(&host, Action::Stop, &all).await;
    assert_eq!((done.run.status, done.run.started, done.run.exit_code), (RunStatus::Failed, true, Some(1)));
    assert_eq!(machine.deeds().len(), all.len(), "each is tried");
    let told = "d.service: systemctl stop exited with code 1; b.service: systemctl stop exited with code 1";
    assert_eq!(last_line(&done), told);
    for line in [
        "gone.service: systemd knows no such unit, so it counts as stopped",
        "b.service is active after systemctl stop",
    ] {
        assert!(done.output.text.contains(line), "{}", done.output.text);
    }
    assert!(!done.output.text.contains("a.service is"), "{}", done.output.text);
    let done = act(&host, Action::Stop, &["a.service", "gone.service"]).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{}", done.output.text);
}

#[tokio::test]
async fn a_unit_that_does_not_stay_up_is_a_failure_and_a_task_that_ended_well_is_none() {
    let machine = Machine::with(&["web.service", "loop.service", "task.service", "gone.service", "clean.timer"]);
    machine.put("starts/loop.service", "activating");
    machine.put("starts/task.service", "inactive");
    machine.put("types/task.service", "oneshot");
    machine.put("starts/gone.service", "failed");
    let host = machine.local();
    let fine = act(&host, Action::Start, &["task.service", "clean.timer", "web.service"]).await;
    assert_eq!(fine.run.status, RunStatus::Executed, "{}", fine.output.text);
    for (unit, state) in [("loop.service", "activating"), ("gone.service", "failed")] {
        let done = act(&host, Action::Restart, &[unit, "web.service"]).await;
        assert_eq!((done.run.status, done.run.exit_code), (RunStatus::Failed, Some(3)), "{unit}");
        assert_eq!(last_line(&done), format!("{unit} is {state} after systemctl restart"));
    }
    // A service that is no task and is not there any more did not stay up.
    machine.put("types/task.service", "simple");
    let done = act(&host, Action::Start, &["task.service"]).await;
    assert_eq!(last_line(&done), "task.service is inactive after systemctl start");

    machine.put("sticks/web.service", "");
    let done = act(&host, Action::Stop, &["web.service", "clean.timer"]).await;
    assert_eq!((done.run.status, last_line(&done)), (RunStatus::Failed, "web.service is active after systemctl stop"));
}

#[tokio::test]
async fn an_ordinary_user_acts_by_polkit_or_by_sudo_and_is_told_how_to_be_let() {
    let machine = Machine::with(&["a.service", "b.service"]);
    let (sshd, state, user) = (machine.sshd(), tempfile::tempdir().unwrap(), User::new("/bin/sh"));
    let host = over_ssh(&sshd, &user.0, state.path());

    let done = act(&host, Action::Start, &["a.service", "b.service"]).await;
    assert_eq!((done.run.status, done.run.exit_code), (RunStatus::Failed, Some(1)));
    assert_eq!(machine.deeds(), ["user start a.service"]);
    assert!(done.output.text.contains("Interactive authentication required."), "{}", done.output.text);
    assert!(done.output.text.contains("sudo: a password is required"), "{}", done.output.text);
    for part in ["a.service: systemctl start exited", "/etc/sudoers.d/monitor", "NOPASSWD", "polkit rule"] {
        assert!(done.run.error.contains(part), "no {part} in {}", done.run.error);
    }

    machine.put("sudoers", "");
    let done = act(&host, Action::Start, &["a.service", "b.service"]).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{}", done.output.text);
    assert_eq!(
        machine.deeds(),
        ["user start a.service", "0 start a.service", "user start b.service", "0 start b.service"]
    );

    machine.put("polkit", "");
    let done = act(&host, Action::Stop, &["a.service", "b.service"]).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{}", done.output.text);
    assert_eq!(machine.deeds(), ["user stop b.service", "user stop a.service"], "who is let in needs no sudo");
    // A unit that fails by itself is not tried again by way of sudo.
    machine.put("fails/a.service", "");
    act(&host, Action::Restart, &["a.service"]).await;
    assert_eq!(machine.deeds(), ["user restart a.service"]);
    host.close().await;
}

#[tokio::test]
async fn a_host_without_the_unit_or_without_systemd_is_named_also_by_the_look() {
    let machine = Machine::with(&["a.service"]);
    let host = machine.local();
    let there = systemd(&host, Action::Start, &["a.service"]);
    let told = there.check().unwrap().await.unwrap();
    assert!(told.contains("dc3 knows the units of `systemctl start a.service`"), "{told}");
    let missing = systemd(&host, Action::Start, &["a.service", "x.service"]);
    let told = missing.check().unwrap().await.unwrap_err();
    assert!(told.contains("No files found for x.service.") && told.contains("list-unit-files"), "{told}");
    assert_eq!(machine.deeds(), [""; 0], "a look changes nothing");
    let done = run(&missing, &call()).await;
    assert_eq!(done.run.exit_code, Some(5));
    assert!(done.run.error.contains("no such unit"), "{}", done.run.error);

    let bare = tempfile::tempdir().unwrap();
    for tool in ["sh", "id"] {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(tool), bare.path().join(tool)).unwrap();
    }
    let path = vec![("PATH".to_owned(), bare.path().display().to_string())];
    let host = Arc::new(Host::Local(LocalHost { env: path, folder: None }));
    let remedy = systemd(&host, Action::Start, &["a.service"]);
    let done = run(&remedy, &call()).await;
    assert!(done.run.error.contains("no systemctl"), "{:?}", done.run);
    assert!(remedy.check().unwrap().await.unwrap_err().contains("no systemctl"));
}

#[tokio::test]
async fn a_job_that_outlasts_the_limit_is_said_to_go_on() {
    let machine = Machine::with(&["a.service"]);
    machine.put("slow", "");
    let mut call = call();
    call.limit = Duration::from_millis(500);
    let done = run(&systemd(&machine.local(), Action::Start, &["a.service"]), &call).await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Timeout, true));
    assert!(done.run.error.contains("systemctl list-jobs"), "{}", done.run.error);
    assert_eq!(done.output.text, "systemctl start a.service\n", "what it was at is seen");
}

/// An agent on this machine whose pair is down, and that starts `a.service` for as long as it is.
fn stand_in(api: &BotApi, machine: &Machine, target: &Target) -> Agent {
    let mut agent = Agent::telling(api);
    agent.environment("PATH", &format!("{}:/usr/bin:/bin", machine.folder.path().display()));
    agent.set(&[("MAPPINGS", "DC3:SRV4"), ("SRV4_URL", &target.url()), ("DC3_LOCAL", "true")]);
    agent.set(&[("DC3_SERVICES", "a.service,b.timer"), ("MAX_INTERVAL", "0.5")]);
    agent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stand_in_is_started_once_in_an_incident_and_stopped_when_it_ends() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let machine = Machine::with(&["a.service", "b.timer"]);
    let mut agent = stand_in(&api, &machine, &target);
    agent.start();
    let started = agent.record("DC3-SRV4", 1).await;
    assert_eq!(
        (&started["command"], &started["status"]),
        (&"systemctl start a.service b.timer".into(), &"executed".into())
    );
    let told = api.message(1).await;
    assert!(told.plain.contains("systemctl start a.service b.timer"), "{}", told.plain);
    // Further failing checks do not start it again.
    target.probed(4).await;
    assert_eq!(machine.deeds(), ["0 start a.service", "0 start b.timer"]);
    target.set(true);
    let stopped = agent.record("DC3-SRV4", 2).await;
    assert_eq!(
        (&stopped["command"], &stopped["status"]),
        (&"systemctl stop b.timer a.service".into(), &"executed".into())
    );
    target.probed(2).await;
    agent.stop();
    assert_eq!(machine.deeds(), ["0 stop b.timer", "0 stop a.service"]);
    assert_eq!(agent.records().len(), 2, "{:?}", agent.records());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_started_for_an_incident_is_not_stopped_after_it() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let machine = Machine::with(&["a.service", "b.timer"]);
    let mut agent = stand_in(&api, &machine, &target);
    agent.set(&[("COMMAND_MODE", "dry")]);
    agent.start();
    let refused = agent.record("DC3-SRV4", 1).await;
    assert_eq!(refused["status"], "skipped");
    target.set(true);
    agent.says(&["DC3-SRV4 is up again"]).await;
    target.probed(2).await;
    agent.stop();
    assert_eq!(machine.calls(), [""; 0], "somebody else may want it to run");
}

#[tokio::test]
async fn the_harmless_form_looks_at_the_units_and_changes_none() {
    let machine = Machine::with(&["a.service", "b.service"]);
    let host = machine.local();
    machine.put("units/a.service", "active");
    let remedy = systemd(&host, Action::Restart, &["a.service", "b.service"]);
    let harmless = remedy.harmless().unwrap();
    assert_eq!(harmless.text(), "systemctl is-active a.service b.service");
    assert_eq!((harmless.host(), harmless.lane()), (remedy.host(), remedy.lane()));
    let done = run(harmless.as_ref(), &call()).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{:?}", done.run);
    assert_eq!(done.output.text.trim(), "a.service is active\nb.service is inactive");
    assert!(machine.deeds().is_empty());

    let unknown = systemd(&host, Action::Start, &["a.service", "gone.service"]).harmless().unwrap();
    let done = run(unknown.as_ref(), &call()).await;
    assert_eq!(done.run.status, RunStatus::Failed, "{:?}", done.run);
    assert!(done.run.error.contains("gone.service") && done.run.error.contains("no such unit"), "{:?}", done.run);
}
