//! Handles: the names by which the host calls our objects. A handle is 64 bits that look like a
//! pointer and are only ever looked up, so that a wrong one is an error and never a crash.
//!
//! ```text
//! 63      62 … 32            31 … 24   23 … 0
//! 1       generation (31)    kind      index
//! ```
//!
//! The topmost bit is set, which no address of a process has; a freed slot's next handle has the
//! next generation; and a slot that has used up its generations is never used again. So no handle
//! is ever given out twice, and a random number names an object with a chance of 1 in 2^64 for each
//! object that lives.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{FfiError, FfiResult};
use super::status::*;
use crate::sync::{AtomicUsize, RwLock};

/// What a handle names. The numbers stand in handles alone, so they may change between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    SaveData = 1,
    SaveDataBackup,
    Storage,
    StorageRequest,
    MigratorBuilder,
    Migrators,
    EasyStore,
    Profile,
    SignalConnection,
    SavedConnection,
    DrainReport,
    LockerSpec,
    Locker,
    RemoteChangeSender,
    ProductPurchaser,
    PendingProductPurchase,
}

impl Kind {
    /// Every kind, and the C type whose pointers are its handles.
    const ALL: [(Kind, &'static str); 16] = [
        (Kind::SaveData, "SlSaveData"),
        (Kind::SaveDataBackup, "SlSaveDataBackup"),
        (Kind::Storage, "SlStorage"),
        (Kind::StorageRequest, "SlStorageRequest"),
        (Kind::MigratorBuilder, "SlMigratorBuilder"),
        (Kind::Migrators, "SlMigrators"),
        (Kind::EasyStore, "SlEasyStore"),
        (Kind::Profile, "SlProfile"),
        (Kind::SignalConnection, "SlSignalConnection"),
        (Kind::SavedConnection, "SlSavedConnection"),
        (Kind::DrainReport, "SlDrainReport"),
        (Kind::LockerSpec, "SlLockerSpec"),
        (Kind::Locker, "SlLocker"),
        (Kind::RemoteChangeSender, "SlRemoteChangeSender"),
        (Kind::ProductPurchaser, "SlProductPurchaser"),
        (Kind::PendingProductPurchase, "SlPendingProductPurchase"),
    ];

    fn type_name(self) -> &'static str {
        Self::ALL[self as usize - 1].1
    }
}

/// A C type whose pointers are handles; made by `handle_kind!`.
pub(crate) trait Handle: Sized + 'static {
    /// What the handle names.
    type Object: ?Sized + Send + Sync + 'static;
    const KIND: Kind;

    fn table() -> &'static Table<Self::Object>;
}

/// `handle_kind!(SlStorage, Kind::Storage, dyn Storage)` makes pointers to the opaque type
/// `SlStorage` the handles of `Arc<dyn Storage>`s. The kind must stand in [`Kind`].
macro_rules! handle_kind {
    ($handle:ty, $kind:expr, $object:ty) => {
        impl $crate::ffi::handle::Handle for $handle {
            type Object = $object;
            const KIND: $crate::ffi::handle::Kind = $kind;

            fn table() -> &'static $crate::ffi::handle::Table<$object> {
                use $crate::ffi::handle::Table;
                $crate::sync::global!(TABLE: Table<$object> = Table::new())
            }
        }
    };
}

/// A new handle, which the host destroys. [`SL_ERROR_LIMIT`] with 16 million of the kind alive.
pub(crate) fn insert<H: Handle>(object: Arc<H::Object>) -> FfiResult<*mut H> {
    insert_as::<H>(object, true)
}

/// A new handle, which the host may use but not destroy: it ends with [`take_back`].
pub(crate) fn lend<H: Handle>(object: Arc<H::Object>) -> FfiResult<*mut H> {
    insert_as::<H>(object, false)
}

