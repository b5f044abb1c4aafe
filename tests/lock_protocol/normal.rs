//! The normal form of a state. Lock ids, revisions and save numbers are only ever compared, so states
//! that differ in their names alone are one state; and what can have no effect any more is left out.
//! This is what makes the model finite, with no bound on sessions, saves, crashes, erasures or time.

use crate::list::List;
use crate::rules::{Break, Rules};
use crate::storage::{EARLIER, PRESENT};
use crate::world::*;

impl State {
    /// A lock id that nobody has.
    pub fn fresh_lock(&mut self) -> Lock {
        let mut highest = 0;
        self.each_lock(&mut |lock| highest = highest.max(lock.0 + 1));
        Lock(highest)
    }

    pub fn normalize(&mut self, rules: &Rules) {
        if !rules.decided_commits_count() {
            self.drop_late_commits();
            for who in BOTH {
                self.settle_what_is_decided(who, rules);
            }
        }
        self.rename();
        self.late.sort();
        self.follow_another_change();
    }

    /// Gives new names, and forgets saves of sessions that are over.
    pub fn rename(&mut self) {
        self.rename_revisions();
        self.drop_old_saves();
        self.rename_locks();
        BOTH.into_iter().for_each(|who| self.rename_numbers(who));
    }

    /// The key will never be again as these commits expect it.
    fn drop_late_commits(&mut self) {
        let present = self.store.expected();
        self.late.retain(|commit| commit.expected == present);
    }

    fn settle_what_is_decided(&mut self, who: Who, rules: &Rules) {
        let is_live = |in_flight: &InFlight| match in_flight.answer {
            None => in_flight.commit.expected == self.store.expected(),
            Some(answer) => answer != Answer::Conflict,
        };
        let mut server = *self.server(who);
        match &mut server.phase {
            Phase::Idle => {}
            Phase::Acquire(acquire) => {
                if let AcquireStep::Committing(in_flight) = &acquire.step
                    && !is_live(in_flight)
                {
                    acquire.step = AcquireStep::Looking;
                }
                self.settle_acquire(acquire, rules);
            }
            Phase::Held(held) => {
                if let HeldStep::Committing(_, in_flight) = &held.step
                    && !is_live(in_flight)
                {
                    held.step = HeldStep::Settling;
                }
                self.settle_held(held, server.past == Past::Outlived, rules);
            }
        }
        *self.server_mut(who) = server;
    }

    /// Commits that were not written and never will be, and a lock id that is in no other. An absence that
    /// is past is like a record: the next absence is another.
    fn settle_acquire(&self, acquire: &mut Acquire, rules: &Rules) {
        if let Some(Seen::Absence(seen)) = acquire.seen
            && self.store != Store::Absent(seen)
        {
            acquire.seen = Some(Seen::Record);
        }
        let is_stored = self.store.session().map(|session| session.lock) == acquire.lock;
        let is_past = |(expected, _): &(Expected, u8)| *expected != self.store.expected();
        if acquire.unsettled.as_ref().is_some_and(is_past) {
            if !rules.breaks(Break::DraftOutlivesItsRevision) {
                acquire.unsettled_draft = None;
            }
            if !is_stored {
                acquire.unsettled = None;
            }
        }
        if acquire.unsettled.is_none() && acquire.step == AcquireStep::Looking {
            acquire.lock = None;
        }
    }

