//! What must be true of every call, whatever is passed to it.

use std::env;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use session_locker::ffi::*;

use super::arguments::{Buffer, taken};
use super::world::{Kind, Running, Standing, world};

/// Calls a function of the library: its handles, then what else it takes, then its results. It may come
/// to SL_OK, to what a handle can come to, and to the statuses that its page names. Needs [`Begun`].
macro_rules! call {
    ($name:ident($($handle:ident),*; $($value:expr),*; $($out:ident),*) or $allowed:expr) => {{
        let begun = Begun::new(stringify!($name), &[$($handle.named()),*]);
        // SAFETY: handles are looked up. Texts, structs and results are made by `arguments`: their
        // pointers are NULL, or point to what they say, and they outlive the call. Callbacks are those
        // of `hooks` and `host_storage`, and their `user_data` is only a number.
        let status = unsafe {
            session_locker::ffi::$name(
                $($handle.pointer(),)*
                $($value,)*
                $($out.place().cast()),*
            )
        };
        begun.ended(status, $allowed);
        $(let _ = $out.value(status);)*
        status
    }};
}
pub(super) use call;

/// Statuses that a function's page names, in groups.
pub type Allowed<'a> = &'a [&'a [SlStatus]];

/// Of every function that takes something.
pub const ARGUMENT: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT];
/// Of every function that takes texts.
pub const TEXT: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_INVALID_UTF8];
/// Of every function that reads save data, what is not there among them.
pub const READ: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_INVALID_POINTER,
    SL_ERROR_INVALID_JSON,
    SL_ERROR_NOT_FOUND,
    SL_ERROR_WRONG_TYPE,
];
/// Of every function that writes save data.
pub const WRITE: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_INVALID_POINTER,
    SL_ERROR_INVALID_JSON,
    SL_ERROR_NOT_FOUND,
    SL_ERROR_WRONG_TYPE,
    SL_ERROR_BUSY,
    SL_ERROR_NOT_ACTIVE,
    SL_ERROR_RESERVED_FIELD,
    SL_ERROR_TOO_LARGE,
];

/// The functions of which one at a time may be at work on a store, or whatever else their handle names.
const DRIVES: &[&str] = &[
    "easy_store_update",
    "easy_store_drain",
    "locker_update",
    "product_purchaser_update",
    "remote_change_sender_update",
];

/// The functions that apply a product themselves, and so fail if the host's callback does. All others do that
/// at some time.
const BY_HAND: &[&str] = &[
    "pending_product_purchase_apply",
    "pending_product_purchase_use_credit",
];

/// How many handles of all kinds are alive.
pub fn live_handles() -> u64 {
    let mut count = 0;
    // SAFETY: the result is a place of its type.
    let status = unsafe { session_locker_live_handles(&raw mut count) };
    assert_eq!(status, SL_OK);
    count
}

/// The message of the last call that failed.
pub fn last_error() -> String {
    let mut buffer = vec![0_u8; 512];
    // SAFETY: the buffer has so many bytes.
    let length = unsafe { session_locker_last_error(buffer.as_mut_ptr().cast(), buffer.len()) };
    buffer.truncate(length.min(buffer.len() - 1));
    String::from_utf8(buffer).expect("a message is cut between two characters")
}

/// The key of a profile or locker that lives.
fn key_of(session: usize) -> Option<Vec<u8>> {
    let mut key = MaybeUninit::<Buffer>::uninit();
    // SAFETY: handles are looked up, and the result is a place of its type.
    let is_told = unsafe {
        let place = key.as_mut_ptr().cast();
        profile_get_key(std::ptr::without_provenance(session), place) == SL_OK
            || locker_get_key(std::ptr::without_provenance(session), place) == SL_OK
    };
    // SAFETY: the library has filled it.
    is_told.then(|| taken(unsafe { key.assume_init() }))
}

/// A call that has not returned.
pub struct Begun {
    name: &'static str,
    handles: Vec<(Kind, usize, Standing)>,
    live_handles: u64,
    callbacks: u64,
}

impl Begun {
    pub fn new(name: &'static str, handles: &[(Kind, usize, Standing)]) -> Self {
        let callbacks = world(|world| {
            world.calls += 1;
            world.running.push(Running {
                name,
                address: handles.first().map_or(0, |(_, address, _)| *address),
                has_no_struct: false,
                has_not_applied: false,
            });
            world.callbacks
        });
        if is_told() {
            say(&format!("{name}({handles:x?})"));
        }
        Self {
            name,
            handles: handles.to_vec(),
            live_handles: live_handles(),
            callbacks,
        }
    }

