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
        ("DC3_HOOK_URL=http://x/\nDC3_HOOK_BODY={{ password }}\n", "`password` is no name here"),
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
    );
    let loaded = loaded(&text);
    let settings = format!("{:?}", loaded.settings);
    let config = loaded.config.unwrap();
    let everything = format!("{settings} {:?}", config.sites);
    for secret in ["0123456789abcdef", "s3cret", "hunter2222"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
    let said = config.redactor.mask("Cannot POST /hooks/0123456789abcdef?key=s3cret with hunter2222").into_owned();
    assert_eq!(said, "Cannot POST *** with ***");
    let health = good(&format!("{}DC3_HOOK_URL=https://h.test/health\n", bare()));
    assert_eq!(health.redactor.mask("GET /health"), "GET /health", "an ordinary path is no secret");
}
