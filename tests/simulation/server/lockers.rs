//! A host of the full API: a spec with a locker for each session, a purchaser and a sender, each of
//! which it updates by itself.

use std::sync::Arc;

use parking_lot::Mutex;
use session_locker::locker::{
    Event, HookAnswer, Lifecycle, Locker, LockerHooks, LockerId, LockerRef, LockerSpec, Reason,
    SharedSaveData,
};
use session_locker::purchaser::{PendingProductPurchase, ProductPurchaser};
use session_locker::remote_change::{RemoteChangeSender, SenderOptions};
use session_locker::save_data::{RemoteChange, SaveData};
use session_locker::storage::Storage;

use super::rust_hooks::{self as rust, Draft, Live, Process, Waits, done};
use super::{Document, Heard, Receipt, Server, Setup, Status, WaitAnswer};
use crate::clock::ServerClock;
use crate::game::Game;
use crate::ids::{AskId, Key, SendId, SessionId, WaitId};
use crate::inside::{self, Role};

/// Keeps the sender's seed from the spec's.
const SENDER: u64 = 0x5e4d;

/// See the module's page.
pub struct LockerHost {
    // In the order in which they are to go.
    sender: RemoteChangeSender,
    purchaser: ProductPurchaser,
    seats: Arc<Mutex<Seats>>,
    spec: LockerSpec,
    game: Arc<Game>,
    clock: Arc<ServerClock>,
    is_closed: Mutex<bool>,
    waits: Arc<Mutex<Waits>>,
}

/// The lockers that the host has, by the names it knows them under.
#[derive(Default)]
struct Seats(Vec<Seat>);

struct Seat {
    session: SessionId,
    key: Key,
    locker: Locker,
    is_wanted: bool,
}

impl Seats {
    fn find(&self, session: SessionId) -> Option<&Seat> {
        self.0.iter().find(|seat| seat.session == session)
    }

    fn of(&self, locker: LockerId) -> Option<&Seat> {
        self.0.iter().find(|seat| seat.locker.id() == locker)
    }
}

/// What the spec calls.
struct Hooks {
    game: Arc<Game>,
    seats: Arc<Mutex<Seats>>,
    waits: Arc<Mutex<Waits>>,
    receives: bool,
    merges: bool,
    has_save_hook: bool,
}

impl LockerHooks for Hooks {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        rust::create(&self.game, key)
    }

    fn before_save(&self, locker: LockerId, transform: bool) -> Result<(), String> {
        let seats = self.seats.lock();
        let seat = seats
            .of(locker)
            .map(|seat| (seat.key, Arc::clone(seat.locker.save_data())));
        drop(seats);
        let Some((key, data)) = seat else {
            return Ok(());
        };
        done(
            self.game
                .before_save(key.name(), transform, &mut Live(&data)),
        )
    }

    fn has_before_save(&self) -> bool {
        self.has_save_hook
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

    fn event(&self, locker: LockerId, _: &Arc<str>, event: &Event) {
        let session = self.seats.lock().of(locker).map(|seat| seat.session);
        if let Some(session) = session {
            hear(&self.game, &self.waits, session, event);
        }
    }
}

fn hear(game: &Game, waits: &Mutex<Waits>, session: SessionId, event: &Event) {
    if let Event::ChangesSaved(connection, outcome) = event {
        let wait = waits.lock().answered_in_vain(connection);
        if let Some(wait) = wait {
            game.saved(wait, rust::saved(*outcome));
        }
    }
    let heard = match event {
        Event::Lifecycle(Lifecycle::Replaced(Reason::Loaded)) => Heard::Loaded,
        Event::Lifecycle(Lifecycle::Replaced(_)) => Heard::Reset,
        Event::Lifecycle(Lifecycle::Saved) => Heard::Saved,
        Event::Lost(data) => Heard::Lost {
            lock_id: rust::lock_id(data),
        },
        Event::Error(_) => Heard::Error,
        Event::ProductCreditChanged { product_id, change } => Heard::Credit {
            product: *product_id,
            change: *change,
        },
        _ => return,
    };
    game.heard(session, heard);
}

