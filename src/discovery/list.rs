//! The text of a list: groups of targets with labels. What a label means is known in `target`.
//!
//! Only what can mean something is kept, and no more than the limit of it, so that a hostile list cannot fill our memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::env::problem::shown;

use super::target::{self, Entry};
use super::{LeftOut, roll};

/// Parameters of one group that are kept.
const PARAMETERS: usize = 16;

/// Why a list cannot be read; the last good one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It is not a list of groups.
    #[error("it is no list of `{{\"targets\": [\"host:port\"], \"labels\": {{…}}}}`: {0}")]
    Shape(String),
    /// It holds too many targets.
    #[error("it holds more than {0} targets; DISCOVERY_LIMIT sets how many it may")]
    TooLong(usize),
}

/// What a list holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// What can be watched, one of each pair, in the order of the list.
    pub entries: Vec<Entry>,
    /// What cannot.
    pub left_out: Vec<LeftOut>,
}

/// Reads a list of at most `limit` targets; `known` settles who has a name that two of them claim.
pub fn read(bytes: &[u8], limit: usize, known: &roll::Roll) -> Result<Listed, Broken> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let groups = de::DeserializeSeed::deserialize(Groups { limit }, &mut json).and_then(|groups| {
        json.end()?;
        Ok(groups)
    });
    let groups = match groups {
        Ok(Some(groups)) => groups,
        Ok(None) => return Err(Broken::TooLong(limit)),
        // The error quotes what it found.
        Err(error) => return Err(Broken::Shape(shown(&error.to_string()))),
    };
    let mut listed = Listed::default();
    for Group { targets, odd, labels } in groups {
        for address in targets.texts {
            let read = match &labels.odd {
                Some(label) => Err(format!("has a label `{label}` that is no text")),
                None => target::entry(&address, &labels.all),
            };
            match read {
                Ok(entry) => listed.entries.push(entry),
                Err(why) => listed.left_out.push(LeftOut::named(&address, why)),
            }
        }
        if odd > 0 {
            let what = format!("{odd} target(s)");
            listed.left_out.push(LeftOut { what, why: "are no text such as \"host:port\"".to_owned() });
        }
    }
    known.settle(&mut listed);
    Ok(listed)
}

struct Group {
    targets: Targets,
    odd: usize,
    labels: Labels,
}

#[derive(Default)]
struct Targets {
    texts: Vec<String>,
    odd: usize,
}

#[derive(serde::Deserialize)]
struct Raw {
    #[serde(default)]
    targets: Option<Targets>,
    #[serde(default)]
    labels: Option<Labels>,
}

#[derive(Default)]
struct Labels {
    /// Those that can mean something.
    all: BTreeMap<String, String>,
    /// One of them that is no text.
    odd: Option<String>,
}

/// A value that ought to be a text.
enum Scalar {
    Text(String),
    /// A number or a truth value.
    Plain(String),
    Null,
    Odd,
}

/// Reads the groups; gives none when there are more targets than the limit.
struct Groups {
    limit: usize,
}

impl<'de> de::DeserializeSeed<'de> for Groups {
    type Value = Option<Vec<Group>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Groups {
    type Value = Option<Vec<Group>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of groups")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut groups, mut count) = (Vec::new(), 0_usize);
        while let Some(Raw { targets, labels }) = seq.next_element()? {
            let (mut targets, labels) = (targets.unwrap_or_default(), labels.unwrap_or_default());
            let odd = std::mem::take(&mut targets.odd);
            count = count.saturating_add(targets.texts.len()).saturating_add(odd);
            if count > self.limit {
                // The rest is read past, so that what follows is still found to be broken or not.
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            // A group without targets says nothing, and there may be millions of them.
            if !targets.texts.is_empty() || odd > 0 {
                groups.push(Group { targets, odd, labels });
            }
        }
        Ok(Some(groups))
    }
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of targets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Targets, A::Error> {
                let mut targets = Targets::default();
                while let Some(value) = seq.next_element::<Scalar>()? {
                    match value {
                        // What is beyond any limit is only counted.
                        Scalar::Text(text) if targets.texts.len() <= crate::config::discovery::MOST => {
                            targets.texts.push(text);
                        }
                        Scalar::Text(_) | Scalar::Plain(_) | Scalar::Null | Scalar::Odd => {
                            targets.odd = targets.odd.saturating_add(1);
                        }
                    }
                }
                Ok(targets)
            }
        }
        from.deserialize_seq(Seen)
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let (mut labels, mut parameters) = (Labels::default(), 0);
                while let Some(label) = map.next_key::<String>()? {
                    let parameter = target::is_parameter(&label);
                    let wanted = if parameter { parameters < PARAMETERS } else { target::is_known(&label) };
                    if !wanted {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    parameters += usize::from(parameter);
                    match map.next_value()? {
                        Scalar::Text(text) | Scalar::Plain(text) => drop(labels.all.insert(label, text)),
                        Scalar::Null => {}
                        Scalar::Odd => labels.odd = Some(shown(&label)),
                    }
                }
                Ok(labels)
            }
        }
        from.deserialize_map(Seen)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Plain(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Odd)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Odd)
            }
        }
        from.deserialize_any(Seen)
    }
}

#[cfg(test)]
mod tests;
