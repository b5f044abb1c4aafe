//! What the storage does, and all that happens to the key and to time besides.

use crate::rules::{Break, Rules};
use crate::world::*;

impl State {
    /// Acts on a commit: writes it if the key is as expected.
    pub fn act(&mut self, rules: &Rules, commit: &Commit) -> Answer {
        let is_expected = commit.expected == self.store.expected();
        if !is_expected && !rules.breaks(Break::WritesUnconditionally) {
            return Answer::Conflict;
        }
        if let Some(session) = self.store.session() {
            let writer = self.writer(commit.lock);
            let is_own = session.lock == commit.lock || writer.is_some() && writer == session.by;
            if !is_own && session.age <= rules.lease() {
                self.wrong = Some(Wrong::TakenWithinTheLease);
            }
        }
        if commit.outlived {
            self.wrong = Some(Wrong::BroughtBack);
        }
        let revision = self.fresh_revision(rules);
        self.store = Store::Present(revision, commit.document);
        if !rules.breaks(Break::WatchOutlivesASave) {
            self.end_watches();
        }
        Answer::Stored(revision)
    }

    /// The server that drew the lock and still lives.
    fn writer(&self, lock: Lock) -> Option<Who> {
        let mut both = BOTH.into_iter();
        both.find(|who| self.server(*who).drawn.contains(&lock))
    }

    /// The record is erased; of an absent one, the erasure is another.
    pub fn erase(&mut self) {
        self.store = Store::Absent(PRESENT.next());
        self.end_watches();
        self.tracked_was_erased |= self.tracked != Tracked::Unmade;
        for server in &mut self.servers {
            if server.past == Past::Seen {
                server.past = Past::Outlived;
            }
            if let Some(in_flight) = server.in_flight() {
                in_flight.commit.outlived = true;
            }
        }
        for commit in self.late.iter_mut() {
            commit.outlived = true;
        }
    }

    /// A sender adds to the inbox, which is no matter of the session's.
    pub fn append(&mut self) {
        if let Store::Present(revision, _) = &mut self.store {
            *revision = PRESENT.next();
        }
    }

    /// Time passes.
    pub fn tick(&mut self, rules: &Rules) {
        let oldest = rules.oldest();
        let lease_over = rules.lease() + 1;
        let grow = |age: &mut u8, limit: u8| {
            if *age < limit {
                *age += 1
            }
        };
        self.each_moving_document(&mut |document| {
            if let Some(session) = &mut document.session {
                grow(&mut session.age, oldest);
            }
        });
        for server in &mut self.servers {
            if let Some(watched) = &mut server.watched {
                grow(watched, rules.expiry);
            }
            match &mut server.phase {
                Phase::Idle => {}
                Phase::Acquire(acquire) => {
                    if let Some((_, age)) = &mut acquire.unsettled {
                        grow(age, lease_over);
                    }
                }
                Phase::Held(held) => {
                    grow(&mut held.lease, lease_over);
                    held.attempts_mut()
                        .for_each(|attempt| grow(&mut attempt.age, lease_over));
                }
            }
        }
    }

    /// Every document that is stored, or on its way to be.
    pub fn each_moving_document(&mut self, visit: &mut dyn FnMut(&mut Document)) {
        if let Store::Present(_, document) = &mut self.store {
            visit(document);
        }
        for commit in self.late.iter_mut() {
            visit(&mut commit.document);
        }
        for server in &mut self.servers {
            if let Some(in_flight) = server.in_flight() {
                visit(&mut in_flight.commit.document);
            }
        }
    }

    /// Another process has the place of this server: the sessions of the old one are nobody's.
    pub fn forget_who_drew(&mut self, who: Who) {
        self.each_moving_document(&mut |document| {
            if let Some(session) = &mut document.session
                && session.by == Some(who)
            {
                session.by = None;
            }
        });
    }

    /// What is watched is no longer there.
    fn end_watches(&mut self) {
        for server in &mut self.servers {
            server.watched = None;
        }
    }

    fn fresh_revision(&self, rules: &Rules) -> Revision {
        let is_made_anew = matches!(self.store, Store::Absent(_));
        match is_made_anew && rules.breaks(Break::RevisionsUsedTwice) {
            true => EARLIER,
            false => PRESENT.next(),
        }
    }
}

/// In the normal form of a state, the revision of the key, and that of all that is past: a revision
/// is only ever compared with the present one.
pub const PRESENT: Revision = Revision(1);
pub const EARLIER: Revision = Revision(0);

impl Revision {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Server {
    pub fn in_flight(&mut self) -> Option<&mut InFlight> {
        match &mut self.phase {
            Phase::Acquire(Acquire {
                step: AcquireStep::Committing(in_flight),
                ..
            })
            | Phase::Held(Held {
                step: HeldStep::Committing(_, in_flight),
                ..
            }) => Some(in_flight),
            _ => None,
        }
    }
}
