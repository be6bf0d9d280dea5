//! What is to happen: the words of the command line become a story about the servers and pairs of the configuration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::config::Config;
use crate::domain::name::{PairName, ServerName};
use crate::env::duration;

use super::course::{Course, Fate, Spell, merged};

/// Names that are listed when one is not known.
const LISTED: usize = 40;

/// The shortest part of a flap; shorter than an attempt is nothing that anybody could see.
const SHORTEST: Duration = Duration::from_millis(100);

/// The longest plan that may be asked for.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// An outage as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// A server, a pair, a site or `all`.
    pub what: String,
    /// When.
    pub spell: Spell,
}

/// A flap as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flap {
    /// A server, a pair, a site or `all`.
    pub what: String,
    /// How long it is up, each time.
    pub up: Duration,
    /// How long it is down, each time.
    pub down: Duration,
}

/// Which command helps, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cure {
    /// The rung, from 1; any of them when there is none.
    pub rung: Option<u32>,
    /// From the end of the command to the moment at which the target is up.
    pub after: Duration,
}

/// Reads `SRV4=10m` or `SRV4=10m@5m`.
pub fn outage(text: &str) -> Result<Outage, String> {
    let expected = |why: &str| format!("expected SRV4=10m, or SRV4=10m@5m for one that begins after 5 min{why}");
    let (what, rest) = named(text).ok_or_else(|| expected(""))?;
    Ok(Outage { what, spell: timed(rest).map_err(|why| expected(&why))? })
}

/// Reads `SRV5=30s/10s`.
pub fn flap(text: &str) -> Result<Flap, String> {
    let expected = |why: &str| format!("expected SRV5=30s/10s, the time it is up and the time it is down{why}");
    let (what, rest) = named(text).ok_or_else(|| expected(""))?;
    let (up, down) = rest.split_once('/').ok_or_else(|| expected(""))?;
    let part = |text| match positive(text) {
        Ok(part) if part < SHORTEST => Err(expected("; each takes at least 100ms")),
        Ok(part) => Ok(part),
        Err(why) => Err(expected(&why)),
    };
    Ok(Flap { what, up: part(up)?, down: part(down)? })
}

/// Reads `2m` or `2m@1m`.
pub fn lost(text: &str) -> Result<Spell, String> {
    timed(text).map_err(|why| format!("expected 2m, or 2m@1m for one that begins after 1 min{why}"))
}

/// Reads `2` or `2:20s`.
pub fn healed_by(text: &str) -> Result<Cure, String> {
    let expected = || "expected a rung such as 2, or 2:20s for a target that needs 20 s after it".to_owned();
    let (rung, after) = text.split_once(':').unwrap_or((text, "0"));
    let rung = rung.trim().parse().ok().filter(|rung| *rung > 0).ok_or_else(expected)?;
    Ok(Cure { rung: Some(rung), after: duration::parse(after).map_err(|_| expected())? })
}

/// Reads a duration.
pub fn length(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|why| format!("expected {why}"))
}

/// Reads how long a plan is.
pub fn whole(text: &str) -> Result<Duration, String> {
    match positive(text) {
        Ok(length) if length > LONGEST => Err("a plan is at most 7d long".to_owned()),
        Ok(length) => Ok(length),
        Err(why) => Err(format!("expected a duration such as 30m{why}")),
    }
}

fn named(text: &str) -> Option<(String, &str)> {
    let (what, rest) = text.split_once('=')?;
    Some((what.trim().to_owned(), rest)).filter(|(what, _)| !what.is_empty())
}

fn timed(text: &str) -> Result<Spell, String> {
    let (lasts, from) = text.split_once('@').unwrap_or((text, "0"));
    let from = duration::parse(from).map_err(|why| format!("; `{}` is not {why}", from.trim()))?;
    Ok(Spell { from, until: from.saturating_add(positive(lasts)?) })
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(length) if !length.is_zero() => Ok(length),
        Ok(_) => Err("; a time of zero changes nothing".to_owned()),
        Err(why) => Err(format!("; `{}` is not {why}", text.trim())),
    }
}

/// Who fares so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// A server, for every pair that probes it.
    Server(ServerName),
    /// What one pair probes, for this pair alone.
    Pair(PairName),
}

