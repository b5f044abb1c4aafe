/* The full API: lockers that the host drives one by one, from creation to deletion, in both ways to
 * hear events. */
#include "world.h"

#include <math.h>

/* A server that works with lockers. */
typedef struct Full {
    Moment moment;
    SlStorage *storage;
    SlLockerSpec *spec;
    Log log;
    SlLocker *last_locker;
    char last_text[512];
    int drops;
    int hooks;
    int hook_fails;
    int polls;
} Full;

static void hear(void *user_data, const SlEvent *event) {
    Full *full = (Full *)user_data;
    full->last_locker = event->locker;
    CHECK(event->profile == NULL);
    if (event->text.length > 0) {
        sprintf(full->last_text, "%.500s", event->text.data);
    }
    note_event(&full->log, event);
}

static SlStatus before_save(void *user_data, SlLocker *locker) {
    Full *full = (Full *)user_data;
    SlSaveData *data = NULL;
    int32_t should_remove = 7;
    full->hooks++;
    note(&full->log, "before_save");
    OK(locker_get_save_data(locker, &data));
    OK(save_data_set_i64(data, Z("/Hooks"), full->hooks));
    CHECK_STATUS(SL_ERROR_BUSY, locker_update(locker, 0, &should_remove));
    CHECK_STATUS(SL_ERROR_BUSY, locker_wait_until_changes_saved(locker, 1, &should_remove));
    CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));
    CHECK(should_remove == 7);
    return full->hook_fails ? SL_ERROR_HOOK : SL_OK;
}

static SlStatus before_save_transform(void *user_data, SlLocker *locker) {
    (void)locker;
    note(&((Full *)user_data)->log, "before_save_transform");
    return SL_OK;
}

static void drop(void *user_data) { ((Full *)user_data)->drops++; }

static SlLockerSpecConfig spec_config(Full *full, SlClock *clock, uint64_t seed) {
    SlLockerSpecConfig config;
    OK(locker_spec_config_init(&config, sizeof config));
    *clock = clock_of(&full->moment);
    config.clock = clock;
    config.seed = seed;
    config.template_json = "{\"Gold\":0}";
    config.polls_events = full->polls;
    config.user_data = full;
    config.event = hear;
    config.drop = drop;
    return config;
}

static void full_open(Full *full, const char *url, int polls, uint64_t seed) {
    SlClock clock;
    SlLockerSpecConfig config;
    memset(full, 0, sizeof *full);
    full->polls = polls;
    OK(locker_storage_open(Z(url), &full->storage));
    config = spec_config(full, &clock, seed);
    OK(locker_spec_create(full->storage, &config, &full->spec));
}

static void full_close(Full *full) {
    OK(locker_spec_destroy(full->spec));
    OK(locker_storage_destroy(full->storage));
    CHECK(full->drops == 1 && full->moment.drops == 1);
}

static SlLocker *create(Full *full, const char *key) {
    SlLocker *locker = NULL;
    OK(locker_create(full->spec, Z(key), NULL, 0, &locker));
    return locker;
}

/* One update, so many seconds after the last; gives whether the locker may be removed. */
static int32_t step(Full *full, SlLocker *locker, double seconds) {
    int32_t should_remove = 7;
    SlEvent event;
    size_t count = 0;
    full->moment.seconds += seconds;
    OK(locker_update(locker, full->moment.seconds, &should_remove));
    do {
        OK(locker_poll_event(locker, &event, 1, &count));
        if (count == 1) {
            CHECK(event.locker == locker);
            hear(full, &event);
        }
    } while (count > 0);
    return should_remove;
}

static int32_t flag(SlLocker *locker, SlStatus (*is_so)(const SlLocker *, int32_t *)) {
    int32_t value = 7;
    OK(is_so(locker, &value));
    return value;
}

static SlSaveData *data_in(SlLocker *locker) {
    SlSaveData *data = NULL;
    OK(locker_get_save_data(locker, &data));
    return data;
}

