//! The keys that say whose the other keys are: one of a server, and one of each partition in a cluster. A
//! server on which one has vanished has lost what it had.

use std::cell::RefCell;
use std::collections::HashSet;

use redis::pipe;

use super::RedisOpenError;
use super::connection::Connection;
use super::failure::Failure;
use super::layout::{PARTITIONS, Partition, SCHEMA, SCHEMA_VERSION};
use super::maker::NotConnected;

/// What is known of schema keys.
#[derive(Default)]
pub(super) struct Schemas {
    /// Those that were there once, so that they must be.
    seen: RefCell<HashSet<String>>,
}

impl Schemas {
    /// Sees to it that these schema keys are there and ours, and have not vanished; makes them where they
    /// have never been. Of each it says why it is not there, if so: that another node has it, in whose
    /// keeping it is, or that the server has lost it.
    pub(super) async fn check(
        &self,
        connection: &Connection,
        keys: &[String],
    ) -> Result<Vec<Result<(), Failure>>, NotConnected> {
        let mut found = self.look(connection, keys).await?;
        let is_missing = |found: &Found| matches!(found, Found::Nothing);
        let missing = |found: &[Found]| -> Vec<String> {
            let missing = found
                .iter()
                .zip(keys)
                .filter(|(found, _)| is_missing(found));
            missing.map(|(_, key)| key.clone()).collect()
        };
        let to_make = missing(&found);
        let have_vanished = to_make.iter().any(|key| self.seen.borrow().contains(key));
        if !to_make.is_empty() && !have_vanished {
            make(connection, &to_make).await?;
            // Another's who was quicker are there now too.
            found = self.look(connection, keys).await?;
        }
        let host = connection.host();
        let results = found.into_iter().zip(keys).map(|(found, key)| match found {
            Found::Ours => Ok(()),
            Found::Elsewhere(failure) => Err(failure),
            Found::Nothing => Err(Failure::NotUsable(format!(
                "{host}: the key {key:?} is gone, so the server has lost its data; it is not used until \
                 that is back, or a storage is opened on it anew"
            ))),
        });
        Ok(results.collect())
    }

    async fn look(
        &self,
        connection: &Connection,
        keys: &[String],
    ) -> Result<Vec<Found>, NotConnected> {
        let host = connection.host();
        let not_usable = |failure| NotConnected::after(host, &failure);
        let mut get = pipe();
        for key in keys {
            get.cmd("GET").arg(key);
        }
        let mut answers = connection.ask(&get).await.map_err(not_usable)?;
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            all.push(match answers.optional_text("GET") {
                Ok(None) => Found::Nothing,
                Ok(Some(found)) => {
                    check_schema(key, found).map_err(NotConnected::Refused)?;
                    self.seen.borrow_mut().insert(key.clone());
                    Found::Ours
                }
                // Its partition is on its way to another, which has this key already.
                Err(failure) if failure.is_of_given_slot() => Found::Ours,
                Err(failure) if failure.is_of_others_slot() => Found::Elsewhere(failure),
                Err(failure) => return Err(not_usable(failure)),
            });
        }
        Ok(all)
    }
}

/// What there is of a schema key.
enum Found {
    /// It is there, and ours.
    Ours,
    /// It is not there.
    Nothing,
    /// It is not this node's affair; what it said.
    Elsewhere(Failure),
}

async fn make(connection: &Connection, keys: &[String]) -> Result<(), NotConnected> {
    let not_usable = |failure| NotConnected::after(connection.host(), &failure);
    let mut make = pipe();
    for key in keys {
        let schema = format!("{SCHEMA}{SCHEMA_VERSION}");
        make.cmd("SETNX").arg(key).arg(schema);
    }
    let mut answers = connection.ask(&make).await.map_err(not_usable)?;
    for _ in keys {
        match answers.next("SETNX") {
            Err(failure) if failure.is_of_given_slot() || failure.is_of_others_slot() => {}
            answer => drop(answer.map_err(not_usable)?),
        }
    }
    Ok(())
}

/// The partitions that a connection may be used for: those whose schema keys it has found since its node was
/// known to have them. What comes to a node later may have come without its data.
#[derive(Debug)]
pub(super) struct Verified(RefCell<[bool; PARTITIONS as usize]>);

impl Verified {
    /// Each, or none.
    pub(super) fn new(each: bool) -> Self {
        Self(RefCell::new([each; PARTITIONS as usize]))
    }

    /// Whether this one is among them.
    pub(super) fn has(&self, partition: Partition) -> bool {
        self.0.borrow()[partition.index()]
    }

    /// Puts one in, or takes it out.
    pub(super) fn set(&self, partition: Partition, is_verified: bool) {
        self.0.borrow_mut()[partition.index()] = is_verified;
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
