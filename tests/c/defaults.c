/* What holds for the whole process: default values, default error reporters, and verbose logs. */
#include "check.h"

#include <math.h>

static const int32_t VALUES[] = {
    SL_CONFIG_VERBOSE_LOGS,   SL_CONFIG_READ_ONLY_DATA_STORES,  SL_CONFIG_MAINTAIN_SESSION_PERIOD,
    SL_CONFIG_SESSION_EXPIRY, SL_CONFIG_SESSION_RETRY_COOLDOWN, SL_CONFIG_PURCHASE_HISTORY_LIMIT};
static const double DOCUMENTED[] = {0, 0, 300, 1800, 10, 100};
static const double OTHER[] = {1, 1, 60, 900, 2.5, 7};
enum { VALUE_COUNT = 6 };

static double default_of(int32_t config_value) {
    double value = -1;
    OK(session_locker_get_default(config_value, &value));
    return value;
}

static double value_of(const SlLockerSpec *spec, int32_t config_value) {
    double value = -1;
    OK(locker_spec_query_config(spec, config_value, &value));
    return value;
}

static void set_defaults(const double *values) {
    int index;
    for (index = 0; index < VALUE_COUNT; index++) {
        OK(session_locker_set_default(VALUES[index], values[index]));
    }
}

static SlLockerSpec *spec_of(SlStorage *storage, SlLockerSpecConfig *config) {
    SlLockerSpec *spec = NULL;
    config->template_json = "{}";
    OK(locker_spec_create(storage, config, &spec));
    return spec;
}

static void a_config_overrides_the_defaults_of_the_process(void) {
    SlLockerSpecConfig config, earlier;
    SlEasyStoreConfig store_config;
    SlLockerSpec *spec, *earlier_spec;
    SlStorage *storage = NULL;
    int index;
    OK(locker_storage_open(Z("memory:"), &storage));
    OK(locker_spec_config_init(&earlier, sizeof earlier));
    earlier_spec = spec_of(storage, &earlier);
    for (index = 0; index < VALUE_COUNT; index++) {
        CHECK(default_of(VALUES[index]) == DOCUMENTED[index]);
    }
    set_defaults(OTHER);
    OK(locker_spec_config_init(&config, sizeof config));
    CHECK(config.verbose_logs == 1 && config.read_only_data_stores == 1);
    CHECK(config.maintain_session_period == 60 && config.session_expiry == 900);
    CHECK(config.session_retry_cooldown == 2.5 && config.purchase_history_limit == 7);
    OK(easy_store_config_init(&store_config, sizeof store_config));
    CHECK(store_config.verbose_logs == 1 && store_config.purchase_history_limit == 7);
    config.session_expiry = 1000;
    spec = spec_of(storage, &config);
    for (index = 0; index < VALUE_COUNT; index++) {
        int is_own = VALUES[index] == SL_CONFIG_SESSION_EXPIRY;
        CHECK(default_of(VALUES[index]) == OTHER[index]);
        CHECK(value_of(spec, VALUES[index]) == (is_own ? 1000 : OTHER[index]));
        CHECK(value_of(earlier_spec, VALUES[index]) == DOCUMENTED[index]);
    }
    set_defaults(DOCUMENTED);
    CHECK(value_of(spec, SL_CONFIG_PURCHASE_HISTORY_LIMIT) == 7);
    OK(locker_spec_destroy(spec));
    OK(locker_spec_destroy(earlier_spec));
    OK(locker_storage_destroy(storage));
}

static void refused(int32_t config_value, double value, const char *words) {
    CHECK_STATUS(SL_ERROR_OUT_OF_RANGE, session_locker_set_default(config_value, value));
    CHECK(last_error_says(words));
}

