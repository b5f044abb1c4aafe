//! What a server does: the steps of `src/locker/acquire.rs` and `src/locker/hold.rs`, under the same
//! names where they have one.

use crate::list::List;
use crate::rules::{Break, Rules};
use crate::world::*;

/// One server's turn.
pub struct Turn<'a> {
    pub rules: &'a Rules,
    pub who: Who,
    pub state: &'a mut State,
}

/// What the host does.
impl Turn<'_> {
    pub fn ask(&mut self) {
        self.server().wanted = true;
        self.start_acquiring(None);
    }

    pub fn end(&mut self) {
        let server = self.server();
        server.wanted = false;
        if let Phase::Acquire(acquire) = &server.phase
            && acquire.unsettled.is_none()
            && !matches!(acquire.step, AcquireStep::Committing(_))
        {
            self.stop_acquiring();
        }
    }

    pub fn make_tracked_change(&mut self) {
        self.state.tracked = Tracked::Waiting(self.who);
        if let Phase::Held(held) = &mut self.server().phase {
            held.data.tracked = true;
        }
    }

    /// The process ends and another begins, which knows nothing.
    pub fn crash(&mut self) {
        let who = self.who;
        let before = std::mem::take(self.server());
        let in_flight = match before.phase {
            Phase::Acquire(Acquire {
                step: AcquireStep::Committing(in_flight),
                ..
            })
            | Phase::Held(Held {
                step: HeldStep::Committing(_, in_flight),
                ..
            }) => Some(in_flight),
            _ => None,
        };
        if let Some(in_flight) = in_flight {
            self.leave(in_flight);
        }
        self.state.forget_who_drew(who);
        if self.state.tracked == Tracked::Waiting(who) {
            self.state.tracked = Tracked::Unanswered;
        }
    }
}

/// What both phases do.
impl Turn<'_> {
    fn server(&mut self) -> &mut Server {
        self.state.server_mut(self.who)
    }

    /// Hands over what is to be committed next.
    pub fn hand_over(&mut self) {
        match &self.server().phase {
            Phase::Acquire(_) => self.commit_draft(),
            Phase::Held(_) => self.commit_save(),
            Phase::Idle => {}
        }
    }

    /// A fetch, with its answer.
    pub fn look(&mut self, has_other_changes: bool) {
        if matches!(self.state.store, Store::Present(..)) {
            // From here on it knows of the record's present life.
            self.server().outlived = false;
        }
        match &self.server().phase {
            Phase::Acquire(_) => self.acquire_fetched(),
            Phase::Held(_) => self.hold_fetched(has_other_changes),
            Phase::Idle => {}
        }
    }

    /// The answer arrives.
    pub fn deliver(&mut self) {
        match &mut self.server().phase {
            Phase::Acquire(acquire) => {
                let step = std::mem::take(&mut acquire.step);
                let AcquireStep::Committing(in_flight) = step else {
                    return;
                };
                match in_flight.answer {
                    Some(Answer::Stored(revision)) => {
                        let age = in_flight.age();
                        self.hold(in_flight.commit.document, revision, age);
                    }
                    // It looks again.
                    Some(Answer::Conflict) | None => {}
                }
            }
            Phase::Held(held) => {
                let step = std::mem::replace(&mut held.step, HeldStep::Settling);
                let HeldStep::Committing(attempt, in_flight) = step else {
                    return;
                };
                match in_flight.answer {
                    Some(Answer::Stored(revision)) => self.save_stored(attempt, revision),
                    Some(Answer::Conflict) if self.rules.breaks(Break::ConflictIsLoss) => {
                        self.lose(false);
                    }
                    Some(Answer::Conflict) | None => {}
                }
            }
            Phase::Idle => {}
        }
    }

    /// The storage answers with a failure, or does not answer in time. If it has not acted yet, it
    /// may do so later.
    pub fn fail(&mut self) {
        match &mut self.server().phase {
            Phase::Acquire(acquire) => {
                let step = std::mem::take(&mut acquire.step);
                if let AcquireStep::Committing(in_flight) = step {
                    self.commit_failed(&in_flight);
                    self.leave(in_flight);
                }
            }
            Phase::Held(held) => {
                let step = std::mem::replace(&mut held.step, HeldStep::Settling);
                if let HeldStep::Committing(attempt, in_flight) = step {
                    self.save_failed(attempt);
                    self.leave(in_flight);
                }
            }
            Phase::Idle => {}
        }
    }

    /// Nobody waits for the answer any more. One commit too many under way counts as lost.
    fn leave(&mut self, in_flight: InFlight) {
        let has_room = self.state.late.len() < self.rules.late_at_most;
        if in_flight.answer.is_none() && has_room {
            self.state.late.push(in_flight.commit);
        }
    }

    fn new_session(&mut self, lock: Lock) -> Session {
        Session {
            lock,
            age: 0,
            stamped_ahead: self.rules.ahead(self.who),
            by: Some(self.who),
        }
    }

    fn stamp_saves(&self, document: &mut Document, lock: Lock, number: u8) {
        match document.saves.last_mut() {
            Some(last) if last.0 == lock => last.1 = number,
            _ => document.saves.push((lock, number)),
        }
        if self.rules.breaks(Break::SavesOfOneSession) {
            let last = document.saves.pop();
            document.saves = List::default();
            last.into_iter().for_each(|last| document.saves.push(last));
        }
    }

    fn rest(&mut self) {
        let server = self.server();
        server.phase = Phase::Idle;
        server.wanted = false;
        server.outlived = false;
    }

    fn forget_drawn(&mut self, lock: Option<Lock>) {
        self.server().drawn.retain(|drawn| Some(*drawn) != lock);
    }
}

