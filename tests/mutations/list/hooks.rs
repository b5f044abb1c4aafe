//! Host code that fails, and where host code runs: laws 9 and 10.

use super::Mutation;

pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        law: 9,
        name: "leaves what a hook has written that then could not apply",
        file: "src/locker/shared_data.rs",
        original: "(result == Ok(HookAnswer::Applied), hook)",
        broken: "(result.is_ok(), hook)",
    },
    Mutation {
        law: 9,
        name: "leaves what a hook before a save has written that then failed",
        file: "src/locker/shared_data.rs",
        original: "(&result, hook)",
        broken: "(&Ok::<(), String>(()), hook)",
    },
    Mutation {
        law: 9,
        name: "stops in the middle of a load where the merge has failed",
        file: "src/locker/inbox.rs",
        original: "self.report(ErrorReport::script(Activity::Merge, message));",
        broken: "self.report(ErrorReport::script(Activity::Merge, message));
            return;",
    },
    Mutation {
        law: 9,
        name: "waits for ever where a hook before the last save has failed",
        file: "src/locker/hold.rs",
        original: "!may_wait",
        broken: "false",
    },
    Mutation {
        law: 9,
        name: "tells of credit that a failed hook has given",
        file: "src/locker/shared_data.rs",
        original: "changes.truncate(hook.credit_changes);",
        broken: "let _ = (changes, hook.credit_changes);",
    },
    Mutation {
        law: 9,
        name: "does not catch a panic of a hook",
        file: "src/locker/driver.rs",
        original: "catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| Err(\"the hook panicked\".to_owned()))",
        broken: "hook()",
    },
    Mutation {
        law: 10,
        name: "calls a hook on a thread of its own",
        file: "src/easy/delivery.rs",
        original: "self.hooks.process_remote_change(key, data, change)",
        broken: "std::thread::scope(|scope| {
            let hook = scope.spawn(|| self.hooks.process_remote_change(key, data, change));
            hook.join().unwrap_or_else(|_| Err(\"the hook panicked\".to_owned()))
        })",
    },
    Mutation {
        law: 10,
        name: "makes a new document on a thread of its own",
        file: "src/easy/delivery.rs",
        original: "self.hooks.create(key)",
        broken: "std::thread::scope(|scope| {
            let hook = scope.spawn(|| self.hooks.create(key));
            hook.join().unwrap_or_else(|_| Err(\"the hook panicked\".to_owned()))
        })",
    },
    Mutation {
        law: 10,
        name: "runs the hooks before a save with the table of profiles locked",
        file: "src/easy/delivery.rs",
        original: "drop(profiles);
        hooks.into_iter().try_for_each(|hook| hook())",
        broken: "let result = hooks.into_iter().try_for_each(|hook| hook());
        drop(profiles);
        result",
    },
    Mutation {
        law: 10,
        name: "calls who waits for a save from where the wait is answered, with the lockers locked",
        file: "src/locker/saved_connection.rs",
        original: "self.leave_waiting(state)",
        broken: "let is_answered = self.leave_waiting(state);
        if is_answered && let Some(callback) = self.take_callback() {
            callback(outcome);
        }
        is_answered",
    },
    Mutation {
        law: 10,
        name: "tells of purchases with the queue of them locked",
        file: "src/purchaser/queue.rs",
        original: "while let Some(answered) = self.next_over() {
            tell(answered);
        }",
        broken: "let mut state = self.state.lock();
        while let Some(answered) = state.over.pop_front() {
            state.unanswered -= 1;
            tell(answered);
        }",
    },
    Mutation {
        law: 10,
        name: "makes a record for a send with the sends locked",
        file: "src/remote_change/driver.rs",
        original: "let created = created(&self.config, || host.create(&key));
                    self.set.lock()?.handle_created(id, created);",
        broken: "let mut set = self.set.lock()?;
                    let created = created(&self.config, || host.create(&key));
                    set.handle_created(id, created);",
    },
];
