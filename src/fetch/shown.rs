//! A URL as people and logs may see it.

use url::Url;

/// Shows a URL without its user, password, fragment, and with the value of each query parameter masked.
///
/// Names of parameters stay, so that two URLs can be told apart; values go all alike, because no list of names that mean
/// "token" is complete. The path stays: it is what tells services of one host apart.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for URLs that cannot carry such parts.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let masked = url.query().map(|query| {
        let names = query
            .split('&')
            .map(|pair| pair.split_once('=').map_or_else(|| bare(pair), |(name, _)| format!("{name}=***")));
        names.collect::<Vec<_>>().join("&")
    });
    url.set_query(masked.as_deref());
    url.into()
}

/// A parameter without `=`: short words are flags, anything long may be a token.
fn bare(word: &str) -> String {
    const FLAG: usize = 8;
    if word.len() <= FLAG { word.to_owned() } else { "***".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_keeps_host_and_path_and_drops_what_may_be_secret() {
        for (url, expected) in [
            ("https://bob:s3cret@h.test:8443/a/b?token=abc&x=1#frag", "https://h.test:8443/a/b?token=***&x=***"),
            ("http://bob@h.test", "http://h.test/"),
            ("http://h.test/?v", "http://h.test/?v"),
            ("http://h.test/?0123456789abcdef", "http://h.test/?***"),
            ("http://[::1]:80/x", "http://[::1]/x"),
        ] {
            assert_eq!(shown(&url.parse().unwrap()), expected);
        }
    }
}
