//! Law 5: a remote change is applied exactly once. Once it is stored, it stands in every later document
//! of that life in one of two places, the inbox or `Effects`.

use crate::document;
use crate::ids::{Key, RemoteId, SendId};
use crate::ledger::Ledger;
use crate::server::SendAnswer;

use super::Change;

impl Ledger {
    /// What waits in the inbox now, where that has changed.
    pub(super) fn check_changes(&mut self, change: &Change<'_>, is_new: bool) -> Option<Vec<u32>> {
        let (before, after) = (change.before, change.after);
        let inbox = document::text(after.remote_changes);
        let (server, key) = (change.server, change.key);
        if *before.inbox == *inbox && *before.effects == *after.effects.get() {
            return None;
        }
        let Some(waiting) = document::inbox(inbox) else {
            self.breaks(5, || {
                format!("{server} has stored in {key} the inbox {inbox}")
            });
            return None;
        };
        let Some(applied) = document::appended(&before.effects, after.effects.get()) else {
            self.breaks(5, || format!("{server} has lost effects of {key}"));
            return None;
        };
        match change.is_sender {
            true => self.check_arrived(change, &waiting, is_new),
            false => self.check_applied(change, &waiting, &applied),
        }
        Some(waiting)
    }

    /// A sender puts new changes behind those that are there. What was on its way as its record was erased
    /// may arrive at the next one, if others have made that, and nobody was told that it had arrived.
    fn check_arrived(&mut self, change: &Change<'_>, waiting: &[u32], is_new: bool) {
        let (server, key, life) = (change.server, change.key, change.life);
        let Some(new) = waiting.strip_prefix(&*change.before.waiting) else {
            return self.breaks(5, || format!("{server} has changed the inbox of {key}"));
        };
        for number in new {
            let remote = RemoteId(*number);
            let Some(known) = self.remotes.get_mut(remote.index()) else {
                return self.breaks(5, || format!("{remote} was never sent"));
            };
            let arrived = known.arrived.replace(life);
            let shown = self.servers[server.index()].shown_to_sender.get(&key);
            let was_there = shown.is_some_and(|asked| *asked > known.moment);
            let what = match arrived {
                _ if known.key != key => (5, "was sent to another key"),
                Some(before) if before == life => (5, "has arrived already"),
                _ if is_new && was_there && !known.is_sent_again => (7, "had seen it before"),
                Some(_) if is_new && !known.is_sent_again => (7, "was erased with its record"),
                _ if known.is_sent && !known.is_sent_again => (7, "had arrived before"),
                _ if known.is_denied && !known.is_sent_again => (5, "was called not sent"),
                _ => continue,
            };
            let (law, what) = what;
            self.breaks(law, || {
                format!("{server} has put {remote} into the inbox of {key}, which {what}")
            });
        }
    }

    /// An owner takes from the inbox what it has applied, and that alone.
    fn check_applied(&mut self, change: &Change<'_>, waiting: &[u32], applied: &[u32]) {
        let (server, key, life) = (change.server, change.key, change.life);
        let mut left = change.before.waiting.clone();
        for number in applied {
            let remote = RemoteId(*number);
            match left.iter().position(|waiting| waiting == number) {
                Some(place) => drop(left.remove(place)),
                None => self.breaks(5, || {
                    format!("{server} has applied {remote} to {key}, which did not wait there")
                }),
            }
            self.remotes[remote.index()].applied = Some(life);
            self.counts.remote_changes_applied += 1;
        }
        if left != waiting {
            let before = &change.before.waiting;
            self.breaks(5, || {
                format!(
                    "{server} has made of the inbox {before:?} of {key} {waiting:?}, and has \
                     applied {applied:?}"
                )
            });
        }
    }

    /// How a send has ended is so.
    pub(crate) fn check_sent(&mut self, send: SendId, outcome: SendAnswer) {
        let entry = &self.sends[send.index()];
        let (server, key, changes) = (entry.server, entry.key, entry.changes.clone());
        let life = self.keys[key.index()].life;
        match outcome {
            SendAnswer::Unknown => {}
            SendAnswer::Sent => {
                let is_missing =
                    |remote: &&RemoteId| self.remotes[remote.index()].arrived.is_none();
                if let Some(remote) = changes.iter().find(is_missing) {
                    self.breaks(5, || {
                        format!(
                            "{send} of {server} says that {remote} is sent, which is not in {key}"
                        )
                    });
                }
            }
            SendAnswer::Missing
            | SendAnswer::InboxFull
            | SendAnswer::NotSent
            | SendAnswer::Corrupt => {
                let is_there = |remote: &&RemoteId| {
                    let known = &self.remotes[remote.index()];
                    known.arrived == Some(life) && !known.is_sent_again
                };
                if let Some(remote) = changes.iter().find(is_there) {
                    self.breaks(5, || {
                        format!(
                            "{send} of {server} says {outcome:?} of {remote}, which is in {key}"
                        )
                    });
                }
                self.deny(send);
            }
        }
    }

    /// At the end, when all are well: whatever has arrived has had its effect.
    pub fn check_all_applied(&mut self, key: Key) {
        let life = self.keys[key.index()].life;
        let waits = self
            .stored(key)
            .and_then(|stored| stored.waiting.first().copied());
        if let Some(number) = waits {
            self.breaks(5, || {
                format!("{} waits in {key} for ever", RemoteId(number))
            });
        }
        let is_lost = |remote: &&crate::ledger::RemoteLedger| {
            remote.key == key && remote.arrived == Some(life) && remote.applied != Some(life)
        };
        if self.remotes.iter().any(|remote| is_lost(&remote)) {
            self.breaks(5, || format!("a remote change to {key} was never applied"));
        }
    }
}
