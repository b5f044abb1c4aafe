//! Steps on profiles, their signals and waits.

use session_locker::ffi::*;

use super::arguments::{Buffer, IDS, JSON, Out, Text, integer, number};
use super::check::{ARGUMENT, Begun, TEXT, WRITE, call};
use super::hooks;
use super::on_save_data::{destroyed, ending, keep_lent, kept};
use super::on_store::finite;
use super::script::Frame;
use super::steps::Step;
use super::world::{Kind, NOTHING, Picked, Token, pick, world};

pub const STEPS: &[Step] = &[
    get_key,
    is_active,
    is_loaded,
    is_available,
    load_status,
    minimum_version,
    is_finished,
    lost_save_data,
    save_data,
    save_data_json,
    set_save_data_json,
    mark_should_save,
    mark_force_save,
    when_changes_saved,
    wait_until_changes_saved,
    when_loaded,
    wait_until_loaded,
    connect,
    connect_once,
    set_log_prefix,
    set_before_save,
    set_before_save_transform,
    end_session,
    destroy,
    is_saved,
    is_connected,
    outcome,
    trigger,
    disconnect,
    destroy_wait,
    disconnect_signal,
    credit_query,
    credit_give,
    credit_use,
];

const NOT_ACTIVE: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_ACTIVE];

fn get_key(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut key = Out::<Buffer>::draw(frame);
    let status = call!(profile_get_key(profile;; key) or &[ARGUMENT]);
    key.text(status);
}

fn is_active(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut is_active = Out::<i32>::draw(frame);
    call!(profile_is_active(profile;; is_active) or &[ARGUMENT]);
}

fn is_loaded(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut is_loaded = Out::<i32>::draw(frame);
    call!(profile_is_loaded(profile;; is_loaded) or &[ARGUMENT]);
}

fn is_available(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut is_available = Out::<i32>::draw(frame);
    call!(profile_is_available(profile;; is_available) or &[ARGUMENT]);
}

fn load_status(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut load_status = Out::<i32>::draw(frame);
    let status = call!(profile_load_status(profile;; load_status) or &[NOT_ACTIVE]);
    let statuses = SL_LOAD_STATUS_LOADING..=SL_LOAD_STATUS_ERASED;
    assert!(
        load_status
            .value(status)
            .is_none_or(|told| statuses.contains(&told))
    );
}

fn minimum_version(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut version = Out::<u32>::draw(frame);
    call!(profile_load_minimum_server_version(profile;; version) or &[NOT_ACTIVE]);
}

fn is_finished(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut is_finished = Out::<i32>::draw(frame);
    call!(profile_is_finished(profile;; is_finished) or &[ARGUMENT]);
}

fn lost_save_data(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut json = Out::<Buffer>::draw(frame);
    let status = call!(profile_get_lost_save_data(profile;; json)
        or &[NOT_ACTIVE, &[SL_ERROR_NOT_FOUND]]);
    json.text(status);
}

pub fn save_data(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut data = Out::<*mut SlSaveData>::draw(frame);
    let status = call!(profile_get_save_data(profile;; data) or &[ARGUMENT]);
    keep_lent(&data, status, profile.address);
}

fn save_data_json(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let mut json = Out::<Buffer>::draw(frame);
    let status = call!(profile_get_save_data_json(profile;; json) or &[ARGUMENT]);
    json.text(status);
}

fn set_save_data_json(frame: &mut Frame) {
    let (profile, json) = (pick::<SlProfile>(frame), Text::draw(frame, &JSON));
    call!(profile_set_save_data_json(profile; json.data(), json.length();) or &[WRITE]);
}

fn mark_should_save(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    call!(profile_mark_should_save(profile;;) or &[&[SL_ERROR_NOT_ACTIVE]]);
}

fn mark_force_save(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    call!(profile_mark_force_save(profile;;) or &[&[SL_ERROR_NOT_ACTIVE]]);
}

