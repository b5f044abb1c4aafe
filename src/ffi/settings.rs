//! What the configurations of a store and of a spec have in common: the same fields, checked and
//! turned into the library's own options in one place.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use bytes::Bytes;

use super::callback::UserData;
use super::clock::{self, SlClock};
use super::error::{FfiError, FfiResult, run_hook};
use super::handle;
use super::migrator::SlMigrators;
use super::number;
use super::save_data::{SlSaveData, lend_draft};
use super::status::{SL_ERROR_UNSUPPORTED, SlStatus};
use super::text::{SL_NUL_TERMINATED, text};
use crate::locker::{Config, LockerError, SpecOptions};
use crate::save_data::SaveData;
use crate::storage::Storage;
use crate::storage::overlay::ReadOnlyOverlay;

/// Makes a new document, by writing to `data`: an empty draft, valid until the function returns.
///
/// It may run again for the same key, on any thread that calls in, and must depend on its arguments
/// alone. Any other status than SL_OK is a failure: the load status becomes
/// SL_LOAD_STATUS_CREATE_FAILED and nothing is written; say why with
/// `session_locker_set_hook_error`.
pub type SlCreateSaveData = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_char,
        key_length: usize,
        data: *mut SlSaveData,
    ) -> SlStatus,
>;

/// The fields that both configurations have.
pub(crate) struct Settings {
    pub save_data_version: u32,
    pub save_data_version_patch: f64,
    pub migrators: *const SlMigrators,
    pub template: (*const c_char, usize),
    pub test_data: (*const c_char, usize),
    pub job_id: (*const c_char, usize),
    pub place_id: i64,
    pub maintain_session_period: f64,
    pub session_expiry: f64,
    pub clock_tolerance: f64,
    pub session_retry_cooldown: f64,
    pub session_retry_ceiling: f64,
    pub request_timeout: f64,
    pub document_limit_bytes: u64,
    pub bytes_per_update: u64,
    pub purchase_history_limit: u32,
    pub requests_per_update: u32,
    pub requests_in_flight: u32,
    pub read_only_data_stores: i32,
    pub polls_events: i32,
    pub verbose_logs: i32,
    pub clock: *const SlClock,
    pub seed: u64,
}

/// `settings!(config)` takes the common fields out of a configuration struct.
macro_rules! settings {
    ($config:expr) => {
        $crate::ffi::settings::Settings {
            save_data_version: $config.save_data_version,
            save_data_version_patch: $config.save_data_version_patch,
            migrators: $config.migrators,
            template: ($config.template_json, $config.template_json_length),
            test_data: ($config.test_data_json, $config.test_data_json_length),
            job_id: ($config.job_id, $config.job_id_length),
            place_id: $config.place_id,
            maintain_session_period: $config.maintain_session_period,
            session_expiry: $config.session_expiry,
            clock_tolerance: $config.clock_tolerance,
            session_retry_cooldown: $config.session_retry_cooldown,
            session_retry_ceiling: $config.session_retry_ceiling,
            request_timeout: $config.request_timeout,
            document_limit_bytes: $config.document_limit_bytes,
            bytes_per_update: $config.bytes_per_update,
            purchase_history_limit: $config.purchase_history_limit,
            requests_per_update: $config.requests_per_update,
            requests_in_flight: $config.requests_in_flight,
            read_only_data_stores: $config.read_only_data_stores,
            polls_events: $config.polls_events,
            verbose_logs: $config.verbose_logs,
            clock: $config.clock,
            seed: $config.seed,
        }
    };
}

/// `default_settings!(SlEasyStoreConfig { … })` is a configuration with the common fields at their
/// defaults, process-wide ones included, and the others as given.
macro_rules! default_settings {
    ($config:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let defaults = $crate::locker::Config::with_defaults();
        $config {
            struct_size: size_of::<$config>() as u32,
            save_data_version: defaults.save_data_version,
            save_data_version_patch: defaults.save_data_version_patch,
            migrators: std::ptr::null(),
            template_json: std::ptr::null(),
            template_json_length: $crate::ffi::SL_NUL_TERMINATED,
            test_data_json: std::ptr::null(),
            test_data_json_length: $crate::ffi::SL_NUL_TERMINATED,
            job_id: std::ptr::null(),
            job_id_length: $crate::ffi::SL_NUL_TERMINATED,
            place_id: defaults.place_id,
            maintain_session_period: defaults.maintain_session_period,
            session_expiry: defaults.session_expiry,
            clock_tolerance: defaults.clock_tolerance,
            session_retry_cooldown: defaults.session_retry_cooldown,
            session_retry_ceiling: defaults.session_retry_ceiling,
            request_timeout: defaults.request_timeout,
            document_limit_bytes: defaults.document_limit_bytes as u64,
            bytes_per_update: defaults.bytes_per_update as u64,
            purchase_history_limit: defaults.purchase_history_limit,
            requests_per_update: defaults.requests_per_update,
            requests_in_flight: defaults.requests_in_flight,
            read_only_data_stores: defaults.read_only_data_stores.into(),
            polls_events: 0,
            verbose_logs: defaults.verbose_logs.into(),
            clock: std::ptr::null(),
            seed: 0,
            $($field: $value),*
        }
    }};
}

