//! The statements, one for each [`Lane`]: how a batch of operations becomes arrays, and rows become
//! outcomes. Each runs as a transaction of its own.
//!
//! Under any isolation level that a server may be set to, a row is compared as the newest committed
//! one once it is locked: at "read committed" PostgreSQL looks at it anew after waiting for its lock,
//! and above that it fails the transaction.

use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::queue::{LANES, Lane};
use super::schema::{CHANCE_BITS, Names};
use crate::storage::{Expected, Fetched, Operation, Outcome, Revision};

/// How old tombstones are forgotten. The contract asks for a day; this is twice as long, for clocks
/// that are put right.
const TOMBSTONE_AGE: &str = "2 days";
/// How many tombstones are forgotten at once.
const PURGE_LIMIT: usize = 1000;

/// What each lane sends.
pub(super) struct Statements {
    sql: [(String, &'static [Type]); LANES],
    purge: String,
}

impl Statements {
    /// The statements for a table.
    pub(super) fn new(names: &Names, is_durable: bool) -> Self {
        let sql = Lane::ALL.map(|lane| match lane {
            Lane::Replace => replace(names, is_durable),
            Lane::Create => create(names, is_durable),
            Lane::EraseAny => erase_any(names, is_durable),
            Lane::Fetch => fetch(names),
            Lane::List => list(names),
            Lane::KeysOfUser => keys_of_user(names),
        });
        let purge = purge(names);
        Self { sql, purge }
    }

    fn of(&self, lane: Lane) -> (&str, &'static [Type]) {
        let (sql, types) = &self.sql[lane as usize];
        (sql, types)
    }
}

/// The revision of a row that is written: a number that no row of this table has had, and a few bits
/// by chance, for the day on which a copy from last night takes the database's place and counts on
/// from there.
fn next_revision(names: &Names, chance: &str) -> String {
    let revisions = &names.revisions;
    let scale = 1 << CHANCE_BITS;
    format!("nextval('{revisions}') * {scale} + {chance}::bigint")
}

/// A row that makes the transaction durable whatever the server, the database or the role is set to,
/// or makes it not so. It is part of the statement because a pooler may give each of them to another
/// connection, and for no more than its transaction.
fn durability(is_durable: bool) -> &'static str {
    if is_durable {
        "(SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') \
         THEN set_config('synchronous_commit', 'on', true) END) AS durability"
    } else {
        "(SELECT set_config('synchronous_commit', 'off', true)) AS durability"
    }
}

const CLOCK: &str = "extract(epoch FROM clock_timestamp())::float8";

/// What expects a record or a tombstone at a revision.
fn replace(names: &Names, is_durable: bool) -> (String, &'static [Type]) {
    let table = &names.table;
    let revision = next_revision(names, "$7");
    let durability = durability(is_durable);
    let sql = format!(
        "UPDATE {table} AS record SET revision = {revision}, \
         erased_at = CASE WHEN request.erases THEN clock_timestamp() END, \
         user_ids = request.user_ids::bytea[], bytes = request.bytes \
         FROM unnest($1::bytea[], $2::bigint[], $3::boolean[], $4::boolean[], $5::text[], \
         $6::bytea[]) AS request (key, expected, expects_record, erases, user_ids, bytes), \
         {durability} \
         WHERE record.key = request.key AND record.revision = request.expected \
         AND (record.erased_at IS NULL) = request.expects_record \
         RETURNING record.key, record.revision, {CLOCK}"
    );
    let types = &[
        Type::BYTEA_ARRAY,
        Type::INT8_ARRAY,
        Type::BOOL_ARRAY,
        Type::BOOL_ARRAY,
        Type::TEXT_ARRAY,
        Type::BYTEA_ARRAY,
        Type::INT8,
    ];
    (sql, types)
}

/// What expects that there never was a record.
fn create(names: &Names, is_durable: bool) -> (String, &'static [Type]) {
    let table = &names.table;
    let revision = next_revision(names, "$5");
    let durability = durability(is_durable);
    let sql = format!(
        "INSERT INTO {table} (key, revision, erased_at, user_ids, bytes) \
         SELECT request.key, {revision}, CASE WHEN request.erases THEN clock_timestamp() END, \
         request.user_ids::bytea[], request.bytes \
         FROM unnest($1::bytea[], $2::boolean[], $3::text[], $4::bytea[]) \
         AS request (key, erases, user_ids, bytes), {durability} \
         ON CONFLICT (key) DO NOTHING RETURNING key, revision, {CLOCK}"
    );
    let types = &[
        Type::BYTEA_ARRAY,
        Type::BOOL_ARRAY,
        Type::TEXT_ARRAY,
        Type::BYTEA_ARRAY,
        Type::INT8,
    ];
    (sql, types)
}

/// What erases whatever is there.
fn erase_any(names: &Names, is_durable: bool) -> (String, &'static [Type]) {
    let table = &names.table;
    let revision = next_revision(names, "$2");
    let durability = durability(is_durable);
    let sql = format!(
        "INSERT INTO {table} (key, revision, erased_at, user_ids, bytes) \
         SELECT request.key, {revision}, clock_timestamp(), '{{}}', '' \
         FROM unnest($1::bytea[]) AS request (key), {durability} \
         ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, \
         erased_at = excluded.erased_at, user_ids = excluded.user_ids, bytes = excluded.bytes \
         RETURNING key, revision, {CLOCK}"
    );
    (sql, &[Type::BYTEA_ARRAY, Type::INT8])
}

/// One row for each key that is asked for, in no order.
fn fetch(names: &Names) -> (String, &'static [Type]) {
    let table = &names.table;
    let sql = format!(
        "SELECT request.place, record.revision, record.erased_at IS NULL, record.user_ids, \
         record.bytes, {CLOCK} \
         FROM unnest($1::bytea[]) WITH ORDINALITY AS request (key, place) \
         LEFT JOIN {table} AS record ON record.key = request.key"
    );
    (sql, &[Type::BYTEA_ARRAY])
}

fn list(names: &Names) -> (String, &'static [Type]) {
    let table = &names.table;
    let sql = format!(
        "SELECT key FROM {table} WHERE key >= $1 AND key < $2 AND erased_at IS NULL \
         ORDER BY key LIMIT $3"
    );
    (sql, &[Type::BYTEA, Type::BYTEA, Type::INT8])
}

fn keys_of_user(names: &Names) -> (String, &'static [Type]) {
    let table = &names.table;
    let sql = format!("SELECT key FROM {table} WHERE user_ids @> ARRAY[$1::bytea] ORDER BY key");
    (sql, &[Type::BYTEA])
}

/// Tombstones that somebody is writing over at this moment are left for another time.
fn purge(names: &Names) -> String {
    let table = &names.table;
    let is_old = format!("erased_at < clock_timestamp() - interval '{TOMBSTONE_AGE}'");
    format!(
        "WITH old AS (SELECT key FROM {table} WHERE {is_old} LIMIT {PURGE_LIMIT} \
         FOR UPDATE SKIP LOCKED) \
         DELETE FROM {table} AS record USING old WHERE record.key = old.key AND record.{is_old} \
         RETURNING 1"
    )
}

/// The statements of one connection.
pub(super) struct Prepared {
    statements: Arc<Statements>,
    /// None where each is to be sent whole.
    prepared: Option<Vec<Statement>>,
}

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl Prepared {
    /// Makes a connection ready.
    pub(super) async fn new(
        client: &Client,
        statements: Arc<Statements>,
        prepares: bool,
    ) -> Result<Self, Error> {
        if !prepares {
            let prepared = None;
            return Ok(Self {
                statements,
                prepared,
            });
        }
        let mut prepared = Vec::new();
        for lane in Lane::ALL {
            let (sql, types) = statements.of(lane);
            prepared.push(client.prepare_typed(sql, types).await?);
        }
        let prepared = Some(prepared);
        Ok(Self {
            statements,
            prepared,
        })
    }

    /// Runs a lane's statement. That there is an answer means that its transaction has been
    /// committed: rows come before that, and are given out only with the end.
    async fn run(
        &self,
        client: &Client,
        lane: Lane,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        if let Some(prepared) = &self.prepared {
            return client.query(&prepared[lane as usize], values).await;
        }
        let (sql, types) = self.statements.of(lane);
        let parameters: Vec<Parameter<'_>> =
            values.iter().copied().zip(types.iter().cloned()).collect();
        client.query_typed(sql, &parameters).await
    }

    /// Runs a batch of one lane, in which each key that is written occurs once and which is in the
    /// order of the keys. One outcome for each, and the server's clock if it has said anything.
    pub(super) async fn run_batch(
        &self,
        client: &Client,
        lane: Lane,
        operations: &[Operation],
    ) -> Result<(Vec<Outcome>, Option<f64>), Error> {
        match lane {
            Lane::Replace | Lane::Create | Lane::EraseAny => {
                self.write(client, lane, operations).await
            }
            Lane::Fetch => self.fetch(client, operations).await,
            Lane::List | Lane::KeysOfUser => {
                let mut outcomes = Vec::with_capacity(operations.len());
                for operation in operations {
                    outcomes.push(Outcome::Keys(self.keys(client, operation).await?));
                }
                Ok((outcomes, None))
            }
        }
    }

    async fn write(
        &self,
        client: &Client,
        lane: Lane,
        operations: &[Operation],
    ) -> Result<(Vec<Outcome>, Option<f64>), Error> {
        let arrays = Arrays::new(operations);
        let chance = i64::from(fastrand::u16(..));
        let Arrays {
            keys,
            expected,
            expect_record,
            erase,
            user_ids,
            bytes,
        } = &arrays;
        let rows = match lane {
            Lane::Replace => {
                let values: [&(dyn ToSql + Sync); 7] = [
                    keys,
                    expected,
                    expect_record,
                    erase,
                    user_ids,
                    bytes,
                    &chance,
                ];
                self.run(client, lane, &values).await?
            }
            Lane::Create => {
                let values: [&(dyn ToSql + Sync); 5] = [keys, erase, user_ids, bytes, &chance];
                self.run(client, lane, &values).await?
            }
            _ => self.run(client, lane, &[keys, &chance]).await?,
        };

        // What the server does not name, it has not written.
        let mut outcomes = vec![Outcome::Conflict; operations.len()];
        let mut clock = None;
        for row in rows {
            let key: &[u8] = row.try_get(0)?;
            let written = keys.binary_search(&key);
            if let Ok(place) = written {
                let revision = revision(row.try_get(1)?);
                outcomes[place] = match operations[place] {
                    Operation::Erase { .. } => Outcome::Erased(revision),
                    _ => Outcome::Committed(revision),
                };
            }
            clock = Some(row.try_get(2)?);
        }
        Ok((outcomes, clock))
    }

    async fn fetch(
        &self,
        client: &Client,
        operations: &[Operation],
    ) -> Result<(Vec<Outcome>, Option<f64>), Error> {
        let keys: Vec<&[u8]> = operations.iter().map(key_bytes).collect();
        let rows = self.run(client, Lane::Fetch, &[&keys]).await?;
        let never_written = Fetched::Absent { tombstone: None };
        let mut outcomes = vec![Outcome::Fetched(never_written); operations.len()];
        let mut clock = None;
        for row in rows {
            let place: i64 = row.try_get(0)?;
            let place = usize::try_from(place - 1).ok();
            if let Some(outcome) = place.and_then(|place| outcomes.get_mut(place)) {
                *outcome = Outcome::Fetched(fetched(&row)?);
            }
            clock = Some(row.try_get(5)?);
        }
        Ok((outcomes, clock))
    }

    async fn keys(&self, client: &Client, operation: &Operation) -> Result<Vec<String>, Error> {
        let rows = match operation {
            Operation::List {
                prefix,
                after,
                limit,
            } => {
                let (first, end) = list_range(prefix, after.as_deref());
                let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
                self.run(client, Lane::List, &[&first, &end, &limit])
                    .await?
            }
            Operation::KeysOfUser { user_id } => {
                let user_id = user_id.as_bytes();
                self.run(client, Lane::KeysOfUser, &[&user_id]).await?
            }
            _ => Vec::new(),
        };
        rows.iter().map(|row| Ok(text(row.try_get(0)?))).collect()
    }

    /// Forgets old tombstones; whether there may be more of them.
    pub(super) async fn purge(&self, client: &Client) -> Result<bool, Error> {
        let rows = client.query_typed(&self.statements.purge, &[]).await?;
        Ok(rows.len() == PURGE_LIMIT)
    }
}

/// A batch of writes, column by column.
struct Arrays<'a> {
    keys: Vec<&'a [u8]>,
    expected: Vec<i64>,
    expect_record: Vec<bool>,
    erase: Vec<bool>,
    user_ids: Vec<String>,
    bytes: Vec<&'a [u8]>,
}

