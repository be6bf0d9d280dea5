//! The story: the agent's own log, line by line, with the demo's cues and the messages in between.

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant, sleep_until};

use super::bubble;
use super::chat::Taken;
use super::entry::{Entry, Kind};
use super::play::Cue;
use super::score::Score;
use super::screen::{Ink, Piece, Screen, piece};
use super::words::Words;

/// How long a message waits for log lines that are on their way: both tell of the same moment, and the log comes first.
const LOG_FIRST: Duration = Duration::from_millis(150);

/// Columns before the text of a line: time and mark.
const LEAD: usize = 11;

/// Tells the story.
pub struct Teller {
    /// Where.
    pub screen: Screen,
    /// In which language.
    pub words: Words,
    /// What is counted.
    pub score: watch::Sender<Score>,
    /// URLs that the reader knows and that only make lines long.
    pub urls: Vec<String>,
}

impl Teller {
    /// Tells until the log ends; then what still waits is told.
    pub async fn tell(self, log: pipe::Receiver, mut cues: mpsc::Receiver<Cue>, mut messages: mpsc::Receiver<Taken>) {
        let mut lines = BufReader::new(log).lines();
        let mut held: Option<(Taken, Instant)> = None;
        let mut last = String::new();
        let room = self.screen.width().map_or(usize::MAX, |width| width.saturating_sub(LEAD));
        loop {
            let due = held.as_ref().map(|(_, due)| *due);
            tokio::select! {
                biased;
                line = lines.next_line() => match line {
                    Ok(Some(line)) => {
                        if let Some(entry) = Entry::read(&line, room) {
                            entry.at.clone_into(&mut last);
                            self.entry(&entry);
                        }
                    }
                    Ok(None) | Err(_) => break,
                },
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    if let Some((message, _)) = held.take() {
                        self.message(&message, &last);
                    }
                }
                Some(cue) = cues.recv() => self.cue(cue),
                Some(message) = messages.recv(), if held.is_none() => held = Some((message, Instant::now() + LOG_FIRST)),
            }
        }
        if let Some((message, _)) = held {
            self.message(&message, &last);
        }
        while let Ok(message) = messages.try_recv() {
            self.message(&message, &last);
        }
    }

    fn message(&self, message: &Taken, at: &str) {
        bubble::draw(&self.screen, self.words, message, at);
        self.score.send_modify(|score| score.told(&message.html));
    }

    fn cue(&self, cue: Cue) {
        let (ink, text) = match cue {
            Cue::Breaks(health) => (Ink::Magenta, self.words.breaks(health).to_owned()),
            Cue::Rests(rest) => (Ink::Faint, self.words.rests(rest)),
        };
        self.screen.say(&[]);
        self.row("", ("»", ink), &[piece(ink, &text)]);
        self.screen.say(&[]);
    }

    fn entry(&self, entry: &Entry) {
        let pair = entry.pair.as_deref().unwrap_or_default();
        let (mark, ink) = match entry.kind {
            Kind::Said => ("·", Ink::Faint),
            Kind::Warned | Kind::AttemptFailed => ("!", Ink::Yellow),
            Kind::Failed | Kind::Down | Kind::StillDown => ("x", Ink::Red),
            Kind::CommandStarts => (">", Ink::Cyan),
            Kind::Record => (" ", Ink::Faint),
            Kind::Healed | Kind::Recovered => ("+", Ink::Green),
        };
        let mut text = entry.message.clone();
        for url in &self.urls {
            text = text.replace(&format!(" ({url})"), "");
        }
        let body = match entry.kind {
            Kind::Said | Kind::Record => vec![piece(Ink::Faint, &text)],
            Kind::Down | Kind::Healed | Kind::Recovered => vec![piece(ink, &text)],
            Kind::CommandStarts => match text.rsplit_once(": ") {
                Some((before, command)) => {
                    vec![piece(Ink::Plain, &format!("{before}: ")), piece(Ink::Cyan, command)]
                }
                None => vec![piece(Ink::Plain, &text)],
            },
            Kind::Warned | Kind::AttemptFailed | Kind::Failed | Kind::StillDown => vec![piece(Ink::Plain, &text)],
        };
        let body = match entry.kind {
            Kind::Healed => [body, self.verdict("healed", Ink::Green)].concat(),
            Kind::StillDown => [body, self.verdict(self.score.borrow().verdict_unless_up(), Ink::Red)].concat(),
            _ => body,
        };
        self.row(&entry.at, (mark, ink), &body);
        self.score.send_modify(|score| match entry.kind {
            Kind::Down => score.down(pair),
            Kind::Record => score.ran(&entry.status),
            Kind::Healed => score.healed(pair),
            Kind::Recovered => score.recovered(pair),
            _ => {}
        });
    }

    fn verdict(&self, verdict: &str, ink: Ink) -> Vec<Piece> {
        vec![piece(Ink::Faint, &format!(" · {}: ", self.words.verdict())), piece(ink, verdict)]
    }

    fn row(&self, at: &str, (mark, ink): (&str, Ink), body: &[Piece]) {
        let lead = [piece(Ink::Faint, &format!("{at:8} ")), piece(ink, mark), piece(Ink::Plain, " ")];
        self.screen.line(&lead, &[piece(Ink::Plain, &" ".repeat(LEAD))], body);
    }
}
