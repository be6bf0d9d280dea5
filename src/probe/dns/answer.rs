//! What the answer of a DNS server says about the server.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use super::question::Question;
use crate::domain::reading::{Cause, Fault};
use crate::host::output::one_line;
use crate::probe::wire::Expected;

/// Records that are shown when none is the expected one.
const SHOWN: usize = 3;

/// Says why a text can never be found in an answer to this question: for an address it is a whole one.
pub(super) fn never(question: &Question, expected: &Expected) -> Option<&'static str> {
    let text = std::str::from_utf8(expected.text()?).unwrap_or_default();
    match question.kind {
        RecordType::A if text.parse::<Ipv4Addr>().is_err() => {
            Some("is no IPv4 address, and A records hold nothing else")
        }
        RecordType::AAAA if text.parse::<Ipv6Addr>().is_err() => {
            Some("is no IPv6 address, and AAAA records hold nothing else")
        }
        _ => None,
    }
}

/// Judges the answer to `question`.
pub(super) fn judge(message: &Message, question: &Question, expected: Option<&Expected>) -> Result<(), Fault> {
    let (name, kind) = (question.name.to_ascii(), question.kind);
    let name = one_line(name.trim_end_matches('.').as_bytes(), 80);
    let content = |what: String| Err(Fault::new(Cause::Content, what));
    match message.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return content(format!("the server says that {name} does not exist (NXDOMAIN)")),
        ResponseCode::ServFail => return content(format!("the server failed to find {name} (SERVFAIL)")),
        ResponseCode::Refused => return content(format!("the server refuses to answer for {name} (REFUSED)")),
        code => {
            let what = format!("the server does not accept our question: {code} ({})", u16::from(code));
            return Err(Fault::new(Cause::Protocol, what));
        }
    }
    let found: Vec<&RData> =
        message.answers.iter().filter(|record| record.record_type() == kind).map(|record| &record.data).collect();
    if found.is_empty() {
        return content(format!("the server knows {name} and gives no {kind} record of it"));
    }
    match expected {
        Some(expected) if !found.iter().any(|data| fits(data, expected)) => {
            let mut shown: Vec<String> =
                found.iter().take(SHOWN).map(|data| one_line(written(data).as_bytes(), 40)).collect();
            if found.len() > SHOWN {
                shown.push(format!("{} more", found.len() - SHOWN));
            }
            content(format!("no {kind} record of {name} holds {expected}: {}", shown.join(", ")))
        }
        _ => Ok(()),
    }
}

/// Whether one record is the expected. An address is compared whole: `192.0.2.1` is not `192.0.2.10`. Names have no case.
fn fits(data: &RData, expected: &Expected) -> bool {
    let text = expected.text().and_then(|text| std::str::from_utf8(text).ok());
    match (data, text) {
        (RData::A(address), Some(text)) => text.parse() == Ok(address.0),
        (RData::AAAA(address), Some(text)) => text.parse() == Ok(address.0),
        (RData::TXT(_) | RData::CAA(_), _) | (_, None) => expected.is_in(written(data).as_bytes()),
        (_, Some(text)) => written(data).to_ascii_lowercase().contains(&text.to_ascii_lowercase()),
    }
}

/// A record as zone files write it.
fn written(data: &RData) -> String {
    let mut text = String::new();
    // A kind of record without a form gives nothing, where `to_string` would panic.
    let _ = write!(text, "{data}");
    text
}

#[cfg(test)]
mod tests {
    use super::super::exchange::tests::{answered, asked};
    use super::*;
    use hickory_proto::rr::rdata::{self, MX, TXT};
    use hickory_proto::rr::{Name, Record};

    fn told(message: &Message, question: &Question, expected: Option<&str>) -> String {
        let expected = expected.map(|text| Expected::parse(text).unwrap());
        match judge(message, question, expected.as_ref()) {
            Ok(()) => "up".to_owned(),
            Err(fault) => format!("{}: {}", fault.cause, fault.reason),
        }
    }

    #[test]
    fn every_code_has_its_meaning() {
        for (code, begins) in [
            (ResponseCode::NoError, "up"),
            (ResponseCode::NXDomain, "content: the server says that example.org does not exist (NXDOMAIN)"),
            (ResponseCode::ServFail, "content: the server failed to find example.org (SERVFAIL)"),
            (ResponseCode::Refused, "content: the server refuses to answer for example.org (REFUSED)"),
            (ResponseCode::FormErr, "protocol: the server does not accept our question: "),
            (ResponseCode::NotImp, "protocol: the server does not accept our question: "),
            (ResponseCode::Unknown(77), "protocol: the server does not accept our question: "),
        ] {
            let mut message = answered(&asked(), 1);
            message.metadata.response_code = code;
            assert!(told(&message, &asked(), None).starts_with(begins), "{}", told(&message, &asked(), None));
        }
        let mut none = answered(&asked(), 1);
        none.answers.clear();
        assert_eq!(told(&none, &asked(), None), "content: the server knows example.org and gives no A record of it");
        none.add_answer(Record::from_rdata(asked().name, 1, RData::CNAME(rdata::CNAME(asked().name))));
        assert!(told(&none, &asked(), None).starts_with("content: the server knows"), "an alias alone is no address");
    }

    #[test]
    fn the_expected_is_looked_for_in_every_record() {
        let mut addresses = answered(&asked(), 1);
        for last in 10..14 {
            addresses.add_answer(Record::from_rdata(asked().name, 1, RData::A(rdata::A::new(192, 0, 2, last))));
        }
        for (expected, up) in [
            ("192.0.2.1", true),
            ("192.0.2.13", true),
            ("192.0.2.2", false),
            ("/^192\\.0\\.2\\./", true),
            ("/^10\\./", false),
        ] {
            assert_eq!(told(&addresses, &asked(), Some(expected)) == "up", up, "{expected}");
        }
        assert_eq!(
            told(&addresses, &asked(), Some("192.0.2.2")),
            "content: no A record of example.org holds `192.0.2.2`: 192.0.2.1, 192.0.2.10, 192.0.2.11, 2 more"
        );
        let mail = Question { kind: RecordType::MX, ..asked() };
        let mut exchange = answered(&mail, 1);
        let host = Name::from_ascii("Mail.Example.org.").unwrap();
        exchange.add_answer(Record::from_rdata(mail.name.clone(), 1, RData::MX(MX::new(10, host))));
        assert_eq!(told(&exchange, &mail, Some("10 mail.example.org")), "up");
        assert!(told(&exchange, &mail, Some("other")).ends_with("holds `other`: 10 Mail.Example.org."));
        let text = Question { kind: RecordType::TXT, ..asked() };
        let mut texts = answered(&text, 1);
        texts.add_answer(Record::from_rdata(
            text.name.clone(),
            1,
            RData::TXT(TXT::new(vec!["v=spf1 -all\u{1b}".to_owned()])),
        ));
        assert_eq!(told(&texts, &text, Some("v=spf1")), "up");
        assert!(told(&texts, &text, Some("V=SPF1")).ends_with("v=spf1 -all\\x1b"), "case and escapes");
    }

    #[test]
    fn an_expected_address_that_is_none_is_told_before_it_is_looked_for() {
        let six = Question { kind: RecordType::AAAA, ..asked() };
        for (question, expected, wrong) in [
            (asked(), "192.0.2.1", false),
            (asked(), "192.0.2", true),
            (asked(), "/^192/", false),
            (six, "192.0.2.1", true),
        ] {
            assert_eq!(never(&question, &Expected::parse(expected).unwrap()).is_some(), wrong, "{expected}");
        }
    }
}
