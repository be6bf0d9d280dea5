//! Each key of `config.json`: what may stand there, and which keys of the agent it becomes.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use jsonc_parser::ast::Value;
use url::Host;

use super::Standby;
use super::sheet::{Cell, Sheet};
use crate::remedy::systemd::Unit;

/// The site: this machine.
pub const SITE: &str = "STANDBY";
/// The server: the machine that is watched.
pub const SERVER: &str = "ACTIVE";

const GATEWAY: &str = "gateway_ip";
const ACTIVE: &str = "active_ip";
const INTERVAL: &str = "ping_interval";
const THRESHOLD: &str = "ping_fail_threshold";
const SERVICES: &str = "services_to_manage";
const RECOVERY: &str = "recovery_threshold";
const HOLD: &str = "hold_down";
const STATE_FILE: &str = "state_file";
const STATE_DIR: &str = "state_dir";
const LOG_FILE: &str = "log_file";
const ENV_FILE: &str = "env_file";

/// Every key, the required ones first, each with an example.
const KNOWN: [(&str, &str); 11] = [
    (GATEWAY, "\"192.168.1.1\""),
    (ACTIVE, "\"192.168.1.2\""),
    (INTERVAL, "3"),
    (THRESHOLD, "3"),
    (SERVICES, "[\"cloudflared.service\"]"),
    (RECOVERY, "3"),
    (HOLD, "30"),
    (STATE_FILE, "\"/var/run/failover_monitor_state\""),
    (STATE_DIR, "\"/var/lib/failover-monitor\""),
    (LOG_FILE, "\"/var/log/failover_monitor.log\""),
    (ENV_FILE, "\"/opt/failover-monitor/telegram.env\""),
];

/// A day: no longer interval is one of a watch.
const LONGEST: f64 = 86_400.0;
/// One echo request waits no longer than this, also where pings are far apart: on a network of ours it is an age.
const PATIENCE: f64 = 2.0;
/// Kinds of units that people name most; a slip in one of these endings is no other unit's name.
const ENDINGS: [&str; 5] = ["service", "timer", "socket", "target", "mount"];

/// Reads every key, and remembers every mistake.
pub(super) fn read(sheet: &Sheet<'_>) -> Option<Standby> {
    strangers(sheet);
    let (gateway, active) = (required(sheet, GATEWAY, host), required(sheet, ACTIVE, host));
    let interval = required(sheet, INTERVAL, |sheet, cell| seconds(sheet, cell, 0.1..=LONGEST));
    let threshold = required(sheet, THRESHOLD, count);
    let services = required(sheet, SERVICES, units);
    let recovery = optional(sheet, RECOVERY, count, 1);
    let hold = optional(sheet, HOLD, |sheet, cell| seconds(sheet, cell, 0.0..=LONGEST), 0.0);
    let file = |key, default: &str| optional(sheet, key, path, default.to_owned());
    let state_file = file(STATE_FILE, "/var/run/failover_monitor_state");
    let state_dir = file(STATE_DIR, "/var/lib/failover-monitor");
    let log_file = file(LOG_FILE, "/var/log/failover_monitor.log");
    let env_file = optional(sheet, ENV_FILE, |sheet, cell| path(sheet, cell).map(Some), None);
    if let (Some((gateway, _)), Some((active, _)), Some(cell)) = (&gateway, &active, sheet.find(ACTIVE))
        && gateway == active
    {
        let hint = "give the address of the machine whose services are to be taken over";
        sheet.wrong(
            ACTIVE,
            cell.value,
            "is the gateway too: when it is silent nothing can be decided",
            Some(hint.to_owned()),
        );
    }
    let ((gateway, at_gateway), (active, at_active)) = (gateway?, active?);
    let ((interval, at_interval), (threshold, at_threshold)) = (interval?, threshold?);
    let (services, at_services) = services?;
    let ((recovery, at_recovery), (hold, at_hold)) = (recovery?, hold?);
    let ((state_file, at_state), (state_dir, at_dir), (log_file, at_log)) = (state_file?, state_dir?, log_file?);
    let mut values = Vec::new();
    let mut set = |key: &str, value: String, line: u32| values.push((key.to_owned(), value, line));
    set("MAPPINGS", format!("{SITE}:{SERVER}"), at_services);
    set(&format!("{SITE}_LOCAL"), "true".to_owned(), at_services);
    set(&format!("{SITE}_SERVICES"), services.join(","), at_services);
    set(&format!("{SITE}_SERVICES_MODE"), "start-stop".to_owned(), at_services);
    set(&format!("{SERVER}_URL"), format!("icmp://{active}"), at_active);
    set("WITNESSES", format!("icmp://{gateway}"), at_gateway);
    // One pace, up or down: a standby that asks less often while the other is dead would stop too late.
    for key in ["INTERVAL", "MAX_INTERVAL", "CHECK_RETRY_DELAY"] {
        set(key, interval.to_string(), at_interval);
    }
    set("BACKOFF_FACTOR", "1".to_owned(), at_interval);
    set("CHECK_TIMEOUT", interval.clamp(0.5, PATIENCE).to_string(), at_interval);
    set("CHECK_ATTEMPTS", threshold.to_string(), at_threshold);
    set("RECOVERY_SUCCESSES", recovery.to_string(), at_recovery);
    set("RECOVERY_HOLD", hold.to_string(), at_hold);
    // Services of ours do not bring the other machine back: there is nothing to wait for.
    set("VERIFY_WINDOW", "0".to_owned(), sheet.line());
    // A start that is held back leaves nobody serving: what keeps this from going to and fro is the threshold and the hold.
    // Who wants a limit all the same sets one.
    let guards = [("FLAP_LIMIT", "0"), ("REMEDY_BUDGET", "1000/1h")];
    let guards = guards.map(|(key, value)| (key.to_owned(), value.to_owned(), sheet.line()));
    set("STATE_FILE", state_file, at_state);
    set("STATE_DIR", state_dir, at_dir);
    set("LOG_FILE", log_file, at_log);
    Some(Standby { values, otherwise: guards.into(), env_file: env_file?.0.map(PathBuf::from) })
}

