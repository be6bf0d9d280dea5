//! Commands over SSH, against real OpenSSH servers and listeners that only pretend.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a set-up that fails its test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use monitor::domain::remedy::RunStatus;
use monitor::host::ssh::known_hosts;
use monitor::host::{
    Exit, Finished, Host, HostError, HostKeyPolicy, Jump, KeyTrouble, Order, RunResult, SshHost, SshSite,
};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::sshd::{Agent, Impostor, Manner, Options, PASSWORD, Sshd, User, free_port, keygen, wait_until};

/// A site with a place of its own for host keys.
struct Site {
    site: SshSite,
    state: TempDir,
}

impl Site {
    fn at(port: u16) -> Self {
        let state = tempfile::tempdir().unwrap();
        let site = SshSite {
            name: "DC3".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            username: "root".to_owned(),
            password: None,
            key_path: None,
            key_passphrase: None,
            agent: None,
            host_key_pin: None,
            jump: None,
            host_keys: HostKeyPolicy::AcceptNew,
            known_hosts: state.path().join("known_hosts"),
        };
        Self { site, state }
    }

    fn with_key(sshd: &Sshd) -> Self {
        let mut site = Self::at(sshd.port);
        site.site.key_path = Some(sshd.key());
        site
    }

    fn host(&self) -> Host {
        Host::Ssh(SshHost::new(self.site.clone()))
    }

    async fn run(&self, shell: &str) -> RunResult {
        run_on(&self.host(), shell).await
    }

    fn known(&self) -> String {
        std::fs::read_to_string(self.state.path().join("known_hosts")).unwrap_or_default()
    }
}

fn order(shell: &str, limit: Duration) -> Order {
    Order { shell: shell.to_owned(), env: Vec::new(), limit }
}

/// Runs a command with a limit on the whole test.
async fn run_on(host: &Host, shell: &str) -> RunResult {
    let order = order(shell, Duration::from_secs(30));
    let run = host.run(&order, async { true });
    tokio::time::timeout(Duration::from_mins(1), run).await.expect("every run has an end")
}

fn text(done: &Finished) -> &str {
    &done.captured.text
}

#[tokio::test]
async fn a_command_runs_and_its_output_and_exit_code_arrive() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let done = site.run("echo out; echo err >&2; exit 3").await.unwrap();
    assert_eq!((text(&done), &done.exit, done.status()), ("out\nerr\n", &Exit::Code(3), RunStatus::Failed));
    let done = site.run("true").await.unwrap();
    assert_eq!((done.status(), done.left_open), (RunStatus::Executed, false));
    let done = site.run("kill -SEGV $$").await.unwrap();
    assert_eq!(done.exit, Exit::Signal("SEGV".to_owned()));
}

#[tokio::test]
async fn the_seeds_command_finds_the_hosts_systemctl() {
    let tools = tempfile::tempdir().unwrap();
    std::fs::set_permissions(tools.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tool = tools.path().join("systemctl");
    std::fs::write(&tool, "#!/bin/sh\necho \"$0 $*\"\n").unwrap();
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let sshd = Sshd::start(&Options { path: Some(tools.path().to_owned()), ..Options::default() });
    let done = Site::with_key(&sshd).run("systemctl restart network-service").await.unwrap();
    assert_eq!(text(&done), format!("{} restart network-service\n", tool.display()));
}

#[tokio::test]
async fn two_commands_share_one_login_and_each_runs_once() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    let file = site.state.path().join("count");
    for _ in 0..2 {
        run_on(&host, &format!("echo x >> {}", file.display())).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\nx\n");
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    host.close().await;
    assert!(matches!(run_on(&host, "true").await, Err(HostError::Closed)));
}

#[tokio::test]
async fn a_warm_session_is_there_when_the_command_comes() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    host.warm();
    host.warm();
    let waited =
        tokio::task::spawn_blocking(move || (wait_until(Duration::from_secs(10), || sshd.logins() == 1), sshd));
    let (warm, sshd) = waited.await.unwrap();
    assert!(warm, "{}", sshd.log());
    run_on(&host, "true").await.unwrap();
    assert_eq!(sshd.logins(), 1);
    host.close().await;
}