fn insert_as<H: Handle>(object: Arc<H::Object>, owned: bool) -> FfiResult<*mut H> {
    let Some(place) = H::table().insert(object, owned) else {
        let name = H::KIND.type_name();
        return Err(FfiError::new(
            SL_ERROR_LIMIT,
            format!("there are too many {name}"),
        ));
    };
    LIVE_HANDLES.fetch_add(1, Ordering::Relaxed);
    Ok(std::ptr::without_provenance_mut(
        place.bits(H::KIND) as usize
    ))
}

/// The object that a handle names.
#[inline]
pub(crate) fn get<H: Handle>(handle: *const H) -> FfiResult<Held<H>> {
    let place = Place::of(handle).ok_or_else(|| invalid(handle))?;
    match H::table().get(place) {
        Found::Object(object) => Ok(Held {
            object,
            place,
            panicking: std::thread::panicking(),
        }),
        Found::Poisoned => Err(poisoned::<H>()),
        Found::Nothing => Err(invalid(handle)),
    }
}

/// The object that a handle of the host's own names; one that was lent is refused.
pub(crate) fn get_owned<H: Handle>(handle: *const H) -> FfiResult<Held<H>> {
    let held = get(handle)?;
    if H::table().is_owned(held.place) {
        return Ok(held);
    }
    let name = H::KIND.type_name();
    let message = format!("this {name} was lent, and is not the host's to replace");
    Err(FfiError::new(SL_ERROR_UNSUPPORTED, message))
}

/// Frees a handle for the host and gives what it named, a poisoned object too.
pub(crate) fn remove<H: Handle>(handle: *const H) -> FfiResult<Arc<H::Object>> {
    let place = Place::of(handle).ok_or_else(|| invalid(handle))?;
    match H::table().remove(place, true) {
        Removed::Object(object) => Ok(removed(object)),
        Removed::NotOwned => {
            let name = H::KIND.type_name();
            let message = format!("this {name} was lent, and goes when its owner does");
            Err(FfiError::new(SL_ERROR_UNSUPPORTED, message))
        }
        Removed::Nothing => Err(invalid(handle)),
    }
}

/// Frees a handle for the library, lent or not, and gives what it named.
pub(crate) fn take_back<H: Handle>(handle: *const H) -> FfiResult<Arc<H::Object>> {
    let place = Place::of(handle).ok_or_else(|| invalid(handle))?;
    match H::table().remove(place, false) {
        Removed::Object(object) => Ok(removed(object)),
        Removed::NotOwned | Removed::Nothing => Err(invalid(handle)),
    }
}

fn removed<T>(object: T) -> T {
    LIVE_HANDLES.fetch_sub(1, Ordering::Relaxed);
    object
}

/// How many handles of all kinds there are, lent ones included.
pub(crate) fn live_handles() -> u64 {
    LIVE_HANDLES.load(Ordering::Relaxed)
}

static LIVE_HANDLES: AtomicU64 = AtomicU64::new(0);

#[cold]
fn invalid<H: Handle>(handle: *const H) -> FfiError {
    let expected = H::KIND.type_name();
    let bits = handle.addr() as u64;
    let kind = Place::kind_bits(bits);
    let foreign = Kind::ALL
        .iter()
        .find(|(of, _)| bits & LIVE != 0 && *of as u8 == kind && *of != H::KIND);
    let found = match foreign {
        _ if bits == 0 => "NULL".to_owned(),
        Some((_, name)) => format!("the handle of an {name}"),
        None if bits & LIVE != 0 && kind == H::KIND as u8 => "one that was freed".to_owned(),
        None => format!("{bits:#x}, which is no handle"),
    };
    let message = format!("expected the handle of an {expected}, got {found}");
    FfiError::new(SL_ERROR_INVALID_HANDLE, message)
}

#[cold]
fn poisoned<H: Handle>() -> FfiError {
    let name = H::KIND.type_name();
    let message = format!("an earlier call on this {name} hit a bug; it can only be destroyed");
    FfiError::new(SL_ERROR_PANIC, message)
}

