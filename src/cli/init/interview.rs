//! Asks for what is still missing, one thing after the other, again as long as an answer cannot be read.

use std::io::{self, BufRead, Write};

use crate::config::{ladder, pace, pairs, server, site, telegram};
use crate::domain::name::SiteName;
use crate::env::Key;

use super::answers::{Answers, wrong};

/// Somebody who can be asked.
pub trait Ask {
    /// Gives one line, `None` at the end of the input.
    fn line(&mut self, question: &str) -> io::Result<Option<String>>;
    /// The same, and the answer is not shown.
    fn secret(&mut self, question: &str) -> io::Result<Option<String>>;
    /// Says something.
    fn tell(&mut self, text: &str);
}

/// Why there are not all answers.
#[derive(Debug)]
pub enum Ended {
    /// Nobody can be asked; what is missing, each with the option that sets it.
    Missing(Vec<String>),
    /// The person left.
    Left,
    /// The terminal is broken.
    Broken(io::Error),
}

/// The person at the terminal.
pub struct Terminal;

impl Ask for Terminal {
    fn line(&mut self, question: &str) -> io::Result<Option<String>> {
        let mut out = io::stdout().lock();
        write!(out, "{question}: ")?;
        out.flush()?;
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer)?;
        Ok((read > 0).then(|| answer.trim().to_owned()))
    }

    fn secret(&mut self, question: &str) -> io::Result<Option<String>> {
        match rpassword::prompt_password(format!("{question} (not shown): ")) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn tell(&mut self, text: &str) {
        crate::cli::say(text);
    }
}

/// Completes the answers; without anybody to ask it says what is missing.
pub fn complete(answers: &mut Answers, has_agent: bool, ask: Option<&mut dyn Ask>) -> Result<(), Ended> {
    let mut talk = Talk { ask, missing: Vec::new() };
    if answers.get("INTERVAL").is_none() {
        let interval =
            talk.value("Seconds between two checks of a healthy pair [30]", &pace::INTERVAL, Some("30"), None)?;
        answers.set("INTERVAL", interval.unwrap_or_else(|| "30".to_owned()));
    }
    if answers.pairs.is_empty() {
        let question = "Pairs as site:server, separated by commas, such as DC3:SRV4,DC1:SRV5";
        let text = talk.value(question, &pairs::MAPPINGS, None, Some("--pair DC3:SRV4=http://…"))?;
        answers.pairs = text.and_then(|text| (pairs::MAPPINGS.parse)(&text).ok()).unwrap_or_default();
    }
    for pair in answers.pairs.clone() {
        let key = format!("{}_URL", pair.server);
        if answers.get(&key).is_none() {
            let flag = format!("--pair {}:{}=http://…", pair.site, pair.server);
            let url = talk.value(&format!("URL of {}", pair.server), &server::URL, None, Some(&flag))?;
            answers.set_if(&key, url);
        }
    }
    for name in answers.sites() {
        place(answers, &name, has_agent, &mut talk)?;
    }
    if answers.get("COMMAND").is_none() {
        let question = "Command that is run when a pair is down, such as systemctl restart network-service";
        let command = talk.value(question, &ladder::COMMAND, None, Some("--command 'systemctl restart …'"))?;
        answers.set_if("COMMAND", command);
    }
    if answers.get("TELEGRAM_BOT_TOKEN_FILE").is_none() {
        let key = &telegram::TELEGRAM_BOT_TOKEN;
        let token = talk.secret("Telegram bot token, from @BotFather", key, Some("--token-file PATH"))?;
        answers.set_if(key.name, token.map(|token| token.trim().to_owned()));
    }
    if answers.get("TELEGRAM_CHAT_ID").is_none() {
        let question = "Telegram chat, a number such as -1001234567890 or @channelname";
        let chat = talk.value(question, &telegram::TELEGRAM_CHAT_ID, None, Some("--chat ID"))?;
        answers.set_if("TELEGRAM_CHAT_ID", chat);
    }
    if talk.missing.is_empty() { Ok(()) } else { Err(Ended::Missing(talk.missing)) }
}

