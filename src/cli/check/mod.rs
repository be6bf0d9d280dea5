//! `monitor check`: what is in force and where it came from, everything that is wrong, and with `--online` a look at all of it.
//! What is run for which pair is told by `ladders`.

mod ladders;

use clap::builder::styling::Style;
use futures_util::stream::StreamExt;
use serde_json::{Value, json};

use crate::app::look::{self, Found};
use crate::app::source::Source;
use crate::config::{self, Config, Loaded};
use crate::env::{Place, Problem, Report, Setting};

use super::client::block_on;
use super::screen::{BAD, FAINT, GOOD, HEAD, ODD, Screen, flowed, line, millis};
use super::{BAD_CONFIGURATION, FAILED, FINE, complain, say};

/// How far it looks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also probe every server once, log in to every site, ask every channel and open the store
    #[arg(long)]
    pub(super) online: bool,
    /// Print everything as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Characters of a value that are shown; the widest key still leaves room for its place beside it.
const SHOWN: usize = 60;
/// Characters that the column of values is wide at the most.
const COLUMN: usize = 34;

/// Checks.
pub fn run(source: &Source, args: &Args) -> u8 {
    let screen = Screen::look(source);
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(error) if args.json => {
            let problem = json!({ "place": source.name, "key": "", "text": error.to_string() });
            say_json(&json!({ "ok": false, "problems": [problem], "warnings": [], "settings": [] }));
            return BAD_CONFIGURATION;
        }
        Err(error) => {
            complain(&error.to_string());
            return BAD_CONFIGURATION;
        }
    };
    let mut all: Vec<Problem> = loaded.report.errors().chain(loaded.report.warnings()).cloned().collect();
    all.extend(source.remarks(&loaded));
    let report = Report::new(all);
    let mut told = Told { screen, json: args.json, document: json!({}) };
    told.configuration(&loaded, &report);
    let config = loaded.config.filter(|_| !report.is_broken());
    if let Some(config) = &config {
        told.ladders(config);
    }
    told.problems(&report);
    let code = match (&config, args.online) {
        (None, _) => BAD_CONFIGURATION,
        (Some(_), false) => FINE,
        (Some(config), true) => online(config, source, &mut told),
    };
    told.end(&report, code, args.online);
    code
}

fn online(config: &Config, source: &Source, told: &mut Told) -> u8 {
    let looked = block_on(async {
        let mut looks = Box::pin(look::around(config, source)?);
        let mut seen = Vec::new();
        while let Some(mut found) = looks.next().await {
            found.detail = config.redactor.mask(&found.detail).into_owned();
            told.found(&found);
            seen.push(found);
        }
        anyhow::Ok(seen)
    });
    match looked {
        Ok(Ok(seen)) => {
            let failed = seen.iter().filter(|found| !found.ok).count();
            told.looked(&seen, failed);
            if failed == 0 { FINE } else { FAILED }
        }
        Ok(Err(error)) => told.failed(&format!("{error:#}")),
        Err(error) => told.failed(&error.to_string()),
    }
}

/// Tells it to a person line by line, or gathers it for a machine.
struct Told {
    screen: Screen,
    json: bool,
    document: Value,
}

impl Told {
    fn add(&mut self, key: &str, value: Value) {
        if let Some(document) = self.document.as_object_mut() {
            document.insert(key.to_owned(), value);
        }
    }

