//! Law 2, saved is saved; law 3, no false alarm; law 9, what a failed hook wrote is gone; and of law 7,
//! that no data from before an erasure comes back.

use crate::document;
use crate::ids::{Token, WaitId};
use crate::ledger::Ledger;

use super::{Change, Lock};

/// Of so many sessions a document says how far they have saved.
const SESSIONS_REMEMBERED: u64 = 8;

impl Ledger {
    /// Owners load the log and only ever append to it: what was stored once is in every later document.
    pub(super) fn check_log(&mut self, change: &Change<'_>) {
        let (server, key) = (change.server, change.key);
        let (before, after) = (&*change.before.log, change.after.log.get());
        let Some(new) = document::appended(before, after) else {
            return self.breaks(2, || {
                format!("{server} has lost what was stored of {key}: {before} became {after}")
            });
        };
        for number in new {
            self.token_stored(Token(number), change);
        }
    }

    fn token_stored(&mut self, token: Token, change: &Change<'_>) {
        let (server, key, life) = (change.server, change.key, change.life);
        let Some(known) = self.tokens.get_mut(token.index()) else {
            return self.breaks(2, || {
                format!("{server} has stored {token}, which nobody made")
            });
        };
        let stored = known.stored.replace(life);
        let what = match () {
            () if known.key != key => (2, "is of another key"),
            () if known.server != server => (2, "is of another server"),
            () if stored == Some(life) => (2, "was stored already"),
            () if known.life < life || stored.is_some() => (7, "is from before the erasure"),
            () if known.is_undone => (9, "is of a hook that has failed"),
            () if known.is_denied => (3, "was called not saved"),
            () => return,
        };
        let (law, what) = what;
        self.breaks(law, || {
            format!("{server} has stored {token} in {key}, which {what}")
        });
    }

    /// It is in the storage, or was until the record was erased.
    pub(crate) fn check_saved(&mut self, token: Token, wait: WaitId) {
        let known = &self.tokens[token.index()];
        let key = known.key;
        if known.stored.is_none() {
            self.breaks(2, || {
                format!("{wait} says that {token} is saved, which is not in {key}")
            });
        }
    }

    /// It is not in the storage, and never will be.
    pub(crate) fn check_not_saved(&mut self, token: Token, wait: WaitId) {
        let known = &mut self.tokens[token.index()];
        known.is_denied = true;
        let (key, stored) = (known.key, known.stored);
        if stored == Some(self.keys[key.index()].life) {
            self.breaks(3, || {
                format!("{wait} says that {token} is not saved, which is in {key}")
            });
        }
    }

    /// Nobody can know: the server is being destroyed, or so many others have had the key since that the
    /// record does not remember this one's saves, or a tool has put what is no document in its place.
    pub(crate) fn check_unknown(&mut self, wait: WaitId) {
        let known = &self.waits[wait.index()];
        let (server, key) = (known.server, self.key_of(known.session));
        let own = |lock: &&Lock| (lock.server, lock.key) == (server, key);
        let last = self.locks.values().filter(own).max_by_key(|lock| lock.nth);
        let now = self.key(key);
        let is_forgotten = last.is_some_and(|lock| {
            now.was_unreadable > Some(lock.life) || now.sessions - lock.nth >= SESSIONS_REMEMBERED
        });
        if !is_forgotten && !self.servers[server.index()].is_ending {
            self.breaks(3, || format!("{wait} of {server} is answered with unknown"));
        }
    }
}
