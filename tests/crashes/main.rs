//! Real crashes: several game servers, processes written in C, on one storage; killed at random
//! moments and replaced; a server of the storage too, which is killed and started again; and at the end
//! a comparison of what is stored with what each game server has noted in a ledger of its own.
//!
//! `make crashes` compiles the server and runs this. Chance is drawn from a seed, but much of what is done
//! next depends on what the servers are doing at that moment, so a run never repeats exactly.

#![cfg(all(feature = "sqlite", feature = "postgres", feature = "redis", unix))]
// The modules of both servers bring the same network along, which is not used here.
#![allow(clippy::duplicate_mod)]

#[path = "../conformance/mod.rs"]
mod conformance;
mod director;
mod ledger;
#[path = "../postgres/mod.rs"]
mod postgres;
#[path = "../redis/mod.rs"]
mod redis_servers;
mod storage;
mod verdict;
mod verdict_tests;

use std::env;
use std::fs;
use std::time::Instant;

use director::{Deeds, Kills, Place, kill_servers, path};
use ledger::Ledgers;
use storage::Storage;
use verdict::{Documents, Stage, Untold, complaints, untold};

/// A run with this many kills has met everything at least once.
const KILLS_THAT_SHOW_ALL: u32 = 30;
/// By one kill of the storage's server nobody may be met who waits for it; by so many somebody is.
const STORAGE_KILLS_THAT_ARE_FELT: u32 = 5;

#[test]
#[ignore = "`make crashes` runs it, for it needs the server"]
fn servers_that_are_killed_lose_nothing_acknowledged_and_do_nothing_twice() {
    let kills = Kills {
        servers: count("CRASHES_KILLS").expect("how many"),
        storages: count("CRASHES_SERVER_KILLS").unwrap_or(0),
    };
    let seed = number("CRASHES_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut folder = tempfile::tempdir().unwrap();
    // It stays if something fails.
    folder.disable_cleanup(true);
    let mut storage = Storage::from_environment(folder.path());
    let place = Place {
        program: env::var_os("CRASHES_SERVER").expect("the server").into(),
        storage: storage.url(),
        folder: folder.path().to_owned(),
    };
    println!(
        "{} kills of game servers, {} of the storage's; seed {seed}, {}",
        kills.servers, kills.storages, place.storage
    );
    let begun = Instant::now();
    let deeds = kill_servers(&place, &mut storage, seed, kills);
    let took_s = begun.elapsed().as_secs_f64();

    let mut ledgers = Ledgers::default();
    for server in 1..=deeds.started {
        ledgers.read(&place.ledger(server));
    }
    storage.must_be_whole();
    let documents = documents(&place, "killed");
    print_figures(&deeds, &ledgers, &untold(&ledgers, &documents), took_s);
    if let Some(commits) = storage.commits() {
        println!("{commits} commits written");
    }
    judge(&place, &ledgers, &documents, Stage::AfterTheKills);
    must_have_been_felt(&deeds, &ledgers);
    if deeds.killed >= KILLS_THAT_SHOW_ALL {
        must_have_met_everything(&ledgers);
    }

    settle(&place, &mut ledgers);
    storage.must_be_whole();
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

fn count(variable: &str) -> Option<u32> {
    number(variable).map(|number| number.try_into().unwrap())
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
    if deeds.storage_killed > 0 {
        println!(
            "the storage's server killed {} times and started again, for {:.0} s not there; {} game \
             servers killed meanwhile",
            deeds.storage_killed,
            deeds.outage.as_secs_f64(),
            deeds.killed_without_storage
        );
    }
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
        "{} errors reported, such as requests without an answer; {} of them of connections that broke",
        ledgers.errors, ledgers.broken
    );
}

/// Requests were under way to the server that was killed: so it was the one that the game servers store on.
fn must_have_been_felt(deeds: &Deeds, ledgers: &Ledgers) {
    assert!(
        deeds.storage_killed < STORAGE_KILLS_THAT_ARE_FELT || ledgers.broken > 0,
        "the storage's server was killed {} times, and no game server has noticed",
        deeds.storage_killed
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
