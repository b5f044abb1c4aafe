/* Configurations of stores and specs: what each field refuses, that a refused call leaves user data
 * to the host, and how documents are made, migrated and shown for tests. */
#include "world.h"

#include <math.h>

static Server server;

static SlStatus create_document(void *user_data, const char *key, size_t key_length,
                                SlSaveData *data) {
    CHECK(user_data == &server);
    OK(save_data_set_string(data, Z("/Name"), key, key_length));
    return SL_OK;
}

static SlStatus fail_to_create(void *user_data, const char *key, size_t key_length,
                               SlSaveData *data) {
    (void)user_data;
    (void)key;
    (void)key_length;
    OK(save_data_set_i64(data, Z("/Gold"), 1));
    OK(session_locker_set_hook_error(Z("the catalogue is empty")));
    return SL_ERROR_HOOK;
}

static SlStorage *storage = NULL;

static int store_is_refused(const SlEasyStoreConfig *config, SlStatus status, const char *words) {
    SlEasyStore *store = NULL;
    SlStatus got = easy_store_create(storage, config, &store);
    if (got != status || store != NULL) {
        fprintf(stderr, "got %s, and %p\n", session_locker_status_name(got), (void *)store);
        return 0;
    }
    return last_error_says(words);
}

static int spec_is_refused(const SlLockerSpecConfig *config, SlStatus status, const char *words) {
    SlLockerSpec *spec = NULL;
    SlStatus got = locker_spec_create(storage, config, &spec);
    if (got != status || spec != NULL) {
        fprintf(stderr, "got %s, and %p\n", session_locker_status_name(got), (void *)spec);
        return 0;
    }
    return last_error_says(words);
}

/* The spec's configuration with the same values as the store's. */
static SlLockerSpecConfig spec_config_of(SlClock *clock) {
    SlLockerSpecConfig config;
    OK(locker_spec_config_init(&config, sizeof config));
    *clock = clock_of(&server.moment);
    config.clock = clock;
    config.seed = 1;
    config.template_json = "{\"Gold\":0}";
    config.user_data = &server;
    config.drop = server_drop;
    return config;
}

/* Both configurations have the field, and refuse the value in the same way. */
#define REFUSES(field, value, status, words)                                                       \
    do {                                                                                           \
        SlClock clock_, spec_clock_;                                                               \
        SlEasyStoreConfig config_ = server_config(&server, &clock_, 1);                            \
        SlLockerSpecConfig spec_config_ = spec_config_of(&spec_clock_);                            \
        config_.field = value;                                                                     \
        CHECK(store_is_refused(&config_, status, words));                                          \
        spec_config_.field = value;                                                                \
        CHECK(spec_is_refused(&spec_config_, status, words));                                      \
    } while (0)

#define REFUSES_ARGUMENT(field, value, words)                                                      \
    REFUSES(field, value, SL_ERROR_INVALID_ARGUMENT, words)

/* A time in seconds that must be more than nothing and less than for ever. */
#define REFUSES_TIMES(field, words)                                                                \
    do {                                                                                           \
        REFUSES_ARGUMENT(field, NAN, words);                                                       \
        REFUSES_ARGUMENT(field, INFINITY, words);                                                  \
        REFUSES_ARGUMENT(field, -INFINITY, words);                                                 \
        REFUSES_ARGUMENT(field, -1, words);                                                        \
        REFUSES_ARGUMENT(field, 1.1e9, words);                                                     \
    } while (0)

