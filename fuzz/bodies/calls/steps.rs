//! What a host does next: one of all the functions there are.

use std::sync::OnceLock;

use super::script::Frame;
use super::world::{next_frame, world};
use super::{on_locker, on_process, on_profile, on_purchases, on_save_data, on_storage, on_store};

/// A call of the library, made of a frame.
pub type Step = fn(&mut Frame);

/// The most calls of one input, those of callbacks among them.
const CALLS: usize = 4000;

/// What is done more often than all else, for it makes everything happen.
const OFTEN: &[Step] = &[
    on_store::update,
    on_store::update,
    on_store::update,
    on_store::update,
    on_store::update,
    on_locker::update,
    on_locker::update,
    on_locker::update,
    on_purchases::update,
    on_locker::update_sender,
    on_storage::answer_held,
    on_store::poll,
    on_profile::save_data,
    on_storage::commit,
    on_storage::erase,
    on_store::start,
    on_purchases::of_profile,
    on_purchases::of_locker,
    on_store::send,
    on_locker::send,
];

/// Every step, in an order that the corpora are written in: new ones go to the end of all. What has no
/// number yet is one of those that are done often.
fn all() -> &'static [Step] {
    static ALL: OnceLock<Vec<Step>> = OnceLock::new();
    ALL.get_or_init(|| {
        [
            OFTEN,
            on_save_data::STEPS,
            on_storage::STEPS,
            on_store::STEPS,
            on_profile::STEPS,
            on_locker::STEPS,
            on_purchases::STEPS,
            on_process::STEPS,
            on_storage::LATER,
            on_store::LATER,
        ]
        .concat()
    })
}

/// Does the next step, if there is one.
pub fn step() {
    if is_over() {
        return;
    }
    let mut frame = next_frame();
    let all = all();
    assert!(all.len() <= 256, "a byte says which");
    let number = usize::from(frame.byte());
    let often = OFTEN[number % OFTEN.len()];
    all.get(number).unwrap_or(&often)(&mut frame);
}

/// Whether the host has nothing more to do.
pub fn is_over() -> bool {
    world(|world| world.script.is_over() || world.calls > CALLS)
}
