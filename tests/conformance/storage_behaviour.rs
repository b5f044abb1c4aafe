//! The storage contract, a sentence a function. Each function gets a fresh and empty storage.

use std::collections::HashSet;
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use session_locker::storage::{Expected, Fetched, Outcome, Revision};

use super::*;

pub fn a_key_that_was_never_written_is_absent_without_a_tombstone(asker: Asker) {
    assert_eq!(asker.fetch("nobody"), absent(None));
    asker.put("somebody", b"1");
    assert_eq!(asker.fetch("nobody"), absent(None));
}

pub fn a_commit_that_expects_absence_creates_the_record(asker: Asker) {
    let revision = asker.commit_for("key", NEVER_WRITTEN, b"one", &["u1"]);
    let revision = revision.expect("the key is absent");
    assert_eq!(asker.fetch("key"), present(b"one", &revision, &["u1"]));
}

pub fn a_commit_at_the_records_revision_replaces_it(asker: Asker) {
    let first = asker.put("key", b"one");
    let second = asker.commit("key", Expected::Present(first.clone()), b"two");
    let second = second.expect("the revision is right");
    assert_ne!(first, second);
    assert_eq!(asker.fetch("key"), present(b"two", &second, &[]));
}

pub fn a_commit_at_a_stale_revision_conflicts_and_writes_nothing(asker: Asker) {
    let first = asker.put_for("key", b"one", &["u1"]);
    let second = asker.put_for("key", b"two", &["u2"]);
    let stale = asker.commit_for("key", Expected::Present(first), b"three", &["u3"]);
    assert_eq!(stale, None);
    assert_eq!(asker.fetch("key"), present(b"two", &second, &["u2"]));
    assert_eq!(asker.keys_of_user("u3"), [""; 0]);
}

pub fn a_commit_that_expects_absence_conflicts_with_a_record(asker: Asker) {
    let revision = asker.put("key", b"one");
    assert_eq!(asker.commit("key", NEVER_WRITTEN, b"two"), None);
    let at_its_revision = Expected::Absent(Some(revision.clone()));
    assert_eq!(asker.commit("key", at_its_revision, b"two"), None);
    assert_eq!(asker.fetch("key"), present(b"one", &revision, &[]));
}

pub fn a_commit_that_expects_a_record_conflicts_with_absence(asker: Asker) {
    let revision = asker.put("other", b"one");
    let expected = Expected::Present(revision.clone());
    assert_eq!(asker.commit("key", expected, b"two"), None);
    let expected = Expected::Absent(Some(revision));
    assert_eq!(asker.commit("key", expected, b"two"), None);
    assert_eq!(asker.fetch("key"), absent(None));
}

pub fn a_revision_that_the_engine_never_gave_conflicts(asker: Asker) {
    let revision = asker.put("key", b"one");
    let tombstone = asker.erase("erased", None).unwrap();
    let foreign = [
        Revision::from_u64(u64::MAX),
        Revision::from_u64(1 << 63),
        Revision::from_u64(1 << 40),
        Revision::from_bytes(b"somebody else's").unwrap(),
        Revision::from_bytes(&[0; 64]).unwrap(),
    ];
    for foreign in foreign {
        let expected = Expected::Present(foreign.clone());
        assert_eq!(asker.commit("key", expected.clone(), b"two"), None);
        assert_eq!(asker.erase("key", Some(expected)), None);
        let expected = Expected::Absent(Some(foreign));
        assert_eq!(asker.commit("erased", expected.clone(), b"two"), None);
        assert_eq!(asker.erase("erased", Some(expected)), None);
    }
    assert_eq!(asker.fetch("key"), present(b"one", &revision, &[]));
    assert_eq!(asker.fetch("erased"), absent(Some(&tombstone)));
}

pub fn an_erased_key_is_absent_with_the_revision_of_its_erasure(asker: Asker) {
    let revision = asker.put("key", b"one");
    let tombstone = asker.erase("key", Some(Expected::Present(revision.clone())));
    let tombstone = tombstone.expect("the revision is right");
    assert_ne!(tombstone, revision);
    assert_eq!(asker.fetch("key"), absent(Some(&tombstone)));
}

