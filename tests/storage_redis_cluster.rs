//! What the Redis engine promises on a cluster, beyond the contract: whatever its nodes and slots do.

#![cfg(feature = "redis")]

mod conformance;
#[path = "redis/mod.rs"]
mod servers;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use conformance::certificates::Certificates;
use conformance::known::fetched;
use conformance::ports::free_port;
use conformance::proxy::{Proxy, Way};
use conformance::redis::{cluster_url, new_prefix};
use conformance::{
    Asker, NEVER_WRITTEN, PATIENCE, all_replies, commit, erase, fetch, present, until,
};
use servers::cluster::Cluster;
use servers::server::Server;
use servers::{open, refused, run_words, try_run};
use session_locker::storage::redis::{RedisOpenError, RedisOptions, RedisStorage};
use session_locker::storage::{
    Expected, Fetched, OpenError, Operation, Outcome, RequestErrorKind, StorageError,
};

/// The Redis keys of a partition, with the prefix that a URL without parameters has.
fn redis_key(partition: i64, what: &str) -> String {
    format!("session_locker:{{{partition}}}:{what}")
}

/// The partition of each key: its checksum is that by which a cluster spreads keys, of which this is less.
fn partitions(url: &str, keys: &[String]) -> Vec<i64> {
    let mut ask = redis::pipe();
    for key in keys {
        ask.cmd("CLUSTER").arg("KEYSLOT").arg(key);
    }
    let client = redis::Client::open(url).unwrap();
    let slots: Vec<i64> = ask.query(&mut client.get_connection().unwrap()).unwrap();
    slots.into_iter().map(|slot| slot % 256).collect()
}

/// So many keys that are all in the partition of the first.
fn keys_of_one_partition(url: &str, count: usize) -> (Vec<String>, i64) {
    let keys: Vec<String> = (0..count * 512).map(|n| format!("key {n}")).collect();
    let partitions = partitions(url, &keys);
    let first = partitions[0];
    let found = keys.into_iter().zip(partitions);
    let found = found.filter_map(|(key, partition)| (partition == first).then_some(key));
    let found: Vec<String> = found.take(count).collect();
    assert_eq!(found.len(), count);
    (found, first)
}

/// For each node a key that it has.
fn key_of_each_node(cluster: &Cluster) -> Vec<String> {
    let keys: Vec<String> = (0..200).map(|n| format!("key {n}")).collect();
    let owners = partitions(&cluster.url(0), &keys).into_iter();
    let owners = owners.map(|partition| cluster.owner(cluster.slot(&redis_key(partition, ""))));
    let owners: Vec<usize> = owners.collect();
    let key = |node| owners.iter().position(|&owner| owner == node).unwrap();
    (0..cluster.nodes.len())
        .map(|node| keys[key(node)].clone())
        .collect()
}

fn expected(fetched: Fetched) -> Expected {
    match fetched {
        Fetched::Present { revision, .. } => Expected::Present(revision),
        Fetched::Absent { tombstone } => Expected::Absent(tombstone),
    }
}

fn next_commit(asker: &Asker, key: &str, value: &[u8]) -> Operation {
    commit(key, expected(fetched(asker, key)), value, &["u"])
}

/// Counts every key up, all of them at once and again and again, while something is done. No commit may
/// fail, and what is stored in the end must be what was acknowledged.
fn check_that_counting_goes_on(asker: &Asker, keys: &[String], act: impl FnOnce(&AtomicU64)) {
    let (rounds, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut state = vec![NEVER_WRITTEN; keys.len()];
    let step = |state: &mut Vec<Expected>| {
        let value = (rounds.load(Ordering::Relaxed) + 1).to_string();
        let commits = keys.iter().zip(&*state);
        let commits = commits.map(|(key, at)| commit(key, at.clone(), value.as_bytes(), &["u"]));
        let replies = asker.ask_all(commits.collect::<Vec<_>>());
        for ((key, at), reply) in keys.iter().zip(state).zip(replies) {
            match reply.result {
                Ok(Outcome::Committed(revision)) => *at = Expected::Present(revision),
                other => panic!("{key}: {other:?}"),
            }
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    };
    step(&mut state);
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                step(&mut state);
            }
        });
        let end = EndOfCounting(&is_over);
        act(&rounds);
        drop(end);
        counting.join().unwrap();
    });
    let value = rounds.into_inner().to_string();
    for (key, at) in keys.iter().zip(state) {
        let Expected::Present(revision) = at else {
            panic!("{key} was written");
        };
        let stored = present(value.as_bytes(), &revision, &["u"]);
        assert_eq!(asker.fetch(key), stored, "{key}");
    }
}

