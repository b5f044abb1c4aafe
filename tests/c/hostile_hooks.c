/* Hooks that lie: with statuses that mean nothing, writes to what is not theirs, handles kept beyond the
 * call, and gifts to nobody. Each is a failure of that hook alone, and the documents are as before. */
#include "host_memory.h"
#include "locker_world.h"

static const SlStatus nonsense[] = {1,
                                    5,
                                    INT32_MAX,
                                    INT32_MIN,
                                    -9999,
                                    SL_ERROR_BUSY,
                                    SL_ERROR_PANIC,
                                    SL_ERROR_INVALID_HANDLE,
                                    SL_ERROR_HOOK};
enum { NONSENSE = sizeof nonsense / sizeof nonsense[0], LENT_MAX = 16 };

typedef enum Hook {
    NOBODY,
    CREATE,
    MIGRATE,
    CHANGE,
    MERGE,
    BEFORE_SAVE,
    VALIDATE,
    APPLY,
    RECORD,
    HOOKS
} Hook;

/* A store whose hooks do as they are told. */
typedef struct Liar {
    Server server;
    Hook who;
    SlStatus status; /* what that hook returns */
    int runs;        /* of that hook */
    int answers, granted, drops;
    SlProfile *victim; /* whose save data the hooks try to write */
    SlSaveData *victims_data;
    SlSaveData *lent[LENT_MAX];
    int lent_count;
    SlProfile *recipient;
    SlLocker *recipient_locker;
} Liar;

static Liar liar;

static SlStatus lie(Hook hook) {
    if (hook != liar.who) {
        return SL_OK;
    }
    liar.runs++;
    return liar.status;
}

/* Notes a handle, to use it when it is lent no more. */
static void keep(SlSaveData *data) {
    if (liar.lent_count < LENT_MAX) {
        liar.lent[liar.lent_count++] = data;
    }
}

/* Writes to its own document, and tries to write to another's. */
static void write_everywhere(SlSaveData *data) {
    int64_t gold = 0;
    int32_t was_used = 7;
    keep(data);
    OK(save_data_add_i64(data, Z("/Gold"), 1000, &gold));
    if (liar.victim != NULL) {
        CHECK_STATUS(SL_ERROR_BUSY, save_data_set_i64(liar.victims_data, Z("/Gold"), 666));
        CHECK_STATUS(SL_ERROR_BUSY, save_data_merge_patch(liar.victims_data, Z("{\"Gold\":666}")));
        CHECK_STATUS(SL_ERROR_BUSY, profile_set_save_data_json(liar.victim, Z("{\"Gold\":666}")));
        CHECK_STATUS(SL_ERROR_BUSY, profile_product_credit_give(liar.victim, 5, 1));
        CHECK_STATUS(SL_ERROR_BUSY, profile_product_credit_use(liar.victim, 5, 1, &was_used));
        CHECK(was_used == 7);
        CHECK(json_is(liar.victims_data, "/Gold", "0"));
    }
}

static SlStatus on_create(void *user_data, const char *key, size_t key_length, SlSaveData *data) {
    (void)user_data;
    (void)key;
    (void)key_length;
    keep(data);
    OK(save_data_set_i64(data, Z("/Gold"), 0));
    return lie(CREATE);
}

static SlStatus on_migrate(void *user_data, SlSaveData *data, double *version_patch) {
    (void)user_data;
    (void)version_patch;
    write_everywhere(data);
    return lie(MIGRATE);
}

static SlStatus on_change(void *user_data, const char *key, size_t key_length, SlSaveData *data,
                          const char *change, size_t change_length) {
    (void)user_data;
    (void)key;
    (void)key_length;
    (void)change;
    (void)change_length;
    write_everywhere(data);
    return lie(CHANGE);
}

static SlStatus on_merge(void *user_data, const char *key, size_t key_length, SlSaveData *offline,
                         SlSaveData *data) {
    (void)user_data;
    (void)key;
    (void)key_length;
    keep(offline);
    write_everywhere(data);
    return lie(MERGE);
}

static SlStatus on_save(void *user_data, SlProfile *profile) {
    int64_t gold = 0;
    (void)user_data;
    OK(save_data_add_i64(data_of(profile), Z("/Gold"), 1000, &gold));
    return lie(BEFORE_SAVE);
}

