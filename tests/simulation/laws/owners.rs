//! Law 1, one owner; law 4, what is not understood; law 7, erased stays erased; and of law 3, that no
//! session is called lost that is not.

use crate::ids::{Key, ServerId, SessionId};
use crate::ledger::{Ledger, SessionLedger};

use super::{Change, Content, Lock, Write};

impl Ledger {
    /// Law 4, and that a migrator runs once in the life of a record.
    pub(super) fn check_understood(&mut self, change: &Change<'_>, is_new: bool) {
        let (server, key) = (change.server, change.key);
        let version = self.servers[server.index()].version;
        let (before, after) = (change.before, change.after);
        if !is_new && before.version > version && !change.is_sender {
            let found = before.version;
            self.breaks(4, || {
                format!("{server} of version {version} has written over version {found} of {key}")
            });
        }
        let expected = match (change.is_sender, is_new) {
            (true, false) => before.version,
            _ => version,
        };
        if after.version != expected {
            let found = after.version;
            self.breaks(4, || {
                format!("{server} has written version {found} of {key}, not {expected}")
            });
        }
        let is_migrated = after.migrated == u32::from(after.version > 1);
        if !is_migrated {
            let (times, version) = (after.migrated, after.version);
            self.breaks(4, || {
                format!("{server} has migrated {key} {times} times, to version {version}")
            });
        }
        self.counts.migrations += u64::from(!is_new && after.version != before.version);
    }

    /// Of law 4: an owner gives a record its player's user id, and a sender leaves what is there. By these
    /// the record is found when a player wants to be forgotten.
    pub(super) fn check_user_ids(&mut self, write: &Write<'_>, is_sender: bool) {
        let (key, (before, after)) = (write.key, write.user_ids);
        let is_right = match is_sender {
            true => before == after,
            false => matches!(after, [id] if **id == *key.name()),
        };
        if !is_right {
            self.breaks(4, || {
                format!("{key} was written with the user ids {after:?}, and had {before:?}")
            });
        }
    }

    /// Laws 1 and 7.
    pub(super) fn check_owner(&mut self, change: &Change<'_>, is_new: bool) {
        if change.is_sender {
            return self.check_sender(change);
        }
        let (server, key, life) = (change.server, change.key, change.life);
        let Some(lock_id) = change.after.last_writer() else {
            return self.breaks(1, || {
                format!("{server} has written to {key} without a save")
            });
        };
        let session = change.after.session;
        if session.is_some_and(|session| session.lock_id != lock_id) {
            self.breaks(1, || {
                format!("{server} has written to {key} in two sessions' names")
            });
        }
        let expiry = self.servers[server.index()].session_expiry;
        let is_first = !self.locks.contains_key(&lock_id);
        let sessions = &mut self.keys[key.index()].sessions;
        *sessions += u64::from(is_first);
        let lock = self.locks.entry(lock_id).or_insert(Lock {
            server,
            key,
            life,
            nth: *sessions,
            asked_at: change.asked_at,
            session_expiry: expiry,
        });
        let (of, of_key, of_life) = (lock.server, lock.key, lock.life);
        lock.asked_at = lock.asked_at.max(change.asked_at);
        if (of, of_key) != (server, key) {
            self.breaks(1, || {
                format!("{server} has written to {key} as lock {lock_id} of {of} and {of_key}")
            });
        }
        if of_life != life {
            self.breaks(7, || {
                format!("{server} has written to {key}, which was erased since it owned it")
            });
        }
        if is_new {
            self.check_asked_anew(server, key);
        }
        self.check_expired(change, (lock_id, expiry));
        match is_first {
            true => self.counts.acquisitions += 1,
            false => self.counts.saves += 1,
        }
        let timeout_is_over = change.now - change.asked_at > crate::plan::TIMEOUT_MOST_S;
        self.counts.late_writes += u64::from(timeout_is_over);
    }

    /// What a sender writes leaves everything else as it is.
    fn check_sender(&mut self, change: &Change<'_>) {
        let (server, key) = (change.server, change.key);
        let (before, after) = (change.before, change.after);
        let is_same = *before.log == *after.log.get()
            && *before.effects == *after.effects.get()
            && *before.recorded == *after.recorded.get()
            && *before.applied == *after.applied.get();
        if !is_same {
            self.breaks(4, || {
                format!("{server}, which does not own {key}, has changed more than its inbox")
            });
        }
    }

    /// Who writes over another's session has waited for its expiry.
    fn check_expired(&mut self, change: &Change<'_>, (lock_id, expiry): (u64, f64)) {
        let Some(held) = change.before.session else {
            return;
        };
        let Some(lock) = self.locks.get(&held.lock_id) else {
            return;
        };
        if held.lock_id == lock_id || lock.server == change.server {
            return;
        }
        let waited = change.now - lock.asked_at;
        let needed = lock.session_expiry.max(expiry) - self.slack_s;
        let (server, owner, key) = (change.server, lock.server, change.key);
        self.counts.takeovers += 1;
        let is_alive = !self.servers[owner.index()].is_ending;
        if self.is_calm && is_alive {
            self.breaks(9, || {
                format!("{server} has taken {key} from {owner}, which lives and can be reached")
            });
        }
        if waited < needed {
            self.breaks(1, || {
                format!(
                    "{server} has taken {key} from {owner} {waited:.3} s after its last commit was \
                     asked for, and not after {needed:.3} s"
                )
            });
        }
    }

    /// Law 7: who makes a record was asked to after it had been erased, or never knew it.
    fn check_asked_anew(&mut self, server: ServerId, key: Key) {
        let began = self.keys[key.index()].life_began;
        let may_make = |session: &SessionLedger| {
            let is_here = session.let_go.is_none_or(|moment| moment > began);
            let knew_it = session.loaded.is_some() || session.is_shown;
            is_here && (session.asked > began || !knew_it)
        };
        let mut sessions = self
            .sessions
            .iter()
            .filter(|session| (session.server, session.key) == (server, key));
        if !sessions.any(may_make) {
            self.breaks(7, || {
                format!("{server} has made {key} anew, which was erased, and nobody asked for it")
            });
        }
    }

    /// Law 3: a session is lost only to another, or to an erasure.
    pub(crate) fn lost(
        &mut self,
        (server, session, key): (ServerId, SessionId, Key),
        lock_id: Option<u64>,
    ) {
        let is_stored = match &self.keys[key.index()].content {
            Content::Document(stored) => stored.last_save.map(|(lock_id, _)| lock_id) == lock_id,
            _ => false,
        };
        if lock_id.is_some() && is_stored {
            self.breaks(3, || {
                format!("{session} of {server} says that it has lost {key}, which it owns")
            });
        }
    }

    /// A server that says that it is done has left no session behind.
    pub fn check_released(&mut self, server: ServerId) {
        for index in 0..self.keys.len() {
            let key = Key(index as u8);
            let session = self.stored(key).and_then(|stored| stored.session);
            let lock = session.and_then(|session| self.locks.get(&session.lock_id));
            if lock.is_some_and(|lock| lock.server == server) {
                self.breaks(8, || {
                    format!("{server} is closed and has not released {key}")
                });
            }
        }
    }
}
