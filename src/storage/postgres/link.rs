//! One connection and its fate: made, found to be of use, lost, and made again after a pause that
//! grows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode as ClientSslMode;
use tokio_postgres::{Client, Config, Error};

use super::Host;
use super::parameters::{PostgresOptions, SslMode};
use super::queue::{LANES, Lane};
use super::schema::{self, CreateError, Found, Names};
use super::statements::{Prepared, Statements};
use super::tls::Connector;
use super::{PostgresOpenError, failure};
use crate::storage::pauses::Pauses;
use crate::storage::warnings::Warnings;
use crate::storage::{Operation, Outcome, RequestErrorKind, StorageError};

/// How long the network may stay silent before the operating system asks whether the server is
/// there, and how long sent bytes may go unacknowledged before it says that it is not.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a server is given to hear that a statement is not wanted any more.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// How to make connections.
pub(super) struct Maker {
    options: PostgresOptions,
    connector: Connector,
    names: Names,
    statements: Arc<Statements>,
    /// The table that was found at first.
    table: RefCell<Option<KnownTable>>,
    /// What an operator should know of the servers.
    warnings: Arc<Warnings>,
}

/// A table that an engine was opened on.
struct KnownTable {
    /// See [`Found::number`].
    number: Option<String>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NotConnected {
    /// It may go well later. The text says which server did what.
    ForNow(String),
    /// It will not.
    Refused(PostgresOpenError),
}

impl NotConnected {
    /// For a person.
    pub(super) fn text(&self) -> String {
        match self {
            Self::ForNow(message) => message.clone(),
            Self::Refused(error) => error.to_string(),
        }
    }
}

/// Whether there is a table already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Schema {
    /// It is made if it is not there.
    Make,
    /// It was there. If it has gone, it is not made: somebody may be putting it back.
    Expect,
}

impl Maker {
    /// For one engine.
    pub(super) fn new(
        options: PostgresOptions,
        connector: Connector,
        warnings: Arc<Warnings>,
    ) -> Self {
        let names = Names::new(&options);
        let statements = Arc::new(Statements::new(&names, options.is_durable));
        Self {
            options,
            connector,
            names,
            statements,
            table: RefCell::default(),
            warnings,
        }
    }

    /// What it was made from.
    pub(super) fn options(&self) -> &PostgresOptions {
        &self.options
    }

    /// The first connection, which makes the table if need be.
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
                Ok(Err(NotConnected::Refused(error @ PostgresOpenError::Refused { .. }))) => {
                    error_message(error)
                }
                // The table is not ours on this server, and nothing better is to be had from others.
                Ok(Err(NotConnected::Refused(error))) => return Err(NotConnected::Refused(error)),
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
            NotConnected::Refused(PostgresOpenError::Refused { message })
        })
    }

    async fn connect_to(&self, host: &Host, schema: Schema) -> Result<Session, NotConnected> {
        let connection = self.reach(host).await?;
        let client = &connection.client;
        if schema == Schema::Make {
            let created = schema::create_if_missing(client, &self.names).await;
            let number = created.map_err(|error| match error {
                CreateError::Lost(error) => connection.not_usable(&error),
                CreateError::Refused(error) => NotConnected::Refused(error),
            })?;
            self.table.replace(Some(KnownTable { number }));
        }
        let statements = Arc::clone(&self.statements);
        let prepares = self.options.prepares_statements;
        match Prepared::new(client, statements, prepares).await {
            Ok(prepared) => {
                if let Some(weakness) = connection.weakness() {
                    self.warnings.note(weakness);
                }
                Ok(Session {
                    connection,
                    prepared,
                    connector: self.connector.clone(),
                    is_abandoned: Cell::default(),
                })
            }
            Err(error) => Err(connection.not_usable(&error)),
        }
    }

    /// A connection to a server that can be written to, and has no table of another's where ours should be.
    async fn reach(&self, host: &Host) -> Result<Connection, NotConnected> {
        let modes: &[ClientSslMode] = match self.options.ssl_mode {
            SslMode::Disable => &[ClientSslMode::Disable],
            SslMode::Allow => &[ClientSslMode::Disable, ClientSslMode::Require],
            SslMode::Prefer => &[ClientSslMode::Prefer, ClientSslMode::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[ClientSslMode::Require],
        };
        let mut result = self.connect_as(host, modes[0]).await;
        for mode in &modes[1..] {
            match &result {
                Err(error) if failure::is_about_encryption(error) => {
                    result = self.connect_as(host, *mode).await;
                }
                _ => break,
            }
        }
        let mut connection = result.map_err(|error| not_usable(host, &error))?;
        let found = schema::inspect(&connection.client, &self.names).await;
        let found = found.map_err(|error| connection.not_usable(&error))?;
        found.table(&self.names).map_err(NotConnected::Refused)?;
        if found.is_read_only {
            let message = format!("{host}: the database is read-only");
            return Err(NotConnected::ForNow(message));
        }
        self.check_table(host, &found)?;
        connection.flushes = found.flushes;
        connection.has_standbys = found.has_standbys && self.options.is_durable;
        Ok(connection)
    }

    /// Looks whether the table is the one that there was. A server that has lost it is not one to be used, also
    /// when another engine has begun afresh on it: for all sessions their players would be gone.
    fn check_table(&self, host: &Host, found: &Found) -> Result<(), NotConnected> {
        let known = self.table.borrow();
        let Some(KnownTable { number: known }) = &*known else {
            return Ok(());
        };
        let how = match (known, found.number()) {
            _ if !found.has_table() => "is gone",
            (Some(known), Some(number)) if known != number => "was made anew",
            _ => return Ok(()),
        };
        let table = &self.names.table;
        Err(NotConnected::ForNow(format!(
            "{host}: the table {table} {how}, so the database has lost its data; it is not used until that is \
             back, or this storage is opened anew"
        )))
    }

    async fn connect_as(&self, host: &Host, mode: ClientSslMode) -> Result<Connection, Error> {
        let options = &self.options;
        let mut config = Config::new();
        config
            .host(&host.name)
            .port(host.port)
            .ssl_mode(mode)
            .application_name(&options.application_name)
            .connect_timeout(options.connect_timeout)
            .keepalives_idle(SILENCE)
            .tcp_user_timeout(SILENCE);
        if let Some(user) = &options.user {
            config.user(user);
        }
        if let Some(password) = &options.password {
            config.password(password);
        }
        if let Some(database) = &options.database {
            config.dbname(database);
        }
        let (client, driver) = config.connect(self.connector.clone()).await?;
        let end = Rc::new(RefCell::new(None));
        let of_driver = Rc::clone(&end);
        let driver = spawn_local(async move {
            let text = match driver.await {
                Ok(()) => "it was closed".to_owned(),
                Err(error) => failure::text(&error),
            };
            // Before anybody who waits for an answer on it hears that there will be none.
            of_driver.borrow_mut().get_or_insert(text);
        });
        Ok(Connection {
            client,
            host: host.clone(),
            flushes: true,
            has_standbys: true,
            end,
            driver: Cell::new(Some(driver)),
        })
    }
}

