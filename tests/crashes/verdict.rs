//! Whether what is stored is what the ledgers say: nothing that was acknowledged is missing, nothing
//! is there twice, nothing that was reported not saved is there, and no two servers owned a key at
//! the same time.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::ledger::{Ledgers, Operation, Product, Purchase, Session};

/// When the documents were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As the last server was killed: what nobody was told of may be there or not.
    AfterTheKills,
    /// Since then every purchase was granted, every operation sent, and everybody released.
    Settled,
}

/// The stored documents by their keys.
#[derive(Debug, Default)]
pub struct Documents(BTreeMap<String, Value>);

impl Documents {
    /// Reads what `server dump` has written: a key and a document in each line.
    pub fn read(dump: &str) -> Self {
        let lines = dump.lines().map(|line| {
            let (key, json) = line.split_once(' ').expect("a key and a document");
            let document = serde_json::from_str(json);
            (key.to_owned(), document.expect("a document is JSON"))
        });
        Self(lines.collect())
    }

    /// How often each id stands in an array of the documents.
    fn count<'a>(&'a self, field: &str, id_of: impl Fn(&'a Value) -> &'a Value) -> Counts<'a> {
        let mut counts = HashMap::new();
        for (key, document) in &self.0 {
            for element in array(document, field) {
                let id = id_of(element).as_str().unwrap_or("(no text)");
                *counts.entry((key.as_str(), id)).or_default() += 1;
            }
        }
        Counts(counts)
    }
}

/// How often something is there, by key and id.
struct Counts<'a>(HashMap<(&'a str, &'a str), usize>);

impl Counts<'_> {
    fn of(&self, key: &str, id: &str) -> usize {
        self.0.get(&(key, id)).copied().unwrap_or(0)
    }

    fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.keys().copied()
    }
}

/// An array of a document; empty if it is not there.
fn array<'a>(document: &'a Value, field: &str) -> &'a [Value] {
    document[field].as_array().map_or(&[], Vec::as_slice)
}

/// Everything that is wrong.
pub fn complaints(ledgers: &Ledgers, documents: &Documents, stage: Stage) -> Vec<String> {
    let mut trial = Trial {
        ledgers,
        documents,
        is_settled: stage == Stage::Settled,
        complaints: Vec::new(),
    };
    trial.owners();
    trial.changes();
    trial.purchases();
    trial.what_was_bought_elsewhere();
    trial.operations();
    trial.order();
    for (key, document) in &documents.0 {
        trial.sums(key, document);
        if trial.is_settled {
            trial.leftovers(key, document);
        }
    }
    trial.complaints.sort();
    trial.complaints
}

/// What is stored though nobody was told so before the server died.
#[derive(Debug, Default)]
pub struct Untold {
    pub changes: usize,
    pub purchases: usize,
    /// Gifts that are on their way.
    pub gifts: usize,
    pub operations: usize,
}

/// Looks for it in the documents as the last server was killed.
pub fn untold(ledgers: &Ledgers, documents: &Documents) -> Untold {
    let mut untold = Untold::default();
    let history = documents.count("Purchases", |entry| &entry[1]);
    let applied = documents.count("Notes", |id| id);
    let waiting = documents.count("RemoteChanges", |entry| &entry["Note"]);
    for (name, session) in &ledgers.sessions {
        let document = documents.0.get(&session.key).unwrap_or(&Value::Null);
        let stored = array(&document["Changes"], name).len();
        untold.changes += stored.saturating_sub(session.saved as usize);
    }
    for (id, purchase) in &ledgers.purchases {
        if !purchase.is_granted {
            untold.purchases += history.of(&purchase.buyer, id);
        }
    }
    for (id, Operation { key, is_sent, .. }) in &ledgers.operations {
        if !is_sent {
            untold.operations += applied.of(key, id) + waiting.of(key, id);
        }
    }
    let entries = documents
        .0
        .values()
        .flat_map(|document| array(document, "Purchases"));
    untold.gifts = entries.filter(|entry| !entry[3].is_null()).count();
    untold
}

/// Whether what was bought belongs to the one with this key.
type Belongs = fn(&str, &Purchase) -> bool;

struct Trial<'a> {
    ledgers: &'a Ledgers,
    documents: &'a Documents,
    is_settled: bool,
    complaints: Vec<String>,
}

