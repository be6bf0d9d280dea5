//! Sites that do something else than a command: which key wins, what is needed, what cannot be together.

use super::tests::{LEAST, commands, errors, good, loaded};
use super::*;

/// The least that starts without a command and without a host.
fn bare() -> String {
    let kept = |line: &&str| !line.starts_with("COMMAND") && !line.starts_with("DC3_SSH");
    LEAST.lines().filter(kept).fold(String::new(), |text, line| text + line + "\n")
}

fn act(config: &Config) -> String {
    config.sites[&SiteName::new("DC3").unwrap()].act.as_ref().unwrap().to_string()
}

#[test]
fn each_kind_stands_in_place_of_the_command_and_needs_no_other() {
    for (keys, shown) in [
        ("DC3_LOCAL=true\nDC3_SERVICES= a.service , b.timer,\n", "systemctl start a.service b.timer"),
        ("DC3_LOCAL=true\nDC3_SERVICES=a.service\nDC3_SERVICES_MODE=restart\n", "systemctl restart a.service"),
        ("DC3_LOCAL=true\nDC3_PID_FILE=/run/nginx.pid\n", "kill -HUP (pid file /run/nginx.pid)"),
        (
            "DC3_LOCAL=true\nDC3_PID_FILE=/run/nginx.pid\nDC3_PROCESS=nginx\nDC3_SIGNAL=SIGUSR1\n",
            "kill -USR1 nginx (pid file /run/nginx.pid)",
        ),
        ("DC3_LOCAL=true\nDC3_PROCESS=my app\nDC3_SIGNAL=15\n", "kill -TERM my app"),
        ("DC3_HOOK_URL=https://h.test:8443/hooks/abc?token=x\n", "POST https://h.test:8443/…"),
        ("DC3_HOOK_URL=http://u:p@h.test\n", "POST http://h.test"),
    ] {
        let config = good(&format!("{}{keys}", bare()));
        assert_eq!(act(&config), shown);
        let pair = &config.pairs[0];
        assert!(pair.acts && commands(pair) == [shown], "{:?}", commands(pair));
    }
}

#[test]
fn the_sites_deed_wins_over_the_agents_command_and_a_pairs_command_over_both() {
    let config = good(&format!(
        "{}MAPPINGS=DC3:SRV4,DC3:SRV5\nSRV5_URL=http://x/\nDC3_SERVICES=a.service\nDC3_SRV5_COMMAND=own\nCOMMAND_2=two\n",
        LEAST.replace("MAPPINGS=DC3:SRV4\n", "")
    ));
    let ladder = |n: usize| (config.pairs[n].acts, commands(&config.pairs[n]).join(" | "));
    assert_eq!(ladder(0), (true, "systemctl start a.service | two".to_owned()));
    assert_eq!(ladder(1), (false, "own | two".to_owned()));
}

#[test]
fn two_kinds_at_one_site_are_told_with_both_keys() {
    let hooked = "DC3_HOOK_URL=http://x/\n";
    for (keys, told) in [
        ("DC3_SERVICES=a.service\nDC3_COMMAND=x\n", "DC3_SERVICES: is set together with DC3_COMMAND, and only one"),
        (&format!("DC3_PROCESS=x\n{hooked}"), "DC3_PROCESS: is set together with DC3_HOOK_URL, and only one"),
        (&format!("{hooked}DC3_COMMAND=x\n"), "DC3_HOOK_URL: is set together with DC3_COMMAND, and only one"),
        (
            &format!("DC3_SERVICES=a.service\nDC3_PID_FILE=/x\n{hooked}"),
            "DC3_SERVICES: is set together with DC3_HOOK_URL",
        ),
    ] {
        let all = errors(&format!("{LEAST}{keys}"));
        assert!(all.len() == 1 && all[0].contains(told), "{all:?}");
    }
    assert!(errors(&format!("{LEAST}DC3_SERVICES=a.service\nDC3_COMMAND_2=x\n")).is_empty());
}

#[test]
fn a_process_is_one_of_this_machine_and_a_hook_needs_a_host_only_for_commands() {
    let told = errors(&format!("{LEAST}DC3_PID_FILE=/run/x.pid\n"));
    assert!(told.len() == 1 && told[0].contains("this site is behind SSH; set DC3_LOCAL=true"), "{told:?}");
    let told = errors(&format!("{}DC3_PROCESS=nginx\n", bare()));
    assert!(told.len() == 1 && told[0].contains("set DC3_LOCAL=true"), "{told:?}");
    let hooked = format!("{}DC3_HOOK_URL=http://x/\n", bare());
    assert_eq!(good(&hooked).sites[&SiteName::new("DC3").unwrap()].place, Place::Nowhere);
    for command in ["COMMAND_2=x\n", "DC3_COMMAND_2=x\n", "DC3_SRV4_COMMAND=x\n"] {
        let told = errors(&format!("{hooked}{command}"));
        assert!(
            told.len() == 1 && told[0].starts_with("DC3_SSH_HOST: is not set, and this site has commands"),
            "{told:?}"
        );
        assert!(errors(&format!("{hooked}{command}DC3_LOCAL=true\n")).is_empty());
    }
    let told = errors(&format!("{}DC3_SERVICES=a.service\n", bare()));
    assert!(told.iter().any(|line| line.starts_with("DC3_SSH_HOST: is not set")), "{told:?}");
}