fn error_message(error: PostgresOpenError) -> String {
    match error {
        PostgresOpenError::Refused { message } => message,
        error => error.to_string(),
    }
}

fn not_usable(host: &Host, error: &Error) -> NotConnected {
    let message = format!("{host}: {}", failure::text(error));
    if failure::may_pass(error) {
        NotConnected::ForNow(message)
    } else {
        NotConnected::Refused(PostgresOpenError::Refused { message })
    }
}

/// A connection to a server, without what is prepared on it.
struct Connection {
    client: Client,
    host: Host,
    /// Whether the server flushes to its disk at all.
    flushes: bool,
    /// Whether commits wait for standbys.
    has_standbys: bool,
    /// What ended it.
    end: Rc<RefCell<Option<String>>>,
    /// Moves bytes, and ends with the connection; taken by whoever waits for that.
    driver: Cell<Option<JoinHandle<()>>>,
}

impl Drop for Connection {
    /// Before it has come to anything, nobody else ends it: its driver would wait for a server that does
    /// not answer.
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.abort();
        }
    }
}

impl Connection {
    fn not_usable(&self, error: &Error) -> NotConnected {
        not_usable(&self.host, error)
    }

    /// Why what the server has acknowledged may be lost, if it may.
    fn weakness(&self) -> Option<String> {
        let Self { host, flushes, .. } = self;
        (!flushes).then(|| {
            format!(
                "PostgreSQL at {host}: `fsync` is off: a crash of its machine may lose anything, or all. Set \
                 `fsync = on`"
            )
        })
    }
}

/// A connection that works, or did until a moment ago.
pub(super) struct Session {
    connection: Connection,
    prepared: Prepared,
    connector: Connector,
    is_abandoned: Cell<bool>,
}

impl Session {
    /// Runs a batch; see [`Prepared::run_batch`].
    pub(super) async fn run_batch(
        &self,
        lane: Lane,
        operations: &[Operation],
    ) -> Result<(Vec<Outcome>, Option<f64>), Error> {
        let client = &self.connection.client;
        self.prepared.run_batch(client, lane, operations).await
    }

    /// Forgets old tombstones; whether there may be more of them.
    pub(super) async fn purge(&self) -> Result<bool, Error> {
        self.prepared.purge(&self.connection.client).await
    }

    /// The answer to requests whose batch has failed.
    pub(super) fn storage_error(&self, lane: Lane, error: &Error) -> StorageError {
        let what_happened = match lane.writes() && failure::was_undone(error) {
            true => "nothing was written",
            false => in_doubt(lane),
        };
        if error.as_db_error().is_some() {
            return failure::storage_error(error, what_happened);
        }
        let host = &self.connection.host;
        let end = self.connection.end.borrow();
        let text = end.clone().unwrap_or_else(|| failure::text(error));
        let message =
            format!("PostgreSQL: the connection to {host} broke: {text}; {what_happened}");
        StorageError::new(RequestErrorKind::Backend, message)
    }