static void a_default_that_cannot_be_is_refused_by_name(void) {
    SlLockerSpecConfig config;
    SlLockerSpec *spec = NULL;
    SlStorage *storage = NULL;
    double value = 7;
    int index;
    refused(SL_CONFIG_VERBOSE_LOGS, 2, "VerboseLogs is 2, but must be 0 or 1");
    refused(SL_CONFIG_READ_ONLY_DATA_STORES, 0.5, "ReadOnlyDataStores is 0.5");
    refused(SL_CONFIG_MAINTAIN_SESSION_PERIOD, 0, "MaintainSessionPeriod is 0");
    refused(SL_CONFIG_SESSION_EXPIRY, INFINITY, "SessionExpiry is inf");
    refused(SL_CONFIG_SESSION_RETRY_COOLDOWN, -1, "SessionRetryCooldown is -1");
    refused(SL_CONFIG_PURCHASE_HISTORY_LIMIT, 1.5, "PurchaseHistoryLimit is 1.5");
    refused(SL_CONFIG_PURCHASE_HISTORY_LIMIT, 4294967296.0, "PurchaseHistoryLimit is 4294967296");
    for (index = 0; index < VALUE_COUNT; index++) {
        refused(VALUES[index], NAN, "is NaN");
        CHECK(default_of(VALUES[index]) == DOCUMENTED[index]);
    }
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_set_default(0, 1));
    CHECK(last_error_says("config_value is 0, which is none of SL_CONFIG_VERBOSE_LOGS (1)"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_get_default(7, &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 session_locker_get_default(SL_CONFIG_SESSION_EXPIRY, NULL));

    OK(locker_storage_open(Z("memory:"), &storage));
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.verbose_logs = 2;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_spec_create(storage, &config, &spec));
    CHECK(last_error_says("config.verbose_logs is 2"));
    config.verbose_logs = 0;
    OK(locker_spec_create(storage, &config, &spec));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_spec_query_config(spec, 0, &value));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_spec_query_config(spec, SL_CONFIG_SESSION_EXPIRY, NULL));
    CHECK(value == 7);
    OK(locker_spec_destroy(spec));

    /* Values that are possible, but not together. */
    OK(session_locker_set_default(SL_CONFIG_SESSION_EXPIRY, 300));
    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{}";
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_spec_create(storage, &config, &spec));
    CHECK(last_error_says("must be less than session_expiry (300 s)"));
    set_defaults(DOCUMENTED);
    OK(locker_storage_destroy(storage));
}

static void an_override_counts_before_a_default(void) {
    CHECK(session_locker_query_config(1, 5, 300) == 5);
    CHECK(session_locker_query_config(1, 0, 1) == 0);
    CHECK(session_locker_query_config(0, 5, 300) == 300);
}

/* A storage that fails. */
typedef struct Failing {
    int32_t kind;
    const char *message;
} Failing;

static SlStatus fetch(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length) {
    const Failing *failing = (const Failing *)user_data;
    (void)key;
    (void)key_length;
    return storage_request_failed(request, failing->kind, Z(failing->message), 0);
}

static SlStatus commit(void *user_data, SlStorageRequest *request, const SlStorageCommit *asked) {
    (void)asked;
    return fetch(user_data, request, NULL, 0);
}

static SlStatus erase(void *user_data, SlStorageRequest *request, const char *key,
                      size_t key_length, int32_t expected, const char *revision,
                      size_t revision_length) {
    (void)expected;
    (void)revision;
    (void)revision_length;
    return fetch(user_data, request, key, key_length);
}

static SlStorage *open_failing(Failing *failing) {
    SlStorageCallbacks callbacks;
    SlStorage *storage = NULL;
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = fetch;
    callbacks.commit = commit;
    callbacks.erase = erase;
    OK(locker_storage_open_host(&callbacks, failing, &storage));
    return storage;
}

/* What was logged or reported, each as a line. */
typedef struct Said {
    char text[4096];
    SlEasyStore *store;
    int drops;
} Said;

static int said_is(Said *said, const char *expected) {
    int same = strcmp(said->text, expected) == 0;
    if (!same) {
        fprintf(stderr, "expected: %s\n     got: %s\n", expected, said->text);
    }
    said->text[0] = '\0';
    return same;
}

static void on_log(void *user_data, int32_t level, const char *message, size_t message_length) {
    Said *said = (Said *)user_data;
    size_t length = strlen(said->text);
    if (length + message_length + 16 <= sizeof said->text) {
        sprintf(said->text + length, "%d %.*s\n", (int)level, (int)message_length, message);
    }
    if (said->store != NULL) {
        CHECK_STATUS(SL_ERROR_BUSY, easy_store_update(said->store, 1));
    }
}