static void numbers_out_of_range_are_refused(void) {
    REFUSES_ARGUMENT(save_data_version, 0, "save_data_version is 0");
    REFUSES_ARGUMENT(save_data_version_patch, NAN, "save_data_version_patch");
    REFUSES_ARGUMENT(save_data_version_patch, -INFINITY, "save_data_version_patch");
    REFUSES_TIMES(maintain_session_period, "maintain_session_period");
    REFUSES_ARGUMENT(maintain_session_period, 0, "maintain_session_period is 0");
    REFUSES_TIMES(session_expiry, "session_expiry");
    REFUSES_ARGUMENT(session_expiry, 0, "session_expiry is 0");
    REFUSES_TIMES(clock_tolerance, "clock_tolerance");
    REFUSES_TIMES(session_retry_cooldown, "session_retry_cooldown");
    REFUSES_ARGUMENT(session_retry_cooldown, 0, "session_retry_cooldown is 0");
    REFUSES_TIMES(session_retry_ceiling, "session_retry_ceiling");
    REFUSES_TIMES(request_timeout, "request_timeout");
    REFUSES_ARGUMENT(request_timeout, 0, "request_timeout is 0");
    REFUSES_ARGUMENT(document_limit_bytes, 0, "document_limit_bytes is 0");
    REFUSES_ARGUMENT(document_limit_bytes, 63, "document_limit_bytes is 63");
    REFUSES_ARGUMENT(document_limit_bytes, ((uint64_t)1 << 30) + 1, "64 bytes to 1 GiB");
    REFUSES_ARGUMENT(document_limit_bytes, UINT64_MAX, "64 bytes to 1 GiB");
    REFUSES_ARGUMENT(bytes_per_update, 0, "bytes_per_update is 0");
    REFUSES_ARGUMENT(purchase_history_limit, 0, "purchase_history_limit is 0");
    REFUSES_ARGUMENT(requests_per_update, 0, "requests_per_update is 0");
    REFUSES_ARGUMENT(requests_in_flight, 0, "requests_in_flight is 0");
    REFUSES_ARGUMENT(read_only_data_stores, 2, "config.read_only_data_stores is 2");
    REFUSES_ARGUMENT(read_only_data_stores, -1, "config.read_only_data_stores is -1");
    REFUSES_ARGUMENT(polls_events, 2, "config.polls_events is 2");
    REFUSES_ARGUMENT(verbose_logs, 2, "config.verbose_logs is 2");
    REFUSES_ARGUMENT(session_expiry, 390, "a session would expire before it is saved again");
    REFUSES_ARGUMENT(maintain_session_period, 1650,
                     "maintain_session_period (1650 s) + 2 x request_timeout (30 s) + lease margin "
                     "(90 s) must be less than session_expiry (1800 s)");
}

static void texts_that_are_none_are_refused(void) {
    static const char large[128] = "{\"Text\":\"0123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789\"}";
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    REFUSES(template_json, "{\"Gold\":}", SL_ERROR_INVALID_JSON, "config.template_json: ");
    REFUSES(template_json, "[]", SL_ERROR_WRONG_TYPE, "config.template_json: ");
    REFUSES(template_json, "", SL_ERROR_INVALID_JSON, "config.template_json: ");
    REFUSES(template_json, "{\"A\":\"\xff\"}", SL_ERROR_INVALID_UTF8, "config.template_json");
    REFUSES(template_json, "{\"A\":1,\"A\":2}", SL_ERROR_INVALID_JSON, "\"A\"");
    REFUSES(test_data_json, "\xff", SL_ERROR_INVALID_UTF8, "config.test_data_json");
    REFUSES(job_id, "\xff", SL_ERROR_INVALID_UTF8, "config.job_id");
    REFUSES_ARGUMENT(template_json_length, (size_t)PTRDIFF_MAX + 1, "config.template_json");
    REFUSES_ARGUMENT(job_id_length, 3, "config.job_id is NULL");
    REFUSES_ARGUMENT(test_data_json_length, 3, "config.test_data_json is NULL");
    config.template_json = large;
    config.document_limit_bytes = 64;
    CHECK(store_is_refused(&config, SL_ERROR_TOO_LARGE, "config.template_json: "));
    /* A template or a hook, and not both. */
    REFUSES_ARGUMENT(template_json, NULL, "config.template_json and config.create_save_data");
    REFUSES_ARGUMENT(create_save_data, create_document,
                     "config.template_json and config.create_save_data");
}

