//! Steps on save data: the host's own, a session's, and drafts while their callbacks run.

use session_locker::ffi::*;

use super::arguments::{
    Buffer, JSON, Out, PATCHES, POINTERS, RECORDS, Text, integer, number, taken,
};
use super::check::{Allowed, Begun, READ, TEXT, WRITE, call};
use super::script::Frame;
use super::steps::Step;
use super::world::{Handle, Kind, NOTHING, Picked, Standing, pick, world};

pub const STEPS: &[Step] = &[
    create,
    parse,
    destroy,
    get_json,
    get_i64,
    get_f64,
    get_bool,
    get_string,
    contains,
    type_of,
    get_value,
    get_names,
    length,
    set_json,
    set_i64,
    set_f64,
    set_bool,
    set_string,
    set_null,
    add,
    append,
    remove,
    merge_patch,
    apply_patch,
    backup,
    restore,
    destroy_backup,
];

/// Remembers a handle that a call has given, if it has.
pub fn kept<T: Handle>(out: &Out<*mut T>, status: SlStatus, parent: usize, token: usize) {
    if let Some(handle) = out.value(status) {
        world(|world| world.keep(T::KIND, handle.addr(), parent, token));
    }
}

/// A handle that a call is about to free: what the callbacks in it find is anybody's guess.
pub fn ending<T: Handle>(picked: &Picked<T>) {
    if picked.standing == Standing::Live {
        world(|world| {
            world.set_standing(picked.address, Standing::Doubtful);
            world.doubt(picked.address);
        });
    }
}

/// Whether the call has freed it.
pub fn destroyed<T: Handle>(picked: &Picked<T>, status: SlStatus) {
    world(|world| match status {
        SL_OK => world.bury(picked.address),
        _ if picked.standing == Standing::Live => {
            world.set_standing(picked.address, Standing::Live);
        }
        _ => {}
    });
}

fn create(frame: &mut Frame) {
    let json = Text::draw(frame, &JSON);
    let mut data = Out::<*mut SlSaveData>::draw(frame);
    let refusals = [
        SL_ERROR_INVALID_JSON,
        SL_ERROR_WRONG_TYPE,
        SL_ERROR_TOO_LARGE,
    ];
    let status = call!(save_data_create(; json.data(), json.length(); data) or &[TEXT, &refusals]);
    kept(&data, status, 0, NOTHING);
}

pub fn parse(frame: &mut Frame) {
    let bytes = Text::draw(frame, &RECORDS);
    let mut data = Out::<*mut SlSaveData>::draw(frame);
    let refusals = [
        SL_ERROR_INVALID_JSON,
        SL_ERROR_WRONG_TYPE,
        SL_ERROR_TOO_LARGE,
    ];
    let status = call!(save_data_parse(; bytes.bytes(), bytes.byte_length(); data)
        or &[TEXT, &refusals]);
    kept(&data, status, 0, NOTHING);
}

fn destroy(frame: &mut Frame) {
    let data = pick::<SlSaveData>(frame);
    ending(&data);
    let status = call!(save_data_destroy(data;;) or &[&[SL_ERROR_UNSUPPORTED]]);
    destroyed(&data, status);
}

fn get_json(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut json = Out::<Buffer>::draw(frame);
    let status = call!(save_data_get_json(data; pointer.data(), pointer.length(); json) or &[READ]);
    if let Some(json) = json.text(status) {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok());
    }
}

fn get_i64(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value = Out::<i64>::draw(frame);
    call!(save_data_get_i64(data; pointer.data(), pointer.length(); value)
        or &[READ, &[SL_ERROR_OUT_OF_RANGE]]);
}

fn get_f64(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value = Out::<f64>::draw(frame);
    call!(save_data_get_f64(data; pointer.data(), pointer.length(); value) or &[READ]);
}

fn get_bool(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value = Out::<i32>::draw(frame);
    call!(save_data_get_bool(data; pointer.data(), pointer.length(); value) or &[READ]);
}

fn get_string(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value = Out::<Buffer>::draw(frame);
    let status =
        call!(save_data_get_string(data; pointer.data(), pointer.length(); value) or &[READ]);
    value.text(status);
}

fn contains(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut is_there = Out::<i32>::draw(frame);
    let status =
        call!(save_data_contains(data; pointer.data(), pointer.length(); is_there) or &[READ]);
    assert!(
        is_there
            .value(status)
            .is_none_or(|is_there| is_there & !1 == 0)
    );
}

fn type_of(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value_type = Out::<i32>::draw(frame);
    call!(save_data_type(data; pointer.data(), pointer.length(); value_type) or &[READ]);
}

fn get_value(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut value = Out::<[u64; 7]>::draw(frame);
    let status =
        call!(save_data_get_value(data; pointer.data(), pointer.length(); value) or &[READ]);
    if let Some(value) = value.value(status) {
        let text = [value[4] as usize, value[5] as usize, value[6] as usize];
        match value[0] as i32 {
            SL_VALUE_STRING => assert_eq!(taken(text).len(), value[3] as usize),
            _ => assert_eq!(text, [0; 3]),
        }
    }
}

