//! `SlEvent`: what a store or locker tells its host, in one flat struct for both ways to hear it.

use std::sync::Arc;

use super::connection::SlSavedConnection;
use super::locker::SlLocker;
use super::profile::SlProfile;
use super::remote_change_sender::send_outcome_number;
use super::text::SlText;
use crate::easy::{ProfileEvent, Signal, Status, StoreEvent};
use crate::locker::{
    Activity, ErrorReport, Event, Lifecycle, LoadStatus, Reason, SaveOutcome, SavedConnection,
};
use crate::remote_change::{SendId, SendOutcome, SenderEvent};
use crate::storage::RequestErrorKind;

/// A step of the lifecycle: `lifecycle` and `reason` say which.
pub const SL_EVENT_LIFECYCLE: i32 = 1;
/// The load status is now `load_status`.
pub const SL_EVENT_LOAD_STATUS: i32 = 2;
/// Something failed, and the library goes on by itself: `activity`, `error_kind`, `text`, and
/// `product_id` if it is about a purchase.
pub const SL_EVENT_ERROR: i32 = 3;
/// The session was lost: `text` is the document as it was, with what was not saved, as JSON; where the
/// waits for some of it are then answered with SL_OUTCOME_UNKNOWN, that may be saved. Comes before the
/// lifecycle event that says so, and before what waits is answered.
pub const SL_EVENT_LOST: i32 = 4;
/// A wait for changes was answered: `saved_connection`, `outcome`.
pub const SL_EVENT_CHANGES_SAVED: i32 = 5;
/// Product credit was given or used: `product_id`, and `amount`, which is negative for what was used.
pub const SL_EVENT_PRODUCT_CREDIT_CHANGED: i32 = 6;
/// A purchase was answered: `product_id`, `text` is the purchase id, and `outcome` is
/// SL_OUTCOME_SAVED (1) if it is granted, else SL_OUTCOME_NOT_SAVED (0).
pub const SL_EVENT_PURCHASE: i32 = 7;
/// Remote changes that a store or sender was to send were sent, or were not: `key`, `send_id`, and
/// `outcome`, which is one of SL_SEND_. `profile` is NULL.
pub const SL_EVENT_REMOTE_CHANGES_SENT: i32 = 8;

/// The save data was replaced; see `reason`.
pub const SL_LIFECYCLE_REPLACED: i32 = 1;
/// The save data is in the storage.
pub const SL_LIFECYCLE_SAVED: i32 = 2;
/// No session is held and nothing is under way.
pub const SL_LIFECYCLE_IDLING: i32 = 3;
/// The locker was deleted.
pub const SL_LIFECYCLE_DELETED: i32 = 4;
/// The profile was ended by the host.
pub const SL_LIFECYCLE_DESTROYED: i32 = 5;
/// The last event of a profile.
pub const SL_LIFECYCLE_FINISHED: i32 = 6;

/// Not a replacement.
pub const SL_REASON_NONE: i32 = 0;
/// `r_loaded`: by the player's save data, from the storage.
pub const SL_REASON_LOADED: i32 = 1;
/// `r_released`: by the default; the session was ended willingly, or has not begun.
pub const SL_REASON_RELEASED: i32 = 2;
/// `r_lost`: by the default; another server owns the key, or the record is gone.
pub const SL_REASON_LOST: i32 = 3;

/// Waiting for the key.
pub const SL_LOAD_STATUS_LOADING: i32 = 0;
/// A storage request failed; it is asked again after a cooldown.
pub const SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL: i32 = 1;
/// Another owner holds the key; it is asked for again after the cooldown.
pub const SL_LOAD_STATUS_SESSION_IS_LOCKED: i32 = 2;
/// The document is of a version this server does not understand. Final until asked anew.
pub const SL_LOAD_STATUS_INVALID_VERSION: i32 = 3;
/// The session is ours, and the save data is the player's.
pub const SL_LOAD_STATUS_LOADED: i32 = 4;
/// The stored bytes are not a document. Final until asked anew.
pub const SL_LOAD_STATUS_CORRUPT_DATA: i32 = 5;
/// A migrator or patcher failed. Final until asked anew.
pub const SL_LOAD_STATUS_MIGRATION_FAILED: i32 = 6;
/// A new document could not be created. Final until asked anew.
pub const SL_LOAD_STATUS_CREATE_FAILED: i32 = 7;
/// The record was erased while its session was live or its key was asked for. Final until asked anew.
pub const SL_LOAD_STATUS_ERASED: i32 = 8;

