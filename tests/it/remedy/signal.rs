//! Signals to real processes: the right one, no other, and a sentence where there is none.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use monitor::domain::remedy::RunStatus;
use monitor::remedy::Remedy;
use monitor::remedy::signal::{Order, Signal, SignalName, Sought};
use tempfile::TempDir;

use super::{call, run, withheld};
use crate::support::sshd::{User, wait_until};

/// A folder with a program whose name nobody else has, and a pid file.
struct Place {
    folder: TempDir,
    name: String,
}

/// A process that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end and gives the signal that ended it.
    fn ended_by(&mut self) -> Option<i32> {
        let mut status = None;
        let over = wait_until(Duration::from_secs(10), || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        assert!(over, "process {} lives on", self.pid());
        status.unwrap().signal()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let name = format!("mon{}", uuid::Uuid::now_v7().simple().to_string().split_off(22));
        std::fs::copy("/bin/sleep", folder.path().join(&name)).unwrap();
        Self { folder, name }
    }

    fn start(&self) -> Daemon {
        let child = Command::new(self.folder.path().join(&self.name)).arg("1000").stdin(Stdio::null()).spawn().unwrap();
        Daemon(child)
    }

    /// One whose number stands in the pid file.
    fn start_with_file(&self) -> Daemon {
        let daemon = self.start();
        self.write(&format!("{}\n", daemon.pid()));
        daemon
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn by_file(&self, name: Option<&str>) -> Signal {
        Self::order("USR1", Sought { pid_file: Some(self.file()), name: name.map(str::to_owned) })
    }

    fn by_name(&self) -> Signal {
        Self::order("TERM", Sought { pid_file: None, name: Some(self.name.clone()) })
    }

    fn order(signal: &str, sought: Sought) -> Signal {
        Signal::new(Order { signal: SignalName::parse(signal).unwrap(), sought })
    }
}

/// Runs it and requires that nothing was sent, for this reason.
async fn refuses(remedy: &Signal, parts: &[&str]) {
    let done = run(remedy, &call()).await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Failed, false), "{:?}", done.run);
    for part in parts {
        assert!(done.run.error.contains(part), "no {part} in {}", done.run.error);
    }
}

#[tokio::test]
async fn a_signal_reaches_the_process_of_the_pid_file_and_the_record_says_which() {
    let place = Place::new();
    let mut daemon = place.start_with_file();
    let remedy = place.by_file(Some(&place.name));
    assert_eq!(remedy.text(), format!("kill -USR1 {} (pid file {})", place.name, place.file().display()));
    assert_eq!((remedy.host(), remedy.lane(), remedy.repeatable()), ("localhost", "localhost", false));
    let told = remedy.check().unwrap().await.unwrap();
    assert!(told.contains(&format!("process {} ({})", daemon.pid(), place.name)), "{told}");
    remedy.warm();
    withheld(&remedy).await;
    assert!(daemon.lives(), "a look and a withheld run send nothing");
    let done = run(&remedy, &call()).await;
    assert_eq!((done.run.status, done.run.started, done.run.exit_code), (RunStatus::Executed, true, None));
    assert_eq!(done.output.text, format!("sent USR1 to process {} ({})\n", daemon.pid(), place.name));
    assert_eq!(daemon.ended_by(), Some(10));
}

#[tokio::test]
async fn a_process_is_found_by_its_name_when_there_is_exactly_one() {
    let place = Place::new();
    let remedy = place.by_name();
    refuses(&remedy, &[&format!("no process is named `{}`", place.name)]).await;
    let (mut one, mut other) = (place.start(), place.start());
    // The name is there once the program is.
    let named = |daemon: &Daemon| std::fs::read_to_string(format!("/proc/{}/comm", daemon.pid())).unwrap();
    for daemon in [&one, &other] {
        assert!(wait_until(Duration::from_secs(10), || named(daemon).trim() == place.name));
    }
    let pids = [one.pid().min(other.pid()), one.pid().max(other.pid())];
    refuses(&remedy, &["2 processes are named", &format!("({}, {})", pids[0], pids[1]), "name a pid file"]).await;
    assert!(one.lives() && other.lives());
    other.0.kill().unwrap();
    // Not waited for: what is left of it is no process.
    assert!(wait_until(Duration::from_secs(10), || {
        std::fs::read_to_string(format!("/proc/{}/stat", other.pid())).unwrap().contains(") Z ")
    }));
    assert_eq!(run(&remedy, &call()).await.run.status, RunStatus::Executed);
    assert_eq!(one.ended_by(), Some(15));
}

#[tokio::test]
async fn a_process_that_took_the_place_of_the_failing_one_gets_no_signal_until_it_fails_itself() {
    let place = Place::new();
    let mut old = place.start_with_file();
    let remedy = place.by_file(None);
    remedy.warm();
    // The look belongs to a check that failed while the old one was there.
    withheld(&remedy).await;
    old.0.kill().unwrap();
    old.0.wait().unwrap();
    let mut new = place.start_with_file();
    refuses(&remedy, &["somebody restarted it", &old.pid().to_string(), &new.pid().to_string()]).await;
    assert!(new.lives());
    // A person means the one that is there, and so does the next failing check.
    let mut by_hand = call();
    by_hand.attempt = 0;
    assert_eq!(run(&remedy, &by_hand).await.run.status, RunStatus::Executed);
    assert_eq!(new.ended_by(), Some(10));
    let mut newest = place.start_with_file();
    remedy.warm();
    assert_eq!(run(&remedy, &call()).await.run.status, RunStatus::Executed);
    assert_eq!(newest.ended_by(), Some(10));
}

