//! Steps on stores.

use session_locker::ffi::*;

use super::arguments::{KEYS, Out, Struct, Text, number};
use super::check::{ARGUMENT, Begun, TEXT, call};
use super::hooks::{self, told_event};
use super::on_save_data::{destroyed, ending, kept};
use super::on_storage::{answers, no_stats, requests, texts_of};
use super::script::Frame;
use super::settings::{self, Kept, Options};
use super::steps::Step;
use super::world::{Handle, Kind, NOTHING, Picked, Token, pick, world};

/// What came later.
pub const LATER: &[Step] = &[stats];

pub const STEPS: &[Step] = &[
    create,
    start,
    start_reusable,
    update,
    poll,
    close,
    is_closed,
    drain,
    destroy,
    send,
    unsaved_count,
    unsaved,
    unsent_count,
    unsent,
    destroy_report,
];

pub fn create(frame: &mut Frame) {
    let storage = pick::<SlStorage>(frame);
    let mut kept_ = Kept::draw("a store", frame);
    let mut config = settings::of_store(&mut kept_);
    let mut store = Out::<*mut SlEasyStore>::draw(frame);
    let status = call!(easy_store_create(storage; config.place(); store) or &[TEXT, &[
        SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_JSON, SL_ERROR_WRONG_TYPE, SL_ERROR_TOO_LARGE]]);
    kept_.settle(status);
    kept(&store, status, 0, kept_.token.0);
}

/// Of every start.
const START: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_CLOSED,
    SL_ERROR_LIMIT,
];

pub fn start(frame: &mut Frame) {
    let (store, key) = (pick::<SlEasyStore>(frame), Text::draw(frame, &KEYS));
    let mut options = Options::draw(frame);
    let mut profile = Out::<*mut SlProfile>::draw(frame);
    let status = call!(easy_store_start_session(store; key.data(), key.length(), options.place();
        profile) or &[START]);
    kept(&profile, status, store.address, NOTHING);
}

fn start_reusable(frame: &mut Frame) {
    let (store, key) = (pick::<SlEasyStore>(frame), Text::draw(frame, &KEYS));
    let mut options = Options::draw(frame);
    let mut profile = Out::<*mut SlProfile>::draw(frame);
    let status = call!(easy_store_start_session_reusable(store; key.data(), key.length(),
        options.place(); profile) or &[START]);
    kept(&profile, status, store.address, NOTHING);
}

/// Lets some time pass, and gives the moment that the host believes it is.
pub fn moment(frame: &mut Frame) -> f64 {
    let passed = frame.one_of(&[0.0, 0.1, 1.0, 10.0, 40.0, 400.0, 2500.0, 90_000.0]);
    if frame.seldom(64) {
        world(|world| world.skew += passed - 5.0);
    }
    let now = world(|world| {
        world.now += passed;
        world.now
    });
    match frame.seldom(32) {
        true => frame.one_of(&NO_MOMENTS),
        false => now,
    }
}

/// Moments that are refused or past. One that is far in the future would be the last for good.
const NO_MOMENTS: [f64; 6] = [-1.0, f64::NAN, f64::INFINITY, 1.1e15, -1e15, 0.0];

/// Of every update.
pub const UPDATE: &[SlStatus] = &[SL_ERROR_OUT_OF_RANGE, SL_ERROR_BUSY];

pub fn update(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    let now = moment(frame);
    call!(easy_store_update(store; now;) or &[UPDATE]);
}

/// Polls with this function; the events say nothing that cannot be.
pub fn polled<T: Handle>(
    frame: &mut Frame,
    of: &Picked<T>,
    poll: impl FnOnce(&Picked<T>, *mut SlEvent, usize, &mut Out<usize>) -> SlStatus,
) {
    let capacity = frame.one_of(&[4, 1, 0, 64]);
    // SAFETY: integers, pointers and texts are all allowed to be 0.
    let mut events = vec![unsafe { std::mem::zeroed::<SlEvent>() }; capacity];
    let place = match frame.seldom(16) {
        true => std::ptr::null_mut(),
        false => events.as_mut_ptr(),
    };
    let mut count = Out::<usize>::draw(frame);
    let status = poll(of, place, capacity, &mut count);
    let told = count.value(status).unwrap_or(0);
    assert!(told <= capacity);
    events[..told].iter().for_each(told_event);
    assert!(events[told..].iter().all(|event| event.kind == 0));
}

pub fn poll(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    polled(
        frame,
        &store,
        |store, events, capacity, count| call!(easy_store_poll_event(store; events, capacity; count) or &[ARGUMENT]),
    );
}

fn close(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    call!(easy_store_close(store;;) or &[]);
}

pub fn is_closed(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    let mut is_closed = Out::<i32>::draw(frame);
    call!(easy_store_is_closed(store;; is_closed) or &[ARGUMENT]);
}

fn drain(frame: &mut Frame) {
    let (store, timeout) = (pick::<SlEasyStore>(frame), finite(number(frame)));
    let mut report = Out::<*mut SlDrainReport>::maybe(frame);
    let status = call!(easy_store_drain(store; timeout; report)
        or &[&[SL_ERROR_OUT_OF_RANGE, SL_ERROR_BUSY]]);
    kept(&report, status, 0, NOTHING);
}

/// How long a call may block: not for ever, for what it waits for may never come.
pub fn finite(timeout: f64) -> f64 {
    if timeout > 3000.0 { 3000.0 } else { timeout }
}