static void wrong_handles_in_a_configuration_are_refused(void) {
    SlMigratorBuilder *builder;
    SlMigrators *stale;
    OK(migrator_builder_create(&builder));
    OK(migrator_builder_build(builder, &stale));
    OK(migrators_destroy(stale));
    REFUSES(migrators, stale, SL_ERROR_INVALID_HANDLE, "expected the handle of an SlMigrators");
    REFUSES(migrators, (SlMigrators *)storage, SL_ERROR_INVALID_HANDLE, "SlStorage");
    OK(migrator_builder_destroy(builder));
}

static void clocks_that_cannot_tell_the_time_are_refused(void) {
    static const uint32_t sizes[] = {0, 8, 40, 47, 49, 5000};
    struct {
        SlClock clock;
        uint64_t later;
    } table;
    SlClock unused;
    SlEasyStoreConfig config = server_config(&server, &unused, 1);
    size_t index;
    config.clock = &table.clock;
    table.later = 0;
#define CLOCK_REFUSED(field, value, words)                                                         \
    do {                                                                                           \
        table.clock = clock_of(&server.moment);                                                    \
        table.clock.field = value;                                                                 \
        CHECK(store_is_refused(&config, SL_ERROR_INVALID_ARGUMENT, words));                        \
    } while (0)
    CLOCK_REFUSED(wall, NULL, "config.clock.wall is NULL");
    CLOCK_REFUSED(monotonic, NULL, "config.clock.monotonic is NULL");
    CLOCK_REFUSED(sleep, NULL, "config.clock.sleep is NULL");
    CLOCK_REFUSED(reserved, 1, "config.clock.reserved is 1");
    for (index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        CLOCK_REFUSED(struct_size, sizes[index], "config.clock.struct_size is");
    }
    table.later = 1;
    CLOCK_REFUSED(struct_size, sizeof table, "config.clock sets a field at byte");
    /* Refused for something else after the clock was looked at: it stays the host's too. */
    table.clock = clock_of(&server.moment);
    config.session_expiry = 1;
    CHECK(store_is_refused(&config, SL_ERROR_INVALID_ARGUMENT, "session_expiry"));
    CHECK(server.moment.drops == 0);
}

static double show_no_time(void *user_data) {
    (void)user_data;
    return NAN;
}

/* The configurations of hosts compiled against a later version, which have one more field. */
typedef struct LaterConfig {
    SlEasyStoreConfig config;
    uint64_t later;
} LaterConfig;

static void structs_of_other_versions(void) {
    static const uint32_t sizes[] = {0, 4, 200, 300, 4104, UINT32_MAX};
    LaterConfig table;
    SlLockerSpecConfig spec_config;
    SlClock clock, spec_clock;
    SlEasyStore *store = NULL;
    size_t index;

    table.later = 7;
    table.config = server_config(&server, &clock, 1);
    spec_config = spec_config_of(&spec_clock);
    CHECK(table.config.struct_size == sizeof table.config && table.later == 7);
    CHECK(table.config.maintain_session_period == 300 && table.config.session_expiry == 1800);
    CHECK(table.config.request_timeout == 30 && table.config.save_data_version == 1);
    CHECK(table.config.document_limit_bytes == 4 << 20);
    CHECK(table.config.job_id_length == SL_NUL_TERMINATED && table.config.job_id == NULL);
    for (index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                     easy_store_config_init(&table.config, sizes[index]));
        CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                     locker_spec_config_init(&spec_config, sizes[index]));
        table.config.struct_size = spec_config.struct_size = sizes[index];
        CHECK(store_is_refused(&table.config, SL_ERROR_INVALID_ARGUMENT, "config.struct_size is"));
        CHECK(spec_is_refused(&spec_config, SL_ERROR_INVALID_ARGUMENT, "config.struct_size is"));
    }
    table.config.struct_size = sizeof table.config - 8;
    CHECK(store_is_refused(&table.config, SL_ERROR_INVALID_ARGUMENT, "config.struct_size is"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_config_init(NULL, sizeof table.config));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_spec_config_init(NULL, sizeof spec_config));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_create(storage, NULL, &store));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_spec_create(storage, NULL, NULL));
    table.config.struct_size = sizeof table;
    CHECK(store_is_refused(&table.config, SL_ERROR_INVALID_ARGUMENT, "config sets a field at"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_create(storage, &table.config, NULL));
    CHECK(server.drops == 0 && server.moment.drops == 0);

    table.later = 0;
    OK(easy_store_create(storage, &table.config, &store));
    CHECK(server.drops == 0 && server.moment.drops == 0);
    OK(easy_store_destroy(store));
    CHECK(server.drops == 1 && server.moment.drops == 1);
    server.drops = server.moment.drops = 0;
}