fn get_names(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut names = Out::<Buffer>::draw(frame);
    let status =
        call!(save_data_get_names(data; pointer.data(), pointer.length(); names) or &[READ]);
    if let Some(names) = names.text(status) {
        assert!(serde_json::from_slice::<Vec<String>>(&names).is_ok());
    }
}

fn length(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let mut length = Out::<usize>::draw(frame);
    call!(save_data_length(data; pointer.data(), pointer.length(); length) or &[READ]);
}

/// What a document shows, to be compared after a write that was refused.
fn shown(data: &Picked<SlSaveData>) -> Option<Vec<u8>> {
    let mut json = Out::<Buffer>::new(false);
    let status = call!(save_data_get_json(data; std::ptr::null(), 0; json) or &[]);
    json.text(status)
}

/// A write that is refused has changed nothing.
fn written(data: &Picked<SlSaveData>, write: impl FnOnce() -> SlStatus) {
    let before = shown(data);
    if write() != SL_OK {
        assert_eq!(shown(data), before, "refused, and changed");
    }
}

fn set_json(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let json = Text::draw(frame, &JSON);
    written(&data, || {
        call!(save_data_set_json(data; pointer.data(), pointer.length(), json.data(),
            json.length();) or &[WRITE])
    });
}

fn set_i64(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let value = integer(frame);
    written(
        &data,
        || call!(save_data_set_i64(data; pointer.data(), pointer.length(), value;) or &[WRITE]),
    );
}

fn set_f64(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let value = number(frame);
    let allowed: Allowed<'_> = &[WRITE, &[SL_ERROR_OUT_OF_RANGE]];
    written(
        &data,
        || call!(save_data_set_f64(data; pointer.data(), pointer.length(), value;) or allowed),
    );
}

fn set_bool(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let value = integer(frame) as i32;
    written(
        &data,
        || call!(save_data_set_bool(data; pointer.data(), pointer.length(), value;) or &[WRITE]),
    );
}

fn set_string(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let value = Text::draw(frame, &JSON);
    written(&data, || {
        call!(save_data_set_string(data; pointer.data(), pointer.length(), value.data(),
            value.length();) or &[WRITE])
    });
}

fn set_null(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    written(
        &data,
        || call!(save_data_set_null(data; pointer.data(), pointer.length();) or &[WRITE]),
    );
}

fn add(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let (delta, mut sum) = (integer(frame), Out::<i64>::draw(frame));
    let allowed: Allowed<'_> = &[WRITE, &[SL_ERROR_OUT_OF_RANGE]];
    written(
        &data,
        || call!(save_data_add_i64(data; pointer.data(), pointer.length(), delta; sum) or allowed),
    );
}

fn append(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    let json = Text::draw(frame, &JSON);
    written(&data, || {
        call!(save_data_append(data; pointer.data(), pointer.length(), json.data(),
            json.length();) or &[WRITE])
    });
}

fn remove(frame: &mut Frame) {
    let (data, pointer) = (pick::<SlSaveData>(frame), Text::draw(frame, &POINTERS));
    written(
        &data,
        || call!(save_data_remove(data; pointer.data(), pointer.length();) or &[WRITE]),
    );
}

fn merge_patch(frame: &mut Frame) {
    let (data, json) = (pick::<SlSaveData>(frame), Text::draw(frame, &PATCHES));
    written(
        &data,
        || call!(save_data_merge_patch(data; json.data(), json.length();) or &[WRITE]),
    );
}

fn apply_patch(frame: &mut Frame) {
    let (data, json) = (pick::<SlSaveData>(frame), Text::draw(frame, &PATCHES));
    let allowed: Allowed<'_> = &[WRITE, &[SL_ERROR_PATCH_FAILED]];
    written(
        &data,
        || call!(save_data_apply_patch(data; json.data(), json.length();) or allowed),
    );
}

pub fn backup(frame: &mut Frame) {
    let data = pick::<SlSaveData>(frame);
    let mut backup = Out::<*mut SlSaveDataBackup>::draw(frame);
    let status = call!(save_data_backup(data;; backup) or &[&[SL_ERROR_INVALID_ARGUMENT]]);
    kept(&backup, status, 0, NOTHING);
}

fn restore(frame: &mut Frame) {
    let (data, backup) = (pick::<SlSaveData>(frame), pick::<SlSaveDataBackup>(frame));
    let allowed: Allowed<'_> = &[&[SL_ERROR_BUSY, SL_ERROR_NOT_ACTIVE, SL_ERROR_TOO_LARGE]];
    written(
        &data,
        || call!(save_data_restore(data, backup;;) or allowed),
    );
}

fn destroy_backup(frame: &mut Frame) {
    let backup = pick::<SlSaveDataBackup>(frame);
    ending(&backup);
    let status = call!(save_data_backup_destroy(backup;;) or &[]);
    destroyed(&backup, status);
}

/// The save data that belongs to a session or a locker.
pub fn keep_lent(out: &Out<*mut SlSaveData>, status: SlStatus, owner: usize) {
    if let Some(data) = out.value(status) {
        world(|world| match world.find(Kind::SaveData, data.addr()) {
            Some(known) => assert!(known.parent == owner, "another's save data"),
            None => world.keep(Kind::SaveData, data.addr(), owner, NOTHING),
        });
    }
}
