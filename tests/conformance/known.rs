//! What is known of keys while their server is killed: counters, each with one commit under way.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use session_locker::storage::{Expected, Fetched, Outcome, Reply, RequestErrorKind};

use super::{Asker, NEVER_WRITTEN, PATIENCE, Replies, commit, fetch, until};

const KEYS: usize = 200;

/// A key, and what is known of it.
struct Known {
    count: u64,
    expected: Expected,
    /// A commit of `count + 1` has failed, so it may be there.
    is_unsettled: bool,
}

/// How often servers are killed, if nobody asks for more.
pub fn kills() -> usize {
    let kills = std::env::var("SESSION_LOCKER_TEST_KILLS");
    kills.map_or(3, |kills| kills.parse().expect("a number of kills"))
}

/// What is there, as soon as the server is there.
pub fn fetched(asker: &Asker, key: &str) -> Fetched {
    match until(|| asker.try_ask(fetch(key)).ok()) {
        Outcome::Fetched(fetched) => fetched,
        other => panic!("a fetch was answered with {other:?}"),
    }
}

fn stored(fetched: &Fetched) -> (u64, Expected) {
    match fetched {
        Fetched::Present {
            bytes, revision, ..
        } => {
            let count = String::from_utf8_lossy(bytes).parse().unwrap();
            (count, Expected::Present(revision.clone()))
        }
        Fetched::Absent { .. } => (0, NEVER_WRITTEN),
    }
}

fn key(n: usize) -> String {
    format!("key {n:03}")
}

/// Counts up, and calls `kill_and_restart` again and again in the middle of it. Nothing that was
/// acknowledged may be missing then, and nothing may be there that was not asked for.
pub fn check_that_kills_lose_nothing(asker: &Asker, mut kill_and_restart: impl FnMut()) {
    let kills = kills();
    let new_known = |_| Known {
        count: 0,
        expected: NEVER_WRITTEN,
        is_unsettled: false,
    };
    let mut all: Vec<Known> = (0..KEYS).map(new_known).collect();
    let (mut acknowledged, mut unknown_and_written) = (0, 0);
    for kill in 0..kills {
        let mut round = Round::begin(asker, &all);
        let dies_after = acknowledged + 400 + 137 * (kill % 7);
        while let Some((n, reply)) = round.next() {
            match reply.result {
                Ok(Outcome::Committed(revision)) => {
                    all[n].count += 1;
                    all[n].expected = Expected::Present(revision);
                    acknowledged += 1;
                    if acknowledged == dies_after {
                        kill_and_restart();
                    }
                    // What waited meanwhile is done by the new one.
                    if acknowledged < dies_after {
                        round.submit(asker, n, &all[n]);
                    }
                }
                Ok(other) => panic!("{}: {other:?}", key(n)),
                Err(error) => {
                    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
                    all[n].is_unsettled = true;
                }
            }
        }
        for (n, known) in all.iter_mut().enumerate() {
            let (count, expected) = stored(&fetched(asker, &key(n)));
            if known.is_unsettled && count == known.count + 1 {
                unknown_and_written += 1;
            } else {
                let last_known = (known.count, &known.expected);
                assert_eq!((count, &expected), last_known, "{}", key(n));
            }
            (known.count, known.expected, known.is_unsettled) = (count, expected, false);
        }
    }
    println!(
        "{kills} kills, {acknowledged} commits acknowledged, {unknown_and_written} written and not \
         acknowledged"
    );
}

/// One commit for each key under way, and the next when it has been acknowledged.
struct Round {
    sink: Arc<Replies>,
    replies: Receiver<Reply>,
    under_way: usize,
}

impl Round {
    fn begin(asker: &Asker, all: &[Known]) -> Self {
        let (sender, replies) = channel();
        let mut round = Self {
            sink: Arc::new(Replies(sender)),
            replies,
            under_way: 0,
        };
        for (n, known) in all.iter().enumerate() {
            round.submit(asker, n, known);
        }
        round
    }

    fn submit(&mut self, asker: &Asker, n: usize, known: &Known) {
        let value = (known.count + 1).to_string();
        let operation = commit(&key(n), known.expected.clone(), value.as_bytes(), &["u"]);
        asker.submit_to(n as u64, operation, &self.sink);
        self.under_way += 1;
    }

    /// The next answer, whichever comes first.
    fn next(&mut self) -> Option<(usize, Reply)> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        let reply = self.replies.recv_timeout(PATIENCE * 2).expect("an answer");
        Some((reply.id.0 as usize, reply))
    }
}
