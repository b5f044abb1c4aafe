//! A host of the easy API: one store, and a profile for each session.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use session_locker::easy::{EasyStore, Profile, ProfileEvent, ProfileId, Status as Told};
use session_locker::easy::{StoreEvent, StoreHooks};
use session_locker::locker::{HookAnswer, LockerRef, Reason, SharedSaveData};
use session_locker::purchaser::PendingProductPurchase;
use session_locker::save_data::{RemoteChange, SaveData};
use session_locker::storage::Storage;

use super::rust_hooks::{self as rust, Draft, Live, Process, Waits, done};
use super::{Document, Heard, Receipt, Server, Setup, Status, WaitAnswer};
use crate::game::Game;
use crate::ids::{AskId, Key, SendId, SessionId, WaitId};

/// See the module's page.
pub struct EasyHost {
    store: EasyStore,
    game: Arc<Game>,
    seats: Arc<Mutex<Seats>>,
    waits: Arc<Mutex<Waits>>,
    hooks: Hooks,
}

/// The profiles that the host has, by the names it knows them under.
#[derive(Default)]
struct Seats(Vec<Seat>);

struct Seat {
    session: SessionId,
    key: Key,
    profile: Profile,
}

impl Seats {
    fn profile(&self, session: SessionId) -> Option<Profile> {
        let mut seats = self.0.iter();
        seats
            .find(|seat| seat.session == session)
            .map(|seat| seat.profile.clone())
    }

    fn session(&self, profile: ProfileId) -> Option<SessionId> {
        let mut seats = self.0.iter();
        seats
            .find(|seat| seat.profile.id() == profile)
            .map(|seat| seat.session)
    }

    fn remove(&mut self, session: SessionId) -> Option<Profile> {
        let mut seats = self.0.iter();
        let place = seats.position(|seat| seat.session == session)?;
        Some(self.0.remove(place).profile)
    }

    /// The profile with this key that is not ended, if there is one.
    fn active(&self, key: Key) -> Option<Profile> {
        let of_key = self.0.iter().filter(|seat| seat.key == key);
        let mut profiles = of_key.map(|seat| &seat.profile);
        profiles.find(|profile| profile.is_active()).cloned()
    }
}

/// What the store calls.
#[derive(Clone)]
struct Hooks {
    game: Arc<Game>,
    seats: Arc<Mutex<Seats>>,
    waits: Arc<Mutex<Waits>>,
    receives: bool,
    merges: bool,
}

impl Hooks {
    fn hear(&self, event: &StoreEvent) {
        let ProfileEvent::ChangesSaved(connection, outcome) = &event.event else {
            return hear(&self.game, &self.seats, event);
        };
        let wait = self.waits.lock().answered_in_vain(connection);
        if let Some(wait) = wait {
            self.game.saved(wait, rust::saved(*outcome));
        }
    }
}

impl StoreHooks for Hooks {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        rust::create(&self.game, key)
    }

    fn process_remote_change(
        &self,
        key: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        let applied = self.game.remote_change(key, change.json(), &mut Live(data));
        done(applied).map(rust::answer)
    }

    fn has_process_remote_change(&self) -> bool {
        self.receives
    }

    fn merge_offline(
        &self,
        key: &str,
        mut offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        let offline = &mut Draft(&mut offline);
        done(self.game.merge(key, offline, &mut Live(data)))
    }

    fn has_merge_offline(&self) -> bool {
        self.merges
    }

    fn event(&self, event: &StoreEvent) {
        self.hear(event);
    }
}

