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

/// Prints `.env.example`: required and typical keys with their example, the others commented out with their default.
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
                    out.push_str(if key.typical { "" } else { "#" });
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
            out.extend(["| ", &row.join(" | "), " |\n"]);
        }
    }
    out.trim_start().to_owned()
}

/// Gives the name as a person would type it: `DC3_SSH_HOST`, `COMMAND_2`.
pub fn sample_name(key: &KeyInfo) -> String {
    format!("{}{}", key.scope.sample(), key.name.replace(NUMBER, "2"))
}

/// Writes `KEY=value`, with quotes only where the value would not be read back without.
pub fn assignment(name: &str, value: &str) -> String {
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
            out.extend(["# ", &line, "\n"]);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        out.extend(["# ", &line, "\n"]);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::key::{Key, Scope};
    use super::super::value;
    use super::*;

    const KEYS: &[KeyInfo] = &[
        Key::new(Scope::Global, "INTERVAL", value::duration)
            .about("Seconds between checks, above 0.", "30")
            .required()
            .info(),
        Key::new(Scope::Global, "COMMAND_{K}", value::text).about("Rung of the ladder.", "sh -c 'a # b' | x").info(),
        Key::new(Scope::Site, "SSH_PASSWORD", value::secret)
            .about("Password of the *user*.", "secret")
            .secret()
            .otherwise("key or agent")
            .info(),
        Key::new(Scope::Server, "STATUS", value::text)
            .about("Codes `a_b` or <x>.", "200-399")
            .default("200-399")
            .info(),
    ];
    const GROUPS: &[Group<'_>] = &[Group { title: "All | of them", intro: "An intro.", keys: KEYS }];

    #[test]
    fn the_sample_file_shows_what_is_required_and_hides_the_rest_behind_a_sign() {
        let text = env_example(GROUPS);
        assert!(text.contains("\n# Seconds between checks, above 0.\nINTERVAL=30\n"), "{text}");
        assert!(text.contains("\n#COMMAND_2='sh -c \\'a # b\\' | x'\n"), "{text}");
        assert!(text.contains("\n# When not set: key or agent.\n#DC3_SSH_PASSWORD=secret\n"), "{text}");
        assert!(text.contains("\n#SRV4_STATUS=200-399\n"), "{text}");
    }

    #[test]
    fn the_sample_file_is_read_back_without_a_problem_also_with_every_line_on() {
        let on: String = env_example(GROUPS)
            .lines()
            .map(|l| match l.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_uppercase()) => format!("{rest}\n"),
                _ => format!("{l}\n"),
            })
            .collect();
        let parsed = dialect::parse(".env", on.as_bytes(), &BTreeMap::new());
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        let pairs: Vec<_> = parsed.lines.iter().map(|l| (l.key.as_str(), l.value.as_deref().unwrap())).collect();
        assert_eq!(
            pairs,
            [
                ("INTERVAL", "30"),
                ("COMMAND_2", "sh -c 'a # b' | x"),
                ("DC3_SSH_PASSWORD", "secret"),
                ("SRV4_STATUS", "200-399")
            ]
        );
    }

    #[test]
    fn the_page_is_a_table_that_no_text_can_break() {
        let text = markdown(GROUPS);
        assert!(text.starts_with("## All \\| of them\n\nAn intro.\n\n| Key |"), "{text}");
        assert!(
            text.contains("| `{DC}_SSH_PASSWORD` | key or agent | `secret` | Password of the \\*user\\*. Secret;"),
            "{text}"
        );
        assert!(text.contains("| `{SRV}_STATUS` | `200-399` | `200-399` | Codes `a_b` or &lt;x&gt;. |"), "{text}");
        for row in text.lines().filter(|line| line.starts_with('|')) {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
        }
    }
}