    /// Attempts that were not written and never will be; and of one who is behind the record all that
    /// it may do before it looks, for no commit of its own can be written.
    fn settle_held(&self, held: &mut Held, outlived: bool, rules: &Rules) {
        let over = rules.lease() + 1;
        let lock = held.lock;
        let stored = self.store.document();
        let written = stored.and_then(|document| document.save_number(lock));
        let is_over = held.lease >= over;
        let unsettled = std::mem::take(&mut held.unsettled);
        for mut attempt in unsettled.iter().copied() {
            let is_late =
                |commit: &Commit| commit.document.save_number(lock) == Some(attempt.number);
            if Some(attempt.number) != written && !self.late.iter().any(is_late) {
                if is_over || !attempt.releases || outlived {
                    continue;
                }
                attempt = Attempt {
                    number: NEVER,
                    age: over,
                    covers_tracked: false,
                    ..attempt
                };
            }
            if !held.unsettled.contains(&attempt) {
                held.unsettled.push(attempt);
            }
        }
        let is_in_flight = matches!(held.step, HeldStep::Committing(..));
        let is_behind = self.store.expected() != Expected::Present(held.revision);
        if is_behind && !is_in_flight {
            held.step = HeldStep::Settling;
        }
        let is_ours = stored.is_some_and(|document| match &document.session {
            Some(session) => session.lock == lock,
            None if rules.breaks(Break::TakenAgainFromAnybody) => true,
            None => document.saves.last().is_some_and(|last| last.0 == lock),
        });
        if !is_ours {
            held.data = Document::default();
            held.number = written.unwrap_or(0);
            if outlived {
                held.lease = over;
            }
        }
        held.lease = held.lease.min(over);
    }

    fn rename_revisions(&mut self) {
        let (Store::Absent(present) | Store::Present(present, _)) = self.store;
        self.each_revision(&mut |revision| {
            *revision = if *revision == present {
                PRESENT
            } else {
                EARLIER
            };
        });
    }

    /// Of the saves of sessions that are over, only whose was the last is ever asked.
    fn drop_old_saves(&mut self) {
        let live = BOTH.map(|who| self.live_lock(who));
        let is_live = |lock: Lock| live.contains(&Some(lock));
        self.each_document(&mut |document| {
            let last = document.saves.pop();
            document.saves.retain(|(lock, _)| is_live(*lock));
            if let Some((lock, number)) = last {
                let last = if is_live(lock) {
                    (lock, number)
                } else {
                    (NOBODY, 0)
                };
                document.saves.push(last);
            }
        });
        let mut stored = List::<Lock, 5>::default();
        self.each_moving_document(&mut |document| {
            if let Some(session) = &document.session {
                stored.push(session.lock);
            }
        });
        for who in BOTH {
            let is_kept = |lock: &Lock| Some(*lock) == live[who as usize] || stored.contains(lock);
            self.server_mut(who).drawn.retain(is_kept);
        }
    }

    /// That of the session that the server holds or wants.
    fn live_lock(&self, who: Who) -> Option<Lock> {
        match &self.server(who).phase {
            Phase::Idle => None,
            Phase::Acquire(acquire) => acquire.lock,
            Phase::Held(held) => Some(held.lock),
        }
    }

    /// Those of the servers' sessions come first, the others in the order in which they turn up.
    fn rename_locks(&mut self) {
        let mut names = List::<Option<Lock>, 12>::default();
        BOTH.into_iter()
            .for_each(|who| names.push(self.live_lock(who)));
        self.each_lock(&mut |lock| {
            let known = names.iter().position(|known| *known == Some(*lock));
            let name = known.unwrap_or_else(|| {
                names.push(Some(*lock));
                names.len() - 1
            });
            *lock = Lock(name as u8);
        });
    }

    /// The save numbers of a session become the smallest with the same order.
    fn rename_numbers(&mut self, who: Who) {
        let Phase::Held(Held { lock, .. }) = self.server(who).phase else {
            return;
        };
        let mut is_used = [false; 32];
        self.each_number(who, lock, &mut |number| {
            is_used[usize::from(*number)] = true
        });
        self.each_number(who, lock, &mut |number| {
            let lower = &is_used[..usize::from(*number)];
            *number = lower.iter().filter(|is_used| **is_used).count() as u8;
        });
    }

    /// Once nothing can tell any more of the tracked change, a later one is tracked.
    fn follow_another_change(&mut self) {
        let is_answered = !matches!(self.tracked, Tracked::Unmade | Tracked::Waiting(_));
        if !is_answered || self.tracked == Tracked::Saved && !self.tracked_was_erased {
            return;
        }
        let mut is_anywhere = false;
        self.each_document(&mut |document| is_anywhere |= document.tracked);
        for server in &self.servers {
            if let Phase::Held(held) = &server.phase {
                is_anywhere |= held.attempts().any(|attempt| attempt.covers_tracked);
            }
        }
        if !is_anywhere {
            self.tracked = Tracked::Unmade;
            self.tracked_was_erased = false;
        }
    }
}

