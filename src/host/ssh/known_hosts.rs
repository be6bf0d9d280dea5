//! The file of known hosts, in OpenSSH's format (sshd(8), `SSH_KNOWN_HOSTS FILE FORMAT`): reading, judging, learning.
//!
//! Written by hand: the SSH crate's own check ignores `@revoked`, wildcards and tabs, and one broken line spoils it.
//! `@cert-authority` lines are skipped: we do not ask servers for certificates.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use ring::hmac;
use russh::keys::{Algorithm, HashAlg, PublicKey};
use rustix::fs::{FlockOperation, flock};

/// What the file says about one host.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// Keys recorded for the host, with their line numbers.
    pub keys: Vec<(usize, PublicKey)>,
    /// Keys that must not be accepted from this host.
    pub revoked: Vec<(usize, PublicKey)>,
    /// Lines that are no records, with the reason.
    pub broken: Vec<(usize, &'static str)>,
}

/// What a key that a host showed is, by its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Recorded.
    Known,
    /// Nothing is recorded for this host.
    Unknown,
    /// Other keys are recorded; the first of them stands on this line.
    Changed {
        /// Counted from 1.
        line: usize,
    },
    /// Marked `@revoked`.
    Revoked {
        /// Counted from 1.
        line: usize,
    },
}

impl Records {
    /// Reads the records of `host:port` out of the file's text.
    pub fn parse(text: &str, host: &str, port: u16) -> Self {
        let name = host_name(host, port);
        let mut records = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            match Line::parse(line) {
                Ok(Some(line)) if names(line.hosts, &name) => match line.marker {
                    Marker::None => records.keys.push((number, line.key)),
                    Marker::Revoked => records.revoked.push((number, line.key)),
                    Marker::CertAuthority => {}
                },
                // A kind of key that we do not know is trouble only on a line about this host.
                Err((hosts, why)) if hosts.is_none_or(|hosts| names(hosts, &name)) => {
                    records.broken.push((number, why));
                }
                Ok(_) | Err(_) => {}
            }
        }
        records
    }

    /// Judges a key.
    pub fn standing(&self, key: &PublicKey) -> Standing {
        let same = |(_, recorded): &&(usize, PublicKey)| recorded.key_data() == key.key_data();
        if let Some((line, _)) = self.revoked.iter().find(same) {
            return Standing::Revoked { line: *line };
        }
        match (self.keys.iter().find(same), self.keys.first()) {
            (Some(_), _) => Standing::Known,
            (None, Some((line, _))) => Standing::Changed { line: *line },
            (None, None) => Standing::Unknown,
        }
    }

    /// Host key algorithms, those of recorded keys first: a server with several keys then shows one that we can compare.
    pub fn order(&self, all: &[Algorithm]) -> Vec<Algorithm> {
        let recorded =
            |algorithm: &&Algorithm| self.keys.iter().any(|(_, key)| same_family(&key.algorithm(), algorithm));
        let (mut first, rest): (Vec<_>, Vec<_>) = all.iter().partition(recorded);
        first.extend(rest);
        first.into_iter().cloned().collect()
    }
}

/// RSA keys sign with several hashes; the key is the same.
pub(super) fn same_family(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

/// The fingerprint as OpenSSH prints it, `SHA256:…`.
pub fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The word for a kind of key in the name of its file, `/etc/ssh/ssh_host_{kind}_key.pub`.
pub fn kind(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rsa { .. } => "rsa",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "ed25519",
    }
}

/// The host as the file spells it: lower case, the port only when it is not 22.
fn host_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    CertAuthority,
}

struct Line<'a> {
    marker: Marker,
    hosts: &'a str,
    key: PublicKey,
}

impl<'a> Line<'a> {
    /// The error bears the host list, where the line has one.
    fn parse(line: &'a str) -> Result<Option<Self>, (Option<&'a str>, &'static str)> {
        let mut words = line.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let Some(mut hosts) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(None) };
        let mut marker = Marker::None;
        if hosts.starts_with('@') {
            marker = match hosts {
                "@revoked" => Marker::Revoked,
                "@cert-authority" => Marker::CertAuthority,
                _ => return Err((None, "an unknown marker")),
            };
            hosts = words.next().ok_or((None, "nothing after the marker"))?;
        }
        let kind = words.next().ok_or((Some(hosts), "no key type"))?;
        let blob = words.next().ok_or((Some(hosts), "no key"))?;
        let blob = BASE64.decode(blob.as_bytes()).map_err(|_| (Some(hosts), "the key is not base64"))?;
        let key = PublicKey::from_bytes(&blob)
            .map_err(|_| (Some(hosts), "the key is damaged or of a kind we do not know"))?;
        if key.algorithm().as_str() != kind {
            return Err((Some(hosts), "the key is not of the type that the line names"));
        }
        Ok(Some(Self { marker, hosts, key }))
    }
}

