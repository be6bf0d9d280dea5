//! Reports of servers that report to us: by their token from anywhere, by their name for the command line.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State as Given};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::domain::name::ServerName;
use crate::domain::push::Word;
use crate::engine::handle::Unmet;
use crate::message::one_line;
use crate::probe::wire::pushes::Token;
use crate::web::{Body, Problem, State, Whole};

/// Bytes of a query, and of a form in a body; a longer one is no report.
const LONGEST: usize = 4096;
/// Characters of a word that is not known, in the answer.
const SHOWN_WORD: usize = 40;
/// What a body is that curl sends with `-d`, and a page with a form.
const FORM: &str = "application/x-www-form-urlencoded";

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
    /// Reads what was sent: the words of the query, and those of a body that is a form, as if they stood in one place. A word
    /// that is not known may be a slip in one that is, and its report the opposite of what was meant.
    fn of(query: &str, body: &[u8], media: Option<&str>) -> Result<Self, String> {
        if query.len() > LONGEST || body.len() > LONGEST {
            return Err(format!("a query and a form have at most {LONGEST} bytes"));
        }
        let media = media.and_then(|media| media.split(';').next()).map_or("", str::trim);
        if !body.is_empty() && !media.eq_ignore_ascii_case(FORM) {
            return Err(format!("a body is a form ({FORM}) with `status` and `msg`, or there is none"));
        }
        let (mut status, mut msg) = (None, None);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()).chain(url::form_urlencoded::parse(body)) {
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
                // What a client that was made for Uptime Kuma sends: how long something took.
                "ping" => false,
                _ => {
                    let key = one_line(&key, SHOWN_WORD);
                    return Err(format!("`{key}` is not known; known are `status`, `msg` and `ping`"));
                }
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
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Json<Taken>, Problem> {
    // A word that can be no token is answered as one that is none.
    let token = token.ok().and_then(|Path(token)| Token::of(&token)).ok_or(Unmet::NoSuchToken)?;
    // A type that is no text is none that is known.
    let media = headers.get(header::CONTENT_TYPE).map(|media| media.to_str().unwrap_or("?"));
    let read = body.and_then(|body| Report::of(&query.unwrap_or_default(), &body, media));
    let report = match read {
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
    fn a_query_or_a_form_says_how_it_is_or_does_not_count() {
        for (query, status, msg) in [
            ("", Status::Up, ""),
            ("status=up", Status::Up, ""),
            ("status=UP&msg=OK&ping=12", Status::Up, "OK"),
            ("status=&msg=", Status::Up, ""),
            ("status=down", Status::Down, ""),
            ("msg=disk+full%21&status=down", Status::Down, "disk full!"),
        ] {
            for (query, body) in [(query, ""), ("", query)] {
                let report = Report::of(query, body.as_bytes(), Some("application/x-www-form-urlencoded")).unwrap();
                assert_eq!((report.status, report.msg.as_str()), (status, msg), "{query}, {body}");
            }
        }
        let (form, json) = (Some("Application/X-WWW-Form-URLencoded; charset=utf-8"), Some("application/json"));
        let both = Report::of("msg=disk", b"status=down", form).unwrap();
        assert_eq!((both.status, both.msg.as_str()), (Status::Down, "disk"));
        for (query, body, media, expected) in [
            ("status=failed", "", None, "`status` is `up` or `down`"),
            ("status=up&status=down", "", None, "`status` stands there twice"),
            ("status=up", "status=down", form, "`status` stands there twice"),
            ("msg=a&msg=b", "", None, "`msg` stands there twice"),
            ("stauts=down", "", None, "`stauts` is not known; known are `status`, `msg` and `ping`"),
            ("", "Status=down", form, "`Status` is not known"),
            ("", "down", form, "`down` is not known"),
            ("", "status=down", None, "a body is a form"),
            ("", r#"{"status":"down"}"#, json, "a body is a form"),
            ("", r#"{"status":"down"}"#, form, "is not known"),
            ("", " ", None, "a body is a form"),
            (&*"x".repeat(LONGEST + 1), "", None, "at most 4096 bytes"),
            ("", &*"x".repeat(LONGEST + 1), form, "at most 4096 bytes"),
        ] {
            assert!(Report::of(query, body.as_bytes(), media).unwrap_err().contains(expected), "{query}, {body}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics_and_only_a_plain_word_is_trouble(query in "\\PC{0,200}|([a-z]{0,6}(=[a-z%+0-9]{0,9})?&?){0,8}") {
            let form = Some("application/x-www-form-urlencoded");
            prop_assert_eq!(Report::of(&query, b"", None).is_ok(), Report::of("", query.as_bytes(), form).is_ok());
            if let Ok(report) = Report::of(&query, b"", None) {
                let down = query.to_ascii_lowercase().contains("down") || query.contains('%');
                prop_assert!(report.status == Status::Up || down);
            }
        }
    }
}
