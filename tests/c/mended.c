/* Faults of the C interface that were found once and mended: each stays mended. */
#include "world.h"

static void count_answer(void *user_data, int32_t outcome) {
    (void)outcome;
    ++*(int *)user_data;
}

static void a_wait_given_up_before_its_answer_is_told_calls_nobody(int destroys) {
    Server server;
    SlProfile *profile;
    SlSavedConnection *given_up = NULL, *kept = NULL;
    int given_up_calls = 0, kept_calls = 0;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_when_changes_saved(profile, count_answer, &given_up_calls, NULL, &given_up));
    OK(profile_when_changes_saved(profile, count_answer, &kept_calls, NULL, &kept));
    OK(saved_connection_trigger(given_up, 1));
    OK(saved_connection_trigger(kept, 1));
    CHECK(given_up_calls == 0 && kept_calls == 0);
    if (destroys) {
        OK(saved_connection_destroy(given_up));
    } else {
        OK(saved_connection_disconnect(given_up));
    }
    frame(&server, 0);
    frame(&server, 1);
    CHECK(given_up_calls == 0 && kept_calls == 1);
    if (!destroys) {
        OK(saved_connection_destroy(given_up));
    }
    OK(saved_connection_destroy(kept));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

/* Two waits of one save: whose callback runs first gives up the other. */
typedef struct Pair {
    SlSavedConnection *other;
    int calls, other_calls;
} Pair;

static void give_up_the_other(void *user_data, int32_t outcome) {
    Pair *pair = (Pair *)user_data;
    CHECK(outcome == SL_OUTCOME_SAVED);
    pair->calls++;
    OK(saved_connection_destroy(pair->other));
}

static void a_wait_given_up_by_the_callback_before_it_calls_nobody(void) {
    Server server;
    SlProfile *profile;
    Pair pair = {NULL, 0, 0};

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 1));
    OK(profile_when_changes_saved(profile, give_up_the_other, &pair, NULL, NULL));
    OK(profile_when_changes_saved(profile, count_answer, &pair.other_calls, NULL, &pair.other));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    frame(&server, 1);
    CHECK(pair.calls == 1 && pair.other_calls == 0);
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

typedef struct Signals {
    SlSignalConnection *later;
    int calls, later_calls;
} Signals;

static void end_the_later(void *user_data, SlProfile *profile, const SlEvent *event) {
    Signals *signals = (Signals *)user_data;
    (void)profile;
    (void)event;
    if (signals->calls++ == 0) {
        OK(signal_connection_disconnect(signals->later));
    }
}

static void count_later(void *user_data, SlProfile *profile, const SlEvent *event) {
    (void)profile;
    (void)event;
    ((Signals *)user_data)->later_calls++;
}

static void a_connection_for_once_that_an_earlier_callback_ends_is_not_called(void) {
    Server server;
    SlProfile *profile;
    Signals signals = {NULL, 0, 0};

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(profile_connect(profile, SL_SIGNAL_SAVED, end_the_later, &signals, NULL, NULL));
    OK(profile_connect_once(profile, SL_SIGNAL_SAVED, count_later, &signals, NULL, &signals.later));
    OK(profile_mark_force_save(profile));
    frame(&server, 0);
    CHECK(signals.calls == 1 && signals.later_calls == 0);
    OK(profile_mark_force_save(profile));
    frame(&server, 1);
    CHECK(signals.calls == 2 && signals.later_calls == 0);
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static void a_backup_over_the_limit_is_refused(void) {
    Server server;
    SlClock clock;
    SlEasyStoreConfig config;
    SlProfile *profile;
    SlSaveData *large = NULL;
    SlSaveDataBackup *backup = NULL;
    SlSavedConnection *wait = NULL;
    int64_t gold = -1;
    int32_t is_saved = 7;
    char json[300];

    memset(&server, 0, sizeof server);
    OK(locker_storage_open(Z("memory:"), &server.storage));
    config = server_config(&server, &clock, 1);
    config.document_limit_bytes = 64;
    OK(easy_store_create(server.storage, &config, &server.store));
    profile = loaded(&server, "player");

    sprintf(json, "{\"Gold\":7,\"Name\":\"%0200d\"}", 0);
    OK(save_data_parse(json, strlen(json), &large));
    OK(save_data_backup(large, &backup));
    CHECK_STATUS(SL_ERROR_TOO_LARGE, save_data_restore(data_of(profile), backup));
    OK(save_data_get_i64(data_of(profile), Z("/Gold"), &gold));
    CHECK(gold == 0);
    /* It is no change, so there is nothing to save. */
    OK(profile_when_changes_saved(profile, NULL, NULL, NULL, &wait));
    OK(saved_connection_is_saved(wait, &is_saved));
    CHECK(is_saved == 1);
    OK(saved_connection_destroy(wait));
    OK(save_data_backup_destroy(backup));
    OK(save_data_destroy(large));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

static SlStatus migrate_nothing(void *user_data, SlSaveData *data, double *version_patch) {
    (void)data;
    (void)version_patch;
    ++*(int *)user_data;
    return SL_OK;
}

static void the_save_data_of_a_session_is_not_migrated_by_hand(void) {
    Server server;
    SlProfile *profile;
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    int64_t version = -1;
    int calls = 0;

    server_open(&server, "memory:", 0, 1);
    profile = loaded(&server, "player");
    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, migrate_nothing, &calls, NULL));
    OK(migrator_builder_build(builder, &migrators));
    CHECK_STATUS(SL_ERROR_UNSUPPORTED, migrators_migrate(migrators, data_of(profile), 2));
    OK(save_data_get_i64(data_of(profile), Z("/Version"), &version));
    CHECK(version == 1 && calls == 0);
    OK(migrators_destroy(migrators));
    OK(migrator_builder_destroy(builder));
    OK(profile_destroy(profile));
    frame(&server, 0);
    server_close(&server);
}

int main(void) {
    a_wait_given_up_before_its_answer_is_told_calls_nobody(0);
    a_wait_given_up_before_its_answer_is_told_calls_nobody(1);
    a_wait_given_up_by_the_callback_before_it_calls_nobody();
    a_connection_for_once_that_an_earlier_callback_ends_is_not_called();
    a_backup_over_the_limit_is_refused();
    the_save_data_of_a_session_is_not_migrated_by_hand();
    return finish("mended");
}
