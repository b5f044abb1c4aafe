//! How connections are made: to a server that is found to be of use, and whose keys are ours.

use std::io;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::pipe;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::{Connection, Session};
use super::failure::Failure;
use super::layout::{Layout, Partition};
use super::parameters::{Durability, RedisOptions};
use super::persistence::{Info, Persistence};
use super::schema::{Schemas, Verified};
use super::scripts::Scripts;
use super::slots::Slots;
use super::tls::Connector;
use super::{Host, RedisOpenError};
use crate::storage::warnings::Warnings;

/// How long the network may stay silent before the operating system asks whether the server is
/// there, and how long sent bytes may go unacknowledged before it says that it is not.
const SILENCE: Duration = Duration::from_secs(15);

/// How long each of the other servers may take at most to say that it takes writes too.
const RIVAL_PATIENCE: Duration = Duration::from_secs(1);

/// How to make connections.
pub(super) struct Maker {
    options: RedisOptions,
    connector: Connector,
    layout: Layout,
    /// What is known of schema keys.
    schemas: Schemas,
    /// What an operator should know of the servers.
    warnings: Arc<Warnings>,
}

/// Where a connection is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the one of the URL's servers that takes writes.
    Server,
    /// To this node of the cluster of which the URL names nodes.
    Node(Host),
}

/// What the URL names.
pub(super) enum Found {
    /// A server, and the connection to it.
    Server(Box<Session>),
    /// Some of the nodes of a cluster, and which node has which partition.
    Cluster(Slots),
}

/// Which clusters will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those of which each slot that is needed is some node's.
    Complete,
    /// Any: what there is of it is to be followed.
    Any,
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

    /// What a failure on a new connection means.
    pub(super) fn after(host: &Host, failure: &Failure) -> Self {
        let message = format!("{host}: {failure}");
        if failure.may_pass() {
            Self::ForNow(message)
        } else {
            Self::Refused(RedisOpenError::Refused { message })
        }
    }
}

