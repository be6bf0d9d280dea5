//! What a command printed, kept small: head and tail of both streams, a count and a hash of everything.
//!
//! Masking of secrets is not here: the log sink and the messages do it. They know secrets whole, so none is cut in two here.

use std::collections::VecDeque;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes kept from the beginning of each stream, less the word that the cut falls into.
pub const HEAD: usize = 4096;
/// Bytes kept from the end of each stream, less the word that the cut falls into.
pub const TAIL: usize = 4096;

/// Bytes of a word that are left out on each side of the cut: longer than passwords and nearly all tokens, and short enough
/// that output without any spaces still shows.
const WORD: usize = 256;

/// The output of one command, printable and bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// Standard output, then standard error: control characters but newline and tab escaped, bytes that are no UTF-8
    /// replaced, and a line that counts what was left out between head and tail.
    pub text: String,
    /// Bytes that both streams carried.
    pub bytes: u64,
    /// SHA-256 of every byte in hex. If only one stream spoke, it is the plain hash of that stream (`command | sha256sum`);
    /// if both did, it is the hash of their two hex digests written one after the other, standard output first.
    pub sha256_hex: String,
    /// Bytes of both streams that are not in `text`.
    pub truncated: u64,
}

/// Collects both streams as they arrive, in constant memory.
#[derive(Debug, Default)]
pub struct Capture {
    stdout: Stream,
    stderr: Stream,
}

impl Capture {
    /// Takes the next bytes of standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.push(bytes);
    }

    /// Takes the next bytes of standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.push(bytes);
    }

    /// Ends the capture.
    pub fn finish(self) -> Captured {
        let mut text = String::new();
        let mut truncated = self.stdout.render(&mut text);
        if self.stderr.total > 0 && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        truncated += self.stderr.render(&mut text);
        let bytes = self.stdout.total + self.stderr.total;
        let (out, err) = (self.stdout, self.stderr);
        let sha256_hex = match (out.total, err.total) {
            (_, 0) => hex(out.hash),
            (0, _) => hex(err.hash),
            _ => hex(Sha256::new().chain_update(hex(out.hash)).chain_update(hex(err.hash))),
        };
        Captured { text, bytes, sha256_hex, truncated }
    }
}

#[derive(Debug, Default)]
struct Stream {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    hash: Sha256,
}

impl Stream {
    fn push(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.total += bytes.len() as u64;
        let room = HEAD - self.head.len();
        let (head, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(head);
        let (_, last) = rest.split_at_checked(rest.len().saturating_sub(TAIL)).unwrap_or((&[], rest));
        let overflow = (self.tail.len() + last.len()).saturating_sub(TAIL);
        self.tail.drain(..overflow.min(self.tail.len()));
        self.tail.extend(last);
    }

    /// Writes the stream for people and returns how many bytes were left out.
    fn render(&self, text: &mut String) -> u64 {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        if self.total <= (self.head.len() + tail.len()) as u64 {
            escape(&[self.head.as_slice(), &tail].concat(), text);
            return 0;
        }
        let head = without_cut_end(without_last_word(&self.head));
        let tail = without_cut_start(without_first_word(&tail));
        let left_out = self.total - (head.len() + tail.len()) as u64;
        escape(head, text);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let _ = writeln!(text, "… {left_out} bytes left out …");
        escape(tail, text);
        left_out
    }
}

/// The cut may fall inside a secret, and half of one is known to nobody who masks: the whole word is left out.
fn without_last_word(bytes: &[u8]) -> &[u8] {
    let word = bytes.iter().rev().take(WORD).take_while(|byte| !byte.is_ascii_whitespace()).count();
    bytes.get(..bytes.len() - word).unwrap_or(bytes)
}

fn without_first_word(bytes: &[u8]) -> &[u8] {
    let word = bytes.iter().take(WORD).take_while(|byte| !byte.is_ascii_whitespace()).count();
    bytes.get(word..).unwrap_or(bytes)
}

/// The cut may fall inside a character: its first bytes belong to what is left out.
fn without_cut_end(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() => bytes.get(..e.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}

fn without_cut_start(bytes: &[u8]) -> &[u8] {
    let inside = bytes.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
    bytes.get(inside..).unwrap_or(bytes)
}

/// Appends text from outside, made printable: control characters but newline and tab escaped, bytes that are no UTF-8 replaced.
pub(crate) fn escape(bytes: &[u8], text: &mut String) {
    for c in String::from_utf8_lossy(bytes).chars() {
        push_printable(c, text);
    }
}

fn push_printable(c: char, text: &mut String) {
    match c {
        '\n' | '\t' => text.push(c),
        '\r' => text.push_str("\\r"),
        c if (c as u32) < 0x80 && c.is_control() => {
            let _ = write!(text, "\\x{:02x}", c as u32);
        }
        c if c.is_control() || turns_text(c) => {
            let _ = write!(text, "\\u{{{:x}}}", c as u32);
        }
        c => text.push(c),
    }
}

/// Characters that reorder or hide their neighbours (Unicode TR 36, "bidirectional text spoofing").
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Makes a text from outside fit into one sentence: printable, one line, at most `max` characters.
pub(crate) fn one_line(outside: &[u8], max: usize) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(outside).trim().chars().take(max) {
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            c => push_printable(c, &mut text),
        }
    }
    text
}

