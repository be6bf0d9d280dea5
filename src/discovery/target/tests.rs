use super::*;

type Labels = &'static [(&'static str, &'static str)];

fn read(address: &str, labels: &[(&str, &str)]) -> Result<Entry, String> {
    let labels = labels.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
    entry(address, &labels)
}

fn at_dc3(address: &str, labels: &[(&str, &str)]) -> Result<Entry, String> {
    read(address, &[&[("site", "DC3")], labels].concat())
}

#[test]
fn an_address_and_its_labels_become_a_name_and_a_url() {
    let cases: [(&str, Labels, &str, &str); 20] = [
        ("10.0.0.2:9100", &[], "10_0_0_2_9100", "http://10.0.0.2:9100"),
        ("Web-1.example.org:80", &[], "WEB_1_EXAMPLE_ORG", "http://Web-1.example.org:80"),
        ("[::1]:8080", &[], "1_8080", "http://[::1]:8080"),
        (" h ", &[("scheme", "https"), ("path", "health")], "H", "https://h/health"),
        ("h", &[("__scheme__", "HTTPS"), ("scheme", "http")], "H", "HTTPS://h"),
        ("h", &[("__metrics_path__", "/a?b=c"), ("__param_d", "e f&g")], "H", "http://h/a?b=c&d=e+f%26g"),
        ("h", &[("__param_module", "x")], "H", "http://h/?module=x"),
        ("h:5432", &[("scheme", "tcp")], "H_5432", "tcp://h:5432"),
        ("h:9100", &[("scheme", "icmp")], "H", "icmp://h"),
        ("https://h.example/x?y=z", &[("scheme", "icmp")], "H_EXAMPLE", "https://h.example/x?y=z"),
        ("h", &[("server", "WEB"), ("name", "OTHER")], "WEB", "http://h"),
        ("h", &[("name", "web-1 (old)")], "web_1_old", "http://h"),
        ("h", &[("name", "a__b")], "a__b", "http://h"),
        ("h", &[("server", " ")], "H", "http://h"),
        ("a_b", &[], "A_B", "http://a_b"),
        ("h", &[("COMMAND", "reboot"), ("command", "reboot"), ("DC3_COMMAND", "x")], "H", "http://h"),
        ("h", &[("__address__", "other:1")], "H", "http://h"),
        ("h", &[("method", "DELETE"), ("headers", "x"), ("notify", "off"), ("ssh_host", "evil")], "H", "http://h"),
        ("h", &[("URL", "http://evil/"), ("url", "http://evil/")], "H", "http://h"),
        ("h", &[("depends_on", "DC3")], "H", "http://h"),
    ];
    for (address, labels, name, url) in cases {
        let entry = at_dc3(address, labels).unwrap_or_else(|why| panic!("{address} {labels:?}: {why}"));
        assert_eq!(entry.pair.to_string(), format!("DC3-{name}"), "{address} {labels:?}");
        assert_eq!(entry.keys, [("URL", url.to_owned())], "{address} {labels:?}");
    }
}

#[test]
fn labels_of_a_server_become_its_keys() {
    let entry = at_dc3("h", &[("timeout", " 3s "), ("interval", "60"), ("environment", "LIVE"), ("attempts", "")]);
    let keys = entry.unwrap().keys;
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, text)| (*key, text.as_str())).collect();
    assert_eq!(keys, [("URL", "http://h"), ("INTERVAL", "60"), ("TIMEOUT", "3s"), ("ENVIRONMENT", "LIVE")]);
}

#[test]
fn what_a_list_may_not_bring_says_why() {
    let cases: [(&str, Labels, &str); 24] = [
        ("exec:./x", &[], "is no address"),
        ("exec://rm/-rf", &[], "has the scheme `exec`, and a list may name http, https"),
        ("ssh://DC3/reboot", &[], "has the scheme `ssh`"),
        ("push://90s", &[], "has the scheme `push`"),
        ("file:///etc/passwd", &[], "has the scheme `file`"),
        ("h", &[("scheme", "exec")], "has the scheme `exec`"),
        ("h", &[("scheme", "a\u{202e}x")], "has a scheme that is none"),
        ("h", &[("scheme", "https://bob:s3cret@h/")], "has a scheme that is none"),
        ("h", &[("scheme", "http://evil/?")], "has a scheme that is none"),
        ("bob:s3cret@h", &[], "is no address"),
        ("https://bob:s3cret@h/", &[], "holds a login"),
        ("https://bob@h/", &[], "holds a login"),
        ("http://h/a b", &[], "holds a blank"),
        ("http://h/\ta", &[], "holds a blank"),
        ("h/path", &[], "is no address"),
        ("h?x", &[], "is no address"),
        ("", &[], "is no address"),
        ("h:99999", &[], "cannot be read"),
        ("h:0", &[], "cannot be probed: the URL cannot be read: nobody can listen on port 0"),
        ("h", &[("path", "/a#b")], "has a path with a `#`"),
        ("h", &[("name", "???")], "has no name that could be one"),
        ("h", &[("interval", "10ms")], "more often than once a second"),
        ("h", &[("timeout", "61s")], "more than a minute"),
        ("h", &[("timeout", "3\n4")], "holds a control character"),
    ];
    for (address, labels, expected) in cases {
        let why = at_dc3(address, labels).unwrap_err();
        assert!(why.contains(expected), "{address} {labels:?}: {why}");
        assert!(!why.contains("s3cret"), "{why}");
    }
    assert!(at_dc3("h", &[("path", &"x".repeat(3000))]).unwrap_err().contains("too long"));
    assert!(read("h", &[]).unwrap_err().contains("no label `site`"));
    assert!(read("h", &[("site", "D C")]).unwrap_err().contains("no site that can be one"));
}

#[test]
fn a_long_name_is_cut_and_two_of_them_stay_two() {
    let host = |end: &str| format!("{}.{end}:80", ["aaaaaaaaaaaaaaaa"; 8].join("."));
    let (one, two) = (at_dc3(&host("one"), &[]).unwrap(), at_dc3(&host("two"), &[]).unwrap());
    assert_ne!(one.pair, two.pair);
    assert!(one.pair.server.as_str().len() <= MAX_NAME, "{}", one.pair);
    let many = at_dc3("h", &[("server", "a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p_q_r_s")]).unwrap();
    assert!(many.pair.server.as_str().matches('_').count() <= CUTS, "{}", many.pair);
    assert_eq!(one, at_dc3(&host("one"), &[]).unwrap(), "it is the same each time");
}

#[test]
fn what_was_written_down_is_checked_as_a_list_is() {
    let again = |keys: &[(&str, &str)]| {
        let keys = keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Entry::again("DC3:WEB".parse().unwrap(), keys)
    };
    assert!(again(&[("URL", "http://h/"), ("TIMEOUT", "3s")]).is_ok());
    for keys in [
        &[("URL", "exec:./x")][..],
        &[("URL", "exec://x/")],
        &[("URL", "http://bob:s3cret@h/")],
        &[("TIMEOUT", "3s")],
        &[("URL", "http://h/"), ("COMMAND", "reboot")],
        &[("URL", "http://h/"), ("SSH_HOST", "evil")],
    ] {
        assert!(again(keys).is_err(), "{keys:?}");
    }
}