impl Trial<'_> {
    fn complain_if(&mut self, is_wrong: bool, what: impl FnOnce() -> String) {
        if is_wrong {
            self.complaints.push(what());
        }
    }

    /// Law 1, as the servers saw it.
    fn owners(&mut self) {
        for (key, sessions) in self.ledgers.sessions_by_key() {
            let mut last = ("nobody", f64::NEG_INFINITY, f64::NEG_INFINITY);
            for (name, session) in sessions {
                let seen = session.first_seen;
                let (after, before) = seen.expect("only those that owned it are listed");
                let (other, since, until) = last;
                // Who was seen once owned it at a moment between the two times, and may have been stopped
                // before he read the second.
                let once_beside = since <= after && before <= until;
                let long_beside = session.last_seen.is_some() && before < until;
                self.complain_if(once_beside || long_beside, || {
                    format!("{key} was owned by {other} until {until}, and by {name} from {before}")
                });
                if let Some(end) = session.last_seen.filter(|&end| end > until) {
                    last = (name, before, end);
                }
            }
        }
    }

    fn changes(&mut self) {
        let (ledgers, documents) = (self.ledgers, self.documents);
        for (name, session) in &ledgers.sessions {
            let document = documents.0.get(&session.key).unwrap_or(&Value::Null);
            self.changes_of(name, session, array(&document["Changes"], name));
        }
        for (key, document) in &documents.0 {
            for name in document["Changes"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys())
            {
                let is_known = ledgers.sessions.get(name).is_some_and(|of| of.key == *key);
                self.complain_if(!is_known, || {
                    format!("{key} has changes of {name}, which never had that key")
                });
            }
        }
    }

    /// The changes of a session were made one after another to one document: what is stored of them
    /// begins with the first and leaves none out.
    fn changes_of(&mut self, name: &str, session: &Session, changes: &[Value]) {
        let Session {
            key, asked, saved, ..
        } = session;
        let stored = changes.len() as u32;
        let mut numbers = changes.iter().map(Value::as_u64).zip(1..);
        let is_in_order = numbers.all(|(change, number)| change == Some(number));
        self.complain_if(!is_in_order, || {
            format!("{key} has the changes of {name} not once each: {changes:?}")
        });
        self.complain_if(stored < *saved, || {
            format!("{key} has lost changes of {name}: {saved} were saved, {stored} are there")
        });
        self.complain_if(stored > *asked, || {
            format!("{key} has {stored} changes of {name}, which made {asked}")
        });
        let unsaved = session.unsaved.unwrap_or(u32::MAX);
        self.complain_if(stored >= unsaved, || {
            format!("{key} has change {unsaved} of {name}, which was reported not saved")
        });
    }

    fn purchases(&mut self) {
        let (ledgers, documents) = (self.ledgers, self.documents);
        let history = documents.count("Purchases", |entry| &entry[1]);
        let bought = documents.count("Bought", |id| id);
        let presents = documents.count("Presents", |id| id);
        let gifts = documents.count("Gifts", |entry| &entry[0]);
        for (id, purchase) in &ledgers.purchases {
            let Purchase {
                product,
                buyer,
                recipient,
                is_granted,
            } = purchase;
            let (given, remembered) = match product {
                Product::Gold => (bought.of(buyer, id), history.of(buyer, id)),
                Product::Gift => (presents.of(recipient, id), gifts.of(recipient, id)),
                // Hats have no names; `sums` counts them, and here is only what is noted.
                Product::Hat => (history.of(buyer, id), history.of(buyer, id)),
            };
            self.complain_if(given > 1, || {
                format!("{id} was given {given} times: {purchase:?}")
            });
            let is_certain = *is_granted || self.is_settled;
            self.complain_if(is_certain && given == 0, || {
                format!("{id} was granted and not given: {purchase:?}")
            });
            self.complain_if(given != remembered, || {
                format!(
                    "{id} was given {given} times and is noted {remembered} times: {purchase:?}"
                )
            });
        }
    }

    /// Nobody has what somebody else has bought.
    fn what_was_bought_elsewhere(&mut self) {
        let places: [(_, Belongs); 3] = [
            (
                self.documents.count("Purchases", |entry| &entry[1]),
                |key, of| of.buyer == key,
            ),
            (self.documents.count("Bought", |id| id), |key, of| {
                of.buyer == key && of.product == Product::Gold
            }),
            (self.documents.count("Presents", |id| id), |key, of| {
                of.recipient == key && of.product == Product::Gift
            }),
        ];
        for (counts, belongs) in places {
            for (key, id) in counts.places() {
                let purchase = self.ledgers.purchases.get(id);
                let is_misplaced = purchase.is_none_or(|purchase| !belongs(key, purchase));
                self.complain_if(is_misplaced, || {
                    format!("{key} has {id}, which is not for that key: {purchase:?}")
                });
            }
        }
    }

    fn operations(&mut self) {
        let (ledgers, documents) = (self.ledgers, self.documents);
        let applied = documents.count("Notes", |id| id);
        let waiting = documents.count("RemoteChanges", |entry| &entry["Note"]);
        for (id, operation) in &ledgers.operations {
            let Operation {
                key,
                is_named,
                is_sent,
                is_not_sent,
            } = operation;
            let times = applied.of(key, id) + waiting.of(key, id);
            self.complain_if(times > 1, || {
                format!("{id} is there {times} times: {operation:?}")
            });
            let is_certain = *is_sent || (self.is_settled && *is_named);
            self.complain_if(is_certain && times == 0, || {
                format!("{id} was sent and is not there: {operation:?}")
            });
            self.complain_if(*is_not_sent && !is_named && times > 0, || {
                format!("{id} was reported not sent and is there: {operation:?}")
            });
        }
        for (key, id) in applied.places().chain(waiting.places()) {
            let operation = ledgers.operations.get(id);
            self.complain_if(
                operation.is_none_or(|operation| operation.key != key),
                || format!("{key} has {id}, which was not sent there: {operation:?}"),
            );
        }
    }

    /// What one server has sent without operation ids was applied in that order.
    fn order(&mut self) {
        for (key, document) in &self.documents.0 {
            let mut last: HashMap<&str, u32> = HashMap::new();
            for id in array(document, "Notes").iter().filter_map(Value::as_str) {
                let is_nameless = self
                    .ledgers
                    .operations
                    .get(id)
                    .is_some_and(|of| !of.is_named);
                let Some((server, number)) = id.split_once('-').filter(|_| is_nameless) else {
                    continue;
                };
                let number = number.parse().unwrap_or(0);
                let before = last.insert(server, number).unwrap_or(0);
                self.complain_if(number <= before, || format!("{key} had {id} too late"));
            }
        }
    }

    /// What is counted in two ways that are saved together.
    fn sums(&mut self, key: &str, document: &Value) {
        let purchases = array(document, "Purchases");
        let count = |counts: &dyn Fn(&Value) -> bool| -> i64 {
            let counted = purchases.iter().filter(|entry| counts(entry));
            counted.count().try_into().expect("not that many")
        };
        let credit = |product: i64| {
            let mut all = array(document, "ProductCredit").iter();
            let entry = all.find(|entry| entry[0] == product);
            entry.and_then(|entry| entry[1].as_i64()).unwrap_or(0)
        };
        let number = |field: &str| document[field].as_i64().unwrap_or(i64::MIN);
        let hats = i64::from(document["Hat"] == true) + credit(2);
        for (what, is, should_be) in [
            (
                "hats, or credit for them",
                hats,
                count(&|entry| entry[0] == 2),
            ),
            ("credit given by hand", credit(4), number("Credits")),
            (
                "recorded purchases",
                number("Spent"),
                count(&|entry| entry[3].is_null()),
            ),
        ] {
            self.complain_if(is != should_be, || {
                format!("{key} has {is} {what}, which should be {should_be}")
            });
        }
    }

    fn leftovers(&mut self, key: &str, document: &Value) {
        self.complain_if(!document["Session"].is_null(), || {
            format!("{key} still has an owner")
        });
        let waiting = array(document, "RemoteChanges").len();
        self.complain_if(waiting > 0, || {
            format!("{key} still has {waiting} changes in its inbox")
        });
        for entry in array(document, "Purchases") {
            self.complain_if(!entry[3].is_null(), || {
                format!("{key} has a gift that has not arrived: {entry}")
            });
        }
    }
}
