//! What the database file looks like, how it is recognised, and how a connection to it is set up.
//! A file that is not ours, or newer than this build, is never written to.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{OPEN_PATIENCE, PATIENCE, SqliteOpenError, Synchronous};

/// Identifies our files, to us and to `file(1)`: "SLok" in ASCII.
const APPLICATION_ID: i32 = 0x534C_6F6B;
/// The newest schema this build knows, in SQLite's `user_version`.
pub(super) const SCHEMA_VERSION: i32 = 1;

/// One page of the smallest size.
const SMALLEST_DATABASE_BYTES: u64 = 512;

/// Version 1. `record` is a rowid table because SQLite updates those three to four times faster,
/// and the value comes last so that the columns before it are read without it. A record with
/// `erased_at` (Unix seconds) is a tombstone. `user_ids` is a JSON array, which keeps their order;
/// `record_user` finds them. `revision.last` only ever grows.
const CREATE_SCHEMA: &str = "
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        erased_at REAL,
        user_ids TEXT NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX record_by_erasure ON record (erased_at) WHERE erased_at IS NOT NULL;
    CREATE TABLE record_user (
        record_id INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        PRIMARY KEY (record_id, user_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX record_user_by_user ON record_user (user_id);
    CREATE TABLE revision (last INTEGER NOT NULL) STRICT;
    INSERT INTO revision (last) VALUES (0);
";

/// What a database turned out to be.
#[derive(PartialEq, Eq)]
pub(super) enum Found {
    /// A new or empty file.
    Empty,
    /// Ours, of the version this build writes.
    Ours,
}

/// Opens a connection, creating an empty file if there is none. `path` must be absolute, so that
/// SQLite cannot take it for a URI.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(OPEN_PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Looks at the database without writing to it.
///
/// This asks SQLite and never opens the file itself: closing it would release, by the rules of
/// POSIX, the locks that other connections of this process hold on it.
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<Found, SqliteOpenError> {
    let length_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let path = || path.to_owned();
    // SQLite takes these for empty databases, and would write over them.
    if (1..SMALLEST_DATABASE_BYTES).contains(&length_bytes) {
        return Err(SqliteOpenError::NotADatabase { path: path() });
    }
    // In one snapshot: another engine may be creating the schema at this moment.
    let numbers = || -> rusqlite::Result<(i32, i32, i64)> {
        let snapshot = connection.unchecked_transaction()?;
        let application_id = pragma(&snapshot, "application_id")?;
        let version = pragma(&snapshot, "user_version")?;
        let count = "SELECT count(*) FROM sqlite_schema";
        let objects = snapshot.query_row(count, [], |row| row.get(0))?;
        Ok((application_id, version, objects))
    };
    let (application_id, version, objects) = numbers().map_err(|error| {
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return SqliteOpenError::NotADatabase { path: path() };
        }
        SqliteOpenError::new(&path(), error)
    })?;
    match (application_id, version, objects) {
        (APPLICATION_ID, SCHEMA_VERSION, _) => Ok(Found::Ours),
        (APPLICATION_ID, found, _) => Err(SqliteOpenError::UnknownSchema {
            path: path(),
            found,
            supported: SCHEMA_VERSION,
        }),
        (0, 0, 0) => Ok(Found::Empty),
        (application_id, version, _) => Err(SqliteOpenError::ForeignDatabase {
            path: path(),
            application_id,
            version,
        }),
    }
}

/// Creates the schema in an empty database; afterwards the database is one of ours. Only one
/// engine may do this at a time.
pub(super) fn create_if_empty(
    connection: &mut Connection,
    path: &Path,
) -> Result<(), SqliteOpenError> {
    if inspect(connection, path)? == Found::Empty {
        create(connection).map_err(|error| SqliteOpenError::new(path, error))?;
    }
    Ok(())
}

/// One transaction before the change to WAL, so that the file, if it holds anything, holds its
/// identity.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CREATE_SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// Sets up the connection that writes.
pub(super) fn prepare_writer(
    connection: &Connection,
    synchronous: Synchronous,
) -> rusqlite::Result<()> {
    // Stored in the file, and harmless when it is so already.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", synchronous.name())?;
    // On macOS nothing less reaches the disk; elsewhere this does nothing.
    connection.pragma_update(None, "fullfsync", synchronous == Synchronous::Full)?;
    // The writer does it itself, between batches.
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

/// Sets up a connection that reads.
pub(super) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_flushes_every_commit_unless_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        for (synchronous, level) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
            let connection = connect(&directory.path().join("saves.db")).unwrap();
            prepare_writer(&connection, synchronous).unwrap();
            let value =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
            assert_eq!(value("synchronous").unwrap(), level);
            assert_eq!(value("fullfsync").unwrap(), i32::from(level == 2));
        }
        assert_eq!(Synchronous::default(), Synchronous::Full);
    }
}
