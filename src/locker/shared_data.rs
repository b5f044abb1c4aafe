//! The live document: host threads read and write it while the locker saves it.
//!
//! It has a lock of its own, so that reading a field waits for no frame. While a hook runs that
//! may have to be undone, the hook's thread owns the document: others read it as it was before
//! and are refused writes.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use parking_lot::Mutex;
use thiserror::Error;

use crate::save_data::{SaveData, SaveDataError, Seal};

use super::credit::CreditChange;

/// A write that was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum WriteError {
    /// Another thread is inside a hook that owns this document, or this thread is inside a hook that
    /// may write only the document it was called for.
    #[error("a hook that is running owns this save data, or may write only its own")]
    Busy,
    /// The session is over: nothing would ever save the change.
    #[error("the session is over, so nothing would save the change")]
    NotActive,
    /// The document refused it.
    #[error(transparent)]
    SaveData(#[from] SaveDataError),
}

/// What a hook that can be undone says of what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    /// It is done.
    Applied,
    /// It cannot be done, here or now, and that is no failure: nothing has changed.
    NotApplicable,
}

thread_local! {
    /// Whether this thread is inside a hook that can be undone.
    static IS_RESTORABLE: Cell<bool> = const { Cell::new(false) };
}

/// One document that several threads may touch.
#[derive(Debug, Default)]
pub struct SharedSaveData(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    data: SaveData,
    /// What `changes` counted when the present document took its place.
    base: u64,
    hook: Option<Box<Hook>>,
    /// What has become of product credit, and is not told yet.
    #[expect(
        clippy::box_collection,
        reason = "few sessions ever need it, and each pays for it"
    )]
    credit_changes: Option<Box<Vec<CreditChange>>>,
    /// A locker's own; drafts and copies belong to nobody.
    is_live: bool,
    is_over: bool,
}

/// The thread that owns the document, and the document as it was before.
#[derive(Debug)]
struct Hook {
    owner: ThreadId,
    before: SaveData,
    /// How many changes of credit were not told yet.
    credit_changes: usize,
}

impl SharedSaveData {
    /// Shares a document.
    pub fn new(data: SaveData) -> Arc<Self> {
        let inner = Inner {
            data,
            ..Inner::default()
        };
        Arc::new(Self(Mutex::new(inner)))
    }

    /// Shares a locker's document.
    pub(crate) fn live(data: SaveData) -> Arc<Self> {
        let inner = Inner {
            data,
            is_live: true,
            ..Inner::default()
        };
        Arc::new(Self(Mutex::new(inner)))
    }

    /// Reads. A nested read caches what it parsed, hence the mutable reference; what it writes
    /// counts for nothing, and reserved fields stay. `read` must not call into the library: the document
    /// is locked meanwhile.
    pub fn read<R>(&self, read: impl FnOnce(&mut SaveData) -> R) -> R {
        let mut guard = self.0.lock();
        let inner = &mut *guard;
        match &mut inner.hook {
            Some(hook) if hook.owner != thread::current().id() => {
                read(Sealed::new(&mut hook.before).data)
            }
            _ => read(Sealed::new(&mut inner.data).data),
        }
    }

    /// Writes, unless another thread is inside a hook that owns the document, or the locker behind
    /// it is gone. `write` must not call into the library: the document is locked meanwhile. Reserved
    /// fields stay, also where it puts another document in this one's place.
    pub fn write<R>(
        &self,
        write: impl FnOnce(&mut SaveData) -> Result<R, SaveDataError>,
    ) -> Result<R, WriteError> {
        let mut inner = self.0.lock();
        inner.check_writable()?;
        let sealed = Sealed::new(&mut inner.data);
        Ok(write(sealed.data)?)
    }

    /// Changes product credit, which the host may do where it may write. `write` says whether it has
    /// changed anything; then the change is counted, and kept until it is told.
    pub(super) fn write_credit<E>(
        &self,
        change: CreditChange,
        write: impl FnOnce(&mut SaveData) -> Result<bool, E>,
    ) -> Result<Result<bool, E>, WriteError> {
        let mut inner = self.0.lock();
        inner.check_writable()?;
        let written = write(&mut inner.data);
        if let Ok(true) = written {
            inner.data.changed();
            inner.credit_changes.get_or_insert_default().push(change);
        }
        Ok(written)
    }

    /// The changes of credit that are not told yet.
    pub(super) fn take_credit_changes(&self) -> Vec<CreditChange> {
        let taken = self.0.lock().credit_changes.take();
        taken.map_or_else(Vec::new, |changes| *changes)
    }

    /// The locker is gone: the document can only be read from now on.
    pub(crate) fn end(&self) {
        self.0.lock().is_over = true;
    }

