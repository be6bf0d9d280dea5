//! Reports of servers that report to us: by their token from anywhere, by their name for the command line.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State as Given};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::domain::name::ServerName;
use crate::domain::push::Word;
use crate::engine::handle::Unmet;
use crate::probe::wire::pushes::Token;
use crate::web::{Body, Problem, State};

/// Bytes of a query; a longer one is no report.
const LONGEST_QUERY: usize = 4096;

/// How a server is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    #[default]
    Up,
    /// Something is wrong.
    Down,
}

/// A report in a body.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// How it is; well when absent.
    #[serde(default)]
    pub status: Status,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub msg: String,
}

/// What was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Whose report it is.
    pub server: ServerName,
    /// What it said.
    pub status: Status,
}

impl Report {
    /// Reads a query: `status`, `msg`; what else stands there belongs to other programs.
    fn of_query(query: &str) -> Result<Self, String> {
        if query.len() > LONGEST_QUERY {
            return Err(format!("a query has at most {LONGEST_QUERY} bytes"));
        }
        let (mut status, mut msg) = (None, None);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let twice = match &*key {
                "status" => {
                    let read = match &*value.to_ascii_lowercase() {
                        "" | "up" => Status::Up,
                        "down" => Status::Down,
                        _ => return Err("`status` is `up` or `down`".to_owned()),
                    };
                    status.replace(read).is_some()
                }
                "msg" => msg.replace(value.into_owned()).is_some(),
                _ => false,
            };
            if twice {
                return Err(format!("`{key}` stands there twice"));
            }
        }
        Ok(Self { status: status.unwrap_or_default(), msg: msg.unwrap_or_default() })
    }

    fn word(self) -> Word {
        match self.status {
            Status::Up => Word::Well,
            Status::Down => Word::Trouble(self.msg),
        }
    }
}

/// Takes a report from whoever has the token of a server.
pub async fn by_token(
    Given(state): Given<State>,
    token: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<Taken>, Problem> {
    // A word that can be no token is answered as one that is none.
    let token = token.ok().and_then(|Path(token)| Token::of(&token)).ok_or(Unmet::NoSuchToken)?;
    let report = match Report::of_query(&query.unwrap_or_default()) {
        Ok(report) => report,
        Err(_) if !state.engine.knows(&token) => return Err(Unmet::NoSuchToken.into()),
        Err(why) => return Err(Problem::new(StatusCode::BAD_REQUEST, format!("the report does not count: {why}"))),
    };
    let status = report.status;
    Ok(Json(Taken { server: state.engine.push_by(&token, report.word()).await?, status }))
}

/// Takes a report for a server that is named by itself or by a pair.
pub async fn by_name(
    Given(state): Given<State>,
    Path(name): Path<String>,
    Body(report): Body<Report>,
) -> Result<Json<Taken>, Problem> {
    let status = report.status;
    Ok(Json(Taken { server: state.engine.push(&name, report.word()).await?, status }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_says_how_it_is_or_does_not_count() {
        for (query, status, msg) in [
            ("", Status::Up, ""),
            ("status=up", Status::Up, ""),
            ("status=UP&msg=OK&ping=12", Status::Up, "OK"),
            ("status=&msg=", Status::Up, ""),
            ("status=down", Status::Down, ""),
            ("msg=disk+full%21&status=down", Status::Down, "disk full!"),
        ] {
            let report = Report::of_query(query).unwrap();
            assert_eq!((report.status, report.msg.as_str()), (status, msg), "{query}");
        }
        for (query, expected) in [
            ("status=failed", "`status` is `up` or `down`"),
            ("status=up&status=down", "`status` stands there twice"),
            ("msg=a&msg=b", "`msg` stands there twice"),
            (&*"x".repeat(LONGEST_QUERY + 1), "at most 4096 bytes"),
        ] {
            assert!(Report::of_query(query).unwrap_err().contains(expected), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics_and_only_a_plain_word_is_trouble(query in "\\PC{0,200}|([a-z]{0,6}(=[a-z%+0-9]{0,9})?&?){0,8}") {
            if let Ok(report) = Report::of_query(&query) {
                let down = query.to_ascii_lowercase().contains("down") || query.contains('%');
                prop_assert!(report.status == Status::Up || down);
            }
        }
    }
}
