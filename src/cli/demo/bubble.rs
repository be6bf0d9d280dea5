//! A message as a person sees it: Telegram's HTML becomes a bubble on the terminal.

use super::chat::Taken;
use super::screen::{Ink, Piece, Screen, piece};
use super::words::Words;

/// Where bubbles begin, so that they stand apart from the agent's own lines.
const INDENT: &str = "          ";

/// Draws a message. There is no frame on the right: terminals do not agree how wide an emoji is, and it would be crooked.
pub fn draw(screen: &Screen, words: Words, message: &Taken, at: &str) {
    let edge = |text: &str| piece(Ink::Cyan, &format!("{INDENT}{text}"));
    let mut head =
        vec![piece(Ink::Bold, "Telegram "), piece(Ink::Faint, &format!("· {} {} ", words.message(), message.id))];
    if !at.is_empty() {
        head.push(piece(Ink::Faint, &format!("· {at} ")));
    }
    if let Some(first) = message.reply_to {
        head.push(piece(Ink::Faint, &format!("· ↩ {} ", words.reply_to(first))));
    }
    if message.silent {
        head.push(piece(Ink::Faint, &format!("· 🔕 {} ", words.silent())));
    }
    screen.line(&[edge("╭─ ")], &[edge("│  ")], &head);
    for row in read(&message.html, screen.has_colour()) {
        screen.line(&[edge("│ ")], &[edge("│ ")], &row);
    }
    screen.line(&[edge("╰─")], &[], &[]);
}

/// Reads the HTML that the agent writes: `b`, `code`, `blockquote`, four entities. Another tag shows as nothing. Where ink
/// does not show, monospace stands between backticks.
fn read(html: &str, colour: bool) -> Vec<Vec<Piece>> {
    let mut rows = vec![Vec::new()];
    let (mut ink, mut quote) = (Ink::Plain, false);
    let mut rest = html;
    while !rest.is_empty() {
        let (text, after) = rest.split_once('<').unwrap_or((rest, ""));
        let tag = if text.len() < rest.len() { after.split_once('>') } else { None };
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                rows.push(Vec::new());
            }
            let Some(row) = rows.last_mut().filter(|_| !line.is_empty()) else { continue };
            if quote && row.is_empty() {
                row.push(piece(Ink::Faint, "▏ "));
            }
            row.push(piece(if quote { Ink::Faint } else { ink }, &unescaped(line)));
        }
        let Some((tag, after)) = tag else { break };
        let name = tag.split(' ').next().unwrap_or_default();
        match name {
            "b" => ink = Ink::Bold,
            "code" => ink = Ink::Cyan,
            "blockquote" => quote = true,
            "/blockquote" => quote = false,
            _ => ink = Ink::Plain,
        }
        if matches!(name, "code" | "/code")
            && !colour
            && let Some(row) = rows.last_mut()
        {
            row.push(piece(Ink::Plain, "`"));
        }
        rest = after;
    }
    rows
}

fn unescaped(text: &str) -> String {
    // The ampersand last: what it brings to light is text.
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_ink_and_entities_characters() {
        let html =
            "<b>Status:</b> a &amp;lt; b\n<code>run &lt;x&gt;</code>\n<blockquote expandable>one\ntwo</blockquote>";
        let faint = |text| piece(Ink::Faint, text);
        assert_eq!(
            read(html, true),
            [
                vec![piece(Ink::Bold, "Status:"), piece(Ink::Plain, " a &lt; b")],
                vec![piece(Ink::Cyan, "run <x>")],
                vec![faint("▏ "), faint("one")],
                vec![faint("▏ "), faint("two")],
            ]
        );
    }

    #[test]
    fn without_colour_a_command_stands_between_backticks() {
        let (tick, text) = (piece(Ink::Plain, "`"), piece(Ink::Cyan, "x"));
        assert_eq!(read("<code>x</code>", false), [vec![tick.clone(), text, tick]]);
    }

    #[test]
    fn a_text_that_is_no_html_is_shown_and_never_hangs() {
        for odd in ["", "<", "a < b", "<<<>>", "&", "\n\n", "<b"] {
            assert!(!read(odd, true).is_empty(), "{odd}");
        }
    }
}
