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
        // What it reads is somebody else's, although the list sets nothing but its URL.
        ("DC3:DC3_SSH", &[], "is a key of the site `DC3` too"),
        ("DC3:ZZ_SSH", &[], "is a key of the site `ZZ` too"),
        ("DC3:DC3_COMMAND", &[], "DC3_COMMAND_TIMEOUT is a key of the"),
        ("DC3:DC3_SRV4_COMMAND_2", &[], "DC3_SRV4_COMMAND_2_TIMEOUT is a key of the"),
        ("DC3:CHECK", &[], "CHECK_TIMEOUT is a key of the agent too"),
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

/// Every name that a key can have after its prefix; of a numbered one, one number.
fn spelled(key: &KeyInfo) -> impl Iterator<Item = String> {
    let name = key.name.replace("{K}", "7");
    let pointer = key.secret.then(|| format!("{name}_FILE"));
    [name].into_iter().chain(pointer)
}

#[test]
fn no_name_of_a_list_takes_a_key_that_exists_without_it() {
    // Every key of the agent, and every key of some site or pair, read as any key of a server, whatever a list calls it.
    let ground = Ground::of(&Env::new(".env", b"", BTreeMap::new()));
    let own: Vec<String> = ground.known.iter().filter(|key| key.scope == Scope::Server).flat_map(spelled).collect();
    let mut tried = 0;
    for key in ground.known.iter().filter(|key| key.scope != Scope::Server) {
        for theirs in spelled(key) {
            for own in &own {
                let Some(head) = theirs.strip_suffix(own).and_then(|head| head.strip_suffix('_')) else { continue };
                let global = key.scope == Scope::Global;
                let names =
                    if global { vec![head.to_owned()] } else { vec![format!("DC3_{head}"), format!("ZZ_{head}")] };
                for name in names {
                    let admitted = admitted(&[entry(&format!("DC3:{name}"), &[])]);
                    assert!(admitted.pairs.is_empty() && admitted.values.is_empty(), "{name}_{own}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn what_the_configuration_sends_goes_where_the_configuration_says() {
    let told = |ours: &str, process: &[(&str, &str)]| {
        let process = process.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let ground = Ground::of(&Env::new(".env", format!("{OURS}{ours}").as_bytes(), process));
        let entries = [entry("DC3:WEB", &[("TIMEOUT", "3s")]), entry("DC3:API", &[])];
        let admitted = admit((2..).zip(&entries), &ground, &BTreeMap::new());
        assert!(admitted.pairs.contains(&entries[1].pair), "{ours}");
        admitted.left_out.first().map(ToString::to_string)
    };
    for key in [
        "PASSWORD",
        "PASSWORD_FILE",
        "USERNAME",
        "BEARER_TOKEN",
        "BEARER_TOKEN_FILE",
        "HEADERS",
        "BODY",
        "METHOD",
        "SEND",
        "CLIENT_CERT",
        "CLIENT_KEY",
        "PUSH_TOKEN",
        "SUBPROTOCOL",
    ] {
        let key = format!("WEB_{key}");
        let expected = format!("`DC3-WEB` has {key} without WEB_URL");
        for told in [told(&format!("{key}=s3cret\n"), &[]), told("", &[(&key, "s3cret")])] {
            let told = told.unwrap_or_else(|| panic!("{key} goes where the list says"));
            assert!(told.starts_with(&expected) && !told.contains("s3cret"), "{told}");
        }
        assert_eq!(told(&format!("{key}=s3cret\nWEB_URL=https://web.example.com/\n"), &[]), None, "{key}");
        assert!(told(&format!("{key}=s3cret\nWEB_URL=\n"), &[]).is_some(), "a blank URL is none: {key}");
        assert_eq!(told(&format!("{key}=\n"), &[]), None, "a blank {key} is not set");
    }
    for key in KEYS.iter().map(|(_, key)| *key).chain(LOOSE.iter().copied()) {
        assert_eq!(told(&format!("WEB_{key}=x\n"), &[]), None, "{key}");
    }
}

#[test]
fn every_key_that_may_go_without_a_url_is_a_key_and_no_secret() {
    let ground = Ground::of(&Env::new(".env", b"", BTreeMap::new()));
    for name in LOOSE {
        let key = ground.known.iter().find(|key| key.scope == Scope::Server && key.name == *name);
        assert!(key.is_some_and(|key| !key.secret), "{name}");
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
        "PASSWORD",
        "USERNAME",
        "FILE",
        "KEY",
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
        let names = |key: &KeyInfo| {
            let pointer = key.secret.then(|| format!("{}_FILE", key.name));
            [key.name.to_owned()].into_iter().chain(pointer).collect::<Vec<_>>()
        };
        let numbered = |name: &str| (2..4).map(|k| name.replace("{K}", &k.to_string())).collect::<BTreeSet<_>>();
        let all = |scope, prefix: String| {
            let of_scope = ground.known.iter().filter(move |key| key.scope == scope);
            let names = of_scope.flat_map(names).flat_map(|name| numbered(&name));
            names.map(move |name| format!("{prefix}{name}"))
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
        for server in admitted.pairs.iter().map(|pair| &pair.server).collect::<BTreeSet<_>>() {
            for key in all(Scope::Server, format!("{server}_")) {
                prop_assert!(!owners.contains_key(&key), "{key} of {server} belongs to {} too", owners[&key]);
            }
        }
    }
}