impl<'a> Arrays<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let count = operations.len();
        let mut arrays = Self {
            keys: Vec::with_capacity(count),
            expected: Vec::with_capacity(count),
            expect_record: Vec::with_capacity(count),
            erase: Vec::with_capacity(count),
            user_ids: Vec::with_capacity(count),
            bytes: Vec::with_capacity(count),
        };
        for operation in operations {
            let (user_ids, bytes): (&[Box<str>], &[u8]) = match operation {
                Operation::Commit {
                    user_ids, bytes, ..
                } => (user_ids, bytes),
                _ => (&[], &[]),
            };
            let (revision, is_present) = match expected(operation) {
                Some(Expected::Present(revision)) => (number(revision), true),
                Some(Expected::Absent(Some(revision))) => (number(revision), false),
                Some(Expected::Absent(None)) | None => (None, false),
            };
            arrays.keys.push(key_bytes(operation));
            // No row has a revision below nothing.
            arrays.expected.push(revision.unwrap_or(-1));
            arrays.expect_record.push(is_present);
            arrays
                .erase
                .push(matches!(operation, Operation::Erase { .. }));
            arrays.user_ids.push(array_literal(user_ids));
            arrays.bytes.push(bytes);
        }
        arrays
    }
}

/// What a write expects; `None` for one that takes whatever is there.
pub(super) fn expected(operation: &Operation) -> Option<&Expected> {
    match operation {
        Operation::Commit { expected, .. } => Some(expected),
        Operation::Erase { expected, .. } => expected.as_ref(),
        _ => None,
    }
}

