//! The stored document: any bytes behind a key, of which a store makes what it can. What it does not
//! understand it leaves alone; what it loads it uses, saves and releases, and nothing that was there is
//! gone afterwards.
//!
//! The first line of the input asks for things, see [`Wishes`]; behind it stands the document. A second
//! one may follow, after a line with an equals sign alone.

mod expected;
mod sent;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, Profile};
use session_locker::locker::LoadStatus;
use session_locker::save_data::SaveData;

use super::shop::{Answers, Shop};
use super::support::VirtualClock;
use expected::{Loads, locked_for, survives, untouched_fields, without_session};
use world::{Host, Offer, Records, Wishes, note};

/// The product that credit is given of.
const CREDITED: i64 = 424_242;

/// The receipt of the gift that the host gives.
const GIFT: &str = "gift";

const KEY: &str = "player";
const FRIEND: &str = "friend";

/// Has the document too, and nobody loads it.
const SENT_TO: &str = "sent to";

/// Puts the document behind a key, and lets a store and then another have it.
pub fn run(input: &[u8]) {
    let (line, rest) = split(input, b"\n");
    let (document, other) = split(rest, b"\n=\n");
    let wishes = Wishes::read(line);
    let clock = VirtualClock::new();
    let records = Records::new(&clock, &wishes);
    records.put(KEY, document);
    records.put(FRIEND, other);
    let run = Run {
        document: Bytes::copy_from_slice(document),
        other: Bytes::copy_from_slice(other),
        wishes,
        clock,
        records,
    };
    if run.wishes.has('d') {
        run.is_sent_to(SENT_TO);
    }
    if run.first_server() {
        run.second_server();
    }
}

fn split<'i>(input: &'i [u8], at: &[u8]) -> (&'i [u8], &'i [u8]) {
    let found = input.windows(at.len()).position(|window| window == at);
    found.map_or((input, &[][..]), |found| {
        (&input[..found], &input[found + at.len()..])
    })
}

struct Run {
    document: Bytes,
    other: Bytes,
    wishes: Wishes,
    clock: Arc<VirtualClock>,
    records: Records,
}

/// A server that has asked for the key.
struct Server {
    store: EasyStore,
    profile: Profile,
    host: Arc<Host>,
}

impl Run {
    fn server(&self, seed: u64) -> Server {
        let host = Host::new(&self.wishes);
        let store = self.records.store(&self.clock, seed, &host);
        let profile = store.start_session(KEY, &[]).expect("a session");
        Server {
            store,
            profile,
            host,
        }
    }

    /// Updates until the session is loaded or given up, however long others keep the key from it, within
    /// an hour.
    fn wait(&self, server: &Server, locked_for: f64) {
        let begin = self.clock.now();
        let is_decided = || {
            let status = server.profile.load_status().expect("a status");
            server.profile.is_loaded() || status.is_final()
        };
        for _ in 0..4096 {
            self.update(server, 0.0);
            if is_decided() {
                assert!(locked_for <= 0.0, "taken from another's session");
                return;
            }
            if server.profile.load_status() == Ok(LoadStatus::SessionIsLocked) {
                break;
            }
        }
        assert!(locked_for > 0.0, "neither loaded nor given up");
        while self.clock.now() - begin < 3600.0 {
            self.update(server, 30.0);
            let passed = self.clock.now() - begin;
            if is_decided() {
                assert!(passed >= locked_for, "taken from another's session");
                return;
            }
            // Asked again after a cooldown of 10 s; the inbox may take a few updates more.
            assert!(passed < locked_for + 600.0, "the session has long expired");
        }
    }

    fn update(&self, server: &Server, seconds: f64) {
        self.clock.advance(seconds);
        let now = self.clock.now();
        server.store.update(now).expect("an update");
    }

    /// The store that finds the document as it is. False if there is nothing for another.
    fn first_server(&self) -> bool {
        let server = self.server(1);
        let profile = &server.profile;
        if self.wishes.has('o') {
            let written = profile.save_data().write(|data| data.set_i64("/Gold", 7));
            written.expect("the default save data");
        }
        let wall = self.clock.wall();
        self.wait(&server, locked_for(&self.document, &self.wishes, wall));
        let before = self.records.look(KEY).expect("a record");
        match Loads::of(&self.document, &self.wishes) {
            Loads::As(draft) if profile.is_loaded() => {
                self.is_loaded_as(&server, &draft);
                self.use_it(&server);
                self.is_saved(&server);
                if self.wishes.has('w') {
                    self.is_overwritten(&server);
                    return false;
                }
                self.is_released(&server);
                true
            }
            loads => {
                let status = profile.load_status().expect("a status");
                match loads {
                    Loads::Never(expected) if status.is_final() => assert_eq!(status, expected),
                    _ => assert_eq!(status, LoadStatus::SessionIsLocked),
                }
                profile.mark_force_save().ok();
                self.update(&server, 1.0);
                self.drained(&server);
                assert_eq!(before.0, self.document, "written before it was understood");
                assert_eq!(self.records.look(KEY), Some(before), "written to");
                false
            }
        }
    }

    fn drained(&self, server: &Server) {
        let report = server.store.drain(600.0).expect("a drain");
        assert_eq!((report.unsaved, report.unsent), (vec![], vec![]));
        assert_eq!(server.store.is_closed(), Ok(true));
    }

