//! Host code runs on the thread that called in, with no lock held; other threads read and write
//! meanwhile.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, Profile, Signal, StoreEvent, StoreHooks};
use session_locker::migration::MigratorBuilder;
use session_locker::save_data::SaveData;
use session_locker::storage::{Request, Storage};
use support::{FaultyStorage, Server, VirtualClock, add_gold, gold, options};

const KEY: &str = "Player_1";

/// Everything a host gives a store, each piece of which calls back into the store.
#[derive(Default)]
struct Meddler {
    store: OnceLock<EasyStore>,
    calls: AtomicUsize,
    thread: OnceLock<ThreadId>,
}

impl Meddler {
    /// Would wait for itself if a lock were held.
    fn meddle(&self) {
        let Some(store) = self.store.get() else {
            return;
        };
        assert_eq!(self.thread.get(), Some(&thread::current().id()));
        self.calls.fetch_add(1, Ordering::Relaxed);
        store.touches().expect("a count");
        store.is_closed().expect("an answer");
        // Refused once the store is closed.
        if let Ok(other) = store.start_session("Player_2", &[]) {
            other.load_status().expect("a status");
            other.destroy().expect("an end");
        }
    }
}

struct Piece(Arc<Meddler>, Arc<VirtualClock>, Arc<FaultyStorage>);

impl StoreHooks for Piece {
    fn create(&self, key: &str) -> Result<SaveData, String> {
        if key == KEY {
            self.0.meddle();
        }
        Ok(support::template())
    }

    fn event(&self, event: &StoreEvent) {
        let store = self.0.store.get().expect("a store");
        let ours = store.poll_events(1);
        assert!(ours.is_empty(), "{event:?} came by callback");
    }
}

impl Clock for Piece {
    fn wall(&self) -> f64 {
        self.0.meddle();
        self.1.wall()
    }

    fn monotonic(&self) -> f64 {
        self.0.meddle();
        self.1.monotonic()
    }

    fn sleep(&self, seconds: f64) {
        self.0.meddle();
        self.1.sleep(seconds);
    }
}

impl Storage for Piece {
    fn submit(&self, request: Request) {
        let store = self.0.store.get().expect("a store");
        store.touches().expect("a count");
        self.2.submit(request);
    }
}

#[test]
fn host_code_runs_on_the_calling_thread_with_no_lock_held() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let meddler = Arc::new(Meddler::default());
    let piece = || {
        Piece(
            Arc::clone(&meddler),
            Arc::clone(&clock),
            Arc::clone(&storage),
        )
    };
    let mut options = options(&clock, 1);
    options.template = None;
    options.clock = Arc::new(piece());
    options.polls_events = false;
    options.config.save_data_version = 2;
    let mut builder = MigratorBuilder::new();
    let migrating = Arc::clone(&meddler);
    let migrate = move |_: &mut SaveData| {
        migrating.meddle();
        Ok(0.0)
    };
    builder.add_migrator_from(1, Arc::new(migrate)).unwrap();
    options.migrators = builder.build().unwrap();
    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":1}"#);
    let store = EasyStore::new(Arc::new(piece()), options, Box::new(piece())).unwrap();
    meddler.thread.set(thread::current().id()).unwrap();
    meddler.store.set(store.clone()).ok().expect("the only one");

    let profile = store.start_session(KEY, &[]).unwrap();
    for transform in [false, true] {
        let before = Arc::clone(&meddler);
        let hook = move || {
            before.meddle();
            Ok(())
        };
        profile
            .set_before_save(transform, Some(Arc::new(hook)))
            .unwrap();
    }
    let hearing = Arc::clone(&meddler);
    let hear = move |_: &StoreEvent| hearing.meddle();
    profile
        .connect(Signal::Lifecycle, false, Arc::new(hear))
        .unwrap();
    let loaded = Arc::clone(&meddler);
    profile.when_loaded(move |_| loaded.meddle()).unwrap();
    store.update(0.0).unwrap();
    assert!(profile.is_available().unwrap());
    let answered = Arc::clone(&meddler);
    let callback = Box::new(move |_| answered.meddle());
    add_gold(&profile, 1);
    profile.when_changes_saved(Some(callback)).unwrap();
    profile.mark_force_save().unwrap();
    assert!(profile.wait_until_changes_saved(1.0).unwrap().is_some());
    assert!(store.drain(1.0).unwrap().unsaved.is_empty() || store.is_closed().unwrap());
    assert!(meddler.calls.load(Ordering::Relaxed) > 20);
}

