//! The documents keep their promises: samples load, links lead somewhere, commands exist, texts are those of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use monitor::config::{self, Surroundings};
use monitor::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use monitor::domain::reading::{Cause, Fault, Phases};
use monitor::domain::refusal::Refusal;
use monitor::domain::remedy::{IncidentId, NoticeId, Run, RunStatus};
use monitor::env::Env;
use monitor::message::{Facts, Language, compose, digest};
use uuid::Uuid;

/// The subcommands that a document may name.
const SUBCOMMANDS: &[&str] = &[
    "run",
    "check",
    "init",
    "demo",
    "plan",
    "status",
    "incidents",
    "actions",
    "report",
    "probe",
    "push",
    "heal",
    "pause",
    "resume",
    "approve",
    "drill",
    "trust",
    "failover",
    "heat",
    "audit",
    "reload",
    "completions",
    "reference",
];

/// Pages that other hands write: while they are not there, links to them are taken on trust.
const WRITTEN_ELSEWHERE: &[&str] = &["docs/reference/configuration.md", "docs/explanation/performance.md"];

/// Lines of the log that no code writes: other words, in English only, tell the same.
const UNWRITTEN: &[&str] =
    &["log-and-more", "log-host-key-learned", "log-store-trouble", "log-store-back", "log-env-readable"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every document, as path from the root and text.
fn documents() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    walk(&root().join("docs"), &mut found);
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of one language, without their indentation, each with the line it begins at.
fn fenced(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    // The indentation of the block we are in, and whether it is wanted.
    let mut open: Option<(usize, bool)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (line.trim().strip_prefix("```"), open) {
            (Some(info), None) => {
                open = Some((indent, info == language));
                if info == language {
                    blocks.push((number, String::new()));
                }
            }
            (Some(_), Some(_)) => open = None,
            (None, Some((indent, true))) => {
                let (_, block) = blocks.last_mut().unwrap();
                block.push_str(line.get(indent..).unwrap_or_default());
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// The text outside fenced blocks, with line numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((number, line));
        }
    }
    lines
}

#[test]
fn every_sample_of_a_configuration_loads_without_a_word() {
    let mut samples = 0;
    for (path, text) in documents() {
        for (line, block) in fenced(&text, "env") {
            let env = Env::new(&path, block.as_bytes(), BTreeMap::new());
            let loaded = config::load(&env, &|file| fs::read_to_string(file), &Surroundings::default());
            assert!(
                loaded.config.is_some() && loaded.report.is_empty(),
                "{path}, block at line {line}: {}",
                loaded.report
            );
            samples += 1;
        }
    }
    assert!(samples >= 5, "{samples} samples were found");
}

/// The anchors that a page's headings make, as GitHub names them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(|(_, line)| slug(line)).collect()
}

/// Where the links of a page lead: path from the root, and anchor.
fn links(path: &str, text: &str) -> Vec<(PathBuf, Option<String>)> {
    let text: String = prose(text).into_iter().flat_map(|(_, line)| [line, "\n"]).collect();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let own = targets.filter(|target| !target.contains("://"));
    own.map(|target| {
        let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let mut to = if file.is_empty() { PathBuf::from(path) } else { Path::new(path).parent().unwrap().to_owned() };
        for part in Path::new(file) {
            if part == ".." {
                to.pop();
            } else {
                to.push(part);
            }
        }
        (to, anchor.map(str::to_owned))
    })
    .collect()
}

#[test]
fn every_link_leads_to_a_page_that_is_there() {
    for (path, text) in documents() {
        for (to, anchor) in links(&path, &text) {
            let shown = to.display().to_string();
            if !root().join(&to).exists() {
                assert!(WRITTEN_ELSEWHERE.contains(&shown.as_str()), "{path} links to {shown}, which is not there");
                continue;
            }
            if let Some(anchor) = anchor {
                assert!(
                    anchors(&read(&shown)).contains(&anchor),
                    "{path} links to {shown}#{anchor}, which has no such heading"
                );
            }
        }
    }
}

#[test]
fn the_index_names_every_page() {
    let index: BTreeSet<_> = links("docs/README.md", &read("docs/README.md")).into_iter().map(|(to, _)| to).collect();
    // The pages of probes have an index of their own, written with them.
    let own = |path: &str| path.starts_with("docs/reference/probes/") && !path.ends_with("README.md");
    for path in documents().keys().filter(|path| path.starts_with("docs/") && *path != "docs/README.md" && !own(path)) {
        assert!(index.contains(Path::new(path)), "docs/README.md does not name {path}");
    }
}

/// The word after `monitor`, wherever a line calls it; names of users, units and files are followed by other things.
fn called(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |text: &&str| text.chars().all(|c| c.is_ascii_lowercase()) && *text != "monitor";
    let program = |text: &str| text == "monitor" || text.ends_with("/monitor");
    let pairs = words.windows(2).filter(|two| program(two[0])).map(|two| two[1]);
    let cargo = words.windows(4).filter(|four| four[..3] == ["cargo", "run", "--"]).map(|four| four[3]);
    pairs.chain(cargo).filter(word).collect()
}

