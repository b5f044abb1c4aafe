//! One batch of commits and erasures inside a transaction: each is one statement that compares and
//! writes at once, followed by the user ids where they have changed. It neither begins nor ends the
//! transaction.

use rusqlite::{Connection, OptionalExtension, ToSql};

use crate::storage::{Expected, Operation, Outcome, Revision};

/// Judges every operation by what those before it have left, and counts the revisions on. All of
/// it is true when the transaction has been committed, and nothing if it has not.
pub(super) fn judge(
    connection: &Connection,
    operations: &[Operation],
    clock: f64,
) -> rusqlite::Result<Vec<Outcome>> {
    let last = connection
        .prepare_cached("SELECT last FROM revision")?
        .query_row([], |row| row.get(0))?;
    let mut batch = Batch {
        connection,
        clock,
        last_revision: last,
    };
    let outcomes = operations
        .iter()
        .map(|operation| batch.judge(operation))
        .collect::<rusqlite::Result<_>>()?;
    if batch.last_revision != last {
        connection
            .prepare_cached("UPDATE revision SET last = ?1")?
            .execute([batch.last_revision])?;
    }
    Ok(outcomes)
}

struct Batch<'a> {
    connection: &'a Connection,
    clock: f64,
    last_revision: i64,
}

/// What a row is to hold.
struct NewRecord<'a> {
    key: &'a str,
    erased_at: Option<f64>,
    user_ids: &'a [Box<str>],
    bytes: &'a [u8],
}

impl Batch<'_> {
    fn judge(&mut self, operation: &Operation) -> rusqlite::Result<Outcome> {
        match operation {
            Operation::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => {
                let record = NewRecord {
                    key,
                    erased_at: None,
                    user_ids,
                    bytes,
                };
                self.write(&record, Some(expected), Outcome::Committed)
            }
            Operation::Erase { key, expected } => {
                let tombstone = NewRecord {
                    key,
                    erased_at: Some(self.clock),
                    user_ids: &[],
                    bytes: &[],
                };
                self.write(&tombstone, expected.as_ref(), Outcome::Erased)
            }
            Operation::Fetch { .. } | Operation::List { .. } | Operation::KeysOfUser { .. } => {
                unreachable!("reads have threads of their own")
            }
        }
    }

    fn write(
        &mut self,
        record: &NewRecord<'_>,
        expected: Option<&Expected>,
        written: fn(Revision) -> Outcome,
    ) -> rusqlite::Result<Outcome> {
        let revision = self.last_revision + 1;
        let user_ids = serde_json::to_string(record.user_ids).expect("strings have a JSON form");
        let is_written = match expected {
            Some(Expected::Present(expected)) => {
                let expected = number(expected);
                self.replace_bytes(record, revision, &user_ids, expected)?
                    || self.replace(record, revision, &user_ids, expected, true)?
            }
            Some(Expected::Absent(Some(expected))) => {
                self.replace(record, revision, &user_ids, number(expected), false)?
            }
            Some(Expected::Absent(None)) => self.create(record, revision, &user_ids)?,
            None => self.replace_any(record, revision, &user_ids)?,
        };
        if !is_written {
            return Ok(Outcome::Conflict);
        }
        self.last_revision = revision;
        Ok(written(Revision::from_u64(revision.cast_unsigned())))
    }

    /// What nearly every commit is: a record with the users it had before.
    fn replace_bytes(
        &self,
        record: &NewRecord<'_>,
        revision: i64,
        user_ids: &str,
        expected: Option<i64>,
    ) -> rusqlite::Result<bool> {
        if record.erased_at.is_some() {
            return Ok(false);
        }
        let sql = "UPDATE record SET revision = ?1, bytes = ?2 \
                   WHERE key = ?3 AND revision = ?4 AND erased_at IS NULL AND user_ids = ?5";
        let mut update = self.connection.prepare_cached(sql)?;
        let changed = update.execute((revision, record.bytes, record.key, expected, user_ids))?;
        Ok(changed == 1)
    }

    fn replace(
        &self,
        record: &NewRecord<'_>,
        revision: i64,
        user_ids: &str,
        expected: Option<i64>,
        expected_present: bool,
    ) -> rusqlite::Result<bool> {
        let sql = "UPDATE record SET revision = ?2, erased_at = ?3, user_ids = ?4, bytes = ?5 \
                   WHERE key = ?1 AND revision = ?6 AND (erased_at IS NULL) = ?7 RETURNING id";
        self.write_row(
            record,
            revision,
            user_ids,
            sql,
            &[&expected, &expected_present],
        )
    }

    fn create(
        &self,
        record: &NewRecord<'_>,
        revision: i64,
        user_ids: &str,
    ) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO record (key, revision, erased_at, user_ids, bytes) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO NOTHING RETURNING id";
        self.write_row(record, revision, user_ids, sql, &[])
    }

    fn replace_any(
        &self,
        record: &NewRecord<'_>,
        revision: i64,
        user_ids: &str,
    ) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO record (key, revision, erased_at, user_ids, bytes) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO UPDATE SET \
                   revision = ?2, erased_at = ?3, user_ids = ?4, bytes = ?5 RETURNING id";
        self.write_row(record, revision, user_ids, sql, &[])
    }

    /// Runs a statement that writes the row or leaves it alone, and in the first case brings the
    /// index of user ids up to date.
    fn write_row(
        &self,
        record: &NewRecord<'_>,
        revision: i64,
        user_ids: &str,
        sql: &str,
        more: &[&dyn ToSql],
    ) -> rusqlite::Result<bool> {
        let params: [&dyn ToSql; 5] = [
            &record.key,
            &revision,
            &record.erased_at,
            &user_ids,
            &record.bytes,
        ];
        let all = [&params[..], more].concat();
        let id: Option<i64> = self
            .connection
            .prepare_cached(sql)?
            .query_row(&*all, |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        let delete = "DELETE FROM record_user WHERE record_id = ?1";
        self.connection.prepare_cached(delete)?.execute([id])?;
        let insert = "INSERT OR IGNORE INTO record_user (record_id, user_id) VALUES (?1, ?2)";
        let mut insert = self.connection.prepare_cached(insert)?;
        for user_id in record.user_ids {
            insert.execute((id, user_id))?;
        }
        Ok(true)
    }
}

/// The number that a revision of this engine is. Any other revision is at no key, and neither is
/// NULL equal to anything in SQL.
fn number(revision: &Revision) -> Option<i64> {
    revision
        .as_u64()
        .and_then(|number| i64::try_from(number).ok())
}
