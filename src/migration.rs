//! Bringing a document from the version it was stored in to the host's own: patchers mend what an
//! earlier migrator or patcher of the same version got wrong, migrators go from one version to
//! the next. Migrating never leaves a document half done: it arrives, or is as it was.

#![forbid(unsafe_code)]

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thiserror::Error;

use crate::save_data::SaveData;

/// Brings the player's fields to the next version and returns the new `VersionPatch`. It may run
/// again on the same document and must depend on the document alone.
pub type Migrator = Arc<dyn Fn(&mut SaveData) -> Result<f64, String> + Send + Sync>;

/// Mends the player's fields within their version: is given the document's `VersionPatch` and
/// returns the new one. It may run again on the same document and must depend on it alone.
pub type Patcher = Arc<dyn Fn(&mut SaveData, f64) -> Result<f64, String> + Send + Sync>;

/// Collects migrators and patchers, and checks that they fit together.
#[derive(Clone, Default)]
pub struct MigratorBuilder {
    steps: Steps,
}

#[derive(Clone, Default)]
struct Steps {
    /// By the version that they start from.
    migrators: BTreeMap<u32, Migrator>,
    /// By the version that they mend.
    patchers: BTreeMap<u32, Patcher>,
}

impl MigratorBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the migrator from version `from` to `from + 1`. Version 0 is that of documents that do
    /// not say theirs.
    ///
    /// # Errors
    /// [`MigratorError::DuplicateMigrator`]; [`MigratorError::InvalidVersion`] when there is no
    /// version after `from`.
    pub fn add_migrator_from(
        &mut self,
        from: u32,
        migrator: Migrator,
    ) -> Result<(), MigratorError> {
        if from == u32::MAX {
            return Err(MigratorError::InvalidVersion { version: from });
        }
        if self.steps.migrators.contains_key(&from) {
            return Err(MigratorError::DuplicateMigrator { from });
        }
        self.steps.migrators.insert(from, migrator);
        Ok(())
    }

    /// Adds the patcher for documents that are stored in `version`.
    ///
    /// # Errors
    /// [`MigratorError::DuplicatePatcher`].
    pub fn add_patcher_for(&mut self, version: u32, patcher: Patcher) -> Result<(), MigratorError> {
        if self.steps.patchers.contains_key(&version) {
            return Err(MigratorError::DuplicatePatcher { version });
        }
        self.steps.patchers.insert(version, patcher);
        Ok(())
    }

    /// Checks that `current` is the version that the migrators lead to.
    ///
    /// # Errors
    /// [`MigratorError::InvalidVersion`] below 1; [`MigratorError::MissingMigrator`] when nothing
    /// leads to it; [`MigratorError::OutOfDate`] when a migrator leads beyond it.
    pub fn check_version(&self, current: u32) -> Result<(), MigratorError> {
        let migrators = &self.steps.migrators;
        if current < 1 {
            return Err(MigratorError::InvalidVersion { version: current });
        }
        if current > 1 && !migrators.contains_key(&(current - 1)) {
            return Err(MigratorError::MissingMigrator { from: current - 1 });
        }
        match migrators.range(current..).next() {
            Some((from, _)) => Err(MigratorError::OutOfDate {
                current,
                from: *from,
            }),
            None => Ok(()),
        }
    }

    /// The migrators and patchers added so far, ready to run.
    ///
    /// # Errors
    /// [`MigratorError::MissingMigrator`] for a gap between the first and the last migrator;
    /// [`MigratorError::UnknownVersion`] for a patcher of a version that no migrator leads to.
    pub fn build(&self) -> Result<Migrators, MigratorError> {
        let Steps {
            migrators,
            patchers,
        } = &self.steps;
        let mut expected = migrators.keys().next().copied().unwrap_or(1);
        for from in migrators.keys() {
            if *from != expected {
                return Err(MigratorError::MissingMigrator { from: expected });
            }
            expected = from + 1;
        }
        match patchers.keys().next_back() {
            Some(version) if *version > expected => Err(MigratorError::UnknownVersion {
                version: *version,
                last: expected,
            }),
            _ => Ok(Migrators(Arc::new(self.steps.clone()))),
        }
    }
}

impl fmt::Debug for MigratorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.fmt(f)
    }
}

/// Why migrators and patchers do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MigratorError {
    /// Versions count from 1 up.
    #[error("{version} is not a version to migrate from or to")]
    InvalidVersion {
        /// The version as given.
        version: u32,
    },
    /// There is a migrator from this version already.
    #[error("there is a migrator from version {from} already")]
    DuplicateMigrator {
        /// The version it starts from.
        from: u32,
    },
    /// There is a patcher for this version already.
    #[error("there is a patcher for version {version} already")]
    DuplicatePatcher {
        /// The version it mends.
        version: u32,
    },
    /// Without this migrator older documents cannot be brought further.
    #[error("the migrator from version {from} is missing")]
    MissingMigrator {
        /// The version it would start from.
        from: u32,
    },
    /// A migrator leads beyond the version that is said to be current.
    #[error(
        "there is a migrator from version {from}: the current version {current} is out of date"
    )]
    OutOfDate {
        /// The version as given.
        current: u32,
        /// Where the migrator starts from.
        from: u32,
    },
    /// A patcher is for a version that no migrator leads to.
    #[error("there is a patcher for version {version}, but the last version is {last}")]
    UnknownVersion {
        /// The version it mends.
        version: u32,
        /// The version that the migrators lead to.
        last: u32,
    },
}

