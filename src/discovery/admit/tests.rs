use proptest::prelude::*;

use super::*;

const OURS: &str = "MAPPINGS=DC3:SRV4,DC1:A_B\nDC3_SSH_HOST=h\nDC1_LOCAL=true\nDC3_EU_SSH_HOST=h\nDC5_COMMAND=x\n";

fn entry(pair: &str, keys: &[(&'static str, &str)]) -> Entry {
    let url = [("URL", format!("http://{}/", pair.replace(':', ".")))].into_iter();
    let keys = keys.iter().map(|(key, text)| (*key, (*text).to_owned()));
    Entry { pair: pair.parse().unwrap(), keys: url.chain(keys).collect() }
}

fn admitted(entries: &[Entry]) -> Admitted {
    let ground = Ground::of(&Env::new(".env", OURS.as_bytes(), BTreeMap::new()));
    admit((2..).zip(entries), &ground, &BTreeMap::new())
}

#[test]
fn what_is_admitted_becomes_a_pair_and_keys_with_the_line_of_the_roll() {
    let admitted = admitted(&[entry("DC3:WEB", &[("TIMEOUT", "3s")]), entry("DC3_EU:API", &[])]);
    assert_eq!(admitted.left_out, []);
    assert_eq!(admitted.pairs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["DC3-WEB", "DC3_EU-API"]);
    let value = |key: &str, text: &str, line| (key.to_owned(), text.to_owned(), line);
    assert_eq!(
        admitted.values,
        [
            value("WEB_URL", "http://DC3.WEB/", 2),
            value("WEB_TIMEOUT", "3s", 2),
            value("API_URL", "http://DC3_EU.API/", 3)
        ]
    );
}

#[test]
fn what_is_not_admitted_says_why() {
    for (pair, keys, expected) in [
        ("DC9:WEB", &[][..], "names the site `DC9`, which has no DC9_SSH_HOST"),
        ("DC5:WEB", &[], "names the site `DC5`"),
        ("DC3:SRV4", &[], "of a server in MAPPINGS, which stays as it is"),
        ("DC1:SRV4", &[], "of a server in MAPPINGS, which stays as it is"),
        // Its URL would be somebody else's key.
        ("DC3:DC3_HOOK", &[], "DC3_HOOK_URL is a key of the site `DC3` too"),
        ("DC3:WEB_HOOK", &[], "WEB_HOOK_URL is a key of the site `WEB` too"),
        ("DC3:DATABASE", &[], "DATABASE_URL is a key of the agent too"),
        ("DC3:HEARTBEAT", &[], "HEARTBEAT_URL is a key of the agent too"),
        ("DC3:TELEGRAM_API", &[], "TELEGRAM_API_URL is a key of the agent too"),
        ("DC3:DISCOVERY", &[], "DISCOVERY_URL is a key of the agent too"),
        ("DC3:CHECK", &[("TIMEOUT", "3s")], "CHECK_TIMEOUT is a key of the agent too"),
        ("DC3:COMMAND", &[("TIMEOUT", "3s")], "COMMAND_TIMEOUT is a key of the agent too"),
        ("DC3:MAX", &[("INTERVAL", "3s")], "MAX_INTERVAL is a key of the agent too"),
        ("DC3:DC1_COMMAND", &[("TIMEOUT", "3s")], "DC1_COMMAND_TIMEOUT is a key of the"),
        // Its commands would be somebody else's.
        ("DC3:EU", &[], "DC3_EU_COMMAND is a key of the site `DC3_EU` too"),
        ("DC3:RECOVERY", &[], "DC3_RECOVERY_COMMAND is a key of the site `DC3` too"),
        ("DC1:A_B_RECOVERY", &[], "DC1_A_B_RECOVERY_COMMAND is a key of the pair `DC1_A_B` too"),
    ] {
        let admitted = admitted(&[entry(pair, keys)]);
        assert_eq!((admitted.pairs.len(), admitted.values.len(), admitted.left_out.len()), (0, 0, 1), "{pair}");
        let told = admitted.left_out[0].to_string();
        assert!(told.contains(expected), "{pair}: {told}");
    }
}

#[test]
fn among_the_list_itself_the_first_one_stays() {
    let told = |entries: &[Entry]| {
        let admitted = admitted(entries);
        let pairs: Vec<String> = admitted.pairs.iter().map(ToString::to_string).collect();
        (pairs, admitted.left_out.first().map(ToString::to_string).unwrap_or_default())
    };
    let (pairs, why) = told(&[entry("DC3:EU_X", &[]), entry("DC3_EU:X", &[])]);
    assert_eq!(pairs, ["DC3-EU_X"]);
    assert!(why.contains("DC3_EU_X_COMMAND would mean both"), "{why}");
    let (pairs, why) = told(&[entry("DC3:WEB", &[]), entry("DC1:WEB", &[])]);
    assert_eq!((pairs.len(), why.contains("of another target")), (1, true), "{why}");
    let (pairs, why) = told(&[entry("DC3:X_RECOVERY", &[]), entry("DC3:X", &[])]);
    assert_eq!(pairs, ["DC3-X_RECOVERY"]);
    assert!(why.contains("DC3_X_RECOVERY_COMMAND is a key of the pair `DC3_X_RECOVERY` too"), "{why}");
    let twin = Entry { pair: "DC1:WEB".parse().unwrap(), ..entry("DC3:WEB", &[]) };
    let admitted = admitted(&[entry("DC3:WEB", &[]), twin]);
    assert_eq!((admitted.pairs.len(), admitted.values.len()), (2, 1), "one server on two sites is set once");
}

#[test]
fn no_name_of_a_list_sets_a_key_that_exists_without_it() {
    // Every key of the agent, and every key of some site or pair, whatever the list calls its targets.
    let known = config::groups().iter().flat_map(|group| group.keys);
    for key in known.filter(|key| key.scope != Scope::Server) {
        for (_, own) in KEYS.iter().chain([&("", URL)]) {
            let Some(head) = key.name.strip_suffix(own).and_then(|head| head.strip_suffix('_')) else { continue };
            let head = head.replace("{K}", "7");
            let names =
                if key.scope == Scope::Global { vec![head] } else { vec![format!("DC3_{head}"), format!("ZZ_{head}")] };
            for name in names {
                let keys: &[(&'static str, &str)] = if *own == URL { &[] } else { &[(own, "5s")] };
                let admitted = admitted(&[entry(&format!("DC3:{name}"), keys)]);
                let known = Ground::of(&Env::new(".env", b"", BTreeMap::new())).knows(own);
                assert!(!known || admitted.values.is_empty(), "{name}_{own}: {:?}", admitted.values);
            }
        }
    }
}

/// Names made of the words that keys are made of.
fn name() -> impl Strategy<Value = String> {
    let words = [
        "DC3",
        "DC1",
        "EU",
        "A",
        "B",
        "SRV4",
        "HOOK",
        "COMMAND",
        "RECOVERY",
        "2",
        "SSH",
        "HOST",
        "CHECK",
        "MAX",
        "VERIFY",
        "WINDOW",
        "MODE",
        "TIMEOUT",
        "URL",
        "INTERVAL",
        "LOCAL",
        "WITNESS",
        "STATE",
        "HEARTBEAT",
        "DISCOVERY",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 1..4).prop_map(|words| words.join("_"))
}

proptest! {
    #[test]
    fn however_targets_are_called_no_key_has_two_owners(
        targets in proptest::collection::vec((proptest::sample::select(vec!["DC3", "DC1", "DC3_EU", "DC5"]), name(), any::<bool>()), 1..6)
    ) {
        let keys = |slow: bool| if slow { vec![("TIMEOUT", "3s"), ("INTERVAL", "5s")] } else { Vec::new() };
        let entries: Vec<Entry> =
            targets.iter().map(|(site, server, slow)| entry(&format!("{site}:{server}"), &keys(*slow))).collect();
        let ground = Ground::of(&Env::new(".env", OURS.as_bytes(), BTreeMap::new()));
        let admitted = admit((2..).zip(&entries), &ground, &BTreeMap::new());
        prop_assert_eq!(admitted.pairs.len() + admitted.left_out.len(), entries.len());
        let numbered = |name: &str| (2..4).map(|k| name.replace("{K}", &k.to_string())).collect::<BTreeSet<_>>();
        let all = |scope, prefix: String| {
            let of_scope = ground.known.iter().filter(move |key| key.scope == scope);
            of_scope.flat_map(move |key| numbered(key.name)).map(move |name| format!("{prefix}{name}"))
        };
        let pairs: Vec<&PairName> = ground.mapped.iter().chain(&admitted.pairs).collect();
        // Whose key each key is, besides those of servers.
        let mut owners: HashMap<String, String> = HashMap::new();
        let agent = all(Scope::Global, String::new()).map(|key| (key, "agent".to_owned()));
        let sites = ground.sites.iter().flat_map(|site| all(Scope::Site, format!("{site}_")).map(move |key| (key, site.to_string())));
        owners.extend(agent.chain(sites));
        for pair in pairs {
            for key in all(Scope::Pair, format!("{}_", prefix(pair))) {
                if let Some(other) = owners.insert(key.clone(), pair.to_string()) {
                    prop_assert!(false, "{key} belongs to {pair} and to {other}");
                }
            }
        }
        for (key, ..) in &admitted.values {
            prop_assert!(!owners.contains_key(key), "{key} belongs to {} too", owners[key]);
        }
    }
}