/* A server with a configuration of its own on the shared storage. */
static void start(SlEasyStoreConfig config) {
    server.log.text[0] = '\0';
    OK(easy_store_create(storage, &config, &server.store));
}

static SlProfile *session(const char *key) {
    SlProfile *profile = NULL;
    OK(easy_store_start_session(server.store, Z(key), NULL, &profile));
    frame(&server, 0);
    frame(&server, 0);
    return profile;
}

static void stop(void) {
    OK(easy_store_drain(server.store, 100, NULL));
    OK(easy_store_destroy(server.store));
    CHECK(server.drops == 1 && server.moment.drops == 1);
    server.drops = server.moment.drops = 0;
}

static void a_hook_makes_new_documents(void) {
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    SlProfile *profile;
    config.template_json = NULL;
    config.create_save_data = create_document;
    config.job_id = "the first server";
    config.place_id = 77;
    config.save_data_version = 3;
    config.save_data_version_patch = 1.5;
    start(config);
    profile = session("created");
    CHECK(log_is(&server.log, "loaded =loaded "));
    CHECK(json_is(data_of(profile), "/Name", "\"created\""));
    CHECK(json_is(data_of(profile), "/Session/JobId", "\"the first server\""));
    CHECK(json_is(data_of(profile), "/Session/PlaceId", "77"));
    CHECK(stored_has(storage, "created", "\"Version\":3,\"VersionPatch\":1.5"));
    stop();

    config.create_save_data = fail_to_create;
    config.user_data = &server;
    start(config);
    profile = session("not created");
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_CREATE_FAILED);
    CHECK(strstr(server.log.text, "error:create(the catalogue is empty) =create_failed ") != NULL);
    CHECK_STATUS(SL_ERROR_NOT_LOADED, profile_wait_until_loaded(profile, 1));
    CHECK(!stored_has(storage, "not created", "Version"));
    stop();
}

static void a_clock_that_shows_no_time_harms_nothing(void) {
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    SlProfile *profile;
    clock.wall = clock.monotonic = show_no_time;
    start(config);
    profile = session("timeless");
    CHECK(log_is(&server.log, "loaded =loaded "));
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    stop();
}

/* Migrators of a game that is at version 3. */
static SlStatus to_version_2(void *user_data, SlSaveData *data, double *version_patch) {
    int64_t coins = 0;
    (void)user_data;
    (void)version_patch;
    OK(save_data_get_i64(data, Z("/Coins"), &coins));
    OK(save_data_set_i64(data, Z("/Gold"), coins * 100));
    return save_data_remove(data, Z("/Coins"));
}

static SlStatus to_version_3(void *user_data, SlSaveData *data, double *version_patch) {
    int *fails = (int *)user_data;
    int32_t is_there = 0;
    *version_patch = 0.5;
    OK(save_data_set_i64(data, Z("/Level"), 1));
    OK(save_data_contains(data, Z("/Cursed"), &is_there));
    if (is_there || *fails) {
        OK(session_locker_set_hook_error(Z("the curse cannot be lifted")));
        return SL_ERROR_HOOK;
    }
    return SL_OK;
}

static void count_drop(void *user_data) { *(int *)user_data += 100; }

