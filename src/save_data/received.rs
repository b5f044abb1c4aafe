//! For how long a document remembers how far senders have got.
//!
//! What is forgotten too soon may arrive twice, and any machine's clock may be wrong. So a document
//! remembers many senders whatever their age, and the time noted with one never runs backwards.

use super::{Received, Reserved};

/// So many senders are remembered whatever their age.
const KEPT: usize = 256;

/// Beyond them a sender is remembered for so long, in seconds.
const KEPT_FOR_S: f64 = 7.0 * 86_400.0;

impl Reserved {
    /// Forgets the senders beyond the number that is always kept that were heard last too long ago,
    /// those first that were heard first; `now` is Unix seconds.
    pub(crate) fn prune_received(&mut self, now: f64) {
        let received = &mut self.received;
        let excess = received.len().saturating_sub(KEPT);
        if excess == 0 {
            return;
        }
        let is_old = |place: &usize| now - received[*place].at > KEPT_FOR_S;
        let mut old: Vec<usize> = (0..received.len()).filter(is_old).collect();
        old.sort_by(|a, b| received[*a].at.total_cmp(&received[*b].at));
        old.truncate(excess);
        old.sort_unstable();
        let (mut old, mut place) = (old.into_iter().peekable(), 0..);
        received.retain(|_| {
            let place = place.next();
            old.next_if(|old| Some(*old) == place).is_none()
        });
    }

    /// For a full list. Where a clock far ahead has noted a time, that of nobody after it passes for a
    /// long while: then the sender that was heard first is forgotten, for the list would stay full.
    pub(crate) fn forget_oldest_after_wrong_clock(&mut self, now: f64) {
        let received = &mut self.received;
        if !received.iter().any(|one| one.at - now > KEPT_FOR_S) {
            return;
        }
        let oldest = (0..received.len()).min_by(|a, b| received[*a].at.total_cmp(&received[*b].at));
        oldest.map(|place| received.remove(place));
    }

    /// The time to note with a sender: now, or where this machine's clock is behind what the document
    /// knows of others', the newest of theirs. `wall` is Unix seconds.
    pub(crate) fn received_at(&self, wall: f64) -> f64 {
        let session = self.session.as_ref().map(|session| session.updated_at);
        let known = self.received.iter().map(|one: &Received| one.at);
        known.chain(session).fold(wall.trunc(), f64::max)
    }
}
