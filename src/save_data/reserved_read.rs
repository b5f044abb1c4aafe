//! Reading the reserved fields of a stored document. A shape that is not the one written down is
//! refused, naming the field and the entry: what is not understood must not be overwritten.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::reserved::{
    Bought, Gift, Purchase, PurchaseMark, Received, RemoteChange, RemoteChangeId, Reserved,
    SaveMark, Session,
};
use super::scan::message;
use super::{SaveDataError, ValueType, value};

/// The largest integer that every host's numbers can carry: 53 bits.
const MAX_LOCK_ID: i64 = (1 << 53) - 1;

impl Reserved {
    /// Takes over one reserved field of a stored document.
    pub(super) fn read(&mut self, name: &str, json: &str) -> Result<(), SaveDataError> {
        self.read_field(name, json)
            .map_err(|message| SaveDataError::InvalidReserved {
                field: name.to_owned(),
                message,
            })
    }

    fn read_field(&mut self, name: &str, json: &str) -> Result<(), String> {
        match name {
            "Version" => self.version = version(&parse(json)?)?,
            "VersionPatch" => self.version_patch = float(&parse(json)?),
            "Session" => self.session = Some(parse_object::<SessionShape>(json)?.read()?),
            "Purchases" => self.purchases = list(json, purchase)?.into_iter().collect(),
            "ProductCredit" => self.product_credit = list(json, credit)?,
            "RemoteChanges" => {
                let changes: Vec<&RawValue> =
                    serde_json::from_str(json).map_err(|error| message(&error))?;
                let read = |(at, change): (usize, &&RawValue)| {
                    remote_change(change.get()).map_err(|message| entry_error(at, &message))
                };
                self.remote_changes = changes
                    .iter()
                    .enumerate()
                    .map(read)
                    .collect::<Result<_, _>>()?;
            }
            "Saves" => self.saves = list(json, save_mark)?,
            "Received" => self.received = list(json, received)?,
            "Gifts" => self.gifts = list(json, gift)?,
            other => return Err(format!("{other} is not a reserved field")),
        }
        Ok(())
    }
}

