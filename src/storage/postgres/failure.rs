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
    error.code().is_some_and(is_for_another)
}

fn is_for_another(code: &SqlState) -> bool {
    let codes = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    codes.contains(code)
}

/// Whether the server has refused the statement, which undoes it. A server that is going down, or a
/// cluster that has lost a part of itself, may have written it and fail in saying so.
pub(super) fn was_undone(error: &Error) -> bool {
    error.code().is_some_and(undoes)
}

fn undoes(code: &SqlState) -> bool {
    let classes = ["0A", "22", "23", "25", "42", "53", "54", "55"];
    is_for_another(code) || classes.contains(&class(code))
}

/// Whether the connection is of no use after this: it is broken, or the server behind it has become
/// one that takes no writes, or has forgotten what was prepared, or has no table any more.
pub(super) fn ends_connection(error: &Error) -> bool {
    error.code().is_none_or(ends)
}

fn ends(code: &SqlState) -> bool {
    *code == SqlState::READ_ONLY_SQL_TRANSACTION
        || *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::UNDEFINED_TABLE
        || *code == SqlState::FEATURE_NOT_SUPPORTED
        || matches!(class(code), "08" | "57") && *code != SqlState::QUERY_CANCELED
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
        return passes(code);
    }
    if cause::<rustls::Error>(error).is_some() {
        return false;
    }
    cause::<io::Error>(error).is_some() || error.is_closed()
}

fn passes(code: &SqlState) -> bool {
    matches!(class(code), "08" | "53" | "57" | "58" | "40")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
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
    StorageError::new(
        error.code().map_or(RequestErrorKind::Backend, kind),
        format!("PostgreSQL: {}; {what_happened}", text(error)),
    )
}

fn kind(code: &SqlState) -> RequestErrorKind {
    match class(code) {
        "08" | "25" | "40" | "53" | "55" | "57" | "58" | "XX" => RequestErrorKind::Backend,
        "0A" | "22" | "23" | "28" | "3D" | "3F" | "42" | "54" => RequestErrorKind::Script,
        _ => RequestErrorKind::Misc,
    }
}

/// The first two of the five characters of a code, which say what kind of thing went wrong. A server that
/// sends something else has told nothing.
fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_code_means_for_the_request_and_for_the_connection() {
        use RequestErrorKind::{Backend, Misc, Script};
        // Code, kind, whether nothing was written, whether the connection ends, and whether a later attempt
        // to connect may go well.
        let codes = [
            ("53100", Backend, true, false, true),   // the disk is full
            ("53200", Backend, true, false, true),   // out of memory
            ("53300", Backend, true, false, true),   // too many connections
            ("25006", Backend, true, true, true),    // read-only
            ("57014", Backend, false, false, true),  // statement_timeout
            ("55P03", Backend, true, false, false),  // lock_timeout
            ("57P01", Backend, false, true, true),   // the server goes down
            ("57P03", Backend, false, true, true),   // it starts
            ("08006", Backend, false, true, true),   // the connection failed
            ("40001", Backend, true, false, true),   // undone for another one
            ("40P01", Backend, true, false, true),   // a deadlock
            ("40003", Backend, false, false, true),  // nobody knows
            ("58030", Backend, false, false, true),  // the disk fails
            ("XX001", Backend, false, false, false), // the data is damaged
            ("0A000", Script, true, true, false),    // a cached plan is of no use
            ("26000", Misc, false, true, false),     // no such statement: a pooler
            ("22021", Script, true, false, false),   // no such character
            ("42P01", Script, true, true, false),    // no such table
            ("42501", Script, true, false, false),   // may not
            ("28P01", Script, false, false, false),  // a wrong password
            ("", Misc, false, false, false),
            ("é", Misc, false, false, false),
        ];
        for (code, its_kind, is_undone, is_ended, may_pass) in codes {
            let state = SqlState::from_code(code);
            let meant = (kind(&state), undoes(&state), ends(&state), passes(&state));
            assert_eq!(meant, (its_kind, is_undone, is_ended, may_pass), "{code}");
        }
    }

    #[test]
    fn only_what_was_undone_for_another_is_run_again() {
        let again = ["40001", "40P01"];
        for code in ["40001", "40P01", "40003", "53200", "57014", "25006"] {
            let is_again = is_for_another(&SqlState::from_code(code));
            assert_eq!(is_again, again.contains(&code), "{code}");
        }
    }
}
