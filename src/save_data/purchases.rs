//! The purchase history: kept as it is stored, so that a save copies it, and a document that is cloned
//! for a hook clones two blocks of memory, however long the history is.

use std::fmt;

use super::reserved::{ProductId, Purchase, PurchaseMark, write_number};
use super::reserved_read;
use super::value::write_json;

/// A document's purchase history, oldest first. One without entries costs one word.
#[derive(Clone, Default)]
pub struct Purchases(Option<Box<Written>>);

#[derive(Clone, Default, PartialEq)]
struct Written {
    /// The entries as JSON, each with a comma behind it.
    text: Vec<u8>,
    entries: Vec<Entry>,
}

static NONE: Written = Written {
    text: Vec::new(),
    entries: Vec::new(),
};

/// What of an entry is asked for often.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    product_id: ProductId,
    at: f64,
    /// How long its text is, with the comma.
    length: u32,
    /// Where in its text the purchase id stands, quotes included.
    id: (u32, u32),
    is_marked: bool,
}

impl Purchases {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.written().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.written().entries.is_empty()
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Purchase> {
        self.written().texts().map(read)
    }

    /// The one at this place.
    pub fn get(&self, place: usize) -> Option<Purchase> {
        self.written().texts().nth(place).map(read)
    }

    /// The place of a purchase.
    pub fn find(&self, product_id: ProductId, purchase_id: &str) -> Option<usize> {
        let mut id = Vec::with_capacity(purchase_id.len() + 2);
        write_json(&mut id, purchase_id);
        let written = self.written();
        let mut texts = written.entries.iter().zip(written.texts());
        texts.position(|(entry, text)| {
            let (from, to) = entry.id;
            entry.product_id == product_id && text[from as usize..to as usize] == id[..]
        })
    }

    /// When the one at this place was made, in Unix seconds.
    pub(crate) fn at(&self, place: usize) -> f64 {
        self.written().entries[place].at
    }

    /// Whether the one at this place is a gift that has not arrived.
    pub(crate) fn is_marked(&self, place: usize) -> bool {
        self.written().entries[place].is_marked
    }

    /// Adds one, as the newest.
    pub(crate) fn push(&mut self, purchase: &Purchase) {
        let written = self.0.get_or_insert_default();
        written.insert(written.entries.len(), written.text.len(), purchase);
    }

    /// Removes those at these places, which are in order.
    pub(crate) fn remove(&mut self, places: &[usize]) {
        if let Some(written) = &mut self.0 {
            written.remove(places);
        }
    }

    /// Marks the one at this place otherwise, or not any more.
    pub(crate) fn set_mark(&mut self, place: usize, mark: Option<PurchaseMark>) {
        if let (Some(purchase), Some(written)) = (self.get(place), &mut self.0) {
            let start = written.start(place);
            written.remove(&[place]);
            written.insert(place, start, &Purchase { mark, ..purchase });
        }
    }

    /// Writes the list as it is stored.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        out.extend_from_slice(self.written().text.strip_suffix(b",").unwrap_or_default());
        out.push(b']');
    }

    fn written(&self) -> &Written {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl Written {
    fn remove(&mut self, places: &[usize]) {
        let mut places = places.iter().peekable();
        let mut place = 0;
        let (mut from, mut to) = (0, 0);
        let text = &mut self.text;
        self.entries.retain(|entry| {
            let goes = places.next_if_eq(&&place).is_some();
            let length = entry.length as usize;
            if !goes {
                text.copy_within(from..from + length, to);
                to += length;
            }
            (from, place) = (from + length, place + 1);
            !goes
        });
        text.truncate(to);
    }

    fn insert(&mut self, place: usize, start: usize, purchase: &Purchase) {
        let mut text = Vec::with_capacity(64);
        text.push(b'[');
        write_json(&mut text, &purchase.product_id);
        text.push(b',');
        let id_from = text.len();
        write_json(&mut text, &purchase.purchase_id);
        let id_to = text.len();
        text.push(b',');
        write_number(&mut text, purchase.at);
        match &purchase.mark {
            None => {}
            Some(PurchaseMark::Unnamed) => text.extend_from_slice(b",1"),
            Some(PurchaseMark::Recipient(key)) => {
                text.push(b',');
                write_json(&mut text, key);
            }
        }
        text.extend_from_slice(b"],");
        let entry = Entry {
            product_id: purchase.product_id,
            at: purchase.at,
            length: text.len() as u32,
            id: (id_from as u32, id_to as u32),
            is_marked: purchase.mark.is_some(),
        };
        self.entries.insert(place, entry);
        self.text.splice(start..start, text);
    }

    fn start(&self, place: usize) -> usize {
        let before = self.entries[..place].iter();
        before.map(|entry| entry.length as usize).sum()
    }

    /// The text of each entry, with its comma.
    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.text[..];
        self.entries.iter().map(move |entry| {
            let (text, after) = rest.split_at(entry.length as usize);
            rest = after;
            text
        })
    }
}

fn read(text: &[u8]) -> Purchase {
    let text = text.strip_suffix(b",").unwrap_or(text);
    reserved_read::written_purchase(text).expect("an entry that this module has written")
}

impl FromIterator<Purchase> for Purchases {
    fn from_iter<I: IntoIterator<Item = Purchase>>(purchases: I) -> Self {
        let mut all = Self::default();
        purchases.into_iter().for_each(|one| all.push(&one));
        all
    }
}

impl PartialEq for Purchases {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

impl fmt::Debug for Purchases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
