//! A C host that works with lockers: a spec with a locker for each session, a purchaser and a sender,
//! each of which it updates by itself.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_locker::ffi::*;

use super::alive::Alive;
use super::call::{Handle, c, call, filled, get, handle, must, must_get};
use super::desk::{self, Desk, Owner};
use super::document::SaveData;
use super::easy::load_status;
use super::hooks;
use super::options;
use super::purchase;
use super::settings::{Settings, fill_in, made};
use super::storage::Storage;
use super::user_data::drop_user_data;
use crate::clock::ServerClock;
use crate::ids::{AskId, Key, SendId, SessionId, WaitId};
use crate::inside::{self, Role};
use crate::server::{Document, Heard, Receipt, Server, Setup, Status, WaitAnswer};

/// Keeps the sender's seed from the spec's.
const SENDER: u64 = 0x5e4d;

/// How long the lockers of a server that is gone may need until they are idle.
const SECONDS_TO_END: u32 = 1000;

/// See the module's page.
pub struct CLockerHost {
    spec: Handle<SlLockerSpec>,
    purchaser: Handle<SlProductPurchaser>,
    sender: Handle<SlRemoteChangeSender>,
    storage: Handle<SlStorage>,
    own_storage: Arc<Storage>,
    desk: Arc<Desk>,
    clock: Arc<ServerClock>,
    polls_events: bool,
    is_closed: AtomicBool,
    _alive: Alive,
}

impl CLockerHost {
    pub fn new(setup: Setup) -> Self {
        let alive = Alive::new();
        let desk = Desk::new(&setup.game, false);
        let own_storage = Storage::new(&setup.link);
        let storage = own_storage.open(&desk.tally);
        let settings = Settings::new(&setup, &desk);
        let mut config: SlLockerSpecConfig =
            filled(|config, size| c!(locker_spec_config_init(config, size)));
        fill_in!(config, settings, setup, desk);
        if setup.has_save_hook {
            config.before_save = Some(before_save);
            config.before_save_transform = Some(before_save_transform);
        }
        let spec = made(settings, |spec| {
            c!(locker_spec_create(storage.get(), &raw const config, spec))
        });
        let purchaser = handle(|purchaser| c!(product_purchaser_create(purchaser)));
        Self {
            spec,
            purchaser: purchaser.unwrap_or_else(|refusal| panic!("{refusal}")),
            sender: sender(&setup, spec),
            storage,
            own_storage,
            desk,
            clock: setup.clock,
            polls_events: setup.polls_events,
            is_closed: AtomicBool::new(false),
            _alive: alive,
        }
    }

    fn locker(&self, session: SessionId) -> Option<*mut SlLocker> {
        match self.desk.owner(session)? {
            Owner::Locker(locker) => Some(locker.get()),
            Owner::Profile(_) => None,
        }
    }

    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
    }

    /// Updates one locker, and ends it once it is idle and not wanted. False: refused.
    fn update_one(&self, session: SessionId, now: f64) -> bool {
        let Some(locker) = self.locker(session) else {
            return true;
        };
        let update = || {
            get(7, |should_remove| {
                c!(locker_update(locker, now, should_remove))
            })
        };
        let updated = inside::acting(Role::Session(session), update);
        let Ok(should_remove) = updated else {
            return false;
        };
        self.poll(locker);
        let is_over = should_remove != 0 && !self.desk.is_wanted(session);
        if is_over && call(c!(locker_mark_deleted(locker))).is_ok() {
            self.poll(locker);
            self.desk.game.heard(session, Heard::Ended);
            self.desk.game.heard(session, Heard::Finished);
            self.desk.let_go(session);
            must(c!(locker_destroy(locker)));
        }
        true
    }

    fn poll(&self, locker: *mut SlLocker) {
        if self.polls_events {
            self.desk.hear_all(|events, capacity, count| {
                c!(locker_poll_event(locker, events, capacity, count))
            });
        }
    }

    fn update_sender(&self, now: f64) -> bool {
        let sender = self.sender.get();
        let update = || call(c!(remote_change_sender_update(sender, now)));
        let is_updated = inside::acting(Role::Sender, update).is_ok();
        if is_updated && self.polls_events {
            self.desk.hear_all(|events, capacity, count| {
                c!(remote_change_sender_poll_event(
                    sender, events, capacity, count
                ))
            });
        }
        is_updated
    }

    fn update_purchaser(&self, now: f64) {
        // Refused inside of its own callbacks.
        let _ = call(c!(product_purchaser_update(self.purchaser.get(), now)));
    }
}

