//! A connection, and nothing more, to real sockets.

use std::net::TcpListener;
use std::time::Duration;

use monitor::domain::reading::{Cause, Outcome, Reading};
use monitor::fetch::{self, Roots};
use monitor::probe::Target;
use monitor::probe::wire::Kit;

use crate::support::netns::Lan;

const LIMIT: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

async fn look(url: &str, limit: Duration) -> Reading {
    fetch::install_crypto_provider();
    Target::parse(url).unwrap().probe(&Kit::new(&Roots::load(None).unwrap()), limit).await
}

fn fault(reading: &Reading) -> (bool, Cause) {
    match &reading.outcome {
        Outcome::Up => panic!("it is up"),
        Outcome::Down(fault) => (false, fault.cause),
        Outcome::Blind(fault) => (true, fault.cause),
    }
}

#[tokio::test]
async fn a_port_that_listens_is_up_though_nobody_ever_accepts() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let local = listener.local_addr().unwrap();
        let reading = look(&format!("tcp://{local}"), LIMIT).await;
        assert_eq!(reading.outcome, Outcome::Up);
        assert!(reading.phases.connect.is_some() && reading.phases.first_byte.is_none(), "{reading:?}");
        drop(listener);
        assert_eq!(fault(&look(&format!("tcp://{local}"), LIMIT).await), (false, Cause::Refused));
    }
}

#[tokio::test]
async fn a_name_is_resolved_before_it_is_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reading = look(&format!("tcp://localhost:{}", listener.local_addr().unwrap().port()), LIMIT).await;
    assert_eq!(reading.outcome, Outcome::Up);
    assert!(reading.phases.dns.is_some() && reading.phases.connect.is_some());
    let name = format!("{}.test", "x".repeat(64));
    assert_eq!(fault(&look(&format!("tcp://{name}:80"), LIMIT).await), (false, Cause::Dns));
}

#[test]
fn a_machine_that_is_gone_is_down_and_a_network_that_is_gone_is_blind() {
    let mut lan = Lan::new();
    lan.machine("here", &["10.9.0.1/24"]);
    lan.machine("there", &["10.9.0.2/24"]);
    lan.cut("there");
    assert_eq!(fault(&lan.run("here", || look("tcp://10.9.0.2:22", SHORT))), (false, Cause::Timeout));
    lan.restore("there");
    assert_eq!(fault(&lan.run("here", || look("tcp://10.9.0.2:22", LIMIT))), (false, Cause::Refused));
    assert_eq!(fault(&lan.run("here", || look("tcp://192.0.2.1:22", LIMIT))), (true, Cause::Network));
}
