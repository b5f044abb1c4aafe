//! The laws of `docs/protocol.md`, section 4, each an assertion over the ledger and what is stored.
//!
//! Each write is looked at as it happens, against the document that it replaces, so that a run costs
//! what its writes cost. A tool that writes or erases ends a *life* of the record: all that was known
//! of it is gone, and nothing of it may come back.

mod changes;
mod data;
mod owners;
mod purchases;

use crate::document::{self, Bought, Document, Session};
use crate::ids::{Key, ServerId};
use crate::ledger::Ledger;

/// A write that the storage has made.
pub struct Write<'a> {
    pub key: Key,
    pub revision: u64,
    /// None: the record was erased.
    pub bytes: Option<&'a [u8]>,
    /// The user ids that the record is found by, before and after.
    pub user_ids: (&'a [Box<str>], &'a [Box<str>]),
    /// Which server asked for it, and when; none for a tool.
    pub by: Option<(ServerId, f64)>,
}

/// What is stored under a key.
#[derive(Debug, Default)]
pub enum Content {
    #[default]
    Absent,
    /// No document.
    Unreadable,
    Document(Box<Stored>),
}

/// A stored document. Lists are kept as they are written: what has not changed is not read again.
#[derive(Debug, Default)]
pub struct Stored {
    pub version: u32,
    pub session: Option<Session>,
    /// The lock id and number of the last save.
    pub last_save: Option<(u64, u64)>,
    pub log: Box<str>,
    pub effects: Box<str>,
    pub inbox: Box<str>,
    pub waiting: Vec<u32>,
    pub applied: Box<str>,
    pub recorded: Box<str>,
    pub purchases: Box<str>,
    pub history: Vec<Bought>,
    pub product_credit: Box<str>,
    pub credit: Vec<(i64, i64)>,
    pub gifts: Box<str>,
}

/// A lock id, from its first write on.
#[derive(Debug)]
pub struct Lock {
    pub server: ServerId,
    pub key: Key,
    pub life: u32,
    /// Which of the key's sessions it is, from 1.
    pub nth: u64,
    /// When the last of its commits that was written was asked for.
    pub asked_at: f64,
    pub session_expiry: f64,
}

/// A server's write, and what it replaces.
pub(crate) struct Change<'a> {
    pub key: Key,
    pub server: ServerId,
    pub asked_at: f64,
    pub now: f64,
    pub life: u32,
    /// It puts something into the inbox, and is no session's.
    pub is_sender: bool,
    pub before: &'a Stored,
    pub after: &'a Document<'a>,
}

impl Stored {
    /// A document that has nothing in it.
    fn empty() -> Self {
        let none = || Box::from("[]");
        Self {
            log: none(),
            effects: none(),
            inbox: none(),
            applied: none(),
            recorded: none(),
            purchases: none(),
            product_credit: none(),
            gifts: none(),
            ..Self::default()
        }
    }

    /// Takes over what a write has changed. Lists whose meaning is kept as well were read by the laws.
    fn take_over(&mut self, after: &Document<'_>) {
        let keep = |kept: &mut Box<str>, text: &str| {
            if **kept != *text {
                *kept = text.into();
            }
        };
        self.version = after.version;
        self.session = after.session;
        self.last_save = after.saves.last().copied();
        keep(&mut self.log, after.log.get());
        keep(&mut self.effects, after.effects.get());
        keep(&mut self.applied, after.applied.get());
        keep(&mut self.recorded, after.recorded.get());
        keep(&mut self.inbox, document::text(after.remote_changes));
        keep(&mut self.purchases, document::text(after.purchases));
        keep(
            &mut self.product_credit,
            document::text(after.product_credit),
        );
        keep(&mut self.gifts, document::text(after.gifts));
    }
}

impl Ledger {
    /// Holds a write against the laws, and notes what is stored now.
    pub fn written(&mut self, write: &Write<'_>, now: f64) {
        let moment = self.tick();
        let index = write.key.index();
        let after = write.bytes.and_then(Document::read);
        let content = std::mem::take(&mut self.keys[index].content);
        let Some((server, asked_at)) = write.by else {
            return self.taken_away(write, after.as_ref(), now, moment);
        };
        let before = match content {
            Content::Absent => None,
            Content::Unreadable => {
                return self.breaks(4, || {
                    format!(
                        "{server} has written over what is no document of {}",
                        write.key
                    )
                });
            }
            Content::Document(before) => Some(before),
        };
        let Some(after) = after else {
            return self.breaks(2, || {
                let text = String::from_utf8_lossy(write.bytes.unwrap_or_default());
                format!(
                    "{server} has written to {} what is no document: {text}",
                    write.key
                )
            });
        };
        let is_new = before.is_none();
        let mut stored = before.unwrap_or_else(|| Box::new(Stored::empty()));
        let last_save = after.saves.last().copied();
        let change = Change {
            key: write.key,
            server,
            asked_at,
            now,
            life: self.keys[index].life,
            is_sender: last_save == stored.last_save && after.session == stored.session,
            before: &stored,
            after: &after,
        };
        self.check_user_ids(write, change.is_sender);
        self.check_understood(&change, is_new);
        self.check_owner(&change, is_new);
        self.check_log(&change);
        let waiting = self.check_changes(&change, is_new);
        let bought = self.check_purchases(&change);
        if let Some(waiting) = waiting {
            stored.waiting = waiting;
        }
        if let Some((history, credit)) = bought {
            (stored.history, stored.credit) = (history, credit);
        }
        stored.take_over(&after);
        self.keys[index].content = Content::Document(stored);
    }

    /// A tool has erased a record, or put another in its place.
    fn taken_away(
        &mut self,
        write: &Write<'_>,
        after: Option<&Document<'_>>,
        now: f64,
        moment: u64,
    ) {
        self.counts.erasures += u64::from(write.bytes.is_none());
        let key = &mut self.keys[write.key.index()];
        key.life += 1;
        key.life_began = moment;
        key.life_began_at = now;
        key.content = match (after, write.bytes) {
            (Some(after), _) => {
                let mut stored = Box::new(Stored::empty());
                stored.take_over(after);
                Content::Document(stored)
            }
            (None, Some(_)) => {
                key.was_unreadable = Some(key.life);
                Content::Unreadable
            }
            (None, None) => Content::Absent,
        };
        for purchase in &mut self.purchases {
            purchase.is_forgotten |= purchase.buyer == write.key || purchase.recipient == write.key;
        }
    }

    /// The stored document, if there is one.
    pub(crate) fn stored(&self, key: Key) -> Option<&Stored> {
        match &self.keys[key.index()].content {
            Content::Document(stored) => Some(stored),
            _ => None,
        }
    }
}
