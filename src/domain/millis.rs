//! Durations on the outside: milliseconds, a number with a fraction, under a name that ends in `_ms`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes a duration.
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(in_millis(*duration))
}

/// Reads a duration; what is no duration counts as zero.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    f64::deserialize(from).map(of_millis)
}

/// The same for a duration that may be absent.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, in_millis, of_millis};

    /// Writes a duration or nothing.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => to.serialize_some(&in_millis(*duration)),
            None => to.serialize_none(),
        }
    }

    /// Reads a duration or nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.map(of_millis))
    }
}

/// Milliseconds to the microsecond: finer would be noise.
fn in_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn of_millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reading::{Phases, Reading};

    #[test]
    fn a_reading_is_written_in_milliseconds_and_read_back() {
        let phases = Phases { connect: Some(Duration::from_micros(1250)), ..Phases::default() };
        let reading = Reading::up(phases, Duration::from_millis(7));
        let text = serde_json::to_string(&reading).unwrap();
        assert_eq!(
            text,
            r#"{"outcome":"up","phases":{"dns_ms":null,"connect_ms":1.25,"tls_ms":null,"first_byte_ms":null},"took_ms":7.0}"#
        );
        assert_eq!(serde_json::from_str::<Reading>(&text).unwrap(), reading);
    }
}
