//! What the Redis engine promises when the server dies, changes its mind, or is set up in another way:
//! each test has a server of its own.

#![cfg(feature = "redis")]

mod conformance;
#[path = "redis/mod.rs"]
mod servers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use conformance::certificates::Certificates;
use conformance::known::{check_that_kills_lose_nothing, fetched};
use conformance::ports::free_port;
use conformance::{Asker, NEVER_WRITTEN, all_replies, commit, erase, fetch, present, until};
use servers::server::Server;
use servers::{open, refused, run_words, try_open, try_run};
use session_locker::log::{Level, set_sink};
use session_locker::storage::redis::{RedisOpenError, RedisOptions, RedisStorage};
use session_locker::storage::{
    Expected, Fetched, OpenError, Operation, Outcome, Reply, RequestErrorKind, Revision,
    StorageError,
};

// Death

#[test]
fn a_server_that_is_killed_while_it_commits_has_all_that_was_acknowledged() {
    let mut server = Server::start(&[]);
    let asker = open(&server.url());
    check_that_kills_lose_nothing(&asker, || {
        server.kill();
        server.restart();
    });
}

#[test]
fn a_server_that_has_lost_its_data_is_not_used_by_a_storage_that_knows_it() {
    let mut server = Server::start(&[]);
    let asker = open(&server.url());
    asker.put("key", b"value");
    server.lose_everything();
    server.restart();
    let error = until(|| {
        let error = asker.try_ask(fetch("key")).unwrap_err();
        error.message.contains("has lost its data").then_some(error)
    });
    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
    assert!(error.message.contains("is gone"), "{error}");

    // Who does not know it begins afresh, and that changes nothing for who does.
    let newcomer = open(&server.url());
    newcomer.put("key", b"new");
    let error = until(|| {
        let error = asker.try_ask(fetch("key")).unwrap_err();
        error.message.contains("made anew").then_some(error)
    });
    assert!(error.message.contains("has lost its data"), "{error}");
}

// Persistence

/// What opening has to say of a server.
fn warnings(url: &str) -> Vec<String> {
    let options = RedisOptions::from_url(url).unwrap();
    RedisStorage::open(options).unwrap().warnings().to_vec()
}

#[test]
fn a_server_that_may_lose_what_it_acknowledges_is_warned_of_or_refused_as_the_url_says() {
    let server = Server::start(&[]);
    let url = server.url();
    let require = format!("{url}?durability=require");
    assert_eq!(warnings(&url), [""; 0]);
    assert_eq!(warnings(&require), [""; 0]);

    for (setting, says) in [
        ("appendfsync everysec", "\"everysec\""),
        ("appendfsync no", "\"no\""),
        ("appendonly no", "`appendonly` is off"),
    ] {
        server.run::<()>(&format!("CONFIG SET {setting}"));
        let all = warnings(&url);
        let [warning] = &all[..] else {
            panic!("{setting}: {all:?}");
        };
        assert!(warning.contains(says) && warning.contains(&server.address()));
        let error = refused(&require);
        let is_not_durable = matches!(error, OpenError::Redis(RedisOpenError::NotDurable { .. }));
        assert!(
            is_not_durable && error.to_string().contains(says),
            "{error}"
        );
        assert_eq!(warnings(&format!("{url}?durability=accept")), [""; 0]);
    }

    // A server that hides its settings, and may throw records away.
    server.run::<()>("CONFIG SET appendonly yes");
    server.run::<()>("CONFIG SET maxmemory 100mb maxmemory-policy allkeys-lru");
    server.run::<()>("ACL SETUSER hidden on >p ~* +@all -config");
    let all = warnings(&url.replace("redis://", "redis://hidden:p@"));
    assert!(all[0].contains("does not show its settings"), "{all:?}");
    assert!(all[1].contains("throws players' records away"), "{all:?}");
}