    /// The answer to requests whose batch was not answered, for this reason.
    pub(super) fn no_answer(&self, lane: Lane, reason: &str) -> StorageError {
        let (host, what_happened) = (&self.connection.host, in_doubt(lane));
        let message = format!("PostgreSQL at {host}: {reason}; {what_happened}");
        StorageError::new(RequestErrorKind::Backend, message)
    }

    /// Gives the connection up, once: whatever is under way on it fails, and the server is asked to let it be,
    /// unless it `may_wait_for_standbys`.
    fn abandon(&self, driver: &AbortHandle, may_wait_for_standbys: bool, reason: &str) {
        if self.is_abandoned.replace(true) {
            return;
        }
        self.connection
            .end
            .borrow_mut()
            .get_or_insert_with(|| reason.to_owned());
        driver.abort();
        if may_wait_for_standbys {
            return;
        }
        let token = self.connection.client.cancel_token();
        let connector = self.connector.clone();
        spawn_local(async move {
            let _ = timeout(CANCEL_PATIENCE, token.cancel_query(connector)).await;
        });
    }
}

/// What has become of requests, if nobody says.
fn in_doubt(lane: Lane) -> &'static str {
    match lane.writes() {
        true => "it may have been written",
        false => "nothing was read",
    }
}

/// A place for one connection, filled again when it is empty.
#[derive(Default)]
pub(super) struct Link {
    session: RefCell<Option<(Rc<Session>, AbortHandle)>>,
    in_flight: [Cell<usize>; LANES],
    /// How many of them have been answered as lost, and are waited for.
    held_up: Cell<usize>,
    /// Told when a connection has ended.
    ended: Notify,
}

impl Link {
    /// The connection, if there is one.
    pub(super) fn session(&self) -> Option<Rc<Session>> {
        let session = self.session.borrow();
        session.as_ref().map(|(session, _)| Rc::clone(session))
    }

    /// How many batches of a lane are under way.
    pub(super) fn in_flight(&self, lane: Lane) -> usize {
        self.in_flight[lane as usize].get()
    }

    /// How many batches are under way.
    pub(super) fn all_in_flight(&self) -> usize {
        self.in_flight.iter().map(Cell::get).sum()
    }

    /// Whether a commit on this connection may have been made, and be waiting for standbys. A server that is
    /// asked to let it be ceases to wait, and shows everybody what only itself has.
    pub(super) fn may_wait_for_standbys(&self, session: &Session) -> bool {
        let writes = |&lane: &Lane| lane.writes() && self.in_flight(lane) > 0;
        session.connection.has_standbys && Lane::ALL.iter().any(writes)
    }

    /// Whether it is waiting behind a batch that has taken too long.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up.get() > 0
    }

    /// Counts a batch that has taken too long, and is waited for.
    pub(super) fn hold_up(&self) {
        self.held_up.set(self.held_up.get() + 1);
    }

    /// Counts one that is waited for no more.
    pub(super) fn let_go_on(&self) {
        self.held_up.set(self.held_up.get() - 1);
    }

    /// Counts a batch that begins.
    pub(super) fn begin(&self, lane: Lane) {
        let count = &self.in_flight[lane as usize];
        count.set(count.get() + 1);
    }

    /// Counts a batch that has ended.
    pub(super) fn end(&self, lane: Lane) {
        let count = &self.in_flight[lane as usize];
        count.set(count.get() - 1);
    }

    /// Gives this session up, if it is still the one in this place.
    pub(super) fn abandon(&self, session: &Rc<Session>, reason: &str) {
        if let Some((current, driver)) = &*self.session.borrow()
            && Rc::ptr_eq(current, session)
        {
            session.abandon(driver, self.may_wait_for_standbys(session), reason);
        }
    }

    /// Lets go of the connection, if there is one, and waits until it has said goodbye. What is under
    /// way on it comes first.
    pub(super) async fn close(&self) {
        if self.session.take().is_some() {
            self.ended.notified().await;
        }
    }

    /// Keeps the place filled, for ever. `connected` is called for each new connection, and
    /// `not_connected` for each attempt that has failed.
    pub(super) async fn keep(
        &self,
        maker: &Maker,
        mut first: Option<Session>,
        connected: impl Fn(),
        not_connected: impl Fn(NotConnected),
    ) {
        let mut pauses = Pauses::default();
        loop {
            let made = match first.take() {
                Some(session) => Ok(session),
                None => maker.reopen().await,
            };
            match made {
                Ok(session) => {
                    let begun = Instant::now();
                    self.live(session, &connected).await;
                    pauses.ended(begun.elapsed());
                }
                Err(error) => not_connected(error),
            }
            sleep(pauses.next(fastrand::f64())).await;
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
