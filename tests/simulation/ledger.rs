//! The ledger: what everything that was begun must have become. Calls note what the hosts do and what
//! they are told; [`crate::laws`] holds it against what is stored.

use std::collections::BTreeMap;

use crate::chance::Chance;
use crate::ids::{AskId, Key, PurchaseId, RemoteId, SendId, ServerId, SessionId, Token, WaitId};
use crate::inside::Role;
use crate::laws::{Content, Lock};
use crate::plan::JITTER_MAX_S;
use crate::server::{Heard, SendAnswer, Settings, WaitAnswer};

/// What has happened, counted; over many seeds, none of it may be 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub steps: u64,
    pub acquisitions: u64,
    pub saves: u64,
    pub takeovers: u64,
    pub losses: u64,
    pub crashes: u64,
    pub erasures: u64,
    pub changes_saved: u64,
    pub changes_denied: u64,
    pub waits_unknown: u64,
    pub purchases_granted: u64,
    pub purchases_refused: u64,
    pub gifts_applied: u64,
    pub credits_given: u64,
    pub credits_used: u64,
    pub sends_sent: u64,
    pub sends_failed: u64,
    pub remote_changes_applied: u64,
    pub late_writes: u64,
    pub migrations: u64,
    pub drains: u64,
    pub hooks: u64,
    pub hook_failures: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.acquisitions += other.acquisitions;
        self.saves += other.saves;
        self.takeovers += other.takeovers;
        self.losses += other.losses;
        self.crashes += other.crashes;
        self.erasures += other.erasures;
        self.changes_saved += other.changes_saved;
        self.changes_denied += other.changes_denied;
        self.waits_unknown += other.waits_unknown;
        self.purchases_granted += other.purchases_granted;
        self.purchases_refused += other.purchases_refused;
        self.gifts_applied += other.gifts_applied;
        self.credits_given += other.credits_given;
        self.credits_used += other.credits_used;
        self.sends_sent += other.sends_sent;
        self.sends_failed += other.sends_failed;
        self.remote_changes_applied += other.remote_changes_applied;
        self.late_writes += other.late_writes;
        self.migrations += other.migrations;
        self.drains += other.drains;
        self.hooks += other.hooks;
        self.hook_failures += other.hook_failures;
    }

    /// Each count but the steps, with what it counts.
    pub fn named(&self) -> [(&'static str, u64); 22] {
        [
            ("acquisitions", self.acquisitions),
            ("saves", self.saves),
            ("takeovers", self.takeovers),
            ("losses", self.losses),
            ("crashes", self.crashes),
            ("erasures", self.erasures),
            ("changes saved", self.changes_saved),
            ("changes denied", self.changes_denied),
            ("waits unknown", self.waits_unknown),
            ("purchases granted", self.purchases_granted),
            ("purchases refused", self.purchases_refused),
            ("gifts applied", self.gifts_applied),
            ("credits given", self.credits_given),
            ("credits used", self.credits_used),
            ("sends sent", self.sends_sent),
            ("sends failed", self.sends_failed),
            ("remote changes applied", self.remote_changes_applied),
            ("late writes", self.late_writes),
            ("migrations", self.migrations),
            ("drains", self.drains),
            ("hooks", self.hooks),
            ("hook failures", self.hook_failures),
        ]
    }
}

/// A law is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub law: u32,
    pub what: String,
}

/// See the module's page.
#[derive(Default)]
pub struct Ledger {
    /// Counts what is noted, so that one thing can be told to be before another.
    moment: u64,
    pub keys: Vec<KeyLedger>,
    pub servers: Vec<ServerLedger>,
    pub sessions: Vec<SessionLedger>,
    pub tokens: Vec<TokenLedger>,
    pub waits: Vec<WaitLedger>,
    pub sends: Vec<SendLedger>,
    pub remotes: Vec<RemoteLedger>,
    pub purchases: Vec<PurchaseLedger>,
    pub asks: Vec<AskLedger>,
    /// Every lock id that was ever stored.
    pub locks: BTreeMap<u64, Lock>,
    operations: u32,
    /// Nothing happens in this seed for which a server that lives could lose a session.
    pub is_calm: bool,
    /// How much sooner than after its expiry a session may seem expired to a server whose updates say a
    /// time that lags behind: much less than by what an owner lets go earlier.
    pub slack_s: f64,
    pub counts: Counts,
    pub broken: Option<Broken>,
}

