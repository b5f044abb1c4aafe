//! Explores a model, says how many states there were, and shows how a law is broken.

use std::fmt::Write;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::laws;
use crate::model::{LockProtocol, Step};
use crate::rules::{Clock, Rules};
use crate::world::State;

/// How much is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// What a build that is not optimised explores in seconds.
    Small,
    Full,
    Deep,
}

/// As the environment's `LOCK_PROTOCOL` says.
pub fn size() -> Size {
    match std::env::var("LOCK_PROTOCOL").as_deref() {
        Err(_) => Size::Small,
        Ok("full") => Size::Full,
        Ok("deep") => Size::Deep,
        Ok(other) => panic!("LOCK_PROTOCOL is {other:?}, and must be full or deep"),
    }
}

fn sized(mut rules: Rules) -> Rules {
    match size() {
        Size::Small => {
            rules.tracks_a_change = false;
            rules.calm()
        }
        Size::Full => rules,
        Size::Deep => {
            if rules.clock == Clock::Storage {
                rules.late_at_most = 2;
            }
            rules
        }
    }
}

/// Explores every state, and expects each law to hold in each of them, everything to happen that
/// can, and so many states.
pub fn must_hold(rules: Rules, states_of_full: usize) {
    if size() == Size::Small && rules.clock != Clock::Storage {
        return println!("{:?}: explored by make model-tests", rules.clock);
    }
    let rules = sized(rules);
    let start = Instant::now();
    let model = LockProtocol { rules };
    let failure = HasDiscoveries::AnyFailures;
    let checker = model.checker().finish_when(failure).spawn_bfs().join();
    for law in laws::laws(&rules) {
        if let Some(path) = checker.discovery(law) {
            panic!("broken: {law}\n{}", story(path));
        }
    }
    let states = checker.unique_state_count();
    println!(
        "{}: every law holds in all of {states} states, {} steps, {} deep, {:.1} s",
        described(&rules),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f64()
    );
    if rules.is_calm {
        return;
    }
    for happening in laws::happenings(&rules) {
        assert!(
            checker.discovery(happening).is_some(),
            "never happens: {happening}"
        );
    }
    if size() == Size::Full {
        assert_eq!(states, states_of_full, "has the model been changed?");
    }
}

fn described(rules: &Rules) -> String {
    let change = match rules.tracks_a_change {
        true => "a change is tracked",
        false => "no change is tracked",
    };
    let calm = if rules.is_calm {
        ", nothing befalls"
    } else {
        ""
    };
    let late = rules.late_at_most;
    format!("{:?} ({change}, {late} late at most{calm})", rules.clock)
}

/// Explores until this law is broken.
pub fn must_be_found(rules: Rules, law: &'static str) {
    let model = LockProtocol { rules };
    let found = HasDiscoveries::AllOf([law].into());
    let checker = model.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(law);
    let path = path.unwrap_or_else(|| panic!("{:?} keeps {law}", rules.broken));
    println!(
        "{:?} breaks {law:?} after {} steps: {} states",
        rules.broken,
        path.into_actions().len(),
        checker.unique_state_count()
    );
}

/// The steps, and the state at their end.
fn story(path: Path<State, Step>) -> String {
    let mut story = String::new();
    let last = *path.last_state();
    for step in path.into_actions() {
        writeln!(story, "  {step:?}").expect("a string takes all");
    }
    writeln!(story, "{last:#?}").expect("a string takes all");
    story
}