/// Ends the counting also when the test fails, which would wait for it otherwise.
struct EndOfCounting<'a>(&'a AtomicBool);

impl Drop for EndOfCounting<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until everything has been counted up a few times more.
fn let_it_count(rounds: &AtomicU64) {
    let enough = rounds.load(Ordering::Relaxed) + 3;
    until(|| (rounds.load(Ordering::Relaxed) >= enough).then_some(()));
}

// The cluster as it is

#[test]
fn records_are_on_every_node_and_are_found_together() {
    const KEYS: usize = 1500;
    let prefix = new_prefix();
    let asker = open(&format!("{}?prefix={prefix}", cluster_url()));
    let keys: Vec<String> = (0..KEYS).map(|n| format!("key {n:04}")).collect();
    let create = keys
        .iter()
        .map(|key| commit(key, NEVER_WRITTEN, b"v", &["u"]));
    for reply in asker.ask_all(create.collect::<Vec<_>>()) {
        assert!(
            matches!(reply.result, Ok(Outcome::Committed(_))),
            "{reply:?}"
        );
        assert!(reply.clock.is_some(), "{reply:?}");
    }
    type Node = (String, u16, String, redis::Value);
    let ranges: Vec<(i64, i64, Node)> = try_run(&cluster_url(), "CLUSTER SLOTS").unwrap();
    let counts = ranges.iter().map(|(_, _, (host, port, ..))| {
        let records = format!("KEYS {prefix}:{{*}}:record:*");
        let url = format!("redis://{host}:{port}");
        try_run::<Vec<String>>(&url, &records).unwrap().len()
    });
    let counts: Vec<usize> = counts.collect();
    assert_eq!(counts.len(), 3);
    assert_eq!(counts.iter().sum::<usize>(), KEYS);
    assert!(counts.iter().all(|&count| count > KEYS / 6), "{counts:?}");
    assert_eq!(asker.list("", None, KEYS + 1), keys);
    assert_eq!(asker.list("", Some("key 0100"), 700), keys[101..801]);
    assert_eq!(asker.keys_of_user("u"), keys);
}

#[test]
fn a_cluster_has_one_database_and_one_that_asks_for_another_is_told_so() {
    let error = refused(&format!("{}/3", cluster_url()));
    let is_refused = matches!(error, OpenError::Redis(RedisOpenError::Refused { .. }));
    let text = error.to_string();
    assert!(
        is_refused && text.contains("SELECT is not allowed in cluster mode"),
        "{text}"
    );
}

#[test]
fn a_user_with_no_more_rights_than_the_documents_say_can_do_everything() {
    let prefix = new_prefix();
    let rights = include_str!("../docs/storage.md");
    let mut lines = rights.lines();
    let rights = lines.find_map(|line| line.strip_prefix("ACL SETUSER game on >PASSWORD "));
    let rights = rights.expect("the documents say which rights a user needs");
    let rights = rights.replace("session_locker", &prefix);
    let cluster = Cluster::start(2, &[]);
    for node in &cluster.nodes {
        let mut words = vec!["ACL", "SETUSER", "game", "on", ">p"];
        words.extend(rights.split(' '));
        run_words::<String>(&node.url(), &words).unwrap();
    }
    let url = cluster.url(0).replace("redis://", "redis://game:p@");
    let asker = open(&format!("{url}?prefix={prefix}"));
    for n in 0..50 {
        asker.put_for(&n.to_string(), b"value", &["u"]);
    }
    assert_eq!(asker.keys_of_user("u").len(), 50);
    assert!(asker.erase("7", None).is_some());
}

#[test]
fn every_node_that_may_lose_what_it_acknowledges_is_warned_of() {
    let cluster = Cluster::start(3, &[]);
    let warnings = |url: &str| {
        let options = RedisOptions::from_url(url).unwrap();
        RedisStorage::open(options).unwrap().warnings().to_vec()
    };
    assert_eq!(warnings(&cluster.url(0)), [""; 0]);
    for node in &cluster.nodes[1..] {
        node.run::<()>("CONFIG SET appendfsync everysec");
    }
    let mut all = warnings(&cluster.url(0));
    all.sort();
    let mut weak: Vec<String> = cluster.nodes[1..].iter().map(Server::address).collect();
    weak.sort();
    assert_eq!(all.len(), 2, "{all:?}");
    for (warning, address) in all.iter().zip(weak) {
        assert!(
            warning.contains(&address) && warning.contains("everysec"),
            "{warning}"
        );
    }
    let error = refused(&format!("{}?durability=require", cluster.url(0)));
    let is_not_durable = matches!(error, OpenError::Redis(RedisOpenError::NotDurable { .. }));
    assert!(is_not_durable, "{error}");
}

