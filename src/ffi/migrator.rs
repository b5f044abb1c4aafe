//! `SlMigratorBuilder` and `SlMigrators`: the host's functions that bring old save data to the
//! current version.

use std::ffi::c_void;
use std::sync::Arc;

use parking_lot::Mutex;

use super::boundary::boundary;
use super::callback::{SlDrop, UserData};
use super::error::{FfiError, run_hook};
use super::handle::{self, Kind};
use super::save_data::{SlSaveData, lend_draft};
use super::status::*;
use crate::migration::{MigrationError, MigratorBuilder, MigratorError, Migrators};
use crate::save_data::SaveData;

/// Collects migrators and patchers, and checks that they fit together. It stays usable after
/// `migrator_builder_build`, until `migrator_builder_destroy`.
pub struct SlMigratorBuilder(());
handle_kind!(
    SlMigratorBuilder,
    Kind::MigratorBuilder,
    Mutex<MigratorBuilder>
);

/// Migrators and patchers that fit together, ready for a store or a locker spec. It never changes;
/// what was created with it keeps it alive.
pub struct SlMigrators(());
handle_kind!(SlMigrators, Kind::Migrators, Migrators);

/// Brings save data from one version to the next, by writing to `data`: a draft, which is valid
/// until the function returns, and of which nothing is kept if it fails. `*version_patch` is 0 and
/// may be set to the new `VersionPatch`.
///
/// It may run again on the same save data, on any thread that calls in, and must depend on that
/// save data alone. Any other status than SL_OK is a failure: the save data is then neither loaded
/// nor changed, and the load status, or the error, has the message of
/// `session_locker_set_hook_error`.
pub type SlMigrator = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        data: *mut SlSaveData,
        version_patch: *mut f64,
    ) -> SlStatus,
>;

/// Mends save data within its version: as SlMigrator, but `*version_patch` is that of the save data
/// when it begins, and stays so unless it is set.
pub type SlPatcher = SlMigrator;

type Step = unsafe extern "C" fn(*mut c_void, *mut SlSaveData, *mut f64) -> SlStatus;

impl From<MigratorError> for FfiError {
    fn from(error: MigratorError) -> Self {
        Self::new(SL_ERROR_MIGRATION, error.to_string())
    }
}

impl From<MigrationError> for FfiError {
    fn from(error: MigrationError) -> Self {
        Self::new(SL_ERROR_MIGRATION, error.to_string())
    }
}

/// Makes an empty builder. Free it with `migrator_builder_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_create(builder: *mut *mut SlMigratorBuilder) -> SlStatus {
    boundary(|| {
        let builder = out!(builder);
        builder.set(handle::insert(Arc::new(Mutex::default()))?);
        Ok(())
    })
}

/// Adds the migrator from version `from` to `from + 1`. Version 0 is that of save data that does
/// not say its own.
///
/// `user_data` is passed to the migrator. When this returns SL_OK it is the builder's: `drop` (may
/// be NULL) is called with it once, when the builder and everything built from it are destroyed.
/// Otherwise it stays the host's. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (no migrator), SL_ERROR_MIGRATION
/// (there is one from this version already, or no version after it).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_add_migrator_from(
    builder: *mut SlMigratorBuilder,
    from: u32,
    migrator: SlMigrator,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let builder = handle::get(builder)?;
        let migrator = migrator.ok_or_else(|| FfiError::argument("migrator", "is NULL"))?;
        let user_data = UserData::new(user_data, drop);
        let held = Arc::clone(&user_data);
        let run = move |data: &mut SaveData| run_step(migrator, &held, data, 0.0);
        builder.lock().add_migrator_from(from, Arc::new(run))?;
        user_data.accept();
        Ok(())
    })
}

/// Adds the patcher for save data that is stored in `version`. It runs before any migrator.
///
/// All else, and errors, as for `migrator_builder_add_migrator_from`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_add_patcher_for(
    builder: *mut SlMigratorBuilder,
    version: u32,
    patcher: SlPatcher,
    user_data: *mut c_void,
    drop: SlDrop,
) -> SlStatus {
    boundary(|| {
        let builder = handle::get(builder)?;
        let patcher = patcher.ok_or_else(|| FfiError::argument("patcher", "is NULL"))?;
        let user_data = UserData::new(user_data, drop);
        let held = Arc::clone(&user_data);
        let run = move |data: &mut SaveData, patch| run_step(patcher, &held, data, patch);
        builder.lock().add_patcher_for(version, Arc::new(run))?;
        user_data.accept();
        Ok(())
    })
}

/// Checks that `current` (1 or more) is the version the migrators lead to. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_MIGRATION (it is below 1, the migrator to it is
/// missing, or one leads beyond it).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_check_version(
    builder: *const SlMigratorBuilder,
    current: u32,
) -> SlStatus {
    boundary(|| Ok(handle::get(builder)?.lock().check_version(current)?))
}

/// Gives the migrators and patchers added so far. The host frees `migrators` with
/// `migrators_destroy`. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_MIGRATION (a migrator is
/// missing between two others, or a patcher is for a version that none leads to).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_build(
    builder: *const SlMigratorBuilder,
    migrators: *mut *mut SlMigrators,
) -> SlStatus {
    boundary(|| {
        let builder = handle::get(builder)?;
        let migrators = out!(migrators);
        let built = builder.lock().build()?;
        migrators.set(handle::insert(Arc::new(built))?);
        Ok(())
    })
}

/// Frees a builder; what was built from it stays. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrator_builder_destroy(builder: *mut SlMigratorBuilder) -> SlStatus {
    boundary(|| {
        handle::remove(builder)?;
        Ok(())
    })
}

/// Brings a save data of the host's own, made by `save_data_create` or `save_data_parse`, to
/// `to_version`, as a locker does when it loads: the patcher for its own version, then the migrators
/// one after another. All of it or nothing. For tools and tests; a locker that was given the
/// migrators needs no such call.
///
/// The migrators run on this thread, on a draft; `data` is as it was until the last one has
/// succeeded, and what others write to it meanwhile is overwritten then. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE; SL_ERROR_UNSUPPORTED (the save data of a session, or a draft);
/// SL_ERROR_MIGRATION (no migrators lead from its version to that one, or one failed; the message
/// says which and why).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrators_migrate(
    migrators: *const SlMigrators,
    data: *mut SlSaveData,
    to_version: u32,
) -> SlStatus {
    boundary(|| {
        let migrators = handle::get(migrators)?;
        let data = handle::get_owned(data)?;
        let mut migrated = data.read(|data| data.clone());
        migrators.migrate(&mut migrated, to_version)?;
        data.replace(migrated);
        Ok(())
    })
}

/// Frees migrators; what was created with them keeps its own. Any thread. Errors:
/// SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrators_destroy(migrators: *mut SlMigrators) -> SlStatus {
    boundary(|| {
        handle::remove(migrators)?;
        Ok(())
    })
}

/// Runs the host's function on a draft of `data`, and gives the new version patch.
fn run_step(
    step: Step,
    user_data: &UserData,
    data: &mut SaveData,
    mut version_patch: f64,
) -> Result<f64, String> {
    let ran = lend_draft(data, |draft| {
        run_hook(|| {
            // SAFETY: the host gave the function for this purpose and this user data, which the
            // caller keeps alive; the draft and the number outlive the call.
            unsafe { step(user_data.pointer(), draft, &raw mut version_patch) }
        })
    });
    ran.map_err(|error| error.message)??;
    Ok(version_patch)
}
