//! How operations that each concern one key become commands, and answers outcomes.

use std::vec;

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};

use super::connection::Connection;
use super::failure::Failure;
use super::layout::{Layout, Partition, read_user_ids, write_user_ids};
use super::queue::Waiting;
use super::scripts::{Form, Scripts};
use crate::storage::{Expected, Fetched, Operation, Outcome, Revision};

/// For how many milliseconds tombstones stay. The contract asks for a day; this is twice as long, for
/// clocks that are put right.
const TOMBSTONE_MS: u64 = 2 * 24 * 60 * 60 * 1000;
/// About a second, in microseconds.
const LARGEST_STEP: u64 = 1 << 20;
/// What is expected by who names a revision that no engine of this kind gives.
const NEVER: &str = "nothing";
/// What the script of [`Form::Short`] answers if it does not do.
const OTHER_USERS: &str = "users";

/// What the server has answered to several commands, in their order.
pub(super) struct Answers(vec::IntoIter<Value>);

impl Answers {
    /// As the client gives them.
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next one; what was `asked` is for messages.
    pub(super) fn next(&mut self, asked: &'static str) -> Result<Value, Failure> {
        match self.0.next() {
            Some(Value::ServerError(error)) => Err(error.into()),
            Some(value) => Ok(value),
            None => Err(Failure::Unexpected(asked)),
        }
    }

    /// The next one, which is a text.
    pub(super) fn text(&mut self, asked: &'static str) -> Result<String, Failure> {
        let text = self.optional_text(asked)?;
        text.ok_or(Failure::Unexpected(asked))
    }

    /// The next one, which is a text or nothing.
    pub(super) fn optional_text(&mut self, asked: &'static str) -> Result<Option<String>, Failure> {
        match self.next(asked)? {
            Value::Nil => Ok(None),
            value => Ok(Some(text(value, asked)?)),
        }
    }

    /// The next one, which is a list of texts.
    pub(super) fn texts(&mut self, asked: &'static str) -> Result<Vec<String>, Failure> {
        let values = list(self.next(asked)?, asked)?;
        values.into_iter().map(|value| text(value, asked)).collect()
    }
}

fn text(value: Value, asked: &'static str) -> Result<String, Failure> {
    let text = match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    };
    text.ok_or(Failure::Unexpected(asked))
}

fn list(value: Value, asked: &'static str) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Failure::Unexpected(asked)),
    }
}

/// Runs a batch of requests that each concern one key: what came of each, and the server's clock before
/// the first. An error means that the connection broke.
pub(super) async fn run_batch(
    connection: &Connection,
    scripts: &Scripts,
    layout: &Layout,
    batch: &[Waiting],
    form: Form,
) -> Result<(Vec<Result<Outcome, Failure>>, Option<f64>), Failure> {
    let mut commands = Pipeline::with_capacity(batch.len() + 4);
    commands.cmd("TIME");
    if form == Form::Whole {
        Scripts::push_loads(&mut commands);
    }
    for waiting in batch {
        let Some(command) = command(waiting.operation(), scripts, layout, form) else {
            continue;
        };
        if waiting.is_asking() {
            commands.cmd("ASKING");
        }
        commands.add_command(command);
    }
    let mut answers = connection.ask(&commands).await?;
    let clock = answers.texts("TIME").ok().and_then(|time| clock(&time));
    if form == Form::Whole {
        // Whoever needs a script that the server did not take will hear so.
        let _ = Scripts::read(&mut answers);
    }
    let outcome = |waiting: &Waiting| {
        if waiting.is_asking() {
            let asking = answers.next("ASKING");
            let outcome = outcome(waiting.operation(), &mut answers);
            // What is behind it is refused for want of it, if it is.
            return outcome.map_err(|failure| asking.err().unwrap_or(failure));
        }
        outcome(waiting.operation(), &mut answers)
    };
    let outcomes = batch.iter().map(outcome).collect();
    Ok((outcomes, clock))
}

fn clock(time: &[String]) -> Option<f64> {
    let [seconds, microseconds] = time else {
        return None;
    };
    let seconds: f64 = seconds.parse().ok()?;
    let microseconds: f64 = microseconds.parse().ok()?;
    Some(seconds + microseconds / 1e6)
}

