/* The log callback, and what a host writes its own log lines with. */
#include "check.h"

#include <pthread.h>
#include <time.h>

/* What was logged. */
typedef struct Log {
    char lines[8][512];
    int32_t levels[8];
    size_t lengths[8];
    int count;
    int drops;
} Log;

static void on_log(void *user_data, int32_t level, const char *message, size_t message_length) {
    Log *log = (Log *)user_data;
    if (log->count < 8) {
        sprintf(log->lines[log->count], "%.*s",
                (int)(message_length < 500 ? message_length : 500), message);
        log->levels[log->count] = level;
        log->lengths[log->count] = message_length;
    }
    log->count++;
}

static void on_drop(void *user_data) { ((Log *)user_data)->drops++; }

static SlStatus vary(const char *identifier, const char *error, const char *traceback) {
    return session_locker_log_error_variations(Z(identifier), Z(error), traceback,
                                               SL_NUL_TERMINATED);
}

static void a_failure_is_logged_in_four_variations(void) {
    Log log;
    memset(&log, 0, sizeof log);
    OK(vary("GiveItem", "no item 7", "at shop"));
    OK(session_locker_set_log_callback(on_log, &log, on_drop));
    CHECK(log.count == 0);
    OK(vary("GiveItem", "no item 7", "at shop"));
    CHECK(log.count == 4 && log.levels[0] == SL_LOG_WARNING && log.levels[3] == SL_LOG_WARNING);
    CHECK(strcmp(log.lines[0], "GiveItem failed") == 0);
    CHECK(strcmp(log.lines[1], "GiveItem failed\nat shop") == 0);
    CHECK(strcmp(log.lines[2], "GiveItem failed with error:\nno item 7") == 0);
    CHECK(strcmp(log.lines[3], "GiveItem failed with error:\nno item 7\nat shop") == 0);
    CHECK(log.lengths[0] == strlen("GiveItem failed"));

    /* Without a traceback of the host's, it is the native one. */
    log.count = 0;
    OK(session_locker_log_error_variations(T("%s"), T("%n"), NULL, 0));
    CHECK(log.count == 4 && strcmp(log.lines[0], "%s failed") == 0);
    CHECK(strcmp(log.lines[2], "%s failed with error:\n%n") == 0);
    CHECK(log.lengths[1] > log.lengths[0] + 10 && log.lengths[3] > log.lengths[2] + 10);

    log.count = 0;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, vary(NULL, "error", "trace"));
    CHECK(last_error_says("identifier is NULL"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, vary("GiveItem", NULL, "trace"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, vary("GiveItem", "\xff", "trace"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, vary("GiveItem", "error", "\xff"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 session_locker_log_error_variations(T("a"), T("b"), NULL, 1));
    CHECK(log.count == 0);

    CHECK(log.drops == 0);
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
    CHECK(log.drops == 1);
    OK(vary("GiveItem", "no item 7", "at shop"));
    CHECK(log.count == 0);
    OK(session_locker_set_log_callback(NULL, &log, on_drop));
    CHECK(log.drops == 2);
}

/* Logs, and puts itself away, from inside. */
static void on_log_from_inside(void *user_data, int32_t level, const char *message,
                               size_t message_length) {
    Log *log = (Log *)user_data;
    on_log(user_data, level, message, message_length);
    OK(vary("Inside", "goes nowhere", "at callback"));
    if (log->count == 2) {
        OK(session_locker_set_log_callback(NULL, NULL, NULL));
    }
    CHECK(log->drops == 0);
}

static void a_callback_may_log_and_put_itself_away(void) {
    Log log;
    memset(&log, 0, sizeof log);
    OK(session_locker_set_log_callback(on_log_from_inside, &log, on_drop));
    OK(vary("Outside", "error", "at main"));
    CHECK(log.count == 2 && log.drops == 1);
    CHECK(strcmp(log.lines[1], "Outside failed\nat main") == 0);
}

static void ignore(void *user_data, int32_t level, const char *message, size_t message_length) {
    (void)user_data;
    (void)level;
    (void)message;
    (void)message_length;
}

static void *set_and_log(void *argument) {
    int round;
    for (round = 0; round < 500; round++) {
        if (session_locker_set_log_callback(round % 4 == 0 ? NULL : ignore, NULL, NULL) != SL_OK ||
            vary("GiveItem", "error", "at thread") != SL_OK) {
            return NULL;
        }
    }
    return argument;
}

static void threads_may_log_while_others_set_the_callback(void) {
    pthread_t threads[4];
    void *ended = NULL;
    int index;
    for (index = 0; index < 4; index++) {
        CHECK(pthread_create(&threads[index], NULL, set_and_log, threads) == 0);
    }
    for (index = 0; index < 4; index++) {
        CHECK(pthread_join(threads[index], &ended) == 0 && ended == threads);
    }
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
}

/* Whether the prefix of these parts is this text. */
static int prefix_is(const char *expected, int32_t show_module, const char *user,
                     const char *data_store_user, const char *name) {
    SlBuffer prefix;
    if (session_locker_log_prefix_create(show_module, Z(user), Z(data_store_user), Z(name),
                                         &prefix) != SL_OK) {
        return last_error_says("?");
    }
    return buffer_is(&prefix, expected);
}

static void a_prefix_says_whose_line_it_is(void) {
    SlBuffer prefix = {NULL, 7, 0};
    CHECK(prefix_is("[1001]", 0, "1001", NULL, NULL));
    CHECK(prefix_is("[SessionLocker][1001]", 1, "1001", NULL, NULL));
    CHECK(prefix_is("[SessionLocker][1001]", 1, "1001", "1001", NULL));
    CHECK(prefix_is("[SessionLocker][1001 / 2002]", 1, "1001", "2002", NULL));
    CHECK(prefix_is("[Ann]:[1001 / 2002]", 0, "1001", "2002", "Ann"));

    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 session_locker_log_prefix_create(2, Z("1"), NULL, 0, NULL, 0, &prefix));
    CHECK(last_error_says("show_module is 2"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 session_locker_log_prefix_create(1, Z(""), NULL, 0, NULL, 0, &prefix));
    CHECK(last_error_says("user_id is empty"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8,
                 session_locker_log_prefix_create(1, Z("1"), Z("\xff"), NULL, 0, &prefix));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8,
                 session_locker_log_prefix_create(1, Z("1"), NULL, 0, Z("\xff"), &prefix));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 session_locker_log_prefix_create(1, Z("1"), NULL, 0, NULL, 0, NULL));
    CHECK(prefix.length == 7);
}

static SlRequestErrorKind kind_of(const char *message) {
    SlRequestErrorKind kind = -1;
    OK(session_locker_request_error_kind(Z(message), &kind));
    return kind;
}

static void the_kind_of_an_error_follows_its_number(void) {
    SlRequestErrorKind kind = 7;
    CHECK(kind_of("104: value too long") == SL_REQUEST_ERROR_SCRIPT);
    CHECK(kind_of("301: throttled") == SL_REQUEST_ERROR_BACKEND);
    CHECK(kind_of("402: no") == SL_REQUEST_ERROR_MISC);
    CHECK(kind_of("403: not in a group") == SL_REQUEST_ERROR_SCRIPT);
    CHECK(kind_of("501: no") == SL_REQUEST_ERROR_MISC);
    CHECK(kind_of("502: no answer") == SL_REQUEST_ERROR_BACKEND);
    CHECK(kind_of("512: no") == SL_REQUEST_ERROR_SCRIPT);
    CHECK(kind_of("599: no") == SL_REQUEST_ERROR_MISC);
    CHECK(kind_of("301 throttled") == SL_REQUEST_ERROR_MISC);
    CHECK(kind_of("the disk is full") == SL_REQUEST_ERROR_MISC);
    CHECK(kind_of("") == SL_REQUEST_ERROR_MISC);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_request_error_kind(Z(NULL), &kind));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, session_locker_request_error_kind(T("1\xff:"), &kind));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_request_error_kind(Z("101:"), NULL));
    CHECK(kind == 7);
}

