//! Sequences of C ABI calls by a host that knows no manners: stale, foreign, NULL and made-up handles,
//! structs and texts of impossible sizes, callbacks that fail, call anything, destroy what they stand on,
//! and a storage that answers as it likes. Time is virtual, and everything is drawn from the input.
//!
//! Whatever is called, [`check`] holds: no panic, no status that the header does not name, no result but
//! with SL_OK, nothing changed by a wrong handle. At the end [`end`] lets the host come to its senses:
//! drains end, every answer has come once, every `user_data` was dropped once, and no handle is left.
//!
//! With `FUZZ_TELL` set in the environment each call is told on the standard error.

mod arguments;
mod check;
mod end;
mod hooks;
mod host_storage;
mod on_locker;
mod on_process;
mod on_profile;
mod on_purchases;
mod on_save_data;
mod on_storage;
mod on_store;
mod script;
mod settings;
mod steps;
mod world;

use script::Script;
use steps::{Step, is_over, step};
use world::{World, next_frame, world};

/// Plays a host.
pub fn run(input: &[u8]) {
    let before = check::live_handles();
    world(|world| {
        *world = World::default();
        world.script = Script::new(input);
    });
    for step in BEGINNING {
        step(&mut next_frame());
    }
    while !is_over() {
        step();
    }
    end::come_to_an_end();
    assert_eq!(check::live_handles(), before, "handles are left");
}

/// What every host begins with, so that there is something to work with.
const BEGINNING: [Step; 20] = [
    storage,
    on_storage::commit,
    on_save_data::parse,
    on_save_data::backup,
    on_storage::create_builder,
    on_storage::add_migrator,
    on_storage::build,
    on_store::create,
    on_store::start,
    on_profile::save_data,
    on_profile::when_changes_saved,
    on_profile::connect,
    on_locker::create_spec,
    on_locker::create,
    on_locker::mark_should_acquire,
    on_purchases::create_purchaser,
    on_purchases::from_ids,
    on_locker::create_sender,
    on_store::update,
    on_locker::update,
];

/// A storage: the host's own, or the library's.
fn storage(frame: &mut script::Frame) {
    match frame.below(3) {
        0 => on_storage::open(frame),
        _ => on_storage::open_host(frame),
    }
}
