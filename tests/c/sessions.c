/* Sessions of a store, from start to end: what the host hears and in what order, by callbacks and
 * by polling; signals and their connections; the save data; sessions that profiles share. */
#include "world.h"

static int32_t flag(SlProfile *profile, SlStatus (*is_so)(const SlProfile *, int32_t *)) {
    int32_t value = 7;
    OK(is_so(profile, &value));
    return value;
}

/* The flow that the README begins with: start, load, earn, save, end. */
static void a_session_is_heard_the_same_by_callbacks_and_by_polling(int polls) {
    Server server;
    SlProfile *profile = NULL;
    SlSavedConnection *wait = NULL;
    SlText user;
    SlSessionOptions options;
    SlBuffer keys;
    int64_t gold = 0;
    SlBuffer key = {NULL, 7, 0};
    int32_t is_closed = 0, is_there = 7;

    user.data = "42";
    user.length = 2;
    options = options_of(&user, 1);
    server_open(&server, "memory:", polls, 1);
    OK(easy_store_start_session(server.store, Z("player/42"), &options, &profile));
    CHECK(log_is(&server.log, ""));
    CHECK(flag(profile, profile_is_active) == 1 && flag(profile, profile_is_loaded) == 0);
    CHECK(flag(profile, profile_is_available) == 0);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADING);

    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded =loaded "));
    CHECK(server.last_profile == profile);
    CHECK(flag(profile, profile_is_loaded) == 1 && flag(profile, profile_is_available) == 1);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADED);
    OK(locker_storage_keys_of_user(server.storage, Z("42"), 1, &keys));
    CHECK(buffer_is(&keys, "[\"player/42\"]"));

    OK(save_data_add_i64(data_of(profile), Z("/Gold"), 100, &gold));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    OK(profile_mark_force_save(profile));
    CHECK(stored_has(server.storage, "player/42", "\"Gold\":0"));
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved answer:yes "));
    CHECK(server.last_wait == wait);
    OK(saved_connection_destroy(wait));
    CHECK(stored_has(server.storage, "player/42", "\"Gold\":100"));
    CHECK(stored_has(server.storage, "player/42", "\"Session\""));

    OK(profile_end_session(profile));
    OK(profile_end_session(profile));
    CHECK(flag(profile, profile_is_active) == 0 && flag(profile, profile_is_available) == 0);
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    CHECK(flag(profile, profile_is_loaded) == 0);
    OK(save_data_contains(data_of(profile), Z("/Session"), &is_there));
    CHECK(is_there == 0 && json_is(data_of(profile), "/Gold", "0"));
    CHECK(!stored_has(server.storage, "player/42", "\"Session\""));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_mark_should_save(profile));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_load_status(profile, &is_there));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_get_key(profile, NULL));
    OK(profile_get_key(profile, &key));
    CHECK(strcmp(key.data, "player/42") == 0);
    session_locker_buffer_free(&key);
    OK(profile_destroy(profile));
    OK(easy_store_close(server.store));
    OK(easy_store_is_closed(server.store, &is_closed));
    CHECK(is_closed == 1);
    frame(&server, 1);
    CHECK(log_is(&server.log, ""));
    server_close(&server);
}

/* One connection to one signal. */
typedef struct Ear {
    Log *log;
    const char *name;
    SlSignalConnection *connection;
    int disconnects_itself;
} Ear;

static void hear(void *user_data, SlProfile *profile, const SlEvent *event) {
    Ear *ear = (Ear *)user_data;
    char word[64];
    CHECK(profile != NULL && event->profile == profile && event->kind == SL_EVENT_LIFECYCLE);
    sprintf(word, "%s(%s)", ear->name, lifecycle_word(event->lifecycle, event->reason));
    note(ear->log, word);
    if (ear->disconnects_itself) {
        OK(signal_connection_disconnect(ear->connection));
    }
}

