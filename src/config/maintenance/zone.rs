//! Names of time zones, and what a wrong one was meant to be.

use jiff::tz::{self, TimeZone};

/// Finds a zone by its name in the IANA database, in any case of letters; the error is the name that was meant, if one
/// is near.
pub(super) fn find(name: &str) -> Result<TimeZone, Option<String>> {
    TimeZone::get(name).map_err(|_| near(name))
}

/// The zone that is called so apart from a slip of the pen, from blanks in place of `_`, or from the continent.
fn near(name: &str) -> Option<String> {
    let wanted = name.replace(' ', "_").to_ascii_lowercase();
    let far = |zone: &str| {
        let zone = zone.to_ascii_lowercase();
        let city = zone.rsplit('/').next().unwrap_or_default();
        if zone == wanted || city == wanted {
            return Some(0);
        }
        let limit = (wanted.len() / 4).clamp(1, 3);
        let slip = [zone.as_str(), city].map(|zone| strsim::osa_distance(zone, &wanted)).into_iter().min();
        slip.filter(|distance| *distance <= limit)
    };
    let ranked = tz::db().available().filter_map(|zone| Some((far(zone.as_str())?, zone.as_str().to_owned())));
    ranked.min().map(|(_, zone)| zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_brings_the_one_that_was_meant() {
        for (name, meant) in [
            ("Europe/Moskow", Some("Europe/Moscow")),
            ("Moscow", Some("Europe/Moscow")),
            ("America/New York", Some("America/New_York")),
            ("New York", Some("America/New_York")),
            ("europe/berlln", Some("Europe/Berlin")),
            ("Middle-earth/Shire", None),
            ("../../etc/passwd", None),
        ] {
            assert_eq!(find(name).unwrap_err().as_deref(), meant, "{name}");
        }
        assert_eq!(find("europe/berlin").unwrap().iana_name(), Some("Europe/Berlin"));
        assert!(find("UTC").is_ok());
    }
}
