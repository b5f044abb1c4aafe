//! What the PostgreSQL engine promises when the server dies, changes its mind, or is set up in another
//! way: each test has a server of its own.

#![cfg(feature = "postgres")]

mod conformance;
mod postgres;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use conformance::{Asker, NEVER_WRITTEN, PATIENCE, Replies, commit, fetch, present};
use postgres::server::Server;
use postgres::{is_encrypted, open, refused, until};
use session_locker::storage::postgres::PostgresOpenError;
use session_locker::storage::{Expected, Fetched, OpenError, Outcome, Reply, RequestErrorKind};

// Death

/// A key, and what is known of it.
struct Known {
    count: u64,
    expected: Expected,
    /// A commit of `count + 1` has failed, so it may be there.
    is_unsettled: bool,
}

fn fetched(asker: &Asker, key: &str) -> Fetched {
    let outcome = until(|| asker.try_ask(fetch(key)).ok());
    match outcome {
        Outcome::Fetched(fetched) => fetched,
        other => panic!("a fetch was answered with {other:?}"),
    }
}

fn stored(fetched: &Fetched) -> (u64, Expected) {
    match fetched {
        Fetched::Present {
            bytes, revision, ..
        } => {
            let count = String::from_utf8_lossy(bytes).parse().unwrap();
            (count, Expected::Present(revision.clone()))
        }
        Fetched::Absent { .. } => (0, NEVER_WRITTEN),
    }
}

#[test]
fn a_server_that_is_killed_while_it_commits_has_all_that_was_acknowledged() {
    const KEYS: usize = 200;
    let kills: usize = std::env::var("SESSION_LOCKER_TEST_KILLS")
        .map_or(3, |kills| kills.parse().expect("a number of kills"));
    let mut server = Server::start(&[]);
    let asker = open(&server.url());
    let key = |n: usize| format!("key {n:03}");
    let new_known = |_| Known {
        count: 0,
        expected: NEVER_WRITTEN,
        is_unsettled: false,
    };
    let mut all: Vec<Known> = (0..KEYS).map(new_known).collect();
    let mut unknown_and_written = 0;
    for kill in 0..kills {
        // So many commits for each key, unless the server's death comes first.
        let mut round = Round::begin(&asker, &all);
        let mut acknowledged = 0;
        let dies_after = 400 + 137 * (kill % 7);
        while let Some((n, reply)) = round.next() {
            match reply.result {
                Ok(Outcome::Committed(revision)) => {
                    all[n].count += 1;
                    all[n].expected = Expected::Present(revision);
                    acknowledged += 1;
                    if acknowledged == dies_after {
                        server.kill();
                    }
                    round.submit(&asker, n, &all[n]);
                }
                Ok(other) => panic!("{}: {other:?}", key(n)),
                Err(error) => {
                    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
                    all[n].is_unsettled = true;
                }
            }
        }
        server.restart();
        for (n, known) in all.iter_mut().enumerate() {
            let (count, expected) = stored(&fetched(&asker, &key(n)));
            let may_be_written = known.is_unsettled && count == known.count + 1;
            if may_be_written {
                unknown_and_written += 1;
            } else {
                assert_eq!(
                    (count, &expected),
                    (known.count, &known.expected),
                    "{}",
                    key(n)
                );
            }
            (known.count, known.expected, known.is_unsettled) = (count, expected, false);
        }
    }
    println!("{kills} kills, {unknown_and_written} commits written and not acknowledged");
}

/// One commit for each key under way, and the next when it has been acknowledged.
struct Round {
    sink: Arc<Replies>,
    replies: Receiver<Reply>,
    under_way: usize,
}

impl Round {
    fn begin(asker: &Asker, all: &[Known]) -> Self {
        let (sender, replies) = channel();
        let mut round = Self {
            sink: Arc::new(Replies(sender)),
            replies,
            under_way: 0,
        };
        for (n, known) in all.iter().enumerate() {
            round.submit(asker, n, known);
        }
        round
    }

    fn submit(&mut self, asker: &Asker, n: usize, known: &Known) {
        let value = (known.count + 1).to_string();
        let (key, expected) = (format!("key {n:03}"), known.expected.clone());
        let operation = commit(&key, expected, value.as_bytes(), &["u"]);
        asker.submit_to(n as u64, operation, &self.sink);
        self.under_way += 1;
    }

    /// The next answer, whichever comes first.
    fn next(&mut self) -> Option<(usize, Reply)> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        let reply = self.replies.recv_timeout(PATIENCE).expect("an answer");
        Some((reply.id.0 as usize, reply))
    }
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
    let revision = asker.commit("key", last, b"lost").unwrap();
    server.kill();
    server.restart();
    let found = fetched(&asker, "key");
    assert_ne!(found, present(b"lost", &revision, &[]), "it was to be lost");
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
    let operation = commit("key", Expected::Present(revision.clone()), b"2", &[]);
    let error = until(|| match asker.try_ask(operation.clone()) {
        Ok(Outcome::Committed(_)) => panic!("it was to be read-only"),
        Ok(_) => None,
        Err(error) => Some(error),
    });
    assert_eq!(error.kind, RequestErrorKind::Backend);
    assert!(error.message.contains("read-only"), "{error}");
    assert!(error.message.contains("nothing was written"), "{error}");
    let left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'session-locker' \
                AND state = 'idle' AND query NOT LIKE '%transaction_read_only%'";
    until(|| {
        // A connection is left when it has met the change.
        asker.try_ask(operation.clone()).unwrap_err();
        server.sql(left).is_empty().then_some(())
    });
    server.sql("ALTER SYSTEM RESET default_transaction_read_only");
    server.sql("SELECT pg_reload_conf()");
    let outcome = until(|| asker.try_ask(operation.clone()).ok());
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

// Encryption

/// Certificates as an operator makes them: an authority, and one for `localhost` that it vouches for.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Self { folder };
        let key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        for authority in ["ca", "other-ca"] {
            let subject = format!("/CN={authority}");
            let files = [
                "-keyout",
                &format!("{authority}.key"),
                "-out",
                &format!("{authority}.crt"),
            ];
            let arguments = ["req", "-x509", "-days", "2", "-subj", &subject];
            certificates.openssl(&[&arguments[..], &key, &files].concat());
        }
        let request = [
            "req",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ];
        certificates.openssl(&[&request[..], &key].concat());
        fs::write(
            certificates.folder.path().join("names"),
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        certificates.openssl(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "server.crt",
        ]);
        certificates
    }

    fn openssl(&self, arguments: &[&str]) {
        let status = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("openssl is there");
        assert!(status.success(), "openssl {arguments:?}");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    /// A server that has them.
    fn server(&self) -> Server {
        let server = Server::make();
        let certificate = server.give("server.crt", &self.read("server.crt"));
        let key = server.give("server.key", &self.read("server.key"));
        let certificate = format!("ssl_cert_file={}", certificate.display());
        let key = format!("ssl_key_file={}", key.display());
        server.started_with(&["ssl=on", &certificate, &key])
    }
}

#[test]
fn a_connection_is_encrypted_and_checked_as_sslmode_says() {
    let certificates = Certificates::new();
    let server = certificates.server();
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
        ("verify-ca".to_owned(), "UnknownIssuer"),
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