#[test]
fn every_bad_value_is_told_with_what_was_expected_and_lets_no_wider_command_through() {
    for (keys, told) in [
        ("DC3_SERVICES=a\n", "did you mean `a.service`?"),
        ("DC3_SERVICES=a.service,a.service\n", "`a.service` is there twice"),
        ("DC3_SERVICES=,\n", "it names none"),
        ("DC3_SERVICES=a.service;reboot,$(id).service\n", "is no unit"),
        ("DC3_SERVICES=a.service\nDC3_SERVICES_MODE=stop\n", "expected one of: start-stop, restart"),
        ("DC3_SERVICES_MODE=restart\n", "is set, but DC3_SERVICES is not"),
        ("DC3_SIGNAL=HUP\n", "is set, but DC3_PID_FILE or DC3_PROCESS is not"),
        ("DC3_LOCAL=true\nDC3_PROCESS=x\nDC3_SIGNAL=STOP\n", "expected the name or the number of one of these signals"),
        ("DC3_LOCAL=true\nDC3_PROCESS=a-name-that-is-too-long\n", "at most 15 characters"),
        ("DC3_LOCAL=true\nDC3_PID_FILE=nginx.pid\n", "expected a whole path"),
        ("DC3_HOOK_URL=ftp://x/\n", "expected a URL such as"),
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_BODY={\"a\": \"{{ pair }}\"}\n", "a value brings its own quotes"),
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_BODY={{ password }}\n", "a name in it is not known here"),
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_HEADER=no colon\n", "expected one header"),
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_HEADER=Host: y\n", "expected another header than host"),
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_STATUS=2xx\n", "expected statuses and ranges"),
        ("DC3_HOOK_HEADER=A: secret\n", "is set, but DC3_HOOK_URL is not"),
    ] {
        let all = errors(&format!("{LEAST}{keys}"));
        assert!(all.len() == 1 && all[0].contains(told), "{keys}: {all:?}");
        // Also where no command is set there is no word about a missing one.
        let all = errors(&format!("{}{keys}", LEAST.replace("COMMAND=one\n", "")));
        let lonely = told.starts_with("is set, but");
        assert!(lonely || !all.iter().any(|line| line.contains("COMMAND: is not set")), "{keys}: {all:?}");
    }
}

