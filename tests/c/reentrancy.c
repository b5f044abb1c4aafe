/* Calls from inside callbacks, and from several threads: what is refused, what takes effect later,
 * and that nothing is lost or crashes. */
#include "patience.h"
#include "world.h"

#include <pthread.h>

/* What a callback is to do, and what came of it. */
typedef struct Deed {
    Server *server;
    SlProfile *profile;
    SlProfile *started;
    SlSignalConnection *connection;
    SlSavedConnection *wait;
    int runs;
} Deed;

/* Everything that would drive the store while it is driven. */
static void try_to_drive(Deed *deed) {
    int32_t was_saved = 7, is_closed = 7;
    SlDrainReport *report = NULL;
    CHECK_STATUS(SL_ERROR_BUSY, easy_store_update(deed->server->store, 1));
    CHECK_STATUS(SL_ERROR_BUSY, easy_store_drain(deed->server->store, 1, &report));
    CHECK_STATUS(SL_ERROR_BUSY, profile_wait_until_loaded(deed->profile, 1));
    CHECK_STATUS(SL_ERROR_BUSY, profile_wait_until_changes_saved(deed->profile, 1, &was_saved));
    OK(easy_store_is_closed(deed->server->store, &is_closed));
    CHECK(was_saved == 7 && report == NULL && is_closed == 0);
    deed->runs++;
}

static void drive_on_signal(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile;
    (void)event;
    try_to_drive((Deed *)user_data);
}

static void drive_on_load(void *user_data, SlProfile *profile) {
    (void)profile;
    try_to_drive((Deed *)user_data);
}

static SlStatus drive_on_save(void *user_data, SlProfile *profile) {
    (void)profile;
    try_to_drive((Deed *)user_data);
    return SL_OK;
}

static void drive_on_answer(void *user_data, int32_t outcome) {
    CHECK(outcome == SL_OUTCOME_SAVED);
    try_to_drive((Deed *)user_data);
}

static void nobody_drives_a_store_from_inside_a_callback(void) {
    Server server;
    Deed deed;
    memset(&deed, 0, sizeof deed);
    deed.server = &server;
    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &deed.profile));
    OK(profile_when_loaded(deed.profile, drive_on_load, &deed, NULL));
    OK(profile_connect(deed.profile, SL_SIGNAL_LIFECYCLE, drive_on_signal, &deed, NULL, NULL));
    OK(profile_set_before_save(deed.profile, drive_on_save, &deed, NULL));
    OK(profile_set_before_save_transform(deed.profile, drive_on_save, &deed, NULL));
    frame(&server, 0);
    CHECK(deed.runs == 2);
    OK(profile_mark_force_save(deed.profile));
    OK(profile_when_changes_saved(deed.profile, drive_on_answer, &deed, NULL, NULL));
    frame(&server, 0);
    CHECK(deed.runs == 6);
    OK(profile_destroy(deed.profile));
    frame(&server, 0);
    server_close(&server);
}

/* Commands may be given from inside a callback; they are done in the same update. */
static void command_on_load(void *user_data, SlProfile *profile) {
    Deed *deed = (Deed *)user_data;
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 5));
    OK(profile_mark_force_save(profile));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &deed->wait));
    OK(easy_store_start_session(deed->server->store, Z("another"), NULL, &deed->started));
    OK(profile_end_session(profile));
}

static void sessions_start_and_end_from_inside_callbacks(void) {
    Server server;
    Deed deed;
    int32_t is_loaded = 0, is_saved = 0;
    memset(&deed, 0, sizeof deed);
    deed.server = &server;
    server_open(&server, "memory:", 0, 1);
    OK(easy_store_start_session(server.store, Z("player"), NULL, &deed.profile));
    OK(profile_when_loaded(deed.profile, command_on_load, &deed, NULL));
    frame(&server, 0);
    CHECK(log_is(&server.log, "loaded destroyed =loaded saved answer:yes released =loading idling "
                              "deleted finished loaded =loaded "));
    frame(&server, 0);
    OK(profile_is_loaded(deed.started, &is_loaded));
    OK(saved_connection_is_saved(deed.wait, &is_saved));
    CHECK(is_loaded == 1 && is_saved == 1);
    CHECK(stored_has(server.storage, "player", "\"Gold\":5"));
    CHECK(!stored_has(server.storage, "player", "\"Session\""));
    OK(saved_connection_destroy(deed.wait));
    OK(profile_destroy(deed.profile));
    OK(profile_destroy(deed.started));
    server_close(&server);
}

