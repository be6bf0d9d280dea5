//! What is run: a script by its path, or a command with its words. Looked at once before the start, run as often as wanted.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use tokio::process::Command;

use crate::host::output::one_line;
use crate::host::process::Process;

/// Characters of a command in a header of the log or in a message.
const SHOWN: usize = 300;
/// Bytes that the kernel reads of a `#!` line.
const LONGEST_HEAD: u64 = 256;
/// Mode bits that the kernel heeds on binaries only: a file that has one and cannot be read is none of our business.
const SET_ID: u32 = 0o6000;
/// The search path where none is set: Debian's default for root.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Something that can be run.
#[derive(Debug, Clone)]
pub struct Program {
    /// What is handed to the system: a path, or a word that it looks for in `PATH`.
    word: OsString,
    arguments: Vec<OsString>,
    /// The file behind the word.
    file: PathBuf,
    /// How people read it, on one line.
    pub shown: String,
}

impl Program {
    /// Takes a script by its path, as it was given, from the folder that we are in.
    pub fn script(path: &Path) -> Result<Self, String> {
        let shown = one_line(path.as_os_str().as_encoded_bytes(), SHOWN);
        // A bare name is a file here, not a command of PATH.
        let path = if path.components().count() == 1 { Path::new(".").join(path) } else { path.to_owned() };
        runnable(&path).map_err(|why| format!("`{shown}` {why}"))?;
        Ok(Self { word: path.clone().into_os_string(), arguments: Vec::new(), file: path, shown })
    }

    /// Takes a command with its words; `path` is where it is looked for.
    pub fn command(words: &[OsString], path: Option<&OsStr>) -> Result<Self, String> {
        let Some((word, arguments)) = words.split_first() else { return Err("there is no command".to_owned()) };
        let texts: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let shown = one_line(shell_words::join(&texts).as_bytes(), SHOWN);
        let file = find(word, path.unwrap_or(OsStr::new(DEFAULT_PATH)))?;
        Ok(Self { word: word.clone(), arguments: arguments.to_vec(), file, shown })
    }

    /// Starts it with these variables on top of our own environment, without those of `without`.
    pub fn start(&self, variables: &[(&str, String)], without: &[&str]) -> io::Result<Process> {
        let mut command = Command::new(&self.word);
        match Process::start(self.dressed(&mut command, variables, without)) {
            // No `#!` line: a shell runs such a file all the same, and so do we.
            Err(error) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
                let mut command = Command::new("sh");
                Process::start(self.dressed(command.arg(&self.file), variables, without))
            }
            started => started,
        }
    }

    /// Says why it cannot be started, a clause: the file behind it tells more than the error does.
    pub fn unstartable(&self, error: &io::Error) -> String {
        match runnable(&self.file) {
            Err(why) => format!("it {why} ({error})"),
            Ok(()) => error.to_string(),
        }
    }

    fn dressed<'c>(&self, command: &'c mut Command, variables: &[(&str, String)], without: &[&str]) -> &'c mut Command {
        for name in without {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(variables.iter().map(|(name, value)| (name, value)))
    }
}

/// Says whether waiting may help where a start failed: the machine is out of something, or the file is being written.
pub fn may_pass(error: &io::Error) -> bool {
    let passing = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::TXTBSY];
    error.raw_os_error().is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

/// Says why a file cannot be run, a clause.
fn runnable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("is not there: check the path, it counts from the folder that heat is started in".to_owned())
        }
        Err(error) => Err(format!("cannot be looked at: {error}")),
        Ok(about) if about.is_dir() => Err("is a folder: give the script in it".to_owned()),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => {
            Err("is not executable by this user: make it so with chmod +x".to_owned())
        }
        Ok(about) if access(path, Access::READ_OK).is_err() => {
            if about.permissions().mode() & SET_ID != 0 {
                return Ok(());
            }
            Err("is not readable by this user, and a script has to be: make it so with chmod +r".to_owned())
        }
        Ok(about) if about.is_file() => interpreted(path),
        Ok(_) => Ok(()),
    }
}

/// Says why the interpreter of a script cannot run it, a clause; what is no script has none.
fn interpreted(path: &Path) -> Result<(), String> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_HEAD).read_to_end(&mut head));
    if let Err(error) = read {
        return Err(format!("cannot be read: {error}"));
    }
    let Some((word, ends_in_cr)) = interpreter(&head) else { return Ok(()) };
    let shown = one_line(word, SHOWN);
    if ends_in_cr {
        let hint = "its lines end as on Windows; take the carriage returns out with sed -i 's/\\r$//'";
        return Err(format!("asks for an interpreter `{shown}` with a carriage return behind it: {hint}"));
    }
    match access(Path::new(OsStr::from_bytes(word)), Access::EXEC_OK) {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("asks for the interpreter `{shown}`, which cannot be run here: {error}")),
    }
}

