//! The handle table in every order in which threads can meet: see `make loom`.

use std::sync::Arc;

use super::{RwLock, SHARDS, Shard, Slots, Table};
use crate::sync::AtomicUsize;

/// As in other builds; but loom's locks cannot be made before the test begins.
impl<T: ?Sized> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn::<_, SHARDS, _>(|_| Shard::new()),
            next: AtomicUsize::new(0),
        }
    }
}

impl<T: ?Sized> Shard<T> {
    fn new() -> Self {
        Self(RwLock::new(Slots {
            slots: Vec::new(),
            free: Vec::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::handle::{Handle, Kind, get, insert, lend, remove, take_back};
    use crate::sync::in_every_order;
    use loom::thread;
    // Only counts: no thread waits for it, and none decides by it.
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A stand-in with the kind of a real type; its table is its own.
    struct SlThing;
    handle_kind!(SlThing, Kind::SaveData, Thing);

    /// An object that knows its name and how often it was dropped.
    struct Thing {
        name: u32,
        drops: Arc<AtomicU32>,
    }

    impl Thing {
        fn new(name: u32) -> (Arc<Self>, Drops) {
            let drops = Arc::new(AtomicU32::new(0));
            let counted = Drops(Arc::clone(&drops));
            (Arc::new(Self { name, drops }), counted)
        }

        fn assert_alive(&self, name: u32) {
            assert_eq!(self.drops.load(Ordering::SeqCst), 0, "used after its end");
            assert_eq!(self.name, name, "another object than the handle's");
        }
    }

    impl Drop for Thing {
        fn drop(&mut self) {
            self.drops.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Drops(Arc<AtomicU32>);

    impl Drops {
        fn assert_once(&self) {
            assert_eq!(self.0.load(Ordering::SeqCst), 1, "dropped once");
        }
    }

    /// A handle on its way to another thread.
    #[derive(Clone, Copy, PartialEq)]
    struct Sent(usize);

    impl Sent {
        fn new<H: Handle>(handle: *mut H) -> Self {
            Self(handle.addr())
        }

        fn handle(self) -> *mut SlThing {
            std::ptr::without_provenance_mut(self.0)
        }

        /// What the handle names, if anything, is this object, alive for as long as it is held.
        fn look_up(self, name: u32) -> bool {
            let Ok(held) = get(self.handle()) else {
                return false;
            };
            held.assert_alive(name);
            // Others come in between at a lock, and nowhere else; a yield would let them come first always.
            drop(get(self.handle()));
            held.assert_alive(name);
            true
        }

        fn destroy(self, name: u32) -> bool {
            let Ok(object) = remove(self.handle()) else {
                return false;
            };
            object.assert_alive(name);
            true
        }
    }

    fn inserted(name: u32) -> (Sent, Drops) {
        let (thing, drops) = Thing::new(name);
        let handle = insert::<SlThing>(thing).expect("there is room");
        (Sent::new(handle), drops)
    }

    #[test]
    fn an_object_that_is_destroyed_in_use_lives_until_it_is_let_go() {
        in_every_order("destroyed in use", || {
            let (handle, drops) = inserted(1);
            let user = thread::spawn(move || handle.look_up(1));
            assert!(handle.destroy(1));
            user.join().unwrap();
            drops.assert_once();
            assert!(!handle.look_up(1), "a stale handle");
        });
    }

    #[test]
    fn of_two_who_destroy_an_object_one_gets_it_and_none_gets_the_next_in_its_slot() {
        in_every_order("destroyed twice", || {
            let (handle, drops) = inserted(1);
            let other = thread::spawn(move || handle.destroy(1));
            let user = thread::spawn(move || handle.look_up(1));
            let was_first = handle.destroy(1);
            let (next, next_drops) = inserted(2);
            assert_ne!(other.join().unwrap(), was_first);
            user.join().unwrap();
            drops.assert_once();
            assert!(next.look_up(2) && next.destroy(2));
            next_drops.assert_once();
        });
    }

    #[test]
    fn a_slot_that_is_used_again_is_not_reached_by_the_handle_before() {
        in_every_order("slot used again", || {
            let (old, old_drops) = inserted(1);
            let user = thread::spawn(move || {
                old.look_up(1);
                old.look_up(1);
            });
            assert!(old.destroy(1));
            let (new, new_drops) = inserted(2);
            assert!(new != old && !old.look_up(1) && !old.destroy(1));
            assert!(new.look_up(2));
            user.join().unwrap();
            old_drops.assert_once();
            assert!(new.destroy(2));
            new_drops.assert_once();
        });
    }

    #[test]
    fn two_who_create_and_destroy_at_once_do_not_get_each_others_objects() {
        in_every_order("two create and destroy", || {
            let (first, first_drops) = inserted(1);
            let other = thread::spawn(move || {
                let (own, own_drops) = inserted(2);
                assert!(own != first && own.look_up(2) && own.destroy(2));
                own_drops.assert_once();
            });
            assert!(first.destroy(1));
            first_drops.assert_once();
            let (next, next_drops) = inserted(3);
            assert!(next != first && next.look_up(3) && next.destroy(3));
            next_drops.assert_once();
            other.join().unwrap();
        });
    }

    #[test]
    fn a_lent_object_goes_when_it_is_taken_back_and_not_before() {
        in_every_order("lent and taken back", || {
            let (thing, drops) = Thing::new(1);
            let lent = Sent::new(lend::<SlThing>(thing).expect("there is room"));
            let host = thread::spawn(move || {
                lent.look_up(1);
                assert!(!lent.destroy(1), "the host cannot destroy it");
            });
            take_back(lent.handle()).unwrap().assert_alive(1);
            host.join().unwrap();
            drops.assert_once();
            assert!(!lent.look_up(1));
        });
    }

    #[test]
    fn a_panic_poisons_the_object_that_was_in_use_and_not_the_next_in_its_slot() {
        in_every_order("poisoned late", || {
            let (old, old_drops) = inserted(1);
            let place = super::super::Place::of::<SlThing>(old.handle()).expect("a handle");
            let unwinding = thread::spawn(move || SlThing::table().poison(place));
            assert!(old.destroy(1), "a poisoned one can be destroyed");
            let (new, new_drops) = inserted(2);
            assert!(new.look_up(2));
            unwinding.join().unwrap();
            assert!(new.look_up(2) && new.destroy(2));
            old_drops.assert_once();
            new_drops.assert_once();
        });
    }
}
