//! The generated references are what the table of keys says, and the sample file is a file that passes.

use std::path::Path;

use monitor::cli::reference::files;

#[test]
fn the_generated_references_are_up_to_date() {
    for (path, expected) in files() {
        let found = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap_or_default();
        assert!(found == expected, "{path} is stale: run `cargo run -- reference --write` and commit what it wrote");
    }
}

#[test]
fn every_key_stands_in_both_references() {
    let files = files();
    for key in monitor::config::groups().iter().flat_map(|group| group.keys) {
        let sample = monitor::env::reference::sample_name(key);
        assert!(
            files[0].1.lines().any(|line| line.trim_start_matches('#').starts_with(&format!("{sample}="))),
            "{sample}"
        );
        assert!(files[1].1.contains(&format!("| `{key}` |")), "{key}");
    }
}
