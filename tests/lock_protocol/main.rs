//! The lock protocol as a model, explored completely: every state that two servers, one key and a
//! storage that loses answers can come to, in whatever order things happen.
//!
//! # What is modelled
//!
//! *The storage* has one key: a revision, and a document with `Session`, `Saves` and one bit for the
//! player's data. It writes a commit if the revision is as expected, and no revision is used twice.
//!
//! *Two servers* have a locker of the key each. A locker goes through the steps of
//! `src/locker/acquire.rs` and `src/locker/hold.rs`: it fetches, judges, commits a draft with its
//! `Session`, saves, releases, looks what became of a commit whose fate it does not know, takes a free
//! key again, finds its session lost, or the record erased. At any time its host may ask for the key,
//! let go of it and want it again, and its process may crash and be started anew, which makes it
//! another server with other lock ids.
//!
//! *A commit* that was handed over may be acted upon at any time, and answered at any time after that.
//! Its asker may give it up at any time, because it failed or took too long; then it may have been
//! written or not, and if it was not, it may still be written at any time later. Answers to what was
//! given up are dropped, as the code drops them, by the request's id. So answers come late, never, or
//! in another order than the requests.
//!
//! *Erasures* and the appends of senders to the inbox come at any time.
//!
//! *Time* passes in ticks, each longer than any frame of a server, so that what happens within one has
//! no order. A session counts for two ticks from the handing over of its last commit, and its owner
//! counts on one of them: the other is the margin. Whether another's session has expired is judged by
//! the storage's clock, by watching alone, or by the servers' own clocks that differ by the tolerance;
//! each of these is a model of its own.
//!
//! *One change* of the player's data is tracked. Server A's host makes it at any moment of any session
//! and waits for it to be saved. Whatever holds for this one holds for every change, because nothing
//! distinguishes it but that somebody looks; for the same reason, that it is A which makes it stands
//! for both. Once its story is over, another change is tracked.
//!
//! # What is asked
//!
//! Laws 1, 2, 3 and 7 of `docs/protocol.md` as far as they concern the lock, of every state
//! (`laws.rs`); and that from every state each server can own the key again though nobody else does
//! anything any more (`alone.rs`). And each of the mistakes in [`Break`] has to be found.
//!
//! # Whether this is what the library does
//!
//! Real lockers play at random, and the model follows (`real.rs`): each fetch and commit of theirs must be a
//! step of the model, and after each step both must agree on who owns the record, who is available, who has a
//! commit in flight, and who rests. A model with one of the mistakes must part from them. So it is tested, by
//! the storage's clock, and not proved; and answers to waits are not compared.
//!
//! # How it is finite
//!
//! Lock ids, revisions and save numbers are only ever compared, and ages only up to the expiry. So
//! each state is brought into a normal form (`normal.rs`), in which what can have no effect any more is
//! left out. There is no bound on sessions, saves, failures, crashes, erasures or time. The one bound
//! is on how many commits that were given up may still be written at once, beside those in flight: at
//! most two, as each test says.
//!
//! # What it leaves out
//!
//! - What fills a document: parsing, versions, hooks, the inbox, purchases. A document that cannot be
//!   understood is not in it.
//! - A fetch is one step, with its answer. One that is answered late shows an old revision, and a
//!   commit that expects an old revision conflicts, so it leads nowhere else than a look of today.
//!   Fetches that fail change nothing. So also waits between tries: each step waits as long as it
//!   likes.
//! - Changes other than the tracked one show only where a locker asks whether it has any; there both
//!   answers are tried.
//! - A second locker of the same key on the same server, which stands in line behind the first.
//! - `Saves` remembers eight sessions. Here it forgets a session when nobody can ask for it any more,
//!   so it is not seen what happens after eight sessions of others during one unsettled commit.
//! - A clock of the storage that is wrong, and servers' monotonic clocks that run at another rate.
//! - An erasure under a session takes the key from an owner that cannot know yet; such an owner does
//!   not count where law 1 asks who is available.
//!
//! # How to run it
//!
//! `make model-tests`, as `make test` does, in a minute: 2.9 million states. `make models` reduces
//! nothing and allows two late commits by the storage's clock, which takes minutes and some GB of memory. Plain `cargo test`,
//! whose build is not optimised, finds the mistakes and explores one smaller model: by the storage's clock,
//! no change is tracked, nothing befalls record or servers, and no commit is late. A law that is broken is
//! shown with the shortest way that leads there.
//!
//! States are told apart by a hash of 64 bits.

mod acquire;
mod alone;
mod check;
mod hold;
mod laws;
mod list;
mod model;
mod normal;
mod real;
mod rules;
mod server;
mod storage;
mod world;

use check::{Size, must_be_found, must_hold, size};
use laws::*;
use rules::{Break, Clock, Rules};

/// By how much A's clock is ahead of B's, and what is tolerated.
const APART: Clock = Clock::Servers {
    ahead: 1,
    tolerance: 1,
};

#[test]
fn with_the_storages_clock_the_laws_hold_in_every_state() {
    must_hold(Rules::new(Clock::Storage), 1_450_408);
}

#[test]
fn without_any_clock_the_laws_hold_in_every_state() {
    let rules = Rules::new(Clock::Watched);
    must_hold(rules.unless_deep(|rules| rules.late_at_most = 0), 545_953);
}

