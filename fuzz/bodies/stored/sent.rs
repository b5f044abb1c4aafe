//! Remote changes that are sent to a stored document, whoever owns it, by a server that does not load it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use session_locker::clock::Clock;
use session_locker::remote_change::SendOutcome;
use session_locker::save_data::{Received, Reserved, SaveData};

use super::super::{json, reserved};
use super::Run;
use super::world::Host;

/// So many senders are remembered whatever their age, and the others for so long.
const REMEMBERED: usize = 256;
const REMEMBERED_FOR_S: f64 = 7.0 * 86_400.0;

impl Run {
    /// What is understood has the change at the end of its inbox, and nothing else has become of it; what
    /// is not stays as it is.
    pub fn is_sent_to(&self, key: &str) {
        self.records.put(key, &self.document);
        let before = self.records.look(key).expect("a record");
        let outcome = self.send(key);
        let after = self.records.look(key).expect("a record");
        let limit_bytes = self.wishes.limit_bytes();
        let parse = |bytes: &Bytes| SaveData::parse(bytes.clone(), limit_bytes);
        let Ok(old) = parse(&before.0) else {
            assert_eq!(outcome, SendOutcome::Corrupt);
            assert_eq!(after, before, "written to");
            return;
        };
        assert_eq!(outcome, SendOutcome::Sent);
        let new = parse(&after.0).expect("it was read before");
        assert_eq!(own_fields(&after.0), own_fields(&before.0));
        self.has_grown_by_one(old.reserved(), new.reserved());
    }

    fn send(&self, key: &str) -> SendOutcome {
        let host = Host::new(&self.wishes);
        let store = self.records.store(&self.clock, 3, &host);
        let told: Arc<Mutex<Vec<SendOutcome>>> = Arc::default();
        let ear = Arc::clone(&told);
        let callback = Box::new(move |_, outcome| ear.lock().push(outcome));
        let sent = store.send_remote_changes(key, r#"[{"K":"gold","n":1}]"#, None, Some(callback));
        sent.expect("a send");
        let report = store.drain(600.0).expect("a drain");
        assert_eq!((report.unsaved, report.unsent), (vec![], vec![]));
        let told = told.lock();
        assert_eq!(told.len(), 1, "answered once");
        told[0]
    }

    fn has_grown_by_one(&self, old: &Reserved, new: &Reserved) {
        let (sent, others) = new.remote_changes.split_last().expect("what was sent");
        assert_eq!(others, old.remote_changes, "the inbox");
        assert!(sent.json().starts_with(r#"{"K":"gold","n":1,"I":"#));

        let (sender, others) = new.received.split_last().expect("who has sent");
        let wall = self.clock.wall();
        assert!(sender.at >= wall.trunc(), "noted as older than it is");
        let is_old = |one: &&Received| wall - one.at > REMEMBERED_FOR_S;
        let mut forgotten = old.received.len() - others.len();
        let excess = old.received.len().saturating_sub(REMEMBERED);
        let old_ones = old.received.iter().filter(is_old).count();
        assert_eq!(forgotten, excess.min(old_ones), "senders forgotten");
        let mut others = others.iter().peekable();
        for one in &old.received {
            if others.next_if_eq(&one).is_none() {
                assert!(is_old(&one), "{one:?} was forgotten too soon");
                forgotten -= 1;
            }
        }
        assert_eq!((others.next(), forgotten), (None, 0), "senders");

        let rest = |reserved: &Reserved| Reserved {
            remote_changes: Vec::new(),
            received: Vec::new(),
            ..reserved.clone()
        };
        assert_eq!(rest(new), rest(old));
    }
}

/// The player's fields as they are written.
fn own_fields(document: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(document).expect("text");
    let members = json::members(text).expect("a document").into_iter();
    members
        .filter(|member| !reserved::NAMES.contains(&member.name.as_str()))
        .map(|member| (member.name, member.value.to_owned()))
        .collect()
}