/// An object in use by an export. Dropped by a panic, it poisons the handle.
pub(crate) struct Held<H: Handle> {
    object: Arc<H::Object>,
    place: Place,
    /// Whether the thread was unwinding before: then a panic is not ours.
    panicking: bool,
}

impl<H: Handle> Deref for Held<H> {
    type Target = Arc<H::Object>;

    fn deref(&self) -> &Self::Target {
        &self.object
    }
}

impl<H: Handle> Drop for Held<H> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            H::table().poison(self.place);
        }
    }
}

/// The topmost bit of every handle.
const LIVE: u64 = 1 << 63;
const KIND_SHIFT: u32 = 24;
const INDEX_BITS: u64 = (1 << KIND_SHIFT) - 1;
const GENERATION_SHIFT: u32 = 32;
const LAST_GENERATION: u32 = (1 << 31) - 1;

/// Where a handle points: an index into a table, and the slot's generation when it was given out.
#[derive(Clone, Copy)]
struct Place {
    index: u32,
    generation: u32,
}

impl Place {
    fn of<H: Handle>(handle: *const H) -> Option<Self> {
        let bits = handle.addr() as u64;
        let ours = bits & LIVE != 0 && Self::kind_bits(bits) == H::KIND as u8;
        ours.then_some(Self {
            index: (bits & INDEX_BITS) as u32,
            generation: (bits >> GENERATION_SHIFT) as u32 & LAST_GENERATION,
        })
    }

    fn bits(self, kind: Kind) -> u64 {
        let generation = u64::from(self.generation) << GENERATION_SHIFT;
        LIVE | generation | (kind as u64) << KIND_SHIFT | u64::from(self.index)
    }

    fn kind_bits(bits: u64) -> u8 {
        (bits >> KIND_SHIFT) as u8
    }

    fn shard(self) -> usize {
        self.index as usize % SHARDS
    }

    fn slot(self) -> usize {
        self.index as usize / SHARDS
    }
}

/// How many locks a table is spread over, so that threads at different objects seldom meet.
const SHARDS: usize = if cfg!(loom) { 1 } else { 32 };
const SLOTS_OF_A_SHARD: usize = (INDEX_BITS as usize + 1) / SHARDS;

/// The objects of one kind.
pub(crate) struct Table<T: ?Sized> {
    shards: [Shard<T>; SHARDS],
    /// Which shard the next object goes into, in turn.
    next: AtomicUsize,
}

/// Apart by two cache lines, for processors that fetch them in pairs.
#[repr(align(128))]
struct Shard<T: ?Sized>(RwLock<Slots<T>>);

struct Slots<T: ?Sized> {
    slots: Vec<Slot<T>>,
    /// Empty slots that may be used again.
    free: Vec<u32>,
}

struct Slot<T: ?Sized> {
    /// That of the object, or of the next one. Never 0.
    generation: u32,
    /// Whether the host may destroy it.
    owned: bool,
    poisoned: bool,
    object: Option<Arc<T>>,
}

enum Found<T: ?Sized> {
    Object(Arc<T>),
    Poisoned,
    Nothing,
}

enum Removed<T: ?Sized> {
    Object(Arc<T>),
    NotOwned,
    Nothing,
}

