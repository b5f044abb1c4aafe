/* What a session or a locker may be given at its start: who its users are and what its log lines
 * begin with; the locker of a player; and that options of no version, or with fields that nobody
 * knows, are refused. */
#include "locker_world.h"

/* The lines that were logged, each with a newline after it. */
typedef struct Lines {
    char text[4096];
} Lines;

static void on_log(void *user_data, int32_t level, const char *message, size_t message_length) {
    Lines *lines = (Lines *)user_data;
    size_t length = strlen(lines->text);
    CHECK(level == SL_LOG_DEBUG);
    if (length + message_length + 2 <= sizeof lines->text) {
        sprintf(lines->text + length, "%.*s\n", (int)message_length, message);
    }
}

static int lines_are(Lines *lines, const char *expected) {
    int same = strcmp(lines->text, expected) == 0;
    if (!same) {
        fprintf(stderr, "expected: %s\n     got: %s\n", expected, lines->text);
    }
    lines->text[0] = '\0';
    return same;
}

static void the_defaults_are_those_of_no_options(void) {
    SlSessionOptions options;
    memset(&options, 7, sizeof options);
    OK(session_locker_session_options_init(&options, sizeof options));
    CHECK(options.struct_size == sizeof options && options.user_ids == NULL);
    CHECK(options.user_id_count == 0 && options.log_prefix == NULL && options.disable_apis == 0);
    CHECK(options.log_prefix_length == SL_NUL_TERMINATED);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_session_options_init(NULL, sizeof options));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_session_options_init(&options, 32));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, session_locker_session_options_init(&options, 41));
}

/* Refuses the options wherever a session or locker may be given some. */
static int refused(Server *server, Full *full, const SlSessionOptions *options, SlStatus status,
                   const char *words) {
    SlProfile *profile = NULL;
    SlLocker *locker = NULL;
    int failed = checks_failed;
    CHECK_STATUS(status, easy_store_start_session(server->store, Z("key"), options, &profile));
    CHECK(last_error_says(words));
    CHECK_STATUS(status,
                 easy_store_start_session_reusable(server->store, Z("key"), options, &profile));
    CHECK(last_error_says(words));
    CHECK_STATUS(status, locker_create(full->spec, Z("key"), options, &locker));
    CHECK(last_error_says(words));
    CHECK(profile == NULL && locker == NULL);
    return checks_failed == failed;
}

static void what_no_session_can_have_is_refused_by_its_name(Server *server, Full *full) {
    struct {
        SlSessionOptions options;
        uint64_t later;
    } newer;
    SlSessionOptions *options = &newer.options;
    SlText users[65];
    char large[1025];
    size_t index;
    static const uint32_t sizes[] = {0, 4, 32, 41, 4104, 0xffffffffu};

    memset(large, 'p', sizeof large);
    memset(&newer, 0, sizeof newer);
    for (index = 0; index < 65; index++) {
        users[index].data = "7";
        users[index].length = 1;
    }
    for (index = 0; index < sizeof sizes / sizeof *sizes; index++) {
        OK(session_locker_session_options_init(options, sizeof *options));
        options->struct_size = sizes[index];
        CHECK(refused(server, full, options, SL_ERROR_INVALID_ARGUMENT, "options.struct_size is"));
    }
    OK(session_locker_session_options_init(options, sizeof newer));
    newer.later = 1;
    CHECK(refused(server, full, options, SL_ERROR_INVALID_ARGUMENT, "options sets a field at byte"));

#define REFUSES(field, value, status, words)                                                       \
    do {                                                                                           \
        *options = options_of(users, 2);                                                           \
        options->field = value;                                                                    \
        CHECK(refused(server, full, options, status, words));                                      \
    } while (0)
    REFUSES(user_ids, NULL, SL_ERROR_INVALID_ARGUMENT, "options.user_ids is NULL");
    REFUSES(user_id_count, 65, SL_ERROR_INVALID_ARGUMENT, "options.user_ids has 65 elements");
    REFUSES(disable_apis, 2, SL_ERROR_INVALID_ARGUMENT, "options.disable_apis is 2");
    REFUSES(disable_apis, -1, SL_ERROR_INVALID_ARGUMENT, "options.disable_apis is -1");
    REFUSES(log_prefix, "\xff", SL_ERROR_INVALID_UTF8, "options.log_prefix is not UTF-8");
    REFUSES(log_prefix_length, 3, SL_ERROR_INVALID_ARGUMENT, "options.log_prefix is NULL");
    *options = options_of(NULL, 0);
    options->log_prefix = large;
    options->log_prefix_length = sizeof large;
    CHECK(refused(server, full, options, SL_ERROR_INVALID_ARGUMENT, "the log prefix is 1025 bytes"));
    users[1].length = 0;
    *options = options_of(users, 2);
    CHECK(refused(server, full, options, SL_ERROR_INVALID_ARGUMENT, "user id 1 is 0 bytes long"));
}