impl Maker {
    /// For one engine.
    pub(super) fn new(
        options: RedisOptions,
        connector: Connector,
        warnings: Arc<Warnings>,
    ) -> Self {
        let layout = Layout::new(&options.prefix);
        Self {
            options,
            connector,
            layout,
            schemas: Schemas::default(),
            warnings,
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

    /// Tries the URL's hosts in order, until one takes the connection and can be written to, or is a node
    /// that knows its cluster. None will do beside which another says that it can be written to as well.
    pub(super) async fn find(
        &self,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<Found, NotConnected> {
        let hosts = &self.options.hosts;
        first_of(hosts, deadline, async |host| {
            let known = self.meet(host).await?;
            if known.is_node() {
                let slots = Slots::ask(&known.connection).await;
                let slots = slots.map_err(|failure| NotConnected::after(host, &failure))?;
                let ownerless = slots.ownerless();
                if ownerless > 0 && wanted == Wanted::Complete {
                    let message = format!(
                        "{host}: the cluster is not complete: no node has {ownerless} of the {} slots \
                         that are needed",
                        Partition::all().count()
                    );
                    return Err(NotConnected::ForNow(message));
                }
                return Ok(Found::Cluster(slots));
            }
            let session = self.settle(known, &Place::Server).await?;
            Ok(Found::Server(Box::new(session)))
        })
        .await
    }

    /// Looks whether another of the hosts is a primary too. So it is after a failover when the former one comes
    /// back, until somebody makes it a replica: what is written to it then is thrown away, and those who
    /// are on it own keys that others own on the new one. Nothing is known of a host that does not answer.
    async fn look_for_rivals(&self, known: &Acquaintance) -> Result<(), NotConnected> {
        let RedisOptions {
            hosts,
            connect_timeout,
            ..
        } = &self.options;
        let host = known.connection.host();
        // For all together less than half of what one host may take.
        let count = hosts.len() as u32;
        let patience = (*connect_timeout / (2 * count * count)).min(RIVAL_PATIENCE);
        for other in hosts.iter().filter(|&other| other != host) {
            let Ok(Ok(rival)) = timeout(patience, self.meet(other)).await else {
                continue;
            };
            // One server may have two names.
            let is_same = rival.run_id().is_some() && rival.run_id() == known.run_id();
            if !is_same && rival.info.get("role") == Some("master") {
                let message = format!(
                    "{host} and {other} are both primaries: neither is used before one is a replica of the \
                     other, or is gone"
                );
                return Err(NotConnected::ForNow(message));
            }
        }
        Ok(())
    }

    /// Connects, where it is known to what.
    pub(super) async fn connect(
        &self,
        place: &Place,
        deadline: Instant,
    ) -> Result<Session, NotConnected> {
        let Place::Node(host) = place else {
            return match self.find(Wanted::Any, deadline).await? {
                Found::Server(session) => Ok(*session),
                Found::Cluster(_) => Err(NotConnected::ForNow(
                    "the server has become a node of a Redis Cluster; the storage is to be opened anew"
                        .to_owned(),
                )),
            };
        };
        first_of(slice::from_ref(host), deadline, async |host| {
            let known = self.meet(host).await?;
            self.settle(known, place).await
        })
        .await
    }

    /// A new connection, and what is behind it.
    async fn meet(&self, host: &Host) -> Result<Acquaintance, NotConnected> {
        let connection = self.reach(host).await?;
        let not_usable = |failure| NotConnected::after(host, &failure);
        self.log_in(&connection).await.map_err(not_usable)?;
        self.greet(connection).await.map_err(not_usable)
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
    async fn greet(&self, connection: Connection) -> Result<Acquaintance, Failure> {
        let options = &self.options;
        let mut greeting = pipe();
        // A node of a cluster has no other than the first, and says so.
        if options.database != 0 {
            greeting.cmd("SELECT").arg(options.database);
        }
        greeting.cmd("INFO");
        // These may be refused: what is asked of them is good to know and not needed.
        greeting.cmd("CONFIG").arg("GET").arg("*appendfsync*");
        greeting.cmd("CLIENT").arg("SETNAME").arg("session-locker");

        let mut answers = connection.ask(&greeting).await?;
        if options.database != 0 {
            answers.next("SELECT")?;
        }
        let info = Info::new(answers.text("INFO")?);
        let config = answers.texts("CONFIG GET").unwrap_or_default();
        let pairs = config.chunks_exact(2);
        let config: Vec<_> = pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        let persistence = Persistence::read(&info, &config);
        Ok(Acquaintance {
            connection,
            info,
            persistence,
        })
    }

    /// Makes a session of a connection, if the server behind it can be written to and has our keys.
    async fn settle(&self, known: Acquaintance, place: &Place) -> Result<Session, NotConnected> {
        known.must_be_primary()?;
        // Before anything is written.
        if *place == Place::Server {
            self.look_for_rivals(&known).await?;
        }
        let Acquaintance {
            connection,
            persistence,
            ..
        } = known;
        let host = connection.host();
        self.check_persistence(host, &persistence)?;
        let verified = self.check_schemas(&connection, place).await?;
        let scripts = Scripts::load(&connection).await;
        let scripts = scripts.map_err(|failure| NotConnected::after(host, &failure))?;
        self.warn_of(host, &persistence);
        Ok(Session {
            connection,
            scripts,
            verified,
        })
    }

    /// Looks whose keys there are, and whether a server or a node has lost any.
    async fn check_schemas(
        &self,
        connection: &Connection,
        place: &Place,
    ) -> Result<Verified, NotConnected> {
        let (verified, failures) = match place {
            Place::Server => {
                let key = [self.layout.schema()];
                let found = self.schemas.check(connection, &key).await?;
                let failures = found.into_iter().filter_map(Result::err).collect();
                (Verified::new(true), failures)
            }
            Place::Node(_) => {
                // It is asked of all: those of other nodes' partitions it refuses.
                let (all, verified) = (Partition::all().collect::<Vec<_>>(), Verified::new(false));
                let failures = self.verify(connection, &verified, &all).await?.into_iter();
                let failures = failures.map(|(_, failure)| failure);
                let is_its_own = |failure: &Failure| !failure.is_of_others_slot();
                (verified, failures.filter(is_its_own).collect::<Vec<_>>())
            }
        };
        match failures.first() {
            None => Ok(verified),
            Some(failure) => Err(NotConnected::ForNow(failure.to_string())),
        }
    }

    /// Looks whether a node has what belongs to these partitions, and notes of which it has; what there is
    /// against the others.
    pub(super) async fn verify(
        &self,
        connection: &Connection,
        verified: &Verified,
        partitions: &[Partition],
    ) -> Result<Vec<(Partition, Failure)>, NotConnected> {
        let keys = partitions.iter().copied();
        let keys: Vec<_> = keys
            .map(|partition| self.layout.partition_schema(partition))
            .collect();
        let found = self.schemas.check(connection, &keys).await?;
        let mut failures = Vec::new();
        for (&partition, found) in partitions.iter().zip(found) {
            match found {
                Ok(()) => verified.set(partition, true),
                Err(failure) => failures.push((partition, failure)),
            }
        }
        Ok(failures)
    }

    /// Notes what an operator should know of a server.
    fn warn_of(&self, host: &Host, found: &Persistence) {
        let weakness = match self.options.durability {
            Durability::Warn | Durability::Require => found.weakness(),
            Durability::Accept => None,
        };
        for what in weakness.into_iter().chain(found.eviction()) {
            self.warnings.note(format!("Redis at {host}: {what}"));
        }
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
}

/// What a new connection has found behind it.
struct Acquaintance {
    connection: Connection,
    info: Info,
    persistence: Persistence,
}

impl Acquaintance {
    fn is_node(&self) -> bool {
        self.info.get("redis_mode") == Some("cluster")
    }

    fn must_be_primary(&self) -> Result<(), NotConnected> {
        if self.info.get("role").is_some_and(|role| role != "master") {
            let host = self.connection.host();
            let message = format!("{host}: the server is a replica, which takes no writes");
            return Err(NotConnected::ForNow(message));
        }
        Ok(())
    }

    /// What tells a server's process from every other.
    fn run_id(&self) -> Option<&str> {
        self.info.get("run_id")
    }
}

/// Tries hosts in order. Each may take its share of the time that is left.
async fn first_of<T>(
    hosts: &[Host],
    deadline: Instant,
    attempt: impl AsyncFn(&Host) -> Result<T, NotConnected>,
) -> Result<T, NotConnected> {
    let mut messages = Vec::new();
    let mut may_pass = false;
    for (host, hosts_left) in hosts.iter().zip((1..=hosts.len() as u32).rev()) {
        let patience = deadline.saturating_duration_since(Instant::now()) / hosts_left;
        let failure = match timeout(patience, attempt(host)).await {
            Ok(Ok(found)) => return Ok(found),
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
