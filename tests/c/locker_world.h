/* What the C tests of the full API share: a server whose lockers the host drives one by one. */
#ifndef LOCKER_WORLD_H
#define LOCKER_WORLD_H

#include "world.h"

/* A server that works with lockers. */
typedef struct Full {
    Moment moment;
    SlStorage *storage;
    SlLockerSpec *spec;
    Log log;
    SlLocker *last_locker;
    char last_key[64];
    char last_text[512];
    int drops;
    int hooks;
    int hook_fails;
    int polls;
} Full;

HELPER void full_hears(void *user_data, const SlEvent *event) {
    Full *full = (Full *)user_data;
    full->last_locker = event->locker;
    CHECK(event->profile == NULL && event->key.length > 0);
    sprintf(full->last_key, "%.*s", (int)event->key.length, event->key.data);
    if (event->text.length > 0) {
        sprintf(full->last_text, "%.500s", event->text.data);
    }
    note_event(&full->log, event);
}

HELPER void full_drop(void *user_data) { ((Full *)user_data)->drops++; }

HELPER SlLockerSpecConfig spec_config(Full *full, SlClock *clock, uint64_t seed) {
    SlLockerSpecConfig config;
    OK(locker_spec_config_init(&config, sizeof config));
    *clock = clock_of(&full->moment);
    config.clock = clock;
    config.seed = seed;
    config.template_json = "{\"Gold\":0}";
    config.polls_events = full->polls;
    config.user_data = full;
    config.event = full_hears;
    config.drop = full_drop;
    return config;
}

HELPER void full_open(Full *full, const char *url, int polls, uint64_t seed) {
    SlClock clock;
    SlLockerSpecConfig config;
    memset(full, 0, sizeof *full);
    full->polls = polls;
    OK(locker_storage_open(Z(url), &full->storage));
    config = spec_config(full, &clock, seed);
    OK(locker_spec_create(full->storage, &config, &full->spec));
}

HELPER void full_close(Full *full) {
    OK(locker_spec_destroy(full->spec));
    OK(locker_storage_destroy(full->storage));
    CHECK(full->drops == 1 && full->moment.drops == 1);
}

HELPER SlLocker *locker_of(Full *full, const char *key) {
    SlLocker *locker = NULL;
    OK(locker_create(full->spec, Z(key), NULL, &locker));
    return locker;
}

/* One update, so many seconds after the last; gives whether the locker may be removed. */
HELPER int32_t locker_step(Full *full, SlLocker *locker, double seconds) {
    int32_t should_remove = 7;
    SlEvent event;
    size_t count = 0;
    full->moment.seconds += seconds;
    OK(locker_update(locker, full->moment.seconds, &should_remove));
    do {
        OK(locker_poll_event(locker, &event, 1, &count));
        if (count == 1) {
            CHECK(event.locker == locker);
            full_hears(full, &event);
        }
    } while (count > 0);
    return should_remove;
}

HELPER int32_t locker_flag(SlLocker *locker, SlStatus (*is_so)(const SlLocker *, int32_t *)) {
    int32_t value = 7;
    OK(is_so(locker, &value));
    return value;
}

HELPER SlSaveData *data_in(SlLocker *locker) {
    SlSaveData *data = NULL;
    OK(locker_get_save_data(locker, &data));
    return data;
}

HELPER SlLocker *acquired(Full *full, const char *key) {
    SlLocker *locker = locker_of(full, key);
    OK(locker_mark_should_acquire(locker, 0));
    CHECK(locker_step(full, locker, 0) == 0);
    CHECK(locker_flag(locker, locker_load_status) == SL_LOAD_STATUS_LOADED);
    full->log.text[0] = '\0';
    return locker;
}

HELPER void released(Full *full, SlLocker *locker) {
    OK(locker_mark_should_release(locker, 0));
    locker_step(full, locker, 0);
    CHECK(locker_step(full, locker, 0) == 1);
    OK(locker_destroy(locker));
}

#endif
