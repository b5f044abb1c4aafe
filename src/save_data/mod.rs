//! The document: one player's save data as the host reads and writes it, and as it is stored.
//!
//! A stored document is one JSON object with the player's own fields at top level, beside the
//! reserved fields that the library keeps there ([`Reserved`]). [`SaveData::parse`] validates it
//! in one pass and builds nothing: a field stays text until something touches it, and
//! [`SaveData::encode`] copies what nobody has written. It never reads a clock, never writes to a
//! storage, and never drops a field it does not understand.

#![forbid(unsafe_code)]

mod error;
mod fields;
mod nested;
mod outbox;
mod patch;
mod pointer;
mod purchases;
mod read;
mod received;
mod reserved;
mod reserved_read;
mod scan;
mod value;
mod write;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use error::SaveDataError;
pub use outbox::MAX_KIND_BYTES;
pub use purchases::Purchases;
pub use reserved::{
    Bought, Gift, ProductId, Purchase, PurchaseMark, Received, RemoteChange, RemoteChangeId,
    Reserved, SaveMark, Session,
};
pub use value::{ReadValue, ValueType};

pub(crate) use outbox::UnsentChange;

use fields::{Fields, Span};
use scan::Member;

/// How large the player's fields may be when the host does not say, in bytes.
pub const DEFAULT_LIMIT_BYTES: usize = 4 << 20;
/// The largest limit; a larger one counts as this, in bytes.
pub const MAX_LIMIT_BYTES: usize = 1 << 30;
/// How deep a document may be nested, the document itself counting as one level.
pub const MAX_DEPTH: usize = 128;

/// One player's document. A copy is cheap and shares what neither side changes.
///
/// Places in it are named by JSON Pointers (RFC 6901): `/Gold`, `/Inventory/3/Id`, and the empty
/// pointer for the whole document. Reads see the reserved fields, writes are refused them.
#[derive(Clone)]
pub struct SaveData {
    fields: Fields,
    reserved: Arc<Reserved>,
    limit_bytes: usize,
    change_count: u64,
}

/// The player's fields as they were at one moment.
#[derive(Clone)]
pub struct Backup(Fields);

impl SaveData {
    /// Reads a stored document. The player's fields may be twice as large as `limit_bytes`, so
    /// that a limit made smaller locks nobody out.
    ///
    /// # Errors
    /// Text that is not UTF-8, not JSON, not an object, too deep or too large; a top-level field
    /// that is there twice; a reserved field of a shape that is not the one it must have. Each
    /// says where.
    pub fn parse(bytes: Bytes, limit_bytes: usize) -> Result<Self, SaveDataError> {
        let limit_bytes = limit_bytes.min(MAX_LIMIT_BYTES);
        let text = std::str::from_utf8(&bytes).map_err(|error| SaveDataError::InvalidUtf8 {
            offset: error.valid_up_to(),
        })?;
        let mut reserved = Reserved::default();
        let fields = read_document(&bytes, text, |member, is_reserved| match is_reserved {
            true => reserved.read(&member.name, member.value),
            false => Ok(()),
        })?;
        check_size(fields.size(), limit_bytes * 2)?;
        Ok(Self {
            fields,
            reserved: Arc::new(reserved),
            limit_bytes,
            change_count: 0,
        })
    }

    /// A new document with the player's fields that the host gives as a JSON object. Reserved
    /// names in it are ignored; the version is 0 until somebody sets it.
    ///
    /// # Errors
    /// As [`SaveData::parse`], and what cannot be represented (`1e999`) is refused.
    pub fn from_json(json: &str, limit_bytes: usize) -> Result<Self, SaveDataError> {
        let limit_bytes = limit_bytes.min(MAX_LIMIT_BYTES);
        let fields = read_player_fields(json)?;
        check_size(fields.size(), limit_bytes)?;
        Ok(Self {
            fields,
            limit_bytes,
            ..Self::default()
        })
    }

    /// The document as it is to be stored, owned by `session` (by nobody: `None`). Afterwards the
    /// document is made of slices of the returned bytes, so that an idle one costs its text once.
    pub fn encode(&mut self, session: Option<&Session>) -> Bytes {
        let (mut text, start) = self.written(session);
        debug_assert_eq!(text.len(), text.capacity(), "the size is kept exactly");
        text.shrink_to_fit();
        let text = Bytes::from(text);
        if u32::try_from(text.len()).is_ok() {
            self.fields.rebase(text.clone(), start);
        }
        text
    }

    /// The whole document as the host reads it, reserved fields included; `Session` is the one
    /// that was read with it.
    pub fn to_json(&self) -> String {
        let (text, _) = self.written(self.reserved.session.as_ref());
        into_string(text)
    }

    /// The stored form, and where the player's fields begin in it.
    fn written(&self, session: Option<&Session>) -> (Vec<u8>, usize) {
        let inbox = self.reserved.remote_changes.iter();
        let inbox = inbox.map(|change| change.json().len() + 1).sum::<usize>();
        let mut reserved = Vec::with_capacity(256 + inbox);
        self.reserved.write_members(session, &mut reserved);
        // The size counts the braces; a comma parts the reserved fields from the player's.
        let comma = usize::from(self.fields.count() > 0);
        let mut text = Vec::with_capacity(reserved.len() + comma + self.fields.size());
        text.push(b'{');
        text.extend_from_slice(&reserved);
        text.extend_from_slice(&b","[..comma]);
        let start = text.len();
        self.fields.write_members(&mut text);
        text.push(b'}');
        (text, start)
    }

