//! What the benchmarks share: documents of a size, and a store with loaded sessions.

#![allow(dead_code)]

pub mod c_store;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use session_locker::easy::{EasyStore, Profile, StoreHooks};
use session_locker::ffi::SystemClock;
use session_locker::locker::{
    Config, HookAnswer, LockerHooks, LockerSpec, SharedSaveData, SpecOptions,
};
use session_locker::migration::Migrators;
use session_locker::purchaser::{ProductProcess, ReceiptInfo, Validation};
use session_locker::save_data::SaveData;
use session_locker::storage::{
    Expected, Mailbox, Operation, Outcome, Request, RequestId, Responder, Storage, StorageError,
};

/// A store's host that has nothing to say.
struct NoHooks;

impl LockerHooks for NoHooks {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the benchmarks have a template".to_owned())
    }
}

impl StoreHooks for NoHooks {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the benchmarks have a template".to_owned())
    }
}

/// Sells gold.
pub struct Shop;

impl ProductProcess for Shop {
    fn validate(&self, _: &ReceiptInfo) -> Result<Validation, String> {
        Ok(Validation::Own)
    }

    fn apply(&self, _: &ReceiptInfo, data: &Arc<SharedSaveData>) -> Result<HookAnswer, String> {
        let added = data.write(|data| data.add_i64("/Gold", 1));
        added
            .map(|_| HookAnswer::Applied)
            .map_err(|error| error.to_string())
    }

    fn record(&self, _: &ReceiptInfo, data: &Arc<SharedSaveData>) -> Result<(), String> {
        let added = data.write(|data| data.add_i64("/Gems", 1));
        added.map(drop).map_err(|error| error.to_string())
    }
}

/// One of many receipts.
pub fn receipt(number: usize) -> ReceiptInfo {
    ReceiptInfo {
        purchase_id: format!("{number:016x}").into(),
        product_id: (number % 16) as i64,
        user_id: "1".into(),
        place_id: 0,
        currency_spent: 100,
    }
}

/// A player's fields of about so many bytes: a dozen fields, most of it an inventory.
pub fn document(bytes: usize) -> String {
    let mut json = String::from(
        r#"{"Playtime":360125,"Gems":37,"Xp":48213.5,"DisplayName":"PlayerOne","Settings":{"Invite":"friends","Music":0.75,"Hints":true,"Effects":0.5},"Gold":1250,"Level":12,"Inventory":["#,
    );
    let mut number = 0;
    while json.len() + 120 < bytes {
        if number > 0 {
            json.push(',');
        }
        number += 1;
        json.push_str(&format!(
            r#"{{"Durability":0.2890625,"Uid":"{number:08x}","Count":{number},"Id":"oak_shield_{number:03}","Level":8,"Equipped":false}}"#
        ));
    }
    json.push_str("]}");
    json
}

/// A store whose new documents have about so many bytes.
pub fn store(storage: &Arc<dyn Storage>, bytes: usize, config: Config) -> EasyStore {
    let template = SaveData::from_json(&document(bytes), 1 << 22).expect("a template");
    let options = SpecOptions {
        config,
        migrators: Migrators::default(),
        template: Some(template),
        clock: Arc::new(SystemClock::new()),
        seed: 7,
        polls_events: true,
    };
    EasyStore::new(Arc::clone(storage), options, Box::new(NoHooks)).expect("a store")
}

/// A spec whose new documents are small.
pub fn spec(storage: &Arc<dyn Storage>) -> LockerSpec {
    let options = SpecOptions {
        config: Config::default(),
        migrators: Migrators::default(),
        template: Some(SaveData::from_json(SMALL, 1 << 22).expect("a template")),
        clock: Arc::new(SystemClock::new()),
        seed: 7,
        polls_events: true,
    };
    LockerSpec::new(Arc::clone(storage), options, Box::new(NoHooks)).expect("a spec")
}

const SMALL: &str = r#"{"Gold":1250,"Level":12,"Xp":48213.5,"DisplayName":"PlayerOne"}"#;

/// Puts a small document without an inbox under a key, whatever is there.
pub fn overwrite(storage: &dyn Storage, key: &str) {
    let key = Arc::<str>::from(key);
    let erase = Operation::Erase {
        key: Arc::clone(&key),
        expected: None,
    };
    let Ok(Outcome::Erased(tombstone)) = ask(storage, erase) else {
        panic!("the memory engine erases");
    };
    let commit = Operation::Commit {
        key,
        expected: Expected::Absent(Some(tombstone)),
        bytes: SMALL.as_bytes().into(),
        user_ids: Arc::default(),
    };
    ask(storage, commit).expect("a commit");
}

fn ask(storage: &dyn Storage, operation: Operation) -> Result<Outcome, StorageError> {
    let mailbox = Mailbox::new();
    let responder = Responder::new(RequestId(1), Arc::clone(&mailbox) as _);
    storage.submit(Request {
        operation,
        responder,
    });
    let mut replies = VecDeque::new();
    mailbox.take_into(&mut replies);
    replies.pop_front().expect("an answer at once").result
}

/// Monotonic seconds for updates.
pub struct Frames(Instant);

impl Frames {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn now(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Starts so many sessions and updates until all are loaded.
pub fn load(store: &EasyStore, frames: &Frames, count: usize) -> Vec<Profile> {
    let start = |number| {
        store
            .start_session(&format!("Player_{number}"), &[])
            .expect("a session")
    };
    let profiles: Vec<Profile> = (0..count).map(start).collect();
    while !profiles.iter().all(Profile::is_loaded) {
        store.update(frames.now()).expect("an update");
        store.poll_events(usize::MAX);
    }
    profiles
}
