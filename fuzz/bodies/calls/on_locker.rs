//! Steps on specs, lockers and senders.

use session_locker::ffi::*;

use super::arguments::{Buffer, IDS, JSON, KEYS, Out, Struct, Text, integer, number};
use super::check::{ARGUMENT, Begun, TEXT, WRITE, call};
use super::hooks;
use super::on_profile::{CREDIT, WAIT};
use super::on_save_data::{destroyed, ending, keep_lent, kept};
use super::on_store::{CHANGES, SEND, SendOptions, UPDATE, finite, moment, polled};
use super::script::Frame;
use super::settings::{self, Kept, Options};
use super::steps::Step;
use super::world::{NOTHING, Picked, Token, pick, world};

pub const STEPS: &[Step] = &[
    create_spec,
    destroy_spec,
    query_config,
    create,
    create_player,
    update,
    poll,
    get_key,
    mark_should_acquire,
    mark_should_release,
    mark_should_save,
    mark_force_save,
    set_log_prefix,
    mark_deleted,
    destroy,
    load_status,
    minimum_version,
    is_idling,
    is_deleted,
    set_is_syncing,
    is_syncing,
    is_available,
    save_data,
    save_data_json,
    set_save_data_json,
    lost_save_data,
    when_changes_saved,
    wait_until_changes_saved,
    credit_query,
    credit_give,
    credit_use,
    create_sender,
    destroy_sender,
    update_sender,
    poll_sender,
    is_sending,
    send,
];

pub fn create_spec(frame: &mut Frame) {
    let storage = pick::<SlStorage>(frame);
    let mut kept_ = Kept::draw("a spec", frame);
    let mut config = settings::of_spec(&mut kept_);
    let mut spec = Out::<*mut SlLockerSpec>::draw(frame);
    let status = call!(locker_spec_create(storage; config.place(); spec) or &[TEXT, &[
        SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_JSON, SL_ERROR_WRONG_TYPE, SL_ERROR_TOO_LARGE]]);
    kept_.settle(status);
    kept(&spec, status, 0, kept_.token.0);
}

fn destroy_spec(frame: &mut Frame) {
    let spec = pick::<SlLockerSpec>(frame);
    ending(&spec);
    let status = call!(locker_spec_destroy(spec;;) or &[]);
    destroyed(&spec, status);
}

fn query_config(frame: &mut Frame) {
    let (spec, config_value) = (pick::<SlLockerSpec>(frame), integer(frame) as i32);
    let mut value = Out::<f64>::draw(frame);
    call!(locker_spec_query_config(spec; config_value; value) or &[ARGUMENT]);
}

pub fn create(frame: &mut Frame) {
    let (spec, key) = (pick::<SlLockerSpec>(frame), Text::draw(frame, &KEYS));
    let mut options = Options::draw(frame);
    let mut locker = Out::<*mut SlLocker>::draw(frame);
    let status = call!(locker_create(spec; key.data(), key.length(), options.place(); locker)
        or &[TEXT, &[SL_ERROR_LIMIT]]);
    kept(&locker, status, 0, NOTHING);
}

fn create_player(frame: &mut Frame) {
    let (spec, id) = (pick::<SlLockerSpec>(frame), Text::draw(frame, &IDS));
    let mut options = Options::draw(frame);
    let mut locker = Out::<*mut SlLocker>::draw(frame);
    let status = call!(locker_create_player(spec; id.data(), id.length(), options.place(); locker)
        or &[TEXT, &[SL_ERROR_LIMIT]]);
    kept(&locker, status, 0, NOTHING);
}

pub fn update(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let (now, mut should_remove) = (moment(frame), Out::<i32>::draw(frame));
    call!(locker_update(locker; now; should_remove)
        or &[UPDATE, ARGUMENT, &[SL_ERROR_NOT_ACTIVE]]);
}

fn poll(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    polled(
        frame,
        &locker,
        |locker, events, capacity, count| call!(locker_poll_event(locker; events, capacity; count) or &[ARGUMENT]),
    );
}

fn get_key(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut key = Out::<Buffer>::draw(frame);
    let status = call!(locker_get_key(locker;; key) or &[ARGUMENT]);
    key.text(status);
}

/// The use keys: few, so that all can be let go of at the end.
pub const USE_KEYS: [u64; 3] = [0, 1, u64::MAX];

