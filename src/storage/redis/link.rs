//! The connection and its fate: made, found to be of use, lost, and made again after a pause that
//! grows.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, pipe};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::commands::Answers;
use super::failure::Failure;
use super::layout::{Layout, SCHEMA, SCHEMA_VERSION};
use super::parameters::{Durability, RedisOptions};
use super::persistence::{Info, Persistence};
use super::scripts::Scripts;
use super::tls::Connector;
use super::{Host, RedisOpenError};

/// The pauses between attempts to connect: the first, and the longest. Each is between a tenth of
/// that and all of it, by chance, so that the servers of a game do not come back all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A connection that has lived for so long was a good one: the next pause is a first one again.
const GOOD_LIFE: Duration = Duration::from_secs(10);
/// How long the network may stay silent before the operating system asks whether the server is
/// there, and how long sent bytes may go unacknowledged before it says that it is not.
const SILENCE: Duration = Duration::from_secs(15);
/// How many bytes are gathered before they are given to the operating system.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// How to make connections.
pub(super) struct Maker {
    options: RedisOptions,
    connector: Connector,
    layout: Layout,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NotConnected {
    /// It may go well later. The text says which server did what.
    ForNow(String),
    /// It will not.
    Refused(RedisOpenError),
}

impl NotConnected {
    /// For a person.
    pub(super) fn text(&self) -> String {
        match self {
            Self::ForNow(message) => message.clone(),
            Self::Refused(RedisOpenError::Refused { message }) => message.clone(),
            Self::Refused(error) => error.to_string(),
        }
    }
}

/// Whether keys of ours are there already, or are to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Schema {
    /// The schema key is made if it is not there.
    Make,
    /// It was there, so it must be: a server without it has lost what it had.
    Expect,
}

impl Maker {
    /// For one engine.
    pub(super) fn new(options: RedisOptions, connector: Connector) -> Self {
        let layout = Layout::new(&options.prefix);
        Self {
            options,
            connector,
            layout,
        }
    }

    /// What it was made from.
    pub(super) fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// The names of keys.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The first connection, which makes the schema key if need be.
    pub(super) async fn open(&self, deadline: Instant) -> Result<Session, NotConnected> {
        self.connect(Schema::Make, deadline).await
    }

    /// A later one.
    async fn reopen(&self) -> Result<Session, NotConnected> {
        let deadline = Instant::now() + self.options.connect_timeout;
        self.connect(Schema::Expect, deadline).await
    }

