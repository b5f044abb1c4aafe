//! The keys that say whose the other keys are: one of a server, and one of each partition in a cluster. A
//! server on which one has vanished has lost what it had.

use std::cell::RefCell;
use std::collections::HashSet;

use redis::pipe;

use super::connection::Connection;
use super::failure::{Detour, Failure};
use super::layout::{SCHEMA, SCHEMA_VERSION};
use super::maker::NotConnected;
use super::{Host, RedisOpenError};

/// What is known of schema keys.
#[derive(Default)]
pub(super) struct Schemas {
    /// Those that were there once, so that they must be.
    seen: RefCell<HashSet<String>>,
}

impl Schemas {
    /// Sees to it that these schema keys are there and ours, and have not vanished; makes them where they
    /// have never been. Those in the keeping of another node are that one's affair.
    pub(super) async fn check(
        &self,
        connection: &Connection,
        keys: Vec<String>,
    ) -> Result<(), NotConnected> {
        let missing = self.missing(connection, keys).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let host = connection.host();
        let vanished = missing.iter().find(|key| self.seen.borrow().contains(*key));
        if let Some(key) = vanished {
            return Err(NotConnected::ForNow(format!(
                "{host}: the key {key:?} is gone, so the server has lost its data; it is not used until \
                 that is back, or a storage is opened on it anew"
            )));
        }
        let mut make = pipe();
        for key in &missing {
            let schema = format!("{SCHEMA}{SCHEMA_VERSION}");
            make.cmd("SETNX").arg(key).arg(schema);
        }
        let not_usable = |failure| NotConnected::after(host, &failure);
        let mut answers = connection.ask(&make).await.map_err(not_usable)?;
        for _ in &missing {
            of_this_node(host, answers.next("SETNX")).map_err(not_usable)?;
        }
        // Another's who was quicker are there now too.
        self.missing(connection, missing).await?;
        Ok(())
    }

    /// Those of these schema keys that the server should have and has not; the others are ours.
    async fn missing(
        &self,
        connection: &Connection,
        keys: Vec<String>,
    ) -> Result<Vec<String>, NotConnected> {
        let host = connection.host();
        let not_usable = |failure| NotConnected::after(host, &failure);
        let mut get = pipe();
        for key in &keys {
            get.cmd("GET").arg(key);
        }
        let mut answers = connection.ask(&get).await.map_err(not_usable)?;
        let mut missing = Vec::new();
        for key in keys {
            let found = of_this_node(host, answers.optional_text("GET")).map_err(not_usable)?;
            match found {
                None => {}
                Some(None) => missing.push(key),
                Some(Some(found)) => {
                    check_schema(&key, found).map_err(NotConnected::Refused)?;
                    self.seen.borrow_mut().insert(key);
                }
            }
        }
        Ok(missing)
    }
}

/// The answer of a server that was asked for a key; `None` from a node of a cluster that says that another
/// one has it, or is being given it.
fn of_this_node<T>(host: &Host, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => match failure.detour(host) {
            Some(Detour::Moved(_) | Detour::Ask(_)) => Ok(None),
            Some(Detour::Later) | None => Err(failure),
        },
    }
}

/// Whether what a schema key holds is ours.
fn check_schema(key: &str, found: String) -> Result<(), RedisOpenError> {
    let key = key.to_owned();
    match found.strip_prefix(SCHEMA).map(str::parse) {
        Some(Ok(SCHEMA_VERSION)) => Ok(()),
        Some(Ok(found)) => Err(RedisOpenError::UnknownSchema {
            key,
            found,
            supported: SCHEMA_VERSION,
        }),
        _ => Err(RedisOpenError::ForeignKey { key, found }),
    }
}