#[test]
fn what_is_wrong_with_a_server_is_said_in_the_log() {
    let server = Server::start(&["--appendfsync", "everysec"]);
    let heard: Arc<Mutex<Vec<(Level, String)>>> = Arc::default();
    let (listener, address) = (Arc::clone(&heard), server.address());
    set_sink(Some(Arc::new(move |level, message| {
        // Other tests open storages too.
        if message.contains(&address) {
            listener.lock().unwrap().push((level, message.to_owned()));
        }
    })));
    let storage = session_locker::storage::open(&server.url()).unwrap();
    // What a later connection finds is said too, on the thread that updates.
    server.run::<()>("CONFIG SET appendonly no");
    server.run::<()>("CLIENT KILL TYPE normal");
    until(|| {
        storage.tick();
        (heard.lock().unwrap().len() > 1).then_some(())
    });
    set_sink(None);
    let heard = heard.lock().unwrap();
    let [(Level::Warning, message), (Level::Warning, later)] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert!(
        message.starts_with("[SessionLocker] Redis at 127.0.0.1"),
        "{message}"
    );
    assert!(message.contains("appendfsync"), "{message}");
    assert!(later.contains("`appendonly` is off"), "{later}");
}

// Refusals

fn committed(reply: &Reply) -> Revision {
    match &reply.result {
        Ok(Outcome::Committed(revision)) => revision.clone(),
        _ => panic!("{reply:?}"),
    }
}

fn next_commit(asker: &Asker, value: &[u8]) -> Operation {
    let expected = match fetched(asker, "key") {
        Fetched::Present { revision, .. } => Expected::Present(revision),
        Fetched::Absent { tombstone } => Expected::Absent(tombstone),
    };
    commit("key", expected, value, &[])
}

/// Whether it is the server's doing, and certain that nothing was written.
fn check_refusal(error: &StorageError, says: &str) {
    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
    assert!(error.message.contains(says), "{error}");
    assert!(error.message.contains("nothing was written"), "{error}");
}

#[test]
fn a_server_that_is_full_takes_no_commits_and_lets_records_be_erased() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let revision = asker.put_for("key", b"value", &["u"]);
    asker.put("other", b"value");
    server.run::<()>("CONFIG SET maxmemory 1");
    let replace = Expected::Present(revision.clone());
    let error = asker.try_ask(commit("key", replace, b"2", &["u", "v"]));
    check_refusal(&error.unwrap_err(), "OOM");
    let error = asker
        .try_ask(commit("new", NEVER_WRITTEN, b"1", &["u"]))
        .unwrap_err();
    check_refusal(&error, "OOM");
    assert_eq!(fetched(&asker, "key"), present(b"value", &revision, &["u"]));
    assert_eq!(asker.keys_of_user("u"), ["key"]);
    asker.erase("other", None).unwrap();
    asker
        .erase("key", Some(Expected::Present(revision)))
        .unwrap();
    assert_eq!(asker.keys_of_user("u"), [""; 0]);
    server.run::<()>("CONFIG SET maxmemory 0");
    asker.put("key", b"again");
}

#[test]
fn a_server_that_has_too_few_replicas_takes_no_commits() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    asker.put("key", b"value");
    server.run::<()>("CONFIG SET min-replicas-to-write 1");
    let error = asker.try_ask(next_commit(&asker, b"2")).unwrap_err();
    check_refusal(&error, "NOREPLICAS");
    server.run::<()>("CONFIG SET min-replicas-to-write 0");
    asker.put("key", b"again");
}

#[test]
fn a_server_that_cannot_save_its_snapshot_takes_no_commits_and_no_erasures_until_it_can() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let revision = asker.put_for("key", b"value", &["u"]);
    // A folder stands where the snapshot should be, and the server is to make one now and then.
    let snapshot = server.folder().join("dump.rdb");
    std::fs::create_dir(&snapshot).unwrap();
    run_words::<()>(&server.url(), &["CONFIG", "SET", "save", "3600 1000000"]).unwrap();
    server.run::<String>("BGSAVE");
    let has_failed = || {
        server
            .run::<String>("INFO persistence")
            .contains("status:err")
    };
    until(|| has_failed().then_some(()));
    let replace = Expected::Present(revision.clone());
    for operation in [
        commit("key", replace.clone(), b"2", &["u"]),
        commit("key", replace.clone(), b"2", &["v"]),
        commit("new", NEVER_WRITTEN, b"1", &["u"]),
        erase("key", None),
    ] {
        check_refusal(&asker.try_ask(operation).unwrap_err(), "MISCONF");
    }
    assert_eq!(fetched(&asker, "key"), present(b"value", &revision, &["u"]));
    assert_eq!(asker.keys_of_user("u"), ["key"]);
    std::fs::remove_dir(&snapshot).unwrap();
    server.run::<String>("BGSAVE");
    until(|| (!has_failed()).then_some(()));
    assert!(asker.commit("key", replace, b"2").is_some());
}