impl LockerHost {
    pub fn new(setup: Setup) -> Self {
        let seats = Arc::<Mutex<Seats>>::default();
        let waits = Arc::<Mutex<Waits>>::default();
        let hooks = Hooks {
            game: Arc::clone(&setup.game),
            seats: Arc::clone(&seats),
            waits: Arc::clone(&waits),
            receives: setup.receives,
            merges: setup.merges,
            has_save_hook: setup.has_save_hook,
        };
        let storage = Arc::clone(&setup.link) as Arc<dyn Storage>;
        let spec = LockerSpec::new(storage, rust::options(&setup), Box::new(hooks));
        let spec = spec.expect("a configuration that works");
        let options = SenderOptions {
            create_if_missing: setup.creates_by_hook,
            ..SenderOptions::new(setup.seed ^ SENDER)
        };
        Self {
            sender: RemoteChangeSender::new(&spec, options).expect("a sender"),
            purchaser: ProductPurchaser::new(),
            seats,
            spec,
            game: setup.game,
            clock: setup.clock,
            is_closed: Mutex::new(false),
            waits,
        }
    }

    fn locker(&self, session: SessionId) -> Option<Locker> {
        let seats = self.seats.lock();
        seats.find(session).map(|seat| seat.locker.clone())
    }

    /// Updates one locker; it is deleted once it is idle and not wanted. False: refused.
    fn update_one(&self, session: SessionId, now: f64) -> bool {
        let Some(locker) = self.locker(session) else {
            return true;
        };
        let update = || locker.update(now);
        let Ok(is_idle) = inside::acting(Role::Session(session), update) else {
            return false;
        };
        self.poll(session, &locker);
        let is_wanted = self
            .seats
            .lock()
            .find(session)
            .is_none_or(|seat| seat.is_wanted);
        if is_idle && !is_wanted && locker.mark_deleted().is_ok() {
            self.poll(session, &locker);
            self.game.heard(session, Heard::Ended);
            self.game.heard(session, Heard::Finished);
            self.forget(session);
        }
        true
    }

    fn poll(&self, session: SessionId, locker: &Locker) {
        for event in locker.poll_events(usize::MAX) {
            hear(&self.game, &self.waits, session, &event);
        }
    }

    fn forget(&self, session: SessionId) {
        let mut seats = self.seats.lock();
        let place = seats.0.iter().position(|seat| seat.session == session);
        let gone = place.map(|place| seats.0.remove(place));
        drop(seats);
        drop(gone);
    }

    fn sessions(&self) -> Vec<SessionId> {
        let seats = self.seats.lock();
        seats.0.iter().map(|seat| seat.session).collect()
    }

    fn set_wanted(&self, session: SessionId, is_wanted: bool) -> Option<Locker> {
        let mut seats = self.seats.lock();
        let seat = seats.0.iter_mut().find(|seat| seat.session == session)?;
        seat.is_wanted = is_wanted;
        Some(seat.locker.clone())
    }

    fn process(&self, receipt: Receipt) -> Process<impl Fn(Key) -> Option<LockerRef> + use<>> {
        let seats = Arc::downgrade(&self.seats);
        Process {
            game: Arc::clone(&self.game),
            receipt,
            find: move |key| {
                let seats = seats.upgrade()?;
                let seats = seats.lock();
                let mut of_key = seats
                    .0
                    .iter()
                    .filter(|seat| seat.key == key && seat.is_wanted);
                let locker = of_key.next()?.locker.clone();
                drop(seats);
                locker.to_ref().ok()
            },
        }
    }
}

impl Server for LockerHost {
    fn update(&self, now: f64) -> bool {
        let _ = self.purchaser.update(now);
        for session in self.sessions() {
            if !self.update_one(session, now) {
                return false;
            }
        }
        let _ = self.purchaser.update(now);
        inside::acting(Role::Sender, || self.sender.update(now)).is_ok()
    }

    fn start(&self, session: SessionId, key: Key, _: bool) -> bool {
        if *self.is_closed.lock() {
            return false;
        }
        let Ok(locker) = self.spec.create_locker(key.name(), &[key.name()]) else {
            return false;
        };
        let wanted = locker.mark_should_acquire();
        let seat = Seat {
            session,
            key,
            locker,
            is_wanted: true,
        };
        self.seats.lock().0.push(seat);
        wanted.is_ok()
    }

    fn end(&self, session: SessionId) {
        if let Some(locker) = self.set_wanted(session, false) {
            let _ = locker.mark_should_release();
        }
    }

