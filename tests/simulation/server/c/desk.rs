//! Where a C host's events arrive, and whose they are.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use session_locker::ffi::*;

use super::answers::Answers;
use super::call::{Handle, callback, lent_struct, lent_text, must_get};
use super::user_data::{Tally, UserData, behind, hand_over};
use crate::game::Game;
use crate::ids::{Key, SessionId};
use crate::server::Heard;

/// A session, as the API names it.
#[derive(Clone, Copy)]
pub enum Owner {
    Profile(Handle<SlProfile>),
    Locker(Handle<SlLocker>),
}

impl Owner {
    fn bits(self) -> usize {
        match self {
            Self::Profile(profile) => profile.bits(),
            Self::Locker(locker) => locker.bits(),
        }
    }
}

/// See the module's page.
pub struct Desk {
    pub game: Arc<Game>,
    pub tally: Arc<Tally>,
    pub(super) is_of_store: bool,
    is_muted: AtomicBool,
    sessions: Mutex<Sessions>,
    pub(super) answers: Mutex<Answers>,
}

impl UserData for Desk {}

#[derive(Clone, Copy)]
struct Session {
    key: Key,
    owner: Owner,
    /// Not ended by the host.
    is_wanted: bool,
}

#[derive(Default)]
struct Sessions {
    all: BTreeMap<SessionId, Session>,
    by_handle: BTreeMap<usize, SessionId>,
}

impl Desk {
    /// Of a store, or of lockers.
    pub fn new(game: &Arc<Game>, is_of_store: bool) -> Arc<Self> {
        Arc::new(Self {
            game: Arc::clone(game),
            tally: Arc::default(),
            is_of_store,
            is_muted: AtomicBool::new(false),
            sessions: Mutex::default(),
            answers: Mutex::default(),
        })
    }

    /// From now on nothing goes to the game.
    pub fn mute(&self) {
        self.is_muted.store(true, Ordering::Relaxed);
    }

    /// Whether the server is destroyed, and nothing goes to the game any more.
    pub fn is_muted(&self) -> bool {
        self.is_muted.load(Ordering::Relaxed)
    }

    /// This desk as the `user_data` of a table of callbacks.
    pub fn user_data(self: &Arc<Self>) -> *mut c_void {
        hand_over(&self.tally, Arc::clone(self) as Arc<dyn UserData>)
    }
}

/// Sessions.
impl Desk {
    pub fn started(&self, id: SessionId, key: Key, owner: Owner) {
        let session = Session {
            key,
            owner,
            is_wanted: true,
        };
        let mut sessions = self.sessions.lock();
        sessions.all.insert(id, session);
        sessions.by_handle.insert(owner.bits(), id);
    }

    /// Forgets a session, whose handle is about to go.
    pub fn let_go(&self, session: SessionId) -> Option<Owner> {
        let mut sessions = self.sessions.lock();
        let Session { owner, .. } = sessions.all.remove(&session)?;
        sessions.by_handle.remove(&owner.bits());
        Some(owner)
    }

    fn session(&self, session: SessionId) -> Option<Session> {
        self.sessions.lock().all.get(&session).copied()
    }

    pub fn owner(&self, session: SessionId) -> Option<Owner> {
        self.session(session).map(|session| session.owner)
    }

    pub fn key(&self, session: SessionId) -> Option<Key> {
        self.session(session).map(|session| session.key)
    }

    /// The key of the session with this handle.
    pub fn key_of(&self, handle: usize) -> Option<Key> {
        let session = self.sessions.lock().by_handle.get(&handle).copied();
        self.key(session?)
    }

    pub fn is_wanted(&self, session: SessionId) -> bool {
        self.session(session)
            .is_some_and(|session| session.is_wanted)
    }

    pub fn set_wanted(&self, session: SessionId, is_wanted: bool) -> Option<Owner> {
        let mut sessions = self.sessions.lock();
        let session = sessions.all.get_mut(&session)?;
        session.is_wanted = is_wanted;
        Some(session.owner)
    }

