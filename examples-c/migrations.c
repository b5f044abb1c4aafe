/* How save data changes shape over the years: migrators from version to version, a patcher that
 * mends what a migrator got wrong, a migrator that fails, and a document from a newer server.
 *
 *   migrations [STORAGE-URL]
 *
 * The game kept `OldCoins`, a text, in its first version. In the second it keeps `Gold`, a number,
 * and `Title`. The third, which only newer servers know, counts gold in hundredths.
 */
#include "example.h"

/* ---- The migrators of the second version ------------------------------------------------- */

/* The number in OldCoins. A text that is none is refused, and the player's data stays as it is. */
static SlStatus read_old_coins(const SlSaveData *data, int64_t *coins) {
    char message[128];
    char *end = NULL;
    SlBuffer text;
    SlStatus status = save_data_get_string(data, TEXT("/OldCoins"), &text);
    if (status != SL_OK) {
        return status; /* the library's message becomes the reason of the failure */
    }
    *coins = strtoll(text.data, &end, 10);
    if (text.length == 0 || *end != '\0') {
        snprintf(message, sizeof message, "OldCoins is \"%.40s\", which is no number", text.data);
        session_locker_set_hook_error(TEXT(message));
        status = SL_ERROR_HOOK;
    }
    session_locker_buffer_free(&text);
    return status;
}

/* The migrator as it was first released: it forgets the title. */
static SlStatus from_1_with_a_mistake(void *user_data, SlSaveData *data, double *version_patch) {
    int64_t coins = 0;
    SlStatus status = read_old_coins(data, &coins);
    (void)user_data;
    if (status == SL_OK) {
        status = save_data_set_i64(data, TEXT("/Gold"), coins);
    }
    *version_patch = 0.0;
    return status;
}

/* The patcher for version 2: what was migrated before the mistake was found, patch 0, gets what is
 * missing. It gives the patch that the data has from now on. */
static SlStatus patch_2(void *user_data, SlSaveData *data, double *version_patch) {
    SlStatus status = SL_OK;
    (void)user_data;
    if (*version_patch < 1.0) {
        status = save_data_set_string(data, TEXT("/Title"), TEXT("Newcomer"));
        if (status == SL_OK) {
            status = save_data_remove(data, TEXT("/OldCoins"));
        }
    }
    *version_patch = 1.0;
    return status;
}

/* The migrator as it is since then: what it makes needs no patch, so its patch is the patcher's. */
static SlStatus from_1(void *user_data, SlSaveData *data, double *version_patch) {
    SlStatus status = from_1_with_a_mistake(user_data, data, version_patch);
    return status == SL_OK ? patch_2(user_data, data, version_patch) : status;
}

/* The migrator to the third version. */
static SlStatus from_2(void *user_data, SlSaveData *data, double *version_patch) {
    int64_t gold = 0;
    SlStatus status = save_data_get_i64(data, TEXT("/Gold"), &gold);
    (void)user_data;
    *version_patch = 0.0;
    return status == SL_OK ? save_data_set_i64(data, TEXT("/Gold"), gold * 100) : status;
}

/* ---- A server ---------------------------------------------------------------------------- */

static void on_event(void *user_data, const SlEvent *event) {
    (void)user_data;
    if (event->kind == SL_EVENT_ERROR) {
        printf("    reported: %.*s\n", (int)event->text.length, event->text.data);
    }
}

/* A server of some version; `builder` has its migrators and ends here. */
static SlEasyStore *server_of_version(const SlStorage *storage, uint32_t version,
                                      SlMigratorBuilder *builder) {
    SlMigrators *migrators = NULL;
    SlEasyStore *store = NULL;
    SlEasyStoreConfig config;
    /* A version that was raised without its migrator, or the reverse, is found here, at the start. */
    OK(migrator_builder_check_version(builder, version));
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));
    OK(easy_store_config_init(&config, sizeof config));
    config.save_data_version = version;
    config.migrators = migrators;
    config.template_json = version == 1 ? "{\"OldCoins\":\"0\"}" : "{\"Gold\":0,\"Title\":\"Newcomer\"}";
    config.event = on_event;
    OK(easy_store_create(storage, &config, &store));
    OK(migrators_destroy(migrators)); /* the store keeps what it needs */
    return store;
}

static SlMigratorBuilder *no_migrators(void) {
    SlMigratorBuilder *builder = NULL;
    OK(migrator_builder_create(&builder));
    return builder;
}

static SlMigratorBuilder *migrators_of_version_2(SlMigrator migrator, SlPatcher patcher) {
    SlMigratorBuilder *builder = no_migrators();
    OK(migrator_builder_add_migrator_from(builder, 1, migrator, NULL, NULL));
    if (patcher != NULL) {
        OK(migrator_builder_add_patcher_for(builder, 2, patcher, NULL, NULL));
    }
    return builder;
}

/* Frames until the store has loaded the player, or has given up; gives the load status. */
static int32_t load(const SlEasyStore *store, const char *key, SlProfile **profile) {
    int32_t status = SL_LOAD_STATUS_LOADING;
    double deadline = monotonic_s() + PATIENCE_S;
    OK(easy_store_start_session(store, TEXT(key), NULL, profile));
    while (status == SL_LOAD_STATUS_LOADING) {
        MUST(monotonic_s() < deadline, "a session neither loads nor is refused");
        frame(store);
        OK(profile_load_status(*profile, &status));
    }
    return status;
}