impl Subject {
    fn server(&self) -> &ServerName {
        match self {
            Self::Server(server) => server,
            Self::Pair(pair) => &pair.server,
        }
    }

    fn is(&self, pair: &PairName) -> bool {
        match self {
            Self::Server(server) => pair.server == *server,
            Self::Pair(one) => pair == one,
        }
    }
}

/// What happens, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    fates: Vec<(Subject, Fate)>,
    /// Which fates touch each server, so that nobody has to look through all of them.
    touched: HashMap<ServerName, Vec<usize>>,
    lost: Vec<Spell>,
    cure: Option<Cure>,
    command_takes: Duration,
}

impl Story {
    /// Finds everything that is named in the configuration.
    ///
    /// # Errors
    /// One sentence for each name that is not there.
    pub fn new(config: &Config, outages: &[Outage], flaps: &[Flap], lost: &[Spell]) -> Result<Self, Vec<String>> {
        let outages = outages.iter().map(|outage| (&outage.what, Course::Once(outage.spell)));
        let flaps = flaps.iter().map(|flap| (&flap.what, Course::Flap { up: flap.up, down: flap.down }));
        let (mut fates, mut unknown) = (Vec::new(), Vec::new());
        for (what, course) in outages.chain(flaps) {
            match subjects(config, what) {
                Ok(subjects) => fates.extend(subjects.into_iter().map(|subject| (subject, Fate::new(course)))),
                Err(why) => unknown.push(why),
            }
        }
        let mut touched: HashMap<ServerName, Vec<usize>> = HashMap::new();
        for (place, (subject, _)) in fates.iter().enumerate() {
            touched.entry(subject.server().clone()).or_default().push(place);
        }
        let (lost, command_takes) = (merged(lost.to_vec()), Duration::from_secs(1));
        let story = Self { fates, touched, lost, cure: None, command_takes };
        if unknown.is_empty() { Ok(story) } else { Err(unknown) }
    }

    /// The same with commands that take so long, and that help; without a cure they run and do not help.
    #[must_use]
    pub fn with(self, cure: Option<Cure>, command_takes: Duration) -> Self {
        Self { cure, command_takes, ..self }
    }

    /// How long a command takes.
    pub fn command_takes(&self) -> Duration {
        self.command_takes
    }

    /// True when what `pair` probes is down.
    pub fn is_down(&self, pair: &PairName, at: Duration) -> bool {
        self.fates_of(pair).any(|fate| fate.is_down(at))
    }

    /// True when a server is down for anybody who probes it.
    pub fn is_server_down(&self, server: &ServerName, at: Duration) -> bool {
        self.touching(server).any(|(_, fate)| fate.is_down(at))
    }

    /// True when this machine has lost its network.
    pub fn is_cut_off(&self, at: Duration) -> bool {
        self.lost.iter().any(|spell| Course::Once(*spell).spell(at).is_some())
    }

    /// Takes the end of a command that did what it should: it may bring up what `pair` probes. Rung 0 is what is run on
    /// recovery.
    pub fn ran(&mut self, pair: &PairName, rung: u32, at: Duration) {
        let helps = |cure: &Cure| cure.rung.map_or(rung > 0, |one| one == rung);
        let Some(cure) = self.cure.filter(helps) else { return };
        for place in self.touched.get(&pair.server).into_iter().flatten() {
            if let Some((_, fate)) = self.fates.get_mut(*place).filter(|(subject, _)| subject.is(pair)) {
                fate.heal(at, cure.after);
            }
        }
    }

    /// When what `pair` probes is down, before this moment, as it came.
    pub fn spells(&self, pair: &PairName, before: Duration) -> Vec<Spell> {
        merged(self.fates_of(pair).flat_map(|fate| fate.spells(before)).collect())
    }

    /// When this machine has no network.
    pub fn lost(&self) -> &[Spell] {
        &self.lost
    }

    /// When nothing new happens any more, as things stand; `None` when there is no such moment.
    pub fn end(&self) -> Option<Duration> {
        let fates = self.fates.iter().map(|(_, fate)| fate.end());
        let lost = self.lost.iter().map(|spell| Some(spell.until));
        fates.chain(lost).try_fold(Duration::ZERO, |end, one| Some(end.max(one?)))
    }

