/* Every function that takes a handle refuses a wrong one, whatever it is, and changes nothing. */
#include "wrong_handles.h"

static SlStatus do_nothing(void *user_data, SlSaveData *data, double *version_patch) {
    (void)user_data;
    (void)data;
    (void)version_patch;
    return SL_OK;
}

static int drops = 0;

static void count_drop(void *user_data) {
    (void)user_data;
    drops++;
}

static void save_data(SlStorage *storage) {
    SlSaveData *live, *stale;
    SlSaveDataBackup *backup = NULL;
    SlBuffer text = {NULL, 7, 0};
    int64_t integer = 7;
    double number = 7;
    int32_t small = 7;
    size_t size = 7;

    OK(save_data_create(Z("{\"Gold\":1}"), &live));
    OK(save_data_create(Z("{}"), &stale));
    OK(save_data_destroy(stale));
    prepare(stale, live, storage);

    REFUSED(SlSaveData, save_data_get_json(handle, Z(""), &text));
    REFUSED(SlSaveData, save_data_get_string(handle, Z("/Gold"), &text));
    REFUSED(SlSaveData, save_data_get_i64(handle, Z("/Gold"), &integer));
    REFUSED(SlSaveData, save_data_get_f64(handle, Z("/Gold"), &number));
    REFUSED(SlSaveData, save_data_get_bool(handle, Z("/Gold"), &small));
    REFUSED(SlSaveData, save_data_contains(handle, Z("/Gold"), &small));
    REFUSED(SlSaveData, save_data_type(handle, Z("/Gold"), &small));
    REFUSED(SlSaveData, save_data_length(handle, Z("/Gold"), &size));
    REFUSED(SlSaveData, save_data_set_json(handle, Z("/Gold"), Z("2")));
    REFUSED(SlSaveData, save_data_set_i64(handle, Z("/Gold"), 2));
    REFUSED(SlSaveData, save_data_set_f64(handle, Z("/Gold"), 2));
    REFUSED(SlSaveData, save_data_set_bool(handle, Z("/Gold"), 1));
    REFUSED(SlSaveData, save_data_set_string(handle, Z("/Gold"), Z("2")));
    REFUSED(SlSaveData, save_data_set_null(handle, Z("/Gold")));
    REFUSED(SlSaveData, save_data_add_i64(handle, Z("/Gold"), 1, &integer));
    REFUSED(SlSaveData, save_data_append(handle, Z("/Gold"), Z("2")));
    REFUSED(SlSaveData, save_data_remove(handle, Z("/Gold")));
    REFUSED(SlSaveData, save_data_merge_patch(handle, Z("{}")));
    REFUSED(SlSaveData, save_data_apply_patch(handle, Z("[]")));
    REFUSED(SlSaveData, save_data_backup(handle, &backup));
    REFUSED(SlSaveData, save_data_destroy(handle));
    CHECK(text.data == NULL && text.length == 7 && backup == NULL);
    CHECK(integer == 7 && number == 7 && small == 7 && size == 7);

    OK(save_data_backup(live, &backup));
    REFUSED(SlSaveData, save_data_restore(handle, backup));
    prepare(backup, live, live);
    OK(save_data_backup_destroy(backup));
    REFUSED(SlSaveDataBackup, save_data_restore(live, handle));
    REFUSED(SlSaveDataBackup, save_data_backup_destroy(handle));
    CHECK(json_is(live, "", DOCUMENT(",\"Gold\":1")));
    OK(save_data_destroy(live));
}

static void migrators(SlStorage *storage) {
    SlMigratorBuilder *builder, *stale_builder;
    SlMigrators *built, *stale, *nothing = NULL;
    SlSaveData *data;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_create(&stale_builder));
    OK(migrator_builder_destroy(stale_builder));
    prepare(stale_builder, builder, storage);
    REFUSED(SlMigratorBuilder,
            migrator_builder_add_migrator_from(handle, 1, do_nothing, NULL, count_drop));
    REFUSED(SlMigratorBuilder,
            migrator_builder_add_patcher_for(handle, 1, do_nothing, NULL, count_drop));
    REFUSED(SlMigratorBuilder, migrator_builder_check_version(handle, 1));
    REFUSED(SlMigratorBuilder, migrator_builder_build(handle, &nothing));
    REFUSED(SlMigratorBuilder, migrator_builder_destroy(handle));
    CHECK(nothing == NULL && drops == 0);

    OK(migrator_builder_build(builder, &built));
    OK(migrator_builder_build(builder, &stale));
    OK(migrators_destroy(stale));
    OK(save_data_parse(T("{\"Version\":1}"), &data));
    prepare(stale, built, storage);
    REFUSED(SlMigrators, migrators_migrate(handle, data, 1));
    REFUSED(SlMigrators, migrators_destroy(handle));
    prepare(NULL, data, storage);
    REFUSED(SlSaveData, migrators_migrate(built, handle, 1));
    OK(migrators_migrate(built, data, 1));

    OK(save_data_destroy(data));
    OK(migrators_destroy(built));
    OK(migrator_builder_destroy(builder));
}

