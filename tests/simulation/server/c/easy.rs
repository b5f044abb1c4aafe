//! A C host that works with an `SlEasyStore`.

use std::ffi::c_void;
use std::sync::Arc;

use session_locker::ffi::*;

use super::alive::Alive;
use super::call::{Handle, c, call, callback, filled, get, handle, must, must_get};
use super::desk::{self, Desk, Owner};
use super::document::SaveData;
use super::hooks;
use super::options;
use super::purchase;
use super::settings::{Settings, fill_in, made};
use super::storage::Storage;
use super::user_data::{UserData, behind, drop_user_data, hand_over, take_back};
use crate::ids::{AskId, Key, SendId, SessionId, WaitId};
use crate::server::{Document, Receipt, Server, Setup, Status, WaitAnswer};

/// See the module's page.
pub struct CEasyHost {
    store: Handle<SlEasyStore>,
    storage: Handle<SlStorage>,
    desk: Arc<Desk>,
    polls_events: bool,
    _alive: Alive,
}

impl CEasyHost {
    pub fn new(setup: Setup) -> Self {
        let alive = Alive::new();
        let desk = Desk::new(&setup.game, true);
        let storage = Storage::new(&setup.link).open(&desk.tally);
        let settings = Settings::new(&setup, &desk);
        let mut config: SlEasyStoreConfig =
            filled(|config, size| c!(easy_store_config_init(config, size)));
        fill_in!(config, settings, setup, desk);
        let store = made(settings, |store| {
            c!(easy_store_create(storage.get(), &raw const config, store))
        });
        Self {
            store,
            storage,
            desk,
            polls_events: setup.polls_events,
            _alive: alive,
        }
    }

    fn profile(&self, session: SessionId) -> Option<*mut SlProfile> {
        match self.desk.owner(session)? {
            Owner::Profile(profile) => Some(profile.get()),
            Owner::Locker(_) => None,
        }
    }

    fn save_data(&self, session: SessionId) -> Option<SaveData> {
        let profile = self.profile(session)?;
        let data = must_get(std::ptr::null_mut(), |data| {
            c!(profile_get_save_data(profile, data))
        });
        Some(SaveData::of(data))
    }

    fn poll(&self) {
        let store = self.store.get();
        self.desk.hear_all(|events, capacity, count| {
            c!(easy_store_poll_event(store, events, capacity, count))
        });
    }
}

impl Server for CEasyHost {
    fn update(&self, now: f64) -> bool {
        let is_updated = call(c!(easy_store_update(self.store.get(), now))).is_ok();
        if is_updated && self.polls_events {
            self.poll();
        }
        is_updated
    }

    fn start(&self, session: SessionId, key: Key, reusable: bool) -> bool {
        let (store, name) = (self.store.get(), key.name());
        let (text, length) = (name.as_ptr().cast(), name.len());
        let started = options::of_session(name, |options| {
            handle(|profile| match reusable {
                true => {
                    c!(easy_store_start_session_reusable(
                        store, text, length, options, profile
                    ))
                }
                false => c!(easy_store_start_session(
                    store, text, length, options, profile
                )),
            })
        });
        if let Ok(profile) = &started {
            self.desk.started(session, key, Owner::Profile(*profile));
        }
        started.is_ok()
    }

    fn end(&self, session: SessionId) {
        if let Some(Owner::Profile(profile)) = self.desk.set_wanted(session, false) {
            must(c!(profile_end_session(profile.get())));
        }
    }

    fn want_again(&self, _: SessionId) -> bool {
        false
    }

    fn destroy(&self, session: SessionId) {
        if let Some(Owner::Profile(profile)) = self.desk.let_go(session) {
            must(c!(profile_destroy(profile.get())));
        }
    }

    fn status(&self, session: SessionId) -> Status {
        let status = self
            .profile(session)
            .map(|profile| get(-1, |status| c!(profile_load_status(profile, status))));
        status
            .and_then(Result::ok)
            .map_or(Status::Gone, load_status)
    }

    fn is_available(&self, session: SessionId) -> bool {
        self.desk.owner(session).is_some_and(purchase::is_available)
    }

    fn shares_lockers(&self) -> bool {
        true
    }

    fn with_document(
        &self,
        session: SessionId,
        work: &mut dyn FnMut(&mut dyn Document) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut data = self.save_data(session).ok_or("the session is over")?;
        work(&mut data)
    }

    fn mark(&self, session: SessionId, force: bool) {
        let Some(profile) = self.profile(session) else {
            return;
        };
        // An ended session takes no marks.
        let _ = call(match force {
            true => c!(profile_mark_force_save(profile)),
            false => c!(profile_mark_should_save(profile)),
        });
    }

    fn wait(&self, session: SessionId, wait: WaitId) -> bool {
        let Some(profile) = self.profile(session) else {
            return false;
        };
        self.desk
            .wait(wait, |callback, user_data, drop, connection| {
                c!(profile_when_changes_saved(
                    profile, callback, user_data, drop, connection
                ))
            })
    }

    fn give_up(&self, wait: WaitId) -> bool {
        self.desk.give_up(wait)
    }

    fn wait_inside(&self, session: SessionId, seconds: f64) -> Option<WaitAnswer> {
        let profile = self.profile(session)?;
        let is_loaded = self.status(session) == Status::Loaded;
        let was_saved = match is_loaded {
            true => get(7, |was_saved| {
                c!(profile_wait_until_changes_saved(
                    profile, seconds, was_saved
                ))
            }),
            false => call(c!(profile_wait_until_loaded(profile, seconds))).map(|()| 0),
        };
        if self.polls_events {
            self.poll();
        }
        // A 0 does not tell what was not saved from what nobody knows of.
        (was_saved.ok()? == 1).then_some(WaitAnswer::Saved)
    }