static SlLocker *acquired(Full *full, const char *key) {
    SlLocker *locker = create(full, key);
    OK(locker_mark_should_acquire(locker));
    CHECK(step(full, locker, 0) == 0);
    CHECK(flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
    full->log.text[0] = '\0';
    return locker;
}

static void released(Full *full, SlLocker *locker) {
    OK(locker_mark_should_release(locker));
    step(full, locker, 0);
    CHECK(step(full, locker, 0) == 1);
    OK(locker_destroy(locker));
}

static void a_locker_is_heard_the_same_by_callbacks_and_by_polling(int polls) {
    Full full;
    SlLocker *locker;
    SlText user;
    SlBuffer keys, json;
    int64_t gold;

    user.data = "42";
    user.length = SL_NUL_TERMINATED;
    full_open(&full, "memory:", polls, 1);
    OK(locker_create(full.spec, Z("player/42"), &user, 1, &locker));
    CHECK(log_is(&full.log, ""));
    CHECK(flag(locker, locker_is_deleted) == 0 && flag(locker, locker_is_available) == 0);
    CHECK(step(&full, locker, 0) == 1);
    CHECK(log_is(&full.log, "released idling "));
    CHECK(full.last_locker == locker);
    CHECK(flag(locker, locker_is_idling) == 1);

    OK(locker_mark_should_acquire(locker));
    CHECK(flag(locker, locker_is_idling) == 0);
    CHECK(step(&full, locker, 0) == 0);
    CHECK(log_is(&full.log, "loaded =loaded "));
    CHECK(flag(locker, locker_is_available) == 1);
    OK(locker_storage_keys_of_user(full.storage, Z("42"), 1, &keys));
    CHECK(buffer_is(&keys, "[\"player/42\"]"));

    OK(save_data_add_i64(data_in(locker), Z("/Gold"), 5, &gold));
    CHECK(data_in(locker) == data_in(locker));
    OK(locker_mark_should_save(locker));
    step(&full, locker, 0);
    CHECK(log_is(&full.log, ""));
    OK(locker_mark_force_save(locker));
    step(&full, locker, 0);
    CHECK(log_is(&full.log, "saved "));
    CHECK(stored_has(full.storage, "player/42", "\"Gold\":5"));
    OK(locker_set_save_data_json(locker, Z("{\"Gold\":6,\"Version\":8}")));
    OK(locker_get_save_data_json(locker, &json));
    CHECK(strstr(json.data, "\"Version\":1") != NULL && strstr(json.data, "\"Gold\":6") != NULL);
    session_locker_buffer_free(&json);

    CHECK_STATUS(SL_ERROR_BUSY, locker_mark_deleted(locker));
    CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));
    OK(locker_mark_should_release(locker));
    CHECK(flag(locker, locker_is_available) == 0);
    CHECK(step(&full, locker, 0) == 1);
    CHECK(log_is(&full.log, "saved released =loading idling "));
    CHECK(stored_has(full.storage, "player/42", "\"Gold\":6"));
    CHECK(!stored_has(full.storage, "player/42", "\"Session\""));
    OK(locker_destroy(locker));
    full_close(&full);
}

