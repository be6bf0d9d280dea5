//! Hosts that do not let us in, do not answer, or are not who they were: each with its own words, and nothing is run.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use crate::support::agent::Agent;
use crate::support::bot_api::{BotApi, Taken};
use crate::support::sshd::{Impostor, Manner, Options, PASSWORD, User, free_port, keygen};
use crate::support::stage::{Host, Target, borrowed, site};

/// What one kind of trouble is called, in the record and for people.
struct Expected {
    dc: &'static str,
    status: &'static str,
    told: &'static [&'static str],
}

/// One agent with one pair per kind of trouble, all down, and one healthy pair.
struct Troubles {
    agent: Agent,
    api: BotApi,
    up: Target,
    down: Target,
    pairs: Vec<String>,
}

impl Troubles {
    async fn new() -> Self {
        let (api, up, down) = (BotApi::start().await, Target::start(true).await, Target::start(false).await);
        let mut agent = Agent::telling(&api);
        agent.set(&[("INTERVAL", "30"), ("COMMAND_TIMEOUT", "2"), ("STORM_LIMIT", "100%")]);
        agent.set(&[("SUP_URL", &up.url()), ("SUP_INTERVAL", "0.3"), ("SDOWN_URL", &down.url())]);
        Self { agent, api, up, down, pairs: vec!["FINE:SUP".to_owned()] }
    }

    fn add(&mut self, dc: &str, settings: &[(String, String)]) {
        self.agent.set(&borrowed(settings));
        self.pairs.push(format!("{dc}:SDOWN"));
    }

    /// Starts, waits for all, and requires that each was recorded and told as expected.
    async fn tell(&mut self, expected: &[Expected]) {
        self.agent.set(&[("MAPPINGS", &self.pairs.join(","))]);
        self.agent.start();
        for Expected { dc, status, .. } in expected {
            let record = self.agent.record(&format!("{dc}-SDOWN"), 1).await;
            assert_eq!(record["status"], *status, "{dc}: {record}");
            assert!(!record["error"].as_str().unwrap().is_empty(), "{record}");
        }
        let messages = self.messages(expected.len()).await;
        for Expected { dc, told, .. } in expected {
            let pair = format!("{dc}-SDOWN");
            let of: Vec<&str> = messages.iter().map(|m| m.plain.as_str()).filter(|text| text.contains(&pair)).collect();
            assert_eq!(of.len(), 1, "one message about {pair}: {of:?}");
            for part in *told {
                assert!(of[0].contains(part), "{dc}: `{part}` is missing in {}", of[0]);
            }
        }
        let late = self.up.longest_gap();
        assert!(late < Duration::from_secs(1) && self.up.hits().len() > 3, "the healthy pair waited {late:?}");
        assert!(self.agent.lives());
    }

