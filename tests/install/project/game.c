/* One session by way of an installed library. */
#include <session_locker.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    SlStorage *storage = NULL;
    SlEasyStore *store = NULL;
    SlProfile *profile = NULL;
    SlSaveData *data = NULL;
    SlEasyStoreConfig config;
    int64_t gold = 0;
    int worked = locker_storage_open("memory:", SL_NUL_TERMINATED, &storage) == SL_OK
        && easy_store_config_init(&config, sizeof config) == SL_OK;

    config.template_json = "{\"Gold\":25}";
    worked = worked && easy_store_create(storage, &config, &store) == SL_OK
        && easy_store_start_session(store, "player/1", SL_NUL_TERMINATED, NULL, &profile) == SL_OK
        && profile_wait_until_loaded(profile, 10) == SL_OK
        && profile_get_save_data(profile, &data) == SL_OK
        && save_data_get_i64(data, "/Gold", SL_NUL_TERMINATED, &gold) == SL_OK
        && profile_destroy(profile) == SL_OK && easy_store_drain(store, 10, NULL) == SL_OK
        && easy_store_destroy(store) == SL_OK && locker_storage_destroy(storage) == SL_OK;
    if (!worked) {
        char message[256];
        session_locker_last_error(message, sizeof message);
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    printf("session-locker %s: %d gold\n", session_locker_version(), (int)gold);
    return 0;
}
