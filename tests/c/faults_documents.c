/* The original's faults in documents and their versions, and what is right here: 8, 12, 13 and 14.
 * Each test is named after its fault; faults_sessions.c says where the others are. */
#include "faults.h"

/* A migrator or patcher that fails until it is mended. */
typedef struct Step {
    int is_mended;
    int runs;
} Step;

static SlStatus double_gold(void *user_data, SlSaveData *data, double *version_patch) {
    Step *step = (Step *)user_data;
    int64_t gold = 0;
    (void)version_patch;
    step->runs++;
    OK(save_data_get_i64(data, Z("/Gold"), &gold));
    OK(save_data_set_i64(data, Z("/Gold"), 2 * gold));
    if (!step->is_mended) {
        OK(session_locker_set_hook_error(Z("no-such-item")));
        return SL_ERROR_HOOK;
    }
    return SL_OK;
}

static SlMigrators *migrators_with(Step *step, int is_patcher) {
    static Step fine = {1, 0};
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 6, double_gold, is_patcher ? &fine : step,
                                          NULL));
    if (is_patcher) {
        OK(migrator_builder_add_patcher_for(builder, 6, double_gold, step, NULL));
    }
    OK(migrator_builder_build(builder, &migrators));
    OK(migrator_builder_destroy(builder));
    return migrators;
}

static void fault_8_a_migrator_that_fails_is_reported_and_writes_and_locks_nothing(int is_patcher) {
    static const char stored[] = "{\"Version\":6,\"Gold\":5}";
    FaultyHost host = faulty_host();
    Server server;
    Step step = {0, 0};
    SlClock clock;
    SlEasyStoreConfig config = faulty_config(&server, &host, &clock, is_patcher, 1);
    SlMigrators *migrators = migrators_with(&step, is_patcher);
    SlProfile *profile;

    config.save_data_version = 7;
    config.migrators = migrators;
    OK(easy_store_create(server.storage, &config, &server.store));
    OK(migrators_destroy(migrators));
    faulty_put(&host, "player", stored);
    profile = start(&server, "player");
    frame(&server, 0);
    CHECK(strstr(server.log.text, "error:migrate(") == server.log.text);
    CHECK(strstr(server.log.text, is_patcher ? "patcher for version 6" : "from version 6") != NULL);
    CHECK(strstr(server.log.text, "no-such-item) =migration_failed ") != NULL);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_MIGRATION_FAILED);
    CHECK(json_is(data_of(profile), "/Gold", "0"));

    /* Said once, and not tried for ever. */
    server.log.text[0] = '\0';
    pass(&server, 4000, 10);
    CHECK(log_is(&server.log, "") && step.runs == 1 && host.requests[FETCH] == 1);
    CHECK(host.requests[COMMIT] == 0 && faulty_has(&host, "player", stored));

    /* Mended, and asked anew. */
    step.is_mended = 1;
    OK(profile_destroy(profile));
    profile = start(&server, "player");
    pass(&server, 2, 1);
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADED);
    CHECK(gold_of(profile) == (is_patcher ? 20 : 10));
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_12_a_store_with_test_data_remembers_what_was_saved(int polls) {
    FaultyHost host = faulty_host();
    Server server;
    SlClock clock;
    SlEasyStoreConfig config = faulty_config(&server, &host, &clock, polls, 1);
    SlProfile *profile;
    int sessions;

    config.test_data_json = "{\"Version\":1,\"Gold\":100}";
    OK(easy_store_create(server.storage, &config, &server.store));
    for (sessions = 0; sessions < 3; sessions++) {
        profile = loaded(&server, "player");
        CHECK(gold_of(profile) == 100 + 2 * sessions);
        set_gold(profile, gold_of(profile) + 1);
        save_now(&server, profile);
        CHECK(log_is(&server.log, "saved "));
        set_gold(profile, gold_of(profile) + 1);
        OK(profile_destroy(profile));
        frame(&server, 0);
    }
    profile = loaded(&server, "other");
    CHECK(gold_of(profile) == 100);
    CHECK(host.requests[FETCH] == 0 && host.requests[COMMIT] == 0);
    OK(profile_destroy(profile));
    server_close(&server);
}

