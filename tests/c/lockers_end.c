/* The end of lockers, their waits and their specs: what is refused afterwards, what is told last,
 * and that nothing is left behind. */
#include "locker_world.h"

static void what_cannot_be_done_with_a_deleted_locker(int polls) {
    Full full;
    SlLocker *locker, *nothing = NULL;
    SlSaveData *data;
    SlBuffer json = {NULL, 7, 0};
    SlEvent event;
    SlSessionOptions options;
    size_t count = 7;
    int32_t value = 7;
    uint32_t version = 7;
    int64_t gold = 7;

    full_open(&full, "memory:", polls, 1);
    locker = locker_of(&full, "player");
    data = data_in(locker);
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(data));
    OK(locker_mark_should_acquire(locker, 0));
    CHECK_STATUS(SL_ERROR_BUSY, locker_mark_deleted(locker));
    OK(locker_mark_should_release(locker, 0));
    CHECK(locker_step(&full, locker, 0) == 1);
    OK(locker_mark_deleted(locker));
    if (polls) {
        OK(locker_poll_event(locker, &event, 1, &count));
        CHECK(count == 1);
        full_hears(&full, &event);
    }
    CHECK(log_is(&full.log, "released idling deleted "));
    CHECK(locker_flag(locker, locker_is_deleted) == 1 && locker_flag(locker, locker_is_available) == 0);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_deleted(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_acquire(locker, 0));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_release(locker, 0));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_save(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_force_save(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_load_status(locker, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_is_idling(locker, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_is_syncing(locker, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_set_is_syncing(locker, 1));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_load_minimum_server_version(locker, &version));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_get_lost_save_data(locker, &json));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_when_changes_saved(locker, NULL, NULL, NULL, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_wait_until_changes_saved(locker, 1, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_update(locker, 1, &value));
    CHECK(value == 7 && version == 7 && json.length == 7);
    CHECK(log_is(&full.log, ""));
    OK(save_data_get_i64(data, Z("/Gold"), &gold));
    OK(locker_destroy(locker));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_destroy(locker));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(data, Z("/Gold"), &gold));

    options = options_of(NULL, 1);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z(""), NULL, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, locker_create(full.spec, T("\xff"), NULL, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z("k"), &options, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z("k"), NULL, NULL));
    CHECK(nothing == NULL);
    full_close(&full);
}

static void count_answer(void *user_data, int32_t outcome) {
    *(int *)user_data += outcome == SL_OUTCOME_SAVED ? 1 : 100;
}

static void waits_of_a_locker(void) {
    Full full;
    SlLocker *locker;
    SlSavedConnection *wait = NULL, *late = NULL;
    int32_t was_saved = 7;
    int answers = 0;

    full_open(&full, "memory:", 0, 1);
    locker = acquired(&full, "player");
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 1));
    OK(locker_when_changes_saved(locker, count_answer, &answers, NULL, &wait));
    OK(locker_when_changes_saved(locker, count_answer, &answers, NULL, NULL));
    CHECK_STATUS(SL_ERROR_TIMEOUT, locker_wait_until_changes_saved(locker, 0.1, &was_saved));
    CHECK(answers == 0 && was_saved == 7);
    OK(locker_mark_force_save(locker));
    OK(locker_wait_until_changes_saved(locker, 1, &was_saved));
    CHECK(answers == 2 && was_saved == 1);
    OK(saved_connection_is_saved(wait, &was_saved));
    CHECK(was_saved == 1);

    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 2));
    OK(locker_when_changes_saved(locker, count_answer, &answers, NULL, &late));
    OK(saved_connection_trigger(late, 1));
    locker_step(&full, locker, 0);
    CHECK(answers == 3);
    released(&full, locker);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, saved_connection_trigger(late, 1));
    /* A wait's handle keeps neither the locker nor the spec. */
    full_close(&full);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, saved_connection_trigger(late, 0));
    OK(saved_connection_disconnect(late));
    OK(saved_connection_destroy(late));
    OK(saved_connection_destroy(wait));
    CHECK(answers == 3);
}