    fn set_save_hook(&self, session: SessionId, transform: bool, on: bool) {
        let Some((profile, key)) = self.profile(session).zip(self.desk.key(session)) else {
            return;
        };
        let hook = SaveHook {
            desk: Arc::clone(&self.desk),
            session,
            key,
            transform,
        };
        let (hook, user_data, drop): (SlBeforeSave, _, SlDrop) = match on {
            true => {
                let user_data = hand_over(&self.desk.tally, Arc::new(hook));
                (Some(before_save), user_data, Some(drop_user_data))
            }
            false => (None, std::ptr::null_mut(), None),
        };
        let set = call(match transform {
            true => c!(profile_set_before_save_transform(
                profile, hook, user_data, drop
            )),
            false => c!(profile_set_before_save(profile, hook, user_data, drop)),
        });
        if set.is_err() && on {
            take_back(user_data);
        }
    }

    fn send(&self, send: SendId, key: Key, changes: &str, operation: Option<&str>) -> bool {
        let (store, name) = (self.store.get(), key.name());
        let by_event = send.0 % 2 == 1;
        options::of_send(operation, |options| {
            self.desk
                .send(send, by_event, |callback, user_data, drop, send_id| {
                    c!(easy_store_send_remote_changes(
                        store,
                        name.as_ptr().cast(),
                        name.len(),
                        changes.as_ptr().cast(),
                        changes.len(),
                        options,
                        callback,
                        user_data,
                        drop,
                        send_id
                    ))
                })
        })
    }

    fn buy(&self, session: SessionId, ask: AskId, receipt: Receipt) -> bool {
        let Some(profile) = self.profile(session) else {
            return false;
        };
        purchase::buy(&self.desk, session, ask, receipt, &|info, user_data| {
            c!(profile_call_when_product_is_processed_and_saved(
                profile,
                Some(purchase::process),
                info,
                Some(purchase::answered),
                user_data,
                Some(drop_user_data)
            ))
        })
    }

    fn give_credit(&self, session: SessionId, product: i64) -> bool {
        let given = self
            .profile(session)
            .map(|profile| call(c!(profile_product_credit_give(profile, product, 1))));
        given.is_some_and(|given| given.is_ok())
    }

    fn use_credit(&self, session: SessionId, receipt: Receipt) -> bool {
        let owner = self.desk.owner(session);
        owner.is_some_and(|owner| purchase::use_credit(&self.desk, session, receipt, owner))
    }

    fn close(&self) {
        must(c!(easy_store_close(self.store.get())));
    }

    fn is_closed(&self) -> bool {
        let store = self.store.get();
        let is_closed = must_get(7, |is_closed| c!(easy_store_is_closed(store, is_closed)));
        is_closed != 0 && self.desk.has_told_all()
    }

    fn drain(&self, timeout: f64) -> bool {
        let store = self.store.get();
        let drained = handle(|report| c!(easy_store_drain(store, timeout, report)));
        let Ok(report) = drained else {
            return false;
        };
        if self.polls_events {
            self.poll();
        }
        let is_done = super::report::is_empty(report);
        must(c!(drain_report_destroy(report.get())));
        is_done
    }
}

impl Drop for CEasyHost {
    fn drop(&mut self) {
        must(c!(easy_store_destroy(self.store.get())));
        self.desk.end_waits();
        self.desk.end_answers();
        must(c!(locker_storage_destroy(self.storage.get())));
        let is_over = self.desk.tally.is_empty() || std::thread::panicking();
        assert!(is_over, "a store is gone, and a drop has not come");
    }
}

/// A hook before the saves of a session.
struct SaveHook {
    desk: Arc<Desk>,
    session: SessionId,
    key: Key,
    transform: bool,
}

impl UserData for SaveHook {}

extern "C" fn before_save(user_data: *mut c_void, profile: *mut SlProfile) -> SlStatus {
    callback(SL_ERROR_HOOK, || {
        let hook = behind::<SaveHook>(user_data);
        let own = hook.desk.owner(hook.session);
        let is_own = matches!(own, Some(Owner::Profile(own)) if own.bits() == profile.addr());
        assert!(
            is_own,
            "a hook of a session is called with another, or after its end"
        );
        let data = must_get(std::ptr::null_mut(), |data| {
            c!(profile_get_save_data(profile, data))
        });
        let (key, mut data) = (hook.key.name(), SaveData::of(data));
        let game = &hook.desk.game;
        hooks::status(game.before_save(key, hook.transform, &mut data))
    })
}

/// A load status of the library's.
pub fn load_status(status: i32) -> Status {
    match status {
        SL_LOAD_STATUS_LOADING => Status::Loading,
        SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL => Status::RequestFailed,
        SL_LOAD_STATUS_SESSION_IS_LOCKED => Status::Locked,
        SL_LOAD_STATUS_LOADED => Status::Loaded,
        SL_LOAD_STATUS_ERASED => Status::Erased,
        SL_LOAD_STATUS_INVALID_VERSION | SL_LOAD_STATUS_CORRUPT_DATA => Status::NotUnderstood,
        SL_LOAD_STATUS_MIGRATION_FAILED | SL_LOAD_STATUS_CREATE_FAILED => Status::HookFailed,
        other => panic!("{other} is no load status"),
    }
}