/// Of every wait for changes.
pub const WAIT: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_OUT_OF_RANGE,
    SL_ERROR_TIMEOUT,
    SL_ERROR_BUSY,
    SL_ERROR_NOT_ACTIVE,
];

pub fn when_changes_saved(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let is_heard = !frame.seldom(4);
    let token = Token::new("a wait", true, is_heard);
    let callback: SlSavedCallback = is_heard.then_some(hooks::saved as _);
    let mut wait = Out::<*mut SlSavedConnection>::maybe(frame);
    let status = call!(profile_when_changes_saved(profile; callback, token.user_data(),
        Some(hooks::end); wait) or &[&[SL_ERROR_NOT_ACTIVE, SL_ERROR_LIMIT]]);
    token.settle(status == SL_OK);
    kept(&wait, status, 0, token.0);
}

fn wait_until_changes_saved(frame: &mut Frame) {
    let (profile, timeout) = (pick::<SlProfile>(frame), finite(number(frame)));
    let mut was_saved = Out::<i32>::draw(frame);
    call!(profile_wait_until_changes_saved(profile; timeout; was_saved) or &[WAIT]);
}

fn when_loaded(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let token = Token::new("a load", true, false);
    let callback: SlLoadedCallback = (!frame.seldom(32)).then_some(hooks::loaded as _);
    let status = call!(profile_when_loaded(profile; callback, token.user_data(),
        Some(hooks::end);) or &[NOT_ACTIVE, &[SL_ERROR_LIMIT]]);
    token.settle(status == SL_OK);
}

fn wait_until_loaded(frame: &mut Frame) {
    let (profile, timeout) = (pick::<SlProfile>(frame), finite(number(frame)));
    call!(profile_wait_until_loaded(profile; timeout;)
        or &[&[SL_ERROR_OUT_OF_RANGE, SL_ERROR_TIMEOUT, SL_ERROR_NOT_ACTIVE, SL_ERROR_NOT_LOADED,
            SL_ERROR_BUSY]]);
}

pub fn connect(frame: &mut Frame) {
    let (profile, signal) = (pick::<SlProfile>(frame), i32::from(frame.byte() % 12));
    let token = Token::new("a signal", true, false);
    let callback: SlSignalCallback = (!frame.seldom(32)).then_some(hooks::signal as _);
    let mut connection = Out::<*mut SlSignalConnection>::maybe(frame);
    let status = call!(profile_connect(profile; signal, callback, token.user_data(),
        Some(hooks::end); connection) or &[NOT_ACTIVE, &[SL_ERROR_LIMIT]]);
    token.settle(status == SL_OK);
    kept(&connection, status, profile.address, token.0);
}

fn connect_once(frame: &mut Frame) {
    let (profile, signal) = (pick::<SlProfile>(frame), i32::from(frame.byte() % 12));
    let token = Token::new("one signal", true, false);
    let callback: SlSignalCallback = (!frame.seldom(32)).then_some(hooks::one_signal as _);
    let mut connection = Out::<*mut SlSignalConnection>::maybe(frame);
    let status = call!(profile_connect_once(profile; signal, callback, token.user_data(),
        Some(hooks::end); connection) or &[NOT_ACTIVE, &[SL_ERROR_LIMIT]]);
    token.settle(status == SL_OK);
    kept(&connection, status, profile.address, token.0);
}

fn set_log_prefix(frame: &mut Frame) {
    let (profile, prefix) = (pick::<SlProfile>(frame), Text::draw(frame, &IDS));
    call!(profile_set_log_prefix(profile; prefix.data(), prefix.length();)
        or &[TEXT, &[SL_ERROR_NOT_ACTIVE]]);
}

fn set_before_save(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let token = Token::new("a hook", true, false);
    let hook: SlBeforeSave = (!frame.seldom(4)).then_some(hooks::before_save as _);
    let status = call!(profile_set_before_save(profile; hook, token.user_data(),
        Some(hooks::end);) or &[&[SL_ERROR_NOT_ACTIVE]]);
    token.settle(status == SL_OK);
}

