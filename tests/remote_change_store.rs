//! Remote changes that a store sends by itself: driven with its sessions, and finished before it
//! is closed.

mod support;

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use session_locker::easy::{ProfileEvent, ProfileId};
use session_locker::locker::{LockerError, Reporter, set_default_report_error};
use session_locker::remote_change::{RemoteChangeSender, SendError, SendOutcome, SenderOptions};
use support::Fault::{FailAfter, FailBefore, HoldAnswer, HoldRequest};
use support::{FaultyStorage, Server, VirtualClock, add_gold, options, spec};

const KEY: &str = "Player_1";
const GIVE: &str = r#"[{"K":"give","gold":1}]"#;

fn world() -> (Arc<FaultyStorage>, Server) {
    let storage = FaultyStorage::new();
    let server = Server::new(&storage, &VirtualClock::new(), 1);
    (storage, server)
}

fn send(server: &Server, key: &str) -> u64 {
    let sent = server.store.send_remote_changes(key, GIVE, None, None);
    sent.expect("a send").number()
}

fn inbox(storage: &FaultyStorage, key: &str) -> usize {
    let document = storage.document(key);
    document["RemoteChanges"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_store_sends_with_its_update_and_makes_a_missing_record() {
    let (storage, server) = world();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let callback = Box::new(move |id, outcome| noted.lock().push((id, outcome)));
    let id = server
        .store
        .send_remote_changes(KEY, GIVE, Some("refund 1"), Some(callback))
        .unwrap();
    assert!(heard.lock().is_empty());
    server.update();
    assert_eq!(*heard.lock(), [(id, SendOutcome::Sent)]);
    let events = server.events();
    let told = |event: &session_locker::easy::StoreEvent| match &event.event {
        ProfileEvent::RemoteChangesSent(id, outcome) => {
            (event.profile, event.key.to_string(), *id, *outcome)
        }
        other => panic!("{other:?}"),
    };
    let expected = (ProfileId::default(), KEY.to_owned(), id, SendOutcome::Sent);
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [expected]);
    let document = storage.document(KEY);
    assert_eq!(
        (&document["Gold"], &document["Received"][0][0]),
        (&0.into(), &"refund 1".into())
    );
}

#[test]
fn sends_get_a_tenth_of_the_budget_while_sessions_take_all_of_it() {
    let (storage, server) = world();
    for number in 0..1000 {
        server
            .store
            .start_session(&format!("Session_{number}"), &[])
            .unwrap();
    }
    for number in 0..20 {
        send(&server, &format!("Send_{number}"));
    }
    let sent = || {
        let keys = (0..20).map(|number| format!("Send_{number}"));
        keys.filter(|key| inbox(&storage, key) == 1).count()
    };
    // Each takes two requests, and of 128 there are 13 for them.
    for after_the_frame in [0, 13, 19, 20] {
        server.update();
        assert_eq!(sent(), after_the_frame);
    }
}

#[test]
fn an_idle_frame_touches_no_send() {
    let (_storage, server) = world();
    for number in 0..500 {
        send(&server, &format!("Player_{number}"));
    }
    server.run(20.0);
    let touches = server.store.touches().unwrap();
    server.run(20.0);
    assert_eq!(server.store.touches().unwrap(), touches);
}

#[test]
fn a_store_is_closed_once_its_sends_are_answered_and_takes_no_new_one() {
    let (storage, server) = world();
    storage.on_commit(&[FailBefore]);
    send(&server, KEY);
    server.update();
    server.store.close().unwrap();
    let refused = server.store.send_remote_changes(KEY, GIVE, None, None);
    assert_eq!(refused, Err(SendError::Locker(LockerError::Closed)));
    assert!(!server.store.is_closed().unwrap());
    server.run(2.0);
    assert!(server.store.is_closed().unwrap());
    assert_eq!(inbox(&storage, KEY), 1);
}

#[test]
fn a_drain_waits_for_sends_and_reports_what_was_not_sent_in_time() {
    let (storage, server) = world();
    let profile = server.load("saved");
    add_gold(&profile, 1);
    send(&server, KEY);
    send(&server, KEY);
    let report = server.store.drain(10.0).unwrap();
    assert!(report.unsaved.is_empty() && report.unsent.is_empty());
    assert_eq!(
        (
            inbox(&storage, KEY),
            storage.document("saved")["Gold"].clone()
        ),
        (2, 1.into())
    );

    let (storage, server) = world();
    storage.on_commit(&[HoldRequest]);
    send(&server, "held");
    server.update();
    storage.on_fetch(&[FailBefore; 100]);
    send(&server, "failing");
    send(&server, "failing");
    let report = server.store.drain(5.0).unwrap();
    let unsent: Vec<_> = report
        .unsent
        .iter()
        .map(|unsent| (&*unsent.key, unsent.count, unsent.outcome, &*unsent.reason))
        .collect();
    let why = "the remote changes are not sent yet; the last error was: the test's storage is down";
    assert_eq!(
        unsent,
        [
            (
                "held",
                1,
                SendOutcome::Unknown,
                "a commit is not answered yet"
            ),
            ("failing", 2, SendOutcome::NotSent, why),
        ]
    );
    assert!(report.unsaved.is_empty());
    storage.heal();
    storage.let_go();
    let report = server.store.drain(60.0).unwrap();
    assert!(report.unsent.is_empty(), "it may be called again to go on");
    assert_eq!(
        (inbox(&storage, "held"), inbox(&storage, "failing")),
        (1, 2)
    );
}

#[test]
fn saves_come_before_sends_in_a_drain() {
    let (storage, server) = world();
    let profile = server.load("saved");
    add_gold(&profile, 1);
    send(&server, KEY);
    server.store.drain(10.0).unwrap();
    let last: Vec<String> = storage
        .history()
        .iter()
        .map(|write| write.key.to_string())
        .collect();
    assert_eq!(last, ["saved", "saved", KEY]);
}

#[test]
fn saves_come_before_loads_and_loads_before_sends_in_a_drain() {
    let (storage, server) = world();
    let profile = server.load("saved");
    storage.on_commit(&[FailAfter]);
    server.start("loading");
    server.update();
    server.clock.advance(60.0);
    add_gold(&profile, 1);
    send(&server, KEY);
    let before = storage.history().len();
    // What became of the claim is known only when the record is loaded anew.
    server.store.drain(10.0).unwrap();
    let written = storage.history()[before..].to_vec();
    let keys: Vec<_> = written.iter().map(|write| &*write.key).collect();
    assert_eq!(keys, ["saved", "loading", KEY]);
}

#[test]
fn a_store_that_goes_answers_each_send_once() {
    let (storage, server) = world();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let start = |key: &str| {
        let noted = Arc::clone(&heard);
        let callback = Box::new(move |id: session_locker::remote_change::SendId, outcome| {
            noted.lock().push((id.number(), outcome));
        });
        let sent = server
            .store
            .send_remote_changes(key, GIVE, None, Some(callback));
        sent.expect("a send");
    };
    storage.on_commit(&[HoldAnswer]);
    start("held");
    server.update();
    start("new");
    drop(server);
    storage.let_go();
    assert_eq!(
        *heard.lock(),
        [(1, SendOutcome::Unknown), (2, SendOutcome::NotSent)]
    );
}

#[test]
fn failures_of_sending_are_events_of_the_key() {
    let (storage, server) = world();
    storage.on_commit(&[FailAfter]);
    send(&server, KEY);
    server.run(2.0);
    assert_eq!(server.heard(), ["error Send", "send 1 Sent"]);
    assert_eq!(inbox(&storage, KEY), 1);
}

#[test]
fn failures_that_nobody_hears_go_to_the_reporter_for_senders() {
    struct Deaf;
    impl session_locker::easy::StoreHooks for Deaf {
        fn create(&self, _: &str) -> Result<session_locker::save_data::SaveData, String> {
            Err("no".to_owned())
        }
        fn hears_events(&self) -> bool {
            false
        }
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    set_default_report_error(
        Reporter::Senders,
        Some(Arc::new(move |unheard| {
            let words = (unheard.key.to_owned(), unheard.log_prefix.to_owned());
            noted.lock().push(words);
        })),
    );
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let mut options = options(&clock, 1);
    options.polls_events = false;
    let server = Server::with_hooks(&storage, &clock, options, Box::new(Deaf));
    storage.on_fetch(&[FailBefore]);
    send(&server, KEY);
    server.update();
    set_default_report_error(Reporter::Senders, None);
    let prefix = "[SessionLocker:RemoteChangeSender]".to_owned();
    assert_eq!(*told.lock(), [(KEY.to_owned(), prefix)]);
}

#[test]
fn a_session_of_the_same_store_keeps_its_key() {
    let (storage, server) = world();
    let profile = server.load(KEY);
    add_gold(&profile, 3);
    send(&server, KEY);
    server.update();
    profile.mark_force_save().unwrap();
    server.update();
    assert!(profile.is_available().unwrap());
    assert_eq!(
        (inbox(&storage, KEY), &storage.document(KEY)["Gold"]),
        (1, &Value::from(3))
    );
}

#[test]
fn a_store_and_a_sender_with_one_seed_do_not_swallow_each_others_changes() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    storage.put(KEY, r#"{"Version":1,"Gold":0}"#);
    let server = Server::new(&storage, &clock, 7);
    let sender =
        RemoteChangeSender::new(&spec(&storage, options(&clock, 7)), SenderOptions::new(7))
            .unwrap();
    server
        .store
        .send_remote_changes(KEY, GIVE, None, None)
        .unwrap();
    server.run(1.0);
    sender.send(KEY, GIVE, None, None).unwrap();
    for _ in 0..5 {
        clock.advance(1.0);
        sender.update(clock.now()).unwrap();
    }
    let changes = storage.document(KEY)["RemoteChanges"].clone();
    assert_eq!(changes.as_array().unwrap().len(), 2, "{changes}");
}
