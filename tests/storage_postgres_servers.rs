//! What the PostgreSQL engine promises when the server dies, changes its mind, or is set up in another
//! way: each test has a server of its own.

#![cfg(feature = "postgres")]

mod conformance;
mod postgres;

use std::fs;

use conformance::certificates::Certificates;
use conformance::known::{check_that_kills_lose_nothing, fetched};
use conformance::{NEVER_WRITTEN, PATIENCE, absent, commit, fetch, present, until};
use postgres::server::Server;
use postgres::{is_encrypted, open, refused};
use session_locker::storage::postgres::{PostgresOpenError, PostgresOptions, PostgresStorage};
use session_locker::storage::{Expected, Fetched, OpenError, Outcome, RequestErrorKind};

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
fn what_is_acknowledged_is_durable_though_the_server_is_set_otherwise_unless_the_game_is_too() {
    let mut server = Server::start(&["synchronous_commit=off", "wal_writer_delay=10s"]);
    let asker = open(&server.url());
    let mut last = NEVER_WRITTEN;
    for round in 0..3 {
        let value = round.to_string();
        let revision = asker.commit("key", last, value.as_bytes()).unwrap();
        server.kill();
        server.restart();
        let found = fetched(&asker, "key");
        assert_eq!(found, present(value.as_bytes(), &revision, &[]));
        last = Expected::Present(revision);
    }
    drop(asker);

    let asker = open(&(server.url() + "?synchronous_commit=off"));
    // It is lost, unless the server has just then written what it had.
    until(|| {
        let revision = asker.commit("key", last.clone(), b"lost").unwrap();
        server.kill();
        server.restart();
        let is_lost = fetched(&asker, "key") != present(b"lost", &revision, &[]);
        last = Expected::Present(revision);
        is_lost.then_some(())
    });
}

#[test]
fn a_commit_waits_for_the_standbys_though_the_server_is_set_otherwise() {
    let server = Server::start(&[]);
    drop(open(&server.url()));
    // At the end of each transaction that writes.
    server.sql(
        "CREATE FUNCTION demand_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
                 RAISE EXCEPTION 'it is %', current_setting('synchronous_commit');
             END IF;
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER demand_on AFTER INSERT OR UPDATE ON session_locker
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION demand_on()",
    );
    for setting in ["off", "local", "remote_write", "on", "remote_apply"] {
        server.sql(&format!(
            "ALTER ROLE game SET synchronous_commit = {setting}"
        ));
        let asker = open(&server.url());
        let first = asker.commit(setting, NEVER_WRITTEN, b"first");
        let first = first.unwrap_or_else(|| panic!("{setting}"));
        let second = asker.commit(setting, Expected::Present(first), b"second");
        assert!(second.is_some(), "{setting}");
    }
}

#[test]
fn a_commit_that_no_standby_has_is_not_seen_though_nobody_waits_for_it_any_more() {
    let server = Server::start(&["synchronous_standby_names=nobody"]);
    server.sql("SET synchronous_commit = local; ALTER ROLE game SET synchronous_commit = local");
    let asker = open(&(server.url() + "?connections=1"));
    let waits = asker.submit(commit("key", NEVER_WRITTEN, b"value", &[]));
    let count = || {
        server
            .sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            .len()
    };
    until(|| (count() == 1).then_some(()));
    let behind = asker.submit(fetch("key"));
    let error = waits.recv_timeout(PATIENCE).unwrap().result.unwrap_err();
    assert!(error.message.contains("no answer for 20 s"), "{error}");
    assert!(
        error.message.contains("`synchronous_standby_names`"),
        "{error}"
    );
    assert!(error.message.contains("may have been written"), "{error}");
    let error = behind.recv_timeout(PATIENCE).unwrap().result.unwrap_err();
    assert!(error.message.contains("nothing was read"), "{error}");
    // Neither is the server asked to let the commit be, nor is another connection made beside it.
    let error = asker.try_ask(commit("key", NEVER_WRITTEN, b"2", &[]));
    let error = error.expect_err("no connection is free");
    assert!(
        error.message.contains("`synchronous_standby_names`"),
        "{error}"
    );
    assert!(error.message.contains("nothing was written"), "{error}");
    assert_eq!(open(&server.url()).fetch("key"), absent(None));
    assert_eq!(count(), 1);

    // Who asks makes it visible.
    let ask = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    assert_eq!(server.sql(ask), ["t"]);
    let found = until(|| asker.try_ask(fetch("key")).ok());
    assert!(
        matches!(found, Outcome::Fetched(Fetched::Present { .. })),
        "{found:?}"
    );
}

#[test]
fn a_server_that_never_flushes_is_warned_of() {
    let warnings = |server: &Server| {
        let options = PostgresOptions::from_url(&server.url()).unwrap();
        PostgresStorage::open(options).unwrap().warnings().to_vec()
    };
    let server = Server::start(&["fsync=off"]);
    let all = warnings(&server);
    let [warning] = &all[..] else {
        panic!("{all:?}");
    };
    assert!(warning.contains("`fsync` is off"), "{warning}");
    assert!(warning.contains(&server.address()), "{warning}");
    assert_eq!(warnings(&Server::start(&[])), [""; 0]);
}

// Change of mind