/// True when the host list means this host; one matching `!pattern` says no for the whole line.
fn names(hosts: &str, name: &str) -> bool {
    if hosts.starts_with("|1|") {
        return hashed_name_is(hosts, name);
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

/// `|1|salt|hash`, where hash is HMAC-SHA1 of the name with the salt as its key.
fn hashed_name_is(field: &str, name: &str) -> bool {
    let mut parts = field.split('|').skip(2);
    let (Some(salt), Some(hash), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let (Ok(salt), Ok(hash)) = (BASE64.decode(salt.as_bytes()), BASE64.decode(hash.as_bytes())) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// `*` and `?` as OpenSSH reads them, in time linear in pattern × name.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<u8> = pattern.bytes().map(|b| b.to_ascii_lowercase()).collect();
    // reach[i]: the pattern so far can stand for the first i bytes of the name.
    let mut reach = vec![false; name.len() + 1];
    if let Some(start) = reach.first_mut() {
        *start = true;
    }
    for p in pattern {
        let mut next = vec![false; reach.len()];
        let mut any = false;
        for (i, slot) in next.iter_mut().enumerate() {
            if p == b'*' {
                any |= reach.get(i) == Some(&true);
                *slot = any;
            } else if let Some(before) = i.checked_sub(1) {
                let fits = p == b'?' || name.as_bytes().get(before) == Some(&p);
                *slot = fits && reach.get(before) == Some(&true);
            }
        }
        reach = next;
    }
    reach.last() == Some(&true)
}

/// The records of one host in a file; a file that is not there has none.
pub fn read(path: &Path, host: &str, port: u16) -> std::io::Result<Records> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Records::parse(&String::from_utf8_lossy(&bytes), host, port)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Records::default()),
        Err(e) => Err(e),
    }
}

/// Records a key for a host of which nothing is known yet, on disk when this returns. Two that learn at the same time are
/// served one after the other; the second is judged by what the first wrote.
pub fn learn(path: &Path, host: &str, port: u16, key: &PublicKey) -> std::io::Result<Standing> {
    append(path, host, port, key, false)
}

/// Replaces what is recorded for a host by one key: for a person who said that the new key is right (`monitor trust`).
pub fn trust(path: &Path, host: &str, port: u16, key: &PublicKey) -> std::io::Result<()> {
    append(path, host, port, key, true).map(|_| ())
}

