//! Joins a set of sends to a storage, a clock and a host: hands its requests over, runs the create
//! hook, answers sends, all on the thread that called in and with no lock held.

use std::sync::Arc;

use crate::clock::Clock;
use crate::locker::{
    Config, ErrorReport, Guarded, LockerError, ReportError, ReportedError, Reporter, Shared, Time,
    check_key, created,
};
use crate::log::{self, Level};
use crate::save_data::{SaveData, UnsentChange};
use crate::storage::{RequestStats, Storage};

use super::set::{Allowance, Ended, Left, SendSet, Setup, Task};
use super::{
    MAX_CHANGES, MAX_CHANGES_BYTES, MAX_OPERATION_ID_BYTES, SendCallback, SendError, SendId,
    SendOutcome, SenderOptions,
};

/// What sending calls of its host's.
pub(crate) trait SendHost {
    fn create(&self, key: &str) -> Result<SaveData, String>;
    /// A send was answered, after its own callback.
    fn sent(&self, key: &Arc<str>, id: SendId, outcome: SendOutcome) {
        let _ = (key, id, outcome);
    }
    fn error(&self, key: &Arc<str>, error: &ErrorReport);
}

/// Changes that can be sent.
pub(crate) struct Prepared<'a> {
    pub(super) key: &'a str,
    pub(super) changes: Vec<UnsentChange<'a>>,
    pub(super) operation_id: Option<Box<str>>,
    /// Unix seconds now.
    pub(super) wall: f64,
}

/// The sends of one sender. Who updates it sees to it that nobody else does meanwhile.
pub(crate) struct Sending {
    set: Guarded<SendSet>,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    log_prefix: Box<str>,
}

impl Sending {
    pub fn new(shared: Shared, options: &SenderOptions) -> Self {
        let Shared {
            storage,
            clock,
            config,
            template,
        } = shared;
        let set = SendSet::new(Setup {
            config: Arc::clone(&config),
            template,
            create_if_missing: options.create_if_missing,
            is_disabled: options.disable_apis,
            seed: options.seed,
            wall: clock.wall(),
        });
        Self {
            set: Guarded::new(set),
            storage,
            clock,
            config,
            log_prefix: options.log_prefix.clone(),
        }
    }

    /// Unix seconds.
    pub fn wall(&self) -> f64 {
        self.clock.wall()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Checks a JSON array of changes for a key, and reads the host's clock: with no lock held.
    pub fn prepare<'a>(
        &self,
        key: &'a str,
        json_array: &'a str,
        operation_id: Option<&str>,
    ) -> Result<Prepared<'a>, SendError> {
        check_key(key)?;
        let bytes = json_array.len();
        if bytes > MAX_CHANGES_BYTES {
            return Err(SendError::TooLarge { bytes });
        }
        let changes = UnsentChange::read_all(json_array)?;
        let count = changes.len();
        if count > MAX_CHANGES {
            return Err(SendError::TooManyChanges { count });
        }
        let bytes = operation_id.map_or(1, str::len);
        if !(1..=MAX_OPERATION_ID_BYTES).contains(&bytes) {
            return Err(SendError::InvalidOperationId { bytes });
        }
        Ok(Prepared {
            key,
            changes,
            operation_id: operation_id.map(Into::into),
            wall: self.wall(),
        })
    }

    /// Takes changes on their way. The callback stays the caller's if this is refused: it may only go
    /// with no lock held.
    pub fn send(
        &self,
        prepared: Prepared<'_>,
        completion: &mut Option<SendCallback>,
    ) -> Result<SendId, SendError> {
        self.set.lock()?.send(prepared, completion)
    }

    pub fn is_sending(&self) -> Result<bool, LockerError> {
        Ok(self.set.lock()?.is_sending())
    }

    pub fn stats(&self) -> Result<RequestStats, LockerError> {
        Ok(self.set.lock()?.stats())
    }

    pub fn touches(&self) -> Result<u64, LockerError> {
        Ok(self.set.lock()?.touches())
    }

    pub fn left(&self) -> Result<Vec<Left>, LockerError> {
        Ok(self.set.lock()?.left())
    }

    /// Does all there is to do; `wall` is Unix seconds.
    pub fn update(
        &self,
        (time, wall): (Time, f64),
        allowance: Allowance,
        host: &dyn SendHost,
    ) -> Result<(), LockerError> {
        self.storage.tick();
        self.set.lock()?.begin_update(time, wall, allowance);
        while let Some(task) = self.next_task()? {
            match task {
                Task::Submit(requests) => self.storage.submit_all(requests),
                Task::Create(id, key) => {
                    let created = created(&self.config, || host.create(&key));
                    self.set.lock()?.handle_created(id, created);
                }
                Task::Ended(ended) => self.tell(ended, host),
                Task::Error(key, error) => host.error(&key, &error),
            }
        }
        Ok(())
    }

    /// The sender is going away: every send is answered, and nothing else is begun.
    pub fn abandon(&self, host: &dyn SendHost) -> Result<(), LockerError> {
        self.set.lock()?.abandon();
        while let Some(task) = self.take_task()? {
            if let Task::Ended(ended) = task {
                self.tell(ended, host);
            }
        }
        Ok(())
    }

    /// Reports an error: see [`ReportedError::report`].
    pub fn report(
        &self,
        key: &str,
        error: &ErrorReport,
        own: Option<&ReportError>,
        is_event: bool,
    ) {
        let reported = ReportedError {
            log_prefix: &self.log_prefix,
            key,
            user_ids: &[],
            error,
            verbose_logs: self.config.verbose_logs,
        };
        reported.report(own, is_event, Reporter::Senders);
    }

    fn next_task(&self) -> Result<Option<Task>, LockerError> {
        Ok(self.set.lock()?.poll())
    }

    fn take_task(&self) -> Result<Option<Task>, LockerError> {
        Ok(self.set.lock()?.take_task())
    }

    fn tell(&self, ended: Ended, host: &dyn SendHost) {
        let Ended {
            key,
            id,
            outcome,
            completion,
            ..
        } = ended;
        if self.config.verbose_logs {
            let (prefix, number) = (&self.log_prefix, id.number());
            log::log(
                Level::Debug,
                &format!("{prefix} send {number} to {key} has ended: {outcome}"),
            );
        }
        if let Some(completion) = completion {
            completion(id, outcome);
        }
        host.sent(&key, id, outcome);
    }
}
