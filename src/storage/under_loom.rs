//! The mailbox in every order in which threads can meet: see `make loom`.

use std::collections::VecDeque;
use std::sync::Arc;

use loom::thread;

use super::{Mailbox, Outcome, Reply, ReplySink, RequestId};
use crate::sync::in_every_order;

fn reply(id: u64) -> Reply {
    Reply {
        id: RequestId(id),
        result: Ok(Outcome::Conflict),
        clock: None,
    }
}

fn ids(replies: &VecDeque<Reply>) -> Vec<u64> {
    replies.iter().map(|reply| reply.id.0).collect()
}

#[test]
fn a_reply_that_was_delivered_is_taken_by_the_next_update() {
    in_every_order("delivered, then taken", || {
        let mailbox = Mailbox::new();
        let delivered = Arc::clone(&mailbox);
        let engine = thread::spawn(move || delivered.deliver(reply(1)));
        let mut taken = VecDeque::new();
        mailbox.take_into(&mut taken);
        engine.join().unwrap();
        mailbox.take_into(&mut taken);
        assert_eq!(ids(&taken), [1]);
    });
}

#[test]
fn replies_that_come_while_others_are_taken_are_taken_once_each_and_in_order() {
    in_every_order("two engines, one update", || {
        let mailbox = Mailbox::new();
        let engines = [[1, 2].as_slice(), &[3]].map(|replies| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || replies.iter().for_each(|id| mailbox.deliver(reply(*id))))
        });
        let mut taken = VecDeque::new();
        mailbox.take_into(&mut taken);
        for engine in engines {
            engine.join().unwrap();
        }
        mailbox.take_into(&mut taken);
        let taken = ids(&taken);
        let at = |id| {
            taken
                .iter()
                .position(|taken| *taken == id)
                .expect("not lost")
        };
        assert_eq!(taken.len(), 3, "{taken:?}");
        assert!(at(1) < at(2) && at(3) < 3, "{taken:?}");
    });
}