/// Finds the interpreter that a `#!` line names, and whether that line ends in a carriage return.
fn interpreter(head: &[u8]) -> Option<(&[u8], bool)> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let bare = line.trim_ascii();
    let word = bare.split(|byte| matches!(byte, b' ' | b'\t')).next().filter(|word| !word.is_empty())?;
    Some((word, line.ends_with(b"\r")))
}

/// Finds the file that a command's first word means.
fn find(word: &OsStr, path: &OsStr) -> Result<PathBuf, String> {
    let shown = one_line(word.as_encoded_bytes(), SHOWN);
    if word.as_encoded_bytes().contains(&b'/') {
        runnable(Path::new(word)).map_err(|why| format!("`{shown}` {why}"))?;
        return Ok(word.into());
    }
    let found = std::env::split_paths(path).map(|folder| folder.join(word)).find(|file| runnable(file).is_ok());
    found.ok_or_else(|| {
        let hint = if shown.contains(char::is_whitespace) {
            "several words in one need a shell: sh -c '…'"
        } else {
            "check its name, give its whole path, or a script with --script"
        };
        format!("`{shown}` is no command that PATH leads to: {hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn what_cannot_be_run_says_why_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "exit 0\n").unwrap();
        for (path, part) in [
            (folder.path().join("nowhere"), "is not there"),
            (folder.path().to_owned(), "is a folder"),
            (plain.clone(), "chmod +x"),
            (plain.join("below"), "cannot be looked at"),
        ] {
            let told = Program::script(&path).unwrap_err();
            assert!(told.contains(part), "{told}");
            let told = Program::command(&[path.into_os_string()], None).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
        for (command, part) in [
            (vec!["no-such-command"], "no command that PATH leads to: check its name"),
            (vec!["curl -sf localhost | grep ok"], "need a shell: sh -c"),
            (vec!["plain"], "no command"),
            (vec![""], "no command"),
            (vec![], "there is no command"),
        ] {
            let told = Program::command(&words(&command), Some(folder.path().as_os_str())).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
        std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program::script(&plain).unwrap();
        Program::command(&words(&["plain", "x"]), Some(folder.path().as_os_str())).unwrap();
    }

    #[test]
    fn a_script_whose_interpreter_cannot_run_it_names_that() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        for (text, part) in [
            ("#!/nowhere/sh -e\n", Some("the interpreter `/nowhere/sh`, which cannot be run here: No such file")),
            (
                "#!/bin/sh\r\nexit 0\r\n",
                Some("`/bin/sh` with a carriage return behind it: its lines end as on Windows"),
            ),
            ("#!/bin/sh -e\r\n", Some("a carriage return behind it")),
            ("#! /bin/sh\n", None),
            ("#!/usr/bin/env sh\nprintf '\r\n'\r\n", None),
            ("#!", None),
            ("#!\n", None),
            ("exit 0\r\n", None),
            ("", None),
        ] {
            std::fs::write(&script, text).unwrap();
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
            let told = Program::script(&script).err();
            assert_eq!(told.is_some(), part.is_some(), "{text:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(part.unwrap_or_default()), "{text:?}");
        }
    }

    #[test]
    fn why_a_start_failed_is_told_by_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = Program::script(&script).unwrap();
        std::fs::write(&script, "#!/nowhere/sh\n").unwrap();
        let why = program.unstartable(&io::Error::from_raw_os_error(Errno::NOENT.raw_os_error()));
        assert!(why.contains("it asks for the interpreter `/nowhere/sh`") && why.contains("(No such file"), "{why}");
    }

    proptest::proptest! {
        #[test]
        fn no_first_line_panics_and_an_interpreter_is_one_word_of_it(head: Vec<u8>, rest in "[ \\t/a-z\\r\\n]{0,40}") {
            for head in [head, [b"#!", rest.as_bytes()].concat()] {
                if let Some((word, _)) = interpreter(&head) {
                    proptest::prop_assert!(!word.is_empty() && !word.contains(&b' ') && !word.contains(&b'\n'));
                }
            }
        }
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed_on_one_line() {
        let shown = |command: &[&str]| Program::command(&words(command), None).unwrap().shown;
        assert_eq!(shown(&["sh", "-c", "echo a b"]), "sh -c 'echo a b'");
        assert_eq!(shown(&["sh", "-c", "a\n1 : FAIL : x :\n\x1b[2J"]), "sh -c 'a 1 : FAIL : x : \\x1b[2J'");
        assert!(shown(&["sh", &"x".repeat(5000)]).chars().count() <= SHOWN);
    }
}