/// There is no answer.
pub const SL_OUTCOME_NONE: i32 = -1;
/// The changes were not saved: the session ended without them. Of a purchase: it is not granted.
pub const SL_OUTCOME_NOT_SAVED: i32 = 0;
/// The changes are in the storage. Of a purchase: it is granted.
pub const SL_OUTCOME_SAVED: i32 = 1;
/// Nobody knows: a commit that contains the changes is not answered, and the store was destroyed or its drain
/// has run out of time; or the session was lost, and the record does not tell any more whether that commit
/// was written: eight other sessions have had the key since, or it is no document any more.
pub const SL_OUTCOME_UNKNOWN: i32 = 2;

/// Acquiring a key.
pub const SL_ACTIVITY_LOAD: i32 = 1;
/// Saving or releasing.
pub const SL_ACTIVITY_SAVE: i32 = 2;
/// Making a new document.
pub const SL_ACTIVITY_CREATE: i32 = 3;
/// Running migrators and patchers.
pub const SL_ACTIVITY_MIGRATE: i32 = 4;
/// Running a before-save hook.
pub const SL_ACTIVITY_BEFORE_SAVE: i32 = 5;
/// Applying a remote change.
pub const SL_ACTIVITY_REMOTE_CHANGE: i32 = 6;
/// Merging what was written before the load.
pub const SL_ACTIVITY_MERGE: i32 = 7;
/// Running the hooks of a purchase.
pub const SL_ACTIVITY_PURCHASE: i32 = 8;
/// Sending remote changes.
pub const SL_ACTIVITY_SEND: i32 = 9;

/// Any lifecycle event but SL_LIFECYCLE_FINISHED, for which there is SL_SIGNAL_FINISHED.
pub const SL_SIGNAL_LIFECYCLE: i32 = 1;
/// The session is over and its key released; the last thing a profile says.
pub const SL_SIGNAL_FINISHED: i32 = 2;
/// The profile was ended by the host.
pub const SL_SIGNAL_DESTROYED: i32 = 3;
/// The save data is in the storage.
pub const SL_SIGNAL_SAVED: i32 = 4;
/// The save data was replaced.
pub const SL_SIGNAL_REPLACED: i32 = 5;
/// The save data was replaced by the player's.
pub const SL_SIGNAL_LOADED: i32 = 6;
/// The save data was replaced by the default.
pub const SL_SIGNAL_RESET: i32 = 7;
/// The save data was replaced by the default, for the session was released.
pub const SL_SIGNAL_RELEASED: i32 = 8;
/// The save data was replaced by the default, for the session was lost.
pub const SL_SIGNAL_LOST: i32 = 9;
/// Product credit was given or used.
pub const SL_SIGNAL_PRODUCT_CREDIT_CHANGED: i32 = 10;

/// The signals by their numbers.
pub(crate) const SIGNALS: [(i32, &str, Signal); 10] = [
    (
        SL_SIGNAL_LIFECYCLE,
        "SL_SIGNAL_LIFECYCLE",
        Signal::Lifecycle,
    ),
    (SL_SIGNAL_FINISHED, "SL_SIGNAL_FINISHED", Signal::Finished),
    (
        SL_SIGNAL_DESTROYED,
        "SL_SIGNAL_DESTROYED",
        Signal::Destroyed,
    ),
    (SL_SIGNAL_SAVED, "SL_SIGNAL_SAVED", Signal::Saved),
    (SL_SIGNAL_REPLACED, "SL_SIGNAL_REPLACED", Signal::Replaced),
    (SL_SIGNAL_LOADED, "SL_SIGNAL_LOADED", Signal::Loaded),
    (SL_SIGNAL_RESET, "SL_SIGNAL_RESET", Signal::Reset),
    (SL_SIGNAL_RELEASED, "SL_SIGNAL_RELEASED", Signal::Released),
    (SL_SIGNAL_LOST, "SL_SIGNAL_LOST", Signal::Lost),
    (
        SL_SIGNAL_PRODUCT_CREDIT_CHANGED,
        "SL_SIGNAL_PRODUCT_CREDIT_CHANGED",
        Signal::ProductCreditChanged,
    ),
];

