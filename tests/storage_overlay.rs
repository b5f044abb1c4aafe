//! The read-only overlay, beyond the contract: what it shows of the storage below, and that it
//! never writes there.

mod conformance;

use std::sync::Arc;

use bytes::Bytes;
use conformance::host_style::HostStyleStorage;
use conformance::{Asker, NEVER_WRITTEN, absent, commit, erase, fetch, present};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::overlay::ReadOnlyOverlay;
use session_locker::storage::{
    Expected, Fetched, Operation, Request, RequestErrorKind, Storage, StorageError,
};

/// Fails the test if it is written to, or if it is asked anything at all when `asked` is false.
struct OnlyRead {
    below: Arc<dyn Storage>,
    asked: bool,
}

impl Storage for OnlyRead {
    fn submit(&self, request: Request) {
        match request.operation {
            Operation::Commit { .. } | Operation::Erase { .. } => {
                panic!("{request:?} came through")
            }
            _ => assert!(self.asked, "{request:?} came through"),
        }
        self.below.submit(request);
    }
}

/// Fails whatever it is asked.
struct Broken;

impl Storage for Broken {
    fn submit(&self, request: Request) {
        let error = StorageError::new(RequestErrorKind::Backend, "broken");
        request.responder.answer(Err(error));
    }
}

/// A storage below, and an overlay over it.
fn overlay() -> (Asker, Asker) {
    let below: Arc<dyn Storage> = Arc::new(HostStyleStorage::new());
    let only_read = OnlyRead {
        below: Arc::clone(&below),
        asked: true,
    };
    let overlay = ReadOnlyOverlay::new(Arc::new(only_read), None);
    (Asker::new(below), Asker::new(Arc::new(overlay)))
}

/// An overlay with test data, over a storage with a record that must not be seen.
fn overlay_with_test_data() -> Asker {
    let below = Asker::new(Arc::new(MemoryStorage::new()));
    below.put_for("below", b"real", &["u1"]);
    let only_read = OnlyRead {
        below: below.storage,
        asked: false,
    };
    let test_data = Some(Bytes::from_static(b"test data"));
    Asker::new(Arc::new(ReadOnlyOverlay::new(
        Arc::new(only_read),
        test_data,
    )))
}

#[test]
fn what_was_never_written_is_seen_as_it_is_below() {
    let (below, overlay) = overlay();
    let first = below.put_for("key", b"one", &["u1"]);
    assert_eq!(overlay.fetch("key"), present(b"one", &first, &["u1"]));
    let second = below.put("key", b"two");
    assert_eq!(overlay.fetch("key"), present(b"two", &second, &[]));
    let tombstone = below.erase("key", None).unwrap();
    assert_eq!(overlay.fetch("key"), absent(Some(&tombstone)));
}

#[test]
fn fault_12_what_was_saved_is_remembered_and_stays_above() {
    let (below, overlay) = overlay();
    let as_below = below.put("key", b"below");
    let above = overlay.commit_for(
        "key",
        Expected::Present(as_below.clone()),
        b"above",
        &["u1"],
    );
    let above = above.expect("the revision is that of the storage below");
    assert_eq!(overlay.fetch("key"), present(b"above", &above, &["u1"]));
    assert_eq!(below.fetch("key"), present(b"below", &as_below, &[]));
    below.put("key", b"below again");
    assert_eq!(overlay.fetch("key"), present(b"above", &above, &["u1"]));
    assert!(
        overlay
            .commit("key", Expected::Present(above), b"above again")
            .is_some()
    );
}

#[test]
fn the_first_commit_is_judged_by_the_revision_below() {
    let (below, overlay) = overlay();
    let stale = below.put("key", b"one");
    let current = below.put("key", b"two");
    assert_eq!(
        overlay.commit("key", Expected::Present(stale.clone()), b"x"),
        None
    );
    assert_eq!(overlay.commit("key", NEVER_WRITTEN, b"x"), None);
    assert_eq!(overlay.erase("key", Some(Expected::Present(stale))), None);
    assert_eq!(overlay.fetch("key"), present(b"two", &current, &[]));

    let newer = below.put("key", b"three");
    assert_eq!(
        overlay.fetch("key"),
        present(b"three", &newer, &[]),
        "a conflict pins nothing"
    );
    assert!(
        overlay
            .commit("key", Expected::Present(newer), b"x")
            .is_some()
    );

    let tombstone = below.erase("erased", None).unwrap();
    assert_eq!(overlay.commit("erased", NEVER_WRITTEN, b"x"), None);
    assert!(
        overlay
            .commit("erased", Expected::Absent(Some(tombstone)), b"x")
            .is_some()
    );
}

