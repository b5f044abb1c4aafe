//! Storage engines beside the raw clients that they are made of, doing the same compare-and-swaps in
//! the same run. `make bench-engines` starts the servers and runs it; an engine whose server is not
//! there is left out.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use session_locker::storage::{
    Expected, Operation, Outcome, Reply, ReplySink, Request, RequestId, Responder, Storage,
};

/// How long one side runs before it is the other's turn, and how often each has one. What else the
/// machine does then falls on both.
const SLICE: Duration = Duration::from_millis(1500);
const SLICES: usize = 4;
/// How many values each side writes in turn: every write changes the value.
const VALUES: usize = 64;

fn main() {
    // A test run builds and starts benchmarks too; they have nothing to say then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("\n{cores} cores, servers and clients on them together\n");
    println!(
        "{:<58} {:>12} {:>9}",
        "compare-and-swap writes", "a second", "of raw"
    );
    #[cfg(feature = "postgres")]
    postgres::run();
    #[cfg(feature = "redis")]
    redis::run();
}

/// One side of a comparison.
trait Side {
    fn name(&self) -> String;
    /// Writes for as long as this, or a little longer; how many writes were acknowledged.
    fn write(&mut self, time: Duration) -> u64;
}

/// Lets all sides take turns, and prints how each did beside the first.
fn compare(mut sides: Vec<Box<dyn Side>>) {
    let mut written = vec![0_u64; sides.len()];
    let mut taken = vec![Duration::ZERO; sides.len()];
    for turn in 0..=SLICES {
        for (place, side) in sides.iter_mut().enumerate() {
            let begun = Instant::now();
            let count = side.write(SLICE);
            // The first is to warm up.
            if turn > 0 {
                written[place] += count;
                taken[place] += begun.elapsed();
            }
        }
    }
    let rate = |place: usize| written[place] as f64 / taken[place].as_secs_f64();
    for (place, side) in sides.iter().enumerate() {
        let ratio = rate(place) / rate(0) * 100.0;
        println!("{:<58} {:>12.0} {ratio:>7.0} %", side.name(), rate(place));
    }
}

/// Values of a size, which look like save data and are about as easily compressed.
fn values(size_bytes: usize) -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut value = || {
        let mut text = String::from("{");
        while text.len() < size_bytes {
            let (item, count) = (random.u32(..100_000), random.u8(..));
            text += &format!(
                "\"Item{item}\":{{\"Count\":{count},\"Since\":{}}},",
                random.u32(..)
            );
        }
        text.truncate(size_bytes);
        Bytes::from(text)
    };
    (0..VALUES).map(|_| value()).collect()
}

fn key(number: usize) -> String {
    format!("Player_{number:08}")
}

/// A storage whose asker has one commit under way for each of its keys.
struct Engine {
    name: String,
    storage: Arc<dyn Storage>,
    values: Vec<Bytes>,
    expected: Vec<Expected>,
    sink: Arc<Replies>,
    replies: Receiver<Reply>,
    written: usize,
}

struct Replies(Sender<Reply>);

impl ReplySink for Replies {
    fn deliver(&self, reply: Reply) {
        let _ = self.0.send(reply);
    }
}

impl Engine {
    fn new(name: &str, storage: Arc<dyn Storage>, keys: usize, size_bytes: usize) -> Self {
        let (sender, replies) = channel();
        Self {
            name: name.to_owned(),
            storage,
            values: values(size_bytes),
            expected: vec![Expected::Absent(None); keys],
            sink: Arc::new(Replies(sender)),
            replies,
            written: 0,
        }
    }

    fn submit(&mut self, number: usize) {
        self.written += 1;
        let operation = Operation::Commit {
            key: key(number).into(),
            expected: self.expected[number].clone(),
            bytes: self.values[self.written % VALUES].clone(),
            user_ids: Arc::new([number.to_string().into()]),
        };
        let sink: Arc<dyn ReplySink> = Arc::<Replies>::clone(&self.sink);
        let responder = Responder::new(RequestId(number as u64), sink);
        self.storage.submit(Request {
            operation,
            responder,
        });
    }
}

impl Side for Engine {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn write(&mut self, time: Duration) -> u64 {
        let begun = Instant::now();
        let keys = self.expected.len();
        (0..keys).for_each(|number| self.submit(number));
        let (mut under_way, mut acknowledged) = (keys, 0);
        while under_way > 0 {
            let reply = self.replies.recv().expect("an answer");
            let number = reply.id.0 as usize;
            match reply.result {
                Ok(Outcome::Committed(revision)) => {
                    self.expected[number] = Expected::Present(revision);
                }
                other => panic!("a commit was answered with {other:?}"),
            }
            acknowledged += 1;
            under_way -= 1;
            if begun.elapsed() < time {
                self.submit(number);
                under_way += 1;
            }
        }
        acknowledged
    }
}
