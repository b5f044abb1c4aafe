//! What the code of a game's host does with its server: in its frame loop, and from inside hooks.

use std::sync::Arc;

use crate::chance::Chance;
use crate::game::NEWER_KIND;
use crate::ids::{Key, PurchaseId, ServerId, SessionId, Token, WaitId};
use crate::inside;
use crate::ledger::Way;
use crate::server::{Receipt, Server, Status};
use crate::world::World;

/// A server, and the code that calls it.
#[derive(Clone)]
pub struct Host {
    pub id: ServerId,
    world: Arc<World>,
    server: Arc<dyn Server>,
}

impl Host {
    pub fn new(id: ServerId, world: &Arc<World>, server: Arc<dyn Server>) -> Self {
        let world = Arc::clone(world);
        Self { id, world, server }
    }

    fn note(&self, line: impl FnOnce() -> String) {
        self.world.note(|| format!("{}: {}", self.id, line()));
    }

    /// Makes a call to the server.
    fn call<R>(&self, call: impl FnOnce(&dyn Server) -> R) -> R {
        inside::call(self.id, || call(&*self.server))
    }

    pub fn update(&self, now: f64) -> bool {
        self.note(|| format!("update at {now:.3}"));
        self.call(|server| server.update(now))
    }

    pub fn start(&self, key: Key, reusable: bool) {
        let session = self.world.ledger(|ledger| ledger.new_session(self.id, key));
        let is_started = self.call(|server| server.start(session, key, reusable));
        self.note(|| format!("start {session} of {key}, reusable {reusable}: {is_started}"));
        if !is_started {
            self.world.ledger(|ledger| ledger.start_refused(session));
        }
    }

    pub fn end(&self, session: SessionId) {
        self.note(|| format!("end {session}"));
        self.world.ledger(|ledger| ledger.ended(session));
        self.call(|server| server.end(session));
    }

    /// Wants an ended session again. False: that cannot be said.
    pub fn want_again(&self, session: SessionId) -> bool {
        let is_wanted = self.call(|server| server.want_again(session));
        if is_wanted {
            self.note(|| format!("want {session} again"));
            self.world.ledger(|ledger| ledger.asked_anew(session));
        }
        is_wanted
    }

    pub fn destroy(&self, session: SessionId) {
        self.note(|| format!("destroy {session}"));
        self.world.ledger(|ledger| ledger.destroyed(session));
        self.call(|server| server.destroy(session));
    }

    pub fn status(&self, session: SessionId) -> Status {
        self.call(|server| server.status(session))
    }

    pub fn is_available(&self, session: SessionId) -> bool {
        self.call(|server| server.is_available(session))
    }

    pub fn shares_lockers(&self) -> bool {
        self.server.shares_lockers()
    }

    /// Appends a change of the player's. None: refused.
    pub fn change(&self, session: SessionId) -> Option<Token> {
        let key = self.world.ledger(|ledger| ledger.key_of(session));
        let token = self.world.ledger(|ledger| ledger.new_token(self.id, key));
        let written = self.call(|server| {
            server.with_document(session, &mut |document| {
                document.append("/Log", token.0.into())
            })
        });
        self.note(|| format!("{token} into {session} of {key}: {written:?}"));
        if written.is_err() {
            self.world.ledger(|ledger| ledger.undone(token));
        }
        written.ok().map(|()| token)
    }

    pub fn mark(&self, session: SessionId, force: bool) {
        self.note(|| format!("mark {session}, force {force}"));
        self.call(|server| server.mark(session, force));
    }

    /// Waits for all that the session was changed by so far: by this token, if it has just been.
    pub fn wait(&self, session: SessionId, token: Option<Token>) {
        let wait = self.world.ledger(|ledger| ledger.new_wait(session, token));
        let is_taken = self.call(|server| server.wait(session, wait));
        self.note(|| format!("{wait} for {session}: {is_taken}"));
        if !is_taken {
            self.world.ledger(|ledger| ledger.wait_refused(wait));
        }
    }

