//! One simulation: a few servers on one storage, and what befalls them, all drawn from one seed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::chance::Chance;
use crate::clock::ServerClock;
use crate::document::{FOREIGN, MENDED};
use crate::game::Game;
use crate::history::History;
use crate::host::Host;
use crate::ids::{Key, PurchaseId, SessionId};
use crate::inside;
use crate::laws::Content;
use crate::ledger::{Broken, Counts, Ledger, Way};
use crate::plan::{Action, JITTER_MAX_S, Plan, Weather};
use crate::server::{Kind, Setup, Status};
use crate::storage::{Link, Store};
use crate::world::World;

/// The most sessions that a host has at a time.
const SESSIONS_MAX: usize = 4;

/// The longest wait of a host inside the library.
const WAIT_MOST_S: f64 = 20.0;

/// Drawn from the first number of a seed, so that seeds that follow each other have nothing in common.
const SEEDS: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module's page.
pub struct Simulation {
    pub(crate) plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) world: Arc<World>,
    pub(crate) store: Arc<Store>,
    pub(crate) hosts: Vec<Running>,
    /// How far wall clocks may be off now.
    boots: u64,
    is_rolling: bool,
}

/// A server that runs.
pub(crate) struct Running {
    pub host: Host,
    pub clock: Arc<ServerClock>,
    pub game: Arc<Game>,
    own_locks: Vec<OwnLock>,
    updated_at: f64,
    /// It is not updated, while others are.
    stopped: Option<Stop>,
}

/// A host's thread has looked at its clock, and stands still before the update that it has looked for.
#[derive(Clone, Copy)]
struct Stop {
    /// What the clock has shown.
    now: f64,
    /// Until when, by the world's time.
    until: f64,
}

/// A session waits for a lock that seems to be its server's own.
struct OwnLock {
    session: SessionId,
    last_save: (u64, u64),
    /// When the storage has last let the server down with this key.
    last_failure: Option<f64>,
    /// For how long since then, in seconds in which the server was updated.
    waited: f64,
}

/// How a simulation has ended.
#[derive(Debug)]
pub struct Ended {
    pub seed: u64,
    pub counts: Counts,
    /// The law that was broken, and in which step.
    pub broken: Option<(Broken, u64)>,
    pub history: String,
}

impl Simulation {
    pub fn new(seed: u64, history: History) -> Self {
        let mut chance = Chance::new(seed.wrapping_mul(SEEDS) ^ seed.rotate_left(32));
        let plan = Plan::draw(&mut chance, &mut Chance::new(!seed));
        let world = Arc::new(World::new(plan.keys, history));
        world.note(|| format!("seed {seed}: {plan:?}"));
        world.ledger(|ledger| {
            ledger.is_calm = plan.is_calm;
            ledger.slack_s = 0.001;
            if plan.jitter > 0.0 {
                ledger.slack_s += JITTER_MAX_S;
            }
            if plan.is_premature {
                ledger.slack_s = f64::INFINITY;
            }
        });
        let store = Store::new(&world, plan.has_clock, plan.weather, chance.fork());
        let mut simulation = Self {
            plan,
            chance,
            world,
            store,
            hosts: Vec::new(),
            boots: 0,
            is_rolling: false,
        };
        for _ in 0..simulation.plan.servers {
            let running = simulation.boot();
            simulation.hosts.push(running);
        }
        simulation
    }

    /// Runs so many steps and the end of them, or until a law is broken.
    pub fn run(mut self, seed: u64, steps: u64, shown: usize) -> Ended {
        let mut ended_at = None;
        for step in 1..=steps {
            self.world.step.store(step, Ordering::Relaxed);
            let action = self.plan.action(&mut self.chance);
            self.act(action);
            self.check_owners();
            if self.world.broken().is_some() {
                ended_at = Some(step);
                break;
            }
        }
        let steps_done = ended_at.unwrap_or(steps);
        if ended_at.is_none() {
            self.world.step.store(steps + 1, Ordering::Relaxed);
            self.wind_up();
        }
        let broken = self.world.broken().map(|broken| (broken, steps_done));
        let mut counts = self.world.ledger(|ledger| ledger.counts);
        counts.steps = steps_done;
        if broken.is_some() {
            // What comes of the servers now proves nothing.
            self.hosts.drain(..).for_each(|running| {
                inside::call(running.host.id, || drop(running));
            });
        }
        Ended {
            seed,
            counts,
            history: self.world.history(shown),
            broken,
        }
    }

