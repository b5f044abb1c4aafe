//! Remote changes on the receiving side, and the merge of what was written before the load.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use session_locker::easy::{Profile, ProfileEvent, StoreHooks};
use session_locker::locker::{
    Activity, Config, HookAnswer, LoadStatus, LockerHooks, LockerSpec, SaveOutcome, SharedSaveData,
    WriteError,
};
use session_locker::migration::MigratorBuilder;
use session_locker::save_data::{RemoteChange, SaveData};
use session_locker::storage::Storage;
use support::Fault::{ConflictAfter, FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{
    FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold, heard_by, locked, options,
};

const KEY: &str = "Player_1";

type Answer = Result<HookAnswer, String>;
type Change = dyn Fn(&Arc<SharedSaveData>, &RemoteChange) -> Answer + Send + Sync;
type Merge = dyn Fn(SaveData, &Arc<SharedSaveData>) -> Result<(), String> + Send + Sync;

/// The hooks of these tests' servers.
struct Hooks {
    /// How often a change was offered.
    offers: Arc<AtomicUsize>,
    change: Option<Box<Change>>,
    merge: Option<Box<Merge>>,
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
fn apply(data: &Arc<SharedSaveData>, change: &RemoteChange) -> Answer {
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
fn receiver(
    storage: &Arc<FaultyStorage>,
    clock: &Arc<VirtualClock>,
    seed: u64,
) -> (Server, Arc<AtomicUsize>) {
    receiver_with(storage, clock, seed, apply)
}

fn receiver_with(
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

fn merger(
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
fn many(kind: &str, count: i64) -> Vec<Value> {
    (0..count).map(|id| entry(kind, id, 1)).collect()
}

fn entry(kind: &str, id: impl Into<Value>, gold: i64) -> Value {
    json!({"K": kind, "I": id.into(), "A": 0, "G": gold})
}

/// Writes a free record with these entries in its inbox.
fn put(storage: &FaultyStorage, entries: &[Value]) {
    let document = json!({"Version": 1, "VersionPatch": 0, "Gold": 100, "RemoteChanges": entries});
    storage.put(KEY, document.to_string());
}

/// A sender puts an entry into the inbox, whoever owns the key.
fn send(storage: &FaultyStorage, entry: Value) {
    storage.edit(KEY, |document| match &mut document["RemoteChanges"] {
        Value::Array(inbox) => inbox.push(entry),
        inbox => *inbox = json!([entry]),
    });
}

/// The ids that the stored document has in its inbox.
fn waiting(storage: &FaultyStorage) -> Vec<Value> {
    ids(storage.document(KEY)["RemoteChanges"].clone(), "I")
}

fn ids(list: Value, field: &str) -> Vec<Value> {
    let entries = list.as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry[field].clone()).collect()
}

fn applied(profile: &Profile) -> String {
    let data = profile.save_data();
    data.read(|data| data.get_json("/Applied"))
        .unwrap_or_default()
}

fn save(server: &Server, profile: &Profile) {
    profile.mark_force_save().unwrap();
    server.update();
}

/// What was applied is in the storage once, and nothing of it waits there any more.
fn assert_stored_once(storage: &FaultyStorage, expected: Value) {
    let document = storage.document(KEY);
    assert_eq!(document["Applied"], expected, "{document}");
    assert_eq!(waiting(storage), [] as [Value; 0], "{document}");
}

fn world() -> (Arc<FaultyStorage>, Server, Arc<AtomicUsize>) {
    let storage = FaultyStorage::new();
    let (server, offers) = receiver(&storage, &VirtualClock::new(), 1);
    (storage, server, offers)
}

/// A loaded session with the hook, and 100 gold.
fn live() -> (Arc<FaultyStorage>, Server, Profile) {
    let (storage, server, _) = world();
    put(&storage, &[]);
    let profile = server.load(KEY);
    (storage, server, profile)
}

#[test]
fn fault_2_a_waiting_change_is_applied_to_the_loaded_data_before_the_load_is_told() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5), entry("gold", "b", 7)]);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let heard = Arc::new(Mutex::new(None));
    let (of, hears) = (profile.clone(), Arc::clone(&heard));
    let asked = profile.when_loaded(Box::new(move |_| {
        *hears.lock() = Some((gold(&of), applied(&of)))
    }));
    asked.unwrap();
    server.update();
    assert_eq!(*heard.lock(), Some((112, r#"["a","b"]"#.to_owned())));
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(wait.is_connected(), "they are changes to be saved");
    save(&server, &profile);
    assert!(wait.is_saved());
    assert_stored_once(&storage, json!(["a", "b"]));
}

#[test]
fn during_the_hook_the_session_is_neither_loaded_nor_available_and_nothing_else_is_written() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let profiles: Arc<Mutex<Vec<Profile>>> = Arc::default();
    let in_hook = Arc::clone(&profiles);
    let (server, offers) = receiver_with(&storage, &clock, 1, move |data, change| {
        let profiles = in_hook.lock();
        let [own, other] = &profiles[..] else {
            panic!("two profiles")
        };
        assert_eq!(own.load_status(), Ok(LoadStatus::Loading));
        assert_eq!(own.is_available(), Ok(false));
        apply(data, change)?;
        assert_eq!(gold(own), 105);
        let write = |profile: &Profile| {
            let data = profile.save_data();
            data.write(|data| data.add_i64("/Gold", 1))
        };
        assert_eq!(write(other), Err(WriteError::Busy));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!((gold(own), write(own)), (100, Err(WriteError::Busy))));
        });
        Ok(HookAnswer::Applied)
    });
    put(&storage, &[entry("gold", "a", 5)]);
    let own = server.store.start_session(KEY, &[]).unwrap();
    let other = server.store.start_session("Player_2", &[]).unwrap();
    *profiles.lock() = vec![own.clone(), other.clone()];
    server.update();
    assert_eq!(offers.load(Ordering::Relaxed), 1);
    assert_eq!(own.is_available(), Ok(true));
    assert_eq!((gold(&own), gold(&other)), (105, 0));
}