static void fault_13_a_document_cannot_hold_itself(void) {
    static const char bag[] = "{\"Bag\":{\"Inner\":{\"Gold\":1}}}";
    static const char copy_of_all[] = "[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/Bag/All\"}]";
    static const char copy_of_bag[] = "[{\"op\":\"copy\",\"from\":\"/Bag\",\"path\":\"/Bag/Bag\"}]";
    static const char move_inside[] =
        "[{\"op\":\"move\",\"from\":\"/Bag\",\"path\":\"/Bag/Inner/Bag\"}]";
    SlSaveData *data = NULL;
    SlSaveDataBackup *backup = NULL;
    SlStatus status = SL_OK;
    SlBuffer json;
    int copies;

    OK(save_data_create(Z(bag), &data));
    OK(save_data_backup(data, &backup));
    /* What is put into itself is a copy, which later writes leave alone. */
    OK(save_data_apply_patch(data, Z(copy_of_bag)));
    OK(save_data_set_i64(data, Z("/Bag/Inner/Gold"), 2));
    CHECK(json_is(data, "/Bag/Bag", "{\"Inner\":{\"Gold\":1}}"));
    OK(save_data_get_json(data, Z("/Bag"), &json));
    OK(save_data_set_json(data, Z("/Bag/Bag"), json.data, json.length));
    session_locker_buffer_free(&json);
    CHECK(json_is(data, "/Bag",
                  "{\"Inner\":{\"Gold\":2},\"Bag\":{\"Inner\":{\"Gold\":2},\"Bag\":{\"Inner\":"
                  "{\"Gold\":1}}}}"));
    CHECK_STATUS(SL_ERROR_PATCH_FAILED, save_data_apply_patch(data, Z(move_inside)));

    /* However often, it comes to an end, and can be copied and put back. */
    OK(save_data_restore(data, backup));
    CHECK(json_is(data, "", DOCUMENT(",\"Bag\":{\"Inner\":{\"Gold\":1}}")));
    OK(save_data_apply_patch(data, Z(copy_of_all)));
    for (copies = 0; copies < 200 && status == SL_OK; copies++) {
        status = save_data_apply_patch(data, Z(copy_of_bag));
    }
    CHECK(status == SL_ERROR_PATCH_FAILED || status == SL_ERROR_TOO_LARGE);
    CHECK(copies > 3 && copies < 200);
    OK(save_data_restore(data, backup));
    CHECK(json_is(data, "/Bag", "{\"Inner\":{\"Gold\":1}}"));
    OK(save_data_backup_destroy(backup));
    OK(save_data_destroy(data));
}

static void fault_14_a_current_version_with_a_migrator_from_it_is_out_of_date(void) {
    static Step fine = {1, 0};
    SlMigratorBuilder *builder = NULL;
    uint32_t version;

    OK(migrator_builder_create(&builder));
    OK(migrator_builder_check_version(builder, 1));
    for (version = 1; version < 4; version++) {
        OK(migrator_builder_add_migrator_from(builder, version, double_gold, &fine, NULL));
    }
    OK(migrator_builder_check_version(builder, 4));
    for (version = 1; version < 4; version++) {
        char words[64];
        CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_check_version(builder, version));
        sprintf(words, "version %d", (int)version);
        CHECK(last_error_says("out of date") && last_error_says(words));
    }
    CHECK_STATUS(SL_ERROR_MIGRATION, migrator_builder_check_version(builder, 5));
    OK(migrator_builder_destroy(builder));
}

int main(void) {
    int either;
    for (either = 0; either < 2; either++) {
        fault_8_a_migrator_that_fails_is_reported_and_writes_and_locks_nothing(either);
        fault_12_a_store_with_test_data_remembers_what_was_saved(either);
    }
    fault_13_a_document_cannot_hold_itself();
    fault_14_a_current_version_with_a_migrator_from_it_is_out_of_date();
    return finish("faults_documents");
}
