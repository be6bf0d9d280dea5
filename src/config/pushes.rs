//! Servers that report to us: relations of their tokens, which no server can check alone.

use std::collections::{BTreeMap, HashMap};

use crate::domain::name::ServerName;
use crate::env::Reader;
use crate::probe::push::PUSH_TOKEN;
use crate::probe::wire::pushes::Token;

use super::{Port, Server};

/// Each token names one server, none of them opens the API, and each can be used.
pub(super) fn check(reader: &Reader<'_>, servers: Option<&BTreeMap<ServerName, Server>>, port: Option<&Option<Port>>) {
    let mut known: HashMap<Token, &ServerName> = HashMap::new();
    let api = port.and_then(Option::as_ref).and_then(|port| Token::of(port.token.expose()));
    for (name, server) in servers.into_iter().flatten() {
        let Some(token) = server.target.reports().and_then(|expected| expected.token) else { continue };
        let keys = reader.scoped(name.as_str());
        if let Some(other) = known.insert(token, name) {
            let what = format!("is also the token of `{other}`: a report would not say of whom it is");
            keys.problem(&PUSH_TOKEN, what, "give each server its own");
        }
        if api == Some(token) {
            let what = "is also API_TOKEN: whoever may report could do everything";
            keys.problem(&PUSH_TOKEN, what, "give it another word");
        }
        if matches!(port, Some(None)) {
            keys.warn(&PUSH_TOKEN, "cannot be used: LISTEN is not set", "set LISTEN and API_TOKEN, or remove it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LEAST, good, loaded};

    const OPEN: &str = "LISTEN=:8080\nAPI_TOKEN=0123456789abcdef\n";

    fn told(lines: &str) -> String {
        let least = LEAST.replace("SRV4_URL=http://srv4.example.com/\n", "");
        loaded(&format!("{least}{lines}")).report.to_string()
    }

    #[test]
    fn a_token_is_one_servers_own_and_can_be_used() {
        let token = "SRV4_URL=push://90s\nSRV4_PUSH_TOKEN=a-token-of-srv4-alone\n";
        assert_eq!(told(&format!("{OPEN}{token}")), "");
        assert!(told(token).contains("SRV4_PUSH_TOKEN: cannot be used: LISTEN is not set"), "{}", told(token));
        let same = format!("{OPEN}SRV4_URL=push://90s\nSRV4_PUSH_TOKEN=0123456789abcdef\n");
        assert!(told(&same).contains("is also API_TOKEN"), "{}", told(&same));
        assert!(!told(&same).contains("0123456789abcdef"));
        let two = format!("{OPEN}{token}")
            .replace("SRV4_URL", "SRV5_URL=push://1h\nSRV5_PUSH_TOKEN=a-token-of-srv4-alone\nSRV4_URL");
        let two = loaded(&format!(
            "{}{two}",
            LEAST.replace("SRV4_URL=http://srv4.example.com/\n", "").replace("DC3:SRV4", "DC3:SRV4,DC3:SRV5")
        ));
        let two = two.report.to_string();
        assert!(two.contains("SRV5_PUSH_TOKEN: is also the token of `SRV4`"), "{two}");
    }

    #[test]
    fn settings_of_an_attempt_are_said_to_do_nothing_where_there_is_but_one() {
        let said = told("SRV4_URL=push://90s\nSRV4_ATTEMPTS=3\nSRV4_TIMEOUT=3s\nSRV4_RETRY_DELAY=1s\n");
        for key in ["SRV4_ATTEMPTS", "SRV4_TIMEOUT", "SRV4_RETRY_DELAY"] {
            assert!(said.contains(&format!("{key}: does nothing for a server that reports to us")), "{said}");
        }
        let said = loaded(&format!("{LEAST}WITNESSES=push://90s\n")).report.to_string();
        assert!(said.contains("not `push:`"), "{said}");
        assert!(good(LEAST).servers.values().all(|server| server.target.reports().is_none()));
    }
}