/// Something that happened, with the state of its moment. `kind` says which fields mean something;
/// the others are 0, NULL, or an empty text.
///
/// The texts belong to the library. In a callback they live until the callback returns; after a poll
/// they live until the next poll of the same store, locker or sender, or its destruction.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlEvent {
    /// One of SL_EVENT_.
    pub kind: i32,
    /// One of SL_LIFECYCLE_.
    pub lifecycle: i32,
    /// One of SL_REASON_.
    pub reason: i32,
    /// One of SL_LOAD_STATUS_.
    pub load_status: i32,
    /// One of SL_ACTIVITY_.
    pub activity: i32,
    /// One of SL_REQUEST_ERROR_.
    pub error_kind: i32,
    /// One of SL_OUTCOME_, or of SL_SEND_.
    pub outcome: i32,
    /// 0.
    pub reserved: i32,
    /// Whose event it is, for a store. NULL once the host has destroyed the profile, and for remote
    /// changes that the store sends.
    pub profile: *mut SlProfile,
    /// Whose event it is, for a locker. NULL once the host has destroyed it.
    pub locker: *mut SlLocker,
    /// The wait that was answered; NULL if the host has no handle of it.
    pub saved_connection: *mut SlSavedConnection,
    /// An error's message, the document that was lost, or the id of the purchase that was answered.
    pub text: SlText,
    /// The key of the profile or locker, also when that was destroyed; or the key that remote changes
    /// are sent to. Not NUL-terminated.
    pub key: SlText,
    /// The product, of a credit that changed, of a purchase that was answered, or of one that an error
    /// is about.
    pub product_id: i64,
    /// By how much a credit has changed.
    pub amount: i64,
    /// The send that was answered, as the call that began it has given it.
    pub send_id: u64,
    /// 0. Room for what later versions tell, so that arrays of events keep their stride.
    pub reserved_for_later: [u64; 6],
}

const NO_TEXT: SlText = SlText {
    data: c"".as_ptr(),
    length: 0,
};

impl SlEvent {
    const NONE: Self = Self {
        kind: 0,
        lifecycle: 0,
        reason: SL_REASON_NONE,
        load_status: 0,
        activity: 0,
        error_kind: 0,
        outcome: 0,
        reserved: 0,
        profile: std::ptr::null_mut(),
        locker: std::ptr::null_mut(),
        saved_connection: std::ptr::null_mut(),
        text: NO_TEXT,
        key: NO_TEXT,
        product_id: 0,
        amount: 0,
        send_id: 0,
        reserved_for_later: [0; 6],
    };
}

/// An event ready for the host, with the text that it lends.
pub(crate) struct Told {
    event: SlEvent,
    text: Option<Vec<u8>>,
    key: Option<Arc<str>>,
}

// SAFETY: the pointers in it are handles, which are never dereferenced, and the text of `Told`.
unsafe impl Send for Told {}

impl Told {
    /// The struct; its texts live as long as `self`.
    pub(crate) fn event(&self) -> SlEvent {
        // Neither is empty: a text ends with a NUL, for hosts that read it to its end.
        let text = self.text.as_deref().map_or(NO_TEXT, |text| SlText {
            data: text.as_ptr().cast(),
            length: text.len() - 1,
        });
        let key = self.key.as_deref().map_or(NO_TEXT, |key| SlText {
            data: key.as_ptr().cast(),
            length: key.len(),
        });
        SlEvent {
            text,
            key,
            ..self.event
        }
    }

    pub(crate) fn of_profile(profile: *mut SlProfile, event: &StoreEvent) -> Self {
        let mut told = match &event.event {
            ProfileEvent::Lifecycle(status) => lifecycle(*status),
            ProfileEvent::Lost(data) => lost(data.to_json()),
            ProfileEvent::LoadStatusChanged(status) => load_status(*status),
            ProfileEvent::Error(report) => error(report),
            ProfileEvent::ChangesSaved(connection, outcome) => saved(connection, *outcome),
            ProfileEvent::RemoteChangesSent(id, outcome) => sent(*id, *outcome),
            ProfileEvent::ProductCreditChanged { product_id, change } => {
                credit_changed(*product_id, *change)
            }
            ProfileEvent::Purchase {
                product_id,
                purchase_id,
                is_granted,
            } => purchase(*product_id, purchase_id, *is_granted),
        };
        told.event.profile = profile;
        told.key = Some(Arc::clone(&event.key));
        told
    }

