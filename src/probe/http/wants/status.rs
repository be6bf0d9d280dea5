//! The statuses of a good answer: numbers and ranges.

use std::fmt;

use crate::env::value;

/// Numbers and ranges, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe::http) struct Statuses(Box<[(u16, u16)]>);

/// Reads `200-299,401`.
pub(in crate::probe::http) fn statuses(text: &str) -> Result<Statuses, String> {
    let expected = || "expected statuses from 100 to 999 such as 200-299,401".to_owned();
    let number = |text: &str| value::whole(text, &(100..=999)).map_err(|_| expected());
    let ranges = value::list(text, |item| match item.split_once('-') {
        None => number(item).map(|one| (one, one)),
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            if from <= to { Ok((from, to)) } else { Err(format!("expected the smaller status first: {to}-{from}")) }
        }
    })?;
    if ranges.is_empty() { Err(expected()) } else { Ok(Statuses(ranges.into())) }
}

impl Statuses {
    /// Whether this one is good.
    pub(in crate::probe::http) fn hold(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }

    /// Whether these are those of an answer of which nothing special is wanted: 200 to 399.
    pub(in crate::probe::http) fn are_usual(&self) -> bool {
        *self.0 == [(200, 399)]
    }

    /// Whether redirects are named, not only met by a range from 200 on.
    pub(in crate::probe::http) fn name_redirects(&self) -> bool {
        self.0.iter().any(|(from, to)| *from >= 300 && *from < 400 && *to < 400)
    }

    /// Gives patterns of a shell's `case` that match them and no others, such as `2??|30?|310`.
    pub(in crate::probe::http) fn shell_patterns(&self) -> String {
        let mut patterns: Vec<String> = Vec::new();
        let whole = |first: u16, count: u16| (first..first + count).all(|status| self.hold(status));
        for hundred in 1..10_u16 {
            if whole(hundred * 100, 100) {
                patterns.push(format!("{hundred}??"));
                continue;
            }
            for ten in hundred * 10..(hundred + 1) * 10 {
                if whole(ten * 10, 10) {
                    patterns.push(format!("{ten}?"));
                } else {
                    let ones = (ten * 10..(ten + 1) * 10).filter(|status| self.hold(*status));
                    patterns.extend(ones.map(|status| status.to_string()));
                }
            }
        }
        patterns.join("|")
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if from == to { write!(f, "{comma}{from}") } else { write!(f, "{comma}{from}-{to}") }?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_ranges_are_read_and_shown() {
        let read = statuses(" 200-299, 401 ").unwrap();
        assert_eq!(read.to_string(), "200-299,401");
        assert!(read.hold(200) && read.hold(299) && read.hold(401) && !read.hold(300) && !read.hold(400));
        assert!(statuses("200-399").unwrap().are_usual() && !read.are_usual());
        assert!(statuses("301").unwrap().name_redirects() && !read.name_redirects());
        assert_eq!(statuses("200-310,404").unwrap().shell_patterns(), "2??|30?|310|404");
        for (text, told) in [
            ("", "expected statuses from 100 to 999 such as 200-299,401"),
            ("ok", "expected statuses"),
            ("99", "expected statuses"),
            ("200-1000", "expected statuses"),
            ("-200", "expected statuses"),
            ("299-200", "expected the smaller status first: 200-299"),
        ] {
            assert!(statuses(text).unwrap_err().starts_with(told), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_shown_as_it_reads(text in "[0-9, -]{0,20}") {
            if let Ok(read) = statuses(&text) {
                prop_assert_eq!(statuses(&read.to_string()), Ok(read));
            }
        }
    }
}