fn version(number: &Number) -> Result<u32, String> {
    value::integer(number)
        .and_then(|version| u32::try_from(version).ok())
        .filter(|version| *version >= 1)
        .ok_or_else(|| format!("{number} is not a version: an integer from 1 on"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SessionShape {
    place_id: Number,
    job_id: Box<str>,
    lock_id: Number,
    updated_at: Number,
    #[serde(default)]
    expiry: Option<Number>,
}

impl SessionShape {
    fn read(self) -> Result<Session, String> {
        Ok(Session {
            place_id: integer(&self.place_id, "PlaceId")?,
            job_id: self.job_id,
            lock_id: lock_id(&self.lock_id)?,
            updated_at: float(&self.updated_at),
            expiry: self.expiry.as_ref().map(float),
        })
    }
}

#[derive(Deserialize)]
struct PurchaseShape(Number, String, Number, #[serde(default)] Option<Value>);

fn purchase(shape: PurchaseShape) -> Result<Purchase, String> {
    Ok(Purchase {
        product_id: integer(&shape.0, "the product")?,
        purchase_id: shape.1,
        at: float(&shape.2),
        mark: match shape.3 {
            None => None,
            Some(Value::String(key)) => Some(PurchaseMark::Recipient(key)),
            Some(Value::Number(one)) if value::integer(&one) == Some(1) => {
                Some(PurchaseMark::Unnamed)
            }
            Some(other) => return Err(format!("the mark is {other}, not a key or 1")),
        },
    })
}

/// Reads an entry of the purchase history.
pub(super) fn written_purchase(json: &[u8]) -> Result<Purchase, String> {
    let shape = serde_json::from_slice(json).map_err(|error| message(&error))?;
    purchase(shape)
}

fn credit((product_id, count): (Number, Number)) -> Result<(i64, i64), String> {
    Ok((
        integer(&product_id, "the product")?,
        integer(&count, "the count")?,
    ))
}

fn save_mark((lock, number): (Number, Number)) -> Result<SaveMark, String> {
    Ok(SaveMark {
        lock_id: lock_id(&lock)?,
        number: count(&number, "the save's number")?,
    })
}

fn received((sender, sequence, at): (String, Number, Number)) -> Result<Received, String> {
    Ok(Received {
        sender,
        sequence: count(&sequence, "the sequence")?,
        at: float(&at),
    })
}

#[derive(Deserialize)]
struct GiftShape(
    String,
    Number,
    #[serde(default)] Option<Number>,
    #[serde(default)] Option<String>,
);

fn gift(shape: GiftShape) -> Result<Gift, String> {
    let bought = match (shape.2, shape.3) {
        (None, None) => None,
        (Some(product_id), Some(purchaser)) => Some(Bought {
            product_id: integer(&product_id, "the product")?,
            purchaser,
        }),
        _ => return Err("it needs both a product and its purchaser, or neither".to_owned()),
    };
    Ok(Gift {
        purchase_id: shape.0,
        at: float(&shape.1),
        bought,
    })
}

#[derive(Deserialize)]
struct ChangeShape {
    #[serde(rename = "K")]
    kind: Box<str>,
    #[serde(rename = "I")]
    id: Value,
    #[serde(rename = "A")]
    at: Number,
}

/// Reads one entry of the inbox, keeping its text.
pub(super) fn remote_change(json: &str) -> Result<RemoteChange, String> {
    let shape: ChangeShape = parse_object(json)?;
    let id = match shape.id {
        Value::String(text) => RemoteChangeId::Text(text.into()),
        Value::Number(number) => RemoteChangeId::Number(integer(&number, "I")?),
        other => return Err(format!("I is {other}, not a number or a text")),
    };
    let at = float(&shape.at);
    Ok(RemoteChange::new(json.into(), shape.kind, id, at))
}

/// Reads a list, naming the first entry (from 0) that is not as it must be.
fn list<S: DeserializeOwned, T>(
    json: &str,
    read: impl Fn(S) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let shapes: Vec<S> = match serde_json::from_str(json) {
        Ok(shapes) => shapes,
        Err(error) => return Err(first_bad_entry::<S>(json).unwrap_or(message(&error))),
    };
    let read = |(at, shape)| read(shape).map_err(|message| entry_error(at, &message));
    shapes.into_iter().enumerate().map(read).collect()
}

fn first_bad_entry<S: DeserializeOwned>(json: &str) -> Option<String> {
    let entries: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    entries.iter().enumerate().find_map(|(at, entry)| {
        let error = parse::<S>(entry.get()).err()?;
        Some(entry_error(at, &error))
    })
}

fn entry_error(at: usize, message: &str) -> String {
    format!("entry {at}: {message}")
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| message(&error))
}

/// Parses a struct from an object only, where serde would take an array too.
fn parse_object<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    match ValueType::of_text(json.as_bytes()) {
        ValueType::Object => parse(json),
        found => Err(format!("it has to be an object, it is {found}")),
    }
}

fn integer(number: &Number, what: &str) -> Result<i64, String> {
    value::integer(number).ok_or_else(|| format!("{what} is {number}, not a 64-bit integer"))
}

fn count(number: &Number, what: &str) -> Result<u64, String> {
    match (number.as_u64(), value::integer(number)) {
        (Some(count), _) => Ok(count),
        (None, Some(count)) if count >= 0 => Ok(count.unsigned_abs()),
        _ => Err(format!("{what} is {number}, not a count")),
    }
}

fn lock_id(number: &Number) -> Result<u64, String> {
    match value::integer(number) {
        Some(id) if (0..=MAX_LOCK_ID).contains(&id) => Ok(id.unsigned_abs()),
        _ => Err(format!("LockId is {number}, not an integer of 53 bits")),
    }
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}
