//! A store made through the C ABI, as a C host would.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::sync::Lazy;
use session_locker::ffi::*;

/// A handle: a number that threads may share.
#[derive(Clone, Copy)]
pub struct Data(usize);

static STORE: Lazy<usize> = Lazy::new(|| {
    let json = CString::new(super::document(1_000)).expect("no NUL");
    let (mut storage, mut store) = (null_mut(), null_mut());
    let mut config = MaybeUninit::<SlEasyStoreConfig>::uninit();
    // SAFETY: texts are live and end with NUL, outputs are places of their types.
    unsafe {
        let size = size_of::<SlEasyStoreConfig>();
        assert_eq!(easy_store_config_init(config.as_mut_ptr(), size), SL_OK);
        (*config.as_mut_ptr()).template_json = json.as_ptr();
        let url = c"memory:".as_ptr();
        assert_eq!(
            locker_storage_open(url, SL_NUL_TERMINATED, &raw mut storage),
            SL_OK
        );
        assert_eq!(
            easy_store_create(storage, config.as_ptr(), &raw mut store),
            SL_OK
        );
    }
    store.addr()
});

/// The save data of one more loaded profile of the one store.
pub fn loaded_data() -> Data {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let key = format!("Player_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let store = std::ptr::without_provenance::<SlEasyStore>(*STORE);
    let (mut profile, mut data) = (null_mut(), null_mut());
    let pointer = key.as_ptr().cast();
    // SAFETY: the key is a live text of its length, outputs are places of their types.
    unsafe {
        let started = easy_store_start_session(store, pointer, key.len(), null(), &raw mut profile);
        assert_eq!(started, SL_OK);
        assert_eq!(profile_wait_until_loaded(profile, 10.0), SL_OK);
        assert_eq!(profile_get_save_data(profile, &raw mut data), SL_OK);
    }
    Data(data.addr())
}

/// Reads a field at top level.
pub fn read_gold(data: Data) -> i64 {
    let data = std::ptr::without_provenance::<SlSaveData>(data.0);
    let mut value = 0;
    // SAFETY: the pointer is a live text of five bytes, the value a place for a number.
    let status = unsafe { save_data_get_i64(data, c"/Gold".as_ptr(), 5, &raw mut value) };
    assert_eq!(status, SL_OK);
    value
}

/// Writes a field at top level.
pub fn write_gold(data: Data, value: i64) {
    let data = std::ptr::without_provenance_mut::<SlSaveData>(data.0);
    // SAFETY: the pointer is a live text of five bytes.
    let status = unsafe { save_data_set_i64(data, c"/Gold".as_ptr(), 5, value) };
    assert_eq!(status, SL_OK);
}
