//! The end of a host that has come to its senses: what is held back is answered, sessions are released,
//! and everything is destroyed. Nothing is left then, and nothing was forgotten.

use session_locker::ffi::*;

use super::arguments::Out;
use super::check::{Begun, call};
use super::host_storage::let_all_go;
use super::on_locker::{USE_KEYS, end_sender};
use super::on_process;
use super::on_purchases::end_purchaser;
use super::on_save_data::{destroyed, ending};
use super::world::{Handle, KINDS, Kind, Picked, Standing, world};

/// Longer than the longest send is tried.
const DRAIN_S: f64 = 100_000.0;

/// How often lockers are updated until they are idle.
const FRAMES: usize = 3000;

/// Ends everything. The input is over, so callbacks do what they should.
pub fn come_to_an_end() {
    world(|world| {
        world.script = Default::default();
        world.skew = 0.0;
        assert_eq!(world.depth, 0);
    });
    on_process::restore();
    what_was_freed_names_nothing();
    let_all_go();
    for store in alive::<SlEasyStore>() {
        drained(&store);
    }
    lockers_are_released();
    for purchaser in alive::<SlProductPurchaser>() {
        end_purchaser(&purchaser);
    }
    for sender in alive::<SlRemoteChangeSender>() {
        end_sender(&sender);
    }
    for store in alive::<SlEasyStore>() {
        ending(&store);
        let status = call!(easy_store_destroy(store;;) or &[]);
        destroyed(&store, status);
    }
    everything_else_is_destroyed();
    nothing_is_forgotten();
}

/// The handles of a kind that the host still has.
fn alive<T: Handle>() -> Vec<Picked<T>> {
    let all = world(|world| world.all(T::KIND)).into_iter();
    all.map(Picked::of).collect()
}

/// Asks for each handle that was freed, by a function that would succeed if it named something; that it
/// must not, [`Begun`] knows.
fn what_was_freed_names_nothing() {
    macro_rules! ask {
        ($($type:ty: $function:ident($($value:expr),*)),* $(,)?) => {
            $(for freed in world(|world| world.freed(<$type>::KIND)) {
                let handle = Picked::<$type>::of(freed);
                call!($function(handle; $($value),*;) or &[]);
            })*
        };
    }
    ask!(
        SlStorageRequest: storage_request_failed(SL_REQUEST_ERROR_MISC, std::ptr::null(), 0, 0.0),
        SlSaveData: save_data_destroy(),
        SlSaveDataBackup: save_data_backup_destroy(),
        SlStorage: locker_storage_destroy(),
        SlMigratorBuilder: migrator_builder_destroy(),
        SlMigrators: migrators_destroy(),
        SlEasyStore: easy_store_close(),
        SlProfile: profile_end_session(),
        SlSignalConnection: signal_connection_disconnect(),
        SlSavedConnection: saved_connection_disconnect(),
        SlDrainReport: drain_report_destroy(),
        SlLockerSpec: locker_spec_destroy(),
        SlLocker: locker_destroy(),
        SlRemoteChangeSender: remote_change_sender_destroy(),
        SlProductPurchaser: product_purchaser_destroy(),
        SlPendingProductPurchase: pending_product_purchase_destroy(),
    );
}

/// A drain ends, and with a storage that answers it leaves nothing.
fn drained(store: &Picked<SlEasyStore>) {
    let mut report = Out::<*mut SlDrainReport>::new(false);
    let status = call!(easy_store_drain(store; DRAIN_S; report) or &[]);
    assert_eq!(status, SL_OK);
    let report = report.value(status).expect("a report").addr();
    world(|world| world.keep(Kind::Report, report, 0, super::world::NOTHING));
    let report = world(|world| world.find(Kind::Report, report)).expect("it was kept");
    let report = Picked::<SlDrainReport>::of(report);
    let (mut unsaved, mut unsent) = (Out::<usize>::new(false), Out::<usize>::new(false));
    let mut is_closed = Out::<i32>::new(false);
    let status = call!(drain_report_unsaved_count(report;; unsaved) or &[]);
    assert_eq!(unsaved.value(status), Some(0), "a session is not released");
    let status = call!(drain_report_unsent_count(report;; unsent) or &[]);
    assert_eq!(unsent.value(status), Some(0), "a send has not ended");
    let status = call!(easy_store_is_closed(store;; is_closed) or &[]);
    assert_eq!(is_closed.value(status), Some(1), "it is not closed");
}

/// Lockers that nobody wants come to rest, and purchases are answered on the way.
fn lockers_are_released() {
    for locker in alive::<SlLocker>() {
        for use_key in USE_KEYS {
            call!(locker_mark_should_release(locker; use_key;) or &[&[SL_ERROR_NOT_ACTIVE]]);
        }
    }
    for _ in 0..FRAMES {
        world(|world| world.now += 2.0);
        let now = world(|world| world.now);
        for purchaser in alive::<SlProductPurchaser>() {
            call!(product_purchaser_update(purchaser; now;) or &[]);
        }
        let mut is_quiet = true;
        for locker in alive::<SlLocker>() {
            let mut should_remove = Out::<i32>::new(false);
            let status = call!(locker_update(locker; now; should_remove)
                or &[&[SL_ERROR_NOT_ACTIVE]]);
            is_quiet &= should_remove.value(status) != Some(0);
        }
        if is_quiet {
            break;
        }
    }
    for locker in alive::<SlLocker>() {
        ending(&locker);
        let status = call!(locker_destroy(locker;;) or &[]);
        assert_eq!(status, SL_OK, "a locker that nobody wants is not idle");
        destroyed(&locker, status);
    }
}

macro_rules! destroy_all {
    ($($type:ty: $destroy:ident),* $(,)?) => {
        $(for handle in alive::<$type>() {
            ending(&handle);
            let status = call!($destroy(handle;;) or &[&[SL_ERROR_UNSUPPORTED]]);
            assert!(status == SL_OK || handle.standing != Standing::Live, "{status}");
            destroyed(&handle, status);
        })*
    };
}

fn everything_else_is_destroyed() {
    destroy_all!(
        SlSaveDataBackup: save_data_backup_destroy,
        SlProfile: profile_destroy,
        SlSignalConnection: signal_connection_disconnect,
        SlSavedConnection: saved_connection_destroy,
        SlDrainReport: drain_report_destroy,
        SlLockerSpec: locker_spec_destroy,
        SlMigrators: migrators_destroy,
        SlMigratorBuilder: migrator_builder_destroy,
        SlPendingProductPurchase: pending_product_purchase_destroy,
        SlSaveData: save_data_destroy,
        SlStorage: locker_storage_destroy,
    );
}

/// What was accepted was dropped once, and answered once if it was to be.
fn nothing_is_forgotten() {
    world(|world| {
        for handed in &world.handed {
            let is_accepted = handed.is_accepted == Some(true);
            let drops = u32::from(is_accepted && handed.has_drop);
            assert_eq!(handed.drops, drops, "{handed:?}");
            let is_owed = is_accepted && handed.is_answered && !handed.is_given_up;
            assert!(
                !is_owed || handed.answers == 1,
                "never answered: {handed:?}"
            );
        }
        for kind in KINDS {
            let left = world.all(kind);
            let sure = left.iter().find(|known| known.standing == Standing::Live);
            assert!(sure.is_none(), "{sure:x?} is left");
        }
    });
}