    /// Loaded is what was stored, migrated, and with what was applied of the inbox.
    fn is_loaded_as(&self, server: &Server, draft: &SaveData) {
        let loaded = server.profile.save_data_json();
        assert_eq!(
            untouched_fields(&loaded),
            untouched_fields(&draft.to_json())
        );
        let versions = server
            .profile
            .save_data()
            .read(|data| (data.version(), data.version_patch()));
        assert_eq!(versions, (draft.version(), draft.version_patch()));
        let offers = server.host.offers.lock();
        let offered: Vec<&str> = offers.iter().map(|offer| offer.json.as_str()).collect();
        let inbox = draft.reserved().remote_changes.iter();
        let inbox: Vec<&str> = inbox.map(|change| change.json()).collect();
        match self.wishes.has('r') {
            true => assert_eq!(offered, inbox, "each once, in order"),
            false => assert!(offered.is_empty()),
        }
        self.has_what_was_applied(server, draft, &offers);
    }

    /// Of the hooks, each of which writes before it fails, those that have not failed have left a trace.
    fn has_what_was_applied(&self, server: &Server, draft: &SaveData, offers: &[Offer]) {
        let mut expected = draft.clone();
        for _ in offers.iter().filter(|offer| offer.is_applied) {
            note(&mut expected, "/Applied", 1).expect("it was written in the hook");
        }
        let found = server
            .profile
            .save_data()
            .read(|data| data.get_json("/Applied"));
        assert_eq!(found, expected.get_json("/Applied"));
    }

    /// What a game does with it.
    fn use_it(&self, server: &Server) {
        let profile = &server.profile;
        if self.wishes.has('u') {
            profile
                .save_data()
                .write(|data| note(data, "/Written", 1))
                .ok();
        }
        if self.wishes.has('k') {
            profile.give_product_credit(CREDITED, 3).ok();
            profile.use_product_credit(CREDITED, 2).ok();
        }
        if self.wishes.has('b') {
            let (data, host) = (Arc::clone(profile.save_data()), Arc::clone(&server.host));
            let hook = move || {
                let written = data.write(|data| note(data, "/Written", 2));
                host.is_put_off.store(written.is_err(), Ordering::Relaxed);
                written.map_err(|error| error.to_string())
            };
            let set = profile.set_before_save(false, Some(Arc::new(hook)));
            set.expect("a live session");
        }
        let answers = Answers::default();
        if self.wishes.has('c') {
            answers.ask(profile, &Shop::new(), "own", 5);
        }
        if self.wishes.has('g') {
            let friend = server.store.start_session(FRIEND, &[]).expect("a session");
            answers.ask(profile, &Shop::gifts_to(&friend), GIFT, 6);
        }
        for _ in 0..8 {
            self.update(server, 1.0);
        }
    }

    /// After a save the storage has what the host has. A hook that fails puts the save off.
    fn is_saved(&self, server: &Server) {
        server.profile.mark_force_save().expect("a live session");
        self.update(server, 0.0);
        self.update(server, 0.0);
        assert!(server.profile.is_loaded(), "the session is lost");
        if server.host.is_put_off.load(Ordering::Relaxed) {
            return;
        }
        let host = server.profile.save_data_json();
        let stored = self.stored(server);
        assert_eq!(without_session(&stored), without_session(&host));
    }

    /// The stored document, in which nothing is gone that was there before.
    fn stored(&self, server: &Server) -> String {
        let (bytes, _) = self.records.look(KEY).expect("a record");
        let limit_bytes = self.wishes.limit_bytes();
        let parse = |bytes: &Bytes| SaveData::parse(bytes.clone(), limit_bytes);
        let before = parse(&self.document).expect("it was loaded");
        let after = parse(&bytes).expect("it was saved");
        survives(
            before.reserved(),
            after.reserved(),
            &server.host.offers.lock(),
        );
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    fn is_released(&self, server: &Server) {
        let host = server.profile.save_data_json();
        server.profile.end_session().expect("a live session");
        self.drained(server);
        let stored = self.stored(server);
        assert_eq!(untouched_fields(&stored), untouched_fields(&host));
        let (bytes, _) = self.records.look(KEY).expect("a record");
        let released = SaveData::parse(bytes, self.wishes.limit_bytes()).expect("a document");
        assert_eq!(released.reserved().session, None);
    }

    /// Somebody else writes to the record while the session lives.
    fn is_overwritten(&self, server: &Server) {
        self.records.put(KEY, &self.other);
        let before = self.records.look(KEY);
        server.profile.mark_force_save().expect("a live session");
        for _ in 0..4 {
            self.update(server, 1.0);
        }
        self.drained(server);
        if let Loads::Never(_) = Loads::of(&self.other, &self.wishes) {
            assert_eq!(
                self.records.look(KEY),
                before,
                "written over what is not understood"
            );
        }
    }

    /// Another store, after the first has let go.
    fn second_server(&self) {
        let (bytes, _) = self.records.look(KEY).expect("a record");
        let server = self.server(2);
        self.wait(&server, 0.0);
        match Loads::of(&bytes, &self.wishes) {
            Loads::As(draft) => {
                assert!(server.profile.is_loaded());
                let loaded = server.profile.save_data_json();
                assert_eq!(
                    untouched_fields(&loaded),
                    untouched_fields(&draft.to_json())
                );
            }
            Loads::Never(status) => assert_eq!(server.profile.load_status(), Ok(status)),
        }
        self.drained(&server);
    }
}