/// What is stored under a key, and since when.
#[derive(Debug)]
pub struct KeyLedger {
    pub content: Content,
    /// Counts what a tool has done to the record: each time, all that was there is gone.
    pub life: u32,
    pub life_began: u64,
    pub life_began_at: f64,
    /// How many sessions have had the key.
    pub sessions: u64,
    /// The last life in which it was no document.
    pub was_unreadable: Option<u32>,
}

#[derive(Debug)]
pub struct ServerLedger {
    pub version: u32,
    pub session_expiry: f64,
    pub request_timeout: f64,
    /// When its sender asked, the last time that this showed it the record, by key; as far as that is
    /// known.
    pub shown_to_sender: BTreeMap<Key, u64>,
    /// Its last update was told a time long past. What is asked for until the next one, or a drain, has timed
    /// out by the host's time, however soon it is answered.
    is_told_late: bool,
    /// The sessions that the host has, in the order they began.
    pub sessions: Vec<SessionId>,
    pub shares_lockers: bool,
    pub is_closed: bool,
    /// It is being destroyed, or was.
    pub is_ending: bool,
    /// It has died: nobody hears what it says.
    pub is_dead: bool,
    /// The last of its own remote changes that was offered, by key and the life of its record.
    last_offered: BTreeMap<(Key, u32), u32>,
}

#[derive(Debug)]
pub struct SessionLedger {
    pub server: ServerId,
    pub key: Key,
    /// When the host asked for the key.
    pub asked: u64,
    /// When it had loaded the save data, the last time since.
    pub loaded: Option<u64>,
    /// It was shown the record since, as far as that is known.
    pub is_shown: bool,
    pub is_ended: bool,
    pub is_destroyed: bool,
    pub is_gone: bool,
    /// When the host let go of it.
    pub let_go: Option<u64>,
    ends_heard: u32,
    is_finished: bool,
}

#[derive(Debug)]
pub struct TokenLedger {
    pub server: ServerId,
    pub key: Key,
    /// The life of the record in which it was made.
    pub life: u32,
    /// The life in which it was stored.
    pub stored: Option<u32>,
    /// A hook has written it and then failed.
    pub is_undone: bool,
    /// Somebody was told that it was not saved.
    pub is_denied: bool,
}

#[derive(Debug)]
pub struct WaitLedger {
    pub server: ServerId,
    pub session: SessionId,
    /// The change that it covers.
    pub token: Option<Token>,
    pub is_taken: bool,
    pub answers: u32,
    is_given_up: bool,
}

#[derive(Debug)]
pub struct SendLedger {
    pub server: ServerId,
    pub key: Key,
    pub changes: Vec<RemoteId>,
    pub operation: Option<u32>,
    pub is_taken: bool,
    pub answers: u32,
    json: String,
}

#[derive(Debug)]
pub struct RemoteLedger {
    pub key: Key,
    pub sender: ServerId,
    /// When it was sent.
    pub moment: u64,
    /// The life of the record in which it has arrived, the last time.
    pub arrived: Option<u32>,
    pub applied: Option<u32>,
    /// It was said that it has arrived.
    pub is_sent: bool,
    /// It was said that it was not sent.
    pub is_denied: bool,
    /// Sent more than once, under an operation id: it has no place in one sender's order, and each
    /// answer tells of one of the sends.
    pub is_sent_again: bool,
    is_offered: bool,
}

/// What a purchase is, and what it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The buyer's own.
    Own,
    /// `validate` says that it is not applicable: it becomes credit.
    Credited,
    /// `apply` says that it is not applicable: it becomes credit.
    Refused,
    /// Another's.
    Gift,
    /// `apply` says that it is not applicable, until all are well.
    RefusedGift,
    /// Nobody has bought it: credit that is given.
    Given,
}

impl Way {
    pub fn may_become_credit(self) -> bool {
        matches!(self, Self::Credited | Self::Refused | Self::Given)
    }
}

#[derive(Debug)]
pub struct PurchaseLedger {
    pub way: Way,
    pub buyer: Key,
    pub recipient: Key,
    /// The life of the recipient's record in which it was applied, the last time.
    pub applied: Option<u32>,
    /// The life of the buyer's record in which it became credit, the last time.
    pub credited: Option<u32>,
    pub recorded: Option<u32>,
    /// The host has asked for it.
    pub is_asked: bool,
    /// Its credit is being used.
    pub is_used: bool,
    /// A record of its parties was erased: what was known of it is gone.
    pub is_forgotten: bool,
    /// It is credit that was given by a hook that has failed.
    pub is_undone: bool,
    pub is_granted: bool,
}