    fn configuration(&mut self, loaded: &Loaded, report: &Report) {
        if self.json {
            let rows = |problems: Vec<&Problem>| problems.into_iter().map(problem_row).collect::<Vec<_>>();
            self.add("ok", json!(!report.is_broken()));
            self.add("problems", json!(rows(report.errors().collect())));
            self.add("warnings", json!(rows(report.warnings().collect())));
            self.add("settings", json!(loaded.settings.iter().map(setting_row).collect::<Vec<_>>()));
            return;
        }
        let width = |of: fn(&Setting) -> usize| loaded.settings.iter().map(of).max().unwrap_or_default();
        let widest = width(|setting| setting.key.chars().count());
        let places = width(|setting| place(&setting.place).chars().count());
        // A row is two blanks, the key, the value and its place, with two blanks between them.
        let room = self.screen.columns.saturating_sub(widest + places + 6);
        let values = loaded.settings.iter().map(|setting| setting.value.chars().count());
        // A few long values must not push every place off the screen.
        let column = values.filter(|width| *width <= room.min(COLUMN)).max().unwrap_or_default();
        for group in config::groups() {
            let ours = |setting: &&Setting| {
                group.keys.iter().any(|key| key.scope == setting.scope && key.name == setting.name)
            };
            let settings: Vec<&Setting> = loaded.settings.iter().filter(ours).collect();
            if settings.is_empty() {
                continue;
            }
            say(&self.screen.paint(HEAD, group.title));
            for setting in settings {
                let from = self.screen.paint(FAINT, &place(&setting.place));
                let value = line(&setting.value, self.screen.columns.saturating_sub(6).min(SHOWN));
                if value.chars().count() <= room.max(column) {
                    say(&format!("  {:widest$}  {value:column$}  {from}", setting.key));
                } else {
                    say(&format!("  {:widest$}  {:column$}  {from}", setting.key, ""));
                    say(&format!("      {value}"));
                }
            }
            say("");
        }
    }

    /// What is run for which pair.
    fn ladders(&mut self, config: &Config) {
        if self.json {
            self.add("ladders", ladders::rows(config));
        } else {
            say(&ladders::draw(config, &self.screen));
        }
    }

    fn problems(&self, report: &Report) {
        if self.json {
            return;
        }
        for problem in report.errors() {
            self.say("problem ", BAD, &problem.to_string());
        }
        for problem in report.warnings() {
            self.say("warning ", ODD, &problem.to_string());
        }
    }

    /// Says a text beside a painted word.
    fn say(&self, word: &str, style: Style, text: &str) {
        let text = flowed(word, text, self.screen.columns);
        let rest = text.strip_prefix(word).unwrap_or_default();
        say(&format!("{}{rest}", self.screen.paint(style, word)));
    }

    fn found(&self, found: &Found) {
        if self.json {
            return;
        }
        let (word, style) = if found.ok { ("ok   ", GOOD) } else { ("FAIL ", BAD) };
        #[expect(clippy::cast_precision_loss, reason = "a look takes minutes at most")]
        let took = millis(found.took_ms as f64);
        let (name, detail) = (line(&found.name, 80), line(&found.detail, 1000));
        self.say(word, style, &format!("{} {name}: {detail} [{took}]", found.kind));
        for note in &found.notes {
            self.say("NEW  ", ODD, note);
        }
    }

    fn looked(&mut self, seen: &[Found], failed: usize) {
        if self.json {
            self.add("online", json!(seen));
            self.add("ok", json!(failed == 0));
        } else {
            say(&format!("{} looked at, {failed} failed", seen.len()));
        }
    }

    fn failed(&mut self, why: &str) -> u8 {
        if self.json {
            self.add("ok", json!(false));
            self.add("error", json!(why));
        } else {
            complain(why);
        }
        FAILED
    }

    fn end(&self, report: &Report, code: u8, online: bool) {
        if self.json {
            say_json(&self.document);
            return;
        }
        let (errors, warnings) = (report.errors().count(), report.warnings().count());
        if code == BAD_CONFIGURATION {
            say(&format!("{errors} problem(s), {warnings} warning(s): an agent would not start"));
        } else if !online {
            say(&format!("the configuration is good, {warnings} warning(s); `monitor check --online` tries it"));
        }
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::File { name, line: Some(line) } => format!("{name}:{line}"),
        Place::File { name, line: None } => name.to_string(),
        Place::Environment => "environment".to_owned(),
        Place::Unset => "default".to_owned(),
    }
}

fn problem_row(problem: &Problem) -> Value {
    json!({ "place": place(&problem.place), "key": problem.key, "text": problem.to_string() })
}

fn setting_row(setting: &Setting) -> Value {
    let groups = config::groups().iter();
    let mut ours =
        groups.filter(|group| group.keys.iter().any(|key| key.scope == setting.scope && key.name == setting.name));
    let group = ours.next().map(|group| group.title);
    json!({ "group": group, "key": setting.key, "value": setting.value, "source": place(&setting.place) })
}

fn say_json(document: &Value) {
    say(&serde_json::to_string_pretty(document).unwrap_or_default());
}