#[test]
fn a_server_that_becomes_read_only_is_left_until_it_is_writable_again() {
    let server = Server::start(&[]);
    let asker = open(&server.url());
    let revision = asker.put("key", b"1");
    let set = |value: &str| {
        server.sql(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {value}"
        ));
        server.sql("SELECT pg_reload_conf()");
    };
    set("on");
    // What conflicts while the server's processes have not all heard of it.
    let stale = commit("key", NEVER_WRITTEN, b"2", &[]);
    let error = until(|| asker.try_ask(stale.clone()).err());
    assert_eq!(error.kind, RequestErrorKind::Backend);
    assert!(error.message.contains("read-only"), "{error}");
    assert!(error.message.contains("nothing was written"), "{error}");
    let left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'session-locker' \
                AND state = 'idle' AND query NOT LIKE '%transaction_read_only%'";
    until(|| {
        // A connection is left when it has met the change.
        let _ = asker.try_ask(stale.clone());
        server.sql(left).is_empty().then_some(())
    });
    server.sql("ALTER SYSTEM RESET default_transaction_read_only");
    server.sql("SELECT pg_reload_conf()");
    let operation = commit("key", Expected::Present(revision), b"2", &[]);
    let outcome = until(|| asker.try_ask(operation.clone()).ok());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

// Encryption

/// A server that has these.
fn server_with(certificates: &Certificates) -> Server {
    let server = Server::make();
    let certificate = server.give("server.crt", &certificates.read("server.crt"));
    let key = server.give("server.key", &certificates.read("server.key"));
    let certificate = format!("ssl_cert_file={}", certificate.display());
    let key = format!("ssl_key_file={}", key.display());
    server.started_with(&["ssl=on", &certificate, &key])
}

#[test]
fn a_connection_is_encrypted_and_checked_as_sslmode_says() {
    let certificates = Certificates::new();
    let server = server_with(&certificates);
    let by_address = server.url();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let root = certificates.path("ca.crt");
    let other = certificates.path("other-ca.crt");

    for (mode, expected) in [
        ("disable", false),
        ("allow", false),
        ("prefer", true),
        ("require", true),
    ] {
        let url = format!("{by_address}?sslmode={mode}");
        assert_eq!(
            is_encrypted(&url, |sql| server.sql(sql)),
            expected,
            "{mode}"
        );
    }
    // `prefer` is the default.
    let by_default = format!("{by_address}?connections=1");
    assert!(is_encrypted(&by_default, |sql| server.sql(sql)));
    for (url, mode) in [
        (&by_address, "require"),
        (&by_address, "verify-ca"),
        (&by_name, "verify-ca"),
        (&by_name, "verify-full"),
    ] {
        let url = format!("{url}?sslmode={mode}&sslrootcert={root}");
        assert!(is_encrypted(&url, |sql| server.sql(sql)), "{url}");
    }
    for (parameters, says) in [
        // The certificate is for another name.
        (format!("verify-full&sslrootcert={root}"), "127.0.0.1"),
        // Somebody else vouches for it.
        (format!("require&sslrootcert={other}"), "UnknownIssuer"),
        (format!("verify-ca&sslrootcert={other}"), "UnknownIssuer"),
        (format!("verify-full&sslrootcert={other}"), "UnknownIssuer"),
        // Nobody the operating system trusts does.
        ("verify-full".to_owned(), "UnknownIssuer"),
    ] {
        let error = refused(&format!("{by_address}?sslmode={parameters}"));
        let is_refused = matches!(
            error,
            OpenError::Postgres(PostgresOpenError::Refused { .. })
        );
        assert!(
            is_refused && error.to_string().contains(says),
            "{parameters}: {error}"
        );
    }
    for file in ["missing.crt", "names"] {
        let path = certificates.path(file);
        let error = refused(&format!("{by_name}?sslmode=verify-full&sslrootcert={path}"));
        let is_about_tls = matches!(error, OpenError::Postgres(PostgresOpenError::Tls { .. }));
        assert!(is_about_tls && error.to_string().contains(file), "{error}");
    }
    check_one_kind(&server);
}

/// A server that takes only one kind of connection is found by `prefer` and by `allow`.
fn check_one_kind(server: &Server) {
    let rules = server.folder().join("data/pg_hba.conf");
    for (kind, encrypted) in [("hostssl", true), ("hostnossl", false)] {
        let admin = "host all admin 127.0.0.1/32 trust";
        let text = format!("{admin}\n{kind} all game 127.0.0.1/32 scram-sha-256\n");
        fs::write(&rules, text).unwrap();
        server.sql("SELECT pg_reload_conf()");
        until(|| {
            let first_is = "SELECT 1 FROM pg_hba_file_rules WHERE line_number = 2 AND type = ";
            let rule = server.sql(&format!("{first_is} '{kind}'"));
            (!rule.is_empty()).then_some(())
        });
        for mode in ["prefer", "allow"] {
            let url = format!("{}?sslmode={mode}", server.url());
            assert_eq!(
                is_encrypted(&url, |sql| server.sql(sql)),
                encrypted,
                "{kind}, {mode}"
            );
        }
        let refusing = if encrypted { "disable" } else { "require" };
        let error = refused(&format!("{}?sslmode={refusing}", server.url()));
        assert!(error.to_string().contains("28000"), "{error}");
    }
}
