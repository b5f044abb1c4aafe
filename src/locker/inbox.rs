//! The inbox of a session: remote changes are offered to the host, and what the host wrote before
//! the load is merged into what was loaded.
//!
//! An entry leaves the inbox in the same state of the document that shows its effect, so one commit
//! holds both. What was applied is remembered until a commit without the entry is known to be
//! stored: a document fetched before that does not bring it back. Loading goes on, and the session
//! lasts, whatever the host's hooks do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::save_data::{RemoteChange, RemoteChangeId, Reserved, SaveData};

use super::event::{Activity, ErrorReport, Lifecycle, LoadStatus, Reason, SaveOutcome};
use super::hold::{Held, Step};
use super::shared_data::{HookAnswer, SharedSaveData};
use super::state::{Context, HookCall, LockerState, Phase};

/// How many changes are offered for one grant. Each counts as a request of the update's budget, so
/// a smaller number lets others have their turn sooner.
const CHANGES_AT_ONCE: usize = 16;

/// Which of the hooks around the inbox a host has. What it has not costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InboxHooks {
    pub remote_change: bool,
    pub merge_offline: bool,
}

/// A change to be offered, and its place in the inbox.
#[derive(Debug)]
pub(crate) struct Offer {
    at: usize,
    change: RemoteChange,
}

/// An offer, and what the host's hook made of it.
#[derive(Debug)]
pub(crate) struct Offered {
    offer: Offer,
    result: Result<HookAnswer, String>,
}

/// What a session knows of the entries of its document's inbox.
#[derive(Debug)]
pub(super) struct Inbox {
    /// One for each entry, in their order.
    standings: Vec<Standing>,
    /// How many of them are new.
    new: usize,
    /// When the first of those that failed is due; infinite without one.
    retry_at: f64,
    /// What was applied and may still stand in the stored document. Nothing is offered while a commit is
    /// under way or of unknown fate, so every commit is without all of these.
    applied: Vec<RemoteChangeId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    /// Not offered yet.
    New,
    /// The host does not know its kind; it stays until the next load.
    Unknown,
    /// It failed, and is offered again from then on.
    Failed { until: f64 },
}

impl Inbox {
    /// That of a document just loaded.
    pub fn new(entries: usize) -> Self {
        Self {
            standings: vec![Standing::New; entries],
            new: entries,
            retry_at: f64::INFINITY,
            applied: Vec::new(),
        }
    }

    pub fn retry_at(&self) -> f64 {
        self.retry_at
    }

    /// A save is known to be stored.
    pub fn stored(&mut self) {
        self.applied = Vec::new();
    }

    /// The inbox as it goes on: what the stored document has of it, without what was applied. Senders
    /// only append, so what both have stands in the same order, before what is new. Ids that are
    /// there twice, as the original library may have drawn them, are told apart by the entries' text.
    fn take_over(&mut self, stored: &[RemoteChange], known: &[RemoteChange]) -> Vec<RemoteChange> {
        let mut applied: HashMap<&RemoteChangeId, usize> = HashMap::new();
        for id in &self.applied {
            *applied.entry(id).or_default() += 1;
        }
        let mut known = known.iter().zip(&self.standings).peekable();
        let (mut changes, mut standings) = (Vec::new(), Vec::new());
        for change in stored {
            let standing = match known.next_if(|(known, _)| known.json() == change.json()) {
                Some((_, standing)) => *standing,
                None => match applied.get_mut(change.id()) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        continue;
                    }
                    _ => Standing::New,
                },
            };
            changes.push(change.clone());
            standings.push(standing);
        }
        self.standings = standings;
        self.count();
        changes
    }

    /// Those that failed long enough ago count as new again.
    fn revive(&mut self, now: f64) {
        if now < self.retry_at {
            return;
        }
        for standing in &mut self.standings {
            if matches!(standing, Standing::Failed { until } if *until <= now) {
                *standing = Standing::New;
            }
        }
        self.count();
    }

    /// The oldest ones that are new.
    fn next(&self, changes: &[RemoteChange]) -> Vec<Offer> {
        let places = self.standings.iter().enumerate();
        let new = places.filter(|(_, standing)| **standing == Standing::New);
        let offer = |(at, _)| Offer {
            at,
            change: changes[at].clone(),
        };
        new.take(CHANGES_AT_ONCE).map(offer).collect()
    }

    /// Notes what has come of offers, in their order; what was applied has left the document.
    fn note(&mut self, offered: Vec<Offered>, until: f64) {
        // From the last to the first, so that the places before stay right.
        for Offered { offer, result } in offered.into_iter().rev() {
            self.standings[offer.at] = match result {
                Ok(HookAnswer::Applied) => {
                    self.standings.remove(offer.at);
                    self.applied.push(offer.change.id().clone());
                    continue;
                }
                Ok(HookAnswer::NotApplicable) => Standing::Unknown,
                Err(_) => Standing::Failed { until },
            };
        }
        self.count();
    }

    fn count(&mut self) {
        (self.new, self.retry_at) = (0, f64::INFINITY);
        for standing in &self.standings {
            match standing {
                Standing::New => self.new += 1,
                Standing::Unknown => {}
                Standing::Failed { until } => self.retry_at = self.retry_at.min(*until),
            }
        }
    }
}

