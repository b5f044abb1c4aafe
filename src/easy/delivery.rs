//! How what happens to a locker reaches the profiles on it and their host.
//!
//! Callbacks run with no lock held, so each step looks again at what is still there.

use std::sync::Arc;

use slotmap::KeyData;

use crate::locker::{
    ErrorReport, Event, HookAnswer, Host, Lifecycle, LockerId, Reason, SharedSaveData,
};
use crate::save_data::{RemoteChange, SaveData};

use super::profiles::{Entry, ProfileId};
use super::signal::{ProfileEvent, Signal, Status, StoreEvent};
use super::store::Inner;

impl Host for Inner {
    fn begin(&self) {
        self.deliver_pending();
        self.process_purchases();
    }

    fn end(&self) {
        self.process_purchases();
        self.deliver_pending();
        self.finish_leaving();
        // Sends that a panic has put in doubt have nothing left to do.
        let _ = self.update_sends();
    }

    fn create(&self, key: &str) -> Result<SaveData, String> {
        self.hooks.create(key)
    }

    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        let profiles = self.profiles.lock();
        let hooks: Vec<_> = profiles
            .on(locker)
            .into_iter()
            .filter_map(|id| profiles.entries[id].before_save(transform).cloned())
            .collect();
        drop(profiles);
        hooks.into_iter().try_for_each(|hook| hook())
    }

    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        self.hooks.process_remote_change(key, data, change)
    }

    fn merge_offline(
        &self,
        key: &str,
        offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        self.hooks.merge_offline(key, offline, data)
    }

    fn event(&self, locker: LockerId, _: &Arc<str>, event: Event) {
        // A profile that was ended during this update hears of that before what comes of it.
        self.tell_pending();
        match event {
            Event::Lifecycle(lifecycle) => self.lifecycle(locker, lifecycle),
            Event::Lost(data) => {
                let data = Arc::new(*data);
                self.tell_all(locker, || ProfileEvent::Lost(Arc::clone(&data)));
            }
            Event::LoadStatusChanged(status) => {
                self.tell_all(locker, || ProfileEvent::LoadStatusChanged(status));
                if status.is_final() {
                    self.give_up_loading(locker);
                }
            }
            Event::Error(report) => {
                self.note_error(locker, &report);
                let (own, is_heard) = (self.hooks.report_error(), self.hears_events());
                self.driver.report(locker, &report, own, is_heard);
                if !is_heard {
                    return;
                }
                self.tell_all(locker, || ProfileEvent::Error(report.clone()));
            }
            Event::ChangesSaved(connection, outcome) => {
                let profile = ProfileId::from(KeyData::from_ffi(connection.owner()));
                self.tell(profile, ProfileEvent::ChangesSaved(connection, outcome));
            }
            // Its asker hears it from the purchases themselves.
            Event::Purchase { .. } => {}
            Event::ProductCreditChanged { product_id, change } => {
                self.tell_all(locker, || ProfileEvent::ProductCreditChanged {
                    product_id,
                    change,
                });
            }
        }
    }
}

impl Inner {
    fn lifecycle(&self, locker: LockerId, lifecycle: Lifecycle) {
        let status = match lifecycle {
            Lifecycle::Replaced(reason) => {
                if !self.note_replaced(locker, reason) {
                    return;
                }
                Status::Replaced(reason)
            }
            Lifecycle::Saved => {
                self.forget_error(locker);
                Status::Saved
            }
            Lifecycle::Idling => Status::Idling,
            Lifecycle::Deleted => return self.finish(locker),
        };
        self.tell_all(locker, || ProfileEvent::Lifecycle(status));
        match status {
            Status::Replaced(Reason::Loaded) => self.call_when_loaded(locker),
            Status::Idling => self.remove_if_done(locker),
            _ => {}
        }
    }

    /// False for the reset with which every locker begins: the profiles do not hear it.
    fn note_replaced(&self, locker: LockerId, reason: Reason) -> bool {
        let mut profiles = self.profiles.lock();
        let is_first = match profiles.lockers.get_mut(&locker) {
            Some(on) => !std::mem::replace(&mut on.has_begun, true),
            None => return false,
        };
        for id in profiles.on(locker) {
            profiles.entries[id].is_loaded = reason == Reason::Loaded;
        }
        !(is_first && reason == Reason::Released)
    }

    fn note_error(&self, locker: LockerId, report: &ErrorReport) {
        if let Some(on) = self.profiles.lock().lockers.get_mut(&locker) {
            on.last_error = Some(report.message.as_str().into());
        }
    }

    fn forget_error(&self, locker: LockerId) {
        if let Some(on) = self.profiles.lock().lockers.get_mut(&locker) {
            on.last_error = None;
        }
    }

    fn call_when_loaded(&self, locker: LockerId) {
        let ids = self.profiles.lock().on(locker);
        ids.into_iter().for_each(|id| self.call_loaded(id));
    }

    fn call_loaded(&self, id: ProfileId) {
        let mut profiles = self.profiles.lock();
        let entry = profiles.entries.get_mut(id);
        let callbacks = match entry.filter(|entry| entry.is_loaded && entry.is_active) {
            Some(entry) => entry.take_when_loaded(),
            None => return,
        };
        drop(profiles);
        callbacks.into_iter().for_each(|callback| callback(id));
    }

