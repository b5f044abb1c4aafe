//! The player's top-level fields, in document order. A field is a slice of the document's text
//! until something touches it; what only reads it keeps the text beside the parsed value, so that
//! a field nobody wrote is stored again byte for byte.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde_json::Value;

use super::SaveDataError;
use super::scan::message;
use super::value::{is_plain, write_json, written_len, written_str_len};

/// Up to this many fields a name is looked up by comparing, above it through an index.
const INDEXED_ABOVE: usize = 16;

/// Part of the document's text. The text is shorter than 4 GiB.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    pub fn new(start: usize, len: usize) -> Self {
        Self {
            start: start as u32,
            len: len as u32,
        }
    }

    #[inline]
    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..][..self.len as usize]
    }
}

/// One field: 32 bytes, plus the value when it has been touched.
#[derive(Clone)]
struct Field {
    name: Name,
    content: Content,
}

#[derive(Clone)]
enum Name {
    /// Stands in the text between quotes, without escapes.
    InText(Span),
    Owned(Box<str>),
}

impl Name {
    #[inline]
    fn bytes<'a>(&'a self, text: &'a [u8]) -> &'a [u8] {
        match self {
            Self::InText(span) => span.of(text),
            Self::Owned(name) => name.as_bytes(),
        }
    }

    fn written_len(&self) -> usize {
        match self {
            Self::InText(span) => span.len as usize + 2,
            Self::Owned(name) => written_str_len(name),
        }
    }
}

#[derive(Clone)]
enum Content {
    Raw(Span),
    Parsed(Arc<Parsed>),
}

/// A field's value, shared with backups until one side changes it.
#[derive(Clone)]
pub(super) struct Parsed {
    pub value: Value,
    /// Where the field stands in the text, for as long as the value has only been read.
    span: Option<Span>,
    /// The written length of a value that has no text.
    len: usize,
}

impl Content {
    fn written(value: Value, len: usize) -> Self {
        let span = None;
        Self::Parsed(Arc::new(Parsed { value, span, len }))
    }

    /// Where the content stands in the text, unless it has been written to.
    #[inline]
    fn span(&self) -> Option<Span> {
        match self {
            Self::Raw(span) => Some(*span),
            Self::Parsed(parsed) => parsed.span,
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Raw(span) => span.len as usize,
            Self::Parsed(parsed) => parsed.span.map_or(parsed.len, |span| span.len as usize),
        }
    }
}

/// What a top-level field holds, in the form that is at hand.
pub(super) enum Held<'a> {
    /// Validated JSON text, not parsed yet.
    Raw(&'a [u8]),
    Parsed(&'a Value),
}

/// The player's fields, with the text they are slices of.
#[derive(Clone)]
pub(super) struct Fields {
    text: Bytes,
    list: Vec<Field>,
    index: NameIndex,
    /// What the fields take written as one JSON object, braces included.
    size: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self::new(Bytes::new())
    }
}

impl Fields {
    /// No fields yet, over a text that [`Fields::push_raw`] will name parts of.
    pub fn new(text: Bytes) -> Self {
        Self {
            list: Vec::with_capacity(if text.is_empty() { 0 } else { INDEXED_ABOVE }),
            text,
            index: NameIndex::default(),
            size: 2,
        }
    }

    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// What the fields take written as one JSON object, braces included, in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The position of the field with this name.
    #[inline]
    pub fn find(&mut self, name: &str) -> Option<usize> {
        if self.list.len() > INDEXED_ABOVE {
            return self.index.find(&self.list, &self.text, name.as_bytes());
        }
        let (text, name) = (&self.text[..], name.as_bytes());
        self.list
            .iter()
            .position(|field| field.name.bytes(text) == name)
    }

    pub fn name(&self, at: usize) -> String {
        String::from_utf8_lossy(self.list[at].name.bytes(&self.text)).into_owned()
    }

