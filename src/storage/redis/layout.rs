//! How records lie in Redis: the names of keys, and how user ids are written. Changing anything here
//! makes another schema version.
//!
//! Keys are spread over 256 partitions. All that belongs to a partition (its records and the two sorted
//! sets in which they are found) carries the partition's number as its hash tag, so a cluster keeps it in
//! one slot, and a script may change a record and what finds it in one step.

use std::sync::Arc;

/// How many partitions there are.
pub(super) const PARTITIONS: u16 = 256;
/// How many slots every Redis Cluster has.
const SLOTS: u16 = 16_384;
/// What this build reads and writes.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// What the schema key holds, before the version.
pub(super) const SCHEMA: &str = "session-locker schema ";

/// A share of the keys that is kept in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition(u16);

impl Partition {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// That of a record's key: the CRC-16 by which Redis spreads keys, modulo 256.
    pub(super) fn of(key: &str) -> Self {
        Self(crc16(key.as_bytes()) % PARTITIONS)
    }

    /// Its place among all of them.
    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    /// The slot in which a cluster keeps it: that of its hash tag, which is its number.
    pub(super) fn slot(self) -> u16 {
        crc16(self.0.to_string().as_bytes()) % SLOTS
    }
}

/// XMODEM's.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

/// The names of keys.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: String,
}

impl Layout {
    /// Of keys that begin with `prefix`, which has no braces in it.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { prefix }
    }

    /// A string that says what the other keys are.
    pub(super) fn schema(&self) -> String {
        let prefix = &self.prefix;
        format!("{prefix}:schema")
    }

    /// The same for one partition: in a cluster each has its own, for any of the nodes may lose what it has.
    pub(super) fn partition_schema(&self, partition: Partition) -> String {
        self.name(partition, "schema")
    }

    /// A hash: `revision`, and if the record is there `users` and `bytes`.
    pub(super) fn record(&self, partition: Partition, key: &str) -> String {
        self.name(partition, "record:") + key
    }

    /// A sorted set of the keys of the records that are there.
    pub(super) fn keys(&self, partition: Partition) -> String {
        self.name(partition, "keys")
    }

    /// A sorted set of user ids, as [`user_entry`] writes them, each with a key behind it.
    pub(super) fn users(&self, partition: Partition) -> String {
        self.name(partition, "users")
    }

    /// A number that no revision of a forgotten tombstone of this partition exceeds.
    pub(super) fn floor(&self, partition: Partition) -> String {
        self.name(partition, "floor")
    }

    fn name(&self, Partition(number): Partition, what: &str) -> String {
        let prefix = &self.prefix;
        format!("{prefix}:{{{number}}}:{what}")
    }
}

/// A user id with its length before it, so that none is the beginning of another.
pub(super) fn user_entry(user_id: &str) -> String {
    let length = user_id.len();
    format!("{length}:{user_id}")
}

/// User ids as a record keeps them: one entry behind another.
pub(super) fn write_user_ids(user_ids: &[Box<str>]) -> String {
    user_ids.iter().map(|user_id| user_entry(user_id)).collect()
}

/// The user ids of a record; `None` if they are none of ours.
pub(super) fn read_user_ids(mut text: &str) -> Option<Arc<[Box<str>]>> {
    let mut user_ids = Vec::new();
    while !text.is_empty() {
        let (length, rest) = text.split_once(':')?;
        let (user_id, rest) = rest.split_at_checked(length.parse().ok()?)?;
        user_ids.push(user_id.into());
        text = rest;
    }
    Some(user_ids.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_by_the_checksum_that_redis_spreads_by() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(Partition::of("123456789"), Partition(0xc3));
        // As the documents say.
        assert_eq!(Partition::of("player/1001"), Partition(203));
        assert_eq!(Partition::all().count(), 256);
    }

    #[test]
    fn a_partition_is_in_the_slot_that_redis_says() {
        // As `CLUSTER KEYSLOT session_locker:{17}:keys` answers, and so on.
        for (number, slot) in [(0, 13_907), (17, 12_304), (203, 10_336), (255, 14_163)] {
            assert_eq!(Partition(number).slot(), slot, "{number}");
        }
    }

    #[test]
    fn every_name_of_a_partition_has_its_hash_tag() {
        let layout = Layout::new("saves");
        let partition = Partition::of("player/1001");
        let Partition(number) = partition;
        let tag = format!("saves:{{{number}}}:");
        for name in [
            layout.record(partition, "player/1001"),
            layout.record(partition, "}{"),
            layout.keys(partition),
            layout.users(partition),
            layout.floor(partition),
            layout.partition_schema(partition),
        ] {
            assert!(name.starts_with(&tag), "{name}");
        }
    }

    #[test]
    fn user_ids_are_read_as_they_were_written() {
        let user_ids: Vec<Box<str>> = ["u1", "", "3:ü", "12"].map(Into::into).to_vec();
        let text = write_user_ids(&user_ids);
        assert_eq!(text, "2:u10:4:3:ü2:12");
        assert_eq!(read_user_ids(&text).as_deref(), Some(&user_ids[..]));
        assert_eq!(read_user_ids("").as_deref(), Some(&[][..]));
        for text in ["u", "x:u", "2:u", "1:ü", "-1:u"] {
            assert_eq!(read_user_ids(text), None, "{text}");
        }
    }
}
