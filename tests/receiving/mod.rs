//! Servers that receive remote changes, for the tests of the inbox.

#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use session_locker::easy::{Profile, StoreHooks};
use session_locker::locker::{HookAnswer, LockerHooks, SharedSaveData};
use session_locker::save_data::{RemoteChange, SaveData};

use crate::support::{FaultyStorage, Server, VirtualClock, options};

pub const KEY: &str = "Player_1";

pub type Answer = Result<HookAnswer, String>;
pub type Change = dyn Fn(&Arc<SharedSaveData>, &RemoteChange) -> Answer + Send + Sync;
pub type Merge = dyn Fn(SaveData, &Arc<SharedSaveData>) -> Result<(), String> + Send + Sync;

/// The hooks of these tests' servers.
pub struct Hooks {
    /// How often a change was offered.
    pub offers: Arc<AtomicUsize>,
    pub change: Option<Box<Change>>,
    pub merge: Option<Box<Merge>>,
}

impl Hooks {
    fn change(&self, data: &Arc<SharedSaveData>, change: &RemoteChange) -> Answer {
        self.offers.fetch_add(1, Ordering::Relaxed);
        self.change.as_ref().expect("a hook")(data, change)
    }
}

/// Both APIs ask for the same.
macro_rules! hooks {
    ($hooks:ident) => {
        impl $hooks for Hooks {
            fn create(&self, _: &str) -> Result<SaveData, String> {
                Err("the test has a template".to_owned())
            }

            fn process_remote_change(
                &self,
                key: &str,
                data: &Arc<SharedSaveData>,
                change: &RemoteChange,
            ) -> Answer {
                assert!(key.starts_with("Player_"));
                self.change(data, change)
            }

            fn has_process_remote_change(&self) -> bool {
                self.change.is_some()
            }

            fn merge_offline(
                &self,
                key: &str,
                offline: SaveData,
                data: &Arc<SharedSaveData>,
            ) -> Result<(), String> {
                assert_eq!(key, KEY);
                self.merge.as_ref().expect("a hook")(offline, data)
            }

            fn has_merge_offline(&self) -> bool {
                self.merge.is_some()
            }
        }
    };
}

hooks!(StoreHooks);
hooks!(LockerHooks);

/// Gold is added, and who has been applied is written into `Applied`; other kinds are not known.
pub fn apply(data: &Arc<SharedSaveData>, change: &RemoteChange) -> Answer {
    let json: Value = serde_json::from_str(change.json()).unwrap();
    let noted = data.write(|data| {
        if !data.contains("/Applied")? {
            data.set_json("/Applied", "[]")?;
        }
        data.append("/Applied", &json["I"].to_string())?;
        data.add_i64("/Gold", json["G"].as_i64().unwrap_or(0))
    });
    noted.map_err(|error| error.to_string())?;
    match change.kind() {
        "gold" => Ok(HookAnswer::Applied),
        "bad" => Err("no such item".to_owned()),
        "panic" => panic!("a bug in the hook"),
        _ => Ok(HookAnswer::NotApplicable),
    }
}

/// A server that applies changes, and how many it was offered.
pub fn receiver(
    storage: &Arc<FaultyStorage>,
    clock: &Arc<VirtualClock>,
    seed: u64,
) -> (Server, Arc<AtomicUsize>) {
    receiver_with(storage, clock, seed, apply)
}

pub fn receiver_with(
    storage: &Arc<FaultyStorage>,
    clock: &Arc<VirtualClock>,
    seed: u64,
    change: impl Fn(&Arc<SharedSaveData>, &RemoteChange) -> Answer + Send + Sync + 'static,
) -> (Server, Arc<AtomicUsize>) {
    let offers = Arc::<AtomicUsize>::default();
    let hooks = Hooks {
        offers: Arc::clone(&offers),
        change: Some(Box::new(change)),
        merge: None,
    };
    let server = Server::with_hooks(storage, clock, options(clock, seed), Box::new(hooks));
    (server, offers)
}

pub fn merger(
    storage: &Arc<FaultyStorage>,
    merge: impl Fn(SaveData, &Arc<SharedSaveData>) -> Result<(), String> + Send + Sync + 'static,
) -> Server {
    let clock = VirtualClock::new();
    let hooks = Hooks {
        offers: Arc::default(),
        change: Some(Box::new(apply)),
        merge: Some(Box::new(merge)),
    };
    Server::with_hooks(storage, &clock, options(&clock, 1), Box::new(hooks))
}

/// So many changes, of one gold each, with ids from 0.
pub fn many(kind: &str, count: i64) -> Vec<Value> {
    (0..count).map(|id| entry(kind, id, 1)).collect()
}

pub fn entry(kind: &str, id: impl Into<Value>, gold: i64) -> Value {
    json!({"K": kind, "I": id.into(), "A": 0, "G": gold})
}

/// Writes a free record with these entries in its inbox.
pub fn put(storage: &FaultyStorage, entries: &[Value]) {
    let document = json!({"Version": 1, "VersionPatch": 0, "Gold": 100, "RemoteChanges": entries});
    storage.put(KEY, document.to_string());
}

/// A sender puts an entry into the inbox, whoever owns the key.
pub fn send(storage: &FaultyStorage, entry: Value) {
    storage.edit(KEY, |document| match &mut document["RemoteChanges"] {
        Value::Array(inbox) => inbox.push(entry),
        inbox => *inbox = json!([entry]),
    });
}

/// The ids that the stored document has in its inbox.
pub fn waiting(storage: &FaultyStorage) -> Vec<Value> {
    ids(storage.document(KEY)["RemoteChanges"].clone(), "I")
}

pub fn ids(list: Value, field: &str) -> Vec<Value> {
    let entries = list.as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry[field].clone()).collect()
}

pub fn applied(profile: &Profile) -> String {
    let data = profile.save_data();
    data.read(|data| data.get_json("/Applied"))
        .unwrap_or_default()
}

pub fn save(server: &Server, profile: &Profile) {
    profile.mark_force_save().unwrap();
    server.update();
}

/// What was applied is in the storage once, and nothing of it waits there any more.
pub fn assert_stored_once(storage: &FaultyStorage, expected: Value) {
    let document = storage.document(KEY);
    assert_eq!(document["Applied"], expected, "{document}");
    assert_eq!(waiting(storage), [] as [Value; 0], "{document}");
}

pub fn world() -> (Arc<FaultyStorage>, Server, Arc<AtomicUsize>) {
    let storage = FaultyStorage::new();
    let (server, offers) = receiver(&storage, &VirtualClock::new(), 1);
    (storage, server, offers)
}

/// A loaded session with the hook, and 100 gold.
pub fn live() -> (Arc<FaultyStorage>, Server, Profile) {
    let (storage, server, _) = world();
    put(&storage, &[]);
    let profile = server.load(KEY);
    (storage, server, profile)
}
