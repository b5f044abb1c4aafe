//! A connection to one server, over which commands go and their answers come back.

use std::cell::{Cell, RefCell};
use std::io;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{JoinHandle, spawn_local};

use super::Host;
use super::commands::Answers;
use super::failure::Failure;
use super::schema::Verified;
use super::scripts::Scripts;

/// How many bytes are gathered before they are given to the operating system.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// A connection to a server.
pub(super) struct Connection {
    client: MultiplexedConnection,
    host: Host,
    /// What ended it.
    end: RefCell<Option<String>>,
    /// Moves bytes, and ends with the connection; taken by whoever waits for that.
    driver: Cell<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Over a stream that has just been opened.
    pub(super) async fn new<S>(host: &Host, stream: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // It says nothing by itself: the greeting is ours.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_write_backpressure_boundary(WRITE_BUFFER_BYTES);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (client, driver) = made.map_err(io::Error::other)?;
        Ok(Self {
            client,
            host: host.clone(),
            end: RefCell::default(),
            driver: Cell::new(Some(spawn_local(driver))),
        })
    }

    /// Whose it is.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// What moves its bytes, for whoever waits for its end; once.
    pub(super) fn take_driver(&self) -> Option<JoinHandle<()>> {
        self.driver.take()
    }

    /// Says to all who wait for an answer why there will be none, if they are not told already.
    pub(super) fn note_end(&self, reason: &str) {
        let mut end = self.end.borrow_mut();
        end.get_or_insert_with(|| reason.to_owned());
    }

    /// Sends commands and waits for all their answers.
    pub(super) async fn ask(&self, commands: &Pipeline) -> Result<Answers, Failure> {
        let mut client = self.client.clone();
        let count = commands.len();
        match client.send_packed_commands(commands, 0, count).await {
            Ok(values) => Ok(Answers::new(values)),
            Err(error) => {
                // The first to hear of it hears the cause, the others only that it is over.
                let mut end = self.end.borrow_mut();
                let text = end.get_or_insert_with(|| error.to_string());
                let host = &self.host;
                Err(Failure::Lost(format!(
                    "the connection to {host} broke: {text}"
                )))
            }
        }
    }
}

impl Drop for Connection {
    /// Before it has come to anything, nobody else ends it.
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
    }
}

/// A connection that works, or did until a moment ago.
pub(super) struct Session {
    /// Where to ask.
    pub(super) connection: Connection,
    /// What the server was given.
    pub(super) scripts: Scripts,
    /// What it may be used for.
    pub(super) verified: Verified,
}