#[test]
fn a_revision_given_above_is_none_that_the_key_has_had_below() {
    let below = Asker::new(Arc::new(MemoryStorage::new()));
    let overlay = ReadOnlyOverlay::new(Arc::clone(&below.storage), None);
    let overlay = Asker::new(Arc::new(overlay));
    let mut seen: Vec<_> = (0..5).map(|_| below.put("key", b"below")).collect();
    for _ in 0..5 {
        let revision = overlay.put("key", b"above");
        assert!(!seen.contains(&revision));
        seen.push(revision);
    }
}

#[test]
fn an_erasure_above_hides_what_is_below() {
    let (below, overlay) = overlay();
    for key in ["a", "b", "c"] {
        below.put_for(key, b"below", &["u1"]);
    }
    let tombstone = overlay.erase("a", None).unwrap();
    let expected = below.expected("b");
    overlay.erase("b", Some(expected)).unwrap();
    assert_eq!(overlay.fetch("a"), absent(Some(&tombstone)));
    assert_eq!(overlay.list("", None, 10), ["c"]);
    assert_eq!(overlay.keys_of_user("u1"), ["c"]);
    assert_eq!(below.list("", None, 10), ["a", "b", "c"]);
}

#[test]
fn a_list_merges_both_and_fills_its_pages() {
    let (below, overlay) = overlay();
    for key in ["p/1", "p/2", "p/3", "p/4", "p/5", "q/1"] {
        below.put(key, b"below");
    }
    for key in ["p/0", "p/3", "p/45", "p/9", "r/1"] {
        overlay.put(key, b"above");
    }
    for key in ["p/1", "p/2"] {
        overlay.erase(key, None).unwrap();
    }
    let all = ["p/0", "p/3", "p/4", "p/45", "p/5", "p/9"];
    assert_eq!(overlay.list("p/", None, 100), all);
    for limit in 1..7 {
        let mut keys: Vec<String> = Vec::new();
        loop {
            let page = overlay.list("p/", keys.last().map(String::as_str), limit);
            assert_eq!(page.len(), limit.min(all.len() - keys.len()));
            if page.is_empty() {
                break;
            }
            keys.extend(page);
        }
        assert_eq!(keys, all);
    }
}

#[test]
fn the_keys_of_a_user_are_those_of_the_records_as_seen_above() {
    let (below, overlay) = overlay();
    below.put_for("a", b"", &["u1"]);
    below.put_for("b", b"", &["u1"]);
    below.put_for("c", b"", &["u2"]);
    overlay.put_for("a", b"", &["u2"]);
    overlay.put_for("c", b"", &["u1", "u2"]);
    assert_eq!(overlay.keys_of_user("u1"), ["b", "c"]);
    assert_eq!(overlay.keys_of_user("u2"), ["a", "c"]);
}

#[test]
fn a_failure_below_is_passed_on_and_nothing_is_remembered() {
    let overlay = Asker::new(Arc::new(ReadOnlyOverlay::new(Arc::new(Broken), None)));
    let operations = [
        fetch("key"),
        commit("key", NEVER_WRITTEN, b"value", &[]),
        erase("key", Some(NEVER_WRITTEN)),
        fetch("key"),
    ];
    for operation in operations {
        let error = overlay
            .try_ask(operation)
            .expect_err("the storage below is broken");
        assert_eq!(error.message, "broken");
    }
}

#[test]
fn test_data_is_the_initial_value_of_every_key() {
    let overlay = overlay_with_test_data();
    for key in ["below", "anything"] {
        let Fetched::Present {
            bytes, user_ids, ..
        } = overlay.fetch(key)
        else {
            panic!("the test data is there");
        };
        assert_eq!((&bytes[..], user_ids.len()), (&b"test data"[..], 0));
        assert_eq!(overlay.commit(key, NEVER_WRITTEN, b"x"), None);
        let revision = overlay.put(key, b"saved");
        assert_eq!(overlay.fetch(key), present(b"saved", &revision, &[]));
    }
}

#[test]
fn with_test_data_only_what_was_written_is_listed_and_erased_stays_erased() {
    let overlay = overlay_with_test_data();
    overlay.fetch("looked at");
    overlay.put_for("written", b"1", &["u1"]);
    assert_eq!(overlay.list("", None, 10), ["written"]);
    assert_eq!(overlay.keys_of_user("u1"), ["written"]);
    let tombstone = overlay.erase("never written", None).unwrap();
    assert_eq!(overlay.fetch("never written"), absent(Some(&tombstone)));
    let stale = overlay.expected("other");
    overlay.put("other", b"1");
    assert_eq!(overlay.erase("other", Some(stale)), None);
}
