//! `.env` files as a whole: python-dotenv's own answers, the seed's file, a file for 10,000 pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use monitor::env::dialect::{self, Parsed};
use monitor::env::{Absent, Catalogue, Env, Key, KeyInfo, Names, Reader, Scope, Secret, Severity, value};
use serde_json::Value;

const CASES: &str = include_str!("data/dotenv-cases.json");

fn bytes(case: &Value) -> Vec<u8> {
    match case["input"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => base64(case["input_base64"].as_str().unwrap_or_default()),
    }
}

/// Decodes the two cases that are not text.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut width) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter_map(|b| DIGITS.iter().position(|d| *d == b)) {
        bits = (bits << 6) | u32::try_from(digit).unwrap_or_default();
        width += 6;
        if width >= 8 {
            width -= 8;
            out.push(u8::try_from((bits >> width) & 0xff).unwrap_or_default());
        }
    }
    out
}

/// What python-dotenv gives as a dictionary: the last of several wins, `null` for a key without `=`.
fn dictionary(parsed: &Parsed) -> BTreeMap<String, Value> {
    parsed.lines.iter().map(|l| (l.key.clone(), l.value.clone().map_or(Value::Null, Value::String))).collect()
}

#[test]
fn every_file_reads_as_python_dotenv_reads_it() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 84);
    for case in cases {
        let input = bytes(case);
        let parsed = dialect::parse(".env", &input, &BTreeMap::new());
        let name = &case["name"];
        let errors: Vec<_> = parsed.problems.iter().filter(|p| p.severity == Severity::Error).collect();
        if case.get("error").is_some() {
            assert!(errors.len() == 1 && errors[0].what.contains("not UTF-8"), "{name}: {errors:?}");
            continue;
        }
        let expected: BTreeMap<String, Value> = serde_json::from_value(case["with_interpolation"].clone()).unwrap();
        assert_eq!(dictionary(&parsed), expected, "{name}");

        // What python-dotenv skips is a problem at the line where it stands.
        let text = String::from_utf8(input).unwrap();
        let skipped: Vec<_> =
            case["skipped_lines"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().trim_end()).collect();
        let told: Vec<_> = errors
            .iter()
            .map(|p| match &p.place {
                monitor::env::Place::File { line: Some(line), .. } => text.lines().nth(*line as usize - 1).unwrap(),
                other => panic!("{name}: a problem without a line: {other:?}"),
            })
            .collect();
        assert_eq!(told, skipped, "{name}");
        assert!(errors.iter().all(|p| p.hint.is_some()), "{name}: a problem without a remedy");
    }
}

const INTERVAL: Key<Duration> = Key::new(Scope::Global, "INTERVAL", value::positive_duration).required();
const COMMAND: Key<String> = Key::new(Scope::Global, "COMMAND", value::text);
const FACTOR: Key<f64> =
    Key::new(Scope::Global, "BACKOFF_FACTOR", |t| value::number(t, &(1.0..=f64::INFINITY))).default("2.0");
const URL: Key<String> = Key::new(Scope::Server, "URL", value::line).required();
const HOST: Key<String> = Key::new(Scope::Site, "SSH_HOST", value::line).required();
const PASSWORD: Key<Secret> = Key::new(Scope::Site, "SSH_PASSWORD", value::secret).secret();
const PAIR_COMMAND: Key<String> = Key::new(Scope::Pair, "COMMAND", value::text).otherwise("as COMMAND");
const PAIR_RUNG: Key<String> = Key::new(Scope::Pair, "COMMAND_{K}", value::text);
const KNOWN: &[KeyInfo] = &[
    INTERVAL.info(),
    COMMAND.info(),
    FACTOR.info(),
    URL.info(),
    HOST.info(),
    PASSWORD.info(),
    PAIR_COMMAND.info(),
    PAIR_RUNG.info(),
];

fn read_file(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

#[test]
fn a_seed_file_is_read_line_by_line_with_a_secret_from_a_real_file() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "pa$$ # word\n").unwrap();
    let text = format!(
        "# Базовые настройки\nINTERVAL=30\nCOMMAND=systemctl restart network-service\nSRV4_URL=http://srv4.example.com/health\n\
         DC3_SSH_HOST=dc3.example.com # main\nDC3_SSH_PASSWORD_FILE={}\nBACKOFF_FACTOR=1.5\n",
        secret.display()
    );
    let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
    let reader = Reader::new(&env, &read_file);
    assert_eq!(reader.global().get(&INTERVAL), Some(Duration::from_secs(30)));
    assert_eq!(reader.global().get(&COMMAND).as_deref(), Some("systemctl restart network-service"));
    assert_eq!(reader.global().get(&FACTOR), Some(1.5));
    assert_eq!(reader.scoped("DC3").get(&HOST).as_deref(), Some("dc3.example.com"));
    assert_eq!(reader.scoped("DC3").get(&PASSWORD), Some(Secret::from("pa$$ # word")));
    assert_eq!(reader.secrets(), ["pa$$ # word"]);
    let names = Names::new([("DC3", "SRV4")]);
    let report = reader.finish(&Catalogue { known: KNOWN, later: &[], names: &names });
    assert!(report.is_empty(), "{report}");
}

#[test]
fn ten_thousand_pairs_load_without_a_quadratic_search_also_when_every_key_is_unknown() {
    let (mut good, mut bad) = (String::new(), String::new());
    for n in 0..10_000 {
        writeln!(
            good,
            "SRV{n}_URL=http://10.0.0.1/{n}\nDC{n}_SSH_HOST=host{n}\nDC{n}_SRV{n}_COMMAND=systemctl restart s{n}"
        )
        .unwrap();
        writeln!(bad, "XRV{n}_UURL=1\nDX{n}_SSH_HOST=2\nDC{n}_SRV{n}_COMAND=3").unwrap();
    }
    let names: Vec<_> = (0..10_000).map(|n| (format!("DC{n}"), format!("SRV{n}"))).collect();
    let mapped = Names::new(names.iter().map(|(dc, srv)| (dc.as_str(), srv.as_str())));
    for (text, clean) in [(good, true), (bad, false)] {
        let begun = tokio::time::Instant::now();
        let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
        let reader = Reader::new(&env, &read_file);
        let mut commands = BTreeSet::new();
        for (dc, srv) in names.iter().filter(|_| clean) {
            assert!(reader.scoped(srv).get(&URL).is_some() && reader.scoped(dc).get(&HOST).is_some());
            let pair = reader.scoped(&format!("{dc}_{srv}"));
            commands.extend(pair.get(&PAIR_COMMAND));
            assert!(pair.numbered(&PAIR_RUNG).is_empty());
        }
        let report = reader.finish(&Catalogue { known: KNOWN, later: &[], names: &mapped });
        assert_eq!((commands.len() == 10_000, report.is_empty()), (clean, clean));
        // Well under a second alone, several on a busy machine; a quadratic search takes minutes.
        let took = begun.elapsed();
        assert!(took < Duration::from_mins(1), "{took:?}");
    }
}

#[test]
fn the_table_says_what_holds_when_a_key_is_not_set() {
    assert_eq!(INTERVAL.info().absent, Absent::Required);
    assert_eq!(PAIR_COMMAND.info().to_string(), "{DC}_{SRV}_COMMAND");
}
