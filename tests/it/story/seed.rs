//! The seed's own story, with its sample `.env`: only hosts, ports and intervals are changed.

use std::time::Duration;

use regex::Regex;

use crate::support::agent::Agent;
use crate::support::bot_api::{BotApi, CHAT, TOKEN, Taken};
use crate::support::sshd::{Options, PASSWORD, User};
use crate::support::stage::{Host, Target};

const COMMAND: &str = "systemctl restart network-service";

/// Longest difference between a promised delay and what was seen, on a busy machine.
const LATE: Duration = Duration::from_millis(450);

fn env(user: &User, host: &Host, down: &Target, up: &Target, api: &BotApi) -> String {
    format!(
        "# Базовые настройки\nINTERVAL=0.6\nMAPPINGS=DC3:SRV4,DC1:SRV5\nCOMMAND={COMMAND}\n\
         # URL для проверки\nSRV4_URL={}\nSRV5_URL={}\n\
         # SSH для DC3\nDC3_SSH_HOST=127.0.0.1\nDC3_SSH_PORT={port}\nDC3_SSH_USERNAME={}\nDC3_SSH_PASSWORD={PASSWORD}\n\
         # SSH для DC1\nDC1_SSH_HOST=127.0.0.1\nDC1_SSH_PORT={port}\nDC1_SSH_USERNAME=root\nDC1_SSH_KEY_PATH={}\n\
         # Telegram\nTELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID={CHAT}\nTELEGRAM_API_URL={}\n\
         # Дополнительные параметры\nMAX_INTERVAL=1.5\nBACKOFF_FACTOR=1.5\nCHECK_ATTEMPTS=5\nCHECK_RETRY_DELAY=0.05\n\
         LOG_SUCCESS_REQUESTS=false\nLANGUAGE=ru\nVERIFY_WINDOW=0.05\nVERIFY_INTERVAL=0.05\n",
        down.url(),
        up.url(),
        user.0,
        host.sshd.key().display(),
        api.url(),
        port = host.sshd.port,
    )
}

/// A message's first lines are the promised ones, with the label bold and the command monospace.
fn reads(message: &Taken, lines: &[&str]) {
    let read: Vec<&str> = message.plain.lines().collect();
    assert_eq!(read[..lines.len()], *lines, "{}", message.plain);
    assert!(read.len() <= lines.len() + 2, "at most two lines of our own: {}", message.plain);
    let bold: Vec<&str> = message.entities.iter().filter(|e| e.tag == "b").map(|e| e.text.as_str()).collect();
    assert_eq!(bold, ["Статус связи DC3-SRV4:", "Сообщение:", "Следующая проверка:"]);
    assert_eq!(message.chat, CHAT);
}

fn monospace(message: &Taken) -> Vec<&str> {
    message.entities.iter().filter(|e| e.tag == "code").map(|e| e.text.as_str()).collect()
}

