//! Floor 6: the front door of a standby machine. Its `config.json` becomes the keys that every agent goes by; there is no
//! second engine behind it.
//!
//! What stands in the file is read and checked in `sheet`, with every mistake at once; `keys` says what each of its
//! words means to the agent. Files are read, and the agent is run, by `app`.

mod keys;
mod sheet;

use std::path::PathBuf;

use crate::env::{Place, Problem, Report};

pub use keys::{SERVER, SITE};

/// What a `config.json` comes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Standby {
    /// Keys of the agent, their values, and the line of the file that each comes from.
    pub values: Vec<(String, String, u32)>,
    /// Keys that hold where neither the process environment nor `env_file` sets them.
    pub otherwise: Vec<(String, String, u32)>,
    /// A file with further keys, such as those of Telegram.
    pub env_file: Option<PathBuf>,
}

/// Reads the bytes of a file, named as the person named it, or says everything that is wrong with it.
pub fn read(name: &str, bytes: &[u8]) -> Result<Standby, Report> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
            let place = Place::File { name: name.into(), line: Some(sheet::line_of(&good, good.len())) };
            let problem = Problem::error(place, "", "is not text in UTF-8").hint("save the file as UTF-8");
            return Err(Report::new(vec![problem]));
        }
    };
    sheet::with(name, text, keys::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"{
  "gateway_ip": "192.168.1.1",           // 네트워크 게이트웨이 IP
  "active_ip": "192.168.1.2",          // Primary 서버 IP
  "ping_interval": 3,                    // ping 체크 간격 (초)
  "ping_fail_threshold": 3,              // 장애 판정 임계값
  "services_to_manage": [                // 관리할 서비스 목록
    "cloudflared.service"
  ]
}
"#;

    fn told(text: &str) -> Vec<String> {
        let report = read("config.json", text.as_bytes()).unwrap_err();
        report.errors().map(ToString::to_string).collect()
    }

    fn values(text: &str) -> Vec<(String, String)> {
        let standby = read("config.json", text.as_bytes()).unwrap_or_else(|report| panic!("{report}"));
        standby.values.into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    #[test]
    fn the_documented_sample_with_its_comments_becomes_keys_with_their_lines() {
        let standby = read("config.json", SEED.as_bytes()).unwrap();
        let found = |key: &str| {
            let (_, value, line) =
                standby.values.iter().find(|(name, ..)| name == key).unwrap_or_else(|| panic!("{key}"));
            (value.as_str(), *line)
        };
        for (key, value, line) in [
            ("MAPPINGS", "STANDBY:ACTIVE", 6),
            ("STANDBY_LOCAL", "true", 6),
            ("STANDBY_SERVICES", "cloudflared.service", 6),
            ("STANDBY_SERVICES_MODE", "start-stop", 6),
            ("WITNESSES", "icmp://192.168.1.1", 2),
            ("ACTIVE_URL", "icmp://192.168.1.2", 3),
            ("INTERVAL", "3", 4),
            ("MAX_INTERVAL", "3", 4),
            ("CHECK_RETRY_DELAY", "3", 4),
            ("CHECK_TIMEOUT", "2", 4),
            ("BACKOFF_FACTOR", "1", 4),
            ("CHECK_ATTEMPTS", "3", 5),
            ("RECOVERY_SUCCESSES", "1", 1),
            ("RECOVERY_HOLD", "0", 1),
            ("VERIFY_WINDOW", "0", 1),
            ("STATE_FILE", "/var/run/failover_monitor_state", 1),
            ("STATE_DIR", "/var/lib/failover-monitor", 1),
            ("LOG_FILE", "/var/log/failover_monitor.log", 1),
        ] {
            assert_eq!(found(key), (value, line), "{key}");
        }
        assert_eq!(standby.env_file, None);
        let guards: Vec<&str> = standby.otherwise.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(guards, ["FLAP_LIMIT", "REMEDY_BUDGET"], "whoever wants these guards sets them elsewhere");
        assert!(standby.values.iter().all(|(key, ..)| !guards.contains(&key.as_str())));
    }

    #[test]
    fn what_may_be_added_is_taken_and_services_keep_their_order() {
        let text = r#"{"gateway_ip":"fd00::1","active_ip":"Primary.example.org","ping_interval":0.5,
            /* not "services_to_manage": [] */
            "ping_fail_threshold":10,"services_to_manage":["b.timer","a","web@1.service",],
            "recovery_threshold":5,"hold_down":60,"state_file":"/run/x // y","log_file":"/tmp/l","state_dir":"/tmp/s",
            "env_file":"/etc/failover-monitor/telegram.env",}"#;
        let all = values(text);
        for (key, value) in [
            ("STANDBY_SERVICES", "b.timer,a.service,web@1.service"),
            ("WITNESSES", "icmp://[fd00::1]"),
            ("ACTIVE_URL", "icmp://primary.example.org"),
            ("CHECK_TIMEOUT", "0.5"),
            ("RECOVERY_SUCCESSES", "5"),
            ("RECOVERY_HOLD", "60"),
            ("STATE_FILE", "/run/x // y"),
            ("LOG_FILE", "/tmp/l"),
            ("STATE_DIR", "/tmp/s"),
        ] {
            assert!(all.contains(&(key.to_owned(), value.to_owned())), "{key}: {all:?}");
        }
        let standby = read("config.json", text.as_bytes()).unwrap();
        assert_eq!(standby.env_file, Some("/etc/failover-monitor/telegram.env".into()));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_line_key_found_and_expected() {
        let text = "{\n \"gateway_ip\": \"192.168.1.300\",\n \"activ_ip\": \"10.0.0.2\",\n \"ping_interval\": \"3\",\n \
                    \"ping_fail_threshold\": 0,\n \"services_to_manage\": [\"ok.service\", \"x;reboot\", 7, \"ok\",\n \
                    \"a.servce\"],\n \"hold_down\": null,\n \"ping_interval\": 4,\n \"log_file\": \"\",\n \"colour\": 1}";
        assert_eq!(
            told(text),
            [
                "config.json: active_ip: is not set, and it is required; add a line such as `\"active_ip\": \"192.168.1.2\"`",
                "config.json:2: gateway_ip: found `\"192.168.1.300\"`, expected an IP address such as \"192.168.1.1\", or a host name",
                "config.json:3: activ_ip: is not a known key; did you mean `active_ip`?",
                "config.json:4: ping_interval: found `\"3\"`, expected a number of seconds from 0.1 to 86400, without quotes",
                "config.json:5: ping_fail_threshold: found `0`, expected a whole number from 1 to 100",
                "config.json:6: services_to_manage: found `\"ok\"`, is there twice; remove one of them",
                "config.json:6: services_to_manage: found `\"x;reboot\"`, expected the name of a systemd unit such as \"cloudflared.service\"; `x;reboot.service` is no unit: letters, digits and : _ . \\ @ - can stand in a name, and no - at its beginning",
                "config.json:6: services_to_manage: found `7`, expected the name of a systemd unit such as \"cloudflared.service\"",
                "config.json:7: services_to_manage: found `\"a.servce\"`, expected the name of a systemd unit such as \"cloudflared.service\"; did you mean `a.service`?",
                "config.json:8: hold_down: found `null`, expected a number of seconds from 0 to 86400",
                "config.json:9: ping_interval: is set again, and line 4 set it already; remove one of them",
                "config.json:10: log_file: found `\"\"`, expected the path of a file",
                "config.json:11: colour: is not a known key; known are gateway_ip, active_ip, ping_interval, \
                 ping_fail_threshold, services_to_manage, recovery_threshold, hold_down, state_file, state_dir, log_file, env_file",
            ]
        );
    }

    #[test]
    fn a_text_that_is_no_json_names_the_line_and_what_to_do() {
        for (text, expected) in [
            ("", "config.json: is empty; write the five keys that docs/how-to/fail-over-to-a-standby.md shows"),
            ("// nothing\n", "config.json: is empty"),
            ("[]", "config.json:1: expected an object in braces, as in `{ \"gateway_ip\": …`"),
            (
                "{\n\"gateway_ip\": \"1\"\n\"active_ip\": 1}",
                "config.json:2: is not JSON: expected comma; look at this line and at its neighbours",
            ),
            ("{\n'gateway_ip': 1}", "config.json:2: is not JSON: single-quoted strings are not allowed"),
            ("{\n\n\"a\": }", "config.json:3: is not JSON: "),
            ("{", "config.json:1: is not JSON: unterminated object"),
            ("{\"a\": 1} x", "config.json:1: is not JSON: "),
        ] {
            let told = told(text);
            assert!(told.len() == 1 && told[0].starts_with(expected), "{text:?} says {told:?}");
        }
        let told = read("config.json", b"{\n\"a\": \"\xff\"}").unwrap_err().to_string();
        assert!(told.contains("config.json:2: is not text in UTF-8; save the file as UTF-8"), "{told}");
        let deep = "[".repeat(100_000);
        assert!(read("config.json", deep.as_bytes()).is_err());
    }

    #[test]
    fn the_gateway_cannot_be_the_machine_that_is_watched() {
        let text = SEED.replace("192.168.1.2\"", "192.168.1.1\"");
        let told = told(&text);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].starts_with("config.json:3: active_ip: found `\"192.168.1.1\"`, is the gateway too"),
            "{told:?}"
        );
    }

    #[test]
    fn an_address_is_one_that_can_be_pinged() {
        for address in [
            "",
            "0.0.0.0",
            "10.1",
            "10.0.0.2/24",
            "10.0.0.2:80",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "a b",
        ] {
            let told = told(&SEED.replace("192.168.1.2\"", &format!("{address}\"")));
            assert!(told.len() == 1 && told[0].contains("expected an IP address"), "{address:?}: {told:?}");
        }
        let told = told(&SEED.replace("192.168.1.2\"", "fe80::2\""));
        assert!(told.len() == 1 && told[0].contains("names no interface"), "{told:?}");
    }

    #[test]
    fn a_service_may_hold_no_more_than_a_unit_name() {
        for name in ["", " ", "a b.service", "$(reboot).service", "../x.service", ".service", "--now", "ü.service"] {
            let text = SEED.replace("cloudflared.service", name);
            let told = told(&text);
            assert!(told.len() == 1 && told[0].contains("the name of a systemd unit"), "{name:?}: {told:?}");
        }
        assert!(told(&SEED.replace("\"cloudflared.service\"", ""))[0].contains("names no unit"));
    }
}
