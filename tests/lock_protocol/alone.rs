//! Whether anybody is ever locked out. From every state, and for each of the servers: if it wants the
//! key from here on, its requests are answered, and nobody else does anything any more, does it own
//! the key after a while?
//!
//! stateright cannot say this: its `eventually` takes a path that closes a circle for one that is
//! fine. So the states are explored here once more, which also checks their number.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap};
use stateright::Model;

use crate::model::{LockProtocol, Step};
use crate::world::*;

/// Every state, by a number of its own in the order in which it was found.
pub struct Walk {
    model: LockProtocol,
    hasher: DefaultHashBuilder,
    numbers: HashMap<u64, u32>,
    /// From which state, and by which step, each was first reached.
    reached: Vec<(u32, Step)>,
    /// Where each of the servers, alone, goes from there.
    alone: Vec<[Alone; 2]>,
}

/// What a server that is alone does in a state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alone {
    Owns,
    /// Goes on to the state with this fingerprint.
    To(u64),
    /// The key is reached in so many steps.
    Reaches(u32),
    /// Looked at in the present round.
    Passed,
}

/// What the walk has found.
pub struct Outcome {
    pub states: usize,
    /// The most steps that a server has needed.
    pub steps_at_most: u32,
    /// How a state is reached in which this server is locked out.
    pub locked_out: Option<(Who, Vec<Step>)>,
}

impl Walk {
    pub fn new(model: LockProtocol) -> Self {
        Self {
            model,
            hasher: DefaultHashBuilder::default(),
            numbers: HashMap::new(),
            reached: Vec::new(),
            alone: Vec::new(),
        }
    }

    pub fn walk(mut self) -> Outcome {
        self.explore();
        let states = self.reached.len();
        let mut steps_at_most = 0;
        for who in BOTH {
            for number in 0..states as u32 {
                match self.follow(who, number) {
                    Some(steps) => steps_at_most = steps_at_most.max(steps),
                    None => {
                        let locked_out = Some((who, self.path(number)));
                        return Outcome {
                            states,
                            steps_at_most,
                            locked_out,
                        };
                    }
                }
            }
        }
        Outcome {
            states,
            steps_at_most,
            locked_out: None,
        }
    }

    fn explore(&mut self) {
        let mut steps = Vec::new();
        let mut frontier = self.model.init_states();
        for state in &frontier {
            self.note(state, (0, Step::Tick));
        }
        let mut number = 0;
        while !frontier.is_empty() {
            let mut next_frontier = Vec::new();
            for state in &frontier {
                self.alone.push(BOTH.map(|who| self.goes(state, who)));
                self.model.actions(state, &mut steps);
                for step in steps.drain(..) {
                    if let Some(next) = self.model.next_state(state, step)
                        && self.note(&next, (number, step))
                    {
                        next_frontier.push(next);
                    }
                }
                number += 1;
            }
            frontier = next_frontier;
        }
    }

    /// True for a state that was not known.
    fn note(&mut self, state: &State, from: (u32, Step)) -> bool {
        let number = self.reached.len() as u32;
        let fingerprint = self.hasher.hash_one(state);
        let is_new = *self.numbers.entry(fingerprint).or_insert(number) == number;
        if is_new {
            self.reached.push(from);
        }
        is_new
    }

    /// Does what can be done without waiting, and lets time pass if nothing can.
    fn goes(&self, state: &State, who: Who) -> Alone {
        if state.owns(who) && state.server(who).wanted {
            return Alone::Owns;
        }
        let mut steps = Vec::new();
        self.model.server_steps(state, who, &mut steps);
        let is_helpful = |step: &Step| {
            !matches!(
                step,
                Step::LetGo(_)
                    | Step::Fail(_)
                    | Step::Crash(_)
                    | Step::MakeTrackedChange(_)
                    | Step::Look(_, true)
            )
        };
        let mut steps = steps.into_iter().filter(is_helpful).chain([Step::Tick]);
        let next = steps.find_map(|step| self.model.next_state(state, step));
        let next = next.as_ref().unwrap_or(state);
        Alone::To(self.hasher.hash_one(next))
    }

    /// In how many steps the server, alone, owns the key. None: never.
    fn follow(&mut self, who: Who, from: u32) -> Option<u32> {
        let mut passed = Vec::new();
        let mut at = from;
        let mut steps = loop {
            let alone = &mut self.alone[at as usize][who as usize];
            match *alone {
                Alone::Owns => break 0,
                Alone::Reaches(steps) => break steps,
                Alone::Passed => return None,
                Alone::To(next) => {
                    *alone = Alone::Passed;
                    passed.push(at);
                    at = self.numbers[&next];
                }
            }
        };
        for number in passed.into_iter().rev() {
            steps += 1;
            self.alone[number as usize][who as usize] = Alone::Reaches(steps);
        }
        Some(steps)
    }

    fn path(&self, number: u32) -> Vec<Step> {
        let mut path = Vec::new();
        let mut at = number;
        while at != 0 {
            let (from, step) = self.reached[at as usize];
            path.push(step);
            at = from;
        }
        path.reverse();
        path
    }
}
