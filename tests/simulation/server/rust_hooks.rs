//! What both hosts over the Rust API have in common: the game's hooks, documents, answers and the
//! storage, as the library asks for them.

use std::panic::resume_unwind;
use std::sync::Arc;

use session_locker::clock::Clock;
use session_locker::locker::{
    Config, HookAnswer, LoadStatus, LockerRef, SaveOutcome, SavedConnection, SharedSaveData,
    SpecOptions,
};
use session_locker::migration::MigratorBuilder;
use session_locker::purchaser::{ProductProcess, ReceiptInfo, Validation};
use session_locker::remote_change::SendOutcome;
use session_locker::save_data::SaveData;
use session_locker::storage::{
    Expected, Fetched, Operation, Outcome, Request, RequestErrorKind, Responder, Revision, Storage,
    StorageError,
};

use super::{
    Document, Failure, HOOK_PANIC, Receipt, SendAnswer, Setup, Status, Verdict, WaitAnswer,
};
use crate::clock::ServerClock;
use crate::document::TEMPLATES;
use crate::game::Game;
use crate::ids::{Key, WaitId};
use crate::storage::{self, Answer, Ask, Link};

const LIMIT_BYTES: usize = 1 << 20;

/// What a store or a spec is made of.
pub fn options(setup: &Setup) -> SpecOptions {
    let settings = setup.settings;
    let template = TEMPLATES[setup.version as usize - 1];
    SpecOptions {
        config: Config {
            save_data_version: setup.version,
            maintain_session_period: settings.maintain_session_period,
            session_expiry: settings.session_expiry,
            clock_tolerance: settings.clock_tolerance,
            session_retry_cooldown: settings.session_retry_cooldown,
            session_retry_ceiling: settings.session_retry_ceiling,
            request_timeout: settings.request_timeout,
            purchase_history_limit: settings.purchase_history_limit,
            requests_per_update: settings.requests_per_update,
            requests_in_flight: settings.requests_in_flight,
            bytes_per_update: settings.bytes_per_update,
            job_id: setup.server.to_string().into(),
            ..Config::default()
        },
        migrators: migrators(setup),
        template: (!setup.creates_by_hook)
            .then(|| SaveData::from_json(template, LIMIT_BYTES).expect("a template")),
        clock: Arc::clone(&setup.clock) as Arc<dyn Clock>,
        seed: setup.seed,
        polls_events: setup.polls_events,
    }
}

fn migrators(setup: &Setup) -> session_locker::migration::Migrators {
    let mut builder = MigratorBuilder::new();
    if setup.version > 1 {
        let game = Arc::clone(&setup.game);
        let migrate = move |data: &mut SaveData| {
            done(game.migrate(&mut Draft(data)))?;
            Ok(0.0)
        };
        builder
            .add_migrator_from(1, Arc::new(migrate))
            .expect("the only one");
    }
    builder.build().expect("migrators without a gap")
}

/// Does what a hook has come to.
pub fn done<R>(outcome: Result<R, Failure>) -> Result<R, String> {
    match outcome {
        Err(Failure { panics: true }) => resume_unwind(Box::new(HOOK_PANIC)),
        Err(Failure { panics: false }) => Err("the hook gives up".to_owned()),
        Ok(value) => Ok(value),
    }
}

pub fn answer(is_applied: bool) -> HookAnswer {
    match is_applied {
        true => HookAnswer::Applied,
        false => HookAnswer::NotApplicable,
    }
}

pub fn create(game: &Game, key: &str) -> Result<SaveData, String> {
    let json = done(game.create(key))?;
    SaveData::from_json(json, LIMIT_BYTES).map_err(|error| error.to_string())
}

/// A live document.
pub struct Live<'a>(pub &'a SharedSaveData);

/// A document that is no session's.
pub struct Draft<'a>(pub &'a mut SaveData);

impl Document for Live<'_> {
    fn append(&mut self, place: &str, number: u64) -> Result<(), String> {
        let written = self.0.write(|data| data.append(place, &number.to_string()));
        written.map_err(|error| error.to_string())
    }

    fn numbers(&mut self, place: &str) -> Vec<u64> {
        self.0.read(|data| Draft(data).numbers(place))
    }

    fn add(&mut self, place: &str, amount: i64) -> Result<(), String> {
        let written = self.0.write(|data| data.add_i64(place, amount));
        written.map(drop).map_err(|error| error.to_string())
    }
}

impl Document for Draft<'_> {
    fn append(&mut self, place: &str, number: u64) -> Result<(), String> {
        let written = self.0.append(place, &number.to_string());
        written.map_err(|error| error.to_string())
    }

    fn numbers(&mut self, place: &str) -> Vec<u64> {
        let json = self.0.get_json(place).unwrap_or_default();
        serde_json::from_str(&json).unwrap_or_default()
    }

    fn add(&mut self, place: &str, amount: i64) -> Result<(), String> {
        let written = self.0.add_i64(place, amount);
        written.map(drop).map_err(|error| error.to_string())
    }
}

/// The game's part of a purchase.
pub struct Process<F> {
    pub game: Arc<Game>,
    pub receipt: Receipt,
    /// The locker on this server that a gift to this key goes to.
    pub find: F,
}

impl<F: Fn(Key) -> Option<LockerRef> + Send + Sync> ProductProcess for Process<F> {
    fn validate(&self, _: &ReceiptInfo) -> Result<Validation, String> {
        let verdict = done(self.game.validate(self.receipt.purchase))?;
        Ok(match verdict {
            Verdict::NotApplicable => Validation::NotApplicable,
            Verdict::NotNow => Validation::NotNow,
            Verdict::Own => Validation::Own,
            Verdict::Gift(key) => (self.find)(key).map_or(Validation::NotNow, Validation::Gift),
        })
    }