static void lockers_outlive_the_handle_of_their_spec(void) {
    Full full;
    SlLocker *locker, *nothing = NULL;
    full_open(&full, "memory:", 0, 1);
    locker = acquired(&full, "player");
    OK(locker_spec_destroy(full.spec));
    OK(locker_storage_destroy(full.storage));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_create(full.spec, Z("k"), NULL, &nothing));
    CHECK(full.drops == 0 && nothing == NULL);
    OK(locker_mark_force_save(locker));
    locker_step(&full, locker, 0);
    CHECK(log_is(&full.log, "saved "));
    released(&full, locker);
    CHECK(full.drops == 1 && full.moment.drops == 1);
}

static void destroy_when_idle(void *user_data, const SlEvent *event) {
    Full *full = (Full *)user_data;
    full_hears(full, event);
    if (event->kind == SL_EVENT_LIFECYCLE && event->lifecycle == SL_LIFECYCLE_IDLING) {
        OK(locker_destroy(event->locker));
    }
}

static void a_locker_may_be_destroyed_inside_its_own_callback(void) {
    Full full;
    SlLocker *locker;
    SlLockerSpecConfig config;
    SlClock clock;
    int32_t should_remove = 7;

    full_open(&full, "memory:", 0, 1);
    config = spec_config(&full, &clock, 1);
    config.event = destroy_when_idle;
    OK(locker_spec_destroy(full.spec));
    full.drops = full.moment.drops = 0;
    OK(locker_spec_create(full.storage, &config, &full.spec));
    locker = acquired(&full, "player");
    OK(locker_mark_should_release(locker, 0));
    OK(locker_update(locker, full.moment.seconds, &should_remove));
    CHECK(should_remove == 0);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_update(locker, 1, &should_remove));
    CHECK(log_is(&full.log, "saved released =loading idling deleted "));
    full_close(&full);
}

static void lockers_that_come_and_go_leave_no_events_behind(void) {
    Full full;
    SlLocker *locker = NULL;
    int rounds, failures = 0;
    full_open(&full, "memory:", 1, 1);
    for (rounds = 0; rounds < 66000 && failures == 0; rounds++) {
        int32_t should_remove = 0;
        SlEvent events[4];
        size_t count;
        failures += locker_create(full.spec, Z("player"), NULL, &locker) != SL_OK;
        failures += locker_update(locker, 0, &should_remove) != SL_OK;
        failures += locker_poll_event(locker, events, 4, &count) != SL_OK;
        failures += locker_destroy(locker) != SL_OK;
    }
    CHECK(rounds == 66000 && failures == 0);
    full_close(&full);
}

static void a_host_that_reads_no_events_creates_no_more_lockers(void) {
    Full full;
    SlLocker *locker, *nothing = NULL;
    SlEvent events[8];
    size_t count = 0;
    int32_t should_remove = 7;
    int index, failures = 0;
    full_open(&full, "memory:", 1, 1);
    locker = locker_of(&full, "player");
    locker_step(&full, locker, 0);
    for (index = 0; index < 65536; index++) {
        failures += locker_when_changes_saved(locker, NULL, NULL, NULL, NULL) != SL_OK;
    }
    OK(locker_update(locker, 0, &should_remove));
    CHECK(failures == 0);
    CHECK_STATUS(SL_ERROR_LIMIT, locker_create(full.spec, Z("other"), NULL, &nothing));
    CHECK(last_error_says("65536 events are unread") && nothing == NULL);
    OK(locker_poll_event(locker, events, 8, &count));
    CHECK(count == 8 && events[7].kind == SL_EVENT_CHANGES_SAVED);
    CHECK(events[7].outcome == SL_OUTCOME_NOT_SAVED && events[7].saved_connection == NULL);
    OK(locker_create(full.spec, Z("other"), NULL, &nothing));
    OK(locker_update(nothing, 0, &should_remove));
    OK(locker_destroy(nothing));
    OK(locker_destroy(locker));
    full_close(&full);
}

static void on_outcome(void *user_data, int32_t outcome) {
    CHECK(outcome == SL_OUTCOME_NOT_SAVED);
    ++*(int *)user_data;
}

static void count_answer_drop(void *user_data) { ((int *)user_data)[1]++; }