#[tokio::test]
async fn a_process_that_was_started_after_the_check_failed_gets_no_signal() {
    let place = Place::new();
    let remedy = place.by_file(None);
    remedy.warm();
    withheld_by_absence(&remedy).await;
    let mut new = place.start_with_file();
    refuses(&remedy, &["is not there", "somebody started it", &new.pid().to_string()]).await;
    assert!(new.lives());
    // The next failing check finds it, and then it is the one that fails.
    remedy.warm();
    assert_eq!(run(&remedy, &call()).await.run.status, RunStatus::Executed);
    assert_eq!(new.ended_by(), Some(10));
}

/// Waits until the look of a check has ended.
async fn withheld_by_absence(remedy: &Signal) {
    refuses(remedy, &["is not there"]).await;
}

#[tokio::test]
async fn a_pid_file_that_others_may_write_is_believed_only_with_a_name() {
    let place = Place::new();
    let mut daemon = place.start_with_file();
    std::fs::set_permissions(place.file(), PermissionsExt::from_mode(0o666)).unwrap();
    refuses(&place.by_file(None), &["writable by group or others", "chmod go-w", "set PROCESS too"]).await;
    std::fs::set_permissions(place.file(), PermissionsExt::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(place.file(), Some(4711), None).unwrap();
    refuses(&place.by_file(None), &["belongs to user 4711", "set PROCESS too"]).await;
    assert!(daemon.lives());
    assert_eq!(run(&place.by_file(Some(&place.name)), &call()).await.run.status, RunStatus::Executed);
    assert_eq!(daemon.ended_by(), Some(10));
}

#[tokio::test]
async fn a_stale_pid_file_never_leads_to_a_signal() {
    let place = Place::new();
    refuses(&place.by_file(None), &["is not there"]).await;

    // The number was given to another process after the file was written.
    let mut stranger = place.start_with_file();
    let hour_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    File::options().write(true).open(place.file()).unwrap().set_modified(hour_ago).unwrap();
    refuses(&place.by_file(None), &["is stale", "is younger than the file"]).await;
    place.write(&stranger.pid().to_string());
    refuses(&place.by_file(Some("nginx")), &["is stale", "is not `nginx`"]).await;
    assert!(stranger.lives());

    // It ended, first unnoticed by its parent, then wholly.
    stranger.0.kill().unwrap();
    assert!(wait_until(Duration::from_secs(10), || {
        std::fs::read_to_string(format!("/proc/{}/stat", stranger.pid())).unwrap().contains(") Z ")
    }));
    refuses(&place.by_file(None), &["is stale", "there is no process"]).await;
    stranger.0.wait().unwrap();
    refuses(&place.by_file(None), &["is stale", "there is no process"]).await;
}

#[tokio::test]
async fn a_pipe_in_place_of_the_pid_file_holds_nobody_up() {
    let place = Place::new();
    let made =
        Command::new("mkfifo").arg(place.file()).status().expect("this test needs mkfifo: apt-get install coreutils");
    assert!(made.success());
    refuses(&place.by_file(None), &["it is no file"]).await;
}

#[test]
fn a_process_of_somebody_else_is_named_with_what_to_do() {
    let place = Place::new();
    let mut daemon = place.start_with_file();
    std::fs::set_permissions(place.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let user = User::new("/bin/sh");
    let uid = Command::new("id").args(["-u", &user.0]).output().unwrap().stdout;
    let uid = String::from_utf8(uid).unwrap().trim().parse().unwrap();
    let remedy = place.by_file(None);
    // This thread and those that it starts are that user; the others stay who they are.
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(uid)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(refuses(&remedy, &["may not send USR1", "CAP_KILL", "belongs to another user"]));
        });
        ran.join().unwrap();
    });
    assert!(daemon.lives());
}

#[tokio::test]
async fn the_harmless_form_finds_the_process_and_sends_it_nothing() {
    let place = Place::new();
    let mut daemon = place.start();
    let remedy = place.by_name();
    let harmless = remedy.harmless().unwrap();
    assert_eq!(harmless.text(), format!("kill -0 {}", place.name));
    let done = run(harmless.as_ref(), &call()).await;
    assert_eq!(done.run.status, RunStatus::Executed, "{:?}", done.run);
    assert_eq!(done.output.text, format!("TERM could be sent to process {} ({})\n", daemon.pid(), place.name));
    assert!(daemon.lives());
    drop(daemon);
    let done = run(harmless.as_ref(), &call()).await;
    assert_eq!((done.run.status, done.run.started), (RunStatus::Failed, false), "{:?}", done.run);
}
