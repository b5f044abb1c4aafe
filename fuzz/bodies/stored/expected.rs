//! What must become of a stored document, told without a store.

use bytes::Bytes;
use session_locker::locker::LoadStatus;
use session_locker::migration::MigrationError;
use session_locker::save_data::{Purchase, Reserved, SaveData};

use super::super::{json, reserved};
use super::world::{Offer, Wishes};

/// How loading a document ends, once nobody owns its key any more.
pub enum Loads {
    /// It is loaded, as this document.
    As(Box<SaveData>),
    /// It is left alone.
    Never(LoadStatus),
}

impl Loads {
    pub fn of(bytes: &Bytes, wishes: &Wishes) -> Self {
        let config = wishes.config();
        let Ok(mut data) = SaveData::parse(bytes.clone(), config.document_limit_bytes) else {
            return Self::Never(LoadStatus::CorruptData);
        };
        let migrators = wishes.migrators();
        let (from, to) = (data.version(), config.save_data_version);
        let loads = match migrators.migrate(&mut data, to) {
            Ok(()) => Self::As(Box::new(data)),
            Err(MigrationError::InvalidVersion { .. }) => Self::Never(LoadStatus::InvalidVersion),
            Err(MigrationError::Failed { .. }) => Self::Never(LoadStatus::MigrationFailed),
        };
        let is_refused = matches!(loads, Self::Never(LoadStatus::InvalidVersion));
        let has_no_way = from > to || (from < to && !wishes.has('m'));
        assert_eq!(is_refused, has_no_way, "from version {from} to {to}");
        loads
    }
}

/// For how long another's session keeps a key from being acquired, from now on: 0, a time that is
/// over when it was watched for that long, or no time that anybody would wait for.
pub fn locked_for(bytes: &Bytes, wishes: &Wishes, wall: f64) -> f64 {
    let config = wishes.config();
    let data = SaveData::parse(bytes.clone(), config.document_limit_bytes);
    let Some(session) = data.ok().and_then(|data| data.reserved().session.clone()) else {
        return 0.0;
    };
    let expiry = session.expiry.unwrap_or(0.0).max(config.session_expiry);
    let tolerance = if wishes.has('t') {
        0.0
    } else {
        config.clock_tolerance
    };
    let by_clock = session.updated_at + expiry + tolerance - wall;
    by_clock.min(expiry).max(0.0)
}

/// What was reserved before is reserved still, but for what the library had to do with it.
pub fn survives(before: &Reserved, after: &Reserved, offers: &[Offer]) {
    let rest = |reserved: &Reserved| {
        let credit = reserved.product_credit.iter();
        let others = credit.filter(|(product, _)| *product != super::CREDITED);
        others.copied().collect::<Vec<_>>()
    };
    assert_eq!(rest(after), rest(before), "credit");

    // The gift that this host gives may have been marked before, and arrive now.
    let history = |reserved: &Reserved| {
        let entries = reserved.purchases.iter();
        let others = entries.filter(|entry| entry.purchase_id != super::GIFT);
        others.collect::<Vec<_>>()
    };
    let (old, new) = (history(before), history(after));
    if before.purchases.len() < 99 {
        assert_eq!(new[..old.len()], old, "purchases");
    }
    let marked = |history: &[Purchase]| history.iter().filter(|one| one.mark.is_some()).count();
    assert_eq!(marked(&new), marked(&old), "marks");

    let gifts = before.gifts.len().min(10_000);
    assert_eq!(after.gifts[..gifts], before.gifts[..gifts], "gifts");
    if before.received.len() <= 256 {
        assert_eq!(after.received, before.received, "received");
    }

    let (last, others) = after.saves.split_last().expect("the session's own");
    assert!(last.number > 0);
    let kept = before.saves.len().min(7);
    assert_eq!(*others, before.saves[before.saves.len() - kept..], "saves");

    let mut expected: Vec<&str> = before.remote_changes.iter().map(|c| c.json()).collect();
    for offer in offers.iter().filter(|offer| offer.is_applied) {
        let at = expected.iter().position(|json| *json == offer.json);
        expected.remove(at.expect("what was offered was in the inbox"));
    }
    let found: Vec<&str> = after.remote_changes.iter().map(|c| c.json()).collect();
    assert_eq!(found, expected, "the inbox");
}

/// The player's fields of a document as they are written, but for those that the host writes to.
pub fn untouched_fields(text: &str) -> Vec<(String, String)> {
    const WRITTEN: [&str; 7] = [
        "Gold", "Spent", "Applied", "Migrated", "Patched", "Offline", "Written",
    ];
    let members = json::members(text).expect("a document").into_iter();
    let is_untouched = |name: &str| !WRITTEN.contains(&name) && !reserved::NAMES.contains(&name);
    members
        .filter(|member| is_untouched(&member.name))
        .map(|member| (member.name, member.value.to_owned()))
        .collect()
}

/// The same document, but for whose it is.
pub fn without_session(text: &str) -> Vec<(String, String)> {
    let members = json::members(text).expect("a document").into_iter();
    let of_nobody = |name: &str| name != "Session" && name != "Saves";
    members
        .filter(|member| of_nobody(&member.name))
        .map(|member| (member.name, member.value.to_owned()))
        .collect()
}
