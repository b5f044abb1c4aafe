//! Who owns a key, and what becomes of what is stored: laws 1 to 4 and 7.

use super::Mutation;

pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        law: 1,
        name: "takes a key by its own expiry, though the owner's is longer",
        file: "src/locker/lease.rs",
        original: "session.expiry.unwrap_or(0.0).max(config.session_expiry)",
        broken: "config.session_expiry",
    },
    Mutation {
        law: 1,
        name: "takes a key as soon as its own clock says so, with no tolerance",
        file: "src/locker/lease.rs",
        original: "wall - session.updated_at > expiry + config.clock_tolerance",
        broken: "wall - session.updated_at > expiry",
    },
    Mutation {
        law: 1,
        name: "stamps a session with the storage's time as it was at the last answer",
        file: "src/locker/lease.rs",
        original: "self.clock + by_host.max(by_server)",
        broken: "self.clock",
    },
    Mutation {
        law: 1,
        name: "stamps a session with the storage's time by the host's time alone",
        file: "src/locker/lease.rs",
        original: "at.monotonic - self.sent_at.monotonic",
        broken: "0.0",
    },
    Mutation {
        law: 1,
        name: "takes the storage's time to have been told as the answer came",
        file: "src/locker/set.rs",
        original: "ClockReading::new(clock, sent_at)",
        broken: "ClockReading::new(clock, self.at)",
    },
    Mutation {
        law: 1,
        name: "goes on watching through a save of the owner's",
        file: "src/locker/lease.rs",
        original: "watch.updated_at == fresh.updated_at
            && watch.save_number == fresh.save_number",
        broken: "true",
    },
    Mutation {
        law: 1,
        name: "counts a watch by all the time that the host tells, though it only catches up",
        file: "src/locker/time.rs",
        original: "self.by_server + self.lead",
        broken: "self.by_host",
    },
    Mutation {
        law: 1,
        name: "counts the lease of an acquire that is found late from when it is found",
        file: "src/locker/acquire.rs",
        original: "return self.acquired(document, revision, attempt.sent_at, cx);",
        broken: "return self.acquired(document, revision, cx.at, cx);",
    },
    Mutation {
        law: 1,
        name: "counts the lease of a save that is found late from when it is found",
        file: "src/locker/hold.rs",
        original: "if let Some(attempt) = landed {
            self.stored(attempt);
        }",
        broken: "if let Some(attempt) = landed {
            self.stored(Attempt { sent_at: cx.at, ..attempt });
        }",
    },
    Mutation {
        law: 1,
        name: "calls itself available past its lease",
        file: "src/locker/state.rs",
        original: "at.now < config.lease_end(from.now)
            && at.monotonic < config.lease_end(from.monotonic)
            && !has_run_back",
        broken: "true",
    },
    Mutation {
        law: 1,
        name: "counts the lease of a save by the server's own clock from the answer on",
        file: "src/locker/hold.rs",
        original: "held.step = Step::Resting;
            self.stored(attempt);",
        broken: "held.step = Step::Resting;
            let monotonic = cx.at.monotonic;
            let sent_at = Moment { monotonic, ..attempt.sent_at };
            self.stored(Attempt { sent_at, ..attempt });",
    },
    Mutation {
        law: 1,
        name: "judges by the time of its last update whether its lease is over",
        file: "src/locker/driver.rs",
        original: "Ok(Moment { now, monotonic })",
        broken: "Ok(Moment { now: told, monotonic: told_at })",
    },
    Mutation {
        law: 1,
        name: "calls itself available while its release is under way",
        file: "src/locker/state.rs",
        original: "!held.is_releasing()",
        broken: "true",
    },
    Mutation {
        law: 1,
        name: "keeps a key that another has taken since, if its own last save was stored before",
        file: "src/locker/hold.rs",
        original: "owner == Some(lock_id)",
        broken: "owner == Some(lock_id) || landed.is_some() && owner.is_some()",
    },
    Mutation {
        law: 1,
        name: "lets a second session of a store ask for a key that the first has",
        file: "src/locker/claims.rs",
        original: "holder == slot",
        broken: "true",
    },
    Mutation {
        law: 2,
        name: "answers a wait with a save that was under way before the change",
        file: "src/locker/hold.rs",
        original: "self.saved = self.saved.max(attempt.covers);",
        broken: "self.saved = self.saved.max(self.pending());",
    },
    Mutation {
        law: 2,
        name: "takes the last of several commits of unknown fate for the one that was written",
        file: "src/locker/hold.rs",
        original: "landed = unsettled
                .into_iter()
                .rfind(|attempt| Some(attempt.number) <= written);",
        broken: "let has_landed = unsettled.iter().any(|attempt| Some(attempt.number) <= written);
            landed = unsettled.last().copied().filter(|_| has_landed);",
    },
    Mutation {
        law: 2,
        name: "takes a free key again, though another has had it since",
        file: "src/locker/hold.rs",
        original: "owner.is_none() && ours_was_last && (has_more || !released)",
        broken: "owner.is_none() && (has_more || !released)",
    },
    Mutation {
        law: 2,
        name: "repeats an acquire with its old draft, though the record has changed",
        file: "src/locker/acquire.rs",
        original: "acquire.unsettled = None;
            acquire.unsettled_draft = None;",
        broken: "acquire.unsettled = None;",
    },
    Mutation {
        law: 2,
        name: "answers a wait from before the load with the load",
        file: "src/locker/state.rs",
        original: "self.answer_waiters(|target| (target > saved).then_some(unsaved(target, in_doubt)));",
        broken: "let _ = (saved, in_doubt);",
    },
    Mutation {
        law: 3,
        name: "forgets a save that was not answered",
        file: "src/locker/hold.rs",
        original: "held.unsettled.push(attempt);",
        broken: "",
    },
    Mutation {
        law: 3,
        name: "asks whether a save was written only where the key is still its own",
        file: "src/locker/hold.rs",
        original: "lease::save_number(reserved, lock_id)",
        broken: "match &reserved.session {
                Some(session) if session.lock_id == lock_id => {
                    lease::save_number(reserved, lock_id)
                }
                _ => None,
            }",
    },
    Mutation {
        law: 3,
        name: "calls a save unsaved that the record does not remember any more",
        file: "src/locker/hold.rs",
        original: "reserved.saves.len() < SAVES_REMEMBERED",
        broken: "true",
    },
    Mutation {
        law: 3,
        name: "does not tell what became of a save, though the record tells",
        file: "src/locker/hold.rs",
        original: "in_doubt = None;",
        broken: "",
    },
    Mutation {
        law: 3,
        name: "begins `Saves` anew with each session",
        file: "src/locker/acquire.rs",
        original: "hold::stamp_saves(&mut draft.reserved_mut().saves, acquire.lock_id, 0);",
        broken: "draft.reserved_mut().saves.clear();
            hold::stamp_saves(&mut draft.reserved_mut().saves, acquire.lock_id, 0);",
    },
    Mutation {
        law: 3,
        name: "gives up an acquire whose commit is under way, and so does not know its own lock",
        file: "src/locker/acquire.rs",
        original: "!self.wanted && !acquire.has_unsettled_commit()",
        broken: "!self.wanted && acquire.unsettled.is_none()",
    },
    Mutation {
        law: 3,
        name: "forgets the lock id of an acquire that was not answered, and waits for its own lock",
        file: "src/locker/acquire.rs",
        original: "acquire
            .unsettled
            .get_or_insert(Attempt { expected, sent_at });",
        broken: "acquire
            .unsettled
            .get_or_insert(Attempt { expected, sent_at });
        cx.claims.forget(acquire.lock_id);
        acquire.lock_id = 0;",
    },
    Mutation {
        law: 3,
        name: "calls what is in a commit under way not saved, where the store goes away",
        file: "src/locker/state.rs",
        original: "held.in_doubt()",
        broken: "None",
    },
    Mutation {
        law: 3,
        name: "gives the requests to lockers that are updated early in a frame, whoever waits",
        file: "src/locker/turns.rs",
        original: "before < free as usize",
        broken: "true",
    },
    Mutation {
        law: 4,
        name: "takes a newer version for its own",
        file: "src/migration.rs",
        original: "found == to_version && !self.0.patchers.contains_key(&found)",
        broken: "found >= to_version && !self.0.patchers.contains_key(&found)",
    },
    Mutation {
        law: 4,
        name: "makes a record anew that it cannot read",
        file: "src/locker/acquire.rs",
        original: "let report = ErrorReport::script(Activity::Load, error.to_string());
                return self.refuse(LoadStatus::CorruptData, report, cx);",
        broken: "let _ = error;
                return self.draft_new(expected, cx);",
    },
    Mutation {
        law: 4,
        name: "saves over a record that has become unreadable under its session",
        file: "src/locker/hold.rs",
        original: "self.report(ErrorReport::script(Activity::Save, error.to_string()));
                return self.lose(Left::Record, in_doubt, cx);",
        broken: "self.report(ErrorReport::script(Activity::Save, error.to_string()));
                if let Phase::Held(held) = &mut self.phase {
                    held.revision = revision;
                    held.step = Step::SaveQueued { urgent: true };
                }
                return;",
    },
    Mutation {
        law: 4,
        name: "stores what a migrator has left that failed",
        file: "src/locker/driver.rs",
        original: "migrated.map(|()| draft)",
        broken: "migrated.or(Ok(())).map(|()| draft)",
    },
    Mutation {
        law: 4,
        name: "sends to a record that it cannot read, by making it anew",
        file: "src/remote_change/job.rs",
        original: "return self.end_where(&mut cx.out, |_| Some(SendOutcome::Corrupt));",
        broken: "let new = cx.template.cloned().unwrap_or_default();
                return self.queue_commit(new, expected, user_ids);",
    },
    Mutation {
        law: 7,
        name: "makes a record anew that was erased while it asked for the key",
        file: "src/locker/acquire.rs",
        original: "self.was_erased(&tombstone)",
        broken: "self.was_erased(&tombstone) && false",
    },
    Mutation {
        law: 7,
        name: "makes a record anew that was erased since another took it",
        file: "src/locker/acquire.rs",
        original: "was_there.then_some(Seen::Record)",
        broken: "None",
    },
    Mutation {
        law: 7,
        name: "makes a record anew that was erased under its session",
        file: "src/locker/hold.rs",
        original: "self.lose(Left::Nothing, None, cx)",
        broken: "self.lose(Left::Unknown, None, cx)",
    },
    Mutation {
        law: 7,
        name: "makes a record anew for a send that has seen it before it was erased",
        file: "src/remote_change/job.rs",
        original: "!seen.was_erased(&tombstone) && create_if_missing",
        broken: "create_if_missing",
    },
];
