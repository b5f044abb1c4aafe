//! What the PostgreSQL engine promises beyond the contract, on the server of all tests.

#![cfg(feature = "postgres")]

mod conformance;
mod postgres;

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use conformance::postgres::{admin_url, new_table, url};
use conformance::proxy::{Proxy, Way};
use conformance::{
    Asker, NEVER_WRITTEN, PATIENCE, absent, all_replies, commit, erase, fetch, present, until,
};
use postgres::{
    SqlSession, address, is_encrypted, new_table_url, open, refused, sql, with_address, with_login,
};
use session_locker::storage::postgres::{MAX_QUEUED_REQUESTS, MAX_VALUE_BYTES, PostgresOpenError};
use session_locker::storage::{Expected, Fetched, OpenError, Outcome, RequestErrorKind, Revision};

/// A network to the server of all tests, and the URL of a new table behind it.
fn behind_proxy(delay: Duration, parameters: &str) -> (Proxy, String) {
    let (url, _) = new_table_url();
    let proxy = Proxy::new(address(&url), delay);
    let url = with_address(&url, &proxy.address());
    (proxy, url + parameters)
}

fn number(revision: &Revision) -> u64 {
    revision.as_u64().expect("this engine counts")
}

fn count(key: &str, asker: &Asker) -> u64 {
    match asker.fetch(key) {
        Fetched::Present { bytes, .. } => String::from_utf8_lossy(&bytes).parse().unwrap(),
        Fetched::Absent { .. } => 0,
    }
}

// Opening

