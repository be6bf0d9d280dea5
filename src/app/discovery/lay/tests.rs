use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::discovery::read;

const OURS: &str = "INTERVAL=30\nMAPPINGS=DC3:SRV4\nSRV4_URL=http://srv4.example.com/\nDC3_LOCAL=true\nDC1_LOCAL=true\n\
    COMMAND=one\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n\
    DISCOVERY_URL=https://inventory.example.com/\n";

/// How a configuration takes a list.
fn laid(ours: &str, list: &str) -> (Loaded, Vec<String>) {
    let held = Held::default();
    let entries = read(list.as_bytes(), 100, &Roll::default()).unwrap().entries;
    let mut roll = Roll::default();
    roll.update(entries, Duration::ZERO, Duration::ZERO, jiff::Timestamp::UNIX_EPOCH);
    held.put(Arc::new(roll), None);
    let env = || Env::new(".env", ours.as_bytes(), BTreeMap::new());
    let loaded = load(&env, Why::Asked, &Surroundings::default(), &held);
    let told = held.left_out().iter().map(ToString::to_string).collect();
    (loaded, told)
}

fn pairs(loaded: &Loaded) -> Vec<String> {
    let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{}", loaded.report));
    config.pairs.iter().map(|pair| pair.name.to_string()).collect()
}

const LIST: &str = r#"[{"targets":["web:80"],"labels":{"site":"DC1","server":"WEB","timeout":"3s"}},
    {"targets":["api:80"],"labels":{"site":"DC3","server":"API"}}]"#;

#[test]
fn pairs_of_a_list_follow_those_of_mappings_and_keys_that_people_set_for_them_win() {
    let (loaded, told) = laid(OURS, LIST);
    assert_eq!((pairs(&loaded), told.len()), (vec!["DC3-SRV4".into(), "DC1-WEB".into(), "DC3-API".into()], 0));
    assert!(loaded.report.is_empty(), "{}", loaded.report);
    let place = loaded.settings.iter().find(|setting| setting.key == "API_URL").unwrap().place.to_string();
    assert_eq!(place, "discovery.json:3: ");

    let ours = format!("{OURS}WEB_TIMEOUT=7s\nDC1_WEB_COMMAND=two\n");
    let config = laid(&ours, LIST).0.config.unwrap();
    let web = &config.servers[&"WEB".to_owned().try_into().unwrap()];
    assert_eq!(web.timeout, Some(Duration::from_secs(7)));
    let commands: Vec<&str> = config.pairs.iter().map(|pair| pair.rungs[0].command.as_str()).collect();
    assert_eq!(commands, ["one", "two", "one"]);
}

#[test]
fn one_target_that_the_configuration_cannot_take_is_left_out_and_the_rest_stays() {
    let list = LIST.replace("3s", "soon");
    let (loaded, told) = laid(OURS, &list);
    assert_eq!(pairs(&loaded), ["DC3-SRV4", "DC3-API"]);
    assert!(told.len() == 1 && told[0].contains("`DC1-WEB` is not taken: WEB_TIMEOUT: found `soon`"), "{told:?}");

    // Keys that somebody wrote for the day the target comes.
    for keys in ["WEB_TIMEOUT=soon\n", "WEB_TIMEOT=3\n", "DC1_WEB_COMMAND_TIMEOUT=soon\n"] {
        let (loaded, told) = laid(&format!("{OURS}{keys}"), LIST);
        assert_eq!(pairs(&loaded), ["DC3-SRV4", "DC3-API"], "{keys}");
        assert!(told.len() == 1 && told[0].contains("`DC1-WEB` is not taken: "), "{keys}: {told:?}");
    }
}

#[test]
fn what_the_configuration_says_itself_stays_untouched() {
    let list = r#"[{"targets":["evil:80"],"labels":{"site":"DC3","server":"SRV4","interval":"5s"}},
        {"targets":["evil:81"],"labels":{"site":"DC9","server":"WEB"}},
        {"targets":["evil:82"],"labels":{"site":"DC3","server":"DC3_HOOK"}}]"#;
    let (loaded, told) = laid(OURS, list);
    assert_eq!((pairs(&loaded), told.len()), (vec!["DC3-SRV4".to_owned()], 3), "{told:?}");
    let config = loaded.config.unwrap();
    let srv4 = &config.servers[&"SRV4".to_owned().try_into().unwrap()];
    assert_eq!((srv4.target.shown(), srv4.interval), ("http://srv4.example.com/", None));
    assert!(config.sites.values().all(|site| site.act.is_none()));
}

#[test]
fn a_configuration_that_is_wrong_itself_is_wrong_with_a_list_too() {
    let (loaded, told) = laid(&OURS.replace("INTERVAL=30", "INTERVAL=soon"), LIST);
    assert!(loaded.config.is_none() && told.is_empty(), "{told:?}");
    assert_eq!(loaded.report.errors().count(), 1, "{}", loaded.report);
}

#[test]
fn without_the_key_there_is_no_list() {
    let ours = OURS.replace("DISCOVERY_URL=https://inventory.example.com/\n", "");
    assert_eq!(pairs(&laid(&ours, LIST).0), ["DC3-SRV4"]);
}

#[test]
fn while_an_agent_runs_nothing_that_it_watches_goes_by_a_slip_of_the_pen() {
    let held = Held::default();
    let entries = read(LIST.as_bytes(), 100, &Roll::default()).unwrap().entries;
    let mut roll = Roll::default();
    roll.update(entries, Duration::ZERO, Duration::ZERO, jiff::Timestamp::UNIX_EPOCH);
    held.put(Arc::new(roll), None);
    let with = |keys: &str, why| {
        let text = format!("{OURS}{keys}");
        load(&|| Env::new(".env", text.as_bytes(), BTreeMap::new()), why, &Surroundings::default(), &held)
    };
    assert_eq!(pairs(&with("WEB_TIMEOUT=soon\n", Why::Asked)).len(), 2, "at the start it is left out");
    held.loaded(Some(OURS.as_bytes().to_vec()));
    held.settle(true);
    let refused = with("WEB_TIMEOUT=soon\n", Why::Asked);
    assert!(refused.config.is_none() && refused.report.to_string().contains("WEB_TIMEOUT"), "{}", refused.report);
    assert_eq!(pairs(&with("WEB_TIMEOUT=soon\n", Why::NewList)).len(), 2, "a new list brings the rest");
    assert_eq!(pairs(&with("", Why::Asked)).len(), 3);
}

#[test]
fn what_was_refused_is_not_what_the_next_list_is_joined_with() {
    let held = Held::default();
    held.loaded(Some(b"good".to_vec()));
    held.settle(true);
    held.loaded(Some(b"refused".to_vec()));
    assert_eq!(held.in_force().as_deref(), Some(b"good".as_slice()));
    held.settle(true);
    assert_eq!(held.in_force().as_deref(), Some(b"good".as_slice()));
    held.loaded(Some(b"better".to_vec()));
    held.settle(true);
    assert_eq!(held.in_force().as_deref(), Some(b"better".as_slice()));
    held.settle(false);
    assert_eq!(held.in_force(), None, "without a list it is not kept");
}
