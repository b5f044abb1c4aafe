//! What of a document a sender reads and writes: its inbox, and how far each sender has got.

use hashbrown::HashMap;

use crate::save_data::{Received, RemoteChange, SaveData};

use super::{INBOX_MAX_BYTES, INBOX_MAX_CHANGES};

/// The most senders that a document remembers.
const RECEIVED_MAX: usize = 10_000;

/// Up to this many senders a name is looked up by comparing, above it through an index.
const INDEXED_ABOVE: usize = 32;

/// How far the senders of a document have got.
pub(super) struct Progress<'a> {
    received: &'a [Received],
    index: Option<HashMap<&'a str, u64>>,
}

impl<'a> Progress<'a> {
    pub fn of(data: &'a SaveData) -> Self {
        let received = &*data.reserved().received;
        let by_name = || received.iter().map(|one| (&*one.sender, one.sequence));
        let index = (received.len() > INDEXED_ABOVE).then(|| by_name().collect());
        Self { received, index }
    }

    /// The highest sequence number that this sender has put into the inbox.
    pub fn sequence(&self, sender: &str) -> Option<u64> {
        match &self.index {
            Some(index) => index.get(sender).copied(),
            None => {
                let mut all = self.received.iter();
                all.find(|one| one.sender == sender).map(|one| one.sequence)
            }
        }
    }
}

/// A draft whose inbox is added to.
pub(super) struct Inbox<'a> {
    draft: &'a mut SaveData,
    /// What is noted with a sender, in Unix seconds.
    at: f64,
    bytes: usize,
    /// Where each sender stands in the list, once there are many.
    index: Option<HashMap<Box<str>, usize>>,
}

impl<'a> Inbox<'a> {
    /// Opens a draft's inbox, and forgets the senders that need not be remembered.
    pub fn open(draft: &'a mut SaveData, wall: f64) -> Self {
        let reserved = draft.reserved_mut();
        let at = reserved.received_at(wall);
        reserved.prune_received(wall);
        if reserved.received.len() >= RECEIVED_MAX {
            reserved.forget_oldest_after_wrong_clock(wall);
        }
        let changes = reserved.remote_changes.iter();
        // Each with the comma or the bracket before it; the last bracket.
        let bytes = 1 + changes.map(|one| one.json().len() + 1).sum::<usize>();
        Self {
            draft,
            at,
            bytes,
            index: None,
        }
    }

    pub fn contains(&mut self, sender: &str) -> bool {
        self.find(sender).is_some()
    }

    /// Puts changes at the end, unless they do not all fit, and notes how far their sender has got.
    pub fn put(&mut self, changes: &mut Vec<RemoteChange>, sender: &str, sequence: u64) -> bool {
        let position = self.find(sender);
        let bytes = changes
            .iter()
            .map(|one| one.json().len() + 1)
            .sum::<usize>();
        let reserved = self.draft.reserved_mut();
        let fits = reserved.remote_changes.len() + changes.len() <= INBOX_MAX_CHANGES
            && self.bytes + bytes <= INBOX_MAX_BYTES
            && (position.is_some() || reserved.received.len() < RECEIVED_MAX);
        if !fits {
            return false;
        }
        self.bytes += bytes;
        reserved.remote_changes.append(changes);
        let at = self.at;
        match position {
            Some(position) => {
                let one = &mut reserved.received[position];
                (one.sequence, one.at) = (sequence, at);
            }
            None => {
                if let Some(index) = &mut self.index {
                    index.insert(sender.into(), reserved.received.len());
                }
                let sender = sender.to_owned();
                reserved.received.push(Received {
                    sender,
                    sequence,
                    at,
                });
            }
        }
        true
    }

    fn find(&mut self, sender: &str) -> Option<usize> {
        let received = &self.draft.reserved().received;
        if received.len() <= INDEXED_ABOVE {
            return received.iter().position(|one| one.sender == sender);
        }
        let all = || received.iter().map(|one| Box::from(&*one.sender)).zip(0..);
        let index = self.index.get_or_insert_with(|| all().collect());
        index.get(sender).copied()
    }
}
