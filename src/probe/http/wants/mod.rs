//! What an answer must be like: its status, texts in its body, and what it says as JSON. How the body comes lives in `exchange`.

mod json;
mod pattern;
mod status;

pub(super) use self::json::{Condition, conditions};
pub(super) use self::pattern::{Pattern, patterns};
pub(super) use self::status::{Statuses, statuses};

use super::keys::{JSON, KEYWORD, KEYWORD_ABSENT, STATUS};
use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::settings::Settings;

/// Bytes of a body that are looked at; pages of health are short, and 10,000 targets share this machine.
pub(super) const MOST: usize = 1024 * 1024;

/// What an answer must be like.
pub(super) struct Wants {
    /// The statuses of a good answer.
    pub(super) statuses: Statuses,
    keyword: Vec<Pattern>,
    absent: Vec<Pattern>,
    json: Vec<Condition>,
}

/// How much of a body is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// More may come.
    Begun,
    /// All of it.
    Whole,
    /// The first [`MOST`] bytes, and there are more.
    Cut,
}

impl Wants {
    /// Reads the settings that say it.
    pub(super) fn read(settings: &Settings<'_>) -> Option<Self> {
        let (statuses, json) = (settings.get(&STATUS), settings.optional(&JSON));
        let (keyword, absent) = (settings.optional(&KEYWORD), settings.optional(&KEYWORD_ABSENT));
        let (json, keyword, absent) = (json?, keyword?, absent?);
        Some(Self {
            statuses: statuses?,
            keyword: keyword.unwrap_or_default(),
            absent: absent.unwrap_or_default(),
            json: json.unwrap_or_default(),
        })
    }

    /// Whether anything of it is in the body.
    pub(super) fn body(&self) -> bool {
        !(self.keyword.is_empty() && self.absent.is_empty() && self.json.is_empty())
    }

    /// Judges what there is of a body; `None`: more of it is needed. `hide` takes secrets out of a text of the server's.
    pub(super) fn judge(
        &self,
        body: &[u8],
        extent: Extent,
        hide: &dyn Fn(&str) -> String,
    ) -> Option<Result<(), Fault>> {
        let text = String::from_utf8_lossy(body);
        let fault = |what: String| Some(Err(Fault::new(Cause::Content, what)));
        let place = if extent == Extent::Cut { "the first MiB of the body" } else { "the body" };
        if let Some(found) = self.absent.iter().find(|pattern| pattern.is_in(&text)) {
            return fault(format!("the body holds {found}, which it must not"));
        }
        let missing = self.keyword.iter().find(|pattern| !pattern.is_in(&text));
        match (missing, extent) {
            (None, Extent::Begun) if self.absent.is_empty() && self.json.is_empty() => return Some(Ok(())),
            (_, Extent::Begun) => return None,
            (Some(missing), _) if body.is_empty() => return fault(format!("the body is empty, wanted {missing}")),
            (Some(missing), _) => return fault(format!("{place} does not hold {missing}")),
            (None, Extent::Cut) if !self.json.is_empty() => {
                return fault("the body exceeds 1 MiB, and JSON is not read beyond that".to_owned());
            }
            (None, Extent::Whole | Extent::Cut) => {}
        }
        Some(self.says(&text, hide))
    }

    fn says(&self, text: &str, hide: &dyn Fn(&str) -> String) -> Result<(), Fault> {
        if self.json.is_empty() {
            return Ok(());
        }
        // RFC 8259 forbids the mark and lets readers pass over it.
        let text = text.trim_start_matches('\u{feff}');
        let fault = |what: String| Fault::new(Cause::Content, what);
        if text.trim().is_empty() {
            return Err(fault("the body is empty, wanted JSON".to_owned()));
        }
        let value = serde_json::from_str(text).map_err(|error| fault(format!("the body is not JSON: {error}")))?;
        self.json.iter().try_for_each(|condition| condition.check(&value, hide)).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wants(keyword: &str, absent: &str, json: &str) -> Wants {
        let texts = |text: &str| if text.is_empty() { vec![] } else { patterns(text).unwrap() };
        Wants {
            statuses: statuses("200").unwrap(),
            keyword: texts(keyword),
            absent: texts(absent),
            json: if json.is_empty() { vec![] } else { conditions(json).unwrap() },
        }
    }

    fn judged(wants: &Wants, body: &str, extent: Extent) -> Option<Result<(), String>> {
        let hide = |text: &str| text.replace("s3cret", "***");
        wants.judge(body.as_bytes(), extent, &hide).map(|judged| judged.map_err(|fault| fault.reason))
    }

    #[test]
    fn a_body_is_judged_as_soon_as_it_can_be() {
        use Extent::{Begun, Cut, Whole};
        let said = |what: &str| Some(Err(what.to_owned()));
        for (keyword, absent, json, body, extent, expected) in [
            ("a|b", "", "", "b..a", Begun, Some(Ok(()))),
            ("a|b", "", "", "b...", Begun, None),
            ("a|b", "", "", "b...", Whole, said("the body does not hold `a`")),
            ("a|b", "", "", "b...", Cut, said("the first MiB of the body does not hold `a`")),
            ("a", "", "", "", Whole, said("the body is empty, wanted `a`")),
            ("a", "c", "", "a...", Begun, None),
            ("a", "c", "", "a...", Whole, Some(Ok(()))),
            ("a", "c", "", "a...", Cut, Some(Ok(()))),
            ("a", "c", "", "c", Begun, said("the body holds `c`, which it must not")),
            ("", "c", "", "", Whole, Some(Ok(()))),
            ("", "", "$.a == 1", "{\"a\":1}", Begun, None),
            ("", "", "$.a == 1", "\u{feff} {\"a\":1} ", Whole, Some(Ok(()))),
            ("", "", "$.a == 1", "{\"a\":2}", Whole, said("$.a is 2, wanted == 1")),
            ("", "", "$.a == 1", "{\"a\":\"s3cret\"}", Whole, said("$.a is \"***\", wanted == 1")),
            ("", "", "$.a", " \n", Whole, said("the body is empty, wanted JSON")),
            ("", "", "$.a", "<html>", Whole, said("the body is not JSON: expected value at line 1 column 1")),
            ("", "", "$.a", "{}", Cut, said("the body exceeds 1 MiB, and JSON is not read beyond that")),
            ("ok", "", "$.a", "{\"a\":\"ok\"}", Whole, Some(Ok(()))),
        ] {
            assert_eq!(
                judged(&wants(keyword, absent, json), body, extent),
                expected,
                "{keyword} {absent} {json} {body}"
            );
        }
        assert!(!wants("", "", "").body() && wants("", "c", "").body());
    }

    #[test]
    fn bytes_that_are_no_utf_8_hide_nothing_around_them() {
        let judged = wants("ok", "bad", "").judge(b"\xff\xfeok\xff", Extent::Whole, &str::to_owned);
        assert_eq!(judged, Some(Ok(())));
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_judge(body in proptest::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\",:0-9a\\\\ ]{0,60}") {
            let wants = wants("/a+/|b", "zz", "$..a > 1 && $[0]");
            for body in [body.as_slice(), json.as_bytes()] {
                for extent in [Extent::Begun, Extent::Whole, Extent::Cut] {
                    let judged = wants.judge(body, extent, &str::to_owned);
                    prop_assert!(judged.is_some() || extent == Extent::Begun);
                }
            }
        }
    }
}