    pub(crate) fn boot(&mut self) -> Running {
        self.boots += 1;
        if self.plan.rolls_upgrade && self.boots > self.plan.servers as u64 {
            self.is_rolling |= self.chance.comes(0.5);
        }
        let version = match self.is_rolling && self.chance.comes(0.7) {
            true => 2,
            false => 1,
        };
        let kind = self.chance.one(self.plan.kinds);
        self.boot_as(kind, version, false)
    }

    /// Starts a server, which may be the one that must be able to do everything.
    pub(crate) fn boot_as(&mut self, kind: Kind, version: u32, is_last: bool) -> Running {
        let mut settings = self.plan.settings;
        if self.chance.comes(0.4) {
            settings.session_expiry *= self.plan.expiry_factor;
        }
        let id = self
            .world
            .ledger(|ledger| ledger.new_server(version, &settings));
        let skew = self.plan.skew * self.chance.between(-1.0, 1.0);
        let epoch = self.chance.between(0.0, 1e6);
        let clock = ServerClock::new(&self.store, skew, epoch, self.plan.nap);
        let habits = self.plan.habits;
        let game = Game::new(&self.world, id, version, habits, self.chance.fork());
        let setup = Setup {
            server: id,
            seed: self.chance.number(),
            clock: Arc::clone(&clock),
            link: Link::new(&self.store, id),
            game: Arc::clone(&game),
            settings,
            version,
            polls_events: self.chance.comes(0.5),
            creates_by_hook: self.chance.comes(0.5),
            receives: is_last || self.chance.comes(0.8),
            merges: self.chance.comes(0.5),
            has_save_hook: self.chance.comes(0.3),
        };
        self.world
            .note(|| format!("{id} starts: {kind:?}, version {version}, skew {skew:.3}"));
        let server = inside::call(id, || kind.boot(setup));
        game.set_host(&server);
        let shares_lockers = server.shares_lockers();
        self.world
            .ledger(|ledger| ledger.server(id).shares_lockers = shares_lockers);
        Running {
            host: Host::new(id, &self.world, server),
            clock,
            game,
            own_locks: Vec::new(),
            updated_at: self.world.now.get(),
            stopped: None,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tick => {
                let seconds = self.chance.about(self.plan.tick);
                self.store.advance(seconds);
                self.update_one();
            }
            Action::Update => self.update_one(),
            Action::Leap => {
                let most = self.plan.settings.session_expiry * 1.5;
                let seconds = self.chance.between(0.0, most);
                self.world.note(|| format!("{seconds:.3} s pass"));
                self.store.advance(seconds);
            }
            Action::Start => self.start(),
            Action::SetClock => self.set_clock(),
            Action::Weather => {
                let weather = Weather::draw(&mut self.chance);
                self.world.note(|| format!("{weather:?}"));
                self.store.set_weather(weather);
            }
            Action::Crash => self.crash(),
            Action::Restart => self.restart(),
            Action::Erase => self.erase(),
            Action::Meddle => self.meddle(),
            Action::Send => self.send(),
            Action::SendAgain => {
                let host = self.any_host();
                self.hosts[host].host.send_again(&mut self.chance);
            }
            _ => self.act_on_session(action),
        }
    }

