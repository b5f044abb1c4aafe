//! `SlDrainReport`: what a drain could not finish in time.

use std::sync::Arc;

use super::boundary::boundary;
use super::error::{FfiError, FfiResult};
use super::event::outcome_number;
use super::handle::{self, Kind};
use super::remote_change_sender::send_outcome_number;
use super::status::*;
use super::text::{SlText, lend_text};
use crate::easy::DrainReport;

/// The keys whose sessions a drain could not release in time, and those to which remote changes were
/// not sent. Free it with `drain_report_destroy`.
pub struct SlDrainReport(());
handle_kind!(SlDrainReport, Kind::DrainReport, DrainReport);

pub(crate) fn insert(report: DrainReport) -> FfiResult<*mut SlDrainReport> {
    handle::insert(Arc::new(report))
}

/// How many keys whose sessions are not released are in the report, in `count`; 0 when all went well.
/// Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_unsaved_count(
    report: *const SlDrainReport,
    count: *mut usize,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        let count = out!(count);
        count.set(report.unsaved.len());
        Ok(())
    })
}

/// One key of the report, by its index from 0: the key, what became of its last changes
/// (`outcome`, one of SL_OUTCOME_: SL_OUTCOME_SAVED where only the release itself was left,
/// SL_OUTCOME_UNKNOWN where a commit is not answered), and why, for a person.
///
/// The texts belong to the report and live as long as it. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE (the index).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_get_unsaved(
    report: *const SlDrainReport,
    index: usize,
    key: *mut SlText,
    outcome: *mut i32,
    reason: *mut SlText,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        let (key, outcome, reason) = (out!(key), out!(outcome), out!(reason));
        let unsaved = entry(&report.unsaved, index)?;
        key.set(lend_text(unsaved.key.as_bytes()));
        outcome.set(outcome_number(unsaved.outcome));
        reason.set(lend_text(unsaved.reason.as_bytes()));
        Ok(())
    })
}

/// How many keys to which remote changes were not sent are in the report, in `count`; 0 when all went
/// well. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_unsent_count(
    report: *const SlDrainReport,
    count: *mut usize,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        let count = out!(count);
        count.set(report.unsent.len());
        Ok(())
    })
}

/// One key to which remote changes were not sent, by its index from 0: the key, how many changes, what
/// is known of them (`outcome`: SL_SEND_UNKNOWN where a commit with some of them is not answered, else
/// SL_SEND_NOT_SENT), and why, for a person. The store goes on sending them until it is destroyed.
///
/// The texts belong to the report and live as long as it. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT, SL_ERROR_OUT_OF_RANGE (the index).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_get_unsent(
    report: *const SlDrainReport,
    index: usize,
    key: *mut SlText,
    change_count: *mut usize,
    outcome: *mut i32,
    reason: *mut SlText,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        let (key, change_count) = (out!(key), out!(change_count));
        let (outcome, reason) = (out!(outcome), out!(reason));
        let unsent = entry(&report.unsent, index)?;
        key.set(lend_text(unsent.key.as_bytes()));
        change_count.set(unsent.count);
        outcome.set(send_outcome_number(unsent.outcome));
        reason.set(lend_text(unsent.reason.as_bytes()));
        Ok(())
    })
}

fn entry<T>(all: &[T], index: usize) -> FfiResult<&T> {
    all.get(index).ok_or_else(|| {
        let count = all.len();
        let message = format!("index is {index}, but the report has {count} keys");
        FfiError::new(SL_ERROR_OUT_OF_RANGE, message)
    })
}

/// Frees a report and its texts. Any thread. Errors: SL_ERROR_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_destroy(report: *mut SlDrainReport) -> SlStatus {
    boundary(|| {
        handle::remove(report)?;
        Ok(())
    })
}
