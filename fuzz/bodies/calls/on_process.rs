//! Steps on what belongs to the whole process: init functions, messages, defaults, logs.

use std::ffi::CStr;

use session_locker::ffi::*;

use super::arguments::{Buffer, IDS, Out, Text, integer, number};
use super::check::{ARGUMENT, Begun, TEXT, call};
use super::hooks;
use super::script::Frame;
use super::steps::Step;
use super::world::Token;

pub const STEPS: &[Step] = &[
    init,
    last_error,
    status_name,
    set_hook_error,
    set_log_callback,
    log_error_variations,
    log_prefix,
    request_error_kind,
    set_default,
    get_default,
    query_config,
    report_error,
    live,
];

/// Fills a struct of a size that may be none.
fn init(frame: &mut Frame) {
    let which = frame.byte();
    let size = frame.one_of(&[
        56,
        48,
        40,
        240,
        256,
        24,
        64,
        0,
        7,
        264,
        4096,
        4104,
        usize::MAX,
    ]);
    let mut room = vec![0_u64; 520];
    let is_null = frame.seldom(16);
    macro_rules! init {
        ($name:ident) => {{
            let place = if is_null { std::ptr::null_mut() } else { room.as_mut_ptr() };
            call!($name(; place.cast(), size;) or &[ARGUMENT])
        }};
    }
    let status = match which % 8 {
        0 => init!(easy_store_config_init),
        1 => init!(locker_spec_config_init),
        2 => init!(session_locker_session_options_init),
        3 => init!(session_locker_send_options_init),
        4 => init!(remote_change_sender_config_init),
        5 => init!(session_locker_receipt_info_init),
        6 => init!(locker_storage_callbacks_init),
        _ => init!(session_locker_clock_init),
    };
    let untouched = if status == SL_OK { size / 8 } else { 0 };
    assert!(
        room[untouched..].iter().all(|word| *word == 0),
        "written too far"
    );
}

fn last_error(frame: &mut Frame) {
    let capacity = frame.one_of(&[64, 0, 1, 2, 5, 300]);
    let mut buffer = vec![0xa5_u8; 301];
    let place = if frame.seldom(8) {
        std::ptr::null_mut()
    } else {
        buffer.as_mut_ptr()
    };
    // SAFETY: NULL, or room for more than `capacity` bytes.
    let length = unsafe { session_locker_last_error(place.cast(), capacity) };
    assert!(buffer[capacity..].iter().all(|byte| *byte == 0xa5));
    if !place.is_null() && capacity > 0 {
        let message = CStr::from_bytes_until_nul(&buffer).expect("it ends with a NUL");
        let cut = message
            .to_str()
            .expect("it is cut between two characters")
            .len();
        assert!(cut <= length && (cut == length || length >= capacity));
    }
}

fn status_name(frame: &mut Frame) {
    let status = integer(frame) as i32;
    let names = [session_locker_status_name(status), session_locker_version()];
    for name in names {
        // SAFETY: a static text that ends with a NUL.
        assert!(!unsafe { CStr::from_ptr(name) }.is_empty());
    }
    assert!(session_locker_now().is_finite());
}

fn set_hook_error(frame: &mut Frame) {
    let message = Text::draw(frame, &IDS);
    call!(session_locker_set_hook_error(; message.data(), message.length();) or &[TEXT]);
}

fn set_log_callback(frame: &mut Frame) {
    let token = Token::new("a log", true, false);
    let callback: SlLogCallback = (!frame.seldom(3)).then_some(hooks::log as _);
    let status = call!(session_locker_set_log_callback(; callback, token.user_data(),
        Some(hooks::end);) or &[]);
    token.settle(status == SL_OK);
}

