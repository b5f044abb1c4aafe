//! What a spec is configured with, its defaults, and the arithmetic that the protocol builds on.

use thiserror::Error;

use crate::save_data::{self, SaveData};

/// How the lockers of one spec behave. Times are seconds.
///
/// The names are the seed's; [`Config::default`] holds the documented defaults, and
/// [`Config::with_defaults`] those that the host has set for the whole process.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The version of the save data this server writes, 1 or more. A newer document is refused.
    pub save_data_version: u32,
    /// The `VersionPatch` that new documents are given.
    pub save_data_version_patch: f64,
    /// The longest that a session goes without a save.
    pub maintain_session_period: f64,
    /// How long a session that stopped saving keeps its key.
    pub session_expiry: f64,
    /// How far apart the servers' wall clocks may be, on a storage without a clock of its own.
    pub clock_tolerance: f64,
    /// How long to wait before asking for a locked key again, and after a first failure.
    pub session_retry_cooldown: f64,
    /// What the wait doubles up to while a storage keeps failing.
    pub session_retry_ceiling: f64,
    /// How long a request may go unanswered before it counts as failed with unknown effect.
    pub request_timeout: f64,
    /// The largest document a host may write, reserved fields not counted, in bytes.
    pub document_limit_bytes: usize,
    /// How many purchases a document remembers.
    pub purchase_history_limit: u32,
    /// The most requests that one update starts.
    pub requests_per_update: u32,
    /// The most requests under way at once.
    pub requests_in_flight: u32,
    /// The most bytes of documents that one update reads or writes; one document always passes.
    pub bytes_per_update: usize,
    /// The storage is read but never written: what would be written is kept beside it.
    pub read_only_data_stores: bool,
    /// The steps of each session are logged, and errors that no host hears are logged in full.
    pub verbose_logs: bool,
    /// The seed's `PlaceId`: which game, for people who read the document.
    pub place_id: i64,
    /// The seed's `JobId`: which server, for people who read the document.
    pub job_id: Box<str>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            save_data_version: 1,
            save_data_version_patch: 0.0,
            maintain_session_period: 300.0,
            session_expiry: 1800.0,
            clock_tolerance: 300.0,
            session_retry_cooldown: 10.0,
            session_retry_ceiling: 120.0,
            request_timeout: 30.0,
            document_limit_bytes: save_data::DEFAULT_LIMIT_BYTES,
            purchase_history_limit: 100,
            requests_per_update: 48,
            requests_in_flight: 4096,
            bytes_per_update: 256 * 1024,
            read_only_data_stores: false,
            verbose_logs: false,
            place_id: 0,
            job_id: "".into(),
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConfigError {
    /// A value is outside its range.
    #[error("{field} is {value}, but must be {range}")]
    OutOfRange {
        /// The seed's name of the value.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// A session would run out before it is saved again.
    #[error(
        "maintain_session_period ({period} s) + 2 x request_timeout ({timeout} s) + lease margin \
         ({margin} s) must be less than session_expiry ({expiry} s): a session would expire before \
         it is saved again"
    )]
    ExpiryTooShort {
        /// `MaintainSessionPeriod`.
        period: f64,
        /// The request timeout.
        timeout: f64,
        /// The lease margin.
        margin: f64,
        /// `SessionExpiry`.
        expiry: f64,
    },
}