pub fn mark_should_acquire(frame: &mut Frame) {
    let (locker, use_key) = (pick::<SlLocker>(frame), frame.one_of(&USE_KEYS));
    call!(locker_mark_should_acquire(locker; use_key;)
        or &[&[SL_ERROR_LIMIT, SL_ERROR_NOT_ACTIVE]]);
}

fn mark_should_release(frame: &mut Frame) {
    let (locker, use_key) = (pick::<SlLocker>(frame), frame.one_of(&USE_KEYS));
    call!(locker_mark_should_release(locker; use_key;) or &[&[SL_ERROR_NOT_ACTIVE]]);
}

fn mark_should_save(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    call!(locker_mark_should_save(locker;;) or &[&[SL_ERROR_NOT_ACTIVE]]);
}

fn mark_force_save(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    call!(locker_mark_force_save(locker;;) or &[&[SL_ERROR_NOT_ACTIVE]]);
}

fn set_log_prefix(frame: &mut Frame) {
    let (locker, prefix) = (pick::<SlLocker>(frame), Text::draw(frame, &IDS));
    call!(locker_set_log_prefix(locker; prefix.data(), prefix.length();)
        or &[TEXT, &[SL_ERROR_NOT_ACTIVE]]);
}

fn mark_deleted(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    call!(locker_mark_deleted(locker;;) or &[&[SL_ERROR_BUSY, SL_ERROR_NOT_ACTIVE]]);
}

pub fn destroy(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    ending(&locker);
    let status = call!(locker_destroy(locker;;) or &[&[SL_ERROR_BUSY]]);
    destroyed(&locker, status);
}

const NOT_ACTIVE: &[SlStatus] = &[SL_ERROR_INVALID_ARGUMENT, SL_ERROR_NOT_ACTIVE];

fn load_status(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut load_status = Out::<i32>::draw(frame);
    call!(locker_load_status(locker;; load_status) or &[NOT_ACTIVE]);
}

fn minimum_version(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut version = Out::<u32>::draw(frame);
    call!(locker_load_minimum_server_version(locker;; version) or &[NOT_ACTIVE]);
}

fn is_idling(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut is_idling = Out::<i32>::draw(frame);
    call!(locker_is_idling(locker;; is_idling) or &[NOT_ACTIVE]);
}

fn is_deleted(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut is_deleted = Out::<i32>::draw(frame);
    call!(locker_is_deleted(locker;; is_deleted) or &[ARGUMENT]);
}

fn set_is_syncing(frame: &mut Frame) {
    let (locker, is_syncing) = (pick::<SlLocker>(frame), integer(frame) as i32);
    call!(locker_set_is_syncing(locker; is_syncing;) or &[NOT_ACTIVE]);
}

fn is_syncing(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut is_syncing = Out::<i32>::draw(frame);
    call!(locker_is_syncing(locker;; is_syncing) or &[NOT_ACTIVE]);
}

fn is_available(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut is_available = Out::<i32>::draw(frame);
    call!(locker_is_available(locker;; is_available) or &[ARGUMENT]);
}

fn save_data(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut data = Out::<*mut SlSaveData>::draw(frame);
    let status = call!(locker_get_save_data(locker;; data) or &[ARGUMENT]);
    keep_lent(&data, status, locker.address);
}

fn save_data_json(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut json = Out::<Buffer>::draw(frame);
    let status = call!(locker_get_save_data_json(locker;; json) or &[ARGUMENT]);
    json.text(status);
}

fn set_save_data_json(frame: &mut Frame) {
    let (locker, json) = (pick::<SlLocker>(frame), Text::draw(frame, &JSON));
    call!(locker_set_save_data_json(locker; json.data(), json.length();) or &[WRITE]);
}

fn lost_save_data(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let mut json = Out::<Buffer>::draw(frame);
    let status = call!(locker_get_lost_save_data(locker;; json)
        or &[NOT_ACTIVE, &[SL_ERROR_NOT_FOUND]]);
    json.text(status);
}

fn when_changes_saved(frame: &mut Frame) {
    let locker = pick::<SlLocker>(frame);
    let is_heard = !frame.seldom(4);
    let token = Token::new("a locker's wait", true, is_heard);
    let callback: SlSavedCallback = is_heard.then_some(hooks::saved as _);
    let mut wait = Out::<*mut SlSavedConnection>::maybe(frame);
    let status = call!(locker_when_changes_saved(locker; callback, token.user_data(),
        Some(hooks::end); wait) or &[&[SL_ERROR_NOT_ACTIVE, SL_ERROR_LIMIT]]);
    token.settle(status == SL_OK);
    kept(&wait, status, 0, token.0);
}