#[derive(Debug)]
pub struct AskLedger {
    pub server: ServerId,
    pub session: SessionId,
    pub purchase: PurchaseId,
    pub is_taken: bool,
    pub answers: u32,
}

impl Default for KeyLedger {
    fn default() -> Self {
        Self {
            content: Content::Absent,
            life: 0,
            life_began: 0,
            life_began_at: f64::NEG_INFINITY,
            sessions: 0,
            was_unreadable: None,
        }
    }
}

impl Ledger {
    pub fn new(keys: usize) -> Self {
        Self {
            keys: (0..keys).map(|_| KeyLedger::default()).collect(),
            ..Self::default()
        }
    }

    /// Notes that a law is broken; the first counts.
    pub fn breaks(&mut self, law: u32, what: impl FnOnce() -> String) {
        if self.broken.is_none() {
            let what = what();
            self.broken = Some(Broken { law, what });
        }
    }

    /// A moment after all others.
    pub fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    pub fn key(&self, key: Key) -> &KeyLedger {
        &self.keys[key.index()]
    }

    pub fn new_server(&mut self, version: u32, settings: &Settings) -> ServerId {
        self.servers.push(ServerLedger {
            version,
            session_expiry: settings.session_expiry,
            request_timeout: settings.request_timeout,
            shown_to_sender: BTreeMap::new(),
            is_told_late: false,
            sessions: Vec::new(),
            shares_lockers: false,
            is_closed: false,
            is_ending: false,
            is_dead: false,
            last_offered: BTreeMap::new(),
        });
        ServerId(self.servers.len() as u32 - 1)
    }

    pub fn server(&mut self, server: ServerId) -> &mut ServerLedger {
        &mut self.servers[server.index()]
    }

    pub fn closed(&mut self, server: ServerId) {
        self.server(server).is_closed = true;
        for session in self.sessions_of(server) {
            self.ended(session);
        }
    }

    /// A server is about to be updated, with a time that is long past or not.
    pub fn updated(&mut self, server: ServerId, is_late: bool) {
        self.server(server).is_told_late = is_late;
    }

    /// A server is about to be drained, and told no time any more.
    pub fn drains(&mut self, server: ServerId) {
        self.counts.drains += 1;
        self.updated(server, false);
    }

    /// Whether a server will surely wait still for the answer to what it asks now, so many seconds later.
    pub fn is_awaited(&self, server: ServerId, took: f64) -> bool {
        let server = &self.servers[server.index()];
        took < server.request_timeout - JITTER_MAX_S && !server.is_told_late
    }

    /// Somebody was shown a record, having asked at this moment.
    pub fn shown(&mut self, (server, key): (ServerId, Key), role: Role, asked: u64) {
        let server = &mut self.servers[server.index()];
        match role {
            Role::Sender => drop(server.shown_to_sender.insert(key, asked)),
            Role::Session(session) => {
                let session = &mut self.sessions[session.index()];
                session.is_shown |= asked > session.asked;
            }
        }
    }

    /// The sessions that the host of a server has.
    pub fn sessions_of(&self, server: ServerId) -> Vec<SessionId> {
        self.servers[server.index()].sessions.clone()
    }
}

/// Sessions.
impl Ledger {
    pub fn new_session(&mut self, server: ServerId, key: Key) -> SessionId {
        let asked = self.tick();
        self.sessions.push(SessionLedger {
            server,
            key,
            asked,
            loaded: None,
            is_shown: false,
            is_ended: false,
            is_destroyed: false,
            is_gone: false,
            let_go: None,
            ends_heard: 0,
            is_finished: false,
        });
        let session = SessionId(self.sessions.len() as u32 - 1);
        self.server(server).sessions.push(session);
        session
    }

    pub fn session(&mut self, session: SessionId) -> &mut SessionLedger {
        &mut self.sessions[session.index()]
    }

    pub fn key_of(&self, session: SessionId) -> Key {
        self.sessions[session.index()].key
    }

    pub fn ended(&mut self, session: SessionId) {
        let moment = self.tick();
        let session = self.session(session);
        session.is_ended = true;
        session.let_go.get_or_insert(moment);
    }

    pub fn asked_anew(&mut self, session: SessionId) {
        let moment = self.tick();
        let session = self.session(session);
        session.is_ended = false;
        session.let_go = None;
        session.asked = moment;
        session.loaded = None;
        session.is_shown = false;
    }

    pub fn destroyed(&mut self, session: SessionId) {
        self.ended(session);
        self.session(session).is_destroyed = true;
        self.gone(session);
    }