#[test]
fn a_cluster_of_which_slots_are_nobodys_is_not_opened() {
    let server = Server::start(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &free_port().to_string(),
    ]);
    server.run::<()>("CLUSTER ADDSLOTSRANGE 0 8000");
    until(|| {
        let error = refused(&format!("{}?connect_timeout=1", server.url()));
        let is_unreachable = matches!(error, OpenError::Redis(RedisOpenError::Unreachable { .. }));
        let text = error.to_string();
        assert!(is_unreachable && text.contains(&server.address()), "{text}");
        text.contains("not complete").then_some(())
    });
}

#[test]
fn a_node_that_does_not_know_its_own_name_is_where_it_was_asked_and_encrypted_like_there() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    let (port, bus_port) = (free_port().to_string(), free_port().to_string());
    let server = Server::start(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus_port,
        "--tls-port",
        &port,
        "--tls-cluster",
        "yes",
        "--tls-cert-file",
        &path("server.crt"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("ca.crt"),
        "--tls-auth-clients",
        "no",
    ]);
    server.run::<()>("CLUSTER ADDSLOTSRANGE 0 16383");
    // The certificate is for this name, and for no address.
    let url = format!(
        "rediss://localhost:{port}?tls_ca_cert_file={}",
        path("ca.crt")
    );
    let asker = open(&url);
    asker.put_for("key", b"value", &["u"]);
    assert_eq!(asker.keys_of_user("u"), ["key"]);
}

// Slots that move

#[test]
fn a_slot_that_moves_to_another_node_while_commits_run_loses_and_doubles_nothing() {
    let mut cluster = Cluster::start(3, &[]);
    let fresh = cluster.add_node();
    let asker = open(&cluster.url(0));
    let (mut keys, partition) = keys_of_one_partition(&cluster.url(0), 24);
    let [new, erased, first] = [(); 3].map(|()| keys.pop().unwrap());
    keys.extend((0..20).map(|n| format!("elsewhere {n}")));
    let slot = cluster.slot(&redis_key(partition, ""));
    asker.put_for(&erased, b"value", &["u"]);
    // So that the partition has a floor.
    asker.put(&first, b"value");
    asker.erase(&first, None).unwrap();

    check_that_counting_goes_on(&asker, &keys, |rounds| {
        let migration = cluster.migrate(slot, fresh);
        // Everything that is needed for it is still here.
        let tombstone = asker.erase(&erased, None).expect("it is as it was");
        assert_eq!(asker.fetch(&erased), conformance::absent(Some(&tombstone)));

        let asked = cluster.errors("ASK");
        migration.take(&redis_key(partition, &format!("record:{}", keys[0])));
        migration.take(&redis_key(partition, &format!("record:{erased}")));
        let_it_count(rounds);
        assert!(cluster.errors("ASK") > asked);
        assert_eq!(asker.fetch(&erased), conformance::absent(Some(&tombstone)));

        // What makes a record needs all that a partition has, which is in two places now.
        let made = asker.submit(commit(&new, NEVER_WRITTEN, b"new", &[]));
        until(|| (cluster.errors("TRYAGAIN") > 0).then_some(()));
        migration.take(&redis_key(partition, "keys"));
        let mut all = keys.clone();
        all.sort();
        assert_eq!(asker.list("", None, 100), all);
        assert_eq!(asker.keys_of_user("u"), all);

        let moved = cluster.errors("MOVED");
        migration.finish();
        let reply = made.recv_timeout(PATIENCE).unwrap();
        assert!(
            matches!(reply.result, Ok(Outcome::Committed(_))),
            "{reply:?}"
        );
        let_it_count(rounds);
        let knows = |owner| until(|| (cluster.owner(slot) == owner).then_some(()));
        knows(fresh);
        // Who asks where slots are at that very moment is told, and not by a node that has it no more.
        let mut owner = fresh;
        until(|| {
            if cluster.errors("MOVED") > moved {
                return Some(());
            }
            owner = (owner + 1) % cluster.nodes.len();
            cluster.migrate(slot, owner).finish();
            let_it_count(rounds);
            knows(owner);
            None
        });
    });
    let erased = asker.fetch(&erased);
    assert!(
        matches!(erased, Fetched::Absent { tombstone: Some(_) }),
        "{erased:?}"
    );
    assert_eq!(asker.list("", None, 100).len(), keys.len() + 1);
}

