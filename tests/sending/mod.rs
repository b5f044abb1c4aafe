//! Senders of remote changes, for the tests of what they send.

#![allow(dead_code)]

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use session_locker::locker::SpecOptions;
use session_locker::remote_change::{
    RemoteChangeSender, SendCallback, SendId, SendOutcome, SenderOptions,
};

use crate::support::{FaultyStorage, VirtualClock, options, spec};

pub const KEY: &str = "Player_1";
pub const DAY: f64 = 86_400.0;

pub type Heard = Arc<Mutex<Vec<(u64, SendOutcome)>>>;

/// A sender and what its host has heard.
pub struct World {
    pub storage: Arc<FaultyStorage>,
    pub clock: Arc<VirtualClock>,
    pub sender: RemoteChangeSender,
    pub heard: Heard,
    pub errors: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub fn new() -> Self {
        Self::with(FaultyStorage::new(), |_| ())
    }

    /// With a record that is there already.
    pub fn on(document: impl AsRef<str>) -> Self {
        let world = Self::new();
        world.storage.put(KEY, document);
        world
    }

    pub fn creating() -> Self {
        Self::with(FaultyStorage::new(), |options| {
            options.create_if_missing = true
        })
    }

    pub fn with(storage: Arc<FaultyStorage>, change: impl FnOnce(&mut SenderOptions)) -> Self {
        let clock = Arc::clone(storage.clock());
        Self::of_spec(storage, options(&clock, 1), clock, change)
    }

    pub fn of_spec(
        storage: Arc<FaultyStorage>,
        spec_options: SpecOptions,
        clock: Arc<VirtualClock>,
        change: impl FnOnce(&mut SenderOptions),
    ) -> Self {
        let errors = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&errors);
        let mut options = SenderOptions::new(7);
        options.report_error = Some(Arc::new(move |unheard| {
            let error = unheard.error;
            let words = format!("{} {}: {}", unheard.key, error.activity, error.message);
            noted.lock().push(words);
        }));
        change(&mut options);
        let sender = RemoteChangeSender::new(&spec(&storage, spec_options), options);
        Self {
            storage,
            clock,
            sender: sender.expect("a sender"),
            heard: Heard::default(),
            errors,
        }
    }

    pub fn callback(&self) -> SendCallback {
        let heard = Arc::clone(&self.heard);
        Box::new(move |id: SendId, outcome| heard.lock().push((id.number(), outcome)))
    }

    pub fn send_to(&self, key: &str, changes: &Value) -> u64 {
        let sent = self
            .sender
            .send(key, &changes.to_string(), None, Some(self.callback()));
        sent.expect("a send").number()
    }

    /// Sends one change that gives so much gold.
    pub fn send(&self, gold: i64) -> u64 {
        self.send_to(KEY, &json!([give(gold)]))
    }

    pub fn operate(&self, operation_id: &str, gold: i64) -> u64 {
        let changes = json!([give(gold), give(gold)]).to_string();
        let sent = self
            .sender
            .send(KEY, &changes, Some(operation_id), Some(self.callback()));
        sent.expect("a send").number()
    }

    pub fn update(&self) {
        self.sender.update(self.clock.now()).expect("an update");
    }

    pub fn run(&self, seconds: f64) {
        let end = self.clock.now() + seconds;
        while self.clock.now() < end {
            self.clock.advance(0.25);
            self.update();
        }
    }

    pub fn jump(&self, seconds: f64) {
        self.clock.advance(seconds);
        self.update();
    }

    /// How sends have ended since the last look.
    pub fn heard(&self) -> Vec<(u64, SendOutcome)> {
        std::mem::take(&mut *self.heard.lock())
    }

    pub fn outcomes(&self) -> Vec<SendOutcome> {
        self.heard()
            .into_iter()
            .map(|(_, outcome)| outcome)
            .collect()
    }

    pub fn is_sending(&self) -> bool {
        self.sender.is_sending().expect("an answer")
    }

    /// The gold of each change in the inbox.
    pub fn inbox(&self) -> Vec<i64> {
        inbox_of(&self.storage, KEY)
    }
}

pub fn give(gold: i64) -> Value {
    json!({"K": "give", "gold": gold})
}

pub fn inbox_of(storage: &FaultyStorage, key: &str) -> Vec<i64> {
    let document = storage.document(key);
    let changes = document["RemoteChanges"].as_array().cloned();
    let gold = |change: Value| change["gold"].as_i64().expect("gold");
    changes.unwrap_or_default().into_iter().map(gold).collect()
}

pub const RECORD: &str = r#"{"Version":1,"VersionPatch":0,"Gold":5}"#;
