//! Which node of a Redis Cluster has which partition. A partition is all in one of the cluster's slots,
//! and a slot is one node's.

use redis::{Value, pipe};

use super::Host;
use super::connection::Connection;
use super::failure::Failure;
use super::layout::{PARTITIONS, Partition};

/// What a node says of who has which slots, as far as partitions of ours are in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    /// Of each partition; none if no node has its slot.
    owners: Vec<Option<Host>>,
}

impl Slots {
    /// Asks a node, which may be a replica.
    pub(super) async fn ask(connection: &Connection) -> Result<Self, Failure> {
        let mut ask = pipe();
        ask.cmd("CLUSTER").arg("SLOTS");
        let answer = connection.ask(&ask).await?.next("CLUSTER SLOTS")?;
        let slots = Self::read(&answer, connection.host());
        slots.ok_or(Failure::Unexpected("CLUSTER SLOTS"))
    }

    /// Reads the answer of the node that was `asked`; `None` if it is none.
    fn read(answer: &Value, asked: &Host) -> Option<Self> {
        let mut owners = vec![None; PARTITIONS.into()];
        for range in array(answer)? {
            let [Value::Int(first), Value::Int(last), owner, ..] = array(range)? else {
                return None;
            };
            let owner = read_node(owner, asked)?;
            for partition in Partition::all() {
                if (*first..=*last).contains(&partition.slot().into()) {
                    owners[partition.index()].clone_from(&owner);
                }
            }
        }
        Some(Self { owners })
    }

    /// The node that has a partition.
    pub(super) fn owner(&self, partition: Partition) -> Option<&Host> {
        self.owners[partition.index()].as_ref()
    }

    /// How many partitions no node has.
    pub(super) fn ownerless(&self) -> usize {
        self.owners.iter().filter(|owner| owner.is_none()).count()
    }

    /// The nodes that have partitions, each once.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = Vec::new();
        for owner in self.owners.iter().flatten() {
            if !hosts.contains(owner) {
                hosts.push(owner.clone());
            }
        }
        hosts
    }
}

/// A node's name and port, at the beginning of what is said of it; `Some(None)` if its name is not known to
/// the one who speaks. A node that does not know its own name is where it was asked.
fn read_node(node: &Value, asked: &Host) -> Option<Option<Host>> {
    let [name, Value::Int(port), ..] = array(node)? else {
        return None;
    };
    let name = match name {
        Value::Nil => "",
        Value::BulkString(name) => std::str::from_utf8(name).ok()?,
        _ => return None,
    };
    let name = match name {
        "" => &asked.name,
        // Names are to be used instead of addresses, and this node has announced none.
        "?" => return Some(None),
        name => name,
    };
    let (name, port) = (name.to_owned(), u16::try_from(*port).ok()?);
    Some(Some(Host { name, port }))
}

fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        let name = name.to_owned();
        Host { name, port }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, name: Value, port: i64) -> Value {
        let node = |name, port| Value::Array(vec![name, Value::Int(port), text("id")]);
        let replica = node(text("replica"), 1);
        let (first, last) = (Value::Int(first), Value::Int(last));
        Value::Array(vec![first, last, node(name, port), replica])
    }

    #[test]
    fn each_partition_is_with_the_first_node_of_its_slots_range() {
        let answer = Value::Array(vec![
            range(0, 10_000, text("a"), 7000),
            range(10_001, 13_906, Value::Nil, 7001),
            range(13_907, 13_907, text("::1"), 7002),
            range(13_908, 16_000, text("?"), 7003),
            range(16_001, 16_383, text("a"), 7000),
        ]);
        let slots = Slots::read(&answer, &host("asked", 6379)).unwrap();
        let expected = |slot| match slot {
            10_001..13_907 => Some(host("asked", 7001)),
            13_907 => Some(host("::1", 7002)),
            13_908..=16_000 => None,
            _ => Some(host("a", 7000)),
        };
        for partition in Partition::all() {
            let owner = expected(partition.slot());
            assert_eq!(slots.owner(partition), owner.as_ref(), "{partition:?}");
        }
        assert!((1..PARTITIONS.into()).contains(&slots.ownerless()));
        let hosts = [host("::1", 7002), host("a", 7000), host("asked", 7001)];
        let mut found = slots.hosts();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(found, hosts);
    }

    #[test]
    fn a_cluster_whose_slots_are_given_to_nobody_has_no_partitions() {
        let slots = Slots::read(&Value::Array(Vec::new()), &host("asked", 1)).unwrap();
        assert_eq!(slots.ownerless(), usize::from(PARTITIONS));
        assert_eq!(slots.hosts(), []);
    }

    #[test]
    fn what_no_node_would_say_is_not_read() {
        let asked = host("asked", 1);
        for answer in [
            text("OK"),
            Value::Array(vec![text("0")]),
            Value::Array(vec![range(0, 1, Value::Int(1), 7000)]),
            Value::Array(vec![range(0, 1, text("a"), 70_000)]),
        ] {
            assert_eq!(Slots::read(&answer, &asked), None, "{answer:?}");
        }
    }
}