/* Of every session and locker, from its first line to its last. */
static void a_log_prefix_is_there_from_the_first_line(Server *server, Full *full) {
    Lines lines;
    SlSessionOptions options = options_of(NULL, 0);
    SlProfile *profile = NULL, *joined = NULL;
    SlLocker *locker = NULL;
    char name[16];

    lines.text[0] = '\0';
    OK(session_locker_set_log_callback(on_log, &lines, NULL));
    /* The options are copied. */
    strcpy(name, "[Ann]?");
    options.log_prefix = name;
    options.log_prefix_length = 5;
    OK(easy_store_start_session(server->store, Z("player"), &options, &profile));
    strcpy(name, "[Bob]");
    OK(easy_store_start_session_reusable(server->store, Z("player"), &options, &joined));
    memset(name, '#', 6);
    frame(server, 1);
    CHECK(lines_are(&lines, "[Ann] acquires the session\n[Ann] acquired the session\n"
                            "[Ann] the load status is now: loaded\n"));
    OK(profile_destroy(profile));
    OK(profile_destroy(joined));
    frame(server, 1);
    CHECK(strstr(lines.text, "[Ann] released the session\n") != NULL);
    lines.text[0] = '\0';

    options.log_prefix = "[Cid]";
    options.log_prefix_length = SL_NUL_TERMINATED;
    OK(easy_store_start_session_reusable(server->store, Z("player"), &options, &profile));
    frame(server, 1);
    CHECK(lines_are(&lines, "[Cid] acquires the session\n[Cid] acquired the session\n"
                            "[Cid] the load status is now: loaded\n"));
    OK(profile_destroy(profile));
    frame(server, 1);
    lines.text[0] = '\0';

    OK(locker_create(full->spec, Z("player"), &options, &locker));
    OK(locker_mark_should_acquire(locker, 0));
    locker_step(full, locker, 1);
    CHECK(lines_are(&lines, "[Cid] acquires the session\n[Cid] acquired the session\n"
                            "[Cid] the load status is now: loaded\n"));
    released(full, locker);
    lines.text[0] = '\0';

    /* An empty one stands for the default. */
    options.log_prefix = "";
    OK(locker_create(full->spec, Z("player"), &options, &locker));
    OK(locker_mark_should_acquire(locker, 0));
    locker_step(full, locker, 1);
    CHECK(strstr(lines.text, "[SessionLocker][player] acquires the session\n") == lines.text);
    released(full, locker);
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
}

static void a_players_locker_has_the_players_key_and_user_id(Full *full) {
    SlText user = {"1001", 4};
    SlSessionOptions options = options_of(&user, 1);
    SlLocker *locker = NULL;
    SlBuffer keys;
    Lines lines;
    char large[129];

    lines.text[0] = '\0';
    memset(large, '7', sizeof large);
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_create_player(full->spec, Z("1001"), &options, &locker));
    CHECK(last_error_says("options.user_ids must be empty"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create_player(full->spec, Z(""), NULL, &locker));
    CHECK(last_error_says("user id 0 is 0 bytes long"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 locker_create_player(full->spec, large, 129, NULL, &locker));
    CHECK(last_error_says("user id 0 is 129 bytes long"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, locker_create_player(full->spec, T("\xff"), NULL, &locker));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, locker_create_player(full->spec, Z("7"), NULL, NULL));
    CHECK(locker == NULL);

    OK(session_locker_set_log_callback(on_log, &lines, NULL));
    OK(locker_create_player(full->spec, T("1001"), NULL, &locker));
    OK(locker_mark_should_acquire(locker, 0));
    locker_step(full, locker, 1);
    CHECK(strstr(lines.text, "[SessionLocker][1001] acquires the session\n") == lines.text);
    OK(locker_storage_keys_of_user(full->storage, Z("1001"), 1, &keys));
    CHECK(buffer_is(&keys, "[\"1001\"]"));
    released(full, locker);
    lines.text[0] = '\0';

    options = options_of(NULL, 0);
    options.log_prefix = "[Ann]";
    OK(locker_create_player(full->spec, large, 128, &options, &locker));
    OK(locker_mark_should_acquire(locker, 0));
    locker_step(full, locker, 1);
    CHECK(strstr(lines.text, "[Ann] acquires the session\n") == lines.text);
    CHECK(stored_has(full->storage, "1001", "\"Gold\""));
    released(full, locker);
    OK(session_locker_set_log_callback(NULL, NULL, NULL));
}

int main(void) {
    Server server;
    Full full;
    OK(session_locker_set_default(SL_CONFIG_VERBOSE_LOGS, 1));
    server_open(&server, "memory:", 0, 1);
    full_open(&full, "memory:", 0, 2);
    the_defaults_are_those_of_no_options();
    what_no_session_can_have_is_refused_by_its_name(&server, &full);
    a_log_prefix_is_there_from_the_first_line(&server, &full);
    a_players_locker_has_the_players_key_and_user_id(&full);
    full_close(&full);
    server_close(&server);
    return finish("session_options");
}