pub fn a_commit_on_a_tombstone_must_name_the_erasure(asker: Asker) {
    let revision = asker.put("key", b"one");
    let tombstone = asker.erase("key", None).unwrap();
    let wrong = [
        NEVER_WRITTEN,
        Expected::Absent(Some(revision.clone())),
        Expected::Present(revision),
        Expected::Present(tombstone.clone()),
    ];
    for wrong in wrong {
        assert_eq!(asker.commit("key", wrong, b"two"), None);
    }
    assert_eq!(asker.fetch("key"), absent(Some(&tombstone)));

    let right = Expected::Absent(Some(tombstone));
    let revision = asker.commit("key", right, b"two").expect("as fetched");
    assert_eq!(asker.fetch("key"), present(b"two", &revision, &[]));
}

pub fn an_erasure_at_a_stale_revision_conflicts_and_erases_nothing(asker: Asker) {
    let first = asker.put("key", b"one");
    let second = asker.put_for("key", b"two", &["u1"]);
    let wrong = [
        Expected::Present(first),
        NEVER_WRITTEN,
        Expected::Absent(Some(second.clone())),
    ];
    for wrong in wrong {
        assert_eq!(asker.erase("key", Some(wrong)), None);
    }
    assert_eq!(asker.fetch("key"), present(b"two", &second, &["u1"]));
    assert_eq!(asker.keys_of_user("u1"), ["key"]);
}

pub fn an_erasure_that_expects_nothing_erases_whatever_is_there(asker: Asker) {
    asker.put("key", b"one");
    let first = asker.erase("key", None).expect("nothing was expected");
    assert_eq!(asker.fetch("key"), absent(Some(&first)));
    let second = asker.erase("key", None).expect("nothing was expected");
    assert_ne!(first, second);
    assert_eq!(asker.fetch("key"), absent(Some(&second)));
}

pub fn erasing_what_is_absent_gives_it_a_new_tombstone(asker: Asker) {
    let first = asker.erase("key", Some(NEVER_WRITTEN)).expect("as it is");
    assert_eq!(asker.fetch("key"), absent(Some(&first)));
    assert_eq!(asker.commit("key", NEVER_WRITTEN, b"late"), None);
    assert_eq!(asker.erase("key", Some(NEVER_WRITTEN)), None);

    let as_fetched = Expected::Absent(Some(first.clone()));
    let second = asker.erase("key", Some(as_fetched.clone()));
    let second = second.expect("as it is");
    assert_ne!(first, second);
    assert_eq!(asker.erase("key", Some(as_fetched)), None);
    let present = Expected::Present(second.clone());
    assert_eq!(asker.erase("key", Some(present)), None);
    assert_eq!(asker.fetch("key"), absent(Some(&second)));
}

pub fn an_erasure_takes_bytes_and_user_ids_with_it(asker: Asker) {
    asker.put_for("key", b"one", &["u1", "u2"]);
    let tombstone = asker.erase("key", None).unwrap();
    assert_eq!(asker.keys_of_user("u1"), [""; 0]);
    let expected = Expected::Absent(Some(tombstone));
    let revision = asker.commit_for("key", expected, b"", &["u2"]).unwrap();
    assert_eq!(asker.fetch("key"), present(b"", &revision, &["u2"]));
    assert_eq!(asker.keys_of_user("u1"), [""; 0]);
    assert_eq!(asker.keys_of_user("u2"), ["key"]);
}

pub fn a_revision_is_never_used_twice_for_a_key(asker: Asker) {
    let mut seen = HashSet::new();
    for _ in 0..20 {
        assert!(seen.insert(asker.put("key", b"one")));
        assert!(seen.insert(asker.put("key", b"one")));
        assert!(seen.insert(asker.erase("key", None).unwrap()));
        assert!(seen.insert(asker.erase("key", None).unwrap()));
        // What happens to other keys must not bring a number back.
        asker.erase("other", None).unwrap();
    }
}

pub fn a_late_commit_cannot_land_on_a_later_life_of_the_key(asker: Asker) {
    let first_life = asker.put("key", b"same");
    let first_end = asker.erase("key", None).unwrap();
    let second_life = asker.put("key", b"same");
    let late = [
        Expected::Present(first_life.clone()),
        Expected::Absent(Some(first_end.clone())),
        NEVER_WRITTEN,
    ];
    for late in &late {
        assert_eq!(asker.commit("key", late.clone(), b"late"), None);
    }
    assert_eq!(asker.fetch("key"), present(b"same", &second_life, &[]));

    let second_end = asker.erase("key", None).unwrap();
    for late in late {
        assert_eq!(asker.commit("key", late, b"late"), None);
    }
    assert_eq!(asker.fetch("key"), absent(Some(&second_end)));
}

