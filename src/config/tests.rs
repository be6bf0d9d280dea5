//! The configuration as a whole: defaults, the seed's file, every problem at once, ladders, keys of later versions.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::ladder::Mode;
use crate::env::{Absent, Later, Place as Where, Scope};

/// The sample of the seed's README, to the letter.
pub(crate) const SEED: &str = "\
# Базовые настройки
INTERVAL=30
MAPPINGS=DC3:SRV4,DC1:SRV5
COMMAND=systemctl restart network-service
# URL для проверки
SRV4_URL=http://srv4.example.com/health
SRV5_URL=http://srv5.example.com/ping
# SSH для DC3
DC3_SSH_HOST=dc3.example.com
DC3_SSH_USERNAME=admin
DC3_SSH_PASSWORD=password
# SSH для DC1
DC1_SSH_HOST=dc1.example.com
DC1_SSH_USERNAME=root
DC1_SSH_KEY_PATH=/path/to/key.pem
# Telegram
TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P
TELEGRAM_CHAT_ID=-1001234567890
# Дополнительные параметры
MAX_INTERVAL=600
BACKOFF_FACTOR=1.5
CHECK_ATTEMPTS=5
CHECK_RETRY_DELAY=0.5
LOG_SUCCESS_REQUESTS=false
";

/// The least that starts.
pub(crate) const LEAST: &str = "\
INTERVAL=30
MAPPINGS=DC3:SRV4
COMMAND=one
SRV4_URL=http://srv4.example.com/
DC3_SSH_HOST=dc3.example.com
DC3_SSH_USERNAME=admin
DC3_SSH_PASSWORD=hunter22
TELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P
TELEGRAM_CHAT_ID=-1001234567890
";

pub(super) fn loaded(text: &str) -> Loaded {
    let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
    load(&env, &|_| Err(std::io::ErrorKind::NotFound.into()), &Surroundings::default())
}