    /// The host has it no more.
    pub fn gone(&mut self, session: SessionId) {
        self.ended(session);
        let gone = self.session(session);
        gone.is_gone = true;
        let server = gone.server;
        let sessions = &mut self.server(server).sessions;
        sessions.retain(|other| *other != session);
    }

    pub fn start_refused(&mut self, session: SessionId) {
        self.session(session).is_finished = true;
        self.gone(session);
    }

    /// Whether a session of this key may still be live without its host.
    pub fn has_gone_session(&self, server: ServerId, key: Key) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.any(|session| {
            (session.server, session.key) == (server, key)
                && session.is_gone
                && !session.is_finished
        })
    }

    pub fn heard(&mut self, id: SessionId, heard: Heard) {
        let moment = self.tick();
        let session = self.session(id);
        let (server, key, was_finished) = (session.server, session.key, session.is_finished);
        match heard {
            Heard::Loaded => session.loaded = Some(moment),
            Heard::Ended => session.ends_heard += 1,
            Heard::Finished => session.is_finished = true,
            _ => {}
        }
        let (ends, is_finished) = (session.ends_heard, session.is_finished);
        if self.servers[server.index()].is_dead {
            return;
        }
        if was_finished {
            self.breaks(8, || {
                format!("{id} of {server} tells {heard:?} after its end")
            });
        }
        if ends > 1 || (is_finished && ends != 1) {
            self.breaks(8, || {
                format!("{id} of {server} was told {ends} times that it was ended: {heard:?}")
            });
        }
        match heard {
            Heard::Lost { lock_id } => {
                self.counts.losses += 1;
                self.lost((server, id, key), lock_id);
            }
            Heard::Finished => {
                self.check_finished(id);
                self.gone(id);
            }
            Heard::Credit { product, change } => {
                let purchase = self.purchases.get(product as usize);
                if purchase.is_some_and(|purchase| purchase.is_undone) {
                    self.breaks(9, || {
                        format!("{id} tells of credit {change} that a hook gave which has failed")
                    });
                }
            }
            _ => {}
        }
    }

    /// What has said its last has answered all that it was asked. Purchases are not a locker's own.
    fn check_finished(&mut self, id: SessionId) {
        let is_open = |wait: &WaitLedger| wait.session == id && wait.is_taken && wait.answers == 0;
        let server = &self.servers[self.sessions[id.index()].server.index()];
        let mut asks = self.asks.iter().filter(|_| server.shares_lockers);
        let has_asks = asks.any(|ask| ask.session == id && ask.is_taken && ask.answers == 0);
        if has_asks || self.waits.iter().any(is_open) {
            self.breaks(8, || format!("{id} has finished and has not answered all"));
        }
    }

    /// The host was told its end exactly once, of each session that is not its own to forget.
    pub fn check_told(&mut self, server: ServerId) {
        let is_of = |session: &&SessionLedger| session.server == server && !session.is_destroyed;
        let untold = self.sessions.iter().filter(is_of);
        let is_untold = |session: &&SessionLedger| !session.is_finished;
        if let Some(session) = untold.clone().find(is_untold) {
            let key = session.key;
            self.breaks(8, || {
                format!("{server} is closed and has not told the end of its session of {key}")
            });
        }
    }
}

/// Changes, and waits for them.
impl Ledger {
    pub fn new_token(&mut self, server: ServerId, key: Key) -> Token {
        self.tokens.push(TokenLedger {
            server,
            key,
            life: self.keys[key.index()].life,
            stored: None,
            is_undone: false,
            is_denied: false,
        });
        Token(self.tokens.len() as u32 - 1)
    }

    pub fn undone(&mut self, token: Token) {
        self.tokens[token.index()].is_undone = true;
        if self.tokens[token.index()].stored.is_some() {
            self.breaks(9, || {
                format!("{token} was stored before its hook had ended")
            });
        }
    }

    /// A wait that covers this change, which the host has just made, or none of those that are known.
    pub fn new_wait(&mut self, session: SessionId, token: Option<Token>) -> WaitId {
        self.waits.push(WaitLedger {
            server: self.sessions[session.index()].server,
            session,
            token,
            is_taken: true,
            answers: 0,
            is_given_up: false,
        });
        WaitId(self.waits.len() as u32 - 1)
    }

    /// The host does not wait any more.
    pub fn given_up(&mut self, wait: WaitId) {
        let wait = &mut self.waits[wait.index()];
        wait.is_taken = false;
        wait.is_given_up = true;
    }

