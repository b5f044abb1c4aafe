//! The values of a configuration that the seed names `Default_*`: each can be asked for and set by
//! its name, in one configuration or as the default of the whole process.
//!
//! A process-wide default counts for configurations that are made from then on, with
//! [`Config::with_defaults`]; a configuration that sets the value itself overrides it.

use parking_lot::RwLock;

use super::config::{Config, ConfigError, SECONDS, check_range, is_period};

/// A value that the seed has a `Default_*` for. As a number: seconds, a count, or 0 and 1 for a
/// switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigValue {
    /// [`Config::verbose_logs`].
    VerboseLogs,
    /// [`Config::read_only_data_stores`].
    ReadOnlyDataStores,
    /// [`Config::maintain_session_period`].
    MaintainSessionPeriod,
    /// [`Config::session_expiry`].
    SessionExpiry,
    /// [`Config::session_retry_cooldown`].
    SessionRetryCooldown,
    /// [`Config::purchase_history_limit`].
    PurchaseHistoryLimit,
}

const ALL: [ConfigValue; 6] = [
    ConfigValue::VerboseLogs,
    ConfigValue::ReadOnlyDataStores,
    ConfigValue::MaintainSessionPeriod,
    ConfigValue::SessionExpiry,
    ConfigValue::SessionRetryCooldown,
    ConfigValue::PurchaseHistoryLimit,
];

/// What hosts have set, in the order of [`ALL`]; the others are as documented.
static SET: RwLock<[Option<f64>; ALL.len()]> = RwLock::new([None; ALL.len()]);

impl ConfigValue {
    /// The seed's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerboseLogs => "VerboseLogs",
            Self::ReadOnlyDataStores => "ReadOnlyDataStores",
            Self::MaintainSessionPeriod => "MaintainSessionPeriod",
            Self::SessionExpiry => "SessionExpiry",
            Self::SessionRetryCooldown => "SessionRetryCooldown",
            Self::PurchaseHistoryLimit => "PurchaseHistoryLimit",
        }
    }

    /// The process-wide default.
    pub fn default_value(self) -> f64 {
        Config::with_defaults().query(self)
    }

    /// Sets the process-wide default. Refuses what no configuration could have; whether the values
    /// fit together is seen where a configuration is used.
    pub fn set_default(self, value: f64) -> Result<(), ConfigError> {
        self.check(value)?;
        SET.write()[self as usize] = Some(value);
        Ok(())
    }

    fn check(self, value: f64) -> Result<(), ConfigError> {
        let (fits, range) = match self {
            Self::VerboseLogs | Self::ReadOnlyDataStores => {
                (value == 0.0 || value == 1.0, "0 or 1")
            }
            Self::MaintainSessionPeriod | Self::SessionExpiry | Self::SessionRetryCooldown => {
                (is_period(value), SECONDS)
            }
            Self::PurchaseHistoryLimit => {
                let is_count = (1.0..=f64::from(u32::MAX)).contains(&value);
                (
                    is_count && value.fract() == 0.0,
                    "a whole number from 1 to 2^32 - 1",
                )
            }
        };
        check_range(self.name(), value, fits, range)
    }
}

impl Config {
    /// The documented defaults, with the process-wide ones in place of those that a host has set.
    pub fn with_defaults() -> Self {
        let mut config = Self::default();
        let set = *SET.read();
        for (value, set) in ALL.into_iter().zip(set) {
            if let Some(set) = set {
                config.put(value, set);
            }
        }
        config
    }

    /// The value, as a number.
    pub fn query(&self, value: ConfigValue) -> f64 {
        match value {
            ConfigValue::VerboseLogs => self.verbose_logs.into(),
            ConfigValue::ReadOnlyDataStores => self.read_only_data_stores.into(),
            ConfigValue::MaintainSessionPeriod => self.maintain_session_period,
            ConfigValue::SessionExpiry => self.session_expiry,
            ConfigValue::SessionRetryCooldown => self.session_retry_cooldown,
            ConfigValue::PurchaseHistoryLimit => self.purchase_history_limit.into(),
        }
    }

    /// Puts a checked value in its place.
    fn put(&mut self, value: ConfigValue, number: f64) {
        match value {
            ConfigValue::VerboseLogs => self.verbose_logs = number == 1.0,
            ConfigValue::ReadOnlyDataStores => self.read_only_data_stores = number == 1.0,
            ConfigValue::MaintainSessionPeriod => self.maintain_session_period = number,
            ConfigValue::SessionExpiry => self.session_expiry = number,
            ConfigValue::SessionRetryCooldown => self.session_retry_cooldown = number,
            ConfigValue::PurchaseHistoryLimit => self.purchase_history_limit = number as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_in_its_own_place() {
        for (place, value) in ALL.into_iter().enumerate() {
            assert_eq!(value as usize, place);
            let mut config = Config::default();
            let other = if config.query(value) == 1.0 { 0.0 } else { 1.0 };
            config.put(value, other);
            assert_eq!(config.query(value), other, "{}", value.name());
        }
    }

    #[test]
    fn what_no_configuration_could_have_is_refused_by_its_name() {
        for value in ALL {
            let is_count = value == ConfigValue::PurchaseHistoryLimit;
            let fraction = if is_count { 1.5 } else { -0.5 };
            for number in [f64::NAN, f64::INFINITY, -1.0, 1e10, fraction] {
                let refused = value.check(number).unwrap_err().to_string();
                let said = format!("{} is {number}, but must be ", value.name());
                assert!(refused.starts_with(&said), "{refused}");
            }
            assert_eq!(value.check(1.0), Ok(()));
        }
    }
}
