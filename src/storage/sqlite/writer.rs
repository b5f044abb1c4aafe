//! The thread that writes: batches, turns, and the upkeep between them. A commit is answered only
//! when its transaction has been committed, and one whose transaction failed is never tried again.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::turn::{NoTurn, Turnstile};
use super::{Never, PATIENCE, batch, clock, storage_error};
use crate::storage::{Operation, Outcome, Request, RequestErrorKind, StorageError};

/// The most requests in one transaction: some 15 ms of work.
const MAX_BATCH_REQUESTS: usize = 1024;
/// The most bytes of values in one transaction, save that one request always fits.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// How many pages (of 4 kB) of the log are left before they are moved into the database.
const CHECKPOINT_PAGES: i64 = 1000;
/// The length of the log, in pages, at which readers are waited for so that it can start anew.
const RESTART_PAGES: i64 = 8 * CHECKPOINT_PAGES;
/// How long these readers are waited for.
const RESTART_PATIENCE: Duration = Duration::from_millis(100);
/// How old tombstones are forgotten, in seconds. The contract asks for 24 hours; this is twice as
/// long, for clocks that are put right.
const TOMBSTONE_AGE_S: f64 = 48.0 * 3600.0;
/// How often tombstones are looked for, and how many are forgotten at once.
const PURGE_PERIOD: Duration = Duration::from_secs(600);
const PURGE_LIMIT: i64 = 1000;

const NOTHING_WRITTEN: &str = "nothing was written";

/// The state of the thread that writes.
pub(super) struct Writer {
    connection: Connection,
    turnstile: Turnstile,
    requests: Receiver<Request>,
    /// Disconnected when the engine's readers have ended.
    readers_ended: Receiver<Never>,
    next_purge: Instant,
    /// How many pages must wait in the log for the next attempt to move them.
    checkpoint_at_pages: i64,
}

impl Writer {
    /// A writer over its own connection.
    pub(super) fn new(
        connection: Connection,
        turnstile: Turnstile,
        requests: Receiver<Request>,
        readers_ended: Receiver<Never>,
    ) -> Self {
        Self {
            connection,
            turnstile,
            requests,
            readers_ended,
            next_purge: Instant::now(),
            checkpoint_at_pages: CHECKPOINT_PAGES,
        }
    }

    /// Writes until the engine closes and nothing is left to write.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let deadline = Instant::now() + PATIENCE;
            // The turn comes first: what queues up while this waits goes into the same batch.
            match self.turnstile.enter(deadline) {
                Ok(_turn) => {
                    let batch = self.take_batch(first);
                    self.write(batch, deadline);
                    self.shorten_log();
                    self.purge_tombstones();
                }
                Err(no_turn) => {
                    let error = turn_error(&no_turn);
                    for request in std::iter::once(first).chain(self.requests.try_iter()) {
                        request.responder.answer(Err(error.clone()));
                    }
                }
            }
        }
        // SQLite moves the log into the database, and removes it, when the last connection to the
        // file is closed; none does it if several are closed at the same moment.
        let _ = self.readers_ended.recv();
    }

    fn take_batch(&self, first: Request) -> Vec<Request> {
        let mut size_bytes = value_bytes(&first);
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH_REQUESTS && size_bytes < MAX_BATCH_BYTES {
            let Ok(request) = self.requests.try_recv() else {
                break;
            };
            size_bytes += value_bytes(&request);
            batch.push(request);
        }
        batch
    }

    fn write(&mut self, batch: Vec<Request>, deadline: Instant) {
        let (operations, responders): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|request| (request.operation, request.responder))
            .unzip();
        let clock = clock();
        let outcomes = self.transact(&operations, clock, deadline);
        drop(operations);
        match outcomes {
            Ok(outcomes) => {
                for (responder, outcome) in responders.into_iter().zip(outcomes) {
                    responder.answer_at(Ok(outcome), Some(clock));
                }
            }
            Err(error) => {
                for responder in responders {
                    responder.answer(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction. What it says of the operations is true once it returns: an error while
    /// they are judged undoes all of them, since a conflict, too, may rest on what was undone.
    fn transact(
        &mut self,
        operations: &[Operation],
        clock: f64,
        deadline: Instant,
    ) -> Result<Vec<Outcome>, StorageError> {
        let begun = self.begin(deadline);
        begun.map_err(|error| storage_error(&error, NOTHING_WRITTEN))?;
        let judged = batch::judge(&self.connection, operations, clock).map_err(|error| {
            self.roll_back();
            storage_error(&error, NOTHING_WRITTEN)
        })?;
        self.run_sql("COMMIT").map_err(|error| {
            self.roll_back();
            storage_error(&error, "it may have been written")
        })?;
        Ok(judged)
    }

    /// Only a program that does not know of turns can make this wait.
    fn begin(&self, deadline: Instant) -> rusqlite::Result<()> {
        self.roll_back();
        let patience = deadline.saturating_duration_since(Instant::now());
        self.connection.busy_timeout(patience)?;
        self.run_sql("BEGIN IMMEDIATE")
    }

    /// Undoes what SQLite has not undone by itself, as it may for a full disk. If that cannot be
    /// done now, it is tried again before the next batch, which fails for as long.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.run_sql("ROLLBACK");
        }
    }

    fn run_sql(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Moves the log into the database when it has grown long. No other engine writes meanwhile,
    /// so that all of it is moved and the next batch can start the log anew. It never fails a
    /// request: whatever does not work now is tried again when the log has grown further.
    fn shorten_log(&mut self) {
        let Ok((length, waiting)) = self.checkpoint("PRAGMA wal_checkpoint(NOOP)") else {
            return;
        };
        if waiting < self.checkpoint_at_pages {
            return;
        }
        let sql = if length < RESTART_PAGES {
            "PRAGMA wal_checkpoint(PASSIVE)"
        } else {
            let _ = self.connection.busy_timeout(RESTART_PATIENCE);
            "PRAGMA wal_checkpoint(TRUNCATE)"
        };
        // What is left over, somebody is reading still: then the attempts, too, become rarer.
        let left = self.checkpoint(sql).map_or(waiting, |(_, waiting)| waiting);
        self.checkpoint_at_pages = left + CHECKPOINT_PAGES.max(left / 2);
    }

    /// The length of the log, and how much of it is not in the database yet; both in pages.
    fn checkpoint(&self, sql: &str) -> rusqlite::Result<(i64, i64)> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.query_row([], |row| {
            let (length, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok((length, length - moved))
        })
    }

    fn purge_tombstones(&mut self) {
        let now = Instant::now();
        if now < self.next_purge {
            return;
        }
        let sql = "DELETE FROM record WHERE id IN \
                   (SELECT id FROM record WHERE erased_at < ?1 LIMIT ?2)";
        let purged = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut delete| delete.execute((clock() - TOMBSTONE_AGE_S, PURGE_LIMIT)));
        // A full portion means that there are more; they go with the batches to come.
        if purged.is_ok_and(|purged| (purged as i64) < PURGE_LIMIT) {
            self.next_purge = now + PURGE_PERIOD;
        }
    }
}

fn value_bytes(request: &Request) -> usize {
    match &request.operation {
        Operation::Commit { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

fn turn_error(no_turn: &NoTurn) -> StorageError {
    let message = match no_turn {
        NoTurn::TimedOut => format!(
            "another process has kept the database locked for {} s; {NOTHING_WRITTEN}",
            PATIENCE.as_secs()
        ),
        NoTurn::Io(error) => format!("cannot lock the database: {error}; {NOTHING_WRITTEN}"),
    };
    StorageError::new(RequestErrorKind::Backend, message)
}
