//! What an operator installs: the script into a folder of its own, the unit under systemd's own checks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn install(destdir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.arg(deploy("install.sh")).args(arguments).env("DESTDIR", destdir);
    if !arguments.contains(&"--binary") {
        command.args(["--binary", "/bin/true"]);
    }
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

/// Every file and folder below, with nothing of their contents.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

#[test]
fn installing_twice_keeps_the_configuration_and_leaves_the_same_tree() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let output = install(root, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let env = root.join("etc/monitor/.env");
    assert_eq!(mode(&env), 0o640);
    let text = fs::read_to_string(&env).unwrap();
    let set: Vec<&str> = text.lines().filter(|line| line.starts_with("STATE_DIR=")).collect();
    assert_eq!(set, ["STATE_DIR=/var/lib/monitor"], "the command line finds the agent");
    assert_eq!(mode(&root.join("etc/monitor")), 0o750);
    assert_eq!(mode(&root.join("usr/local/bin/monitor")), 0o755);
    assert_eq!(mode(&root.join("etc/systemd/system/monitor.service")), 0o644);
    fs::write(&env, "INTERVAL=30\n").unwrap();
    let before = tree(root);
    let output = install(root, &[]);
    assert!(output.status.success() && said(&output).contains("kept "), "{}", said(&output));
    assert_eq!(fs::read_to_string(&env).unwrap(), "INTERVAL=30\n");
    assert_eq!(tree(root), before);
}

