//! What is run for which pair: every ladder once, with the pairs that share it. How the rest is told lives in `mod.rs`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::screen::{HEAD, Screen, flowed, line, span};
use crate::config::ladder::Rung;
use crate::config::{Config, Pair, Place, Site};
use crate::domain::ladder::Mode;
use crate::domain::name::SiteName;
use crate::env::Redactor;

/// Ladders that are drawn; more would push what is wrong off the screen.
const DRAWN: usize = 20;
/// Pairs that are named for one ladder.
const NAMED: usize = 12;
/// Characters of a command.
const COMMAND: usize = 200;
/// What holds where nobody says otherwise: only what differs is worth a word.
const TIMEOUT: Duration = Duration::from_mins(1);
const WINDOW: Duration = Duration::from_secs(15);

/// One ladder and whose it is.
struct Shared<'c> {
    pairs: Vec<&'c Pair>,
    sites: HashSet<&'c SiteName>,
    site: Option<&'c Site>,
}

/// Every ladder, in the order of the first pair that has it.
fn shared(config: &Config) -> Vec<Shared<'_>> {
    let mut all: Vec<Shared<'_>> = Vec::new();
    let mut known = HashMap::new();
    for pair in &config.pairs {
        let site = config.sites.get(&pair.name.site);
        let key = (place(site), recovery(pair, site), pair.rungs.as_slice());
        let at = *known.entry(key).or_insert(all.len());
        if at == all.len() {
            all.push(Shared { pairs: Vec::new(), sites: HashSet::new(), site });
        }
        let Some(ladder) = all.get_mut(at) else { continue };
        ladder.pairs.push(pair);
        ladder.sites.insert(&pair.name.site);
    }
    all
}

fn place(site: Option<&Site>) -> &'static str {
    match site.map(|site| &site.place) {
        Some(Place::Ssh(_)) => "ssh",
        Some(Place::Local) => "local",
        Some(Place::Nowhere) | None => "none",
    }
}

/// What is run on recovery: what was started for the incident is stopped, whatever else is said.
fn recovery(pair: &Pair, site: Option<&Site>) -> Option<String> {
    if pair.rungs.iter().all(|rung| rung.terms.mode == Mode::Dry) {
        return None;
    }
    let act = site.and_then(|site| site.act.as_ref()).filter(|_| pair.acts);
    let ending = act.and_then(crate::config::Act::ending);
    ending.or_else(|| pair.recovery.as_ref().map(|recovery| recovery.command.clone()))
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Approve => "approve",
        Mode::Dry => "dry",
    }
}

/// Draws them for a person.
pub(super) fn draw(config: &Config, screen: &Screen) -> String {
    let mut out = screen.paint(HEAD, "What is run") + "\n";
    let say = |out: &mut String, head: &str, text: &str| {
        out.push_str(&flowed(head, text, screen.columns));
        out.push('\n');
    };
    if config.guard.dry_run {
        say(&mut out, "  ", "nothing: DRY_RUN is on, and these are only written down");
    }
    let all = shared(config);
    for ladder in all.iter().take(DRAWN) {
        say(&mut out, "  ", &format!("{}, {}:", whose(&ladder.pairs), ladder.place()));
        let rungs = ladder.pairs.first().map(|pair| pair.rungs.as_slice()).unwrap_or_default();
        for (number, rung) in (1..).zip(rungs) {
            let head = format!("    rung {number}{}: ", terms(rung));
            say_command(&mut out, &head, &rung.command, &config.redactor, screen);
        }
        let first = ladder.pairs.first();
        if let Some(command) = first.and_then(|pair| recovery(pair, ladder.site)) {
            say_command(&mut out, "    on recovery: ", &command, &config.redactor, screen);
        }
    }
    if all.len() > DRAWN {
        say(&mut out, "  ", &format!("… and {} more ladders; `monitor check --json` has them all", all.len() - DRAWN));
    }
    out
}

/// A command that is long begins on a line of its own.
fn say_command(out: &mut String, head: &str, command: &str, redactor: &Redactor, screen: &Screen) {
    let command = line(&redactor.mask(command), COMMAND);
    if head.chars().count() + command.chars().count() <= screen.columns {
        out.push_str(head);
        out.push_str(&command);
    } else {
        out.push_str(&flowed("    ", head.trim(), screen.columns));
        out.push('\n');
        out.push_str(&flowed("      ", &command, screen.columns));
    }
    out.push('\n');
}

fn whose(pairs: &[&Pair]) -> String {
    let names: Vec<String> = pairs.iter().take(NAMED).map(|pair| pair.name.to_string()).collect();
    match pairs.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl Shared<'_> {
    fn place(&self) -> String {
        let mut sites = self.sites.iter();
        match (self.site.map(|site| &site.place), sites.next(), sites.next()) {
            (Some(Place::Ssh(ssh)), Some(site), None) => {
                format!("on {site} over SSH ({}@{}:{})", ssh.username, ssh.host, ssh.port)
            }
            (Some(Place::Ssh(_)), ..) => "each on its own site over SSH".to_owned(),
            (Some(Place::Local), ..) => "on this machine".to_owned(),
            (Some(Place::Nowhere) | None, ..) => "from here".to_owned(),
        }
    }
}

/// What is not usual about a rung.
fn terms(rung: &Rung) -> String {
    let mut said = Vec::new();
    match rung.terms.mode {
        Mode::Auto => {}
        Mode::Approve => said.push("waits for a person".to_owned()),
        Mode::Dry => said.push("only written down".to_owned()),
    }
    if !rung.terms.after.is_zero() {
        said.push(format!("not before {}", length(rung.terms.after)));
    }
    if rung.timeout != TIMEOUT {
        said.push(format!("at most {}", length(rung.timeout)));
    }
    if rung.verify_window.is_zero() {
        said.push("not verified".to_owned());
    } else if rung.verify_window != WINDOW {
        said.push(format!("verified for {}", length(rung.verify_window)));
    }
    if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
}