fn hex(hash: Sha256) -> String {
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn capture(out: &[u8], err: &[u8]) -> Captured {
        let mut capture = Capture::default();
        capture.stdout(out);
        capture.stderr(err);
        capture.finish()
    }

    #[test]
    fn short_output_is_kept_whole_stdout_first() {
        let got = capture(b"out", b"err\n");
        assert_eq!(got.text, "out\nerr\n");
        assert_eq!((got.bytes, got.truncated), (7, 0));
    }

    #[test]
    fn one_stream_has_the_hash_that_sha256sum_prints() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(capture(b"abc", b"").sha256_hex, abc);
        assert_eq!(capture(b"", b"abc").sha256_hex, abc);
        let both = hex(Sha256::new().chain_update(format!("{abc}{abc}")));
        assert_eq!(capture(b"abc", b"abc").sha256_hex, both);
    }

    #[test]
    fn a_flood_keeps_head_and_tail_and_little_memory() {
        let mut capture = Capture::default();
        capture.stdout(b"first line\n");
        for _ in 0..20_000 {
            capture.stdout(&[b'x'; 1024]);
        }
        capture.stdout(b"last line\n");
        assert!(capture.stdout.tail.capacity() + capture.stdout.head.capacity() < 32 * 1024);
        let got = capture.finish();
        assert!(got.text.starts_with("first line\n") && got.text.ends_with("last line\n"));
        assert_eq!(got.bytes, 20_000 * 1024 + 21);
        assert_eq!(got.truncated, got.bytes - (HEAD + TAIL - 2 * WORD) as u64);
        assert!(got.text.contains(&format!("… {} bytes left out …", got.truncated)));
    }

    #[test]
    fn a_cut_inside_a_secret_leaves_neither_half_of_it() {
        let secret = "s3cr3t-t0ken-0123456789";
        for cut in 1..secret.len() {
            let head = format!("{} {}", "h".repeat(HEAD - cut - 1), secret);
            let tail = format!("{} {}", secret, "t".repeat(TAIL - (secret.len() - cut) - 1));
            let got = capture(format!("{head} in between {tail}").as_bytes(), b"");
            let left: String = got.text.lines().filter(|line| !line.starts_with('…')).collect();
            let mut letters: Vec<char> = left.chars().filter(|c| !c.is_whitespace()).collect();
            letters.dedup();
            assert_eq!(letters, ['h', 't'], "cut after {cut}: {left}");
            assert_eq!(got.truncated, got.bytes - left.len() as u64, "what was dropped is counted");
        }
    }

    #[test]
    fn a_cut_inside_a_character_leaves_no_replacement_character() {
        let got = capture("a€".repeat(9000).as_bytes(), b"");
        assert!(!got.text.contains('\u{FFFD}'), "{}", got.text);
    }

    #[test]
    fn terminal_escapes_and_reordering_marks_are_shown_not_obeyed() {
        let got = capture("\x1b[31mred\u{202e}\u{9b}\r\n\t\0".as_bytes(), b"\xff");
        assert_eq!(got.text, "\\x1b[31mred\\u{202e}\\u{9b}\\r\n\t\\x00\n\u{FFFD}");
        assert_eq!(one_line(b"a\nb\x1b", 10), "a b\\x1b");
    }

    proptest! {
        #[test]
        fn pieces_do_not_change_the_result(data in prop::collection::vec(any::<u8>(), 0..20_000), cut in 1usize..5000) {
            let whole = capture(&data, b"");
            let mut pieces = Capture::default();
            for piece in data.chunks(cut) {
                pieces.stdout(piece);
            }
            let pieces = pieces.finish();
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(whole.bytes, data.len() as u64);
            prop_assert!(whole.text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
    }
}