/// A session that is over.
const NOBODY: Lock = Lock(u8::MAX);

/// The number of a save that was not written and never will be.
const NEVER: u8 = u8::MAX;

/// Walks over everything of a kind, in an order that does not depend on its name.
impl State {
    fn each_document(&mut self, visit: &mut dyn FnMut(&mut Document)) {
        self.each_moving_document(visit);
        for server in &mut self.servers {
            match &mut server.phase {
                Phase::Idle => {}
                Phase::Acquire(acquire) => {
                    if let Some(draft) = &mut acquire.unsettled_draft {
                        visit(draft);
                    }
                    if let AcquireStep::Drafted(draft, _) = &mut acquire.step {
                        visit(draft);
                    }
                }
                Phase::Held(held) => visit(&mut held.data),
            }
        }
    }

    fn each_lock(&mut self, visit: &mut dyn FnMut(&mut Lock)) {
        for server in &mut self.servers {
            match &mut server.phase {
                Phase::Idle => {}
                Phase::Acquire(acquire) => {
                    if let Some(lock) = &mut acquire.lock {
                        visit(lock);
                    }
                    if let AcquireStep::Committing(in_flight) = &mut acquire.step {
                        visit(&mut in_flight.commit.lock);
                    }
                }
                Phase::Held(held) => {
                    visit(&mut held.lock);
                    if let HeldStep::Committing(_, in_flight) = &mut held.step {
                        visit(&mut in_flight.commit.lock);
                    }
                }
            }
        }
        for commit in self.late.iter_mut() {
            visit(&mut commit.lock);
        }
        for server in &mut self.servers {
            server.drawn.iter_mut().for_each(&mut *visit);
        }
        self.each_document(&mut |document| {
            if let Some(session) = &mut document.session {
                visit(&mut session.lock);
            }
            for (lock, _) in document.saves.iter_mut() {
                if *lock != NOBODY {
                    visit(lock);
                }
            }
        });
    }

    fn each_revision(&mut self, visit: &mut dyn FnMut(&mut Revision)) {
        let (Store::Absent(present) | Store::Present(present, _)) = &mut self.store;
        visit(present);
        let expected = |expected: &mut Expected, visit: &mut dyn FnMut(&mut Revision)| {
            let (Expected::Absent(revision) | Expected::Present(revision)) = expected;
            visit(revision);
        };
        for commit in self.late.iter_mut() {
            expected(&mut commit.expected, visit);
        }
        for server in &mut self.servers {
            let in_flight = match &mut server.phase {
                Phase::Idle => None,
                Phase::Acquire(acquire) => {
                    if let Some(Seen::Absence(revision)) = &mut acquire.seen {
                        visit(revision);
                    }
                    if let Some((unsettled, _)) = &mut acquire.unsettled {
                        expected(unsettled, visit);
                    }
                    match &mut acquire.step {
                        AcquireStep::Looking => None,
                        AcquireStep::Drafted(_, drafted) => {
                            expected(drafted, visit);
                            None
                        }
                        AcquireStep::Committing(in_flight) => Some(in_flight),
                    }
                }
                Phase::Held(held) => {
                    visit(&mut held.revision);
                    match &mut held.step {
                        HeldStep::Committing(_, in_flight) => Some(in_flight),
                        _ => None,
                    }
                }
            };
            if let Some(in_flight) = in_flight {
                expected(&mut in_flight.commit.expected, visit);
                if let Some(Answer::Stored(revision)) = &mut in_flight.answer {
                    visit(revision);
                }
            }
        }
    }

    /// The save numbers of a session that a server holds.
    fn each_number(&mut self, who: Who, lock: Lock, visit: &mut dyn FnMut(&mut u8)) {
        self.each_document(&mut |document| {
            let saves = document.saves.iter_mut().filter(|(of, _)| *of == lock);
            saves.for_each(|(_, number)| visit(number));
        });
        if let Phase::Held(held) = &mut self.server_mut(who).phase {
            visit(&mut held.number);
            let attempts = held
                .attempts_mut()
                .filter(|attempt| attempt.number != NEVER);
            attempts.for_each(|attempt| visit(&mut attempt.number));
        }
    }
}