impl Config {
    /// Refuses what cannot work, naming the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("maintain_session_period", self.maintain_session_period),
            ("session_expiry", self.session_expiry),
            ("session_retry_cooldown", self.session_retry_cooldown),
            ("session_retry_ceiling", self.session_retry_ceiling),
            ("request_timeout", self.request_timeout),
        ] {
            check_range(field, value, is_period(value), SECONDS)?;
        }
        let tolerance = self.clock_tolerance;
        let tolerance_fits = (0.0..=1e9).contains(&tolerance);
        check_range(
            "clock_tolerance",
            tolerance,
            tolerance_fits,
            "0 to 1e9 seconds",
        )?;
        let version = self.save_data_version;
        check_range(
            "save_data_version",
            version.into(),
            version >= 1,
            "1 or more",
        )?;
        let patch = self.save_data_version_patch;
        check_range(
            "save_data_version_patch",
            patch,
            patch.is_finite(),
            "a finite number",
        )?;
        for (field, value) in [
            ("requests_per_update", self.requests_per_update),
            ("requests_in_flight", self.requests_in_flight),
            ("purchase_history_limit", self.purchase_history_limit),
        ] {
            check_range(field, value.into(), value >= 1, "1 or more")?;
        }
        let bytes = self.bytes_per_update;
        check_range("bytes_per_update", bytes as f64, bytes >= 1, "1 or more")?;
        let limit = self.document_limit_bytes;
        let limit_fits = (64..=(1 << 30)).contains(&limit);
        check_range(
            "document_limit_bytes",
            limit as f64,
            limit_fits,
            "64 bytes to 1 GiB",
        )?;
        let (period, timeout) = (self.maintain_session_period, self.request_timeout);
        let (margin, expiry) = (self.lease_margin(), self.session_expiry);
        if period + 2.0 * timeout + margin >= expiry {
            return Err(ConfigError::ExpiryTooShort {
                period,
                timeout,
                margin,
                expiry,
            });
        }
        Ok(())
    }

    /// A new document, given the configured version and limit; what is wrong with it otherwise.
    pub(crate) fn stamp_new(&self, mut data: SaveData) -> Result<SaveData, String> {
        data.set_version(self.save_data_version, self.save_data_version_patch);
        if data.set_limit_bytes(self.document_limit_bytes) {
            return Ok(data);
        }
        let (size, limit) = (data.size_bytes(), data.limit_bytes());
        Err(format!(
            "the new document has {size} bytes, but the limit is {limit}"
        ))
    }

    /// How long before `SessionExpiry` a session stops counting itself as the owner.
    pub fn lease_margin(&self) -> f64 {
        self.request_timeout.max(self.session_expiry / 20.0)
    }

    /// The most that one step of a blocking wait lets pass: half of the least margin that an owner leaves whose
    /// sessions expire as soon.
    pub fn longest_step(&self) -> f64 {
        self.session_expiry / 40.0
    }

    /// For how long a request may wait for the storage's limits before it is handed over. The rest of
    /// `request_timeout` is the storage's, and a refusal comes while it is still waited for.
    pub fn patience(&self) -> f64 {
        self.request_timeout / 2.0
    }

    /// When the lease ends that a commit handed over at `from` gives.
    pub fn lease_end(&self, from: f64) -> f64 {
        from + self.session_expiry - self.lease_margin()
    }

    /// From when on a save of that lease is put off no longer.
    pub fn last_call(&self, from: f64) -> f64 {
        self.lease_end(from) - 2.0 * self.request_timeout
    }

    /// How long to wait after the `failures`th failure in a row; `chance` is uniform in 0 to 1.
    pub fn retry_delay(&self, failures: u32, chance: f64) -> f64 {
        let doublings = failures.saturating_sub(1).min(30);
        let delay = self.session_retry_cooldown * f64::from(1u32 << doublings);
        let ceiling = self.session_retry_ceiling.max(self.session_retry_cooldown);
        delay.min(ceiling) * (1.0 - 0.2 * chance)
    }
}

/// The range of [`is_period`], in words.
pub(super) const SECONDS: &str = "more than 0 and at most 1e9 seconds";

/// Whether so many seconds can be waited for.
pub(super) fn is_period(seconds: f64) -> bool {
    seconds > 0.0 && seconds <= 1e9
}

pub(super) fn check_range(
    field: &'static str,
    value: f64,
    fits: bool,
    range: &'static str,
) -> Result<(), ConfigError> {
    if fits {
        Ok(())
    } else {
        Err(ConfigError::OutOfRange {
            field,
            value,
            range,
        })
    }
}