impl<T: ?Sized> Table<T> {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        const { assert!(SLOTS_OF_A_SHARD * SHARDS == INDEX_BITS as usize + 1) };
        Self {
            shards: [const { Shard::new() }; SHARDS],
            next: AtomicUsize::new(0),
        }
    }

    /// `None` when the shard whose turn it is has no index left.
    fn insert(&self, object: Arc<T>, owned: bool) -> Option<Place> {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let (slot, generation) = self.shards[shard].0.write().insert(object, owned)?;
        let index = (slot * SHARDS + shard) as u32;
        Some(Place { index, generation })
    }

    fn get(&self, place: Place) -> Found<T> {
        let slots = self.shards[place.shard()].0.read();
        match slots.slots.get(place.slot()) {
            Some(slot) if slot.generation == place.generation => match &slot.object {
                Some(_) if slot.poisoned => Found::Poisoned,
                Some(object) => Found::Object(Arc::clone(object)),
                None => Found::Nothing,
            },
            _ => Found::Nothing,
        }
    }

    fn remove(&self, place: Place, by_host: bool) -> Removed<T> {
        let mut slots = self.shards[place.shard()].0.write();
        slots.remove(place.slot(), place.generation, by_host)
    }

    fn is_owned(&self, place: Place) -> bool {
        let slots = self.shards[place.shard()].0.read();
        let slot = slots.slots.get(place.slot());
        slot.is_some_and(|slot| slot.generation == place.generation && slot.owned)
    }

    fn poison(&self, place: Place) {
        let mut slots = self.shards[place.shard()].0.write();
        if let Some(slot) = slots.at(place.slot(), place.generation) {
            slot.poisoned = true;
        }
    }
}

#[cfg(not(loom))]
impl<T: ?Sized> Shard<T> {
    const fn new() -> Self {
        Self(RwLock::new(Slots {
            slots: Vec::new(),
            free: Vec::new(),
        }))
    }
}

impl<T: ?Sized> Slots<T> {
    fn insert(&mut self, object: Arc<T>, owned: bool) -> Option<(usize, u32)> {
        let index = match self.free.pop() {
            Some(index) => index as usize,
            None if self.slots.len() == SLOTS_OF_A_SHARD => return None,
            None => {
                self.slots.push(Slot::empty());
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[index];
        slot.owned = owned;
        slot.poisoned = false;
        slot.object = Some(object);
        Some((index, slot.generation))
    }

    fn remove(&mut self, index: usize, generation: u32, by_host: bool) -> Removed<T> {
        let Some(slot) = self.at(index, generation) else {
            return Removed::Nothing;
        };
        if by_host && !slot.owned {
            return Removed::NotOwned;
        }
        let Some(object) = slot.object.take() else {
            return Removed::Nothing;
        };
        // With its last generation used the slot is left empty for good.
        if slot.generation < LAST_GENERATION {
            slot.generation += 1;
            self.free.push(index as u32);
        }
        Removed::Object(object)
    }

    fn at(&mut self, index: usize, generation: u32) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut(index)?;
        (slot.generation == generation).then_some(slot)
    }
}

impl<T: ?Sized> Slot<T> {
    const fn empty() -> Self {
        Self {
            generation: 1,
            owned: false,
            poisoned: false,
            object: None,
        }
    }
}

#[cfg(loom)]
mod under_loom;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ffi::boundary::boundary;
    use std::sync::Barrier;

    /// Stand-ins with kinds of real types; their tables are their own.
    struct SlNumber;
    struct SlOther;
    handle_kind!(SlNumber, Kind::SaveData, u64);
    handle_kind!(SlOther, Kind::Storage, dyn Fn() -> u64 + Send + Sync);

    fn refusal<H: Handle>(handle: *const H) -> FfiError {
        get(handle).err().expect("the handle is refused")
    }

    #[test]
    fn a_handle_names_its_object_until_it_is_removed() {
        let handle = insert::<SlNumber>(Arc::new(7)).unwrap();
        assert_eq!(**get(handle).unwrap(), 7);
        assert_eq!(*remove(handle).unwrap(), 7);
        let freed = refusal(handle);
        assert_eq!(freed.status, SL_ERROR_INVALID_HANDLE);
        let message = "expected the handle of an SlSaveData, got one that was freed";
        assert_eq!(freed.message, message);
        assert!(remove(handle).is_err());
    }

