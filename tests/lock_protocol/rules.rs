//! What the model goes by: how sessions expire, how much may be under way, and what is broken on
//! purpose.

use crate::world::Who;

/// How a server finds out that another's session has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Each answer of the storage says what time it is.
    Storage,
    /// No clock is of use, for all stamps seem to lie in the future: a session must be seen
    /// unchanged for the whole expiry.
    Watched,
    /// The servers' own clocks, of which A's is ahead of B's; and watching.
    Servers { ahead: u8, tolerance: u8 },
    /// Clocks that are worse than any tolerance: every session looks expired to the other server.
    /// This is the exception to law 1. All other laws hold.
    Worthless,
}

/// Something that the protocol does, done wrong. Each must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// A server counts on its session for as long as the others do.
    NoMargin,
    /// The lease runs from the answer to a commit, not from its handing over.
    LeaseFromTheAnswer,
    /// A session that gives up its key counts as available until it has heard of the release.
    AvailableWhileReleasing,
    /// The storage writes whatever the key's revision is.
    WritesUnconditionally,
    /// The storage numbers a record that is made anew like one before its erasure.
    RevisionsUsedTwice,
    /// A save that failed is reported as not saved.
    FailedSaveIsNotSaved,
    /// A release that failed ends the session.
    FailedReleaseIsTheEnd,
    /// A key that still shows the revision that a failed commit expected counts as proof that the
    /// commit was not written: nothing fences it off.
    SilenceIsFailure,
    /// An acquire that failed is forgotten, with its lock id.
    FailedAcquireIsForgotten,
    /// What was drafted for one revision is committed against another.
    DraftOutlivesItsRevision,
    /// After a conflict a session is lost, without a look at `Saves`.
    ConflictIsLoss,
    /// A document remembers the saves of its last session alone.
    SavesOfOneSession,
    /// A key that is free is taken again whoever has saved last.
    TakenAgainFromAnybody,
    /// Who asks for a key forgets what it has seen of the record.
    SeenIsForgotten,
    /// Who has released a record and wants it again forgets that it was there.
    ReleaseForgetsTheRecord,
    /// Any save of a session in `Saves` counts as proof that all of its commits were written.
    AnySaveCounts,
    /// Who takes a free key again counts on the lease of the session that it has given up.
    AvailableBeforeTakenAgain,
    /// Who watches a session does not see that it has saved.
    WatchOutlivesASave,
    /// Nobody watches: stamps alone decide.
    NobodyWatches,
}

/// The sizes of the model. Time is counted in ticks, each longer than any server's frame.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub clock: Clock,
    /// How long a session counts, from the handing over of its last commit.
    pub expiry: u8,
    /// How much earlier its owner stops counting on it.
    pub margin: u8,
    /// The most commits that were given up and may still be acted upon. More count as lost.
    pub late_at_most: usize,
    /// A host makes a change and waits for it.
    pub tracks_a_change: bool,
    /// Nothing befalls the record or the servers: no erasure, no sender, no crash.
    pub is_calm: bool,
    pub broken: Option<Break>,
}

impl Rules {
    /// The smallest sizes at which everything can happen: a lease of two ticks, of which the margin
    /// takes one; and one commit that is late while another is under way.
    pub fn new(clock: Clock) -> Self {
        let is_worthless = clock == Clock::Worthless;
        Self {
            clock,
            expiry: if is_worthless { 0 } else { 2 },
            margin: if is_worthless { 0 } else { 1 },
            late_at_most: 1,
            tracks_a_change: true,
            is_calm: false,
            broken: None,
        }
    }

    /// A smaller model, in which nothing befalls the record or the servers, and nothing is late.
    pub fn calm(self) -> Self {
        Self {
            is_calm: true,
            late_at_most: 0,
            ..self
        }
    }

    pub fn with(self, broken: Break) -> Self {
        let margin = match broken {
            Break::NoMargin => 0,
            _ => self.margin,
        };
        let broken = Some(broken);
        Self {
            margin,
            broken,
            ..self
        }
    }

    pub fn breaks(&self, broken: Break) -> bool {
        self.broken == Some(broken)
    }

    /// The last age of a lease at which its owner may count itself available. What happens within
    /// one tick has no order, so it does to the end of it.
    pub fn lease(&self) -> u8 {
        self.expiry - self.margin
    }

    /// Ages from here on make no difference.
    pub fn oldest(&self) -> u8 {
        match self.clock {
            Clock::Servers { ahead, tolerance } => self.expiry + tolerance + ahead,
            _ => self.lease() + 1,
        }
    }

    /// By how much the stamps of a server are too late.
    pub fn ahead(&self, who: Who) -> u8 {
        match self.clock {
            Clock::Servers { ahead, .. } if who == Who::A => ahead,
            _ => 0,
        }
    }

    pub fn watches(&self) -> bool {
        let may_watch = matches!(self.clock, Clock::Watched | Clock::Servers { .. });
        may_watch && !self.breaks(Break::NobodyWatches)
    }

    /// Whether it makes a difference what a server does about commits whose fate is decided.
    pub fn decided_commits_count(&self) -> bool {
        let breaks = [
            Break::RevisionsUsedTwice,
            Break::WritesUnconditionally,
            Break::ConflictIsLoss,
            Break::AnySaveCounts,
        ];
        breaks.into_iter().any(|broken| self.breaks(broken))
    }

    /// Whether a session with a stamp of this age no longer protects its key, for one who has watched
    /// it unchanged for so long. At the earliest moment within the tick.
    pub fn is_expired(&self, reader: Who, age: u8, stamped_ahead: u8, watched: Option<u8>) -> bool {
        let by_stamp = match self.clock {
            Clock::Storage => age >= self.expiry,
            Clock::Watched => false,
            Clock::Worthless => true,
            Clock::Servers { tolerance, .. } => {
                age + self.ahead(reader) >= self.expiry + tolerance + stamped_ahead
            }
        };
        by_stamp || watched.is_some_and(|watched| watched >= self.expiry)
    }
}
