//! What the SQLite engine promises beyond the contract, within one process.

#![cfg(feature = "sqlite")]

mod conformance;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use conformance::{Asker, NEVER_WRITTEN, PATIENCE, Replies, absent, commit, fetch, present};
use rusqlite::Connection;
use session_locker::storage::sqlite::{SqliteOpenError, SqliteOptions, SqliteStorage};
use session_locker::storage::{
    Expected, Fetched, Outcome, RequestErrorKind, Revision, StorageError,
};
use tempfile::TempDir;

/// A directory with a path for a database in it.
struct Place {
    directory: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("saves.db");
        Self { directory, path }
    }

    fn open(&self) -> Asker {
        Asker::new(Arc::new(self.try_open().expect("the database opens")))
    }

    fn try_open(&self) -> Result<SqliteStorage, SqliteOpenError> {
        SqliteStorage::open(&self.path, SqliteOptions::default())
    }

    /// That the file is refused, and that nothing in its directory has changed.
    fn assert_refused(&self) -> SqliteOpenError {
        let before = self.contents();
        let error = match self.try_open() {
            Ok(_) => panic!("the file was opened"),
            Err(error) => error,
        };
        assert_eq!(before, self.contents());
        let path = format!("{:?}", fs::canonicalize(&self.path).unwrap());
        assert!(error.to_string().contains(&path), "{error}");
        error
    }

    fn contents(&self) -> BTreeSet<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }

    /// Does as another program would, with the engine open or closed.
    fn sql(&self, sql: &str) {
        Connection::open(&self.path)
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn number(revision: &Revision) -> u64 {
    revision.as_u64().expect("this engine counts")
}

#[test]
fn what_was_written_is_there_when_the_database_is_opened_again() {
    let place = Place::new();
    let asker = place.open();
    let kept = asker.put_for("kept", b"value", &["u1", "u2"]);
    asker.put("erased", b"value");
    let tombstone = asker.erase("erased", None).unwrap();
    drop(asker);

    let asker = place.open();
    assert_eq!(asker.fetch("kept"), present(b"value", &kept, &["u1", "u2"]));
    assert_eq!(asker.fetch("erased"), absent(Some(&tombstone)));
    assert_eq!(asker.keys_of_user("u2"), ["kept"]);
    assert_eq!(asker.list("", None, 10), ["kept"]);
}

#[test]
fn no_revision_comes_back_when_tombstones_are_forgotten() {
    let place = Place::new();
    let asker = place.open();
    asker.put("key", b"first life");
    let tombstone = asker.erase("key", None).unwrap();
    drop(asker);

    place.sql("UPDATE record SET erased_at = erased_at - 3 * 24 * 3600 WHERE key = 'key'");
    let asker = place.open();
    assert_eq!(asker.fetch("key"), absent(Some(&tombstone)));
    asker.put("other", b"a batch, after which old tombstones go");
    asker.put("other", b"the batch after that");
    assert_eq!(asker.fetch("key"), absent(None));
    let second_life = asker.commit("key", NEVER_WRITTEN, b"second life").unwrap();
    assert!(number(&second_life) > number(&tombstone));
}

#[test]
fn a_tombstone_is_kept_for_a_day() {
    let place = Place::new();
    let asker = place.open();
    let tombstone = asker.erase("key", None).unwrap();
    drop(asker);

    place.sql("UPDATE record SET erased_at = erased_at - 25 * 3600");
    let asker = place.open();
    asker.put("other", b"a batch, after which old tombstones go");
    asker.put("other", b"the batch after that");
    assert_eq!(asker.fetch("key"), absent(Some(&tombstone)));
}

#[test]
fn an_empty_file_becomes_a_database() {
    let place = Place::new();
    File::create(&place.path).unwrap();
    let asker = place.open();
    asker.put("key", b"value");
}

#[test]
fn a_closed_database_is_one_file_and_the_two_for_turns() {
    let place = Place::new();
    for _ in 0..100 {
        let asker = place.open();
        asker.put("key", b"value");
        // All its connections are in use to the last.
        let replies = [(); 10].map(|()| asker.submit(fetch("key")));
        drop(asker);
        drop(replies);
        let names: Vec<_> = place.contents().into_iter().map(|(path, _)| path).collect();
        let expected = [
            place.path.clone(),
            place.beside("-turn"),
            place.beside("-write"),
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn a_newer_schema_is_refused_by_version_and_left_as_it_is() {
    let place = Place::new();
    place.open().put("key", b"value");
    place.sql("PRAGMA user_version = 7");
    let error = place.assert_refused();
    assert!(matches!(
        error,
        SqliteOpenError::UnknownSchema {
            found: 7,
            supported: 1,
            ..
        }
    ));
    assert!(error.to_string().contains("version 7"), "{error}");
    assert!(error.to_string().contains("version 1"), "{error}");
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    let with_a_table = "CREATE TABLE record (key TEXT); INSERT INTO record VALUES ('x')";
    let with_an_id = "PRAGMA application_id = 77; CREATE TABLE other (a)";
    let with_a_version = "PRAGMA user_version = 1";
    let with_a_log = "PRAGMA journal_mode = wal; CREATE TABLE other (a)";
    for sql in [with_a_table, with_an_id, with_a_version, with_a_log] {
        let place = Place::new();
        place.sql(sql);
        let error = place.assert_refused();
        let is_foreign = matches!(error, SqliteOpenError::ForeignDatabase { .. });
        assert!(is_foreign, "{sql}: {error}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let text = "a text, not a database\n".repeat(1000);
    for length in [1, 15, 16, 99, 100, 511, 512, 513, 4095, 4096, 4097, 20_000] {
        let place = Place::new();
        fs::write(&place.path, &text[..length]).unwrap();
        let error = place.assert_refused();
        assert!(
            matches!(error, SqliteOpenError::NotADatabase { .. }),
            "{error}"
        );
    }
}

#[test]
fn a_missing_directory_is_named() {
    let place = Place::new();
    let path = place
        .directory
        .path()
        .join("no such directory")
        .join("saves.db");
    let error = SqliteStorage::open(&path, SqliteOptions::default()).err();
    assert_eq!(
        error,
        Some(SqliteOpenError::NoDirectory { path: path.clone() })
    );
    assert!(error.unwrap().to_string().contains("no such directory"));
}

#[test]
fn a_directory_is_not_opened_as_a_database() {
    let place = Place::new();
    let options = SqliteOptions::default();
    assert!(SqliteStorage::open(place.directory.path(), options).is_err());
}

#[test]
fn engines_that_open_a_new_database_at_once_all_share_it() {
    const ENGINES: usize = 6;
    let place = Arc::new(Place::new());
    let barrier = Arc::new(Barrier::new(ENGINES));
    let threads: Vec<_> = (0..ENGINES)
        .map(|n| {
            let (place, barrier) = (Arc::clone(&place), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                let asker = place.open();
                asker.put(&format!("key {n}"), b"value");
                asker
            })
        })
        .collect();
    let askers: Vec<Asker> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    for asker in askers {
        assert_eq!(asker.list("", None, 100).len(), ENGINES);
    }
}

#[test]
fn what_one_engine_acknowledged_the_other_sees_and_judges_by() {
    let place = Place::new();
    let (one, other) = (place.open(), place.open());
    for round in 0..50_u32 {
        let first = one.put("key", &round.to_le_bytes());
        assert_eq!(
            other.fetch("key"),
            present(&round.to_le_bytes(), &first, &[])
        );
        let second = other.commit("key", Expected::Present(first.clone()), b"x");
        assert!(number(&second.unwrap()) > number(&first));
        assert_eq!(one.commit("key", Expected::Present(first), b"y"), None);
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_the_database_leads_to_the_same_turns() {
    let place = Place::new();
    place.open().put("key", b"value");
    let link = place.directory.path().join("link.db");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let storage = SqliteStorage::open(&link, SqliteOptions::default()).unwrap();
    Asker::new(Arc::new(storage)).put("key", b"again");
    assert!(!beside(&link, "-turn").exists());
}

#[test]
fn the_storage_clock_is_the_wall_clock_of_the_moment() {
    let wall = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    };
    let place = Place::new();
    let asker = place.open();
    let operations = [
        fetch("key"),
        commit("key", NEVER_WRITTEN, b"value", &[]),
        fetch("key"),
    ];
    for operation in operations {
        let before = wall();
        let clock = asker.reply(operation).clock.expect("it has a clock");
        assert!((before..=wall()).contains(&clock));
    }
}

#[test]
fn the_log_stays_short_however_much_several_engines_write() {
    const MEGABYTES_EACH: usize = 48;
    let place = Arc::new(Place::new());
    let threads: Vec<_> = (0..2)
        .map(|n| {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                let asker = place.open();
                let mut longest_bytes = 0;
                for megabyte in 0..MEGABYTES_EACH {
                    let value = vec![megabyte as u8; 1 << 20];
                    asker.put(&format!("key {n} {}", megabyte % 8), &value);
                    let log_bytes = fs::metadata(place.beside("-wal")).unwrap().len();
                    longest_bytes = longest_bytes.max(log_bytes);
                }
                longest_bytes
            })
        })
        .collect();
    for thread in threads {
        let longest_bytes = thread.join().unwrap();
        assert!(
            longest_bytes < 16 << 20,
            "the log grew to {longest_bytes} bytes"
        );
    }
}

#[test]
fn a_log_that_a_reader_kept_long_is_short_again_when_the_reader_is_gone() {
    let place = Place::new();
    let asker = place.open();
    asker.put("key", b"small");
    let reader = Connection::open(&place.path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM record")
        .unwrap();
    let _: i64 = reader
        .query_row("SELECT count(*) FROM record", [], |row| row.get(0))
        .unwrap();
    let write_megabytes = |megabytes: u8| {
        for megabyte in 0..megabytes {
            asker.put("key", &vec![megabyte; 1 << 20]);
        }
        fs::metadata(place.beside("-wal")).unwrap().len()
    };
    assert!(write_megabytes(48) > 40 << 20, "the reader keeps it");
    drop(reader);
    assert!(write_megabytes(24) < 16 << 20, "nobody keeps it");
}

#[test]
fn a_writer_whose_turn_does_not_come_is_told_that_nothing_was_written() {
    let place = Place::new();
    let (asker, other) = (place.open(), place.open());
    let held = File::open(place.beside("-write")).unwrap();
    held.lock().unwrap();
    let answer = asker.try_ask(commit("key", NEVER_WRITTEN, b"value", &[]));
    assert_known_not_written(answer);
    assert_eq!(asker.fetch("key"), absent(None));

    held.unlock().unwrap();
    // The one that gave up does not keep the turn that came too late.
    other.put("key", b"other");
    asker.put("key", b"value");
}

#[test]
fn a_writer_kept_out_by_another_program_is_told_that_nothing_was_written() {
    let place = Place::new();
    let asker = place.open();
    let program = Connection::open(&place.path).unwrap();
    program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = asker.try_ask(commit("key", NEVER_WRITTEN, b"value", &[]));
    assert_known_not_written(answer);
    program.execute_batch("ROLLBACK").unwrap();
    asker.put("key", b"value");
}

fn assert_known_not_written(answer: Result<Outcome, StorageError>) {
    let error = answer.expect_err("it could not be written");
    assert_eq!(error.kind, RequestErrorKind::Backend);
    assert!(error.message.contains("nothing was written"), "{error}");
}

#[test]
fn an_engine_dropped_while_its_turn_does_not_come_answers_all_the_same() {
    const REQUESTS: u64 = 100;
    let place = Place::new();
    let asker = place.open();
    let held = File::open(place.beside("-write")).unwrap();
    held.lock().unwrap();
    let (sender, replies) = channel();
    let sink = Arc::new(Replies(sender));
    for id in 0..REQUESTS {
        asker.submit_to(
            id,
            commit(&format!("key {id}"), NEVER_WRITTEN, b"value", &[]),
            &sink,
        );
    }
    drop(sink);
    drop(asker);
    for _ in 0..REQUESTS {
        let reply = replies
            .recv_timeout(PATIENCE)
            .expect("every request is answered");
        assert_known_not_written(reply.result);
    }
    drop(held);
    assert_eq!(place.open().list("", None, 1), [""; 0]);
}

#[test]
fn a_value_beyond_the_limit_of_a_batch_is_written_like_any_other() {
    let place = Place::new();
    let asker = place.open();
    let (sender, replies) = channel();
    let sink = Arc::new(Replies(sender));
    let large = vec![7; 6 << 20];
    for id in 0..6 {
        let bytes: &[u8] = if id % 2 == 0 { &large } else { b"small" };
        asker.submit_to(
            id,
            commit(&format!("key {id}"), NEVER_WRITTEN, bytes, &[]),
            &sink,
        );
    }
    for _ in 0..6 {
        let reply = replies.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(reply.result, Ok(Outcome::Committed(_))));
    }
    let Fetched::Present { bytes, .. } = asker.fetch("key 4") else {
        panic!("the value is there");
    };
    assert!(bytes == large);
}
