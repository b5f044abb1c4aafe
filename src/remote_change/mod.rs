//! Sending remote changes: putting them into the inboxes of records that this server need not own.
//!
//! A sender never applies a change; only an owner does. How one key's changes get there is the
//! state machine in `job.rs`; `set.rs` runs many of them; `driver.rs` joins a set to a storage and
//! a host; `sender.rs` is what a host sees.

#![forbid(unsafe_code)]

mod driver;
mod inbox;
mod job;
mod sender;
mod set;
mod timers;

pub use sender::{RemoteChangeSender, SenderEvent, SenderOptions};

pub(crate) use driver::{SendHost, Sending};
pub(crate) use set::Allowance;

use std::fmt;

use thiserror::Error;

use crate::locker::LockerError;
use crate::save_data::SaveDataError;

/// The most changes that one send may have.
pub const MAX_CHANGES: usize = 10_000;
/// The longest array of changes, in bytes of JSON as it is given.
pub const MAX_CHANGES_BYTES: usize = 1 << 20;
/// The longest operation id, in bytes of UTF-8. The shortest is one byte.
pub const MAX_OPERATION_ID_BYTES: usize = 128;
/// The most sends of one sender that may wait to be answered.
pub const MAX_SENDS: usize = 1 << 20;
/// The most bytes of changes of one sender that may wait to be answered.
pub const MAX_UNANSWERED_BYTES: usize = 1 << 28;
/// The most changes that a record's inbox holds.
pub const INBOX_MAX_CHANGES: usize = 10_000;
/// The most that a record's inbox takes, in bytes of JSON.
pub const INBOX_MAX_BYTES: usize = 1 << 20;

/// Names a send of one sender; from 1 on, and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendId(pub(crate) u64);

impl SendId {
    /// The id as a number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// How a send ended. A send is all or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendOutcome {
    /// The changes are in the storage, in the inbox of their record or applied by its owner.
    Sent,
    /// There is no record, and none was to be made; or it was erased while this send was under way.
    Missing,
    /// The record's inbox has no room for them. Nothing was written.
    InboxFull,
    /// The sender was destroyed, or a day has passed, and nothing was written.
    NotSent,
    /// The sender was destroyed, or a day has passed, with an attempt whose fate is not known.
    Unknown,
    /// What is stored is no document. It stays as it is.
    Corrupt,
}

impl fmt::Display for SendOutcome {
    /// In words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Missing => "there is no record",
            Self::InboxFull => "the inbox is full",
            Self::NotSent => "not sent",
            Self::Unknown => "not known",
            Self::Corrupt => "the record is no document",
        })
    }
}

/// What a host wants called once with how a send ended.
pub type SendCallback = Box<dyn FnOnce(SendId, SendOutcome) + Send>;

/// Why a send was refused. Nothing of it will be written, and nobody is called.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SendError {
    /// The key, or the state of the sender or store.
    #[error(transparent)]
    Locker(#[from] LockerError),
    /// The changes are not an array of objects with a `K` of 1 to 256 bytes, or cannot stand in a
    /// document. A pointer begins with the change's index in the array.
    #[error("the remote changes cannot be sent: {0}")]
    Changes(#[from] SaveDataError),
    /// Too many changes at once.
    #[error("{count} remote changes were given, but at most {MAX_CHANGES} are sent at once")]
    TooManyChanges {
        /// How many were given.
        count: usize,
    },
    /// Too much at once.
    #[error(
        "the remote changes have {bytes} bytes, but at most {MAX_CHANGES_BYTES} are sent at once"
    )]
    TooLarge {
        /// How long the JSON text is.
        bytes: usize,
    },
    /// The operation id cannot be stored.
    #[error(
        "the operation id is {bytes} bytes long, but must have 1 to {MAX_OPERATION_ID_BYTES} bytes of UTF-8"
    )]
    InvalidOperationId {
        /// Its length.
        bytes: usize,
    },
    /// The storage has not taken what was sent before.
    #[error("{MAX_SENDS} sends of this sender are not answered yet")]
    TooManySends,
    /// The same, for they are large.
    #[error(
        "{bytes} bytes of this sender's changes are not answered yet, and at most {MAX_UNANSWERED_BYTES} may be"
    )]
    TooManyBytes {
        /// How many, before this send.
        bytes: usize,
    },
}
