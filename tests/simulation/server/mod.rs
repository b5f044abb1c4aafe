//! What a host of the library does, whatever API it goes through.
//!
//! A simulated server is a [`Server`]: the simulation calls it as a game's host would call the
//! library, and the server's [`Game`] is what the library calls back: its hooks, and who hears its
//! answers and events. Nothing here names a type of the library's, so that the same simulation drives
//! every API: hosts over the Rust API are in [`easy`] and [`lockers`], those over the C ABI in [`c`].
//!
//! What an implementation has to see to:
//!
//! - Each call to the library is made inside the method that stands for it, on that thread.
//! - Each hook, answer and event goes to the game, inside the call that brings it, and at once; a host
//!   that polls hears what there is at the end of [`Server::update`] and of [`Server::drain`].
//! - A hook that gives a [`Failure`] fails; where the language can panic, it panics if
//!   [`Failure::panics`] says so. It holds no lock of its own meanwhile: hooks call the server back.
//! - Dropping the server destroys all that it has, without a release: so does a crash.

mod c;
mod easy;
mod lockers;
mod rust_hooks;

use std::sync::Arc;

use crate::clock::ServerClock;
use crate::game::Game;
use crate::ids::{AskId, Key, PurchaseId, SendId, ServerId, SessionId, WaitId};
use crate::storage::Link;

pub use c::{CEasyHost, CLockerHost, forget_panic};
pub use easy::EasyHost;
pub use lockers::LockerHost;

/// What a host does with the library. Every method may be called from inside a hook or an answer.
pub trait Server: Send + Sync {
    /// One frame at `now`. False: refused, for a frame is under way.
    fn update(&self, now: f64) -> bool;

    /// Begins a session of a key under this name, `reusable` as `StartSessionReusable` does, where the
    /// API has that. False: refused.
    fn start(&self, session: SessionId, key: Key, reusable: bool) -> bool;

    /// Ends the session: it is saved and released, and the game hears it to its end.
    fn end(&self, session: SessionId);

    /// Wants the key of an ended session again, where the API can say so. False: it cannot.
    fn want_again(&self, session: SessionId) -> bool;

    /// Ends the session and lets go of it: nothing is told of it any more, but what is waited for is
    /// answered.
    fn destroy(&self, session: SessionId);

    /// How the session stands.
    fn status(&self, session: SessionId) -> Status;

    /// Whether the session owns its key, as far as the host can know.
    fn is_available(&self, session: SessionId) -> bool;

    /// Whether several sessions of a key may share one locker here.
    fn shares_lockers(&self) -> bool;

    /// Reads or writes the session's save data. A refused write gives an error.
    fn with_document(
        &self,
        session: SessionId,
        work: &mut dyn FnMut(&mut dyn Document) -> Result<(), String>,
    ) -> Result<(), String>;

    /// Notes a change (`MarkShouldSave`), or saves now (`MarkForceSave`).
    fn mark(&self, session: SessionId, force: bool);

    /// Waits for what was changed so far; the answer goes to [`Game::saved`]. False: refused.
    fn wait(&self, session: SessionId, wait: WaitId) -> bool;

    /// Gives up a wait: from here on it is not answered. False: the host cannot do so.
    fn give_up(&self, wait: WaitId) -> bool {
        let _ = wait;
        false
    }

    /// Waits inside the library, for `seconds` at most: until the session is loaded, or, where it is
    /// already, until what was changed so far is saved; for that, how it was answered. None: it was not.
    fn wait_inside(&self, session: SessionId, seconds: f64) -> Option<WaitAnswer>;

    /// Switches a session's hook before saves on or off, where sessions have their own; it is
    /// [`Game::before_save`].
    fn set_save_hook(&self, session: SessionId, transform: bool, on: bool);

    /// Sends remote changes, given as a JSON array; the answer goes to [`Game::sent`]. False: refused.
    fn send(&self, send: SendId, key: Key, changes: &str, operation: Option<&str>) -> bool;

    /// Has a purchase processed and saved; the answer goes to [`Game::purchased`], the hooks are
    /// [`Game::validate`], [`Game::apply`] and [`Game::record`]. False: refused.
    fn buy(&self, session: SessionId, ask: AskId, receipt: Receipt) -> bool;

    /// Gives the player a credit of 1 of a product. False: refused.
    fn give_credit(&self, session: SessionId, product: i64) -> bool;

    /// Gives a product for one credit of it, with the hooks of a purchase. False: refused, or not
    /// applied.
    fn use_credit(&self, session: SessionId, receipt: Receipt) -> bool;

