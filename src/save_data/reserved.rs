//! The reserved fields: what the library itself keeps in a document, beside the player's fields.
//! Their names and shapes are those of section "The document" in `docs/protocol.md`; the first six
//! are those of the original library, so that data exported from it loads unchanged.

use serde_json::Value;

use super::purchases::Purchases;
use super::scan::check_depth;
use super::value::{is_plain, write_json};
use super::{MAX_DEPTH, SaveDataError};

/// The reserved fields' names, in the order in which they are written.
const NAMES: [&str; 9] = [
    "Version",
    "VersionPatch",
    "Session",
    "Purchases",
    "ProductCredit",
    "RemoteChanges",
    "Saves",
    "Received",
    "Gifts",
];

/// The position of a reserved field's name in [`NAMES`].
pub(super) fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|reserved| *reserved == name)
}

/// The host's number for something it sells.
pub type ProductId = i64;

/// What the library keeps in a document, beside the player's fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reserved {
    /// The version of the player's fields, from 1 on; 0 when the document does not say, which is
    /// how documents from before this library look.
    pub version: u32,
    /// Which of a version's patches have been applied, in the host's own counting.
    pub version_patch: f64,
    /// Who owned the document when it was read; `None` when nobody did.
    pub session: Option<Session>,
    /// The purchase history, oldest first.
    pub purchases: Purchases,
    /// What has been paid for and not been given yet: product and count.
    pub product_credit: Vec<(ProductId, i64)>,
    /// The inbox, oldest first.
    pub remote_changes: Vec<RemoteChange>,
    /// The highest save of each of the last sessions, newest last.
    pub saves: Vec<SaveMark>,
    /// The highest sequence that each sender has put into the inbox.
    pub received: Vec<Received>,
    /// The gifts that have been applied to this player.
    pub gifts: Vec<Gift>,
}

/// Who owns a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The place (game, shard, region) that the owner serves.
    pub place_id: i64,
    /// The owner's server, for people.
    pub job_id: Box<str>,
    /// 53 random bits drawn for this acquisition: what identity means.
    pub lock_id: u64,
    /// When the owner last wrote, in Unix seconds.
    pub updated_at: f64,
    /// How long the owner's session lasts without a save, in seconds.
    pub expiry: Option<f64>,
}

/// An entry of the purchase history.
#[derive(Clone, Debug, PartialEq)]
pub struct Purchase {
    /// What was bought.
    pub product_id: ProductId,
    /// The receipt's id.
    pub purchase_id: String,
    /// When, in Unix seconds.
    pub at: f64,
    /// There while the purchase is a gift that has not arrived.
    pub mark: Option<PurchaseMark>,
}

/// What an unfinished gift is marked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseMark {
    /// The key of the player who is to get it.
    Recipient(String),
    /// The `1` that the original library wrote, which does not say for whom.
    Unnamed,
}

/// A change that somebody else has put into the inbox. Its JSON is kept as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteChange {
    json: Box<str>,
    kind: Box<str>,
    id: RemoteChangeId,
    at: f64,
}

/// A remote change's id: the original library drew numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteChangeId {
    /// An integer.
    Number(i64),
    /// A text.
    Text(Box<str>),
}

impl RemoteChange {
    /// Reads `{"K": kind, "I": id, "A": Unix seconds, …}`. Whatever else is in it is the host's.
    ///
    /// # Errors
    /// [`SaveDataError::InvalidReserved`] when it is not JSON, or one of the three is missing or of
    /// a wrong type; [`SaveDataError::TooDeep`] when no document could hold it.
    pub fn from_json(json: &str) -> Result<Self, SaveDataError> {
        // It will stand in the inbox, which stands in the document.
        check_depth(json, MAX_DEPTH - 2)?;
        super::reserved_read::remote_change(json.trim()).map_err(|message| {
            SaveDataError::InvalidReserved {
                field: "RemoteChanges".to_owned(),
                message,
            }
        })
    }

    pub(super) fn new(json: Box<str>, kind: Box<str>, id: RemoteChangeId, at: f64) -> Self {
        Self { json, kind, id, at }
    }

    /// The whole change as JSON, byte for byte as it was given.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The host's name for this kind of change, `K`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The change's id, `I`.
    pub fn id(&self) -> &RemoteChangeId {
        &self.id
    }

    /// When it was sent, `A`, in Unix seconds.
    pub fn at(&self) -> f64 {
        self.at
    }
}

/// The highest save of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveMark {
    /// The session's `LockId`.
    pub lock_id: u64,
    /// The save's number within the session, 0 for the acquire.
    pub number: u64,
}

/// The highest sequence number that one sender has put into the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The sender's name.
    pub sender: String,
    /// Its highest sequence number.
    pub sequence: u64,
    /// When, in Unix seconds.
    pub at: f64,
}

