//! The end of a simulation: nothing goes wrong any more, and everything must come to rest and be right.

use std::sync::atomic::Ordering;

use crate::ids::{Key, PurchaseId, SessionId};
use crate::ledger::Way;
use crate::server::{Kind, Status};
use crate::simulation::Simulation;

impl Simulation {
    pub(crate) fn wind_up(&mut self) {
        self.heal();
        if !self.run_until(3, "has settled", Self::has_settled) {
            return;
        }
        self.close_all();
        if self.world.broken().is_some() {
            return;
        }
        self.check_last();
    }

    fn heal(&mut self) {
        self.world.note(|| "all is well from now on".to_owned());
        // Time passes faster now.
        self.world.ledger(|ledger| ledger.is_calm = false);
        self.store.heal();
        self.plan.stalls = 0.0;
        self.plan.waits = 0.0;
        for running in &self.hosts {
            running.game.recover();
        }
        for index in 0..self.plan.keys {
            let key = Key(index as u8);
            if self.is_foreign(key) {
                let text = self.mended();
                self.store.put(key, Some(text));
            }
        }
    }

    /// Updates all servers until it is done.
    fn run_until(&mut self, law: u32, what: &str, is_done: impl Fn(&Self) -> bool) -> bool {
        let patience = self.patience();
        self.run_within(patience, law, what, is_done)
    }

    /// Leases, retries and watching, one after the other, take no longer.
    fn patience(&self) -> f64 {
        let settings = self.plan.settings;
        let expiry = settings.session_expiry * self.plan.expiry_factor;
        3.0 * (expiry + settings.clock_tolerance)
            + 10.0 * (settings.session_retry_ceiling + settings.request_timeout)
    }

    fn run_within(
        &mut self,
        patience: f64,
        law: u32,
        what: &str,
        is_done: impl Fn(&Self) -> bool,
    ) -> bool {
        let end = self.world.now.get() + patience;
        while !is_done(self) {
            if self.world.broken().is_some() {
                return false;
            }
            if self.world.now.get() > end {
                self.world.breaks(law, || {
                    format!("after {patience:.0} s something never {what}")
                });
                return false;
            }
            let seconds = self.chance.between(0.05, 2.0);
            self.store.advance(seconds);
            self.world.step.fetch_add(1, Ordering::Relaxed);
            for index in 0..self.hosts.len() {
                self.update(index);
            }
        }
        self.world.broken().is_none()
    }

    /// Loaded, waiting for a session that there is, or given up: nothing that a fault could keep up.
    fn has_settled(&self) -> bool {
        self.hosts.iter().all(|running| {
            let id = running.host.id;
            let sessions = self.world.ledger(|ledger| ledger.sessions_of(id));
            sessions.iter().all(|session| {
                let status = running.host.status(*session);
                let (is_ended, is_locked) = self.world.ledger(|ledger| {
                    let stored = ledger.stored(ledger.key_of(*session));
                    let is_locked = stored.is_some_and(|stored| stored.session.is_some());
                    (ledger.session(*session).is_ended, is_locked)
                });
                is_ended
                    || status.is_final()
                    || status == Status::Loaded
                    || status == Status::Locked && is_locked
            })
        })
    }

    /// Some servers are drained, some close, some die.
    fn close_all(&mut self) {
        let (mut closing, mut dying) = (Vec::new(), Vec::new());
        for running in std::mem::take(&mut self.hosts) {
            match self.chance.below(4) {
                0 => dying.push(running),
                1 => {
                    let patience = self.chance.between(0.0, 100.0);
                    self.shut_down(running, patience);
                }
                _ => closing.push(running),
            }
        }
        for running in dying {
            self.kill(running);
        }
        for running in &closing {
            running.host.close();
        }
        self.hosts = closing;
        // No hook of a save that fails keeps a session for longer than what retries take.
        let settings = self.plan.settings;
        let patience = 30.0 + 2.0 * settings.session_retry_ceiling + 4.0 * settings.request_timeout;
        let law = match self.plan.habits.saves_fail_for_ever {
            true => 9,
            false => 8,
        };
        self.run_within(patience, law, "is closed", |simulation| {
            let mut hosts = simulation.hosts.iter();
            hosts.all(|running| running.host.is_closed())
        });
        for running in std::mem::take(&mut self.hosts) {
            let id = running.host.id;
            self.world.ledger(|ledger| {
                ledger.check_answered(id);
                ledger.check_told(id);
                ledger.check_released(id);
            });
            self.destroy(running);
        }
    }

