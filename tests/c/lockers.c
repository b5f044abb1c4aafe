/* The full API: lockers that the host drives one by one, in both ways to hear events: their sessions,
 * load statuses, losses and hooks. */
#include "locker_world.h"

#include <math.h>

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

static void a_locker_is_heard_the_same_by_callbacks_and_by_polling(int polls) {
    Full full;
    SlLocker *locker;
    SlText user;
    SlSessionOptions options;
    SlBuffer keys, json;
    int64_t gold;

    user.data = "42";
    user.length = SL_NUL_TERMINATED;
    options = options_of(&user, 1);
    full_open(&full, "memory:", polls, 1);
    OK(locker_create(full.spec, Z("player/42"), &options, &locker));
    CHECK(log_is(&full.log, ""));
    CHECK(locker_flag(locker, locker_is_deleted) == 0 && locker_flag(locker, locker_is_available) == 0);
    CHECK(locker_step(&full, locker, 0) == 1);
    CHECK(log_is(&full.log, "released idling "));
    CHECK(full.last_locker == locker);
    CHECK(locker_flag(locker, locker_is_idling) == 1);

    OK(locker_mark_should_acquire(locker, 0));
    CHECK(locker_flag(locker, locker_is_idling) == 0);
    CHECK(locker_step(&full, locker, 0) == 0);
    CHECK(log_is(&full.log, "loaded =loaded "));
    CHECK(locker_flag(locker, locker_is_available) == 1);
    OK(locker_storage_keys_of_user(full.storage, Z("42"), 1, &keys));
    CHECK(buffer_is(&keys, "[\"player/42\"]"));

    OK(save_data_add_i64(data_in(locker), Z("/Gold"), 5, &gold));
    CHECK(data_in(locker) == data_in(locker));
    OK(locker_mark_should_save(locker));
    locker_step(&full, locker, 0);
    CHECK(log_is(&full.log, ""));
    OK(locker_mark_force_save(locker));
    locker_step(&full, locker, 0);
    CHECK(log_is(&full.log, "saved "));
    CHECK(strcmp(full.last_key, "player/42") == 0);
    CHECK(stored_has(full.storage, "player/42", "\"Gold\":5"));
    OK(locker_set_save_data_json(locker, Z("{\"Gold\":6,\"Version\":8}")));
    OK(locker_get_save_data_json(locker, &json));
    CHECK(strstr(json.data, "\"Version\":1") != NULL && strstr(json.data, "\"Gold\":6") != NULL);
    session_locker_buffer_free(&json);

    CHECK_STATUS(SL_ERROR_BUSY, locker_mark_deleted(locker));
    CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));
    OK(locker_mark_should_release(locker, 0));
    CHECK(locker_flag(locker, locker_is_available) == 0);
    CHECK(locker_step(&full, locker, 0) == 1);
    CHECK(log_is(&full.log, "saved released =loading idling "));
    CHECK(stored_has(full.storage, "player/42", "\"Gold\":6"));
    CHECK(!stored_has(full.storage, "player/42", "\"Session\""));
    full.last_key[0] = '\0';
    OK(locker_destroy(locker));
    CHECK(polls || strcmp(full.last_key, "player/42") == 0);
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
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_is_syncing(locker, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_set_is_syncing(locker, 2));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_set_is_syncing(locker, -1));
    CHECK(locker_flag(locker, locker_is_syncing) == 1);
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
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_get_key(locker, NULL));
    OK(locker_get_key(locker, &json));
    CHECK(strcmp(json.data, "player") == 0);
    session_locker_buffer_free(&json);
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
        locker = locker_of(&full, "player");
        OK(locker_mark_should_acquire(locker, 0));
        CHECK(locker_step(&full, locker, 0) == 0 && locker_step(&full, locker, 1000) == 0);
        CHECK(locker_flag(locker, locker_load_status) == cases[index].status);
        OK(locker_load_minimum_server_version(locker, &minimum));
        CHECK(minimum == cases[index].minimum);
        CHECK(stored_has(full.storage, "player", cases[index].stored));
        CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));

        /* Asked anew, it looks again. */
        store_under(full.storage, "player", "{\"Version\":1,\"Gold\":9}");
        OK(locker_mark_should_acquire(locker, 0));
        CHECK(locker_step(&full, locker, 0) == 0);
        CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
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
    other = locker_of(&second, "player");
    OK(locker_mark_should_acquire(other, 0));
    locker_step(&second, other, 0);
    locker_step(&second, other, 10);
    locker_step(&second, other, 10);
    CHECK(log_is(&second.log, "released =is_locked "));
    OK(save_data_set_i64(data_in(owner), Z("/Gold"), 12));
    released(&first, owner);
    locker_step(&second, other, 10);
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
    CHECK(locker_step(&full, locker, 0) == 0);
    CHECK(log_is(&full.log, "lost-document lost =loading =is_locked "));
    CHECK(strstr(full.last_text, "\"Gold\":31") != NULL);
    OK(locker_get_lost_save_data(locker, &json));
    CHECK(strstr(json.data, "\"Gold\":31") != NULL);
    session_locker_buffer_free(&json);
    CHECK(json_is(data_in(locker), "/Gold", "0"));
    released(&full, locker);
    full_close(&full);
}

