//! The sender as its host sees it: the seed's `RemoteChangeSender`.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::locker::{
    Driving, ErrorReport, LockerError, LockerSpec, ReportError, Time, UNREAD_EVENTS_MAX,
    check_log_prefix,
};
use crate::save_data::SaveData;
use crate::sync::AtomicBool;

use super::driver::{SendHost, Sending};
use super::set::Allowance;
use super::{SendCallback, SendError, SendId, SendOutcome};

/// How a sender behaves.
#[derive(Clone)]
pub struct SenderOptions {
    /// A missing record is made, from the spec's template or by its create hook.
    pub create_if_missing: bool,
    /// Nothing is read or written, and every send is answered as sent: for tests.
    pub disable_apis: bool,
    /// What its log lines begin with, at most 1024 bytes.
    pub log_prefix: Box<str>,
    /// What its name, together with the wall clock, and its waits are drawn from. Must differ between
    /// senders; a store's own sender does not count.
    pub seed: u64,
    /// Told of failures, inside an update, with no lock held; without it, and if events are not
    /// polled, the process-wide reporter for senders is.
    pub report_error: Option<ReportError>,
    /// What happens waits to be polled as well.
    pub polls_events: bool,
}

/// Something that happened to what a sender sends.
#[derive(Clone, Debug)]
pub enum SenderEvent {
    /// A send was answered.
    Sent {
        /// The key it was sent to.
        key: Arc<str>,
        /// The send.
        id: SendId,
        /// How it ended.
        outcome: SendOutcome,
    },
    /// Something failed, and is tried again.
    Error {
        /// The key that was being worked on.
        key: Arc<str>,
        /// What happened.
        error: ErrorReport,
    },
}

impl SenderOptions {
    /// The defaults, with a seed that no other sender has.
    pub fn new(seed: u64) -> Self {
        Self {
            create_if_missing: false,
            disable_apis: false,
            log_prefix: "[SessionLocker:RemoteChangeSender]".into(),
            seed,
            report_error: None,
            polls_events: false,
        }
    }
}

/// Sends remote changes to the records of a spec, driven by its host. A clone names the same sender.
///
/// Every send is answered exactly once, the last of them when the last clone is dropped.
#[derive(Clone)]
pub struct RemoteChangeSender(Arc<Inner>);

struct Inner {
    sending: Sending,
    is_driving: AtomicBool,
    spec: LockerSpec,
    report_error: Option<ReportError>,
    polls_events: bool,
    unread: Mutex<VecDeque<SenderEvent>>,
}

impl RemoteChangeSender {
    /// A sender with the storage, configuration, clocks and documents of a spec, which it keeps.
    /// Refuses a log prefix that is too long.
    pub fn new(spec: &LockerSpec, options: SenderOptions) -> Result<Self, LockerError> {
        check_log_prefix(&options.log_prefix)?;
        let sending = Sending::new(spec.shared()?, &options);
        Ok(Self(Arc::new(Inner {
            sending,
            is_driving: AtomicBool::new(false),
            spec: spec.clone(),
            report_error: options.report_error,
            polls_events: options.polls_events,
            unread: Mutex::default(),
        })))
    }

    /// Takes changes on their way to a key, all in one commit and after what this sender has sent to
    /// the key before. `json_array` has up to 10 000 objects, each with a string `K` of 1 to 256 bytes,
    /// in at most 1 MiB; `I` and `A` are the library's, and overridden. An empty array is answered as
    /// sent with the next update.
    ///
    /// An operation id (1 to 128 bytes) is the host's own name for this send: sent again within 7 days
    /// with the same id, also by another process, it arrives once.
    ///
    /// The callback hears how it ended, inside an update or a close, with no lock held. With
    /// 65 536 events that nobody has polled, nothing more is taken.
    pub fn send(
        &self,
        key: &str,
        json_array: &str,
        operation_id: Option<&str>,
        mut completion: Option<SendCallback>,
    ) -> Result<SendId, SendError> {
        let unread = self.0.unread.lock().len();
        if unread >= UNREAD_EVENTS_MAX {
            return Err(LockerError::UnreadEvents { unread }.into());
        }
        let sending = &self.0.sending;
        let prepared = sending.prepare(key, json_array, operation_id)?;
        sending.send(prepared, &mut completion)
    }

    /// Does all there is to do at `now`: seconds that never run backwards, from any epoch. Refused
    /// while another update or a close is under way.
    pub fn update(&self, now: f64) -> Result<(), LockerError> {
        let _driving = Driving::begin(&self.0.is_driving)?;
        let sending = &self.0.sending;
        let config = sending.config();
        let allowance = Allowance {
            requests: config.requests_per_update,
            in_flight: config.requests_in_flight,
            bytes: config.bytes_per_update,
        };
        sending.update((Time::Host(now), sending.wall()), allowance, &*self.0)
    }

    /// Takes up to so many unread events, oldest first; none if they are not polled.
    pub fn poll_events(&self, most: usize) -> Vec<SenderEvent> {
        let mut unread = self.0.unread.lock();
        let count = most.min(unread.len());
        unread.drain(..count).collect()
    }

    /// Whether a send is not answered yet.
    pub fn is_sending(&self) -> Result<bool, LockerError> {
        self.0.sending.is_sending()
    }

    /// How many times a key has had something to do: an idle update adds none.
    pub fn touches(&self) -> Result<u64, LockerError> {
        self.0.sending.touches()
    }

    /// Answers every send at once, and takes no other. Refused while an update is under way.
    pub fn close(&self) -> Result<(), LockerError> {
        let _driving = Driving::begin(&self.0.is_driving)?;
        self.0.sending.abandon(&*self.0)
    }
}

impl SendHost for Inner {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        self.spec.create_save_data(key)
    }

    fn error(&self, key: &Arc<str>, error: &ErrorReport) {
        let own = self.report_error.as_ref();
        self.sending.report(key, error, own, self.polls_events);
        let (key, error) = (Arc::clone(key), error.clone());
        self.tell(SenderEvent::Error { key, error });
    }

    fn sent(&self, key: &Arc<str>, id: SendId, outcome: SendOutcome) {
        let key = Arc::clone(key);
        self.tell(SenderEvent::Sent { key, id, outcome });
    }
}

impl Inner {
    fn tell(&self, event: SenderEvent) {
        if self.polls_events {
            self.unread.lock().push_back(event);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // One that a panic has put in doubt has nothing left to say.
        let _ = self.sending.abandon(self);
    }
}
