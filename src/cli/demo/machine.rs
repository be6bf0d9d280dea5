//! The machine behind the SSH server: it knows `systemctl restart UNIT`, and nothing that it is told is ever run.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::breakable::{Health, Service};

/// What a restart of a broken unit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    /// Exit 0, and the service is well again.
    Heals,
    /// Exit 0, and the service fares like this.
    InVain(Health),
    /// Exit 1 with systemd's words, and nothing changes.
    Fails,
}

/// What a command left.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    /// Standard error; what we know writes nothing to standard output.
    pub stderr: String,
    /// The exit code.
    pub code: u32,
}

/// One unit: a service, and what its next restarts come to.
#[derive(Debug)]
pub struct Unit {
    name: &'static str,
    service: Service,
    tries: Mutex<VecDeque<Try>>,
}

impl Unit {
    /// Makes a unit of a service.
    pub fn new(name: &'static str, service: Service) -> Self {
        Self { name, service, tries: Mutex::default() }
    }

    /// Where its service answers.
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Breaks the service; its next restarts come to `tries`, and later ones heal it.
    pub fn breaks(&self, health: Health, tries: &[Try]) {
        *self.tries.lock().unwrap_or_else(PoisonError::into_inner) = tries.iter().copied().collect();
        self.service.set(health);
    }

    fn restart(&self) -> Output {
        let next = self.tries.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let name = self.name;
        match next.unwrap_or(Try::Heals) {
            Try::Heals => self.service.set(Health::Well),
            Try::InVain(health) => self.service.set(health),
            Try::Fails => {
                let stderr = format!(
                    "Job for {name}.service failed because the control process exited with error code.\n\
                     See \"systemctl status {name}.service\" and \"journalctl -xeu {name}.service\" for details.\n"
                );
                return Output { stderr, code: 1 };
            }
        }
        Output { stderr: String::new(), code: 0 }
    }
}

/// A machine with its units.
#[derive(Debug, Clone)]
pub struct Machine {
    units: Arc<[Arc<Unit>]>,
}

impl Machine {
    /// Joins units to a machine.
    pub fn new(units: impl IntoIterator<Item = Arc<Unit>>) -> Self {
        Self { units: units.into_iter().collect() }
    }

    /// Answers the text of an exec request as a shell with systemd behind it would.
    pub fn execute(&self, request: &str) -> Output {
        let words = words(request);
        // The agent sends the command as one word inside a wrapper of its own; a person sends it bare.
        let asked = words.iter().find_map(|word| restarted(word)).or_else(|| restarted(request));
        let Some(unit) = asked else {
            let stderr = "sh: this machine is a demo and knows only `systemctl restart UNIT`\n".to_owned();
            return Output { stderr, code: 127 };
        };
        self.units.iter().find(|known| known.name == unit).map_or_else(
            || Output {
                stderr: format!("Failed to restart {unit}.service: Unit {unit}.service not found.\n"),
                code: 5,
            },
            |unit| unit.restart(),
        )
    }
}

/// The unit, when the text is `systemctl restart UNIT` and nothing else.
fn restarted(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().skip_while(|word| *word == "sudo");
    let (program, verb, unit, more) = (words.next()?, words.next()?, words.next()?, words.next());
    let plain = unit.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '@' | '.'));
    (program == "systemctl" && verb == "restart" && more.is_none() && plain && unit.len() <= 64)
        .then(|| unit.strip_suffix(".service").unwrap_or(unit).to_owned())
}

/// Splits a line into words as a shell does; what is not closed ends with the text.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn only_a_restart_of_a_known_unit_changes_anything() {
        let mut tasks = JoinSet::new();
        let shop = Arc::new(Unit::new("shop", Service::start(&mut tasks).unwrap()));
        let machine = Machine::new([shop.clone()]);
        for (request, code) in [
            ("systemctl restart shop; rm -rf /", 127),
            ("systemctl restart blog", 5),
            ("exec sh -c 'echo systemctl restart shop' monitor true 9", 127),
            ("reboot", 127),
            ("", 127),
            ("systemctl restart", 127),
        ] {
            shop.breaks(Health::Unavailable, &[]);
            assert_eq!(machine.execute(request).code, code, "{request}");
            assert_eq!(shop.service.health(), Health::Unavailable, "{request}");
        }
        for request in [
            "systemctl restart shop",
            " sudo systemctl restart shop.service ",
            "exec sh -c 'c=$1; t=$2; exec env \"$@\" sh -c \"$c\"' monitor 'systemctl restart shop' 59 'MONITOR_PAIR=a'",
            "exec sh -c 'it'\\''s' monitor 'systemctl restart shop' 59",
        ] {
            shop.breaks(Health::Unavailable, &[]);
            assert_eq!(machine.execute(request), Output { stderr: String::new(), code: 0 }, "{request}");
            assert_eq!(shop.service.health(), Health::Well, "{request}");
        }
    }

    #[tokio::test]
    async fn restarts_come_to_what_the_play_says_in_its_order() {
        let mut tasks = JoinSet::new();
        let shop = Arc::new(Unit::new("shop", Service::start(&mut tasks).unwrap()));
        let machine = Machine::new([shop.clone()]);
        shop.breaks(Health::Unavailable, &[Try::Fails, Try::InVain(Health::Gone), Try::Heals]);
        let failed = machine.execute("systemctl restart shop");
        assert_eq!((failed.code, shop.service.health()), (1, Health::Unavailable));
        assert!(failed.stderr.contains("Job for shop.service failed"), "{failed:?}");
        assert_eq!((machine.execute("systemctl restart shop").code, shop.service.health()), (0, Health::Gone));
        assert_eq!((machine.execute("systemctl restart shop").code, shop.service.health()), (0, Health::Well));
    }
}
