//! What is logged, what the default error reporters are told, and the process-wide defaults. All
//! of it is the whole process's, so these tests run one after another, and leave it as it was.

mod support;

use std::sync::{Arc, LazyLock};

use parking_lot::{Mutex, MutexGuard};
use session_locker::easy::{EasyStore, StoreHooks};
use session_locker::locker::{
    Activity, Config, ConfigValue, LockerError, LockerHooks, LockerSpec, Reporter, SpecOptions,
    set_default_report_error,
};
use session_locker::log::{self, Level};
use session_locker::migration::MigratorBuilder;
use session_locker::save_data::SaveData;
use session_locker::storage::{Request, RequestErrorKind, Storage, StorageError};
use support::{FaultyStorage, Server, VirtualClock, WALL_START, options};

const KEY: &str = "Player_1";

/// The lines logged while it lives. Nothing of the process is as before until it is dropped.
struct Lines {
    lines: Arc<Mutex<Vec<(Level, String)>>>,
    _alone: MutexGuard<'static, ()>,
}

impl Lines {
    fn listen() -> Self {
        static ALONE: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);
        let alone = ALONE.lock();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&lines);
        log::set_sink(Some(Arc::new(move |level, message| {
            heard.lock().push((level, message.to_owned()));
        })));
        Self {
            lines,
            _alone: alone,
        }
    }

    fn take(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.lines.lock())
    }

    fn debug(&self) -> Vec<String> {
        let lines = self.take().into_iter();
        lines
            .map(|(level, line)| {
                assert_eq!(level, Level::Debug, "{line}");
                line
            })
            .collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        log::set_sink(None);
        for reporter in [Reporter::Lockers, Reporter::Senders] {
            set_default_report_error(reporter, None);
        }
        for (value, number) in DOCUMENTED {
            value.set_default(number).unwrap();
        }
    }
}

const DOCUMENTED: [(ConfigValue, f64); 6] = [
    (ConfigValue::VerboseLogs, 0.0),
    (ConfigValue::ReadOnlyDataStores, 0.0),
    (ConfigValue::MaintainSessionPeriod, 300.0),
    (ConfigValue::SessionExpiry, 1800.0),
    (ConfigValue::SessionRetryCooldown, 10.0),
    (ConfigValue::PurchaseHistoryLimit, 100.0),
];

/// A host that does not ask to hear of anything.
struct Deaf;

impl StoreHooks for Deaf {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the test has a template".to_owned())
    }

    fn hears_events(&self) -> bool {
        false
    }
}

impl LockerHooks for Deaf {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("the test has a template".to_owned())
    }

    fn hears_events(&self) -> bool {
        false
    }
}

