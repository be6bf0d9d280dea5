//! The tutorial is followed to the letter: every block of it is typed into one shell.

use std::path::Path;

use super::stage::{MONITOR, Stage};

#[test]
fn every_command_of_the_tutorial_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial/heat.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = |language: &str| -> Vec<String> {
        let opening = format!("```{language}\n");
        let parts = page.split(&opening).skip(1);
        parts.map(|part| part.split("\n```").next().unwrap().to_owned()).collect()
    };
    let mut stage = Stage::new();
    let typed = blocks("sh").join("\n");
    // A reader builds it; it is built here.
    let typed = typed.replace("cargo build --release --locked", ":").replace("$PWD/target/release/monitor", MONITOR);
    let mut command = stage.command("bash", &["-eu", "-c", &typed]);
    command.env("HOME", stage.folder.path()).env("USER", "reader");
    stage.start_as(command);
    let status = stage.ended();
    assert!(status.success(), "{status}\n{typed}\n{}", stage.file("stderr"));
    stage.leaves_nothing();
    // What the reader is shown is what is there, but for the times.
    let without_times = |text: &str| -> Vec<String> {
        let bare = |line: &str| match line.split_once(" : ") {
            Some((at, rest)) if at.bytes().all(|byte| byte.is_ascii_digit()) => format!("0 : {rest}"),
            _ => line.to_owned(),
        };
        text.lines().map(bare).collect()
    };
    let log = without_times(&std::fs::read_to_string(stage.path("heat-lesson/heat.verbose.log")).unwrap()).join("\n");
    let shown = blocks("text");
    assert!(shown.len() >= 3, "{shown:?}");
    for text in shown {
        let text = without_times(&text).join("\n");
        assert!(log.contains(&text), "the log does not hold\n{text}\n---\n{log}");
    }
}