fn set_before_save_transform(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    let token = Token::new("a transform hook", true, false);
    let hook: SlBeforeSave = (!frame.seldom(4)).then_some(hooks::before_save as _);
    let status = call!(profile_set_before_save_transform(profile; hook, token.user_data(),
        Some(hooks::end);) or &[&[SL_ERROR_NOT_ACTIVE]]);
    token.settle(status == SL_OK);
}

fn end_session(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    call!(profile_end_session(profile;;) or &[]);
}

pub fn destroy(frame: &mut Frame) {
    let profile = pick::<SlProfile>(frame);
    ending(&profile);
    let status = call!(profile_destroy(profile;;) or &[]);
    destroyed(&profile, status);
}

fn is_saved(frame: &mut Frame) {
    let wait = pick::<SlSavedConnection>(frame);
    let mut is_saved = Out::<i32>::draw(frame);
    call!(saved_connection_is_saved(wait;; is_saved) or &[ARGUMENT]);
}

fn is_connected(frame: &mut Frame) {
    let wait = pick::<SlSavedConnection>(frame);
    let mut is_connected = Out::<i32>::draw(frame);
    call!(saved_connection_is_connected(wait;; is_connected) or &[ARGUMENT]);
}

fn outcome(frame: &mut Frame) {
    let wait = pick::<SlSavedConnection>(frame);
    let mut outcome = Out::<i32>::draw(frame);
    call!(saved_connection_outcome(wait;; outcome) or &[ARGUMENT]);
}

fn trigger(frame: &mut Frame) {
    let (wait, was_saved) = (pick::<SlSavedConnection>(frame), integer(frame) as i32);
    call!(saved_connection_trigger(wait; was_saved;) or &[NOT_ACTIVE]);
}

/// The host does not want the answer any more.
fn given_up(wait: &Picked<SlSavedConnection>) {
    world(|world| {
        let known = world.find(Kind::Wait, wait.address);
        if let Some(known) = known.filter(|known| known.token != NOTHING) {
            world.handed[known.token].is_given_up = true;
        }
    });
}

fn disconnect(frame: &mut Frame) {
    let wait = pick::<SlSavedConnection>(frame);
    given_up(&wait);
    call!(saved_connection_disconnect(wait;;) or &[]);
}

pub fn destroy_wait(frame: &mut Frame) {
    let wait = pick::<SlSavedConnection>(frame);
    given_up(&wait);
    ending(&wait);
    let status = call!(saved_connection_destroy(wait;;) or &[]);
    destroyed(&wait, status);
}

pub fn disconnect_signal(frame: &mut Frame) {
    let connection = pick::<SlSignalConnection>(frame);
    ending(&connection);
    let status = call!(signal_connection_disconnect(connection;;) or &[]);
    destroyed(&connection, status);
}

/// Of every call on credit.
pub const CREDIT: &[SlStatus] = &[
    SL_ERROR_INVALID_ARGUMENT,
    SL_ERROR_NOT_LOADED,
    SL_ERROR_NOT_ACTIVE,
    SL_ERROR_OUT_OF_RANGE,
    SL_ERROR_BUSY,
];

fn credit_query(frame: &mut Frame) {
    let (profile, product) = (pick::<SlProfile>(frame), integer(frame));
    let mut credit = Out::<i64>::draw(frame);
    call!(profile_product_credit_query(profile; product; credit) or &[CREDIT]);
}

fn credit_give(frame: &mut Frame) {
    let (profile, product) = (pick::<SlProfile>(frame), integer(frame));
    let amount = integer(frame);
    call!(profile_product_credit_give(profile; product, amount;) or &[CREDIT]);
}

fn credit_use(frame: &mut Frame) {
    let (profile, product) = (pick::<SlProfile>(frame), integer(frame));
    let (amount, mut did_use) = (integer(frame), Out::<i32>::draw(frame));
    call!(profile_product_credit_use(profile; product, amount; did_use) or &[CREDIT]);
}
