//! The `postgres://…` engine: one table in a PostgreSQL database, for a game on many machines. It
//! never repeats a commit whose fate it does not know, never works on the thread that submits, and
//! asks of the server neither an extension nor a superuser.
//!
//! One thread does all of it, with a runtime of its own and a few connections. What is submitted
//! waits in lanes, one for each kind of statement; what has come together there goes out as one
//! statement over arrays, in which each compare-and-swap is judged by itself. A lane waits for a
//! moment so that more may come, and on each connection for the batch that is under way, so the
//! batches grow with the load.
//!
//! A statement is a transaction. Its rows are locked in the order of their keys, so that servers
//! that write at the same time wait for each other and do not deadlock; where the server finds a
//! deadlock or a serialisation failure all the same, that says that the transaction was undone, and
//! the batch is judged anew. After anything else that went wrong, the requests are answered as failed.
//!
//! A connection that breaks is made again, with growing pauses. What was under way on it has failed
//! with its fate unknown. What is submitted meanwhile waits, up to [`QUEUE_PATIENCE`] and
//! [`MAX_QUEUED_REQUESTS`], and is then answered as failed.
//!
//! Keys and user ids are `bytea`, so that they compare byte for byte whatever the database's
//! collation and encoding. The storage clock is the server's.

mod engine;
mod failure;
mod link;
mod parameters;
mod queue;
mod schema;
mod statements;
mod tls;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::admission::Admission;
use super::engine_thread::EngineThread;
pub use super::server_tls::TlsRoots;
pub use super::server_url::Host;
use super::warnings::Warnings;
use super::{Request, Storage};
use link::Maker;
pub use parameters::{PostgresOptions, SslMode};

/// The largest value, in bytes: a quarter of what the server takes as one message.
pub const MAX_VALUE_BYTES: usize = 256_000_000;
/// The most requests that wait for a connection; more are answered as failed at once.
pub const MAX_QUEUED_REQUESTS: usize = 65_536;
/// The most bytes of values that wait for a connection, save that one request always fits.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;
/// How long a request waits for a connection before it is answered as failed, and not written.
pub const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a batch may be under way before its connection is given up.
const BATCH_PATIENCE: Duration = Duration::from_secs(20);
/// How much longer a connection is kept on which a commit may be waiting for standbys.
const STANDBY_PATIENCE: Duration = Duration::from_secs(300);

/// Why a storage in PostgreSQL was not opened. No message has the password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresOpenError {
    /// The URL is not one.
    #[error(
        "the `postgres://` URL {problem}; write \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE, with %-escapes for \
         characters that mean something else"
    )]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// No certificate to trust was found, or none that can be read.
    #[error("TLS to PostgreSQL: {problem}")]
    Tls {
        /// What was not found.
        problem: String,
    },
    /// No server took the connection in the time that `connect_timeout` gives.
    #[error("no connection to PostgreSQL within {waited_s} s: {message}")]
    Unreachable {
        /// For how long it was tried.
        waited_s: u64,
        /// Which server said or did what, for the last attempt.
        message: String,
    },
    /// The server has answered and does not want us, so that trying again does not help.
    #[error("PostgreSQL does not take this connection: {message}")]
    Refused {
        /// Which server said what.
        message: String,
    },
    /// The table is another program's.
    #[error(
        "the table {table} is not one of session-locker's (its comment is {comment:?}); it was \
         left as it is. Name another with `?table=`"
    )]
    ForeignTable {
        /// The table.
        table: String,
        /// The comment on it.
        comment: Option<String>,
    },
    /// The table was made by a newer build (or has a version that none ever had).
    #[error(
        "the table {table} has schema version {found}, but this build of session-locker knows \
         version {supported}; it was left as it is"
    )]
    UnknownSchema {
        /// The table.
        table: String,
        /// Its schema version.
        found: u32,
        /// The version that this build reads and writes.
        supported: u32,
    },
    /// There is no table, and it could not be made.
    #[error("cannot create the table {table}: {message}")]
    NotCreated {
        /// The table.
        table: String,
        /// What the server said.
        message: String,
    },
    /// The engine could not start.
    #[error("cannot start the PostgreSQL engine: {message}")]
    NotStarted {
        /// What was refused.
        message: String,
    },
}

/// A storage in a PostgreSQL database. See the module's page.
///
/// Dropping it finishes what was submitted and then returns; after five seconds it returns all the
/// same, and what is left is answered as failed.
pub struct PostgresStorage {
    thread: EngineThread,
    warnings: Vec<String>,
    /// Those of connections that came later, on their way to the log.
    new_warnings: Arc<Warnings>,
}

impl PostgresStorage {
    /// Connects, and creates the table if it is not there.
    ///
    /// A server that cannot be reached is tried again until
    /// [`connect_timeout`](PostgresOptions::connect_timeout) has passed; one that answers and refuses
    /// (a wrong password, no such database) is an error at once. Once this has succeeded, a server
    /// that goes away costs requests and nothing else.
    ///
    /// # Errors
    ///
    /// See [`PostgresOpenError`]. A table that is not of this library, or of a newer version of it,
    /// is left as it is.
    pub fn open(options: PostgresOptions) -> Result<Self, PostgresOpenError> {
        let connector = tls::Connector::new(&options)?;
        let admission = Admission::new(
            "PostgreSQL",
            MAX_VALUE_BYTES,
            MAX_QUEUED_REQUESTS,
            MAX_QUEUED_BYTES,
        );
        let new_warnings = Arc::new(Warnings::default());
        let of_thread = Arc::clone(&new_warnings);
        let (opened, is_opened) = channel();
        let not_started = |message| PostgresOpenError::NotStarted { message };
        let thread = EngineThread::start("sl-postgres", admission, move |submitted, admission| {
            let maker = Maker::new(options, connector, of_thread);
            engine::run(maker, submitted, admission, &opened);
        })
        .map_err(|error| not_started(error.to_string()))?;
        // The thread's end is waited for too if it could not be opened.
        is_opened
            .recv()
            .unwrap_or_else(|_| Err(not_started("its thread has ended".to_owned())))?;
        Ok(Self {
            thread,
            warnings: new_warnings.take(),
            new_warnings,
        })
    }

    /// What an operator should know of the server that was found: why it may lose what was acknowledged, if
    /// it may. [`open`](super::open()) says it in the log. What a later connection
    /// finds is said there too, once, by [`tick`](Storage::tick).
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Storage for PostgresStorage {
    fn submit(&self, request: Request) {
        self.submit_all(vec![request]);
    }

    fn submit_all(&self, requests: Vec<Request>) {
        self.thread.submit_all(requests);
    }

    fn tick(&self) -> bool {
        self.new_warnings.say_new();
        false
    }
}