    async fn messages(&self, n: usize) -> Vec<Taken> {
        self.api.message(n).await;
        self.api.messages()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refused_login_says_what_was_wrong_with_it() {
    let mut troubles = Troubles::new().await;
    let user = User::new("/bin/bash");
    let host = Host::with(&Options::with(&["PasswordAuthentication yes"]), "");
    let port = host.sshd.port;
    let file = |name: &str| host.sshd.folder.path().join(name).display().to_string();
    keygen(&host.sshd.folder.path().join("locked"), &["-t", "ed25519", "-N", "right"]);
    std::fs::write(file("words"), "this is no key\n").unwrap();
    troubles.agent.set(&borrowed(&site("FINE", port, &file("id"))));

    let mut password = site("PASSWORD", port, "");
    password.pop();
    password[2].1.clone_from(&user.0);
    password.push(("PASSWORD_SSH_PASSWORD".to_owned(), format!("not {PASSWORD}")));
    troubles.add("PASSWORD", &password);
    troubles.add("WORDS", &site("WORDS", port, &file("words")));
    let mut locked = site("LOCKED", port, &file("locked"));
    locked.push(("LOCKED_SSH_KEY_PASSPHRASE".to_owned(), "wrong".to_owned()));
    troubles.add("LOCKED", &locked);
    let stranger = host.sshd.folder.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519"]);
    troubles.add("STRANGER", &site("STRANGER", port, &file("stranger")));
    troubles
        .tell(&[
            Expected {
                dc: "PASSWORD",
                status: "auth_failed",
                told: &["The host refused our login", "PASSWORD_SSH_PASSWORD"],
            },
            Expected { dc: "WORDS", status: "auth_failed", told: &["was not run", "words"] },
            Expected { dc: "LOCKED", status: "auth_failed", told: &["was not run", "SSH_KEY_PASSPHRASE"] },
            Expected {
                dc: "STRANGER",
                status: "auth_failed",
                told: &["The host refused our login", "authorized_keys"],
            },
        ])
        .await;
    troubles.agent.stop();
    assert!(host.stamps().is_empty(), "{:?}", host.stamps());
    assert_eq!(
        troubles.agent.count("already runs on"),
        0,
        "another login is another run, its refusal is nobody else's"
    );
    let log = troubles.agent.file("monitor.log");
    assert!(!log.contains(PASSWORD), "the password is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_do_not_answer_are_given_up_in_time_and_hold_nobody_up() {
    let mut troubles = Troubles::new().await;
    let host = Host::start("");
    let key = host.sshd.key().display().to_string();
    let (drops, web, silent) =
        (Impostor::start(Manner::Drops), Impostor::start(Manner::Http), Impostor::start(Manner::Silent));
    troubles.agent.set(&borrowed(&host.site("FINE")));
    troubles.add("CLOSED", &site("CLOSED", free_port(), &key));
    troubles.add("DROPS", &site("DROPS", drops.port, &key));
    troubles.add("WEB", &site("WEB", web.port, &key));
    troubles.add("SILENT", &site("SILENT", silent.port, &key));
    troubles
        .tell(&[
            Expected { dc: "CLOSED", status: "unreachable", told: &["cannot be reached", "127.0.0.1:"] },
            Expected { dc: "DROPS", status: "unreachable", told: &["cannot be reached", "127.0.0.1:"] },
            Expected { dc: "WEB", status: "unreachable", told: &["cannot be reached", "127.0.0.1:"] },
            Expected { dc: "SILENT", status: "timeout", told: &["did not answer in time", "overloaded, stuck"] },
        ])
        .await;
    troubles.agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_host_key_is_refused_loudly_and_no_command_runs() {
    let (api, target) = (BotApi::start().await, Target::start(false).await);
    let mut host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &target);
    agent.set(&[("INTERVAL", "0.5"), ("MAX_INTERVAL", "0.5")]);
    agent.start();
    let learned = agent.says(&["DC3", "SHA256:"]).await;
    assert!(learned.contains("WARNING"), "a new key is told loudly: {learned}");
    agent.record("DC3-SRV4", 1).await;
    agent.stop();
    let ran = host.stamps().len();
    let known = agent.file("known_hosts");

    // The same address, another key.
    let folder = host.sshd.folder.path().join("host_ed25519");
    std::fs::remove_file(&folder).unwrap();
    let _ = std::fs::remove_file(folder.with_extension("pub"));
    keygen(&folder, &["-t", "ed25519"]);
    host.sshd.restart();
    let before = api.messages().len();
    agent.start();
    let record = agent.says(&["COMMAND_EXECUTED", "\"status\": \"host_key_mismatch\""]).await;
    assert!(
        record.contains("man in the middle") || record.contains("monitor trust"),
        "what it may mean and what to do: {record}"
    );
    loop {
        let n = api.messages().len() + 1;
        api.message(n).await;
        if api.messages()[before..].iter().any(|m| m.plain.contains("The host's key is not one that we trust")) {
            break;
        }
    }
    agent.stop();
    assert_eq!(host.stamps().len(), ran, "no command runs on a host that may be a stranger");
    assert_eq!(agent.file("known_hosts"), known, "and nothing is learned from it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_cannot_be_read_is_named() {
    // Everything runs as root here, who may read anything: a link that leads nowhere and a folder cannot be read by anybody.
    let mut troubles = Troubles::new().await;
    let host = Host::start("");
    let file = |name: &str| host.sshd.folder.path().join(name);
    symlink("/nowhere/at/all", file("dangling")).unwrap();
    std::fs::create_dir(file("folder")).unwrap();
    std::fs::set_permissions(file("folder"), std::fs::Permissions::from_mode(0o700)).unwrap();
    troubles.agent.set(&borrowed(&host.site("FINE")));
    for (dc, name) in [("GONE", "dangling"), ("FOLDER", "folder")] {
        troubles.add(dc, &site(dc, host.sshd.port, &file(name).display().to_string()));
    }
    troubles
        .tell(&[
            Expected { dc: "GONE", status: "auth_failed", told: &["was not run", "dangling"] },
            Expected { dc: "FOLDER", status: "auth_failed", told: &["was not run", "folder"] },
        ])
        .await;
    troubles.agent.stop();
    assert!(troubles.down.hits().len() >= 2 && host.stamps().is_empty());
}

/// A password in a command is a bad idea that people have; nobody who reads what was done may learn it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_secret_in_a_command_is_in_nothing_that_is_written_or_told() {
    const SECRET: &str = "correct-horse-battery";
    let (api, down) = (BotApi::start().await, Target::start(false).await);
    let mut agent = Agent::telling(&api);
    agent.set(&[("MAPPINGS", "DC1:SRV1"), ("SRV1_URL", &down.url()), ("DC1_SSH_HOST", "127.0.0.1")]);
    agent.set(&[
        ("DC1_SSH_PORT", &free_port().to_string()),
        ("DC1_SSH_USERNAME", "root"),
        ("DC1_SSH_PASSWORD", SECRET),
    ]);
    agent.set(&[("COMMAND", &format!("reset --password {SECRET}"))]);
    agent.start();
    let record = agent.record("DC1-SRV1", 1).await;
    assert_eq!(record["command"], "reset --password ***");
    let message = api.message(1).await;
    assert!(message.plain.contains("reset --password ***"), "{}", message.plain);
    agent.stop();
    for name in ["monitor.log", "audit.jsonl", "monitor.db"] {
        let bytes = std::fs::read(agent.path(name)).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{name} holds the secret");
    }
    assert!(agent.lines().iter().all(|line| !line.contains(SECRET)));
}
