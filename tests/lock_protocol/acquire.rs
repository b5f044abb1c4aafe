//! Acquiring a key: fetch, draft, commit the draft with a session in it.

use crate::list::List;
use crate::rules::Break;
use crate::server::Turn;
use crate::world::*;

impl Turn<'_> {
    pub fn start_acquiring(&mut self, seen: Option<Seen>) {
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

    /// Unless there is something to settle.
    pub fn stop_if_unwanted(&mut self) {
        let server = self.server();
        if !server.wanted
            && let Phase::Acquire(acquire) = &server.phase
            && acquire.unsettled.is_none()
            && !matches!(acquire.step, AcquireStep::Committing(_))
        {
            self.stop_acquiring();
        }
    }

    pub fn stop_acquiring(&mut self) {
        if self.acquire().unsettled.is_none() {
            let lock = self.acquire().lock;
            self.forget_drawn(lock);
        }
        self.rest();
    }

    pub fn acquire_fetched(&mut self, waits: bool) {
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
                    if self.still_wanted() && !waits {
                        self.draft(Document::default(), expected);
                    }
                }
            }
            Store::Present(revision, document) => {
                self.acquire().seen = self.remembered(Some(Seen::Record));
                self.acquire_found(document, revision, expected, waits);
            }
        }
    }

    fn acquire_found(
        &mut self,
        document: Document,
        revision: Revision,
        expected: Expected,
        waits: bool,
    ) {
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
        if is_free && waits {
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

    pub fn commit_draft(&mut self) {
        let fresh = self.state.fresh_lock();
        let server = self.server();
        let outlived = server.past == Past::Outlived;
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

    pub fn commit_failed(&mut self, in_flight: &InFlight) {
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
    pub fn hold(&mut self, document: Document, revision: Revision, lease: u8) {
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
