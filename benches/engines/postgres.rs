//! PostgreSQL: the engine, and tokio-postgres with nothing around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, Statement};

use super::{Engine, Side, VALUES, compare, key, values};

pub fn run() {
    let Ok(url) = std::env::var("SESSION_LOCKER_TEST_POSTGRES") else {
        println!("PostgreSQL: no server");
        return;
    };
    for (size_bytes, keys) in [(1_000, 4_000), (50_000, 400)] {
        let kilobytes = size_bytes / 1000;
        let open = |parameters: &str| {
            let table = format!("engine_{kilobytes}_{}", parameters.len());
            let url = format!("{url}?table={table}{parameters}");
            session_locker::storage::open(&url).expect("the server is there")
        };
        let engine = |name: &str, parameters: &str| -> Box<dyn Side> {
            let name = format!("PostgreSQL {kilobytes} kB: {name}");
            Box::new(Engine::new(&name, open(parameters), keys, size_bytes))
        };
        compare(vec![
            Box::new(Raw::new(&url, keys, size_bytes, [1, 1, 100])),
            Box::new(Raw::new(&url, keys, size_bytes, [2, 1, 500])),
            Box::new(Raw::new(&url, keys, size_bytes, [2, 2, 500])),
            engine("the engine", ""),
            engine("one connection", "&connections=1"),
            engine("prepared", "&prepared_statements=on"),
        ]);
    }
}

/// Batches by `unnest`, on the smallest table that does, with as much room in its pages as the engine's has.
struct Raw {
    name: String,
    runtime: Runtime,
    writers: Vec<Writer>,
    keys: Vec<String>,
    values: Vec<Bytes>,
    batch: usize,
}

/// Writes one batch after another, over a connection that it may share.
struct Writer {
    client: Arc<Client>,
    statement: Statement,
    /// Of the keys that are its own.
    revisions: Vec<i64>,
    first_key: usize,
    next: usize,
    written: usize,
}

impl Raw {
    /// So many connections, with so many batches under way on each, of so many writes.
    fn new(
        url: &str,
        keys: usize,
        size_bytes: usize,
        [connections, under_way, batch]: [usize; 3],
    ) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let kilobytes = size_bytes / 1000;
        let table = format!("raw_{kilobytes}_{connections}_{under_way}");
        let values = values(size_bytes);
        let count = connections * under_way;
        let each = keys / count;
        let names: Vec<String> = (0..keys).map(key).collect();
        let clients: Vec<Arc<Client>> = (0..connections)
            .map(|_| Arc::new(runtime.block_on(connect(url))))
            .collect();
        let writers: Vec<Writer> = (0..count)
            .map(|place| {
                let client = Arc::clone(&clients[place % connections]);
                let statement = runtime.block_on(prepare(&client, &table));
                let own = place * each..(place + 1) * each;
                for name in &names[own] {
                    let insert = format!("INSERT INTO {table} VALUES ($1, 1, $2)");
                    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                        [&name.as_bytes(), &&values[0][..]];
                    runtime
                        .block_on(client.execute(&insert, &parameters))
                        .unwrap();
                }
                Writer {
                    client,
                    statement,
                    revisions: vec![1; each],
                    first_key: place * each,
                    next: 0,
                    written: 0,
                }
            })
            .collect();
        let plural = if connections == 1 { "" } else { "s" };
        Self {
            name: format!(
                "PostgreSQL {kilobytes} kB: raw, {under_way} of {batch}, {connections} connection{plural}"
            ),
            runtime,
            writers,
            keys: names,
            values,
            batch,
        }
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn prepare(client: &Client, table: &str) -> Statement {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table} \
         (key bytea PRIMARY KEY, revision bigint NOT NULL, bytes bytea NOT NULL) \
         WITH (fillfactor = 50); \
         ALTER TABLE {table} ALTER COLUMN bytes SET COMPRESSION lz4"
    );
    client.batch_execute(&create).await.unwrap();
    let update = format!(
        "UPDATE {table} AS record SET revision = record.revision + 1, bytes = request.bytes \
         FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) WITH ORDINALITY \
         AS request (key, expected, bytes, place) \
         WHERE record.key = request.key AND record.revision = request.expected \
         RETURNING request.place, record.revision"
    );
    client.prepare(&update).await.unwrap()
}

impl Writer {
    async fn write(&mut self, keys: &[String], values: &[Bytes], batch: usize) -> u64 {
        let count = self.revisions.len();
        let batch = batch.min(count);
        let places: Vec<usize> = (0..batch).map(|n| (self.next + n) % count).collect();
        self.next = (self.next + batch) % count;
        let names: Vec<&[u8]> = places
            .iter()
            .map(|place| keys[self.first_key + place].as_bytes())
            .collect();
        let expected: Vec<i64> = places.iter().map(|&place| self.revisions[place]).collect();
        let bytes: Vec<&[u8]> = places
            .iter()
            .map(|place| &values[(self.written + place) % VALUES][..])
            .collect();
        self.written += 1;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&names, &expected, &bytes];
        let rows = self
            .client
            .query(&self.statement, &parameters)
            .await
            .unwrap();
        assert_eq!(rows.len(), batch, "nobody else writes these keys");
        for row in &rows {
            let place: i64 = row.get(0);
            self.revisions[places[place as usize - 1]] = row.get(1);
        }
        batch as u64
    }
}

impl Side for Raw {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn write(&mut self, time: Duration) -> u64 {
        let (keys, values, batch) = (&self.keys, &self.values, self.batch);
        let sides = self.writers.iter_mut().map(async |writer| {
            let begun = Instant::now();
            let mut written = 0;
            while begun.elapsed() < time {
                written += writer.write(keys, values, batch).await;
            }
            written
        });
        self.runtime.block_on(join_all(sides)).into_iter().sum()
    }
}