#[tokio::test]
async fn twenty_commands_at_once_all_run() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = std::sync::Arc::new(site.host());
    let go = site.state.path().join("go");
    let mut runs = tokio::task::JoinSet::new();
    for i in 0..20 {
        let (host, go) = (host.clone(), go.clone());
        let shell = format!("until [ -e {} ]; do sleep 0.1; done; echo {i}", go.display());
        runs.spawn(async move { run_on(&host, &shell).await.unwrap().captured.text });
    }
    // None ends before all have begun, so that none finds a slot that another has left.
    let sshd = std::sync::Arc::new(sshd);
    let watched = sshd.clone();
    let all_begun = move || watched.log().matches("Starting session").count() == 20;
    let waiting = tokio::task::spawn_blocking(move || {
        let begun = wait_until(Duration::from_secs(20), &all_begun);
        std::fs::write(go, "").unwrap();
        begun
    });
    assert!(waiting.await.unwrap(), "twenty commands run side by side");
    let mut said = runs.join_all().await;
    said.sort_by_key(|text| text.trim().parse::<u32>().unwrap_or_else(|_| panic!("{text:?}")));
    assert_eq!(said, (0..20).map(|i| format!("{i}\n")).collect::<Vec<_>>());
    assert_eq!(sshd.logins(), 3, "eight commands a session");
}

#[tokio::test]
async fn command_text_arrives_as_it_is_and_the_environment_with_it() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let done = site
        .run("printf '%s|' 'it''s' \"a\\\\b\" '$HOME' \\! 'ключ ✓'\necho \"$((1+1))\"; echo 'it'\\''s'")
        .await
        .unwrap();
    assert_eq!(text(&done), "its|a\\b|$HOME|!|ключ ✓|2\nit's\n");
    let host = site.host();
    let mut order = order("printf %s \"$MONITOR_PAIR\"", Duration::from_secs(10));
    order.env = vec![("MONITOR_PAIR".to_owned(), "a'b\"c $x \\ `d`\nе".to_owned())];
    let done = host.run(&order, async { true }).await.unwrap();
    assert_eq!(text(&done), "a'b\"c $x \\ `d`\nе");
}

#[tokio::test]
async fn a_command_over_its_limit_is_told_so_and_dies_on_the_host() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let begun = Instant::now();
    let ended = site.host().run(&order("sleep 100 & echo $$ $!; wait", Duration::from_secs(3)), async { true }).await;
    let Err(e @ HostError::TimedOut { .. }) = ended else { panic!("{ended:?}") };
    assert!(begun.elapsed() < Duration::from_secs(6));
    assert_eq!((e.status(), e.started()), (RunStatus::Timeout, true));
    assert!(e.to_string().contains("did not end within 3 s"), "{e}");
    let pids: Vec<String> = e.captured().unwrap().text.split_whitespace().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        assert!(wait_until(Duration::from_secs(8), || !Path::new("/proc").join(&pid).exists()), "{pid} lives on");
    }
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed_on_the_host_before_it_ends_for_us() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let begun = Instant::now();
    let shell = "trap '' TERM; echo $$; while :; do sleep 1; done";
    let ended = site.host().run(&order(shell, Duration::from_secs(2)), async { true }).await;
    let Err(HostError::TimedOut { captured, .. }) = ended else { panic!("{ended:?}") };
    assert!(begun.elapsed() < Duration::from_secs(10));
    let pid = captured.text.trim().to_owned();
    assert!(wait_until(Duration::from_secs(2), || !Path::new("/proc").join(&pid).exists()), "{pid} lives on");
}