    pub fn sessions(&self) -> Vec<SessionId> {
        self.sessions.lock().all.keys().copied().collect()
    }

    /// The sessions of a key that the host has not ended, the oldest first.
    pub fn wanted(&self, key: Key) -> Vec<Owner> {
        let sessions = self.sessions.lock();
        let wanted = |session: &&Session| session.key == key && session.is_wanted;
        let wanted = sessions.all.values().filter(wanted);
        wanted.map(|session| session.owner).collect()
    }

    fn session_of(&self, event: &SlEvent) -> Option<SessionId> {
        let bits = event.profile.addr().max(event.locker.addr());
        let session = self.sessions.lock().by_handle.get(&bits).copied();
        // NULL is what the host has destroyed.
        assert!(
            bits == 0 || session.is_some(),
            "an event of a handle that is none"
        );
        session
    }
}

/// Events.
impl Desk {
    /// An event was called back or polled.
    pub fn hear(&self, event: &SlEvent) {
        assert_eq!((event.reserved, event.reserved_for_later), (0, [0; 6]));
        if self.is_muted() {
            return;
        }
        match event.kind {
            SL_EVENT_CHANGES_SAVED => return self.hear_saved(event),
            SL_EVENT_REMOTE_CHANGES_SENT => return self.hear_sent(event),
            SL_EVENT_PURCHASE => return self.hear_purchase(event),
            _ => {}
        }
        let Some(session) = self.session_of(event) else {
            return;
        };
        assert_eq!(self.key(session), Some(Key::of(lent_text(event.key))));
        if let Some(heard) = heard(event) {
            self.game.heard(session, heard);
        }
    }

    /// Hears all that a poll gives, a few at a time.
    pub fn hear_all(&self, poll: impl Fn(*mut SlEvent, usize, &mut usize) -> SlStatus) {
        let mut events = [const { MaybeUninit::uninit() }; 3];
        loop {
            let count = must_get(0, |count| {
                poll(events.as_mut_ptr().cast(), events.len(), count)
            });
            for event in &events[..count] {
                // Texts live until the next poll.
                self.hear(lent_struct(event.as_ptr()));
            }
            if count == 0 {
                return;
            }
        }
    }
}

/// The `event` of a table of callbacks.
pub extern "C" fn event(user_data: *mut c_void, event: *const SlEvent) {
    callback((), || behind::<Desk>(user_data).hear(lent_struct(event)));
}

/// What an event tells the game, if it is one of those.
fn heard(event: &SlEvent) -> Option<Heard> {
    match (event.kind, event.lifecycle, event.reason) {
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_REPLACED, SL_REASON_LOADED) => Some(Heard::Loaded),
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_REPLACED, _) => Some(Heard::Reset),
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_SAVED, _) => Some(Heard::Saved),
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_DESTROYED, _) => Some(Heard::Ended),
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_FINISHED, _) => Some(Heard::Finished),
        (SL_EVENT_LIFECYCLE, SL_LIFECYCLE_IDLING | SL_LIFECYCLE_DELETED, _) => None,
        (SL_EVENT_LOST, ..) => {
            let document: serde_json::Value =
                serde_json::from_str(lent_text(event.text)).expect("a document that was lost");
            let lock_id = document["Session"]["LockId"].as_u64();
            Some(Heard::Lost { lock_id })
        }
        (SL_EVENT_ERROR, ..) => {
            assert!(event.text.length > 0, "an error says what it is");
            Some(Heard::Error)
        }
        (SL_EVENT_PRODUCT_CREDIT_CHANGED, ..) => Some(Heard::Credit {
            product: event.product_id,
            change: event.amount,
        }),
        (SL_EVENT_LOAD_STATUS, ..) => None,
        (kind, lifecycle, reason) => panic!("an event {kind} ({lifecycle}, {reason})"),
    }
}
