//! The request: one write, built when it is needed so that an idle target holds no bytes of it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::AsyncWriteExt;
use url::{Position, Url};

use crate::domain::reading::Fault;
use crate::fetch::USER_AGENT;
use crate::probe::wire::{Stream, broken};

/// Room for the request and, afterwards, for the head of most answers.
const ROOM: usize = 2048;

/// The value of `Authorization` for the user and password in `url`.
pub(super) fn login(url: &Url) -> Option<String> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return None;
    }
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password.unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// The bytes of a GET. A URL from the `url` crate holds no blank and no line end, so nothing can be smuggled in.
pub(super) fn write(url: &Url, login: Option<&str>, cookie: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM);
    let mut put = |parts: &[&str]| parts.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    put(&["GET ", &url[Position::BeforePath..Position::AfterQuery], " HTTP/1.1\r\nHost: "]);
    put(&[&url[Position::BeforeHost..Position::AfterPort]]);
    put(&["\r\nUser-Agent: ", USER_AGENT, "\r\nAccept: */*\r\nConnection: close\r\n"]);
    if let Some(login) = login {
        put(&["Authorization: ", login, "\r\n"]);
    }
    if let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) {
        put(&["Cookie: ", cookie, "\r\n"]);
    }
    put(&["\r\n"]);
    bytes
}

/// Sends the request.
pub(super) async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Fault> {
    let doing = "sending the request";
    stream.write_all(bytes).await.map_err(|error| broken(doing, &error))?;
    match stream {
        // Nothing is held back below us.
        Stream::Plain(_) => Ok(()),
        Stream::Secure(secure) => secure.flush().await.map_err(|error| broken(doing, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(url: &str) -> String {
        String::from_utf8(write(&url.parse().unwrap(), None, None)).unwrap()
    }

    #[test]
    fn the_host_has_its_port_only_where_it_is_not_the_usual_one() {
        for (url, host, path) in [
            ("http://h.test", "h.test", "/"),
            ("http://h.test:80/a?b=c#d", "h.test", "/a?b=c"),
            ("https://h.test:8443/ä b", "h.test:8443", "/%C3%A4%20b"),
            ("http://[::1]:81/", "[::1]:81", "/"),
            ("http://пример.испытание/", "xn--e1afmkfd.xn--80akhbyknj4f", "/"),
        ] {
            assert!(lines(url).starts_with(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n")), "{}", lines(url));
        }
    }

    #[test]
    fn user_and_password_are_decoded_before_they_are_encoded() {
        let url = "http://bob:p%40ss%3Aword@h.test/".parse().unwrap();
        // printf 'bob:p@ss:word' | base64
        assert_eq!(login(&url).unwrap(), "Basic Ym9iOnBAc3M6d29yZA==");
        assert_eq!(login(&"http://h.test/".parse().unwrap()), None);
    }
}