    fn want_again(&self, session: SessionId) -> bool {
        if *self.is_closed.lock() {
            return false;
        }
        let locker = self.set_wanted(session, true);
        locker.is_some_and(|locker| locker.mark_should_acquire().is_ok())
    }

    fn destroy(&self, session: SessionId) {
        // A locker is deleted when it is idle.
        self.end(session);
    }

    fn status(&self, session: SessionId) -> Status {
        let status = self
            .locker(session)
            .and_then(|locker| locker.load_status().ok());
        status.map_or(Status::Gone, rust::status)
    }

    fn is_available(&self, session: SessionId) -> bool {
        let locker = self.locker(session);
        locker.is_some_and(|locker| locker.is_available() == Ok(true))
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
        work(&mut Live(locker.save_data()))
    }

    fn mark(&self, session: SessionId, force: bool) {
        if let Some(locker) = self.locker(session) {
            let _ = match force {
                true => locker.mark_force_save(),
                false => locker.mark_should_save(),
            };
        }
    }

    fn wait(&self, session: SessionId, wait: WaitId) -> bool {
        let game = Arc::clone(&self.game);
        let answer = move |outcome| game.saved(wait, rust::saved(outcome));
        let Some(locker) = self.locker(session) else {
            return false;
        };
        let Ok(connection) = locker.when_changes_saved(Some(Box::new(answer))) else {
            return false;
        };
        self.waits.lock().add(wait, connection);
        true
    }

    fn give_up(&self, wait: WaitId) -> bool {
        self.waits.lock().give_up(wait)
    }

    fn wait_inside(&self, session: SessionId, seconds: f64) -> Option<WaitAnswer> {
        // There is no wait for a locker to be loaded.
        let locker = self.locker(session)?;
        let outcome = locker.wait_until_changes_saved(seconds).ok().flatten();
        outcome.map(rust::saved)
    }

    fn set_save_hook(&self, _: SessionId, _: bool, _: bool) {}

    fn send(&self, send: SendId, key: Key, changes: &str, operation: Option<&str>) -> bool {
        let game = Arc::clone(&self.game);
        let answer = move |_, outcome| game.sent(send, rust::sent(outcome));
        let answer = Some(Box::new(answer) as _);
        let is_open = !*self.is_closed.lock();
        is_open
            && self
                .sender
                .send(key.name(), changes, operation, answer)
                .is_ok()
    }

    fn buy(&self, session: SessionId, ask: AskId, receipt: Receipt) -> bool {
        let Some(locker) = self.locker(session) else {
            return false;
        };
        let game = Arc::clone(&self.game);
        let answer = move |is_granted| game.purchased(ask, is_granted);
        let asked = self.purchaser.call_when_product_is_processed_and_saved(
            &locker,
            Arc::new(self.process(receipt)),
            rust::receipt(receipt),
            Some(Box::new(answer)),
        );
        asked.is_ok()
    }

    fn give_credit(&self, session: SessionId, product: i64) -> bool {
        let locker = self.locker(session);
        locker.is_some_and(|locker| locker.give_product_credit(product, 1).is_ok())
    }

    fn use_credit(&self, session: SessionId, receipt: Receipt) -> bool {
        let locker = self.locker(session);
        let Some(locker) = locker.and_then(|locker| locker.to_ref().ok()) else {
            return false;
        };
        let process = Arc::new(self.process(receipt));
        let pending = PendingProductPurchase::from_receipt(process, rust::receipt(receipt));
        pending.use_credit(&locker) == Ok(HookAnswer::Applied)
    }

    fn close(&self) {
        *self.is_closed.lock() = true;
        for session in self.sessions() {
            self.end(session);
        }
    }

    fn is_closed(&self) -> bool {
        let is_idle = self.seats.lock().0.is_empty();
        let is_answered = !self.purchaser.has_incomplete_purchases();
        *self.is_closed.lock() && is_idle && is_answered && self.sender.is_sending() == Ok(false)
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

impl Drop for LockerHost {
    fn drop(&mut self) {
        let _ = self.sender.close();
        self.purchaser.destroy();
        // The hooks of the spec know the seats, and the lockers in them keep the spec.
        let seats = std::mem::take(&mut self.seats.lock().0);
        drop(seats);
    }
}