    /// How many changes the document has seen, replacements included: what a save covers is said
    /// in this count.
    pub(crate) fn changes(&self) -> u64 {
        self.with(|_, changes| changes)
    }

    /// Runs `hook` as the owner of the document, which stays as it was if the hook fails.
    pub(crate) fn with_hook(
        &self,
        hook: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.begin_hook();
        let result = hook();
        let mut inner = self.0.lock();
        let hook = inner.hook.take();
        if let (Err(_), Some(hook)) = (&result, hook) {
            inner.undo(*hook);
        }
        result
    }

    /// Runs a hook that can be undone, as the owner of the document and with writes to the documents
    /// of other lockers refused. Unless the hook has applied what it was to, the document is as before it.
    /// Then `settle` notes what has come of it in the document; others see both at once.
    pub(crate) fn with_restorable_hook(
        &self,
        hook: impl FnOnce() -> Result<HookAnswer, String>,
        settle: impl FnOnce(&mut SaveData, &Result<HookAnswer, String>),
    ) -> Result<HookAnswer, String> {
        self.begin_hook();
        let result = restorable(hook);
        let mut inner = self.0.lock();
        let hook = inner.hook.take();
        if let (false, Some(hook)) = (result == Ok(HookAnswer::Applied), hook) {
            inner.undo(*hook);
        }
        settle(&mut inner.data, &result);
        result
    }

    fn begin_hook(&self) {
        let mut inner = self.0.lock();
        let before = inner.data.clone();
        let owner = thread::current().id();
        let credit_changes = inner.credit_changes.as_ref().map_or(0, |all| all.len());
        inner.hook = Some(Box::new(Hook {
            owner,
            before,
            credit_changes,
        }));
    }

    /// Puts another document in its place; gives back the one before, and what `changes` counted
    /// at that moment.
    pub(crate) fn replace(&self, data: SaveData) -> (SaveData, u64) {
        let mut inner = self.0.lock();
        let before = inner.replace(data);
        (before, inner.changes())
    }

    /// The locker's own access, past any hook, for stamping and encoding; `changes` is the count
    /// of changes that the document contains at this moment.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut SaveData, u64) -> R) -> R {
        let mut inner = self.0.lock();
        let changes = inner.changes();
        f(&mut inner.data, changes)
    }

    /// Takes the document out, for a draft whose handle is no longer needed.
    pub(crate) fn take(&self) -> SaveData {
        std::mem::take(&mut self.0.lock().data)
    }
}

impl Inner {
    fn check_writable(&self) -> Result<(), WriteError> {
        match &self.hook {
            Some(hook) if hook.owner != thread::current().id() => Err(WriteError::Busy),
            None if self.is_live && IS_RESTORABLE.get() => Err(WriteError::Busy),
            _ if self.is_over => Err(WriteError::NotActive),
            _ => Ok(()),
        }
    }

    fn changes(&self) -> u64 {
        self.base.wrapping_add(self.data.change_count())
    }

    fn replace(&mut self, data: SaveData) -> SaveData {
        let next = self.changes().wrapping_add(1);
        self.base = next.wrapping_sub(data.change_count());
        std::mem::replace(&mut self.data, data)
    }

    /// Puts the document back as it was before a hook, and nobody hears of what the hook has done. If
    /// it wrote nothing, there is nothing to save for it.
    fn undo(&mut self, hook: Hook) {
        if let Some(changes) = &mut self.credit_changes {
            changes.truncate(hook.credit_changes);
        }
        let before = hook.before;
        if self.data.change_count() == before.change_count() {
            self.data = before;
        } else {
            self.replace(before);
        }
    }
}

/// A document that host code has in its hands. Dropped, also by a panic of the host's, it has its reserved
/// fields back.
struct Sealed<'a> {
    data: &'a mut SaveData,
    seal: Option<Seal>,
}

impl<'a> Sealed<'a> {
    fn new(data: &'a mut SaveData) -> Self {
        let seal = Some(data.seal());
        Self { data, seal }
    }
}

impl Drop for Sealed<'_> {
    fn drop(&mut self) {
        if let Some(seal) = self.seal.take() {
            self.data.unseal(seal);
        }
    }
}

/// Whether this thread is inside a hook that may write to no other locker's document.
pub(crate) fn is_restorable() -> bool {
    IS_RESTORABLE.get()
}

/// Runs a hook that may write to no locker's document but the one it owns, if it owns one.
pub(crate) fn restorable<R>(hook: impl FnOnce() -> R) -> R {
    let outer = IS_RESTORABLE.replace(true);
    let result = hook();
    IS_RESTORABLE.set(outer);
    result
}
