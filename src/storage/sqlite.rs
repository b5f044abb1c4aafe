//! The `sqlite:PATH` engine: one database file, SQLite compiled in, for a game on one machine, be
//! it one process or several. It never writes to a file that is not its own, never repeats a
//! commit, and never works on the thread that submits.
//!
//! One thread writes: it takes all that has queued up meanwhile, judges each compare-and-swap on
//! its own, commits them in one transaction and then answers, so that full durability costs one
//! flush for all of them. Two threads read beside it. Between batches the writer moves the
//! write-ahead log into the database and forgets tombstones older than two days.
//!
//! Several engines, of one process or of several, may share the file; their writers take turns.
//! Beside `PATH` stand SQLite's own `PATH-wal` and `PATH-shm`, and two empty files by which the
//! turns are taken, `PATH-turn` and `PATH-write`; nobody may delete any of them while an engine
//! is open. A network file system does not do: SQLite's log needs memory shared by all. The
//! storage clock is the machine's wall clock, which all of them share. An engine does not survive
//! `fork`.

mod batch;
mod reader;
mod schema;
mod turn;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};

use super::{Operation, Request, RequestErrorKind, Storage, StorageError};
use turn::{NoTurn, Turnstile};
use writer::Writer;

/// The largest value, in bytes. SQLite refuses a row of 10^9.
pub const MAX_VALUE_BYTES: usize = 900_000_000;

/// How many threads read.
const READERS: usize = 2;
/// How long opening waits for other engines, or for another program that uses the file.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
/// How long a batch waits to begin, and a query for other programs, before it is answered as
/// failed (and not written).
const PATIENCE: Duration = Duration::from_secs(4);
/// How long dropping the engine waits for what is queued: longer than a batch waits to begin.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// When a commit counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// When the operating system says that it is on the disk: nothing acknowledged is lost, even
    /// if the machine loses power.
    #[default]
    Full,
    /// When it is written: nothing acknowledged is lost if the process dies, but a machine that
    /// loses power may lose the last commits.
    Normal,
}

impl Synchronous {
    /// The name in a URL (`?synchronous=normal`), and in SQLite's pragma.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
}

/// How to open a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqliteOptions {
    /// When a commit counts as durable.
    pub synchronous: Synchronous,
}

/// Why a database was not opened. The file is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqliteOpenError {
    /// There is no directory to keep the file in.
    #[error("the directory of the database {path:?} does not exist; create it first")]
    NoDirectory {
        /// The database, as an absolute path.
        path: PathBuf,
    },
    /// The file is something else: a text, say, or an encrypted database.
    #[error("{path:?} is not an SQLite database; it was left as it is")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is the database of another program.
    #[error(
        "{path:?} is the database of another program (application_id {application_id:#010x}, \
         user_version {version}); it was left as it is"
    )]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
        /// SQLite's `application_id` of it.
        application_id: i32,
        /// SQLite's `user_version` of it.
        version: i32,
    },
    /// The database was written by a newer build (or has a version that none ever had).
    #[error(
        "{path:?} has schema version {found}, but this build of session-locker knows version \
         {supported}; it was left as it is"
    )]
    UnknownSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The schema version that this build reads and writes.
        supported: i32,
    },
    /// The file may be read but not written.
    #[error("{path:?} is read-only")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The operating system or SQLite refused.
    #[error("cannot open the database {path:?}: {message}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was refused.
        message: String,
    },
}

impl SqliteOpenError {
    fn new(path: &Path, error: impl std::fmt::Display) -> Self {
        let path = path.to_owned();
        let message = error.to_string();
        Self::Failed { path, message }
    }
}

/// A storage in an SQLite database. See the module's page.
///
/// Requests wait in queues without a limit: the asker bounds how many it has under way.
///
/// Dropping it finishes what was submitted and then returns; if that takes longer than five
/// seconds (another program holds the file, a disk hangs) it returns all the same, and the threads
/// end by themselves.
pub struct SqliteStorage {
    /// `None` once closed.
    queues: Option<Queues>,
    /// Disconnected when all threads have ended.
    ended: Mutex<Receiver<Never>>,
    threads: Vec<JoinHandle<()>>,
}

struct Queues {
    writes: Sender<Request>,
    reads: Sender<Request>,
}

impl SqliteStorage {
    /// Opens the database at `path`, creating it if the file is missing or empty. Its directory
    /// must exist. Waits up to ten seconds for other engines and programs that hold the file.
    ///
    /// # Errors
    ///
    /// A file that is not a database of this library, or of a newer version of it, is refused and
    /// left as it is; so is one that cannot be written.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, SqliteOpenError> {
        let path = absolute(path)?;
        let failed = |error: rusqlite::Error| SqliteOpenError::new(&path, error);
        let mut connection = schema::connect(&path).map_err(failed)?;
        if connection.is_readonly("main").map_err(failed)? {
            return Err(SqliteOpenError::ReadOnly { path });
        }
        schema::inspect(&connection, &path)?;