/// Acquiring.
impl Turn<'_> {
    fn start_acquiring(&mut self, seen: Option<Seen>) {
        self.server().outlived = false;
        self.server().phase = Phase::Acquire(Acquire {
            seen: self.remembered(seen),
            ..Acquire::default()
        });
    }

    fn remembered(&self, seen: Option<Seen>) -> Option<Seen> {
        seen.filter(|_| !self.rules.breaks(Break::SeenIsForgotten))
    }

    fn acquire(&mut self) -> &mut Acquire {
        match &mut self.server().phase {
            Phase::Acquire(acquire) => acquire,
            _ => unreachable!("only called while it acquires"),
        }
    }

    fn stop_acquiring(&mut self) {
        if self.acquire().unsettled.is_none() {
            let lock = self.acquire().lock;
            self.forget_drawn(lock);
        }
        self.rest();
    }

    fn acquire_fetched(&mut self) {
        let store = self.state.store;
        let expected = store.expected();
        match store {
            Store::Absent(tombstone) => {
                self.settle_acquire(expected);
                let absence = Seen::Absence(tombstone);
                let seen = self.acquire().seen;
                if seen.is_some_and(|seen| seen != absence) {
                    self.stop_acquiring();
                } else {
                    self.acquire().seen = self.remembered(Some(absence));
                    if self.still_wanted() {
                        self.draft(Document::default(), expected);
                    }
                }
            }
            Store::Present(revision, document) => {
                self.acquire().seen = self.remembered(Some(Seen::Record));
                self.acquire_found(document, revision, expected);
            }
        }
    }

    fn acquire_found(&mut self, document: Document, revision: Revision, expected: Expected) {
        let session = document.session;
        let acquire = self.acquire();
        let (lock, unsettled) = (acquire.lock, acquire.unsettled);
        if let (Some(session), Some((_, age))) = (&session, unsettled)
            && Some(session.lock) == lock
        {
            return self.hold(document, revision, age);
        }
        let is_free = match &session {
            None => true,
            Some(session) => self.may_take(session),
        };
        self.settle_acquire(expected);
        if !self.still_wanted() {
            return;
        }
        if is_free {
            self.draft(document, expected);
        } else if session.is_some_and(|session| session.by == Some(self.who)) {
            self.state.wrong = Some(Wrong::WaitsForItself);
        }
    }

    fn may_take(&mut self, session: &Session) -> bool {
        if self.server().drawn.contains(&session.lock) {
            return true;
        }
        if self.rules.watches() {
            self.server().watched.get_or_insert(0);
        }
        let watched = self.server().watched;
        let (age, ahead) = (session.age, session.stamped_ahead);
        self.rules.is_expired(self.who, age, ahead, watched)
    }

    /// An attempt that expected another state of the key has failed for good.
    fn settle_acquire(&mut self, seen: Expected) {
        let is_silence_enough = self.rules.breaks(Break::SilenceIsFailure);
        let keeps_draft = self.rules.breaks(Break::DraftOutlivesItsRevision);
        let acquire = self.acquire();
        let (unsettled, lock) = (acquire.unsettled, acquire.lock);
        if unsettled.is_some_and(|(expected, _)| expected != seen || is_silence_enough) {
            acquire.unsettled = None;
            acquire.unsettled_draft = acquire.unsettled_draft.filter(|_| keeps_draft);
            acquire.lock = None;
            self.forget_drawn(lock);
        }
    }

    fn still_wanted(&mut self) -> bool {
        let is_wanted = self.server().wanted || self.acquire().unsettled.is_some();
        if !is_wanted {
            self.stop_acquiring();
        }
        is_wanted
    }

    fn draft(&mut self, found: Document, expected: Expected) {
        let acquire = self.acquire();
        let draft = acquire.unsettled_draft.take();
        let draft = draft.unwrap_or_else(|| found.unowned());
        acquire.step = AcquireStep::Drafted(draft, expected);
        self.commit_draft();
    }

    fn commit_draft(&mut self) {
        let fresh = self.state.fresh_lock();
        let server = self.server();
        let outlived = server.outlived;
        let Phase::Acquire(acquire) = &mut server.phase else {
            return;
        };
        let AcquireStep::Drafted(mut document, expected) = std::mem::take(&mut acquire.step) else {
            return;
        };
        let lock = *acquire.lock.get_or_insert(fresh);
        if lock == fresh {
            server.drawn.push(lock);
        }
        document.session = Some(self.new_session(lock));
        self.stamp_saves(&mut document, lock, 0);
        self.acquire().step = AcquireStep::Committing(InFlight {
            commit: Commit {
                lock,
                expected,
                document,
                outlived,
            },
            answer: None,
        });
    }

    fn commit_failed(&mut self, in_flight: &InFlight) {
        let is_forgotten = self.rules.breaks(Break::FailedAcquireIsForgotten);
        let acquire = self.acquire();
        if is_forgotten {
            let lock = acquire.lock.take();
            return self.forget_drawn(lock);
        }
        let attempt = (in_flight.commit.expected, in_flight.age());
        acquire.unsettled.get_or_insert(attempt);
        acquire.unsettled_draft = Some(in_flight.commit.document.unowned());
    }

    /// The key is ours.
    fn hold(&mut self, document: Document, revision: Revision, lease: u8) {
        let is_late = self.rules.breaks(Break::LeaseFromTheAnswer);
        let server = self.server();
        let Phase::Acquire(Acquire {
            lock: Some(lock), ..
        }) = server.phase
        else {
            return;
        };
        server.phase = Phase::Held(Held {
            lock,
            revision,
            number: 0,
            lease: if is_late { 0 } else { lease },
            is_free: false,
            unsettled: List::default(),
            data: document.unowned(),
            step: HeldStep::Resting,
        });
    }
}

