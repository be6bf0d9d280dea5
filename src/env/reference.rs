//! Prints the tables of keys: `.env.example` and `docs/reference/configuration.md`.

use super::dialect;
use super::key::{Absent, KeyInfo, NUMBER};

/// Keys that are read together.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// A few words, such as `Schedule`.
    pub title: &'a str,
    /// A sentence or two about the group; may be empty.
    pub intro: &'a str,
    /// Its keys, in the order a person should meet them.
    pub keys: &'a [KeyInfo],
}

/// Columns at which a comment of `.env.example` is wrapped.
const WIDTH: usize = 100;

/// Prints `.env.example`: required keys with their example, the others commented out with their default.
pub fn env_example(groups: &[Group<'_>]) -> String {
    let mut out = String::from(
        "# Copy to `.env`, fill in, `chmod 600 .env`, and try it with `monitor check`.\n\
         # A line that begins with `#` is off and shows the default or an example.\n\
         # A secret may stand in a file of its own: KEY_FILE=/path instead of KEY=value.\n",
    );
    for group in groups {
        out.push_str("\n# == ");
        out.push_str(group.title);
        out.push_str(" ==\n");
        comment(&mut out, group.intro);
        for key in group.keys {
            out.push('\n');
            comment(&mut out, key.doc);
            let name = sample_name(key);
            match key.absent {
                Absent::Required => out.push_str(&assignment(&name, key.example)),
                Absent::Default(text) => {
                    out.push('#');
                    out.push_str(&assignment(&name, text));
                }
                Absent::Means(means) => {
                    comment(&mut out, &format!("When not set: {means}."));
                    out.push('#');
                    out.push_str(&assignment(&name, key.example));
                }
            }
            out.push('\n');
        }
    }
    out
}

/// Prints the reference page, one table for each group.
pub fn markdown(groups: &[Group<'_>]) -> String {
    let mut out = String::new();
    for group in groups {
        out.push_str("\n## ");
        out.push_str(&escaped(group.title));
        out.push_str("\n\n");
        if !group.intro.is_empty() {
            out.push_str(&escaped(group.intro));
            out.push_str("\n\n");
        }
        out.push_str("| Key | When not set | Example | What it is |\n|---|---|---|---|\n");
        for key in group.keys {
            let absent = match key.absent {
                Absent::Default(text) => code(text),
                Absent::Required => "**required**".to_owned(),
                Absent::Means(means) => escaped(means),
            };
            let secret = if key.secret { " Secret; `_FILE` may be added to the name." } else { "" };
            let row = [code(&key.to_string()), absent, code(key.example), format!("{}{secret}", escaped(key.doc))];
            out.push_str(&format!("| {} |\n", row.join(" | ")));
        }
    }
    out.trim_start().to_owned()
}

/// Gives the name as a person would type it: `DC3_SSH_HOST`, `COMMAND_2`.
pub fn sample_name(key: &KeyInfo) -> String {
    format!("{}{}", key.scope.sample(), key.name.replace(NUMBER, "2"))
}

/// Writes `KEY=value`, with quotes only where the value would not be read back without.
fn assignment(name: &str, value: &str) -> String {
    let bare = format!("{name}={value}");
    let parsed = dialect::parse("", bare.as_bytes(), &std::collections::BTreeMap::new());
    let faithful = parsed.problems.is_empty() && parsed.lines.len() == 1;
    if faithful && parsed.lines.iter().all(|line| line.key == name && line.value.as_deref() == Some(value)) {
        bare
    } else {
        dialect::quoted(name, value)
    }
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len().saturating_add(word.len()) >= WIDTH {
            out.push_str(&format!("# {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("# {line}\n"));
    }
}

/// Escapes what Markdown or a table would take for a sign; backticks stay, so that a doc may write `KEY`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut code = false;
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        code ^= c == '`';
        match c {
            '|' => out.push_str("\\|"),
            '<' if !code => out.push_str("&lt;"),
            '>' if !code => out.push_str("&gt;"),
            '*' | '_' | '[' | ']' if !code => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// Writes a code span that holds any text, backticks too.
fn code(text: &str) -> String {
    let text = text.replace('\n', "\\n").replace('|', "\\|");
    if text.is_empty() {
        String::new()
    } else if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}
