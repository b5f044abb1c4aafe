//! The model: which steps there are from a state, and where each leads.

use stateright::{Model, Property};

use crate::laws;
use crate::rules::Rules;
use crate::server::Turn;
use crate::world::*;

/// The lock protocol, of two servers and one key.
#[derive(Clone, Copy, Debug)]
pub struct LockProtocol {
    pub rules: Rules,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The host of a server wants the key.
    Ask(Who),
    /// It wants it again after all.
    WantAgain(Who),
    /// It wants it no longer.
    LetGo(Who),
    /// It makes the change that is tracked from here on, and waits for it to be saved.
    MakeTrackedChange(Who),
    /// A fetch, with its answer. If true: who acquires lets what follows wait, and looks again then; who
    /// holds the key has changes besides the tracked one.
    Look(Who, bool),
    HandOver(Who),
    /// The storage acts on the commit of a server.
    Act(Who),
    /// The storage acts on a commit that was given up.
    ActLate(usize),
    /// The answer to a commit arrives.
    Deliver(Who),
    /// A commit fails, or is not answered in time, or its answer is lost.
    Fail(Who),
    /// A server crashes, and is started again.
    Crash(Who),
    Tick,
    Erase,
    /// A sender adds something to the inbox.
    Append,
}

impl Model for LockProtocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for who in BOTH {
            self.server_steps(state, who, steps);
        }
        steps.extend((0..state.late.len()).map(Step::ActLate));
        steps.push(Step::Tick);
        if !self.rules.is_calm {
            steps.push(Step::Erase);
            steps.push(Step::Append);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        self.take(&mut next, step);
        next.normalize(&self.rules);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        laws::properties(&self.rules)
    }
}

impl LockProtocol {
    /// Where a step leads, with nothing left out that the library does not leave out.
    pub fn next_as_it_is(&self, state: &State, step: Step) -> State {
        let mut next = *state;
        self.take(&mut next, step);
        next.rename();
        next
    }

    pub fn server_steps(&self, state: &State, who: Who, steps: &mut Vec<Step>) {
        let server = state.server(who);
        let in_flight = match &server.phase {
            Phase::Idle => {
                steps.push(Step::Ask(who));
                return;
            }
            Phase::Acquire(acquire) => match &acquire.step {
                AcquireStep::Looking => {
                    steps.push(Step::Look(who, false));
                    steps.push(Step::Look(who, true));
                    None
                }
                AcquireStep::Drafted(..) => {
                    steps.push(Step::HandOver(who));
                    None
                }
                AcquireStep::Committing(in_flight) => Some((in_flight, true)),
            },
            Phase::Held(held) => {
                if self.rules.tracks_a_change && state.tracked == Tracked::Unmade && who == Who::A {
                    steps.push(Step::MakeTrackedChange(who));
                }
                match &held.step {
                    HeldStep::Resting => {
                        steps.push(Step::HandOver(who));
                        None
                    }
                    HeldStep::Settling => {
                        steps.push(Step::Look(who, false));
                        steps.push(Step::Look(who, true));
                        None
                    }
                    HeldStep::Committing(_, in_flight) => {
                        let may_fail = !held.unsettled.is_full();
                        // Only a mistake can make it so, for what is decided is left out.
                        assert!(may_fail || self.rules.decided_commits_count());
                        Some((in_flight, may_fail))
                    }
                }
            }
        };
        if let Some((in_flight, may_fail)) = in_flight {
            steps.push(match in_flight.answer {
                None => Step::Act(who),
                Some(_) => Step::Deliver(who),
            });
            if may_fail {
                steps.push(Step::Fail(who));
            }
        }
        steps.push(match server.wanted {
            true => Step::LetGo(who),
            false => Step::WantAgain(who),
        });
        if !self.rules.is_calm {
            steps.push(Step::Crash(who));
        }
    }

    fn take(&self, state: &mut State, step: Step) {
        let rules = &self.rules;
        match step {
            Step::Tick => state.tick(rules),
            Step::Erase => state.erase(),
            Step::Append => state.append(),
            Step::ActLate(index) => {
                let commit = state.late.remove(index);
                state.act(rules, &commit);
            }
            Step::Act(who) => {
                let in_flight = state.server_mut(who).in_flight();
                let commit = in_flight.map(|in_flight| in_flight.commit);
                let answer = commit.map(|commit| state.act(rules, &commit));
                if let Some(in_flight) = state.server_mut(who).in_flight() {
                    in_flight.answer = answer;
                }
            }
            Step::Ask(who) => self.turn(state, who).ask(),
            Step::WantAgain(who) => self.turn(state, who).want_again(),
            Step::LetGo(who) => self.turn(state, who).end(),
            Step::MakeTrackedChange(who) => self.turn(state, who).make_tracked_change(),
            Step::Look(who, how) => self.turn(state, who).look(how),
            Step::HandOver(who) => self.turn(state, who).hand_over(),
            Step::Deliver(who) => self.turn(state, who).deliver(),
            Step::Fail(who) => self.turn(state, who).fail(),
            Step::Crash(who) => self.turn(state, who).crash(),
        }
    }

    fn turn<'a>(&'a self, state: &'a mut State, who: Who) -> Turn<'a> {
        let rules = &self.rules;
        Turn { rules, who, state }
    }
}
