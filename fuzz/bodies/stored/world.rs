//! The world of a stored document: its storage, a host with every hook, and what the first line of the
//! input makes of them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use parking_lot::Mutex;
use session_locker::clock::Clock;
use session_locker::easy::{EasyStore, StoreHooks};
use session_locker::locker::{Config, HookAnswer, SharedSaveData, SpecOptions};
use session_locker::migration::{MigratorBuilder, Migrators};
use session_locker::save_data::{RemoteChange, SaveData, SaveDataError};
use session_locker::storage::memory::MemoryStorage;
use session_locker::storage::{Expected, Fetched, Operation, Outcome, Revision, Storage};

use super::super::support::{VirtualClock, ask};

/// What the first line asks for, by the letters that stand in it.
#[derive(Clone, Debug)]
pub struct Wishes(String);

impl Wishes {
    pub fn read(line: &[u8]) -> Self {
        Self(String::from_utf8_lossy(line).into_owned())
    }

    pub fn has(&self, letter: char) -> bool {
        self.0.contains(letter)
    }

    /// The version that the server writes: the first digit that is one.
    fn version(&self) -> u32 {
        let digits = self.0.chars().filter_map(|letter| letter.to_digit(10));
        digits.into_iter().find(|digit| *digit > 0).unwrap_or(1)
    }

    /// With `s` so small that many documents do not fit.
    pub fn limit_bytes(&self) -> usize {
        if self.has('s') { 128 } else { 1 << 20 }
    }

    pub fn config(&self) -> Config {
        Config {
            save_data_version: self.version(),
            document_limit_bytes: self.limit_bytes(),
            job_id: "here".into(),
            ..Config::default()
        }
    }

    /// With `m` from every version on, the last of which fails with `f`; with `p` a patcher.
    pub fn migrators(&self) -> Migrators {
        let mut builder = MigratorBuilder::new();
        let (version, fails) = (self.version(), self.has('f'));
        for from in (0..version).filter(|_| self.has('m')) {
            let is_last = from + 1 == version;
            let migrate = move |data: &mut SaveData| match note(data, "/Migrated", from.into()) {
                Ok(()) if !(is_last && fails) => Ok(f64::from(from) / 2.0),
                Ok(()) => Err("commanded to fail".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let added = builder.add_migrator_from(from, Arc::new(migrate));
            added.expect("one from each version");
        }
        if self.has('p') && (self.has('m') || version == 1) {
            let patch = |data: &mut SaveData, before: f64| {
                let noted = note(data, "/Patched", 1);
                noted.map_err(|error| error.to_string())?;
                Ok(before + 1.0)
            };
            let added = builder.add_patcher_for(version, Arc::new(patch));
            added.expect("the only one");
        }
        builder.build().expect("they fit together")
    }
}

/// Appends a number to a list, which is made if it is not there.
pub fn note(data: &mut SaveData, pointer: &str, number: i64) -> Result<(), SaveDataError> {
    if !data.contains(pointer)? {
        data.set_json(pointer, "[]")?;
    }
    data.append(pointer, &number.to_string())
}

/// A host that notes which remote changes it was offered.
pub struct Host {
    pub wishes: Wishes,
    pub offers: Mutex<Vec<Offer>>,
    /// Whether the hook before the last save has failed.
    pub is_put_off: AtomicBool,
}

/// A remote change that was offered.
#[derive(Clone, Debug)]
pub struct Offer {
    pub json: String,
    pub is_applied: bool,
}

impl Host {
    pub fn new(wishes: &Wishes) -> Arc<Self> {
        Arc::new(Self {
            wishes: wishes.clone(),
            offers: Mutex::default(),
            is_put_off: AtomicBool::new(false),
        })
    }
}

impl StoreHooks for Shared {
    fn create(&self, _: &str) -> Result<SaveData, String> {
        Err("there is a template".to_owned())
    }

    /// With `x` every third fails, with `n` every third cannot be applied; all of them after writing.
    fn process_remote_change(
        &self,
        _: &str,
        data: &Arc<SharedSaveData>,
        change: &RemoteChange,
    ) -> Result<HookAnswer, String> {
        let host = &self.0;
        let count = host.offers.lock().len();
        let written = data.write(|data| note(data, "/Applied", 1));
        let answer = match (count % 3, written) {
            (0, _) if host.wishes.has('x') => Err("commanded to fail".to_owned()),
            (1, _) if host.wishes.has('n') => Ok(HookAnswer::NotApplicable),
            (_, Ok(())) => Ok(HookAnswer::Applied),
            (_, Err(error)) => Err(error.to_string()),
        };
        host.offers.lock().push(Offer {
            json: change.json().to_owned(),
            is_applied: answer == Ok(HookAnswer::Applied),
        });
        answer
    }

    fn has_process_remote_change(&self) -> bool {
        self.0.wishes.has('r')
    }

    fn merge_offline(
        &self,
        _: &str,
        mut offline: SaveData,
        data: &Arc<SharedSaveData>,
    ) -> Result<(), String> {
        let offline = offline
            .get_json("/Gold")
            .map_err(|error| error.to_string())?;
        let merged = data.write(|data| data.set_json("/Offline", &offline));
        merged.map_err(|error| error.to_string())
    }

    fn has_merge_offline(&self) -> bool {
        self.0.wishes.has('o')
    }

    fn hears_events(&self) -> bool {
        false
    }
}

/// The host as a store has it.
pub struct Shared(pub Arc<Host>);

/// A storage that answers at once.
pub struct Records(Arc<MemoryStorage>);

impl Records {
    pub fn new(clock: &Arc<VirtualClock>, wishes: &Wishes) -> Self {
        let told = Arc::clone(clock);
        Self(Arc::new(match wishes.has('t') {
            true => MemoryStorage::with_clock(Arc::new(move || told.wall())),
            false => MemoryStorage::new(),
        }))
    }

    /// The bytes of a record and its revision; nothing without one.
    pub fn look(&self, key: &str) -> Option<(Bytes, Revision)> {
        let key = Arc::from(key);
        match ask(&*self.0, Operation::Fetch { key }).result {
            Ok(Outcome::Fetched(Fetched::Present {
                bytes, revision, ..
            })) => Some((bytes, revision)),
            Ok(Outcome::Fetched(Fetched::Absent { .. })) => None,
            other => panic!("a fetch was answered with {other:?}"),
        }
    }

    /// Writes a record, whatever is there.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let before = self.look(key);
        let commit = Operation::Commit {
            key: key.into(),
            expected: before.map_or(Expected::Absent(None), |(_, revision)| {
                Expected::Present(revision)
            }),
            bytes: Bytes::copy_from_slice(bytes),
            user_ids: Arc::new([]),
        };
        let reply = ask(&*self.0, commit);
        assert!(matches!(reply.result, Ok(Outcome::Committed(_))));
    }

    /// A server on these records.
    pub fn store(&self, clock: &Arc<VirtualClock>, seed: u64, host: &Arc<Host>) -> EasyStore {
        let wishes = &host.wishes;
        let options = SpecOptions {
            config: wishes.config(),
            migrators: wishes.migrators(),
            template: Some(SaveData::from_json(r#"{"Gold":0}"#, 1 << 10).expect("a template")),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            seed,
            polls_events: false,
        };
        let storage = Arc::clone(&self.0) as Arc<dyn Storage>;
        EasyStore::new(storage, options, Box::new(Shared(Arc::clone(host)))).expect("a store")
    }
}