static void end_connection(void *user_data, SlProfile *profile, const SlEvent *event) {
    Deed *deed = (Deed *)user_data;
    (void)profile;
    (void)event;
    deed->runs++;
    OK(signal_connection_disconnect(deed->connection));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, signal_connection_disconnect(deed->connection));
}

static void end_wait(void *user_data, int32_t outcome) {
    Deed *deed = (Deed *)user_data;
    CHECK(outcome == SL_OUTCOME_SAVED);
    deed->runs++;
    OK(saved_connection_destroy(deed->wait));
}

static void end_profile(void *user_data, SlProfile *profile, const SlEvent *event) {
    Deed *deed = (Deed *)user_data;
    (void)event;
    deed->runs++;
    OK(profile_destroy(profile));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_end_session(profile));
}

static SlStatus end_profile_on_save(void *user_data, SlProfile *profile) {
    Deed *deed = (Deed *)user_data;
    SlSaveData *data = data_of(profile);
    deed->runs++;
    OK(save_data_set_i64(data, Z("/Gold"), 8));
    OK(profile_destroy(profile));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_set_i64(data, Z("/Gold"), 9));
    return SL_OK;
}

static void what_is_destroyed_inside_its_own_callback_goes_when_that_returns(void) {
    Server server;
    Deed deed;
    memset(&deed, 0, sizeof deed);
    deed.server = &server;
    server_open(&server, "memory:", 0, 1);

    deed.profile = loaded(&server, "player");
    OK(profile_connect(deed.profile, SL_SIGNAL_SAVED, end_connection, &deed, NULL,
                       &deed.connection));
    OK(profile_mark_force_save(deed.profile));
    OK(profile_when_changes_saved(deed.profile, end_wait, &deed, NULL, &deed.wait));
    frame(&server, 0);
    CHECK(deed.runs == 2);
    CHECK(server.last_wait == NULL);
    OK(profile_mark_force_save(deed.profile));
    frame(&server, 0);
    CHECK(deed.runs == 2);

    OK(profile_connect(deed.profile, SL_SIGNAL_LIFECYCLE, end_profile, &deed, NULL, NULL));
    OK(profile_connect(deed.profile, SL_SIGNAL_LIFECYCLE, end_profile, &deed, NULL, NULL));
    OK(profile_mark_force_save(deed.profile));
    frame(&server, 0);
    frame(&server, 0);
    CHECK(deed.runs == 3);
    CHECK(!stored_has(server.storage, "player", "\"Session\""));

    deed.profile = loaded(&server, "other");
    OK(profile_set_before_save(deed.profile, end_profile_on_save, &deed, NULL));
    OK(profile_mark_force_save(deed.profile));
    frame(&server, 0);
    frame(&server, 0);
    CHECK(deed.runs == 4);
    CHECK(stored_has(server.storage, "other", "\"Gold\":8"));
    CHECK(!stored_has(server.storage, "other", "\"Session\""));
    server_close(&server);
}

static void end_store(void *user_data, SlProfile *profile, const SlEvent *event) {
    Deed *deed = (Deed *)user_data;
    (void)profile;
    (void)event;
    deed->runs++;
    OK(easy_store_destroy(deed->server->store));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_destroy(deed->server->store));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, easy_store_update(deed->server->store, 9));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, profile_destroy(deed->profile));
    CHECK(deed->server->drops == 0);
}

static void a_store_that_is_destroyed_inside_its_own_callback_goes_when_the_update_returns(
    int by_waiting) {
    Server server;
    Deed deed;
    int32_t was_saved = 0;
    memset(&deed, 0, sizeof deed);
    deed.server = &server;
    server_open(&server, "memory:", 0, 1);
    deed.profile = loaded(&server, "player");
    OK(profile_connect(deed.profile, SL_SIGNAL_SAVED, end_store, &deed, NULL, NULL));
    OK(profile_connect(deed.profile, SL_SIGNAL_LIFECYCLE, end_store, &deed, NULL, NULL));
    OK(profile_mark_force_save(deed.profile));
    if (by_waiting) {
        OK(profile_wait_until_changes_saved(deed.profile, 1, &was_saved));
        CHECK(was_saved == 1);
    } else {
        OK(easy_store_update(server.store, 1));
    }
    CHECK(deed.runs == 1);
    CHECK(server.drops == 1 && server.moment.drops == 1);
    OK(locker_storage_destroy(server.storage));
}