static void signals_fire_once_each_and_deepest_first(void) {
    static const char *const names[] = {"",         "Lifecycle", "Finished", "Destroyed", "Saved",
                                        "Replaced", "Loaded",    "Reset",    "Released",  "Lost"};
    Server server;
    Log signals;
    Ear ears[10];
    SlProfile *profile = NULL;
    SlSignalConnection *nothing = NULL;
    int32_t signal;

    signals.text[0] = '\0';
    server_open(&server, "memory:", 1, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    for (signal = 1; signal < 10; signal++) {
        Ear *ear = &ears[signal];
        ear->log = &signals;
        ear->name = names[signal];
        ear->disconnects_itself = 0;
        OK(profile_connect(profile, signal, hear, ear, NULL, &ear->connection));
    }
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect(profile, 0, hear, NULL, NULL, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect(profile, 11, hear, NULL, NULL, &nothing));
    CHECK(last_error_says("SL_SIGNAL_PRODUCT_CREDIT_CHANGED (10)"));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect(profile, 1, NULL, NULL, NULL, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 profile_connect_once(profile, -1, hear, NULL, NULL, &nothing));
    CHECK(nothing == NULL);

    frame(&server, 0);
    CHECK(log_is(&signals, "Loaded(loaded) Replaced(loaded) Lifecycle(loaded) "));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, "Saved(saved) Lifecycle(saved) "));

    store_under(server.storage, "player", OWNED_BY_ANOTHER);
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, "Lost(lost) Reset(lost) Replaced(lost) Lifecycle(lost) "));
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_SESSION_IS_LOCKED);

    store_under(server.storage, "player", "{\"Version\":1}");
    frame(&server, 10);
    CHECK(log_is(&signals, "Loaded(loaded) Replaced(loaded) Lifecycle(loaded) "));
    OK(profile_end_session(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, "Destroyed(destroyed) Lifecycle(destroyed) Saved(saved) "
                           "Lifecycle(saved) Released(released) Reset(released) "
                           "Replaced(released) Lifecycle(released) Lifecycle(idling) "
                           "Lifecycle(deleted) Finished(finished) "));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_connect(profile, 1, hear, NULL, NULL, &nothing));

    /* The connections are freed with the profile, save the one that was freed before. */
    OK(signal_connection_disconnect(ears[1].connection));
    OK(profile_destroy(profile));
    for (signal = 1; signal < 10; signal++) {
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE,
                     signal_connection_disconnect(ears[signal].connection));
    }
    server_close(&server);
}

static void a_connection_may_end_itself_and_another_while_it_is_called(void) {
    Server server;
    Log signals;
    Ear ears[3], once;
    SlProfile *profile;
    int index;

    signals.text[0] = '\0';
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    for (index = 0; index < 3; index++) {
        ears[index].log = &signals;
        ears[index].disconnects_itself = 0;
    }
    ears[0].name = "first";
    ears[1].name = "second";
    ears[2].name = "third";
    once = ears[0];
    once.name = "once";
    OK(profile_connect(profile, SL_SIGNAL_SAVED, hear, &ears[0], NULL, &ears[0].connection));
    OK(profile_connect(profile, SL_SIGNAL_SAVED, hear, &ears[1], NULL, &ears[1].connection));
    OK(profile_connect(profile, SL_SIGNAL_SAVED, hear, &ears[2], NULL, NULL));
    OK(profile_connect_once(profile, SL_SIGNAL_SAVED, hear, &once, NULL, &once.connection));

    /* The first one ends the second. */
    ears[0].connection = ears[1].connection;
    ears[0].disconnects_itself = 1;
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, "first(saved) third(saved) once(saved) "));
    ears[0].disconnects_itself = 0;
    ears[2].disconnects_itself = 1;
    ears[2].connection = once.connection;
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, "first(saved) third(saved) "));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, signal_connection_disconnect(once.connection));

    /* After its destruction nothing of the profile's is called, with a handle or without. */
    OK(profile_destroy(profile));
    frame(&server, 0);
    CHECK(log_is(&signals, ""));
    server_close(&server);
}

static void note_loaded(void *user_data, SlProfile *profile) {
    CHECK(flag(profile, profile_is_loaded) == 1);
    note((Log *)user_data, "when-loaded");
}

