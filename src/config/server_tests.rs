//! Servers: settings that a kind knows, and those that it does not.

use super::tests::{LEAST, good, loaded};
use super::*;
use crate::domain::environment::Environment;

fn problems(lines: &str) -> Vec<String> {
    loaded(&format!("{}{lines}", LEAST.replace("SRV4_URL=http://srv4.example.com/\n", "")))
        .report
        .errors()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_setting_that_the_kind_does_not_know_is_told_with_what_it_knows() {
    assert_eq!(
        problems("SRV4_URL=tcp://10.0.0.2:80\nSRV4_INSECURE=true\n"),
        [".env:10: SRV4_INSECURE: is not a setting of tcp; remove it; tcp has IP, SEND, EXPECT"]
    );
    assert_eq!(
        problems("SRV4_URL=icmp://10.0.0.2\nSRV4_TLS_DAYS=soon\nSRV4_CA_FILE=x\n"),
        [
            ".env:10: SRV4_TLS_DAYS: is not a setting of icmp; remove it; icmp has IP",
            ".env:11: SRV4_CA_FILE: is not a setting of icmp; remove it; icmp has IP"
        ]
    );
}

#[test]
fn every_wrong_setting_is_told_at_once() {
    let told = problems(
        "SRV4_URL=https://srv4.example.com/\nSRV4_IP=5\nSRV4_TLS_DAYS=30,never\nSRV4_CA_FILE=/no/such.pem\n\
         SRV4_CLIENT_KEY=/no/such.key\nSRV4_RETRY_DELAY=-1\nSRV4_NOTIFY=perhaps\nSRV4_ENVIRONMENT=PROD\n",
    );
    let keys: Vec<&str> = told.iter().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(
        keys,
        [
            "SRV4_IP",
            "SRV4_TLS_DAYS",
            "SRV4_CA_FILE",
            "SRV4_CLIENT_KEY",
            "SRV4_RETRY_DELAY",
            "SRV4_NOTIFY",
            "SRV4_ENVIRONMENT"
        ],
        "{told:#?}"
    );
    assert!(told[6].ends_with("found `PROD`, expected one of: DEV, STAGE, LIVE"), "{}", told[6]);
}

#[test]
fn a_server_has_its_own_pace_and_place() {
    let config = good(&format!(
        "{LEAST}SRV4_RETRY_DELAY=5s\nSRV4_NOTIFY=off\nSRV4_ENVIRONMENT=stage\nSRV4_TLS_DAYS=3,30,14,30\n"
    ));
    let server = &config.servers[&ServerName::new("SRV4").unwrap()];
    assert_eq!(server.retry_delay, Some(std::time::Duration::from_secs(5)));
    assert_eq!((server.notify, server.environment), (false, Some(Environment::Stage)));
    assert_eq!(server.target.warns(), [30, 14, 3]);
    let config = good(LEAST);
    let server = &config.servers[&ServerName::new("SRV4").unwrap()];
    assert_eq!((server.notify, server.environment, server.target.warns()), (true, None, &[][..]));
}

#[test]
fn a_secret_in_a_command_is_shown_nowhere() {
    let loaded = loaded(&LEAST.replace("http://srv4.example.com/", "exec:./check.sh --token hunter22"));
    let shown = loaded.settings.iter().find(|setting| setting.key == "SRV4_URL").map(|setting| setting.value.clone());
    let server = &loaded.config.unwrap().servers[&ServerName::new("SRV4").unwrap()];
    assert_eq!(server.target.shown(), "exec:./check.sh --token ***");
    assert_eq!(shown.as_deref(), Some("exec:./check.sh --token ***"));
}

#[test]
fn the_example_of_every_kind_is_read_without_a_problem() {
    for kind in crate::probe::KINDS {
        let told = problems(&format!("{}\n", kind.example));
        assert!(told.is_empty(), "{}: {told:#?}", kind.name);
    }
}