/// A value with its line; none when a mistake was remembered.
type Placed<T> = Option<(T, u32)>;

fn required<T>(sheet: &Sheet<'_>, key: &str, read: impl Fn(&Sheet<'_>, Cell<'_, '_>) -> Option<T>) -> Placed<T> {
    let Some(cell) = sheet.find(key) else {
        let example = KNOWN.iter().find(|(known, _)| *known == key).map_or("…", |(_, example)| example);
        sheet.missing(key, example);
        return None;
    };
    read(sheet, cell).map(|value| (value, cell.line))
}

fn optional<T>(
    sheet: &Sheet<'_>,
    key: &str,
    read: impl Fn(&Sheet<'_>, Cell<'_, '_>) -> Option<T>,
    default: T,
) -> Placed<T> {
    match sheet.find(key) {
        Some(cell) => read(sheet, cell).map(|value| (value, cell.line)),
        None => Some((default, sheet.line())),
    }
}

/// Remembers what is no key, and what stands twice.
fn strangers(sheet: &Sheet<'_>) {
    let mut seen: Vec<Cell<'_, '_>> = Vec::new();
    for cell in sheet.cells() {
        if let Some(first) = seen.iter().find(|first| first.key == cell.key) {
            let what = format!("is set again, and line {} set it already", first.line);
            sheet.wrong_key(cell, &what, "remove one of them".to_owned());
        } else if !KNOWN.iter().any(|(known, _)| *known == cell.key) {
            let plain = cell.key.to_lowercase().replace(['-', ' ', '.'], "_");
            let distance = |known: &str| {
                let begins = plain.len() >= 3 && known.starts_with(&plain);
                if begins { 0 } else { strsim::damerau_levenshtein(known, &plain) }
            };
            let near = KNOWN.iter().map(|(known, _)| (distance(known), known)).min();
            let hint = match near {
                Some((distance, known)) if distance <= 3 => format!("did you mean `{known}`?"),
                _ => format!("known are {}", KNOWN.map(|(known, _)| known).join(", ")),
            };
            sheet.wrong_key(cell, "is not a known key", hint);
        }
        seen.push(cell);
    }
}

/// An address or a name, as it stands in a URL.
fn host(sheet: &Sheet<'_>, cell: Cell<'_, '_>) -> Option<String> {
    let text = cell.value.as_string_lit().map(|text| text.value.trim().to_owned()).unwrap_or_default();
    let found = match text.parse() {
        Ok(IpAddr::V4(ip)) if !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() => Some(ip.to_string()),
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {
            let hint = "give an address that is valid beyond one cable, or a host name".to_owned();
            sheet.wrong(cell.key, cell.value, "names no interface, as a link-local address must", Some(hint));
            return None;
        }
        Ok(IpAddr::V6(ip)) if !ip.is_unspecified() && !ip.is_multicast() => Some(format!("[{ip}]")),
        Ok(_) => None,
        // `10.1` is 10.0.0.1 to a browser; to people it is a slip.
        Err(_) => match Host::parse(&text) {
            Ok(Host::Domain(name)) => Some(name),
            Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => None,
        },
    };
    if found.is_none() {
        sheet.wrong(cell.key, cell.value, "expected an IP address such as \"192.168.1.1\", or a host name", None);
    }
    found
}

fn seconds(sheet: &Sheet<'_>, cell: Cell<'_, '_>, bounds: RangeInclusive<f64>) -> Option<f64> {
    let number = cell.value.as_number_lit().and_then(|number| number.value.parse::<f64>().ok());
    let found = number.filter(|number| bounds.contains(number));
    if found.is_none() {
        let quotes = if cell.value.as_string_lit().is_some() { ", without quotes" } else { "" };
        let what = format!("expected a number of seconds from {} to {}{quotes}", bounds.start(), bounds.end());
        sheet.wrong(cell.key, cell.value, &what, None);
    }
    found
}

fn count(sheet: &Sheet<'_>, cell: Cell<'_, '_>) -> Option<u32> {
    let number = cell.value.as_number_lit().and_then(|number| number.value.parse().ok());
    let found = number.filter(|number| (1..=100).contains(number));
    if found.is_none() {
        let quotes = if cell.value.as_string_lit().is_some() { ", without quotes" } else { "" };
        sheet.wrong(cell.key, cell.value, &format!("expected a whole number from 1 to 100{quotes}"), None);
    }
    found
}

fn path(sheet: &Sheet<'_>, cell: Cell<'_, '_>) -> Option<String> {
    let text = cell.value.as_string_lit().map(|text| text.value.trim().to_owned());
    let found = text.filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
    if found.is_none() {
        let what = if cell.key == STATE_DIR { "expected the path of a folder" } else { "expected the path of a file" };
        sheet.wrong(cell.key, cell.value, what, None);
    }
    found
}

/// The units in their order; a name without a kind is a service, as `systemctl` has it.
fn units(sheet: &Sheet<'_>, cell: Cell<'_, '_>) -> Option<Vec<String>> {
    let Some(array) = cell.value.as_array() else {
        sheet.wrong(cell.key, cell.value, "expected a list such as [\"cloudflared.service\"]", None);
        return None;
    };
    if array.elements.is_empty() {
        sheet.wrong(cell.key, cell.value, "names no unit", Some("name at least one that is to be started".to_owned()));
        return None;
    }
    let mut units: Vec<String> = Vec::new();
    let mut sound = true;
    for element in &array.elements {
        let (what, hint) = match unit(element) {
            Ok(unit) if !units.contains(&unit) => {
                units.push(unit);
                continue;
            }
            Ok(_) => ("is there twice", Some("remove one of them".to_owned())),
            Err(hint) => ("expected the name of a systemd unit such as \"cloudflared.service\"", hint),
        };
        sheet.wrong(cell.key, element, what, hint);
        sound = false;
    }
    sound.then_some(units)
}

/// The whole name of a unit, or what is wrong with it when more can be said than that it is none.
fn unit(value: &Value<'_>) -> Result<String, Option<String>> {
    let name = value.as_string_lit().ok_or(None)?.value.trim();
    if Unit::new(name).is_ok() {
        return Ok(name.to_owned());
    }
    let whole = Unit::new(&format!("{name}.service")).map_err(Some)?;
    let slip = name.rsplit_once('.').and_then(|(stem, ending)| {
        let meant = ENDINGS.iter().find(|known| strsim::damerau_levenshtein(known, ending) <= 2)?;
        Some(format!("did you mean `{stem}.{meant}`?"))
    });
    // `web.1` is the service of that name.
    slip.map_or_else(|| Ok(whole.to_string()), |slip| Err(Some(slip)))
}
