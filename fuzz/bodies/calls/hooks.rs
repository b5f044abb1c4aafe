//! The host's callbacks. Each checks what it is given, does a few steps of its own, and fails if its frame
//! says so.

use std::ffi::{c_char, c_void};

use session_locker::ffi::*;

use super::arguments::{Text, lent_bytes, lent_text, number};
use super::check::{Begun, TEXT, call};
use super::script::Frame;
use super::steps::step;
use super::world::{Kind, NOTHING, Token, next_frame, pick, world};

/// Callbacks inside callbacks inside callbacks do nothing of their own.
const DEEPEST: usize = 3;

/// A callback that runs.
pub struct Inside {
    pub frame: Frame,
}

impl Inside {
    /// A callback with this `user_data` has been called, and does what it does. `drafts` are handles
    /// that live until it returns.
    pub fn enter(user_data: *mut c_void, drafts: &[*mut SlSaveData]) -> Self {
        Self::begin(user_data, drafts, None)
    }

    /// The same for one that is undone if it fails: it may write to no session's document but to that
    /// behind its own key.
    fn enter_restorable(
        user_data: *mut c_void,
        drafts: &[*mut SlSaveData],
        own_key: Vec<u8>,
    ) -> Self {
        Self::begin(user_data, drafts, Some(own_key))
    }

    fn begin(user_data: *mut c_void, drafts: &[*mut SlSaveData], owned: Option<Vec<u8>>) -> Self {
        let token = Token::of(user_data);
        let is_deep = world(|world| {
            let handed = &world.handed[token.0];
            assert_eq!(handed.drops, 0, "called after its drop: {handed:?}");
            assert_ne!(handed.is_accepted, Some(false), "refused: {handed:?}");
            world.callbacks += 1;
            world.depth += 1;
            world.owned.push(owned);
            world.depth > DEEPEST
        });
        let mut frame = next_frame();
        let new: Vec<usize> = drafts
            .iter()
            .map(|draft| draft.addr())
            .filter(|draft| world(|world| world.find(Kind::SaveData, *draft)).is_none())
            .collect();
        for draft in &new {
            world(|world| world.keep(Kind::SaveData, *draft, 0, NOTHING));
        }
        let steps = frame.one_of(&[0, 0, 1, 0, 2, 0, 1, 3]);
        for _ in 0..if is_deep { 0 } else { steps } {
            step();
        }
        world(|world| {
            new.into_iter().for_each(|draft| world.bury(draft));
            world.depth -= 1;
            world.owned.pop();
        });
        Self { frame }
    }

    /// What the callback returns: mostly success.
    pub fn status(mut self) -> SlStatus {
        let frame = &mut self.frame;
        match frame.byte() {
            0..=159 => SL_OK,
            160..=183 => SL_ERROR_NOT_APPLICABLE,
            184..=199 => SL_ERROR_NOT_ACTIVE,
            200..=223 => {
                let text = Text::draw(frame, &["told to fail"]);
                call!(session_locker_set_hook_error(; text.data(), text.length();) or &[TEXT]);
                SL_ERROR_HOOK
            }
            224..=239 => SL_ERROR_BUSY,
            _ => frame.draw(),
        }
    }
}

/// An answer that is told once.
fn answered(user_data: *mut c_void) {
    let token = Token::of(user_data);
    world(|world| {
        let handed = &mut world.handed[token.0];
        handed.answers += 1;
        assert_eq!(handed.answers, 1, "told twice: {handed:?}");
    });
}

/// A handle that is told is one that the host has, or NULL.
fn is_known(kind: Kind, address: usize) {
    let known = world(|world| world.find(kind, address));
    assert!(
        address == 0 || known.is_some(),
        "a {kind:?} that nobody has"
    );
}

fn look_at_event(event: *const SlEvent) {
    // SAFETY: the library lends an event.
    told_event(unsafe { &*event });
}

