//! What there is: one key of one storage, two servers with a locker each, and what is under way
//! between them.

use crate::list::List;

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    A,
    B,
}

pub const BOTH: [Who; 2] = [Who::A, Who::B];

/// The name of one state of the key. Never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(pub u8);

/// What identifies a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lock(pub u8);

/// What a document says of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session {
    pub lock: Lock,
    /// Ticks since the commit was handed over that wrote it: its stamp, and with that its expiry.
    pub age: u8,
    /// By how much the stamp was too late already then.
    pub stamped_ahead: u8,
    /// Known to nobody in the model: the server that drew the lock id, while that process lives.
    pub by: Option<Who>,
}

/// A document, of which the session protocol knows only these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Document {
    pub session: Option<Session>,
    /// The highest save of each session, the newest session last.
    pub saves: List<(Lock, u8), 4>,
    /// Whether the tracked change is in it.
    pub tracked: bool,
}

impl Document {
    pub fn save_number(&self, lock: Lock) -> Option<u8> {
        let saves = self.saves.iter().filter(|(of, _)| *of == lock);
        saves.map(|(_, number)| *number).max()
    }

    pub fn unowned(self) -> Self {
        let session = None;
        Self { session, ..self }
    }
}

/// What is stored under the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Store {
    Absent(Revision),
    Present(Revision, Document),
}

impl Default for Expected {
    fn default() -> Self {
        Self::Absent(Revision(0))
    }
}

impl Store {
    pub fn expected(&self) -> Expected {
        match self {
            Store::Absent(revision) => Expected::Absent(*revision),
            Store::Present(revision, _) => Expected::Present(*revision),
        }
    }

    pub fn document(&self) -> Option<&Document> {
        match self {
            Store::Absent(_) => None,
            Store::Present(_, document) => Some(document),
        }
    }

    pub fn session(&self) -> Option<&Session> {
        self.document()?.session.as_ref()
    }
}

/// The condition of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Expected {
    Absent(Revision),
    Present(Revision),
}

/// A commit on its way to the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit {
    pub lock: Lock,
    pub expected: Expected,
    pub document: Document,
    /// Known to nobody in the model: the record was erased after the asker had seen it.
    pub outlived: bool,
}

/// What the storage has answered; the answer is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    Stored(Revision),
    Conflict,
}

/// A commit whose answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InFlight {
    pub commit: Commit,
    pub answer: Option<Answer>,
}

/// A server, and its locker of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// Whether the host wants the key.
    pub wanted: bool,
    pub phase: Phase,
    /// The lock ids that it has drawn, while they may be in the storage.
    pub drawn: List<Lock, 6>,
    /// For how many ticks it has seen the stored session unchanged.
    pub watched: Option<u8>,
    /// Known to nobody in the model.
    pub past: Past,
}

/// What a server has seen of the record since its host has asked, and what has become of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Past {
    #[default]
    Unseen,
    /// The record, or its absence.
    Seen,
    /// That has been erased since: by law 7 it must not write.
    Outlived,
}

/// Where a locker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is done until the host asks, or asks anew.
    #[default]
    Idle,
    Acquire(Acquire),
    Held(Held),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acquire {
    /// Drawn with the first commit.
    pub lock: Option<Lock>,
    /// What commits of unknown fate expect, and how long ago the first was handed over.
    pub unsettled: Option<(Expected, u8)>,
    /// What was in them.
    pub unsettled_draft: Option<Document>,
    pub seen: Option<Seen>,
    pub step: AcquireStep,
}

/// What was seen of the record since the host asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    Record,
    Absence(Revision),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AcquireStep {
    /// Is to fetch the record: at once, or after a wait.
    #[default]
    Looking,
    /// Has a draft, which is to be committed.
    Drafted(Document, Expected),
    Committing(InFlight),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    pub lock: Lock,
    /// Of the last commit known to be stored.
    pub revision: Revision,
    /// The highest save number given out.
    pub number: u8,
    /// Ticks since the last commit known to be stored was handed over.
    pub lease: u8,
    /// The release is stored, and the key is to be taken again.
    pub is_free: bool,
    /// Saves of unknown fate, oldest first.
    pub unsettled: List<Attempt, 4>,
    /// The save data.
    pub data: Document,
    pub step: HeldStep,
}

impl Held {
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        let in_flight = match &self.step {
            HeldStep::Committing(attempt, _) => Some(attempt),
            _ => None,
        };
        self.unsettled.iter().chain(in_flight)
    }

    pub fn attempts_mut(&mut self) -> impl Iterator<Item = &mut Attempt> {
        let in_flight = match &mut self.step {
            HeldStep::Committing(attempt, _) => Some(attempt),
            _ => None,
        };
        self.unsettled.iter_mut().chain(in_flight)
    }
}

/// A save that was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    pub number: u8,
    /// Ticks since it was handed over.
    pub age: u8,
    pub releases: bool,
    /// The tracked change is in it.
    pub covers_tracked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeldStep {
    /// May save at any time, and must if the host has let go.
    Resting,
    Committing(Attempt, InFlight),
    /// Is to fetch the record: at once, or after a wait.
    Settling,
}

/// What became of the tracked change, which some host makes at some time and waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tracked {
    #[default]
    Unmade,
    Waiting(Who),
    Saved,
    NotSaved,
    /// Its server crashed.
    Unanswered,
}

/// A step at which a law was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wrong {
    /// A commit was written over the session of another within its lease.
    TakenWithinTheLease,
    /// A server waits for a session of its own.
    WaitsForItself,
    /// A commit was written by one who had seen a record that was erased since.
    BroughtBack,
}

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub store: Store,
    pub servers: [Server; 2],
    /// Commits that nobody waits for any more, and that may still be acted upon.
    pub late: List<Commit, 3>,
    pub tracked: Tracked,
    /// The tracked change was made before the last erasure.
    pub tracked_was_erased: bool,
    pub wrong: Option<Wrong>,
}

impl State {
    pub fn server(&self, who: Who) -> &Server {
        &self.servers[who as usize]
    }

    pub fn server_mut(&mut self, who: Who) -> &mut Server {
        &mut self.servers[who as usize]
    }

    /// Nothing was ever stored, and nobody wants anything.
    pub fn new() -> Self {
        Self {
            store: Store::Absent(Revision(1)),
            servers: Default::default(),
            late: List::default(),
            tracked: Tracked::Unmade,
            tracked_was_erased: false,
            wrong: None,
        }
    }

    pub fn stores_tracked(&self) -> bool {
        self.store
            .document()
            .is_some_and(|document| document.tracked)
    }
}