    /// A last server can load every key, is given every receipt again, and finds nothing left to do.
    fn check_last(&mut self) {
        let kind = self.chance.one(self.plan.kinds);
        self.plan.settings.requests_per_update = 128;
        self.plan.settings.bytes_per_update = 1 << 20;
        let (version, purchases) = self.world.ledger(|ledger| {
            let newest = ledger.servers.iter().map(|server| server.version).max();
            (newest.unwrap_or(1), ledger.purchases.len())
        });
        let last = self.boot_last(kind, version.max(2));
        self.hosts.push(last);
        let host = self.hosts[0].host.clone();
        for index in 0..self.plan.keys {
            host.start(Key(index as u8), false);
        }
        let is_loaded = self.run_until(3, "is loaded", |simulation| {
            let host = &simulation.hosts[0].host;
            let sessions = simulation
                .world
                .ledger(|ledger| ledger.sessions_of(host.id));
            sessions
                .iter()
                .all(|session| host.status(*session) == Status::Loaded)
        });
        if !is_loaded {
            return;
        }
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(host.id));
        for purchase in (0..purchases).map(|index| PurchaseId(index as u32)) {
            let (buyer, way, is_asked) = self.world.ledger(|ledger| {
                let known = &mut ledger.purchases[purchase.index()];
                known.is_granted = false;
                (known.buyer, known.way, known.is_asked)
            });
            if is_asked && way != Way::Given {
                host.buy(sessions[buyer.index()], purchase);
            }
        }
        let is_answered = self.run_until(6, "is granted", |simulation| {
            let is_open = |ledger: &mut crate::ledger::Ledger| {
                let mut asks = ledger.asks.iter();
                asks.any(|ask| ask.server == host.id && ask.is_taken && ask.answers == 0)
            };
            !simulation.world.ledger(is_open)
        });
        if is_answered {
            self.use_all_credit(&sessions);
            self.finish(&sessions);
        }
    }

    fn boot_last(&mut self, kind: Kind, version: u32) -> crate::simulation::Running {
        let habits = &mut self.plan.habits;
        (habits.hooks_fail, habits.hooks_meddle, habits.puts_off) = (0.0, 0.0, 0.0);
        habits.saves_fail_for_ever = false;
        let running = self.boot_as(kind, version, true);
        running.game.recover();
        running
    }

    /// What became credit is given for it, once.
    fn use_all_credit(&mut self, sessions: &[SessionId]) {
        let host = self.hosts[0].host.clone();
        let credited: Vec<_> = self.world.ledger(|ledger| {
            let all = ledger.purchases.iter().enumerate();
            all.filter(|(_, purchase)| purchase.way.may_become_credit())
                .map(|(index, purchase)| (PurchaseId(index as u32), purchase.buyer))
                .collect()
        });
        for (purchase, buyer) in credited {
            host.use_credit(sessions[buyer.index()], purchase);
            if host.use_credit(sessions[buyer.index()], purchase) {
                self.world
                    .breaks(6, || format!("the credit of {purchase} was used twice"));
            }
        }
    }

    fn finish(&mut self, sessions: &[SessionId]) {
        for session in sessions {
            self.hosts[0].host.inspect(*session);
        }
        let Some(last) = self.hosts.pop() else { return };
        if !self.shut_down(last, 60.0) {
            self.world.breaks(8, || {
                "a server to which nothing happens is not drained".to_owned()
            });
        }
        let keys = self.plan.keys;
        self.world.ledger(|ledger| {
            for index in 0..keys {
                ledger.check_all_applied(Key(index as u8));
            }
            ledger.check_all_granted();
        });
    }
}
