//! Storages by URL, and storages in memory by name and with a clock.

mod conformance;

use std::sync::Arc;

use bytes::Bytes;
use conformance::{Asker, NEVER_WRITTEN, absent, commit, fetch};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::{Fetched, OpenError, Operation, Outcome, Storage, open};

fn opened(url: &str) -> Asker {
    Asker::new(open(url).unwrap_or_else(|error| panic!("{url}: {error}")))
}

fn refused(url: &str) -> OpenError {
    match open(url) {
        Ok(_) => panic!("{url:?} was opened"),
        Err(error) => error,
    }
}

#[test]
fn every_unnamed_storage_in_memory_is_a_new_one() {
    let (one, other) = (opened("memory:"), opened("memory:"));
    one.put("key", b"value");
    assert_eq!(other.fetch("key"), absent(None));
}

#[test]
fn a_named_storage_in_memory_is_shared_while_somebody_holds_it() {
    let (one, other) = (opened("memory:shared"), opened("memory:shared"));
    let somebody_else = opened("memory:something else");
    one.put("key", b"value");
    assert!(matches!(other.fetch("key"), Fetched::Present { .. }));
    assert_eq!(somebody_else.fetch("key"), absent(None));
    drop(one);
    assert!(matches!(
        opened("memory:shared").fetch("key"),
        Fetched::Present { .. }
    ));
    drop(other);
    assert_eq!(opened("memory:shared").fetch("key"), absent(None));
}

#[test]
fn an_unknown_storage_is_refused_with_those_that_are_known() {
    for url in [
        "mysql:saves",
        "SQLITE:saves.db",
        ":saves",
        "http://example.com",
    ] {
        let error = refused(url);
        let scheme = url.split(':').next().unwrap();
        assert_eq!(
            error,
            OpenError::UnknownScheme {
                scheme: scheme.to_owned()
            }
        );
        assert!(
            error.to_string().contains(&format!("`{scheme}:`")),
            "{error}"
        );
        assert!(error.to_string().contains("`memory:`"), "{error}");
    }
}

#[test]
fn a_text_that_is_no_url_is_refused() {
    for url in ["", "saves.db", "memory"] {
        let error = refused(url);
        assert_eq!(
            error,
            OpenError::NoScheme {
                url: url.to_owned()
            }
        );
        assert!(error.to_string().contains("`memory:`"), "{error}");
    }
}

#[test]
fn a_storage_in_memory_refuses_parameters_by_name() {
    for url in ["memory:?size=3", "memory:name?size=3&x=y", "memory:?size"] {
        let error = refused(url);
        let is_named =
            matches!(&error, OpenError::UnknownParameter { parameter, .. } if parameter == "size");
        assert!(
            is_named && error.to_string().contains("\"size\""),
            "{error}"
        );
    }
}

#[test]
fn a_storage_in_memory_answers_with_the_clock_it_was_given() {
    let with_clock = Asker::new(Arc::new(MemoryStorage::with_clock(Arc::new(|| 1234.5))));
    let without = Asker::new(Arc::new(MemoryStorage::new()));
    for operation in [fetch("key"), commit("key", NEVER_WRITTEN, b"value", &[])] {
        assert_eq!(with_clock.reply(operation.clone()).clock, Some(1234.5));
        assert_eq!(without.reply(operation).clock, None);
    }
}

#[test]
fn a_storage_in_memory_shares_the_bytes_it_is_given() {
    let asker = Asker::new(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>);
    let bytes = Bytes::from(vec![7; 1000]);
    let outcome = asker.ask(Operation::Commit {
        key: "key".into(),
        expected: NEVER_WRITTEN,
        bytes: bytes.clone(),
        user_ids: Arc::default(),
    });
    assert!(matches!(outcome, Outcome::Committed(_)));
    let Fetched::Present { bytes: fetched, .. } = asker.fetch("key") else {
        panic!("the record is there");
    };
    assert_eq!(fetched.as_ptr(), bytes.as_ptr());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::env;
    use std::path::Path;

    use session_locker::storage::sqlite::SqliteOpenError;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_database_is_opened_by_an_absolute_or_a_relative_path() {
        let directory = TempDir::new().unwrap();
        let absolute = directory.path().join("saves & more%20.db");
        opened(&format!("sqlite:{}", absolute.display())).put("key", b"value");
        assert!(absolute.exists());

        let up = env::current_dir().unwrap().components().count() - 1;
        let from_root = absolute.strip_prefix("/").unwrap();
        let relative = Path::new(&"../".repeat(up)).join(from_root);
        let asker = opened(&format!("sqlite:{}", relative.display()));
        assert!(matches!(asker.fetch("key"), Fetched::Present { .. }));
    }

    #[test]
    fn a_path_with_a_meaning_of_its_own_to_sqlite_is_only_a_path() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("file:saves.db");
        opened(&format!("sqlite:{}", path.display())).put("key", b"value");
        assert!(path.exists());
    }

    #[test]
    fn how_durable_a_commit_is_may_be_chosen() {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}/saves.db", directory.path().display());
        for parameters in ["", "?synchronous=full", "?synchronous=normal"] {
            opened(&format!("{url}{parameters}")).put("key", b"value");
        }
        let error = refused(&format!("{url}?synchronous=off"));
        let text = error.to_string();
        assert!(
            matches!(error, OpenError::InvalidParameter { .. }),
            "{text}"
        );
        assert!(
            text.contains("\"off\"") && text.contains("`normal`"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_parameter_is_refused_by_name_before_any_file_is_made() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("saves.db");
        for parameters in ["?sync=full", "?synchronous=full&sync=1", "?"] {
            let error = refused(&format!("sqlite:{}{parameters}", path.display()));
            assert!(
                matches!(error, OpenError::UnknownParameter { .. }),
                "{error}"
            );
            assert!(error.to_string().contains("`synchronous`"), "{error}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_is_no_path_is_refused_with_examples_of_one() {
        for url in [
            "sqlite:",
            "sqlite::memory:",
            "sqlite://saves.db",
            "sqlite:///saves.db",
        ] {
            let error = refused(url);
            assert_eq!(
                error,
                OpenError::NoPath {
                    url: url.to_owned()
                }
            );
            assert!(error.to_string().contains("`sqlite:saves.db`"), "{error}");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("missing").join("saves.db");
        let error = refused(&format!("sqlite:{}", path.display()));
        let text = error.to_string();
        assert_eq!(
            error,
            OpenError::Sqlite(SqliteOpenError::NoDirectory { path })
        );
        assert!(text.contains("missing"), "{text}");
    }
}
