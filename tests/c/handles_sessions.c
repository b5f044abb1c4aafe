/* The functions of stores, profiles, waits, signals, reports, specs and lockers refuse wrong
 * handles, whatever they are, and change nothing. */
#include "world.h"
#include "wrong_handles.h"

static void hear_nothing(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)user_data;
    (void)profile;
    (void)event;
    CHECK(!"a signal that was refused is heard");
}

static void load_nothing(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
    CHECK(!"a callback that was refused is called");
}

static void answer_nothing(void *user_data, int32_t outcome) {
    (void)user_data;
    (void)outcome;
    CHECK(!"a wait that was refused is answered");
}

static SlStatus save_nothing(void *user_data, SlProfile *profile) {
    load_nothing(user_data, profile);
    return SL_OK;
}

static void stores(Server *server) {
    Server other;
    SlClock clock;
    SlEasyStoreConfig config;
    SlEasyStore *stale, *made = NULL;
    SlProfile *profile = NULL;
    SlDrainReport *report = NULL;
    SlEvent event;
    SlRequestStats stats;
    size_t count = 7;
    int32_t value = 7;

    memset(&stats, 7, sizeof stats);
    stats.struct_size = sizeof stats;
    server_open(&other, "memory:", 0, 2);
    stale = other.store;
    config = server_config(&other, &clock, 3);
    server_close(&other);
    memset(&event, 7, sizeof event);

    prepare(other.storage, server->storage, server->store);
    REFUSED(SlStorage, easy_store_create(handle, &config, &made));
    CHECK(made == NULL && other.drops == 1 && other.moment.drops == 1);

    prepare(stale, server->store, server->storage);
    REFUSED(SlEasyStore, easy_store_start_session(handle, Z("k"), NULL, &profile));
    REFUSED(SlEasyStore, easy_store_start_session_reusable(handle, Z("k"), NULL, &profile));
    REFUSED(SlEasyStore, easy_store_update(handle, 1));
    REFUSED(SlEasyStore, easy_store_poll_event(handle, &event, 1, &count));
    REFUSED(SlEasyStore, easy_store_get_stats(handle, &stats));
    CHECK(stats.reserved == 0x07070707);
    REFUSED(SlEasyStore, easy_store_close(handle));
    REFUSED(SlEasyStore, easy_store_is_closed(handle, &value));
    REFUSED(SlEasyStore, easy_store_drain(handle, 1, &report));
    REFUSED(SlEasyStore, easy_store_destroy(handle));
    CHECK(profile == NULL && report == NULL && count == 7 && value == 7);
    CHECK(event.kind == 0x07070707);
    OK(easy_store_is_closed(server->store, &value));
    CHECK(value == 0);
}