    /// Tries the hosts in order, until one takes the connection and can be written to. Each may take its
    /// share of the time that is left.
    async fn connect(&self, schema: Schema, deadline: Instant) -> Result<Session, NotConnected> {
        let mut messages = Vec::new();
        let mut may_pass = false;
        let hosts = &self.options.hosts;
        for (host, hosts_left) in hosts.iter().zip((1..=hosts.len() as u32).rev()) {
            let patience = deadline.saturating_duration_since(Instant::now()) / hosts_left;
            let attempt = timeout(patience, self.connect_to(host, schema)).await;
            let failure = match attempt {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(NotConnected::Refused(RedisOpenError::Refused { message }))) => message,
                // What is there is not ours, or not as it must be; nothing better is on its replicas.
                Ok(Err(refused @ NotConnected::Refused(_))) => return Err(refused),
                Ok(Err(NotConnected::ForNow(message))) => {
                    may_pass = true;
                    message
                }
                Err(_) => {
                    may_pass = true;
                    format!("{host}: no answer within {:.1} s", patience.as_secs_f64())
                }
            };
            messages.push(failure);
        }
        let message = messages.join("; ");
        Err(if may_pass {
            NotConnected::ForNow(message)
        } else {
            NotConnected::Refused(RedisOpenError::Refused { message })
        })
    }

    async fn connect_to(&self, host: &Host, schema: Schema) -> Result<Session, NotConnected> {
        let connection = self.reach(host).await?;
        let not_usable = |failure: Failure| not_usable(host, &failure);
        self.log_in(&connection).await.map_err(not_usable)?;
        let found = self.greet(&connection).await.map_err(not_usable)?;
        self.check_role(host, &found.info)?;
        self.check_persistence(host, &found.persistence)?;
        if !self.has_schema(found.schema)? {
            if schema == Schema::Expect {
                return Err(NotConnected::ForNow(format!(
                    "{host}: the key {:?} is gone, so the server has lost its data; it is not used \
                     until that is back, or a storage is opened on it anew",
                    self.layout.schema()
                )));
            }
            let made = self.make_schema(&connection).await.map_err(not_usable)?;
            self.has_schema(made)?;
        }
        let scripts = Scripts::load(&connection).await.map_err(not_usable)?;
        Ok(Session {
            connection,
            scripts,
            persistence: found.persistence,
        })
    }

    async fn reach(&self, host: &Host) -> Result<Connection, NotConnected> {
        let reached = self.reach_stream(host).await;
        reached.map_err(|error| {
            let message = format!("{host}: {error}");
            // Certificates and names stay as they are.
            let is_about_tls = error.kind() == io::ErrorKind::InvalidData
                || error.kind() == io::ErrorKind::InvalidInput;
            if is_about_tls {
                NotConnected::Refused(RedisOpenError::Refused { message })
            } else {
                NotConnected::ForNow(message)
            }
        })
    }

    async fn reach_stream(&self, host: &Host) -> io::Result<Connection> {
        #[cfg(unix)]
        if host.name.starts_with('/') {
            let stream = tokio::net::UnixStream::connect(&host.name).await?;
            return Connection::new(host, stream).await;
        }
        let stream = TcpStream::connect((&*host.name, host.port)).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE))?;
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        socket.set_tcp_user_timeout(Some(SILENCE))?;
        match self.connector.connect(&host.name, stream).await? {
            Ok(encrypted) => Connection::new(host, encrypted).await,
            Err(stream) => Connection::new(host, stream).await,
        }
    }

    /// The first word on a connection goes alone: a server that takes no more of them says so in its
    /// answer and closes, and what is asked behind that would take the answer along.
    async fn log_in(&self, connection: &Connection) -> Result<(), Failure> {
        let RedisOptions { user, password, .. } = &self.options;
        let mut word = pipe();
        match password {
            Some(password) => word.cmd("AUTH").arg(user).arg(password),
            None => word.cmd("PING"),
        };
        connection.ask(&word).await?.next("AUTH")?;
        Ok(())
    }

    /// Asks what is needed to know the server by, in one go.
    async fn greet(&self, connection: &Connection) -> Result<Found, Failure> {
        let options = &self.options;
        let mut greeting = pipe();
        if options.database != 0 {
            greeting.cmd("SELECT").arg(options.database);
        }
        greeting.cmd("INFO");
        greeting.cmd("GET").arg(self.layout.schema());
        // These may be refused: what is asked of them is good to know and not needed.
        greeting.cmd("CONFIG").arg("GET").arg("*appendfsync*");
        greeting.cmd("CLIENT").arg("SETNAME").arg("session-locker");

        let mut answers = connection.ask(&greeting).await?;
        if options.database != 0 {
            answers.next("SELECT")?;
        }
        let info = Info::new(answers.text("INFO")?);
        let schema = match answers.optional_text("GET") {
            // It says more clearly itself why it will not do.
            Err(Failure::Refused(_)) if info.get("redis_mode") == Some("cluster") => None,
            schema => schema?,
        };
        let config = answers.texts("CONFIG GET").unwrap_or_default();
        let pairs = config.chunks_exact(2);
        let config: Vec<_> = pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        let persistence = Persistence::read(&info, &config);
        Ok(Found {
            info,
            schema,
            persistence,
        })
    }

    fn check_role(&self, host: &Host, info: &Info) -> Result<(), NotConnected> {
        if info.get("redis_mode") == Some("cluster") {
            let message = format!(
                "{host}: it is a node of a Redis Cluster, which this engine cannot talk to yet"
            );
            return Err(NotConnected::Refused(RedisOpenError::Refused { message }));
        }
        if info.get("role").is_some_and(|role| role != "master") {
            let message = format!("{host}: the server is a replica, which takes no writes");
            return Err(NotConnected::ForNow(message));
        }
        Ok(())
    }

    fn check_persistence(&self, host: &Host, found: &Persistence) -> Result<(), NotConnected> {
        match (self.options.durability, found.weakness()) {
            (Durability::Require, Some(weakness)) => {
                let message = format!("{host}: {weakness}");
                Err(NotConnected::Refused(RedisOpenError::NotDurable {
                    message,
                }))
            }
            _ => Ok(()),
        }
    }

    /// Whether what the schema key holds is there, and is ours.
    fn has_schema(&self, found: Option<String>) -> Result<bool, NotConnected> {
        let Some(found) = found else {
            return Ok(false);
        };
        let key = self.layout.schema();
        let version = found.strip_prefix(SCHEMA).map(str::parse);
        Err(NotConnected::Refused(match version {
            Some(Ok(SCHEMA_VERSION)) => return Ok(true),
            Some(Ok(found)) => RedisOpenError::UnknownSchema {
                key,
                found,
                supported: SCHEMA_VERSION,
            },
            _ => RedisOpenError::ForeignKey { key, found },
        }))
    }

    /// Makes the schema key, or finds another's who was quicker; what it holds then.
    async fn make_schema(&self, connection: &Connection) -> Result<Option<String>, Failure> {
        let key = self.layout.schema();
        let mut make = pipe();
        make.cmd("SETNX")
            .arg(&key)
            .arg(format!("{SCHEMA}{SCHEMA_VERSION}"));
        make.cmd("GET").arg(&key);
        let mut answers = connection.ask(&make).await?;
        answers.next("SETNX")?;
        answers.optional_text("GET")
    }
}

