//! What a failure of the client or of the server means for a request, and for the connection that
//! it came over.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_rustls::rustls;

use crate::storage::{RequestErrorKind, StorageError};

/// Whether the server says that it has undone the transaction for the sake of another one. That
/// proves that nothing of it was written or ever will be, so it may be run again; of all that can go
/// wrong, these two alone are answered by doing so.
pub(super) fn may_run_again(error: &Error) -> bool {
    let codes = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Whether the server has refused the statement, which undoes it. A server that is going down, or a
/// cluster that has lost a part of itself, may have written it and fail in saying so.
pub(super) fn was_undone(error: &Error) -> bool {
    let classes = ["0A", "22", "23", "25", "42", "53", "54", "55"];
    let code = error.code().map_or("", SqlState::code);
    may_run_again(error) || classes.iter().any(|class| code.starts_with(class))
}

/// Whether the connection is of no use after this: it is broken, or the server behind it has become
/// one that takes no writes, or has forgotten what was prepared.
pub(super) fn ends_connection(error: &Error) -> bool {
    let Some(code) = error.code() else {
        return true;
    };
    *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::FEATURE_NOT_SUPPORTED
        || matches!(&code.code()[..2], "08" | "57") && *code != SqlState::QUERY_CANCELED
}

/// Whether what was prepared is not there, or is there already: then not all that was said on this
/// connection has come to the same server process.
fn is_of_pooler(error: &Error) -> bool {
    let codes = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Whether the same attempt to connect may go well a moment later: nobody listens, or the server
/// says that it is busy with itself. A wrong password or name stays wrong.
pub(super) fn may_pass(error: &Error) -> bool {
    if let Some(code) = error.code() {
        return matches!(&code.code()[..2], "08" | "53" | "57" | "58" | "40")
            || *code == SqlState::READ_ONLY_SQL_TRANSACTION;
    }
    if cause::<rustls::Error>(error).is_some() {
        return false;
    }
    cause::<io::Error>(error).is_some() || error.is_closed()
}

/// Whether the server might take a connection of the other kind: it refuses this one for being
/// encrypted or not, or the two do not agree on how.
pub(super) fn is_about_encryption(error: &Error) -> bool {
    match error.code() {
        Some(code) => *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        None => error.to_string().contains("TLS"),
    }
}

/// The answer to a request.
pub(super) fn storage_error(error: &Error, what_happened: &str) -> StorageError {
    let kind = match error.code() {
        None => RequestErrorKind::Backend,
        Some(code) => match &code.code()[..2] {
            "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX" => RequestErrorKind::Backend,
            "0A" | "22" | "23" | "28" | "3D" | "3F" | "42" | "54" => RequestErrorKind::Script,
            _ => RequestErrorKind::Misc,
        },
    };
    StorageError::new(
        kind,
        format!("PostgreSQL: {}; {what_happened}", text(error)),
    )
}

/// What went wrong, with the server's own words and code for it.
pub(super) fn text(error: &Error) -> String {
    let Some(server) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Some wrap another error and say what it says.
            if !text.ends_with(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        return text;
    };
    let mut text = format!("{} (SQLSTATE {}", server.message(), server.code().code());
    let of_pooler = is_of_pooler(error).then_some(
        "a pooler seems to give out connections for one transaction: leave \
         `prepared_statements=on` out of the URL",
    );
    for more in [server.detail(), server.hint(), of_pooler]
        .into_iter()
        .flatten()
    {
        text = format!("{text}; {more}");
    }
    text + ")"
}

/// The first cause of this type.
fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref() {
            return Some(cause);
        }
        // An `io::Error` shows its cause's cause, not the cause itself.
        let inner = cause.downcast_ref().and_then(io::Error::get_ref);
        if let Some(cause) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(cause);
        }
        source = cause.source();
    }
    None
}