#[test]
fn a_server_that_is_loading_its_data_is_waited_for() {
    const KEYS: usize = 20_000;
    let mut server = Server::start(&[]);
    let asker = open(&server.url());
    let key = |n: usize| n.to_string();
    let created = asker.ask_all((0..KEYS).map(|n| commit(&key(n), NEVER_WRITTEN, b"1", &[])));
    // As many microseconds for each command of its log.
    server.restart_slowly(&["--key-load-delay", "200"]);
    assert!(
        server
            .run::<String>("INFO persistence")
            .contains("loading:1")
    );
    until(|| {
        let error = refused(&format!("{}?connect_timeout=2", server.url()));
        let is_unreachable = matches!(error, OpenError::Redis(RedisOpenError::Unreachable { .. }));
        assert!(is_unreachable, "{error}");
        error.to_string().contains("LOADING").then_some(())
    });
    let replies = asker.submit_all((0..KEYS).map(|n| fetch(&key(n))));
    server.run::<()>("CONFIG SET key-load-delay 0");
    for (reply, created) in all_replies(&replies).iter().zip(&created) {
        let found = present(b"1", &committed(created), &[]);
        assert_eq!(reply.result, Ok(Outcome::Fetched(found)));
    }
}

#[test]
fn a_server_that_becomes_a_replica_is_left_until_it_takes_writes_again() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let revision = asker.put("key", b"1");
    server.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    let operation = commit("key", Expected::Present(revision), b"2", &[]);
    check_refusal(&asker.try_ask(operation.clone()).unwrap_err(), "READONLY");
    // It is asked again and again, and is not one to be used.
    let error = asker.try_ask(operation.clone()).unwrap_err();
    check_refusal(&error, "is a replica");
    until(|| {
        let text = refused(&format!("{}?connect_timeout=1", server.url())).to_string();
        text.contains("is a replica").then_some(())
    });
    server.run::<()>("REPLICAOF NO ONE");
    let outcome = until(|| asker.try_ask(operation.clone()).ok());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

#[test]
fn of_several_servers_the_one_that_takes_writes_is_used_and_after_a_failover_the_other() {
    let (mut first, second) = (Server::start(&[]), Server::start(&[]));
    let (_, port) = first
        .address()
        .split_once(':')
        .map(|(a, p)| (a.to_owned(), p.to_owned()))
        .unwrap();
    second.run::<()>(&format!("REPLICAOF 127.0.0.1 {port}"));
    let hosts = format!("redis://{},{}", second.address(), first.address());
    let asker = open(&hosts);
    let revision = asker.put("key", b"1");
    until(|| (second.run::<i64>("EXISTS session_locker:schema") == 1).then_some(()));
    let replicated: i64 = first.run("WAIT 1 10000");
    let offset = |server: &Server| -> String {
        let info: String = server.run("INFO replication");
        let line = info
            .lines()
            .find_map(|l| l.strip_prefix("master_repl_offset:"));
        line.unwrap().to_owned()
    };
    until(|| (offset(&first) == offset(&second)).then_some(replicated));
    first.kill();
    second.run::<()>("REPLICAOF NO ONE");
    assert_eq!(fetched(&asker, "key"), present(b"1", &revision, &[]));
    let expected = Expected::Present(revision);
    assert!(asker.commit("key", expected, b"2").is_some());
}

