//! The dependency tree holds what `.deny.toml` allows; cargo-deny says more, but takes many minutes to install.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn no_crate_is_banned_badly_licensed_or_from_elsewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let tree: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = std::fs::read_to_string(root.join(".deny.toml")).unwrap();
    let packages = tree["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "the tree has only {} crates", packages.len());
    let wrong = complaints(packages, &banned(&rules), &allowed(&rules));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn complaints(packages: &[Value], banned: &[String], allowed: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        if package["source"].is_null() {
            continue;
        }
        if banned.iter().any(|ban| ban == name) {
            out.push(format!("{name} {version} is banned in .deny.toml: `cargo tree -i {name}` shows who wants it"));
        }
        if text("source") != CRATES_IO {
            out.push(format!("{name} {version} comes from {}: only crates.io is allowed", text("source")));
        }
        if !acceptable(text("license"), allowed) {
            out.push(format!(
                "{name} {version} is under {:?}: not in the licences of .deny.toml; replace it or argue for it there",
                text("license")
            ));
        }
    }
    out
}

/// Whether an SPDX expression can be met with the allowed licences. `/` is the old spelling of OR.
fn acceptable(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    !words.is_empty() && any(&mut rest, allowed) && rest.is_empty()
}

fn any(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any(words, allowed);
            if let [")", rest @ ..] = *words {
                *words = rest;
            }
            met
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, rest @ ..] => {
            *words = rest;
            allowed.iter().any(|known| known == licence)
        }
        [] => false,
    }
}

/// The part of `.deny.toml` between a section's name and the next.
fn section<'a>(rules: &'a str, name: &str) -> &'a str {
    let (_, after) = rules.split_once(&format!("\n[{name}]\n")).expect("section of .deny.toml");
    after.split_once("\n[").map_or(after, |(section, _)| section)
}

fn banned(rules: &str) -> Vec<String> {
    let lines = section(rules, "bans").lines();
    lines.filter_map(|line| Some(line.split_once("{ name = \"")?.1.split_once('"')?.0.to_owned())).collect()
}

fn allowed(rules: &str) -> Vec<String> {
    let lines = section(rules, "licenses").lines();
    lines.filter_map(|line| Some(line.trim().strip_prefix('"')?.strip_suffix("\",")?.to_owned())).collect()
}

#[test]
fn the_rules_are_read_and_licences_are_weighed() {
    let rules = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".deny.toml")).unwrap();
    for name in ["openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys"] {
        assert!(banned(&rules).iter().any(|ban| ban == name), "{name}");
    }
    let allowed = allowed(&rules);
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 OR GPL-2.0-only",
        "(MIT OR GPL-3.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(acceptable(good, &allowed), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 OR AGPL-3.0", "MIT)", "MIT ISC", "GPL-2.0 WITH LLVM-exception"]
    {
        assert!(!acceptable(bad, &allowed), "{bad}");
    }
    let package = |name: &str, license: &str, source: &str| serde_json::json!({ "name": name, "version": "1", "license": license, "source": source });
    let tree = [
        package("openssl-sys", "MIT", CRATES_IO),
        package("copyleft", "GPL-3.0-only", CRATES_IO),
        package("fork", "MIT", "git+https://example.org/fork"),
        package("fine", "MIT", CRATES_IO),
    ];
    let found = complaints(&tree, &banned(&rules), &allowed);
    assert_eq!(found.len(), 3, "{found:?}");
}
