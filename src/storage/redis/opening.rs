//! How a storage is opened: what the URL names is looked for until there is a connection to all of it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::RedisOpenError;
use super::connection::Session;
use super::maker::{Found, Maker, NotConnected, Place, Wanted};
use super::slots::Slots;

/// The pause between attempts to connect.
const OPEN_PAUSE: Duration = Duration::from_millis(250);

/// What a storage begins with.
pub(super) struct Opening {
    /// The connections, at least one: to the server, or to each node of a cluster that has partitions.
    pub(super) sessions: Vec<(Place, Session)>,
    /// Which node has which partition; none if there is one server.
    pub(super) slots: Option<Slots>,
}

/// Tries for as long as the options say. A server that is not there is tried again for a while: the two may
/// have been started together.
pub(super) async fn open(maker: &Maker) -> Result<Opening, RedisOpenError> {
    let patience = maker.options().connect_timeout;
    let deadline = Instant::now() + patience;
    let mut message = String::new();
    loop {
        match try_open(maker, deadline).await {
            Ok(opening) => return Ok(opening),
            Err(NotConnected::Refused(error)) => return Err(error),
            // What the end of the time cuts short has less to say than what was before it.
            Err(NotConnected::ForNow(last)) => {
                if message.is_empty() || Instant::now() < deadline {
                    message = last;
                }
            }
        }
        if Instant::now() + OPEN_PAUSE >= deadline {
            return Err(RedisOpenError::Unreachable {
                waited_s: patience.as_secs(),
                message,
            });
        }
        sleep(OPEN_PAUSE).await;
    }
}

async fn try_open(maker: &Maker, deadline: Instant) -> Result<Opening, NotConnected> {
    let slots = match maker.find(Wanted::Complete, deadline).await? {
        Found::Server(session) => {
            return Ok(Opening {
                sessions: vec![(Place::Server, *session)],
                slots: None,
            });
        }
        Found::Cluster(slots) => slots,
    };
    let hosts = slots.hosts();
    let mut sessions = Vec::new();
    for (host, hosts_left) in hosts.iter().zip((1..=hosts.len() as u32).rev()) {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / hosts_left;
        let place = Place::Node(host.clone());
        let session = maker.connect(&place, now + share).await?;
        sessions.push((place, session));
    }
    Ok(Opening {
        sessions,
        slots: Some(slots),
    })
}