#[test]
fn an_unknown_change_stays_and_does_not_hold_back_later_ones() {
    let (storage, server, offers) = world();
    put(
        &storage,
        &[entry("later", "a", 1000), entry("gold", "b", 7)],
    );
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (107, r#"["b"]"#));
    save(&server, &profile);
    assert_eq!(waiting(&storage), ["a"]);
    server.run(700.0);
    assert_eq!(
        offers.load(Ordering::Relaxed),
        2,
        "not before the next load"
    );
    assert!(!server.heard().contains(&"error RemoteChange".to_owned()));
    profile.end_session().unwrap();
    server.run(2.0);
    let next = server.load(KEY);
    assert_eq!(offers.load(Ordering::Relaxed), 3);
    assert_eq!(gold(&next), 107);
    assert_eq!(waiting(&storage), ["a"]);
}

#[test]
fn a_load_with_nothing_but_unknown_changes_has_nothing_to_save() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, offers) = receiver_with(&storage, &clock, 1, |_, _| Ok(HookAnswer::NotApplicable));
    put(&storage, &many("later", 300));
    let profile = server.start(KEY);
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(!profile.is_loaded() && wait.is_connected());
    server.run(5.0);
    assert!(profile.is_loaded() && wait.is_saved());
    assert!(profile.when_changes_saved(None).unwrap().is_saved());
    assert_eq!(offers.load(Ordering::Relaxed), 300);
    assert_eq!(storage.commits(), 1);
}

#[test]
fn a_change_that_was_applied_without_a_trace_leaves_the_stored_inbox_too() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, _) = receiver_with(&storage, &clock, 1, |_, _| Ok(HookAnswer::Applied));
    put(&storage, &many("gold", 1));
    let wait = server.load(KEY).when_changes_saved(None).unwrap();
    assert!(wait.is_connected(), "its removal is a change");
    server.run(301.0);
    assert!(wait.is_saved());
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_load_longer_than_the_cooldown_ends_though_its_changes_keep_failing() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let (server, offers) = receiver_with(&storage, &clock, 1, |_, _| Err("never".to_owned()));
    put(&storage, &many("gold", 1000));
    let profile = server.start(KEY);
    for _ in 0..9 {
        server.jump(11.0);
    }
    assert!(profile.is_loaded());
    assert!(offers.load(Ordering::Relaxed) >= 1000);
}