static SlStatus process(void *user_data, SlProductOp op, SlProductCall *call) {
    (void)user_data;
    if (op == SL_PRODUCT_OP_VALIDATE) {
        call->recipient_profile = liar.recipient;
        call->recipient_locker = liar.recipient_locker;
        /* What is not for the function to set does not count. */
        call->save_data = (SlSaveData *)&liar;
        call->profile = NULL;
        call->struct_size = 1;
        return lie(VALIDATE);
    }
    write_everywhere(call->save_data);
    call->save_data = liar.victims_data;
    call->recipient_profile = liar.victim;
    return lie(op == SL_PRODUCT_OP_APPLY ? APPLY : RECORD);
}

static void on_answer(void *user_data, int32_t is_granted) {
    (void)user_data;
    liar.answers++;
    liar.granted += is_granted;
}

static void on_drop(void *user_data) {
    (void)user_data;
    liar.drops++;
}

static void open_liar(Hook who, SlStatus status, uint32_t version) {
    SlClock clock;
    SlEasyStoreConfig config;
    SlMigratorBuilder *builder = NULL;
    SlMigrators *migrators = NULL;
    memset(&liar, 0, sizeof liar);
    liar.who = who;
    liar.status = status;
    OK(locker_storage_open(Z("memory:"), &liar.server.storage));
    OK(migrator_builder_create(&builder));
    OK(migrator_builder_add_migrator_from(builder, 1, on_migrate, NULL, NULL));
    OK(migrator_builder_build(builder, &migrators));
    config = server_config(&liar.server, &clock, 1);
    config.save_data_version = version;
    config.migrators = migrators;
    config.template_json = NULL;
    config.create_save_data = on_create;
    config.process_remote_change = on_change;
    config.merge_offline_save_data = on_merge;
    OK(easy_store_create(liar.server.storage, &config, &liar.server.store));
    OK(migrators_destroy(migrators));
    OK(migrator_builder_destroy(builder));
}

static SlProfile *start(const char *key) {
    SlProfile *profile = NULL;
    OK(easy_store_start_session(liar.server.store, Z(key), NULL, &profile));
    frame(&liar.server, 0);
    frame(&liar.server, 0);
    return profile;
}

static void ask(SlProfile *profile, const char *purchase_id) {
    SlReceiptInfo receipt;
    OK(session_locker_receipt_info_init(&receipt, sizeof receipt));
    receipt.purchase_id = purchase_id;
    receipt.product_id = 5;
    OK(profile_call_when_product_is_processed_and_saved(profile, process, &receipt, on_answer, NULL,
                                                        on_drop));
}

/* Nothing that a hook has kept names anything any more. */
static void what_was_lent_is_gone(void) {
    SlSaveDataBackup *backup = NULL;
    SlBuffer json = {NULL, 7, 0};
    int64_t gold = 7;
    int at;
    CHECK(liar.lent_count > 0);
    for (at = 0; at < liar.lent_count; at++) {
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_i64(liar.lent[at], Z("/Gold"), &gold));
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_get_json(liar.lent[at], Z(""), &json));
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_set_i64(liar.lent[at], Z("/Gold"), 1));
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_backup(liar.lent[at], &backup));
        CHECK_STATUS(SL_ERROR_INVALID_HANDLE, save_data_destroy(liar.lent[at]));
    }
    CHECK(gold == 7 && json.length == 7 && backup == NULL);
}

#define OLD(version, inbox)                                                                        \
    "{\"Version\":" version ",\"VersionPatch\":0,\"Gold\":5" inbox "}"
#define INBOX ",\"RemoteChanges\":[{\"K\":\"gold\",\"I\":\"a:1\",\"A\":1700000000}]"

