//! The threads that read: each with its own connection, each query with its own snapshot, taken
//! after the request came in, so that it sees whatever was acknowledged before.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{clock, storage_error};
use crate::storage::{Fetched, Operation, Outcome, Request, Revision};

/// Answers requests until the engine closes and none are left.
pub(super) fn run(connection: &Connection, requests: &Mutex<Receiver<Request>>) {
    loop {
        let request = requests.lock().recv();
        let Ok(Request {
            operation,
            responder,
        }) = request
        else {
            return;
        };
        match read(connection, &operation) {
            Ok(outcome) => responder.answer_at(Ok(outcome), Some(clock())),
            Err(error) => responder.answer(Err(storage_error(&error, "nothing was read"))),
        }
    }
}

fn read(connection: &Connection, operation: &Operation) -> rusqlite::Result<Outcome> {
    match operation {
        Operation::Fetch { key } => fetch(connection, key).map(Outcome::Fetched),
        Operation::List {
            prefix,
            after,
            limit,
        } => list(connection, prefix, after.as_deref(), *limit).map(Outcome::Keys),
        Operation::KeysOfUser { user_id } => keys_of_user(connection, user_id).map(Outcome::Keys),
        Operation::Commit { .. } | Operation::Erase { .. } => unreachable!("writes have a thread"),
    }
}

fn fetch(connection: &Connection, key: &str) -> rusqlite::Result<Fetched> {
    let sql = "SELECT revision, erased_at IS NULL, user_ids, bytes FROM record WHERE key = ?1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([key], |row| {
            let revision = Revision::from_u64(row.get::<_, i64>(0)?.cast_unsigned());
            if row.get(1)? {
                Ok(Fetched::Present {
                    bytes: Bytes::copy_from_slice(row.get_ref(3)?.as_blob()?),
                    revision,
                    user_ids: user_ids(row, 2)?,
                })
            } else {
                let tombstone = Some(revision);
                Ok(Fetched::Absent { tombstone })
            }
        })
        .optional()?;
    Ok(found.unwrap_or(Fetched::Absent { tombstone: None }))
}

fn user_ids(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<[Box<str>]>> {
    let json = row.get_ref(column)?.as_str()?;
    let user_ids: Vec<Box<str>> = serde_json::from_str(json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })?;
    Ok(user_ids.into())
}

/// Goes along the keys in byte order, and ends with the page or with the prefix.
fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT key FROM record WHERE key >= ?1 AND erased_at IS NULL ORDER BY key";
    let first = after.map_or(prefix, |after| after.max(prefix));
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([first])?;
    let mut keys = Vec::new();
    while keys.len() < limit {
        let Some(row) = rows.next()? else { break };
        let key = row.get_ref(0)?.as_str()?;
        if !key.starts_with(prefix) {
            break;
        }
        if after != Some(key) {
            keys.push(key.to_owned());
        }
    }
    Ok(keys)
}

fn keys_of_user(connection: &Connection, user_id: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT key FROM record_user JOIN record ON record.id = record_id \
               WHERE user_id = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map([user_id], |row| row.get(0))?;
    keys.collect()
}