#[test]
fn of_two_servers_that_both_take_writes_none_is_used_until_one_is_a_replica() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let (old_address, new_address) = (old.address(), new.address());
    let url = format!("redis://{old_address},{new_address}");
    for hosts in [
        format!("{old_address},{new_address}"),
        format!("{new_address},{old_address}"),
    ] {
        // One that is too slow to say so is not known of.
        let url = format!("redis://{hosts}?connect_timeout=4");
        let error = until(|| try_open(&url).err());
        let text = error.to_string();
        assert!(text.contains("both primaries"), "{text}");
        assert!(text.contains(&new_address), "{text}");
        assert!(text.contains(&old_address), "{text}");
    }
    // Nor is anything written to them.
    assert_eq!(old.run::<i64>("DBSIZE") + new.run::<i64>("DBSIZE"), 0);

    let port = new.port();
    old.run::<()>(&format!("REPLICAOF 127.0.0.1 {port}"));
    let asker = open(&format!("{url}?connect_timeout=60"));
    let revision = asker.put("key", b"value");
    let found = present(b"value", &revision, &[]);
    assert_eq!(open(&new.url()).fetch("key"), found);

    // The connection that was made before goes on, and no other is made.
    let is_copied = || {
        old.run::<String>("INFO replication")
            .contains("master_link_status:up")
    };
    until(|| is_copied().then_some(()));
    old.run::<()>("REPLICAOF NO ONE");
    assert_eq!(asker.fetch("key"), found);
    let error = until(|| {
        for server in [&old, &new] {
            server.run::<i64>("CLIENT KILL TYPE normal");
        }
        let error = asker.try_ask(fetch("key")).err()?;
        error.message.contains("no connection").then_some(error)
    });
    assert!(error.message.contains("both primaries"), "{error}");
    old.run::<()>(&format!("REPLICAOF 127.0.0.1 {port}"));
    assert_eq!(fetched(&asker, "key"), found);

    // One server may have two names.
    let url = format!("redis://localhost:{port},127.0.0.1:{port}");
    assert_eq!(open(&url).fetch("key"), found);
}

#[test]
fn a_server_that_takes_no_more_connections_says_so_and_serves_those_it_has() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    server.run::<()>("CONFIG SET maxclients 1");
    // It closes the connection without reading what it is asked, so its reason may be lost.
    until(|| {
        let error = refused(&format!("{}?connect_timeout=1", server.url()));
        let is_unreachable = matches!(error, OpenError::Redis(RedisOpenError::Unreachable { .. }));
        assert!(is_unreachable, "{error}");
        let text = error.to_string();
        text.contains("max number of clients").then_some(())
    });
    for n in 0..20 {
        asker.put(&n.to_string(), b"value");
    }
}

#[test]
fn a_server_that_is_busy_with_anothers_script_is_asked_again_later() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let asker = open(&server.url());
    let revision = asker.put("key", b"1");
    let url = server.url();
    std::thread::scope(|scope| {
        let endless = scope.spawn(|| run_words::<()>(&url, &["EVAL", "while true do end", "0"]));
        let is_busy = || match try_run::<String>(&url, "PING") {
            Err(error) => (error.code() == Some("BUSY")).then_some(()),
            Ok(_) => None,
        };
        until(is_busy);
        let operation = commit("key", Expected::Present(revision.clone()), b"2", &[]);
        check_refusal(&asker.try_ask(operation).unwrap_err(), "BUSY");
        // It ends others' scripts with an error, and not its own word.
        server.run::<()>("SCRIPT KILL");
        endless.join().unwrap().unwrap_err();
    });
    let expected = Expected::Present(revision);
    assert!(asker.commit("key", expected, b"2").is_some());
}

#[test]
fn a_server_that_does_not_come_to_what_is_under_way_is_given_up_with_its_fate_unknown() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let revision = asker.put("key", b"1");
    // Nothing is run any more, until somebody ends the connections.
    server.run::<()>("CLIENT PAUSE 600000 WRITE");
    let commits = [b"2", b"3"].map(|value| {
        let expected = Expected::Present(revision.clone());
        commit("key", expected, value, &[])
    });
    let replies = asker.submit_all(commits);
    let waits = "blocked_clients:1";
    until(|| {
        server
            .run::<String>("INFO clients")
            .contains(waits)
            .then_some(())
    });
    server.run::<i64>("CLIENT KILL TYPE normal SKIPME yes");
    for reply in all_replies(&replies) {
        let error = reply.result.unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
        assert!(error.message.contains("may have been written"), "{error}");
    }
    server.run::<()>("CLIENT UNPAUSE");
    assert_eq!(fetched(&asker, "key"), present(b"1", &revision, &[]));
    asker
        .erase("key", Some(Expected::Present(revision)))
        .unwrap();
}