#[tokio::test]
async fn a_flood_is_counted_hashed_and_cut() {
    let sshd = Sshd::start(&Options::default());
    let done = Site::with_key(&sshd).run("head -c 50000000 /dev/zero").await.unwrap();
    assert_eq!(done.captured.bytes, 50_000_000);
    assert!(done.captured.text.len() < 100 * 1024);
    assert_eq!(done.captured.truncated, 50_000_000 - (8192 - 2 * 256), "less a word on each side of the cut");
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_does_not_hold_us() {
    let sshd = Sshd::start(&Options::default());
    let begun = Instant::now();
    let done = Site::with_key(&sshd).run("sleep 20 & echo started").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((text(&done), &done.exit, done.left_open), ("started\n", &Exit::Code(0), true));
}

#[tokio::test]
async fn a_connection_killed_in_mid_command_is_lost_and_not_run_again() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    let file = site.state.path().join("count");
    // The command's parent is `timeout`, whose parent is the server's own process for this session.
    let shell = format!("echo x >> {}; echo said; sleep 0.2; kill -9 $(ps -o ppid= -p $PPID)", file.display());
    let ended = run_on(&host, &shell).await;
    let Err(e @ HostError::Lost { .. }) = ended else { panic!("{ended:?}") };
    assert_eq!((e.status(), e.started()), (RunStatus::Unreachable, true));
    assert_eq!(e.captured().unwrap().text, "said\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x\n");
    // The next one gets a session of its own.
    assert_eq!(run_on(&host, "true").await.unwrap().exit, Exit::Code(0));
}

#[tokio::test]
async fn a_command_that_kills_its_own_parent_is_never_a_success() {
    let sshd = Sshd::start(&Options::default());
    let ended = Site::with_key(&sshd).run("kill -9 $PPID").await;
    let status = ended.as_ref().map_or_else(HostError::status, Finished::status);
    assert_ne!(status, RunStatus::Executed, "{ended:?}");
}

