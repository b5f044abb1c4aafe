//! What the servers have noted of themselves, put together: a line is written before a server does
//! what it says, or after it has heard what it says. `server.c` has the list of them.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

/// The outcome of a send that `sent` notes: `SL_SEND_SENT`, `SL_SEND_NOT_SENT`.
const SEND_SENT: &str = "1";
const SEND_NOT_SENT: &str = "4";

/// The ledgers of all servers. All names are those of the lines; each is used by one server alone,
/// save for what another takes over after a crash.
#[derive(Debug, Default)]
pub struct Ledgers {
    pub sessions: HashMap<String, Session>,
    pub purchases: HashMap<String, Purchase>,
    pub operations: HashMap<String, Operation>,
    /// How many changes were reported saved.
    pub saved: usize,
    /// How many were reported not saved.
    pub unsaved: usize,
    /// What the library has reported, for people.
    pub errors: usize,
    /// Of those: requests whose connection to the storage's server broke. Nothing else here breaks one than
    /// the death of that server; other requests go without an answer for many reasons.
    pub broken: usize,
}

/// A session of one server on one key.
#[derive(Debug, Default)]
pub struct Session {
    pub key: String,
    /// It was first seen to own its key after the one time and before the other. By the machine's clock, in
    /// seconds.
    pub first_seen: Option<(f64, f64)>,
    /// It still owned it after this one.
    pub last_seen: Option<f64>,
    /// Its changes are numbered from 1 on. How many there may be.
    pub asked: u32,
    /// The last one that was reported saved; each holds all those before it.
    pub saved: u32,
    /// The first one that was reported not saved.
    pub unsaved: Option<u32>,
    pub ended: Option<Ended>,
}

/// How a session has ended, if its server was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Left,
    Lost,
}

/// What was bought, by the number of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    Gold = 1,
    Hat = 2,
    Gift = 3,
}

#[derive(Debug)]
pub struct Purchase {
    pub product: Product,
    pub buyer: String,
    /// Of a gift; else the buyer.
    pub recipient: String,
    pub is_granted: bool,
}

/// Something sent to a key.
#[derive(Debug)]
pub struct Operation {
    pub key: String,
    /// Its name is its operation id, so it may be sent again.
    pub is_named: bool,
    /// It was reported sent, by somebody.
    pub is_sent: bool,
    /// It was reported not sent, by somebody.
    pub is_not_sent: bool,
}

impl Ledgers {
    /// Reads one ledger. A last line without an end is what its server wrote as it was killed: it
    /// had not acted on it, and what it has heard need not be known.
    pub fn read(&mut self, ledger: &Path) {
        match fs::read_to_string(ledger) {
            Ok(ledger) => self.take(&ledger),
            // It was killed before it had one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => panic!("{}: {error}", ledger.display()),
        }
    }