    pub(crate) fn of_locker(locker: *mut SlLocker, key: &Arc<str>, event: &Event) -> Self {
        let mut told = match event {
            Event::Lifecycle(Lifecycle::Replaced(reason)) => lifecycle(Status::Replaced(*reason)),
            Event::Lifecycle(Lifecycle::Saved) => lifecycle(Status::Saved),
            Event::Lifecycle(Lifecycle::Idling) => lifecycle(Status::Idling),
            Event::Lifecycle(Lifecycle::Deleted) => lifecycle(Status::Deleted),
            Event::Lost(data) => lost(data.to_json()),
            Event::LoadStatusChanged(status) => load_status(*status),
            Event::Error(report) => error(report),
            Event::ChangesSaved(connection, outcome) => saved(connection, *outcome),
            Event::ProductCreditChanged { product_id, change } => {
                credit_changed(*product_id, *change)
            }
            Event::Purchase {
                product_id,
                purchase_id,
                is_granted,
            } => purchase(*product_id, purchase_id, *is_granted),
        };
        told.event.locker = locker;
        told.key = Some(Arc::clone(key));
        told
    }

    pub(crate) fn of_sender(event: SenderEvent) -> Self {
        let (mut told, key) = match event {
            SenderEvent::Sent { key, id, outcome } => (sent(id, outcome), key),
            SenderEvent::Error { key, error: report } => (error(&report), key),
        };
        told.key = Some(key);
        told
    }

    fn new(event: SlEvent, text: Option<String>) -> Self {
        let text = text.map(|text| {
            let mut text = text.into_bytes();
            text.push(0);
            text
        });
        let key = None;
        Self { event, text, key }
    }
}

fn lifecycle(status: Status) -> Told {
    let (lifecycle, reason) = lifecycle_numbers(status);
    let kind = SL_EVENT_LIFECYCLE;
    Told::new(
        SlEvent {
            kind,
            lifecycle,
            reason,
            ..SlEvent::NONE
        },
        None,
    )
}

fn lost(json: String) -> Told {
    let kind = SL_EVENT_LOST;
    Told::new(
        SlEvent {
            kind,
            ..SlEvent::NONE
        },
        Some(json),
    )
}

fn load_status(status: LoadStatus) -> Told {
    let (kind, load_status) = (SL_EVENT_LOAD_STATUS, load_status_number(status));
    Told::new(
        SlEvent {
            kind,
            load_status,
            ..SlEvent::NONE
        },
        None,
    )
}

fn error(report: &ErrorReport) -> Told {
    let activity = activity_number(report.activity);
    let error_kind = error_kind_number(report.kind);
    let kind = SL_EVENT_ERROR;
    let event = SlEvent {
        kind,
        activity,
        error_kind,
        product_id: report.product_id,
        ..SlEvent::NONE
    };
    Told::new(event, Some(report.message.clone()))
}

fn saved(connection: &SavedConnection, outcome: SaveOutcome) -> Told {
    let tag = connection.tag() as usize;
    let event = SlEvent {
        kind: SL_EVENT_CHANGES_SAVED,
        outcome: outcome_number(outcome),
        saved_connection: std::ptr::without_provenance_mut(tag),
        ..SlEvent::NONE
    };
    Told::new(event, None)
}

fn sent(id: SendId, outcome: SendOutcome) -> Told {
    let event = SlEvent {
        kind: SL_EVENT_REMOTE_CHANGES_SENT,
        outcome: send_outcome_number(outcome),
        send_id: id.number(),
        ..SlEvent::NONE
    };
    Told::new(event, None)
}

fn credit_changed(product_id: i64, amount: i64) -> Told {
    let event = SlEvent {
        kind: SL_EVENT_PRODUCT_CREDIT_CHANGED,
        product_id,
        amount,
        ..SlEvent::NONE
    };
    Told::new(event, None)
}

fn purchase(product_id: i64, purchase_id: &str, is_granted: bool) -> Told {
    let outcome = match is_granted {
        true => SL_OUTCOME_SAVED,
        false => SL_OUTCOME_NOT_SAVED,
    };
    let event = SlEvent {
        kind: SL_EVENT_PURCHASE,
        outcome,
        product_id,
        ..SlEvent::NONE
    };
    Told::new(event, Some(purchase_id.to_owned()))
}

