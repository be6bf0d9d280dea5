//! How many echo requests an attempt sends and what must come back: the part of an `icmp` URL after the `?`.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::domain::reading::{Cause, Fault};
use crate::env::{duration, value};

/// Echo requests of one attempt; with more, an attempt is a measurement of its own.
const MOST: u16 = 20;
const COUNT: &str = "count";
const LOSS: &str = "loss";
const LATENCY: &str = "latency";
const KNOWN: [&str; 3] = [COUNT, LOSS, LATENCY];

/// What is sent and what must come back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Echo requests of one attempt, 1 to 20.
    pub(super) count: u16,
    /// Percent that may be lost; without it one answer is enough.
    pub(super) loss: Option<u16>,
    /// The longest median of the round trips.
    pub(super) latency: Option<Duration>,
}

impl Wanted {
    /// Reads the parameters, or says all that is wrong with them.
    pub(super) fn read(url: &Url) -> Result<Self, String> {
        let mut wanted = Self { count: 1, loss: None, latency: None };
        let (mut seen, mut wrong) = (Vec::new(), Vec::new());
        for (name, text) in url.query_pairs() {
            let name = name.into_owned();
            let read = match name.as_str() {
                _ if seen.contains(&name) => Err("is there twice".to_owned()),
                COUNT => value::whole(&text, &(1..=MOST)).map(|count| wanted.count = count),
                LOSS => percent(&text).map(|loss| wanted.loss = Some(loss)),
                LATENCY => value::positive_duration(&text).map(|latency| wanted.latency = Some(latency)),
                _ => Err(stranger(&name)),
            };
            if let Err(what) = read {
                let name: String = name.chars().take(20).collect();
                wrong.push(format!("{name}: {what}"));
            }
            seen.push(name);
        }
        if wrong.is_empty() { Ok(wanted) } else { Err(wrong.join("; ")) }
    }

    /// Whether so many answers are enough, whatever becomes of the rest.
    pub(super) fn enough(&self, answered: usize) -> bool {
        let lost = usize::from(self.count).saturating_sub(answered);
        answered > 0 && self.loss.is_none_or(|loss| lost * 100 <= usize::from(loss) * usize::from(self.count))
    }

    /// Judges the round trips to `ip`; gives their median, or what is wrong with them.
    pub(super) fn judge(&self, ip: IpAddr, mut trips: Vec<Duration>, waited: Duration) -> Result<Duration, Fault> {
        let (count, answered) = (usize::from(self.count), trips.len());
        trips.sort_unstable();
        let median = trips.get(answered / 2).copied();
        let Some(median) = median.filter(|_| self.enough(answered)) else {
            let what = match (answered, count, self.loss) {
                (0, 1, _) => format!("no echo reply from {ip} within {waited:.1?}"),
                (1.., _, Some(loss)) => {
                    let missing = count - answered;
                    format!("{missing} of {count} echo requests to {ip} were lost, more than {loss} %")
                }
                _ => format!("none of {count} echo requests to {ip} was answered within {waited:.1?}"),
            };
            return Err(Fault::new(Cause::Timeout, what));
        };
        match self.latency {
            Some(latency) if median > latency => {
                let longest = duration::shown(latency);
                let what =
                    format!("the round trip to {ip} takes {median:.1?} (median of {answered}), more than {longest}");
                Err(Fault::new(Cause::Timeout, what))
            }
            _ => Ok(median),
        }
    }
}

fn percent(text: &str) -> Result<u16, String> {
    value::whole(text.trim().trim_end_matches('%'), &(0..=99))
        .map_err(|_| "expected a percentage from 0% to 99%".to_owned())
}

fn stranger(name: &str) -> String {
    let near = KNOWN.iter().find(|known| strsim::damerau_levenshtein(known, name) <= 2);
    match near {
        Some(near) => format!("is not known; did you mean `{near}`?"),
        None => format!("is not known; known are {}", KNOWN.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Wanted, String> {
        Wanted::read(&format!("icmp://h?{query}").parse().unwrap())
    }

    #[test]
    fn what_is_wanted_is_read_with_all_its_mistakes() {
        let all = Wanted { count: 3, loss: Some(50), latency: Some(Duration::from_millis(200)) };
        assert_eq!(read("count=3&loss=50%&latency=200ms"), Ok(all));
        assert_eq!(read("loss=50").unwrap().loss, Some(50));
        assert_eq!(read("loss=50%25").unwrap().loss, Some(50));
        assert_eq!(
            read("cuont=3&loss=100%&latency=soon&count=21&count=1&x=y").unwrap_err(),
            "cuont: is not known; did you mean `count`?; loss: expected a percentage from 0% to 99%; \
             latency: expected a duration such as 30, 0.5, 500ms, 5m; \
             count: expected a whole number from 1 to 20; count: is there twice; \
             x: is not known; known are count, loss, latency"
        );
    }

    #[test]
    fn answers_are_judged_by_how_many_came_and_how_late() {
        let ms = Duration::from_millis;
        let told = |query: &str, trips: &[u64]| {
            let trips = trips.iter().map(|trip| ms(*trip)).collect();
            read(query).unwrap().judge("10.0.0.2".parse().unwrap(), trips, ms(950)).map_err(|fault| fault.reason)
        };
        assert_eq!(told("count=1", &[7]), Ok(ms(7)));
        assert_eq!(told("count=1", &[]), Err("no echo reply from 10.0.0.2 within 950.0ms".to_owned()));
        assert_eq!(told("count=3", &[9]), Ok(ms(9)));
        let none = "none of 3 echo requests to 10.0.0.2 was answered within 950.0ms";
        assert_eq!(told("count=3", &[]), Err(none.to_owned()));
        assert_eq!(told("count=3&loss=99%", &[]), Err(none.to_owned()));
        assert_eq!(told("count=4&loss=50%", &[1, 3]), Ok(ms(3)));
        assert_eq!(
            told("count=4&loss=50%", &[1]),
            Err("3 of 4 echo requests to 10.0.0.2 were lost, more than 50 %".to_owned())
        );
        assert_eq!(
            told("count=2&loss=0", &[1]),
            Err("1 of 2 echo requests to 10.0.0.2 were lost, more than 0 %".to_owned())
        );
        assert_eq!(told("count=3&latency=5ms", &[900, 1, 4]), Ok(ms(4)));
        assert_eq!(
            told("count=3&latency=5ms", &[900, 1, 6]),
            Err("the round trip to 10.0.0.2 takes 6.0ms (median of 3), more than 5ms".to_owned())
        );
    }
}
