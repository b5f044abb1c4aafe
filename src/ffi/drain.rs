//! `SlDrainReport`: what a drain could not finish in time.

use std::sync::Arc;

use super::boundary::boundary;
use super::config::{self, Versioned};
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

/// A key whose session a drain could not release in time. The texts belong to the report and live as
/// long as it; they are not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlUnsaved {
    /// `sizeof(SlUnsaved)`, set by the host before the call that fills it.
    pub struct_size: u32,
    /// What became of the last changes, one of SL_OUTCOME_: SL_OUTCOME_SAVED where only the release
    /// itself was left, SL_OUTCOME_UNKNOWN where a commit is not answered.
    pub outcome: i32,
    /// The key.
    pub key: SlText,
    /// Why, for a person.
    pub reason: SlText,
}

/// A key to which a drain could not send all remote changes in time. The texts belong to the report
/// and live as long as it; they are not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlUnsent {
    /// `sizeof(SlUnsent)`, set by the host before the call that fills it.
    pub struct_size: u32,
    /// What is known of the changes: SL_SEND_UNKNOWN where a commit with some of them is not answered,
    /// else SL_SEND_NOT_SENT.
    pub outcome: i32,
    /// The key.
    pub key: SlText,
    /// Why, for a person.
    pub reason: SlText,
    /// How many changes.
    pub change_count: usize,
}

const NO_TEXT: SlText = SlText {
    data: std::ptr::null(),
    length: 0,
};

// SAFETY: `repr(C)` with its size first; numbers and raw pointers, without padding.
unsafe impl Versioned for SlUnsaved {
    const NAME: &'static str = "SlUnsaved";
    const FIRST_SIZE: usize = 40;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            outcome: 0,
            key: NO_TEXT,
            reason: NO_TEXT,
        }
    }
}

// SAFETY: as above.
unsafe impl Versioned for SlUnsent {
    const NAME: &'static str = "SlUnsent";
    const FIRST_SIZE: usize = 48;

    fn defaults() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            outcome: 0,
            key: NO_TEXT,
            reason: NO_TEXT,
            change_count: 0,
        }
    }
}

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

/// One key of the report, by its index from 0, in `unsaved`, whose `struct_size` the host has set. Any
/// thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (also a `struct_size` that is none),
/// SL_ERROR_OUT_OF_RANGE (the index).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_get_unsaved(
    report: *const SlDrainReport,
    index: usize,
    unsaved: *mut SlUnsaved,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let out = unsafe { config::Fill::new("unsaved", unsaved) }?;
        let unsaved = entry(&report.unsaved, index)?;
        out.set(SlUnsaved {
            outcome: outcome_number(unsaved.outcome),
            key: lend_text(unsaved.key.as_bytes()),
            reason: lend_text(unsaved.reason.as_bytes()),
            ..SlUnsaved::defaults()
        });
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

/// One key to which remote changes were not sent, by its index from 0, in `unsent`, whose `struct_size`
/// the host has set. The store goes on sending them until it is destroyed. Any thread.
///
/// Errors: SL_ERROR_INVALID_HANDLE, SL_ERROR_INVALID_ARGUMENT (also a `struct_size` that is none),
/// SL_ERROR_OUT_OF_RANGE (the index).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_report_get_unsent(
    report: *const SlDrainReport,
    index: usize,
    unsent: *mut SlUnsent,
) -> SlStatus {
    boundary(|| {
        let report = handle::get(report)?;
        // SAFETY: the export's own contract, rule 4 of `ffi`.
        let out = unsafe { config::Fill::new("unsent", unsent) }?;
        let unsent = entry(&report.unsent, index)?;
        out.set(SlUnsent {
            outcome: send_outcome_number(unsent.outcome),
            key: lend_text(unsent.key.as_bytes()),
            reason: lend_text(unsent.reason.as_bytes()),
            change_count: unsent.count,
            ..SlUnsent::defaults()
        });
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