#[test]
fn with_clocks_that_differ_by_the_tolerance_the_laws_hold_in_every_state() {
    let rules = Rules::new(APART);
    let rules = rules.unless_deep(|rules| {
        rules.tracks_a_change = false;
        rules.late_at_most = 0;
    });
    must_hold(rules, 388_737);
}

#[test]
fn clocks_as_wrong_as_can_be_lose_nothing_and_bring_nothing_back() {
    let rules = Rules::new(Clock::Worthless);
    must_hold(rules.unless_deep(|rules| rules.late_at_most = 0), 526_782);
}

#[test]
fn without_a_margin_a_session_is_taken_within_its_lease() {
    find(Break::NoMargin, TAKEN_WITHIN_THE_LEASE);
}

#[test]
fn a_lease_that_runs_from_the_answer_outlives_its_session() {
    find(Break::LeaseFromTheAnswer, AVAILABLE_UNOWNED);
}

#[test]
fn a_server_that_is_available_while_it_releases_is_available_beside_the_next_owner() {
    find(Break::AvailableWhileReleasing, BOTH_AVAILABLE);
}

#[test]
fn a_storage_that_writes_unconditionally_has_two_owners() {
    find(Break::WritesUnconditionally, BOTH_AVAILABLE);
}

#[test]
fn a_storage_that_uses_a_revision_twice_lets_a_late_commit_into_another_life() {
    find(Break::RevisionsUsedTwice, BROUGHT_BACK);
}

#[test]
fn a_failed_save_that_is_called_not_saved_is_a_false_alarm() {
    find(Break::FailedSaveIsNotSaved, FALSE_ALARM);
}

#[test]
fn a_session_that_ends_with_a_failed_release_is_a_false_alarm_and_waits_for_itself() {
    find(Break::FailedReleaseIsTheEnd, FALSE_ALARM);
    find(Break::FailedReleaseIsTheEnd, WAITS_FOR_ITSELF);
}

#[test]
fn a_commit_that_is_not_fenced_off_is_a_false_alarm_and_makes_its_server_wait_for_itself() {
    find(Break::SilenceIsFailure, FALSE_ALARM);
    find(Break::SilenceIsFailure, WAITS_FOR_ITSELF);
}

#[test]
fn an_acquire_that_is_forgotten_makes_its_server_wait_for_itself() {
    find(Break::FailedAcquireIsForgotten, WAITS_FOR_ITSELF);
}

#[test]
fn a_draft_that_outlives_its_revision_undoes_what_was_saved() {
    let rules = Rules::new(Clock::Storage).calm();
    must_be_found(rules.with(Break::DraftOutlivesItsRevision), SAVED_AND_GONE);
}

#[test]
fn a_conflict_that_counts_as_a_loss_is_a_false_alarm() {
    let mut rules = Rules::new(Clock::Storage).calm();
    rules.late_at_most = 1;
    must_be_found(rules.with(Break::ConflictIsLoss), FALSE_ALARM);
}

#[test]
fn a_document_that_remembers_one_session_is_a_false_alarm() {
    let rules = Rules::new(Clock::Storage).calm();
    must_be_found(rules.with(Break::SavesOfOneSession), FALSE_ALARM);
}

#[test]
fn a_key_that_is_taken_again_from_anybody_undoes_what_was_saved() {
    let rules = Rules::new(Clock::Storage).calm();
    must_be_found(rules.with(Break::TakenAgainFromAnybody), SAVED_AND_GONE);
}

#[test]
fn a_server_that_forgets_what_it_has_seen_brings_back_what_was_erased() {
    find(Break::SeenIsForgotten, BROUGHT_BACK);
}

#[test]
fn a_server_that_forgets_the_record_at_its_release_brings_back_what_was_erased() {
    let mut rules = Rules::new(Clock::Storage);
    rules.late_at_most = 0;
    rules.tracks_a_change = false;
    must_be_found(rules.with(Break::ReleaseForgetsTheRecord), BROUGHT_BACK);
}

#[test]
fn a_save_that_is_proved_by_any_other_undoes_what_was_saved() {
    find(Break::AnySaveCounts, SAVED_AND_GONE);
}

#[test]
fn a_server_that_takes_a_free_key_again_is_not_available_before_it_has_it() {
    find(Break::AvailableBeforeTakenAgain, AVAILABLE_UNOWNED);
}

#[test]
fn a_watch_that_goes_on_over_a_save_takes_a_session_within_its_lease() {
    let rules = Rules::new(Clock::Watched).with(Break::WatchOutlivesASave);
    must_be_found(rules, TAKEN_WITHIN_THE_LEASE);
}

#[test]
fn clocks_that_differ_by_more_than_the_tolerance_are_the_exception_to_law_1() {
    let further_apart = Clock::Servers {
        ahead: 2,
        tolerance: 1,
    };
    must_be_found(Rules::new(further_apart), TAKEN_WITHIN_THE_LEASE);
}

#[test]
fn a_stamp_in_the_future_locks_everybody_out_if_nobody_watches() {
    let rules = Rules::new(Clock::Watched).calm();
    must_be_found(rules.with(Break::NobodyWatches), LOCKED_OUT);
}

fn find(broken: Break, law: &'static str) {
    must_be_found(Rules::new(Clock::Storage).with(broken), law);
}

impl Rules {
    /// A smaller model, lest the tests take too long.
    fn unless_deep(mut self, reduce: impl FnOnce(&mut Self)) -> Self {
        if size() != Size::Deep {
            reduce(&mut self);
        }
        self
    }
}