/// Tells the game an event. A profile that is finished is let go of.
fn hear(game: &Game, seats: &Mutex<Seats>, event: &StoreEvent) {
    let Some(session) = seats.lock().session(event.profile) else {
        return;
    };
    let heard = match &event.event {
        ProfileEvent::Lifecycle(Told::Replaced(Reason::Loaded)) => Heard::Loaded,
        ProfileEvent::Lifecycle(Told::Replaced(_)) => Heard::Reset,
        ProfileEvent::Lifecycle(Told::Saved) => Heard::Saved,
        ProfileEvent::Lifecycle(Told::Destroyed) => Heard::Ended,
        ProfileEvent::Lifecycle(Told::Finished) => Heard::Finished,
        ProfileEvent::Lost(data) => Heard::Lost {
            lock_id: rust::lock_id(data),
        },
        ProfileEvent::Error(_) => Heard::Error,
        ProfileEvent::ProductCreditChanged { product_id, change } => Heard::Credit {
            product: *product_id,
            change: *change,
        },
        _ => return,
    };
    game.heard(session, heard);
    if heard == Heard::Finished {
        let gone = seats.lock().remove(session);
        if let Some(profile) = gone {
            let _ = profile.destroy();
        }
    }
}

impl EasyHost {
    pub fn new(setup: Setup) -> Self {
        let seats = Arc::<Mutex<Seats>>::default();
        let waits = Arc::<Mutex<Waits>>::default();
        let hooks = Hooks {
            game: Arc::clone(&setup.game),
            seats: Arc::clone(&seats),
            waits: Arc::clone(&waits),
            receives: setup.receives,
            merges: setup.merges,
        };
        let storage = Arc::clone(&setup.link) as Arc<dyn Storage>;
        let store = EasyStore::new(storage, rust::options(&setup), Box::new(hooks.clone()));
        Self {
            store: store.expect("a configuration that works"),
            game: setup.game,
            seats,
            waits,
            hooks,
        }
    }

    fn profile(&self, session: SessionId) -> Option<Profile> {
        self.seats.lock().profile(session)
    }

    fn poll(&self) {
        for event in self.store.poll_events(usize::MAX) {
            self.hooks.hear(&event);
        }
    }

    fn process(&self, receipt: Receipt) -> Process<impl Fn(Key) -> Option<LockerRef> + use<>> {
        let seats: Weak<Mutex<Seats>> = Arc::downgrade(&self.seats);
        Process {
            game: Arc::clone(&self.game),
            receipt,
            find: move |key| {
                let seats = seats.upgrade()?;
                let profile = seats.lock().active(key)?;
                profile.to_ref().ok()
            },
        }
    }
}

impl Server for EasyHost {
    fn update(&self, now: f64) -> bool {
        let is_done = self.store.update(now).is_ok();
        if is_done {
            self.poll();
        }
        is_done
    }

    fn start(&self, session: SessionId, key: Key, reusable: bool) -> bool {
        let user_ids = [key.name()];
        let started = match reusable {
            true => self.store.start_session_reusable(key.name(), &user_ids),
            false => self.store.start_session(key.name(), &user_ids),
        };
        let Ok(profile) = started else { return false };
        let seat = Seat {
            session,
            key,
            profile,
        };
        self.seats.lock().0.push(seat);
        true
    }

    fn end(&self, session: SessionId) {
        if let Some(profile) = self.profile(session) {
            let _ = profile.end_session();
        }
    }

    fn want_again(&self, _: SessionId) -> bool {
        false
    }

    fn destroy(&self, session: SessionId) {
        let profile = self.seats.lock().remove(session);
        if let Some(profile) = profile {
            let _ = profile.destroy();
        }
    }

    fn status(&self, session: SessionId) -> Status {
        let status = self
            .profile(session)
            .and_then(|profile| profile.load_status().ok());
        status.map_or(Status::Gone, rust::status)
    }

    fn is_available(&self, session: SessionId) -> bool {
        let profile = self.profile(session);
        profile.is_some_and(|profile| profile.is_available() == Ok(true))
    }

    fn shares_lockers(&self) -> bool {
        true
    }

    fn with_document(
        &self,
        session: SessionId,
        work: &mut dyn FnMut(&mut dyn Document) -> Result<(), String>,
    ) -> Result<(), String> {
        let profile = self.profile(session).ok_or("there is no such profile")?;
        work(&mut Live(profile.save_data()))
    }

