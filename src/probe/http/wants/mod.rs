//! What an answer must be like: its status, texts in its body, and what it says as JSON. How the body comes lives in `exchange`.

mod json;
mod pattern;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::json::Unmet;
pub(super) use self::json::{Condition, conditions};
pub(super) use self::pattern::{Pattern, patterns};
pub(super) use self::status::{Statuses, statuses};

use super::keys::{JSON, KEYWORD, KEYWORD_ABSENT, STATUS};
use crate::domain::reading::{Cause, Fault};
use crate::probe::wire::settings::Settings;

/// Bytes of a body that are looked at; pages of health are short, and 10,000 targets share this machine.
pub(super) const MOST: usize = 1024 * 1024;

/// Bytes of JSON that are read between other things. Longer JSON has a thread of its own: a mebibyte of small objects takes
/// a quarter of a second in a debug build.
const LIGHT: usize = 64 * 1024;
/// Who reads long JSON at once: a mebibyte of it may become 120 MB of values.
static READERS: Semaphore = Semaphore::const_new(1);
/// Share of the time after which it is told that no turn came: later only "no answer" could be said, and it did come.
const PATIENCE: f32 = 0.9;

/// What an answer must be like.
pub(super) struct Wants {
    /// The statuses of a good answer.
    pub(super) statuses: Statuses,
    keyword: Vec<Pattern>,
    absent: Vec<Pattern>,
    json: Arc<[Condition]>,
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
            json: json.unwrap_or_default().into(),
        })
    }

    /// Whether anything of it is in the body.
    pub(super) fn body(&self) -> bool {
        !(self.keyword.is_empty() && self.absent.is_empty() && self.json.is_empty())
    }

    /// Judges what there is of a body by its texts; `None`: more of it is needed. What it says as JSON is [`Wants::says`]'s.
    pub(super) fn judge(&self, body: &[u8], extent: Extent) -> Option<Result<(), Fault>> {
        let text = String::from_utf8_lossy(body);
        let fault = |what: String| Some(Err(Fault::new(Cause::Content, what)));
        let place = if extent == Extent::Cut { "the first MiB of the body" } else { "the body" };
        if let Some(found) = self.absent.iter().find(|pattern| pattern.is_in(&text)) {
            return fault(format!("the body holds {found}, which it must not"));
        }
        let missing = self.keyword.iter().find(|pattern| !pattern.is_in(&text));
        match (missing, extent) {
            (None, Extent::Begun) if self.absent.is_empty() && self.json.is_empty() => Some(Ok(())),
            (_, Extent::Begun) => None,
            (Some(missing), _) if body.is_empty() => fault(format!("the body is empty, wanted {missing}")),
            (Some(missing), _) => fault(format!("{place} does not hold {missing}")),
            (None, Extent::Cut) if !self.json.is_empty() => {
                fault("the body exceeds 1 MiB, and JSON is not read beyond that".to_owned())
            }
            (None, Extent::Whole | Extent::Cut) => Some(Ok(())),
        }
    }

    /// Judges what a whole body says as JSON, within `limit`. `hide` takes secrets out of a text of the server's.
    pub(super) async fn says(
        &self,
        body: Vec<u8>,
        limit: Duration,
        hide: &(dyn Fn(&str) -> String + Sync),
    ) -> Result<(), Fault> {
        let fault = |unmet: Unmet| Fault::new(Cause::Content, unmet.told(hide));
        if self.json.is_empty() {
            return Ok(());
        }
        if body.len() <= LIGHT {
            return said(&self.json, &body).map_err(fault);
        }
        let busy = |what: &str| Fault::new(Cause::Exhausted, format!("this machine could not read long JSON: {what}"));
        let turn = timeout(limit.mul_f32(PATIENCE), READERS.acquire()).await;
        let turn = turn.map_err(|_| busy("it is busy with that of others"))?.map_err(|_| busy("it is stopping"))?;
        let conditions = Arc::clone(&self.json);
        let reading = tokio::task::spawn_blocking(move || {
            let said = said(&conditions, &body);
            drop(turn);
            said
        });
        reading.await.map_err(|_| busy("it is stopping"))?.map_err(fault)
    }
}