#[test]
fn every_command_that_is_named_exists() {
    assert_eq!(called("sudo -u monitor monitor check --online"), ["check"]);
    assert_eq!(called("kill \"$(./monitor status --json | jq .pid)\""), ["status"]);
    let mut seen = BTreeSet::new();
    for (path, text) in documents() {
        for (number, block) in fenced(&text, "sh") {
            for name in block.lines().flat_map(called) {
                assert!(SUBCOMMANDS.contains(&name), "{path}, block at line {number}: there is no `monitor {name}`");
                seen.insert(name.to_owned());
            }
        }
        for (number, line) in prose(&text) {
            for rest in line.split("`monitor ").skip(1) {
                let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                assert!(
                    name.is_empty() || SUBCOMMANDS.contains(&name.as_str()),
                    "{path}:{number}: there is no `monitor {name}`"
                );
            }
        }
    }
    assert!(seen.contains("status") && seen.contains("demo"), "{seen:?}");
}

#[test]
fn lines_are_short_and_the_readme_is_one_screen() {
    for (path, text) in documents() {
        for (number, line) in prose(&text) {
            // A table's row cannot be broken, and the generated page has its own rule.
            let bound = line.starts_with('|') || WRITTEN_ELSEWHERE.contains(&path.as_str());
            assert!(bound || line.chars().count() < 120, "{path}:{number} has {} characters", line.chars().count());
        }
    }
    assert!(read("README.md").lines().count() <= 60);
}

const COMMAND: &str = "systemctl restart network-service";

fn notice(pair: &str, news: News) -> Notice {
    let at = "2023-10-15T09:31:15Z".parse().unwrap();
    Notice {
        id: NoticeId(Uuid::nil()),
        pair: Some(pair.parse().unwrap()),
        incident: IncidentId(Uuid::nil()),
        at,
        environment: None,
        news,
    }
}

fn failed(failures: u32, next: f64, deed: Deed) -> News {
    News::Failed(Failed {
        failures,
        attempts: 3,
        factor: 1.5,
        next: Duration::from_secs_f64(next),
        fault: Fault::new(Cause::Refused, "connection refused: nobody listens at 10.0.0.4:80"),
        phases: Phases { dns: Some(Duration::from_millis(5)), ..Phases::default() },
        deed,
        gave_up: false,
        asks: false,
        record: None,
        holds: Vec::new(),
    })
}

fn ran(status: RunStatus, exit_code: i32, error: &str, excerpt: &str) -> Deed {
    let run = Run {
        status,
        started: true,
        exit_code: Some(exit_code),
        signal: None,
        duration: Duration::from_millis(90),
        excerpt: excerpt.to_owned(),
        error: error.to_owned(),
    };
    Deed::Command { command: COMMAND.to_owned(), run }
}

fn recovered(failures: u32, by: Healer, while_off: bool) -> News {
    let (next, down_for) = (Duration::from_secs(30), Duration::from_secs(330));
    News::Recovered(Recovered { failures, next, down_for, by, while_off })
}

#[test]
fn every_sample_of_a_message_is_what_people_get() {
    let page = read("docs/reference/messages.md");
    let healed = Healer::Command { command: COMMAND.to_owned(), after: Duration::from_millis(4300) };
    let refused = Deed::Refused { command: COMMAND.to_owned(), refusal: Refusal::DryRun };
    let samples = [
        failed(1, 30.0, ran(RunStatus::Executed, 0, "", "")),
        failed(2, 67.5, ran(RunStatus::Executed, 0, "", "")),
        failed(1, 30.0, ran(RunStatus::Failed, 5, "exit code 5", "Unit not found.")),
        failed(2, 67.5, refused),
        recovered(1, healed, false),
        recovered(3, Healer::Itself, false),
        recovered(3, Healer::Itself, true),
    ];
    let both =
        [notice("DC3:SRV4", failed(1, 30.0, Deed::Nothing)), notice("DC1:SRV5", recovered(1, Healer::Itself, false))];
    let facts = Facts { zone: TimeZone::get("Europe/Moscow").unwrap(), now: both[0].at };
    for language in Language::ALL {
        let mut texts: Vec<String> = samples
            .iter()
            .map(|news| compose(&notice("DC3:SRV4", news.clone()), language, &facts).to_plain())
            .collect();
        texts.push(digest(&both, language, &facts).to_plain());
        for text in texts {
            assert!(
                page.contains(&format!("```text\n{text}\n```")),
                "docs/reference/messages.md does not show\n{text}"
            );
        }
    }
}

/// The texts of a language file that stand on one line, with their fields as the reference writes them.
fn texts(language: &str) -> Vec<(String, String)> {
    let file = read(&format!("src/message/lang/{language}.ftl"));
    let lines = file.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.contains("->"));
    let written = |text: &str| text.replace("{ $", "{").replace(" }", "}");
    lines.filter_map(|line| line.split_once(" = ")).map(|(id, text)| (id.to_owned(), written(text))).collect()
}

#[test]
fn the_reference_holds_every_text_of_a_notice_and_every_line_of_the_log() {
    let (messages, log) = (read("docs/reference/messages.md"), read("docs/reference/log-and-audit.md"));
    for language in Language::ALL {
        for (id, text) in texts(language.code()) {
            if id.starts_with("log-") {
                let wanted = language == Language::En && !UNWRITTEN.contains(&id.as_str());
                assert!(!wanted || log.contains(&text), "docs/reference/log-and-audit.md lacks {id}: {text}");
            } else if !id.starts_with("status-") {
                assert!(
                    messages.contains(&text),
                    "docs/reference/messages.md lacks {id} of {}: {text}",
                    language.code()
                );
            }
        }
    }
}