    /// Waits inside the library, as [`Server::wait_inside`] does.
    pub fn wait_inside(&self, session: SessionId, seconds: f64) {
        self.note(|| format!("waits inside for {session}, {seconds:.3} s at most"));
        let answer = self.call(|server| server.wait_inside(session, seconds));
        self.note(|| format!("the wait inside for {session} is over: {answer:?}"));
        if let Some(answer) = answer {
            self.world.ledger(|ledger| {
                let wait = ledger.new_wait(session, None);
                ledger.saved(wait, answer);
            });
        }
    }

    pub fn give_up(&self, wait: WaitId) {
        let is_given_up = self.call(|server| server.give_up(wait));
        self.note(|| format!("give up {wait}: {is_given_up}"));
        if is_given_up {
            self.world.ledger(|ledger| ledger.given_up(wait));
        }
    }

    pub fn set_save_hook(&self, session: SessionId, transform: bool, on: bool) {
        self.note(|| format!("hook before saves of {session}, transform {transform}: {on}"));
        self.call(|server| server.set_save_hook(session, transform, on));
    }

    /// Sends a few remote changes.
    pub fn send(&self, key: Key, chance: &mut Chance) {
        let count = 1 + chance.below(3);
        let operation = chance.comes(0.3);
        let (send, numbers, operation) = self
            .world
            .ledger(|ledger| ledger.new_send(self.id, key, count, operation));
        let kind = match chance.comes(0.15) {
            true => NEWER_KIND,
            false => "gift",
        };
        let changes = numbers
            .iter()
            .map(|number| format!(r#"{{"K":"{kind}","N":{}}}"#, number.0));
        let json = format!("[{}]", changes.collect::<Vec<_>>().join(","));
        self.world.ledger(|ledger| ledger.set_json(send, &json));
        let operation = operation.map(|number| format!("operation {number}"));
        let is_taken = self.call(|server| server.send(send, key, &json, operation.as_deref()));
        self.note(|| format!("{send} to {key} as {operation:?}: {json}: {is_taken}"));
        if !is_taken {
            self.world.ledger(|ledger| ledger.send_refused(send));
        }
    }

    /// Sends again what was sent under an operation id, perhaps by another server.
    pub fn send_again(&self, chance: &mut Chance) {
        let again = self
            .world
            .ledger(|ledger| ledger.send_again(self.id, chance));
        let Some((send, key, json, operation)) = again else {
            return;
        };
        let operation = format!("operation {operation}");
        let is_taken = self.call(|server| server.send(send, key, &json, Some(&operation)));
        self.note(|| format!("{send} to {key} again as {operation}: {json}: {is_taken}"));
        if !is_taken {
            self.world.ledger(|ledger| ledger.send_refused(send));
        }
    }

    /// Brings the receipt of a purchase.
    pub fn buy(&self, session: SessionId, purchase: PurchaseId) {
        let ask = self
            .world
            .ledger(|ledger| ledger.new_ask(session, purchase));
        let is_taken = self.call(|server| server.buy(session, ask, receipt(purchase)));
        self.note(|| format!("{ask} for {purchase} of {session}: {is_taken}"));
        if !is_taken {
            self.world.ledger(|ledger| ledger.ask_refused(ask));
        }
    }

    /// Gives a credit that nobody has paid for.
    pub fn give_credit(&self, session: SessionId, purchase: PurchaseId) {
        let product = receipt(purchase).product;
        let is_given = self.call(|server| server.give_credit(session, product));
        self.note(|| format!("credit for {purchase} to {session}: {is_given}"));
        if is_given {
            self.world
                .ledger(|ledger| ledger.purchases[purchase.index()].is_asked = true);
        }
    }

    /// Gives a product for its credit.
    pub fn use_credit(&self, session: SessionId, purchase: PurchaseId) -> bool {
        let begin = |is_used| {
            self.world
                .ledger(|ledger| ledger.purchases[purchase.index()].is_used = is_used);
        };
        begin(true);
        let is_given = self.call(|server| server.use_credit(session, receipt(purchase)));
        begin(false);
        self.note(|| format!("use credit for {purchase} of {session}: {is_given}"));
        is_given
    }

    pub fn close(&self) {
        self.note(|| "close".to_owned());
        self.world.ledger(|ledger| ledger.closed(self.id));
        self.call(|server| server.close());
    }

    pub fn is_closed(&self) -> bool {
        self.call(|server| server.is_closed())
    }

    pub fn drain(&self, timeout: f64) -> bool {
        self.note(|| format!("drain for {timeout:.3} s"));
        self.world.ledger(|ledger| ledger.closed(self.id));
        let is_done = self.call(|server| server.drain(timeout));
        self.note(|| format!("drained: {is_done}"));
        is_done
    }

    /// Looks for what stands in the live document twice.
    pub fn inspect(&self, session: SessionId) {
        let mut found = None;
        let _ = self.call(|server| {
            server.with_document(session, &mut |document| {
                for (law, place) in [(2, "/Log"), (5, "/Effects"), (6, "/Applied")] {
                    let mut numbers = document.numbers(place);
                    numbers.sort_unstable();
                    if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
                        found = Some((law, format!("{} stands twice in {place}", twice[0])));
                    }
                }
                Ok(())
            })
        });
        if let Some((law, what)) = found {
            let server = self.id;
            self.world
                .breaks(law, || format!("in {session} of {server}: {what}"));
        }
    }

    /// What a hook may do with its server, for the save data of `key`: everything, while no lock is
    /// held. An update is refused.
    pub fn meddle(&self, key: &str, restorable: bool, chance: &mut Chance) {
        self.note(|| "the hook calls back".to_owned());
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(self.id));
        let session = chance.pick(&sessions).copied();
        match (chance.below(10), session) {
            (0, _) => {
                let key = Key(chance.below(self.world.keys()) as u8);
                self.start(key, chance.comes(0.5));
            }
            (1, _) => {
                let key = Key(chance.below(self.world.keys()) as u8);
                self.send(key, chance);
            }
            (2, _) if !key.is_empty() => {
                if self.update(0.0) {
                    let server = self.id;
                    self.world
                        .breaks(10, || format!("{server} has updated inside its own hook"));
                }
            }
            (3, Some(session)) => self.mark(session, chance.comes(0.5)),
            (4, Some(session)) => self.end(session),
            (5, Some(session)) if !key.is_empty() => self.write_elsewhere(session, key, restorable),
            (6, Some(session)) => {
                let key = self.world.ledger(|ledger| ledger.key_of(session));
                let purchase = self.world.ledger(|ledger| ledger.any_receipt(key, chance));
                if let Some(purchase) = purchase {
                    self.buy(session, purchase);
                }
            }
            (7, _) => {
                // Inside an answer, one that is still to come may be missed.
                if self.is_closed() {
                    self.world.ledger(|ledger| ledger.check_answered(self.id));
                }
            }
            (_, Some(session)) => {
                self.status(session);
                self.is_available(session);
            }
            (_, None) => {}
        }
    }

    /// Gives a credit of its own inside a hook that is going to fail.
    pub fn give_credit_in_vain(&self, key: Key) {
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(self.id));
        let is_owner = |session: &&SessionId| {
            self.world.ledger(|ledger| ledger.key_of(**session)) == key
                && self.is_available(**session)
        };
        let Some(session) = sessions.iter().find(is_owner) else {
            return;
        };
        let purchase = self.world.ledger(|ledger| {
            let purchase = ledger.new_purchase(Way::Given, key, key);
            ledger.purchases[purchase.index()].is_undone = true;
            purchase
        });
        self.give_credit(*session, purchase);
    }

    /// Writes to another document than the hook's own.
    fn write_elsewhere(&self, session: SessionId, key: &str, restorable: bool) {
        let other = self.world.ledger(|ledger| ledger.key_of(session));
        if other.name() != key && self.change(session).is_some() && restorable {
            let server = self.id;
            self.world.breaks(9, || {
                format!("a hook for {key} on {server} has written to {other}, and cannot be undone")
            });
        }
    }
}

/// The receipt of a purchase.
pub fn receipt(purchase: PurchaseId) -> Receipt {
    let product = i64::from(purchase.0);
    Receipt { purchase, product }
}
