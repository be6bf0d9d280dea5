use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
const GRACE: Rules = Rules { grace: Duration::from_mins(5), limit: 100 };
const AT_ONCE: Rules = Rules { grace: Duration::ZERO, limit: 100 };

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn entry(pair: &str, url: &str) -> Entry {
    Entry { pair: pair.parse().unwrap(), keys: vec![("URL", url.to_owned())] }
}

fn list(pairs: &[&str]) -> Vec<Entry> {
    pairs.iter().map(|pair| entry(pair, "http://h/")).collect()
}

fn watched(roll: &Roll) -> Vec<String> {
    roll.members.iter().map(|member| member.entry.pair.to_string()).collect()
}

fn names(pairs: &[PairName]) -> Vec<String> {
    pairs.iter().map(ToString::to_string).collect()
}

#[test]
fn what_vanishes_is_watched_through_the_grace_and_one_that_comes_back_begins_anew() {
    let mut roll = Roll::default();
    let first = roll.update(list(&["DC3:A", "DC3:B", "DC3:C"]), Duration::ZERO, GRACE, at(0));
    assert_eq!((names(&first.added), first.lost_most), (vec!["DC3-A".into(), "DC3-B".into(), "DC3-C".into()], false));
    let lost = roll.update(list(&["DC3:A", "DC3:B"]), MINUTE, GRACE, at(1));
    assert_eq!((names(&lost.missing), lost.is_effective(), lost.lost_most), (vec!["DC3-C".into()], false, false));
    for minute in 2..=5 {
        assert!(roll.update(list(&["DC3:A", "DC3:B"]), MINUTE, GRACE, at(minute)).is_empty());
        assert_eq!(roll.members[2].missing, Some(MINUTE * u32::try_from(minute - 1).unwrap()));
        assert_eq!(roll.members[2].seen, at(0));
    }
    let back = roll.update(list(&["DC3:C", "DC3:A", "DC3:B"]), MINUTE, GRACE, at(6));
    assert_eq!((names(&back.back), back.is_effective()), (vec!["DC3-C".into()], false));
    roll.update(list(&["DC3:A", "DC3:B"]), MINUTE, GRACE, at(7));
    for minute in 8..12 {
        assert!(!roll.confirm(MINUTE, GRACE, at(minute)).is_effective());
    }
    let gone = roll.confirm(MINUTE, GRACE, at(12));
    assert_eq!((names(&gone.retired), gone.is_effective()), (vec!["DC3-C".into()], true));
    assert_eq!(watched(&roll), ["DC3-A", "DC3-B"]);
}

#[test]
fn time_in_which_the_list_could_not_be_read_lets_nobody_vanish() {
    let mut roll = Roll::default();
    roll.update(list(&["DC3:A", "DC3:B", "DC3:C"]), Duration::ZERO, GRACE, at(0));
    roll.update(list(&["DC3:A", "DC3:B"]), MINUTE, GRACE, at(1));
    // Days later; what passed is what the caller counted, one interval.
    assert!(roll.update(list(&["DC3:A", "DC3:B"]), MINUTE, GRACE, at(5000)).is_empty());
    assert_eq!(watched(&roll).len(), 3);
}

#[test]
fn losing_most_at_once_is_told_and_obeyed_only_after_the_grace() {
    for (kept, most) in [(&["DC3:A", "DC3:B"][..], false), (&["DC3:A"], true), (&[], true)] {
        let mut roll = Roll::default();
        roll.update(list(&["DC3:A", "DC3:B", "DC3:C", "DC3:D"]), Duration::ZERO, GRACE, at(0));
        let change = roll.update(list(kept), MINUTE, GRACE, at(1));
        assert_eq!((change.lost_most, change.is_effective(), watched(&roll).len()), (most, false, 4), "{kept:?}");
        assert!(!roll.confirm(MINUTE, GRACE, at(2)).lost_most, "it is told once");
    }
    let mut empty = Roll::default();
    assert!(!empty.update(Vec::new(), Duration::ZERO, GRACE, at(0)).lost_most, "nothing was there to lose");
}

#[test]
fn without_a_grace_what_vanishes_goes_at_once() {
    let mut roll = Roll::default();
    roll.update(list(&["DC3:A", "DC3:B"]), Duration::ZERO, AT_ONCE, at(0));
    let change = roll.update(list(&["DC3:A"]), MINUTE, AT_ONCE, at(1));
    assert_eq!((names(&change.retired), watched(&roll)), (vec!["DC3-B".into()], vec!["DC3-A".into()]));
}

#[test]
fn one_that_moved_to_another_site_leaves_its_old_one_at_once_and_one_that_changed_is_changed() {
    let mut roll = Roll::default();
    roll.update(list(&["DC3:A", "DC3:B"]), Duration::ZERO, GRACE, at(0));
    let moved = roll.update(list(&["DC1:A", "DC3:B"]), MINUTE, GRACE, at(1));
    assert_eq!((names(&moved.added), names(&moved.retired)), (vec!["DC1-A".into()], vec!["DC3-A".into()]));
    let changed = roll.update(vec![entry("DC1:A", "http://other/"), entry("DC3:B", "http://h/")], MINUTE, GRACE, at(2));
    assert_eq!((names(&changed.changed), changed.added.len()), (vec!["DC1-A".into()], 0));
    assert!(changed.is_effective());
}

