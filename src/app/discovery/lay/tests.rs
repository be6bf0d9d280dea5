use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::super::Base;
use super::*;
use crate::discovery::read;

const AT_ONCE: crate::discovery::Rules = crate::discovery::Rules { grace: std::time::Duration::ZERO, limit: 100 };

const OURS: &str = "INTERVAL=30\nMAPPINGS=DC3:SRV4\nSRV4_URL=http://srv4.example.com/\nDC3_LOCAL=true\nDC1_LOCAL=true\n\
    COMMAND=one\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=-1001234567890\n\
    DISCOVERY_URL=https://inventory.example.com/\n";

/// How a configuration takes a list.
fn laid(ours: &str, list: &str) -> (Loaded, Vec<String>) {
    let held = holding(list);
    let env = || Env::new(".env", ours.as_bytes(), BTreeMap::new());
    let loaded = load(&env, Why::Asked, &Surroundings::default(), &held);
    let told = held.left_out().iter().map(ToString::to_string).collect();
    (loaded, told)
}

/// What is held of a list.
fn holding(list: &str) -> Held {
    let held = Held::default();
    put(&held, list);
    held
}

fn put(held: &Held, list: &str) {
    let entries = read(list.as_bytes(), 100, &Roll::default()).unwrap().entries;
    let mut roll = Roll::default();
    roll.update(entries, Duration::ZERO, AT_ONCE, jiff::Timestamp::UNIX_EPOCH);
    held.put(Arc::new(roll), None);
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
    let held = holding(LIST);
    let with = |keys: &str, why| {
        let text = format!("{OURS}{keys}");
        load(&|| Env::new(".env", text.as_bytes(), BTreeMap::new()), why, &Surroundings::default(), &held)
    };
    assert_eq!(pairs(&with("WEB_TIMEOUT=soon\n", Why::Asked)).len(), 2, "at the start it is left out");
    held.loaded(Some(OURS.as_bytes().to_vec()));
    held.settle(true);
    assert_eq!(pairs(&with("WEB_TIMEOUT=soon\n", Why::Asked)).len(), 2, "what was left out is not watched");
    assert_eq!(pairs(&with("", Why::Asked)).len(), 3);
    held.settle(true);
    let refused = with("WEB_TIMEOUT=soon\n", Why::Asked);
    assert!(refused.config.is_none() && refused.report.to_string().contains("WEB_TIMEOUT"), "{}", refused.report);
    assert_eq!(pairs(&with("WEB_TIMEOUT=soon\n", Why::NewList)).len(), 2, "a new list brings the rest");
    assert_eq!(pairs(&with("", Why::Asked)).len(), 3);
}

/// A site that has a hook and no host cannot take a pair with a command of its own.
const HOSTLESS: &str = "DC4_HOOK_URL=http://127.0.0.1/hook\nDC4_WEB_COMMAND=two\n";

/// The configuration, and the same with a list whose last target is such a pair.
fn hostless() -> (String, String, String) {
    let ours = format!("{}{HOSTLESS}", OURS.replace("COMMAND=one\n", "DC3_COMMAND=one\nDC1_COMMAND=one\n"));
    let target = |site: &str, server: &str| {
        format!(r#"{{"targets":["{}:80"],"labels":{{"site":"{site}","server":"{server}"}}}}"#, server.to_lowercase())
    };
    let good = [target("DC3", "API"), target("DC4", "SHOP")];
    (ours, format!("[{}]", good.join(",")), format!("[{},{}]", good.join(","), target("DC4", "WEB")))
}

#[test]
fn a_target_that_its_site_cannot_take_freezes_nobody_else() {
    let (ours, good, bad) = hostless();
    let held = holding(&good);
    let with = |text: &str, why| {
        load(&|| Env::new(".env", text.as_bytes(), BTreeMap::new()), why, &Surroundings::default(), &held)
    };
    let told = || held.left_out().iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = ["DC3-SRV4", "DC3-API", "DC4-SHOP"];
    assert_eq!(pairs(&with(&ours, Why::Asked)), all);
    held.loaded(Some(ours.clone().into_bytes()));
    held.settle(true);
    put(&held, &bad);
    for why in [Why::NewList, Why::Asked, Why::NewList] {
        assert_eq!(pairs(&with(&ours, why)), all, "{why:?}");
        assert!(told().len() == 1 && told()[0].contains("`DC4-WEB` is not taken: DC4_SSH_HOST"), "{:?}", told());
        held.settle(true);
    }
    // Where nobody watches yet, the site stands back, and no other.
    let (loaded, told) = laid(&ours, &bad);
    assert_eq!((pairs(&loaded), told.len()), (vec!["DC3-SRV4".to_owned(), "DC3-API".to_owned()], 2), "{told:?}");
    // An error that a watched pair is part of is told, as any other is.
    let broken = with(&ours.replace("DC4_HOOK_URL=http", "DC4_HOOK_URL=nonsense"), Why::Asked);
    assert!(broken.config.is_none(), "{}", broken.report);
}

#[test]
fn a_mapped_pair_that_its_site_cannot_take_is_a_mistake_of_the_configuration() {
    let (ours, good, _) = hostless();
    let ours = ours.replace("MAPPINGS=DC3:SRV4", "MAPPINGS=DC3:SRV4,DC4:WEB\nWEB_URL=http://web.example.com/");
    let (loaded, told) = laid(&ours, &good);
    assert!(loaded.config.is_none() && told.is_empty(), "{told:?}");
    assert_eq!(loaded.report.errors().count(), 1, "{}", loaded.report);
}

#[test]
fn an_agent_without_a_file_keeps_what_it_watches_too() {
    let held = holding(LIST);
    let process = |keys: &str| -> BTreeMap<String, String> {
        let text = format!("{OURS}{keys}");
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let with = |keys: &str| {
        let env = || Env::without_file(process(keys));
        load(&env, Why::Asked, &Surroundings::default(), &held)
    };
    assert_eq!(pairs(&with("")).len(), 3);
    held.loaded(None);
    held.settle(true);
    assert!(matches!(held.in_force(), Some(Base::Environment)));
    assert!(with("WEB_TIMEOUT=soon\n").config.is_none(), "a pair that is watched went");
    // A list that cannot be joined changes nothing.
    assert!(with("INTERVAL=soon\n").config.is_none());
    assert_eq!(held.watched().unwrap().len(), 2);
}

#[test]
fn what_was_refused_is_not_what_the_next_list_is_joined_with() {
    let held = Held::default();
    let file = || match held.in_force()? {
        Base::File(bytes) => Some(bytes.expose_secret().to_vec()),
        Base::Environment => panic!("it came from a file"),
    };
    held.loaded(Some(b"good".to_vec()));
    held.settle(true);
    held.loaded(Some(b"refused".to_vec()));
    assert_eq!(file(), Some(b"good".to_vec()));
    held.settle(true);
    assert_eq!(file(), Some(b"good".to_vec()));
    held.loaded(Some(b"better".to_vec()));
    held.settle(true);
    assert_eq!(file(), Some(b"better".to_vec()));
    held.settle(false);
    assert_eq!(file(), None, "without a list it is not kept");
}
