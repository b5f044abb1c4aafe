//! What the Redis engine promises beyond the contract, on the server of all tests.

#![cfg(feature = "redis")]

mod conformance;
#[path = "redis/mod.rs"]
mod servers;

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use conformance::proxy::{Proxy, Way};
use conformance::redis::url;
use conformance::{
    Asker, NEVER_WRITTEN, PATIENCE, absent, all_replies, commit, erase, fetch, present, until,
};
use servers::{address, behind_proxy, new_url, open, refused, run, run_words};
use session_locker::storage::redis::{MAX_QUEUED_REQUESTS, MAX_VALUE_BYTES, RedisOpenError};
use session_locker::storage::{
    Expected, Fetched, OpenError, Outcome, Reply, RequestErrorKind, Revision,
};

fn number(revision: &Revision) -> u64 {
    revision.as_u64().expect("this engine counts")
}

fn committed(reply: &Reply) -> Revision {
    match &reply.result {
        Ok(Outcome::Committed(revision)) => revision.clone(),
        _ => panic!("{reply:?}"),
    }
}

/// Where the server's clock is behind, a revision exceeds the one before it by a chance step.
fn check_step(before: u64, after: u64) {
    let steps = 1..=1 << 20;
    assert!(steps.contains(&(after - before)), "{before} {after}");
}

/// The one key of the server that belongs to this record.
fn key_of(prefix: &str, key: &str) -> String {
    let keys: Vec<String> = run(&format!("KEYS {prefix}:{{*}}:record:{key}"));
    let [key] = &keys[..] else {
        panic!("{key} is there once: {keys:?}");
    };
    key.clone()
}

// Opening

