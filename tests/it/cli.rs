//! The command line as people use it: the real binary, throw-away folders, an environment with nothing in it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::SignedDuration;
use monitor::domain::name::PairName;
use monitor::domain::reading::Cause;
use monitor::domain::remedy::{IncidentId, RunId, Verdict};
use monitor::engine::clock::Clock;
use monitor::env::KeyInfo;
use monitor::probe::KINDS;
use monitor::store::{Closing, Order, Store, Write};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::bot_api::{BotApi, CHAT, TOKEN};
use crate::support::http::{Service, State};
use crate::support::sshd::{Options, Sshd, free_port, wait_until};
use crate::support::stage::Target;

const LIMIT: Duration = Duration::from_mins(1);
const MONITOR: &str = env!("CARGO_BIN_EXE_monitor");

/// What a command came to.
struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Told {
    fn all(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err)
    }

    /// The output as if no line of it had been broken.
    fn flat(&self) -> String {
        let mut flat = String::new();
        for line in self.out.lines() {
            let goes_on = line.starts_with("    ");
            flat.push_str(if flat.is_empty() {
                ""
            } else if goes_on {
                " "
            } else {
                "\n"
            });
            flat.push_str(if goes_on { line.trim_start() } else { line });
        }
        flat
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }
}

/// A folder of its own, with a `.env` or without.
struct Folder(TempDir);