    /// One of the last waits of a server.
    pub fn any_wait(&self, server: ServerId, chance: &mut Chance) -> Option<WaitId> {
        let waits = self.waits.iter().enumerate().rev().take(20);
        let open = waits.filter(|(_, wait)| wait.server == server && wait.is_taken);
        let open: Vec<_> = open.map(|(index, _)| WaitId(index as u32)).collect();
        chance.pick(&open).copied()
    }

    pub fn wait_refused(&mut self, wait: WaitId) {
        self.waits[wait.index()].is_taken = false;
    }
}

/// Remote changes.
impl Ledger {
    /// Also the operation id, if it is to have one.
    pub fn new_send(
        &mut self,
        server: ServerId,
        key: Key,
        count: usize,
        operation: bool,
    ) -> (SendId, Vec<RemoteId>, Option<u32>) {
        let moment = self.tick();
        let first = self.remotes.len();
        let changes: Vec<_> = (first..first + count)
            .map(|number| RemoteId(number as u32))
            .collect();
        self.remotes.extend(changes.iter().map(|_| RemoteLedger {
            key,
            sender: server,
            moment,
            arrived: None,
            applied: None,
            is_sent: false,
            is_denied: false,
            is_sent_again: false,
            is_offered: false,
        }));
        let operation = operation.then(|| {
            self.operations += 1;
            self.operations
        });
        let send = self.add_send(SendLedger {
            server,
            key,
            changes: changes.clone(),
            operation,
            is_taken: true,
            answers: 0,
            json: String::new(),
        });
        (send, changes, operation)
    }

    pub fn set_json(&mut self, send: SendId, json: &str) {
        self.sends[send.index()].json = json.to_owned();
    }

    fn add_send(&mut self, send: SendLedger) -> SendId {
        self.sends.push(send);
        SendId(self.sends.len() as u32 - 1)
    }

    /// One of the sends that have an operation id, to be sent once more.
    pub fn send_again(
        &mut self,
        server: ServerId,
        chance: &mut Chance,
    ) -> Option<(SendId, Key, String, u32)> {
        let recent = self.sends.iter().rev().take(12);
        let operations: Vec<_> = recent.filter(|send| send.operation.is_some()).collect();
        let send = chance.pick(&operations)?;
        let again = SendLedger {
            server,
            key: send.key,
            changes: send.changes.clone(),
            operation: send.operation,
            is_taken: true,
            answers: 0,
            json: send.json.clone(),
        };
        for change in &again.changes {
            self.remotes[change.index()].is_sent_again = true;
        }
        let (key, json) = (again.key, again.json.clone());
        let operation = again.operation?;
        Some((self.add_send(again), key, json, operation))
    }

    /// Nothing of it will be written, unless it was sent before.
    pub fn send_refused(&mut self, send: SendId) {
        self.sends[send.index()].is_taken = false;
        self.deny(send);
    }

    pub fn deny(&mut self, send: SendId) {
        for index in 0..self.sends[send.index()].changes.len() {
            let change = self.sends[send.index()].changes[index];
            self.remotes[change.index()].is_denied = true;
        }
    }

    /// A change is offered to an owner. Those of one sender are offered in its order.
    pub fn offered(&mut self, remote: RemoteId, key: Key) {
        let Some(change) = self.remotes.get_mut(remote.index()) else {
            return self.breaks(5, || format!("{remote} was never sent"));
        };
        let is_first = !std::mem::replace(&mut change.is_offered, true);
        let (sender, sent_to, is_sent_again) = (change.sender, change.key, change.is_sent_again);
        // An owner that does not know of an erasure yet has those that came before it.
        let life = change.arrived.unwrap_or(self.keys[key.index()].life);
        if sent_to != key {
            self.breaks(5, || format!("{remote} to {sent_to} is offered to {key}"));
        }
        if !is_first || is_sent_again {
            return;
        }
        let last = self
            .server(sender)
            .last_offered
            .entry((key, life))
            .or_default();
        let before = *last;
        *last = before.max(remote.0);
        if before > remote.0 {
            self.breaks(5, || {
                format!("{remote} is offered to {key} after remote change {before}, which {sender} has sent later")
            });
        }
    }
}

/// Purchases.
impl Ledger {
    pub fn new_purchase(&mut self, way: Way, buyer: Key, recipient: Key) -> PurchaseId {
        self.purchases.push(PurchaseLedger {
            way,
            buyer,
            recipient,
            applied: None,
            credited: None,
            recorded: None,
            is_asked: false,
            is_used: false,
            is_forgotten: false,
            is_undone: false,
            is_granted: false,
        });
        PurchaseId(self.purchases.len() as u32 - 1)
    }