static void profiles(Server *server) {
    SlProfile *live = loaded(server, "live"), *stale = loaded(server, "stale");
    SlSaveData *data = NULL;
    SlSignalConnection *connection = NULL;
    SlSavedConnection *wait = NULL;
    SlBuffer json = {NULL, 7, 0};
    uint32_t version = 7;
    int64_t credit = 7;
    int32_t value = 7;

    OK(profile_destroy(stale));
    frame(server, 0);
    prepare(stale, live, server->store);
    REFUSED(SlProfile, profile_get_key(handle, &json));
    REFUSED(SlProfile, profile_is_active(handle, &value));
    REFUSED(SlProfile, profile_is_loaded(handle, &value));
    REFUSED(SlProfile, profile_is_available(handle, &value));
    REFUSED(SlProfile, profile_is_finished(handle, &value));
    REFUSED(SlProfile, profile_get_lost_save_data(handle, &json));
    REFUSED(SlProfile, profile_load_status(handle, &value));
    REFUSED(SlProfile, profile_load_minimum_server_version(handle, &version));
    REFUSED(SlProfile, profile_get_save_data(handle, &data));
    REFUSED(SlProfile, profile_get_save_data_json(handle, &json));
    REFUSED(SlProfile, profile_set_save_data_json(handle, Z("{\"Gold\":7}")));
    REFUSED(SlProfile, profile_mark_should_save(handle));
    REFUSED(SlProfile, profile_mark_force_save(handle));
    REFUSED(SlProfile, profile_set_log_prefix(handle, Z("[Ann]")));
    REFUSED(SlProfile, profile_when_changes_saved(handle, answer_nothing, NULL, NULL, &wait));
    REFUSED(SlProfile, profile_wait_until_changes_saved(handle, 1, &value));
    REFUSED(SlProfile, profile_when_loaded(handle, load_nothing, NULL, NULL));
    REFUSED(SlProfile, profile_wait_until_loaded(handle, 1));
    REFUSED(SlProfile, profile_connect(handle, 1, hear_nothing, NULL, NULL, &connection));
    REFUSED(SlProfile, profile_connect_once(handle, 1, hear_nothing, NULL, NULL, &connection));
    REFUSED(SlProfile, profile_product_credit_query(handle, 7, &credit));
    REFUSED(SlProfile, profile_product_credit_give(handle, 7, 1));
    REFUSED(SlProfile, profile_product_credit_use(handle, 7, 1, &value));
    REFUSED(SlProfile, profile_set_before_save(handle, save_nothing, NULL, NULL));
    REFUSED(SlProfile, profile_set_before_save_transform(handle, save_nothing, NULL, NULL));
    REFUSED(SlProfile, profile_end_session(handle));
    REFUSED(SlProfile, profile_destroy(handle));
    CHECK(data == NULL && connection == NULL && wait == NULL && json.length == 7);
    CHECK(version == 7 && value == 7 && credit == 7);

    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_is_active(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_is_loaded(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_is_available(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_is_finished(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_get_lost_save_data(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, profile_load_status(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, easy_store_is_closed(server->store, NULL));

    server->log.text[0] = '\0';
    frame(server, 0);
    CHECK(log_is(&server->log, ""));
    CHECK(json_is(data_of(live), "/Gold", "0"));
    OK(profile_is_active(live, &value));
    CHECK(value == 1);
    OK(profile_destroy(live));
    frame(server, 0);
}

static void connections(Server *server) {
    SlProfile *profile = loaded(server, "player");
    SlSavedConnection *live = NULL, *stale = NULL;
    SlSignalConnection *signal = NULL, *stale_signal = NULL;
    int32_t value = 7;

    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &live));
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &stale));
    OK(saved_connection_destroy(stale));
    prepare(stale, live, profile);
    REFUSED(SlSavedConnection, saved_connection_is_saved(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_is_connected(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_outcome(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_trigger(handle, 1));
    REFUSED(SlSavedConnection, saved_connection_disconnect(handle));
    REFUSED(SlSavedConnection, saved_connection_destroy(handle));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, saved_connection_is_saved(live, NULL));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, saved_connection_is_connected(live, NULL));
    CHECK(value == 7);
    OK(saved_connection_is_connected(live, &value));
    CHECK(value == 1);

    OK(profile_connect(profile, SL_SIGNAL_LOST, hear_nothing, NULL, NULL, &signal));
    OK(profile_connect(profile, SL_SIGNAL_LOST, hear_nothing, NULL, NULL, &stale_signal));
    OK(signal_connection_disconnect(stale_signal));
    prepare(stale_signal, signal, live);
    REFUSED(SlSignalConnection, signal_connection_disconnect(handle));
    OK(signal_connection_disconnect(signal));
    OK(saved_connection_destroy(live));
    OK(profile_destroy(profile));
    frame(server, 0);
}

static void reports(Server *server) {
    SlDrainReport *live = NULL, *stale = NULL;
    SlUnsaved unsaved;
    size_t count = 7;

    memset(&unsaved, 7, sizeof unsaved);
    unsaved.struct_size = sizeof unsaved;
    OK(easy_store_drain(server->store, 0, &stale));
    OK(easy_store_drain(server->store, 0, &live));
    OK(drain_report_destroy(stale));
    prepare(stale, live, server->store);
    REFUSED(SlDrainReport, drain_report_unsaved_count(handle, &count));
    REFUSED(SlDrainReport, drain_report_get_unsaved(handle, 0, &unsaved));
    REFUSED(SlDrainReport, drain_report_destroy(handle));
    CHECK_STATUS(SL_ERROR_INVALID_ARGUMENT, drain_report_get_unsaved(live, 0, NULL));
    CHECK(count == 7 && unsaved.outcome == 0x07070707);
    OK(drain_report_destroy(live));
}

static void specs_and_lockers(Server *server) {
    SlLockerSpecConfig config;
    SlLockerSpec *spec = NULL, *stale_spec = NULL, *made = NULL;
    SlLocker *live = NULL, *stale = NULL, *nothing = NULL;
    SlSaveData *data = NULL;
    SlSavedConnection *wait = NULL;
    SlBuffer json = {NULL, 7, 0};
    SlEvent event;
    size_t count = 7;
    uint32_t version = 7;
    int64_t credit = 7;
    int32_t value = 7;
    double number = 7;

    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{\"Gold\":0}";
    OK(locker_spec_create(server->storage, &config, &spec));
    OK(locker_spec_create(server->storage, &config, &stale_spec));
    OK(locker_spec_destroy(stale_spec));
    prepare(NULL, server->storage, spec);
    REFUSED(SlStorage, locker_spec_create(handle, &config, &made));
    prepare(stale_spec, spec, server->storage);
    REFUSED(SlLockerSpec, locker_create(handle, Z("key"), NULL, &nothing));
    REFUSED(SlLockerSpec, locker_create_player(handle, Z("7"), NULL, &nothing));
    REFUSED(SlLockerSpec, locker_spec_query_config(handle, SL_CONFIG_VERBOSE_LOGS, &number));
    REFUSED(SlLockerSpec, locker_spec_destroy(handle));
    CHECK(made == NULL && nothing == NULL && number == 7);

    OK(locker_create(spec, Z("key"), NULL, &live));
    OK(locker_create(spec, Z("key"), NULL, &stale));
    OK(locker_update(live, 0, &value));
    OK(locker_update(stale, 0, &value));
    OK(locker_destroy(stale));
    value = 7;
    prepare(stale, live, spec);
    REFUSED(SlLocker, locker_get_key(handle, &json));
    REFUSED(SlLocker, locker_update(handle, 1, &value));
    REFUSED(SlLocker, locker_poll_event(handle, &event, 1, &count));
    REFUSED(SlLocker, locker_mark_should_acquire(handle, 0));
    REFUSED(SlLocker, locker_mark_should_release(handle, 0));
    REFUSED(SlLocker, locker_mark_should_save(handle));
    REFUSED(SlLocker, locker_mark_force_save(handle));
    REFUSED(SlLocker, locker_set_log_prefix(handle, Z("[Ann]")));
    REFUSED(SlLocker, locker_mark_deleted(handle));
    REFUSED(SlLocker, locker_load_status(handle, &value));
    REFUSED(SlLocker, locker_load_minimum_server_version(handle, &version));
    REFUSED(SlLocker, locker_is_idling(handle, &value));
    REFUSED(SlLocker, locker_is_deleted(handle, &value));
    REFUSED(SlLocker, locker_is_available(handle, &value));
    REFUSED(SlLocker, locker_set_is_syncing(handle, 0));
    REFUSED(SlLocker, locker_is_syncing(handle, &value));
    REFUSED(SlLocker, locker_get_save_data(handle, &data));
    REFUSED(SlLocker, locker_get_save_data_json(handle, &json));
    REFUSED(SlLocker, locker_set_save_data_json(handle, Z("{\"Gold\":7}")));
    REFUSED(SlLocker, locker_get_lost_save_data(handle, &json));
    REFUSED(SlLocker, locker_product_credit_query(handle, 7, &credit));
    REFUSED(SlLocker, locker_product_credit_give(handle, 7, 1));
    REFUSED(SlLocker, locker_product_credit_use(handle, 7, 1, &value));
    REFUSED(SlLocker, locker_when_changes_saved(handle, answer_nothing, NULL, NULL, &wait));
    REFUSED(SlLocker, locker_wait_until_changes_saved(handle, 1, &value));
    REFUSED(SlLocker, locker_destroy(handle));
    CHECK(data == NULL && wait == NULL && json.length == 7 && count == 7);
    CHECK(version == 7 && value == 7 && credit == 7);
    OK(locker_is_deleted(live, &value));
    CHECK(value == 0);
    OK(locker_get_save_data(live, &data));
    CHECK(json_is(data, "/Gold", "0"));
    OK(locker_destroy(live));
    OK(locker_spec_destroy(spec));
}

/* A random number is no handle; xorshift, so that each run tries the same ones. */
static void random_numbers(Server *server) {
    SlProfile *profile = loaded(server, "player");
    uint64_t random = 88172645463325252u;
    int32_t is_loaded = 0;
    int refused = 0;
    int i;
    for (i = 0; i < 50000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        refused += easy_store_destroy((SlEasyStore *)as_handle((uintptr_t)random)) ==
                   SL_ERROR_INVALID_HANDLE;
        refused += profile_destroy((SlProfile *)as_handle((uintptr_t)random)) ==
                   SL_ERROR_INVALID_HANDLE;
    }
    CHECK(refused == 100000);
    OK(profile_is_loaded(profile, &is_loaded));
    CHECK(is_loaded == 1);
    OK(profile_destroy(profile));
    frame(server, 0);
}

int main(void) {
    Server server;
    server_open(&server, "memory:", 0, 1);
    stores(&server);
    profiles(&server);
    connections(&server);
    random_numbers(&server);
    reports(&server);
    specs_and_lockers(&server);
    server_close(&server);
    return finish("handles_sessions");
}
