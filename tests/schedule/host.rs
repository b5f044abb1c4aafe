//! A server of a schedule: a store with profiles, or a spec with lockers driven one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use session_locker::easy::{Profile, ProfileEvent, ProfileId, Status};
use session_locker::locker::{
    LoadStatus, Locker, LockerSpec, SavedCallback, SavedConnection, SharedSaveData,
};

use crate::support::{Server, VirtualClock};

pub struct Host {
    kind: Kind,
    pub sessions: Vec<Session>,
    told: BTreeMap<ProfileId, Vec<Option<Status>>>,
}

pub enum Kind {
    Store(Server),
    Spec(LockerSpec, Arc<VirtualClock>),
}

pub struct Session {
    pub key: &'static str,
    pub handle: Handle,
}

pub enum Handle {
    Profile(Profile),
    /// Also whether it is wanted.
    Locker(Locker, bool),
}

impl Host {
    pub fn new(kind: Kind) -> Self {
        let (sessions, told) = (Vec::new(), BTreeMap::new());
        Self {
            kind,
            sessions,
            told,
        }
    }

    pub fn start_session(&mut self, key: &'static str, reusable: bool) {
        let handle = match &self.kind {
            Kind::Store(server) => Handle::Profile(match reusable {
                true => server
                    .store
                    .start_session_reusable(key, &[])
                    .expect("a session"),
                false => server.store.start_session(key, &[]).expect("a session"),
            }),
            Kind::Spec(spec, _) => {
                let locker = spec.create_locker(key, &[]).expect("a locker");
                locker.mark_should_acquire().expect("a locker");
                Handle::Locker(locker, true)
            }
        };
        self.sessions.push(Session { key, handle });
    }

    pub fn update(&mut self) {
        match &self.kind {
            Kind::Store(server) => {
                server.update();
                for event in server.events() {
                    let status = match event.event {
                        ProfileEvent::Lifecycle(status) => Some(status),
                        _ => None,
                    };
                    self.told.entry(event.profile).or_default().push(status);
                }
            }
            Kind::Spec(_, clock) => self.sessions.retain(|session| match &session.handle {
                Handle::Locker(locker, wanted) => {
                    let is_idle = locker.update(clock.now()).expect("an update");
                    locker.poll_events(usize::MAX);
                    if is_idle && !wanted {
                        locker.mark_deleted().expect("idle");
                    }
                    *wanted || !is_idle
                }
                Handle::Profile(_) => unreachable!("a spec has lockers"),
            }),
        }
    }

    /// Ends a session. A locker may come to be wanted again; a profile is let go of.
    pub fn change_mind(&mut self, index: usize) {
        match &mut self.sessions[index].handle {
            Handle::Profile(profile) => {
                profile.end_session().expect("an end");
                self.sessions.swap_remove(index);
            }
            Handle::Locker(locker, wanted) => {
                *wanted = !*wanted;
                let marked = match *wanted {
                    true => locker.mark_should_acquire(),
                    false => locker.mark_should_release(),
                };
                marked.expect("a locker");
            }
        }
    }

    pub fn close(&mut self) {
        if let Kind::Store(server) = &self.kind {
            server.store.close().expect("a close");
        }
        for session in &mut self.sessions {
            if let Handle::Locker(locker, wanted) = &mut session.handle {
                *wanted = false;
                locker.mark_should_release().expect("a locker");
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        match &self.kind {
            Kind::Store(server) => server.store.is_closed() == Ok(true),
            Kind::Spec(..) => self.sessions.is_empty(),
        }
    }

    /// A profile hears everything up to `Finished`, once and last.
    pub fn check_told(&self, seed: u64) {
        for told in self.told.values() {
            let count = |wanted| {
                told.iter()
                    .filter(|status| **status == Some(wanted))
                    .count()
            };
            assert_eq!(count(Status::Finished), 1, "seed {seed}: {told:?}");
            assert_eq!(count(Status::Destroyed), 1, "seed {seed}: {told:?}");
            assert_eq!(told.last(), Some(&Some(Status::Finished)), "seed {seed}");
        }
    }
}

impl Session {
    pub fn data(&self) -> &Arc<SharedSaveData> {
        match &self.handle {
            Handle::Profile(profile) => profile.save_data(),
            Handle::Locker(locker, _) => locker.save_data(),
        }
    }

    pub fn status(&self) -> LoadStatus {
        let status = match &self.handle {
            Handle::Profile(profile) => profile.load_status(),
            Handle::Locker(locker, _) => locker.load_status(),
        };
        status.expect("a live session")
    }

    pub fn is_available(&self) -> bool {
        let available = match &self.handle {
            Handle::Profile(profile) => profile.is_available(),
            Handle::Locker(locker, _) => locker.is_available(),
        };
        available.expect("a live session")
    }

    /// Loaded, waiting for another's session, or done: nothing that a fault could keep up.
    pub fn is_settled(&self) -> bool {
        let status = self.status();
        let is_idle = match &self.handle {
            Handle::Locker(locker, false) => locker.is_idle().expect("a locker"),
            _ => false,
        };
        is_idle
            || status.is_final()
            || matches!(status, LoadStatus::Loaded | LoadStatus::SessionIsLocked)
    }

    pub fn mark_force_save(&self) {
        let marked = match &self.handle {
            Handle::Profile(profile) => profile.mark_force_save(),
            Handle::Locker(locker, _) => locker.mark_force_save(),
        };
        marked.expect("a live session");
    }

    pub fn when_changes_saved(&self, callback: SavedCallback) -> SavedConnection {
        let wait = match &self.handle {
            Handle::Profile(profile) => profile.when_changes_saved(Some(callback)),
            Handle::Locker(locker, _) => locker.when_changes_saved(Some(callback)),
        };
        wait.expect("a live session")
    }
}