fn lifecycle_numbers(status: Status) -> (i32, i32) {
    match status {
        Status::Replaced(Reason::Loaded) => (SL_LIFECYCLE_REPLACED, SL_REASON_LOADED),
        Status::Replaced(Reason::Released) => (SL_LIFECYCLE_REPLACED, SL_REASON_RELEASED),
        Status::Replaced(Reason::Lost) => (SL_LIFECYCLE_REPLACED, SL_REASON_LOST),
        Status::Saved => (SL_LIFECYCLE_SAVED, SL_REASON_NONE),
        Status::Idling => (SL_LIFECYCLE_IDLING, SL_REASON_NONE),
        Status::Deleted => (SL_LIFECYCLE_DELETED, SL_REASON_NONE),
        Status::Destroyed => (SL_LIFECYCLE_DESTROYED, SL_REASON_NONE),
        Status::Finished => (SL_LIFECYCLE_FINISHED, SL_REASON_NONE),
    }
}

pub(crate) fn load_status_number(status: LoadStatus) -> i32 {
    match status {
        LoadStatus::Loading => SL_LOAD_STATUS_LOADING,
        LoadStatus::DataStoreRequestFail => SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL,
        LoadStatus::SessionIsLocked => SL_LOAD_STATUS_SESSION_IS_LOCKED,
        LoadStatus::InvalidVersion => SL_LOAD_STATUS_INVALID_VERSION,
        LoadStatus::Loaded => SL_LOAD_STATUS_LOADED,
        LoadStatus::CorruptData => SL_LOAD_STATUS_CORRUPT_DATA,
        LoadStatus::MigrationFailed => SL_LOAD_STATUS_MIGRATION_FAILED,
        LoadStatus::CreateFailed => SL_LOAD_STATUS_CREATE_FAILED,
        LoadStatus::Erased => SL_LOAD_STATUS_ERASED,
    }
}

/// The constant's name in C.
pub(crate) fn load_status_name(status: LoadStatus) -> &'static str {
    match status {
        LoadStatus::Loading => "SL_LOAD_STATUS_LOADING",
        LoadStatus::DataStoreRequestFail => "SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL",
        LoadStatus::SessionIsLocked => "SL_LOAD_STATUS_SESSION_IS_LOCKED",
        LoadStatus::InvalidVersion => "SL_LOAD_STATUS_INVALID_VERSION",
        LoadStatus::Loaded => "SL_LOAD_STATUS_LOADED",
        LoadStatus::CorruptData => "SL_LOAD_STATUS_CORRUPT_DATA",
        LoadStatus::MigrationFailed => "SL_LOAD_STATUS_MIGRATION_FAILED",
        LoadStatus::CreateFailed => "SL_LOAD_STATUS_CREATE_FAILED",
        LoadStatus::Erased => "SL_LOAD_STATUS_ERASED",
    }
}

pub(crate) fn outcome_number(outcome: SaveOutcome) -> i32 {
    match outcome {
        SaveOutcome::NotSaved => SL_OUTCOME_NOT_SAVED,
        SaveOutcome::Saved => SL_OUTCOME_SAVED,
        SaveOutcome::Unknown => SL_OUTCOME_UNKNOWN,
    }
}

pub(crate) fn activity_number(activity: Activity) -> i32 {
    match activity {
        Activity::Load => SL_ACTIVITY_LOAD,
        Activity::Save => SL_ACTIVITY_SAVE,
        Activity::Create => SL_ACTIVITY_CREATE,
        Activity::Migrate => SL_ACTIVITY_MIGRATE,
        Activity::BeforeSave => SL_ACTIVITY_BEFORE_SAVE,
        Activity::RemoteChange => SL_ACTIVITY_REMOTE_CHANGE,
        Activity::Merge => SL_ACTIVITY_MERGE,
        Activity::Purchase => SL_ACTIVITY_PURCHASE,
        Activity::Send => SL_ACTIVITY_SEND,
    }
}

pub(crate) fn error_kind_number(kind: RequestErrorKind) -> i32 {
    super::storage_request::REQUEST_ERROR_KINDS
        .iter()
        .find(|(_, _, other)| *other == kind)
        .map_or(0, |row| row.0)
}