    /// Begins shutdown: no session starts any more, and all end.
    fn close(&self);

    /// Whether it was closed and nothing is left to do or to be answered.
    fn is_closed(&self) -> bool;

    /// Closes, and updates until it is closed or the time is over. True: nothing was left.
    fn drain(&self, timeout: f64) -> bool;
}

/// Save data in the hands of the game. Places are JSON pointers to arrays, or to numbers.
pub trait Document {
    /// Appends a number to an array.
    fn append(&mut self, place: &str, number: u64) -> Result<(), String>;

    /// The numbers in an array; none if it is not there.
    fn numbers(&mut self, place: &str) -> Vec<u64>;

    /// Adds to a number.
    fn add(&mut self, place: &str, amount: i64) -> Result<(), String>;
}

/// A hook fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// It does so by panicking, where that is possible.
    pub panics: bool,
}

/// What a hook panics with.
pub const HOOK_PANIC: &str = "the hook panics";

/// What can be done with a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    NotApplicable,
    NotNow,
    Own,
    /// A gift to a session of this key, if the server has one; otherwise not now.
    Gift(Key),
}

/// What a purchase is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The receipt's id is `p` and its number.
    pub purchase: PurchaseId,
    pub product: i64,
}

/// The load status, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Loading,
    RequestFailed,
    Locked,
    Loaded,
    /// The record was erased: given up.
    Erased,
    /// The document is newer than the server, or no document: given up.
    NotUnderstood,
    /// A hook has failed to make or migrate the document: given up.
    HookFailed,
    /// The session is over, and nobody knows of it any more.
    Gone,
}

impl Status {
    /// Whether nothing is tried any more until the host asks anew.
    pub fn is_final(self) -> bool {
        use Status::{Erased, Gone, HookFailed, NotUnderstood};
        matches!(self, Erased | NotUnderstood | HookFailed | Gone)
    }
}

/// How a wait for changes was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitAnswer {
    Saved,
    NotSaved,
    Unknown,
}

/// How a send was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    Sent,
    Missing,
    InboxFull,
    NotSent,
    Unknown,
    Corrupt,
}

/// An event of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Loaded,
    /// The save data is in the storage.
    Saved,
    /// The session was lost; the lock id in the save data that is gone.
    Lost {
        lock_id: Option<u64>,
    },
    /// The save data is the default again.
    Reset,
    /// The host has ended it.
    Ended,
    /// The last of all.
    Finished,
    /// Something has failed, and is tried again.
    Error,
    /// Product credit was given or used.
    Credit {
        product: i64,
        change: i64,
    },
}

/// What a server is made of.
pub struct Setup {
    pub server: ServerId,
    /// Of the library's own.
    pub seed: u64,
    pub clock: Arc<ServerClock>,
    pub link: Arc<Link>,
    pub game: Arc<Game>,
    pub settings: Settings,
    /// The version of save data that it writes. From version 1 to 2 leads [`Game::migrate`].
    pub version: u32,
    /// Events are polled, and not called back.
    pub polls_events: bool,
    /// New documents are made by [`Game::create`], and not of a template, which is the same.
    pub creates_by_hook: bool,
    /// Remote changes are applied, by [`Game::remote_change`].
    pub receives: bool,
    /// [`Game::merge`] is called at loads.
    pub merges: bool,
    /// [`Game::before_save`] is called for all sessions, where sessions have no hooks of their own.
    pub has_save_hook: bool,
}

/// The library's settings, in seconds and pieces.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub maintain_session_period: f64,
    pub session_expiry: f64,
    pub clock_tolerance: f64,
    pub session_retry_cooldown: f64,
    pub session_retry_ceiling: f64,
    pub request_timeout: f64,
    pub purchase_history_limit: u32,
    pub requests_per_update: u32,
    pub requests_in_flight: u32,
    pub bytes_per_update: usize,
}

/// Which API a server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RustEasy,
    RustLockers,
    CEasy,
    CLockers,
}

impl Kind {
    pub const RUST: &[Self] = &[Self::RustEasy, Self::RustLockers];
    pub const ALL: &[Self] = &[
        Self::RustEasy,
        Self::RustLockers,
        Self::CEasy,
        Self::CLockers,
    ];

    pub fn boot(self, setup: Setup) -> Arc<dyn Server> {
        match self {
            Self::RustEasy => Arc::new(EasyHost::new(setup)),
            Self::RustLockers => Arc::new(LockerHost::new(setup)),
            Self::CEasy => Arc::new(CEasyHost::new(setup)),
            Self::CLockers => Arc::new(CLockerHost::new(setup)),
        }
    }
}
