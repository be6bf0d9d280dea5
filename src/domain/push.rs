//! What is known of a server that reports to us: its last word, and how long it has been silent.
//!
//! Time is handed in as what passed while somebody listened. Who listens, and by which clock, is `probe::wire::pushes`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// All is well.
    Well,
    /// Something is wrong; what it is, one short line from outside, or nothing.
    Trouble(String),
}

/// What a look at a server that reports to us comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight<'a> {
    /// It reported in time, and that all is well.
    Well,
    /// Its last word was of trouble, so long ago. That holds until it says otherwise.
    Trouble(&'a str, Duration),
    /// It was silent for so long, or never heard.
    Silent {
        /// How long.
        lasts: Duration,
        /// False when it never reported at all.
        heard: bool,
    },
    /// Nobody can say: it has not had the time for its first report, or one may have been missed.
    Unheard {
        /// False when it never reported at all.
        heard: bool,
    },
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// A look comes to something else than before, so one is worth its while.
    pub turned: bool,
    /// Trouble began or ended: that must not be forgotten.
    pub trouble: bool,
}

/// One server that reports to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    #[serde(rename = "every_ms", with = "super::millis")]
    every: Duration,
    /// Since the last report, or since we listen: only time in which we did.
    #[serde(rename = "silent_ms", with = "super::millis")]
    silent: Duration,
    /// Time beside that in which we were cut off: it is held against nobody, and what was heard grows old in it all the same.
    #[serde(rename = "unheard_ms", with = "super::millis", default, skip_serializing_if = "Duration::is_zero")]
    unheard: Duration,
    /// Nobody listened for a while since then: one report may have been missed.
    missed: bool,
    /// A cut took from its silence since then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forgiven: bool,
    word: Option<Word>,
}

