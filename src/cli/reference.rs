//! `monitor reference`: `.env.example`, the page of all keys, and the pages of probes, from the very tables that read them.

use std::path::Path;

use crate::config;
use crate::env::Group;
use crate::env::reference::{env_example, markdown};

use crate::probe::{self, Kind};

use super::{FAILED, FINE, complain, say};

/// What is to be done with them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write `.env.example` and `docs/reference/configuration.md` below the current folder instead of printing them
    #[arg(long)]
    write: bool,
}

/// Every generated file, as path below the repository and content.
pub fn files() -> Vec<(String, String)> {
    let groups = config::groups();
    let mut files = vec![
        (".env.example".to_owned(), env_example(groups)),
        ("docs/reference/configuration.md".to_owned(), page(&markdown(groups))),
        ("docs/reference/probes/README.md".to_owned(), probes()),
    ];
    files.extend(probe::KINDS.iter().map(|kind| (format!("docs/reference/probes/{}.md", kind.name), probe_page(kind))));
    files
}

/// The list of the pages of probes.
fn probes() -> String {
    let rows = probe::KINDS.iter().map(|kind| {
        let Kind { name, schemes, page, .. } = kind;
        let schemes: Vec<String> = schemes.iter().map(|scheme| format!("`{scheme}`")).collect();
        // The first sentence of its page says when it is up.
        let first = page.split_once(". ").map_or(*page, |(first, _)| first).replace('\n', " ");
        format!("| {} | [{name}]({name}.md) | {first} |\n", schemes.join(", "))
    });
    format!(
        "<!-- Written by `monitor reference --write`; change src/probe instead. -->\n\n\
         # Probes\n\n\
         The scheme of a `{{SRV}}_URL` says how a server is looked at.\n\n\
         | Scheme | Page | Meaning |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// The page of one kind of probe.
fn probe_page(kind: &Kind) -> String {
    let Kind { name, page, example, keys, .. } = kind;
    let settings = if keys.is_empty() {
        "\nIt has no settings of its own.\n".to_owned()
    } else {
        let table = markdown(&[Group { title: "Settings", intro: "", keys }]);
        format!("\n{table}")
    };
    format!(
        "<!-- Written by `monitor reference --write`; change src/probe instead. -->\n\n\
         # Probe: {name}\n\n{}\n\n## Example\n\n```sh\n{example}\n```\n{settings}\n\
         `INTERVAL`, `TIMEOUT`, `ATTEMPTS` and the other keys of every server stand in\n\
         [Configuration](../configuration.md#servers).\n",
        page.trim()
    )
}

fn page(tables: &str) -> String {
    format!(
        "<!-- Written by `monitor reference --write`; change the keys in src/config instead. -->\n\n\
         # Configuration\n\n\
         Values come from the process environment, then from `.env` (`--env-file`, else `./.env`, else `.env` beside the binary).\n\
         `monitor check` shows what is in force and where it came from; `monitor init` writes a first file.\n\n\
         `{{SRV}}` and `{{DC}}` stand for the names in `MAPPINGS`, `{{K}}` for a number from 2. A duration is a number of seconds\n\
         (`30`, `0.5`) or has a unit (`500ms`, `30s`, `5m`, `2h`, `1d`).\n\n\
         {tables}"
    )
}

/// Prints or writes them.
pub fn run(args: &Args) -> u8 {
    for (path, text) in files() {
        if !args.write {
            say(&format!("== {path} ==\n{text}"));
            continue;
        }
        let folder = Path::new(&path).parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.and_then(|()| std::fs::write(&path, text)) {
            complain(&format!("cannot write {path}: {error}; run this in the repository"));
            return FAILED;
        }
        say(&format!("wrote {path}"));
    }
    FINE
}
