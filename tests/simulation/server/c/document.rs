//! Save data in the hands of a C host.

use session_locker::ffi::*;

use super::call::{Handle, Refusal, c, call, get, text_of};
use crate::server::Document;

/// The handle of a save data, or of a draft while its hook runs.
#[derive(Clone, Copy)]
pub struct SaveData(Handle<SlSaveData>);

impl SaveData {
    pub fn of(pointer: *mut SlSaveData) -> Self {
        Self(Handle::of(pointer))
    }

    /// Replaces all fields.
    pub fn set(self, json: &str) -> Result<(), Refusal> {
        let (data, json, length) = (self.0.get(), json.as_ptr().cast(), json.len());
        call(c!(save_data_set_json(
            data,
            c"".as_ptr(),
            SL_NUL_TERMINATED,
            json,
            length
        )))
    }

    fn list(self, place: &str) -> Result<Vec<u64>, Refusal> {
        let (data, pointer, length) = (self.0.get(), place.as_ptr().cast(), place.len());
        let json = text_of(|json| c!(save_data_get_json(data, pointer, length, json)))?;
        let count = get(0, |count| {
            c!(save_data_length(data, pointer, length, count))
        })?;
        let numbers: Vec<u64> = serde_json::from_str(&json).expect("a list of numbers");
        assert_eq!(numbers.len(), count, "{json} at {place}");
        Ok(numbers)
    }
}

impl Document for SaveData {
    /// Both ways there are, by turns.
    fn append(&mut self, place: &str, number: u64) -> Result<(), String> {
        let data = self.0.get();
        let status = match number % 2 {
            0 => {
                let (pointer, json) = (place.as_ptr().cast(), number.to_string());
                let (json, json_length) = (json.as_ptr().cast(), json.len());
                c!(save_data_append(
                    data,
                    pointer,
                    place.len(),
                    json,
                    json_length
                ))
            }
            _ => {
                let end = format!("{place}/-");
                c!(save_data_set_i64(
                    data,
                    end.as_ptr().cast(),
                    end.len(),
                    number as i64
                ))
            }
        };
        call(status).map_err(|refusal| refusal.to_string())
    }

    fn numbers(&mut self, place: &str) -> Vec<u64> {
        self.list(place).unwrap_or_default()
    }

    fn add(&mut self, place: &str, amount: i64) -> Result<(), String> {
        let (data, pointer) = (self.0.get(), place.as_ptr().cast());
        let added = get(0, |sum| {
            c!(save_data_add_i64(data, pointer, place.len(), amount, sum))
        });
        added.map(|_| ()).map_err(|refusal| refusal.to_string())
    }
}
