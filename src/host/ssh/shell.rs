//! The text of an exec request: the order's own text, untouched, inside a wrapper that ends it in time.

use std::time::Duration;

/// The wrapper, read by the host's `sh`. Its first argument is the command, the others are `NAME=value`. Where there is a
/// `timeout` that knows `-k` (coreutils, newer `BusyBox`), the command dies with its limit even if we are gone by then.
const WRAPPER: &str = "c=$1; t=$2; shift 2; if timeout -k 5 $t true >/dev/null 2>&1; \
    then exec env \"$@\" timeout -k 5 $t sh -c \"$c\"; else exec env \"$@\" sh -c \"$c\"; fi";

/// Whole seconds that the host gives the command: a second less than we wait ourselves, so that its word comes first.
pub(super) fn remote_limit(limit: Duration) -> u64 {
    limit.as_secs().saturating_sub(1).max(1)
}

/// How long the host's `timeout` waits between its TERM and its KILL, in seconds.
const KILL_AFTER: u64 = 5;

/// Our own limit: never before the host has killed what would not end, or two commands would run there at once.
pub(super) fn own_limit(limit: Duration) -> Duration {
    limit.max(Duration::from_secs(remote_limit(limit) + KILL_AFTER + 1))
}

/// The exec request for a command. The user's login shell reads it: any POSIX shell, fish, and csh (there without newlines
/// in the command).
pub(super) fn request(shell: &str, env: &[(String, String)], limit: Duration) -> Result<String, &'static str> {
    if shell.contains('\0') || env.iter().any(|(_, value)| value.contains('\0')) {
        return Err("its text contains a NUL character, which no shell can take; remove it from the command");
    }
    let mut text = format!("exec sh -c {} monitor {} {}", quote(WRAPPER), quote(shell), remote_limit(limit));
    for (key, value) in env.iter().filter(|(key, _)| is_name(key)) {
        text.push(' ');
        text.push_str(&quote(&format!("{key}={value}")));
    }
    Ok(text)
}

/// A name that a shell accepts as a variable; anything else could be read as an option of `env`.
fn is_name(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// One word for the shell. Backslash and `!` stand outside the quotes, because fish and csh read them inside.
fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '\\' => quoted.push_str("'\\\\'"),
            '!' => quoted.push_str("'\\!'"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(request: &str) -> Vec<u8> {
        let out = std::process::Command::new("sh").arg("-c").arg(request).output().unwrap();
        assert!(out.status.success(), "{request}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    #[test]
    fn the_hosts_limit_comes_before_ours() {
        for (limit, remote, own) in [(60, 59, 65), (2, 1, 7), (1, 1, 7)] {
            assert_eq!(remote_limit(Duration::from_secs(limit)), remote);
            assert_eq!(own_limit(Duration::from_secs(limit)), Duration::from_secs(own));
        }
    }

    #[test]
    fn a_nul_character_is_refused_and_a_strange_name_left_out() {
        assert!(request("a\0b", &[], Duration::from_secs(9)).is_err());
        let text = request("true", &[("-i".to_owned(), "x".to_owned())], Duration::from_secs(9)).unwrap();
        assert!(!text.contains("-i=x"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_value_arrives_as_it_was(value in "[^\0]{0,40}", extra in "['\"\\\\$`!\n*~ ;&|<>()#€]{0,20}") {
            let value = format!("{value}{extra}");
            let env = [("MONITOR_X".to_owned(), value.clone())];
            let text = request("printf %s \"$MONITOR_X\"", &env, Duration::from_secs(9)).unwrap();
            prop_assert_eq!(String::from_utf8(run(&text)).unwrap(), value.clone());
            let text = request(&format!("printf %s {}", quote(&value)), &[], Duration::from_secs(9)).unwrap();
            prop_assert_eq!(String::from_utf8(run(&text)).unwrap(), value);
        }
    }
}
