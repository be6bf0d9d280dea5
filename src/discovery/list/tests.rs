use proptest::prelude::*;

use super::super::Roll;
use super::*;

const AT_ONCE: crate::discovery::Rules = crate::discovery::Rules { grace: std::time::Duration::ZERO, limit: 100 };

fn listed(text: &str) -> Listed {
    read(text.as_bytes(), 100, &Roll::default()).unwrap_or_else(|broken| panic!("{text}: {broken}"))
}

fn pairs(listed: &Listed) -> Vec<String> {
    listed.entries.iter().map(|entry| format!("{} {}", entry.pair, entry.url())).collect()
}

#[test]
fn the_documented_form_becomes_pairs_one_for_each_target() {
    let listed = listed(
        r#"[{"targets": ["10.0.10.2:9100", "10.0.10.3:9100"],
             "labels": {"site": "DC3", "__meta_datacenter": "london", "__meta_prometheus_job": "node"}},
            {"targets": ["web.example.org"],
             "labels": {"site": "DC1", "server": "WEB", "__scheme__": "https", "__metrics_path__": "/health"}},
            {"targets": [], "labels": null}, {"labels": {}}, {"targets": null}]"#,
    );
    assert_eq!(
        pairs(&listed),
        [
            "DC3-10_0_10_2_9100 http://10.0.10.2:9100",
            "DC3-10_0_10_3_9100 http://10.0.10.3:9100",
            "DC1-WEB https://web.example.org/health",
        ]
    );
    assert_eq!(listed.left_out, []);
    assert_eq!(read(b"\xef\xbb\xbf[]", 1, &Roll::default()).unwrap(), Listed::default());
}

#[test]
fn what_is_no_list_is_broken_as_a_whole() {
    for text in [
        "",
        "null",
        "{}",
        "[1]",
        "[[]",
        "[] []",
        "[{\"targets\": \"a:1\"}]",
        "[{\"targets\": {}}]",
        "[{\"labels\": []}]",
        "[{\"targets\": [], \"targets\": []}]",
        "<html>",
        "\u{0}",
    ] {
        let broken = read(text.as_bytes(), 100, &Roll::default()).unwrap_err();
        assert!(matches!(broken, Broken::Shape(_)), "{text}: {broken}");
        assert!(broken.to_string().chars().count() < 200, "{broken}");
    }
    assert!(matches!(read(b"[{\"targets\":[\"\xff\"]}]", 9, &Roll::default()), Err(Broken::Shape(_))));
    let hostile = format!("[{{\"targets\": \"{}\u{1b}[2J\"}}]", "x".repeat(9999));
    let told = read(hostile.as_bytes(), 9, &Roll::default()).unwrap_err().to_string();
    assert!(!told.contains('\u{1b}') && told.len() < 300, "{told}");
    let deep = format!("[{{\"x\": {}", "[".repeat(100_000));
    assert!(read(deep.as_bytes(), 9, &Roll::default()).is_err());
}

#[test]
fn a_list_that_is_too_long_is_refused_and_one_at_the_limit_is_not() {
    let of = |count: usize| {
        let targets: Vec<String> = (0..count).map(|n| format!("\"h{n}:1\"")).collect();
        format!("[{{\"targets\": [{}], \"labels\": {{\"site\": \"DC3\"}}}}]", targets.join(","))
    };
    assert_eq!(listed(&of(100)).entries.len(), 100);
    assert_eq!(read(of(101).as_bytes(), 100, &Roll::default()), Err(Broken::TooLong(100)));
    let odd = format!("[{}{{}}]", "{\"targets\":[0,0,0]},".repeat(40));
    assert_eq!(read(odd.as_bytes(), 100, &Roll::default()), Err(Broken::TooLong(100)));
    let late = format!("{}, oops", of(101).trim_end_matches(']'));
    assert!(
        matches!(read(late.as_bytes(), 100, &Roll::default()), Err(Broken::Shape(_))),
        "too long and broken is broken"
    );
}