/// A gift that has been applied to this player.
#[derive(Clone, Debug, PartialEq)]
pub struct Gift {
    /// The receipt's id.
    pub purchase_id: String,
    /// When, in Unix seconds.
    pub at: f64,
    /// What else the purchase is known by; documents of earlier versions do not say.
    pub bought: Option<Bought>,
}

/// What was bought as a gift, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// The product.
    pub product_id: ProductId,
    /// The purchaser's key.
    pub purchaser: String,
}

impl Reserved {
    /// Appends `"name":value` for every reserved field that is to be stored, parted by commas.
    pub(super) fn write_members(&self, session: Option<&Session>, out: &mut Vec<u8>) {
        let mut separator: &[u8] = b"";
        for (at, name) in NAMES.iter().enumerate() {
            if self.is_written(at, session) {
                out.extend_from_slice(separator);
                write_json(out, name);
                out.push(b':');
                self.write_value(at, session, out);
                separator = b",";
            }
        }
    }

    /// How many reserved fields a reader of the document sees.
    pub(super) fn count(&self) -> usize {
        self.names().count()
    }

    /// Their names, in the order in which they are stored.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let session = self.session.as_ref();
        let written = move |at: &usize| self.is_written(*at, session);
        (0..NAMES.len()).filter(written).map(|at| NAMES[at])
    }

    /// A reserved field as a reader of the document sees it; `None` when it is not there.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let session = self.session.as_ref();
        let at = position(name).filter(|at| self.is_written(*at, session))?;
        let mut json = Vec::new();
        self.write_value(at, session, &mut json);
        serde_json::from_slice(&json).ok()
    }

    /// The names and values that a reader of the document sees.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, Value)> {
        NAMES
            .iter()
            .filter_map(|name| self.value(name).map(|value| (*name, value)))
    }

    fn is_written(&self, at: usize, session: Option<&Session>) -> bool {
        match NAMES[at] {
            "Version" => self.version > 0,
            "Session" => session.is_some(),
            "RemoteChanges" => !self.remote_changes.is_empty(),
            "Saves" => !self.saves.is_empty(),
            "Received" => !self.received.is_empty(),
            "Gifts" => !self.gifts.is_empty(),
            // The original library's documents always have these.
            _ => true,
        }
    }

    fn write_value(&self, at: usize, session: Option<&Session>, out: &mut Vec<u8>) {
        match NAMES[at] {
            "Version" => write_json(out, &self.version),
            "VersionPatch" => write_number(out, self.version_patch),
            "Session" => {
                if let Some(session) = session {
                    session.write(out);
                }
            }
            "Purchases" => self.purchases.write(out),
            "ProductCredit" => write_list(out, &self.product_credit, |out, (product_id, count)| {
                write_json(out, product_id);
                out.push(b',');
                write_json(out, count);
            }),
            "RemoteChanges" => write_changes(out, &self.remote_changes),
            "Saves" => write_list(out, &self.saves, |out, mark| {
                write_json(out, &mark.lock_id);
                out.push(b',');
                write_json(out, &mark.number);
            }),
            "Received" => write_list(out, &self.received, |out, received| {
                write_json(out, &received.sender);
                out.push(b',');
                write_json(out, &received.sequence);
                out.push(b',');
                write_number(out, received.at);
            }),
            _ => write_list(out, &self.gifts, |out, gift| {
                write_text(out, &gift.purchase_id);
                out.push(b',');
                write_number(out, gift.at);
                if let Some(bought) = &gift.bought {
                    out.push(b',');
                    write_json(out, &bought.product_id);
                    out.push(b',');
                    write_text(out, &bought.purchaser);
                }
            }),
        }
    }
}

impl Session {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"PlaceId\":");
        write_json(out, &self.place_id);
        out.extend_from_slice(b",\"JobId\":");
        write_json(out, &*self.job_id);
        out.extend_from_slice(b",\"LockId\":");
        write_json(out, &self.lock_id);
        out.extend_from_slice(b",\"UpdatedAt\":");
        write_number(out, self.updated_at);
        if let Some(expiry) = self.expiry {
            out.extend_from_slice(b",\"Expiry\":");
            write_number(out, expiry);
        }
        out.push(b'}');
    }
}

/// Writes a list of lists, `entry` writing the inside of each.
fn write_list<T>(out: &mut Vec<u8>, list: &[T], entry: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in list.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
        entry(out, item);
        out.push(b']');
    }
    out.push(b']');
}

fn write_changes(out: &mut Vec<u8>, changes: &[RemoteChange]) {
    out.push(b'[');
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(change.json.as_bytes());
    }
    out.push(b']');
}

/// Writes a string; most of those here need no escapes, and there are many.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        write_json(out, text);
    }
}

/// Writes a number as the original library does: without a fraction when it has none. JSON has no
/// word for what is not finite; 0 stands in for it.
pub(super) fn write_number(out: &mut Vec<u8>, number: f64) {
    /// Up to here every integer is exactly a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        write_json(out, &(number as i64));
    } else if number.is_finite() {
        write_json(out, &number);
    } else {
        out.push(b'0');
    }
}