static void older_documents_are_migrated_on_load(void) {
    static const char cursed[] = "{\"Version\":1,\"Coins\":2,\"Cursed\":true}";
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    SlMigratorBuilder *builder;
    SlMigrators *migrators;
    SlProfile *profile;
    uint32_t minimum = 7;
    int state = 0;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, to_version_2, NULL, NULL));
    OK(migrator_builder_add_migrator_from(builder, 2, to_version_3, &state, count_drop));
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));
    config.migrators = migrators;
    config.save_data_version = 3;
    start(config);
    OK(migrators_destroy(migrators));

    store_under(storage, "old", "{\"Version\":1,\"Coins\":2}");
    profile = session("old");
    CHECK(log_is(&server.log, "loaded =loaded "));
    CHECK(json_is(data_of(profile), "/Gold", "200") && json_is(data_of(profile), "/Level", "1"));
    CHECK(stored_has(storage, "old", "\"Version\":3,\"VersionPatch\":0.5"));

    store_under(storage, "cursed", cursed);
    profile = session("cursed");
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_MIGRATION_FAILED);
    CHECK(strstr(server.log.text, "error:migrate(") != NULL);
    CHECK(strstr(server.log.text, "the curse cannot be lifted") != NULL);
    CHECK(stored_has(storage, "cursed", cursed));
    OK(profile_load_minimum_server_version(profile, &minimum));
    CHECK(minimum == 0);
    server.log.text[0] = '\0';
    frame(&server, 1000);
    CHECK(strstr(server.log.text, "error") == NULL);

    store_under(storage, "newer", "{\"Version\":4}");
    profile = session("newer");
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_INVALID_VERSION);
    OK(profile_load_minimum_server_version(profile, &minimum));
    CHECK(minimum == 4);
    CHECK(stored_has(storage, "newer", "{\"Version\":4}"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_load_minimum_server_version(profile, NULL));

    store_under(storage, "broken", "{\"Version\":");
    profile = session("broken");
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_CORRUPT_DATA);
    CHECK(stored_has(storage, "broken", "{\"Version\":"));
    CHECK(state == 0);
    stop();
    CHECK(state == 100);
}

static void a_read_only_store_keeps_what_it_writes_to_itself(void) {
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    SlProfile *profile;
    store_under(storage, "seen", "{\"Version\":1,\"Gold\":3}");
    config.read_only_data_stores = 1;
    start(config);
    profile = session("seen");
    CHECK(json_is(data_of(profile), "/Gold", "3"));
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 4));
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(stored_has(storage, "seen", "{\"Version\":1,\"Gold\":3}"));
    profile = session("seen");
    CHECK(json_is(data_of(profile), "/Gold", "4"));
    stop();
    CHECK(stored_has(storage, "seen", "{\"Version\":1,\"Gold\":3}"));
}

static void test_data_is_shown_under_every_key_until_that_is_written(void) {
    SlClock clock;
    SlEasyStoreConfig config = server_config(&server, &clock, 1);
    SlProfile *profile;
    config.test_data_json = "{\"Version\":1,\"Gold\":1000}";
    start(config);
    profile = session("seen");
    CHECK(json_is(data_of(profile), "/Gold", "1000"));
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_destroy(profile));
    frame(&server, 0);
    profile = session("seen");
    CHECK(json_is(data_of(profile), "/Gold", "1"));
    profile = session("never seen");
    CHECK(json_is(data_of(profile), "/Gold", "1000"));
    stop();
    CHECK(stored_has(storage, "seen", "{\"Version\":1,\"Gold\":3}"));
    CHECK(!stored_has(storage, "never seen", "Version"));
}

int main(void) {
    memset(&server, 0, sizeof server);
    OK(locker_storage_open(Z("memory:"), &storage));
    numbers_out_of_range_are_refused();
    texts_that_are_none_are_refused();
    wrong_handles_in_a_configuration_are_refused();
    clocks_that_cannot_tell_the_time_are_refused();
    structs_of_other_versions();
    a_hook_makes_new_documents();
    a_clock_that_shows_no_time_harms_nothing();
    older_documents_are_migrated_on_load();
    a_read_only_store_keeps_what_it_writes_to_itself();
    test_data_is_shown_under_every_key_until_that_is_written();
    OK(locker_storage_destroy(storage));
    return finish("config");
}
