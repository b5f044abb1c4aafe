//! The table: how it is named, recognised and made. One that is not ours, or newer than this build,
//! is never written to, and none is made by a connection that comes after the first.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use super::{PostgresOpenError, PostgresOptions, failure};

/// The newest schema this build knows.
const SCHEMA_VERSION: u32 = 1;
/// What the comment on one of our tables begins with, before the schema's version. A comment is
/// made with its table in one transaction, everyone may read it, and a copy of the database has it. Its second
/// line is a number by chance, which tells a table from one that was made in its place.
const COMMENT: &str = "session-locker schema ";
/// How many bits of a revision are drawn by chance, below those that count.
pub(super) const CHANCE_BITS: u32 = 16;

/// The names by which statements know the table and what belongs to it, quoted.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The table.
    pub(super) table: String,
    /// The sequence that counts revisions.
    pub(super) revisions: String,
    /// Indexes are named without a schema: they are in the table's.
    by_user: String,
    by_erasure: String,
}

impl Names {
    /// The names that the options make. Nothing but letters, digits and `_` is in them.
    pub(super) fn new(options: &PostgresOptions) -> Self {
        let table = &options.table;
        let in_schema = |name: &str| match &options.schema {
            Some(schema) => format!("\"{schema}\".\"{name}\""),
            None => format!("\"{name}\""),
        };
        Self {
            table: in_schema(table),
            revisions: in_schema(&format!("{table}_revision")),
            by_user: format!("\"{table}_user\""),
            by_erasure: format!("\"{table}_erased\""),
        }
    }

    /// Version 1. Keys and user ids are bytes of UTF-8, which compare as the contract wants it in any
    /// database. A record with `erased_at` is a tombstone. Half of each page is left free, so that
    /// a new version of a row finds room beside the old one and the indexes stay as they are;
    /// what is large is stored outside of the page.
    fn create(&self, number: &str) -> String {
        let Self {
            table,
            revisions,
            by_user,
            by_erasure,
        } = self;
        let last_number = i64::MAX >> CHANCE_BITS;
        format!(
            "CREATE SEQUENCE IF NOT EXISTS {revisions} MAXVALUE {last_number};
            CREATE TABLE {table} (
                key bytea PRIMARY KEY,
                revision bigint NOT NULL,
                erased_at timestamptz,
                user_ids bytea[] NOT NULL,
                bytes bytea NOT NULL
            ) WITH (fillfactor = 50);
            CREATE INDEX {by_user} ON {table} USING gin (user_ids);
            CREATE INDEX {by_erasure} ON {table} (erased_at) WHERE erased_at IS NOT NULL;
            COMMENT ON TABLE {table} IS '{COMMENT}{SCHEMA_VERSION}\n{number}'"
        )
    }
}

/// What a connection has found behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether nothing can be written here: a standby, or a database that was set so.
    pub(super) is_read_only: bool,
    /// Whether the server flushes to its disk at all.
    pub(super) flushes: bool,
    /// Whether commits wait for standbys.
    pub(super) has_standbys: bool,
    /// The table, if there is one of this name: its comment.
    table: Option<Option<String>>,
}

impl Found {
    /// Whether the table is there, and is one that this build knows.
    pub(super) fn table(&self, names: &Names) -> Result<bool, PostgresOpenError> {
        let Some(comment) = &self.table else {
            return Ok(false);
        };
        let table = || names.table.clone();
        // Whoever wants to may add lines of his own.
        let first_line = comment
            .as_deref()
            .and_then(|comment| comment.lines().next());
        let version = first_line.and_then(|line| line.strip_prefix(COMMENT)?.parse().ok());
        match version {
            Some(SCHEMA_VERSION) => Ok(true),
            Some(found) => Err(PostgresOpenError::UnknownSchema {
                table: table(),
                found,
                supported: SCHEMA_VERSION,
            }),
            None => Err(PostgresOpenError::ForeignTable {
                table: table(),
                comment: comment.clone(),
            }),
        }
    }

    /// The table's number by chance, if it has one: whoever makes it by hand may leave it out.
    pub(super) fn number(&self) -> Option<&str> {
        let second_line = self.table.as_ref()?.as_deref()?.lines().nth(1)?;
        let is_number = u64::from_str_radix(second_line, 16).is_ok() && second_line.len() == 16;
        is_number.then_some(second_line)
    }