static void storages(SlStorage *storage) {
    SlStorage *stale;
    SlSaveData *foreign;
    SlBuffer a = {NULL, 7, 0}, b = {NULL, 7, 0}, c = {NULL, 7, 0};
    int32_t is_present = 7;

    OK(locker_storage_open(Z("memory:"), &stale));
    OK(locker_storage_destroy(stale));
    OK(save_data_create(Z("{}"), &foreign));
    prepare(stale, storage, foreign);
    REFUSED(SlStorage, locker_storage_fetch(handle, Z("key"), 1, &is_present, &a, &b, &c));
    REFUSED(SlStorage,
            locker_storage_commit(handle, Z("key"), T("{}"), NULL, 0, Z("-"), 1, &a));
    REFUSED(SlStorage, locker_storage_erase(handle, Z("key"), NULL, 0, 1, &a));
    REFUSED(SlStorage, locker_storage_list(handle, NULL, 0, NULL, 0, 1, 1, &a));
    REFUSED(SlStorage, locker_storage_keys_of_user(handle, Z("1"), 1, &a));
    REFUSED(SlStorage, locker_storage_destroy(handle));
    CHECK(is_present == 7 && a.length == 7 && b.length == 7 && c.length == 7);

    prepare(NULL, storage, foreign);
    REFUSED(SlStorageRequest, storage_request_fetched(handle, T("{}"), Z("1"), NULL, 0, 0));
    REFUSED(SlStorageRequest, storage_request_absent(handle, NULL, 0, 0));
    REFUSED(SlStorageRequest, storage_request_committed(handle, Z("1"), 0));
    REFUSED(SlStorageRequest, storage_request_erased(handle, Z("1"), 0));
    REFUSED(SlStorageRequest, storage_request_conflict(handle, 0));
    REFUSED(SlStorageRequest, storage_request_keys(handle, NULL, 0));
    REFUSED(SlStorageRequest,
            storage_request_failed(handle, SL_REQUEST_ERROR_MISC, Z("no"), 0));
    OK(save_data_destroy(foreign));
}

static void on_signal(void *user_data, SlProfile *profile, int32_t lifecycle, int32_t reason) {
    (void)user_data;
    (void)profile;
    (void)lifecycle;
    (void)reason;
}

static void on_loaded(void *user_data, SlProfile *profile) {
    (void)user_data;
    (void)profile;
}

static void on_saved(void *user_data, int32_t outcome) {
    (void)user_data;
    (void)outcome;
}

