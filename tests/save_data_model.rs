//! Random sequences of writes and reads, compared with a plain JSON value at every step.

use bytes::Bytes;
use fastrand::Rng;
use serde_json::{Value, json};
use session_locker::save_data::{Backup, DEFAULT_LIMIT_BYTES, SaveData, SaveDataError};

const RESERVED: [&str; 3] = ["VersionPatch", "Purchases", "ProductCredit"];

#[test]
fn a_document_behaves_like_a_plain_json_value() {
    for seed in 0..100 {
        Run::new(seed).steps(120);
    }
}

#[test]
fn a_small_limit_holds_at_every_step() {
    let mut refused = 0;
    for seed in 0..100 {
        let mut run = Run::new(seed);
        run.data = SaveData::from_json("{}", 200).unwrap();
        run.steps(120);
        assert!(run.largest <= 200);
        refused += run.refused;
    }
    assert!(refused > 100, "the limit was hardly met: {refused}");
}

struct Run {
    random: Rng,
    data: SaveData,
    /// The player's fields as they have to be.
    model: Value,
    backup: Option<(Backup, Value)>,
    largest: usize,
    refused: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            data: SaveData::default(),
            model: json!({}),
            backup: None,
            largest: 0,
            refused: 0,
        }
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            match self.random.u8(..20) {
                0..8 => self.set(),
                8..11 => self.remove(),
                11 => self.add(),
                12 => self.merge(),
                13 => self.patch(),
                14 => self.replace_all(),
                15 => self.backup(),
                16..18 => self.store(),
                _ => self.read(),
            }
            self.check();
        }
    }

    /// Takes over the model if the write went through; only the limit may refuse it.
    fn settle(&mut self, result: Result<(), SaveDataError>, model: Option<Value>) {
        match (result, model) {
            (Ok(()), Some(model)) => self.model = model,
            (Err(SaveDataError::TooLarge { size_bytes, .. }), Some(model)) => {
                // What has only been read keeps its spelling, so the two may differ a little.
                assert!(size_bytes.abs_diff(model.to_string().len()) < 100);
                self.refused += 1;
            }
            (Err(_), None) => {}
            (result, model) => panic!("{result:?}, expected {model:?} after {}", self.model),
        }
    }

    fn set(&mut self) {
        let pointer = self.pointer();
        let value = self.value(2);
        let result = match &value {
            Value::Null => self.data.set_null(&pointer),
            Value::Bool(value) => self.data.set_bool(&pointer, *value),
            Value::String(value) => self.data.set_string(&pointer, value),
            Value::Number(number) if number.is_i64() => {
                self.data.set_i64(&pointer, number.as_i64().unwrap())
            }
            Value::Number(number) if number.is_f64() => {
                self.data.set_f64(&pointer, number.as_f64().unwrap())
            }
            value => self.data.set_json(&pointer, &value.to_string()),
        };
        let mut model = self.model.clone();
        let is_set = set(&mut model, &pointer, value);
        self.settle(result, is_set.then_some(model));
    }

    fn remove(&mut self) {
        let pointer = self.pointer();
        let result = self.data.remove(&pointer);
        let mut model = self.model.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let is_removed = match model.pointer_mut(parent) {
            Some(Value::Object(members)) => members.shift_remove(&unescape(last)).is_some(),
            Some(Value::Array(items)) => match last.parse::<usize>() {
                Ok(at) if at < items.len() => {
                    items.remove(at);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        self.settle(result, is_removed.then_some(model));
    }

    fn add(&mut self) {
        let pointer = self.pointer();
        let delta = self.random.i64(-1000..1000);
        let mut model = self.model.clone();
        let whole = |value: &Value| {
            let float = value.as_f64().filter(|float| float.fract() == 0.0);
            let float = float.filter(|_| value.is_f64()).map(|float| float as i64);
            value.as_i64().or(float)
        };
        let place = model.pointer_mut(&pointer);
        let sum = place.and_then(|place| {
            let sum = whole(place)?.checked_add(delta)?;
            *place = json!(sum);
            Some(sum)
        });
        let result = self.data.add_i64(&pointer, delta);
        if let (Ok(result), Some(sum)) = (&result, sum) {
            assert_eq!(*result, sum);
        }
        self.settle(result.map(drop), sum.map(|_| model));
    }

    fn merge(&mut self) {
        let patch = self.object(3);
        let mut model = self.model.clone();
        json_patch::merge(&mut model, &patch);
        let result = self.data.merge_patch(&patch.to_string());
        self.settle(result, Some(model));
    }

    fn patch(&mut self) {
        let operations: Vec<Value> = (0..self.random.usize(1..4))
            .map(|_| {
                let (path, from) = (self.pointer(), self.pointer());
                match self.random.u8(..5) {
                    0 => json!({"op": "remove", "path": path}),
                    1 => json!({"op": "replace", "path": path, "value": self.value(1)}),
                    2 => json!({"op": "move", "from": from, "path": path}),
                    3 => json!({"op": "copy", "from": from, "path": path}),
                    _ => json!({"op": "add", "path": path, "value": self.value(1)}),
                }
            })
            .collect();
        let operations = Value::Array(operations);
        let mut model = self.model.clone();
        let patch: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
        let is_applied = json_patch::patch(&mut model, &patch).is_ok();
        let result = self.data.apply_patch(&operations.to_string());
        self.settle(result, is_applied.then_some(model));
    }

    fn replace_all(&mut self) {
        let document = self.object(3);
        let text = match self.random.bool() {
            true => serde_json::to_string_pretty(&document).unwrap(),
            false => document.to_string(),
        };
        let result = self.data.set_json("", &text);
        match result {
            // Pretty text is kept as it is, with its blanks.
            Err(SaveDataError::TooLarge { .. }) => self.refused += 1,
            result => self.settle(result, Some(document)),
        }
    }

    fn backup(&mut self) {
        match self.backup.take() {
            Some((backup, model)) => {
                self.data.restore(&backup).unwrap();
                self.model = model;
            }
            None => self.backup = Some((self.data.backup(), self.model.clone())),
        }
    }

    /// Stores the document, and goes on with it or with what was stored.
    fn store(&mut self) {
        let stored = self.data.encode(None);
        let limit_bytes = self.data.limit_bytes();
        let again = SaveData::parse(stored.clone(), limit_bytes).unwrap();
        assert_eq!(again.to_json().as_bytes(), &stored[..]);
        assert_eq!(again.size_bytes(), self.data.size_bytes());
        if self.random.bool() {
            self.data = again;
        }
    }

    fn read(&mut self) {
        let pointer = self.pointer();
        let expected = self.model.pointer(&pointer);
        let found = self.data.get_json(&pointer).ok();
        let found: Option<Value> = found.map(|json| serde_json::from_str(&json).unwrap());
        assert_eq!(found.as_ref(), expected, "{pointer}");
        let is_there = self.data.contains(&pointer);
        assert_eq!(is_there.unwrap_or(false), expected.is_some(), "{pointer}");
        let string = expected.and_then(Value::as_str);
        assert_eq!(self.data.get_string(&pointer).ok().as_deref(), string);
        let float = expected.and_then(Value::as_f64);
        assert_eq!(self.data.get_f64(&pointer).ok(), float);
    }

    fn check(&mut self) {
        let json = self.data.to_json();
        let mut document: Value = serde_json::from_str(&json).unwrap();
        for name in RESERVED {
            document
                .as_object_mut()
                .unwrap()
                .shift_remove(name)
                .unwrap();
        }
        assert_eq!(document, self.model);
        let reserved = SaveData::default().to_json().len();
        let comma = usize::from(document.as_object().unwrap().is_empty());
        assert_eq!(self.data.size_bytes(), json.len() + 1 + comma - reserved);
        let text = Bytes::from(json);
        let again = SaveData::parse(text, DEFAULT_LIMIT_BYTES).unwrap();
        assert_eq!(again.size_bytes(), self.data.size_bytes());
        self.largest = self.largest.max(self.data.size_bytes());
    }

    fn pointer(&mut self) -> String {
        let tokens = ["a", "b", "c~1d", "~0", "", "é", "0", "1", "2"];
        let deeper = self.random.usize(..3);
        let mut pointer = format!("/{}", self.name().replace('~', "~0").replace('/', "~1"));
        for _ in 0..deeper {
            pointer.push('/');
            pointer.push_str(self.random.choice(tokens).unwrap());
        }
        pointer
    }

    /// A top-level name: few enough to meet again, enough for an index.
    fn name(&mut self) -> String {
        match self.random.u8(..3) {
            0 => ["a", "\"q\"", "c/d", "~", ""][self.random.usize(..5)].to_owned(),
            _ => format!("field{}", self.random.u8(..25)),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        let kinds = if depth == 0 { 7 } else { 10 };
        match self.random.u8(..kinds) {
            0 => Value::Null,
            1 => json!(self.random.bool()),
            2 => json!(self.random.i64(-100..100)),
            3 => json!(self.random.i64(..)),
            4 => json!(f64::from(self.random.i32(..)) / 8.0),
            5 => json!(self.random.u64(..)),
            6 => json!(["", "text", "qu\"ote\\", "é\n\u{1}"][self.random.usize(..4)]),
            7 => json!([self.value(depth - 1), self.value(depth - 1)]),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut members = serde_json::Map::new();
        for _ in 0..self.random.usize(..4) {
            let value = match depth {
                0 => self.value(0),
                _ => self.value(depth - 1),
            };
            let name = match self.random.bool() {
                true => self.name(),
                false => ["a", "b", "c/d", "~", "é"][self.random.usize(..5)].to_owned(),
            };
            members.insert(name, value);
        }
        Value::Object(members)
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Sets a place in the model; false when its parent is not there.
fn set(model: &mut Value, pointer: &str, value: Value) -> bool {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match model.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(unescape(last), value);
            true
        }
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(at) if at < items.len() => {
                items[at] = value;
                true
            }
            Ok(at) if at == items.len() => {
                items.push(value);
                true
            }
            _ => false,
        },
        _ => false,
    }
}