#[test]
fn one_bad_target_is_left_out_and_the_rest_stays() {
    let listed = listed(
        r#"[{"targets": ["a:1", 7, null, {"x": [1]}, "no address!", "b:1"], "labels": {"site": "DC3"}},
            {"targets": ["c:1"], "labels": {"site": ["DC3"]}},
            {"targets": ["d:1"], "labels": {"site": "DC3", "attempts": 2, "job": {"not": "ours"}}}]"#,
    );
    assert_eq!(pairs(&listed), ["DC3-A_1 http://a:1", "DC3-B_1 http://b:1", "DC3-D_1 http://d:1"]);
    assert_eq!(listed.entries[2].keys[1], ("ATTEMPTS", "2".to_owned()));
    let told: Vec<String> = listed.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for part in ["3 target(s)", "`no address!` is no address", "`c:1` has a label `site` that is no text"] {
        assert!(told.iter().any(|line| line.contains(part)), "no {part} in {told:?}");
    }
}

#[test]
fn of_two_with_one_name_the_known_one_stays_else_the_first() {
    let text = r#"[{"targets": ["a-b:1", "a.b:1"], "labels": {"site": "DC3"}},
                   {"targets": ["a-b:1"], "labels": {"site": "DC1"}}, {"targets": ["a-b:1"], "labels": {"site": "DC3"}}]"#;
    let first = listed(text);
    assert_eq!(pairs(&first), ["DC3-A_B_1 http://a-b:1", "DC1-A_B_1 http://a-b:1"], "one server may have two pairs");
    assert_eq!(first.left_out.len(), 1);
    assert!(first.left_out[0].to_string().contains("`http://a.b:1` has the name `A_B_1` of another target"));

    let mut known = Roll::default();
    let other = listed(r#"[{"targets": ["a.b:1"], "labels": {"site": "DC3"}}]"#);
    known.update(other.entries, std::time::Duration::ZERO, AT_ONCE, jiff::Timestamp::UNIX_EPOCH);
    let second = read(text.as_bytes(), 100, &known).unwrap();
    assert_eq!(pairs(&second), ["DC3-A_B_1 http://a.b:1"]);
}

/// JSON that looks like a list, and lists with one byte wrong.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[a-z0-9.:/@-]{0,12}",
        Just("exec:./x".to_owned()),
        Just("https://u:p@h/".to_owned()),
        Just("DC3".to_owned()),
        any::<String>()
    ];
    let label = prop_oneof![
        Just("site".to_owned()),
        Just("server".to_owned()),
        Just("__scheme__".to_owned()),
        Just("__param_x".to_owned()),
        Just("interval".to_owned()),
        Just("COMMAND".to_owned()),
        any::<String>()
    ];
    let labels = proptest::collection::btree_map(label, text.clone(), 0..6);
    let group = (proptest::collection::vec(text, 0..5), labels);
    let json = proptest::collection::vec(group, 0..5).prop_map(|groups| {
        let groups: Vec<_> = groups
            .into_iter()
            .map(|(targets, labels)| serde_json::json!({ "targets": targets, "labels": labels }))
            .collect();
        serde_json::to_vec(&groups).unwrap()
    });
    (json, any::<Option<(proptest::sample::Index, u8)>>()).prop_map(|(mut json, change)| {
        if let Some((at, byte)) = change {
            let at = at.index(json.len());
            json[at] = byte;
        }
        json
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, 10, &Roll::default());
    }

    #[test]
    fn whatever_is_listed_runs_nothing_holds_no_login_and_can_be_written_down(bytes in nearly()) {
        if let Ok(listed) = read(&bytes, 20, &Roll::default()) {
            prop_assert!(listed.entries.len() + listed.left_out.len() <= 20);
            for entry in &listed.entries {
                let scheme = entry.url().split(':').next().unwrap_or_default().to_ascii_lowercase();
                prop_assert!(crate::probe::listable().any(|known| known == scheme), "{}", entry.url());
                let known = |key: &str| key == "URL" || target::KEYS.iter().any(|(_, known)| *known == key);
                prop_assert!(entry.keys.iter().all(|(key, text)| known(key) && !text.contains('\n')));
                prop_assert!(crate::probe::Target::parse(entry.url()).is_ok());
                let again = Entry::again(entry.pair.clone(), entry.keys.iter().map(|(key, text)| ((*key).to_owned(), text.clone())).collect());
                prop_assert_eq!(again.as_ref(), Ok(entry));
            }
            for one in &listed.left_out {
                prop_assert!(!one.to_string().contains("u:p@") && one.to_string().chars().count() < 1000);
            }
            let mut roll = Roll::default();
            roll.update(listed.entries, std::time::Duration::ZERO, AT_ONCE, jiff::Timestamp::UNIX_EPOCH);
            let text = super::super::stored::write(&roll);
            prop_assert_eq!(super::super::stored::read(text.as_bytes()), Ok((roll, 0)));
        }
    }
}
