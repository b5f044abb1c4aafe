//! What must happen exactly once: laws 5, 6 and 8.

use super::Mutation;

pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        law: 5,
        name: "sends again without asking `Received`",
        file: "src/remote_change/job.rs",
        original: "self.end_arrived(&document, cx)",
        broken: "false",
    },
    Mutation {
        law: 5,
        name: "takes a late answer for that to a later request",
        file: "src/remote_change/set.rs",
        original: "slot.outstanding() == Some(id)",
        broken: "slot.outstanding().is_some()",
    },
    Mutation {
        law: 5,
        name: "notes how far a sender has got only the first time",
        file: "src/remote_change/inbox.rs",
        original: "(one.sequence, one.at) = (sequence, at);",
        broken: "one.at = at;",
    },
    Mutation {
        law: 5,
        name: "calls what was added during a commit sent with it",
        file: "src/remote_change/job.rs",
        original: "send.is_under_way.then_some(SendOutcome::Sent)",
        broken: "Some(SendOutcome::Sent)",
    },
    Mutation {
        law: 5,
        name: "calls a send not sent whose commit was not answered",
        file: "src/remote_change/job.rs",
        original: "self.is_under_way || self.is_unsettled",
        broken: "self.is_under_way",
    },
    Mutation {
        law: 5,
        name: "puts a new send before those that wait",
        file: "src/remote_change/job.rs",
        original: "self.pending.push_back(send);",
        broken: "self.pending.push_front(send);",
    },
    Mutation {
        law: 5,
        name: "does not remember what it has applied until that is stored",
        file: "src/locker/inbox.rs",
        original: "self.applied.push(offer.change.id().clone());",
        broken: "",
    },
    Mutation {
        law: 5,
        name: "forgets what it has applied as the save goes out",
        file: "src/locker/hold.rs",
        original: "held.next_autosave = next_beat(held.next_autosave, cx);",
        broken: "held.next_autosave = next_beat(held.next_autosave, cx);
        if let Some(inbox) = &mut held.inbox {
            inbox.stored();
        }",
    },
    Mutation {
        law: 5,
        name: "removes another change than the applied one, where one before it could not be applied",
        file: "src/locker/inbox.rs",
        original: "usize::from(result == Ok(HookAnswer::Applied))",
        broken: "usize::from(result.is_ok())",
    },
    Mutation {
        law: 5,
        name: "takes the inbox over from what it finds stored, and not how far the senders have got",
        file: "src/locker/inbox.rs",
        original: "reserved.received.clone_from(&found.received);",
        broken: "",
    },
    Mutation {
        law: 5,
        name: "offers the newest changes first",
        file: "src/locker/inbox.rs",
        original: "new.take(CHANGES_AT_ONCE).map(offer).collect()",
        broken: "let mut new: Vec<_> = new.collect();
        new.drain(..new.len().saturating_sub(1));
        new.into_iter().map(offer).collect()",
    },
    Mutation {
        law: 6,
        name: "grants a receipt that comes twice while what it bought is being saved",
        file: "src/purchaser/purchase.rs",
        original: "match known {
            Known::Nothing => self.begin(pass),
            Known::Done if pass.needs_save || pass.locker.has_unsaved_changes() => {
                self.wait_for_save(Then::Grant, pass)
            }
            Known::Done => Next::Answer(true),
            Known::Marked(PurchaseMark::Recipient(key)) => self.resume(&key, pass),
            Known::Marked(PurchaseMark::Unnamed) => self.name_recipient(pass),
        }",
        broken: "match known {
            Known::Nothing => self.begin(pass),
            Known::Done => Next::Answer(true),
            Known::Marked(PurchaseMark::Recipient(key)) => self.resume(&key, pass),
            Known::Marked(PurchaseMark::Unnamed) => self.name_recipient(pass),
        }",
    },
    Mutation {
        law: 6,
        name: "grants a purchase when the wait for its save is over, whatever the answer",
        file: "src/purchaser/purchase.rs",
        original: "wait.as_ref().and_then(SavedConnection::outcome)",
        broken: "let outcome = wait.as_ref().and_then(SavedConnection::outcome);
        outcome.map(|_| SaveOutcome::Saved)",
    },
    Mutation {
        law: 6,
        name: "clears the mark of a gift before its recipient is saved",
        file: "src/purchaser/purchase.rs",
        original: "!recipient.has_unsaved_changes()",
        broken: "true",
    },
    Mutation {
        law: 6,
        name: "clears the mark of a gift though its recipient's save has failed",
        file: "src/purchaser/purchase.rs",
        original: "match wait.outcome() {
                Some(SaveOutcome::Saved) => self.arrived(pass),
                Some(_) => self.restart_again(pass),
                None if recipient.is_gone() => self.restart_again(pass),
                None if *until > pass.now => Next::Wait,
                None => self.arriving_late(pass),
            }",
        broken: "match wait.outcome() {
                Some(_) => self.arrived(pass),
                None if recipient.is_gone() => self.restart_again(pass),
                None if *until > pass.now => Next::Wait,
                None => self.arriving_late(pass),
            }",
    },
    Mutation {
        law: 6,
        name: "gives a gift without asking whether the recipient has it",
        file: "src/purchaser/purchase.rs",
        original: "history::has_gift(data, &self.receipt, purchaser)",
        broken: "false",
    },
    Mutation {
        law: 6,
        name: "takes a gift that is not in the recipient's record for given",
        file: "src/purchaser/purchase.rs",
        original: "Ok(history::has_gift(&record, receipt, purchaser.key()))",
        broken: "Ok(true)",
    },
    Mutation {
        law: 6,
        name: "does not store which gifts a player has been given",
        file: "src/save_data/reserved.rs",
        original: "!self.gifts.is_empty()",
        broken: "false",
    },
    Mutation {
        law: 6,
        name: "waits for a purchase's save before it marks what is to be saved",
        file: "src/locker/locker_ref.rs",
        original: "set.with(self.id, LockerState::mark_force_save)?;
        set.wait_for(self.id, connection.clone())?;",
        broken: "set.wait_for(self.id, connection.clone())?;
        set.with(self.id, LockerState::mark_force_save)?;",
    },
    Mutation {
        law: 6,
        name: "drops entries of the history before a receipt can no longer come again",
        file: "src/purchaser/history.rs",
        original: "is_old && !entries.is_marked(place)",
        broken: "!entries.is_marked(place)",
    },
    Mutation {
        law: 6,
        name: "notes no entry for what it credits, and credits it again",
        file: "src/purchaser/purchase.rs",
        original: "history::add(data, receipt, None, &keep)",
        broken: "if let Ok(HookAnswer::Applied) = result {
                        history::add(data, receipt, None, &keep)
                    }",
    },
    Mutation {
        law: 6,
        name: "notes a purchase whose hook has failed",
        file: "src/purchaser/purchase.rs",
        original: "match result {
                    Ok(HookAnswer::Applied) => Ok(()),
                    Ok(HookAnswer::NotApplicable) => add_credit(data, receipt.product_id, 1),
                    Err(_) => return,
                }",
        broken: "match result {
                    Ok(HookAnswer::Applied) | Err(_) => Ok(()),
                    Ok(HookAnswer::NotApplicable) => add_credit(data, receipt.product_id, 1),
                }",
    },
    Mutation {
        law: 8,
        name: "forgets the waits that a save does not cover",
        file: "src/locker/state.rs",
        original: "still_waiting.push(waiter)",
        broken: "()",
    },
    Mutation {
        law: 8,
        name: "leaves waits unanswered where the store goes away",
        file: "src/locker/state.rs",
        original: "self.answer_unsaved(self.in_doubt());",
        broken: "",
    },
    Mutation {
        law: 8,
        name: "leaves purchases unanswered where the store goes away",
        file: "src/purchaser/queue.rs",
        original: "state.over.extend(left.into_iter().map(refuse));",
        broken: "drop(left);",
    },
    Mutation {
        law: 8,
        name: "finishes an ended profile while its waits are open",
        file: "src/easy/delivery.rs",
        original: "entries[*id].has_open_waits()",
        broken: "false",
    },
    Mutation {
        law: 8,
        name: "calls a store closed whose sends are not answered",
        file: "src/easy/store.rs",
        original: "self.0.purchases.has_incomplete() || self.0.sending.is_sending()?",
        broken: "self.0.purchases.has_incomplete()",
    },
    Mutation {
        law: 8,
        name: "goes on with purchases whose locker is gone",
        file: "src/purchaser/purchase.rs",
        original: "pass.is_gone",
        broken: "false",
    },
    Mutation {
        law: 8,
        name: "leaves sends unanswered that are under way, where the sender goes away",
        file: "src/remote_change/job.rs",
        original: "self.end_where(out, |send| Some(send.given_up()));",
        broken: "self.end_where(out, |send| (!send.is_under_way).then(|| send.given_up()));",
    },
    Mutation {
        law: 8,
        name: "answers a wait that was given up",
        file: "src/locker/saved_connection.rs",
        original: "self.0
            .state
            .compare_exchange(WAITING, state, order, Ordering::Acquire)
            .is_ok()",
        broken: "let leaves = |before| {
            let was_given_up = before == DISCONNECTED && state != DISCONNECTED;
            (before == WAITING || was_given_up).then_some(state)
        };
        self.0.state.fetch_update(order, Ordering::Acquire, leaves).is_ok()",
    },
];
