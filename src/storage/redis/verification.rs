//! Partitions that have come to a node of a cluster since it was connected: whether their data came along is
//! seen before anything is sent there. That of a partition that came without would otherwise be no players,
//! or new ones.

use std::rc::Rc;
use std::time::Instant;

use super::BATCH_PATIENCE;
use super::connection::Session;
use super::detours::{Late, partition};
use super::engine::{Engine, answer};
use super::failure::Failure;
use super::layout::Partition;
use super::nodes::Node;
use super::queue::Waiting;

impl Engine {
    /// Those of a batch that may be sent, and those for which it is too early; any others are sent where the
    /// node says that they belong, or answered. What a node sends on to one that is being given a partition is
    /// not looked at: the one that gives it has it.
    pub(super) async fn verify_batch(
        self: &Rc<Self>,
        node: &Node,
        session: &Rc<Session>,
        batch: Vec<Waiting>,
    ) -> (Vec<Waiting>, Vec<Late>) {
        let of = |waiting: &Waiting| partition(waiting.operation());
        let mut partitions = Vec::new();
        for waiting in batch.iter().filter(|waiting| !waiting.is_asking()) {
            let partition = of(waiting);
            if !session.verified.has(partition) && !partitions.contains(&partition) {
                partitions.push(partition);
            }
        }
        let deadline = Instant::now() + BATCH_PATIENCE;
        let failures = self.verify(deadline, node, session, &partitions).await;
        let (mut ready, mut late) = (Vec::with_capacity(batch.len()), Vec::new());
        for waiting in batch {
            let failure = failures.iter().find(|(of_it, _)| *of_it == of(&waiting));
            match failure {
                Some((_, failure)) if !waiting.is_asking() => {
                    let failure = failure.clone();
                    match node.detour(&failure) {
                        Some(detour) => {
                            late.extend(self.take_detour(Late::new(waiting, failure), &detour));
                        }
                        None => answer(waiting, &failure),
                    }
                }
                _ => ready.push(waiting),
            }
        }
        (ready, late)
    }

    /// Looks whether a node has what belongs to these partitions; what there is against those of which it has
    /// not, or of which that is not known.
    pub(super) async fn verify(
        &self,
        deadline: Instant,
        node: &Node,
        session: &Rc<Session>,
        partitions: &[Partition],
    ) -> Vec<(Partition, Failure)> {
        if partitions.is_empty() {
            return Vec::new();
        }
        let looking = async {
            let Session {
                connection,
                verified,
                ..
            } = &**session;
            let found = self.maker.verify(connection, verified, partitions).await;
            found.map_err(|error| Failure::NotUsable(error.text()))
        };
        let found = self.by_deadline(deadline, node, session, looking).await;
        found.unwrap_or_else(|failure| {
            let failure = Failure::NotUsable(failure.to_string());
            let all = partitions.iter();
            all.map(|&partition| (partition, failure.clone())).collect()
        })
    }
}
