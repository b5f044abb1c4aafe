//! The place for a connection and its fate: filled, lost, and filled again after a pause that grows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::connection::Session;
use super::maker::NotConnected;
use crate::storage::pauses::Pauses;

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
            session.connection.note_end(reason);
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

    /// Keeps the place filled, for ever: at first with a connection that is there already, if so.
    /// `connected` is called for each new connection, `ended` when one has ended, and `not_connected` for
    /// each attempt that has failed.
    pub(super) async fn keep(
        &self,
        first: Option<Session>,
        connect: impl AsyncFn() -> Result<Session, NotConnected>,
        connected: impl Fn(),
        ended: impl Fn(),
        not_connected: impl Fn(NotConnected),
    ) {
        let mut pauses = Pauses::default();
        let mut made = match first {
            Some(session) => Ok(session),
            None => connect().await,
        };
        loop {
            match made {
                Ok(session) => {
                    let begun = Instant::now();
                    self.live(session, &connected).await;
                    ended();
                    pauses.ended(begun.elapsed());
                }
                Err(error) => not_connected(error),
            }
            sleep(pauses.next(fastrand::f64())).await;
            made = connect().await;
        }
    }

    /// Until the connection ends.
    async fn live(&self, session: Session, connected: &impl Fn()) {
        let Some(driver) = session.connection.take_driver() else {
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