/// Migrators and patchers that fit together. A copy is cheap; the default is none at all.
#[derive(Clone, Default)]
pub struct Migrators(Arc<Steps>);

/// Why a document cannot be used. It is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MigrationError {
    /// No migrators lead from the document's version to the host's.
    #[error(
        "the save data is of version {found} and cannot be brought to version {to_version}: \
         a server of version {minimum_server_version} or later is needed"
    )]
    InvalidVersion {
        /// The document's version; 0 when it does not say.
        found: u32,
        /// The version it was to be brought to.
        to_version: u32,
        /// The lowest version whose server could use the document.
        minimum_server_version: u32,
    },
    /// A migrator or patcher returned an error or panicked.
    #[error("{step} failed: {message}")]
    Failed {
        /// Which one.
        step: MigrationStep,
        /// What it said.
        message: String,
    },
}

/// One migrator or patcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationStep {
    /// The migrator from this version.
    MigratorFrom(u32),
    /// The patcher for this version.
    PatcherFor(u32),
}

impl MigrationStep {
    /// The version of the document when the step ran.
    pub fn version(self) -> u32 {
        match self {
            Self::MigratorFrom(version) | Self::PatcherFor(version) => version,
        }
    }
}

impl fmt::Display for MigrationStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MigratorFrom(version) => write!(f, "the migrator from version {version}"),
            Self::PatcherFor(version) => write!(f, "the patcher for version {version}"),
        }
    }
}

impl MigrationError {
    /// The lowest version whose server could use the document, where the version is what is wrong.
    pub fn minimum_server_version(&self) -> Option<u32> {
        match self {
            Self::InvalidVersion {
                minimum_server_version,
                ..
            } => Some(*minimum_server_version),
            Self::Failed { .. } => None,
        }
    }
}

impl Migrators {
    /// Whether a document of version `found` needs nothing done to be of `to_version`.
    pub fn is_current(&self, found: u32, to_version: u32) -> bool {
        found == to_version && !self.0.patchers.contains_key(&found)
    }

    /// Brings a document to `to_version`: first the patcher for the version it was stored in, then
    /// the migrators from one version to the next. Later versions' patchers do not run: their
    /// migrators are taken to be right by now.
    ///
    /// # Errors
    /// [`MigrationError`]; the document is then exactly as before.
    pub fn migrate(&self, data: &mut SaveData, to_version: u32) -> Result<(), MigrationError> {
        let found = data.version();
        self.check_way(found, to_version)?;
        let before = data.clone();
        let result = self.run(data, found, to_version);
        if result.is_err() {
            *data = before;
        }
        result
    }

    /// Refuses a document that cannot arrive, before any step runs.
    fn check_way(&self, found: u32, to_version: u32) -> Result<(), MigrationError> {
        let minimum_server_version = if found > to_version {
            Some(found)
        } else {
            (found..to_version).find(|version| !self.0.migrators.contains_key(version))
        };
        match minimum_server_version {
            None => Ok(()),
            Some(minimum_server_version) => Err(MigrationError::InvalidVersion {
                found,
                to_version,
                minimum_server_version,
            }),
        }
    }

    fn run(&self, data: &mut SaveData, from: u32, to: u32) -> Result<(), MigrationError> {
        if let Some(patcher) = self.0.patchers.get(&from) {
            let patch = data.version_patch();
            let step = MigrationStep::PatcherFor(from);
            let patch = run_step(step, data, |data| patcher(data, patch))?;
            data.set_version(from, patch);
        }
        for (version, migrator) in self.0.migrators.range(from..to) {
            let step = MigrationStep::MigratorFrom(*version);
            let patch = run_step(step, data, |data| migrator(data))?;
            data.set_version(version + 1, patch);
        }
        Ok(())
    }
}

impl fmt::Debug for Migrators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migrators")
            .field("migrators_from", &self.migrators.keys())
            .field("patchers_for", &self.patchers.keys())
            .finish()
    }
}

/// Runs host code. A panic is a failure like any other: the document is put back in both cases,
/// so nothing half done can be seen.
fn run_step(
    step: MigrationStep,
    data: &mut SaveData,
    host: impl FnOnce(&mut SaveData) -> Result<f64, String>,
) -> Result<f64, MigrationError> {
    let seal = data.seal();
    let result = catch_unwind(AssertUnwindSafe(|| host(data)))
        .unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(&*panic))));
    data.unseal(seal);
    let message = match result {
        Ok(patch) if patch.is_finite() => return Ok(patch),
        Ok(patch) => format!("it returned {patch} as the version patch"),
        Err(message) => message,
    };
    Err(MigrationError::Failed { step, message })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        _ => "with something that is not text",
    }
}
