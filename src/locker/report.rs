//! Who is told of errors beside the events: the reporter that a host gives to its store, spec or
//! sender, the seed's `ReportDataStoreError`. Errors of which no host has asked to hear go to the
//! process-wide reporters, the seed's `Default_LockerSpec_ReportDataStoreError` and
//! `Default_RemoteChangeSender_ReportDataStoreError`, or to the log.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::log::{self, Level, MODULE};
use crate::storage::RequestErrorKind;

use super::event::ErrorReport;

/// Whose errors a reporter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// Those of lockers, also beneath a store.
    Lockers,
    /// Those of remote-change senders.
    Senders,
}

/// An error, and what identifies the player.
#[derive(Clone, Copy, Debug)]
pub struct ReportedError<'a> {
    /// What the locker's or sender's log lines begin with.
    pub log_prefix: &'a str,
    /// The key that was being worked on.
    pub key: &'a str,
    /// The users that the record belongs to.
    pub user_ids: &'a [Box<str>],
    /// What happened.
    pub error: &'a ErrorReport,
    /// Whether verbose logs are on.
    pub verbose_logs: bool,
}

/// A host's reporter. Called on the thread that called in, with no lock held; it may call anything.
pub type ReportError = Arc<dyn Fn(&ReportedError<'_>) + Send + Sync>;

static REPORTERS: RwLock<[Option<ReportError>; 2]> = RwLock::new([None, None]);

/// Sets the process-wide reporter, or with `None` that such errors are logged, and gives back the
/// one before. That one may still be running on other threads.
pub fn set_default_report_error(
    reporter: Reporter,
    report: Option<ReportError>,
) -> Option<ReportError> {
    std::mem::replace(&mut REPORTERS.write()[reporter as usize], report)
}

impl ReportedError<'_> {
    /// Gives the error to the host's own reporter; without one, and unless the host hears it as an
    /// event, to the process-wide one, or else to the log.
    pub(crate) fn report(&self, own: Option<&ReportError>, is_event: bool, reporter: Reporter) {
        if let Some(own) = own {
            return own(self);
        }
        if is_event {
            return;
        }
        let report = REPORTERS.read()[reporter as usize].clone();
        match report {
            Some(report) => report(self),
            None => self.log(),
        }
    }

    /// The error's message without what identifies the player, so that tools can count equal ones.
    pub fn filtered_message(&self) -> String {
        let user_ids = self.user_ids.iter().map(|id| (&**id, "{userid}"));
        let key = (self.key, "{datastorekey}");
        let stand_ins: Vec<_> = user_ids.chain([key]).collect();
        log::filter(&self.error.message, &stand_ins)
    }

    /// In full with verbose logs. Otherwise without what identifies the player, and not at all
    /// where the backend is to blame: that passes by itself.
    fn log(&self) {
        let ErrorReport {
            activity,
            kind,
            message,
            ..
        } = self.error;
        let level = match kind {
            RequestErrorKind::Script => Level::Error,
            RequestErrorKind::Misc => Level::Warning,
            RequestErrorKind::Backend => Level::Info,
        };
        if self.verbose_logs {
            log::log(
                level,
                &format!("{} {activity} failed: {message}", self.log_prefix),
            );
        } else if *kind != RequestErrorKind::Backend {
            let message = self.filtered_message();
            log::log(level, &format!("{MODULE} {activity} failed: {message}"));
        }
    }
}
