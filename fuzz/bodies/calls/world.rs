//! What the host knows: its handles, what it has handed over with its callbacks, its time, and what is
//! left of the input. It belongs to a thread, and is never borrowed while the library is called.

use std::cell::RefCell;
use std::ffi::c_void;
use std::marker::PhantomData;

use session_locker::ffi::*;

use super::host_storage::Engines;
use super::script::{Frame, Script};

/// What a handle is a handle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SaveData,
    Backup,
    Storage,
    Request,
    Builder,
    Migrators,
    Store,
    Profile,
    Signal,
    Wait,
    Report,
    Spec,
    Locker,
    Sender,
    Purchaser,
    Pending,
}

pub const KINDS: [Kind; 16] = [
    Kind::SaveData,
    Kind::Backup,
    Kind::Storage,
    Kind::Request,
    Kind::Builder,
    Kind::Migrators,
    Kind::Store,
    Kind::Profile,
    Kind::Signal,
    Kind::Wait,
    Kind::Report,
    Kind::Spec,
    Kind::Locker,
    Kind::Sender,
    Kind::Purchaser,
    Kind::Pending,
];

/// A C type whose pointers are handles.
pub trait Handle {
    const KIND: Kind;
}

macro_rules! handles {
    ($($type:ty: $kind:ident),* $(,)?) => {
        $(impl Handle for $type {
            const KIND: Kind = Kind::$kind;
        })*
    };
}

handles!(
    SlSaveData: SaveData,
    SlSaveDataBackup: Backup,
    SlStorage: Storage,
    SlStorageRequest: Request,
    SlMigratorBuilder: Builder,
    SlMigrators: Migrators,
    SlEasyStore: Store,
    SlProfile: Profile,
    SlSignalConnection: Signal,
    SlSavedConnection: Wait,
    SlDrainReport: Report,
    SlLockerSpec: Spec,
    SlLocker: Locker,
    SlRemoteChangeSender: Sender,
    SlProductPurchaser: Purchaser,
    SlPendingProductPurchase: Pending,
);

/// What is known of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It names an object.
    Live,
    /// What it belongs to is gone, and it with it perhaps.
    Doubtful,
    /// It names nothing, or nothing of the kind that is asked for.
    Wrong,
    /// NULL, where that stands for none.
    None,
}

/// A handle that the host has been given.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub address: usize,
    pub standing: Standing,
    /// The handle of what it belongs to, or 0.
    pub parent: usize,
    /// What was handed over with the call that gave it.
    pub token: usize,
}

/// A handle for a call, right or wrong.
pub struct Picked<T> {
    pub address: usize,
    pub standing: Standing,
    handle: PhantomData<T>,
}

impl<T: Handle> Picked<T> {
    pub fn of(known: Known) -> Self {
        Self {
            address: known.address,
            standing: known.standing,
            handle: PhantomData,
        }
    }

    /// The same, as it stands now that callbacks may have run.
    pub fn again(self) -> Self {
        let known = world(|world| world.find(T::KIND, self.address));
        let standing = match (self.standing, known) {
            (Standing::Live | Standing::Doubtful, Some(known)) => known.standing,
            (Standing::Live | Standing::Doubtful, None) => Standing::Wrong,
            (other, _) => other,
        };
        Self { standing, ..self }
    }

    /// NULL, where that is allowed.
    pub fn none() -> Self {
        Self {
            address: 0,
            standing: Standing::None,
            handle: PhantomData,
        }
    }

    pub fn pointer(&self) -> *mut T {
        std::ptr::without_provenance_mut(self.address)
    }

    pub fn named(&self) -> (Kind, usize, Standing) {
        (T::KIND, self.address, self.standing)
    }
}

/// What was handed over with callbacks: a number that travels as `user_data`.
#[derive(Debug)]
pub struct Handed {
    #[expect(dead_code, reason = "for whoever reads a failure")]
    pub what: &'static str,
    /// Whether the call that took it has said so; unknown before it returns.
    pub is_accepted: Option<bool>,
    pub has_drop: bool,
    pub drops: u32,
    /// Whether the answer is told to a callback, once.
    pub is_answered: bool,
    pub answers: u32,
    /// Whether the host has given up the answer.
    pub is_given_up: bool,
}