static void on_drop(void *user_data) { ((Said *)user_data)->drops++; }

/* A store that hears nothing starts a session, whose first request fails. */
static void fail(int32_t kind, const char *message, int verbose_logs) {
    Failing failing;
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    SlProfile *profile = NULL;
    SlText users[2];
    SlSessionOptions options;
    SlStorage *storage;
    failing.kind = kind;
    failing.message = message;
    storage = open_failing(&failing);
    users[0].data = "7";
    users[0].length = 1;
    users[1].data = "%d+";
    users[1].length = SL_NUL_TERMINATED;
    OK(session_locker_session_options_init(&options, sizeof options));
    options.user_ids = users;
    options.user_id_count = 2;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.verbose_logs = verbose_logs;
    OK(easy_store_create(storage, &config, &store));
    OK(easy_store_start_session(store, Z("50%.[Player]"), &options, &profile));
    OK(easy_store_update(store, 0));
    OK(profile_destroy(profile));
    OK(easy_store_destroy(store));
    OK(locker_storage_destroy(storage));
}

#define STEPS "0 [SessionLocker][50%.[Player]] acquires the session\n"
#define STATUS                                                                                     \
    "0 [SessionLocker][50%.[Player]] the load status is now: data_store_request_fail\n"

static void fault_24_errors_that_nobody_hears_are_logged_without_the_player(void) {
    Said said;
    memset(&said, 0, sizeof said);
    OK(session_locker_set_log_callback(on_log, &said, on_drop));
    fail(SL_REQUEST_ERROR_MISC, "no 50%.[Player] of 7 and %d+, %1", 0);
    CHECK(said_is(&said, "2 [SessionLocker] loading failed: no {datastorekey} of {userid} and "
                         "{userid}, %1\n"));
    fail(SL_REQUEST_ERROR_SCRIPT, "no table", 0);
    CHECK(said_is(&said, "3 [SessionLocker] loading failed: no table\n"));
    fail(SL_REQUEST_ERROR_BACKEND, "7 is busy", 0);
    CHECK(said_is(&said, ""));
    fail(SL_REQUEST_ERROR_BACKEND, "7 is busy", 1);
    CHECK(said_is(&said, STEPS "1 [SessionLocker][50%.[Player]] loading failed: 7 is busy\n" STATUS));
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
    CHECK(said.drops == 1);
}

static void note_text(Said *said, const char *text) { strcat(said->text, text); }

static void on_report(void *user_data, const SlErrorReport *report) {
    Said *said = (Said *)user_data;
    CHECK(report->activity == SL_ACTIVITY_LOAD && report->reserved == 0);
    CHECK(report->user_id_count == 2 && report->user_ids[1].length == 3);
    CHECK(memcmp(report->user_ids[0].data, "7", 1) == 0);
    sprintf(said->text + strlen(said->text), "%d %d %.*s %.*s: %.*s (%.*s)\n",
            (int)report->error_kind, (int)report->verbose_logs, (int)report->log_prefix.length,
            report->log_prefix.data, (int)report->key.length, report->key.data,
            (int)report->message.length, report->message.data,
            (int)report->filtered_message.length, report->filtered_message.data);
    /* It may call anything; also put itself away. */
    OK(session_locker_log_error_variations(Z("Load"), Z("error"), Z("at report")));
    CHECK(said->drops == 0);
}

static SlStatus report_to(int32_t reporter, SlReportError callback, Said *said) {
    return session_locker_set_default_report_error(reporter, callback, said, on_drop);
}