#[test]
fn servers_that_start_at_once_all_use_one_set_of_keys() {
    const SERVERS: usize = 8;
    let (url, prefix) = new_url();
    let together = Barrier::new(SERVERS);
    let askers: Vec<Asker> = thread::scope(|scope| {
        let start = || {
            together.wait();
            open(&url)
        };
        let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let schema: String = run(&format!("GET {prefix}:schema"));
    assert!(schema.starts_with("session-locker schema 1\n"), "{schema}");
    let revision = askers[0].put("key", b"value");
    for asker in &askers {
        assert_eq!(asker.fetch("key"), present(b"value", &revision, &[]));
    }
}

#[test]
fn what_was_written_is_there_when_the_storage_is_opened_again() {
    let (url, _) = new_url();
    let asker = open(&url);
    let kept = asker.put_for("kept", b"value", &["u1", "u2"]);
    asker.put("erased", b"value");
    let tombstone = asker.erase("erased", None).unwrap();
    drop(asker);

    let asker = open(&url);
    assert_eq!(asker.fetch("kept"), present(b"value", &kept, &["u1", "u2"]));
    assert_eq!(asker.fetch("erased"), absent(Some(&tombstone)));
    assert_eq!(asker.keys_of_user("u2"), ["kept"]);
    assert_eq!(asker.list("", None, 10), ["kept"]);
}

#[test]
fn two_prefixes_and_two_databases_know_nothing_of_each_other() {
    let (first, prefix) = new_url();
    let (second, _) = new_url();
    let third = first.replace('?', "/2?");
    open(&first).put_for("key", b"value", &["u"]);
    for url in [second, third] {
        let other = open(&url);
        assert_eq!(other.fetch("key"), absent(None));
        assert_eq!(other.list("", None, 10), [""; 0]);
        assert_eq!(other.keys_of_user("u"), [""; 0]);
    }
    assert!(key_of(&prefix, "key").starts_with(&prefix));
}

#[test]
fn a_login_that_is_wrong_is_an_error_of_opening_and_not_shown() {
    let url = url();
    for login in ["nobody:s3cret", ":s3cret"] {
        let error = refused(&url.replace("redis://", &format!("redis://{login}@")));
        let text = error.to_string();
        let is_refused = matches!(error, OpenError::Redis(RedisOpenError::Refused { .. }));
        assert!(is_refused && text.contains(&address()), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_user_with_no_more_rights_than_the_documents_say_can_do_everything() {
    let (url, prefix) = new_url();
    let rights = include_str!("../docs/storage.md");
    let rights = rights
        .lines()
        .find_map(|line| line.strip_prefix("ACL SETUSER game on >PASSWORD "))
        .expect("the documents say which rights a user needs");
    let rights = rights.replace("session_locker", &prefix);
    let mut words = vec!["ACL", "SETUSER", &prefix, "on", ">p"];
    words.extend(rights.split(' '));
    run_words::<String>(&conformance::redis::url(), &words).unwrap();

    let asker = open(&url.replace("redis://", &format!("redis://{prefix}:p@")));
    let revision = asker.put_for("key", b"value", &["u", "v"]);
    assert_eq!(
        asker.fetch("key"),
        present(b"value", &revision, &["u", "v"])
    );
    asker.put_for("key", b"value", &["v", "w"]);
    assert_eq!(asker.keys_of_user("w"), ["key"]);
    asker.erase("key", None).unwrap();
    asker.put("key", b"again");
    assert_eq!(asker.list("", None, 10), ["key"]);
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error_of_opening_when_the_time_is_over() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connect_timeout=1");
    let unknown_host = url.replace(&proxy.address(), "no-such-host.invalid:6379");
    for (way, url, host) in [
        (Way::Refuse, &url, "127.0.0.1"),
        (Way::Silent, &url, "127.0.0.1"),
        (Way::Open, &unknown_host, "no-such-host"),
    ] {
        proxy.set(way);
        let error = refused(url);
        let text = error.to_string();
        let is_unreachable = matches!(error, OpenError::Redis(RedisOpenError::Unreachable { .. }));
        assert!(is_unreachable && text.contains("within 1 s"), "{text}");
        assert!(text.contains(host), "{text}");
    }
}

#[test]
fn a_server_that_comes_up_while_the_storage_is_opened_is_found() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connect_timeout=60");
    proxy.set(Way::Refuse);
    thread::scope(|scope| {
        let opening = scope.spawn(|| open(&url));
        until(|| (proxy.turned_away() > 0).then_some(()));
        proxy.set(Way::Open);
        opening.join().unwrap().put("key", b"value");
    });
}

#[test]
fn hosts_are_tried_in_order_and_a_unix_socket_is_one() {
    let (url, _) = new_url();
    let proxy = Proxy::new(&address(), Duration::ZERO);
    proxy.set(Way::Refuse);
    let both = format!("{},{}", proxy.address(), address());
    open(&url.replace(&address(), &both)).put("key", b"value");
    assert!(proxy.turned_away() > 0);

    let (_, socket): (String, String) = run("CONFIG GET unixsocket");
    let asker = open(&url.replace(&address(), &socket.replace('/', "%2F")));
    assert!(matches!(asker.fetch("key"), Fetched::Present { .. }));
}

#[test]
fn a_host_that_does_not_answer_leaves_time_for_the_others() {
    let (url, _) = new_url();
    let proxy = Proxy::new(&address(), Duration::ZERO);
    let hosts = format!("{},{}", proxy.address(), address());
    let url = url.replace(&address(), &hosts) + "&connect_timeout=16";
    // As a machine that has gone, when the storage is opened and when a connection is made again.
    proxy.set(Way::Silent);
    open(&url).put("key", b"value");

    proxy.set(Way::Open);
    let asker = open(&url);
    proxy.set(Way::Silent);
    proxy.cut();
    // What is asked before it has seen that fails.
    let found = until(|| asker.try_ask(fetch("key")).ok());
    let is_there = matches!(found, Outcome::Fetched(Fetched::Present { .. }));
    assert!(is_there, "{found:?}");
}

#[test]
fn keys_of_another_program_or_of_a_newer_build_are_refused_and_left_as_they_are() {
    for (schema, says) in [
        ("saves", "not one of session-locker's"),
        ("session-locker schema 2", "schema version 2"),
    ] {
        let (url, prefix) = new_url();
        let key = format!("{prefix}:schema");
        run_words::<()>(&conformance::redis::url(), &["SET", &key, schema]).unwrap();
        let text = refused(&url).to_string();
        assert!(text.contains(says) && text.contains(&key), "{text}");
        assert_eq!(run::<String>(&format!("GET {key}")), schema);
    }
    let (url, prefix) = new_url();
    run::<()>(&format!("SADD {prefix}:schema member"));
    let text = refused(&url).to_string();
    assert!(text.contains("WRONGTYPE"), "{text}");
}

#[test]
fn a_game_that_opens_by_url_gets_this_engine() {
    let (url, _) = new_url();
    let storage = session_locker::storage::open(&url).unwrap();
    let replies = Asker::new(Arc::clone(&storage)).submit(fetch("key"));
    replies.recv_timeout(PATIENCE).unwrap().result.unwrap();
}

// Records

#[test]
fn no_revision_comes_back_when_tombstones_are_forgotten() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    asker.put("key", b"first life");
    let tombstone = asker.erase("key", None).unwrap();
    let record = key_of(&prefix, "key");
    let stays_ms: u64 = run(&format!("PTTL {record}"));
    let hours = stays_ms / 3_600_000;
    assert!((24..=48).contains(&hours), "{hours} hours");

    // The server's clock goes back by years, and the tombstone's time has come.
    let floor = record.replace(":record:key", ":floor");
    let later = number(&tombstone) + (1 << 50);
    run::<()>(&format!("SET {floor} {later}"));
    run::<()>(&format!("DEL {record}"));
    assert_eq!(asker.fetch("key"), absent(None));
    let expected = Expected::Absent(Some(tombstone.clone()));
    assert_eq!(asker.commit("key", expected, b"late"), None);
    let second_life = asker.commit("key", NEVER_WRITTEN, b"second life").unwrap();
    check_step(later, number(&second_life));
    assert_eq!(run::<i64>(&format!("PTTL {record}")), -1);
}

#[test]
fn revisions_go_on_when_the_servers_clock_goes_back() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    let first = number(&asker.put("key", b"1"));
    let later = first + (1 << 50);
    let record = key_of(&prefix, "key");
    run::<()>(&format!("HSET {record} revision {later}"));
    let second = number(&asker.put("key", b"2"));
    check_step(later, second);
    let tombstone = number(&asker.erase("key", None).unwrap());
    check_step(second, tombstone);
    let floor: u64 = run(&format!("GET {}", record.replace(":record:key", ":floor")));
    assert_eq!(floor, tombstone);
    check_step(tombstone, number(&asker.put("key", b"3")));
}

#[test]
fn two_servers_whose_clocks_lag_do_not_come_to_the_same_revision() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    let later = number(&asker.put("any", b"1")) + (1 << 50);
    // Two keys know as little of each other as the same key on two servers.
    let put =
        |user_id| move |asker: &Asker, key: &str| number(&asker.put_for(key, b"2", &[user_id]));
    let erase = |asker: &Asker, key: &str| number(&asker.erase(key, None).unwrap());
    let both = |change: &dyn Fn(&Asker, &str) -> u64| {
        ["a", "b"].map(|key| {
            asker.put_for(key, b"1", &["u"]);
            let record = key_of(&prefix, key);
            run::<()>(&format!("HSET {record} revision {later}"));
            change(&asker, key)
        })
    };
    for [a, b] in [both(&put("u")), both(&put("v")), both(&erase)] {
        assert_ne!(a, b);
    }
}

#[test]
fn a_record_that_is_erased_and_made_anew_stays() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    asker.put("key", b"1");
    asker.erase("key", None).unwrap();
    asker.put("key", b"2");
    let record = key_of(&prefix, "key");
    assert_eq!(run::<i64>(&format!("PTTL {record}")), -1);
}