    fn fates_of<'a>(&'a self, pair: &'a PairName) -> impl Iterator<Item = &'a Fate> {
        self.touching(&pair.server).filter(|(subject, _)| subject.is(pair)).map(|(_, fate)| fate)
    }

    fn touching(&self, server: &ServerName) -> impl Iterator<Item = &(Subject, Fate)> {
        self.touched.get(server).into_iter().flatten().filter_map(|place| self.fates.get(*place))
    }
}

fn subjects(config: &Config, what: &str) -> Result<Vec<Subject>, String> {
    let pairs = || config.pairs.iter().map(|pair| &pair.name);
    let servers: BTreeSet<&ServerName> = pairs().map(|pair| &pair.server).collect();
    let mut by_site: BTreeMap<&str, Vec<Subject>> = BTreeMap::new();
    for pair in pairs() {
        by_site.entry(pair.site.as_str()).or_default().push(Subject::Pair(pair.clone()));
    }
    if let Ok(pair) = what.parse::<PairName>() {
        let known = pairs().any(|one| *one == pair);
        return if known { Ok(vec![Subject::Pair(pair)]) } else { Err(unknown("pair", what, pairs())) };
    }
    let server = servers.iter().find(|server| server.as_str() == what);
    match (server, by_site.remove(what)) {
        (Some(_), Some(_)) => {
            Err(format!("`{what}` is a server and a site; name the pairs that are meant, such as DC3-SRV4"))
        }
        (Some(server), None) => Ok(vec![Subject::Server((*server).clone())]),
        (None, Some(pairs)) => Ok(pairs),
        (None, None) if what == "all" => Ok(servers.into_iter().cloned().map(Subject::Server).collect()),
        (None, None) => {
            let sites: BTreeSet<_> = pairs().map(|pair| &pair.site).collect();
            let servers = list(servers.iter());
            Err(format!(
                "there is no server or site `{what}`; servers: {servers}; sites: {}; or all",
                list(sites.iter())
            ))
        }
    }
}

fn unknown<'a>(kind: &str, what: &str, names: impl Iterator<Item = &'a PairName>) -> String {
    format!("there is no {kind} `{what}`; there are: {}", list(names))
}

