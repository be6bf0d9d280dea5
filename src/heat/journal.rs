//! The log of HEAT: blocks of a header, `seconds : TYPE : command :`, and lines of output behind it, appended to one file.
//!
//! The file is opened for each write, so it may be moved away or removed at any time. How output becomes lines is in `lines`.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::host::process::Sink;

use super::lines::Lines;

/// Bytes of a block that are held until its end is known; a longer one is written as it comes, as INFO.
/// So is one that lasts: see `job`.
const HELD: usize = 64 * 1024;
/// Bytes of lines that wait for the end of a long block; more would have to come from nowhere.
const WAITING: usize = 64 * 1024;

/// What a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// General.
    Info,
    /// A failure.
    Fail,
    /// What HEAT cannot deal with.
    Err,
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    complain: fn(&str),
    /// The last write failed; half a line may stand at the end of the file.
    broken: bool,
    /// A block is being written as it comes.
    streaming: bool,
    /// What is written after it.
    waiting: String,
}

/// What one run prints.
#[derive(Debug)]
pub struct Block {
    at: i64,
    command: String,
    text: String,
    out: Lines,
    err: Lines,
    streaming: bool,
}

impl Journal {
    /// Opens the file, or makes it.
    pub fn start(file: PathBuf, complain: fn(&str)) -> io::Result<Self> {
        let journal = Self { file, complain, broken: false, streaming: false, waiting: String::new() };
        journal.append(b"")?;
        Ok(journal)
    }

    /// Writes lines of our own under a header; a line end in them begins a new line.
    pub fn write(&mut self, at: i64, kind: Kind, command: &str, text: &str) {
        let mut block = Block::new(at, command);
        block.out.push(text.as_bytes(), &mut block.text);
        block.out.finish(&mut block.text);
        let text = header(at, kind, command) + &block.text;
        if !self.streaming {
            self.put(&text);
        } else if self.waiting.len() + text.len() <= WAITING {
            self.waiting.push_str(&text);
        }
    }

    /// Ends a block.
    pub fn end(&mut self, mut block: Block, kind: Kind) {
        block.out.finish(&mut block.text);
        block.err.finish(&mut block.text);
        if block.streaming {
            self.streaming = false;
            block.text.push_str(&std::mem::take(&mut self.waiting));
        } else {
            block.text.insert_str(0, &header(block.at, kind, &block.command));
        }
        self.put(&block.text);
    }

    fn put(&mut self, text: &str) {
        let mended = if self.broken { format!("\n{text}") } else { text.to_owned() };
        match self.append(mended.as_bytes()) {
            Ok(()) => {
                if std::mem::take(&mut self.broken) {
                    (self.complain)(&format!("the log {} can be written again", self.file.display()));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.broken, true) {
                    (self.complain)(&format!(
                        "the log {} cannot be written: {error}; checks go on, what they print until then is lost",
                        self.file.display()
                    ));
                }
            }
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        // A pipe that nobody reads is an error, not a wait.
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o640).custom_flags(nonblocking).open(&self.file)?;
        file.write_all(bytes)
    }
}

impl Block {
    /// Begins the block of a run that began at `at`.
    pub fn new(at: i64, command: &str) -> Self {
        Self {
            at,
            command: command.to_owned(),
            text: String::new(),
            out: Lines::default(),
            err: Lines::default(),
            streaming: false,
        }
    }
}

/// Takes the output of one run into its block, and a long block into the file.
pub struct Feed<'a> {
    /// The block.
    pub block: &'a mut Block,
    /// The file.
    pub journal: &'a mut Journal,
}

impl Sink for Feed<'_> {
    fn stdout(&mut self, bytes: &[u8]) {
        self.block.out.push(bytes, &mut self.block.text);
        self.flow();
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.block.err.push(bytes, &mut self.block.text);
        self.flow();
    }
}

