//! What a session or a locker may be given at its start.

use std::sync::Arc;

use crate::storage::MAX_USER_ID_BYTES;

use super::driver::{LockerError, check_log_prefix, check_names};

/// What a session or a locker may be given at its start. Every field may be left at its default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionOptions<'a> {
    /// The users that the record belongs to, for erasure requests: they go into the storage with
    /// each save. At most 64, each of 1 to 128 bytes; with none, the record keeps those it has.
    pub user_ids: &'a [&'a str],
    /// What its log lines begin with, at most 1024 bytes. Empty, its key says whose they are.
    pub log_prefix: &'a str,
    /// The locker never touches the storage. It loads the save data that it has, which is the
    /// default one and what the host has written since, and keeps it from then on, also when it is
    /// released; all else is as with a storage that stores at once. For players without records of
    /// their own, such as those of tests.
    pub disable_apis: bool,
}

/// What a locker is made of, checked, as it keeps it.
pub(crate) struct NewLocker {
    pub key: Arc<str>,
    pub user_ids: Arc<[Box<str>]>,
    pub log_prefix: Option<Box<str>>,
    pub disable_apis: bool,
}

impl<'a> SessionOptions<'a> {
    /// The options that have user ids, and else the defaults.
    pub fn of_users(user_ids: &'a [&'a str]) -> Self {
        Self {
            user_ids,
            ..Self::default()
        }
    }

    /// Refuses a key and options that no locker can have.
    pub(crate) fn check(&self, key: &str) -> Result<NewLocker, LockerError> {
        let (key, user_ids) = check_names(key, self.user_ids)?;
        let log_prefix = check_log_prefix(self.log_prefix)?;
        Ok(NewLocker {
            key,
            user_ids,
            log_prefix,
            disable_apis: self.disable_apis,
        })
    }

    /// The same for a player, whose user id is the key and the only user id.
    pub(crate) fn check_player(&self, user_id: &str) -> Result<NewLocker, LockerError> {
        if !self.user_ids.is_empty() {
            return Err(LockerError::UserIdsOfPlayer);
        }
        let (index, bytes) = (0, user_id.len());
        if !(1..=MAX_USER_ID_BYTES).contains(&bytes) {
            return Err(LockerError::InvalidUserId { index, bytes });
        }
        let user_ids = &[user_id];
        let options = SessionOptions { user_ids, ..*self };
        options.check(user_id)
    }
}
