//! What everybody in a simulation shares: the time, the ledger, the history.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clock::Seconds;
use crate::history::History;
use crate::laws::Write;
use crate::ledger::{Broken, Ledger};

/// See the module's page.
pub struct World {
    pub now: Seconds,
    pub step: AtomicU64,
    ledger: Mutex<Ledger>,
    history: Option<Mutex<History>>,
    keys: usize,
}

impl World {
    pub fn new(keys: usize, history: History) -> Self {
        Self {
            now: Seconds::default(),
            step: AtomicU64::new(0),
            ledger: Mutex::new(Ledger::new(keys)),
            history: history.is_kept().then(|| Mutex::new(history)),
            keys,
        }
    }

    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Looks into the ledger, or writes to it. No server is called meanwhile.
    pub fn ledger<R>(&self, look: impl FnOnce(&mut Ledger) -> R) -> R {
        look(&mut self.ledger.lock())
    }

    /// Writes a line of history, if somebody reads it.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(history) = &self.history {
            let line = line();
            let step = self.step.load(Ordering::Relaxed);
            history.lock().add(step, self.now.get(), &line);
        }
    }

    /// A law is broken. The run ends after the step, for hooks may not stop the library.
    pub fn breaks(&self, law: u32, what: impl FnOnce() -> String) {
        self.ledger.lock().breaks(law, what);
    }

    pub fn broken(&self) -> Option<Broken> {
        self.ledger.lock().broken.clone()
    }

    /// The storage has made a write.
    pub fn written(&self, write: &Write<'_>) {
        self.note(|| {
            let text = write
                .bytes
                .map_or("nothing".into(), String::from_utf8_lossy);
            let by = write
                .by
                .map_or("a tool".to_owned(), |(server, _)| server.to_string());
            format!(
                "storage: {} at {} by {by}: {text}",
                write.key, write.revision
            )
        });
        self.ledger.lock().written(write, self.now.get());
    }

    /// The history's last lines.
    pub fn history(&self, most: usize) -> String {
        let history = self.history.as_ref();
        history.map_or_else(String::new, |history| history.lock().text(most))
    }
}
