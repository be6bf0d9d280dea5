//! What is run: a script by its path, or a command with its words. Looked at once before the start, run as often as wanted.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use tokio::process::Command;

use crate::host::output::one_line;
use crate::host::process::Process;

/// Characters of a command in a header of the log or in a message.
const SHOWN: usize = 300;
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
        Ok(_) => Ok(()),
    }
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
    use std::os::unix::fs::PermissionsExt;

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
    fn a_command_is_shown_as_it_would_be_typed_on_one_line() {
        let shown = |command: &[&str]| Program::command(&words(command), None).unwrap().shown;
        assert_eq!(shown(&["sh", "-c", "echo a b"]), "sh -c 'echo a b'");
        assert_eq!(shown(&["sh", "-c", "a\n1 : FAIL : x :\n\x1b[2J"]), "sh -c 'a 1 : FAIL : x : \\x1b[2J'");
        assert!(shown(&["sh", &"x".repeat(5000)]).chars().count() <= SHOWN);
    }
}
