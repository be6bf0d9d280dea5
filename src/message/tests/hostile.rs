use proptest::prelude::*;

use super::*;
use crate::message::{Language, Rich, compose};

/// Text as an attacker, or a broken program, would print it.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<b>".to_owned()),
        Just("</code>".to_owned()),
        Just("</blockquote>".to_owned()),
        Just("<a href=\"tg://user?id=1\">".to_owned()),
        Just("&amp;&lt;&#60;&".to_owned()),
        Just("👨‍👩‍👧‍👦🏳️‍🌈".to_owned()),
        Just("\u{202e}\u{2066}\u{200f}".to_owned()),
        Just("\u{e000}".to_owned()),
        Just("\r\n\n\t\0\x1b[2J".to_owned()),
        Just("`*_[](){ $command }".to_owned()),
        any::<String>(),
    ];
    (proptest::collection::vec(piece, 0..12), prop_oneof![4 => Just(1usize), 1 => Just(2000)])
        .prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

/// What a `<` or `&` of Telegram's HTML can begin.
enum Sign {
    Open(&'static str),
    Close(&'static str),
    Entity(&'static str),
}

const SIGNS: [(&str, Sign); 10] = [
    ("<b>", Sign::Open("b")),
    ("<code>", Sign::Open("code")),
    ("<blockquote expandable>", Sign::Open("blockquote")),
    ("</b>", Sign::Close("b")),
    ("</code>", Sign::Close("code")),
    ("</blockquote>", Sign::Close("blockquote")),
    ("&lt;", Sign::Entity("<")),
    ("&gt;", Sign::Entity(">")),
    ("&amp;", Sign::Entity("&")),
    ("&quot;", Sign::Entity("\"")),
];

/// Reads Telegram's HTML at least as strictly as Telegram does and gives the text that is left.
fn parsed(html: &str) -> Result<String, String> {
    let (mut text, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = SIGNS.iter().find(|(written, _)| rest.starts_with(written));
        let (written, sign) = known.ok_or_else(|| format!("unescaped: {rest}"))?;
        match sign {
            Sign::Open(tag) => open.push(*tag),
            Sign::Close(tag) if open.pop() == Some(*tag) => {}
            Sign::Close(tag) => return Err(format!("closes {tag}")),
            Sign::Entity(c) => text.push_str(c),
        }
        rest = &rest[written.len()..];
    }
    text.push_str(rest);
    if open.is_empty() { Ok(text) } else { Err(format!("open at the end: {open:?}")) }
}

fn news() -> impl Strategy<Value = News> {
    let text = || hostile();
    let down = (text(), text(), text(), text(), any::<bool>(), 1u32..5).prop_map(
        |(command, excerpt, error, reason, started, failures)| {
            let run = Run { started, excerpt, error, signal: Some(command.clone()), ..run(RunStatus::Failed) };
            let fault = Fault { cause: Cause::Status, reason };
            News::Failed(Failed { fault, ..failed(failures, 67.5, Deed::Command { command, run }) })
        },
    );
    let up = text()
        .prop_map(|command| News::Recovered(recovered(3, Healer::Command { command, after: Duration::from_secs(4) })));
    prop_oneof![3 => down, 1 => up]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_fields_never_break_the_html_nor_the_limit(news in news()) {
        let late = Facts { now: at() + jiff::SignedDuration::from_hours(1), ..facts() };
        let pair = format!("{}:{}", "D".repeat(64), "S".repeat(64));
        for language in Language::ALL {
            let rich = compose(&notice_of(&pair, news.clone()), language, &late);
            let text = parsed(&rich.to_html()).map_err(TestCaseError::fail)?;
            for shown in [&text, &rich.to_plain(), &rich.minimal().to_owned()] {
                prop_assert!(shown.encode_utf16().count() <= Rich::MAX_UNITS, "{}", shown.encode_utf16().count());
                prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
                let abusable = ['\u{202e}', '\u{2066}', '\u{200f}', '\u{e000}'];
                prop_assert!(!shown.contains(abusable));
            }
        }
    }
}

#[test]
fn the_longest_message_there_can_be_fits() {
    // Each of these characters takes two UTF-16 units.
    let big = "😀".repeat(100_000);
    let run = Run { excerpt: big.clone(), error: big.clone(), exit_code: Some(i32::MIN), ..run(RunStatus::Failed) };
    let fault = Fault { cause: Cause::Exhausted, reason: big.clone() };
    let all_phases = Phases {
        dns: Some(Duration::MAX),
        connect: Some(Duration::MAX),
        tls: Some(Duration::MAX),
        first_byte: Some(Duration::MAX),
    };
    let news = News::Failed(Failed {
        fault,
        phases: all_phases,
        next: Duration::MAX,
        factor: f64::MAX,
        failures: u32::MAX,
        ..failed(2, 1.0, Deed::Command { command: big, run })
    });
    let pair = format!("{}:{}", "D".repeat(64), "S".repeat(64));
    let late = Facts { now: at() + jiff::SignedDuration::from_hours(1), ..facts() };
    for language in Language::ALL {
        let plain = compose(&notice_of(&pair, news.clone()), language, &late).to_plain();
        assert!(plain.encode_utf16().count() <= Rich::MAX_UNITS, "{}", plain.encode_utf16().count());
        assert!(plain.contains('…'));
    }
}

#[test]
fn the_parser_of_these_tests_refuses_what_telegram_refuses() {
    for bad in ["<b>x", "x</b>", "<b><code>x</b></code>", "<i>x</i>", "a < b", "a & b", "a > b"] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}