#[test]
fn a_login_that_loses_its_rights_is_a_failure_of_the_requests_that_need_them() {
    let server = Server::start(&[]);
    server.run::<()>("ACL SETUSER game on >p ~* +@all");
    let asker = open(&server.url().replace("redis://", "redis://game:p@"));
    asker.put("key", b"1");
    server.run::<()>("ACL SETUSER game -evalsha");
    for operation in [next_commit(&asker, b"2"), erase("key", None)] {
        let error = asker.try_ask(operation).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Script, "{error}");
        assert!(error.message.contains("NOPERM"), "{error}");
    }
    server.run::<()>("ACL SETUSER game +evalsha");
    asker.put("key", b"2");
}

#[test]
fn a_login_with_the_rights_of_an_older_version_erases_nothing_rather_than_half() {
    let server = Server::start(&[]);
    server.run::<()>("ACL SETUSER game on >p ~* +@all -hdel");
    let asker = open(&server.url().replace("redis://", "redis://game:p@"));
    let revision = asker.put_for("key", b"1", &["u"]);
    let error = asker.try_ask(erase("key", None)).unwrap_err();
    assert!(error.message.contains("can't run this command"), "{error}");
    assert_eq!(asker.fetch("key"), present(b"1", &revision, &["u"]));
    assert_eq!(asker.list("", None, 10), ["key"]);
    assert_eq!(asker.keys_of_user("u"), ["key"]);
}

#[test]
fn a_server_that_has_forgotten_the_scripts_is_given_them_again() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let mut seen = HashSet::new();
    let mut expected: Vec<Expected> = vec![NEVER_WRITTEN; 100];
    for _ in 0..10 {
        server.run::<()>("SCRIPT FLUSH");
        let commits = expected.iter().enumerate();
        let commits = commits.map(|(n, at)| commit(&n.to_string(), at.clone(), b"v", &[]));
        let replies = asker.ask_all(commits.collect::<Vec<_>>());
        expected = replies
            .iter()
            .map(|r| Expected::Present(committed(r)))
            .collect();
        assert!(
            replies
                .iter()
                .all(|reply| seen.insert((reply.id, committed(reply))))
        );
    }
    server.run::<()>("SCRIPT FLUSH");
    asker
        .erase("1", Some(expected[1].clone()))
        .expect("as it is");
}

// Encryption

#[test]
fn a_connection_is_encrypted_with_whom_the_url_trusts() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    let port = free_port().to_string();
    let _server = Server::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &path("server.crt"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-auth-clients",
        "no",
    ]);
    let url = |host: &str, authority: &str| {
        let file = path(authority);
        format!("rediss://{host}:{port}?connect_timeout=60&tls_ca_cert_file={file}")
    };
    open(&url("localhost", "ca.crt")).put("key", b"value");
    for (url, says) in [
        (url("127.0.0.1", "ca.crt"), "127.0.0.1"),
        (url("localhost", "other-ca.crt"), "UnknownIssuer"),
        (
            format!("rediss://localhost:{port}?connect_timeout=60"),
            "UnknownIssuer",
        ),
    ] {
        let error = refused(&url);
        let is_refused = matches!(error, OpenError::Redis(RedisOpenError::Refused { .. }));
        assert!(is_refused && error.to_string().contains(says), "{error}");
    }
    for file in ["missing.crt", "names"] {
        let error = refused(&url("localhost", file));
        let is_about_tls = matches!(error, OpenError::Redis(RedisOpenError::Tls { .. }));
        assert!(is_about_tls && error.to_string().contains(file), "{error}");
    }
}
