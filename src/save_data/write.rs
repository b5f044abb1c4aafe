//! Writing a document: [`SaveData`]'s setters. Each is checked and measured in full before it
//! changes anything.

use serde_json::{Number, Value};

use super::fields::member_len;
use super::nested::Edit;
use super::pointer::{self, Target, not_found};
use super::value::{written_len, written_str_len};
use super::{SaveData, SaveDataError, ValueType, check_size, read_player_fields, reserved, scan};

/// Setters. The place's parent has to exist; in an array an index below its length replaces, the
/// length itself or `-` appends. Each success counts as one change.
///
/// # Errors
/// All of them, having changed nothing: [`SaveDataError::InvalidPointer`];
/// [`SaveDataError::NotFound`], naming the first part of the pointer that leads nowhere;
/// [`SaveDataError::WrongType`] for a pointer that leads through a scalar;
/// [`SaveDataError::ReservedField`]; [`SaveDataError::TooLarge`] when the player's fields would
/// grow beyond the limit; [`SaveDataError::TooDeep`]; [`SaveDataError::UnreadableField`].
impl SaveData {
    /// Sets the place to a value given as JSON. The whole document (the empty pointer) can be set
    /// to an object: its members replace all of the player's fields, reserved names in it are
    /// ignored and the reserved fields stay as they are, so that a host may write back what it
    /// has read.
    ///
    /// # Errors
    /// Also [`SaveDataError::InvalidJson`], its offset within `json`; for the whole document
    /// [`SaveDataError::NotAnObject`] and [`SaveDataError::DuplicateField`].
    pub fn set_json(&mut self, pointer: &str, json: &str) -> Result<(), SaveDataError> {
        let parents = match pointer::split(pointer)? {
            Target::Document => return self.replace_all(json),
            Target::Field { rest, .. } => 1 + rest.matches('/').count(),
        };
        self.set(pointer, scan::value(json, parents)?)
    }

    /// Sets the place to an integer.
    #[inline]
    pub fn set_i64(&mut self, pointer: &str, value: i64) -> Result<(), SaveDataError> {
        self.set(pointer, Value::from(value))
    }

    /// Sets the place to a float, which stays one also without a fraction.
    ///
    /// # Errors
    /// Also [`SaveDataError::OutOfRange`] for what JSON has no word for: NaN and the infinities.
    pub fn set_f64(&mut self, pointer: &str, value: f64) -> Result<(), SaveDataError> {
        let number = Number::from_f64(value).ok_or_else(|| SaveDataError::OutOfRange {
            pointer: pointer.to_owned(),
            message: format!("{value} is not a finite number"),
        })?;
        self.set(pointer, Value::Number(number))
    }

    /// Sets the place to a bool.
    pub fn set_bool(&mut self, pointer: &str, value: bool) -> Result<(), SaveDataError> {
        self.set(pointer, Value::Bool(value))
    }

    /// Sets the place to a string.
    pub fn set_string(&mut self, pointer: &str, value: &str) -> Result<(), SaveDataError> {
        self.set(pointer, Value::String(value.to_owned()))
    }

    /// Sets the place to null.
    pub fn set_null(&mut self, pointer: &str) -> Result<(), SaveDataError> {
        self.set(pointer, Value::Null)
    }

    /// Adds to the integer at `pointer`, which has to be there, and returns the sum.
    ///
    /// # Errors
    /// Also [`SaveDataError::OutOfRange`] when the sum does not fit 64 bits.
    pub fn add_i64(&mut self, pointer: &str, delta: i64) -> Result<i64, SaveDataError> {
        let old = self.get_i64(pointer)?;
        let sum = old
            .checked_add(delta)
            .ok_or_else(|| SaveDataError::OutOfRange {
                pointer: pointer.to_owned(),
                message: format!("{old} + {delta} does not fit a signed integer of 64 bits"),
            })?;
        self.set_i64(pointer, sum)?;
        Ok(sum)
    }