    /// The locker's profiles will never be loaded: who waits for that is let go.
    fn give_up_loading(&self, locker: LockerId) {
        let mut profiles = self.profiles.lock();
        let mut let_go = Vec::new();
        for id in profiles.on(locker) {
            let entry = profiles.entries.get_mut(id);
            let_go.extend(entry.map(Entry::take_when_loaded));
        }
        drop(profiles);
        // With no lock held: the host is told that its side ends.
        drop(let_go);
    }

    fn remove_if_done(&self, locker: LockerId) {
        let has_active = self.profiles.lock().has_active(locker);
        if !has_active && let Ok(mut set) = self.driver.set() {
            set.remove(locker);
        }
    }

    /// The locker is gone: its profiles say their last.
    fn finish(&self, locker: LockerId) {
        self.end_purchases(locker);
        let mut profiles = self.profiles.lock();
        let on = profiles.lockers.remove(&locker);
        if let Some(on) = &on {
            profiles.leaving.retain(|id| !on.profiles.contains(id));
        }
        drop(profiles);
        for id in on.map(|on| on.profiles).unwrap_or_default() {
            self.tell(id, ProfileEvent::Lifecycle(Status::Deleted));
            self.finish_profile(id);
        }
    }

    fn finish_profile(&self, id: ProfileId) {
        self.tell(id, ProfileEvent::Lifecycle(Status::Finished));
        let mut profiles = self.profiles.lock();
        let Some(entry) = profiles.entries.get_mut(id) else {
            return;
        };
        entry.is_finished = true;
        entry.is_loaded = false;
        let listeners = entry.take_listeners();
        if entry.is_dropped {
            profiles.entries.remove(id);
        }
        drop(profiles);
        drop(listeners);
    }

    /// Ended profiles whose session goes on with others are finished once nothing of theirs waits.
    fn finish_leaving(&self) {
        let mut profiles = self.profiles.lock();
        if profiles.leaving.is_empty() {
            return;
        }
        let mut leaving = std::mem::take(&mut profiles.leaving);
        let entries = &mut profiles.entries;
        leaving.retain(|id| entries.contains_key(*id));
        let (waiting, done): (Vec<_>, Vec<_>) = leaving
            .into_iter()
            .partition(|id| entries[*id].has_open_waits());
        profiles.leaving = waiting;
        for id in &done {
            let locker = profiles.entries[*id].locker;
            if let Some(on) = profiles.lockers.get_mut(&locker) {
                on.profiles.retain(|other| other != id);
            }
        }
        drop(profiles);
        done.into_iter().for_each(|id| self.finish_profile(id));
    }

    fn deliver_pending(&self) {
        self.tell_pending();
        let loaded = std::mem::take(&mut self.profiles.lock().loaded);
        loaded.into_iter().for_each(|id| self.call_loaded(id));
    }

    /// Tells what is pending now; what callbacks add to it comes later, so that a frame ends.
    fn tell_pending(&self) {
        let count = self.profiles.lock().pending.len();
        for _ in 0..count {
            if let Some((id, event)) = self.take_pending() {
                self.tell(id, event);
            }
        }
    }

    fn take_pending(&self) -> Option<(ProfileId, ProfileEvent)> {
        self.profiles.lock().pending.pop_front()
    }

    fn tell_all(&self, locker: LockerId, event: impl Fn() -> ProfileEvent) {
        let ids = self.profiles.lock().on(locker);
        ids.into_iter().for_each(|id| self.tell(id, event()));
    }

    /// Tells the host one event of a profile, in the way the host has chosen.
    pub(super) fn tell(&self, profile: ProfileId, event: ProfileEvent) {
        if let ProfileEvent::ChangesSaved(connection, outcome) = &event
            && let Some(callback) = connection.take_callback()
        {
            callback(*outcome);
        }
        let key = self.profiles.lock().key(profile);
        let event = StoreEvent {
            profile,
            key,
            event,
        };
        let signals = event.event.signals().iter();
        signals.for_each(|signal| self.fire(*signal, &event));
        self.hand_over(event);
    }

    /// Whether the host hears events, in either way.
    pub(super) fn hears_events(&self) -> bool {
        self.polls_events || self.hooks.hears_events()
    }

    /// Gives the host an event in the way it has chosen.
    pub(super) fn hand_over(&self, event: StoreEvent) {
        if self.polls_events {
            self.unread.lock().push_back(event);
        } else {
            self.hooks.event(&event);
        }
    }

    fn fire(&self, signal: Signal, event: &StoreEvent) {
        let profile = event.profile;
        let profiles = self.profiles.lock();
        let Some(entry) = profiles.entries.get(profile) else {
            return;
        };
        let connections = entry.hearing(signal);
        drop(profiles);
        for connection in connections {
            let mut profiles = self.profiles.lock();
            let entry = profiles.entries.get_mut(profile);
            // An earlier callback may have ended it.
            let is_connected = entry.is_some_and(|entry| match connection.once {
                true => entry.disconnect(connection.id).is_some(),
                false => entry.is_connected(connection.id),
            });
            drop(profiles);
            if is_connected {
                (connection.callback)(event);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}
