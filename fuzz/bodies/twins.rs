//! A document with a size limit, and beside it one without, which otherwise are the same. What the
//! one without does is what the other must do, unless it would then be too large.

use bytes::Bytes;
use serde_json::{Map, Value};
use session_locker::save_data::{MAX_LIMIT_BYTES, SaveData, SaveDataError};

use super::json;

/// The two of them.
pub struct Twins {
    pub limited: SaveData,
    free: SaveData,
    /// How much the next write copies on its way, for which it may be refused too.
    pub copied_bytes: usize,
}

/// All that can be seen of a document.
type Seen = (String, usize, u64);

fn seen(data: &SaveData) -> Seen {
    (data.to_json(), data.size_bytes(), data.change_count())
}

impl Twins {
    /// Reads a stored document; `None` if it is none, or too large.
    pub fn read(text: &str, limit_bytes: usize) -> Option<Self> {
        let parse = |limit| SaveData::parse(Bytes::copy_from_slice(text.as_bytes()), limit);
        let free = parse(MAX_LIMIT_BYTES).ok()?;
        let fits = free.size_bytes() <= limit_bytes * 2;
        let limited = parse(limit_bytes);
        assert_eq!(limited.is_ok(), fits, "{limited:?}");
        let limited = limited.ok()?;
        let copied_bytes = 0;
        Some(Self {
            limited,
            free,
            copied_bytes,
        })
    }

    /// The document as a value, reserved fields included; `None` if it has a field that cannot be
    /// represented.
    pub fn value(&self) -> Option<Value> {
        let text = self.limited.to_json();
        let members = json::members(&text).expect("a document");
        let read = |member: json::Member<'_>| Some((member.name, json::value(member.value)?));
        let members: Option<Map<String, Value>> = members.into_iter().map(read).collect();
        members.map(Value::Object)
    }

    /// Writes to both. What is refused has changed nothing; what the limit refuses, nothing else does.
    pub fn write<T: PartialEq + std::fmt::Debug>(
        &mut self,
        write: impl Fn(&mut SaveData) -> Result<T, SaveDataError>,
    ) -> Result<T, SaveDataError> {
        let (before, was_free) = (seen(&self.limited), self.free.clone());
        let result = write(&mut self.limited);
        let expected = write(&mut self.free);
        let size_bytes = self.free.size_bytes();
        let limit_bytes = self.limited.limit_bytes();
        let is_too_large = size_bytes > limit_bytes && size_bytes > before.1;
        let may_be_refused = self.copied_bytes > limit_bytes * 2;
        if may_be_refused && matches!(result, Err(SaveDataError::TooLarge { .. })) {
            self.free = was_free;
        } else if expected.is_ok() && is_too_large {
            match &result {
                Err(SaveDataError::TooLarge {
                    size_bytes: told,
                    limit_bytes: limit,
                }) => {
                    assert_eq!((*told, *limit), (size_bytes, limit_bytes));
                }
                other => panic!("{size_bytes} bytes, of {limit_bytes}: {other:?}"),
            }
            self.free = was_free;
        } else {
            assert_eq!(result, expected);
        }
        let after = seen(&self.limited);
        if result.is_err() {
            assert_eq!(after, before, "{result:?}");
        } else {
            assert_eq!(after.2, before.2 + 1, "a write counts once");
        }
        assert_eq!(after, seen(&self.free));
        result
    }

    /// What the size says is what the fields take when they are stored.
    pub fn is_sized_as_it_is_stored(&self) {
        let text = self.limited.to_json();
        let reserved = |member: &json::Member<'_>| is_reserved(&member.name);
        let members = json::members(&text).expect("a document");
        let own = members.iter().filter(|member| !reserved(member));
        let sizes = own.map(|member| {
            let name = Value::from(member.name.as_str()).to_string();
            name.len() + 1 + member.value.len() + 1
        });
        let size = 1 + sizes.sum::<usize>();
        assert_eq!(self.limited.size_bytes(), size.max(2), "{text}");
    }

    /// Stores the document and reads it again.
    pub fn store(&mut self) {
        let before = self.limited.to_json();
        let session = self.limited.reserved().session.clone();
        let stored = self.limited.encode(session.as_ref());
        assert_eq!(stored, before.as_bytes());
        assert_eq!(self.limited.to_json(), before);
        let text = std::str::from_utf8(&stored).expect("text");
        let limit_bytes = self.limited.limit_bytes();
        *self = Self::read(text, limit_bytes).expect("what was stored");
        assert_eq!(self.limited.to_json(), before);
    }
}

/// Whether a field is the library's.
pub fn is_reserved(name: &str) -> bool {
    super::reserved::NAMES.contains(&name)
}
