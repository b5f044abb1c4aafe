//! Single calls, sampled: an idle frame, a field read and written, a document loaded and saved.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use divan::{Bencher, black_box};
use session_locker::easy::Signal;
use session_locker::locker::Config;
use session_locker::save_data::SaveData;
use session_locker::storage::Storage;
use session_locker::storage::memory::MemoryStorage;
use support::{Frames, Shop, c_store, document, load, receipt, store};

fn main() {
    divan::main();
}

/// An update with nothing to do, by the number of loaded sessions: flat. Each has a signal that is
/// heard; a purchase was processed, and remote changes were sent.
#[divan::bench(args = [100, 1_000, 10_000, 100_000])]
fn idle_frame(bencher: Bencher<'_, '_>, sessions: usize) {
    let (storage, frames) = (
        Arc::new(MemoryStorage::new()) as Arc<dyn Storage>,
        Frames::new(),
    );
    let store = store(&storage, 200, Config::default());
    let profiles = load(&store, &frames, sessions);
    for profile in &profiles {
        let heard = profile.connect(Signal::Saved, false, Arc::new(|_| {}));
        heard.expect("a connection");
    }
    let bought =
        profiles[0].call_when_product_is_processed_and_saved(Arc::new(Shop), receipt(1), None);
    bought.expect("a purchase");
    let change = r#"[{"K":"give_gold"}]"#;
    let sent = store.send_remote_changes("somebody else", change, None, None);
    sent.expect("a send");
    (0..4).for_each(|_| store.update(frames.now()).expect("an update"));
    let now = frames.now();
    bencher.bench_local(|| store.update(black_box(now)));
}

/// An update while so many purchases wait for a session that is not there yet: flat.
#[divan::bench(args = [1, 10_000])]
fn idle_frame_with_waiting_purchases(bencher: Bencher<'_, '_>, purchases: usize) {
    let storage = Arc::new(MemoryStorage::new()) as Arc<dyn Storage>;
    let frames = Frames::new();
    let store = store(&storage, 200, Config::default());
    let first = load(&store, &frames, 1).remove(0);
    let key = first.key().expect("a key");
    let second = store.start_session(&key, &[]).expect("a session");
    for number in 0..purchases {
        let shop = Arc::new(Shop);
        let asked = second.call_when_product_is_processed_and_saved(shop, receipt(number), None);
        asked.expect("a purchase");
    }
    (0..4).for_each(|_| store.update(frames.now()).expect("an update"));
    let now = frames.now();
    bencher.bench_local(|| store.update(black_box(now)));
}

#[divan::bench]
fn field_read_through_the_c_abi(bencher: Bencher<'_, '_>) {
    let data = c_store::loaded_data();
    bencher.bench_local(|| c_store::read_gold(black_box(data)));
}

#[divan::bench]
fn field_write_through_the_c_abi(bencher: Bencher<'_, '_>) {
    let data = c_store::loaded_data();
    let mut value = 0;
    bencher.bench_local(|| {
        value += 1;
        c_store::write_gold(black_box(data), value);
    });
}

#[divan::bench(args = [1_000, 50_000])]
fn parse(bencher: Bencher<'_, '_>, bytes: usize) {
    let stored = Bytes::from(document(bytes));
    bencher.bench_local(|| SaveData::parse(black_box(stored.clone()), 1 << 22));
}

/// A save after a change at top level.
#[divan::bench(args = [1_000, 50_000])]
fn encode_after_a_change(bencher: Bencher<'_, '_>, bytes: usize) {
    let mut data = SaveData::from_json(&document(bytes), 1 << 22).expect("a document");
    let mut value = 0;
    bencher.bench_local(|| {
        value += 1;
        data.set_i64("/Gold", value).expect("a write");
        data.encode(None)
    });
}