#[test]
fn the_clock_of_every_answer_is_the_servers() {
    let (url, _) = new_url();
    let asker = open(&url);
    let now = || {
        let (seconds, microseconds): (f64, f64) = run("TIME");
        seconds + microseconds / 1e6
    };
    let operations = [
        commit("key", NEVER_WRITTEN, b"value", &[]),
        commit("key", NEVER_WRITTEN, b"conflict", &[]),
        fetch("key"),
        fetch("nobody"),
        erase("key", None),
    ];
    for operation in operations {
        let before = now();
        let clock = asker.reply(operation.clone()).clock;
        let after = now();
        let is_between = clock.is_some_and(|clock| before <= clock && clock <= after);
        assert!(is_between, "{operation:?}: {before} {clock:?} {after}");
    }
}

#[test]
fn a_value_that_is_too_large_is_our_fault_and_costs_nobody_else_anything() {
    let (url, _) = new_url();
    let asker = open(&url);
    let large = vec![0; MAX_VALUE_BYTES + 1];
    let operation = commit("large", NEVER_WRITTEN, &large, &[]);
    let error = asker.try_ask(operation).unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Script);
    asker.put("key", b"value");
}

#[test]
fn a_record_that_somebody_else_has_written_is_a_failure_and_left_as_it_is() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    asker.put("key", b"value");
    let record = key_of(&prefix, "key");
    run::<()>(&format!("HSET {record} users 9:x"));
    let error = asker.try_ask(fetch("key")).unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Misc);
    run::<()>(&format!("DEL {record}"));
    run::<()>(&format!("SET {record} text"));
    for operation in [
        fetch("key"),
        commit("key", NEVER_WRITTEN, b"v", &[]),
        erase("key", None),
    ] {
        let error = asker.try_ask(operation).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Script);
        assert!(error.message.contains("WRONGTYPE"), "{error}");
    }
    assert_eq!(run::<String>(&format!("GET {record}")), "text");
    asker.put("other", b"value");
}

