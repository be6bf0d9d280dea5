//! Which process is meant: by its pid file, by its name, or by both; and how it is told from one that got its number later.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::{Pid, Uid};

use crate::host::output::one_line;

/// Characters of a process name, as the kernel keeps them: `TASK_COMM_LEN` less its NUL, proc(5).
pub const LONGEST_NAME: usize = 15;
/// Bytes of a pid file that are read; a number needs far fewer.
const PID_FILE: u64 = 64;
/// Ticks of a second in `/proc/PID/stat`, the same on every machine that this runs on: `USER_HZ`.
const TICKS: u64 = 100;
/// Seconds that the time of a file and the time of a start may differ by rounding.
const SLACK: i64 = 3;
/// Process numbers that are named in one sentence.
const NAMED: usize = 8;

/// How the process is found. At least one of the two is set; if both are, both must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The file that holds its number.
    pub pid_file: Option<PathBuf>,
    /// Its name, as `ps -o comm` shows it.
    pub name: Option<String>,
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.pid_file) {
            (Some(name), Some(file)) => write!(f, "{name} (pid file {})", file.display()),
            (Some(name), None) => f.write_str(name),
            (None, Some(file)) => write!(f, "(pid file {})", file.display()),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// One process: a number may come back, a number and a start do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// When it was started, in ticks since the machine was.
    pub started: u64,
    /// Its name, printable.
    pub name: String,
}

/// What `/proc/PID/stat` says.
struct Stat {
    name: String,
    ended: bool,
    started: u64,
}

impl Sought {
    /// Finds the one process that is meant; the error says why there is none and what to do.
    pub fn find(&self) -> Result<Process, String> {
        let found = match &self.pid_file {
            Some(file) => by_file(file, self.name.as_deref())?,
            None => by_name(self.name.as_deref().unwrap_or_default())?,
        };
        if found.pid.as_raw_nonzero().get() <= 1 {
            return Err(format!("{self} is process {}, which is never sent a signal from here", found.pid));
        }
        if found.pid == rustix::process::getpid() {
            return Err(format!("{self} is this agent itself, which sends itself no signal"));
        }
        Ok(found)
    }
}

impl Process {
    /// Looks at a process; `None` when there is none of this number, or it has ended and only its entry is left.
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = stat(pid)?;
        (!stat.ended).then_some(Self { pid, started: stat.started, name: stat.name })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.name)
    }
}

fn by_file(file: &Path, name: Option<&str>) -> Result<Process, String> {
    let shown = file.display();
    let Read { text, written, owner, open } = read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("the pid file {shown} is not there: the program does not run, or it writes another file")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("the pid file {shown} cannot be read: let the user of this agent read it and its folders")
        }
        _ => format!("the pid file {shown} cannot be read: {error}"),
    })?;
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(pid) = text.parse().ok().filter(|_| digits).and_then(Pid::from_raw) else {
        let found = one_line(text.as_bytes(), 20);
        return Err(format!("the pid file {shown} holds `{found}`, which is no process number"));
    };
    let stale =
        |why: &str| format!("the pid file {shown} is stale: {why}; look why the program ended without removing it");
    let Some(process) = Process::of(pid) else {
        return Err(stale(&format!("there is no process {pid} (any more, or that this user may see)")));
    };
    // Who wrote the number was there before the file: a younger process got the number later.
    let begun = boot().map(|boot| boot.saturating_add(i64::try_from(process.started / TICKS).unwrap_or(i64::MAX)));
    if begun.is_some_and(|begun| begun > written.saturating_add(SLACK)) {
        return Err(stale(&format!("process {process} is younger than the file")));
    }
    match name {
        Some(name) if name != process.name => Err(stale(&format!("process {process} is not `{name}`"))),
        Some(_) => Ok(process),
        None => trusted(file, owner, open, &process).map(|()| process),
    }
}

/// Refuses a file that somebody else than root and the user of the process could have written: they would choose who is
/// sent the signal.
fn trusted(file: &Path, owner: u32, open: bool, process: &Process) -> Result<(), String> {
    let shown = file.display();
    let otherwise = "or set PROCESS too, then the name has to fit";
    if open {
        return Err(format!(
            "the pid file {shown} is writable by group or others, who could put any number there: chmod go-w {shown}, {otherwise}"
        ));
    }
    let user = user(process.pid);
    if owner != Uid::ROOT.as_raw() && user != Some(owner) {
        let whose = user.map_or_else(String::new, |user| format!(" ({user})"));
        return Err(format!(
            "the pid file {shown} belongs to user {owner}, who is neither root nor the user{whose} of process {process} and \
             could put any number there: let the program write its own file, {otherwise}"
        ));
    }
    Ok(())
}