/// What the settings make, and what of the host's is to be accepted once all has gone well.
pub(crate) struct Options {
    pub storage: Arc<dyn Storage>,
    pub options: SpecOptions,
    pub clock_data: Option<Arc<UserData>>,
}

impl Settings {
    /// Checks everything. `can_create` says whether the configuration has a create hook.
    ///
    /// # Safety
    /// The pointers are NULL or point to what the configuration's documentation says.
    pub unsafe fn options(self, storage: Arc<dyn Storage>, can_create: bool) -> FfiResult<Options> {
        // SAFETY: as promised to this function, also below.
        let template = unsafe { optional_text("config.template_json", self.template) }?;
        // SAFETY: as above.
        let test_data = unsafe { optional_text("config.test_data_json", self.test_data) }?;
        // SAFETY: as above.
        let job_id = unsafe { optional_text("config.job_id", self.job_id) }?.unwrap_or("");
        if template.is_some() == can_create {
            let message = "needs one of config.template_json and config.create_save_data, not both";
            return Err(FfiError::argument("config", message));
        }
        let config = self.config(job_id)?;
        let limit = config.document_limit_bytes;
        let template = match template {
            Some(json) => Some(SaveData::from_json(json, limit).map_err(|error| {
                let error = FfiError::from(error);
                FfiError::new(
                    error.status,
                    format!("config.template_json: {}", error.message),
                )
            })?),
            None => None,
        };
        let migrators = match self.migrators.is_null() {
            true => Default::default(),
            false => (**handle::get(self.migrators)?).clone(),
        };
        let polls_events = number::switch("config.polls_events", self.polls_events)?;
        let (clock, clock_data) = clock::from_config(self.clock)?;
        let seed = match self.seed {
            0 => random_seed()?,
            seed => seed,
        };
        let storage = over_test_data(storage, test_data);
        let options = SpecOptions {
            config,
            migrators,
            template,
            clock,
            seed,
            polls_events,
        };
        Ok(Options {
            storage,
            options,
            clock_data,
        })
    }

    /// The plain values, checked.
    fn config(&self, job_id: &str) -> FfiResult<Config> {
        let read_only = self.read_only_data_stores;
        let config = Config {
            save_data_version: self.save_data_version,
            save_data_version_patch: self.save_data_version_patch,
            maintain_session_period: self.maintain_session_period,
            session_expiry: self.session_expiry,
            clock_tolerance: self.clock_tolerance,
            session_retry_cooldown: self.session_retry_cooldown,
            session_retry_ceiling: self.session_retry_ceiling,
            request_timeout: self.request_timeout,
            document_limit_bytes: bytes("config.document_limit_bytes", self.document_limit_bytes)?,
            bytes_per_update: bytes("config.bytes_per_update", self.bytes_per_update)?,
            purchase_history_limit: self.purchase_history_limit,
            requests_per_update: self.requests_per_update,
            requests_in_flight: self.requests_in_flight,
            read_only_data_stores: number::switch("config.read_only_data_stores", read_only)?,
            verbose_logs: number::switch("config.verbose_logs", self.verbose_logs)?,
            place_id: self.place_id,
            job_id: job_id.into(),
        };
        config.check().map_err(LockerError::from)?;
        Ok(config)
    }
}

/// With test data, the storage is neither read nor written.
fn over_test_data(storage: Arc<dyn Storage>, test_data: Option<&str>) -> Arc<dyn Storage> {
    let Some(json) = test_data else {
        return storage;
    };
    let test_data = Bytes::copy_from_slice(json.as_bytes());
    Arc::new(ReadOnlyOverlay::new(storage, Some(test_data)))
}

/// Runs the host's create hook for a key.
pub(crate) fn create_save_data(
    create: SlCreateSaveData,
    user_data: &UserData,
    key: &str,
    limit_bytes: usize,
) -> Result<SaveData, String> {
    let create = create.ok_or("there is neither a template nor a create hook")?;
    let mut data = SaveData::from_json("{}", limit_bytes).map_err(|error| error.to_string())?;
    let ran = lend_draft(&mut data, |draft| {
        run_hook(|| {
            // SAFETY: the host gave the function for this purpose and this user data, which the
            // caller keeps alive; the key and the draft outlive the call.
            unsafe { create(user_data.pointer(), key.as_ptr().cast(), key.len(), draft) }
        })
    });
    ran.map_err(|error| error.message)??;
    Ok(data)
}

/// # Safety
/// As `text`.
pub(crate) unsafe fn optional_text<'a>(
    field: &str,
    (data, length): (*const c_char, usize),
) -> FfiResult<Option<&'a str>> {
    if data.is_null() && matches!(length, 0 | SL_NUL_TERMINATED) {
        return Ok(None);
    }
    // SAFETY: as promised to this function.
    unsafe { text(field, data, length) }.map(Some)
}

fn bytes(field: &str, value: u64) -> FfiResult<usize> {
    usize::try_from(value).map_err(|_| FfiError::argument(field, "is too large"))
}

/// Chance that differs between servers, from the operating system.
pub(crate) fn random_seed() -> FfiResult<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        let message = format!("the operating system has no random numbers: {error}");
        FfiError::new(SL_ERROR_UNSUPPORTED, message)
    })?;
    Ok(u64::from_ne_bytes(bytes))
}