static void a_default_reporter_is_told_instead_of_the_log(void) {
    Said reported, logged, of_senders;
    memset(&reported, 0, sizeof reported);
    memset(&logged, 0, sizeof logged);
    memset(&of_senders, 0, sizeof of_senders);
    OK(session_locker_set_log_callback(on_log, &logged, NULL));
    OK(report_to(SL_REPORTER_LOCKERS, on_report, &reported));
    OK(report_to(SL_REPORTER_SENDERS, on_report, &of_senders));
    fail(SL_REQUEST_ERROR_BACKEND, "7 is busy", 0);
    CHECK(said_is(&reported, "2 0 [SessionLocker][50%.[Player]] 50%.[Player]: 7 is busy "
                             "({userid} is busy)\n"));
    CHECK(strstr(logged.text, "loading failed") == NULL);
    CHECK(strstr(logged.text, "2 Load failed\nat report") != NULL);
    CHECK(of_senders.text[0] == '\0');

    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, report_to(0, on_report, &reported));
    CHECK(last_error_says("reporter is 0, which is none of SL_REPORTER_LOCKERS (1)"));
    CHECK(reported.drops == 0);
    OK(report_to(SL_REPORTER_LOCKERS, on_report, &logged));
    CHECK(reported.drops == 1 && logged.drops == 0);
    OK(session_locker_set_default_report_error(SL_REPORTER_LOCKERS, NULL, NULL, NULL));
    OK(session_locker_set_default_report_error(SL_REPORTER_SENDERS, NULL, NULL, NULL));
    CHECK(reported.drops == 1 && logged.drops == 1 && of_senders.drops == 1);
    logged.text[0] = '\0';
    fail(SL_REQUEST_ERROR_MISC, "no", 0);
    CHECK(said_is(&logged, "2 [SessionLocker] loading failed: no\n"));
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
}

static void count_event(void *user_data, const SlEvent *event) {
    CHECK(event->kind != SL_EVENT_ERROR || strcmp(event->text.data, "7 is busy") == 0);
    if (event->kind == SL_EVENT_ERROR) {
        note_text((Said *)user_data, "event ");
    }
}

#define REPORTED "2 0 [SessionLocker][50%.[Player]] 50%.[Player]: 7 is busy ({userid} is busy)\n"

/* A store or a spec tells its own reporter, and its events as well, and nobody else. */
static void a_reporter_of_its_own_is_told_beside_the_events(int of_spec, SlEventCallback event) {
    Failing failing = {SL_REQUEST_ERROR_BACKEND, "7 is busy"};
    SlStorage *storage = open_failing(&failing);
    SlText users[2] = {{"7", 1}, {"%d+", 3}};
    SlSessionOptions options;
    Said said, of_process;
    memset(&said, 0, sizeof said);
    memset(&of_process, 0, sizeof of_process);
    OK(report_to(SL_REPORTER_LOCKERS, on_report, &of_process));
    OK(session_locker_session_options_init(&options, sizeof options));
    options.user_ids = users;
    options.user_id_count = 2;
    if (of_spec) {
        SlLockerSpecConfig config;
        SlLockerSpec *spec = NULL;
        SlLocker *locker = NULL;
        int32_t should_remove;
        OK(locker_spec_config_init(&config, sizeof config));
        CHECK(config.report_error == NULL);
        config.template_json = "{}";
        config.user_data = &said;
        config.event = event;
        config.report_error = on_report;
        config.drop = on_drop;
        OK(locker_spec_create(storage, &config, &spec));
        OK(locker_create(spec, Z("50%.[Player]"), &options, &locker));
        OK(locker_mark_should_acquire(locker, 0));
        OK(locker_update(locker, 0, &should_remove));
        OK(locker_mark_should_release(locker, 0));
        OK(locker_update(locker, 0, &should_remove));
        OK(locker_destroy(locker));
        OK(locker_spec_destroy(spec));
    } else {
        SlEasyStoreConfig config;
        SlEasyStore *store = NULL;
        SlProfile *profile = NULL;
        OK(easy_store_config_init(&config, sizeof config));
        CHECK(config.report_error == NULL);
        config.template_json = "{}";
        config.user_data = &said;
        config.event = event;
        config.report_error = on_report;
        config.drop = on_drop;
        OK(easy_store_create(storage, &config, &store));
        OK(easy_store_start_session(store, Z("50%.[Player]"), &options, &profile));
        OK(easy_store_update(store, 0));
        OK(easy_store_destroy(store));
    }
    CHECK(said_is(&said, event != NULL ? REPORTED "event " : REPORTED));
    CHECK(said.drops == 1 && of_process.text[0] == '\0');
    OK(session_locker_set_default_report_error(SL_REPORTER_LOCKERS, NULL, NULL, NULL));
    OK(locker_storage_destroy(storage));
}