/// Where a site's commands run, and how we log in there.
fn place(answers: &mut Answers, name: &SiteName, has_agent: bool, talk: &mut Talk<'_>) -> Result<(), Ended> {
    let host = format!("{name}_SSH_HOST");
    if answers.get(&host).is_none() {
        let question = format!("Where do the commands of {name} run: user@host[:port], or local for this machine");
        let flag = format!("--site {name}=user@host, or --local");
        let local = answers.local || {
            let mut local = false;
            talk.until(&question, false, Some(&flag), |text| {
                local = text.trim().eq_ignore_ascii_case("local");
                if local { Ok(()) } else { answers.host(name, text) }
            })?;
            local
        };
        if local {
            answers.set(&format!("{name}_LOCAL"), "true");
        }
    }
    if answers.get(&host).is_none() {
        return Ok(());
    }
    if let Some((end, value)) = answers.login.clone() {
        answers.set(&format!("{name}_{end}"), value);
        return Ok(());
    }
    if talk.ask.is_none() {
        if !has_agent {
            talk.missing.push("--key PATH, --password-file PATH, or a running ssh-agent (SSH_AUTH_SOCK)".to_owned());
            talk.missing.dedup();
        }
        return Ok(());
    }
    let mut key = String::new();
    talk.until(&format!("Private key file for {name} (empty for a password)"), false, None, |text| {
        text.trim().clone_into(&mut key);
        if key.is_empty() {
            return Ok(());
        }
        (site::SSH_KEY_PATH.parse)(&key)?;
        std::fs::File::open(&key).map(drop).map_err(|error| format!("it cannot be read: {error}"))
    })?;
    if !key.is_empty() {
        answers.set(&format!("{name}_SSH_KEY_PATH"), key);
        return Ok(());
    }
    let or = if has_agent { " (empty for the running ssh-agent)" } else { "" };
    talk.until(&format!("SSH password for {name}{or}"), true, None, |text| {
        if text.is_empty() {
            return if has_agent { Ok(()) } else { Err("expected a password: no ssh-agent runs".to_owned()) };
        }
        answers.set(&format!("{name}_SSH_PASSWORD"), text);
        Ok(())
    })
}

struct Talk<'a> {
    ask: Option<&'a mut dyn Ask>,
    missing: Vec<String>,
}