    fn act_on_session(&mut self, action: Action) {
        let host = self.any_host();
        let Running { host, .. } = &self.hosts[host];
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(host.id));
        let Some(mut session) = self.chance.pick(&sessions).copied() else {
            return;
        };
        if host.status(session) != Status::Loaded && self.chance.comes(0.8) {
            // More becomes of those that are loaded.
            let mut loaded = sessions.iter();
            let loaded = loaded.find(|session| host.status(**session) == Status::Loaded);
            session = loaded.copied().unwrap_or(session);
        }
        match action {
            Action::End => host.end(session),
            Action::Destroy => host.destroy(session),
            Action::WantAgain => {
                let is_ended = self.world.ledger(|ledger| ledger.session(session).is_ended);
                if is_ended {
                    host.want_again(session);
                }
            }
            Action::Change => {
                let token = host.change(session);
                if self.chance.comes(0.4) {
                    host.mark(session, true);
                }
                if self.chance.comes(0.7) {
                    host.wait(session, token);
                }
            }
            Action::Mark => host.mark(session, self.chance.comes(0.5)),
            Action::Wait => host.wait(session, None),
            Action::GiveUp => {
                let wait = |ledger: &mut Ledger| ledger.any_wait(host.id, &mut self.chance);
                if let Some(wait) = self.world.ledger(wait) {
                    host.give_up(wait);
                }
            }
            Action::Inspect => host.inspect(session),
            Action::SaveHook => {
                let (transform, on) = (self.chance.comes(0.5), self.chance.comes(0.6));
                host.set_save_hook(session, transform, on);
            }
            Action::Buy => self.buy(&host.clone(), session),
            Action::GiveCredit => self.give_credit(&host.clone(), session),
            Action::UseCredit => self.use_credit(&host.clone(), session),
            _ => {}
        }
    }

    fn any_host(&mut self) -> usize {
        self.chance.below(self.hosts.len())
    }

    fn any_key(&mut self) -> Key {
        Key(self.chance.below(self.plan.keys) as u8)
    }

    fn update_one(&mut self) {
        let host = self.any_host();
        self.update(host);
    }

    /// Updates a server; now and then with a time that runs backwards, or that is long ago.
    pub(crate) fn update(&mut self, index: usize) {
        let back = match self.chance.comes(self.plan.jitter) {
            true => self.chance.between(0.0, JITTER_MAX_S),
            false => 0.0,
        };
        let now = self.hosts[index].clock.monotonic() - back;
        let Some((now, was_stopped)) = self.look_at_clock(index, now) else {
            return;
        };
        let running = &mut self.hosts[index];
        let id = running.host.id;
        self.world.ledger(|ledger| ledger.updated(id, was_stopped));
        if !running.host.update(now) {
            self.world
                .breaks(10, || format!("an update of {id} was refused"));
        }
        let real = self.world.now.get();
        let passed = (real - std::mem::replace(&mut running.updated_at, real)).min(1.0);
        let settings = self.plan.settings;
        // Where requests are scarce, a session that is held already may wait long until it is loaded.
        if settings.requests_per_update > 100 && settings.requests_in_flight > 100 {
            let patience = settings.session_retry_ceiling + 3.0 * settings.request_timeout + 5.0;
            running.check_own_locks(&self.world, &self.store, passed, patience);
        }
        let share = if was_stopped { 0.5 } else { self.plan.waits };
        if share > 0.0 && self.chance.comes(share) {
            self.wait_inside(index);
        }
    }

    /// The time that the host tells in the update it is about to make, and whether it was stopped since it has
    /// looked at its clock, which shows `now`. None: it is stopped still.
    fn look_at_clock(&mut self, index: usize, now: f64) -> Option<(f64, bool)> {
        let real = self.world.now.get();
        if let Some(stop) = self.hosts[index].stopped {
            if self.plan.stalls > 0.0 && real < stop.until {
                return None;
            }
            self.hosts[index].stopped = None;
            return Some((stop.now, true));
        }
        if self.plan.stalls == 0.0 || !self.chance.comes(self.plan.stalls) {
            return Some((now, false));
        }
        let most = self.plan.settings.session_expiry * 1.5;
        let seconds = self.chance.between(0.0, most);
        let id = self.hosts[index].host.id;
        if self.chance.comes(0.5) {
            self.world
                .note(|| format!("{id} is stopped for {seconds:.3} s before an update"));
            let until = real + seconds;
            self.hosts[index].stopped = Some(Stop { now, until });
            return None;
        }
        self.world
            .note(|| format!("before an update of {id} {seconds:.3} s pass"));
        self.store.advance(seconds);
        Some((now, true))
    }

    /// A host waits inside the library for one of its sessions, which holds up all that it does.
    fn wait_inside(&mut self, index: usize) {
        let host = self.hosts[index].host.clone();
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(host.id));
        if let Some(session) = self.chance.pick(&sessions) {
            host.wait_inside(*session, self.chance.between(0.0, WAIT_MOST_S));
        }
    }

    fn start(&mut self) {
        let (host, key, reusable) = (self.any_host(), self.any_key(), self.chance.comes(0.5));
        let host = &self.hosts[host].host;
        let sessions = self.world.ledger(|ledger| ledger.sessions_of(host.id));
        if sessions.len() < SESSIONS_MAX {
            host.start(key, reusable);
        }
    }

    fn set_clock(&mut self) {
        let host = self.any_host();
        let skew = self.plan.skew * self.chance.between(-1.0, 1.0);
        let running = &self.hosts[host];
        running.clock.skew.set(skew);
        self.world
            .note(|| format!("{}: the wall clock is off by {skew:.3} s", running.host.id));
    }

    fn send(&mut self) {
        let (host, key) = (self.any_host(), self.any_key());
        let sends = self.world.ledger(|ledger| ledger.sends.len());
        if sends < self.plan.sends_most {
            self.hosts[host].host.send(key, &mut self.chance);
        }
    }

    /// A receipt comes, for the first time or again.
    fn buy(&mut self, host: &Host, session: SessionId) {
        let buyer = self.world.ledger(|ledger| ledger.key_of(session));
        let is_old = self.chance.comes(0.5);
        let any = |ledger: &mut Ledger| ledger.any_receipt(buyer, &mut self.chance);
        let purchase = match self.world.ledger(any).filter(|_| is_old) {
            Some(purchase) => Some(purchase),
            None => self.new_purchase(buyer),
        };
        if let Some(purchase) = purchase {
            host.buy(session, purchase);
        }
    }

    fn new_purchase(&mut self, buyer: Key) -> Option<PurchaseId> {
        let count = self.world.ledger(|ledger| ledger.purchases.len());
        if count >= self.plan.purchases_most {
            return None;
        }
        let ways = [
            Way::Own,
            Way::Own,
            Way::Gift,
            Way::Gift,
            Way::Gift,
            Way::RefusedGift,
            Way::Credited,
            Way::Refused,
        ];
        let way = self.chance.one(&ways);
        let other = self.any_key();
        let recipient = match way {
            Way::Gift | Way::RefusedGift if other == buyer => return None,
            Way::Gift | Way::RefusedGift => other,
            _ => buyer,
        };
        let new = |ledger: &mut Ledger| ledger.new_purchase(way, buyer, recipient);
        Some(self.world.ledger(new))
    }

    fn any_credit(&mut self, buyer: Key) -> Option<PurchaseId> {
        let purchases: Vec<_> = self.world.ledger(|ledger| {
            let all = ledger.purchases.iter().enumerate();
            all.filter(|(_, one)| one.buyer == buyer && one.way.may_become_credit())
                .map(|(index, _)| PurchaseId(index as u32))
                .collect()
        });
        self.chance.pick(&purchases).copied()
    }

    fn give_credit(&mut self, host: &Host, session: SessionId) {
        let count = self.world.ledger(|ledger| ledger.purchases.len());
        if count < self.plan.purchases_most {
            let purchase = self.world.ledger(|ledger| {
                let key = ledger.key_of(session);
                ledger.new_purchase(Way::Given, key, key)
            });
            host.give_credit(session, purchase);
        }
    }

    fn use_credit(&mut self, host: &Host, session: SessionId) {
        let key = self.world.ledger(|ledger| ledger.key_of(session));
        if let Some(purchase) = self.any_credit(key) {
            host.use_credit(session, purchase);
        }
    }

    fn crash(&mut self) {
        let host = self.any_host();
        let rebooted = self.boot();
        let running = std::mem::replace(&mut self.hosts[host], rebooted);
        self.world.note(|| format!("{} dies", running.host.id));
        self.world.ledger(|ledger| ledger.counts.crashes += 1);
        self.kill(running);
    }

    /// A server is gone from one moment to the next: nobody hears what it says in its end, but it says
    /// each thing once.
    pub(crate) fn kill(&mut self, running: Running) {
        let id = running.host.id;
        self.world.ledger(|ledger| ledger.server(id).is_dead = true);
        self.store.cut(id);
        self.destroy(running);
    }

    /// Destroys a server, which answers all that it was asked.
    pub(crate) fn destroy(&mut self, running: Running) {
        let id = running.host.id;
        self.world.ledger(|ledger| {
            ledger.server(id).is_ending = true;
            for session in ledger.sessions_of(id) {
                ledger.gone(session);
            }
        });
        inside::call(id, || drop(running));
        self.store.cut(id);
        self.world.ledger(|ledger| ledger.check_answered(id));
    }

    fn restart(&mut self) {
        let host = self.any_host();
        let rebooted = self.boot();
        let running = std::mem::replace(&mut self.hosts[host], rebooted);
        let timeout = match self.chance.comes(0.3) || self.plan.is_calm {
            true => self.chance.between(0.0, 2.0),
            false => self.chance.between(0.0, 60.0),
        };
        self.shut_down(running, timeout);
    }

    /// Drains a server in time, or not, and destroys it.
    pub(crate) fn shut_down(&mut self, running: Running, timeout: f64) -> bool {
        let begun = self.world.now.get();
        let (id, host) = (running.host.id, &running.host);
        self.world.ledger(|ledger| ledger.drains(id));
        let is_done = host.drain(timeout);
        let took = self.world.now.get() - begun;
        if took > timeout + self.plan.nap + 0.01 {
            self.world.breaks(8, || {
                format!("a drain of {id} took {took:.3} s, not {timeout:.3} s")
            });
        }
        if is_done {
            if !host.is_closed() {
                self.world.breaks(8, || {
                    format!("{id} is drained and says that it is not closed")
                });
            }
            self.world.ledger(|ledger| {
                ledger.check_answered(id);
                ledger.check_told(id);
                ledger.check_released(id);
            });
        }
        self.destroy(running);
        is_done
    }

    fn erase(&mut self) {
        let key = self.any_key();
        self.world.note(|| format!("a tool erases {key}"));
        self.store.put(key, None);
    }

    /// A tool writes what nobody understands, or in the place of that what everybody does.
    fn meddle(&mut self) {
        let key = self.any_key();
        let text = match self.is_foreign(key) {
            true => self.mended(),
            false if self.chance.comes(0.7) => return,
            false => self.chance.one(&FOREIGN),
        };
        self.world.note(|| format!("a tool writes {key}: {text}"));
        self.store.put(key, Some(text));
    }

    pub(crate) fn mended(&mut self) -> &'static str {
        MENDED[usize::from(self.is_rolling && self.chance.comes(0.5))]
    }

    pub(crate) fn is_foreign(&self, key: Key) -> bool {
        self.world.ledger(|ledger| match &ledger.key(key).content {
            Content::Absent => false,
            Content::Unreadable => true,
            Content::Document(stored) => stored.version > crate::document::NEWEST,
        })
    }

    /// Law 1, as hosts see it. The owner of a record that a tool took from it may not know yet.
    fn check_owners(&mut self) {
        if self.plan.is_premature {
            return;
        }
        let now = self.world.now.get();
        let expiry = self.plan.settings.session_expiry * self.plan.expiry_factor;
        for index in 0..self.plan.keys {
            let key = Key(index as u8);
            let owners = self
                .hosts
                .iter()
                .map(|running| running.owners(key, &self.world));
            let owners: usize = owners.sum();
            let is_old = self
                .world
                .ledger(|ledger| now - ledger.key(key).life_began_at > expiry);
            if owners > 1 && is_old {
                self.world
                    .breaks(1, || format!("{key} has {owners} owners at once"));
            }
        }
    }
}