fn length(time: Duration) -> String {
    if time.subsec_nanos() > 0 {
        return format!("{}s", time.as_secs_f64());
    }
    span(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// The same for a machine, whole.
pub(super) fn rows(config: &Config) -> Value {
    let mask = |command: &str| config.redactor.mask(command).into_owned();
    let row = |ladder: Shared<'_>| {
        let first = ladder.pairs.first();
        let rungs = first.map(|pair| pair.rungs.as_slice()).unwrap_or_default();
        let rungs = (1..).zip(rungs).map(|(number, rung): (u32, _)| {
            json!({
                "rung": number,
                "command": mask(&rung.command),
                "mode": mode(rung.terms.mode),
                "after_s": rung.terms.after.as_secs_f64(),
                "timeout_s": rung.timeout.as_secs_f64(),
                "verify_window_s": rung.verify_window.as_secs_f64(),
            })
        });
        json!({
            "pairs": ladder.pairs.iter().map(|pair| pair.name.to_string()).collect::<Vec<_>>(),
            "where": place(ladder.site),
            "rungs": rungs.collect::<Vec<_>>(),
            "recovery_command": first.and_then(|pair| recovery(pair, ladder.site)).map(|command| mask(&command)),
        })
    };
    Value::Array(shared(config).into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::app::source::Source;

    const SCREEN: Screen = Screen { columns: 80, colours: false, terminal: false };

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        let least = "INTERVAL=30\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\n\
                     TELEGRAM_CHAT_ID=-1001234567890\n";
        std::fs::write(&file, format!("{least}{text}")).unwrap();
        let loaded = Source::of_file(file).load().unwrap();
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.report))
    }

    const THREE: &str = "MAPPINGS=DC3:SRV4,DC3:SRV5,DC1:SRV4\nSRV4_URL=http://a/\nSRV5_URL=http://b/\n\
        DC3_SSH_HOST=dc3.example.com\nDC3_SSH_USERNAME=admin\nDC3_SSH_PASSWORD=hunter22\nDC1_LOCAL=true\nCOMMAND=one\n";

    #[test]
    fn pairs_that_share_a_ladder_stand_over_it_once_with_what_is_not_usual_about_it() {
        let config = config(&format!(
            "{THREE}COMMAND_2=reboot --password hunter22\nCOMMAND_2_MODE=approve\nCOMMAND_2_AFTER=10m\n\
             DC3_RECOVERY_COMMAND=stop it\nDC1_COMMAND_TIMEOUT=5m\n"
        ));
        let expected = "What is run\n  \
            DC3-SRV4, DC3-SRV5, on DC3 over SSH (admin@dc3.example.com:22):\n    \
            rung 1: one\n    \
            rung 2 (waits for a person, not before 10m): reboot --password ***\n    \
            on recovery: stop it\n  \
            DC1-SRV4, on this machine:\n    \
            rung 1 (at most 5m): one\n    \
            rung 2 (waits for a person, not before 10m, at most 5m):\n      \
            reboot --password ***\n";
        assert_eq!(draw(&config, &SCREEN), expected);
        let rows = rows(&config);
        assert_eq!(rows[0]["pairs"], json!(["DC3-SRV4", "DC3-SRV5"]));
        assert_eq!(rows[0]["rungs"][1]["command"], "reboot --password ***");
        assert_eq!((&rows[0]["rungs"][1]["after_s"], &rows[1]["recovery_command"]), (&json!(600.0), &Value::Null));
    }

    #[test]
    fn what_is_started_for_an_incident_is_said_to_be_stopped_and_a_dry_ladder_ends_with_nothing() {
        let units = config(&format!("{THREE}DC1_SERVICES=a.service,b.service\nDC1_SERVICES_MODE=start-stop\n"));
        let text = draw(&units, &SCREEN);
        assert!(text.contains("rung 1: systemctl start a.service b.service"), "{text}");
        assert!(text.contains("on recovery: systemctl stop b.service a.service"), "{text}");
        let dry = config(&format!("{THREE}COMMAND_MODE=dry\nRECOVERY_COMMAND=end\nDRY_RUN=true\n"));
        let text = draw(&dry, &SCREEN);
        assert!(text.contains("rung 1 (only written down): one") && !text.contains("on recovery"), "{text}");
        assert!(text.contains("DRY_RUN is on"), "{text}");
    }

    #[test]
    fn thousands_of_pairs_fit_a_screen_and_every_line_its_width() {
        let (mut mappings, mut rest) = (Vec::new(), String::from("COMMAND=one\n"));
        for n in 0..3000 {
            mappings.push(format!("DC{n}:SRV{n}"));
            write!(rest, "SRV{n}_URL=http://a/{n}\nDC{n}_LOCAL=true\n").unwrap();
            if n % 100 == 0 {
                writeln!(rest, "DC{n}_COMMAND={}{n}", "restart a long list of units ".repeat(9)).unwrap();
            }
        }
        let config = config(&format!("MAPPINGS={}\n{rest}", mappings.join(",")));
        let text = draw(&config, &SCREEN);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("and 2958 more, on this machine:") && flat.contains("and 11 more ladders"), "{text}");
        assert!(text.lines().count() < 200 && text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(rows(&config).as_array().map(Vec::len), Some(31));
    }
}