static void when_loaded_calls_back_once_also_on_a_profile_that_is_loaded(void) {
    Server server;
    SlProfile *profile = NULL, *ended = NULL;

    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &profile));
    OK(profile_when_loaded(profile, note_loaded, &server.log, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_when_loaded(profile, NULL, NULL, NULL));
    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded when-loaded =loaded "));
    OK(profile_when_loaded(profile, note_loaded, &server.log, NULL));
    CHECK(log_is(&server.log, ""));
    frame(&server, 0);
    frame(&server, 0);
    CHECK(log_is(&server.log, "when-loaded "));

    OK(easy_store_start_session(server.store, Z("other"), NULL, &ended));
    OK(profile_when_loaded(ended, note_loaded, &server.log, NULL));
    OK(profile_end_session(ended));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_when_loaded(ended, note_loaded, &server.log, NULL));
    CHECK_STATUS(SL_ERROR_NOT_ACTIVE, profile_wait_until_loaded(ended, 1));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed idling deleted finished "));
    OK(profile_destroy(ended));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void a_profile_lends_one_handle_of_its_save_data(void) {
    Server server;
    SlProfile *profile;
    SlSaveData *data, *nothing = NULL;
    SlBuffer json;
    size_t length = 0;
    int64_t value = 7;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    data = data_of(profile);
    CHECK(data == data_of(profile));
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, save_data_destroy(data));
    OK(profile_get_save_data_json(profile, &json));
    CHECK(strstr(json.data, "\"Session\":{") != NULL && strstr(json.data, "\"Gold\":0") != NULL);

    /* What was read is written back whole, other fields besides; reserved ones stay. */
    OK(profile_set_save_data_json(profile, json.data, json.length));
    session_locker_buffer_free(&json);
    OK(profile_set_save_data_json(
        profile, Z("{\"Gold\":7,\"Version\":9,\"Session\":null,\"ProductCredit\":[[1,2]]}")));
    CHECK(json_is(data, "/Version", "1") && json_is(data, "/ProductCredit", "[]"));
    OK(save_data_length(data, Z("/Session/JobId"), &length));
    CHECK(length == 36);
    CHECK_STATUS(SL_ERROR_WRONG_TYPE, profile_set_save_data_json(profile, Z("[]")));
    CHECK_STATUS(SL_ERROR_INVALID_JSON, profile_set_save_data_json(profile, Z("{\"Gold\":}")));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, profile_set_save_data_json(profile, T("\xff")));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_set_save_data_json(profile, NULL, 2));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_get_save_data_json(profile, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_get_save_data(profile, NULL));
    CHECK(json_is(data, "/Gold", "7"));

    /* A write notes itself: it is in the last save. */
    OK(profile_destroy(profile));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_get_save_data(profile, &nothing));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(data, Z("/Gold"), &value));
    CHECK(nothing == NULL && value == 7);
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed saved released =loading idling deleted finished "));
    CHECK(server.last_profile == NULL && strcmp(server.last_key, "player") == 0);
    CHECK(stored_has(server.storage, "player", "\"Gold\":7"));
    CHECK(!stored_has(server.storage, "player", "\"Session\""));
    server_close(&server);
}

/* Whether the user's records are these, as JSON. */
static int keys_of(Server *server, const char *user, const char *expected) {
    SlBuffer keys;
    OK(locker_storage_keys_of_user(server->storage, Z(user), 1, &keys));
    return buffer_is(&keys, expected);
}

static void a_session_without_user_ids_keeps_those_of_the_record(void) {
    Server server;
    SlProfile *profile = NULL;
    SlText users[2];
    SlSessionOptions both, second;

    users[0].data = "7";
    users[1].data = "8";
    users[0].length = users[1].length = SL_NUL_TERMINATED;
    both = options_of(users, 2);
    second = options_of(&users[1], 1);
    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), &both, &profile));
    frame(&server, 0);
    OK(profile_destroy(profile));
    frame(&server, 0);
    profile = loaded(&server, "player");
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(keys_of(&server, "7", "[\"player\"]") && keys_of(&server, "8", "[\"player\"]"));
    OK(profile_destroy(profile));
    frame(&server, 0);
    OK(easy_store_start_session(server.store, Z("player"), &second, &profile));
    frame(&server, 0);
    CHECK(keys_of(&server, "7", "[]") && keys_of(&server, "8", "[\"player\"]"));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void a_polled_event_of_what_was_destroyed_names_nobody(void) {
    Server server;
    SlProfile *profile;
    SlSavedConnection *wait = NULL;

    server_open(&server, "memory:", 1, 1);
    profile = loaded(&server, "player");
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    server.last_wait = wait;
    OK(easy_store_update(server.store, 0));
    OK(saved_connection_destroy(wait));
    OK(profile_destroy(profile));
    server_poll(&server);
    CHECK(log_is(&server.log, "answer:yes "));
    CHECK(server.last_profile == NULL && server.last_wait == NULL);
    server_close(&server);
}

static void a_second_session_of_a_key_waits_for_the_first(void) {
    Server server;
    SlProfile *first, *second = NULL;

    server_open(&server, "memory:", 0, 1);
    first = loaded(&server, "player");
    OK(easy_store_start_session(server.store, Z("player"), NULL, &second));
    frame(&server, 0);
    frame(&server, 60);
    CHECK(log_is(&server.log, "=is_locked "));
    CHECK(load_status_of(second) == SL_LOAD_STATUS_SESSION_IS_LOCKED);
    OK(save_data_set_i64(data_of(first), Z("/Gold"), 3));
    OK(profile_end_session(first));
    frame(&server, 0);
    frame(&server, 0);
    CHECK(flag(second, profile_is_loaded) == 1);
    CHECK(json_is(data_of(second), "/Gold", "3"));
    OK(profile_destroy(first));
    OK(profile_destroy(second));
    server_close(&server);
}

