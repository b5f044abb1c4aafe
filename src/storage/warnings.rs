//! What an operator should know of the servers that an engine has found: found on the engine's thread, said in
//! the log on the host's, each once.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::log::{Level, MODULE, log};

/// No more than so many are said: a server whose name is another one each time has said enough.
const MOST: usize = 256;

/// See the module's page.
#[derive(Default)]
pub(super) struct Warnings {
    found: Mutex<Found>,
    has_new: AtomicBool,
}

#[derive(Default)]
struct Found {
    known: HashSet<String>,
    new: Vec<String>,
}

impl Warnings {
    /// Notes a sentence that was not noted before. Any thread.
    pub(super) fn note(&self, warning: String) {
        let mut found = self.found.lock();
        if found.known.len() < MOST && found.known.insert(warning.clone()) {
            found.new.push(warning);
            self.has_new.store(true, Ordering::Relaxed);
        }
    }

    /// What was noted since it was last taken, in that order.
    pub(super) fn take(&self) -> Vec<String> {
        let mut found = self.found.lock();
        self.has_new.store(false, Ordering::Relaxed);
        std::mem::take(&mut found.new)
    }

    /// Says in the log what is new, on the calling thread; costs next to nothing while nothing is.
    pub(super) fn say_new(&self) {
        if self.has_new.load(Ordering::Relaxed) {
            say(&self.take());
        }
    }
}

/// Says sentences in the log.
pub(super) fn say(warnings: &[String]) {
    for warning in warnings {
        log(Level::Warning, &format!("{MODULE} {warning}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_not_without_end() {
        let warnings = Warnings::default();
        assert_eq!(warnings.take(), [""; 0]);
        for warning in ["b", "a", "b"] {
            warnings.note(warning.to_owned());
        }
        assert_eq!(warnings.take(), ["b", "a"]);
        warnings.note("a".to_owned());
        assert_eq!(warnings.take(), [""; 0]);
        (0..1000).for_each(|number| warnings.note(number.to_string()));
        assert_eq!(warnings.take().len(), MOST - 2);
    }
}