impl Hearing {
    /// Begins to listen to a server that reports at least once in `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, silent: Duration::ZERO, unheard: Duration::ZERO, missed: false, forgiven: false, word: None }
    }

    /// Takes up another rhythm: it has a whole one of the new kind.
    pub fn expect(&mut self, every: Duration) {
        if self.every != every {
            self.every = every;
            self.leave_a_period();
        }
    }

    /// Says that so much time passed in which we listened.
    pub fn pass(&mut self, time: Duration) {
        self.silent = self.silent.saturating_add(time);
    }

    /// Says that nobody listened for a while: the agent was off, the machine slept. One report may have been missed, so silence has to last for one more period; what was silent already has a whole one to speak again.
    pub fn nobody_listened(&mut self) {
        if self.silent >= self.patience() {
            self.leave_a_period();
        }
        self.missed = true;
    }

    /// Says that so much time passed in which we were cut off.
    pub fn pass_unheard(&mut self, time: Duration) {
        // Trouble ages all the same.
        if self.is_in_trouble() {
            self.pass(time);
        } else {
            self.unheard = self.unheard.saturating_add(time);
        }
    }

    /// Says that we turned out to be cut off, for nobody knows how long: a report may have been missed, and a whole period to
    /// speak is left. That is forgiven once for each report, because short cuts that come again and again would hide for ever
    /// that nothing comes; and always who is silent already, which is known.
    pub fn cut_off(&mut self) {
        let is_silent = self.silent >= self.patience();
        if is_silent || (self.silent > self.every && !self.forgiven) {
            self.forgiven |= !is_silent;
            self.leave_a_period();
        }
        self.missed = true;
    }

    /// Says that we were cut off for so much of the time that was counted.
    pub fn was_cut_off(&mut self, lasted: Duration) {
        if !self.is_in_trouble() {
            let lasted = lasted.min(self.silent);
            self.silent = self.silent.saturating_sub(lasted);
            self.unheard = self.unheard.saturating_add(lasted);
        }
        self.cut_off();
    }

    fn is_in_trouble(&self) -> bool {
        matches!(self.word, Some(Word::Trouble(_)))
    }

    fn leave_a_period(&mut self) {
        // Of trouble only its age is known.
        if !self.is_in_trouble() {
            self.silent = self.silent.min(self.every);
        }
        self.missed = true;
    }

    /// Takes a report.
    pub fn hear(&mut self, word: Word) -> Heard {
        let before = self.look();
        let well = word == Word::Well;
        let turned = match before {
            Sight::Well => !well,
            Sight::Unheard { .. } => true,
            Sight::Trouble(..) | Sight::Silent { .. } => well,
        };
        let trouble = well == matches!(self.word, Some(Word::Trouble(_)));
        (self.silent, self.unheard) = (Duration::ZERO, Duration::ZERO);
        (self.missed, self.forgiven) = (false, false);
        self.word = Some(word);
        Heard { turned, trouble }
    }

    /// Looks.
    pub fn look(&self) -> Sight<'_> {
        let heard = self.word.is_some();
        match &self.word {
            Some(Word::Trouble(what)) => Sight::Trouble(what, self.silent),
            Some(Word::Well) if self.silent.saturating_add(self.unheard) < self.every => Sight::Well,
            Some(Word::Well) | None if self.silent < self.patience() => Sight::Unheard { heard },
            Some(Word::Well) | None => Sight::Silent { lasts: self.silent, heard },
        }
    }

    /// The time in which it has to report.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// The same with at most `cap` characters of what it said.
    #[must_use]
    pub fn capped(mut self, cap: usize) -> Self {
        if let Some(Word::Trouble(what)) = &mut self.word {
            *what = what.chars().take(cap).collect();
        }
        self
    }

    /// How long its silence may last before it counts.
    fn patience(&self) -> Duration {
        if self.missed { self.every.saturating_mul(2) } else { self.every }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERY: Duration = Duration::from_secs(90);

    /// What happens to a server.
    #[derive(Debug, Clone)]
    enum Event {
        Pass(u64),
        Well,
        Trouble,
        Gap,
        Cut,
        Lost(u64),
        Every(u64),
    }
    use Event::{Cut, Every, Gap, Lost, Pass, Trouble, Well};

    fn after(events: &[Event]) -> Hearing {
        let mut hearing = Hearing::new(EVERY);
        for event in events {
            match event {
                Pass(seconds) => hearing.pass(Duration::from_secs(*seconds)),
                Well => drop(hearing.hear(Word::Well)),
                Trouble => drop(hearing.hear(Word::Trouble("disk full".to_owned()))),
                Gap => hearing.nobody_listened(),
                Cut => hearing.cut_off(),
                Lost(seconds) => hearing.was_cut_off(Duration::from_secs(*seconds)),
                Every(seconds) => hearing.expect(Duration::from_secs(*seconds)),
            }
        }
        hearing
    }

    fn word(hearing: &Hearing) -> String {
        match hearing.look() {
            Sight::Well => "well".to_owned(),
            Sight::Trouble(what, ago) => format!("{what} {}", ago.as_secs()),
            Sight::Silent { lasts, heard } => format!("silent {} {heard}", lasts.as_secs()),
            Sight::Unheard { heard } => format!("unheard {heard}"),
        }
    }

    #[test]
    fn silence_counts_from_the_last_report_and_nothing_is_held_against_what_could_not_be_heard() {
        for (name, events, expected) in [
            ("nothing yet", vec![], "unheard false"),
            ("its first period is not over", vec![Pass(89)], "unheard false"),
            ("it never came", vec![Pass(90)], "silent 90 false"),
            ("in time", vec![Pass(80), Well, Pass(89)], "well"),
            ("late by a moment", vec![Well, Pass(90)], "silent 90 true"),
            ("late by an hour", vec![Well, Pass(3600)], "silent 3600 true"),
            ("back", vec![Well, Pass(3600), Well], "well"),
            ("it says so", vec![Well, Pass(10), Trouble], "disk full 0"),
            ("it says so at once", vec![Trouble, Pass(10)], "disk full 10"),
            ("trouble lasts until it is taken back", vec![Trouble, Pass(3600)], "disk full 3600"),
            ("trouble is taken back", vec![Trouble, Pass(10), Well], "well"),
            ("a gap forgives one report", vec![Well, Pass(60), Gap, Pass(119)], "unheard true"),
            ("a gap forgives no second one", vec![Well, Pass(60), Gap, Pass(120)], "silent 180 true"),
            ("what was heard holds for its time", vec![Well, Pass(60), Gap, Pass(29)], "well"),
            ("a gap at the start", vec![Pass(60), Gap, Pass(119)], "unheard false"),
            ("gap after gap adds nothing", vec![Well, Pass(60), Gap, Pass(60), Gap, Pass(60)], "silent 180 true"),
            ("after a long silence there is time to speak", vec![Well, Pass(900), Gap], "unheard true"),
            ("and no more than a period of it", vec![Well, Pass(900), Gap, Pass(90)], "silent 180 true"),
            ("a gap takes no trouble back", vec![Trouble, Pass(900), Gap], "disk full 900"),
            ("a cut leaves a whole period", vec![Well, Pass(90), Cut, Pass(80), Cut, Pass(89)], "unheard true"),
            ("and no more", vec![Well, Pass(90), Cut, Pass(80), Cut, Pass(90)], "silent 180 true"),
            (
                "a cut a day hides no missed report for ever",
                vec![Well, Pass(85), Cut, Pass(85), Cut, Pass(85), Cut, Pass(85), Cut],
                "unheard true",
            ),
            (
                "for it is forgiven once",
                vec![Well, Pass(85), Cut, Pass(85), Cut, Pass(85), Cut, Pass(5)],
                "silent 180 true",
            ),
            ("what was cut off is taken off", vec![Well, Pass(60), Lost(30), Pass(149)], "unheard true"),
            ("what was heard grows old while nobody hears", vec![Well, Pass(60), Lost(30), Pass(30)], "unheard true"),
            ("and not more than that", vec![Well, Pass(60), Lost(30), Pass(150)], "silent 180 true"),
            ("a report begins anew", vec![Well, Pass(170), Cut, Pass(85), Well, Pass(89)], "well"),
            ("a cut takes nothing from who is well", vec![Well, Pass(10), Cut, Pass(79)], "well"),
            ("a shorter rhythm gets its time", vec![Well, Pass(80), Every(10)], "unheard true"),
            ("and no more", vec![Well, Pass(80), Every(10), Pass(10)], "silent 20 true"),
            ("a longer rhythm", vec![Well, Pass(80), Every(900), Pass(819)], "well"),
            ("the same rhythm changes nothing", vec![Well, Pass(80), Every(90), Pass(10)], "silent 90 true"),
        ] {
            assert_eq!(word(&after(&events)), expected, "{name}");
        }
    }

    #[test]
    fn a_report_says_whether_a_look_is_worth_its_while() {
        let says = |events: &[Event], word: Word| {
            let Heard { turned, trouble } = after(events).hear(word);
            (turned, trouble)
        };
        let trouble = || Word::Trouble("again".to_owned());
        for (name, events, word, expected) in [
            ("the first", vec![], Word::Well, (true, false)),
            ("one more", vec![Well], Word::Well, (false, false)),
            ("late", vec![Well, Pass(99)], Word::Well, (true, false)),
            ("trouble", vec![Well], trouble(), (true, true)),
            ("trouble at first", vec![], trouble(), (true, true)),
            ("trouble again", vec![Trouble], trouble(), (false, false)),
            ("trouble after silence", vec![Well, Pass(99)], trouble(), (false, true)),
            ("trouble is over", vec![Trouble], Word::Well, (true, true)),
        ] {
            assert_eq!(says(&events, word), expected, "{name}");
        }
    }

    fn is_silent(hearing: &Hearing) -> bool {
        matches!(hearing.look(), Sight::Silent { .. })
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0_u64..200).prop_map(Pass),
            Just(Well),
            Just(Trouble),
            Just(Gap),
            Just(Cut),
            (0_u64..200).prop_map(Lost),
            (1_u64..200).prop_map(Every)
        ]
    }

    proptest! {
        #[test]
        fn whoever_reports_in_time_is_never_down_for_silence_and_whoever_never_does_always_is(
            events in proptest::collection::vec(event(), 0..30),
            rhythm in 1_u64..90,
        ) {
            let mut hearing = after(&events);
            hearing.expect(EVERY);
            for missed in [false, true, false, true] {
                hearing.hear(Word::Well);
                prop_assert_eq!(hearing.look(), Sight::Well);
                hearing.pass(Duration::from_secs(rhythm - 1));
                prop_assert!(!is_silent(&hearing));
                if missed {
                    // Its report falls into a gap, so only the next one is heard.
                    hearing.nobody_listened();
                    hearing.pass(Duration::from_secs(rhythm));
                    prop_assert!(!is_silent(&hearing));
                }
            }
            hearing.nobody_listened();
            hearing.pass(EVERY * 2);
            prop_assert!(is_silent(&hearing));
        }

        #[test]
        fn no_cuts_hide_for_ever_that_nothing_comes(
            events in proptest::collection::vec(event(), 0..30),
            every in 1_u64..90,
        ) {
            let mut hearing = after(&events);
            hearing.expect(EVERY);
            hearing.hear(Word::Well);
            let mut listened = 0;
            while !is_silent(&hearing) {
                hearing.pass(Duration::from_secs(every));
                listened += every;
                prop_assert!(listened <= 5 * 90 + 90, "{hearing:?}");
                if !is_silent(&hearing) {
                    hearing.cut_off();
                }
            }
        }

        #[test]
        fn what_is_saved_is_read_back(events in proptest::collection::vec(event(), 0..30)) {
            let hearing = after(&events);
            let json = serde_json::to_string(&hearing).unwrap();
            prop_assert_eq!(serde_json::from_str::<Hearing>(&json).unwrap(), hearing);
        }
    }
}
