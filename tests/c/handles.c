/* Every function of save data, migrators and storages refuses a wrong handle, whatever it is, and
 * changes nothing; those of sessions are in handles_sessions.c. */
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
    SlValue value = {7, 7, 7, 7, 7, {NULL, 7, 0}};

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
    REFUSED(SlSaveData, save_data_get_value(handle, Z("/Gold"), &value));
    REFUSED(SlSaveData, save_data_get_names(handle, Z(""), &text));
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
    CHECK(value.value_type == 7 && value.integer == 7 && value.text.length == 7);

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
    SlRequestStats stats;
    int32_t is_present = 7;

    memset(&stats, 7, sizeof stats);
    stats.struct_size = sizeof stats;
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
    REFUSED(SlStorage, locker_storage_get_stats(handle, &stats));
    CHECK(stats.reserved == 0x07070707);
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
    random_numbers();
    OK(locker_storage_destroy(storage));
    return finish("handles");
}
