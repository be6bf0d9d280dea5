//! What went wrong with a PostgreSQL server → whose fault it is, in words.
//!
//! Its own words on a refused login are left out: they name the user, the database and the role's state.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::watch::Stop;
use crate::domain::reading::{Cause, Fault};
use crate::host::output::one_line;
use crate::probe::wire::broken;

/// What we were busy with when the connection failed.
const DOING: &str = "asking PostgreSQL";

/// The fault of an error.
pub(super) fn fault(error: &Error) -> Fault {
    if let Some(error) = error.as_db_error() {
        return by_server(error);
    }
    if error.is_closed() {
        return Fault::new(Cause::Reset, format!("connection closed while {DOING}"));
    }
    if let Some(error) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return by_stream(error);
    }
    let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    not_postgres(&format!("{error}{why}"))
}

fn by_stream(error: &io::Error) -> Fault {
    if let Some(stop) = error.get_ref().and_then(|inner| inner.downcast_ref::<Stop>()) {
        return by_us(*stop);
    }
    let is_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
    match error.kind() {
        // The library's limit, against a server that would keep us calculating.
        ErrorKind::InvalidInput if !is_tls && error.to_string().contains("SCRAM iteration count") => Fault::new(
            Cause::Denied,
            "the server wants more rounds of SCRAM than this program does (100000); lower scram_iterations there and set \
             the password again",
        ),
        ErrorKind::InvalidData | ErrorKind::InvalidInput if !is_tls => not_postgres(&error.to_string()),
        // So the codec calls the end of a stream that leaves half a message.
        ErrorKind::Other if !is_tls => {
            Fault::new(Cause::Reset, "connection closed in the middle of an answer of PostgreSQL's")
        }
        _ => broken(DOING, error),
    }
}

fn not_postgres(why: &str) -> Fault {
    Fault::new(Cause::Protocol, format!("the answer is not PostgreSQL's: {}", one_line(why.as_bytes(), 120)))
}

fn by_us(stop: Stop) -> Fault {
    match stop {
        Stop::Clear => Fault::new(
            Cause::Denied,
            format!(
                "{stop}, and who it is was not checked; set sslmode=require without INSECURE, or let it ask for SCRAM"
            ),
        ),
        Stop::NoPassword => Fault::new(Cause::Login, stop.to_string()),
        Stop::OtherMeans => Fault::new(Cause::Login, format!("{stop}; let it take one from us in pg_hba.conf")),
        Stop::Stranger | Stop::Endless => Fault::new(Cause::Protocol, stop.to_string()),
    }
}

fn by_server(error: &DbError) -> Fault {
    let (code, said) = (error.code(), one_line(error.message().as_bytes(), 120));
    let (cause, reason) = match code {
        code if *code == SqlState::INVALID_PASSWORD => (Cause::Login, "the server refuses our password".to_owned()),
        code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            Cause::Login,
            "the server refuses our login: no such role, or pg_hba.conf has no line for it, from here and with this TLS"
                .to_owned(),
        ),
        code if *code == SqlState::INVALID_CATALOG_NAME => (Cause::Login, "there is no such database".to_owned()),
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            (Cause::Login, "our role may not connect to this database".to_owned())
        }
        code if *code == SqlState::CANNOT_CONNECT_NOW => {
            (Cause::Starting, format!("the server takes no connections now: {said}"))
        }
        // The words are the server's language; the place in its source is not.
        code if *code == SqlState::TOO_MANY_CONNECTIONS && error.routine() == Some("InitializeSessionUserId") => {
            (Cause::Login, "our role has no connection left: its own CONNECTION LIMIT is reached".to_owned())
        }
        code if *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => {
            (Cause::Login, "the database takes no connections from anybody (ALLOW_CONNECTIONS)".to_owned())
        }
        code if *code == SqlState::TOO_MANY_CONNECTIONS => {
            (Cause::Content, format!("the server has no connection left: {said}"))
        }
        code => {
            let code = one_line(code.code().as_bytes(), 5);
            (Cause::Content, format!("the server answered error {code}: {said}"))
        }
    };
    Fault::new(cause, reason)
}
