//! What a server does: what its host may do, and what becomes of its commits. `acquire.rs` and `hold.rs` are
//! what it does in each phase, as the files of the same names in `src/locker/`.

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

    /// It had let go, and what was under way has not come to its end.
    pub fn want_again(&mut self) {
        let server = self.server();
        server.wanted = true;
        if let Phase::Acquire(acquire) = &mut server.phase {
            acquire.seen = None;
            server.past = Past::Unseen;
        }
    }

    pub fn end(&mut self) {
        self.server().wanted = false;
        self.stop_if_unwanted();
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
        let mut before = std::mem::take(self.server());
        if let Some(in_flight) = before.in_flight() {
            self.leave(*in_flight);
        }
        self.state.forget_who_drew(who);
        if self.state.tracked == Tracked::Waiting(who) {
            self.state.tracked = Tracked::Unanswered;
        }
    }
}

/// What both phases do.
impl Turn<'_> {
    pub fn server(&mut self) -> &mut Server {
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
    pub fn look(&mut self, how: bool) {
        let is_present = matches!(self.state.store, Store::Present(..));
        let past = &mut self.server().past;
        if is_present || *past == Past::Unseen {
            // From here on it knows of the record's present life, or of this absence.
            *past = Past::Seen;
        }
        match &self.server().phase {
            Phase::Acquire(_) => self.acquire_fetched(how),
            Phase::Held(_) => self.hold_fetched(how),
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
                        self.server().past = match in_flight.commit.outlived {
                            true => Past::Outlived,
                            false => Past::Seen,
                        };
                        self.hold(in_flight.commit.document, revision, age);
                    }
                    // It looks again.
                    Some(Answer::Conflict) | None => self.stop_if_unwanted(),
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

    pub fn new_session(&mut self, lock: Lock) -> Session {
        Session {
            lock,
            age: 0,
            stamped_ahead: self.rules.ahead(self.who),
            by: Some(self.who),
        }
    }

    pub fn stamp_saves(&self, document: &mut Document, lock: Lock, number: u8) {
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

    pub fn rest(&mut self) {
        let server = self.server();
        server.phase = Phase::Idle;
        server.wanted = false;
        server.past = Past::Unseen;
    }

    pub fn forget_drawn(&mut self, lock: Option<Lock>) {
        self.server().drawn.retain(|drawn| Some(*drawn) != lock);
    }
}

impl InFlight {
    /// Ticks since an acquire was handed over.
    pub fn age(&self) -> u8 {
        let session = self.commit.document.session.as_ref();
        session.map_or(0, |session| session.age)
    }
}
