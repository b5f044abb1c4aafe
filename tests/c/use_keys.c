/* Use keys: a locker's session is wanted for as long as at least one of them is held. */
#include "locker_world.h"

#define CHAT 1
#define TRADE UINT64_MAX

static int is_loaded(SlLocker *locker) {
    return locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED;
}

static void a_session_is_held_until_the_last_key_is_released(void) {
    static const uint64_t orders[][2] = {{0, CHAT}, {CHAT, 0}, {CHAT, TRADE}, {TRADE, 0}};
    Full full;
    size_t index;
    full_open(&full, "memory:", 0, 1);
    for (index = 0; index < sizeof orders / sizeof *orders; index++) {
        SlLocker *locker = locker_of(&full, "player");
        OK(locker_mark_should_acquire(locker, orders[index][0]));
        CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
        OK(locker_mark_should_acquire(locker, orders[index][1]));
        full.log.text[0] = '\0';
        OK(locker_mark_should_release(locker, orders[index][0]));
        CHECK(locker_step(&full, locker, 1) == 0);
        CHECK(locker_flag(locker, locker_is_available) == 1);
        CHECK_STATUS(SL_ERROR_BUSY, locker_destroy(locker));
        CHECK(log_is(&full.log, ""));
        OK(locker_mark_should_release(locker, orders[index][1]));
        CHECK(locker_flag(locker, locker_is_available) == 0);
        CHECK(locker_step(&full, locker, 1) == 1);
        CHECK(log_is(&full.log, "saved released =loading idling "));
        /* None is left over: it is wanted anew by one, and released by it. */
        OK(locker_mark_should_acquire(locker, TRADE));
        CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
        OK(locker_mark_should_release(locker, TRADE));
        CHECK(locker_step(&full, locker, 1) == 1);
        OK(locker_destroy(locker));
    }
    full_close(&full);
}

static void a_key_that_is_acquired_twice_is_held_once(void) {
    static const uint64_t keys[] = {0, CHAT, TRADE};
    Full full;
    size_t index;
    full_open(&full, "memory:", 0, 1);
    for (index = 0; index < sizeof keys / sizeof *keys; index++) {
        SlLocker *locker = locker_of(&full, "player");
        OK(locker_mark_should_acquire(locker, keys[index]));
        OK(locker_mark_should_acquire(locker, keys[index]));
        CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
        OK(locker_mark_should_acquire(locker, keys[index]));
        OK(locker_mark_should_release(locker, keys[index]));
        CHECK(locker_step(&full, locker, 1) == 1);
        OK(locker_destroy(locker));
    }
    full_close(&full);
}

static void releasing_a_key_that_is_not_held_does_nothing(void) {
    Full full;
    SlLocker *locker;
    full_open(&full, "memory:", 0, 1);
    locker = acquired(&full, "default");
    OK(locker_mark_should_release(locker, CHAT));
    CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
    released(&full, locker);

    locker = locker_of(&full, "own");
    OK(locker_mark_should_release(locker, CHAT));
    OK(locker_mark_should_acquire(locker, CHAT));
    OK(locker_mark_should_release(locker, 0));
    OK(locker_mark_should_release(locker, TRADE));
    CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
    OK(locker_mark_should_release(locker, CHAT));
    OK(locker_mark_should_release(locker, CHAT));
    CHECK(locker_step(&full, locker, 1) == 1);
    OK(locker_destroy(locker));
    full_close(&full);
}

static void so_many_keys_are_held_and_no_more(void) {
    Full full;
    SlLocker *locker;
    uint64_t key;
    int failures = 0;
    full_open(&full, "memory:", 0, 1);
    locker = acquired(&full, "player");
    for (key = 1; key < 1024; key++) {
        failures += locker_mark_should_acquire(locker, key) != SL_OK;
    }
    CHECK(failures == 0);
    CHECK_STATUS(SL_ERROR_LIMIT, locker_mark_should_acquire(locker, 1024));
    CHECK(last_error_says("1024 held use keys of this locker"));
    /* Those that are held may be acquired again, and what is released makes room. */
    OK(locker_mark_should_acquire(locker, 0));
    OK(locker_mark_should_acquire(locker, 1023));
    OK(locker_mark_should_release(locker, 0));
    OK(locker_mark_should_acquire(locker, 1024));
    CHECK_STATUS(SL_ERROR_LIMIT, locker_mark_should_acquire(locker, 0));
    for (key = 1; key < 1024; key++) {
        failures += locker_mark_should_release(locker, key) != SL_OK;
    }
    CHECK(failures == 0);
    CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
    OK(locker_mark_should_release(locker, 1024));
    CHECK(locker_step(&full, locker, 1) == 1);
    OK(locker_destroy(locker));
    full_close(&full);
}

/* Loading is given up until any key is acquired anew, also one that is held. */
static void after_a_final_status_a_key_that_is_held_tries_anew(void) {
    static const uint64_t keys[] = {0, CHAT};
    Full full;
    size_t index;
    full_open(&full, "memory:", 0, 1);
    for (index = 0; index < 2; index++) {
        SlLocker *locker = locker_of(&full, "player");
        store_under(full.storage, "player", "{\"Version\":9}");
        OK(locker_mark_should_acquire(locker, keys[index]));
        OK(locker_mark_should_acquire(locker, TRADE));
        CHECK(locker_step(&full, locker, 1) == 0);
        CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_INVALID_VERSION);
        /* It is wanted still, so it does not come to rest. */
        OK(locker_mark_should_release(locker, TRADE));
        CHECK(locker_step(&full, locker, 100) == 0);
        CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_INVALID_VERSION);
        store_under(full.storage, "player", "{\"Version\":1,\"Gold\":5}");
        CHECK(locker_step(&full, locker, 100) == 0 && !is_loaded(locker));
        OK(locker_mark_should_acquire(locker, keys[index]));
        CHECK(locker_step(&full, locker, 1) == 0 && is_loaded(locker));
        OK(locker_mark_should_release(locker, keys[index]));
        CHECK(locker_step(&full, locker, 1) == 1);
        OK(locker_destroy(locker));
    }
    full_close(&full);
}

int main(void) {
    a_session_is_held_until_the_last_key_is_released();
    a_key_that_is_acquired_twice_is_held_once();
    releasing_a_key_that_is_not_held_does_nothing();
    so_many_keys_are_held_and_no_more();
    after_a_final_status_a_key_that_is_held_tries_anew();
    return finish("use_keys");
}
