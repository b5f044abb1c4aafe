//! Migrators and patchers: which run, in which order, and what happens when one fails.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use session_locker::migration::{
    MigrationError, MigrationStep, Migrator, MigratorBuilder, MigratorError, Migrators, Patcher,
};
use session_locker::save_data::{DEFAULT_LIMIT_BYTES, SaveData};

fn document(version: u32, version_patch: f64) -> SaveData {
    let version = match version {
        0 => String::new(),
        version => format!("\"Version\":{version},"),
    };
    let text = format!(r#"{{{version}"VersionPatch":{version_patch},"Gold":5}}"#);
    SaveData::parse(Bytes::from(text), DEFAULT_LIMIT_BYTES).unwrap()
}

fn migrator(run: fn(&mut SaveData) -> Result<f64, String>) -> Migrator {
    Arc::new(run)
}

fn patcher(run: fn(&mut SaveData, f64) -> Result<f64, String>) -> Patcher {
    Arc::new(run)
}

fn nothing() -> Migrator {
    migrator(|_| Ok(0.0))
}

fn no_patch() -> Patcher {
    patcher(|_, patch| Ok(patch))
}

fn builder(from: &[u32]) -> MigratorBuilder {
    let mut builder = MigratorBuilder::new();
    for from in from {
        builder.add_migrator_from(*from, nothing()).unwrap();
    }
    builder
}

#[test]
fn migrators_run_one_after_another_up_to_the_wanted_version() {
    let mut builder = MigratorBuilder::new();
    for from in 1..5 {
        let step = move |data: &mut SaveData| {
            assert_eq!(data.version(), from);
            data.add_i64("/Gold", i64::from(from) * 10).unwrap();
            Ok(f64::from(from) / 2.0)
        };
        builder.add_migrator_from(from, Arc::new(step)).unwrap();
    }
    let mut data = document(2, 7.0);
    let migrators = builder.build().unwrap();
    migrators.migrate(&mut data, 4).unwrap();
    assert_eq!((data.version(), data.version_patch()), (4, 1.5));
    assert_eq!(data.get_i64("/Gold"), Ok(5 + 20 + 30));
    let stored = data.encode(None);
    assert!(stored.starts_with(br#"{"Version":4,"VersionPatch":1.5,"#));
}

#[test]
fn the_patcher_of_the_documents_own_version_runs_first_and_no_other() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut builder = MigratorBuilder::new();
    for version in 1..4 {
        let seen = order.clone();
        let migrator = move |data: &mut SaveData| {
            seen.lock()
                .unwrap()
                .push(format!("from {version} at {}", data.version_patch()));
            Ok(0.0)
        };
        builder
            .add_migrator_from(version, Arc::new(migrator))
            .unwrap();
        let seen = order.clone();
        let patcher = move |_: &mut SaveData, patch| {
            seen.lock()
                .unwrap()
                .push(format!("patch {version} at {patch}"));
            Ok(patch + 1.0)
        };
        builder.add_patcher_for(version, Arc::new(patcher)).unwrap();
    }
    let mut data = document(2, 3.0);
    builder.build().unwrap().migrate(&mut data, 4).unwrap();
    assert_eq!(
        *order.lock().unwrap(),
        ["patch 2 at 3", "from 2 at 4", "from 3 at 0"]
    );
}

#[test]
fn a_document_of_the_wanted_version_is_only_patched() {
    let mut builder = builder(&[1]);
    let patch = patcher(|data, patch| {
        data.set_bool("/Patched", true).unwrap();
        Ok(patch + 1.0)
    });
    builder.add_patcher_for(2, patch).unwrap();
    let mut data = document(2, 1.0);
    builder.build().unwrap().migrate(&mut data, 2).unwrap();
    assert_eq!((data.version(), data.version_patch()), (2, 2.0));
    assert_eq!(data.get_bool("/Patched"), Ok(true));
}

#[test]
fn without_migrators_only_documents_of_the_wanted_version_are_accepted() {
    let migrators = Migrators::default();
    let mut data = document(3, 1.0);
    let before = data.to_json();
    assert_eq!(migrators.migrate(&mut data, 3), Ok(()));
    assert_eq!(data.to_json(), before);
    assert_eq!(data.change_count(), 0);
    assert!(migrators.migrate(&mut data, 4).is_err());
}

#[test]
fn a_document_of_a_newer_version_is_refused_untouched() {
    let mut builder = builder(&[1, 2]);
    let patch = patcher(|data, _| {
        data.set_i64("/Gold", 0)
            .map(|()| 9.0)
            .map_err(|e| e.to_string())
    });
    builder.add_patcher_for(3, patch).unwrap();
    let migrators = builder.build().unwrap();
    let mut data = document(3, 0.0);
    let before = data.to_json();
    assert_eq!(
        migrators.migrate(&mut data, 2),
        Err(MigrationError::InvalidVersion {
            found: 3,
            to_version: 2,
            minimum_server_version: 3
        })
    );
    assert_eq!(data.to_json(), before);
}

#[test]
fn a_document_that_no_migrators_lead_from_is_refused_with_the_version_it_gets_to() {
    let migrators = builder(&[3, 4]).build().unwrap();
    for (found, to_version, minimum_server_version) in [(2, 5, 2), (3, 7, 5), (6, 7, 6), (0, 5, 0)]
    {
        let mut data = document(found, 2.0);
        let before = data.to_json();
        assert_eq!(
            migrators.migrate(&mut data, to_version),
            Err(MigrationError::InvalidVersion {
                found,
                to_version,
                minimum_server_version
            })
        );
        assert_eq!(data.to_json(), before);
    }
}

#[test]
fn a_document_without_a_version_needs_a_migrator_from_0() {
    let mut data = document(0, 0.0);
    assert!(
        builder(&[1])
            .build()
            .unwrap()
            .migrate(&mut data, 2)
            .is_err()
    );
    builder(&[0, 1])
        .build()
        .unwrap()
        .migrate(&mut data, 2)
        .unwrap();
    assert_eq!(data.version(), 2);
}

#[test]
fn fault_8_a_migrator_that_fails_is_reported_and_leaves_the_document_as_it_was() {
    let mut builder = MigratorBuilder::new();
    let spoil: fn(&mut SaveData) -> Result<f64, String> = |data| {
        data.set_json("", r#"{"Spoiled":true}"#).unwrap();
        Ok(9.0)
    };
    builder.add_migrator_from(1, migrator(spoil)).unwrap();
    let fail = migrator(|data| {
        data.remove("/Spoiled").unwrap();
        Err("no inventory".into())
    });
    builder.add_migrator_from(2, fail).unwrap();
    let migrators = builder.build().unwrap();
    let mut data = document(1, 4.0);
    data.set_i64("/Gold", 6).unwrap();
    let before = data.to_json();
    let error = migrators.migrate(&mut data, 3).unwrap_err();
    assert_eq!(
        error,
        MigrationError::Failed {
            step: MigrationStep::MigratorFrom(2),
            message: "no inventory".into()
        }
    );
    assert_eq!(
        error.to_string(),
        "the migrator from version 2 failed: no inventory"
    );
    assert_eq!(data.to_json(), before);
    assert_eq!((data.version(), data.version_patch()), (1, 4.0));
    assert_eq!(data.change_count(), 1);
}

#[test]
fn fault_8_a_migrator_that_panics_is_reported_and_leaves_the_document_as_it_was() {
    let panics = migrator(|data| {
        data.set_i64("/Gold", 0).unwrap();
        panic!("out of cheese")
    });
    let mut builder = MigratorBuilder::new();
    builder.add_migrator_from(1, panics).unwrap();
    let mut data = document(1, 0.0);
    let before = data.to_json();
    match builder.build().unwrap().migrate(&mut data, 2).unwrap_err() {
        MigrationError::Failed { step, message } => {
            assert_eq!(step, MigrationStep::MigratorFrom(1));
            assert!(message.contains("out of cheese"), "{message}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(data.to_json(), before);
}

#[test]
fn fault_8_a_patcher_that_fails_is_reported_and_leaves_the_document_as_it_was() {
    for result in [Err("bad patch".to_owned()), Ok(f64::NAN), Ok(f64::INFINITY)] {
        let patcher = move |data: &mut SaveData, _| {
            data.set_i64("/Gold", 0).unwrap();
            result.clone()
        };
        let mut builder = MigratorBuilder::new();
        builder.add_patcher_for(1, Arc::new(patcher)).unwrap();
        let mut data = document(1, 0.0);
        let before = data.to_json();
        match builder.build().unwrap().migrate(&mut data, 1).unwrap_err() {
            MigrationError::Failed { step, .. } => {
                assert_eq!(step, MigrationStep::PatcherFor(1));
                assert_eq!(step.version(), 1);
            }
            other => panic!("{other}"),
        }
        assert_eq!(data.to_json(), before);
    }
}

#[test]
fn a_failed_migration_can_be_tried_again_with_a_mended_migrator() {
    let mut broken = MigratorBuilder::new();
    let fails = migrator(|_| Err("not yet".into()));
    broken.add_migrator_from(1, fails).unwrap();
    let mut data = document(1, 0.0);
    assert!(broken.build().unwrap().migrate(&mut data, 2).is_err());
    builder(&[1])
        .build()
        .unwrap()
        .migrate(&mut data, 2)
        .unwrap();
    assert_eq!(data.version(), 2);
}

#[test]
fn a_migrator_cannot_change_reserved_fields() {
    let forge = migrator(|data| match data.set_i64("/Version", 9) {
        Ok(()) => Ok(0.0),
        Err(error) => Err(error.to_string()),
    });
    let mut builder = MigratorBuilder::new();
    builder.add_migrator_from(1, forge).unwrap();
    let mut data = document(1, 0.0);
    let error = builder.build().unwrap().migrate(&mut data, 2).unwrap_err();
    assert!(error.to_string().contains("reserved"), "{error}");
}

#[test]
fn migrators_and_patchers_can_be_added_once_for_each_version() {
    let mut builder = builder(&[1]);
    assert_eq!(
        builder.add_migrator_from(1, nothing()),
        Err(MigratorError::DuplicateMigrator { from: 1 })
    );
    builder.add_patcher_for(1, no_patch()).unwrap();
    assert_eq!(
        builder.add_patcher_for(1, no_patch()),
        Err(MigratorError::DuplicatePatcher { version: 1 })
    );
    assert_eq!(
        builder.add_migrator_from(u32::MAX, nothing()),
        Err(MigratorError::InvalidVersion { version: u32::MAX })
    );
}

#[test]
fn a_gap_between_migrators_is_refused_by_version() {
    assert_eq!(
        builder(&[2, 3, 6, 7]).build().unwrap_err(),
        MigratorError::MissingMigrator { from: 4 }
    );
    assert!(builder(&[5, 3, 4]).build().is_ok());
}

#[test]
fn a_patcher_for_a_version_that_nothing_leads_to_is_refused() {
    for (from, version, last) in [(&[1, 2][..], 4, 3), (&[], 2, 1)] {
        let mut builder = builder(from);
        builder.add_patcher_for(last, no_patch()).unwrap();
        assert!(builder.build().is_ok());
        builder.add_patcher_for(version, no_patch()).unwrap();
        assert_eq!(
            builder.build().unwrap_err(),
            MigratorError::UnknownVersion { version, last }
        );
    }
}

#[test]
fn the_current_version_has_to_be_the_one_that_the_migrators_lead_to() {
    assert_eq!(builder(&[]).check_version(1), Ok(()));
    assert_eq!(builder(&[1, 2]).check_version(3), Ok(()));
    assert_eq!(
        builder(&[]).check_version(0),
        Err(MigratorError::InvalidVersion { version: 0 })
    );
    assert_eq!(
        builder(&[1]).check_version(3),
        Err(MigratorError::MissingMigrator { from: 2 })
    );
    assert_eq!(
        builder(&[]).check_version(2),
        Err(MigratorError::MissingMigrator { from: 1 })
    );
}

#[test]
fn fault_14_a_current_version_with_a_migrator_from_it_is_out_of_date() {
    for (from, current, first) in [
        (&[1, 2][..], 2, 2),
        (&[1, 2, 3], 2, 2),
        (&[1, 5], 2, 5),
        (&[1], 1, 1),
    ] {
        assert_eq!(
            builder(from).check_version(current),
            Err(MigratorError::OutOfDate {
                current,
                from: first
            })
        );
    }
}
