//! What stores and specs are made with.

use std::ffi::c_void;

use session_locker::ffi::*;

use super::arguments::{IDS, JSON, RECORDS, Struct, Text, Texts, integer};
use super::hooks;
use super::script::Frame;
use super::world::{Standing, Token, next_frame, pick, world};

/// The texts and tables that a configuration points to, and what is handed over with it.
pub struct Kept {
    template: Text,
    test_data: Text,
    job_id: Text,
    clock: Struct<SlClock>,
    clock_token: Token,
    pub token: Token,
    migrators: (*const SlMigrators, Standing),
}

impl Kept {
    pub fn draw(what: &'static str, frame: &mut Frame) -> Self {
        let template = match frame.below(3) {
            0 => Text::draw(frame, &JSON[..1]),
            1 => Text::draw(frame, &JSON),
            _ => Text::maybe(frame, &JSON),
        };
        let test_data = match frame.seldom(16) {
            true => Text::draw(frame, &RECORDS),
            false => Text::none(),
        };
        let job_id = match frame.seldom(4) {
            true => Text::draw(frame, &IDS),
            false => Text::none(),
        };
        let (clock, clock_token) = clock(frame);
        let migrators = match frame.seldom(3) {
            true => {
                let picked = pick::<SlMigrators>(frame);
                (picked.pointer().cast_const(), picked.standing)
            }
            false => (std::ptr::null(), Standing::None),
        };
        Self {
            template,
            test_data,
            job_id,
            clock,
            clock_token,
            token: Token::new(what, true, false),
            migrators,
        }
    }

    /// The call that took it has returned.
    pub fn settle(&self, status: SlStatus) {
        let is_wrong = self.migrators.1 == Standing::Wrong && !self.migrators.0.is_null();
        assert!(!is_wrong || status != SL_OK, "wrong migrators were taken");
        self.token.settle(status == SL_OK);
        self.clock_token.settle(status == SL_OK);
    }
}

/// Clocks of the host's own; seldom a table that is none.
fn clock(frame: &mut Frame) -> (Struct<SlClock>, Token) {
    let token = Token::new("a clock", true, false);
    let mut table = Struct::new(session_locker_clock_init);
    let clock = table.get();
    clock.user_data = token.user_data();
    clock.wall = Some(hooks::wall);
    clock.monotonic = (!frame.seldom(64)).then_some(hooks::monotonic as _);
    clock.sleep = Some(hooks::sleep);
    clock.drop = Some(hooks::end);
    if frame.seldom(16) {
        table.spoil_size(frame);
    }
    (table, token)
}

/// Fills what the configurations of stores and specs have in common.
macro_rules! fill {
    ($config:expr, $kept:expr, $frame:expr) => {{
        let (config, kept, frame): (_, &mut Kept, &mut Frame) = ($config, $kept, $frame);
        config.save_data_version = frame.one_of(&[1, 1, 2, 1, 3, 1, 1, 0]);
        config.migrators = kept.migrators.0;
        config.template_json = kept.template.data();
        config.template_json_length = kept.template.length();
        config.test_data_json = kept.test_data.data();
        config.test_data_json_length = kept.test_data.length();
        config.job_id = kept.job_id.data();
        config.job_id_length = kept.job_id.length();
        config.place_id = integer(frame);
        let periods = frame.one_of(&PERIODS);
        (config.maintain_session_period, config.session_expiry) = (periods.0, periods.1);
        (config.session_retry_cooldown, config.request_timeout) = (periods.2, periods.3);
        let limits = frame.one_of(&LIMITS);
        (config.document_limit_bytes, config.bytes_per_update) = (limits.0, limits.1);
        (config.requests_per_update, config.requests_in_flight) = (limits.2, limits.3);
        config.purchase_history_limit = limits.4;
        config.read_only_data_stores = frame.one_of(&[0, 0, 0, 0, 0, 0, 1, 2]);
        config.polls_events = frame.one_of(&[0, 0, 1, 1, 0, 0, 1, -1]);
        config.verbose_logs = frame.one_of(&[0, 1]);
        config.clock = kept.clock.nested();
        config.seed = world(|world| {
            world.seeds += 1;
            world.seeds
        });
        config.user_data = kept.token.user_data();
        config.create_save_data = frame.seldom(2).then_some(hooks::create as _);
        config.event = (!frame.seldom(3)).then_some(hooks::event as _);
        let process = hooks::process_remote_change as _;
        config.process_remote_change = (!frame.seldom(4)).then_some(process);
        config.merge_offline_save_data = frame.seldom(2).then_some(hooks::merge as _);
        config.report_error = frame.seldom(2).then_some(hooks::report as _);
        config.drop = Some(hooks::end);
    }};
}

