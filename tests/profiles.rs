//! Profiles: what they tell and in which order, sharing a session, waiting, and ending.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use session_locker::easy::{
    LoadWait, Profile, ProfileEvent, Signal, SignalCallback, Status, StoreEvent,
};
use session_locker::locker::{LoadStatus, LockerError, Reason, SaveOutcome};
use support::Fault::{FailBefore, HoldAnswer};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, add_gold, gold};

const KEY: &str = "Player_1";
const SIGNALS: [Signal; 9] = [
    Signal::Lifecycle,
    Signal::Finished,
    Signal::Destroyed,
    Signal::Saved,
    Signal::Replaced,
    Signal::Loaded,
    Signal::Reset,
    Signal::Released,
    Signal::Lost,
];

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

type Fired = Arc<Mutex<Vec<(Signal, Status)>>>;

/// Hears every signal of a profile.
fn hear_all(profile: &Profile) -> Fired {
    let fired = Fired::default();
    for signal in SIGNALS {
        let fired = Arc::clone(&fired);
        let hear = move |event: &StoreEvent| fired.lock().push((signal, status_of(event)));
        profile.connect(signal, false, Arc::new(hear)).unwrap();
    }
    fired
}

fn status_of(event: &StoreEvent) -> Status {
    match event.event {
        ProfileEvent::Lifecycle(status) => status,
        _ => panic!("a lifecycle signal tells {event:?}"),
    }
}

fn take(fired: &Fired) -> Vec<Signal> {
    let fired = std::mem::take(&mut *fired.lock());
    fired.into_iter().map(|(signal, _)| signal).collect()
}

#[test]
fn signals_fire_deepest_first() {
    let (storage, server) = world();
    let profile = server.store.start_session(KEY, &[]).unwrap();
    let fired = hear_all(&profile);
    server.update();
    use Signal::{Destroyed, Finished, Lifecycle, Loaded, Lost, Released, Replaced, Reset, Saved};
    assert_eq!(take(&fired), [Loaded, Replaced, Lifecycle]);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(take(&fired), [Saved, Lifecycle]);
    storage.put_locked(KEY, 0, WALL_START);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(take(&fired), [Lost, Reset, Replaced, Lifecycle]);
    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":0}"#);
    server.run(10.0);
    take(&fired);
    profile.end_session().unwrap();
    server.update();
    let heard = take(&fired);
    assert_eq!(heard[..4], [Destroyed, Lifecycle, Saved, Lifecycle]);
    assert_eq!(heard[4..8], [Released, Reset, Replaced, Lifecycle]);
    assert_eq!(heard[8..], [Lifecycle, Lifecycle, Finished]);
}

