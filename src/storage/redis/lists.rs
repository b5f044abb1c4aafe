//! Operations that concern many keys: each asks every partition for its own, wherever that is.

use std::collections::BTreeSet;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use redis::{Cmd, Pipeline, cmd};
use tokio::time::sleep;

use super::connection::Session;
use super::engine::{Engine, judge};
use super::failure::Failure;
use super::layout::{Layout, Partition, user_entry};
use super::nodes::Node;
use super::{DETOUR_PAUSE, QUEUE_PATIENCE};
use crate::storage::{Operation, Outcome};

/// The most keys that are asked of one partition at once.
const MAX_PAGE: usize = 100;

/// Runs such an operation, which has until the deadline for all its pages.
pub(super) async fn run_list(
    engine: &Rc<Engine>,
    operation: &Operation,
    deadline: Instant,
) -> Result<Outcome, Failure> {
    let keys = match operation {
        Operation::List {
            prefix,
            after,
            limit,
        } => list_keys(engine, deadline, prefix, after.as_deref(), *limit).await,
        Operation::KeysOfUser { user_id } => keys_of_user(engine, deadline, user_id).await,
        _ => Err(Failure::Unexpected("a list of no kind")),
    };
    keys.map(Outcome::Keys)
}

/// Pages of all partitions, merged. What the last key of a full page is, is as far as the merged keys
/// are complete; from there it goes on.
async fn list_keys(
    engine: &Rc<Engine>,
    deadline: Instant,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Failure> {
    let page = limit.min(MAX_PAGE);
    let mut keys = Vec::new();
    let mut from = match after {
        Some(after) if after >= prefix => format!("({after}"),
        _ => format!("[{prefix}"),
    };
    // No byte of UTF-8 is as large.
    let to = [b"(", prefix.as_bytes(), b"\xff"].concat();
    while keys.len() < limit {
        let pages = ask_all(engine, deadline, |layout, partition| {
            let mut ask = range(&layout.keys(partition), &from, &to);
            ask.arg("LIMIT").arg(0).arg(page);
            ask
        });
        let mut found = BTreeSet::new();
        let mut complete_to: Option<String> = None;
        for keys in pages.await? {
            if let Some(last) = keys.last().filter(|_| keys.len() == page) {
                let is_nearer = complete_to.as_ref().is_none_or(|other| last < other);
                complete_to = if is_nearer {
                    Some(last.clone())
                } else {
                    complete_to
                };
            }
            found.extend(keys);
        }
        match complete_to {
            Some(last) => {
                keys.extend(found.into_iter().take_while(|key| *key <= last));
                from = format!("({last}");
            }
            None => {
                keys.extend(found);
                break;
            }
        }
    }
    keys.truncate(limit);
    Ok(keys)
}

async fn keys_of_user(
    engine: &Rc<Engine>,
    deadline: Instant,
    user_id: &str,
) -> Result<Vec<String>, Failure> {
    let entry = user_entry(user_id);
    let from = format!("[{entry}");
    let to = [b"(", entry.as_bytes(), b"\xff"].concat();
    let ask = |layout: &Layout, partition| range(&layout.users(partition), &from, &to);
    let mut keys = BTreeSet::new();
    for found in ask_all(engine, deadline, ask).await?.into_iter().flatten() {
        let key = found.strip_prefix(&entry);
        keys.insert(key.ok_or(Failure::Unexpected("ZRANGEBYLEX"))?.to_owned());
    }
    Ok(keys.into_iter().collect())
}

fn range(set: &str, from: &str, to: &[u8]) -> Cmd {
    let mut range = cmd("ZRANGEBYLEX");
    range.arg(set).arg(from).arg(to);
    range
}

/// A partition that is still to be asked; and the node that is being given it and has it already.
type Left = (Partition, Option<Rc<Node>>);

/// What every partition answers to its command, in no order. A node is asked for all that it has in one go.
/// While one is away, or a partition on its way to another, it is asked again.
async fn ask_all(
    engine: &Rc<Engine>,
    deadline: Instant,
    command: impl Fn(&Layout, Partition) -> Cmd,
) -> Result<Vec<Vec<String>>, Failure> {
    let patience_ends = deadline.min(Instant::now() + QUEUE_PATIENCE);
    let mut found = Vec::new();
    let mut left: Vec<Left> = Partition::all()
        .map(|partition| (partition, None))
        .collect();
    loop {
        let asked = by_node(engine, mem::take(&mut left));
        let mut not_yet = None;
        for (node, partitions) in asked {
            let Some(session) = node.link.session() else {
                not_yet = Some(Failure::Lost(node.no_connection()));
                left.extend(
                    partitions
                        .into_iter()
                        .map(|(partition, _)| (partition, None)),
                );
                continue;
            };
            let (partitions, not_here) =
                verified(engine, deadline, &node, &session, partitions).await;
            for (partition, failure) in not_here {
                let detour = node.detour(&failure).ok_or_else(|| failure.clone())?;
                left.push((partition, engine.note(partition, &detour)));
                not_yet = Some(failure);
            }
            if partitions.is_empty() {
                continue;
            }
            let ask = commands(engine.maker.layout(), &partitions, &command);
            let asking = session.connection.ask(&ask);
            let asking = engine.by_deadline(deadline, &node, &session, asking);
            let mut answers = asking.await?;
            for (partition, taker) in partitions {
                let asking = taker.and_then(|_| answers.next("ASKING").err());
                match answers.texts("ZRANGEBYLEX") {
                    Ok(keys) => found.push(keys),
                    Err(failure) => {
                        // It is refused for want of that word, if that was.
                        let failure = asking.unwrap_or(failure);
                        let Some(detour) = node.detour(&failure) else {
                            judge(&node, &session, &failure);
                            return Err(failure);
                        };
                        left.push((partition, engine.note(partition, &detour)));
                        not_yet = Some(failure);
                    }
                }
            }
        }
        match not_yet {
            None => return Ok(found),
            Some(failure) if Instant::now() >= patience_ends => return Err(failure),
            Some(_) => sleep(DETOUR_PAUSE).await,
        }
    }
}

/// Those that a node may be asked for, and what there is against the others.
async fn verified(
    engine: &Rc<Engine>,
    deadline: Instant,
    node: &Node,
    session: &Rc<Session>,
    partitions: Vec<Left>,
) -> (Vec<Left>, Vec<(Partition, Failure)>) {
    let is_new = |(partition, taker): &&Left| taker.is_none() && !session.verified.has(*partition);
    let new = partitions.iter().filter(is_new);
    let new: Vec<_> = new.map(|(partition, _)| *partition).collect();
    let failures = engine.verify(deadline, node, session, &new).await;
    let is_against = |partition| failures.iter().any(|(of_it, _)| *of_it == partition);
    let mut ready = partitions;
    ready.retain(|(partition, _)| !is_against(*partition));
    (ready, failures)
}

/// Each with the node that is to be asked.
fn by_node(engine: &Engine, left: Vec<Left>) -> Vec<(Rc<Node>, Vec<Left>)> {
    let mut all: Vec<(Rc<Node>, Vec<Left>)> = Vec::new();
    let nodes = engine.nodes.borrow();
    for (partition, taker) in left {
        let node = taker.as_ref().unwrap_or_else(|| nodes.owner(partition));
        let place = all.iter().position(|(other, _)| Rc::ptr_eq(other, node));
        let place = place.unwrap_or_else(|| {
            all.push((Rc::clone(node), Vec::new()));
            all.len() - 1
        });
        all[place].1.push((partition, taker));
    }
    all
}

fn commands(
    layout: &Layout,
    partitions: &[Left],
    command: impl Fn(&Layout, Partition) -> Cmd,
) -> Pipeline {
    let mut commands = Pipeline::new();
    for (partition, taker) in partitions {
        if taker.is_some() {
            commands.cmd("ASKING");
        }
        commands.add_command(command(layout, *partition));
    }
    commands
}