    #[inline]
    pub fn held(&self, at: usize) -> Held<'_> {
        match &self.list[at].content {
            Content::Raw(span) => Held::Raw(span.of(&self.text)),
            Content::Parsed(parsed) => Held::Parsed(&parsed.value),
        }
    }

    /// The written length of a field's value, in bytes.
    #[inline]
    pub fn value_len(&self, at: usize) -> usize {
        self.list[at].content.len()
    }

    /// Appends a field's JSON text as it would be stored.
    pub fn write_value(&self, at: usize, out: &mut Vec<u8>) {
        match &self.list[at].content {
            Content::Parsed(parsed) if parsed.span.is_none() => write_json(out, &parsed.value),
            content => {
                let span = content.span().unwrap_or(Span::new(0, 0));
                out.extend_from_slice(span.of(&self.text));
            }
        }
    }

    /// The field's value, parsed now if it was not yet. Reading does not change what is stored.
    pub fn parse(&mut self, at: usize) -> Result<&Value, SaveDataError> {
        if let Content::Raw(span) = self.list[at].content {
            let value = serde_json::from_slice(span.of(&self.text)).map_err(|error| {
                SaveDataError::UnreadableField {
                    field: self.name(at),
                    message: message(&error),
                }
            })?;
            let (span, len) = (Some(span), 0);
            self.list[at].content = Content::Parsed(Arc::new(Parsed { value, span, len }));
        }
        match &self.list[at].content {
            Content::Parsed(parsed) => Ok(&parsed.value),
            Content::Raw(_) => unreachable!("it has just been parsed"),
        }
    }

    /// What the field will take once it is written from its value instead of copied from the
    /// text: blanks, escapes and spellings of numbers may differ.
    pub fn rewritten_len(&self, at: usize) -> usize {
        match &self.list[at].content {
            Content::Parsed(parsed) if parsed.span.is_some() => written_len(&parsed.value),
            content => content.len(),
        }
    }

    /// Changes a parsed field's value in place, after which it is `len` bytes long.
    pub fn edit(&mut self, at: usize, len: usize, change: impl FnOnce(&mut Value)) {
        self.size = self.size + len - self.value_len(at);
        if let Content::Parsed(parsed) = &mut self.list[at].content {
            let parsed = Arc::make_mut(parsed);
            parsed.span = None;
            parsed.len = len;
            change(&mut parsed.value);
        }
    }

    /// Replaces a field's value by one that is `len` bytes long.
    #[inline]
    pub fn replace(&mut self, at: usize, value: Value, len: usize) {
        self.size = self.size + len - self.value_len(at);
        let content = &mut self.list[at].content;
        match content {
            Content::Parsed(parsed) if Arc::strong_count(parsed) == 1 => {
                *Arc::make_mut(parsed) = Parsed {
                    value,
                    span: None,
                    len,
                };
            }
            _ => *content = Content::written(value, len),
        }
    }

    /// Adds a field that is not there yet, with a value that is `len` bytes long.
    pub fn push(&mut self, name: &str, value: Value, len: usize) {
        self.add(Name::Owned(name.into()), Content::written(value, len));
    }

    /// Adds a field that is not there yet: `name` as it stands at `name_start` in the text, or
    /// owned when it is written there with escapes.
    pub fn push_raw(&mut self, name: Cow<'_, str>, name_start: usize, value: Span) {
        let name = match name {
            Cow::Borrowed(name) => Name::InText(Span::new(name_start, name.len())),
            Cow::Owned(name) => Name::Owned(name.into()),
        };
        self.add(name, Content::Raw(value));
    }

    fn add(&mut self, name: Name, content: Content) {
        self.size += member_len(name.written_len(), content.len(), self.list.len());
        self.list.push(Field { name, content });
    }

    pub fn remove(&mut self, at: usize) {
        self.size -= self.removal_len(at, self.list.len() - 1);
        self.list.remove(at);
        self.index.removed(at);
    }

    /// How much smaller removing a field makes the size, when `others` stay.
    pub fn removal_len(&self, at: usize, others: usize) -> usize {
        let Field { name, content } = &self.list[at];
        member_len(name.written_len(), content.len(), others)
    }

    /// Gives back the memory of fields that were expected and did not come.
    pub fn shrink(&mut self) {
        self.list.shrink_to_fit();
    }

    /// Appends `"name":value` for every field, parted by commas, and returns where each stands.
    pub fn write_members(&self, out: &mut Vec<u8>) {
        for (at, field) in self.list.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            self.write_name(&field.name, out);
            out.push(b':');
            self.write_value(at, out);
        }
    }

    fn write_name(&self, name: &Name, out: &mut Vec<u8>) {
        match name {
            Name::InText(span) => {
                out.push(b'"');
                out.extend_from_slice(span.of(&self.text));
                out.push(b'"');
            }
            Name::Owned(name) => write_json(out, &**name),
        }
    }

    /// Moves every field onto `text`, in which [`Fields::write_members`] has written them from
    /// `start` on, so that the old text and all parsed values are given back.
    pub fn rebase(&mut self, text: Bytes, start: usize) {
        let mut offset = start;
        for (at, field) in self.list.iter_mut().enumerate() {
            offset += usize::from(at > 0);
            let (name_len, value_len) = (field.name.written_len(), field.content.len());
            let in_text = match &field.name {
                Name::InText(_) => true,
                Name::Owned(name) => is_plain(name),
            };
            if in_text {
                field.name = Name::InText(Span::new(offset + 1, name_len - 2));
            }
            offset += name_len + 1;
            field.content = Content::Raw(Span::new(offset, value_len));
            offset += value_len;
        }
        self.text = text;
    }
}

/// What a field takes among `others`: name, colon, value, and the comma that parts it from them.
pub(super) fn member_len(name_len: usize, value_len: usize, others: usize) -> usize {
    name_len + 1 + value_len + usize::from(others > 0)
}

/// Finds fields by name in documents with many of them. Built at the first lookup, and empty
/// until then; what it knows is always the beginning of the list.
#[derive(Default)]
struct NameIndex(Option<Box<Positions>>);

#[derive(Default)]
struct Positions {
    hasher: DefaultHashBuilder,
    /// Positions in the list, found by the hash of the name.
    table: HashTable<u32>,
}

/// A copy looks nothing up before it has to.
impl Clone for NameIndex {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl NameIndex {
    fn find(&mut self, list: &[Field], text: &[u8], name: &[u8]) -> Option<usize> {
        let positions = self.0.get_or_insert_default();
        let Positions { hasher, table } = &mut **positions;
        let hash_at = |at: &u32| hasher.hash_one(list[*at as usize].name.bytes(text));
        for at in table.len()..list.len() {
            let at = at as u32;
            table.insert_unique(hash_at(&at), at, hash_at);
        }
        let is_named = |at: &u32| list[*at as usize].name.bytes(text) == name;
        table
            .find(hasher.hash_one(name), is_named)
            .map(|at| *at as usize)
    }

    /// The field at this position has been removed, and those behind it have moved down.
    fn removed(&mut self, removed: usize) {
        let Some(positions) = &mut self.0 else {
            return;
        };
        positions.table.retain(|at| *at as usize != removed);
        for at in positions.table.iter_mut() {
            if *at as usize > removed {
                *at -= 1;
            }
        }
    }
}