/* What a hook gives the players that it serves, one that succeeds: 1000 gold. */
static void a_status_that_means_nothing_is_a_failure(Hook who, SlStatus status) {
    SlProfile *profile;
    SlSaveData *data;
    int64_t gold = 0;
    int is_tried_again = who == CHANGE || who == BEFORE_SAVE || who == VALIDATE || who == APPLY;
    open_liar(who, status, who == MIGRATE ? 2 : 1);
    if (who != CREATE) {
        store_under(liar.server.storage, "player", OLD("1", INBOX));
    }
    profile = start("player");
    data = data_of(profile);
    if (who == CREATE || who == MIGRATE) {
        CHECK(load_status_of(profile) == (who == CREATE ? SL_LOAD_STATUS_CREATE_FAILED
                                                        : SL_LOAD_STATUS_MIGRATION_FAILED));
        CHECK(!stored_has(liar.server.storage, "player", "Session"));
        OK(profile_destroy(profile));
        frame(&liar.server, 0);
        server_close(&liar.server);
        return;
    }
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADED);
    /* The change and the merge, each by itself. */
    CHECK(json_is(data, "/Gold", who == CHANGE || who == MERGE ? "1005" : "2005"));
    OK(save_data_set_i64(data, Z("/Gold"), 0));
    if (who == BEFORE_SAVE) {
        OK(profile_set_before_save(profile, on_save, NULL, NULL));
        OK(profile_mark_force_save(profile));
        frame(&liar.server, 0);
        CHECK(json_is(data, "/Gold", "0") && liar.runs == 1);
    }
    if (who >= VALIDATE) {
        ask(profile, "a");
        frame(&liar.server, 0);
        CHECK(json_is(data, "/Gold", who == RECORD ? "1000" : "0") && liar.runs == 1);
        CHECK(liar.granted == (who == RECORD) && liar.answers == liar.granted);
    }
    CHECK(strstr(liar.server.last_text, "returned") != NULL || who == RECORD || who == BEFORE_SAVE);
    /* Once it does better, all goes on. */
    liar.who = NOBODY;
    frame(&liar.server, 20);
    frame(&liar.server, 0);
    OK(save_data_get_i64(data, Z("/Gold"), &gold));
    CHECK(!is_tried_again || gold >= 1000);
    OK(profile_destroy(profile));
    frame(&liar.server, 0);
    frame(&liar.server, 0);
    CHECK(liar.answers == liar.drops && liar.granted == liar.answers);
    CHECK(!stored_has(liar.server.storage, "player", "\"Session\""));
    CHECK(!stored_has(liar.server.storage, "player", "RemoteChanges"));
    what_was_lent_is_gone();
    server_close(&liar.server);
}

/* Those that have no such answer. */
static void not_applicable_is_a_failure_where_it_means_nothing(void) {
    a_status_that_means_nothing_is_a_failure(CREATE, SL_ERROR_NOT_APPLICABLE);
    a_status_that_means_nothing_is_a_failure(MIGRATE, SL_ERROR_NOT_APPLICABLE);
    a_status_that_means_nothing_is_a_failure(MERGE, SL_ERROR_NOT_APPLICABLE);
    a_status_that_means_nothing_is_a_failure(BEFORE_SAVE, SL_ERROR_NOT_APPLICABLE);
    a_status_that_means_nothing_is_a_failure(RECORD, SL_ERROR_NOT_APPLICABLE);
}

static void no_restorable_hook_writes_to_another_players_save_data(void) {
    SlProfile *profile;
    open_liar(NOBODY, SL_OK, 2);
    liar.victim = NULL;
    profile = start("victim");
    liar.victims_data = data_of(profile);
    OK(save_data_set_i64(liar.victims_data, Z("/Gold"), 0));
    liar.victim = profile;
    store_under(liar.server.storage, "player", OLD("1", INBOX));
    profile = start("player");
    CHECK(load_status_of(profile) == SL_LOAD_STATUS_LOADED);
    /* A migrator, a remote change and the merge; then apply and record. */
    CHECK(json_is(data_of(profile), "/Gold", "3005"));
    ask(profile, "a");
    frame(&liar.server, 0);
    CHECK(liar.granted == 1 && json_is(data_of(profile), "/Gold", "5005"));
    CHECK(json_is(liar.victims_data, "/Gold", "0"));
    what_was_lent_is_gone();
    OK(profile_destroy(profile));
    OK(profile_destroy(liar.victim));
    frame(&liar.server, 0);
    server_close(&liar.server);
}

