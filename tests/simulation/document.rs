//! A stored document as far as the laws look at it, read once for each write.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The documents with which a player begins, by the server's version.
pub const TEMPLATES: [&str; 2] = [
    r#"{"Migrated":0,"Log":[],"Effects":[],"Applied":[],"Recorded":[]}"#,
    r#"{"Migrated":1,"Log":[],"Effects":[],"Applied":[],"Recorded":[]}"#,
];

/// What a tool puts in the place of a document that nobody understands.
pub const MENDED: [&str; 2] = [
    r#"{"Version":1,"VersionPatch":0,"Migrated":0,"Log":[],"Effects":[],"Applied":[],"Recorded":[]}"#,
    r#"{"Version":2,"VersionPatch":0,"Migrated":1,"Log":[],"Effects":[],"Applied":[],"Recorded":[]}"#,
];

/// Documents that no server of the simulation understands.
pub const FOREIGN: [&str; 3] = [
    "not JSON",
    r#"{"Version":9,"VersionPatch":0,"Migrated":1,"Log":[],"Effects":[],"Applied":[],"Recorded":[]}"#,
    "[]",
];

/// The newest version that a server here understands.
pub const NEWEST: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    pub lock_id: u64,
    pub updated_at: f64,
    pub expiry: f64,
}

/// A document; lists as they are written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document<'a> {
    pub version: u32,
    #[serde(default)]
    pub session: Option<Session>,
    #[serde(default)]
    pub saves: Vec<(u64, u64)>,
    pub migrated: u32,
    #[serde(borrow)]
    pub log: &'a RawValue,
    #[serde(borrow)]
    pub effects: &'a RawValue,
    #[serde(borrow)]
    pub applied: &'a RawValue,
    #[serde(borrow)]
    pub recorded: &'a RawValue,
    #[serde(borrow, default)]
    pub remote_changes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub purchases: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub product_credit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub gifts: Option<&'a RawValue>,
}

/// An entry of the inbox: the number is the game's own.
#[derive(Debug, Deserialize)]
pub struct Entry {
    #[serde(rename = "N")]
    pub number: u32,
}

/// An entry of the purchase history: product, id, time, mark.
#[derive(Debug)]
pub struct Bought {
    pub product: i64,
    pub is_marked: bool,
}

impl<'a> Document<'a> {
    /// None: it is no document of the game's.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The lock id of the session that wrote last, senders left out.
    pub fn last_writer(&self) -> Option<u64> {
        self.saves.last().map(|(lock_id, _)| *lock_id)
    }
}

/// A list's text; an empty one for none.
pub fn text(list: Option<&RawValue>) -> &str {
    list.map_or("[]", RawValue::get)
}

/// The numbers that a list has beyond another, with which it begins. None: it does not begin so.
pub fn appended(before: &str, after: &str) -> Option<Vec<u32>> {
    let kept = before.strip_suffix(']')?;
    let rest = after.strip_prefix(kept)?.strip_suffix(']')?;
    let rest = match kept.len() {
        1 => rest,
        _ if rest.is_empty() => rest,
        _ => rest.strip_prefix(',')?,
    };
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.split(',').map(|number| number.parse().ok()).collect()
}

pub fn inbox(text: &str) -> Option<Vec<u32>> {
    let entries: Vec<Entry> = serde_json::from_str(text).ok()?;
    Some(entries.into_iter().map(|entry| entry.number).collect())
}

pub fn purchases(text: &str) -> Option<Vec<Bought>> {
    let entries: Vec<Vec<serde_json::Value>> = serde_json::from_str(text).ok()?;
    let read = |entry: &Vec<serde_json::Value>| {
        Some(Bought {
            product: entry.first()?.as_i64()?,
            is_marked: entry.len() > 3,
        })
    };
    entries.iter().map(read).collect()
}

/// Product and count.
pub fn credit(text: &str) -> Option<Vec<(i64, i64)>> {
    serde_json::from_str(text).ok()
}

/// The products of the gifts that were applied.
pub fn gifts(text: &str) -> Option<Vec<i64>> {
    let entries: Vec<Vec<serde_json::Value>> = serde_json::from_str(text).ok()?;
    entries.iter().map(|entry| entry.get(2)?.as_i64()).collect()
}