/// A call that has not returned.
pub struct Running {
    pub name: &'static str,
    /// Its first handle, or 0.
    pub address: usize,
    /// Whether it was passed a struct that it must refuse.
    pub has_no_struct: bool,
    /// Whether a product was to be applied in it, not in a call inside of it, and the host has failed.
    pub has_not_applied: bool,
}

/// All that the host knows.
#[derive(Default)]
pub struct World {
    pub script: Script,
    live: [Vec<Known>; KINDS.len()],
    dead: [Vec<usize>; KINDS.len()],
    pub handed: Vec<Handed>,
    pub engines: Engines,
    /// Monotonic seconds.
    pub now: f64,
    /// How far the wall clock is off.
    pub skew: f64,
    /// How many callbacks have run.
    pub callbacks: u64,
    /// How many run at the moment, one inside another.
    pub depth: usize,
    /// Behind which key the only document of a session is that a callback which runs may write to, none for
    /// an empty one; nothing where it may write to all.
    pub owned: Vec<Option<Vec<u8>>>,
    /// How many calls were made.
    pub calls: usize,
    /// The calls that have not returned, one inside another.
    pub running: Vec<Running>,
    /// No two stores or senders may share one.
    pub seeds: u64,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Looks at the world, or changes it. The library must not be called meanwhile.
pub fn world<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(look)
}

/// The frame of the step or callback that begins.
pub fn next_frame() -> Frame {
    world(|world| world.script.next())
}

/// A handle for a call: mostly one that is right.
pub fn pick<T: Handle>(frame: &mut Frame) -> Picked<T> {
    let (byte, wild) = (frame.byte(), frame.byte());
    let known = world(|world| world.pick(T::KIND, byte, wild));
    Picked::of(known)
}

/// A handle, or NULL where that is allowed.
pub fn pick_or_none<T: Handle>(frame: &mut Frame) -> Picked<T> {
    let picked = pick::<T>(frame);
    match frame.below(2) == 0 || picked.address == 0 {
        true => Picked::none(),
        false => picked,
    }
}

impl World {
    fn pick(&self, kind: Kind, byte: u8, wild: u8) -> Known {
        let live = &self.live[kind as usize];
        let at = usize::from(byte);
        let right = live.get(at % live.len().max(1));
        if let Some(known) = right.filter(|_| byte < 224) {
            return *known;
        }
        let address = match byte {
            224..=231 => self.dead[kind as usize].get(at % 8).copied(),
            232..=239 => {
                let other = &self.live[usize::from(wild) % KINDS.len()];
                other.first().map(|known| known.address)
            }
            240..=247 => right.map(|known| known.address ^ (1 << (wild % 64))),
            248..=254 => Some(usize::from_ne_bytes([wild; 8]).rotate_left(byte.into())),
            _ => None,
        };
        let address = address.unwrap_or(0);
        let named = live.iter().find(|known| known.address == address);
        // The save data of a session has a handle before the host asks for it, and it may be guessed.
        let may_be_guessed = kind == Kind::SaveData && (240..=247).contains(&byte);
        let is_guess = may_be_guessed && !self.dead[kind as usize].contains(&address);
        named.copied().unwrap_or(Known {
            address,
            standing: if is_guess {
                Standing::Doubtful
            } else {
                Standing::Wrong
            },
            parent: 0,
            token: NOTHING,
        })
    }

    /// Remembers a handle that the library has given.
    pub fn keep(&mut self, kind: Kind, address: usize, parent: usize, token: usize) {
        assert!(address >> 63 == 1, "{address:#x} is no handle");
        let again = self.dead[kind as usize].contains(&address);
        assert!(!again, "{address:#x} was given before");
        let live = &mut self.live[kind as usize];
        if live.iter().all(|known| known.address != address) {
            live.push(Known {
                address,
                standing: Standing::Live,
                parent,
                token,
            });
        }
    }

