/* What the C tests of sessions share: a clock that moves only when it is told to, and a game server
 * whose events are noted as words, whether they are called back or polled. */
#ifndef WORLD_H
#define WORLD_H

#include "check.h"

/* Not every program uses every function of this file. */
#define HELPER static inline

/* A clock of the host's own; nothing but `moment` moves it, and blocking waits. */
typedef struct Moment {
    double seconds;
    int drops;
} Moment;

HELPER double moment_wall(void *user_data) { return 1700000000 + ((Moment *)user_data)->seconds; }

HELPER double moment_monotonic(void *user_data) { return ((Moment *)user_data)->seconds; }

HELPER void moment_sleep(void *user_data, double seconds) {
    ((Moment *)user_data)->seconds += seconds;
}

HELPER void moment_drop(void *user_data) { ((Moment *)user_data)->drops++; }

HELPER SlClock clock_of(Moment *moment) {
    SlClock clock;
    OK(session_locker_clock_init(&clock, sizeof clock));
    clock.user_data = moment;
    clock.wall = moment_wall;
    clock.monotonic = moment_monotonic;
    clock.sleep = moment_sleep;
    clock.drop = moment_drop;
    return clock;
}

/* What happened, as words with a space after each. */
typedef struct Log {
    char text[8192];
} Log;

HELPER void note(Log *log, const char *word) {
    size_t length = strlen(log->text);
    if (length + strlen(word) + 2 <= sizeof log->text) {
        sprintf(log->text + length, "%s ", word);
    }
}

/* Whether this is what was noted since the last look. */
HELPER int log_is(Log *log, const char *expected) {
    int same = strcmp(log->text, expected) == 0;
    if (!same) {
        fprintf(stderr, "expected: %s\n     got: %s\n", expected, log->text);
    }
    log->text[0] = '\0';
    return same;
}

HELPER const char *lifecycle_word(int32_t lifecycle, int32_t reason) {
    static const char *const replaced[] = {"replaced", "loaded", "released", "lost"};
    static const char *const words[] = {"?",       "?",         "saved",   "idling",
                                        "deleted", "destroyed", "finished"};
    if (lifecycle == SL_LIFECYCLE_REPLACED) {
        return reason >= 0 && reason < 4 ? replaced[reason] : "?";
    }
    return lifecycle >= 0 && lifecycle < 7 ? words[lifecycle] : "?";
}

HELPER const char *load_status_word(int32_t status) {
    static const char *const words[] = {
        "=loading",      "=request_fail",     "=is_locked",     "=invalid_version", "=loaded",
        "=corrupt_data", "=migration_failed", "=create_failed", "=erased"};
    return status >= 0 && status < 9 ? words[status] : "=?";
}

HELPER const char *outcome_word(int32_t outcome) {
    static const char *const words[] = {"answer:no", "answer:yes", "answer:unknown"};
    return outcome >= 0 && outcome < 3 ? words[outcome] : "answer:?";
}

HELPER void note_event(Log *log, const SlEvent *event) {
    static const char *const activities[] = {"?",    "load",   "save",  "create",   "migrate",
                                             "hook", "change", "merge", "purchase", "send"};
    char word[600];
    int spare;
    CHECK(event->reserved == 0 && event->text.data != NULL);
    for (spare = 0; spare < 6; spare++) {
        CHECK(event->reserved_for_later[spare] == 0);
    }
    CHECK(event->text.data[event->text.length] == '\0');
    switch (event->kind) {
    case SL_EVENT_LIFECYCLE: note(log, lifecycle_word(event->lifecycle, event->reason)); break;
    case SL_EVENT_LOAD_STATUS: note(log, load_status_word(event->load_status)); break;
    case SL_EVENT_ERROR:
        CHECK((event->product_id != 0) == (event->activity == SL_ACTIVITY_PURCHASE));
        sprintf(word, "error:%s(%.500s)", activities[event->activity], event->text.data);
        note(log, word);
        break;
    case SL_EVENT_LOST:
        note(log, "lost-document");
        break;
    case SL_EVENT_CHANGES_SAVED: note(log, outcome_word(event->outcome)); break;
    default: note(log, "?"); break;
    }
}

/* A game server with a store of its own. */
typedef struct Server {
    Moment moment;
    SlStorage *storage;
    SlEasyStore *store;
    int polls;
    int drops;
    Log log;
    SlProfile *last_profile; /* of the last event */
    SlSavedConnection *last_wait;
    char last_key[64];
    char last_text[512];
} Server;

HELPER void server_hears(void *user_data, const SlEvent *event) {
    Server *server = (Server *)user_data;
    server->last_profile = event->profile;
    sprintf(server->last_key, "%.*s", (int)event->key.length, event->key.data);
    CHECK(event->locker == NULL && event->key.length > 0);
    if (event->kind == SL_EVENT_CHANGES_SAVED) {
        server->last_wait = event->saved_connection;
    }
    if (event->text.length > 0) {
        sprintf(server->last_text, "%.500s", event->text.data);
    }
    note_event(&server->log, event);
}

