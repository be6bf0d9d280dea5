use super::*;

fn roll() -> Roll {
    let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let member = |pair: &str, missing| Member {
        entry: Entry {
            pair: pair.parse().unwrap(),
            keys: vec![("URL", format!("http://{}/", pair.replace(':', "."))), ("TIMEOUT", "3s".to_owned())],
        },
        seen: at,
        missing,
    };
    let members = vec![member("DC3:A", None), member("DC1:B", Some(Duration::from_millis(90_500)))];
    Roll { members, read: Some(at), from: "https://inventory.example.com/[]}".to_owned() }
}

#[test]
fn each_target_stands_on_the_line_that_it_is_said_to_and_everything_comes_back() {
    for roll in [roll(), Roll::default()] {
        let text = write(&roll);
        assert_eq!(read(text.as_bytes()), Ok((roll.clone(), 0)));
        for (line, entry) in roll.entries() {
            let found = text.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
            assert!(found.contains(&format!("\"{}\"", entry.pair)), "{found}");
        }
    }
}

#[test]
fn what_no_list_could_have_brought_is_dropped_from_the_file_too() {
    let text = write(&roll()).replace("http://DC3.A/", "exec:rm -rf /");
    let (found, dropped) = read(text.as_bytes()).unwrap();
    assert_eq!((found.members.len(), dropped), (1, 1));
    let text = write(&roll()).replace("\"TIMEOUT\"", "\"COMMAND\"");
    assert_eq!(read(text.as_bytes()).unwrap().1, 2);
    let text = write(&roll()).replace("90.5", "-1");
    assert_eq!(read(text.as_bytes()).unwrap().1, 1);
    assert!(read(b"[]").is_err());
    assert!(
        read(write(&roll()).replace("\"version\":1", "\"version\":9").as_bytes()).unwrap_err().contains("version 9")
    );
}

#[test]
fn as_many_targets_as_a_list_may_hold_can_be_written_and_read() {
    let one = &roll().members[0];
    let members = (0..crate::config::discovery::MOST).map(|n| Member {
        entry: Entry { pair: format!("DC3:S{n}").parse().unwrap(), ..one.entry.clone() },
        ..one.clone()
    });
    let roll = Roll { members: members.collect(), ..roll() };
    let text = write(&roll);
    assert!((text.len() as u64) < LARGEST, "{}", text.len());
}
