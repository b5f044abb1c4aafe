//! Real crashes: several game servers, processes written in C, on one storage; killed at random
//! moments and replaced; and at the end a comparison of what is stored with what each server has noted
//! in a ledger of its own.
//!
//! `make crashes` compiles the server and runs this. Chance is drawn from a seed, but much of what is done
//! next depends on what the servers are doing at that moment, so a run never repeats exactly.

#![cfg(all(feature = "sqlite", unix))]

mod director;
mod ledger;
mod verdict;
mod verdict_tests;

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use director::{Deeds, Place, kill_servers, path};
use ledger::Ledgers;
use verdict::{Documents, Stage, Untold, complaints, untold};

/// A run with this many kills has met everything at least once.
const KILLS_THAT_SHOW_ALL: u32 = 30;

#[test]
#[ignore = "`make crashes` runs it, for it needs the server"]
fn servers_that_are_killed_lose_nothing_acknowledged_and_do_nothing_twice() {
    let kills = number("CRASHES_KILLS").expect("how many");
    let seed = number("CRASHES_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut folder = tempfile::tempdir().unwrap();
    // It stays if something fails.
    folder.disable_cleanup(true);
    let place = Place {
        program: env::var_os("CRASHES_SERVER").expect("the server").into(),
        storage: storage_in(folder.path()),
        folder: folder.path().to_owned(),
    };
    println!("{kills} kills, seed {seed}, {}", place.storage);
    let begun = Instant::now();
    let deeds = kill_servers(&place, seed, kills.try_into().unwrap());
    let took_s = begun.elapsed().as_secs_f64();

    let mut ledgers = Ledgers::default();
    for server in 1..=deeds.started {
        ledgers.read(&place.ledger(server));
    }
    must_be_whole(folder.path());
    let documents = documents(&place, "killed");
    print_figures(&deeds, &ledgers, &untold(&ledgers, &documents), took_s);
    println!("{} commits written", commits(folder.path()));
    judge(&place, &ledgers, &documents, Stage::AfterTheKills);
    if deeds.killed >= KILLS_THAT_SHOW_ALL {
        must_have_met_everything(&ledgers);
    }

    settle(&place, &mut ledgers);
    must_be_whole(folder.path());
    let documents = self::documents(&place, "settled");
    judge(&place, &ledgers, &documents, Stage::Settled);
    println!("nothing acknowledged is missing, nothing is there twice, no key had two owners");
    folder.disable_cleanup(false);
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok().filter(|value| !value.is_empty())?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}

const DATABASE: &str = "saves.db";
const FILES: &str = "saves";

fn storage_in(folder: &Path) -> String {
    let storage = env::var("CRASHES_STORAGE").expect("sqlite or files");
    match storage.as_str() {
        "sqlite" => format!("sqlite:{}", path(&folder.join(DATABASE))),
        "files" => {
            fs::create_dir(folder.join(FILES)).unwrap();
            format!("files:{}", path(&folder.join(FILES)))
        }
        other => panic!("the storage is sqlite or files, not {other}"),
    }
}

/// One more server takes over all that was bought and sent, and brings it to its end.
fn settle(place: &Place, ledgers: &mut Ledgers) {
    let legacy = place.folder.join("legacy");
    fs::write(&legacy, ledgers.legacy()).unwrap();
    let ledger = place.ledger(0);
    place.run(
        "settle",
        &[
            "settle",
            &place.storage,
            path(&ledger),
            "0",
            "1",
            path(&legacy),
        ],
    );
    ledgers.read(&ledger);
}

/// What is stored.
fn documents(place: &Place, name: &str) -> Documents {
    let dump = place.folder.join(name);
    place.run(name, &["dump", &place.storage, path(&dump)]);
    Documents::read(&fs::read_to_string(&dump).unwrap())
}

/// Compares what is stored with what the ledgers say.
fn judge(place: &Place, ledgers: &Ledgers, documents: &Documents, stage: Stage) {
    let complaints = complaints(ledgers, documents, stage);
    for complaint in complaints.iter().take(20) {
        println!("{complaint}");
    }
    let (count, folder) = (complaints.len(), place.folder.display());
    assert!(
        count == 0,
        "{stage:?}: {count} complaints; everything is in {folder}"
    );
}

/// The storage is what it must be by its own rules.
fn must_be_whole(folder: &Path) {
    if folder.join(DATABASE).exists() {
        let check = "PRAGMA integrity_check";
        let database = Connection::open(folder.join(DATABASE)).unwrap();
        let found: String = database.query_row(check, [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "{check}");
    } else {
        revisions(&folder.join(FILES));
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

/// How many commits were written; each has counted a revision on, the database's or the key's.
fn commits(folder: &Path) -> u64 {
    if folder.join(DATABASE).exists() {
        let database = Connection::open(folder.join(DATABASE)).unwrap();
        let last = database.query_row("SELECT last FROM revision", [], |row| row.get::<_, i64>(0));
        return last.unwrap().cast_unsigned();
    }
    let revisions = revisions(&folder.join(FILES));
    let numbers = revisions
        .iter()
        .map(|revision| revision.split('-').next().unwrap());
    numbers.map(|number| number.parse::<u64>().unwrap()).sum()
}

fn print_figures(deeds: &Deeds, ledgers: &Ledgers, untold: &Untold, took_s: f64) {
    let rate = f64::from(deeds.killed) / took_s;
    println!(
        "{} servers killed in {took_s:.0} s, {rate:.1} a second: {} while they shut down, {} while \
         they were stopped",
        deeds.killed, deeds.killed_in_shutdown, deeds.killed_while_stopped
    );
    println!(
        "{} servers started, {} stopped for a while, {} shut down by themselves",
        deeds.started, deeds.stopped, deeds.shut_down
    );
    println!(
        "{} sessions: {} on keys taken over from servers that had died, {} lost",
        ledgers.sessions.len(),
        ledgers.taken_over(),
        ledgers.lost()
    );
    println!(
        "{} changes reported saved, {} not saved; {} more are stored, of which nobody was told",
        ledgers.saved, ledgers.unsaved, untold.changes
    );
    println!(
        "{} purchases asked for, {} granted, {} of them gifts; {} more are stored, and {} gifts \
         under way",
        ledgers.purchases.len(),
        ledgers.granted().count(),
        ledgers.gifts(),
        untold.purchases,
        untold.gifts
    );
    println!(
        "{} remote changes, {} reported sent; {} more are stored",
        ledgers.operations.len(),
        ledgers.sent(),
        untold.operations
    );
    println!(
        "{} errors reported, such as requests without an answer",
        ledgers.errors
    );
}

/// A run in which nothing happens proves nothing.
fn must_have_met_everything(ledgers: &Ledgers) {
    for (what, count) in [
        ("changes saved", ledgers.saved),
        ("purchases granted", ledgers.granted().count()),
        ("gifts granted", ledgers.gifts()),
        ("remote changes sent", ledgers.sent()),
        ("keys taken over from the dead", ledgers.taken_over()),
    ] {
        assert!(count > 0, "there were no {what}");
    }
}