impl Offer {
    /// Names the change to a person.
    fn name(&self) -> String {
        match self.change.id() {
            RemoteChangeId::Number(id) => format!("{} {id}", self.change.kind()),
            RemoteChangeId::Text(id) => format!("{} {id}", self.change.kind()),
        }
    }
}

/// Offers changes to the host, in their order. Each is undone or leaves the inbox by itself.
pub(super) fn run_offers(
    offers: Vec<Offer>,
    data: &SharedSaveData,
    hook: impl Fn(&RemoteChange) -> Result<HookAnswer, String>,
) -> Vec<Offered> {
    let mut left = 0;
    let offer = |offer: Offer| {
        let at = offer.at - left;
        let result = data.with_restorable_hook(
            || hook(&offer.change),
            |data, result| {
                if *result == Ok(HookAnswer::Applied) {
                    data.reserved_mut().remote_changes.remove(at);
                }
            },
        );
        left += usize::from(result == Ok(HookAnswer::Applied));
        Offered { offer, result }
    };
    offers.into_iter().map(offer).collect()
}

/// Forgets up to where changes were received from senders that can no longer be sending them.
pub(super) fn prune_received(reserved: &mut Reserved, cx: &Context<'_>) {
    // Whichever clock is behind.
    reserved.prune_received(cx.wall.min(cx.stamp()));
}

impl LockerState {
    /// The draft takes the place of the save data. The host hears of it at once, or when its hooks
    /// around the inbox have had their say.
    pub(super) fn load(&mut self, draft: SaveData, cx: &Context<'_>) {
        let entries = draft.reserved().remote_changes.len();
        let offline = self.replace_data(draft);
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        let hooks = cx.inbox_hooks;
        held.inbox = hooks.remote_change.then(|| Box::new(Inbox::new(entries)));
        held.offline = offline.filter(|_| hooks.merge_offline).map(Box::new);
        if held.offline.is_none() && !held.has_new_changes() {
            self.tell_loaded();
        }
    }

    /// Nothing else is to be done: offers what is new, and what failed before the cooldown.
    pub(super) fn evaluate_inbox(&mut self, cx: &Context<'_>) {
        let is_loading = !self.is_loaded();
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        // The load takes each change once, and is then over.
        if let Some(inbox) = held.inbox.as_mut().filter(|_| !is_loading) {
            inbox.revive(cx.at.now);
        }
        if held.has_new_changes() {
            held.step = Step::OfferQueued;
        } else if let Some(offline) = held.offline.take() {
            let data = Arc::clone(&self.data);
            let hook = self.call_hook(HookCall::MergeOffline(data, offline));
            self.hold_step(Step::Merging { hook });
        } else if is_loading {
            self.tell_loaded();
        }
    }

    /// The grant for a few offers has come.
    pub(super) fn offer_changes(&mut self) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        let Some(inbox) = &held.inbox else { return };
        let offers = self
            .data
            .with(|data, _| inbox.next(&data.reserved().remote_changes));
        self.log(|_| format!("offers {} remote changes", offers.len()));
        let hook = self.call_hook(HookCall::Offer(Arc::clone(&self.data), offers));
        self.hold_step(Step::Offering { hook });
    }

    pub(super) fn changes_offered(&mut self, offered: Vec<Offered>, cx: &Context<'_>) {
        for Offered { offer, result } in &offered {
            match result {
                // Even if nothing else has changed, the entry is to leave the stored inbox.
                Ok(HookAnswer::Applied) => self.marks += 1,
                Ok(HookAnswer::NotApplicable) => {}
                Err(message) => {
                    let message = format!("{}: {message}", offer.name());
                    self.report(ErrorReport::script(Activity::RemoteChange, message));
                }
            }
        }
        let until = cx.at.now + cx.config.session_retry_cooldown;
        if let Phase::Held(held) = &mut self.phase {
            held.step = Step::Resting;
            if let Some(inbox) = &mut held.inbox {
                inbox.note(offered, until);
            }
        }
    }

    pub(super) fn offline_merged(&mut self, result: Result<(), String>) {
        if let Err(message) = result {
            self.report(ErrorReport::script(Activity::Merge, message));
        }
        self.hold_step(Step::Resting);
    }

    /// What senders have put into the stored document meanwhile.
    pub(super) fn take_over(&mut self, found: &Reserved) {
        let Phase::Held(held) = &mut self.phase else {
            return;
        };
        self.data.with(|data, _| {
            let reserved = data.reserved_mut();
            reserved.received.clone_from(&found.received);
            reserved.remote_changes = match &mut held.inbox {
                Some(inbox) => inbox.take_over(&found.remote_changes, &reserved.remote_changes),
                None => found.remote_changes.clone(),
            };
        });
    }

    fn tell_loaded(&mut self) {
        self.emit_lifecycle(Lifecycle::Replaced(Reason::Loaded));
        self.set_status(LoadStatus::Loaded);
        let saved = self.saved;
        self.answer_waiters(|target| (target <= saved).then_some(SaveOutcome::Saved));
    }
}

impl Held {
    fn has_new_changes(&self) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| inbox.new > 0)
    }
}