#[test]
fn servers_that_start_at_once_all_find_one_table() {
    const SERVERS: usize = 8;
    for _ in 0..2 {
        let (url, _) = new_table_url();
        let together = Barrier::new(SERVERS);
        let askers: Vec<Asker> = thread::scope(|scope| {
            let start = || {
                together.wait();
                open(&url)
            };
            let threads: Vec<_> = (0..SERVERS).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let revision = askers[0].put("key", b"value");
        for asker in &askers {
            assert_eq!(asker.fetch("key"), present(b"value", &revision, &[]));
        }
    }
}

#[test]
fn a_table_that_appears_while_a_server_looks_for_it_is_found() {
    let name = new_table();
    let in_database = |url: &str| {
        let (server, _) = url.rsplit_once('/').expect("a database");
        format!("{server}/{name}")
    };
    let url = with_login(&in_database(&url()), &format!("{name}:p"));
    let url = format!("{url}?table=schema_of.{name}&connections=1&connect_timeout=60");
    // It looks for the schemas in the middle of a statement, and does not get on. What it reads after that is
    // as old as the statement's first moment, when it was planned.
    sql(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'p';
         ALTER ROLE {name} SET search_path = '';
         ALTER ROLE {name} SET default_transaction_isolation = 'repeatable read'"
    ));
    sql(&format!("CREATE DATABASE {name} OWNER {name}"));
    let other = SqlSession::connect(&in_database(&admin_url())).unwrap();
    let run = |sql: &str| other.run(sql).unwrap();
    run(&format!("CREATE SCHEMA schema_of AUTHORIZATION {name}"));

    run("BEGIN; LOCK TABLE pg_namespace IN ACCESS EXCLUSIVE MODE");
    run(&format!(
        "SET LOCAL SESSION AUTHORIZATION {name};
         CREATE SEQUENCE schema_of.{name}_revision;
         CREATE TABLE schema_of.{name} (
             key bytea PRIMARY KEY, revision bigint NOT NULL, erased_at timestamptz,
             user_ids bytea[] NOT NULL, bytes bytea NOT NULL
         );
         COMMENT ON TABLE schema_of.{name} IS 'session-locker schema 1'"
    ));
    thread::scope(|scope| {
        let opening = scope.spawn(|| open(&url));
        until(|| {
            let waits = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                         WHERE relation = 'pg_namespace'::regclass AND NOT granted \
                         AND datname = current_database()";
            (!run(waits).is_empty()).then_some(())
        });
        run("COMMIT");
        opening.join().unwrap().put("key", b"value");
    });
}

#[test]
fn what_was_written_is_there_when_the_table_is_opened_again() {
    let (url, _) = new_table_url();
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
fn a_login_that_is_wrong_is_an_error_of_opening_and_not_shown() {
    let url = url();
    for (url, says) in [
        (with_login(&url, "game:s3cret"), "28P01"),
        (with_login(&url, "nobody:s3cret"), "28P01"),
        (with_login(&url, "game"), "password missing"),
        (url.replace("/saves", "/missing"), "3D000"),
    ] {
        let error = refused(&url);
        let text = error.to_string();
        let is_refused = matches!(
            error,
            OpenError::Postgres(PostgresOpenError::Refused { .. })
        );
        assert!(is_refused && text.contains(says), "{text}");
        assert!(
            text.contains(address(&url)) && !text.contains("s3cret"),
            "{text}"
        );
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error_of_opening_when_the_time_is_over() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connect_timeout=1");
    proxy.set(Way::Refuse);
    let unknown_host = with_address(&url, "no-such-host.invalid:5432");
    proxy.set(Way::Silent);
    for url in [url, unknown_host] {
        let error = refused(&url);
        let text = error.to_string();
        let is_unreachable = matches!(
            error,
            OpenError::Postgres(PostgresOpenError::Unreachable { .. })
        );
        assert!(is_unreachable && text.contains("within 1 s"), "{text}");
        let host = address(&url).split(':').next().unwrap();
        assert!(text.contains(host), "{text}");
    }
}

#[test]
fn a_server_that_comes_up_while_the_storage_is_opened_is_found() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connect_timeout=60");
    proxy.set(Way::Refuse);
    thread::scope(|scope| {
        let opening = scope.spawn(|| open(&url));
        proxy.set(Way::Open);
        opening.join().unwrap().put("key", b"value");
    });
}

#[test]
fn hosts_are_tried_in_order_and_a_unix_socket_is_one() {
    let (url, _) = new_table_url();
    let proxy = Proxy::new(address(&url), Duration::ZERO);
    proxy.set(Way::Refuse);
    let both = format!("{},{}", proxy.address(), address(&url));
    open(&with_address(&url, &both)).put("key", b"value");

    let folder = &sql("SHOW unix_socket_directories")[0];
    let port = address(&url).split(':').nth(1).unwrap();
    let socket = format!("{}:{port}", folder.replace('/', "%2F"));
    let asker = open(&with_address(&url, &socket));
    assert!(matches!(asker.fetch("key"), Fetched::Present { .. }));
}

#[test]
fn a_host_that_does_not_answer_leaves_time_for_the_others() {
    let (url, _) = new_table_url();
    let proxy = Proxy::new(address(&url), Duration::ZERO);
    let hosts = format!("{},{}", proxy.address(), address(&url));
    let url = with_address(&url, &hosts) + "&connections=1&connect_timeout=16";
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
fn a_table_of_another_program_is_refused_and_left_as_it_is() {
    let (url, table) = new_table_url();
    sql(&format!(
        "CREATE TABLE {table} (id int); INSERT INTO {table} VALUES (7)"
    ));
    let error = refused(&url);
    let text = error.to_string();
    let is_foreign = matches!(
        error,
        OpenError::Postgres(PostgresOpenError::ForeignTable { .. })
    );
    assert!(is_foreign && text.contains(&table), "{text}");
    assert_eq!(sql(&format!("SELECT id FROM {table}")), ["7"]);
}

#[test]
fn a_table_of_a_newer_build_is_refused_and_left_as_it_is() {
    let (url, table) = new_table_url();
    open(&url).put("key", b"value");
    sql(&format!(
        "COMMENT ON TABLE {table} IS 'session-locker schema 2'"
    ));
    let error = refused(&url);
    assert!(error.to_string().contains("schema version 2"), "{error}");
    assert_eq!(sql(&format!("SELECT count(*) FROM {table}")), ["1"]);
}

#[test]
fn a_schema_is_named_before_the_table_and_must_be_there() {
    let table = new_table();
    let url = format!("{}?table=schema_{table}.{table}", url());
    let text = refused(&url).to_string();
    assert!(text.contains("3F000"), "{text}");
    sql(&format!("CREATE SCHEMA schema_{table} AUTHORIZATION game"));
    let revision = open(&url).put("key", b"value");
    assert_eq!(open(&url).fetch("key"), present(b"value", &revision, &[]));
    let found = sql(&format!("SELECT revision FROM schema_{table}.{table}"));
    assert_eq!(found, [number(&revision).to_string()]);
}

#[test]
fn a_role_that_may_not_make_tables_uses_one_that_was_made_for_it() {
    let (url, table) = new_table_url();
    sql(&format!("CREATE ROLE {table} LOGIN PASSWORD 'p'"));
    let as_role = with_login(&url, &format!("{table}:p"));
    let error = refused(&as_role);
    let text = error.to_string();
    let is_not_created = matches!(
        error,
        OpenError::Postgres(PostgresOpenError::NotCreated { .. })
    );
    assert!(
        is_not_created && text.contains("permission denied"),
        "{text}"
    );

    drop(open(&url));
    sql(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {table};
         GRANT USAGE ON SEQUENCE {table}_revision TO {table}"
    ));
    let asker = open(&as_role);
    asker.put_for("key", b"value", &["u"]);
    asker.erase("key", None).unwrap();
    assert_eq!(asker.list("", None, 10), [""; 0]);
}

#[test]
fn a_database_that_is_read_only_is_not_opened() {
    let (url, table) = new_table_url();
    drop(open(&url));
    sql(&format!(
        "CREATE ROLE {table} LOGIN PASSWORD 'p';
         ALTER ROLE {table} SET default_transaction_read_only = on"
    ));
    let login = format!("{table}:p");
    let url = with_login(&url, &login) + "&connect_timeout=3";
    until(|| {
        refused(&url)
            .to_string()
            .contains("read-only")
            .then_some(())
    });
}

#[test]
fn the_value_is_compressed_by_lz4_where_the_server_can() {
    let (url, table) = new_table_url();
    drop(open(&url));
    let sql = sql(&format!(
        "SELECT attcompression FROM pg_attribute \
         WHERE attrelid = '{table}'::regclass AND attname = 'bytes'"
    ));
    assert_eq!(sql, ["l"], "Debian builds its servers with lz4");
}

// Records

#[test]
fn no_revision_comes_back_when_tombstones_are_forgotten() {
    let (url, table) = new_table_url();
    let asker = open(&url);
    asker.put("key", b"first life");
    let tombstone = asker.erase("key", None).unwrap();
    asker.put("young", b"value");
    let young = asker.erase("young", None).unwrap();
    drop(asker);

    let age = format!("UPDATE {table} SET erased_at = erased_at - interval '49 hours'");
    sql(&format!("{age} WHERE key = 'key'"));
    let asker = open(&url);
    until(|| (asker.fetch("key") == absent(None)).then_some(()));
    assert_eq!(asker.fetch("young"), absent(Some(&young)));
    let expected = Expected::Absent(Some(tombstone.clone()));
    assert_eq!(asker.commit("key", expected, b"late"), None);
    let second_life = asker.commit("key", NEVER_WRITTEN, b"second life").unwrap();
    assert!(number(&second_life) >> 16 > number(&tombstone) >> 16);
}

#[test]
fn a_counter_that_begins_anew_does_not_bring_revisions_back() {
    let (url, table) = new_table_url();
    let asker = open(&url);
    let first: Vec<u64> = (0..20).map(|_| number(&asker.put("key", b"v"))).collect();
    // As when a copy from before takes the database's place.
    sql(&format!("ALTER SEQUENCE {table}_revision RESTART"));
    let second: Vec<u64> = (0..20).map(|_| number(&asker.put("key", b"v"))).collect();
    let counted = |revisions: &[u64]| -> Vec<u64> { revisions.iter().map(|r| r >> 16).collect() };
    assert_eq!(counted(&first), counted(&second));
    // One of them may be the same by chance, one time in 3000.
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(same <= 1, "{first:?} {second:?}");
}

#[test]
fn the_clock_of_every_answer_is_the_servers() {
    let (url, _) = new_table_url();
    let asker = open(&url);
    let now = || -> f64 {
        sql("SELECT extract(epoch FROM clock_timestamp())")[0]
            .parse()
            .unwrap()
    };
    let operations = [
        commit("key", NEVER_WRITTEN, b"value", &[]),
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
    let (url, _) = new_table_url();
    let asker = open(&url);
    let large = vec![0; MAX_VALUE_BYTES + 1];
    let operation = commit("large", NEVER_WRITTEN, &large, &[]);
    let error = asker.try_ask(operation).unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Script);
    asker.put("key", b"value");
}

// Several at once

#[test]
fn a_panic_while_answering_costs_that_request_alone() {
    let (url, _) = new_table_url();
    let asker = open(&(url + "&connections=1"));
    // As many as are ever under way at once.
    for n in 0..10 {
        let key = format!("{n:04}");
        asker.submit_to_panic(commit(&key, NEVER_WRITTEN, b"1", &[]));
        until(|| (asker.expected(&key) != NEVER_WRITTEN).then_some(()));
    }
    asker.put("key", b"value");
}

#[test]
fn of_one_batch_each_commit_is_judged_on_its_own() {
    const KEYS: u64 = 400;
    let (url, _) = new_table_url();
    let asker = open(&url);
    let key = |n: u64| format!("key {n:03}");
    let created = (0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, b"one", &[]));
    let created = asker.ask_all(created);
    let revision = |n: u64| match &created[n as usize].result {
        Ok(Outcome::Committed(revision)) => revision.clone(),
        other => panic!("{other:?}"),
    };
    let mut seen = HashSet::new();
    assert!((0..KEYS).all(|n| seen.insert(revision(n))));

    // Every fourth is stale, and every other fourth erases.
    let operation = |n: u64| match n % 4 {
        0 => commit(
            &key(n),
            Expected::Present(revision((n + 1) % KEYS)),
            b"two",
            &[],
        ),
        1 => erase(&key(n), Some(Expected::Present(revision(n)))),
        2 => commit(&key(n), Expected::Absent(Some(revision(n))), b"two", &[]),
        _ => commit(&key(n), Expected::Present(revision(n)), b"two", &["u"]),
    };
    let replies = asker.ask_all((0..KEYS).map(operation));
    for (n, reply) in (0..).zip(replies) {
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
    let (url, _) = new_table_url();
    let asker = open(&url);
    let mut expected = NEVER_WRITTEN;
    for round in 0..10 {
        let value = |id: u64| format!("{round} {id}").into_bytes();
        let operations = (0..50).map(|id| commit("key", expected.clone(), &value(id), &[]));
        let mut written: Vec<_> = (0..).zip(asker.ask_all(operations)).collect();
        written.retain(|(_, reply)| *reply.result.as_ref().unwrap() != Outcome::Conflict);
        assert_eq!(written.len(), 1, "{written:?}");
        let (id, reply) = written.pop().unwrap();
        let Ok(Outcome::Committed(revision)) = reply.result else {
            panic!("{reply:?}");
        };
        assert_eq!(asker.fetch("key"), present(&value(id), &revision, &[]));
        expected = Expected::Present(revision);
    }
}

/// Two engines of one table that want the same keys, in opposite orders.
fn contend(url: &str) {
    const KEYS: u64 = 200;
    const ROUNDS: u64 = 10;
    let askers = [open(url), open(url)];
    let key = |n: u64| format!("key {n:03}");
    thread::scope(|scope| {
        for (side, asker) in askers.iter().enumerate() {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let order = |n| if side == 0 { n } else { KEYS - 1 - n };
                    let mut left: Vec<u64> = (0..KEYS).map(order).collect();
                    while !left.is_empty() {
                        let fetches = left.iter().map(|&n| fetch(&key(n)));
                        let found = asker.ask_all(fetches);
                        let commits = left.iter().enumerate().map(|(place, &n)| {
                            let (expected, count) = match &found[place].result {
                                Ok(Outcome::Fetched(Fetched::Present {
                                    bytes, revision, ..
                                })) => {
                                    let count = String::from_utf8_lossy(bytes).parse().unwrap();
                                    (Expected::Present(revision.clone()), count)
                                }
                                Ok(Outcome::Fetched(_)) => (NEVER_WRITTEN, 0),
                                other => panic!("{other:?}"),
                            };
                            let next: u64 = count + 1;
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
        assert_eq!(count(&key(n), &askers[0]), 2 * ROUNDS, "{}", key(n));
    }
}

#[test]
fn two_servers_that_want_the_same_keys_neither_deadlock_nor_both_win() {
    contend(&new_table_url().0);
}

#[test]
fn it_is_the_same_where_the_server_serialises_transactions() {
    let (url, table) = new_table_url();
    drop(open(&url));
    for level in ["repeatable read", "serializable"] {
        let role = format!("{table}_{}", level.split(' ').next().unwrap());
        sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p' IN ROLE game;
             ALTER ROLE {role} SET default_transaction_isolation = '{level}';
             TRUNCATE {table}"
        ));
        contend(&with_login(&url, &format!("{role}:p")));
    }
}

// Broken connections

#[test]
fn a_connection_that_the_server_ends_costs_what_was_under_way_and_comes_back() {
    const KEYS: u64 = 50;
    let (url, table) = new_table_url();
    let asker = open(&format!("{url}&application_name={table}"));
    let revisions: Vec<Revision> = (0..KEYS).map(|n| asker.put(&n.to_string(), b"1")).collect();

    // One key is locked, so the batch that writes it is surely under way.
    let other = SqlSession::connect(&admin_url()).unwrap();
    let lock = format!("BEGIN; SELECT 1 FROM {table} WHERE key = '7' FOR UPDATE");
    other.run(&lock).unwrap();
    let commits = revisions.iter().enumerate().map(|(n, revision)| {
        let expected = Expected::Present(revision.clone());
        commit(&n.to_string(), expected, b"2", &[])
    });
    let replies = asker.submit_all(commits);
    let of_engine = format!("FROM pg_stat_activity WHERE application_name = '{table}'");
    let waits = format!("SELECT 1 {of_engine} AND wait_event_type = 'Lock'");
    until(|| (!sql(&waits).is_empty()).then_some(()));
    sql(&format!("SELECT pg_terminate_backend(pid) {of_engine}"));

    for (n, reply) in all_replies(&replies).into_iter().enumerate() {
        match reply.result {
            // It was in another batch, which was through.
            Ok(outcome) => assert!(matches!(outcome, Outcome::Committed(_)) && n != 7),
            Err(error) => {
                assert_eq!(error.kind, RequestErrorKind::Backend);
                let message = &error.message;
                let is_unknown = message.contains("may have been written");
                assert!(
                    is_unknown && message.contains("terminating connection"),
                    "{error}"
                );
            }
        }
    }
    other.run("ROLLBACK").unwrap();
    let expected = Expected::Present(revisions[7].clone());
    let again = commit("7", expected, b"3", &[]);
    let outcome = until(|| asker.try_ask(again.clone()).ok());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

#[test]
fn a_deadlock_with_another_program_is_survived() {
    let (url, table) = new_table_url();
    // The server looks once for each who waits, and not before both do.
    sql(&format!(
        "CREATE ROLE {table} LOGIN PASSWORD 'p' IN ROLE game;
         ALTER ROLE {table} SET deadlock_timeout = '10s'"
    ));
    let asker = open(&with_login(&url, &format!("{table}:p")));
    let (a, b) = (asker.put("a", b"1"), asker.put("b", b"1"));
    let other = SqlSession::connect(&admin_url()).unwrap();
    // It takes the keys in the other order, and is the one that waits longer for the server to look.
    let lock = |key: &str| format!("SELECT 1 FROM {table} WHERE key = '{key}' FOR UPDATE");
    other
        .run(&format!(
            "SET deadlock_timeout = '1h'; BEGIN; {}",
            lock("b")
        ))
        .unwrap();
    let commits = [("a", a), ("b", b)];
    let commits = commits.map(|(key, at)| commit(key, Expected::Present(at), b"2", &[]));
    let replies = asker.submit_all(commits);
    let waits = format!(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{table}%'"
    );
    until(|| (!sql(&waits).is_empty()).then_some(()));
    other.run(&lock("a")).unwrap();
    other.run("COMMIT").unwrap();
    for reply in all_replies(&replies) {
        assert!(
            matches!(reply.result, Ok(Outcome::Committed(_))),
            "{reply:?}"
        );
    }
}

#[test]
fn what_is_submitted_while_the_server_is_away_is_done_when_it_is_back() {
    let (proxy, url) = behind_proxy(Duration::ZERO, "&connections=1");
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
    // Some have gone out before the engine has heard that nobody is there.
    assert!((8000..=10_000).contains(&turned_away), "{turned_away}");
    let timed_out = errors.iter().find(|e| e.message.contains("for 10 s"));
    let message = &timed_out.expect("the others have waited").message;
    assert!(message.contains("nothing was written"), "{message}");

    proxy.set(Way::Open);
    until(|| asker.try_ask(fetch("key")).ok());
    asker.put("key", b"value");
}

#[test]
fn a_server_without_memory_or_disk_says_so_and_has_written_nothing() {
    let (url, table) = new_table_url();
    let asker = open(&url);
    let revision = asker.put("key", b"value");
    for code in ["53100", "53200"] {
        sql(&format!(
            "CREATE FUNCTION {table}_is_full() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'full' USING ERRCODE = '{code}'; END $$; \
             CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} \
             FOR EACH ROW EXECUTE FUNCTION {table}_is_full()"
        ));
        let expected = Expected::Present(revision.clone());
        for (key, expected) in [("key", expected), ("new", NEVER_WRITTEN)] {
            let error = asker.try_ask(commit(key, expected, b"2", &[]));
            let error = error.expect_err("it is full");
            assert_eq!(error.kind, RequestErrorKind::Backend);
            let says = |what: &str| error.message.contains(what);
            assert!(says(code) && says("nothing was written"), "{error}");
        }
        assert_eq!(asker.fetch("key"), present(b"value", &revision, &[]));
        sql(&format!("DROP FUNCTION {table}_is_full CASCADE"));
    }
    asker.put("new", b"value");
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
    assert!(
        error.message.contains("it may have been written"),
        "{error}"
    );
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
    let replace = (0..KEYS).map(|n| match &created[n].result {
        Ok(Outcome::Committed(revision)) => {
            let expected = Expected::Present(revision.clone());
            commit(&key(n), expected, &[8; 1000], &[])
        }
        other => panic!("{other:?}"),
    });
    for reply in asker.ask_all(replace) {
        assert!(
            matches!(reply.result, Ok(Outcome::Committed(_))),
            "{reply:?}"
        );
    }
}

// A server that refuses

#[test]
fn a_server_that_takes_fewer_connections_is_served_by_those() {
    let (url, table) = new_table_url();
    drop(open(&url));
    sql(&format!(
        "CREATE ROLE {table} LOGIN PASSWORD 'p' IN ROLE game CONNECTION LIMIT 1"
    ));
    let url = with_login(&url, &format!("{table}:p")) + "&connections=4";
    let asker = open(&url);
    for n in 0..20 {
        asker.put(&n.to_string(), b"value");
    }
    let url = url + "&connect_timeout=3";
    until(|| refused(&url).to_string().contains("53300").then_some(()));
}

#[test]
fn a_statement_that_the_server_cuts_short_has_failed_and_its_connection_is_kept() {
    let (url, table) = new_table_url();
    let asker = open(&url);
    let revision = asker.put("key", b"1");
    for (setting, code, says) in [
        ("lock_timeout", "55P03", "nothing was written"),
        ("statement_timeout", "57014", "may have been written"),
    ] {
        let role = format!("{table}_{setting}");
        sql(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'p' IN ROLE game;
             ALTER ROLE {role} SET {setting} = '2s'"
        ));
        let url = with_login(&url, &format!("{role}:p"));
        let impatient = open(&(url + "&connections=1&application_name=" + &role));
        let process = "SELECT pid FROM pg_stat_activity WHERE application_name = ";
        let process = || sql(&format!("{process} '{role}'"));
        let before = process();
        let other = SqlSession::connect(&admin_url()).unwrap();
        let lock = format!("BEGIN; SELECT 1 FROM {table} WHERE key = 'key' FOR UPDATE");
        other.run(&lock).unwrap();
        let expected = Expected::Present(revision.clone());
        let operation = commit("key", expected, b"2", &[]);
        let error = impatient.try_ask(operation).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
        assert!(error.message.contains(code), "{error}");
        assert!(error.message.contains(says), "{error}");
        other.run("ROLLBACK").unwrap();
        assert_eq!(impatient.fetch("key"), present(b"1", &revision, &[]));
        assert_eq!(process(), before);
    }
}

#[test]
fn a_table_that_goes_away_ends_the_connection_and_is_waited_for() {
    let (url, table) = new_table_url();
    let asker = open(&format!("{url}&connections=1"));
    let revision = asker.put("key", b"value");
    for operation in [
        commit("key", Expected::Present(revision.clone()), b"2", &[]),
        fetch("key"),
        erase("key", None),
    ] {
        sql(&format!("ALTER TABLE {table} RENAME TO {table}_away"));
        let error = asker.try_ask(operation).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Script);
        assert!(error.message.contains("42P01"), "{error}");
        let waits = asker.submit(fetch("key"));
        sql(&format!("ALTER TABLE {table}_away RENAME TO {table}"));
        let reply = waits.recv_timeout(PATIENCE).unwrap();
        let found = Outcome::Fetched(present(b"value", &revision, &[]));
        assert_eq!(reply.result, Ok(found));
    }
}

#[test]
fn a_server_that_has_lost_its_table_is_not_used_by_a_storage_that_knows_it() {
    let (url, table) = new_table_url();
    let asker = open(&format!("{url}&application_name={table}"));
    let revision = asker.put("key", b"value");
    sql(&format!(
        "CREATE SCHEMA {table}_away; ALTER TABLE {table} SET SCHEMA {table}_away"
    ));
    let cut_and_expect = |how: &str| {
        sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{table}'"
        ));
        let error = until(|| {
            let error = asker.try_ask(fetch("key")).err()?;
            error.message.contains(how).then_some(error)
        });
        assert!(error.message.contains("has lost its data"), "{error}");
    };
    cut_and_expect("is gone");
    // Who does not know it begins afresh, and that changes nothing for who does.
    open(&url).put("key", b"new");
    cut_and_expect("was made anew");

    sql(&format!(
        "DROP TABLE {table}; ALTER TABLE {table}_away.{table} SET SCHEMA public;
         DROP SCHEMA {table}_away"
    ));
    let found = until(|| asker.try_ask(fetch("key")).ok());
    assert_eq!(found, Outcome::Fetched(present(b"value", &revision, &[])));
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

#[test]
fn a_storage_that_is_dropped_while_the_server_hangs_has_answered_everything_then() {
    const CONNECTIONS: usize = 12;
    let (url, table) = new_table_url();
    let url = format!("{url}&connections={CONNECTIONS}&application_name={table}");
    let asker = open(&url);
    let key = |n: usize| n.to_string();
    let revisions: Vec<Revision> = (0..CONNECTIONS).map(|n| asker.put(&key(n), b"1")).collect();
    let of_engine = format!("FROM pg_stat_activity WHERE application_name = '{table}'");
    until(|| (sql(&format!("SELECT pid {of_engine}")).len() == CONNECTIONS).then_some(()));
    // All keys are locked, so each connection has a batch that does not end.
    let other = SqlSession::connect(&admin_url()).unwrap();
    let lock = format!("BEGIN; SELECT 1 FROM {table} FOR UPDATE");
    other.run(&lock).unwrap();
    let waits = format!("SELECT pid {of_engine} AND wait_event_type = 'Lock'");
    let mut replies = Vec::new();
    for (n, revision) in revisions.into_iter().enumerate() {
        replies.push(asker.submit(commit(&key(n), Expected::Present(revision), b"2", &[])));
        until(|| (sql(&waits).len() == n + 1).then_some(()));
    }
    drop(asker);
    for replies in replies {
        let reply = replies.try_recv().expect("it is answered");
        reply.result.expect_err("it was not to be written yet");
    }
    other.run("ROLLBACK").unwrap();
}

#[test]
fn a_server_without_encryption_is_taken_if_sslmode_lets_it() {
    let (url, _) = new_table_url();
    for mode in ["disable", "allow", "prefer"] {
        let is_encrypted = is_encrypted(&format!("{url}&sslmode={mode}"), sql);
        assert!(!is_encrypted, "{mode}");
    }
    let error = refused(&format!("{url}&sslmode=require"));
    assert!(
        error.to_string().contains("does not support TLS"),
        "{error}"
    );
}

#[test]
fn a_game_that_opens_by_url_gets_this_engine() {
    let (url, _) = new_table_url();
    for url in [url.clone(), url.replace("postgres://", "postgresql://")] {
        let storage = session_locker::storage::open(&url).unwrap();
        let replies = Asker::new(Arc::clone(&storage)).submit(fetch("key"));
        replies.recv_timeout(PATIENCE).unwrap().result.unwrap();
    }
}