    pub fn take(&mut self, ledger: &str) {
        let whole = ledger.rfind('\n').map_or("", |end| &ledger[..end]);
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            self.read_line(&words)
                .unwrap_or_else(|| panic!("a line that no server writes: {line}"));
        }
    }

    fn read_line(&mut self, words: &[&str]) -> Option<()> {
        match *words {
            ["owns", key, session, after, before] => {
                let seen = (after.parse().ok()?, before.parse().ok()?);
                self.session(key, session).first_seen.get_or_insert(seen);
            }
            ["still", session, time] => {
                let session = self.sessions.get_mut(session)?;
                session.first_seen?;
                session.last_seen = Some(time.parse().ok()?);
            }
            ["asks", key, session, number] => {
                self.session(key, session).asked = number.parse().ok()?;
            }
            ["saved", session, number] => {
                let session = self.sessions.get_mut(session)?;
                session.saved = session.saved.max(number.parse().ok()?);
                self.saved += 1;
            }
            ["unsaved", session, number] => {
                let (session, number) = (self.sessions.get_mut(session)?, number.parse().ok()?);
                session.unsaved = Some(session.unsaved.map_or(number, |first| first.min(number)));
                self.unsaved += 1;
            }
            ["left", session] => self.end(session, Ended::Left),
            ["lost", session] => self.end(session, Ended::Lost),
            ["buys", id, product, buyer, recipient] => {
                let product = match product {
                    "1" => Product::Gold,
                    "2" => Product::Hat,
                    "3" => Product::Gift,
                    _ => return None,
                };
                let entry = self.purchases.entry(id.to_owned());
                entry.or_insert_with(|| Purchase {
                    product,
                    buyer: buyer.to_owned(),
                    recipient: recipient.to_owned(),
                    is_granted: false,
                });
            }
            ["granted", id] => self.purchases.get_mut(id)?.is_granted = true,
            ["sends", id, key, kind] => {
                let entry = self.operations.entry(id.to_owned());
                entry.or_insert_with(|| Operation {
                    key: key.to_owned(),
                    is_named: kind == "named",
                    is_sent: false,
                    is_not_sent: false,
                });
            }
            ["sent", id, outcome] => {
                let operation = self.operations.get_mut(id)?;
                operation.is_sent |= outcome == SEND_SENT;
                operation.is_not_sent |= outcome == SEND_NOT_SENT;
            }
            ["unknown", _, _] | ["refused", _] => {}
            ["error", ref words @ ..] => {
                self.errors += 1;
                let words = words.join(" ");
                self.broken += usize::from(
                    words.contains(": the connection to ") && words.contains(" broke: "),
                );
            }
            _ => return None,
        }
        Some(())
    }

    fn session(&mut self, key: &str, name: &str) -> &mut Session {
        let session = self.sessions.entry(name.to_owned()).or_default();
        key.clone_into(&mut session.key);
        session
    }

    /// A session that did nothing has not been noted, and need not be.
    fn end(&mut self, session: &str, ended: Ended) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.ended = Some(ended);
        }
    }

    /// What was bought and sent, as a ledger that a server can take over.
    pub fn legacy(&self) -> String {
        let mut ledger = String::new();
        for (id, purchase) in &self.purchases {
            let product = purchase.product as u8;
            let (buyer, recipient) = (&purchase.buyer, &purchase.recipient);
            ledger += &format!("buys {id} {product} {buyer} {recipient}\n");
        }
        for (id, operation) in &self.operations {
            let kind = if operation.is_named {
                "named"
            } else {
                "nameless"
            };
            ledger += &format!("sends {id} {} {kind}\n", operation.key);
        }
        ledger
    }

    /// The sessions of each key, in the order in which they were first seen to own it.
    pub fn sessions_by_key(&self) -> HashMap<&str, Vec<(&str, &Session)>> {
        let mut by_key: HashMap<&str, Vec<(&str, &Session)>> = HashMap::new();
        for (name, session) in &self.sessions {
            if session.first_seen.is_some() {
                let sessions = by_key.entry(&session.key).or_default();
                sessions.push((name, session));
            }
        }
        for sessions in by_key.values_mut() {
            let begin = |session: &Session| session.first_seen.map_or(0.0, |(_, before)| before);
            sessions.sort_by(|(_, a), (_, b)| begin(a).total_cmp(&begin(b)));
        }
        by_key
    }

    /// How many keys were taken over from a session whose server could not give them up.
    pub fn taken_over(&self) -> usize {
        let by_key = self.sessions_by_key();
        let pairs = by_key.values().flat_map(|sessions| sessions.windows(2));
        pairs.filter(|pair| pair[0].1.ended.is_none()).count()
    }

    /// How many sessions were lost to another.
    pub fn lost(&self) -> usize {
        let ends = self.sessions.values().map(|session| session.ended);
        ends.filter(|ended| *ended == Some(Ended::Lost)).count()
    }

    pub fn granted(&self) -> impl Iterator<Item = &Purchase> {
        let purchases = self.purchases.values();
        purchases.filter(|purchase| purchase.is_granted)
    }

    /// How many of those that were granted are gifts.
    pub fn gifts(&self) -> usize {
        let gifts = self
            .granted()
            .filter(|purchase| purchase.product == Product::Gift);
        gifts.count()
    }

    /// How many operations were reported sent.
    pub fn sent(&self) -> usize {
        let operations = self.operations.values();
        operations.filter(|operation| operation.is_sent).count()
    }
}