#[test]
fn a_long_list_is_complete_and_in_order() {
    const KEYS: usize = 3000;
    let (url, _) = new_url();
    let asker = open(&url);
    let key = |n: usize| format!("key {n:04}");
    let create = (0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, b"", &["u"]));
    asker.ask_all(create).iter().for_each(|reply| {
        committed(reply);
    });
    let all: Vec<String> = (0..KEYS).map(key).collect();
    assert_eq!(asker.list("", None, KEYS + 1), all);
    assert_eq!(asker.list("", None, 777), all[..777]);
    assert_eq!(asker.list("key", Some(&key(100)), 1000), all[101..1101]);
    assert_eq!(asker.keys_of_user("u"), all);
}

// Several at once

#[test]
fn a_panic_while_answering_costs_that_request_alone() {
    let (url, prefix) = new_url();
    let asker = open(&url);
    // As many bytes as are ever under way at once.
    let large = vec![0; 4 << 20];
    for n in 0..8 {
        let key = n.to_string();
        asker.submit_to_panic(commit(&key, NEVER_WRITTEN, &large, &[]));
        let records = format!("KEYS {prefix}:{{*}}:record:{key}");
        until(|| (!run::<Vec<String>>(&records).is_empty()).then_some(()));
    }
    asker.put("key", b"value");
}

#[test]
fn of_one_batch_each_commit_is_judged_on_its_own() {
    const KEYS: usize = 400;
    let (url, _) = new_url();
    let asker = open(&url);
    let key = |n: usize| format!("key {n:03}");
    let created = asker.ask_all((0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, b"one", &[])));
    let revisions: Vec<Revision> = created.iter().map(committed).collect();
    let revision = |n: usize| revisions[n].clone();

    // Every fourth is stale, and every other fourth erases.
    let operation = |n: usize| match n % 4 {
        0 => {
            let stale = Expected::Present(Revision::from_u64(number(&revision(n)) - 1));
            commit(&key(n), stale, b"two", &[])
        }
        1 => erase(&key(n), Some(Expected::Present(revision(n)))),
        2 => commit(&key(n), Expected::Absent(Some(revision(n))), b"two", &[]),
        _ => commit(&key(n), Expected::Present(revision(n)), b"two", &["u"]),
    };
    for (n, reply) in asker
        .ask_all((0..KEYS).map(operation))
        .into_iter()
        .enumerate()
    {
        let outcome = reply.result.expect("the storage works");
        match (n % 4, &outcome) {
            (0 | 2, Outcome::Conflict) => {
                assert_eq!(asker.fetch(&key(n)), present(b"one", &revision(n), &[]));
            }
            (1, Outcome::Erased(tombstone)) => {
                assert_eq!(asker.fetch(&key(n)), absent(Some(tombstone)));
            }
            (3, Outcome::Committed(now)) => {
                assert_eq!(asker.fetch(&key(n)), present(b"two", now, &["u"]));
            }
            _ => panic!("{n}: {outcome:?}"),
        }
    }
    assert_eq!(asker.keys_of_user("u").len(), 100);
}

#[test]
fn of_many_commits_for_one_key_in_flight_exactly_one_is_written() {
    let (url, _) = new_url();
    let asker = open(&url);
    let mut expected = NEVER_WRITTEN;
    for round in 0..10 {
        let value = |place: usize| format!("{round} {place}").into_bytes();
        let operations = (0..50).map(|place| commit("key", expected.clone(), &value(place), &[]));
        let replies = asker.ask_all(operations);
        let is_written = |reply: &Reply| *reply.result.as_ref().unwrap() != Outcome::Conflict;
        let written: Vec<usize> = (0..50)
            .filter(|&place| is_written(&replies[place]))
            .collect();
        let [place] = written[..] else {
            panic!("{written:?}");
        };
        let revision = committed(&replies[place]);
        assert_eq!(asker.fetch("key"), present(&value(place), &revision, &[]));
        expected = Expected::Present(revision);
    }
}