#[test]
fn those_who_are_missing_keep_their_place_and_who_is_new_waits_for_one() {
    let rules = Rules { limit: 3, ..GRACE };
    let mut roll = Roll::default();
    roll.update(list(&["DC3:A", "DC3:B", "DC3:C"]), Duration::ZERO, rules, at(0));
    let turned = roll.update(list(&["DC3:X", "DC3:A", "DC3:Y"]), MINUTE, rules, at(1));
    assert_eq!(watched(&roll), ["DC3-A", "DC3-B", "DC3-C"]);
    assert_eq!((names(&turned.crowded_out), turned.added.len()), (vec!["DC3-X".into(), "DC3-Y".into()], 0));
    assert!(!turned.is_empty() && !turned.is_effective());
    // Who moves takes the place that was theirs, and a known one is never pushed out.
    let moved = roll.update(list(&["DC3:X", "DC1:B", "DC3:A"]), MINUTE, rules, at(2));
    assert_eq!(watched(&roll), ["DC1-B", "DC3-A", "DC3-C"]);
    assert_eq!(names(&moved.crowded_out), ["DC3-X"]);
    for minute in 3..=5 {
        let change = roll.update(list(&["DC3:X", "DC1:B", "DC3:A"]), MINUTE, rules, at(minute));
        assert_eq!(names(&change.crowded_out), ["DC3-X"]);
    }
    let free = roll.update(list(&["DC3:X", "DC1:B", "DC3:A"]), MINUTE, rules, at(6));
    assert_eq!((names(&free.added), names(&free.retired)), (vec!["DC3-X".into()], vec!["DC3-C".into()]));
    // A lower limit takes nobody away, nor one who moves.
    let low = Rules { limit: 1, ..GRACE };
    roll.update(list(&["DC3:A"]), MINUTE, low, at(7));
    assert_eq!(watched(&roll).len(), 3);
    roll.update(list(&["DC1:A"]), MINUTE, low, at(8));
    assert_eq!(watched(&roll), ["DC1-A", "DC3-X", "DC1-B"]);
}

proptest! {
    #[test]
    fn however_lists_change_no_more_are_watched_than_the_limit_and_nobody_known_loses_a_place(
        lists in proptest::collection::vec(proptest::collection::btree_set((0_u8..2, 0_u8..12), 0..5), 1..30)
    ) {
        let rules = Rules { limit: 5, ..GRACE };
        let mut roll = Roll::default();
        for (minute, present) in (0..).zip(lists) {
            let before = watched(&roll);
            let pairs: Vec<String> = present.iter().map(|(site, n)| format!("DC{site}:S{n}")).collect();
            let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
            let of = pairs.len();
            let change = roll.update(list(&pairs), MINUTE, rules, at(minute));
            prop_assert!(roll.members.len() <= rules.limit, "{:?}", watched(&roll));
            prop_assert_eq!(roll.present() + change.crowded_out.len(), of);
            for known in before {
                let retired = change.retired.iter().any(|pair| pair.to_string() == known);
                prop_assert!(retired || watched(&roll).contains(&known), "{known} lost its place");
            }
        }
    }

    #[test]
    fn nobody_is_dropped_before_the_grace_is_over_and_nobody_stays_after_it(
        lists in proptest::collection::vec((proptest::collection::btree_set(0_u8..6, 0..6), 0_u64..4), 1..30)
    ) {
        let mut roll = Roll::default();
        let mut absent: HashMap<u8, u64> = HashMap::new();
        for (minute, (present, passed)) in (0..).zip(lists) {
            let entries = present.iter().map(|n| entry(&format!("DC3:S{n}"), "http://h/")).collect();
            roll.update(entries, MINUTE * u32::try_from(passed).unwrap(), GRACE, at(minute));
            for (n, so_far) in &mut absent {
                // `u64::MAX` stands for one that is no longer missing, because it is here or gone.
                *so_far = if present.contains(n) { u64::MAX } else { so_far.saturating_add(passed) };
            }
            absent.retain(|_, so_far| *so_far != u64::MAX && *so_far < 5);
            let here: HashSet<String> = watched(&roll).into_iter().collect();
            let expected: HashSet<String> =
                present.iter().chain(absent.keys()).map(|n| format!("DC3-S{n}")).collect();
            for name in &expected {
                prop_assert!(here.contains(name), "{name} went too early");
            }
            for name in &here {
                let known = roll.members.iter().find(|member| member.entry.pair.to_string() == *name).unwrap();
                prop_assert!(known.missing.is_none_or(|missing| missing < GRACE.grace), "{name} stays too long");
                let n: u8 = name.trim_start_matches("DC3-S").parse().unwrap();
                if known.missing == Some(Duration::ZERO) {
                    absent.entry(n).or_insert(0);
                }
            }
            prop_assert_eq!(here.len(), roll.members.len());
        }
    }
}