static void a_reusable_session_is_shared_until_its_last_profile_ends(void) {
    Server server;
    SlProfile *first, *second = NULL;
    Log loads;

    loads.text[0] = '\0';
    server_open(&server, "memory:", 0, 1);
    first = loaded(&server, "player");
    OK(easy_store_start_session_reusable(server.store, Z("player"), NULL, &second));
    CHECK(first != second);
    CHECK(flag(second, profile_is_loaded) == 1 && flag(second, profile_is_available) == 1);
    OK(profile_when_loaded(second, note_loaded, &loads, NULL));
    OK(save_data_set_i64(data_of(first), Z("/Gold"), 11));
    CHECK(json_is(data_of(second), "/Gold", "11"));
    CHECK(data_of(first) != data_of(second));
    frame(&server, 0);
    CHECK(log_is(&loads, "when-loaded "));

    OK(profile_end_session(first));
    frame(&server, 0);
    CHECK(log_is(&server.log, "destroyed finished "));
    CHECK(server.last_profile == first);
    CHECK(flag(first, profile_is_available) == 0 && flag(second, profile_is_available) == 1);
    CHECK(stored_has(server.storage, "player", "\"Session\""));
    OK(profile_destroy(second));
    frame(&server, 0);
    CHECK(stored_has(server.storage, "player", "\"Gold\":11"));
    CHECK(!stored_has(server.storage, "player", "\"Session\""));
    OK(profile_destroy(first));

    /* Where there is none to join, it begins one. */
    OK(easy_store_start_session_reusable(server.store, Z("player"), NULL, &first));
    CHECK(flag(first, profile_is_loaded) == 0);
    frame(&server, 0);
    CHECK(flag(first, profile_is_loaded) == 1);
    OK(profile_destroy(first));
    server_close(&server);
}

static void names_that_cannot_be_stored_are_refused(void) {
    Server server;
    SlProfile *profile = NULL;
    SlText users[65];
    SlSessionOptions options;
    char long_name[513];
    size_t index;

    memset(long_name, 'k', sizeof long_name);
    for (index = 0; index < 65; index++) {
        users[index].data = "7";
        users[index].length = 1;
    }
    server_open(&server, "memory:", 0, 1);
#define START(key, length, ids, count)                                                             \
    (options = options_of(ids, count),                                                             \
     easy_store_start_session(server.store, key, length, &options, &profile))
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START("", 0, NULL, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START(NULL, 1, NULL, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START(long_name, 513, NULL, 0));
    CHECK(last_error_says("513 bytes"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, START("\xc0\xaf", 2, NULL, 0));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START("key", 3, users, 65));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START("key", 3, NULL, 1));
    users[1].length = 0;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START("key", 3, users, 2));
    users[1].data = long_name;
    users[1].length = 129;
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, START("key", 3, users, 2));
    CHECK(last_error_says("user id 1 is 129 bytes long"));
    users[1].data = "\xff";
    users[1].length = 1;
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, START("key", 3, users, 2));
    CHECK(last_error_says("options.user_ids[1] is not UTF-8"));
    CHECK_STATUS(SL_ERROR_INVALID_UTF8, easy_store_start_session_reusable(
                                            server.store, Z("key"), &options, &profile));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 easy_store_start_session(server.store, Z("key"), NULL, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT,
                 easy_store_start_session_reusable(server.store, Z("key"), NULL, NULL));
    CHECK(profile == NULL);
    OK(START(long_name, 512, users, 1));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

int main(void) {
    a_session_is_heard_the_same_by_callbacks_and_by_polling(0);
    a_session_is_heard_the_same_by_callbacks_and_by_polling(1);
    signals_fire_once_each_and_deepest_first();
    a_connection_may_end_itself_and_another_while_it_is_called();
    when_loaded_calls_back_once_also_on_a_profile_that_is_loaded();
    a_profile_lends_one_handle_of_its_save_data();
    a_session_without_user_ids_keeps_those_of_the_record();
    a_polled_event_of_what_was_destroyed_names_nobody();
    a_second_session_of_a_key_waits_for_the_first();
    a_reusable_session_is_shared_until_its_last_profile_ends();
    names_that_cannot_be_stored_are_refused();
    return finish("sessions");
}
