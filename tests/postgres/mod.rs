//! What tests of the PostgreSQL engine share: servers, a network between, and SQL beside the engine.

// Every test file uses its own part of this.
#![allow(dead_code)]

pub mod server;

use std::sync::Arc;

use session_locker::storage::postgres::{PostgresOptions, PostgresStorage};
use session_locker::storage::{OpenError, Storage};

use crate::conformance::Asker;
use crate::conformance::postgres::{admin_url, new_table, url};

/// Opens what a URL names.
pub fn open(url: &str) -> Asker {
    Asker::new(try_open(url).unwrap_or_else(|error| panic!("{url}: {error}")))
}

pub fn try_open(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let options = PostgresOptions::from_url(url)?;
    Ok(Arc::new(PostgresStorage::open(options)?))
}

/// Why a URL is not opened.
pub fn refused(url: &str) -> OpenError {
    match try_open(url) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// The URL of a table that is not there yet, on the server of all tests, for a machine that is busy.
pub fn new_table_url() -> (String, String) {
    let table = new_table();
    let url = format!("{}?table={table}&connect_timeout=60", url());
    (url, table)
}

/// `url`, as another role with another password.
pub fn with_login(url: &str, login: &str) -> String {
    let (_, rest) = url.split_once('@').expect("a login");
    format!("postgres://{login}@{rest}")
}

/// `url`, with another address.
pub fn with_address(url: &str, address: &str) -> String {
    let (login, rest) = url.split_once('@').expect("a login");
    let (_, rest) = rest.split_once('/').expect("a database");
    format!("{login}@{address}/{rest}")
}

/// The address that a URL names.
pub fn address(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("a login");
    rest.split_once('/').expect("a database").0
}

/// Runs SQL as the superuser of the server of all tests; the first column of every row.
pub fn sql(sql: &str) -> Vec<String> {
    sql_at(&admin_url(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The same on any server.
pub fn sql_at(url: &str, sql: &str) -> Result<Vec<String>, String> {
    SqlSession::connect(url)?.run(sql)
}

/// A connection beside the engine's, in which a transaction may be left open.
pub struct SqlSession {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl SqlSession {
    pub fn connect(url: &str) -> Result<Self, String> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
            let (client, connection) = connected.map_err(|error| format!("{error:?}"))?;
            tokio::spawn(connection);
            Ok::<_, String>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// The first column of every row.
    pub fn run(&self, sql: &str) -> Result<Vec<String>, String> {
        let messages = self.runtime.block_on(self.client.simple_query(sql));
        let messages = messages.map_err(|error| format!("{error:?}"))?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// Whether the connections of one engine are encrypted; `sql` asks its server as the superuser.
pub fn is_encrypted(url: &str, sql: impl Fn(&str) -> Vec<String>) -> bool {
    let name = new_table();
    let asker = open(&format!("{url}&application_name={name}"));
    asker.expected("key");
    let answer = sql(&format!(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = '{name}'"
    ));
    assert!(answer.windows(2).all(|two| two[0] == two[1]), "{answer:?}");
    answer[0] == "t"
}