/* A locker that nobody has updated yet may go at once, and takes no wait with it unanswered; so it is
 * with one that was wanted between two updates. */
static void what_waits_on_a_locker_wanted_for_a_moment_is_answered_at_its_end(int is_updated) {
    Full full;
    SlLocker *locker;
    int answers_and_drops[2] = {0, 0};

    full_open(&full, "memory:", 0, 1);
    locker = locker_of(&full, "player");
    if (is_updated) {
        locker_step(&full, locker, 0);
    }
    OK(locker_mark_should_acquire(locker, 0));
    OK(locker_when_changes_saved(locker, on_outcome, answers_and_drops, count_answer_drop, NULL));
    CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));
    CHECK(answers_and_drops[0] == 0);
    OK(locker_mark_should_release(locker, 0));
    OK(locker_destroy(locker));
    CHECK(answers_and_drops[0] == 1 && answers_and_drops[1] == 1);
    CHECK(log_is(&full.log, is_updated ? "released idling answer:no deleted " : "answer:no deleted "));
    full_close(&full);
}

static int creates_without_a_key = 0;
static SlLocker *to_destroy = NULL;

static SlStatus create_any(void *user_data, const char *key, size_t key_length, SlSaveData *data) {
    (void)user_data, (void)key;
    creates_without_a_key += key_length == 0;
    if (to_destroy != NULL) {
        SlLocker *locker = to_destroy;
        to_destroy = NULL;
        OK(locker_destroy(locker));
    }
    return save_data_set_i64(data, Z("/Gold"), 0);
}

static void destroy_on_answer(void *user_data, int32_t outcome) {
    (void)outcome;
    OK(locker_destroy((SlLocker *)user_data));
}

static void full_open_with_a_hook(Full *full, int polls) {
    SlClock clock;
    SlLockerSpecConfig config;
    memset(full, 0, sizeof *full);
    full->polls = polls;
    OK(locker_storage_open(Z("memory:"), &full->storage));
    config = spec_config(full, &clock, 1);
    config.template_json = NULL;
    config.create_save_data = create_any;
    OK(locker_spec_create(full->storage, &config, &full->spec));
}

/* Its create hook was due in the very update in which a callback destroyed it. */
static void no_hook_runs_for_a_locker_that_is_gone(void) {
    Full full;
    SlLocker *locker;
    int32_t should_remove = 7;
    full_open_with_a_hook(&full, 0);
    locker = locker_of(&full, "player");
    OK(locker_when_changes_saved(locker, destroy_on_answer, locker, NULL, NULL));
    OK(locker_update(locker, 0, &should_remove));
    CHECK(should_remove == 0 && creates_without_a_key == 0);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_destroy(locker));
    full_close(&full);
}

/* What an update still has to tell of a locker that was destroyed in it goes with the locker. */
static void lockers_destroyed_during_an_update_leave_no_events_behind(void) {
    Full full;
    int round;
    full_open_with_a_hook(&full, 1);
    for (round = 0; round < 65536; round++) {
        SlLocker *locker = locker_of(&full, "one");
        to_destroy = locker_of(&full, "other");
        CHECK(locker_step(&full, locker, 0) == 1 && to_destroy == NULL);
        OK(locker_destroy(locker));
    }
    OK(locker_destroy(locker_of(&full, "one")));
    full_close(&full);
}

int main(void) {
    no_hook_runs_for_a_locker_that_is_gone();
    lockers_destroyed_during_an_update_leave_no_events_behind();
    what_waits_on_a_locker_wanted_for_a_moment_is_answered_at_its_end(0);
    what_waits_on_a_locker_wanted_for_a_moment_is_answered_at_its_end(1);
    what_cannot_be_done_with_a_deleted_locker(0);
    what_cannot_be_done_with_a_deleted_locker(1);
    waits_of_a_locker();
    lockers_outlive_the_handle_of_their_spec();
    a_locker_may_be_destroyed_inside_its_own_callback();
    lockers_that_come_and_go_leave_no_events_behind();
    a_host_that_reads_no_events_creates_no_more_lockers();
    return finish("lockers_end");
}