#[test]
fn a_connection_for_once_hears_once() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hear: SignalCallback = Arc::new(move |event| {
        assert_eq!(status_of(event), Status::Saved);
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let once = profile.connect(Signal::Saved, true, hear).unwrap();
    for _ in 0..3 {
        profile.mark_force_save().unwrap();
        server.update();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(!profile.disconnect(once));
}

#[test]
fn a_connection_ended_inside_a_callback_is_not_called_any_more() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    let calls = Arc::new(AtomicUsize::new(0));
    let second = Arc::new(Mutex::new(None));
    let (of, ends) = (profile.clone(), Arc::clone(&second));
    let first = move |_: &StoreEvent| {
        let id = ends.lock().take().expect("connected");
        assert!(of.disconnect(id));
    };
    profile
        .connect(Signal::Saved, true, Arc::new(first))
        .unwrap();
    let counted = Arc::clone(&calls);
    let never = move |_: &StoreEvent| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let id = profile.connect(Signal::Saved, false, Arc::new(never));
    *second.lock() = Some(id.unwrap());
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[test]
fn a_connection_made_inside_a_callback_hears_the_next_time() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    let calls = Arc::new(AtomicUsize::new(0));
    let (of, counted) = (profile.clone(), Arc::clone(&calls));
    let connect = move |_: &StoreEvent| {
        let counted = Arc::clone(&counted);
        let hear = move |_: &StoreEvent| {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        of.connect(Signal::Saved, false, Arc::new(hear)).unwrap();
    };
    profile
        .connect(Signal::Saved, true, Arc::new(connect))
        .unwrap();
    for expected in [0, 1] {
        profile.mark_force_save().unwrap();
        server.update();
        assert_eq!(calls.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn callbacks_may_call_anything_but_an_update_is_busy() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    let started = Arc::new(Mutex::new(None));
    let (of, store, kept) = (profile.clone(), server.store.clone(), Arc::clone(&started));
    let meddle = move |_: &StoreEvent| {
        assert_eq!(store.update(1e9), Err(LockerError::Busy));
        assert_eq!(of.wait_until_changes_saved(1.0), Err(LockerError::Busy));
        add_gold(&of, 1);
        of.mark_force_save().unwrap();
        assert!(of.is_available().unwrap());
        *kept.lock() = Some(store.start_session("Player_2", &[]).unwrap());
        of.destroy().unwrap();
    };
    profile
        .connect(Signal::Saved, true, Arc::new(meddle))
        .unwrap();
    profile.mark_force_save().unwrap();
    server.update();
    server.update();
    assert!(profile.is_finished());
    assert!(started.lock().as_ref().unwrap().is_loaded());
}

#[test]
fn a_profile_destroyed_inside_its_last_callbacks_is_gone_quietly() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    for signal in [Signal::Lifecycle, Signal::Finished, Signal::Destroyed] {
        let of = profile.clone();
        let destroy = move |_: &StoreEvent| of.destroy().unwrap();
        profile.connect(signal, false, Arc::new(destroy)).unwrap();
    }
    profile.end_session().unwrap();
    server.update();
    server.update();
    assert!(profile.is_finished());
    assert!(profile.key().is_err());
}

#[test]
fn fault_11_a_reusable_session_joins_the_loaded_one_and_is_loaded_at_once() {
    let (storage, server) = world();
    let first = server.load(KEY);
    add_gold(&first, 4);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    assert!(second.is_loaded() && second.is_available().unwrap());
    assert_eq!(gold(&second), 4);
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    second
        .when_loaded(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(called.load(Ordering::Relaxed), 0, "not before an update");
    server.update();
    assert_eq!(called.load(Ordering::Relaxed), 1);
    assert_eq!(storage.commits(), 1);

    let wait = first.when_changes_saved(None).unwrap();
    first.end_session().unwrap();
    server.update();
    assert!(!first.is_finished(), "its wait is not answered yet");
    assert!(second.is_available().unwrap());
    second.mark_force_save().unwrap();
    server.update();
    assert!(wait.is_saved() && first.is_finished() && second.is_loaded());
    second.end_session().unwrap();
    server.update();
    assert!(second.is_finished());
    assert_eq!(storage.document(KEY)["Session"], serde_json::Value::Null);
}

#[test]
fn profiles_that_share_a_session_each_finish_once() {
    let (_storage, server) = world();
    let first = server.load(KEY);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    let third = server.store.start_session_reusable(KEY, &[]).unwrap();
    let heard = [&first, &second, &third].map(hear_all);
    add_gold(&first, 1);
    first.when_changes_saved(None).unwrap();
    first.end_session().unwrap();
    second.end_session().unwrap();
    third.end_session().unwrap();
    server.update();
    server.update();
    for fired in &heard {
        let fired = take(fired);
        let finished = fired.iter().filter(|signal| **signal == Signal::Finished);
        assert_eq!(finished.count(), 1, "{fired:?}");
        assert_eq!(fired.last(), Some(&Signal::Finished));
    }
}

#[test]
fn a_reusable_session_started_before_the_load_hears_it() {
    let (storage, server) = world();
    storage.on_fetch(&[HoldAnswer]);
    let first = server.start(KEY);
    let second = server.store.start_session_reusable(KEY, &[]).unwrap();
    let fired = hear_all(&second);
    storage.let_go();
    server.update();
    assert!(first.is_loaded() && second.is_loaded());
    assert_eq!(
        take(&fired),
        [Signal::Loaded, Signal::Replaced, Signal::Lifecycle]
    );
}

#[test]
fn fault_11_an_ended_profile_hears_everything_up_to_finished_once_and_last() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    let fired = hear_all(&profile);
    storage.on_commit(&[FailBefore]);
    add_gold(&profile, 1);
    profile.when_changes_saved(None).unwrap();
    profile.end_session().unwrap();
    profile.end_session().unwrap();
    server.run(20.0);
    let heard = server.heard();
    let expected = [
        "Destroyed",
        "error Save",
        "Saved",
        "changes Saved",
        "Replaced(Released)",
        "status Loading",
        "Idling",
        "Deleted",
        "Finished",
    ];
    assert_eq!(heard, expected);
    assert_eq!(take(&fired).last(), Some(&Signal::Finished));
    assert!(profile.is_finished());
    assert!(matches!(
        profile.mark_force_save(),
        Err(LockerError::NotActive(_))
    ));
    assert!(profile.when_changes_saved(None).is_err());
}

#[test]
fn fault_11_a_session_ended_before_it_loaded_finishes_and_answers_its_waiter() {
    let (storage, server) = world();
    storage.put_locked(KEY, 0, WALL_START);
    let profile = server.start(KEY);
    let loaded = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loaded);
    profile
        .when_loaded(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    let wait = profile.when_changes_saved(None).unwrap();
    profile.end_session().unwrap();
    assert!(profile.when_loaded(|_| ()).is_err());
    server.update();
    assert!(profile.is_finished());
    assert_eq!(wait.outcome(), Some(SaveOutcome::NotSaved));
    assert_eq!(loaded.load(Ordering::Relaxed), 0);
}

#[test]
fn a_lifecycle_callback_hears_the_reason() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    let fired = hear_all(&profile);
    profile.end_session().unwrap();
    server.update();
    let released = (Signal::Released, Status::Replaced(Reason::Released));
    assert!(fired.lock().contains(&released));
}

#[test]
fn waiting_for_the_load_ends_with_the_load_a_refusal_the_end_or_the_time() {
    let (storage, server) = world();
    let wait = |profile: &Profile| profile.wait_until_loaded(5.0).unwrap();
    let start = |key: &str| server.store.start_session(key, &[]).unwrap();
    assert_eq!(wait(&start(KEY)), LoadWait::Loaded);
    storage.put("corrupt", "not JSON");
    let refused = LoadWait::Refused(LoadStatus::CorruptData);
    assert_eq!(wait(&start("corrupt")), refused);
    storage.put_locked("locked", 0, WALL_START + server.clock.now());
    let locked = start("locked");
    let before = server.clock.now();
    assert_eq!(wait(&locked), LoadWait::TimedOut);
    assert!((server.clock.now() - before - 5.0).abs() < 0.01);
    locked.end_session().unwrap();
    assert_eq!(wait(&locked), LoadWait::Ended);
}

#[test]
fn waiting_for_changes_ends_with_the_answer_or_the_time() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    add_gold(&profile, 1);
    assert_eq!(profile.wait_until_changes_saved(1.0), Ok(None));
    profile.mark_force_save().unwrap();
    let saved = profile.wait_until_changes_saved(1.0);
    assert_eq!(saved, Ok(Some(SaveOutcome::Saved)));
    storage.on_commit(&[HoldAnswer]);
    add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    assert_eq!(profile.wait_until_changes_saved(1.0), Ok(None));
    assert_eq!(profile.wait_until_changes_saved(f64::NAN), Ok(None));
    server.heard();
    storage.let_go();
    server.update();
    assert_eq!(
        server.heard(),
        ["Saved"],
        "who stopped waiting is not answered"
    );
}

#[test]
fn with_too_many_unread_events_no_session_starts_and_none_is_lost() {
    let (_storage, server) = world();
    let profile = server.load(KEY);
    for _ in 0..65_535 {
        profile.mark_force_save().unwrap();
        server.update();
    }
    assert!(server.store.start_session("Player_2", &[]).is_ok());
    profile.mark_force_save().unwrap();
    server.update();
    let refused = server.store.start_session_reusable(KEY, &[]).err();
    let unread = 65_536 + 2;
    assert_eq!(refused, Some(LockerError::UnreadEvents { unread }));
    profile.mark_force_save().unwrap();
    server.update();
    let read: usize = [10, 100_000]
        .map(|most| server.store.poll_events(most).len())
        .iter()
        .sum();
    assert_eq!(read, unread + 1);
    assert!(server.store.start_session_reusable(KEY, &[]).is_ok());
}

/// Calls the library when it goes.
struct Ending(Profile);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is_active();
    }
}

#[test]
fn a_callback_that_is_refused_goes_with_no_lock_held() {
    const MAX: usize = 65_536;
    let (_, server) = world();
    let profile = server.start(KEY);
    let nothing: SignalCallback = Arc::new(|_| {});
    for _ in 0..MAX {
        let connected = profile.connect(Signal::Saved, false, Arc::clone(&nothing));
        connected.unwrap();
        profile.when_loaded(|_| {}).unwrap();
    }
    let (tell, hear) = channel();
    std::thread::spawn(move || {
        let [one, other] = [(); 2].map(|()| Ending(profile.clone()));
        let connected = profile.connect(
            Signal::Saved,
            false,
            Arc::new(move |_| {
                one.0.is_active();
            }),
        );
        let waits = profile.when_loaded(move |_| drop(other));
        let _ = tell.send((connected.is_err(), waits.is_err()));
    });
    // For ever, if it waits for its own lock.
    let refused = hear.recv_timeout(Duration::from_secs(60));
    assert_eq!(refused, Ok((true, true)));
}
