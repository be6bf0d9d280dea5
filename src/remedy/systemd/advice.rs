//! What `systemctl` and `sudo` said, and what to do about it.

/// Words of the program, and the advice; the first that fits is given. What was tried last stands first.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["no new privileges"],
        "sudo cannot work where NoNewPrivileges is set, as in the agent's own unit: allow the units by a polkit rule, \
         see deploy/local-remedies.conf.example",
    ),
    (
        &["a password is required", "not in the sudoers file", "is not allowed to execute", "may not run sudo"],
        "the user may not do that: in /etc/sudoers.d/monitor allow it to run exactly this systemctl line as root with \
         NOPASSWD, or allow the unit by a polkit rule for org.freedesktop.systemd1.manage-units",
    ),
    (
        &["uthentication required", "ccess denied", "uthorization", "PolicyKit"],
        "the user may not do that: allow the unit by a polkit rule for org.freedesktop.systemd1.manage-units, or install \
         sudo and allow exactly this systemctl line with NOPASSWD",
    ),
    (&[" is masked"], "a masked unit cannot be started: run `systemctl unmask` on the host if it should be"),
    (
        &["not found.", "could not be found", "not loaded", "No files found for"],
        "the host has no such unit: compare the name with `systemctl list-unit-files` there",
    ),
    (
        &["repeated too quickly", "start-limit-hit", "attempted too often"],
        "it was started too often and systemd gave up: mend what ends it (`journalctl -u`), then `systemctl reset-failed`",
    ),
    (
        &["systemctl: not found", "systemctl: command not found"],
        "the host has no systemctl: heal it with a command instead",
    ),
];

/// No unit of any kind can be reached.
const NO_SYSTEMD: (&[&str], &str) = (
    &["Failed to connect to bus", "not been booted with systemd"],
    "systemd does not run there, or the user cannot reach it: heal it with a command instead",
);

/// Says what to do about an output, where that is known.
pub fn advice(output: &str) -> Option<&'static str> {
    let fits = |words: &&(&[&str], &'static str)| words.0.iter().any(|word| output.contains(word));
    std::iter::once(&NO_SYSTEMD).chain(ADVICE).find(fits).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_say_gets_its_own_advice() {
        for (said, part) in [
            ("Failed to restart a.service: Interactive authentication required.", "polkit rule"),
            ("Failed to start a.service: Access denied", "polkit rule"),
            (
                "Failed to start a.service: The name org.freedesktop.PolicyKit1 was not provided by any .service files",
                "polkit rule",
            ),
            ("Interactive authentication required.\nsudo: a password is required", "/etc/sudoers.d/monitor"),
            (
                "sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.",
                "NoNewPrivileges",
            ),
            ("Failed to start a.service: Unit a.service not found.", "list-unit-files"),
            ("No files found for a.service.", "list-unit-files"),
            ("Failed to restart a.service: Unit a.service is masked.", "unmask"),
            ("a.service: Start request repeated too quickly.", "reset-failed"),
            ("sh: 1: systemctl: not found", "no systemctl"),
            ("System has not been booted with systemd as init system (PID 1). Can't operate.", "does not run there"),
            ("Failed to connect to bus: Host is down", "does not run there"),
            ("Failed to connect to bus: No such file or directory", "does not run there"),
        ] {
            assert!(advice(said).is_some_and(|advice| advice.contains(part)), "{said}: {:?}", advice(said));
        }
        assert_eq!(advice("Job for a.service failed because the control process exited with error code."), None);
    }
}
