//! A message as structure, and how it is written down: Telegram's HTML, plain text, or the least that still says it.
//! Fields are cleaned and capped by whoever builds a [`Rich`]; here they are only escaped.

use std::fmt::Write;

/// A message: rows, and one line that says the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rich {
    /// What is read, from top to bottom.
    pub rows: Vec<Row>,
    minimal: String,
}

/// One row of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A line.
    Line(Vec<Span>),
    /// Lines that are folded until the reader opens them.
    Quote(Vec<String>),
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Plain text.
    Text(String),
    /// Bold text.
    Bold(String),
    /// Monospace text, as it would be typed.
    Code(String),
}

impl Rich {
    /// Characters in one message after its entities were parsed, counted in UTF-16 units:
    /// <https://core.telegram.org/bots/api#sendmessage>. Every text `message` builds stays below it.
    pub const MAX_UNITS: usize = 4096;

    /// Joins rows; `minimal` is the line that is left when everything else was refused.
    pub fn new(rows: Vec<Row>, minimal: String) -> Self {
        Self { rows, minimal }
    }

    /// Writes Telegram's HTML (<https://core.telegram.org/bots/api#html-style>), every field escaped.
    pub fn to_html(&self) -> String {
        let mut html = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                html.push('\n');
            }
            match row {
                Row::Line(spans) => spans.iter().for_each(|span| span.write_html(&mut html)),
                Row::Quote(lines) => {
                    html.push_str("<blockquote expandable>");
                    escape(&lines.join("\n"), &mut html);
                    html.push_str("</blockquote>");
                }
            }
        }
        html
    }

    /// Writes plain text; what is monospace stands between backticks, a quote follows `> `.
    pub fn to_plain(&self) -> String {
        let mut plain = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                plain.push('\n');
            }
            match row {
                Row::Line(spans) => spans.iter().for_each(|span| span.write_plain(&mut plain)),
                Row::Quote(lines) => {
                    let lines: Vec<String> = lines.iter().map(|line| format!("> {line}")).collect();
                    plain.push_str(&lines.join("\n"));
                }
            }
        }
        plain
    }

    /// Gives the pair and its state, without any field from outside.
    pub fn minimal(&self) -> &str {
        &self.minimal
    }
}

impl Span {
    fn write_html(&self, html: &mut String) {
        let (open, text, close) = match self {
            Self::Text(text) => ("", text, ""),
            Self::Bold(text) => ("<b>", text, "</b>"),
            Self::Code(text) => ("<code>", text, "</code>"),
        };
        html.push_str(open);
        escape(text, html);
        html.push_str(close);
    }

    fn write_plain(&self, plain: &mut String) {
        match self {
            Self::Text(text) | Self::Bold(text) => plain.push_str(text),
            // Writing to a String cannot fail.
            Self::Code(text) => drop(write!(plain, "`{text}`")),
        }
    }
}

/// Escapes the signs that mean something in Telegram's HTML.
fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            _ => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_span_is_escaped_in_html_and_bare_in_plain() {
        let hostile = "</b><a href=\"x\">&amp;";
        let spans = vec![Span::Text(hostile.into()), Span::Bold(hostile.into()), Span::Code(hostile.into())];
        let rich = Rich::new(vec![Row::Line(spans), Row::Quote(vec![hostile.into()])], "m".into());
        let e = "&lt;/b&gt;&lt;a href=&quot;x&quot;&gt;&amp;amp;";
        assert_eq!(rich.to_html(), format!("{e}<b>{e}</b><code>{e}</code>\n<blockquote expandable>{e}</blockquote>"));
        assert_eq!(rich.to_plain(), format!("{hostile}{hostile}`{hostile}`\n> {hostile}"));
    }
}