    /// Remembers the player's fields as they are now. Costs no copy of any value.
    pub fn backup(&self) -> Backup {
        Backup(self.fields.clone())
    }

    /// Puts the player's fields back to what they were. Reserved fields stay. Counts as a change.
    ///
    /// # Errors
    /// A backup of another document may be too large for this one's limit.
    pub fn restore(&mut self, backup: &Backup) -> Result<(), SaveDataError> {
        self.check_new_size(backup.0.size())?;
        self.fields = backup.0.clone();
        self.changed();
        Ok(())
    }

    /// Remembers what is not host code's to change, before host code gets hold of the document.
    pub(crate) fn seal(&self) -> Seal {
        Seal {
            reserved: Arc::clone(&self.reserved),
            limit_bytes: self.limit_bytes,
            change_count: self.change_count,
        }
    }

    /// Puts that back, if host code has put another document in this one's place.
    pub(crate) fn unseal(&mut self, seal: Seal) {
        let is_same = Arc::ptr_eq(&self.reserved, &seal.reserved);
        if !is_same || self.change_count < seal.change_count {
            self.reserved = seal.reserved;
            self.limit_bytes = seal.limit_bytes;
            self.change_count = self.change_count.max(seal.change_count + 1);
        }
    }

    /// Gives a document of the host's this limit; false if it is too large for it.
    pub(crate) fn set_limit_bytes(&mut self, limit_bytes: usize) -> bool {
        self.limit_bytes = limit_bytes.min(MAX_LIMIT_BYTES);
        self.size_bytes() <= self.limit_bytes
    }

    /// Grows by one with each successful write or [`SaveData::restore`].
    #[inline]
    pub fn change_count(&self) -> u64 {
        self.change_count
    }

    /// What the player's fields take, stored as one JSON object, in bytes.
    #[inline]
    pub fn size_bytes(&self) -> usize {
        self.fields.size()
    }

    /// What the player's fields may take, in bytes.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// The version of the player's fields; 0 when the document does not say.
    pub fn version(&self) -> u32 {
        self.reserved.version
    }

    /// Which of the version's patches have been applied, in the host's own counting.
    pub fn version_patch(&self) -> f64 {
        self.reserved.version_patch
    }

    /// Says which version the player's fields have now.
    pub(crate) fn set_version(&mut self, version: u32, version_patch: f64) {
        let reserved = self.reserved_mut();
        reserved.version = version;
        reserved.version_patch = version_patch;
    }

    /// What the library keeps in this document.
    pub fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// The same, to be changed by the library; does not count as a change.
    pub(crate) fn reserved_mut(&mut self) -> &mut Reserved {
        Arc::make_mut(&mut self.reserved)
    }

    /// Counts a change; for those of the library's own fields that are the host's doing.
    pub(crate) fn changed(&mut self) {
        self.change_count += 1;
    }
}

/// What of a document is not host code's to change.
pub(crate) struct Seal {
    reserved: Arc<Reserved>,
    limit_bytes: usize,
    change_count: u64,
}

/// An empty document of version 0.
impl Default for SaveData {
    fn default() -> Self {
        Self {
            fields: Fields::default(),
            reserved: Arc::default(),
            limit_bytes: DEFAULT_LIMIT_BYTES,
            change_count: 0,
        }
    }
}

/// Leaves the player's data out: it has no place in a log.
impl fmt::Debug for SaveData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveData")
            .field("version", &self.version())
            .field("fields", &self.fields.count())
            .field("size_bytes", &self.size_bytes())
            .field("change_count", &self.change_count)
            .finish_non_exhaustive()
    }
}

/// Leaves the player's data out, as [`SaveData`] does.
impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("fields", &self.0.count())
            .finish_non_exhaustive()
    }
}

/// Reads a document that the host gives: reserved names are ignored, and every value has to be
/// one that can be read.
fn read_player_fields(json: &str) -> Result<Fields, SaveDataError> {
    let text = Bytes::copy_from_slice(json.as_bytes());
    read_document(&text, json, |member, _| scan::check_readable(member))
}

/// Reads a document whose bytes are `bytes` and whose text is `text`. `check` sees every member
/// and whether its name is reserved; those that are not become fields.
fn read_document(
    bytes: &Bytes,
    text: &str,
    mut check: impl FnMut(&Member<'_>, bool) -> Result<(), SaveDataError>,
) -> Result<Fields, SaveDataError> {
    check_size(text.len(), u32::MAX as usize)?;
    scan::check_depth(text, MAX_DEPTH)?;
    let mut fields = Fields::new(bytes.clone());
    let mut seen = 0_u16;
    scan::members(text, |member| {
        let position = reserved::position(&member.name);
        let bit = position.map_or(0, |at| 1 << at);
        if seen & bit != 0 || fields.find(&member.name).is_some() {
            return Err(SaveDataError::DuplicateField {
                field: member.name.into_owned(),
                offset: member.offset,
            });
        }
        seen |= bit;
        check(&member, position.is_some())?;
        if position.is_none() {
            let value = Span::new(member.value_offset, member.value.len());
            fields.push_raw(member.name, member.offset + 1, value);
        }
        Ok(())
    })?;
    fields.shrink();
    Ok(fields)
}

fn check_size(size_bytes: usize, limit_bytes: usize) -> Result<(), SaveDataError> {
    if size_bytes > limit_bytes {
        return Err(SaveDataError::TooLarge {
            size_bytes,
            limit_bytes,
        });
    }
    Ok(())
}

/// Text made of slices of valid UTF-8 and of written JSON, which is UTF-8 as well.
fn into_string(text: Vec<u8>) -> String {
    String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