        let turnstile = set_up(&mut connection, &path, options)?;
        let readers: Vec<Connection> = (0..READERS)
            .map(|_| {
                let reader = schema::connect(&path)?;
                schema::prepare_reader(&reader).map(|()| reader)
            })
            .collect::<rusqlite::Result<_>>()
            .map_err(failed)?;
        Self::start(connection, turnstile, readers).map_err(|e| SqliteOpenError::new(&path, e))
    }

    fn start(
        connection: Connection,
        turnstile: Turnstile,
        readers: Vec<Connection>,
    ) -> io::Result<Self> {
        let (writes, write_requests) = channel();
        let (reads, read_requests) = channel();
        let (writer_ends, ended) = channel();
        let (reader_ends, readers_ended) = channel();
        let mut storage = Self {
            queues: Some(Queues { writes, reads }),
            ended: Mutex::new(ended),
            threads: Vec::new(),
        };
        let read_requests = Arc::new(Mutex::new(read_requests));
        for connection in readers {
            let requests = Arc::clone(&read_requests);
            let run = move || reader::run(&connection, &requests);
            storage.spawn("sl-sqlite-read", reader_ends.clone(), run)?;
        }
        let writer = Writer::new(connection, turnstile, write_requests, readers_ended);
        storage.spawn("sl-sqlite-write", writer_ends, move || writer.run())?;
        Ok(storage)
    }

    /// Starts a thread that lets go of `ends` when it has ended and has closed its connection.
    fn spawn(
        &mut self,
        name: &str,
        ends: Sender<Never>,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || {
            let _ends = ends;
            run();
        })?);
        Ok(())
    }
}

/// Nothing is ever sent over a channel of these; that it is disconnected is the message.
enum Never {}

impl Storage for SqliteStorage {
    fn submit(&self, request: Request) {
        let Some(queues) = &self.queues else { return };
        let queue = match &request.operation {
            Operation::Fetch { .. } | Operation::List { .. } | Operation::KeysOfUser { .. } => {
                &queues.reads
            }
            Operation::Commit { bytes, .. } if bytes.len() > MAX_VALUE_BYTES => {
                let message = format!("a value of {} bytes is too large for SQLite", bytes.len());
                let error = StorageError::new(RequestErrorKind::Script, message);
                return request.responder.answer(Err(error));
            }
            Operation::Commit { .. } | Operation::Erase { .. } => &queues.writes,
        };
        // A thread that ended has panicked; the request is answered as given up when it is dropped.
        let _ = queue.send(request);
    }
}

impl Drop for SqliteStorage {
    fn drop(&mut self) {
        self.queues = None;
        let ended = self.ended.lock().recv_timeout(CLOSE_PATIENCE);
        if matches!(ended, Err(RecvTimeoutError::Disconnected)) {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
    }
}

/// The path by which every engine of the file knows it: absolute, so that it stays the same when
/// the working directory changes, and with its links resolved.
fn absolute(path: &Path) -> Result<PathBuf, SqliteOpenError> {
    let path = std::path::absolute(path).map_err(|e| SqliteOpenError::new(path, e))?;
    match fs::canonicalize(&path) {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(SqliteOpenError::new(&path, error)),
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(SqliteOpenError::NoDirectory { path });
    };
    match fs::canonicalize(directory) {
        Ok(directory) => Ok(directory.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(SqliteOpenError::NoDirectory { path })
        }
        Err(error) => Err(SqliteOpenError::new(&path, error)),
    }
}

/// Creates or recognises the schema and switches to the write-ahead log, while no other engine of
/// the file does so.
fn set_up(
    connection: &mut Connection,
    path: &Path,
    options: SqliteOptions,
) -> Result<Turnstile, SqliteOpenError> {
    let failed = |message: String| SqliteOpenError::new(path, message);
    let mut turnstile = Turnstile::open(path)
        .map_err(|error| failed(format!("the lock files beside it: {error}")))?;
    let turn = match turnstile.enter(Instant::now() + OPEN_PATIENCE) {
        Ok(turn) => turn,
        Err(NoTurn::Io(error)) => return Err(failed(format!("locking: {error}"))),
        Err(NoTurn::TimedOut) => return Err(failed("another process keeps it locked".to_owned())),
    };
    schema::create_if_empty(connection, path)?;
    schema::prepare_writer(connection, options.synchronous).map_err(|e| failed(e.to_string()))?;
    drop(turn);
    Ok(turnstile)
}

/// The storage clock: this machine's wall clock, in Unix seconds.
fn clock() -> f64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0.0, |since_epoch| since_epoch.as_secs_f64())
}

/// What SQLite said, and what had become of the request by then.
fn storage_error(error: &rusqlite::Error, what_happened: &str) -> StorageError {
    let kind = match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::FileLockingProtocolFailed,
        ) => RequestErrorKind::Backend,
        _ => RequestErrorKind::Misc,
    };
    StorageError::new(kind, format!("SQLite: {error}; {what_happened}"))
}