pub fn a_list_gives_the_keys_in_byte_order_page_by_page(asker: Asker) {
    let mut keys = vec!["a", "B", "a b", "aa", "b", "ä", "z", "\u{10ffff}", "0", "~"];
    for key in &keys {
        asker.put(key, b"");
    }
    keys.sort_unstable();
    assert_eq!(asker.list("", None, 100), keys);
    for limit in 1..=keys.len() + 1 {
        let mut pages = Vec::new();
        loop {
            let after = pages.last().cloned();
            let page = asker.list("", after.as_deref(), limit);
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            let left = keys.len() - pages.len();
            assert_eq!(page.len(), limit.min(left), "only the last page is short");
            pages.extend(page);
        }
        assert_eq!(pages, keys);
    }
}

pub fn a_list_keeps_to_its_prefix_byte_for_byte(asker: Asker) {
    let keys = [
        "p%1",
        "p%2",
        "pa1",
        "p_1",
        "px1",
        "P%1",
        "p",
        "p%",
        "spieler/ä1",
        "spieler/ä2",
        "spieler/a1",
        "spieler/å1",
        "q",
    ];
    for key in keys {
        asker.put(key, b"");
    }
    assert_eq!(asker.list("p%", None, 100), ["p%", "p%1", "p%2"]);
    assert_eq!(asker.list("p_", None, 100), ["p_1"]);
    assert_eq!(
        asker.list("spieler/ä", None, 100),
        ["spieler/ä1", "spieler/ä2"]
    );
    assert_eq!(
        asker.list("spieler/ä", Some("spieler/ä1"), 100),
        ["spieler/ä2"]
    );
    assert_eq!(asker.list("nothing", None, 100), [""; 0]);
    assert_eq!(asker.list("P", None, 100), ["P%1"]);
}

pub fn a_list_may_begin_after_any_key(asker: Asker) {
    for key in ["a/1", "b/1", "b/2", "b/3", "c/1"] {
        asker.put(key, b"");
    }
    let after_before_the_prefix = asker.list("b/", Some("a/1"), 2);
    assert_eq!(after_before_the_prefix, ["b/1", "b/2"]);
    let after_a_key_that_is_not_there = asker.list("b/", Some("b/15"), 2);
    assert_eq!(after_a_key_that_is_not_there, ["b/2", "b/3"]);
    assert_eq!(asker.list("b/", Some("b/3"), 2), [""; 0]);
    assert_eq!(asker.list("b/", Some("c"), 2), [""; 0]);
}

pub fn a_list_leaves_out_what_was_erased(asker: Asker) {
    for key in ["a", "b", "c", "d", "e"] {
        asker.put(key, b"");
    }
    asker.erase("b", None).unwrap();
    asker.erase("c", None).unwrap();
    asker.erase("never there", None).unwrap();
    assert_eq!(asker.list("", None, 2), ["a", "d"]);
    assert_eq!(asker.list("", None, 3), ["a", "d", "e"]);
    asker.put("c", b"again");
    assert_eq!(asker.list("", Some("a"), 2), ["c", "d"]);
}

pub fn the_keys_of_a_user_follow_every_commit_and_erasure(asker: Asker) {
    asker.put_for("b", b"", &["u1"]);
    asker.put_for("a", b"", &["u2", "u1"]);
    asker.put_for("ä", b"", &["u1"]);
    asker.put_for("c", b"", &["u3"]);
    assert_eq!(asker.keys_of_user("u1"), ["a", "b", "ä"]);
    asker.put_for("b", b"", &["u3"]);
    asker.erase("ä", None).unwrap();
    assert_eq!(asker.keys_of_user("u1"), ["a"]);
    assert_eq!(asker.keys_of_user("u3"), ["b", "c"]);
    assert_eq!(asker.keys_of_user("nobody"), [""; 0]);
}

