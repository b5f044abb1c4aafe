//! The thread of an engine that talks to a server: what is submitted goes to it over a channel, from any
//! thread and without waiting, and closing waits for it, for a while.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Request;
use super::admission::Admission;

/// How long an engine goes on with what was submitted when it is closed.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How much longer closing waits for a thread that hangs.
const SPARE_PATIENCE: Duration = Duration::from_secs(2);

/// What comes to the thread: those of one submission together.
pub(super) type Submitted = UnboundedReceiver<Vec<Request>>;

/// See the module's page. Dropping it closes the engine.
pub(super) struct EngineThread {
    /// `None` once closed.
    requests: Option<UnboundedSender<Vec<Request>>>,
    admission: Arc<Admission>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<Never>>,
    thread: Option<JoinHandle<()>>,
}

/// Nothing is ever sent over a channel of these; that it is disconnected is the message.
enum Never {}

impl EngineThread {
    /// Starts the thread, whose life `run` is: until nobody can submit any more.
    pub(super) fn start(
        name: &str,
        admission: Admission,
        run: impl FnOnce(Submitted, Arc<Admission>) + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, submitted) = unbounded_channel();
        let (ends, ended) = channel();
        let admission = Arc::new(admission);
        let of_thread = Arc::clone(&admission);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ends: Sender<Never> = ends;
                run(submitted, of_thread);
            })?;
        Ok(Self {
            requests: Some(requests),
            admission,
            ended: Mutex::new(ended),
            thread: Some(thread),
        })
    }

    /// Wakes the thread for these, but for those for which there is no room: they are answered.
    pub(super) fn submit_all(&self, requests: Vec<Request>) {
        let admitted = self.admission.admit_all(requests);
        if let (Some(thread), false) = (&self.requests, admitted.is_empty()) {
            // A thread that ended has panicked; the requests are answered as given up when they are dropped.
            let _ = thread.send(admitted);
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.requests = None;
        // The engine's own limit comes first; this one is for a thread that hangs.
        let patience = CLOSE_PATIENCE + SPARE_PATIENCE;
        let ended = self.ended.lock().recv_timeout(patience);
        if let (Err(RecvTimeoutError::Disconnected), Some(thread)) = (ended, self.thread.take()) {
            let _ = thread.join();
        }
    }
}