    /// Whether there is a table at all.
    pub(super) fn has_table(&self) -> bool {
        self.table.is_some()
    }
}

/// Looks, without writing anything. `to_regclass` also finds a table that another server has made since the
/// statement began. The statement does not see such a table, nor its comment: it is not there yet.
pub(super) async fn inspect(client: &Client, names: &Names) -> Result<Found, Error> {
    let table = &names.table;
    let sql = format!(
        "SELECT current_setting('transaction_read_only'), class.oid IS NOT NULL, \
         obj_description(class.oid, 'pg_class'), current_setting('fsync', true), \
         current_setting('synchronous_standby_names', true) \
         FROM (SELECT 1) AS one \
         LEFT JOIN pg_catalog.pg_class AS class ON class.oid = to_regclass('{table}')"
    );
    let messages = client.simple_query(&sql).await?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let column = |place| row.and_then(|row: &SimpleQueryRow| row.get(place));
    let is_there = column(1) == Some("t");
    Ok(Found {
        is_read_only: column(0) == Some("on"),
        flushes: column(3) != Some("off"),
        has_standbys: column(4).is_some_and(|names| !names.is_empty()),
        table: is_there.then(|| column(2).map(str::to_owned)),
    })
}

/// Makes the table if it is not there; its number. Another engine may be doing the same at this moment: then
/// this one's attempt fails as a whole, and finds the other's table.
pub(super) async fn create_if_missing(
    client: &Client,
    names: &Names,
) -> Result<Option<String>, CreateError> {
    const ATTEMPTS: u32 = 5;
    let number = format!("{:016x}", fastrand::u64(..));
    for attempt in 1.. {
        let found = inspect(client, names).await.map_err(CreateError::Lost)?;
        if found.table(names).map_err(CreateError::Refused)? {
            return Ok(found.number().map(str::to_owned));
        }
        match client.batch_execute(&names.create(&number)).await {
            Ok(()) => break,
            Err(error) if error.code().is_none() => return Err(CreateError::Lost(error)),
            Err(error) if is_race(&error) && attempt < ATTEMPTS => {}
            Err(error) => {
                return Err(CreateError::Refused(PostgresOpenError::NotCreated {
                    table: names.table.clone(),
                    message: failure::text(&error),
                }));
            }
        }
    }
    // Five times faster where the server has been built with it, and nothing more.
    let table = &names.table;
    let sql = format!("ALTER TABLE {table} ALTER COLUMN bytes SET COMPRESSION lz4");
    let _ = client.batch_execute(&sql).await;
    Ok(Some(number))
}

/// Why there is no table to work with.
#[derive(Debug)]
pub(super) enum CreateError {
    /// The connection has broken.
    Lost(Error),
    /// What is there is not ours, or the server does not want ours.
    Refused(PostgresOpenError),
}

/// Whether somebody else was making the same thing. PostgreSQL says so in several ways, by how far
/// the two had come.
fn is_race(error: &Error) -> bool {
    let codes = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::INTERNAL_ERROR,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(comment: Option<&str>) -> Result<bool, PostgresOpenError> {
        let names = Names::new(&PostgresOptions::default());
        let table = Some(comment.map(str::to_owned));
        Found {
            is_read_only: false,
            flushes: true,
            has_standbys: false,
            table,
        }
        .table(&names)
    }

    #[test]
    fn a_table_is_ours_by_the_first_line_of_its_comment() {
        assert_eq!(found(Some("session-locker schema 1")), Ok(true));
        assert_eq!(
            found(Some("session-locker schema 1\nsaves of arena")),
            Ok(true)
        );
    }

    #[test]
    fn a_table_of_another_program_or_of_a_newer_build_is_refused() {
        for comment in [
            None,
            Some(""),
            Some("saves"),
            Some("session-locker schema x"),
        ] {
            let error = found(comment).unwrap_err();
            assert!(
                matches!(error, PostgresOpenError::ForeignTable { .. }),
                "{error}"
            );
        }
        let error = found(Some("session-locker schema 2")).unwrap_err();
        let is_newer = matches!(error, PostgresOpenError::UnknownSchema { found: 2, .. });
        assert!(is_newer, "{error}");
    }
}