/// A storage that answers everything with this failure.
struct Failing(RequestErrorKind, &'static str);

impl Storage for Failing {
    fn submit(&self, request: Request) {
        let Self(kind, message) = *self;
        let failure = StorageError::new(kind, message);
        request.responder.answer(Err(failure));
    }
}

fn deaf_options(verbose_logs: bool) -> SpecOptions {
    let mut options = options(&VirtualClock::new(), 1);
    options.polls_events = false;
    options.config.verbose_logs = verbose_logs;
    options
}

/// Starts a session that fails to load.
fn fail(failing: Failing, key: &str, user_ids: &[&str], verbose_logs: bool) {
    let options = deaf_options(verbose_logs);
    let store = EasyStore::new(Arc::new(failing), options, Box::new(Deaf)).unwrap();
    store.start_session(key, user_ids).unwrap();
    store.update(0.0).unwrap();
}

#[test]
fn fault_24_a_default_report_names_no_player_whatever_the_key_is() {
    let lines = Lines::listen();
    let key = "100%d.[Player_7]";
    let message = "502: no 100%d.[Player_7] of 7 and %d, nor 100xd.[Player_8] %1";
    let misc = || Failing(RequestErrorKind::Misc, message);
    fail(misc(), key, &["7", "%d"], false);
    let filtered = "502: no {datastorekey} of {userid} and {userid}, nor 100xd.[Player_8] %1";
    let line = format!("[SessionLocker] loading failed: {filtered}");
    assert_eq!(lines.take(), [(Level::Warning, line)]);

    let spec = LockerSpec::new(Arc::new(misc()), deaf_options(false), Box::new(Deaf)).unwrap();
    let locker = spec.create_locker(key, &["7", "%d"]).unwrap();
    locker.mark_should_acquire().unwrap();
    locker.update(0.0).unwrap();
    let line = format!("[SessionLocker] loading failed: {filtered}");
    assert_eq!(lines.take(), [(Level::Warning, line)]);
}

#[test]
fn verbose_logs_tell_errors_in_full_and_name_who_it_is() {
    let lines = Lines::listen();
    let script = Failing(RequestErrorKind::Script, "no table for Player_1");
    fail(script, KEY, &[], true);
    let said = lines.take();
    let line = "[SessionLocker][Player_1] loading failed: no table for Player_1";
    assert!(said.contains(&(Level::Error, line.to_owned())), "{said:?}");
}

#[test]
fn what_the_backend_is_to_blame_for_is_logged_with_verbose_logs_alone() {
    let lines = Lines::listen();
    fail(Failing(RequestErrorKind::Backend, "busy"), KEY, &[], false);
    assert!(lines.take().is_empty());
    fail(Failing(RequestErrorKind::Backend, "busy"), KEY, &[], true);
    let line = "[SessionLocker][Player_1] loading failed: busy";
    assert!(lines.take().contains(&(Level::Info, line.to_owned())));
}

#[test]
fn a_host_that_hears_its_errors_finds_none_in_the_log() {
    let lines = Lines::listen();
    let failing = || Arc::new(Failing(RequestErrorKind::Misc, "no"));
    let polls = options(&VirtualClock::new(), 1);
    let store = EasyStore::new(failing(), polls, Box::new(Deaf)).unwrap();
    store.start_session(KEY, &[]).unwrap();
    store.update(0.0).unwrap();
    assert!(!store.poll_events(9).is_empty());

    let listens = Box::new(support::no_hooks());
    let store = EasyStore::new(failing(), deaf_options(false), listens).unwrap();
    store.start_session(KEY, &[]).unwrap();
    store.update(0.0).unwrap();
    assert!(lines.take().is_empty());
}

#[test]
fn the_default_reporter_is_told_instead_of_the_log_once_for_each_session() {
    let lines = Lines::listen();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let teller = Arc::clone(&told);
    set_default_report_error(
        Reporter::Lockers,
        Some(Arc::new(move |unheard| {
            assert_eq!(unheard.error.activity, Activity::Load);
            let (prefix, key, ids) = (unheard.log_prefix, unheard.key, unheard.user_ids);
            let (full, filtered) = (&unheard.error.message, unheard.filtered_message());
            teller
                .lock()
                .push(format!("{prefix} {key} {ids:?} {full} {filtered}"));
        })),
    );
    let failing = Arc::new(Failing(RequestErrorKind::Backend, "user 77 is busy"));
    let store = EasyStore::new(failing, deaf_options(false), Box::new(Deaf)).unwrap();
    let profile = store.start_session(KEY, &["77"]).unwrap();
    profile.set_log_prefix("[Ann]").unwrap();
    store.start_session_reusable(KEY, &[]).unwrap();
    store.update(0.0).unwrap();
    let report = "[Ann] Player_1 [\"77\"] user 77 is busy user {userid} is busy";
    assert_eq!(*told.lock(), [report]);
    assert!(lines.take().is_empty());
    assert!(set_default_report_error(Reporter::Lockers, None).is_some());
}

fn verbose(options: SpecOptions) -> SpecOptions {
    let config = Config {
        verbose_logs: true,
        ..options.config
    };
    SpecOptions { config, ..options }
}

#[test]
fn verbose_logs_tell_the_steps_of_a_session() {
    let lines = Lines::listen();
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put(KEY, r#"{"Version":1,"VersionPatch":2,"Gold":9}"#);
    let mut options = verbose(options(&clock, 1));
    options.config.save_data_version = 2;
    let mut builder = MigratorBuilder::new();
    builder
        .add_migrator_from(1, Arc::new(|_: &mut SaveData| Ok(5.0)))
        .unwrap();
    options.migrators = builder.build().unwrap();
    let server = Server::with(&storage, &clock, options);
    let profile = server.load(KEY);
    let steps = [
        "acquires the session",
        "migrates from version 1 (patch 2) to version 2",
        "migrated, to patch 5",
        "acquired the session",
        "the load status is now: loaded",
    ];
    assert_eq!(
        lines.debug(),
        steps.map(|step| format!("[SessionLocker][{KEY}] {step}"))
    );

    profile.set_log_prefix("[Ann]:[1]").unwrap();
    support::add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    server.update();
    assert_eq!(lines.debug(), ["[Ann]:[1] saved (save 1 of the session)"]);

    profile.set_log_prefix("").unwrap();
    profile.end_session().unwrap();
    server.update();
    let steps = [
        "saved (save 2 of the session)",
        "released the session",
        "the load status is now: loading",
    ];
    assert_eq!(
        lines.debug(),
        steps.map(|step| format!("[SessionLocker][{KEY}] {step}"))
    );
}

#[test]
fn verbose_logs_tell_how_a_session_was_lost() {
    let lines = Lines::listen();
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let server = Server::with(&storage, &clock, verbose(options(&clock, 1)));
    let profile = server.load(KEY);
    support::add_gold(&profile, 1);
    storage.put_locked(KEY, 1, WALL_START);
    profile.mark_force_save().unwrap();
    lines.take();
    server.update();
    let lost = "[SessionLocker][Player_1] lost the session: the record is another's; \
                unsaved changes: true";
    assert_eq!(lines.debug()[0], lost);
}

#[test]
fn without_verbose_logs_a_session_is_silent() {
    let lines = Lines::listen();
    let server = Server::new(&FaultyStorage::new(), &VirtualClock::new(), 1);
    let profile = server.load(KEY);
    profile.end_session().unwrap();
    server.update();
    assert!(lines.take().is_empty());
}

#[test]
fn a_failure_is_logged_in_four_variations() {
    let lines = Lines::listen();
    log::log_error_variations("GiveItem", "no item 7", "at shop\nat main");
    let variations = [
        "GiveItem failed",
        "GiveItem failed\nat shop\nat main",
        "GiveItem failed with error:\nno item 7",
        "GiveItem failed with error:\nno item 7\nat shop\nat main",
    ];
    let warnings = variations.map(|line| (Level::Warning, line.to_owned()));
    assert_eq!(lines.take(), warnings);
}

#[test]
fn a_sink_may_log_call_back_and_replace_itself() {
    let lines = Lines::listen();
    let options = verbose(options(&VirtualClock::new(), 1));
    let storage = FaultyStorage::new() as Arc<dyn Storage>;
    let store = EasyStore::new(storage, options, Box::new(Deaf)).unwrap();
    let heard = Arc::clone(&lines.lines);
    let inner = store.clone();
    log::set_sink(Some(Arc::new(move |level, message| {
        assert!(!log::is_heard());
        log::log(Level::Error, "from inside: goes nowhere");
        assert_eq!(inner.update(1.0), Err(LockerError::Busy));
        inner.start_session("another", &[]).unwrap();
        log::set_sink(None);
        heard.lock().push((level, message.to_owned()));
    })));
    let profile = store.start_session(KEY, &[]).unwrap();
    store.update(0.0).unwrap();
    let first = "[SessionLocker][Player_1] acquires the session";
    assert_eq!(lines.debug(), [first], "it had replaced itself by none");
    assert!(profile.is_loaded() && !log::is_heard());
}

#[test]
fn a_log_prefix_that_is_too_long_is_refused() {
    let server = Server::new(&FaultyStorage::new(), &VirtualClock::new(), 1);
    let profile = server.start(KEY);
    let refused = LockerError::InvalidLogPrefix { bytes: 1025 };
    assert_eq!(profile.set_log_prefix(&"x".repeat(1025)), Err(refused));
    assert_eq!(profile.set_log_prefix(&"x".repeat(1024)), Ok(()));
}

#[test]
fn the_process_has_the_documented_defaults_until_a_host_sets_others() {
    let _lines = Lines::listen();
    for (value, documented) in DOCUMENTED {
        assert_eq!(value.default_value(), documented, "{}", value.name());
        assert_eq!(Config::default().query(value), documented);
        let other = if documented == 0.0 { 1.0 } else { 7.0 };
        value.set_default(other).unwrap();
        assert_eq!(Config::with_defaults().query(value), other);
        assert_eq!(Config::default().query(value), documented);
        assert!(value.set_default(-1.0).is_err());
        assert_eq!(
            value.default_value(),
            other,
            "a refused call changes nothing"
        );
    }
    let config = Config {
        session_expiry: 900.0,
        ..Config::with_defaults()
    };
    assert_eq!(config.query(ConfigValue::SessionExpiry), 900.0);
    assert_eq!(config.query(ConfigValue::PurchaseHistoryLimit), 7.0);
}

#[test]
fn defaults_reporters_and_the_sink_may_be_used_by_all_threads_at_once() {
    let _lines = Lines::listen();
    let work = || {
        for round in 0..200 {
            let period = ConfigValue::MaintainSessionPeriod;
            period.set_default(100.0 + f64::from(round % 2)).unwrap();
            let seen = Config::with_defaults().query(period);
            assert!([100.0, 101.0].contains(&seen));
            set_default_report_error(Reporter::Senders, Some(Arc::new(|_| {})));
            let before = log::set_sink(Some(Arc::new(|_, _| {})));
            log::log(Level::Info, "a line");
            log::set_sink(before);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
}

#[test]
fn a_read_only_spec_never_writes_to_its_storage() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let mut options = options(&clock, 1);
    options.config.read_only_data_stores = true;
    let server = Server::with(&storage, &clock, options);
    let profile = server.load(KEY);
    support::add_gold(&profile, 1);
    profile.mark_force_save().unwrap();
    server.update();
    assert!(server.heard().contains(&"Saved".to_owned()));
    assert_eq!((storage.stored(KEY), storage.commits()), (None, 0));
}