static void what_cannot_be_done_with_a_deleted_locker(int polls) {
    Full full;
    SlLocker *locker, *nothing = NULL;
    SlSaveData *data;
    SlBuffer json = {NULL, 7, 0};
    SlEvent event;
    size_t count = 7;
    int32_t value = 7;
    uint32_t version = 7;
    int64_t gold = 7;

    full_open(&full, "memory:", polls, 1);
    locker = create(&full, "player");
    data = data_in(locker);
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(data));
    CHECK_STATUS(SL_ERROR_BUSY, locker_mark_deleted(locker));
    CHECK(step(&full, locker, 0) == 1);
    OK(locker_mark_deleted(locker));
    if (polls) {
        OK(locker_poll_event(locker, &event, 1, &count));
        CHECK(count == 1);
        hear(&full, &event);
    }
    CHECK(log_is(&full.log, "released idling deleted "));
    CHECK(flag(locker, locker_is_deleted) == 1 && flag(locker, locker_is_available) == 0);
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_deleted(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_acquire(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_release(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_should_save(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_mark_force_save(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_load_status(locker, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_is_idling(locker, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_load_minimum_server_version(locker, &version));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_get_lost_save_data(locker, &json));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_when_changes_saved(locker, NULL, NULL, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_wait_until_changes_saved(locker, 1, &value));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_update(locker, 1, &value));
    CHECK(value == 7 && version == 7 && json.length == 7);
    CHECK(log_is(&full.log, ""));
    OK(save_data_get_i64(data, Z("/Gold"), &gold));
    OK(locker_destroy(locker));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_destroy(locker));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(data, Z("/Gold"), &gold));

    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z(""), NULL, 0, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, locker_create(full.spec, T("\xff"), NULL, 0, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z("k"), NULL, 1, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create(full.spec, Z("k"), NULL, 0, NULL));
    CHECK(nothing == NULL);
    full_close(&full);
}

static void arguments_that_are_none_are_refused(void) {
    Full full;
    SlLocker *locker;
    SlBuffer json = {NULL, 7, 0};
    SlEvent event;
    size_t count = 7;
    int32_t value = 7;

    full_open(&full, "memory:", 1, 1);
    locker = acquired(&full, "player");
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_update(locker, NAN, &value));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_update(locker, -INFINITY, &value));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_update(locker, 2e15, &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_update(locker, 0, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_poll_event(locker, NULL, 1, &count));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_poll_event(locker, &event, 1, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_load_status(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_load_minimum_server_version(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_is_idling(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_is_deleted(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_is_available(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_get_save_data(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_get_save_data_json(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_get_lost_save_data(locker, NULL));
    CHECK_STATUS(SL_ERROR_NOT_FOUND, locker_get_lost_save_data(locker, &json));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_wait_until_changes_saved(locker, 1, NULL));
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, locker_wait_until_changes_saved(locker, -1, &value));
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, locker_set_save_data_json(locker, Z("7")));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_set_save_data_json(locker, NULL, 1));
    CHECK(json.length == 7 && count == 7 && value == 7);
    OK(locker_poll_event(locker, NULL, 0, &count));
    CHECK(count == 0);
    released(&full, locker);
    full_close(&full);
}

static void load_statuses_that_are_final_wait_for_the_host(void) {
    static const struct {
        const char *stored;
        int32_t status;
        uint32_t minimum;
    } cases[] = {{"{\"Version\":5}", SL_LOAD_STATUS_INVALID_VERSION, 5},
                 {"{}", SL_LOAD_STATUS_INVALID_VERSION, 0},
                 {"[1,2", SL_LOAD_STATUS_CORRUPT_DATA, 0}};
    size_t index;
    for (index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        Full full;
        SlLocker *locker;
        uint32_t minimum = 77;
        full_open(&full, "memory:", 0, 1);
        store_under(full.storage, "player", cases[index].stored);
        locker = create(&full, "player");
        OK(locker_mark_should_acquire(locker));
        CHECK(step(&full, locker, 0) == 0 && step(&full, locker, 1000) == 0);
        CHECK(flag(locker, locker_load_status) == cases[index].status);
        OK(locker_load_minimum_server_version(locker, &minimum));
        CHECK(minimum == cases[index].minimum);
        CHECK(stored_has(full.storage, "player", cases[index].stored));
        CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));

        /* Asked anew, it looks again. */
        store_under(full.storage, "player", "{\"Version\":1,\"Gold\":9}");
        OK(locker_mark_should_acquire(locker));
        CHECK(step(&full, locker, 0) == 0);
        CHECK(flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
        CHECK(json_is(data_in(locker), "/Gold", "9"));
        released(&full, locker);
        full_close(&full);
    }
}

static void a_key_has_one_owner_among_two_servers(void) {
    Full first, second;
    SlLocker *owner, *other;

    full_open(&first, "memory:one owner", 0, 1);
    full_open(&second, "memory:one owner", 0, 2);
    owner = acquired(&first, "player");
    other = create(&second, "player");
    OK(locker_mark_should_acquire(other));
    step(&second, other, 0);
    step(&second, other, 10);
    step(&second, other, 10);
    CHECK(log_is(&second.log, "released =is_locked "));
    OK(save_data_set_i64(data_in(owner), Z("/Gold"), 12));
    released(&first, owner);
    step(&second, other, 10);
    CHECK(log_is(&second.log, "loaded =loaded "));
    CHECK(json_is(data_in(other), "/Gold", "12"));
    released(&second, other);
    full_close(&first);
    full_close(&second);
}

static void what_was_not_saved_stays_readable_after_a_loss(int polls) {
    Full full;
    SlLocker *locker;
    SlBuffer json;

    full_open(&full, "memory:", polls, 1);
    locker = acquired(&full, "player");
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 31));
    store_under(full.storage, "player", OWNED_BY_ANOTHER);
    OK(locker_mark_force_save(locker));
    CHECK(step(&full, locker, 0) == 0);
    CHECK(log_is(&full.log, "lost-document lost =loading =is_locked "));
    CHECK(strstr(full.last_text, "\"Gold\":31") != NULL);
    OK(locker_get_lost_save_data(locker, &json));
    CHECK(strstr(json.data, "\"Gold\":31") != NULL);
    session_locker_buffer_free(&json);
    CHECK(json_is(data_in(locker), "/Gold", "0"));
    released(&full, locker);
    full_close(&full);
}