static uint64_t live_handles(void) {
    uint64_t count = 77;
    OK(session_locker_live_handles(&count));
    return count;
}

static void handles_that_are_alive_are_counted(void) {
    SlStorage *storage = NULL;
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    uint64_t before = live_handles();
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_live_handles(NULL));
    OK(locker_storage_open(Z("memory:"), &storage));
    CHECK(live_handles() == before + 1);
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{}";
    OK(easy_store_create(storage, &config, &store));
    OK(easy_store_start_session(store, Z("player"), NULL, &profile));
    CHECK(live_handles() == before + 3);
    OK(profile_get_save_data(profile, &data));
    OK(profile_get_save_data(profile, &data));
    CHECK(live_handles() == before + 4);
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, locker_storage_destroy((SlStorage *)(void *)store));
    CHECK(live_handles() == before + 4);
    /* The store takes the handles of its profiles with it, and they what they have lent. */
    OK(easy_store_destroy(store));
    CHECK(live_handles() == before + 1);
    OK(locker_storage_destroy(storage));
    CHECK(live_handles() == before);
}

/* What a host without such a clock passes to updates: forward, and time asleep counts. */
static void the_clock_never_runs_backwards(void) {
    double last = session_locker_now();
    int looks;
    for (looks = 0; looks < 1000; looks++) {
        double now = session_locker_now();
        CHECK(now >= last);
        last = now;
    }
#ifdef CLOCK_BOOTTIME
    {
        struct timespec time;
        double shown, next;
        CHECK(clock_gettime(CLOCK_BOOTTIME, &time) == 0);
        shown = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
        next = session_locker_now();
        CHECK(last <= shown && shown <= next);
    }
#endif
}

int main(void) {
    the_clock_never_runs_backwards();
    handles_that_are_alive_are_counted();
    a_failure_is_logged_in_four_variations();
    a_callback_may_log_and_put_itself_away();
    threads_may_log_while_others_set_the_callback();
    a_prefix_says_whose_line_it_is();
    the_kind_of_an_error_follows_its_number();
    return finish("helpers");
}
