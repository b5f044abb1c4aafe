//! What the game servers have in common: a database in a file, files in a folder, or a server, which can
//! be killed too.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::director::path;
use crate::postgres::server::Server as PostgresServer;
use crate::redis_servers::server::Server as RedisServer;

const DATABASE: &str = "saves.db";
const FILES: &str = "saves";

pub enum Storage {
    /// The database.
    Sqlite(PathBuf),
    /// The folder.
    Files(PathBuf),
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Storage {
    /// The one that `CRASHES_STORAGE` names: new, in this folder if it needs none of its own.
    pub fn from_environment(folder: &Path) -> Self {
        let name = env::var("CRASHES_STORAGE").expect("the name of a storage");
        match name.as_str() {
            "sqlite" => Self::Sqlite(folder.join(DATABASE)),
            "files" => {
                fs::create_dir(folder.join(FILES)).unwrap();
                Self::Files(folder.join(FILES))
            }
            "postgres" => Self::Postgres(PostgresServer::start(&[])),
            "redis" => Self::Redis(RedisServer::start(&[])),
            other => panic!("the storage is sqlite, files, postgres or redis, not {other}"),
        }
    }

    /// As the game servers name it. They may be started while a server that was killed comes back.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(database) => format!("sqlite:{}", path(database)),
            Self::Files(folder) => format!("files:{}", path(folder)),
            Self::Postgres(server) => server.url() + "?connect_timeout=60",
            Self::Redis(server) => server.url() + "?connect_timeout=60",
        }
    }

    /// Kills the server with all its processes.
    pub fn kill(&mut self) {
        match self {
            Self::Sqlite(_) | Self::Files(_) => panic!("only a server can be killed"),
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Starts it again, and waits until it answers.
    pub fn restart(&mut self) {
        match self {
            Self::Sqlite(_) | Self::Files(_) => panic!("only a server can be started"),
            Self::Postgres(server) => server.restart(),
            Self::Redis(server) => server.restart(),
        }
    }

    /// It is what it must be by its own rules.
    pub fn must_be_whole(&self) {
        match self {
            Self::Sqlite(database) => {
                let check = "PRAGMA integrity_check";
                let database = Connection::open(database).unwrap();
                let found: String = database.query_row(check, [], |row| row.get(0)).unwrap();
                assert_eq!(found, "ok", "{check}");
            }
            Self::Files(folder) => drop(revisions(folder)),
            Self::Postgres(server) => {
                let twice = "SELECT count(*) - count(DISTINCT revision) FROM session_locker";
                assert_eq!(server.sql(twice), ["0"], "a revision stands at two keys");
            }
            Self::Redis(server) => {
                assert_eq!(listed(server), stored(server), "what is listed is stored");
            }
        }
    }

    /// How many revisions were given out, where that is counted: one for each commit.
    pub fn commits(&self) -> Option<u64> {
        match self {
            Self::Sqlite(database) => {
                let database = Connection::open(database).unwrap();
                let last =
                    database.query_row("SELECT last FROM revision", [], |row| row.get::<_, i64>(0));
                Some(last.unwrap().cast_unsigned())
            }
            Self::Files(folder) => {
                let revisions = revisions(folder);
                let numbers = revisions
                    .iter()
                    .map(|revision| revision.split('-').next().unwrap());
                Some(numbers.map(|number| number.parse::<u64>().unwrap()).sum())
            }
            Self::Postgres(server) => {
                let last = server.sql("SELECT last_value FROM session_locker_revision");
                Some(last[0].parse().unwrap())
            }
            Self::Redis(_) => None,
        }
    }
}

/// The revisions of the keys in a folder of files. Each key has one mark, and the value it names.
fn revisions(files: &Path) -> Vec<String> {
    let keys = names(files).into_iter().filter(|key| !key.starts_with('.'));
    keys.map(|key| {
        let names = names(&files.join(&key));
        let marks = names.iter().filter_map(|name| name.strip_prefix("record@"));
        let marks: Vec<&str> = marks.collect();
        assert_eq!(marks.len(), 1, "{key} has one mark: {names:?}");
        let has_value = names.contains(&format!("value@{}", marks[0]));
        assert!(has_value, "{key} has its value: {names:?}");
        marks[0].to_owned()
    })
    .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// The keys by which lists find records on a Redis server.
fn listed(server: &RedisServer) -> Vec<String> {
    let sets: Vec<String> = server.run("KEYS session_locker:{*}:keys");
    let keys = sets
        .iter()
        .flat_map(|set| server.run::<Vec<String>>(&format!("ZRANGE {set} 0 -1")));
    sorted(keys)
}

/// Those of the records themselves.
fn stored(server: &RedisServer) -> Vec<String> {
    const RECORD: &str = ":record:";
    let records: Vec<String> = server.run(&format!("KEYS session_locker:*{RECORD}*"));
    let present = records.iter().filter(|record| {
        let has_bytes: bool = server.run(&format!("HEXISTS {record} bytes"));
        has_bytes
    });
    sorted(present.map(|record| record.split_once(RECORD).unwrap().1.to_owned()))
}

fn sorted(keys: impl Iterator<Item = String>) -> Vec<String> {
    let mut keys: Vec<String> = keys.collect();
    keys.sort();
    keys
}
