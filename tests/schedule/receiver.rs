//! The hooks of a server that applies remote changes: it notes each in the document's `Effects`,
//! unless it fails or does not know the change, as it does every so often after having written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use session_locker::easy::StoreHooks;
use session_locker::locker::{HookAnswer, LockerHooks, SharedSaveData};
use session_locker::save_data::{RemoteChange, RemoteChangeId, SaveData};

pub struct Receiver {
    pub rng: Mutex<fastrand::Rng>,
    pub tokens: Arc<AtomicU64>,
    pub undone: Arc<Mutex<BTreeSet<u64>>>,
}

impl Receiver {
    fn apply(&self, data: &SharedSaveData, change: &RemoteChange) -> Result<HookAnswer, String> {
        let RemoteChangeId::Number(id) = change.id() else {
            return Err("the schedule's ids are numbers".to_owned());
        };
        let id = id.to_string();
        let written = data.write(|data| {
            if !data.contains("/Effects")? {
                data.set_json("/Effects", "[]")?;
            }
            data.append("/Effects", &id)
        });
        written.map_err(|error| error.to_string())?;
        let mut rng = self.rng.lock();
        if rng.u32(..4) > 0 {
            return Ok(HookAnswer::Applied);
        }
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let text = token.to_string();
        self.undone.lock().insert(token);
        let written = data.write(|data| data.append("/Log", &text));
        written.map_err(|error| error.to_string())?;
        match rng.bool() {
            true => Ok(HookAnswer::NotApplicable),
            false => Err("the hook gives up".to_owned()),
        }
    }
}

macro_rules! hooks {
    ($hooks:ident) => {
        impl $hooks for Receiver {
            fn create(&self, _: &str) -> Result<SaveData, String> {
                Err("the schedule has a template".to_owned())
            }

            fn process_remote_change(
                &self,
                _: &str,
                data: &Arc<SharedSaveData>,
                change: &RemoteChange,
            ) -> Result<HookAnswer, String> {
                self.apply(data, change)
            }

            fn has_process_remote_change(&self) -> bool {
                true
            }
        }
    };
}

hooks!(StoreHooks);
hooks!(LockerHooks);
