//! What an order brings with it: a JSON object, and who gives the order.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::message::one_line;

/// The body of an order is small: it has to be there within this.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A JSON object. What cannot be read is a problem that says why; a key that is not known is one, too, since an order that
/// is understood in part is another order.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let unread = |why: String| Problem::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {why}"));
        let Whole(read) = Whole::from_request(request, state).await?;
        let bytes = read.map_err(unread)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| unread(format!("expected a JSON object: {error}")))
    }
}

/// A whole body as it came, or why it cannot be read.
pub struct Whole(pub Result<Bytes, String>);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let reading = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state)).await;
        let read = reading.map_err(|_| {
            let seconds = BODY_WITHIN.as_secs();
            Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the body was not there within {seconds} s"))
        })?;
        Ok(Self(read.map_err(|error| error.body_text())))
    }
}

/// Who gives an order, as the log and the notices name them. Whoever opens the socket is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Person(String);

impl Person {
    /// Characters of a name.
    pub const MOST: usize = 64;

    /// Names somebody of whom only the number of the user is known.
    pub fn numbered(uid: u32) -> Self {
        Self(format!("user {uid}"))
    }

    /// Gives the name.
    pub fn into_name(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Person {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = one_line(text.trim(), usize::MAX);
        if name.is_empty() || name.chars().count() > Self::MOST {
            return Err(format!("`by` expects a name of 1 to {} characters: who gives the order", Self::MOST));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_stands_on_one_line_and_steers_no_terminal() {
        let named = |text: &str| Person::try_from(text.to_owned()).map(Person::into_name);
        assert_eq!(named(" anna ").unwrap(), "anna");
        assert_eq!(named("김민수").unwrap(), "김민수");
        for bad in ["", "  ", &"x".repeat(65)] {
            assert!(named(bad).unwrap_err().contains("who gives the order"), "{bad:?}");
        }
        let hostile = named("a\u{1b}[2J\nb").unwrap();
        assert!(!hostile.chars().any(char::is_control), "{hostile:?}");
    }
}