#[tokio::test]
async fn a_server_that_dies_in_mid_command_is_never_a_success() {
    let mut sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    let file = site.state.path().join("begun");
    let order = order(&format!("touch {}; sleep 2", file.display()), Duration::from_secs(20));
    let run = async { host.run(&order, async { true }).await };
    let kill = tokio::task::spawn_blocking(move || {
        assert!(wait_until(Duration::from_secs(10), || file.exists()));
        sshd.kill();
    });
    let (ended, killed) = tokio::join!(run, kill);
    killed.unwrap();
    assert!(matches!(ended, Err(HostError::Lost { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_kept_session_that_died_is_replaced_before_the_command_is_handed_over() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    run_on(&host, "true").await.unwrap();
    // The session's server process alone: the listener lives on.
    let victim = run_on(&host, "ps -o ppid= -p $PPID").await.unwrap().captured.text.trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-9", &victim]).status().unwrap().success());
    let mut begun = 0;
    let order = order("echo again", Duration::from_secs(10));
    let ready = async {
        begun += 1;
        true
    };
    let done = host.run(&order, ready).await.unwrap();
    assert_eq!((text(&done), begun, sshd.logins()), ("again\n", 1, 2));
}

#[tokio::test]
async fn a_kept_session_that_froze_is_replaced_too() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    let host = site.host();
    let frozen = run_on(&host, "ps -o ppid= -p $PPID").await.unwrap().captured.text.trim().to_owned();
    let signal = |name: &str| std::process::Command::new("kill").args([name, &frozen]).status().unwrap().success();
    assert!(signal("-STOP"));
    let begun = Instant::now();
    let done = run_on(&host, "echo again").await;
    assert!(signal("-KILL"));
    assert_eq!((text(&done.unwrap()), sshd.logins()), ("again\n", 2));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn nothing_listens_and_the_message_says_so() {
    let e = Site::at(free_port()).run("true").await.unwrap_err();
    assert!(matches!(e, HostError::Unreachable { .. }), "{e:?}");
    assert!(e.to_string().contains("refused") && e.to_string().contains("127.0.0.1:"), "{e}");
    assert_eq!((e.status(), e.started()), (RunStatus::Unreachable, false));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let mut site = Site::at(22);
    site.site.host = "no-such-host.invalid".to_owned();
    let e = site.run("true").await.unwrap_err();
    assert!(matches!(e, HostError::Unreachable { .. }), "{e:?}");
    assert!(e.to_string().contains("no-such-host.invalid"), "{e}");
}

#[tokio::test]
async fn a_server_that_accepts_and_stays_silent_has_ten_seconds() {
    let silent = Impostor::start(Manner::Silent);
    let begun = Instant::now();
    let e = Site::at(silent.port).run("true").await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(13));
    assert!(matches!(e, HostError::Silent { .. }) && e.to_string().contains("banner"), "{e:?}");
    assert_eq!(e.status(), RunStatus::Timeout);
}

#[tokio::test]
async fn a_web_server_on_the_port_is_recognised() {
    let http = Impostor::start(Manner::Http);
    let e = Site::at(http.port).run("true").await.unwrap_err();
    assert!(e.to_string().contains("not SSH") && e.to_string().contains("HTTP/1.1 400"), "{e}");
    assert_eq!(http.stop(), 1, "no second try is worth it");
}

#[tokio::test]
async fn a_server_that_hangs_up_is_asked_again_a_few_times() {
    let drops = Impostor::start(Manner::Drops);
    let e = Site::at(drops.port).run("true").await.unwrap_err();
    assert!(matches!(e, HostError::Handshake { dropped: true, .. }), "{e:?}");
    assert_eq!(drops.stop(), 5);
}

#[tokio::test]
async fn a_full_max_startups_is_waited_out() {
    let sshd = Sshd::start(&Options::with(&["MaxStartups 1"]));
    // A connection that says nothing takes the only place; it leaves after a second.
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", sshd.port)).await.unwrap();
    let site = Site::with_key(&sshd);
    let (ended, ()) = tokio::join!(site.run("true"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(socket);
    });
    ended.unwrap();
    assert!(sshd.log().contains("MaxStartups"), "it was never full: {}", sshd.log());
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_right_one_lets_in() {
    let user = User::new("/bin/sh");
    let sshd = Sshd::start(&Options::with(&["PubkeyAuthentication no", "KbdInteractiveAuthentication no"]));
    let mut site = Site::at(sshd.port);
    site.site.username.clone_from(&user.0);
    site.site.password = Some(SecretString::from("wrong"));
    let e = site.run("true").await.unwrap_err();
    assert!(matches!(&e, HostError::Auth(denial) if !denial.too_many), "{e:?}");
    let said = e.to_string();
    assert!(said.contains("DC3_SSH_PASSWORD") && said.contains(&user.0) && !said.contains("wrong"), "{said}");
    assert_eq!(e.status(), RunStatus::AuthFailed);
    site.site.password = Some(SecretString::from(PASSWORD));
    assert_eq!(text(&site.run("id -un").await.unwrap()).trim(), user.0);
}

#[tokio::test]
async fn a_server_that_asks_for_the_password_by_keyboard_gets_it() {
    let user = User::new("/bin/sh");
    let by_keyboard = ["UsePAM yes", "KbdInteractiveAuthentication yes", "PasswordAuthentication no"];
    let sshd = Sshd::start(&Options::with(&by_keyboard));
    let mut site = Site::at(sshd.port);
    site.site.username.clone_from(&user.0);
    site.site.password = Some(SecretString::from(PASSWORD));
    let report = site.host().check().await.unwrap();
    assert_eq!(report.login, "keyboard-interactive");
}

#[tokio::test]
async fn a_server_that_takes_keys_only_says_so() {
    let sshd = Sshd::start(&Options::with(&["PasswordAuthentication no", "KbdInteractiveAuthentication no"]));
    let mut site = Site::at(sshd.port);
    site.site.password = Some(SecretString::from(PASSWORD));
    let said = site.run("true").await.unwrap_err().to_string();
    assert!(said.contains("accepts publickey"), "{said}");
}

#[tokio::test]
async fn key_and_password_together_pass_a_server_that_wants_both() {
    let user = User::new("/bin/sh");
    let sshd = Sshd::start(&Options::with(&["AuthenticationMethods publickey,password"]));
    let mut site = Site::with_key(&sshd);
    site.site.username.clone_from(&user.0);
    site.site.password = Some(SecretString::from(PASSWORD));
    // A user other than root must be able to read authorized_keys; the folder is open.
    let report = site.host().check().await.unwrap();
    assert!(report.login.contains("key file") && report.login.contains("+ password"), "{report:?}");
}

#[tokio::test]
async fn too_many_attempts_are_not_called_a_wrong_password() {
    let user = User::new("/bin/sh");
    let sshd = Sshd::start(&Options::with(&["MaxAuthTries 1"]));
    let other = tempfile::tempdir().unwrap();
    keygen(&other.path().join("id"), &["-t", "ed25519"]);
    let mut site = Site::at(sshd.port);
    site.site.username.clone_from(&user.0);
    site.site.key_path = Some(other.path().join("id"));
    site.site.password = Some(SecretString::from(PASSWORD));
    let e = site.run("true").await.unwrap_err();
    assert!(matches!(&e, HostError::Auth(denial) if denial.too_many), "{e:?}");
    assert!(e.to_string().contains("too many"), "{e}");
}

#[tokio::test]
async fn every_kind_of_key_that_openssh_writes_lets_in() {
    let sshd = Sshd::start(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let kinds: [&[&str]; 5] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ];
    let formats: [&[&str]; 3] = [&[], &["-m", "PEM"], &["-m", "PKCS8"]];
    for (i, kind) in kinds.iter().enumerate() {
        for (j, format) in formats.iter().enumerate() {
            for phrase in ["", "open sesame"] {
                let path = folder.path().join(format!("id_{i}_{j}_{}", phrase.len()));
                keygen(&path, &[kind, *format, &["-N", phrase][..]].concat());
                sshd.allow(&path.with_extension("pub"));
                let mut site = Site::at(sshd.port);
                site.site.key_path = Some(path.clone());
                site.site.key_passphrase = (!phrase.is_empty()).then(|| SecretString::from(phrase));
                let done = site.run("true").await;
                // The unreadable ones must say how to convert, and the conversion must work.
                if let Err(HostError::Key { fix, .. }) = &done {
                    assert!(fix.contains("ssh-keygen -p -f"), "{kind:?} {format:?}: {done:?}");
                    assert!(
                        kind.contains(&"ecdsa") && !phrase.is_empty() && format.contains(&"PEM"),
                        "{kind:?} {format:?}"
                    );
                    continue;
                }
                assert_eq!(done.unwrap().exit, Exit::Code(0), "{kind:?} {format:?} {phrase:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_says_why_and_what_to_do() {
    let sshd = Sshd::start(&Options::default());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    keygen(&path("locked"), &["-t", "ed25519", "-N", "right one"]);
    keygen(&path("locked_pem"), &["-t", "rsa", "-m", "PEM", "-N", "right one"]);
    std::fs::create_dir(path("folder")).unwrap();
    let wrong = Some("wrong one");
    for (file, passphrase, expected) in [
        (path("missing"), None, "SSH_KEY_PATH"),
        (path("folder"), None, "not a file"),
        (path("locked"), None, "no passphrase"),
        (path("locked"), wrong, "passphrase does not open it"),
        (path("locked_pem"), None, "no passphrase"),
        (path("locked_pem"), wrong, "passphrase does not open it"),
        (path("locked.pub"), None, "public key"),
    ] {
        let mut site = Site::at(sshd.port);
        site.site.key_path = Some(file.clone());
        site.site.key_passphrase = passphrase.map(SecretString::from);
        let e = site.run("true").await.unwrap_err();
        assert!(matches!(e, HostError::Key { .. }), "{file:?}: {e:?}");
        assert_eq!(e.status(), RunStatus::AuthFailed);
        assert!(e.to_string().contains(expected) && !e.to_string().contains("wrong one"), "{file:?}: {e}");
    }
}

#[tokio::test]
async fn an_agent_lets_in() {
    let sshd = Sshd::start(&Options::default());
    for kind in ["ed25519", "rsa"] {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("id");
        keygen(&key, &["-t", kind]);
        sshd.allow(&key.with_extension("pub"));
        let agent = Agent::with(&key);
        std::fs::remove_file(&key).unwrap();
        let mut site = Site::at(sshd.port);
        site.site.agent = Some(agent.socket.clone());
        let report = site.host().check().await.unwrap();
        assert!(report.login.starts_with("agent key SHA256:"), "{report:?}");
    }
    let mut site = Site::at(sshd.port);
    site.site.agent = Some(PathBuf::from("/nonexistent/agent"));
    let said = site.run("true").await.unwrap_err().to_string();
    assert!(said.contains("nothing answers at /nonexistent/agent"), "{said}");
}

#[tokio::test]
async fn a_jump_host_is_passed_and_its_troubles_bear_its_name() {
    let far = Sshd::start(&Options::default());
    let near = Sshd::start(&Options::default());
    near.allow(&far.folder.path().join("id.pub"));
    let mut site = Site::with_key(&far);
    site.site.jump = Some(Jump { username: "root".to_owned(), host: "127.0.0.1".to_owned(), port: near.port });
    let host = site.host();
    assert_eq!(text(&run_on(&host, "echo far").await.unwrap()), "far\n");
    assert_eq!(text(&run_on(&host, "echo again").await.unwrap()), "again\n");
    assert_eq!((near.logins(), far.logins()), (1, 1));
    host.close().await;
    let nowhere = free_port();
    site.site.jump = Some(Jump { username: "root".to_owned(), host: "127.0.0.1".to_owned(), port: nowhere });
    let e = site.run("true").await.unwrap_err();
    assert!(e.to_string().starts_with("jump host: cannot reach"), "{e}");
    assert_eq!(e.status(), RunStatus::Unreachable);
}

#[tokio::test]
async fn a_first_key_is_learned_and_openssh_itself_reads_the_file() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    site.run("true").await.unwrap();
    let port = sshd.port;
    assert!(site.known().starts_with(&format!("[127.0.0.1]:{port} ssh-ed25519 ")), "{}", site.known());
    let out = std::process::Command::new("ssh")
        .args(["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-p", &port.to_string()])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", site.site.known_hosts.display()))
        .arg("-i")
        .arg(sshd.key())
        .args(["root@127.0.0.1", "echo openssh"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "openssh\n", "{}", String::from_utf8_lossy(&out.stderr));
    // And what ssh-keygen hashed is still known.
    let hashed =
        std::process::Command::new("ssh-keygen").arg("-q").arg("-H").arg("-f").arg(&site.site.known_hosts).output();
    assert!(hashed.unwrap().status.success());
    assert!(site.known().starts_with("|1|"));
    site.run("true").await.unwrap();
    assert_eq!(site.known().lines().count(), 1);
}

#[tokio::test]
async fn a_changed_host_key_is_refused_until_a_person_trusts_it() {
    let first = Sshd::start(&Options::default());
    let second = Sshd::start(&Options::default());
    let mut site = Site::with_key(&first);
    site.run("true").await.unwrap();
    let line = site.known().replace(&first.port.to_string(), &second.port.to_string());
    std::fs::write(&site.site.known_hosts, &line).unwrap();
    site.site.port = second.port;
    site.site.key_path = Some(second.key());
    let e = site.run("true").await.unwrap_err();
    let HostError::HostKeyChanged(trouble) = &e else { panic!("{e:?}") };
    let KeyTrouble { offered, trusted, .. } = trouble.as_ref();
    let said = e.to_string();
    for part in [
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        offered,
        &trusted[0],
        "line 1",
        "monitor trust DC3",
        "man in the middle",
    ] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    assert_eq!((e.status(), second.logins()), (RunStatus::HostKeyMismatch, 0));
    assert_eq!(site.known(), line, "nothing is learned over a known key");
    let key = SshHost::new(site.site.clone()).offered_key().await.unwrap();
    assert_eq!(&known_hosts::fingerprint(&key), offered);
    known_hosts::trust(&site.site.known_hosts, &site.site.host, site.site.port, &key).unwrap();
    site.run("true").await.unwrap();
}

#[tokio::test]
async fn with_only_an_ecdsa_key_on_record_the_server_is_asked_for_that_one() {
    let sshd = Sshd::start(&Options { host_keys: vec!["ed25519", "ecdsa"], ..Options::default() });
    let site = Site::with_key(&sshd);
    let public = std::fs::read_to_string(sshd.folder.path().join("host_ecdsa.pub")).unwrap();
    let line = format!("[127.0.0.1]:{} {public}", sshd.port);
    std::fs::write(&site.site.known_hosts, &line).unwrap();
    site.run("true").await.unwrap();
    assert_eq!(site.known(), line);
}

#[tokio::test]
async fn strict_refuses_an_unknown_key_and_tells_what_to_pin() {
    let sshd = Sshd::start(&Options { host_keys: vec!["ed25519", "rsa"], ..Options::default() });
    let mut site = Site::with_key(&sshd);
    site.site.host_keys = HostKeyPolicy::Strict;
    let e = site.run("true").await.unwrap_err();
    let HostError::HostKeyUnknown(trouble) = &e else { panic!("{e:?}") };
    assert!(e.to_string().contains(&format!("DC3_SSH_HOST_KEY={}", trouble.offered)), "{e}");
    assert_eq!(site.known(), "");
    site.site.host_key_pin = Some(trouble.offered.clone());
    site.run("true").await.unwrap();
    // The pin may be that of any of the server's keys.
    let rsa = std::fs::read_to_string(sshd.folder.path().join("host_rsa.pub")).unwrap();
    let rsa = known_hosts::fingerprint(&russh::keys::PublicKey::from_openssh(&rsa).unwrap());
    site.site.host_key_pin = Some(rsa.clone());
    assert_eq!(site.host().check().await.unwrap().host_key, Some(rsa));
    site.site.host_key_pin = Some(format!("SHA256:{}", "A".repeat(43)));
    let e = site.run("true").await.unwrap_err();
    assert!(matches!(e, HostError::HostKeyChanged(_)) && e.to_string().contains("DC3_SSH_HOST_KEY"), "{e:?}");
}

#[tokio::test]
async fn an_account_without_a_shell_fails_with_the_servers_own_words() {
    let user = User::new("/usr/sbin/nologin");
    let sshd = Sshd::start(&Options::default());
    let mut site = Site::with_key(&sshd);
    site.site.username.clone_from(&user.0);
    let done = site.run("true").await.unwrap();
    assert_eq!((done.status(), &done.exit), (RunStatus::Failed, &Exit::Code(1)));
    assert!(text(&done).contains("not available"), "{}", text(&done));
    let e = site.host().check().await.unwrap_err();
    assert!(matches!(e, HostError::Refused { .. }) && e.to_string().contains("not available"), "{e:?}");
}

#[tokio::test]
async fn a_check_tells_key_login_and_time() {
    let sshd = Sshd::start(&Options::default());
    let report = Site::with_key(&sshd).host().check().await.unwrap();
    assert_eq!(report.address, format!("127.0.0.1:{}", sshd.port));
    assert!(report.host_key.unwrap().starts_with("SHA256:") && report.login.starts_with("key file "));
}

#[tokio::test]
#[ignore = "a measurement, for people: cargo test --test it -- --ignored --nocapture measure_ssh"]
async fn measure_ssh() {
    let sshd = Sshd::start(&Options::default());
    let site = Site::with_key(&sshd);
    site.run("true").await.unwrap();
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (mut fresh, mut kept, mut openssh) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..15 {
        let host = site.host();
        let begun = Instant::now();
        run_on(&host, "true").await.unwrap();
        fresh.push(begun.elapsed());
        let begun = Instant::now();
        run_on(&host, "true").await.unwrap();
        kept.push(begun.elapsed());
        host.close().await;
        let begun = Instant::now();
        let ssh = tokio::process::Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-p", &sshd.port.to_string(), "-i"])
            .arg(sshd.key())
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", site.site.known_hosts.display()))
            .args(["root@127.0.0.1", "true"])
            .status();
        assert!(ssh.await.unwrap().success());
        openssh.push(begun.elapsed());
    }
    println!("fresh {:?}, kept {:?}, ssh {:?}", median(fresh), median(kept), median(openssh));
}