#[test]
fn a_change_that_fails_or_panics_is_undone_and_tried_again_after_the_cooldown() {
    for kind in ["bad", "panic"] {
        let (storage, server, offers) = world();
        put(&storage, &[entry(kind, "a", 1000), entry("gold", "b", 7)]);
        let profile = server.start(KEY);
        let errors = || -> Vec<_> {
            let events = server.events().into_iter().map(|event| event.event);
            let error = |event| match event {
                ProfileEvent::Error(report) => Some((report.activity, report.message)),
                _ => None,
            };
            events.filter_map(error).collect()
        };
        let why = match kind {
            "bad" => "bad a: no such item",
            _ => "panic a: the hook panicked",
        };
        let expected = [(Activity::RemoteChange, why.to_owned())];
        assert_eq!(errors(), expected);
        assert!(profile.is_loaded());
        assert_eq!((gold(&profile), &*applied(&profile)), (107, r#"["b"]"#));
        server.run(9.0);
        assert_eq!(offers.load(Ordering::Relaxed), 2, "not every frame");
        server.run(1.0);
        assert_eq!(offers.load(Ordering::Relaxed), 3);
        assert_eq!(errors(), expected);
        save(&server, &profile);
        assert_eq!(gold(&profile), 107);
        assert_eq!(storage.document(KEY)["Gold"], 107);
        assert_eq!(waiting(&storage), ["a"]);
    }
}

#[test]
fn a_change_that_fails_first_is_applied_in_the_same_session() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let tries = AtomicUsize::new(0);
    let (server, _) = receiver_with(&storage, &clock, 1, move |data, change| {
        let answer = apply(data, change);
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err("not now".to_owned()),
            _ => answer,
        }
    });
    put(&storage, &[entry("gold", "a", 5), entry("gold", "b", 7)]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 107);
    server.run(10.0);
    assert_eq!((gold(&profile), &*applied(&profile)), (112, r#"["b","a"]"#));
    save(&server, &profile);
    assert_stored_once(&storage, json!(["b", "a"]));
}

#[test]
fn changes_are_offered_in_the_order_they_were_sent_in() {
    let (storage, server, _) = world();
    put(&storage, &many("gold", 100));
    let profile = server.start(KEY);
    let all: Vec<_> = (0..100).collect();
    assert_eq!(applied(&profile), json!(all).to_string());
    assert!(profile.is_loaded());
}

#[test]
fn entries_with_one_id_are_two_changes() {
    let (storage, server, _) = world();
    put(
        &storage,
        &[
            entry("later", 5, 3),
            entry("gold", 5, 1),
            entry("gold", 5, 1),
        ],
    );
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (102, "[5,5]"));
    send(&storage, entry("gold", 5, 40));
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (142, "[5,5,5]"));
    save(&server, &profile);
    let left = storage.document(KEY)["RemoteChanges"].clone();
    assert_eq!(left, json!([entry("later", 5, 3)]));
    send(&storage, entry("gold", 5, 800));
    save(&server, &profile);
    assert_eq!(gold(&profile), 942);
}