impl Running {
    /// How many sessions of this server own the key; those that share a locker are one.
    fn owners(&self, key: Key, world: &World) -> usize {
        let sessions: Vec<_> = world.ledger(|ledger| {
            let sessions = &ledger.servers[self.host.id.index()].sessions;
            let of_key = |session: &&SessionId| ledger.key_of(**session) == key;
            sessions.iter().filter(of_key).copied().collect()
        });
        let owners = sessions.into_iter();
        let owners = owners.filter(|session| self.host.is_available(*session));
        match self.host.shares_lockers() {
            true => owners.count().min(1),
            false => owners.count(),
        }
    }

    /// Law 3: no server waits for a lock of its own that nobody holds. It sees that with the next fetch, and
    /// takes it with the commit after it, once the storage does what it is asked to.
    fn check_own_locks(&mut self, world: &World, store: &Store, passed: f64, patience: f64) {
        let id = self.host.id;
        let waiting: Vec<_> = world.ledger(|ledger| {
            let sessions = &ledger.servers[id.index()].sessions;
            let candidates = sessions.iter().filter_map(|session| {
                let known = &ledger.sessions[session.index()];
                let stored = ledger.stored(known.key)?.session?;
                let lock = ledger.locks.get(&stored.lock_id)?;
                // A lock that goes on being saved is held.
                let last_save = ledger.stored(known.key)?.last_save?;
                let is_of_key = |other: &&SessionId| ledger.key_of(**other) == known.key;
                let is_alone = sessions.iter().filter(is_of_key).count() == 1
                    && !ledger.has_gone_session(id, known.key);
                let is_waited_for = lock.server == id && is_alone && !known.is_ended;
                is_waited_for.then_some((*session, known.key, last_save))
            });
            candidates.collect()
        });
        let mut kept = Vec::new();
        for (session, key, last_save) in waiting {
            if self.host.status(session) != Status::Locked {
                continue;
            }
            let before = self
                .own_locks
                .iter()
                .find(|wait| (wait.session, wait.last_save) == (session, last_save));
            let last_failure = store.last_failure(id, key);
            let waited = before.filter(|before| before.last_failure == last_failure);
            let waited = waited.map_or(0.0, |before| before.waited + passed);
            if waited > patience {
                world.breaks(3, || {
                    let lock_id = last_save.0;
                    format!("{session} of {id} waits for lock {lock_id}, which is {id}'s own")
                });
            }
            kept.push(OwnLock {
                session,
                last_save,
                last_failure,
                waited,
            });
        }
        self.own_locks = kept;
    }
}
