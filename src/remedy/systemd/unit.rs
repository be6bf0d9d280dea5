//! The name of a systemd unit, checked so that it can stand in shell text and in the arguments of `systemctl`.

use std::fmt;

/// Characters of the longest name: <https://www.freedesktop.org/software/systemd/man/systemd.unit.html>.
const LONGEST: usize = 255;
/// Kinds of units that can be started and stopped. Devices appear by themselves, and scopes are made by programs.
const SUFFIXES: &[&str] = &["service", "timer", "socket", "path", "target", "mount", "automount", "swap", "slice"];

/// The name of a unit that can be started and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit(String);

impl Unit {
    /// Accepts a whole name with its suffix; the error says what was expected instead.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = |what: &str| Err(format!("`{}` {what}", crate::env::problem::shown(text)));
        if text.is_empty() {
            return Err("a name is empty".to_owned());
        }
        if text.len() > LONGEST {
            return wrong(&format!("is longer than {LONGEST} characters"));
        }
        let strange = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '\\' | '@' | '-'));
        if text.chars().any(strange) || text.starts_with('-') {
            return wrong(
                "is no unit: letters, digits and : _ . \\ @ - can stand in a name, and no - at its beginning",
            );
        }
        let Some((name, suffix)) = text.rsplit_once('.').filter(|(_, suffix)| SUFFIXES.contains(suffix)) else {
            return wrong(&format!("does not end in .{}; did you mean `{text}.service`?", SUFFIXES.join(", .")));
        };
        if name.is_empty() || name.starts_with('@') {
            return wrong("has no name before its suffix");
        }
        if name.ends_with('@') {
            return wrong(&format!("is a template: name an instance, such as `{name}1.{suffix}`"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Gives the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_units_are_taken_and_everything_else_is_refused_with_a_reason() {
        for good in [
            "nginx.service",
            "app@1.service",
            "a-b_c:d.timer",
            "dev-sda\\x2d1.swap",
            "multi-user.target",
            "a.b.service",
        ] {
            assert_eq!(Unit::new(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", "empty"),
            ("nginx", "did you mean `nginx.service`"),
            ("nginx.conf", "did you mean `nginx.conf.service`"),
            ("sda.device", "does not end in .service"),
            ("app@.service", "name an instance, such as `app@1.service`"),
            (".service", "no name before"),
            ("@x.service", "no name before"),
            ("-H.service", "is no unit"),
            ("--now.service", "is no unit"),
            ("*.service", "is no unit"),
            ("a b.service", "is no unit"),
            ("a;reboot.service", "is no unit"),
            ("$(id).service", "is no unit"),
            ("a'b.service", "is no unit"),
            ("a\nb.service", "is no unit"),
            ("юнит.service", "is no unit"),
        ] {
            let told = Unit::new(bad).unwrap_err();
            assert!(told.contains(why) && !told.contains('\n'), "{bad:?}: {told}");
        }
        assert!(Unit::new(&format!("{}.service", "x".repeat(248))).unwrap_err().contains("longer than 255"));
        Unit::new(&format!("{}.service", "x".repeat(247))).unwrap();
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_one_plain_word(text in any::<String>(), tail in "(\\.service|\\.timer)?") {
            if let Ok(unit) = Unit::new(&format!("{text}{tail}")) {
                let plain = |c: char| c.is_ascii_graphic() && !"'\"`$;&|<>()*?[]{}!#~ =%,/".contains(c);
                prop_assert!(unit.as_str().chars().all(plain), "{unit}");
                prop_assert!(!unit.as_str().starts_with('-'));
            }
        }
    }
}
