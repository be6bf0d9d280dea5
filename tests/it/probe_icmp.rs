//! Echo requests between real machines, and what each way of not being answered says.

use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::{Kit, Resolver};

use crate::support::netns::{Lan, without_raw_sockets};
use crate::support::target::configured;

/// Long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(10);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

/// Two machines that may ping.
fn lan() -> Lan {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24", "fd09::1/64"]);
    lan.machine("there", &["10.9.0.2/24", "fd09::2/64"]);
    lan.allow_ping("here");
    lan
}

fn kit() -> Kit {
    fetch::install_crypto_provider();
    Kit::new(&Roots::load(None).unwrap())
}

fn look(lan: &Lan, url: &str, limit: Duration) -> Reading {
    lan.run("here", || async { Target::parse(url).unwrap().probe(&kit(), limit).await })
}

#[track_caller]
fn down(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Down(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected down by {cause}, got {other:?}"),
    }
}

#[track_caller]
fn blind(reading: &Reading, cause: Cause) -> &str {
    match &reading.outcome {
        Outcome::Blind(fault) if fault.cause == cause => &fault.reason,
        other => panic!("expected blind by {cause}, got {other:?}"),
    }
}

#[test]
fn an_address_that_answers_is_up_over_both_families_and_the_round_trip_is_told() {
    let lan = lan();
    for url in ["icmp://10.9.0.2", "icmp://[fd09::2]", "icmp://127.0.0.1", "icmp://[::1]", "icmp://localhost"] {
        let reading = look(&lan, url, LIMIT);
        assert_eq!(reading.outcome, Outcome::Up, "{url}");
        let trip = reading.phases.first_byte.expect("the round trip is a phase");
        assert!(trip > Duration::ZERO && trip <= reading.took, "{url}: {reading:?}");
        assert_eq!(reading.phases.dns.is_some(), url.ends_with("localhost"), "{url}");
        assert_eq!((reading.phases.connect, reading.phases.tls), (None, None));
    }
}

#[test]
fn an_address_that_keeps_silent_is_down_after_its_time_and_not_later() {
    let lan = lan();
    lan.answers("there", false);
    for (url, reason) in [
        ("icmp://10.9.0.2", "no echo reply from 10.9.0.2 within "),
        ("icmp://[fd09::2]", "no echo reply from fd09::2 within "),
        ("icmp://10.9.0.2?count=3", "none of 3 echo requests to 10.9.0.2 was answered within "),
        ("icmp://10.9.0.2?latency=1ms", "no echo reply from 10.9.0.2 within "),
    ] {
        let reading = look(&lan, url, SHORT);
        assert!(down(&reading, Cause::Timeout).starts_with(reason), "{url}: {reading:?}");
        assert!(reading.took >= SHORT / 2 && reading.took < SHORT * 5, "{url}: {:?}", reading.took);
        assert_eq!(reading.phases.first_byte, None, "{url}");
    }
    lan.answers("there", true);
    assert_eq!(look(&lan, "icmp://10.9.0.2?count=3&loss=0&latency=5s", LIMIT).outcome, Outcome::Up);
}

#[test]
fn an_address_that_nobody_has_is_down() {
    let reading = look(&lan(), "icmp://10.9.0.77", SHORT);
    assert!(down(&reading, Cause::Timeout).starts_with("no echo reply from 10.9.0.77 within "), "{reading:?}");
}

#[test]
fn a_slow_answer_is_down_only_where_it_was_asked_to_be_fast() {
    let lan = lan();
    // A frame of 98 bytes takes 0.4 s at 2 kbit/s: each waits for those before it.
    lan.inside("there", || {
        let out = std::process::Command::new("/usr/sbin/tc")
            .args(["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "2kbit", "burst", "128", "latency", "5s"])
            .output()
            .expect("tc starts: apt-get install iproute2");
        assert!(out.status.success(), "tc: {}", String::from_utf8_lossy(&out.stderr));
    });
    assert_eq!(look(&lan, "icmp://10.9.0.2?count=5&loss=0", LIMIT).outcome, Outcome::Up);
    let reading = look(&lan, "icmp://10.9.0.2?count=9&latency=1ms", LIMIT);
    let reason = down(&reading, Cause::Timeout);
    assert!(reason.starts_with("the round trip to 10.9.0.2 takes "), "{reason}");
    assert!(reason.ends_with(" (median of 9), more than 1ms"), "{reason}");
}

#[test]
fn a_cable_that_is_cut_far_away_is_down_and_our_own_without_route_is_blind() {
    let lan = lan();
    lan.cut("there");
    down(&look(&lan, "icmp://10.9.0.2", SHORT), Cause::Timeout);
    lan.restore("there");
    assert_eq!(look(&lan, "icmp://10.9.0.2", LIMIT).outcome, Outcome::Up);
    // No default route: the rest of the world is not ours to judge.
    for url in ["icmp://192.0.2.1", "icmp://[2001:db8::1]", "icmp://192.0.2.1?count=5"] {
        let reading = look(&lan, url, LIMIT);
        assert!(blind(&reading, Cause::Network).starts_with("this machine cannot send to "), "{url}: {reading:?}");
        assert!(reading.took < LIMIT / 2, "it waited for answers to what was never sent");
    }
    lan.on("here", &["link", "set", "eth0", "down"]);
    blind(&look(&lan, "icmp://10.9.0.2", LIMIT), Cause::Network);
    assert_eq!(look(&lan, "icmp://127.0.0.1", LIMIT).outcome, Outcome::Up);
}

#[test]
fn a_route_that_says_unreachable_is_the_targets_trouble() {
    let lan = lan();
    lan.on("here", &["route", "add", "unreachable", "192.0.2.0/24"]);
    let reading = look(&lan, "icmp://192.0.2.1", LIMIT);
    assert!(down(&reading, Cause::Unreachable).starts_with("192.0.2.1 cannot be reached: "), "{reading:?}");
}

#[test]
fn where_nobody_may_ping_the_raw_socket_does_and_without_it_we_are_blind() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24", "fd09::1/64"]);
    lan.machine("there", &["10.9.0.2/24", "fd09::2/64"]);
    for url in ["icmp://10.9.0.2", "icmp://[fd09::2]", "icmp://127.0.0.1"] {
        assert_eq!(look(&lan, url, LIMIT).outcome, Outcome::Up, "{url} over a raw socket");
    }
    for url in ["icmp://10.9.0.2", "icmp://[fd09::2]"] {
        let reading = lan.inside("here", || {
            without_raw_sockets();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Target::parse(url).unwrap().probe(&kit(), LIMIT).await })
        });
        let reason = blind(&reading, Cause::Denied);
        assert!(reason.contains("net.ipv4.ping_group_range") && reason.contains("CAP_NET_RAW"), "{reason}");
    }
}