static void verbose_logs_tell_the_steps_of_a_session(void) {
    SlEasyStoreConfig config;
    SlStorage *storage = NULL;
    SlProfile *profile = NULL;
    char large[1100];
    Said said;
    memset(&said, 0, sizeof said);
    memset(large, 'x', sizeof large);
    OK(locker_storage_open(Z("memory:"), &storage));
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.verbose_logs = 1;
    config.polls_events = 1;
    OK(easy_store_create(storage, &config, &said.store));
    OK(session_locker_set_log_callback(on_log, &said, NULL));
    OK(easy_store_start_session(said.store, Z("key"), NULL, &profile));
    OK(profile_set_log_prefix(profile, Z("[Ann]")));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_set_log_prefix(profile, large, 1025));
    CHECK(last_error_says("the log prefix is 1025 bytes long"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, profile_set_log_prefix(profile, Z("\xff")));
    OK(easy_store_update(said.store, 0));
    CHECK(said_is(&said, "0 [Ann] acquires the session\n0 [Ann] acquired the session\n"
                         "0 [Ann] the load status is now: loaded\n"));
    OK(profile_set_log_prefix(profile, NULL, 0));
    OK(profile_end_session(profile));
    OK(easy_store_update(said.store, 1));
    CHECK(said_is(&said, "0 [SessionLocker][key] saved (save 1 of the session)\n"
                         "0 [SessionLocker][key] released the session\n"
                         "0 [SessionLocker][key] the load status is now: loading\n"));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_set_log_prefix(profile, Z("[Ann]")));
    OK(profile_destroy(profile));
    OK(easy_store_destroy(said.store));
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
    OK(locker_storage_destroy(storage));
}

static void a_locker_logs_under_its_own_prefix(void) {
    SlLockerSpecConfig config;
    SlStorage *storage = NULL;
    SlLockerSpec *spec;
    SlLocker *locker = NULL;
    int32_t should_remove = 0;
    Said said;
    memset(&said, 0, sizeof said);
    OK(locker_storage_open(Z("memory:"), &storage));
    OK(locker_spec_config_init(&config, sizeof config));
    config.verbose_logs = 1;
    config.polls_events = 1;
    spec = spec_of(storage, &config);
    OK(locker_create(spec, Z("key"), NULL, &locker));
    OK(locker_set_log_prefix(locker, Z("[Ann]")));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_set_log_prefix(locker, NULL, 1));
    OK(session_locker_set_log_callback(on_log, &said, NULL));
    OK(locker_update(locker, 0, &should_remove));
    CHECK(said_is(&said, ""));
    OK(locker_mark_should_acquire(locker, 0));
    OK(locker_update(locker, 1, &should_remove));
    CHECK(said_is(&said, "0 [Ann] acquires the session\n0 [Ann] acquired the session\n"
                         "0 [Ann] the load status is now: loaded\n"));
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
    OK(locker_mark_should_release(locker, 0));
    OK(locker_update(locker, 2, &should_remove));
    CHECK(should_remove == 1);
    OK(locker_mark_deleted(locker));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, locker_set_log_prefix(locker, Z("[Ann]")));
    OK(locker_destroy(locker));
    OK(locker_spec_destroy(spec));
    OK(locker_storage_destroy(storage));
}

int main(void) {
    a_config_overrides_the_defaults_of_the_process();
    a_default_that_cannot_be_is_refused_by_name();
    an_override_counts_before_a_default();
    fault_24_errors_that_nobody_hears_are_logged_without_the_player();
    a_default_reporter_is_told_instead_of_the_log();
    a_reporter_of_its_own_is_told_beside_the_events(0, NULL);
    a_reporter_of_its_own_is_told_beside_the_events(0, count_event);
    a_reporter_of_its_own_is_told_beside_the_events(1, NULL);
    a_reporter_of_its_own_is_told_beside_the_events(1, count_event);
    verbose_logs_tell_the_steps_of_a_session();
    a_locker_logs_under_its_own_prefix();
    return finish("defaults");
}
