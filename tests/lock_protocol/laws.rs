//! The laws that concern the lock, each asked of every state; and what must have happened somewhere,
//! lest they be kept because nothing ever happens.

use stateright::{Expectation, Property};

use crate::model::LockProtocol;
use crate::rules::{Break, Clock, Rules};
use crate::world::*;

pub const TAKEN_WITHIN_THE_LEASE: &str = "1: no commit of another session succeeds within a lease";
pub const BOTH_AVAILABLE: &str = "1: two servers are never available at once";
pub const AVAILABLE_UNOWNED: &str = "1: who is available has its session in the storage";
pub const SAVED_AND_GONE: &str = "2: what was reported saved is in the storage";
pub const FALSE_ALARM: &str = "3: what is in the storage is not reported as not saved";
pub const WAITS_FOR_ITSELF: &str = "3: no server waits for a session of its own";
pub const ERASED_AND_BACK: &str = "7: what was erased does not come back";
pub const LOCKED_OUT: &str = "no server is ever locked out";
pub const BROUGHT_BACK: &str = "7: nobody writes who had seen the record before its erasure";

type Law = Property<LockProtocol>;

pub fn properties(rules: &Rules) -> Vec<Law> {
    let mut properties = loss_and_erasure();
    properties.push(Law::always(LOCKED_OUT, |model, state| {
        BOTH.into_iter().all(|who| model.can_own_alone(state, who))
    }));
    if rules.clock != Clock::Worthless {
        properties.extend(one_owner());
    }
    properties.extend(of_the_lock());
    if rules.tracks_a_change {
        properties.extend(of_the_change());
    }
    if rules.late_at_most > 0 {
        properties.extend(of_late_commits());
    }
    properties
}

/// The names of what must hold in every state.
pub fn laws(rules: &Rules) -> Vec<&'static str> {
    named(rules, Expectation::Always)
}

/// The names of what must happen in some state, lest the laws hold because nothing ever does.
pub fn happenings(rules: &Rules) -> Vec<&'static str> {
    named(rules, Expectation::Sometimes)
}

fn named(rules: &Rules, expectation: Expectation) -> Vec<&'static str> {
    let mut properties = properties(rules);
    properties.retain(|property| property.expectation == expectation);
    properties.iter().map(|property| property.name).collect()
}

fn one_owner() -> Vec<Law> {
    vec![
        Law::always(TAKEN_WITHIN_THE_LEASE, |_, state| {
            state.wrong != Some(Wrong::TakenWithinTheLease)
        }),
        Law::always(BOTH_AVAILABLE, |model, state| {
            let is_available = |who| state.is_available(&model.rules, who);
            !(is_available(Who::A) && is_available(Who::B))
        }),
        Law::always(AVAILABLE_UNOWNED, |model, state| {
            let is_available = |who| state.is_available(&model.rules, who);
            BOTH.into_iter()
                .all(|who| !is_available(who) || state.owns(who))
        }),
    ]
}

fn loss_and_erasure() -> Vec<Law> {
    vec![
        Law::always(SAVED_AND_GONE, |_, state| {
            state.tracked != Tracked::Saved || state.tracked_was_erased || state.stores_tracked()
        }),
        Law::always(FALSE_ALARM, |_, state| {
            state.tracked != Tracked::NotSaved || !state.stores_tracked()
        }),
        Law::always(WAITS_FOR_ITSELF, |_, state| {
            state.wrong != Some(Wrong::WaitsForItself)
        }),
        Law::always(ERASED_AND_BACK, |_, state| {
            !(state.tracked_was_erased && state.stores_tracked())
        }),
        Law::always(BROUGHT_BACK, |_, state| {
            state.wrong != Some(Wrong::BroughtBack)
        }),
    ]
}

fn of_the_lock() -> Vec<Law> {
    vec![
        Law::sometimes(
            "a session was taken over, and its owner does not know",
            |_, state| state.owns(Who::B) && state.held(Who::A).is_some_and(|held| !held.is_free),
        ),
        Law::sometimes(
            "an acquire was written whose answer was lost",
            |_, state| {
                let is_unsettled = |acquire: &Acquire| acquire.unsettled.is_some();
                state.acquire(Who::A).is_some_and(is_unsettled) && state.stored_by(Who::A)
            },
        ),
        Law::sometimes(
            "an owner does not know that its record was erased",
            |_, state| state.held(Who::A).is_some() && matches!(state.store, Store::Absent(_)),
        ),
    ]
}

fn of_the_change() -> Vec<Law> {
    vec![
        Law::sometimes(
            "a change is stored, and its server does not know",
            |_, state| state.tracked == Tracked::Waiting(Who::A) && state.stores_tracked(),
        ),
        Law::sometimes(
            "a change was stored by a server that crashed",
            |_, state| state.tracked == Tracked::Unanswered && state.stores_tracked(),
        ),
        Law::sometimes(
            "a released key is taken again with what came after",
            |_, state| {
                let is_free = state.held(Who::A).is_some_and(|held| held.is_free);
                is_free && state.tracked == Tracked::Waiting(Who::A)
            },
        ),
    ]
}

fn of_late_commits() -> Vec<Law> {
    vec![
        Law::sometimes("a commit is late, and its server is gone", |_, state| {
            let documents = state.late.iter().map(|commit| &commit.document);
            let mut sessions = documents.filter_map(|document| document.session);
            sessions.any(|session| session.by.is_none())
        }),
        Law::sometimes(
            "a commit is late, and the next expects the same revision",
            |_, state| {
                let is_saving = |held: &Held| matches!(held.step, HeldStep::Committing(..));
                let is_own = |held: &Held| state.late.iter().any(|commit| commit.lock == held.lock);
                state
                    .held(Who::A)
                    .is_some_and(|held| is_saving(held) && is_own(held))
            },
        ),
    ]
}

impl State {
    /// What `is_available` says; of a server whose record was erased under it, only once it knows
    /// of another life of it.
    fn is_available(&self, rules: &Rules, who: Who) -> bool {
        self.server(who).past != Past::Outlived && self.counts_on_its_session(rules, who)
    }

    pub fn counts_on_its_session(&self, rules: &Rules, who: Who) -> bool {
        let server = self.server(who);
        let is_releasing = |held: &Held| held.attempts().any(|attempt| attempt.releases);
        let ignores_release = rules.breaks(Break::AvailableWhileReleasing);
        self.held(who).is_some_and(|held| {
            server.wanted && held.lease <= rules.lease() && (ignores_release || !is_releasing(held))
        })
    }

    pub fn held(&self, who: Who) -> Option<&Held> {
        match &self.server(who).phase {
            Phase::Held(held) => Some(held),
            _ => None,
        }
    }

    fn acquire(&self, who: Who) -> Option<&Acquire> {
        match &self.server(who).phase {
            Phase::Acquire(acquire) => Some(acquire),
            _ => None,
        }
    }

    /// Whether the session that the server holds is the stored one.
    pub fn owns(&self, who: Who) -> bool {
        let stored = self.store.session().map(|session| session.lock);
        self.held(who).is_some_and(|held| Some(held.lock) == stored)
    }

    fn stored_by(&self, who: Who) -> bool {
        self.store
            .session()
            .is_some_and(|session| session.by == Some(who))
    }
}
