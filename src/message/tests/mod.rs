//! Stories about messages: the seed's texts to the letter, every event in every language, hostile fields.

mod hostile;
mod lines;
mod notices;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::Facts;
use crate::domain::name::ServerName;
use crate::domain::notice::{Deed, Failed, Healer, News, Notice, Recovered};
use crate::domain::reading::{Cause, Fault, Phases};
use crate::domain::refusal::Refusal;
use crate::domain::remedy::{IncidentId, NoticeId, Run, RunStatus};

pub const COMMAND: &str = "systemctl restart network-service";
pub const CAUSES: [Cause; 20] = [
    Cause::Dns,
    Cause::Refused,
    Cause::Unreachable,
    Cause::Timeout,
    Cause::Tls,
    Cause::Untrusted,
    Cause::Status,
    Cause::Reset,
    Cause::Redirect,
    Cause::Protocol,
    Cause::Content,
    Cause::Login,
    Cause::Starting,
    Cause::Exit,
    Cause::Silence,
    Cause::Resolver,
    Cause::Network,
    Cause::Exhausted,
    Cause::Denied,
    Cause::Waiting,
];
pub const STATUSES: [RunStatus; 7] = [
    RunStatus::Executed,
    RunStatus::Failed,
    RunStatus::Timeout,
    RunStatus::Unreachable,
    RunStatus::AuthFailed,
    RunStatus::HostKeyMismatch,
    RunStatus::Skipped,
];

pub fn at() -> Timestamp {
    "2023-10-15T09:31:15Z".parse().unwrap()
}

pub fn facts() -> Facts {
    Facts { zone: TimeZone::get("Europe/Moscow").unwrap(), now: at() }
}

pub fn notice(news: News) -> Notice {
    notice_of("DC3:SRV4", news)
}

pub fn notice_of(pair: &str, news: News) -> Notice {
    Notice {
        id: NoticeId(Uuid::nil()),
        pair: Some(pair.parse().unwrap()),
        incident: IncidentId(Uuid::nil()),
        at: at(),
        environment: None,
        news,
    }
}

pub fn run(status: RunStatus) -> Run {
    Run {
        status,
        started: status == RunStatus::Executed || status == RunStatus::Failed,
        exit_code: None,
        signal: None,
        duration: Duration::from_millis(90),
        excerpt: String::new(),
        error: String::new(),
    }
}

pub fn commanded(run: Run) -> Deed {
    Deed::Command { command: COMMAND.to_owned(), run }
}

pub fn failed(failures: u32, next: f64, deed: Deed) -> Failed {
    Failed {
        failures,
        attempts: 3,
        factor: 1.5,
        next: Duration::from_secs_f64(next),
        fault: Fault::new(Cause::Refused, "connect to 127.0.0.1:80: connection refused"),
        phases: Phases {
            dns: Some(Duration::from_millis(5)),
            connect: Some(Duration::from_millis(10)),
            ..Phases::default()
        },
        deed,
        gave_up: false,
        asks: false,
        record: None,
        holds: Vec::new(),
    }
}

pub fn recovered(failures: u32, by: Healer) -> Recovered {
    Recovered { failures, next: Duration::from_secs(30), down_for: Duration::from_secs(330), by, while_off: false }
}

pub fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Cooldown { until: at() },
        Refusal::Flapping { changes: 12, window_s: 3600 },
        Refusal::Stopped { by: "anna".to_owned(), since: at(), until: None },
        Refusal::Stopped { by: "anna".to_owned(), since: at(), until: Some(at()) },
        Refusal::Maintenance { until: at() },
        Refusal::ParentDown { parent: ServerName::new("SRV1").unwrap() },
        Refusal::CutOff { answered: 1, needed: 2 },
        Refusal::OnlyOurRoute,
        Refusal::NotCrossChecked { why: "it has neither curl nor wget".to_owned() },
        Refusal::TooEarly { until: at() },
        Refusal::DryRung,
        Refusal::AwaitingApproval { id: "3f2a90".to_owned() },
        Refusal::Denied { by: "anna".to_owned() },
        Refusal::StillNeeded { by: "DC3-SRV5".parse().unwrap() },
        Refusal::DownAgain,
        Refusal::BudgetSpent { until: at(), runs: 20, window_s: 3600 },
        Refusal::Storm { down: 7, of: 9 },
        Refusal::NameNotFound,
        Refusal::LoginRefused,
        Refusal::Starting,
        Refusal::Untrusted,
        Refusal::NeverUp,
        Refusal::DryRun,
        Refusal::NotRecorded,
        Refusal::Stopping,
        Refusal::UpAgain,
        Refusal::Retired,
        Refusal::Changed,
    ]
}

/// Every deed there is, each way a run can end.
pub fn deeds() -> Vec<Deed> {
    let mut deeds = vec![Deed::Nothing, Deed::Interrupted { command: COMMAND.to_owned() }];
    for status in STATUSES {
        for started in [false, true] {
            deeds.push(commanded(Run { started, ..run(status) }));
        }
    }
    deeds.push(commanded(Run { exit_code: Some(1), excerpt: "one\ntwo".into(), ..run(RunStatus::Failed) }));
    deeds.push(commanded(Run { signal: Some("KILL".into()), ..run(RunStatus::Failed) }));
    deeds.extend(refusals().into_iter().map(|refusal| Deed::Refused { command: COMMAND.to_owned(), refusal }));
    deeds
}

/// Every notice there is.
pub fn notices() -> Vec<Notice> {
    let mut all = Vec::new();
    for k in [1, 2, 5, 21] {
        all.extend(deeds().into_iter().map(|deed| News::Failed(failed(k, 30.0, deed))));
        let command = || COMMAND.to_owned();
        let after = Duration::from_secs(4);
        for by in [Healer::Itself, Healer::Late { command: command() }, Healer::Command { command: command(), after }] {
            for while_off in [false, true] {
                all.push(News::Recovered(Recovered { while_off, ..recovered(k, by.clone()) }));
            }
        }
    }
    for cause in CAUSES {
        let all_phases = Phases {
            dns: Some(Duration::ZERO),
            connect: Some(Duration::ZERO),
            tls: Some(Duration::ZERO),
            first_byte: Some(Duration::ZERO),
        };
        let fault = Fault::new(cause, "");
        all.push(News::Failed(Failed { fault, phases: all_phases, ..failed(1, 30.0, Deed::Nothing) }));
    }
    all.into_iter().map(notice).collect()
}