fn list<T: ToString>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    let more = names.len().saturating_sub(LISTED);
    let shown = names.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn spell(from: u64, until: u64) -> Spell {
        Spell { from: secs(from), until: secs(until) }
    }

    fn config() -> Config {
        let text = "INTERVAL=30\nMAPPINGS=DC1:A,DC1:B,DC2:A\nCOMMAND=fix\nA_URL=http://a/\nB_URL=http://b/\nDC1_LOCAL=true\n\
                    DC2_LOCAL=true\nTELEGRAM_BOT_TOKEN=1234567890:AAFmBbQdvwWCD2fI4u7Fk5Z1J2K3L4M5N6O7P\nTELEGRAM_CHAT_ID=1\n";
        let env = Env::new(".env", text.as_bytes(), BTreeMap::new());
        let loaded =
            crate::config::load(&env, &|path| std::fs::read_to_string(path), &crate::config::Surroundings::default());
        loaded.config.unwrap_or_else(|| panic!("{}", loaded.report))
    }

    fn pair(text: &str) -> PairName {
        text.parse().unwrap()
    }

    fn down(what: &str) -> Vec<&'static str> {
        let outage = outage(&format!("{what}=10m@5m")).unwrap();
        let story = Story::new(&config(), &[outage], &[], &[]).unwrap();
        let is_down = |text: &&str| story.is_down(&pair(text), secs(600));
        ["DC1:A", "DC1:B", "DC2:A"].into_iter().filter(is_down).collect()
    }

    #[test]
    fn options_are_read_and_a_bad_one_says_what_to_write() {
        assert_eq!(outage("SRV4=10m@5m"), Ok(Outage { what: "SRV4".into(), spell: spell(300, 900) }));
        assert_eq!(outage(" SRV4 = 10"), Ok(Outage { what: "SRV4".into(), spell: spell(0, 10) }));
        assert_eq!(flap("all=30s/10s"), Ok(Flap { what: "all".into(), up: secs(30), down: secs(10) }));
        assert_eq!(lost("2m@1m"), Ok(spell(60, 180)));
        assert_eq!(healed_by("2:20s"), Ok(Cure { rung: Some(2), after: secs(20) }));
        assert_eq!(healed_by("1"), Ok(Cure { rung: Some(1), after: secs(0) }));
        for (bad, part) in [
            (outage("SRV4").map(drop), "expected SRV4=10m"),
            (outage("=10m").map(drop), "expected SRV4=10m"),
            (outage("SRV4=soon").map(drop), "`soon` is not a duration"),
            (outage("SRV4=0@5m").map(drop), "a time of zero"),
            (outage("SRV4=1m@").map(drop), "`` is not a duration"),
            (flap("SRV4=10s").map(drop), "expected SRV5=30s/10s"),
            (flap("SRV4=10s/0").map(drop), "a time of zero"),
            (flap("SRV4=10s/1ms").map(drop), "at least 100ms"),
            (whole("30d").map(drop), "at most 7d"),
            (lost("@1m").map(drop), "expected 2m"),
            (healed_by("0").map(drop), "expected a rung"),
            (healed_by("2:x").map(drop), "expected a rung"),
        ] {
            let why = bad.unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn a_server_a_pair_a_site_and_all_mean_what_they_say() {
        assert_eq!(down("A"), ["DC1:A", "DC2:A"]);
        assert_eq!(down("DC1-A"), ["DC1:A"]);
        assert_eq!(down("DC1"), ["DC1:A", "DC1:B"]);
        assert_eq!(down("all"), ["DC1:A", "DC1:B", "DC2:A"]);
    }

    #[test]
    fn every_unknown_name_is_told_with_those_there_are() {
        let outages = ["C=1m", "DC1-C=1m", "A=1m"].map(|text| outage(text).unwrap());
        let flaps = [flap("DC9=1s/1s").unwrap()];
        let unknown = Story::new(&config(), &outages, &flaps, &[]).unwrap_err();
        assert_eq!(unknown.len(), 3, "{unknown:?}");
        assert!(
            unknown[0].contains("`C`") && unknown[0].contains("servers: A, B; sites: DC1, DC2; or all"),
            "{unknown:?}"
        );
        assert!(unknown[1].contains("no pair `DC1-C`") && unknown[1].contains("DC1-A, DC1-B, DC2-A"), "{unknown:?}");
        assert!(unknown[2].contains("`DC9`"), "{unknown:?}");
    }

    #[test]
    fn a_command_brings_up_what_its_pair_probes_for_all_who_probe_it() {
        let mut story = Story::new(&config(), &[outage("all=10m").unwrap()], &[], &[]).unwrap();
        story.ran(&pair("DC1:A"), 1, secs(10));
        assert!(story.is_down(&pair("DC1:A"), secs(100)), "without a cure commands do not help");
        let mut story = story.with(Some(Cure { rung: Some(2), after: secs(5) }), secs(1));
        story.ran(&pair("DC1:A"), 1, secs(10));
        assert!(story.is_down(&pair("DC1:A"), secs(100)), "another rung does not help");
        story.ran(&pair("DC1:A"), 2, secs(20));
        let spells = |text: &str| story.spells(&pair(text), secs(1000));
        assert_eq!(
            (spells("DC1:A"), spells("DC2:A"), spells("DC1:B")),
            (vec![spell(0, 25)], vec![spell(0, 25)], vec![spell(0, 600)])
        );
    }

    #[test]
    fn the_end_is_the_last_end_and_a_flap_has_none() {
        let outages = [outage("A=10m@5m").unwrap(), outage("B=1m").unwrap()];
        let story = |flaps: &[Flap], lost: &[Spell]| Story::new(&config(), &outages, flaps, lost).unwrap().end();
        assert_eq!(story(&[], &[]), Some(secs(900)));
        assert_eq!(story(&[], &[spell(900, 1000), spell(0, 5)]), Some(secs(1000)));
        assert_eq!(story(&[flap("A=1s/1s").unwrap()], &[]), None);
    }
}