#[test]
fn a_router_that_knows_no_way_is_heard_on_the_raw_socket() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24"]);
    lan.machine("router", &["10.9.0.254/24"]);
    lan.on("here", &["route", "add", "default", "via", "10.9.0.254"]);
    lan.inside("router", || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    let reading = look(&lan, "icmp://192.0.2.1", LIMIT);
    let reason = down(&reading, Cause::Unreachable);
    assert_eq!(reason, "192.0.2.1 cannot be reached: a router on the way says so (ICMP type 3, code 0)");
}

#[test]
fn a_router_that_knows_a_shorter_way_does_not_answer_for_the_target() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24"]);
    lan.machine("router", &["10.9.0.254/24"]);
    lan.machine("gate", &["10.9.0.3/24", "10.9.9.1/24"]);
    lan.on("here", &["route", "add", "default", "via", "10.9.0.254"]);
    lan.on("router", &["route", "add", "10.9.9.0/24", "via", "10.9.0.3"]);
    lan.inside("router", || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
    assert_eq!(look(&lan, "icmp://10.9.9.1", LIMIT).outcome, Outcome::Up);
    let redirects = lan.inside("router", || {
        let table = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let mut icmp = table.lines().filter_map(|line| line.strip_prefix("Icmp: "));
        let (names, counts) = (icmp.next().unwrap(), icmp.next().unwrap());
        let place = names.split(' ').position(|name| name == "OutRedirects").unwrap();
        counts.split(' ').nth(place).unwrap().parse::<u64>().unwrap()
    });
    assert!(redirects > 0, "the router sent no redirect: nothing was tested");
}

#[test]
fn hundreds_of_probes_at_once_are_all_answered_over_either_kind_of_socket() {
    for unprivileged in [true, false] {
        let mut lan = Lan::new();
        lan.machine("here", &["10.9.0.1/24"]);
        lan.machine("there", &["10.9.0.2/24"]);
        // Or the kernel answers only so many of them a second.
        for machine in ["here", "there"] {
            lan.inside(machine, || std::fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0").unwrap());
        }
        if unprivileged {
            lan.allow_ping("here");
        }
        let readings = lan.run("here", || async {
            let (kit, target) = (kit(), Target::parse("icmp://10.9.0.2").unwrap());
            // Who has this address? Until that is answered the kernel keeps some 270 packets, and drops the rest.
            target.probe(&kit, LIMIT).await;
            futures_util::future::join_all((0..500).map(|_| target.probe(&kit, LIMIT))).await
        });
        let lost = readings.iter().filter(|reading| reading.outcome != Outcome::Up).count();
        assert_eq!(lost, 0, "unprivileged: {unprivileged}, {:?}", readings.iter().find(|r| r.outcome != Outcome::Up));
    }
}

#[test]
fn only_addresses_of_the_family_that_is_wanted_are_asked() {
    let lan = lan();
    let ask = |lines: &str| {
        let target = configured(&format!("SRV4_URL=icmp://h.test{lines}")).unwrap();
        let found = || Ok(["10.9.0.9", "fd09::2"].map(|ip| ip.parse().unwrap()).to_vec());
        lan.run("here", || async move {
            fetch::install_crypto_provider();
            let kit = Kit::with_resolver(&Roots::load(None).unwrap(), Resolver::new(1, move |_| found()));
            target.probe(&kit, SHORT).await
        })
    };
    assert_eq!(ask("\nSRV4_IP=6").outcome, Outcome::Up);
    assert!(down(&ask("\nSRV4_IP=4"), Cause::Timeout).contains("10.9.0.9"));
}