/// The number of the user that a process was started as.
fn user(pid: Pid) -> Option<u32> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// What a pid file says, and who can have said it.
struct Read {
    /// Its first bytes.
    text: String,
    /// When it was written, in seconds.
    written: i64,
    /// Number of the user that it belongs to.
    owner: u32,
    /// Whether its group or others may write to it.
    open: bool,
}

/// Reads the beginning of a file. What is no file is not waited for.
fn read(path: &Path) -> std::io::Result<Read> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(PID_FILE).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Read { text, written: about.mtime(), owner: about.uid(), open: about.mode() & 0o022 != 0 })
}

fn by_name(name: &str) -> Result<Process, String> {
    let entries = std::fs::read_dir("/proc").map_err(|error| format!("/proc cannot be read: {error}"))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    let mut found: Vec<Process> = pids.filter_map(Process::of).filter(|process| process.name == name).collect();
    found.sort_by_key(|process| process.pid.as_raw_nonzero());
    let count = found.len();
    match (found.pop(), count) {
        (Some(process), 1) => Ok(process),
        (None, _) => {
            Err(format!("no process is named `{name}` (as `ps -e -o comm` shows it), or this user may not see it"))
        }
        (Some(last), _) => {
            let shown = found.iter().take(NAMED - 1).chain([&last]).map(|process| process.pid.to_string());
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if count > NAMED { ", and more" } else { "" };
            Err(format!(
                "{count} processes are named `{name}` ({shown}{more}) and only one may be: name a pid file instead"
            ))
        }
    }
}

fn stat(pid: Pid) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parsed(&String::from_utf8_lossy(&text))
}

/// Reads `pid (name) state … start …`; a name may hold blanks and brackets.
fn parsed(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split_ascii_whitespace();
    let state = fields.next()?;
    // Field 22; the state is field 3.
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { name: one_line(name.as_bytes(), 64), ended: matches!(state, "Z" | "X" | "x"), started })
}

/// When the machine was started, in seconds of the epoch.
fn boot() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let rest = "S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1";
        for name in ["nginx", "a b", "tmux: server", "(sd-pam)", ") S 1 (", "x) Z 1 2"] {
            let stat = parsed(&format!("12 ({name}) {rest}\n")).unwrap();
            assert_eq!((stat.name.as_str(), stat.started, stat.ended), (name, 4711, false), "{name}");
        }
        assert!(parsed(&format!("12 (x) {}", rest.replacen('S', "Z", 1))).unwrap().ended);
        for broken in ["", "12", "12 (x", "12 (x) S 1 2", "12 x) S"] {
            assert!(parsed(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn this_process_is_seen_and_never_sent_a_signal() {
        let us = Process::of(rustix::process::getpid()).unwrap();
        assert!(us.started > 0 && !us.name.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let sought = Sought { pid_file: Some(file.clone()), name: None };
        std::fs::write(&file, format!("{}\n", us.pid)).unwrap();
        assert!(sought.find().unwrap_err().contains("this agent itself"));
        std::fs::write(&file, "1\n").unwrap();
        assert!(sought.find().unwrap_err().contains("never sent a signal"), "{:?}", sought.find());
    }

    #[test]
    fn a_pid_file_that_a_stranger_could_write_names_nobody() {
        let us = Process::of(rustix::process::getpid()).unwrap();
        let mine = rustix::process::getuid().as_raw();
        let file = Path::new("/run/x.pid");
        trusted(file, 0, false, &us).unwrap();
        trusted(file, mine, false, &us).unwrap();
        let told = trusted(file, 0, true, &us).unwrap_err();
        assert!(told.contains("chmod go-w /run/x.pid, or set PROCESS too"), "{told}");
        let told = trusted(file, 4711, false, &us).unwrap_err();
        assert!(told.contains(&format!("user 4711, who is neither root nor the user ({mine}) of process")), "{told}");
    }

    #[test]
    fn whatever_stands_in_a_pid_file_is_a_number_or_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let sought = Sought { pid_file: Some(file.clone()), name: None };
        assert!(sought.find().unwrap_err().contains("is not there"));
        for text in ["", "\n", "0", "-1", "+12", "12 13", "0x12", "99999999999999999999", "\u{1b}[2Jabc", "1\n2"] {
            std::fs::write(&file, text).unwrap();
            let told = sought.find().unwrap_err();
            assert!(told.contains("no process number") && !told.contains('\u{1b}'), "{text:?}: {told}");
        }
        std::fs::write(&file, "1".repeat(1_000_000)).unwrap();
        assert!(sought.find().unwrap_err().len() < 300);
        std::fs::write(&file, "2147483646").unwrap();
        assert!(sought.find().unwrap_err().contains("stale"));
        let folder = Sought { pid_file: Some(folder.path().to_owned()), name: None };
        assert!(folder.find().unwrap_err().contains("it is no file"));
    }
}