static void hooks_run_before_each_save(void) {
    Full full;
    SlLocker *locker;
    SlLockerSpecConfig config;
    SlClock clock;

    full_open(&full, "memory:", 0, 1);
    config = spec_config(&full, &clock, 1);
    config.before_save = before_save;
    config.before_save_transform = before_save_transform;
    OK(locker_spec_destroy(full.spec));
    CHECK(full.drops == 1 && full.moment.drops == 1);
    full.drops = full.moment.drops = 0;
    OK(locker_spec_create(full.storage, &config, &full.spec));
    locker = acquired(&full, "player");
    OK(locker_mark_force_save(locker));
    step(&full, locker, 0);
    CHECK(log_is(&full.log, "before_save before_save_transform saved "));
    CHECK(stored_has(full.storage, "player", "\"Hooks\":1"));
    full.hook_fails = 1;
    OK(locker_mark_should_release(locker));
    CHECK(step(&full, locker, 0) == 1);
    CHECK(strstr(full.log.text, "before_save error:hook(") == full.log.text);
    CHECK(strstr(full.log.text, ") saved released =loading idling ") != NULL);
    CHECK(stored_has(full.storage, "player", "\"Hooks\":1"));
    OK(locker_destroy(locker));
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
    OK(locker_when_changes_saved(locker, count_answer, &answers, &wait));
    OK(locker_when_changes_saved(locker, count_answer, &answers, NULL));
    CHECK_STATUS(SL_ERROR_TIMEOUT, locker_wait_until_changes_saved(locker, 0.1, &was_saved));
    CHECK(answers == 0 && was_saved == 7);
    OK(locker_mark_force_save(locker));
    OK(locker_wait_until_changes_saved(locker, 1, &was_saved));
    CHECK(answers == 2 && was_saved == 1);
    OK(saved_connection_is_saved(wait, &was_saved));
    CHECK(was_saved == 1);

    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 2));
    OK(locker_when_changes_saved(locker, count_answer, &answers, &late));
    OK(saved_connection_trigger(late, 1));
    step(&full, locker, 0);
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
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_create(full.spec, Z("k"), NULL, 0, &nothing));
    CHECK(full.drops == 0 && nothing == NULL);
    OK(locker_mark_force_save(locker));
    step(&full, locker, 0);
    CHECK(log_is(&full.log, "saved "));
    released(&full, locker);
    CHECK(full.drops == 1 && full.moment.drops == 1);
}

static void destroy_when_idle(void *user_data, const SlEvent *event) {
    Full *full = (Full *)user_data;
    hear(full, event);
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
    OK(locker_mark_should_release(locker));
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
        failures += locker_create(full.spec, Z("player"), NULL, 0, &locker) != SL_OK;
        failures += locker_update(locker, 0, &should_remove) != SL_OK;
        failures += locker_poll_event(locker, events, 4, &count) != SL_OK;
        failures += locker_destroy(locker) != SL_OK;
    }
    CHECK(rounds == 66000 && failures == 0);
    full_close(&full);
}

int main(void) {
    a_locker_is_heard_the_same_by_callbacks_and_by_polling(0);
    a_locker_is_heard_the_same_by_callbacks_and_by_polling(1);
    what_cannot_be_done_with_a_deleted_locker(0);
    what_cannot_be_done_with_a_deleted_locker(1);
    arguments_that_are_none_are_refused();
    load_statuses_that_are_final_wait_for_the_host();
    a_key_has_one_owner_among_two_servers();
    what_was_not_saved_stays_readable_after_a_loss(0);
    what_was_not_saved_stays_readable_after_a_loss(1);
    hooks_run_before_each_save();
    waits_of_a_locker();
    lockers_outlive_the_handle_of_their_spec();
    a_locker_may_be_destroyed_inside_its_own_callback();
    lockers_that_come_and_go_leave_no_events_behind();
    return finish("lockers");
}
