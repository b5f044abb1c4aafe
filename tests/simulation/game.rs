//! The game of one server: its hooks, whatever API calls them, and who hears what the library has to
//! tell. Hooks write and then fail, panic, and call the server back, as often as the seed wants it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::chance::Chance;
use crate::document::{Entry, TEMPLATES};
use crate::host::Host;
use crate::ids::{AskId, Key, PurchaseId, RemoteId, SendId, ServerId, SessionId, WaitId};
use crate::inside;
use crate::ledger::{Ledger, Way};
use crate::plan::Habits;
use crate::server::{Document, Failure, Heard, SendAnswer, Server, Verdict, WaitAnswer};
use crate::world::World;

/// A kind of remote change that only newer servers know.
pub const NEWER_KIND: &str = "newer";

/// See the module's page.
pub struct Game {
    pub server: ServerId,
    world: Arc<World>,
    version: u32,
    habits: Habits,
    chance: Mutex<Chance>,
    /// Hooks do not fail any more.
    is_well: AtomicBool,
    host: OnceLock<Weak<dyn Server>>,
}

/// What a hook comes to.
enum Turn {
    Does,
    /// It writes, and gives up.
    GivesUp(Failure),
    /// It writes, and then says that it does not apply.
    Refuses,
}

type Written = Result<(), String>;

impl Game {
    pub fn new(
        world: &Arc<World>,
        server: ServerId,
        version: u32,
        habits: Habits,
        chance: Chance,
    ) -> Arc<Self> {
        Arc::new(Self {
            server,
            world: Arc::clone(world),
            version,
            habits,
            chance: Mutex::new(chance),
            is_well: AtomicBool::new(false),
            host: OnceLock::new(),
        })
    }

    /// Says whom hooks call back.
    pub fn set_host(&self, host: &Arc<dyn Server>) {
        let _ = self.host.set(Arc::downgrade(host));
    }

    /// From now on hooks do what they are to do.
    pub fn recover(&self) {
        self.is_well.store(true, Ordering::Relaxed);
    }