/// `line` without its time is `expected`, and its time is one.
fn logged(lines: &[String], expected: &str) {
    let time = Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - ").unwrap();
    let found = lines.iter().any(|line| time.is_match(line) && time.replace(line, "") == expected);
    assert!(found, "no line says `{expected}`:\n{}", lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_env_tells_the_seeds_story_to_the_letter() {
    let (api, down, up) = (BotApi::start().await, Target::start(false).await, Target::start(true).await);
    let user = User::new("/bin/bash");
    let repair = format!("echo 'Restarting network-service... OK'; [ $n -lt 4 ] || call {} /repair", down.port());
    let host = Host::with(&Options::with(&["PasswordAuthentication yes"]), &repair);
    let mut agent = Agent::new();
    agent.environment("TZ", "Europe/Moscow");
    agent.write(&env(&user, &host, &down, &up, &api));
    agent.start();

    let messages = [api.message(1).await, api.message(2).await];
    let recovered = loop {
        let all = api.messages();
        if let Some(message) = all.iter().find(|message| message.plain.contains("✅")) {
            break message.clone();
        }
        api.message(all.len() + 1).await;
    };
    agent.says(&["DC3-SRV4 снова доступен"]).await;
    down.probed(2).await;
    let late = up.longest_gap();
    agent.stop();

    reads(
        &messages[0],
        &[
            "Статус связи DC3-SRV4: ⚠️ Нарушено",
            "Сообщение: Недоступность после 5 попыток проверки. Выполнена команда: systemctl restart network-service",
            "Следующая проверка: через 0.6 сек",
        ],
    );
    reads(
        &messages[1],
        &[
            "Статус связи DC3-SRV4: ⚠️ Нарушено (Попытка восстановления #2)",
            "Сообщение: Сервис все еще недоступен после 2 попыток восстановления. Последняя команда: systemctl restart network-service",
            "Проверочных попыток: 5, множитель задержки: 1.5",
            "Следующая проверка: через 1.35 сек",
        ],
    );
    reads(
        &recovered,
        &[
            "Статус связи DC3-SRV4: ✅ Восстановлено (Попытка восстановления #4)",
            "Сообщение: Сервис восстановлен: DC3-SRV4 после 4 попыток",
            "Следующая проверка: через 0.6 сек",
        ],
    );
    assert_eq!((monospace(&messages[0]), monospace(&messages[1])), (vec![COMMAND], vec![COMMAND]));
    let first = messages[0].id;
    assert_eq!((messages[0].silent, messages[0].reply_to), (false, None), "the first one is heard");
    assert_eq!((messages[1].silent, messages[1].reply_to), (true, Some(first)), "a repeat is a silent reply");
    assert_eq!((recovered.silent, recovered.reply_to), (false, Some(first)), "the recovery is heard");

    let lines = agent.stdout();
    logged(&lines, "INFO - Старт мониторинга с интервалом 0.6 сек");
    logged(&lines, "INFO - Отслеживаемые пары: DC3-SRV4, DC1-SRV5");
    let said = lines.iter().find(|line| line.contains("(попыток: 5/5)")).expect("the result of the check");
    let check = Regex::new(&format!(
        r"^\S+ \S+ - WARNING - Проверка DC3-SRV4 \({}\): Недоступен \[\d+ms\] \(попыток: 5/5\)$",
        regex::escape(&down.url())
    ));
    assert!(check.unwrap().is_match(said), "{said}");
    logged(&lines, &format!("INFO - Выполнение команды на DC3 (Попытка восстановления #1): {COMMAND}"));
    logged(&lines, "INFO - Команда выполнена успешно на DC3 (Попытка восстановления #1)");
    assert_eq!(
        lines.iter().filter(|line| line.contains("попытка 1/5 не удалась")).count(),
        4,
        "each check says its attempts"
    );
    assert!(!lines.iter().any(|line| line.contains("Доступен [")), "LOG_SUCCESS_REQUESTS is off");
    executed(&lines);
    assert_eq!(agent.file("monitor.log").lines().collect::<Vec<_>>(), lines, "the file and stdout say the same");

    let calls: Vec<String> = host.stamps().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(calls, ["1", "2", "3", "4"], "one run for each failed check");
    delays(&down);
    assert!(late < Duration::from_millis(600) + LATE, "the other pair waited {late:?}");
}

/// The record's first keys are the seed's, in its order and with its blanks.
fn executed(lines: &[String]) {
    let line = lines.iter().find(|line| line.contains("COMMAND_EXECUTED: ")).expect("a record");
    let seed = Regex::new(
        r#"^(\d{4}-\d\d-\d\d) (\d\d):(\d\d:\d\d) - INFO - COMMAND_EXECUTED: \{"timestamp": "\d{4}-\d\d-\d\dT(\d\d):(\d\d:\d\d)\.\d{6}", "pair": "DC3-SRV4", "dc_host": "127\.0\.0\.1", "command": "systemctl restart network-service", "output": "Restarting network-service\.\.\. OK(?:\\n)?", "status": "executed", "time": "\d{4}-\d\d-\d\dT(\d\d):\d\d:\d\d\.\d{6}\+03:00", "run_id": "[0-9a-f-]{36}", "incident_id": "[0-9a-f-]{36}", "attempt": 1, "rung": 1, "exit_code": 0, "signal": null, "duration_ms": \d+, "output_bytes": \d+, "output_sha256": "[0-9a-f]{64}", "truncated": false, "error": ""\}$"#,
    );
    let found = seed.unwrap().captures(line).unwrap_or_else(|| panic!("not the promised record: {line}"));
    let hour = |n: usize| found[n].parse::<u8>().unwrap();
    assert_eq!(hour(2), (hour(4) + 3) % 24, "`timestamp` is UTC, the line's time is local: {line}");
    assert_eq!(hour(2), hour(6), "{line}");
}

/// k = 1: `INTERVAL`; k >= 2: `INTERVAL * BACKOFF_FACTOR^k`, at most `MAX_INTERVAL`. A check takes five attempts and one look after the command.
fn delays(target: &Target) {
    let hits = target.hits();
    let pauses: Vec<Duration> =
        hits.windows(2).map(|two| two[1] - two[0]).filter(|pause| pause.as_millis() > 400).collect();
    let promised = [0.6, 1.35, 1.5].map(Duration::from_secs_f64);
    assert!(pauses.len() >= 3, "{pauses:?}");
    for (pause, promised) in pauses.iter().zip(promised) {
        // The look after the command falls into the delay.
        let earliest = promised.checked_sub(Duration::from_millis(150)).unwrap();
        assert!(*pause >= earliest && *pause <= promised + LATE, "{pause:?} instead of {promised:?} in {pauses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_nohup_each_line_is_written_once() {
    let (api, up) = (BotApi::start().await, Target::start(true).await);
    let host = Host::start("");
    let mut agent = Agent::telling(&api);
    super::map(&mut agent, &host, &up);
    agent.set(&[("LANGUAGE", "ru"), ("LOG_SUCCESS_REQUESTS", "true")]);
    agent.start_into("monitor.log");
    up.probed(3).await;
    agent.stop();
    let log = agent.file("monitor.log");
    for part in ["Старт мониторинга", "Отслеживаемые пары", "Остановлено"] {
        assert_eq!(log.lines().filter(|line| line.contains(part)).count(), 1, "{part} in {log}");
    }
    let checks = log.lines().filter(|line| line.contains("Доступен [")).count();
    assert!(checks >= 2 && checks <= up.hits().len(), "{checks} lines for {} checks", up.hits().len());
}