#[test]
fn two_servers_that_want_the_same_keys_never_both_win() {
    const KEYS: usize = 200;
    const ROUNDS: u64 = 10;
    let (url, _) = new_url();
    let askers = [open(&url), open(&url)];
    let key = |n: usize| format!("key {n:03}");
    let count = |fetched: &Fetched| match fetched {
        Fetched::Present { bytes, .. } => String::from_utf8_lossy(bytes).parse().unwrap(),
        Fetched::Absent { .. } => 0_u64,
    };
    thread::scope(|scope| {
        for asker in &askers {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let mut left: Vec<usize> = (0..KEYS).collect();
                    while !left.is_empty() {
                        let found = asker.ask_all(left.iter().map(|&n| fetch(&key(n))));
                        let commits = left.iter().zip(found).map(|(&n, reply)| {
                            let Ok(Outcome::Fetched(fetched)) = reply.result else {
                                panic!("{reply:?}");
                            };
                            let expected = match &fetched {
                                Fetched::Present { revision, .. } => {
                                    Expected::Present(revision.clone())
                                }
                                Fetched::Absent { .. } => NEVER_WRITTEN,
                            };
                            let next = count(&fetched) + 1;
                            commit(&key(n), expected, next.to_string().as_bytes(), &[])
                        });
                        let written = asker.ask_all(commits);
                        let mut replies = written.iter();
                        left.retain(|_| {
                            let result = &replies.next().unwrap().result;
                            *result.as_ref().expect("no failure") == Outcome::Conflict
                        });
                    }
                }
            });
        }
    });
    for n in 0..KEYS {
        assert_eq!(count(&askers[0].fetch(&key(n))), 2 * ROUNDS, "{}", key(n));
    }
}

#[test]
fn records_are_found_by_what_they_say_whoever_changes_them_at_once() {
    const USERS: [&str; 4] = ["u", "v", "1:u", "ü"];
    let (url, _) = new_url();
    let askers = [open(&url), open(&url)];
    let keys: Vec<String> = (0..40).map(|n| format!("key {n:02}")).collect();
    thread::scope(|scope| {
        for (seed, asker) in askers.iter().enumerate() {
            let keys = &keys;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed as u64);
                for _ in 0..30 {
                    let operations = keys.iter().map(|key| {
                        let users: Vec<&str> =
                            USERS.into_iter().filter(|_| random.bool()).collect();
                        if random.u8(..) < 60 {
                            erase(key, None)
                        } else {
                            commit(key, asker.expected(key), b"", &users)
                        }
                    });
                    for reply in asker.ask_all(operations) {
                        reply.result.expect("the storage works");
                    }
                }
            });
        }
    });
    let asker = &askers[0];
    let mut there = Vec::new();
    let mut of_users = USERS.map(|_| Vec::new());
    for key in &keys {
        if let Fetched::Present { user_ids, .. } = asker.fetch(key) {
            there.push(key.clone());
            for (user, of_user) in USERS.iter().zip(&mut of_users) {
                if user_ids.iter().any(|id| **id == **user) {
                    of_user.push(key.clone());
                }
            }
        }
    }
    assert!(!there.is_empty() && there.len() < keys.len());
    assert_eq!(asker.list("", None, 100), there);
    for (user, of_user) in USERS.iter().zip(&of_users) {
        assert_eq!(asker.keys_of_user(user), *of_user, "{user}");
    }
}

// Broken connections

#[test]
fn what_is_submitted_while_the_server_is_away_is_done_when_it_is_back() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "");
    let asker = open(&url);
    asker.put("key", b"value");
    proxy.set(Way::Refuse);
    proxy.cut();
    // Before that, the engine has not heard that the connection is gone.
    until(|| (proxy.turned_away() > 0).then_some(()));
    let replies = asker.submit_all([fetch("key"), commit("new", NEVER_WRITTEN, b"v", &[])]);
    proxy.set(Way::Open);
    for reply in all_replies(&replies) {
        reply.result.expect("the server is back in time");
    }
}