fn log_error_variations(frame: &mut Frame) {
    let (identifier, message) = (Text::draw(frame, &IDS), Text::draw(frame, &IDS));
    // Never NULL: a native call stack takes long.
    let traceback = Text::draw(frame, &["here\nthere"]);
    if traceback.data().is_null() {
        return;
    }
    call!(session_locker_log_error_variations(; identifier.data(), identifier.length(),
        message.data(), message.length(), traceback.data(), traceback.length();) or &[TEXT]);
}

fn log_prefix(frame: &mut Frame) {
    let (show_module, user) = (integer(frame) as i32, Text::draw(frame, &IDS));
    let (other, name) = (Text::maybe(frame, &IDS), Text::maybe(frame, &IDS));
    let mut prefix = Out::<Buffer>::draw(frame);
    let status = call!(session_locker_log_prefix_create(; show_module, user.data(), user.length(),
        other.data(), other.length(), name.data(), name.length(); prefix) or &[TEXT]);
    prefix.text(status);
}

fn request_error_kind(frame: &mut Frame) {
    let message = Text::draw(
        frame,
        &[
            "502: down",
            "103: long",
            "403",
            "301:",
            "text",
            "99999999: x",
        ],
    );
    let mut kind = Out::<i32>::draw(frame);
    let status = call!(session_locker_request_error_kind(; message.data(), message.length(); kind)
        or &[TEXT]);
    assert!(
        kind.value(status)
            .is_none_or(|kind| (0..=2).contains(&kind))
    );
}

fn set_default(frame: &mut Frame) {
    let (config_value, value) = (integer(frame) as i32, number(frame));
    call!(session_locker_set_default(; config_value, value;)
        or &[ARGUMENT, &[SL_ERROR_OUT_OF_RANGE]]);
}

fn get_default(frame: &mut Frame) {
    let config_value = integer(frame) as i32;
    let mut value = Out::<f64>::draw(frame);
    call!(session_locker_get_default(; config_value; value) or &[ARGUMENT]);
}

fn query_config(frame: &mut Frame) {
    let (has_override, other, default) = (integer(frame) as i32, number(frame), number(frame));
    let value = session_locker_query_config(has_override, other, default);
    let expected = if has_override != 0 { other } else { default };
    assert_eq!(value.to_bits(), expected.to_bits());
}

fn report_error(frame: &mut Frame) {
    let reporter = integer(frame) as i32;
    let token = Token::new("a reporter", true, false);
    let callback: SlReportError = (!frame.seldom(3)).then_some(hooks::report as _);
    let status = call!(session_locker_set_default_report_error(; reporter, callback,
        token.user_data(), Some(hooks::end);) or &[ARGUMENT]);
    token.settle(status == SL_OK);
}

fn live(frame: &mut Frame) {
    let mut count = Out::<u64>::draw(frame);
    call!(session_locker_live_handles(;; count) or &[ARGUMENT]);
}

/// The defaults of the documentation, nobody to log to, nobody to report to.
pub fn restore() {
    let defaults = [
        (SL_CONFIG_VERBOSE_LOGS, 0.0),
        (SL_CONFIG_READ_ONLY_DATA_STORES, 0.0),
        (SL_CONFIG_MAINTAIN_SESSION_PERIOD, 300.0),
        (SL_CONFIG_SESSION_EXPIRY, 1800.0),
        (SL_CONFIG_SESSION_RETRY_COOLDOWN, 10.0),
        (SL_CONFIG_PURCHASE_HISTORY_LIMIT, 100.0),
    ];
    for (config_value, value) in defaults {
        let status = call!(session_locker_set_default(; config_value, value;) or &[]);
        assert_eq!(status, SL_OK);
    }
    let nobody = std::ptr::null_mut();
    call!(session_locker_set_log_callback(; None, nobody, None;) or &[]);
    for reporter in [SL_REPORTER_LOCKERS, SL_REPORTER_SENDERS] {
        let status = call!(session_locker_set_default_report_error(; reporter, None, nobody,
            None;) or &[]);
        assert_eq!(status, SL_OK);
    }
}