    /// Appends a value given as JSON to the array at `pointer`.
    pub fn append(&mut self, pointer: &str, json: &str) -> Result<(), SaveDataError> {
        match self.value_type(pointer)? {
            ValueType::Array => self.set_json(&format!("{pointer}/-"), json),
            found => Err(SaveDataError::WrongType {
                pointer: pointer.to_owned(),
                expected: "an array",
                found,
            }),
        }
    }

    /// Removes what is at `pointer`; an array's later elements move down. A document that is over
    /// its limit can still be made smaller so.
    pub fn remove(&mut self, pointer: &str) -> Result<(), SaveDataError> {
        let Target::Field { name, rest } = pointer::split(pointer)? else {
            return Err(pointer::invalid(pointer, "the whole document stays"));
        };
        let at = self.writable(&name)?.ok_or_else(|| {
            let parent = &pointer[..pointer.len() - rest.len()];
            not_found(parent)
        })?;
        if rest.is_empty() {
            self.fields.remove(at);
        } else {
            let edit = Edit::remove(self.fields.parse(at)?, rest, pointer)?;
            self.edit(at, edit)?;
        }
        self.changed();
        Ok(())
    }

    #[inline]
    fn set(&mut self, pointer: &str, value: Value) -> Result<(), SaveDataError> {
        match pointer::split(pointer)? {
            Target::Document => {
                let found = ValueType::of(&value);
                return Err(SaveDataError::NotAnObject { found });
            }
            Target::Field { name, rest: "" } => self.set_field(&name, value)?,
            Target::Field { name, rest } => self.set_inside(&name, rest, pointer, value)?,
        }
        self.changed();
        Ok(())
    }

    fn set_field(&mut self, name: &str, value: Value) -> Result<(), SaveDataError> {
        let len = written_len(&value);
        match self.writable(name)? {
            Some(at) => {
                self.check_new_size(self.fields.size() - self.fields.value_len(at) + len)?;
                self.fields.replace(at, value, len);
            }
            None => {
                let name_len = written_str_len(name);
                let others = self.fields.count();
                let added = member_len(name_len, len, others);
                self.check_new_size(self.fields.size() + added)?;
                self.fields.push(name, value, len);
            }
        }
        Ok(())
    }

    fn set_inside(
        &mut self,
        name: &str,
        rest: &str,
        pointer: &str,
        value: Value,
    ) -> Result<(), SaveDataError> {
        let parent = &pointer[..pointer.len() - rest.len()];
        let at = self.writable(name)?.ok_or_else(|| not_found(parent))?;
        let edit = Edit::set(self.fields.parse(at)?, rest, pointer, value)?;
        self.edit(at, edit)
    }

    fn edit(&mut self, at: usize, edit: Edit<'_>) -> Result<(), SaveDataError> {
        let len = self
            .fields
            .rewritten_len(at)
            .saturating_add_signed(edit.growth);
        self.check_new_size(self.fields.size() - self.fields.value_len(at) + len)?;
        self.fields.edit(at, len, |value| edit.make(value));
        Ok(())
    }

    fn replace_all(&mut self, json: &str) -> Result<(), SaveDataError> {
        let fields = read_player_fields(json)?;
        self.check_new_size(fields.size())?;
        self.fields = fields;
        self.changed();
        Ok(())
    }

    /// The position of a field that is to be written; `None` when it is not there yet.
    #[inline]
    pub(super) fn writable(&mut self, name: &str) -> Result<Option<usize>, SaveDataError> {
        // A reserved name is never among the player's fields.
        let at = self.fields.find(name);
        if at.is_none() && reserved::position(name).is_some() {
            return Err(SaveDataError::ReservedField {
                field: name.to_owned(),
            });
        }
        Ok(at)
    }

    /// Refuses a write that grows the player's fields beyond the limit.
    #[inline]
    pub(super) fn check_new_size(&self, size_bytes: usize) -> Result<(), SaveDataError> {
        if size_bytes <= self.fields.size() {
            return Ok(());
        }
        check_size(size_bytes, self.limit_bytes)
    }
}