impl Talk<'_> {
    /// A value that its key can read; `default` for an empty answer. `None` when nobody can be asked.
    fn value<T>(
        &mut self,
        question: &str,
        key: &Key<T>,
        default: Option<&str>,
        flag: Option<&str>,
    ) -> Result<Option<String>, Ended> {
        self.read(question, false, key, default, flag)
    }

    fn secret<T>(&mut self, question: &str, key: &Key<T>, flag: Option<&str>) -> Result<Option<String>, Ended> {
        self.read(question, true, key, None, flag)
    }

    fn read<T>(
        &mut self,
        question: &str,
        secret: bool,
        key: &Key<T>,
        default: Option<&str>,
        flag: Option<&str>,
    ) -> Result<Option<String>, Ended> {
        let mut value = None;
        self.until(question, secret, flag, |text| {
            let text = if text.trim().is_empty() { default.unwrap_or_default() } else { text };
            if let Some(expected) = wrong(key, text) {
                return Err(expected);
            }
            value = Some(text.to_owned());
            Ok(())
        })?;
        Ok(value)
    }

    /// Asks until `take` is content.
    fn until(
        &mut self,
        question: &str,
        secret: bool,
        flag: Option<&str>,
        mut take: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), Ended> {
        let Some(ask) = self.ask.as_deref_mut() else {
            self.missing.extend(flag.map(str::to_owned));
            return Ok(());
        };
        loop {
            let answer = if secret { ask.secret(question) } else { ask.line(question) };
            let answer = answer.map_err(Ended::Broken)?.ok_or(Ended::Left)?;
            match take(&answer) {
                Ok(()) => return Ok(()),
                Err(why) => ask.tell(&format!("  {why}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::Args;
    use super::*;

    #[derive(Default)]
    struct Script {
        answers: VecDeque<&'static str>,
        questions: Vec<String>,
        told: Vec<String>,
    }

    impl Ask for Script {
        fn line(&mut self, question: &str) -> io::Result<Option<String>> {
            self.questions.push(question.to_owned());
            Ok(self.answers.pop_front().map(str::to_owned))
        }
        fn secret(&mut self, question: &str) -> io::Result<Option<String>> {
            self.line(&format!("secret {question}"))
        }
        fn tell(&mut self, text: &str) {
            self.told.push(text.to_owned());
        }
    }

    const TOKEN: &str = "1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P";

    #[test]
    fn each_answer_is_checked_and_asked_for_again_until_it_can_be_read() {
        let script = [
            "soon",
            "15",
            "DC3",
            "DC3:SRV4,DC1:SRV5",
            "gopher://x",
            "http://srv4/health",
            "http://srv5/ping",
            "nobody",
            "admin@dc3:2222",
            "/no/such/key",
            "",
            "",
            "pa$$ word",
            "local",
            "",
            "systemctl restart x",
            "nonsense",
            TOKEN,
            "chat",
            "-100123",
        ];
        let mut script = Script { answers: script.into(), ..Script::default() };
        let mut answers = Answers::of(&Args::default()).unwrap();
        complete(&mut answers, false, Some(&mut script)).unwrap();
        assert!(script.answers.is_empty(), "not asked: {:?}", script.answers);
        assert_eq!(script.told.len(), 9, "{:?}", script.told);
        for line in [
            "INTERVAL=15",
            "MAPPINGS=DC3:SRV4,DC1:SRV5",
            "SRV4_URL=http://srv4/health",
            "DC3_SSH_HOST=dc3",
            "DC3_SSH_PORT=2222",
            "DC3_SSH_USERNAME=admin",
            "DC1_LOCAL=true",
            "COMMAND=systemctl restart x",
            "TELEGRAM_CHAT_ID=-100123",
        ] {
            assert!(answers.text().lines().any(|found| found == line), "no {line} in\n{}", answers.text());
        }
        assert_eq!(answers.get("DC3_SSH_PASSWORD"), Some("pa$$ word"));
        let secrets: Vec<_> = script.questions.iter().filter(|question| question.starts_with("secret")).collect();
        assert!(secrets.iter().all(|question| question.contains("password") || question.contains("token")));
        assert_eq!(secrets.len(), 4, "{secrets:?}");
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        let mut script = Script { answers: ["30"].into(), ..Script::default() };
        let mut answers = Answers::of(&Args::default()).unwrap();
        assert!(matches!(complete(&mut answers, false, Some(&mut script)), Err(Ended::Left)));
    }

    #[test]
    fn without_anybody_to_ask_every_missing_option_is_named_at_once() {
        let args = Args { pair: vec!["DC3:SRV4".to_owned()], site: vec!["DC3=a@b".to_owned()], ..Args::default() };
        let mut answers = Answers::of(&args).unwrap();
        let Err(Ended::Missing(missing)) = complete(&mut answers, false, None) else { panic!("nothing is missing") };
        let all = missing.join("\n");
        for option in ["--pair DC3:SRV4=http://…", "--key PATH", "--command", "--token-file", "--chat"] {
            assert!(all.contains(option), "no {option} in\n{all}");
        }
    }

    #[test]
    fn every_mistake_on_the_command_line_is_told_at_once_and_no_password_is() {
        let args = Args {
            interval: Some("0".to_owned()),
            pair: vec!["DC3".to_owned(), "DC3:SRV4=ftp://u:hunter2@h".to_owned()],
            site: vec!["DC3=host".to_owned()],
            ..Args::default()
        };
        let bad = Answers::of(&args).err().unwrap();
        assert_eq!(bad.len(), 4, "{bad:?}");
        assert!(!bad.join("\n").contains("hunter2"), "{bad:?}");
    }
}