/// An event says nothing that cannot be.
pub fn told_event(event: &SlEvent) {
    assert!((SL_EVENT_LIFECYCLE..=SL_EVENT_REMOTE_CHANGES_SENT).contains(&event.kind));
    assert!((0..=SL_LIFECYCLE_FINISHED).contains(&event.lifecycle));
    assert!((SL_REASON_NONE..=SL_REASON_LOST).contains(&event.reason));
    assert!((SL_LOAD_STATUS_LOADING..=SL_LOAD_STATUS_ERASED).contains(&event.load_status));
    assert!((0..=SL_ACTIVITY_SEND).contains(&event.activity));
    assert!((SL_OUTCOME_NONE..=SL_SEND_CORRUPT_DATA).contains(&event.outcome));
    assert_eq!((event.reserved, event.reserved_for_later), (0, [0; 6]));
    assert!(!lent_text(event.key).is_empty());
    lent_text(event.text);
    is_known(Kind::Profile, event.profile.addr());
    is_known(Kind::Locker, event.locker.addr());
    // A wait is not looked for: it may be answered inside the call that is about to give its handle.
}

pub unsafe extern "C" fn end(user_data: *mut c_void) {
    let token = Token::of(user_data);
    world(|world| world.end_storage(token.0));
    Inside::enter(user_data, &[]);
    world(|world| {
        let handed = &mut world.handed[token.0];
        handed.drops += 1;
        assert!(
            handed.has_drop && handed.drops == 1,
            "dropped twice: {handed:?}"
        );
    });
}

pub unsafe extern "C" fn migrate(
    user_data: *mut c_void,
    data: *mut SlSaveData,
    version_patch: *mut f64,
) -> SlStatus {
    let mut inside = Inside::enter(user_data, &[data]);
    if inside.frame.seldom(4) {
        // SAFETY: the library lends a place for the result.
        unsafe { *version_patch = number(&mut inside.frame) };
    }
    inside.status()
}

pub unsafe extern "C" fn create(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    data: *mut SlSaveData,
) -> SlStatus {
    assert!((1..=512).contains(&lent_bytes(key, key_length).len()));
    Inside::enter(user_data, &[data]).status()
}