/// Holding.
impl Turn<'_> {
    fn held(&mut self) -> &mut Held {
        match &mut self.server().phase {
            Phase::Held(held) => held,
            _ => unreachable!("only called while it holds the key"),
        }
    }

    fn commit_save(&mut self) {
        let releases = !self.server().wanted;
        let outlived = self.server().outlived;
        let held = self.held();
        held.number += 1;
        let (lock, number, revision) = (held.lock, held.number, held.revision);
        let mut data = std::mem::take(&mut held.data);
        self.stamp_saves(&mut data, lock, number);
        let session = (!releases).then(|| self.new_session(lock));
        let attempt = Attempt {
            number,
            age: 0,
            releases,
            covers_tracked: data.tracked,
        };
        let commit = Commit {
            lock,
            expected: Expected::Present(revision),
            document: Document { session, ..data },
            outlived,
        };
        let held = self.held();
        held.data = data;
        let answer = None;
        held.step = HeldStep::Committing(attempt, InFlight { commit, answer });
    }

    fn save_stored(&mut self, attempt: Attempt, revision: Revision) {
        let held = self.held();
        held.revision = revision;
        held.step = HeldStep::Resting;
        self.stored(&attempt);
        if attempt.releases {
            self.finish_release();
        }
    }

    fn stored(&mut self, attempt: &Attempt) {
        let is_late = self.rules.breaks(Break::LeaseFromTheAnswer);
        let held = self.held();
        held.lease = if is_late { 0 } else { attempt.age };
        held.unsettled = List::default();
        held.is_free = attempt.releases;
        if attempt.covers_tracked {
            self.answer_tracked(Tracked::Saved);
        }
    }

    fn save_failed(&mut self, attempt: Attempt) {
        if attempt.covers_tracked && self.rules.breaks(Break::FailedSaveIsNotSaved) {
            self.answer_tracked(Tracked::NotSaved);
        }
        if attempt.releases && self.rules.breaks(Break::FailedReleaseIsTheEnd) {
            return self.finish_release();
        }
        self.held().unsettled.push(attempt);
    }

    fn hold_fetched(&mut self, has_other_changes: bool) {
        let Store::Present(revision, found) = self.state.store else {
            return self.lose(true);
        };
        let is_silence_enough = self.rules.breaks(Break::SilenceIsFailure);
        let is_wanted = self.server().wanted;
        let held = self.held();
        let (lock, was_free) = (held.lock, held.is_free);
        let has_moved = revision != held.revision;
        let mut landed = None;
        if has_moved {
            let unsettled = std::mem::take(&mut held.unsettled);
            let is_written = |attempt: &Attempt| Some(attempt.number) <= found.save_number(lock);
            landed = unsettled.iter().copied().rfind(is_written);
        } else if is_silence_enough {
            held.unsettled = List::default();
            self.answer_tracked(Tracked::NotSaved);
        }
        let released = landed.as_ref().is_some_and(|attempt| attempt.releases);
        if let Some(attempt) = landed {
            self.stored(&attempt);
        }
        let ours_was_last = found.saves.last().is_some_and(|last| last.0 == lock)
            || self.rules.breaks(Break::TakenAgainFromAnybody);
        let has_changes = has_other_changes || self.state.tracked == Tracked::Waiting(self.who);
        let has_more = is_wanted || has_changes;
        let held = self.held();
        match found.session {
            Some(session) if session.lock == lock => {
                held.revision = revision;
                held.step = HeldStep::Resting;
            }
            None if ours_was_last && (has_more || !released) => {
                held.revision = revision;
                held.step = HeldStep::Resting;
                held.is_free = true;
                held.lease = u8::MAX;
            }
            _ if released || (was_free && !has_changes) => self.finish_release(),
            _ => self.lose(false),
        }
    }

    fn finish_release(&mut self) {
        self.end_session();
        match self.server().wanted {
            true => self.start_acquiring(None),
            false => self.rest(),
        }
    }

    fn lose(&mut self, erased: bool) {
        self.end_session();
        match self.server().wanted && !erased {
            true => self.start_acquiring(Some(Seen::Record)),
            false => self.rest(),
        }
    }

    fn end_session(&mut self) {
        let lock = self.held().lock;
        self.forget_drawn(Some(lock));
        self.answer_tracked(Tracked::NotSaved);
    }

    fn answer_tracked(&mut self, answer: Tracked) {
        if self.state.tracked == Tracked::Waiting(self.who) {
            self.state.tracked = answer;
        }
    }
}

impl InFlight {
    /// Ticks since an acquire was handed over.
    fn age(&self) -> u8 {
        let session = self.commit.document.session.as_ref();
        session.map_or(0, |session| session.age)
    }
}
