//! Telegram's HTML (<https://core.telegram.org/bots/api#html-style>), read at least as strictly as Telegram does: a bare
//! `&` or `>` that Telegram would forgive is refused here, because it means that a field was not escaped.

/// A formatted part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// The tag, such as `b`, `code`, `blockquote expandable`.
    pub tag: String,
    pub text: String,
}

const TAGS: [&str; 14] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "code",
    "pre",
    "blockquote",
    "blockquote expandable",
    "tg-spoiler",
];

/// Gives the text as it is read and its formatted parts, or the words of Telegram's refusal.
pub fn parse(html: &str) -> Result<(String, Vec<Entity>), String> {
    let (mut plain, mut entities, mut open, mut at) = (String::new(), Vec::new(), Vec::<(&str, usize)>::new(), 0);
    while let Some(c) = html[at..].chars().next() {
        let rest = &html[at..];
        match c {
            '<' => {
                let end = rest.find('>').ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
                let tag = &rest[1..end];
                if let Some(name) = tag.strip_prefix('/') {
                    let (opened, from) = open.pop().ok_or_else(|| format!("Unexpected end tag at byte offset {at}"))?;
                    if opened.split(' ').next() != Some(name) {
                        return Err(format!(
                            "Unmatched end tag at byte offset {at}, expected \"</{opened}>\", found \"</{name}>\""
                        ));
                    }
                    entities.push(Entity { tag: opened.to_owned(), text: plain[from..].to_owned() });
                } else if let Some(known) = TAGS.iter().find(|known| **known == tag) {
                    if open.iter().any(|(outer, _)| ["code", "pre"].contains(outer)) {
                        return Err(format!("Nested tag \"{tag}\" in code at byte offset {at}"));
                    }
                    open.push((*known, plain.len()));
                } else {
                    return Err(format!("Unsupported start tag \"{tag}\" at byte offset {at}"));
                }
                at += end + 1;
            }
            '&' => {
                let known = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')];
                let found = known.into_iter().find(|(entity, _)| rest.starts_with(entity));
                let (entity, meant) = found.ok_or_else(|| format!("Unescaped & at byte offset {at}"))?;
                plain.push(meant);
                at += entity.len();
            }
            '>' => return Err(format!("Unescaped > at byte offset {at}")),
            _ => {
                plain.push(c);
                at += c.len_utf8();
            }
        }
    }
    match open.last() {
        Some((tag, _)) => Err(format!("Can't find end tag corresponding to start tag \"{tag}\"")),
        None => Ok((plain, entities)),
    }
}