    #[test]
    fn a_slot_used_again_has_another_handle() {
        let handles = (0..1000).map(|number| {
            let handle = insert::<SlNumber>(Arc::new(number)).unwrap();
            remove(handle).unwrap();
            handle
        });
        let handles = handles.collect::<std::collections::HashSet<_>>();
        assert_eq!(handles.len(), 1000);
        assert!(handles.into_iter().all(|handle| get(handle).is_err()));
    }

    #[test]
    fn null_foreign_and_random_handles_are_refused_by_name() {
        let null = refusal::<SlNumber>(std::ptr::null());
        assert_eq!(
            null.message,
            "expected the handle of an SlSaveData, got NULL"
        );

        let other = insert::<SlOther>(Arc::new(|| 3)).unwrap();
        let foreign = refusal(other.cast::<SlNumber>());
        let message = "expected the handle of an SlSaveData, got the handle of an SlStorage";
        assert_eq!(foreign.message, message);

        let own = insert::<SlNumber>(Arc::new(1)).unwrap();
        let address = std::ptr::from_ref(&null).cast::<SlNumber>();
        assert!(refusal(address).message.ends_with("which is no handle"));
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let bits = random.usize(..);
            let handle = std::ptr::without_provenance::<SlNumber>(bits);
            assert_eq!(refusal(handle).status, SL_ERROR_INVALID_HANDLE);
        }
        // Also a live handle with one bit of kind or generation changed.
        for bit in KIND_SHIFT..64 {
            let near = own.map_addr(|bits| bits ^ (1 << bit));
            assert!(get(near).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_lent_handle_is_freed_by_its_owner_alone() {
        let handle = lend::<SlNumber>(Arc::new(5)).unwrap();
        let refused = remove(handle).unwrap_err();
        assert_eq!(refused.status, SL_ERROR_UNSUPPORTED);
        assert_eq!(**get(handle).unwrap(), 5);
        assert_eq!(*take_back(handle).unwrap(), 5);
        assert!(take_back(handle).is_err());
    }

    #[test]
    fn a_panic_poisons_what_was_in_use_and_nothing_else() {
        let used = insert::<SlNumber>(Arc::new(1)).unwrap();
        let other = insert::<SlNumber>(Arc::new(2)).unwrap();
        let status = boundary(|| {
            let held = get(used)?;
            panic!("while {} was held", **held);
        });
        assert_eq!(status, SL_ERROR_PANIC);
        assert_eq!(refusal(used).status, SL_ERROR_PANIC);
        assert_eq!(**get(other).unwrap(), 2);
        assert_eq!(*remove(used).unwrap(), 1, "it can still be destroyed");
    }

    #[test]
    fn a_slot_out_of_generations_is_never_used_again() {
        let mut slots = Slots {
            slots: vec![Slot::empty()],
            free: vec![0],
        };
        slots.slots[0].generation = LAST_GENERATION;
        let (index, generation) = slots.insert(Arc::new(1_u64), true).unwrap();
        assert_eq!((index, generation), (0, LAST_GENERATION));
        assert!(matches!(
            slots.remove(0, generation, true),
            Removed::Object(_)
        ));
        assert!(matches!(
            slots.remove(0, generation, true),
            Removed::Nothing
        ));
        assert_eq!(slots.insert(Arc::new(2), true), Some((1, 1)));
    }

    #[test]
    fn threads_that_insert_look_up_and_remove_never_see_anothers_object() {
        const THREADS: u64 = 4;
        let start = Barrier::new(THREADS as usize);
        let shared = insert::<SlNumber>(Arc::new(99)).unwrap().addr();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for number in 0..5000 {
                        let own = number * THREADS + thread;
                        let handle = insert::<SlNumber>(Arc::new(own)).unwrap();
                        assert_eq!(**get(handle).unwrap(), own);
                        let shared = std::ptr::without_provenance::<SlNumber>(shared);
                        assert_eq!(**get(shared).unwrap(), 99);
                        assert_eq!(*remove(handle).unwrap(), own);
                        assert!(get(handle).is_err());
                    }
                });
            }
        });
    }
}