/* A thread that reads and writes the save data of a profile that a hook owns. */
static void *meet_the_hook(void *argument) {
    SlSaveData *data = (SlSaveData *)argument;
    int64_t gold = 0;
    int as_it_must_be =
        save_data_get_i64(data, Z("/Gold"), &gold) == SL_OK && gold == 1 &&
        save_data_set_i64(data, Z("/Gold"), 100) == SL_ERROR_BUSY &&
        save_data_remove(data, Z("/Gold")) == SL_ERROR_BUSY &&
        save_data_merge_patch(data, Z("{}")) == SL_ERROR_BUSY;
    return as_it_must_be ? data : NULL;
}

static SlStatus let_another_thread_in(void *user_data, SlProfile *profile) {
    SlSaveData *data = data_of(profile);
    pthread_t thread;
    void *result = NULL;
    int64_t gold = 0;
    (void)user_data;
    OK(save_data_set_i64(data, Z("/Gold"), 2));
    CHECK(pthread_create(&thread, NULL, meet_the_hook, data) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == data);
    OK(save_data_get_i64(data, Z("/Gold"), &gold));
    CHECK(gold == 2);
    return SL_OK;
}

static void other_threads_see_the_save_data_as_it_was_while_a_hook_owns_it(void) {
    Server server;
    SlProfile *profile;
    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_set_before_save(profile, let_another_thread_in, NULL, NULL));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(log_is(&server.log, "saved "));
    CHECK(stored_has(server.storage, "player", "\"Gold\":2"));
    OK(profile_set_before_save(profile, NULL, NULL, NULL));
    CHECK(meet_the_hook(data_of(profile)) == NULL);
    OK(profile_destroy(profile));
    server_close(&server);
}

/* One of the threads that use a store at once: it starts sessions, earns and ends them. */
typedef struct Worker {
    SlEasyStore *store;
    int number;
    int failures;
} Worker;

enum { ROUNDS = 60 };

static void *work(void *argument) {
    Worker *worker = (Worker *)argument;
    int round;
    for (round = 0; round < ROUNDS; round++) {
        SlProfile *profile = NULL;
        SlSaveData *data = NULL;
        SlEvent events[8];
        size_t count;
        char key[32];
        int32_t is_loaded = 0;
        int64_t gold = 0;
        SlStatus status = SL_OK;
        sprintf(key, "player/%d", worker->number);
        worker->failures += easy_store_start_session(worker->store, Z(key), NULL, &profile) != 0;
        while (!is_loaded && has_patience()) {
            status = easy_store_update(worker->store, 0);
            worker->failures += status != SL_OK && status != SL_ERROR_BUSY;
            worker->failures += profile_is_loaded(profile, &is_loaded) != SL_OK;
            worker->failures += easy_store_poll_event(worker->store, events, 8, &count) != SL_OK;
        }
        worker->failures += profile_get_save_data(profile, &data) != SL_OK;
        worker->failures += save_data_add_i64(data, Z("/Gold"), 1, &gold) != SL_OK;
        worker->failures += gold != round + 1;
        worker->failures += profile_destroy(profile) != SL_OK;
    }
    return NULL;
}

static void two_threads_may_use_one_store_at_once(void) {
    Server server;
    Worker workers[2];
    pthread_t threads[2];
    SlDrainReport *report = NULL;
    size_t count = 7;
    int index;
    server_open(&server, "memory:", 1, 1);
    for (index = 0; index < 2; index++) {
        workers[index].store = server.store;
        workers[index].number = index;
        workers[index].failures = 0;
        CHECK(pthread_create(&threads[index], NULL, work, &workers[index]) == 0);
    }
    for (index = 0; index < 2; index++) {
        CHECK(pthread_join(threads[index], NULL) == 0);
        CHECK(workers[index].failures == 0);
    }
    OK(easy_store_drain(server.store, 1, &report));
    OK(drain_report_unsaved_count(report, &count));
    CHECK(count == 0);
    OK(drain_report_destroy(report));
    CHECK(stored_has(server.storage, "player/0", "\"Gold\":60"));
    CHECK(stored_has(server.storage, "player/1", "\"Gold\":60"));
    server_close(&server);
}

int main(void) {
    begin_patience();
    nobody_drives_a_store_from_inside_a_callback();
    sessions_start_and_end_from_inside_callbacks();
    what_is_destroyed_inside_its_own_callback_goes_when_that_returns();
    a_store_that_is_destroyed_inside_its_own_callback_goes_when_the_update_returns(0);
    a_store_that_is_destroyed_inside_its_own_callback_goes_when_the_update_returns(1);
    other_threads_see_the_save_data_as_it_was_while_a_hook_owns_it();
    two_threads_may_use_one_store_at_once();
    return finish("reentrancy");
}