    /// The call has returned.
    pub fn ended(&self, status: SlStatus, allowed: Allowed<'_>) {
        let name = self.name;
        let message = match status {
            SL_OK => String::new(),
            _ => last_error(),
        };
        if is_told() {
            say(&format!("{name} = {status} {message}"));
        }
        let is_invalid = status == SL_ERROR_INVALID_HANDLE;
        let is_named = status == SL_OK
            || (is_invalid && !self.handles.is_empty())
            || allowed.iter().any(|group| group.contains(&status));
        assert!(is_named, "{name} is not said to give {status}: {message}");
        // Where the host has to say why, it may say nothing.
        let is_hosts = matches!(
            status,
            SL_ERROR_STORAGE | SL_ERROR_HOOK | SL_ERROR_MIGRATION
        );
        assert!(
            status == SL_OK || is_hosts || !message.is_empty(),
            "{name}: no message"
        );
        let others = allowed
            .iter()
            .any(|group| group.contains(&SL_ERROR_INVALID_HANDLE));
        self.handles_are_judged(status, others);
        self.may_succeed(status, allowed.contains(&WRITE));

        let is_quiet = world(|world| world.callbacks) == self.callbacks;
        assert!(
            is_quiet || !is_invalid,
            "{name} ran a callback and was refused"
        );
        if status != SL_OK && is_quiet {
            assert_eq!(live_handles(), self.live_handles, "{name}: {message}");
        }
    }

    /// What must be refused has been, and neither structs nor who else is at work were overlooked.
    fn may_succeed(&self, status: SlStatus, is_write: bool) {
        let name = self.name;
        world(|world| {
            let running = world.running.pop().expect("a call that returns");
            if status != SL_OK {
                return;
            }
            assert!(!running.has_no_struct, "{name} took a struct that is none");
            let is_believed = running.has_not_applied && BY_HAND.contains(&name);
            assert!(!is_believed, "{name} did what the host has failed to do");
            let is_driven =
                |outer: &Running| DRIVES.contains(&outer.name) && outer.address == running.address;
            let is_again = DRIVES.contains(&name) && world.running.iter().any(is_driven);
            assert!(!is_again, "{name} inside itself");
        });
        if status == SL_OK && is_write {
            self.was_the_hosts_to_write();
        }
    }

    /// A hook that can be undone is not written past.
    fn was_the_hosts_to_write(&self) {
        let [(Kind::SaveData, data, _)] = self.handles[..] else {
            return;
        };
        let key = world(|world| world.session_of(data)).and_then(key_of);
        let is_anothers = key.is_some_and(|key| world(|world| world.is_anothers(&key)));
        let name = self.name;
        assert!(!is_anothers, "{name} wrote past a hook that can be undone");
    }

    /// `others` says that a struct which was passed has handles in it too.
    fn handles_are_judged(&self, status: SlStatus, others: bool) {
        let (name, handles) = (self.name, &self.handles);
        let is_invalid = status == SL_ERROR_INVALID_HANDLE;
        let has = |asked| handles.iter().any(|(.., standing)| *standing == asked);
        if let Some((kind, address, Standing::Wrong)) = handles.first() {
            assert!(
                is_invalid,
                "{name} took {address:#x} for a {kind:?}: {status}"
            );
        }
        assert!(
            status != SL_OK || !has(Standing::Wrong),
            "{name}: {handles:x?}"
        );
        if is_invalid && !has(Standing::Wrong) && !others {
            assert!(has(Standing::Doubtful), "{name} refused {handles:x?}");
            // What names nothing never names anything again.
            let mut doubtful = handles.iter().filter(|(.., s)| *s == Standing::Doubtful);
            if let (Some((_, address, _)), None) = (doubtful.next(), doubtful.next())
                && *address != 0
            {
                world(|world| world.bury(*address));
            }
        }
    }
}

/// Whether each call is told on the standard error: for looking at one input.
fn is_told() -> bool {
    static IS_TOLD: OnceLock<bool> = OnceLock::new();
    *IS_TOLD.get_or_init(|| env::var_os("FUZZ_TELL").is_some())
}

fn say(what: &str) {
    let indent = "  ".repeat(world(|world| world.depth));
    eprintln!("{indent}{what}");
}
