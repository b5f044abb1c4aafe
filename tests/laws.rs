//! The laws of the session protocol, over random schedules of servers, faults and crashes.

mod schedule;
mod support;

use schedule::Schedule;

const STEPS: usize = 250;

fn schedules() -> impl Iterator<Item = Schedule> {
    (0..40).map(|seed| Schedule::new(seed).run(STEPS))
}

#[test]
fn one_owner() {
    schedules().for_each(|schedule| schedule.check_one_owner());
}

#[test]
fn acknowledged_is_durable() {
    schedules().for_each(|schedule| schedule.check_acknowledged_is_durable());
}

#[test]
fn what_was_sent_is_applied_once() {
    schedules().for_each(|schedule| schedule.check_changes_are_applied_once());
}

#[test]
fn what_is_not_understood_is_not_overwritten() {
    schedules().for_each(|schedule| schedule.check_nothing_foreign_is_overwritten());
}

#[test]
fn no_false_alarm() {
    schedules().for_each(|schedule| schedule.check_no_false_alarm());
}

#[test]
fn erased_stays_erased() {
    schedules().for_each(|schedule| schedule.check_erased_stays_erased());
}

#[test]
fn every_waiter_is_answered_exactly_once() {
    schedules().for_each(|schedule| schedule.check_answered_once());
}

#[test]
fn a_failing_hook_leaves_the_document_as_before_it() {
    schedules().for_each(|schedule| schedule.check_failed_hooks_left_nothing());
}

/// Other schedules than those above; `LAW_SEEDS=1000..50000` chooses which.
#[test]
fn all_laws_hold_together() {
    let seeds = std::env::var("LAW_SEEDS").unwrap_or("40..100".to_owned());
    let seeds = seeds.split_once("..").expect("first..end");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    for seed in number(seeds.0)..number(seeds.1) {
        let schedule = Schedule::new(seed).run(STEPS);
        schedule.check_one_owner();
        schedule.check_acknowledged_is_durable();
        schedule.check_changes_are_applied_once();
        schedule.check_nothing_foreign_is_overwritten();
        schedule.check_no_false_alarm();
        schedule.check_erased_stays_erased();
        schedule.check_answered_once();
        schedule.check_failed_hooks_left_nothing();
    }
}