#[test]
fn a_dry_run_says_every_step_and_does_none() {
    let dir = tempfile::tempdir().unwrap();
    let output = install(dir.path(), &["--dry-run"]);
    assert!(output.status.success() && said(&output).contains("place_binary"), "{}", said(&output));
    assert_eq!(tree(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn on_a_real_system_the_configuration_belongs_to_root_and_the_agents_group() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .arg(deploy("install.sh"))
        .args(["--dry-run", "--binary", "/bin/true", "--prefix"])
        .arg(dir.path())
        .env_remove("DESTDIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("\nchown root:monitor /etc/monitor /etc/monitor/.env\n"), "{}", said(&output));
    assert_eq!(tree(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn uninstalling_removes_the_program_and_keeps_what_is_the_operators() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    assert!(install(root, &[]).status.success());
    let output = install(root, &["--uninstall"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!root.join("usr/local/bin/monitor").exists() && !root.join("etc/systemd/system/monitor.service").exists());
    assert!(root.join("etc/monitor/.env").exists());
    assert!(install(root, &["--uninstall"]).status.success(), "uninstalling twice is no error");
}

#[test]
fn the_unit_follows_the_prefix() {
    let dir = tempfile::tempdir().unwrap();
    assert!(install(dir.path(), &["--prefix", "/opt/monitor/"]).status.success());
    let unit = fs::read_to_string(dir.path().join("etc/systemd/system/monitor.service")).unwrap();
    assert!(unit.contains("\nExecStart=/opt/monitor/bin/monitor run "), "{unit}");
    assert!(dir.path().join("opt/monitor/bin/monitor").exists());
}

#[test]
fn wrong_arguments_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--wat"], 2, "see --help"),
        (&["--binary", "/nowhere/monitor"], 1, "name the built binary"),
        (&["--prefix", "relative"], 2, "absolute path"),
        (&["--prefix", "/opt/a|b"], 2, "letters, digits"),
        (&["--binary"], 2, "needs a value"),
    ];
    for (arguments, code, part) in cases {
        let output = install(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(tree(dir.path()), Vec::<PathBuf>::new());
}

/// Runs a program that CI has; a missing one fails and names its Debian package.
fn tool(name: &str, package: &str, arguments: &[&str]) -> Output {
    Command::new(name)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}: install the Debian package `{package}`"))
}

#[test]
fn systemd_accepts_the_unit_and_rates_it_well() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("monitor.service");
    let text = fs::read_to_string(deploy("monitor.service")).unwrap();
    // `verify` wants the program to exist; everything else is the shipped text.
    fs::write(&unit, text.replace("/usr/local/bin/monitor", "/bin/true")).unwrap();
    let unit = unit.to_str().unwrap();
    let verified = tool("systemd-analyze", "systemd", &["verify", "--man=no", unit]);
    assert!(verified.status.success() && !said(&verified).contains("monitor.service:"), "{}", said(&verified));
    // Tenths: 1.5 of 10, where 10 is fully exposed.
    let rated =
        tool("systemd-analyze", "systemd", &["security", "--offline=true", "--threshold=15", "--no-pager", unit]);
    assert!(rated.status.success(), "{}", said(&rated));
}

#[test]
fn a_standby_is_installed_beside_an_agent_and_removed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let output = install(root, &["--failover"]);
    assert!(output.status.success() && said(&output).contains("failover --check"), "{}", said(&output));
    let config = root.join("opt/failover-monitor/config.json");
    assert_eq!(mode(&config), 0o640);
    assert_eq!(mode(&root.join("etc/systemd/system/failover-monitor.service")), 0o644);
    assert!(!root.join("etc/monitor").exists());
    fs::write(&config, "{}").unwrap();
    assert!(install(root, &["--failover", "--prefix", "/opt"]).status.success());
    assert_eq!(fs::read_to_string(&config).unwrap(), "{}");
    let unit = fs::read_to_string(root.join("etc/systemd/system/failover-monitor.service")).unwrap();
    assert!(unit.contains("\nExecStart=/opt/bin/monitor failover /opt/failover-monitor/config.json\n"), "{unit}");
    assert!(install(root, &[]).status.success());
    assert!(install(root, &["--failover", "--uninstall"]).status.success());
    assert!(root.join("usr/local/bin/monitor").exists() && config.exists());
    assert!(!root.join("etc/systemd/system/failover-monitor.service").exists());
}

#[test]
fn systemd_accepts_the_unit_of_a_standby_and_rates_it() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("failover-monitor.service");
    let text = fs::read_to_string(deploy("failover-monitor.service")).unwrap();
    fs::write(&unit, text.replace("/usr/local/bin/monitor", "/bin/true")).unwrap();
    let unit = unit.to_str().unwrap();
    let verified = tool("systemd-analyze", "systemd", &["verify", "--man=no", unit]);
    assert!(verified.status.success() && !said(&verified).contains("failover-monitor.service:"), "{}", said(&verified));
    // Tenths: it is root with one capability, 2.2 of 10, where 10 is fully exposed.
    let rated =
        tool("systemd-analyze", "systemd", &["security", "--offline=true", "--threshold=22", "--no-pager", unit]);
    assert!(rated.status.success(), "{}", said(&rated));
}

#[test]
fn systemd_accepts_the_drop_in_for_local_remedies() {
    let dir = tempfile::tempdir().unwrap();
    let drop_ins = dir.path().join("monitor.service.d");
    fs::create_dir(&drop_ins).unwrap();
    let text = fs::read_to_string(deploy("monitor.service")).unwrap();
    fs::write(dir.path().join("monitor.service"), text.replace("/usr/local/bin/monitor", "/bin/true")).unwrap();
    // With every offer taken: a line that is commented out is a setting too, when `#` is followed by no blank.
    let example = fs::read_to_string(deploy("local-remedies.conf.example")).unwrap();
    let taken: Vec<_> = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && rest.contains('=')).unwrap_or(line))
        .collect();
    assert!(taken.contains(&"NoNewPrivileges=no"));
    fs::write(drop_ins.join("local-remedies.conf"), taken.join("\n")).unwrap();
    let unit = dir.path().join("monitor.service");
    let verified = tool("systemd-analyze", "systemd", &["verify", "--man=no", unit.to_str().unwrap()]);
    assert!(verified.status.success() && !said(&verified).contains("monitor"), "{}", said(&verified));
}

#[test]
fn the_scripts_pass_shellcheck() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = ["deploy/install.sh", ".ci/run", ".ci/check"].map(|name| root.join(name));
    let paths = scripts.each_ref().map(|path| path.to_str().unwrap());
    let output = tool("shellcheck", "shellcheck", &paths);
    assert!(output.status.success(), "{}", said(&output));
}
