//! Holding a key: saving, settling what is not known, releasing, and losing it.

use crate::list::List;
use crate::rules::Break;
use crate::server::Turn;
use crate::world::*;

impl Turn<'_> {
    fn held(&mut self) -> &mut Held {
        match &mut self.server().phase {
            Phase::Held(held) => held,
            _ => unreachable!("only called while it holds the key"),
        }
    }

    pub fn commit_save(&mut self) {
        let releases = !self.server().wanted;
        let outlived = self.server().past == Past::Outlived;
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

    pub fn save_stored(&mut self, attempt: Attempt, revision: Revision) {
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

    pub fn save_failed(&mut self, attempt: Attempt) {
        if attempt.covers_tracked && self.rules.breaks(Break::FailedSaveIsNotSaved) {
            self.answer_tracked(Tracked::NotSaved);
        }
        if attempt.releases && self.rules.breaks(Break::FailedReleaseIsTheEnd) {
            return self.finish_release();
        }
        self.held().unsettled.push(attempt);
    }

    pub fn hold_fetched(&mut self, has_other_changes: bool) {
        let Store::Present(revision, found) = self.state.store else {
            return self.lose(true);
        };
        let is_silence_enough = self.rules.breaks(Break::SilenceIsFailure);
        let any_save_counts = self.rules.breaks(Break::AnySaveCounts);
        let is_early = self.rules.breaks(Break::AvailableBeforeTakenAgain);
        let is_wanted = self.server().wanted;
        let held = self.held();
        let (lock, was_free) = (held.lock, held.is_free);
        let has_moved = revision != held.revision;
        let mut landed = None;
        if has_moved {
            let unsettled = std::mem::take(&mut held.unsettled);
            let written = match any_save_counts {
                true => found.save_number(lock).map(|_| u8::MAX),
                false => found.save_number(lock),
            };
            let is_written = |attempt: &Attempt| Some(attempt.number) <= written;
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
                if !is_early {
                    held.lease = u8::MAX;
                }
            }
            _ if released || (was_free && !has_changes) => self.finish_release(),
            _ => self.lose(false),
        }
    }

    /// That the record was there is remembered by the next session.
    fn finish_release(&mut self) {
        let forgets = self.rules.breaks(Break::ReleaseForgetsTheRecord);
        let seen = (!forgets).then_some(Seen::Record);
        self.end_session();
        match self.server().wanted {
            true => self.start_acquiring(seen),
            false => self.rest(),
        }
    }

    pub fn lose(&mut self, erased: bool) {
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