    fn apply(&self, _: &ReceiptInfo, data: &Arc<SharedSaveData>) -> Result<HookAnswer, String> {
        done(self.game.apply(self.receipt.purchase, &mut Live(data))).map(answer)
    }

    fn record(&self, _: &ReceiptInfo, data: &Arc<SharedSaveData>) -> Result<(), String> {
        done(self.game.record(self.receipt.purchase, &mut Live(data)))
    }
}

pub fn receipt(receipt: Receipt) -> ReceiptInfo {
    ReceiptInfo {
        purchase_id: receipt.purchase.receipt().into(),
        product_id: receipt.product,
        user_id: "1".into(),
        place_id: 0,
        currency_spent: 1,
    }
}

pub fn status(status: LoadStatus) -> Status {
    match status {
        LoadStatus::Loading => Status::Loading,
        LoadStatus::DataStoreRequestFail => Status::RequestFailed,
        LoadStatus::SessionIsLocked => Status::Locked,
        LoadStatus::Loaded => Status::Loaded,
        LoadStatus::Erased => Status::Erased,
        LoadStatus::InvalidVersion | LoadStatus::CorruptData => Status::NotUnderstood,
        LoadStatus::MigrationFailed | LoadStatus::CreateFailed => Status::HookFailed,
    }
}

pub fn saved(outcome: SaveOutcome) -> WaitAnswer {
    match outcome {
        SaveOutcome::Saved => WaitAnswer::Saved,
        SaveOutcome::NotSaved => WaitAnswer::NotSaved,
        SaveOutcome::Unknown => WaitAnswer::Unknown,
    }
}

pub fn sent(outcome: SendOutcome) -> SendAnswer {
    match outcome {
        SendOutcome::Sent => SendAnswer::Sent,
        SendOutcome::Missing => SendAnswer::Missing,
        SendOutcome::InboxFull => SendAnswer::InboxFull,
        SendOutcome::NotSent => SendAnswer::NotSent,
        SendOutcome::Unknown => SendAnswer::Unknown,
        SendOutcome::Corrupt => SendAnswer::Corrupt,
    }
}

/// The waits for changes of a host.
#[derive(Default)]
pub struct Waits {
    open: Vec<(WaitId, SavedConnection)>,
    /// Those that the host does not wait for any more: it must not hear of them.
    given_up: Vec<(WaitId, SavedConnection)>,
}

impl Waits {
    pub fn add(&mut self, wait: WaitId, connection: SavedConnection) {
        self.open
            .retain(|(_, connection)| connection.is_connected());
        self.open.push((wait, connection));
    }

    /// Gives up a wait, if it is not answered long since.
    pub fn give_up(&mut self, wait: WaitId) -> bool {
        let Some(place) = self.open.iter().position(|(other, _)| *other == wait) else {
            return false;
        };
        let (_, connection) = self.open.remove(place);
        // The event of one that is answered may be under way already; its callback is not called.
        if connection.disconnect() {
            self.given_up.push((wait, connection));
        }
        true
    }

    /// The wait that an answer is for, if nobody waits for that.
    pub fn answered_in_vain(&self, answered: &SavedConnection) -> Option<WaitId> {
        let mut given_up = self.given_up.iter();
        let found = given_up.find(|(_, connection)| connection.is(answered));
        found.map(|(wait, _)| *wait)
    }
}

/// The lock id that a document has in its session.
pub fn lock_id(data: &SaveData) -> Option<u64> {
    let session = data.reserved().session.as_ref();
    session.map(|session| session.lock_id)
}

impl Clock for ServerClock {
    fn wall(&self) -> f64 {
        self.wall()
    }

    fn monotonic(&self) -> f64 {
        self.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.sleep(seconds);
    }
}

impl Storage for Link {
    fn submit(&self, request: Request) {
        let Request {
            operation,
            responder,
        } = request;
        let ask = match operation {
            Operation::Fetch { key } => Ask::Fetch { key: Key::of(&key) },
            Operation::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => Ask::Commit {
                key: Key::of(&key),
                expected: revised(&expected),
                bytes,
                user_ids,
            },
            // No server of the simulation asks for anything else.
            _ => return responder.answer(Ok(Outcome::Conflict)),
        };
        self.submit(ask, Box::new(responder));
    }
}

fn revised(expected: &Expected) -> storage::Expected {
    let number = |revision: &Revision| revision.as_u64().expect("a revision of the simulation's");
    match expected {
        Expected::Present(revision) => storage::Expected::Present(number(revision)),
        Expected::Absent(tombstone) => storage::Expected::Absent(tombstone.as_ref().map(number)),
    }
}

impl Answer for Responder {
    fn give(self: Box<Self>, reply: storage::Reply) {
        let result = match reply.outcome {
            storage::Outcome::Present {
                bytes,
                revision,
                user_ids,
            } => Ok(Outcome::Fetched(Fetched::Present {
                bytes,
                revision: Revision::from_u64(revision),
                user_ids,
            })),
            storage::Outcome::Absent { tombstone } => {
                let tombstone = tombstone.map(Revision::from_u64);
                Ok(Outcome::Fetched(Fetched::Absent { tombstone }))
            }
            storage::Outcome::Committed(revision) => {
                Ok(Outcome::Committed(Revision::from_u64(revision)))
            }
            storage::Outcome::Conflict => Ok(Outcome::Conflict),
            storage::Outcome::Failed => {
                let message = "the simulation's storage has failed";
                Err(StorageError::new(RequestErrorKind::Backend, message))
            }
        };
        self.answer_at(result, reply.clock);
    }
}