fn destroy(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    ending(&store);
    let status = call!(easy_store_destroy(store;;) or &[]);
    if status == SL_OK {
        world(|world| {
            for profile in world.all(Kind::Profile) {
                if profile.parent == store.address {
                    world.bury(profile.address);
                }
            }
        });
    }
    destroyed(&store, status);
}

/// Of every send.
pub const SEND: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_INVALID_UTF8,
    SL_ERROR_INVALID_JSON,
    SL_ERROR_WRONG_TYPE,
    SL_ERROR_NOT_FOUND,
    SL_ERROR_OUT_OF_RANGE,
    SL_ERROR_TOO_LARGE,
    SL_ERROR_LIMIT,
];

/// Remote changes, right and wrong.
pub const CHANGES: [&str; 6] = [
    r#"[{"K":"gold","amount":3}]"#,
    r#"[{"K":"a"},{"K":"b","I":5,"x":[1e2]}]"#,
    "[]",
    r#"[{"k":"no kind"}]"#,
    r#"[{"K":1e999}]"#,
    r#"{"K":"no list"}"#,
];

/// What a send may be given; without, NULL.
pub struct SendOptions {
    _id: Text,
    table: Option<Struct<SlSendOptions>>,
}

impl SendOptions {
    pub fn draw(frame: &mut Frame) -> Self {
        let (is_given, id) = (frame.seldom(3), Text::maybe(frame, &["once", "twice"]));
        let table = is_given.then(|| {
            let mut table = Struct::new(session_locker_send_options_init);
            let options = table.get();
            (options.operation_id, options.operation_id_length) = (id.data(), id.length());
            table.spoil_size(frame);
            table
        });
        Self { _id: id, table }
    }

    pub fn place(&mut self) -> *const SlSendOptions {
        let table = self.table.as_mut();
        table.map_or(std::ptr::null(), |table| table.place().cast_const())
    }
}

pub fn send(frame: &mut Frame) {
    let (store, key) = (pick::<SlEasyStore>(frame), Text::draw(frame, &KEYS));
    let (changes, mut options) = (Text::draw(frame, &CHANGES), SendOptions::draw(frame));
    let is_heard = !frame.seldom(4);
    let token = Token::new("a send", true, is_heard);
    let callback: SlSendCallback = is_heard.then_some(hooks::sent as _);
    let mut send_id = Out::<u64>::maybe(frame);
    let status = call!(easy_store_send_remote_changes(store; key.data(), key.length(),
        changes.data(), changes.length(), options.place(), callback, token.user_data(),
        Some(hooks::end); send_id) or &[SEND, &[SL_ERROR_CLOSED]]);
    token.settle(status == SL_OK);
}

fn unsaved_count(frame: &mut Frame) {
    let report = pick::<SlDrainReport>(frame);
    let mut count = Out::<usize>::draw(frame);
    call!(drain_report_unsaved_count(report;; count) or &[ARGUMENT]);
}

/// Of one key of a report.
const ONE: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE];

fn unsaved(frame: &mut Frame) {
    let (report, index) = (
        pick::<SlDrainReport>(frame),
        frame.one_of(&[0, 1, 2, usize::MAX]),
    );
    let nothing = SlText {
        data: std::ptr::null(),
        length: 0,
    };
    let mut unsaved = Struct::of(SlUnsaved {
        struct_size: 0,
        outcome: 0,
        key: nothing,
        reason: nothing,
    });
    unsaved.spoil(frame);
    let status = call!(drain_report_get_unsaved(report; index, unsaved.place();) or &[ONE]);
    if status == SL_OK {
        texts_of(&[unsaved.get().key, unsaved.get().reason]);
    }
}

/// Figures, which add up whatever has happened.
fn stats(frame: &mut Frame) {
    let store = pick::<SlEasyStore>(frame);
    let mut stats = no_stats();
    stats.spoil(frame);
    let status = call!(easy_store_get_stats(store; stats.place();) or &[ARGUMENT]);
    if status == SL_OK {
        let stats = stats.get();
        let elsewhere = stats.refused + stats.given_up + stats.in_flight;
        assert_eq!(requests(stats), answers(stats) + elsewhere, "{stats:?}");
        assert_eq!(stats.refused, 0);
    }
}

fn unsent_count(frame: &mut Frame) {
    let report = pick::<SlDrainReport>(frame);
    let mut count = Out::<usize>::draw(frame);
    call!(drain_report_unsent_count(report;; count) or &[ARGUMENT]);
}

fn unsent(frame: &mut Frame) {
    let (report, index) = (
        pick::<SlDrainReport>(frame),
        frame.one_of(&[0, 1, 2, usize::MAX]),
    );
    let nothing = SlText {
        data: std::ptr::null(),
        length: 0,
    };
    let mut unsent = Struct::of(SlUnsent {
        struct_size: 0,
        outcome: 0,
        key: nothing,
        reason: nothing,
        change_count: 0,
    });
    unsent.spoil(frame);
    let status = call!(drain_report_get_unsent(report; index, unsent.place();) or &[ONE]);
    if status == SL_OK {
        texts_of(&[unsent.get().key, unsent.get().reason]);
    }
}

fn destroy_report(frame: &mut Frame) {
    let report = pick::<SlDrainReport>(frame);
    ending(&report);
    let status = call!(drain_report_destroy(report;;) or &[]);
    destroyed(&report, status);
}
