//! Whether there was a panic on this thread that nobody meant: the library answers for those of hooks, so
//! one of its own, or of the simulation's, inside a hook would pass for a hook that has failed.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

/// From here on, panics are looked for. Those that hooks mean do not come by: they only unwind.
pub fn look_for() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.set(true);
            print(info);
        }));
    });
    SEEN.set(false);
}

/// Whether there was one on this thread since.
pub fn was_seen() -> bool {
    SEEN.get()
}
