//! What is asked: the part of a `dns` URL behind the server.

use std::fmt;
use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::env::value;

/// The types that can be asked for.
const TYPES: [(&str, RecordType); 10] = [
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("CNAME", RecordType::CNAME),
    ("MX", RecordType::MX),
    ("TXT", RecordType::TXT),
    ("NS", RecordType::NS),
    ("SOA", RecordType::SOA),
    ("PTR", RecordType::PTR),
    ("SRV", RecordType::SRV),
    ("CAA", RecordType::CAA),
];
const TYPE: &str = "type";
const TCP: &str = "tcp";
const KNOWN: [&str; 2] = [TYPE, TCP];

/// One question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The name, complete and in lower case.
    pub(super) name: Name,
    /// The type of the records.
    pub(super) kind: RecordType,
    /// Whether it is asked over TCP from the start.
    pub(super) tcp: bool,
}

impl Question {
    /// Reads the path and the parameters, or says what is wrong with them.
    pub(super) fn read(url: &Url) -> Result<Self, String> {
        let (mut kind, mut tcp) = (RecordType::A, false);
        let (mut seen, mut wrong) = (Vec::new(), Vec::new());
        for (name, text) in url.query_pairs() {
            let name = name.into_owned();
            let read = match name.as_str() {
                _ if seen.contains(&name) => Err("is there twice".to_owned()),
                TYPE => value::word(&text, &TYPES).map(|read| kind = read),
                TCP => value::flag(&text).map(|read| tcp = read),
                _ => Err(stranger(&name)),
            };
            if let Err(what) = read {
                let name: String = name.chars().take(20).collect();
                wrong.push(format!("{name}: {what}"));
            }
            seen.push(name);
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        if url.fragment().is_some() {
            return Err("nothing may follow a `#`".to_owned());
        }
        let path = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8();
        let text = path.map_err(|_| "this is no name".to_owned())?;
        Ok(Self { name: name(&text, kind)?, kind, tcp })
    }
}

fn name(text: &str, kind: RecordType) -> Result<Name, String> {
    if text.is_empty() {
        return Err("there is no name to ask for".to_owned());
    }
    if text.contains('/') {
        return Err("a name has no slash".to_owned());
    }
    // People know the address, and not how it is turned around.
    if let (RecordType::PTR, Ok(ip)) = (kind, text.parse::<IpAddr>()) {
        return Ok(Name::from(ip));
    }
    let mut name = Name::from_str_relaxed(text).map_err(|_| "this is no name".to_owned())?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

fn stranger(name: &str) -> String {
    let near = KNOWN.iter().find(|known| strsim::damerau_levenshtein(known, name) <= 2);
    match near {
        Some(near) => format!("is not known; did you mean `{near}`?"),
        None => format!("is not known; known are {}", KNOWN.join(", ")),
    }
}

impl fmt::Display for Question {
    /// Writes it as it stands in the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp = if self.tcp { "&tcp=true" } else { "" };
        write!(f, "{}?type={}{tcp}", self.name.to_ascii().trim_end_matches('.'), self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_url_panics(rest in "[ -~а-я]{0,80}") {
            if let Ok(url) = Url::parse(&format!("dns://h/{rest}"))
                && let Ok(question) = Question::read(&url)
            {
                prop_assert!(question.name.is_fqdn() && !question.to_string().contains(char::is_control));
            }
        }
    }
}
