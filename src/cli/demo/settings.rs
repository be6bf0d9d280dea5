//! The agent's `.env` as the demo writes it: an ordinary one, only with short times.

use std::path::Path;

use crate::message::Language;

use super::chat::CHAT;
use super::sshd::Door;

/// What the configuration is made of.
pub struct Facts<'a> {
    /// Where the shop answers.
    pub shop: &'a str,
    /// Where the blog answers.
    pub blog: &'a str,
    /// The SSH server.
    pub door: &'a Door,
    /// The stand-in for Telegram's API.
    pub telegram: &'a str,
    /// The bot's token.
    pub token: &'a str,
    /// The language of messages and log.
    pub language: Language,
    /// The folder for everything.
    pub folder: &'a Path,
}

/// Writes the file's text; `None` when the folder's name cannot stand in such a file.
pub fn text(facts: &Facts<'_>) -> Option<String> {
    let Facts { shop, blog, door, telegram, token, language, folder } = facts;
    // A value may hold a reference to another key, and then it is not the folder's name any more.
    let folder = folder.to_str().filter(|name| !name.contains("${")).map(Path::new)?;
    let Door { port, user, password } = door;
    let (state, log) = (quoted(folder.to_str()?), quoted(folder.join("monitor.log").to_str()?));
    // The budget: an hour of this play has more outages than a year of a service should have.
    Some(format!(
        "INTERVAL=2
MAPPINGS=DC1:SHOP, DC1:BLOG
SHOP_URL={shop}
BLOG_URL={blog}

DC1_SSH_HOST=127.0.0.1
DC1_SSH_PORT={port}
DC1_SSH_USERNAME={user}
DC1_SSH_PASSWORD={password}
COMMAND=systemctl restart shop
DC1_BLOG_COMMAND=systemctl restart blog

TELEGRAM_API_URL={telegram}
TELEGRAM_BOT_TOKEN={token}
TELEGRAM_CHAT_ID={CHAT}
LANGUAGE={language}

CHECK_ATTEMPTS=3
CHECK_RETRY_DELAY=0.3
CHECK_TIMEOUT=1
BACKOFF_FACTOR=1.5
VERIFY_INTERVAL=0.5
VERIFY_WINDOW=2
REMEDY_BUDGET=1000/1h
FLAP_LIMIT=0
STATE_DIR={state}
LOG_FILE={log}
LOG_FORMAT=json
"
    ))
}

/// A value of the file, between quotes where it needs them.
fn quoted(value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_')) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::source::Source;

    #[test]
    fn the_agent_takes_it_without_a_word_whatever_the_folder_is_called() {
        for name in ["plain", "with space", "it's #1 \\ $HOME"] {
            let outer = tempfile::tempdir().unwrap();
            let folder = outer.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let door = Door { port: 2222, user: "demo", password: "0123456789ab".to_owned() };
            let facts = Facts {
                shop: "http://127.0.0.1:1/",
                blog: "http://127.0.0.1:2/",
                door: &door,
                telegram: "http://127.0.0.1:3",
                token: "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P",
                language: Language::Ru,
                folder: &folder,
            };
            let file = outer.path().join(".env");
            std::fs::write(&file, text(&facts).unwrap()).unwrap();
            let loaded = Source::of_file(file).load().unwrap();
            assert_eq!(loaded.report.to_string(), "", "{name}");
            let config = loaded.config.unwrap();
            assert_eq!(config.general.state_dir, folder, "{name}");
            assert_eq!(config.pairs.first().unwrap().name.to_string(), "DC1-SHOP");
        }
    }
}