#[test]
fn a_change_made_on_another_thread_is_in_the_storage_when_its_wait_says_so() {
    const CHANGES: i64 = 300;
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let (profile, storage) = (profile.clone(), Arc::clone(&storage));
            thread::spawn(move || {
                for _ in 0..CHANGES {
                    let data = profile.save_data();
                    let written = data.write(|data| data.add_i64("/Gold", 1)).unwrap();
                    profile.mark_force_save().unwrap();
                    let wait = profile.when_changes_saved(None).unwrap();
                    while wait.is_connected() {
                        thread::yield_now();
                    }
                    assert!(wait.is_saved());
                    let stored = storage.document(KEY)["Gold"].as_i64().unwrap();
                    assert!(stored >= written, "{stored} < {written}");
                }
            })
        })
        .collect();
    while !writers.iter().all(thread::JoinHandle::is_finished) {
        server.update();
    }
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    assert_eq!(gold(&profile), 2 * CHANGES);
}

/// A clock of the host's that calls the library.
struct Nosy {
    inner: Arc<VirtualClock>,
    profile: Mutex<Option<Profile>>,
}

impl Clock for Nosy {
    fn wall(&self) -> f64 {
        let profile = self.profile.lock().clone();
        if let Some(profile) = profile {
            profile.is_active();
        }
        self.inner.wall()
    }
    fn monotonic(&self) -> f64 {
        self.inner.monotonic()
    }
    fn sleep(&self, seconds: f64) {
        self.inner.sleep(seconds);
    }
}

/// False: it waits for itself.
fn returns(what: impl FnOnce() + Send + 'static) -> bool {
    let (tell, hear) = mpsc::channel();
    std::thread::spawn(move || {
        what();
        let _ = tell.send(());
    });
    hear.recv_timeout(Duration::from_secs(60)).is_ok()
}

#[test]
fn a_send_reads_the_clock_with_no_lock_held() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let nosy = Arc::new(Nosy {
        inner: Arc::clone(&clock),
        profile: Mutex::new(None),
    });
    let mut options = options(&clock, 1);
    options.clock = Arc::clone(&nosy) as Arc<dyn Clock>;
    let server = Server::with(&storage, &clock, options);
    let profile = server.load("Ann");
    *nosy.profile.lock() = Some(profile);
    let store = server.store.clone();
    let sends = move || {
        store
            .send_remote_changes("Ben", r#"[{"K":"k"}]"#, None, None)
            .unwrap();
    };
    assert!(returns(sends), "deadlock");
}

/// Asks for the profile when it ends.
struct Ending(Profile);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is_active();
    }
}

#[test]
fn a_callback_that_is_refused_ends_with_no_lock_held() {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    let connects = |profile: &Profile, ending: Option<Ending>| {
        let hear = move |_: &StoreEvent| assert!(ending.is_none());
        profile.connect(Signal::Saved, false, Arc::new(hear))
    };
    let waits =
        |profile: &Profile, ending: Option<Ending>| profile.when_loaded(move |_| drop(ending));
    for _ in 0..65_536 {
        connects(&profile, None).unwrap();
        waits(&profile, None).unwrap();
    }
    let asks = move || {
        connects(&profile, Some(Ending(profile.clone()))).unwrap_err();
        waits(&profile, Some(Ending(profile.clone()))).unwrap_err();
    };
    assert!(returns(asks), "deadlock");
}
