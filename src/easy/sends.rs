//! The remote changes that a store sends: driven at the end of each of its updates, with what the
//! sessions have left of the budget.

use std::sync::Arc;

use crate::locker::{ErrorReport, LockerError, Time};
use crate::remote_change::{Allowance, SendHost, SendId, SendOutcome};
use crate::save_data::SaveData;

use super::profiles::ProfileId;
use super::signal::{ProfileEvent, StoreEvent};
use super::store::Inner;

/// Of the budget of an update, sending gets at least one part in so many.
const A_TENTH: u32 = 10;

impl Inner {
    /// Sends what there is to send. Only inside an update of the store, which nobody else is in.
    pub(super) fn update_sends(&self) -> Result<(), LockerError> {
        let rest = self.driver.set()?.rest();
        let config = self.sending.config();
        let in_flight_max = config.requests_in_flight;
        let allowance = Allowance {
            requests: rest
                .requests
                .max(config.requests_per_update.div_ceil(A_TENTH)),
            in_flight: in_flight_max
                .saturating_sub(rest.in_flight)
                .max(in_flight_max.div_ceil(A_TENTH)),
            bytes: rest
                .bytes
                .max(config.bytes_per_update.div_ceil(A_TENTH as usize)),
        };
        let time = (Time::Host(rest.now), rest.wall);
        self.sending.update(time, allowance, self)
    }

    /// Tells the host what concerns a key and no profile.
    fn tell_of_key(&self, key: &Arc<str>, event: ProfileEvent) {
        self.hand_over(StoreEvent {
            profile: ProfileId::default(),
            key: Arc::clone(key),
            event,
        });
    }
}

impl SendHost for Inner {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        self.hooks.create(key)
    }

    fn sent(&self, key: &Arc<str>, id: SendId, outcome: SendOutcome) {
        self.tell_of_key(key, ProfileEvent::RemoteChangesSent(id, outcome));
    }

    fn error(&self, key: &Arc<str>, error: &ErrorReport) {
        let (own, is_heard) = (self.hooks.report_error(), self.hears_events());
        self.sending.report(key, error, own, is_heard);
        if is_heard {
            self.tell_of_key(key, ProfileEvent::Error(error.clone()));
        }
    }
}
