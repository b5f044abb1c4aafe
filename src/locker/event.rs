//! What a locker tells its host: the seed's lifecycle, load status and reports.

use std::fmt;
use std::sync::Arc;

use crate::save_data::{ProductId, SaveData};
use crate::storage::{RequestErrorKind, StorageError};

use super::SavedConnection;

/// What happened to the save data: the seed's `LifecycleStatus`. The two statuses before a save
/// are hooks, not events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// The save data was replaced.
    Replaced(Reason),
    /// The save data is in the storage.
    Saved,
    /// The locker holds no session and has nothing under way; it can be deleted.
    Idling,
    /// The locker was deleted.
    Deleted,
}

/// Why the save data was replaced: the seed's `LifecycleReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `r_loaded`: by what the storage holds.
    Loaded,
    /// `r_released`: by the default; the session was ended willingly, or has not begun.
    Released,
    /// `r_lost`: by the default; another server owns the key now, or the record is gone.
    Lost,
}

/// How far loading has come: the seed's `LoadStatus`, and four more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadStatus {
    /// Waiting for the key.
    Loading,
    /// A storage request failed; asked again after a cooldown.
    DataStoreRequestFail,
    /// Another owner holds the key; asked again after the cooldown.
    SessionIsLocked,
    /// The document is of a version that this server does not understand. Final until asked anew.
    InvalidVersion,
    /// The session is ours and the save data is the player's.
    Loaded,
    /// The stored bytes are not a document. Final until asked anew.
    CorruptData,
    /// A migrator or patcher failed. Final until asked anew.
    MigrationFailed,
    /// A new document could not be created. Final until asked anew.
    CreateFailed,
    /// The record was erased while its session was live or its key was asked for. Final until asked anew.
    Erased,
}

impl LoadStatus {
    /// True where nothing more is tried until the host releases and acquires anew.
    pub fn is_final(self) -> bool {
        use LoadStatus::{CorruptData, CreateFailed, Erased, InvalidVersion, MigrationFailed};
        matches!(
            self,
            InvalidVersion | CorruptData | MigrationFailed | CreateFailed | Erased
        )
    }
}

impl fmt::Display for LoadStatus {
    /// The seed's name of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loading => "loading",
            Self::DataStoreRequestFail => "data_store_request_fail",
            Self::SessionIsLocked => "session_is_locked",
            Self::InvalidVersion => "invalid_version",
            Self::Loaded => "loaded",
            Self::CorruptData => "corrupt_data",
            Self::MigrationFailed => "migration_failed",
            Self::CreateFailed => "create_failed",
            Self::Erased => "erased",
        })
    }
}

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// Acquiring the key.
    Load,
    /// Saving or releasing.
    Save,
    /// Making a new document.
    Create,
    /// Running migrators and patchers.
    Migrate,
    /// Running a before-save hook.
    BeforeSave,
    /// Applying a remote change.
    RemoteChange,
    /// Merging what was written before the load.
    Merge,
    /// Running the hooks of a purchase.
    Purchase,
    /// Sending remote changes.
    Send,
}

impl fmt::Display for Activity {
    /// In words that "failed" can follow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "loading",
            Self::Save => "saving",
            Self::Create => "making a new document",
            Self::Migrate => "migrating",
            Self::BeforeSave => "a before-save hook",
            Self::RemoteChange => "applying a remote change",
            Self::Merge => "merging offline save data",
            Self::Purchase => "processing a purchase",
            Self::Send => "sending remote changes",
        })
    }
}

/// A failure that the host is told of; the locker goes on by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReport {
    /// What was being done.
    pub activity: Activity,
    /// Whose fault it is, by the seed's kinds.
    pub kind: RequestErrorKind,
    /// What happened, for a person.
    pub message: String,
    /// The product, for a failure of a purchase; else 0.
    pub product_id: ProductId,
}

impl ErrorReport {
    pub(crate) fn storage(activity: Activity, error: StorageError) -> Self {
        let StorageError { kind, message } = error;
        Self {
            activity,
            kind,
            message,
            product_id: 0,
        }
    }

    pub(crate) fn script(activity: Activity, message: impl Into<String>) -> Self {
        let (kind, message) = (RequestErrorKind::Script, message.into());
        Self {
            activity,
            kind,
            message,
            product_id: 0,
        }
    }
}

/// How a wait for changes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaveOutcome {
    /// The changes are in the storage.
    Saved,
    /// The session ended without them.
    NotSaved,
    /// Nobody knows: a commit that contains them is not answered, and the store was destroyed or its drain
    /// has run out of time; or the session was lost, and the record does not tell any more whether that
    /// commit was written.
    Unknown,
}

/// Something the host hears of, carrying the state of its moment.
#[derive(Clone, Debug)]
pub enum Event {
    /// The save data was replaced or saved, or the locker came to rest.
    Lifecycle(Lifecycle),
    /// The session was lost: the unsaved document, heard just before the save data is replaced.
    Lost(Box<SaveData>),
    /// The load status is now this.
    LoadStatusChanged(LoadStatus),
    /// Something failed.
    Error(ErrorReport),
    /// A wait for changes was answered.
    ChangesSaved(SavedConnection, SaveOutcome),
    /// Product credit was given or used.
    ProductCreditChanged {
        /// The product.
        product_id: ProductId,
        /// What was added; negative for what was used.
        change: i64,
    },
    /// A purchase was answered.
    Purchase {
        /// The product.
        product_id: ProductId,
        /// The receipt's id.
        purchase_id: Arc<str>,
        /// Whether it is granted: its effect is in the storage.
        is_granted: bool,
    },
}