pub fn a_commit_replaces_the_user_ids_and_keeps_their_order(asker: Asker) {
    asker.put_for("key", b"", &["u1", "u2"]);
    let lists: [&[&str]; 5] = [&["u2", "u1"], &["u3", "ü \"4\"\\"], &[], &["u1"], &["u1"]];
    for user_ids in lists {
        let revision = asker.put_for("key", b"", user_ids);
        assert_eq!(asker.fetch("key"), present(b"", &revision, user_ids));
        for user_id in ["u1", "u2", "u3", "ü \"4\"\\"] {
            let has_it = user_ids.contains(&user_id);
            assert_eq!(!asker.keys_of_user(user_id).is_empty(), has_it);
        }
    }
}

pub fn user_ids_are_compared_byte_for_byte(asker: Asker) {
    asker.put_for("a", b"", &["User", "%"]);
    asker.put_for("b", b"", &["user", "user "]);
    assert_eq!(asker.keys_of_user("user"), ["b"]);
    assert_eq!(asker.keys_of_user("User"), ["a"]);
    assert_eq!(asker.keys_of_user("user "), ["b"]);
    assert_eq!(asker.keys_of_user("USER"), [""; 0]);
    assert_eq!(asker.keys_of_user("%"), ["a"]);
}

pub fn a_record_may_carry_the_most_and_the_longest_user_ids(asker: Asker) {
    let user_ids: Vec<String> = (0..64).map(|n| format!("{n:0>128}")).collect();
    let user_ids: Vec<&str> = user_ids.iter().map(String::as_str).collect();
    let revision = asker.put_for("key", b"", &user_ids);
    assert_eq!(asker.fetch("key"), present(b"", &revision, &user_ids));
    assert_eq!(asker.keys_of_user(user_ids[63]), ["key"]);
}

pub fn keys_are_told_apart_byte_for_byte_up_to_the_longest(asker: Asker) {
    let longest = "ä".repeat(256);
    let nearly = format!("{}a", "ä".repeat(255));
    let keys = [
        "k", "K", " k", "k ", "k\0", "k\0x", "1", "1.0", "'", &longest, &nearly,
    ];
    for key in keys {
        assert_eq!(asker.fetch(key), absent(None));
        asker.put(key, key.as_bytes());
    }
    for key in keys {
        let Fetched::Present { bytes, .. } = asker.fetch(key) else {
            panic!("{key:?} is there");
        };
        assert_eq!(bytes, key.as_bytes());
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(asker.list("", None, 100), sorted);
}

pub fn a_value_is_any_bytes_of_any_size(asker: Asker) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let megabytes: Vec<u8> = (0..5 << 20).map(|n: u32| (n ^ (n >> 9)) as u8).collect();
    for bytes in [
        &b""[..],
        b"\0",
        b"\xff\xfe",
        &every_byte,
        &megabytes,
        b"small again",
    ] {
        let revision = asker.put("key", bytes);
        assert!(
            asker.fetch("key") == present(bytes, &revision, &[]),
            "{} bytes",
            bytes.len()
        );
    }
}

pub fn every_request_in_flight_is_answered_once_under_its_own_id(asker: Asker) {
    const REQUESTS: u64 = 3000;
    let (sender, replies) = channel();
    let sink = Arc::new(Replies(sender));
    for id in 0..REQUESTS {
        let key = format!("key {}", id % 500);
        let operation = match id % 3 {
            0 => commit(&key, NEVER_WRITTEN, b"value", &["u1"]),
            1 => fetch(&key),
            _ => erase(&key, Some(Expected::Present(Revision::from_u64(0)))),
        };
        asker.submit_to(id, operation, &sink);
    }
    drop(sink);
    // The channel ends when every responder is gone, so nothing can come after the last.
    let mut answered = HashSet::new();
    for _ in 0..REQUESTS {
        let reply = replies
            .recv_timeout(PATIENCE)
            .expect("every request is answered");
        let outcome = reply.result.expect("the storage works");
        let fits = match reply.id.0 % 3 {
            0 => matches!(outcome, Outcome::Committed(_) | Outcome::Conflict),
            1 => matches!(outcome, Outcome::Fetched(_)),
            _ => outcome == Outcome::Conflict,
        };
        assert!(fits, "request {} was answered with {outcome:?}", reply.id.0);
        assert!(
            answered.insert(reply.id),
            "request {} was answered twice",
            reply.id.0
        );
    }
    assert!(
        replies.recv_timeout(PATIENCE).is_err(),
        "an answer too many"
    );
}