#[test]
fn a_slot_that_is_nobodys_is_waited_for_and_then_it_is_certain_that_nothing_was_written() {
    let bus_port = free_port().to_string();
    let server = Server::start(&["--cluster-enabled", "yes", "--cluster-port", &bus_port]);
    server.run::<()>("CLUSTER ADDSLOTSRANGE 0 16383");
    let asker = open(&server.url());
    let revision = asker.put("key", b"1");
    let at = Expected::Present(revision.clone());
    server.run::<()>("CLUSTER DELSLOTSRANGE 0 16383");
    let error = asker
        .try_ask(commit("key", at.clone(), b"2", &[]))
        .unwrap_err();
    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
    assert!(error.message.contains("CLUSTERDOWN"), "{error}");
    assert!(error.message.contains("nothing was written"), "{error}");

    let waits = asker.submit_all([commit("key", at, b"3", &[]), fetch("key")]);
    server.run::<()>("CLUSTER ADDSLOTSRANGE 0 16383");
    for reply in all_replies(&waits) {
        reply.result.expect("it was waited for");
    }
    let Fetched::Present { bytes, .. } = asker.fetch("key") else {
        panic!("it is there");
    };
    assert_eq!(&*bytes, b"3");
}

#[test]
fn a_lone_request_that_is_sent_to_a_node_that_is_not_there_is_answered_all_the_same() {
    let mut cluster = Cluster::start(1, &[]);
    let fresh = cluster.add_node();
    let asker = open(&cluster.url(0));
    let (keys, partition) = keys_of_one_partition(&cluster.url(0), 1);
    let revision = asker.put(&keys[0], b"1");
    let slot = cluster.slot(&redis_key(partition, ""));
    let nobody = free_port();
    cluster.announce(fresh, nobody);
    cluster.migrate(slot, fresh).finish();
    let at = Expected::Present(revision);
    let commit = commit(&keys[0], at.clone(), b"2", &[]);
    let error = asker.try_ask(commit.clone()).unwrap_err();
    let address = format!("127.0.0.1:{nobody}");
    check_no_connection(&error, &address, "no connection for 10 s");
    assert!(error.message.contains("nothing was written"), "{error}");

    cluster.announce(fresh, cluster.nodes[fresh].port());
    let waits = until(|| asker.try_ask(commit.clone()).ok());
    assert!(matches!(waits, Outcome::Committed(_)), "{waits:?}");
}

#[test]
fn a_slot_that_is_nobodys_keeps_no_node_from_being_found_again() {
    let cluster = Cluster::start(2, &[]);
    let keys = key_of_each_node(&cluster);
    let asker = open(&cluster.url(1));
    asker.put(&keys[0], b"1");
    let (others, partition) = keys_of_one_partition(&cluster.url(0), 1);
    let slot = cluster.slot(&redis_key(partition, ""));
    let owner = cluster.owner(slot);
    let key = &keys[usize::from(partitions(&cluster.url(0), &keys[..1]) == [partition])];
    for node in &cluster.nodes {
        node.run::<()>(&format!("CLUSTER DELSLOTS {slot}"));
    }
    for node in &cluster.nodes {
        node.run::<i64>("CLIENT KILL TYPE normal");
    }
    let next = || {
        let fetched = asker.try_ask(fetch(key)).ok()?;
        matches!(fetched, Outcome::Fetched(_)).then_some(())
    };
    until(next);
    let error = until(|| asker.try_ask(fetch(&others[0])).err());
    assert!(error.message.contains("CLUSTERDOWN"), "{owner}: {error}");
}

// Nodes that come and go

fn check_no_connection(error: &StorageError, address: &str, says: &str) {
    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
    assert!(error.message.contains(address), "{error}");
    assert!(error.message.contains(says), "{error}");
}