#[test]
fn a_live_session_takes_changes_over_at_its_next_save_without_losing_its_own() {
    let (storage, server, profile) = live();
    add_gold(&profile, 1);
    send(&storage, entry("gold", "a", 10));
    send(&storage, entry("gold", "b", 10));
    server.run(2.0);
    assert_eq!(gold(&profile), 101, "nobody has looked yet");
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (121, r#"["a","b"]"#));
    assert_eq!(storage.document(KEY)["Gold"], 101);
    send(&storage, entry("gold", "c", 10));
    save(&server, &profile);
    assert_eq!(gold(&profile), 131);
    save(&server, &profile);
    assert_stored_once(&storage, json!(["a", "b", "c"]));
    assert_eq!(storage.document(KEY)["Gold"], 131);
}

#[test]
fn what_is_applied_during_a_session_is_saved_with_the_next_autosave() {
    let (storage, server, profile) = live();
    send(&storage, entry("gold", "a", 10));
    save(&server, &profile);
    let wait = profile.when_changes_saved(None).unwrap();
    server.run(301.0);
    assert!(wait.is_saved());
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn a_host_without_the_hook_keeps_what_waits() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    send(&storage, entry("gold", "b", 5));
    save(&server, &profile);
    assert_eq!((gold(&profile), waiting(&storage).len()), (100, 2));
}

#[test]
fn a_change_is_applied_once_whatever_becomes_of_the_commit_that_contains_it() {
    for fault in [
        FailBefore,
        FailAfter,
        HoldRequest,
        HoldAnswer,
        ConflictAfter,
    ] {
        for others_send in [false, true] {
            let (storage, server, _) = world();
            put(&storage, &[entry("gold", "a", 5)]);
            let profile = server.load(KEY);
            storage.on_commit(&[fault]);
            save(&server, &profile);
            if others_send {
                send(&storage, entry("gold", "b", 7));
            }
            server.run(40.0);
            storage.let_go();
            server.run(40.0);
            save(&server, &profile);
            server.run(40.0);
            let (total, order) = match others_send {
                true => (112, json!(["a", "b"])),
                false => (105, json!(["a"])),
            };
            assert_eq!(gold(&profile), total, "{fault:?}, {others_send}");
            profile.end_session().unwrap();
            server.run(20.0);
            assert_stored_once(&storage, order);
            assert_eq!(storage.document(KEY)["Gold"], total);
        }
    }
}

#[test]
fn a_sender_that_writes_while_a_removal_is_not_stored_yet_does_not_bring_the_change_back() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5), entry("later", "x", 0)]);
    let profile = server.load(KEY);
    // The stored inbox still has "a", which is applied here.
    send(&storage, entry("gold", "b", 7));
    save(&server, &profile);
    assert_eq!((gold(&profile), &*applied(&profile)), (112, r#"["a","b"]"#));
    assert_eq!(waiting(&storage), ["x", "b"]);
    send(&storage, entry("gold", "c", 1));
    save(&server, &profile);
    save(&server, &profile);
    assert_eq!(waiting(&storage), ["x"]);
    assert_eq!(storage.document(KEY)["Applied"], json!(["a", "b", "c"]));
}

#[test]
fn an_applied_change_is_not_brought_back_by_a_storage_that_writes_its_text_anew() {
    let (storage, server, _) = world();
    put(&storage, &[]);
    let inbox = r#""RemoteChanges":[{"K":"gold","I":"a","G":5,"A":0}]}"#;
    let text = storage.stored(KEY).unwrap();
    storage.put(
        KEY,
        text.replace(r#""RemoteChanges":[]}"#, inbox).replace(
            r#""RemoteChanges":[],"#,
            &format!("{},", inbox.trim_end_matches('}')),
        ),
    );
    assert_eq!(waiting(&storage), ["a"]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 105);
    storage.edit(KEY, |_| ());
    save(&server, &profile);
    assert_eq!(gold(&profile), 105);
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn an_owner_that_dies_between_effect_and_save_leaves_the_change_to_the_next() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    assert_eq!(gold(&profile), 105);
    let clock = Arc::clone(&server.clock);
    drop((server, profile));
    let (next, _) = receiver(&storage, &clock, 2);
    clock.advance(2200.0);
    let profile = next.load(KEY);
    assert_eq!((gold(&profile), &*applied(&profile)), (105, r#"["a"]"#));
    save(&next, &profile);
    assert_stored_once(&storage, json!(["a"]));
}

#[test]
fn a_lost_session_takes_its_effects_with_it_and_the_next_owner_applies_them() {
    let (storage, server, _) = world();
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.load(KEY);
    let mut taken: Value = serde_json::from_str(&locked(100, 77, WALL_START)).unwrap();
    taken["RemoteChanges"] = json!([entry("gold", "a", 5)]);
    storage.put(KEY, taken.to_string());
    save(&server, &profile);
    assert!(server.heard().contains(&"Replaced(Lost)".to_owned()));
    storage.edit(KEY, |document| {
        document.as_object_mut().unwrap().remove("Session");
    });
    server.run(30.0);
    assert_eq!((gold(&profile), &*applied(&profile)), (105, r#"["a"]"#));
}

#[test]
fn a_release_leaves_what_it_finds_to_the_next_owner() {
    let (storage, server, profile) = live();
    send(&storage, entry("gold", "a", 10));
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished());
    assert_eq!(storage.document(KEY)["Gold"], 100);
    assert_eq!(waiting(&storage), ["a"]);
    assert_eq!(gold(&server.load(KEY)), 110);
}

#[test]
fn a_key_taken_again_after_its_release_keeps_what_was_sent_in_between() {
    let storage = FaultyStorage::new();
    let (clock, offers) = (VirtualClock::new(), Arc::<AtomicUsize>::default());
    let hooks = Hooks {
        offers: Arc::clone(&offers),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let shared = Arc::clone(&storage) as Arc<dyn Storage>;
    let spec = LockerSpec::new(shared, options(&clock, 1), Box::new(hooks)).unwrap();
    put(&storage, &[entry("gold", "a", 5)]);
    let locker = spec.create_locker(KEY, &[]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(clock.now()).unwrap();
    assert_eq!(locker.load_status(), Ok(LoadStatus::Loaded));
    heard_by(&locker);
    storage.on_commit(&[FailAfter]);
    storage.on_fetch(&[HoldRequest]);
    locker.mark_should_release().unwrap();
    locker.update(clock.now()).unwrap();
    // Released, and not known to be; then wanted again.
    locker.mark_should_acquire().unwrap();
    send(&storage, entry("gold", "b", 7));
    storage.let_go();
    let run = |frames| {
        for _ in 0..frames {
            clock.advance(1.0);
            locker.update(clock.now()).unwrap();
        }
    };
    run(30);
    assert_eq!(locker.is_available(), Ok(true));
    locker.mark_force_save().unwrap();
    run(1);
    assert_stored_once(&storage, json!(["a", "b"]));
    assert_eq!(offers.load(Ordering::Relaxed), 2);
    let heard = heard_by(&locker);
    assert!(
        !heard.contains(&"Replaced(Released)".to_owned()),
        "{heard:?}"
    );
}

#[test]
fn ten_thousand_waiting_changes_are_spread_over_frames_and_let_saves_through() {
    let (storage, server, offers) = world();
    put(&storage, &many("gold", 10_000));
    let other = server.load("Player_2");
    let crowded = server.store.start_session(KEY, &[]).unwrap();
    let (mut frames, mut most, mut before) = (0, 0, 0);
    while !crowded.is_loaded() {
        add_gold(&other, 1);
        let wait = other.when_changes_saved(None).unwrap();
        other.mark_force_save().unwrap();
        server.jump(0.02);
        let so_far = offers.load(Ordering::Relaxed);
        most = most.max(so_far - before);
        before = so_far;
        frames += 1;
        assert!(wait.is_saved(), "frame {frames}");
    }
    // 128 requests a frame, and one chunk begun with the last.
    assert!(most <= 128 + 15, "{most} in one frame");
    assert!((70..200).contains(&frames), "{frames} frames");
    assert_eq!(gold(&crowded), 10_100);
    save(&server, &crowded);
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_load_with_many_changes_does_not_miss_its_own_saves() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let offers = Arc::<AtomicUsize>::default();
    let hooks = Hooks {
        offers: Arc::clone(&offers),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let mut options = options(&clock, 1);
    options.config = Config {
        requests_per_update: 1,
        ..options.config
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(hooks));
    put(&storage, &many("gold", 1000));
    let profile = server.start(KEY);
    server.update();
    // One chunk a frame, and a frame every minute: longer than the expiry of 1800 s.
    while !profile.is_loaded() {
        server.jump(60.0);
    }
    assert!(server.clock.now() > 3000.0);
    assert_eq!(gold(&profile), 1100);
    assert_eq!(profile.is_available(), Ok(true));
    let stamps = storage
        .history()
        .into_iter()
        .filter(|written| written.by_server);
    let times: Vec<_> = stamps.map(|written| written.at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] <= 421.0),
        "{times:?}"
    );
    save(&server, &profile);
    server.run(3.0);
    assert_eq!(waiting(&storage), [] as [Value; 0]);
}

#[test]
fn a_save_that_is_due_does_not_wait_behind_the_loads_that_offers_wait_behind() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let hooks = Hooks {
        offers: Arc::default(),
        change: Some(Box::new(apply)),
        merge: None,
    };
    let mut options = options(&clock, 1);
    options.config = Config {
        requests_per_update: 1,
        ..options.config
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(hooks));
    put(&storage, &many("gold", 300));
    let profile = server.start(KEY);
    server.jump(0.1);
    let commits = storage.commits();
    // Each takes two grants, and each frame has one.
    let crowd: Vec<_> = (2..102)
        .map(|id| server.store.start_session(&format!("Player_{id}"), &[]))
        .collect();
    let saves = || {
        let of = |written: &support::Written| &*written.key == KEY && written.by_server;
        storage.history().into_iter().filter(of).count()
    };
    assert_eq!((commits, saves()), (1, 1));
    for _ in 0..31 {
        server.jump(10.0);
    }
    assert_eq!(saves(), 2, "the autosave");
    assert!(!profile.is_loaded());
    profile.end_session().unwrap();
    server.jump(0.1);
    assert!(profile.is_finished());
    let loaded = crowd.iter().flatten().filter(|other| other.is_loaded());
    assert!(loaded.count() < 50);
}

#[test]
fn a_session_that_is_ended_while_it_loads_is_released_unheard_and_keeps_the_rest_for_the_next() {
    let (storage, server, offers) = world();
    put(&storage, &many("gold", 300));
    let profile = server.start(KEY);
    let hooks_run = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&hooks_run);
    let before_save = Some(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }) as _);
    profile.set_before_save(false, before_save).unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    assert!(!profile.is_loaded() && wait.is_connected());
    let done = offers.load(Ordering::Relaxed);
    assert!(done > 0 && done < 300);
    profile.end_session().unwrap();
    server.jump(0.1);
    assert_eq!(offers.load(Ordering::Relaxed), done);
    assert!(profile.is_finished());
    assert_eq!(wait.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(hooks_run.load(Ordering::Relaxed), 0, "it was never loaded");
    let heard = server.heard();
    assert!(!heard.contains(&"Replaced(Loaded)".to_owned()), "{heard:?}");
    let document = storage.document(KEY);
    assert_eq!(document["Session"], Value::Null);
    assert_eq!(document["Gold"], 100 + done);
    assert_eq!(waiting(&storage).len(), 300 - done);
}

#[test]
fn a_joined_session_that_still_applies_changes_becomes_loaded_with_the_first() {
    let (storage, server, _) = world();
    put(&storage, &many("gold", 300));
    let first = server.start(KEY);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    assert!(!first.is_loaded() && !second.is_loaded());
    server.run(3.0);
    assert!(first.is_loaded() && second.is_loaded());
    assert_eq!(gold(&second), 400);
}

#[test]
fn what_senders_have_got_through_is_remembered_for_seven_days() {
    let (storage, server, profile) = live();
    let days = |days: f64| WALL_START - days * 86_400.0;
    storage.edit(KEY, |document| {
        document["Received"] = json!([["old", 4, days(7.1)], ["young", 9, days(6.9)]]);
    });
    save(&server, &profile);
    assert_eq!(
        ids(storage.document(KEY)["Received"].clone(), ""),
        [Value::Null]
    );
    let received = &storage.document(KEY)["Received"];
    assert_eq!(
        (&received[0][0], &received[0][1]),
        (&json!("young"), &json!(9))
    );
    // The sender's own entry counts, not what the owner knew.
    storage.edit(KEY, |document| document["Received"][0][1] = json!(10));
    save(&server, &profile);
    assert_eq!(storage.document(KEY)["Received"][0][1], 10);
}

/// Takes over the gold.
fn merge_gold(offline: SaveData, data: &Arc<SharedSaveData>) -> Result<(), String> {
    let mut offline = offline;
    let gold = offline
        .get_i64("/Gold")
        .map_err(|error| error.to_string())?;
    let added = data.write(|data| data.add_i64("/Gold", gold));
    added.map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn what_was_written_before_the_load_is_merged_after_the_remote_changes() {
    let storage = FaultyStorage::new();
    let server = merger(&storage, |offline, data| {
        let gold = data.read(|data| data.get_i64("/Gold"));
        assert_eq!(gold, Ok(105), "the changes come first");
        merge_gold(offline, data)
    });
    put(&storage, &[entry("gold", "a", 5)]);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    add_gold(&profile, 3);
    server.update();
    assert_eq!(gold(&profile), 108);
    let heard = server.heard();
    assert_eq!(heard, ["Replaced(Loaded)", "status Loaded"]);
    profile.end_session().unwrap();
    server.update();
    assert_eq!(storage.document(KEY)["Gold"], 108);
}

#[test]
fn the_merge_is_asked_for_at_every_load_and_one_that_writes_nothing_leaves_nothing_to_save() {
    let storage = FaultyStorage::new();
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let server = merger(&storage, move |mut offline, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        offline
            .set_i64("/Gold", 50)
            .map_err(|error| error.to_string())
    });
    let profile = server.load(KEY);
    assert_eq!((gold(&profile), calls.load(Ordering::Relaxed)), (0, 1));
    assert!(profile.when_changes_saved(None).unwrap().is_saved());
    profile.end_session().unwrap();
    server.run(1.0);
    server.load(KEY);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn a_merge_that_fails_or_panics_is_undone_and_the_data_is_loaded_all_the_same() {
    for panics in [false, true] {
        let storage = FaultyStorage::new();
        let server = merger(&storage, move |offline, data| {
            merge_gold(offline, data)?;
            assert!(!panics, "a bug in the hook");
            Err("not mergeable".to_owned())
        });
        put(&storage, &[entry("gold", "a", 5)]);
        let profile = server.store.start_session(KEY, &[]).unwrap();
        add_gold(&profile, 3);
        server.update();
        assert_eq!(gold(&profile), 105);
        let heard = server.heard();
        let expected = ["error Merge", "Replaced(Loaded)", "status Loaded"];
        assert_eq!(heard, expected);
        save(&server, &profile);
        assert_stored_once(&storage, json!(["a"]));
    }
}

#[test]
fn a_waiter_of_a_change_made_before_the_load_is_told_that_it_was_not_saved() {
    let storage = FaultyStorage::new();
    let server = merger(&storage, merge_gold);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let none = profile.when_changes_saved(None).unwrap();
    add_gold(&profile, 3);
    let some = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(gold(&profile), 3);
    assert_eq!(none.outcome(), Some(SaveOutcome::Saved));
    assert_eq!(some.outcome(), Some(SaveOutcome::NotSaved));
}

#[test]
fn a_hook_hears_of_a_key_whose_profile_the_host_has_dropped() {
    let (storage, server, profile) = live();
    let other = server.store.start_session_reusable(KEY, &[]).unwrap();
    drop(profile);
    send(&storage, entry("gold", "a", 10));
    save(&server, &other);
    assert_eq!(gold(&other), 110);
}

#[test]
fn a_migrator_may_not_write_to_a_live_document() {
    let storage = FaultyStorage::new();
    let clock = VirtualClock::new();
    let live: Arc<Mutex<Option<Profile>>> = Arc::default();
    let in_migrator = Arc::clone(&live);
    let mut migrators = MigratorBuilder::new();
    let migrate = move |data: &mut SaveData| {
        let live = in_migrator.lock();
        let other = live.as_ref().expect("a live profile").save_data();
        let written = other.write(|data| data.add_i64("/Gold", 1));
        assert_eq!(written, Err(WriteError::Busy));
        data.set_i64("/Gold", 1)
            .map_err(|error| error.to_string())?;
        Ok(0.0)
    };
    migrators.add_migrator_from(1, Arc::new(migrate)).unwrap();
    let mut options = options(&clock, 1);
    options.migrators = migrators.build().unwrap();
    options.config.save_data_version = 2;
    let server = Server::with(&storage, &clock, options);
    *live.lock() = Some(server.load("Player_2"));
    put(&storage, &[]);
    assert_eq!(gold(&server.load(KEY)), 1);
}
