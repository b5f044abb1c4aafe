//! Redis: the engine, and the redis crate with nothing around it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::runtime::{Builder, Runtime};

use super::{Engine, Side, VALUES, compare, key, values};

/// The smallest script that does it.
const SCRIPT: &str = "
    if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
        return false
    end
    redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'bytes', ARGV[3])
    return ARGV[2]
";

pub fn run() {
    let Ok(url) = std::env::var("SESSION_LOCKER_TEST_REDIS") else {
        println!("Redis: no server");
        return;
    };
    for flush in ["everysec", "always"] {
        set_flush(&url, flush);
        for (size_bytes, keys) in [(1_000, 4_000), (50_000, 400)] {
            let kilobytes = size_bytes / 1000;
            let prefix = format!("engine_{flush}_{kilobytes}");
            let engine_url = format!("{url}?durability=accept&prefix={prefix}");
            let storage = session_locker::storage::open(&engine_url).expect("the server is there");
            let name = format!("Redis {kilobytes} kB, {flush}: the engine");
            compare(vec![
                Box::new(Raw::new(&url, flush, keys, size_bytes, 64)),
                Box::new(Raw::new(&url, flush, keys, size_bytes, 400)),
                Box::new(Engine::new(&name, storage, keys, size_bytes)),
            ]);
        }
    }
}

/// How the server flushes its log.
fn set_flush(url: &str, flush: &str) {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("appendfsync").arg(flush);
    set.exec(&mut connection).unwrap();
}

/// Scripts called by their hash on one connection, each by itself, so many under way.
struct Raw {
    name: String,
    runtime: Runtime,
    connection: MultiplexedConnection,
    hash: String,
    keys: Vec<String>,
    revisions: Vec<u64>,
    values: Vec<Bytes>,
    under_way: usize,
    next: usize,
}

impl Raw {
    fn new(url: &str, flush: &str, keys: usize, size_bytes: usize, under_way: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let kilobytes = size_bytes / 1000;
        let names = (0..keys).map(|n| format!("raw_{flush}_{kilobytes}_{under_way}_{}", key(n)));
        let names: Vec<String> = names.collect();
        let values = values(size_bytes);
        let (connection, hash) = runtime.block_on(async {
            let client = redis::Client::open(url).unwrap();
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            let mut connection = connection.await.unwrap();
            for name in &names {
                let mut set = redis::cmd("HSET");
                set.arg(name)
                    .arg("revision")
                    .arg(1)
                    .arg("bytes")
                    .arg(&values[0][..]);
                set.exec_async(&mut connection).await.unwrap();
            }
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(SCRIPT);
            let hash: String = load.query_async(&mut connection).await.unwrap();
            (connection, hash)
        });
        Self {
            name: format!("Redis {kilobytes} kB, {flush}: raw, {under_way} under way"),
            runtime,
            connection,
            hash,
            revisions: vec![1; keys],
            keys: names,
            values,
            under_way,
            next: 0,
        }
    }

    /// The next write, which is of another key than those that are under way.
    fn command(&mut self) -> Cmd {
        let place = self.next % self.keys.len();
        self.next += 1;
        let revision = self.revisions[place];
        self.revisions[place] += 1;
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(1).arg(&self.keys[place]);
        command.arg(revision).arg(revision + 1);
        command.arg(&self.values[self.next % VALUES][..]);
        command
    }

    fn start(&mut self) -> impl Future<Output = ()> + use<> {
        let command = self.command();
        let mut connection = self.connection.clone();
        async move {
            let answer = connection.send_packed_command(&command).await.unwrap();
            assert!(
                matches!(answer, Value::BulkString(_)),
                "nobody else writes these keys"
            );
        }
    }
}

impl Side for Raw {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn write(&mut self, time: Duration) -> u64 {
        let runtime = std::mem::replace(
            &mut self.runtime,
            Builder::new_current_thread().build().unwrap(),
        );
        let written = runtime.block_on(async {
            let begun = Instant::now();
            let mut written = 0;
            let mut under_way = FuturesUnordered::new();
            for _ in 0..self.under_way {
                under_way.push(self.start());
            }
            while under_way.next().await.is_some() {
                written += 1;
                if begun.elapsed() < time {
                    under_way.push(self.start());
                }
            }
            written
        });
        self.runtime = runtime;
        written
    }
}
