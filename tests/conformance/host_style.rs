//! A storage as a host might bring it: a thread of its own, revisions that are texts and not
//! numbers, and not a line shared with the engines of the library.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use session_locker::storage::{Expected, Fetched, Operation, Outcome, Request, Revision, Storage};

pub struct HostStyleStorage {
    requests: Mutex<Sender<Request>>,
}

impl HostStyleStorage {
    pub fn new() -> Self {
        let (sender, requests) = channel();
        std::thread::spawn(move || Rows::default().serve(&requests));
        let requests = Mutex::new(sender);
        Self { requests }
    }
}

impl Storage for HostStyleStorage {
    fn submit(&self, request: Request) {
        self.requests.lock().unwrap().send(request).unwrap();
    }
}

struct Row {
    etag: String,
    value: Option<(Bytes, Arc<[Box<str>]>)>,
}

#[derive(Default)]
struct Rows {
    rows: BTreeMap<String, Row>,
    writes: u64,
}

impl Rows {
    fn serve(mut self, requests: &Receiver<Request>) {
        for request in requests {
            let outcome = self.answer(request.operation);
            request.responder.answer(Ok(outcome));
        }
    }

    fn answer(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Fetch { key } => Outcome::Fetched(self.fetch(&key)),
            Operation::Commit {
                key,
                expected,
                bytes,
                user_ids,
            } => match self.now(&key) == expected {
                true => Outcome::Committed(self.write(&key, Some((bytes, user_ids)))),
                false => Outcome::Conflict,
            },
            Operation::Erase { key, expected } => {
                match expected.is_none_or(|expected| self.now(&key) == expected) {
                    true => Outcome::Erased(self.write(&key, None)),
                    false => Outcome::Conflict,
                }
            }
            Operation::List {
                prefix,
                after,
                limit,
            } => {
                let keys = self.present().map(|(key, _)| key.clone());
                let page = keys
                    .filter(|key| key.starts_with(&*prefix))
                    .filter(|key| after.as_ref().is_none_or(|after| **key > **after));
                Outcome::Keys(page.take(limit).collect())
            }
            Operation::KeysOfUser { user_id } => {
                let of_user = self.present().filter(|(_, ids)| ids.contains(&user_id));
                Outcome::Keys(of_user.map(|(key, _)| key.clone()).collect())
            }
        }
    }

    fn present(&self) -> impl Iterator<Item = (&String, &Arc<[Box<str>]>)> {
        let rows = self.rows.iter();
        rows.filter_map(|(key, row)| Some((key, &row.value.as_ref()?.1)))
    }

    fn fetch(&self, key: &str) -> Fetched {
        let Some(row) = self.rows.get(key) else {
            return Fetched::Absent { tombstone: None };
        };
        let revision = Revision::from_bytes(row.etag.as_bytes()).unwrap();
        match row.value.clone() {
            Some((bytes, user_ids)) => Fetched::Present {
                bytes,
                revision,
                user_ids,
            },
            None => {
                let tombstone = Some(revision);
                Fetched::Absent { tombstone }
            }
        }
    }

    fn now(&self, key: &str) -> Expected {
        match self.fetch(key) {
            Fetched::Present { revision, .. } => Expected::Present(revision),
            Fetched::Absent { tombstone } => Expected::Absent(tombstone),
        }
    }

    fn write(&mut self, key: &str, value: Option<(Bytes, Arc<[Box<str>]>)>) -> Revision {
        self.writes += 1;
        let etag = format!("W/\"{:x}\"", self.writes);
        let revision = Revision::from_bytes(etag.as_bytes()).unwrap();
        self.rows.insert(key.to_owned(), Row { etag, value });
        revision
    }
}
