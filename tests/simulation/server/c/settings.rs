//! What both configurations have in common.

use std::sync::Arc;

use session_locker::ffi::*;

use super::call::{Handle, c, call, handle, must};
use super::clock;
use super::desk::Desk;
use super::hooks;
use super::user_data::drop_user_data;
use crate::document::TEMPLATES;
use crate::server::Setup;

/// What a configuration points to.
pub struct Settings {
    pub clock: SlClock,
    pub job_id: String,
    pub template: &'static str,
    pub migrators: Handle<SlMigrators>,
}

impl Settings {
    pub fn new(setup: &Setup, desk: &Arc<Desk>) -> Self {
        Self {
            clock: clock::table(&setup.clock, &desk.tally),
            job_id: setup.server.to_string(),
            template: TEMPLATES[setup.version as usize - 1],
            migrators: migrators(setup, desk),
        }
    }

    /// What was made of them keeps its own.
    pub fn end(self) {
        must(c!(migrators_destroy(self.migrators.get())));
    }
}

fn migrators(setup: &Setup, desk: &Arc<Desk>) -> Handle<SlMigrators> {
    let builder = handle(|builder| c!(migrator_builder_create(builder)));
    let builder = builder.unwrap_or_else(|refusal| panic!("{refusal}"));
    if setup.version > 1 {
        let (migrate, user_data): (SlMigrator, _) = (Some(hooks::migrate), desk.user_data());
        let drop: SlDrop = Some(drop_user_data);
        must(c!(migrator_builder_add_migrator_from(
            builder.get(),
            1,
            migrate,
            user_data,
            drop
        )));
    }
    let version = setup.version;
    must(c!(migrator_builder_check_version(builder.get(), version)));
    let migrators = handle(|migrators| c!(migrator_builder_build(builder.get(), migrators)));
    must(c!(migrator_builder_destroy(builder.get())));
    migrators.unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Makes a server of a configuration, whose handles it then needs no more.
pub fn made<T>(settings: Settings, make: impl FnOnce(&mut *mut T) -> SlStatus) -> Handle<T> {
    let mut made = std::ptr::null_mut();
    let status = make(&mut made);
    settings.end();
    call(status).unwrap_or_else(|refusal| panic!("{refusal}"));
    Handle::of(made)
}

/// `fill_in!(config, settings, setup, desk)` sets the fields that a store's configuration and a spec's
/// have in common.
macro_rules! fill_in {
    ($config:ident, $settings:ident, $setup:ident, $desk:ident) => {
        let given = $setup.settings;
        $config.save_data_version = $setup.version;
        $config.migrators = $settings.migrators.get();
        $config.job_id = $settings.job_id.as_ptr().cast();
        $config.job_id_length = $settings.job_id.len();
        $config.maintain_session_period = given.maintain_session_period;
        $config.session_expiry = given.session_expiry;
        $config.clock_tolerance = given.clock_tolerance;
        $config.session_retry_cooldown = given.session_retry_cooldown;
        $config.session_retry_ceiling = given.session_retry_ceiling;
        $config.request_timeout = given.request_timeout;
        $config.purchase_history_limit = given.purchase_history_limit;
        $config.requests_per_update = given.requests_per_update;
        $config.requests_in_flight = given.requests_in_flight;
        $config.bytes_per_update = given.bytes_per_update as u64;
        $config.polls_events = $setup.polls_events.into();
        $config.clock = &raw const $settings.clock;
        $config.seed = $setup.seed;
        $config.user_data = $desk.user_data();
        $config.drop = Some(drop_user_data);
        if $setup.creates_by_hook {
            $config.create_save_data = Some(hooks::create);
        } else {
            $config.template_json = $settings.template.as_ptr().cast();
            $config.template_json_length = $settings.template.len();
        }
        if !$setup.polls_events {
            $config.event = Some(desk::event);
        }
        if $setup.receives {
            $config.process_remote_change = Some(hooks::remote_change);
        }
        if $setup.merges {
            $config.merge_offline_save_data = Some(hooks::merge);
        }
    };
}
pub(super) use fill_in;