    /// Makes a new document: the player's fields as JSON.
    pub fn create(&self, key: &str) -> Result<&'static str, Failure> {
        self.enter("create", key);
        self.meddle("", false);
        match self.turn(false) {
            Turn::GivesUp(failure) => Err(failure),
            _ => Ok(TEMPLATES[self.version as usize - 1]),
        }
    }

    /// Brings a document from version 1 to 2. Depends on the document alone, unless it fails.
    pub fn migrate(&self, document: &mut dyn Document) -> Result<(), Failure> {
        self.enter("migrate", "");
        let written = document.add("/Migrated", 1);
        match self.turn(false) {
            Turn::GivesUp(failure) => Err(failure),
            _ => written.map_err(|_| Failure { panics: false }),
        }
    }

    /// Runs before a save, and writes a change of its own into it.
    pub fn before_save(
        &self,
        key: &str,
        transform: bool,
        document: &mut dyn Document,
    ) -> Result<(), Failure> {
        let name = match transform {
            true => "before save, transform",
            false => "before save",
        };
        self.enter(name, key);
        let turn = match self.habits.saves_fail_for_ever {
            true => Turn::GivesUp(Failure { panics: false }),
            false => self.turn(false),
        };
        let written = self.write_token(Key::of(key), document, &turn);
        self.give_in_vain(Key::of(key), &turn);
        self.meddle(key, false);
        match turn {
            Turn::GivesUp(failure) => Err(failure),
            _ => written.map_err(|_| Failure { panics: false }),
        }
    }

    /// Applies a remote change; false: it is not applicable.
    pub fn remote_change(
        &self,
        key: &str,
        json: &str,
        document: &mut dyn Document,
    ) -> Result<bool, Failure> {
        self.enter("remote change", key);
        let Ok(Entry { number }) = serde_json::from_str(json) else {
            self.world.breaks(5, || format!("{json} was never sent"));
            return Ok(false);
        };
        let key_id = Key::of(key);
        let remote = RemoteId(number);
        let is_known = self.version > 1 || !json.contains(NEWER_KIND);
        let has_it = document.numbers("/Effects").contains(&u64::from(number));
        self.world.ledger(|ledger| {
            ledger.offered(remote, key_id);
            if has_it {
                ledger.breaks(5, || format!("{remote} is offered to {key} once more"));
            }
        });
        let turn = match (self.turn(true), is_known) {
            (Turn::Does, false) => Turn::Refuses,
            (turn, _) => turn,
        };
        let written = document.append("/Effects", number.into());
        let noted = self.write_token(key_id, document, &turn);
        self.give_in_vain(key_id, &turn);
        self.meddle(key, true);
        let applied = self.end_turn(turn, written.and(noted));
        let outcome = match applied {
            Ok(true) => "applied",
            Ok(false) => "not applicable",
            Err(_) => "failed",
        };
        self.note(|| format!("{remote} at {key}: {outcome}"));
        applied
    }

    /// Takes over what was written before the load: as changes of this server's own.
    pub fn merge(
        &self,
        key: &str,
        offline: &mut dyn Document,
        document: &mut dyn Document,
    ) -> Result<(), Failure> {
        self.enter("merge", key);
        let turn = self.turn(false);
        let mut written = Ok(());
        for _ in offline.numbers("/Log") {
            written = written.and(self.write_token(Key::of(key), document, &turn));
        }
        self.meddle(key, true);
        self.end_turn(turn, written).map(|_| ())
    }

    /// Says what can be done with a purchase.
    pub fn validate(&self, purchase: PurchaseId) -> Result<Verdict, Failure> {
        let (way, buyer, recipient) = self.parties(purchase);
        self.enter("validate", buyer.name());
        let is_put_off = self.is_ill() && self.chance.lock().comes(self.habits.puts_off);
        match self.turn(false) {
            Turn::GivesUp(failure) => return Err(failure),
            _ if is_put_off => return Ok(Verdict::NotNow),
            _ => {}
        }
        Ok(match way {
            // Once it is credit, it is given for that.
            Way::Credited if !self.is_credit(purchase) => Verdict::NotApplicable,
            Way::Own | Way::Refused | Way::Given | Way::Credited => Verdict::Own,
            Way::Gift | Way::RefusedGift => Verdict::Gift(recipient),
        })
    }

    /// Applies a purchase to the recipient; false: it is not applicable.
    pub fn apply(
        &self,
        purchase: PurchaseId,
        document: &mut dyn Document,
    ) -> Result<bool, Failure> {
        let (way, _, recipient) = self.parties(purchase);
        self.enter("apply", recipient.name());
        let number = u64::from(purchase.0);
        if document.numbers("/Applied").contains(&number) {
            self.world
                .breaks(6, || format!("{purchase} is applied to {recipient} again"));
        }
        let is_refused = match way {
            Way::Refused => !self.is_credit(purchase),
            Way::RefusedGift => self.is_ill(),
            _ => false,
        };
        let turn = match (self.turn(false), is_refused) {
            (Turn::Does, true) => Turn::Refuses,
            (turn, _) => turn,
        };
        let written = document.append("/Applied", number);
        let noted = self.write_token(recipient, document, &turn);
        self.give_in_vain(recipient, &turn);
        self.meddle(recipient.name(), true);
        let applied = self.end_turn(turn, written.and(noted));
        self.note(|| format!("{purchase} is applied to {recipient}: {applied:?}"));
        applied
    }

    /// Notes a purchase in the purchaser's save data; every other one writes nothing there.
    pub fn record(&self, purchase: PurchaseId, document: &mut dyn Document) -> Result<(), Failure> {
        let (_, buyer, _) = self.parties(purchase);
        self.enter("record", buyer.name());
        if purchase.0 % 2 == 1 {
            return Ok(());
        }
        let written = document.append("/Recorded", purchase.0.into());
        let turn = self.turn(false);
        let noted = self.write_token(buyer, document, &turn);
        self.end_turn(turn, written.and(noted)).map(|_| ())
    }

    /// A wait for changes is answered.
    pub fn saved(&self, wait: WaitId, outcome: WaitAnswer) {
        self.check_inside(|| format!("the answer to {wait}"));
        self.note(|| format!("{wait} is answered: {outcome:?}"));
        self.world.ledger(|ledger| ledger.saved(wait, outcome));
        self.meddle("", false);
    }

    /// A send is answered.
    pub fn sent(&self, send: SendId, outcome: SendAnswer) {
        self.check_inside(|| format!("the answer to {send}"));
        self.note(|| format!("{send} is answered: {outcome:?}"));
        self.world.ledger(|ledger| ledger.sent(send, outcome));
        self.meddle("", false);
    }

    /// A purchase is answered.
    pub fn purchased(&self, ask: AskId, is_granted: bool) {
        self.check_inside(|| format!("the answer to {ask}"));
        self.note(|| format!("{ask} is answered: granted {is_granted}"));
        self.world
            .ledger(|ledger| ledger.purchased(ask, is_granted));
        self.meddle("", false);
    }

    /// A session tells something.
    pub fn heard(&self, session: SessionId, heard: Heard) {
        self.check_inside(|| format!("{heard:?}"));
        self.note(|| format!("{session} tells: {heard:?}"));
        self.world.ledger(|ledger| ledger.heard(session, heard));
    }

    fn note(&self, line: impl FnOnce() -> String) {
        self.world.note(|| format!("{}: {}", self.server, line()));
    }

    fn is_ill(&self) -> bool {
        !self.is_well.load(Ordering::Relaxed)
    }

    /// Law 10.
    fn check_inside(&self, what: impl FnOnce() -> String) {
        if !inside::is_in(self.server) {
            let server = self.server;
            self.world.breaks(10, || {
                format!("{} came outside of a call to {server}", what())
            });
        }
    }

    fn enter(&self, hook: &str, key: &str) {
        self.check_inside(|| format!("hook {hook}"));
        self.note(|| format!("hook {hook} for {key}"));
        self.world.ledger(|ledger| ledger.counts.hooks += 1);
    }

    fn parties(&self, purchase: PurchaseId) -> (Way, Key, Key) {
        self.world.ledger(|ledger| {
            let purchase = &ledger.purchases[purchase.index()];
            (purchase.way, purchase.buyer, purchase.recipient)
        })
    }

    /// Whether a credit is being used for it.
    fn is_credit(&self, purchase: PurchaseId) -> bool {
        self.world
            .ledger(|ledger| ledger.purchases[purchase.index()].is_used)
    }

    fn turn(&self, may_refuse: bool) -> Turn {
        let mut chance = self.chance.lock();
        if !self.is_ill() || !chance.comes(self.habits.hooks_fail) {
            return Turn::Does;
        }
        if may_refuse && chance.comes(0.4) {
            return Turn::Refuses;
        }
        drop(chance);
        self.world.ledger(|ledger| ledger.counts.hook_failures += 1);
        let panics = self.chance.lock().comes(self.habits.failing_panics);
        Turn::GivesUp(Failure { panics })
    }

    fn end_turn(&self, turn: Turn, written: Written) -> Result<bool, Failure> {
        match turn {
            Turn::GivesUp(failure) => Err(failure),
            Turn::Refuses => Ok(false),
            Turn::Does => written
                .map(|()| true)
                .map_err(|_| Failure { panics: false }),
        }
    }

    /// Writes a change of the hook's own, which stays only if the hook does what it is to do.
    fn write_token(&self, key: Key, document: &mut dyn Document, turn: &Turn) -> Written {
        if matches!(turn, Turn::Does) && self.chance.lock().comes(0.7) {
            return Ok(());
        }
        let token = self
            .world
            .ledger(|ledger: &mut Ledger| ledger.new_token(self.server, key));
        let written = document.append("/Log", token.0.into());
        if written.is_err() || !matches!(turn, Turn::Does) {
            self.world.ledger(|ledger| ledger.undone(token));
        }
        written
    }

    /// Gives the player a credit, which goes with everything else that the hook has done in vain.
    fn give_in_vain(&self, key: Key, turn: &Turn) {
        if matches!(turn, Turn::Does) || !self.chance.lock().comes(self.habits.hooks_meddle) {
            return;
        }
        if let Some(host) = self.host() {
            host.give_credit_in_vain(key);
        }
    }

    fn host(&self) -> Option<Host> {
        let server = self.host.get().and_then(Weak::upgrade)?;
        Some(Host::new(self.server, &self.world, server))
    }

    /// Calls the server back, which must have no lock held. `restorable`: this is inside a hook that
    /// may write to no other document than its own.
    fn meddle(&self, key: &str, restorable: bool) {
        let mut chance = self.chance.lock();
        if !self.is_ill() || !chance.comes(self.habits.hooks_meddle) {
            return;
        }
        let mut chance = chance.fork();
        if let Some(host) = self.host() {
            host.meddle(key, restorable, &mut chance);
        }
    }
}