/// What a new connection has found behind it.
struct Found {
    info: Info,
    /// What the schema key holds.
    schema: Option<String>,
    persistence: Persistence,
}

fn not_usable(host: &Host, failure: &Failure) -> NotConnected {
    let message = format!("{host}: {failure}");
    if failure.may_pass() {
        NotConnected::ForNow(message)
    } else {
        NotConnected::Refused(RedisOpenError::Refused { message })
    }
}

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
    async fn new<S>(host: &Host, stream: S) -> io::Result<Self>
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
    /// What the server does with what it has acknowledged.
    pub(super) persistence: Persistence,
}

/// How much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// How many requests.
    pub(super) requests: usize,
    /// The bytes of their values, and of the answers that are expected.
    pub(super) bytes: usize,
}

/// The place for the connection, filled again when it is empty.
#[derive(Default)]
pub(super) struct Link {
    session: RefCell<Option<(Rc<Session>, AbortHandle)>>,
    load: Cell<Load>,
    /// Told when it has ended.
    ended: Notify,
}

impl Link {
    /// The connection, if there is one.
    pub(super) fn session(&self) -> Option<Rc<Session>> {
        let session = self.session.borrow();
        session.as_ref().map(|(session, _)| Rc::clone(session))
    }

    /// How much is under way.
    pub(super) fn load(&self) -> Load {
        self.load.get()
    }

    /// Counts what is begun.
    pub(super) fn begin(&self, Load { requests, bytes }: Load) {
        let load = self.load.get();
        self.load.set(Load {
            requests: load.requests + requests,
            bytes: load.bytes + bytes,
        });
    }

    /// Counts what has ended.
    pub(super) fn end(&self, Load { requests, bytes }: Load) {
        let load = self.load.get();
        self.load.set(Load {
            requests: load.requests - requests,
            bytes: load.bytes - bytes,
        });
    }

    /// Gives this session up, if it is still the one: whatever is under way on it fails.
    pub(super) fn abandon(&self, session: &Rc<Session>, reason: &str) {
        if let Some((current, driver)) = &*self.session.borrow()
            && Rc::ptr_eq(current, session)
        {
            let mut end = session.connection.end.borrow_mut();
            end.get_or_insert_with(|| reason.to_owned());
            driver.abort();
        }
    }

    /// Lets go of the connection, if there is one, and waits until it has ended.
    pub(super) async fn close(&self) {
        let ended = self.ended.notified();
        if let Some((_, driver)) = self.session.take() {
            driver.abort();
            ended.await;
        }
    }

    /// Keeps the place filled, for ever. `connected` is called for each new connection, and
    /// `not_connected` for each attempt that has failed.
    pub(super) async fn keep(
        &self,
        maker: &Maker,
        first: Session,
        connected: impl Fn(),
        not_connected: impl Fn(NotConnected),
    ) {
        let mut pause = FIRST_PAUSE;
        let mut made = Ok(first);
        loop {
            match made {
                Ok(session) => {
                    let begun = Instant::now();
                    self.live(session, &connected).await;
                    if begun.elapsed() >= GOOD_LIFE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(error) => not_connected(error),
            }
            sleep(pause.mul_f64(0.1 + 0.9 * fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            made = maker.reopen().await;
        }
    }

    /// Until the connection ends.
    async fn live(&self, session: Session, connected: &impl Fn()) {
        let Some(driver) = session.connection.driver.take() else {
            return;
        };
        let session = Rc::new(session);
        self.session.replace(Some((session, driver.abort_handle())));
        connected();
        let _ = driver.await;
        self.session.take();
        self.ended.notify_waiters();
    }
}