static void shut_down(SlEasyStore *store) {
    SlDrainReport *report = NULL;
    size_t left = 0;
    OK(easy_store_drain(store, PATIENCE_S, &report));
    OK(drain_report_unsaved_count(report, &left));
    MUST(left == 0, "a session could not be released in time");
    OK(drain_report_destroy(report));
    OK(easy_store_destroy(store));
}

/* A player whose save data must load, comes, and goes again. Gives the save data as it is then. */
static SlBuffer visit(const SlStorage *storage, SlEasyStore *store, const char *key) {
    SlProfile *profile = NULL;
    SlBuffer stored;
    MUST(load(store, key, &profile) == SL_LOAD_STATUS_LOADED, "save data that was not loaded");
    shut_down(store);
    show_record(storage, key, &stored);
    return stored;
}

/* Writes what stood in the storage before this story begins. */
static void put(const SlStorage *storage, const char *key, const char *json) {
    SlBuffer value, revision, user_ids, after;
    int32_t is_present = 0;
    OK(locker_storage_fetch(storage, TEXT(key), PATIENCE_S, &is_present, &value, &revision,
                            &user_ids));
    OK(locker_storage_commit(storage, TEXT(key), json, strlen(json), NULL, 0, revision.data,
                             revision.length, PATIENCE_S, &after));
    session_locker_buffer_free(&value);
    session_locker_buffer_free(&revision);
    session_locker_buffer_free(&user_ids);
    session_locker_buffer_free(&after);
}

/* A server must refuse a key and leave its record as it is, to the byte. */
static SlProfile *must_refuse(const SlStorage *storage, const SlEasyStore *store, const char *key,
                              int32_t expected) {
    SlProfile *profile = NULL;
    SlBuffer before, after;
    show_record(storage, key, &before);
    MUST(load(store, key, &profile) == expected, "not the load status that was expected");
    show_record(storage, key, &after);
    MUST(strcmp(before.data, after.data) == 0, "a record that was not understood was written");
    session_locker_buffer_free(&before);
    session_locker_buffer_free(&after);
    return profile;
}

int main(int argc, char **argv) {
    SlStorage *storage = NULL;
    SlEasyStore *store;
    SlProfile *profile;
    SlMigratorBuilder *builder;
    SlBuffer stored;
    uint32_t version = 0;

    OK(locker_storage_open(TEXT(storage_url(argc, argv)), &storage));
    put(storage, "player/ana", "{\"Version\":1,\"OldCoins\":\"250\"}");
    put(storage, "player/ben", "{\"Version\":1,\"OldCoins\":\"70\"}");
    put(storage, "player/cem", "{\"Version\":1,\"OldCoins\":\"lots\"}");

    printf("The second version is released. Ana comes, and is migrated:\n");
    store = server_of_version(storage, 2, migrators_of_version_2(from_1_with_a_mistake, NULL));
    stored = visit(storage, store, "player/ana");
    MUST(strstr(stored.data, "\"Gold\":250") != NULL, "the coins did not become gold");
    session_locker_buffer_free(&stored);

    printf("\nThe migrator forgot the title. With a patcher, Ana's data is mended as she comes again:\n");
    store = server_of_version(storage, 2, migrators_of_version_2(from_1, patch_2));
    stored = visit(storage, store, "player/ana");
    MUST(strstr(stored.data, "\"Title\":\"Newcomer\"") != NULL, "the patcher has not run");
    MUST(strstr(stored.data, "\"VersionPatch\":1,") != NULL, "the patch is not noted");
    session_locker_buffer_free(&stored);
    printf("\nAnd Ben, who has been away all this time, is migrated by the better migrator:\n");
    store = server_of_version(storage, 2, migrators_of_version_2(from_1, patch_2));
    stored = visit(storage, store, "player/ben");
    MUST(strstr(stored.data, "OldCoins") == NULL, "the old field is still there");
    session_locker_buffer_free(&stored);

    printf("\nCem's coins are no number, so his migrator fails. Nothing is locked and nothing written:\n");
    store = server_of_version(storage, 2, migrators_of_version_2(from_1, patch_2));
    must_refuse(storage, store, "player/cem", SL_LOAD_STATUS_MIGRATION_FAILED);
    shut_down(store);

    printf("\nA server of the third version has Ana's data for a while:\n");
    builder = migrators_of_version_2(from_1, patch_2);
    OK(migrator_builder_add_migrator_from(builder, 2, from_2, NULL, NULL));
    store = server_of_version(storage, 3, builder);
    stored = visit(storage, store, "player/ana");
    session_locker_buffer_free(&stored);
    printf("\nA server of the second version, not replaced yet, does not understand it any more:\n");
    store = server_of_version(storage, 2, migrators_of_version_2(from_1, patch_2));
    profile = must_refuse(storage, store, "player/ana", SL_LOAD_STATUS_INVALID_VERSION);
    OK(profile_load_minimum_server_version(profile, &version));
    printf("  so she is to be sent to a server of version %u or newer\n", (unsigned)version);
    MUST(version == 3, "not the version that the document has");
    shut_down(store);

    OK(locker_storage_destroy(storage));
    return EXIT_SUCCESS;
}
