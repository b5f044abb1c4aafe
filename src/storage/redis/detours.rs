//! Following a cluster: requests that a node has sent elsewhere, and which node has which partition.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::engine::{Engine, answer};
use super::failure::{Detour, Failure};
use super::layout::Partition;
use super::maker::{Found, Wanted};
use super::nodes::Node;
use super::queue::Waiting;
use super::slots::Slots;
use super::{DETOUR_PAUSE, Host, QUEUE_PATIENCE};
use crate::storage::Operation;

/// How many detours a request takes without a pause. One that is on its way when its slot is given away
/// needs two.
const PROMPT_DETOURS: u32 = 3;
/// How long a node may take to say who has which slot.
const SLOTS_PATIENCE: Duration = Duration::from_secs(2);
/// How often that is asked at most, and how often while a node is away, or here for a while only.
const SLOTS_PAUSE: Duration = Duration::from_millis(200);
const SLOTS_PAUSE_ALONE: Duration = Duration::from_secs(1);

/// A request for which it was too early; what the node said that proves that it has done nothing for it.
pub(super) struct Late {
    /// The request.
    pub(super) waiting: Waiting,
    /// Why it was not done.
    pub(super) failure: Failure,
    /// The node that is being given its partition and has it already, if it is to go there.
    pub(super) taker: Option<Rc<Node>>,
}

impl Late {
    /// That has not been told yet where to go.
    pub(super) fn new(waiting: Waiting, failure: Failure) -> Self {
        let taker = None;
        Self {
            waiting,
            failure,
            taker,
        }
    }
}

impl Engine {
    /// Sends a request where a node says that it belongs; hands it back if that is to wait.
    pub(super) fn take_detour(self: &Rc<Self>, mut late: Late, detour: &Detour) -> Option<Late> {
        let waiting = &mut late.waiting;
        waiting.detours += 1;
        late.taker = self.note(partition(waiting.operation()), detour);
        let is_prompt = match detour {
            Detour::Moved(_) | Detour::Ask(_) => waiting.detours <= PROMPT_DETOURS,
            Detour::Later => false,
        };
        if !is_prompt {
            return Some(late);
        }
        self.send(late);
        None
    }

    /// Sends requests once more after a pause, to whoever has their partitions then, or is being given them.
    pub(super) async fn send_later(self: &Rc<Self>, late: Vec<Late>) {
        if late.is_empty() {
            return;
        }
        sleep(DETOUR_PAUSE).await;
        late.into_iter().for_each(|late| self.send(late));
    }

    /// Sends a request to the one that is being given its partition, or else to the one that has it; unless
    /// it is too old, and is answered with what was said of it last.
    fn send(self: &Rc<Self>, late: Late) {
        let Late {
            mut waiting,
            failure,
            taker,
        } = late;
        if waiting.since.elapsed() >= QUEUE_PATIENCE {
            return answer(waiting, &failure);
        }
        waiting.asking_since = taker.is_some().then(Instant::now);
        let owner = || Rc::clone(self.nodes.borrow().of(waiting.operation()));
        let node = taker.unwrap_or_else(owner);
        node.queue.borrow_mut().put_back(waiting);
        self.note_put_back();
        self.dispatch(&node);
    }

    /// Remembers what a node says of a partition. If another is being given it, and has it already, that one
    /// is handed back.
    pub(super) fn note(self: &Rc<Self>, partition: Partition, detour: &Detour) -> Option<Rc<Node>> {
        let at = |host: &Host| {
            let mut nodes = self.nodes.borrow_mut();
            let node = nodes.at(host, |place| self.begin(place));
            node.note_named();
            node
        };
        if let Detour::Ask(host) = detour {
            return Some(at(host));
        }
        if let Detour::Moved(host) = detour {
            let node = at(host);
            self.nodes.borrow_mut().give(partition, node);
        }
        self.slots_in_doubt.notify_one();
        None
    }

    /// Asks who has which slot, whenever that may have changed, for ever.
    pub(super) async fn keep_slots(self: Rc<Self>) {
        loop {
            let is_alone = |node: &Rc<Node>| node.link.session().is_none();
            let is_unsettled = {
                let nodes = self.nodes.borrow();
                nodes.all().iter().any(is_alone) || !nodes.guests().is_empty()
            };
            let in_doubt = self.slots_in_doubt.notified();
            if is_unsettled {
                let _ = timeout(SLOTS_PAUSE_ALONE, in_doubt).await;
            } else {
                in_doubt.await;
            }
            if let Some(slots) = self.ask_slots().await {
                self.follow(&slots);
            }
            sleep(SLOTS_PAUSE).await;
        }
    }

    /// Asks any node that answers. They may disagree for a moment, so it is another one each time.
    async fn ask_slots(&self) -> Option<Slots> {
        let nodes = self.nodes.borrow().all().to_vec();
        let sessions = nodes.iter().filter_map(|node| node.link.session());
        let mut sessions: Vec<_> = sessions.collect();
        fastrand::shuffle(&mut sessions);
        for session in sessions {
            let asking = Slots::ask(&session.connection);
            if let Ok(Ok(slots)) = timeout(SLOTS_PATIENCE, asking).await {
                return Some(slots);
            }
        }
        // All that were known are away; the URL may name others, or its names mean others by now.
        let deadline = Instant::now() + self.maker.options().connect_timeout;
        match self.maker.find(Wanted::Any, deadline).await {
            Ok(Found::Cluster(slots)) => Some(slots),
            Ok(Found::Server(_)) | Err(_) => None,
        }
    }

    fn follow(self: &Rc<Self>, slots: &Slots) {
        let mut nodes = self.nodes.borrow_mut();
        let retired = nodes.follow(slots, |place| self.begin(place));
        let guests = nodes.guests();
        drop(nodes);
        for node in retired {
            self.retire(&node);
        }
        for node in guests {
            let of_owners = node.queue.borrow_mut().take_not_asking();
            self.pass_on(of_owners);
        }
    }

    /// Gives what waits for a node to others, and keeps its connection no longer: that ends when nobody has
    /// anything under way on it.
    fn retire(self: &Rc<Self>, node: &Node) {
        if let Some(keeper) = node.keeper.take() {
            keeper.abort();
        }
        let left = node.queue.borrow_mut().take_all();
        self.pass_on(left);
    }

    /// Puts what has waited for one node in the queues of those that have the partitions now.
    pub(super) fn pass_on(self: &Rc<Self>, left: Vec<Waiting>) {
        if left.is_empty() {
            return;
        }
        for mut waiting in left {
            waiting.asking_since = None;
            let owner = Rc::clone(self.nodes.borrow().of(waiting.operation()));
            owner.queue.borrow_mut().put_back(waiting);
            self.dispatch(&owner);
        }
        self.note_put_back();
    }
}

/// That of the key that a request concerns.
pub(super) fn partition(operation: &Operation) -> Partition {
    match operation {
        Operation::Fetch { key } | Operation::Commit { key, .. } | Operation::Erase { key, .. } => {
            Partition::of(key)
        }
        Operation::List { .. } | Operation::KeysOfUser { .. } => Partition::of(""),
    }
}