    /// A handle that names nothing any more, nor what belongs to it perhaps.
    pub fn bury(&mut self, address: usize) {
        assert_ne!(address, 0, "NULL names nothing");
        for kind in 0..KINDS.len() {
            if let Some(at) = self.live[kind].iter().position(|k| k.address == address) {
                self.live[kind].remove(at);
                self.dead[kind].insert(0, address);
            }
        }
        self.doubt(address);
    }

    /// What belongs to it may be gone, and so on.
    pub fn doubt(&mut self, parent: usize) {
        assert_ne!(parent, 0, "what belongs to nothing stays");
        let mut orphans = Vec::new();
        for known in self.live.iter_mut().flatten() {
            if known.parent == parent && known.standing == Standing::Live {
                known.standing = Standing::Doubtful;
                orphans.push(known.address);
            }
        }
        for orphan in orphans {
            self.doubt(orphan);
        }
    }

    /// The storage with this token is gone, and nobody hears its requests any more.
    pub fn end_storage(&mut self, token: usize) {
        self.engines.end(token);
        for request in self.all(Kind::Request) {
            if request.token == token {
                self.bury(request.address);
            }
        }
    }

    /// The handles of a kind that were freed last.
    pub fn freed(&self, kind: Kind) -> Vec<Known> {
        const FREED: usize = 16;
        let freed = self.dead[kind as usize].iter().take(FREED);
        let known = |address: &usize| Known {
            address: *address,
            standing: Standing::Wrong,
            parent: 0,
            token: NOTHING,
        };
        freed.map(known).collect()
    }

    /// Of a session's document, the profile or locker that has it.
    pub fn session_of(&self, data: usize) -> Option<usize> {
        let known = self.find(Kind::SaveData, data)?;
        Some(known.parent).filter(|parent| *parent != 0)
    }

    /// Whether the callbacks that run, all of which could be undone, keep the host from writing to the
    /// document behind this key.
    pub fn is_anothers(&self, key: &[u8]) -> bool {
        let is_kept_from = |own: &Option<Vec<u8>>| own.as_deref().is_some_and(|own| own != key);
        !self.owned.is_empty() && self.owned.iter().all(is_kept_from)
    }

    pub fn set_standing(&mut self, address: usize, standing: Standing) {
        for known in self.live.iter_mut().flatten() {
            if known.address == address {
                known.standing = standing;
            }
        }
    }

    pub fn all(&self, kind: Kind) -> Vec<Known> {
        self.live[kind as usize].clone()
    }

    pub fn find(&self, kind: Kind, address: usize) -> Option<Known> {
        let mut live = self.live[kind as usize].iter();
        live.find(|known| known.address == address).copied()
    }

    /// The `user_data` of a call that is about to be made.
    fn hand_over(&mut self, what: &'static str, has_drop: bool, is_answered: bool) -> usize {
        self.handed.push(Handed {
            what,
            is_accepted: None,
            has_drop,
            drops: 0,
            is_answered,
            answers: 0,
            is_given_up: false,
        });
        self.handed.len() - 1
    }

    pub fn wall(&self) -> f64 {
        1_800_000_000.0 + self.now + self.skew
    }
}

/// No token.
pub const NOTHING: usize = usize::MAX;

/// What is handed over with one call.
#[derive(Clone, Copy)]
pub struct Token(pub usize);

impl Token {
    /// With a drop function or without; with a callback that hears an answer once or without.
    pub fn new(what: &'static str, has_drop: bool, is_answered: bool) -> Self {
        Self(world(|world| world.hand_over(what, has_drop, is_answered)))
    }

    /// The token that a callback was given.
    pub fn of(user_data: *mut c_void) -> Self {
        let token = user_data.addr().wrapping_sub(1);
        let count = world(|world| world.handed.len());
        assert!(token < count, "{user_data:?} was never handed over");
        Self(token)
    }

    pub fn user_data(self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.0 + 1)
    }

    /// The call that took it has returned.
    pub fn settle(self, is_accepted: bool) {
        world(|world| {
            let handed = &mut world.handed[self.0];
            handed.is_accepted = Some(is_accepted);
            let is_untouched = handed.drops == 0 && handed.answers == 0;
            assert!(is_accepted || is_untouched, "refused, and used: {handed:?}");
        });
    }
}