pub fn of_commits_at_one_revision_exactly_one_is_written(asker: Asker) {
    const THREADS: usize = 4;
    for round in 0..20 {
        let expected = asker.expected("key");
        let barrier = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                let (asker, expected) = (asker.clone(), expected.clone());
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || {
                    barrier.wait();
                    let bytes = format!("{round} {n}");
                    let first =
                        asker.submit(commit("key", expected.clone(), bytes.as_bytes(), &[]));
                    let second = asker.submit(commit("key", expected, bytes.as_bytes(), &[]));
                    let outcome = |replies: Receiver<Reply>| {
                        replies.recv_timeout(PATIENCE).unwrap().result.unwrap()
                    };
                    [outcome(first), outcome(second)].map(|outcome| (bytes.clone(), outcome))
                })
            })
            .collect();
        let outcomes = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        let won: Vec<_> = outcomes
            .filter_map(|(bytes, outcome)| match outcome {
                Outcome::Committed(revision) => Some((bytes, revision)),
                Outcome::Conflict => None,
                other => panic!("a commit was answered with {other:?}"),
            })
            .collect();
        let [(bytes, revision)] = &won[..] else {
            panic!("exactly one wins, not {won:?}");
        };
        assert_eq!(asker.fetch("key"), present(bytes.as_bytes(), revision, &[]));
    }
}

pub fn a_counter_kept_by_several_threads_loses_no_step(asker: Asker) {
    const STEPS: u64 = 50;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let asker = asker.clone();
            thread::spawn(move || {
                for _ in 0..STEPS {
                    while !step(&asker) {}
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let Fetched::Present { bytes, .. } = asker.fetch("counter") else {
        panic!("the counter is there");
    };
    assert_eq!(*bytes, (4 * STEPS).to_le_bytes());
}

fn step(asker: &Asker) -> bool {
    let (expected, count) = match asker.fetch("counter") {
        Fetched::Present {
            bytes, revision, ..
        } => {
            let count = u64::from_le_bytes(bytes[..].try_into().unwrap());
            (Expected::Present(revision), count)
        }
        Fetched::Absent { tombstone } => (Expected::Absent(tombstone), 0),
    };
    let bytes = (count + 1).to_le_bytes();
    asker.commit("counter", expected, &bytes).is_some()
}

pub fn a_fetch_sees_what_was_acknowledged_to_another_thread(asker: Asker) {
    let (sender, acknowledged) = channel();
    let writer = asker.clone();
    let writer = thread::spawn(move || {
        for n in 0..200_u32 {
            let revision = writer.put("key", &n.to_le_bytes());
            sender.send((n, revision)).unwrap();
        }
        let tombstone = writer.erase("key", None).unwrap();
        sender.send((u32::MAX, tombstone)).unwrap();
    });
    for (n, revision) in acknowledged {
        match asker.fetch("key") {
            Fetched::Present { bytes, .. } => {
                let seen = u32::from_le_bytes(bytes[..].try_into().unwrap());
                assert!(
                    seen >= n && n != u32::MAX,
                    "saw {seen} after {n} was acknowledged"
                );
            }
            Fetched::Absent { tombstone } => {
                let tombstone = tombstone.expect("it was erased");
                assert!(n < u32::MAX || tombstone == revision);
            }
        }
    }
    writer.join().unwrap();
}

pub fn a_storage_that_is_dropped_answers_what_was_submitted(asker: Asker) {
    const REQUESTS: u64 = 2000;
    let (sender, replies) = channel();
    let sink = Arc::new(Replies(sender));
    for id in 0..REQUESTS {
        asker.submit_to(
            id,
            commit(&format!("key {id}"), NEVER_WRITTEN, b"1", &[]),
            &sink,
        );
    }
    drop(sink);
    drop(asker);
    let mut answers = 0;
    while let Ok(reply) = replies.recv_timeout(PATIENCE) {
        assert!(
            matches!(reply.result, Ok(Outcome::Committed(_))),
            "{reply:?}"
        );
        answers += 1;
    }
    assert_eq!(answers, REQUESTS);
}