fn sender(setup: &Setup, spec: Handle<SlLockerSpec>) -> Handle<SlRemoteChangeSender> {
    let config = SlRemoteChangeSenderConfig {
        create_if_missing: setup.creates_by_hook.into(),
        polls_events: setup.polls_events.into(),
        seed: setup.seed ^ SENDER,
        ..filled(|config, size| c!(remote_change_sender_config_init(config, size)))
    };
    let sender = handle(|sender| {
        c!(remote_change_sender_create(
            spec.get(),
            &raw const config,
            sender
        ))
    });
    sender.unwrap_or_else(|refusal| panic!("{refusal}"))
}

impl Server for CLockerHost {
    fn update(&self, now: f64) -> bool {
        self.update_purchaser(now);
        for session in self.desk.sessions() {
            if !self.update_one(session, now) {
                return false;
            }
        }
        self.update_purchaser(now);
        self.update_sender(now)
    }

    fn start(&self, session: SessionId, key: Key, _: bool) -> bool {
        if !self.is_open() {
            return false;
        }
        let (spec, name) = (self.spec.get(), key.name());
        let made = options::of_session(name, |options| {
            let (text, length) = (name.as_ptr().cast(), name.len());
            handle(|locker| c!(locker_create(spec, text, length, options, locker)))
        });
        let Ok(locker) = made else { return false };
        self.desk.started(session, key, Owner::Locker(locker));
        must(c!(locker_mark_should_acquire(
            locker.get(),
            use_key(session)
        )));
        true
    }

    fn end(&self, session: SessionId) {
        if let Some(Owner::Locker(locker)) = self.desk.set_wanted(session, false) {
            must(c!(locker_mark_should_release(
                locker.get(),
                use_key(session)
            )));
        }
    }

    fn want_again(&self, session: SessionId) -> bool {
        if !self.is_open() {
            return false;
        }
        match self.desk.set_wanted(session, true) {
            Some(Owner::Locker(locker)) => call(c!(locker_mark_should_acquire(
                locker.get(),
                use_key(session)
            )))
            .is_ok(),
            _ => false,
        }
    }

    fn destroy(&self, session: SessionId) {
        // A locker is destroyed when it is idle.
        self.end(session);
    }

    fn status(&self, session: SessionId) -> Status {
        let status = self
            .locker(session)
            .map(|locker| get(-1, |status| c!(locker_load_status(locker, status))));
        status
            .and_then(Result::ok)
            .map_or(Status::Gone, load_status)
    }

    fn is_available(&self, session: SessionId) -> bool {
        self.desk.owner(session).is_some_and(purchase::is_available)
    }

    fn shares_lockers(&self) -> bool {
        false
    }

    fn with_document(
        &self,
        session: SessionId,
        work: &mut dyn FnMut(&mut dyn Document) -> Result<(), String>,
    ) -> Result<(), String> {
        let locker = self.locker(session).ok_or("there is no such locker")?;
        work(&mut save_data(locker))
    }

    fn mark(&self, session: SessionId, force: bool) {
        if let Some(locker) = self.locker(session) {
            must(match force {
                true => c!(locker_mark_force_save(locker)),
                false => c!(locker_mark_should_save(locker)),
            });
        }
    }

    fn wait(&self, session: SessionId, wait: WaitId) -> bool {
        let Some(locker) = self.locker(session) else {
            return false;
        };
        self.desk
            .wait(wait, |callback, user_data, drop, connection| {
                c!(locker_when_changes_saved(
                    locker, callback, user_data, drop, connection
                ))
            })
    }

    fn wait_inside(&self, session: SessionId, seconds: f64) -> Option<WaitAnswer> {
        // There is no wait for a locker to be loaded.
        let locker = self.locker(session)?;
        let was_saved = get(7, |was_saved| {
            c!(locker_wait_until_changes_saved(locker, seconds, was_saved))
        });
        // A 0 does not tell what was not saved from what nobody knows of.
        (was_saved.ok()? == 1).then_some(WaitAnswer::Saved)
    }

    fn give_up(&self, wait: WaitId) -> bool {
        self.desk.give_up(wait)
    }

    fn set_save_hook(&self, _: SessionId, _: bool, _: bool) {}