static SlEasyStore *open_store(SlStorage *storage) {
    SlEasyStoreConfig config;
    SlEasyStore *store = NULL;
    OK(easy_store_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.template_json_length = SL_NUL_TERMINATED;
    config.polls_events = 1;
    prepare(NULL, storage, NULL);
    REFUSED(SlStorage, easy_store_create(handle, &config, &store));
    CHECK(store == NULL);
    OK(easy_store_create(storage, &config, &store));
    return store;
}

static void stores(SlStorage *storage) {
    SlEasyStore *live = open_store(storage);
    SlEasyStore *stale = open_store(storage);
    SlProfile *profile = NULL;
    SlDrainReport *report = NULL;
    SlEvent event;
    SlText key = {NULL, 7}, reason = {NULL, 7};
    size_t count = 7;
    int32_t value = 7;

    OK(easy_store_destroy(stale));
    prepare(stale, live, storage);
    REFUSED(SlEasyStore, easy_store_start_session(handle, Z("key"), NULL, 0, &profile));
    REFUSED(SlEasyStore, easy_store_start_session_reusable(handle, Z("key"), NULL, 0, &profile));
    REFUSED(SlEasyStore, easy_store_update(handle, 1));
    REFUSED(SlEasyStore, easy_store_poll_event(handle, &event, 1, &count));
    REFUSED(SlEasyStore, easy_store_close(handle));
    REFUSED(SlEasyStore, easy_store_is_closed(handle, &value));
    REFUSED(SlEasyStore, easy_store_drain(handle, 0, &report));
    REFUSED(SlEasyStore, easy_store_destroy(handle));
    CHECK(profile == NULL && report == NULL && count == 7 && value == 7);

    OK(easy_store_drain(live, 10, &report));
    OK(drain_report_count(report, &count));
    CHECK(count == 0);
    count = 7;
    prepare(report, live, storage);
    OK(drain_report_destroy(report));
    REFUSED(SlDrainReport, drain_report_count(handle, &count));
    REFUSED(SlDrainReport, drain_report_get(handle, 0, &key, &value, &reason));
    REFUSED(SlDrainReport, drain_report_destroy(handle));
    CHECK(count == 7 && value == 7 && key.length == 7 && reason.length == 7);
    OK(easy_store_destroy(live));
}

static void profiles(SlStorage *storage) {
    SlEasyStore *store = open_store(storage);
    SlProfile *live = NULL, *stale = NULL;
    SlSignalConnection *signal = NULL;
    SlSavedConnection *saved = NULL;
    SlSaveData *data = NULL;
    SlBuffer text = {NULL, 7, 0};
    uint32_t version = 7;
    int32_t value = 7;

    OK(easy_store_start_session(store, Z("live"), NULL, 0, &live));
    OK(easy_store_start_session(store, Z("stale"), NULL, 0, &stale));
    OK(profile_destroy(stale));
    prepare(stale, live, storage);
    REFUSED(SlProfile, profile_is_active(handle, &value));
    REFUSED(SlProfile, profile_is_loaded(handle, &value));
    REFUSED(SlProfile, profile_is_available(handle, &value));
    REFUSED(SlProfile, profile_load_status(handle, &value));
    REFUSED(SlProfile, profile_load_minimum_server_version(handle, &version));
    REFUSED(SlProfile, profile_get_save_data(handle, &data));
    REFUSED(SlProfile, profile_get_save_data_json(handle, &text));
    REFUSED(SlProfile, profile_set_save_data_json(handle, Z("{}")));
    REFUSED(SlProfile, profile_mark_should_save(handle));
    REFUSED(SlProfile, profile_mark_force_save(handle));
    REFUSED(SlProfile, profile_when_changes_saved(handle, on_saved, NULL, &saved));
    REFUSED(SlProfile, profile_wait_until_changes_saved(handle, 0, &value));
    REFUSED(SlProfile, profile_when_loaded(handle, on_loaded, NULL));
    REFUSED(SlProfile, profile_wait_until_loaded(handle, 0));
    REFUSED(SlProfile, profile_connect(handle, SL_SIGNAL_LOADED, on_signal, NULL, &signal));
    REFUSED(SlProfile, profile_connect_once(handle, SL_SIGNAL_LOADED, on_signal, NULL, &signal));
    REFUSED(SlProfile, profile_set_log_prefix(handle, Z("[Ann]")));
    REFUSED(SlProfile, profile_set_before_save(handle, NULL, NULL));
    REFUSED(SlProfile, profile_set_before_save_transform(handle, NULL, NULL));
    REFUSED(SlProfile, profile_end_session(handle));
    REFUSED(SlProfile, profile_destroy(handle));
    CHECK(value == 7 && version == 7 && text.length == 7);
    CHECK(data == NULL && saved == NULL && signal == NULL);

    OK(profile_wait_until_loaded(live, 10));
    OK(profile_connect(live, SL_SIGNAL_LOADED, on_signal, NULL, &signal));
    prepare(signal, live, storage);
    OK(signal_connection_disconnect(signal));
    REFUSED(SlSignalConnection, signal_connection_disconnect(handle));

    OK(profile_mark_should_save(live));
    OK(profile_when_changes_saved(live, on_saved, NULL, &saved));
    prepare(saved, live, storage);
    OK(saved_connection_destroy(saved));
    REFUSED(SlSavedConnection, saved_connection_is_saved(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_is_connected(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_outcome(handle, &value));
    REFUSED(SlSavedConnection, saved_connection_trigger(handle, 1));
    REFUSED(SlSavedConnection, saved_connection_disconnect(handle));
    REFUSED(SlSavedConnection, saved_connection_destroy(handle));
    CHECK(value == 7);

    OK(profile_get_save_data(live, &data));
    OK(profile_destroy(live));
    OK(easy_store_destroy(store));
    CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_set_null(data, Z("/Gold")));
}

/* Brings a locker to its end, so that it can be destroyed. */
static void end(SlLocker *locker) {
    int32_t should_remove = 0;
    int frame;
    OK(locker_mark_should_release(locker));
    for (frame = 1; frame < 100 && should_remove == 0; frame++) {
        OK(locker_update(locker, frame, &should_remove));
    }
    CHECK(should_remove == 1);
    OK(locker_mark_deleted(locker));
    OK(locker_destroy(locker));
}

static void lockers(SlStorage *storage) {
    SlLockerSpecConfig config;
    SlLockerSpec *spec = NULL, *stale_spec = NULL;
    SlLocker *live = NULL, *stale = NULL;
    SlSavedConnection *saved = NULL;
    SlSaveData *data = NULL;
    SlBuffer text = {NULL, 7, 0};
    SlEvent event;
    size_t count = 7;
    uint32_t version = 7;
    int32_t value = 7;
    double number = 7;

    OK(locker_spec_config_init(&config, sizeof config));
    config.template_json = "{}";
    config.template_json_length = SL_NUL_TERMINATED;
    config.polls_events = 1;
    prepare(NULL, storage, NULL);
    REFUSED(SlStorage, locker_spec_create(handle, &config, &spec));
    OK(locker_spec_create(storage, &config, &spec));
    OK(locker_spec_create(storage, &config, &stale_spec));
    OK(locker_spec_destroy(stale_spec));
    prepare(stale_spec, spec, storage);
    REFUSED(SlLockerSpec, locker_create(handle, Z("key"), NULL, 0, &live));
    REFUSED(SlLockerSpec, locker_spec_query_config(handle, SL_CONFIG_VERBOSE_LOGS, &number));
    REFUSED(SlLockerSpec, locker_spec_destroy(handle));
    CHECK(live == NULL && number == 7);

    OK(locker_create(spec, Z("key"), NULL, 0, &live));
    OK(locker_create(spec, Z("stale"), NULL, 0, &stale));
    end(stale);
    prepare(stale, live, spec);
    REFUSED(SlLocker, locker_update(handle, 1, &value));
    REFUSED(SlLocker, locker_poll_event(handle, &event, 1, &count));
    REFUSED(SlLocker, locker_mark_should_acquire(handle));
    REFUSED(SlLocker, locker_mark_should_release(handle));
    REFUSED(SlLocker, locker_mark_should_save(handle));
    REFUSED(SlLocker, locker_mark_force_save(handle));
    REFUSED(SlLocker, locker_set_log_prefix(handle, Z("[Ann]")));
    REFUSED(SlLocker, locker_mark_deleted(handle));
    REFUSED(SlLocker, locker_load_status(handle, &value));
    REFUSED(SlLocker, locker_load_minimum_server_version(handle, &version));
    REFUSED(SlLocker, locker_is_idling(handle, &value));
    REFUSED(SlLocker, locker_is_deleted(handle, &value));
    REFUSED(SlLocker, locker_is_available(handle, &value));
    REFUSED(SlLocker, locker_get_save_data(handle, &data));
    REFUSED(SlLocker, locker_get_save_data_json(handle, &text));
    REFUSED(SlLocker, locker_set_save_data_json(handle, Z("{}")));
    REFUSED(SlLocker, locker_get_lost_save_data(handle, &text));
    REFUSED(SlLocker, locker_when_changes_saved(handle, on_saved, NULL, &saved));
    REFUSED(SlLocker, locker_wait_until_changes_saved(handle, 0, &value));
    REFUSED(SlLocker, locker_destroy(handle));
    CHECK(value == 7 && version == 7 && count == 7 && text.length == 7);
    CHECK(data == NULL && saved == NULL);
    end(live);
    OK(locker_spec_destroy(spec));
}

/* A random number is no handle; xorshift, so that each run tries the same ones. */
static void random_numbers(void) {
    uint64_t random = 88172645463325252u;
    SlSaveData *live;
    int refused = 0;
    int i;

    OK(save_data_create(Z("{\"Gold\":1}"), &live));
    for (i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        refused += save_data_destroy((SlSaveData *)as_handle((uintptr_t)random)) ==
                   SL_ERROR_INVALID_HANDLE;
        refused += locker_storage_destroy((SlStorage *)as_handle((uintptr_t)random)) ==
                   SL_ERROR_INVALID_HANDLE;
    }
    CHECK(refused == 200000);
    CHECK(json_is(live, "/Gold", "1"));
    OK(save_data_destroy(live));
}

int main(void) {
    SlStorage *storage;
    OK(locker_storage_open(Z("memory:"), &storage));
    save_data(storage);
    migrators(storage);
    storages(storage);
    stores(storage);
    profiles(storage);
    lockers(storage);
    random_numbers();
    OK(locker_storage_destroy(storage));
    return finish("handles");
}