    fn mark(&self, session: SessionId, force: bool) {
        if let Some(profile) = self.profile(session) {
            let _ = match force {
                true => profile.mark_force_save(),
                false => profile.mark_should_save(),
            };
        }
    }

    fn wait(&self, session: SessionId, wait: WaitId) -> bool {
        let game = Arc::clone(&self.game);
        let answer = move |outcome| game.saved(wait, rust::saved(outcome));
        let Some(profile) = self.profile(session) else {
            return false;
        };
        let Ok(connection) = profile.when_changes_saved(Some(Box::new(answer))) else {
            return false;
        };
        self.waits.lock().add(wait, connection);
        true
    }

    fn give_up(&self, wait: WaitId) -> bool {
        self.waits.lock().give_up(wait)
    }

    fn wait_inside(&self, session: SessionId, seconds: f64) -> Option<WaitAnswer> {
        let profile = self.profile(session)?;
        let outcome = match profile.is_loaded() {
            true => profile.wait_until_changes_saved(seconds).ok().flatten(),
            false => {
                let _ = profile.wait_until_loaded(seconds);
                None
            }
        };
        self.poll();
        outcome.map(rust::saved)
    }

    fn set_save_hook(&self, session: SessionId, transform: bool, on: bool) {
        let Some(profile) = self.profile(session) else {
            return;
        };
        let Ok(key) = profile.key() else { return };
        let (game, data) = (Arc::clone(&self.game), Arc::downgrade(profile.save_data()));
        let hook = move || {
            let data = data.upgrade().ok_or("the save data is gone")?;
            done(game.before_save(&key, transform, &mut Live(&data)))
        };
        let _ = profile.set_before_save(transform, on.then(|| Arc::new(hook) as _));
    }

    fn send(&self, send: SendId, key: Key, changes: &str, operation: Option<&str>) -> bool {
        let game = Arc::clone(&self.game);
        let answer = move |_, outcome| game.sent(send, rust::sent(outcome));
        let answer = Some(Box::new(answer) as _);
        let sent = self
            .store
            .send_remote_changes(key.name(), changes, operation, answer);
        sent.is_ok()
    }

    fn buy(&self, session: SessionId, ask: AskId, receipt: Receipt) -> bool {
        let Some(profile) = self.profile(session) else {
            return false;
        };
        let game = Arc::clone(&self.game);
        let answer = move |is_granted| game.purchased(ask, is_granted);
        let asked = profile.call_when_product_is_processed_and_saved(
            Arc::new(self.process(receipt)),
            rust::receipt(receipt),
            Some(Box::new(answer)),
        );
        asked.is_ok()
    }

    fn give_credit(&self, session: SessionId, product: i64) -> bool {
        let profile = self.profile(session);
        profile.is_some_and(|profile| profile.give_product_credit(product, 1).is_ok())
    }

    fn use_credit(&self, session: SessionId, receipt: Receipt) -> bool {
        let profile = self.profile(session);
        let Some(locker) = profile.and_then(|profile| profile.to_ref().ok()) else {
            return false;
        };
        let process = Arc::new(self.process(receipt));
        let pending = PendingProductPurchase::from_receipt(process, rust::receipt(receipt));
        pending.use_credit(&locker) == Ok(HookAnswer::Applied)
    }

    fn close(&self) {
        let _ = self.store.close();
    }

    fn is_closed(&self) -> bool {
        self.store.is_closed() == Ok(true)
    }

    fn drain(&self, timeout: f64) -> bool {
        let Ok(report) = self.store.drain(timeout) else {
            return false;
        };
        self.poll();
        report.unsaved.is_empty() && report.unsent.is_empty()
    }
}

impl Drop for EasyHost {
    fn drop(&mut self) {
        // The store's hooks know the profiles, and these keep the store.
        let seats = std::mem::take(&mut self.seats.lock().0);
        drop(seats);
    }
}
