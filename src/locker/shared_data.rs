//! A live document: what host threads read and write while it is loaded, migrated or saved. It
//! holds the lock only while one method of [`SaveData`] runs, and never while host code does.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::save_data::{SaveData, SaveDataError};

/// One document, shared by everything that names it.
#[derive(Debug)]
pub struct SharedSaveData {
    data: Mutex<SaveData>,
}

/// Why a write was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A hook owns the document for the moment.
    #[error("the save data is owned by a hook that is running")]
    Busy,
    /// The document refuses the write.
    #[error(transparent)]
    SaveData(#[from] SaveDataError),
}

impl SharedSaveData {
    /// A document that can be shared from now on.
    pub fn new(data: SaveData) -> Arc<Self> {
        let data = Mutex::new(data);
        Arc::new(Self { data })
    }

    /// Reads. The document is borrowed mutably because a read keeps what it has parsed.
    pub fn read<R>(&self, read: impl FnOnce(&mut SaveData) -> R) -> R {
        read(&mut self.data.lock())
    }

    /// Writes.
    ///
    /// # Errors
    /// What the document refuses, and [`WriteError::Busy`] while a hook owns it.
    pub fn write<R>(
        &self,
        write: impl FnOnce(&mut SaveData) -> Result<R, SaveDataError>,
    ) -> Result<R, WriteError> {
        Ok(write(&mut self.data.lock())?)
    }

    /// Takes the document out, leaving an empty one to whoever still names it.
    pub fn take(&self) -> SaveData {
        std::mem::take(&mut self.data.lock())
    }
}
