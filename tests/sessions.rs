//! A session from its start to its end.

mod support;

use support::{FaultyStorage, Server, VirtualClock};

#[test]
fn a_session_loads_saves_and_ends_in_the_order_of_the_original() {
    let (storage, clock) = (FaultyStorage::new(), VirtualClock::new());
    let server = Server::new(&storage, &clock, 1);
    let profile = server.store.start_session("Player_1", &["1"]).unwrap();
    server.update();
    assert_eq!(server.heard(), ["Replaced(Loaded)", "status Loaded"]);
    assert!(profile.is_loaded() && profile.is_available().unwrap());

    profile
        .save_data()
        .write(|data| data.add_i64("/Gold", 10))
        .unwrap();
    profile.mark_force_save().unwrap();
    let saved = profile.when_changes_saved(None).unwrap();
    server.update();
    assert_eq!(server.heard(), ["Saved", "changes Saved"]);
    assert!(saved.is_saved());

    profile.end_session().unwrap();
    server.update();
    let heard = server.heard();
    assert_eq!(
        heard,
        [
            "Destroyed",
            "Saved",
            "Replaced(Released)",
            "status Loading",
            "Idling",
            "Deleted",
            "Finished"
        ]
    );

    let again = server.store.start_session("Player_1", &[]).unwrap();
    server.update();
    assert_eq!(again.save_data().read(|data| data.get_i64("/Gold")), Ok(10));
}