#[test]
fn a_hooks_secrets_are_hidden_and_masked_whole_and_in_parts() {
    let text = format!(
        "{}DC3_HOOK_URL=https://h.test/hooks/0123456789abcdef?key=s3cret\nDC3_HOOK_HEADER=Authorization: Bearer hunter2222\n",
        bare()
    ) + "DC3_HOOK_BODY={\"token\": \"0a1b2c3d4e5f6a7b\", \"ref\": \"main\"}\n";
    let loaded = loaded(&text);
    let settings = format!("{:?}", loaded.settings);
    let config = loaded.config.unwrap();
    let everything = format!("{settings} {:?}", config.sites);
    for secret in ["0123456789abcdef", "s3cret", "hunter2222", "0a1b2c3d4e5f6a7b", "ref"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
    let said = config.redactor.mask("Cannot POST /hooks/0123456789abcdef?key=s3cret with hunter2222").into_owned();
    assert_eq!(said, "Cannot POST *** with ***");
    assert_eq!(config.redactor.mask("no such token 0a1b2c3d4e5f6a7b for main"), "no such token *** for main");
    let health = good(&format!("{}DC3_HOOK_URL=https://h.test/health\n", bare()));
    assert_eq!(health.redactor.mask("GET /health"), "GET /health", "an ordinary path is no secret");
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = loaded(text);
    assert!(loaded.config.is_some(), "{}", loaded.report);
    loaded.report.warnings().map(ToString::to_string).collect()
}

#[test]
fn what_is_started_for_an_incident_has_one_ending_and_mostly_one_rung() {
    let units = format!("{}DC3_LOCAL=true\nDC3_SERVICES=a.service\n", bare());
    for key in ["DC3_RECOVERY_COMMAND", "DC3_SRV4_RECOVERY_COMMAND"] {
        let told = errors(&format!("{units}{key}=x\n"));
        assert!(
            told.len() == 1 && told[0].contains(&format!("{key}: is set, but the units of DC3_SERVICES")),
            "{told:?}"
        );
        assert!(errors(&format!("{units}DC3_SERVICES_MODE=restart\n{key}=x\n")).is_empty());
        // Where the pair has its own command nothing is started.
        assert!(errors(&format!("{units}DC3_SRV4_COMMAND=own\n{key}=x\n")).is_empty());
    }
    assert!(errors(&format!("{units}RECOVERY_COMMAND=x\n")).is_empty(), "a wider one is for the other sites");
    let said = |keys: &str| warnings(&format!("{units}{keys}"));
    assert!(said("DC3_SERVICES_MODE=start-stop\n").is_empty());
    let told = said("");
    assert!(
        told.len() == 1 && told[0].contains("set DC3_SERVICES_MODE=restart if they are the watched service"),
        "{told:?}"
    );
    for key in ["COMMAND_2", "DC3_COMMAND_2", "DC3_SRV4_COMMAND_2"] {
        let told = said(&format!("DC3_SERVICES_MODE=start-stop\n{key}=x\n"));
        assert!(told.len() == 1 && told[0].contains(&format!("{key}: does not run for DC3")), "{told:?}");
        assert!(said(&format!("DC3_SERVICES_MODE=restart\n{key}=x\n")).is_empty());
    }
}

#[test]
fn a_second_look_needs_a_host_to_look_from() {
    let hooked = format!("{}DC3_HOOK_URL=http://x/\nDC3_CROSS_CHECK=true\n", bare());
    let told = errors(&hooked);
    assert!(told.len() == 1 && told[0].contains("DC3_CROSS_CHECK: is on, and this site has no host"), "{told:?}");
    assert!(errors(&format!("{hooked}DC3_LOCAL=true\n")).is_empty());
}

#[test]
fn a_look_from_the_site_that_leaves_out_a_query_is_told() {
    let said = |url: &str| {
        warnings(&format!(
            "{}DC3_CROSS_CHECK=true\nSRV4_URL={url}\n",
            LEAST.replace("SRV4_URL=http://srv4.example.com/\n", "")
        ))
    };
    let told = said("https://h.test/x?token=s3cret99");
    assert!(told.len() == 1 && told[0].contains("DC3_CROSS_CHECK: leaves out what stands after the `?` of SRV4_URL"));
    assert!(!told[0].contains("s3cret99"), "{told:?}");
    assert!(said("https://h.test/x").is_empty() && said("icmp://h.test?count=3").is_empty());
    assert_eq!(said("wss://h.test/x?token=s3cret99").len(), 1);
    assert!(said("tcp://h.test:25\nSRV4_EXPECT=220").is_empty());
    let told = said("tcp://h.test:25\nSRV4_SEND=x");
    assert!(told.len() == 1 && told[0].contains("DC3_CROSS_CHECK: does nothing for SRV4: no shell"), "{told:?}");
}

#[test]
fn a_gate_of_no_rung_and_a_gate_that_a_narrower_key_opens_are_told() {
    let said = |keys: &str| warnings(&format!("{LEAST}{keys}"));
    for key in [
        "COMMAND_3_MODE=approve",
        "DC3_COMMAND_3_AFTER=5m",
        "DC3_SRV4_COMMAND_3_TIMEOUT=5s",
        "COMMAND_3_VERIFY_WINDOW=5s",
    ] {
        let name = key.split_once('=').unwrap().0;
        let told = said(&format!("COMMAND_2=two\n{key}\n"));
        assert!(
            told.len() == 1 && told[0].contains(&format!("{name}: is set, and no ladder has this rung")),
            "{told:?}"
        );
        assert!(said(&format!("COMMAND_2=two\nDC3_COMMAND_3=three\n{key}\n")).is_empty());
    }
    for gate in ["approve", "dry"] {
        let opened = format!("COMMAND_2=two\nCOMMAND_2_MODE={gate}\nDC3_COMMAND_MODE=auto\n");
        let told = said(&opened);
        let what = format!("DC3_COMMAND_MODE: lets rung 2 run by itself, although COMMAND_2_MODE is {gate}");
        assert!(told.len() == 1 && told[0].contains(&what), "{told:?}");
        for meant in ["DC3_COMMAND_2_MODE=auto", "DC3_SRV4_COMMAND_2_MODE=approve"] {
            assert!(said(&format!("{opened}{meant}\n")).is_empty(), "{meant}");
        }
    }
    assert!(said("COMMAND_2=two\nCOMMAND_2_MODE=approve\nDC3_COMMAND_MODE=approve\n").is_empty());
    assert!(said("COMMAND_2=two\nCOMMAND_2_MODE=auto\nDC3_COMMAND_MODE=auto\n").is_empty());
}