#[test]
fn a_node_that_is_away_fails_what_is_its_own_and_nothing_else_and_is_found_again() {
    let mut cluster = Cluster::start(3, &[]);
    let keys = key_of_each_node(&cluster);
    let asker = open(&cluster.url(1));
    let revision = asker.put_for(&keys[0], b"1", &["u"]);
    cluster.nodes[0].kill();

    for round in 0..20_u8 {
        for key in &keys[1..] {
            asker.put(key, &[round]);
        }
    }
    let at = Expected::Present(revision.clone());
    let address = cluster.nodes[0].address();
    let (list, error) = thread::scope(|scope| {
        let user_id = "u".into();
        let list = scope.spawn(|| asker.try_ask(Operation::KeysOfUser { user_id }));
        let error = until(|| {
            let error = asker.try_ask(commit(&keys[0], at.clone(), b"2", &[]));
            // The first may have met the end of the connection.
            error
                .err()
                .filter(|e| e.message.contains("nothing was written"))
        });
        (list.join().unwrap().unwrap_err(), error)
    });
    check_no_connection(&error, &address, "no connection for 10 s");
    check_no_connection(&list, &address, "nothing was read");

    cluster.nodes[0].restart();
    let found = fetched(&asker, &keys[0]);
    assert_eq!(found, present(b"1", &revision, &["u"]));
    assert!(asker.commit(&keys[0], at, b"3").is_some());
    for key in &keys {
        asker.put(key, b"4");
    }
    assert_eq!(asker.list("", None, 10).len(), 3);
}

#[test]
fn a_node_that_has_lost_its_data_is_not_used_by_a_storage_that_knows_it() {
    let mut cluster = Cluster::start(3, &[]);
    let keys = key_of_each_node(&cluster);
    let asker = open(&cluster.url(0));
    for key in &keys {
        asker.put(key, b"value");
    }
    cluster.nodes[2].lose_everything();
    cluster.nodes[2].restart();
    let error = until(|| {
        let error = asker.try_ask(fetch(&keys[2])).unwrap_err();
        error.message.contains("has lost its data").then_some(error)
    });
    check_no_connection(&error, &cluster.nodes[2].address(), "has lost its data");
    asker.put(&keys[0], b"goes on");
    let newcomer = open(&cluster.url(0));
    newcomer.put(&keys[2], b"new");
    let error = until(|| {
        let error = asker.try_ask(fetch(&keys[2])).unwrap_err();
        error.message.contains("made anew").then_some(error)
    });
    check_no_connection(&error, &cluster.nodes[2].address(), "has lost its data");
    asker.put(&keys[0], b"goes on");
}

#[test]
fn a_partition_that_comes_without_its_data_to_a_node_that_is_connected_is_not_used() {
    let cluster = Cluster::start(2, &[]);
    let keys = key_of_each_node(&cluster);
    let asker = open(&cluster.url(0));
    for key in &keys {
        asker.put_for(key, b"value", &["u"]);
    }
    // What a repair does after a node has gone for good.
    let lost = partitions(&cluster.url(0), &keys[..1])[0];
    let slot = cluster.slot(&redis_key(lost, ""));
    cluster.nodes[0].run::<()>("FLUSHALL");
    cluster.give_without_keys(slot, 1);
    let expect_lost = |operation| {
        let error = asker.try_ask(operation).unwrap_err();
        check_no_connection(&error, &cluster.nodes[1].address(), "has lost its data");
        error
    };
    expect_lost(fetch(&keys[0]));
    let error = expect_lost(commit(&keys[0], NEVER_WRITTEN, b"new", &[]));
    assert!(error.message.contains("nothing was written"), "{error}");
    let user_id = "u".into();
    expect_lost(Operation::KeysOfUser { user_id });
    asker.put(&keys[1], b"goes on");
    let newcomer = open(&cluster.url(0));
    assert_eq!(newcomer.fetch(&keys[0]), conformance::absent(None));
    assert_eq!(newcomer.keys_of_user("u"), [""; 0]);
    expect_lost(fetch(&keys[0]));
}