fn append(path: &Path, host: &str, port: u16, key: &PublicKey, replace: bool) -> std::io::Result<Standing> {
    // Through a link, to the file itself: the link stays.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let lock =
        std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(beside(path, "lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(mut file) => drop(file.read_to_string(&mut text)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let records = Records::parse(&text, host, port);
    let standing = records.standing(key);
    if replace {
        text = without(&text, &records.keys);
    } else if standing != Standing::Unknown {
        return Ok(standing);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut bare = key.clone();
    bare.set_comment("");
    let key = bare.to_openssh().map_err(std::io::Error::other)?;
    text.extend([&host_name(host, port), " ", key.trim(), "\n"]);
    write_whole(path, &text)?;
    Ok(Standing::Unknown)
}

/// A new file in place of the old one, so that a crash leaves one of the two and never half a line.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = beside(path, "new");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// The text without the given lines, which name only this host; a line shared with others is kept for them.
fn without(text: &str, gone: &[(usize, PublicKey)]) -> String {
    let keep = |number: usize| !gone.iter().any(|(line, _)| *line == number);
    (1..).zip(text.lines()).filter(|(number, _)| keep(*number)).flat_map(|(_, line)| [line, "\n"]).collect()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn standing(file: &str, host: &str, port: u16) -> Standing {
        Records::parse(file, host, port).standing(&key(ONE))
    }

    #[test]
    fn lines_mean_the_hosts_that_openssh_says_they_mean() {
        let known = Standing::Known;
        let unknown = Standing::Unknown;
        for (hosts, host, port, expected) in [
            ("h", "h", 22, known),
            ("h", "H", 22, known),
            ("H", "h", 22, known),
            ("h", "h", 2222, unknown),
            ("[h]:2222", "h", 2222, known),
            ("[h]:2222", "h", 22, unknown),
            ("a,h,b", "h", 22, known),
            ("*.example.org", "a.example.org", 22, known),
            ("*.example.org", "example.org", 22, unknown),
            ("10.0.0.?", "10.0.0.7", 22, known),
            ("10.0.0.?", "10.0.0.77", 22, unknown),
            ("*,!h", "h", 22, unknown),
            ("!h,*", "g", 22, known),
            ("!h", "g", 22, unknown),
            ("[*]:2222", "h", 2222, known),
        ] {
            assert_eq!(standing(&format!("{hosts} {ONE}"), host, port), expected, "{hosts} for {host}:{port}");
        }
    }

    #[test]
    fn a_hashed_name_is_recognised() {
        let salt = b"0123456789abcdefghij";
        for (name, port) in [("h", 22), ("[h]:2222", 2222)] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt), name.as_bytes());
            let line = format!("|1|{}|{} {ONE}", BASE64.encode(salt), BASE64.encode(tag.as_ref()));
            assert_eq!(standing(&line, "h", port), Standing::Known);
            assert_eq!(standing(&line, "g", port), Standing::Unknown);
        }
    }

    #[test]
    fn tabs_comments_and_broken_lines_do_not_hide_a_record() {
        let file = format!(
            "# comment\n\n\th\tssh-ed25519\tnot!base64\nh\n@what h {ONE}\n  h\t{}  me@here \r\n",
            ONE.replace(' ', "\t")
        );
        let records = Records::parse(&file, "h", 22);
        assert_eq!(records.standing(&key(ONE)), Standing::Known);
        let others = Records::parse("g ssh-dss AAAA\n", "h", 22);
        assert!(others.broken.is_empty(), "what stands about other hosts is not our trouble");
        assert_eq!(records.broken.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn another_key_on_record_is_a_change_and_never_unknown() {
        assert_eq!(standing(&format!("# x\nh {TWO}\n"), "h", 22), Standing::Changed { line: 2 });
        assert_eq!(standing(&format!("h {TWO}\nh {ONE}\n"), "h", 22), Standing::Known);
    }

    #[test]
    fn a_revoked_key_is_refused_even_where_it_is_recorded() {
        assert_eq!(standing(&format!("h {ONE}\n@revoked * {ONE}\n"), "h", 22), Standing::Revoked { line: 2 });
        assert_eq!(standing(&format!("@cert-authority * {ONE}\n"), "h", 22), Standing::Unknown);
    }

    #[test]
    fn recorded_kinds_are_asked_for_first() {
        let ed25519 = Algorithm::Ed25519;
        let ecdsa = Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 };
        let all = [ecdsa.clone(), ed25519.clone()];
        assert_eq!(Records::parse(&format!("h {ONE}"), "h", 22).order(&all), [ed25519, ecdsa.clone()]);
        assert_eq!(Records::default().order(&all).first(), Some(&ecdsa));
    }

    #[test]
    fn learning_appends_once_privately_and_never_over_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, "# no newline at the end").unwrap();
        assert_eq!(learn(&path, "h", 2222, &key(ONE)).unwrap(), Standing::Unknown);
        assert_eq!(learn(&path, "h", 2222, &key(ONE)).unwrap(), Standing::Known);
        assert_eq!(learn(&path, "h", 2222, &key(TWO)).unwrap(), Standing::Changed { line: 2 });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("# no newline at the end\n[h]:2222 {ONE}\n"));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        trust(&path, "h", 2222, &key(TWO)).unwrap();
        assert_eq!(learn(&path, "h", 2222, &key(TWO)).unwrap(), Standing::Known);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(ONE));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader_or_hides_a_good_line(before in "\\PC*", after in "\\PC*") {
            let file = format!("{}\nh {ONE}\n{after}\n", before.replace("@revoked", ""));
            let after_is_clean = !after.contains("@revoked");
            prop_assume!(after_is_clean);
            prop_assert_eq!(standing(&file, "h", 22), Standing::Known);
        }

        #[test]
        fn patterns_match_like_a_plain_backtracking_reader(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            fn slow(p: &[u8], n: &[u8]) -> bool {
                match (p.first(), n.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => slow(&p[1..], n) || (!n.is_empty() && slow(p, &n[1..])),
                    (Some(b'?'), Some(_)) => slow(&p[1..], &n[1..]),
                    (Some(a), Some(b)) if a == b => slow(&p[1..], &n[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