/// The command for an operation that concerns one key.
fn command(operation: &Operation, scripts: &Scripts, layout: &Layout, form: Form) -> Option<Cmd> {
    let command = match operation {
        Operation::Commit {
            key,
            expected: Expected::Present(revision),
            bytes,
            user_ids,
        } if form == Form::Short => {
            let record = layout.record(Partition::of(key), key);
            let user_ids = write_user_ids(user_ids);
            let hash = &scripts.replace;
            let size_bytes = record.len() + hash.len() + user_ids.len() + bytes.len() + 32;
            let mut command = Cmd::with_capacity(8, size_bytes);
            command.arg("EVALSHA").arg(hash).arg(1).arg(record);
            match revision.as_u64() {
                Some(number) => command.arg(number),
                None => command.arg(NEVER),
            };
            command.arg(user_ids).arg(&bytes[..]).arg(chance_step());
            command
        }
        Operation::Commit {
            key,
            expected,
            bytes,
            user_ids,
        } => {
            let user_ids = write_user_ids(user_ids);
            let room = bytes.len() + user_ids.len();
            let expected = expectation(Some(expected));
            let mut command = script(&scripts.commit, layout, key, &expected, room);
            command.arg(&bytes[..]).arg(user_ids).arg(chance_step());
            command
        }
        Operation::Erase { key, expected } => {
            let expected = expectation(expected.as_ref());
            let mut command = script(&scripts.erase, layout, key, &expected, 0);
            command.arg(TOMBSTONE_MS).arg(chance_step());
            command
        }
        Operation::Fetch { key } => {
            let record = layout.record(Partition::of(key), key);
            let mut command = Cmd::with_capacity(5, record.len() + 40);
            command.arg("HMGET").arg(record);
            command.arg("revision").arg("users").arg("bytes");
            command
        }
        Operation::List { .. } | Operation::KeysOfUser { .. } => return None,
    };
    Some(command)
}

/// By how much a revision exceeds the one before it, where the server's clock is behind: at least one. A server
/// that was cut off and the one that has taken over may both go on from the same revision, and must not come
/// to the same one with different contents.
fn chance_step() -> u64 {
    fastrand::u64(1..=LARGEST_STEP)
}

/// The beginning of a script's call. `room` is for what comes behind it.
fn script(hash: &str, layout: &Layout, key: &str, expected: &str, room: usize) -> Cmd {
    let partition = Partition::of(key);
    let record = layout.record(partition, key);
    let size_bytes = 5 * record.len() + hash.len() + key.len() + expected.len() + room;
    let mut command = Cmd::with_capacity(13, size_bytes);
    command
        .arg("EVALSHA")
        .arg(hash)
        .arg(4)
        .arg(record)
        .arg(layout.keys(partition))
        .arg(layout.users(partition))
        .arg(layout.floor(partition))
        .arg(expected)
        .arg(key);
    command
}

/// The state of a record as the scripts name it.
fn expectation(expected: Option<&Expected>) -> String {
    let (state, revision) = match expected {
        None => return "any".to_owned(),
        Some(Expected::Absent(None)) => return "never".to_owned(),
        Some(Expected::Present(revision)) => ("present", revision),
        Some(Expected::Absent(Some(revision))) => ("erased", revision),
    };
    match revision.as_u64() {
        Some(number) => format!("{state} {number}"),
        None => NEVER.to_owned(),
    }
}

fn outcome(operation: &Operation, answers: &mut Answers) -> Result<Outcome, Failure> {
    match operation {
        Operation::Commit { .. } => written(answers, Outcome::Committed),
        Operation::Erase { .. } => written(answers, Outcome::Erased),
        Operation::Fetch { .. } => {
            let values = list(answers.next("HMGET")?, "HMGET")?;
            let fetched = fetched(values).ok_or(Failure::Unexpected("HMGET"))?;
            Ok(Outcome::Fetched(fetched))
        }
        Operation::List { .. } | Operation::KeysOfUser { .. } => {
            Err(Failure::Unexpected("a list in a batch"))
        }
    }
}

fn written(
    answers: &mut Answers,
    outcome: impl FnOnce(Revision) -> Outcome,
) -> Result<Outcome, Failure> {
    match answers.optional_text("EVALSHA")? {
        None => Ok(Outcome::Conflict),
        Some(text) if text == OTHER_USERS => Err(Failure::OtherUsers),
        Some(text) => match text.parse() {
            Ok(number) => Ok(outcome(Revision::from_u64(number))),
            Err(_) => Err(Failure::Unexpected("EVALSHA")),
        },
    }
}

/// A record of ours; `None` if it is none.
fn fetched(values: Vec<Value>) -> Option<Fetched> {
    let [revision, user_ids, bytes] = <[Value; 3]>::try_from(values).ok()?;
    let revision = match revision {
        Value::Nil => None,
        Value::BulkString(number) => {
            let number = std::str::from_utf8(&number).ok()?.parse().ok()?;
            Some(Revision::from_u64(number))
        }
        _ => return None,
    };
    match (revision, user_ids, bytes) {
        (tombstone, Value::Nil, Value::Nil) => Some(Fetched::Absent { tombstone }),
        (Some(revision), Value::BulkString(user_ids), Value::BulkString(bytes)) => {
            let user_ids = read_user_ids(std::str::from_utf8(&user_ids).ok()?)?;
            let bytes = Bytes::from(bytes);
            Some(Fetched::Present {
                bytes,
                revision,
                user_ids,
            })
        }
        _ => None,
    }
}