impl Feed<'_> {
    fn flow(&mut self) {
        if self.block.streaming || self.block.text.len() >= HELD {
            self.stream();
        }
    }

    /// Writes what is there; what comes later is written as it comes, and nothing else until the end of the block.
    pub fn stream(&mut self) {
        let mut text = std::mem::take(&mut self.block.text);
        if !self.block.streaming {
            (self.block.streaming, self.journal.streaming) = (true, true);
            text.insert_str(0, &header(self.block.at, Kind::Info, &self.block.command));
        }
        if !text.is_empty() {
            self.journal.put(&text);
        }
    }
}

fn header(at: i64, kind: Kind, command: &str) -> String {
    let kind = match kind {
        Kind::Info => "INFO",
        Kind::Fail => "FAIL",
        Kind::Err => "ERR",
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{at} : {kind} : {command} :");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(folder: &tempfile::TempDir) -> Journal {
        Journal::start(folder.path().join("log"), |_| {}).unwrap()
    }

    fn read(folder: &tempfile::TempDir) -> String {
        std::fs::read_to_string(folder.path().join("log")).unwrap()
    }

    #[test]
    fn blocks_are_appended_with_header_and_lines_of_both_streams() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log"), "before\n").unwrap();
        let mut journal = journal(&folder);
        let mut block = Block::new(7, "./check.sh");
        let mut feed = Feed { block: &mut block, journal: &mut journal };
        feed.stdout(b"half");
        feed.stderr(b"trouble\n");
        feed.stdout(b" a line\n");
        journal.write(8, Kind::Info, "heat", "one\ntwo");
        journal.end(block, Kind::Fail);
        assert_eq!(
            read(&folder),
            "before\n8 : INFO : heat :\n> one\n> two\n7 : FAIL : ./check.sh :\n> trouble\n> half a line\n"
        );
    }

    #[test]
    fn a_long_block_is_written_as_it_comes_in_little_memory_and_nothing_stands_in_its_middle() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = journal(&folder);
        let mut block = Block::new(7, "./check.sh");
        let lines = 40_000;
        for n in 0..lines {
            let mut feed = Feed { block: &mut block, journal: &mut journal };
            feed.stdout(format!("line {n}\n").as_bytes());
            assert!(block.text.len() < 2 * HELD);
            if n == lines / 2 {
                journal.write(9, Kind::Err, "heat", "in between");
            }
        }
        assert!(read(&folder).lines().count() > lines / 2, "nothing was written before the end");
        journal.end(block, Kind::Fail);
        let text = read(&folder);
        let told: Vec<&str> = text.lines().collect();
        assert_eq!((told.len(), told[0], told[1]), (lines + 3, "7 : INFO : ./check.sh :", "> line 0"));
        assert_eq!(told[lines..], ["> line 39999", "9 : ERR : heat :", "> in between"]);
    }

    #[test]
    fn a_file_that_is_moved_away_is_made_again_and_one_that_cannot_be_written_is_told_once() {
        use std::sync::Mutex;
        static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let mut journal = Journal::start(file.clone(), |text| SAID.lock().unwrap().push(text.to_owned())).unwrap();
        journal.write(1, Kind::Info, "a", "one");
        std::fs::rename(&file, folder.path().join("moved")).unwrap();
        journal.write(2, Kind::Info, "a", "two");
        assert_eq!(read(&folder), "2 : INFO : a :\n> two\n");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        for at in 3..6 {
            journal.write(at, Kind::Info, "a", "lost");
        }
        std::fs::remove_dir(&file).unwrap();
        journal.write(6, Kind::Info, "a", "three");
        assert_eq!(read(&folder), "\n6 : INFO : a :\n> three\n");
        let said = SAID.lock().unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("cannot be written") && said[1].contains("can be written again"), "{said:?}");
    }

    #[test]
    fn a_log_that_nobody_could_read_or_write_is_an_error_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::start(folder.path().to_owned(), |_| {}).is_err());
        assert!(Journal::start(folder.path().join("none/log"), |_| {}).is_err());
    }
}