#[test]
fn any_node_leads_to_the_others_also_a_replica_and_one_without_slots() {
    let mut cluster = Cluster::start(2, &[]);
    let keys = key_of_each_node(&cluster);
    let revisions: Vec<_> = {
        let asker = open(&cluster.url(0));
        keys.iter().map(|key| asker.put(key, b"value")).collect()
    };
    let replica = cluster.add_replica(1);
    let fresh = cluster.add_node();
    let nobody = free_port();
    for url in [
        cluster.url(0),
        cluster.url(1),
        cluster.url(replica),
        cluster.url(fresh),
        // The others are asked if the first is away.
        cluster
            .url(fresh)
            .replace("//", &format!("//127.0.0.1:{nobody},")),
    ] {
        let asker = open(&url);
        for (key, revision) in keys.iter().zip(&revisions) {
            assert_eq!(asker.fetch(key), present(b"value", revision, &[]), "{url}");
        }
        assert_eq!(asker.list("", None, 10).len(), 2, "{url}");
    }
}

#[test]
fn a_replica_that_takes_over_by_plan_while_commits_run_loses_and_doubles_nothing() {
    let mut cluster = Cluster::start(3, &[]);
    let replica = cluster.add_replica(0);
    let asker = open(&cluster.url(0));
    let keys: Vec<String> = (0..40).map(|n| format!("key {n}")).collect();
    check_that_counting_goes_on(&asker, &keys, |rounds| {
        let_it_count(rounds);
        cluster.fail_over(replica, 0);
        let_it_count(rounds);
        // Nobody keeps a connection to the one that has nothing any more.
        let clients = || cluster.nodes[0].run::<String>("CLIENT LIST");
        until(|| (!clients().contains("name=session-locker")).then_some(()));
    });
}

#[test]
fn a_replica_that_takes_over_from_a_dead_node_is_followed() {
    let mut cluster = Cluster::start(2, &[]);
    let keys = key_of_each_node(&cluster);
    let replica = cluster.add_replica(0);
    let asker = open(&cluster.url(1));
    let revision = asker.put(&keys[0], b"1");
    // Whatever was acknowledged is there now too.
    until(|| cluster.has_all(replica, 0).then_some(()));
    cluster.nodes[0].kill();
    // One that has met the end of the connection is answered, and one behind it waits.
    let waits = until(|| {
        let replies = asker.submit(fetch(&keys[0]));
        let answer = replies.recv_timeout(Duration::from_secs(2));
        answer.is_err().then_some(replies)
    });
    let at = Expected::Present(revision.clone());
    let waits_too = asker.submit(commit(&keys[0], at, b"2", &[]));
    cluster.nodes[replica].run::<()>("CLUSTER FAILOVER TAKEOVER");
    let reply = waits.recv_timeout(PATIENCE).unwrap();
    let found = Outcome::Fetched(present(b"1", &revision, &[]));
    assert_eq!(reply.result, Ok(found));
    let reply = waits_too.recv_timeout(PATIENCE).unwrap();
    let is_committed = matches!(reply.result, Ok(Outcome::Committed(_)));
    assert!(is_committed, "{reply:?}");

    // It comes back as a replica, and is left alone.
    cluster.nodes[0].restart();
    let mut seen = HashSet::new();
    for n in 0..100 {
        assert!(seen.insert(asker.put(&n.to_string(), b"value")));
    }
    let operation = next_commit(&asker, &keys[0], b"3");
    assert!(matches!(asker.ask(operation), Outcome::Committed(_)));
    assert!(asker.try_ask(erase(&keys[0], None)).is_ok());
}

#[test]
fn a_replica_that_takes_over_is_found_while_the_way_to_its_predecessor_swallows_everything() {
    let mut cluster = Cluster::start(2, &[]);
    let keys = key_of_each_node(&cluster);
    let replica = cluster.add_replica(0);
    let way = Proxy::new(&cluster.nodes[0].address(), Duration::ZERO);
    let port = way.address().rsplit_once(':').map(|(_, port)| port.parse());
    cluster.announce(0, port.unwrap().unwrap());
    cluster.wait_for_replica(0, replica);
    let asker = open(&format!("{}?connect_timeout=60", cluster.url(1)));
    let revision = asker.put(&keys[0], b"1");
    until(|| cluster.has_all(replica, 0).then_some(()));

    way.set(Way::Silent);
    way.cut();
    cluster.nodes[replica].run::<()>("CLUSTER FAILOVER TAKEOVER");
    let at = Expected::Present(revision);
    let operation = commit(&keys[0], at, b"2", &[]);
    // The first may have met the end of the connection.
    let committed = until(|| {
        let result = asker.try_ask(operation.clone());
        if let Err(error) = &result {
            assert!(!error.message.contains("no connection"), "{error}");
        }
        result.ok()
    });
    assert!(matches!(committed, Outcome::Committed(_)), "{committed:?}");
}