fn said(conditions: &[Condition], body: &[u8]) -> Result<(), Unmet> {
    let text = String::from_utf8_lossy(body);
    // RFC 8259 forbids the mark and lets readers pass over it.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(Unmet::Plain("the body is empty, wanted JSON".to_owned()));
    }
    // Values within each other are read 128 deep, so no body exhausts the stack.
    let value = serde_json::from_str(text).map_err(|error| Unmet::Plain(format!("the body is not JSON: {error}")))?;
    conditions.iter().try_for_each(|condition| condition.check(&value))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;

    fn wants(keyword: &str, absent: &str, json: &str) -> Wants {
        let texts = |text: &str| if text.is_empty() { vec![] } else { patterns(text).unwrap() };
        Wants {
            statuses: statuses("200").unwrap(),
            keyword: texts(keyword),
            absent: texts(absent),
            json: if json.is_empty() { vec![] } else { conditions(json).unwrap() }.into(),
        }
    }

    fn judged(wants: &Wants, body: &str, extent: Extent) -> Option<Result<(), String>> {
        let hide = |text: &str| text.replace("s3cret", "***");
        let judged = wants.judge(body.as_bytes(), extent)?.map_err(|fault| fault.reason);
        let said = || said(&wants.json, body.as_bytes()).map_err(|unmet| unmet.told(&hide));
        Some(judged.and_then(|()| if wants.json.is_empty() { Ok(()) } else { said() }))
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
        let judged = wants("ok", "bad", "").judge(b"\xff\xfeok\xff", Extent::Whole);
        assert_eq!(judged, Some(Ok(())));
    }

    #[test]
    fn the_worst_bodies_of_a_mebibyte_are_judged_soon() {
        let filled = |piece: &str| piece.repeat((MOST - 200) / piece.len());
        let list = |piece: &str| format!("[{}]", filled(&format!("{piece},")).trim_end_matches(','));
        let deep = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let keyed: Vec<String> = (0..(MOST - 200) / 12).map(|n| format!("\"{n:06}\":1")).collect();
        let bodies = [
            ("wide", list("1")),
            ("wide and empty", list("[]")),
            ("objects", list("{\"a\":1,\"b\":1}")),
            ("nested", list(&deep("[", "]", 120))),
            ("nested objects", list(&deep("{\"a\":", "}", 120))),
            ("keys", format!("{{{}}}", keyed.join(","))),
            ("one text", format!("[\"{}\"]", filled("a"))),
            ("texts", list("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"")),
            ("escapes", format!("[\"{}\"]", filled("\\u0041"))),
            ("digits", list(&"9".repeat(2000))),
            ("deeper than is read", filled("[")),
        ];
        for path in ["$..a", "$..[?count(@.*) > 1]", "$..[?@[?@[?@.a == 1]]]", "$[*,*][*,*][*,*]"] {
            let conditions = conditions(path).unwrap();
            for (name, body) in &bodies {
                let begin = Instant::now();
                let _ = said(&conditions, body.as_bytes());
                // The worst of them takes half a second on an idle machine.
                assert!(begin.elapsed() < Duration::from_secs(10), "{path} {name}: {:?}", begin.elapsed());
            }
        }
    }

    #[tokio::test]
    async fn long_json_is_read_beside_the_runtime_and_what_waits_too_long_is_our_own_trouble() {
        let wants = wants("", "", "$[0] == 1");
        let long = |first: &str| format!("[{first},\"{}\"]", "x".repeat(LIGHT)).into_bytes();
        let limit = Duration::from_secs(20);
        assert_eq!(wants.says(long("1"), limit, &str::to_owned).await, Ok(()));
        let told = wants.says(long("\"s3cret\""), limit, &|text| text.replace("s3cret", "***")).await.unwrap_err();
        assert_eq!((told.cause, told.reason.as_str()), (Cause::Content, "$[0] is \"***\", wanted == 1"));
        let other = READERS.acquire().await.unwrap();
        let told = wants.says(long("1"), Duration::from_millis(10), &str::to_owned).await.unwrap_err();
        assert!(told.cause == Cause::Exhausted && told.reason.contains("busy with that of others"), "{told:?}");
        assert_eq!(wants.says(b"[1]".to_vec(), limit, &str::to_owned).await, Ok(()), "short JSON needs no turn");
        drop(other);
        // Given up while it is read.
        drop(wants.says(long("1"), limit, &str::to_owned).now_or_never());
        drop(timeout(limit, READERS.acquire()).await.expect("the turn comes back").unwrap());
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_judge(body in proptest::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\",:0-9a\\\\ ]{0,60}") {
            let wants = wants("/a+/|b", "zz", "$..a > 1 && $[0]");
            for body in [body.as_slice(), json.as_bytes()] {
                for extent in [Extent::Begun, Extent::Whole, Extent::Cut] {
                    prop_assert!(wants.judge(body, extent).is_some() || extent == Extent::Begun);
                    let _ = said(&wants.json, body);
                }
            }
        }
    }
}