pub(crate) fn good(text: &str) -> Config {
    let loaded = loaded(text);
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

pub(super) fn commands(pair: &Pair) -> Vec<&str> {
    pair.rungs.iter().map(|rung| rung.command.as_str()).collect()
}

pub(super) fn errors(text: &str) -> Vec<String> {
    loaded(text).report.errors().map(ToString::to_string).collect()
}

#[test]
fn the_seeds_own_file_is_read_without_a_word() {
    let loaded = loaded(SEED);
    assert!(loaded.report.is_empty(), "{}", loaded.report);
    let config = loaded.config.unwrap();
    assert_eq!(config.pairs.iter().map(|pair| pair.name.to_string()).collect::<Vec<_>>(), ["DC3-SRV4", "DC1-SRV5"]);
    assert!(config.pairs.iter().all(|pair| commands(pair) == ["systemctl restart network-service"]));
    let pace = config.pace;
    assert_eq!((pace.interval, pace.max), (Duration::from_secs(30), Duration::from_mins(10)));
    assert_eq!((pace.factor, pace.attempts, pace.retry_delay), (1.5, 5, Duration::from_millis(500)));
    let Place::Ssh(dc1) = &config.sites[&SiteName::new("DC1").unwrap()].place else { panic!("DC1 is no SSH site") };
    assert_eq!((dc1.host.as_str(), dc1.port, dc1.username.as_str()), ("dc1.example.com", 22, "root"));
    assert_eq!(dc1.key_path.as_deref(), Some(std::path::Path::new("/path/to/key.pem")));
}

#[test]
fn what_is_not_set_has_the_promised_default() {
    let config = good(LEAST);
    let secs = Duration::from_secs;
    assert_eq!((config.pace.max, config.pace.factor), (secs(300), 2.0));
    assert_eq!((config.pace.attempts, config.pace.retry_delay, config.pace.timeout), (3, secs(1), secs(10)));
    assert_eq!((config.log.file.to_str(), config.log.max_size_mb), (Some("monitor.log"), 10.0));
    assert_eq!((config.log.backups, config.log.successes, config.log.json), (3, false, false));
    assert_eq!((config.log.level.as_str(), config.language()), ("info", Language::En));
    assert_eq!((config.general.state_dir.to_str(), config.general.heartbeat.is_none()), (Some("."), true));
    assert_eq!(config.general.database_url.expose(), "sqlite://./monitor.db");
    assert_eq!((config.guard.budget.runs, config.guard.budget.window), (20, Duration::from_hours(1)));
    assert!((config.guard.storm.share - 0.5).abs() < f64::EPSILON && !config.guard.dry_run);
    assert!(config.maintenance.is_empty());
    assert_eq!(config.host_keys, crate::host::HostKeyPolicy::AcceptNew);
    let pair = &config.pairs[0];
    assert_eq!(
        (pair.rungs[0].timeout, pair.rungs[0].verify_window, pair.verify_interval),
        (secs(60), secs(15), secs(5))
    );
    let telegram = config.telegram.as_ref().unwrap();
    assert_eq!((telegram.api_url.as_str(), telegram.thread), ("https://api.telegram.org", None));
    assert_eq!(config.safer.len(), 7, "{:?}", config.safer);
}

#[test]
fn every_default_and_every_example_can_be_read_by_its_own_key() {
    // Each key once with its default, once with its example; a key read wrongly would be told.
    for (pick, name) in [(0, "default"), (1, "example")] {
        for key in groups().iter().flat_map(|group| group.keys) {
            let value = match (key.absent, pick) {
                (Absent::Default(text), 0) => text,
                (_, 1) => key.example,
                _ => continue,
            };
            let full = crate::env::reference::sample_name(key);
            let kept: String = LEAST
                .lines()
                .filter(|line| !line.starts_with(&format!("{full}=")))
                .fold(String::new(), |text, line| text + line + "\n");
            // Some keys mean nothing without another.
            let company = match key.name {
                "SSH_KEY_PASSPHRASE" => "DC3_SSH_KEY_PATH=/k\n",
                "SERVICES_MODE" => "DC3_SERVICES=app.service\n",
                "PID_FILE" | "PROCESS" => "DC3_LOCAL=true\n",
                "SIGNAL" => "DC3_LOCAL=true\nDC3_PROCESS=nginx\n",
                "HOOK_BODY" | "HOOK_HEADER" | "HOOK_STATUS" => "DC3_HOOK_URL=http://x/\n",
                "LISTEN" => "API_TOKEN=0123456789abcdef\n",
                "DEPENDS_ON" => "MAPPINGS=DC3:SRV4,DC3:SRV1,DC3:SRV2\nSRV1_URL=http://x/\nSRV2_URL=http://x/\n",
                "DISCOVERY_TOKEN" => "DISCOVERY_URL=https://x/\n",
                "WITNESS_QUORUM" => "WITNESSES=http://x/,http://y/\nDC3_WITNESSES=http://x/,http://y/\n",
                _ => "",
            };
            // A setting of a probe stands beside the example of a kind that knows it.
            let kind = crate::probe::KINDS.iter().find(|kind| key.scope == Scope::Server && kind.keys.contains(key));
            let (kept, company) = match kind {
                Some(kind) => {
                    let kept = kept.replace("SRV4_URL=http://srv4.example.com/\n", "");
                    let own = kind.example.lines().filter(|line| !line.starts_with(&format!("{full}=")));
                    (kept, own.fold(String::new(), |text, line| text + line + "\n"))
                }
                None => (kept, company.to_owned()),
            };
            let kept = if key.name == "DEPENDS_ON" { kept.replace("MAPPINGS=DC3:SRV4\n", "") } else { kept };
            let text = format!("{kept}{full}={value}\n{company}");
            assert!(!value.is_empty(), "{full} has no {name}");
            // No file is there in this test.
            let mut told = errors(&text);
            told.retain(|problem| !problem.contains("the file cannot be read"));
            assert_eq!(told, [""; 0], "{name} of {full}");
        }
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let told = errors(
        "INTERVAL=ten\nMAPPINGS=DC3:SRV4,DC3:SRV5\nSRV4_URL=gopher://x\nDC3_SSH_HOST=http://x\nDC3_SSH_PORT=0\n\
         BACKOFF_FACTOR=0.5\nREMEDY_BUDGET=lots\nSTORM_LIMIT=200%\nTELEGRAM_BOT_TOKEN=hunter22\nLANGUAGE=de\n\
         LOG_FORMAT=xml\nDATABASE_URL=mysql://x\nMAX_INTERVALL=3\n",
    );
    for key in [
        ".env:1: INTERVAL:",
        ".env:3: SRV4_URL:",
        ".env:4: DC3_SSH_HOST:",
        ".env:5: DC3_SSH_PORT:",
        ".env:6: BACKOFF_FACTOR:",
        ".env:7: REMEDY_BUDGET:",
        ".env:8: STORM_LIMIT:",
        ".env:9: TELEGRAM_BOT_TOKEN:",
        ".env:10: LANGUAGE:",
        ".env:11: LOG_FORMAT:",
        ".env:12: DATABASE_URL:",
        ".env:13: MAX_INTERVALL: is not known; did you mean",
        "SRV5_URL: is not set",
        "DC3_SSH_USERNAME: is not set",
        "COMMAND: is not set",
        "TELEGRAM_CHAT_ID: is not set",
        "no way to log in",
    ] {
        assert!(told.iter().any(|line| line.contains(key)), "no {key} in\n{}", told.join("\n"));
    }
    assert_eq!(told.len(), 17, "{}", told.join("\n"));
    assert!(!told.join("\n").contains("hunter22"));
}

#[test]
fn a_mapping_that_cannot_be_read_is_the_only_thing_told_of_it() {
    let least = LEAST.replace("COMMAND=one\n", "COMMAND=one\nDC3_SRV4_COMMAND=two\n");
    for (mappings, expected) in [
        ("MAPPINGS=DC3:SRV4,DC3:SRV4", "`DC3:SRV4` is there twice"),
        ("MAPPINGS=DC3:SRV4,DC1", "`DC1` is not `DC:SRV`"),
        ("MAPPINGS=", "is empty, and it is required"),
        ("", "is not set, and it is required"),
    ] {
        let report = loaded(&least.replace("MAPPINGS=DC3:SRV4", mappings)).report;
        let told: Vec<String> = report.errors().chain(report.warnings()).map(ToString::to_string).collect();
        assert!(matches!(&told[..], [one] if one.contains(expected)), "{mappings}: {told:#?}");
    }
    // What is a mistake whatever is mapped is still told.
    let report = loaded(&least.replace("MAPPINGS=DC3:SRV4", "MAPPINGS=DC3\nMAX_INTERVL=1")).report;
    assert!(report.to_string().contains("did you mean `MAX_INTERVAL`"), "{report}");
}

#[test]
fn one_key_never_means_two_things() {
    let mapped = |pairs: &str| {
        let sites = "A_LOCAL=true\nA_B_LOCAL=true\nDC1_LOCAL=true\nDC1_SRV1_LOCAL=true\n";
        let servers = "C_URL=http://x/\nB_C_URL=http://x/\nSRV1_URL=http://x/\n";
        let own = if pairs.contains("A:A") { "A_URL=http://x/\n" } else { "" };
        errors(&format!("{}{sites}{servers}{own}", LEAST.replace("MAPPINGS=DC3:SRV4", &format!("MAPPINGS={pairs}"))))
    };
    let remedy = "rename one of them, here and in its keys";
    assert_eq!(
        mapped("A:B_C,A_B:C"),
        [format!(".env:2: MAPPINGS: `A_B:C` and `A:B_C` would both be meant by A_B_C_COMMAND; {remedy}")]
    );
    assert_eq!(
        mapped("DC1:SRV1,DC1_SRV1:C"),
        [format!(
            ".env:2: MAPPINGS: `DC1:SRV1` and the site `DC1_SRV1` would both be meant by DC1_SRV1_COMMAND; {remedy}"
        )]
    );
    assert_eq!(mapped("A:A,A:C,A_B:B_C,DC1:SRV1"), [""; 0]);
}

#[test]
fn a_ladder_takes_each_rung_from_the_narrowest_scope_that_sets_it() {
    let config = good(&format!(
        "{}MAPPINGS=DC3:SRV4,DC3:SRV5,DC1:SRV4\nSRV5_URL=http://x/\nDC1_LOCAL=true\nCOMMAND_2=two\nDC3_COMMAND=site one\n\
         DC3_COMMAND_3=site three\nDC3_SRV5_COMMAND_2=pair two\nDC3_COMMAND_TIMEOUT=2m\nDC3_SRV5_COMMAND_TIMEOUT=3m\n",
        LEAST.replace("MAPPINGS=DC3:SRV4\n", "")
    ));
    let ladder = |n: usize| commands(&config.pairs[n]).join(" | ");
    assert_eq!(ladder(0), "site one | two | site three");
    assert_eq!(ladder(1), "site one | pair two | site three");
    assert_eq!(ladder(2), "one | two");
    let limits: Vec<u64> = config.pairs.iter().map(|pair| pair.rungs[0].timeout.as_secs()).collect();
    assert_eq!(limits, [120, 180, 60]);
}

#[test]
fn each_rung_takes_its_terms_from_the_narrowest_scope_and_its_own_number_first() {
    let config = good(&format!(
        "{LEAST}COMMAND_2=two\nCOMMAND_3=three\nCOMMAND_TIMEOUT=10\nCOMMAND_2_TIMEOUT=20\nDC3_COMMAND_3_TIMEOUT=30\n\
         COMMAND_MODE=dry\nDC3_SRV4_COMMAND_3_MODE=Approve\nCOMMAND_3_AFTER=5m\nDC3_COMMAND_VERIFY_WINDOW=1m\n\
         VERIFY_WINDOW=2m\nCOMMAND_2_VERIFY_WINDOW=3m\nDC3_RECOVERY_COMMAND=bye\n"
    ));
    let pair = &config.pairs[0];
    let of = |f: fn(&ladder::Rung) -> u64| pair.rungs.iter().map(f).collect::<Vec<_>>();
    assert_eq!(of(|rung| rung.timeout.as_secs()), [10, 20, 30]);
    assert_eq!(of(|rung| rung.terms.after.as_secs()), [0, 0, 300]);
    assert_eq!(of(|rung| rung.verify_window.as_secs()), [60, 60, 60], "the site's wins over the agent's, whole");
    let modes: Vec<Mode> = pair.rungs.iter().map(|rung| rung.terms.mode).collect();
    assert_eq!(modes, [Mode::Dry, Mode::Dry, Mode::Approve]);
    assert_eq!(pair.recovery.as_ref().map(|run| (run.command.as_str(), run.timeout.as_secs())), Some(("bye", 10)));
    assert_eq!(
        errors(&format!("{LEAST}COMMAND_MODE=sometimes\n")),
        [".env:10: COMMAND_MODE: found `sometimes`, expected one of: auto, approve, dry"]
    );
}

#[test]
fn what_a_server_depends_on_is_watched_and_not_itself() {
    let two = LEAST.replace("MAPPINGS=DC3:SRV4", "MAPPINGS=DC3:SRV4,DC3:SRV5") + "SRV5_URL=http://srv5.example.com/\n";
    let config = good(&format!("{two}SRV4_DEPENDS_ON=SRV5\n"));
    let parents = &config.servers[&ServerName::new("SRV4").unwrap()].depends_on;
    assert_eq!(parents.iter().map(ServerName::as_str).collect::<Vec<_>>(), ["SRV5"]);
    let wrong = errors(&format!("{two}SRV4_DEPENDS_ON=SRV5,SRV9\nSRV5_DEPENDS_ON=SRV4\n"));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong.iter().any(|error| error.contains("names `SRV9`, which no pair of MAPPINGS watches")));
    assert!(wrong.iter().any(|error| error.contains("SRV5_DEPENDS_ON: comes back to itself")));
}

#[test]
fn witnesses_belong_to_the_agent_or_to_a_site_and_there_are_enough_of_them() {
    let config = good(&format!(
        "{LEAST}WITNESSES=icmp://192.168.1.1, https://1.1.1.1\nWITNESS_QUORUM=2\nDC3_WITNESSES=tcp://10.0.0.1:22\n\
         DC3_WITNESS_QUORUM=1\n"
    ));
    let all = config.witnesses.unwrap();
    assert_eq!((all.key.as_str(), all.targets.len(), all.quorum, all.timeout.as_secs()), ("WITNESSES", 2, 2, 2));
    let own = config.sites[&SiteName::new("DC3").unwrap()].witnesses.as_ref().unwrap();
    assert_eq!((own.key.as_str(), own.targets.len(), own.quorum), ("DC3_WITNESSES", 1, 1));
    let few = errors(&format!("{LEAST}WITNESSES=icmp://192.168.1.1\nWITNESS_QUORUM=2\n"));
    assert_eq!(
        few,
        [
            ".env:11: WITNESS_QUORUM: is 2, but there are only 1 witnesses: they could never be enough; set a number from 1 to 1"
        ]
    );
    let bad = errors(&format!("{LEAST}WITNESSES=gopher://x,https://1.1.1.1\n"));
    assert!(bad[0].contains("`gopher` is not a known scheme"), "{bad:?}");
}

#[test]
fn a_gap_in_a_ladder_is_told_at_the_line_that_needs_another_rung() {
    assert_eq!(
        errors(&format!("{LEAST}COMMAND_3=three\n")),
        [".env:10: COMMAND_3: has no rung before it: COMMAND_2 is not set; set COMMAND_2 too, or renumber"]
    );
    assert_eq!(
        errors(&format!("{LEAST}DC3_SRV4_COMMAND_4=four\nCOMMAND_2=two\n")),
        [
            ".env:10: DC3_SRV4_COMMAND_4: has no rung before it: DC3_SRV4_COMMAND_3 is not set; set DC3_SRV4_COMMAND_3 too, or renumber"
        ]
    );
    let without = LEAST.replace("COMMAND=one\n", "");
    assert_eq!(errors(&format!("{without}COMMAND_2=two\n")).len(), 1);
    assert!(errors(&without)[0].starts_with("COMMAND: is not set"));
    assert_eq!(errors(&format!("{without}DC3_COMMAND=one\n")), [""; 0]);
}

#[test]
fn a_guard_that_this_version_cannot_hold_keeps_it_from_starting() {
    for Later { scope, name } in later::KEYS {
        let prefix = match scope {
            Scope::Global => "",
            Scope::Server => "SRV4_",
            Scope::Site => "DC3_",
            Scope::Pair => "DC3_SRV4_",
        };
        let key = format!("{prefix}{}", name.replace("{K}", "2"));
        let told = errors(&format!("{LEAST}{key}=x\n"));
        assert!(
            told.len() == 1 && told[0].starts_with(&format!(".env:10: {key}: this version cannot honour it")),
            "{told:?}"
        );
    }
}

#[test]
fn a_key_is_either_honoured_or_promised_never_both() {
    for key in groups().iter().flat_map(|group| group.keys) {
        assert!(!later::KEYS.iter().any(|later| later.scope == key.scope && later.name == key.name), "{key}");
    }
}

#[test]
fn the_settings_tell_where_each_value_came_from_and_hide_what_is_secret() {
    let text = format!(
        "{LEAST}SRV4_URL=http://bob:s3cret@h.test/x?token=abcdef\nDATABASE_URL=postgres://u:s3cret@h/x\nCOMMAND=echo hunter22\n"
    );
    let process = BTreeMap::from([("CHECK_ATTEMPTS".to_owned(), "7".to_owned())]);
    let env = Env::new(".env", text.as_bytes(), process);
    let loaded = load(&env, &|_| Err(std::io::ErrorKind::NotFound.into()), &Surroundings::default());
    let setting =
        |key: &str| loaded.settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("no {key}"));
    let line = |n| Where::File { name: ".env".into(), line: Some(n) };
    assert_eq!((setting("INTERVAL").value.as_str(), &setting("INTERVAL").place), ("30", &line(1)));
    assert_eq!(
        (setting("CHECK_ATTEMPTS").value.as_str(), &setting("CHECK_ATTEMPTS").place),
        ("7", &Where::Environment)
    );
    assert_eq!((setting("MAX_INTERVAL").value.as_str(), &setting("MAX_INTERVAL").place), ("300", &Where::Unset));
    assert_eq!(setting("SRV4_URL").value, "http://h.test/x?token=***");
    assert_eq!(setting("DC3_SSH_PASSWORD").value, "***");
    assert_eq!(setting("COMMAND").value, "echo ***");
    assert_eq!((setting("DATABASE_URL").value.as_str(), &setting("DATABASE_URL").place), ("***", &line(11)));
    assert_eq!(setting("TELEGRAM_PROXY").value, "none");
    let all = format!("{:?}", loaded.settings);
    for secret in ["s3cret", "hunter22", "abcdef", "AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn a_secret_too_short_to_be_masked_is_warned_about_and_not_shown() {
    let loaded = loaded(&LEAST.replace("hunter22", "abc"));
    let told: Vec<_> = loaded.report.warnings().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(".env:7: DC3_SSH_PASSWORD: is shorter than 4 characters") && !told[0].contains("abc"));
    assert!(loaded.config.is_some());
}