static void a_locker_that_is_not_syncing_is_not_available_and_is_saved_all_the_same(void) {
    Full full;
    SlLocker *locker;

    full_open(&full, "memory:", 0, 1);
    locker = locker_of(&full, "player");
    CHECK(locker_flag(locker, locker_is_syncing) == 1);
    OK(locker_mark_should_acquire(locker, 0));
    CHECK(locker_step(&full, locker, 0) == 0);
    CHECK(locker_flag(locker, locker_is_available) == 1);
    OK(locker_set_is_syncing(locker, 0));
    CHECK(locker_flag(locker, locker_is_syncing) == 0);
    CHECK(locker_flag(locker, locker_is_available) == 0);
    full.log.text[0] = '\0';
    OK(save_data_set_i64(data_in(locker), Z("/Gold"), 7));
    OK(locker_mark_force_save(locker));
    CHECK(locker_step(&full, locker, 1) == 0);
    CHECK(log_is(&full.log, "saved ") && stored_has(full.storage, "player", "\"Gold\":7"));
    OK(locker_set_is_syncing(locker, 1));
    CHECK(locker_flag(locker, locker_is_available) == 1);

    /* It stays as the host has set it. */
    OK(locker_set_is_syncing(locker, 0));
    OK(locker_mark_should_release(locker, 0));
    CHECK(locker_step(&full, locker, 1) == 1);
    OK(locker_mark_should_acquire(locker, 0));
    CHECK(locker_step(&full, locker, 1) == 0);
    CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
    CHECK(locker_flag(locker, locker_is_syncing) == 0);
    CHECK(locker_flag(locker, locker_is_available) == 0);
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
    locker_step(&full, locker, 0);
    CHECK(log_is(&full.log, "before_save before_save_transform saved "));
    CHECK(stored_has(full.storage, "player", "\"Hooks\":1"));
    full.hook_fails = 1;
    OK(locker_mark_should_release(locker, 0));
    CHECK(locker_step(&full, locker, 0) == 1);
    CHECK(strstr(full.log.text, "before_save error:hook(") == full.log.text);
    CHECK(strstr(full.log.text, ") saved released =loading idling ") != NULL);
    CHECK(stored_has(full.storage, "player", "\"Hooks\":1"));
    OK(locker_destroy(locker));
    full_close(&full);
}

int main(void) {
    a_locker_is_heard_the_same_by_callbacks_and_by_polling(0);
    a_locker_is_heard_the_same_by_callbacks_and_by_polling(1);
    arguments_that_are_none_are_refused();
    load_statuses_that_are_final_wait_for_the_host();
    a_key_has_one_owner_among_two_servers();
    what_was_not_saved_stays_readable_after_a_loss(0);
    what_was_not_saved_stays_readable_after_a_loss(1);
    a_locker_that_is_not_syncing_is_not_available_and_is_saved_all_the_same();
    hooks_run_before_each_save();
    return finish("lockers");
}