pub unsafe extern "C" fn event(user_data: *mut c_void, event: *const SlEvent) {
    look_at_event(event);
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn process_remote_change(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    data: *mut SlSaveData,
    change: *const c_char,
    change_length: usize,
) -> SlStatus {
    let key = lent_bytes(key, key_length);
    let change = lent_bytes(change, change_length);
    assert!(change.starts_with(b"{") && change.ends_with(b"}"));
    Inside::enter_restorable(user_data, &[data], key).status()
}

pub unsafe extern "C" fn merge(
    user_data: *mut c_void,
    key: *const c_char,
    key_length: usize,
    offline: *mut SlSaveData,
    data: *mut SlSaveData,
) -> SlStatus {
    let key = lent_bytes(key, key_length);
    Inside::enter_restorable(user_data, &[offline, data], key).status()
}

pub unsafe extern "C" fn report(user_data: *mut c_void, report: *const SlErrorReport) {
    // SAFETY: the library lends a report.
    let report = unsafe { &*report };
    assert!((SL_ACTIVITY_LOAD..=SL_ACTIVITY_SEND).contains(&report.activity));
    for text in [
        report.log_prefix,
        report.key,
        report.message,
        report.filtered_message,
    ] {
        lent_text(text);
    }
    for at in 0..report.user_id_count {
        // SAFETY: the array has so many.
        lent_text(unsafe { *report.user_ids.add(at) });
    }
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn saved(user_data: *mut c_void, outcome: i32) {
    answered(user_data);
    assert!((SL_OUTCOME_NOT_SAVED..=SL_OUTCOME_UNKNOWN).contains(&outcome));
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn loaded(user_data: *mut c_void, profile: *mut SlProfile) {
    answered(user_data);
    is_known(Kind::Profile, profile.addr());
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn signal(
    user_data: *mut c_void,
    profile: *mut SlProfile,
    event: *const SlEvent,
) {
    look_at_event(event);
    is_known(Kind::Profile, profile.addr());
    Inside::enter(user_data, &[]);
}

/// A signal that is heard once.
pub unsafe extern "C" fn one_signal(
    user_data: *mut c_void,
    profile: *mut SlProfile,
    event: *const SlEvent,
) {
    answered(user_data);
    look_at_event(event);
    is_known(Kind::Profile, profile.addr());
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn before_save(user_data: *mut c_void, profile: *mut SlProfile) -> SlStatus {
    is_known(Kind::Profile, profile.addr());
    Inside::enter(user_data, &[]).status()
}

pub unsafe extern "C" fn locker_before_save(
    user_data: *mut c_void,
    locker: *mut SlLocker,
) -> SlStatus {
    is_known(Kind::Locker, locker.addr());
    Inside::enter(user_data, &[]).status()
}

pub unsafe extern "C" fn sent(user_data: *mut c_void, send_id: u64, outcome: i32) {
    answered(user_data);
    assert_ne!(send_id, 0);
    assert!((SL_SEND_SENT..=SL_SEND_CORRUPT_DATA).contains(&outcome));
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn purchased(user_data: *mut c_void, is_granted: i32) {
    answered(user_data);
    assert!((0..=1).contains(&is_granted));
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn process(
    user_data: *mut c_void,
    op: SlProductOp,
    call: *mut SlProductCall,
) -> SlStatus {
    // SAFETY: the library lends a call, which may be written to.
    let call = unsafe { &mut *call };
    assert_eq!(call.struct_size as usize, size_of::<SlProductCall>());
    assert!((SL_PRODUCT_OP_VALIDATE..=SL_PRODUCT_OP_RECORD).contains(&op));
    assert_eq!(call.save_data.is_null(), op == SL_PRODUCT_OP_VALIDATE);
    is_known(Kind::Profile, call.profile.addr());
    is_known(Kind::Locker, call.locker.addr());
    // SAFETY: the library lends the receipt.
    let receipt = unsafe { &*call.receipt };
    lent_bytes(receipt.purchase_id, receipt.purchase_id_length);
    lent_bytes(receipt.user_id, receipt.user_id_length);
    let mut inside = match op {
        SL_PRODUCT_OP_VALIDATE => Inside::enter_restorable(user_data, &[], Vec::new()),
        _ => Inside::enter(user_data, &[call.save_data]),
    };
    let frame = &mut inside.frame;
    if op == SL_PRODUCT_OP_VALIDATE && frame.seldom(2) {
        if frame.seldom(3) || !call.locker.is_null() {
            call.recipient_locker = pick::<SlLocker>(frame).pointer();
        } else {
            call.recipient_profile = pick::<SlProfile>(frame).pointer();
        }
    }
    let status = inside.status();
    if op == SL_PRODUCT_OP_APPLY && status != SL_OK && status != SL_ERROR_NOT_APPLICABLE {
        world(|world| {
            let running = world.running.last_mut().expect("a call that has begun");
            running.has_not_applied = true;
        });
    }
    status
}

pub unsafe extern "C" fn log(
    user_data: *mut c_void,
    level: i32,
    message: *const c_char,
    message_length: usize,
) {
    assert!((SL_LOG_DEBUG..=SL_LOG_ERROR).contains(&level));
    let message = lent_bytes(message, message_length);
    assert!(String::from_utf8(message).is_ok());
    Inside::enter(user_data, &[]);
}

pub unsafe extern "C" fn wall(_: *mut c_void) -> f64 {
    world(|world| world.wall())
}

pub unsafe extern "C" fn monotonic(_: *mut c_void) -> f64 {
    world(|world| world.now)
}

/// A machine that is slow to wake up, so that a long wait takes few turns.
pub unsafe extern "C" fn sleep(_: *mut c_void, seconds: f64) {
    assert!((0.0..=10.0).contains(&seconds));
    world(|world| world.now += seconds.max(2.0));
}
