//! What a drain reports.

use session_locker::ffi::*;

use super::call::{Handle, c, lent_text, must_get};
use crate::ids::Key;

/// Whether nothing was left. What was left is named, with a reason.
pub fn is_empty(report: Handle<SlDrainReport>) -> bool {
    let report = report.get();
    let unsaved = must_get(7, |count| c!(drain_report_unsaved_count(report, count)));
    for index in 0..unsaved {
        let left = must_get(NOTHING_UNSAVED, |left| {
            c!(drain_report_get_unsaved(report, index, left))
        });
        check(left.key, left.reason);
        let outcomes = [SL_OUTCOME_NOT_SAVED, SL_OUTCOME_SAVED, SL_OUTCOME_UNKNOWN];
        assert!(
            outcomes.contains(&left.outcome),
            "unsaved: {}",
            left.outcome
        );
    }
    let unsent = must_get(7, |count| c!(drain_report_unsent_count(report, count)));
    for index in 0..unsent {
        let left = must_get(NOTHING_UNSENT, |left| {
            c!(drain_report_get_unsent(report, index, left))
        });
        check(left.key, left.reason);
        assert!(left.change_count > 0);
        let outcomes = [SL_SEND_UNKNOWN, SL_SEND_NOT_SENT];
        assert!(outcomes.contains(&left.outcome), "unsent: {}", left.outcome);
    }
    unsaved + unsent == 0
}

fn check(key: SlText, reason: SlText) {
    Key::of(lent_text(key));
    assert!(reason.length > 0, "the report says why");
}

const NO_TEXT: SlText = SlText {
    data: std::ptr::null(),
    length: 0,
};

const NOTHING_UNSAVED: SlUnsaved = SlUnsaved {
    struct_size: size_of::<SlUnsaved>() as u32,
    outcome: 0,
    key: NO_TEXT,
    reason: NO_TEXT,
};

const NOTHING_UNSENT: SlUnsent = SlUnsent {
    struct_size: size_of::<SlUnsent>() as u32,
    outcome: 0,
    key: NO_TEXT,
    reason: NO_TEXT,
    change_count: 0,
};