impl Folder {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(env: &str) -> Self {
        let folder = Self::empty();
        folder.write(env);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, env: &str) {
        let path = self.path().join(".env");
        std::fs::write(&path, env).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(MONITOR);
        command.args(words).current_dir(self.path()).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Told {
        let out = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Told { code: out.status.code().unwrap_or(-1), out: text(out.stdout), err: text(out.stderr) }
    }

    /// Runs it on a terminal where somebody has typed these lines.
    fn typed(&self, words: &str, answers: &str) -> Told {
        let input = self.path().join("typed");
        std::fs::write(&input, answers).unwrap();
        let mut command = Command::new("script");
        command.args(["-qec", &format!("timeout --foreground 60 {MONITOR} {words}"), "/dev/null"]).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").current_dir(self.path());
        command.stdin(std::fs::File::open(&input).unwrap());
        let out = command.output().expect("this test needs script: apt-get install bsdutils");
        std::fs::remove_file(input).unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        Told { code: out.status.code().unwrap_or(-1), out: text, err: String::new() }
    }

    /// Starts an agent and waits until it answers.
    fn agent(&self) -> Agent {
        let log = std::fs::File::create(self.path().join("out")).unwrap();
        let errors = log.try_clone().unwrap();
        let mut agent = Agent(self.command(&["run"]).stdout(log).stderr(errors).spawn().unwrap());
        let up = wait_until(LIMIT, || agent.0.try_wait().unwrap().is_some() || self.run(&["status"]).code != 1);
        assert!(
            up && agent.0.try_wait().unwrap().is_none(),
            "{}",
            std::fs::read_to_string(self.path().join("out")).unwrap()
        );
        agent
    }
}

/// A running agent, told to stop when dropped.
struct Agent(Child);

impl Agent {
    fn stop(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = kill_process(pid, Signal::TERM);
        wait_until(LIMIT, || self.0.try_wait().unwrap().is_some());
        self.0.try_wait().unwrap().and_then(|status| status.code())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pair whose command runs here; nobody answers where Telegram is said to be.
fn local(url: &str, more: &str) -> String {
    format!(
        "INTERVAL=0.3\nMAX_INTERVAL=0.5\nCHECK_ATTEMPTS=1\nMAPPINGS=DC3:SRV4\nSRV4_URL={url}\nDC3_LOCAL=true\n\
         TELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID={CHAT}\nTELEGRAM_API_URL=http://127.0.0.1:{}\nVERIFY_INTERVAL=0.1\n\
         VERIFY_WINDOW=0.3\n{more}",
        free_port()
    )
}

/// The sample of the seed, to the letter.
const SEED: &str = "# Базовые настройки\nINTERVAL=30\nMAPPINGS=DC3:SRV4,DC1:SRV5\nCOMMAND=systemctl restart network-service\n\
# URL для проверки\nSRV4_URL=http://srv4.example.com/health\nSRV5_URL=http://srv5.example.com/ping\n# SSH для DC3\n\
DC3_SSH_HOST=dc3.example.com\nDC3_SSH_USERNAME=admin\nDC3_SSH_PASSWORD=password\n# SSH для DC1\nDC1_SSH_HOST=dc1.example.com\n\
DC1_SSH_USERNAME=root\nDC1_SSH_KEY_PATH=/path/to/key.pem\n# Telegram\n\
TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n# Дополнительные параметры\n\
MAX_INTERVAL=600\nBACKOFF_FACTOR=1.5\nCHECK_ATTEMPTS=5\nCHECK_RETRY_DELAY=0.5\nLOG_SUCCESS_REQUESTS=false\n";

#[test]
fn the_seeds_own_file_passes_and_its_missing_key_file_is_a_warning() {
    let folder = Folder::with(SEED);
    let told = folder.run(&["check"]);
    assert_eq!(told.code, 0, "{}", told.all());
    assert!(told.out.contains("warning .env:15: DC1_SSH_KEY_PATH: found `/path/to/key.pem`"), "{}", told.all());
    assert!(told.out.contains("1 warning(s)"), "{}", told.all());
    for secret in ["AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P", "password  "] {
        assert!(!told.all().contains(secret), "{}", told.all());
    }
    let row =
        |key: &str| told.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or_default().to_owned();
    assert!(
        row("DC3_SSH_PASSWORD ").contains("***") && row("DC3_SSH_PASSWORD ").ends_with(" .env:11"),
        "{}",
        told.all()
    );
    assert!(row("CHECK_TIMEOUT ").ends_with(" default"), "{}", told.all());

    std::fs::set_permissions(folder.path().join(".env"), PermissionsExt::from_mode(0o644)).unwrap();
    let told = folder.run(&["check"]);
    assert!(told.code == 0 && told.out.contains("mode 644") && told.out.contains("chmod 600 .env"), "{}", told.all());
}

#[test]
fn a_check_shows_what_would_be_run_for_whom_and_fits_a_screen() {
    let more =
        "COMMAND_2=reboot --token password\nCOMMAND_2_MODE=approve\nCOMMAND_2_AFTER=10m\nRECOVERY_COMMAND=end it\n";
    let folder = Folder::with(&(SEED.to_owned() + more));
    let told = folder.run(&["check"]);
    for part in [
        "  DC3-SRV4, DC1-SRV5, each on its own site over SSH:\n",
        "    rung 1: systemctl restart network-service\n",
        "    rung 2 (waits for a person, not before 10m): reboot --token ***\n",
        "    on recovery: end it\n",
    ] {
        assert!(told.out.contains(part), "no {part} in {}", told.all());
    }
    for line in told.out.lines() {
        assert!(line.chars().count() <= 80, "{line:?} of {}", told.all());
    }
    let json = folder.run(&["check", "--json"]).json();
    let rung = &json["ladders"][0]["rungs"][1];
    assert_eq!((&rung["mode"], &rung["command"]), (&"approve".into(), &"reboot --token ***".into()), "{json}");
}

#[test]
fn every_help_fits_a_screen() {
    let folder = Folder::empty();
    let help = folder.run(&["--help"]);
    let commands = help.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"check") && commands.contains(&"completions"), "{}", help.all());
    let of_each = commands.iter().map(|command| folder.run(&[command, "--help"]));
    for told in std::iter::once(folder.run(&["--help"])).chain(of_each) {
        for line in told.out.lines() {
            assert!(line.chars().count() <= 80, "{line:?} of {}", told.all());
        }
    }
}

#[test]
fn a_broken_configuration_is_told_whole_and_starts_nothing() {
    let folder = Folder::with(
        "INTERVAL=soon\nMAPPINGS=DC3:SRV4\nCOMAND=x\nDC3_SSH_PASSWORD=hunter22\nTELEGRAM_BOT_TOKEN=hunter22\n",
    );
    let told = folder.run(&["check"]);
    assert_eq!(told.code, 2, "{}", told.all());
    for key in
        ["INTERVAL", "did you mean `COMMAND`", "SRV4_URL", "DC3_SSH_HOST", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"]
    {
        assert!(told.out.contains(key), "no {key} in {}", told.all());
    }
    assert!(!told.all().contains("hunter22"), "{}", told.all());
    let run = folder.run(&["run"]);
    assert!(
        run.code == 2 && run.err.contains("INTERVAL") && !folder.path().join("monitor.log").exists(),
        "{}",
        run.all()
    );
    let json = folder.run(&["check", "--json"]);
    assert_eq!((json.code, &json.json()["ok"]), (2, &Value::Bool(false)));
    assert!(json.json()["problems"].as_array().unwrap().len() >= 6, "{}", json.all());
    let bare = Folder::empty().run(&["check"]);
    assert!(bare.code == 2 && bare.out.contains("`monitor init` writes one"), "{}", bare.all());
    let absent = folder.run(&["check", "--env-file", "nowhere"]);
    assert!(absent.code == 2 && absent.err.contains("cannot read nowhere"), "{}", absent.all());
}

#[test]
fn the_sample_file_passes_as_it_stands_and_with_every_line_on() {
    let sample = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example")).unwrap();
    let folder = Folder::with(&sample);
    let told = folder.run(&["check"]);
    assert_eq!(told.code, 0, "{}", told.all());
    // A site has one of these.
    let remedies: [&[&str]; 4] =
        [&["DC3_COMMAND="], &["DC3_SERVICES"], &["DC3_PID_FILE=", "DC3_PROCESS=", "DC3_SIGNAL="], &["DC3_HOOK_"]];
    let is_of = |line: &str, heads: &[&str]| heads.iter().any(|head| line.starts_with(head));
    let own = rcgen::generate_simple_self_signed(["srv4.example.com".to_owned()]).unwrap();
    let pem = folder.path().join("own.pem");
    std::fs::write(&pem, own.cert.pem() + &own.signing_key.serialize_pem()).unwrap();
    // A server is of one kind, which knows some of the settings of probes; each kind and each remedy has its turn.
    for turn in 0..remedies.len().max(KINDS.len()) {
        let (mine, kind) = (remedies[turn % remedies.len()], &KINDS[turn % KINDS.len()]);
        let strange = |line: &str| {
            let name = line.strip_prefix("SRV4_").and_then(|line| line.split('=').next());
            let is_there = |keys: &[KeyInfo]| keys.iter().any(|key| Some(key.name) == name);
            is_there(monitor::probe::keys()) && !is_there(kind.keys)
        };
        let mut on = String::new();
        for line in sample.lines() {
            let off = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            let line = off.unwrap_or(line);
            match line {
                // The sample watches nothing that it could depend on.
                line if line.starts_with("SRV4_DEPENDS_ON=") => on.push('\n'),
                line if line.starts_with("SRV4_URL=") => {
                    // Settings of TLS stand beside: a scheme that has it.
                    let url = kind
                        .example
                        .lines()
                        .next()
                        .unwrap()
                        .replace("redis://", "rediss://")
                        .replace("=prefer", "=require");
                    writeln!(on, "{url}").unwrap();
                }
                line if strange(line) => on.push('\n'),
                line if is_of(line, &["SRV4_CA_FILE=", "SRV4_CLIENT_CERT=", "SRV4_CLIENT_KEY="]) => {
                    writeln!(on, "{}={}", line.split('=').next().unwrap(), pem.display()).unwrap();
                }
                // One word about one pair, and pairs that come and go: there is STATE_FILE or a list.
                line if is_of(line, &["DISCOVERY_URL=", "DISCOVERY_TOKEN="]) => on.push('\n'),
                "DC3_LOCAL=false" if is_of("DC3_PID_FILE=", mine) => on.push_str("DC3_LOCAL=true\n"),
                line if remedies.iter().any(|other| *other != mine && is_of(line, other)) => on.push('\n'),
                // A request has one login: here a user and a password.
                line if line.starts_with("SRV4_BEARER_TOKEN=") => on.push('\n'),
                line => writeln!(on, "{line}").unwrap(),
            }
        }
        folder.write(&on);
        let told = folder.run(&["check"]);
        assert_eq!(told.code, 0, "{mine:?}, {}: {}", kind.name, told.all());
        assert!(mine.iter().all(|head| told.out.contains(head.trim_end_matches('='))), "{mine:?}: {}", told.all());
    }
}

#[test]
fn a_log_level_that_means_nothing_is_told_with_all_that_is_wrong_by_check_and_at_the_start() {
    let folder = Folder::with(&(SEED.to_owned() + "LOG_LEVEL=loud\nCHECK_TIMEOUT=soon\n"));
    let (check, run) = (folder.run(&["check"]), folder.run(&["run"]));
    assert!(check.code == 2 && run.code == 2, "{}{}", check.all(), run.all());
    for told in [check.out, run.err] {
        assert!(told.contains("LOG_LEVEL: found `loud`, expected debug") && told.contains("CHECK_TIMEOUT"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_online_check_tries_everything_and_tells_what_failed() {
    let (bot, service, sshd) = (BotApi::start().await, Service::start(), Sshd::start(&Options::default()));
    let folder = Folder::with(&format!(
        "INTERVAL=30\nMAPPINGS=DC3:SRV4,DC1:SRV4\nSRV4_URL={}\nCOMMAND=true\nDC3_SSH_HOST=127.0.0.1\nDC3_SSH_PORT={}\n\
         DC3_SSH_USERNAME=root\nDC3_SSH_KEY_PATH={}\nDC1_LOCAL=true\nTELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID={CHAT}\n\
         TELEGRAM_API_URL={}\nSTATE_DIR=state\n",
        service.url(),
        sshd.port,
        sshd.key().display(),
        bot.url()
    ));
    let told = folder.run(&["check", "--online"]);
    assert_eq!(told.code, 0, "{}", told.all());
    for line in [
        "ok   server SRV4: ",
        "ok   site DC3: 127.0.0.1:",
        "host key SHA256:",
        "ok   site DC1: ",
        "ok   channel telegram: ",
        "ok   store sqlite: ",
        "5 looked at, 0 failed",
    ] {
        assert!(told.flat().contains(line), "no {line} in {}", told.all());
    }
    // The host was met for the first time: that is said, once, with what to compare and where it is kept.
    let stored = folder.path().join("state/known_hosts").canonicalize().unwrap();
    let met =
        ["NEW  first contact with 127.0.0.1:", "SHA256:", &stored.display().to_string(), "ssh-keygen -lf /etc/ssh"];
    for part in met {
        assert!(told.flat().contains(part), "no {part} in {}", told.all());
    }
    let again = folder.run(&["check", "--online"]);
    assert!(again.code == 0 && !again.out.contains("first contact"), "{}", again.all());

    service.set(State::Down(503));
    drop(sshd);
    let told = folder.run(&["check", "--online", "--json"]);
    assert_eq!(told.code, 1, "{}", told.all());
    let json = told.json();
    assert_eq!(json["ok"], false);
    let failed: Vec<_> = json["online"].as_array().unwrap().iter().filter(|row| row["ok"] == false).collect();
    assert_eq!(failed.len(), 2, "{}", told.all());
    assert!(failed[0]["detail"].as_str().unwrap().contains("503"), "{}", told.all());
    assert!(failed[1]["detail"].as_str().unwrap().contains("cannot reach"), "{}", told.all());
    assert!(!told.out.contains(TOKEN), "{}", told.all());
}

#[test]
fn init_writes_a_file_that_passes_and_never_over_another() {
    let folder = Folder::empty();
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let words = [
        "init",
        "--interval",
        "15",
        "--pair",
        "DC3:SRV4=http://srv4.example.com/health?a=b",
        "--pair",
        "DC1:SRV5=http://srv5/",
        "--site",
        "DC3=admin@dc3.example.com:2222",
        "--local",
        "--key",
        "key.pem",
        "--command",
        "systemctl restart 'a b' # c",
        "--token-file",
        "token",
        "--chat",
        "-1001234567890",
    ];
    let told = folder.run(&words);
    assert_eq!(told.code, 0, "{}", told.all());
    assert!(told.out.contains("2 pair(s)") && told.out.contains("monitor check --online"), "{}", told.all());
    let path = folder.path().join(".env");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let check = folder.run(&["check", "--json"]);
    assert_eq!(check.code, 0, "{}", check.all());
    let value = |key: &str| {
        let json = check.json();
        let rows = json["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).map_or(Value::Null, |row| row["value"].clone())
    };
    assert_eq!((value("COMMAND"), value("DC3_SSH_PORT")), ("systemctl restart 'a b' # c".into(), "2222".into()));
    assert_eq!((value("DC1_LOCAL"), value("TELEGRAM_BOT_TOKEN")), ("true".into(), "***".into()));

    let text = std::fs::read_to_string(&path).unwrap();
    let again = folder.run(&words);
    assert!(again.code == 2 && again.err.contains("--force"), "{}", again.all());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let forced: Vec<&str> =
        words.iter().map(|word| if *word == "15" { "20" } else { *word }).chain(["--force"]).collect();
    assert_eq!(folder.run(&forced).code, 0);
    assert!(std::fs::read_to_string(&path).unwrap().contains("INTERVAL=20\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "something was left behind");
}

#[test]
fn init_without_a_terminal_names_what_is_missing_and_writes_nothing() {
    let folder = Folder::empty();
    let told = folder.run(&["init", "--pair", "DC3:SRV4"]);
    assert_eq!(told.code, 2, "{}", told.all());
    for option in ["--pair DC3:SRV4=http://", "--site DC3=user@host", "--command", "--token-file", "--chat"] {
        assert!(told.err.contains(option), "no {option} in {}", told.all());
    }
    let wrong = folder.run(&["init", "--interval", "0", "--pair", "DC3"]);
    assert!(
        wrong.code == 2 && wrong.err.contains("--interval: found `0`") && wrong.err.contains("--pair"),
        "{}",
        wrong.all()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn init_on_a_terminal_asks_until_it_can_read_the_answers() {
    let folder = Folder::empty();
    let answers = ["soon", "15", "DC3:SRV4", "http://127.0.0.1:1/", "local", "echo hi", "no token", TOKEN, CHAT, ""];
    let told = folder.typed("init", &answers.join("\n"));
    assert!(told.code == 0 && told.out.contains("wrote .env"), "{}", told.all());
    assert!(told.out.contains("expected a duration") && told.out.contains("expected a token"), "{}", told.all());
    let check = folder.run(&["check"]);
    assert!(check.code == 0 && check.out.contains("0 warning(s)"), "{}", check.all());
    let left = Folder::empty();
    let told = left.typed("init", "15\n\u{4}");
    assert!(told.code == 1 && told.out.contains("nothing was written"), "{}", told.all());
    assert!(!left.path().join(".env").exists());
}

#[test]
fn trust_shows_both_keys_asks_and_replaces_only_that_hosts_lines() {
    let sshd = Sshd::start(&Options::default());
    let folder = Folder::with(&format!(
        "{}DC3_SSH_HOST=127.0.0.1\nDC3_SSH_PORT={}\nDC3_SSH_USERNAME=root\nDC3_SSH_KEY_PATH={}\nCOMMAND=true\n",
        local("http://127.0.0.1:1/", "").replace("DC3_LOCAL=true\n", ""),
        sshd.port,
        sshd.key().display()
    ));
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let known = folder.path().join("known_hosts");
    std::fs::write(&known, format!("[127.0.0.1]:{} {other}\nelsewhere {other}\n", sshd.port)).unwrap();
    let asked = folder.run(&["trust", "DC3"]);
    assert!(asked.code == 2 && asked.err.contains("--yes"), "{}", asked.all());
    assert!(
        asked.flat().contains("recorded: ssh-ed25519 SHA256:") && asked.flat().contains("shows: ssh-ed25519 SHA256:"),
        "{}",
        asked.all()
    );
    let before = std::fs::read_to_string(&known).unwrap();
    let no = folder.typed("trust DC3", "n\n");
    assert!(no.code == 1 && no.out.contains("[y/N]") && no.out.contains("nothing was changed"), "{}", no.all());
    assert_eq!(std::fs::read_to_string(&known).unwrap(), before);
    let told = folder.run(&["trust", "DC3", "--yes"]);
    assert_eq!(told.code, 0, "{}", told.all());
    let text = std::fs::read_to_string(&known).unwrap();
    let host_key = std::fs::read_to_string(sshd.folder.path().join("host_ed25519.pub")).unwrap();
    let host_key = host_key.split(' ').nth(1).unwrap();
    assert!(text.contains(host_key) && text.contains(&format!("elsewhere {other}")), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    let again = folder.run(&["trust", "DC3"]);
    assert!(again.code == 0 && again.out.contains("trusted already"), "{}", again.all());
    let stranger = folder.run(&["trust", "DC9"]);
    assert!(stranger.code == 2 && stranger.err.contains("there are: DC3"), "{}", stranger.all());
}

#[test]
fn without_an_agent_probe_looks_by_itself_and_the_others_say_that_none_runs() {
    let service = Service::start();
    let folder = Folder::with(&local(&service.url(), "COMMAND=true\n"));
    let up = folder.run(&["probe", "DC3-SRV4"]);
    assert!(up.code == 0 && up.out.contains("DC3-SRV4 up in") && up.out.contains("connect "), "{}", up.all());
    service.set(State::Down(503));
    let down = folder.run(&["probe", "DC3:SRV4", "--json"]);
    assert!(down.code == 3 && down.json()["reading"]["outcome"]["down"]["cause"] == "status", "{}", down.all());
    let absent = folder.run(&["probe", "DC3-SRV9"]);
    assert!(absent.code == 1 && absent.err.contains("there are: DC3-SRV4"), "{}", absent.all());
    for words in [&["status"][..], &["incidents"], &["actions"], &["report"], &["heal", "DC3-SRV4"], &["reload"]] {
        let told = folder.run(words);
        assert!(told.code == 1 && told.err.contains("no agent runs for STATE_DIR"), "{words:?}: {}", told.all());
        assert!(told.err.contains(folder.path().canonicalize().unwrap().to_str().unwrap()), "{}", told.all());
    }
    let audit = folder.run(&["audit", "verify"]);
    assert!(audit.code == 0 && audit.out.contains("no audit yet"), "{}", audit.all());
}

#[test]
fn a_running_agent_is_asked_ordered_and_audited() {
    let service = Service::start();
    let least = local(&service.url(), "DRY_RUN=false\n");
    let env = |more: &str| format!("{least}{more}");
    let folder = Folder::with(&env("COMMAND=echo mended > proof; echo well \u{1b}[31mdone\n"));
    let mut agent = folder.agent();
    assert!(wait_until(LIMIT, || folder.run(&["status"]).code == 0 && folder.run(&["status"]).out.contains("1 up")));
    let status = folder.run(&["status"]);
    assert!(status.out.contains("DC3-SRV4  up") && status.out.contains("waiting"), "{}", status.all());
    assert!(!status.out.contains('\u{1b}'), "coloured without a terminal: {}", status.all());
    let json = folder.run(&["status", "--json"]).json();
    assert_eq!((&json["pairs"][0]["pair"], &json["pairs"][0]["state"]), (&"DC3-SRV4".into(), &"up".into()));

    let probe = folder.run(&["probe", "DC3-SRV4"]);
    assert!(probe.code == 0 && probe.out.contains("by the running agent"), "{}", probe.all());
    let heal = folder.run(&["heal", "DC3-SRV4"]);
    assert!(heal.code == 0 && heal.out.contains("exit code 0"), "{}", heal.all());
    assert!(heal.out.contains("it was up before; the command ran and it is still up"), "{}", heal.all());
    let heal_json = folder.run(&["heal", "DC3-SRV4", "--json"]).json();
    assert_eq!((&heal_json["verdict"], &heal_json["was_up"]), (&"healed".into(), &true.into()));
    assert!(heal.out.contains("well") && !heal.out.contains('\u{1b}'), "{}", heal.all());
    let rung = folder.run(&["heal", "DC3-SRV4", "2"]);
    assert!(rung.code == 1 && rung.err.contains("no rung 2"), "{}", rung.all());

    let broken = env("INTERVAL=soon\n");
    folder.write(&broken);
    let refused = folder.run(&["reload"]);
    assert!(
        refused.code == 2 && refused.err.contains("INTERVAL") && refused.err.contains("old configuration stays"),
        "{}",
        refused.all()
    );
    folder.write(&env("COMMAND=echo broken; exit 4\nREMEDY_BUDGET=0/1h\n"));
    let reloaded = folder.run(&["reload"]);
    assert!(reloaded.code == 0 && reloaded.out.contains("1 kept"), "{}", reloaded.all());
    assert!(reloaded.out.contains("keys with other values: COMMAND, REMEDY_BUDGET"), "{}", reloaded.all());
    assert!(!reloaded.out.contains("NOT IN FORCE"), "{}", reloaded.all());
    folder.write(&env("COMMAND=echo broken; exit 4\nREMEDY_BUDGET=0/1h\nDC3_COMMAND_2=x\nLOG_FILE=other.log\n"));
    let reloaded = folder.run(&["reload"]);
    assert!(reloaded.out.contains("changed: DC3-SRV4 (DC3_COMMAND_2)"), "{}", reloaded.all());
    assert!(reloaded.out.contains("NOT IN FORCE: LOG_FILE;"), "{}", reloaded.all());
    folder.write(&env("COMMAND=echo broken; exit 4\nREMEDY_BUDGET=0/1h\n"));
    let reloaded = folder.run(&["reload", "--json"]).json();
    assert_eq!(reloaded["changed"][0]["keys"], serde_json::json!(["DC3_COMMAND_2"]), "{reloaded}");
    assert_eq!((&reloaded["kept"], &reloaded["restart_keys"]), (&1.into(), &serde_json::json!([])), "{reloaded}");

    service.set(State::Down(503));
    assert!(wait_until(LIMIT, || folder.run(&["status"]).code == 3), "{}", folder.run(&["status"]).all());
    let down = folder.run(&["status"]);
    assert!(down.out.contains("1 DOWN") && down.out.contains("503"), "{}", down.all());
    assert_eq!(folder.run(&["probe", "DC3-SRV4"]).code, 3);
    let heal = folder.run(&["heal", "DC3-SRV4"]);
    assert!(heal.code == 1 && heal.out.contains("exit code 4") && heal.out.contains("| broken"), "{}", heal.all());

    let open = folder.run(&["incidents", "--open", "--since", "1d", "--pair", "DC3-SRV4"]);
    assert!(open.code == 0 && open.out.contains("still down") && open.out.contains("503"), "{}", open.all());
    assert_eq!(folder.run(&["incidents", "--since", "2999-01-01"]).out, "no incidents\n");
    let bad = folder.run(&["incidents", "--since", "yesterday"]);
    assert!(bad.code == 1 && bad.err.contains("7d"), "{}", bad.all());
    let actions = folder.run(&["actions", "--output"]);
    assert!(actions.out.contains("exit code 4") && actions.out.contains("budget spent"), "{}", actions.all());
    assert!(actions.out.contains("| broken") && !actions.out.contains('\u{1b}'), "{}", actions.all());
    let limited = folder.run(&["actions", "--limit", "1", "--json"]);
    assert_eq!(limited.json().as_array().unwrap().len(), 1);

    let mut watch = folder.command(&["status", "--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let frame: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(frame["pairs"][0]["state"], "down");
    }
    kill_process(Pid::from_raw(i32::try_from(watch.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));

    assert_eq!(agent.stop(), Some(0));
    audit_is_proved(&folder);
}

#[test]
fn two_agents_with_one_file_notice_each_other_and_say_where_they_are() {
    let service = Service::start();
    let folder = Folder::with(&local(&service.url(), "COMMAND=true\n"));
    let mut first = folder.agent();
    let beside = folder.path().join("beside");
    std::fs::create_dir(&beside).unwrap();
    let env = folder.path().join(".env");
    let mut second = folder.command(&["run", "--env-file", env.to_str().unwrap()]);
    second.current_dir(&beside).env("STATE_DIR", &beside).stdout(Stdio::null()).stderr(Stdio::null());
    let mut second = Agent(second.spawn().unwrap());
    let noticed = || folder.run(&["status"]).out.contains("another agent runs with the same .env");
    assert!(wait_until(LIMIT, noticed), "{}", folder.run(&["status"]).all());
    let told = |path: &Path, words: &str| {
        let log = std::fs::read_to_string(path.join("monitor.log")).unwrap_or_default();
        log.lines().any(|line| line.contains(words))
    };
    let place = beside.canonicalize().unwrap();
    let who = format!("{}, STATE_DIR: {}, process {}", env.display(), place.display(), second.0.id());
    assert!(wait_until(LIMIT, || told(&beside, &who)), "no {who}");
    assert!(wait_until(LIMIT, || told(&beside, "ANOTHER AGENT RUNS WITH THE SAME FILE")));
    assert!(told(folder.path(), &format!("process {}", first.0.id())) && !told(folder.path(), "ANOTHER AGENT"));
    assert_eq!(folder.run(&["check"]).code, 0, "a check is no agent");
    assert_eq!(second.stop(), Some(0));
    assert!(wait_until(LIMIT, || !noticed()), "{}", folder.run(&["status"]).all());
    assert_eq!(first.stop(), Some(0));
}

/// An incident of a pair that is no longer configured, with three runs of a command that did not help, two hours ago.
async fn remember_what_never_helped(folder: &Folder) {
    let store = Store::open(&format!("sqlite://{}/monitor.db", folder.path().display())).await.unwrap();
    let pair: PairName = "DC9-OLD".parse().unwrap();
    // One moment for all: two would differ by what lies between them.
    let now = Clock::System.now();
    let at = |minute: i64| now + SignedDuration::from_mins(minute - 120);
    let incident = IncidentId(Uuid::from_u128(1));
    let reason = "nobody listens".to_owned();
    let mut writes =
        vec![Write::IncidentOpened { id: incident, pair: pair.clone(), at: at(0), cause: Cause::Refused, reason }];
    for n in 1..=3 {
        let run = RunId(Uuid::from_u128(n));
        let minute = i64::try_from(n).unwrap();
        writes.push(Write::RunIntended(Order {
            run,
            incident: Some(incident),
            pair: pair.clone(),
            site: pair.site.clone(),
            command: "echo \u{1b}[31mhope".to_owned(),
            rung: 1,
            attempt: 1,
            at: at(minute),
        }));
        writes.push(Write::RunJudged { run, verdict: Verdict::RanButDown, at: at(minute) });
    }
    writes.push(Write::IncidentClosed { id: incident, at: at(10), closing: Closing::Recovered });
    store.commit(&writes).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_healed_and_what_never_helped() {
    let target = Target::start(false).await;
    let repair = format!(
        "COMMAND=bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}; printf \"GET /repair HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'\n",
        target.port()
    );
    let folder = Folder::with(&local(&target.url(), &repair));
    remember_what_never_helped(&folder).await;
    let _agent = folder.agent();
    let healed =
        || folder.run(&["report", "--pair", "DC3-SRV4"]).out.contains("DC3-SRV4 rung 1: healed 1 of 1, median ");
    assert!(wait_until(LIMIT, healed), "{}", folder.run(&["report"]).all());

    let told = folder.run(&["report"]);
    assert!(
        told.code == 0 && told.out.starts_with("7d: ") && told.out.contains("2 incidents in 2 pairs"),
        "{}",
        told.all()
    );
    assert!(told.out.contains("DC9-OLD rung 1: healed 0 of 3") && told.out.contains("never helped"), "{}", told.all());
    assert!(told.out.contains("$ bash -c 'exec") && !told.out.contains('\u{1b}'), "{}", told.all());
    let hour = folder.run(&["report", "--since", "1h", "--json"]).json();
    assert_eq!(hour["pairs"].as_array().unwrap().len(), 1, "{hour}");
    assert_eq!((&hour["pairs"][0]["pair"], &hour["pairs"][0]["healed"]), (&"DC3-SRV4".into(), &1.into()));
    let json = folder.run(&["report", "--since", "1d", "--json"]).json();
    let old = &json["pairs"][1];
    assert_eq!((&old["pair"], &old["downtime_s"], &old["mttr_s"]), (&"DC9-OLD".into(), &600.0.into(), &600.0.into()));
    assert_eq!(old["availability_percent"], Value::Null, "it is not watched, so nobody knows");
    assert_eq!((&json["commands"][1]["never_helped"], &json["commands"][1]["ran_but_down"]), (&true.into(), &3.into()));
    assert!(json["commands"][0]["median_s"].as_f64().unwrap() < 30.0, "{json}");

    for (since, word) in [("yesterday", "7d"), ("2999-01-01", "ahead")] {
        let bad = folder.run(&["report", "--since", since]);
        assert!(bad.code == 1 && bad.err.contains(word), "{}", bad.all());
    }
}

fn audit_is_proved(folder: &Folder) {
    let sound = folder.run(&["audit", "verify"]);
    assert!(
        sound.code == 0 && sound.out.contains("verified: ") && sound.out.contains("the store vouches"),
        "{}",
        sound.all()
    );
    let file = folder.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let without_last: String =
        text.lines().rev().skip(1).collect::<Vec<_>>().into_iter().rev().fold(String::new(), |t, l| t + l + "\n");
    for (tampered, why) in
        [(text.replacen("echo", "ECHO", 1), "the record was changed"), (without_last, "records are missing at the end")]
    {
        std::fs::write(&file, tampered).unwrap();
        let broken = folder.run(&["audit", "verify"]);
        assert!(broken.code == 1 && broken.err.contains("BROKEN") && broken.err.contains(why), "{}", broken.all());
    }
    std::fs::remove_file(&file).unwrap();
    let gone = folder.run(&["audit", "verify"]);
    assert!(gone.code == 1 && gone.err.contains("was removed"), "{}", gone.all());
    std::fs::write(folder.path().join("copy"), text).unwrap();
    let copy = folder.run(&["audit", "verify", "copy"]);
    assert!(copy.code == 0 && copy.out.contains("not compared with the store"), "{}", copy.all());
}

#[test]
fn a_watched_status_takes_a_screen_of_its_own_and_gives_it_back() {
    let service = Service::start();
    let folder = Folder::with(&local(&service.url(), "COMMAND=true\n"));
    let _agent = folder.agent();
    let watch = format!("timeout --foreground -s INT 2 {MONITOR} status --watch");
    let mut command = Command::new("script");
    command.args(["-qec", &watch, "/dev/null"]).current_dir(folder.path()).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("TERM", "xterm").stdin(Stdio::null());
    let out = command.output().expect("this test needs script: apt-get install bsdutils");
    let text = String::from_utf8_lossy(&out.stdout);
    let (enter, leave) = (text.find("\u{1b}[?1049h"), text.rfind("\u{1b}[?1049l"));
    assert!(enter.is_some() && leave > enter, "{text:?}");
    assert!(text.contains("DC3-SRV4") && text.contains("\u{1b}[32m"), "{text:?}");
}

#[test]
fn bad_usage_is_exit_code_2_and_a_reader_that_has_gone_is_no_error() {
    let folder = Folder::empty();
    for words in [
        &["staus"][..],
        &["report", "--pair", "DC3"],
        &["heal"],
        &["heal", "DC3-SRV4", "0"],
        &["probe", "DC3"],
        &["incidents", "--limit", "0"],
    ] {
        let told = folder.run(words);
        assert!(told.code == 2 && told.err.contains("error:"), "{words:?}: {}", told.all());
    }
    let script = folder.run(&["completions", "bash"]);
    assert!(script.code == 0 && script.out.contains("incidents"), "{}", script.all());
    let mut child = folder.command(&["reference"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stderr.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&out.stderr));
}
