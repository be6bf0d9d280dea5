use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    (folder, path)
}

/// A chain of `n` records, its bytes and its head.
fn chain(n: usize) -> (TempDir, PathBuf, Vec<u8>, Head) {
    let (folder, path) = file();
    let (log, opened) = AuditLog::open(&path).unwrap();
    let mut head = opened.head;
    for number in 0..n {
        let record = json!({"command": format!("restart \"{number}\",\"hash\":\"x"), "output": "é\u{0}\n,\"prev\":\""});
        head = log.append_now(Kind::Command, &record).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    (folder, path, bytes, head)
}

fn broken(path: &Path, head: &Head) -> Option<Broken> {
    match verify(path, Some(head)).unwrap() {
        Verification::Broken(broken) => Some(broken),
        Verification::Verified(_) => None,
    }
}

#[test]
fn a_chain_goes_on_after_it_was_opened_again_and_is_proved_whole() {
    let (_folder, path, _, head) = chain(3);
    let (log, opened) = AuditLog::open(&path).unwrap();
    assert_eq!(opened, Opened { head, torn: None });
    let head = log.append_now(Kind::Stop, &json!({})).unwrap();
    let proof = Verified { records: 4, first: 1, last: 4, head_hash: head.hash.clone() };
    assert_eq!(verify(&path, Some(&head)).unwrap(), Verification::Verified(proof));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(head.to_string().parse::<Head>(), Ok(head));
}

#[test]
fn anybody_can_check_a_line_with_sed_and_sha256sum() {
    let (_folder, path, bytes, head) = chain(2);
    let script = r#"sed -n 2p "$0" | sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum | cut -c1-64"#;
    let output = std::process::Command::new("sh").arg("-c").arg(script).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), head.hash);
    for line in String::from_utf8(bytes).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["kind"], "command");
    }
}

#[test]
fn a_torn_last_line_is_moved_aside_and_the_chain_goes_on() {
    let (_folder, path, mut bytes, head) = chain(2);
    bytes.extend_from_slice(b"{\"seq\":3,\"prev\":\"");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(broken(&path, &head).unwrap().line, 3);
    let (log, opened) = AuditLog::open(&path).unwrap();
    let aside = opened.torn.unwrap();
    assert_eq!(std::fs::read(&aside).unwrap(), b"{\"seq\":3,\"prev\":\"\n");
    let head = log.append_now(Kind::Start, &json!({})).unwrap();
    assert_eq!((head.seq, broken(&path, &head)), (3, None));
}

#[test]
fn a_last_line_that_is_no_record_is_named() {
    let (_folder, path) = file();
    std::fs::write(&path, "hello\n").unwrap();
    let error = AuditLog::open(&path).unwrap_err();
    assert!(matches!(error, AuditError::Tail { .. }) && error.to_string().contains("move it away"), "{error}");
}

#[test]
fn records_cut_off_at_the_end_are_seen_through_the_head_kept_elsewhere() {
    let (_folder, path, bytes, head) = chain(3);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&path, lines[..2].concat()).unwrap();
    assert_eq!(broken(&path, &head).unwrap().what, "records are missing at the end");
    assert!(matches!(verify(&path, None).unwrap(), Verification::Verified(_)));
    // Written anew by somebody who knows the format: the chain is sound and is not ours.
    std::fs::remove_file(&path).unwrap();
    let (log, _) = AuditLog::open(&path).unwrap();
    for _ in 0..3 {
        log.append_now(Kind::Command, &json!({"command": "true"})).unwrap();
    }
    assert_eq!(broken(&path, &head).unwrap().what, "the record is not the one whose hash was kept elsewhere");
}

#[test]
fn a_full_disk_keeps_records_in_memory_and_the_next_append_writes_them() {
    let (_folder, path, _, _) = chain(1);
    let (log, _) = AuditLog::open(&path).unwrap();
    let real = {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        std::mem::replace(&mut log.tail.lock().unwrap().file, full)
    };
    for waiting in 1..=2 {
        let error = log.append_now(Kind::Command, &json!({"n": waiting})).unwrap_err();
        assert!(matches!(error, AuditError::Later { waiting: w, .. } if w == waiting), "{error:?}");
    }
    assert_eq!(log.waiting(), 2);
    let large = json!({"output": "x".repeat(1_000_000)});
    let full =
        (0..20).map(|_| log.append_now(Kind::Command, &large)).any(|answer| matches!(answer, Err(AuditError::Full)));
    assert!(full, "memory has no bound");
    log.tail.lock().unwrap().file = real;
    let head = log.append_now(Kind::Stop, &json!({})).unwrap();
    assert_eq!((log.waiting(), broken(&path, &head)), (0, None));
    assert!(head.seq > 4);
}

#[test]
fn a_record_longer_than_a_line_is_refused_and_takes_no_number() {
    let (_folder, path, _, head) = chain(1);
    let (log, _) = AuditLog::open(&path).unwrap();
    let error = log.append_now(Kind::Command, &json!({"output": "x".repeat(MAX_LINE)})).unwrap_err();
    assert!(matches!(error, AuditError::Unwritable(_)));
    assert_eq!(log.append_now(Kind::Stop, &json!({})).unwrap().seq, head.seq + 1);
}

#[test]
fn every_deleted_swapped_and_doubled_line_is_seen() {
    let (_folder, path, bytes, head) = chain(5);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    for one in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(one);
        let mut doubled = lines.clone();
        doubled.insert(one, lines[one]);
        let swaps = (0..one).map(|other| {
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            swapped
        });
        for changed in swaps.chain([without, doubled]) {
            std::fs::write(&path, changed.concat()).unwrap();
            assert!(broken(&path, &head).is_some(), "line {one}");
        }
    }
}

#[test]
fn every_byte_is_covered() {
    let (_folder, path, bytes, head) = chain(2);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        std::fs::write(&path, &changed).unwrap();
        assert!(broken(&path, &head).is_some(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn any_flip_and_any_cut_is_seen(at in 0usize..10_000, flip in 1u8..=255, cut in 1usize..500) {
        let (_folder, path, bytes, head) = chain(3);
        let at = at % bytes.len();
        let mut changed = bytes.clone();
        changed[at] ^= flip;
        std::fs::write(&path, &changed).unwrap();
        prop_assert!(broken(&path, &head).is_some());
        let mut changed = bytes.clone();
        changed.drain(at..(at + cut).min(bytes.len()));
        std::fs::write(&path, &changed).unwrap();
        prop_assert!(broken(&path, &head).is_some());
    }
}