/// The key of an operation that has one.
pub(super) fn key_bytes(operation: &Operation) -> &[u8] {
    match operation {
        Operation::Fetch { key } | Operation::Commit { key, .. } | Operation::Erase { key, .. } => {
            key.as_bytes()
        }
        Operation::List { .. } | Operation::KeysOfUser { .. } => &[],
    }
}

/// The number that a revision of this engine is. Any other revision is at no key.
fn number(revision: &Revision) -> Option<i64> {
    revision
        .as_u64()
        .and_then(|number| i64::try_from(number).ok())
}

fn revision(number: i64) -> Revision {
    Revision::from_u64(number.cast_unsigned())
}

/// User ids as PostgreSQL writes an array of `bytea`: an array has no arrays of different lengths in
/// it, but it may have their texts.
fn array_literal(user_ids: &[Box<str>]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut literal = String::from("{");
    for (place, user_id) in user_ids.iter().enumerate() {
        literal.push_str(if place == 0 { "\"\\\\x" } else { ",\"\\\\x" });
        for byte in user_id.bytes() {
            literal.push(char::from(DIGITS[usize::from(byte >> 4)]));
            literal.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// The first key of a list, and the first that is not in it any more.
fn list_range(prefix: &str, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let first = match after {
        // The next text in byte order.
        Some(after) if after >= prefix => [after.as_bytes(), &[0]].concat(),
        _ => prefix.as_bytes().to_vec(),
    };
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        // No byte of UTF-8 is the last one that there is.
        Some(last) => *last += 1,
        None => end.push(u8::MAX),
    }
    (first, end)
}

fn fetched(row: &Row) -> Result<Fetched, Error> {
    let Some(number) = row.try_get::<_, Option<i64>>(1)? else {
        return Ok(Fetched::Absent { tombstone: None });
    };
    let revision = revision(number);
    if !row.try_get::<_, bool>(2)? {
        let tombstone = Some(revision);
        return Ok(Fetched::Absent { tombstone });
    }
    let user_ids: Vec<&[u8]> = row.try_get(3)?;
    Ok(Fetched::Present {
        bytes: Bytes::copy_from_slice(row.try_get(4)?),
        revision,
        user_ids: user_ids.into_iter().map(|id| text(id).into()).collect(),
    })
}

/// What we have written is UTF-8; what somebody else has written there may look odd.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_become_the_text_of_an_array() {
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.into()).collect::<Vec<Box<str>>>();
        assert_eq!(array_literal(&ids(&[])), "{}");
        assert_eq!(array_literal(&ids(&["u1"])), r#"{"\\x7531"}"#);
        assert_eq!(
            array_literal(&ids(&["a", "\0\"ÿ"])),
            r#"{"\\x61","\\x0022c3bf"}"#
        );
    }

    #[test]
    fn a_list_is_the_keys_between_two_texts() {
        let range = |prefix, after| list_range(prefix, after);
        assert_eq!(range("", None), (b"".to_vec(), vec![0xff]));
        assert_eq!(range("p/", None), (b"p/".to_vec(), b"p0".to_vec()));
        assert_eq!(range("p/", Some("a")), (b"p/".to_vec(), b"p0".to_vec()));
        assert_eq!(
            range("p/", Some("p/1")),
            (b"p/1\0".to_vec(), b"p0".to_vec())
        );
        assert_eq!(range("p/", Some("p/")), (b"p/\0".to_vec(), b"p0".to_vec()));
        let (first, end) = range("p/", Some("q"));
        assert!(first > end);
    }
}
