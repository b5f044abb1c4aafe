//! Every engine keeps the storage contract. A new engine adds one line here.

mod conformance;

use std::sync::Arc;

use conformance::host_style::HostStyleStorage;
use conformance::{Asker, Opened, storage_behaviour};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::overlay::ReadOnlyOverlay;

/// One module for each engine, one test for each behaviour.
macro_rules! conformance {
    ($($engine:ident => $open:expr;)+) => {$(
        mod $engine {
            use super::*;
            conformance! { @behaviours $open;
                a_key_that_was_never_written_is_absent_without_a_tombstone
                a_commit_that_expects_absence_creates_the_record
                a_commit_at_the_records_revision_replaces_it
                a_commit_at_a_stale_revision_conflicts_and_writes_nothing
                a_commit_that_expects_absence_conflicts_with_a_record
                a_commit_that_expects_a_record_conflicts_with_absence
                a_revision_that_the_engine_never_gave_conflicts
                an_erased_key_is_absent_with_the_revision_of_its_erasure
                a_commit_on_a_tombstone_must_name_the_erasure
                an_erasure_at_a_stale_revision_conflicts_and_erases_nothing
                an_erasure_that_expects_nothing_erases_whatever_is_there
                erasing_what_is_absent_gives_it_a_new_tombstone
                an_erasure_takes_bytes_and_user_ids_with_it
                a_revision_is_never_used_twice_for_a_key
                a_late_commit_cannot_land_on_a_later_life_of_the_key
                a_list_gives_the_keys_in_byte_order_page_by_page
                a_list_keeps_to_its_prefix_byte_for_byte
                a_list_may_begin_after_any_key
                a_list_leaves_out_what_was_erased
                the_keys_of_a_user_follow_every_commit_and_erasure
                a_commit_replaces_the_user_ids_and_keeps_their_order
                user_ids_are_compared_byte_for_byte
                a_record_may_carry_the_most_and_the_longest_user_ids
                keys_are_told_apart_byte_for_byte_up_to_the_longest
                a_value_is_any_bytes_of_any_size
                every_request_in_flight_is_answered_once_under_its_own_id
                of_commits_at_one_revision_exactly_one_is_written
                a_counter_kept_by_several_threads_loses_no_step
                a_fetch_sees_what_was_acknowledged_to_another_thread
                a_storage_that_is_dropped_answers_what_was_submitted
            }
        }
    )+};
    (@behaviours $open:expr; $($behaviour:ident)+) => {$(
        #[test]
        fn $behaviour() {
            let Opened { storage, directory } = $open;
            storage_behaviour::$behaviour(Asker::new(storage));
            drop(directory);
        }
    )+};
}

conformance! {
    memory => in_memory(Arc::new(MemoryStorage::new()));
    memory_by_url => in_memory(session_locker::storage::open("memory:").unwrap());
    host_style => in_memory(Arc::new(HostStyleStorage::new()));
    host_callbacks => in_memory(conformance::c_host::open());
    overlay_over_memory => over(in_memory(Arc::new(MemoryStorage::new())));
    overlay_over_host_style => over(in_memory(Arc::new(HostStyleStorage::new())));
}

#[cfg(feature = "sqlite")]
conformance! {
    sqlite => sqlite("");
    sqlite_synchronous_normal => sqlite("?synchronous=normal");
    overlay_over_sqlite => over(sqlite(""));
}

#[cfg(feature = "postgres")]
conformance! {
    postgres => conformance::postgres::open("");
    postgres_prepared => conformance::postgres::open(
        "&connections=1&prepared_statements=on&synchronous_commit=off"
    );
}

#[cfg(feature = "redis")]
conformance! {
    redis => conformance::redis::open("");
    redis_in_another_database => conformance::redis::open("/3");
    redis_cluster => conformance::redis::open_in_cluster();
}

fn in_memory(storage: Arc<dyn session_locker::storage::Storage>) -> Opened {
    let directory = None;
    Opened { storage, directory }
}

#[cfg(feature = "sqlite")]
fn sqlite(parameters: &str) -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("saves.db");
    let url = format!("sqlite:{}{parameters}", path.display());
    Opened {
        storage: session_locker::storage::open(&url).unwrap(),
        directory: Some(directory),
    }
}

fn over(below: Opened) -> Opened {
    let Opened { storage, directory } = below;
    let storage = Arc::new(ReadOnlyOverlay::new(storage, None));
    Opened { storage, directory }
}