HELPER void server_drop(void *user_data) { ((Server *)user_data)->drops++; }

/* Servers of one storage differ in their seed, as they must. */
HELPER SlEasyStoreConfig server_config(Server *server, SlClock *clock, uint64_t seed) {
    SlEasyStoreConfig config;
    OK(easy_store_config_init(&config, sizeof config));
    *clock = clock_of(&server->moment);
    config.clock = clock;
    config.seed = seed;
    config.template_json = "{\"Gold\":0}";
    config.polls_events = server->polls;
    config.user_data = server;
    config.event = server_hears;
    config.drop = server_drop;
    /* A few of these frames do what many of a game's would. */
    config.requests_per_update = 128;
    return config;
}

HELPER void server_open(Server *server, const char *url, int polls, uint64_t seed) {
    SlClock clock;
    SlEasyStoreConfig config;
    memset(server, 0, sizeof *server);
    server->polls = polls;
    OK(locker_storage_open(Z(url), &server->storage));
    config = server_config(server, &clock, seed);
    OK(easy_store_create(server->storage, &config, &server->store));
}

HELPER void server_poll(Server *server) {
    SlEvent events[3];
    size_t count = 0, index;
    do {
        OK(easy_store_poll_event(server->store, events, 3, &count));
        for (index = 0; index < count; index++) {
            server_hears(server, &events[index]);
        }
    } while (count > 0);
}

/* One update, so many seconds after the last. */
HELPER void frame(Server *server, double seconds) {
    server->moment.seconds += seconds;
    OK(easy_store_update(server->store, server->moment.seconds));
    server_poll(server);
}

HELPER void server_close(Server *server) {
    OK(easy_store_destroy(server->store));
    OK(locker_storage_destroy(server->storage));
    CHECK(server->drops == 1 && server->moment.drops == 1);
}

/* Options with these users, and else the defaults. */
HELPER SlSessionOptions options_of(const SlText *user_ids, size_t count) {
    SlSessionOptions options;
    OK(session_locker_session_options_init(&options, sizeof options));
    options.user_ids = user_ids;
    options.user_id_count = count;
    return options;
}

/* Options with this operation id, which live until the next call. */
HELPER const SlSendOptions *sent_as(const char *operation_id, size_t length) {
    static SlSendOptions options;
    OK(session_locker_send_options_init(&options, sizeof options));
    CHECK(options.operation_id == NULL && options.operation_id_length == SL_NUL_TERMINATED);
    options.operation_id = operation_id;
    options.operation_id_length = length;
    return &options;
}

/* A session that is loaded. */
HELPER SlProfile *loaded(Server *server, const char *key) {
    SlProfile *profile = NULL;
    int32_t is_loaded = 0;
    OK(easy_store_start_session(server->store, Z(key), NULL, &profile));
    frame(server, 0);
    frame(server, 0);
    OK(profile_is_loaded(profile, &is_loaded));
    CHECK(is_loaded == 1);
    server->log.text[0] = '\0';
    return profile;
}

HELPER SlSaveData *data_of(SlProfile *profile) {
    SlSaveData *data = NULL;
    OK(profile_get_save_data(profile, &data));
    return data;
}

HELPER int32_t load_status_of(SlProfile *profile) {
    int32_t status = -1;
    OK(profile_load_status(profile, &status));
    return status;
}

/* What is stored under a key; the caller frees it. Empty when nothing is. */
HELPER SlBuffer stored_under(SlStorage *storage, const char *key) {
    SlBuffer bytes = {NULL, 0, 0}, revision = {NULL, 0, 0}, user_ids = {NULL, 0, 0};
    int32_t is_present = 0;
    OK(locker_storage_fetch(storage, Z(key), 10, &is_present, &bytes, &revision, &user_ids));
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    return bytes;
}

/* Whether what is stored under a key has these words in it. */
HELPER int stored_has(SlStorage *storage, const char *key, const char *words) {
    SlBuffer bytes = stored_under(storage, key);
    int has = strstr(bytes.data, words) != NULL;
    session_locker_buffer_free(&bytes);
    return has;
}

/* A document that another server owns, whose session has just been saved. */
#define OWNED_BY_ANOTHER                                                                           \
    "{\"Version\":1,\"Session\":{\"PlaceId\":0,\"JobId\":\"other\",\"LockId\":77,"                     \
    "\"UpdatedAt\":1700000000},\"Gold\":5}"

/* Writes a record, as a tool would, over whatever is there. */
HELPER void store_under(SlStorage *storage, const char *key, const char *json) {
    SlBuffer bytes, revision, user_ids, after;
    int32_t is_present;
    OK(locker_storage_fetch(storage, Z(key), 10, &is_present, &bytes, &revision, &user_ids));
    OK(locker_storage_commit(storage, Z(key), json, strlen(json), NULL, 0, revision.data,
                             revision.length, 10, &after));
    session_locker_buffer_free(&bytes);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    session_locker_buffer_free(&after);
}

#endif
