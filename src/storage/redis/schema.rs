//! The keys that say whose the other keys are: one of a server, and one of each partition in a cluster. Each has
//! a number by chance too. A server on which one has vanished, or has been made anew, has lost what it had.

use std::cell::RefCell;
use std::collections::HashMap;

use redis::pipe;

use super::connection::Connection;
use super::failure::Failure;
use super::layout::{PARTITIONS, Partition, SCHEMA, SCHEMA_VERSION};
use super::maker::NotConnected;
use super::{Host, RedisOpenError};

/// What is known of schema keys.
#[derive(Default)]
pub(super) struct Schemas {
    /// Those that were there once, so that they must be, and what they held.
    seen: RefCell<HashMap<String, String>>,
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
        let have_vanished = to_make
            .iter()
            .any(|key| self.seen.borrow().contains_key(key));
        if !to_make.is_empty() && !have_vanished {
            make(connection, &to_make).await?;
            // Another's who was quicker are there now too.
            found = self.look(connection, keys).await?;
        }
        let host = connection.host();
        let results = found.into_iter().zip(keys).map(|(found, key)| match found {
            Found::Ours => Ok(()),
            Found::Elsewhere(failure) => Err(failure),
            Found::Nothing => Err(lost(host, key, "is gone")),
            Found::Another => Err(lost(host, key, "was made anew")),
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
                    check_schema(key, &found).map_err(NotConnected::Refused)?;
                    let mut seen = self.seen.borrow_mut();
                    let first = seen.entry(key.clone()).or_insert_with(|| found.clone());
                    match (number(first), number(&found)) {
                        (Some(first), Some(number)) if first != number => Found::Another,
                        _ => Found::Ours,
                    }
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
    /// It is ours, and not the one that was there.
    Another,
    /// It is not this node's affair; what it said.
    Elsewhere(Failure),
}

/// What there is against a server that has lost its data.
fn lost(host: &Host, key: &str, how: &str) -> Failure {
    Failure::NotUsable(format!(
        "{host}: the key {key:?} {how}, so the server has lost its data; it is not used until that is back, or \
         this storage is opened anew"
    ))
}

async fn make(connection: &Connection, keys: &[String]) -> Result<(), NotConnected> {
    let not_usable = |failure| NotConnected::after(connection.host(), &failure);
    let mut make = pipe();
    for key in keys {
        let schema = format!("{SCHEMA}{SCHEMA_VERSION}\n{:016x}", fastrand::u64(..));
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

/// The number by chance that a schema key holds in its second line.
fn number(found: &str) -> Option<&str> {
    found.lines().nth(1)
}

/// Whether what a schema key holds is ours, by its first line.
fn check_schema(key: &str, found: &str) -> Result<(), RedisOpenError> {
    let key = key.to_owned();
    let first_line = found.lines().next().unwrap_or_default();
    match first_line.strip_prefix(SCHEMA).map(str::parse) {
        Some(Ok(SCHEMA_VERSION)) => Ok(()),
        Some(Ok(found)) => Err(RedisOpenError::UnknownSchema {
            key,
            found,
            supported: SCHEMA_VERSION,
        }),
        _ => Err(RedisOpenError::ForeignKey {
            key,
            found: found.to_owned(),
        }),
    }
}
