//! `--telegram`: one message for each change, and no check waits for any.

use super::stage::Stage;
use crate::support::bot_api::{BotApi, PERSON, TOKEN, Trouble};

fn stage(api: &BotApi, more: &str) -> Stage {
    let stage = Stage::new();
    stage.check(7);
    stage.down();
    stage.script("recovery.sh", "echo recovery >>trace");
    stage.write(
        ".env",
        &format!("TELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID={PERSON}\nTELEGRAM_API_URL={}\n{more}", api.url()),
    );
    stage
}

const WORDS: [&str; 5] = ["-i", "0.3", "--telegram", "-s", "./check.sh"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_its_recovery_and_its_end_are_told_once_each() {
    let api = BotApi::start().await;
    let mut stage = stage(&api, "");
    let more = ["--recovery", "./recovery.sh", "--threshold", "2", "--recovery-timeout", "1h"];
    stage.start(&[&WORDS[..], &more].concat());
    let fault = api.message(1).await;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    assert_eq!(
        fault.plain,
        format!(
            "Heat on {host}: ⚠️ Failing\nMessage: The check fails. Failures in a row: 2, last exit code: 7. The check: \
             ./check.sh"
        )
    );
    let recovery = api.message(2).await;
    assert!(recovery.plain.ends_with("The recovery has run, and checks decide whether it helped: ./recovery.sh"));
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    stage.up();
    let back = api.message(3).await;
    assert!(back.plain.contains("✅ Restored\nMessage: The check succeeds again, "), "{}", back.plain);
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    stage.stop();
    assert_eq!(api.messages().len(), 3, "{:#?}", api.messages());
    assert_eq!((fault.silent, recovery.silent, back.silent), (false, true, false));
    assert_eq!((fault.reply_to, recovery.reply_to, back.reply_to), (None, Some(fault.id), Some(fault.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_end_is_told_and_in_the_language_of_the_file() {
    let api = BotApi::start().await;
    let mut stage = stage(&api, "LANGUAGE=ko\nMAPPINGS=not:for,heat\nDC3_SSH_HOTS=neither\n");
    stage.script("check.sh", "kill -9 $$");
    stage.start(&WORDS);
    stage.fails(1, &["was killed by signal KILL"]);
    let told = api.message(1).await;
    assert!(told.plain.ends_with("검사가 중단되어(SIGKILL) 더 이상 감시하지 않습니다: ./check.sh"), "{}", told.plain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_messenger_that_hangs_holds_up_no_check_and_not_the_end_for_long() {
    let api = BotApi::start().await;
    api.plan([Trouble::Hang]);
    let mut stage = stage(&api, "");
    stage.start(&WORDS);
    stage.until_lines("trace", 10, "check");
    assert!(api.messages().is_empty());
    stage.stop();
    assert!(stage.file("stderr").contains("telegram did not take the last messages in time"), "{}", stage.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_not_taken_is_sent_again() {
    let api = BotApi::start().await;
    api.plan([Trouble::Close, Trouble::TooMany { retry_after: 1 }]);
    let mut stage = stage(&api, "");
    stage.start(&WORDS);
    api.message(1).await;
    stage.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_run_sees_the_token_and_nobody_is_told_without_the_option() {
    let api = BotApi::start().await;
    let mut stage = stage(&api, "");
    stage.script("check.sh", "echo check >>trace\nenv >env\nexit 1");
    let mut command = stage.command(super::stage::MONITOR, &["heat", "-i", "0.2", "--telegram", "-s", "./check.sh"]);
    command.env("TELEGRAM_BOT_TOKEN", TOKEN).env("KEPT", "kept");
    stage.start_as(command);
    api.message(1).await;
    stage.stop();
    let env = stage.file("env");
    assert!(env.contains("KEPT=kept") && !env.contains(TOKEN), "{env}");
    assert!(!stage.all().contains(TOKEN));
    stage.start(&["-i", "0.2", "-s", "./check.sh"]);
    let checks = stage.count("trace", "check");
    stage.until_lines("trace", checks + 3, "check");
    stage.stop();
    assert_eq!(api.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_refused_with_its_key() {
    let api = BotApi::start().await;
    let mut stage = stage(&api, "LANGUAGE=xx\n");
    stage.refuses(&WORDS, "LANGUAGE");
    stage.write("other.env", "TELEGRAM_BOT_TOKEN=x\nTELEGRAM_CHAT_ID=y\n");
    stage.refuses(&[&["--env-file", "other.env"], &WORDS[..]].concat(), "other.env:2: TELEGRAM_CHAT_ID: found `y`");
}