#[test]
fn what_waits_for_a_server_that_stays_away_is_answered_and_no_more_than_may_waits() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "");
    let asker = open(&url);
    proxy.set(Way::Refuse);
    proxy.cut();
    until(|| (proxy.turned_away() > 0).then_some(()));
    let requests = MAX_QUEUED_REQUESTS + 10_000;
    let replies = asker.ask_all((0..requests).map(|n| fetch(&n.to_string())));
    let errors: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.result.expect_err("nobody is there"))
        .collect();
    let is_from_the_backend = |kind| kind == RequestErrorKind::Backend;
    assert!(errors.iter().all(|error| is_from_the_backend(error.kind)));
    let turned_away = |text: &str| text.contains("as many as may");
    let turned_away = errors.iter().filter(|e| turned_away(&e.message)).count();
    assert_eq!(turned_away, 10_000);
    let timed_out = errors.iter().find(|e| e.message.contains("for 10 s"));
    let message = &timed_out.expect("the others have waited").message;
    assert!(message.contains("nothing was written"), "{message}");

    proxy.set(Way::Open);
    until(|| asker.try_ask(fetch("key")).ok());
    asker.put("key", b"value");
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connect_timeout=20");
    let asker = open(&url);
    let revision = asker.put("key", b"value");
    proxy.set(Way::Silent);
    let error = asker.try_ask(commit("key", Expected::Present(revision), b"2", &[]));
    let error = error.expect_err("nobody answers");
    assert_eq!(error.kind, RequestErrorKind::Backend);
    assert!(error.message.contains("no answer"), "{error}");
    assert!(error.message.contains("may have been written"), "{error}");
    proxy.set(Way::Open);
    until(|| asker.try_ask(fetch("key")).ok());
}

#[test]
fn thousands_of_commits_are_under_way_to_a_server_that_is_far_away() {
    const KEYS: usize = 4000;
    let (_proxy, url) = behind_proxy(Duration::from_millis(100), "");
    let asker = open(&url);
    let key = |n: usize| format!("{n:04}");
    let create = (0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, &[7; 1000], &[]));
    let created = asker.ask_all(create);
    let replace = created.iter().enumerate().map(|(n, reply)| {
        let expected = Expected::Present(committed(reply));
        commit(&key(n), expected, &[8; 1000], &[])
    });
    asker.ask_all(replace).iter().for_each(|reply| {
        committed(reply);
    });
}

#[test]
fn a_connection_that_is_cut_costs_what_was_under_way_and_comes_back() {
    const KEYS: usize = 500;
    let (proxy, url) = behind_proxy(Duration::from_millis(50), "");
    let prefix = url.split_once("prefix=").unwrap().1;
    let asker = open(&url);
    let key = |n: usize| format!("{n:03}");
    let created = asker.ask_all((0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, b"1", &[])));
    let expected: Vec<Expected> = created
        .iter()
        .map(|r| Expected::Present(committed(r)))
        .collect();
    let commits = expected.iter().enumerate();
    let commits = commits.map(|(n, at)| commit(&key(n), at.clone(), b"2", &[]));
    let first = format!("HGET {} bytes", key_of(prefix, &key(0)));
    let replies = asker.submit_all(commits.collect::<Vec<_>>());
    // They have come there, and the answers are on their way.
    until(|| (run::<String>(&first) == "2").then_some(()));
    proxy.cut();
    let replies = all_replies(&replies);
    until(|| asker.try_ask(fetch("any")).ok());
    let found = asker.ask_all((0..KEYS).map(|n| fetch(&key(n))));
    for (n, (reply, found)) in replies.into_iter().zip(found).enumerate() {
        let is_known = match reply.result {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
                assert!(error.message.contains("broke"), "{error}");
                assert!(error.message.contains("may have been written"), "{error}");
                None
            }
        };
        let Ok(Outcome::Fetched(Fetched::Present {
            bytes, revision, ..
        })) = found.result
        else {
            panic!("{found:?}");
        };
        match is_known {
            Some(Outcome::Committed(written)) => {
                assert_eq!((&*bytes, revision), (&b"2"[..], written))
            }
            Some(other) => panic!("{other:?}"),
            None if &*bytes == b"1" => assert_eq!(Expected::Present(revision), expected[n]),
            None => assert_eq!(&*bytes, b"2"),
        }
    }
}

#[test]
fn a_storage_that_is_dropped_while_the_server_is_away_answers_what_was_submitted() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "");
    let asker = open(&url);
    proxy.set(Way::Refuse);
    proxy.cut();
    let replies = asker.submit_all((0..100).map(|n| fetch(&n.to_string())));
    drop(asker);
    for reply in all_replies(&replies) {
        reply.result.expect_err("nobody is there");
    }
}