static void a_gift_goes_to_one_player_of_the_same_store_or_to_nobody(void) {
    Server foreign;
    Full full;
    SlProfile *profile, *other, *stranger;
    SlLocker *locker;
    open_liar(NOBODY, SL_OK, 1);
    server_open(&foreign, "memory:", 0, 2);
    full_open(&full, "memory:", 0, 3);
    profile = start("player");
    other = start("other");
    stranger = loaded(&foreign, "player");
    locker = acquired(&full, "player");
    OK(save_data_set_i64(data_of(profile), Z("/Gold"), 0));
    OK(save_data_set_i64(data_of(other), Z("/Gold"), 0));

    /* Both fields: a failure, tried again after the cooldown. */
    liar.recipient = other;
    liar.recipient_locker = locker;
    ask(profile, "both");
    frame(&liar.server, 0);
    frame(&liar.server, 1);
    CHECK(liar.answers == 0);
    CHECK(strstr(liar.server.last_text, "both a locker and a profile are given") != NULL);
    /* What names nobody, or something else. */
    liar.recipient_locker = (SlLocker *)profile;
    liar.recipient = NULL;
    frame(&liar.server, 10);
    CHECK(liar.answers == 0 && strstr(liar.server.last_text, "SlLocker") != NULL);
    /* The purchaser: then it is no gift. */
    liar.recipient_locker = NULL;
    liar.recipient = profile;
    frame(&liar.server, 10);
    CHECK(liar.answers == 1 && liar.granted == 1);
    CHECK(json_is(data_of(profile), "/Gold", "2000") && json_is(data_of(other), "/Gold", "0"));

    /* Of another store, and of a spec. */
    liar.recipient = stranger;
    ask(profile, "stranger");
    frame(&liar.server, 0);
    CHECK(liar.answers == 2 && liar.granted == 1);
    CHECK(strstr(liar.server.last_text, "another store or spec") != NULL);
    liar.recipient = NULL;
    liar.recipient_locker = locker;
    ask(profile, "locker");
    frame(&liar.server, 0);
    CHECK(liar.answers == 3 && liar.granted == 1 && liar.drops == 3);
    CHECK(json_is(data_of(stranger), "/Gold", "0") && json_is(data_in(locker), "/Gold", "0"));
    CHECK(json_is(data_of(profile), "/Gold", "2000"));
    CHECK(!stored_has(liar.server.storage, "player", "stranger"));

    released(&full, locker);
    full_close(&full);
    OK(profile_destroy(stranger));
    server_close(&foreign);
    OK(profile_destroy(profile));
    OK(profile_destroy(other));
    frame(&liar.server, 0);
    server_close(&liar.server);
}

/* The storage of a host that answers, and then says that it has not. */
static SlStatus storage_lie;

static SlStatus lying_commit(void *user_data, SlStorageRequest *request, const SlStorageCommit *commit) {
    SlStatus status = host_commit(user_data, request, commit);
    return storage_lie == SL_OK ? status : storage_lie;
}

static void a_storage_that_answers_and_returns_nonsense_has_answered(void) {
    HostMemory memory;
    Server server;
    SlClock clock;
    SlStorageCallbacks callbacks;
    SlEasyStoreConfig config;
    SlProfile *profile;
    int at;
    memset(&server, 0, sizeof server);
    memset(&memory, 0, sizeof memory);
    OK(locker_storage_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.fetch = host_fetch;
    callbacks.commit = lying_commit;
    callbacks.erase = host_erase;
    OK(locker_storage_open_host(&callbacks, &memory, &server.storage));
    config = server_config(&server, &clock, 1);
    OK(easy_store_create(server.storage, &config, &server.store));
    for (at = 0; at < (int)NONSENSE; at++) {
        char gold[32];
        storage_lie = nonsense[at];
        profile = loaded(&server, "player");
        OK(save_data_set_i64(data_of(profile), Z("/Gold"), at + 1));
        OK(profile_mark_force_save(profile));
        frame(&server, 0);
        sprintf(gold, "\"Gold\":%d", at + 1);
        CHECK(strstr(host_record(&memory, "player"), gold) != NULL);
        OK(profile_destroy(profile));
        frame(&server, 0);
        CHECK(strstr(host_record(&memory, "player"), "\"Session\"") == NULL);
    }
    storage_lie = SL_OK;
    server_close(&server);
}

int main(void) {
    int hook, at;
    for (hook = CREATE; hook < HOOKS; hook++) {
        for (at = 0; at < (int)NONSENSE; at++) {
            int failed = checks_failed;
            a_status_that_means_nothing_is_a_failure((Hook)hook, nonsense[at]);
            if (checks_failed > failed) {
                fprintf(stderr, "that was hook %d with the status %d\n", hook, nonsense[at]);
            }
        }
    }
    not_applicable_is_a_failure_where_it_means_nothing();
    no_restorable_hook_writes_to_another_players_save_data();
    a_gift_goes_to_one_player_of_the_same_store_or_to_nobody();
    a_storage_that_answers_and_returns_nonsense_has_answered();
    return finish("hostile_hooks");
}
