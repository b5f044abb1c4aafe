//! What tests of the Redis engine share: servers, a network between, and commands beside the engine.

// Every test file uses its own part of this.
#![allow(dead_code)]

pub mod cluster;
pub mod server;

use std::sync::Arc;
use std::time::Duration;

use redis::FromRedisValue;
use session_locker::storage::redis::{RedisOptions, RedisStorage};
use session_locker::storage::{OpenError, Storage};

use crate::conformance::Asker;
use crate::conformance::proxy::Proxy;
use crate::conformance::redis::{new_prefix, url};

/// Opens what a URL names.
pub fn open(url: &str) -> Asker {
    Asker::new(try_open(url).unwrap_or_else(|error| panic!("{url}: {error}")))
}

pub fn try_open(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let options = RedisOptions::from_url(url)?;
    Ok(Arc::new(RedisStorage::open(options)?))
}

/// Why a URL is not opened.
pub fn refused(url: &str) -> OpenError {
    match try_open(url) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// The URL of keys that are not there yet, on the server of all tests, and what they begin with.
pub fn new_url() -> (String, String) {
    let prefix = new_prefix();
    (format!("{}?prefix={prefix}", url()), prefix)
}

/// The address of the server of all tests.
pub fn address() -> String {
    url().replace("redis://", "")
}

/// A network to the server of all tests, and the URL of new keys behind it.
pub fn behind_proxy(delay: Duration, parameters: &str) -> (Proxy, String) {
    let (url, _) = new_url();
    let proxy = Proxy::new(&address(), delay);
    let url = url.replace(&address(), &proxy.address());
    (proxy, url + parameters)
}

/// Runs a command, its words separated by blanks, on the server of all tests.
pub fn run<T: FromRedisValue>(command: &str) -> T {
    try_run(&url(), command).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// The same on any server.
pub fn try_run<T: FromRedisValue>(url: &str, command: &str) -> redis::RedisResult<T> {
    let words: Vec<&str> = command.split(' ').collect();
    run_words(url, &words)
}

/// The same, with words that may have blanks in them.
pub fn run_words<T: FromRedisValue>(url: &str, words: &[&str]) -> redis::RedisResult<T> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query(&mut connection)
}
