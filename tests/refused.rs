//! Documents that this server cannot understand: never written, never locked; and migration.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_locker::locker::LoadStatus;
use session_locker::migration::MigratorBuilder;
use session_locker::save_data::SaveData;
use support::Fault::FailBefore;
use support::{Creator, FaultyStorage, Server, VirtualClock, gold, options};

const KEY: &str = "Player_1";

/// Starts a session on a document that this server must refuse; checks that nothing is written
/// and nothing asked, until the host asks anew and the record can be understood.
fn refused(server: &Server, storage: &FaultyStorage, status: LoadStatus) -> u32 {
    let before = storage.stored(KEY);
    let waiting = server.start(KEY);
    let profile = server.store.start_session(KEY, &[]).unwrap();
    server.update();
    assert_eq!(profile.load_status(), Ok(status));
    let minimum = profile.minimum_server_version().unwrap();
    let heard = server.heard();
    assert_eq!(
        heard.iter().filter(|word| word.contains("error")).count(),
        2
    );
    assert_eq!(heard.last(), Some(&format!("status {status:?}")));
    let fetches = storage.fetches();
    server.run(4000.0);
    assert_eq!((storage.fetches(), storage.commits()), (fetches, 0));
    assert_eq!(storage.stored(KEY), before);
    assert!(server.heard().is_empty(), "not idle until it is released");
    waiting.end_session().unwrap();
    profile.end_session().unwrap();
    server.update();
    assert!(profile.is_finished() && waiting.is_finished());

    storage.put(KEY, r#"{"Version":3,"VersionPatch":0,"Gold":9}"#);
    server.heard();
    assert_eq!(gold(&server.load(KEY)), 9);
    minimum
}

fn server_of_version(version: u32, storage: &Arc<FaultyStorage>) -> Server {
    let clock = VirtualClock::new();
    let mut options = options(&clock, 1);
    options.config.save_data_version = version;
    Server::with(storage, &clock, options)
}

#[test]
fn a_corrupt_document_is_never_written_and_never_locked() {
    let texts = [
        "",
        "not JSON",
        "[1]",
        r#"{"Gold":1,"Gold":2}"#,
        r#"{"Version":"x"}"#,
    ];
    for text in texts {
        let storage = FaultyStorage::new();
        storage.put(KEY, text);
        refused(
            &server_of_version(3, &storage),
            &storage,
            LoadStatus::CorruptData,
        );
    }
}

#[test]
fn a_newer_document_is_refused_with_its_version_as_the_minimum() {
    let storage = FaultyStorage::new();
    storage.put(KEY, r#"{"Version":4,"VersionPatch":0,"Gold":1}"#);
    let server = server_of_version(3, &storage);
    assert_eq!(refused(&server, &storage, LoadStatus::InvalidVersion), 4);
}

#[test]
fn an_older_document_without_a_migrator_is_refused_with_its_version_as_the_minimum() {
    let storage = FaultyStorage::new();
    storage.put(KEY, r#"{"Version":2,"VersionPatch":0,"Gold":1}"#);
    let server = server_of_version(3, &storage);
    assert_eq!(refused(&server, &storage, LoadStatus::InvalidVersion), 2);
}

#[test]
fn fault_8_a_migrator_that_fails_or_panics_is_reported_and_nothing_is_written() {
    let failing = |_: &mut SaveData| Err("no such item: 12".to_owned());
    let panicking = |_: &mut SaveData| panic!("a bug in the migrator");
    let migrators: [session_locker::migration::Migrator; 2] =
        [Arc::new(failing), Arc::new(panicking)];
    for migrator in migrators {
        let storage = FaultyStorage::new();
        storage.put(KEY, r#"{"Version":2,"VersionPatch":0,"Gold":1}"#);
        let clock = VirtualClock::new();
        let mut options = options(&clock, 1);
        options.config.save_data_version = 3;
        let mut builder = MigratorBuilder::new();
        builder.add_migrator_from(2, migrator).unwrap();
        options.migrators = builder.build().unwrap();
        let server = Server::with(&storage, &clock, options);
        refused(&server, &storage, LoadStatus::MigrationFailed);
    }
}

#[test]
fn a_failing_creator_is_reported_and_nothing_is_written() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let mut options = options(&clock, 1);
    options.template = None;
    options.config.save_data_version = 3;
    // The default document of a locker without a session is made without trouble.
    let calls = AtomicUsize::new(0);
    let create = move |_: &str| match calls.fetch_add(1, Ordering::Relaxed) {
        0 | 2 | 4 => Ok(support::template()),
        _ => Err("the creator is out of order".to_owned()),
    };
    let server = Server::with_hooks(&storage, &clock, options, Box::new(Creator(create)));
    refused(&server, &storage, LoadStatus::CreateFailed);
}

#[test]
fn an_older_document_is_migrated_before_it_is_locked() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put(KEY, r#"{"Version":2,"VersionPatch":0,"Coins":4}"#);
    let mut options = options(&clock, 1);
    options.config.save_data_version = 3;
    let mut builder = MigratorBuilder::new();
    let migrate = |data: &mut SaveData| {
        let coins = data.get_i64("/Coins").map_err(|error| error.to_string())?;
        data.set_i64("/Gold", coins)
            .map_err(|error| error.to_string())?;
        Ok(0.0)
    };
    builder.add_migrator_from(2, Arc::new(migrate)).unwrap();
    options.migrators = builder.build().unwrap();
    let server = Server::with(&storage, &clock, options);
    assert_eq!(gold(&server.load(KEY)), 4);
    assert_eq!(storage.document(KEY)["Version"], 3);
    assert_eq!(storage.commits(), 1);
}

#[test]
fn a_migrator_that_fails_the_second_time_does_not_leave_a_commit_unsettled() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put(KEY, r#"{"Version":1,"VersionPatch":0,"Gold":5}"#);
    let mut options = options(&clock, 1);
    options.config.save_data_version = 2;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let migrate = move |_: &mut SaveData| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(0.0),
        _ => Err("fails".to_owned()),
    };
    let mut builder = MigratorBuilder::new();
    builder.add_migrator_from(1, Arc::new(migrate)).unwrap();
    options.migrators = builder.build().unwrap();
    let server = Server::with(&storage, &clock, options);
    storage.on_commit(&[FailBefore, FailBefore]);
    let profile = server.start(KEY);
    server.run(60.0);
    assert!(profile.is_loaded());
    assert_eq!((gold(&profile), runs.load(Ordering::Relaxed)), (5, 1));
    assert_eq!(storage.document(KEY)["Version"], 2);
}
