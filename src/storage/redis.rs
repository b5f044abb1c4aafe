//! The `redis://…` engine: records in a Redis server or a Redis Cluster, for a game on many machines that
//! has one already. It never repeats a commit whose fate it does not know, and never works on the thread
//! that submits.
//!
//! One thread does all of it, with a runtime of its own and one connection to each server: to one, or to
//! every node of a cluster that has some of our keys. What is submitted goes out in batches, one behind
//! another, without waiting for the answers of those before; what comes while much is under way waits, and
//! makes the next batch larger. In a batch each request is a command of its own: Redis runs one after
//! another, so each compare-and-swap is judged by itself.
//!
//! Compare-and-swap is a script, which the server knows by its hash. A server that has lost it says so
//! *instead of* running it; it is given the script, and the request is sent again. A server that has
//! anything else to say against a request has its answer passed on as a failure.
//!
//! A connection that breaks is made again, with growing pauses. What was under way on it has failed
//! with its fate unknown. What is submitted meanwhile waits, up to [`QUEUE_PATIENCE`] and
//! [`MAX_QUEUED_REQUESTS`], and is then answered as failed.
//!
//! In a cluster a node may say that a key is not in its keeping, or not all of what belongs to it. It says
//! so before it does anything, so the request goes to the node that it names, or waits with those that wait
//! for a connection. The client library could find the node by itself, but sends a request again when a
//! connection has broken too; so the engine does it.
//!
//! Whether an acknowledged commit survives a crash of the server is the server's setting, which a client
//! cannot overrule. So the engine looks, and says what it has found: see [`RedisStorage::warnings`].

mod commands;
mod connection;
mod detours;
mod engine;
mod failure;
mod layout;
mod link;
mod lists;
mod maker;
mod nodes;
mod opening;
mod parameters;
mod persistence;
mod queue;
mod schema;
mod scripts;
mod slots;
mod tls;
mod verification;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::admission::Admission;
use super::engine_thread::EngineThread;
pub use super::server_tls::TlsRoots;
pub use super::server_url::Host;
use super::warnings::Warnings;
use super::{Request, Storage};
use maker::Maker;
pub use parameters::{Durability, RedisOptions};

/// The largest value, in bytes: half of what the server takes as one argument.
pub const MAX_VALUE_BYTES: usize = 256_000_000;
/// The most requests that wait for connections; more are answered as failed at once.
pub const MAX_QUEUED_REQUESTS: usize = 65_536;
/// The most bytes of values that wait for connections, save that one request always fits.
pub const MAX_QUEUED_BYTES: usize = 256 << 20;
/// How long a request waits for its connection, or for a cluster to be in order, before it is answered as
/// failed, and not written.
pub const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a batch may be under way before its connection is given up.
const BATCH_PATIENCE: Duration = Duration::from_secs(20);
/// The pause before a request is sent again for which a cluster is not in order.
const DETOUR_PAUSE: Duration = Duration::from_millis(50);

/// Why a storage in Redis was not opened. No message has the password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisOpenError {
    /// The URL is not one.
    #[error(
        "the `redis://` URL {problem}; write redis://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE \
         (or rediss://… for TLS), with %-escapes for characters that mean something else"
    )]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// No certificate to trust was found, or none that can be read.
    #[error("TLS to Redis: {problem}")]
    Tls {
        /// What was not found.
        problem: String,
    },
    /// No server took the connection in the time that `connect_timeout` gives.
    #[error("no connection to Redis within {waited_s} s: {message}")]
    Unreachable {
        /// For how long it was tried.
        waited_s: u64,
        /// Which server said or did what, for the last attempt.
        message: String,
    },
    /// The server has answered and does not want us, so that trying again does not help.
    #[error("Redis does not take this connection: {message}")]
    Refused {
        /// Which server said what.
        message: String,
    },
    /// The URL asks for `durability=require`, and the server is set otherwise.
    #[error(
        "this Redis may lose what was acknowledged, and `durability=require` is asked: {message}"
    )]
    NotDurable {
        /// Which server is set how.
        message: String,
    },
    /// The keys with this prefix are another program's.
    #[error(
        "the key {key:?} is not one of session-locker's (it holds {found:?}); it was left as it is. \
         Choose another prefix with `?prefix=`"
    )]
    ForeignKey {
        /// The key that says whose keys they are.
        key: String,
        /// What it holds instead.
        found: String,
    },
    /// The keys with this prefix were made by a newer build (or have a version that none ever had).
    #[error(
        "the key {key:?} says schema version {found}, but this build of session-locker knows version \
         {supported}; it was left as it is"
    )]
    UnknownSchema {
        /// The key that says so.
        key: String,
        /// The version it says.
        found: u32,
        /// The version that this build reads and writes.
        supported: u32,
    },
    /// The engine could not start.
    #[error("cannot start the Redis engine: {message}")]
    NotStarted {
        /// What was refused.
        message: String,
    },
}

/// A storage in a Redis server or a Redis Cluster. See the module's page.
///
/// Dropping it finishes what was submitted and then returns; after five seconds it returns all the
/// same, and what is left is answered as failed.
pub struct RedisStorage {
    thread: EngineThread,
    warnings: Vec<String>,
    /// Those of connections that came later, on their way to the log.
    new_warnings: Arc<Warnings>,
}

impl RedisStorage {
    /// Connects, and looks at what is there. If it is a node of a cluster, that one leads to the others.
    ///
    /// A server that cannot be reached is tried again until
    /// [`connect_timeout`](RedisOptions::connect_timeout) has passed; one that answers and refuses (a
    /// wrong password, say) is an error at once. Once this has succeeded, a server that goes away
    /// costs requests and nothing else.
    ///
    /// # Errors
    ///
    /// See [`RedisOpenError`]. Keys that are not of this library, or of a newer version of it, are left
    /// as they are.
    pub fn open(options: RedisOptions) -> Result<Self, RedisOpenError> {
        let connector = tls::Connector::new(&options)?;
        let admission = Admission::new(
            "Redis",
            MAX_VALUE_BYTES,
            MAX_QUEUED_REQUESTS,
            MAX_QUEUED_BYTES,
        );
        let new_warnings = Arc::new(Warnings::default());
        let of_thread = Arc::clone(&new_warnings);
        let (opened, is_opened) = channel();
        let not_started = |message| RedisOpenError::NotStarted { message };
        let thread = EngineThread::start("sl-redis", admission, move |submitted, admission| {
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

    /// What an operator should know of the servers that were found: each setting by which one may lose
    /// what was acknowledged, a sentence each. [`open`](super::open()) says them in the log. What a later connection
    /// finds is said there too, once, by [`tick`](Storage::tick).
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Storage for RedisStorage {
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
