//! The C ABI: one file for each C noun over a few files that every export uses. What lies here
//! checks and converts; it decides nothing about save data, sessions or storage.
//!
//! # The rules of the boundary
//!
//! 1. **Nothing crosses but a status.** Every export runs inside `boundary`, which turns an error
//!    into an [`SlStatus`] with a message for `session_locker_last_error`, and a panic into
//!    [`SL_ERROR_PANIC`]. The object that was in use when it panicked is poisoned and can only be
//!    destroyed; the process goes on.
//! 2. **A refused call changes nothing.** All parameters are checked before anything is done, the
//!    outputs come last, and they are written only when the status is [`SL_OK`].
//! 3. **Handles are names, not addresses.** Their 64 bits are looked up, never dereferenced: a NULL,
//!    stale, freed, foreign or random handle gives [`SL_ERROR_INVALID_HANDLE`], always.
//! 4. **Real pointers are the host's promise.** A pointer to text, to an output or to a struct is
//!    either NULL (refused, or with a documented meaning) or points to what the header says, for the
//!    length given, until the call returns. That promise is the one thing that cannot be checked
//!    here, and the reason why every export is an `unsafe fn`.
//! 5. **Text in** is UTF-8 by pointer and length, the length perhaps [`SL_NUL_TERMINATED`]. **Text
//!    out** is an [`SlBuffer`] that the host frees. Text lent to a callback lives until it returns.
//! 6. **Structs** begin with `struct_size`, are only ever appended to, and hold no implicit padding,
//!    no `bool` and no enum. Enumerations are integers with `SL_` constants, checked on the way in.
//! 7. **Callbacks** run on the thread that called in, with no lock of this library held, and may
//!    call any function. `drop(user_data)` runs exactly once, and only if the call that handed it
//!    over returned [`SL_OK`], or [`SL_ERROR_TIMEOUT`] from a wait for a purchase.
//! 8. **Any thread may call any function.**
//!
//! # How an export is written
//!
//! Checks first, in the order of the parameters, by the macros `text!`, `texts!`, `bytes!`,
//! `config!` and `out!` (each names the parameter in its message) and by `handle::get`; then one
//! call of a safe method; then the outputs. A new type gets its line in `handle::Kind` and a
//! `handle_kind!`; a new file, its line in `tests/headers.rs`, whose tests then ask for the rest:
//! the header, a C program that calls the function, and one that calls it with wrong handles.
//!
//! ```text
//! #[unsafe(no_mangle)]
//! pub unsafe extern "C" fn save_data_get_i64(
//!     data: *const SlSaveData, pointer: *const c_char, pointer_length: usize, value: *mut i64,
//! ) -> SlStatus {
//!     boundary(|| {
//!         let data = handle::get(data)?;
//!         let pointer = text!(pointer, pointer_length);
//!         let value = out!(value);
//!         value.set(data.read(|data| data.get_i64(pointer))?);
//!         Ok(())
//!     })
//! }
//! ```

// The one place with `unsafe`. The contract of every export is the same, rule 4 above, and its
// documentation is the C header's: a section on safety in each would only repeat it there. C has no
// other way to pass many things than many parameters.
#![allow(unsafe_code, clippy::missing_safety_doc, clippy::too_many_arguments)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("session-locker is for 64-bit targets: a handle's 64 bits travel as a pointer");

#[macro_use]
mod boundary;
mod callback;
mod clock;
mod config;
mod credit;
mod defaults;
mod error;
mod event;
#[macro_use]
mod handle;
mod connection;
mod drain;
mod inbox;
mod log;
mod migrator;
mod number;
mod pending_purchase;
mod profile;
mod purchase;
mod purchaser;
mod remote_change_sender;
mod save_data;
mod send_options;
#[macro_use]
mod settings;
#[macro_use]
mod session_options;
mod locker;
mod spec;
mod stats;
mod status;
mod storage;
mod storage_host;
mod storage_request;
mod store;
mod text;

pub use callback::*;
pub use clock::*;
pub use connection::*;
pub use credit::*;
pub use defaults::*;
pub use drain::*;
pub use error::*;
pub use event::*;
pub use inbox::{SlMergeOfflineSaveData, SlProcessRemoteChange};
pub use locker::*;
pub use log::*;
pub use migrator::*;
pub use pending_purchase::*;
pub use profile::*;
pub use purchase::*;
pub use purchaser::*;
pub use remote_change_sender::*;
pub use save_data::*;
pub use send_options::*;
pub use session_options::*;
pub use settings::SlCreateSaveData;
pub use spec::*;
pub use stats::*;
pub use status::*;
pub use storage::*;
pub use storage_host::*;
pub use storage_request::*;
pub use store::*;
pub use text::*;

/// Hosts compile these sizes in, and lay out arrays of some. A versioned struct may grow, by a
/// multiple of 8 bytes; the others may not.
const _: () = {
    assert!(size_of::<SlText>() == 16);
    assert!(size_of::<SlBuffer>() == 24);
    assert!(size_of::<SlEvent>() == 160);
    assert!(size_of::<SlErrorReport>() == 128);
    assert!(size_of::<SlProductCall>() == 56);
    assert!(size_of::<SlStorageCommit>() == 72);
    assert!(size_of::<SlClock>() == 48);
    assert!(size_of::<SlEasyStoreConfig>() == 240);
    assert!(size_of::<SlLockerSpecConfig>() == 256);
    assert!(size_of::<SlReceiptInfo>() == 64);
    assert!(size_of::<SlRemoteChangeSenderConfig>() == 64);
    assert!(size_of::<SlSendOptions>() == 24);
    assert!(size_of::<SlSessionOptions>() == 40);
    assert!(size_of::<SlRequestStats>() == 368);
    assert!(size_of::<SlStorageCallbacks>() == 64);
    assert!(size_of::<SlUnsaved>() == 40);
    assert!(size_of::<SlUnsent>() == 48);
};