    pub fn new_ask(&mut self, session: SessionId, purchase: PurchaseId) -> AskId {
        self.purchases[purchase.index()].is_asked = true;
        self.asks.push(AskLedger {
            server: self.sessions[session.index()].server,
            session,
            purchase,
            is_taken: true,
            answers: 0,
        });
        AskId(self.asks.len() as u32 - 1)
    }

    /// One of the purchases of a buyer that have a receipt.
    pub fn any_receipt(&self, buyer: Key, chance: &mut Chance) -> Option<PurchaseId> {
        let all = self.purchases.iter().enumerate();
        let own = all.filter(|(_, one)| one.buyer == buyer && one.way != Way::Given);
        let own: Vec<_> = own.map(|(index, _)| PurchaseId(index as u32)).collect();
        chance.pick(&own).copied()
    }

    pub fn ask_refused(&mut self, ask: AskId) {
        self.asks[ask.index()].is_taken = false;
    }
}

/// Answers: law 8, and that what they say is so.
impl Ledger {
    pub fn saved(&mut self, wait: WaitId, outcome: WaitAnswer) {
        let entry = &mut self.waits[wait.index()];
        entry.answers += 1;
        let (answers, server, token) = (entry.answers, entry.server, entry.token);
        if entry.is_given_up {
            self.breaks(8, || {
                format!("{wait} of {server} was given up and is answered")
            });
        }
        if answers > 1 {
            self.breaks(8, || {
                format!("{wait} of {server} is answered again: {outcome:?}")
            });
        }
        if self.servers[server.index()].is_dead {
            return;
        }
        match outcome {
            WaitAnswer::Saved => self.counts.changes_saved += 1,
            WaitAnswer::NotSaved => self.counts.changes_denied += 1,
            WaitAnswer::Unknown => self.counts.waits_unknown += 1,
        }
        match (outcome, token) {
            (WaitAnswer::Unknown, _) => self.check_unknown(wait),
            (WaitAnswer::Saved, Some(token)) => self.check_saved(token, wait),
            (WaitAnswer::NotSaved, Some(token)) => self.check_not_saved(token, wait),
            _ => {}
        }
    }

    pub fn sent(&mut self, send: SendId, outcome: SendAnswer) {
        let entry = &mut self.sends[send.index()];
        entry.answers += 1;
        let (answers, server) = (entry.answers, entry.server);
        if answers > 1 {
            self.breaks(8, || {
                format!("{send} of {server} is answered again: {outcome:?}")
            });
        }
        if self.servers[server.index()].is_dead {
            return;
        }
        match outcome {
            SendAnswer::Sent => self.counts.sends_sent += 1,
            _ => self.counts.sends_failed += 1,
        }
        self.check_sent(send, outcome);
    }

    pub fn purchased(&mut self, ask: AskId, is_granted: bool) {
        let entry = &mut self.asks[ask.index()];
        entry.answers += 1;
        let (answers, server, purchase) = (entry.answers, entry.server, entry.purchase);
        if answers > 1 {
            self.breaks(8, || format!("{ask} for {purchase} is answered again"));
        }
        if self.servers[server.index()].is_dead {
            return;
        }
        match is_granted {
            true => {
                self.counts.purchases_granted += 1;
                self.purchases[purchase.index()].is_granted = true;
                self.check_granted(purchase);
            }
            false => self.counts.purchases_refused += 1,
        }
    }

    /// A server is gone: all that it was asked is answered, once.
    pub fn check_answered(&mut self, server: ServerId) {
        let waits = self.waits.iter().enumerate();
        let wait = waits
            .filter(|(_, wait)| wait.server == server && wait.is_taken && wait.answers == 0)
            .map(|(index, _)| format!("wait {index}"));
        let sends = self.sends.iter().enumerate();
        let send = sends
            .filter(|(_, send)| send.server == server && send.is_taken && send.answers == 0)
            .map(|(index, _)| format!("send {index}"));
        let asks = self.asks.iter().enumerate();
        let ask = asks
            .filter(|(_, ask)| ask.server == server && ask.is_taken && ask.answers == 0)
            .map(|(index, _)| format!("ask {index}"));
        if let Some(what) = wait.chain(send).chain(ask).next() {
            self.breaks(8, || {
                format!("{server} is gone and has not answered {what}")
            });
        }
    }
}