fn wait_until_changes_saved(frame: &mut Frame) {
    let (locker, timeout) = (pick::<SlLocker>(frame), finite(number(frame)));
    let mut was_saved = Out::<i32>::draw(frame);
    call!(locker_wait_until_changes_saved(locker; timeout; was_saved) or &[WAIT]);
}

fn credit_query(frame: &mut Frame) {
    let (locker, product) = (pick::<SlLocker>(frame), integer(frame));
    let mut credit = Out::<i64>::draw(frame);
    call!(locker_product_credit_query(locker; product; credit) or &[CREDIT]);
}

fn credit_give(frame: &mut Frame) {
    let (locker, product) = (pick::<SlLocker>(frame), integer(frame));
    let amount = integer(frame);
    call!(locker_product_credit_give(locker; product, amount;) or &[CREDIT]);
}

fn credit_use(frame: &mut Frame) {
    let (locker, product) = (pick::<SlLocker>(frame), integer(frame));
    let (amount, mut did_use) = (integer(frame), Out::<i32>::draw(frame));
    call!(locker_product_credit_use(locker; product, amount; did_use) or &[CREDIT]);
}

pub fn create_sender(frame: &mut Frame) {
    let (spec, prefix) = (pick::<SlLockerSpec>(frame), Text::maybe(frame, &IDS));
    let token = Token::new("a sender", true, false);
    let mut table = Struct::new(remote_change_sender_config_init);
    let config = table.get();
    config.create_if_missing = frame.one_of(&[1, 0, 1, 2]);
    config.disable_apis = frame.one_of(&[0, 0, 0, 1]);
    config.polls_events = frame.one_of(&[0, 1]);
    (config.log_prefix, config.log_prefix_length) = (prefix.data(), prefix.length());
    config.seed = world(|world| {
        world.seeds += 1;
        world.seeds
    });
    config.user_data = token.user_data();
    config.report_error = frame.seldom(2).then_some(hooks::report as _);
    config.drop = Some(hooks::end);
    table.spoil_size(frame);
    let mut sender = Out::<*mut SlRemoteChangeSender>::draw(frame);
    let status = call!(remote_change_sender_create(spec; table.place(); sender) or &[TEXT]);
    token.settle(status == SL_OK);
    kept(&sender, status, 0, token.0);
}

fn destroy_sender(frame: &mut Frame) {
    let sender = pick::<SlRemoteChangeSender>(frame);
    end_sender(&sender);
}

/// Frees a sender, which answers what it has not sent.
pub fn end_sender(sender: &Picked<SlRemoteChangeSender>) {
    ending(sender);
    let status = call!(remote_change_sender_destroy(sender;;) or &[]);
    destroyed(sender, status);
}

pub fn update_sender(frame: &mut Frame) {
    let sender = pick::<SlRemoteChangeSender>(frame);
    let now = moment(frame);
    call!(remote_change_sender_update(sender; now;) or &[UPDATE]);
}

fn poll_sender(frame: &mut Frame) {
    let sender = pick::<SlRemoteChangeSender>(frame);
    polled(
        frame,
        &sender,
        |sender, events, capacity, count| call!(remote_change_sender_poll_event(sender; events, capacity; count) or &[ARGUMENT]),
    );
}

fn is_sending(frame: &mut Frame) {
    let sender = pick::<SlRemoteChangeSender>(frame);
    let mut is_sending = Out::<i32>::draw(frame);
    call!(remote_change_sender_is_sending(sender;; is_sending) or &[ARGUMENT]);
}

pub fn send(frame: &mut Frame) {
    let (sender, key) = (
        pick::<SlRemoteChangeSender>(frame),
        Text::draw(frame, &KEYS),
    );
    let (changes, mut options) = (Text::draw(frame, &CHANGES), SendOptions::draw(frame));
    let is_heard = !frame.seldom(4);
    let token = Token::new("a send of a sender", true, is_heard);
    let callback: SlSendCallback = is_heard.then_some(hooks::sent as _);
    let mut send_id = Out::<u64>::maybe(frame);
    let status = call!(remote_change_sender_send(sender; key.data(), key.length(), changes.data(),
        changes.length(), options.place(), callback, token.user_data(), Some(hooks::end);
        send_id) or &[SEND]);
    token.settle(status == SL_OK);
}