type Periods = (f64, f64, f64, f64);

/// Between two saves, expiry, cooldown, timeout of requests.
const PERIODS: [Periods; 6] = [
    (300.0, 1800.0, 10.0, 30.0),
    (20.0, 100.0, 1.0, 5.0),
    (1.0, 1e9, 0.1, 100.0),
    (300.0, 300.0, 10.0, 30.0),
    (f64::NAN, 1800.0, 10.0, 30.0),
    (300.0, 1800.0, f64::INFINITY, -1.0),
];

type Limits = (u64, u64, u32, u32, u32);

/// Bytes of a document and of an update, requests of an update and in flight, purchases remembered.
const LIMITS: [Limits; 5] = [
    (4 << 20, 256 << 10, 128, 4096, 100),
    (64, 1, 1, 1, 1),
    (1 << 30, u64::MAX, 2, 3, 2),
    (63, 0, 1, 1, 0),
    (u64::MAX, 1, u32::MAX, u32::MAX, u32::MAX),
];

/// The configuration of a store.
pub fn of_store(kept: &mut Kept) -> Struct<SlEasyStoreConfig> {
    let mut config = Struct::new(easy_store_config_init);
    let mut frame = next_frame();
    fill!(config.get(), kept, &mut frame);
    config.spoil(&mut next_frame());
    config
}

/// The configuration of a spec.
pub fn of_spec(kept: &mut Kept) -> Struct<SlLockerSpecConfig> {
    let mut config = Struct::new(locker_spec_config_init);
    let mut frame = next_frame();
    fill!(config.get(), kept, &mut frame);
    let mut frame = next_frame();
    let hook: unsafe extern "C" fn(*mut c_void, *mut SlLocker) -> SlStatus =
        hooks::locker_before_save;
    config.get().before_save = frame.seldom(2).then_some(hook);
    config.get().before_save_transform = frame.seldom(2).then_some(hook);
    config.spoil(&mut frame);
    config
}

/// What a session or a locker is given at its start; without, NULL.
pub struct Options {
    _prefix: Text,
    _ids: Texts,
    table: Option<Struct<SlSessionOptions>>,
}

impl Options {
    pub fn draw(frame: &mut Frame) -> Self {
        let is_given = frame.seldom(3);
        let (prefix, ids) = (Text::maybe(frame, &IDS), Texts::draw(frame, &IDS));
        let table = is_given.then(|| {
            let mut table = Struct::new(session_locker_session_options_init);
            let options = table.get();
            options.disable_apis = frame.one_of(&[0, 0, 0, 1, 0, 0, 0, 2]);
            (options.user_ids, options.user_id_count) = (ids.data(), ids.count());
            (options.log_prefix, options.log_prefix_length) = (prefix.data(), prefix.length());
            table.spoil_size(frame);
            table
        });
        Self {
            _prefix: prefix,
            _ids: ids,
            table,
        }
    }

    pub fn place(&mut self) -> *const SlSessionOptions {
        let table = self.table.as_mut();
        table.map_or(std::ptr::null(), |table| table.place().cast_const())
    }
}