    fn send(&self, send: SendId, key: Key, changes: &str, operation: Option<&str>) -> bool {
        if !self.is_open() {
            return false;
        }
        let (sender, name) = (self.sender.get(), key.name());
        let by_event = self.polls_events && send.0 % 2 == 1;
        options::of_send(operation, |options| {
            self.desk
                .send(send, by_event, |callback, user_data, drop, send_id| {
                    c!(remote_change_sender_send(
                        sender,
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
        let Some(locker) = self.locker(session) else {
            return false;
        };
        purchase::buy(&self.desk, session, ask, receipt, &|info, user_data| {
            c!(product_purchaser_call_when_product_is_processed_and_saved(
                self.purchaser.get(),
                locker,
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
            .locker(session)
            .map(|locker| call(c!(locker_product_credit_give(locker, product, 1))));
        given.is_some_and(|given| given.is_ok())
    }

    fn use_credit(&self, session: SessionId, receipt: Receipt) -> bool {
        let owner = self.desk.owner(session);
        owner.is_some_and(|owner| purchase::use_credit(&self.desk, session, receipt, owner))
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        for session in self.desk.sessions() {
            self.end(session);
        }
    }

    fn is_closed(&self) -> bool {
        let (purchaser, sender) = (self.purchaser.get(), self.sender.get());
        let has_purchases = must_get(7, |has_some| {
            c!(product_purchaser_has_incomplete_purchases(
                purchaser, has_some
            ))
        });
        let is_sending = must_get(7, |is_sending| {
            c!(remote_change_sender_is_sending(sender, is_sending))
        });
        let is_idle = self.desk.sessions().is_empty() && self.desk.has_told_all();
        !self.is_open() && is_idle && (has_purchases, is_sending) == (0, 0)
    }

    fn drain(&self, timeout: f64) -> bool {
        self.close();
        let end = self.clock.monotonic() + timeout;
        loop {
            self.update(self.clock.monotonic());
            let left = end - self.clock.monotonic();
            if self.is_closed() || left <= 0.0 {
                return self.is_closed();
            }
            self.clock.sleep(left.min(0.001));
        }
    }
}

impl Drop for CLockerHost {
    fn drop(&mut self) {
        must(c!(remote_change_sender_destroy(self.sender.get())));
        must(c!(product_purchaser_destroy(self.purchaser.get())));
        self.desk.end_answers();
        self.desk.end_waits();
        self.end_lockers();
        must(c!(locker_spec_destroy(self.spec.get())));
        must(c!(locker_storage_destroy(self.storage.get())));
        let is_over = self.desk.tally.is_empty() || std::thread::panicking();
        assert!(is_over, "lockers are gone, and a drop has not come");
    }
}

impl CLockerHost {
    /// C has no way to be rid of a locker that is not idle, for a process that dies needs none. So time
    /// passes for it, on a storage where there is nothing any more, until it is.
    fn end_lockers(&self) {
        self.own_storage.empty();
        let mut now = self.clock.monotonic();
        for session in self.desk.sessions() {
            self.end(session);
        }
        for _ in 0..SECONDS_TO_END {
            if self.desk.sessions().is_empty() {
                return;
            }
            now += 1.0;
            for session in self.desk.sessions() {
                let Some(locker) = self.locker(session) else {
                    continue;
                };
                let is_idle = must_get(7, |is_idle| c!(locker_update(locker, now, is_idle)));
                if is_idle == 1 {
                    self.desk.let_go(session);
                    must(c!(locker_destroy(locker)));
                }
            }
        }
        let left = self.desk.sessions();
        assert!(
            left.is_empty() || std::thread::panicking(),
            "{left:?} never become idle"
        );
    }
}

/// Each session holds its locker by a use key of its own.
fn use_key(session: SessionId) -> u64 {
    session.0.into()
}

fn save_data(locker: *mut SlLocker) -> SaveData {
    let data = must_get(std::ptr::null_mut(), |data| {
        c!(locker_get_save_data(locker, data))
    });
    SaveData::of(data)
}

extern "C" fn before_save(user_data: *mut c_void, locker: *mut SlLocker) -> SlStatus {
    run_before_save(user_data, locker, false)
}

extern "C" fn before_save_transform(user_data: *mut c_void, locker: *mut SlLocker) -> SlStatus {
    run_before_save(user_data, locker, true)
}

fn run_before_save(user_data: *mut c_void, locker: *mut SlLocker, transform: bool) -> SlStatus {
    hooks::hook(user_data, |desk| {
        let key = desk.key_of(locker.addr()).expect("a locker of the host's");
        let game = &desk.game;
        hooks::status(game.before_save(key.name(), transform, &mut save_data(locker)))
    })
}
