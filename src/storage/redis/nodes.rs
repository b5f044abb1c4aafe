//! The servers, and which of them has which partition. Of a storage on one server that is one, which has
//! all; of one in a cluster it is every node that has some.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::Host;
use super::failure::{Detour, Failure};
use super::layout::Partition;
use super::link::Link;
use super::maker::Place;
use super::queue::Queue;
use super::slots::Slots;
use crate::storage::Operation;

/// For how long a node is kept that has no partitions, after another has sent a request to it: it is being
/// given its first, or has it and not all have heard of that.
const GUEST_PATIENCE: Duration = Duration::from_secs(30);

/// A server: what waits for it, and the connection to it.
pub(super) struct Node {
    /// Where it is.
    pub(super) place: Place,
    /// What waits for it.
    pub(super) queue: RefCell<Queue>,
    /// The connection, and what is under way on it.
    pub(super) link: Link,
    /// Why the last attempt to connect has failed.
    pub(super) last_failure: RefCell<Option<String>>,
    /// What keeps the connection.
    pub(super) keeper: Cell<Option<AbortHandle>>,
    /// When another has last sent a request here.
    named: Cell<Option<Instant>>,
}

impl Node {
    /// Nothing waits for it, and nothing is connected.
    pub(super) fn new(place: Place, queue: Queue) -> Self {
        Self {
            place,
            queue: RefCell::new(queue),
            link: Link::default(),
            last_failure: RefCell::default(),
            keeper: Cell::default(),
            named: Cell::default(),
        }
    }

    /// Notes that another has sent a request here.
    pub(super) fn note_named(&self) {
        self.named.set(Some(Instant::now()));
    }

    fn is_guest(&self) -> bool {
        let named = self.named.get();
        named.is_some_and(|named| named.elapsed() < GUEST_PATIENCE)
    }

    /// Where what has failed here goes instead, if that is so: only a node of a cluster says such things.
    pub(super) fn detour(&self, failure: &Failure) -> Option<Detour> {
        match &self.place {
            Place::Server => None,
            Place::Node(host) => failure.detour(host),
        }
    }

    /// Why there is no connection, if there is none.
    pub(super) fn no_connection(&self) -> String {
        match &*self.last_failure.borrow() {
            Some(failure) => format!("no connection: {failure}"),
            None => "a connection has just ended".to_owned(),
        }
    }
}

/// All of them.
pub(super) struct Nodes {
    /// Those that have partitions; and for a while any to which one of these has sent a request, as to one
    /// that is being given its first.
    all: Vec<Rc<Node>>,
    /// Of each partition.
    owners: Vec<Rc<Node>>,
}

impl Nodes {
    /// These, at least one, of which the first has what no other is known to have.
    pub(super) fn new(all: Vec<Rc<Node>>, slots: Option<&Slots>) -> Self {
        let owner = |partition| {
            let host = slots.and_then(|slots| slots.owner(partition));
            let place = host.map(|host| Place::Node(host.clone()));
            let owner = all.iter().find(|node| Some(&node.place) == place.as_ref());
            Rc::clone(owner.unwrap_or(&all[0]))
        };
        let owners = Partition::all().map(owner).collect();
        Self { all, owners }
    }

    /// Each of them.
    pub(super) fn all(&self) -> &[Rc<Node>] {
        &self.all
    }

    /// The one that has a partition.
    pub(super) fn owner(&self, partition: Partition) -> &Rc<Node> {
        &self.owners[partition.index()]
    }

    /// The one in whose queue an operation waits. A list is every node's affair, and waits in that of one.
    pub(super) fn of(&self, operation: &Operation) -> &Rc<Node> {
        let (Operation::Fetch { key }
        | Operation::Commit { key, .. }
        | Operation::Erase { key, .. }) = operation
        else {
            return &self.owners[0];
        };
        match &self.all[..] {
            [only] => only,
            _ => self.owner(Partition::of(key)),
        }
    }

    /// The one at this place in a cluster, which is begun with if it is not among them yet.
    pub(super) fn at(&mut self, host: &Host, begin: impl FnOnce(Place) -> Rc<Node>) -> Rc<Node> {
        let place = Place::Node(host.clone());
        if let Some(node) = self.all.iter().find(|node| node.place == place) {
            return Rc::clone(node);
        }
        let node = begin(place);
        self.all.push(Rc::clone(&node));
        node
    }

    /// Notes that a node has a partition. If it has come there just now, it is to be seen first whether its
    /// data has come along.
    pub(super) fn give(&mut self, partition: Partition, node: Rc<Node>) {
        if let Some(session) = node.link.session()
            && !Rc::ptr_eq(&node, self.owner(partition))
        {
            session.verified.set(partition, false);
        }
        self.owners[partition.index()] = node;
    }

    /// Those that have nothing, and are to go one day.
    pub(super) fn guests(&self) -> Vec<Rc<Node>> {
        let all = self.all.iter();
        all.filter(|node| !self.has_something(node))
            .cloned()
            .collect()
    }

    fn has_something(&self, node: &Rc<Node>) -> bool {
        self.owners.iter().any(|owner| Rc::ptr_eq(owner, node))
    }

    /// Follows a cluster. A partition that nobody has stays with whoever had it, who will say so. Those
    /// that have nothing any more are taken out, and handed back.
    pub(super) fn follow(
        &mut self,
        slots: &Slots,
        begin: impl Fn(Place) -> Rc<Node>,
    ) -> Vec<Rc<Node>> {
        for partition in Partition::all() {
            if let Some(host) = slots.owner(partition) {
                let node = self.at(host, &begin);
                self.give(partition, node);
            }
        }
        let all = self.all.iter();
        let is_over = |node: &&Rc<Node>| !node.is_guest() && !self.has_something(node);
        let retired: Vec<_> = all.filter(is_over).cloned().collect();
        let is_retired = |node: &Rc<Node>| retired.iter().any(|other| Rc::ptr_eq(other, node));
        self.all.retain(|node| !is_retired(node));
        retired
    }
}
